//! The sections of a brief, its criteria and its checks.
//!
//! **Invariant:** every line of the body is in exactly one section. Must not know: front matter.

use std::collections::BTreeMap;

use super::error::{Faults, Problem};
use crate::model::name::CheckName;

use super::markdown::{self, fence_info, heading, is_indented, item};

/// The deepest heading at which the known sections are seen: in a list of tasks a brief hangs
/// below the task's own heading.
const DEEPEST: usize = 4;

/// Which section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// What stands before the first heading.
    Preface,
    /// What is different afterwards.
    Outcome,
    /// What one must know.
    Context,
    /// What must stay.
    Constraints,
    /// What is not asked for.
    NonGoals,
    /// What must be true in the end.
    AcceptanceCriteria,
    /// What others must know.
    IntegrationNotes,
    /// How it is shown.
    Verification,
    /// A heading of the person's own.
    Other,
}

impl SectionKind {
    /// The section that a heading names; `Other` for any heading of the person's own.
    #[must_use]
    pub fn of_heading(text: &str) -> Self {
        let letters: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
        match letters.as_str() {
            "outcome" | "outcomes" | "goal" => Self::Outcome,
            "context" | "background" => Self::Context,
            "constraints" => Self::Constraints,
            "nongoals" => Self::NonGoals,
            "acceptancecriteria" => Self::AcceptanceCriteria,
            "integrationnotes" => Self::IntegrationNotes,
            "verification" => Self::Verification,
            _ => Self::Other,
        }
    }
}

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Which.
    pub kind: SectionKind,
    /// Its heading; empty for the preface.
    pub heading: String,
    /// The line of its heading, or of its first line.
    pub line: u32,
    /// What stands below the heading.
    pub body: String,
}

/// Something that must be true in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// Its number, by which a check-in says that it is met.
    pub n: u32,
    /// What, without the mark that names its check.
    pub text: String,
    /// The check that shows it, where the brief names one.
    pub check: Option<CheckName>,
    /// Whether the file already ticks it.
    pub done_mark: bool,
    /// Its line.
    pub line: u32,
}

/// A check that the brief brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyBlock {
    /// A shell script.
    pub run: String,
    /// The line of its fence.
    pub line: u32,
}

/// What the names of a brief's own checks begin with; their place in the brief follows, from 1.
pub(super) const OWN_CHECK: &str = "brief-";

/// The name of the check of the n-th fenced block, from 1.
#[must_use]
pub fn own_check(n: usize) -> CheckName {
    CheckName::new(format!("{OWN_CHECK}{n}")).expect("letters, a dash and digits")
}

/// The first top heading, for a brief that names its title in no other way.
pub(super) fn first_heading(body: &str) -> Option<String> {
    let open = markdown::lines(body, 1).into_iter().filter(|line| !line.fenced);
    open.filter_map(|line| heading(line.text)).find(|(level, _)| *level == 1).map(|(_, text)| text.to_owned())
}

/// Cuts a body at its second-level headings, and at those of known sections down to the fourth.
pub(super) fn split(body: &str, first_line: u32) -> Vec<Section> {
    let preface = Section { kind: SectionKind::Preface, heading: String::new(), line: first_line, body: String::new() };
    let mut sections = vec![preface];
    for line in markdown::lines(body, first_line) {
        let found = heading(line.text).filter(|_| !line.fenced).and_then(|(level, text)| {
            let kind = SectionKind::of_heading(text);
            let starts = level == 2 || (2..=DEEPEST).contains(&level) && kind != SectionKind::Other;
            starts.then(|| Section { kind, heading: text.to_owned(), line: line.number, body: String::new() })
        });
        match found {
            Some(section) => sections.push(section),
            None => {
                let section = sections.last_mut().expect("the preface is always there");
                section.body.push_str(line.text);
                section.body.push('\n');
            }
        }
    }
    if sections[0].body.trim().is_empty() {
        sections.remove(0);
    }
    sections
}

impl Section {
    /// Its lines, with their numbers in the file.
    pub(super) fn lines(&self) -> Vec<markdown::Line<'_>> {
        let first = if self.kind == SectionKind::Preface { self.line } else { self.line + 1 };
        markdown::lines(&self.body, first)
    }
}

/// The items of the acceptance criteria: `- [ ] #1 text`. One without a number gets the next free.
pub(super) fn criteria(sections: &[Section], faults: &mut Faults<'_>) -> Vec<Criterion> {
    let mut found: Vec<(Option<u32>, Criterion)> = Vec::new();
    for section in sections.iter().filter(|section| section.kind == SectionKind::AcceptanceCriteria) {
        for line in section.lines() {
            let top = item(line.text).filter(|_| !line.fenced && !deeply_indented(line.text));
            if let Some(item) = top {
                let (number, text) = numbered(item.text);
                let done_mark = item.done == Some(true);
                let text = text.to_owned();
                found.push((
                    number.or(item.number),
                    Criterion { n: 0, text, check: None, done_mark, line: line.number },
                ));
            } else if let Some((_, last)) = found.last_mut()
                && (is_indented(line.text) || line.fenced)
            {
                last.text.push('\n');
                last.text.push_str(line.text.trim());
            }
        }
    }
    number_them(found, faults)
}

/// One blank is a slip; two (or a tab) make an item below an item.
fn deeply_indented(line: &str) -> bool {
    line.starts_with('\t') || line.starts_with("  ")
}

/// `#3 text`
fn numbered(text: &str) -> (Option<u32>, &str) {
    let split = text.strip_prefix('#').and_then(|rest| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start_matches([':', '.', ')']);
        (after.is_empty() || after.starts_with(char::is_whitespace)).then(|| (number, after.trim()))
    });
    split.map_or((None, text), |(number, text)| (Some(number), text))
}

fn number_them(found: Vec<(Option<u32>, Criterion)>, faults: &mut Faults<'_>) -> Vec<Criterion> {
    let mut lines: BTreeMap<u32, u32> = BTreeMap::new();
    for (number, criterion) in &found {
        let Some(n) = *number else { continue };
        if let Some(&first) = lines.get(&n) {
            faults.at(criterion.line, 1, Problem::DuplicateCriterion { n, first });
        }
        lines.entry(n).or_insert(criterion.line);
    }
    let mut next = 1;
    let mut number = |given: Option<u32>| {
        given.unwrap_or_else(|| {
            while lines.contains_key(&next) {
                next += 1;
            }
            next += 1;
            next - 1
        })
    };
    let whole = |(given, criterion): (Option<u32>, Criterion)| {
        let (text, check) = match named_check(&criterion.text) {
            Some((text, check)) => (text.to_owned(), Some(check)),
            None => (criterion.text, None),
        };
        Criterion { n: number(given), text, check, ..criterion }
    };
    found.into_iter().map(whole).collect()
}

/// `text (check: name)`: what is in brackets but no name of a check stays text.
fn named_check(text: &str) -> Option<(&str, CheckName)> {
    let marked = text.trim_end().trim_end_matches('.').strip_suffix(')')?;
    let (before, inside) = marked.rsplit_once('(')?;
    let (key, name) = inside.split_once(':')?;
    let name = CheckName::new(name.trim().trim_matches('`')).ok()?;
    key.trim().eq_ignore_ascii_case("check").then(|| (before.trim_end(), name))
}

/// Fenced blocks whose info string holds the word `verify`.
pub(super) fn verify_blocks(sections: &[Section], faults: &mut Faults<'_>) -> Vec<VerifyBlock> {
    let mut blocks = Vec::new();
    for section in sections {
        let lines = section.lines();
        let mut at = 0;
        while at < lines.len() {
            let start = at;
            at += 1;
            if !lines[start].fenced {
                continue;
            }
            let mut fence = markdown::Fence::default();
            fence.step(lines[start].text);
            while at < lines.len() && !closes(&mut fence, lines[at].text) {
                at += 1;
            }
            let inside: Vec<&str> = lines[start + 1..at.min(lines.len())].iter().map(|line| line.text).collect();
            at += 1;
            let info = fence_info(lines[start].text).unwrap_or_default();
            if !info.split_whitespace().any(|word| word == "verify") {
                continue;
            }
            let (run, line) = (markdown::dedent(&inside), lines[start].number);
            if run.trim().is_empty() {
                faults.at(line, 1, Problem::EmptyCheck);
            }
            blocks.push(VerifyBlock { run, line });
        }
    }
    blocks
}

/// Whether a line ends the open block.
fn closes(fence: &mut markdown::Fence, line: &str) -> bool {
    fence.step(line);
    fence.is_closed()
}
