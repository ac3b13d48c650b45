//! A connection to a host, as a client, a watcher or for one request.
//!
//! **Invariant:** every wait has a deadline.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use standup::wire::host::{Decoder, Empty, Frame, FromHost, Hello, Role, Size, Status, ToHost, VERSIONS};

/// A wait that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// The size of the terminals of these tests.
pub(crate) const SIZE: Size = Size { rows: 24, cols: 80 };

/// One connection.
pub(crate) struct Peer {
    stream: UnixStream,
    decoder: Decoder<FromHost>,
    /// What a client's terminal got: snapshots and output.
    pub(crate) output: Vec<u8>,
    seen: usize,
}

impl Peer {
    /// Connects and says hello.
    pub(crate) fn connect(socket: &Path, role: Role, scrollback: u32) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let size = (role == Role::Client).then_some(SIZE);
        let hello = Hello { versions: VERSIONS, features: 0, role, size, readonly: false, scrollback };
        let mut peer = Self { stream, decoder: Decoder::new(), output: Vec::new(), seen: 0 };
        peer.send(&ToHost::Hello(hello))?;
        Ok(peer)
    }

    /// A client's connection, welcomed.
    pub(crate) fn client(socket: &Path, scrollback: u32) -> Self {
        let mut peer = Self::connect(socket, Role::Client, scrollback).expect("connect");
        peer.until("a welcome", |frame| matches!(frame, FromHost::Welcome(_)).then_some(()));
        peer
    }

    /// How a host stands.
    pub(crate) fn status(socket: &Path) -> Status {
        let mut peer = Self::connect(socket, Role::Control, 0).expect("connect");
        peer.send(&ToHost::Status(Empty {})).expect("ask");
        peer.until("a status", |frame| match frame {
            FromHost::Status(status) => Some(*status),
            _ => None,
        })
    }

    pub(crate) fn send(&mut self, frame: &ToHost) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).map_err(std::io::Error::other)?;
        self.stream.write_all(&bytes)
    }

    /// Bounds every write.
    pub(crate) fn set_write_limit(&self, limit: Duration) {
        self.stream.set_write_timeout(Some(limit)).expect("limit");
    }

    /// The next frame; `None` when the host has hung up.
    pub(crate) fn next(&mut self, until: Instant) -> Option<FromHost> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("frames") {
                match &frame {
                    FromHost::Output(bytes) | FromHost::Snapshot(bytes) => self.output.extend_from_slice(bytes),
                    _ => {}
                }
                return Some(frame);
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing came; the terminal got {}", self.output.escape_ascii());
            self.stream.set_read_timeout(Some(left)).expect("limit");
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.decoder.feed(&buffer[..n]),
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("reading from the host: {e}"),
            }
        }
    }

    /// Reads until a frame is as wanted.
    pub(crate) fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(FromHost) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            let Some(frame) = self.next(until) else {
                panic!("{what}: the host hung up; the terminal got {}", self.output.escape_ascii())
            };
            if let Some(found) = wanted(frame) {
                return found;
            }
        }
    }

    /// Reads until the terminal shows this, after what was waited for before.
    pub(crate) fn until_output(&mut self, text: &str) {
        let until = Instant::now() + DEADLINE;
        loop {
            let fresh = &self.output[self.seen..];
            if let Some(at) = fresh.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            assert!(self.next(until).is_some(), "{text:?}: the host hung up; got {}", self.output.escape_ascii());
        }
    }

    /// Reads until the first snapshot is complete; returns what it painted.
    pub(crate) fn until_painted(&mut self) -> String {
        self.until("a snapshot", |frame| matches!(frame, FromHost::SnapshotEnd(_)).then_some(()));
        self.seen = self.output.len();
        String::from_utf8_lossy(&self.output).into_owned()
    }
}
