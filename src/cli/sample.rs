//! Tasks and attempts for tests.

use std::path::Path;

use crate::model::attempt::{Attempt, End, Exit, Phase};
use crate::model::board::Task;
use crate::model::event::By;
use crate::model::id::{ActionId, AttemptId, AttemptNo, TaskId};
use crate::model::name::{AgentName, BranchName, Slug};
use crate::model::state::{RunKind, RunState};
use crate::model::task::{Column, Mode, TaskSpec, TextRef};
use crate::model::time::{Now, Wall};

/// A task in the backlog.
pub(super) fn task(n: u32, slug: &str) -> Task {
    Task {
        id: TaskId::new(n).expect("from 1"),
        spec: TaskSpec::new(&slug.replace('-', " "), TextRef(String::new())),
        listed: None,
        column: Column::Backlog,
        moved_by: By::Person,
        moved_because: String::new(),
        moved_at: Wall(0),
        added_at: Wall(0),
        attempts: Vec::new(),
        messages: Vec::new(),
        check_ins: Vec::new(),
        needs_you: None,
        wanted: None,
        lease: None,
        paused: None,
    }
}

/// An attempt that has ended well.
pub(super) fn attempt(no: u32, worktree: &Path) -> Attempt {
    let no = AttemptNo::new(no).expect("from 1");
    let id = AttemptId { task: TaskId::new(1).expect("one"), no };
    let agent = AgentName::new("claude").expect("a name");
    let branch = BranchName::of_attempt(id, &Slug::from_title("sample"));
    let planned =
        Attempt::planned(no, &agent, Mode::default(), &branch, worktree.to_owned(), ActionId(1), Now::default());
    Attempt {
        started_at: Some(Wall(0)),
        launches: 1,
        phase: Phase::Ended { end: End::Exited { exit: Exit { code: Some(0), signal: None } }, at: Wall(0) },
        run: RunState::plain(RunKind::Exited, None, Now::default()),
        ..planned
    }
}
