//! The facts beside a check-in, in words.

use crate::board::{usage, view};
use crate::model::text::clean_line;

/// What was observed since the check-in before, in a few words; `None` while nobody has looked.
pub(super) fn seen_text(facts: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    let number = |name: &str, of: &str| facts.get(name)?.get(of)?.as_u64();
    let mut parts = Vec::new();
    for (name, one) in [("files", "file"), ("commits", "commit")] {
        let (now, before) = (number(name, "now")?, number(name, "before").unwrap_or(0));
        let change = match now.cmp(&before) {
            std::cmp::Ordering::Greater => format!(" (+{})", now - before),
            std::cmp::Ordering::Less => format!(" (−{})", before - now),
            std::cmp::Ordering::Equal => String::new(),
        };
        parts.push(format!("{}{change}", view::plural(now, one)));
    }
    if facts.get("changed").and_then(serde_json::Value::as_bool) == Some(false) {
        parts.push("no byte changed since".to_owned());
    }
    let checks = facts.get("checks")?;
    match checks.get("outcome").and_then(serde_json::Value::as_str) {
        Some(outcome) => parts.push(format!("checks {}", clean_line(outcome))),
        None => parts.push("no checks yet".to_owned()),
    }
    parts.extend(usage::facts_text(facts));
    let touched = facts.get("violations").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    if touched > 0 {
        parts.push(format!("{touched} off-limits"));
    }
    Some(parts.join(", "))
}
