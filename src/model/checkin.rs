//! The agent's report.

use serde::{Deserialize, Serialize};

/// What the agent says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Going on.
    Working,
    /// Something is in the way.
    Blocked,
    /// A person must decide.
    NeedsDecision,
    /// The work is done; starts the checks.
    Ready,
    /// It will not get there.
    GivingUp,
}

/// Which way a check-in came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A file in the attempt's outbox.
    Outbox,
    /// The control socket.
    Socket,
    /// An MCP tool.
    Mcp,
    /// A hook of the agent's CLI.
    Hook,
}

/// One report. A claim, never a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CheckIn {
    /// Format version, 1.
    pub schema_version: u32,
    /// Always `check-in`.
    pub kind: CheckInKind,
    /// Where it says it stands.
    pub state: Claim,
    /// What it did.
    #[serde(default)]
    pub did: String,
    /// What it does next.
    #[serde(default)]
    pub next: String,
    /// What is in its way.
    #[serde(default)]
    pub blockers: Vec<String>,
    /// What it asks.
    #[serde(default)]
    pub question: Option<String>,
    /// Acceptance criteria it says are met, by number.
    #[serde(default)]
    pub met: Vec<u32>,
}

/// The one kind of record an outbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CheckInKind {
    /// `check-in`
    #[default]
    #[serde(rename = "check-in")]
    CheckIn,
}
