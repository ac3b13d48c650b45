//! Which of an agent's processes is a tool that it waits for.
//!
//! One that reports its turns runs tools in sessions of their own, its helpers in its own; what is
//! older than the turn is a server that was left running before it. One that reports nothing may run
//! either anywhere. Its turn begins with its launch or with what was typed last, and whatever lives
//! since then may be its tool, until the agent is seen to go on beside it: whoever starts another
//! child, or has waited for the end of one, does not wait for this one.
//!
//! **Invariant:** what was once seen to be no tool never is one again. Must not know: what follows
//! for the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::os::process::{ProcessId, Stat, age_ms, name};

/// How long before the turn by our account a tool of it may have begun: a report is a moment late.
/// Children that are started at once begin no further apart, either.
pub(super) const TURN_SLACK_MS: u64 = 2_000;

/// Programs that only run others: what they run is the better name.
const WRAPPERS: [&str; 10] =
    ["sh", "bash", "zsh", "dash", "fish", "timeout", "env", "nohup", "bwrap", "codex-linux-sandbox"];

/// A process of an agent's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kin {
    id: ProcessId,
    parent: u32,
    session: u32,
    /// How many page faults children had that it has waited for: grows with each of them.
    reaped: u64,
    /// Its age in milliseconds.
    age: u64,
}

impl Kin {
    /// What a process is now; `None` once it is gone.
    pub(super) fn read(id: ProcessId) -> Option<Self> {
        let stat = Stat::read(id.pid).filter(|stat| stat.start == id.start)?;
        // One whose age cannot be had is as young as can be.
        let age = age_ms(id.start).unwrap_or(0);
        Some(Self { id, parent: stat.parent, session: stat.session, reaped: stat.reaped_faults, age })
    }
}

/// What is remembered of an agent's children between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tools {
    /// What their parents had waited for when each was first seen.
    first: BTreeMap<ProcessId, u64>,
    /// Those beside which the agent went on.
    beside: BTreeSet<ProcessId>,
}

impl Tools {
    /// Those that another supervisor saw to be no tools.
    pub(super) fn of(beside: &[ProcessId]) -> Self {
        Self { first: BTreeMap::new(), beside: beside.iter().copied().collect() }
    }

    /// Those that are no tools.
    pub(super) fn beside(&self) -> Vec<ProcessId> {
        self.beside.iter().copied().collect()
    }

    /// The tools of an agent that reports nothing, which are no older than its turn, and have lived for
    /// a moment: what ends sooner is no reason for silence. All in milliseconds.
    pub(super) fn unreported(&mut self, agent: Kin, family: &[Kin], turn: u64, moment: u64) -> Vec<ProcessId> {
        let lives = |id: &ProcessId| family.iter().any(|kin| kin.id == *id);
        self.first.retain(|id, _| lives(id));
        self.beside.retain(lives);
        let (mut found, mut parents, mut next) = (Vec::new(), vec![agent], 0);
        while let Some(parent) = parents.get(next).copied() {
            next += 1;
            let children: Vec<Kin> = family.iter().filter(|kin| kin.parent == parent.id.pid).copied().collect();
            for child in &children {
                let first = *self.first.entry(child.id).or_insert(parent.reaped);
                let younger = |other: &Kin| other.age + TURN_SLACK_MS < child.age;
                if parent.reaped > first || children.iter().any(younger) {
                    self.beside.insert(child.id);
                }
                if self.beside.contains(&child.id) {
                    continue;
                }
                if (moment..=turn).contains(&child.age) {
                    found.push(child.id);
                }
                parents.push(*child);
            }
        }
        found
    }
}

/// The tools of an agent that reports its turns, where the last began so many milliseconds ago.
pub(super) fn reported(agent: Kin, family: &[Kin], turn: u64) -> Vec<ProcessId> {
    family.iter().filter(|kin| kin.session != agent.session && kin.age <= turn).map(|kin| kin.id).collect()
}

/// What a tool is called.
pub(super) fn called(tools: &[ProcessId]) -> Option<String> {
    let names: Vec<String> = tools.iter().filter_map(|tool| name(tool.pid)).collect();
    let first = names.first().cloned();
    names.into_iter().find(|name| !WRAPPERS.contains(&name.as_str())).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Kin = kin(1, 0, 600_000);

    const fn kin(pid: u32, parent: u32, age: u64) -> Kin {
        Kin { id: ProcessId { pid, start: 1 }, parent, session: 1, reaped: 0, age }
    }

    fn tools(of: &mut Tools, agent: Kin, family: &[Kin]) -> Vec<u32> {
        of.unreported(agent, family, 600_000, 1_000).iter().map(|id| id.pid).collect()
    }

    #[test]
    fn a_child_in_whatever_session_is_a_tool_and_so_is_what_it_runs() {
        let far = Kin { session: 9, ..kin(4, 3, 40_000) };
        let family = [kin(3, 1, 50_000), far];
        assert_eq!(tools(&mut Tools::default(), AGENT, &family), [3, 4]);
        assert_eq!(reported(AGENT, &family, 600_000), [far.id], "where turns are reported, helpers are at home");
    }

    #[test]
    fn a_helper_is_none_once_the_agent_has_gone_on_beside_it() {
        // A language server, which runs something itself.
        let server = [kin(3, 1, 50_000), kin(4, 3, 40_000)];
        let mut of = Tools::default();
        assert_eq!(tools(&mut of, AGENT, &server), [3, 4], "nobody knows yet");
        // A command that was started later and runs.
        let with_tool = [server[0], server[1], kin(5, 1, 10_000)];
        assert_eq!(tools(&mut of, AGENT, &with_tool), [5]);
        assert_eq!(tools(&mut of, AGENT, &server), [] as [u32; 0], "it does not become one again");
        // So the next supervisor knows it.
        assert_eq!(tools(&mut Tools::of(&of.beside()), AGENT, &server), [] as [u32; 0]);
        // One that came and went between two looks.
        let mut of = Tools::default();
        assert_eq!(tools(&mut of, AGENT, &server[..1]), [3]);
        assert_eq!(tools(&mut of, Kin { reaped: 90, ..AGENT }, &server[..1]), [] as [u32; 0]);
    }

    #[test]
    fn two_that_are_started_at_once_are_both_waited_for() {
        let mut of = Tools::default();
        assert_eq!(tools(&mut of, AGENT, &[kin(3, 1, 50_000), kin(4, 1, 48_500)]), [3, 4]);
        // What the older of them waited for is nothing of the agent's.
        let older = Kin { reaped: 7, ..kin(3, 1, 60_000) };
        assert_eq!(tools(&mut of, AGENT, &[older, kin(4, 1, 58_500)]), [3, 4]);
    }

    #[test]
    fn what_is_older_than_the_turn_or_only_just_began_is_no_reason() {
        let mut of = Tools::default();
        assert_eq!(tools(&mut of, AGENT, &[kin(3, 1, 700_000), kin(4, 1, 699_000)]), [] as [u32; 0]);
        assert_eq!(tools(&mut Tools::default(), AGENT, &[kin(3, 1, 999)]), [] as [u32; 0]);
    }
}
