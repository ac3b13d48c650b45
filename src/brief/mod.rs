//! Markdown briefs and task lists: text in, briefs out.
//!
//! A brief is one Markdown file with optional YAML front matter. [`parse`] reads it, [`lint()`]
//! judges it, [`import()`] makes briefs of a list of tasks.
//!
//! **Invariant:** [`Brief::source`] is what the person wrote, byte for byte, and is what the agent
//! gets. Must not know: which tasks exist, how an agent is prompted, how errors are printed.

pub mod error;
mod front;
pub mod import;
pub mod lint;
mod markdown;
mod sections;
mod template;
mod yaml;

pub use self::error::{BriefError, Problem};
pub use self::front::Front;
pub use self::import::{Imported, cycle, import};
pub use self::lint::{Finding, Level, lint, score, unknown_checks};
pub use self::sections::{Criterion, Section, SectionKind, VerifyBlock, own_check};
pub use self::template::{finish, template};

use self::error::Faults;
use crate::model::name::Slug;

/// The largest brief, in bytes: more than any agent's context is no brief.
pub const MAX_BYTES: usize = 1 << 20;

/// What some editors put before the first character.
const BOM: &str = "\u{feff}";

/// What an agent is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// One line about it. Foreign text: clean it before printing.
    pub title: String,
    /// What it asks for beside its text.
    pub front: Front,
    /// Its sections, in order; the text before the first has no heading.
    pub sections: Vec<Section>,
    /// What must be true in the end.
    pub criteria: Vec<Criterion>,
    /// Commands that show it.
    pub verification: Vec<VerifyBlock>,
    /// The whole text as it was written.
    pub source: String,
}

/// Reads a brief. The title is the one given, else that of the front matter, else the first `#`
/// heading.
///
/// # Errors
/// Every mistake in it, in the order of the file.
pub fn parse(name: &str, bytes: &[u8], title: Option<&str>) -> Result<Brief, Vec<BriefError>> {
    let mut faults = Faults::new(name);
    let brief = text_of(bytes, &mut faults).and_then(|text| read(text, title, &mut faults));
    faults.finish(brief)
}

/// The text of a brief or a list; what is no text is recorded.
fn text_of<'a>(bytes: &'a [u8], faults: &mut Faults<'_>) -> Option<&'a str> {
    if bytes.len() > MAX_BYTES {
        faults.at(1, 1, Problem::TooLarge { bytes: bytes.len(), max: MAX_BYTES });
        return None;
    }
    let (valid, problem) = match std::str::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return Some(text),
            Some(offset) => (&text[..offset], Problem::Nul { offset }),
        },
        Err(error) => {
            let offset = error.valid_up_to();
            let valid = std::str::from_utf8(&bytes[..offset]).expect("valid up to there, says the decoder");
            (valid, Problem::Encoding { offset })
        }
    };
    let small = |n: usize| u32::try_from(n).expect("a file of 1 MiB has fewer lines and columns than 2^32");
    let valid = valid.strip_prefix(BOM).unwrap_or(valid);
    let last = valid.rsplit('\n').next().unwrap_or_default();
    faults.at(small(valid.matches('\n').count() + 1), small(last.chars().count() + 1), problem);
    None
}

fn read(source: &str, title: Option<&str>, faults: &mut Faults<'_>) -> Option<Brief> {
    let text = source.strip_prefix(BOM).unwrap_or(source);
    if text.trim().is_empty() {
        faults.at(1, 1, Problem::Empty);
        return None;
    }
    let split = split_front(text, faults)?;
    let (front_title, front) = match split.front {
        None => (None, Front::default()),
        Some(yaml) => match yaml::parse(yaml, 2) {
            Ok(tree) => front::read(tree, faults),
            Err(error) => {
                faults.at(error.line, error.column, Problem::Yaml { text: error.text });
                return None;
            }
        },
    };
    let heading = sections::first_heading(split.body);
    let title = title.map(str::to_owned).or(front_title).or(heading).filter(|title| !title.trim().is_empty());
    if title.is_none() && faults.errors.is_empty() {
        faults.at(1, 1, Problem::NoTitle);
    }
    let mut brief = assemble(title.unwrap_or_default(), front, split.body, split.body_line, faults);
    brief.source = source.to_owned();
    Some(brief)
}

/// A brief of parts that were read already; its source is the body.
fn assemble(title: String, front: Front, body: &str, first_line: u32, faults: &mut Faults<'_>) -> Brief {
    let sections = sections::split(body, first_line);
    let criteria = sections::criteria(&sections, faults);
    let verification = sections::verify_blocks(&sections, faults);
    Brief { title, front, sections, criteria, verification, source: body.to_owned() }
}

/// A brief in two parts.
struct Split<'a> {
    front: Option<&'a str>,
    body: &'a str,
    body_line: u32,
}

/// Cuts the front matter off: from a first line `---` to the next line `---` or `...`.
fn split_front<'a>(text: &'a str, faults: &mut Faults<'_>) -> Option<Split<'a>> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != "---" {
        return Some(Split { front: None, body: text, body_line: 1 });
    }
    let start = first.len();
    let mut end = start;
    for (line, number) in lines.zip(2..) {
        if matches!(line.trim_end(), "---" | "...") {
            let body = &text[end + line.len()..];
            return Some(Split { front: Some(&text[start..end]), body, body_line: number + 1 });
        }
        end += line.len();
    }
    faults.at(1, 1, Problem::OpenFront);
    None
}

impl Brief {
    /// A brief that is nothing but its title.
    ///
    /// # Errors
    /// A title that is empty, too long or holds a NUL byte.
    pub fn from_title(title: &str) -> Result<Self, Vec<BriefError>> {
        parse("title", title.as_bytes(), Some(title))
    }

    /// A brief of any text, with a title.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn from_text(title: &str, text: &str) -> Result<Self, Vec<BriefError>> {
        parse("brief", text.as_bytes(), Some(title))
    }

    /// The name of the task in paths and branches.
    #[must_use]
    pub fn slug(&self) -> Slug {
        Slug::from_title(&self.title)
    }

    /// The text of a section, without blank lines around it; `None` where it is missing or empty.
    #[must_use]
    pub fn section(&self, kind: SectionKind) -> Option<&str> {
        self.sections.iter().find(|section| section.kind == kind).map(|s| s.body.trim()).filter(|text| !text.is_empty())
    }

    /// What an agent's prompt would misread; for the person, before it is sent.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let text = self.source.strip_prefix(BOM).unwrap_or(&self.source).trim();
        let mut warnings = Vec::new();
        if let Some(command) = slash_command(text) {
            warnings.push(format!("the brief starts with {command}, which agents may take for a command of their own"));
        }
        if text.starts_with('!') {
            warnings.push("the brief starts with '!', which agents may take for a shell command".to_owned());
        }
        warnings
    }
}

/// The prompt of a brief: exactly what the person wrote.
#[must_use]
pub fn render_prompt(brief: &Brief) -> &str {
    &brief.source
}

/// `/exit`, `/review this`; not `/etc/hosts is wrong`.
fn slash_command(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let name = word.strip_prefix('/')?;
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c));
    fits.then_some(word)
}

#[cfg(test)]
mod tests;
