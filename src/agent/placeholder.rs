//! Placeholders in commands: `{brief}`, `{worktree}` and their like.
//!
//! **Invariant:** a value is put in as it is, into one argument, and never read again: a brief that
//! contains `{task}` stays as it was written. Braces around anything but a lower-case word (JSON,
//! inline TOML) are left alone; `{{word}}` is a literal `{word}`. Must not know: where values come from.

use std::collections::BTreeMap;

/// What a user's command may name.
pub const USER: &[&str] = &["brief", "prompt", "worktree", "task", "branch"];

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{{{name}}} in {word:?} has no value{hint}")]
pub struct PlaceholderError {
    /// Its name.
    pub name: String,
    /// The argument it stands in.
    pub word: String,
    /// The one probably meant, or all there are.
    pub hint: String,
}

/// Checks that every placeholder of `word` is one of `known`.
///
/// # Errors
/// The first that is not.
pub fn check(word: &str, known: &[&str]) -> Result<(), PlaceholderError> {
    for part in parts(word) {
        if let Part::Name(name) = part
            && !known.contains(&name)
        {
            return Err(PlaceholderError { name: name.to_owned(), word: word.to_owned(), hint: hint(name, known) });
        }
    }
    Ok(())
}

/// Whether `word` names the placeholder `name`.
#[must_use]
pub fn mentions(word: &str, name: &str) -> bool {
    parts(word).any(|part| part == Part::Name(name))
}

/// Fills in the values.
///
/// # Errors
/// A placeholder that has none.
pub fn fill(word: &str, values: &BTreeMap<&str, String>) -> Result<String, PlaceholderError> {
    let mut out = String::with_capacity(word.len());
    for part in parts(word) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Name(name) => match values.get(name) {
                Some(value) => out.push_str(value),
                None => {
                    let known: Vec<&str> = values.keys().copied().collect();
                    let hint = hint(name, &known);
                    return Err(PlaceholderError { name: name.to_owned(), word: word.to_owned(), hint });
                }
            },
        }
    }
    Ok(out)
}

fn hint(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, k)| *distance <= k.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, k)) => format!("; did you mean {{{k}}}?"),
        None => format!("; there are {}", known.iter().map(|k| format!("{{{k}}}")).collect::<Vec<_>>().join(" ")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn parts(word: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, doubled)) = name_at(rest) {
            let (whole, part) = if doubled {
                (name.len() + 4, Part::Text(&rest[1..name.len() + 3]))
            } else {
                (name.len() + 2, Part::Name(name))
            };
            rest = &rest[whole..];
            return Some(part);
        }
        let end = (1..rest.len()).find(|&i| rest.as_bytes()[i] == b'{' && name_at(&rest[i..]).is_some());
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(Part::Text(text))
    })
}

/// The name in braces at the start of `text`, and whether the braces are doubled.
fn name_at(text: &str) -> Option<(&str, bool)> {
    let inner = text.strip_prefix('{')?;
    let (inner, doubled) = inner.strip_prefix('{').map_or((inner, false), |i| (i, true));
    let end = inner.find(|c: char| !(c.is_ascii_lowercase() || c == '_'))?;
    let close = if doubled { "}}" } else { "}" };
    (end > 0 && inner[end..].starts_with(close)).then(|| (&inner[..end], doubled))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> BTreeMap<&'static str, String> {
        [("brief", "/b".to_owned()), ("task", "{brief}".to_owned())].into()
    }

    #[test]
    fn values_are_put_in_once_and_never_read_again() {
        assert_eq!(fill("--file={brief}", &values()).as_deref(), Ok("--file=/b"));
        assert_eq!(fill("{task}{brief}", &values()).as_deref(), Ok("{brief}/b"));
    }

    #[test]
    fn braces_of_other_languages_are_left_alone() {
        for word in [r#"{"a":{"b":1}}"#, "projects={x=1}", "{}", "{{}}", "{A}", "{a b}", "{", "}", "a{"] {
            assert_eq!(fill(word, &values()).as_deref(), Ok(word));
        }
        assert_eq!(fill("{{brief}}", &values()).as_deref(), Ok("{brief}"));
    }

    #[test]
    fn a_misspelt_placeholder_is_an_error_with_the_nearest() {
        let error = check("x={worktre}", USER).expect_err("misspelt").to_string();
        assert_eq!(error, "{worktre} in \"x={worktre}\" has no value; did you mean {worktree}?");
        assert!(check("{nonsense}", USER).expect_err("unknown").to_string().contains("{brief} {prompt}"));
        assert!(check("{{nonsense}}", USER).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(word in "[{}a-c\"ä ]{0,24}") {
            if check(&word, &["a"]).is_ok() {
                fill(&word, &[("a", "X".to_owned())].into()).expect("checked before");
            }
        }
    }
}
