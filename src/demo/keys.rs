//! Bytes from a terminal in raw mode: keys, pastes, and answers to queries that nobody reads.
//!
//! **Invariant:** a sequence may be cut anywhere between two reads; what is pasted is never taken
//! for keys. Must not know: file descriptors.

/// One thing a person, or somebody typing for one, did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A bracketed paste, as text.
    Paste(String),
    /// Return.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape by itself.
    Escape,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    EndOfInput,
    /// Ctrl-U: empties the line.
    Kill,
}

/// A paste longer than this many bytes is cut.
const MAX_PASTE: usize = 1 << 20;

/// A control sequence longer than this many bytes is not one.
const MAX_SEQUENCE: usize = 64;

/// What ends a bracketed paste.
const PASTE_END: &[u8] = b"\x1b[201~";

/// Cuts a stream of bytes into keys.
#[derive(Debug, Default)]
pub struct Keys {
    state: State,
    held: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// After `ESC [`.
    Sequence,
    /// After `ESC O`.
    Single,
    /// OSC, DCS, APC or PM, up to BEL or ST.
    Text,
    Paste,
    /// Inside a character of several bytes.
    Character,
}

impl Keys {
    /// Takes one byte; a key when it completes one.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Sequence => self.sequence(byte),
            State::Single => self.end(None),
            State::Text => {
                let is_over = byte == 0x07 || (byte == b'\\' && self.held.last() == Some(&0x1b));
                self.held = vec![byte];
                if is_over { self.end(None) } else { None }
            }
            State::Paste => self.paste(byte),
            State::Character => self.character(byte),
        }
    }

    /// Whether an ESC waits for what follows it.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == State::Escape
    }

    /// Nothing followed: the ESC was the key itself.
    pub fn settle(&mut self) -> Option<Key> {
        if self.is_pending() { self.end(Some(Key::Escape)) } else { None }
    }

    fn end(&mut self, key: Option<Key>) -> Option<Key> {
        self.state = State::Ground;
        self.held.clear();
        key
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x03 => Some(Key::Interrupt),
            0x04 => Some(Key::EndOfInput),
            0x08 | 0x7f => Some(Key::Backspace),
            b'\r' | b'\n' => Some(Key::Enter),
            0x15 => Some(Key::Kill),
            0x1b => {
                self.state = State::Escape;
                None
            }
            b'\t' => Some(Key::Char('\t')),
            0x20..=0x7e => Some(Key::Char(char::from(byte))),
            0xc2..=0xf4 => {
                self.state = State::Character;
                self.held = vec![byte];
                None
            }
            _ => None,
        }
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.held.clear();
        self.state = match byte {
            b'[' => State::Sequence,
            b'O' => State::Single,
            b']' | b'P' | b'_' | b'^' => State::Text,
            0x1b => return Some(Key::Escape),
            _ => return self.end(None),
        };
        None
    }

    fn sequence(&mut self, byte: u8) -> Option<Key> {
        self.held.push(byte);
        if self.held.len() > MAX_SEQUENCE {
            return self.end(None);
        }
        if !(0x40..=0x7e).contains(&byte) {
            return None;
        }
        match self.held.as_slice() {
            b"200~" => {
                self.held.clear();
                self.state = State::Paste;
                None
            }
            // The same keys in the encoding that some terminals use when asked to.
            b"13u" => self.end(Some(Key::Enter)),
            b"27u" => self.end(Some(Key::Escape)),
            b"99;5u" => self.end(Some(Key::Interrupt)),
            b"100;5u" => self.end(Some(Key::EndOfInput)),
            _ => self.end(None),
        }
    }

    fn paste(&mut self, byte: u8) -> Option<Key> {
        // What is over the bound falls out of the middle, so that the end is still seen.
        if self.held.len() >= MAX_PASTE + PASTE_END.len() {
            self.held.remove(MAX_PASTE);
        }
        self.held.push(byte);
        let body = self.held.strip_suffix(PASTE_END)?;
        let text = String::from_utf8_lossy(body).replace("\r\n", "\n").replace('\r', "\n");
        self.end(Some(Key::Paste(text)))
    }

    fn character(&mut self, byte: u8) -> Option<Key> {
        if !(0x80..=0xbf).contains(&byte) {
            self.end(None);
            return self.ground(byte);
        }
        self.held.push(byte);
        let wanted = match self.held[0] {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        if self.held.len() < wanted {
            return None;
        }
        let key = std::str::from_utf8(&self.held).ok().and_then(|text| text.chars().next()).map(Key::Char);
        self.end(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut out: Vec<Key> = bytes.iter().filter_map(|&b| keys.push(b)).collect();
        out.extend(keys.settle());
        out
    }

    #[test]
    fn plain_keys_and_characters_of_several_bytes() {
        let expected =
            "aé漢👍".chars().map(Key::Char).chain([Key::Enter, Key::Backspace, Key::Interrupt]).collect::<Vec<_>>();
        assert_eq!(keys("aé漢👍\r\x7f\x03".as_bytes()), expected);
    }

    #[test]
    fn a_paste_is_one_key_whatever_it_holds() {
        let text = "two\nlines \x1b[31m and \x03";
        assert_eq!(keys(format!("\x1b[200~{text}\x1b[201~\r").as_bytes()), [Key::Paste(text.to_owned()), Key::Enter]);
    }

    #[test]
    fn a_paste_over_the_bound_is_cut_and_still_ends() {
        let mut bytes = b"\x1b[200~".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', MAX_PASTE + 1_000));
        bytes.extend(PASTE_END);
        bytes.push(b'\r');
        let out = keys(&bytes);
        assert!(matches!(&out[0], Key::Paste(text) if text.len() == MAX_PASTE), "{}", out.len());
        assert_eq!(out[1], Key::Enter);
    }

    #[test]
    fn escape_by_itself_is_a_key_and_arrows_are_none() {
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[1;5Cx"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1b\x1b"), [Key::Escape, Key::Escape]);
    }

    #[test]
    fn answers_to_queries_are_swallowed() {
        let answers = b"\x1b]7501;?:states=idle,working\x1b\\\x1b[?62;22c\x1b]11;rgb:0/0/0\x07\x1bP>|term\x1b\\\x1b[Iq";
        assert_eq!(keys(answers), [Key::Char('q')]);
    }

    #[test]
    fn the_newer_encoding_of_keys_is_understood() {
        assert_eq!(keys(b"\x1b[13u\x1b[27u\x1b[99;5u"), [Key::Enter, Key::Escape, Key::Interrupt]);
    }

    #[test]
    fn a_broken_character_does_not_swallow_the_next_key() {
        assert_eq!(keys(b"\xe6\xbc\r"), [Key::Enter]);
        assert_eq!(keys(b"\xffa"), [Key::Char('a')]);
    }
}
