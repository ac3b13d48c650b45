//! The loop's heart: input → step → durable events → orders. Generic over the journal and the
//! effects, so that the same code runs in production and under simulation.
//!
//! **Invariant:** an order is submitted only after the events of its step are durable; a step that
//! could not be stored did not happen.

use std::collections::VecDeque;

use crate::model::action::Order;
use crate::model::board::Board;
use crate::model::event::Record;
use crate::model::id::ActionId;
use crate::model::input::{Input, Refusal, RefusalCode, Reply};
use crate::model::time::{Mono, Now, Span};
use crate::policy::Machine;

/// How long a driver that cannot store waits before it tries again.
const STORE_RETRY: Span = Span::secs(2);

/// Inputs kept while nothing can be stored. Observations beyond it are dropped, oldest first:
/// the world is looked at again when storing works.
const MAX_BACKLOG: usize = 10_000;

/// One step to be stored as a whole.
pub struct Entry<'a> {
    /// When.
    pub at: Now,
    /// What happened.
    pub events: &'a [Record],
    /// What is to be done.
    pub orders: &'a [Order],
    /// What is over.
    pub finished: &'a [ActionId],
    /// Texts that the events name.
    pub texts: &'a [String],
}

/// Where steps are stored.
pub trait Journal {
    /// Why it could not be stored.
    type Error: std::error::Error;

    /// Stores one step, whole or not at all.
    ///
    /// # Errors
    /// Whatever the store says; nothing of the step is then stored.
    fn append(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error>;

    /// Folds everything stored so far into a fresh machine.
    ///
    /// # Errors
    /// Whatever the store says.
    fn replay(&mut self) -> Result<Machine, Self::Error>;
}

/// What carries orders out.
pub trait Effects {
    /// Starts an order. Its outcome comes back as an input, if not now, then after a restart.
    fn submit(&mut self, order: Order);
    /// Tries to reserve a slot of this machine; the answer comes back as an input.
    fn reserve(&mut self);
    /// Gives the reserved slot back.
    fn release(&mut self);
}

/// Drives a machine.
pub struct Driver<J, E> {
    machine: Machine,
    journal: J,
    effects: E,
    wake_at: Option<Mono>,
    backlog: VecDeque<Input>,
    trouble: Option<String>,
}

impl<J: Journal, E: Effects> Driver<J, E> {
    /// Takes up the stored state.
    ///
    /// # Errors
    /// The journal's.
    pub fn open(mut journal: J, effects: E) -> Result<Self, J::Error> {
        let machine = journal.replay()?;
        Ok(Self { machine, journal, effects, wake_at: None, backlog: VecDeque::new(), trouble: None })
    }

    /// The board as it is.
    #[must_use]
    pub fn board(&self) -> &Board {
        self.machine.board()
    }

    /// When to call [`Driver::turn`] with [`Input::Tick`] if nothing else happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        self.wake_at
    }

    /// Why nothing can be stored, while that is so.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The effects.
    pub fn effects(&mut self) -> &mut E {
        &mut self.effects
    }

    /// The journal.
    pub fn journal(&mut self) -> &mut J {
        &mut self.journal
    }

    /// Takes one input, with texts that its events name.
    ///
    /// # Errors
    /// [`Refusal`], for a command; nothing of it was carried out.
    pub fn turn(&mut self, input: Input, texts: &[String], now: Now) -> Result<Reply, Refusal> {
        if !self.backlog.is_empty() {
            self.catch_up(now);
        }
        if self.trouble.is_some() {
            return self.put_off(input, now);
        }
        self.step(input, texts, now)
    }

    fn step(&mut self, input: Input, texts: &[String], now: Now) -> Result<Reply, Refusal> {
        let kept = input.clone();
        let step = self.machine.step(input, now);
        let nothing = step.events.is_empty() && step.orders.is_empty() && step.finished.is_empty();
        if !nothing {
            let entry = Entry { at: now, events: &step.events, orders: &step.orders, finished: &step.finished, texts };
            if let Err(error) = self.journal.append(&entry) {
                self.trouble = Some(chain(&error));
                self.take_back();
                return self.put_off(kept, now);
            }
        }
        self.trouble = None;
        self.wake_at = step.wake_at;
        for order in step.orders {
            self.effects.submit(order);
        }
        if step.reserve {
            self.effects.reserve();
        }
        if step.release {
            self.effects.release();
        }
        step.reply
    }

    /// A step that was not stored did not happen: the machine goes back to what is stored.
    fn take_back(&mut self) {
        let (around, slots) = (self.board().surroundings.clone(), self.board().machine);
        if let Ok(machine) = self.journal.replay() {
            self.machine = machine;
            self.machine.take_live(around, slots);
        }
    }

    /// While nothing can be stored, commands are refused and everything else waits.
    fn put_off(&mut self, input: Input, now: Now) -> Result<Reply, Refusal> {
        self.wake_at = Some(now.mono + STORE_RETRY);
        let why = self.trouble.clone().unwrap_or_default();
        match input {
            Input::Command(_) => Err(Refusal {
                code: RefusalCode::Failure,
                text: format!("nothing can be stored: {why}"),
                hints: vec!["standup doctor".into()],
            }),
            Input::Tick => {
                self.trouble = None;
                Ok(Reply::Ok {})
            }
            other => {
                if self.backlog.len() >= MAX_BACKLOG {
                    self.backlog.pop_front();
                }
                self.backlog.push_back(other);
                Ok(Reply::Ok {})
            }
        }
    }

    /// Takes up what had to wait, until something has to wait again.
    fn catch_up(&mut self, now: Now) {
        self.trouble = None;
        while let Some(input) = self.backlog.pop_front() {
            let before = self.backlog.len();
            let _ = self.step(input, &[], now);
            if self.backlog.len() > before {
                // It went to the end of the line again; put it back to its place.
                if let Some(input) = self.backlog.pop_back() {
                    self.backlog.push_front(input);
                }
                return;
            }
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
