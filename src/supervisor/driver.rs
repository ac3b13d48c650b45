//! The loop's heart: input → step → durable events → orders. Generic over the journal and the
//! effects, so that the same code runs in production and under simulation.
//!
//! **Invariant:** an order is submitted only after the events of its step are durable; a step that
//! could not be stored did not happen.

use std::collections::{BTreeSet, VecDeque};

use crate::model::action::Order;
use crate::model::board::{Board, MachineSlots};
use crate::model::event::Record;
use crate::model::id::ActionId;
use crate::model::input::{Input, Observation, Refusal, RefusalCode, Reply};
use crate::model::text::chain;
use crate::model::time::{Mono, Now, Span};
use crate::policy::Machine;

/// How long a driver that cannot store waits before it tries again.
const STORE_RETRY: Span = Span::secs(2);

/// A loop that turns so much later than it was to be woken stood still: it was stopped, or frozen
/// together with its agents. A machine that sleeps stops the clock as well, and is told of.
const STOOD_STILL: Span = Span::secs(1);

/// Inputs kept while nothing can be stored. Beyond it, sights of agents are thinned out.
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

    /// Shows that something can be stored, by storing what says nothing.
    ///
    /// # Errors
    /// Whatever the store says.
    fn try_out(&mut self) -> Result<(), Self::Error>;

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
    /// Tries to reserve a slot of this machine, and looks at what tasks of the board would start
    /// from; the answers come back as inputs, that about the bases first.
    fn reserve(&mut self, board: &Board);
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
    trouble: Option<Trouble>,
}

/// Nothing can be stored.
struct Trouble {
    why: String,
    /// Not tried again before then: a try reads the whole log.
    retry_at: Mono,
    /// The slots as they were stored, while the machine is ahead of the log: the log could not
    /// even be read.
    ahead: Option<MachineSlots>,
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
        self.trouble.as_ref().map(|t| t.why.as_str())
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
        let overdue = self.wake_at.map_or(Span(0), |at| now.mono.since(at));
        if overdue >= STOOD_STILL && self.trouble.is_none() {
            self.machine.listen(now, overdue);
        }
        if self.trouble.is_some() && !self.recover(now) {
            return self.put_off(input);
        }
        self.step(input, texts, now).unwrap_or_else(|input| self.put_off(*input))
    }

    /// One step; what could not be stored comes back.
    fn step(&mut self, input: Input, texts: &[String], now: Now) -> Result<Result<Reply, Refusal>, Box<Input>> {
        let kept = input.clone();
        let slots = self.board().machine;
        let step = self.machine.step(input, now);
        let nothing = step.events.is_empty() && step.orders.is_empty() && step.finished.is_empty();
        if !nothing {
            let entry = Entry { at: now, events: &step.events, orders: &step.orders, finished: &step.finished, texts };
            if let Err(error) = self.journal.append(&entry) {
                let retry_at = now.mono + STORE_RETRY;
                self.trouble = Some(Trouble { why: chain(&error), retry_at, ahead: Some(slots) });
                self.wake_at = Some(retry_at);
                self.take_back();
                return Err(Box::new(kept));
            }
        }
        self.wake_at = step.wake_at;
        for order in step.orders {
            self.effects.submit(order);
        }
        if step.reserve {
            self.effects.reserve(self.machine.board());
        }
        if step.release {
            self.effects.release();
        }
        Ok(step.reply)
    }

    /// A step that was not stored did not happen: the machine goes back to what is stored. Says
    /// whether it stands there.
    fn take_back(&mut self) -> bool {
        let Some(trouble) = &mut self.trouble else { return true };
        let Some(slots) = trouble.ahead else { return true };
        match self.journal.replay() {
            Ok(machine) => {
                let seen = std::mem::replace(&mut self.machine, machine).into_board();
                self.machine.take_live(seen, slots);
                trouble.ahead = None;
                true
            }
            Err(error) => {
                trouble.why = chain(&error);
                false
            }
        }
    }

    /// While nothing can be stored, commands are refused and everything else waits. Where too much
    /// waits, a sight of an agent goes that a later one supersedes, never an outcome or an end: of
    /// those there are no more than there are orders and hosts.
    fn put_off(&mut self, input: Input) -> Result<Reply, Refusal> {
        match input {
            Input::Command(_) => Err(Refusal {
                code: RefusalCode::Failure,
                text: format!("nothing can be stored: {}", self.trouble().unwrap_or_default()),
                hints: vec!["standup doctor".into()],
            }),
            Input::Tick => Ok(Reply::Ok {}),
            other => {
                self.backlog.push_back(other);
                if self.backlog.len() > MAX_BACKLOG
                    && let Some(place) = superseded(&self.backlog)
                {
                    self.backlog.remove(place);
                }
                Ok(Reply::Ok {})
            }
        }
    }

    /// Takes up what had to wait, once it is time to try again; says whether all of it is stored.
    fn recover(&mut self, now: Now) -> bool {
        let Some(trouble) = &mut self.trouble else { return true };
        if now.mono < trouble.retry_at {
            return false;
        }
        trouble.retry_at = now.mono + STORE_RETRY;
        self.wake_at = Some(trouble.retry_at);
        if !self.take_back() {
            return false;
        }
        // What was refused comes not again, so nothing else may show it.
        if let Err(error) = self.journal.try_out() {
            self.trouble = self.trouble.take().map(|trouble| Trouble { why: chain(&error), ..trouble });
            return false;
        }
        self.machine.listen(now, Span(0));
        while let Some(input) = self.backlog.pop_front() {
            if let Err(input) = self.step(input, &[], now) {
                self.backlog.push_front(*input);
                return false;
            }
        }
        self.trouble = None;
        true
    }
}

/// The oldest sight of an agent that a later one makes worthless.
fn superseded(backlog: &VecDeque<Input>) -> Option<usize> {
    let mut later = BTreeSet::new();
    let mut found = None;
    for (place, input) in backlog.iter().enumerate().rev() {
        let Input::Observed { attempt, seen } = input else { continue };
        let kind = match seen {
            Observation::State { .. } => 0,
            Observation::Diff { .. } => 1,
            Observation::Began { .. } => 2,
            _ => continue,
        };
        if !later.insert((*attempt, kind)) {
            found = Some(place);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::model::input::{AgentFacts, Command, NewTask, Surroundings};
    use crate::model::name::AgentName;
    use crate::model::settings::{AgentSettings, Limit, Settings};
    use crate::model::task::{TaskSpec, TextRef};
    use crate::model::time::{Boot, Wall};
    use crate::model::usage::Told;

    #[derive(Debug, thiserror::Error)]
    #[error("no space left on device")]
    struct Full;

    /// Keeps what it is given, while it can.
    #[derive(Default)]
    struct Paper {
        steps: Vec<(Vec<Record>, Now)>,
        full: bool,
        unreadable: bool,
        replays: usize,
    }

    impl Journal for Paper {
        type Error = Full;
        fn append(&mut self, entry: &Entry<'_>) -> Result<(), Full> {
            if self.full {
                return Err(Full);
            }
            self.steps.push((entry.events.to_vec(), entry.at));
            Ok(())
        }
        fn try_out(&mut self) -> Result<(), Full> {
            if self.full { Err(Full) } else { Ok(()) }
        }
        fn replay(&mut self) -> Result<Machine, Full> {
            self.replays += 1;
            if self.unreadable {
                return Err(Full);
            }
            let mut machine = Machine::default();
            for (record, at) in self.steps.iter().flat_map(|(records, at)| records.iter().map(move |r| (r, *at))) {
                machine.fold(record, at);
            }
            Ok(machine)
        }
    }

    #[derive(Default)]
    struct Hands {
        orders: Vec<Order>,
        reserved: usize,
    }

    impl Effects for Hands {
        fn submit(&mut self, order: Order) {
            self.orders.push(order);
        }
        fn reserve(&mut self, _: &Board) {
            self.reserved += 1;
        }
        fn release(&mut self) {}
    }

    fn at(seconds: i64) -> Now {
        Now { wall: Wall(seconds * 1_000), mono: Mono(seconds * 1_000), boot: Boot(1) }
    }

    fn driver() -> Driver<Paper, Hands> {
        let mut driver = Driver::open(Paper::default(), Hands::default()).expect("an empty journal");
        let name = AgentName::new("claude").expect("a name");
        let agent = AgentSettings {
            adapter: "claude".into(),
            command: vec!["claude".into()],
            args: Vec::new(),
            env: BTreeMap::new(),
            max: Limit::Unlimited,
            prompt: None,
        };
        let facts = AgentFacts {
            unusable: None,
            resumes: true,
            reads: true,
            unconfined: None,
            stop_hook: false,
            tokens_told: Told::Never,
            cost_told: Told::Never,
            plan_unenforced: None,
            prompted: true,
        };
        let mut settings = Settings::default();
        settings.agents.insert(name.clone(), agent);
        let agents = BTreeMap::from([(name, facts)]);
        let around = Surroundings { settings, untrusted: None, worktrees: PathBuf::from("/w"), agents };
        driver.turn(Input::Surroundings(Box::new(around)), &[], at(1)).expect("no command");
        driver
    }

    fn add() -> Input {
        let spec = TaskSpec::new("one", TextRef("one".into()));
        Input::Command(Command::Add { tasks: vec![NewTask { spec, needs_new: Vec::new() }] })
    }

    const UP: Input = Input::Command(Command::Dispatch { on: true });

    #[test]
    fn a_reservation_of_a_step_that_was_not_stored_is_made_again() {
        let mut driver = driver();
        driver.turn(add(), &[], at(2)).expect("added");
        driver.journal().full = true;
        driver.turn(UP, &[], at(3)).expect_err("nothing can be stored");
        assert_eq!(driver.effects().reserved, 0);
        driver.journal().full = false;
        driver.turn(UP, &[], at(10)).expect("it can again");
        assert_eq!(driver.effects().reserved, 1);
    }

    #[test]
    fn a_number_of_which_traces_remain_is_not_given_after_a_step_that_was_not_stored() {
        let mut driver = driver();
        driver.turn(Input::NumbersUsed { up_to: 7 }, &[], at(2)).expect("no command");
        driver.journal().full = true;
        driver.turn(add(), &[], at(3)).expect_err("nothing can be stored");
        driver.journal().full = false;
        driver.turn(add(), &[], at(10)).expect("it can again");
        assert_eq!(driver.board().tasks.keys().map(|id| id.number()).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn a_slot_that_comes_while_nothing_can_be_stored_is_used_afterwards() {
        let mut driver = driver();
        driver.turn(add(), &[], at(2)).expect("added");
        driver.turn(UP, &[], at(3)).expect("up");
        driver.journal().full = true;
        driver.turn(Input::Slot { reserved: true, used: 1 }, &[], at(4)).expect("no command");
        assert!(driver.effects().orders.is_empty());
        driver.journal().full = false;
        let wake = driver.wake_at().expect("it tries again");
        driver.turn(Input::Tick, &[], Now { mono: wake, ..at(10) }).expect("no command");
        assert_eq!((driver.effects().orders.len(), driver.trouble()), (1, None));
    }

    #[test]
    fn a_step_that_was_neither_stored_nor_taken_back_is_not_built_upon() {
        let mut driver = driver();
        (driver.journal().full, driver.journal().unreadable) = (true, true);
        driver.turn(add(), &[], at(2)).expect_err("nothing can be stored");
        driver.journal().full = false;
        driver.turn(add(), &[], at(10)).expect_err("what is stored cannot be read");
        driver.journal().unreadable = false;
        driver.turn(add(), &[], at(20)).expect("both can");
        let stored = driver.journal().replay().expect("readable");
        assert_eq!(driver.board().tasks, stored.board().tasks);
        assert_eq!(driver.board().tasks.len(), 1);
    }

    #[test]
    fn the_log_is_not_read_again_for_every_input_that_has_to_wait() {
        let mut driver = driver();
        driver.journal().full = true;
        driver.turn(add(), &[], at(2)).expect_err("nothing can be stored");
        let replays = driver.journal().replays;
        for _ in 0..100 {
            driver.turn(Input::SlotsMayBeFree, &[], at(3)).expect("no command");
        }
        assert_eq!(driver.journal().replays, replays);
    }

    #[test]
    fn that_it_can_store_again_is_said_once_it_has_been_shown() {
        let mut driver = driver();
        driver.journal().full = true;
        driver.turn(add(), &[], at(2)).expect_err("nothing can be stored");
        driver.turn(Input::Tick, &[], at(10)).expect("no command");
        assert_eq!(driver.trouble(), Some("no space left on device"));
        driver.journal().full = false;
        driver.turn(Input::Tick, &[], at(20)).expect("no command");
        assert_eq!(driver.trouble(), None);
    }

    #[test]
    fn only_sights_that_a_later_one_supersedes_are_dropped_while_everything_waits() {
        let attempt: crate::model::id::AttemptId = "T1/1".parse().expect("an attempt");
        let seen = |seen| Input::Observed { attempt, seen };
        let began = || seen(Observation::Began { evidence: "bytes".into() });
        let end = Input::Done { id: ActionId(1), outcome: crate::model::action::Outcome::Typed };
        let backlog = VecDeque::from([end.clone(), began(), end.clone(), began(), began()]);
        assert_eq!(superseded(&backlog), Some(1));
        assert_eq!(superseded(&VecDeque::from([end.clone(), began(), end])), None);
    }
}
