//! The program's own `host attach` on hosts that really run.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use sha2::Digest;
use standup::os::process::ProcessId;

use super::outer::Outer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_standup");

/// A host called `one` in a home of its own; stopped at the end.
struct Host {
    home: tempfile::TempDir,
}

impl Host {
    fn start(script: &str) -> Self {
        let host = Self { home: tempfile::tempdir().expect("temp dir") };
        let out = host.standup(&["host", "start", "one", "--", "/bin/sh", "-c", script]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        host
    }

    fn standup(&self, args: &[&str]) -> Output {
        #[expect(clippy::disallowed_methods, reason = "the test plays the person at the shell")]
        let mut command = Command::new(PROGRAM);
        command.args(args).env("STANDUP_HOME", self.home()).env_remove("STANDUP_HOST").output().expect("run")
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn attach(&self, flags: &[&str]) -> Outer {
        // The shell says its number, which the client then takes over.
        let say = "printf '\\033]777;pid=%d\\007' $$; exec \"$@\"";
        let program = [&["/bin/sh", "-c", say, "sh", PROGRAM, "host", "attach"], flags, &["one"]].concat();
        Outer::run(&program, &[("STANDUP_HOME", self.home().to_str().expect("UTF-8"))])
    }

    fn list(&self) -> String {
        String::from_utf8(self.standup(&["host", "list"]).stdout).expect("UTF-8")
    }

    /// The host process, by the socket it listens on.
    fn process(&self) -> ProcessId {
        let stream = standup::os::socket::connect(&self.home().join("run/one.sock")).expect("connect");
        let peer = rustix::net::sockopt::socket_peercred(&stream).expect("peer");
        ProcessId::of(u32::try_from(peer.pid.as_raw_nonzero().get()).expect("a pid")).expect("alive")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.standup(&["host", "stop", "one"]);
    }
}

const DETACHED: &str = "[detached from one; standup host attach one returns]";

/// Prints what it is told, until `exit N`.
const ECHOES: &str = "stty -echo; echo ready; while read -r line; do case $line in exit*) exit ${line#exit };; esac; echo \"got $line\"; done";

#[test]
fn detaching_leaves_the_agent_and_attaching_again_shows_it() {
    let host = Host::start(ECHOES);
    let mut outer = host.attach(&[]);
    outer.wait_for_text("ready");
    outer.type_keys(b"one\r");
    outer.wait_for_text("got one");
    outer.type_keys(b"\x1dd");
    assert_eq!(outer.wait_ended(), DETACHED);
    outer.assert_given_back();
    assert!(host.list().contains("running"));

    let mut again = host.attach(&[]);
    again.wait_for_text("got one");
    again.type_keys(b"exit 7\r");
    assert_eq!(again.wait_ended(), "[one exited with code 7]");
    again.assert_given_back();
}

#[test]
fn a_full_screen_program_is_shown_with_its_modes_and_left_without_them() {
    let set = "\\033[?1049h\\033[?1003h\\033[?1006h\\033[?2004h\\033[>5u\\033[>4;2m\\033[?25l\\033[5 qfull screen";
    let host = Host::start(&format!("stty raw -echo; printf '{set}'; exec cat"));
    for _ in 0..2 {
        let mut outer = host.attach(&[]);
        outer.wait_for_text("full screen");
        for mode in ["\x1b[?1049h", "\x1b[?1003h", "\x1b[?1006h", "\x1b[?2004h", "\x1b[>4;2m", "\x1b[?25l", "\x1b[5 q"]
        {
            outer.wait_for_bytes(mode.as_bytes());
        }
        outer.type_keys(b"\x1b[93;5u\x1b[100u");
        assert_eq!(outer.wait_ended(), DETACHED);
        outer.assert_given_back();
    }
}

#[test]
fn a_killed_host_gives_the_terminal_back() {
    let host = Host::start(ECHOES);
    let mut outer = host.attach(&[]);
    outer.wait_for_text("ready");
    assert!(host.process().signal(Signal::KILL));
    assert_eq!(outer.wait_ended(), "[the host of one is gone]");
    outer.assert_given_back();
}

#[test]
fn signals_to_the_client_leave_the_agent_running() {
    let host = Host::start(ECHOES);
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut outer = host.attach(&[]);
        outer.wait_for_text("ready");
        outer.signal(signal);
        outer.wait_exit();
        outer.assert_given_back();
    }
    assert!(host.list().contains("running"));
}

#[test]
fn a_killed_client_locks_nobody_out() {
    let host = Host::start("while :; do echo tick; done");
    for _ in 0..5 {
        let mut outer = host.attach(&[]);
        outer.wait_for_text("tick");
        outer.signal(Signal::KILL);
        outer.wait_exit();
    }
    let mut outer = host.attach(&[]);
    outer.wait_for_text("tick");
    outer.type_keys(b"\x1dd");
    outer.wait_exit();
    outer.assert_given_back();
}

#[test]
fn the_agent_sees_the_terminals_size_and_its_changes() {
    let host = Host::start("stty -echo; trap 'stty size' WINCH; echo ready; while :; do read -r line; stty size; done");
    let outer = host.attach(&[]);
    outer.wait_for_text("ready");
    outer.type_keys(b"\r");
    outer.wait_for_text("24 80");
    outer.resize(33, 99);
    outer.wait_for_bytes(b"33 99");
}

#[test]
fn two_people_see_the_same_and_both_may_type() {
    let host = Host::start(ECHOES);
    let (mut first, mut second) = (host.attach(&[]), host.attach(&[]));
    first.wait_for_text("ready");
    second.wait_for_text("ready");
    first.type_keys(b"left\r");
    second.wait_for_text("got left");
    second.type_keys(b"right\r");
    first.wait_for_text("got right");
    first.type_keys(b"\x1dd");
    first.wait_ended();
    second.type_keys(b"still\r");
    second.wait_for_text("got still");
    second.type_keys(b"\x1dd");
    second.wait_ended();
}

#[test]
fn a_reader_sees_and_does_not_type() {
    let host = Host::start(ECHOES);
    let (mut reader, mut writer) = (host.attach(&["--readonly"]), host.attach(&[]));
    reader.wait_for_text("ready");
    writer.wait_for_text("ready");
    reader.type_keys(b"exit 9\r");
    writer.type_keys(b"mine\r");
    reader.wait_for_text("got mine");
    reader.type_keys(b"\x1dd");
    assert_eq!(reader.wait_ended(), DETACHED);
    writer.type_keys(b"exit 0\r");
    assert_eq!(writer.wait_ended(), "[one exited with code 0]");
}

#[test]
fn a_megabyte_of_bracketed_paste_reaches_the_agent_unchanged() {
    let body: Vec<u8> = (0..1usize << 20).map(|i| b"\x1dd\x1b[93;5ud 0123456789\r"[i % 22]).collect();
    let paste = [&b"\x1b[200~"[..], &body, b"\x1b[201~"].concat();
    let host = Host::start(&format!(
        "stty raw -echo; printf '\\033[?2004hready'; head -c {} | sha256sum; sleep 60",
        paste.len()
    ));
    let mut outer = host.attach(&[]);
    outer.wait_for_text("ready");
    let sum: String = sha2::Sha256::digest(&paste).iter().map(|byte| format!("{byte:02x}")).collect();
    outer.type_in_background(paste);
    outer.wait_for_text(&sum);
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_slow_terminal_skips_ahead_to_the_right_screen() {
    let host = Host::start("stty -echo; echo ready; read -r line; yes | head -c 4000000; echo the end; read -r line");
    let mut outer = host.attach(&[]);
    outer.wait_for_text("ready");
    outer.stop_reading();
    outer.type_keys(b"\r");
    // Another client, which reads, tells when the flood is over.
    let witness = host.attach(&[]);
    witness.wait_for_text("the end");
    outer.start_reading();
    outer.wait_for_text("y\ny\nthe end");
    assert!(outer.output_len() < 3_000_000, "nothing was skipped");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn lines_above_the_screen_come_with_it() {
    let host = Host::start("for i in $(seq 100); do echo row $i; done; exec sleep 60");
    let mut outer = host.attach(&[]);
    outer.wait_for_text("row 100");
    let above = outer.scrollback_text();
    assert!(above.contains("row 1\nrow 2\n") && above.contains("row 70\n"), "{above:?}");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
}

#[test]
fn attaching_inside_a_host_is_refused() {
    let host = Host::start(&format!("echo ready; read -r line; {PROGRAM} host attach one; echo code $?; read -r line"));
    let outer = host.attach(&[]);
    outer.wait_for_text("ready");
    outer.type_keys(b"\r");
    outer.wait_for_text("cannot attach to one: this terminal already belongs to an agent (one)");
    outer.wait_for_text("code 1");
}
