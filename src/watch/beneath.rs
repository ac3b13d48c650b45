//! Opening and leaving what lies below a directory that somebody else may rearrange meanwhile.
//!
//! **Invariant:** no symbolic link below the root is followed, whoever puts one there and when; a
//! FIFO or device is never waited for. Must not know: what is looked for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dev, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Which directory it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Node {
    device: Dev,
    inode: u64,
}

impl Node {
    /// The one that `dir` is open on.
    pub(super) fn of(dir: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(&rustix::fs::fstat(dir)?))
    }

    /// The one at `path`; `None` where there is none. Only the last part must be no link.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let stat = rustix::fs::lstat(path).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then(|| Self::from(&stat))
    }

    /// One that no file system knows.
    #[cfg(test)]
    pub(super) fn made_up(inode: u64) -> Self {
        Self { device: 0, inode }
    }
}

impl From<&Stat> for Node {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Opens the root itself, by the path it was given by; only its last part must be no link.
pub(super) fn root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens the directory `rel` below `root`; the root again for an empty path.
pub(super) fn directory(root: impl AsFd, rel: &Path) -> io::Result<OwnedFd> {
    open(root, rel, DIRECTORY)
}

/// Reads the regular file `rel` below `root` whole; `None` where it is longer than `max` bytes.
pub(super) fn file(root: impl AsFd, rel: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let fd = open(root, rel, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::from(fd).take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= max).then_some(bytes))
}

/// Opens a directory of one part below `at`, and makes it where there is nothing.
pub(super) fn enter(at: impl AsFd, part: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => directory(at, Path::new(part)),
        Err(error) => Err(error.into()),
    }
}

/// Puts a file into `dir` under a name of one part, in place of what has that name: whole or not
/// at all.
pub(super) fn leave(dir: impl AsFd, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let hidden = format!(".new-{}", uuid::Uuid::new_v4().simple());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, hidden.as_str(), flags, Mode::from_raw_mode(0o644))?;
    let written =
        File::from(file).write_all(bytes).and_then(|()| Ok(rustix::fs::renameat(&dir, hidden.as_str(), &dir, name)?));
    if written.is_err() {
        let _ = rustix::fs::unlinkat(&dir, hidden.as_str(), AtFlags::empty());
    }
    written
}

fn open(root: impl AsFd, rel: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    let flags = flags | OFlags::NOFOLLOW;
    let rel = if rel.as_os_str().is_empty() { Path::new(".") } else { rel };
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // Old kernels do not know it, and some sandboxes forbid what they do not know.
        match rustix::fs::openat2(root, rel, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return Ok(other?),
        }
    }
    part_by_part(root, rel, flags)
}

/// The same without the kernel's help: one part after the other, none of them a link.
fn part_by_part(root: impl AsFd, rel: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut at = root.as_fd().try_clone_to_owned()?;
    let mut parts = rel.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => Path::new(name),
            Component::CurDir => Path::new("."),
            _ => return Err(Errno::XDEV.into()),
        };
        let flags = if parts.peek().is_some() { DIRECTORY | OFlags::NOFOLLOW } else { flags };
        at = rustix::fs::openat(&at, name, flags, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed_with_or_without_the_kernels_help() {
        let dir = tempfile::tempdir().expect("temp dir");
        let outside = tempfile::tempdir().expect("temp dir");
        std::fs::write(outside.path().join("secret"), "s").expect("write");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("mkdir");
        std::fs::write(dir.path().join("a/b/f"), "ok").expect("write");
        symlink(outside.path(), dir.path().join("a/link")).expect("link");
        symlink(outside.path().join("secret"), dir.path().join("a/file")).expect("link");
        let root = root(dir.path()).expect("root");
        assert_eq!(file(&root, Path::new("a/b/f"), 10).expect("read"), Some(b"ok".to_vec()));
        assert_eq!(file(&root, Path::new("a/b/f"), 1).expect("read"), None);
        let plain = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        assert!(part_by_part(&root, Path::new("a/b/f"), plain).is_ok());
        for path in ["a/link/secret", "a/file", "a/link", "../secret", "/etc/passwd", "a/b/../../.."] {
            assert!(open(&root, Path::new(path), OFlags::RDONLY | OFlags::CLOEXEC).is_err(), "{path}");
            assert!(part_by_part(&root, Path::new(path), plain).is_err(), "{path}");
        }
        assert!(file(&root, Path::new("a/b"), 10).is_err(), "a directory is no file");
    }
}
