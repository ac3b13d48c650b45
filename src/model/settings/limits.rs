//! The kill criteria: what may trip, and what then happens.
//!
//! **Invariant:** plain values; whether they make sense was judged when they were read. Must not
//! know: what has been used.

use serde::{Deserialize, Serialize};

use crate::model::time::Span;

/// `[limits]`: kill criteria.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Time since the attempt started.
    pub wall_clock: Span,
    /// Check-ins missed.
    pub late_check_ins: u32,
    /// Red verdicts in a row.
    pub red_verdicts: u32,
    /// The same failure in a row.
    pub same_failure: u32,
    /// Lines changed.
    pub changed_lines: u64,
    /// Files changed.
    pub changed_files: u64,
    /// Tokens, as the agent's own logs count them, without those read from a cache.
    pub tokens: Option<u64>,
    /// Cost in US dollars, where the agent's own logs say it.
    pub cost_usd: Option<f64>,
    /// On a touch of something off-limits.
    pub off_limits: LimitAction,
    /// On any other limit.
    pub action: LimitAction,
}

impl Eq for Limits {}

/// What one task changes of [`Limits`]; `None` leaves the configured value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitOverrides {
    /// Time since the attempt started.
    pub wall_clock: Option<Span>,
    /// Check-ins missed.
    pub late_check_ins: Option<u32>,
    /// Red verdicts in a row.
    pub red_verdicts: Option<u32>,
    /// The same failure in a row.
    pub same_failure: Option<u32>,
    /// Lines changed.
    pub changed_lines: Option<u64>,
    /// Files changed.
    pub changed_files: Option<u64>,
    /// Tokens, as the agent reports them.
    pub tokens: Option<u64>,
    /// Cost in US dollars, as the agent reports it.
    pub cost_usd: Option<f64>,
    /// On a touch of something off-limits.
    pub off_limits: Option<LimitAction>,
    /// On any other limit.
    pub action: Option<LimitAction>,
}

impl Eq for LimitOverrides {}

/// What happens when a limit trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitAction {
    /// Raise needs-you.
    Ask,
    /// Say so, go on.
    Warn,
    /// Lock the agent's input to you.
    Takeover,
    /// Stop the agent.
    Stop,
}

impl Limits {
    /// These limits with a task's own values in place of some.
    #[must_use]
    pub fn with(self, own: &LimitOverrides) -> Self {
        Self {
            wall_clock: own.wall_clock.unwrap_or(self.wall_clock),
            late_check_ins: own.late_check_ins.unwrap_or(self.late_check_ins),
            red_verdicts: own.red_verdicts.unwrap_or(self.red_verdicts),
            same_failure: own.same_failure.unwrap_or(self.same_failure),
            changed_lines: own.changed_lines.unwrap_or(self.changed_lines),
            changed_files: own.changed_files.unwrap_or(self.changed_files),
            tokens: own.tokens.or(self.tokens),
            cost_usd: own.cost_usd.or(self.cost_usd),
            off_limits: own.off_limits.unwrap_or(self.off_limits),
            action: own.action.unwrap_or(self.action),
        }
    }
}

impl LimitAction {
    /// Every action with its name in files.
    pub const WORDS: &[(&str, Self)] =
        &[("ask", Self::Ask), ("warn", Self::Warn), ("takeover", Self::Takeover), ("stop", Self::Stop)];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Warn => "warn",
            Self::Takeover => "takeover",
            Self::Stop => "stop",
        }
    }
}
