//! What is said to agents: typed at most once, at a moment when it is read as a prompt.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, End, Phase};
use crate::model::board::{Board, Task};
use crate::model::event::{By, Event};
use crate::model::id::{AttemptId, MsgId, TaskId};
use crate::model::message::{Delivery, From, Message};
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::Span;

use super::turn::Turn;
use super::{admission, checks, lifecycle, pause, room, takeover};

/// How long a message that the host would not write waits before the next try.
pub(super) const RETRY: Span = Span::secs(2);

/// How long a written message may go unconfirmed: a busy agent takes it up at its next tool call
/// or turn end, and tools of minutes are common.
const CONFIRM_BUSY: Span = Span::mins(10);

/// The same for an agent that was idle: both CLIs react within a second.
const CONFIRM_IDLE: Span = Span::secs(20);

/// Types, resumes and gives up on messages.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| give_up(turn, id) || next(turn, id))
}

/// A written message that nothing confirms.
fn give_up(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some(task) = turn.task(id) else { return false };
    let written: Vec<(MsgId, AttemptId, crate::model::time::Mono)> = task
        .messages
        .iter()
        .filter_map(|m| match m.delivery {
            Delivery::Typed { at } => Some((m.id, AttemptId { task: id, no: m.attempt }, at)),
            _ => None,
        })
        .collect();
    for (msg, attempt, at) in written {
        let ended = turn.board.attempt(attempt).is_none_or(|a| !a.is_active());
        let busy = turn.board.attempt(attempt).is_some_and(|a| a.run.kind == RunKind::Working);
        let due = at + if busy { CONFIRM_BUSY } else { CONFIRM_IDLE };
        if ended || turn.is_due(due) {
            turn.attempt_event(attempt, Event::MessageUnconfirmed { msg });
            return true;
        }
    }
    false
}

/// The next message of a task, if its moment has come.
fn next(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((message, attempt)) = due_message(turn, id) else { return false };
    let Some(found) = turn.newest(id).map(|(_, a)| a.clone()) else { return false };
    let Some(column) = turn.task(id).map(|t| t.column) else { return false };
    match &found.phase {
        Phase::Live { .. } if found.stopping.is_none() => type_it(turn, attempt, &found, &message, column),
        Phase::Ended { .. } if may_resume(turn.board, &found, message.from) => {
            bring_back(turn, attempt, &message, column)
        }
        _ => false,
    }
}

/// The first queued message for the newest attempt, if none is on its way and it may be tried.
fn due_message(turn: &mut Turn<'_>, id: TaskId) -> Option<(Message, AttemptId)> {
    let task = turn.task(id)?;
    if task.column.is_closed() || task.is_taken_over() || task.paused.is_some() || task.wanted.is_some() {
        return None;
    }
    let (attempt, _) = turn.newest(id)?;
    let mine = |m: &&Message| m.attempt == attempt.no;
    let on_its_way = |m: &Message| matches!(m.delivery, Delivery::Typing { .. } | Delivery::Typed { .. });
    if task.messages.iter().filter(mine).any(on_its_way) {
        return None;
    }
    let queued = task.messages.iter().filter(mine).filter(|m| m.is_queued());
    // What a person changed comes before everything that was said without knowing of it.
    let message = queued.min_by_key(|m| (m.from != From::Handback, m.id))?.clone();
    let Delivery::Queued { not_before, .. } = message.delivery else { return None };
    // A moment further away than any retry was set by the clock of an earlier boot.
    let of_this_boot = not_before <= turn.now.mono + RETRY;
    (!of_this_boot || turn.is_due(not_before)).then_some((message, attempt))
}

/// Resumes an ended agent with a message, as soon as there is room, a slot and leave to start it.
fn bring_back(turn: &mut Turn<'_>, id: AttemptId, message: &Message, column: Column) -> bool {
    if let Some((_, text)) = admission::resume_hold(turn, id) {
        return hold(turn, id.task, message, &text);
    }
    // The slot first: a card that moves and then waits would be in Build without an agent.
    if admission::need_slot(turn) || !make_room(turn, id.task, message, column) {
        return false;
    }
    lifecycle::launch(turn, id, Some(message), true);
    true
}

fn type_it(turn: &mut Turn<'_>, id: AttemptId, attempt: &Attempt, message: &Message, column: Column) -> bool {
    let Some(host) = attempt.host() else { return false };
    if !attempt.readable || attempt.run.kind == RunKind::Waiting || super::mail::listens(turn, attempt) {
        return false;
    }
    let host = host.id.clone();
    if !make_room(turn, id.task, message, column) {
        return false;
    }
    checks::drop_unasked_checks(turn, id, "there is something new to do");
    let action = turn.next_action();
    turn.attempt_event(id, Event::MessageTyping { msg: message.id, action });
    let text = message.text.clone();
    turn.order(action, id, Action::Type { host, msg: message.id, text, now: message.now });
    true
}

/// A remark that sets a Review agent to work again, and one that brings an ended agent back,
/// need a place in Build. A card that has one keeps it.
fn make_room(turn: &mut Turn<'_>, id: TaskId, message: &Message, column: Column) -> bool {
    let Some(task) = turn.task(id) else { return false };
    if task.occupies_build() {
        return true;
    }
    if let Some(text) = room::lacks(turn.board, task) {
        hold(turn, id, message, &text);
        return false;
    }
    let planning = column == Column::Design && task.is_planning();
    if column != Column::Build && !planning {
        let reason = "a message sets it to work again".to_owned();
        turn.task_event(id, Event::TaskMoved { from: column, to: Column::Build, by: By::Rule, reason });
    }
    true
}

/// Says once why a message waits; says whether it had to.
fn hold(turn: &mut Turn<'_>, id: TaskId, message: &Message, why: &str) -> bool {
    let Some((attempt, _)) = turn.newest(id) else { return false };
    if matches!(&message.delivery, Delivery::Queued { held, .. } if held == why) {
        return false;
    }
    turn.attempt_event(attempt, Event::MessageHeld { msg: message.id, why: why.to_owned() });
    true
}

/// Whether an ended agent is brought back for a message.
pub(super) fn may_resume(board: &Board, attempt: &Attempt, from: From) -> bool {
    let Some(end) = attempt.end() else { return false };
    let by_rule = match end {
        End::Exited { exit } => exit.is_success(),
        End::Stopped { why, .. } => why.goes_on(),
        End::Lost { .. } | End::Failed { .. } => return false,
    };
    attempt.checking.is_none() && resumes(board, attempt) && (matches!(from, From::Person | From::Handback) || by_rule)
}

/// Whether a message of a person would reach an agent, at once or by and by.
#[must_use]
pub fn hears(board: &Board, task: &Task, attempt: &Attempt) -> bool {
    let gone = match attempt.end() {
        Some(End::Failed { .. } | End::Lost { .. }) => true,
        Some(_) => !resumes(board, attempt),
        None => false,
    };
    let facts = board.surroundings.as_ref().and_then(|s| s.agents.get(&attempt.agent));
    !task.column.is_closed() && !gone && facts.is_none_or(|facts| facts.reads)
}

/// Whether an agent has a session that can be taken up again.
pub(super) fn resumes(board: &Board, attempt: &Attempt) -> bool {
    let facts = board.surroundings.as_ref().and_then(|s| s.agents.get(&attempt.agent));
    attempt.session.is_some() && attempt.begun && facts.is_some_and(|facts| facts.resumes)
}

/// Whether a message is on its way to an attempt, or is going to be as soon as it may.
pub(super) fn is_under_way(board: &Board, task: &Task, attempt: &Attempt) -> bool {
    task.messages.iter().filter(|m| m.attempt == attempt.no).any(|m| match m.delivery {
        Delivery::Typing { .. } | Delivery::Typed { .. } => attempt.is_active(),
        Delivery::Queued { .. } if attempt.is_active() => attempt.readable && attempt.run.kind != RunKind::Waiting,
        Delivery::Queued { .. } => may_resume(board, attempt, m.from),
        Delivery::Delivered | Delivery::Unknown | Delivery::Withdrawn => false,
    })
}

/// What a message of this task would wait for, in a person's words; empty where nothing.
pub(super) fn waits_for(turn: &Turn<'_>, task: &Task) -> String {
    let Some(attempt) = task.attempt() else { return String::new() };
    if let Some(lease) = task.lease.as_ref() {
        return takeover::hold_text(task.id, Some(lease), 0);
    }
    if let Some((_, text)) = pause::hold(task) {
        return text;
    }
    if super::mail::hears_at_once(turn, attempt) {
        return String::new();
    }
    match (&attempt.phase, attempt.run.kind) {
        (Phase::Preparing { .. } | Phase::Launching { .. }, _) => "the agent is starting".into(),
        (Phase::Live { .. }, RunKind::Waiting) => "the agent asks something first".into(),
        (Phase::Live { .. }, RunKind::Limited) if attempt.run.until.is_some() => {
            attempt.run.until.map(super::quota::limited_until).unwrap_or_default()
        }
        (Phase::Live { .. }, _) if !attempt.readable => "the agent cannot read it yet".into(),
        (Phase::Ended { .. }, _) => match task.attempt_id().and_then(|id| admission::resume_hold(turn, id)) {
            Some((_, text)) => text,
            None => String::new(),
        },
        _ => room::lacks(turn.board, task).unwrap_or_default(),
    }
}

/// A prompt was taken up: it confirms the message that was written last.
pub(super) fn prompt_taken(turn: &mut Turn<'_>, id: AttemptId, text: Option<&str>) {
    lifecycle::began(turn, id, "a prompt was taken up".into());
    let Some(task) = turn.task(id.task) else { return };
    let flat = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = |m: &&Message| text.is_none_or(|t| flat(t).contains(&flat(&m.text)) || flat(&m.text).contains(&flat(t)));
    // Its very text may be heard of before the word that it is written.
    let written = |m: &&Message| match m.delivery {
        Delivery::Typed { .. } => m.attempt == id.no,
        Delivery::Typing { .. } => m.attempt == id.no && text.is_some(),
        _ => false,
    };
    let Some(msg) = task.messages.iter().filter(written).find(fits).map(|m| m.id) else { return };
    turn.attempt_event(id, Event::MessageDelivered { msg, evidence: "the agent took up a prompt".into() });
}
