//! Plain data that stories and the simulation begin with, and a board as its events alone give it.
//! Taken in by `#[path = "../support/plain.rs"] mod plain;`.

use std::collections::BTreeMap;

use standup::model::board::{Board, MachineSlots};
use standup::model::input::{AgentFacts, Bases};
use standup::model::name::AgentName;
use standup::model::settings::{AgentSettings, Limit};
use standup::model::time::Now;
use standup::model::usage::Told;

/// An agent's name.
pub(crate) fn agent(name: &str) -> AgentName {
    AgentName::new(name).expect("a name")
}

/// An agent of an adapter, as if nothing but its command were said.
pub(crate) fn settings_of(adapter: &str) -> AgentSettings {
    AgentSettings {
        adapter: adapter.into(),
        command: vec![adapter.into()],
        args: Vec::new(),
        env: BTreeMap::new(),
        max: Limit::Unlimited,
        prompt: None,
    }
}

/// An agent that can be started, resumed and told something.
pub(crate) fn facts_of(stop_hook: bool) -> AgentFacts {
    AgentFacts {
        unusable: None,
        resumes: true,
        reads: true,
        unconfined: None,
        stop_hook,
        tokens_told: Told::Always,
        cost_told: Told::AtEnd,
        plan_unenforced: None,
        prompted: true,
    }
}

/// A board without what is only observed.
pub(crate) fn plain(board: &Board) -> Board {
    let mut board = board.clone();
    (board.surroundings, board.machine) = (None, MachineSlots::default());
    board.bases = Bases::default();
    board.holds.clear();
    board.recovered = None;
    for attempt in board.tasks.values_mut().flat_map(|t| &mut t.attempts) {
        attempt.readable = false;
        attempt.dialog = None;
        attempt.listens_until = None;
        attempt.run.source = None;
        attempt.run.at = Now::default();
    }
    board
}
