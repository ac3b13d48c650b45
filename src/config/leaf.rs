//! The values of configuration files: what each accepts, and its JSON schema.
//!
//! **Invariant:** a value that was read obeys its bounds. Must not know: which key it belongs to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::error::{Place, Problem};
use super::read::{At, Node, Read, Reader, join};
use crate::model::name::{AgentName, CheckName, Pattern, RepoPath};
use crate::model::settings::{
    LimitAction, MergeStrategy, PromptVia, ReportFormat, Requirement, SandboxMode, VerifyOn, bounds,
};
use crate::model::text::nearest;
use crate::model::time::Span;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// As the 32 bits that most settings have.
    pub(super) fn small(self) -> u32 {
        u32::try_from(self.0).expect("the bounds of 32-bit settings are below 2^32")
    }
}

impl<const MIN: u64, const MAX: u64> Read for Count<MIN, MAX> {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = format!("a whole number from {MIN} to {MAX}");
        let DeValue::Integer(number) = node.tree.get_ref() else {
            return reader.wrong_type(node, &wanted);
        };
        let digits = number.as_str().replace('_', "");
        match u64::from_str_radix(&digits, number.radix()) {
            Ok(n) if (MIN..=MAX).contains(&n) => Some(Self(n)),
            _ => {
                let (key, found) = (node.key.to_owned(), number.to_string());
                reader.fail_at(node, Problem::Range { key, wanted, found })
            }
        }
    }
}

/// US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dollars(pub(super) f64);

impl Read for Dollars {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = format!("an amount above 0, up to {}", bounds::COST_USD);
        let written = match node.tree.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.as_str().to_owned(),
            _ => return reader.wrong_type(node, &wanted),
        };
        match written.replace('_', "").parse::<f64>() {
            Ok(n) if n > 0.0 && n <= bounds::COST_USD => Some(Self(n)),
            _ => reader.fail_at(node, Problem::Range { key: node.key.to_owned(), wanted, found: written }),
        }
    }
}

impl Read for bool {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.tree.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => reader.wrong_type(node, "true or false"),
        }
    }
}

/// What durations look like, for messages about values of another type.
const DURATION: &str = "a duration in quotes: a number and a unit (ms, s, m, h, d), for example \"15m\"";

impl Read for Span {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.string(node, DURATION)?;
        match text.parse() {
            Ok(span) => Some(span),
            Err(reason) => reader.fail_at(node, Problem::Duration { key: node.key.to_owned(), reason }),
        }
    }
}

/// A text that says something: not empty, without NUL bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Words(pub(super) String);

impl Read for Words {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.string(node, "a text")?;
        let rule = if text.trim().is_empty() {
            "must not be empty"
        } else if text.contains('\0') {
            "holds a NUL byte"
        } else {
            return Some(Self(text.to_owned()));
        };
        reader.fail_at(node, Problem::Text { key: node.key.to_owned(), rule: rule.into() })
    }
}

/// A branch or revision; never something git would read as an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revision(pub(super) String);

impl Read for Revision {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Words(text) = Words::read(node, reader)?;
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c == ' ') {
            let rule = format!("is {text:?}, which is no branch or revision");
            return reader.fail_at(node, Problem::Text { key: node.key.to_owned(), rule });
        }
        Some(Self(text))
    }
}

/// One word of an agent's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentArg(pub(super) String);

/// What is filled into the words of an agent's command.
pub(super) const AGENT_PLACEHOLDERS: &[&str] = &["brief", "prompt", "worktree", "task", "branch"];

impl Read for AgentArg {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        argument(node, reader, AGENT_PLACEHOLDERS).map(Self)
    }
}

/// One word of the notify command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotifyArg(pub(super) String);

/// What is filled into the words of the notify command.
pub(super) const NOTIFY_PLACEHOLDERS: &[&str] = &["title", "body"];

impl Read for NotifyArg {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        argument(node, reader, NOTIFY_PLACEHOLDERS).map(Self)
    }
}

/// A word of a command line; it may be empty, but its placeholders must be known.
fn argument(node: Node<'_, '_>, reader: &mut Reader<'_>, known: &'static [&'static str]) -> Option<String> {
    let text = reader.string(node, "a text")?;
    if text.contains('\0') {
        return reader.fail_at(node, Problem::Text { key: node.key.to_owned(), rule: "holds a NUL byte".into() });
    }
    let unknown: Vec<&str> = placeholders(text).filter(|name| !known.contains(name)).collect();
    for found in &unknown {
        let nearest = nearest(found, known.iter().copied()).map(|word| format!("{{{word}}}"));
        let key = node.key.to_owned();
        reader.fail_at::<()>(node, Problem::Placeholder { key, found: (*found).to_owned(), known, nearest });
    }
    unknown.is_empty().then(|| text.to_owned())
}

/// The names between braces: `{name}` with letters, digits, `-` and `_`, so that JSON in an
/// argument (`{"a": 1}`) is not taken for one.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let name = &rest[..rest.find('}')?];
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (starts && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))).then_some(name)
    })
}

/// Names of environment variables; those that standup sets itself are refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Environment(pub(super) BTreeMap<String, At<String>>);

impl Read for Environment {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (key, tree) in reader.table(node)? {
            let (name, path) = (key.get_ref().as_ref(), join(node.key, key.get_ref()));
            let rule = if name.is_empty() || name.contains(['=', '\0']) {
                "is no name of an environment variable"
            } else if name.starts_with("STANDUP_") {
                "is set by standup itself"
            } else {
                let node = Node { key: &path, tree };
                let Some(value) = reader.string(node, "a text") else { continue };
                if value.contains('\0') {
                    reader.fail_at::<()>(node, Problem::Text { key: path.clone(), rule: "holds a NUL byte".into() });
                    continue;
                }
                let place = reader.text.place(key.span().start);
                all.insert(name.to_owned(), At { value: value.to_owned(), place });
                continue;
            };
            reader.fail(key.span().start, Problem::Text { key: path, rule: rule.into() });
        }
        Some(Self(all))
    }

    fn merge(mut weak: Self, strong: Self) -> Self {
        weak.0.extend(strong.0);
        weak
    }

    fn trace(&self, path: &str, _: &Place, found: &mut BTreeMap<String, Place>) {
        found.extend(self.0.iter().map(|(name, at)| (join(path, name), at.place.clone())));
    }
}

/// Sections by the name of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ByAgent<T>(pub(super) BTreeMap<AgentName, At<T>>);

impl<T: Read> Read for ByAgent<T> {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (key, tree) in reader.table(node)? {
            match AgentName::new(key.get_ref().as_ref()) {
                Ok(name) => {
                    let value = reader.at::<T>(&join(node.key, name.as_str()), tree);
                    let place = reader.text.place(key.span().start);
                    all.extend(value.map(|at| (name, At { value: at.value, place })));
                }
                Err(reason) => reader.fail(key.span().start, Problem::Name { key: node.key.to_owned(), reason }),
            }
        }
        Some(Self(all))
    }

    fn merge(mut weak: Self, strong: Self) -> Self {
        for (name, at) in strong.0 {
            let merged = match weak.0.remove(&name) {
                Some(low) => At { value: T::merge(low.value, at.value), place: at.place },
                None => at,
            };
            weak.0.insert(name, merged);
        }
        weak
    }

    fn trace(&self, path: &str, _: &Place, found: &mut BTreeMap<String, Place>) {
        for (name, at) in &self.0 {
            at.value.trace(&join(path, name.as_str()), &at.place, found);
        }
    }

    fn keys(path: &str, found: &mut Vec<String>) {
        T::keys(&join(path, "*"), found);
    }
}

/// A range of ports, `first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortRange {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl Read for PortRange {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        const WANTED: &str = "two ports from 1 to 65535 in quotes, for example \"4200-4299\"";
        let text = reader.string(node, WANTED)?;
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port > 0);
        let range = text.split_once('-').and_then(|(first, last)| Some((port(first)?, port(last)?)));
        match range.filter(|(first, last)| first <= last) {
            Some((first, last)) => Some(Self { first, last }),
            None => {
                let (key, found) = (node.key.to_owned(), format!("{text:?}"));
                reader.fail_at(node, Problem::Range { key, wanted: WANTED.into(), found })
            }
        }
    }
}

/// The formats of reports; `junit` takes the path of the file after a colon.
const REPORTS: &[(&str, ReportFormat)] = &[
    ("exit", ReportFormat::Exit),
    ("libtest", ReportFormat::Libtest),
    ("nextest", ReportFormat::Nextest),
    ("pytest", ReportFormat::Pytest),
    ("go", ReportFormat::Go),
    ("jest", ReportFormat::Jest),
    ("tap", ReportFormat::Tap),
];

impl Read for ReportFormat {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.string(node, "a text")?;
        if let Some(path) = text.strip_prefix("junit:") {
            return match RepoPath::new(path) {
                Ok(path) => Some(Self::Junit(path)),
                Err(reason) => reader.fail_at(node, Problem::Name { key: node.key.to_owned(), reason }),
            };
        }
        if let Some((_, format)) = REPORTS.iter().find(|(word, _)| *word == text) {
            return Some(format.clone());
        }
        let words: Vec<String> =
            REPORTS.iter().map(|(word, _)| *word).chain(["junit:PATH"]).map(str::to_owned).collect();
        let nearest = nearest(text, words.iter().map(String::as_str)).map(str::to_owned);
        let (key, found) = (node.key.to_owned(), text.to_owned());
        reader.fail_at(node, Problem::Word { key, found, words, nearest })
    }
}

/// The text of a report format in a file.
pub(super) fn report_text(format: &ReportFormat) -> String {
    match format {
        ReportFormat::Junit(path) => format!("junit:{path}"),
        other => REPORTS
            .iter()
            .find(|(_, known)| known == other)
            .map(|(word, _)| (*word).to_owned())
            .expect("every format but junit is in the table"),
    }
}

/// A type whose values are a few words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every value and its word.
    const CHOICES: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::CHOICES.iter().find(|(_, value)| *value == self).map(|(word, _)| *word).expect("every value has a word")
    }
}

macro_rules! choices {
    ($($type:ty = $choices:expr;)+) => {$(
        impl Choice for $type {
            const CHOICES: &'static [(&'static str, Self)] = $choices;
        }

        impl Read for $type {
            fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
                let list: Vec<&str> = Self::CHOICES.iter().map(|(word, _)| *word).collect();
                let text = reader.string(node, &format!("one of {}", list.join(", ")))?;
                if let Some((_, value)) = Self::CHOICES.iter().find(|(word, _)| *word == text) {
                    return Some(*value);
                }
                let nearest = nearest(text, list.iter().copied()).map(str::to_owned);
                let words = list.into_iter().map(str::to_owned).collect();
                let (key, found) = (node.key.to_owned(), text.to_owned());
                reader.fail_at(node, Problem::Word { key, found, words, nearest })
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = Self::CHOICES.iter().map(|(word, _)| *word).collect();
                json_schema!({ "type": "string", "enum": words })
            }
        }
    )+};
}

choices! {
    LimitAction = Self::WORDS;
    VerifyOn = &[("done", Self::Done), ("check-in", Self::CheckIn), ("file-change", Self::FileChange)];
    MergeStrategy = &[("squash", Self::Squash), ("merge", Self::Merge), ("rebase", Self::Rebase)];
    Requirement = &[("green", Self::Green), ("approved", Self::Approved), ("reviewed", Self::Reviewed)];
    SandboxMode = &[("worktree", Self::Worktree), ("strict", Self::Strict), ("off", Self::Off)];
    PromptVia = &[("arg", Self::Arg), ("stdin", Self::Stdin), ("type", Self::Type), ("none", Self::None)];
}

macro_rules! names {
    ($($type:ty),+) => {$(
        impl Read for $type {
            fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
                let text = reader.string(node, "a text")?;
                match <$type>::new(text) {
                    Ok(name) => Some(name),
                    Err(reason) => reader.fail_at(node, Problem::Name { key: node.key.to_owned(), reason }),
                }
            }
        }
    )+};
}
names!(AgentName, CheckName, Pattern);

/// The JSON schema of a type that is written in one place only, so that it needs no name.
macro_rules! schema {
    ($([$($generics:tt)*] $type:ty => $generator:ident $schema:expr;)+) => {$(
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

schema! {
    [const MIN: u64, const MAX: u64] Count<MIN, MAX> => _generator
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX });
    [] Dollars => _generator json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": bounds::COST_USD });
    [] Span => _generator json_schema!({ "type": "string", "pattern": "^\\s*([0-9]+(ms|s|m|h|d))+\\s*$" });
    [] Words => _generator json_schema!({ "type": "string", "pattern": "\\S" });
    [] Revision => _generator json_schema!({ "type": "string", "pattern": "^[^-\\s]\\S*$" });
    [] AgentArg => _generator json_schema!({ "type": "string" });
    [] NotifyArg => _generator json_schema!({ "type": "string" });
    [] Environment => _generator json_schema!({
        "type": "object",
        "propertyNames": { "not": { "pattern": "^STANDUP_" } },
        "additionalProperties": { "type": "string" },
    });
    [T: Read] ByAgent<T> => generator json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$" },
        "additionalProperties": generator.subschema_for::<T>(),
    });
    [] PortRange => _generator json_schema!({ "type": "string", "pattern": "^\\s*[0-9]{1,5}\\s*-\\s*[0-9]{1,5}\\s*$" });
    [] ReportFormat => _generator {
        let words: Vec<&str> = REPORTS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "anyOf": [{ "enum": words }, { "pattern": "^junit:[^/]" }] })
    };
    [] AgentName => _generator json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$" });
    [] CheckName => _generator json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$" });
    [] Pattern => _generator json_schema!({ "type": "string", "minLength": 1 });
}
