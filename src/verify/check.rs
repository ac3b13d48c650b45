//! One check: its process, its output, its leftovers, its report.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::evidence::Expected;
use super::judge::judge;
use super::leftover::{self, Left};
use super::log::Log;
use super::{Job, log_path};
use crate::model::settings::{CheckSettings, ReportFormat};
use crate::model::text::chain;
use crate::model::verdict::{CheckOutcome, CheckResult};
use crate::os::locate;
use crate::os::run::{Ended, Run, Stream};
use crate::report::{Parser, Report};

/// The shell that POSIX systems have; elsewhere it is looked for on PATH.
const SHELL: &str = "/bin/sh";

/// What no check may inherit: the agent's token, and variables that would point git at another
/// repository than the worktree (`git rev-parse --local-env-vars`, less configuration).
const REMOVED: [&str; 12] = [
    "STANDUP_TOKEN",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
];

/// The result of a check that did not run.
pub(super) fn not_run(check: &CheckSettings, why: &str) -> CheckResult {
    CheckResult {
        name: check.name.clone(),
        outcome: CheckOutcome::Error,
        exit_code: None,
        duration_ms: 0,
        tests: None,
        failures: Vec::new(),
        why: why.to_owned(),
        tail: String::new(),
        command: check.run.clone(),
        notes: Vec::new(),
    }
}

pub(super) fn run(job: &Job, check: &CheckSettings, cancel: &AtomicBool) -> CheckResult {
    if !job.worktree.is_dir() {
        return not_run(check, "the worktree is gone");
    }
    let shell = match shell(&job.worktree) {
        Ok(shell) => shell,
        Err(why) => return not_run(check, &why),
    };
    let expected = match &check.report {
        ReportFormat::Junit(path) => Some(Expected::look(&job.worktree, path)),
        _ => None,
    };
    let mut output = Output::new(job, check);
    let marker = format!("{}={}", job.marker.0, job.marker.1);
    let mut left = Vec::new();
    let ended = command(job, check, shell).stream_then(
        |stream, chunk| {
            output.take(stream, chunk);
            !cancel.load(Ordering::Relaxed)
        },
        |group| left = leftover::survivors(&marker, group),
    );
    let stubborn = leftover::sweep(&marker);
    match ended {
        Ok(ended) => output.result(job, check, &ended, expected.as_ref(), leftovers(&ended, left, stubborn)),
        Err(error) => not_run(check, &chain(&error)),
    }
}

/// What a limit or an abort interrupted is not left behind, unless it left the process group.
fn leftovers(ended: &Ended, mut left: Vec<Left>, stubborn: usize) -> Option<String> {
    if ended.timed_out || ended.aborted {
        left.retain(|left| !left.in_group);
    }
    leftover::describe(&left, stubborn)
}

fn command(job: &Job, check: &CheckSettings, shell: PathBuf) -> Run {
    let run = Run::new(shell).args(["-c", &check.run]).cwd(&job.worktree).timeout(check.timeout.to_std()).clear_env();
    let kept = job.env.iter().filter(|(name, _)| !REMOVED.iter().any(|removed| name == removed));
    let run = kept.fold(run, |run, (name, value)| run.env(name, value));
    run.env("PWD", &job.worktree).env(&job.marker.0, &job.marker.1)
}

fn shell(cwd: &Path) -> Result<PathBuf, String> {
    let usual = Path::new(SHELL);
    if usual.exists() {
        return Ok(usual.to_owned());
    }
    locate::program(OsStr::new("sh"), cwd).map_err(|error| format!("no shell was found: {error}"))
}

/// Where the output of a running check goes.
struct Output {
    log: Log,
    /// One parser a stream, so that lines of one are never mixed with lines of the other.
    out: Parser,
    err: Parser,
}

impl Output {
    fn new(job: &Job, check: &CheckSettings) -> Self {
        // A file is read at the end; until then the output is only logged.
        let format = match &check.report {
            ReportFormat::Junit(_) => &ReportFormat::Exit,
            format => format,
        };
        let log = Log::create(&log_path(&job.log_dir, &check.name));
        Self { log, out: Parser::new(format), err: Parser::new(format) }
    }

    fn take(&mut self, stream: Stream, chunk: &[u8]) {
        self.log.write(chunk);
        match stream {
            Stream::Out => self.out.bytes(chunk),
            Stream::Err => self.err.bytes(chunk),
        }
    }

    fn result(
        self,
        job: &Job,
        check: &CheckSettings,
        ended: &Ended,
        expected: Option<&Expected>,
        leftovers: Option<String>,
    ) -> CheckResult {
        let (tail, log_note) = self.log.finish();
        let root = job.worktree.to_string_lossy();
        let report = match expected {
            Some(expected) => {
                let mut parser = Parser::new(&check.report);
                expected.read(|chunk| parser.bytes(chunk)).map(|()| parser.finish(&root))
            }
            None => Ok(either(self.out.finish(&root), self.err.finish(&root))),
        };
        let (outcome, why) = judge(&check.report, check.timeout, ended, report.as_ref().map_err(String::as_str));
        let report = report.unwrap_or_default();
        CheckResult {
            outcome,
            exit_code: ended.code.filter(|_| !ended.timed_out && !ended.aborted),
            duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
            tests: report.counts,
            failures: report.failures,
            tail,
            notes: leftovers.into_iter().chain(log_note).collect(),
            ..not_run(check, &why)
        }
    }
}

/// Tools choose their stream: nextest writes to standard error, most others to standard output.
fn either(out: Report, err: Report) -> Report {
    if out.counts.is_none() && !err.is_silent() {
        return err;
    }
    out
}
