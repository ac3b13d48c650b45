//! Looking again and again, where the kernel does not tell.
//!
//! **Invariant:** bounded: at most a fiftieth of one processor, and [`MAX_ENTRIES`] files a look.
//! Only used for attempts that were said to be degraded.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use rustix::fs::AtFlags;

use crate::model::time::{Mono, Span};

use super::dirs::{NO_PARENT, Role, Wd};
use super::outbox;
use super::source::Refused;
use super::walk::{Found, Ground, Start, Stopped, Visit};

/// The shortest time between two looks: late enough to be cheap, soon enough for a check-in.
pub(super) const EVERY: Span = Span::secs(3);

/// Times the length of a look that lies between two: 2 % of one processor.
const REST: u64 = 50;

/// The most files that one look takes in; what lies beyond is not seen to change.
const MAX_ENTRIES: usize = 200_000;

/// The state of a worktree at the last look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Poll {
    /// When to look again.
    pub(super) next: Mono,
    digest: u64,
}

/// What a look showed.
#[derive(Debug)]
pub(super) struct Look {
    digest: u64,
    /// Complete names in the outbox.
    pub(super) letters: Vec<OsString>,
}

impl Poll {
    /// After a look that began and ended at these times; the next may be later, never sooner.
    pub(super) fn after(look: &Look, began: Mono, ended: Mono) -> Self {
        let rest = Span(EVERY.0.max(ended.since(began).0 * REST));
        Self { next: ended + rest, digest: look.digest }
    }

    /// Whether a later look shows a change.
    pub(super) fn differs(&self, look: &Look) -> bool {
        self.digest != look.digest
    }
}

/// Looks at everything once.
pub(super) fn look(ground: &mut Ground<'_>) -> Result<Look, Stopped> {
    let mut looker = Looker { look: Look { digest: 0, letters: Vec::new() }, count: 0 };
    ground.walk(Start::root(), &mut looker)?;
    Ok(looker.look)
}

struct Looker {
    look: Look,
    count: usize,
}

impl Visit for Looker {
    fn enter(&mut self, _found: Found<'_>) -> Result<Wd, Refused> {
        Ok(NO_PARENT)
    }

    fn wants(&self, role: Role) -> bool {
        role == Role::Outbox || (role.has_content() && self.count < MAX_ENTRIES)
    }

    fn file(&mut self, dir: BorrowedFd<'_>, role: Role, rel: PathBuf) {
        let Some(name) = rel.file_name() else { return };
        if role == Role::Outbox {
            if outbox::is_letter(name) {
                self.look.letters.push(name.to_owned());
            }
            return;
        }
        self.count += 1;
        let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let mut hasher = DefaultHasher::new();
        (&rel, stat.st_ino, stat.st_size, stat.st_mode, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hasher);
        // A sum, because a directory may list its names in another order the next time.
        self.look.digest = self.look.digest.wrapping_add(hasher.finish());
    }
}
