//! A hook that asks for permission and waits, while the CLI shows its own dialog beside it.
//!
//! **Invariant:** whatever happens to the supervisor, this ends without a decision: at once where
//! none answers, with the connection where one is killed. The dialog stays usable all the while.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc;

use super::LIMIT;
use crate::agent::hook;
use crate::client::control::{Client, ClientError};
use crate::wire::control::{Answer, Request};

/// What to print: a person's decision, if one comes.
pub(super) fn decided(dialect: &str, given: Option<OsString>) -> Option<String> {
    let (tell, told) = mpsc::sync_channel(1);
    let of = dialect.to_owned();
    std::thread::spawn(move || {
        let asked = connect(&of, given);
        let waits = asked.is_some();
        let _ = tell.send(None);
        if let (true, Some((client, request))) = (waits, asked) {
            let _ = tell.send(wait(client, &request));
        }
    });
    // Reading the payload and being welcomed is a matter of milliseconds; a person's decision is not.
    told.recv_timeout(LIMIT).ok()?;
    let allow: bool = told.recv().ok()??;
    hook::decision(dialect.parse().ok()?, allow)
}

fn connect(dialect: &str, given: Option<OsString>) -> Option<(Client, Request)> {
    let socket = std::env::var_os("STANDUP_SOCKET")?;
    let token = std::env::var("STANDUP_TOKEN").ok()?;
    let payload = super::read(given)?;
    let client = Client::open(Path::new(&socket), &token).ok()?;
    Some((client, Request::Permission { dialect: dialect.to_owned(), payload }))
}

fn wait(mut client: Client, request: &Request) -> Option<bool> {
    match client.ask(request) {
        Ok(Answer::Decided { allow }) => Some(allow),
        // An older supervisor knows reports alone.
        Err(ClientError::Refused(_)) => {
            if let Request::Permission { dialect, payload } = request {
                let report = Request::Hook { dialect: dialect.clone(), payload: payload.clone() };
                let _ = client.ask(&report);
            }
            None
        }
        _ => None,
    }
}
