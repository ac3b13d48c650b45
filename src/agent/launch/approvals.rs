//! What the user's own arguments say of permissions, approvals and sandbox.
//!
//! **Invariant:** what is written after `--` says nothing; a word is read as the CLI reads it, in each
//! of its spellings. Must not know: what is passed where they say nothing.

use serde_json::{Map, Value};

use super::words;
use crate::agent::adapter::{Adapter, ApprovalRules};
use crate::agent::plain;
use crate::model::settings::{AgentSettings, Mode};

/// The argument by which an agent's settings skip approvals, if one does.
#[must_use]
pub fn unconfined(adapter: &Adapter, settings: &AgentSettings) -> Option<String> {
    adapter.approvals.find(&adapter.approvals.unconfined, &words(settings))
}

/// Why nothing but words keeps an agent from building while it shall only plan: the argument of its
/// settings that speaks of approvals in the adapter's place, or that the adapter knows of no way;
/// `None` where the CLI itself does.
#[must_use]
pub fn plan_unenforced(adapter: &Adapter, settings: &AgentSettings) -> Option<String> {
    let plans = adapter.mode.get(&Mode::Checkpoint).is_some_and(|rules| !rules.args.is_empty());
    if !plans {
        return Some(format!("the adapter {} knows no way to let it only plan", adapter.name));
    }
    let own = adapter.approvals.find(&adapter.approvals.own, &words(settings))?;
    Some(format!("{own} in its own arguments says what it may do"))
}

impl ApprovalRules {
    /// The first of `words` that one of `rules` speaks of, as it was written.
    #[must_use]
    pub fn find(&self, rules: &[String], words: &[String]) -> Option<String> {
        let end = words.iter().position(|w| w == "--").unwrap_or(words.len());
        let words = &words[..end];
        (0..words.len()).find_map(|i| rules.iter().find_map(|rule| self.says(rule, words, i)))
    }

    fn says(&self, rule: &str, words: &[String], i: usize) -> Option<String> {
        let (flag, value) = rule.split_once(' ').map_or((rule, None), |(f, v)| (f, Some(v)));
        if let Some(wanted) = value.filter(|_| self.config_flags.iter().any(|f| f == flag)) {
            let (written, given) = self.config_flags.iter().find_map(|f| given(f, words, i))?;
            return config_says(wanted, &given).then_some(written);
        }
        match value {
            Some(wanted) => given(flag, words, i).filter(|(_, v)| v == wanted).map(|(written, _)| written),
            None if words[i] == flag || plain::matches(flag, &words[i]) => Some(words[i].clone()),
            None => given(flag, words, i).filter(|(written, _)| !written.contains(' ')).map(|(written, _)| written),
        }
    }
}

/// The value that `words[i]` gives to `flag` (`-f v`, `-fv`, `--flag v`, `--flag=v`), as written and as meant.
pub(super) fn given(flag: &str, words: &[String], i: usize) -> Option<(String, String)> {
    let word = &words[i];
    if word == flag {
        let value = words.get(i + 1)?;
        return Some((format!("{word} {value}"), value.clone()));
    }
    let short = flag.len() == 2 && flag.starts_with('-');
    let rest = word.strip_prefix(flag)?;
    let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix("").filter(|_| short))?;
    Some((word.clone(), value.to_owned()))
}

/// Whether `given` (`key=value`, or an object of JSON) sets the key of `wanted`, to its value if it has one.
fn config_says(wanted: &str, given: &str) -> bool {
    let (key, value) = wanted.split_once('=').map_or((wanted, None), |(k, v)| (k, Some(v)));
    if let Ok(object) = serde_json::from_str::<Map<String, Value>>(given) {
        let found = object_at(&object, key);
        return found.is_some_and(|f| value.is_none_or(|v| f.as_str() == Some(v)));
    }
    let Some((k, v)) = given.split_once('=') else { return false };
    plain::matches(key, k.trim()) && value.is_none_or(|wanted| v.trim().trim_matches(['"', '\'']) == wanted)
}

fn object_at<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => object.get(path),
        Some((first, rest)) => object_at(object.get(first)?.as_object()?, rest),
    }
}
