//! One step in the making: events are applied as they are decided, so that every rule sees what
//! the rules before it did.

use crate::model::action::{Action, Order};
use crate::model::attempt::Attempt;
use crate::model::board::{Board, Task};
use crate::model::event::{Event, Record};
use crate::model::id::{ActionId, AttemptId, CheckRun, MsgId, TaskId};
use crate::model::input::{Refusal, Reply, Surroundings};
use crate::model::message::{Delivery, From, Message};
use crate::model::settings::Settings;
use crate::model::time::{Mono, Now};

use super::machine::Step;
use super::{fold, messages};

/// One step in the making.
pub(super) struct Turn<'a> {
    pub(super) board: &'a mut Board,
    pub(super) now: Now,
    events: Vec<Record>,
    orders: Vec<Order>,
    finished: Vec<ActionId>,
    reserve: bool,
    release: bool,
    wake_at: Option<Mono>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(board: &'a mut Board, now: Now) -> Self {
        Self {
            board,
            now,
            events: Vec::new(),
            orders: Vec::new(),
            finished: Vec::new(),
            reserve: false,
            release: false,
            wake_at: None,
        }
    }

    pub(super) fn into_step(self, reply: Result<Reply, Refusal>) -> Step {
        Step {
            events: self.events,
            orders: self.orders,
            finished: self.finished,
            reserve: self.reserve,
            release: self.release,
            wake_at: self.wake_at,
            reply,
        }
    }

    fn emit(&mut self, record: Record) {
        fold::apply(self.board, &record, self.now);
        self.events.push(record);
    }

    pub(super) fn board_event(&mut self, event: Event) {
        self.emit(Record::of_board(event));
    }

    pub(super) fn task_event(&mut self, task: TaskId, event: Event) {
        self.emit(Record::of_task(task, event));
    }

    pub(super) fn attempt_event(&mut self, attempt: AttemptId, event: Event) {
        self.emit(Record::of_attempt(attempt, event));
    }

    /// Takes the id for an action whose event comes first.
    pub(super) fn next_action(&mut self) -> ActionId {
        let id = ActionId(self.board.next_action);
        self.board.next_action += 1;
        id
    }

    pub(super) fn next_msg(&mut self) -> MsgId {
        let id = MsgId(self.board.next_msg);
        self.board.next_msg += 1;
        id
    }

    pub(super) fn next_run(&mut self) -> CheckRun {
        let id = CheckRun(self.board.next_run);
        self.board.next_run += 1;
        id
    }

    pub(super) fn order(&mut self, id: ActionId, attempt: AttemptId, action: Action) {
        self.orders.push(Order { id, attempt, action });
    }

    pub(super) fn finish(&mut self, id: ActionId) {
        self.finished.push(id);
    }

    pub(super) fn reserve(&mut self) {
        self.board.machine.asked = true;
        self.reserve = true;
    }

    /// Gives back a slot that no rule took.
    pub(super) fn release_slot(&mut self) {
        self.release = std::mem::take(&mut self.board.machine.in_hand);
    }

    /// Asks to be woken at the latest then.
    pub(super) fn wake(&mut self, at: Mono) {
        self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
    }

    /// Whether a deadline has passed; if not, asks to be woken at it.
    pub(super) fn is_due(&mut self, at: Mono) -> bool {
        if self.now.mono >= at {
            return true;
        }
        self.wake(at);
        false
    }

    pub(super) fn surroundings(&self) -> Option<&Surroundings> {
        self.board.surroundings.as_ref()
    }

    pub(super) fn settings(&self) -> Option<&Settings> {
        self.surroundings().map(|s| &s.settings)
    }

    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.board.tasks.get(&id)
    }

    /// The newest attempt of a task.
    pub(super) fn newest(&self, id: TaskId) -> Option<(AttemptId, &Attempt)> {
        let attempt = self.task(id)?.attempt()?;
        Some((AttemptId { task: id, no: attempt.no }, attempt))
    }

    /// An attempt that still has a say: the newest of its task.
    pub(super) fn current(&self, id: AttemptId) -> Option<&Attempt> {
        self.newest(id.task).filter(|(newest, _)| *newest == id).map(|(_, attempt)| attempt)
    }

    /// Whether something is being said to an attempt, or waits to be: what it has finished so far
    /// is not the end of it. A message for an agent that cannot hear it any more does not count.
    pub(super) fn is_told(&self, id: AttemptId) -> bool {
        let Some(task) = self.task(id.task) else { return false };
        let Some(attempt) = self.board.attempt(id) else { return false };
        // A reminder changes nothing about what is to be done.
        let mine = |m: &&Message| m.attempt == id.no && m.from != From::Reminder;
        task.messages.iter().filter(mine).any(|m| match m.delivery {
            Delivery::Queued { .. } => attempt.is_active() || messages::may_resume(self.board, attempt, m.from),
            Delivery::Typing { .. } | Delivery::Typed { .. } => true,
            Delivery::Delivered | Delivery::Unknown | Delivery::Withdrawn => false,
        })
    }

    pub(super) fn task_ids(&self) -> Vec<TaskId> {
        self.board.tasks.keys().copied().collect()
    }

    /// Tasks that were ever started: the only ones that rules about agents are about.
    pub(super) fn begun_ids(&self) -> Vec<TaskId> {
        self.board.tasks.values().filter(|t| !t.attempts.is_empty()).map(|t| t.id).collect()
    }

    /// Whether an ended attempt of this agent can be taken up again.
    pub(super) fn resumes(&self, attempt: &Attempt) -> bool {
        messages::resumes(self.board, attempt)
    }

    /// Whether a hook of ours is asked before an agent ends a turn.
    pub(super) fn is_asked_at_stop(&self, attempt: &Attempt) -> bool {
        let facts = self.board.surroundings.as_ref().and_then(|s| s.agents.get(&attempt.agent));
        facts.is_some_and(|facts| facts.stop_hook)
    }

    /// Whether what is typed into an agent's terminal reaches it as a message.
    pub(super) fn reads(&self, attempt: &Attempt) -> bool {
        let facts = self.board.surroundings.as_ref().and_then(|s| s.agents.get(&attempt.agent));
        facts.is_none_or(|facts| facts.reads)
    }
}
