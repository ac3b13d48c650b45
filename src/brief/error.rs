//! What can be wrong with a brief or a list of tasks.
//!
//! **Invariant:** a message names file, line and column; a text of the file appears in it only
//! escaped. Must not know: how errors are printed.

use crate::model::name::NameError;
use crate::model::time::SpanError;

/// One mistake in a brief or a list of tasks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct BriefError {
    /// The file, as it was named by the caller.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// The character in that line, from 1.
    pub column: u32,
    /// What.
    pub problem: Problem,
}

impl BriefError {
    /// What to do about it, where that is not in the message.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.problem.hint()
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// More than an agent could use.
    #[error("it has {bytes} bytes; at most {max} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("byte {offset} is not UTF-8")]
    Encoding {
        /// Counted from 0, from the start of the file.
        offset: usize,
    },
    /// A byte that no command line can carry.
    #[error("byte {offset} is NUL")]
    Nul {
        /// Counted from 0, from the start of the file.
        offset: usize,
    },
    /// No title anywhere.
    #[error("it has no title")]
    NoTitle,
    /// `---` without its end.
    #[error("the front matter is not closed")]
    OpenFront,
    /// Not YAML.
    #[error("the front matter is no YAML: {text}")]
    Yaml {
        /// What the parser expected.
        text: String,
    },
    /// A key nobody reads.
    #[error("unknown key {key}{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A value of another type.
    #[error("{key} must be {wanted}")]
    Type {
        /// The key.
        key: String,
        /// What it must be.
        wanted: String,
    },
    /// None of the known words.
    #[error("{key} is {found:?}; it must be one of {words}{}", did_you_mean(nearest.as_deref()))]
    Word {
        /// The key.
        key: String,
        /// What was written.
        found: String,
        /// What may be written.
        words: String,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// A name or pattern that breaks a rule.
    #[error("{key}: {reason}")]
    Name {
        /// The key.
        key: String,
        /// Which rule.
        reason: NameError,
    },
    /// No duration, or one out of bounds.
    #[error("{key}: {reason}")]
    Duration {
        /// The key.
        key: String,
        /// Why.
        reason: SpanError,
    },
    /// Two criteria of one number.
    #[error("criterion #{n} is already on line {first}")]
    DuplicateCriterion {
        /// The number.
        n: u32,
        /// The line of the first.
        first: u32,
    },
    /// A check without a command.
    #[error("a block marked verify holds no command")]
    EmptyCheck,
    /// Two tasks of one identity.
    #[error("{what} is already on line {first}")]
    DuplicateTask {
        /// The number or the title.
        what: String,
        /// The line of the first.
        first: u32,
    },
    /// Text between tasks.
    #[error("this text belongs to no task")]
    Stray,
    /// A task without a title.
    #[error("a task has no title")]
    NoTaskTitle,
    /// A need that is no task.
    #[error("needs {found:?}, which is no task here{}", did_you_mean(nearest.as_deref()))]
    UnknownNeed {
        /// What was written.
        found: String,
        /// The nearest task.
        nearest: Option<String>,
    },
    /// Tasks that wait for each other.
    #[error("these tasks wait for each other: {}", path.join(" → "))]
    Cycle {
        /// The way round, first and last the same.
        path: Vec<String>,
    },
    /// No known list of tasks.
    #[error("no tasks were found in it")]
    NoTasks,
    /// Not JSON of issues.
    #[error("it is no list of issues: {text}")]
    Json {
        /// What the parser expected.
        text: String,
    },
}

impl Problem {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge { .. } => "put long material into a file of the repository and name it in the brief",
            Self::Encoding { .. } => "save the file as UTF-8",
            Self::NoTitle => "start the file with a line: # What should be done",
            Self::OpenFront => "end it with a line that holds only ---",
            Self::Yaml { .. } => "put a value that holds ': ' or starts with a sign into quotes",
            Self::DuplicateTask { .. } => "give each task a number or title of its own",
            Self::Stray => "indent it, so that it belongs to the task above",
            Self::NoTasks => "write one task a line: 1. What should be done",
            Self::Json { .. } => "gh issue list --json number,title,body,labels",
            _ => return None,
        })
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|word| format!(" (did you mean {word}?)")).unwrap_or_default()
}

/// Collects the mistakes of one file.
pub(super) struct Faults<'a> {
    pub(super) file: &'a str,
    pub(super) errors: Vec<BriefError>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, errors: Vec::new() }
    }

    pub(super) fn at(&mut self, line: u32, column: u32, problem: Problem) {
        self.errors.push(BriefError { file: self.file.to_owned(), line, column, problem });
    }

    /// What was read, if nothing was wrong; else every mistake in the order of the file.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, Vec<BriefError>> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => {
                self.errors.sort_by_key(|error| (error.line, error.column));
                Err(self.errors)
            }
        }
    }
}
