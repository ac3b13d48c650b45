//! A host that lives on from another `standup`, with which nothing can be said.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use standup::model::attempt::{Attempt, End, Exit, HostFacts};
use standup::model::board::Board;
use standup::model::event::{Event, NeedKind};
use standup::model::input::Command as Wish;
use standup::model::state::RunKind;
use standup::os::process::ProcessId;
use standup::wire::host::{Frame, FromHost, VERSIONS, Versions};

use crate::peer::Peer;
use crate::pty::OnPty;
use crate::scene::{Scene, id, pids, playing, poll, runs};

/// What the other `standup` speaks: nothing that this one does.
const THEIRS: Versions = Versions { min: VERSIONS.max + 1, max: VERSIONS.max + 2 };

/// How this is told.
fn both() -> [String; 2] {
    let (min, max) = (THEIRS.min, THEIRS.max);
    [format!("speaks versions {min} to {max}"), format!("version {}", VERSIONS.max)]
}

/// Stands before a real host and answers in its place as one of another version does: to whatever
/// hello with what it speaks, then it hangs up. The host behind it, its lock and its files are real.
struct Stranger {
    socket: PathBuf,
    kept: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    fn before(socket: PathBuf) -> Self {
        let kept = socket.with_extension("kept");
        std::fs::rename(&socket, &kept).expect("rename");
        let listener = UnixListener::bind(&socket).expect("listen");
        listener.set_nonblocking(true).expect("an end that nobody has to knock for");
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            let mut answer = Vec::new();
            FromHost::Unsupported(THEIRS).encode(&mut answer).expect("encode");
            while !told.load(Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(&answer));
            }
        });
        Self { socket, kept, over, thread: Some(thread) }
    }

    /// Lets the host itself be reached again.
    fn leave(mut self) {
        self.end();
        std::fs::rename(&self.kept, &self.socket).expect("rename");
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the stranger's thread");
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
            // A scene that ends asks the hosts to.
            let _ = std::fs::rename(&self.kept, &self.socket);
        }
    }
}

fn attempt(board: &Board) -> Option<&Attempt> {
    board.tasks.get(&id(1))?.attempt()
}

/// A task whose agent lives, with a host of another version, and a supervisor that met it.
fn met(acts: &[&str], orphans: &std::path::Path) -> (Scene, HostFacts, Stranger) {
    let with_pids = format!("\"--pids\", \"{}\", \"--ttl\"", orphans.display());
    let mut scene = Scene::new(&playing(acts).replace("\"--ttl\"", &with_pids));
    scene.start();
    let facts = scene.live(1).remove(0);
    poll("output", || Peer::status(&scene.host_socket(&facts.id)).output_bytes > 0);
    scene.kill();
    let stranger = Stranger::before(scene.host_socket(&facts.id));
    scene.start();
    scene.until("what the host speaks", |b| {
        attempt(b).is_some_and(|a| a.run.kind == RunKind::Unknown && !a.run.text.is_empty())
    });
    (scene, facts, stranger)
}

fn lives(facts: &HostFacts) -> bool {
    [facts.host, facts.agent].iter().all(|of| ProcessId { pid: of.pid, start: of.start }.is_alive())
}

/// What a command prints, on both of its streams, and its exit code.
fn said(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = command.arg("-C").arg(scene.repo()).args(args).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.code(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn an_agent_whose_host_is_not_understood_lives_on_and_every_verb_says_so() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let (mut scene, facts, stranger) = met(&["count=20", "exit=0"], file.path());
    assert!(lives(&facts));
    let need = scene.task(1).needs_you.expect("somebody must look");
    assert_eq!(need.kind, NeedKind::Exit);
    for part in both().iter().map(String::as_str).chain(["newer standup", "start it again"]) {
        assert!(need.question.contains(part), "{part:?} is not in {:?}", need.question);
    }
    for args in [&["status"][..], &["show", "T1"], &["state", "T1"], &["state", "T1", "--json"], &["next"]] {
        let (code, text) = said(&scene, args);
        assert!(matches!(code, Some(0)), "{args:?}: {code:?} {text}");
        let whole = both().iter().all(|part| text.contains(part));
        assert!(whole, "{args:?}: {text}");
    }
    // Attaching would come to the same, and is no advice.
    let shown = said(&scene, &["show", "T1"]).1;
    assert!(shown.contains("standup stop T1") && !shown.contains("standup attach T1"), "{shown}");
    // A matching supervisor finds everything as it was.
    scene.kill();
    stranger.leave();
    scene.start();
    let heard = |b: &Board| {
        let task = &b.tasks[&id(1)];
        task.needs_you.is_none() && task.attempt().is_some_and(|a| a.run.kind == RunKind::Working)
    };
    let board = scene.until("its agent", heard);
    assert_eq!(attempt(&board).and_then(Attempt::host), Some(&facts));
    scene.signal_file(1, "stop");
    scene.until("its end", |b| attempt(b).is_some_and(|a| a.end().is_some()));
    let exit = Exit { code: Some(0), signal: None };
    assert_eq!(scene.attempt(1).end(), Some(&End::Exited { exit }));
    let lost = scene.events(1).into_iter().filter(|e| matches!(e, Event::HostLost { .. })).count();
    assert_eq!(lost, 0);
}

#[test]
fn one_attaches_to_no_host_of_another_version_and_is_told_what_to_do() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let (scene, facts, _stranger) = met(&["count=20", "exit=0"], file.path());
    let path = std::env::var("PATH").expect("PATH");
    let home = scene.home().display().to_string();
    let env = [("HOME", &home), ("STANDUP_HOME", &home), ("PATH", &path)].map(|(n, v)| (n.to_owned(), v.clone()));
    let mut attach = OnPty::start(env!("CARGO_BIN_EXE_standup").as_ref(), &["attach", "T1"], &scene.repo(), &env);
    let ended = attach.wait();
    let text = String::from_utf8_lossy(&attach.printed).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ended.exit_code(), 1, "{text}");
    for part in both().iter().map(String::as_str).chain(["a newer standup", "standup stop T1"]) {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert!(lives(&facts));
}

#[test]
fn a_stop_ends_agent_and_tree_whatever_the_host_speaks() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let (scene, facts, _stranger) = met(&["orphans=3", "count=20", "exit=0"], file.path());
    poll("the orphans", || pids(file.path()).len() == 3);
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    let board = scene.until("the stop", |b| attempt(b).is_some_and(|a| a.end().is_some()));
    assert!(matches!(attempt(&board).and_then(Attempt::end), Some(End::Stopped { .. })), "{board:?}");
    assert!(!runs(facts.agent.pid));
    poll("the host's end", || !runs(facts.host.pid));
    assert!(pids(file.path()).iter().all(|pid| !runs(*pid)), "nothing of the tree is left");
    // It was asked in a way that it understands, and not killed: it left its word.
    let exit = scene.record(facts.id.as_str()).exit.expect("an exit record");
    assert!(exit.stopped && exit.leftovers == 3, "{exit:?}");
    assert_eq!(board.tasks[&id(1)].needs_you, None);
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("a host that is understood", |b| {
        attempt(b).is_some_and(|a| a.host().is_some_and(|host| host.id != facts.id))
    });
}

#[test]
fn the_end_of_an_agent_whose_host_is_not_understood_is_an_end_and_no_loss() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let (scene, facts, _stranger) = met(&["count=20", "exit=7"], file.path());
    scene.signal_file(1, "stop");
    let board = scene.until("the end", |b| attempt(b).is_some_and(|a| a.end().is_some()));
    let exit = Exit { code: Some(7), signal: None };
    assert_eq!(attempt(&board).and_then(Attempt::end), Some(&End::Exited { exit }));
    let question = board.tasks[&id(1)].needs_you.as_ref().map(|need| need.question.as_str()).unwrap_or_default();
    assert!(question.contains("ended with"), "{question}");
    assert!(!runs(facts.agent.pid));
}
