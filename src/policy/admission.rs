//! Who may start: needs, trust, WIP limits, agents, overlap, slots of the machine; and why the
//! rest is held.

use crate::model::action::Action;
use std::collections::BTreeMap;

use super::room::Ahead;
use super::turn::Turn;
use super::{bases, lifecycle, messages, overlap, pause, ports, quota, room, takeover, teardown};
use crate::model::attempt::{Attempt, End, Phase};
use crate::model::board::{Board, Hold, HoldKind, Task, Wanted};
use crate::model::event::{By, Event};
use crate::model::id::{AttemptId, AttemptNo, TaskId};
use crate::model::input::Surroundings;
use crate::model::name::{AgentName, BranchName};
use crate::model::settings::Limit;
use crate::model::task::{Column, Mode};

/// Starts whatever may start. One start a round: each changes what the next may do.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    let census = Census::with_queue(turn);
    let free = |id: &TaskId| turn.task(*id).is_some_and(|task| held(turn, &census, task).is_none());
    let Some(id) = candidates(turn).into_iter().find(free) else { return false };
    if need_slot(turn) {
        return false;
    }
    begin(turn, id);
    true
}

/// What is in use, counted once for all candidates.
struct Census<'a> {
    build: u32,
    review: u32,
    running: BTreeMap<&'a AgentName, u32>,
    /// Tasks whose paths are in somebody's hands.
    in_work: Vec<&'a Task>,
    /// Who waits for room in Build alone.
    ahead: Option<Ahead>,
}

impl<'a> Census<'a> {
    fn of(board: &'a Board) -> Self {
        let mut running = BTreeMap::new();
        for attempt in board.tasks.values().filter_map(Task::attempt).filter(|a| a.is_active()) {
            *running.entry(&attempt.agent).or_insert(0) += 1;
        }
        let in_work = board.tasks.values().filter(|t| is_in_work(t) && !t.spec.touches.is_empty()).collect();
        Self { build: board.build_used(), review: board.review_used(), running, in_work, ahead: None }
    }

    /// The same, and who is not to be overtaken: where one that counts 1 finds no room, nobody does.
    fn with_queue(turn: &'a Turn<'_>) -> Self {
        let census = Self::of(turn.board);
        let weights = turn.board.weights();
        let spoken_to = room::spoken_to(turn, |task| held_message(turn, task, task.attempt()?));
        let ahead = spoken_to.or_else(|| {
            let tasks = candidates(turn).into_iter().filter_map(|id| turn.task(id));
            let mut heavy = tasks.filter(|task| weights.of(task.next_mode()) > 1);
            heavy.find_map(|task| Some(Ahead::starting(turn.board, task, waits_for_room(turn, &census, task)?)))
        });
        Self { ahead, ..census }
    }
}

/// Why a task waits for room in Build, where it waits for nothing else.
fn waits_for_room(turn: &Turn<'_>, census: &Census<'_>, task: &Task) -> Option<String> {
    let (HoldKind::Build, why) = held(turn, census, task)? else { return None };
    let around = turn.surroundings()?;
    let more = agent_full(census, around, &agent_for(around, task).ok()?).or_else(|| overlaps(census, task));
    more.is_none().then_some(why)
}

/// Tasks that would start if they could: those in the backlog while dispatching, and those that
/// a person wants started. Highest priority first, then the oldest.
fn candidates(turn: &Turn<'_>) -> Vec<TaskId> {
    let mut ids: Vec<&Task> = turn.board.tasks.values().filter(|t| is_candidate(turn, t)).collect();
    ids.sort_by_key(|t| room::place(t));
    ids.into_iter().map(|t| t.id).collect()
}

fn is_candidate(turn: &Turn<'_>, task: &Task) -> bool {
    let free = task.attempt().is_none_or(|a| !a.is_active() && a.checking.is_none() && !a.is_torn_down());
    let wanted = (task.column == Column::Backlog && turn.board.dispatch) || task.wanted.is_some();
    free && wanted && !task.column.is_closed()
}

/// Why a task may not start; `None` where it may, a slot of the machine aside.
pub(super) fn hold(turn: &Turn<'_>, id: TaskId) -> Option<(HoldKind, String)> {
    held(turn, &Census::of(turn.board), turn.task(id)?)
}

fn held(turn: &Turn<'_>, census: &Census<'_>, task: &Task) -> Option<(HoldKind, String)> {
    let Some(around) = turn.surroundings() else {
        return Some((HoldKind::Trust, "settings have not been read yet".into()));
    };
    pause::hold(task)
        .or_else(|| needs(turn, task))
        .or_else(|| around.untrusted.clone().map(|why| (HoldKind::Trust, why)))
        .or_else(|| agent_for(around, task).err().map(|why| (HoldKind::Agent, why)))
        .or_else(|| bases::missing(turn.board, task).map(|why| (HoldKind::Base, why)))
        .or_else(|| quota::hold(turn, &agent_for(around, task).ok()?))
        .or_else(|| capacity(turn, census, around, task))
        .or_else(|| overlaps(census, task))
        .or_else(|| ports::for_next(turn.board, around, task).err().map(|why| (HoldKind::Ports, why)))
        .or_else(|| machine_full(turn, around))
}

/// Why an ended agent may not be brought back for a message; `None` where it may, a slot of the
/// machine aside. It is started like any other: approved, configured, counted.
pub(super) fn resume_hold(turn: &Turn<'_>, id: AttemptId) -> Option<(HoldKind, String)> {
    let attempt = turn.board.attempt(id)?;
    if let Some(paused) = turn.task(id.task).and_then(pause::hold) {
        return Some(paused);
    }
    let Some(around) = turn.surroundings() else {
        return Some((HoldKind::Trust, "settings have not been read yet".into()));
    };
    if let Some(why) = &around.untrusted {
        return Some((HoldKind::Trust, why.clone()));
    }
    if let Some(why) = around.agents.get(&attempt.agent).and_then(|facts| facts.unusable.clone()) {
        return Some((HoldKind::Agent, why));
    }
    if let Some(held) = quota::hold(turn, &attempt.agent) {
        return Some(held);
    }
    if let Some(text) = turn.task(id.task).and_then(|task| room::lacks(turn.board, task)) {
        return Some((HoldKind::Build, text));
    }
    agent_full(&Census::of(turn.board), around, &attempt.agent).or_else(|| machine_full(turn, around))
}

fn needs(turn: &Turn<'_>, task: &Task) -> Option<(HoldKind, String)> {
    let unmet: Vec<String> = task
        .spec
        .needs
        .iter()
        .filter_map(|need| {
            let column = turn.task(*need).map(|t| t.column);
            match column {
                Some(Column::Done) => None,
                Some(Column::Canceled) => Some(format!("{need}, which was canceled")),
                Some(column) => Some(format!("{need} ({column})")),
                None => Some(format!("{need}, which does not exist")),
            }
        })
        .collect();
    (!unmet.is_empty()).then(|| (HoldKind::Needs, format!("needs {}", unmet.join(", "))))
}

/// The agent of a task: its own, else the first route that meets its paths, else the default,
/// else the only one there is.
///
/// # Errors
/// Why there is none that can be started, as a sentence.
pub fn agent_for(around: &Surroundings, task: &Task) -> Result<AgentName, String> {
    let settings = &around.settings;
    let asked = match &task.wanted {
        Some(Wanted::Attempt { agent }) => agent.clone(),
        Some(Wanted::Again) => task.attempt().map(|a| a.agent.clone()),
        None => None,
    };
    let name = asked
        .or_else(|| task.spec.agent.clone())
        .or_else(|| {
            let route = settings.routes.iter().find(|r| overlap::first(&task.spec.touches, &r.paths).is_some());
            route.map(|r| r.agent.clone())
        })
        .or_else(|| settings.agent.clone())
        .or_else(|| (settings.agents.len() == 1).then(|| settings.agents.keys().next().cloned()).flatten());
    let Some(name) = name else {
        return Err(if settings.agents.is_empty() {
            "no agent is configured in agents.toml; standup init writes one where it is on PATH".into()
        } else {
            let names: Vec<&str> = settings.agents.keys().map(AgentName::as_str).collect();
            format!("several agents are configured ({}) and none is chosen", names.join(", "))
        });
    };
    match around.agents.get(&name) {
        None => Err(format!("agent {name} is not configured")),
        Some(facts) if task.spec.mode == Mode::Checkpoint && !facts.prompted => Err(format!(
            "agent {name} is started without a prompt: it would not hear that it shall plan first, nor that its \
             plan is approved; put {{prompt}} into its command, or take another mode"
        )),
        Some(facts) => facts.unusable.clone().map_or(Ok(name), Err),
    }
}

fn full(what: &str, used: u32, limit: Limit) -> Option<String> {
    (!limit.admits(used)).then(|| format!("{what} is full {used}/{}", limit.max().unwrap_or(0)))
}

fn agent_full(census: &Census<'_>, around: &Surroundings, agent: &AgentName) -> Option<(HoldKind, String)> {
    let max = around.settings.agents.get(agent).map_or(Limit::Unlimited, |a| a.max);
    let used = census.running.get(agent).copied().unwrap_or(0);
    full(&format!("agent {agent}"), used, max).map(|text| (HoldKind::Agent, text))
}

/// Whether the agent of a task is there, and has as many attempts as it may.
pub(super) fn is_agent_full(turn: &Turn<'_>, id: TaskId) -> bool {
    turn.task(id).zip(turn.surroundings()).is_some_and(|(task, around)| {
        let full = |agent| agent_full(&Census::of(turn.board), around, &agent).is_some();
        agent_for(around, task).is_ok_and(full)
    })
}

fn capacity(turn: &Turn<'_>, census: &Census<'_>, around: &Surroundings, task: &Task) -> Option<(HoldKind, String)> {
    let wip = around.settings.wip;
    // A task that is started again gives its own place back.
    let own_review = u32::from(task.column == Column::Review);
    if let Some(text) = full("review", census.review - own_review, wip.review) {
        return Some((HoldKind::Review, text));
    }
    let beside = census.build.saturating_sub(room::own(turn.board, task));
    let short = room::short(wip, beside, task.id, task.next_mode());
    if let Some(text) = short.or_else(|| census.ahead.as_ref()?.holds(turn.board, task)) {
        return Some((HoldKind::Build, text));
    }
    agent_full(census, around, &agent_for(around, task).ok()?)
}

fn overlaps(census: &Census<'_>, task: &Task) -> Option<(HoldKind, String)> {
    census.in_work.iter().filter(|other| other.id != task.id).find_map(|other| {
        let (_, theirs) = overlap::first(&task.spec.touches, &other.spec.touches)?;
        Some((HoldKind::Overlap, format!("overlaps {} in {theirs}", other.id)))
    })
}

/// Whether a task's paths are in somebody's hands.
fn is_in_work(task: &Task) -> bool {
    match task.column {
        Column::Design | Column::Build | Column::Takeover => task.attempt().is_some(),
        Column::Backlog | Column::Review | Column::Done | Column::Canceled => false,
    }
}

fn machine_full(turn: &Turn<'_>, around: &Surroundings) -> Option<(HoldKind, String)> {
    let machine = turn.board.machine;
    let limit = around.settings.wip.machine.max()?;
    (machine.full && !machine.in_hand).then(|| (HoldKind::Machine, format!("machine is full {}/{limit}", machine.used)))
}

/// Asks for a slot of the machine where one is needed and none is in hand; says whether the start
/// has to wait for the answer. Every start takes one, so that all repositories count alike.
pub(super) fn need_slot(turn: &mut Turn<'_>) -> bool {
    let machine = turn.board.machine;
    if machine.in_hand {
        return false;
    }
    if !machine.asked && !machine.full {
        turn.reserve();
    }
    true
}

/// Starts a task: its ended attempt again where that is wanted, else its next attempt.
fn begin(turn: &mut Turn<'_>, id: TaskId) {
    let again = turn.task(id).filter(|t| t.wanted == Some(Wanted::Again)).and_then(Task::attempt).cloned();
    match again {
        Some(attempt) => {
            let resume = super::goes_on(turn.board, &attempt);
            lifecycle::launch(turn, AttemptId { task: id, no: attempt.no }, None, resume);
        }
        None => {
            plan(turn, id);
        }
    }
}

/// Plans the next attempt of a task and orders its worktree.
pub(super) fn plan(turn: &mut Turn<'_>, id: TaskId) -> Option<AttemptId> {
    let task = turn.task(id)?;
    let around = turn.surroundings()?;
    let agent = agent_for(around, task).ok()?;
    let attempt = AttemptId { task: id, no: task.attempt().map_or(AttemptNo::FIRST, |a| a.no.next()) };
    let branch = BranchName::of_attempt(attempt, &task.spec.slug);
    let folder = format!("{id}-{}-{}", attempt.no, task.spec.slug);
    let worktree = around.worktrees.join(folder);
    let ports = ports::for_next(turn.board, around, task).unwrap_or_default();
    let (mode, base, column) = (task.spec.mode, task.spec.base.clone(), task.column);
    let action = turn.next_action();
    let first = if mode == Mode::Checkpoint { Column::Design } else { Column::Build };
    if column != first {
        let reason = if column == Column::Backlog { "there is room" } else { "a new attempt" };
        let moved = Event::TaskMoved { from: column, to: first, by: By::Rule, reason: reason.into() };
        turn.task_event(id, moved);
    }
    let planned = Event::AttemptPlanned {
        agent: agent.clone(),
        mode,
        branch: branch.clone(),
        worktree: worktree.clone(),
        action,
        ports: ports.clone(),
    };
    turn.attempt_event(attempt, planned);
    let at = turn.now.wall;
    turn.order(action, attempt, Action::Prepare { branch, worktree, base, agent, at, ports });
    Some(attempt)
}

/// Writes down why each task that could go on does not.
pub(super) fn explain(turn: &mut Turn<'_>) {
    let census = Census::with_queue(turn);
    let holds = turn.board.tasks.values().filter_map(|task| why_held(turn, &census, task)).collect();
    turn.board.holds = holds;
}

fn why_held(turn: &Turn<'_>, census: &Census<'_>, task: &Task) -> Option<Hold> {
    let (because, text) = match task.column {
        Column::Done | Column::Canceled => teardown::held(turn, task)?,
        Column::Backlog => waiting_to_start(turn, census, task)?,
        _ if task.wanted.is_some() => held(turn, census, task)?,
        Column::Takeover => {
            let waiting = task.messages.iter().filter(|m| m.is_queued()).count();
            (HoldKind::Asks, takeover::hold_text(task.id, task.lease.as_ref(), waiting))
        }
        Column::Design | Column::Build | Column::Review => held_in_work(turn, task)?,
    };
    Some(Hold { task: task.id, because, text })
}

fn waiting_to_start(turn: &Turn<'_>, census: &Census<'_>, task: &Task) -> Option<(HoldKind, String)> {
    held(turn, census, task).or_else(|| {
        let idle = !turn.board.dispatch && task.wanted.is_none();
        idle.then(|| (HoldKind::Dispatch, "nothing is being dispatched".into()))
    })
}

fn held_in_work(turn: &Turn<'_>, task: &Task) -> Option<(HoldKind, String)> {
    if let Some(needs_you) = &task.needs_you {
        return Some((HoldKind::Asks, format!("asks you: {}", one_line(&needs_you.question))));
    }
    if let Some(paused) = pause::hold(task) {
        return Some(paused);
    }
    let attempt = task.attempt()?;
    if let Some((because, text)) = held_message(turn, task, attempt) {
        return Some((because, format!("a message waits: {text}")));
    }
    if quota::waits(attempt) {
        let until = attempt.run.until.or_else(|| attempt.limit.as_ref().map(|l| l.until)).map(quota::limited_until);
        let said = if attempt.run.text.is_empty() { "out of quota" } else { &attempt.run.text };
        return Some((HoldKind::Limited, until.unwrap_or_else(|| one_line(said))));
    }
    if !matches!(task.column, Column::Build | Column::Design) {
        return None;
    }
    match attempt.end() {
        Some(End::Stopped { .. }) => Some((HoldKind::Asks, "stopped; start it again or cancel it".into())),
        Some(End::Exited { .. }) if attempt.checks_ended => {
            Some((HoldKind::Asks, "its checks were ended; verify it, start it again or cancel it".into()))
        }
        _ if attempt.finished && untrusted_checks(turn) => {
            Some((HoldKind::Trust, turn.surroundings()?.untrusted.clone()?))
        }
        _ => None,
    }
}

/// What a message waits for that sets an agent to work again, or brings it back.
fn held_message(turn: &Turn<'_>, task: &Task, attempt: &Attempt) -> Option<(HoldKind, String)> {
    let waiting = task.messages.iter().find(|m| m.attempt == attempt.no && m.is_queued())?;
    match &attempt.phase {
        Phase::Ended { .. } if messages::may_resume(turn.board, attempt, waiting.from) => {
            resume_hold(turn, AttemptId { task: task.id, no: attempt.no })
        }
        Phase::Live { .. } => Some((HoldKind::Build, room::lacks(turn.board, task)?)),
        _ => None,
    }
}

/// Whether the checks may not run, because their commands are not approved, or are not known yet.
pub(super) fn untrusted_checks(turn: &Turn<'_>) -> bool {
    turn.surroundings().is_none_or(|s| s.untrusted.is_some() && !s.settings.verify.checks.is_empty())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
