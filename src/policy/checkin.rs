//! Deadlines of check-ins: due, then reminded, then late.
//!
//! **Invariant:** nobody is reminded twice of the same deadline, nobody is late without as many
//! reminders as are configured and the grace after the last, which counts from when it was given;
//! one that cannot be given ends in late as well, and is said to be that. Nothing falls due while
//! the clock stands, nor from one that missed as many as are allowed: that is a person's matter. Must not know: how a reminder is typed, answered to a hook, or written to a file.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, Phase};
use crate::model::board::Task;
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::message::{Delivery, From, Message};
use crate::model::rhythm::{Begun, NudgeWay, Rhythm};
use crate::model::settings::CheckInRules;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::Span;

use super::command::{refuse, require_attempt, ways_on};
use super::rhythm::interval;
use super::turn::Turn;
use super::{claim, limits};

/// A supervisor that has just come back listens for so long before anything is due: what was
/// reported meanwhile lies in outboxes, and states are seen anew.
const LISTEN: Span = Span::secs(3);

/// Withdraws what is of no use any more, reminds, and calls late.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| claim::look(turn, id) || withdraw(turn, id) || due(turn, id))
}

/// A reminder that waits to be typed while there is nothing to remind of.
fn withdraw(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some(task) = turn.task(id) else { return false };
    let Some(message) = task.messages.iter().find(|m| m.from == From::Reminder && m.is_queued()) else { return false };
    let of = AttemptId { task: id, no: message.attempt };
    let rhythm = turn.current(of).map(|a| &a.rhythm);
    let why = match rhythm {
        None => "its agent no longer counts",
        Some(rhythm) => match of_no_use(rhythm) {
            Some(why) => why,
            None => return false,
        },
    };
    let msg = message.id;
    turn.attempt_event(of, Event::MessageWithdrawn { msg, why: why.to_owned() });
    true
}

/// Why a reminder is not to be given any more. One that waits over a miss is as due as before.
fn of_no_use(rhythm: &Rhythm) -> Option<&'static str> {
    if rhythm.asked == 0 && !rhythm.by_hand {
        match rhythm.begun {
            Begun::CheckedIn => return Some("it has checked in"),
            Begun::Started => return Some("its agent was started anew"),
            Begun::Told => return Some("it was told something else"),
            Begun::Moved => return Some("its card was moved"),
            Begun::Missed => {}
        }
    }
    rhythm.clock.since.is_none().then_some("nothing is due from it now")
}

/// The rules for one attempt.
fn rules_of(turn: &Turn<'_>, id: TaskId) -> Option<CheckInRules> {
    let (task, settings) = (turn.task(id)?, turn.settings()?);
    let every = interval(settings, &task.spec, task.attempt()?.mode);
    Some(CheckInRules { every, ..settings.check_in })
}

/// Whether an attempt's last check-in is still being compared with what it did.
fn is_compared(task: &Task, attempt: &Attempt) -> bool {
    task.check_ins.iter().rfind(|c| c.attempt == attempt.no).is_some_and(|c| c.beside.facts.is_none())
}

/// What is due from a task's agent, if its moment has come.
fn due(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let (Some(rules), Some(task)) = (rules_of(turn, id), turn.task(id)) else { return false };
    let Some(attempt) = task.attempt() else { return false };
    let (of, rhythm) = (AttemptId { task: id, no: attempt.no }, attempt.rhythm.clone());
    if rhythm.clock.since.is_none() || is_compared(task, attempt) || limits::is_late_enough(attempt) {
        return false;
    }
    let reminds = rhythm.asked < rules.nudges;
    let after = match rhythm.asked {
        0 if reminds => rules.every,
        0 => rules.every + rules.grace,
        _ if rhythm.heard => rhythm.asked_at + rules.grace,
        _ => rhythm.asked_at + unheard(rules),
    };
    let Some(at) = rhythm.clock.reaches(after.max(rhythm.not_before), turn.now) else { return false };
    // One that waits for an answer in the midst of its turn cannot report.
    let attempt = attempt.clone();
    if super::mail::listens(turn, &attempt) {
        return false;
    }
    // Asked for in any case, so that it is woken for what is the later of both.
    let listened = turn.board.recovered.is_none_or(|at| turn.is_due(at + LISTEN));
    if !turn.is_due(at) || !listened {
        return false;
    }
    if reminds {
        remind(turn, of, By::Rule, rules.every);
    } else {
        let why = turn.task(id).map(|task| missed(rules, task, &attempt)).unwrap_or_default();
        turn.attempt_event(of, Event::CheckInMissed { why });
    }
    true
}

/// How long a reminder may take to be given: once more the grace, so that one that is given late
/// in it still leaves time, and one that never is does not hold up what follows for long.
fn unheard(rules: CheckInRules) -> Span {
    rules.grace + rules.grace
}

/// Why it is late: what is known of its reminders, and no more.
fn missed(rules: CheckInRules, task: &Task, attempt: &Attempt) -> String {
    let CheckInRules { every, nudges, grace, .. } = rules;
    let (waited, last) = (unheard(rules), if nudges > 1 { "its last reminder" } else { "its reminder" });
    let message = task.messages.iter().rfind(|m| m.attempt == attempt.no && m.from == From::Reminder);
    let asked = if nudges == 0 {
        format!(", and {grace} of grace have passed")
    } else if !attempt.rhythm.heard && attempt.rhythm.pending.is_some() {
        format!("; {last} waited {waited} for the end of its turn")
    } else if !attempt.rhythm.heard && message.is_some_and(Message::is_queued) {
        format!("; {last} could not be typed for {waited}")
    } else if !attempt.rhythm.heard {
        format!("; whether it read {last} is not certain")
    } else if nudges == 1 {
        format!("; it was reminded and had another {grace}")
    } else {
        format!("; it was reminded {nudges} times, each with {grace}")
    };
    let refused = attempt
        .rhythm
        .refused
        .as_ref()
        .map_or_else(String::new, |why| format!("; its last report was refused ({why})"));
    format!("it has not checked in: one is due every {every}{asked}{refused}")
}

/// Reminds an agent the way it can hear it: at the end of its turn where its hook asks us, else by
/// a message, else in its inbox.
fn remind(turn: &mut Turn<'_>, of: AttemptId, by: By, every: Span) -> NudgeWay {
    let Some(attempt) = turn.current(of) else { return NudgeWay::Inbox };
    let number = attempt.rhythm.nudges + 1;
    // One that waits at the hook and was not fetched will not be fetched soon.
    let by_hook = turn.is_asked_at_stop(attempt) && attempt.rhythm.pending.is_none();
    let way = match (by_hook, turn.reads(attempt)) {
        (true, _) => NudgeWay::Hook,
        (false, true) => NudgeWay::Message,
        (false, false) => NudgeWay::Inbox,
    };
    let (worktree, text) = (attempt.worktree.clone(), text(by, every, attempt));
    let action = (way == NudgeWay::Inbox).then(|| turn.next_action());
    turn.attempt_event(of, Event::NudgeIssued { number, by, way, action });
    if let Some(action) = action {
        turn.order(action, of, Action::Leave { worktree, number, text });
    } else if way == NudgeWay::Message && !turn.task(of.task).is_some_and(reminder_waits) {
        let msg = turn.next_msg();
        turn.attempt_event(of, Event::MessageQueued { msg, from: From::Reminder, text, now: false });
    }
    way
}

/// Whether a reminder waits to be typed, or is being typed; a second one beside it would say nothing
/// more.
fn reminder_waits(task: &Task) -> bool {
    let waits = |m: &Message| matches!(m.delivery, Delivery::Queued { .. } | Delivery::Typing { .. });
    task.messages.iter().any(|m| m.from == From::Reminder && waits(m))
}

/// What a reminder says; whose last report was refused hears of that first.
fn text(by: By, every: Span, attempt: &Attempt) -> String {
    let why = match by {
        By::Rule => format!("A check-in is due: you report every {every}."),
        By::Person => "You are asked for a check-in.".to_owned(),
    };
    let refused = attempt
        .rhythm
        .refused
        .as_ref()
        .map_or_else(String::new, |why| format!(" Your last report was refused ({why}), so it does not count."));
    format!(
        "{why}{refused} Report where you stand now, then go on: standup check-in --did \"…\" --next \"…\" \
         (where that command is not there, write the file that your instructions describe into $STANDUP_DIR/outbox)."
    )
}

/// An agent's turn is about to end: a reminder that waits for it is handed over, once.
pub(super) fn at_stop(turn: &mut Turn<'_>, id: AttemptId) -> Reply {
    let nothing = Reply::Say { text: None };
    let (Some(task), Some(attempt), Some(rules)) = (turn.task(id.task), turn.current(id), rules_of(turn, id.task))
    else {
        return nothing;
    };
    let open = matches!(task.column, Column::Build | Column::Design)
        && matches!(attempt.phase, Phase::Live { .. })
        && attempt.stopping.is_none()
        && attempt.asks.is_none()
        && !matches!(attempt.run.kind, RunKind::Waiting | RunKind::Limited)
        && !is_compared(task, attempt);
    let Some(number) = attempt.rhythm.pending.filter(|_| open) else { return nothing };
    let by = if attempt.rhythm.by_hand { By::Person } else { By::Rule };
    let text = text(by, rules.every, attempt);
    turn.attempt_event(id, Event::NudgeGiven { number });
    Reply::Say { text: Some(text) }
}

/// A person wants to hear from an agent.
pub(super) fn by_hand(turn: &mut Turn<'_>, id: TaskId) -> Result<Reply, Refusal> {
    let (of, attempt) = require_attempt(turn, id)?;
    if attempt.rhythm.clock.since.is_none() {
        let text = format!("{id} is not in a turn of its own, so there is nobody to remind");
        let hints: Vec<String> = [format!("standup state {id}")].into_iter().chain(ways_on(turn, id)).collect();
        return refuse(RefusalCode::Failure, text, &hints);
    }
    let Some(rules) = rules_of(turn, id) else {
        return refuse(RefusalCode::Failure, "the settings have not been read yet", &[]);
    };
    let queued = turn.task(id).is_some_and(reminder_waits);
    // What is on its way already is not said twice.
    let way = if queued {
        NudgeWay::Message
    } else if attempt.rhythm.pending.is_some() {
        NudgeWay::Hook
    } else {
        remind(turn, of, By::Person, rules.every)
    };
    Ok(Reply::Nudged { way })
}

/// Why a person should look at an agent that does not report.
pub(super) fn need(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    let at_work = matches!(task.column, Column::Build | Column::Design) && attempt.is_active();
    let why = attempt.rhythm.late.clone().filter(|_| at_work && attempt.stopping.is_none())?;
    Some((NeedKind::Late, why))
}
