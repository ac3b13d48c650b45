//! What an earlier board left that this one may know nothing of: numbers of tasks, and hosts.
//!
//! **Invariant:** a number that any trace is left of is not given again, though the log was lost.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::registry;
use crate::model::attempt::{HostFacts, Phase};
use crate::model::board::Board;
use crate::model::input::{HostFound, Input};
use crate::model::name::HostId;

use super::effects::{blocking, stop};
use super::place::Place;
use super::world::World;

/// The highest number of a task that anything here bears: a host, a fence, a worktree or a branch;
/// 0 where there is none. Blocks.
pub(super) fn highest_number(place: &Place) -> u32 {
    let layout = &place.layout;
    let folders = [layout.hosts_dir(), layout.fences_dir(), layout.worktrees_dir().to_owned()];
    let names = folders.iter().flat_map(|dir| names_in(dir));
    let branches = place.repo.attempt_branches(&place.git).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list the branches of attempts");
        Vec::new()
    });
    names.chain(branches).filter_map(|name| number_of(&name)).max().unwrap_or(0)
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The number in `T7`, `T7-1-1` or `T7/1-slug`.
fn number_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix('T')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let ends = rest[end..].is_empty() || rest[end..].starts_with(['-', '/']);
    rest[..end].parse().ok().filter(|_| ends)
}

/// Hosts that live and that the board knows nothing of: its log was lost, or is an older one.
#[derive(Debug, Default, Clone)]
pub(super) struct Unowned(Arc<Mutex<BTreeSet<HostId>>>);

impl Unowned {
    /// Those of the hosts that were found which no attempt of the board has.
    pub(super) fn among<'a>(found: impl Iterator<Item = &'a HostFound>, board: &Board) -> Self {
        let attempts: Vec<&Phase> = board.tasks.values().flat_map(|task| &task.attempts).map(|a| &a.phase).collect();
        let is_known = |found: &HostFacts| {
            attempts.iter().any(|phase| match phase {
                Phase::Live { facts, .. } => facts.id == found.id && facts.nonce == found.nonce,
                Phase::Launching { host, .. } => *host == found.id,
                Phase::Preparing { .. } | Phase::Ended { .. } => false,
            })
        };
        let alive = found.filter_map(|found| match found {
            HostFound::Alive(facts) => Some(facts),
            HostFound::Ended(_) => None,
        });
        Self(Arc::new(Mutex::new(alive.filter(|facts| !is_known(facts)).map(|facts| facts.id.clone()).collect())))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<HostId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// What is said of them above the board. Looks which of them still live.
    pub(super) fn banner(&self, place: &Place) -> Option<String> {
        let mut all = self.lock();
        let lives = |id: &HostId| {
            let found = registry::find(&place.layout.host_dir(id), id.clone());
            // What cannot be seen is not gone.
            found.map_or(true, |record| record.alive)
        };
        all.retain(lives);
        let names: Vec<&str> = all.iter().map(HostId::as_str).collect();
        let (who, them) = match names.len() {
            0 => return None,
            1 => ("1 agent runs".to_owned(), "it"),
            n => (format!("{n} agents run"), "them"),
        };
        Some(format!(
            "{who} that this board knows nothing of ({}); `standup down --all` ends {them} with all others",
            names.join(", ")
        ))
    }

    /// Ends them all, side by side; one that cannot be ended is given up.
    pub(super) fn stop(&self, world: &Arc<World>) {
        for host in self.lock().clone() {
            let (world, all) = (world.clone(), self.clone());
            tokio::spawn(async move {
                let (for_work, of) = (world.clone(), host.clone());
                let outcome = blocking(move || stop(&for_work, &of)).await;
                tracing::info!(%host, ?outcome, "ended a host that the board did not know");
                all.lock().remove(&host);
                // Whoever waits for the end looks again.
                let _ = world.inputs.send(Input::Tick).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_the_names_of_attempts_alone() {
        let read = ["T7", "T12-1-1", "T3/1-slug", "T", "T7x", "7", "main", "T99999999999", "T0-1-a"].map(number_of);
        assert_eq!(read, [Some(7), Some(12), Some(3), None, None, None, None, None, Some(0)]);
    }
}
