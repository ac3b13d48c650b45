//! What an attempt has used: processor time, as its processes show it; tokens and money, as its
//! agent's own logs say.
//!
//! **Invariant:** what was seen once stays counted: neither a log that is cut off or goes away nor
//! another start of the agent takes anything back. Must not know: how a log is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::HostId;
use super::time::{Span, Wall};

/// Millionths of a US dollar in one.
const MICROS: f64 = 1_000_000.0;

/// When an agent's logs say what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Never: nothing can be measured.
    #[default]
    Never,
    /// Only when the agent ends: a turn that runs cannot be measured.
    AtEnd,
    /// With every response.
    Always,
}

/// What the log of one conversation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Tokens that were worked through: read, written into a cache, answered. What was read from a
    /// cache is no part of it.
    pub tokens: u64,
    /// Tokens that were read from a cache.
    pub cached: u64,
    /// Cost in millionths of a US dollar; `None` where the log says none.
    #[serde(default)]
    pub cost_micros: Option<u64>,
}

impl Counted {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cached: self.cached.saturating_add(other.cached),
            cost_micros: either(self.cost_micros, other.cost_micros, u64::saturating_add),
        }
    }

    /// The greater of each.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            cached: self.cached.max(other.cached),
            cost_micros: either(self.cost_micros, other.cost_micros, u64::max),
        }
    }

    /// The cost in US dollars.
    #[must_use]
    pub fn cost_usd(self) -> Option<f64> {
        // Exact up to 2^53 of them, which are nine thousand million dollars.
        self.cost_micros.map(|micros| micros as f64 / MICROS)
    }
}

/// An amount of US dollars in millionths; what is below nothing is nothing.
#[must_use]
pub fn micros(usd: f64) -> u64 {
    (usd * MICROS).round() as u64
}

fn either(a: Option<u64>, b: Option<u64>, both: fn(u64, u64) -> u64) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (one, None) | (None, one) => one,
    }
}

/// What was seen at one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The host whose agent it was.
    pub host: HostId,
    /// Processor time of everything that this host's agent has started so far.
    pub cpu: Option<Span>,
    /// The conversation whose log was read, and what it says so far.
    pub log: Option<(String, Counted)>,
}

/// What was used at some time, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Processor time; `None` where it was never seen.
    pub cpu: Option<Span>,
    /// What the logs say; `None` where none was read.
    pub counted: Option<Counted>,
}

/// What one attempt has used, over all starts of its agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// When something was last seen.
    pub at: Option<Wall>,
    /// What the log of each conversation says.
    pub logs: BTreeMap<String, Counted>,
    /// Processor time of each start.
    pub cpu: BTreeMap<HostId, Span>,
}

impl Usage {
    /// Takes what was seen.
    pub fn take(&mut self, seen: &Seen, at: Wall) {
        self.at = Some(at);
        if let Some((conversation, counted)) = &seen.log {
            let known = self.logs.entry(conversation.clone()).or_default();
            *known = known.at_least(*counted);
        }
        if let Some(cpu) = seen.cpu {
            let known = self.cpu.entry(seen.host.clone()).or_default();
            *known = cpu.max(*known);
        }
    }

    /// Whether what was seen is more than what is known.
    #[must_use]
    pub fn is_news(&self, seen: &Seen) -> bool {
        let mut with = self.clone();
        with.take(seen, self.at.unwrap_or_default());
        (&with.logs, &with.cpu) != (&self.logs, &self.cpu)
    }

    /// All of it.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            cpu: self.cpu.values().copied().reduce(|a, b| a + b),
            counted: self.logs.values().copied().reduce(Counted::plus),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(tokens: u64) -> Counted {
        Counted { tokens, cached: tokens * 2, cost_micros: None }
    }

    fn seen(host: &str, cpu_ms: u64, log: Option<(&str, u64)>) -> Seen {
        let log = log.map(|(of, tokens)| (of.to_owned(), counted(tokens)));
        Seen { host: HostId::new(host).expect("a name"), cpu: Some(Span(cpu_ms)), log }
    }

    #[test]
    fn the_same_conversation_goes_on_after_another_start_and_time_begins_anew() {
        let mut usage = Usage::default();
        assert_eq!(usage.totals(), Totals::default());
        usage.take(&seen("T1-1-1", 500, Some(("a", 10))), Wall(1));
        usage.take(&seen("T1-1-2", 100, Some(("a", 25))), Wall(2));
        usage.take(&seen("T1-1-2", 100, Some(("b", 5))), Wall(3));
        let totals = usage.totals();
        assert_eq!((totals.cpu, totals.counted), (Some(Span(600)), Some(counted(30))));
        assert_eq!(usage.at, Some(Wall(3)));
    }

    #[test]
    fn what_shrinks_takes_nothing_back() {
        let mut usage = Usage::default();
        usage.take(&seen("T1-1-1", 500, Some(("a", 10))), Wall(1));
        let less = seen("T1-1-1", 20, Some(("a", 4)));
        assert!(!usage.is_news(&less));
        usage.take(&less, Wall(2));
        assert_eq!(usage.totals().counted, Some(counted(10)));
        assert!(usage.is_news(&seen("T1-1-1", 501, None)));
    }

    #[test]
    fn sums_end_at_the_greatest_number_and_an_unknown_cost_adds_nothing() {
        let most = Counted { tokens: u64::MAX, cached: 0, cost_micros: Some(2_500_000) };
        let sum = most.plus(counted(7));
        assert_eq!((sum.tokens, sum.cost_usd()), (u64::MAX, Some(2.5)));
        assert_eq!(counted(1).plus(counted(2)).cost_usd(), None);
    }
}
