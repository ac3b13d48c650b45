//! Foreign text made fit for a terminal (titles, branches, briefs, log lines, questions), the word
//! that was meant, and an error with its causes.
//!
//! **Invariant:** what [`clean`] and its kin return holds no control character, no character that reorders or hides
//! its neighbours, and is no wider than was asked. Must not know: any terminal.

use std::error::Error;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the part that was cut off.
const ELLIPSIS: char = '…';

/// The most combining marks on one character. Written languages need up to four (Vietnamese two,
/// pointed Hebrew three); more is a stack that paints over the lines above.
const MAX_MARKS: usize = 4;

/// One line, at most `width` columns wide: control, bidirectional and zero-width characters are
/// shown escaped (`\n`, `\x1b`, `\u{202e}`); what does not fit is cut and ends in `…`.
#[must_use]
pub fn clean(text: &str, width: usize) -> String {
    let mut line = Line { out: String::new(), columns: 0, fits: 0, width };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut piece = String::new();
        if is_hidden(c) || is_mark(c) {
            push_escaped(&mut piece, c);
        } else {
            piece.push(c);
            for _ in 0..MAX_MARKS {
                match chars.next_if(|&c| is_mark(c) && !is_hidden(c)) {
                    Some(mark) => piece.push(mark),
                    None => break,
                }
            }
        }
        if !line.push(&piece) {
            return line.cut();
        }
    }
    line.out
}

/// One line of any width, cleaned like [`clean`].
#[must_use]
pub fn clean_line(text: &str) -> String {
    clean(text, usize::MAX)
}

/// A word as a shell would need it written: pasted, it is that word and nothing runs.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%{}".contains(c);
    // `{a,b}` and `{1..3}` are several words, and `=ls` is a path to some shells.
    let means_more = word.starts_with('=') || word.contains('{') && (word.contains(',') || word.contains(".."));
    if !word.is_empty() && word.chars().all(plain) && !means_more {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Several lines, each cleaned like [`clean_line`]; line breaks and tabs stay. For briefs and logs.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        for (n, cell) in line.strip_suffix('\r').unwrap_or(line).split('\t').enumerate() {
            if n > 0 {
                out.push('\t');
            }
            out.push_str(&clean_line(cell));
        }
    }
    out
}

/// An error and its causes on one line: `what: why: why`. A cause that its parent repeats is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Columns a cleaned text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The nearest of `known` to what was written, if it is near enough to be meant: a third of the
/// letters may differ, and two always may (a swap plus a slip).
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (written.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= reach && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// A line under construction; `fits` is the longest prefix (in bytes) that leaves room for `…`.
struct Line {
    out: String,
    columns: usize,
    fits: usize,
    width: usize,
}

impl Line {
    /// Appends a piece unless the line would become too wide.
    fn push(&mut self, piece: &str) -> bool {
        let columns = self.columns.saturating_add(width(piece));
        if columns > self.width {
            return false;
        }
        self.out.push_str(piece);
        self.columns = columns;
        if columns < self.width {
            self.fits = self.out.len();
        }
        true
    }

    fn cut(mut self) -> String {
        self.out.truncate(self.fits);
        if self.width > 0 {
            self.out.push(ELLIPSIS);
        }
        self.out
    }
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c => out.extend(c.escape_unicode()),
    }
}

/// A mark that sits on the character before it.
fn is_mark(c: char) -> bool {
    c.width() == Some(0)
}

/// Characters that steer a terminal, reorder text or cannot be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// What failed, and why.
    #[derive(Debug)]
    struct Failed(&'static str, Option<Box<Failed>>);

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
        }
    }

    #[test]
    fn causes_are_named_once_each() {
        let innermost = Failed("no such file", None);
        let repeated = Failed("a", Some(Box::new(innermost)));
        let outer = Failed("cannot read a", Some(Box::new(repeated)));
        assert_eq!(chain(&outer), "cannot read a: no such file");
    }

    /// Texts that would steer a terminal, and what is shown instead.
    const CORPUS: &[(&str, &str)] = &[
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b]8;;http://x\x1b\\link", "\\x1b]8;;http://x\\x1b\\link"),
        ("\x1bP1$r\x1b\\", "\\x1bP1$r\\x1b\\"),
        ("\u{9b}31m", "\\x9b31m"),
        ("\u{9d}0;t\u{9c}", "\\x9d0;t\\x9c"),
        ("a\nb\r\tc\0\x7f", "a\\nb\\r\\tc\\x00\\x7f"),
        ("abc\u{202e}fed\u{202c}", "abc\\u{202e}fed\\u{202c}"),
        ("\u{2066}x\u{2069}\u{200f}\u{61c}", "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}"),
        ("a\u{200b}b\u{feff}c\u{2060}d\u{ad}e", "a\\u{200b}b\\u{feff}c\\u{2060}d\\xade"),
        ("line\u{2028}sep\u{2029}", "line\\u{2028}sep\\u{2029}"),
        ("tag\u{e0041}", "tag\\u{e0041}"),
        ("e\u{301}a\u{308}", "e\u{301}a\u{308}"),
        ("\u{301}first", "\\u{301}first"),
        ("日本語", "日本語"),
    ];

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        for (text, shown) in CORPUS {
            assert_eq!(&clean_line(text), shown, "{text:?}");
        }
    }

    #[test]
    fn every_single_character_is_harmless_or_escaped() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let shown = clean_line(&format!("x{c}y"));
            assert!(!shown.chars().any(|c| c.is_control()), "{:x}", u32::from(c));
            assert!(shown.starts_with('x') && shown.ends_with('y'), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn a_stack_of_marks_is_cut_off() {
        let zalgo = format!("z{}", "\u{301}".repeat(50));
        let shown = clean_line(&zalgo);
        assert!(shown.starts_with(&format!("z{}\\u{{301}}", "\u{301}".repeat(MAX_MARKS))), "{shown}");
    }

    #[test]
    fn a_line_is_clipped_by_what_it_shows() {
        for (text, columns, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("日", 1, "…"),
            ("abc", 0, ""),
            ("a\x1bb", 4, "a…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ] {
            assert_eq!(clean(text, columns), shown, "{text:?} in {columns}");
        }
        for columns in 0..40 {
            for (text, _) in CORPUS {
                assert!(width(&clean(text, columns)) <= columns, "{text:?} in {columns}");
            }
        }
    }

    #[test]
    fn the_word_that_was_meant_is_found() {
        let known = ["build", "review", "machine", "idle"];
        assert_eq!(nearest("biuld", known), Some("build"));
        assert_eq!(nearest("Reveiw", known), Some("review"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("at", ["a"]), None, "nothing of it is left");
    }

    #[test]
    fn several_lines_keep_their_breaks_and_tabs() {
        assert_eq!(clean_lines("a\tb\r\n\x1b[2Jc\n"), "a\tb\n\\x1b[2Jc\n");
    }

    #[test]
    fn a_shell_word_that_is_pasted_is_that_word_and_nothing_runs() {
        for plain in ["/a/b-c_d.lock", "{brief}", "--at={worktree}", "ü", "a,b"] {
            assert_eq!(shell_word(plain), plain);
        }
        for (word, pasted) in [
            ("$(id>pwn).lock", "'$(id>pwn).lock'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("{a,b}.lock", "'{a,b}.lock'"),
            ("x{1..3}", "'x{1..3}'"),
            ("=ls", "'=ls'"),
            ("~/x", "'~/x'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), pasted);
        }
    }
}
