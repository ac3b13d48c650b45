//! The store against real files and real processes that are killed.

pub(crate) mod child;
mod damage;
mod durability;
mod files;
mod reading;
mod slots;

use standup::model::id::{ActionId, AttemptNo, Seq, TaskId};
use standup::os::clock;
use standup::store::log::{Batch, NewAction, NewEvent};

/// An event of a task with a number in it.
fn event(task: u32, n: u64) -> NewEvent<'static> {
    NewEvent {
        at: clock::now(),
        task: TaskId::new(task),
        attempt: Some(AttemptNo::FIRST),
        name: "tested",
        data: serde_json::json!({ "n": n }),
    }
}

/// A batch of one event.
fn one(task: u32, n: u64) -> Batch<'static> {
    Batch { events: vec![event(task, n)], ..Batch::default() }
}

fn action(id: u64) -> NewAction {
    NewAction { id: ActionId(id), data: serde_json::json!({ "do": id }) }
}

const FIRST: Seq = Seq(1);
