//! Answers a question that stands on an agent's terminal, as a person at it would.
//!
//! **Invariant:** keys go in only while the agent's own last report is that very question, and
//! only if nothing moved since: the host compares. Must not know: why this is the answer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::agent::psp::{self, Kind, Sequence, State};
use crate::os::socket::{self, SocketError};
use crate::wire::host::{
    Bytes, Decoder, Frame, FromHost, Hello, KeyRequest, Refused, Role, Status, ToHost, VERSIONS, WireError,
};

/// A host answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the keys are offered again where something moved in between.
const TRIES: u32 = 5;

/// Why the answer did not go in.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The host cannot be reached.
    #[error("cannot reach the agent's host")]
    Connect(#[from] SocketError),
    /// The connection failed.
    #[error("lost the agent's host")]
    Talk(#[from] io::Error),
    /// The host says something else than it should.
    #[error("the agent's host cannot be understood")]
    Wire(#[from] WireError),
    /// No question stands there, or another one.
    #[error("the agent does not ask that any more; it reports {said:?}")]
    NotAsked {
        /// Its last report.
        said: String,
    },
    /// The host did not write the keys.
    #[error("the host did not pass the keys on: {0:?}")]
    Refused(Refused),
}

/// Types `keys` at the agent behind `host` if it asks a question whose text contains `question`.
///
/// # Errors
/// [`AnswerError`]; then nothing was typed, unless the connection broke.
pub(super) fn answer(host: &Path, question: &str, keys: &str) -> Result<(), AnswerError> {
    let mut refused = None;
    for _ in 0..TRIES {
        match offer(host, question, keys)? {
            None => return Ok(()),
            Some(why) => refused = Some(why),
        }
    }
    Err(AnswerError::Refused(refused.expect("there is at least one try")))
}

/// One try; what the host says against it, if it does.
fn offer(host: &Path, question: &str, keys: &str) -> Result<Option<Refused>, AnswerError> {
    let mut link = Link::connect(host)?;
    let hello =
        Hello { versions: VERSIONS, features: 0, role: Role::Control, size: None, readonly: false, scrollback: 0 };
    link.send(&ToHost::Hello(hello))?;
    let status = loop {
        if let FromHost::Welcome(welcome) = link.next()? {
            break welcome.status;
        }
    };
    require_asked(&status, question)?;
    // Numbers of messages are given out from 1; the upper half is nobody's.
    let msg_id = uuid::Uuid::new_v4().as_u64_pair().0 | 1 << 63;
    let request =
        KeyRequest { msg_id, if_signal_seq: Some(status.seq), bytes: Bytes::from(keys), if_shows: Vec::new() };
    link.send(&ToHost::Key(request))?;
    loop {
        match link.next()? {
            FromHost::Typed(typed) if typed.msg_id == msg_id => return Ok(None),
            FromHost::Refused(refused) if refused.msg_id == msg_id => return Ok(Some(refused)),
            _ => {}
        }
    }
}

fn require_asked(status: &Status, question: &str) -> Result<(), AnswerError> {
    let reports = status.recent.iter().filter(|r| r.osc.number == psp::OSC);
    let mut said = reports.filter_map(|r| psp::parse(&r.osc.payload.0).ok()).filter_map(|sequence| match sequence {
        Sequence::Report(report) => Some(report),
        Sequence::Query => None,
    });
    match said.next_back() {
        Some(r) if r.state == State::Blocked && r.kind == Some(Kind::Question) && r.msg.contains(question) => Ok(()),
        Some(report) => Err(AnswerError::NotAsked { said: format!("{:?} {}", report.state, report.msg) }),
        None => Err(AnswerError::NotAsked { said: String::new() }),
    }
}

/// A connection that waits.
struct Link {
    stream: UnixStream,
    decoder: Decoder<FromHost>,
}

impl Link {
    fn connect(host: &Path) -> Result<Self, AnswerError> {
        let stream = socket::connect(host)?;
        socket::require_own_peer(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, decoder: Decoder::new() })
    }

    fn send(&mut self, frame: &ToHost) -> Result<(), AnswerError> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes)?;
        Ok(self.stream.write_all(&bytes)?)
    }

    fn next(&mut self) -> Result<FromHost, AnswerError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(frame);
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                n => self.decoder.feed(&buffer[..n]),
            }
        }
    }
}
