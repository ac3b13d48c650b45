//! Runs checks in a worktree and turns what they show into a verdict.
//!
//! A verdict speaks of one tree: its hash is taken before the first check and after each one, and
//! a tree that moved makes the verdict stale, whatever the checks said, also where it was put back
//! in the meantime. **Invariant:** only a check
//! that ran to its end, exited with 0, reported nothing to the contrary and, where tests are
//! counted, ran one, passes; when [`run`] returns, no process that carries its marker is alive.
//! Must not know: tasks, git, how a tree is hashed.

mod check;
mod evidence;
mod judge;
mod leftover;
mod log;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::name::{CheckName, Oid};
use crate::model::settings::CheckSettings;
use crate::model::verdict::{CheckOutcome, CheckResult, Verdict};

pub use judge::{combine, failure_key};

/// The checks of one worktree.
#[derive(Debug, Clone)]
pub struct Job {
    /// The worktree's folder; checks start there.
    pub worktree: PathBuf,
    /// The checks, in order. One that fails does not stop the others.
    pub checks: Vec<CheckSettings>,
    /// The complete environment of the checks. Agents' tokens and git's own variables are taken
    /// out once more.
    pub env: Vec<(OsString, OsString)>,
    /// Where the logs go, one file per check; made if it is missing.
    pub log_dir: PathBuf,
    /// A variable that no other run has with this value: what still carries it afterwards was left
    /// behind.
    pub marker: (String, String),
}

/// The worktree's files after a check, or before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The hash of them, tracked and untracked.
    pub tree: Oid,
    /// One that was seen to be otherwise since the run began, though it may be as before now.
    pub moved: Option<String>,
}

impl From<Oid> for Files {
    /// Files that nobody saw otherwise.
    fn from(tree: Oid) -> Self {
        Self { tree, moved: None }
    }
}

/// What happens during a run.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A check starts.
    Started {
        /// Which.
        name: &'a CheckName,
        /// Its place, from 0.
        index: usize,
        /// How many there are.
        of: usize,
    },
    /// A check ended.
    Finished(&'a CheckResult),
}

/// Runs all checks, one after the other, and blocks until the last has ended. `files` looks at the
/// worktree's. `cancel` is looked at twice a second, and before every
/// check; what it interrupts is an error, never a pass.
pub fn run(
    job: &Job,
    files: &dyn Fn() -> Result<Files, String>,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Verdict {
    let before = files().map(|files| files.tree);
    let mut after = before.clone().map(Files::from);
    let mut is_still = true;
    let mut results = Vec::with_capacity(job.checks.len());
    for (index, check) in job.checks.iter().enumerate() {
        let result = if before.is_err() {
            check::not_run(check, "not run: the files of the worktree cannot be read")
        } else if cancel.load(Ordering::Relaxed) {
            check::not_run(check, "aborted before it started")
        } else {
            progress(Progress::Started { name: &check.name, index, of: job.checks.len() });
            let mut result = check::run(job, check, cancel);
            if is_still && result.outcome != CheckOutcome::Error {
                after = files();
                is_still = after == before.clone().map(Files::from);
                if !is_still {
                    result.notes.push(judge::MOVED.into());
                }
            }
            result
        };
        progress(Progress::Finished(&result));
        results.push(result);
    }
    combine(results, before, after)
}

/// Ends whatever still carries this marker: after a crash, what the interrupted run had started.
/// Returns how many processes could not be ended within about three seconds.
#[must_use]
pub fn sweep(marker: &(String, String)) -> usize {
    leftover::sweep(&format!("{}={}", marker.0, marker.1))
}

/// The log of a check in `log_dir`: what it wrote to both streams, the start and the end of it
/// where it is long. It is as the check wrote it: control characters included.
#[must_use]
pub fn log_path(log_dir: &Path, check: &CheckName) -> PathBuf {
    log_dir.join(format!("{check}.log"))
}
