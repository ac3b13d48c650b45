//! Where one turn of an agent ends and the next begins.
//!
//! **Invariant:** words belong to the turn they were said in, in whatever order its beginning and
//! its end are heard of. Must not know: which source is trusted.

use super::{Event, HookClaim, Says, Weigher};
use crate::model::time::Now;

impl Weigher {
    /// A new turn: what was said of the one before is no longer so.
    pub(super) fn begin(&mut self, now: Now) {
        // Heard of later than its own end: what was said at that end still holds.
        let ended =
            |hook: &HookClaim| !matches!(hook.says, Says::Working | Says::Waiting(_)) && hook.at.mono > now.mono;
        let failed = self.psp_failed().is_some_and(|at| at.mono > now.mono);
        if failed || self.hook.as_ref().is_some_and(ended) {
            self.turn_began = self.turn_began.filter(|began| began.mono > now.mono).or(Some(now));
            return;
        }
        self.turn_began = Some(now);
        self.background = None;
        self.last_message = None;
        self.failure = None;
        self.limit_until = None;
        self.interrupted = None;
        self.stopped = None;
    }

    /// Whether a turn is known to have begun after `at`.
    pub(super) fn began_after(&self, at: Now) -> bool {
        self.turn_began.is_some_and(|began| began.mono > at.mono)
    }

    /// Whether what a hook told at `at` is of a turn before the one that began since.
    pub(super) fn is_outlived(&self, event: &Event, at: Now) -> bool {
        !matches!(event, Event::PromptSubmitted { .. }) && self.began_after(at)
    }

    pub(super) fn ended(&mut self, last: Option<String>, background: Vec<String>, now: Now) -> (Says, String) {
        self.last_message = last;
        self.stopped = Some(now);
        let text = background.join(", ");
        let says = if background.is_empty() { Says::TurnOver } else { Says::Background };
        self.background = Some((background, now)).filter(|(b, _)| !b.is_empty());
        (says, text)
    }
}
