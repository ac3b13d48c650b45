//! Hooks of a CLI that ask for permission and wait: from the socket to the task of their host, and
//! the decision back.
//!
//! **Invariant:** whoever waits is let go: with the decision, or with none when the dialog, the
//! host or this supervisor is gone; and a hook that is gone is waited for by nobody.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::hosts::{Ask, Decision};
use super::world::World;
use crate::agent::hook::{self, Event};
use crate::model::id::AttemptId;
use crate::wire::control::Answer;

/// Takes a hook's question to the host's task; `answer` is told when somebody has decided, or
/// nobody will.
pub(super) fn ask(
    world: &Arc<World>,
    attempt: AttemptId,
    dialect: &str,
    payload: &serde_json::Value,
    mut answer: oneshot::Sender<Answer>,
) {
    let bytes = payload.to_string();
    let parsed = dialect.parse().and_then(|dialect| hook::parse(dialect, bytes.as_bytes()));
    let (Ok(Some(event)), Some(handle)) = (parsed, world.host(attempt)) else {
        let _ = answer.send(Answer::Ok {});
        return;
    };
    if !matches!(event.event, Event::PermissionAsked { .. }) {
        handle.offer(Ask::Hook(event));
        let _ = answer.send(Answer::Ok {});
        return;
    }
    tokio::spawn(async move {
        let (decide, decided) = oneshot::channel();
        handle.ask(Ask::Permission(event, decide)).await;
        let said = tokio::select! {
            decided = decided => decided.unwrap_or(Decision::Nothing),
            () = answer.closed() => Decision::Nothing,
        };
        let gone = answer.is_closed();
        let _ = answer.send(match said {
            Decision::Allow => Answer::Decided { allow: true },
            Decision::Deny => Answer::Decided { allow: false },
            Decision::Nothing => Answer::Ok {},
        });
        if gone {
            handle.ask(Ask::HookGone).await;
        }
    });
}
