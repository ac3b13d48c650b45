//! The report file of a check: what makes it evidence of this run.
//!
//! **Invariant:** what is read is a regular file that lies in the worktree itself, reached without
//! a single link, of bounded size, and written since the check started. Must not know formats.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::model::name::RepoPath;
use crate::os::clock;
use crate::report::MAX_DOCUMENT;

/// File systems stamp changes with the kernel's tick (at most 10 ms): a file younger than this
/// could be written again without a trace.
const RACY_MS: i64 = 20;

/// Where a report is expected, and what lay there before.
#[derive(Debug)]
pub(super) struct Expected {
    worktree: PathBuf,
    path: RepoPath,
    before: Option<Identity>,
}

/// What tells one content of a file from the next: a write changes the times, a replacement the
/// inode. Only the owner of the clock can fake the change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Expected {
    /// Looks at what lies there before the check starts.
    pub(super) fn look(worktree: &Path, path: &RepoPath) -> Self {
        let before = open(worktree, path).ok().map(|(_, meta)| Identity::of(&meta));
        if let Some(before) = before {
            let changed_ms = before.changed.0.saturating_mul(1_000).saturating_add(before.changed.1 / 1_000_000);
            let age = clock::now().wall.0.saturating_sub(changed_ms);
            if let Ok(wait) = u64::try_from(RACY_MS - age.max(0)) {
                thread::sleep(Duration::from_millis(wait));
            }
        }
        Self { worktree: worktree.to_owned(), path: path.clone(), before }
    }

    /// Hands the report to `take` in chunks, or says why it is none, as the end of a sentence.
    pub(super) fn read(&self, mut take: impl FnMut(&[u8])) -> Result<(), String> {
        let path = &self.path;
        let (file, meta) = open(&self.worktree, path)?;
        if self.before == Some(Identity::of(&meta)) {
            return Err(format!("{path} is from before this run"));
        }
        let mut file = file.take(MAX_DOCUMENT as u64 + 1);
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    total += n;
                    if total > MAX_DOCUMENT {
                        return Err(format!("{path} has more than {} MiB", MAX_DOCUMENT >> 20));
                    }
                    take(&buffer[..n]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("{path}: {error}")),
            }
        }
    }
}

/// Opens the file, and only if it is regular.
fn open(worktree: &Path, path: &RepoPath) -> Result<(File, Metadata), String> {
    let (dir, name) = find(worktree, path)?;
    // It may be another one by now: neither followed nor waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(&dir, name, flags, Mode::empty()).map_err(|errno| format!("{path}: {}", text(errno)))?;
    let file = File::from(fd);
    let meta = file.metadata().map_err(|error| format!("{path}: {error}"))?;
    if meta.is_file() { Ok((file, meta)) } else { Err(format!("{path} was replaced while it was opened")) }
}

/// Goes down to the file, one folder at a time, through no link. Opens nothing but folders: a
/// FIFO, a socket or a device is not touched.
fn find<'a>(worktree: &Path, path: &'a RepoPath) -> Result<(OwnedFd, &'a str), String> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (parents, name) = path.as_str().rsplit_once('/').map_or((None, path.as_str()), |(dir, name)| (Some(dir), name));
    let mut dir = rustix::fs::open(worktree, folder - OFlags::NOFOLLOW, Mode::empty())
        .map_err(|errno| format!("the worktree: {}", text(errno)))?;
    let mut reached = String::new();
    for part in parents.into_iter().flat_map(|dir| dir.split('/')) {
        reached.push_str(part);
        let stat = look(&dir, part, &reached)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(format!("{reached} is {}", kind(&stat)));
        }
        dir = rustix::fs::openat(&dir, part, folder, Mode::empty())
            .map_err(|errno| format!("{reached}: {}", text(errno)))?;
        reached.push('/');
    }
    let stat = look(&dir, name, path.as_str())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(format!("{path} is {}", kind(&stat)));
    }
    Ok((dir, name))
}

fn look(dir: &OwnedFd, name: &str, reached: &str) -> Result<Stat, String> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| format!("{reached}: {}", text(errno)))
}

fn text(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "there is no such file".into(),
        other => std::io::Error::from(other).to_string(),
    }
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => "a symbolic link; a report counts only where it lies in the worktree itself",
        FileType::Directory => "a folder",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    }
}
