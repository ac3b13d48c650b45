//! `standup hook`: what a CLI's own hooks call. It never holds an agent up, and it says nothing
//! but what the supervisor has for the agent: what goes wrong here is nobody's business but ours.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

mod permission;

use crate::agent::hook::MAX_PAYLOAD;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::ui::{Color, Ui};
use crate::client::control;
use crate::wire::control::{MAX_AGENT_LINE, Request};

/// After this an agent's CLI goes on, whatever has become of the report.
const LIMIT: Duration = Duration::from_millis(900);

/// The longest text kept of a payload that is too long for the socket: enough for any prompt that
/// has to be recognised.
const MAX_KEPT: usize = 16 << 10;

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
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    if args.wait {
        if let Some(said) = permission::decided(&args.dialect, args.payload) {
            let _ = ctx.ui.answer(&said);
        }
        return Ok(Code::Ok);
    }
    say(&ctx.ui, deliver(args.dialect, args.payload));
    Ok(Code::Ok)
}

/// The same from bare arguments: whatever they are, this is no failure of the agent's.
pub(in crate::cli) fn bare(args: &[OsString]) {
    if let Some(("--wait", [dialect, ..])) = args.split_first().and_then(|(first, rest)| Some((first.to_str()?, rest)))
    {
        if let Some(said) = permission::decided(&dialect.to_string_lossy(), None) {
            let _ = Ui::new(false, false, false, true, Color::Never).answer(&said);
        }
    } else if let Some((dialect, rest)) = args.split_first() {
        let output = deliver(dialect.to_string_lossy().into_owned(), rest.last().cloned());
        say(&Ui::new(false, false, false, true, Color::Never), output);
    }
}

/// What the CLI is answered; nobody is there to hear that it could not be said.
fn say(ui: &Ui, output: Option<String>) {
    if let Some(output) = output {
        let _ = ui.answer(&output);
    }
}

/// Sends the payload, where somebody listens and time allows; returns what the CLI is answered.
fn deliver(dialect: String, given: Option<OsString>) -> Option<String> {
    let (done, wait) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let sent = send(dialect, given);
        let _ = done.send(sent);
    });
    wait.recv_timeout(LIMIT).ok().flatten()
}

fn send(dialect: String, given: Option<OsString>) -> Option<String> {
    let socket = std::env::var_os("STANDUP_SOCKET")?;
    let token = std::env::var("STANDUP_TOKEN").ok()?;
    let payload = read(given)?;
    control::report(Path::new(&socket), &token, &Request::Hook { dialect, payload }).ok().flatten()
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
    let mut payload: Value = serde_json::from_slice(&bytes).ok()?;
    if bytes.len() > MAX_AGENT_LINE - AROUND {
        let mut kept = MAX_KEPT;
        while serde_json::to_vec(&payload).is_ok_and(|line| line.len() > MAX_AGENT_LINE - AROUND) && kept > 0 {
            shorten(&mut payload, kept);
            kept /= 4;
        }
    }
    Some(payload)
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
    fn a_long_payload_keeps_its_shape() {
        let long = "ä".repeat(40_000);
        let mut payload = serde_json::json!({"hook_event_name": "Stop", "tool": {"out": [long, 1]}, "n": 3});
        shorten(&mut payload, 101);
        assert_eq!(payload["hook_event_name"], "Stop");
        assert_eq!(payload["tool"]["out"][0].as_str().map(str::len), Some(100));
        assert_eq!((payload["tool"]["out"][1].as_u64(), payload["n"].as_u64()), (Some(1), Some(3)));
    }
}
