//! The process around a host: spec in, one line out, then silence.
//!
//! **Invariant:** the standard streams are left the moment the address is out, so that whoever
//! started the host never waits for it.

use std::io::{self, Read, Write};

use super::{ServeError, serve};
use crate::model::text::chain;
use crate::wire::host::{Failure, Spec};

/// A spec is a few environments long.
const MAX_SPEC: u64 = 8 << 20;

/// The whole life of a host process: spec on standard input, one line on standard output, then
/// silence. Returns the exit code. Call it before any thread is started.
#[must_use]
pub fn main() -> u8 {
    let ran = read_spec().and_then(|spec| {
        serve::serve(spec, |address| {
            let said = say(address);
            leave_stdio();
            said
        })
    });
    match ran {
        Ok(()) => 0,
        Err(error) => {
            let failure = Failure { error: chain(&error), code: error.code().to_owned() };
            // Nobody to tell is no reason for another code.
            let _ = say(&failure);
            1
        }
    }
}

fn read_spec() -> Result<Spec, ServeError> {
    let mut text = Vec::new();
    io::stdin().take(MAX_SPEC).read_to_end(&mut text).map_err(ServeError::io("read the spec"))?;
    serde_json::from_slice(&text).map_err(|e| ServeError::Spec(e.to_string()))
}

/// Points the standard streams at nothing: the starter must not wait for this process.
fn leave_stdio() {
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Writes one line to standard output.
fn say(line: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}
