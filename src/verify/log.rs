//! The output of one check: a bounded log on disk, and its end for the result.
//!
//! **Invariant:** a disk that is full or broken costs the log, never the check. Must not know what
//! the output means.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::os::file;
use crate::report::plain::{plain, tail};

/// The start of the output that is kept on disk, in bytes. A build and the first failures fit.
pub(super) const HEAD: usize = 12 << 20;

/// The end of the output that is kept on disk, in bytes; it waits in memory until the check ends.
pub(super) const TAIL: usize = 4 << 20;

/// The end of the output that is kept in the result, in bytes: the last hundred lines.
pub(super) const SHOWN: usize = 8 << 10;

#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    error: Option<String>,
    head_left: usize,
    /// What follows the head; grows to twice [`TAIL`] before its start is dropped.
    rest: Recent,
    /// The end for the result: escape sequences are longer than what they show.
    shown: Recent,
}

impl Log {
    /// Opens `path` anew. What goes wrong is remembered and said by [`Log::finish`].
    pub(super) fn create(path: &Path) -> Self {
        let opened = path.parent().map_or(Ok(()), file::private_dir).map_err(std::io::Error::other).and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
                .open(path)
        });
        let (file, error) = match opened {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(reason(&error))),
        };
        let (rest, shown) = (Recent::new(TAIL), Recent::new(4 * SHOWN));
        Self { file, error, head_left: HEAD, rest, shown }
    }

    pub(super) fn write(&mut self, chunk: &[u8]) {
        self.shown.push(chunk);
        let (head, rest) = chunk.split_at(chunk.len().min(self.head_left));
        self.head_left -= head.len();
        self.put(head);
        if self.file.is_some() {
            self.rest.push(rest);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.error = Some(reason(&error));
            self.file = None;
            self.rest = Recent::new(TAIL);
        }
    }

    /// Ends the log. Returns the end of the output as plain text, and what there is to say.
    pub(super) fn finish(mut self) -> (String, Option<String>) {
        self.rest.trim();
        let rest = std::mem::take(&mut self.rest.bytes);
        if self.rest.dropped > 0 {
            self.put(format!("\n[… {} bytes are left out here …]\n", self.rest.dropped).as_bytes());
        }
        self.put(&rest);
        let note = match self.error {
            Some(error) => Some(format!("its log is incomplete: {error}")),
            None if self.rest.dropped > 0 => {
                Some(format!("its log leaves out {} bytes in the middle", self.rest.dropped))
            }
            None => None,
        };
        self.shown.trim();
        let text = String::from_utf8_lossy(&self.shown.bytes);
        (tail(plain(&text).trim_end(), SHOWN).to_owned(), note)
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "the disk is full".into(),
        _ => error.to_string(),
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
struct Recent {
    bytes: Vec<u8>,
    keep: usize,
    dropped: u64,
}

impl Recent {
    fn new(keep: usize) -> Self {
        Self { bytes: Vec::new(), keep, dropped: 0 }
    }

    /// Moves bytes only once as many have come as are kept.
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * self.keep {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.keep);
        self.bytes.drain(..surplus);
        self.dropped += surplus as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_log_is_whole() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("logs/test.log");
        let mut log = Log::create(&path);
        log.write(b"one\n\x1b[31mtwo\x1b[0m\n");
        let (tail, note) = log.finish();
        assert_eq!((tail.as_str(), note), ("one\ntwo", None));
        assert_eq!(std::fs::read(&path).expect("log"), b"one\n\x1b[31mtwo\x1b[0m\n");
    }

    #[test]
    fn a_long_log_keeps_both_ends_and_says_what_is_missing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("test.log");
        let mut log = Log::create(&path);
        log.write(b"the start\n");
        let line = [b'x'; 1 << 20];
        (0..64).for_each(|_| log.write(&line));
        log.write(b"\nthe end\n");
        let (tail, note) = log.finish();
        assert_eq!(tail, "the end");
        let dropped = (64 << 20) + "the start\n\nthe end\n".len() - HEAD - TAIL;
        assert_eq!(note, Some(format!("its log leaves out {dropped} bytes in the middle")));
        let bytes = std::fs::read(&path).expect("log");
        assert!(bytes.starts_with(b"the start\n") && bytes.ends_with(b"\nthe end\n"));
        let gap = format!("\n[… {dropped} bytes are left out here …]\n");
        assert_eq!(bytes.len(), HEAD + TAIL + gap.len());
        assert!(bytes[HEAD..].starts_with(gap.as_bytes()));
    }

    #[test]
    fn a_log_that_cannot_be_made_is_said() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("test.log")).expect("in the way");
        let mut log = Log::create(&dir.path().join("test.log"));
        log.write(b"still here\n");
        let (tail, note) = log.finish();
        assert_eq!(tail, "still here");
        assert!(note.is_some_and(|note| note.starts_with("its log is incomplete: ")));
    }
}
