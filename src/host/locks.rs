//! Removes lock files that killed programs left.
//!
//! **Invariant:** a lock that a living process has open, or that a living git at work in that
//! place may own, is not touched, nor one behind a link. Must not know: what is locked.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::os::process;

/// Entries looked at in one folder.
const MAX_ENTRIES: usize = 10_000;

/// Removes the stale `*.lock` files that lie directly in these folders; returns their paths.
/// Call once every process of the agent is gone.
pub(super) fn sweep(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let locks: Vec<(PathBuf, (u64, u64))> = dirs.iter().flat_map(|dir| locks_in(dir)).collect();
    if locks.is_empty() {
        return Vec::new();
    }
    let open = open_files();
    let places = git_places();
    locks
        .into_iter()
        .filter(|(path, id)| !open.contains(id) && !is_worked_in(path.parent().unwrap_or(path), &places))
        .filter(|(path, _)| fs::remove_file(path).is_ok())
        .map(|(path, _)| path)
        .collect()
}

fn locks_in(dir: &Path) -> Vec<(PathBuf, (u64, u64))> {
    // The agent could write there: what lies behind a link is not its own.
    if !fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.flatten().take(MAX_ENTRIES).map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
        .filter_map(|path| {
            let meta = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some((path, (meta.dev(), meta.ino())))
        })
        .collect()
}

/// Device and inode of every file that a process of this user has open.
fn open_files() -> BTreeSet<(u64, u64)> {
    let descriptors = process::all().into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
    descriptors
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .map(|meta| (meta.dev(), meta.ino()))
        .collect()
}

/// Where living gits work. One that waits for an editor holds its lock with the file closed.
fn git_places() -> Vec<PathBuf> {
    let is_git = |pid: &u32| {
        process::executable(*pid)
            .and_then(|exe| exe.file_name().map(|name| name.to_string_lossy().starts_with("git")))
            .unwrap_or(false)
    };
    process::all().into_iter().filter(is_git).filter_map(|pid| fs::read_link(format!("/proc/{pid}/cwd")).ok()).collect()
}

/// Whether a git works in `dir`, or in the worktree whose administrative folder `dir` is.
fn is_worked_in(dir: &Path, places: &[PathBuf]) -> bool {
    let worktree = fs::read_to_string(dir.join("gitdir")).ok();
    let worktree = worktree.as_deref().and_then(|text| Path::new(text.trim_end()).parent());
    let roots: Vec<PathBuf> =
        [Some(dir), worktree].into_iter().flatten().map(|root| fs::canonicalize(root).unwrap_or(root.into())).collect();
    places.iter().any(|place| roots.iter().any(|root| place.starts_with(root)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_nobody_has_open_goes_and_one_in_use_stays() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = |name: &str| dir.path().join(name);
        for name in ["index.lock", "HEAD.lock", "index"] {
            fs::write(path(name), b"").expect("write");
        }
        let held = fs::File::open(path("HEAD.lock")).expect("open");
        fs::create_dir(path("dir.lock")).expect("mkdir");
        assert_eq!(sweep(&[dir.path().to_owned(), path("absent")]), [path("index.lock")]);
        assert!(path("HEAD.lock").exists() && path("index").exists() && path("dir.lock").exists());
        drop(held);
        assert_eq!(sweep(&[dir.path().to_owned()]), [path("HEAD.lock")]);
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_swept() {
        let (dir, other) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
        let lock = other.path().join("index.lock");
        fs::write(&lock, b"").expect("write");
        let link = dir.path().join("admin");
        std::os::unix::fs::symlink(other.path(), &link).expect("link");
        assert_eq!(sweep(&[link]), Vec::<PathBuf>::new());
        assert!(lock.exists());
    }

    #[test]
    fn a_lock_whose_git_waits_in_the_worktree_stays() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (admin, worktree) = (dir.path().join("admin"), dir.path().join("w"));
        fs::create_dir_all(&admin).expect("mkdir");
        fs::create_dir_all(&worktree).expect("mkdir");
        fs::write(admin.join("gitdir"), format!("{}/.git\n", worktree.display())).expect("write");
        let real = fs::canonicalize(&worktree).expect("real");
        assert!(is_worked_in(&admin, &[real.join("sub")]));
        assert!(!is_worked_in(&admin, &[fs::canonicalize(dir.path()).expect("real")]));
    }
}
