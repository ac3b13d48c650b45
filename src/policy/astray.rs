//! Work that does not lie on its attempt's branch: seen, told, and not approved as it is.

use std::path::Path;

use crate::model::astray::Astray;
use crate::model::attempt::Attempt;
use crate::model::event::{Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode};
use crate::model::text::shell_word;

use super::command::refuse;
use super::turn::Turn;

/// It was seen where the work of an attempt lies; `None`: where it belongs.
pub(super) fn seen(turn: &mut Turn<'_>, id: AttemptId, astray: Option<Astray>) {
    if turn.board.attempt(id).is_some_and(|a| a.astray != astray) {
        turn.attempt_event(id, Event::WorktreeStrayed { astray });
    }
}

/// A broken worktree is for a person: nothing that its agent does there is seen any more.
pub(super) fn need(attempt: &Attempt) -> Option<(NeedKind, String)> {
    let Some(Astray::Broken { why }) = &attempt.astray else { return None };
    let branch = &attempt.branch;
    let text = format!("its worktree is broken: {why}; what was committed is on {branch}, all else may be lost");
    Some((NeedKind::Broken, text))
}

/// Nobody says yes to work that its branch does not hold: who merges the branch would not get it.
pub(super) fn refuse_approval(task: TaskId, attempt: &Attempt) -> Result<(), Refusal> {
    let Some(astray) = &attempt.astray else { return Ok(()) };
    let text = format!("the worktree of {task} {}; {} does not hold the work", astray.text(), attempt.branch);
    let hints = match astray {
        Astray::OffBranch { doing: None, .. } => vec![bring_back(attempt)],
        Astray::OffBranch { .. } => vec![format!("git -C {} status", path(&attempt.worktree))],
        Astray::Broken { .. } => vec![format!("standup retry {task}")],
    };
    refuse(RefusalCode::Conflict, text, &hints)
}

/// Moves the branch forward to where HEAD is, never back or aside, and then HEAD onto the branch.
fn bring_back(attempt: &Attempt) -> String {
    let (at, branch) = (path(&attempt.worktree), &attempt.branch);
    format!("git -C {at} fetch . HEAD:{branch} && git -C {at} switch {branch}")
}

fn path(path: &Path) -> String {
    shell_word(&path.display().to_string())
}
