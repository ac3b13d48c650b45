//! What happened in a worktree since it stood elsewhere.
//!
//! **Invariant:** as of all looks: nothing an agent planted is run, nothing is written that anybody
//! else sees. Must not know: why somebody asks.

use super::{ChangeKind, GitError, Lines, Shadow, changes, counts, plain};
use crate::model::lease::{Changes, Mark};

/// Where a worktree stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// What a later stand can be compared with.
    pub mark: Mark,
    /// Whether it holds changes that are not committed.
    pub dirty: bool,
}

impl Shadow {
    /// Where the worktree stands now.
    ///
    /// # Errors
    /// As [`Shadow::tree_hash`].
    pub fn stand(&self) -> Result<Stand, GitError> {
        let head = self.head()?.oid;
        let tree = self.tree_under(&mut self.state(), head.as_ref())?;
        let dirty = match &head {
            Some(oid) => self.repo.tree_of(&self.git, oid)? != tree,
            None => true,
        };
        Ok(Stand { mark: Mark { head, tree }, dirty })
    }

    /// What changed from a mark to a stand; at most `named` paths and commits are named.
    ///
    /// # Errors
    /// What git says: a tree that was not committed may be gone by now.
    pub fn since(&self, from: &Mark, to: &Stand, named: usize) -> Result<Changes, GitError> {
        let (head, tree) = (from.head.as_ref(), &from.tree);
        let mut since = Changes { dirty: to.dirty, ..Changes::default() };
        let to = &to.mark;
        if *tree != to.tree {
            let Lines { files, insertions, deletions } =
                counts(&self.diff(&["--numstat", "-z"], tree, &to.tree).read()?);
            (since.files, since.insertions, since.deletions) = (files, insertions, deletions);
            let listed = changes(&self.diff(&["--raw", "-z"], tree, &to.tree).read()?);
            let one = |change: &super::Change| {
                format!("{} {}", letter(change.kind), plain(change.path.as_os_str().as_encoded_bytes()))
            };
            since.paths = listed.iter().take(named).map(one).collect();
        }
        let Some(now) = to.head.as_ref().filter(|now| head != Some(*now)) else { return Ok(since) };
        let range = head.map_or_else(|| now.as_str().to_owned(), |before| format!("{before}..{now}"));
        let count = self.private.call(&self.git, &["rev-list", "--count", "--end-of-options", &range]).text()?;
        since.commits = count
            .trim()
            .parse()
            .map_err(|_| GitError::Unexpected { command: "git rev-list".into(), answer: plain(count.as_bytes()) })?;
        let most = format!("--max-count={named}");
        let args = ["log", "--no-show-signature", "--no-color", "--format=%h %s", &most, "--end-of-options", &range];
        let log = self.private.call(&self.git, &args).read()?;
        since.subjects = String::from_utf8_lossy(&log).lines().map(|line| plain(line.as_bytes())).collect();
        Ok(since)
    }
}

fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'M',
        ChangeKind::Deleted => 'D',
        ChangeKind::Renamed => 'R',
    }
}
