//! A person's terminal: a PTY whose keys a test types, whose screen a terminal model keeps, and in
//! which a shell runs the client.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::{Config, Term};
use alacritty_terminal::vte::ansi::{CharsetIndex, Processor, StdSyncHandler};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use standup::client::attach::{Options, attach};
use standup::client::terminal::reset_sequence;
use standup::os::process::{ProcessId, Stat};

use super::scripted::{DEADLINE, wait_readable};

/// The shell's word that its program has ended.
const END: &[u8] = b"\x1b]777;end\x07";

/// What a terminal does to `LOUD`, and must have undone after it.
const UNDONE: &[(&str, &str)] = &[
    ("\x1b[?2031h", "\x1b[?2031l"),
    ("\x1b[?1049h", "\x1b[?1049l"),
    ("\x1b[>4;0m", "\x1b[>4m"),
    ("\x1b[3;9r", "\x1b[r"),
    ("\x1b[4 q", "\x1b[0 q"),
    ("\x1b]11;#202020\x07", "\x1b]111\x1b\\"),
    ("\x1b(0", "\x1b(B"),
    ("\x1b[1;31m", "\x1b[m"),
    ("\x1b]8;;https://example.invalid\x07", "\x1b]8;;\x1b\\"),
    ("\x1b[?2026h", "\x1b[?2026l"),
];

#[derive(Default)]
struct Shared {
    output: Mutex<(Vec<u8>, Reading)>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    On,
    Paused,
    Over,
}

pub(crate) struct Outer {
    keys: OwnedFd,
    /// The program's side, held open so that its settings can be asked for at any time.
    inner: OwnedFd,
    shell: Child,
    client: Option<ProcessId>,
    /// Line settings and descriptor flags before the client started.
    before: String,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

impl Outer {
    /// Starts the client of these tests on a host's socket.
    pub(crate) fn start(socket: impl AsRef<Path>, extra: &[(&str, &str)]) -> Self {
        let test = std::env::current_exe().expect("this test");
        let program = [test.to_str().expect("UTF-8"), "attach::client_process", "--exact", "--ignored", "--nocapture"];
        let mut env = vec![("SOCKET", socket.as_ref().to_str().expect("UTF-8"))];
        env.extend_from_slice(extra);
        Self::run(&program, &env)
    }

    /// Runs a program in a shell in this terminal.
    pub(crate) fn run(program: &[&str], env: &[(&str, &str)]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
        grantpt(&keys).expect("grantpt");
        unlockpt(&keys).expect("unlockpt");
        let name = ptsname(&keys, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let inner = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("open");
        if !env.contains(&("SIZE", "0x0")) {
            set_size(&keys, 24, 80);
        }
        let stdio = || Stdio::from(inner.try_clone().expect("dup"));
        #[expect(clippy::disallowed_methods, reason = "the test plays the person who starts the client")]
        let mut command = Command::new("/bin/sh");
        // The shell stays: when the leader of a terminal's session ends, its settings are reset.
        command.args(["-c", "\"$0\" \"$@\"; printf '\\033]777;end\\007'; read -r line"]).args(program);
        command.env_remove("STANDUP_HOST").envs(env.iter().copied());
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: both are plain system calls, safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin())?;
                Ok(())
            });
        }
        let before = settings(&inner);
        let shell = command.spawn().expect("sh");
        let shared = Arc::new(Shared::default());
        let reader = std::thread::spawn({
            let (shared, fd) = (shared.clone(), keys.try_clone().expect("dup"));
            move || read_all(&shared, &fd)
        });
        Self { keys, inner, shell, client: None, before, shared, reader: Some(reader) }
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&[u8]) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut output = self.shared.output.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&output.0) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come; the terminal got {}", output.0.escape_ascii());
            output = self.shared.changed.wait_timeout(output, left).expect("lock").0;
        }
    }

    pub(crate) fn wait_for_bytes(&self, bytes: &[u8]) {
        self.wait("the output", |output| find(output, bytes));
    }

    /// Waits until the screen shows this.
    pub(crate) fn wait_for_text(&self, text: &str) {
        let (mut term, mut parser, mut read) = (new_model(), Processor::<StdSyncHandler>::new(), 0);
        self.wait(text, |output| {
            parser.advance(&mut term, &output[read..]);
            parser.stop_sync(&mut term);
            read = output.len();
            screen_text(&term).contains(text).then_some(())
        });
    }

    /// Waits for the client's end; returns the line it printed last.
    pub(crate) fn wait_ended(&mut self) -> String {
        self.wait_exit();
        let text = self.screen_text();
        text.trim_end().lines().last().unwrap_or_default().to_owned()
    }

    /// Waits until the client is gone.
    pub(crate) fn wait_exit(&mut self) {
        self.wait("the end of the client", |output| find(output, END).map(drop));
    }

    pub(crate) fn wait_stopped(&mut self) {
        let pid = self.client().pid;
        poll_until("the client's stop", || Stat::read(pid).is_some_and(|stat| stat.state == b'T'));
    }

    /// The client's process; it says its number at its start.
    fn client(&mut self) -> ProcessId {
        let mark = b"\x1b]777;pid=";
        let pid = self.wait("the client's pid", |output| {
            let rest = &output[find(output, mark)? + mark.len()..];
            let end = rest.iter().position(|&b| b == 7)?;
            std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
        });
        *self.client.get_or_insert_with(|| ProcessId::of(pid).expect("the client runs"))
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        assert!(self.client().signal(signal), "the client is gone");
    }

    pub(crate) fn memory_kib(&mut self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.client().pid)).expect("statm");
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
        pages * rustix::param::page_size() as u64 / 1024
    }

    pub(crate) fn type_keys(&self, keys: &[u8]) {
        let mut rest = keys;
        while !rest.is_empty() {
            let n = rustix::io::retry_on_intr(|| rustix::io::write(&self.keys, rest)).expect("type");
            rest = &rest[n..];
        }
    }

    /// For what is more than a terminal takes at once.
    pub(crate) fn type_in_background(&self, keys: Vec<u8>) -> JoinHandle<()> {
        let mut terminal = std::fs::File::from(self.keys.try_clone().expect("dup"));
        std::thread::spawn(move || {
            let _ = terminal.write_all(&keys);
        })
    }

    pub(crate) fn output_len(&self) -> usize {
        self.output().len()
    }

    pub(crate) fn has_printed(&self, bytes: &[u8]) -> bool {
        find(&self.output(), bytes).is_some()
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        set_size(&self.keys, rows, cols);
    }

    fn set_reading(&self, reading: Reading) {
        self.shared.output.lock().unwrap_or_else(PoisonError::into_inner).1 = reading;
        self.shared.changed.notify_all();
    }

    pub(crate) fn stop_reading(&mut self) {
        self.client();
        self.set_reading(Reading::Paused);
    }

    pub(crate) fn start_reading(&self) {
        self.set_reading(Reading::On);
    }

    /// Prints what `standup reset` prints.
    pub(crate) fn reset(&self) {
        let mut output = self.shared.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.0.extend(reset_sequence());
        standup::client::terminal::restore_sane(&self.inner).expect("sane");
    }

    fn output(&self) -> Vec<u8> {
        self.shared.output.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(crate) fn screen_text(&self) -> String {
        screen_text(&model(&self.output()))
    }

    pub(crate) fn scrollback_text(&self) -> String {
        let term = model(&self.output());
        text(&term, -i32::try_from(term.history_size()).expect("short"), 0)
    }

    /// Nothing of what a program may switch on is on, and the keys are typed to a shell.
    pub(crate) fn assert_given_back(&self) {
        self.assert_modes_at_rest();
        self.assert_line_given_back();
        let output = self.output();
        assert!(find(&output, b"\x1b[22;0t").is_none() || find(&output, b"\x1b[23;0t").is_some(), "the title");
    }

    pub(crate) fn assert_line_given_back(&self) {
        assert_eq!(settings(&self.inner), self.before);
    }

    /// Waits until the line is as it was: the client, which then prints into a terminal that does
    /// not read, has yet to end.
    pub(crate) fn wait_line_given_back(&self) {
        poll_until("the line", || settings(&self.inner) == self.before);
    }

    pub(crate) fn assert_model_at_rest(&self) {
        assert_output_at_rest(&self.output());
    }

    pub(crate) fn assert_modes_at_rest(&self) {
        self.assert_model_at_rest();
        let output = self.output();
        let shown = output.escape_ascii();
        for (done, undone) in UNDONE {
            let last = |text: &str| output.windows(text.len()).rposition(|window| window == text.as_bytes());
            assert!(last(done) < last(undone) || last(done).is_none(), "{done:?} was not undone in {shown}");
        }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        self.set_reading(Reading::Over);
        if let Some(client) = self.client {
            let _ = client.signal(Signal::KILL);
        }
        // The shell has ended its program, or the hang-up does.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The client: attaches as the environment says and prints how it ended.
pub(crate) fn be_the_client() {
    let var = |name: &str| std::env::var(name).ok();
    let Some(socket) = var("SOCKET") else { return };
    let mut stdout = std::io::stdout();
    let before = var("BEFORE").unwrap_or_default();
    // The test runner's own words go first.
    write!(stdout, "\x1b[H\x1b[2J\x1b[3J\x1b]777;pid={}\x07{before}", std::process::id()).expect("print");
    stdout.flush().expect("flush");
    let mut options = Options::new("T3", "standup attach T3");
    options.readonly = var("READONLY").is_some();
    options.takes = var("TAKES").is_some();
    options.leased = var("LEASED").is_some();
    options.take = "standup takeover T3".into();
    options.scrollback = var("SCROLLBACK").and_then(|lines| lines.parse().ok()).unwrap_or(0);
    options.inside = var("INSIDE").map(Into::into);
    let line = match attach(Path::new(&socket), std::io::stdin().as_fd(), stdout.as_fd(), &options) {
        Ok(ended) => ended.line(&options),
        Err(error) => format!("error: {error}"),
    };
    println!("{line}");
    #[expect(clippy::disallowed_methods, reason = "the test runner must not add its own words")]
    std::process::exit(0);
}

/// A terminal that has read this is in the modes of a new one.
pub(crate) fn assert_output_at_rest(output: &[u8]) {
    let (term, fresh) = (model(output), model(b""));
    let shown = output.escape_ascii();
    assert_eq!(term.mode(), fresh.mode(), "after {shown}");
    assert_eq!(term.cursor_style(), fresh.cursor_style(), "after {shown}");
    let (cursor, rest) = (&term.grid().cursor, &fresh.grid().cursor);
    assert_eq!(cursor.template, rest.template, "colours after {shown}");
    for set in [CharsetIndex::G0, CharsetIndex::G1] {
        assert_eq!(cursor.charsets[set], rest.charsets[set], "characters after {shown}");
    }
    for color in 0..alacritty_terminal::term::color::COUNT {
        assert_eq!(term.colors()[color], None, "colour {color} after {shown}");
    }
}

fn read_all(shared: &Shared, fd: &OwnedFd) {
    let mut buffer = [0; 16 << 10];
    loop {
        {
            let mut output = shared.output.lock().unwrap_or_else(PoisonError::into_inner);
            while output.1 == Reading::Paused {
                output = shared.changed.wait(output).expect("lock");
            }
            if output.1 == Reading::Over {
                return;
            }
        }
        if !wait_readable(fd, Duration::from_millis(50)) {
            continue;
        }
        if shared.output.lock().unwrap_or_else(PoisonError::into_inner).1 != Reading::On {
            continue;
        }
        let Ok(n) = rustix::io::read(fd, &mut buffer) else { return };
        shared.output.lock().unwrap_or_else(PoisonError::into_inner).0.extend_from_slice(&buffer[..n]);
        shared.changed.notify_all();
    }
}

fn poll_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn set_size(fd: &OwnedFd, rows: u16, cols: u16) {
    tcsetwinsize(fd, Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }).expect("set the size");
}

fn settings(fd: &OwnedFd) -> String {
    let mut text = format!("{:?}", tcgetattr(fd).expect("tcgetattr"));
    write!(text, " {:?}", rustix::fs::fcntl_getfl(fd)).expect("a string");
    assert!(fd.as_raw_fd() > 2);
    text
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

struct Dims;

impl Dimensions for Dims {
    fn total_lines(&self) -> usize {
        24
    }
    fn screen_lines(&self) -> usize {
        24
    }
    fn columns(&self) -> usize {
        80
    }
}

fn new_model() -> Term<VoidListener> {
    Term::new(Config { kitty_keyboard: true, ..Config::default() }, &Dims, VoidListener)
}

fn model(output: &[u8]) -> Term<VoidListener> {
    let mut term = new_model();
    let mut parser = Processor::<StdSyncHandler>::new();
    parser.advance(&mut term, output);
    parser.stop_sync(&mut term);
    term
}

fn screen_text(term: &Term<VoidListener>) -> String {
    text(term, 0, 24)
}

fn text(term: &Term<VoidListener>, from: i32, to: i32) -> String {
    let mut text = String::new();
    for line in from..to {
        let row = &term.grid()[Line(line)];
        let line: String = (0..80).map(|column| row[Column(column)].c).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
