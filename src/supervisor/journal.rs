//! The driver's journal over the store's log.

use tokio::sync::watch;

use crate::model::event::{Event, Record};
use crate::model::id::{Seq, TaskId};
use crate::os::failpoint;
use crate::policy::Machine;
use crate::store::StoreError;
use crate::store::log::{Batch, Log, NewAction, NewEvent, PendingAction, StoredEvent};
use crate::wire::control::Logged;

use super::driver::{Entry, Journal};

/// Events read at once.
const PAGE: usize = 4_096;

/// The log, and everyone who follows it.
pub struct StoreJournal {
    log: Log,
    last: watch::Sender<Seq>,
}

impl StoreJournal {
    /// Over an open log.
    ///
    /// # Errors
    /// The store's.
    pub fn new(log: Log) -> Result<Self, StoreError> {
        let last = watch::channel(log.last_seq()?).0;
        Ok(Self { log, last })
    }

    /// The number of the last event, now and whenever it changes.
    #[must_use]
    pub fn last(&self) -> watch::Receiver<Seq> {
        self.last.subscribe()
    }

    /// The log itself, for reading.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Orders that were given and have no outcome yet.
    ///
    /// # Errors
    /// The store's.
    pub fn pending(&self) -> Result<Vec<PendingAction>, StoreError> {
        self.log.pending_actions()
    }
}

impl Journal for StoreJournal {
    type Error = StoreError;

    fn append(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for record in entry.events {
            batch.must_not_lose |= record.event.must_not_be_lost();
            batch.events.push(NewEvent {
                at: entry.at,
                task: record.task,
                attempt: record.attempt,
                name: record.event.name(),
                data: to_data(&record.event),
            });
        }
        for order in entry.orders {
            let data = serde_json::to_value(order).expect("an order is plain data");
            batch.actions.push(NewAction { id: order.id, data });
        }
        batch.finished.extend_from_slice(entry.finished);
        for text in entry.texts {
            batch.put_text(text.as_str());
        }
        if batch.is_empty() {
            return Ok(());
        }
        let stored = self.log.append(&batch)?;
        for record in entry.events {
            failpoint::hit(record.event.name());
        }
        if stored.end.0 > stored.start.0 {
            self.last.send_replace(Seq(stored.end.0 - 1));
        }
        Ok(())
    }

    fn try_out(&mut self) -> Result<(), StoreError> {
        self.log.try_out()
    }

    fn replay(&mut self) -> Result<Machine, StoreError> {
        fold(&self.log)
    }
}

/// Folds a whole log into a machine. Events of a kind this version does not know are passed over.
///
/// # Errors
/// The store's.
pub fn fold(log: &Log) -> Result<Machine, StoreError> {
    let mut machine = Machine::default();
    each(log, None, |logged| machine.fold(&logged.record, logged.at))?;
    Ok(machine)
}

/// Hands on every event, or those of one task alone, oldest first. Events of a kind this version
/// does not know are passed over.
///
/// # Errors
/// The store's.
pub fn each(log: &Log, of: Option<TaskId>, mut take: impl FnMut(Logged)) -> Result<(), StoreError> {
    let mut from = Seq(1);
    loop {
        let page = match of {
            Some(task) => log.events_of(task, from, PAGE)?,
            None => log.events(from, PAGE)?,
        };
        let Some(last) = page.last() else { return Ok(()) };
        from = last.seq.next();
        page.iter().filter_map(logged).for_each(&mut take);
    }
}

/// A stored event as a value; `None` for one of a kind this version does not know.
#[must_use]
pub fn logged(stored: &StoredEvent) -> Option<Logged> {
    let mut data = stored.data.clone();
    data.as_object_mut()?.insert("event".into(), stored.event.clone().into());
    let event: Event = serde_json::from_value(data).ok()?;
    let record = Record { task: stored.task, attempt: stored.attempt, event };
    Some(Logged { seq: stored.seq, at: stored.at, record })
}

/// The particulars of an event; its name has a column of its own.
fn to_data(event: &Event) -> serde_json::Value {
    let mut data = serde_json::to_value(event).expect("an event is plain data");
    if let Some(object) = data.as_object_mut() {
        object.remove("event");
    }
    data
}
