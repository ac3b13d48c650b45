//! When nothing can go on without a person, and how that ends a `run`.

use crate::model::board::{Board, Hold, HoldKind};
use crate::model::event::NeedKind;
use crate::model::task::Column;

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
    let busy = board.tasks.values().any(|task| {
        let wanted = task.wanted.is_some() && !is_held(board, task.id);
        let Some(attempt) = task.attempt() else { return wanted };
        let resting = task.needs_you.is_some() || matches!(task.column, Column::Review | Column::Takeover);
        let moves = attempt.checking.is_some() || attempt.stopping.is_some() && attempt.is_active();
        wanted || moves || (attempt.is_active() && !resting)
    });
    let startable = board.tasks.values().any(|t| t.column == Column::Backlog && !is_held(board, t.id));
    if busy || startable || board.machine.asked {
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

/// Held by something other than the lack of a place that an attempt at work will free.
fn is_held(board: &Board, task: crate::model::id::TaskId) -> bool {
    board.holds.iter().any(|h: &Hold| h.task == task && h.because != HoldKind::Dispatch)
}
