//! The watched directories of all attempts, small enough for tens of thousands.
//!
//! A directory knows its parent and its own name; its path is put together when it is asked for.
//! Numbers count upwards, so that adding is appending, and a parent's is smaller than its own.
//! **Invariant:** no number is used twice, and what is looked up is compared itself, not only its
//! digest. Must not know: the system, files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::beneath::Node;

/// The number of a watched directory.
pub(super) type Wd = u32;

/// The parent of a root.
pub(super) const NO_PARENT: Wd = 0;

/// One watched directory: 56 bytes and its name.
#[derive(Debug, Clone)]
pub(super) struct Dir {
    pub(super) parent: Wd,
    /// Whose it is.
    pub(super) tree: u32,
    /// What it is watched for.
    pub(super) role: Role,
    /// Told apart from those that a rebuild did not find again.
    pub(super) round: u8,
    /// Its name; a root's is its path, absolute and without links.
    pub(super) name: Box<OsStr>,
    /// Which directory lay there when it was watched.
    pub(super) node: Node,
}

/// What a directory is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The worktree's root.
    Root,
    /// Its files and folders.
    Content,
    /// Git ignores it, but keeps files in it or further down.
    Kept,
    /// Git ignores it, but the outbox lies further down.
    Passage,
    /// The outbox itself.
    Outbox,
}

impl Role {
    /// Whether what lies in it is the worktree's content, but for what git ignores.
    pub(super) fn is_content(self) -> bool {
        matches!(self, Self::Root | Self::Content)
    }

    /// Whether any file in it may be the worktree's content.
    pub(super) fn has_content(self) -> bool {
        self.is_content() || self == Self::Kept
    }
}

/// Where a path lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// It is a watched root.
    Root(Wd),
    /// It is this name in a watched directory.
    In {
        /// That directory.
        dir: Wd,
        /// The name.
        name: &'a OsStr,
        /// Its own number, where it is watched itself.
        known: Option<Wd>,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Dirs {
    /// Sorted by number; a dead one has tree [`DEAD`].
    entries: Vec<(Wd, Dir)>,
    dead: usize,
    /// The last number given away.
    last: Wd,
    /// Parent, digest of the name, number.
    names: BTreeSet<(Wd, u32, Wd)>,
    /// Digest of the node, number.
    nodes: BTreeSet<(u32, Wd)>,
}

/// No attempt has this number.
const DEAD: u32 = u32::MAX;

impl Dirs {
    /// Adds a directory; `None` once there are no numbers left.
    pub(super) fn add(&mut self, dir: Dir) -> Option<Wd> {
        let wd = self.last.checked_add(1)?;
        self.last = wd;
        self.names.insert((dir.parent, digest(&*dir.name), wd));
        self.nodes.insert((digest(dir.node), wd));
        self.entries.push((wd, dir));
        Some(wd)
    }

    /// The directory of a number.
    pub(super) fn get(&self, wd: Wd) -> Option<&Dir> {
        let at = self.entries.binary_search_by_key(&wd, |(d, _)| *d).ok()?;
        Some(&self.entries[at].1).filter(|dir| dir.tree != DEAD)
    }

    /// Says that it was found again.
    pub(super) fn renew(&mut self, wd: Wd, role: Role, round: u8) {
        if let Ok(at) = self.entries.binary_search_by_key(&wd, |(d, _)| *d) {
            let dir = &mut self.entries[at].1;
            (dir.role, dir.round) = (role, round);
        }
    }

    /// Forgets a number.
    pub(super) fn remove(&mut self, wd: Wd) {
        if let Ok(at) = self.entries.binary_search_by_key(&wd, |(d, _)| *d) {
            let dir = &mut self.entries[at].1;
            if dir.tree != DEAD {
                self.names.remove(&(dir.parent, digest(&*dir.name), wd));
                self.nodes.remove(&(digest(dir.node), wd));
                dir.tree = DEAD;
                dir.name = Box::default();
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
        Some(self.names_down_to(wd)?.into_iter().skip(1).collect())
    }

    /// The absolute path of a directory; `None` where a parent is no longer known.
    pub(super) fn place(&self, wd: Wd) -> Option<PathBuf> {
        Some(self.names_down_to(wd)?.into_iter().collect())
    }

    fn names_down_to(&self, wd: Wd) -> Option<Vec<&Path>> {
        let mut dir = self.get(wd)?;
        let mut names = vec![Path::new(&*dir.name)];
        // Ends, as a parent's number is always smaller.
        while dir.parent != NO_PARENT {
            dir = self.get(dir.parent)?;
            names.push(Path::new(&*dir.name));
        }
        names.reverse();
        Some(names)
    }

    /// The root of an attempt.
    pub(super) fn root(&self, tree: u32) -> Option<Wd> {
        self.children(NO_PARENT).find(|wd| self.get(*wd).is_some_and(|dir| dir.tree == tree))
    }

    /// The directory of this name in `parent`.
    pub(super) fn child(&self, parent: Wd, name: &OsStr) -> Option<Wd> {
        let digest = digest(name);
        let mut alike = self.names.range((parent, digest, 0)..=(parent, digest, Wd::MAX)).map(|(_, _, wd)| *wd);
        alike.rfind(|wd| self.get(*wd).is_some_and(|dir| &*dir.name == name))
    }

    /// What is known as this directory.
    pub(super) fn at_node(&self, node: Node) -> Option<Wd> {
        let digest = digest(node);
        let mut alike = self.nodes.range((digest, 0)..=(digest, Wd::MAX)).map(|(_, wd)| *wd);
        alike.rfind(|wd| self.get(*wd).is_some_and(|dir| dir.node == node))
    }

    /// Where an absolute path lies; `None` where nobody watches.
    pub(super) fn spot<'a>(&self, path: &'a Path) -> Option<Spot<'a>> {
        // Where one worktree lies in another, it is the inner one's.
        let (root, below) = self.children(NO_PARENT).filter_map(|wd| Some((wd, self.below(wd, path)?))).min_by_key(
            |(_, below)| below.as_os_str().len(), // the rest is shortest below the innermost
        )?;
        let mut spot = Spot::Root(root);
        for name in below {
            let dir = match spot {
                Spot::Root(wd) => wd,
                Spot::In { known, .. } => known?,
            };
            spot = Spot::In { dir, name, known: self.child(dir, name) };
        }
        Some(spot)
    }

    /// The rest of a path below a root. Bytes are compared, as both are as plain as can be.
    fn below<'a>(&self, root: Wd, path: &'a Path) -> Option<&'a Path> {
        let rest = path.as_os_str().as_bytes().strip_prefix(self.get(root)?.name.as_bytes())?;
        match rest {
            [] => Some(Path::new("")),
            [b'/', rest @ ..] => Some(Path::new(OsStr::from_bytes(rest))),
            _ => None,
        }
    }

    fn children(&self, parent: Wd) -> impl Iterator<Item = Wd> {
        self.names.range((parent, 0, 0)..=(parent, u32::MAX, Wd::MAX)).map(|(_, _, wd)| *wd)
    }

    /// A directory and all below it; parents come first.
    pub(super) fn subtree(&self, top: Wd) -> Vec<Wd> {
        let mut all = vec![top];
        let mut at = 0;
        while let Some(&wd) = all.get(at) {
            all.extend(self.children(wd));
            at += 1;
        }
        all
    }

    /// All of one attempt for which `which` holds.
    pub(super) fn of(&self, tree: u32, which: impl Fn(&Dir) -> bool) -> Vec<Wd> {
        self.entries.iter().filter(|(_, dir)| dir.tree == tree && which(dir)).map(|(wd, _)| *wd).collect()
    }

    /// How many one attempt has.
    pub(super) fn count(&self, tree: u32) -> usize {
        self.entries.iter().filter(|(_, dir)| dir.tree == tree).count()
    }

    /// Gives back what is not needed.
    pub(super) fn tidy(&mut self) {
        self.entries.retain(|(_, dir)| dir.tree != DEAD);
        self.entries.shrink_to_fit();
        self.dead = 0;
    }
}

/// Short, as whoever looks something up compares the thing itself too.
fn digest(of: impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    let whole = hasher.finish();
    (whole ^ (whole >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of its own for each number, without files.
    fn node(number: u64) -> Node {
        Node::made_up(number)
    }

    fn add(dirs: &mut Dirs, parent: Wd, name: &str) -> Wd {
        let role = if parent == NO_PARENT { Role::Root } else { Role::Content };
        let node = node(u64::from(dirs.last) + 1);
        let dir = Dir { parent, tree: 1, role, round: 0, name: OsStr::new(name).into(), node };
        dirs.add(dir).expect("a number")
    }

    /// 1 `/w`, 2 `src`, 3 `src/a`, 4 `src/a/deep`, 5 `tests`.
    fn tree() -> Dirs {
        let mut dirs = Dirs::default();
        for (parent, name) in [(0, "/w"), (1, "src"), (2, "a"), (3, "deep"), (1, "tests")] {
            add(&mut dirs, parent, name);
        }
        dirs
    }

    #[test]
    fn a_directory_is_small() {
        assert_eq!(size_of::<(Wd, Dir)>(), 56);
    }

    #[test]
    fn paths_are_put_together_from_names() {
        let mut dirs = tree();
        assert_eq!((dirs.path(4), dirs.place(4)), (Some("src/a/deep".into()), Some("/w/src/a/deep".into())));
        assert_eq!((dirs.path(1), dirs.place(1)), (Some(PathBuf::new()), Some("/w".into())));
        assert_eq!(dirs.child(1, OsStr::new("tests")), Some(5));
        assert_eq!((dirs.child(1, OsStr::new("test")), dirs.child(2, OsStr::new("tests"))), (None, None));
        dirs.remove(3);
        assert_eq!((dirs.path(4), dirs.path(3), dirs.get(3).is_none()), (None, None, true));
        assert_eq!(dirs.child(2, OsStr::new("a")), None);
    }

    #[test]
    fn a_path_is_found_where_it_lies() {
        let mut dirs = tree();
        // Another worktree in this one, and one whose name only begins alike.
        let (inner, beside) = (add(&mut dirs, 0, "/w/src/a/deep/in"), add(&mut dirs, 0, "/w2"));
        let find = |path: &'static str| dirs.spot(Path::new(path));
        let name = OsStr::new;
        assert_eq!(find("/w"), Some(Spot::Root(1)));
        assert_eq!(find("/w/f"), Some(Spot::In { dir: 1, name: name("f"), known: None }));
        assert_eq!(find("/w/src/a"), Some(Spot::In { dir: 2, name: name("a"), known: Some(3) }));
        assert_eq!(find("/w/src/a/f"), Some(Spot::In { dir: 3, name: name("f"), known: None }));
        assert_eq!(find("/w/gone/f"), None);
        assert_eq!(find("/w/src/a/deep/in/f"), Some(Spot::In { dir: inner, name: name("f"), known: None }));
        assert_eq!(find("/w2/f"), Some(Spot::In { dir: beside, name: name("f"), known: None }));
        assert_eq!((find("/w3/f"), find("/"), find("")), (None, None, None));
    }

    #[test]
    fn a_directory_is_known_by_what_it_is() {
        let mut dirs = tree();
        assert_eq!((dirs.at_node(node(3)), dirs.at_node(node(9))), (Some(3), None));
        dirs.remove(3);
        assert_eq!(dirs.at_node(node(3)), None);
    }

    #[test]
    fn a_subtree_is_its_top_and_all_below() {
        let dirs = tree();
        let sorted = |top| {
            let mut all = dirs.subtree(top);
            all.sort_unstable();
            all
        };
        assert_eq!(sorted(2), [2, 3, 4]);
        assert_eq!(sorted(1), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_comes_and_goes_takes_no_room_for_ever() {
        let mut dirs = tree();
        for _ in 0..10_000 {
            let wd = add(&mut dirs, 1, "tmp");
            dirs.remove(wd);
        }
        assert!(dirs.entries.len() < 256, "{}", dirs.entries.len());
        assert_eq!((dirs.names.len(), dirs.nodes.len()), (5, 5));
        assert_eq!((dirs.count(1), dirs.path(4)), (5, Some("src/a/deep".into())));
    }
}
