//! Watching what a walk finds.
//!
//! The library knows watches by path, the kernel by directory: one directory under two paths has
//! one watch in the kernel, which ends with either path.
//! **Invariant:** a directory that turns up at another place than where it is watched is forgotten
//! there, with all below it, before it is watched anew. Must not know: what is done with the walk.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::super::beneath::Node;
use super::super::dirs::{Dir, Dirs, NO_PARENT, Role, Wd};
use super::super::source::{Refused, Source};
use super::super::walk::{Found, Visit};
use super::super::{SAMPLE, outbox};

/// What a walk brings in.
#[derive(Default)]
pub(super) struct Harvest {
    /// Complete names in the outbox.
    pub(super) letters: Vec<OsString>,
    /// The first files found, relative to the root; enough for a sample.
    pub(super) files: Vec<PathBuf>,
    /// Other attempts, whose root was found in this one.
    pub(super) displaced: Vec<u32>,
}

/// Watches what a walk finds.
pub(super) struct Planter<'a> {
    pub(super) source: &'a mut Source,
    pub(super) dirs: &'a mut Dirs,
    pub(super) tree: u32,
    /// The root, absolute and without links.
    pub(super) place: &'a Path,
    pub(super) round: u8,
    pub(super) wants_files: bool,
    pub(super) harvest: Harvest,
}

impl Planter<'_> {
    /// Forgets what is known as this directory by another path. Refuses one that is to stay.
    fn displace(&mut self, node: Node, path: &Path) -> Result<(), Refused> {
        let Some(other) = self.dirs.at_node(node) else { return Ok(()) };
        if let Some(dir) = self.dirs.get(other).filter(|dir| dir.role == Role::Root && dir.tree != self.tree) {
            if Path::new(&*dir.name) == path {
                // A worktree in this worktree is watched for its own sake.
                return Err(Refused::Absent);
            }
            self.harvest.displaced.push(dir.tree);
        }
        let below = self.dirs.subtree(other);
        unwatch(self.source, self.dirs, &below);
        Ok(())
    }
}

impl Visit for Planter<'_> {
    fn enter(&mut self, found: Found<'_>) -> Result<Wd, Refused> {
        let Found { fd, role, parent, rel } = found;
        let node = Node::of(fd).map_err(Refused::Other)?;
        let (path, known) = match rel.file_name() {
            Some(name) => (self.place.join(rel), self.dirs.child(parent, name)),
            None => (self.place.to_owned(), self.dirs.root(self.tree)),
        };
        if let Some(wd) = known {
            if self.dirs.get(wd).is_some_and(|dir| dir.node == node) {
                self.source.watch(&path, node, role == Role::Root)?;
                self.dirs.renew(wd, role, self.round);
                return Ok(wd);
            }
            let below = self.dirs.subtree(wd);
            unwatch(self.source, self.dirs, &below);
        }
        self.displace(node, &path)?;
        if parent != NO_PARENT && self.dirs.get(parent).is_none() {
            // It was moved while it was walked. Its new place is told, or found.
            return Err(Refused::Absent);
        }
        self.source.watch(&path, node, role == Role::Root)?;
        let name = rel.file_name().unwrap_or(self.place.as_os_str()).into();
        let dir = Dir { parent, tree: self.tree, role, round: self.round, name, node };
        self.dirs.add(dir).ok_or_else(|| Refused::Other(io::Error::other("too many directories came and went")))
    }

    fn wants(&self, role: Role) -> bool {
        role == Role::Outbox || (self.wants_files && role.has_content() && self.harvest.files.len() < SAMPLE)
    }

    fn file(&mut self, _dir: BorrowedFd<'_>, role: Role, rel: PathBuf) {
        if role != Role::Outbox {
            self.harvest.files.push(rel);
        } else if let Some(name) = rel.file_name().filter(|name| outbox::is_letter(name)) {
            self.harvest.letters.push(name.to_owned());
        }
    }
}

/// Ends these watches and forgets them.
pub(super) fn unwatch(source: &mut Source, dirs: &mut Dirs, watches: &[Wd]) {
    // As long as parents are known.
    let places: Vec<PathBuf> = watches.iter().filter_map(|wd| dirs.place(*wd)).collect();
    for place in places {
        source.unwatch(&place);
    }
    for wd in watches {
        dirs.remove(*wd);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_directory_found_under_a_new_name_is_not_lost_with_its_old_one() {
        let temp = tempfile::tempdir().expect("temp dir");
        let root = fs::canonicalize(temp.path()).expect("a path");
        fs::create_dir_all(root.join("old/in")).expect("mkdir");
        let (mut source, mut dirs) = (Source::open().expect("events"), Dirs::default());
        // The root is known but not watched, so that nobody hears of the rename.
        let node = Node::at(&root).expect("a directory");
        let top = Dir { parent: NO_PARENT, tree: 1, role: Role::Root, round: 0, name: root.as_os_str().into(), node };
        let top = dirs.add(top).expect("a number");
        let enter = |dirs: &mut Dirs, source: &mut Source, parent: Wd, rel: &str| {
            let harvest = Harvest::default();
            let mut planter = Planter { source, dirs, tree: 1, place: &root, round: 0, wants_files: false, harvest };
            let fd = fs::File::open(root.join(rel)).expect("open");
            planter.enter(Found { fd: fd.as_fd(), role: Role::Content, parent, rel: Path::new(rel) }).expect("watched")
        };
        let old = enter(&mut dirs, &mut source, top, "old");
        enter(&mut dirs, &mut source, old, "old/in");
        fs::rename(root.join("old"), root.join("new")).expect("rename");
        let new = enter(&mut dirs, &mut source, top, "new");
        assert_eq!((dirs.get(old).is_none(), dirs.child(top, OsStr::new("new")), dirs.count(1)), (true, Some(new), 2));
        let inner = enter(&mut dirs, &mut source, new, "new/in");
        // The old names are heard of late, and given up.
        for path in ["old/in", "old"] {
            source.unwatch(&root.join(path));
        }
        for (wd, file) in [(new, "new/f"), (inner, "new/in/f")] {
            fs::write(root.join(file), "").expect("write");
            while !source.next().seen.iter().any(|seen| seen.path == root.join(file)) {}
            assert_eq!(dirs.place(wd), root.join(file).parent().map(Path::to_owned));
        }
    }
}
