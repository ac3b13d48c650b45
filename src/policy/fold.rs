//! Events onto the board. No decisions here: an event says what happened, this says what is now.

use crate::model::attempt::{Attempt, Checking, End, Judged, Phase, Teardown, UsageLimit};
use crate::model::board::{Board, Logins, MAX_CHECK_INS, MAX_MESSAGES, NeedsYou, ReceivedCheckIn, Task};
use crate::model::dialog::Answering;
use crate::model::event::{By, Event, Record};
use crate::model::id::{ActionId, AttemptId, CheckRun, MsgId};
use crate::model::message::{Delivery, From, Message};
use crate::model::rhythm::{Begun, Beside};
use crate::model::settings::VerifyOn;
use crate::model::state::{RunKind, RunState};
use crate::model::task::{Column, TaskSpec};
use crate::model::time::{Mono, Now};
use crate::model::verdict::{Verdict, VerdictOutcome};

use super::{aside, rhythm};

#[path = "fold_hands.rs"]
mod hands;

/// Applies one event. Unknown tasks and attempts are passed over: the log is older than any rule.
pub(super) fn apply(board: &mut Board, record: &Record, at: Now) {
    count_ids(board, &record.event);
    match (&record.event, record.task, record.attempt) {
        (Event::DispatchSet { on }, ..) => board.dispatch = *on,
        (Event::AgentLoggedOut { agent, tasks }, ..) => {
            let known = board.logins.remove(agent).unwrap_or_default().known;
            board.logins.insert(agent.clone(), Logins { out: true, tasks: tasks.iter().copied().collect(), known });
        }
        (Event::AgentLoggedIn { agent, left }, ..) => {
            let known = left.iter().copied().collect();
            board.logins.insert(agent.clone(), Logins { known, ..Logins::default() });
        }
        (Event::TaskAdded { spec }, Some(id), _) => {
            board.tasks.insert(id, new_task(id, spec, at));
        }
        (Event::MachineSlept { .. }, ..) => rhythm::fold_sleep(board, at),
        (event, Some(id), None) => {
            if matches!(event, Event::NeedsYouCleared {}) {
                for logins in board.logins.values_mut() {
                    logins.known.remove(&id);
                }
            }
            if let Some(task) = board.tasks.get_mut(&id) {
                apply_to_task(task, event, at);
                rhythm::keep_time(task, at);
            }
        }
        (event, Some(id), Some(no)) => {
            let attempt = AttemptId { task: id, no };
            if matches!(event, Event::AttemptPlanned { .. }) {
                board.machine.in_hand = false;
            }
            if let Some(task) = board.tasks.get_mut(&id) {
                rhythm::fold(task, no, event, at);
                apply_to_attempt(task, attempt, event, at);
                rhythm::keep_time(task, at);
            }
        }
        (_, None, _) => {}
    }
}

/// Keeps the counters ahead of every id the log has seen.
fn count_ids(board: &mut Board, event: &Event) {
    let mut action = |id: &ActionId| board.next_action = board.next_action.max(id.0 + 1);
    match event {
        Event::AttemptPlanned { action: id, .. }
        | Event::LaunchPlanned { action: id, .. }
        | Event::MessageTyping { action: id, .. }
        | Event::HostLost { action: id, .. }
        | Event::TakenOver { action: id, .. }
        | Event::HandbackAsked { action: id, .. }
        | Event::FactsSought { action: id }
        | Event::NudgeIssued { action: Some(id), .. }
        | Event::StopAsked { action: Some(id), .. } => action(id),
        Event::ChecksStarted { run, action: id, .. } => {
            action(id);
            board.next_run = board.next_run.max(run.0 + 1);
        }
        Event::AnswerGiven { msg, action: id, .. } => {
            action(id);
            board.next_msg = board.next_msg.max(msg.0 + 1);
        }
        Event::MessageQueued { msg, .. } => board.next_msg = board.next_msg.max(msg.0 + 1),
        _ => {}
    }
}

fn new_task(id: crate::model::id::TaskId, spec: &TaskSpec, at: Now) -> Task {
    Task {
        id,
        spec: spec.clone(),
        listed: spec.key.is_some().then(|| Box::new(spec.clone())),
        column: Column::Backlog,
        moved_by: By::Person,
        moved_because: String::new(),
        moved_at: at.wall,
        added_at: at.wall,
        attempts: Vec::new(),
        messages: Vec::new(),
        check_ins: Vec::new(),
        needs_you: None,
        wanted: None,
        lease: None,
        paused: None,
    }
}

fn apply_to_task(task: &mut Task, event: &Event, at: Now) {
    match event {
        Event::TaskEdited { spec, listed } => {
            if listed.is_some() {
                task.listed.clone_from(listed);
            }
            let before = std::mem::replace(&mut task.spec, (**spec).clone());
            // What is only being prepared is started with what is asked for by then.
            if let Some(attempt) = task.attempts.last_mut().filter(|attempt| attempt.launches > 0) {
                let given = attempt.given.take().unwrap_or_else(|| Box::new(before));
                attempt.given = Some(given).filter(|given| !given.untold(spec).is_empty());
            }
        }
        Event::TaskMoved { to, by, reason, .. } => {
            hands::lease(task, *to, *by, reason, at);
            task.column = *to;
            task.moved_by = *by;
            task.moved_because.clone_from(reason);
            task.moved_at = at.wall;
            // A card that was put anywhere but back to work is not to be started after all.
            if !matches!(to, Column::Build | Column::Design) {
                task.wanted = None;
            }
            if let Some(attempt) = task.attempts.last_mut() {
                if matches!(to, Column::Build | Column::Design) {
                    rhythm::begin_anew(attempt, Begun::Moved, at);
                }
                if *by == By::Person {
                    attempt.tripped.iter_mut().for_each(|t| t.settled = true);
                }
                attempt.rested = (*to == Column::Review).then_some(at.mono);
                if *to == Column::Review {
                    attempt.reds = 0;
                    (attempt.asks, attempt.choices) = (None, Vec::new());
                }
            }
        }
        Event::NeedsYouRaised { kind, question, options, dialog, refined } => {
            let since = task.needs_you.as_ref().filter(|_| *refined).map_or(at.wall, |n| n.since);
            let (question, options) = (question.clone(), options.clone());
            task.needs_you = Some(NeedsYou { since, kind: *kind, question, options, dialog: *dialog });
        }
        Event::NeedsYouCleared {} => task.needs_you = None,
        Event::StartAsked { wanted } => task.wanted = Some(wanted.clone()),
        Event::StartWithdrawn {} => task.wanted = None,
        _ => hands::apply_to_task(task, event, at),
    }
}

fn apply_to_attempt(task: &mut Task, id: AttemptId, event: &Event, at: Now) {
    match event {
        Event::AttemptPlanned { agent, mode, branch, worktree, action, ports } => {
            task.wanted = None;
            // What was said after the old attempt was given up is meant for the new one.
            for message in task.messages.iter_mut().filter(|m| m.is_queued()) {
                message.attempt = id.no;
            }
            let planned = Attempt::planned(id.no, agent, *mode, branch, worktree.clone(), *action, at);
            task.attempts.push(Attempt { ports: ports.clone(), ..planned });
        }
        Event::MessageQueued { msg, from, text, now } => {
            let delivery = Delivery::Queued { held: String::new(), not_before: at.mono };
            let message =
                Message { id: *msg, attempt: id.no, from: *from, text: text.clone(), now: *now, at: at.wall, delivery };
            task.messages.push(message);
            bound_messages(task);
        }
        Event::LaunchPlanned { msg, action, .. } => {
            task.wanted = None;
            if let Some(msg) = msg {
                deliver(task, *msg, Delivery::Typing { action: *action });
            }
        }
        Event::MessageTyping { msg, action } => deliver(task, *msg, Delivery::Typing { action: *action }),
        Event::MessageHeld { msg, why } => {
            let not_before = at.mono + super::messages::RETRY;
            deliver(task, *msg, Delivery::Queued { held: why.clone(), not_before });
        }
        Event::MessageTyped { msg } => deliver(task, *msg, Delivery::Typed { at: at.mono }),
        Event::MessageDelivered { msg, .. } => deliver(task, *msg, Delivery::Delivered),
        Event::MessageUnconfirmed { msg } => {
            deliver(task, *msg, Delivery::Unknown);
            let was_told = task.messages.iter().any(|m| m.id == *msg && m.from != From::Reminder);
            if let Some(attempt) =
                task.attempts.iter_mut().find(|a| a.no == id.no && a.is_active()).filter(|_| was_told)
            {
                // It has been told something else to do, or has not: its work is not over as it was.
                attempt.finished = false;
            }
        }
        Event::MessageWithdrawn { msg, .. } => deliver(task, *msg, Delivery::Withdrawn),
        Event::QuestionAsked { .. } => {
            let newest = task.messages.last().map(|m| m.id);
            if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == id.no) {
                attempt.asked_after = newest;
            }
        }
        Event::CheckInReceived { check_in, via, id: stamp } => {
            let (check_in, stamp, beside) = (check_in.clone(), stamp.clone(), Beside::default());
            let received = ReceivedCheckIn { at: at.wall, attempt: id.no, via: *via, check_in, id: stamp, beside };
            task.check_ins.push(received);
            if task.check_ins.len() > MAX_CHECK_INS {
                task.check_ins.remove(0);
            }
        }
        _ => hands::apply_to_lease(task, event),
    }
    let in_review = task.column == Column::Review;
    if let Some(attempt) = task.attempts.iter_mut().find(|a| a.no == id.no) {
        let came_to_rest = apply_to_one(attempt, event, at);
        if came_to_rest && in_review {
            attempt.rested = Some(at.mono);
        }
    }
}

fn bound_messages(task: &mut Task) {
    let settled = |m: &Message| matches!(m.delivery, Delivery::Delivered | Delivery::Unknown | Delivery::Withdrawn);
    while task.messages.len() > MAX_MESSAGES {
        let Some(oldest) = task.messages.iter().position(settled) else { break };
        task.messages.remove(oldest);
    }
}

fn deliver(task: &mut Task, msg: MsgId, delivery: Delivery) {
    if let Some(message) = task.messages.iter_mut().find(|m| m.id == msg) {
        message.delivery = delivery;
    }
}

/// Applies an event to its attempt; says whether the agent came to rest by it.
fn apply_to_one(attempt: &mut Attempt, event: &Event, at: Now) -> bool {
    match event {
        Event::WorktreeReady { base_oid, base, session, ports, notes, teardown } => {
            attempt.base_oid = Some(base_oid.clone());
            attempt.base = Some(base.clone());
            attempt.session.clone_from(session);
            attempt.ports.clone_from(ports);
            attempt.notes.clone_from(notes);
            attempt.teardown = if *teardown { Teardown::Owed } else { Teardown::Nothing };
        }
        Event::LaunchPlanned { host, action, resume, .. } => {
            attempt.launches += 1;
            if !resume {
                attempt.given = None;
            }
            attempt.tail.clear();
            attempt.checks_ended = false;
            attempt.phase = Phase::Launching { action: *action, host: host.clone() };
            attempt.stopping = None;
            attempt.finished = false;
            attempt.readable = false;
            attempt.taken = None;
            attempt.run = RunState::plain(RunKind::Starting, None, at);
        }
        Event::HostStarted { facts } => {
            attempt.started_at = attempt.started_at.or(Some(at.wall));
            aside::fold_host(attempt);
            // Its first signals may have come before the word that it lives.
            let began = attempt.finished || attempt.run.kind == RunKind::Working || attempt.run.turn_over;
            attempt.begun |= began;
            attempt.phase = Phase::Live { facts: facts.clone(), since: at, began };
        }
        Event::TurnBegan { .. } => set_began(attempt),
        Event::SessionLearned { session } => attempt.session = Some(session.clone()),
        Event::StateChanged { state } => {
            attempt.run = state.clone();
            attempt.taken = None;
            if state.kind != RunKind::Waiting {
                attempt.dialog = None;
            }
            if state.kind == RunKind::Working {
                hands::turn_begins(attempt);
                // A new turn: what was finished before it is not what there is after it.
                attempt.rested = None;
                attempt.finished = false;
            }
            return state.kind == RunKind::Idle;
        }
        Event::WorkFinished { .. } => (attempt.finished, attempt.checks_ended) = (true, false),
        Event::QuestionAsked { text, options } => {
            (attempt.asks, attempt.choices) = (Some(text.clone()), hands::choices(options));
        }
        Event::QuestionSettled {} => (attempt.asks, attempt.choices) = (None, Vec::new()),
        // What it finished before is not what there will be after this.
        Event::MessageDelivered { .. } if attempt.host().is_some() => {
            attempt.taken = Some(at.mono);
            attempt.finished = false;
        }
        _ => apply_seen(attempt, event, at),
    }
    false
}

/// What checks showed, and what was seen of its files and its use.
fn apply_seen(attempt: &mut Attempt, event: &Event, at: Now) {
    match event {
        Event::ChecksStarted { run, action, asked, on } => {
            attempt.checking = Some(Checking { run: *run, action: *action, asked: *asked, on: *on });
            (attempt.finished, attempt.checks_ended) = (false, false);
            aside::fold_start(attempt);
        }
        Event::ChecksDropped { run, .. } if attempt.checking.as_ref().is_some_and(|c| c.run == *run) => {
            attempt.checking = None;
            attempt.checks_ended = !attempt.is_active();
        }
        Event::VerdictReached { run, verdict, on } => {
            let asked = attempt.checking.take().is_some_and(|c| c.asked);
            let at_rest = attempt.host().is_none() || (attempt.run.kind == RunKind::Idle && attempt.run.turn_over);
            let counts = on.is_none() && (!asked || at_rest);
            judge(attempt, *run, verdict, at, counts, *on);
            aside::fold_verdict(attempt, verdict, *on);
        }
        Event::DiffObserved { diff, tree } => {
            let from_base = diff.files > 0 || diff.commits > 0 || diff.dirty;
            let moved = tree.is_some() && attempt.tree != *tree && (attempt.tree.is_some() || from_base);
            attempt.diff = Some(*diff);
            attempt.tree.clone_from(tree);
            aside::fold_tree(attempt, moved, at);
            if attempt.plans() && attempt.plans_on.is_none() {
                attempt.plans_on.clone_from(tree);
            }
        }
        Event::WorktreeStrayed { astray } => attempt.astray.clone_from(astray),
        Event::OffLimitsTouched { paths } => attempt.touched.clone_from(paths),
        Event::UsageObserved { seen } => attempt.usage.take(seen, at.wall),
        _ => apply_asking(attempt, event, at),
    }
}

/// Answers to its dialogs, and usage limits.
fn apply_asking(attempt: &mut Attempt, event: &Event, at: Now) {
    match event {
        Event::AnswerGiven { msg, dialog, choice, action, way, note } => {
            let (msg, dialog, action, way) = (*msg, *dialog, *action, *way);
            let (choice, note) = (choice.clone(), note.clone());
            attempt.answer = Some(Answering { msg, dialog, action, choice, note, way, given: None });
        }
        Event::AnswerWritten { .. } => {
            if let Some(answer) = &mut attempt.answer {
                answer.given = Some(at.mono);
            }
        }
        Event::AnswerTaken { .. } | Event::AnswerWithheld { .. } | Event::AnswerUnconfirmed { .. } => {
            attempt.answer = None;
        }
        Event::LimitReached { until } => attempt.limit = Some(UsageLimit { until: *until, msg: None }),
        Event::LimitWaited { msg } => {
            if let Some(limit) = &mut attempt.limit {
                limit.msg = Some(*msg);
            }
        }
        Event::LimitEnded {} => attempt.limit = None,
        _ => {
            hands::apply_to_one(attempt, event, at);
            apply_end(attempt, event, at);
        }
    }
}

/// What leads to the end of an attempt's process, or is it, or comes after it.
fn apply_end(attempt: &mut Attempt, event: &Event, at: Now) {
    match event {
        Event::StopAsked { why, action } => {
            attempt.stopping = Some(*why);
            attempt.stop_action = *action;
            attempt.stop_error = None;
        }
        Event::StopFailed { error } => {
            attempt.stopping = None;
            attempt.stop_action = None;
            attempt.stop_error = Some(error.clone());
        }
        Event::AttemptFailed { stage, error, exit } => {
            end(attempt, End::Failed { stage: stage.clone(), error: error.clone(), exit: *exit }, at);
        }
        Event::AttemptStopped { exit, .. } => {
            let why = attempt.stopping.unwrap_or(crate::model::attempt::StopWhy::Asked);
            end(attempt, End::Stopped { why, exit: *exit }, at);
        }
        Event::AgentExited { exit, tail, .. } => {
            attempt.begun |= exit.is_success();
            attempt.tail.clone_from(tail);
            end(attempt, End::Exited { exit: *exit }, at);
        }
        // One that was to end has ended.
        Event::HostLost { why, .. } => match attempt.stopping {
            Some(why) => end(attempt, End::Stopped { why, exit: None }, at),
            None => end(attempt, End::Lost { why: why.clone() }, at),
        },
        Event::Noted { text } => attempt.notes.push(text.clone()),
        Event::TeardownStarted { action } => attempt.teardown = Teardown::Running { action: *action },
        Event::TeardownEnded { wrong } => {
            attempt.teardown = Teardown::Nothing;
            attempt.notes.extend(wrong.clone());
        }
        _ => {}
    }
}

/// `counts`: whether it is the end of some work. An agent that has its checks run to see where it
/// stands has not failed by that.
fn judge(attempt: &mut Attempt, run: CheckRun, verdict: &Verdict, at: Now, counts: bool, on: Option<VerifyOn>) {
    match verdict.outcome {
        _ if on.is_some() => {}
        VerdictOutcome::Red | VerdictOutcome::Stale if !counts => {}
        VerdictOutcome::Red => (attempt.reds, attempt.stales) = (attempt.reds + 1, 0),
        VerdictOutcome::Stale => attempt.stales += 1,
        VerdictOutcome::Green | VerdictOutcome::None => (attempt.reds, attempt.stales) = (0, 0),
        VerdictOutcome::Error => {}
    }
    if counts {
        rhythm::count_failure(attempt, verdict);
    }
    // While it works, the files may be others by now: they were looked at when the run ended.
    if let Some(tree) = verdict.tree.as_ref().filter(|_| on.is_none() || attempt.tree.is_none()) {
        attempt.tree = Some(tree.clone());
    }
    attempt.judged = Some(Judged { run, at: at.wall, verdict: verdict.clone(), on });
}

fn set_began(attempt: &mut Attempt) {
    attempt.begun = true;
    if let Phase::Live { began, .. } = &mut attempt.phase {
        *began = true;
    }
}

fn end(attempt: &mut Attempt, end: End, at: Now) {
    let kind = match &end {
        End::Failed { .. } | End::Exited { .. } => RunKind::Exited,
        End::Stopped { .. } => RunKind::Stopped,
        End::Lost { .. } => RunKind::Lost,
    };
    // What was stopped is checked when a person says so.
    attempt.finished &= !matches!(end, End::Stopped { .. });
    attempt.run = RunState { turn_over: attempt.run.turn_over, ..RunState::plain(kind, None, at) };
    attempt.phase = Phase::Ended { end, at: at.wall };
    attempt.stopping = None;
    attempt.stop_action = None;
    attempt.stop_error = None;
    attempt.taken = None;
    attempt.readable = false;
    attempt.dialog = None;
    attempt.rested = Option::<Mono>::None;
}
