//! Takes away what this room made, and only that.
//!
//! A folder is renamed first, so that it is gone at once and nobody enters it, then deleted
//! without following links. Git's own `worktree remove` is not used: it deletes the folder that
//! the entry names, and an agent can write the entry.
//!
//! **Invariant:** a folder is removed only if it still is the very one that was made.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cli::Git;
use super::error::{GitError, chained};
use super::repo::Repository;
use super::site::HEADS;
use crate::model::name::{BranchName, Oid};
use crate::os::failpoint;

/// What is being removed has this name, beside where it was.
const GONE: &str = ".standup-gone-";

/// What a killed process left under a temporary name is swept after this long.
const LEFT_OVER: Duration = Duration::from_secs(600);

/// Removes what killed processes left half-made or half-removed in a folder.
pub(super) fn sweep(dir: &Path, prefixes: &[&str]) {
    let Ok(found) = fs::read_dir(dir) else { return };
    for entry in found.flatten() {
        let name = entry.file_name();
        let is_ours = prefixes.iter().chain(&[GONE]).any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()));
        let is_old = || {
            let changed = entry.metadata().and_then(|meta| meta.modified());
            changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT_OVER))
        };
        if is_ours && is_old() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What one creation made so far. Dropped without [`Made::keep`], it takes everything back.
#[derive(Debug)]
pub(super) struct Made<'a> {
    git: &'a Git,
    repo: &'a Repository,
    /// The branch, and the commit it was made at.
    pub branch: Option<(BranchName, Oid)>,
    /// Folders above the worktree, outermost first.
    pub parents: Vec<PathBuf>,
    /// Folders made whole: worktree, entry, shadow.
    pub folders: Vec<Folder>,
    /// An empty folder that stood where the worktree went.
    pub was_there: Option<PathBuf>,
}

/// A folder, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    path: PathBuf,
    id: Id,
}

/// Device, number and birth, as numbers are given out again; not every file system knows births.
type Id = (u64, u64, Option<SystemTime>);

fn id(meta: &fs::Metadata) -> Id {
    (meta.dev(), meta.ino(), meta.created().ok())
}

impl Folder {
    /// Remembers which folder stands at `path`.
    pub(super) fn at(path: &Path) -> Result<Self, GitError> {
        let meta = fs::symlink_metadata(path).map_err(|e| GitError::io("read", path, e))?;
        Ok(Self { path: path.to_owned(), id: id(&meta) })
    }

    /// Removes it, if it is still there and still the same.
    pub(super) fn remove(&self) -> Result<(), GitError> {
        let meta = match fs::symlink_metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(GitError::io("read", &self.path, e)),
        };
        if !meta.is_dir() || id(&meta) != self.id {
            return Ok(());
        }
        let gone = away(&self.path)?;
        fs::remove_dir_all(&gone).map_err(|e| GitError::io("remove", &gone, e))
    }
}

/// Renames a folder to a hidden name beside it, and returns that name.
fn away(path: &Path) -> Result<PathBuf, GitError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // An entry's neighbours are read by every git, so what is being removed leaves that folder.
    let parent = if parent.ends_with("worktrees") { parent.parent().unwrap_or(parent) } else { parent };
    let hidden = tempfile::Builder::new()
        .prefix(GONE)
        .tempdir_in(parent)
        .map_err(|e| GitError::io("make a folder in", parent, e))?
        .keep();
    fs::rename(path, &hidden).map_err(|e| {
        let _ = fs::remove_dir(&hidden);
        GitError::io("move away", path, e)
    })?;
    Ok(hidden)
}

impl<'a> Made<'a> {
    /// Nothing yet.
    pub(super) fn new(git: &'a Git, repo: &'a Repository) -> Self {
        Self { git, repo, branch: None, parents: Vec::new(), folders: Vec::new(), was_there: None }
    }

    /// Makes the missing folders above the worktree.
    pub(super) fn make_parents(&mut self, dir: &Path) -> Result<(), GitError> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => self.parents.push(path.to_owned()),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(GitError::io("make", path, e)),
            }
        }
        Ok(())
    }

    /// It is all wanted: nothing is taken back.
    pub(super) fn keep(mut self) {
        self.branch = None;
        self.parents.clear();
        self.folders.clear();
        self.was_there = None;
    }

    /// Takes everything back, last made first.
    ///
    /// # Errors
    /// [`GitError::BranchHeld`] where that is all; else [`GitError::Remains`] with everything that
    /// could not be removed. The rest was tried all the same.
    pub(super) fn undo(mut self) -> Result<(), GitError> {
        self.take_back()
    }

    fn take_back(&mut self) -> Result<(), GitError> {
        let (mut remains, mut held) = (Vec::new(), None);
        while let Some(folder) = self.folders.pop() {
            if let Err(error) = folder.remove() {
                remains.push(format!("{} ({})", folder.path.display(), chained(&error)));
            }
            failpoint::hit("removal.folder");
        }
        failpoint::hit("removal.branch");
        if let Some((branch, oid)) = self.branch.take() {
            match delete_branch(self.git, self.repo, &branch, &oid) {
                Ok(()) => {}
                Err(error @ GitError::BranchHeld { .. }) if remains.is_empty() => held = Some(error),
                // An entry that could not be removed holds it, too.
                Err(error) => remains.push(format!("branch {branch} ({})", chained(&error))),
            }
        }
        while let Some(parent) = self.parents.pop() {
            // Somebody else may have put something into it.
            let _ = fs::remove_dir(parent);
        }
        if let Some(path) = self.was_there.take() {
            let _ = fs::create_dir(path);
        }
        if !remains.is_empty() {
            return Err(GitError::Remains { what: remains.join(", ") });
        }
        held.map_or(Ok(()), Err)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.take_back() {
            tracing::warn!(%error, "a part of a failed worktree could not be removed");
        }
    }
}

/// The checkout whose HEAD follows a branch, as git knows it: a worktree, or the main one.
pub(super) fn holder(git: &Git, repo: &Repository, branch: &BranchName) -> Result<Option<PathBuf>, GitError> {
    let full = format!("{HEADS}{branch}");
    let said = repo.call(git, &["for-each-ref", "--format=%(worktreepath)", &full]).read()?;
    let line = said.split(|&b| b == b'\n').next().filter(|line| !line.is_empty());
    Ok(line.map(|line| PathBuf::from(std::ffi::OsStr::from_bytes(line))))
}

/// Deletes a branch that still stands at `oid`; one that moved is kept.
///
/// # Errors
/// [`GitError::BranchHeld`] where a checkout is on it, which would be left on nothing; what git says.
pub(super) fn delete_branch(git: &Git, repo: &Repository, branch: &BranchName, oid: &Oid) -> Result<(), GitError> {
    let full = format!("{HEADS}{branch}");
    if repo.find_reference(git, &full)?.as_ref() != Some(oid) {
        return Ok(());
    }
    if let Some(worktree) = holder(git, repo, branch)? {
        return Err(GitError::BranchHeld { branch: branch.clone(), worktree });
    }
    repo.call(git, &["update-ref", "--no-deref", "-d", &full, oid.as_str()]).read().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_left_overs_of_ours_are_swept() {
        let dir = tempfile::tempdir().expect("temp dir");
        let long_ago = SystemTime::UNIX_EPOCH + LEFT_OVER;
        for name in [".standup-gone-old", ".standup-gone-new", "other-old"] {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("folder");
            if name.ends_with("old") {
                fs::File::open(&path).and_then(|f| f.set_modified(long_ago)).expect("time");
            }
        }
        sweep(dir.path(), &[]);
        let left: Vec<_> = fs::read_dir(dir.path()).expect("dir").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(!dir.path().join(".standup-gone-old").exists());
    }

    #[test]
    fn only_the_very_folder_is_removed_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (outside, inside) = (dir.path().join("outside"), dir.path().join("inside"));
        fs::create_dir(&outside).expect("outside");
        fs::write(outside.join("precious"), "x").expect("file");
        fs::create_dir(&inside).expect("inside");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("link");
        fs::create_dir(dir.path().join("other")).expect("other");
        let folder = Folder::at(&inside).expect("folder");
        folder.remove().expect("remove");
        assert!(!inside.exists() && outside.join("precious").exists());

        fs::rename(dir.path().join("other"), &inside).expect("another folder at the same path");
        folder.remove().expect("nothing to do");
        assert!(inside.exists(), "it is not the folder that was made");
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 2, "nothing is left beside");
    }
}
