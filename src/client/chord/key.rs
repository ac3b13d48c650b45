//! What a control sequence of a terminal means to the chord, in every encoding of keys there is.
//!
//! **Invariant:** what is not known for a key of the chord is any other key or a report, never a
//! guess. Must not know: what came before it.

/// What a key or report means to the chord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `ctrl-]` goes down.
    Prefix,
    /// `ctrl-]` repeats or goes up.
    PrefixEcho,
    /// `d` goes down.
    Detach,
    /// Any other key.
    Key,
    /// No key: mouse, focus, replies, keys that go up, modifiers alone.
    Report,
    /// A paste begins.
    Paste,
}

/// Reads a whole control sequence, `ESC [` to its final byte.
pub(super) fn classify(token: &[u8]) -> Class {
    let Some((&last, body)) = token.get(2..).and_then(<[u8]>::split_last) else { return Class::Key };
    match (last, body) {
        (b'~', b"200") => Class::Paste,
        (b'~', b"201") | (b'I' | b'O', b"") | (b'M' | b'm', [_, ..]) => Class::Report,
        (b'c' | b'n' | b't' | b'y', _) | (_, [b'?' | b'<' | b'=' | b'>', ..]) => Class::Report,
        (b'~', _) if body.starts_with(b"27;") => modify_other_keys(body),
        (b'u', _) => Key::read(body).map_or(Class::Key, Key::class),
        // Cursor and function keys: `1;modifiers:event` and a letter or `~`.
        _ => match Key::read(body) {
            Some(key) if key.event == Event::Release => Class::Report,
            _ => Class::Key,
        },
    }
}

/// xterm's `27;modifiers;code`.
fn modify_other_keys(body: &[u8]) -> Class {
    let mut fields = body.split(|&b| b == b';').skip(1).map(number);
    let (modifiers, code) = (fields.next().flatten(), fields.next().flatten());
    match (modifiers, code, fields.next()) {
        (Some(modifiers), Some(code), None) => Key { code, modifiers: held(modifiers), ..Key::default() }.class(),
        _ => Class::Key,
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Event {
    #[default]
    Press,
    Repeat,
    Release,
}

/// A key in the encoding `code:shifted:base;modifiers:event;text u`.
#[derive(Debug, Default, Clone, Copy)]
struct Key {
    code: u32,
    /// What the key gives with shift; 0 if not said.
    shifted: u32,
    /// The same key on the standard layout; 0 if not said.
    base: u32,
    modifiers: u32,
    event: Event,
}

const SHIFT: u32 = 1;
const CTRL: u32 = 4;
/// Caps lock and num lock are no modifiers a person holds.
const LOCKS: u32 = 64 | 128;

/// Which modifiers a field says are held.
fn held(field: u32) -> u32 {
    field.saturating_sub(1) & !LOCKS
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Key {
    fn read(body: &[u8]) -> Option<Self> {
        let mut fields = body.split(|&b| b == b';').map(|field| field.split(|&b| b == b':'));
        let mut codes = fields.next()?;
        let code = number(codes.next()?)?;
        let mut alternate = || codes.next().and_then(number).unwrap_or(0);
        let (shifted, base) = (alternate(), alternate());
        let mut second = fields.next().into_iter().flatten();
        let modifiers = held(second.next().and_then(number).unwrap_or(1));
        let event = match second.next().and_then(number) {
            Some(2) => Event::Repeat,
            Some(3) => Event::Release,
            _ => Event::Press,
        };
        Some(Self { code, shifted, base, modifiers, event })
    }

    /// Whether this is the key of an ASCII character. On a layout of another script the place of
    /// the key counts; on a Latin one the letter does, wherever it lies.
    fn is(self, ascii: u8) -> bool {
        let wanted = u32::from(ascii);
        self.code == wanted || (self.code >= 0x80 && self.base == wanted)
    }

    fn class(self) -> Class {
        let bracket = self.is(b']') || self.shifted == u32::from(b']');
        match self.event {
            Event::Release if bracket => return Class::PrefixEcho,
            Event::Release => return Class::Report,
            Event::Press | Event::Repeat => {}
        }
        let prefix = match self.modifiers {
            CTRL => self.is(b']'),
            held => held == CTRL | SHIFT && self.shifted == u32::from(b']'),
        };
        match self.event {
            Event::Repeat if prefix => Class::PrefixEcho,
            _ if prefix => Class::Prefix,
            _ if is_modifier(self.code) => Class::Report,
            _ if matches!(self.modifiers, 0 | SHIFT | CTRL) && (self.is(b'd') || self.is(b'D')) => Class::Detach,
            _ => Class::Key,
        }
    }
}

/// Shift, ctrl, alt, super, hyper, meta, the level shifts and the locks, as keys of their own.
fn is_modifier(code: u32) -> bool {
    matches!(code, 57_358..=57_360 | 57_441..=57_454)
}
