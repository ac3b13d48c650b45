//! The player's terminal: raw mode, keys and the signals that end it.
//!
//! **Invariant:** the terminal is given back as it was found, whatever way [`Tty`] goes.
//! Must not know: what is played.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;
use rustix::termios::{OptionalActions, OutputModes, Termios};

use super::keys::{Key, Keys};

/// What a player plays on.
pub trait Terminal {
    /// Shows bytes.
    ///
    /// # Errors
    /// The terminal is gone.
    fn show(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits for what happens next, at most this long; without a limit where there is none.
    ///
    /// # Errors
    /// The terminal cannot be read.
    fn next(&mut self, wait: Option<Duration>) -> io::Result<Happening>;
}

/// What happened on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A key.
    Key(Key),
    /// The time is over.
    Nothing,
    /// The terminal is gone, or its input is at an end.
    Closed,
    /// A signal asks to leave: its number.
    Asked(i32),
}

/// How long a lone ESC waits for the rest of a sequence. Terminals send the rest at once.
const ESCAPE_WAIT: Duration = Duration::from_millis(50);

/// Where the signal handler writes; -1 before there is a [`Tty`].
static SIGNALS: AtomicI32 = AtomicI32::new(-1);

/// Standard input and output of this process.
#[derive(Debug)]
pub struct Tty {
    before: Option<Termios>,
    signals: OwnedFd,
    keys: Keys,
    bytes: std::collections::VecDeque<u8>,
}

impl Tty {
    /// Takes the terminal over: raw input, ordinary output, TERM and HUP as happenings. Where
    /// standard input is no terminal, it is read as it is.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn open() -> io::Result<Self> {
        let (signals, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // The handler may run until the process ends, so the writing end is never closed.
        SIGNALS.store(std::os::fd::IntoRawFd::into_raw_fd(writer), Ordering::SeqCst);
        for signal in [libc::SIGTERM, libc::SIGHUP] {
            catch(signal)?;
        }
        let stdin = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            raw.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
            rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw)?;
        }
        Ok(Self { before, signals, keys: Keys::default(), bytes: std::collections::VecDeque::new() })
    }

    /// Waits until a descriptor is ready; the first tells of a signal, the second of input.
    fn poll(&self, wait: Option<Duration>) -> io::Result<(bool, bool)> {
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            let stdin = rustix::stdio::stdin();
            let mut fds = [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match rustix::event::poll(&mut fds, left.as_ref()) {
                Ok(_) => return Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty())),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Terminal for Tty {
    fn show(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let stdout = rustix::stdio::stdout();
        while !bytes.is_empty() {
            match rustix::io::write(stdout, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => wait_writable(stdout)?,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn next(&mut self, wait: Option<Duration>) -> io::Result<Happening> {
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            while let Some(byte) = self.bytes.pop_front() {
                if let Some(key) = self.keys.push(byte) {
                    return Ok(Happening::Key(key));
                }
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let is_pending = self.keys.is_pending();
            let (signal, input) = self.poll(if is_pending { Some(ESCAPE_WAIT) } else { left })?;
            if signal {
                let mut number = [0];
                rustix::io::read(&self.signals, &mut number)?;
                return Ok(Happening::Asked(i32::from(number[0])));
            }
            if !input {
                return Ok(self.keys.settle().map_or(Happening::Nothing, Happening::Key));
            }
            let mut buffer = [0; 4096];
            match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
                // A terminal whose other side is gone answers EIO.
                Ok(0) | Err(rustix::io::Errno::IO) => return Ok(Happening::Closed),
                Ok(count) => self.bytes.extend(&buffer[..count]),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn wait_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn catch(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: the handler only loads an atomic and calls write(2), both safe in a signal handler;
    // the action is zeroed except for the fields set here.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn note(signal: libc::c_int) {
    let number = [u8::try_from(signal).unwrap_or(0)];
    let fd = SIGNALS.load(Ordering::SeqCst);
    if fd >= 0 {
        // SAFETY: the descriptor stays open for the life of the process. errno is kept, because
        // the code that was interrupted may be about to read it.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(fd.as_raw_fd(), number.as_ptr().cast(), 1);
            *libc::__errno_location() = errno;
        }
    }
}
