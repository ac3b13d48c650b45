//! When the clock of a check-in runs, and what events do to it.
//!
//! **Invariant:** it runs only while the agent could report: what waits for a person, for the
//! checks, for a usage limit or for Review takes no time from it. A question alone does not stop it:
//! whoever asks and works on owes reports. Folded again, the events give the same times. Must not know: what follows from a deadline.

use crate::model::attempt::{Attempt, Phase};
use crate::model::board::{Board, ReceivedCheckIn, Task};
use crate::model::checkin::Sent;
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::AttemptNo;
use crate::model::message::{Delivery, From, Message};
use crate::model::rhythm::{Begun, Marks, NudgeWay, Rhythm, Tripped};
use crate::model::settings::{LimitAction, Mode, Settings};
use crate::model::state::RunKind;
use crate::model::task::{Column, TaskSpec};
use crate::model::text::clean;
use crate::model::time::{Now, Span};
use crate::model::verdict::{CheckOutcome, Verdict, VerdictOutcome};

use super::aside;
use super::turn::Turn;

/// After the machine has slept nothing is due for so long: connections are made anew, and what
/// the agent said last may still be on its way.
const WAKE: Span = Span::mins(1);

/// Shorter sleeps are no news.
const NEWS: Span = Span::mins(1);

/// How wide the reason of a refusal is that goes into a reminder.
const MAX_REFUSAL: usize = 200;

/// The most paths that are remembered of what was touched since a check-in.
const MAX_TOUCHED: usize = 1_000;

/// How often an attempt has to check in: what its brief says, else the configured interval, of
/// which a mode that keeps more in your hands takes a part.
#[must_use]
pub fn interval(settings: &Settings, spec: &TaskSpec, mode: Mode) -> Span {
    spec.check_in.unwrap_or_else(|| mode.check_in_every(settings.check_in.every))
}

/// The machine was asleep. Its monotonic clock stood still, so nothing has become due.
pub(super) fn slept(turn: &mut Turn<'_>, span: Span) {
    if span >= NEWS {
        turn.board_event(Event::MachineSlept { span });
    }
}

/// Gives every running clock time to hear what is on its way.
pub(super) fn fold_sleep(board: &mut Board, at: Now) {
    for attempt in board.tasks.values_mut().flat_map(|t| &mut t.attempts) {
        let rhythm = &mut attempt.rhythm;
        if rhythm.clock.since.is_some() {
            rhythm.not_before = Span(rhythm.clock.read(at).0 + WAKE.0);
        }
    }
}

/// Lets the clocks of a task run or stand, as its state after an event says.
pub(super) fn keep_time(task: &mut Task, at: Now) {
    let newest = task.attempts.len().saturating_sub(1);
    for place in 0..task.attempts.len() {
        let (counts, lives) = match task.attempts.get(place) {
            Some(attempt) if place == newest => (counts(task, attempt), lives(task, attempt)),
            _ => (false, false),
        };
        if let Some(attempt) = task.attempts.get_mut(place) {
            attempt.rhythm.clock.run(counts, at);
            attempt.rhythm.whole.run(lives, at);
        }
    }
}

/// Whether time counts towards the next check-in: a turn runs, and nobody else is to act. While the
/// task is paused it could not be reminded.
fn counts(task: &Task, attempt: &Attempt) -> bool {
    let in_turn = matches!(attempt.run.kind, RunKind::Working | RunKind::Quiet | RunKind::Unknown | RunKind::Starting);
    in_turn && !attempt.is_being_judged() && task.paused.is_none() && lives(task, attempt)
}

/// Whether time counts towards the limit of the whole attempt.
fn lives(task: &Task, attempt: &Attempt) -> bool {
    let at_work = matches!(task.column, Column::Build | Column::Design)
        && matches!(attempt.phase, Phase::Live { began: true, .. })
        && attempt.stopping.is_none();
    at_work
        && match attempt.run.kind {
            RunKind::Working => true,
            RunKind::Waiting | RunKind::Limited => false,
            _ => !is_asked(task, attempt),
        }
}

/// Whether something was asked that a person has not dealt with: one that is not seen to work is
/// taken to wait for it.
fn is_asked(task: &Task, attempt: &Attempt) -> bool {
    let needed = task.needs_you.as_ref().is_some_and(|need| need.kind != NeedKind::Late);
    needed || attempt.asks.is_some() || asks_about_limit(attempt)
}

/// Whether a limit was crossed that a person has not dealt with.
fn asks_about_limit(attempt: &Attempt) -> bool {
    attempt.tripped.iter().any(|t| !t.settled && t.action != LimitAction::Warn)
}

/// What an event does to the rhythm of its attempt. Before the event itself is folded.
pub(super) fn fold(task: &mut Task, no: AttemptNo, event: &Event, at: Now) {
    match event {
        Event::FactsSought { action } => {
            let waiting = task.check_ins.iter_mut().filter(|c| c.attempt == no && c.beside.look.is_none());
            waiting.for_each(|c| c.beside.look = Some(*action));
        }
        Event::CheckInCompared { action, facts, contradictions, hollow } => {
            let of_look = |c: &&mut ReceivedCheckIn| c.beside.look == Some(*action);
            let place = task.check_ins.iter().position(|c| c.beside.look == Some(*action) && c.beside.facts.is_none());
            let found = match place {
                Some(place) => task.check_ins.get_mut(place),
                None => task.check_ins.iter_mut().rfind(of_look),
            };
            let Some(found) = found else { return };
            let (first, said_at) = (found.beside.facts.is_none(), found.at);
            found.beside.facts = Some((**facts).clone());
            found.beside.contradictions.clone_from(contradictions);
            found.beside.hollow = *hollow;
            let attempt = task.attempts.iter_mut().find(|a| a.no == no);
            if let Some(attempt) = attempt.filter(|_| first && !hollow) {
                let run = attempt.judged.as_ref().map(|j| j.run);
                let (diff, tree, used) = (attempt.diff, attempt.tree.clone(), facts.used);
                let last = Marks { at: Some(said_at), diff, tree, run, used };
                begin_period(&mut attempt.rhythm, Begun::CheckedIn, at);
                (attempt.rhythm.late, attempt.rhythm.last) = (None, last);
                attempt.rhythm.touched.clear();
                aside::fold_check_in(attempt);
            }
        }
        Event::MessageWithdrawn { msg, .. } => {
            let of_deadline = task.messages.iter().any(|m| m.id == *msg && m.from == From::Reminder);
            // Nobody heard it: it is due again as soon as the clock runs.
            if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == no).filter(|_| of_deadline) {
                if attempt.rhythm.last_by_hand {
                    attempt.rhythm.by_hand = false;
                } else {
                    attempt.rhythm.asked = attempt.rhythm.asked.saturating_sub(1);
                }
            }
        }
        Event::MessageQueued { from: From::Person, .. } => {
            if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == no) {
                attempt.tripped.iter_mut().for_each(|t| t.settled = true);
                begin_anew(attempt, Begun::Told, at);
            }
        }
        Event::MessageTyped { msg } | Event::MessageDelivered { msg, .. } => {
            // Of several the last one counts; taken up later, it was given when it was typed.
            let last = task.messages.iter().rfind(|m| m.attempt == no && m.from == From::Reminder);
            let waits = |m: &Message| matches!(m.delivery, Delivery::Queued { .. } | Delivery::Typing { .. });
            let given = last.is_some_and(|m| m.id == *msg && waits(m));
            if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == no).filter(|_| given) {
                give(&mut attempt.rhythm, at);
            }
        }
        _ => {
            if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == no) {
                fold_one(attempt, event, at);
            }
        }
    }
}

fn fold_one(attempt: &mut Attempt, event: &Event, at: Now) {
    let rhythm = &mut attempt.rhythm;
    match event {
        Event::NudgeIssued { number, by, way, .. } => {
            rhythm.nudges = *number;
            rhythm.pending = (*way == NudgeWay::Hook).then_some(*number);
            rhythm.heard = *way == NudgeWay::Inbox;
            rhythm.last_by_hand = *by == By::Person;
            if rhythm.last_by_hand {
                rhythm.by_hand = true;
            } else {
                rhythm.asked += 1;
                rhythm.asked_at = rhythm.clock.read(at);
            }
        }
        Event::NudgeGiven { .. } => {
            rhythm.pending = None;
            give(rhythm, at);
        }
        Event::CheckInMissed { why } => {
            rhythm.late = Some(why.clone());
            rhythm.missed += 1;
            let pending = rhythm.pending;
            begin_period(rhythm, Begun::Missed, at);
            rhythm.pending = pending;
        }
        Event::CheckInReceived { .. } => rhythm.refused = None,
        Event::CheckInRefused { why, what: Sent::Report } => rhythm.refused = Some(clean(why, MAX_REFUSAL)),
        Event::OffLimitsTouched { paths } => {
            let mut new: Vec<String> = paths.iter().filter(|path| !rhythm.touched.contains(path)).cloned().collect();
            new.truncate(MAX_TOUCHED.saturating_sub(rhythm.touched.len()));
            rhythm.touched.append(&mut new);
        }
        Event::LimitTripped { limit, action, why, bound } => {
            let (limit, action, why, bound) = (*limit, *action, why.clone(), *bound);
            attempt.tripped.push(Tripped { limit, action, why, settled: false, bound });
        }
        Event::LimitRaised { limit } => attempt.tripped.retain(|t| t.limit != *limit),
        // A person brings it back, or has moved its card: it is dealt with. What was refused was of the
        // process before; of this one something may be before it is known that its host lives.
        Event::LaunchPlanned { .. } => {
            attempt.tripped.iter_mut().for_each(|t| t.settled = true);
            attempt.rhythm.refused = None;
        }
        // Another process: what was asked of the one before is not asked of it.
        Event::HostStarted { .. } => begin_anew(attempt, Begun::Started, at),
        _ => {}
    }
}

/// It was turned to: a new period begins. What was missed stays counted.
pub(super) fn begin_anew(attempt: &mut Attempt, begun: Begun, at: Now) {
    begin_period(&mut attempt.rhythm, begun, at);
    attempt.rhythm.late = None;
}

fn begin_period(rhythm: &mut Rhythm, begun: Begun, at: Now) {
    rhythm.clock.restart(at);
    (rhythm.asked, rhythm.asked_at, rhythm.not_before) = (0, Span(0), Span(0));
    (rhythm.by_hand, rhythm.pending) = (false, None);
    (rhythm.heard, rhythm.begun) = (false, begun);
}

/// The last reminder has reached it: what it may take until it reports counts from here.
fn give(rhythm: &mut Rhythm, at: Now) {
    rhythm.heard = true;
    if rhythm.asked > 0 {
        rhythm.asked_at = rhythm.clock.read(at);
    }
}

/// Counts how often in a row just the same did not pass.
pub(super) fn count_failure(attempt: &mut Attempt, verdict: &Verdict) {
    if verdict.outcome != VerdictOutcome::Red {
        // What says nothing of the work interrupts no row.
        if matches!(verdict.outcome, VerdictOutcome::Green | VerdictOutcome::None) {
            attempt.failing = (Vec::new(), 0);
        }
        return;
    }
    let failing = failing(verdict);
    let times = if failing.is_empty() {
        0
    } else if failing == attempt.failing.0 {
        attempt.failing.1 + 1
    } else {
        1
    };
    attempt.failing = (failing, times);
}

/// What did not pass, by name: the tests of a check that names them, else the check.
fn failing(verdict: &Verdict) -> Vec<String> {
    let mut names = Vec::new();
    for check in verdict.checks.iter().filter(|c| c.outcome != CheckOutcome::Pass) {
        if check.failures.is_empty() {
            names.push(check.name.to_string());
        } else {
            names.extend(check.failures.iter().map(|f| format!("{}: {}", check.name, f.test)));
        }
    }
    names.sort();
    names.dedup();
    names
}
