//! Opens the PTY and starts the agent in it.
//!
//! **Invariant:** the agent leads its own session on the PTY, dies with this process, and inherits
//! no descriptor but the terminal. The library's writer is never made: dropped, it would type into
//! the agent. Must not know: what the agent prints.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use portable_pty::{MasterPty, PtySize, PtySystem, SlavePty};

use crate::os::exec::{self, Image};
use crate::os::process;
use crate::wire::host::{Bytes, Size, Spec};

/// Tells what runs in a host's terminal that it does, and in whose.
pub(super) const HOST_VARIABLE: &str = "STANDUP_HOST";

/// Signals whose ignoring would otherwise be inherited from whoever started the host.
const RESET: [libc::c_int; 13] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// One PTY. The slave stays open here too: the master then never reports a hang-up, which would
/// wake the loop for ever while an agent without a terminal lives on.
pub(super) struct Pty {
    master: Box<dyn MasterPty + Send>,
    fd: OwnedFd,
    _slave: Box<dyn SlavePty + Send>,
}

impl Pty {
    pub(super) fn open(size: Size) -> io::Result<Self> {
        let pair = portable_pty::unix::UnixPtySystem::default().openpty(cells(size)).map_err(io::Error::other)?;
        let raw = pair.master.as_raw_fd().ok_or_else(|| io::Error::other("the PTY has no descriptor"))?;
        // SAFETY: `pair.master` owns the descriptor and outlives this borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) }.try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { master: pair.master, fd, _slave: pair.slave })
    }

    /// The master, non-blocking.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn resize(&self, size: Size) {
        // Fails only on a descriptor that is no terminal.
        let _ = self.master.resize(cells(size));
    }

    /// The process group that owns the terminal.
    pub(super) fn foreground(&self) -> Option<u32> {
        self.master.process_group_leader().and_then(|group| u32::try_from(group).ok())
    }

    /// Starts the agent; call before any thread is started. What `exec` itself says is reported,
    /// and the agent is killed when this process dies: both need hands on the child before `exec`,
    /// which the library's own spawning does not allow.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns an agent")]
    pub(super) fn spawn(&self, spec: &Spec) -> io::Result<u32> {
        let name = self.master.tty_name().ok_or_else(|| io::Error::other("the PTY has no name"))?;
        let slave =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC).open(name)?;
        let stdio = || slave.try_clone().map(Stdio::from);
        let image =
            Image::new(spec.program.as_path(), spec.args.iter().map(Bytes::as_os_str), environment(spec).into_iter())?;
        let mut command = Command::new(spec.program.as_os_str());
        command.current_dir(spec.cwd.as_path()).stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
        // SAFETY: only system calls that are safe between fork and exec; nothing allocates.
        unsafe { command.pre_exec(move || prepare().and_then(|()| Err(image.exec()))) };
        let child = command
            .spawn()
            .map_err(|error| exec::explained(spec.program.as_path(), Some(spec.cwd.as_path()), error))?;
        // The child is reaped by the loop, which reaps everything.
        Ok(child.id())
    }
}

impl std::fmt::Debug for Pty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pty").field("fd", &self.fd.as_raw_fd()).finish_non_exhaustive()
    }
}

/// The agent's whole environment; of two of one name the later one holds.
fn environment(spec: &Spec) -> BTreeMap<&OsStr, &OsStr> {
    let given = spec.env.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let marker = spec.marker.split_once('=').map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    given.chain([(OsStr::new(HOST_VARIABLE), OsStr::new(spec.id.as_str()))]).chain(marker).collect()
}

/// Runs in the child, between fork and exec.
fn prepare() -> io::Result<()> {
    for signal in RESET {
        // SAFETY: resets a disposition of this process; no handler is involved.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // The host hears its own signals through a descriptor and blocks them; the agent must not.
    // SAFETY: an empty set on the stack, and no old set is asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    rustix::process::setsid()?;
    process::close_on_exec_from(3)?;
    // SAFETY: descriptor 0 is the slave; the argument is an integer.
    if unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

fn cells(size: Size) -> PtySize {
    PtySize { rows: size.rows, cols: size.cols, pixel_width: 0, pixel_height: 0 }
}
