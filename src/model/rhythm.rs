//! The rhythm of check-ins of one attempt: how much time has counted, and what came of it.
//!
//! **Invariant:** only time that the monotonic clock of one boot measured counts, and only while
//! the clock runs: neither a sleeping machine nor a wall clock that is set moves it. Must not
//! know: when the clock runs; that is decided.

use serde::{Deserialize, Serialize};

use super::attempt::DiffStat;
use super::id::{ActionId, CheckRun};
use super::name::Oid;
use super::settings::LimitAction;
use super::time::{Mono, Now, Span, Wall};
use super::usage::Totals;
use super::verdict::VerdictOutcome;

/// A clock that runs at times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stopwatch {
    /// What has counted before it was last started.
    pub counted: Span,
    /// Since when it runs; `None` while it stands.
    pub since: Option<Now>,
}

impl Stopwatch {
    /// What has counted by now.
    #[must_use]
    pub fn read(&self, now: Now) -> Span {
        let running = self.since.filter(|since| since.boot == now.boot).map_or(0, |since| now.mono.since(since.mono).0);
        Span(self.counted.0.saturating_add(running))
    }

    /// Starts it or stops it; nothing happens where it does so already.
    pub fn run(&mut self, on: bool, now: Now) {
        if on != self.since.is_some() {
            self.counted = self.read(now);
            self.since = on.then_some(now);
        }
    }

    /// Begins at nothing again, and runs on if it ran.
    pub fn restart(&mut self, now: Now) {
        self.counted = Span(0);
        self.since = self.since.map(|_| now);
    }

    /// When so much will have counted; `None` while it stands, or where it was started in another
    /// boot of the machine.
    #[must_use]
    pub fn reaches(&self, span: Span, now: Now) -> Option<Mono> {
        let since = self.since.filter(|since| since.boot == now.boot)?;
        Some(since.mono + Span(span.0.saturating_sub(self.counted.0)))
    }
}

/// What was seen of an attempt when it last checked in: what comes later is new.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    /// When.
    pub at: Option<Wall>,
    /// What differed from the base.
    pub diff: Option<DiffStat>,
    /// The tree.
    pub tree: Option<Oid>,
    /// The last run of the checks.
    pub run: Option<CheckRun>,
    /// What it had used.
    #[serde(default)]
    pub used: Totals,
}

/// What a period between two check-ins began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begun {
    /// The start of its agent.
    #[default]
    Started,
    /// A check-in that counts.
    CheckedIn,
    /// One that was missed.
    Missed,
    /// A person's word to it.
    Told,
    /// A move of its card.
    Moved,
}

/// Where an attempt stands between two check-ins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rhythm {
    /// The time that counts towards the next check-in.
    pub clock: Stopwatch,
    /// The time that counts towards the limit of the whole attempt.
    pub whole: Stopwatch,
    /// Reminders of this period that the deadline led to.
    pub asked: u32,
    /// What the clock read when the last of them was issued, or, later, given.
    pub asked_at: Span,
    /// Whether the last reminder was given: typed, taken by the hook, or left in the inbox.
    pub heard: bool,
    /// What this period began with.
    pub begun: Begun,
    /// Nothing is due before the clock reads this: the machine has just woken up.
    pub not_before: Span,
    /// Whether a person asked for a check-in in this period.
    pub by_hand: bool,
    /// Whether the last reminder was a person's.
    pub last_by_hand: bool,
    /// Reminders issued in the whole attempt.
    pub nudges: u32,
    /// The reminder that waits for the end of a turn, where the agent's hook takes it.
    pub pending: Option<u32>,
    /// Why it is late; until it checks in.
    pub late: Option<String>,
    /// Check-ins missed in the whole attempt.
    pub missed: u32,
    /// What was seen at the last check-in that counted.
    pub last: Marks,
    /// What it has touched since then that is off-limits, whether or not it still is.
    pub touched: Vec<String>,
    /// Why its last report was refused, on one line; until one is taken.
    pub refused: Option<String>,
}

/// How a reminder goes to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NudgeWay {
    /// In the answer to its hook, at the end of its turn.
    Hook,
    /// As a message, typed when it is read as a prompt.
    Message,
    /// As a file in its inbox.
    Inbox,
}

/// What the checks had shown when an agent checked in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksSeen {
    /// Which run.
    pub run: CheckRun,
    /// What it showed.
    pub outcome: VerdictOutcome,
    /// The checks that did not pass.
    pub failed: Vec<String>,
    /// Those that did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<String>,
    /// Whether it speaks of the bytes as they are.
    pub current: bool,
    /// Whether it ended after the check-in before.
    pub new: bool,
}

/// What was observed between two check-ins: what stands beside the claim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The check-in before, or the start.
    pub since: Option<Wall>,
    /// What differs from the base.
    pub diff: Option<DiffStat>,
    /// What differed then.
    pub before: Option<DiffStat>,
    /// Whether a byte has changed since; `None` where that was not seen.
    pub changed: Option<bool>,
    /// What the checks showed last.
    pub checks: Option<ChecksSeen>,
    /// What it has touched in that time that is off-limits, be it restored or not.
    pub touched: Vec<String>,
    /// What it has used.
    pub used: Totals,
    /// What it had used then.
    pub used_before: Totals,
}

/// What stands beside a claim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// The look that it is compared with, once that was ordered.
    pub look: Option<ActionId>,
    /// What was observed; `None` until the look was taken.
    pub facts: Option<Facts>,
    /// Where the facts say otherwise, a sentence each.
    pub contradictions: Vec<String>,
    /// The same words again with nothing new: it does not count.
    pub hollow: bool,
}

/// A limit of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// Time at work.
    WallClock,
    /// Check-ins missed.
    LateCheckIns,
    /// Red verdicts in a row.
    RedVerdicts,
    /// The same failure in a row.
    SameFailure,
    /// Lines changed.
    ChangedLines,
    /// Files changed.
    ChangedFiles,
    /// Tokens used.
    Tokens,
    /// Their cost.
    CostUsd,
    /// Something off-limits was touched.
    OffLimits,
    /// Files were changed while it was to plan only. No setting; always asks.
    PlanOnly,
}

impl LimitName {
    /// Its key in the settings, where it has one.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::WallClock => "wall_clock",
            Self::LateCheckIns => "late_check_ins",
            Self::RedVerdicts => "red_verdicts",
            Self::SameFailure => "same_failure",
            Self::ChangedLines => "changed_lines",
            Self::ChangedFiles => "changed_files",
            Self::Tokens => "tokens",
            Self::CostUsd => "cost_usd",
            Self::OffLimits => "off_limits",
            Self::PlanOnly => "plan_only",
        }
    }
}

/// A limit that an attempt has crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// Which.
    pub limit: LimitName,
    /// What was done about it.
    pub action: LimitAction,
    /// Why, as a sentence.
    pub why: String,
    /// Whether a person has said something since.
    pub settled: bool,
    /// What it was set to then, as the event says it.
    #[serde(default)]
    pub bound: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Boot;

    fn at(mono: i64, wall: i64, boot: u64) -> Now {
        Now { wall: Wall(wall), mono: Mono(mono), boot: Boot(boot) }
    }

    #[test]
    fn only_time_while_it_runs_counts() {
        let mut watch = Stopwatch::default();
        watch.run(true, at(1_000, 0, 1));
        watch.run(true, at(2_000, 0, 1));
        watch.run(false, at(4_000, 0, 1));
        assert_eq!(watch.read(at(9_000, 0, 1)), Span(3_000));
        watch.run(true, at(9_000, 0, 1));
        assert_eq!(watch.read(at(9_500, 0, 1)), Span(3_500));
        assert_eq!(watch.reaches(Span(5_000), at(9_500, 0, 1)), Some(Mono(11_000)));
        watch.restart(at(9_600, 0, 1));
        assert_eq!(watch.read(at(10_000, 0, 1)), Span(400));
    }

    #[test]
    fn the_wall_clock_and_another_boot_count_for_nothing() {
        let mut watch = Stopwatch::default();
        watch.run(true, at(1_000, 0, 1));
        assert_eq!(watch.read(at(2_000, 90_000_000, 1)), Span(1_000));
        assert_eq!(watch.read(at(2_000, -90_000_000, 1)), Span(1_000));
        assert_eq!(watch.read(at(500_000, 0, 2)), Span(0));
        assert_eq!(watch.reaches(Span(5), at(500_000, 0, 2)), None);
    }
}
