//! Which ports an attempt gets: a block of the configured range that nobody else may use.
//!
//! **Invariant:** no two attempts that may still use theirs have a port in common.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::attempt::{Attempt, Teardown};
use crate::model::board::{Board, Task, Wanted};
use crate::model::id::TaskId;
use crate::model::input::Surroundings;

/// How many tasks that have all the ports are named.
const MAX_NAMED: usize = 5;

/// Ports for the next attempt of a task: none where none are configured, or where it goes on in
/// the worktree it has.
///
/// # Errors
/// Who has them all, as a sentence.
pub(super) fn for_next(board: &Board, around: &Surroundings, task: &Task) -> Result<Vec<u16>, String> {
    let Some(range) = around.settings.worktrees.ports.filter(|_| task.wanted != Some(Wanted::Again)) else {
        return Ok(Vec::new());
    };
    let taken = taken(board, task.id);
    let size = range.per_task.max(1);
    let mut first = Some(range.first);
    while let Some((from, to)) = first.and_then(|from| Some((from, from.checked_add(size - 1)?))) {
        if to > range.last {
            break;
        }
        if !(from..=to).any(|port| taken.contains_key(&port)) {
            return Ok((from..=to).collect());
        }
        first = to.checked_add(1);
    }
    let holders: BTreeSet<TaskId> = taken.into_values().collect();
    let mut named: Vec<String> = holders.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    if holders.len() > MAX_NAMED {
        named.push(format!("{} more", holders.len() - MAX_NAMED));
    }
    Err(format!("ports {}-{} are used up by {}", range.first, range.last, named.join(", ")))
}

/// Every port that an attempt may still use. The one that `next` replaces has ended.
fn taken(board: &Board, next: TaskId) -> BTreeMap<u16, TaskId> {
    let mut taken = BTreeMap::new();
    for task in board.tasks.values() {
        for attempt in task.attempts.iter().filter(|a| may_use(task, a, next)) {
            taken.extend(attempt.ports.iter().map(|port| (*port, task.id)));
        }
    }
    taken
}

fn may_use(task: &Task, attempt: &Attempt, next: TaskId) -> bool {
    let is_newest = task.attempt().is_some_and(|newest| newest.no == attempt.no);
    let may_go_on = is_newest && task.id != next && !task.column.is_closed() && attempt.base_oid.is_some();
    attempt.is_active() || attempt.teardown != Teardown::Nothing || may_go_on
}
