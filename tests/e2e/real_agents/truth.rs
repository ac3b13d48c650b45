//! What the real CLIs say that is not so, and how soon each source tells what is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use standup::model::event::Event;
use standup::model::id::TaskId;
use standup::model::state::{Ask, RunKind, Source};
use standup::model::task::Column;
use standup::os::process::ProcessId;

use super::stage::{Setting, Stage, run, touch};
use super::terminal::Terminal;
use crate::support::rig::Cli;

const BOTH: [Cli; 2] = [Cli::Claude, Cli::Codex];

/// Short, so that silence is tested within a minute.
const SILENCE: &str = "[check_in]\nsilence = \"8s\"";

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_dead_stream_is_quiet_although_the_spinner_turns() {
    let stage = Stage::new(&Setting { settings: SILENCE, ..Setting::default() });
    for cli in BOTH {
        let since = Instant::now();
        let id = stage.add(cli, "[[script:stall]]");
        stage.until_state(id, RunKind::Working);
        let terminal = Terminal::attach(&stage, id);
        let state = stage.until_state(id, RunKind::Quiet);
        stage.timed(id, &format!("quiet, {}, from the start on", cli.name()), since, |s| s.kind == RunKind::Quiet);
        assert_eq!((state.source, state.text.as_str()), (Some(Source::Activity), "nothing but its spinner moves"));
        // It goes on turning, and that is no news.
        let told = || stage.events(id).iter().filter(|e| matches!(e, Event::StateChanged { .. })).count();
        let before = told();
        let bytes = terminal.bytes().len();
        stage.until_task(id, "it has written more", |_| terminal.bytes().len() > bytes + 500);
        assert_eq!(told(), before, "{}: a state that is told again and again", cli.name());
        assert_eq!(run(&stage.task(id)).map(|r| r.kind), Some(RunKind::Quiet));
        let explained = explain(&stage, id);
        assert!(explained.contains("* activity") && explained.contains("osc7501 working"), "{explained}");
        println!("{}\n{explained}", cli.name());
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_tool_that_says_nothing_is_a_reason_and_is_shown() {
    let stage = Stage::new(&Setting { settings: SILENCE, claude: &["--allowedTools", "Bash"], ..Setting::default() });
    let steps =
        "[[steps:[{\"bash\":{\"cmd\":\"timeout 35 tail -f /dev/null; true\",\"yield_ms\":40000}},{\"say\":\"done\"}]]]";
    let tasks = BOTH.map(|cli| (cli, stage.add(cli, steps)));
    for (cli, id) in tasks {
        stage.until_task(id, "in review", |t| t.column == Column::Review);
        // One of them may end before the other is asked.
        let reason = |e: &Event| matches!(e, Event::StateChanged { state } if state.text.contains("tail runs"));
        assert!(stage.events(id).iter().any(reason), "{}: {:#?}", cli.name(), stage.events(id));
        let quiet = |e: &Event| matches!(e, Event::StateChanged { state } if state.kind == RunKind::Quiet);
        assert!(!stage.events(id).iter().any(quiet), "{}: {:#?}", cli.name(), stage.events(id));
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_turn_is_not_over_while_a_command_it_left_runs_on() {
    let stage = Stage::new(&Setting { claude: &["--allowedTools", "Bash"], ..Setting::default() });
    let command = "{\"bash\":{\"cmd\":\"timeout 12 tail -f /dev/null; true\",\"background\":true,\"yield_ms\":1000}}";
    for cli in BOTH {
        let name = cli.name();
        let id = stage.add(cli, &format!("[[steps:[{command},{{\"say\":\"It runs in the background.\"}}]]]"));
        let started = Instant::now();
        stage.until_task(id, "held back by what runs on", |t| {
            run(t).is_some_and(|r| r.kind == RunKind::Working && !r.text.is_empty())
        });
        println!("{name}\n{}", explain(&stage, id));
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        assert!(started.elapsed() >= Duration::from_secs(10), "{name} was done before its command: {:?}", run(&task));
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_turn_is_not_over_while_a_sub_agent_of_it_works() {
    let stage = Stage::new(&Setting::default());
    for cli in BOTH {
        let name = cli.name();
        stage.model.close("g");
        let id = stage.add(cli, "[[script:subagent inner=gate]]");
        stage.model.wait("g");
        if cli == Cli::Codex {
            // It says itself that it is done; its sub-agent's conversation says otherwise.
            stage.until_task(id, "held back by it", |t| run(t).is_some_and(|r| r.text == "sub-agent inner works on"));
            println!("{name}\n{}", explain(&stage, id));
        }
        stage.until_state(id, RunKind::Working);
        let over = |stage: &Stage| stage.task(id).attempt().is_some_and(|a| a.run.turn_over || a.checking.is_some());
        assert!(!over(&stage), "{name}: {:?}", run(&stage.task(id)));
        let since = Instant::now();
        stage.model.open("g");
        stage.until_task(id, "in review", |t| t.column == Column::Review);
        println!("measured the end of {name}'s sub-agent: after {} ms", since.elapsed().as_millis());
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn every_state_of_claude_is_told_by_these_sources_so_soon() {
    every_state(Cli::Claude);
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn every_state_of_codex_is_told_by_these_sources_so_soon() {
    every_state(Cli::Codex);
}

fn every_state(cli: Cli) {
    let stage = Stage::new(&Setting {
        settings: "[wip]\nbuild = 10",
        codex: &["-c", "features.default_mode_request_user_input=true"],
        ..Setting::default()
    });
    let mut table = Table::default();
    asked_and_done(&stage, cli, &mut table);
    ended_otherwise(&stage, cli, &mut table);
    println!("{}", table.text());
    table.hold();
}

/// Permission, question and the end of a turn, of one task.
fn asked_and_done(stage: &Stage, cli: Cli, table: &mut Table) {
    let file = stage.home().path().join("asked");
    let touch = touch("p", &file);
    let ask = "{\"question\":\"Which colour?\",\"header\":\"Choice\",\"options\":[\"Red\",\"Blue\"]}";
    let steps = format!("[[steps:[{touch},{{\"gate\":\"q\",\"ask\":{ask}}},{{\"gate\":\"e\",\"say\":\"Done.\"}}]]]");
    let since = Instant::now();
    let id = stage.add(cli, &steps);
    table.row(stage, cli, "working (from add on)", id, since, RunKind::Working);
    stage.model.wait("p");
    let since = open(stage, "p");
    table.row(stage, cli, "waiting: permission", id, since, RunKind::Waiting);
    let mut terminal = Terminal::attach(stage, id);
    let since = Instant::now();
    terminal.press(if cli == Cli::Claude { "1" } else { "y" });
    table.row(stage, cli, "working again", id, since, RunKind::Working);
    stage.model.wait("q");
    let since = open(stage, "q");
    table.row(stage, cli, "waiting: question", id, since, RunKind::Waiting);
    assert_eq!(stage.until_state(id, RunKind::Waiting).ask, Some(Ask::Question));
    terminal.press(if cli == Cli::Claude { "1" } else { "\r" });
    stage.model.wait("e");
    let since = open(stage, "e");
    table.row(stage, cli, "idle: turn over", id, since, RunKind::Idle);
    stage.until_task(id, "in review", |t| t.column == Column::Review);
}

/// An interrupt, an error and a kill, each of a task of its own.
fn ended_otherwise(stage: &Stage, cli: Cli, table: &mut Table) {
    let id = stage.add(cli, "[[script:gate g=esc]]");
    stage.until_state(id, RunKind::Working);
    stage.model.wait("esc");
    let mut terminal = Terminal::attach(stage, id);
    let since = Instant::now();
    terminal.press("\x1b");
    table.row(stage, cli, "idle: Esc by hand", id, since, RunKind::Idle);
    let since = Instant::now();
    let id = stage.add(cli, "[[steps:[{\"error\":{\"status\":400,\"message\":\"no\"}}]]]");
    table.row(stage, cli, "idle: error (from add on)", id, since, RunKind::Idle);
    let id = stage.add(cli, "[[script:gate g=kill]]");
    stage.until_state(id, RunKind::Working);
    stage.model.wait("kill");
    let agent = stage.attempt(id).host().expect("a host").agent.pid;
    let since = Instant::now();
    assert!(ProcessId::of(agent).expect("lives").signal(rustix::process::Signal::KILL));
    stage.until_task(id, "its end is seen", |t| t.needs_you.is_some());
    table.ended(cli, since);
}

fn open(stage: &Stage, gate: &str) -> Instant {
    let since = Instant::now();
    stage.model.open(gate);
    since
}

/// When each source first said it, in milliseconds; one row for each state of each CLI.
#[derive(Default)]
struct Table(Vec<(Cli, &'static str, BTreeMap<Source, u128>)>);

/// How long sources are listened to after the first of them spoke.
const LISTEN: Duration = Duration::from_secs(2);

impl Table {
    fn row(&mut self, stage: &Stage, cli: Cli, what: &'static str, id: TaskId, since: Instant, kind: RunKind) {
        let mut told: BTreeMap<Source, u128> = BTreeMap::new();
        let mut first: Option<Instant> = None;
        while first.map_or(since.elapsed() < super::stage::DEADLINE, |at| at.elapsed() < LISTEN) {
            for signal in stage.signals(id) {
                // What a source said before is not news; activity and process say nothing by themselves.
                let age = Duration::try_from_secs_f64(signal.age_s).unwrap_or_default();
                let news = age <= since.elapsed() && (signal.source < Source::Activity || signal.counted);
                if signal.kind == Some(kind) && news {
                    told.entry(signal.source).or_insert_with(|| (since.elapsed() - age).as_millis());
                    first.get_or_insert_with(Instant::now);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.push((cli, what, told));
    }

    fn ended(&mut self, cli: Cli, since: Instant) {
        self.0.push((cli, "exited: killed", [(Source::Process, since.elapsed().as_millis())].into()));
    }

    fn text(&self) -> String {
        let sources = [
            Source::Osc7501,
            Source::StatusFile,
            Source::Hook,
            Source::Notify,
            Source::Title,
            Source::Screen,
            Source::Process,
        ];
        let mut text = "| state | CLI |".to_owned();
        sources.iter().for_each(|source| text.push_str(&format!(" {source:?} |").to_lowercase()));
        text.push_str("\n|---|---|");
        text.push_str(&"---|".repeat(sources.len()));
        for (cli, what, told) in &self.0 {
            text.push_str(&format!("\n| {what} | {} |", cli.name()));
            for source in &sources {
                text.push_str(&told.get(source).map_or(" – |".to_owned(), |ms| format!(" {ms} ms |")));
            }
        }
        text
    }

    /// The best source of every row is fast enough; where a person is waited for, that is a second.
    fn hold(&self) {
        for (cli, what, told) in &self.0 {
            let best = told.values().min().unwrap_or_else(|| panic!("{what} of {} is told by nobody", cli.name()));
            let limit = if what.starts_with("waiting") { 1_000 } else { 10_000 };
            assert!(*best < limit, "{what} of {} took {best} ms: {told:?}", cli.name());
        }
    }
}

/// What `state --explain` prints, as far as it matters here.
fn explain(stage: &Stage, id: TaskId) -> String {
    let line = |s: &standup::wire::control::Signal| {
        let mark = if s.counted { "*" } else { " " };
        let kind = s.kind.map_or("–".to_owned(), |kind| format!("{kind:?}").to_lowercase());
        let source = serde_json::to_value(s.source).expect("a name");
        let source = source.as_str().expect("a name").to_owned();
        format!("{mark} {source} {kind} {:.1}s weight {} {} ({})", s.age_s, s.weight, s.text, s.why)
    };
    stage.signals(id).iter().map(line).collect::<Vec<_>>().join("\n")
}
