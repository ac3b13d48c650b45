//! A pause: no new message and no start of this task, until a person says otherwise.
//!
//! **Invariant:** a pause ends nothing: what runs, runs on. Must not know: who asks.

use crate::model::board::{HoldKind, Task};
use crate::model::event::Event;
use crate::model::id::TaskId;
use crate::model::input::{Refusal, RefusalCode, Reply};

use super::command::{refuse, require_task, ways_on};
use super::turn::Turn;

type Answer = Result<Reply, Refusal>;

pub(super) fn pause(turn: &mut Turn<'_>, id: TaskId, reason: String) -> Answer {
    let task = require_task(turn, id)?;
    if task.column.is_closed() {
        return refuse(RefusalCode::Failure, format!("{id} is {}; nothing of it goes on", task.column), &[]);
    }
    if task.paused.is_none() {
        turn.task_event(id, Event::TaskPaused { reason });
    }
    Ok(Reply::Ok {})
}

pub(super) fn resume(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    let task = require_task(turn, id)?;
    if task.paused.is_none() {
        return refuse(RefusalCode::Failure, format!("{id} is not paused"), &ways_on(turn, id));
    }
    turn.task_event(id, Event::TaskResumed {});
    Ok(Reply::Ok {})
}

/// Why a paused task does not go on.
pub(super) fn hold(task: &Task) -> Option<(HoldKind, String)> {
    let paused = task.paused.as_ref()?;
    let why = if paused.reason.is_empty() { String::new() } else { format!(" ({})", paused.reason) };
    Some((HoldKind::Asks, format!("paused{why} until standup resume {}", task.id)))
}
