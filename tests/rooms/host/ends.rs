//! How agents and hosts end.

use std::collections::BTreeMap;
use std::path::Path;

use standup::agent::adapter;
use standup::agent::launch::{LaunchRequest, launch};
use standup::host::{kill_leftovers, raise_fence};
use standup::model::id::{AttemptNo, TaskId};
use standup::model::name::BranchName;
use standup::model::settings::{AgentSettings, Limit, Mode, PromptVia};
use standup::os::process::{self, ProcessId};
use standup::wire::host::{Bytes, Fence, FromHost, Role};

use super::{Bench, wait_until};

#[test]
fn an_agent_that_ends_at_once_leaves_its_status_and_its_output() {
    for n in 0..25 {
        let bench = Bench::sh("printf hi; exit 7");
        bench.start();
        let record = bench.ended();
        assert_eq!((record.code, record.signal, record.output_bytes), (Some(7), None, 2), "round {n}");
        assert_eq!(bench.output(), b"hi", "round {n}");
    }
}

#[test]
fn a_burst_before_the_end_is_kept_to_the_byte() {
    for n in 0..3 {
        let bench = Bench::sh("head -c 3000000 /dev/zero | tr '\\0' x; printf end");
        bench.start();
        let record = bench.ended();
        let output = bench.output();
        assert_eq!((record.output_bytes, output.len()), (3_000_003, 3_000_003), "round {n}");
        assert!(output.ends_with(b"xend"));
    }
}

#[test]
fn a_signal_that_ends_the_agent_is_told_to_watchers_after_it_is_on_disk() {
    let bench = Bench::sh("read line; kill -KILL $$");
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    let mut client = bench.client(None);
    client.send(&standup::wire::host::ToHost::Input(b"go\r".to_vec()));
    let exit = watcher.expect("the end", |frame| match frame {
        FromHost::AgentExit(exit) => Some(*exit),
        _ => None,
    });
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    let bytes = std::fs::read(bench.host_dir().join("status.json")).expect("on disk before the word");
    assert!(String::from_utf8_lossy(&bytes).contains("\"signal\":9"));
    bench.ended();
    assert!(!bench.spec.socket.as_path().exists());
}

/// Daemons in sessions of their own, whose parents are gone, and who ignore TERM and HUP.
const DAEMONS: &str = "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 100; done' &) ; done; ";

#[test]
fn stop_leaves_nothing_behind() {
    let bench = Bench::sh(&format!("{DAEMONS} echo up; sleep 1000"));
    bench.start();
    let mut client = bench.client(None);
    client.expect_text("up");
    // Each daemon and its sleep; the agent and its sleep.
    wait_until("the daemons", || (bench.family().len() >= 8).then_some(()));
    let record = bench.stop();
    assert!(record.stopped && record.signal == Some(15), "{record:?}");
    assert!(record.leftovers >= 6, "{record:?}");
    assert_eq!(bench.family(), []);
}

#[test]
fn an_agent_starts_with_no_signal_blocked() {
    // No shell: shells unblock everything by themselves.
    let mut bench = Bench::sh("");
    bench.spec.program = "/usr/bin/env".into();
    bench.spec.args = ["grep", "SigBlk", "/proc/self/status"].map(Into::into).to_vec();
    bench.start();
    bench.ended();
    let said = String::from_utf8_lossy(&bench.output()).into_owned();
    assert_eq!(said.trim_end(), "SigBlk:\t0000000000000000");
}

#[test]
fn an_agent_that_ignores_term_is_killed_after_its_grace() {
    let bench = Bench::sh("trap '' TERM; echo up; while :; do sleep 100; done");
    bench.start();
    bench.client(None).expect_text("up");
    let record = bench.stop();
    assert_eq!(record.signal, Some(9));
    assert_eq!(bench.family(), []);
}

#[test]
fn processes_that_fork_and_exit_in_a_row_are_caught() {
    let bench = Bench::sh("hop() { (hop &) ; exit; }; echo up; (hop &) ; sleep 1000");
    bench.start();
    bench.client(None).expect_text("up");
    bench.stop();
    for _ in 0..20 {
        assert_eq!(bench.family(), []);
    }
}

#[test]
fn a_killed_host_takes_its_agent_along_and_its_leftovers_are_found() {
    let other = Bench::sh("echo up; sleep 1000");
    other.start();
    let bench = Bench::sh(&format!("{DAEMONS} echo up; sleep 1000"));
    let address = bench.start();
    bench.client(None).expect_text("up");
    wait_until("the daemons", || (bench.family().len() >= 8).then_some(()));
    let host = ProcessId { pid: address.host.pid, start: address.host.start };
    assert!(host.signal(rustix::process::Signal::KILL));
    wait_until("the lock to be free", || bench.find().is_lost().then_some(()));
    let agent = ProcessId { pid: address.agent.pid, start: address.agent.start };
    wait_until("the agent to follow", || (!agent.is_alive()).then_some(()));
    assert!(!bench.family().is_empty(), "daemons outlive their host");
    assert!(kill_leftovers(&bench.spec.marker) >= 6);
    wait_until("the daemons to go", || bench.family().is_empty().then_some(()));
    assert!(other.find().alive && !other.family().is_empty(), "nobody else was touched");
}

#[test]
fn a_fence_stops_a_late_host_before_its_agent() {
    let mut bench = Bench::sh("touch ran");
    let fence = bench.path("fence");
    raise_fence(&fence, 3).expect("raise");
    bench.spec.fence = Some(Fence { path: fence.clone().into(), number: 2 });
    let error = bench.try_start().expect_err("fenced");
    assert_eq!(error.to_string(), "attempt 2 was given up for attempt 3");
    assert!(bench.ended().error.is_some());
    assert!(!bench.path("ran").exists());

    let mut next = Bench::sh("touch ran");
    next.spec.fence = Some(Fence { path: fence.into(), number: 3 });
    next.start();
    assert_eq!(next.ended().code, Some(0));
    assert!(next.path("ran").exists());
}

#[test]
fn a_program_that_cannot_run_is_named_with_the_reason() {
    let mut bench = Bench::sh("");
    let script = bench.path("script");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").expect("write");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    bench.spec.program = script.clone().into();
    let error = bench.try_start().expect_err("no interpreter").to_string();
    let why = "its interpreter /nonexistent/interpreter does not exist";
    assert_eq!(error, format!("cannot start {}: {why}", script.display()));
    assert_eq!(bench.ended().error.as_deref(), Some(error.as_str()));
}

/// The C library would have `/bin/sh` read it.
#[test]
fn a_file_that_is_no_program_is_not_given_to_a_shell() {
    let mut bench = Bench::sh("");
    let script = bench.path("script");
    std::fs::write(&script, "touch ran\n").expect("write");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    bench.spec.program = script.clone().into();
    let error = bench.try_start().expect_err("no program").to_string();
    let why = "the file has no #! line that names its interpreter";
    assert_eq!(error, format!("cannot start {}: {why}", script.display()));
    assert_eq!(bench.ended().error.as_deref(), Some(error.as_str()));
    assert!(!bench.path("ran").exists());
}

#[test]
fn one_folder_has_one_host() {
    let bench = Bench::sh("echo up; sleep 1000");
    bench.start();
    assert_eq!(bench.try_start().expect_err("taken").to_string(), "another host runs in this folder");
    assert!(bench.find().alive);
    bench.stop();
    let error = bench.try_start().expect_err("ran already").to_string();
    assert!(error.contains("has run already"), "{error}");
}

#[test]
fn stale_locks_go_with_the_agent() {
    let mut bench = Bench::sh("touch admin/index.lock; kill -KILL $$");
    std::fs::create_dir(bench.path("admin")).expect("mkdir");
    bench.spec.lock_dirs = vec![bench.path("admin").into()];
    bench.start();
    let record = bench.ended();
    assert_eq!(record.locks_removed, [bench.path("admin/index.lock").into()]);
    assert!(!bench.path("admin/index.lock").exists());
}

#[test]
fn the_agent_inherits_the_terminal_and_nothing_else() {
    let mut bench = Bench::sh(
        "for fd in /proc/$$/fd/*; do readlink $fd; done; kill -0 $PPID; \
         exec grep -E '^Sig(Ign|Blk)' /proc/self/status",
    );
    let (slot, _other) = std::os::unix::net::UnixStream::pair().expect("pair");
    bench.spec.slot_fd = Some(std::os::fd::AsRawFd::as_raw_fd(&slot));
    bench.start();
    assert_eq!(bench.ended().code, Some(0));
    let output = String::from_utf8(bench.output()).expect("text");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.len() >= 4 && lines[..3].iter().all(|line| line.starts_with("/dev/pts/")), "{output}");
    assert!(lines.iter().all(|line| !line.starts_with("socket:")), "{output}");
    // By exec: a shell that waits for a child blocks signals of its own. The C library keeps the
    // signals above 31 to itself.
    for name in ["SigIgn:\t", "SigBlk:\t"] {
        let signals = output.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        assert_eq!(u64::from_str_radix(signals, 16).expect("hexadecimal") & 0x7fff_ffff, 0, "{output}");
    }
}

#[test]
fn text_for_standard_input_is_typed_with_its_end() {
    let mut bench = Bench::sh("stty -echo; cat; echo over");
    bench.spec.stdin = Some("do this\nand that".into());
    bench.start();
    assert_eq!(bench.ended().code, Some(0));
    let output = String::from_utf8(bench.output()).expect("text");
    assert!(output.ends_with("do this\r\nand that\r\nover\r\n"), "{output:?}");
}

/// What a terminal takes for keys never reaches it from a brief; all else arrives byte for byte.
#[test]
fn no_byte_of_a_prompt_ends_its_agent_or_edits_what_it_is_told() {
    let branch = BranchName::new("standup/T7/1-x").expect("branch");
    let settings = AgentSettings {
        adapter: "generic".into(),
        command: vec!["cat".into()],
        args: Vec::new(),
        env: BTreeMap::new(),
        max: Limit::of(2),
        prompt: Some(PromptVia::Stdin),
    };
    let told = |prompt: &str| {
        let request = LaunchRequest {
            task: TaskId::new(7).expect("task"),
            attempt: AttemptNo::FIRST,
            worktree: Path::new("/w"),
            branch: &branch,
            brief: Path::new("/w/brief.md"),
            prompt: Some(prompt),
            mode: Mode::Delegate,
            plan_approved: false,
            session: None,
            resume: None,
            standup: Path::new("/standup"),
            writable_roots: &[],
            hooks: true,
            notify: &[],
            own_settings: None,
            mcp: false,
        };
        let launch = launch(&adapter::builtin("generic").expect("generic"), &settings, &request).expect("a launch");
        let mut bench = Bench::sh("stty -echo; cat; echo over");
        bench.spec.stdin = Some(Bytes(launch.stdin.expect("a prompt").into_bytes()));
        bench.start();
        assert_eq!(bench.ended().code, Some(0), "{prompt:?}");
        String::from_utf8(bench.output()).expect("text")
    };
    // In the middle, and where each would begin a line.
    for key in ["\x03", "\x04", "\x0f", "\x11", "\x12", "\x13", "\x15", "\x16", "\x17", "\x1a", "\x1c", "\x7f", "\r"] {
        let output = told(&format!("first{key}\n{key}second"));
        assert!(output.contains("/w/brief.md") && output.ends_with("over\r\n"), "{key:?}: {output:?}");
    }
    let output = told("a\tb $(c) é 日本\nlast");
    assert!(output.ends_with("a\tb $(c) é 日本\r\nlast\r\nover\r\n"), "{output:?}");
}

#[test]
fn no_host_is_anybodys_child() {
    let bench = Bench::sh("sleep 1000");
    let address = bench.start();
    let stat = process::Stat::read(address.host.pid).expect("alive");
    assert_ne!(stat.parent, std::process::id());
    assert_eq!(stat.session, stat.group, "a session of its own");
}
