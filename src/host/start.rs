//! Starts a host process and waits until its agent runs.
//!
//! **Invariant:** on success the agent runs and the host is nobody's child; on failure no agent
//! was started, or the error says that it is not known. Must not know: what the agent is.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::os::{failpoint, process};
use crate::wire::host::{Address, Failure, Spec};

/// A host on a loaded machine is up in a few hundred milliseconds; a folder on a stalled disk
/// takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address is a few hundred bytes.
const MAX_ANSWER: usize = 64 << 10;

/// A host of its own, small binary beside the main one.
pub(super) const SMALL: &str = "standup-host";

/// What the main program is told to be one.
pub(super) const HOST_VERB: &str = "__host";

/// Why no host was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The host's program did not start.
    #[error("cannot run {}", exe.display())]
    Run {
        /// The program.
        exe: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The host refused, and started no agent.
    #[error("{}", failure.error)]
    Refused {
        /// What it said.
        failure: Failure,
    },
    /// The host fell silent. Whether an agent runs is to be found out from its folder.
    #[error("the host did not answer: {why}")]
    Silent {
        /// What happened instead.
        why: String,
    },
}

/// Starts a host with this spec. `exe` is the main program; a `standup-host` beside it is taken
/// instead where there is one.
///
/// # Errors
/// [`StartError`].
pub fn start(spec: &Spec, exe: &Path) -> Result<Address, StartError> {
    let small = exe.with_file_name(SMALL);
    let (program, args): (&Path, &[&str]) = if small.is_file() { (&small, &[]) } else { (exe, &[HOST_VERB]) };
    let keep: Vec<i32> = spec.slot_fd.into_iter().collect();
    let mut child =
        spawn_detached(program, args, &keep).map_err(|source| StartError::Run { exe: program.to_owned(), source })?;
    failpoint::hit("launch.host-spawned");
    let json = serde_json::to_vec(spec).map_err(|e| StartError::Silent { why: e.to_string() })?;
    if let Err(e) = child.stdin.write_all(&json) {
        return Err(StartError::Silent { why: e.to_string() });
    }
    drop(child.stdin);
    failpoint::hit("launch.spec-written");
    let answer = read_line(&mut child.stdout).map_err(|e| StartError::Silent { why: e.to_string() })?;
    if let Ok(address) = serde_json::from_slice::<Address>(&answer) {
        return Ok(address);
    }
    match serde_json::from_slice::<Failure>(&answer) {
        Ok(failure) => Err(StartError::Refused { failure }),
        Err(_) if answer.is_empty() => Err(StartError::Silent { why: "it ended without a word".into() }),
        Err(_) => Err(StartError::Silent { why: format!("it said {:?}", String::from_utf8_lossy(&answer)) }),
    }
}

fn read_line(from: &mut File) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + failpoint::wait("host.patience", PATIENCE);
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while !line.ends_with(b"\n") && line.len() < MAX_ANSWER {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().try_into().unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => match from.read(&mut chunk)? {
                0 => break,
                n => line.extend_from_slice(&chunk[..n]),
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(line)
}

/// The streams of a program that runs on its own.
#[derive(Debug)]
struct Detached {
    /// Its standard input.
    stdin: File,
    /// Its standard output.
    stdout: File,
}

/// Starts a program that outlives this process and is not its child: own session, no terminal, no
/// descriptors but two pipes and those of `keep`. Standard error goes nowhere.
#[expect(clippy::disallowed_methods, reason = "the one place that starts hosts")]
fn spawn_detached(program: &Path, args: &[&str], keep: &[RawFd]) -> io::Result<Detached> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let keep = keep.to_vec();
    // SAFETY: only system calls that are safe between fork and exec; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            process::close_on_exec_from(3)?;
            for &fd in &keep {
                rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(fd), rustix::io::FdFlags::empty())?;
            }
            // The child proper is the second one; the first ends at once and is reaped below.
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                _ => libc::_exit(0),
            }
            rustix::process::setsid()?;
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    let streams = child.stdin.take().zip(child.stdout.take());
    child.wait()?;
    let (stdin, stdout) = streams.ok_or(io::ErrorKind::BrokenPipe)?;
    Ok(Detached { stdin: OwnedFd::from(stdin).into(), stdout: OwnedFd::from(stdout).into() })
}
