//! A hook that asks for permission and waits, while the CLI shows its own dialog beside it.
//!
//! **Invariant:** whatever happens to the supervisor, this ends without a decision: at once where
//! none runs, soon where none answers, with the connection where one is killed. The dialog stays
//! usable all the while.

use std::ffi::OsString;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{LIMIT, Report, within};
use crate::agent::hook;
use crate::client::control::{Client, ClientError};
use crate::wire::control::{Answer, Request};

/// How long a supervisor that is busy may take to be reached: the dialog waits for nobody.
const REACHED: Duration = Duration::from_secs(5);

/// What becomes of a question: it is read, somebody hears it or not, and it ends.
enum Step {
    Read(Report),
    Heard(bool),
    Ended(Result<Option<Decided>, ClientError>),
}

/// A person's decision: whether it may, and what was said beside a no.
type Decided = (bool, Option<String>);

/// What to print: a person's decision, if one comes.
pub(super) fn decided(dialect: &str, given: Option<OsString>) -> Option<String> {
    let until = Instant::now() + REACHED;
    let (tell, told) = mpsc::sync_channel(3);
    let of = dialect.to_owned();
    std::thread::spawn(move || {
        let Some(report) = Report::read(of, given) else { return };
        let _ = tell.send(Step::Read(report.clone()));
        let client = report.mail.connect().ok();
        let _ = tell.send(Step::Heard(client.is_some()));
        if let Some(client) = client {
            let _ = tell.send(Step::Ended(wait(client, &report)));
        }
    });
    // Reading the payload and being welcomed is a matter of milliseconds; a person's decision is not.
    let Some(Step::Read(report)) = within(&told, until) else { return None };
    if !matches!(within(&told, until), Some(Step::Heard(true))) {
        report.keep(Instant::now() + LIMIT);
        return None;
    }
    match told.recv() {
        Ok(Step::Ended(Ok(decided))) => {
            let (allow, note) = decided?;
            hook::decision(dialect.parse().ok()?, allow, note.as_deref())
        }
        // Nobody has let it go: its supervisor is gone, and the dialog still stands.
        _ => {
            report.keep(Instant::now() + LIMIT);
            None
        }
    }
}

fn wait(mut client: Client, report: &Report) -> Result<Option<Decided>, ClientError> {
    let (dialect, payload) = (report.dialect.clone(), report.payload.clone());
    match client.ask(&Request::Permission { dialect, payload }) {
        Ok(Answer::Decided { allow, note }) => Ok(Some((allow, note))),
        // An older supervisor knows reports alone.
        Err(ClientError::Refused(_)) => {
            let _ = report.send();
            Ok(None)
        }
        other => other.map(|_| None),
    }
}
