//! A person's terminal on an agent's PTY: straight to the host's socket, so that it works while
//! no supervisor runs.
//!
//! First the exact screen, then live bytes both ways. `ctrl-] d` detaches and leaves the agent
//! running.
//!
//! **Invariant:** however this ends, by detaching, with the agent, with the host, by a signal or a
//! panic, the terminal is given back as it was; and a terminal that does not read never makes
//! anybody else wait. Must not know: tasks, the supervisor, any agent's dialect.

mod link;
mod session;

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::process::Signal;

use super::terminal::Terminal;
use crate::os::signal::Signals;
use crate::os::socket::SocketError;
use crate::wire::host::{Hello, Role, VERSIONS, Versions, WireError, feature};
use link::Link;
use session::Session;

/// Set by every host for what runs in its terminal.
pub const HOST_VARIABLE: &str = "STANDUP_HOST";

/// What the loop wants to hear of.
const SIGNALS: &[Signal] =
    &[Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::WINCH, Signal::TSTP, Signal::CONT];

/// How to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Only look: keys are read for the chord and go nowhere.
    pub readonly: bool,
    /// Take the agent's input, whoever has it while the task is in a person's hands.
    pub takes: bool,
    /// The task is in a person's hands, as far as is known. A host keeps others from typing by
    /// itself; for one that is too old to, this side does.
    pub leased: bool,
    /// The command that takes the input, as `standup takeover T3`; empty where there is none.
    pub take: String,
    /// Lines above the screen to print first.
    pub scrollback: u32,
    /// What the person calls it, as `T3`.
    pub label: String,
    /// The command that attaches again, as `standup attach T3`.
    pub command: String,
    /// The host whose terminal this is already; see [`inside`].
    pub inside: Option<OsString>,
}

impl Options {
    /// A writing client without scrollback that knows from the environment where it runs.
    #[must_use]
    pub fn new(label: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            readonly: false,
            takes: false,
            leased: false,
            take: String::new(),
            scrollback: 0,
            label: label.into(),
            command: command.into(),
            inside: inside(),
        }
    }
}

/// The host in whose terminal this process runs, by the environment; `None` outside of any.
#[must_use]
pub fn inside() -> Option<OsString> {
    std::env::var_os(HOST_VARIABLE).filter(|name| !name.is_empty())
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person detached; the agent goes on.
    Detached,
    /// The agent's process ended.
    AgentExited {
        /// Exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// The host closed the connection or died, and said nothing of the agent.
    HostGone,
    /// This process was told to end; 1 (hang-up) also where the terminal went away.
    Signal(i32),
}

impl Ended {
    /// One line for the person.
    #[must_use]
    pub fn line(&self, options: &Options) -> String {
        let Options { label, command, .. } = options;
        match self {
            Self::Detached => format!("[detached from {label}; {command} returns]"),
            Self::AgentExited { signal: Some(signal), .. } => format!("[{label} was ended by signal {signal}]"),
            Self::AgentExited { code: Some(code), .. } => format!("[{label} exited with code {code}]"),
            Self::AgentExited { .. } => format!("[{label} exited]"),
            Self::HostGone => format!("[the host of {label} is gone]"),
            Self::Signal(signal) => format!("[detached from {label} by signal {signal}; {command} returns]"),
        }
    }
}

/// Why there was no attaching. The terminal is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Keys or output go somewhere else.
    #[error("cannot attach to {label}: {stream} is not a terminal")]
    NotATerminal {
        /// `standard input` or `standard output`.
        stream: &'static str,
        /// What was to be attached to.
        label: String,
    },
    /// This terminal is an agent's own.
    #[error("cannot attach to {label}: this terminal already belongs to an agent ({})", host.display())]
    Nested {
        /// Its host.
        host: OsString,
        /// What was to be attached to.
        label: String,
    },
    /// Nobody listens.
    #[error("cannot reach the host")]
    Connect(#[source] SocketError),
    /// The connection broke before the screen came.
    #[error("cannot talk to the host")]
    Talk(#[source] io::Error),
    /// The host does not answer.
    #[error("the host does not answer; it was waited for {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// No common version.
    #[error("the host speaks {host}, this program {VERSIONS}")]
    Version {
        /// What the host speaks.
        host: Versions,
    },
    /// The host sent what is no frame.
    #[error("cannot understand the host")]
    Wire(#[source] WireError),
    /// The terminal or the signals could not be set up.
    #[error("cannot {tried}")]
    Terminal {
        /// What was tried.
        tried: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl AttachError {
    /// What to do about it: a sentence or a command to paste.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotATerminal { label, .. } => Some(format!("standup logs -f {label}")),
            Self::Nested { label, .. } => {
                Some(format!("detach from it first (ctrl-] d), or watch with: standup logs -f {label}"))
            }
            Self::Version { host } => {
                let of = if host.is_before(VERSIONS) { "an older" } else { "a newer" };
                Some(format!("the host is of {of} standup: attach with that one, or stop the agent and start it again"))
            }
            _ => None,
        }
    }
}

/// Puts the terminal behind `input` and `output` on the PTY of the host that listens on `socket`,
/// and returns when that is over. Nothing is printed but the agent's own output; the caller
/// prints [`Ended::line`].
///
/// # Errors
/// [`AttachError`].
pub fn attach(
    socket: &Path,
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
    options: &Options,
) -> Result<Ended, AttachError> {
    for (fd, stream) in [(input, "standard input"), (output, "standard output")] {
        if !rustix::termios::isatty(fd) {
            return Err(AttachError::NotATerminal { stream, label: options.label.clone() });
        }
    }
    if let Some(host) = &options.inside {
        return Err(AttachError::Nested { host: host.clone(), label: options.label.clone() });
    }
    let failed = |tried| move |source| AttachError::Terminal { tried, source };
    let size = super::terminal::size_of(input, output);
    let hello = Hello {
        versions: VERSIONS,
        features: feature::LEASE | if options.takes { feature::TAKES } else { 0 },
        role: Role::Client,
        size: Some(size),
        readonly: options.readonly,
        scrollback: options.scrollback,
    };
    let (link, welcome) = Link::connect(socket, hello)?;
    let kept = welcome.features & feature::LEASE != 0;
    let locked = options.leased && !options.takes && !kept && welcome.status.clients > 1;
    let signals = Signals::catch(SIGNALS).map_err(failed("catch signals"))?;
    let mut terminal = Terminal::borrow(input, output).map_err(failed("open the terminal"))?;
    terminal.enter().map_err(failed("switch the terminal to raw mode"))?;
    let mut session = Session::new(link, terminal, signals, &welcome.status, size, options);
    if locked {
        session.may_type(false);
    }
    session.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_line() {
        let options = Options::new("T3", "standup attach T3");
        for (ended, line) in [
            (Ended::Detached, "[detached from T3; standup attach T3 returns]"),
            (Ended::AgentExited { code: Some(7), signal: None }, "[T3 exited with code 7]"),
            (Ended::AgentExited { code: None, signal: Some(9) }, "[T3 was ended by signal 9]"),
            (Ended::HostGone, "[the host of T3 is gone]"),
            (Ended::Signal(15), "[detached from T3 by signal 15; standup attach T3 returns]"),
        ] {
            assert_eq!(ended.line(&options), line);
        }
    }

    #[test]
    fn without_a_terminal_the_error_points_to_the_log() {
        let null = std::fs::File::open("/dev/null").expect("open");
        let fd = std::os::fd::AsFd::as_fd(&null);
        let error = attach(Path::new("/nonexistent"), fd, fd, &Options::new("T3", "-")).expect_err("no terminal");
        assert_eq!(error.to_string(), "cannot attach to T3: standard input is not a terminal");
        assert_eq!(error.hint().as_deref(), Some("standup logs -f T3"));
    }
}
