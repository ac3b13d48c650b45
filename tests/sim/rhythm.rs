//! What must hold of deadlines, judged by what is stored alone: another reckoning than the one
//! that decided.

use std::collections::BTreeMap;

use standup::model::attempt::Phase;
use standup::model::board::{Board, Task};
use standup::model::event::{By, Event, Record};
use standup::model::id::AttemptId;
use standup::model::message::From;
use standup::model::rhythm::NudgeWay;
use standup::model::settings::{CheckInRules, Mode};
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::model::time::{Now, Span};

use crate::disk::Disk;

/// Short, so that much is missed; the number of reminders differs from run to run.
pub(crate) fn rules(seed: u64) -> CheckInRules {
    let nudges = u32::try_from(seed % 3).expect("small");
    CheckInRules { every: Span::secs(90), nudges, grace: Span::secs(40), silence: Span::mins(10) }
}

/// From a check-in, or whatever else begins a period, to what follows from its deadline.
struct Period {
    begun: Now,
    issued: u32,
    last: Now,
    last_by: By,
    /// Whether the last reminder was given.
    given: bool,
    /// Whether it began with a check-in.
    reported: bool,
}

impl Period {
    /// What may pass after the last reminder: one that was not given waits as long again.
    fn patience(&self, rules: CheckInRules) -> Span {
        if self.given { rules.grace } else { rules.grace + rules.grace }
    }

    fn give(&mut self, now: Now) {
        (self.given, self.last) = (true, now);
    }

    fn at(now: Now) -> Self {
        Self { begun: now, issued: 0, last: now, last_by: By::Rule, given: false, reported: false }
    }
}

/// Nobody is reminded more often than is configured, or sooner than is due; nobody is late before
/// the interval, as many reminders and the grace after the last have passed.
pub(crate) fn check(disk: &Disk, rules: CheckInRules) -> (usize, usize) {
    let mut periods: BTreeMap<AttemptId, Period> = BTreeMap::new();
    let mut modes: BTreeMap<AttemptId, Mode> = BTreeMap::new();
    // Reminders that were not typed yet.
    let mut waiting = BTreeMap::new();
    let (mut nudged, mut late) = (0, 0);
    for step in &disk.steps {
        let judged = step.events.iter().any(|r| matches!(r.event, Event::VerdictReached { .. }));
        for record in &step.events {
            let now = step.at;
            if let (Event::TaskMoved { to: Column::Build | Column::Design, .. }, Some(task)) =
                (&record.event, record.task)
            {
                periods.iter_mut().filter(|(id, _)| id.task == task).for_each(|(_, p)| *p = Period::at(now));
            }
            let Some(id) = about(record) else { continue };
            let period = periods.entry(id).or_insert_with(|| Period::at(now));
            if let Event::AttemptPlanned { mode, .. } = &record.event {
                modes.insert(id, *mode);
            }
            // What is more in a person's hands is heard of more often.
            let rules = CheckInRules { every: modes[&id].check_in_every(rules.every), ..rules };
            match &record.event {
                Event::HostStarted { .. } | Event::MessageQueued { from: From::Person, .. } => {
                    *period = Period::at(now)
                }
                // Said again once the checks have spoken, it begins nothing.
                Event::CheckInCompared { hollow: false, .. } if !judged => {
                    *period = Period { reported: true, ..Period::at(now) };
                }
                Event::NudgeIssued { by, way, .. } => {
                    nudged += 1;
                    nudge(id, period, *by, rules, now);
                    period.given = *way == NudgeWay::Inbox;
                }
                Event::NudgeGiven { .. } => period.give(now),
                Event::MessageTyped { msg } | Event::MessageDelivered { msg, .. } => {
                    // One that another waits behind is not the last.
                    let last = |waiting: &BTreeMap<_, _>| waiting.iter().all(|(other, of)| *of != id || other < msg);
                    if waiting.remove(msg).is_some() && last(&waiting) {
                        period.give(now);
                    }
                }
                Event::MessageQueued { msg, from: From::Reminder, .. } => {
                    waiting.insert(*msg, id);
                }
                Event::MessageWithdrawn { msg, why } if waiting.remove(msg).is_some() => {
                    assert!(why != "it has checked in" || period.reported, "{id} has not checked in: {why}");
                    if period.last_by == By::Rule {
                        period.issued = period.issued.saturating_sub(1);
                    }
                }
                Event::CheckInMissed { why } => {
                    late += 1;
                    assert_eq!(period.issued, rules.nudges, "{id} is late at {now:?} without its reminders");
                    let since = if rules.nudges == 0 { period.begun } else { period.last };
                    let wait = if rules.nudges == 0 { rules.every + rules.grace } else { period.patience(rules) };
                    assert!(passed(since, now) >= wait, "{id} is late too soon: {since:?} {now:?}");
                    let said = why.contains("was reminded");
                    assert_eq!(said, rules.nudges > 0 && period.given, "{id} is late by a wrong reason: {why}");
                    *period = Period::at(now);
                }
                _ => {}
            }
        }
    }
    (nudged, late)
}

fn nudge(id: AttemptId, period: &mut Period, by: By, rules: CheckInRules, now: Now) {
    period.last_by = by;
    if by == By::Person {
        return;
    }
    assert!(period.issued < rules.nudges, "{id} is reminded once too often at {now:?}");
    let (since, wait) =
        if period.issued == 0 { (period.begun, rules.every) } else { (period.last, period.patience(rules)) };
    assert!(passed(since, now) >= wait, "{id} is reminded too soon: {since:?} {now:?}");
    period.issued += 1;
    period.last = now;
}

fn about(record: &Record) -> Option<AttemptId> {
    Some(AttemptId { task: record.task?, no: record.attempt? })
}

/// Time by the clock that stands still while the machine sleeps.
fn passed(since: Now, now: Now) -> Span {
    assert_eq!(since.boot, now.boot, "a deadline of another boot");
    now.mono.since(since.mono)
}

/// Whoever was just reminded or called late is in a turn, and nobody else is to act first.
pub(crate) fn check_clock(board: &Board, events: &[Record]) {
    for record in events {
        let by_rule = matches!(&record.event, Event::NudgeIssued { by: By::Rule, .. } | Event::CheckInMissed { .. });
        let Some(id) = about(record).filter(|_| by_rule) else { continue };
        let (task, attempt) = (&board.tasks[&id.task], board.attempt(id).expect("it exists"));
        let in_turn =
            matches!(attempt.run.kind, RunKind::Working | RunKind::Quiet | RunKind::Unknown | RunKind::Starting);
        let at_work = matches!(task.column, Column::Build | Column::Design);
        let waits = attempt.asks.is_some() && attempt.run.kind != RunKind::Working;
        assert!(
            in_turn && at_work && !waits && task.paused.is_none() && attempt.host().is_some(),
            "{id}: {:?} while its clock stands: {} {:?} {:?}",
            record.event,
            task.column,
            attempt.run,
            attempt.asks
        );
    }
}

/// Nobody works on unheard of: how long each has worked since anything came of its deadline.
#[derive(Default)]
pub(crate) struct Unheard {
    of: BTreeMap<AttemptId, Span>,
    seen: Option<Now>,
}

impl Unheard {
    /// The supervisor was away, or could store nothing.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Counts the time of those that worked throughout. What they ask makes no difference.
    pub(crate) fn follow(&mut self, board: &Board, events: &[&Record], rules: CheckInRules, now: Now) {
        let passed = self.seen.replace(now).filter(|seen| seen.boot == now.boot).map_or(Span(0), |s| passed(s, now));
        let slept = events.iter().any(|r| matches!(r.event, Event::MachineSlept { .. }));
        let before = std::mem::take(&mut self.of);
        // Reminders take twice the grace at most, and after sleep and restart a moment is left.
        let most = rules.every + rules.grace + rules.grace + Span::secs(70);
        for (id, task) in board.tasks.values().filter_map(|t| Some((t.attempt_id()?, t))) {
            let news = slept || events.iter().any(|r| r.task == Some(id.task) && is_of_deadline(&r.event));
            let counted = before.get(&id).filter(|_| !news).map_or(Span(0), |so_far| *so_far + passed);
            assert!(counted <= most, "{id} has worked for {counted} since anything was heard of it");
            if owes(task) {
                self.of.insert(id, counted);
            }
        }
    }
}

/// Whether an agent is seen to work, and nothing is in the way of reminding it.
fn owes(task: &Task) -> bool {
    let attempt = task.attempt().expect("it has one");
    let lives = matches!(attempt.phase, Phase::Live { began: true, .. }) && attempt.stopping.is_none();
    let compared = task.check_ins.iter().filter(|c| c.attempt == attempt.no).all(|c| c.beside.facts.is_some());
    matches!(task.column, Column::Build | Column::Design)
        && lives
        && compared
        && attempt.run.kind == RunKind::Working
        && attempt.checking.is_none()
        && attempt.listens_until.is_none()
        && task.paused.is_none()
}

fn is_of_deadline(event: &Event) -> bool {
    matches!(
        event,
        Event::NudgeIssued { .. }
            | Event::NudgeGiven { .. }
            | Event::CheckInMissed { .. }
            | Event::CheckInReceived { .. }
            | Event::CheckInCompared { .. }
            | Event::MessageQueued { .. }
            | Event::MessageTyped { .. }
            | Event::MessageDelivered { .. }
            | Event::MessageWithdrawn { .. }
            | Event::HostStarted { .. }
            | Event::TaskMoved { .. }
    )
}
