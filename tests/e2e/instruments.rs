//! The fake agent on a real terminal: every act does what its name says, and nothing stays.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use standup::demo::scratch;
use standup::os::process::ProcessId;

use crate::support::fake_agent;
use crate::support::pty::{DEADLINE, OnPty};

fn environment(extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let path = std::env::var("PATH").expect("PATH is set");
    let mut env = vec![("PATH".to_owned(), path), ("TERM".to_owned(), "xterm-256color".to_owned())];
    env.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    env
}

fn start(args: &[&str], cwd: &Path) -> OnPty {
    OnPty::start(&fake_agent(), args, cwd, &environment(&[]))
}

/// Waits until a condition holds; polling, because the kernel has no event for it.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(pid: u32) -> u8 {
    standup::os::process::Stat::read(pid).map_or(b'?', |stat| stat.state)
}

#[test]
fn the_player_asks_mends_and_leaves_on_a_real_terminal() {
    let dir = tempfile::tempdir().expect("temp dir");
    let stage = scratch::lay(dir.path(), Path::new("/nonexistent"), None).expect("laid");
    let mut agent = start(&["--", "--script", "distance", "--pace", "1", "go"], &stage.repository);
    agent.wait_for("\x1b]7501;state=blocked");
    agent.wait_for("Esc refuses");
    // The answers a terminal gives to the queries it was sent must not be taken for an answer.
    agent.send("\x1b]7501;?:states=idle\x1b\\\x1b[?62;22c");
    agent.send("1");
    agent.wait_for("\x1b]7501;state=done");
    agent.paste("anything else?");
    agent.wait_for("Noted.");
    agent.send("/exit\r");
    agent.wait_for("\x1b]7501;state=clear");
    assert_eq!(agent.wait().exit_code(), 0);
    assert!(stage.repository.join("bin/distance").exists());
}

#[test]
fn the_player_obeys_ctrl_c_twice_and_term() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut agent = start(&["--", "--script", "greet"], dir.path());
    agent.wait_for("› ");
    agent.send("\x03");
    agent.wait_for("again to leave");
    agent.send("\x03");
    assert_eq!(agent.wait().exit_code(), 0);

    let mut agent = start(&["--", "--script", "greet"], dir.path());
    agent.wait_for("› ");
    assert!(ProcessId::of(agent.pid()).expect("lives").signal(rustix::process::Signal::TERM));
    agent.wait_for("\x1b]7501;state=clear");
    assert_eq!(agent.wait().exit_code(), 143);
}

#[test]
fn it_exits_and_dies_as_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    assert_eq!(start(&["--act", "exit=7"], dir.path()).wait().exit_code(), 7);
    for signal in ["9", "11"] {
        let ended = start(&["--act", &format!("die={signal}")], dir.path()).wait();
        assert!(ended.signal().is_some(), "{signal}: {ended:?}");
    }
    assert_eq!(start(&["--act", "dance"], dir.path()).wait().exit_code(), 2);
}

#[test]
fn it_floods_exactly_as_much_as_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut agent = start(&["--act", "flood=1000000", "--act", "exit=0"], dir.path());
    assert_eq!(agent.wait().exit_code(), 0);
    let text = String::from_utf8(agent.printed.clone()).expect("ASCII");
    let lines: Vec<&str> = text.lines().collect();
    assert!(text.replace('\r', "").len() >= 1_000_000);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("line {number:010} ")), "line {number} is {line:?}");
    }
}

#[test]
fn its_orphans_left_the_session_and_ignore_term() {
    let dir = tempfile::tempdir().expect("temp dir");
    let pids = dir.path().join("pids");
    let args = ["--ttl", "60", "--pids", pids.to_str().expect("UTF-8"), "--act", "orphans=2"];
    let args = [&args[..], &["--act", "bare-orphans=1", "--act", "exit=0"]].concat();
    assert_eq!(start(&args, dir.path()).wait().exit_code(), 0);
    let left: Vec<ProcessId> = fs::read_to_string(&pids)
        .expect("written")
        .lines()
        .map(|line| ProcessId::of(line.parse().expect("a pid")).expect("lives on"))
        .collect();
    assert_eq!(left.len(), 3);
    for id in &left {
        let stat = standup::os::process::Stat::read(id.pid).expect("lives on");
        assert_eq!(stat.session, id.pid, "it has a session of its own");
        assert!(id.signal(rustix::process::Signal::TERM) && id.is_alive(), "TERM does not end it");
    }
    for id in &left {
        assert!(id.signal(rustix::process::Signal::KILL));
        until("killed", || !id.is_alive());
    }
}

#[test]
fn a_stubborn_one_ignores_term_and_a_frozen_one_is_stopped() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut agent = start(&["--act", "stubborn"], dir.path());
    agent.wait_for("stubborn");
    let id = ProcessId::of(agent.pid()).expect("lives");
    assert!(id.signal(rustix::process::Signal::TERM) && id.is_alive());

    let mut agent = start(&["--ttl", "20", "--act", "freeze", "--act", "exit=3"], dir.path());
    agent.wait_for("frozen");
    until("stopped", || state(agent.pid()) == b'T');
    assert!(ProcessId::of(agent.pid()).expect("lives").signal(rustix::process::Signal::CONT));
    agent.wait_for("thawed");
    assert_eq!(agent.wait().exit_code(), 3);
}

#[test]
fn it_ends_with_its_time() {
    let dir = tempfile::tempdir().expect("temp dir");
    for act in ["silent", "spin", "close-tty", "deaf"] {
        let mut agent = start(&["--ttl", "1", "--act", act], dir.path());
        assert_eq!(agent.wait().exit_code(), 97, "{act}");
    }
}

#[test]
fn it_lies() {
    let dir = tempfile::tempdir().expect("temp dir");
    let env = environment(&[("STANDUP_DIR", dir.path().to_str().expect("UTF-8"))]);
    let mut agent = OnPty::start(&fake_agent(), &["--act", "lie"], dir.path(), &env);
    agent.wait_for("\x1b]7501;state=done");
    let record = fs::read(dir.path().join("outbox/lie.json")).expect("written");
    let record: standup::model::checkin::CheckIn = serde_json::from_slice(&record).expect("a check-in");
    assert_eq!(record.state, standup::model::checkin::Claim::Ready);
}

#[test]
fn it_destroys_worktrees_and_nothing_else() {
    let dir = tempfile::tempdir().expect("temp dir");
    let plain = dir.path().join("plain");
    fs::create_dir(&plain).expect("mkdir");
    assert_eq!(start(&["--act", "remove-worktree"], &plain).wait().exit_code(), 9);
    assert!(plain.exists());

    fs::write(plain.join(".git"), "gitdir: /nowhere\n").expect("write");
    assert_eq!(start(&["--act", "replace-git=/nowhere/x", "--act", "exit=0"], &plain).wait().exit_code(), 0);
    assert!(fs::read_to_string(plain.join(".git/config")).expect("replaced").contains("fsmonitor = touch /nowhere/x"));

    fs::create_dir_all(plain.join(".standup/run")).expect("mkdir");
    assert_eq!(start(&["--act", "remove-worktree", "--act", "exit=0"], &plain).wait().exit_code(), 0);
    assert!(!plain.exists());
}

#[test]
fn it_prints_hostile_sequences_and_asks_for_permissions() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut agent = start(&["--act", "escapes", "--act", "permission", "--act", "exit=0"], dir.path());
    agent.wait_for("\x1b]52;c;");
    agent.wait_for("escapes done");
    agent.wait_for("kind=permission");
    agent.wait_for("2. No");
    agent.send("2");
    agent.wait_for("got Key(Char('2'))");
    assert_eq!(agent.wait().exit_code(), 0);
}
