//! Marks at the end of a title, and `key: value` lines below it.
//!
//! **Invariant:** a bracket that is no mark stays part of the title. Must not know: lists.

use crate::brief::error::{Faults, Problem};
use crate::brief::front::{self, Front};
use crate::brief::yaml::{Spot, Value};
use crate::model::settings::Priority;
use crate::model::text::nearest;

/// The keys of marks.
pub(super) const KEYS: &[&str] =
    &["needs", "after", "agent", "mode", "priority", "touches", "off_limits", "labels", "base", "check_in"];

/// Keys whose values are lists.
const LISTS: &[&str] = &["needs", "touches", "off_limits", "labels"];

/// Keys this short are too near to ordinary words ("note:") to be guessed at.
const GUESSED_FROM: usize = 5;

/// Takes the marks off a title; what is left is the title.
pub(super) fn of_title<'a>(title: &'a str, line: u32, front: &mut Front, faults: &mut Faults<'_>) -> &'a str {
    let mut rest = title.trim();
    loop {
        let Some((before, key, value)) = last_mark(rest) else { return rest };
        match key_of(key) {
            Some(key) => set(front, key, value, line, faults),
            None => match misspelt(key) {
                Some(near) => {
                    let nearest = Some(near.to_owned());
                    faults.at(line, 1, Problem::UnknownKey { key: key.to_owned(), nearest });
                }
                None => return rest,
            },
        }
        rest = before.trim_end();
    }
}

/// Takes the `key: value` lines right below a title; how many there were.
pub(super) fn of_lines(lines: &[(u32, &str)], front: &mut Front, faults: &mut Faults<'_>) -> usize {
    let mut taken = 0;
    for (number, line) in lines {
        let Some((key, value)) = line.trim().split_once(':') else { break };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() || key.contains(char::is_whitespace) {
            break;
        }
        match key_of(key) {
            Some(key) => set(front, key, value, *number, faults),
            None => match misspelt(key) {
                Some(near) => {
                    let nearest = Some(near.to_owned());
                    faults.at(*number, 1, Problem::UnknownKey { key: key.to_owned(), nearest });
                }
                None => break,
            },
        }
        taken += 1;
    }
    taken
}

/// The last mark of a title: what stands before it, its key and its value.
fn last_mark(title: &str) -> Option<(&str, &str, &str)> {
    if let Some(inner) = title.strip_suffix(')') {
        let (before, inside) = inner.rsplit_once('(')?;
        let (key, value) = inside.trim().split_once([' ', ':'])?;
        let is_need = matches!(key.to_ascii_lowercase().as_str(), "after" | "needs");
        return is_need.then(|| (before, "needs", value.trim_start_matches([':', ' '])));
    }
    if let Some(inner) = title.strip_suffix(']') {
        let (before, inside) = split_bracket(inner)?;
        let (key, value) = inside.split_once(':')?;
        return Some((before, key.trim(), value.trim()));
    }
    let (before, word) = title.rsplit_once(char::is_whitespace)?;
    let name = word.strip_prefix('!')?;
    Priority::WORDS.iter().any(|(word, _)| *word == name).then_some((before, "priority", name))
}

/// Splits at the bracket that the end closes: patterns hold brackets of their own.
fn split_bracket(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in inner.char_indices().rev() {
        match c {
            ']' => depth += 1,
            '[' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        }
    }
    None
}

/// The key that a word names: `Agent`, `off-limits`, `after`.
fn key_of(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    match word.as_str() {
        "after" | "need" => Some("needs"),
        "label" => Some("labels"),
        word => KEYS.iter().find(|key| **key == word).copied(),
    }
}

/// The key that was meant by a word one slip away.
fn misspelt(word: &str) -> Option<&'static str> {
    let near = nearest(word, KEYS.iter().copied().filter(|key| key.len() >= GUESSED_FROM))?;
    let same_length = word.chars().count().abs_diff(near.len()) <= 1;
    let shared = word.chars().filter(|c| near.contains(*c)).count();
    // One slip leaves all letters but one.
    (same_length && shared + 1 >= near.len()).then_some(near)
}

fn set(front: &mut Front, key: &str, value: &str, line: u32, faults: &mut Faults<'_>) {
    let spot = |value| Spot { value, line, column: 1 };
    let text = |text: &str| Value::Text(unquoted(text).to_owned());
    let value = if LISTS.contains(&key) {
        let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
        Value::List(split_commas(bare).into_iter().map(|part| spot(text(part))).collect())
    } else {
        text(value)
    };
    front::set(front, key, &spot(value), faults);
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

/// Parts between commas; those inside `{a,b}` belong to a pattern.
fn split_commas(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let split = text.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    });
    split.map(str::trim).filter(|part| !part.is_empty()).collect()
}
