//! What one event means.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::os::clock;

use super::super::beneath::Node;
use super::super::dirs::{Dir, Role, Spot, Wd};
use super::super::source::{Seen, What};
use super::super::walk::{Start, Stopped, role_of};
use super::super::{WatchEvent, ignores, outbox};
use super::Engine;
use super::plant::unwatch;

impl<F: FnMut(WatchEvent)> Engine<F> {
    pub(super) fn take_in(&mut self, seen: &Seen) {
        // What nobody knows lies in a directory that was forgotten meanwhile.
        let (dir, name, known) = match self.dirs.spot(&seen.path) {
            Some(Spot::In { dir, name, known }) => (dir, name, known),
            Some(Spot::Root(wd)) => return self.root(wd, seen.what),
            None => return,
        };
        let Some(&Dir { tree: id, role, .. }) = self.dirs.get(dir) else { return };
        let what = match seen.what {
            // The event of the directory it was moved from tells the same.
            What::SelfMoved => return,
            // Where it leads is part of what the worktree is; what git does in it is not.
            _ if name == ".git" && role == Role::Root => return self.note(id, ".git".into()),
            _ if name == ".git" => return,
            What::Moved if std::fs::symlink_metadata(&seen.path).is_ok() => What::MovedIn,
            What::Moved => What::MovedOut,
            what => what,
        };
        let is_dir = match seen.is_dir {
            Some(is_dir) => is_dir,
            None if what == What::MovedIn => is_directory(&seen.path),
            None => known.is_some() || (what == What::Attributes && is_directory(&seen.path)),
        };
        if role == Role::Outbox {
            if !is_dir && outbox::is_letter(name) && self.is_complete(id, what, name) {
                self.tell_letter(id, name.to_owned());
            }
        } else if is_dir {
            self.directory(id, (dir, role), what, known, &seen.path);
        } else {
            // A file lies where there was a directory.
            self.forget(known);
            if matches!(what, What::Created | What::MovedIn) {
                self.stands_in_the_way(id, dir, name);
            }
            self.file(id, dir, role, what, name);
        }
        if role == Role::Root && matches!(what, What::Deleted | What::MovedOut) {
            self.doubt(id);
        }
    }

    /// Something happened to a root itself.
    fn root(&mut self, wd: Wd, what: What) {
        let Some(id) = self.dirs.get(wd).map(|dir| dir.tree) else { return };
        if matches!(what, What::Attributes | What::Written | What::Closed) {
            return;
        }
        let Some(tree) = self.trees.get_mut(&id) else { return };
        if Node::at(&tree.root) != tree.identity {
            return self.gone(id);
        }
        // An event of what lay there before ends the watch of what lies there now.
        tree.missed = true;
        self.chores_soon();
    }

    fn directory(&mut self, id: u32, parent: (Wd, Role), what: What, known: Option<Wd>, path: &Path) {
        let Some(name) = path.file_name() else { return };
        let Some(rel) = self.dirs.path(parent.0).map(|path| path.join(name)) else { return };
        match what {
            What::Created | What::MovedIn => self.appeared(id, parent, known, rel),
            // It may have become readable.
            What::Attributes if known.is_none() => self.appeared(id, parent, known, rel),
            What::MovedOut | What::Deleted => {
                // The files in one that was deleted were told one by one.
                let tells = what == What::MovedOut
                    && known.and_then(|wd| self.dirs.get(wd)).is_some_and(|dir| dir.role.is_content());
                self.forget(known);
                if tells {
                    self.note(id, rel.clone());
                }
                // Two may have changed places, or another is there since: with the event, the
                // library ended the watch of that one.
                if is_directory(path) {
                    self.appeared(id, parent, None, rel);
                }
            }
            _ => {}
        }
    }

    /// A directory is there that was not: watch it, and tell what lies in it already. What was
    /// known in its place is another one, or its watch may have ended.
    fn appeared(&mut self, id: u32, (parent, parent_role): (Wd, Role), known: Option<Wd>, rel: PathBuf) {
        self.forget(known);
        let Some(tree) = self.trees.get(&id) else { return };
        let Some(role) = role_of(&rel, parent_role, &tree.outbox, &tree.rules) else { return };
        match self.grow(id, Start { rel, role, parent }, true) {
            Ok(harvest) => {
                for file in harvest.files {
                    self.note(id, file);
                }
                self.tell_letters(id, harvest.letters);
            }
            Err(Stopped::Gone) => self.doubt(id),
            Err(stopped) => self.stopped(id, stopped),
        }
    }

    fn file(&mut self, id: u32, parent: Wd, role: Role, what: What, name: &OsStr) {
        if !role.is_content() {
            return;
        }
        let Some(tree) = self.trees.get_mut(&id) else { return };
        if name == ignores::FILE && what != What::Attributes {
            tree.rules_changed = true;
            self.chores_soon();
        }
        let known = self.last.as_ref().filter(|(wd, last, _)| *wd == parent && last == name);
        if known.is_some_and(|(_, _, ignored)| *ignored) {
            return;
        }
        let known = known.is_some();
        let Some(rel) = self.dirs.path(parent).map(|path| path.join(name)) else { return };
        if !known {
            let ignored = self.trees.get(&id).is_some_and(|tree| tree.rules.ignore(&rel, false));
            self.last = Some((parent, name.to_owned(), ignored));
            if ignored {
                return;
            }
        }
        self.note(id, rel);
    }

    /// Something that is no directory has come: perhaps where the outbox should be.
    fn stands_in_the_way(&mut self, id: u32, parent: Wd, name: &OsStr) {
        let Some(tree) = self.trees.get(&id) else { return };
        if tree.outbox.iter().any(|part| part == name)
            && self.dirs.path(parent).is_some_and(|path| tree.outbox.starts_with(path.join(name)))
        {
            (self.sink)(WatchEvent::NoOutbox { key: tree.key });
        }
    }

    fn note(&mut self, id: u32, rel: PathBuf) {
        if let Some(tree) = self.trees.get(&id) {
            self.debounce.note(tree.key, clock::now(), || Some(rel));
        }
    }

    /// Perhaps its root is gone: looked after soon.
    pub(super) fn doubt(&mut self, id: u32) {
        if let Some(tree) = self.trees.get_mut(&id) {
            tree.root_in_doubt = true;
            self.chores_soon();
        }
    }

    /// Ends the watches of a directory and of all below it.
    fn forget(&mut self, known: Option<Wd>) {
        if let (Some(wd), Some(source)) = (known, &mut self.source) {
            let below = self.dirs.subtree(wd);
            unwatch(source, &mut self.dirs, &below);
        }
    }

    /// Whether a letter is whole by this event: renamed or linked to its name, or closed by its
    /// writer.
    fn is_complete(&self, id: u32, what: What, name: &OsStr) -> bool {
        match what {
            What::MovedIn | What::Closed => true,
            What::Created => self.trees.get(&id).is_some_and(|tree| {
                let path = tree.root.join(&tree.outbox).join(name);
                std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() > 1)
            }),
            _ => false,
        }
    }
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}
