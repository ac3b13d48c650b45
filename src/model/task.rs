//! A unit of work, as it was asked for.

use serde::{Deserialize, Serialize};

use super::id::TaskId;
use super::name::{AgentName, CheckName, Pattern, Slug};
use super::settings::{CheckSettings, LimitOverrides};
use super::time::Span;

/// Where a task stands on the board. Moved by people, or by rules on facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// Not begun.
    Backlog,
    /// The agent plans; nothing is built before the plan is approved.
    Design,
    /// The agent works.
    Build,
    /// Finished, waiting for your verdict.
    Review,
    /// Accepted. Meets the needs of other tasks.
    Done,
    /// Given up, with a reason.
    Canceled,
    /// In your hands.
    Takeover,
}

impl Column {
    /// All, in the order of the board.
    pub const ALL: [Self; 7] =
        [Self::Backlog, Self::Design, Self::Build, Self::Review, Self::Done, Self::Canceled, Self::Takeover];

    /// Its name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Design => "design",
            Self::Build => "build",
            Self::Review => "review",
            Self::Done => "done",
            Self::Canceled => "canceled",
            Self::Takeover => "takeover",
        }
    }

    /// Whether nothing more is going to happen by itself.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Canceled)
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Column {
    type Err = super::id::IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.name() == text).ok_or(super::id::IdError {
            text: text.to_owned(),
            wanted: "a column (backlog, design, build, review, done, canceled, takeover)",
        })
    }
}

pub use super::settings::{Mode, Priority};

/// One acceptance criterion of a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// Its number in the brief.
    pub n: u32,
    /// What must be true.
    pub text: String,
    /// The check that shows it, where the brief names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckName>,
}

/// The digest under which the store keeps a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextRef(pub String);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// One line.
    pub title: String,
    /// The title in paths and branches.
    pub slug: Slug,
    /// The brief, byte-identical to what was given.
    pub brief: TextRef,
    /// What makes a re-import update this task instead of adding another.
    #[serde(default)]
    pub key: Option<String>,
    /// Who shall do it, where somebody said so.
    #[serde(default)]
    pub agent: Option<AgentName>,
    /// How much is handed over.
    #[serde(default)]
    pub mode: Mode,
    /// Higher goes first.
    #[serde(default)]
    pub priority: Priority,
    /// Tasks that must be Done before.
    #[serde(default)]
    pub needs: Vec<TaskId>,
    /// Paths it is going to change.
    #[serde(default)]
    pub touches: Vec<Pattern>,
    /// Paths it must not change, beside the repository's.
    #[serde(default)]
    pub off_limits: Vec<Pattern>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Where its attempts start, if not at the repository's base.
    #[serde(default)]
    pub base: Option<String>,
    /// Its own check-in interval.
    #[serde(default)]
    pub check_in: Option<Span>,
    /// Its own limits.
    #[serde(default)]
    pub limits: LimitOverrides,
    /// When is it done?
    #[serde(default)]
    pub criteria: Vec<Criterion>,
    /// Its own checks, run after the repository's.
    #[serde(default)]
    pub checks: Vec<CheckSettings>,
}

impl TaskSpec {
    /// What an agent that was started with this has not been told of what is asked for now: keys of
    /// a brief, `brief` for its text.
    #[must_use]
    pub fn untold(&self, now: &Self) -> Vec<&'static str> {
        let parts = [
            ("title", self.title != now.title),
            ("brief", self.brief != now.brief),
            ("touches", self.touches != now.touches),
            ("off_limits", self.off_limits != now.off_limits),
            ("check_in", self.check_in != now.check_in),
            ("limits", self.limits != now.limits),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// What a title and a brief alone ask for: everything else is as the repository says.
    #[must_use]
    pub fn new(title: &str, brief: TextRef) -> Self {
        Self {
            title: title.to_owned(),
            slug: Slug::from_title(title),
            brief,
            key: None,
            agent: None,
            mode: Mode::default(),
            priority: Priority::default(),
            needs: Vec::new(),
            touches: Vec::new(),
            off_limits: Vec::new(),
            labels: Vec::new(),
            base: None,
            check_in: None,
            limits: LimitOverrides::default(),
            criteria: Vec::new(),
            checks: Vec::new(),
        }
    }
}
