//! The fence: a late host does not start an agent that has been given up.
//!
//! **Invariant:** whoever raises the fence, or gives a start up, and whoever passes it hold the same
//! lock, so that after that no lower host, and none of that start, starts an agent any more, and one
//! that has just started has already taken its own lock and can be found.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::record::{self, ExitRecord};
use crate::model::name::HostId;
use crate::os::clock;
use crate::os::file::{self, FileError};
use crate::os::lock::Lock;

/// Raises the fence to `number`, or leaves a higher one. Returns what it is now.
///
/// # Errors
/// [`FileError`].
pub fn raise_fence(path: &Path, number: u64) -> Result<u64, FileError> {
    let lock = Lock::take(path)?;
    let now = read(&lock)?;
    if now >= number {
        return Ok(now);
    }
    let mut file = lock.file();
    let write = |e| FileError::io("write", path, e);
    // Fixed width: an interrupted write leaves a number that is not lower.
    file.seek(SeekFrom::Start(0)).map_err(write)?;
    file.write_all(format!("{number:020}\n").as_bytes()).map_err(write)?;
    file.sync_all().map_err(write)?;
    Ok(number)
}

/// A start that nobody has heard of for too long.
#[derive(Debug, Clone, Copy)]
pub struct Silent<'a> {
    /// The host's name.
    pub id: &'a HostId,
    /// Its folder.
    pub dir: &'a Path,
    /// The fence that it has to pass.
    pub fence: &'a Path,
    /// What it was made for, as its spec says it.
    pub made_for: &'a str,
    /// Why it is given up, for its record.
    pub why: &'a str,
}

/// Gives a start up: its record says from now on that it never ran, and a host that comes up later
/// leaves without an agent. Where an agent runs already, or the host has ended, nothing is done:
/// look what came of it. Waits, for ever if need be, for a host that is just starting its agent:
/// nobody may say meanwhile that it failed.
///
/// # Errors
/// [`FileError`]: it is not given up.
pub fn give_up(start: Silent<'_>) -> Result<(), FileError> {
    let _lock = Lock::take(start.fence)?;
    if record::read_running(start.dir).is_some() || record::read_exit(start.dir).is_some() {
        return Ok(());
    }
    file::private_dir(start.dir)?;
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let given_up = ExitRecord::of_nothing(start.id, &nonce, start.made_for, clock::now().wall, start.why.to_owned());
    record::write_given_up(start.dir, &given_up)
}

/// Takes the fence's lock and reads it; the lock is to be held until the agent runs.
pub(super) fn hold(path: &Path) -> Result<(Lock, u64), FileError> {
    let lock = Lock::take(path)?;
    let number = read(&lock)?;
    Ok((lock, number))
}

fn read(lock: &Lock) -> Result<u64, FileError> {
    let mut text = String::new();
    let mut file = lock.file();
    let wrap = |e| FileError::io("read", lock.path(), e);
    file.seek(SeekFrom::Start(0)).map_err(wrap)?;
    file.take(64).read_to_string(&mut text).map_err(wrap)?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(0);
    }
    // What cannot be read stops every host: a wrong guess could start a second agent.
    Ok(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process::ProcessId;

    #[test]
    fn a_fence_only_rises() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("fence");
        assert_eq!(raise_fence(&path, 3).expect("raise"), 3);
        assert_eq!(raise_fence(&path, 2).expect("raise"), 3);
        assert_eq!(hold(&path).expect("hold").1, 3);
        std::fs::write(&path, "what").expect("write");
        assert_eq!(hold(&path).expect("hold").1, u64::MAX);
    }

    #[test]
    fn what_has_ended_is_not_given_up() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (id, fence) = (HostId::new("h").expect("name"), dir.path().join("fence"));
        let give_up = |name: &str, why: &str| {
            let dir = dir.path().join(name);
            give_up(Silent { id: &id, dir: &dir, fence: &fence, made_for: "it", why }).expect("given up");
            record::read_exit(&dir).and_then(|exit| exit.error)
        };
        assert_eq!(give_up("h", "silent").as_deref(), Some("silent"));
        assert_eq!(give_up("h", "again").as_deref(), Some("silent"), "its first end is its end");
        std::fs::create_dir(dir.path().join("runs")).expect("mkdir");
        let (own, now) = (ProcessId::own(), clock::now());
        let running = record::Running {
            schema: 1,
            nonce: "n".into(),
            host: own,
            agent: own,
            boot: now.boot,
            socket: "/s".into(),
            marker: "A=b".into(),
            started_at: now.wall,
            made_for: "it".into(),
        };
        record::write_running(&dir.path().join("runs"), &running).expect("write");
        assert_eq!(give_up("runs", "silent"), None, "its agent was started");
    }
}
