//! What the command line says without a supervisor: usage, places, failures, pipes.

use std::path::Path;

use serde_json::Value;

use crate::cli_trial::{Trial, said};

#[test]
fn version_and_help_are_answers() {
    let trial = Trial::bare();
    let version = trial.run(&["--version"]).ok();
    assert_eq!(version.out, concat!("standup ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = trial.run(&["--help"]).ok();
    for line in ["Start:", "  add ", "Watch:", "  status ", "Steer:", "Decide:", "House:", "--json"] {
        assert!(help.out.contains(line), "{line} is not in {}", help.out);
    }
    for hidden in ["check-in", "hook", "host ", "__host"] {
        assert!(!help.out.contains(&format!("\n  {hidden}")), "{hidden} is in {}", help.out);
    }
    assert!(trial.run(&["wait", "--help"]).ok().out.contains("--timeout <TIME>"));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2_and_a_hint() {
    let trial = Trial::new();
    trial.run(&["--bogus"]).failed(2, "error: unexpected argument '--bogus' found\nhint: standup --help\n");
    trial
        .run(&["statsu"])
        .failed(2, "error: there is no verb \"statsu\" (did you mean status?)\nhint: standup status\n");
    trial.run(&["shwo", "T1", "--json"]).failed(2, "there is no verb");
    trial.run(&["shwo", "T1"]).failed(2, "hint: standup show T1\n");
    trial.run(&["xyzzy"]).failed(2, "error: there is no verb \"xyzzy\"\nhint: standup --help\n");
    trial.run(&["merge", "T1"]).failed(2, "hint: standup move T1 done\n");
    trial.run(&["status", "--jsno"]).failed(2, "hint: standup status --help\n");
    trial.run(&["move", "T1", "nowhere"]).failed(2, "\"nowhere\" is not a column");
    trial.run(&["wait", "T1", "--for", "workin"]).failed(2, "did you mean working?");
    trial.run(&["wait", "T1", "--timeout", "5"]).failed(2, "write a number and a unit");
    trial.run(&["add"]).failed(2, "error: a task needs a title or a brief\nhint: standup add \"Fix the pager\"\n");
    trial.run(&["show"]).failed(2, "which task?");
}

#[test]
fn a_failure_in_json_is_one_object_on_stderr() {
    let trial = Trial::new();
    for (args, code, name) in [
        (&["--json", "bogus"][..], 2, "usage"),
        (&["show", "T9", "--json"], 3, "no-such-task"),
        (&["--json", "-C", "/nonexistent/folder", "status"], 1, "failure"),
    ] {
        let said = trial.run(args);
        said.failed(code, "");
        let error: Value = serde_json::from_str(&said.err).unwrap_or_else(|e| panic!("{e} in {said:?}"));
        assert_eq!(error["error"]["code"], name, "{said:?}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{said:?}");
        assert!(error["error"]["hints"].is_array(), "{said:?}");
    }
}

#[test]
fn outside_of_a_repository_one_is_told_how_to_begin() {
    let trial = Trial::bare();
    for verb in ["status", "add", "run", "events"] {
        let args = if verb == "add" { vec!["add", "x"] } else { vec![verb] };
        trial.run(&args).failed(1, "is not in a git repository\nhint: git init");
    }
}

#[test]
fn a_repository_without_commits_can_be_looked_at_but_nothing_can_start_in_it() {
    let trial = Trial::bare();
    trial.git(&["init", "-q"]);
    assert!(trial.run(&["status"]).ok().out.contains("No tasks yet."));
    for verb in ["up", "run"] {
        trial.run(&[verb]).failed(1, "has no commits\nhint: make a first commit: git -C ");
    }
}

#[test]
fn a_bare_repository_has_a_board() {
    let trial = Trial::bare();
    trial.git(&["init", "-q", "--bare"]);
    assert!(trial.run(&[]).ok().out.contains("No tasks yet."));
}

#[test]
fn reading_starts_nothing_and_leaves_nothing_behind() {
    let trial = Trial::new();
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!(status["kind"], "status");
    assert_eq!(status["schemaVersion"], 1);
    assert_eq!(status["base"], "main");
    assert_eq!(status["supervisor"], serde_json::json!({"running": false, "pid": null, "since": null}));
    assert_eq!(status["tasks"], serde_json::json!([]));
    trial.run(&["events"]).ok();
    assert_eq!(trial.run(&["next"]).ok().out, "Nobody needs you.\n");
    trial.run(&["show", "T1"]).failed(3, "there is no task \"T1\"");
    assert!(!trial.home().join("state").exists(), "something was kept in {}", trial.home().display());
}

#[test]
fn settings_that_cannot_be_read_do_not_hide_the_board() {
    let trial = Trial::new();
    trial.write("agents.toml", "schema = 1\n[wip]\nbiuld = 3\n");
    let status = trial.run(&["status"]).ok();
    assert!(status.out.contains("! agents.toml:3:1: ") && status.out.contains("did you mean"), "{status:?}");
    trial.run(&["run"]).failed(1, "error: agents.toml:3:1: ");
}

#[test]
fn commands_that_nobody_approved_are_refused_with_8() {
    let trial = Trial::new();
    trial.write("agents.toml", "schema = 1\n[[verify.check]]\nname = \"t\"\nrun = \"true\"\n");
    for verb in ["up", "run"] {
        trial
            .run(&[verb, "--no-input"])
            .failed(8, "are not approved, so nothing may be started\nhint: standup trust\n");
    }
}

#[test]
fn a_list_with_mistakes_names_each_by_line_and_adds_nothing() {
    let trial = Trial::new();
    trial.write("tasks.md", "1. One (after 9)\n2. Two\n");
    trial.run(&["import", "tasks.md"]).failed(1, "error: tasks.md:1:1: ");
    trial.run(&["import", "none.md"]).failed(1, "cannot read ");
    trial.write("done.md", "- [x] One\n- [x] Two\n");
    let nothing = trial.run(&["import", "done.md"]).ok();
    assert_eq!(nothing.out, "Nothing to do: the list holds no open task.\n");
    let empty = said(trial.command(&["import", "-", "--json"]).write_stdin("")).ok();
    assert_eq!(empty.json()["added"], serde_json::json!([]));
    assert!(!trial.home().join("state").exists());
}

#[test]
fn a_brief_is_judged_by_line() {
    let trial = Trial::new();
    trial.write("brief.md", "# Make it better\n\n## Outcome\nIt is faster.\n\n## Acceptance criteria\n- [ ] #1 good\n");
    let lint = trial.run(&["lint", "brief.md"]).ok();
    assert!(lint.out.contains("brief.md:4: note: \"faster\" can mean anything\n  hint: "), "{lint:?}");
    assert!(lint.out.contains("brief.md:7: warn: criterion #1: \"good\" cannot be checked"), "{lint:?}");
    assert_eq!(trial.run(&["lint", "brief.md", "--strict"]).code, 4);
    let doc = trial.run(&["lint", "brief.md", "--json"]).ok().json();
    assert_eq!(doc["briefs"][0]["findings"][0]["line"], 1);
    trial.run(&["lint", "none.md"]).failed(1, "there is no file none.md");
}

#[test]
fn a_closed_pipe_ends_in_silence() {
    let trial = Trial::new();
    for verb in ["--help", "events -f", "config schema"] {
        let script = format!("{{ '{}' {verb}; echo \"$?\" >&3; }} 3>&2 | true", env!("CARGO_BIN_EXE_standup"));
        // With no events, `events -f` has nothing to write: the end of its reader must do.
        let said =
            said(trial.program(Path::new("/bin/sh")).args(["-c", &script]).timeout(std::time::Duration::from_secs(60)));
        assert_eq!(said.err, "0\n", "{verb}: {said:?}");
    }
}

#[test]
fn colour_only_where_it_is_asked_for() {
    let trial = Trial::new();
    let esc = |args: &[&str]| trial.run(args).out.contains('\x1b');
    assert!(!esc(&["status"]));
    assert!(esc(&["status", "--color", "always"]));
    assert!(said(trial.command(&["status"]).env("CLICOLOR_FORCE", "1")).out.contains('\x1b'));
    assert!(!said(trial.command(&["status"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")).out.contains('\x1b'));
}
