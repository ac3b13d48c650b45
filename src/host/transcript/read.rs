//! Reads a transcript, also while it grows.
//!
//! **Invariant:** never returns a part of a record; what is damaged or not yet whole ends the
//! reading at that place, and a later call goes on there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{FORMAT, segment};
use crate::wire::host::Size;

/// A frame holds at most this much, unpacked; more is damage.
const MAX_FRAME: usize = 1 << 20;

/// Read from disk at once.
const CHUNK: usize = 256 << 10;

/// Why a transcript cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// A file or the folder.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A frame or record is not what it should be.
    #[error("{} is damaged at byte {at}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where, in bytes.
        at: u64,
    },
    /// Written by a later version.
    #[error("{} was written by a later version (format {format})", path.display())]
    Later {
        /// The segment.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
}

/// A part of a transcript. Times are microseconds since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The beginning: when, by the wall clock, and the first size.
    Start {
        /// Milliseconds since 1970.
        wall_ms: i64,
        /// The size of the terminal.
        size: Size,
    },
    /// The agent wrote.
    Output {
        /// When.
        at_us: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The size changed.
    Resize {
        /// When.
        at_us: u64,
        /// The size from here on.
        size: Size,
    },
    /// Output is missing here: over the cap, or the disk was full.
    Gap {
        /// Bytes missing.
        bytes: u64,
    },
}

/// Reads items in order.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    number: u64,
    file: Option<File>,
    offset: u64,
    items: std::collections::VecDeque<Item>,
    clock: u64,
    seen: u64,
    begun: bool,
}

/// Opens the transcript in `dir` (a host's folder, then `transcript`). One that does not exist
/// yet reads as empty.
#[must_use]
pub fn open(dir: &Path) -> Reader {
    Reader {
        dir: dir.to_owned(),
        number: 0,
        file: None,
        offset: 0,
        items: std::collections::VecDeque::new(),
        clock: 0,
        seen: 0,
        begun: false,
    }
}

impl Reader {
    /// The next item; `None` at the end as it is now. A later call sees what was appended since.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn next_item(&mut self) -> Result<Option<Item>, TranscriptError> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if !self.read_frame()? && !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Goes to the next segment that exists, once the current one is at its end.
    fn advance(&mut self) -> Result<bool, TranscriptError> {
        let Some(next) = self.next_number()? else { return Ok(false) };
        // The writer may have appended to the old segment just before it began the new one.
        if self.file.is_some() && self.read_frame()? {
            return Ok(true);
        }
        let path = segment(&self.dir, next);
        match File::open(&path) {
            Ok(file) => {
                (self.file, self.number, self.offset) = (Some(file), next, 0);
                Ok(true)
            }
            // Deleted between the look and the opening.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(TranscriptError::Read { path, source }),
        }
    }

    fn next_number(&self) -> Result<Option<u64>, TranscriptError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TranscriptError::Read { path: self.dir.clone(), source }),
        };
        let numbers =
            entries.flatten().filter_map(|e| e.file_name().to_str()?.strip_suffix(".zst")?.parse::<u64>().ok());
        Ok(numbers.filter(|&n| self.file.is_none() || n > self.number).min())
    }

    /// Unpacks one frame; `false` where there is no whole one yet.
    fn read_frame(&mut self) -> Result<bool, TranscriptError> {
        let Some(file) = &self.file else { return Ok(false) };
        let path = segment(&self.dir, self.number);
        let mut bytes = vec![0; CHUNK];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], self.offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TranscriptError::Read { path, source }),
            }
        }
        bytes.truncate(filled);
        let Ok(len) = zstd::zstd_safe::find_frame_compressed_size(&bytes) else { return Ok(false) };
        let damaged = |at| TranscriptError::Damaged { path: path.clone(), at };
        let records = zstd::bulk::decompress(&bytes[..len], MAX_FRAME).map_err(|_| damaged(self.offset))?;
        self.records(&records, &path)?.ok_or_else(|| damaged(self.offset))?;
        self.offset += len as u64;
        Ok(true)
    }

    /// Takes the records of a frame; `None` where they are damaged.
    fn records(&mut self, mut rest: &[u8], path: &Path) -> Result<Option<()>, TranscriptError> {
        while let Some((&kind, after)) = rest.split_first() {
            rest = after;
            let (Some(delta), Some(len)) = (varint(&mut rest), varint(&mut rest)) else { return Ok(None) };
            let Some((mut body, after)) = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len)) else {
                return Ok(None);
            };
            rest = after;
            self.clock = self.clock.saturating_add(delta);
            match kind {
                b'S' => {
                    let Some(start) = fields::<6>(&mut body) else { return Ok(None) };
                    if start[0] != FORMAT {
                        return Err(TranscriptError::Later { path: path.to_owned(), format: start[0] });
                    }
                    self.start(start);
                }
                b'O' => {
                    self.seen += body.len() as u64;
                    self.items.push_back(Item::Output { at_us: self.clock, bytes: body.to_vec() });
                }
                b'R' => {
                    let Some([rows, cols]) = fields::<2>(&mut body) else { return Ok(None) };
                    self.items.push_back(Item::Resize { at_us: self.clock, size: size(rows, cols) });
                }
                b'L' => {
                    let Some([lost]) = fields::<1>(&mut body) else { return Ok(None) };
                    self.seen += lost;
                    self.items.push_back(Item::Gap { bytes: lost });
                }
                // A record of a later version that can be left out.
                _ => {}
            }
        }
        Ok(Some(()))
    }

    fn start(&mut self, [_, wall_ms, total, rows, cols, clock]: [u64; 6]) {
        if self.begun {
            if total > self.seen {
                self.items.push_back(Item::Gap { bytes: total - self.seen });
                self.items.push_back(Item::Resize { at_us: clock, size: size(rows, cols) });
            }
        } else {
            let wall_ms = i64::try_from(wall_ms).unwrap_or(0);
            self.items.push_back(Item::Start { wall_ms, size: size(rows, cols) });
        }
        (self.begun, self.seen, self.clock) = (true, self.seen.max(total), clock);
    }
}

fn size(rows: u64, cols: u64) -> Size {
    let side = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    Size { rows: side(rows), cols: side(cols) }
}

fn fields<const N: usize>(body: &mut &[u8]) -> Option<[u64; N]> {
    let mut values = [0; N];
    for value in &mut values {
        *value = varint(body)?;
    }
    Some(values)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
