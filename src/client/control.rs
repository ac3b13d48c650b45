//! A connection to the supervisor: found, started if absent, spoken to line by line.
//!
//! **Invariant:** inside an agent a connection has the agent's scope, and no supervisor is started.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::scope;
use crate::model::id::Seq;
use crate::model::input::{Command, Refusal, Reply};
use crate::os::detach::{self, DetachError};
use crate::os::file::FileError;
use crate::os::socket::{self, SocketError};
use crate::os::{locate, lock};
use crate::store::StoreError;
use crate::store::layout::Layout;
use crate::store::token::Token;
use crate::wire::control::{Answer, Hello, Known, Logged, Request, VERSIONS, Welcome, only_reports};

/// How long a supervisor may take to come up: it replays its log and looks at every host.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a supervisor may take to say who it is; a healthy one needs a millisecond.
const WELCOME_LIMIT: Duration = Duration::from_secs(10);

/// How long one supervisor may take to make way for the next.
const HAND_OVER: Duration = Duration::from_secs(5);

/// Between two tries meanwhile.
const HAND_OVER_LOOK: Duration = Duration::from_millis(50);

/// How long an agent's report may take before it goes to the outbox instead: hooks must never
/// hold an agent up.
const AGENT_LIMIT: Duration = Duration::from_millis(700);

/// Why the supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// None runs.
    #[error("no supervisor runs for this repository")]
    Absent,
    /// It could not be started.
    #[error("cannot start the supervisor: {}", if log.is_empty() { ended.to_string() } else { log.clone() })]
    Start {
        /// What it said in its log; empty where it said nothing.
        log: String,
        /// How it ended.
        ended: DetachError,
    },
    /// It said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The socket failed.
    #[error("cannot reach the supervisor")]
    Socket(#[source] SocketError),
    /// The connection broke.
    #[error("the supervisor closed the connection")]
    Broken(#[source] io::Error),
    /// It took the connection and says nothing.
    #[error("the supervisor does not answer")]
    Silent,
    /// It answered something else than was asked.
    #[error("the supervisor answered something unexpected: {0}")]
    Unexpected(String),
    /// The token or the layout cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of the supervisor cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How a supervisor that has to be started begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It goes on dispatching where the last one did.
    AsBefore,
    /// It dispatches nothing until it is told to.
    Still,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    read: BufReader<UnixStream>,
    write: UnixStream,
    welcome: Welcome,
    /// The beginning of a line whose end has not come in time.
    begun: Vec<u8>,
}

impl Client {
    /// Connects to the supervisor of a repository, if one runs: as the user, or as the agent in
    /// whose environment we are.
    ///
    /// # Errors
    /// [`ClientError::Absent`] where none does.
    pub fn connect(layout: &Layout) -> Result<Self, ClientError> {
        let path = layout.control_socket()?;
        if let Some(token) = scope::token(|name| std::env::var_os(name)) {
            return Self::open(&path, &token);
        }
        let token = match Token::load(&layout.user_token()) {
            Ok(token) => token,
            Err(_) if !layout.user_token().exists() => return Err(ClientError::Absent),
            Err(error) => return Err(error.into()),
        };
        Self::open(&path, token.secret())
    }

    /// Connects, and starts a supervisor first where none runs.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Refused`] where one would have to be started inside an agent.
    pub fn connect_or_start(layout: &Layout, root: &Path, begin: Begin) -> Result<Self, ClientError> {
        let until = Instant::now() + HAND_OVER;
        loop {
            match Self::connect(layout) {
                Err(ClientError::Absent) if scope::is_agent(layout) => {
                    return Err(ClientError::Refused(only_reports()));
                }
                Err(ClientError::Absent) => {}
                other => return other,
            }
            // One that is just leaving holds its lock a little longer than its socket, and one
            // that is just coming holds it a little earlier.
            let held = lock::is_held(&layout.supervisor_lock())?;
            match start(layout, root, begin) {
                Err(_) if held && Instant::now() < until => thread::sleep(HAND_OVER_LOOK),
                Err(error) => return Err(error),
                Ok(()) => return Self::connect(layout),
            }
        }
    }

    /// Connects to a socket with a token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn open(path: &Path, token: &str) -> Result<Self, ClientError> {
        let stream = match socket::connect(path) {
            Ok(stream) => stream,
            Err(SocketError::Io { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Err(ClientError::Absent);
            }
            Err(error) => return Err(ClientError::Socket(error)),
        };
        socket::require_own_peer(&stream).map_err(ClientError::Socket)?;
        stream.set_read_timeout(Some(WELCOME_LIMIT)).map_err(ClientError::Broken)?;
        let write = stream.try_clone().map_err(ClientError::Broken)?;
        let mut read = BufReader::new(stream);
        let hello =
            Hello { versions: VERSIONS, version: env!("CARGO_PKG_VERSION").to_owned(), token: token.to_owned() };
        send(&write, &hello)?;
        let line = read_line(&mut read, &mut Vec::new()).map_err(or_silent)?;
        match serde_json::from_str::<Welcome>(&line) {
            Ok(welcome) => {
                write.set_read_timeout(None).map_err(ClientError::Broken)?;
                Ok(Self { read, write, welcome, begun: Vec::new() })
            }
            Err(_) => match serde_json::from_str::<Answer>(&line) {
                Ok(Answer::Refused(refusal)) => Err(ClientError::Refused(refusal)),
                _ => Err(ClientError::Unexpected(line)),
            },
        }
    }

    /// Who answered.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Sends a request and takes its answer.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal is [`ClientError::Refused`].
    pub fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        send(&self.write, request)?;
        match self.next().map_err(or_silent)? {
            Answer::Refused(refusal) => Err(ClientError::Refused(refusal)),
            answer => Ok(answer),
        }
    }

    /// Everything that is known.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn board(&mut self) -> Result<Known, ClientError> {
        match self.ask(&Request::Board {})? {
            Answer::Known(known) => Ok(*known),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn command(&mut self, command: Command, texts: Vec<String>) -> Result<(Reply, Seq), ClientError> {
        match self.ask(&Request::Command { command, texts })? {
            Answer::Done { reply, seq } => Ok((reply, seq)),
            other => Err(unexpected(&other)),
        }
    }

    /// Follows the log from `from` on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn follow(self, from: Seq) -> Result<Follower, ClientError> {
        send(&self.write, &Request::Follow { from })?;
        Ok(Follower { client: self })
    }

    /// Bounds how long each answer is waited for; `None` waits for ever.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn set_patience(&self, limit: Option<Duration>) -> Result<(), ClientError> {
        self.write.set_read_timeout(limit).map_err(ClientError::Broken)?;
        self.write.set_write_timeout(limit).map_err(ClientError::Broken)
    }

    /// The connection itself, for whoever is to break it off while an answer is waited for.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub(super) fn line(&self) -> Result<UnixStream, ClientError> {
        self.write.try_clone().map_err(ClientError::Broken)
    }

    fn next(&mut self) -> Result<Answer, ClientError> {
        let line = read_line(&mut self.read, &mut self.begun)?;
        serde_json::from_str(&line).map_err(|_| ClientError::Unexpected(clip(&line)))
    }
}

/// A connection that only receives events.
#[derive(Debug)]
pub struct Follower {
    client: Client,
}

impl Follower {
    /// The next event; waits for it at most `limit`. `None`: none came in time.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the supervisor ends.
    pub fn next(&mut self, limit: Option<Duration>) -> Result<Option<Logged>, ClientError> {
        // A limit of zero would mean none to the socket.
        let limit = limit.map(|l| l.max(Duration::from_millis(1)));
        self.client.set_patience(limit)?;
        match self.client.next() {
            Ok(Answer::Event(logged)) => Ok(Some(*logged)),
            Ok(Answer::Refused(refusal)) => Err(ClientError::Refused(refusal)),
            Ok(other) => Err(unexpected(&other)),
            Err(ClientError::Broken(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Sends one request with an attempt's token, within the time an agent may be held up.
///
/// # Errors
/// [`ClientError`]; the caller then writes to the outbox.
pub fn report(path: &Path, token: &str, request: &Request) -> Result<Option<String>, ClientError> {
    let mut client = Client::open(path, token)?;
    client.set_patience(Some(AGENT_LIMIT))?;
    client.ask(request).map(|answer| match answer {
        Answer::Say { output } => Some(output),
        _ => None,
    })
}

/// Starts a supervisor and waits until it can be asked.
fn start(layout: &Layout, root: &Path, begin: Begin) -> Result<(), ClientError> {
    layout.prepare()?;
    let log_path = layout.supervisor_log();
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log_path)
        .map_err(|e| FileError::io("write", &log_path, e))?;
    let before = log.metadata().map(|m| m.len()).unwrap_or(0);
    let exe = locate::this_binary().map_err(ClientError::Broken)?;
    let mut args: Vec<&std::ffi::OsStr> = vec!["-C".as_ref(), root.as_os_str()];
    args.extend(["supervisor", "run", "--greet"].map(std::ffi::OsStr::new));
    if begin == Begin::Still {
        args.push("--still".as_ref());
    }
    match detach::start(&exe, args, root, log, START_LIMIT) {
        Ok(_) => Ok(()),
        Err(ended) => Err(ClientError::Start { log: complaint(&log_path, before), ended }),
    }
}

/// The error that was written to a log since `from`, without its hints; else the last line.
fn complaint(path: &Path, from: u64) -> String {
    let bytes = crate::os::file::read_bounded(path, 64 << 20).unwrap_or_default();
    let start = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let error = text.lines().find_map(|line| line.strip_prefix("error: "));
    clip(error.or_else(|| text.lines().rfind(|line| !line.trim().is_empty())).unwrap_or_default())
}

fn send(mut write: &UnixStream, value: &impl Serialize) -> Result<(), ClientError> {
    let mut line = serde_json::to_vec(value).map_err(|e| ClientError::Broken(io::Error::other(e)))?;
    line.push(b'\n');
    write.write_all(&line).map_err(ClientError::Broken)
}

/// One whole line. What came of it before an error stays in `begun`, for the next try.
fn read_line(read: &mut impl BufRead, begun: &mut Vec<u8>) -> Result<String, ClientError> {
    read.read_until(b'\n', begun).map_err(ClientError::Broken)?;
    if begun.last() != Some(&b'\n') {
        return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    String::from_utf8(std::mem::take(begun)).map_err(|e| ClientError::Broken(io::Error::other(e)))
}

/// Patience that ran out, by its name.
fn or_silent(error: ClientError) -> ClientError {
    match error {
        ClientError::Broken(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            ClientError::Silent
        }
        other => other,
    }
}

fn unexpected<T: Serialize + DeserializeOwned>(answer: &T) -> ClientError {
    ClientError::Unexpected(clip(&serde_json::to_string(answer).unwrap_or_default()))
}

fn clip(text: &str) -> String {
    text.chars().take(400).collect()
}
