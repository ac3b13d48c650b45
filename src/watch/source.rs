//! The system's file events, by the library `notify`; the only place that knows it.
//!
//! On Linux each directory is watched alone. On macOS the system watches whole trees, so the root
//! is. Elsewhere the library tells no writes, or never rests: nothing is watched there, and
//! attempts are looked at instead. The library asks for every opening of a file too. Those end in
//! its own thread and cost it some 3 µs for each file that an agent reads, and a place in the
//! kernel's queue; the engine sleeps on. That a file system was unmounted, the library keeps to
//! itself.
//! **Invariant:** the queue is bounded, and what it does not hold is told as dropped; the reader is
//! woken once for all that lies in it. A watch is on the directory that was asked for, or on none.
//! Must not know: which directories, and why.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, WatcherKind};
use rustix::io::Errno;

use super::beneath::Node;

/// The most events that wait for the engine: as many as the kernel keeps by default, some 3 MB.
const QUEUE: usize = 16_384;

/// After the engine was woken, the library's thread rests so long: events of one file then come
/// together, and many are read at once. Asking it for a watch takes that much longer at most.
const PAUSE: Duration = Duration::from_millis(5);

/// Something that was seen in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Where, absolute. Directories are named as they were when their watch was set.
    pub(super) path: PathBuf,
    /// Whether that is a directory, where the event says so.
    pub(super) is_dir: Option<bool>,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A name appeared.
    Created,
    /// A name came by a rename.
    MovedIn,
    /// A name went by a rename.
    MovedOut,
    /// A name came or went by a rename; the system does not say which.
    Moved,
    /// A name was removed, or the watched directory itself.
    Deleted,
    /// Bytes were written.
    Written,
    /// A file that was open for writing was closed.
    Closed,
    /// Mode, owner, links or both times changed.
    Attributes,
    /// The watched directory itself was moved.
    SelfMoved,
}

/// What was seen since the last time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order it happened.
    pub(super) seen: Vec<Seen>,
    /// Events were dropped, of any directory; `seen` then holds none from before.
    pub(super) dropped: bool,
}

/// Why a directory could not be watched.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is gone, no directory, another one, or may not be read: nothing to watch.
    Absent,
    /// The user's limit of watches is reached.
    Limit,
    /// Anything else.
    Other(io::Error),
}

/// What one watch tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// One directory and the names in it.
    Directory,
    /// Everything below it.
    Tree,
}

/// How many watches one user may have, for a message.
pub(super) fn limit() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?.trim().parse().ok()
}

/// The watches of this process. The library has a thread of its own for them.
#[derive(Debug)]
pub(super) struct Source {
    watcher: RecommendedWatcher,
    queue: Arc<Queue>,
    /// Holds a byte while there is something in the queue.
    woken: UnixStream,
    reach: Reach,
    /// Those watched whole.
    trees: Vec<PathBuf>,
}

impl Source {
    /// # Errors
    /// Where the system has no events that can be relied on, or no more room for a queue of them.
    pub(super) fn open() -> io::Result<Self> {
        match RecommendedWatcher::kind() {
            WatcherKind::Inotify => Self::reaching(Reach::Directory),
            WatcherKind::Fsevent => Self::reaching(Reach::Tree),
            // kqueue does not tell which file was written; looking again and again is our own part.
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn reaching(reach: Reach) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let queue = Arc::new(Queue { batch: Mutex::default(), wake });
        let filled = Arc::clone(&queue);
        let config = Config::default().with_follow_symlinks(false);
        let handler = move |event: notify::Result<Event>| match event.map(|event| meaning(event, reach)) {
            Ok(Meaning::Nothing) => {}
            Ok(Meaning::Seen(seen)) => {
                if filled.push(seen) {
                    thread::sleep(PAUSE);
                }
            }
            Ok(Meaning::Dropped) | Err(_) => filled.drop_all(),
        };
        let mut watcher = RecommendedWatcher::new(handler, config).map_err(plain)?;
        // It does not say whether its thread could be started, and panics later where it was not;
        // this question is answered by the thread.
        if let Err(e) = watcher.configure(config) {
            std::mem::forget(watcher);
            return Err(plain(e));
        }
        Ok(Self { watcher, queue, woken, reach, trees: Vec::new() })
    }

    /// To wait on.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }

    /// Watches the directory `node` at `path`, which must be absolute and without links. One that
    /// is watched already stays so, without a gap.
    pub(super) fn watch(&mut self, path: &Path, node: Node, is_root: bool) -> Result<(), Refused> {
        match self.reach {
            Reach::Directory => self.watcher.watch(path, RecursiveMode::NonRecursive).map_err(refused)?,
            Reach::Tree if !is_root || self.trees.iter().any(|tree| tree == path) => return Ok(()),
            Reach::Tree => {
                let watched = self.watcher.watch(path, RecursiveMode::Recursive);
                // All watches are set anew, with a gap.
                self.queue.drop_all();
                watched.map_err(refused)?;
                self.trees.push(path.to_owned());
            }
        }
        // It was asked for by path, and somebody may have put another directory or a link there.
        if Node::at(path) != Some(node) {
            self.unwatch(path);
            return Err(Refused::Absent);
        }
        Ok(())
    }

    /// Ends a watch; one that ended by itself is no error.
    pub(super) fn unwatch(&mut self, path: &Path) {
        if self.reach == Reach::Tree {
            let Some(at) = self.trees.iter().position(|tree| tree == path) else { return };
            self.trees.swap_remove(at);
            self.queue.drop_all();
        }
        let _ = self.watcher.unwatch(path);
    }

    /// What there is.
    pub(super) fn take(&self) -> Batch {
        self.queue.take(&self.woken)
    }
}

/// Events on their way from the library's thread to the engine's. The library's never waits.
#[derive(Debug)]
struct Queue {
    batch: Mutex<Batch>,
    wake: UnixStream,
}

impl Queue {
    /// Returns whether the reader was woken for it.
    fn push(&self, seen: Seen) -> bool {
        let mut batch = self.lock();
        if batch.dropped || batch.seen.last() == Some(&seen) {
            // Everything is going to be looked at; or it is one more write of many.
            return false;
        }
        if batch.seen.len() == QUEUE {
            self.miss(&mut batch);
            return false;
        }
        let woken = self.wake(&batch);
        batch.seen.push(seen);
        woken
    }

    fn drop_all(&self) {
        self.miss(&mut self.lock());
    }

    fn miss(&self, batch: &mut Batch) {
        self.wake(batch);
        *batch = Batch { seen: Vec::new(), dropped: true };
    }

    /// Wakes the reader where nothing lay there before. Under the lock, so that it finds what it
    /// was woken for and is not woken for what it took already.
    fn wake(&self, before: &Batch) -> bool {
        let rests = before.seen.is_empty() && !before.dropped;
        rests && (&self.wake).write(&[1]).is_ok()
    }

    fn take(&self, mut woken: &UnixStream) -> Batch {
        let mut batch = self.lock();
        let _ = woken.read(&mut [0; 8]);
        std::mem::take(&mut batch)
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event of the library comes to.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// Nobody needs to know.
    Nothing,
    Seen(Seen),
    /// The system dropped events.
    Dropped,
}

fn meaning(event: Event, reach: Reach) -> Meaning {
    if event.need_rescan() {
        return Meaning::Dropped;
    }
    let is_dir = match event.kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => Some(true),
        EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => Some(false),
        _ => None,
    };
    let what = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => What::Closed,
        // Opening, reading, listing.
        EventKind::Access(_) => return Meaning::Nothing,
        EventKind::Create(_) => What::Created,
        EventKind::Remove(_) => What::Deleted,
        EventKind::Modify(ModifyKind::Name(mode)) => match mode {
            // Both halves of it are told alone, too.
            RenameMode::Both => return Meaning::Nothing,
            RenameMode::To => What::MovedIn,
            // What has no other half is about the watched directory itself.
            RenameMode::From if event.tracker().is_none() => What::SelfMoved,
            RenameMode::From => What::MovedOut,
            RenameMode::Any | RenameMode::Other => What::Moved,
        },
        EventKind::Modify(ModifyKind::Metadata(_)) => What::Attributes,
        // macOS tells what was written when the file is closed.
        EventKind::Modify(_) if reach == Reach::Tree => What::Closed,
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => What::Written,
    };
    match event.paths.into_iter().next() {
        Some(path) => Meaning::Seen(Seen { path, is_dir, what }),
        None => Meaning::Nothing,
    }
}

fn refused(error: notify::Error) -> Refused {
    match error.kind {
        ErrorKind::MaxFilesWatch => Refused::Limit,
        ErrorKind::PathNotFound => Refused::Absent,
        ErrorKind::Io(e) => match Errno::from_io_error(&e) {
            Some(Errno::NOSPC) => Refused::Limit,
            Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Refused::Absent,
            _ => Refused::Other(e),
        },
        _ => Refused::Other(plain(error)),
    }
}

fn plain(error: notify::Error) -> io::Error {
    match error.kind {
        ErrorKind::Io(e) => e,
        _ => io::Error::other(error),
    }
}

#[cfg(test)]
impl Source {
    /// What comes next; fails where nothing does.
    pub(super) fn next(&self) -> Batch {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let mut fds = [PollFd::from_borrowed_fd(self.fd(), PollFlags::IN)];
        let ready = rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).expect("poll");
        assert_eq!(ready, 1, "nothing was seen");
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event::new(kind).add_path("/w/f".into())
    }

    fn seen(what: What) -> Seen {
        Seen { path: "/w/f".into(), is_dir: None, what }
    }

    #[test]
    fn only_what_changes_something_is_handed_on() {
        let reads = [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read];
        for kind in reads {
            assert_eq!(meaning(event(EventKind::Access(kind)), Reach::Directory), Meaning::Nothing, "{kind:?}");
        }
        let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
        assert_eq!(meaning(event(name(RenameMode::Both)), Reach::Directory), Meaning::Nothing);
        let what = |event| match meaning(event, Reach::Directory) {
            Meaning::Seen(seen) => (seen.what, seen.is_dir),
            other => panic!("{other:?}"),
        };
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(what(event(written)), (What::Closed, None));
        assert_eq!(what(event(EventKind::Create(CreateKind::Folder))), (What::Created, Some(true)));
        assert_eq!(what(event(EventKind::Remove(RemoveKind::File))), (What::Deleted, Some(false)));
        assert_eq!(what(event(name(RenameMode::From)).set_tracker(7)), (What::MovedOut, None));
        assert_eq!(what(event(name(RenameMode::From))), (What::SelfMoved, None));
        // What is not understood is a change rather than nothing.
        assert_eq!(what(event(EventKind::Any)), (What::Written, None));
        let rescan = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert_eq!(meaning(rescan, Reach::Directory), Meaning::Dropped);
    }

    #[test]
    fn a_full_queue_is_told_as_dropped_and_wakes_once() {
        let (wake, woken) = UnixStream::pair().expect("sockets");
        woken.set_nonblocking(true).expect("nonblocking");
        let queue = Queue { batch: Mutex::default(), wake };
        let numbered = |n: usize| Seen { path: format!("/w/{n}").into(), ..seen(What::Written) };
        for n in 0..QUEUE {
            queue.push(numbered(n));
            // One more write of many takes no place.
            queue.push(numbered(n));
        }
        assert_eq!((&woken).read(&mut [0; 8]).ok(), Some(1), "woken once");
        let batch = queue.take(&woken);
        assert_eq!((batch.seen.len(), batch.dropped), (QUEUE, false));
        for n in 0..=QUEUE + 5 {
            queue.push(numbered(n));
        }
        let batch = queue.take(&woken);
        assert_eq!((batch.seen.len(), batch.dropped), (0, true));
        assert!((&woken).read(&mut [0; 8]).is_err(), "what was taken wakes nobody");
        queue.push(numbered(1));
        assert_eq!(queue.take(&woken).seen, [numbered(1)], "and it goes on");
    }

    #[test]
    fn a_directory_that_was_exchanged_is_not_watched() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = fs::canonicalize(dir.path()).expect("a path");
        for name in ["a", "b"] {
            fs::create_dir(root.join(name)).expect("mkdir");
        }
        let meant = Node::at(&root.join("a")).expect("a directory");
        std::os::unix::fs::symlink("a", root.join("link")).expect("link");
        let mut source = Source::reaching(Reach::Directory).expect("events");
        for other in ["b", "link", "none"] {
            let refused = source.watch(&root.join(other), meant, false);
            assert!(matches!(refused, Err(Refused::Absent)), "{other}: {refused:?}");
        }
        source.watch(&root.join("a"), meant, false).expect("watched");
        for name in ["b/f", "a/f"] {
            fs::write(root.join(name), "").expect("write");
        }
        let first = source.next().seen.into_iter().next().expect("an event");
        assert_eq!((first.path, first.what), (root.join("a/f"), What::Created), "nothing of b");
    }

    #[test]
    fn a_whole_tree_is_one_watch_where_the_system_has_it() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = fs::canonicalize(dir.path()).expect("a path");
        let (one, other) = (root.join("1"), root.join("2"));
        fs::create_dir_all(one.join("deep")).expect("mkdir");
        fs::create_dir_all(&other).expect("mkdir");
        let node = |path: &Path| Node::at(path).expect("a directory");
        let mut source = Source::reaching(Reach::Tree).expect("events");
        source.watch(&one, node(&one), true).expect("watched");
        assert!(source.next().dropped, "a watch more is a gap for all");
        source.watch(&one.join("deep"), node(&one.join("deep")), false).expect("part of it");
        source.watch(&one, node(&one), true).expect("as before");
        source.unwatch(&one.join("deep"));
        fs::write(one.join("deep/f"), "").expect("write");
        let batch = source.next();
        assert!(!batch.dropped && batch.seen[0].path == one.join("deep/f"), "{batch:?}");
        source.unwatch(&one);
        assert!(source.next().dropped);
    }
}
