//! What a task asks for beside its text: the front matter of a brief, and the same keys written in
//! a list of tasks.
//!
//! **Invariant:** each key is checked in one place, wherever it was written. Must not know: how
//! needs are resolved.

use super::error::{Faults, Problem};
use super::yaml::{Spot, Value};
use crate::model::name::{AgentName, NameError, Pattern};
use crate::model::settings::{LimitAction, LimitOverrides, Mode, Priority, bounds};
use crate::model::text::nearest;
use crate::model::time::Span;

/// The keys of a front matter.
pub(super) const KEYS: &[&str] =
    &["title", "labels", "priority", "needs", "agent", "base", "touches", "off_limits", "mode", "check_in", "limits"];

/// The keys of `limits`.
const LIMIT_KEYS: &[&str] = &[
    "wall_clock",
    "late_check_ins",
    "red_verdicts",
    "same_failure",
    "changed_lines",
    "changed_files",
    "tokens",
    "cost_usd",
    "off_limits",
    "action",
];

/// What a task asks for; `None` and empty lists leave the choice to the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Front {
    /// Words to find it by.
    pub labels: Vec<String>,
    /// What starts first.
    pub priority: Option<Priority>,
    /// Tasks that must be done before, as they were written.
    pub needs: Vec<String>,
    /// The agent that takes it.
    pub agent: Option<AgentName>,
    /// Branch or revision it starts from.
    pub base: Option<String>,
    /// Paths it will change.
    pub touches: Vec<Pattern>,
    /// Paths it must not change.
    pub off_limits: Vec<Pattern>,
    /// How much is handed over.
    pub mode: Option<Mode>,
    /// Time between check-ins.
    pub check_in: Option<Span>,
    /// Its own limits.
    pub limits: LimitOverrides,
}

/// Reads a whole front matter; the title apart.
pub(super) fn read(tree: Spot<Value>, faults: &mut Faults<'_>) -> (Option<String>, Front) {
    let (mut title, mut front) = (None, Front::default());
    let entries = match tree.value {
        Value::Map(entries) => entries,
        Value::Null => Vec::new(),
        _ => {
            let wanted = "lines of the form key: value".to_owned();
            faults.at(tree.line, tree.column, Problem::Type { key: "the front matter".into(), wanted });
            Vec::new()
        }
    };
    for (key, value) in entries {
        if key.value == "title" {
            title = Reader { key: "title", faults }.text(&value);
        } else if !set(&mut front, &key.value, &value, faults) {
            let nearest = nearest(&key.value, KEYS.iter().copied()).map(str::to_owned);
            faults.at(key.line, key.column, Problem::UnknownKey { key: key.value, nearest });
        }
    }
    (title, front)
}

/// Sets one key but the title; `false` if there is no such key.
pub(super) fn set(front: &mut Front, key: &str, value: &Spot<Value>, faults: &mut Faults<'_>) -> bool {
    let mut reader = Reader { key, faults };
    match key {
        "labels" => front.labels.extend(reader.texts(value)),
        "priority" => front.priority = reader.word(value, Priority::WORDS),
        "needs" => front.needs.extend(reader.texts(value)),
        "agent" => front.agent = reader.text(value).and_then(|text| reader.name(value, AgentName::new(text))),
        "base" => front.base = reader.revision(value),
        "touches" => front.touches.extend(reader.patterns(value)),
        "off_limits" => front.off_limits.extend(reader.patterns(value)),
        "mode" => front.mode = reader.word(value, Mode::WORDS),
        "check_in" => front.check_in = reader.span(value),
        "limits" => limits(&mut front.limits, value, faults),
        _ => return false,
    }
    true
}

fn limits(limits: &mut LimitOverrides, value: &Spot<Value>, faults: &mut Faults<'_>) {
    let entries = match &value.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Null => &[],
        _ => {
            let wanted = "lines of the form key: value below it".to_owned();
            return faults.at(value.line, value.column, Problem::Type { key: "limits".into(), wanted });
        }
    };
    for (key, value) in entries {
        let path = format!("limits.{}", key.value);
        let mut reader = Reader { key: &path, faults };
        match key.value.as_str() {
            "wall_clock" => limits.wall_clock = reader.span(value),
            "late_check_ins" => limits.late_check_ins = reader.small(value),
            "red_verdicts" => limits.red_verdicts = reader.small(value),
            "same_failure" => limits.same_failure = reader.small(value),
            "changed_lines" => limits.changed_lines = reader.count(value, bounds::LINES),
            "changed_files" => limits.changed_files = reader.count(value, bounds::FILES),
            "tokens" => limits.tokens = reader.count(value, bounds::TOKENS),
            "cost_usd" => limits.cost_usd = reader.dollars(value),
            "off_limits" => limits.off_limits = reader.word(value, LimitAction::WORDS),
            "action" => limits.action = reader.word(value, LimitAction::WORDS),
            other => {
                let nearest = nearest(other, LIMIT_KEYS.iter().copied()).map(|word| format!("limits.{word}"));
                faults.at(key.line, key.column, Problem::UnknownKey { key: path, nearest });
            }
        }
    }
}

/// Reads the values of one key.
struct Reader<'r, 'f> {
    key: &'r str,
    faults: &'r mut Faults<'f>,
}

impl Reader<'_, '_> {
    fn fail<T>(&mut self, value: &Spot<Value>, problem: Problem) -> Option<T> {
        self.faults.at(value.line, value.column, problem);
        None
    }

    fn wrong<T>(&mut self, value: &Spot<Value>, wanted: impl Into<String>) -> Option<T> {
        self.fail(value, Problem::Type { key: self.key.to_owned(), wanted: wanted.into() })
    }

    fn text(&mut self, value: &Spot<Value>) -> Option<String> {
        match &value.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => self.wrong(value, "a text that is not empty"),
        }
    }

    /// A list of texts; a single one needs no brackets, and nothing is an empty list.
    fn spots<'v>(&mut self, value: &'v Spot<Value>) -> Vec<(String, &'v Spot<Value>)> {
        match &value.value {
            Value::Null => Vec::new(),
            Value::List(items) => items.iter().filter_map(|item| Some((self.text(item)?, item))).collect(),
            _ => self.text(value).map(|text| (text, value)).into_iter().collect(),
        }
    }

    fn texts(&mut self, value: &Spot<Value>) -> Vec<String> {
        self.spots(value).into_iter().map(|(text, _)| text).collect()
    }

    fn patterns(&mut self, value: &Spot<Value>) -> Vec<Pattern> {
        let spots = self.spots(value);
        spots.into_iter().filter_map(|(text, item)| self.name(item, Pattern::new(text))).collect()
    }

    fn name<T>(&mut self, value: &Spot<Value>, name: Result<T, NameError>) -> Option<T> {
        name.map_err(|reason| self.fail::<T>(value, Problem::Name { key: self.key.to_owned(), reason })).ok()
    }

    fn revision(&mut self, value: &Spot<Value>) -> Option<String> {
        let text = self.text(value)?;
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return self.wrong(value, "a branch or revision");
        }
        Some(text)
    }

    fn word<T: Copy>(&mut self, value: &Spot<Value>, words: &[(&str, T)]) -> Option<T> {
        let found = self.text(value)?;
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == found) {
            return Some(*choice);
        }
        let nearest = nearest(&found, words.iter().map(|(word, _)| *word)).map(str::to_owned);
        let words = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.fail(value, Problem::Word { key: self.key.to_owned(), found, words, nearest })
    }

    fn span(&mut self, value: &Spot<Value>) -> Option<Span> {
        let text = self.text(value)?;
        match text.parse() {
            Ok(span) => Some(span),
            Err(reason) => self.fail(value, Problem::Duration { key: self.key.to_owned(), reason }),
        }
    }

    fn count(&mut self, value: &Spot<Value>, max: u64) -> Option<u64> {
        let text = self.text(value)?;
        match text.replace('_', "").parse() {
            Ok(n) if (1..=max).contains(&n) => Some(n),
            _ => self.wrong(value, format!("a whole number from 1 to {max}, not {text:?}")),
        }
    }

    fn small(&mut self, value: &Spot<Value>) -> Option<u32> {
        let n = self.count(value, bounds::IN_A_ROW)?;
        Some(u32::try_from(n).expect("bounded far below 2^32"))
    }

    fn dollars(&mut self, value: &Spot<Value>) -> Option<f64> {
        let text = self.text(value)?;
        match text.parse::<f64>() {
            Ok(n) if n > 0.0 && n <= bounds::COST_USD => Some(n),
            _ => self.wrong(value, format!("an amount above 0, up to {}, not {text:?}", bounds::COST_USD)),
        }
    }
}
