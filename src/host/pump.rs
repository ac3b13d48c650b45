//! Reads the agent's terminal.
//!
//! In the main loop while output trickles: a keystroke's echo takes no detour. When it floods, a
//! thread reads ahead into a bounded buffer, so that the agent can write while the last batch is
//! worked off; the thread ends when the flood does.
//!
//! **Invariant:** at most [`AHEAD`] bytes are read ahead; an idle host has no such thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Read in the main loop at once.
const BATCH: usize = 64 << 10;

/// This much within [`WINDOW`] is a flood. A redraw of a large screen is a sixth of it; a program
/// that waits for its reader gets there although the terminal is empty after every read.
const FLOOD: usize = 128 << 10;
const WINDOW: Duration = Duration::from_millis(20);

/// Bytes the thread may be ahead.
const AHEAD: usize = 128 << 10;

/// A terminal hands out at most 4 KiB a read; clearly less means that it is empty now.
const SHORT: usize = 2048;

/// Nothing for this long, and the flood is over.
const LULL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The thread only reads and copies.
const STACK: usize = 64 << 10;

#[derive(Debug, Default)]
struct Ahead {
    bytes: Vec<u8>,
    ended: bool,
    stop: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Ahead>,
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ahead> {
        // A panic under this lock leaves a byte buffer, which is whole at any time.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Flood {
    shared: Arc<Shared>,
    thread: thread::JoinHandle<()>,
}

/// The reading end of a terminal.
#[derive(Debug)]
pub(super) struct Pump {
    buffer: Vec<u8>,
    wake: OwnedFd,
    flood: Option<Flood>,
    /// When the current window began, and what was read in it.
    window: Option<(Instant, usize)>,
    /// Whether there was a flood since the last rest.
    flooded: bool,
}

impl Pump {
    pub(super) fn new() -> io::Result<Self> {
        let wake = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { buffer: Vec::new(), wake, flood: None, window: None, flooded: false })
    }

    /// What to poll for input: the terminal, or the thread's signal.
    pub(super) fn source<'a>(&'a self, master: BorrowedFd<'a>) -> BorrowedFd<'a> {
        if self.flood.is_some() { self.wake.as_fd() } else { master }
    }

    /// Takes what there is, up to a batch. An empty answer means there is nothing now. Give the
    /// buffer back with [`Pump::recycle`].
    pub(super) fn take(&mut self, master: BorrowedFd<'_>) -> Vec<u8> {
        if self.flood.is_none() {
            let bytes = self.read(master);
            if self.is_flood(bytes.len()) {
                // Without a thread the loop goes on alone, only slower.
                self.flood = self.start(master).ok();
                self.flooded = true;
            }
            return bytes;
        }
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        let Some(flood) = &self.flood else { return Vec::new() };
        let mut state = flood.shared.lock();
        let bytes = std::mem::replace(&mut state.bytes, std::mem::take(&mut self.buffer));
        let ended = state.ended;
        drop(state);
        flood.shared.room.notify_one();
        if ended && let Some(flood) = self.flood.take() {
            let _ = flood.thread.join();
        }
        bytes
    }

    /// Takes back a buffer for the next batch.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > self.buffer.capacity() {
            self.buffer = buffer;
        }
    }

    /// Ends the thread: what it has read is returned, and reading goes on in the loop.
    pub(super) fn calm(&mut self) -> Vec<u8> {
        let Some(flood) = self.flood.take() else { return Vec::new() };
        flood.shared.lock().stop = true;
        flood.shared.room.notify_one();
        let _ = flood.thread.join();
        std::mem::take(&mut flood.shared.lock().bytes)
    }

    /// Frees what only a busy agent needs.
    pub(super) fn rest(&mut self) {
        if self.flood.is_some() {
            return;
        }
        self.buffer = Vec::new();
        if std::mem::take(&mut self.flooded) {
            give_back_memory();
        }
    }

    fn is_flood(&mut self, bytes: usize) -> bool {
        // Trickles are not timed.
        if bytes < SHORT {
            return false;
        }
        let now = Instant::now();
        let (since, seen) = self.window.filter(|(since, _)| now - *since < WINDOW).unwrap_or((now, 0));
        self.window = Some((since, seen + bytes));
        seen + bytes >= FLOOD
    }

    fn read(&mut self, master: BorrowedFd<'_>) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let mut chunk = [0_u8; 4096];
        while bytes.len() < BATCH {
            match rustix::io::read(master, &mut chunk) {
                Ok(n) => {
                    bytes.extend_from_slice(&chunk[..n]);
                    if n < SHORT {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        bytes
    }

    fn start(&self, master: BorrowedFd<'_>) -> io::Result<Flood> {
        let (master, wake) = (master.try_clone_to_owned()?, self.wake.try_clone()?);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().stack_size(STACK).spawn(move || read_ahead(&master, &wake, &theirs))?;
        Ok(Flood { shared, thread })
    }
}

fn read_ahead(master: &OwnedFd, wake: &OwnedFd, shared: &Shared) {
    let mut chunk = [0_u8; 4096];
    loop {
        match rustix::io::read(master, &mut chunk) {
            Ok(n) if n > 0 => {
                let mut state = shared.lock();
                while state.bytes.len() >= AHEAD && !state.stop {
                    state = shared.room.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                let was_empty = state.bytes.is_empty();
                state.bytes.extend_from_slice(&chunk[..n]);
                let stop = state.stop;
                drop(state);
                if was_empty {
                    signal(wake);
                }
                if stop {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(master, PollFlags::IN)];
                let is_lull = matches!(rustix::event::poll(&mut fds, Some(&LULL)), Ok(0) | Err(_));
                if is_lull || shared.lock().stop {
                    break;
                }
            }
            _ => break,
        }
    }
    shared.lock().ended = true;
    signal(wake);
}

/// The allocator keeps what a flood needed; hosts live long and are many.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes an integer, and only returns free pages to the system.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn signal(wake: &OwnedFd) {
    let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
}
