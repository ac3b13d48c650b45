//! The text of one configuration file and the places in it.
//!
//! **Invariant:** offsets into [`Text::text`] turn into line and column of the file as an editor
//! shows it, with or without byte order mark and CR. Must not know: keys.

use std::sync::Arc;

use super::error::{ConfigError, Place, Problem};

/// The largest file that is read, in bytes: far above anything written by hand.
pub const MAX_BYTES: usize = 1 << 20;

/// Whose file it is: a repository's holds commands that need approval, the user's holds their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `agents.toml` or `.standup/agents.toml`.
    Repository,
    /// The user's `config.toml`.
    User,
}

/// A configuration file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// How messages name it, for example `agents.toml`.
    pub label: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whose it is.
    pub kind: Kind,
}

/// The decoded text, without byte order mark.
pub(super) struct Text<'a> {
    pub(super) file: Arc<str>,
    pub(super) text: &'a str,
    line_starts: Vec<usize>,
}

/// Beyond so many bytes columns are bytes: counting characters for each value of one endless line
/// would take minutes.
const LONG_LINE: usize = 4_096;

/// What some editors put before the first character.
pub(super) const BOM: &str = "\u{feff}";

impl<'a> Text<'a> {
    pub(super) fn decode(source: &Source<'a>) -> Result<Self, Box<ConfigError>> {
        let file: Arc<str> = source.label.into();
        let at_start = |problem| {
            let place = Place { file: file.clone(), line: 1, column: 1 };
            Box::new(ConfigError { place, problem })
        };
        let bytes = source.bytes;
        if bytes.len() > MAX_BYTES {
            return Err(at_start(Problem::TooLarge { bytes: bytes.len(), max: MAX_BYTES }));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(file, text.strip_prefix(BOM).unwrap_or(text))),
            Err(error) => {
                let offset = error.valid_up_to();
                let valid = std::str::from_utf8(&bytes[..offset]).expect("valid up to there, says the decoder");
                let valid = valid.strip_prefix(BOM).unwrap_or(valid);
                let place = Text::new(file, valid).place(valid.len());
                Err(Box::new(ConfigError { place, problem: Problem::Encoding { offset } }))
            }
        }
    }

    fn new(file: Arc<str>, text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, line_starts }
    }

    /// Line and column of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let before = &self.text[self.line_starts[line - 1]..offset];
        let column = 1 + if before.len() > LONG_LINE { before.len() } else { before.chars().count() };
        let small = |n: usize| u32::try_from(n).expect("a file of 1 MiB has fewer lines and columns than 2^32");
        Place { file: self.file.clone(), line: small(line), column: small(column) }
    }

    /// An error at a byte offset.
    pub(super) fn error(&self, offset: usize, problem: Problem) -> ConfigError {
        ConfigError { place: self.place(offset), problem }
    }
}
