//! What changes in worktrees: told as it happens, without looking again and again.
//!
//! One thread watches all attempts, by the events of another that is the library's. Directories
//! that git does not ignore, or keeps files in, are watched one by one; writes in them come out as
//! [`WatchEvent::Changed`], at most a few a second for each attempt. An attempt's outbox is watched
//! wherever git stands on it.
//! **Invariant:** at rest nothing runs: no timer, no look at a file. What may have been missed is
//! said ([`WatchEvent::Overflow`], [`WatchEvent::Degraded`]), never passed over. Symbolic links are
//! not followed. Must not know: git commands, what check-ins mean, the event log.

mod beneath;
mod debounce;
mod dirs;
mod engine;
mod ignores;
pub mod inbox;
pub mod outbox;
pub mod own;
mod poll;
mod source;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::model::id::AttemptId;
use crate::model::time::{Now, Span};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// From here on everything is told. What happened before is the caller's to find out. Comes
    /// again when a degraded attempt is watched properly after all.
    Ready {
        /// Which attempt.
        key: AttemptId,
        /// How many directories are watched for it.
        directories: usize,
    },
    /// Files changed that git does not ignore, or keeps all the same.
    Changed {
        /// Which attempt.
        key: AttemptId,
        /// Some of the paths, relative to the worktree; at most [`SAMPLE`]. May be empty.
        paths: Vec<PathBuf>,
        /// When the last of it was seen.
        at: Now,
    },
    /// A complete `*.json` lies in the outbox. A burst of files is told by its first few: read the
    /// folder until it is empty (see [`outbox::read`]).
    Outbox {
        /// Which attempt.
        key: AttemptId,
        /// The file's name.
        file: OsString,
    },
    /// Something lies in the place of the outbox, or of a folder on the way to it, that is no
    /// folder. Told when it comes; where files are looked at instead of watched, at each look.
    NoOutbox {
        /// Which attempt.
        key: AttemptId,
    },
    /// Changes were missed; look at the whole worktree again. Watching goes on.
    Overflow {
        /// Which attempt.
        key: AttemptId,
    },
    /// It cannot be watched, and is looked at every so often instead.
    Degraded {
        /// Which attempt.
        key: AttemptId,
        /// Why, as one sentence without its full stop.
        why: String,
        /// How long at least lies between two looks.
        every: Span,
    },
    /// The worktree is gone, or another directory lies at its path. It is no longer watched.
    Gone {
        /// Which attempt.
        key: AttemptId,
    },
}

/// The most paths in one [`WatchEvent::Changed`]: for a person to see where work is going on.
pub const SAMPLE: usize = 16;

/// Watches any number of worktrees. Dropping it ends its thread; an event that was on its way may
/// still come.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
}

/// Why nothing can be watched at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot start watching files")]
pub struct WatchError(#[from] io::Error);

/// What the callers and the watching thread share.
#[derive(Debug)]
struct Shared {
    /// The latest wish for each attempt. Bounded by the number of attempts, and never waited on,
    /// so that a sink may call back.
    wishes: Mutex<BTreeMap<AttemptId, Wish>>,
    /// What is kept in each, as was said last.
    kept: Mutex<BTreeMap<AttemptId, Arc<BTreeSet<PathBuf>>>>,
    stop: AtomicBool,
    wake: UnixStream,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Add { root: PathBuf, outbox: PathBuf },
    Remove,
}

impl Watcher {
    /// Starts the watching thread, which calls `sink` with what it sees. The sink may hand on to a
    /// channel that waits: what cannot be held meanwhile comes out as an overflow.
    ///
    /// # Errors
    /// [`WatchError`] where the thread cannot be started. A system without file events is no
    /// error: attempts are then degraded.
    pub fn new(sink: impl FnMut(WatchEvent) + Send + 'static) -> Result<Self, WatchError> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared =
            Arc::new(Shared { wishes: Mutex::default(), kept: Mutex::default(), stop: AtomicBool::new(false), wake });
        let engine = engine::Engine::new(Arc::clone(&shared), woken, sink);
        thread::Builder::new().name("watch".to_owned()).spawn(move || engine.run())?;
        Ok(Self { shared })
    }

    /// Watches a worktree, in place of what was watched for this attempt before. `outbox` lies
    /// inside of `root` and need not exist yet. [`WatchEvent::Ready`] says when it has begun.
    pub fn add(&self, key: AttemptId, root: &Path, outbox: &Path) {
        self.shared.wish(key, Wish::Add { root: root.to_owned(), outbox: outbox.to_owned() });
    }

    /// Says which files of a worktree git keeps although a rule ignores them, relative to its root.
    /// They are watched as well, which is told as a change. Nothing where it is not watched.
    pub fn keep(&self, key: AttemptId, paths: Arc<BTreeSet<PathBuf>>) {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(key, paths);
        self.shared.wake();
    }

    /// Watches it no longer. An event that was on its way may still come.
    pub fn remove(&self, key: AttemptId) {
        self.shared.wish(key, Wish::Remove);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
    }
}

impl Shared {
    fn wish(&self, key: AttemptId, wish: Wish) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).insert(key, wish);
        self.wake();
    }

    fn take_wishes(&self) -> BTreeMap<AttemptId, Wish> {
        std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_kept(&self) -> BTreeMap<AttemptId, Arc<BTreeSet<PathBuf>>> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A full pipe is a thread that is being woken already.
    fn wake(&self) {
        let _ = (&self.wake).write(&[1]);
    }
}
