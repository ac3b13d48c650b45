//! Signals as readable bytes: a handler that does nothing but write a number into a pipe.
//!
//! **Invariant:** while a [`Signals`] lives, none of its signals ends or stops this process; once
//! it is dropped, each does what it did before. There is at most one at a time.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::pipe::PipeFlags;
use rustix::process::Signal;

/// The writing end, for the handler; the pipe is made once and never closed, so that a handler
/// that runs late writes into it and not into a stranger's descriptor.
static WRITER: AtomicI32 = AtomicI32::new(-1);
static PIPE: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Caught signals.
#[derive(Debug)]
pub struct Signals {
    reader: BorrowedFd<'static>,
    before: Vec<(Signal, libc::sigaction)>,
}

impl Signals {
    /// Catches these signals. One that this process was told to ignore (as by `nohup`) stays
    /// ignored.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::ResourceBusy`] while another one lives.
    pub fn catch(signals: &[Signal]) -> io::Result<Self> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "signals are caught already"));
        }
        let reader = match pipe() {
            Ok(reader) => reader,
            Err(error) => {
                TAKEN.store(false, Ordering::Release);
                return Err(error);
            }
        };
        let mut caught = Self { reader, before: Vec::new() };
        while caught.take().is_some() {}
        for &signal in signals {
            if let Some(before) = install(signal)? {
                caught.before.push((signal, before));
            }
        }
        Ok(caught)
    }

    /// The next caught signal, oldest first; `None` if there is none now.
    pub fn take(&mut self) -> Option<Signal> {
        let mut byte = [0];
        match rustix::io::retry_on_intr(|| rustix::io::read(self.reader, &mut byte)) {
            Ok(1) => Signal::from_named_raw(i32::from(byte[0])),
            _ => None,
        }
    }
}

impl AsFd for Signals {
    /// Readable when [`Signals::take`] has one.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // SAFETY: `before` is what the kernel gave for this signal, and it outlives the call.
            unsafe { libc::sigaction(signal.as_raw(), before, std::ptr::null_mut()) };
        }
        TAKEN.store(false, Ordering::Release);
    }
}

fn pipe() -> io::Result<BorrowedFd<'static>> {
    if PIPE.get().is_none() {
        let made = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let (_, writer) = PIPE.get_or_init(|| made);
        WRITER.store(writer.as_raw_fd(), Ordering::Release);
    }
    let (reader, _) = PIPE.get().expect("made just above");
    Ok(reader.as_fd())
}

/// Returns what the signal did before; `None` if it is ignored and stays so.
fn install(signal: Signal) -> io::Result<Option<libc::sigaction>> {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: only asks; the pointer is to a local of the right type.
    if unsafe { libc::sigaction(signal.as_raw(), std::ptr::null(), before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and filled it in.
    let before = unsafe { before.assume_init() };
    if before.sa_sigaction == libc::SIG_IGN {
        return Ok(None);
    }
    // SAFETY: zeroes are a valid sigaction; the mask is emptied by the call made for it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler only calls what is safe in one; all pointers are to locals.
    let rc = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal.as_raw(), &raw const action, std::ptr::null_mut())
    };
    if rc == 0 { Ok(Some(before)) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(number: libc::c_int) {
    // Signal numbers stay below 128.
    let byte = number as u8;
    // SAFETY: `write` may be called in a handler; the descriptor stays open for the life of the
    // process; errno is put back, so that what was interrupted does not see ours.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::write(WRITER.load(Ordering::Acquire), (&raw const byte).cast(), 1);
        *errno = before;
    }
}

#[cfg(target_os = "linux")]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: always returns a valid pointer to this thread's errno.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: always returns a valid pointer to this thread's errno.
    unsafe { libc::__error() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because there is one process: catching, order, and giving back.
    #[test]
    fn a_signal_is_read_once_and_what_was_before_comes_back() {
        let action = || {
            let mut now = MaybeUninit::<libc::sigaction>::uninit();
            // SAFETY: only asks; the pointer is to a local of the right type.
            let now = unsafe {
                assert_eq!(libc::sigaction(libc::SIGWINCH, std::ptr::null(), now.as_mut_ptr()), 0);
                now.assume_init()
            };
            now.sa_sigaction
        };
        let before = action();
        let mut signals = Signals::catch(&[Signal::WINCH]).expect("catch");
        assert_ne!(action(), before);
        assert_eq!(Signals::catch(&[Signal::WINCH]).expect_err("one at a time").kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(signals.take(), None);
        rustix::process::kill_process(rustix::process::getpid(), Signal::WINCH).expect("kill");
        let mut fds = [rustix::event::PollFd::new(&signals, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit)));
        assert_eq!(ready.expect("poll"), 1);
        assert_eq!((signals.take(), signals.take()), (Some(Signal::WINCH), None));
        drop(signals);
        assert_eq!(action(), before);
        drop(Signals::catch(&[Signal::WINCH]).expect("catch again"));
    }
}
