//! Our MCP server's tools: what an agent says and asks by them, and who hears the answer.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use standup::model::checkin::{MAX_TEXT, Via};
use standup::model::event::{Event, NeedKind};
use standup::model::input::Command as Wish;
use standup::model::state::RunKind;

use crate::mail::{STAYS, living, said, text};
use crate::scene::{Scene, id, poll, scripted};

/// A client of our MCP server.
struct Tools {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    next: u64,
}

impl Tools {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let out = BufReader::new(child.stdout.take().expect("stdout"));
        Self { child, out, next: 1 }
    }

    fn line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("stdin");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it reads");
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).expect("it speaks") > 0, "it has ended");
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            if answer["id"] == json!(id) {
                return answer;
            }
        }
    }

    fn begin(&mut self) {
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
                           "clientInfo": {"name": "test", "version": "0"}});
        assert_eq!(self.ask("initialize", &hello)["result"]["serverInfo"]["name"], "standup");
        self.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// The text a tool answers, and whether it is an error.
    fn call(&mut self, name: &str, input: &Value) -> (String, bool) {
        let answer = self.ask("tools/call", &json!({"name": name, "arguments": input}));
        let result = &answer["result"];
        let said = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        (said.to_owned(), result["isError"] == json!(true))
    }

    /// How many sockets it holds open; with its client it speaks through pipes.
    fn connections(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("its files");
        let to = open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        to.filter(|to| to.to_string_lossy().starts_with("socket:")).count()
    }

    /// Closes its input; it ends by itself.
    fn end(mut self) {
        drop(self.child.stdin.take());
        poll("its end", || self.child.try_wait().expect("wait").is_some());
        assert_eq!(self.child.wait().expect("wait").code(), Some(0));
    }
}

#[test]
fn tools_speak_for_their_attempt() {
    let settings = scripted(STAYS)
        + "[[verify.check]]\nname = \"test\"\nrun = \"test -f done.txt || { echo it is missing; exit 1; }\"\n";
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.live(1);
    let mut tools = Tools::start(scene.as_agent(1, &["mcp"]));
    tools.line("no json at all");
    tools.begin();
    let listed = tools.ask("tools/list", &json!({}));
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().expect("tools").iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["check_in", "ask_human", "get_brief", "run_checks"]);
    assert_eq!(tools.call("get_brief", &json!({})), ("# Task number 1\n".to_owned(), false));
    assert_eq!(tools.call("check_in", &json!({"state": "working", "did": "a"})), ("Checked in.".to_owned(), false));
    assert!(tools.call("check_in", &json!({"state": "working", "did": "a", "land": true})).1);
    let (said, error) = tools.call("run_checks", &json!({}));
    assert!(!error && said.starts_with("red:") && said.contains("it is missing"), "{said}");
    fs::write(scene.attempt(1).worktree.join("done.txt"), "").expect("write");
    let (said, _) = tools.call("run_checks", &json!({"wait_s": 60}));
    assert!(said.starts_with("green:"), "{said}");
    let (said, _) = tools.call("ask_human", &json!({"question": "Which?", "wait_s": 1}));
    assert!(said.starts_with("Nobody has answered yet"), "{said}");
    let last = scene.task(1).check_ins.pop().expect("a report");
    assert_eq!((last.via, last.check_in.question.as_deref()), (Via::Mcp, Some("Which?")));
    // Without a supervisor it goes on by the outbox.
    scene.kill();
    let (said, error) = tools.call("check_in", &json!({"state": "working", "did": "meanwhile"}));
    assert!(!error && said.contains("through the outbox"), "{said}");
    scene.start();
    poll("the report", || scene.dids(1).last().is_some_and(|did| did == "meanwhile"));
    assert_eq!(tools.call("check_in", &json!({"state": "working", "did": "again"})).0, "Checked in.");
    tools.end();
}

#[test]
fn who_said_too_much_hears_what_is_not_kept_whichever_way_it_went() {
    let scene = living(1);
    let long = "ä".repeat(MAX_TEXT + 1);
    let said_of = |args: &[&str]| {
        let out = said(&mut scene.as_agent(1, args));
        serde_json::from_slice::<Value>(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"))
    };
    assert_eq!(said_of(&["check-in", "--did", &long, "--next", "b", "--json"])["cut"], json!(["did"]));
    assert_eq!(said_of(&["done", "--did", "a", "--next", &long, "--json"])["cut"], json!(["next"]));
    assert_eq!(said_of(&["ask", &long, "--options", &long, "--json"])["cut"], json!(["question", "options"]));
    assert_eq!(said_of(&["check-in", "--did", "a", "--json"])["cut"], json!([]));
    let plain = text(&said(&mut scene.as_agent(1, &["ask", &long])).stdout);
    assert!(plain.contains("only the first") && plain.ends_with(": question"), "{plain}");
    let mut tools = Tools::start(scene.as_agent(1, &["mcp"]));
    tools.begin();
    let (said, error) = tools.call("check_in", &json!({"state": "ready", "did": "a", "next": long}));
    assert!(!error && said.starts_with("Checked in. But only the first"), "{said}");
    assert!(said.contains("are kept: next. The checks run"), "{said}");
    let (said, error) = tools.call("ask_human", &json!({"question": long}));
    assert!(!error && said.starts_with("Asked. But only the first") && said.contains(": question. End"), "{said}");
    tools.end();
}

/// An agent that works until it is told to rest, and then waits at its prompt; that something was typed
/// is seen in its folder.
pub(crate) const RESTS: &str = "env > $STANDUP_DIR/.env; mv $STANDUP_DIR/.env $STANDUP_DIR/env; stty raw -echo; \
                     printf '\\033]7501;state=working:app=codex\\007'; \
                     while [ ! -e $STANDUP_DIR/rests ]; do sleep 0.05; done; \
                     printf '\\033]7501;state=done:app=codex\\007'; head -c 4 > $STANDUP_DIR/.typed; \
                     mv $STANDUP_DIR/.typed $STANDUP_DIR/typed; \
                     while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done";

/// One that asks by its tool and waits there, and the number of its call; before that it had so many
/// connections.
fn waits_for_an_answer() -> (Scene, Tools, u64, usize) {
    let settings = format!(
        "schema = 1\n[wip]\nbuild = 60\n[agents.it]\nadapter = \"codex\"\ncommand = [\"sh\", \"-c\", '''{RESTS}''']\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.live(1);
    let mut tools = Tools::start(scene.as_agent(1, &["mcp"]));
    tools.begin();
    let before = tools.connections();
    let (asked, input) = (tools.next, json!({"question": "Which colour?", "wait_s": 300}));
    let call = json!({"name": "ask_human", "arguments": input});
    tools.next += 1;
    tools.line(&json!({"jsonrpc": "2.0", "id": asked, "method": "tools/call", "params": call}).to_string());
    scene.until("the question", |b| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Question));
    poll("it waits on a connection of its own", || tools.connections() > before);
    (scene, tools, asked, before)
}

impl Scene {
    fn is_told_by_typing(&self) {
        let handed =
            |e: &Event| matches!(e, Event::MessageDelivered { evidence, .. } if evidence.contains("handed over"));
        poll("it is typed", || {
            assert!(!self.events(1).iter().any(handed), "{:?}", self.events(1));
            self.run_dir(1).join("typed").exists()
        });
    }
}

#[test]
fn an_answer_to_a_call_that_was_taken_back_is_typed_and_handed_to_nobody() {
    let (scene, mut tools, asked, before) = waits_for_an_answer();
    // Nothing else tells the server that its client does not wait any more.
    let taken_back = json!({"requestId": asked, "reason": "the person pressed Esc"});
    tools.line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": taken_back}).to_string());
    // That is answered after the other was taken back.
    assert!(!tools.call("get_brief", &json!({})).1);
    poll("nobody listens", || tools.connections() == before);
    // It works on, and is told at the end of its turn.
    scene.wish(Wish::Send { task: id(1), text: "blue".into(), now: false }).expect("queued");
    scene.signal_file(1, "rests");
    scene.is_told_by_typing();
    tools.end();
}

#[test]
fn an_agent_at_rest_is_told_at_its_prompt_whoever_still_listens() {
    let (scene, tools, ..) = waits_for_an_answer();
    scene.signal_file(1, "rests");
    scene.until("it rests", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Idle));
    scene.wish(Wish::Send { task: id(1), text: "blue".into(), now: false }).expect("queued");
    scene.is_told_by_typing();
    tools.end();
}
