//! What agents report and ask, and everything that can be wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standup::client::control::{Client, ClientError};
use standup::model::checkin::{CheckIn, Claim, Sent, Stamp, Via};
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, RefusalCode};
use standup::model::message::Delivery;
use standup::model::state::RunKind;
use standup::wire::control::Request;

use crate::scene::{DEADLINE, Scene, id, poll, scripted};
use crate::tools::RESTS;

/// An agent that writes down its environment and waits for its end.
pub(crate) const STAYS: &str = "env > $STANDUP_DIR/.env; mv $STANDUP_DIR/.env $STANDUP_DIR/env; \
                     while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done";

/// More than any answer takes, less than a test.
const SOON: Duration = Duration::from_secs(20);

/// A scene with living agents.
pub(crate) fn living(count: u32) -> Scene {
    let mut scene = Scene::new(&scripted(STAYS));
    scene.start();
    scene.live(count);
    scene
}

impl Scene {
    pub(crate) fn run_dir(&self, number: u32) -> PathBuf {
        standup::store::layout::run_dir(&self.attempt(number).worktree)
    }

    pub(crate) fn outbox(&self, number: u32) -> PathBuf {
        self.run_dir(number).join("outbox")
    }

    /// What a task's agent has of ours in its environment.
    pub(crate) fn agent_env(&self, number: u32) -> BTreeMap<String, String> {
        let file = self.run_dir(number).join("env");
        poll("the agent's environment", || file.exists());
        let text = fs::read_to_string(file).expect("read");
        let own = text.lines().filter(|line| line.starts_with("STANDUP_"));
        own.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Our program as a task's agent would run it.
    pub(crate) fn as_agent(&self, number: u32, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_standup"));
        command.args(args).current_dir(self.attempt(number).worktree).envs(self.agent_env(number));
        command.stdin(Stdio::null());
        command
    }

    /// A letter, put into an outbox as it should be.
    pub(crate) fn post(&self, number: u32, name: &str, bytes: &[u8]) {
        put(&self.outbox(number), name, bytes);
    }

    pub(crate) fn refusals(&self, number: u32) -> Vec<String> {
        let why = |event| match event {
            Event::CheckInRefused { why, .. } => Some(why),
            _ => None,
        };
        self.events(number).into_iter().filter_map(why).collect()
    }

    #[track_caller]
    pub(crate) fn until_refused(&self, number: u32, words: &str) {
        self.until_refused_of(number, words, || {});
    }

    /// The same of what is done again and again: a hook that finds no time to be heard is none.
    #[track_caller]
    fn until_refused_of(&self, number: u32, words: &str, mut act: impl FnMut()) {
        let mut seen = Vec::new();
        let end = Instant::now() + DEADLINE;
        while !seen.iter().any(|why: &String| why.contains(words)) {
            assert!(Instant::now() < end, "{words:?} was not said; {seen:?}; {}", self.log());
            act();
            std::thread::sleep(Duration::from_millis(20));
            seen = self.refusals(number);
        }
    }

    pub(crate) fn dids(&self, number: u32) -> Vec<String> {
        self.task(number).check_ins.into_iter().map(|c| c.check_in.did).collect()
    }

    /// The supervisor still answers at once.
    #[track_caller]
    pub(crate) fn assert_awake(&self) {
        let began = Instant::now();
        self.board();
        // Milliseconds; the rest is for a busy machine.
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    }
}

/// A letter, put into an outbox as it should be.
pub(crate) fn put(outbox: &Path, name: &str, bytes: &[u8]) {
    fs::write(outbox.join(".part"), bytes).expect("write");
    fs::rename(outbox.join(".part"), outbox.join(name)).expect("rename");
}

fn letter(did: &str, more: &Value) -> Vec<u8> {
    let mut letter = json!({"schemaVersion": 1, "kind": "check-in", "state": "working", "did": did});
    for (key, value) in more.as_object().into_iter().flatten() {
        letter[key] = value.clone();
    }
    letter.to_string().into_bytes()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn said_by(command: &mut Command) -> Vec<u8> {
    command.output().expect("it runs").stdout
}

pub(crate) fn said(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

#[test]
fn verbs_report_over_the_socket_and_say_so() {
    let scene = living(1);
    let out = said(&mut scene.as_agent(1, &["check-in", "--did", "a \x1b[31mred\x07 thing", "--met", "1,2"]));
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "checked in with the supervisor".to_owned()));
    let out = said(&mut scene.as_agent(1, &["ask", "Left?", "--options", "yes", "--options", "no", "--json"]));
    let answer: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&answer["kind"], &answer["via"], &answer["answer"]), (&json!("asked"), &json!("socket"), &Value::Null));
    let need = scene.task(1).needs_you.expect("a need");
    assert_eq!((need.kind, need.question.as_str()), (NeedKind::Question, "Left?"));
    assert_eq!(need.options.iter().map(|o| o.text.as_str()).collect::<Vec<_>>(), ["yes", "no"]);
    let out = said(&mut scene.as_agent(1, &["done", "--did", "all of it", "--json"]));
    assert_eq!(serde_json::from_slice::<Value>(&out.stdout).expect("JSON")["via"], "socket");
    let task = scene.task(1);
    let came: Vec<_> = task.check_ins.iter().map(|c| (c.check_in.state, c.via, c.check_in.did.as_str())).collect();
    let wanted = [
        (Claim::Working, Via::Socket, "a [31mred thing"),
        (Claim::NeedsDecision, Via::Socket, ""),
        (Claim::Ready, Via::Socket, "all of it"),
    ];
    assert_eq!(came, wanted);
    // Without the environment, the worktree says whose report it is.
    let mut bare = scene.command(env!("CARGO_BIN_EXE_standup"));
    let inside = scene.attempt(1).worktree.join("deep");
    fs::create_dir(&inside).expect("mkdir");
    let out = said(bare.args(["check-in", "--did", "from deep inside"]).current_dir(&inside));
    assert!(text(&out.stdout).starts_with("checked in through the outbox"), "{out:?}");
    poll("the report", || scene.dids(1).contains(&"from deep inside".to_owned()));
    let mut bare = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = said(bare.args(["brief"]).current_dir(&inside));
    assert_eq!(out.stdout, b"# Task number 1\n");
}

#[test]
fn a_report_that_goes_two_ways_counts_once() {
    let scene = living(1);
    let env = scene.agent_env(1);
    let mut client = Client::open(env["STANDUP_SOCKET"].as_ref(), &env["STANDUP_TOKEN"]).expect("connect");
    let check_in = CheckIn { did: "once".into(), ..CheckIn::of(Claim::Working) };
    let stamp = Stamp { id: Some("n1".into()), ..Stamp::default() };
    let request = Request::CheckIn { check_in, stamp, via: None, listens: false };
    client.ask(&request).expect("taken");
    // Its writer has not heard the answer, and leaves it in the outbox.
    scene.post(1, "n1.json", &letter("once", &json!({"id": "n1"})));
    scene.until_refused(1, "it came already: id n1");
    assert!(matches!(client.ask(&request), Err(ClientError::Refused(r)) if r.code == RefusalCode::Policy));
    assert_eq!(scene.dids(1), ["once"]);
}

#[test]
fn forged_foreign_and_spoilt_reports_are_refused_and_said() {
    let scene = living(2);
    let own = scene.agent_env(1);
    // A token that was changed to another attempt's name opens nothing; one that is right speaks for its own.
    let forged = own["STANDUP_TOKEN"].replacen("T1-1-1", "T2-1-1", 1);
    let refused = Client::open(own["STANDUP_SOCKET"].as_ref(), &forged).expect_err("refused").to_string();
    assert!(refused.contains("opens nothing"), "{refused}");
    let mut other = scene.as_agent(1, &["check-in", "--did", "mine"]);
    let out = said(other.env("STANDUP_TOKEN", &scene.agent_env(2)["STANDUP_TOKEN"]));
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(8), String::new()), "{out:?}");
    scene.until_refused(2, "it says that it is of T1/1, and came from T2/1");
    poll("a warning", || scene.log().contains("refused a report: it says that it is of T1/1, and came from T2/1"));

    let before = standup::model::time::Wall(scene.attempt(1).planned_at.0 - 60_000);
    scene.post(1, "old.json", &letter("old", &json!({"at": before})));
    scene.until_refused(1, "it is dated ");
    scene.post(1, "other.json", &letter("other", &json!({"attempt": "T2/1"})));
    scene.until_refused(1, "it says that it is of T2/1, and came from T1/1");
    scene.post(1, "more.json", &letter("more", &json!({"approved": true})));
    scene.until_refused(1, "unknown field `approved`");
    scene.post(1, "next.json", &letter("next", &json!({"schemaVersion": 2})));
    scene.until_refused(1, "schemaVersion 2 is not known");
    scene.post(1, "large.json", &letter(&"x".repeat(70_000), &json!({})));
    scene.until_refused(1, "large.json is longer than");
    scene.post(1, "binary.json", &(0..=255).collect::<Vec<u8>>());
    scene.until_refused(1, "binary.json is not JSON");
    fs::write(scene.outbox(1).join("half.json"), &letter("half", &json!({}))[..30]).expect("write");
    scene.until_refused(1, "half.json is not JSON");
    assert_eq!((scene.dids(1).len(), scene.dids(2).len()), (0, 0), "none of them counts");
    assert!(scene.outbox(1).join(".refused-more.json").exists(), "its writer can find it");
    scene.post(1, "good.json", &letter("good", &json!({})));
    poll("a good one", || scene.dids(1) == ["good"]);
}

#[test]
fn ten_thousand_letters_cost_no_more_than_their_share() {
    let scene = living(2);
    let outbox = scene.outbox(1);
    for n in 0..10_000 {
        fs::write(outbox.join(format!("{n:05}.json")), letter(&format!("n{n}"), &json!({}))).expect("write");
    }
    let letters = || {
        fs::read_dir(&outbox)
            .expect("outbox")
            .flatten()
            .filter(|e| !e.file_name().as_encoded_bytes().starts_with(b"."))
            .count()
    };
    let end = Instant::now() + SOON * 4;
    while letters() > 0 {
        assert!(Instant::now() < end, "{} letters are left", letters());
        scene.assert_awake();
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = scene.refusals(1);
    assert!(said.len() <= 30, "{} refusals: {said:#?}", said.len());
    assert!(said.iter().any(|why| why.contains("reports at once")), "{said:?}");
    let taken = scene.events(1).iter().filter(|e| matches!(e, Event::CheckInReceived { .. })).count();
    assert!((1..=220).contains(&taken), "{taken} were taken");
    let kept = fs::read_dir(&outbox).expect("outbox").count();
    assert!(kept <= 110, "{kept} files are kept");
    // Its neighbour is heard as ever.
    scene.post(2, "good.json", &letter("good", &json!({})));
    poll("the neighbour", || scene.dids(2) == ["good"]);
}

#[test]
fn an_outbox_that_is_none_is_said_once_and_no_harm() {
    let scene = living(1);
    let (outbox, secret) = (scene.outbox(1), scene.home().join("secret"));
    fs::create_dir_all(&secret).expect("mkdir");
    fs::write(secret.join("a.json"), letter("stolen", &json!({}))).expect("write");
    let wake = |n: u32| fs::write(scene.attempt(1).worktree.join(format!("file{n}")), "x").expect("write");
    let away = |n: u32| fs::rename(&outbox, outbox.with_file_name(format!("old{n}"))).expect("rename");
    away(1);
    // Nothing else happens in the worktree.
    std::os::unix::fs::symlink(&secret, &outbox).expect("link");
    scene.until_refused(1, "is not a folder of its own");
    wake(1);
    fs::remove_file(&outbox).expect("remove");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &outbox, rustix::fs::FileType::Fifo, mode, 0).expect("fifo");
    wake(2);
    scene.assert_awake();
    let out = said(&mut scene.as_agent(1, &["check-in", "--did", "by socket"]));
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    fs::remove_file(&outbox).expect("remove");
    fs::create_dir(&outbox).expect("mkdir");
    scene.post(1, "good.json", &letter("good", &json!({})));
    poll("a good one", || scene.dids(1) == ["by socket", "good"]);
    assert!(secret.join("a.json").exists(), "what a link leads to is neither read nor removed");
    let said = scene.refusals(1);
    assert_eq!(said.len(), 1, "{said:?}");
    let mut show = scene.command(env!("CARGO_BIN_EXE_standup"));
    let shown = text(&said_by(show.arg("-C").arg(scene.repo()).args(["show", "T1"])));
    assert!(shown.contains("is not a folder of its own"), "{shown}");
}

#[test]
fn an_outbox_that_is_none_does_not_stop_the_clock() {
    let soon = "[check_in]\nevery = \"1s\"\nnudges = 1\ngrace = \"1s\"\n";
    let mut scene = Scene::new(&(scripted(&STAYS.replace("do sleep", "do echo .; sleep")) + soon));
    scene.start();
    scene.live(1);
    let outbox = scene.outbox(1);
    fs::rename(&outbox, outbox.with_file_name("old")).expect("rename");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &outbox, rustix::fs::FileType::Fifo, mode, 0).expect("fifo");
    scene.until_refused(1, "is not a folder of its own");
    scene.until("late", |b| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Late));
}

#[test]
fn a_hook_is_quick_and_quiet_whatever_it_is_given() {
    let mut scene = living(1);
    let run = |mut command: Command, input: &[u8]| {
        let began = Instant::now();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        // It may have gone without reading.
        let _ = child.stdin.take().expect("stdin").write_all(input);
        let out = child.wait_with_output().expect("ends");
        assert_eq!((out.status.code(), text(&out.stdout), text(&out.stderr)), (Some(0), String::new(), String::new()));
        began.elapsed()
    };
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for input in [b"no json".as_slice(), b"", b"[1,2]", b"{\"hook_event_name\":7}", &binary, &vec![b'['; 200_000]] {
        let took = run(scene.as_agent(1, &["hook", "claude"]), input);
        // It gives up after 0.9 s; the rest is for a busy machine.
        assert!(took < SOON, "{took:?}");
    }
    scene.until_refused(1, "it said something else than it should");
    let told = |e: &Event| matches!(e, Event::CheckInRefused { what: Sent::Hook, .. });
    assert!(
        scene.events(1).iter().all(|e| told(e) || !matches!(e, Event::CheckInRefused { .. })),
        "no report was sent"
    );
    // It outlives its agent.
    let late = || scene.as_agent(1, &["hook", "claude"]);
    let mut report = scene.as_agent(1, &["check-in", "--did", "from beyond"]);
    scene.signal_file(1, "stop");
    scene.until("the end", |b| b.tasks[&id(1)].attempt().is_some_and(|a| !a.is_active()));
    scene.until_refused_of(1, "it fired, and the agent has ended", || {
        run(late(), br#"{"hook_event_name":"Stop","session_id":"x"}"#);
    });
    let out = said(&mut report);
    assert_eq!(out.status.code(), Some(8), "{out:?}");
    scene.until_refused(1, "the agent of T1/1 has ended");
    // And its supervisor.
    let hook = scene.as_agent(1, &["hook", "claude"]);
    scene.kill();
    run(hook, b"{}");
}

#[test]
fn what_an_earlier_start_left_behind_is_not_heard() {
    let mut scene = Scene::new(&crate::scene::resting());
    scene.start();
    scene.live(1);
    let tokens = standup::supervisor::token::Tokens::new(
        standup::store::token::Token::load(&scene.place.layout.user_token()).expect("token"),
    );
    let old = tokens.of_host(&standup::model::name::HostId::new("T1-1-1").expect("host"));
    scene.until("at rest", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.turn_over));
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.until("stopped", |b| b.tasks[&id(1)].attempt().is_some_and(|a| !a.is_active()));
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("again", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.launches == 2 && a.host().is_some()));
    let socket = scene.place.layout.control_socket().expect("socket");
    let mut left = Client::open(&socket, &old).expect("connect");
    let check_in = CheckIn::of(Claim::Ready);
    let refused = left.ask(&Request::CheckIn { check_in, stamp: Stamp::default(), via: None, listens: false });
    assert!(matches!(&refused, Err(ClientError::Refused(r)) if r.text.contains("start 1")), "{refused:?}");
    let refused = left.ask(&Request::Hear { wait_s: 0 });
    assert!(matches!(&refused, Err(ClientError::Refused(_))), "{refused:?}");
}

#[test]
fn one_who_waits_hears_the_answer_over_a_restart_and_nobody_types_it() {
    let mut scene = living(1);
    let mut ask = scene.as_agent(1, &["ask", "Which?", "--wait", "--timeout", "60s"]);
    let waiting = ask.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    scene.until("the question", |b| b.tasks[&id(1)].needs_you.is_some());
    scene.kill();
    scene.start();
    scene.until("the question", |b| b.tasks[&id(1)].needs_you.is_some());
    // This agent takes no messages: it can be told because, and once, it listens.
    let send = || scene.wish(Wish::Send { task: id(1), text: "the\nleft one".into(), now: false });
    poll("it listens", || send().is_ok());
    let out = waiting.wait_with_output().expect("ends");
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "the\nleft one".to_owned()), "{out:?}");
    let task = scene.until("delivered", |b| b.tasks[&id(1)].needs_you.is_none()).tasks.remove(&id(1)).expect("task");
    assert_eq!(task.messages.iter().map(|m| m.delivery.clone()).collect::<Vec<_>>(), [Delivery::Delivered]);
    let out = said(&mut scene.as_agent(1, &["ask", "And now?", "--wait", "--timeout", "1s"]));
    assert_eq!(out.status.code(), Some(124), "{out:?}");
    let out = said(scene.as_agent(1, &["ask", "Out there?", "--wait"]).env("STANDUP_SOCKET", "/nowhere/at/all"));
    assert_eq!(out.status.code(), Some(69), "{out:?}");
    scene.until("the question all the same", |b| {
        b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.question == "Out there?")
    });
}

/// Plans, and runs of checks, that one sends without end.
const FLOOD: usize = 300;

#[test]
fn runs_of_checks_and_plans_without_end_store_no_more_than_their_share() {
    let settings = format!(
        "schema = 1\n[wip]\nbuild = 60\n[agents.it]\nadapter = \"claude\"\ncommand = [\"sh\", \"-c\", '''{RESTS}''']\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    let mut plans = crate::scene::spec("Task number 1");
    plans.mode = standup::model::task::Mode::Checkpoint;
    scene.add_specs(vec![plans]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    scene.until("it works", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Working));
    let session = scene.attempt(1).session.expect("chosen");
    let env = scene.agent_env(1);
    let mut agent = Client::open(env["STANDUP_SOCKET"].as_ref(), &env["STANDUP_TOKEN"]).expect("connect");
    let mut refused = 0;
    for n in 0..FLOOD {
        let tool = json!({"plan": format!("plan {n}")});
        let payload = json!({"hook_event_name": "PermissionRequest", "session_id": session, "cwd": "/w",
                             "tool_name": "ExitPlanMode", "tool_input": tool});
        agent.ask(&Request::Hook { dialect: "claude".into(), payload, stamp: Stamp::default() }).expect("heard");
        match agent.ask(&Request::Check { wait_s: 60, run: None }) {
            Ok(_) => {}
            Err(ClientError::Refused(why)) if why.text.contains("runs of checks at once") => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    let last = format!("plan {}", FLOOD - 1);
    scene.until("the last plan", |b| {
        b.tasks[&id(1)].attempt().and_then(|a| a.plan.as_ref()).is_some_and(|plan| plan.text == last)
    });
    let events = scene.events(1);
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|e| wanted(e)).count();
    let proposed = count(|e| matches!(e, Event::PlanProposed { .. }));
    let begun = count(|e| matches!(e, Event::ChecksStarted { .. }));
    assert!(refused > 0 && begun + refused == FLOOD && begun < FLOOD / 2, "{begun} begun, {refused} refused");
    assert!(proposed < FLOOD / 2, "{proposed} plans");
}
