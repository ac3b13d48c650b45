//! Ended attempts that a start brings back, and whether in the session of their agent.

use crate::model::attempt::{Attempt, End};
use crate::model::board::{Board, Task};
use crate::model::task::Column;

use super::messages;

/// What an agent is told that is brought back without a message.
pub const GO_ON: &str = "Go on where you stopped.";

/// The ended attempt that a start brings back in its own worktree; `None` where it makes a new one,
/// or none.
#[must_use]
pub fn again(task: &Task) -> Option<&Attempt> {
    let ended = |a: &&Attempt| !a.is_active() && a.checking.is_none() && a.base_oid.is_some();
    task.attempt().filter(|_| matches!(task.column, Column::Build | Column::Design)).filter(ended)
}

/// Whether an ended attempt, once it is brought back, takes up the session of its agent.
#[must_use]
pub fn goes_on(board: &Board, attempt: &Attempt) -> bool {
    // A session that was resumed in vain is not tried again; what kept the agent from being started
    // at all says nothing of its session.
    let in_vain = matches!(attempt.end(), Some(End::Failed { stage, .. }) if stage == "start");
    messages::resumes(board, attempt) && !in_vain
}

/// Whether a lost agent is brought back by a start, and by nothing else: nobody knows whether it
/// lives on.
#[must_use]
pub(super) fn is_lost_with_session(board: &Board, task: &Task) -> bool {
    again(task).is_some_and(|a| matches!(a.end(), Some(End::Lost { .. })) && goes_on(board, a))
}
