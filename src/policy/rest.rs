//! When nothing can go on without a person, and how that ends a `run`.

use std::collections::BTreeSet;

use crate::model::attempt::{Attempt, Phase};
use crate::model::board::{Board, HoldKind, Task};
use crate::model::event::NeedKind;
use crate::model::id::TaskId;
use crate::model::state::RunKind;
use crate::model::task::Column;

use super::messages;

/// How a `run` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Everything is in Review, Done or Canceled.
    Finished,
    /// Checks stayed red.
    Red,
    /// Something waits for a person.
    Waits,
}

/// Whether nothing can go on without a person, and how that looks. `None`: something still goes.
#[must_use]
pub fn at_rest(board: &Board) -> Option<Rest> {
    let held: BTreeSet<TaskId> = board.holds.iter().filter(|h| !goes_on_by_itself(h.because)).map(|h| h.task).collect();
    let startable = |task: &Task| task.column == Column::Backlog && board.dispatch && !held.contains(&task.id);
    if board.machine.asked || board.tasks.values().any(|t| startable(t) || is_busy(board, t, held.contains(&t.id))) {
        return None;
    }
    let red = board.tasks.values().any(|t| t.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Red));
    let over = |column| matches!(column, Column::Review | Column::Done | Column::Canceled);
    Some(if red {
        Rest::Red
    } else if board.tasks.values().all(|t| over(t.column)) {
        Rest::Finished
    } else {
        Rest::Waits
    })
}

/// Whether something of a task goes on, or is about to, without a person.
fn is_busy(board: &Board, task: &Task, held: bool) -> bool {
    if task.attempts.iter().any(Attempt::is_torn_down) {
        return true;
    }
    let wanted = task.wanted.is_some() && !held;
    let Some(attempt) = task.attempt() else { return wanted };
    let returning = task.lease.as_ref().is_some_and(|lease| lease.returning.is_some());
    let resting = held || task.needs_you.is_some() || matches!(task.column, Column::Review | Column::Takeover);
    let moves = attempt.checking.is_some()
        || attempt.is_active() && attempt.stopping.is_some()
        || matches!(attempt.phase, Phase::Preparing { .. } | Phase::Launching { .. })
        || attempt.host().is_some() && attempt.run.kind == RunKind::Working;
    let told = !held
        && !task.column.is_closed()
        && task.column != Column::Takeover
        && messages::is_under_way(board, task, attempt);
    wanted || returning || moves || told || (attempt.is_active() && !resting)
}

/// Whether what holds a task passes without a person, and without an attempt at work.
fn goes_on_by_itself(because: HoldKind) -> bool {
    matches!(because, HoldKind::Limited)
}
