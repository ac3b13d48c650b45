//! Where an attempt's work lies when it does not lie on the attempt's own branch.

use serde::{Deserialize, Serialize};

use super::name::BranchName;

/// What is wrong with where an attempt's work lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Astray {
    /// HEAD of its worktree is not its branch, and its branch does not hold what lies there.
    OffBranch {
        /// The branch that HEAD follows; `None` where it is detached.
        on: Option<BranchName>,
        /// What was begun in the worktree and not ended, as git calls it (`rebase`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doing: Option<String>,
    },
    /// The worktree is not what was made: its folder is gone, or its `.git` was changed.
    Broken {
        /// What of it.
        why: String,
    },
}

impl Astray {
    /// Its flag.
    #[must_use]
    pub fn flag(&self) -> &'static str {
        match self {
            Self::OffBranch { .. } => "off-branch",
            Self::Broken { .. } => "broken",
        }
    }

    /// In words, without a subject: `is on other, not on its branch`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::OffBranch { doing: Some(doing), .. } => format!("is in the middle of a {doing}, not on its branch"),
            Self::OffBranch { on: Some(on), .. } => format!("is on {on}, not on its branch"),
            Self::OffBranch { on: None, .. } => "is on no branch (detached HEAD)".to_owned(),
            Self::Broken { why } => format!("is broken: {why}"),
        }
    }
}
