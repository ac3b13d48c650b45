//! What a stream of terminal output has changed in the terminal, and how to undo it.
//!
//! **Invariant:** a terminal that has read exactly the bytes fed to a [`Tracker`], and then reads
//! [`Tracker::undo`], is back in the modes it had before; what the stream did not touch is not
//! touched. Must not know: descriptors, the host.

use std::collections::BTreeSet;
use std::fmt::Write;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// Bytes of a control or OSC string that are looked at; those that matter are shorter.
const MAX_TOKEN: usize = 96;

/// The most stack entries that are popped, of the keyboard's or the title's: as deep as any
/// terminal keeps them.
const MAX_STACK: u32 = 32;

/// Private modes that are off in a terminal at rest: cursor keys, reverse video, keypad,
/// reverse wrap, margins, mouse (nine kinds), focus, paste, synchronized output, colour scheme
/// reports, in-band size reports.
pub(super) const OFF_AT_REST: &[u16] =
    &[1, 5, 6, 9, 45, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031, 2048];

/// Private modes that are on in a terminal at rest: autowrap, cursor.
pub(super) const ON_AT_REST: &[u16] = &[7, 25];

/// The modes that show the other screen.
const ALT: &[u16] = &[47, 1047, 1049];

/// Keyboard protocol state of one screen; terminals keep one for each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Keyboard {
    pushed: u32,
    /// Flags set without a push.
    set: bool,
}

/// Follows output and knows what it left behind.
#[derive(Debug, Default, Clone)]
pub(super) struct Tracker {
    scan: Scan,
    token: Vec<u8>,
    /// The last byte outside any sequence.
    last: u8,
    /// Private modes that are not as at rest.
    changed: BTreeSet<u16>,
    /// The mode that showed the other screen.
    alt: Option<u16>,
    keyboards: [Keyboard; 2],
    /// Resources of modifyOtherKeys and its kin.
    key_resources: BTreeSet<u16>,
    /// OSC numbers that undo a colour.
    colours: BTreeSet<u16>,
    title_set: bool,
    titles_pushed: u32,
    pen: Pen,
    /// As saved on each screen.
    saved: [Pen; 2],
    style: Style,
}

/// What is saved and restored together with the cursor.
#[derive(Debug, Default, Clone, Copy)]
struct Pen {
    attributes: bool,
    charset: bool,
    link: bool,
    origin: bool,
}

impl Pen {
    /// Either of them: terminals differ in what exactly they restore.
    fn or(self, other: Self) -> Self {
        Self {
            attributes: self.attributes || other.attributes,
            charset: self.charset || other.charset,
            link: self.link || other.link,
            origin: self.origin || other.origin,
        }
    }

    fn undo(self, out: &mut String) {
        for (touched, undo) in [
            (self.origin, "\x1b[?6l"),
            (self.link, "\x1b]8;;\x1b\\"),
            (self.attributes, "\x1b[m"),
            (self.charset, "\x0f\x1b(B\x1b)B"),
        ] {
            if touched {
                out.push_str(undo);
            }
        }
    }
}

/// Small things that are on or off.
#[derive(Debug, Default, Clone, Copy)]
struct Style {
    keypad: bool,
    cursor_shape: bool,
    pointer_shape: bool,
    progress: bool,
    insert: bool,
    newline: bool,
    region: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Scan {
    #[default]
    Ground,
    Escape,
    /// After ESC and an intermediate byte.
    Designate,
    Csi,
    Osc,
    /// DCS, APC, PM, SOS.
    Text,
    /// ESC inside an OSC (true) or another string.
    StringEscape(bool),
}

impl Tracker {
    /// A terminal at rest.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Whether the other screen is shown.
    pub(super) fn is_alt(&self) -> bool {
        self.alt.is_some()
    }

    /// Whether undoing moves the cursor to the top: leaving the origin mode does, everywhere.
    pub(super) fn undo_moves_cursor(&self) -> bool {
        self.pen.origin
    }

    /// Whether the last character written, if any, ended a line.
    pub(super) fn at_line_start(&self) -> bool {
        matches!(self.last, 0 | b'\n' | b'\r')
    }

    /// Follows what the terminal has read. Sequences may be cut anywhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.scan == Scan::Ground {
                let run = rest.iter().position(|&b| b == ESC || b == 0x0e || b == 0x0f).unwrap_or(rest.len());
                if run > 0 {
                    self.last = rest[run - 1];
                    rest = &rest[run..];
                    continue;
                }
            }
            self.byte(byte);
            rest = behind;
        }
    }

    /// The bytes that bring the terminal back, its title aside; empty if nothing was touched.
    /// With `keep_alt` it stays on the other screen.
    pub(super) fn undo(&self, keep_alt: bool) -> Vec<u8> {
        if self.scan != Scan::Ground {
            // Ends whatever was cut; a string then counts as far as it came.
            let end = b"\x1b\\";
            let mut ended = self.clone();
            ended.feed(end);
            return [&end[..], &ended.undo(keep_alt)].concat();
        }
        let mut out = String::new();
        self.undo_modes(&mut out);
        for resource in &self.key_resources {
            push(&mut out, format_args!("\x1b[>{resource}m"));
        }
        undo_keyboard(self.keyboards[usize::from(self.is_alt())], &mut out);
        self.pen.undo(&mut out);
        self.undo_style(&mut out);
        if let Some(mode) = self.alt.filter(|_| !keep_alt) {
            push(&mut out, format_args!("\x1b[?{mode}l"));
            undo_keyboard(self.keyboards[0], &mut out);
            // The cursor that comes back with the screen brings its attributes along.
            Pen { attributes: true, ..self.saved[0] }.undo(&mut out);
        }
        for &mode in ON_AT_REST.iter().filter(|mode| self.changed.contains(mode)) {
            push(&mut out, format_args!("\x1b[?{mode}h"));
        }
        for number in &self.colours {
            push(&mut out, format_args!("\x1b]{number}\x1b\\"));
        }
        out.into_bytes()
    }

    /// The bytes that bring the title back.
    pub(super) fn undo_title(&self) -> Vec<u8> {
        let mut out = String::new();
        if self.title_set || self.scan == Scan::Osc {
            // For terminals that keep no titles; the others restore theirs with what follows.
            out.push_str("\x1b]2;\x1b\\");
        }
        for _ in 0..self.titles_pushed.min(MAX_STACK) {
            out.push_str("\x1b[23;0t");
        }
        out.into_bytes()
    }

    fn undo_modes(&self, out: &mut String) {
        for &mode in OFF_AT_REST.iter().filter(|mode| self.changed.contains(mode)) {
            push(out, format_args!("\x1b[?{mode}l"));
        }
    }

    fn undo_style(&self, out: &mut String) {
        let style = self.style;
        for (touched, undo) in [
            (style.keypad, "\x1b>"),
            (style.cursor_shape, "\x1b[0 q"),
            (style.pointer_shape, "\x1b]22;\x1b\\"),
            (style.progress, "\x1b]9;4;0\x1b\\"),
            (style.insert, "\x1b[4l"),
            (style.newline, "\x1b[20l"),
            // Setting the region moves the cursor.
            (style.region, "\x1b7\x1b[r\x1b8"),
        ] {
            if touched {
                out.push_str(undo);
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.scan {
            Scan::Ground => self.ground(byte),
            _ if byte == CAN || byte == SUB => self.scan = Scan::Ground,
            Scan::Escape => self.escape(byte),
            Scan::Designate => match byte {
                ESC => self.scan = Scan::Escape,
                0x30..=0x7e => {
                    // `B` is the ordinary character set; `ESC # 8` and the like change none.
                    self.pen.charset |= matches!(self.token.first(), Some(b'('..=b'/')) && byte != b'B';
                    self.scan = Scan::Ground;
                }
                _ => {}
            },
            Scan::Csi => match byte {
                ESC => self.scan = Scan::Escape,
                0x20..=0x3f => self.push(byte),
                0x40..=0x7e => {
                    self.scan = Scan::Ground;
                    let token = std::mem::take(&mut self.token);
                    self.csi(&token, byte);
                    self.token = token;
                }
                // Other control bytes act in the middle of a sequence.
                0x0e | 0x0f => self.ground(byte),
                _ => {}
            },
            Scan::Osc => match byte {
                BEL => self.osc_end(),
                ESC => self.scan = Scan::StringEscape(true),
                _ => self.push(byte),
            },
            Scan::Text if byte == ESC => self.scan = Scan::StringEscape(false),
            Scan::Text => {}
            Scan::StringEscape(osc) => {
                // ESC ends a string whether or not the backslash follows.
                if osc {
                    self.osc_end();
                }
                self.scan = Scan::Escape;
                self.escape(byte);
            }
        }
    }

    fn ground(&mut self, byte: u8) {
        match byte {
            ESC => self.scan = Scan::Escape,
            0x0e => self.pen.charset = true,
            _ => {}
        }
    }

    fn push(&mut self, byte: u8) {
        if self.token.len() < MAX_TOKEN {
            self.token.push(byte);
        }
    }

    fn escape(&mut self, byte: u8) {
        self.token.clear();
        self.scan = match byte {
            b'[' => Scan::Csi,
            b']' => Scan::Osc,
            b'P' | b'X' | b'^' | b'_' => Scan::Text,
            ESC => Scan::Escape,
            0x20..=0x2f => {
                self.token.push(byte);
                Scan::Designate
            }
            b'=' => {
                self.style.keypad = true;
                Scan::Ground
            }
            b'>' => {
                self.style.keypad = false;
                Scan::Ground
            }
            b'7' => {
                self.save_cursor();
                Scan::Ground
            }
            b'8' => {
                self.restore_cursor();
                Scan::Ground
            }
            b'n' | b'o' => {
                self.pen.charset = true;
                Scan::Ground
            }
            b'c' => {
                self.hard_reset();
                Scan::Ground
            }
            _ => Scan::Ground,
        };
    }

    fn save_cursor(&mut self) {
        self.saved[usize::from(self.is_alt())] = self.pen;
    }

    fn restore_cursor(&mut self) {
        self.pen = self.pen.or(self.saved[usize::from(self.is_alt())]);
    }

    /// The terminal has reset itself. Titles outlive that, and what some terminals forget to reset.
    fn hard_reset(&mut self) {
        let Style { pointer_shape, progress, .. } = self.style;
        *self = Self {
            key_resources: std::mem::take(&mut self.key_resources),
            colours: std::mem::take(&mut self.colours),
            title_set: self.title_set,
            titles_pushed: self.titles_pushed,
            style: Style { pointer_shape, progress, ..Style::default() },
            ..Self::default()
        };
    }

    fn csi(&mut self, body: &[u8], last: u8) {
        let Ok(body) = std::str::from_utf8(body) else { return };
        let (mark, digits) = match body.as_bytes().first() {
            Some(mark @ b'<'..=b'?') => (*mark, &body[1..]),
            _ => (0, body),
        };
        let first = || digits.split(';').next().and_then(|digits| digits.parse::<u32>().ok());
        let all = || digits.split(';').filter_map(|digits| digits.parse::<u16>().ok());
        match (mark, last) {
            (b'?', b'h' | b'l') => all().for_each(|mode| self.mode(mode, last == b'h')),
            (0, b'h' | b'l') => {
                for mode in all() {
                    match mode {
                        4 => self.style.insert = last == b'h',
                        20 => self.style.newline = last == b'h',
                        _ => {}
                    }
                }
            }
            (0, b'm') => self.pen.attributes = !matches!(digits, "" | "0"),
            (b'>', b'm' | b'f' | b'n') => self.key_resources.extend(all().take(1)),
            (b'>', b'u') => self.keyboard().pushed = (self.keyboard().pushed + 1).min(MAX_STACK),
            (b'<', b'u') => {
                let popped = first().unwrap_or(1).max(1);
                let keyboard = self.keyboard();
                keyboard.set &= popped < keyboard.pushed;
                keyboard.pushed = keyboard.pushed.saturating_sub(popped);
            }
            // Set on top of a push, the flags go with it.
            (b'=', b'u') if self.keyboard().pushed == 0 => self.keyboard().set = digits.split(';').next() != Some("0"),
            (0, b'q') if digits.ends_with(' ') => {
                self.style.cursor_shape = !matches!(digits, "0 " | " ");
            }
            (0, b's') => self.save_cursor(),
            (0, b'u') => self.restore_cursor(),
            (0, b'r') => self.style.region = !matches!(digits, "" | ";"),
            (0, b't') => match first() {
                Some(22) => self.titles_pushed = (self.titles_pushed + 1).min(MAX_STACK),
                Some(23) => self.titles_pushed = self.titles_pushed.saturating_sub(1),
                _ => {}
            },
            _ => {}
        }
    }

    fn keyboard(&mut self) -> &mut Keyboard {
        &mut self.keyboards[usize::from(self.alt.is_some())]
    }

    fn mode(&mut self, mode: u16, on: bool) {
        // 1048 is the cursor alone, 1049 the cursor and the other screen.
        if on && matches!(mode, 1048 | 1049) {
            self.save_cursor();
        }
        if ALT.contains(&mode) {
            self.alt = on.then(|| self.alt.unwrap_or(mode));
        }
        if !on && matches!(mode, 1048 | 1049) {
            self.restore_cursor();
        }
        if mode == 6 {
            self.pen.origin = on;
        }
        // How the cursor blinks is part of its shape.
        self.style.cursor_shape |= mode == 12;
        let at_rest = if OFF_AT_REST.contains(&mode) {
            false
        } else if ON_AT_REST.contains(&mode) {
            true
        } else {
            return;
        };
        if on == at_rest {
            self.changed.remove(&mode);
        } else {
            self.changed.insert(mode);
        }
    }

    fn osc_end(&mut self) {
        self.scan = Scan::Ground;
        let cut = self.token.iter().position(|&b| b == b';').unwrap_or(self.token.len());
        let (number, text) = self.token.split_at(cut);
        let text = text.get(1..).unwrap_or_default();
        let Some(number) = std::str::from_utf8(number).ok().and_then(|digits| digits.parse::<u16>().ok()) else {
            return;
        };
        match number {
            0..=2 => self.title_set |= !text.is_empty(),
            4 | 5 | 10..=19 if text != b"?" => {
                self.colours.insert(number + 100);
            }
            8 => self.pen.link = text.iter().rposition(|&b| b == b';').is_some_and(|at| at + 1 < text.len()),
            9 if text.starts_with(b"4;") => self.style.progress = !text.starts_with(b"4;0"),
            22 => self.style.pointer_shape = !text.is_empty(),
            104 | 105 | 110..=119 if text.is_empty() => {
                self.colours.remove(&number);
            }
            _ => {}
        }
    }
}

fn undo_keyboard(keyboard: Keyboard, out: &mut String) {
    if keyboard.pushed > 0 {
        push(out, format_args!("\x1b[<{}u", keyboard.pushed));
    }
    if keyboard.set {
        out.push_str("\x1b[=0u");
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes any text");
}

/// Whether output that starts like this shows the other screen.
pub(super) fn enters_alt(bytes: &[u8]) -> bool {
    let mut tracker = Tracker::new();
    tracker.feed(bytes);
    tracker.is_alt()
}

#[cfg(test)]
mod tests;
