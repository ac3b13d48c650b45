//! Numbered text, Markdown lists and headings as tasks.
//!
//! **Invariant:** each line after the first task belongs to a task, is a heading over tasks, a rule
//! or blank; any other is an error. Must not know: needs.

use std::collections::BTreeMap;

use super::{Draft, STDIN, marks, title_key};
use crate::brief::error::{Faults, Problem};
use crate::brief::front::Front;
use crate::brief::markdown::{self, Line, heading, is_indented, is_rule, item};
use crate::brief::{Brief, SectionKind, assemble};

/// What starts a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `1. title`
    Numbers,
    /// `- title`
    Bullets,
    /// A heading of this level.
    Headings(usize),
}

/// A task as it stands in the file.
struct Raw<'a> {
    line: u32,
    number: Option<u32>,
    done: bool,
    title: &'a str,
    body: Vec<(u32, &'a str)>,
}

pub(super) fn read(name: &str, text: &str, faults: &mut Faults<'_>) -> Vec<Draft> {
    let lines = markdown::lines(text, 1);
    let Some(form) = form(&lines) else {
        faults.at(1, 1, Problem::NoTasks);
        return Vec::new();
    };
    let raws = match form {
        Form::Headings(level) => by_headings(&lines, level),
        form => by_items(&lines, form, faults),
    };
    let mut seen = BTreeMap::new();
    let mut drafts = Vec::with_capacity(raws.len());
    for (place, raw) in raws.into_iter().enumerate() {
        let Some(draft) = draft(name, place, raw, faults) else { continue };
        match seen.get(&draft.key) {
            Some(&first) => {
                let what = match draft.number.filter(|_| form == Form::Numbers && name != STDIN) {
                    Some(number) => format!("task {number}"),
                    None => format!("a task titled {:?}", draft.brief.title),
                };
                faults.at(draft.line, 1, Problem::DuplicateTask { what, first });
            }
            None => {
                seen.insert(draft.key.clone(), draft.line);
            }
        }
        drafts.push(draft);
    }
    drafts
}

/// Which form a list has. A checkbox right below a heading that is no section of a brief makes it a
/// list of bullets; else the first line that could start a task decides.
fn form(lines: &[Line<'_>]) -> Option<Form> {
    let open = || lines.iter().filter(|line| !line.fenced && !is_indented(line.text) && !is_rule(line.text));
    let mut groups = true;
    for line in open() {
        if let Some((_, text)) = heading(line.text) {
            groups = items_below(lines, line.number) && SectionKind::of_heading(text) == SectionKind::Other;
        } else if groups && item(line.text).is_some_and(|item| item.done.is_some() && item.number.is_none()) {
            return Some(Form::Bullets);
        }
    }
    let tops = open().filter(|line| heading(line.text).is_some_and(|(level, _)| level == 1)).count();
    for line in open() {
        if let Some((level, _)) = heading(line.text) {
            // One top heading is the title of the list, not a task.
            if level == 1 && tops == 1 || items_below(lines, line.number) {
                continue;
            }
            return Some(Form::Headings(level));
        }
        match item(line.text) {
            Some(item) if item.number.is_some() => return Some(Form::Numbers),
            Some(_) => return Some(Form::Bullets),
            None => {}
        }
    }
    None
}

/// Whether the first line with text below a heading (given by its line number) is an item: then the
/// heading may only group items.
fn items_below(lines: &[Line<'_>], number: u32) -> bool {
    // Lines are numbered from 1, so the heading's number is the place of the line after it.
    let below = lines.iter().skip(number as usize).find(|line| !line.text.trim().is_empty());
    below.is_some_and(|line| !line.fenced && item(line.text).is_some() && !is_rule(line.text))
}

fn by_items<'a>(lines: &[Line<'a>], form: Form, faults: &mut Faults<'_>) -> Vec<Raw<'a>> {
    let mut raws: Vec<Raw<'a>> = Vec::new();
    // A heading or a rule ends the task before it.
    let (mut ended, mut after_blank) = (false, false);
    for line in lines {
        let plain = !line.fenced && !is_indented(line.text);
        let starts = item(line.text)
            .filter(|item| plain && !is_rule(line.text) && item.number.is_some() == (form == Form::Numbers));
        let blank = line.text.trim().is_empty();
        let over = plain && (heading(line.text).is_some() || is_rule(line.text) || is_comment(line.text));
        // What stands at the margin right below an item, and items of the other form, are its text.
        let apart = plain && after_blank && item(line.text).is_none();
        if let Some(item) = starts {
            let (number, done) = (item.number, item.done == Some(true));
            raws.push(Raw { line: line.number, number, done, title: item.text, body: Vec::new() });
            ended = false;
        } else if over && !blank {
            ended = true;
        } else if !blank && !raws.is_empty() && (ended || apart) {
            faults.at(line.number, 1, Problem::Stray);
        } else {
            push(&mut raws, ended, line);
        }
        after_blank = blank;
    }
    raws
}

fn push<'a>(raws: &mut [Raw<'a>], ended: bool, line: &Line<'a>) {
    if let Some(last) = raws.last_mut().filter(|_| !ended) {
        last.body.push((line.number, line.text));
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with("<!--") && line.trim_end().ends_with("-->")
}

fn by_headings<'a>(lines: &[Line<'a>], level: usize) -> Vec<Raw<'a>> {
    let mut raws: Vec<Raw<'a>> = Vec::new();
    let mut ended = false;
    for line in lines {
        match heading(line.text).filter(|_| !line.fenced) {
            Some((found, title)) if found == level => {
                let done = title.starts_with("[x] ") || title.starts_with("[X] ");
                let title = title.strip_prefix("[ ] ").unwrap_or(if done { &title[4..] } else { title });
                raws.push(Raw { line: line.number, number: None, done, title, body: Vec::new() });
                ended = false;
            }
            // A higher heading groups the tasks below it.
            Some((found, _)) if found < level => ended = true,
            _ => push(&mut raws, ended, line),
        }
    }
    raws
}

fn draft(name: &str, place: usize, raw: Raw<'_>, faults: &mut Faults<'_>) -> Option<Draft> {
    let mut front = Front::default();
    let title = marks::of_title(raw.title, raw.line, &mut front, faults);
    if title.is_empty() {
        faults.at(raw.line, 1, Problem::NoTaskTitle);
        return None;
    }
    let first = raw.body.iter().position(|(_, line)| !line.trim().is_empty()).unwrap_or(raw.body.len());
    let taken = marks::of_lines(&raw.body[first..], &mut front, faults);
    let rest: Vec<&str> = raw.body[first + taken..].iter().map(|(_, line)| *line).collect();
    let first_line = raw.body.get(first + taken).map_or(raw.line, |(number, _)| *number);
    let brief = brief_of(title, &markdown::dedent(&rest), front, first_line, faults);
    let key = match raw.number.filter(|_| name != STDIN) {
        Some(number) => format!("{name}#{number}"),
        None => format!("{name}:{}", title_key(title)),
    };
    let number = raw.number.or_else(|| u32::try_from(place + 1).ok());
    Some(Draft { key, number, brief, done: raw.done, line: raw.line, lenient: false, left_out: Vec::new() })
}

/// A brief of a title and the text below it.
pub(super) fn brief_of(title: &str, body: &str, front: Front, first_line: u32, faults: &mut Faults<'_>) -> Brief {
    let mut brief = assemble(title.to_owned(), front, body, first_line, faults);
    brief.source = if body.trim().is_empty() { format!("{title}\n") } else { format!("{title}\n\n{body}\n") };
    brief
}
