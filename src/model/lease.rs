//! What a person holds of a task: the agent's input, a pause, the verdict on a plan or on work.
//!
//! **Invariant:** a lease exists exactly while its task stands in Takeover; it is part of the board
//! and so outlives every supervisor. Must not know: who enforces it.

use serde::{Deserialize, Serialize};

use super::event::By;
use super::id::ActionId;
use super::name::Oid;
use super::task::Column;
use super::time::Wall;

/// Paths and commits that are named in a summary; of more only the number is told.
pub const MAX_NAMED: usize = 20;

/// The longest plan that is kept, in bytes: the end of a longer one is cut off.
pub const MAX_PLAN: usize = 64 << 10;

/// The agent's input is in a person's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who took it: a person, or a rule that wants one.
    pub by: By,
    /// Since when.
    pub since: Wall,
    /// Why.
    pub reason: String,
    /// The column it goes back to.
    pub from: Column,
    /// Whether it had a place in Build, and keeps it.
    pub counts: bool,
    /// Looking where the worktree stands, by this action.
    pub marking: Option<ActionId>,
    /// Where the worktree stood at the takeover, once that was seen.
    pub mark: Option<Mark>,
    /// Being handed back.
    pub returning: Option<Returning>,
}

/// A handback under way: what changed is being looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// By this action.
    pub action: ActionId,
    /// What the agent is to be told besides; may be empty.
    pub note: String,
}

/// Where a worktree stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The commit at HEAD; `None` on a branch without commits.
    pub head: Option<Oid>,
    /// Everything in the worktree, as a tree.
    pub tree: Oid,
}

/// What changed in a worktree since a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Files that differ.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// The first paths, each after a letter: A, M, D or R.
    pub paths: Vec<String>,
    /// Commits that HEAD has and had not.
    pub commits: u64,
    /// The newest of them: short name and subject.
    pub subjects: Vec<String>,
    /// Whether the worktree holds changes that are not committed.
    pub dirty: bool,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files == 0 && self.commits == 0
    }
}

/// A task that shall rest until a person says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub since: Wall,
    /// Why; may be empty.
    pub reason: String,
}

/// What an agent wants to do, before it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The plan; empty where it ended its turn without one.
    pub text: String,
    /// When it was proposed.
    pub at: Wall,
    /// Whether it waits for a verdict.
    pub is_open: bool,
    /// When it was approved.
    pub approved_at: Option<Wall>,
}

/// A person's yes to work, bound to the bytes it was said of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// When.
    pub at: Wall,
    /// The tree that was approved.
    pub tree: Oid,
}
