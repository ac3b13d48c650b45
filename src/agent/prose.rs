//! Questions in prose: a turn that ends with one is not over for the person who is asked.
//!
//! What counts is the close of a message. A question there may be followed by its options, by
//! what the agent leans towards, by a word that an answer is wanted; anything else after it means
//! that the agent has answered it itself.
//!
//! **Invariant:** nothing inside a block of code asks. Must not know: who says it.

use super::plain;

/// The most characters of a question that are kept.
const KEPT: usize = 500;
/// How many lines from the end are looked at: options may be many, a report is longer.
const LOOKED_AT: usize = 24;
/// A word after a question is short; a longer one is an answer.
const WORD_MAX: usize = 160;

/// What a sentence after a question speaks of that still leaves the question open.
const OPEN: [&str; 16] = [
    "let me know",
    "tell me",
    "please",
    "i lean",
    "i'd ",
    "i would",
    "i suggest",
    "i recommend",
    "i prefer",
    "i can ",
    "i'll wait",
    "waiting for",
    "your call",
    "your choice",
    "otherwise",
    "reply with",
];

/// Words by which a question speaks to the reader, asked of those above a list: a list may also
/// be the answer to a heading that asks.
const ADDRESSING: [&str; 12] =
    ["you", "your", "i", "we", "should", "shall", "which", "or", "prefer", "want", "would", "may"];

/// The line with which a message asks something at its close, if it does; one line of at most 500
/// characters.
#[must_use]
pub fn question(message: &str) -> Option<String> {
    let lines = outside_code(message);
    let mut below_list = false;
    for line in lines.iter().rev().filter(|line| !line.is_empty()).take(LOOKED_AT) {
        let (item, text) = unlisted(line);
        if item && !asks(text) {
            below_list = true;
            continue;
        }
        let heading = line.starts_with('#') || (line.starts_with("**") && line.ends_with("**") && below_list);
        for sentence in sentences(text).into_iter().rev() {
            if asks(sentence) {
                let meant = !below_list || (!heading && addresses(sentence));
                return meant.then(|| plain::line(line, KEPT));
            }
            if !leaves_open(sentence) {
                return None;
            }
        }
    }
    None
}

/// The lines that lie in no fenced block, trimmed.
fn outside_code(message: &str) -> Vec<&str> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in message.lines().map(str::trim) {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => lines.push(line),
            (Some(_), _) => {}
        }
    }
    lines
}

/// Whether a line is an item of a list, and what stands in it.
fn unlisted(line: &str) -> (bool, &str) {
    if let Some(rest) = ["- ", "* ", "• ", "+ "].into_iter().find_map(|mark| line.strip_prefix(mark)) {
        return (true, rest);
    }
    let bare = line.trim_start_matches(['(', '*']);
    let number = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let letter = bare.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let rest = if number.len() < bare.len() { number } else { letter };
    let marked = bare.len() - rest.len();
    let short = marked > 0 && marked <= 2;
    match rest.strip_prefix(['.', ')']).and_then(|rest| rest.trim_start_matches('*').strip_prefix(' ')) {
        Some(text) if short => (true, text.trim_start()),
        _ => (false, line),
    }
}

/// The sentences of a line; what stands in parentheses behind a question is one of its own.
fn sentences(line: &str) -> Vec<&str> {
    let mut cuts = Vec::new();
    let mut from = 0;
    let mut ended = false;
    for (at, c) in line.char_indices() {
        if ended && c.is_whitespace() {
            cuts.push(line[from..at].trim());
            from = at;
        }
        ended = match c {
            '.' | '!' | '?' | '？' | '。' => true,
            c if CLOSING.contains(&c) => ended,
            _ => false,
        };
    }
    cuts.push(line[from..].trim());
    cuts.retain(|sentence| !sentence.is_empty());
    cuts
}

/// What may close a sentence after its mark.
const CLOSING: [char; 9] = ['*', '_', '`', '"', '\'', ')', ']', '”', '’'];

fn asks(sentence: &str) -> bool {
    let bare = sentence.trim_end_matches(|c: char| c == ' ' || CLOSING.contains(&c));
    bare.ends_with('?') || bare.ends_with('？')
}

fn leaves_open(sentence: &str) -> bool {
    let low = sentence.to_lowercase().replace('’', "'");
    let aside = low.starts_with('(') && low.ends_with(')');
    low.chars().count() <= WORD_MAX && (aside || OPEN.iter().any(|word| low.contains(word)))
}

fn addresses(sentence: &str) -> bool {
    let low = sentence.to_lowercase();
    low.split(|c: char| !c.is_alphanumeric()).any(|word| ADDRESSING.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_of_a_message_may_ask() {
        for asking in [
            "Should I use tabs?",
            "Should I use **tabs or spaces?**",
            "Which unit should it print, kilometres or miles?\n\n1. Kilometres\n2. Miles\n\nLet me know which.",
            "Which unit should it print, kilometres or miles?\n\n- **Kilometres**: as the tests do\n- Miles",
            "Tabs or spaces? (I lean towards tabs.)",
            "Which unit should it be? Tell me.",
            "Which one do you want? I'd take the first. Please confirm.",
            "I looked at both.\n\nDo you want me to go on with `foo()`?\n\n```rust\nfn foo() {}\n```",
            "a) Kilometres?\nb) Miles?",
            "Ich habe zwei Wege gefunden. Welchen soll ich nehmen?",
            "どちらにしますか？",
        ] {
            assert!(question(asking).is_some(), "{asking:?}");
        }
    }

    #[test]
    fn a_question_that_the_agent_answers_itself_asks_nobody() {
        for closed in [
            "",
            "Done.",
            "Why did it fail? The parser ate the newline.",
            "Why did it fail?\n\nThe parser ate the newline. It is mended, and the test is green.",
            "## What changed?\n\n- the parser\n- its test",
            "**What changed?**\n\n- the parser\n- its test",
            "What changed?\n- the parser",
            "It matches `a?`.\n\n```\nreally?\n```",
            "Shall I use tabs? I took tabs, as the rest of the file does.",
            "I asked myself: which unit? Kilometres fit the tests. Please see the diff.",
        ] {
            assert_eq!(question(closed), None, "{closed:?}");
        }
    }

    #[test]
    fn the_line_that_asks_is_what_is_told() {
        let message = "I read it.\n\nTabs or spaces? (I lean towards tabs.)\n\nPlease choose.";
        assert_eq!(question(message).as_deref(), Some("Tabs or spaces? (I lean towards tabs.)"));
    }
}
