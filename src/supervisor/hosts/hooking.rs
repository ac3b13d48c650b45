//! The hooks of the agent's CLI, as they fire and as they were found in its outbox.
//!
//! **Invariant:** a hook counts once, whichever ways it came, at the time it fired, and only for the
//! start of the agent that it is of. Must not know: what follows from one.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::looking::earlier;
use super::{Host, Seen};
use crate::agent::hook::{Event, HookEvent};
use crate::model::time::{Now, Wall};
use crate::os::clock;
use crate::os::process::age_ms;

/// Hooks of which the ids are known: more cannot be on their way two ways at once.
const KNOWN: usize = 64;

/// A hook of an agent's CLI that fired.
pub(in super::super) struct Fired {
    /// What it says.
    pub(in super::super) event: HookEvent,
    /// When.
    pub(in super::super) at: Now,
    /// Its id, where it has one: the same may come by the socket and by the outbox.
    pub(in super::super) id: Option<String>,
    /// Told once it was heard.
    pub(in super::super) heard: Option<oneshot::Sender<bool>>,
}

/// When a hook fired that says so itself by the clock of the wall; never later than now.
pub(in super::super) fn fired(at: Option<Wall>) -> Now {
    let now = clock::now();
    at.map_or(now, |at| earlier(now, now.wall.since(at).0))
}

/// The ids of the hooks that were heard last.
#[derive(Default)]
pub(super) struct Hooks {
    heard: VecDeque<String>,
}

impl Hooks {
    /// Takes the id of a hook; says whether it is a new one, or has none.
    fn take(&mut self, id: Option<String>) -> bool {
        let Some(id) = id else { return true };
        if self.heard.contains(&id) {
            return false;
        }
        if self.heard.len() == KNOWN {
            self.heard.pop_front();
        }
        self.heard.push_back(id);
        true
    }
}

impl Host {
    /// Hears a hook: once, and only one of this start.
    pub(super) async fn fired(&mut self, fired: Fired) {
        let Fired { event, at, id, heard } = fired;
        let now = clock::now();
        let twice = !self.hooks.take(id);
        // Of an earlier start of this attempt.
        let alien = age_ms(self.facts.agent.start).is_some_and(|age| now.wall.since(at.wall).0 > age);
        match (twice, alien) {
            (false, false) => self.hooked(event, at).await,
            (true, _) => tracing::info!(attempt = %self.attempt, "a hook came twice"),
            (_, true) => tracing::info!(attempt = %self.attempt, "a hook of an earlier start is passed over"),
        }
        if let Some(heard) = heard {
            let _ = heard.send(true);
        }
    }

    pub(super) async fn hooked(&mut self, event: HookEvent, now: Now) {
        let mut prompts = event.prompts.clone();
        if let Event::PromptSubmitted { text } = &event.event {
            prompts.push(text.clone());
        }
        let of_part = event.agent_id.is_some();
        let plan = event.plan.clone().filter(|_| self.voice.plans);
        let leave = event.leave.filter(|_| self.voice.plans);
        let foreign = self.weigher.foreign();
        self.weigher.observe(now, Seen::Hook(event));
        // What another conversation in the same place was told was not told to this agent.
        if of_part || self.weigher.foreign() != foreign {
            return;
        }
        self.meter.push(prompts, plan);
        self.tell_hooks(clock::now()).await;
        if let Some(leave) = leave {
            self.planning.hears(leave, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_comes_two_ways_counts_once_and_what_is_remembered_is_bounded() {
        let mut hooks = Hooks::default();
        assert!(hooks.take(None) && hooks.take(None), "one without an id is always new");
        assert!(hooks.take(Some("a".into())) && !hooks.take(Some("a".into())));
        assert_eq!((0..10_000).filter(|n| hooks.take(Some(n.to_string()))).count(), 10_000);
        assert_eq!(hooks.heard.len(), KNOWN);
    }
}
