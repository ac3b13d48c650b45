//! A host from its spec to its exit record.
//!
//! **Invariant:** facts before words: intent before the agent, exit record before anybody hears of
//! the end. One thread but for floods and the last sweep; no timer runs while nothing happens.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::process::WaitOptions;

use super::input::Input;
use super::inside::inside;
use super::lease::Lease;
use super::osc::Cutter;
use super::peer::Peer;
use super::pty::Pty;
use super::pump::Pump;
use super::record::{self, ExitRecord};
use super::screen::{Screen, fit};
use super::signals::Signals;
use super::transcript::Writer;
use super::typed::Typed;
use super::{ServeError, fence, sweep};
use crate::model::text::chain;
use crate::model::time::{Now, Wall};
use crate::os::lock::Lock;
use crate::os::process::{self, ProcessId};
use crate::os::{clock, failpoint, file, socket};
use crate::wire::host::{Address, Osc, Process, SPEC_SCHEMA, Size, Spec};

/// The size of a terminal whose spec says 0.
const USUAL_SIZE: Size = Size { rows: 24, cols: 80 };

/// Connections at once; strangers among them are turned out after a second.
const MAX_PEERS: usize = 64;

/// Lines above the screen where the spec names none.
const SCROLLBACK: usize = 1000;

/// Between TERM and KILL where the spec names none.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What is left when the agent has ended gets this long between TERM and KILL.
const LEFTOVER_GRACE: Duration = Duration::from_millis(300);

/// Output older than this is written to the transcript even if more keeps coming.
pub(super) const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) at: Wall,
}

/// A signal that is sent at most so often.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    pub(super) last: Option<Instant>,
    pub(super) pending: bool,
}

/// A running host.
pub(super) struct Host {
    pub(super) spec: Spec,
    pub(super) dir: PathBuf,
    _lock: Lock,
    _slot: Option<OwnedFd>,
    signals: Signals,
    listener: UnixListener,
    pub(super) pty: Pty,
    pub(super) pump: Pump,
    pub(super) agent: ProcessId,
    pub(super) began: Instant,
    pub(super) began_wall: Wall,
    pub(super) ended: Option<Ended>,
    pub(super) stop_asked: bool,
    kill_at: Option<Instant>,
    sweeping: Option<(JoinHandle<usize>, OwnedFd)>,
    /// How many processes the sweep ended, once it is over.
    leftovers: Option<usize>,
    pub(super) size: Size,
    pub(super) screen: Option<Screen>,
    pub(super) cutter: Cutter,
    pub(super) transcript: Writer,
    pub(super) typed: Typed,
    pub(super) input: Input,
    /// Who asked for the message that is being written.
    pub(super) typing: VecDeque<Message>,
    pub(super) peers: Vec<Peer>,
    next_peer: u64,
    /// The client that typed or resized last.
    pub(super) active: Option<u64>,
    pub(super) lease: Lease,
    /// When watchers were told of a peer that only looks.
    pub(super) held_off_at: Option<Instant>,
    pub(super) read_buffer: Vec<u8>,
    pub(super) frame_buffer: Vec<u8>,

    pub(super) seq: u64,
    /// The latest signal that forbids older decisions.
    pub(super) moved: u64,
    pub(super) foreground: Option<u32>,
    pub(super) title: String,
    pub(super) recent: VecDeque<(Osc, Instant)>,
    pub(super) output_bytes: u64,
    pub(super) output_at: Option<Instant>,
    pub(super) input_at: Option<Instant>,
    pub(super) unreported_bytes: u64,
    pub(super) shown: Option<String>,
    /// When the screen was last looked at.
    pub(super) looked_at: Instant,
    pub(super) settle_at: Option<Instant>,
    pub(super) flush_at: Option<Instant>,
    pub(super) title_throttle: Throttle,
    pub(super) bell_throttle: Throttle,
    pub(super) input_throttle: Throttle,
    pub(super) activity_throttle: Throttle,
}

/// A message on its way into the terminal.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) msg_id: u64,
    pub(super) peer: u64,
    pub(super) withhold_on: Vec<String>,
}

/// Runs a host to its end. `ready` gets the address once the agent runs.
pub(super) fn serve(spec: Spec, ready: impl FnOnce(&Address) -> io::Result<()>) -> Result<(), ServeError> {
    let mut host = start(spec)?;
    let own = ProcessId::own();
    let address = Address {
        host: Process { pid: own.pid, start: own.start },
        agent: host.agent_process(),
        socket: host.spec.socket.clone(),
        nonce: host.spec.nonce.clone(),
    };
    failpoint::hit("host.recorded");
    // Whoever started this may be gone; the agent runs, and the files say where.
    let _ = ready(&address);
    // What only the start needed.
    host.spec.env = Vec::new();
    host.spec.args = Vec::new();
    host.run();
    host.finish();
    Ok(())
}

fn start(spec: Spec) -> Result<Host, ServeError> {
    if spec.schema == 0 || spec.schema > SPEC_SCHEMA {
        return Err(ServeError::Spec(format!("schema {} is not one this host knows", spec.schema)));
    }
    // Already the leader of a session where the starter saw to it.
    let _ = rustix::process::setsid();
    let signals = Signals::take().map_err(ServeError::io("block signals"))?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| ServeError::io("adopt orphans")(e.into()))?;
    let dir = spec.dir.as_path().to_owned();
    failpoint::hit("host.begun");
    file::private_dir(&dir)?;
    let lock = Lock::try_take(&dir.join("lock"))?.ok_or(ServeError::Taken)?;
    if record::read_exit(&dir).is_some() {
        return Err(ServeError::Ended);
    }
    failpoint::hit("host.locked");
    let slot = spec.slot_fd.map(adopt).transpose().map_err(ServeError::io("keep the slot"))?;
    if let Some(before) = record::read_running(&dir) {
        // An earlier host of this folder was killed; its agent must not run beside the new one,
        // nor be taken for its agent.
        let _ = sweep::kill_leftovers(&before.marker);
        record::remove_running(&dir)?;
    }
    record::write_intent(&dir, &spec)?;
    record::reserve_exit(&dir)?;
    let listener = socket::listen(spec.socket.as_path())?;
    listener.set_nonblocking(true).map_err(ServeError::io("listen"))?;
    let size = fit(spec.size, USUAL_SIZE);
    let pty = Pty::open(size).map_err(ServeError::io("open a PTY"))?;
    let pump = Pump::new().map_err(ServeError::io("make an event descriptor"))?;
    let typed = Typed::open(&dir.join("typed")).map_err(ServeError::io("open the record of messages"))?;
    let now = clock::now();
    let (agent, fence) = launch(&spec, &dir, &pty, now)?;
    drop(fence);
    let _ = std::env::set_current_dir("/");
    let mut host = Host::new(Parts { dir, lock, slot, signals, listener, pty, pump, typed, agent, now, size }, spec);
    if let Some(text) = host.spec.stdin.take() {
        host.input.push(&with_eof(text.0), host.began);
    }
    Ok(host)
}

/// What a start has brought together.
struct Parts {
    dir: PathBuf,
    lock: Lock,
    slot: Option<OwnedFd>,
    signals: Signals,
    listener: UnixListener,
    pty: Pty,
    pump: Pump,
    typed: Typed,
    agent: ProcessId,
    now: Now,
    size: Size,
}

impl Host {
    fn new(parts: Parts, spec: Spec) -> Self {
        let transcript_dir = parts.dir.join("transcript");
        let (size, wall) = (parts.size, parts.now.wall);
        Self {
            transcript: Writer::new(transcript_dir, spec.transcript_cap_bytes, size, wall.0),
            foreground: parts.pty.foreground(),
            dir: parts.dir,
            _lock: parts.lock,
            _slot: parts.slot,
            signals: parts.signals,
            listener: parts.listener,
            pty: parts.pty,
            pump: parts.pump,
            agent: parts.agent,
            began: Instant::now(),
            began_wall: wall,
            ended: None,
            stop_asked: false,
            kill_at: None,
            sweeping: None,
            leftovers: None,
            size,
            screen: None,
            cutter: Cutter::default(),
            typed: parts.typed,
            input: Input::default(),
            typing: VecDeque::new(),
            peers: Vec::new(),
            next_peer: 1,
            active: None,
            lease: Lease::default(),
            held_off_at: None,
            read_buffer: Vec::new(),
            frame_buffer: Vec::new(),
            seq: 0,
            moved: 0,
            title: String::new(),
            recent: VecDeque::new(),
            output_bytes: 0,
            output_at: None,
            input_at: None,
            unreported_bytes: 0,
            shown: None,
            looked_at: Instant::now(),
            settle_at: None,
            flush_at: None,
            title_throttle: Throttle::default(),
            bell_throttle: Throttle::default(),
            input_throttle: Throttle::default(),
            activity_throttle: Throttle::default(),
            spec,
        }
    }
}

/// Passes the fence and starts the agent; the fence stays locked until the answer is dropped.
fn launch(spec: &Spec, dir: &std::path::Path, pty: &Pty, now: Now) -> Result<(ProcessId, Option<Lock>), ServeError> {
    let mut held = None;
    if let Some(wanted) = &spec.fence {
        let (lock, number) = fence::hold(wanted.path.as_path())?;
        if number > wanted.number {
            let error = ServeError::Fenced { number, own: wanted.number };
            record::write_exit(dir, &ExitRecord::never_ran(spec, now.wall, error.to_string()))?;
            return Err(error);
        }
        if record::read_exit(dir).is_some() {
            return Err(ServeError::GivenUp);
        }
        held = Some(lock);
    }
    let pid = match pty.spawn(spec) {
        Ok(pid) => pid,
        Err(source) => {
            let error = ServeError::Spawn { program: spec.program.as_path().to_owned(), source };
            let text = chain(&error);
            record::write_exit(dir, &ExitRecord::never_ran(spec, now.wall, text))?;
            return Err(error);
        }
    };
    // A zombie still has its start time: it is not reaped before the loop runs.
    let agent = ProcessId::of(pid).unwrap_or(ProcessId { pid, start: 0 });
    failpoint::hit("host.spawned");
    record::write_running(dir, &record::running(spec, agent, now.boot, now.wall))?;
    Ok((agent, held))
}

/// Takes over an inherited descriptor, and keeps it from the agent.
fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    if fd <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the spec says that this number was inherited for us; `fcntl` fails if it was not,
    // before ownership is claimed.
    unsafe {
        rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(fd), rustix::io::FdFlags::CLOEXEC)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Text as typed by a person: end-of-file counts only at the start of a line.
fn with_eof(mut text: Vec<u8>) -> Vec<u8> {
    if text.last().is_some_and(|&b| b != b'\n') {
        text.push(b'\n');
    }
    text.push(0x04);
    text
}

/// What a descriptor in the poll set stands for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Terminal,
    /// The terminal has room for input, which is written in any case.
    Room,
    Sweep,
    Peer(u64),
}

impl Host {
    fn run(&mut self) {
        loop {
            let ready = self.wait();
            let now = Instant::now();
            for (source, flags) in ready {
                match source {
                    Source::Signals => self.on_signal(now),
                    Source::Listener => self.accept(now),
                    Source::Terminal => self.on_terminal(now),
                    Source::Room => {}
                    Source::Sweep => self.collect_sweep(),
                    Source::Peer(id) => self.on_peer(id, flags, now),
                }
            }
            self.write_input(now);
            self.on_time(now);
            self.clear_peers(now);
            if self.leftovers.is_some() {
                return;
            }
        }
    }

    /// Sleeps until something happens; returns what.
    fn wait(&mut self) -> Vec<(Source, PollFlags)> {
        let timeout = self.deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            // Rounded up: waking before the time would only mean to wait again.
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: (left.subsec_nanos() + 1).min(999_999_999).into(),
            }
        });
        let list = self.sources();
        let mut fds: Vec<PollFd<'_>> =
            list.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(_) => {
                let all = list.iter().zip(&fds).map(|((source, ..), fd)| (*source, fd.revents()));
                all.filter(|(_, flags)| !flags.is_empty()).collect()
            }
        }
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut list = Vec::with_capacity(4 + self.peers.len());
        list.push((Source::Signals, self.signals.fd(), PollFlags::IN));
        if let Some((_, done)) = &self.sweeping {
            list.push((Source::Sweep, done.as_fd(), PollFlags::IN));
        }
        // Output before connections: whoever attaches now should see it.
        list.push((Source::Terminal, self.pump.source(self.pty.fd()), PollFlags::IN));
        if self.input.wants_room() && self.ended.is_none() {
            list.push((Source::Room, self.pty.fd(), PollFlags::OUT));
        }
        list.push((Source::Listener, self.listener.as_fd(), PollFlags::IN));
        let full = self.input.is_full();
        for peer in &self.peers {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !(full && peer.is_client()));
            flags.set(PollFlags::OUT, peer.has_output());
            list.push((Source::Peer(peer.id), peer.fd(), flags));
        }
        list
    }

    fn deadline(&self) -> Option<Instant> {
        let own = [self.kill_at, self.settle_at, self.flush_at, self.input.deadline(), self.throttle_deadline()];
        own.into_iter().chain(self.peers.iter().map(Peer::deadline)).flatten().min()
    }

    fn on_signal(&mut self, now: Instant) {
        let arrived = self.signals.read();
        if arrived.term {
            self.stop(None, now);
        }
        if arrived.child {
            self.reap(now);
        }
    }

    /// Collects ended children: the agent, and what it left behind.
    fn reap(&mut self, now: Instant) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if u32::try_from(pid.as_raw_nonzero().get()) == Ok(self.agent.pid) && self.ended.is_none() {
                let ended =
                    Ended { code: status.exit_status(), signal: status.terminating_signal(), at: clock::now().wall };
                self.on_agent_exit(ended, now);
            }
        }
    }

    fn on_agent_exit(&mut self, ended: Ended, now: Instant) {
        self.ended = Some(ended);
        self.kill_at = None;
        self.drain(now);
        // Clients are served while what is left behind gets its grace.
        self.sweeping = sweep_aside(self.spec.marker.clone()).ok();
        if self.sweeping.is_none() {
            self.leftovers = Some(sweep::below_this_process(&self.spec.marker, LEFTOVER_GRACE));
        }
    }

    fn collect_sweep(&mut self) {
        if let Some((thread, _)) = self.sweeping.take() {
            self.leftovers = Some(thread.join().unwrap_or(0));
        }
    }

    /// Reads everything the terminal holds. The kernel delivers what was written before it says
    /// that there is nothing.
    pub(super) fn drain(&mut self, now: Instant) {
        let ahead = self.pump.calm();
        self.take_output(&ahead, now);
        loop {
            let bytes = self.pump.take(self.pty.fd());
            if bytes.is_empty() {
                break;
            }
            self.take_output(&bytes, now);
            self.pump.recycle(bytes);
            // The last batch may have started a thread.
            let ahead = self.pump.calm();
            self.take_output(&ahead, now);
        }
    }

    fn on_terminal(&mut self, now: Instant) {
        let bytes = self.pump.take(self.pty.fd());
        self.take_output(&bytes, now);
        self.pump.recycle(bytes);
    }

    fn accept(&mut self, now: Instant) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.peers.len() >= MAX_PEERS || socket::require_own_peer(&stream).is_err() {
                continue;
            }
            let inside = inside(&stream, &self.spec);
            self.peers.push(Peer::new(self.next_peer, stream, inside, now));
            self.next_peer += 1;
        }
    }

    /// Asks the agent to end; after `grace` it has to.
    pub(super) fn stop(&mut self, grace_ms: Option<u64>, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        let own = self.spec.stop_grace_ms;
        let usual = if own == 0 { STOP_GRACE } else { Duration::from_millis(own) };
        // An hour is for ever.
        let grace = grace_ms.map_or(usual, Duration::from_millis).min(Duration::from_secs(3600));
        self.stop_asked = true;
        self.kill_at = Some(self.kill_at.map_or(now + grace, |at| at.min(now + grace)));
        sweep::polite(self.agent);
    }

    fn on_time(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if is_due(self.kill_at) {
            self.kill_at = None;
            let _ = self.agent.signal(rustix::process::Signal::KILL);
        }
        if is_due(self.flush_at) {
            self.flush_at = None;
            self.transcript.flush();
            self.report_transcript();
        }
        if is_due(self.settle_at) {
            self.settle_at = None;
            self.settle();
        }
        self.send_throttled(now);
    }

    /// Writes waiting input; tells senders what became of their messages.
    pub(super) fn write_input(&mut self, now: Instant) {
        if self.input.is_empty() {
            return;
        }
        if self.ended.is_some() {
            self.input = Input::default();
            return;
        }
        let (done, stuck) = self.input.write(self.pty.fd(), now);
        for written in done {
            self.on_written(written);
        }
        if stuck {
            self.host_error("the agent does not read its input; what is typed is dropped until it does");
        }
    }

    pub(super) fn scrollback(&self) -> usize {
        match self.spec.scrollback {
            0 => SCROLLBACK,
            lines => usize::try_from(lines).unwrap_or(SCROLLBACK),
        }
    }

    pub(super) fn agent_process(&self) -> Process {
        Process { pid: self.agent.pid, start: self.agent.start }
    }

    /// After the sweep: the rest of the output, the record, the word to everybody.
    fn finish(&mut self) {
        let now = Instant::now();
        let leftovers = self.leftovers.unwrap_or(0);
        self.drain(now);
        self.end_output();
        self.transcript.finish();
        self.report_transcript();
        let dirs: Vec<PathBuf> = self.spec.lock_dirs.iter().map(|dir| dir.as_path().to_owned()).collect();
        let locks_removed = super::locks::sweep(&dirs).into_iter().map(Into::into).collect();
        let ended = self.ended.unwrap_or(Ended { code: None, signal: None, at: clock::now().wall });
        let record = ExitRecord {
            code: ended.code,
            signal: ended.signal,
            error: None,
            stopped: self.stop_asked,
            started_at: self.began_wall,
            ended_at: ended.at,
            output_bytes: self.output_bytes,
            transcript_lost: self.transcript.lost(),
            input_dropped: self.input.dropped(),
            leftovers,
            locks_removed,
            cpu_ms: process::family_cpu_ms(std::process::id()),
            ..ExitRecord::never_ran(&self.spec, ended.at, String::new())
        };
        if let Err(e) = record::write_exit(&self.dir, &record) {
            self.host_error(&chain(&e));
        }
        let _ = std::fs::remove_file(self.spec.socket.as_path());
        self.say_goodbye(ended);
    }
}

/// Sweeps on a thread of its own; the descriptor becomes readable when it is over.
fn sweep_aside(marker: String) -> io::Result<(JoinHandle<usize>, OwnedFd)> {
    let done = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?;
    let theirs = done.try_clone()?;
    let thread = std::thread::Builder::new().spawn(move || {
        let left = sweep::below_this_process(&marker, LEFTOVER_GRACE);
        let _ = rustix::io::write(&theirs, &1_u64.to_ne_bytes());
        left
    })?;
    Ok((thread, done))
}
