//! Work from a brief to Review, and what is said to an agent on the way.

use std::time::Instant;

use standup::model::attempt::Attempt;
use standup::model::event::Event;
use standup::model::input::Command as Wish;
use standup::model::message::Delivery;
use standup::model::state::{RunKind, Source};
use standup::model::task::Column;
use standup::model::verdict::VerdictOutcome;

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
        stage.assert_went_through(id, &[RunKind::Working, RunKind::Idle]);
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
        stage.until_state(id, RunKind::Working);
        assert_eq!(stage.until_settled(id, first).delivery, Delivery::Delivered, "{name}, idle");
        // Busy.
        let second = stage.send(id, "second word [[script:write file=second.txt]]", false);
        stage.until_task(id, "typed", |t| {
            t.messages
                .iter()
                .any(|m| m.id == second && !m.is_queued() && !matches!(m.delivery, Delivery::Typing { .. }))
        });
        stage.model.open(&gate);
        assert_eq!(stage.until_settled(id, second).delivery, Delivery::Delivered, "{name}, busy");
        stage.until_task(id, "at rest", |t| run(t).is_some_and(|r| r.turn_over) && t.column == Column::Review);
        for script in ["gate", "write"] {
            assert_eq!(stage.begun(cli, script), 1, "{name}: {script}");
        }
        let typed = stage.events(id).iter().filter(|e| matches!(e, Event::MessageTyped { .. })).count();
        assert_eq!(typed, 2, "{name}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_text_arrives_as_a_prompt_whatever_the_cli_makes_of_its_first_and_last_word() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, "[[script:hello]]");
        stage.until_task(id, "the first turn is over", |t| run(t).is_some_and(|r| r.turn_over));
        let bang = format!("! touch {name}-bang");
        for text in [&bang, "/exit", "please look at @README.md", "it lies in ($STANDUP_DIR/outbox).", "which $HOME"] {
            let msg = stage.send(id, text, false);
            assert_eq!(stage.until_settled(id, msg).delivery, Delivery::Delivered, "{name}: {text}");
            stage.until_task(id, "at rest", |t| run(t).is_some_and(|r| r.turn_over) && t.column == Column::Review);
        }
        let task = stage.until_task(id, "it lives", |t| t.attempt().is_some_and(Attempt::is_active));
        assert!(!task.attempt().expect("an attempt").worktree.join(format!("{name}-bang")).exists(), "{name} ran it");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_stopped_agent_is_resumed_in_its_own_conversation() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, "[[script:hello]]");
        let task = stage.until_task(id, "in review, its session known", |t| {
            t.column == Column::Review && t.attempt().is_some_and(|a| a.session.is_some())
        });
        let session = task.attempt().and_then(|a| a.session.clone());
        stage.wish(Wish::Stop { task: id });
        stage.until_task(id, "stopped", |t| t.attempt().is_some_and(|a| !a.is_active()));
        let msg = stage.send(id, "go on please [[script:commit file=more.txt msg=more]]", false);
        assert_eq!(stage.until_settled(id, msg).delivery, Delivery::Delivered, "{name}");
        let task = stage.until_task(id, "in review again", |t| {
            t.column == Column::Review
                && run(t).is_some_and(|r| r.turn_over)
                && t.attempt().is_some_and(|a| a.launches == 2)
        });
        let attempt = task.attempt().expect("an attempt");
        assert_eq!(attempt.session, session, "{name} goes on in the same conversation");
        let branch = attempt.branch.as_str();
        assert_eq!(git(&stage.repo(), &format!("git log --format=%s main..{branch}")), "more", "{name}");
        let log = stage.model.log();
        let of =
            |l: &&serde_json::Value| l["agent"].as_str().is_some_and(|a| a.contains(name)) && l["script"] == "commit";
        let said_before = log.iter().find(of).and_then(|l| l["n"].as_u64()).expect("a request");
        assert!(said_before > 1, "{name}: what was said before belongs to it");
        assert_eq!(stage.begun(cli, "commit"), 1, "{name} was asked once");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn red_checks_go_back_and_are_mended() {
    let stage = Stage::new(&Setting {
        settings: "[[verify.check]]\nname = \"sum\"\nrun = \"grep -q 'a + b' calc.py || { echo '[[script:fix-bug]]'; exit 1; }\"",
        ..Setting::default()
    });
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let id = stage.add(cli, "[[script:hello]]");
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        let events = stage.events(id);
        let queued = events.iter().filter(|e| matches!(e, Event::MessageQueued { .. })).count();
        let verdicts: Vec<VerdictOutcome> = events
            .iter()
            .filter_map(|e| match e {
                Event::VerdictReached { verdict, .. } => Some(verdict.outcome),
                _ => None,
            })
            .collect();
        assert_eq!((queued, verdicts), (1, vec![VerdictOutcome::Red, VerdictOutcome::Green]), "{name}");
        assert!(task.messages.iter().all(|m| m.delivery == Delivery::Delivered), "{name}: {:?}", task.messages);
        let branch = task.attempt().expect("an attempt").branch.as_str();
        assert_eq!(git(&stage.repo(), &format!("git log --format=%s main..{branch}")), "fix add()", "{name}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn four_at_once_on_four_branches() {
    let stage = Stage::new(&Setting { settings: "[wip]\nbuild = 4", ..Setting::default() });
    let before = git(&stage.repo(), "git rev-parse main");
    let tasks: Vec<_> = [Cli::Claude, Cli::Codex, Cli::Claude, Cli::Codex]
        .into_iter()
        .enumerate()
        .map(|(n, cli)| {
            let steps = format!(
                "[[steps:[{{\"gate\":\"start-{n}\",\"write\":{{\"path\":\"f{n}.txt\",\"content\":\"x\"}}}},\
                 {{\"bash\":\"git add -A && git commit -q -m 'work {n}' && git log --oneline -1\"}},\
                 {{\"gate\":\"end-{n}\",\"say\":\"done\"}}]]]"
            );
            (n, cli, stage.add(cli, &steps))
        })
        .collect();
    for (n, _, id) in &tasks {
        stage.model.wait(&format!("start-{n}"));
        stage.until_state(*id, RunKind::Working);
    }
    for (n, _, _) in &tasks {
        stage.model.open(&format!("start-{n}"));
    }
    for (n, cli, id) in &tasks {
        stage.model.wait(&format!("end-{n}"));
        let attempt = stage.attempt(*id);
        assert_eq!(attempt.run.kind, RunKind::Working, "{cli:?}: {:?}", attempt.run);
        let done = Instant::now();
        stage.model.open(&format!("end-{n}"));
        stage.until_task(*id, "in review", |t| t.column == Column::Review);
        stage.timed(*id, &format!("turn over, {}", cli.name()), done, |s| s.turn_over);
    }
    for (n, cli, id) in &tasks {
        stage.assert_went_through(*id, &[RunKind::Working, RunKind::Idle]);
        let attempt = stage.attempt(*id);
        let log = git(&stage.repo(), &format!("git log --format=%s main..{}", attempt.branch.as_str()));
        assert_eq!(log, format!("work {n}"));
        assert!(attempt.session.is_some(), "{cli:?} keeps its session");
    }
    let sessions: std::collections::BTreeSet<_> = tasks.iter().map(|(_, _, id)| stage.attempt(*id).session).collect();
    assert_eq!(sessions.len(), 4);
    assert_eq!(git(&stage.repo(), "git rev-parse main"), before);
    assert_eq!(git(&stage.repo(), "git status --porcelain"), "");
}
