//! Plain text of what tools print: without terminal control, within bounds.
//!
//! **Invariant:** what comes out holds no control character but the tab and the line feed, and
//! nothing that reorders text, so that it is safe on any terminal. Must not know any format.

use std::borrow::Cow;

/// The text without escape sequences, control characters and marks that reorder text. Tabs and
/// line feeds stay. Where a line was redrawn in place (carriage returns), its last drawing stays.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut line_start = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            '\r' if matches!(chars.peek(), None | Some('\n' | '\r')) => {}
            '\r' => out.truncate(line_start),
            '\n' => {
                out.push('\n');
                line_start = out.len();
            }
            c if is_unwanted(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}' | '\u{2029}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows ESC (ECMA-48): a control sequence, a string, or a short sequence.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next_if(|c| ('0'..='~').contains(c));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters and intermediates up to the final byte; a broken one ends at the first stranger.
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Up to BEL or ST; a string that is not closed ends with its line.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        if c == '\n' {
            return;
        }
        chars.next();
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// The start of a text, at most `max` bytes, cut between characters and marked with `…`.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The end of a text, at most `max` bytes, from the start of a line where one begins in it.
#[must_use]
pub fn tail(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut start = text.len() - max;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let rest = &text[start..];
    match rest.find('\n') {
        Some(line_end) if line_end + 1 < rest.len() => &rest[line_end + 1..],
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_redrawn_lines_go() {
        for (text, want) in [
            ("plain", "plain"),
            ("\x1b[1m\x1b[32mok\x1b[0m", "ok"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]52;c;never closed\nnext", "\nnext"),
            ("10%\r20%\rdone\r\nnext", "done\nnext"),
            ("bell\x07 back\x08 nul\0", "bell back nul"),
            ("\u{9b}31mred", "red"),
            ("abc\u{202e}fed", "abcfed"),
            ("\x1b(Bx\x1b=y", "xy"),
            ("tab\tstays\x1b", "tab\tstays"),
        ] {
            assert_eq!(plain(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_clip_says_that_it_cut() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "lo…");
        assert_eq!(clip("ünïcödé", 6), "ün…");
        assert_eq!(tail("one\ntwo\nthree", 9), "three");
        assert_eq!(tail("one long line", 4), "line");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_is_left(text in any::<String>()) {
            let out = plain(&text);
            prop_assert!(!out.chars().any(is_unwanted), "{out:?}");
            prop_assert!(matches!(plain(&out), Cow::Borrowed(_)));
        }

        #[test]
        fn a_clip_is_within_its_bound(text in any::<String>(), max in 3usize..40) {
            prop_assert!(clip(&text, max).len() <= max);
            prop_assert!(tail(&text, max).len() <= max);
        }
    }
}
