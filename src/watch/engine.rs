//! The watching thread: takes wishes and events, keeps the watches true, tells what it saw.
//!
//! **Invariant:** the thread sleeps until there is an event, a wish, or something due; nothing is
//! due at rest. A tree's watches are those of its last walk plus what was announced since.
//! Must not know: who listens.

mod plant;
mod seen;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::model::id::AttemptId;
use crate::model::time::{Mono, Span};
use crate::os::clock;

use super::beneath::Node;
use super::debounce::{Debounce, GAP};
use super::dirs::{Dir, Dirs, Wd};
use super::ignores::{Cache, Rules};
use super::poll::{self, Poll};
use super::source::{self, Refused, Source};
use super::walk::{Ground, Start, Stopped};
use super::{Shared, WatchEvent, Wish};
use plant::{Harvest, Planter, unwatch};

/// After events, so long no more are read: a writer that never stops then costs a hundred
/// wake-ups a second at most, and nobody sees the difference.
const NAP: Span = Span(10);

/// Outbox events told one by one in a turn; a burst beyond it is told by one more.
const LETTERS: usize = 32;

/// The thread's state.
pub(super) struct Engine<F> {
    shared: Arc<Shared>,
    woken: UnixStream,
    sink: F,
    source: Option<Source>,
    /// Why there is no source.
    unsupported: Option<String>,
    trees: BTreeMap<u32, Tree>,
    next_tree: u32,
    dirs: Dirs,
    debounce: Debounce,
    cache: Cache,
    /// When trees that need more than an event can tell are looked after.
    chores: Option<Mono>,
    /// Events were dropped: one of the chores is to go through all trees again.
    dropped: bool,
    /// The last file that was judged, as events of one file come in rows.
    last: Option<(Wd, OsString, bool)>,
}

/// One attempt's worktree.
struct Tree {
    key: AttemptId,
    root: PathBuf,
    /// The same without any links, as events name it.
    place: PathBuf,
    /// Relative to the root.
    outbox: PathBuf,
    /// Which directory the root is.
    identity: Option<Node>,
    rules: Rules,
    /// `None` while it is watched properly.
    poll: Option<Poll>,
    /// Counts walks, so that what the last one did not find can be told.
    round: u8,
    /// Its rules changed: a chore is to walk again.
    rules_changed: bool,
    /// Something went from the root, perhaps the root itself: a chore is to look.
    root_in_doubt: bool,
    /// Its watch ended though it is still there: a chore is to walk again, and to say so.
    missed: bool,
    /// Letters told in this turn.
    letters: usize,
    /// The last letter that was not told.
    untold: Option<OsString>,
}

impl Tree {
    /// Whether something that is no directory lies in the place of the outbox, or on the way to it.
    fn is_blocked(&self) -> bool {
        let mut at = self.root.clone();
        self.outbox.iter().any(|part| {
            at.push(part);
            std::fs::symlink_metadata(&at).is_ok_and(|meta| !meta.is_dir())
        })
    }
}

impl<F: FnMut(WatchEvent)> Engine<F> {
    pub(super) fn new(shared: Arc<Shared>, woken: UnixStream, sink: F) -> Self {
        let (source, unsupported) = match Source::open() {
            Ok(source) => (Some(source), None),
            Err(e) => (None, Some(format!("the system gives no file events: {e}"))),
        };
        Self {
            shared,
            woken,
            sink,
            source,
            unsupported,
            trees: BTreeMap::new(),
            next_tree: 1,
            dirs: Dirs::default(),
            debounce: Debounce::default(),
            cache: Cache::default(),
            chores: None,
            dropped: false,
            last: None,
        }
    }

    /// Runs until the watcher is dropped.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.obey();
            let seen = self.drain();
            self.do_due();
            self.tell_untold();
            if seen {
                self.wait(false, Some(NAP));
            } else {
                let now = clock::now().mono;
                self.wait(true, self.next_due().map(|due| due.since(now)));
            }
        }
    }

    fn next_due(&self) -> Option<Mono> {
        let polls = self.trees.values().filter_map(|tree| tree.poll.as_ref()).map(|poll| poll.next);
        polls.chain(self.debounce.next()).chain(self.chores).min()
    }

    /// Sleeps until a wish, an event (where `events` are wanted) or the end of `limit`.
    fn wait(&mut self, events: bool, limit: Option<Span>) {
        let timeout = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.0 / 1_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(limit.0 % 1_000).unwrap_or(0) * 1_000_000,
        });
        let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
        if let Some(source) = self.source.as_ref().filter(|_| events) {
            fds.push(PollFd::from_borrowed_fd(source.fd(), PollFlags::IN));
        }
        // An interrupted wait is a short one.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        let mut bytes = [0; 64];
        while matches!((&self.woken).read(&mut bytes), Ok(n) if n > 0) {}
    }

    fn obey(&mut self) {
        for (key, wish) in self.shared.take_wishes() {
            let freed = self.remove(key);
            match wish {
                Wish::Remove if freed => self.retry(),
                Wish::Remove => {}
                Wish::Add { root, outbox } => self.add(key, root, &outbox),
            }
        }
    }

    fn add(&mut self, key: AttemptId, root: PathBuf, outbox: &Path) {
        let inside = outbox.strip_prefix(&root).map(Path::to_owned).ok();
        if inside.is_none() {
            let why = format!("the outbox {} lies outside of the worktree and is not watched", outbox.display());
            (self.sink)(WatchEvent::Degraded { key, why, every: poll::EVERY });
        }
        let place = std::fs::canonicalize(&root).unwrap_or_else(|_| root.clone());
        // One directory has one watch: the last who asks for it gets it.
        if let Some(other) = self.trees.values().find(|tree| tree.place == place).map(|tree| tree.key) {
            self.remove(other);
        }
        let id = self.next_tree;
        self.next_tree += 1;
        let tree = Tree {
            key,
            identity: Node::at(&root),
            outbox: inside.unwrap_or_default(),
            rules: Rules::default(),
            poll: None,
            round: 0,
            rules_changed: false,
            root_in_doubt: false,
            missed: false,
            letters: 0,
            untold: None,
            root,
            place,
        };
        let remote = remote(&tree.root);
        self.trees.insert(id, tree);
        if let Some(kind) = remote {
            self.degrade(id, format!("{kind} does not tell what changes from other machines"));
        } else if let Some(why) = self.unsupported.clone() {
            self.degrade(id, why);
        } else {
            self.plant(id, Self::ready);
        }
    }

    /// Forgets an attempt; returns whether it had watches.
    fn remove(&mut self, key: AttemptId) -> bool {
        let Some(id) = self.trees.iter().find(|(_, tree)| tree.key == key).map(|(id, _)| *id) else { return false };
        self.trees.remove(&id);
        self.debounce.forget(key);
        self.uproot(id, |_| true) > 0
    }

    /// After watches became free: those that got none may have them.
    fn retry(&mut self) {
        let waiting: Vec<u32> = self.trees.iter().filter(|(_, t)| t.poll.is_some()).map(|(id, _)| *id).collect();
        for id in waiting {
            if self.source.is_none() || self.trees.get(&id).is_none_or(|tree| remote(&tree.root).is_some()) {
                continue;
            }
            let Some(before) = self.trees.get_mut(&id).and_then(|tree| tree.poll.take()) else { continue };
            match self.plant_quietly(id) {
                Ok(letters) => {
                    self.ready(id);
                    self.tell_letters(id, letters);
                }
                Err(_) => {
                    self.uproot(id, |_| true);
                    if let Some(tree) = self.trees.get_mut(&id) {
                        tree.poll = Some(before);
                    }
                }
            }
        }
    }

    fn ready(&mut self, id: u32) {
        if let Some(tree) = self.trees.get(&id) {
            (self.sink)(WatchEvent::Ready { key: tree.key, directories: self.dirs.count(id) });
        }
    }

    /// Ends the watches of a tree for which `which` holds; returns how many.
    fn uproot(&mut self, id: u32, which: impl Fn(&Dir) -> bool) -> usize {
        let watches = self.dirs.of(id, which);
        if let Some(source) = &mut self.source {
            unwatch(source, &mut self.dirs, &watches);
        }
        watches.len()
    }

    /// Watches all of a tree, anew where it was before, and tells so by `tell`; or tells why not.
    fn plant(&mut self, id: u32, tell: impl FnOnce(&mut Self, u32)) {
        match self.plant_quietly(id) {
            Ok(letters) => {
                tell(self, id);
                self.tell_letters(id, letters);
            }
            Err(stopped) => self.stopped(id, stopped),
        }
    }

    fn plant_quietly(&mut self, id: u32) -> Result<Vec<OsString>, Stopped> {
        let Some(tree) = self.trees.get_mut(&id) else { return Err(Stopped::Gone) };
        tree.round = tree.round.wrapping_add(1);
        tree.rules = Rules::outside(&tree.root, &mut self.cache);
        let round = tree.round;
        let found = self.grow(id, Start::root(), false)?;
        self.uproot(id, |dir| dir.round != round);
        self.dirs.tidy();
        self.last = None;
        Ok(found.letters)
    }

    /// Watches everything from `start` on.
    fn grow(&mut self, id: u32, start: Start, wants_files: bool) -> Result<Harvest, Stopped> {
        let (Some(tree), Some(source)) = (self.trees.get_mut(&id), &mut self.source) else { return Err(Stopped::Gone) };
        let mut planter = Planter {
            source,
            dirs: &mut self.dirs,
            tree: id,
            place: &tree.place,
            round: tree.round,
            wants_files,
            harvest: Harvest::default(),
        };
        let mut ground =
            Ground { root: &tree.root, outbox: &tree.outbox, rules: &mut tree.rules, cache: &mut self.cache };
        let walked = ground.walk(start, &mut planter);
        let harvest = planter.harvest;
        for &other in &harvest.displaced {
            self.doubt(other);
        }
        walked.map(|()| harvest)
    }

    /// A tree cannot be watched to its end.
    fn stopped(&mut self, id: u32, stopped: Stopped) {
        let why = match stopped {
            Stopped::Gone => return self.gone(id),
            Stopped::Unreadable(e) => format!("the worktree cannot be read: {e}"),
            Stopped::TooMany => "it has more directories than are watched for one worktree".to_owned(),
            Stopped::Refused(Refused::Limit) => match source::limit() {
                Some(limit) => {
                    format!("the limit of watched directories is reached (fs.inotify.max_user_watches = {limit})")
                }
                None => "the limit of watched directories is reached".to_owned(),
            },
            Stopped::Refused(Refused::Absent) => return self.gone(id),
            Stopped::Refused(Refused::Other(e)) => format!("the system refuses to watch it: {e}"),
        };
        self.degrade(id, why);
    }

    /// From now on a tree is looked at every so often.
    fn degrade(&mut self, id: u32, why: String) {
        self.uproot(id, |_| true);
        let Some(key) = self.trees.get(&id).map(|tree| tree.key) else { return };
        // The first look is what later ones are compared with.
        let letters = match self.look(id) {
            Ok((_, letters)) => letters,
            Err(Stopped::Gone) => return self.gone(id),
            Err(_) => Vec::new(),
        };
        (self.sink)(WatchEvent::Degraded { key, why, every: poll::EVERY });
        self.tell_letters(id, letters);
    }

    /// Looks at a tree that is not watched; says whether it changed, and which letters lie there.
    fn look(&mut self, id: u32) -> Result<(bool, Vec<OsString>), Stopped> {
        let Some(tree) = self.trees.get_mut(&id) else { return Err(Stopped::Gone) };
        if Node::at(&tree.root) != tree.identity {
            return Err(Stopped::Gone);
        }
        let began = clock::now().mono;
        tree.rules = Rules::outside(&tree.root, &mut self.cache);
        let mut ground =
            Ground { root: &tree.root, outbox: &tree.outbox, rules: &mut tree.rules, cache: &mut self.cache };
        let look = match poll::look(&mut ground) {
            Ok(look) => look,
            Err(Stopped::Gone) => return Err(Stopped::Gone),
            Err(stopped) => {
                // Nothing can be seen for now; the next look may see again.
                tree.poll.get_or_insert_default().next = clock::now().mono + poll::EVERY;
                return Err(stopped);
            }
        };
        let changed = tree.poll.as_ref().is_some_and(|before| before.differs(&look));
        tree.poll = Some(Poll::after(&look, began, clock::now().mono));
        Ok((changed, look.letters))
    }

    fn gone(&mut self, id: u32) {
        if let Some(tree) = self.trees.remove(&id) {
            self.debounce.forget(tree.key);
            self.uproot(id, |_| true);
            (self.sink)(WatchEvent::Gone { key: tree.key });
        }
    }

    /// Takes in what was seen; returns whether it was anything.
    fn drain(&mut self) -> bool {
        let Some(batch) = self.source.as_ref().map(Source::take) else { return false };
        if batch.dropped {
            self.dropped = true;
            self.chores_soon();
        }
        let any = batch.dropped || !batch.seen.is_empty();
        for seen in batch.seen {
            self.take_in(&seen);
        }
        any
    }

    /// Looks after what the time has come for.
    fn do_due(&mut self) {
        let now = clock::now().mono;
        if self.chores.is_some_and(|due| due <= now) {
            self.chores = None;
            self.do_chores();
        }
        for event in self.debounce.due(now) {
            (self.sink)(event);
        }
        let polls: Vec<u32> =
            self.trees.iter().filter(|(_, t)| t.poll.is_some_and(|p| p.next <= now)).map(|(id, _)| *id).collect();
        for id in polls {
            self.look_again(id);
        }
    }

    fn do_chores(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        for id in self.trees.keys().copied().collect::<Vec<_>>() {
            let Some(tree) = self.trees.get_mut(&id) else { continue };
            let (key, is_watched) = (tree.key, tree.poll.is_none());
            let (rules_changed, in_doubt) =
                (std::mem::take(&mut tree.rules_changed), std::mem::take(&mut tree.root_in_doubt));
            let missed = std::mem::take(&mut tree.missed) || dropped;
            if (in_doubt || missed) && Node::at(&tree.root) != tree.identity {
                self.gone(id);
                continue;
            }
            if !is_watched || !(missed || rules_changed) {
                continue;
            }
            self.plant(id, |engine, _| {
                if missed {
                    // What was pending is part of what was missed.
                    engine.debounce.forget(key);
                    (engine.sink)(WatchEvent::Overflow { key });
                }
            });
        }
    }

    fn look_again(&mut self, id: u32) {
        let Some(key) = self.trees.get(&id).map(|tree| tree.key) else { return };
        match self.look(id) {
            Ok((changed, letters)) => {
                if changed {
                    (self.sink)(WatchEvent::Changed { key, paths: Vec::new(), at: clock::now() });
                }
                self.tell_letters(id, letters);
                if self.trees.get(&id).is_some_and(Tree::is_blocked) {
                    (self.sink)(WatchEvent::NoOutbox { key });
                }
            }
            Err(Stopped::Gone) => self.gone(id),
            Err(_) => {}
        }
    }

    /// Has the chores done soon; what comes until then is done with them.
    fn chores_soon(&mut self) {
        self.chores.get_or_insert(clock::now().mono + GAP);
    }

    fn tell_letters(&mut self, id: u32, letters: Vec<OsString>) {
        for file in letters {
            self.tell_letter(id, file);
        }
    }

    fn tell_letter(&mut self, id: u32, file: OsString) {
        let Some(tree) = self.trees.get_mut(&id) else { return };
        tree.letters += 1;
        if tree.letters <= LETTERS {
            (self.sink)(WatchEvent::Outbox { key: tree.key, file });
        } else {
            tree.untold = Some(file);
        }
    }

    /// A burst of letters is over: the last of them tells of all that were not told.
    fn tell_untold(&mut self) {
        for tree in self.trees.values_mut() {
            tree.letters = 0;
            if let Some(file) = tree.untold.take() {
                (self.sink)(WatchEvent::Outbox { key: tree.key, file });
            }
        }
    }
}

/// The kind of a file system on which other machines may write unseen.
#[cfg(target_os = "linux")]
fn remote(root: &Path) -> Option<&'static str> {
    // Numbers of statfs(2). FUSE and 9p are left out: what this machine writes there is seen.
    let kind = rustix::fs::statfs(root).ok()?.f_type;
    match kind & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f => Some("AFS"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn remote(_root: &Path) -> Option<&'static str> {
    None
}
