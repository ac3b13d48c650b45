//! Usage limits and logins: what an agent without quota or login holds up, and how it goes on.
//!
//! **Invariant:** an attempt that ran into a limit goes on once for each limit, after its end, and
//! not all at the same moment; an agent that is logged out in several tasks starts no more until
//! one of them goes on. Must not know: what a CLI says about either.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::attempt::Attempt;
use crate::model::board::{Board, HoldKind, Task};
use crate::model::event::{Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::message::{Delivery, From};
use crate::model::name::AgentName;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::{Span, Wall};

use super::turn::Turn;

/// Over this time the attempts that a limit held up go on: all at once they would run into the
/// next one together.
const SPREAD_MS: u64 = 60_000;

/// A wall clock's time is looked at again at least this often: a machine that slept has missed it.
const LOOK: Span = Span::secs(60);

/// What an agent is told when its limit has ended.
const GO_ON: &str = "The usage limit has ended. Go on where you stopped.";

/// Logged-out tasks of one agent from which on it is the agent's matter and not theirs.
const LOGGED_OUT: usize = 2;

/// Whether an attempt waits for the end of a usage limit, or for its turn to go on after it: no
/// deadline runs meanwhile.
#[must_use]
pub fn waits(attempt: &Attempt) -> bool {
    attempt.host().is_some() && (attempt.run.kind == RunKind::Limited || attempt.limit.is_some())
}

/// Notes limits, and lets attempts go on after them.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| one(turn, id)) || logins(turn)
}

fn one(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((of, attempt)) = turn.newest(id) else { return false };
    let run = &attempt.run;
    let closed = turn.task(id).is_none_or(|t| t.column.is_closed() || t.column == Column::Takeover);
    let over = attempt.host().is_none() || attempt.stopping.is_some() || closed;
    let ahead = |until: &Wall| run.kind == RunKind::Limited && *until > turn.now.wall;
    let reached = run.until.filter(|until| !over && ahead(until));
    let Some(limit) = attempt.limit.clone() else {
        if let Some(until) = reached {
            turn.attempt_event(of, Event::LimitReached { until });
        }
        return reached.is_some();
    };
    if let Some(until) = reached.filter(|until| *until != limit.until) {
        turn.attempt_event(of, Event::LimitReached { until });
        return true;
    }
    let works = run.kind == RunKind::Working || run.kind == RunKind::Idle && run.turn_over;
    let settled = limit.msg.is_some_and(|msg| {
        let message = turn.task(id).and_then(|t| t.messages.iter().find(|m| m.id == msg));
        message.is_none_or(|m| matches!(m.delivery, Delivery::Delivered | Delivery::Unknown | Delivery::Withdrawn))
    });
    if over || works || settled {
        turn.attempt_event(of, Event::LimitEnded {});
        return true;
    }
    limit.msg.is_none() && go_on(turn, of, limit.until)
}

/// Tells an attempt once that its limit has ended; what a person says to it does as well.
fn go_on(turn: &mut Turn<'_>, id: AttemptId, until: Wall) -> bool {
    if !is_due(turn, Wall(until.0.saturating_add(stagger(id)))) || turn.is_told(id) {
        return false;
    }
    let Some(attempt) = turn.current(id).filter(|a| a.readable && a.run.kind == RunKind::Idle) else { return false };
    if !turn.reads(attempt) {
        turn.attempt_event(id, Event::LimitEnded {});
        return true;
    }
    let msg = turn.next_msg();
    turn.attempt_event(id, Event::MessageQueued { msg, from: From::Limit, text: GO_ON.to_owned(), now: false });
    turn.attempt_event(id, Event::LimitWaited { msg });
    true
}

/// Whether a time of the wall clock has come.
fn is_due(turn: &mut Turn<'_>, at: Wall) -> bool {
    if turn.now.wall >= at {
        return true;
    }
    let left = at.since(turn.now.wall).min(LOOK);
    turn.wake(turn.now.mono + left);
    false
}

/// When after the end of a limit an attempt goes on, in milliseconds: always the same, and not the
/// same for all (FNV-1a over its id).
fn stagger(id: AttemptId) -> i64 {
    let hash = id
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    i64::try_from((hash >> 16) % SPREAD_MS).unwrap_or(0)
}

/// Why an agent may not be started at all; `None` where it may.
pub(super) fn hold(turn: &Turn<'_>, agent: &AgentName) -> Option<(HoldKind, String)> {
    let board = &*turn.board;
    if board.logins.get(agent).is_some_and(|l| l.out) {
        let tasks: Vec<String> = logged_out(board).remove(agent)?.iter().map(ToString::to_string).collect();
        let first = tasks.first()?;
        let text = format!("{agent} is logged out in {}; standup attach {first}", tasks.join(", "));
        return Some((HoldKind::Agent, text));
    }
    let until = |a: &Attempt| a.run.until.filter(|_| waits(a)).or_else(|| a.limit.as_ref().map(|l| l.until));
    let limited = board.tasks.values().filter_map(Task::attempt).filter(|a| a.agent == *agent && waits(a));
    let until = limited.filter_map(until).filter(|until| *until > turn.now.wall).max()?;
    Some((HoldKind::Limited, format!("{agent} is {}", limited_until(until))))
}

/// `limited until 2026-11-21 15:00 UTC`; who shows it to a person says the time of that place.
pub(super) fn limited_until(until: Wall) -> String {
    format!("limited until {}", until.minute())
}

/// Tasks whose agent wants a login, by agent.
fn logged_out(board: &Board) -> BTreeMap<AgentName, BTreeSet<TaskId>> {
    let mut all: BTreeMap<AgentName, BTreeSet<TaskId>> = BTreeMap::new();
    for task in board.tasks.values() {
        let login = task.needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Login);
        if let Some(attempt) = task.attempt().filter(|a| login && a.is_active()) {
            all.entry(attempt.agent.clone()).or_default().insert(task.id);
        }
    }
    all
}

/// Pauses an agent that is logged out in several tasks, until one of them goes on.
fn logins(turn: &mut Turn<'_>) -> bool {
    let now = logged_out(turn.board);
    let mut agents: BTreeSet<AgentName> = now.keys().cloned().collect();
    agents.extend(turn.board.logins.keys().cloned());
    agents.into_iter().any(|agent| login(turn, &agent, now.get(&agent).cloned().unwrap_or_default()))
}

fn login(turn: &mut Turn<'_>, agent: &AgentName, asking: BTreeSet<TaskId>) -> bool {
    let before = turn.board.logins.get(agent).cloned().unwrap_or_default();
    let agent = agent.clone();
    if !before.out {
        // Those that were left over when another went on are known to a person already.
        let fresh = asking.difference(&before.known).count();
        if fresh >= LOGGED_OUT {
            turn.board_event(Event::AgentLoggedOut { agent, tasks: asking.into_iter().collect() });
        }
        return fresh >= LOGGED_OUT;
    }
    let goes_on = |id: &TaskId| {
        let run = turn.task(*id).and_then(Task::attempt).filter(|a| a.is_active()).map(|a| a.run.kind);
        matches!(run, Some(RunKind::Working | RunKind::Idle))
    };
    let lifted = asking.is_empty() || before.tasks.difference(&asking).any(goes_on);
    if lifted {
        turn.board_event(Event::AgentLoggedIn { agent, left: asking.into_iter().collect() });
    }
    lifted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_do_not_go_on_all_at_once_and_always_at_the_same_time() {
        let ids: Vec<AttemptId> = (1..=50).map(|n| format!("T{n}/1").parse().expect("an id")).collect();
        let all: BTreeSet<i64> = ids.iter().map(|id| stagger(*id) / 1_000).collect();
        assert!(all.len() > 25, "{all:?}");
        assert!(ids.iter().all(|id| (0..60_000).contains(&stagger(*id)) && stagger(*id) == stagger(*id)));
    }
}
