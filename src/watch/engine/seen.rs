//! What one event of the kernel means.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::os::clock;

use super::super::dirs::{Role, Wd};
use super::super::source::{Seen, What};
use super::super::walk::{Start, Stopped, role_of};
use super::super::{WatchEvent, ignores, outbox};
use super::Engine;

impl<F: FnMut(WatchEvent)> Engine<F> {
    pub(super) fn take_in(&mut self, seen: Seen<'_>) {
        if seen.what == What::Overflow {
            self.dropped = true;
            self.chores_soon();
            return;
        }
        let Some(dir) = self.dirs.get(seen.wd) else {
            // It went out of the worktree with a directory around it.
            if seen.what != What::Ended {
                self.unwatch(seen.wd);
            }
            return;
        };
        let (id, role) = (dir.tree, dir.role);
        match (seen.what, seen.name) {
            (What::Ended | What::SelfGone, _) if role == Role::Root => self.gone(id),
            (What::Ended, _) => self.dirs.remove(seen.wd),
            (_, Some(name)) if name == ".git" => {}
            (what, Some(name)) if role == Role::Outbox => {
                if !seen.is_dir && outbox::is_letter(name) && self.is_complete(id, what, name) {
                    self.tell_letter(id, name.to_owned());
                }
            }
            (what, Some(name)) if seen.is_dir => self.directory(id, seen.wd, role, what, name),
            (what, Some(name)) => self.file(id, seen.wd, role, what, name),
            // About the directory itself: its parent's event tells the same.
            (_, None) => {}
        }
        if role == Role::Root && matches!(seen.what, What::Deleted | What::MovedOut) {
            self.doubt(id);
        }
    }

    fn directory(&mut self, id: u32, parent: Wd, role: Role, what: What, name: &OsStr) {
        let Some(rel) = self.dirs.path(parent).map(|path| path.join(name)) else { return };
        match what {
            What::Created | What::MovedIn => self.appeared(id, parent, role, rel),
            // It may have become readable.
            What::Attributes if self.dirs.child(parent, name).is_none() => self.appeared(id, parent, role, rel),
            What::MovedOut => {
                let Some(child) = self.dirs.child(parent, name) else { return };
                let was_content = self.dirs.get(child).is_some_and(|dir| dir.role.is_content());
                for wd in self.dirs.subtree(child) {
                    self.unwatch(wd);
                    self.dirs.remove(wd);
                }
                if was_content {
                    self.note(id, rel);
                }
            }
            // The files in it were told one by one, and its own watch ends by itself.
            _ => {}
        }
    }

    /// A directory is there that was not: watch it, and tell what lies in it already.
    fn appeared(&mut self, id: u32, parent: Wd, parent_role: Role, rel: PathBuf) {
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

    fn note(&mut self, id: u32, rel: PathBuf) {
        if let Some(tree) = self.trees.get(&id) {
            self.debounce.note(tree.key, clock::now(), || Some(rel));
        }
    }

    /// Perhaps its root is gone: looked after soon.
    fn doubt(&mut self, id: u32) {
        if let Some(tree) = self.trees.get_mut(&id) {
            tree.root_in_doubt = true;
            self.chores_soon();
        }
    }

    fn unwatch(&self, wd: Wd) {
        if let Some(source) = &self.source {
            source.unwatch(wd);
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
