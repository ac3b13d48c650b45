//! Work from a brief to Review, and what is said to an agent on the way.

use std::time::Instant;

use standup::model::event::Event;
use standup::model::message::Delivery;
use standup::model::state::{RunKind, Source};
use standup::model::task::Column;

use super::git;
use super::stage::{Setting, Stage, run};
use crate::support::rig::Cli;

/// One file, one commit, done.
fn commit(file: &str) -> String {
    format!("[[script:commit file={file} msg=\"add {file}\"]] please")
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn edits_and_commits_on_its_own_branch() {
    let stage = Stage::new(&Setting {
        settings: "[[verify.check]]\nname = \"file\"\nrun = \"test -f claude.txt || test -f codex.txt\"",
        ..Setting::default()
    });
    let before = git(&stage.repo(), "git rev-parse main");
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, &commit(&format!("{name}.txt")));
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        let attempt = task.attempt().expect("an attempt");
        let branch = attempt.branch.as_str();
        assert_eq!(git(&stage.repo(), &format!("git log --format=%s main..{branch}")), format!("add {name}.txt"));
        assert_eq!(git(&attempt.worktree, "git status --porcelain"), "");
        assert!(attempt.session.is_some(), "{name} keeps its session");
        assert!(task.needs_you.is_none(), "{:?}", task.needs_you);
        assert_eq!(stage.kinds(id), [RunKind::Working, RunKind::Idle], "{name}");
        assert_eq!(run(&task).and_then(|r| r.source), Some(Source::Osc7501));
    }
    assert_eq!(git(&stage.repo(), "git rev-parse main"), before);
    assert_eq!(git(&stage.repo(), "git status --porcelain"), "");
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn is_told_when_idle_and_while_busy_exactly_once() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, "[[script:hello]]");
        stage.until_task(id, "the first turn is over", |t| run(t).is_some_and(|r| r.turn_over));
        // Idle.
        let gate = format!("{name}-idle");
        let first = stage.send(id, &format!("first word [[script:gate g={gate}]]"), false);
        stage.model.wait(&gate);
        let asked = Instant::now();
        stage.until_state(id, RunKind::Working);
        assert_eq!(stage.until_settled(id, first).delivery, Delivery::Delivered, "{name}, idle");
        // Busy.
        let second = stage.send(id, "second word [[script:hello]]", false);
        stage.until_task(id, "typed", |t| {
            t.messages
                .iter()
                .any(|m| m.id == second && !m.is_queued() && !matches!(m.delivery, Delivery::Typing { .. }))
        });
        stage.model.open(&gate);
        assert_eq!(stage.until_settled(id, second).delivery, Delivery::Delivered, "{name}, busy");
        stage.until_task(id, "at rest", |t| run(t).is_some_and(|r| r.turn_over) && t.column == Column::Review);
        for word in ["first word", "second word"] {
            assert!(stage.turns_with(word) >= 1, "{name} never read {word:?}");
        }
        let typed = stage.events(id).iter().filter(|e| matches!(e, Event::MessageTyped { .. })).count();
        assert_eq!(typed, 2, "{name}");
        let _ = asked;
    }
}
