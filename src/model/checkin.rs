//! The agent's report: what it says, what its writer says beside that, and how it is written down.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::AttemptId;
use super::time::Wall;

/// The format of check-ins that is understood.
pub const SCHEMA: u32 = 1;

/// The longest text kept of a field, in characters: several screens, and 50 of them are no weight
/// on a board.
pub const MAX_TEXT: usize = 4_000;

/// The most blockers kept, and the most criteria.
pub const MAX_ITEMS: usize = 50;

/// What the agent says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Going on.
    Working,
    /// Something is in the way.
    Blocked,
    /// A person must decide.
    NeedsDecision,
    /// The work is done; starts the checks.
    Ready,
    /// It will not get there.
    GivingUp,
}

/// Which way a check-in came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A file in the attempt's outbox.
    Outbox,
    /// The control socket.
    Socket,
    /// An MCP tool.
    Mcp,
    /// A hook of the agent's CLI.
    Hook,
}

/// What an attempt sent that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sent {
    /// A report.
    #[default]
    Report,
    /// What a hook of its CLI said.
    Hook,
    /// Something else that it asked for.
    Request,
}

impl Sent {
    /// Whether it was a report.
    #[must_use]
    pub fn is_report(&self) -> bool {
        *self == Self::Report
    }
}

/// One report. A claim, never a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CheckIn {
    /// Format version, 1.
    pub schema_version: u32,
    /// Always `check-in`.
    pub kind: CheckInKind,
    /// Where it says it stands.
    pub state: Claim,
    /// What it did.
    #[serde(default)]
    pub did: String,
    /// What it does next.
    #[serde(default)]
    pub next: String,
    /// What is in its way.
    #[serde(default)]
    pub blockers: Vec<String>,
    /// What it asks.
    #[serde(default)]
    pub question: Option<String>,
    /// Answers to that to choose from, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Acceptance criteria it says are met, by number.
    #[serde(default)]
    pub met: Vec<u32>,
}

/// The one kind of record an outbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CheckInKind {
    /// `check-in`
    #[default]
    #[serde(rename = "check-in")]
    CheckIn,
}

/// What whoever wrote more is told, with the fields that it is about; empty where all is kept.
#[must_use]
pub fn cut_text(cut: &[&str]) -> String {
    if cut.is_empty() {
        return String::new();
    }
    let fields = cut.join(", ");
    format!("only the first {MAX_TEXT} characters of a text and {MAX_ITEMS} of a list are kept: {fields}")
}

impl CheckIn {
    /// One that says `state` and nothing else.
    #[must_use]
    pub fn of(state: Claim) -> Self {
        Self {
            schema_version: SCHEMA,
            kind: CheckInKind::CheckIn,
            state,
            did: String::new(),
            next: String::new(),
            blockers: Vec::new(),
            question: None,
            options: Vec::new(),
            met: Vec::new(),
        }
    }

    /// A question for a person, with answers to choose from; as long as it is given.
    #[must_use]
    pub fn question(text: &str, options: &[String]) -> Self {
        let question = Some(text.to_owned());
        Self { question, options: options.to_vec(), ..Self::of(Claim::NeedsDecision) }
    }

    /// The same without control characters, its texts and lists no longer than is kept.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in [&mut self.did, &mut self.next] {
            *text = plain(text);
        }
        self.blockers.truncate(MAX_ITEMS);
        for text in &mut self.blockers {
            *text = plain(text);
        }
        self.blockers.retain(|text| !text.is_empty());
        self.question = self.question.map(|text| plain(&text)).filter(|text| !text.is_empty());
        self.options.truncate(MAX_ITEMS);
        for text in &mut self.options {
            *text = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
        }
        self.options.retain(|text| !text.is_empty());
        let mut named = BTreeSet::new();
        self.met.retain(|n| named.len() < MAX_ITEMS && named.insert(*n));
        self
    }

    /// The fields of which [`Self::bounded`] leaves something out, by their names.
    #[must_use]
    pub fn cut(&self) -> Vec<&'static str> {
        let long = |text: &String| kept(text).count() > MAX_TEXT;
        let list = |items: &[String]| items.len() > MAX_ITEMS || items.iter().any(long);
        let parts = [
            ("did", long(&self.did)),
            ("next", long(&self.next)),
            ("blockers", list(&self.blockers)),
            ("question", self.question.as_ref().is_some_and(long)),
            ("options", list(&self.options)),
            ("met", self.met.iter().collect::<BTreeSet<_>>().len() > MAX_ITEMS),
        ];
        parts.into_iter().filter(|(_, is_cut)| *is_cut).map(|(name, _)| name).collect()
    }

    /// Whether it says nothing but that the agent works, which is no report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { state, did, next, blockers, question, met, .. } = self.clone().bounded();
        let words = [did, next, question.unwrap_or_default()];
        state == Claim::Working && words.iter().all(String::is_empty) && blockers.is_empty() && met.is_empty()
    }
}

/// A text without control characters but line breaks and tabs, trimmed and cut to [`MAX_TEXT`].
fn plain(text: &str) -> String {
    let mut chars = kept(text);
    let mut out: String = chars.by_ref().take(MAX_TEXT).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// What is kept of a text, however long it is.
fn kept(text: &str) -> impl Iterator<Item = char> + '_ {
    text.trim().chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
}

/// What a report's writer says beside its content. Each part may be missing, and none is believed
/// further than to refuse a report by it: who reports is known by the token or by the worktree,
/// and when by our own clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Unlike that of any other report. The same report may come two ways, and counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Wall>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
}

/// A report as it lies in an outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Written {
    schema_version: u32,
    kind: CheckInKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptId>,
    state: Claim,
    #[serde(default)]
    did: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    blockers: Vec<String>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    #[serde(default)]
    met: Vec<u32>,
}

impl Written {
    /// How this report is written down.
    #[must_use]
    pub fn new(c: CheckIn, stamp: Stamp) -> Self {
        Self {
            schema_version: c.schema_version,
            kind: c.kind,
            id: stamp.id,
            at: stamp.at,
            attempt: stamp.attempt,
            state: c.state,
            did: c.did,
            next: c.next,
            blockers: c.blockers,
            question: c.question,
            options: c.options,
            met: c.met,
        }
    }

    /// What it says, and what its writer says beside that.
    #[must_use]
    pub fn parts(self) -> (CheckIn, Stamp) {
        let check_in = CheckIn {
            schema_version: self.schema_version,
            kind: self.kind,
            state: self.state,
            did: self.did,
            next: self.next,
            blockers: self.blockers,
            question: self.question,
            options: self.options,
            met: self.met,
        };
        (check_in, Stamp { id: self.id, at: self.at, attempt: self.attempt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_what_is_too_long_are_left_out() {
        let long = "ä".repeat(MAX_TEXT + 1);
        let said = CheckIn {
            did: " \x1b]0;title\x07two\r\nlines\u{9b}31m\0 ".into(),
            next: long,
            blockers: vec!["\x07".into(), "a".into()],
            question: Some(" \x1b ".into()),
            options: vec!["two\n lines".into(), " \x07".into()],
            met: (0..200).flat_map(|n| [n, n]).collect(),
            ..CheckIn::of(Claim::Working)
        };
        assert_eq!(said.cut(), ["next", "met"]);
        let kept = said.bounded();
        assert_eq!(kept.did, "]0;titletwo\nlines31m");
        assert_eq!(kept.next.chars().count(), MAX_TEXT + 1);
        assert!(kept.next.ends_with("ä…"));
        assert_eq!((kept.blockers, kept.question, kept.met.len()), (vec!["a".to_owned()], None, MAX_ITEMS));
        assert_eq!(kept.options, ["two lines"]);
        assert_eq!(kept.met[..3], [0, 1, 2], "each once");
    }

    #[test]
    fn only_a_working_one_without_a_word_says_nothing() {
        let working = CheckIn::of(Claim::Working);
        assert!(working.is_empty());
        assert!(CheckIn { did: " \n\x07".into(), blockers: vec!["\t".into()], ..working.clone() }.is_empty());
        for said in [
            CheckIn { did: "a".into(), ..working.clone() },
            CheckIn { next: "a".into(), ..working.clone() },
            CheckIn { blockers: vec!["a".into()], ..working.clone() },
            CheckIn { question: Some("a".into()), ..working.clone() },
            CheckIn { met: vec![1], ..working.clone() },
            CheckIn::of(Claim::Ready),
            CheckIn::of(Claim::GivingUp),
        ] {
            assert!(!said.is_empty(), "{said:?}");
        }
    }

    #[test]
    fn what_just_fits_is_not_cut() {
        let fits = CheckIn {
            did: format!(" {} ", "ä".repeat(MAX_TEXT)),
            met: vec![1; MAX_ITEMS],
            ..CheckIn::of(Claim::Ready)
        };
        assert!(fits.cut().is_empty());
        assert_eq!(CheckIn { question: Some("ä".repeat(MAX_TEXT + 1)), ..fits.clone() }.cut(), ["question"]);
        assert_eq!(CheckIn { blockers: vec!["a".into(); MAX_ITEMS + 1], ..fits.clone() }.cut(), ["blockers"]);
        assert_eq!(CheckIn { options: vec!["ä".repeat(MAX_TEXT + 1)], ..fits.clone() }.cut(), ["options"]);
        let unseen = format!("{}\u{7}", "ä".repeat(MAX_TEXT));
        assert!(CheckIn { next: unseen, met: vec![1; MAX_ITEMS + 1], ..fits }.cut().is_empty(), "nothing is missed");
    }
}
