//! Watching against real files, links, limits and events that are dropped.

mod change;
mod limits;
mod outbox;
mod rest;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use standup::model::id::AttemptId;
use standup::watch::{WatchEvent, Watcher};

/// No event takes this long; a test that waits longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// Longer than the gap after which every change was told: what did not come by then does not.
const REST: Duration = Duration::from_millis(900);

fn key(number: u32) -> AttemptId {
    format!("T{number}/1").parse().expect("attempt")
}

/// A worktree that is watched as T1/1.
struct Watched {
    root: tempfile::TempDir,
    watcher: Watcher,
    events: Receiver<WatchEvent>,
}

impl Watched {
    /// Makes these files, then watches.
    fn with(files: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("temp dir");
        for file in files {
            write(root.path(), file, file);
        }
        let (watcher, events) = watcher();
        watcher.add(key(1), root.path(), &outbox(root.path()));
        let watched = Self { root, watcher, events };
        watched.ready();
        watched
    }

    /// How many directories are watched.
    fn ready(&self) -> usize {
        match self.until(|event| matches!(event, WatchEvent::Ready { .. })) {
            WatchEvent::Ready { directories, .. } => directories,
            other => unreachable!("{other:?}"),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str) {
        write(self.root.path(), path, "changed");
    }

    /// The first event for which `is` holds.
    fn until(&self, is: impl Fn(&WatchEvent) -> bool) -> WatchEvent {
        until(&self.events, is)
    }

    /// Waits until a change of `path` is told.
    fn told(&self, path: &str) {
        let path = Path::new(path);
        self.until(|event| matches!(event, WatchEvent::Changed { paths, .. } if paths.iter().any(|p| p == path)));
    }

    /// Everything that comes until nothing comes any more.
    fn rest(&self) -> Vec<WatchEvent> {
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_timeout(REST) {
            seen.push(event);
        }
        seen
    }

    /// Checks that `act` is no change: nothing is told until a real change, made after it, is.
    fn is_no_change(&self, act: impl FnOnce()) {
        self.rest();
        act();
        assert_eq!(self.rest(), []);
    }
}

fn watcher() -> (Watcher, Receiver<WatchEvent>) {
    let (sender, events) = channel();
    let watcher = Watcher::new(move |event| drop(sender.send(event))).expect("watcher");
    (watcher, events)
}

fn until(events: &Receiver<WatchEvent>, mut is: impl FnMut(&WatchEvent) -> bool) -> WatchEvent {
    let deadline = Instant::now() + DEADLINE;
    let mut seen = Vec::new();
    loop {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) if is(&event) => return event,
            Ok(event) => seen.push(event),
            Err(_) => panic!("not told in time; told was {seen:#?}"),
        }
    }
}

fn outbox(root: &Path) -> PathBuf {
    root.join(".standup/run/outbox")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
    fs::write(path, text).expect("write");
}
