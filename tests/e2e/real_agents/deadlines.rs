//! A check-in that is due, and the end of a turn: the CLI's own hook hands the reminder over.

use standup::model::checkin::Via;
use standup::model::event::{Event, NeedKind};
use standup::model::id::TaskId;
use standup::model::rhythm::NudgeWay;

use super::stage::{Setting, Stage};
use crate::support::rig::Cli;

fn stage(grace: &str) -> Stage {
    let settings = format!("[check_in]\nevery = \"2s\"\nnudges = 1\ngrace = \"{grace}\"\n");
    // The hook's answer and the agent's own report are the only ways out.
    Stage::new(&Setting { settings: &settings, claude: &["--allowedTools", "Bash(standup:*)"], ..Setting::default() })
}

/// Starts an agent that stands at a gate until its check-in is due, then ends its turn.
fn until_reminded(stage: &Stage, then: &str) -> TaskId {
    let steps = format!("[[steps:[{{\"gate\":\"due\",\"say\":\"Done so far.\"}},{then}]]]");
    let id = stage.add(Cli::Claude, &steps);
    stage.model.wait("due");
    stage.until_task(id, "reminded", |t| t.attempt().is_some_and(|a| a.rhythm.pending == Some(1)));
    stage.model.open("due");
    id
}

fn given(stage: &Stage, id: TaskId) -> usize {
    stage.events(id).iter().filter(|e| matches!(e, Event::NudgeGiven { .. })).count()
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn is_reminded_at_its_stop_and_checks_in() {
    let stage = stage("1h");
    let then = r#"{"bash":"standup check-in --did 'one half' --next 'the other'"},{"say":"Reported."}"#;
    let id = until_reminded(&stage, then);
    let task = stage.until_task(id, "checked in", |t| t.check_ins.first().is_some_and(|c| c.beside.facts.is_some()));
    let said = &task.check_ins[0];
    assert_eq!((said.check_in.did.as_str(), said.via), ("one half", Via::Socket));
    assert!(task.attempt().is_some_and(|a| a.rhythm.late.is_none() && a.rhythm.missed == 0));
    assert_eq!(given(&stage, id), 1);
    let ways: Vec<NudgeWay> = stage
        .events(id)
        .iter()
        .filter_map(|e| if let Event::NudgeIssued { way, .. } = e { Some(*way) } else { None })
        .collect();
    assert_eq!(ways[0], NudgeWay::Hook);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn is_late_when_it_goes_on_without_a_word() {
    let stage = stage("2s");
    let id = until_reminded(&stage, r#"{"gate":"deaf","say":"Nothing to report."}"#);
    stage.model.wait("deaf");
    let task = stage.until_task(id, "late", |t| t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Late));
    assert!(task.attempt().is_some_and(|a| a.rhythm.missed == 1), "{:?}", task.attempt().map(|a| &a.rhythm));
    assert_eq!(given(&stage, id), 1);
    stage.model.open("deaf");
}
