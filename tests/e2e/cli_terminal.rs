//! The command line on a terminal: ^C, attaching, the editor, questions.

use crate::cli_trial::Trial;

/// A task whose agent asks, and waits for its answer.
const ASKS: &str =
    "---\ntitle: Print a distance\n---\n## Outcome\n`bin/distance` prints.\n\n## Context\n<!-- demo: distance -->\n";

#[test]
fn an_interrupted_run_leaves_the_agents_alone() {
    // Each step of the agent takes a minute: the run goes on for longer than the test.
    let trial = Trial::with_agent_at("60000");
    trial.run(&["add", "Take your time"]).ok();
    trial.run(&["down", "--all"]).ok();
    let mut run = trial.on_terminal(&["run"], &[]);
    run.wait_for("agent runs");
    run.send("\x03");
    let ended = run.wait();
    assert_eq!(ended.exit_code(), 130, "{}", run.text());
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["supervisor"]["running"], &status["dispatch"]), (&false.into(), &false.into()), "{status}");
    let pid = status["tasks"][0]["attempt"]["agent_pid"].as_u64().expect("it goes on");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{status}");
    assert_eq!(trial.run(&["down", "--all"]).ok().out, "Nothing runs any more.\n");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{status}");
}

#[test]
fn one_attaches_to_who_needs_one_most_and_leaves_it_running() {
    let trial = Trial::with_agent();
    trial.write("asks.md", ASKS);
    trial.run(&["add", "--brief", "asks.md"]).ok();
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(run.out.contains("needs you\n  T1   Print a distance"), "{run:?}");
    let printed = trial.run(&["next"]).ok();
    assert!(printed.out.contains("In which unit should bin/distance print?"), "{printed:?}");
    let mut next = trial.on_terminal(&["next"], &[]);
    next.wait_for("Press a number");
    next.send("\x1dd");
    next.wait_for("[detached from T1; standup attach T1 returns]");
    assert_eq!(next.wait().exit_code(), 0);
    let mut attach = trial.on_terminal(&["attach", "1"], &[]);
    attach.wait_for("Press a number");
    attach.send("Miles\r");
    attach.wait_for("Miles it is");
    attach.send("\x1dd");
    assert_eq!(attach.wait().exit_code(), 0, "{}", attach.text());
    trial.run(&["wait", "T1", "--for", "review,red,needs-you", "--timeout", "60s"]).failed(2, "it is one of");
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let diff = trial.run(&["diff", "T1"]).ok();
    assert!(diff.out.contains("+++ b/bin/distance"), "{diff:?}");
}

#[test]
fn a_new_task_is_written_in_the_editor() {
    let trial = Trial::new();
    trial.write("edit.sh", "#!/bin/sh\nsed -i 's/^## Outcome$/## Outcome\\nIt prints 3./' \"$1\"\n");
    let script = trial.repo().join("edit.sh");
    let editor = format!("sh {}", script.display());
    let mut add = trial.on_terminal(&["add", "Print three"], &[("EDITOR", &editor)]);
    add.wait_for("T1  Print three");
    assert_eq!(add.wait().exit_code(), 0);
    let brief = trial.run(&["brief", "T1"]).ok().out;
    assert!(brief.contains("## Outcome\nIt prints 3.\n") && !brief.contains("## Context"), "{brief}");
    let mut broken = trial.on_terminal(&["edit", "T1"], &[("EDITOR", "false")]);
    broken.wait_for("did not end well; nothing was changed");
    assert_eq!(broken.wait().exit_code(), 1);
}

#[test]
fn what_is_not_approved_is_shown_and_asked_about_before_anything_starts() {
    let trial = Trial::with_agent();
    trial.run(&["trust", "--revoke"]).ok();
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["up"]).failed(8, "are not approved");
    let mut no = trial.on_terminal(&["up"], &[]);
    no.wait_for("May these run on this machine?");
    assert!(no.text().contains("__demo-agent"), "{}", no.text());
    no.send("n\r");
    assert_eq!(no.wait().exit_code(), 8, "{}", no.text());
    let mut asked = trial.on_terminal(&["up"], &[]);
    asked.wait_for("May these run on this machine?");
    asked.send("y\r");
    assert_eq!(asked.wait().exit_code(), 0, "{}", asked.text());
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
}
