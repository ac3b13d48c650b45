//! Commands of people: carried out whole, or refused with a reason and nothing done.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::astray::Astray;
use crate::model::attempt::{Attempt, End, Phase, StopWhy};
use crate::model::board::{HoldKind, Task, Wanted};
use crate::model::event::{By, Event};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Command, NewTask, Refusal, RefusalCode, Reply};
use crate::model::message::From;
use crate::model::name::AgentName;
use crate::model::state::RunKind;
use crate::model::task::{Column, TaskSpec};
use crate::model::text::nearest;

use super::merge;
use super::relist::{self, Fate};
use super::turn::Turn;
use super::{admission, again, answer, approval, checks, lifecycle, messages, pause, plan, takeover};

pub(super) type Answer = Result<Reply, Refusal>;

/// Carries out one command.
pub(super) fn carry_out(turn: &mut Turn<'_>, wanted: Command) -> Answer {
    match wanted {
        Command::Add { tasks } => add(turn, tasks),
        Command::Edit { task, spec, was } => edit(turn, task, *spec, was.as_deref()),
        Command::Move { task, to, reason } => move_to(turn, task, to, reason),
        Command::Dispatch { on } => {
            if turn.board.dispatch != on {
                turn.board_event(Event::DispatchSet { on });
            }
            Ok(Reply::Ok {})
        }
        Command::Start { task } => start(turn, task),
        Command::Stop { task } => stop(turn, task),
        Command::StopAll { why } => {
            for id in turn.task_ids() {
                stop_one(turn, id, why);
            }
            Ok(Reply::Ok {})
        }
        Command::Rest {} => rest(turn),
        Command::Retry { task, agent } => retry(turn, task, agent),
        Command::Cancel { task, reason } => move_to(turn, task, Column::Canceled, reason),
        Command::Verify { task } => verify(turn, task),
        Command::Send { task, text, now } => send(turn, task, text, now),
        Command::Takeover { task, reason } => takeover::takeover(turn, task, reason),
        Command::Handback { task, note } => takeover::handback(turn, task, note),
        Command::Pause { task, reason } => pause::pause(turn, task, reason),
        Command::Resume { task } => pause::resume(turn, task),
        Command::Approve { task } => approval::approve(turn, task),
        Command::Reject { task, note } => approval::reject(turn, task, note),
        Command::Nudge { task } => super::checkin::by_hand(turn, task),
        Command::AtStop { attempt } => Ok(super::checkin::at_stop(turn, attempt)),
        Command::Answer { task, choice } => answer::give(turn, task, &choice),
        Command::Hear { attempt } => super::mail::hear(turn, attempt),
    }
}

fn stop(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    if require_task(turn, id)?.wanted.is_none() {
        require_attempt(turn, id)?;
    }
    stop_one(turn, id, StopWhy::Asked);
    Ok(Reply::Ok {})
}

/// Ends what runs, and what was going to.
fn stop_one(turn: &mut Turn<'_>, id: TaskId, why: StopWhy) {
    if turn.task(id).is_some_and(|t| t.wanted.is_some()) {
        turn.task_event(id, Event::StartWithdrawn {});
    }
    if let Some((attempt, _)) = turn.newest(id) {
        // What waits to be said to it would bring it back at once.
        withdraw(turn, attempt, "the agent was stopped");
        lifecycle::stop(turn, attempt, why);
    }
}

/// Ends the agents that are at rest in Review; one that works or asks there is left alone, and so
/// are checks.
fn rest(turn: &mut Turn<'_>) -> Answer {
    for id in turn.task_ids() {
        let in_review = turn.task(id).is_some_and(|t| t.column == Column::Review);
        let Some((attempt, found)) = turn.newest(id) else { continue };
        let at_rest = found.host().is_some() && matches!(found.run.kind, RunKind::Idle | RunKind::Quiet);
        if in_review && at_rest && found.asks.is_none() && found.checking.is_none() {
            lifecycle::stop(turn, attempt, StopWhy::Idle);
        }
    }
    Ok(Reply::Ok {})
}

pub(super) fn refuse<T>(code: RefusalCode, text: impl Into<String>, hints: &[String]) -> Result<T, Refusal> {
    Err(Refusal { code, text: text.into(), hints: hints.to_vec() })
}

/// What is taken of a person as a task stands, for whoever was refused something else.
pub(super) fn ways_on(turn: &Turn<'_>, id: TaskId) -> Vec<String> {
    let Some(task) = turn.task(id) else { return vec!["standup status".into()] };
    let send = || format!("standup send {id} \"…\"");
    match (task.column, task.attempt()) {
        (column, _) if column.is_closed() => vec![format!("standup move {id} backlog --reason \"…\"")],
        (_, None) => vec![format!("standup start {id}")],
        (Column::Takeover, _) => vec![format!("standup handback {id} --note \"…\"")],
        (_, Some(attempt)) if messages::hears(turn.board, task, attempt) => vec![send()],
        (_, Some(attempt)) if super::mail::hears_at_once(turn, attempt) => vec![send()],
        (_, Some(attempt)) if attempt.host().is_some() => vec![format!("standup attach {id}    # and type yourself")],
        (_, Some(_)) => vec![format!("standup show {id}"), format!("standup retry {id}")],
    }
}

pub(super) fn require_task<'a>(turn: &'a Turn<'_>, id: TaskId) -> Result<&'a Task, Refusal> {
    match turn.task(id) {
        Some(task) => Ok(task),
        None => refuse(RefusalCode::NoTask, format!("there is no task {id}"), &["standup status".into()]),
    }
}

pub(super) fn require_attempt<'a>(turn: &'a Turn<'_>, id: TaskId) -> Result<(AttemptId, &'a Attempt), Refusal> {
    require_task(turn, id)?;
    match turn.newest(id) {
        Some(found) => Ok(found),
        None => refuse(RefusalCode::Failure, format!("{id} has not been started"), &[format!("standup start {id}")]),
    }
}

fn add(turn: &mut Turn<'_>, tasks: Vec<NewTask>) -> Answer {
    let fates = relist::fates(turn.board, &tasks);
    let highest = turn.board.tasks.keys().next_back().map_or(0, |id| id.number()).max(turn.board.used_numbers);
    let mut next = highest.saturating_add(1);
    let mut ids = Vec::with_capacity(tasks.len());
    let mut keys = BTreeSet::new();
    for (task, fate) in tasks.iter().zip(&fates) {
        require_title(&task.spec)?;
        if let Some(key) = task.spec.key.as_ref().filter(|key| !keys.insert(key.as_str())) {
            return refuse(RefusalCode::Usage, format!("two of these tasks have the key {key:?}"), &[]);
        }
        let id = fate.known().or_else(|| {
            next = next.checked_add(1)?;
            TaskId::new(next - 1)
        });
        let Some(id) = id else {
            return refuse(RefusalCode::Failure, "there are too many tasks", &[]);
        };
        ids.push(id);
    }
    let specs = with_needs(tasks, &ids)?;
    // What is asked for from now on, and what the list says where that is a task already.
    let to_be = |(id, spec): (TaskId, TaskSpec)| match turn.task(id) {
        Some(task) => (id, relist::taken_over(task, &spec).spec, Some(Box::new(spec))),
        None => (id, spec, None),
    };
    let to_be: Vec<_> = specs.into_iter().map(to_be).collect();
    let other = to_be.iter().zip(&fates).filter(|(_, fate)| !matches!(fate, Fate::Leave { .. }));
    check_graph(turn, &other.map(|((id, spec, _), _)| (*id, spec.clone())).collect::<Vec<_>>())?;
    let (mut added, mut changed, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for ((id, spec, listed), fate) in to_be.into_iter().zip(&fates) {
        let spec = Box::new(spec);
        match fate {
            Fate::Add => turn.task_event(id, Event::TaskAdded { spec }),
            Fate::Leave { known: true, .. } => {}
            Fate::Leave { .. } | Fate::Change { .. } => turn.task_event(id, Event::TaskEdited { spec, listed }),
        }
        match fate {
            Fate::Add => added.push(id),
            Fate::Change { .. } => changed.push(id),
            Fate::Leave { .. } => unchanged.push(id),
        }
    }
    unchanged.sort_unstable();
    Ok(Reply::Tasks { added, changed, unchanged })
}

fn require_title(spec: &TaskSpec) -> Result<(), Refusal> {
    if spec.title.trim().is_empty() { refuse(RefusalCode::Usage, "the title is empty", &[]) } else { Ok(()) }
}

/// Turns needs by place into needs by id.
fn with_needs(tasks: Vec<NewTask>, ids: &[TaskId]) -> Result<Vec<(TaskId, TaskSpec)>, Refusal> {
    let mut specs = Vec::with_capacity(tasks.len());
    for (task, id) in tasks.into_iter().zip(ids) {
        let mut spec = task.spec;
        for place in task.needs_new {
            let Some(need) = ids.get(place) else {
                return refuse(
                    RefusalCode::Usage,
                    format!("{id} needs task number {}, which is not given", place + 1),
                    &[],
                );
            };
            if !spec.needs.contains(need) {
                spec.needs.push(*need);
            }
        }
        specs.push((*id, spec));
    }
    Ok(specs)
}

/// Every need exists, and none leads back to where it began.
fn check_graph(turn: &Turn<'_>, changed: &[(TaskId, TaskSpec)]) -> Result<(), Refusal> {
    let mut needs: BTreeMap<TaskId, &[TaskId]> =
        turn.board.tasks.values().map(|t| (t.id, t.spec.needs.as_slice())).collect();
    needs.extend(changed.iter().map(|(id, spec)| (*id, spec.needs.as_slice())));
    for (id, spec) in changed {
        if let Some(missing) = spec.needs.iter().find(|n| !needs.contains_key(n)) {
            return refuse(RefusalCode::NoTask, format!("{id} needs {missing}, which does not exist"), &[]);
        }
    }
    let starts = changed.iter().map(|(id, _)| *id);
    match find_cycle(&needs, starts) {
        None => Ok(()),
        Some(cycle) => {
            let path: Vec<String> = cycle.iter().map(ToString::to_string).collect();
            refuse(RefusalCode::Usage, format!("these tasks need each other: {}", path.join(" → ")), &[])
        }
    }
}

/// A path of needs that ends where it began.
fn find_cycle(needs: &BTreeMap<TaskId, &[TaskId]>, starts: impl Iterator<Item = TaskId>) -> Option<Vec<TaskId>> {
    let mut clear: BTreeSet<TaskId> = BTreeSet::new();
    for start in starts {
        let mut path: Vec<(TaskId, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last_mut() {
            let need = needs.get(id).and_then(|n| n.get(*next)).copied();
            *next += 1;
            match need {
                Some(need) => {
                    if let Some(from) = path.iter().position(|(id, _)| *id == need) {
                        let mut cycle: Vec<TaskId> = path[from..].iter().map(|(id, _)| *id).collect();
                        cycle.push(need);
                        return Some(cycle);
                    }
                    if !clear.contains(&need) {
                        path.push((need, 0));
                    }
                }
                None => {
                    let done = *id;
                    clear.insert(done);
                    path.pop();
                }
            }
        }
    }
    None
}

fn edit(turn: &mut Turn<'_>, id: TaskId, wanted: TaskSpec, was: Option<&TaskSpec>) -> Answer {
    let task = require_task(turn, id)?;
    require_title(&wanted)?;
    let spec = match was.map(|was| merge::merged(was, &wanted, &task.spec)) {
        None => wanted,
        Some(merged) if merged.both.is_empty() => merged.spec,
        Some(merged) => {
            let text = format!("{id} was changed meanwhile, and both changed: {}", merged.both.join(", "));
            return refuse(RefusalCode::Conflict, text, &[format!("standup brief {id}")]);
        }
    };
    if task.spec == spec {
        return Ok(Reply::Tasks { added: vec![], changed: vec![], unchanged: vec![id] });
    }
    let same_key = |t: &&Task| t.id != id && spec.key.is_some() && t.spec.key == spec.key && task.spec.key != spec.key;
    if let Some(other) = turn.board.tasks.values().find(same_key) {
        return refuse(RefusalCode::Usage, format!("{} has the key of {id} already", other.id), &[]);
    }
    check_graph(turn, &[(id, spec.clone())])?;
    turn.task_event(id, Event::TaskEdited { spec: Box::new(spec), listed: None });
    Ok(Reply::Tasks { added: vec![], changed: vec![id], unchanged: vec![] })
}

fn move_to(turn: &mut Turn<'_>, id: TaskId, to: Column, reason: String) -> Answer {
    let task = require_task(turn, id)?;
    let from = task.column;
    if from == to {
        return Ok(Reply::Ok {});
    }
    let begun = task.attempt().is_some();
    if matches!(to, Column::Build | Column::Review | Column::Design | Column::Takeover) && !begun {
        let text = format!("{id} has not been started, so there is nothing to put into {to}");
        return refuse(RefusalCode::Failure, text, &[format!("standup start {id}")]);
    }
    if to == Column::Takeover {
        return takeover::takeover(turn, id, reason);
    }
    if to == Column::Build && !from.is_closed() && from != Column::Backlog && task.attempt().is_some_and(Attempt::plans)
    {
        return plan::moved_to_build(turn, id, reason);
    }
    turn.task_event(id, Event::TaskMoved { from, to, by: By::Person, reason: reason.clone() });
    if (to.is_closed() || to == Column::Backlog) && begun {
        close(turn, id, &format!("the task was moved to {to}"));
    }
    let paused = turn.task(id).is_some_and(|task| task.paused.is_some());
    if to == Column::Backlog && from.is_closed() && paused {
        // Opened again, it takes its turn.
        turn.task_event(id, Event::TaskResumed {});
    } else if to == Column::Backlog && !from.is_closed() && begun && !paused {
        // Put aside; it would be started again at once.
        let reason = if reason.is_empty() { "put back into backlog".to_owned() } else { reason };
        turn.task_event(id, Event::TaskPaused { reason });
    }
    Ok(Reply::Ok {})
}

/// Ends what a task has running, and what is still to be said to it.
fn close(turn: &mut Turn<'_>, id: TaskId, why: &str) {
    let Some((attempt, _)) = turn.newest(id) else { return };
    withdraw(turn, attempt, why);
    lifecycle::stop(turn, attempt, StopWhy::Closed);
}

fn withdraw(turn: &mut Turn<'_>, attempt: AttemptId, why: &str) {
    let Some(task) = turn.task(attempt.task) else { return };
    let queued: Vec<_> = task.messages.iter().filter(|m| m.is_queued()).map(|m| (m.id, m.attempt)).collect();
    for (msg, no) in queued {
        let of = AttemptId { task: attempt.task, no };
        turn.attempt_event(of, Event::MessageWithdrawn { msg, why: why.to_owned() });
    }
}

fn start(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    let task = require_task(turn, id)?;
    match (task.column, task.attempt()) {
        (Column::Backlog, attempt) if attempt.is_none_or(|a| !a.is_active() && a.checking.is_none()) => {
            refuse_held(turn, id)?;
            begin_or_wait(turn, id)
        }
        (Column::Build | Column::Design, Some(attempt)) => start_again(turn, id, &attempt.clone()),
        (column, _) => {
            let text = format!("{id} is in {column} and cannot be started from there");
            refuse(RefusalCode::Failure, text, &ways_on(turn, id))
        }
    }
}

/// Brings an ended attempt back in its own worktree; one that never had a worktree is tried anew.
fn start_again(turn: &mut Turn<'_>, id: TaskId, attempt: &Attempt) -> Answer {
    if attempt.is_active() || attempt.checking.is_some() {
        let see = if attempt.host().is_some() { "attach" } else { "show" };
        return refuse(RefusalCode::Failure, format!("{id} runs already"), &[format!("standup {see} {id}")]);
    }
    if let Some(Astray::Broken { why }) = &attempt.astray {
        let text = format!("the worktree of {id}/{} is broken: {why}; no agent can go on there", attempt.no);
        return refuse(RefusalCode::Failure, text, &[format!("standup retry {id}")]);
    }
    refuse_held(turn, id)?;
    let of = AttemptId { task: id, no: attempt.no };
    if attempt.base_oid.is_none() {
        return begin_or_wait(turn, id);
    }
    turn.task_event(id, Event::StartAsked { wanted: Wanted::Again });
    Ok(Reply::Attempt { attempt: of })
}

/// A start needs a slot of the machine; the answer to the reservation comes with a later input,
/// so the wish is kept; it goes before everything else.
fn begin_or_wait(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    turn.task_event(id, Event::StartAsked { wanted: Wanted::Attempt { agent: None } });
    let no = turn.newest(id).map_or(crate::model::id::AttemptNo::FIRST, |(_, a)| a.no.next());
    Ok(Reply::Attempt { attempt: AttemptId { task: id, no } })
}

fn refuse_held(turn: &Turn<'_>, id: TaskId) -> Result<(), Refusal> {
    let Some((kind, text)) = admission::hold(turn, id) else { return Ok(()) };
    let (code, hint) = match kind {
        HoldKind::Build | HoldKind::Review | HoldKind::Machine | HoldKind::Ports => {
            (RefusalCode::Wip, Some("standup status".to_owned()))
        }
        HoldKind::Agent if admission::is_agent_full(turn, id) => (RefusalCode::Wip, Some("standup status".to_owned())),
        HoldKind::Agent => (RefusalCode::Failure, Some("standup agents".to_owned())),
        HoldKind::Base => {
            (RefusalCode::Failure, Some(format!("standup edit {id} --base main    # or whichever it is")))
        }
        HoldKind::Trust => (RefusalCode::Policy, Some("standup trust".to_owned())),
        HoldKind::Overlap => (RefusalCode::Conflict, None),
        HoldKind::Needs | HoldKind::Asks | HoldKind::Limited | HoldKind::Dispatch => (RefusalCode::Asks, None),
    };
    refuse(code, format!("{id} cannot start: {text}"), hint.as_slice())
}

fn retry(turn: &mut Turn<'_>, id: TaskId, agent: Option<AgentName>) -> Answer {
    let task = require_task(turn, id)?;
    if task.column.is_closed() {
        let hint = format!("standup move {id} backlog --reason \"…\"");
        return refuse(RefusalCode::Failure, format!("{id} is {}", task.column), &[hint]);
    }
    if let Some(name) = &agent
        && let Some(around) = turn.surroundings().filter(|s| !s.agents.contains_key(name))
    {
        let meant = nearest(name.as_str(), around.agents.keys().map(AgentName::as_str));
        let meant = meant.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        let text = format!("agent {name} is not configured{meant}");
        return refuse(RefusalCode::Usage, text, &["standup agents".into()]);
    }
    if turn.newest(id).is_some() {
        let (attempt, found) = require_attempt(turn, id)?;
        let agent = agent.or_else(|| Some(found.agent.clone()));
        withdraw(turn, attempt, "a new attempt begins");
        lifecycle::stop(turn, attempt, StopWhy::Retried);
        turn.task_event(id, Event::StartAsked { wanted: Wanted::Attempt { agent } });
    } else {
        refuse_held(turn, id)?;
        turn.task_event(id, Event::StartAsked { wanted: Wanted::Attempt { agent } });
    }
    let no = turn.newest(id).map_or(crate::model::id::AttemptNo::FIRST, |(_, a)| a.no.next());
    Ok(Reply::Attempt { attempt: AttemptId { task: id, no } })
}

fn verify(turn: &mut Turn<'_>, id: TaskId) -> Answer {
    let (of, attempt) = require_attempt(turn, id)?;
    if attempt.base_oid.is_none() {
        let text = format!("{of} has no worktree to check");
        return refuse(RefusalCode::Failure, text, &[format!("standup show {id}")]);
    }
    if attempt.is_being_judged() {
        return Ok(Reply::Attempt { attempt: of });
    }
    if admission::untrusted_checks(turn) {
        let why = turn.surroundings().and_then(|s| s.untrusted.clone()).unwrap_or_default();
        return refuse(RefusalCode::Policy, format!("the checks may not run: {why}"), &["standup trust".into()]);
    }
    checks::drop_checks(turn, of, "they were asked for");
    checks::start_checks(turn, of, true, None);
    Ok(Reply::Attempt { attempt: of })
}

/// Queues a person's word for an agent.
pub(super) fn send(turn: &mut Turn<'_>, id: TaskId, text: String, now: bool) -> Answer {
    let (of, attempt) = require_attempt(turn, id)?;
    let attempt = attempt.clone();
    let task = require_task(turn, id)?;
    if task.column.is_closed() {
        let hint = format!("standup move {id} backlog --reason \"…\"");
        return refuse(RefusalCode::Failure, format!("{id} is {}; nobody would read it", task.column), &[hint]);
    }
    if text.trim().is_empty() {
        return refuse(RefusalCode::Usage, "the message is empty", &[]);
    }
    if now {
        takeover::refuse_input(task, "interrupt it there")?;
    }
    if again::is_lost_with_session(turn.board, task) {
        let text = format!("the agent of {of} is lost; start it, and it goes on in the same session");
        return refuse(RefusalCode::Failure, text, &[format!("standup start {id}"), format!("standup retry {id}")]);
    }
    let ended = matches!(attempt.phase, Phase::Ended { .. });
    let lost = matches!(attempt.end(), Some(End::Failed { .. } | End::Lost { .. }));
    if ended && (lost || !turn.resumes(&attempt)) {
        let text = format!("the agent of {of} has ended and cannot be resumed");
        return refuse(RefusalCode::Failure, text, &[format!("standup retry {id}")]);
    }
    // One that waits for an answer hears it whatever its terminal takes.
    if !turn.reads(&attempt) && !super::mail::listens(turn, &attempt) {
        let text = format!("{} takes no messages: nothing tells when it would read one", attempt.agent);
        return refuse(RefusalCode::Failure, text, &[format!("standup attach {id}    # and type yourself")]);
    }
    let msg = turn.next_msg();
    turn.attempt_event(of, Event::MessageQueued { msg, from: From::Person, text, now });
    if attempt.asks.is_some() {
        turn.attempt_event(of, Event::QuestionSettled {});
    }
    let waits = turn.task(id).map(|task| messages::waits_for(turn, task)).unwrap_or_default();
    Ok(Reply::Message { msg, waits })
}
