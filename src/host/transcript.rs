//! What an agent wrote, on disk: compressed, timed, bounded.
//!
//! A transcript is a folder of segments, `000000.zst` and so on; each is a sequence of zstd frames,
//! each frame a sequence of whole records (kind, time, length, bytes). The first segments are
//! kept, the last segments are kept, what lay between is deleted: a missing number is the gap.
//!
//! **Invariant:** a reader sees whole frames or nothing; a failed write leaves the segment as it
//! was and is counted as lost. Must not know: the terminal, clients.

mod read;
mod text;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zstd::bulk::Compressor;

pub use read::{Item, Reader, TranscriptError, open};
pub use text::{Cast, TextLines};

use crate::model::action::lost_text;
use crate::wire::host::Size;

/// Bytes on disk where the spec names none.
pub(super) const DEFAULT_CAP: u64 = 64 << 20;

/// A cap has this many segments; a quarter of them is kept from the start.
const SEGMENTS: u64 = 16;
const HEAD_SEGMENTS: u64 = SEGMENTS / 4;

/// Records are compressed once this many bytes have gathered (or once output settles).
const FRAME: usize = 128 << 10;

/// The level for what trickles, and the one for full frames, which only a flood fills: there the
/// terminal model needs the core, and two thirds of the time buy a tenth of the size.
const LEVEL: i32 = 1;
const FLOOD_LEVEL: i32 = -3;

/// The compressor's window as a power of two: 128 KiB, the size of a frame.
const WINDOW_LOG: u32 = 17;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// The start of a segment: format, wall time (ms), bytes of output so far, rows, cols.
    Start = b'S',
    /// Output of the agent.
    Output = b'O',
    /// A new size: rows, cols.
    Resize = b'R',
    /// Bytes that could not be stored before this place: their number.
    Lost = b'L',
}

/// The version of the records.
const FORMAT: u64 = 1;

/// Appends to a transcript.
pub(super) struct Writer {
    dir: PathBuf,
    segment_cap: u64,
    file: Option<File>,
    number: u64,
    written: u64,
    records: Vec<u8>,
    context: Option<Compressor<'static>>,
    /// The time of the latest record, of the one before `records`, and of the latest on disk.
    clock: u64,
    base: u64,
    stored: u64,
    total: u64,
    size: Size,
    /// The size before `records`.
    base_size: Size,
    wall_ms: i64,
    /// Output bytes in `records`.
    pending: u64,
    /// Output bytes that could not be stored, all in all and since the last success.
    lost: u64,
    lost_here: u64,
    fault: Option<String>,
}

impl Writer {
    /// Starts a transcript in `dir`, which is made with the first bytes. `wall_ms` is now.
    pub(super) fn new(dir: PathBuf, cap: u64, size: Size, wall_ms: i64) -> Self {
        let cap = if cap == 0 { DEFAULT_CAP } else { cap };
        Self {
            dir,
            segment_cap: (cap / SEGMENTS).max(4 << 10),
            file: None,
            number: 0,
            written: 0,
            records: Vec::new(),
            context: None,
            clock: 0,
            base: 0,
            stored: 0,
            total: 0,
            size,
            base_size: size,
            wall_ms,
            pending: 0,
            lost: 0,
            lost_here: 0,
            fault: None,
        }
    }

    /// Takes output at `at` microseconds since the start.
    pub(super) fn output(&mut self, at_us: u64, bytes: &[u8]) {
        let frame = self.frame();
        for chunk in bytes.chunks(frame) {
            self.record(Kind::Output, at_us, chunk);
            self.pending += chunk.len() as u64;
            if self.records.len() >= frame {
                self.flush();
            }
        }
    }

    /// Bytes of a full frame. Where the cap is small, so are the frames: even one that does not
    /// shrink has to fit.
    fn frame(&self) -> usize {
        usize::try_from(self.segment_cap / 4).unwrap_or(FRAME).min(FRAME)
    }

    /// Takes a new size.
    pub(super) fn resize(&mut self, at_us: u64, size: Size) {
        self.size = size;
        self.record(Kind::Resize, at_us, &size_body(size));
    }

    /// Whether records wait to be written.
    pub(super) fn is_dirty(&self) -> bool {
        !self.records.is_empty()
    }

    /// Output bytes lost to write errors.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The latest write error, or what it has cost once writing goes on; each once.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Writes what has gathered.
    pub(super) fn flush(&mut self) {
        if self.records.is_empty() {
            return;
        }
        match self.append() {
            Ok(()) => {
                self.total += self.pending;
                if self.lost_here > 0 {
                    self.fault = Some(lost_text(self.lost));
                }
                self.lost_here = 0;
                self.stored = self.clock;
            }
            Err(e) => {
                if self.lost_here == 0 {
                    self.fault = Some(format!("cannot write the transcript: {e}"));
                }
                self.total += self.pending;
                self.lost += self.pending;
                self.lost_here += self.pending;
            }
        }
        self.pending = 0;
        self.base = self.clock;
        self.base_size = self.size;
        self.records.clear();
    }

    /// Frees what only a busy agent needs.
    pub(super) fn rest(&mut self) {
        self.flush();
        self.context = None;
        self.records = Vec::new();
    }

    /// Writes everything and makes it durable.
    pub(super) fn finish(&mut self) {
        self.flush();
        if let Some(file) = &self.file
            && let Err(e) = file.sync_data()
        {
            self.fault = Some(format!("cannot write the transcript: {e}"));
        }
    }

    fn record(&mut self, kind: Kind, at_us: u64, body: &[u8]) {
        let delta = at_us.saturating_sub(self.clock);
        self.clock = self.clock.max(at_us);
        put(kind, delta, body, &mut self.records);
    }

    fn append(&mut self) -> io::Result<()> {
        if self.lost_here > 0 {
            let mut lost = Vec::new();
            let mut body = Vec::new();
            varint(self.lost_here, &mut body);
            put(Kind::Lost, self.base - self.stored, &body, &mut lost);
            // A change of size may have been lost as well.
            put(Kind::Resize, 0, &size_body(self.base_size), &mut lost);
            self.records.splice(0..0, lost);
        }
        let level = if self.records.len() >= self.frame() { FLOOD_LEVEL } else { LEVEL };
        let frame = compress(&mut self.context, level, &self.records)?;
        // A frame is never cut, and never makes a segment larger than its share of the cap.
        if self.file.is_none() || self.written + frame.len() as u64 > self.segment_cap {
            self.next_segment()?;
        }
        self.write(&frame)
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().expect("a segment was opened before");
        if let Err(e) = file.write_all(frame) {
            // A part of a frame would hide all that follows.
            let _ = file.set_len(self.written);
            return Err(e);
        }
        self.written += frame.len() as u64;
        Ok(())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            std::fs::create_dir_all(&self.dir)?;
        }
        let number = if self.file.is_some() { self.number + 1 } else { self.number };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_CLOEXEC)
            .open(segment(&self.dir, number))?;
        self.written = file.metadata()?.len();
        (self.file, self.number) = (Some(file), number);
        let mut body = Vec::new();
        for value in [
            FORMAT,
            u64::try_from(self.wall_ms).unwrap_or(0),
            self.total,
            u64::from(self.base_size.rows),
            u64::from(self.base_size.cols),
            self.stored,
        ] {
            varint(value, &mut body);
        }
        let mut start = Vec::new();
        put(Kind::Start, 0, &body, &mut start);
        let frame = compress(&mut self.context, LEVEL, &start)?;
        self.write(&frame)?;
        // One segment falls out of the middle for each new one.
        if number >= SEGMENTS {
            let gone = number - SEGMENTS + HEAD_SEGMENTS;
            let _ = std::fs::remove_file(segment(&self.dir, gone));
        }
        Ok(())
    }
}

fn compress(context: &mut Option<Compressor<'static>>, level: i32, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let compressor = match context {
        Some(compressor) => compressor,
        None => {
            let mut new = Compressor::new(level)?;
            new.window_log(WINDOW_LOG)?;
            context.insert(new)
        }
    };
    compressor.set_compression_level(level)?;
    compressor.compress(bytes)
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.zst"))
}

fn put(kind: Kind, delta_us: u64, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind as u8);
    varint(delta_us, out);
    varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn size_body(size: Size) -> Vec<u8> {
    let mut body = Vec::with_capacity(6);
    varint(u64::from(size.rows), &mut body);
    varint(u64::from(size.cols), &mut body);
    body
}

/// Seven bits a byte, lowest first.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

#[cfg(test)]
mod tests;
