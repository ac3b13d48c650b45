//! Runs a program to its end: own process group, no terminal, bounded time and output.
//!
//! **Invariant:** when [`Run::output`] or [`Run::stream`] returns, the program and its process
//! group are gone. What left the group is the caller's to find (see [`super::process::marked`]).
//! The program is reaped only after the last signal to its group: until then its number, which is
//! the group's, is not given out again.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::exec;

/// How long a group has between TERM and KILL.
const TERM_GRACE: Duration = Duration::from_millis(500);

/// After the program itself ended, how long a child that kept its output open is waited for. Only
/// time spent waiting counts: what the program wrote is read to its end, however slow the sink is.
const DRAIN: Duration = Duration::from_millis(500);

/// Chunks in flight between the readers and the caller; each is at most [`CHUNK`].
const QUEUE: usize = 16;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// What a program can have written before it ended and we have not seen: both pipes (64 KiB by
/// default on Linux, at most 1 MiB), the queue and the readers' buffers. More is another's.
const IN_FLIGHT: usize = (2 << 20) + (QUEUE + 2) * CHUNK;

/// How long a group that was killed is waited for before it is killed once more.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// How often a program that runs without output is looked at.
const TICK: Duration = Duration::from_millis(500);

/// A program to run, and its bounds.
#[derive(Debug, Clone)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    cwd: Option<PathBuf>,
    clear_env: bool,
    unset: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    timeout: Option<Duration>,
    max_output: usize,
}

/// Which stream a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Whether the caller's sink asked to end it.
    pub aborted: bool,
    /// From spawn to end.
    pub duration: Duration,
}

impl Ended {
    /// Exit code 0, by itself.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0) && !self.timed_out && !self.aborted
    }
}

/// A finished program with what it wrote, each stream cut at the bound.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Whether either stream was cut.
    pub truncated: bool,
}

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error("cannot run {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("lost track of {}", program.display())]
    Wait {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Run {
    /// A program by absolute path, with this process's environment, no input, no time limit and
    /// at most 16 MiB kept of each stream.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: None,
            clear_env: false,
            unset: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout: None,
            max_output: 16 << 20,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.cwd = Some(dir.to_owned());
        self
    }

    /// Starts from an empty environment.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Removes a variable; applied before those that are set.
    #[must_use]
    pub fn unset(mut self, name: impl AsRef<OsStr>) -> Self {
        self.unset.push(name.as_ref().to_owned());
        self
    }

    /// Gives it these bytes as standard input, then the end of file.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Ends it, and its process group, after this long.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Keeps at most this many bytes of each stream.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// The program, for messages.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it and collects both streams.
    ///
    /// # Errors
    /// [`RunError`]. A program that fails is not an error: see [`Output::ended`].
    pub fn output(&self) -> Result<Output, RunError> {
        let (mut stdout, mut stderr, mut truncated) = (Vec::new(), Vec::new(), false);
        let ended = self.stream(|stream, chunk| {
            let sink = if stream == Stream::Out { &mut stdout } else { &mut stderr };
            let room = self.max_output.saturating_sub(sink.len());
            truncated |= chunk.len() > room;
            sink.extend_from_slice(&chunk[..chunk.len().min(room)]);
            true
        })?;
        Ok(Output { ended, stdout, stderr, truncated })
    }

    /// Runs it and hands every chunk to `sink` as it comes; `false` from the sink ends the
    /// program. The sink is also called with an empty chunk twice a second, so that it can look
    /// at a flag.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn stream(&self, sink: impl FnMut(Stream, &[u8]) -> bool) -> Result<Ended, RunError> {
        self.stream_then(sink, |_| {})
    }

    /// Like [`Run::stream`]; `at_end` is called once the program itself has ended and before the
    /// rest of its process group is killed, with the number of that group. There it can be seen
    /// what the program left behind; the program itself is there still, as one that has ended.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn stream_then(
        &self,
        mut sink: impl FnMut(Stream, &[u8]) -> bool,
        at_end: impl FnOnce(u32),
    ) -> Result<Ended, RunError> {
        let began = Instant::now();
        let mut child = self.spawn()?;
        let group = Pid::from_child(&child);
        let (tx, rx) = mpsc::sync_channel(QUEUE);
        read_into(child.stdout.take(), Stream::Out, tx.clone());
        read_into(child.stderr.take(), Stream::Err, tx);
        feed(child.stdin.take(), self.stdin.clone());

        let deadline = self.timeout.map(|limit| began + limit);
        let (mut timed_out, mut aborted) = (false, false);
        let mut ended = false;
        let (mut late, mut idle) = (0, Duration::ZERO);
        loop {
            let tick = if ended { Duration::from_millis(20) } else { TICK };
            let wait = deadline.map_or(tick, |d| tick.min(d.saturating_duration_since(Instant::now())));
            let asked = Instant::now();
            let next = rx.recv_timeout(wait.max(Duration::from_millis(1)));
            idle += if ended { asked.elapsed() } else { Duration::ZERO };
            match next {
                Ok((stream, chunk)) => {
                    late += if ended { chunk.len() } else { 0 };
                    aborted |= !sink(stream, &chunk);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => aborted |= !sink(Stream::Out, &[]),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            ended = ended || self.has_ended(group)?;
            timed_out |= !ended && deadline.is_some_and(|d| Instant::now() >= d);
            if timed_out || aborted || late > IN_FLIGHT || idle > DRAIN {
                break;
            }
        }
        if !ended && (timed_out || aborted) {
            self.end(group)?;
        } else if !ended {
            (timed_out, aborted) = self.wait_silent(group, deadline, || sink(Stream::Out, &[]))?;
        }
        at_end(group.as_raw_nonzero().get().unsigned_abs());
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let status = child.wait().map_err(|source| self.lost(source))?;
        let duration = began.elapsed();
        Ok(Ended { code: status.code(), signal: status.signal(), timed_out, aborted, duration })
    }

    /// Runs it on this process's own terminal and streams, as an editor or a pager wants it. Bytes
    /// given as standard input go there instead of the terminal's. The bounds do not apply; an
    /// interrupt from the keyboard is the program's, not ours.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn foreground(&self) -> Result<Ended, RunError> {
        let began = Instant::now();
        let _interrupts =
            super::signal::Signals::catch(&[Signal::INT, Signal::QUIT]).map_err(|source| self.lost(source))?;
        let mut command = self.command();
        if !self.stdin.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|error| self.not_spawned(error))?;
        feed(child.stdin.take(), self.stdin.clone());
        let status = child.wait().map_err(|source| self.lost(source))?;
        let (code, signal) = (status.code(), status.signal());
        Ok(Ended { code, signal, timed_out: false, aborted: false, duration: began.elapsed() })
    }

    fn spawn(&self) -> Result<Child, RunError> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.spawn().map_err(|error| self.not_spawned(error))
    }

    fn not_spawned(&self, error: io::Error) -> RunError {
        RunError::Spawn {
            program: self.program.clone(),
            source: exec::explained(&self.program, self.cwd.as_deref(), error),
        }
    }

    /// The program in its folder, with its environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns programs")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        if self.clear_env {
            command.env_clear();
        }
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn lost(&self, source: io::Error) -> RunError {
        RunError::Wait { program: self.program.clone(), source }
    }

    /// Whether the program itself has ended. It is not reaped by that.
    fn has_ended(&self, child: Pid) -> Result<bool, RunError> {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            match rustix::process::waitid(WaitId::Pid(child), how) {
                Ok(ended) => return Ok(ended.is_some()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.lost(error.into())),
            }
        }
    }

    /// Both streams are closed; the program itself may go on without them. Returns whether the
    /// time limit or `go_on` ended it.
    fn wait_silent(
        &self,
        group: Pid,
        deadline: Option<Instant>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<(bool, bool), RunError> {
        let ending = Ending::of(group);
        while !self.has_ended(group)? {
            let timed_out = deadline.is_some_and(|d| Instant::now() >= d);
            if timed_out || !go_on() {
                return self.end(group).map(|()| (timed_out, !timed_out));
            }
            ending.wait(deadline.map_or(TICK, |d| TICK.min(d.saturating_duration_since(Instant::now()))));
        }
        Ok((false, false))
    }

    /// Has the program end, by force after a while.
    fn end(&self, group: Pid) -> Result<(), RunError> {
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
        let until = Instant::now() + TERM_GRACE;
        let ending = Ending::of(group);
        while !self.has_ended(group)? {
            if Instant::now() >= until {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            // What sleeps in the kernel ends when it wakes.
            ending.wait(until.saturating_duration_since(Instant::now()).max(KILL_AGAIN));
        }
        Ok(())
    }
}

/// Waits for the end of a child that is not reaped yet, without looking again and again.
struct Ending(Option<std::os::fd::OwnedFd>);

impl Ending {
    /// Until the child is reaped its number is its own.
    fn of(child: Pid) -> Self {
        Self(rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).ok())
    }

    /// Returns when it ended or after `limit`, sooner where the system has no pidfd.
    fn wait(&self, limit: Duration) {
        let Some(fd) = &self.0 else { return thread::sleep(limit.min(Duration::from_millis(5))) };
        let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec::try_from(limit.max(Duration::from_millis(1))).ok();
        let _ = rustix::event::poll(&mut fds, limit.as_ref());
    }
}

fn read_into(pipe: Option<impl Read + Send + 'static>, stream: Stream, tx: mpsc::SyncSender<(Stream, Vec<u8>)>) {
    let Some(mut pipe) = pipe else { return };
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) if tx.send((stream, buffer[..n].to_vec())).is_err() => return,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
}

fn feed(pipe: Option<impl Write + Send + 'static>, bytes: Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    if bytes.is_empty() {
        return;
    }
    thread::spawn(move || {
        let _ = pipe.write_all(&bytes);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Run {
        Run::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn both_streams_and_the_code_come_back() {
        let out = sh("cat; echo err >&2; exit 3").stdin("in").output().expect("runs");
        assert_eq!(
            (out.stdout.as_slice(), out.stderr.as_slice(), out.ended.code),
            (&b"in"[..], &b"err\n"[..], Some(3))
        );
    }

    #[test]
    fn a_time_limit_ends_the_whole_group() {
        let out = sh("trap '' TERM; sleep 60 & sleep 60").timeout(Duration::from_millis(100)).output().expect("runs");
        assert!(out.ended.timed_out && !out.ended.is_success());
        assert!(out.ended.duration < Duration::from_secs(10));
    }

    #[test]
    fn a_child_that_keeps_the_output_open_does_not_hold_us() {
        let out = sh("sleep 60 & echo hi").output().expect("runs");
        assert_eq!(out.stdout, b"hi\n");
        assert!(out.ended.is_success() && out.ended.duration < Duration::from_secs(10));
    }

    #[test]
    fn output_over_the_bound_is_cut_and_said() {
        let out = sh("yes | head -c 100000").max_output(10).output().expect("runs");
        assert_eq!(out.stdout.len(), 10);
        assert!(out.truncated);
    }

    #[test]
    fn a_program_that_closes_its_streams_still_meets_its_limit() {
        let out = sh("exec >&- 2>&-; sleep 60").timeout(Duration::from_millis(100)).output().expect("runs");
        assert!(out.ended.timed_out);
    }

    #[test]
    fn a_program_that_closes_its_streams_can_still_be_ended() {
        let mut looks = 0;
        let ended = sh("exec >&- 2>&-; sleep 60").stream(|_, _| {
            looks += 1;
            looks < 3
        });
        let ended = ended.expect("runs");
        assert!(ended.aborted && ended.duration < Duration::from_secs(10), "{ended:?}");
    }

    #[test]
    fn a_slow_reader_gets_all_that_was_written() {
        let mut got = 0;
        let ended = sh("head -c 2000000 /dev/zero").stream(|_, chunk| {
            got += chunk.len();
            thread::sleep(Duration::from_millis(if chunk.is_empty() { 0 } else { 40 }));
            true
        });
        assert!(ended.expect("runs").is_success());
        assert_eq!(got, 2_000_000);
    }

    #[test]
    fn a_child_that_goes_on_writing_does_not_hold_us() {
        for chatter in ["while :; do echo x; sleep 0.01; done", "yes"] {
            let ended = sh(&format!("{chatter} & exit 0")).timeout(Duration::from_secs(30)).stream(|_, _| true);
            let ended = ended.expect("runs");
            assert!(ended.is_success() && ended.duration < Duration::from_secs(10), "{chatter}: {ended:?}");
        }
    }

    #[test]
    fn what_is_left_in_the_group_can_be_seen_at_the_end() {
        let mut left = Vec::new();
        let run = sh("sleep 60 >/dev/null 2>&1 & exit 0");
        let ended = run.stream_then(
            |_, _| true,
            |group| {
                let stat = crate::os::process::Stat::read;
                left = crate::os::process::all();
                left.retain(|&pid| pid != group && stat(pid).is_some_and(|s| s.group == group));
            },
        );
        assert!(ended.expect("runs").is_success());
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Run::new("/nonexistent/tool").output().expect_err("no such program");
        assert_eq!(error.to_string(), "cannot run /nonexistent/tool");
    }
}
