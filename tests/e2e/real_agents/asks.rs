//! Agents that wait for a person: permissions, questions, trust.

use std::time::{Duration, Instant};

use standup::model::event::{Event, NeedKind};
use standup::model::state::{Ask, RunKind};
use standup::model::task::Column;

use super::stage::{Setting, Stage, run};
use super::terminal::Terminal;
use crate::support::rig::Cli;

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn asks_a_permission_and_goes_on_once_it_is_given() {
    let stage = Stage::new(&Setting::default());
    for (cli, yes, words) in [(Cli::Claude, "1", "touch"), (Cli::Codex, "y", "touch")] {
        let name = cli.name();
        let (id, file, asked) = stage.add_asking(cli, name);
        let state = stage.until_state(id, RunKind::Waiting);
        stage.timed(id, "permission", asked, |s| s.kind == RunKind::Waiting);
        assert_eq!(state.ask, Some(Ask::Permission));
        let task =
            stage.until_task(id, "says what for", |t| t.needs_you.as_ref().is_some_and(|n| n.question.contains(words)));
        assert_eq!(task.needs_you.expect("a need").kind, NeedKind::Permission);
        assert!(!file.exists(), "{name} did not wait");
        let mut terminal = Terminal::attach(&stage, id);
        terminal.until_shows("touch");
        terminal.press(yes);
        let task = stage.until_task(id, "goes on", |t| t.column == Column::Review);
        assert!(file.exists() && task.needs_you.is_none());
        stage.assert_went_through(id, &[RunKind::Working, RunKind::Waiting, RunKind::Working, RunKind::Idle]);
        let seen = terminal.bytes();
        assert!(!String::from_utf8_lossy(&seen).contains("]7501"), "{name}: a report reached the terminal");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn asks_with_its_question_tool_and_in_prose() {
    let stage =
        Stage::new(&Setting { codex: &["-c", "features.default_mode_request_user_input=true"], ..Setting::default() });
    for (cli, answer) in [(Cli::Claude, "1"), (Cli::Codex, "\r")] {
        let name = cli.name();
        let ask = "{\"question\":\"Which colour?\",\"header\":\"Choice\",\"options\":[\"Red\",\"Blue\"]}";
        let steps = format!("[[steps:[{{\"gate\":\"{name}\",\"ask\":{ask}}},{{\"say\":\"Thanks.\"}}]]]");
        let id = stage.add(cli, &steps);
        stage.model.wait(name);
        let asked = Instant::now();
        stage.model.open(name);
        let state = stage.until_state(id, RunKind::Waiting);
        stage.timed(id, &format!("question, {name}"), asked, |s| s.kind == RunKind::Waiting);
        assert_eq!(state.ask, Some(Ask::Question), "{name}");
        stage.until_task(id, "the question is shown", |t| {
            t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Question && n.question.contains("Which colour?"))
        });
        let mut terminal = Terminal::attach(&stage, id);
        terminal.until_shows("Which colour?");
        terminal.press(answer);
        stage.until_task(id, "goes on", |t| t.column == Column::Review);

        let id = stage.add(cli, "[[script:ask-text q=\"Tabs or spaces?\"]]");
        let task = stage.until_task(id, "asks in prose", |t| t.needs_you.is_some());
        let need = task.needs_you.expect("a need");
        assert_eq!(need.kind, NeedKind::Question, "{name}");
        assert!(need.question.contains("Tabs or spaces?"), "{name}: {}", need.question);
        assert_eq!((task.column, run(&stage.task(id)).map(|r| r.kind)), (Column::Build, Some(RunKind::Idle)), "{name}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn asks_in_prose_while_no_supervisor_has_seen_its_first_turn() {
    let mut stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let steps = format!("[[steps:[{{\"gate\":\"{name}\",\"say\":\"I looked around. Tabs or spaces?\"}}]]]");
        let id = stage.add(cli, &steps);
        stage.until_task(id, "it lives", |t| t.attempt().is_some_and(|a| a.host().is_some()));
        stage.kill();
        stage.model.wait(name);
        stage.model.open(name);
        // More than its turn takes to end; ended later it is found in its turn, which other tests do.
        std::thread::sleep(Duration::from_secs(4));
        stage.start();
        let need = stage.until_task(id, "asks", |t| t.needs_you.is_some()).needs_you.expect("a need");
        assert_eq!(
            (need.kind, need.question.contains("Tabs or spaces?")),
            (NeedKind::Question, true),
            "{name}: {need:?}"
        );
        let checked = |e: &Event| matches!(e, Event::ChecksStarted { .. });
        assert!(!stage.events(id).iter().any(checked), "{name}: {:#?}", stage.events(id));
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_trust_dialog_is_left_to_the_person() {
    let stage = Stage::new(&Setting { trusted: false, ..Setting::default() });
    // What comes before trust in a fresh home is another dialog's test.
    stage.home().acquaint();
    for cli in [Cli::Claude, Cli::Codex] {
        let since = Instant::now();
        let id = stage.add(cli, "[[script:hello]]");
        let state = stage.until_state(id, RunKind::Waiting);
        stage.timed(id, "trust", since, |s| s.kind == RunKind::Waiting);
        assert_eq!(state.ask, Some(Ask::Trust), "{state:?}");
        let task = stage.until_task(id, "needs you", |t| t.needs_you.is_some());
        assert_eq!(task.needs_you.expect("a need").kind, NeedKind::Trust);
        let mut terminal = Terminal::attach(&stage, id);
        terminal.until_shows("trust");
        assert_eq!(
            stage
                .model
                .log()
                .iter()
                .filter(|l| l["kind"] == "turn" && l["agent"].as_str().is_some_and(|a| a.contains(cli.name())))
                .count(),
            0
        );
        // The dialog is drawn anew while Claude comes up, with its first choice, which is no.
        stage.until_stands(id);
        if cli == Cli::Claude {
            terminal.press("\x1b[B");
            terminal.until_shows("❯ Yes, I trust this folder");
        }
        terminal.press("\r");
        stage.until_task(id, "goes on once trusted", |t| t.column == Column::Review);
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_question_about_the_key_is_left_to_the_person() {
    let stage = Stage::new(&Setting { trusted: false, ..Setting::default() });
    stage.home().trust(&stage.repo());
    stage.home().forget_key();
    let since = Instant::now();
    let id = stage.add(Cli::Claude, "[[script:hello]]");
    let state = stage.until_state(id, RunKind::Waiting);
    stage.timed(id, "login", since, |s| s.kind == RunKind::Waiting);
    assert_eq!(state.ask, Some(Ask::Login), "{state:?}");
    let task = stage.until_task(id, "needs you", |t| t.needs_you.is_some());
    assert_eq!(task.needs_you.expect("a need").kind, NeedKind::Login);
    // A message must not answer it either.
    let msg = stage.send(id, "1", false);
    stage.until_stands(id);
    let task = stage.task(id);
    assert!(task.messages.iter().any(|m| m.id == msg && m.is_queued()), "{:?}", task.messages);
    assert_eq!(run(&task).map(|r| r.kind), Some(RunKind::Waiting));
}
