//! What is run at the end of a worktree: once its task is closed and its agent has ended.
//!
//! **Invariant:** it is ordered at most once for each attempt, and never beside anything else that
//! runs in the worktree.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, Teardown};
use crate::model::board::{HoldKind, Task};
use crate::model::event::Event;
use crate::model::id::AttemptId;

use super::turn::Turn;

/// Orders it wherever it is owed. One a round.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    if turn.surroundings().is_none_or(|around| around.untrusted.is_some()) {
        return false;
    }
    let found = turn.board.tasks.values().find_map(|task| Some((task.id, due(task)?.clone())));
    let Some((task, attempt)) = found else { return false };
    let (id, action) = (AttemptId { task, no: attempt.no }, turn.next_action());
    turn.attempt_event(id, Event::TeardownStarted { action });
    turn.order(action, id, Action::TearDown { worktree: attempt.worktree, ports: attempt.ports });
    true
}

fn due(task: &Task) -> Option<&Attempt> {
    let at_rest = |a: &&Attempt| !a.is_active() && a.checking.is_none();
    task.attempts.iter().filter(at_rest).find(|a| task.column.is_closed() && a.teardown == Teardown::Owed)
}

/// Why what a closed task is owed does not run.
pub(super) fn held(turn: &Turn<'_>, task: &Task) -> Option<(HoldKind, String)> {
    due(task)?;
    let why = turn.surroundings()?.untrusted.as_ref()?;
    Some((HoldKind::Trust, format!("its teardown waits: {why}")))
}
