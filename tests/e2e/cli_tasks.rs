//! Tasks from the command line, with a supervisor and the scripted agent.

use std::fs;

use crate::cli_trial::{Trial, said};

#[test]
fn a_task_is_added_changed_shown_and_given_up() {
    let trial = Trial::new();
    let added = trial.run(&["add", "Fix the pager", "--priority", "high", "--touches", "src/**"]).ok();
    assert_eq!(added.out, "T1  Fix the pager\n");
    let second = trial.run(&["add", "Show colours", "--after", "fix-the", "--label", "ui", "--json"]).ok().json();
    assert_eq!((second["kind"].as_str(), second["id"].as_str()), (Some("add"), Some("T2")));
    let status = trial.run(&["--json"]).ok().json();
    assert_eq!(status["tasks"][0]["priority"], "high");
    assert_eq!(status["tasks"][1]["needs"], serde_json::json!(["T1"]));
    assert_eq!(status["supervisor"]["running"], true);
    assert_eq!(trial.run(&["edit", "2", "--title", "Show more colours"]).ok().out, "T2  Show more colours\n");
    trial.write("brief.md", "# Pager\n\n## Acceptance criteria\n- [ ] #1 `pager` prints x\n");
    trial.run(&["edit", "T1", "--brief", "brief.md"]).ok();
    let show = trial.run(&["show", "1", "--json"]).ok().json();
    assert_eq!((show["kind"].as_str(), show["title"].as_str()), (Some("show"), Some("Pager")));
    assert_eq!(show["priority"], "high", "what a flag said stays");
    assert_eq!(show["criteria"][0]["text"], "`pager` prints x");
    assert_eq!(trial.run(&["brief", "T1"]).ok().out, fs::read_to_string(trial.repo().join("brief.md")).expect("text"));
    trial.run(&["add", "x", "--after", "T1,T9"]).failed(3, "there is no task \"T9\"");
    trial.run(&["edit", "T1", "--after", "T2"]).failed(2, "these tasks need each other: T1 → T2 → T1");
    assert_eq!(trial.run(&["cancel", "T2", "--reason", "no need"]).ok().out, "T2: backlog → canceled\n");
    trial.run(&["wait", "T2", "--for", "done"]).failed(1, "T2 is canceled; what is waited for will not come");
    trial.run(&["wait", "T1", "--timeout", "50ms"]).failed(124, "T1 is backlog, none");
    assert_eq!(trial.run(&["down", "--all"]).ok().out, "Nothing runs any more.\n");
    let after = trial.run(&["status", "--json"]).ok().json();
    assert_eq!(after["supervisor"]["running"], false);
    assert_eq!(after["tasks"][1]["column"], "canceled");
    assert_eq!(after["holds"][0]["text"], "no supervisor runs");
}

#[test]
fn the_same_list_again_changes_what_changed_and_adds_nothing_twice() {
    let trial = Trial::new();
    trial.write("plan/tasks.md", "1. One\n2. Two (after 1)\n3. Three\n");
    let plan = trial.run(&["import", "plan/tasks.md", "--dry-run"]).ok();
    assert_eq!(plan.out.lines().filter(|line| line.starts_with("would add")).count(), 3, "{plan:?}");
    let first = trial.run(&["import", "plan/tasks.md", "--json"]).ok().json();
    assert_eq!(first["added"], serde_json::json!(["T1", "T2", "T3"]));
    let again = trial.run(&["-C", "plan", "import", "tasks.md"]).ok();
    assert!(again.out.lines().all(|line| line.starts_with("as before")), "{again:?}");
    trial.write("plan/tasks.md", "1. One\n2. Two, better (after 1, 3)\n3. Three\n4. Four\n");
    let changed = trial.run(&["import", "plan/tasks.md", "--json"]).ok().json();
    assert_eq!(changed["added"], serde_json::json!(["T4"]));
    assert_eq!(changed["changed"], serde_json::json!(["T2"]));
    assert_eq!(changed["unchanged"], serde_json::json!(["T1", "T3"]));
    let stdin = said(trial.command(&["import", "-"]).write_stdin("- A\n- B\n")).ok();
    assert!(stdin.out.contains("T5") && stdin.out.contains("T6"), "{stdin:?}");
}

/// What a person made of a task stands until its list says something else, and then where it does.
#[test]
fn an_unchanged_list_undoes_nothing_that_was_edited() {
    let trial = Trial::new();
    let import = |text: &str| {
        trial.write("t.txt", text);
        trial.run(&["import", "t.txt", "--json"]).ok()
    };
    let list = "1. One\n2. Two\n3. Three\n";
    import(list);
    trial
        .run(&["edit", "T1", "--priority", "urgent", "--after", "T3", "--off-limits", "secrets/**", "--mode", "own"])
        .ok();
    trial.write("two.md", "# Two, at length\n\n## Outcome\nThere are two.\n");
    trial.run(&["edit", "T2", "--brief", "two.md"]).ok();
    let again = import(list).json();
    assert_eq!(
        (&again["changed"], &again["unchanged"]),
        (&serde_json::json!([]), &serde_json::json!(["T1", "T2", "T3"]))
    );
    let one = trial.spec("T1");
    let kept = [&one["priority"], &one["mode"], &one["needs"], &one["off_limits"]];
    assert_eq!(kept, [&"urgent".into(), &"own".into(), &serde_json::json!(["T3"]), &serde_json::json!(["secrets/**"])]);
    assert!(trial.run(&["brief", "T2"]).ok().out.contains("There are two."));
    // What changes in the list is taken over, and nothing besides.
    let changed = import("1. One !low\n2. Two\n3. Three [mode: checkpoint]\n");
    let json = changed.json();
    assert_eq!((&json["changed"], &json["unchanged"]), (&serde_json::json!(["T1", "T3"]), &serde_json::json!(["T2"])));
    assert_eq!(json["overwritten"], serde_json::json!([{"task": "T1", "keys": ["priority"]}]), "{json}");
    assert!(changed.err.contains("T1: what was edited gives way to the list: priority\n"), "{changed:?}");
    let one = trial.spec("T1");
    assert_eq!((&one["priority"], &one["off_limits"]), (&"low".into(), &serde_json::json!(["secrets/**"])), "{one}");
    assert_eq!(trial.spec("T3")["mode"], "checkpoint");
    assert!(trial.run(&["brief", "T2"]).ok().out.contains("There are two."));
}

/// The same of issues, whose bodies are briefs.
#[test]
fn an_unchanged_issue_undoes_no_boundary() {
    let trial = Trial::new();
    let issues = r#"[{"number":7,"title":"Fix it","body":"It is broken.","labels":[]}]"#;
    let import = || said(trial.command(&["import", "-", "--json"]).write_stdin(issues)).ok().json();
    import();
    trial.run(&["edit", "T1", "--off-limits", "secrets/**"]).ok();
    assert_eq!(import()["unchanged"], serde_json::json!(["T1"]));
    assert_eq!(trial.spec("T1")["off_limits"], serde_json::json!(["secrets/**"]));
}

#[test]
fn a_worktree_that_cannot_be_made_says_what_to_do_and_names_no_log() {
    let trial = Trial::with_agent();
    trial.git(&["branch", "standup"]);
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["start", "T1"]).ok();
    trial.run(&["wait", "T1", "--for", "needs-you", "--timeout", "60s"]).ok();
    let next = trial.run(&["next"]);
    let said = format!("{}{}", next.out, next.err);
    assert!(said.contains("standup show T1") && !said.contains("standup logs"), "{said}");
    assert!(trial.run(&["show", "T1"]).ok().out.contains("git branch -m standup OTHER"));
    trial.git(&["branch", "-m", "standup", "other"]);
    trial.run(&["retry", "T1"]).ok();
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
}

/// What was done under a number stays done, and new work under that number is new work.
#[test]
fn a_list_file_that_is_used_again_brings_new_tasks() {
    let trial = Trial::with_agent();
    let import = |text: &str| {
        trial.write("t.txt", text);
        trial.run(&["import", "t.txt"]).ok()
    };
    import("1. Greet louder\n2. Greet twice\n");
    trial.run(&["move", "T1", "done", "--reason", "seen"]).ok();
    trial.run(&["cancel", "T2", "--reason", "no"]).ok();
    let dry = "1. Greet in red\n2. Greet twice\n3. Greet in blue\n";
    trial.write("t.txt", dry);
    let plan = trial.run(&["import", "t.txt", "--dry-run"]).ok();
    assert_eq!(plan.out.matches("would add").count(), 2, "{plan:?}");
    let again = import(dry);
    let lines: Vec<Vec<&str>> = again.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["added", "T3", "Greet", "in", "red"]);
    assert_eq!(lines[1], ["as", "before", "T2", "Greet", "twice"]);
    assert_eq!(lines[2], ["added", "T4", "Greet", "in", "blue"]);
    let tasks = trial.run(&["status", "--json"]).ok().json()["tasks"].clone();
    let seen = |n: usize| (tasks[n]["title"].clone(), tasks[n]["column"].clone());
    assert_eq!((seen(0), seen(1)), (("Greet louder".into(), "done".into()), ("Greet twice".into(), "canceled".into())));
    assert_eq!(
        (seen(2), seen(3)),
        (("Greet in red".into(), "backlog".into()), ("Greet in blue".into(), "backlog".into()))
    );
    // Once more, and the newer of those with that number is meant.
    assert!(import(dry).out.lines().all(|line| line.starts_with("as before")));
    let third = import("1. Greet in bright red\n");
    assert!(third.out.starts_with("changed      T3 "), "{third:?}");
}

#[test]
fn a_line_is_recognised_wherever_it_stands_and_a_started_one_keeps_its_brief() {
    let trial = Trial::with_agent();
    let import = |text: &str| {
        trial.write("t.txt", text);
        trial.run(&["import", "t.txt", "--json"]).ok()
    };
    import("1. Nothing to ask\n2. Second\n3. Third (after 2)\n");
    trial.run(&["start", "T1"]).ok();
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let moved = import("1. Before all\n2. Nothing to ask\n3. Second\n4. Third (after 3)\n").json();
    assert_eq!((&moved["added"], &moved["changed"]), (&serde_json::json!(["T4"]), &serde_json::json!([])), "{moved}");
    // Where a line stands is known from then on.
    let changed = import("1. Before all\n2. Ask nobody\n3. Second\n4. Third (after 3)\n");
    assert!(changed.err.contains("T1 was started before this change; its agent keeps the old brief"), "{changed:?}");
    let changed = changed.json();
    let lists = (&changed["changed"], &changed["keeps_old_brief"], &changed["unchanged"]);
    let (one, rest) = (serde_json::json!(["T1"]), serde_json::json!(["T2", "T3", "T4"]));
    assert_eq!(lists, (&one, &one, &rest), "{changed}");
}

#[test]
fn a_criterion_is_shown_by_its_check_and_by_nothing_else() {
    let trial = Trial::with_agent();
    let brief = "---\ntitle: Nothing to ask\n---\n## Acceptance criteria\n- [ ] #1 It greets (check: greets)\n\
                 - [ ] #2 It is documented (check: docs)\n- [ ] #3 It is short\n";
    trial.write("brief.md", brief);
    let added = trial.run(&["add", "--brief", "brief.md"]).ok();
    assert!(added.err.contains("warning: criterion #2: there is no check docs"), "{added:?}");
    let lint = trial.run(&["lint", "brief.md"]).ok();
    assert!(lint.out.contains("brief.md:7: note: no check shows #3\n"), "{lint:?}");
    let criteria = || trial.run(&["show", "T1", "--json"]).ok().json()["criteria"].clone();
    assert_eq!(criteria()[0]["shown_by"], serde_json::Value::Null, "nothing has run");
    trial.run(&["up"]).ok();
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let shown: Vec<_> = criteria().as_array().expect("a list").iter().map(|c| c["shown_by"].clone()).collect();
    assert_eq!(shown, [serde_json::json!("greets"), serde_json::Value::Null, serde_json::Value::Null]);
    assert_eq!(criteria()[1]["check"], "docs");
    // One byte more, and the same check shows nothing any more.
    let task = trial.run(&["show", "T1", "--json"]).ok().json();
    let worktree = std::path::PathBuf::from(task["attempt"]["worktree"].as_str().expect("a path"));
    fs::write(worktree.join("more"), "x").expect("a file");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while criteria()[0]["shown_by"] != serde_json::Value::Null {
        assert!(std::time::Instant::now() < until, "the verdict is not stale");
    }
    trial.run(&["verify", "T1"]).ok();
    assert_eq!(criteria()[0]["shown_by"], "greets");
    assert!(trial.run(&["show", "T1"]).ok().out.contains("#1 shown    It greets  (greets)\n"));
}

#[test]
fn the_output_of_a_check_is_followed_until_it_ends() {
    let trial = Trial::with_agent();
    // It writes, waits for a file beside the repository, and writes again.
    let go = trial.repo().join("../go");
    let run = format!("echo begun; until test -e {}; do sleep 0.05; done; echo ended", go.display());
    let settings = fs::read_to_string(trial.repo().join("agents.toml")).expect("settings");
    let check = format!("[[verify.check]]\nname = \"slow\"\nrun = \"{run}\"\n\n[[verify.check]]");
    trial.write("agents.toml", &settings.replacen("[[verify.check]]", &check, 1));
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["up"]).ok();
    trial.run(&["wait", "T1", "--for", "checking", "--timeout", "60s"]).ok();
    let mut follow = trial.on_terminal(&["logs", "T1", "-f", "--check", "slow"], &[]);
    follow.wait_for("begun");
    fs::write(&go, "").expect("a file");
    follow.wait_for("ended");
    assert_eq!(follow.wait().exit_code(), 0, "{}", follow.text());
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    // What runs no more is printed whole; what never ran is no check.
    assert_eq!(trial.run(&["logs", "T1", "-f", "--check", "slow"]).ok().out, "begun\nended\n");
    trial.run(&["logs", "T1", "-f", "--check", "none"]).failed(1, "these have: greets, slow");
}

#[test]
fn run_goes_to_where_nothing_goes_on_without_a_person() {
    let trial = Trial::with_agent();
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["down", "--all"]).ok();
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("ready for review\n  T1   Nothing to ask"), "{run:?}");
    assert!(run.err.contains("build → review: checks are green"), "{run:?}");
    // It had to start the supervisor, so it ended it; the agent rests, and can go on.
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["supervisor"]["running"], &status["dispatch"]), (&false.into(), &false.into()));
    let task = &status["tasks"][0];
    assert_eq!((task["column"].as_str(), task["state"]["kind"].as_str()), (Some("review"), Some("stopped")));
    assert_eq!(task["verdict"]["outcome"], "green");
    // What there is to read is read without a supervisor.
    assert!(trial.run(&["logs", "T1"]).ok().out.contains("standup demo player"));
    assert!(trial.run(&["logs", "T1", "--raw"]).ok().out.contains('\x1b'));
    let cast = trial.run(&["logs", "T1", "--cast"]).ok();
    assert!(cast.out.starts_with("{\"") && cast.out.lines().count() > 1, "{cast:?}");
    // An agent that is started again writes on in the same recording.
    trial.run(&["up"]).ok();
    trial.run(&["send", "T1", "and again"]).ok();
    trial.run(&["wait", "T1", "--for", "working,idle", "--timeout", "60s"]).ok();
    trial.run(&["down", "--all"]).ok();
    let cast = trial.run(&["logs", "T1", "--cast"]).ok();
    assert_eq!(cast.out.lines().filter(|line| line.contains("\"m\", \"start 2\"")).count(), 1, "{cast:?}");
    trial.run(&["logs", "T1", "--check", "none"]).failed(1, "these have: greets");
    trial.run(&["logs", "T1", "--check", "greets"]).ok();
    trial.run(&["attach", "T1"]).failed(1, "the agent of T1 runs no more: stopped\nhint: standup logs T1\n");
    trial.run(&["diff", "T1", "--stat"]).ok();
    let events = trial.run(&["events", "--json", "--task", "T1"]).ok();
    let names: Vec<String> = events
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("one object a line"))
        .map(|event| event["event"].as_str().expect("a name").to_owned())
        .collect();
    for name in ["task-added", "attempt-planned", "host-started", "verdict-reached", "task-moved", "attempt-stopped"] {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
    let verify = trial.run(&["verify", "T1"]).ok();
    assert!(verify.out.contains("evidence green") && verify.out.contains("greets"), "{verify:?}");
    assert_eq!(trial.run(&["wait", "T1"]).ok().out.split(',').next(), Some("T1  review"));
    trial.run(&["start", "T1"]).failed(1, "T1 is in review and cannot be started from there");
}

#[test]
fn red_checks_end_verify_with_4_and_their_output() {
    let trial = Trial::with_agent();
    let settings = fs::read_to_string(trial.repo().join("agents.toml")).expect("text");
    let red = settings.replace("run = \"sh -c 'test", "run = \"echo it looks wrong; sh -c '! test");
    trial.write("agents.toml", &red);
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["add", "Nothing to ask"]).ok();
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.out.contains("needs you\n  T1"), "{run:?}");
    let verify = trial.run(&["verify", "T1"]);
    assert_eq!(verify.code, 4, "{verify:?}");
    assert!(verify.out.contains("it looks wrong"), "{verify:?}");
    assert!(verify.err.contains("hint: standup logs T1 --check greets"), "{verify:?}");
}

#[test]
fn down_starts_nothing_though_the_supervisor_was_killed_while_it_dispatched() {
    let trial = Trial::with_agent();
    trial.run(&["up"]).ok();
    let pid = trial.run(&["status", "--json"]).ok().json()["supervisor"]["pid"].as_u64().expect("a pid");
    let pid = u32::try_from(pid).expect("a pid");
    let supervisor = standup::os::process::ProcessId::of(pid).expect("it runs");
    // Only the missing approval holds the task back; it comes while nobody is there to see it.
    trial.run(&["trust", "--revoke"]).ok();
    trial.run(&["add", "Not now"]).ok();
    assert!(supervisor.signal(rustix::process::Signal::KILL));
    trial.run(&["trust", "--yes"]).ok();
    let down = trial.run(&["down"]).ok();
    assert!(down.out.contains("Nothing more is started; no agent runs."), "{down:?}");
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["dispatch"], &status["tasks"][0]["attempt"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn the_stand_up_is_told_without_a_supervisor_and_counts_from_when_it_is_asked() {
    let trial = Trial::with_agent();
    assert!(trial.run(&["report"]).ok().out.ends_with("Nothing to report.\n"));
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["add", "Later", "--after", "T1"]).ok();
    trial.run(&["run"]);
    trial.run(&["down", "--all"]).ok();
    let report = trial.run(&["report"]).ok();
    for told in ["no supervisor runs", "\nready\n  T1   Nothing to ask", "checks green", "\nwaiting\n  T2"] {
        assert!(report.out.contains(told), "{told}: {report:?}");
    }
    let json = trial.run(&["report", "--since", "yesterday", "--json"]).ok().json();
    assert_eq!((json["kind"].as_str(), json["supervised"].as_bool()), (Some("report"), Some(false)));
    assert_eq!(json["ready"][0]["verdict"], "green");
    assert!(trial.run(&["report", "--markdown"]).ok().out.contains("\n## Ready\n\n- **T1** Nothing to ask"));
    let none = trial.run(&["report", "--since", "1ms"]).ok();
    assert!(!none.out.contains("\ndid\n"), "{none:?}");
    trial.run(&["report", "--since", "soon"]).failed(2, "write how long ago");
    trial.run(&["report", "--since", "2999-01-01"]).failed(2, "is in the future");
    trial.run(&["report", "--markdown", "--json"]).failed(2, "cannot be used with");
}

#[test]
fn what_became_of_the_work_is_counted_by_whatever_is_asked_for() {
    let trial = Trial::with_agent();
    assert!(trial.run(&["stats"]).ok().out.ends_with("Nothing was begun.\n"));
    trial.run(&["add", "Nothing to ask", "--label", "ui"]).ok();
    trial.run(&["run"]);
    trial.run(&["move", "T1", "build", "--reason", "no tests for it"]).ok();
    trial.run(&["cancel", "T1", "--reason", "nobody uses it"]).ok();
    trial.run(&["down", "--all"]).ok();
    let stats = trial.run(&["stats"]).ok();
    for told in ["0 of 1", "1×  canceled       nobody uses it", "1×  sent back      no tests for it"] {
        assert!(stats.out.contains(told), "{told}: {stats:?}");
    }
    let json = trial.run(&["stats", "--by", "label", "--json"]).ok().json();
    assert_eq!((json["kind"].as_str(), json["groups"][0]["name"].as_str()), (Some("stats"), Some("ui")));
    assert_eq!((&json["all"]["bounces"], &json["all"]["success"]["of"]), (&1.into(), &1.into()));
    let brief = trial.run(&["stats", "--by", "brief", "--since", "today", "--json"]).ok().json();
    assert_ne!(brief["groups"][0]["name"], "–", "its brief was judged");
    trial.run(&["stats", "--by", "moon"]).failed(2, "invalid value");
}
