//! What became of the work, counted: success, rework, lateness, questions, minutes in each column.
//!
//! Counts are kept for each task, agent and mode, and laid together by whatever is asked for. What
//! happens to a task counts for the agent of its attempt at that time. **Invariant:** a share is
//! never told without what it is a share of. Must not know: where events and briefs are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::event::{Event, NeedKind};
use crate::model::id::TaskId;
use crate::model::name::AgentName;
use crate::model::task::{Column, Mode};
use crate::model::time::{Span, Wall};
use crate::model::verdict::VerdictOutcome;
use crate::wire::control::Logged;

pub mod text;

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
    /// Why tasks were given up, sent back and taken over, the most frequent first.
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
    /// Questions to a person.
    pub questions: u32,
    /// Permissions that a person was asked for.
    pub permissions: u32,
    /// Check-ins.
    pub check_ins: u32,
    /// Time in each column, of the tasks that were there.
    pub columns: Vec<InColumn>,
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

/// A reason that was given, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What was done: `canceled`, `sent back`, `taken over`.
    pub what: &'static str,
    /// Why; empty where nobody said.
    pub why: String,
    /// How often.
    pub times: u32,
}

impl std::fmt::Display for Share {
    /// `3 of 4`, and from [`SMALL_SAMPLE`] on `85 % (17 of 20)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.of {
            0 => f.write_str("–"),
            of if of < SMALL_SAMPLE => write!(f, "{} of {of}", self.n),
            // Rounded to the nearest.
            of => {
                write!(f, "{} % ({} of {of})", (u64::from(self.n) * 200 + u64::from(of)) / (u64::from(of) * 2), self.n)
            }
        }
    }
}

/// Whom a count belongs to.
type Key = (TaskId, Option<AgentName>, Mode);

#[derive(Debug, Clone, Default)]
struct Counts {
    begun: bool,
    done: u32,
    clean: u32,
    closed: u32,
    bounces: u32,
    retries: u32,
    reds: u32,
    greens: u32,
    late: u32,
    questions: u32,
    permissions: u32,
    check_ins: u32,
    columns: BTreeMap<Column, u64>,
}

/// Where a task stands while the log goes by.
#[derive(Debug, Clone)]
struct Standing {
    column: Column,
    since: Wall,
    agent: Option<AgentName>,
    mode: Mode,
    labels: Vec<String>,
    /// Whether it was ever sent back or begun anew.
    reworked: bool,
}

/// The log, counted; takes one event after the other and keeps no event.
#[derive(Debug)]
pub struct Tally {
    since: Option<Wall>,
    tasks: BTreeMap<TaskId, Standing>,
    counts: BTreeMap<Key, Counts>,
    reasons: BTreeMap<(&'static str, String), u32>,
}

impl Tally {
    /// From then on, or from the beginning.
    #[must_use]
    pub fn new(since: Option<Wall>) -> Self {
        Self { since, tasks: BTreeMap::new(), counts: BTreeMap::new(), reasons: BTreeMap::new() }
    }

    /// Takes the next event of the log, older ones too: they are where tasks stood before.
    pub fn take(&mut self, logged: &Logged) {
        let Some(id) = logged.record.task else { return };
        let at = logged.at.wall;
        if let Event::TaskAdded { spec } = &logged.record.event {
            let standing = Standing {
                column: Column::Backlog,
                since: at,
                agent: spec.agent.clone(),
                mode: spec.mode,
                labels: spec.labels.clone(),
                reworked: false,
            };
            self.tasks.insert(id, standing);
        }
        let counted = self.since.is_none_or(|since| at >= since);
        match &logged.record.event {
            Event::TaskEdited { spec } => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.labels.clone_from(&spec.labels);
                }
            }
            Event::AttemptPlanned { agent, mode, .. } => {
                // The time until now was another's.
                self.leave(id, at);
                let Some(task) = self.tasks.get_mut(&id) else { return };
                (task.agent, task.mode) = (Some(agent.clone()), *mode);
                let again = logged.record.attempt.is_some_and(|no| no.get() > 1);
                task.reworked |= again;
                self.count(id, counted, |counts| {
                    counts.begun = true;
                    counts.retries += u32::from(again);
                });
            }
            Event::TaskMoved { from, to, reason, .. } if from != to => self.moved(id, *from, *to, reason, at, counted),
            Event::VerdictReached { verdict, .. } => self.count(id, counted, |counts| match verdict.outcome {
                VerdictOutcome::Red => counts.reds += 1,
                VerdictOutcome::Green => counts.greens += 1,
                VerdictOutcome::Stale | VerdictOutcome::None | VerdictOutcome::Error => {}
            }),
            // More that became known of a need is no other need.
            Event::NeedsYouRaised { kind, refined: false, .. } => self.count(id, counted, |counts| match kind {
                NeedKind::Late => counts.late += 1,
                NeedKind::Question => counts.questions += 1,
                NeedKind::Permission => counts.permissions += 1,
                _ => {}
            }),
            Event::CheckInReceived { .. } => self.count(id, counted, |counts| counts.check_ins += 1),
            _ => {}
        }
    }

    fn moved(&mut self, id: TaskId, from: Column, to: Column, reason: &str, at: Wall, counted: bool) {
        self.leave(id, at);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let back = matches!(from, Column::Review | Column::Done)
            && matches!(to, Column::Backlog | Column::Design | Column::Build);
        task.column = to;
        task.reworked |= back;
        if !counted {
            return;
        }
        self.count(id, true, |counts| counts.bounces += u32::from(back));
        let what = match to {
            Column::Canceled => "canceled",
            Column::Takeover => "taken over",
            _ if back => "sent back",
            _ => return,
        };
        *self.reasons.entry((what, reason.trim().to_owned())).or_default() += 1;
    }

    /// Adds up the time in the column that a task is in, as far as it is told of.
    fn leave(&mut self, id: TaskId, at: Wall) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let from = self.since.map_or(task.since, |since| since.max(task.since));
        let (column, spent) = (task.column, at.since(from).as_secs());
        task.since = at;
        // A card that only passes through was not there.
        if spent > 0 && at > from {
            self.count(id, true, |counts| *counts.columns.entry(column).or_default() += spent);
        }
    }

    fn count(&mut self, id: TaskId, counted: bool, add: impl FnOnce(&mut Counts)) {
        let Some(task) = self.tasks.get(&id).filter(|_| counted) else { return };
        add(self.counts.entry((id, task.agent.clone(), task.mode)).or_default());
    }

    /// Lays the counts together. `scores` are those of the briefs, as far as they can be judged.
    #[must_use]
    pub fn stats(mut self, by: By, scores: &BTreeMap<TaskId, u32>, until: Wall) -> Stats {
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in ids {
            self.close(id, until);
        }
        let mut groups: BTreeMap<String, Sum> = BTreeMap::new();
        let mut all = Sum::default();
        for ((id, agent, mode), counts) in &self.counts {
            let labels = self.tasks.get(id).map(|task| task.labels.as_slice()).unwrap_or_default();
            all.add(*id, counts);
            for name in names(by, agent.as_ref(), *mode, labels, scores.get(id).copied()) {
                groups.entry(name).or_default().add(*id, counts);
            }
        }
        let mut reasons: Vec<Reason> =
            self.reasons.into_iter().map(|((what, why), times)| Reason { what, why, times }).collect();
        reasons.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| (a.what, &a.why).cmp(&(b.what, &b.why))));
        reasons.truncate(REASONS);
        Stats {
            since: self.since,
            until,
            by,
            groups: groups.into_iter().map(|(name, sum)| sum.group(name)).collect(),
            all: all.group("all".to_owned()),
            reasons,
        }
    }

    /// Counts what holds of a task in the end: the time in its last column, and how it closed.
    fn close(&mut self, id: TaskId, until: Wall) {
        let Some(task) = self.tasks.get(&id).cloned() else { return };
        if !task.column.is_closed() {
            self.leave(id, until);
            return;
        }
        // Closed, and in the time that is told of.
        let counted = self.since.is_none_or(|since| task.since >= since);
        self.count(id, counted, |counts| {
            counts.closed += 1;
            counts.done += u32::from(task.column == Column::Done);
            counts.clean += u32::from(task.column == Column::Done && !task.reworked);
        });
    }
}

/// Counts of several tasks.
#[derive(Default)]
struct Sum {
    counts: Counts,
    begun: BTreeSet<TaskId>,
    seen: BTreeMap<Column, BTreeSet<TaskId>>,
}

impl Sum {
    fn add(&mut self, id: TaskId, more: &Counts) {
        let sum = &mut self.counts;
        sum.done += more.done;
        sum.clean += more.clean;
        sum.closed += more.closed;
        sum.bounces += more.bounces;
        sum.retries += more.retries;
        sum.reds += more.reds;
        sum.greens += more.greens;
        sum.late += more.late;
        sum.questions += more.questions;
        sum.permissions += more.permissions;
        sum.check_ins += more.check_ins;
        for (column, seconds) in &more.columns {
            *sum.columns.entry(*column).or_default() += seconds;
            self.seen.entry(*column).or_default().insert(id);
        }
        if more.begun {
            self.begun.insert(id);
        }
    }

    fn group(self, name: String) -> Group {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let Counts { done, clean, closed, bounces, retries, reds, greens, late, questions, .. } = self.counts;
        let seen = &self.seen;
        let tasks_in = |column: &Column| number(seen.get(column).map_or(0, BTreeSet::len));
        Group {
            name,
            tasks: number(self.begun.len()),
            done: Share { n: done, of: closed },
            success: Share { n: clean, of: closed },
            bounces,
            retries,
            red: Share { n: reds, of: reds + greens },
            late,
            questions,
            permissions: self.counts.permissions,
            check_ins: self.counts.check_ins,
            columns: self
                .counts
                .columns
                .iter()
                .map(|(column, total_s)| InColumn { column: *column, tasks: tasks_in(column), total_s: *total_s })
                .collect(),
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
