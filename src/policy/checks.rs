//! Checks of an attempt: when they are ordered and dropped, and what their verdict leads to.
//!
//! **Invariant:** an attempt reaches review on checks that are green, or where none are configured,
//! and no check is ordered whose command is not approved. Must not know: how checks are run.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, End, Phase};
use crate::model::board::Task;
use crate::model::event::{By, Event};
use crate::model::id::{AttemptId, TaskId};
use crate::model::message::From;
use crate::model::settings::VerifyOn;
use crate::model::state::RunKind;
use crate::model::task::{Column, Mode};
use crate::model::verdict::{Verdict, VerdictOutcome};

use super::turn::Turn;
use super::{admission, attention, claim, limits, takeover};

/// Ends the checks of an attempt, where any are under way.
pub(super) fn drop_checks(turn: &mut Turn<'_>, id: AttemptId, why: &str) {
    let Some(run) = turn.board.attempt(id).and_then(|a| a.checking.as_ref()).map(|c| c.run) else { return };
    turn.attempt_event(id, Event::ChecksDropped { run, why: why.to_owned() });
}

/// Ends checks that a rule started; what a person asked for is carried through.
pub(super) fn drop_unasked_checks(turn: &mut Turn<'_>, id: AttemptId, why: &str) {
    if turn.board.attempt(id).and_then(|a| a.checking.as_ref()).is_some_and(|c| !c.asked && c.on.is_none()) {
        drop_checks(turn, id, why);
    }
}

/// Checks whose commands changed after they were ordered: work that was finished waits for a person
/// who approves them.
pub(super) fn unapproved(turn: &mut Turn<'_>, id: AttemptId) {
    let Some(checking) = turn.board.attempt(id).and_then(|a| a.checking.clone()) else { return };
    drop_checks(turn, id, "their commands are not approved");
    // Where it is not known here yet, they would only be ordered again.
    if checking.on.is_none() && !checking.asked && admission::untrusted_checks(turn) {
        turn.attempt_event(id, Event::WorkFinished { by: "its checks wait for an approval".into() });
    }
}

/// The checks of an attempt have ended: what that means for its task.
pub(super) fn judged(turn: &mut Turn<'_>, id: AttemptId, verdict: Verdict, feedback: String) {
    let Some(attempt) = turn.board.attempt(id) else { return };
    let Some(checking) = attempt.checking.clone() else { return };
    let (outcome, on) = (verdict.outcome, checking.on);
    turn.attempt_event(id, Event::VerdictReached { run: checking.run, verdict, on });
    claim::judge_again(turn, id, on);
    let Some(attempt) = turn.current(id).filter(|_| on.is_none()) else { return };
    if turn.task(id.task).is_some_and(Task::is_taken_over) {
        // It is read after the handback, where nothing has changed by then.
        if outcome == VerdictOutcome::Red && !checking.asked {
            tell(turn, id, feedback);
        }
        return;
    }
    let own = attempt.mode == Mode::Own;
    let at_rest = !attempt.is_active() || (attempt.run.kind == RunKind::Idle && attempt.run.turn_over);
    let counts = (!checking.asked || at_rest) && attempt.asks.is_none() && !ended_badly(attempt) && !turn.is_told(id);
    let building =
        turn.task(id.task).is_some_and(|t| matches!(t.column, Column::Build | Column::Design) && !t.is_planning());
    if !counts || !building {
        return;
    }
    match outcome {
        // Its work ends with the person whose work it is; nobody else carries it on.
        VerdictOutcome::Green | VerdictOutcome::None | VerdictOutcome::Red if own => {
            let reason = match outcome {
                VerdictOutcome::Green => "its turn is over and checks are green",
                VerdictOutcome::Red => "its turn is over and checks are red",
                _ => "its turn is over",
            };
            takeover::take(turn, id, By::Rule, reason.to_owned());
        }
        VerdictOutcome::Green => to_review(turn, id.task, "checks are green"),
        VerdictOutcome::None => to_review(turn, id.task, "no checks are configured"),
        VerdictOutcome::Red => tell(turn, id, feedback),
        VerdictOutcome::Stale if at_rest && attempt.stales < attention::MAX_STALES => {
            turn.attempt_event(id, Event::WorkFinished { by: "the tree moved under the checks".into() });
        }
        VerdictOutcome::Stale | VerdictOutcome::Error => {}
    }
}

fn ended_badly(attempt: &Attempt) -> bool {
    match attempt.end() {
        Some(End::Exited { exit }) => !exit.is_success(),
        Some(End::Failed { .. } | End::Lost { .. }) => true,
        Some(End::Stopped { .. }) | None => false,
    }
}

fn to_review(turn: &mut Turn<'_>, task: TaskId, reason: &str) {
    let Some(from) = turn.task(task).map(|t| t.column) else { return };
    let moved = Event::TaskMoved { from, to: Column::Review, by: By::Rule, reason: reason.to_owned() };
    turn.task_event(task, moved);
}

/// The failures go back to the agent, unless it was told often enough, or cannot be told.
fn tell(turn: &mut Turn<'_>, id: AttemptId, feedback: String) {
    let Some(limits) = limits::of(turn, id.task) else { return };
    let Some(attempt) = turn.current(id) else { return };
    let reached = turn.reads(attempt) && (attempt.is_active() || turn.resumes(attempt));
    if limits::is_told_enough(attempt, limits) || feedback.is_empty() || !reached {
        return;
    }
    let msg = turn.next_msg();
    turn.attempt_event(id, Event::MessageQueued { msg, from: From::Checks, text: feedback, now: false });
}

/// Orders the checks of work that is finished; says whether anything followed.
pub(super) fn check_finished(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some(task) = turn.task(id) else { return false };
    let Some(attempt) = task.attempt() else { return false };
    // In Review a verdict is reached again only where the bytes have changed.
    let place = match task.column {
        Column::Build | Column::Design => !task.is_planning(),
        Column::Review => attempt.is_stale(),
        Column::Backlog | Column::Done | Column::Canceled | Column::Takeover => false,
    };
    if !place || task.wanted.is_some() {
        return false;
    }
    let up = matches!(attempt.phase, Phase::Live { .. } | Phase::Ended { .. });
    let asks = attempt.asks.is_some() || attempt.run.kind == RunKind::Waiting;
    let of = AttemptId { task: id, no: attempt.no };
    if !attempt.finished || !up || attempt.is_being_judged() || attempt.stopping.is_some() || asks || turn.is_told(of) {
        return false;
    }
    if ended_badly(attempt) || admission::untrusted_checks(turn) {
        return false;
    }
    drop_checks(turn, of, "its work is finished, and is checked as it is now");
    start_checks(turn, of, false, None);
    true
}

/// Orders the checks of an attempt.
pub(super) fn start_checks(turn: &mut Turn<'_>, id: AttemptId, asked: bool, on: Option<VerifyOn>) {
    let Some(own) = turn.task(id.task).map(|t| t.spec.checks.clone()) else { return };
    let Some(attempt) = turn.board.attempt(id) else { return };
    let (worktree, ports) = (attempt.worktree.clone(), attempt.ports.clone());
    let (run, action) = (turn.next_run(), turn.next_action());
    turn.attempt_event(id, Event::ChecksStarted { run, action, asked, on });
    turn.order(action, id, Action::Check { run, worktree, own, ports });
}
