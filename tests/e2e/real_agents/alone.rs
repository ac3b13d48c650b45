//! Each source by itself: what it tells of the real CLIs, and how soon, while no other is there.

use std::time::Instant;

use standup::model::event::Event;
use standup::model::id::TaskId;
use standup::model::state::{Ask, RunKind, Source};
use toml::{Table, Value};

use super::stage::{Setting, Stage, run, touch};
use crate::support::rig::Cli;

const CLAUDE: &str = include_str!("../../../src/agent/builtin/claude.toml");
const CODEX: &str = include_str!("../../../src/agent/builtin/codex.toml");

/// The sources that say anything about a dialog.
const SOURCES: [Source; 6] =
    [Source::Osc7501, Source::StatusFile, Source::Hook, Source::Notify, Source::Title, Source::Screen];

/// A CLI's adapter as a user could write it, in which one source is left.
fn with_only(cli: Cli, source: Source) -> (&'static str, String) {
    let text = if cli == Cli::Claude { CLAUDE } else { CODEX };
    let mut adapter: Table = text.parse().expect("the built-in adapter");
    let others = SOURCES.iter().filter(|other| **other != source);
    let ignored = others.map(|other| Value::try_from(other).expect("a name")).collect();
    adapter.insert("ignores".into(), Value::Array(ignored));
    for (of, key) in [
        (Source::Osc7501, "answer"),
        (Source::StatusFile, "status_file"),
        (Source::Notify, "notify"),
        (Source::Title, "title"),
    ] {
        if source != of {
            adapter.remove(key);
        }
    }
    let hooks = adapter.get_mut("hooks").and_then(Value::as_table_mut).expect("hooks");
    hooks.insert("by_default".into(), Value::Boolean(source == Source::Hook));
    (cli.name(), toml::to_string(&adapter).expect("TOML"))
}

/// A stage on which a source is alone.
fn stage(cli: Cli, source: Source) -> Stage {
    Stage::new(&Setting {
        settings: "[wip]\nbuild = 10",
        codex: &["-c", "features.default_mode_request_user_input=true"],
        adapters: vec![with_only(cli, source)],
        ..Setting::default()
    })
}

/// Has a dialog come up; returns its task and since when its agent asks.
fn asking(stage: &Stage, cli: Cli, ask: Ask) -> (TaskId, Instant) {
    let (gate, step) = match ask {
        Ask::Permission => ("p", touch("p", &stage.home().path().join("asked"))),
        _ => {
            let ask = "{\"question\":\"Which colour?\",\"header\":\"Choice\",\"options\":[\"Red\",\"Blue\"]}";
            ("q", format!("{{\"gate\":\"q\",\"ask\":{ask}}}"))
        }
    };
    let id = stage.add(cli, &format!("[[steps:[{step},{{\"say\":\"went on\"}}]]]"));
    stage.model.wait(gate);
    let since = Instant::now();
    stage.model.open(gate);
    (id, since)
}

/// The dialog is seen, by this source and no other, whatever it takes it for.
fn seen_alone(cli: Cli, source: Source, ask: Ask) {
    let stage = stage(cli, source);
    let (id, since) = asking(&stage, cli, ask);
    let state = stage.until_state(id, RunKind::Waiting);
    stage.timed(id, &format!("{ask:?}, {}, alone", cli.name()), since, |s| s.kind == RunKind::Waiting);
    assert_eq!(state.source, Some(source), "{state:?}");
    // A title is one and the same before every dialog.
    let taken_for = if source == Source::Title { Ask::Permission } else { ask };
    assert_eq!(state.ask, Some(taken_for), "{state:?}");
    stage.until_task(id, "it needs somebody", |t| t.needs_you.is_some());
    for event in stage.events(id) {
        if let Event::StateChanged { state } = event {
            let own =
                matches!(state.source, Some(by) if by == source || by >= Source::Activity) || state.source.is_none();
            assert!(own, "{state:?} is the word of another");
        }
    }
    assert_eq!(run(&stage.task(id)).map(|r| r.kind), Some(RunKind::Waiting));
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_permission_prompt_is_seen_by_hook_alone() {
    seen_alone(Cli::Claude, Source::Hook, Ask::Permission);
    seen_alone(Cli::Codex, Source::Hook, Ask::Permission);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_permission_prompt_is_seen_by_screen_alone() {
    seen_alone(Cli::Claude, Source::Screen, Ask::Permission);
    seen_alone(Cli::Codex, Source::Screen, Ask::Permission);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_question_is_seen_by_hook_alone_and_by_screen_alone() {
    seen_alone(Cli::Claude, Source::Hook, Ask::Question);
    seen_alone(Cli::Codex, Source::Hook, Ask::Question);
    seen_alone(Cli::Claude, Source::Screen, Ask::Question);
    seen_alone(Cli::Codex, Source::Screen, Ask::Question);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_permission_prompt_and_a_question_are_seen_by_each_other_source_alone() {
    for ask in [Ask::Permission, Ask::Question] {
        seen_alone(Cli::Claude, Source::Osc7501, ask);
        seen_alone(Cli::Claude, Source::StatusFile, ask);
        seen_alone(Cli::Codex, Source::Osc7501, ask);
        seen_alone(Cli::Codex, Source::Title, ask);
    }
}
