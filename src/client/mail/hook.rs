//! A hook's end of the post: to the supervisor, or into the outbox until one comes.

use serde_json::Value;

use super::Mail;
use crate::agent::hook::Letter;
use crate::client::control::{self, Client, ClientError};
use crate::model::checkin::Stamp;
use crate::watch::outbox::{self, OutboxError};
use crate::wire::control::Request;

/// Hooks that wait in an outbox at most: how things stand now is in the newest of them.
const KEPT: usize = 200;

impl Mail {
    /// Tells the supervisor that a hook fired; returns what the hook is to answer. Bounded by the
    /// socket's patience alone: nobody may listen at its other end.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where it was heard; else it was not, or nobody knows.
    pub fn hook(&self, dialect: &str, payload: &Value, stamp: Stamp) -> Result<Option<String>, ClientError> {
        let (path, token) = self.socket.as_ref().ok_or(ClientError::Absent)?;
        let request = Request::Hook { dialect: dialect.to_owned(), payload: payload.clone(), stamp };
        control::report(path, token, &request)
    }

    /// A connection for a hook that waits for a decision. Bounded as [`Mail::hook`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect(&self) -> Result<Client, ClientError> {
        let (path, token) = self.socket.as_ref().ok_or(ClientError::Absent)?;
        Client::open(path, token)
    }

    /// Leaves a hook in the outbox, for whoever supervises next. One of no attempt has none.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn leave_hook(&self, dialect: &str, payload: Value, stamp: Stamp) -> Result<(), OutboxError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let letter = serde_json::to_vec(&Letter::new(dialect, payload, stamp)).expect("a letter is plain data");
        outbox::leave_hook(&dir.join("outbox"), &letter, KEPT)
    }
}
