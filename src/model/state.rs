//! The run state: what an attempt is doing, who says so, and since when.

use serde::{Deserialize, Serialize};

use super::time::{Now, Wall};

/// What an attempt is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// There is no attempt.
    #[default]
    None,
    /// Worktree, host and agent are being brought up.
    Starting,
    /// A turn runs.
    Working,
    /// It waits for you.
    Waiting,
    /// The turn is over; the agent is alive.
    Idle,
    /// Silent without a reason.
    Quiet,
    /// Out of quota until a known time.
    Limited,
    /// Checks run.
    Checking,
    /// Stopped by us.
    Stopped,
    /// The agent ended by itself.
    Exited,
    /// Its host is gone.
    Lost,
    /// No source says anything usable.
    Unknown,
}

/// Who says so, in order of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The agent's own in-band report (OSC 7501).
    Osc7501,
    /// The CLI's status file.
    StatusFile,
    /// A hook of the CLI.
    Hook,
    /// Codex's notify program.
    Notify,
    /// The terminal title.
    Title,
    /// A rule on the screen's text.
    Screen,
    /// Bytes, CPU, files.
    Activity,
    /// The process itself.
    Process,
}

/// Why it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// May it run or write something?
    Permission,
    /// It asks you something.
    Question,
    /// May it work in this folder?
    Trust,
    /// It wants a login.
    Login,
}

/// The run state with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// What.
    pub kind: RunKind,
    /// Who says so; `None` where nobody needs to (no attempt, stopped by us).
    pub source: Option<Source>,
    /// When that was said.
    pub at: Now,
    /// Why it waits, if it does.
    pub ask: Option<Ask>,
    /// The question, the error or the reason, as plain text; may be empty.
    pub text: String,
    /// For `idle`: whether a turn was carried out and ended by itself (a source said `done`), as
    /// opposed to idling at an empty prompt or after an interrupt.
    pub turn_over: bool,
    /// For `limited`: when the limit ends.
    #[serde(default)]
    pub until: Option<Wall>,
}

impl RunState {
    /// A state without particulars.
    #[must_use]
    pub fn plain(kind: RunKind, source: Option<Source>, at: Now) -> Self {
        Self { kind, source, at, ask: None, text: String::new(), turn_over: false, until: None }
    }
}
