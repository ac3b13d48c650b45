//! Which messages were typed, on disk.
//!
//! **Invariant:** a number is on disk, durable, before the first byte of its message is written;
//! a number that is on disk is never typed again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::os::file;
use crate::wire::host::TypedAnswer;

/// Bytes of the record that are read: hundreds of thousands of messages.
const MAX_FILE: u64 = 16 << 20;

/// The messages of one host.
#[derive(Debug)]
pub(super) struct Typed {
    file: File,
    /// Whether each number was written in full.
    known: BTreeMap<u64, bool>,
}

impl Typed {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let known = load(path);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(libc::O_CLOEXEC).open(path)?;
        Ok(Self { file, known })
    }

    pub(super) fn is_known(&self, id: u64) -> bool {
        self.known.contains_key(&id)
    }

    /// Records that this message is about to be written.
    pub(super) fn begin(&mut self, id: u64) -> io::Result<()> {
        // A torn line before this one must not swallow it.
        self.file.write_all(format!("\n{id} begun\n").as_bytes())?;
        self.file.sync_data()?;
        self.known.insert(id, false);
        Ok(())
    }

    /// Records that it was written in full.
    pub(super) fn complete(&mut self, id: u64) {
        self.known.insert(id, true);
        // Without this line the message counts as unknown, which is never typed again either.
        let _ = self.file.write_all(format!("{id} written\n").as_bytes());
    }

    pub(super) fn answer(&self, ids: &[u64]) -> TypedAnswer {
        answer(&self.known, ids)
    }
}

/// What became of messages, from the record of a host that may be gone.
#[must_use]
pub fn typed(host_dir: &Path, ids: &[u64]) -> TypedAnswer {
    answer(&load(&host_dir.join("typed")), ids)
}

fn answer(known: &BTreeMap<u64, bool>, ids: &[u64]) -> TypedAnswer {
    let of = |wanted: bool| ids.iter().copied().filter(|id| known.get(id) == Some(&wanted)).collect();
    TypedAnswer { written: of(true), unknown: of(false) }
}

fn load(path: &Path) -> BTreeMap<u64, bool> {
    let bytes = file::read_bounded(path, MAX_FILE).unwrap_or_default();
    let mut known = BTreeMap::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let Some((id, what)) = line.split_once(' ') else { continue };
        if let Ok(id) = id.parse() {
            *known.entry(id).or_default() |= what == "written";
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outlive_the_host_that_wrote_them() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("typed");
        let mut first = Typed::open(&path).expect("open");
        first.begin(1).expect("begin");
        first.complete(1);
        first.begin(2).expect("begin");
        drop(first);
        // A crash in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"\n3 beg").expect("write");
        let second = Typed::open(&path).expect("open");
        assert_eq!(second.answer(&[1, 2, 3, 4]), TypedAnswer { written: vec![1], unknown: vec![2, 3] });
        assert_eq!(typed(dir.path(), &[1, 9]), TypedAnswer { written: vec![1], unknown: vec![] });
        assert!(second.is_known(2) && !second.is_known(4));
    }
}
