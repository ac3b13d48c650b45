//! Brief files: one, or several in a row.
//!
//! **Invariant:** a file of one brief is that brief, byte for byte. Must not know: lists.

use std::collections::BTreeMap;

use super::{Draft, title_key};
use crate::brief::error::{Faults, Problem};
use crate::brief::{self, Brief};

/// Whether a text starts with front matter.
pub(super) fn is_one(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == "---")
}

/// One brief without front matter.
pub(super) fn whole(name: &str, source: &str, faults: &mut Faults<'_>) -> Vec<Draft> {
    brief::read(source, None, faults).map(|brief| draft(name.to_owned(), brief, 1)).into_iter().collect()
}

/// One or several briefs with front matter.
pub(super) fn read(name: &str, source: &str, faults: &mut Faults<'_>) -> Vec<Draft> {
    let starts = starts(source);
    if starts.len() == 1 {
        return whole(name, source, faults);
    }
    let mut drafts: Vec<Draft> = Vec::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for (n, &(start, line)) in starts.iter().enumerate() {
        let end = starts.get(n + 1).map_or(source.len(), |(next, _)| *next);
        let mut own = Faults::new(faults.file);
        let brief = brief::read(&source[start..end], None, &mut own);
        for error in own.errors {
            faults.at(error.line + line - 1, error.column, error.problem);
        }
        let Some(brief) = brief else { continue };
        let key = format!("{name}:{}", title_key(&brief.title));
        if let Some(&first) = seen.get(&key) {
            faults.at(line, 1, Problem::DuplicateTask { what: format!("a task titled {:?}", brief.title), first });
        }
        seen.entry(key.clone()).or_insert(line);
        drafts.push(draft(key, brief, line));
    }
    drafts
}

fn draft(key: String, brief: Brief, line: u32) -> Draft {
    Draft { key, number: None, brief, done: false, line, lenient: false, left_out: Vec::new() }
}

/// Where briefs start, as byte and line: at the first line, and at every line `---` after a blank
/// one that opens a front matter with a title. Other such lines are rules in the text.
fn starts(source: &str) -> Vec<(usize, u32)> {
    let mut at = 0;
    let lines: Vec<(usize, &str)> = source
        .split_inclusive('\n')
        .map(|line| {
            at += line.len();
            (at - line.len(), line.trim_end())
        })
        .collect();
    let mut starts = vec![(0, 1)];
    let mut fence = crate::brief::markdown::Fence::default();
    let mut skip_to = end_of_front(&lines, 0).map_or(1, |end| end + 1);
    for (n, (offset, line)) in lines.iter().enumerate() {
        if n < skip_to || fence.step(line) || *line != "---" || !lines[n - 1].1.is_empty() {
            continue;
        }
        if let Some(end) = end_of_front(&lines, n) {
            starts.push((*offset, u32::try_from(n + 1).unwrap_or(u32::MAX)));
            skip_to = end + 1;
        }
    }
    starts
}

/// The line that closes the front matter opened at `start`, if it is one with a title.
fn end_of_front(lines: &[(usize, &str)], start: usize) -> Option<usize> {
    let rest = lines.get(start + 1..)?;
    let length = rest.iter().position(|(_, line)| matches!(*line, "---" | "..."))?;
    rest[..length].iter().any(|(_, line)| line.starts_with("title:")).then_some(start + 1 + length)
}
