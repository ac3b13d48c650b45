//! The log, counted: one event after the other, for each task, agent and mode.
//!
//! **Invariant:** no instant of a task counts for two agents, two columns or two states. Must not
//! know: how counts are laid together.

use std::collections::BTreeMap;

use super::{By, Group, REASONS, Reason, Stats, Sum, names};
use crate::model::event::{self, Event, NeedKind};
use crate::model::id::TaskId;
use crate::model::message::From;
use crate::model::name::AgentName;
use crate::model::rhythm::LimitName;
use crate::model::settings::LimitAction;
use crate::model::state::RunKind;
use crate::model::task::{Column, Mode};
use crate::model::time::{Now, Span, Wall};
use crate::model::verdict::VerdictOutcome;
use crate::wire::control::Logged;

/// Whom a count belongs to.
type Key = (TaskId, Option<AgentName>, Mode);

/// What is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) begun: bool,
    pub(super) done: u32,
    pub(super) clean: u32,
    pub(super) closed: u32,
    pub(super) bounces: u32,
    pub(super) retries: u32,
    pub(super) reds: u32,
    pub(super) greens: u32,
    pub(super) late: u32,
    pub(super) nudges: u32,
    pub(super) out_of_quota: u32,
    pub(super) questions: u32,
    pub(super) permissions: u32,
    pub(super) check_ins: u32,
    pub(super) limits: BTreeMap<LimitName, u32>,
    pub(super) columns: BTreeMap<Column, u64>,
    pub(super) states: BTreeMap<RunKind, Span>,
}

impl Counts {
    /// Adds what was counted of another task.
    pub(super) fn add(&mut self, more: &Self) {
        self.begun |= more.begun;
        self.done += more.done;
        self.clean += more.clean;
        self.closed += more.closed;
        self.bounces += more.bounces;
        self.retries += more.retries;
        self.reds += more.reds;
        self.greens += more.greens;
        self.late += more.late;
        self.nudges += more.nudges;
        self.out_of_quota += more.out_of_quota;
        self.questions += more.questions;
        self.permissions += more.permissions;
        self.check_ins += more.check_ins;
        for (limit, times) in &more.limits {
            *self.limits.entry(*limit).or_default() += times;
        }
        for (column, seconds) in &more.columns {
            *self.columns.entry(*column).or_default() += seconds;
        }
        for (state, span) in &more.states {
            let all = self.states.entry(*state).or_default();
            *all = *all + *span;
        }
    }
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
    /// What a person said last that may set it to work again.
    remark: String,
    doing: Doing,
    /// Since when it does that.
    doing_since: Now,
}

/// What goes on with a task; several of these at once, of which one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Doing {
    needs_you: bool,
    limited: bool,
    /// Out of quota, and nobody knows until when.
    out: bool,
    working: bool,
    checking: bool,
}

impl Doing {
    /// The state that its time counts for: a wait for a person before all else.
    fn state(self) -> Option<RunKind> {
        let all = [
            (self.needs_you, RunKind::Waiting),
            (self.limited || self.out, RunKind::Limited),
            (self.working, RunKind::Working),
            (self.checking, RunKind::Checking),
        ];
        all.into_iter().find(|(is, _)| *is).map(|(_, state)| state)
    }

    /// What goes on after an event.
    fn after(mut self, event: &Event) -> Self {
        match event {
            Event::StateChanged { state } => {
                self.working = state.kind == RunKind::Working;
                self.out = state.kind == RunKind::Limited && state.until.is_none();
            }
            Event::AgentExited { .. }
            | Event::AttemptStopped { .. }
            | Event::AttemptFailed { .. }
            | Event::HostLost { .. } => (self.working, self.limited, self.out) = (false, false, false),
            Event::ChecksStarted { on: None, .. } => self.checking = true,
            Event::VerdictReached { .. } | Event::ChecksDropped { .. } => self.checking = false,
            Event::NeedsYouRaised { .. } => self.needs_you = true,
            Event::NeedsYouCleared {} => self.needs_you = false,
            Event::LimitReached { .. } => self.limited = true,
            Event::LimitEnded {} => self.limited = false,
            Event::TaskMoved { to, .. } if to.is_closed() => return Self::default(),
            Event::AttemptPlanned { .. } => return Self { needs_you: self.needs_you, ..Self::default() },
            _ => {}
        }
        self
    }
}

/// The log, counted; takes one event after the other and keeps no event.
#[derive(Debug)]
pub struct Tally {
    since: Option<Wall>,
    tasks: BTreeMap<TaskId, Standing>,
    counts: BTreeMap<Key, Counts>,
    reasons: BTreeMap<(&'static str, String), u32>,
    last: Option<Now>,
}

impl Tally {
    /// From then on, or from the beginning.
    #[must_use]
    pub fn new(since: Option<Wall>) -> Self {
        Self { since, tasks: BTreeMap::new(), counts: BTreeMap::new(), reasons: BTreeMap::new(), last: None }
    }

    /// Takes the next event of the log, older ones too: they are where tasks stood before.
    pub fn take(&mut self, logged: &Logged) {
        self.cross_boot(logged.at);
        let Some(id) = logged.record.task else { return };
        let event = &logged.record.event;
        if let Event::TaskAdded { spec } = event {
            let standing = Standing {
                column: Column::Backlog,
                since: logged.at.wall,
                agent: spec.agent.clone(),
                mode: spec.mode,
                labels: spec.labels.clone(),
                reworked: false,
                remark: String::new(),
                doing: Doing::default(),
                doing_since: logged.at,
            };
            self.tasks.insert(id, standing);
        }
        let Some(before) = self.tasks.get(&id).map(|task| task.doing) else { return };
        let doing = before.after(event);
        if doing != before {
            self.spend(id, logged.at);
        }
        self.event(id, logged);
        self.reason(id, event, self.counts_at(logged.at.wall));
        // An attempt that is planned makes the time before it another's; so this comes last.
        if let Some(task) = self.tasks.get_mut(&id) {
            task.doing = doing;
        }
    }

    fn counts_at(&self, at: Wall) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    fn event(&mut self, id: TaskId, logged: &Logged) {
        let at = logged.at.wall;
        let counted = self.counts_at(at);
        match &logged.record.event {
            Event::TaskEdited { spec, .. } => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.labels.clone_from(&spec.labels);
                }
            }
            Event::AttemptPlanned { agent, mode, .. } => {
                // The time until now was another's.
                self.leave(id, at);
                self.spend(id, logged.at);
                let Some(task) = self.tasks.get_mut(&id) else { return };
                (task.agent, task.mode) = (Some(agent.clone()), *mode);
                let again = logged.record.attempt.is_some_and(|no| no.get() > 1);
                task.reworked |= again;
                self.count(id, counted, |counts| {
                    counts.begun = true;
                    counts.retries += u32::from(again);
                });
            }
            Event::TaskMoved { from, to, .. } if from != to => self.moved(id, *from, *to, at, counted),
            Event::LimitReached { .. } if !self.is_limited(id) => {
                self.count(id, counted, |counts| counts.out_of_quota += 1);
            }
            Event::StateChanged { state }
                if state.kind == RunKind::Limited && state.until.is_none() && !self.is_limited(id) =>
            {
                self.count(id, counted, |counts| counts.out_of_quota += 1);
            }
            // What was only seen on the way is no result of its work.
            Event::VerdictReached { verdict, on: None, .. } => {
                self.count(id, counted, |counts| match verdict.outcome {
                    VerdictOutcome::Red => counts.reds += 1,
                    VerdictOutcome::Green => counts.greens += 1,
                    VerdictOutcome::Stale | VerdictOutcome::None | VerdictOutcome::Error => {}
                })
            }
            // More that became known of a need is no other need.
            Event::NeedsYouRaised { kind, refined: false, .. } => self.count(id, counted, |counts| match kind {
                NeedKind::Question => counts.questions += 1,
                NeedKind::Permission => counts.permissions += 1,
                _ => {}
            }),
            // Not the need: lateness under another one raises none.
            Event::CheckInMissed { .. } => self.count(id, counted, |counts| counts.late += 1),
            Event::CheckInReceived { .. } => self.count(id, counted, |counts| counts.check_ins += 1),
            Event::NudgeIssued { .. } => self.count(id, counted, |counts| counts.nudges += 1),
            Event::LimitTripped { limit, .. } => {
                self.count(id, counted, |counts| *counts.limits.entry(*limit).or_default() += 1);
            }
            _ => {}
        }
    }

    /// Whether it is out of quota already: more that becomes known of a limit is no other limit.
    fn is_limited(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_some_and(|task| task.doing.limited || task.doing.out)
    }

    fn moved(&mut self, id: TaskId, from: Column, to: Column, at: Wall, counted: bool) {
        self.leave(id, at);
        let back = is_back(from, to);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.column = to;
            task.reworked |= back;
        }
        self.count(id, counted, |counts| counts.bounces += u32::from(back));
    }

    /// Keeps the reason that an event gives, each once: who takes a task over because a limit
    /// tripped gives that as the reason, and a card that goes back does so for what was last said.
    fn reason(&mut self, id: TaskId, event: &Event, counted: bool) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let (what, why) = match event {
            // A rejection is a message as well, with words of ours around the note.
            Event::MessageQueued { from: From::Person, text, .. } => {
                if task.column == Column::Review && (task.remark.is_empty() || !text.ends_with(&task.remark)) {
                    task.remark.clone_from(text);
                }
                return;
            }
            Event::WorkRejected { note } => return task.remark.clone_from(note),
            Event::TaskMoved { from, to, reason, by } if from != to => {
                let remark = std::mem::take(&mut task.remark);
                match to {
                    Column::Canceled => ("canceled", reason.clone()),
                    Column::Takeover => ("taken over", reason.clone()),
                    _ if is_back(*from, *to) && *by == event::By::Rule && !remark.is_empty() => ("sent back", remark),
                    _ if is_back(*from, *to) => ("sent back", reason.clone()),
                    _ => return,
                }
            }
            Event::PlanRejected { note } => ("plan sent back", note.clone()),
            Event::HandedBack { note, .. } if !note.trim().is_empty() => ("handed back", note.clone()),
            Event::LimitTripped { action, why, .. } if *action != LimitAction::Takeover => ("limit", why.clone()),
            _ => return,
        };
        if counted {
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            let why = why.strip_prefix("rejected: ").unwrap_or(&why).to_owned();
            *self.reasons.entry((what, why)).or_default() += 1;
        }
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

    /// Adds up the time in the state that a task is in, by the clock that stands still while the
    /// machine sleeps.
    fn spend(&mut self, id: TaskId, at: Now) {
        let told = self.since.map_or(Span(u64::MAX), |since| at.wall.since(since));
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let spent = if task.doing_since.boot == at.boot { at.mono.since(task.doing_since.mono) } else { Span(0) };
        let (state, spent) = (task.doing.state(), spent.min(told));
        task.doing_since = at;
        if let Some(state) = state.filter(|_| spent.0 > 0) {
            self.count(id, true, |counts| {
                let all = counts.states.entry(state).or_default();
                *all = *all + spent;
            });
        }
    }

    /// What went on when the machine went down, went on until its last word.
    fn cross_boot(&mut self, at: Now) {
        if let Some(last) = self.last.replace(at).filter(|last| last.boot != at.boot) {
            let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
            for id in ids {
                self.spend(id, last);
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.doing_since = at;
                }
            }
        }
    }

    fn count(&mut self, id: TaskId, counted: bool, add: impl FnOnce(&mut Counts)) {
        let Some(task) = self.tasks.get(&id).filter(|_| counted) else { return };
        add(self.counts.entry((id, task.agent.clone(), task.mode)).or_default());
    }

    /// Lays the counts together. `scores` are those of the briefs, as far as they can be judged.
    /// Where nobody supervises, nobody knows what went on after the last event.
    #[must_use]
    pub fn stats(mut self, by: By, scores: &BTreeMap<TaskId, u32>, until: Now, supervised: bool) -> Stats {
        let seen = if supervised { until } else { self.last.unwrap_or(until) };
        self.cross_boot(seen);
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in ids {
            self.spend(id, seen);
            self.close(id, until.wall);
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
        let groups: Vec<Group> = groups.into_iter().map(|(name, sum)| sum.group(name)).collect();
        Stats { since: self.since, until: until.wall, by, groups, all: all.group("all".to_owned()), reasons }
    }

    /// Counts what holds of a task in the end: the time in its last column, and how it closed.
    fn close(&mut self, id: TaskId, until: Wall) {
        let Some(task) = self.tasks.get(&id).cloned() else { return };
        if !task.column.is_closed() {
            self.leave(id, until);
            return;
        }
        // Closed, and in the time that is told of.
        let counted = self.counts_at(task.since);
        self.count(id, counted, |counts| {
            counts.closed += 1;
            counts.done += u32::from(task.column == Column::Done);
            counts.clean += u32::from(task.column == Column::Done && !task.reworked);
        });
    }
}

/// Whether a card that moved so went back to work.
fn is_back(from: Column, to: Column) -> bool {
    matches!(from, Column::Review | Column::Done) && matches!(to, Column::Backlog | Column::Design | Column::Build)
}
