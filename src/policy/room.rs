//! Room in Build: what an attempt counts by its mode, and who goes first where that does not fit.
//!
//! **Invariant:** together no more is in Build than its limit, but for one alone that counts more
//! than the limit by itself; and what waits for room is not overtaken by what is lighter and comes
//! after it, so that it is not put off for ever. Must not know: why else a task may be held.

use std::cmp::Reverse;

use crate::model::attempt::Phase;
use crate::model::board::{Board, HoldKind, Task};
use crate::model::id::TaskId;
use crate::model::settings::{Mode, Priority, Wip};
use crate::model::state::RunKind;

use super::messages;
use super::turn::Turn;

/// Where a task stands in the queue: what a person wants started first, then by priority, then the
/// oldest.
pub(super) type Place = (bool, Reverse<Priority>, TaskId);

/// The place of a task that is to be started.
pub(super) fn place(task: &Task) -> Place {
    (task.wanted.is_none(), Reverse(task.spec.priority), task.id)
}

/// Why an attempt of this mode does not fit beside what is used; `None` where it does.
pub(super) fn short(wip: Wip, used: u32, id: TaskId, mode: Mode) -> Option<String> {
    let weight = wip.weight.of(mode);
    if wip.build.has_room(used, weight) {
        return None;
    }
    let max = wip.build.max().unwrap_or(0);
    Some(match used >= max {
        true => format!("build is full {used}/{max}"),
        false => format!("build is at {used}/{max}, and {id} counts {weight} ({mode})"),
    })
}

/// What an attempt of a task counts already.
pub(super) fn own(board: &Board, task: &Task) -> u32 {
    if task.occupies_build() { board.weights().of(task.mode()) } else { 0 }
}

/// Why the agent of a task may not be set to work; `None` where it may, or is.
pub(super) fn lacks(board: &Board, task: &Task) -> Option<String> {
    let wip = board.surroundings.as_ref()?.settings.wip;
    if task.occupies_build() {
        return None;
    }
    short(wip, board.build_used(), task.id, task.mode())
}

/// Who waits for room, and from which place on nobody takes it away.
pub(super) struct Ahead {
    who: TaskId,
    weight: u32,
    /// `None`: before everybody who is to be started.
    place: Option<Place>,
    why: String,
}

impl Ahead {
    /// One that is to be started.
    pub(super) fn starting(board: &Board, task: &Task, why: String) -> Self {
        Self { who: task.id, weight: board.weights().of(task.next_mode()), place: Some(place(task)), why }
    }

    /// Why another may not start before it; `None` where it may: it comes first, takes no room that
    /// it has not already, or there is enough for both.
    pub(super) fn holds(&self, board: &Board, task: &Task) -> Option<String> {
        let wip = board.surroundings.as_ref()?.settings.wip;
        let (own, weight) = (own(board, task), wip.weight.of(task.next_mode()));
        let after = self.place.as_ref().is_none_or(|first| place(task) > *first);
        let beside = board.build_used().saturating_sub(own).saturating_add(self.weight);
        let takes = weight > own && !wip.build.has_room(beside, weight);
        (task.id != self.who && after && takes).then(|| format!("{} goes first: {}", self.who, self.why))
    }
}

/// An agent of some weight that something is to be said to, or that is to be brought back for it, as
/// soon as there is room: it has worked before, so it goes before everybody who has not. `held` says
/// what else it waits for.
pub(super) fn spoken_to(turn: &Turn<'_>, held: impl Fn(&Task) -> Option<(HoldKind, String)>) -> Option<Ahead> {
    let weights = turn.board.weights();
    turn.board.tasks.values().filter(|task| weights.of(task.mode()) > 1 && is_spoken_to(turn, task)).find_map(|task| {
        let weight = weights.of(task.mode());
        let why = match held(task) {
            Some((HoldKind::Build, why)) => why,
            Some(_) => return None,
            None => format!("a message for it is about to be typed, and it counts {weight} ({})", task.mode()),
        };
        Some(Ahead { who: task.id, weight, place: None, why })
    })
}

/// Whether a message waits for an agent that would take it up, and has no place in Build.
fn is_spoken_to(turn: &Turn<'_>, task: &Task) -> bool {
    let free = task.wanted.is_none() && task.paused.is_none() && !task.is_taken_over() && !task.column.is_closed();
    let Some(attempt) = task.attempt().filter(|_| free && !task.occupies_build()) else { return false };
    let mut waiting = task.messages.iter().filter(|m| m.attempt == attempt.no && m.is_queued());
    match attempt.phase {
        Phase::Live { .. } => {
            let hears = attempt.readable && attempt.run.kind != RunKind::Waiting && attempt.stopping.is_none();
            // One that listens for an answer elsewhere is not typed to.
            let listens = attempt.listens_until.is_some_and(|until| until > turn.now.mono);
            hears && !listens && waiting.next().is_some()
        }
        Phase::Ended { .. } => waiting.any(|m| messages::may_resume(turn.board, attempt, m.from)),
        Phase::Preparing { .. } | Phase::Launching { .. } => false,
    }
}
