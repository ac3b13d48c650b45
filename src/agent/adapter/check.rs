//! What an adapter's file must hold beside its form.
//!
//! **Invariant:** every placeholder has a value where it stands, and no pattern matches everything.

use super::{Adapter, AdapterError, SCHEMA};
use crate::agent::placeholder;

/// Refuses what cannot work, at its key.
pub(super) fn check(adapter: &Adapter) -> Result<(), AdapterError> {
    if adapter.schema != SCHEMA {
        return Err(AdapterError::Schema { found: adapter.schema });
    }
    check_placeholders(adapter)?;
    check_patterns(adapter)?;
    if let Some(settings) = adapter.hooks.as_ref().and_then(|h| h.settings.as_ref()) {
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(settings);
        if let Err(e) = object {
            return Err(value("hooks.settings", format!("not an object of JSON: {e}")));
        }
    }
    for (mode, rules) in &adapter.mode {
        if let Some(next) = rules.approved
            && adapter.mode.get(&next).is_none_or(|n| n.approved.is_some())
        {
            return Err(value(&format!("mode.{mode}.approved"), format!("mode.{next} does not exist or leads on")));
        }
    }
    Ok(())
}

fn check_placeholders(adapter: &Adapter) -> Result<(), AdapterError> {
    let launch = &adapter.launch;
    let user = placeholder::USER;
    let lists: [(&str, &[String], &[&str]); 8] = [
        ("program", &adapter.program, user),
        ("launch.args", &launch.args, user),
        ("launch.session", &launch.session, &["session"]),
        ("launch.resume", &launch.resume, &["resume"]),
        ("launch.before_prompt", &launch.before_prompt, user),
        ("notify.args", adapter.notify.as_ref().map_or(&[], |n| &n.args), &["notify"]),
        ("notify.profile", adapter.notify.as_ref().map_or(&[], |n| std::slice::from_ref(&n.profile)), &["profile"]),
        ("mcp.args", adapter.mcp.as_ref().map_or(&[], |m| &m.args), &["standup"]),
    ];
    let modes = adapter.mode.iter().flat_map(|(mode, rules)| {
        [
            (format!("mode.{mode}.args"), rules.args.as_slice(), user),
            (format!("mode.{mode}.root"), rules.root.as_slice(), &["root"] as &[&str]),
        ]
    });
    let files = adapter
        .status_file
        .iter()
        .chain(&adapter.transcripts)
        .map(|file| ("path".to_owned(), std::slice::from_ref(&file.path), &["pid", "slug", "session"] as &[&str]));
    let long = launch.file_prompt.as_slice();
    let lists = lists.into_iter().map(|(key, words, known)| (key.to_owned(), words, known));
    for (key, words, known) in lists.chain(modes).chain(files).chain([("launch.file_prompt".to_owned(), long, user)]) {
        for word in words {
            placeholder::check(word, known).map_err(|e| value(&key, e.to_string()))?;
        }
    }
    Ok(())
}

fn check_patterns(adapter: &Adapter) -> Result<(), AdapterError> {
    let mut all: Vec<(String, &[String])> = Vec::new();
    for rule in &adapter.screen {
        let key = format!("screen {:?}", rule.name);
        if rule.lines.is_empty() || rule.question >= rule.lines.len() {
            return Err(value(&key, format!("question {} is none of its {} lines", rule.question, rule.lines.len())));
        }
        if rule.bottom.is_empty() {
            return Err(value(&key, "a dialog needs its bottom line".to_owned()));
        }
        all.extend([(key.clone(), rule.bottom.as_slice()), (key.clone(), rule.lines.as_slice())]);
        all.push((key, rule.skip.as_slice()));
    }
    all.extend(adapter.title.iter().map(|r| ("title".to_owned(), r.any.as_slice())));
    all.extend(adapter.hint.iter().map(|r| ("hint".to_owned(), r.any.as_slice())));
    all.extend(adapter.spin.iter().map(|r| ("spin".to_owned(), r.any.as_slice())));
    all.extend(adapter.report.iter().map(|r| ("report".to_owned(), std::slice::from_ref(&r.msg))));
    for (key, patterns) in all {
        // A pattern of stars alone would match every line and so say something of every screen.
        if patterns.iter().any(|p| p.trim_matches(['*', ' ']).is_empty()) {
            return Err(value(&key, "a pattern without a word matches everything".to_owned()));
        }
    }
    Ok(())
}

fn value(key: &str, text: String) -> AdapterError {
    AdapterError::Value { key: key.to_owned(), text }
}
