//! Changes one value of a configuration file and leaves the rest as it was written.
//!
//! **Invariant:** what is returned has been read again and is right; comments, order and line ends
//! stay. Must not know: files.

use toml_edit::{DocumentMut, Item, Table, Value};

use super::error::{ConfigError, Place, Problem};
use super::source::BOM;
use super::{Source, UnknownKey, parse};

/// Sets a value by its path (`wip.build`) and returns the new text. `value` is TOML (`5`, `true`,
/// `["a"]`) or, where that does not fit, plain text (`15m`). An empty file gets its schema line.
///
/// # Errors
/// The mistakes of the file, if it was wrong before; else what is wrong with the key or the value.
pub fn set(source: &Source<'_>, path: &str, value: &str) -> Result<String, Vec<ConfigError>> {
    let fail = |problem| {
        let place = Place { file: source.label.into(), line: 1, column: 1 };
        vec![ConfigError { place, problem }]
    };
    let text = String::from_utf8_lossy(source.bytes);
    let empty = text.trim_start_matches(BOM).trim().is_empty();
    let before = if empty { "schema = 1\n".to_owned() } else { text.clone().into_owned() };
    if !empty {
        parse(source)?;
    }
    if let Err(UnknownKey { key, nearest }) = UnknownKey::check(path) {
        return Err(fail(Problem::UnknownKey { key, nearest }));
    }
    let candidates = [value.parse::<Value>().ok(), Some(Value::from(value))];
    let mut first_errors = None;
    for candidate in candidates.into_iter().flatten() {
        let changed = replace(&before, path, candidate).ok_or_else(|| not_settable(&fail, path))?;
        match parse(&Source { bytes: changed.as_bytes(), ..*source }) {
            Ok(_) => return Ok(changed),
            Err(errors) => first_errors = first_errors.or(Some(errors)),
        }
    }
    Err(first_errors.expect("a value can always be taken as text"))
}

fn not_settable(fail: &dyn Fn(Problem) -> Vec<ConfigError>, path: &str) -> Vec<ConfigError> {
    fail(Problem::NotSettable { key: path.to_owned() })
}

/// The text with one value replaced; `None` where the path leads through a list or into a value.
fn replace(text: &str, path: &str, mut value: Value) -> Option<String> {
    let bare = text.strip_prefix(BOM).unwrap_or(text);
    let crlf = bare.contains("\r\n");
    let mut document: DocumentMut = bare.parse().ok()?;
    let (sections, key) = path.rsplit_once('.').unwrap_or(("", path));
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let mut item: &mut Item = document.as_item_mut();
    let mut made = false;
    for part in sections.split('.').filter(|part| !part.is_empty()) {
        let table = item.as_table_like_mut()?;
        made |= !table.contains_key(part);
        item = table.entry(part).or_insert_with(|| Item::Table(new_section(&trailing)));
    }
    let table = item.as_table_like_mut()?;
    match table.get_mut(key) {
        // The remark behind the old value belongs to the key.
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(_) => return None,
        None => {
            table.insert(key, Item::Value(value));
        }
    }
    if made {
        // It now stands before the new section, which is the last.
        document.set_trailing("");
    }
    let mut written = document.to_string();
    if crlf {
        written = written.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    Some(if text.starts_with(BOM) { format!("{BOM}{written}") } else { written })
}

/// A section at the end of the file, after the remarks that ended it so far: under the new header
/// they would seem to speak of it.
fn new_section(trailing: &str) -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table.set_position(Some(isize::MAX));
    table.decor_mut().set_prefix(format!("{trailing}\n"));
    table
}
