//! What must hold of deadlines, judged by what is stored alone: another reckoning than the one
//! that decided.

use std::collections::{BTreeMap, BTreeSet};

use standup::model::board::Board;
use standup::model::event::{By, Event, Record};
use standup::model::id::AttemptId;
use standup::model::message::From;
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
}

impl Period {
    fn at(now: Now) -> Self {
        Self { begun: now, issued: 0, last: now, last_by: By::Rule }
    }
}

/// Nobody is reminded more often than is configured, or sooner than is due; nobody is late before
/// the interval, as many reminders and the grace after the last have passed.
pub(crate) fn check(disk: &Disk, rules: CheckInRules) -> (usize, usize) {
    let mut periods: BTreeMap<AttemptId, Period> = BTreeMap::new();
    let mut modes: BTreeMap<AttemptId, Mode> = BTreeMap::new();
    let mut reminders = BTreeSet::new();
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
                    *period = Period::at(now);
                }
                Event::NudgeIssued { by, .. } => {
                    nudged += 1;
                    nudge(id, period, *by, rules, now);
                }
                Event::NudgeGiven { .. } => period.last = now,
                Event::MessageQueued { msg, from: From::Reminder, .. } => {
                    reminders.insert(*msg);
                }
                Event::MessageWithdrawn { msg, .. } if reminders.contains(msg) => match period.last_by {
                    By::Rule => period.issued = period.issued.saturating_sub(1),
                    By::Person => {}
                },
                Event::CheckInMissed { .. } => {
                    late += 1;
                    assert_eq!(period.issued, rules.nudges, "{id} is late at {now:?} without its reminders");
                    let since = if rules.nudges == 0 { period.begun } else { period.last };
                    let wait = if rules.nudges == 0 { rules.every + rules.grace } else { rules.grace };
                    assert!(passed(since, now) >= wait, "{id} is late too soon: {since:?} {now:?}");
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
    let (since, wait) = if period.issued == 0 { (period.begun, rules.every) } else { (period.last, rules.grace) };
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
        assert!(
            in_turn && at_work && attempt.asks.is_none() && attempt.host().is_some(),
            "{id}: {:?} while its clock stands: {} {:?} {:?}",
            record.event,
            task.column,
            attempt.run,
            attempt.asks
        );
    }
}
