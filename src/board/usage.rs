//! What agents use, and which limits nobody measures, as documents and in words.
//!
//! **Invariant:** what is not measured is never shown as nothing. Must not know: how it is measured.

use crate::model::board::{Board, Task};
use crate::model::rhythm::{Facts, LimitName};
use crate::model::time::Span;
use crate::model::usage::{Counted, Seen, Told, Totals};

use super::doc;

/// What a task's newest attempt has used; `None` where nothing was seen.
pub(super) fn used(task: &Task) -> Option<doc::Usage> {
    let usage = &task.attempt()?.usage;
    let Totals { cpu, counted } = usage.totals();
    let at = usage.at?;
    Some(doc::Usage {
        at,
        tokens: counted.map(|c| c.tokens),
        cached_tokens: counted.map(|c| c.cached),
        cost_usd: counted.and_then(Counted::cost_usd),
        cpu_s: cpu.map(seconds),
    })
}

/// Limits of a task that nobody measures while its agent works.
pub(super) fn unmeasured(board: &Board, task: &Task) -> Vec<doc::Unmeasured> {
    let all = board.surroundings.as_ref().map_or_else(Vec::new, |around| crate::policy::unmeasured(around, task));
    all.into_iter().map(|(limit, told)| doc::Unmeasured { limit, told }).collect()
}

/// Why a limit of an agent is not measured, as a sentence.
#[must_use]
pub fn unmeasured_text(limit: LimitName, told: Told, agent: &str) -> String {
    let what = match limit {
        LimitName::CostUsd => "what it costs",
        _ => "how many tokens it uses",
    };
    match told {
        Told::AtEnd => {
            format!("limits.{} is measured late: {agent} says in its logs {what} only when it ends", limit.key())
        }
        _ => format!("limits.{} is not measured: {agent} does not say in its logs {what}", limit.key()),
    }
}

/// `1200 tokens (400 more from a cache), 0.31 USD, 12s of CPU time`; empty where nothing is known.
#[must_use]
pub fn used_text(used: &doc::Usage) -> String {
    let mut parts = Vec::new();
    if let Some(tokens) = used.tokens {
        let cached = used.cached_tokens.filter(|n| *n > 0).map(|n| format!(" ({n} more from a cache)"));
        parts.push(format!("{tokens} tokens{}", cached.unwrap_or_default()));
    }
    parts.extend(used.cost_usd.map(|usd| format!("{usd:.2} USD")));
    parts.extend(used.cpu_s.map(|s| format!("{} of CPU time", span_of(s))));
    parts.join(", ")
}

/// What was used between two check-ins, by the names of the documents: each as `{now, before}`, `null`
/// where it was not seen.
pub(super) fn facts(facts: &Facts) -> [(&'static str, serde_json::Value); 3] {
    let pair = |of: &dyn Fn(&Totals) -> Option<serde_json::Value>| {
        of(&facts.used).map_or(serde_json::Value::Null, |now| {
            let before = of(&facts.used_before).unwrap_or_else(|| 0.into());
            serde_json::json!({"now": now, "before": before})
        })
    };
    [
        ("cpu_s", pair(&|t| t.cpu.map(|cpu| seconds(cpu).into()))),
        ("tokens", pair(&|t| t.counted.map(|c| c.tokens.into()))),
        ("cost_usd", pair(&|t| t.counted.and_then(Counted::cost_usd).map(Into::into))),
    ]
}

/// The same in words: what came since the check-in before.
pub(super) fn facts_text(facts: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let since = |name: &str| {
        let pair = facts.get(name)?;
        Some(pair.get("now")?.as_f64()? - pair.get("before")?.as_f64()?)
    };
    let mut parts = Vec::new();
    parts.extend(since("tokens").map(|n| format!("{n:.0} tokens")));
    parts.extend(since("cost_usd").map(|usd| format!("{usd:.2} USD")));
    parts.extend(since("cpu_s").map(|s| format!("{} of CPU time", span_of(s))));
    parts
}

/// What was seen at one look, as a sentence without its subject.
pub(super) fn seen_text(seen: &Seen) -> String {
    let used = doc::Usage {
        at: crate::model::time::Wall::default(),
        tokens: seen.log.as_ref().map(|(_, c)| c.tokens),
        cached_tokens: seen.log.as_ref().map(|(_, c)| c.cached),
        cost_usd: seen.log.as_ref().and_then(|(_, c)| c.cost_usd()),
        cpu_s: seen.cpu.map(seconds),
    };
    format!("has used {}", used_text(&used))
}

fn seconds(span: Span) -> f64 {
    std::time::Duration::from_millis(span.0).as_secs_f64()
}

fn span_of(seconds: f64) -> Span {
    let span = std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    Span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(tokens: u64, cpu_ms: u64) -> Totals {
        Totals { cpu: Some(Span(cpu_ms)), counted: Some(Counted { tokens, cached: 0, cost_micros: None }) }
    }

    #[test]
    fn what_came_since_is_told_and_what_was_not_seen_is_left_out() {
        let seen = Facts { used: totals(1_500, 62_500), used_before: totals(1_000, 2_500), ..Facts::default() };
        let document: serde_json::Map<String, serde_json::Value> =
            facts(&seen).map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        assert_eq!(document["tokens"], serde_json::json!({"now": 1_500, "before": 1_000}));
        assert_eq!(document["cost_usd"], serde_json::Value::Null);
        assert_eq!(facts_text(&document), ["500 tokens", "1m of CPU time"]);
        assert!(facts_text(&serde_json::Map::new()).is_empty());
    }

    #[test]
    fn only_what_is_known_is_said() {
        let used = doc::Usage {
            at: crate::model::time::Wall::default(),
            tokens: Some(1_200),
            cached_tokens: Some(400),
            cost_usd: None,
            cpu_s: Some(12.0),
        };
        assert_eq!(used_text(&used), "1200 tokens (400 more from a cache), 12s of CPU time");
        let paid = doc::Usage { tokens: None, cost_usd: Some(0.314), cpu_s: None, ..used };
        assert_eq!(used_text(&paid), "0.31 USD");
        assert_eq!(
            unmeasured_text(LimitName::CostUsd, Told::Never, "codex"),
            "limits.cost_usd is not measured: codex does not say in its logs what it costs"
        );
    }
}
