//! What goes wrong around real agents: the model's service, a person's Esc, a killed CLI, a killed
//! supervisor.

use std::time::{Duration, Instant};

use standup::model::attempt::End;
use standup::model::board::NeedsYou;
use standup::model::event::{Event, NeedKind};
use standup::model::message::Delivery;
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::os::process::ProcessId;

use super::git;
use super::stage::{Setting, Stage, run};
use super::terminal::Terminal;
use crate::support::rig::Cli;

const BOTH: [Cli; 2] = [Cli::Claude, Cli::Codex];

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn an_error_of_the_service_is_said_and_nothing_is_started_again() {
    let stage = Stage::new(&Setting::default());
    for cli in BOTH {
        let name = cli.name();
        // Each CLI has its own words for it.
        let (limit, error) = match cli {
            Cli::Claude => ("rate limit", "500"),
            Cli::Codex => ("429 Too Many Requests", "high demand"),
        };
        for (script, words) in [("rate-limit", limit), ("server-error", error)] {
            let since = Instant::now();
            let id = stage.add(cli, &format!("[[script:{script}]]"));
            // A limit that says no end is one all the same. What went wrong may be read later than that
            // something did.
            let (kind, need) = match script {
                "rate-limit" => (RunKind::Limited, NeedKind::Limit),
                _ => (RunKind::Idle, NeedKind::Exit),
            };
            let task = stage.until_task(id, "says what went wrong", |t| {
                let says = |n: &NeedsYou| n.kind == need && n.question.to_lowercase().contains(&words.to_lowercase());
                t.needs_you.as_ref().is_some_and(says)
            });
            let state = run(&task).expect("an attempt");
            assert_eq!((state.kind, state.until), (kind, None), "{name}: {state:?}");
            assert!(!state.turn_over && task.column == Column::Build, "{name}: {state:?}");
            assert_eq!(task.attempt().map(|a| a.launches), Some(1), "{name} was started again");
            stage.timed(id, &format!("{script}, {name}, from the start on"), since, |s| s.kind == kind);
            // A word from the person sets it going again.
            let msg = stage.send(id, "try again [[script:hello]]", false);
            assert_eq!(stage.until_settled(id, msg).delivery, Delivery::Delivered, "{name}");
            stage.until_task(id, "in review", |t| t.column == Column::Review);
            assert_eq!(stage.attempt(id).launches, 1, "{name}");
        }
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn an_interrupted_turn_is_not_a_finished_one() {
    let stage = Stage::new(&Setting::default());
    for cli in BOTH {
        let name = cli.name();
        // A person's own Esc.
        let id = stage.add(cli, &format!("[[script:gate g={name}-esc]]"));
        stage.model.wait(&format!("{name}-esc"));
        stage.until_state(id, RunKind::Working);
        let pressed = Instant::now();
        let mut terminal = Terminal::attach(&stage, id);
        terminal.press("\x1b");
        let task = stage.until_task(id, "at rest", |t| run(t).is_some_and(|r| r.kind == RunKind::Idle));
        stage.timed(id, "esc", pressed, |s| s.kind == RunKind::Idle);
        assert!(!run(&task).expect("an attempt").turn_over, "{name}: {:?}", run(&task));
        let task = stage.until_task(id, "needs you", |t| t.needs_you.is_some());
        let need = task.needs_you.expect("a need");
        assert!(need.question.contains("interrupted"), "{name}: {need:?}");
        assert_eq!(task.column, Column::Build);
        drop(terminal);
        // Ours, for a message that cannot wait.
        let first = stage.send(id, &format!("hold on [[script:gate g={name}-now]]"), false);
        stage.model.wait(&format!("{name}-now"));
        assert_eq!(stage.until_settled(id, first).delivery, Delivery::Delivered, "{name}");
        let second = stage.send(id, "rather this [[script:commit file=now.txt msg=\"now\"]]", true);
        assert_eq!(stage.until_settled(id, second).delivery, Delivery::Delivered, "{name}");
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        let branch = task.attempt().expect("an attempt").branch.as_str().to_owned();
        assert_eq!(git(&stage.repo(), &format!("git log --format=%s main..{branch}")), "now", "{name}");
        let log = stage.model.log();
        let prompts: Vec<&str> =
            log.iter().filter(|l| l["kind"] == "turn").filter_map(|l| l["last"].as_str()).collect();
        assert!(!prompts.iter().any(|p| p.contains("rather this") && p.contains("hold on")), "{name}: {prompts:#?}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_killed_cli_is_seen_and_leaves_nothing() {
    let stage = Stage::new(&Setting { claude: &["--allowedTools", "Bash(timeout:*)"], ..Setting::default() });
    for cli in BOTH {
        let name = cli.name();
        // A command under way when it is killed.
        let id = stage.add(cli, "[[steps:[{\"bash\":\"timeout 600 tail -f calc.py\"},{\"say\":\"ended\"}]]]");
        let attempt = stage.until_task(id, "its command runs", |t| {
            let agent = t.attempt().and_then(|a| a.host()).map(|h| h.agent.pid);
            agent.is_some_and(|agent| !tails(agent).is_empty())
        });
        let agent = attempt.attempt().and_then(|a| a.host()).expect("a host").agent.pid;
        let tails = tails(agent);
        let killed = Instant::now();
        assert!(ProcessId::of(agent).expect("lives").signal(rustix::process::Signal::KILL));
        let task = stage.until_task(id, "its end is seen", |t| t.needs_you.is_some());
        let after = killed.elapsed();
        println!("measured killed: {name} after {} ms", after.as_millis());
        let Some(End::Exited { exit }) = task.attempt().and_then(|a| a.end()) else { panic!("{:?}", task.attempt()) };
        assert_eq!(exit.signal, Some(9), "{name}");
        assert_eq!(task.needs_you.as_ref().map(|n| n.kind), Some(NeedKind::Exit));
        assert_eq!(task.column, Column::Build, "{name} has not finished");
        for tail in tails {
            assert!(!tail.is_alive(), "{name}: its command lives on");
        }
    }
}

/// The endless commands below a process.
fn tails(agent: u32) -> Vec<ProcessId> {
    let is_tail = |id: &ProcessId| {
        std::fs::read_to_string(format!("/proc/{}/comm", id.pid)).is_ok_and(|comm| comm.trim() == "tail")
    };
    standup::os::process::descendants(agent).into_iter().filter(is_tail).collect()
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_killed_supervisor_is_followed_by_one_that_finds_its_agents() {
    let mut stage = Stage::new(&Setting {
        settings: "[[verify.check]]\nname = \"file\"\nrun = \"test -f claude.txt || test -f codex.txt\"",
        ..Setting::default()
    });
    let tasks = BOTH.map(|cli| {
        let name = cli.name();
        let steps = format!(
            "[[steps:[{{\"gate\":\"{name}\",\"bash\":\"git commit -q --allow-empty -m x && git log --oneline -1\"}},\
             {{\"write\":{{\"path\":\"{name}.txt\",\"content\":\"x\"}}}},{{\"gate\":\"{name}-2\",\"say\":\"done\"}}]]]"
        );
        (cli, stage.add(cli, &steps))
    });
    for (cli, id) in tasks {
        stage.model.wait(cli.name());
        stage.until_state(id, RunKind::Working);
        stage.until_task(id, "its session is stored", |t| t.attempt().is_some_and(|a| a.session.is_some()));
    }
    let before = tasks.map(|(_, id)| stage.attempt(id));
    stage.kill();
    // One goes on to the next gate while nobody supervises.
    stage.model.open("claude");
    stage.model.wait("claude-2");
    stage.start();
    for ((cli, id), before) in tasks.into_iter().zip(before) {
        let now = stage.attempt(id);
        assert_eq!(now.host(), before.host(), "{cli:?}");
        assert_eq!(now.session, before.session, "{cli:?}");
        stage.until_state(id, RunKind::Working);
        assert!(stage.task(id).needs_you.is_none(), "{cli:?}: {:?}", stage.task(id).needs_you);
    }
    for gate in ["codex", "claude-2", "codex-2"] {
        stage.model.open(gate);
    }
    for (cli, id) in tasks {
        let task = stage.until_task(id, "in review", |t| t.column == Column::Review);
        let attempt = task.attempt().expect("an attempt");
        assert!(attempt.judged.is_some() && attempt.launches == 1, "{cli:?}");
        assert!(!stage.events(id).iter().any(|e| matches!(e, Event::HostLost { .. })), "{cli:?}");
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_restart_is_no_news_of_an_agent_at_rest() {
    let mut stage = Stage::new(&Setting::default());
    let [claude, codex] = [Cli::Claude, Cli::Codex].map(|cli| {
        let id = stage.add(cli, "[[script:hello]]");
        stage.until_task(id, "rests in review", |t| {
            t.column == Column::Review
                && run(t).is_some_and(|r| r.turn_over)
                && t.attempt().is_some_and(|a| a.session.is_some())
        });
        id
    });
    let before = [claude, codex].map(|id| (stage.task(id), stage.events(id).len()));
    for _ in 0..2 {
        stage.kill();
        stage.start();
        // What is told at all is told within the time that is waited for what happened meanwhile.
        std::thread::sleep(Duration::from_secs(6));
    }
    for (id, (before, known)) in [claude, codex].into_iter().zip(before) {
        // What it has used since it was last counted is told; nothing else has changed.
        let mut heard = stage.events(id).split_off(known);
        heard.retain(|event| !matches!(event, Event::UsageObserved { .. }));
        assert_eq!(heard, [], "{id}");
        assert_eq!(run(&stage.task(id)).map(|r| r.kind), run(&before).map(|r| r.kind), "{id}");
    }
}
