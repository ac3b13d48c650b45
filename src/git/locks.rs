//! Locks that a killed git left behind.
//!
//! Git's lock files name no owner, so the living are asked: who has the file open, and which git
//! works in this worktree.
//!
//! **Invariant:** a lock is removed only if no process that could own it lives; in doubt it stays.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::GitError;
use super::site::{HEADS, Site};
use crate::model::name::BranchName;
use crate::os::clock;
use crate::os::process::{self, ProcessId};

/// How deep below a worktree's entry locks are looked for (`refs/worktree/x/y.lock`).
const DEPTH: usize = 5;

/// How many locks one sweep looks at.
const MAX_LOCKS: usize = 256;

/// A lock file in the way of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// The file.
    pub path: PathBuf,
    /// Since its last change; `None` where the clock went back.
    pub age: Option<Duration>,
    /// A living process that may own it.
    pub owner: Option<ProcessId>,
}

/// The locks of an attempt: those in its entry, and the one of its branch.
#[must_use]
pub fn find(site: &Site, branch: Option<&BranchName>) -> Vec<LockFile> {
    let paths = lock_paths(site, branch);
    if paths.is_empty() {
        return Vec::new();
    }
    let workers = gits_in(site);
    paths.into_iter().map(|path| LockFile { age: age(&path), owner: open_by(&path).or(workers), path }).collect()
}

/// The locks of an attempt whose owner is dead.
#[must_use]
pub fn stale_locks(site: &Site, branch: Option<&BranchName>) -> Vec<LockFile> {
    if !can_see_processes() {
        return Vec::new();
    }
    find(site, branch).into_iter().filter(|lock| lock.owner.is_none()).collect()
}

/// Removes the locks of an attempt whose owner is dead, and returns them. Call it once the
/// attempt's processes have ended.
///
/// # Errors
/// [`GitError::Io`] where a dead lock cannot be removed.
pub fn sweep(site: &Site, branch: Option<&BranchName>) -> Result<Vec<PathBuf>, GitError> {
    let before: Vec<_> = lock_paths(site, branch).into_iter().filter_map(|p| Some((identity(&p)?, p))).collect();
    let stale = stale_locks(site, branch);
    let mut removed = Vec::new();
    for (seen, path) in before {
        // The same file as before the owners were looked for: nobody has taken the lock since.
        if !stale.iter().any(|lock| lock.path == path) || identity(&path) != Some(seen) {
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => removed.push(path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(GitError::io("remove", &path, e)),
        }
    }
    Ok(removed)
}

/// How long ago a file was changed.
pub(super) fn age(path: &Path) -> Option<Duration> {
    let meta = fs::symlink_metadata(path).ok()?;
    let changed_ms = meta.mtime().saturating_mul(1_000) + meta.mtime_nsec() / 1_000_000;
    u64::try_from(clock::now().wall.0 - changed_ms).ok().map(Duration::from_millis)
}

/// A living process that has the file open.
pub(super) fn open_by(path: &Path) -> Option<ProcessId> {
    let wanted = fs::metadata(path).ok()?;
    let holds = |pid: &u32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        entries
            .flatten()
            .any(|fd| fs::metadata(fd.path()).is_ok_and(|m| m.dev() == wanted.dev() && m.ino() == wanted.ino()))
    };
    process::all().into_iter().filter(holds).find_map(ProcessId::of).filter(|id| id.is_alive())
}

fn can_see_processes() -> bool {
    process::all().contains(&std::process::id())
}

/// What tells a lock file from another that was made at the same path.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    fs::symlink_metadata(path).ok().map(|m| (m.dev(), m.ino(), m.ctime(), m.ctime_nsec()))
}

fn lock_paths(site: &Site, branch: Option<&BranchName>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&site.admin_dir, DEPTH, &mut found);
    if let Some(branch) = branch {
        let path = site.common_dir.join(format!("{HEADS}{branch}.lock"));
        if is_own_file(&path) {
            found.push(path);
        }
    }
    found
}

fn collect(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && depth > 0 {
            collect(&path, depth - 1, found);
        } else if found.len() < MAX_LOCKS && path.extension().is_some_and(|e| e == "lock") && is_own_file(&path) {
            found.push(path);
        }
    }
}

/// A regular file of this user: what another user locked is that user's affair.
fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.uid() == rustix::process::geteuid().as_raw())
}

/// A living git that works in the worktree: one that stands in it, or was told of it.
fn gits_in(site: &Site) -> Option<ProcessId> {
    let is_inside = |path: &Path| path.starts_with(&site.worktree) || path.starts_with(&site.admin_dir);
    let names = [site.worktree.as_os_str().as_bytes(), site.admin_dir.as_os_str().as_bytes()];
    let works = |pid: &u32| {
        let is_git = process::executable(*pid)
            .and_then(|exe| Some(exe.file_name()?.as_bytes().starts_with(b"git")))
            .unwrap_or(false);
        if !is_git {
            return false;
        }
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| is_inside(&cwd)) {
            return true;
        }
        let said = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let (args, env) = (said("cmdline"), said("environ"));
        let told = env.split(|&b| b == 0).filter(|entry| entry.starts_with(b"GIT_"));
        told.chain(args.split(|&b| b == 0)).any(|text| names.iter().any(|name| contains(text, name)))
    };
    process::all().into_iter().filter(works).filter_map(ProcessId::of).find(|id| id.is_alive())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
