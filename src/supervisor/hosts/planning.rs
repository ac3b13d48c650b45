//! Whether an agent that only plans was let go in its own terminal.
//!
//! **Invariant:** the word of a hook alone lets nobody go, for an agent's own shell can say it as
//! well: somebody must have typed into the terminal since it was last heard that it may only plan,
//! and that is asked of the host, which knows. Must not know: what follows.

use tokio::net::UnixStream;

use super::looking::earlier;
use super::{Host, Observation, send};
use crate::agent::hook::Leave;
use crate::model::time::Now;
use crate::wire::host::{Empty, Status, ToHost};

/// What a person reads where an agent says that it was let go and nobody did it.
const ALONE: &str = "its hooks say that it may do more than plan now, and nobody typed in its terminal since they said \
                     otherwise: it still counts as planning, and waits for a verdict";

/// What its hooks say of what it may do.
#[derive(Debug, Default)]
pub(super) struct Planning {
    /// When it was last heard that it may only plan.
    heard: Option<Now>,
    /// The same for one that says that it may do more, until it is known whether somebody typed since.
    leaves: Option<Now>,
    asked: bool,
    /// Whether a person was told of one that says so alone: once is enough.
    told: bool,
}

impl Planning {
    /// Hears what it may do, as of `at`. Only one that was bound to planning can have been let go.
    pub(super) fn hears(&mut self, leave: Leave, at: Now) {
        match leave {
            Leave::Plan if self.heard.is_none_or(|heard| heard.mono < at.mono) => self.heard = Some(at),
            Leave::More if self.leaves.is_none() => self.leaves = self.heard.take(),
            Leave::Plan | Leave::More => {}
        }
    }

    /// Whether the host is to be asked now.
    fn take_question(&mut self) -> bool {
        self.leaves.is_some() && !std::mem::replace(&mut self.asked, true)
    }

    /// Whether somebody let it go who last typed at `typed`; `None` where it does not say that it was.
    fn judge(&mut self, typed: Option<Now>) -> Option<bool> {
        let since = self.leaves.take()?;
        self.asked = false;
        Some(typed.is_some_and(|typed| typed.mono >= since.mono))
    }
}

impl Host {
    /// Asks who typed, where that decides.
    pub(super) async fn ask_who_typed(&mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        match self.planning.take_question() {
            true => send(stream, &ToHost::Status(Empty {})).await,
            false => Ok(()),
        }
    }

    /// The host's answer to that; says whether it was one.
    pub(super) async fn is_who_typed(&mut self, status: &Status, now: Now) -> bool {
        let Some(by_hand) = self.planning.judge(status.input_age_ms.map(|age| earlier(now, age))) else { return false };
        if by_hand {
            self.voice.plans = false;
            self.observed(Observation::PlanLeft).await;
        } else if !std::mem::replace(&mut self.planning.told, true) {
            self.noted(ALONE.to_owned()).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Mono;

    fn at(ms: i64) -> Now {
        Now { mono: Mono(ms), ..Now::default() }
    }

    /// Plans at 10, says that it may do more at 20; who typed, and whether that lets it go.
    fn judged(typed: Option<i64>) -> Option<bool> {
        let mut planning = Planning::default();
        planning.hears(Leave::Plan, at(10));
        planning.hears(Leave::More, at(20));
        assert!(planning.take_question() && !planning.take_question(), "the host is asked once");
        planning.judge(typed.map(at))
    }

    #[test]
    fn only_what_was_typed_since_it_planned_lets_it_go() {
        assert_eq!([judged(None), judged(Some(9)), judged(Some(15))], [Some(false), Some(false), Some(true)]);
    }

    #[test]
    fn what_is_typed_into_one_that_went_alone_lets_it_go_no_more() {
        let mut planning = Planning::default();
        planning.hears(Leave::More, at(1));
        assert!(!planning.take_question(), "it was never bound");
        planning.hears(Leave::Plan, at(10));
        planning.hears(Leave::More, at(20));
        assert_eq!(planning.judge(None), Some(false));
        planning.hears(Leave::More, at(40));
        assert!(!planning.take_question() && planning.judge(Some(at(30))).is_none());
        // What it may do is said with every hook; one that comes late makes none of them younger.
        planning.hears(Leave::Plan, at(50));
        planning.hears(Leave::Plan, at(45));
        planning.hears(Leave::More, at(60));
        assert_eq!(planning.judge(Some(at(47))), Some(false));
    }
}
