//! YAML as a tree of texts with places: the least a front matter needs.
//!
//! **Invariant:** a scalar keeps the spelling of the file (`1.10` stays `1.10`). Must not know: keys.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and where it stands, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing: `key:`.
    Null,
    /// Any scalar.
    Text(String),
    /// A list.
    List(Vec<Spot<Value>>),
    /// A map, in the order of the file.
    Map(Vec<(Spot<String>, Spot<Value>)>),
}

/// Where and why a text is no YAML.
pub(super) struct YamlError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) text: String,
}

/// Parses a document whose first line is `first_line` of its file.
pub(super) fn parse(text: &str, first_line: u32) -> Result<Spot<Value>, YamlError> {
    let tree: Spanned<Tree> = serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location();
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let told = error.without_snippet().to_string();
        let text = told.lines().next().unwrap_or_default();
        // The place is said in front of the message.
        let text = text.split(" at line ").next().unwrap_or(text).to_owned();
        let line = at.map_or(0, |at| number(at.line()).saturating_sub(1)) + first_line;
        YamlError { line, column: at.map_or(1, |at| number(at.column())), text }
    })?;
    Ok(Source { text, first_line }.value(&tree))
}

/// What the YAML reader gives.
enum Tree {
    Null,
    /// A scalar that YAML takes for a text.
    Text(String),
    /// Another scalar; its spelling is in the source.
    Other(String),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

struct Source<'a> {
    text: &'a str,
    first_line: u32,
}

impl Source<'_> {
    fn spot<A, B>(&self, from: &Spanned<A>, value: B) -> Spot<B> {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let at = from.referenced;
        Spot { value, line: number(at.line()).saturating_sub(1) + self.first_line, column: number(at.column()).max(1) }
    }

    fn value(&self, tree: &Spanned<Tree>) -> Spot<Value> {
        let value = match &tree.value {
            Tree::Null => Value::Null,
            Tree::Text(text) => Value::Text(text.clone()),
            Tree::Other(text) => Value::Text(self.spelling(tree).unwrap_or(text).to_owned()),
            Tree::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Tree::Map(entries) => {
                let entry = |(key, item): &(Spanned<String>, Spanned<Tree>)| {
                    (self.spot(key, key.value.clone()), self.value(item))
                };
                Value::Map(entries.iter().map(entry).collect())
            }
        };
        self.spot(tree, value)
    }

    /// A scalar as it was written.
    fn spelling(&self, tree: &Spanned<Tree>) -> Option<&str> {
        let span = tree.referenced.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?).map(str::trim).filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}
