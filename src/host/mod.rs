//! One process per attempt: it owns the PTY, the screen, the transcript and the exit record.
//!
//! It reads a [`Spec`](crate::wire::host::Spec), answers with its address, and is then reached
//! through its socket and found through its folder: `spec.json` (written before the agent starts),
//! `lock` (held for life), `pid`, `transcript/`, `typed`, `status.json` (written before it ends).
//!
//! **Invariant:** an agent never outlives its host unnoticed, a host never outlives its agent, and
//! nothing a client does slows the agent. Must not know: repositories, settings, any dialect.

mod ask;
mod entry;
mod fence;
mod input;
mod inside;
mod lease;
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

use std::io;
use std::path::PathBuf;

pub use ask::ask_to_stop;
pub use entry::main;
pub use fence::{Silent, give_up, raise_fence};
pub use record::{ExitRecord, Running};
pub use start::{StartError, start};
pub use sweep::kill_leftovers;
pub use typed::typed;

use crate::os::file::FileError;
use crate::os::socket::SocketError;

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the spec cannot be used: {0}")]
    Spec(String),
    #[error("another host runs in this folder")]
    Taken,
    #[error("this host has run already; its exit record is in the folder")]
    Ended,
    #[error("this start was given up before it could start an agent")]
    GivenUp,
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
            Self::GivenUp => "given-up",
            Self::Fenced { .. } => "fenced",
            Self::Spawn { .. } => "spawn",
            Self::Io { .. } | Self::File(_) | Self::Socket(_) => "io",
        }
    }
}
