//! A person's verdict on finished work. Landing is another matter: it asks what was approved.
//!
//! **Invariant:** an approval names the tree it was said of, and counts for no other. Must not
//! know: how work lands.

use crate::model::attempt::End;
use crate::model::board::Task;
use crate::model::event::{By, Event};
use crate::model::id::TaskId;
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::message::From;
use crate::model::settings::{Mode, Requirement, Settings};
use crate::model::task::Column;
use crate::model::verdict::VerdictOutcome;

use super::command::{refuse, require_attempt, require_task};
use super::turn::Turn;
use super::{astray, messages, plan};

type Answer = Result<Reply, Refusal>;

/// What must hold before work of this mode lands: what is configured, and what the mode adds.
#[must_use]
pub fn required(settings: &Settings, mode: Mode) -> Vec<Requirement> {
    let mut all = settings.merge.require.clone();
    let adds = match mode {
        Mode::Delegate => None,
        Mode::Checkpoint => Some(Requirement::Reviewed),
        Mode::Own => Some(Requirement::Approved),
    };
    all.extend(adds.filter(|requirement| !settings.merge.require.contains(requirement)));
    all
}

/// What is missing where something that landing requires does not hold; `None` where it does.
#[must_use]
pub fn unmet(task: &Task, requirement: Requirement) -> Option<String> {
    let Some(attempt) = task.attempt() else { return Some("nothing has been begun".into()) };
    match requirement {
        Requirement::Green => {
            let judged = attempt.judged.as_ref().filter(|_| !attempt.is_stale());
            let outcome = judged.map(|judged| judged.verdict.outcome);
            (outcome != Some(VerdictOutcome::Green)).then(|| "no checks are green for the files as they are now".into())
        }
        Requirement::Approved => {
            attempt.approved().is_none().then(|| "nobody has approved the files as they are now".into())
        }
        // Nothing gives one as yet, and nobody's approval stands in for it.
        Requirement::Reviewed => {
            Some("no second agent has reviewed it; standup starts no reviewers yet, and an approval is none".into())
        }
    }
}

/// Whether somebody has the verdict on a task: on its plan, or on its work.
pub(super) fn approve(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    let task = require_task(turn, id)?;
    if task.is_planning() {
        return plan::approve(turn, id);
    }
    let own = task.column == Column::Takeover && task.attempt().is_some_and(|a| a.mode == Mode::Own);
    if task.column != Column::Review && !own {
        return nothing_to_judge(id, task.column);
    }
    let from = task.column;
    let (of, attempt) = require_attempt(turn, id)?;
    let Some(tree) = attempt.tree.clone() else {
        let text = format!("nobody has seen yet what is in the worktree of {of}");
        return refuse(RefusalCode::Failure, text, &[format!("standup verify {id}")]);
    };
    astray::refuse_approval(id, attempt)?;
    if attempt.approved().is_none() {
        turn.attempt_event(of, Event::WorkApproved { tree });
    }
    if own {
        let reason = "approved".to_owned();
        turn.task_event(id, Event::TaskMoved { from, to: Column::Review, by: By::Person, reason });
    }
    Ok(Reply::Attempt { attempt: of })
}

/// Sends a plan or work back, with what is to be different.
pub(super) fn reject(turn: &mut Turn<'_>, id: TaskId, note: String) -> Answer {
    if note.trim().is_empty() {
        let text = "a rejection says what is to be different";
        return refuse(RefusalCode::Usage, text, &[format!("standup reject {id} --note \"…\"")]);
    }
    let task = require_task(turn, id)?;
    if task.is_planning() {
        return plan::reject(turn, id, note);
    }
    if task.column != Column::Review {
        return nothing_to_judge(id, task.column);
    }
    let (of, attempt) = require_attempt(turn, id)?;
    let attempt = attempt.clone();
    let lost = matches!(attempt.end(), Some(End::Failed { .. } | End::Lost { .. }));
    let hears = turn.reads(&attempt) && (attempt.is_active() || (!lost && turn.resumes(&attempt)));
    turn.attempt_event(of, Event::WorkRejected { note: note.clone() });
    if attempt.asks.is_some() {
        turn.attempt_event(of, Event::QuestionSettled {});
    }
    if !hears {
        // The verdict holds all the same; who carries it out is for a person to say.
        let reason = format!("rejected: {note}");
        turn.task_event(id, Event::TaskMoved { from: Column::Review, to: Column::Build, by: By::Person, reason });
        return Ok(Reply::Attempt { attempt: of });
    }
    let (msg, text) = (turn.next_msg(), format!("Your work is not accepted yet: {note}"));
    turn.attempt_event(of, Event::MessageQueued { msg, from: From::Person, text, now: false });
    let waits = turn.task(id).map(|task| messages::waits_for(turn, task)).unwrap_or_default();
    Ok(Reply::Message { msg, waits })
}

fn nothing_to_judge(id: TaskId, column: Column) -> Answer {
    let text = format!("{id} is in {column}; a verdict is given on a plan in design, or on work in review");
    refuse(RefusalCode::Failure, text, &[format!("standup show {id}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_only_ever_adds_to_what_landing_requires() {
        let settings = Settings::default();
        assert_eq!(required(&settings, Mode::Delegate), settings.merge.require);
        let twice = required(&settings, Mode::Own);
        assert_eq!(twice, settings.merge.require, "approved is required already");
        assert!(required(&settings, Mode::Checkpoint).ends_with(&[Requirement::Reviewed]));
        let mut none = settings;
        none.merge.require.clear();
        assert_eq!(required(&none, Mode::Own), [Requirement::Approved], "no mode skips approvals");
    }
}
