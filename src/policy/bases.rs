//! What next attempts start from, and who waits because that is not there.
//!
//! **Invariant:** a base is looked at before each start, so that one that vanished holds its tasks
//! and fails none of them.

use std::collections::BTreeSet;

use crate::model::board::{Board, Task, Wanted};
use crate::model::task::Column;

/// What the next attempts of open tasks start from; `None` is the base of those that name none.
#[must_use]
pub fn wanted(board: &Board) -> BTreeSet<Option<String>> {
    board.tasks.values().filter(|task| begins_anew(task)).map(|task| task.spec.base.clone()).collect()
}

/// Whether the next start of a task makes a worktree.
fn begins_anew(task: &Task) -> bool {
    let again = task.wanted == Some(Wanted::Again);
    let waits = task.wanted.is_some() || task.column == Column::Backlog;
    waits && !again && !task.column.is_closed()
}

/// Why the next attempt of a task has nothing to start from, as far as was seen.
pub(super) fn missing(board: &Board, task: &Task) -> Option<String> {
    // One that is in work already goes on in the worktree it has.
    if !begins_anew(task) {
        return None;
    }
    match &task.spec.base {
        Some(name) => board.bases.named.get(name).cloned(),
        None => board.bases.default.clone(),
    }
}
