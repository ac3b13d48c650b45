//! Foreign text made fit to be stored and compared, and the patterns that are laid over it.
//!
//! **Invariant:** what leaves here is one line without control or direction characters, and bounded.
//! Must not know: whose text it is.

/// The most characters of a foreign text that are kept.
pub const MAX: usize = 2_000;

/// One line of plain text: control and direction characters out, runs of blanks as one, trimmed,
/// at most `max` characters.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut kept = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word: String = word.chars().filter(|c| !steers(*c)).collect();
        if word.is_empty() {
            continue;
        }
        let gap = usize::from(kept > 0);
        let room = max.saturating_sub(kept + gap);
        if room == 0 {
            break;
        }
        if gap == 1 {
            out.push(' ');
        }
        let before = out.len();
        out.extend(word.chars().take(room));
        kept += gap + out[before..].chars().count();
    }
    out
}

/// Characters that change how their neighbours are shown, or that show as nothing.
fn steers(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether `pattern`, in which `*` stands for anything, matches all of `text`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether one of `patterns` matches all of `text`.
#[must_use]
pub fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|p| matches(p, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, want) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*b*", "abc", true),
            ("ab*ba", "aba", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*ab*b", "abab", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} over {text}");
        }
    }

    #[test]
    fn foreign_text_is_one_bounded_line() {
        assert_eq!(line(" a\x1b[2J\n\tb\u{202e}c  ", 100), "a [2J bc");
        assert_eq!(line("äöü äöü", 5), "äöü ä");
        assert_eq!(line("abc d", 4), "abc");
        assert_eq!(line("\u{200b}", 5), "");
    }
}
