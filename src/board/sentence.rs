//! What happened, as sentences without their subject.
//!
//! **Invariant:** one line for each event, whatever it carries. Must not know: who reads it, and by
//! which clock.

use crate::model::checkin::{CheckIn, Sent};
use crate::model::dialog::Way;
use crate::model::event::{Event, NeedKind};
use crate::model::lease::Changes;
use crate::model::rhythm::NudgeWay;
use crate::model::settings::VerifyOn;

use super::report::claim_name;
use super::text::need_name;
use super::usage;
use super::view::{diff_text, outcome_name, plural, run_name};

/// An event as a sentence without its subject.
#[must_use]
pub fn sentence(event: &Event) -> String {
    match event {
        Event::TaskAdded { spec } => format!("added: {}", spec.title),
        Event::TaskEdited { listed, .. } => listed.as_ref().map_or("edited", |_| "its list changed").into(),
        Event::TaskMoved { from, to, reason, .. } if reason.is_empty() => format!("{from} → {to}"),
        Event::TaskMoved { from, to, reason, .. } => format!("{from} → {to}: {reason}"),
        Event::DispatchSet { on } => if *on { "dispatching" } else { "no longer dispatching" }.into(),
        Event::AttemptPlanned { agent, branch, .. } => format!("attempt by {agent} on {branch}"),
        Event::WorktreeReady { base_oid, base, .. } => format!("worktree ready at {base} ({})", base_oid.short()),
        Event::LaunchPlanned { resume, .. } => if *resume { "resuming the agent" } else { "starting the agent" }.into(),
        Event::HostStarted { facts } => format!("agent runs (pid {})", facts.agent.pid),
        Event::Noted { text } => text.clone(),
        Event::TurnBegan { evidence } => format!("a turn began: {evidence}"),
        Event::AttemptFailed { stage, error, .. } => format!("{stage} failed: {}", first_line(error)),
        Event::SessionLearned { session } => format!("the agent's session is {session}"),
        Event::StateChanged { state } => state_sentence(state),
        Event::WorkFinished { by } => format!("finished: {by}"),
        Event::QuestionAsked { text, .. } => format!("asks: {text}"),
        Event::QuestionSettled {} => "the question is settled".into(),
        Event::CheckInReceived { check_in, .. } => format!("checked in: {}", first_line(said(check_in))),
        Event::CheckInRefused { why, what: Sent::Report } => format!("a check-in was refused: {why}"),
        Event::CheckInRefused { why, what: Sent::Hook } => format!("a hook was not heard: {why}"),
        Event::CheckInRefused { why, what: Sent::Request } => format!("a request was refused: {why}"),
        Event::ChecksStarted { on, .. } => format!("checks started{}", beside(*on)),
        Event::VerdictReached { verdict, on, .. } => format!("{}{}", verdict_sentence(verdict), beside(*on)),
        Event::ChecksDropped { why, .. } => format!("checks dropped: {why}"),
        Event::MessageQueued { text, .. } => format!("message: {}", first_line(text)),
        Event::MessageTyping { .. } => "typing the message".into(),
        Event::MessageHeld { why, .. } => format!("the message waits: {why}"),
        Event::MessageTyped { .. } => "the message is written".into(),
        Event::MessageDelivered { evidence, .. } => format!("the message arrived: {evidence}"),
        Event::MessageUnconfirmed { .. } => "delivery unknown".into(),
        Event::MessageWithdrawn { why, .. } => format!("the message was withdrawn: {why}"),
        Event::StopAsked { .. } => "stopping".into(),
        Event::AttemptStopped { leftovers, .. } => with_leftovers("stopped", *leftovers),
        Event::StartAsked { .. } => "to be started".into(),
        Event::StartWithdrawn {} => "not to be started after all".into(),
        Event::StopFailed { error } => format!("could not be stopped: {error}"),
        Event::AgentExited { exit, leftovers, .. } => {
            with_leftovers(&format!("the agent ended with {exit}"), *leftovers)
        }
        Event::HostLost { why, .. } => format!("lost: {why}"),
        Event::NeedsYouRaised { kind, question, refined, .. } => need_sentence(*kind, question, *refined),
        Event::NeedsYouCleared {} => "no longer needs you".into(),
        Event::DiffObserved { diff, .. } => diff_text(diff),
        Event::FactsSought { .. } => "looking at what it did".into(),
        Event::CheckInCompared { contradictions, hollow, .. } => compared_sentence(contradictions, *hollow),
        Event::NudgeIssued { way, .. } => format!("reminded of its check-in, {}", way_text(*way)),
        Event::NudgeGiven { .. } => "the end of its turn took the reminder".into(),
        Event::CheckInMissed { why } => format!("late: {why}"),
        Event::MachineSlept { span } => format!("the machine slept for {span}; nothing became due meanwhile"),
        Event::LimitTripped { limit, action, why, .. } => format!("limit {} ({}): {why}", limit.key(), action.name()),
        Event::UsageObserved { seen } => usage::seen_text(seen),
        Event::StrayedFromPlan { paths } => format!("changed files while it was to plan only: {}", paths.join(", ")),
        Event::OffLimitsTouched { paths } => touched_sentence(paths),
        Event::AnswerGiven { choice, way, note, .. } => {
            let by = if *way == Way::Hook { "its hook" } else { "a key" };
            let words = note.as_ref().map(|note| format!(", {}", first_line(note))).unwrap_or_default();
            format!("answered: {}{words} (by {by})", choice.text)
        }
        Event::AnswerWritten { .. } => "the answer is handed over".into(),
        Event::AnswerTaken { .. } => "the answer arrived".into(),
        Event::AnswerWithheld { why, .. } => format!("the answer was not given: {why}"),
        Event::LimitReached { until } => format!("out of quota until {}", until.minute()),
        Event::LimitWaited { .. } => "the usage limit has ended".into(),
        Event::LimitEnded {} => "no longer held up by a usage limit".into(),
        Event::AgentLoggedOut { agent, tasks } => format!("{agent} is logged out in {} tasks", tasks.len()),
        Event::AgentLoggedIn { agent, .. } => format!("{agent} is logged in again"),
        Event::AnswerUnconfirmed { .. } => "it is not certain that the answer arrived".into(),
        _ => sentence_of_hands(event),
    }
}

/// What a person is asked by an event, or why one is, where its sentence says just that.
pub(super) fn asked(event: &Event) -> Option<&str> {
    match event {
        Event::QuestionAsked { text, .. } => Some(text),
        Event::NeedsYouRaised { question, .. } => Some(question),
        Event::LimitTripped { why, .. } => Some(why),
        Event::CheckInReceived { check_in, .. } => check_in.question.as_deref().filter(|q| *q == said(check_in)),
        _ => None,
    }
}

fn compared_sentence(contradictions: &[String], hollow: bool) -> String {
    match (contradictions, hollow) {
        ([], false) => "the check-in was put beside the facts".into(),
        ([], true) => "the same words again and nothing new: the check-in does not count".into(),
        (said, _) => format!("the facts say otherwise: {}", said.join("; ")),
    }
}

fn need_sentence(kind: NeedKind, question: &str, refined: bool) -> String {
    match (first_line(question), refined) {
        (words, _) if words.is_empty() => format!("needs you: {}", need_name(kind)),
        (words, true) => format!("asks: {words}"),
        (words, false) => format!("needs you: {words}"),
    }
}

/// The words of a check-in that say most; where it has none, where it says that it stands.
fn said(check_in: &CheckIn) -> &str {
    let words = [Some(&check_in.did), check_in.question.as_ref(), check_in.blockers.first(), Some(&check_in.next)];
    let words = words.into_iter().flatten().find(|text| !text.trim().is_empty());
    words.map_or_else(|| claim_name(check_in.state), String::as_str)
}

/// How a reminder goes, for people.
#[must_use]
pub fn way_text(way: NudgeWay) -> &'static str {
    match way {
        NudgeWay::Hook => "at the end of its turn",
        NudgeWay::Message => "by a message",
        NudgeWay::Inbox => "in its inbox",
    }
}

/// What a person did with their own hands, and what is done after the work.
fn sentence_of_hands(event: &Event) -> String {
    match event {
        Event::WorktreeStrayed { astray: Some(astray) } => format!("its worktree {}", astray.text()),
        Event::WorktreeStrayed { astray: None } => "its worktree is on its branch again".into(),
        Event::TakenOver { reason, .. } if reason.is_empty() => "taken over".into(),
        Event::TakenOver { reason, .. } => format!("taken over: {reason}"),
        Event::WorktreeMarked { mark } => match &mark.head {
            Some(head) => format!("the worktree stood at {}", head.short()),
            None => "the worktree stood without a commit".into(),
        },
        Event::HandbackAsked { .. } => "to be handed back".into(),
        Event::HandedBack { changes, note } => {
            let changed = changes.as_ref().map_or("nobody knows what changed".into(), changes_text);
            if note.is_empty() { format!("handed back: {changed}") } else { format!("handed back: {changed}; {note}") }
        }
        Event::TaskPaused { reason } if reason.is_empty() => "paused".into(),
        Event::TaskPaused { reason } => format!("paused: {reason}"),
        Event::TaskResumed {} => "no longer paused".into(),
        Event::LimitRaised { limit } => format!("limit {} was raised: it may go on", limit.key()),
        Event::PlanProposed { text } if text.is_empty() => "ended its turn without a plan".into(),
        Event::PlanProposed { text } => format!("proposes a plan: {}", first_line(text)),
        Event::PlanApproved {} => "the plan was approved".into(),
        Event::PlanRejected { note } => format!("the plan was sent back: {}", first_line(note)),
        Event::WorkApproved { tree } => format!("approved at tree {}", tree.short()),
        Event::WorkRejected { note } => format!("rejected: {}", first_line(note)),
        Event::TeardownStarted { .. } => "its teardown runs".into(),
        Event::TeardownEnded { wrong: None } => "its teardown is over".into(),
        Event::TeardownEnded { wrong: Some(wrong) } => first_line(wrong),
        other => other.name().replace('-', " "),
    }
}

/// What changed, on one line.
#[must_use]
pub fn changes_text(changes: &Changes) -> String {
    if changes.is_empty() {
        return "nothing changed".into();
    }
    let files = format!("{} +{} -{}", plural(changes.files, "file"), changes.insertions, changes.deletions);
    format!("{files}, {}", plural(changes.commits, "commit"))
}

/// The first line of a text, and a sign where there are more.
fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { format!("{first} …") } else { first }
}

fn with_leftovers(text: &str, leftovers: u32) -> String {
    match leftovers {
        0 => text.to_owned(),
        1 => format!("{text}; 1 process it left was ended"),
        n => format!("{text}; {n} processes it left were ended"),
    }
}

fn state_sentence(state: &crate::model::state::RunState) -> String {
    let name = run_name(state.kind);
    if state.text.is_empty() { name.to_owned() } else { format!("{name}: {}", state.text) }
}

/// Why checks run while an agent works.
fn beside(on: Option<VerifyOn>) -> &'static str {
    match on {
        Some(VerifyOn::CheckIn) => " (while it works: it checked in)",
        Some(_) => " (while it works: its files are at rest)",
        None => "",
    }
}

fn touched_sentence(paths: &[String]) -> String {
    match paths {
        [] => "touches nothing off-limits any more".into(),
        paths => format!("touches what is off-limits: {}", paths.join(", ")),
    }
}

fn verdict_sentence(verdict: &crate::model::verdict::Verdict) -> String {
    let outcome = outcome_name(verdict.outcome);
    let failed: Vec<&str> = verdict.checks.iter().filter(|c| !c.why.is_empty()).map(|c| c.name.as_str()).collect();
    if failed.is_empty() { format!("checks: {outcome}") } else { format!("checks: {outcome} ({})", failed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_sentence_ends_where_its_words_should_begin() {
        let check_in = |mut said: serde_json::Value| {
            (said["schemaVersion"], said["kind"]) = (1.into(), "check-in".into());
            json!({"event": "check-in-received", "check_in": said, "via": "outbox"})
        };
        let need = |kind: &str| json!({"event": "needs-you-raised", "kind": kind, "question": "", "refined": false});
        for (event, want) in [
            (check_in(json!({"state": "working", "did": "read it"})), "checked in: read it"),
            (check_in(json!({"state": "needs-decision", "question": "which?"})), "checked in: which?"),
            (check_in(json!({"state": "blocked", "blockers": ["no network"]})), "checked in: no network"),
            (check_in(json!({"state": "ready"})), "checked in: ready"),
            (need("permission"), "needs you: permission"),
        ] {
            let event: Event = serde_json::from_value(event).expect("an event");
            assert_eq!(sentence(&event), want);
        }
    }
}
