//! Lists of tasks as people have them, made into briefs.
//!
//! Recognised are, in this order:
//!
//! - the JSON of `gh issue list --json number,title,body,labels`;
//! - brief documents: front matter between `---` lines, several in one file if each has a `title:`;
//! - one brief without front matter: a `#` title and known sections (`## Outcome` …);
//! - a list (`- title`, `- [ ] title`), a numbered list (`1. title`), or headings as tasks,
//!   whichever comes first; what is indented below an item (or stands below a heading) is its text.
//!   Headings over list items and the text before the first task are not tasks and are left out.
//!
//! A title may end in marks, and the same keys may stand on lines of their own right below it:
//!
//! ```text
//! 3. Add a pager (after 1, 2) [agent: codex] [touches: src/ui/**] !high
//!    mode: checkpoint
//!    The pager shows one screen at a time.
//! ```
//!
//! **Invariant:** no line of a task is lost, and the same list gives the same keys again. Must not
//! know: which tasks exist already.

mod documents;
mod github;
mod list;
mod marks;
mod resolve;

pub use self::resolve::cycle;

use super::error::{BriefError, Faults};
use super::{Brief, VerifyBlock, markdown, sections, text_of};
use crate::model::id::TaskId;

/// The keys that marks and lines below a title may use; also the help of the importer.
pub const MARK_KEYS: &[&str] = marks::KEYS;

/// The name of standard input, whose lists have no identity of their own.
pub const STDIN: &str = "-";

/// One task of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What recognises it when the list is imported again: file and number (`tasks.txt#3`), file
    /// and title (`plan.md:fix the pager`), the file of a brief (`pager.md`), or an issue (`#12`).
    /// The file is part of it as the caller named it; numbers of standard input do not count.
    pub key: String,
    /// The brief.
    pub brief: Brief,
    /// Keys of the tasks of this list that must be done before.
    pub needs: Vec<String>,
    /// Tasks outside of this list that must be done before.
    pub needs_tasks: Vec<TaskId>,
    /// Whether the list ticks it off.
    pub done: bool,
    /// Its line; in JSON its place in the list, from 1.
    pub line: u32,
    /// What was understood in a way that the person should know.
    pub notes: Vec<String>,
    /// Blocks marked `verify` that are no checks, because a stranger may have written them. Foreign
    /// text: clean it before printing.
    pub left_out: Vec<VerifyBlock>,
}

/// Reads a list of tasks. An empty text is an empty list.
///
/// # Errors
/// Every mistake in it, in the order of the file; needs that are no tasks, and tasks that wait for
/// each other.
pub fn import(name: &str, bytes: &[u8]) -> Result<Vec<Imported>, Vec<BriefError>> {
    let mut faults = Faults::new(name);
    let Some(source) = text_of(bytes, &mut faults) else { return faults.finish(None) };
    let text = source.strip_prefix(super::BOM).unwrap_or(source);
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let drafts = if github::is_json(text) {
        github::read(text, &mut faults)
    } else if documents::is_one(text) {
        documents::read(name, source, &mut faults)
    } else if is_brief(text) {
        documents::whole(name, source, &mut faults)
    } else {
        list::read(name, text, &mut faults)
    };
    let imported = if faults.errors.is_empty() { Some(resolve::resolve(drafts, &mut faults)) } else { None };
    faults.finish(imported)
}

/// A task before its needs are resolved.
#[derive(Debug)]
struct Draft {
    key: String,
    /// The number by which others may name it.
    number: Option<u32>,
    brief: Brief,
    done: bool,
    line: u32,
    /// Needs that are left out with a note if the list does not have them.
    lenient: bool,
    /// As in [`Imported`].
    left_out: Vec<VerifyBlock>,
}

/// A title as it is compared: case and blanks do not count.
fn title_key(title: &str) -> String {
    title.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text without front matter is one brief: one top heading, and known sections below.
fn is_brief(text: &str) -> bool {
    let lines = markdown::lines(text, 1);
    let headings = || lines.iter().filter(|line| !line.fenced).filter_map(|line| markdown::heading(line.text));
    let known = |text: &str| sections::SectionKind::of_heading(text) != sections::SectionKind::Other;
    headings().filter(|(level, _)| *level == 1).count() == 1
        && headings().next().is_some_and(|(level, _)| level == 1)
        && headings().any(|(level, text)| level == 2 && known(text))
}

#[cfg(test)]
mod tests;
