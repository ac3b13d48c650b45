//! Who needs you: one reason a task at a time, raised once, cleared when it is gone.

use crate::model::attempt::{Attempt, End, Phase, StopWhy};
use crate::model::board::{NeedsYou, Task};
use crate::model::dialog::{Choice, Dialog, DialogNo};
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::message::{Delivery, From, Message};
use crate::model::state::{Ask, RunKind};
use crate::model::task::Column;
use crate::model::time::Span;
use crate::model::verdict::VerdictOutcome;

use super::turn::Turn;
use super::{astray, checkin, limits};
use super::{plan, quota};

/// An agent that shows no sign of a turn after this long is looked at by a person. Both CLIs
/// begin within 2 s on an idle machine; 20 of them at once on two cores took up to 29 s.
const START_EVIDENCE: Span = Span::secs(90);

/// How long after it took up a prompt an agent may go on being seen idle: both CLIs show that
/// they work within a second.
const TAKEN_EVIDENCE: Span = Span::secs(20);

/// How much later than the word that it asks its plan may be heard of: a hook is a process, which
/// on a busy machine takes hundreds of milliseconds to start.
const PLAN_EVIDENCE: Span = Span::secs(2);

/// How far apart the moments of one dialog may be by two supervisors' accounts, in milliseconds.
const DIALOG_SLACK: i64 = 1_000;

/// Verdicts in a row that could not be bound to a tree before a person is asked.
pub(super) const MAX_STALES: u32 = 3;

/// Raises and clears. Not before the settings have been read: a supervisor that comes back does not
/// know yet which limits hold and who reads messages, and a need would vanish to come anew.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    if turn.settings().is_none() {
        return false;
    }
    let changed = turn.begun_ids().into_iter().filter(|&id| update(turn, id)).count();
    changed > 0
}

fn update(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let wanted = reason(turn, id);
    let Some(task) = turn.task(id) else { return false };
    let Some((kind, question)) = wanted else {
        let raised = task.needs_you.is_some();
        if raised {
            turn.task_event(id, Event::NeedsYouCleared {});
        }
        return raised;
    };
    let (mut options, mut dialog) = answers(turn, task, kind, &question);
    let before = task.needs_you.as_ref().filter(|now| now.kind == kind);
    let waits = task.attempt().is_some_and(|a| a.is_active() && a.run.kind == RunKind::Waiting);
    // What was known of a dialog stays known until another one is seen.
    if let Some(now) = before.filter(|now| waits && now.question == question && dialog.is_none()) {
        dialog = now.dialog;
        if options.is_empty() {
            options.clone_from(&now.options);
        }
    }
    if before.is_some_and(|now| now.question == question && now.options == options && now.dialog == dialog) {
        return false;
    }
    // A dialog shows its parts one after the other; another dialog is another need.
    let same = |now: &NeedsYou| {
        let stood = || now.question == question && stands_over_restart(turn, task, now);
        now.dialog.is_none() || dialog.is_none() || now.dialog == dialog || stood()
    };
    let refined = before.is_some_and(|now| same(now) && is_of_dialog(kind) && waits);
    turn.task_event(id, Event::NeedsYouRaised { kind, question, options, dialog, refined });
    true
}

/// Whether the dialog that is seen stood before the need was raised, and no supervisor ran in
/// between: each of them has a number of its own for it.
fn stands_over_restart(turn: &Turn<'_>, task: &Task, need: &NeedsYou) -> bool {
    let since = task.attempt().and_then(|a| a.dialog.as_ref()).and_then(|dialog| dialog.since);
    since.zip(turn.board.recovered).is_some_and(|(since, recovered)| {
        since.boot == turn.now.boot && since.mono <= recovered && since.wall.0 <= need.since.0 + DIALOG_SLACK
    })
}

fn is_of_dialog(kind: NeedKind) -> bool {
    matches!(kind, NeedKind::Permission | NeedKind::Question | NeedKind::Trust | NeedKind::Login)
}

/// What may be answered to a need, and the dialog behind it.
fn answers(turn: &Turn<'_>, task: &Task, kind: NeedKind, question: &str) -> (Vec<Choice>, Option<DialogNo>) {
    let (options, dialog) = asked_in(task, kind);
    let attempt = task.attempt().filter(|_| kind == NeedKind::Question);
    if attempt.is_some() && plan::waits(turn, task).is_some() {
        return (plan::options(), dialog);
    }
    match attempt.filter(|a| dialog.is_none() && a.asks.as_deref() == Some(question)) {
        Some(asking) => (asking.choices.clone(), None),
        None => (options, dialog),
    }
}

/// The dialog behind a need, and what may be answered in it.
fn asked_in(task: &Task, kind: NeedKind) -> (Vec<Choice>, Option<DialogNo>) {
    let waits = |a: &&Attempt| a.is_active() && a.run.kind == RunKind::Waiting;
    let dialog = task.attempt().filter(waits).and_then(|a| a.dialog.as_ref()).filter(|_| is_of_dialog(kind));
    let answerable = matches!(kind, NeedKind::Permission | NeedKind::Question);
    let options = |d: &Dialog| if answerable { d.options.clone() } else { Vec::new() };
    dialog.map_or((Vec::new(), None), |d| (options(d), Some(d.no)))
}

fn reason(turn: &mut Turn<'_>, id: TaskId) -> Option<(NeedKind, String)> {
    let task = turn.task(id)?;
    if let Some(error) = task.attempt().and_then(|a| a.stop_error.as_ref()) {
        return Some((NeedKind::Exit, format!("it could not be stopped: {error}")));
    }
    if task.column.is_closed() || task.column == Column::Backlog || task.wanted.is_some() {
        return None;
    }
    if let Some(lease) = &task.lease {
        // A person who holds it needs no telling.
        let by_rule = lease.by == By::Rule;
        let text = format!("{}; take it over or hand it back", lease.reason);
        let limit = task.attempt().and_then(|attempt| limits::ended(task, attempt));
        return by_rule.then(|| (limit.map_or(NeedKind::Question, |(kind, _)| kind), text));
    }
    let attempt = task.attempt()?;
    if let Phase::Live { since, began: false, .. } = &attempt.phase {
        let due = since.mono + START_EVIDENCE;
        let silent = attempt.run.kind != RunKind::Waiting && attempt.stopping.is_none();
        if silent && turn.is_due(due) {
            let text = format!("no turn has begun within {START_EVIDENCE}; look at its terminal");
            return Some((NeedKind::Exit, text));
        }
    }
    if answers_soon(turn, id) {
        return None;
    }
    let says_soon = says_its_plan_soon(turn, id);
    let task = turn.task(id)?;
    let attempt = task.attempt()?;
    astray::need(attempt)
        .or_else(|| ended_badly(task, attempt))
        .or_else(|| not_understood(attempt))
        .or_else(|| plan::question(turn, task))
        .or_else(|| asks(attempt).filter(|_| !says_soon))
        .or_else(|| limits::ended(task, attempt))
        .or_else(|| out_of_quota(turn, task, attempt))
        .or_else(|| stuck(turn, task, attempt))
        .or_else(|| limits::asks(task, attempt))
        .or_else(|| rests(turn, task, attempt))
        .or_else(|| checkin::need(task, attempt))
}

/// Whether it took up a prompt so recently that its state cannot be expected to show it.
fn answers_soon(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let taken = turn.newest(id).and_then(|(_, a)| a.taken.filter(|_| a.run.kind == RunKind::Idle));
    taken.is_some_and(|at| !turn.is_due(at + TAKEN_EVIDENCE))
}

/// Whether it asks for leave so recently that the plan, which is what it asks about, may be on its
/// way.
fn says_its_plan_soon(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let asks = |a: &&Attempt| a.run.kind == RunKind::Waiting && a.run.ask == Some(Ask::Permission);
    let Some(at) =
        turn.task(id).filter(|t| t.is_planning()).and_then(Task::attempt).filter(asks).map(|a| a.run.at.mono)
    else {
        return false;
    };
    // A moment of an earlier boot says nothing of this one.
    at <= turn.now.mono && !turn.is_due(at + PLAN_EVIDENCE)
}

fn ended_badly(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    // In Review the work is done: how its agent ends no longer matters.
    if !matches!(task.column, Column::Build | Column::Design) {
        return None;
    }
    match attempt.end()? {
        End::Failed { stage, error, .. } => Some((NeedKind::Exit, format!("{stage} failed: {error}"))),
        End::Lost { why } => Some((NeedKind::Lost, why.clone())),
        End::Exited { exit } if !exit.is_success() => {
            let words = attempt.tail.lines().rfind(|line| !line.trim().is_empty());
            // Who was ended had no last word: what stands there is whatever was on the screen.
            let words =
                words.filter(|_| exit.signal.is_none()).map(|line| format!(": {}", line.trim())).unwrap_or_default();
            Some((NeedKind::Exit, format!("the agent ended with {exit}{words}")))
        }
        End::Exited { .. } | End::Stopped { .. } => None,
    }
}

/// Whether its host lives and says nothing that this supervisor understands: no source speaks of it.
#[must_use]
pub fn is_mute(attempt: &Attempt) -> bool {
    let run = &attempt.run;
    attempt.is_active() && run.kind == RunKind::Unknown && run.source.is_none() && !run.text.is_empty()
}

fn not_understood(attempt: &Attempt) -> Option<(NeedKind, String)> {
    is_mute(attempt).then(|| (NeedKind::Exit, attempt.run.text.clone()))
}

fn asks(attempt: &Attempt) -> Option<(NeedKind, String)> {
    // What is about to be resumed asks nobody any more.
    let leaves = attempt.stopping == Some(StopWhy::Planned);
    if attempt.is_active() && attempt.run.kind == RunKind::Waiting && !leaves {
        let kind = match attempt.run.ask {
            Some(Ask::Permission) => NeedKind::Permission,
            Some(Ask::Trust) => NeedKind::Trust,
            Some(Ask::Login) => NeedKind::Login,
            Some(Ask::Question) | None => NeedKind::Question,
        };
        // What is answered is the dialog: beside it a report may speak of another one already.
        let asked = attempt.dialog.as_ref().map(|d| &d.question).filter(|question| !question.is_empty());
        return Some((kind, asked.unwrap_or(&attempt.run.text).clone()));
    }
    attempt.asks.clone().map(|text| (NeedKind::Question, text))
}

/// A usage limit that says no end: with one, it goes on by itself.
fn out_of_quota(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    let waits = attempt.is_active() && attempt.run.kind == RunKind::Limited && attempt.run.until.is_none();
    let told = turn.is_told(AttemptId { task: task.id, no: attempt.no });
    let goes_on = attempt.stopping.is_some() || task.paused.is_some() || told || attempt.limit.is_some();
    if !waits || goes_on || !matches!(task.column, Column::Build | Column::Design) {
        return None;
    }
    let words = if attempt.run.text.is_empty() { "a usage limit was reached" } else { &attempt.run.text };
    Some((NeedKind::Limit, format!("out of quota, and it is not known until when: {words}")))
}

fn stuck(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    is_left(turn, task, attempt).then(|| checks_stuck(turn, task, attempt)).flatten()
}

fn rests(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    is_left(turn, task, attempt).then(|| idle_stuck(task, attempt)).flatten()
}

/// Whether nothing is under way for an attempt in Build.
fn is_left(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> bool {
    matches!(task.column, Column::Build | Column::Design)
        && !attempt.is_being_judged()
        // What shall rest may rest.
        && task.paused.is_none()
        && !quota::waits(attempt)
        && !turn.is_told(AttemptId { task: task.id, no: attempt.no })
        && !attempt.finished
        && attempt.stopping.is_none()
}

fn checks_stuck(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    // What was seen of unfinished work is no end of it.
    let judged = attempt.judged.as_ref().filter(|judged| judged.on.is_none())?;
    let at_rest = !attempt.is_active() || attempt.run.kind == RunKind::Idle;
    // One that takes no messages does not hear of it, however busy it looks.
    if !at_rest && turn.reads(attempt) {
        return None;
    }
    match judged.verdict.outcome {
        VerdictOutcome::Error => Some((NeedKind::Red, format!("the checks could not be run: {}", why(attempt)))),
        VerdictOutcome::Stale if attempt.stales >= MAX_STALES => {
            Some((NeedKind::Red, "files keep changing under the checks; do the checks write into the tree?".into()))
        }
        VerdictOutcome::Red => {
            let limits = limits::of(turn, task.id)?;
            let lost = task
                .messages
                .iter()
                .any(|m| m.attempt == attempt.no && m.from == From::Checks && m.delivery == Delivery::Unknown);
            let text = if attempt.reds > limits.red_verdicts {
                format!("checks are red {} times in a row: {}", attempt.reds, why(attempt))
            } else if limits::is_told_enough(attempt, limits) {
                format!("the same checks are red {} times in a row: {}", attempt.failing.1, why(attempt))
            } else if lost {
                format!("checks are red, and it is not certain that the agent was told: {}", why(attempt))
            } else {
                format!("checks are red: {}", why(attempt))
            };
            Some((NeedKind::Red, text))
        }
        VerdictOutcome::Green | VerdictOutcome::None | VerdictOutcome::Stale => None,
    }
}

/// Which checks did not pass, and why.
fn why(attempt: &Attempt) -> String {
    let Some(judged) = &attempt.judged else { return String::new() };
    if !judged.verdict.why.is_empty() {
        return judged.verdict.why.clone();
    }
    let failed: Vec<String> = judged
        .verdict
        .checks
        .iter()
        .filter(|c| c.outcome != crate::model::verdict::CheckOutcome::Pass)
        .map(|c| if c.why.is_empty() { c.name.to_string() } else { format!("{}: {}", c.name, c.why) })
        .collect();
    failed.join("; ")
}

/// An agent at rest in Build that nothing is going to move: a turn that ended otherwise than by
/// finishing (an interrupt, an error of the model's service), a message nobody knows the fate of,
/// checks that were dropped, a card that was moved by hand.
fn idle_stuck(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    match &attempt.phase {
        Phase::Live { began: true, .. } if attempt.run.kind == RunKind::Idle => {}
        // Whoever ended its checks needs no telling; a hold says so.
        Phase::Ended { end: End::Exited { .. }, .. } if !attempt.checks_ended => {
            let text = "its agent has ended and nothing is under way; verify it, start it again or move it";
            return Some((NeedKind::Exit, text.into()));
        }
        _ => return None,
    }
    let unknown = |m: &&Message| m.attempt == attempt.no && m.delivery == Delivery::Unknown && m.from != From::Reminder;
    Some(if !attempt.run.turn_over && attempt.run.text.is_empty() {
        (NeedKind::Question, "its turn was interrupted; tell it how to go on".into())
    } else if !attempt.run.turn_over {
        (NeedKind::Exit, attempt.run.text.clone())
    } else if task.messages.iter().rfind(unknown).is_some() {
        (NeedKind::Question, "it is not certain that it was told; look at its terminal".into())
    } else {
        (NeedKind::Question, "it is idle and nothing is under way; tell it how to go on".into())
    })
}
