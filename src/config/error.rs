//! What can be wrong with a configuration file: each mistake with its place, its line and its hint.
//!
//! **Invariant:** a message names file, line, column, key and rule; a text of the file appears in
//! it only escaped. Must not know: how errors are printed.

use std::fmt;
use std::sync::Arc;

use crate::model::name::NameError;
use crate::model::time::SpanError;

/// A place in a file, counted from 1; columns are characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named by the caller.
    pub file: Arc<str>,
    /// Its line.
    pub line: u32,
    /// The character in that line.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

impl ConfigError {
    /// What to do about it, where that is not in the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Bytes that are no text.
    #[error("byte {offset} is not UTF-8")]
    Encoding {
        /// Counted from 0, from the start of the file.
        offset: usize,
    },
    /// More than anybody writes.
    #[error("the file has {bytes} bytes; at most {max} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not TOML.
    #[error("{text}")]
    Syntax {
        /// What the parser expected.
        text: String,
    },
    /// `schema = 1` is missing.
    #[error("the file does not say which schema it follows")]
    NoSchema,
    /// A schema of another time.
    #[error("schema is {found}; this standup reads schema 1")]
    WrongSchema {
        /// What it says.
        found: String,
    },
    /// A key nobody reads.
    #[error("unknown key {key}{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// Its full path.
        key: String,
        /// The full path of the nearest known one.
        nearest: Option<String>,
    },
    /// A key of the user's settings in a repository.
    #[error("{key} is read only from your own settings")]
    UserOnly {
        /// Its full path.
        key: String,
    },
    /// A value of another type.
    #[error("{key} must be {wanted}, not {found}")]
    Type {
        /// Its full path.
        key: String,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: &'static str,
    },
    /// A number out of bounds.
    #[error("{key} is {found}; it must be {wanted}")]
    Range {
        /// Its full path.
        key: String,
        /// The bounds.
        wanted: String,
        /// What was written.
        found: String,
    },
    /// No duration, or one out of bounds.
    #[error("{key}: {reason}")]
    Duration {
        /// Its full path.
        key: String,
        /// Why.
        reason: SpanError,
    },
    /// None of the known words.
    #[error("{key} is {found:?}; it must be one of {}{}", words.join(", "), did_you_mean(nearest.as_deref()))]
    Word {
        /// Its full path.
        key: String,
        /// What was written.
        found: String,
        /// What may be written.
        words: Vec<String>,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// A name, path or pattern that breaks a rule.
    #[error("{key}: {reason}")]
    Name {
        /// Its full path.
        key: String,
        /// Which rule.
        reason: NameError,
    },
    /// A text that breaks a rule.
    #[error("{key} {rule}")]
    Text {
        /// Its full path.
        key: String,
        /// Which rule, after the key.
        rule: String,
    },
    /// A placeholder nobody fills in.
    #[error("{key} uses {{{found}}}; known here are {}{}", braced(known), did_you_mean(nearest.as_deref()))]
    Placeholder {
        /// Its full path.
        key: String,
        /// What stands between the braces.
        found: String,
        /// What may stand there.
        known: &'static [&'static str],
        /// The nearest, with braces.
        nearest: Option<String>,
    },
    /// Two checks of one name.
    #[error("a check named {name} is already on line {first}")]
    DuplicateCheck {
        /// The name.
        name: String,
        /// The line of the first.
        first: u32,
    },
    /// A key that must be there.
    #[error("{key} is missing")]
    Missing {
        /// Its full path.
        key: String,
        /// A line that would do.
        example: String,
    },
    /// An agent that is not configured.
    #[error("{key} names {found}, which is no configured agent{}", did_you_mean(nearest.as_deref()))]
    UnknownAgent {
        /// Its full path.
        key: String,
        /// What was written.
        found: String,
        /// The agents there are.
        known: Vec<String>,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// An adapter that there is not.
    #[error("{key} names {found}, which is no adapter{}", did_you_mean(nearest.as_deref()))]
    UnknownAdapter {
        /// Its full path.
        key: String,
        /// What was written.
        found: String,
        /// The adapters there are.
        known: Vec<String>,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// A prompt that is to be typed at a program of which nobody knows when it reads.
    #[error("{key} is \"type\", and the adapter {adapter} does not tell when its program reads what is typed")]
    Untypeable {
        /// Its full path.
        key: String,
        /// The adapter.
        adapter: String,
    },
    /// Several agents, and none is the default.
    #[error("several agents are configured ({}) and none is the default", agents.join(", "))]
    NoDefaultAgent {
        /// Their names.
        agents: Vec<String>,
    },
    /// Fewer ports than attempts need.
    #[error("{key} {first}-{last} has {have} ports; {attempts} at once need {need}")]
    TooFewPorts {
        /// Its full path.
        key: String,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
        /// Ports in the range.
        have: u32,
        /// Ports needed.
        need: u32,
        /// Attempts that need them.
        attempts: u32,
    },
    /// A key that `set` cannot reach.
    #[error("{key} cannot be set from the command line")]
    NotSettable {
        /// Its full path.
        key: String,
    },
}

impl Problem {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Encoding { .. } => Some("save the file as UTF-8".into()),
            Self::NoSchema => Some("add this line at the top: schema = 1".into()),
            Self::WrongSchema { .. } => Some("if the file is newer than this program, update standup".into()),
            Self::UnknownKey { nearest: None, .. } => Some("standup config schema prints every key".into()),
            Self::UserOnly { .. } => Some("standup config paths prints where your own settings are".into()),
            Self::Missing { example, .. } => Some(format!("for example: {example}")),
            Self::UnknownAgent { known, found, .. } if known.is_empty() => {
                Some(format!("add a section: [agents.{found}]"))
            }
            Self::UnknownAgent { known, .. } => Some(format!("configured are: {}", known.join(", "))),
            Self::UnknownAdapter { known, .. } => Some(format!("there are: {}", known.join(", "))),
            Self::Untypeable { .. } => Some(
                "name the brief in its command ({prompt} or {brief}) or say prompt = \"stdin\"; \
                 an adapter of your own with reports and [input] typing may type"
                    .into(),
            ),
            Self::NoDefaultAgent { agents } => {
                agents.first().map(|a| format!("say which one takes tasks that name none: agent = \"{a}\""))
            }
            Self::NotSettable { .. } => Some("edit the file; standup config show prints it with line numbers".into()),
            _ => None,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|word| format!(" (did you mean {word}?)")).unwrap_or_default()
}

fn braced(words: &[&str]) -> String {
    words.iter().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(" ")
}
