//! Starts a program that outlives this one: own session, no terminal, one line of greeting.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::run::RunError;

/// The longest greeting read, in bytes.
const MAX_GREETING: u64 = 64 << 10;

/// Why a program did not come up.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// It did not start.
    #[error(transparent)]
    Spawn(#[from] RunError),
    /// It ended, or closed its output, without a greeting.
    #[error("{} ended before it was ready", program.display())]
    Silent {
        /// The program.
        program: PathBuf,
    },
    /// It took too long.
    #[error("{} was not ready within {} s", program.display(), limit.as_secs())]
    Slow {
        /// The program.
        program: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
}

/// Starts `program` in a session of its own, with `log` as its standard error, and waits for the
/// first line it writes to its standard output.
///
/// # Errors
/// [`DetachError`].
pub fn start<S: AsRef<OsStr>>(
    program: &Path,
    args: impl IntoIterator<Item = S>,
    cwd: &Path,
    log: File,
    limit: Duration,
) -> Result<String, DetachError> {
    let args: Vec<OsString> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
    let stdout = spawn(program, &args, cwd, log)?;
    let (tx, rx) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout.take(MAX_GREETING)).read_line(&mut line);
        let _ = tx.send(read.map(|_| line));
    });
    match rx.recv_timeout(limit) {
        Ok(Ok(line)) if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
        Ok(_) | Err(mpsc::RecvTimeoutError::Disconnected) => Err(DetachError::Silent { program: program.to_owned() }),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(DetachError::Slow { program: program.to_owned(), limit }),
    }
}

/// Starts `program`, looked up on PATH, in a session of its own without input and output, and leaves
/// it to itself.
///
/// # Errors
/// [`RunError`] where it does not start.
#[expect(clippy::disallowed_methods, reason = "it outlives us")]
pub fn leave(program: &OsStr, args: &[OsString]) -> Result<(), RunError> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    in_own_session(&mut command);
    command.spawn().map(|_| ()).map_err(|source| RunError::Spawn { program: program.into(), source })
}

fn in_own_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe and touches no memory of this process.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(io::Error::from));
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts what outlives us")]
fn spawn(program: &Path, args: &[OsString], cwd: &Path, log: File) -> Result<impl Read + Send + 'static, RunError> {
    let wrap = |source| RunError::Spawn { program: program.to_owned(), source };
    let mut command = Command::new(program);
    command.args(args).current_dir(cwd).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    in_own_session(&mut command);
    let mut child = command.spawn().map_err(wrap)?;
    let stdout = child.stdout.take().ok_or_else(|| wrap(io::Error::other("no standard output")))?;
    // Reaps it, should it end while this process still lives.
    thread::spawn(move || {
        let _ = child.wait();
    });
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<String, DetachError> {
        let log = tempfile::tempfile().expect("temp file");
        start(Path::new("/bin/sh"), ["-c", script], Path::new("/"), log, limit)
    }

    #[test]
    fn the_greeting_comes_back_and_the_session_is_its_own() {
        // Field 6 of a process's stat, as it sees it: 0 where the session is of another PID namespace.
        let session = "cut -d' ' -f6 /proc/self/stat";
        let own = std::fs::read_to_string("/proc/self/stat").expect("stat");
        let own = own.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(3)).expect("session").to_owned();
        let line = sh(session, Duration::from_secs(20)).expect("starts");
        assert!(!line.is_empty() && line != own && line != "0", "{line}");
    }

    #[test]
    fn one_that_ends_without_a_greeting_is_said() {
        assert!(matches!(sh("exit 3", Duration::from_secs(20)), Err(DetachError::Silent { .. })));
    }
}
