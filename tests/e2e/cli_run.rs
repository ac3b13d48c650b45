//! `standup run` on a list of tasks: the limits hold, and what cannot go on is said.

use standup::model::id::TaskId;
use standup::model::settings::Limit;
use standup::store::slots::Slots;

use crate::cli_trial::{Trial, said};
use crate::support::pty::OnPty;

/// Says when it begins and ends, works, and commits; the first ones wait until AT_ONCE have begun.
const WORKS: &str = "echo begin >> $HOME/seen; while [ $(grep -c begin $HOME/seen) -lt AT_ONCE ]; do sleep 0.05; done; \
                     echo work > done.txt; git add -A; git commit -qm work; echo end >> $HOME/seen";

fn trial(build: u32, review: u32, at_once: u32) -> Trial {
    let trial = Trial::new();
    let works = WORKS.replace("AT_ONCE", &at_once.to_string());
    trial.write(
        "agents.toml",
        &format!(
            "schema = 1\n[wip]\nbuild = {build}\nreview = {review}\n[agents.sh]\nadapter = \"generic\"\nprompt = \"none\"\n\
             command = [\"sh\", \"-c\", \"{works}\"]\n[[verify.check]]\nname = \"done\"\nrun = \"test -f done.txt\"\n"
        ),
    );
    trial.git(&["add", "agents.toml"]);
    trial.git(&["commit", "-qm", "agents"]);
    trial.run(&["trust", "--yes"]).ok();
    trial
}

fn add(trial: &Trial, lines: &[&str]) {
    trial.write("list.txt", &lines.join("\n"));
    trial.run(&["import", "list.txt"]).ok();
    trial.run(&["down", "--all"]).ok();
}

/// The most agents that worked at the same time, and how many there were.
fn seen(trial: &Trial) -> (i32, usize) {
    let text = std::fs::read_to_string(trial.home().with_file_name("seen")).expect("what the agents said");
    let mut at_once = 0;
    let most = text.lines().map(|line| {
        at_once += if line == "begin" { 1 } else { -1 };
        at_once
    });
    (most.max().unwrap_or(0), text.lines().count() / 2)
}

fn columns(trial: &Trial, column: &str) -> usize {
    let status = trial.run(&["status", "--json"]).ok().json();
    status["tasks"].as_array().expect("tasks").iter().filter(|task| task["column"] == column).count()
}

#[test]
fn twelve_tasks_go_to_review_three_at_a_time() {
    let trial = trial(3, 20, 3);
    let lines: Vec<String> = (1..=12).map(|n| format!("{n}. Task number {n}")).collect();
    add(&trial, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(columns(&trial, "review"), 12);
    let (most, all) = seen(&trial);
    assert_eq!((most, all), (3, 12));
}

#[test]
fn needs_end_a_run_with_5_and_a_second_run_goes_on() {
    let trial = trial(3, 20, 1);
    add(&trial, &["1. First", "2. Second (after 1)", "3. Third (after 2)"]);
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(run.out.contains("T2") && run.out.contains("T1"), "it names what is held, and by what: {run:?}");
    assert_eq!(seen(&trial).1, 1);
    trial.run(&["move", "T1", "done", "--reason", "read it"]).ok();
    assert_eq!(trial.run(&["run"]).code, 5);
    trial.run(&["move", "T2", "done", "--reason", "read it"]).ok();
    assert_eq!(trial.run(&["run"]).code, 0);
    assert_eq!(seen(&trial).1, 3);
}

#[test]
fn a_full_review_stops_new_starts_and_status_says_so() {
    let trial = trial(1, 2, 1);
    add(&trial, &["1. First", "2. Second", "3. Third", "4. Fourth"]);
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    assert_eq!((columns(&trial, "review"), seen(&trial).1), (2, 2));
    trial.run(&["up"]).ok();
    let status = trial.run(&["status", "--json"]).ok().json();
    let holds = status["holds"].as_array().expect("holds");
    assert_eq!(holds.len(), 2, "{status}");
    for hold in holds {
        assert_eq!(hold["because"], "review", "{hold}");
        assert!(hold["text"].as_str().is_some_and(|text| text.contains('2')), "{hold}");
    }
}

/// One task whose agent works until [`let_go`], and `run` on it.
fn run_with_one_at_work() -> (Trial, OnPty) {
    let trial = trial(3, 20, 2);
    add(&trial, &["1. First"]);
    let mut run = trial.on_terminal(&["run"], &[]);
    run.wait_for("agent runs");
    (trial, run)
}

fn let_go(trial: &Trial) {
    use std::io::Write;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(trial.home().with_file_name("seen"));
    file.and_then(|mut file| file.write_all(b"begin\n")).expect("written");
}

fn kill_supervisor(trial: &Trial) {
    let pid = trial.run(&["status", "--json"]).ok().json()["supervisor"]["pid"].as_u64().expect("a pid");
    let supervisor = standup::os::process::ProcessId::of(u32::try_from(pid).expect("a pid")).expect("it runs");
    assert!(supervisor.signal(rustix::process::Signal::KILL));
}

/// The switch and the supervisor, after a run that found neither on.
#[track_caller]
fn left_as_found(trial: &Trial) {
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["supervisor"]["running"], &status["dispatch"]), (&false.into(), &false.into()), "{status}");
}

#[test]
fn a_run_outlives_a_restart_of_its_supervisor() {
    let (trial, mut run) = run_with_one_at_work();
    trial.run(&["supervisor", "restart"]).ok();
    run.wait_for("another supervisor goes on");
    let_go(&trial);
    assert_eq!(run.wait().exit_code(), 0, "{}", run.text());
    assert_eq!(columns(&trial, "review"), 1);
    left_as_found(&trial);
}

#[test]
fn a_run_outlives_a_supervisor_that_is_killed() {
    let (trial, mut run) = run_with_one_at_work();
    kill_supervisor(&trial);
    run.wait_for("another supervisor goes on");
    let_go(&trial);
    assert_eq!(run.wait().exit_code(), 0, "{}", run.text());
    left_as_found(&trial);
}

#[test]
fn a_run_whose_supervisor_is_ended_says_so_and_leaves_nothing_to_start_by_itself() {
    let (trial, mut run) = run_with_one_at_work();
    trial.run(&["supervisor", "stop"]).ok();
    run.wait_for("the supervisor was ended, and none came back");
    assert_eq!(run.wait().exit_code(), 69, "{}", run.text());
    left_as_found(&trial);
    trial.run(&["add", "Only noted down"]).ok();
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["dispatch"], &status["tasks"][1]["attempt"]), (&false.into(), &serde_json::Value::Null));
    let_go(&trial);
}

/// Waits until the first hold is one of the machine; the whole status.
fn held_by_the_machine(trial: &Trial) -> serde_json::Value {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let status = trial.run(&["status", "--json"]).ok().json();
        if status["holds"][0]["because"] == "machine" {
            return status;
        }
        assert!(std::time::Instant::now() < until, "{status}");
    }
}

#[test]
fn a_full_machine_says_whose_agents_fill_it() {
    let trial = Trial::with_agent();
    trial.run(&["config", "set", "--user", "wip.machine", "1"]).ok();
    trial.run(&["add", "First come"]).ok();
    trial.run(&["up"]).ok();
    // In review its agent lives on, and counts.
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    trial.run(&["add", "Next to it"]).ok();
    let status = held_by_the_machine(&trial);
    assert_eq!(status["holds"][0]["text"], "machine is full 1/1: 1 in ~/repo (T1)", "{status}");
    assert_eq!(status["wip"]["machine"], serde_json::json!({"used": 1, "limit": 1}));
    let holders = serde_json::json!([{"repo": trial.repo(), "used": 1, "tasks": ["T1"]}]);
    assert_eq!(status["wip"]["machine_holders"], holders);
    let text = trial.run(&["status"]).ok().out;
    assert!(text.contains("machine 1/1") && text.contains("machine is full 1/1: 1 in ~/repo (T1)"), "{text}");
    trial.run(&["start", "T2"]).failed(6, "machine is full 1/1");
    trial.run(&["stop", "T1"]).ok();
    trial.run(&["wait", "T2", "--for", "review", "--timeout", "60s"]).ok();
}

#[test]
fn the_end_of_another_repositorys_agent_makes_room() {
    let trial = Trial::with_agent();
    trial.run(&["config", "set", "--user", "wip.machine", "1"]).ok();
    let slots = Slots::open(&trial.home().join("state/slots")).expect("the folder of slots");
    let other = slots.reserve(Limit::of(1), "/src/other").expect("counted").expect("free");
    other.give(TaskId::new(9).expect("from 1")).expect("written");
    trial.run(&["add", "Waits for another"]).ok();
    trial.run(&["up"]).ok();
    let status = held_by_the_machine(&trial);
    assert_eq!(status["holds"][0]["text"], "machine is full 1/1: 1 in /src/other (T9)", "{status}");
    drop(other);
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
}

/// Settings of an agent that leaves its `TERM` and `HOME` in its worktree, commits and ends.
const TELLS: &str = r#"schema = 1
agent = "sh"
[agents.sh]
adapter = "generic"
command = ["/bin/sh", "-c", "echo term=$TERM home=$HOME > told; git add told; git commit -qm told"]
prompt = "none"
"#;

#[test]
fn without_home_and_term_there_are_those_of_the_user_and_a_usual_one() {
    let trial = Trial::new();
    trial.write("agents.toml", TELLS);
    let bare = |args: &[&str], also: &[(&str, &str)]| {
        let mut command = trial.command(args);
        command.env_remove("HOME").env_remove("TERM").envs(also.iter().copied());
        said(&mut command)
    };
    bare(&["trust", "--yes"], &[]).ok();
    bare(&["add", "Tell"], &[]).ok();
    bare(&["run"], &[]).ok();
    let status = bare(&["status", "--json"], &[]).ok().json();
    let worktree = status["tasks"][0]["attempt"]["worktree"].as_str().expect("a worktree");
    let told = std::fs::read_to_string(format!("{worktree}/told")).expect("what it saw");
    assert!(told.starts_with("term=xterm-256color home="), "{told}");
    // A terminal that nobody knows is none that colours are written to.
    for term in ["", "dumb", "no-such-terminal"] {
        let plain = bare(&["status"], &[("TERM", term)]).ok().out;
        assert!(!plain.contains('\x1b') && plain.contains("Tell"), "{plain:?}");
    }
}

/// Where nothing says where to put things, the user's entry in the password file does.
#[test]
fn a_home_that_is_not_set_is_that_of_the_user() {
    let trial = Trial::new();
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("we run")).to_string();
    let mut entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let Some(home) = entries.find(|entry| entry.get(2) == Some(&uid.as_str())).map(|entry| entry[5].to_owned()) else {
        return;
    };
    for unset in [None, Some(""), Some("relative/home")] {
        let mut command = trial.command(&["config", "paths"]);
        for name in ["STANDUP_HOME", "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        let said = said(command.envs(unset.map(|home| ("HOME", home)))).ok();
        assert!(said.out.contains(&format!("{home}/.config/standup")), "HOME={unset:?}: {said:?}");
    }
}
