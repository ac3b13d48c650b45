//! Slots: how many agents of this user run on this machine, over all repositories.
//!
//! A slot is a locked file. The host inherits the locked descriptor and holds it for life, so the
//! kernel frees the slot exactly when the host ends, whoever else dies before.
//! **Invariant:** at no instant are more slots held than the limit under which the last one was
//! reserved. All counting happens under one lock for the folder. Must not know: hosts, policy.

use std::fs::{self, DirEntry};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::model::id::TaskId;
use crate::model::settings::Limit;
use crate::os::file;
use crate::os::lock::Lock;

use super::StoreError;
use super::error::io;
use super::wait;

/// The longest label kept, in bytes: a repository and a task.
const MAX_LABEL: usize = 512;

/// The folder of all slots of this user.
#[derive(Debug, Clone)]
pub struct Slots {
    dir: PathBuf,
}

/// One reserved slot. Dropping it frees it, unless a host holds a copy of the descriptor.
#[derive(Debug)]
pub struct Slot {
    lock: Lock,
}

/// A slot that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSlot {
    /// Its file.
    pub path: PathBuf,
    /// What it was reserved for, as its owner wrote it, without control characters.
    pub label: String,
}

impl HeldSlot {
    /// The repository that it was reserved for, and the task that has it: between the two a slot
    /// is nobody's yet.
    #[must_use]
    pub fn owner(&self) -> (&str, Option<TaskId>) {
        let named = self.label.rsplit_once(' ').and_then(|(repo, task)| Some((repo, Some(task.parse().ok()?))));
        named.unwrap_or((&self.label, None))
    }
}

impl Slots {
    /// The slots under `dir` (see [`super::layout::Layout::slots_dir`]), which is made.
    ///
    /// # Errors
    /// [`StoreError::File`] where the folder lets others in, [`StoreError::ReadOnly`],
    /// [`StoreError::Full`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        file::private_dir_checked(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Reserves one more slot, or says that all are taken (`None`). Dead ones are removed. The
    /// label (the repository, one line) is for people; the task follows by [`Slot::give`].
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Full`], [`StoreError::ReadOnly`].
    pub fn reserve(&self, limit: Limit, label: &str) -> Result<Option<Slot>, StoreError> {
        let _all = self.lock()?;
        let used = u32::try_from(self.sweep()?.len()).unwrap_or(u32::MAX);
        if !limit.admits(used) {
            return Ok(None);
        }
        let path = self.dir.join(format!("{}.slot", uuid::Uuid::new_v4().simple()));
        // Nobody else looks at slot files without the folder's lock, so a new one is always free.
        let Some(lock) = Lock::try_take(&path)? else {
            return Err(StoreError::Busy { verb: "reserve", path, waited_ms: 0 });
        };
        let mut file = lock.file();
        if let Err(e) = file.write_all(one_line(label).as_bytes()) {
            let _ = fs::remove_file(&path);
            return Err(io("write", &path, e));
        }
        Ok(Some(Slot { lock }))
    }

    /// How many are held right now.
    ///
    /// # Errors
    /// As [`Slots::reserve`].
    pub fn used(&self) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.held()?.len()).unwrap_or(u32::MAX))
    }

    /// Those that are held right now, with their labels. Dead ones are removed.
    ///
    /// # Errors
    /// As [`Slots::reserve`].
    pub fn held(&self) -> Result<Vec<HeldSlot>, StoreError> {
        let _all = self.lock()?;
        let paths = self.sweep()?;
        Ok(paths
            .into_iter()
            .map(|path| {
                let bytes = file::read_bounded(&path, MAX_LABEL as u64).unwrap_or_default();
                HeldSlot { label: one_line(&String::from_utf8_lossy(&bytes)), path }
            })
            .collect())
    }

    fn lock(&self) -> Result<Lock, StoreError> {
        wait::lock(&self.dir.join(".lock"), "count the slots in")
    }

    /// Removes dead slots and returns the held ones. Call it under the folder's lock.
    fn sweep(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut held = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|e| io("read", &self.dir, e))? {
            let entry = entry.map_err(|e| io("read", &self.dir, e))?;
            if !is_slot(&entry) {
                continue;
            }
            let path = entry.path();
            match Lock::try_take(&path)? {
                None => held.push(path),
                Some(_dead) => match fs::remove_file(&path) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    Err(e) => return Err(io("remove", &path, e)),
                },
            }
        }
        held.sort();
        Ok(held)
    }
}

impl Slot {
    /// Says whose it is. Written behind the label in one piece, so that whoever counts meanwhile
    /// reads either.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::ReadOnly`]: the slot is held all the same.
    pub fn give(&self, task: TaskId) -> Result<(), StoreError> {
        let mut file = self.lock.file();
        file.write_all(format!(" {task}").as_bytes()).map_err(|e| io("write", self.lock.path(), e))
    }

    /// A copy of the locked descriptor for the host to inherit. It closes on exec until the one
    /// who spawns the host says otherwise.
    ///
    /// # Errors
    /// [`StoreError::File`] where no more descriptors can be opened.
    pub fn share(&self) -> Result<OwnedFd, StoreError> {
        Ok(self.lock.share()?)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lock.path()
    }
}

fn is_slot(entry: &DirEntry) -> bool {
    Path::new(&entry.file_name()).extension().is_some_and(|e| e == "slot")
        && entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// At most [`MAX_LABEL`] bytes without control characters.
fn one_line(label: &str) -> String {
    let mut line = String::new();
    for c in label.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > MAX_LABEL {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> (tempfile::TempDir, Slots) {
        let dir = tempfile::tempdir().expect("temp dir");
        let slots = Slots::open(&dir.path().join("slots")).expect("open");
        (dir, slots)
    }

    #[test]
    fn the_limit_holds_and_a_dropped_slot_is_free() {
        let (_dir, slots) = slots();
        let first = slots.reserve(Limit::of(2), "shop T1").expect("first").expect("free");
        let _second = slots.reserve(Limit::of(2), "shop T2").expect("second").expect("free");
        assert!(slots.reserve(Limit::of(2), "shop T3").expect("third").is_none());
        assert!(slots.reserve(Limit::Unlimited, "shop T3").expect("unlimited").is_some());
        assert_eq!(slots.used().expect("used"), 2);
        drop(first);
        let labels: Vec<_> = slots.held().expect("held").into_iter().map(|slot| slot.label).collect();
        assert_eq!(labels, ["shop T2"]);
        assert!(slots.reserve(Limit::of(2), "shop T3").expect("again").is_some());
    }

    #[test]
    fn a_slot_says_whose_it_is() {
        let (_dir, slots) = slots();
        let slot = slots.reserve(Limit::of(2), "/src/my shop").expect("reserve").expect("free");
        assert_eq!(slots.held().expect("held")[0].owner(), ("/src/my shop", None));
        slot.give(TaskId::new(7).expect("from 1")).expect("written");
        assert_eq!(slots.held().expect("held")[0].owner(), ("/src/my shop", TaskId::new(7)));
    }

    #[test]
    fn a_shared_slot_outlives_the_one_who_reserved_it() {
        let (_dir, slots) = slots();
        let slot = slots.reserve(Limit::of(1), "shop T1").expect("reserve").expect("free");
        let host = slot.share().expect("share");
        drop(slot);
        assert!(slots.reserve(Limit::of(1), "shop T2").expect("full").is_none());
        drop(host);
        assert!(slots.reserve(Limit::of(1), "shop T2").expect("free").is_some());
    }

    #[test]
    fn a_label_is_one_bounded_line() {
        let (_dir, slots) = slots();
        let _slot = slots.reserve(Limit::Unlimited, &format!("a\x1b]0;b\n{}", "ü".repeat(999))).expect("reserve");
        let label = slots.held().expect("held").remove(0).label;
        assert!(label.starts_with("a ]0;b ü") && label.len() <= MAX_LABEL, "{label:?}");
    }

    #[test]
    fn other_files_in_the_folder_are_left_alone() {
        let (dir, slots) = slots();
        let stray = dir.path().join("slots/notes.txt");
        fs::write(&stray, "mine").expect("write");
        fs::create_dir(dir.path().join("slots/x.slot")).expect("mkdir");
        assert_eq!(slots.used().expect("used"), 0);
        assert!(stray.exists());
    }
}
