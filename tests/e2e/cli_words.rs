//! Plain words for what cannot be right: a name of nothing, a folder that takes nothing, a task that
//! is elsewhere than it was thought to be.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_trial::{Said, Trial, said};

/// Of a page that is no terminal.
const COLUMNS: usize = 160;

/// Long past what any machine takes.
const LIMIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn worktree(trial: &Trial) -> PathBuf {
    let show = trial.run(&["show", "T1", "--json"]).ok().json();
    PathBuf::from(show["attempt"]["worktree"].as_str().expect("a worktree"))
}

fn tasks(trial: &Trial) -> usize {
    trial.run(&["status", "--json"]).ok().json()["tasks"].as_array().map_or(0, Vec::len)
}

/// One whose agent works until somebody ends it.
fn at_work() -> Trial {
    let trial = Trial::new();
    let settings =
        "schema = 1\n[agents.idler]\nadapter = \"generic\"\ncommand = [\"sleep\", \"600\"]\nprompt = \"none\"\n";
    trial.write("agents.toml", &format!("{settings}[[verify.check]]\nname = \"ok\"\nrun = \"true\"\n"));
    trial.git(&["add", "."]);
    trial.git(&["commit", "-qm", "agents"]);
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["add", "One thing"]).ok();
    trial.run(&["start", "T1"]).ok();
    let lives = |task: &Value| task["attempt"]["agent_pid"].is_u64();
    until("its agent", || lives(&trial.run(&["show", "T1", "--json"]).ok().json()));
    trial
}

#[test]
fn an_agent_or_a_base_that_is_not_there_is_an_error_where_it_is_written() {
    let trial = Trial::with_agent();
    let refused = |args: &[&str], says: &str| trial.run(args).failed(2, says);
    refused(
        &["add", "One", "--agent", "dmeo"],
        "agent dmeo is not configured (did you mean demo?)\nhint: standup agents",
    );
    refused(&["add", "One", "--base", "mian"], "base: there is no branch or revision \"mian\"; did you mean main?");
    trial.write("one.md", "---\nbase: nosuch\nagent: nobody\n---\n# One\n");
    refused(
        &["add", "--brief", "one.md"],
        "agent nobody is not configured\nbase: there is no branch or revision \"nosuch\"",
    );
    trial.write("list.md", "- One\n- Two [agent: nobody]\n- Three [base: nosuch]\n");
    let says = "list.md:2: agent nobody is not configured\nlist.md:3: base: there is no branch or revision \"nosuch\"";
    refused(&["import", "list.md"], &format!("error: {says}"));
    refused(&["import", "list.md", "--dry-run"], says);
    assert_eq!(tasks(&trial), 0, "nothing was added");
    let lint = trial.run(&["lint", "one.md"]).ok().out;
    for found in ["warn: agent nobody is not configured", "warn: base: there is no branch or revision \"nosuch\""] {
        assert!(lint.contains(found), "{found} is not in {lint}");
    }
    trial.run(&["add", "One", "--agent", "demo", "--base", "main"]).ok();
    refused(&["edit", "T1", "--agent", "dmeo"], "did you mean demo?");
    refused(&["edit", "T1", "--base", "mian"], "did you mean main?");
    refused(&["retry", "T1", "--agent", "dmeo"], "agent dmeo is not configured (did you mean demo?)");
    // What it had before was judged when it came: an agent may be taken out of the settings.
    let settings = fs::read_to_string(trial.repo().join("agents.toml")).expect("settings");
    let other = settings.replace("[agents.demo]", "[agents.other]").replace("agent = \"demo\"", "agent = \"other\"");
    trial.write("agents.toml", &other);
    trial.run(&["edit", "T1", "--priority", "high"]).ok();
}

#[test]
fn a_name_that_may_come_to_be_is_a_note() {
    let trial = Trial::with_agent();
    let added = trial.run(&["add", "On top of another", "--base", "standup/T4/1-first"]).ok();
    assert!(added.err.contains("note: base: there is no branch or revision \"standup/T4/1-first\""), "{added:?}");
    assert!(added.err.contains("the task waits until there is"), "{added:?}");
    let unset = Trial::new();
    let added = unset.run(&["add", "One", "--agent", "claude"]).ok();
    assert!(
        added.err.contains("note: agent claude is not configured; no agent is as yet\nhint: standup init"),
        "{added:?}"
    );
}

#[test]
fn a_title_is_one_line_of_an_answer_and_never_empty() {
    let trial = Trial::with_agent();
    let long = "x".repeat(5_000);
    let added = trial.run(&["add", &long]).ok().out;
    assert!(added.starts_with("T1  xxx") && added.ends_with("…\n") && added.chars().count() <= COLUMNS + 1, "{added}");
    assert_eq!(trial.run(&["show", "T1", "--json"]).ok().json()["title"], long.as_str());
    let edited = trial.run(&["edit", "T1", "--priority", "high"]).ok().out;
    assert!(edited.chars().count() <= COLUMNS + 1, "{edited}");
    assert_eq!(trial.run(&["add", "a\nb\x1b[31mc"]).ok().out, "T2  a\\nb\\x1b[31mc\n");
    for args in [&["add", ""][..], &["add", "  \n"], &["edit", "T1", "--title", " "]] {
        trial.run(args).failed(2, "error: the title is empty\n");
    }
    trial.write("list.md", &format!("- {long}\n"));
    let listed = trial.run(&["import", "list.md"]).ok().out;
    assert!(listed.starts_with("added        T3   xxx") && listed.chars().count() <= COLUMNS + 1, "{listed}");
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named() {
    let trial = Trial::with_agent();
    let other = |args: &[&str]| -> Said {
        let mut command = trial.command(args);
        command.env_remove("STANDUP_HOME").env("XDG_RUNTIME_DIR", trial.repo().join("run"));
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, trial.repo().join(name));
        }
        said(command.env("XDG_STATE_HOME", "/sys/nowhere"))
    };
    for args in [&["up"][..], &["run"], &["trust", "--yes"], &["add", "One"]] {
        let failed = other(args);
        failed.failed(1, "error: cannot create /sys/nowhere");
        assert!(failed.err.contains("or set STANDUP_HOME to a directory that is"), "{args:?}: {failed:?}");
    }
}

#[test]
fn an_edit_says_when_it_counts() {
    let trial = at_work();
    let edited = trial.run(&["edit", "T1", "--priority", "high"]).ok();
    assert_eq!(edited.err, "T1 was started already: its priority counts when it waits for room again\n");
    let edited = trial.run(&["edit", "T1", "--base", "main", "--mode", "own"]).ok();
    assert_eq!(
        edited.err,
        "mode, base count for a new attempt; T1/1 stays as it was started\nhint: standup retry T1\n"
    );
    trial.run(&["add", "Another"]).ok();
    assert_eq!(trial.run(&["edit", "T2", "--priority", "high"]).ok().err, "", "it counts at once");
    trial.run(&["move", "T2", "done"]).ok();
    let edited = trial.run(&["edit", "T2", "--priority", "low"]).ok();
    let says = "T2 is done: this counts only if it is opened again\nhint: standup move T2 backlog --reason \"…\"\n";
    assert_eq!(edited.err, says);
    assert_eq!(trial.run(&["edit", "T2", "--priority", "low"]).ok().err, "", "nothing was changed");
}

#[test]
fn a_task_put_back_stays_there_and_it_is_said_what_that_ended() {
    let trial = at_work();
    trial.run(&["up"]).ok();
    let moved = trial.run(&["move", "T1", "backlog", "--reason", "not now"]).ok();
    assert_eq!(moved.out, "T1: build → backlog\n");
    assert_eq!(
        moved.err,
        "the agent of T1/1 is stopped; its work stays on standup/T1/1-one-thing\n\
         T1 is not started again by itself; then it is a new attempt\nhint: standup resume T1\n"
    );
    let show = || trial.run(&["show", "T1", "--json"]).ok().json();
    until("its end", || show()["attempt"]["agent_pid"].is_null());
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!(status["holds"][0]["text"], "paused (not now) until standup resume T1", "{status}");
    assert_eq!((&status["tasks"][0]["column"], &show()["attempt"]["number"]), (&"backlog".into(), &1.into()));
    trial.run(&["start", "T1"]).failed(5, "T1 cannot start: paused (not now) until standup resume T1");
    trial.run(&["resume", "T1"]).ok();
    until("another attempt", || show()["attempt"]["number"] == 2);
    let canceled = trial.run(&["cancel", "T1", "--reason", "never mind"]).ok();
    assert!(canceled.err.contains("T1/2 is stopped") || canceled.err.contains("of T1/2 is stopped"), "{canceled:?}");
}

#[test]
fn a_broken_worktree_leads_out_and_not_round_in_a_circle() {
    let trial = at_work();
    let show = || trial.run(&["show", "T1", "--json"]).ok().json();
    let stop = || {
        trial.run(&["stop", "T1"]).ok();
        until("its end", || show()["attempt"]["agent_pid"].is_null());
    };
    stop();
    let dir = worktree(&trial);
    fs::write(dir.join(".git"), "gitdir: /nowhere\n").expect("write");
    let broken = |why: &str| {
        let verified = trial.run(&["verify", "T1"]);
        assert_eq!(verified.code, 4, "{verified:?}");
        assert!(verified.out.contains(why), "{verified:?}");
        assert!(verified.err.contains("what was committed is on standup/T1/1-one-thing"), "{verified:?}");
        assert!(verified.err.ends_with("hint: standup retry T1    # a new worktree\n"), "{verified:?}");
        let started = trial.run(&["start", "T1"]);
        started.failed(1, why);
        assert!(started.err.ends_with("hint: standup retry T1\n"), "{started:?}");
    };
    broken("is broken: its .git points elsewhere");
    assert!(trial.run(&["verify", "T1"]).err.contains("hint: git worktree repair && standup verify T1"));
    // Mended, it goes on: nobody has to look first.
    trial.git(&["worktree", "repair"]);
    trial.run(&["start", "T1"]).ok();
    until("its agent", || show()["attempt"]["agent_pid"].is_u64());
    stop();
    fs::remove_dir_all(&dir).expect("remove");
    broken("is broken: its folder is gone");
    trial.run(&["retry", "T1"]).ok();
    until("another attempt", || show()["attempt"]["number"] == 2 && show()["attempt"]["agent_pid"].is_u64());
}

#[test]
fn hosts_without_a_repository_are_listed_for_scripts_and_say_how_they_are_attached_to() {
    let trial = Trial::bare();
    let none = trial.run(&["host", "list", "--json"]).ok().json();
    assert_eq!(none, serde_json::json!({"schemaVersion": 1, "kind": "hosts", "hosts": []}));
    trial.run(&["host", "start", "one", "--", "sleep", "600"]).ok();
    for args in [&["host", "list", "--json"][..], &["--json", "host", "list"]] {
        let listed = trial.run(args).ok().json();
        let host = &listed["hosts"][0];
        assert_eq!((&host["name"], &host["state"]), (&"one".into(), &"running".into()), "{listed}");
        assert!(host["pid"].is_u64() && host["since"].is_string() && host["until"].is_null(), "{listed}");
    }
    let refused = trial.run(&["host", "attach", "one"]);
    refused.failed(
        1,
        "is not a terminal\nhint: run it in a terminal\nhint: script -qc 'standup host attach one' /dev/null",
    );
    assert!(!refused.err.contains("logs"), "it is no task: {refused:?}");
    trial.run(&["host", "stop", "one"]).ok();
    let listed = trial.run(&["host", "list", "--json"]).ok().json();
    let host = &listed["hosts"][0];
    assert!(host["pid"].is_null() && host["until"].is_string() && host["state"] != "running", "{listed}");
    assert_eq!(host["signal"], 15, "{listed}");
}
