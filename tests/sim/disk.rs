//! A journal in memory that can be full, can die around a write, and can lose what was never
//! acknowledged to be worth keeping.
//!
//! **Invariant:** every id of an action is written once, for ever.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use standup::model::action::Order;
use standup::model::event::Record;
use standup::model::id::ActionId;
use standup::model::time::Now;
use standup::policy::Machine;
use standup::supervisor::driver::{Entry, Journal};

/// One stored step.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) at: Now,
    pub(crate) events: Vec<Record>,
    orders: Vec<Order>,
    finished: Vec<ActionId>,
}

/// When the supervisor dies around the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Die {
    BeforeWrite,
    AfterWrite,
}

/// What is on disk, and what is going to go wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) steps: Vec<Stored>,
    /// Steps that survive a loss of power.
    synced: usize,
    pub(crate) full: bool,
    pub(crate) unreadable: bool,
    pub(crate) die: Option<Die>,
    pub(crate) dead: bool,
    ever: BTreeSet<ActionId>,
    /// The fold of all steps, kept along; [`Disk::fold`] makes it anew.
    pub(crate) shadow: Machine,
    pub(crate) events: usize,
    pub(crate) refused: usize,
}

impl Disk {
    /// Everything folded from the beginning.
    pub(crate) fn fold(&self) -> Machine {
        let mut machine = Machine::default();
        for step in &self.steps {
            for record in &step.events {
                machine.fold(record, step.at);
            }
        }
        machine
    }

    /// Orders without an outcome.
    pub(crate) fn pending(&self) -> Vec<Order> {
        let mut pending = BTreeMap::new();
        for step in &self.steps {
            for order in &step.orders {
                pending.insert(order.id, order.clone());
            }
            for id in &step.finished {
                pending.remove(id);
            }
        }
        pending.into_values().collect()
    }

    /// The last step ends with these orders.
    pub(crate) fn holds(&self, order: &Order) -> bool {
        self.steps.last().is_some_and(|s| s.orders.contains(order))
    }

    /// The power goes: what was not synced is gone.
    pub(crate) fn lose_power(&mut self) {
        self.steps.truncate(self.synced);
        self.shadow = self.fold();
    }

    pub(crate) fn last(&self, count: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        for step in self.steps.iter().rev().take(count) {
            for order in step.orders.iter().rev() {
                lines.push(format!("    order {} {} {:?}", order.id, order.attempt, order.action));
            }
            for record in step.events.iter().rev() {
                let (task, no) = (record.task.map(|t| t.to_string()), record.attempt.map(|n| n.get()));
                let mut text = format!("{:?}", record.event);
                if text.len() > 300 {
                    text = text.chars().take(300).collect();
                }
                lines.push(format!("{:>9} {} {:?} {text}", step.at.mono.0, task.unwrap_or_default(), no));
            }
        }
        lines.reverse();
        lines.join("\n")
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("no space left on device")]
    Full,
    #[error("input/output error")]
    Unreadable,
}

/// A supervisor's way to the disk.
pub(crate) struct SimJournal(pub(crate) Rc<RefCell<Disk>>);

impl Journal for SimJournal {
    type Error = DiskError;

    fn append(&mut self, entry: &Entry<'_>) -> Result<(), DiskError> {
        let mut disk = self.0.borrow_mut();
        if disk.dead {
            return Ok(());
        }
        if disk.full {
            disk.refused += 1;
            return Err(DiskError::Full);
        }
        let die = disk.die.take();
        if die == Some(Die::BeforeWrite) {
            disk.dead = true;
            return Ok(());
        }
        for order in entry.orders {
            assert!(disk.ever.insert(order.id), "action {} was ordered twice", order.id);
        }
        assert!(entry.events.len() < 1_000, "a step of {} events: rules feed each other", entry.events.len());
        for record in entry.events {
            disk.shadow.fold(record, entry.at);
        }
        disk.events += entry.events.len();
        disk.steps.push(Stored {
            at: entry.at,
            events: entry.events.to_vec(),
            orders: entry.orders.to_vec(),
            finished: entry.finished.to_vec(),
        });
        if !entry.orders.is_empty() || entry.events.iter().any(|r| r.event.must_not_be_lost()) {
            disk.synced = disk.steps.len();
        }
        disk.dead = die == Some(Die::AfterWrite);
        Ok(())
    }

    fn try_out(&mut self) -> Result<(), DiskError> {
        let disk = self.0.borrow();
        if disk.full && !disk.dead { Err(DiskError::Full) } else { Ok(()) }
    }

    fn replay(&mut self) -> Result<Machine, DiskError> {
        let disk = self.0.borrow();
        if disk.unreadable { Err(DiskError::Unreadable) } else { Ok(disk.fold()) }
    }
}
