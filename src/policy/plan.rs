//! Design: an agent that must say first what it wants to do, and the verdict on that.
//!
//! CLIs fix at their start what an agent may do, so a verdict ends the agent at rest and resumes
//! the same session; one that cannot be resumed is told, or started anew with the plan.
//!
//! **Invariant:** before a person approved its plan, an attempt is neither checked nor moved to
//! Build or Review by a rule. Must not know: how a plan is read off an agent.

use crate::model::attempt::{Attempt, Phase, StopWhy};
use crate::model::board::{Task, Wanted};
use crate::model::dialog::{Choice, Says};
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::lease::{MAX_PLAN, Plan};
use crate::model::message::From;
use crate::model::rhythm::{LimitName, Tripped};
use crate::model::state::RunKind;
use crate::model::task::Column;

use super::command::{refuse, require_attempt, require_task};
use super::lifecycle;
use super::turn::Turn;

type Answer = Result<Reply, Refusal>;

/// What an agent is told when its plan was approved.
const APPROVED: &str = "Your plan is approved. You may change files now: carry it out.";

/// Lines of a plan that the question repeats.
const SHOWN: usize = 3;

/// A plan was read off the agent.
pub(super) fn proposed(turn: &mut Turn<'_>, of: AttemptId, text: &str) {
    let Some(attempt) = turn.current(of).filter(|a| a.plans()) else { return };
    let before = attempt.plan.as_ref().map_or("", |plan| plan.text.as_str());
    // A turn without another plan leaves the last one standing.
    let text = Some(bounded(text.trim())).filter(|text| !text.is_empty()).unwrap_or(before).to_owned();
    if !attempt.plan.as_ref().is_some_and(|plan| plan.is_open && plan.text == text) {
        turn.attempt_event(of, Event::PlanProposed { text });
    }
}

/// Its turn is over: whatever it said is its plan; it has nothing else to finish.
pub(super) fn turn_over(turn: &mut Turn<'_>, of: AttemptId) {
    proposed(turn, of, "");
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_PLAN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// It changed files before anybody has said yes; told once. What a person changes there meanwhile is
/// that person's.
pub(super) fn changed(turn: &mut Turn<'_>, of: AttemptId, paths: Vec<String>) {
    let theirs = turn.task(of.task).is_some_and(Task::is_taken_over);
    if !theirs && turn.current(of).is_some_and(|a| a.plans() && a.strayed.is_none()) {
        turn.attempt_event(of, Event::StrayedFromPlan { paths });
    }
}

/// A person's yes to a plan.
pub(super) fn approve(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    let of = require_plan(turn, id)?;
    // One that asks something on the way, or of which its plan is not heard yet, is at it as well.
    let at_it = |a: &Attempt| a.is_active() && matches!(a.run.kind, RunKind::Working | RunKind::Waiting);
    let works = turn.current(of).is_some_and(at_it);
    if works && !turn.current(of).and_then(|a| a.plan.as_ref()).is_some_and(|plan| plan.is_open) {
        let text = format!("{of} works on another plan");
        return refuse(RefusalCode::Failure, text, &[format!("standup wait {id} --for needs-you")]);
    }
    approved(turn, of, "the plan is approved".to_owned())
}

/// A card that was moved to Build: whatever the plan is, it may be carried out.
pub(super) fn moved_to_build(turn: &mut Turn<'_>, id: TaskId, reason: String) -> Answer {
    let (of, _) = require_attempt(turn, id)?;
    approved(turn, of, reason).map(|_| Reply::Ok {})
}

/// Its plan was approved in its own terminal: it goes on as it is.
pub(super) fn left(turn: &mut Turn<'_>, of: AttemptId) {
    let Some(from) = turn.task(of.task).map(|task| task.column) else { return };
    if !turn.current(of).is_some_and(Attempt::plans) {
        return;
    }
    turn.attempt_event(of, Event::PlanApproved {});
    if from == Column::Design {
        let reason = "the plan was approved in its terminal".to_owned();
        turn.task_event(of.task, Event::TaskMoved { from, to: Column::Build, by: By::Person, reason });
    }
}

fn approved(turn: &mut Turn<'_>, of: AttemptId, reason: String) -> Answer {
    let id = of.task;
    let from = require_task(turn, id)?.column;
    turn.attempt_event(of, Event::PlanApproved {});
    turn.task_event(id, Event::TaskMoved { from, to: Column::Build, by: By::Person, reason });
    let Some(attempt) = turn.current(of).cloned() else { return Ok(Reply::Ok {}) };
    settle_question(turn, of, &attempt);
    let goes_on = turn.resumes(&attempt);
    let alive = attempt.is_active() && attempt.stopping.is_none();
    if goes_on || (alive && turn.reads(&attempt)) {
        say(turn, of, APPROVED.to_owned());
    }
    if goes_on && alive {
        lifecycle::stop(turn, of, StopWhy::Planned);
    } else if !goes_on && !attempt.is_active() {
        turn.task_event(id, Event::StartAsked { wanted: Wanted::Again });
    }
    Ok(Reply::Attempt { attempt: of })
}

/// A person sends a plan back. Without a note it is told no more than that.
pub(super) fn reject(turn: &mut Turn<'_>, id: TaskId, note: String) -> Answer {
    let of = require_plan(turn, id)?;
    let (_, attempt) = require_attempt(turn, id)?;
    let attempt = attempt.clone();
    let goes_on = turn.resumes(&attempt);
    let hears = goes_on || (attempt.is_active() && turn.reads(&attempt));
    if !hears {
        let text = format!("the agent of {of} cannot be told: it takes no messages and cannot be resumed");
        return refuse(RefusalCode::Failure, text, &[format!("standup edit {id}"), format!("standup retry {id}")]);
    }
    turn.attempt_event(of, Event::PlanRejected { note: note.clone() });
    settle_question(turn, of, &attempt);
    let text = match note.trim() {
        "" => "Your plan is not approved. Propose another one. Still change nothing.".to_owned(),
        note => format!("Your plan is not approved: {note}\nRevise it. Still change nothing."),
    };
    say(turn, of, text);
    // A dialog in front of the composer would take the words for its answer.
    if goes_on && attempt.run.kind == RunKind::Waiting && attempt.host().is_some() {
        lifecycle::stop(turn, of, StopWhy::Planned);
    }
    Ok(Reply::Attempt { attempt: of })
}

fn require_plan(turn: &Turn<'_>, id: TaskId) -> Result<AttemptId, Refusal> {
    let (of, attempt) = require_attempt(turn, id)?;
    let task = require_task(turn, id)?;
    if !task.is_planning() {
        let text = format!("{id} has no plan to judge");
        return refuse(RefusalCode::Failure, text, &[format!("standup show {id}")]);
    }
    if attempt.plan.is_none() && !matches!(attempt.phase, Phase::Ended { .. }) {
        let text = format!("{of} has not proposed a plan yet");
        return refuse(RefusalCode::Failure, text, &[format!("standup attach {id}")]);
    }
    Ok(of)
}

fn settle_question(turn: &mut Turn<'_>, of: AttemptId, attempt: &Attempt) {
    if attempt.asks.is_some() {
        turn.attempt_event(of, Event::QuestionSettled {});
    }
}

fn say(turn: &mut Turn<'_>, of: AttemptId, text: String) {
    let msg = turn.next_msg();
    turn.attempt_event(of, Event::MessageQueued { msg, from: From::Person, text, now: false });
}

/// The plan of a task that waits for its verdict now.
pub(super) fn waits<'a>(turn: &Turn<'_>, task: &'a Task) -> Option<&'a Plan> {
    let attempt = task.attempt()?;
    let plan = attempt.plan.as_ref().filter(|plan| plan.is_open && task.is_planning())?;
    let busy = matches!(attempt.run.kind, RunKind::Working | RunKind::Starting) && attempt.is_active();
    let told = || turn.is_told(AttemptId { task: task.id, no: attempt.no });
    (!busy && attempt.stopping.is_none() && !told()).then_some(plan)
}

/// What may be answered to it.
pub(super) fn options() -> Vec<Choice> {
    let one = |n, text: &str, says| Choice { number: Some(n), text: text.to_owned(), says: Some(says) };
    vec![one(1, "Yes, carry it out", Says::Yes), one(2, "No; say behind it what is to be different", Says::No)]
}

/// Takes an answer to a plan for what it is: the verdict on it.
pub(super) fn answered(turn: &mut Turn<'_>, id: TaskId, wanted: &str) -> Answer {
    let (word, note) = wanted.trim().split_once(char::is_whitespace).unwrap_or((wanted.trim(), ""));
    let word = word.trim_end_matches([',', ';', ':', '.']).to_lowercase();
    let [yes, no]: [Choice; 2] = options().try_into().expect("a yes and a no");
    let option = match word.as_str() {
        "yes" | "y" | "1" if note.is_empty() => {
            approve(turn, id)?;
            yes.text
        }
        "no" | "n" | "2" => {
            reject(turn, id, note.trim().to_owned())?;
            no.text
        }
        _ => {
            let text = format!("{id} waits for your verdict on its plan: yes, or no and what is to be different");
            let hints = [
                format!("standup show {id}"),
                format!("standup answer {id} yes"),
                format!("standup answer {id} no \"…\""),
            ];
            return refuse(RefusalCode::Usage, text, &hints);
        }
    };
    Ok(Reply::Chosen { option, msg: None, waits: String::new() })
}

/// What a plan that waits for its verdict asks of a person.
pub(super) fn question(turn: &Turn<'_>, task: &Task) -> Option<(NeedKind, String)> {
    let plan = waits(turn, task)?;
    let mut text = if plan.text.is_empty() {
        "it wants to begin without having said how; send that back, or approve".to_owned()
    } else {
        let lines: Vec<&str> = plan.text.lines().filter(|line| !line.trim().is_empty()).take(SHOWN).collect();
        format!("may it carry out this plan?\n{}", lines.join("\n"))
    };
    let strayed = |t: &&Tripped| t.limit == LimitName::PlanOnly && !t.settled;
    if let Some(tripped) = task.attempt().and_then(|attempt| attempt.tripped.iter().find(strayed)) {
        text += &format!("\n{}", tripped.why);
    }
    Some((NeedKind::Question, text))
}
