//! The loop between a terminal and a host.
//!
//! **Invariant:** nothing in here waits for one side alone: what one does not take is queued up
//! to a bound, then the other is no longer read, and the chord is looked for in any case. The
//! tracker is fed with exactly what the terminal has taken.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;

use super::link::{Link, Queue};
use super::{AttachError, Ended, Options};
use crate::client::chord::{Scanner, Verdict};
use crate::client::modes::{Tracker, enters_alt};
use crate::client::terminal::Terminal;
use crate::os::signal::Signals;
use crate::wire::host::{AgentState, FromHost, Size, SnapshotRequest, Status, ToHost};

/// How long the beginning of an escape sequence is held back for the rest of it: longer than a
/// terminal takes to send one key, shorter than a person notices.
const HOLD: Duration = Duration::from_millis(25);

/// Bytes for the terminal above which the host is no longer read; it then skips ahead.
const SCREEN_FULL: usize = 64 << 10;

/// One read of the terminal; the kernel gives at most 4 KiB of a terminal's input at a time.
const KEYS: usize = 16 << 10;

/// How long a word to the person stays on the screen, which stands still meanwhile.
const WORD: Duration = Duration::from_secs(3);

/// After the agent's end, the host's silence that means nothing more will come.
const LAST_WORDS: Duration = Duration::from_millis(500);

const SYNC_ON: &[u8] = b"\x1b[?2026h";
const SYNC_OFF: &[u8] = b"\x1b[?2026l";
/// Saves what cannot be undone by a fixed sequence: the title, whether the wheel sends arrow keys
/// (which terminals disagree about), and the cursor, which a snapshot may restore first of all.
const SAVE: &[u8] = b"\x1b[22;0t\x1b[?1007s\x1b7";
const RESTORE_WHEEL: &[u8] = b"\x1b[?1007r";
const CLEAR: &[u8] = b"\x1b[H\x1b[J";
const PASTE_END: &[u8] = b"\x1b[201~";
/// What is said when it has it no more.
const UNLOCKED: &str = "[what you type arrives again]";
/// The last line of any terminal.
const BOTTOM: &[u8] = b"\x1b[9999;1H";

pub(super) struct Session {
    link: Link,
    terminal: Terminal,
    signals: Signals,
    readonly: bool,
    /// Another terminal has the input: what is typed goes nowhere.
    locked: bool,
    /// What the person is told when that begins.
    locked_word: String,
    /// What lies over the screen, and until when; no end as long as it is to be shown yet.
    word: Option<(String, Option<Instant>)>,
    scanner: Scanner,
    hold_until: Option<Instant>,
    /// Keys are dropped because the host takes none; whether that cut a paste.
    dropping: Option<bool>,
    size: Size,
    resize_due: bool,
    screen: Queue,
    tracker: Tracker,
    /// A snapshot that begins once the terminal has taken all before it.
    pending: Option<FromHost>,
    repaint: Repaint,
    /// [`SAVE`] was written.
    saved: bool,
    /// The main screen shows the agent's, not what the person had there.
    main_taken: bool,
    exit: Option<Ended>,
    exit_by: Option<Instant>,
    terminal_gone: bool,
    given_back: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repaint {
    /// Output makes no sense before the next snapshot.
    Awaited,
    /// It has begun; no byte of it came yet.
    Begun,
    /// In its middle.
    Going,
    /// The screen is right.
    Done,
}

/// Which descriptors have something.
#[derive(Debug, Default, Clone, Copy)]
struct Ready {
    signals: bool,
    keys: bool,
    host: Option<PollFlags>,
}

impl Session {
    /// The terminal must be in raw mode; `told` is the size the host was greeted with.
    pub(super) fn new(
        link: Link,
        terminal: Terminal,
        signals: Signals,
        status: &Status,
        told: Size,
        options: &Options,
    ) -> Self {
        let exit = match status.state {
            AgentState::Exited { code, signal } => Some(Ended::AgentExited { code, signal }),
            AgentState::Running => None,
        };
        Self {
            size: told,
            link,
            terminal,
            signals,
            readonly: options.readonly,
            locked: false,
            locked_word: locked_word(options),
            word: None,
            scanner: Scanner::new(),
            hold_until: None,
            dropping: None,
            // It may have changed between the greeting and the catching of signals.
            resize_due: true,
            screen: Queue::default(),
            tracker: Tracker::new(),
            pending: None,
            repaint: Repaint::Awaited,
            saved: false,
            main_taken: false,
            exit_by: exit.map(|_| Instant::now() + LAST_WORDS),
            exit,
            terminal_gone: false,
            given_back: false,
        }
    }

    /// Serves until something ends it, and gives the terminal back.
    pub(super) fn run(mut self) -> Result<Ended, AttachError> {
        let ended = self.serve();
        self.give_back(ended.as_ref().ok().copied());
        self.link.finish();
        ended
    }

    fn serve(&mut self) -> Result<Ended, AttachError> {
        loop {
            self.paint()?;
            if let Some(ended) = self.over() {
                return Ok(ended);
            }
            let ready = self.wait()?;
            while let Some(signal) = ready.signals.then(|| self.signals.take()).flatten() {
                if let Some(ended) = self.on_signal(signal)? {
                    return Ok(ended);
                }
            }
            if ready.keys
                && let Some(ended) = self.read_keys()?
            {
                return Ok(ended);
            }
            self.on_time()?;
            if let Some(flags) = ready.host {
                self.link.flush();
                if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && self.wants_host() {
                    self.link.fill()?;
                }
            }
            self.stop_dropping()?;
            self.send_resize()?;
        }
    }

    fn over(&self) -> Option<Ended> {
        if self.terminal_gone {
            return Some(Ended::Signal(Signal::HUP.as_raw()));
        }
        let last_words = self.exit_by.is_some_and(|by| Instant::now() >= by);
        let said_all = self.link.is_closed() && self.pending.is_none() && self.screen.len() < SCREEN_FULL;
        if said_all || last_words { Some(self.exit.unwrap_or(Ended::HostGone)) } else { None }
    }
}

/// Waiting.
impl Session {
    fn wants_host(&self) -> bool {
        !self.link.is_closed() && self.pending.is_none() && self.screen.len() < SCREEN_FULL
    }

    /// A host that takes nothing for long does not keep the person: the chord is looked for.
    fn wants_keys(&self) -> bool {
        self.link.stuck_at().is_none_or(|at| Instant::now() >= at)
    }

    fn wait(&self) -> Result<Ready, AttachError> {
        let (signals, terminal) = (&self.signals, &self.terminal);
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        let mut add = |wanted: bool, fd| {
            wanted.then(|| {
                fds.push(fd);
                fds.len() - 1
            })
        };
        let keys = add(self.wants_keys(), PollFd::from_borrowed_fd(terminal.input(), PollFlags::IN));
        let interest = if self.wants_host() { self.link.interest() } else { self.link.interest() - PollFlags::IN };
        // A closed connection is always ready: it must not be asked again and again.
        let host =
            add(!interest.is_empty() && !self.link.is_closed(), PollFd::from_borrowed_fd(self.link.fd(), interest));
        // The next round writes; this only wakes it.
        add(!self.screen.is_empty(), PollFd::from_borrowed_fd(terminal.output(), PollFlags::OUT));
        let limit = self.deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec::try_from(left).expect("all deadlines are seconds away")
        });
        match rustix::event::poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(AttachError::Terminal { tried: "wait for the terminal", source: error.into() }),
        }
        let flags = |index: Option<usize>| index.map(|index| fds[index].revents()).filter(|flags| !flags.is_empty());
        Ok(Ready { signals: flags(Some(0)).is_some(), keys: flags(keys).is_some(), host: flags(host) })
    }

    fn deadline(&self) -> Option<Instant> {
        let stuck_at = self.link.stuck_at().filter(|&at| at > Instant::now());
        let word = self.word.as_ref().and_then(|(_, until)| *until);
        [self.hold_until, self.exit_by, stuck_at, word].into_iter().flatten().min()
    }

    fn on_time(&mut self) -> Result<(), AttachError> {
        if self.hold_until.is_some_and(|at| Instant::now() >= at) {
            self.hold_until = None;
            let mut keys = Vec::new();
            self.scanner.flush(&mut keys);
            self.send_keys(keys)?;
        }
        if self.word.as_ref().is_some_and(|(_, until)| until.is_some_and(|at| Instant::now() >= at)) {
            self.take_word_away()?;
        }
        Ok(())
    }
}

/// Words to the person.
impl Session {
    /// What is typed arrives from now on, or no more.
    pub(super) fn may_type(&mut self, yes: bool) {
        let locked = !yes;
        if self.readonly || self.locked == locked {
            return;
        }
        self.locked = locked;
        let text = if yes { UNLOCKED } else { &self.locked_word };
        self.word = Some((text.to_owned(), None));
        if self.repaint == Repaint::Done {
            self.lay_word_over();
        }
    }

    /// Writes the word over the bottom line. Where the agent's cursor was is forgotten, so nothing
    /// of the agent's is painted before the next snapshot.
    fn lay_word_over(&mut self) {
        let Some((text, until)) = &mut self.word else { return };
        until.get_or_insert_with(|| Instant::now() + WORD);
        // Not into the last column, which may make the screen scroll.
        let line: String = text.chars().take(usize::from(self.size.cols).saturating_sub(1)).collect();
        let out = self.screen.tail();
        for part in [BOTTOM, b"\x1b[0;7m", line.as_bytes(), b"\x1b[0m\x1b[K"] {
            out.extend_from_slice(part);
        }
        self.repaint = Repaint::Awaited;
    }

    fn take_word_away(&mut self) -> Result<(), AttachError> {
        self.word = None;
        self.repaint = Repaint::Awaited;
        self.link.send(&ToHost::SnapshotRequest(SnapshotRequest::default()))
    }
}

/// What is said where another terminal has the input: first what a narrow terminal must show.
fn locked_word(options: &Options) -> String {
    let Options { label, take, .. } = options;
    match take.as_str() {
        "" => format!("[read-only; another terminal has the input of {label}]"),
        take => format!("[read-only; {take} takes the input from the terminal that has it]"),
    }
}

/// From the person.
impl Session {
    fn read_keys(&mut self) -> Result<Option<Ended>, AttachError> {
        let mut buffer = [0; KEYS];
        let read = match rustix::io::read(self.terminal.input(), &mut buffer) {
            Ok(0) => return Ok(Some(Ended::Signal(Signal::HUP.as_raw()))),
            Ok(n) => n,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            Err(Errno::IO) => return Ok(Some(Ended::Signal(Signal::HUP.as_raw()))),
            Err(e) => return Err(AttachError::Terminal { tried: "read the terminal", source: e.into() }),
        };
        let mut keys = Vec::with_capacity(read);
        let in_paste = self.scanner.in_paste();
        if self.scanner.feed(&buffer[..read], &mut keys) == Verdict::Detach {
            // What was typed before the chord is the agent's.
            self.send_keys(keys)?;
            return Ok(Some(Ended::Detached));
        }
        self.hold_until = self.scanner.holds().then(|| Instant::now() + HOLD);
        if self.word.is_some() && !self.locked {
            self.take_word_away()?;
        }
        if self.link.is_full() && self.dropping.is_none() {
            self.dropping = Some(in_paste);
        }
        if self.dropping.is_some() {
            keys.clear();
        }
        self.send_keys(keys)?;
        Ok(None)
    }

    /// The host takes keys again. The rest of a paste that was cut stays away, and the agent must
    /// not take all that follows for a part of it.
    fn stop_dropping(&mut self) -> Result<(), AttachError> {
        if self.dropping.is_some() && !self.link.is_full() && !self.scanner.in_paste() {
            let cut_paste = self.dropping.take() == Some(true);
            self.send_keys(if cut_paste { PASTE_END.to_vec() } else { Vec::new() })?;
        }
        Ok(())
    }

    fn send_keys(&mut self, keys: Vec<u8>) -> Result<(), AttachError> {
        if self.readonly || self.locked || keys.is_empty() {
            return Ok(());
        }
        self.link.send(&ToHost::Input(keys))
    }

    fn on_signal(&mut self, signal: Signal) -> Result<Option<Ended>, AttachError> {
        match signal {
            Signal::WINCH => self.resize_due = true,
            Signal::TSTP => {
                self.give_back(None);
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            }
            Signal::CONT => self.come_back()?,
            other => return Ok(Some(Ended::Signal(other.as_raw()))),
        }
        Ok(None)
    }

    /// After the process was stopped, the terminal may have been anybody's.
    fn come_back(&mut self) -> Result<(), AttachError> {
        let failed = |source| AttachError::Terminal { tried: "switch the terminal to raw mode", source };
        self.terminal.enter().map_err(failed)?;
        if self.given_back {
            self.given_back = false;
            self.tracker = Tracker::new();
            (self.saved, self.main_taken) = (false, false);
        }
        self.screen.clear();
        self.repaint = Repaint::Awaited;
        self.resize_due = true;
        self.link.send(&ToHost::SnapshotRequest(SnapshotRequest::default()))
    }

    /// One resize at a time: while the host has not taken the last one, only the newest counts.
    fn send_resize(&mut self) -> Result<(), AttachError> {
        if !self.resize_due || !self.link.is_idle() {
            return Ok(());
        }
        self.resize_due = false;
        let size = self.terminal.size();
        if size == self.size || self.readonly {
            return Ok(());
        }
        self.size = size;
        self.link.send(&ToHost::Resize(size))
    }
}

/// To the terminal.
impl Session {
    /// Passes frames on until there are none or the terminal takes no more.
    fn paint(&mut self) -> Result<(), AttachError> {
        loop {
            if self.screen.len() >= SCREEN_FULL || self.pending.is_some() {
                self.write_screen();
            }
            if self.screen.len() >= SCREEN_FULL {
                return Ok(());
            }
            let Some(frame) = (match self.pending.take() {
                Some(frame) => Some(frame),
                None => self.link.next_frame()?,
            }) else {
                break;
            };
            if matches!(frame, FromHost::SnapshotBegin(_)) {
                // How to get there depends on where the terminal then stands.
                self.write_screen();
                if !self.screen.is_empty() && !self.terminal_gone {
                    self.pending = Some(frame);
                    return Ok(());
                }
            }
            self.on_frame(frame)?;
        }
        self.write_screen();
        Ok(())
    }

    fn on_frame(&mut self, frame: FromHost) -> Result<(), AttachError> {
        match frame {
            FromHost::SnapshotBegin(_) => self.repaint = Repaint::Begun,
            FromHost::Snapshot(bytes) => {
                if self.repaint == Repaint::Begun {
                    self.prepare(enters_alt(&bytes));
                    self.repaint = Repaint::Going;
                }
                self.screen.tail().extend_from_slice(&bytes);
            }
            FromHost::SnapshotEnd(_) => {
                if self.repaint == Repaint::Going {
                    self.screen.tail().extend_from_slice(SYNC_OFF);
                }
                self.repaint = Repaint::Done;
                self.lay_word_over();
            }
            FromHost::MayType(may) => self.may_type(may.yes),
            FromHost::Output(bytes) if self.repaint != Repaint::Awaited => {
                self.screen.tail().extend_from_slice(&bytes);
            }
            FromHost::AgentExit(exit) => {
                self.exit = Some(Ended::AgentExited { code: exit.code, signal: exit.signal });
            }
            FromHost::Unsupported(host) => return Err(AttachError::Version { host }),
            _ => {}
        }
        if self.exit.is_some() {
            self.exit_by = Some(Instant::now() + LAST_WORDS);
        }
        Ok(())
    }

    /// Makes the terminal a fresh one for a snapshot that paints the other screen or the main one.
    fn prepare(&mut self, alt: bool) {
        let keep_alt = alt && self.tracker.is_alt();
        let undo = self.tracker.undo(keep_alt);
        let out = self.screen.tail();
        if !self.saved {
            self.saved = true;
            out.extend_from_slice(SAVE);
        }
        out.extend_from_slice(SYNC_ON);
        out.extend_from_slice(&undo);
        if alt {
            if keep_alt {
                out.extend_from_slice(CLEAR);
            }
            return;
        }
        if !self.main_taken {
            // What the person had on the screen moves up into the scrollback, line by line.
            self.main_taken = true;
            out.extend(std::iter::repeat_n(b'\n', usize::from(self.size.rows)));
        }
        out.extend_from_slice(CLEAR);
    }

    fn write_screen(&mut self) {
        let (terminal, tracker) = (&self.terminal, &mut self.tracker);
        let written = self.screen.drain_into(|bytes| {
            let n = rustix::io::write(terminal.output(), bytes)?;
            tracker.feed(&bytes[..n]);
            Ok(n)
        });
        self.terminal_gone |= written.is_err();
    }

    /// Undoes what the agent's output did to the terminal, and returns the line to its settings.
    fn give_back(&mut self, ended: Option<Ended>) {
        if std::mem::replace(&mut self.given_back, true) {
            return;
        }
        if matches!(ended, Some(Ended::AgentExited { .. } | Ended::HostGone)) {
            let written = self.terminal.write_patiently(self.screen.rest());
            self.tracker.feed(&self.screen.rest()[..written]);
        }
        self.screen.clear();
        let mut last = self.tracker.undo(false);
        let exited = matches!(ended, Some(Ended::AgentExited { code: Some(_), .. }));
        if exited && !self.tracker.is_alt() && !self.tracker.undo_moves_cursor() {
            // It left the cursor where it wanted it.
            last.extend_from_slice(if self.tracker.at_line_start() { b"" } else { b"\r\n" });
        } else if self.main_taken {
            last.extend_from_slice(BOTTOM);
            last.extend_from_slice(b"\r\n");
        }
        last.extend_from_slice(&self.tracker.undo_title());
        if self.saved {
            last.extend_from_slice(RESTORE_WHEEL);
        }
        self.terminal.write_patiently(&last);
        self.terminal.restore();
    }
}

impl Drop for Session {
    /// For a panic on the way; else it has been done.
    fn drop(&mut self) {
        self.give_back(None);
    }
}
