//! Lines of a page: rows that fit, headings, hints.
//!
//! **Invariant:** no row is wider than the page. Must not know: what a row is about.

use super::{NARROWEST, Paint, Tone};
use crate::board::doc;
use crate::model::text::{clean, clean_line, width};

/// Lines of text, with what stands out set off.
pub(super) struct Lines<'a> {
    pub(super) text: String,
    pub(super) paint: &'a dyn Paint,
}

impl<'a> Lines<'a> {
    pub(super) fn new(paint: &'a dyn Paint) -> Self {
        Self { text: String::new(), paint }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str, tone: Tone) {
        self.blank();
        let text = self.paint.paint(tone, text);
        self.line(&text);
    }

    pub(super) fn note(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    pub(super) fn hint(&mut self, command: &str) {
        let hint = self.paint.paint(Tone::Dim, "hint:");
        self.line(&format!("  {hint} {}", clean_line(command)));
    }

    /// `  T3  Fix the pager           claude  …`, its parts as far as they fit
    pub(super) fn row(&mut self, task: &doc::Task, parts: &[Part]) {
        let columns = self.paint.columns().max(NARROWEST);
        let room = (columns / 3).clamp(14, 44);
        let title = clean(&task.title, room);
        let pad = " ".repeat(room.saturating_sub(width(&title)));
        let agent = task.agent.as_ref().map(|a| clean(a.as_str(), 8)).unwrap_or_default();
        let id = format!("{:<4}", task.id.to_string());
        // Two blanks, id, blank, title, two blanks, agent, two blanks.
        let left = columns.saturating_sub(2 + width(&id) + 1 + room + 2 + 8 + 2);
        let said = fitted(parts, left, self.paint);
        let agent = self.paint.paint(Tone::Dim, &format!("{agent:<8}"));
        self.line(&format!("  {} {title}{pad}  {agent}  {said}", self.paint.paint(Tone::Bold, &id)));
    }
}

/// The parts that fit into a line, whole; the first is cut if it must be.
pub(super) fn fitted(parts: &[Part], columns: usize, paint: &dyn Paint) -> String {
    let (mut line, mut left) = (String::new(), columns);
    for (n, part) in parts.iter().enumerate() {
        let text = if n == 0 { clean(&part.text, left) } else { format!(" · {}", part.text) };
        let Some(rest) = left.checked_sub(width(&text)) else { break };
        left = rest;
        line.push_str(if n == 0 { "" } else { " · " });
        line.push_str(&paint.paint(part.tone, text.strip_prefix(" · ").unwrap_or(&text)));
    }
    line
}

/// A piece of a line in one tone; its text is clean.
pub(super) struct Part {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Part {
    pub(super) fn new(tone: Tone, text: String) -> Self {
        Self { tone, text }
    }

    pub(super) fn painted(&self, paint: &dyn Paint) -> String {
        paint.paint(self.tone, &self.text)
    }
}

/// Lines of at most `room` columns, broken between words; a word that is wider is cut.
#[must_use]
pub fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let last = lines.last_mut().expect("there is always one");
        let gap = usize::from(!last.is_empty());
        if width(last) + gap + width(word) > room && !last.is_empty() {
            lines.push(clean(word, room));
        } else {
            last.push_str(if gap == 1 { " " } else { "" });
            last.push_str(&clean(word, room));
        }
    }
    lines
}
