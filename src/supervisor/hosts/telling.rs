//! What the loop is told of an agent, and how often.
//!
//! **Invariant:** however often an agent changes what it says of itself, a burst is told and then
//! one change in two seconds: the latest, at the next moment there is room for it. None is late by
//! more than that, and what is told last is how things stand. Must not know: what follows.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::super::strangers::Bucket;
use super::{Host, Observation};
use crate::agent::evidence::Start;
use crate::agent::message;
use crate::model::state::{RunKind, RunState};
use crate::model::time::{Mono, Now, Span};
use crate::os::clock;

/// How long the end of a turn waits for its words, where they come a moment later: what was said in
/// it, by a hook or a notify program, which on a busy machine takes hundreds of milliseconds to start
/// (a question would come after the checks had begun); what went wrong, on the screen (a usage limit
/// would be told as an error first).
const LAST_WORDS: Span = Span::secs(2);

/// Changes told at once: an agent that asks for everything it does, all day, makes less than one in a few
/// seconds.
const BURST: u64 = 100;

/// After that, one for each of these.
const CHANGE_MS: u64 = 2_000;

/// Prompts and plans of hooks told at once: a person types fewer in half an hour.
const HOOKS: u64 = 30;

/// After that, what came meanwhile in each of these: a plan may be tens of kilobytes.
const HOOK_MS: u64 = 4_000;

/// Prompts that wait for that; more push the oldest out, which then confirms no message.
const WAITING: usize = 32;

/// What the loop was told last.
#[derive(PartialEq)]
pub(super) struct Told {
    pub(super) state: RunState,
    readable: bool,
    asks: Option<String>,
}

/// How much of its room an agent has used, and what waits for more.
#[derive(Debug, Default)]
pub(super) struct Meter {
    changes: Bucket,
    hooks: Bucket,
    prompts: VecDeque<String>,
    /// The latest; an earlier one is none any more.
    plan: Option<String>,
    /// When there is room for what was not told yet.
    again: Option<Instant>,
}

impl Meter {
    /// When what waits is told.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.again
    }

    /// Whether there is room for one more change now; if not, it is asked for again once there is.
    fn admits(&mut self, now: Mono) -> bool {
        let admitted = self.changes.takes(now, BURST, CHANGE_MS);
        if !admitted {
            self.wait(self.changes.room_in(now, BURST, CHANGE_MS));
        }
        admitted
    }

    fn wait(&mut self, for_: Span) {
        let at = Instant::now() + for_.to_std().max(Duration::from_millis(1));
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }

    /// What a hook says waits for its turn.
    pub(super) fn push(&mut self, prompts: Vec<String>, plan: Option<String>) {
        self.prompts.extend(prompts);
        self.prompts.drain(..self.prompts.len().saturating_sub(WAITING));
        self.plan = plan.or(self.plan.take());
    }

    /// What hooks said, where there is room for it now.
    fn pop(&mut self, now: Mono) -> Vec<Observation> {
        if self.prompts.is_empty() && self.plan.is_none() {
            return Vec::new();
        }
        if !self.hooks.takes(now, HOOKS, HOOK_MS) {
            self.wait(self.hooks.room_in(now, HOOKS, HOOK_MS));
            return Vec::new();
        }
        self.rest()
    }

    /// All that waits.
    fn rest(&mut self) -> Vec<Observation> {
        let taken = self.prompts.drain(..).map(|text| Observation::PromptTaken { text: Some(text) });
        taken.chain(self.plan.take().map(|text| Observation::Plan { text })).collect()
    }
}

impl Host {
    /// Until when the end of a turn is not told yet, because its words are still on their way.
    pub(super) fn words_due(&self, state: &RunState, now: Now) -> Option<Mono> {
        let unsaid = self.voice.last_words && state.turn_over && !self.weigher.end_told();
        let due = state.at.mono + LAST_WORDS;
        ((unsaid || self.weigher.lacks_words(now)) && now.mono < due).then_some(due)
    }

    /// Tells what hooks said.
    pub(super) async fn tell_hooks(&mut self, now: Now) {
        for seen in self.meter.pop(now.mono) {
            self.observed(seen).await;
        }
    }

    /// Tells what hooks said last, before the end is told.
    pub(super) async fn tell_last_hooks(&mut self) {
        for seen in self.meter.rest() {
            self.observed(seen).await;
        }
    }

    pub(super) async fn tell(&mut self) {
        self.meter.again = None;
        let now = clock::now();
        self.tell_hooks(now).await;
        if self.awaits_outbox() {
            return;
        }
        if !self.began
            && let Start::Started { by, .. } = self.weigher.start(now)
        {
            self.began = true;
            let evidence = format!("seen by {by:?}").to_lowercase();
            self.observed(Observation::Began { evidence }).await;
        }
        self.tell_session(now).await;
        let mut state = self.weigher.state(now);
        if let Some(trouble) = self.weigher.trouble(now)
            && state.text.is_empty()
        {
            state.text = trouble.text;
        }
        if self.words_due(&state, now).is_some() || self.is_awaited(&state) {
            return;
        }
        let dialog = self.dialog(&state);
        let readable = message::may_type(&self.voice.adapter, &state).is_ok();
        let asks = if state.turn_over { self.weigher.asks_in_prose() } else { None };
        // A question is news once: it may be answered by now.
        let news = asks.clone().filter(|_| self.told.as_ref().is_none_or(|told| told.asks != asks));
        let told = Told { state, readable, asks };
        // Of an end only the exit record tells; it comes once nothing is left.
        let over = matches!(told.state.kind, RunKind::Exited | RunKind::Lost);
        let changed = !over && !self.told.as_ref().is_some_and(|t| is_same(t, &told));
        if (changed || dialog.is_some()) && !self.meter.admits(now.mono) {
            return;
        }
        if let Some(dialog) = dialog {
            self.tell_dialog(dialog).await;
        }
        self.type_greeting(readable).await;
        if changed {
            let (state, readable) = (told.state.clone(), told.readable);
            if let Some(text) = self.plan(&state) {
                self.meter.push(Vec::new(), Some(text));
                self.tell_hooks(now).await;
            }
            if told.state.kind != RunKind::Working {
                self.spending.settle();
            }
            self.told = Some(told);
            self.observed(Observation::State { state, readable, asks: news }).await;
        }
    }

    async fn tell_session(&mut self, now: Now) {
        self.look_for_session().await;
        if self.session.as_deref() == self.weigher.session() || !self.meter.admits(now.mono) {
            return;
        }
        self.session = self.weigher.session().map(str::to_owned);
        if let Some(session) = self.session.clone() {
            self.observed(Observation::Session { session }).await;
        }
    }
}

/// The same but for the time it was said at.
fn is_same(a: &Told, b: &Told) -> bool {
    let key = |t: &Told| (t.state.kind, t.state.source, t.state.ask, t.state.turn_over, t.state.until, t.readable);
    key(a) == key(b) && a.state.text == b.state.text && a.asks == b.asks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_a_burst_one_change_goes_out_at_a_time_and_its_time_is_known() {
        let mut meter = Meter::default();
        let flood = |meter: &mut Meter, ms| (0..10_000).filter(|_| meter.admits(Mono(ms))).count() as u64;
        assert_eq!(flood(&mut meter, 1_000), BURST);
        assert!(meter.wake_at().is_some_and(|at| at <= Instant::now() + Duration::from_millis(CHANGE_MS)));
        assert_eq!(meter.changes.room_in(Mono(1_500), BURST, CHANGE_MS), Span(CHANGE_MS - 500));
        assert_eq!(flood(&mut meter, 1_000 + 60_000), 60_000 / CHANGE_MS);
    }

    #[test]
    fn of_what_hooks_say_past_a_burst_the_newest_is_told_next() {
        let mut meter = Meter::default();
        let told = |meter: &mut Meter, n: u64, ms: i64| {
            meter.push(vec![format!("prompt {n}")], Some(format!("plan {n}")));
            meter.pop(Mono(ms))
        };
        assert_eq!((0..10_000).filter(|n| !told(&mut meter, *n, 1_000).is_empty()).count() as u64, HOOKS);
        assert!(meter.wake_at().is_some() && meter.prompts.len() == WAITING);
        let next = told(&mut meter, 10_000, 1_000 + i64::try_from(HOOK_MS).expect("small"));
        assert_eq!(next.len(), WAITING + 1);
        assert_eq!(next.last(), Some(&Observation::Plan { text: "plan 10000".into() }));
        assert!(meter.pop(Mono(1_000_000)).is_empty(), "each is told once");
    }
}
