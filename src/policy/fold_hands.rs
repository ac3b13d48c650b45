//! What a person's hands do to the board: leases, pauses, verdicts on plans and work.
//!
//! **Invariant:** as of all folding: no decisions, only what is now. Must not know: the rules.

use crate::model::attempt::Attempt;
use crate::model::board::Task;
use crate::model::dialog::Choice;
use crate::model::event::{By, Event};
use crate::model::lease::{Approval, Lease, Paused, Plan, Returning};
use crate::model::task::Column;
use crate::model::time::Now;

/// A card moves: into Takeover the lease begins, or changes hands; out of it it ends.
pub(super) fn lease(task: &mut Task, to: Column, by: By, reason: &str, at: Now) {
    if to != Column::Takeover {
        task.lease = None;
        return;
    }
    if let Some(lease) = task.lease.as_mut().filter(|lease| lease.by == By::Person && by == By::Person) {
        // Nothing but another reason.
        lease.reason = reason.to_owned();
        return;
    }
    let (from, counts) = match &task.lease {
        Some(lease) => (lease.from, lease.counts),
        None => (task.column, task.occupies_build()),
    };
    let (marking, mark, returning) = (None, None, None);
    task.lease = Some(Lease { by, since: at.wall, reason: reason.to_owned(), from, counts, marking, mark, returning });
}

pub(super) fn apply_to_task(task: &mut Task, event: &Event, at: Now) {
    match event {
        Event::TaskPaused { reason } => task.paused = Some(Paused { since: at.wall, reason: reason.clone() }),
        Event::TaskResumed {} => task.paused = None,
        _ => {}
    }
}

pub(super) fn apply_to_lease(task: &mut Task, event: &Event) {
    let Some(lease) = &mut task.lease else { return };
    match event {
        Event::TakenOver { action, .. } => lease.marking = Some(*action),
        Event::WorktreeMarked { mark } => (lease.marking, lease.mark) = (None, Some(mark.clone())),
        Event::HandbackAsked { note, action } => {
            lease.returning = Some(Returning { action: *action, note: note.clone() });
        }
        _ => {}
    }
}

pub(super) fn apply_to_one(attempt: &mut Attempt, event: &Event, at: Now) {
    match event {
        Event::PlanProposed { text } => {
            attempt.plan = Some(Plan { text: text.clone(), at: at.wall, is_open: true, approved_at: None });
        }
        Event::PlanApproved {} => {
            let (text, proposed) = attempt.plan.take().map_or((String::new(), at.wall), |plan| (plan.text, plan.at));
            attempt.plan = Some(Plan { text, at: proposed, is_open: false, approved_at: Some(at.wall) });
        }
        Event::PlanRejected { .. } => turn_begins(attempt),
        Event::StrayedFromPlan { paths } => attempt.strayed = Some(paths.clone()),
        // What a person has changed is where it plans on.
        Event::HandedBack { .. } if attempt.plans_on.is_some() => attempt.plans_on.clone_from(&attempt.tree),
        Event::WorkApproved { tree } => attempt.approval = Some(Approval { at: at.wall, tree: tree.clone() }),
        Event::WorkRejected { .. } => (attempt.approval, attempt.finished) = (None, false),
        _ => {}
    }
}

/// Answers that an agent offers, by their place.
pub(super) fn choices(options: &[String]) -> Vec<Choice> {
    let one = |(text, n): (&String, u32)| Choice { number: Some(n), text: text.clone(), says: None };
    options.iter().zip(1..).map(one).collect()
}

/// What was proposed before this turn is not what it will propose.
pub(super) fn turn_begins(attempt: &mut Attempt) {
    if let Some(plan) = attempt.plan.as_mut().filter(|plan| plan.approved_at.is_none()) {
        plan.is_open = false;
    }
}
