//! Forms of a transcript for people and players: lines of text, asciicast.
//!
//! **Invariant:** a line of text holds no control character. Must not know: files.

use super::Item;
use crate::host::osc::{Cutter, Sink, partial_char};
use crate::host::screen::{Screen, fit};
use crate::wire::host::Size;

/// Fed at once, so that no more lines scroll off than the history holds: a line takes at least
/// one byte.
const PIECE: usize = 512;
const HISTORY: usize = 1000;

/// What a size of 0 is taken for.
const USUAL: Size = Size { rows: 24, cols: 80 };

/// Turns output into the lines a person would have seen scroll by. A line is given out once it
/// has left the screen, or lies above the cursor when output rests; it is given out once, as it
/// stood then. Full-screen programs show as their screen when they leave it.
pub struct TextLines {
    screen: Screen,
    cutter: Cutter,
    /// Lines of the screen, from its top, that were given out while they were still on it.
    given: usize,
    /// The beginning of a wrapped line.
    part: String,
}

impl Default for TextLines {
    fn default() -> Self {
        Self::new()
    }
}

struct Feed<'a> {
    screen: &'a mut Screen,
    full_screen: Vec<String>,
}

impl Sink for Feed<'_> {
    fn both(&mut self, bytes: &[u8]) {
        self.model(bytes);
    }
    fn model(&mut self, bytes: &[u8]) {
        // The alternate screen is gone once its program leaves it: look just before.
        let mut rest = bytes;
        while let Some(leave) = LEAVE.iter().filter_map(|end| find(rest, end)).min() {
            let (before, after) = rest.split_at(leave);
            self.screen.feed(before);
            if self.screen.is_alternate() {
                self.full_screen.extend(self.screen.text().lines().map(str::to_owned));
            }
            self.screen.feed(&after[..1]);
            rest = &after[1..];
        }
        self.screen.feed(rest);
        self.screen.take_replies();
    }
    fn osc(&mut self, _: u32, _: &[u8], _: &[u8]) {}
}

/// What leaves the alternate screen.
const LEAVE: [&[u8]; 3] = [b"\x1b[?1049l", b"\x1b[?1047l", b"\x1b[?47l"];

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

impl TextLines {
    /// An empty screen of the usual size.
    #[must_use]
    pub fn new() -> Self {
        Self { screen: Screen::new(USUAL, HISTORY), cutter: Cutter::default(), given: 0, part: String::new() }
    }

    /// Takes an item; returns the lines that are complete.
    pub fn push(&mut self, item: &Item) -> Vec<String> {
        let mut lines = Vec::new();
        match item {
            Item::Start { size, .. } | Item::Resize { size, .. } => {
                self.screen.resize(fit(*size, USUAL));
                self.collect(&mut lines);
            }
            Item::Output { bytes, .. } => {
                for piece in bytes.chunks(PIECE) {
                    let mut feed = Feed { screen: &mut self.screen, full_screen: Vec::new() };
                    self.cutter.cut(piece, &mut feed);
                    lines.append(&mut feed.full_screen);
                    self.collect(&mut lines);
                }
            }
            Item::Gap { bytes } => {
                lines.extend(self.finish());
                lines.push(format!("[{bytes} bytes of output were not kept]"));
                let size = self.screen.size();
                *self = Self::new();
                self.screen.resize(size);
            }
        }
        lines
    }

    /// Output rests: the lines above the cursor are complete.
    pub fn settle(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.screen.is_alternate() {
            let above = self.screen.lines(self.given, false);
            self.given += above.len();
            self.join(above, &mut lines);
        }
        lines
    }

    /// No more will come: what is on the screen.
    pub fn finish(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = self.screen.lines(if self.screen.is_alternate() { 0 } else { self.given }, true);
        while rest.last().is_some_and(|(line, _)| line.is_empty()) {
            rest.pop();
        }
        self.given += rest.len();
        self.join(rest, &mut lines);
        if !self.part.is_empty() {
            lines.push(std::mem::take(&mut self.part));
        }
        lines
    }

    fn collect(&mut self, lines: &mut Vec<String>) {
        let gone = self.screen.take_history();
        let known = self.given.min(gone.len());
        self.given -= known;
        self.join(gone.into_iter().skip(known).collect(), lines);
    }

    fn join(&mut self, rows: Vec<(String, bool)>, lines: &mut Vec<String>) {
        for (text, ends) in rows {
            self.part.push_str(&text);
            // One endless line must not gather for ever.
            if ends || self.part.len() > 1 << 20 {
                lines.push(std::mem::take(&mut self.part));
            }
        }
    }
}

/// What a player waits between the end of one start of an agent and the next, in microseconds:
/// what lay between may have been hours.
const PAUSE_US: u64 = 1_000_000;

/// Gives a terminal back as it was when it was opened: each start has one of its own.
const RESET: &str = "\x1bc";

/// Turns items into lines of an asciicast, version 2. Several transcripts make one cast, one
/// behind the other, with a marker where each further one begins.
#[derive(Debug, Default)]
pub struct Cast {
    /// Bytes of a character that is not whole yet.
    held: Vec<u8>,
    begun: bool,
    /// Where the transcript that is being read begins.
    base_us: u64,
    /// The latest line.
    last_us: u64,
    /// What the transcript that begins with the next item is called.
    next: Option<String>,
}

impl Cast {
    /// A cast whose header is still to come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The items that follow are of another transcript; `label` is the text of its marker.
    pub fn next_start(&mut self, label: &str) {
        if self.begun {
            self.held.clear();
            self.base_us = self.last_us + PAUSE_US;
            self.next = Some(label.to_owned());
        }
    }

    /// Takes an item; returns its lines, header first, without line ends.
    pub fn push(&mut self, item: &Item) -> Vec<String> {
        let mut lines = Vec::new();
        match item {
            Item::Start { wall_ms, size } => self.header(*wall_ms, *size, &mut lines),
            Item::Output { at_us, bytes } => {
                self.header(0, USUAL, &mut lines);
                let text = self.text(bytes);
                if !text.is_empty() {
                    lines.push(self.event(*at_us, "o", &text));
                }
            }
            Item::Resize { at_us, size } => {
                self.header(0, *size, &mut lines);
                lines.push(self.event(*at_us, "r", &sides(*size)));
            }
            // A player has no use for it; what follows is drawn over what was there.
            Item::Gap { .. } => self.held.clear(),
        }
        lines
    }

    fn header(&mut self, wall_ms: i64, size: Size, lines: &mut Vec<String>) {
        if !self.begun {
            self.begun = true;
            let header = serde_json::json!({
                "version": 2, "width": size.cols, "height": size.rows, "timestamp": wall_ms / 1000,
            });
            lines.push(header.to_string());
        } else if let Some(label) = self.next.take() {
            lines.push(self.event(0, "m", &label));
            lines.push(self.event(0, "r", &sides(size)));
            lines.push(self.event(0, "o", RESET));
        }
    }

    /// A line at a time of the transcript that is being read.
    fn event(&mut self, at_us: u64, kind: &str, data: &str) -> String {
        self.last_us = self.base_us.saturating_add(at_us).max(self.last_us);
        let (seconds, micros) = (self.last_us / 1_000_000, self.last_us % 1_000_000);
        format!("[{seconds}.{micros:06}, \"{kind}\", {}]", serde_json::Value::from(data))
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let whole = self.held.len() - partial_char(&self.held);
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        text
    }
}

/// `80x24`
fn sides(size: Size) -> String {
    format!("{}x{}", size.cols, size.rows)
}
