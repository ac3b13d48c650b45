//! Advisory locks on open file descriptions: freed by the kernel when the last copy of the
//! descriptor is closed, whatever happens to the process.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::file::FileError;

/// A held lock. Dropping it frees the lock, unless a child holds a copy of the descriptor.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock now, or says that somebody else holds it (`None`). Makes the file.
    ///
    /// # Errors
    /// [`FileError::Io`] where the file cannot be opened or the file system has no locks.
    pub fn try_take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file, path: path.to_owned() })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(FileError::io("lock", path, e.into())),
        }
    }

    /// Takes the lock, waiting for whoever holds it.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn take(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self { file, path: path.to_owned() }),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(FileError::io("lock", path, e.into())),
            }
        }
    }

    /// The locked file, to read or write under the lock.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the lock lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A copy of the descriptor: it shares the lock, so a child that inherits it keeps it held.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn share(&self) -> Result<OwnedFd, FileError> {
        self.file.as_fd().try_clone_to_owned().map_err(|e| FileError::io("lock", &self.path, e))
    }
}

/// Whether somebody holds a lock on `path` right now. A missing file is not held.
///
/// # Errors
/// [`FileError::Io`].
pub fn is_held(path: &Path) -> Result<bool, FileError> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(FileError::io("lock", path, e)),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(e) => Err(FileError::io("lock", path, e.into())),
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| FileError::io("lock", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_until_its_last_copy_goes() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("l");
        assert!(!is_held(&path).expect("absent"));
        let lock = Lock::try_take(&path).expect("take").expect("free");
        assert!(is_held(&path).expect("held"));
        assert!(Lock::try_take(&path).expect("second").is_none());
        let copy = lock.share().expect("copy");
        drop(lock);
        assert!(is_held(&path).expect("held by the copy"));
        drop(copy);
        assert!(!is_held(&path).expect("free"));
    }
}
