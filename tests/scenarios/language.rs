//! Lines of a story into words.

use std::collections::BTreeMap;

/// A line: its verb, its words, and its `name=value` pairs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) verb: String,
    pub(crate) words: Vec<String>,
    pub(crate) with: BTreeMap<String, String>,
}

impl Line {
    pub(crate) fn word(&self, place: usize) -> Result<&str, String> {
        self.words.get(place).map(String::as_str).ok_or_else(|| format!("word {} is missing", place + 1))
    }

    pub(crate) fn word_or<'a>(&'a self, place: usize, fallback: &'a str) -> &'a str {
        self.words.get(place).map_or(fallback, String::as_str)
    }

    /// A note of the agent's own, beside its state.
    pub(crate) fn text(&self) -> &str {
        self.with.get("text").map_or("", String::as_str)
    }

    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.with.get(name).map(|v| v.split(',').collect()).unwrap_or_default()
    }
}

/// Words are parted by spaces; `"…"` is one word.
pub(crate) fn parse(line: &str) -> Result<Line, String> {
    let mut parsed = Line::default();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, quoted);
        if let Some(inner) = rest.strip_prefix('"') {
            let end = inner.find('"').ok_or("a quote is not closed")?;
            (word, quoted) = (&inner[..end], true);
            rest = inner[end + 1..].trim_start();
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            (word, quoted) = (&rest[..end], false);
            rest = rest[end..].trim_start();
        }
        match word.split_once('=') {
            _ if parsed.verb.is_empty() => word.clone_into(&mut parsed.verb),
            Some((name, value)) if !quoted => {
                parsed.with.insert(name.to_owned(), value.to_owned());
            }
            _ => parsed.words.push(word.to_owned()),
        }
    }
    Ok(parsed)
}
