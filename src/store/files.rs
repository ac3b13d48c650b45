//! The database as files: made private, set aside, looked at without opening them.
//!
//! **Invariant:** nothing is overwritten or removed here, only made or renamed. Must not know: what
//! the database holds.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::os::{clock, file};

use super::StoreError;
use super::error::io;

/// Makes an empty file of mode 0600 where there is none; the database's other files take its mode.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    file::private_dir(dir)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(libc::O_CLOEXEC).open(path);
    match made {
        Ok(_) => Ok(file::sync_dir(dir)?),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(io("create", path, e)),
    }
}

/// A write-ahead file that outlived its database holds events that a fresh database would throw
/// away.
pub(super) fn wal_without_database(path: &Path) -> Option<&'static str> {
    let orphan = size(path) == 0 && size(&with_suffix(path, "-wal")) > 0;
    orphan.then_some("the database is gone and its write-ahead file is not")
}

/// Moves the database and its write-ahead files out of the way, the database first: after a crash
/// in between, what is left is recognised by [`wal_without_database`].
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let mut stamp = clock::now().wall.0;
    let taken = |base: &Path| ["", "-wal", "-shm"].iter().any(|s| with_suffix(base, s).symlink_metadata().is_ok());
    let mut aside = with_suffix(path, &format!(".corrupt-{stamp}"));
    while taken(&aside) {
        stamp += 1;
        aside = with_suffix(path, &format!(".corrupt-{stamp}"));
    }
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io("set aside", path, e)),
        }
    }
    file::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}

/// Bytes in a file; 0 where there is none.
pub(super) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether files can be made beside `path`.
pub(super) fn takes_files(path: &Path) -> bool {
    tempfile::tempfile_in(path.parent().unwrap_or(Path::new("."))).is_ok()
}

/// A path as the database's file URI: what has a meaning there is written as `%XX`.
pub(super) fn uri(path: &Path, query: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str(query);
    PathBuf::from(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_special_characters_becomes_a_uri() {
        assert_eq!(uri(Path::new("/a b?c#d%"), "?immutable=1"), Path::new("file:/a%20b%3Fc%23d%25?immutable=1"));
    }
}
