//! What the real CLIs write into their logs of tokens and money, and what becomes of it.

use std::path::Path;

use standup::model::attempt::Attempt;
use standup::model::event::{Event, NeedKind};
use standup::model::id::TaskId;
use standup::model::input::Command as Wish;
use standup::model::rhythm::LimitName;
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::model::usage::Counted;

use super::stage::{Setting, Stage};
use crate::support::rig::Cli;

/// What the scripted model says that one response used, and what counts of it: Claude Code is told
/// what came from a cache beside what was read, Codex as a part of it.
fn response(cli: Cli) -> (&'static str, u64) {
    match cli {
        Cli::Claude => (r#""usage":{"input":100,"output":10,"cache_read":1000,"cache_write":20}"#, 130),
        Cli::Codex => (r#""usage":{"input":1100,"output":10,"cache_read":1000}"#, 110),
    }
}

fn counted(attempt: &Attempt) -> Counted {
    attempt.usage.totals().counted.unwrap_or_default()
}

/// Waits until so many responses were counted, each once.
fn until_counted(stage: &Stage, cli: Cli, id: TaskId, responses: u64) {
    let (_, each) = response(cli);
    let all = |a: &Attempt| (counted(a).tokens, counted(a).cached) == (responses * each, responses * 1_000);
    stage.until_task(id, &format!("{responses} responses of {cli:?} are counted"), |t| t.attempt().is_some_and(all));
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn tokens_are_counted_as_the_logs_say_over_restarts_and_trip_their_limit() {
    let mut stage = Stage::new(&Setting { settings: "[limits]\ntokens = 600\n", ..Setting::default() });
    let tasks = [Cli::Claude, Cli::Codex].map(|cli| {
        let (usage, _) = response(cli);
        // Several blocks in one response, and a tool between two.
        let steps = format!(
            "[[steps:[{{\"say\":\"Looking.\",\"bash\":\"git status\",\"also\":[{{\"bash\":\"git log\"}}],{usage}}},\
             {{\"bash\":\"git status\",{usage}}},{{\"gate\":\"on-{}\",\"say\":\"Done.\",{usage}}}]]]",
            cli.name()
        );
        (cli, stage.add(cli, &steps))
    });
    for (cli, id) in tasks {
        stage.model.wait(&format!("on-{}", cli.name()));
        until_counted(&stage, cli, id, 2);
    }
    // What is written while nobody follows the log is read afterwards, and nothing twice.
    stage.kill();
    for (cli, _) in tasks {
        stage.model.open(&format!("on-{}", cli.name()));
    }
    stage.start();
    for (cli, id) in tasks {
        until_counted(&stage, cli, id, 3);
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        let attempt = task.attempt().expect("an attempt");
        assert!(attempt.usage.totals().cpu.is_some_and(|cpu| cpu.0 > 0), "{cli:?} took no time: {:?}", attempt.usage);
        assert!(attempt.tripped.is_empty());
    }
    // Another start of the agent goes on with the same conversation.
    stage.wish(Wish::Rest {});
    for (cli, id) in tasks {
        stage.until_state(id, RunKind::Stopped);
        let (usage, _) = response(cli);
        let more = format!(
            "[[steps:[{{\"bash\":\"git status\",{usage}}},{{\"bash\":\"git log\",{usage}}},\
             {{\"bash\":\"git diff\",{usage}}},{{\"gate\":\"end\",\"say\":\"Done again.\",{usage}}}]]]"
        );
        stage.send(id, &more, false);
    }
    stage.model.wait("end");
    for (cli, id) in tasks {
        until_counted(&stage, cli, id, 6);
        let task = stage.until_task(id, "over its limit", |t| t.needs_you.is_some());
        assert_eq!(task.needs_you.map(|n| n.kind), Some(NeedKind::Limit), "{cli:?}");
        let tripped = |e: &Event| matches!(e, Event::LimitTripped { limit: LimitName::Tokens, .. });
        assert_eq!(stage.events(id).iter().filter(|e| tripped(e)).count(), 1, "{cli:?}");
    }
    stage.model.open("end");
}

/// What the last line of each rollout below a home says, taken together: without what came from a
/// cache, and how many of them say anything.
fn rollouts(home: &Path) -> (u64, usize) {
    let (mut folders, mut files) = (vec![home.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_one = entry.file_name().to_string_lossy().starts_with("rollout-");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && is_one => files.push(entry.path()),
                _ => {}
            }
        }
    }
    let last = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let totals = lines.find_map(|line| line.pointer("/payload/info/total_token_usage").cloned())?;
        let number = |name: &str| totals[name].as_u64().expect("a number");
        Some(number("input_tokens") + number("output_tokens") - number("cached_input_tokens"))
    };
    let each: Vec<u64> = files.iter().filter_map(last).collect();
    (each.iter().sum(), each.len())
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn what_a_sub_agent_of_codex_uses_counts_with_it() {
    let stage = Stage::new(&Setting::default());
    let (usage, _) = response(Cli::Codex);
    let first = format!("[[steps:[{{\"bash\":\"git status\",{usage}}},{{\"say\":\"Done.\",{usage}}}]]]");
    let id = stage.add(Cli::Codex, &first);
    stage.until_task(id, "in review", |t| t.column == Column::Review);
    until_counted(&stage, Cli::Codex, id, 2);
    // The sub-agent begins with what was said before, and counts only its own.
    stage.send(id, "[[script:subagent inner=hello]]", false);
    stage.until_task(id, "its sub-agent is counted", |t| {
        let (tokens, logs) = rollouts(stage.home().path());
        logs == 2 && t.column == Column::Review && t.attempt().is_some_and(|a| counted(a).tokens == tokens)
    });
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_cost_is_what_the_cli_itself_says_when_it_ends() {
    let stage = Stage::new(&Setting::default());
    let tasks = [Cli::Claude, Cli::Codex].map(|cli| {
        let (usage, _) = response(cli);
        (cli, stage.add(cli, &format!("[[steps:[{{\"say\":\"Done.\",{usage}}}]]]")))
    });
    for (cli, id) in tasks {
        stage.until_task(id, "in review", |t| t.column == Column::Review);
        until_counted(&stage, cli, id, 1);
        assert_eq!(counted(&stage.attempt(id)).cost_usd(), None, "{cli:?}: nothing was said yet");
    }
    stage.wish(Wish::Rest {});
    for (cli, id) in tasks {
        stage.until_state(id, RunKind::Stopped);
        let cost = counted(&stage.attempt(id)).cost_usd();
        match cli {
            Cli::Claude => assert!(cost.is_some_and(|usd| usd > 0.0 && usd < 1.0), "{cost:?}"),
            Cli::Codex => assert_eq!(cost, None, "it never says"),
        }
    }
}
