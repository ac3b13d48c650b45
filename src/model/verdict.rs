//! What checks showed, and of which bytes.

use serde::{Deserialize, Serialize};

use super::name::{CheckName, Oid};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// Exit 0, and at least one test ran where tests are counted.
    Pass,
    /// It ran and did not pass.
    Fail,
    /// Its time limit ended it.
    Timeout,
    /// It could not be run, or was interrupted: it says nothing about the work.
    Error,
}

/// Tests counted in a check's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestCounts {
    /// All that ran or were skipped.
    pub total: u64,
    /// Passed.
    pub passed: u64,
    /// Failed or errored.
    pub failed: u64,
    /// Skipped or ignored.
    pub skipped: u64,
}

/// One failed test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// The test's full name.
    pub test: String,
    /// Its message, clipped.
    pub message: String,
}

/// What one check showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Which check.
    pub name: CheckName,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Exit code, unless a signal or nothing ended it.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Tests, where the report counts them.
    pub tests: Option<TestCounts>,
    /// Failed tests, at most a hundred.
    pub failures: Vec<Failure>,
    /// Why it did not pass, as one sentence; empty where it did.
    pub why: String,
    /// The end of its output, clipped, control characters removed.
    pub tail: String,
    /// The command that ran: evidence of another command is none.
    #[serde(default)]
    pub command: String,
    /// What else there is to say, a sentence each: processes it left, a log that is cut.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The checks of one run taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerdictOutcome {
    /// All passed, and the tree did not move under them.
    Green,
    /// At least one failed.
    Red,
    /// The tree changed while they ran, or since.
    Stale,
    /// No checks are configured.
    None,
    /// They could not be run.
    Error,
}

/// What the checks showed of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Taken together.
    pub outcome: VerdictOutcome,
    /// The tree, tracked and untracked files, that they ran on.
    pub tree: Option<Oid>,
    /// One by one, in order.
    pub checks: Vec<CheckResult>,
    /// Why it is stale or an error, as one sentence; empty where the checks speak for themselves.
    #[serde(default)]
    pub why: String,
}
