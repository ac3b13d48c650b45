//! Signals as something to poll.
//!
//! **Invariant:** no signal but KILL and STOP ends or stops a host; TERM asks it to stop its agent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// What has arrived since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    /// A child changed its state.
    pub(super) child: bool,
    /// Somebody wants this host to stop.
    pub(super) term: bool,
}

/// Blocked signals and where they arrive.
#[derive(Debug)]
pub(super) struct Signals(OwnedFd);

impl Signals {
    /// Blocks what would end or stop the process. The mask is inherited by threads started later;
    /// the agent unblocks everything before it is executed.
    pub(super) fn take() -> io::Result<Self> {
        let blocked = [
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGPIPE,
            libc::SIGALRM,
            libc::SIGUSR1,
            libc::SIGUSR2,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            libc::SIGTERM,
            libc::SIGCHLD,
        ];
        // SAFETY: sets are locals, filled by the calls that take them; `signal` resets a
        // disposition (an inherited "ignore" of CHLD would lose exit codes).
        let fd = unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut mask: libc::sigset_t = std::mem::zeroed();
            let mut read: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            libc::sigemptyset(&raw mut read);
            for signal in blocked {
                libc::sigaddset(&raw mut mask, signal);
            }
            libc::sigaddset(&raw mut read, libc::SIGTERM);
            libc::sigaddset(&raw mut read, libc::SIGCHLD);
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const mask, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const read, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `signalfd` has just returned it, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes what has arrived.
    pub(super) fn read(&self) -> Arrived {
        const RECORD: usize = std::mem::size_of::<libc::signalfd_siginfo>();
        let mut arrived = Arrived::default();
        let mut buffer = [0_u8; RECORD * 8];
        while let Ok(n) = rustix::io::read(&self.0, &mut buffer) {
            for record in buffer[..n].chunks_exact(RECORD) {
                // The number is the first field, in the machine's byte order.
                let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
                arrived.child |= number == libc::SIGCHLD.unsigned_abs();
                arrived.term |= number == libc::SIGTERM.unsigned_abs();
            }
        }
        arrived
    }
}
