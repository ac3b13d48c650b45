//! Takeover, handback, pause, verdicts and their reasons, from the command line.

use crate::cli_trial::{Trial, said};

/// A task whose agent does what the demo knows, and ends its turn.
fn in_review(trial: &Trial) {
    trial.run(&["add", "Nothing to ask"]).ok();
    trial.run(&["run"]).ok();
    // `run` stops what rests in Review.
    assert_eq!(trial.run(&["status", "--json"]).ok().json()["tasks"][0]["column"], "review");
}

#[test]
fn a_task_is_taken_over_worked_on_and_handed_back() {
    let trial = Trial::with_agent();
    in_review(&trial);
    trial.run(&["handback", "T1"]).failed(1, "T1 is in review, not in your hands");
    let taken = trial.run(&["takeover", "T1", "--reason", "a closer look"]).ok();
    assert_eq!(taken.out, "T1 is in your hands\n");
    assert!(taken.err.contains("standup handback T1 --note"), "{taken:?}");
    let status = trial.run(&["status", "--json"]).ok().json();
    let task = &status["tasks"][0];
    assert_eq!((&task["column"], &task["takeover"]["from"]), (&"takeover".into(), &"review".into()), "{task}");
    assert_eq!((&task["takeover"]["by"], &task["takeover"]["reason"]), (&"person".into(), &"a closer look".into()));
    assert_eq!(status["holds"][0]["because"], "asks", "{status}");
    let shown = trial.run(&["status"]).ok();
    assert!(shown.out.contains("in your hands") && shown.out.contains("a closer look"), "{shown:?}");
    let waits = trial.run(&["send", "T1", "hello"]).ok();
    assert!(waits.out.contains("waits: in your hands until standup handback T1"), "{waits:?}");
    for past in [&["send", "T1", "--now", "stop"][..], &["answer", "T1", "yes"]] {
        let refused = trial.run(past);
        refused.failed(8, "T1 is in your hands");
        assert!(refused.err.contains("hint: standup attach T1\nhint: standup handback T1"), "{refused:?}");
    }

    let worktree = task["attempt"]["worktree"].as_str().expect("a worktree").to_owned();
    std::fs::write(format!("{worktree}/by-hand.txt"), "one\n").expect("write");
    let back = trial.run(&["handback", "T1", "--note", "see by-hand.txt", "--json"]).ok().json();
    assert_eq!((&back["kind"], &back["changes"]["files"]), (&"handback".into(), &1.into()), "{back}");
    assert_eq!(back["changes"]["paths"], serde_json::json!(["A by-hand.txt"]));
    let show = trial.run(&["show", "T1", "--json"]).ok().json();
    let told = show["messages"].as_array().expect("messages").iter().find(|m| m["from"] == "handback");
    assert!(told.is_some_and(|m| m["text"].as_str().is_some_and(|t| t.contains("Note: see by-hand.txt"))), "{show}");
    assert_eq!(show["takeover"], serde_json::Value::Null);
    let events = trial.run(&["events", "--json"]).ok().out;
    for event in ["taken-over", "handback-asked", "handed-back"] {
        assert!(events.contains(&format!("\"{event}\"")), "{event} is not in {events}");
    }
}

#[test]
fn on_a_terminal_a_reason_is_asked_for_and_a_shell_opens_in_the_worktree() {
    let trial = Trial::with_agent();
    in_review(&trial);
    trial.run(&["takeover", "T1", "--shell"]).failed(2, "a shell needs a terminal");
    let mut takeover = trial.on_terminal(&["takeover", "T1", "--shell"], &[("SHELL", "/bin/sh")]);
    takeover.wait_for("why?");
    takeover.send("by hand\r");
    takeover.wait_for("exit returns");
    takeover.send(
        "standup pause T1 >/dev/null; echo in=$STANDUP_TASK/$STANDUP_ATTEMPT token=[$STANDUP_TOKEN] paused=$?; \
         standup resume T1 >/dev/null; git commit -q --allow-empty -m own; exit\r",
    );
    takeover.wait_for("in=T1/1 token=[] paused=0");
    takeover.wait_for("T1 is still in your hands");
    assert_eq!(takeover.wait().exit_code(), 0, "{}", takeover.text());
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!(status["tasks"][0]["takeover"]["reason"], "by hand", "{status}");
    let back = trial.run(&["handback", "T1"]).ok();
    assert!(back.out.starts_with("T1: takeover → "), "{back:?}");

    let mut cancel = trial.on_terminal(&["cancel", "T1"], &[]);
    cancel.wait_for("why?");
    cancel.send("no longer needed\r");
    cancel.wait_for("→ canceled");
    let events = trial.run(&["events", "--json"]).ok().out;
    assert!(events.contains("no longer needed"), "{events}");
}

#[test]
fn the_terminal_that_took_over_types_and_all_others_look() {
    let trial = Trial::with_agent();
    trial.write("asks.md", "---\ntitle: Print a distance\n---\n## Context\n<!-- demo: distance -->\n");
    trial.run(&["add", "--brief", "asks.md"]).ok();
    assert_eq!(trial.run(&["run"]).code, 5);
    let mut first = trial.on_terminal(&["attach", "T1"], &[]);
    first.wait_for("Press a number");
    let mut taker = trial.on_terminal(&["takeover", "T1", "--reason", "mine"], &[]);
    taker.wait_for("Press a number");
    first.wait_for("[read-only; standup takeover T1 takes the input");
    first.send("Miles\r");
    // It only looks, and sees what the other one does.
    taker.send("Kilometres\r");
    taker.wait_for("Kilometres it is");
    first.wait_for("Kilometres it is");
    assert!(!first.text().contains("Miles it is"), "{}", first.text());
    first.send("\x1dd");
    assert_eq!(first.wait().exit_code(), 0, "{}", first.text());
    taker.send("\x1dd");
    taker.wait_for("standup handback T1");
    assert_eq!(taker.wait().exit_code(), 0, "{}", taker.text());
    trial.run(&["handback", "T1"]).ok();
}

#[test]
fn what_a_second_agent_would_have_to_say_is_named_and_an_approval_is_none() {
    let trial = Trial::with_agent();
    trial.run(&["add", "Nothing to ask", "--mode", "checkpoint"]).ok();
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    let show = trial.run(&["show", "T1"]).ok();
    assert!(show.out.contains("it is only asked to plan first: the adapter demo knows no way"), "{show:?}");
    assert!(show.out.contains("standup approve T1"), "{show:?}");
    assert_eq!(trial.run(&["answer", "T1", "yes"]).ok().out, "T1: Yes, carry it out\n");
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let yes = trial.run(&["approve", "T1"]).ok();
    assert!(yes.err.contains("it may not land yet: no second agent has reviewed it"), "{yes:?}");
    let show = trial.run(&["show", "T1", "--json"]).ok().json();
    assert_eq!(show["requires"], serde_json::json!(["green", "approved", "reviewed"]), "{show}");
    assert_eq!(show["unmet"][0]["requirement"], "reviewed", "{show}");
    let shown = trial.run(&["show", "T1"]).ok().out;
    assert!(shown.contains("before it may land\n") && shown.contains("reviewed  no second agent"), "{shown}");
}

#[test]
fn what_is_given_up_sent_back_or_taken_over_has_a_reason() {
    let trial = Trial::with_agent();
    in_review(&trial);
    for args in [
        &["takeover", "T1"][..],
        &["takeover", "T1", "--no-attach"],
        &["takeover", "T1", "--reason", " "],
        &["takeover", "T1", "--json"],
        &["cancel", "T1"],
        &["cancel", "T1", "--no-input"],
        &["move", "T1", "build"],
        &["move", "T1", "canceled", "--yes"],
        &["move", "T1", "takeover"],
    ] {
        trial.run(args).failed(2, "this needs a reason");
    }
    trial.run(&["move", "T1", "build"]).failed(2, "standup move T1 build --reason");
    trial.run(&["takeover", "T1", "--no-attach"]).failed(2, "standup takeover T1 --no-attach --reason");
    let column = |trial: &Trial| trial.run(&["status", "--json"]).ok().json()["tasks"][0]["column"].clone();
    assert_eq!(column(&trial), "review", "nothing was done");
    trial.run(&["takeover", "T1", "--reason", "a closer look"]).ok();
    trial.run(&["takeover", "T1"]).ok();
    let why = |trial: &Trial| trial.run(&["status", "--json"]).ok().json()["tasks"][0]["takeover"]["reason"].clone();
    assert_eq!(why(&trial), "a closer look");
    trial.run(&["takeover", "T1", "--reason", "it is stuck after all"]).ok();
    assert_eq!(why(&trial), "it is stuck after all");
    trial.run(&["handback", "T1"]).ok();
    // Nothing is counted of a plain yes, and nothing has to be said to it.
    trial.run(&["move", "T1", "done"]).ok();
}

#[test]
fn work_is_approved_as_it_is_and_sent_back_with_a_note() {
    let trial = Trial::with_agent();
    in_review(&trial);
    let yes = trial.run(&["approve", "T1", "--json"]).ok().json();
    assert_eq!((&yes["kind"], &yes["approved"], &yes["column"]), (&"approve".into(), &"work".into(), &"review".into()));
    assert_eq!(yes["unmet"], serde_json::json!([]), "{yes}");
    let show = trial.run(&["show", "T1", "--json"]).ok().json();
    assert_eq!(show["unmet"], serde_json::json!([]), "{show}");
    let approval = &show["attempt"]["approval"];
    assert_eq!((&approval["tree"], &approval["stale"]), (&yes["tree"], &false.into()), "{show}");
    assert_eq!(show["requires"], serde_json::json!(["green", "approved"]));
    trial.run(&["reject", "T1"]).failed(2, "a rejection says what is to be different");
    for verdict in [&["approve", "T1"][..], &["reject", "T1", "--note", "x"], &["answer", "T1", "yes"]] {
        let agent = said(trial.command(verdict).env("STANDUP_TOKEN", "of an agent"));
        agent.failed(8, "an agent gives no verdict");
    }
    trial.run(&["reject", "T1", "--note", "greet by name"]).ok();
    trial.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
    let show = trial.run(&["show", "T1", "--json"]).ok().json();
    assert_eq!(show["attempt"]["approval"], serde_json::Value::Null);
    let told = show["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .any(|m| m["text"] == "Your work is not accepted yet: greet by name");
    assert!(told, "{show}");
}

#[test]
fn a_paused_task_says_so_until_it_is_resumed() {
    let trial = Trial::with_agent();
    trial.run(&["add", "Nothing to ask"]).ok();
    assert_eq!(trial.run(&["pause", "T1", "--reason", "not yet"]).ok().out, "T1 is paused\n");
    trial.run(&["start", "T1"]).failed(5, "T1 cannot start: paused (not yet) until standup resume T1");
    let status = trial.run(&["status", "--json"]).ok().json();
    assert_eq!(status["tasks"][0]["paused"]["reason"], "not yet", "{status}");
    let run = trial.run(&["run"]);
    assert_eq!(run.code, 5, "{run:?}");
    assert_eq!(trial.run(&["resume", "T1"]).ok().out, "T1 goes on\n");
    trial.run(&["resume", "T1"]).failed(1, "T1 is not paused");
    trial.run(&["run"]).ok();
}

#[test]
fn an_edit_says_what_the_agent_has_not_been_told() {
    let trial = Trial::with_agent();
    in_review(&trial);
    let edited = trial.run(&["edit", "T1", "--off-limits", "api/**"]).ok();
    assert_eq!(edited.out, "T1  Nothing to ask\n");
    let told = "the agent of T1/1 keeps the brief it was given, and was not told: off_limits";
    assert!(edited.err.contains(told), "{edited:?}");
    assert!(edited.err.contains("hint: standup send T1 \"…\"\nhint: standup retry T1"), "{edited:?}");
    let shown = trial.run(&["show", "T1"]).ok();
    let text = "changed since attempt 1 began; its agent was not told: off_limits";
    assert!(shown.out.contains(text), "{shown:?}");
    assert_eq!(trial.run(&["show", "T1", "--json"]).ok().json()["untold"], serde_json::json!(["off_limits"]));
    let json = trial.run(&["edit", "T1", "--title", "Something to ask", "--json"]).ok().json();
    assert_eq!(json["untold"], serde_json::json!(["title", "off_limits"]), "{json}");
}
