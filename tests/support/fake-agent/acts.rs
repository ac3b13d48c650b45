//! What the fake agent does to those who watch it.
//!
//! **Invariant:** an act that never ends by itself ends with the ttl.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use standup::os::process::ProcessId;

/// What all acts share.
pub(crate) struct Stage {
    /// Where the pids of all that was left behind are written, one a line.
    pub(crate) pids: Option<PathBuf>,
    /// Nothing lives longer.
    pub(crate) ttl: Duration,
}

type Act = fn(&Stage, &str) -> io::Result<()>;

/// Name, what it does, and how.
pub(crate) const ACTS: &[(&str, &str, Act)] = &[
    ("bare-orphans", "=N: as orphans, with an empty environment", bare_orphans),
    ("close-tty", "closes its terminal and lives on", close_tty),
    ("count", "=MS: prints a number every so often, until $STANDUP_DIR/stop exists", count),
    ("deaf", "never reads what is typed", deaf),
    ("die", "=SIGNAL: ends by this signal, a number", die),
    ("escapes", "prints sequences that a terminal should never get from a name or a log", escapes),
    ("exit", "=CODE: exits at once", exit),
    ("flood", "=BYTES: prints numbered lines, for ever if 0", flood),
    ("freeze", "stops itself with SIGSTOP", freeze),
    ("guard", "=PID: internal", guard),
    ("lie", "says it is ready, without any change, and rests", lie),
    ("orphan", "internal", orphan),
    ("orphans", "=N: leaves daemons behind: forked twice, own session, deaf to TERM, HUP and INT", orphans),
    ("permission", "asks for a permission and waits for one key, which it prints", permission),
    ("remove-worktree", "removes the folder it works in", remove_worktree),
    ("replace-git", "=FILE: replaces .git by a repository whose config runs `touch FILE`", replace_git),
    ("report", "=STATE: reports a state (OSC 7501), true or not", report),
    ("say", "=TEXT: prints a line", say),
    ("silent", "does nothing at all", silent),
    ("sleep", "=MS: waits, then goes on", sleep),
    ("spin", "burns CPU and prints nothing", spin),
    ("stubborn", "ignores TERM, HUP and INT, and reads its terminal for ever", stubborn),
    ("wait", "=NAME: waits until $STANDUP_DIR/NAME exists", wait),
    ("write", "=PATH: writes a file, wherever that is", write),
];

/// The exit code of one that lived until its ttl.
const OVERDUE: i32 = 97;

/// Ends this process after its time, whatever it does.
#[expect(clippy::disallowed_methods, reason = "the whole process ends, in the middle of whatever it does")]
pub(crate) fn end_after(ttl: Duration) {
    thread::spawn(move || {
        thread::sleep(ttl);
        std::process::exit(OVERDUE);
    });
}

fn number(value: &str) -> io::Result<u64> {
    value.parse().map_err(|_| io::Error::other(format!("{value:?} is not a number")))
}

fn for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn ignore_signals() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // SAFETY: SIG_IGN is a valid disposition for these signals.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// This program again, with one act.
#[expect(clippy::disallowed_methods, reason = "a hostile agent spawns as it likes")]
fn again(stage: &Stage, act: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--ttl", &stage.ttl.as_secs().to_string()]);
    if let Some(pids) = &stage.pids {
        command.arg("--pids").arg(pids);
    }
    command.args(["--act", act]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

fn orphans(stage: &Stage, value: &str) -> io::Result<()> {
    leave_behind(stage, number(value)?, false)
}

fn bare_orphans(stage: &Stage, value: &str) -> io::Result<()> {
    leave_behind(stage, number(value)?, true)
}

fn leave_behind(stage: &Stage, count: u64, bare: bool) -> io::Result<()> {
    for _ in 0..count {
        let mut command = again(stage, "orphan=middle")?;
        if bare {
            command.env_clear();
        }
        command.spawn()?.wait()?;
    }
    Ok(())
}

/// The middle one starts the last and ends; the last leaves the session and stays.
#[expect(clippy::disallowed_methods, reason = "the middle process of a double fork ends here")]
fn orphan(stage: &Stage, value: &str) -> io::Result<()> {
    if value == "middle" {
        let mut last = again(stage, "orphan=last")?;
        let mut child = last.stdout(Stdio::piped()).spawn()?;
        // The last says when it has left the session, so that the caller finds it ready.
        let mut ready = [0];
        child.stdout.take().expect("piped").read_exact(&mut ready)?;
        std::process::exit(0);
    }
    ignore_signals();
    rustix::process::setsid()?;
    if let Some(pids) = &stage.pids {
        let mut file = OpenOptions::new().create(true).append(true).open(pids)?;
        // In one write: several do this at once.
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    }
    io::stdout().write_all(b"!")?;
    io::stdout().flush()?;
    for_ever()
}

fn stubborn(_: &Stage, _: &str) -> io::Result<()> {
    ignore_signals();
    println!("stubborn");
    let mut buffer = [0; 4096];
    loop {
        if io::stdin().read(&mut buffer).unwrap_or(0) == 0 {
            for_ever();
        }
    }
}

fn flood(_: &Stage, value: &str) -> io::Result<()> {
    let bytes = number(value)?;
    let mut out = io::stdout().lock();
    let (mut written, mut line) = (0, 0_u64);
    let mut chunk = Vec::with_capacity(64 << 10);
    while bytes == 0 || written < bytes {
        chunk.clear();
        while chunk.len() < 60 << 10 && (bytes == 0 || written + (chunk.len() as u64) < bytes) {
            writeln!(chunk, "line {line:010} of a flood that nobody asked for")?;
            line += 1;
        }
        out.write_all(&chunk)?;
        written += chunk.len() as u64;
    }
    out.flush()
}

fn count(_: &Stage, value: &str) -> io::Result<()> {
    let pause = Duration::from_millis(number(value)?);
    let stop = std::env::var_os("STANDUP_DIR").map(|dir| Path::new(&dir).join("stop"));
    let mut next = 1_u64;
    while !stop.as_ref().is_some_and(|file| file.exists()) {
        show(format!("count {next}\r\n").as_bytes())?;
        next += 1;
        thread::sleep(pause);
    }
    show(b"counted\r\n")
}

fn die(_: &Stage, value: &str) -> io::Result<()> {
    let signal = i32::try_from(number(value)?).ok().and_then(Signal::from_named_raw);
    let signal = signal.ok_or_else(|| io::Error::other("no such signal"))?;
    // SAFETY: SIG_DFL is a valid disposition. The runtime catches SIGSEGV and SIGBUS for its own purpose.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_DFL) };
    kill_process(getpid(), signal)?;
    for_ever()
}

#[expect(clippy::disallowed_methods, reason = "exits at once, with nothing said")]
fn exit(_: &Stage, value: &str) -> io::Result<()> {
    std::process::exit(i32::try_from(number(value)?).unwrap_or(1))
}

fn show(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn report(_: &Stage, value: &str) -> io::Result<()> {
    show(format!("\x1b]7501;state={value}:app=fake-agent\x1b\\").as_bytes())
}

fn lie(stage: &Stage, _: &str) -> io::Result<()> {
    report(stage, "working")?;
    let dir = std::env::var_os("STANDUP_DIR").ok_or_else(|| io::Error::other("STANDUP_DIR is not set"))?;
    let outbox = Path::new(&dir).join("outbox");
    fs::create_dir_all(&outbox)?;
    let record = r#"{"schemaVersion":1,"kind":"check-in","state":"ready","did":"everything","met":[1,2,3]}"#;
    fs::write(outbox.join(".lie.tmp"), record)?;
    fs::rename(outbox.join(".lie.tmp"), outbox.join("lie.json"))?;
    show(b"All done, all tests pass.\r\n")?;
    report(stage, "done")?;
    drain()
}

/// Reads and forgets what is typed.
fn drain() -> io::Result<()> {
    let mut buffer = [0; 4096];
    while io::stdin().read(&mut buffer)? > 0 {}
    Ok(())
}

fn permission(_: &Stage, _: &str) -> io::Result<()> {
    // "approve Bash: touch x"
    show(b"\x1b]7501;state=blocked:app=fake-agent:kind=permission:msg=YXBwcm92ZSBCYXNoOiB0b3VjaCB4\x1b\\")?;
    show(b"Do you want to proceed?\r\n 1. Yes\r\n 2. No\r\n")?;
    let mut tty = standup::demo::tty::Tty::open()?;
    use standup::demo::tty::Terminal as _;
    let key = tty.next(None)?;
    drop(tty);
    show(format!("got {key:?}\r\n").as_bytes())
}

fn close_tty(_: &Stage, _: &str) -> io::Result<()> {
    ignore_signals();
    // SAFETY: nothing uses the three descriptors afterwards; the process only waits.
    unsafe {
        libc::close(0);
        libc::close(1);
        libc::close(2);
    }
    for_ever()
}

fn deaf(_: &Stage, _: &str) -> io::Result<()> {
    show(b"deaf\r\n")?;
    for_ever()
}

fn silent(_: &Stage, _: &str) -> io::Result<()> {
    for_ever()
}

fn spin(_: &Stage, _: &str) -> io::Result<()> {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn sleep(_: &Stage, value: &str) -> io::Result<()> {
    thread::sleep(Duration::from_millis(number(value)?));
    Ok(())
}

fn wait(_: &Stage, value: &str) -> io::Result<()> {
    let dir = std::env::var_os("STANDUP_DIR").ok_or_else(|| io::Error::other("STANDUP_DIR is not set"))?;
    let file = Path::new(&dir).join(value);
    while !file.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn say(_: &Stage, value: &str) -> io::Result<()> {
    show(format!("{value}\r\n").as_bytes())
}

/// A stopped process cannot watch its own ttl, so another one does.
fn freeze(stage: &Stage, _: &str) -> io::Result<()> {
    let own = ProcessId::own();
    again(stage, &format!("guard={}:{}", own.pid, own.start))?.process_group(0).spawn()?;
    show(b"frozen\r\n")?;
    kill_process(getpid(), Signal::STOP)?;
    show(b"thawed\r\n")
}

fn guard(stage: &Stage, value: &str) -> io::Result<()> {
    let (pid, start) = value.split_once(':').ok_or_else(|| io::Error::other("pid:start"))?;
    let pid = u32::try_from(number(pid)?).map_err(io::Error::other)?;
    let watched = ProcessId { pid, start: number(start)? };
    let until = Instant::now() + stage.ttl.saturating_sub(Duration::from_secs(1));
    while Instant::now() < until && watched.is_alive() {
        thread::sleep(Duration::from_millis(200));
    }
    let _ = watched.signal(Signal::KILL);
    exit(stage, "0")
}

fn escapes(_: &Stage, _: &str) -> io::Result<()> {
    const HOSTILE: &[&[u8]] = &[
        b"\x1b]0;stolen title\x07",
        b"\x1b]52;c;c3RvbGVu\x07",
        b"\x1b]8;;file:///etc/passwd\x1b\\link\x1b]8;;\x1b\\",
        b"\x1b]9;a notification nobody sent\x07",
        b"\x1b]7501;state=done:app=claude-code\x1b\\",
        b"\x1b]7501;?\x07",
        b"\x1b[c\x1b[>c\x1b[6n\x1b[?2004$p",
        b"\x1b[2J\x1b[3J\x1b[H",
        b"\x1b[?1049h\x1b[?1000h\x1b[?1006h\x1b[>7u",
        b"\x1bP+q544e\x1b\\",
        b"\x1b_Gi=1,a=q;AAAA\x1b\\",
        b"\x9b31m\x9d0;eight bit\x9c",
        b"\x1b]0;never ended",
        b"\x18",
        "\u{202e}txt.exe\u{202c}\u{200b}\u{feff}".as_bytes(),
        b"\xff\xfe\xc0\xaf\xed\xa0\x80",
    ];
    for sequence in HOSTILE {
        show(sequence)?;
    }
    show(b"\r\nescapes done\r\n")
}

fn write(_: &Stage, value: &str) -> io::Result<()> {
    fs::write(value, "written by the fake agent\n")
}

/// The folder it works in, if a test made it: a linked worktree, or one with a run folder.
fn own_worktree() -> io::Result<PathBuf> {
    let here = std::env::current_dir()?;
    if here.join(".git").is_file() || here.join(".standup/run").is_dir() {
        return Ok(here);
    }
    Err(io::Error::other(format!("{} is not a worktree; nothing is touched", here.display())))
}

fn remove_worktree(_: &Stage, _: &str) -> io::Result<()> {
    fs::remove_dir_all(own_worktree()?)
}

fn replace_git(_: &Stage, value: &str) -> io::Result<()> {
    let git = own_worktree()?.join(".git");
    if git.is_dir() {
        fs::remove_dir_all(&git)?;
    } else {
        fs::remove_file(&git)?;
    }
    for dir in ["objects", "refs/heads"] {
        fs::create_dir_all(git.join(dir))?;
    }
    fs::write(git.join("HEAD"), "ref: refs/heads/main\n")?;
    fs::write(
        git.join("config"),
        format!("[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch {value}; false\n"),
    )
}
