//! What follows from a line, in words.

use standup::model::action::{Action, Order};
use standup::model::checkin::Sent;
use standup::model::event::{By, Event, Record};
use standup::model::id::{AttemptId, CheckRun};
use standup::model::input::{Refusal, Reply};
use standup::model::rhythm::Facts;
use standup::model::settings::VerifyOn;

pub(crate) fn event(record: &Record) -> String {
    let about = match (record.task, record.attempt) {
        (Some(task), Some(no)) => AttemptId { task, no }.to_string(),
        (Some(task), None) => task.to_string(),
        _ => "board".into(),
    };
    format!("{about} {}", what(&record.event).replace('\n', " | "))
}

fn what(event: &Event) -> String {
    match event {
        Event::TaskAdded { spec } => format!("added {:?}", spec.title),
        Event::TaskEdited { spec, .. } => format!("edited {:?}", spec.title),
        Event::TaskMoved { from, to, by, reason } => {
            let by = if *by == By::Rule { "rule" } else { "person" };
            format!("{from} → {to} by {by}: {reason}")
        }
        Event::DispatchSet { on } => format!("dispatch {}", if *on { "on" } else { "off" }),
        Event::AttemptPlanned { agent, branch, .. } => format!("planned for {agent} on {branch}"),
        Event::WorktreeReady { .. } => "worktree ready".into(),
        Event::LaunchPlanned { host, resume, msg, .. } => {
            let how = if *resume { "resume" } else { "launch" };
            let with = msg.map(|m| format!(" with message {m}")).unwrap_or_default();
            format!("{how} planned as {host}{with}")
        }
        Event::HostStarted { facts } => format!("host {} lives", facts.id),
        Event::TurnBegan { evidence } => format!("turn began: {evidence}"),
        Event::AttemptFailed { stage, error, .. } => format!("failed at {stage}: {error}"),
        Event::SessionLearned { session } => format!("session {session}"),
        Event::StateChanged { state } => {
            let over = if state.turn_over { ", turn over" } else { "" };
            let text = if state.text.is_empty() { String::new() } else { format!(": {}", state.text) };
            format!("is {}{over}{text}", format!("{:?}", state.kind).to_lowercase())
        }
        Event::WorkFinished { by } => format!("finished: {by}"),
        Event::QuestionAsked { text, options } if options.is_empty() => format!("asks: {text}"),
        Event::QuestionAsked { text, options } => format!("asks: {text} [{}]", options.join(" | ")),
        Event::QuestionSettled {} => "question settled".into(),
        Event::CheckInReceived { check_in, .. } => format!("checks in: {:?} {}", check_in.state, check_in.did),
        Event::CheckInRefused { why, what } => refused(why, *what),
        Event::ChecksStarted { run, asked, on, .. } => started(*run, *asked, *on),
        Event::VerdictReached { run, verdict, .. } => {
            format!("checks {run} are {}", format!("{:?}", verdict.outcome).to_lowercase())
        }
        Event::ChecksDropped { run, why } => format!("checks {run} dropped: {why}"),
        Event::MessageQueued { msg, from, text, .. } => {
            let from = format!("{from:?}").to_lowercase();
            format!("message {msg} queued from {from}: {text}")
        }
        Event::MessageTyping { msg, .. } => format!("message {msg} is being typed"),
        Event::MessageHeld { msg, why } => format!("message {msg} waits: {why}"),
        Event::MessageTyped { msg } => format!("message {msg} typed"),
        Event::MessageDelivered { msg, evidence } => format!("message {msg} delivered: {evidence}"),
        Event::MessageUnconfirmed { msg } => format!("message {msg} delivery unknown"),
        Event::MessageWithdrawn { msg, why } => format!("message {msg} withdrawn: {why}"),
        Event::StopAsked { why, action } => {
            format!("stop asked ({why:?}){}", if action.is_none() { ", nothing to stop yet" } else { "" })
        }
        Event::AttemptStopped { exit, .. } => {
            format!("stopped{}", exit.map(|e| format!(" ({e})")).unwrap_or_default())
        }
        Event::StopFailed { error } => format!("stop failed: {error}"),
        Event::StartAsked { wanted } => format!("start wanted: {wanted:?}"),
        Event::StartWithdrawn {} => "start no longer wanted".into(),
        Event::AgentExited { exit, .. } => format!("agent ended ({exit})"),
        Event::HostLost { why, .. } => format!("host lost: {why}"),
        Event::NeedsYouRaised { kind, question, options, refined, .. } => {
            let options: Vec<&str> = options.iter().map(|o| o.text.as_str()).collect();
            let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(" | ")) };
            format!("NEEDS YOU{} ({kind:?}): {question}{options}", if *refined { " still" } else { "" })
        }
        Event::NeedsYouCleared {} => "needs you no longer".into(),
        Event::DiffObserved { diff, tree } => {
            let tree = tree.as_ref().map(|t| t.as_str()[38..].to_owned()).unwrap_or_default();
            format!("{} files differ at tree {tree}", diff.files)
        }
        other => by_hand_or_clock(other),
    }
}

/// What persons do with their own hands, and what becomes due.
fn by_hand_or_clock(event: &Event) -> String {
    match event {
        Event::Noted { text } => format!("noted: {text}"),
        Event::TakenOver { reason, .. } => format!("taken over: {reason}"),
        Event::WorktreeMarked { mark } => format!("marked at tree {}", &mark.tree.as_str()[38..]),
        Event::HandbackAsked { note, .. } => format!("handback asked: {note}"),
        Event::HandedBack { changes, note } => {
            let files = changes.as_ref().map_or("unknown".into(), |c| c.files.to_string());
            format!("handed back, {files} files changed: {note}")
        }
        Event::TaskPaused { reason } => format!("paused: {reason}"),
        Event::TaskResumed {} => "resumed".into(),
        Event::PlanProposed { text } => format!("proposes the plan {text:?}"),
        Event::PlanApproved {} => "plan approved".into(),
        Event::PlanRejected { note } => format!("plan rejected: {note}"),
        Event::WorkApproved { tree } => format!("work approved at tree {}", &tree.as_str()[38..]),
        Event::WorkRejected { note } => format!("work rejected: {note}"),
        other => of_deadlines(other),
    }
}

/// What becomes due.
fn of_deadlines(event: &Event) -> String {
    match event {
        Event::FactsSought { .. } => "facts sought".into(),
        Event::CheckInCompared { contradictions, hollow, facts, .. } => compared(facts, contradictions, *hollow),
        Event::NudgeIssued { number, by, way, .. } => {
            let by = if *by == By::Person { " by a person" } else { "" };
            format!("reminder {number}{by} goes by {}", format!("{way:?}").to_lowercase())
        }
        Event::TeardownStarted { .. } => "teardown started".into(),
        Event::TeardownEnded { wrong } => format!("teardown ended {}", wrong.as_deref().unwrap_or("well")),
        Event::NudgeGiven { number } => format!("reminder {number} given at its stop"),
        Event::CheckInMissed { why } => format!("LATE: {why}"),
        Event::MachineSlept { span } => format!("the machine slept {span}"),
        Event::LimitTripped { limit, action, why, .. } => format!("LIMIT {} ({}): {why}", limit.key(), action.name()),
        Event::LimitRaised { limit } => format!("limit {} raised", limit.key()),
        Event::UsageObserved { seen } => {
            let cpu = seen.cpu.map(|cpu| format!(" {cpu} of CPU time")).unwrap_or_default();
            let counted = seen.log.as_ref().map(|(of, c)| {
                let cost = c.cost_usd().map(|usd| format!(" for {usd} USD")).unwrap_or_default();
                format!(" {} tokens{cost} in {of}", c.tokens)
            });
            format!("has used{cpu}{}", counted.unwrap_or_default())
        }
        Event::WorktreeStrayed { astray: Some(astray) } => format!("worktree {}", astray.text()),
        Event::WorktreeStrayed { astray: None } => "worktree is on its branch again".into(),
        Event::StrayedFromPlan { paths } => format!("strayed from its plan: {}", paths.join(" ")),
        Event::OffLimitsTouched { paths } => format!("off-limits touched: {}", paths.join(" ")),
        other => asking(other),
    }
}

/// Answers, limits and logins.
fn asking(event: &Event) -> String {
    match event {
        Event::LimitReached { until } => format!("out of quota until {until}"),
        Event::LimitWaited { msg } => format!("limit over, to go on by message {msg}"),
        Event::LimitEnded {} => "limit no longer counts".into(),
        Event::AgentLoggedOut { agent, tasks } => format!("{agent} is logged out in {tasks:?}"),
        Event::AgentLoggedIn { agent, left } => format!("{agent} is logged in again, left {left:?}"),
        Event::AnswerGiven { msg, choice, way, note, .. } => {
            let words = note.as_ref().map(|note| format!(", and: {note}")).unwrap_or_default();
            format!("answer {msg} given by {way:?}: {}{words}", choice.text)
        }
        Event::AnswerWritten { msg } => format!("answer {msg} written"),
        Event::AnswerTaken { msg } => format!("answer {msg} taken"),
        Event::AnswerWithheld { msg, why } => format!("answer {msg} withheld: {why}"),
        Event::AnswerUnconfirmed { msg } => format!("answer {msg} not confirmed"),
        other => other.name().to_owned(),
    }
}

pub(crate) fn order(order: &Order) -> String {
    let what = match &order.action {
        Action::Prepare { agent, ports, .. } => {
            let ports: String = ports.iter().map(|port| format!(", port {port}")).collect();
            format!("prepare a worktree for {agent}{ports}")
        }
        Action::Launch { host, resume, prompt, plans, plan, .. } => {
            let how = if *resume { "resume in" } else { "launch" };
            let only = if *plans { ", only to plan" } else { "" };
            let along = plan.as_ref().map(|p| format!(" and the plan {p:?}")).unwrap_or_default();
            format!("{how} {host}{}{along}{only}", prompt.as_ref().map(|p| format!(" with {p:?}")).unwrap_or_default())
        }
        Action::Stop { host, .. } => format!("stop {host}"),
        Action::Type { host, msg, now, .. } => {
            format!("type message {msg} into {host}{}", if *now { ", interrupting" } else { "" })
        }
        Action::Answer { host, msg, choice, way, note, .. } => {
            let words = note.as_ref().map(|note| format!(", and: {note}")).unwrap_or_default();
            format!("give answer {msg} to {host} by {way:?}: {}{words}", choice.text)
        }
        Action::Check { run, .. } => format!("run checks {run}"),
        Action::Leave { number, .. } => format!("leave reminder {number} in its inbox"),
        Action::Look {} => "look at the worktree".into(),
        Action::TearDown { .. } => "tear down its worktree".into(),
        Action::Sweep { host, .. } => format!("sweep up after {host}"),
        Action::Survey { since, .. } => match since {
            None => "see where the worktree stands".into(),
            Some(mark) => format!("see what changed since tree {}", &mark.tree.as_str()[38..]),
        },
    };
    format!("order {} {}: {what}", order.id, order.attempt)
}

pub(crate) fn reply(reply: &Result<Reply, Refusal>) -> Option<String> {
    match reply {
        Ok(Reply::Ok {}) => None,
        Ok(Reply::Tasks { added, changed, unchanged }) => {
            let mut parts = Vec::new();
            for (what, ids) in [("added", added), ("changed", changed), ("unchanged", unchanged)] {
                if !ids.is_empty() {
                    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                    parts.push(format!("{what} {}", ids.join(" ")));
                }
            }
            Some(format!("reply: {}", parts.join(", ")))
        }
        Ok(Reply::Attempt { attempt }) => Some(format!("reply: {attempt}")),
        Ok(Reply::Message { msg, waits }) if waits.is_empty() => Some(format!("reply: message {msg}")),
        Ok(Reply::Message { msg, waits }) => Some(format!("reply: message {msg}, which waits: {waits}")),
        Ok(Reply::Say { text: Some(text) }) => Some(format!("reply: {text}")),
        Ok(Reply::Say { text: None }) => Some("reply: nothing to say".into()),
        Ok(Reply::Nudged { way }) => Some(format!("reply: reminded by {}", format!("{way:?}").to_lowercase())),
        Ok(Reply::Answer { msg, option }) => Some(format!("reply: answer {msg}: {option}")),
        Ok(Reply::Chosen { option, msg, waits }) => {
            let by = msg.map(|msg| format!(" by message {msg}")).unwrap_or_default();
            let waits = if waits.is_empty() { String::new() } else { format!(", which waits: {waits}") };
            Some(format!("reply: {option}{by}{waits}"))
        }
        Ok(Reply::Heard { text: Some(text), .. }) => Some(format!("reply: heard {text:?}")),
        Ok(Reply::Heard { text: None, open }) => {
            Some(format!("reply: {}", if *open { "nothing heard yet" } else { "nothing is asked" }))
        }
        Err(refusal) => Some(format!("REFUSED ({:?}): {}", refusal.code, refusal.text)),
    }
}

fn started(run: CheckRun, asked: bool, on: Option<VerifyOn>) -> String {
    let on = on.map(|on| format!(" on {on:?}").to_lowercase()).unwrap_or_default();
    format!("checks {run} started{on}{}", if asked { " as asked" } else { "" })
}

fn refused(why: &str, what: Sent) -> String {
    match what {
        Sent::Report => format!("check-in refused: {why}"),
        Sent::Hook => format!("hook not heard: {why}"),
        Sent::Request => format!("request refused: {why}"),
    }
}

fn compared(facts: &Facts, contradictions: &[String], hollow: bool) -> String {
    let hollow = if hollow { ", hollow" } else { "" };
    let touched = facts.touched.iter().map(|path| format!("; touched {path}")).collect::<String>();
    let but = contradictions.iter().map(|c| format!("; BUT {c}")).collect::<String>();
    format!("check-in compared{hollow}{touched}{but}")
}
