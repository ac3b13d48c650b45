//! `standup hook`: what a CLI's own hooks call. It never holds an agent up, and it says nothing
//! but what the supervisor has for the agent: what goes wrong here is nobody's business but ours.
//! What no supervisor hears is left in the outbox, where it still means something later.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

mod permission;

use crate::agent::hook::{self, HookEvent, MAX_PAYLOAD};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::ui::{Color, Ui};
use crate::client::control::ClientError;
use crate::client::mail::Mail;
use crate::model::checkin::Stamp;
use crate::os::detach;
use crate::watch::outbox;
use crate::wire::control::MAX_AGENT_LINE;

/// So long the supervisor may take to hear it.
const HEARD_LIMIT: Duration = Duration::from_millis(700);

/// After this an agent's CLI goes on, whatever has become of the report.
const LIMIT: Duration = Duration::from_millis(900);

/// The longest text kept of a payload that is too long for the socket: enough for any prompt that
/// has to be recognised.
const MAX_KEPT: usize = 16 << 10;

/// The most bytes sent of a payload that is no JSON: enough to recognise it.
const MAX_SHOWN: usize = 200;

/// Room in a line for what surrounds the payload.
const AROUND: usize = 4 << 10;

/// Hand a hook's payload to the supervisor
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Whose: claude, codex, codex-notify
    dialect: String,
    /// The payload; default: standard input
    payload: Option<OsString>,
    /// Wait for a person's decision where it asks for permission, and print it
    #[arg(long)]
    wait: bool,
    /// Another program to be called with the payload afterwards: its words, then the payload
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    then: Vec<OsString>,
}

/// One call of ours by a CLI.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    dialect: String,
    payload: Option<OsString>,
    wait: bool,
    then: Vec<OsString>,
}

pub(in crate::cli) fn run(mut args: Args, ctx: &Context) -> Result<Code, Failure> {
    let payload = args.then.pop().or(args.payload);
    Call { dialect: args.dialect, payload, wait: args.wait, then: args.then }.carry_out(&ctx.ui);
    Ok(Code::Ok)
}

/// The same from bare arguments: whatever they are, this is no failure of the agent's.
pub(in crate::cli) fn bare(args: &[OsString]) {
    if let Some(call) = Call::read(args) {
        call.carry_out(&Ui::new(false, false, false, true, Color::Never));
    }
}

impl Call {
    fn read(args: &[OsString]) -> Option<Self> {
        let (first, rest) = args.split_first()?;
        let dialect = |word: &OsString| word.to_string_lossy().into_owned();
        if first == "--wait" {
            return Some(Self { dialect: dialect(rest.first()?), wait: true, ..Self::default() });
        }
        let (payload, before) = rest.split_last().map_or((None, rest), |(last, before)| (Some(last.clone()), before));
        let then = before.split_first().filter(|(flag, _)| *flag == "--then").map(|(_, then)| then.to_vec());
        Some(Self { dialect: dialect(first), payload, wait: false, then: then.unwrap_or_default() })
    }

    /// Nobody is there to hear that something could not be done.
    fn carry_out(self, ui: &Ui) {
        let Self { dialect, payload, wait, then } = self;
        let said = match wait {
            true => permission::decided(&dialect, payload.clone()),
            false => deliver(dialect, payload.clone()),
        };
        if let Some(said) = said {
            let _ = ui.answer(&said);
        }
        // As the CLI would have called it: with its words and the payload, and left to itself.
        if let (Some((program, words)), Some(payload)) = (then.split_first(), payload) {
            let words: Vec<OsString> = words.iter().cloned().chain([payload]).collect();
            let _ = detach::leave(program, &words);
        }
    }
}

/// What becomes of a report: it is read, then heard or not.
enum Step {
    Read(Report),
    Sent(Result<Option<String>, ClientError>),
}

/// Sends the payload, where somebody listens and time allows; returns what the CLI is answered.
fn deliver(dialect: String, given: Option<OsString>) -> Option<String> {
    let until = Instant::now() + LIMIT;
    let (tell, told) = mpsc::sync_channel(2);
    std::thread::spawn(move || {
        let Some(report) = Report::read(dialect, given) else { return };
        let _ = tell.send(Step::Read(report.clone()));
        let _ = tell.send(Step::Sent(report.send()));
    });
    let Ok(Step::Read(report)) = told.recv_timeout(HEARD_LIMIT) else { return None };
    match within(&told, until - (LIMIT - HEARD_LIMIT)) {
        Some(Step::Sent(Ok(output))) => output,
        // It was heard, and does not count.
        Some(Step::Sent(Err(ClientError::Refused(_)))) => None,
        _ => {
            report.keep(until);
            None
        }
    }
}

/// What comes until then.
fn within<T>(told: &Receiver<T>, until: Instant) -> Option<T> {
    told.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

/// A hook that fired, and whom to tell.
#[derive(Clone)]
struct Report {
    mail: Mail,
    stamp: Stamp,
    dialect: String,
    payload: Value,
}

impl Report {
    fn read(dialect: String, given: Option<OsString>) -> Option<Self> {
        let folder = std::env::current_dir().unwrap_or_default();
        let mail = Mail::find(|name| std::env::var_os(name), &folder);
        let stamp = mail.stamp();
        Some(Self { stamp, mail, payload: read(given)?, dialect })
    }

    fn send(&self) -> Result<Option<String>, ClientError> {
        self.mail.hook(&self.dialect, &self.payload, self.stamp.clone())
    }

    /// Leaves it in the outbox, if it still means something later; whether it could be left, by then
    /// at the latest, nobody is there to hear.
    fn keep(mut self, until: Instant) {
        let lasts = |event: HookEvent| event.lasts();
        if !hook::read(&self.dialect, &self.payload).is_ok_and(|event| event.is_some_and(lasts)) {
            return;
        }
        fit(&mut self.payload, outbox::MAX_BYTES - AROUND);
        let (tell, told) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let _ = tell.send(self.mail.leave_hook(&self.dialect, self.payload, self.stamp).is_ok());
        });
        within(&told, until);
    }
}

/// The payload, short enough for the socket.
fn read(given: Option<OsString>) -> Option<Value> {
    let bytes = match given {
        Some(text) => text.into_vec(),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().take(MAX_PAYLOAD as u64).read_to_end(&mut bytes).ok()?;
            bytes
        }
    };
    // What is no JSON is said to have come, and refused where it can be noted down.
    let mut payload = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SHOWN)]).into_owned()));
    fit(&mut payload, MAX_AGENT_LINE - AROUND);
    Some(payload)
}

/// Cuts what is in a payload until it is no longer than `max` bytes.
fn fit(payload: &mut Value, max: usize) {
    let mut kept = MAX_KEPT;
    while kept > 0 && serde_json::to_vec(payload).is_ok_and(|line| line.len() > max) {
        shorten(payload, kept);
        kept /= 4;
    }
}

/// Cuts every text in a value: what a tool read or wrote says nothing of the agent's state.
fn shorten(value: &mut Value, max: usize) {
    match value {
        Value::String(text) => {
            let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
        Value::Array(items) => {
            items.truncate(max);
            items.iter_mut().for_each(|item| shorten(item, max));
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| shorten(field, max)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_what_is_called_afterwards() {
        let read = |words: &[&str]| Call::read(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let call = |dialect: &str, payload: Option<&str>, then: &[&str]| {
            let then = then.iter().map(OsString::from).collect();
            Some(Call { dialect: dialect.into(), payload: payload.map(OsString::from), wait: false, then })
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["claude"]), call("claude", None, &[]));
        assert_eq!(read(&["codex-notify", "{}"]), call("codex-notify", Some("{}"), &[]));
        assert_eq!(
            read(&["codex-notify", "--then", "p", "--x", "{}"]),
            call("codex-notify", Some("{}"), &["p", "--x"])
        );
        assert_eq!(read(&["codex-notify", "--then"]), call("codex-notify", Some("--then"), &[]));
        let wait = Call { dialect: "claude".into(), wait: true, ..Call::default() };
        assert_eq!(read(&["--wait", "claude"]), Some(wait));
        assert_eq!(read(&["--wait"]), None);
    }

    #[test]
    fn a_long_payload_keeps_its_shape() {
        let long = "ä".repeat(40_000);
        let mut payload = serde_json::json!({"hook_event_name": "Stop", "tool": {"out": [long, 1]}, "n": 3});
        shorten(&mut payload, 101);
        assert_eq!(payload["hook_event_name"], "Stop");
        assert_eq!(payload["tool"]["out"][0].as_str().map(str::len), Some(100));
        assert_eq!((payload["tool"]["out"][1].as_u64(), payload["n"].as_u64()), (Some(1), Some(3)));
    }
}
