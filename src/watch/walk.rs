//! Going through a worktree's directories that git does not ignore.
//!
//! **Invariant:** no symbolic link is followed and no `.git` entered; a directory is handed to the
//! visitor before its content is read, so that a visitor which begins to watch it misses nothing
//! between the two. Must not know: what visitors do.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::beneath;
use super::dirs::{Role, Wd};
use super::ignores::{self, Cache, Kept, Rules};
use super::source::Refused;

/// The most directories that one walk enters. Far above any known source tree, and below what one
/// worktree may take of the user's watches.
const MAX_DIRECTORIES: usize = 100_000;

/// The most file names of one directory that are handed on.
const MAX_FILES: usize = 100_000;

/// A worktree, as far as going through it needs.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) root: &'a Path,
    /// Relative to the root; empty where there is none.
    pub(super) outbox: &'a Path,
    /// What git keeps although a rule ignores it.
    pub(super) kept: &'a Kept,
    pub(super) rules: &'a mut Rules,
    pub(super) cache: &'a mut Cache,
}

/// A directory that was found; it is open.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) role: Role,
    pub(super) parent: Wd,
    /// Relative to the root.
    pub(super) rel: &'a Path,
}

/// What is done with what is found.
pub(super) trait Visit {
    /// A directory; its number is the parent of those found in it.
    fn enter(&mut self, found: Found<'_>) -> Result<Wd, Refused>;

    /// Whether files of directories in this role are wanted.
    fn wants(&self, role: Role) -> bool;

    /// A file (or link, or anything else that is no directory) that git does not ignore, or keeps
    /// all the same, or any in the outbox.
    fn file(&mut self, dir: BorrowedFd<'_>, role: Role, rel: PathBuf);
}

/// Where to begin.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Relative to the root.
    pub(super) rel: PathBuf,
    pub(super) role: Role,
    pub(super) parent: Wd,
}

/// Why a worktree was not gone through to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The root is no directory any more.
    Gone,
    /// The root may not be read.
    Unreadable(io::Error),
    /// The visitor's reason.
    Refused(Refused),
    /// More than [`MAX_DIRECTORIES`].
    TooMany,
}

impl Start {
    pub(super) fn root() -> Self {
        Self { rel: PathBuf::new(), role: Role::Root, parent: super::dirs::NO_PARENT }
    }
}

/// What the directory `rel`, found in one of role `parent`, is watched for; `None` where it is not.
pub(super) fn role_of(rel: &Path, parent: Role, outbox: &Path, kept: &Kept, rules: &Rules) -> Option<Role> {
    if rel.file_name().is_none_or(|name| name == ".git") || parent == Role::Outbox {
        return None;
    }
    if rel == outbox {
        return Some(Role::Outbox);
    }
    if parent.is_content() && !rules.ignore(rel, true) {
        return Some(Role::Content);
    }
    if kept.lies_below(rel) {
        return Some(Role::Kept);
    }
    outbox.starts_with(rel).then_some(Role::Passage)
}

/// Whether the file `rel`, found in a directory of role `parent`, is the worktree's content.
pub(super) fn is_content(rel: &Path, parent: Role, kept: &Kept, rules: &Rules) -> bool {
    (parent.is_content() && !rules.ignore(rel, false)) || (parent.has_content() && kept.contains(rel))
}

impl Ground<'_> {
    /// Goes through everything from `start` on. What vanishes meanwhile is passed over, and so is
    /// what may not be read, unless it is the root.
    pub(super) fn walk(&mut self, start: Start, visit: &mut impl Visit) -> Result<(), Stopped> {
        let root = beneath::root(self.root).map_err(gone)?;
        let mut count = 0;
        let mut pending = vec![start];
        while let Some(Start { rel, role, parent }) = pending.pop() {
            let fd = match beneath::directory(&root, &rel) {
                Ok(fd) => fd,
                Err(e) if role == Role::Root => return Err(gone(e)),
                Err(_) => continue,
            };
            count += 1;
            if count > MAX_DIRECTORIES {
                return Err(Stopped::TooMany);
            }
            let wd = match visit.enter(Found { fd: fd.as_fd(), role, parent, rel: &rel }) {
                Ok(wd) => wd,
                Err(Refused::Absent) if role == Role::Root => return Err(Stopped::Gone),
                Err(Refused::Absent) => continue,
                Err(refused) => return Err(Stopped::Refused(refused)),
            };
            let Ok(entries) = read(fd.as_fd(), visit.wants(role)) else { continue };
            if entries.has_rules && role.is_content() {
                self.rules.load(&fd, &rel, self.cache);
            } else {
                self.rules.forget(&rel);
            }
            for name in entries.files {
                let rel = rel.join(name);
                if role == Role::Outbox || is_content(&rel, role, self.kept, self.rules) {
                    visit.file(fd.as_fd(), role, rel);
                }
            }
            for name in entries.directories {
                let rel = rel.join(name);
                if let Some(role) = role_of(&rel, role, self.outbox, self.kept, self.rules) {
                    pending.push(Start { rel, role, parent: wd });
                }
            }
        }
        Ok(())
    }
}

/// The names in a directory.
struct Entries {
    directories: Vec<OsString>,
    /// All others, where they are wanted.
    files: Vec<OsString>,
    has_rules: bool,
}

fn read(fd: BorrowedFd<'_>, wants_files: bool) -> io::Result<Entries> {
    let mut entries = Entries { directories: Vec::new(), files: Vec::new(), has_rules: false };
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if matches!(name.as_bytes(), b"." | b".." | b".git") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say it in the listing.
            FileType::Unknown => match rustix::fs::statat(fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => continue,
            },
            kind => kind,
        };
        if kind == FileType::Directory {
            entries.directories.push(name.to_owned());
            continue;
        }
        entries.has_rules |= name == ignores::FILE;
        if wants_files && entries.files.len() < MAX_FILES {
            entries.files.push(name.to_owned());
        }
    }
    Ok(entries)
}

fn gone(error: io::Error) -> Stopped {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Stopped::Gone,
        _ => Stopped::Unreadable(error),
    }
}
