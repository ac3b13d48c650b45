//! The watched directories of all attempts, small enough for tens of thousands.
//!
//! A directory knows its parent and its own name; its path is put together when it is asked for.
//! Sorted by watch number, which the kernel counts upwards, so that adding is appending.
//! **Invariant:** at most one entry for each number. Must not know: the kernel, files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The number the kernel gave to a watch.
pub(super) type Wd = i32;

/// The parent of a root.
pub(super) const NO_PARENT: Wd = 0;

/// How deep a path may be put together; deeper is a cycle, which must not be.
const MAX_DEPTH: usize = 4_096;

/// One watched directory: 32 bytes and its name.
#[derive(Debug, Clone)]
pub(super) struct Dir {
    pub(super) wd: Wd,
    pub(super) parent: Wd,
    /// Whose it is.
    pub(super) tree: u32,
    /// What it is watched for.
    pub(super) role: Role,
    /// Told apart from those that a rebuild did not find again.
    pub(super) round: u8,
    /// Its name; empty for a root.
    pub(super) name: Box<OsStr>,
}

/// What a directory is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The worktree's root.
    Root,
    /// Its files and folders.
    Content,
    /// Git ignores it, but the outbox lies further down.
    Passage,
    /// The outbox itself.
    Outbox,
}

impl Role {
    /// Whether what lies in it is the worktree's content.
    pub(super) fn is_content(self) -> bool {
        matches!(self, Self::Root | Self::Content)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Dirs {
    /// Sorted by `wd`; a dead one has tree [`DEAD`].
    entries: Vec<Dir>,
    dead: usize,
}

/// No attempt has this number.
const DEAD: u32 = u32::MAX;

impl Dirs {
    /// Adds a directory, or says anew what a known number stands for (it was renamed).
    pub(super) fn insert(&mut self, dir: Dir) {
        match self.entries.binary_search_by_key(&dir.wd, |d| d.wd) {
            Ok(at) => {
                if self.entries[at].tree == DEAD {
                    self.dead -= 1;
                }
                self.entries[at] = dir;
            }
            Err(at) => self.entries.insert(at, dir),
        }
    }

    /// The directory of a number.
    pub(super) fn get(&self, wd: Wd) -> Option<&Dir> {
        let at = self.entries.binary_search_by_key(&wd, |d| d.wd).ok()?;
        Some(&self.entries[at]).filter(|dir| dir.tree != DEAD)
    }

    /// Forgets a number.
    pub(super) fn remove(&mut self, wd: Wd) {
        if let Ok(at) = self.entries.binary_search_by_key(&wd, |d| d.wd) {
            let entry = &mut self.entries[at];
            if entry.tree != DEAD {
                entry.tree = DEAD;
                entry.name = Box::default();
                self.dead += 1;
            }
        }
        // Half of it dead: worth moving the rest together.
        if self.dead > 64 && self.dead * 2 > self.entries.len() {
            self.tidy();
        }
    }

    /// The path of a directory below its root; `None` where a parent is no longer known.
    pub(super) fn path(&self, wd: Wd) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut dir = self.get(wd)?;
        while dir.parent != NO_PARENT {
            names.push(&dir.name);
            if names.len() > MAX_DEPTH {
                return None;
            }
            dir = self.get(dir.parent)?;
        }
        Some(names.into_iter().rev().map(|name| Path::new(&**name)).collect())
    }

    /// The directory of this name in `parent`.
    pub(super) fn child(&self, parent: Wd, name: &OsStr) -> Option<Wd> {
        self.entries.iter().find(|d| d.tree != DEAD && d.parent == parent && &*d.name == name).map(|d| d.wd)
    }

    /// A directory and all below it.
    pub(super) fn subtree(&self, top: Wd) -> Vec<Wd> {
        let Some(tree) = self.get(top).map(|dir| dir.tree) else { return Vec::new() };
        let is_below = |dir: &Dir| {
            let mut wd = dir.wd;
            for _ in 0..MAX_DEPTH {
                if wd == top {
                    return true;
                }
                match self.get(wd) {
                    Some(dir) if dir.parent != NO_PARENT => wd = dir.parent,
                    _ => return false,
                }
            }
            false
        };
        self.entries.iter().filter(|dir| dir.tree == tree && is_below(dir)).map(|dir| dir.wd).collect()
    }

    /// All of one attempt for which `which` holds.
    pub(super) fn of(&self, tree: u32, which: impl Fn(&Dir) -> bool) -> Vec<Wd> {
        self.entries.iter().filter(|dir| dir.tree == tree && which(dir)).map(|dir| dir.wd).collect()
    }

    /// How many one attempt has.
    pub(super) fn count(&self, tree: u32) -> usize {
        self.entries.iter().filter(|dir| dir.tree == tree).count()
    }

    /// Gives back what is not needed.
    pub(super) fn tidy(&mut self) {
        self.entries.retain(|dir| dir.tree != DEAD);
        self.entries.shrink_to_fit();
        self.dead = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(wd: Wd, parent: Wd, name: &str) -> Dir {
        let role = if parent == NO_PARENT { Role::Root } else { Role::Content };
        Dir { wd, parent, tree: 1, role, round: 0, name: OsStr::new(name).into() }
    }

    fn tree() -> Dirs {
        let mut dirs = Dirs::default();
        for entry in [dir(1, 0, ""), dir(2, 1, "src"), dir(3, 2, "a"), dir(5, 1, "tests"), dir(4, 3, "deep")] {
            dirs.insert(entry);
        }
        dirs
    }

    #[test]
    fn a_directory_is_small() {
        assert_eq!(size_of::<Dir>(), 32);
    }

    #[test]
    fn paths_are_put_together_from_names() {
        let mut dirs = tree();
        assert_eq!(dirs.path(4), Some("src/a/deep".into()));
        assert_eq!(dirs.path(1), Some(PathBuf::new()));
        assert_eq!(dirs.child(1, OsStr::new("tests")), Some(5));
        // A rename is one changed entry.
        dirs.insert(dir(2, 1, "lib"));
        assert_eq!(dirs.path(4), Some("lib/a/deep".into()));
        dirs.remove(3);
        assert_eq!((dirs.path(4), dirs.path(3), dirs.get(3).is_none()), (None, None, true));
    }

    #[test]
    fn a_subtree_is_its_top_and_all_below() {
        let dirs = tree();
        assert_eq!(dirs.subtree(2), [2, 3, 4]);
        assert_eq!(dirs.subtree(1), [1, 2, 3, 4, 5]);
        assert_eq!(dirs.subtree(9), [] as [Wd; 0]);
    }

    #[test]
    fn what_comes_and_goes_takes_no_room_for_ever() {
        let mut dirs = tree();
        for wd in 10..10_000 {
            dirs.insert(dir(wd, 1, "tmp"));
            dirs.remove(wd);
        }
        assert!(dirs.entries.len() < 256, "{}", dirs.entries.len());
        assert_eq!((dirs.count(1), dirs.path(4)), (5, Some("src/a/deep".into())));
    }

    #[test]
    fn a_cycle_ends() {
        let mut dirs = tree();
        dirs.insert(dir(2, 4, "src"));
        assert_eq!(dirs.path(4), None);
        assert_eq!(dirs.subtree(1), [1, 5]);
    }
}
