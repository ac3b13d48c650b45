//! The machine itself: takes an input, lets the rules settle, says what follows.

use crate::model::action::Order;
use crate::model::board::{Board, MachineSlots};
use crate::model::event::Record;
use crate::model::id::ActionId;
use crate::model::input::{Input, Observation, Refusal, Reply};
use crate::model::state::RunKind;
use crate::model::time::{Mono, Now, Span};

use super::turn::Turn;
use super::{
    admission, answer, aside, attention, checkin, command, fold, lifecycle, limits, mail, messages, quota, reconcile,
    rhythm, teardown,
};

/// The most rounds the rules may take to settle after one input. Each round either plans or
/// moves something, of which there are finitely many; more means that two rules feed each other.
const MAX_ROUNDS: usize = 100_000;

/// What follows from an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What happened. Durable before any order starts.
    pub events: Vec<Record>,
    /// What is to be done.
    pub orders: Vec<Order>,
    /// Actions that are over.
    pub finished: Vec<ActionId>,
    /// Whether a slot of this machine is to be reserved. Not durable: a restart asks again.
    pub reserve: bool,
    /// Whether the slot in hand is to be given back: nobody took it.
    pub release: bool,
    /// When to be woken if nothing happens.
    pub wake_at: Option<Mono>,
    /// The answer, where the input was a command.
    pub reply: Result<Reply, Refusal>,
}

/// The board and the rules over it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    board: Board,
}

impl Machine {
    /// A machine over a board that was shown by another.
    #[must_use]
    pub fn of(board: Board) -> Self {
        Self { board }
    }

    /// The board.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Takes over what no event records: the surroundings, what agents were last seen to do, and
    /// the slots as they were before the step that was not stored.
    pub fn take_live(&mut self, seen: Board, slots: MachineSlots) {
        for (id, task) in &mut self.board.tasks {
            let Some(seen) = seen.tasks.get(id) else { continue };
            for attempt in &mut task.attempts {
                let Some(seen) = seen.attempts.iter().find(|a| a.no == attempt.no) else { continue };
                attempt.readable = seen.readable && attempt.host().is_some();
                attempt.listens_until = seen.listens_until;
                attempt.dialog = seen.dialog.clone().filter(|_| attempt.run.kind == RunKind::Waiting);
                if attempt.run.kind == seen.run.kind {
                    (attempt.run.at, attempt.run.source) = (seen.run.at, seen.run.source);
                }
            }
        }
        self.board.used_numbers = self.board.used_numbers.max(seen.used_numbers);
        (self.board.surroundings, self.board.bases) = (seen.surroundings, seen.bases);
        self.board.holds = seen.holds;
        self.board.recovered = seen.recovered;
        self.board.machine = slots;
    }

    /// What happened a while ago is only heard now: nothing is due before all of it is, and whoever
    /// stood still with us has got that time back, as far as it is no more than a minute.
    pub fn listen(&mut self, now: Now, stood: Span) {
        self.board.recovered = Some(now.mono + stood.min(Span::mins(1)));
    }

    /// Takes one stored event, in the order of the log, with the time it was stored at.
    pub fn fold(&mut self, record: &Record, at: Now) {
        fold::apply(&mut self.board, record, at);
    }

    /// The board, by itself.
    #[must_use]
    pub fn into_board(self) -> Board {
        self.board
    }

    /// Takes one input and says what follows. A refused command changes nothing.
    pub fn step(&mut self, input: Input, now: Now) -> Step {
        let mut turn = Turn::new(&mut self.board, now);
        let reply = match input {
            Input::Command(wanted) => command::carry_out(&mut turn, wanted),
            Input::Done { id, outcome } => {
                turn.finish(id);
                lifecycle::done(&mut turn, id, outcome);
                Ok(Reply::Ok {})
            }
            Input::Observed { attempt, seen: Observation::CheckIn { check_in, via, stamp } } => {
                mail::checked_in(&mut turn, attempt, check_in, via, stamp)
            }
            Input::Observed { attempt, seen } => {
                lifecycle::observed(&mut turn, attempt, seen);
                Ok(Reply::Ok {})
            }
            Input::Slot { reserved, used } => {
                turn.board.machine.used = used;
                turn.board.machine.in_hand = reserved;
                turn.board.machine.full = !reserved;
                turn.board.machine.asked = false;
                Ok(Reply::Ok {})
            }
            Input::SlotsMayBeFree => {
                turn.board.machine.full = false;
                Ok(Reply::Ok {})
            }
            Input::Surroundings(now) => {
                turn.board.surroundings = Some(*now);
                // The limit may have been raised.
                turn.board.machine.full = false;
                Ok(Reply::Ok {})
            }
            Input::Bases(seen) => {
                turn.board.bases = seen;
                Ok(Reply::Ok {})
            }
            Input::Recovered { hosts } => {
                reconcile::recover(&mut turn, &hosts);
                turn.board.recovered = Some(now.mono);
                Ok(Reply::Ok {})
            }
            Input::NumbersUsed { up_to } => {
                turn.board.used_numbers = turn.board.used_numbers.max(up_to);
                Ok(Reply::Ok {})
            }
            Input::Tick => Ok(Reply::Ok {}),
            Input::Slept { span } => {
                rhythm::slept(&mut turn, span);
                Ok(Reply::Ok {})
            }
        };
        settle(&mut turn);
        turn.into_step(reply)
    }
}

/// Lets the rules work until none has anything to do.
fn settle(turn: &mut Turn<'_>) {
    for _ in 0..MAX_ROUNDS {
        let changed = checkin::rules(turn)
            || limits::rules(turn)
            || aside::rules(turn)
            || lifecycle::rules(turn)
            || messages::rules(turn)
            || answer::rules(turn)
            || quota::rules(turn)
            || attention::rules(turn)
            || teardown::rules(turn)
            || admission::rules(turn);
        if !changed {
            break;
        }
    }
    turn.release_slot();
    admission::explain(turn);
}
