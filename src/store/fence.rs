//! The fence of a task: the number of the attempt that may run its agent.
//!
//! A file with one decimal number, locked as itself (`flock`) by whoever reads or raises it. Before
//! attempt *n* starts, the fence is raised to *n*; a host that wakes up late reads it under the
//! lock, finds a number that is not its own, and leaves.
//! **Invariant:** a fence only rises, and a raised one is on disk. Must not know: hosts.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::model::id::AttemptNo;
use crate::os::lock::Lock;

use super::StoreError;
use super::error::io;
use super::wait;

/// The longest fence read: a number has at most ten digits, and a line end.
const MAX_BYTES: u64 = 16;

/// Raises the fence at `path` to `no` and returns where it stands: `no`, or a higher number that it
/// already had. Its folder exists.
///
/// # Errors
/// [`StoreError::Busy`] where a host holds it for seconds, [`StoreError::Damaged`] where it holds
/// no number, [`StoreError::Full`], [`StoreError::ReadOnly`].
pub fn raise(path: &Path, no: AttemptNo) -> Result<AttemptNo, StoreError> {
    let lock = wait::lock(path, "raise the fence")?;
    if let Some(stands) = number(&lock)?
        && stands >= no
    {
        return Ok(stands);
    }
    // In place, because the lock is on this very file. A number never gets shorter, so one write
    // replaces the whole of it.
    let text = format!("{no}\n");
    lock.file().write_all_at(text.as_bytes(), 0).map_err(|e| io("write", path, e))?;
    lock.file().set_len(text.len() as u64).map_err(|e| io("write", path, e))?;
    lock.file().sync_all().map_err(|e| io("write", path, e))?;
    if let Some(dir) = path.parent() {
        crate::os::file::sync_dir(dir)?;
    }
    Ok(no)
}

/// Where the fence at `path` stands; `None` where none was ever raised.
///
/// # Errors
/// As [`raise`].
pub fn read(path: &Path) -> Result<Option<AttemptNo>, StoreError> {
    if !path.try_exists().map_err(|e| io("read", path, e))? {
        return Ok(None);
    }
    number(&wait::lock(path, "read the fence")?)
}

fn number(lock: &Lock) -> Result<Option<AttemptNo>, StoreError> {
    let mut text = Vec::new();
    lock.file().take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|e| io("read", lock.path(), e))?;
    if text.is_empty() {
        return Ok(None);
    }
    std::str::from_utf8(&text)
        .ok()
        .map(str::trim_ascii)
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .and_then(AttemptNo::new)
        .map(Some)
        .ok_or_else(|| StoreError::Damaged { path: lock.path().to_owned(), why: "a fence holds one number".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(n: u32) -> AttemptNo {
        AttemptNo::new(n).expect("not 0")
    }

    #[test]
    fn a_fence_only_rises() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("T7");
        assert_eq!(read(&path).expect("none"), None);
        assert!(!path.exists(), "reading makes no fence");
        for (raised, stands) in [(1, 1), (9, 9), (2, 9), (10, 10), (10, 10)] {
            assert_eq!(raise(&path, no(raised)).expect("raise"), no(stands));
            assert_eq!(read(&path).expect("read"), Some(no(stands)));
        }
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "10\n");
    }

    #[test]
    fn a_fence_without_a_number_is_damaged_not_open() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("T7");
        for text in ["x", "0", "-1", "+3", "1 2", "99999999999", "\n", "00000000000000000000001"] {
            std::fs::write(&path, text).expect("write");
            assert!(matches!(read(&path), Err(StoreError::Damaged { .. })), "{text:?}");
            assert!(matches!(raise(&path, no(1)), Err(StoreError::Damaged { .. })), "{text:?}");
        }
    }
}
