//! The fence: a late host does not start an agent that has been given up.
//!
//! **Invariant:** whoever raises the fence and whoever passes it hold the same lock, so that after
//! a raise returns no lower host starts an agent any more, and one that has just started has
//! already taken its own lock and can be found.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::os::file::FileError;
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
}
