//! The output of `gh issue list --json number,title,body,labels`.
//!
//! **Invariant:** an issue keeps its number as its identity, whatever file it came in; what it says
//! is a stranger's, and no command. Must not know: lists of text.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Draft, list};
use crate::brief::error::{Faults, Problem};
use crate::brief::front::Front;

#[derive(Deserialize)]
struct Issue {
    number: u32,
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Full { name: String },
    Name(String),
}

/// What introduces the issues that must be done before, at the start of a line of the body.
const BLOCKERS: &[&str] = &["blocked by", "depends on", "needs", "after"];

/// Whether a text is JSON: a list of objects or one object.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let inner = text.strip_prefix('[').map(str::trim_start);
    text.starts_with('{') || inner.is_some_and(|inner| inner.starts_with(['{', ']']))
}

pub(super) fn read(text: &str, faults: &mut Faults<'_>) -> Vec<Draft> {
    let one = text.trim_start().starts_with('{');
    let parsed = if one { serde_json::from_str(text).map(|issue| vec![issue]) } else { serde_json::from_str(text) };
    let issues: Vec<Issue> = match parsed {
        Ok(issues) => issues,
        Err(error) => {
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
            let told = error.to_string();
            let told = told.split(" at line ").next().unwrap_or_default().to_owned();
            faults.at(number(error.line()), number(error.column()), Problem::Json { text: told });
            return Vec::new();
        }
    };
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    let mut drafts = Vec::with_capacity(issues.len());
    for (issue, line) in issues.into_iter().zip(1..) {
        if let Some(&first) = seen.get(&issue.number) {
            faults.at(line, 1, Problem::DuplicateTask { what: format!("issue #{}", issue.number), first });
        }
        seen.entry(issue.number).or_insert(line);
        drafts.extend(draft(issue, line, faults));
    }
    drafts
}

fn draft(issue: Issue, line: u32, faults: &mut Faults<'_>) -> Option<Draft> {
    let title = issue.title.trim();
    if title.is_empty() {
        faults.at(line, 1, Problem::NoTaskTitle);
        return None;
    }
    let body = issue.body.unwrap_or_default();
    if let Some(offset) = body.find('\0').or_else(|| title.find('\0')) {
        faults.at(line, 1, Problem::Nul { offset });
        return None;
    }
    let name = |label: Label| match label {
        Label::Full { name } | Label::Name(name) => name,
    };
    let labels = issue.labels.into_iter().map(name).collect();
    let front = Front { labels, needs: blockers(&body), ..Front::default() };
    // Places inside an issue say nothing to the person: its mistakes stand at the issue.
    let mut own = Faults::new(faults.file);
    let mut brief = list::brief_of(title, body.trim_matches(['\r', '\n']), front, 1, &mut own);
    // Whoever imports an issue has seen neither its comments nor, perhaps, its text.
    let left_out = std::mem::take(&mut brief.verification);
    for error in own.errors.into_iter().filter(|error| !matches!(error.problem, Problem::EmptyCheck)) {
        faults.at(line, 1, error.problem);
    }
    let left_out = left_out.into_iter().filter(|block| !block.run.trim().is_empty()).collect();
    let done = issue.state.is_some_and(|state| state.eq_ignore_ascii_case("closed"));
    let (key, number) = (format!("#{}", issue.number), Some(issue.number));
    Some(Draft { key, number, brief, done, line, lenient: true, left_out })
}

/// The issues named on lines like `Blocked by #3, #4`.
fn blockers(body: &str) -> Vec<String> {
    let mut needs = Vec::new();
    for line in body.lines() {
        let line = line.trim().trim_start_matches(['-', '*', ' ']).to_lowercase();
        let Some(rest) = BLOCKERS.iter().find_map(|word| line.strip_prefix(word)) else { continue };
        let mut words = rest.trim_start_matches([':', ' ']).split([',', ' ', '.']).filter(|word| !word.is_empty());
        // A sentence that merely starts so names no number first.
        let numbers = words.by_ref().map_while(|word| match word {
            "and" | "&" => Some(None),
            word => {
                let digits = word.strip_prefix('#')?;
                digits.parse::<u32>().ok().map(|number| Some(format!("#{number}")))
            }
        });
        needs.extend(numbers.flatten());
    }
    needs
}
