//! What an agent may do with the command line: speak for itself, and nothing else.

use std::path::{Path, PathBuf};

use crate::cli_trial::{Trial, said};

/// Every verb that is a person's, in forms that would be carried out; the empty one is `status`.
const PERSONS: &[&[&str]] = &[
    &["trust", "--yes"],
    &["trust", "--revoke", "--yes"],
    &["up", "--yes"],
    &["run", "--yes"],
    &["init", "--yes"],
    &["demo", "--pace", "0"],
    &["doctor"],
    &["add", "One more"],
    &["import", "list.md"],
    &["edit", "T1", "--title", "Another"],
    &["start", "T2"],
    &[],
    &["status"],
    &["show", "T1"],
    &["attach", "T2"],
    &["logs", "T2"],
    &["diff", "T2"],
    &["events"],
    &["state", "T2"],
    &["wait", "T2", "--timeout", "1s"],
    &["next"],
    &["send", "T1", "hello"],
    &["pause", "T2"],
    &["resume", "T2"],
    &["takeover", "T2"],
    &["handback", "T2"],
    &["nudge", "T2"],
    &["answer", "T1", "yes"],
    &["move", "T1", "done"],
    &["stop", "T2"],
    &["retry", "T2"],
    &["cancel", "T1", "--reason", "no"],
    &["verify", "T2"],
    &["report"],
    &["stats"],
    &["approve", "T2"],
    &["reject", "T2", "--note", "no"],
    &["agents"],
    &["config", "set", "wip.build", "9"],
    &["config", "paths"],
    &["supervisor", "stop"],
    &["supervisor", "logs"],
    &["down"],
];

/// The verbs that the help names and an agent may use.
const HARMLESS: &[&str] = &["lint", "reset", "completions", "man", "help"];

/// Settings of an agent that runs a script of the repository and then rests.
fn settings() -> String {
    let program = env!("CARGO_BIN_EXE_standup");
    format!(
        "schema = 1\nagent = \"sh\"\n[wip]\nbuild = 2\n[agents.sh]\nadapter = \"generic\"\n\
         command = [\"/bin/sh\", \"try\", \"{program}\"]\nprompt = \"none\"\n"
    )
}

/// Runs every verb inside an agent, without a terminal and on its own, and says for each its code and
/// what it wrote: beside a supervisor, then without one. The other agent only rests.
fn script(before: &str) -> String {
    let mut script = "standup=$1\nout=$HOME/out\nrest() { while [ ! -e $out/$1 ]; do sleep 0.1; done; }\n\
                      [ $STANDUP_TASK = T1 ] || { rest end; exit; }\nmkdir -p $out/beside $out/alone\n"
        .to_owned();
    // What an agent would have approved.
    script.push_str("printf '[[verify.check]]\\nname = \"own\"\\nrun = \"touch pwn\"\\n' >>$HOME/repo/agents.toml\n");
    script.push_str(&format!("{before}\ntry_all() {{\n"));
    for (n, args) in PERSONS.iter().enumerate() {
        let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
        let words = words.join(" ");
        script.push_str(&format!("\"$standup\" {words} </dev/null >$1/{n}.out 2>$1/{n}.err; echo $? >$1/{n}\n"));
        script.push_str(&format!("\"$standup\" {words} >$1/{n}.terminal; echo $? >>$1/{n}\n"));
    }
    script.push_str("}\ntry_all $out/beside\n");
    script.push_str("\"$standup\" brief >$out/brief; echo $? >$out/brief.code\n");
    script.push_str("\"$standup\" check-in --did all >$out/report 2>&1; echo $? >$out/report.code\n");
    // The tests read them only when all are there.
    script.push_str("touch $out/over\nrest stopped\ntry_all $out/alone\ntouch $out/alone/over\nrest end\n");
    script
}

/// Tries everything inside an agent, started by a supervisor of its own; returns what is in the folder.
fn tried(before: &str) -> (Trial, PathBuf) {
    let trial = Trial::new();
    trial.write("agents.toml", &settings());
    trial.write("try", &script(before));
    trial.write("list.md", "1. Imported\n");
    trial.git(&["add", "-A"]);
    trial.git(&["commit", "-qm", "agents"]);
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["add", "Try it all"]).ok();
    trial.run(&["add", "Rest beside it"]).ok();
    let approved = trial.run(&["trust", "--list", "--json"]).ok().out;
    trial.run(&["up"]).ok();
    let out = trial.home().parent().expect("a parent").join("out");
    wait_for(&trial, &out.join("over"));
    nothing_was_changed(&trial, &out.join("beside"));
    trial.run(&["supervisor", "stop"]).ok();
    std::fs::write(out.join("stopped"), "").expect("stopped");
    wait_for(&trial, &out.join("alone/over"));
    nothing_was_changed(&trial, &out.join("alone"));
    assert!(trial.run(&["supervisor", "status"]).ok().out.starts_with("No supervisor runs"));
    assert_eq!(trial.run(&["trust", "--list", "--json"]).ok().out, approved);
    (trial, out)
}

fn wait_for(trial: &Trial, file: &Path) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(180);
    while !file.exists() {
        let why = || (trial.run(&["show", "T1"]).out, trial.run(&["logs", "T1"]).out);
        assert!(std::time::Instant::now() < until, "{:?}", why());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn nothing_was_changed(trial: &Trial, out: &Path) {
    let read = |name: String| std::fs::read_to_string(out.join(name)).unwrap_or_default();
    for (n, args) in PERSONS.iter().enumerate() {
        let (codes, said, err) = (read(n.to_string()), read(format!("{n}.out")), read(format!("{n}.err")));
        assert_eq!((codes.as_str(), said.as_str()), ("8\n8\n", ""), "{args:?} in {out:?}: {err}");
        assert_eq!(read(format!("{n}.terminal")), "", "{args:?} in {out:?}");
        assert!(err.contains("inside an agent, standup only checks in"), "{args:?}: {err}");
        assert!(err.contains("hint: a person:"), "{args:?}: {err}");
    }
    let settings = std::fs::read_to_string(trial.repo().join("agents.toml")).expect("settings");
    assert!(settings.contains("build = 2"), "{settings}");
    let status = trial.run(&["status", "--json"]).ok().json();
    let tasks = status["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 2, "{status}");
    assert!(tasks.iter().all(|task| task["column"] == "build"), "{status}");
}

#[test]
fn an_agent_speaks_for_itself_and_changes_nothing_else() {
    let (trial, out) = tried("");
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("a file");
    assert_eq!((read("brief.code").trim(), read("report.code").trim()), ("0", "0"), "{}", read("report"));
    assert!(read("brief").contains("Try it all"));
    assert!(read("report").contains("checked in with the supervisor"), "{}", read("report"));
    // The person's own terminal, meanwhile.
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["move", "T1", "done", "--reason", "seen"]).ok();
    std::fs::write(out.join("end"), "").expect("end");
}

/// Without the variables it is still the child of its host.
#[test]
#[cfg(target_os = "linux")]
fn an_agent_that_drops_its_token_is_an_agent() {
    let (_trial, out) = tried("unset STANDUP_TOKEN STANDUP_SOCKET STANDUP_HOST");
    std::fs::write(out.join("end"), "").expect("end");
}

/// A verb that nobody thought of here would not be tried above.
#[test]
fn every_verb_of_the_help_is_tried_or_harmless() {
    let help = Trial::bare().run(&["--help"]).ok().out;
    let verbs = help.lines().take_while(|line| !line.starts_with("Everywhere")).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && !name.starts_with('-')).then_some(name)
    });
    let verbs: Vec<&str> = verbs.collect();
    assert!(verbs.len() > 40, "{help}");
    for verb in verbs {
        let tried = PERSONS.iter().any(|args| args.first() == Some(&verb));
        assert_ne!(tried, HARMLESS.contains(&verb), "{verb}");
    }
}

/// A terminal of `standup host` is no agent's: what runs in it is the person's own.
#[test]
fn a_terminal_that_was_started_by_hand_is_the_persons() {
    let trial = Trial::with_agent();
    let (program, done) = (env!("CARGO_BIN_EXE_standup"), trial.home().join("done"));
    let script = format!(
        "{program} add Mine </dev/null && {program} trust --yes && {program} status >{}; sleep 100",
        done.display()
    );
    trial.run(&["host", "start", "mine", "--", "/bin/sh", "-c", &script]).ok();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(90);
    while !std::fs::read_to_string(&done).is_ok_and(|text| text.contains("Mine")) {
        assert!(std::time::Instant::now() < until, "it was refused");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    trial.run(&["host", "stop", "mine"]).ok();
}

/// Nor does it find a way round by another repository, or by starting a supervisor that is not there.
#[test]
fn an_agents_token_opens_nothing_elsewhere_and_starts_no_supervisor() {
    let trial = Trial::with_agent();
    let socket = trial.repo().join("nobody.sock");
    for args in [&["up"][..], &["add", "x"], &["status"], &["trust", "--yes"], &["-C", ".", "run"], &[]] {
        let mut command = trial.command(args);
        command.env("STANDUP_SOCKET", &socket).env("STANDUP_TOKEN", "T1-1-1.0");
        said(&mut command).failed(8, "inside an agent");
    }
    assert!(trial.run(&["supervisor", "status"]).ok().out.starts_with("No supervisor runs"));
    let mut help = trial.command(&["help", "briefs"]);
    said(help.env("STANDUP_SOCKET", &socket).env("STANDUP_TOKEN", "T1-1-1.0")).ok();
}
