//! What can go wrong with the store, and what to do about it.
//!
//! **Invariant:** a full disk and a read-only one are told apart from everything else, because
//! the supervisor goes on without writing until they pass.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use crate::model::text::shell_word;
use crate::os::file::FileError;
use crate::os::socket;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database yet.
    #[error("there is no database at {}", path.display())]
    Absent {
        /// Where it would lie.
        path: PathBuf,
    },
    /// The database was written by a newer version of this program.
    #[error("{} has format {found}; this version reads formats up to {known}", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The bytes on disk are not what was written.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No space, no inodes, or over quota. Nothing was stored.
    #[error("cannot {verb} {}: the disk is full", path.display())]
    Full {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file system or the folder cannot be written. Nothing was stored.
    #[error("cannot {verb} {}: the state directory is read-only", path.display())]
    ReadOnly {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Somebody else held a lock for longer than this program waits.
    #[error("cannot {verb} {}: another process has held its lock for {waited_ms} ms", path.display())]
    Busy {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited_ms: u64,
    },
    /// A socket path over the kernel's bound.
    #[error("socket path {} has {} bytes; the system allows {}", path.display(), path.as_os_str().len(), socket::MAX_PATH)]
    SocketPath {
        /// The path.
        path: PathBuf,
    },
    /// A text that cannot be part of a path.
    #[error("{text:?} cannot name a repository's state: {rule}")]
    Name {
        /// What was given.
        text: String,
        /// The rule it broke.
        rule: &'static str,
    },
    /// The database said no, for a reason of its own.
    #[error("cannot {verb} {}", path.display())]
    Sql {
        /// What was tried.
        verb: &'static str,
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A file beside the database.
    #[error(transparent)]
    File(FileError),
}

impl StoreError {
    /// The command or change that helps, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { .. } => Some("use the newer standup, or move the file away to start afresh".to_owned()),
            Self::Damaged { path, .. } => {
                let path = path.to_string_lossy();
                Some(format!("mv {} {}", shell_word(&path), shell_word(&format!("{path}.damaged"))))
            }
            Self::Full { path, .. } => {
                Some(format!("df {}", shell_word(&path.parent().unwrap_or(path).to_string_lossy())))
            }
            Self::ReadOnly { path, .. } => {
                let dir = path.parent().unwrap_or(path).display().to_string();
                Some(format!("make {dir} writable, or set STANDUP_HOME to a directory that is"))
            }
            Self::SocketPath { .. } => Some("set XDG_RUNTIME_DIR or STANDUP_HOME to a shorter directory".to_owned()),
            _ => None,
        }
    }

    /// Whether it can pass by itself: the disk is full, read-only, or somebody is in the way.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. } | Self::Busy { .. })
    }

    /// Sorts an error of the database. `system` is what the operating system said last, if known.
    pub(super) fn sql(verb: &'static str, path: &Path, source: rusqlite::Error, system: Option<i32>) -> Self {
        let path = path.to_owned();
        let rusqlite::Error::SqliteFailure(failure, _) = &source else { return Self::Sql { verb, path, source } };
        if is_damage(failure) {
            return Self::Damaged { path, why: source.to_string() };
        }
        let outside = matches!(failure.code, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen);
        let system = system.filter(|_| outside).map(|errno| io::Error::from_raw_os_error(errno).kind());
        match (failure.code, system) {
            (ErrorCode::DiskFull, _) => Self::Full { verb, path },
            (ErrorCode::ReadOnly, _) => Self::ReadOnly { verb, path },
            (_, Some(kind)) if no_room(kind) => Self::Full { verb, path },
            (_, Some(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)) => Self::ReadOnly { verb, path },
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                Self::Busy { verb, path, waited_ms: super::log::BUSY_MS }
            }
            _ => Self::Sql { verb, path, source },
        }
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { verb, path, source } => match source.kind() {
                kind if no_room(kind) => Self::Full { verb, path },
                ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { verb, path },
                ErrorKind::PermissionDenied if verb != "read" => Self::ReadOnly { verb, path },
                _ => Self::File(FileError::Io { verb, path, source }),
            },
            other => Self::File(other),
        }
    }
}

/// An I/O error with what was tried on which path, sorted.
pub(super) fn io(verb: &'static str, path: &Path, source: io::Error) -> StoreError {
    FileError::io(verb, path, source).into()
}

/// No space, over quota, or over the process's own limit on file sizes.
fn no_room(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn is_damage(failure: &ffi::Error) -> bool {
    matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        || failure.extended_code == ffi::SQLITE_IOERR_SHORT_READ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_pasted_names_one_file_whatever_it_is_called() {
        let hint = |error: StoreError| error.hint().expect("a hint");
        let path = PathBuf::from("/my home/$(id)/standup.db");
        let damaged = hint(StoreError::Damaged { path: path.clone(), why: String::new() });
        assert_eq!(damaged, "mv '/my home/$(id)/standup.db' '/my home/$(id)/standup.db.damaged'");
        assert_eq!(hint(StoreError::Full { verb: "write", path }), "df '/my home/$(id)'");
    }
}
