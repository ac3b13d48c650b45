//! What agents report, and what they hear when they ask.
//!
//! **Invariant:** a report is stored, or its refusal is, with the reason; one report counts once,
//! however often and by whichever way it comes. Who reports is not decided here: the token or the
//! worktree has said so.

use crate::model::attempt::{Attempt, End, Phase};
use crate::model::board::{MAX_CHECK_INS, ReceivedCheckIn, Task};
use crate::model::checkin::{CheckIn, Claim, SCHEMA, Sent, Stamp, Via};
use crate::model::event::Event;
use crate::model::id::{AttemptId, MsgId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::message::{From, Message};
use crate::model::state::RunKind;
use crate::model::time::{Mono, Now, Span};

use super::lifecycle::began;
use super::turn::Turn;

/// The longest name of a report: several times that of any generator of unique names.
const MAX_ID: usize = 128;

/// How long one who waits for an answer is believed to be still there. The supervisor says so for
/// it at least every third of this.
const LISTENS: Span = Span::secs(30);

/// How far ahead of our clock a report may be dated.
const AHEAD: Span = Span::mins(24 * 60);

/// Takes a report, or stores why not.
pub(super) fn checked_in(
    turn: &mut Turn<'_>,
    id: AttemptId,
    check_in: CheckIn,
    via: Via,
    stamp: Stamp,
) -> Result<Reply, Refusal> {
    let known = turn.task(id.task).and_then(|task| Some((task, turn.board.attempt(id)?)));
    let Some((task, attempt)) = known else { return Err(refusal(format!("there is no attempt {id}"))) };
    if let Some(why) = fault(task, attempt, id, &check_in, via, &stamp, turn.now) {
        turn.attempt_event(id, Event::CheckInRefused { why: why.clone(), what: Sent::Report });
        return Err(refusal(why));
    }
    take(turn, id, check_in.bounded(), via, stamp.id);
    Ok(Reply::Ok {})
}

fn refusal(text: String) -> Refusal {
    Refusal { code: RefusalCode::Policy, text, hints: Vec::new() }
}

/// Why a report does not count.
fn fault(
    task: &Task,
    attempt: &Attempt,
    id: AttemptId,
    check_in: &CheckIn,
    via: Via,
    stamp: &Stamp,
    now: Now,
) -> Option<String> {
    if check_in.schema_version != SCHEMA {
        return Some(format!("schemaVersion {} is not known; write {SCHEMA}", check_in.schema_version));
    }
    if check_in.is_empty() {
        return Some("it says nothing; write what you did or do next, what is in your way, or what you ask".to_owned());
    }
    if let Some(other) = stamp.attempt.filter(|named| *named != id) {
        return Some(format!("it says that it is of {other}, and came from {id}"));
    }
    if task.attempt_id() != Some(id) {
        return Some(format!("{id} is not the newest attempt of {} any more", task.id));
    }
    // What lies in an outbox may have been written while the agent lived.
    if matches!(attempt.phase, Phase::Ended { .. }) && via != Via::Outbox {
        return Some(format!("the agent of {id} has ended"));
    }
    if let Some(name) = &stamp.id {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.is_empty() || name.len() > MAX_ID || !name.bytes().all(plain) {
            return Some(format!("its id is not 1 to {MAX_ID} letters, digits, points, dashes and underlines"));
        }
        if own(task, id).any(|earlier| earlier.id.as_deref() == Some(name)) {
            return Some(format!("it came already: id {name}"));
        }
    }
    misdated(task, attempt, id, stamp, now)
}

fn own(task: &Task, id: AttemptId) -> impl Iterator<Item = &ReceivedCheckIn> {
    task.check_ins.iter().filter(move |c| c.attempt == id.no)
}

/// Why a date shows that a report was not written by this attempt, or came before. Where the
/// clock was set back meanwhile, dates say nothing.
fn misdated(task: &Task, attempt: &Attempt, id: AttemptId, stamp: &Stamp, now: Now) -> Option<String> {
    let at = stamp.at?;
    // A day for zones that are written wrongly: whoever dates a report is no clock.
    if at > now.wall && at.since(now.wall) > AHEAD {
        return Some(format!("it is dated {at}, which lies ahead"));
    }
    if attempt.planned_at <= now.wall && at < attempt.planned_at {
        return Some(format!("it is dated {at}, and {id} was begun at {}", attempt.planned_at));
    }
    // Of older ones nobody remembers the ids.
    let full = task.check_ins.len() >= MAX_CHECK_INS;
    let oldest = task.check_ins.first().filter(|c| full && c.attempt == id.no && c.at <= now.wall)?;
    (at < oldest.at).then(|| format!("it is dated {at}, before the last {MAX_CHECK_INS} that came"))
}

/// What follows from a report that counts.
fn take(turn: &mut Turn<'_>, id: AttemptId, check_in: CheckIn, via: Via, name: Option<String>) {
    let asked = turn.current(id).is_some_and(|a| a.asks.is_some());
    let claim = check_in.state;
    let options = check_in.options.clone();
    let question = check_in.question.clone().or_else(|| match claim {
        Claim::NeedsDecision => Some(or_else(&check_in.did, "it needs a decision")),
        Claim::GivingUp => Some(format!("it gives up: {}", or_else(&check_in.did, "no reason given"))),
        Claim::Blocked => Some(format!("it is blocked: {}", or_else(&check_in.blockers.join("; "), "no reason given"))),
        Claim::Working | Claim::Ready => None,
    });
    turn.attempt_event(id, Event::CheckInReceived { check_in, via, id: name });
    began(turn, id, "it checked in".into());
    match question {
        Some(text) => turn.attempt_event(id, Event::QuestionAsked { text, options }),
        None if asked => turn.attempt_event(id, Event::QuestionSettled {}),
        None => {}
    }
    // What was stopped is checked when a person says so, whatever is read of it later.
    let stopped = turn.current(id).is_some_and(|a| matches!(a.end(), Some(End::Stopped { .. })));
    if claim == Claim::Ready && !stopped && !turn.current(id).is_some_and(Attempt::plans) {
        turn.attempt_event(id, Event::WorkFinished { by: "it says ready".into() });
    }
}

fn or_else(text: &str, fallback: &str) -> String {
    if text.trim().is_empty() { fallback.to_owned() } else { text.to_owned() }
}

/// Hands over what a person has said since the attempt last asked, and has its messages wait for
/// one who listens.
pub(super) fn hear(turn: &mut Turn<'_>, id: AttemptId) -> Result<Reply, Refusal> {
    let Some(attempt) = turn.current(id).filter(|a| a.is_active()) else {
        return Err(refusal(format!("the agent of {id} has ended")));
    };
    let (asks, after) = (attempt.asks.is_some(), attempt.asked_after);
    let task = turn.task(id.task);
    let said = task.and_then(|task| task.messages.iter().find(|m| answers(m, id, after)));
    // What waits for a handback or the end of a pause waits on this way too, and what is typed is not
    // said twice.
    let held = is_at_rest(turn, attempt) || task.is_some_and(|task| task.is_taken_over() || task.paused.is_some());
    let asks = asks || (held && said.is_some());
    let answer = said.filter(|_| !held).map(|m| (m.id, m.text.clone()));
    let listens = match &answer {
        Some((msg, _)) => {
            let evidence = "handed over to the agent, which waited for it".to_owned();
            turn.attempt_event(id, Event::MessageDelivered { msg: *msg, evidence });
            if asks {
                turn.attempt_event(id, Event::QuestionSettled {});
            }
            None
        }
        None => asks.then(|| turn.now.mono + LISTENS),
    };
    // That somebody listens is seen anew after a restart, and no event.
    let found = turn.board.tasks.get_mut(&id.task).and_then(|t| t.attempts.iter_mut().find(|a| a.no == id.no));
    if let Some(attempt) = found {
        attempt.listens_until = listens;
    }
    Ok(Reply::Heard { open: answer.is_none() && asks, text: answer.map(|(_, text)| text) })
}

fn answers(message: &Message, id: AttemptId, after: Option<MsgId>) -> bool {
    let later = after.is_none_or(|after| message.id > after);
    message.attempt == id.no && message.from == From::Person && message.is_queued() && later
}

/// Whether the turn is over in which an agent asked: what still waits for the answer was left behind
/// by a call that was broken off, and it reads what is typed. One that reads nothing is told as it can be.
fn is_at_rest(turn: &Turn<'_>, attempt: &Attempt) -> bool {
    attempt.run.kind == RunKind::Idle && turn.reads(attempt)
}

/// Whether an attempt waits for an answer elsewhere than in its terminal.
pub(super) fn listens(turn: &mut Turn<'_>, attempt: &Attempt) -> bool {
    let listens = listens_until(attempt, turn.now).filter(|_| !is_at_rest(turn, attempt));
    listens.is_some_and(|until| !turn.is_due(until))
}

/// Whether it does so right now.
pub(super) fn hears_at_once(turn: &Turn<'_>, attempt: &Attempt) -> bool {
    listens_now(attempt, turn.now) && !is_at_rest(turn, attempt)
}

/// Whether an attempt has asked a person and waits for the answer elsewhere than in its terminal.
#[must_use]
pub fn listens_now(attempt: &Attempt, now: Now) -> bool {
    listens_until(attempt, now).is_some_and(|until| now.mono < until)
}

fn listens_until(attempt: &Attempt, now: Now) -> Option<Mono> {
    // A moment further away than any listener says was set by the clock of an earlier boot.
    attempt.listens_until.filter(|until| *until <= now.mono + LISTENS)
}
