//! The stand-up for a terminal: a heading for each section, and for each task its claim and its
//! fact on lines of their own.
//!
//! **Invariant:** the words of agents are cleaned and bounded; no line is wider than the terminal.
//! Must not know: what a section means.

use crate::board::text::{Paint, Tone};
use crate::model::id::TaskId;
use crate::model::text::{clean, clean_line, width};
use crate::model::time::{Span, Wall};

use super::{Entry, NOTHING, Report, but_line, claim_line, queues, sections};

/// Where the lines of a task begin, and where their words do.
const INDENT: usize = 7;
const WORDS: usize = INDENT + 7;

/// The narrowest terminal that lines are laid out for.
const NARROWEST: usize = 40;

/// The most lines that one claim, fact or reason takes.
const MOST_LINES: usize = 4;

/// Tasks that a queue names before it only counts them.
const QUEUE_SHOWN: usize = 8;

/// `standup report`
#[must_use]
pub fn text(report: &Report, paint: &dyn Paint) -> String {
    let columns = paint.columns().max(NARROWEST);
    let mut out = Out { text: String::new(), columns, paint };
    let span = Span::secs(report.until.since(report.since).as_secs().max(1));
    out.line(&format!("{} {}", paint.paint(Tone::Bold, "stand-up"), paint.paint(Tone::Dim, &since(report, span))));
    for banner in &report.banners {
        out.line(&paint.paint(Tone::Warn, &format!("! {}", clean_line(banner))));
    }
    if !report.supervised {
        out.line(&paint.paint(Tone::Warn, "! no supervisor runs: nobody knows what agents are doing now"));
    }
    let mut empty = true;
    for (heading, entries) in sections(report) {
        if entries.is_empty() {
            continue;
        }
        empty = false;
        out.heading(heading);
        entries.iter().for_each(|entry| out.entry(heading, entry, report.until));
    }
    let queues = queues(report);
    if !queues.is_empty() {
        empty = false;
        out.heading("waiting");
        queues.iter().for_each(|(why, tasks)| out.line(&format!("  {}", queue(why, tasks, columns - 2))));
    }
    if empty {
        out.line(NOTHING);
    }
    out.text
}

fn since(report: &Report, span: Span) -> String {
    let minutes = |at: Wall| at.to_string().get(..16).unwrap_or_default().replace('T', " ");
    format!("since {} UTC ({span})", minutes(report.since))
}

fn queue(why: &str, tasks: &[TaskId], columns: usize) -> String {
    let named: Vec<String> = tasks.iter().take(QUEUE_SHOWN).map(ToString::to_string).collect();
    let more = tasks.len().saturating_sub(QUEUE_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    clean(&format!("{}{more}: {}", named.join(" "), why), columns)
}

struct Out<'a> {
    text: String,
    columns: usize,
    paint: &'a dyn Paint,
}

impl Out<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        let tone = match heading {
            "needs you" | "late" | "blocked" => Tone::Warn,
            "ready" | "done" => Tone::Good,
            _ => Tone::Bold,
        };
        let heading = self.paint.paint(tone, heading);
        self.text.push('\n');
        self.line(&heading);
    }

    fn entry(&mut self, heading: &str, entry: &Entry, until: Wall) {
        let by = entry.agent.as_ref().map(|agent| format!("  {}", clean_line(agent.as_str()))).unwrap_or_default();
        let title = clean(&entry.title, self.columns.saturating_sub(INDENT + width(&by)));
        let id = self.paint.paint(Tone::Bold, &format!("{:<4}", entry.task.to_string()));
        let by = self.paint.paint(Tone::Dim, &by);
        self.line(&format!("  {id} {title}{by}"));
        if let Some(why) = reason(entry, until) {
            let tone = if matches!(heading, "needs you" | "late" | "blocked") { Tone::Warn } else { Tone::Plain };
            self.words("why", &why, tone);
        }
        if let Some(claim) = claim_line(entry, until) {
            self.words("claim", &claim, Tone::Plain);
        }
        if let Some(but) = but_line(entry) {
            self.words("but", &but, Tone::Bad);
        }
        if !entry.facts.is_empty() {
            self.words("fact", &entry.facts.join(" · "), Tone::Plain);
        }
    }

    /// A label and words, broken between words where they are too long for one line.
    fn words(&mut self, label: &str, words: &str, tone: Tone) {
        let room = self.columns - WORDS;
        // What an agent wrote on several lines goes on one: a line of its own could pass for ours.
        let joined = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let whole = clean(&joined, room * MOST_LINES);
        for (n, line) in broken(&whole, room).iter().enumerate() {
            let label = self.paint.paint(Tone::Dim, &format!("{:<6}", if n == 0 { label } else { "" }));
            self.line(&format!("{:INDENT$}{label} {}", "", self.paint.paint(tone, line)));
        }
    }
}

/// Why an entry stands where it stands, and for how long.
pub(super) fn reason(entry: &Entry, until: Wall) -> Option<String> {
    let age = entry.since.map(|at| Span::secs(until.since(at).as_secs().max(1)));
    match (&entry.because, age) {
        (Some(why), Some(age)) => Some(format!("{why} ({age})")),
        (Some(why), None) => Some(why.clone()),
        (None, Some(age)) => Some(format!("for {age}")),
        (None, None) => None,
    }
}

/// Lines of at most `room` columns; a word that is wider is cut.
fn broken(text: &str, room: usize) -> Vec<String> {
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
