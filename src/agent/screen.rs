//! What a screen shows: dialogs that hold it, and lines that explain.
//!
//! A rule matches a dialog where it stands: at the bottom of the screen, its lines in order above.
//! An agent that prints the same words (a source file, a test, this very file) prints them above
//! its composer, and so says nothing. **Invariant:** a screen is evidence of *waiting* and of
//! nothing else; [`Hint`]s are words, not states. Must not know: how old a screen is.

use crate::model::state::Ask;

use super::adapter::{Adapter, HintSays, ScreenRule};
use super::plain;

/// How many lines above the bottom a dialog may reach. The tallest recorded one has 14.
const REACH: usize = 40;

/// The most options that are listed.
const MAX_OPTIONS: usize = 12;

/// The longest line that is kept, in characters.
const MAX_LINE: usize = 300;

/// The most lines that a wrapped one goes on for.
const MAX_WRAPPED: usize = 3;

/// What the CLIs put before a line of their own.
const MARKS: [char; 13] = ['●', '■', '⎿', '✻', '•', '◦', '❯', '›', '─', '└', '✔', '✗', '⏵'];

/// A dialog that holds the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The rule that saw it.
    pub rule: String,
    /// What is asked.
    pub ask: Ask,
    /// Whether it asks leave to carry out a plan.
    pub plan: bool,
    /// The question.
    pub question: String,
    /// What it is about: the lines between the dialog's head and its options.
    pub detail: Vec<String>,
    /// What may be answered, in order.
    pub options: Vec<Choice>,
}

/// One answer of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its number, where it has one.
    pub number: Option<u32>,
    /// Its text.
    pub text: String,
    /// Whether Enter takes it.
    pub selected: bool,
}

impl Prompt {
    /// The question with what it is about, as one line.
    #[must_use]
    pub fn text(&self) -> String {
        let about = self.detail.join(" · ");
        let joined = if about.is_empty() { self.question.clone() } else { format!("{} ({about})", self.question) };
        plain::line(&joined, plain::MAX)
    }
}

/// A line that explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What it explains.
    pub says: HintSays,
    /// The line.
    pub text: String,
}

/// What of a screen stands still while nothing happens: the same text twice says that nothing did.
#[must_use]
pub fn still(adapter: &Adapter, screen: &str) -> String {
    let mut out = String::new();
    for line in screen.lines().map(|l| plain::line(l, MAX_LINE)).filter(|l| !l.is_empty()) {
        match adapter.spin.iter().find(|rule| plain::any(&rule.any, &line)) {
            Some(rule) => {
                let word = rule.keep.as_deref().unwrap_or_default();
                let kept = line.split(['(', ')', '·', '•']).filter(|piece| !word.is_empty() && piece.contains(word));
                kept.for_each(|piece| out.push_str(piece.trim()));
            }
            // The mark of what runs blinks.
            None => out.push_str(line.trim_start_matches(|c| MARKS.contains(&c) || c == ' ')),
        }
        out.push('\n');
    }
    out
}

/// A line without what counts time in it: `retrying in 2s`, `(4s • esc to interrupt)`.
fn timeless(line: &str) -> String {
    let is_span = |word: &str| {
        let word = word.trim_end_matches([',', ')']);
        word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(['s', 'm', 'h'])
    };
    let bare = line.split_once(" (").filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    let words: Vec<&str> = bare.map_or(line, |(before, _)| before).split(' ').collect();
    let counts = |n: usize| is_span(words[n]) || (words[n] == "in" && words.get(n + 1).is_some_and(|w| is_span(w)));
    (0..words.len()).filter(|&n| !counts(n)).map(|n| words[n]).collect::<Vec<_>>().join(" ")
}

/// What a screen shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The dialog that holds it.
    pub prompt: Option<Prompt>,
    /// The lowest line that explains.
    pub hint: Option<Hint>,
}

/// Reads a screen of plain text, one row a line.
#[must_use]
pub fn read(adapter: &Adapter, screen: &str) -> Reading {
    let lines: Vec<String> = screen.lines().map(|l| plain::line(l, MAX_LINE)).filter(|l| !l.is_empty()).collect();
    let near = &lines[lines.len().saturating_sub(REACH)..];
    let prompt = adapter.screen.iter().find_map(|rule| dialog(rule, near));
    Reading { prompt, hint: hint(adapter, near) }
}

fn hint(adapter: &Adapter, lines: &[String]) -> Option<Hint> {
    (0..lines.len()).rev().find_map(|i| {
        let rule = adapter.hint.iter().find(|rule| plain::any(&rule.any, &lines[i]))?;
        // A long line is wrapped; what follows up to the next mark is the rest of it.
        let rest = lines[i + 1..].iter().take(MAX_WRAPPED).take_while(|line| !line.starts_with(MARKS));
        let whole = std::iter::once(&lines[i]).chain(rest).map(String::as_str).collect::<Vec<_>>().join(" ");
        let text = whole.trim_start_matches(|c| MARKS.contains(&c) || c == ' ').to_owned();
        let text = if rule.says == HintSays::Retrying { timeless(&text) } else { text };
        Some(Hint { says: rule.says, text })
    })
}

fn dialog(rule: &ScreenRule, lines: &[String]) -> Option<Prompt> {
    let (bottom, above) = lines.split_last()?;
    if !plain::any(&rule.bottom, bottom) {
        return None;
    }
    // A rule whose last line is an option may end in the very line that is the bottom.
    let found = locate(&rule.lines, above).or_else(|| locate(&rule.lines, lines))?;
    let question = found[rule.question];
    let opens = rule.opens.as_ref().and_then(|p| (0..=question).rev().find(|&i| plain::matches(p, &lines[i])));
    if rule.opens.is_some() && opens.is_none() {
        return None;
    }
    let first =
        opens.map_or(question, |i| if rule.opens.as_deref().is_some_and(|p| p.starts_with('─')) { i + 1 } else { i });
    let end = lines.len() - 1;
    let start = (question..=end).find(|&i| choice(&lines[i]).is_some() || unmark(&lines[i]).1).unwrap_or(end);
    let about = |line: &&String| !plain::any(&rule.skip, line) && !line.chars().all(|c| "─╌━═-".contains(c));
    let detail = (first..start).filter(|&i| i != question).map(|i| &lines[i]).filter(about).cloned().collect();
    let options = options(&lines[start..=end], &rule.bottom);
    let question = lines[question].clone();
    Some(Prompt { rule: rule.name.clone(), ask: rule.ask, plan: rule.plan, question, detail, options })
}

/// Where the patterns stand, in order, the last one as low as possible and each other right above.
fn locate(patterns: &[String], lines: &[String]) -> Option<Vec<usize>> {
    let mut found = Vec::with_capacity(patterns.len());
    let mut below = lines.len();
    for pattern in patterns.iter().rev() {
        below = (0..below).rev().find(|&i| plain::matches(pattern, &lines[i]))?;
        found.push(below);
    }
    found.reverse();
    Some(found)
}

fn options(lines: &[String], bottom: &[String]) -> Vec<Choice> {
    let mut options: Vec<Choice> = lines.iter().filter_map(|line| choice(line)).collect();
    if options.is_empty() {
        // A menu without numbers: the marked line and its neighbours.
        options = lines
            .iter()
            .filter(|line| !plain::any(bottom, line))
            .map(|line| Choice { number: None, text: unmark(line).0.to_owned(), selected: unmark(line).1 })
            .collect();
    }
    options.truncate(MAX_OPTIONS);
    options
}

/// The line without the mark of the selected option, and whether it had one.
fn unmark(line: &str) -> (&str, bool) {
    let bare = line.trim_start_matches(['❯', '›', '>']);
    (bare.trim_start(), bare.len() != line.len())
}

/// An option with its number: `1. Yes`.
fn choice(line: &str) -> Option<Choice> {
    let (text, selected) = unmark(line);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text[digits..].strip_prefix(". ");
    match rest {
        Some(rest) if digits > 0 && digits <= 2 => {
            Some(Choice { number: text[..digits].parse().ok(), text: rest.to_owned(), selected })
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
