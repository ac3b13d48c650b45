//! Who the supervisor of a repository is, for clients that look for it.
//!
//! **Invariant:** a hint, never a proof: whether a supervisor runs is told by its lock and by
//! [`ProcessId::is_alive`], not by this file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::time::Wall;
use crate::os::file::{self, FileError};
use crate::os::process::ProcessId;

use super::StoreError;
use super::error::io;

/// The longest record read, in bytes: it holds one path and a few numbers.
const MAX_BYTES: u64 = 16 << 10;

/// `supervisor.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupervisorRecord {
    /// Its process, by number and start time.
    #[serde(flatten)]
    pub process: ProcessId,
    /// The version of its binary.
    pub version: String,
    /// When it started.
    pub since: Wall,
    /// Its control socket.
    pub socket: PathBuf,
}

impl SupervisorRecord {
    /// Writes the record as a whole, mode 0600.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::ReadOnly`], [`StoreError::File`].
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|e| io("write", path, std::io::Error::new(std::io::ErrorKind::InvalidData, e)))?;
        Ok(file::write_atomic(path, &bytes, 0o600)?)
    }

    /// Reads the record; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it cannot be understood, [`StoreError::File`].
    pub fn load(path: &Path) -> Result<Option<Self>, StoreError> {
        match file::read_owned(path, MAX_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| StoreError::Damaged { path: path.to_owned(), why: e.to_string() }),
            Err(e) if e.is_absent() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes the record, if it is there.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::File`].
    pub fn remove(path: &Path) -> Result<(), StoreError> {
        match std::fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(FileError::io("remove", path, e).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_read_and_removed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("supervisor.json");
        assert_eq!(SupervisorRecord::load(&path).expect("none"), None);
        let record = SupervisorRecord {
            process: ProcessId::own(),
            version: "0.1.0".to_owned(),
            since: Wall(1_763_676_000_123),
            socket: PathBuf::from("/run/user/1000/standup/0a1b/control.sock"),
        };
        record.write(&path).expect("write");
        assert_eq!(SupervisorRecord::load(&path).expect("read"), Some(record));
        std::fs::write(&path, "{").expect("damage");
        assert!(matches!(SupervisorRecord::load(&path), Err(StoreError::Damaged { .. })));
        SupervisorRecord::remove(&path).expect("remove");
        SupervisorRecord::remove(&path).expect("again");
        assert_eq!(SupervisorRecord::load(&path).expect("none"), None);
    }
}
