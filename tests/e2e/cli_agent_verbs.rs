//! What agents and their CLIs call: it works without a supervisor, and never holds them up.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_trial::{Trial, said};

#[test]
fn a_check_in_lands_in_the_outbox_where_nobody_listens() {
    let trial = Trial::bare();
    let dir = trial.repo().join(".standup/run");
    let args = ["check-in", "--state", "ready", "--did", "all of it", "--met", "1,3", "--blockers", "none really"];
    for socket in [None, Some(trial.repo().join("nobody.sock"))] {
        let mut command = trial.command(&args);
        command.env("STANDUP_DIR", &dir).env("STANDUP_TASK", "T7").env("STANDUP_ATTEMPT", "2");
        if let Some(socket) = &socket {
            command.env("STANDUP_SOCKET", socket).env("STANDUP_TOKEN", "t");
        }
        let said = said(&mut command).ok();
        let path = said.out.trim_end().strip_prefix("checked in through the outbox: ").expect("it says which way");
        let text = fs::read(path).expect("the report is there");
        let mut report: Value = serde_json::from_slice(&text).expect("JSON");
        // By these it counts once, and only where it belongs.
        let fields = report.as_object_mut().expect("an object");
        assert!(fields.remove("id").is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 36)), "{fields:?}");
        assert!(fields.remove("at").is_some_and(|at| at.is_string()), "{fields:?}");
        assert_eq!(fields.remove("attempt"), Some(serde_json::json!("T7/2")));
        let wanted = serde_json::json!({
            "schemaVersion": 1, "kind": "check-in", "state": "ready", "did": "all of it", "next": "",
            "blockers": ["none really"], "question": null, "met": [1, 3],
        });
        assert_eq!(report, wanted);
    }
    let names = fs::read_dir(dir.join("outbox")).expect("a folder").flatten().map(|e| e.file_name());
    let names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.ends_with(".json") && !name.starts_with('.')), "{names:?}");
}

#[test]
fn a_report_that_says_nothing_is_none() {
    let trial = Trial::bare();
    let dir = trial.repo().join(".standup/run");
    for args in [&["check-in"][..], &["check-in", "--did", " ", "--question", ""], &["check-in", "--state", "working"]]
    {
        let mut command = trial.command(args);
        said(command.env("STANDUP_DIR", &dir)).failed(2, "a check-in says something");
    }
    assert!(!dir.exists(), "nothing was left");
    said(trial.command(&["check-in", "--state", "giving-up"]).env("STANDUP_DIR", &dir)).ok();
}

#[test]
fn a_report_is_not_left_where_a_link_leads() {
    let trial = Trial::bare();
    let (dir, away) = (trial.repo().join(".standup/run"), trial.repo().join("away"));
    fs::create_dir_all(&away).expect("a folder");
    let link = |from: &std::path::Path| {
        let _ = fs::remove_dir_all(trial.repo().join(".standup"));
        fs::create_dir_all(from.parent().expect("it lies somewhere")).expect("a folder");
        std::os::unix::fs::symlink(&away, from).expect("a link");
    };
    for place in [dir.join("outbox"), dir.clone(), trial.repo().join(".standup")] {
        link(&place);
        let mut command = trial.command(&["check-in", "--did", "x"]);
        said(command.env("STANDUP_DIR", &dir)).failed(8, "is no folder of this worktree's own");
    }
    assert_eq!(fs::read_dir(&away).expect("a folder").count(), 0, "nothing was written where the link leads");
}

#[test]
fn outside_of_an_attempt_there_is_nobody_to_check_in_with() {
    Trial::bare().run(&["check-in", "--did", "x"]).failed(1, "STANDUP_DIR is not set");
}

#[test]
fn the_brief_comes_byte_for_byte() {
    let trial = Trial::bare();
    let bytes = b"# T\x1b[31mitle\r\n\xff\n";
    let path = trial.repo().join("brief.md");
    fs::write(&path, bytes).expect("a file");
    let output = trial.command(&["brief"]).env("STANDUP_BRIEF", &path).output().expect("it runs");
    assert_eq!(output.stdout, bytes);
}

#[test]
fn a_hook_never_fails_and_never_speaks() {
    let trial = Trial::bare();
    let socket = trial.repo().join("nobody.sock");
    for args in [&["hook"][..], &["hook", "claude"], &["hook", "codex-notify", "{}"], &["hook", "--bogus", "x", "y"]] {
        let mut command = trial.command(args);
        command.env("STANDUP_SOCKET", &socket).env("STANDUP_TOKEN", "t").write_stdin("no json\0");
        let said = said(&mut command);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""), "{args:?}");
    }
}

#[test]
fn a_hook_does_not_wait_for_a_supervisor_that_says_nothing() {
    let trial = Trial::bare();
    let socket = trial.repo().join("s");
    // It takes connections, and no more.
    let _mute = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let mut command = trial.command(&["hook", "claude"]);
    command.env("STANDUP_SOCKET", &socket).env("STANDUP_TOKEN", "t").write_stdin("{}");
    let began = Instant::now();
    let said = said(&mut command);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    // The hook gives up after 0.9 s; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn an_answer_cannot_be_waited_for_where_nobody_can_bring_it() {
    let trial = Trial::bare();
    let dir = trial.repo().join(".standup/run");
    let mut command = trial.command(&["ask", "Which?", "--wait", "--json"]);
    let said = said(command.env("STANDUP_DIR", &dir));
    assert_eq!((said.code, said.out.as_str()), (69, ""), "{said:?}");
    assert!(said.err.contains("the question is in the outbox") && said.err.contains("end your turn"), "{said:?}");
    assert_eq!(fs::read_dir(dir.join("outbox")).expect("a folder").count(), 1);
    let mut command = trial.command(&["done", "--did", "x", "--json"]);
    let said = crate::cli_trial::said(command.env("STANDUP_DIR", &dir)).ok();
    let answer: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&answer["kind"], &answer["via"]), (&"checked-in".into(), &"outbox".into()));
    trial.run(&["ask", " "]).failed(2, "the question is empty");
    trial.run(&["ask", "x", "--timeout", "3s"]).failed(2, "--wait");
}

#[test]
fn a_dry_start_shows_what_the_agent_is_told_and_a_template_of_ones_own_replaces_it() {
    let trial = Trial::with_agent();
    trial.run(&["add", "Mend the pager", "--off-limits", "ci/**"]).ok();
    let prompt = || {
        let plan = trial.run(&["start", "T1", "--dry-run", "--json"]).ok().json();
        plan["prompt"].as_str().expect("a prompt").to_owned()
    };
    let told = prompt();
    for words in [
        "You work on task T1, \"Mend the pager\"",
        "do not change: `ci/**`",
        "Report every 15m",
        "the tool check_in",
        "check-in --did",
        "$STANDUP_DIR/outbox",
        "run them first: `sh -c 'test",
        "You are done when",
    ] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert!(told.contains(&format!("{} done", env!("CARGO_BIN_EXE_standup"))), "{told}");
    assert!(told.trim_end().ends_with("\n\nMend the pager"), "the brief comes last: {told}");
    assert!(trial.run(&["start", "T1", "--dry-run"]).ok().out.contains("You work on task T1"));
    let own = trial.home().join("config/preamble.md");
    fs::create_dir_all(own.parent().expect("a parent")).expect("a folder");
    fs::write(&own, "Do {task} within {limits}; say so with {standup}.\n").expect("a template");
    let told = prompt();
    assert!(told.starts_with("Do T1 within 2h, 1500 changed lines and 60 changed files; say so with /"), "{told}");
    assert!(!told.contains("You are done when"), "{told}");
    // A brief's own limits stand in place of the configured ones.
    let brief = trial.repo().join("brief.md");
    fs::write(&brief, "---\ntitle: Mend it\nlimits: { wall_clock: 45m }\n---\n").expect("a brief");
    trial.run(&["add", "--brief", &brief.display().to_string()]).ok();
    let plan = trial.run(&["start", "T2", "--dry-run", "--json"]).ok().json();
    let told = plan["prompt"].as_str().expect("a prompt");
    assert!(told.starts_with("Do T2 within 45m, 1500 changed lines"), "{told}");
    fs::write(&own, "Do {tsak}.\n").expect("a template");
    trial.run(&["start", "T1", "--dry-run"]).failed(1, "did you mean {task}?");
}
