//! Reads a parsed TOML tree into typed values and collects every mistake on the way.
//!
//! A type says once what it accepts; reading, the JSON schema, the list of known keys and the
//! provenance of values all come from that one declaration (see [`section`]).
//!
//! **Invariant:** reading goes on after a mistake, so one run finds them all; a value that came
//! through needs no second check. Must not know: which keys there are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::source::{Kind, Text};
use crate::model::text::nearest;

/// For so many mistakes the key that was meant is looked for; nobody reads more.
const GUESSES: usize = 100;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What reading needs to know and what it found.
pub(super) struct Reader<'a> {
    pub(super) text: &'a Text<'a>,
    pub(super) kind: Kind,
    /// Every key there is, for "did you mean".
    known: Vec<String>,
    pub(super) errors: Vec<ConfigError>,
}

/// One value on its way in: the path of its key and the parsed tree.
#[derive(Clone, Copy)]
pub(super) struct Node<'a, 'i> {
    pub(super) key: &'a str,
    pub(super) tree: &'a Spanned<DeValue<'i>>,
}

/// A type that can be read from TOML.
pub(super) trait Read: Sized + JsonSchema {
    /// Reads one value; a mistake is recorded in `reader` and gives `None`.
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// The value that holds when two files speak of it: the stronger one, key by key in sections.
    fn merge(_weak: Self, strong: Self) -> Self {
        strong
    }

    /// Records where this value and those in it were written.
    fn trace(&self, path: &str, place: &Place, found: &mut BTreeMap<String, Place>) {
        found.insert(path.to_owned(), place.clone());
    }

    /// Records every key this type reads.
    fn keys(path: &str, found: &mut Vec<String>) {
        found.push(path.to_owned());
    }
}

/// A path one key deeper.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The stronger of two values that may be absent.
pub(super) fn merge<T: Read>(weak: Option<At<T>>, strong: Option<At<T>>) -> Option<At<T>> {
    match (weak, strong) {
        (Some(weak), Some(strong)) => Some(At { value: T::merge(weak.value, strong.value), place: strong.place }),
        (weak, strong) => strong.or(weak),
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new<Root: Read>(text: &'a Text<'a>, kind: Kind) -> Self {
        let mut known = Vec::new();
        Root::keys("", &mut known);
        Self { text, kind, known, errors: Vec::new() }
    }

    /// Records a mistake at a byte offset.
    pub(super) fn fail(&mut self, offset: usize, problem: Problem) {
        self.errors.push(self.text.error(offset, problem));
    }

    /// Records a mistake at a place.
    pub(super) fn fail_in(&mut self, place: &Place, problem: Problem) {
        self.errors.push(ConfigError { place: place.clone(), problem });
    }

    /// Records a mistake in a value.
    pub(super) fn fail_at<T>(&mut self, node: Node<'_, '_>, problem: Problem) -> Option<T> {
        self.fail(node.tree.span().start, problem);
        None
    }

    /// Reads a value and keeps its place.
    pub(super) fn at<T: Read>(&mut self, key: &str, tree: &Spanned<DeValue<'_>>) -> Option<At<T>> {
        let value = T::read(Node { key, tree }, self)?;
        Some(At { value, place: self.text.place(tree.span().start) })
    }

    /// The table that a section needs.
    pub(super) fn table<'n, 'i>(&mut self, node: Node<'n, 'i>) -> Option<&'n DeTable<'i>> {
        match node.tree.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong_type(node, "a section"),
        }
    }

    /// The text that a value needs.
    pub(super) fn string<'n>(&mut self, node: Node<'n, '_>, wanted: &str) -> Option<&'n str> {
        match node.tree.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(node, wanted),
        }
    }

    /// Records a value of the wrong type.
    pub(super) fn wrong_type<T>(&mut self, node: Node<'_, '_>, wanted: &str) -> Option<T> {
        let found = match node.tree.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        let wanted = wanted.to_owned();
        self.fail_at(node, Problem::Type { key: node.key.to_owned(), wanted, found })
    }

    /// Records a key nobody reads, with the nearest that is read.
    pub(super) fn unknown(&mut self, offset: usize, key: String) {
        let nearest = if self.errors.len() < GUESSES { nearest_key(&key, &self.known) } else { None };
        self.fail(offset, Problem::UnknownKey { key, nearest });
    }
}

/// The known key nearest to `key`: a neighbour of almost this name, else the same name elsewhere.
pub(super) fn nearest_key(key: &str, known: &[String]) -> Option<String> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let neighbours: Vec<&str> = known.iter().filter_map(|path| within(path, section)).collect();
    if let Some(found) = nearest(name, neighbours) {
        return Some(join(section, found));
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .iter()
        .find(|path| last(path) == name)
        .cloned()
        .or_else(|| nearest(key, known.iter().map(String::as_str)).map(str::to_owned))
}

/// The next part of `path` below `section`, where `*` in the path stands for any name.
fn within<'a>(path: &'a str, section: &str) -> Option<&'a str> {
    let mut parts = path.split('.');
    for wanted in section.split('.').filter(|part| !part.is_empty()) {
        parts.next().filter(|&part| part == wanted || part == "*")?;
    }
    parts.next().filter(|&part| part != "*")
}

impl<T: Read> Read for Vec<At<T>> {
    fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = node.tree.get_ref() else {
            return reader.wrong_type(node, "a list");
        };
        let read: Vec<_> = items.iter().filter_map(|item| reader.at(node.key, item)).collect();
        (read.len() == items.len()).then_some(read)
    }

    fn keys(path: &str, found: &mut Vec<String>) {
        T::keys(path, found);
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Declares a section: its keys, their types and their documentation. Everything else follows.
macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $about:literal])+ $key:ident: $type:ty,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(super) struct $name {
            $($(#[doc = $about])+ pub(super) $key: Option<At<$type>>,)+
            /// Keys that were there and could not be read; each has been reported.
            pub(super) wrong: Vec<&'static str>,
        }

        impl Read for $name {
            fn read(node: Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
                let mut section = Self::default();
                for (key, tree) in reader.table(node)? {
                    let path = join(node.key, key.get_ref());
                    match key.get_ref().as_ref() {
                        $(stringify!($key) => {
                            section.$key = reader.at(&path, tree);
                            if section.$key.is_none() {
                                section.wrong.push(stringify!($key));
                            }
                        })+
                        _ => reader.unknown(key.span().start, path),
                    }
                }
                Some(section)
            }

            fn merge(weak: Self, strong: Self) -> Self {
                Self { $($key: merge(weak.$key, strong.$key),)+ wrong: Vec::new() }
            }

            fn trace(&self, path: &str, _: &Place, found: &mut BTreeMap<String, Place>) {
                $(if let Some(at) = &self.$key {
                    at.value.trace(&join(path, stringify!($key)), &at.place, found);
                })+
            }

            fn keys(path: &str, found: &mut Vec<String>) {
                $(<$type>::keys(&join(path, stringify!($key)), found);)+
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut properties = serde_json::Map::new();
                $({
                    let mut schema = generator.subschema_for::<$type>();
                    schema.insert("description".into(), concat!($($about),+).trim().into());
                    properties.insert(stringify!($key).into(), schema.to_value());
                })+
                schemars::json_schema!({
                    "type": "object",
                    "description": concat!($($doc),+).trim(),
                    "properties": properties,
                    "additionalProperties": false,
                })
            }
        }
    };
}
pub(super) use section;
