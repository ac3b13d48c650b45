//! One process per attempt: it owns the PTY, the screen, the transcript and the exit record.
//!
//! A host is started with a [`Spec`](crate::wire::host::Spec) on its standard input, answers with
//! its address, and from then on is reached through its socket and found through its folder:
//!
//! ```text
//!  spec.json    what was to be run, before it runs     lock         held for life
//!  pid          who runs                               typed        messages that were typed
//!  transcript/  what the agent wrote                   status.json  how it ended
//! ```
//!
//! **Invariant:** an agent never outlives its host unnoticed, a host never outlives its agent, and
//! nothing a client does slows the agent. Must not know: repositories, settings, any dialect.

mod fence;
mod input;
mod locks;
mod osc;
mod output;
mod peer;
mod pty;
mod pump;
mod record;
pub mod registry;
mod requests;
mod screen;
mod serve;
mod signals;
mod start;
mod sweep;
pub mod transcript;
mod typed;

use std::io::{self, Read};
use std::path::PathBuf;

pub use fence::raise_fence;
pub use record::{ExitRecord, Running};
pub use start::{StartError, start};
pub use sweep::kill_leftovers;
pub use typed::typed;

use crate::os::file::FileError;
use crate::os::socket::SocketError;
use crate::wire::host::{Failure, Spec};

/// A spec is a few environments long.
const MAX_SPEC: u64 = 8 << 20;

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the spec cannot be used: {0}")]
    Spec(String),
    #[error("another host runs in this folder")]
    Taken,
    #[error("this host has run already; its exit record is in the folder")]
    Ended,
    #[error("attempt {own} was given up for attempt {number}")]
    Fenced { number: u64, own: u64 },
    #[error("cannot start {}", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl ServeError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The word for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::Spec(_) => "spec",
            Self::Taken => "taken",
            Self::Ended => "ended",
            Self::Fenced { .. } => "fenced",
            Self::Spawn { .. } => "spawn",
            Self::Io { .. } | Self::File(_) | Self::Socket(_) => "io",
        }
    }
}

/// An error and its causes on one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The whole life of a host process: spec on standard input, one line on standard output, then
/// silence. Returns the exit code. Call it before any thread is started.
#[must_use]
pub fn main() -> u8 {
    let ran = read_spec().and_then(|spec| {
        serve::serve(spec, |address| {
            let said = serve::say(address);
            serve::leave_stdio();
            said
        })
    });
    match ran {
        Ok(()) => 0,
        Err(error) => {
            let failure = Failure { error: sentence(&error), code: error.code().to_owned() };
            // Nobody to tell is no reason for another code.
            let _ = serve::say(&failure);
            1
        }
    }
}

fn read_spec() -> Result<Spec, ServeError> {
    let mut text = Vec::new();
    io::stdin().take(MAX_SPEC).read_to_end(&mut text).map_err(ServeError::io("read the spec"))?;
    serde_json::from_slice(&text).map_err(|e| ServeError::Spec(e.to_string()))
}
