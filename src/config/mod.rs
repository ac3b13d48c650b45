//! `agents.toml` and user settings: text in, typed settings with their places out.
//!
//! [`parse`] reads one file, [`merge`] lays files over each other and over the defaults; [`edit`]
//! changes a file and keeps its comments; [`commands`] is what a repository's file could make run.
//! A new key goes into `raw`, its value into `leaf`, its meaning into `settle` and `document`.
//!
//! **Invariant:** settings come out only if every file is right; a caller who gets errors still
//! holds the last good ones. Must not know: where files are, who owns them, what was approved.

pub mod commands;
pub mod detect;
mod document;
pub mod edit;
pub mod error;
mod leaf;
mod raw;
mod read;
mod schema;
mod settle;
mod source;
mod template;

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

pub use self::commands::CommandSet;
pub use self::error::{ConfigError, Place, Problem};
pub use self::schema::schema;
pub use self::source::{Kind, MAX_BYTES, Source};
pub use self::template::{Found, FoundAgent, template};

use self::raw::Raw;
use self::read::{Node, Read, Reader};
use self::source::Text;
use crate::model::name::AgentName;
use crate::model::settings::{AgentSettings, PromptVia, Settings};
use crate::model::text::nearest;

/// One file, read and right in itself; [`merge`] makes settings of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    kind: Kind,
    raw: Raw,
}

/// What all files together say, and where each value was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The settings.
    pub settings: Settings,
    /// What the repository's files could make run; the user's own commands are not in it.
    pub commands: CommandSet,
    places: BTreeMap<String, Place>,
}

/// Reads one configuration file.
///
/// # Errors
/// Every mistake in it, in the order of the file. Where the file is no TOML, only that is said.
pub fn parse(source: &Source<'_>) -> Result<Layer, Vec<ConfigError>> {
    let text = Text::decode(source).map_err(|error| vec![*error])?;
    let (tree, syntax) = DeTable::parse_recoverable(text.text);
    if !syntax.is_empty() {
        let errors = syntax.iter().map(|error| syntax_error(&text, error));
        return Err(in_order(errors.collect()));
    }
    let mut reader = Reader::new::<Raw>(&text, source.kind);
    if !right_schema(tree.get_ref(), &mut reader) {
        return Err(in_order(reader.errors));
    }
    let tree = toml::Spanned::new(tree.span(), DeValue::Table(tree.into_inner()));
    let raw = raw::read(Node { key: "", tree: &tree }, &mut reader);
    match raw {
        Some(raw) if reader.errors.is_empty() => Ok(Layer { kind: source.kind, raw }),
        _ => Err(in_order(reader.errors)),
    }
}

/// Lays files over each other, the weakest first: the user's, `agents.toml`,
/// `.standup/agents.toml`. What no file says is the default. Lists replace each other as a whole.
///
/// # Errors
/// What is wrong only when all are seen together: a name of an agent that none configures, an
/// agent without a command, too few ports.
pub fn merge(layers: impl IntoIterator<Item = Layer>) -> Result<Effective, Vec<ConfigError>> {
    let (mut all, mut own, mut repository) = (Raw::default(), Raw::default(), Raw::default());
    for Layer { kind, raw } in layers {
        match kind {
            Kind::User => own = Raw::merge(own, raw.clone()),
            Kind::Repository => repository = Raw::merge(repository, raw.clone()),
        }
        all = Raw::merge(all, raw);
    }
    let settings = settle::settle(&all).map_err(in_order)?;
    let mut places = BTreeMap::new();
    let nowhere = Place { file: "".into(), line: 0, column: 0 };
    all.trace("", &nowhere, &mut places);
    Ok(Effective { settings, commands: CommandSet::of(&repository, &own), places })
}

impl Effective {
    /// The settings as TOML, each value with where it came from.
    #[must_use]
    pub fn show(&self) -> String {
        document::document(&self.settings, &|path| Some(self.origin(path))).to_string()
    }

    /// One value by its path (`wip.build`), as TOML; `None` where nothing is set.
    ///
    /// # Errors
    /// [`UnknownKey`] for a path that no file may have.
    pub fn get(&self, path: &str) -> Result<Option<String>, UnknownKey> {
        let document = document::document(&self.settings, &|_| None);
        let mut item = Some(document.as_item());
        for part in path.split('.') {
            item = item.and_then(|item| item.as_table_like()).and_then(|table| table.get(part));
        }
        match item {
            Some(item) => Ok(Some(item.to_string().trim().to_owned())),
            None => UnknownKey::check(path).map(|()| None),
        }
    }

    /// What is wrong where an agent speaks through an adapter that there is not; `known` are those
    /// there are.
    ///
    /// # Errors
    /// One for each such agent.
    pub fn require_adapters(&self, known: &[&str]) -> Result<(), Vec<ConfigError>> {
        self.refuse_agents("adapter", |key, agent| {
            if known.contains(&agent.adapter.as_str()) {
                return None;
            }
            let nearest = nearest(&agent.adapter, known.iter().copied()).map(str::to_owned);
            let (found, known) = (agent.adapter.clone(), known.iter().map(|name| (*name).to_owned()).collect());
            Some(Problem::UnknownAdapter { key, found, known, nearest })
        })
    }

    /// What is wrong where an agent is to have its prompt typed, through an adapter that `reads`
    /// does not hold of.
    ///
    /// # Errors
    /// One for each such agent.
    pub fn require_typing(&self, reads: impl Fn(&str) -> bool) -> Result<(), Vec<ConfigError>> {
        self.refuse_agents("prompt", |key, agent| {
            let adapter = agent.adapter.clone();
            let is_wrong = agent.prompt == Some(PromptVia::Type) && !reads(&adapter);
            is_wrong.then_some(Problem::Untypeable { key, adapter })
        })
    }

    /// The problems with one key of agents, where a file sets it.
    fn refuse_agents(
        &self,
        key: &str,
        problem: impl Fn(String, &AgentSettings) -> Option<Problem>,
    ) -> Result<(), Vec<ConfigError>> {
        let wrong = |(name, agent): (&AgentName, &AgentSettings)| {
            let path = format!("agents.{name}.{key}");
            let place = self.places.get(&path)?.clone();
            problem(path, agent).map(|problem| ConfigError { place, problem })
        };
        let errors: Vec<ConfigError> = self.settings.agents.iter().filter_map(wrong).collect();
        if errors.is_empty() { Ok(()) } else { Err(in_order(errors)) }
    }

    /// Where the value of a path was written: `agents.toml:14` or `default`.
    #[must_use]
    pub fn origin(&self, path: &str) -> String {
        // A section was written where its first key was.
        let below = format!("{path}.");
        let first = || self.places.range(below.clone()..).next().filter(|(key, _)| key.starts_with(&below));
        match self.places.get(path).or_else(|| first().map(|(_, place)| place)) {
            Some(place) => format!("{}:{}", place.file, place.line),
            None => "default".to_owned(),
        }
    }
}

/// A path that no configuration file may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key {key}{}", nearest.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
pub struct UnknownKey {
    /// What was asked for.
    pub key: String,
    /// The nearest known path.
    pub nearest: Option<String>,
}

impl UnknownKey {
    /// Whether a path is a key or a section; `*` stands for any name.
    fn check(path: &str) -> Result<(), Self> {
        let mut known = Vec::new();
        Raw::keys("", &mut known);
        let parts: Vec<&str> = path.split('.').collect();
        let fits = |key: &String| {
            let mut wanted = key.split('.');
            let same = parts.iter().all(|part| wanted.next().is_some_and(|w| w == *part || w == "*"));
            // The environment of an agent has names of its own below it.
            same || (key.ends_with(".env") && parts.len() == 4 && parts[0] == "agents" && parts[2] == "env")
        };
        if known.iter().any(fits) {
            return Ok(());
        }
        Err(Self { key: path.to_owned(), nearest: read::nearest_key(path, &known) })
    }
}

/// A mistake of the TOML parser in our words.
fn syntax_error(text: &Text<'_>, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(text.text.len()..text.text.len());
    let told = error.message().replace('`', "'");
    let told = match text.text.get(span.clone()) {
        Some(key) if told == "duplicate key" => format!("{key} is written twice in this section"),
        _ if told.starts_with("string values must be quoted") => "a text must stand in quotes".to_owned(),
        _ => told,
    };
    text.error(span.start, Problem::Syntax { text: told })
}

/// Whether the file follows the one schema there is. Another one makes all other errors noise.
fn right_schema(root: &DeTable<'_>, reader: &mut Reader<'_>) -> bool {
    match root.get("schema") {
        None => {
            // Other mistakes are still worth knowing: the line is forgotten more often than a
            // file is of another kind.
            reader.fail(0, Problem::NoSchema);
            true
        }
        Some(value) => match value.get_ref() {
            DeValue::Integer(number) if number.as_str() != "1" => {
                reader.fail(value.span().start, Problem::WrongSchema { found: number.to_string() });
                false
            }
            _ => true,
        },
    }
}

fn in_order(mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    errors.sort_by(|a, b| a.place.cmp(&b.place));
    errors
}

#[cfg(test)]
mod tests;
