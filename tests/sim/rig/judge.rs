//! What must hold of each step, and the picture of a board that a failure shows.

use std::collections::{BTreeMap, BTreeSet};

use standup::model::board::{Board, Task};
use standup::model::event::{Event, Record};
use standup::model::id::TaskId;
use standup::model::input::Surroundings;
use standup::model::name::AgentName;
use standup::model::settings::Limit;
use standup::model::task::Column;

/// Whether a task is given back to its agent.
pub(super) fn is_handback(record: &Record) -> bool {
    matches!(record.event, Event::HandedBack { .. })
}

/// While a task is in a person's hands nothing is typed, started, or checked by a rule.
pub(super) fn follow(taken: &mut BTreeSet<TaskId>, record: &Record) {
    let Some(task) = record.task else { return };
    match &record.event {
        Event::TaskMoved { to: Column::Takeover, .. } => {
            taken.insert(task);
        }
        Event::TaskMoved { .. } => {
            taken.remove(&task);
        }
        Event::MessageTyping { .. } | Event::LaunchPlanned { .. } | Event::ChecksStarted { asked: false, .. } => {
            assert!(!taken.contains(&task), "{task} is in a person's hands, and yet {:?}", record.event);
        }
        _ => {}
    }
}

/// What limits are about.
pub(super) struct Used {
    build: u32,
    /// Attempts in Build, whatever each counts.
    attempts: usize,
    agents: BTreeMap<AgentName, u32>,
}

impl Used {
    pub(super) fn of(board: &Board, around: &Surroundings) -> Self {
        let running = |name: &AgentName| {
            let active = |t: &&Task| t.attempt().is_some_and(|a| a.is_active() && a.agent == *name);
            u32::try_from(board.tasks.values().filter(active).count()).expect("few")
        };
        let agents = around.settings.agents.keys().map(|name| (name.clone(), running(name))).collect();
        let attempts = board.tasks.values().filter(|t| t.occupies_build()).count();
        Self { build: board.build_used(), attempts, agents }
    }

    /// Whatever grows ends within its limit.
    pub(super) fn check_growth(&self, after: &Self, around: &Surroundings) {
        let fits =
            |before: u32, after: u32, limit: Limit| after <= before || limit.max().is_none_or(|max| after <= max);
        // One that counts more than there is runs alone.
        let fits_in_build = after.attempts == 1 || fits(self.build, after.build, around.settings.wip.build);
        assert!(fits_in_build, "build {} → {}", self.build, after.build);
        for (name, now) in &after.agents {
            let before = self.agents.get(name).copied().unwrap_or(0);
            assert!(fits(before, *now, around.settings.agents[name].max), "agent {name}: {before} → {now}");
        }
    }
}

/// What a person would look at when something does not go on.
pub(crate) fn picture(board: &Board) -> String {
    let mut lines = vec![format!("dispatch {} {:?}", board.dispatch, board.machine)];
    for task in board.tasks.values() {
        let attempt = task.attempt().map(|a| {
            format!(
                "{:?} run {:?} over {} finished {} asks {:?} stopping {:?} checking {:?} judged {:?} reds {} tree {:?}",
                a.phase,
                a.run.kind,
                a.run.turn_over,
                a.finished,
                a.asks,
                a.stopping,
                a.checking,
                a.judged
                    .as_ref()
                    .map(|j| (j.verdict.outcome, j.verdict.tree.as_ref().map(|t| t.as_str()[36..].to_owned()))),
                a.reds,
                a.tree.as_ref().map(|t| &t.as_str()[36..])
            )
        });
        let hold = board.holds.iter().find(|h| h.task == task.id).map(|h| &h.text);
        let needs = task.needs_you.as_ref().map(|n| &n.question);
        let messages: Vec<_> = task.messages.iter().rev().take(3).map(|m| (m.attempt.get(), &m.delivery)).collect();
        lines.push(format!(
            "{} {} wanted {:?} needs-you {needs:?} held {hold:?}\n     {attempt:?}\n     {messages:?}",
            task.id, task.column, task.wanted
        ));
    }
    lines.join("\n")
}
