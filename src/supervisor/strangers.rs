//! Who passed for somebody else and was turned away: said in the log, a few times a minute.
//!
//! **Invariant:** whatever floods in, the log grows by no more than its share, what was left out is
//! counted, and no token is ever in it. Must not know: how anybody is told apart.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use crate::model::time::{Mono, Span};
use crate::os::clock;

/// Warnings at once: an honest mistake is one or two.
const BURST: u64 = 3;

/// After that, one for each of these: three a minute.
const EACH_MS: u64 = 20_000;

/// The warnings, and how many were left out.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    warnings: Bucket,
    unsaid: u64,
}

impl Strangers {
    /// Says in the log that somebody was turned away, as far as there is room for it. The text
    /// holds no token.
    pub(super) fn turned_away(&self, who: impl Display) {
        let unsaid = self.said.lock().unwrap_or_else(PoisonError::into_inner).admits(clock::now().mono);
        match unsaid {
            Some(0) => tracing::warn!("refused {who}"),
            Some(more) => tracing::warn!("refused {who} (and {more} more since the last warning)"),
            None => {}
        }
    }
}

impl Said {
    /// Whether there is room for one more warning, and how many were left out since the last.
    fn admits(&mut self, now: Mono) -> Option<u64> {
        if self.warnings.takes(now, BURST, EACH_MS) {
            return Some(std::mem::take(&mut self.unsaid));
        }
        self.unsaid += 1;
        None
    }
}

/// A measure that fills by one for each that comes, and empties with time.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    filled_ms: u64,
    at: Mono,
}

impl Bucket {
    /// Whether there is room for one more now: `burst` at once, then one for each `each_ms`.
    pub(super) fn takes(&mut self, now: Mono, burst: u64, each_ms: u64) -> bool {
        self.filled_ms = self.filled_ms.saturating_sub(now.since(self.at).0);
        self.at = now;
        if self.filled_ms + each_ms > burst * each_ms {
            return false;
        }
        self.filled_ms += each_ms;
        true
    }

    /// How long after now there is room for one more.
    pub(super) fn room_in(&self, now: Mono, burst: u64, each_ms: u64) -> Span {
        let filled_ms = self.filled_ms.saturating_sub(now.since(self.at).0);
        Span((filled_ms + each_ms).saturating_sub(burst * each_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_warnings_a_minute_and_a_count() {
        let mut said = Said::default();
        let mut flood = |ms: i64| (0..10_000).filter_map(|_| said.admits(Mono(ms))).collect::<Vec<_>>();
        assert_eq!(flood(1_000), [0, 0, 0]);
        assert_eq!(flood(10_000), [0; 0], "it is still full");
        assert_eq!(flood(61_000), [9_997 + 10_000, 0, 0]);
        assert_eq!(flood(81_000), [9_997]);
    }
}
