//! Dialogs that are answered from outside the terminal: by Claude's own hook, by a key.

use std::time::{Duration, Instant};

use standup::model::dialog::Way;
use standup::model::event::{Event, NeedKind};
use standup::model::id::TaskId;
use standup::model::input::{Command as Wish, Reply};
use standup::model::state::{Ask, RunKind};
use standup::model::task::Column;

use super::stage::{DEADLINE, Setting, Stage};
use super::terminal::Terminal;
use crate::support::rig::Cli;

/// A task whose agent asks whether it may make a file; returns the file too.
fn asking(stage: &Stage, cli: Cli, name: &str) -> (TaskId, std::path::PathBuf) {
    let (id, file, asked) = stage.add_asking(cli, name);
    let task = stage.until_task(id, "asks with options", |t| {
        t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Permission && n.options.len() >= 2)
    });
    assert!(asked.elapsed() < Duration::from_secs(3), "{name}: seen after {:?}", asked.elapsed());
    stage.timed(id, &format!("permission to answer, {name}"), asked, |s| s.ask == Some(Ask::Permission));
    assert!(task.attempt().is_some_and(|a| a.dialog.is_some()), "{task:?}");
    (id, file)
}

fn answer(stage: &Stage, task: TaskId, choice: &str) {
    let reply = stage.wish(Wish::Answer { task, choice: choice.to_owned() });
    assert!(matches!(reply, Reply::Answer { .. }), "{reply:?}");
}

/// How each answer of a task went, and whether it arrived.
fn answers(stage: &Stage, id: TaskId) -> Vec<(Way, bool)> {
    let events = stage.events(id);
    let taken = |wanted| events.iter().any(|e| matches!(e, Event::AnswerTaken { msg } if *msg == wanted));
    let given = events.iter().filter_map(|e| match e {
        Event::AnswerGiven { msg, way, .. } => Some((*way, taken(*msg))),
        _ => None,
    });
    given.collect()
}

/// Hooks of this stage that wait.
fn waiting_hooks(stage: &Stage) -> usize {
    let is_hook = |args: &str| args.split(' ').next().is_some_and(|program| program.ends_with("/standup"));
    stage.running().iter().filter(|(_, args)| is_hook(args) && args.contains("hook --wait")).count()
}

#[track_caller]
fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_permission_is_given_and_refused_by_claudes_own_hook() {
    let stage = Stage::new(&Setting::default());
    for (choice, made) in [("yes", true), ("no", false)] {
        let (id, file) = asking(&stage, Cli::Claude, &format!("claude-{choice}"));
        stage.until_task(id, "its hook waits", |t| t.attempt().and_then(|a| a.dialog.as_ref()).is_some_and(|d| d.hook));
        let given = Instant::now();
        answer(&stage, id, choice);
        let task = stage.until_task(id, "goes on", |t| t.column == Column::Review);
        println!("measured answer by hook, {choice}: in review after {} ms", given.elapsed().as_millis());
        assert_eq!(file.exists(), made, "{choice}");
        assert!(task.needs_you.is_none());
        assert_eq!(answers(&stage, id), [(Way::Hook, true)], "{choice}");
        poll("no hook waits", || waiting_hooks(&stage) == 0);
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn the_dialog_stays_usable_while_the_hook_waits_and_its_answer_ends_the_hook() {
    let stage = Stage::new(&Setting::default());
    let (id, file) = asking(&stage, Cli::Claude, "claude-terminal");
    poll("the hook waits", || waiting_hooks(&stage) == 1);
    let mut terminal = Terminal::attach(&stage, id);
    terminal.until_shows("Do you want to proceed?");
    terminal.press("1");
    stage.until_task(id, "goes on", |t| t.column == Column::Review);
    assert!(file.exists());
    poll("no hook waits", || waiting_hooks(&stage) == 0);
    assert_eq!(answers(&stage, id), []);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_killed_supervisor_lets_the_hook_go_and_the_dialog_stands() {
    let mut stage = Stage::new(&Setting::default());
    let (id, file) = asking(&stage, Cli::Claude, "claude-killed");
    poll("the hook waits", || waiting_hooks(&stage) == 1);
    let killed = Instant::now();
    stage.kill();
    poll("the hook is let go", || waiting_hooks(&stage) == 0);
    println!("measured hook let go: {} ms after the kill", killed.elapsed().as_millis());
    assert!(killed.elapsed() < Duration::from_secs(2));
    stage.start();
    // No hook waits any more: what is left is the dialog.
    stage.until_task(id, "its dialog is seen again", |t| {
        t.attempt().and_then(|a| a.dialog.as_ref()).is_some_and(|d| !d.hook && d.options.len() >= 2)
    });
    assert!(!file.exists());
    answer(&stage, id, "yes");
    stage.until_task(id, "goes on", |t| t.column == Column::Review);
    assert!(file.exists());
    assert_eq!(answers(&stage, id), [(Way::Key, true)]);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_permission_of_codex_is_answered_by_a_key() {
    let stage = Stage::new(&Setting::default());
    for (choice, made) in [("yes", true), ("no", false)] {
        let (id, file) = asking(&stage, Cli::Codex, &format!("codex-{choice}"));
        answer(&stage, id, choice);
        stage.until_task(id, "leaves the dialog", |t| {
            t.attempt().is_some_and(|a| a.run.kind != RunKind::Waiting && a.answer.is_none())
        });
        if made {
            stage.until_task(id, "goes on", |t| t.column == Column::Review);
        }
        assert_eq!(file.exists(), made, "{choice}");
        assert_eq!(answers(&stage, id), [(Way::Key, true)], "{choice}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_question_with_options_is_answered_by_one_of_them() {
    let stage =
        Stage::new(&Setting { codex: &["-c", "features.default_mode_request_user_input=true"], ..Setting::default() });
    for cli in [Cli::Claude, Cli::Codex] {
        let ask = "{\"question\":\"Which colour?\",\"header\":\"Choice\",\"options\":[\"Red\",\"Blue\"]}";
        let id = stage.add(cli, &format!("[[steps:[{{\"ask\":{ask}}},{{\"say\":\"Thanks.\"}}]]]"));
        stage.until_task(id, "asks with options", |t| {
            t.needs_you
                .as_ref()
                .is_some_and(|n| n.kind == NeedKind::Question && n.options.iter().any(|o| o.text.starts_with("Blue")))
        });
        let refused = stage.client().command(Wish::Answer { task: id, choice: "yes".into() }, Vec::new());
        assert!(refused.is_err(), "a question of colours is not answered by yes");
        answer(&stage, id, "blue");
        stage.until_task(id, "goes on", |t| t.column == Column::Review);
        assert_eq!(answers(&stage, id), [(Way::Key, true)], "{cli:?}");
        // The options are gone from the screen; what was chosen is left.
        Terminal::attach(&stage, id).until_shows("Blue");
    }
}
