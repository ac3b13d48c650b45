//! The stand-up for a terminal: a heading for each section, and for each task its claim and its
//! fact on lines of their own.
//!
//! **Invariant:** the words of agents are cleaned and bounded; no line is wider than the terminal.
//! Must not know: what a section means.

use crate::board::text::{Paint, Tone, broken};
use crate::board::when;
use crate::model::id::TaskId;
use crate::model::state::RunKind;
use crate::model::text::{clean, clean_line, width};
use crate::model::time::{Now, Wall};

use super::{
    DID, Entry, NOTHING, Report, but_line, claim_line, facts_line, lasted, queues, said, sections, summary, told,
};

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
    let now = Now { wall: report.until, ..Now::default() };
    let mut out = Out { text: String::new(), columns, paint, now };
    let since = when::short(report.since, report.until, &paint.zone());
    let since = format!("since {since} ({})", lasted(report.since, report.until));
    out.line(&format!("{} {}", paint.paint(Tone::Bold, "stand-up"), paint.paint(Tone::Dim, &since)));
    broken(&summary(report), columns).iter().for_each(|line| out.line(line));
    for banner in &report.banners {
        out.line(&paint.paint(Tone::Warn, &format!("! {}", clean_line(banner))));
    }
    if !report.supervised {
        out.line(&paint.paint(Tone::Warn, "! no supervisor runs: nobody knows what agents are doing now"));
    }
    let told = told(report, &said(report));
    for (heading, entries) in sections(report).into_iter().filter(|(_, entries)| !entries.is_empty()) {
        if heading == DID {
            out.happened(&told);
            continue;
        }
        out.heading(heading);
        for entry in entries {
            match reason(entry, report.until) {
                // What has not begun has neither claim nor fact.
                Some(why) if entry.state.kind == RunKind::None && entry.claim.is_none() => {
                    out.row(entry, &why, Tone::Plain);
                }
                _ => out.entry(heading, entry),
            }
        }
    }
    let queues = queues(report);
    if !queues.is_empty() {
        out.heading("waiting");
        for (why, tasks) in &queues {
            let why = when::told(why, now, &paint.zone());
            out.line(&format!("  {}", queue(&why, tasks, columns - 2)));
        }
    }
    if summary(report).is_empty() && report.did.is_empty() {
        out.line(NOTHING);
    }
    out.text
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
    now: Now,
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

    fn entry(&mut self, heading: &str, entry: &Entry) {
        let by = entry.agent.as_ref().map(|agent| format!("  {}", clean_line(agent.as_str()))).unwrap_or_default();
        let title = clean(&entry.title, self.columns.saturating_sub(INDENT + width(&by)));
        let id = self.paint.paint(Tone::Bold, &format!("{:<4}", entry.task.to_string()));
        let by = self.paint.paint(Tone::Dim, &by);
        self.line(&format!("  {id} {title}{by}"));
        if let Some(why) = reason(entry, self.now.wall) {
            let tone = if matches!(heading, "needs you" | "late" | "blocked") { Tone::Warn } else { Tone::Plain };
            self.words("why", &when::told(&why, self.now, &self.paint.zone()), tone);
        }
        self.claim(entry);
        let facts = facts_line(entry);
        if !facts.is_empty() {
            self.words("fact", &when::told(&facts, self.now, &self.paint.zone()), Tone::Plain);
        }
    }

    /// What its agent says, and where that is not so.
    fn claim(&mut self, entry: &Entry) {
        if let Some(claim) = claim_line(entry, self.now.wall) {
            self.words("claim", &claim, Tone::Plain);
        }
        if let Some(but) = but_line(entry) {
            self.words("but", &but, Tone::Bad);
        }
    }

    /// What happened, and what agents say of it where that is not said elsewhere.
    fn happened(&mut self, told: &[(&Entry, bool)]) {
        if told.is_empty() {
            return;
        }
        self.heading(DID);
        for (entry, claims) in told {
            self.row(entry, &facts_line(entry), Tone::Plain);
            if *claims {
                self.claim(entry);
            }
        }
    }

    /// A task and a few words beside its title.
    fn row(&mut self, entry: &Entry, words: &str, tone: Tone) {
        let title_room = (self.columns / 3).clamp(14, 44);
        let title = clean(&entry.title, title_room);
        let pad = " ".repeat(title_room.saturating_sub(width(&title)));
        let id = self.paint.paint(Tone::Bold, &format!("{:<4}", entry.task.to_string()));
        let beside = INDENT + title_room + 2;
        let words = when::told(words, self.now, &self.paint.zone());
        let lines = self.fitted(&words, self.columns.saturating_sub(beside));
        for (n, line) in lines.iter().enumerate() {
            let line = self.paint.paint(tone, line);
            match n {
                0 => self.line(&format!("  {id} {title}{pad}  {line}")),
                _ => self.line(&format!("{:beside$}{line}", "")),
            }
        }
    }

    /// A label and words, broken between words where they are too long for one line.
    fn words(&mut self, label: &str, words: &str, tone: Tone) {
        for (n, line) in self.fitted(words, self.columns - WORDS).iter().enumerate() {
            let label = self.paint.paint(Tone::Dim, &format!("{:<6}", if n == 0 { label } else { "" }));
            self.line(&format!("{:INDENT$}{label} {}", "", self.paint.paint(tone, line)));
        }
    }

    /// A few lines of at most `room` columns.
    fn fitted(&self, words: &str, room: usize) -> Vec<String> {
        // What an agent wrote on several lines goes on one: a line of its own could pass for ours.
        let joined = words.split_whitespace().collect::<Vec<_>>().join(" ");
        broken(&clean(&joined, room * MOST_LINES), room)
    }
}

/// Why an entry stands where it stands, and for how long.
pub(super) fn reason(entry: &Entry, until: Wall) -> Option<String> {
    let age = entry.since.map(|at| lasted(at, until));
    match (&entry.because, age) {
        (Some(why), Some(age)) => Some(format!("{why} ({age})")),
        (Some(why), None) => Some(why.clone()),
        (None, Some(age)) => Some(format!("for {age}")),
        (None, None) => None,
    }
}
