//! Whether the files of a worktree stayed as they were while something ran on them.
//!
//! Every look is a witness, whoever it is made for: what the watcher tells leads to one. So what is
//! changed and put back is seen, if it stands for about half a second.
//!
//! **Invariant:** a path of the tree at the beginning that any look found otherwise is remembered,
//! whatever stands there later. What only came and went is not: checks leave such files for a
//! moment. Must not know: what runs.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{GitError, Shadow, State, plain};
use crate::model::name::Oid;

/// One run on the files of a worktree.
#[derive(Debug)]
pub struct Trial<'a> {
    shadow: &'a Shadow,
    seen: Arc<Mutex<Seen>>,
}

/// What looks have found since it began.
#[derive(Debug, Default)]
pub(super) struct Seen {
    start: Option<Oid>,
    moved: Option<String>,
}

/// The runs that looks are witnesses of.
pub(super) type Trials = Vec<Weak<Mutex<Seen>>>;

impl Shadow {
    /// Begins to be a witness, until what is returned is dropped.
    #[must_use]
    pub fn trial(&self) -> Trial<'_> {
        let seen = Arc::default();
        self.state().trials.push(Arc::downgrade(&seen));
        Trial { shadow: self, seen }
    }

    /// Compares what a look found with what stood there when each run began.
    pub(super) fn witness(&self, state: &mut State, tree: &Oid) {
        state.trials.retain(|trial| trial.strong_count() > 0);
        for trial in state.trials.iter().filter_map(Weak::upgrade) {
            let mut seen = trial.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(start), None) = (&seen.start, &seen.moved)
                && start != tree
            {
                seen.moved = self.first_moved(start, tree);
            }
        }
    }

    /// The first path of a tree that is not the same in another.
    fn first_moved(&self, from: &Oid, to: &Oid) -> Option<String> {
        let how = ["--name-only", "-z", "--no-renames", "--diff-filter=DMT"];
        match self.diff(&how, from, to).read() {
            Ok(listed) => listed.split(|&b| b == 0).find(|path| !path.is_empty()).map(plain),
            // Trees that cannot be compared any more are not the same.
            Err(_) => Some("a file".into()),
        }
    }
}

impl Trial<'_> {
    /// The hash of everything in the worktree. The first one is what later looks are compared with.
    ///
    /// # Errors
    /// As [`Shadow::tree_hash`].
    pub fn tree(&self) -> Result<Oid, GitError> {
        let head = self.shadow.head()?;
        let mut state = self.shadow.state();
        let tree = self.shadow.tree_under(&mut state, head.oid.as_ref())?;
        // Before the next look can begin.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).start.get_or_insert_with(|| tree.clone());
        Ok(tree)
    }

    /// A file that stood there at the beginning and was seen changed or gone since, for people.
    #[must_use]
    pub fn moved(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).moved.clone()
    }
}
