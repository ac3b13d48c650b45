//! What an agent may do with the command line: speak for itself, and nothing else.

use crate::cli_trial::{Trial, said};

/// Verbs that are a person's, with what they need to be refused for no other reason.
const PERSONS: &[&[&str]] = &[
    &["move", "T1", "done"],
    &["trust", "--yes"],
    &["trust", "--revoke", "--yes"],
    &["config", "set", "wip.build", "9"],
    &["add", "One more"],
    &["import", "list.md"],
    &["cancel", "T1", "--reason", "no"],
    &["answer", "T1", "yes"],
    &["send", "T1", "hello"],
    &["supervisor", "stop"],
    &["down"],
    &["status"],
    &["show", "T1"],
    &["init"],
    &["up"],
];

/// Settings of an agent that runs a script of the repository and then rests.
fn settings() -> String {
    let program = env!("CARGO_BIN_EXE_standup");
    format!(
        "schema = 1\nagent = \"sh\"\n[wip]\nbuild = 2\n[agents.sh]\nadapter = \"generic\"\n\
         command = [\"/bin/sh\", \"try\", \"{program}\"]\nprompt = \"none\"\n"
    )
}

/// Runs every verb inside an agent, and says for each its code and what it wrote.
fn script(before: &str) -> String {
    let mut script = format!("standup=$1\nout=$HOME/out\nmkdir -p $out\n{before}\n");
    for (n, args) in PERSONS.iter().enumerate() {
        let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
        let words = words.join(" ");
        script.push_str(&format!("\"$standup\" {words} </dev/null >$out/{n}.out 2>$out/{n}.err; echo $? >$out/{n}\n"));
    }
    script.push_str("\"$standup\" brief >$out/brief; echo $? >$out/brief.code\n");
    script.push_str("\"$standup\" check-in --did all >$out/report 2>&1; echo $? >$out/report.code\n");
    // The tests read them only when all are there.
    script.push_str("touch $out/over\nwhile [ ! -e $out/end ]; do sleep 0.1; done\n");
    script
}

/// Tries everything inside an agent, started by a supervisor of its own; returns what is in the folder.
fn tried(before: &str) -> (Trial, std::path::PathBuf) {
    let trial = Trial::new();
    trial.write("agents.toml", &settings());
    trial.write("try", &script(before));
    trial.write("list.md", "1. Imported\n");
    trial.git(&["add", "-A"]);
    trial.git(&["commit", "-qm", "agents"]);
    trial.run(&["trust", "--yes"]).ok();
    trial.run(&["add", "Try it all"]).ok();
    trial.run(&["up"]).ok();
    let out = trial.home().parent().expect("a parent").join("out");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !out.join("over").exists() {
        let why = || trial.run(&["show", "T1"]).out;
        assert!(std::time::Instant::now() < until, "{}", why());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    (trial, out)
}

fn nothing_was_changed(trial: &Trial, out: &std::path::Path) {
    let read = |name: String| std::fs::read_to_string(out.join(name)).unwrap_or_default();
    for (n, args) in PERSONS.iter().enumerate() {
        let (code, said, err) = (read(n.to_string()), read(format!("{n}.out")), read(format!("{n}.err")));
        assert_eq!((code.trim(), said.as_str()), ("8", ""), "{args:?}: {err}");
        assert!(err.contains("inside an agent, standup only checks in"), "{args:?}: {err}");
        assert!(err.contains("hint: a person:"), "{args:?}: {err}");
    }
    let settings = std::fs::read_to_string(trial.repo().join("agents.toml")).expect("settings");
    assert!(settings.contains("build = 2"), "{settings}");
    let status = trial.run(&["status", "--json"]).ok().json();
    let tasks = status["tasks"].as_array().expect("tasks");
    assert_eq!((tasks.len(), &tasks[0]["column"]), (1, &"build".into()), "{status}");
    assert!(trial.run(&["trust"]).ok().out.contains("This set is approved."));
}

#[test]
fn an_agent_speaks_for_itself_and_changes_nothing_else() {
    let (trial, out) = tried("");
    nothing_was_changed(&trial, &out);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("a file");
    assert_eq!((read("brief.code").trim(), read("report.code").trim()), ("0", "0"), "{}", read("report"));
    assert!(read("brief").contains("Try it all"));
    assert!(read("report").contains("checked in with the supervisor"), "{}", read("report"));
    // The person's own terminal, meanwhile.
    trial.run(&["move", "T1", "done", "--reason", "seen"]).ok();
    std::fs::write(out.join("end"), "").expect("end");
}

/// Without the variables it is still the child of its host.
#[test]
#[cfg(target_os = "linux")]
fn an_agent_that_drops_its_token_is_an_agent() {
    let (trial, out) = tried("unset STANDUP_TOKEN STANDUP_SOCKET STANDUP_HOST");
    nothing_was_changed(&trial, &out);
    std::fs::write(out.join("end"), "").expect("end");
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
