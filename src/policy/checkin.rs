//! Deadlines of check-ins: due, then reminded, then late.
//!
//! **Invariant:** nobody is reminded twice of the same deadline, nobody is late without as many
//! reminders as are configured and the grace after the last, and nothing falls due while the clock
//! stands. Must not know: how a reminder is typed, answered to a hook, or written to a file.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, Phase};
use crate::model::board::Task;
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::message::From;
use crate::model::rhythm::NudgeWay;
use crate::model::settings::CheckInRules;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::Span;

use super::claim;
use super::command::{refuse, require_attempt};
use super::rhythm::interval;
use super::turn::Turn;

/// A supervisor that has just come back listens for so long before anything is due: what was
/// reported meanwhile lies in outboxes, and states are seen anew.
const LISTEN: Span = Span::secs(3);

/// Withdraws what is of no use any more, reminds, and calls late.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| claim::look(turn, id) || withdraw(turn, id) || due(turn, id))
}

/// A reminder that waits to be typed while there is nothing to remind of.
fn withdraw(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some(task) = turn.task(id) else { return false };
    let Some(message) = task.messages.iter().find(|m| m.from == From::Reminder && m.is_queued()) else { return false };
    let of = AttemptId { task: id, no: message.attempt };
    let rhythm = turn.current(of).map(|a| &a.rhythm);
    let why = match rhythm {
        None => "its agent no longer counts",
        Some(rhythm) if rhythm.asked == 0 && !rhythm.by_hand => "it has checked in",
        Some(rhythm) if rhythm.clock.since.is_none() => "nothing is due from it now",
        Some(_) => return false,
    };
    let msg = message.id;
    turn.attempt_event(of, Event::MessageWithdrawn { msg, why: why.to_owned() });
    true
}

/// The rules for one attempt.
fn rules_of(turn: &Turn<'_>, id: TaskId) -> Option<CheckInRules> {
    let (task, settings) = (turn.task(id)?, turn.settings()?);
    let every = interval(settings, &task.spec, task.attempt()?.mode);
    Some(CheckInRules { every, ..settings.check_in })
}

/// Whether an attempt's last check-in is still being compared with what it did.
fn is_compared(task: &Task, attempt: &Attempt) -> bool {
    task.check_ins.iter().rfind(|c| c.attempt == attempt.no).is_some_and(|c| c.beside.facts.is_none())
}

/// What is due from a task's agent, if its moment has come.
fn due(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let (Some(rules), Some(task)) = (rules_of(turn, id), turn.task(id)) else { return false };
    let Some(attempt) = task.attempt() else { return false };
    let (of, rhythm) = (AttemptId { task: id, no: attempt.no }, attempt.rhythm.clone());
    if rhythm.clock.since.is_none() || is_compared(task, attempt) {
        return false;
    }
    let reminds = rhythm.asked < rules.nudges;
    let after = match rhythm.asked {
        0 if reminds => rules.every,
        0 => rules.every + rules.grace,
        _ => rhythm.asked_at + rules.grace,
    };
    let Some(at) = rhythm.clock.reaches(after.max(rhythm.not_before), turn.now) else { return false };
    // Asked for in any case, so that it is woken for what is the later of both.
    let listened = turn.board.recovered.is_none_or(|at| turn.is_due(at + LISTEN));
    if !turn.is_due(at) || !listened {
        return false;
    }
    if reminds {
        remind(turn, of, By::Rule, rules.every);
    } else {
        let why = missed(rules);
        turn.attempt_event(of, Event::CheckInMissed { why });
    }
    true
}

fn missed(rules: CheckInRules) -> String {
    let CheckInRules { every, nudges, grace, .. } = rules;
    match nudges {
        0 => format!("it has not checked in: one is due every {every}, and {grace} of grace have passed"),
        1 => format!("it has not checked in: one is due every {every}; it was reminded and had another {grace}"),
        n => format!("it has not checked in: one is due every {every}; it was reminded {n} times, each with {grace}"),
    }
}

/// Reminds an agent the way it can hear it: at the end of its turn where its hook asks us, else by
/// a message, else in its inbox.
fn remind(turn: &mut Turn<'_>, of: AttemptId, by: By, every: Span) -> NudgeWay {
    let Some(attempt) = turn.current(of) else { return NudgeWay::Inbox };
    let number = attempt.rhythm.nudges + 1;
    // One that waits at the hook and was not fetched will not be fetched soon.
    let by_hook = turn.is_asked_at_stop(attempt) && attempt.rhythm.pending.is_none();
    let way = match (by_hook, turn.reads(attempt)) {
        (true, _) => NudgeWay::Hook,
        (false, true) => NudgeWay::Message,
        (false, false) => NudgeWay::Inbox,
    };
    let (worktree, text) = (attempt.worktree.clone(), text(by, every));
    let action = (way == NudgeWay::Inbox).then(|| turn.next_action());
    turn.attempt_event(of, Event::NudgeIssued { number, by, way, action });
    if let Some(action) = action {
        turn.order(action, of, Action::Leave { worktree, number, text });
    } else if way == NudgeWay::Message && !turn.task(of.task).is_some_and(reminder_waits) {
        let msg = turn.next_msg();
        turn.attempt_event(of, Event::MessageQueued { msg, from: From::Reminder, text, now: false });
    }
    way
}

/// Whether a reminder waits to be typed; a second one beside it would say nothing more.
fn reminder_waits(task: &Task) -> bool {
    task.messages.iter().any(|m| m.from == From::Reminder && m.is_queued())
}

fn text(by: By, every: Span) -> String {
    let why = match by {
        By::Rule => format!("A check-in is due: you report every {every}."),
        By::Person => "You are asked for a check-in.".to_owned(),
    };
    format!(
        "{why} Report where you stand now, then go on: standup check-in --did \"…\" --next \"…\" \
         (where that command is not there, write the file that your instructions describe into $STANDUP_DIR/outbox)."
    )
}

/// An agent's turn is about to end: a reminder that waits for it is handed over, once.
pub(super) fn at_stop(turn: &mut Turn<'_>, id: AttemptId) -> Reply {
    let nothing = Reply::Say { text: None };
    let (Some(task), Some(attempt), Some(rules)) = (turn.task(id.task), turn.current(id), rules_of(turn, id.task))
    else {
        return nothing;
    };
    let open = matches!(task.column, Column::Build | Column::Design)
        && matches!(attempt.phase, Phase::Live { .. })
        && attempt.stopping.is_none()
        && attempt.asks.is_none()
        && !matches!(attempt.run.kind, RunKind::Waiting | RunKind::Limited)
        && !is_compared(task, attempt);
    let Some(number) = attempt.rhythm.pending.filter(|_| open) else { return nothing };
    let by = if attempt.rhythm.by_hand { By::Person } else { By::Rule };
    turn.attempt_event(id, Event::NudgeGiven { number });
    Reply::Say { text: Some(text(by, rules.every)) }
}

/// A person wants to hear from an agent.
pub(super) fn by_hand(turn: &mut Turn<'_>, id: TaskId) -> Result<Reply, Refusal> {
    let (of, attempt) = require_attempt(turn, id)?;
    if attempt.rhythm.clock.since.is_none() {
        let text = format!("{id} is not in a turn of its own, so there is nobody to remind");
        return refuse(
            RefusalCode::Failure,
            text,
            &[format!("standup state {id}"), format!("standup send {id} \"…\"")],
        );
    }
    let Some(rules) = rules_of(turn, id) else {
        return refuse(RefusalCode::Failure, "the settings have not been read yet", &[]);
    };
    let queued = turn.task(id).is_some_and(reminder_waits);
    // What is on its way already is not said twice.
    let way = if queued {
        NudgeWay::Message
    } else if attempt.rhythm.pending.is_some() {
        NudgeWay::Hook
    } else {
        remind(turn, of, By::Person, rules.every)
    };
    Ok(Reply::Nudged { way })
}

/// Why a person should look at an agent that does not report.
pub(super) fn need(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    let at_work = matches!(task.column, Column::Build | Column::Design) && attempt.is_active();
    let why = attempt.rhythm.late.clone().filter(|_| at_work && attempt.stopping.is_none())?;
    Some((NeedKind::Late, why))
}
