//! Hooks that fire while nobody listens, and everything that can be wrong with what they leave.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standup::model::board::Board;
use standup::model::event::{Event, NeedKind};
use standup::model::state::{RunKind, Source};
use standup::wire::control::{Answer, Request, Signal};

use crate::mail::put;
use crate::scene::{Scene, id, poll};

/// The supervisor says in its log what it passes over.
const TALKS: (&str, &str) = ("STANDUP_LOG", "info");

/// More than a hook may take, on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// An agent that works until it is told otherwise, and says so.
const WORKS: &str = "env > $STANDUP_DIR/.env; mv $STANDUP_DIR/.env $STANDUP_DIR/env; \
                     printf '\\033]7501;state=working:app=x\\007'; \
                     while [ ! -e $STANDUP_DIR/over ]; do sleep 0.05; done; printf '\\033]7501;state=done:app=x\\007'; \
                     while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done";

fn working() -> Scene {
    let settings = format!(
        "schema = 1\n[wip]\nbuild = 60\n[agents.it]\nadapter = \"claude\"\ncommand = [\"sh\", \"-c\", '''{WORKS}''']\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.live(1);
    scene.until("it works", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Working));
    scene
}

/// What Claude Code hands to a hook.
pub(crate) fn payload(scene: &Scene, name: &str, more: &Value) -> Value {
    let session = scene.attempt(1).session.expect("chosen");
    let mut payload = json!({"hook_event_name": name, "session_id": session, "cwd": "/w"});
    for (key, value) in more.as_object().into_iter().flatten() {
        payload[key] = value.clone();
    }
    payload
}

fn asks() -> Value {
    json!({"last_assistant_message": "I looked around.\nTabs or spaces?"})
}

/// Runs a hook as the agent's CLI does: it says nothing, fails never, and is quick.
#[track_caller]
pub(crate) fn fire(mut hook: Command, payload: &str) {
    let began = Instant::now();
    let piped = || Stdio::piped();
    let mut child = hook.stdin(piped()).stdout(piped()).stderr(piped()).spawn().expect("starts");
    let _ = child.stdin.take().expect("stdin").write_all(payload.as_bytes());
    let out = child.wait_with_output().expect("ends");
    assert_eq!((out.status.code(), out.stdout.len(), out.stderr.len()), (Some(0), 0, 0), "{out:?}");
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
}

/// The letters of hooks that lie there.
fn letters(outbox: &Path) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(outbox) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let is_hook = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.ends_with(".hook") && !name.starts_with('.')
    };
    let hooks = paths.into_iter().filter(is_hook);
    hooks.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect()
}

impl Scene {
    fn signals(&self) -> Vec<Signal> {
        match self.client().ask(&Request::Explain { task: id(1) }).expect("answered") {
            Answer::Signals { signals } => signals,
            other => panic!("unexpected answer {other:?}"),
        }
    }

    fn hook_signal(&self) -> Option<Signal> {
        self.signals().into_iter().find(|s| s.source == Source::Hook)
    }
}

#[test]
fn what_a_hook_said_while_no_supervisor_ran_is_heard_by_the_next_at_its_age() {
    let mut scene = working();
    let (stop, prompt) =
        (payload(&scene, "Stop", &asks()), payload(&scene, "UserPromptSubmit", &json!({"prompt": "go"})));
    let tool = payload(&scene, "PreToolUse", &json!({"tool_name": "Bash"}));
    let (outbox, dir) = (scene.outbox(1), scene.run_dir(1));
    let hooks: Vec<Command> = (0..3).map(|_| scene.as_agent(1, &["hook", "claude"])).collect();
    scene.kill();
    for (hook, payload) in hooks.into_iter().zip([&prompt, &tool, &stop]) {
        fire(hook, &payload.to_string());
    }
    let fired = Instant::now();
    let kept = letters(&outbox);
    assert_eq!(kept.len(), 2, "a tool that starts means nothing later: {kept:#?}");
    assert!(kept.iter().all(|l| l["kind"] == "hook" && l["attempt"] == "T1/1"), "{kept:#?}");
    fs::write(dir.join("over"), "").expect("write");
    // Long enough to tell its age from none.
    std::thread::sleep(Duration::from_secs(2));
    scene.start();
    let need = scene.until("it asks in prose", |b| b.tasks[&id(1)].needs_you.is_some()).tasks[&id(1)].needs_you.clone();
    let need = need.expect("a need");
    assert_eq!((need.kind, need.question.as_str()), (NeedKind::Question, "Tabs or spaces?"));
    let told = scene.hook_signal().expect("a hook is heard");
    assert_eq!(told.kind, Some(RunKind::Idle));
    assert!(told.age_s >= 2.0 && told.age_s <= fired.elapsed().as_secs_f64() + 2.0, "{told:?}");
    poll("the letters are taken", || letters(&outbox).is_empty());
    // The first that was told of it had the question in it: no check began in between.
    let checked = |e: &Event| matches!(e, Event::ChecksStarted { .. });
    assert!(!scene.events(1).iter().any(checked), "{:#?}", scene.events(1));
    // And it is no news to a third.
    scene.kill();
    scene.start();
    scene.until("it still asks", |b| b.tasks[&id(1)].needs_you.is_some());
}

#[test]
fn no_outbox_holds_a_hook_up_or_leads_it_elsewhere() {
    let mut scene = working();
    let stop = payload(&scene, "Stop", &asks()).to_string();
    let (outbox, secret) = (scene.outbox(1), scene.home().join("secret"));
    fs::create_dir(&secret).expect("mkdir");
    let hook = || scene.as_agent(1, &["hook", "claude"]);
    let (mut hooks, full) = ((0..4).map(|_| hook()).collect::<Vec<_>>(), hook());
    scene.kill();
    fs::remove_dir_all(&outbox).expect("remove");
    std::os::unix::fs::symlink(&secret, &outbox).expect("link");
    fire(hooks.remove(0), &stop);
    assert_eq!(fs::read_dir(&secret).expect("list").count(), 0, "a link is not followed");
    fs::remove_file(&outbox).expect("remove");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &outbox, rustix::fs::FileType::Fifo, mode, 0).expect("fifo");
    fire(hooks.remove(0), &stop);
    fs::remove_file(&outbox).expect("remove");
    // On a disk that is full, where this system lets us have one.
    fs::create_dir(&outbox).expect("mkdir");
    let script = "mount -t tmpfs -o size=16k none \"$0\" && head -c 16384 /dev/zero > \"$0/fill\"; exec \"$@\"";
    let mut on_full = scene.command("unshare");
    on_full.args(["-m", "sh", "-c", script]).arg(&outbox).arg(full.get_program()).args(full.get_args());
    on_full.current_dir(full.get_current_dir().expect("a folder"));
    on_full.envs(full.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut probe = scene.command("unshare");
    if probe.args(["-m", "true"]).output().is_ok_and(|out| out.status.success()) {
        fire_noisy(on_full, &stop);
        assert_eq!(letters(&outbox).len(), 0);
    }
    // One that is gone is made anew.
    fs::remove_dir_all(&outbox).expect("remove");
    fire(hooks.remove(0), &stop);
    assert_eq!(letters(&outbox).len(), 1);
    // A supervisor that is stopped accepts and never answers.
    scene.start_with(&[TALKS]);
    poll("the letter is taken", || letters(&outbox).is_empty());
    scene.signal(rustix::process::Signal::STOP);
    fire(hooks.remove(0), &stop);
    assert_eq!(letters(&outbox).len(), 1);
    scene.signal(rustix::process::Signal::CONT);
    poll("it hears of it once it goes on", || letters(&outbox).is_empty());
}

/// As [`fire`], where the tools around it may have something to say.
#[track_caller]
fn fire_noisy(mut hook: Command, payload: &str) {
    let mut child = hook.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let _ = child.stdin.take().expect("stdin").write_all(payload.as_bytes());
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

#[test]
fn old_forged_spoilt_and_doubled_letters_of_hooks_do_no_harm() {
    let mut scene = working();
    let stop = payload(&scene, "Stop", &asks());
    let letter = |more: &Value| {
        let mut letter = json!({"schemaVersion": 1, "kind": "hook", "dialect": "claude", "payload": stop});
        for (key, value) in more.as_object().into_iter().flatten() {
            letter[key] = value.clone();
        }
        letter.to_string().into_bytes()
    };
    scene.post(1, "a.hook", &letter(&json!({"attempt": "T2/1"})));
    scene.until_refused(1, "it says that it is of T2/1, and came from T1/1");
    poll("a warning", || scene.log().contains("refused a hook: it says that it is of T2/1, and came from T1/1"));
    scene.post(1, "b.hook", &letter(&json!({"approved": true})));
    scene.until_refused(1, "unknown field `approved`");
    scene.post(1, "c.hook", b"\xff\xfe{");
    scene.until_refused(1, "c.hook is not JSON");
    scene.post(1, "d.hook", &letter(&json!({"payload": "x".repeat(70_000)})));
    scene.until_refused(1, "d.hook is longer than");
    scene.post(1, "e.hook", &letter(&json!({"payload": [1]})));
    scene.until_refused(1, "a hook said something else than it should");
    // A check-in is no hook, whatever it is called, and the other way round.
    scene.post(1, "f.hook", br#"{"schemaVersion":1,"kind":"check-in","state":"ready"}"#);
    scene.until_refused(1, "f.hook");
    scene.post(1, "g.json", &letter(&json!({})));
    scene.until_refused(1, "g.json");
    assert!(scene.task(1).check_ins.is_empty() && scene.hook_signal().is_none(), "{:?}", scene.signals());
    // Another conversation's.
    let mut other = stop.clone();
    other["session_id"] = json!("another");
    scene.post(1, "h.hook", &letter(&json!({"payload": other})));
    poll("it is taken", || letters(&scene.outbox(1)).is_empty());
    assert!(scene.hook_signal().is_none(), "{:?}", scene.signals());
    // Twice the same, out of order, dated into the future.
    let prompt = payload(&scene, "UserPromptSubmit", &json!({"prompt": "go"}));
    // What is dated ahead counts from when its file came, by a clock that is some milliseconds behind.
    let now = standup::model::time::Wall(standup::os::clock::now().wall.0 - 100);
    let later = standup::model::time::Wall(now.0 + 3_600_000);
    let outbox = scene.outbox(1);
    scene.kill();
    put(&outbox, "i.hook", &letter(&json!({"id": "n1", "at": later})));
    put(&outbox, "j.hook", &letter(&json!({"id": "n0", "at": now, "payload": prompt})));
    put(&outbox, "k.hook", &letter(&json!({"id": "n1", "at": later})));
    scene.start_with(&[TALKS]);
    poll("they are taken", || letters(&outbox).is_empty());
    let told = scene.hook_signal().expect("a hook is heard");
    assert_eq!(told.kind, Some(RunKind::Idle), "the newest holds: {told:?}");
    assert!(scene.log().contains("a hook came twice"), "{}", scene.log());
    assert_eq!(scene.task(1).attempt().map(|a| a.run.kind), Some(RunKind::Working), "its own report is trusted more");
}

#[test]
fn a_hook_of_an_earlier_start_says_nothing_of_this_one() {
    let mut scene = working();
    let stop = payload(&scene, "Stop", &asks()).to_string();
    let hooks: Vec<Command> = (0..2).map(|_| scene.as_agent(1, &["hook", "claude"])).collect();
    let (outbox, aside, worktree) = (scene.outbox(1), scene.run_dir(1).join("aside"), scene.attempt(1).worktree);
    scene.kill();
    let mut hooks = hooks.into_iter();
    fire(hooks.next().expect("one"), &stop);
    // As if it had been overlooked: its file is as old as it is.
    fs::rename(&outbox, &aside).expect("rename");
    scene.start_with(&[TALKS]);
    scene.wish(standup::model::input::Command::Stop { task: id(1) }).expect("stop");
    scene.until("stopped", |b| b.tasks[&id(1)].attempt().is_some_and(|a| !a.is_active()));
    // One of an agent that has ended is taken, and nothing follows from it.
    scene.kill();
    fire(hooks.next().expect("another"), &stop);
    assert_eq!(letters(&outbox).len(), 1);
    scene.start_with(&[TALKS]);
    poll("it is taken", || letters(&outbox).is_empty());
    scene.wish(standup::model::input::Command::Start { task: id(1) }).expect("start");
    let again =
        |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.launches == 2 && a.run.kind == RunKind::Working);
    scene.until("again", again);
    fs::remove_dir_all(&outbox).expect("remove");
    fs::rename(&aside, &outbox).expect("rename");
    fs::write(worktree.join("news"), "").expect("write");
    poll("it is taken", || letters(&outbox).is_empty());
    assert!(scene.hook_signal().is_none(), "{:?}", scene.signals());
    assert!(scene.log().contains("a hook of an earlier start"), "{}", scene.log());
}

#[test]
fn ten_thousand_hooks_cost_no_more_than_their_share() {
    let mut scene = working();
    let stop = payload(&scene, "Stop", &asks());
    let outbox = scene.outbox(1);
    let hook = scene.as_agent(1, &["hook", "claude"]);
    scene.kill();
    let letter = json!({"schemaVersion": 1, "kind": "hook", "dialect": "claude", "payload": stop}).to_string();
    let flood = || (0..10_000).for_each(|n| fs::write(outbox.join(format!("{n:05}.hook")), &letter).expect("write"));
    flood();
    // The CLI's own hook clears up behind such a flood as far as its time goes, and takes no longer.
    fire(hook, &stop.to_string());
    flood();
    put(&outbox, "good.json", br#"{"schemaVersion":1,"kind":"check-in","state":"working","did":"beside them"}"#);
    scene.start_with(&[TALKS]);
    scene.assert_awake();
    poll("they are taken", || letters(&outbox).is_empty());
    scene.assert_awake();
    poll("the check-in beside them", || scene.dids(1) == ["beside them"]);
    let said = scene.refusals(1);
    assert!(said.len() == 1 && said[0].contains("hooks at once"), "{said:?}");
    assert!(scene.hook_signal().is_some());
}

#[test]
fn a_question_that_nobody_hears_is_heard_by_the_next_supervisor() {
    let mut scene = working();
    let asked = json!({"tool_name": "Bash", "tool_input": {"command": "make all"}});
    let ask = payload(&scene, "PermissionRequest", &asked).to_string();
    let outbox = scene.outbox(1);
    // One that waited when its supervisor was killed, and one that never found any.
    let (mut waits, alone) =
        (scene.as_agent(1, &["hook", "--wait", "claude"]), scene.as_agent(1, &["hook", "--wait", "claude"]));
    let mut waits = waits.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    waits.stdin.take().expect("stdin").write_all(ask.as_bytes()).expect("it reads");
    poll("it is heard", || scene.hook_signal().is_some_and(|s| s.kind == Some(RunKind::Waiting)));
    scene.kill();
    let out = waits.wait_with_output().expect("ends");
    assert_eq!((out.status.code(), out.stdout.len()), (Some(0), 0), "the dialog decides");
    assert_eq!(letters(&outbox).len(), 1);
    fire(alone, &ask);
    assert_eq!(letters(&outbox).len(), 2);
    scene.start();
    poll("the letters are taken", || letters(&outbox).is_empty());
    let told = scene.hook_signal().expect("a hook is heard");
    assert_eq!((told.kind, told.text.as_str()), (Some(RunKind::Waiting), "Bash: make all"));
}
