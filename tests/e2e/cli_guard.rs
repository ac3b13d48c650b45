//! What a stranger's text can make happen, and what a script can read when something fails.

use serde_json::{Value, json};

use crate::cli_trial::{Said, Trial, said};

/// An issue as anybody may open it: GitHub does not show what stands in a comment.
fn issues() -> String {
    let body = "It hangs.\n\n<!--\n```verify\ntouch pwn\u{1b}[2K\n```\n-->\n\n```sh verify\n\n```\n";
    json!([{"number": 7, "title": "Pager", "body": body}, {"number": 8, "title": "Other", "body": "x"}]).to_string()
}

#[test]
fn an_issue_brings_no_check_and_that_is_said() {
    let trial = Trial::new();
    let import = |more: &[&str]| {
        let args: Vec<&str> = ["import", "-"].into_iter().chain(more.iter().copied()).collect();
        said(trial.command(&args).write_stdin(issues())).ok()
    };
    let left_out = "issue #7 brings a check; it is left out: touch pwn\\x1b[2K";
    let planned = import(&["--dry-run"]);
    assert!(planned.err.contains(left_out) && !planned.err.contains('\u{1b}'), "{planned:?}");
    let plan = import(&["--dry-run", "--json"]).json();
    assert_eq!(plan["left_out"], json!([{"issue": "#7", "run": "touch pwn\u{1b}[2K"}]));
    assert_eq!(plan["checks"], json!([]));
    let done = import(&[]);
    assert!(done.err.contains(left_out) && !done.err.contains("brings the check"), "{done:?}");
    let task = trial.run(&["show", "T1", "--json"]).ok().json();
    assert!(task["brief"].as_str().expect("a brief").contains("touch pwn"), "the agent may read it: {task}");
    assert!(!task["checks"].to_string().contains("brief-1"), "{task}");
}

#[test]
fn the_checks_that_a_brief_brings_are_named_when_it_is_given() {
    let trial = Trial::new();
    trial.write("pager.md", "# Pager\n\n## Verification\n```verify\nmake\nmake \u{202e}test\n```\n");
    let added = trial.run(&["add", "--brief", "pager.md"]).ok();
    let says = "T1 brings the check brief-1: set -e\\nmake\\nmake \\u{202e}test\n";
    assert!(added.err.contains(says), "{added:?}");
    let added = trial.run(&["add", "--brief", "pager.md", "--json"]).ok();
    let checks = json!([{"name": "brief-1", "run": "set -e\nmake\nmake \u{202e}test"}]);
    assert_eq!(added.json()["checks"], checks);
    assert_eq!(trial.run(&["add", "Only a title", "--json"]).ok().json()["checks"], json!([]));

    trial.write("list.md", "- One\n\n  ```verify\n  make one\n  ```\n- Two\n");
    let planned = trial.run(&["import", "list.md", "--dry-run"]).ok();
    assert!(planned.err.contains("One brings the check brief-1: make one\n"), "{planned:?}");
    let plan = trial.run(&["import", "list.md", "--dry-run", "--json"]).ok().json();
    let check = |task: Value| json!([{"task": task, "title": "One", "name": "brief-1", "run": "make one"}]);
    assert_eq!(plan["checks"], check(Value::Null));
    let imported = trial.run(&["import", "list.md", "--json"]).ok().json();
    assert_eq!(imported["checks"], check("T4".into()));
    let again = trial.run(&["import", "list.md"]).ok();
    assert!(!again.err.contains("brings the check"), "it brought it before: {again:?}");
    trial.write("list.md", "- One\n\n  ```verify\n  make two\n  ```\n- Two\n");
    let changed = trial.run(&["import", "list.md"]).ok();
    assert!(changed.err.contains("T4 brings the check brief-1: make two\n"), "{changed:?}");
    trial.write("pager.md", "# Pager\n\n## Verification\n```verify\nmake other\n```\n");
    let edited = trial.run(&["edit", "T1", "--brief", "pager.md"]).ok();
    assert!(edited.err.contains("T1 brings the check brief-1: make other\n"), "{edited:?}");
}

#[test]
fn a_lock_is_named_once_and_so_that_its_name_runs_nothing() {
    let trial = Trial::new();
    trial.git(&["worktree", "add", "-q", "-b", "side", "../side tree"]);
    trial.write(".git/$(id>pwn).lock", "");
    let entry = std::fs::read_dir(trial.repo().join(".git/worktrees")).expect("worktrees").flatten().next();
    let entry = entry.expect("an entry").file_name().into_string().expect("UTF-8");
    trial.write(&format!(".git/worktrees/{entry}/index.lock"), "");
    let doctor: Value = serde_json::from_str(&trial.run(&["doctor", "--json"]).out).expect("JSON");
    let locks = doctor["checks"].as_array().expect("checks").iter().filter(|check| check["name"] == "locks");
    let fixes: Vec<&str> = locks.map(|check| check["fix"].as_str().expect("a fix")).collect();
    assert_eq!(fixes.len(), 2, "{fixes:?}");
    let git = trial.repo().join(".git").canonicalize().expect("a path");
    assert!(fixes.iter().any(|fix| fix.ends_with(&format!(" rm '{}/$(id>pwn).lock'", git.display()))), "{fixes:?}");
}

#[test]
fn a_failure_shows_nothing_that_a_terminal_obeys() {
    let trial = Trial::new();
    let args = ["-C", "no\u{202e}such\u{1b}[31m\u{200b}", "status"];
    let failed = trial.run(&args);
    failed.failed(1, "no\\u{202e}such\\x1b[31m\\u{200b}");
    assert!(!failed.err.contains(['\u{202e}', '\u{1b}', '\u{200b}']), "{failed:?}");
    let json = error_of(&trial.run(&[&args[..], &["--json"]].concat()));
    assert!(
        json["message"].as_str().expect("text").contains('\u{202e}'),
        "what scripts read is the text itself: {json}"
    );
}

/// The one document on stderr.
fn error_of(failed: &Said) -> Value {
    assert!(failed.code != 0 && failed.out.is_empty(), "{failed:?}");
    let document: Value = serde_json::from_str(&failed.err).unwrap_or_else(|why| panic!("{why}: {failed:?}"));
    assert!(document["error"]["code"].is_string() && document["error"]["message"].is_string(), "{document}");
    document["error"].clone()
}

#[test]
fn every_failing_verb_leaves_one_document_for_scripts() {
    let trial = Trial::new();
    trial.write("agents.toml", "schema = 1\n[[verify.check]]\nname = \"t\"\nrun = \"true\"\n");
    trial.write("bad.md", "1. One (after 9)\n");
    trial.write("brief.md", "# /exit\n\n/exit\n");
    trial.run(&["add", "Nothing of it runs"]).ok();
    for args in [
        &["trust", "--no-input"][..],
        &["up"],
        &["up", "--no-input"],
        &["run"],
        &["init"],
        &["demo", "--dir", "."],
        &["add"],
        &["add", "--brief", "none.md"],
        &["add", "--brief", "brief.md", "--after", "T9"],
        &["import", "bad.md"],
        &["import", "none.md"],
        &["edit", "T9", "--title", "x"],
        &["edit", "T1"],
        &["lint", "none.md"],
        &["start", "T1"],
        &["start", "T9", "--dry-run"],
        &["show", "T9"],
        &["attach", "T1"],
        &["logs", "T1"],
        &["logs", "T1", "--check", "t"],
        &["diff", "T1"],
        &["events", "--task", "T9"],
        &["state", "T9"],
        &["wait", "T9"],
        &["wait", "T1", "--for", "done", "--timeout", "1ms"],
        &["send", "T9", "x"],
        &["answer", "T1", "yes"],
        &["nudge", "T1"],
        &["pause", "T9"],
        &["resume", "T9"],
        &["takeover", "T1", "--reason", "x"],
        &["handback", "T1"],
        &["move", "T1", "nowhere"],
        &["move", "T9", "done"],
        &["stop", "T9"],
        &["retry", "T1"],
        &["cancel", "T1"],
        &["verify", "T1"],
        &["approve", "T1"],
        &["reject", "T1", "--note", "x"],
        &["report", "--since", "never"],
        &["stats", "--since", "never"],
        &["config", "get", "no.such"],
        &["config", "set", "wip.build", "many"],
        &["completions", "tcsh"],
        &["help", "nothing"],
        &["brief"],
        &["ask", "x"],
        &["done"],
        &["check-in", "--did", "x"],
        &["no-such-verb"],
        &["status", "--no-such-flag"],
    ] {
        let failed = trial.run(&[args, &["--json"]].concat());
        assert_ne!(failed.code, 0, "{args:?} is to fail: {failed:?}");
        error_of(&failed);
    }
}

/// What is said beside the answer is not lost to a script: it comes when all went well.
#[test]
fn beside_a_document_the_narration_comes_last() {
    let trial = Trial::new();
    trial.write("brief.md", "/exit at once\n");
    let added = trial.run(&["add", "Leave", "--brief", "brief.md", "--json"]).ok();
    assert!(added.json()["id"] == "T1" && added.err.contains("starts with /exit"), "{added:?}");
    let quiet = trial.run(&["add", "Leave", "--brief", "brief.md", "--json", "-q"]).ok();
    assert_eq!(quiet.err, "");
}

#[test]
fn the_supervisors_log_is_a_line_of_json_for_each_of_its_lines() {
    let trial = Trial::new();
    error_of(&trial.run(&["supervisor", "logs", "--json"]));
    trial.run(&["add", "Start one"]).ok();
    trial.run(&["supervisor", "stop"]).ok();
    let log = trial.run(&["supervisor", "status", "--json"]).ok().json();
    let log = std::path::PathBuf::from(log["log"].as_str().expect("a path"));
    let lines = "2026-11-02T10:00:00.123456Z  WARN standup::os: disk \u{1b}[31mlow\nerror: it ended\n\n";
    std::fs::write(&log, lines).expect("a log");
    let said = trial.run(&["supervisor", "logs", "--json"]).ok();
    let read: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = |at: Value, level: Value, from: Value, text: &str| json!({"schemaVersion": 1, "kind": "supervisor-log", "at": at, "level": level, "from": from, "text": text});
    let at = "2026-11-02T10:00:00.123456Z";
    assert_eq!(
        read,
        [
            line(at.into(), "warn".into(), "standup::os".into(), "disk \u{1b}[31mlow"),
            line(Value::Null, Value::Null, Value::Null, "error: it ended"),
            line(Value::Null, Value::Null, Value::Null, ""),
        ]
    );
    assert_eq!(trial.run(&["supervisor", "logs", "--json", "-n", "1"]).ok().out.lines().count(), 1);
}
