//! What the log of a conversation says of tokens and money, counted line by line.
//!
//! **Invariant:** a response counts once, however many lines repeat it; what is no such line, or
//! makes no sense as a number, counts nothing and stops nothing. Memory is bounded, whatever the
//! log holds. Must not know: where the bytes come from.

use std::collections::VecDeque;

use serde_json::Value;

use crate::model::settings::bounds;
use crate::model::usage::{self, Counted};

use super::adapter::{CountRule, UsageRules};

/// The longest line that is read, in bytes: one with a large file in it. A longer one says nothing.
pub const MAX_LINE: usize = 4 << 20;

/// So many responses are remembered. The lines of one lie close together; only those of tools that
/// ran beside each other lie between them.
const REMEMBERED: usize = 64;

/// The longest name of a response that is remembered.
const MAX_ID: usize = 200;

/// Counts the log of one conversation.
#[derive(Debug, Clone)]
pub struct Counter {
    sums: Vec<Sum>,
    /// The beginning of a line whose end has not come yet.
    half: Vec<u8>,
    /// Whether the rest of a line that is too long is passed over.
    passing: bool,
}

/// What one kind of line has said so far.
#[derive(Debug, Clone)]
struct Sum {
    rule: CountRule,
    /// What is certain: what the log says next is added to it.
    sum: Option<Counted>,
    /// The last responses, and what was counted of each.
    last: VecDeque<(String, Counted)>,
    /// What the last line said, where each says the sum.
    running: Option<Counted>,
}

impl Counter {
    /// Begins at the beginning of a log.
    #[must_use]
    pub fn new(rules: &UsageRules) -> Self {
        let begin = |rule: &CountRule| Sum { rule: rule.clone(), sum: None, last: VecDeque::new(), running: None };
        Self { sums: rules.count.iter().map(begin).collect(), half: Vec::new(), passing: false }
    }

    /// What was counted so far; `None` before the first line that says something.
    #[must_use]
    pub fn counted(&self) -> Option<Counted> {
        self.sums.iter().filter_map(Sum::counted).reduce(Counted::plus)
    }

    /// Takes the next bytes; a line may end in any of them.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let rest = pieces.next_back().unwrap_or_default();
        for end in pieces {
            self.take(end);
            if !std::mem::take(&mut self.passing) {
                let line = std::mem::take(&mut self.half);
                self.line(&line);
            }
        }
        self.take(rest);
    }

    fn take(&mut self, piece: &[u8]) {
        self.passing |= self.half.len() + piece.len() > MAX_LINE;
        if self.passing {
            self.half = Vec::new();
        } else {
            self.half.extend_from_slice(piece);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let holds = |marker: &str| line.windows(marker.len().max(1)).any(|part| part == marker.as_bytes());
        // Most lines are of no kind that counts, and need not be understood to see that.
        if !self.sums.iter().any(|sum| holds(&sum.rule.marker)) {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return };
        self.sums.iter_mut().for_each(|sum| sum.line(&line));
    }
}

impl Sum {
    fn counted(&self) -> Option<Counted> {
        match (self.sum, self.running) {
            (Some(sum), Some(running)) => Some(sum.plus(running)),
            (one, None) | (None, one) => one,
        }
    }

    fn line(&mut self, line: &Value) {
        let says = |(at, text): (&String, &String)| match line.pointer(at) {
            Some(Value::String(found)) => found == text,
            Some(Value::Bool(found)) => found.to_string() == *text,
            _ => false,
        };
        if !self.rule.lines.iter().all(says) {
            return;
        }
        let Some(counted) = self.numbers(line) else { return };
        let id = self.rule.id.as_ref().and_then(|at| line.pointer(at)).and_then(Value::as_str);
        if self.rule.running {
            self.run_on(counted);
        } else {
            self.add(id.filter(|id| id.len() <= MAX_ID), counted);
        }
    }

    /// The numbers of a line; `None` where it has none, or one that cannot be.
    fn numbers(&self, line: &Value) -> Option<Counted> {
        let rule = &self.rule;
        let tokens = sum(line, &rule.tokens)?;
        let less = sum(line, &rule.less)?;
        let cached = sum(line, &rule.cached)?;
        let cost = match rule.cost_usd.as_ref().and_then(|at| line.pointer(at)) {
            None | Some(Value::Null) => None,
            Some(found) => Some(micros(found)?),
        };
        if tokens.is_none() && cost.is_none() {
            return None;
        }
        let tokens = tokens.unwrap_or(0).saturating_sub(less.unwrap_or(0));
        Some(Counted { tokens, cached: cached.unwrap_or(0), cost_micros: cost })
    }

    /// What a response used. The lines of one tell it again, the last of them the most.
    fn add(&mut self, id: Option<&str>, counted: Counted) {
        let sum = self.sum.unwrap_or_default();
        let known = id.and_then(|id| self.last.iter_mut().find(|(known, _)| known == id));
        if let Some((_, before)) = known {
            let most = before.at_least(counted);
            self.sum = Some(sum.plus(difference(most, *before)));
            *before = most;
            return;
        }
        self.sum = Some(sum.plus(counted));
        if let Some(id) = id {
            if self.last.len() == REMEMBERED {
                self.last.pop_front();
            }
            self.last.push_back((id.to_owned(), counted));
        }
    }

    /// What was used since the beginning. Less than before: it was begun anew.
    fn run_on(&mut self, counted: Counted) {
        let all = |of: &Counted| of.tokens.saturating_add(of.cached);
        let less = |before: &Counted| all(&counted) < all(before) || counted.cost_micros < before.cost_micros;
        if let Some(before) = self.running.filter(less) {
            self.sum = Some(self.sum.unwrap_or_default().plus(before));
        }
        self.running = Some(counted);
    }
}

fn difference(more: Counted, less: Counted) -> Counted {
    Counted {
        tokens: more.tokens.saturating_sub(less.tokens),
        cached: more.cached.saturating_sub(less.cached),
        cost_micros: more.cost_micros.map(|cost| cost.saturating_sub(less.cost_micros.unwrap_or(0))),
    }
}

/// The sum of what stands at these places; `Some(None)` where nothing does, `None` where one of
/// them is no number of tokens.
fn sum(line: &Value, places: &[String]) -> Option<Option<u64>> {
    let mut sum = None;
    for place in places {
        match line.pointer(place) {
            None | Some(Value::Null) => {}
            Some(found) => {
                let number = found.as_u64().filter(|n| *n <= bounds::TOKENS)?;
                sum = Some(u64::saturating_add(sum.unwrap_or(0), number));
            }
        }
    }
    Some(sum)
}

/// An amount in millionths, if it is one that could be paid.
fn micros(found: &Value) -> Option<u64> {
    let usd = found.as_f64().filter(|usd| (0.0..=bounds::COST_USD).contains(usd))?;
    Some(usage::micros(usd))
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
