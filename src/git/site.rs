//! Where one attempt's worktree lies, and whether it still is what we made.
//!
//! **Invariant:** everything here is read as plain bounded text, never by git: whatever an agent
//! put in the place of `.git`, nothing of it runs and none of it is believed.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use super::error::{GitError, plain};
use crate::model::name::{BranchName, Oid};

/// The files that connect a worktree to its repository are one line each.
const MAX_LINE_FILE: u64 = 8 << 10;

/// The prefix of a local branch among references.
pub(super) const HEADS: &str = "refs/heads/";

/// One worktree: its folder, its entry in the repository, and the repository's shared folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The worktree, canonical.
    pub worktree: PathBuf,
    /// `<common>/worktrees/<name>`.
    pub admin_dir: PathBuf,
    /// The shared git folder, canonical.
    pub common_dir: PathBuf,
}

/// What a worktree's HEAD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadRef {
    /// It follows a branch.
    Branch(BranchName),
    /// It names a commit.
    Detached(Oid),
    /// The text is not here: a reftable repository keeps it in its table.
    InTable,
}

/// An operation that was begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InProgress {
    /// `git rebase`.
    Rebase,
    /// `git am`.
    Am,
    /// `git merge`.
    Merge,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// `git bisect`.
    Bisect,
}

impl InProgress {
    /// Looks into a git folder.
    #[must_use]
    pub fn look(git_dir: &Path) -> Option<Self> {
        let has = |name: &str| fs::symlink_metadata(git_dir.join(name)).is_ok();
        if has("rebase-merge") {
            Some(Self::Rebase)
        } else if has("rebase-apply") {
            Some(if has("rebase-apply/applying") { Self::Am } else { Self::Rebase })
        } else if has("MERGE_HEAD") {
            Some(Self::Merge)
        } else if has("CHERRY_PICK_HEAD") {
            Some(Self::CherryPick)
        } else if has("REVERT_HEAD") {
            Some(Self::Revert)
        } else if has("BISECT_LOG") {
            Some(Self::Bisect)
        } else {
            None
        }
    }

    /// What git calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rebase => "rebase",
            Self::Am => "am",
            Self::Merge => "merge",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        }
    }
}

impl Site {
    /// The branch an entry's name stands for in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.admin_dir.file_name().map_or(String::new(), |name| plain(name.as_bytes()))
    }

    /// Checks every link between worktree, entry and repository.
    ///
    /// # Errors
    /// [`GitError::Broken`] says which link was changed.
    pub fn require_intact(&self) -> Result<(), GitError> {
        let broken = |why: String| GitError::Broken { path: self.worktree.clone(), why };
        let kind = |path: &Path| fs::symlink_metadata(path).map(|m| m.file_type());
        match kind(&self.worktree) {
            Ok(t) if t.is_dir() => {}
            Ok(_) => return Err(broken("something else stands where its folder was".into())),
            Err(_) => return Err(broken("its folder is gone".into())),
        }
        let dot_git = self.worktree.join(".git");
        match kind(&dot_git) {
            Ok(t) if t.is_file() => {}
            Ok(_) => return Err(broken("its .git was replaced".into())),
            Err(_) => return Err(broken("its .git is gone".into())),
        }
        let line = read_line(&dot_git).map_err(|e| broken(format!("its .git cannot be read: {e}")))?;
        let target = line.strip_prefix(b"gitdir: ").map(|p| resolve(&self.worktree, p));
        if target.as_deref() != Some(&*self.admin_dir) {
            return Err(broken("its .git points elsewhere".into()));
        }
        if !kind(&self.admin_dir).is_ok_and(|t| t.is_dir()) {
            return Err(broken("its entry in the repository is gone".into()));
        }
        let link = |name: &str| {
            read_line(&self.admin_dir.join(name))
                .map(|line| resolve(&self.admin_dir, &line))
                .map_err(|e| broken(format!("{name} in its entry cannot be read: {e}")))
        };
        if kind(&self.common_dir.join("commondir")).is_ok() {
            return Err(broken("its repository was redirected to another (a file `commondir` in it)".into()));
        }
        if link("commondir")? != self.common_dir {
            return Err(broken("its entry points to another repository".into()));
        }
        let written = link("gitdir")?;
        // The folders above it may have been moved, with a link left in their place.
        if written != dot_git && !written.canonicalize().is_ok_and(|real| real == dot_git) {
            return Err(broken("its entry points to another folder".into()));
        }
        Ok(())
    }

    /// Reads HEAD as text.
    ///
    /// # Errors
    /// [`GitError::Broken`] where it is neither a branch nor a commit.
    pub fn head_ref(&self) -> Result<HeadRef, GitError> {
        let broken = |why: String| GitError::Broken { path: self.worktree.clone(), why };
        let line = read_line(&self.admin_dir.join("HEAD")).map_err(|e| broken(format!("HEAD cannot be read: {e}")))?;
        let text = std::str::from_utf8(&line).map_err(|_| broken("HEAD is not text".into()))?;
        if text == "ref: refs/heads/.invalid" {
            return Ok(HeadRef::InTable);
        }
        parse_head(text).ok_or_else(|| broken(format!("HEAD says {:?}", plain(text.as_bytes()))))
    }
}

/// What HEAD's line says; `None` where it is neither a branch nor a commit.
fn parse_head(text: &str) -> Option<HeadRef> {
    match text.strip_prefix("ref: ") {
        Some(name) => BranchName::new(name.strip_prefix(HEADS)?).ok().map(HeadRef::Branch),
        None => Oid::new(text).ok().map(HeadRef::Detached),
    }
}

/// A file's one line, without the newline. No link is followed, and nothing but a regular file is
/// opened for longer than it takes to see that.
pub(super) fn read_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = read_plain(path, MAX_LINE_FILE)?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    Ok(bytes)
}

/// A whole regular file of at most `max` bytes, not through a link.
pub(super) fn read_plain(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

/// A path as written in `base`, without `.` and `..`, links not looked at.
pub(super) fn resolve(base: &Path, written: &[u8]) -> PathBuf {
    let joined = base.join(PathBuf::from(std::ffi::OsString::from_vec(written.to_vec())));
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_branch_or_a_commit_and_nothing_else() {
        let oid = "0123456789012345678901234567890123456789";
        assert!(
            matches!(parse_head("ref: refs/heads/standup/T7/1-x"), Some(HeadRef::Branch(b)) if b.as_str() == "standup/T7/1-x")
        );
        assert!(matches!(parse_head(oid), Some(HeadRef::Detached(o)) if o.as_str() == oid));
        for text in
            ["", "ref: refs/tags/x", "ref: refs/heads/../../x", "ref: /etc/passwd", "ref: refs/heads/-x", "main"]
        {
            assert_eq!(parse_head(text), None, "{text}");
        }
    }

    #[test]
    fn a_fifo_is_not_waited_for_and_a_link_not_followed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).expect("fifo");
        assert!(read_line(&fifo).is_err());
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).expect("link");
        assert!(read_line(&dir.path().join("link")).is_err());
    }

    #[test]
    fn written_paths_are_resolved_as_text() {
        assert_eq!(resolve(Path::new("/r/.git/worktrees/x"), b"../.."), Path::new("/r/.git"));
        assert_eq!(resolve(Path::new("/r"), b"/a/./b"), Path::new("/a/b"));
    }
}
