//! Checks beside the work, while an agent is in its turn: after a check-in, and when its files have
//! come to rest, where `verify.on` says so.
//!
//! **Invariant:** they say where it stands and nothing else follows from them: no card moves, no
//! turn ends, its agent is told nothing, no limit counts them and its clocks run on. One run of an
//! attempt at a time, each on files that no run has judged; what is to be checked because it is
//! finished ends them. Must not know: how checks are run.

use crate::model::attempt::{Aside, Attempt, Phase};
use crate::model::event::NeedKind;
use crate::model::id::{AttemptId, TaskId};
use crate::model::settings::VerifyOn;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::{Now, Span};
use crate::model::verdict::{Verdict, VerdictOutcome};

use super::turn::Turn;
use super::{admission, checks};

/// How long files are at rest before they are checked: longer than between the parts of one edit,
/// shorter than anybody waits to hear of it.
const REST: Span = Span::secs(5);

/// How often that doubles at most, to somewhat over five minutes: files that move under every run
/// are an agent that writes faster than its checks run, or checks that write into the tree.
const MAX_DOUBLED: u32 = 6;

/// Begins what is due, and ends what is of no use any more.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| end(turn, id) || begin(turn, id))
}

/// One whose agent has ended: either its work is finished and is to be checked, or nobody is at it.
fn end(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((of, attempt)) = turn.newest(id) else { return false };
    let left = attempt.checking.as_ref().is_some_and(|c| c.on.is_some()) && attempt.host().is_none();
    if left {
        checks::drop_checks(turn, of, "its agent has ended");
    }
    left
}

fn begin(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((of, attempt)) = turn.newest(id) else { return false };
    let aside = attempt.aside;
    if attempt.checking.is_some() || !(aside.check_in || aside.changed.is_some()) || !may_run(turn, of) {
        return false;
    }
    let on = if aside.check_in && is_on(turn, VerifyOn::CheckIn) {
        VerifyOn::CheckIn
    } else if let Some(changed) = aside.changed.filter(|_| is_on(turn, VerifyOn::FileChange))
        && turn.is_due(changed + Span(REST.0 << aside.stales.min(MAX_DOUBLED)))
    {
        VerifyOn::FileChange
    } else {
        return false;
    };
    checks::start_checks(turn, of, false, Some(on));
    true
}

fn is_on(turn: &Turn<'_>, on: VerifyOn) -> bool {
    turn.settings().is_some_and(|settings| settings.verify.on.contains(&on))
}

/// Whether an attempt's agent is at work on what may be checked.
fn may_run(turn: &Turn<'_>, id: AttemptId) -> bool {
    let Some((task, attempt)) = turn.task(id.task).and_then(|task| Some((task, turn.current(id)?))) else {
        return false;
    };
    let has_checks = !task.spec.checks.is_empty() || turn.settings().is_some_and(|s| !s.verify.checks.is_empty());
    let at_work = matches!(attempt.phase, Phase::Live { .. })
        && matches!(attempt.run.kind, RunKind::Working | RunKind::Quiet | RunKind::Unknown | RunKind::Waiting)
        && attempt.stopping.is_none()
        && !attempt.finished;
    // What a person is asked about stays as it is.
    let is_red = task.needs_you.as_ref().is_some_and(|need| need.kind == NeedKind::Red);
    let builds = matches!(task.column, Column::Build | Column::Design) && !task.is_planning() && task.wanted.is_none();
    has_checks && at_work && builds && !is_red && !admission::untrusted_checks(turn)
}

/// Whether a check-in of an attempt leads to a run.
pub(super) fn follows_check_in(turn: &Turn<'_>, id: AttemptId) -> bool {
    is_on(turn, VerifyOn::CheckIn) && may_run(turn, id)
}

/// A check-in was put beside the files as they are.
pub(super) fn fold_check_in(attempt: &mut Attempt) {
    attempt.aside.check_in = !attempt.is_judged();
}

/// What events do to what is still to be checked. After the event itself is folded; `before` is the
/// tree from before it.
pub(super) fn fold_tree(attempt: &mut Attempt, moved: bool, at: Now) {
    if moved {
        attempt.aside.changed = (!attempt.is_judged()).then_some(at.mono);
    }
}

/// A run began: it is on what was to be checked.
pub(super) fn fold_start(attempt: &mut Attempt) {
    (attempt.aside.check_in, attempt.aside.changed) = (false, None);
}

/// Another process: it owes nothing of what the one before did.
pub(super) fn fold_host(attempt: &mut Attempt) {
    attempt.aside = Aside::default();
}

/// Any run ended, and its verdict is known.
pub(super) fn fold_verdict(attempt: &mut Attempt, verdict: &Verdict, on: Option<VerifyOn>) {
    let aside = &mut attempt.aside;
    aside.stales = match verdict.outcome {
        VerdictOutcome::Stale if on.is_some() => aside.stales.saturating_add(1),
        VerdictOutcome::Error => aside.stales,
        _ => 0,
    };
    if attempt.is_judged() {
        fold_start(attempt);
    }
}
