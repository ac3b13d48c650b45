//! What became of the work, counted: success, rework, lateness, questions, reminders, limits, time
//! in each column and in each state.
//!
//! Counts are kept for each task, agent and mode, and laid together by whatever is asked for. What
//! happens to a task counts for the agent of its attempt at that time. **Invariant:** a share is
//! never told without what it is a share of. Must not know: where events and briefs are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::id::TaskId;
use crate::model::name::AgentName;
use crate::model::rhythm::LimitName;
use crate::model::state::RunKind;
use crate::model::task::{Column, Mode};
use crate::model::time::{Span, Wall};

mod tally;
pub mod text;

use tally::Counts;
pub use tally::Tally;

/// From so many on, a share is told as a percentage too: below, one task more or less moves it by
/// more than five points.
pub const SMALL_SAMPLE: u32 = 20;

/// Reasons that are listed, the most frequent; the document has no more either.
const REASONS: usize = 20;

/// What counts are laid together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Who did it.
    Agent,
    /// How much was handed over.
    Mode,
    /// What the task is labelled; one with several labels counts in each.
    Label,
    /// How good its brief is, by the score of `lint`.
    Brief,
}

/// `stats`
#[derive(Debug, Serialize)]
pub struct Stats {
    /// From when on; `null` for everything that is stored.
    pub since: Option<Wall>,
    /// Until when.
    pub until: Wall,
    /// What the groups are.
    pub by: By,
    /// One for each, by name.
    pub groups: Vec<Group>,
    /// All tasks, each once.
    pub all: Group,
    /// Why tasks were given up, sent back, taken over and handed back, and what limits tripped, the
    /// most frequent first.
    pub reasons: Vec<Reason>,
}

/// What became of the tasks of one group.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Its name; `–` for tasks that have none.
    pub name: String,
    /// Tasks that were begun.
    pub tasks: u32,
    /// Tasks that are Done, of those closed.
    pub done: Share,
    /// Tasks that became Done without ever being sent back or begun anew, of those closed.
    pub success: Share,
    /// Times a card went back from Review or Done to work.
    pub bounces: u32,
    /// Attempts beyond a task's first.
    pub retries: u32,
    /// Red verdicts, of those that were red or green.
    pub red: Share,
    /// Times a check-in was late.
    pub late: u32,
    /// Reminders of a check-in.
    pub nudges: u32,
    /// Limits that were crossed, by name.
    pub limits: Vec<Crossed>,
    /// Times an agent was out of quota.
    pub out_of_quota: u32,
    /// Questions to a person.
    pub questions: u32,
    /// Permissions that a person was asked for.
    pub permissions: u32,
    /// Check-ins.
    pub check_ins: u32,
    /// Time in each column, of the tasks that were there.
    pub columns: Vec<InColumn>,
    /// Time in each state, of the tasks that were in it: a task that needs you is `waiting`,
    /// whatever its agent does meanwhile. What a sleeping machine and a reboot take is no one's.
    pub states: Vec<InState>,
}

/// A limit that was crossed, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Crossed {
    /// Which.
    pub limit: LimitName,
    /// How often.
    pub times: u32,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Share {
    /// So many.
    pub n: u32,
    /// Of so many.
    pub of: u32,
}

/// Time in one column.
#[derive(Debug, Clone, Serialize)]
pub struct InColumn {
    /// Which.
    pub column: Column,
    /// Tasks that were there.
    pub tasks: u32,
    /// Together, in seconds.
    pub total_s: u64,
}

/// Time in one state.
#[derive(Debug, Clone, Serialize)]
pub struct InState {
    /// Which: `working`, `waiting` (for you), `limited` or `checking`.
    pub state: RunKind,
    /// Tasks that were in it.
    pub tasks: u32,
    /// Together, in seconds.
    pub total_s: u64,
}

/// A reason that was given, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What was done: `canceled`, `sent back`, `plan sent back`, `taken over`, `handed back`, `limit`.
    pub what: &'static str,
    /// Why; empty where nobody said.
    pub why: String,
    /// How often.
    pub times: u32,
}

impl Share {
    /// `3 of 4`, and from [`SMALL_SAMPLE`] on `85 % of 20`: for a table.
    #[must_use]
    pub fn short(self) -> String {
        if self.of < SMALL_SAMPLE { self.to_string() } else { format!("{} % of {}", self.percent(), self.of) }
    }

    /// Rounded to the nearest.
    fn percent(self) -> u64 {
        (u64::from(self.n) * 200 + u64::from(self.of)) / (u64::from(self.of.max(1)) * 2)
    }
}

impl std::fmt::Display for Share {
    /// `3 of 4`, and from [`SMALL_SAMPLE`] on `85 % (17 of 20)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.of {
            0 => f.write_str("–"),
            of if of < SMALL_SAMPLE => write!(f, "{} of {of}", self.n),
            of => write!(f, "{} % ({} of {of})", self.percent(), self.n),
        }
    }
}

/// Counts of several tasks.
#[derive(Default)]
struct Sum {
    counts: Counts,
    begun: BTreeSet<TaskId>,
    seen: BTreeMap<Column, BTreeSet<TaskId>>,
    doing: BTreeMap<RunKind, BTreeSet<TaskId>>,
}

impl Sum {
    fn add(&mut self, id: TaskId, more: &Counts) {
        self.counts.add(more);
        for state in more.states.keys() {
            self.doing.entry(*state).or_default().insert(id);
        }
        for column in more.columns.keys() {
            self.seen.entry(*column).or_default().insert(id);
        }
        if more.begun {
            self.begun.insert(id);
        }
    }

    fn group(self, name: String) -> Group {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let Counts { done, clean, closed, reds, greens, columns, states, limits, .. } = &self.counts;
        let tasks_in = |column: &Column| number(self.seen.get(column).map_or(0, BTreeSet::len));
        let tasks_doing = |state: &RunKind| number(self.doing.get(state).map_or(0, BTreeSet::len));
        let in_column = |(column, total_s): (&Column, &u64)| InColumn {
            column: *column,
            tasks: tasks_in(column),
            total_s: *total_s,
        };
        let in_state = |(state, span): (&RunKind, &Span)| InState {
            state: *state,
            tasks: tasks_doing(state),
            total_s: span.as_secs(),
        };
        Group {
            name,
            tasks: number(self.begun.len()),
            done: Share { n: *done, of: *closed },
            success: Share { n: *clean, of: *closed },
            bounces: self.counts.bounces,
            retries: self.counts.retries,
            red: Share { n: *reds, of: reds + greens },
            late: self.counts.late,
            nudges: self.counts.nudges,
            limits: limits.iter().map(|(limit, times)| Crossed { limit: *limit, times: *times }).collect(),
            out_of_quota: self.counts.out_of_quota,
            questions: self.counts.questions,
            permissions: self.counts.permissions,
            check_ins: self.counts.check_ins,
            columns: columns.iter().map(in_column).collect(),
            states: states.iter().map(in_state).collect(),
        }
    }
}

impl InColumn {
    /// Of a task that was there, on the average.
    #[must_use]
    pub fn average(&self) -> Span {
        Span::secs(self.total_s / u64::from(self.tasks.max(1)))
    }
}

impl InState {
    /// Of a task that was in it, on the average.
    #[must_use]
    pub fn average(&self) -> Span {
        Span::secs(self.total_s / u64::from(self.tasks.max(1)))
    }
}

/// The groups that a count belongs to.
fn names(by: By, agent: Option<&AgentName>, mode: Mode, labels: &[String], score: Option<u32>) -> Vec<String> {
    let none = || "–".to_owned();
    match by {
        By::Agent => vec![agent.map_or_else(none, ToString::to_string)],
        By::Mode => vec![mode.name().to_owned()],
        By::Label if labels.is_empty() => vec![none()],
        By::Label => {
            let labels: BTreeSet<&String> = labels.iter().collect();
            labels.into_iter().cloned().collect()
        }
        By::Brief => vec![score.map_or_else(none, |score| band(score).to_owned())],
    }
}

/// Scores in bands: one warning costs 15 points, so the best band has none, and the worst three.
fn band(score: u32) -> &'static str {
    match score {
        86.. => "86–100",
        56..=85 => "56–85",
        _ => "0–55",
    }
}

#[cfg(test)]
mod tests;
