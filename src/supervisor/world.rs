//! What every effect needs: the place, the settings as last read, the living hosts, the slots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, watch};

use crate::git::{Shadow, Site};
use crate::model::attempt::HostFacts;
use crate::model::id::{ActionId, AttemptId};
use crate::model::input::{Bases, Input};
use crate::model::name::{BranchName, HostId, Oid, Pattern};
use crate::model::settings::Limit;
use crate::os::process::ProcessId;
use crate::store::slots::{Slot, Slots};
use crate::watch::Watcher;

use super::hosts::Handle;
use super::place::Place;
use super::strangers::Strangers;
use super::surroundings::Loaded;
use super::token::Tokens;

/// Between two tries to get a slot for a start that was under way when a supervisor was killed.
const SLOT_RETRY: std::time::Duration = std::time::Duration::from_millis(500);

/// A look at the main checkout holds for the starts of one burst, and no longer: people commit and
/// start again within a second.
const DIRTY_FOR: std::time::Duration = std::time::Duration::from_millis(250);

/// The look into one attempt's worktree, and what it is compared with.
#[derive(Clone)]
pub(super) struct Look {
    /// The look.
    pub shadow: Arc<Shadow>,
    /// Where the attempt started.
    pub base: Oid,
    /// The branch or revision it started from.
    pub base_name: String,
    /// The attempt's own branch.
    pub branch: BranchName,
}

/// Shared by the loop and everything it sets going.
pub(super) struct World {
    /// The repository and its folders.
    pub place: Place,
    /// This program.
    pub exe: PathBuf,
    /// Tokens of attempts.
    pub tokens: Tokens,
    /// Slots of this machine.
    pub slots: Slots,
    /// Who passed for somebody else.
    pub strangers: Strangers,
    /// The way to the loop.
    pub inputs: mpsc::Sender<Input>,
    /// How many worktrees run checks at once.
    pub checking: Semaphore,
    /// Watches worktrees; absent where it could not be set up.
    pub watcher: Option<Watcher>,
    loaded: RwLock<Arc<Loaded>>,
    hosts: Mutex<BTreeMap<AttemptId, (Handle, HostFacts)>>,
    looks: Mutex<BTreeMap<AttemptId, Look>>,
    guarded: Mutex<BTreeMap<AttemptId, Bounds>>,
    boundaries: Mutex<Option<Vec<Pattern>>>,
    held: Mutex<Held>,
    stopping: Mutex<BTreeSet<AttemptId>>,
    taken: watch::Sender<BTreeSet<AttemptId>>,
    main_dirty: Mutex<Option<(Instant, bool)>>,
    cancels: Mutex<BTreeMap<ActionId, Arc<AtomicBool>>>,
}

/// What an attempt may not change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// What its brief puts off-limits.
    pub off_limits: Vec<Pattern>,
    /// Where its files stood when it began to plan, while it shall do nothing else.
    pub plans_on: Option<Oid>,
}

/// Slots that no host holds yet.
#[derive(Default)]
struct Held {
    in_hand: Option<Slot>,
    by_attempt: BTreeMap<AttemptId, Slot>,
}

/// Says in a slot whose it is; who holds it does not hang on that.
fn give(slot: &Slot, attempt: AttemptId) {
    if let Err(error) = slot.give(attempt.task) {
        tracing::debug!(%error, "a slot does not say whose it is");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world without hosts.
    pub(super) fn new(
        place: Place,
        exe: PathBuf,
        tokens: Tokens,
        slots: Slots,
        inputs: mpsc::Sender<Input>,
        watcher: Option<Watcher>,
        loaded: Loaded,
    ) -> Self {
        let parallel = loaded.effective.settings.verify.parallel.get() as usize;
        Self {
            place,
            exe,
            tokens,
            slots,
            strangers: Strangers::default(),
            inputs,
            checking: Semaphore::new(parallel),
            watcher,
            loaded: RwLock::new(Arc::new(loaded)),
            hosts: Mutex::default(),
            looks: Mutex::default(),
            guarded: Mutex::default(),
            boundaries: Mutex::default(),
            held: Mutex::default(),
            stopping: Mutex::default(),
            taken: watch::Sender::default(),
            main_dirty: Mutex::default(),
            cancels: Mutex::default(),
        }
    }

    /// Settings as last read.
    #[must_use]
    pub(super) fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes settings that were read again.
    pub(super) fn set_loaded(&self, loaded: Loaded) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    /// The way to an attempt's host.
    #[must_use]
    pub(super) fn host(&self, attempt: AttemptId) -> Option<Handle> {
        lock(&self.hosts).get(&attempt).map(|(handle, _)| handle.clone())
    }

    /// The attempts whose hosts are known.
    #[must_use]
    pub(super) fn hosted(&self) -> Vec<AttemptId> {
        lock(&self.hosts).keys().copied().collect()
    }

    /// Takes the way to an attempt's host.
    pub(super) fn set_host(&self, attempt: AttemptId, handle: Handle, facts: HostFacts) {
        lock(&self.hosts).insert(attempt, (handle, facts));
    }

    /// Forgets the way to a host that has ended. The next one of its attempt may be known by then.
    pub(super) fn forget_host(&self, attempt: AttemptId, ended: &HostId) {
        let mut hosts = lock(&self.hosts);
        if hosts.get(&attempt).is_some_and(|(_, facts)| facts.id == *ended) {
            hosts.remove(&attempt);
        }
    }

    /// The first of these processes that is one of our living hosts.
    #[must_use]
    pub(super) fn host_among(&self, kin: &[ProcessId]) -> Option<HostId> {
        let hosts = lock(&self.hosts);
        let host = |of: &ProcessId| {
            let is = |facts: &&HostFacts| (facts.host.pid, facts.host.start) == (of.pid, of.start);
            hosts.values().map(|(_, facts)| facts).find(is).map(|facts| facts.id.clone())
        };
        kin.iter().find_map(host)
    }

    /// The look into an attempt's worktree.
    #[must_use]
    pub(super) fn look(&self, attempt: AttemptId) -> Option<Look> {
        lock(&self.looks).get(&attempt).cloned()
    }

    /// Opens the look into a worktree that exists, where it is not open yet.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn open_look(
        &self,
        attempt: AttemptId,
        site: &Site,
        base: &Oid,
        base_name: &str,
        branch: &BranchName,
    ) -> Result<Look, crate::git::GitError> {
        if let Some(look) = self.look(attempt) {
            return Ok(look);
        }
        let dir = self.place.layout.shadow_dir(attempt);
        let shadow = Shadow::open(&self.place.git, &self.place.repo, site, &dir, &self.loaded().filters)?;
        let base_name = base_name.to_owned();
        Ok(self.keep_look(
            attempt,
            Look { shadow: Arc::new(shadow), base: base.clone(), base_name, branch: branch.clone() },
        ))
    }

    /// Keeps a look.
    pub(super) fn keep_look(&self, attempt: AttemptId, look: Look) -> Look {
        lock(&self.looks).insert(attempt, look.clone());
        look
    }

    /// Records what an attempt may not change; says whether that is news.
    pub(super) fn guard(&self, attempt: AttemptId, bounds: Bounds) -> bool {
        let mut guarded = lock(&self.guarded);
        let news = guarded.get(&attempt) != Some(&bounds);
        if news {
            guarded.insert(attempt, bounds);
        }
        news
    }

    /// Where an attempt's files stood when it began to plan, while it shall do nothing else.
    #[must_use]
    pub(super) fn plans_on(&self, attempt: AttemptId) -> Option<Oid> {
        lock(&self.guarded).get(&attempt)?.plans_on.clone()
    }

    /// Whether what is off-limits for all has changed since this was last asked.
    pub(super) fn boundaries_moved(&self) -> bool {
        let now = &self.loaded().effective.settings.off_limits;
        let mut known = lock(&self.boundaries);
        let moved = known.as_ref().is_some_and(|known| known != now);
        *known = Some(now.clone());
        moved
    }

    /// What an attempt must not touch: what its brief says, and what holds for all.
    #[must_use]
    pub(super) fn off_limits(&self, attempt: AttemptId) -> Vec<Pattern> {
        let mut all = self.loaded().effective.settings.off_limits.clone();
        all.extend(lock(&self.guarded).get(&attempt).into_iter().flat_map(|bounds| &bounds.off_limits).cloned());
        all
    }

    /// Which of these bases name nothing; `None` is the base of tasks that name none. What cannot be
    /// looked at is told by the start.
    pub(super) fn bases(&self, wanted: &BTreeSet<Option<String>>) -> Bases {
        let mut missing = Bases::default();
        let git = &self.place.git;
        let Ok(repo) = self.place.repo.renewed(git) else { return missing };
        let default = self.loaded().effective.settings.base.clone();
        for name in wanted {
            let error = match repo.resolve_base(git, name.as_deref().or(default.as_deref())) {
                Err(error) if error.is_missing_base() => error.to_string(),
                _ => continue,
            };
            match name {
                Some(name) => drop(missing.named.insert(name.clone(), error)),
                None => missing.default = Some(error),
            }
        }
        missing
    }

    /// Reserves a slot of this machine for the next start; says whether one is in hand, and how
    /// many are held by everyone.
    pub(super) fn reserve(&self, limit: Limit) -> (bool, u32) {
        let mut held = lock(&self.held);
        if held.in_hand.is_none() {
            let label = self.place.root().display().to_string();
            match self.slots.reserve(limit, &label) {
                Ok(slot) => held.in_hand = slot,
                Err(error) => tracing::warn!(%error, "cannot reserve a slot"),
            }
        }
        (held.in_hand.is_some(), self.slots.used().unwrap_or(0))
    }

    /// Whether one more slot could be had right now. Where they cannot be counted, the reservation
    /// says why.
    pub(super) fn has_free_slot(&self) -> bool {
        let limit = self.loaded().effective.settings.wip.machine;
        self.slots.used().map_or(true, |used| limit.admits(used))
    }

    /// Gives the slot in hand back.
    pub(super) fn release(&self) {
        lock(&self.held).in_hand = None;
    }

    /// Puts the slot in hand to an attempt's name, until its host takes it over. One that has a
    /// slot already, from its preparation, leaves the one in hand to the start it was reserved for.
    pub(super) fn assign_slot(&self, attempt: AttemptId) {
        let mut held = lock(&self.held);
        if !held.by_attempt.contains_key(&attempt)
            && let Some(slot) = held.in_hand.take()
        {
            give(&slot, attempt);
            held.by_attempt.insert(attempt, slot);
        }
    }

    /// Takes an attempt's slot: for its host, or to drop it.
    pub(super) fn take_slot(&self, attempt: AttemptId) -> Option<Slot> {
        lock(&self.held).by_attempt.remove(&attempt)
    }

    /// Follows the board: remembers whose input is in a person's hands.
    pub(super) fn follow_leases(&self, taken: BTreeSet<AttemptId>) {
        self.taken.send_if_modified(|known| {
            let changed = *known != taken;
            *known = taken;
            changed
        });
    }

    /// Whether an attempt's input is in a person's hands.
    pub(super) fn is_taken_over(&self, attempt: AttemptId) -> bool {
        self.taken.borrow().contains(&attempt)
    }

    /// Whose input is in a person's hands, from now on.
    pub(super) fn leases(&self) -> watch::Receiver<BTreeSet<AttemptId>> {
        self.taken.subscribe()
    }

    /// Follows the board: gives back the slots of attempts that will have no host, and remembers
    /// whose stop was asked for.
    pub(super) fn follow(&self, active: impl Fn(AttemptId) -> bool, stopping: BTreeSet<AttemptId>) {
        lock(&self.held).by_attempt.retain(|attempt, _| active(*attempt));
        *lock(&self.stopping) = stopping;
    }

    /// Whether the stop of an attempt was asked for.
    pub(super) fn is_stopping(&self, attempt: AttemptId) -> bool {
        lock(&self.stopping).contains(&attempt)
    }

    /// An attempt's slot; where it was lost with an earlier supervisor, another one, as soon as
    /// there is one. Blocks. `None` where slots cannot be had at all.
    ///
    /// # Errors
    /// Where the attempt is stopped meanwhile.
    pub(super) fn wait_for_slot(&self, attempt: AttemptId) -> Result<Option<Slot>, String> {
        if let Some(slot) = self.take_slot(attempt) {
            return Ok(Some(slot));
        }
        while !self.is_stopping(attempt) {
            let limit = self.loaded().effective.settings.wip.machine;
            match self.slots.reserve(limit, &self.place.root().display().to_string()) {
                Ok(Some(slot)) => {
                    give(&slot, attempt);
                    return Ok(Some(slot));
                }
                Ok(None) => std::thread::sleep(SLOT_RETRY),
                Err(error) => {
                    tracing::warn!(%error, "starting without a slot");
                    return Ok(None);
                }
            }
        }
        Err("stopped while it waited for a slot of this machine".into())
    }

    /// Whether the main checkout holds changes that are not in the base; found once for many starts
    /// at a time. `look` finds it.
    pub(super) fn is_main_dirty(&self, look: impl FnOnce() -> bool) -> bool {
        let mut known = lock(&self.main_dirty);
        if let Some((_, dirty)) = known.filter(|(at, _)| at.elapsed() < DIRTY_FOR) {
            return dirty;
        }
        let dirty = look();
        *known = Some((Instant::now(), dirty));
        dirty
    }

    /// A flag that ends the checks of an order. Taken as soon as they are ordered: they may be dropped
    /// before there is a place for them.
    pub(super) fn begin_checks(&self, action: ActionId) -> Arc<AtomicBool> {
        lock(&self.cancels).entry(action).or_default().clone()
    }

    /// Ends all checks but those that are still wanted.
    pub(super) fn cancel_checks_but(&self, wanted: impl Fn(ActionId) -> bool) {
        lock(&self.cancels).retain(|action, flag| {
            let keep = wanted(*action);
            if !keep {
                flag.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            keep
        });
    }
}
