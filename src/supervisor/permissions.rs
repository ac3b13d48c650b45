//! Hooks of a CLI that ask for permission and wait: from the socket to the task of their host, and
//! the decision back.
//!
//! **Invariant:** whoever waits is let go: with the decision, or with none when the dialog, the
//! host or this supervisor is gone; and a hook that is gone is waited for by nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::hosts::{Ask, Decision, Fired, Handle};
use super::world::World;
use crate::agent::hook::{self, Event};
use crate::model::id::AttemptId;
use crate::os::clock;
use crate::wire::control::Answer;

/// How long a host that was just started, or that lives on from before this supervisor, may take
/// to be connected: an agent may ask before.
const CONNECTED: Duration = Duration::from_secs(3);

/// Between two looks at whether it is.
const LOOK: Duration = Duration::from_millis(20);

/// Takes a hook's question to the host's task; `answer` is told when somebody has decided, or
/// nobody will.
pub(super) fn ask(
    world: &Arc<World>,
    attempt: AttemptId,
    dialect: &str,
    payload: &serde_json::Value,
    mut answer: oneshot::Sender<Answer>,
) {
    let Ok(Some(event)) = hook::read(dialect, payload) else {
        let _ = answer.send(Answer::Ok {});
        return;
    };
    let world = world.clone();
    tokio::spawn(async move {
        let Some(handle) = host(&world, attempt, &answer).await else {
            let _ = answer.send(Answer::Ok {});
            return;
        };
        if !matches!(event.event, Event::PermissionAsked { .. }) {
            handle.offer(Ask::Hook(Fired { event, at: clock::now(), id: None, heard: None }));
            let _ = answer.send(Answer::Ok {});
            return;
        }
        let (decide, decided) = oneshot::channel();
        handle.ask(Ask::Permission(event, decide)).await;
        let said = tokio::select! {
            decided = decided => decided.unwrap_or(Decision::Nothing),
            () = answer.closed() => Decision::Nothing,
        };
        let gone = answer.is_closed();
        let _ = answer.send(match said {
            Decision::Allow => Answer::Decided { allow: true, note: None },
            Decision::Deny(note) => Answer::Decided { allow: false, note },
            Decision::Nothing => Answer::Ok {},
        });
        if gone {
            handle.ask(Ask::HookGone).await;
        }
    });
}

/// The host of an attempt, as soon as it is connected; `None` where it is not in time, or nobody
/// waits any more.
async fn host(world: &World, attempt: AttemptId, answer: &oneshot::Sender<Answer>) -> Option<Handle> {
    let until = Instant::now() + CONNECTED;
    loop {
        let found = world.host(attempt);
        if found.is_some() || answer.is_closed() || Instant::now() >= until {
            return found;
        }
        sleep(LOOK).await;
    }
}
