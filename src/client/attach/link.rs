//! The client's end of a connection to a host: frames in, frames out, never waiting.
//!
//! **Invariant:** what is queued for the host is bounded by its callers' asking
//! [`Link::is_full`]; what is read and not yet taken is at most a frame and a read.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::AttachError;
use crate::os::socket;
use crate::wire::host::{Decoder, Frame, FromHost, Hello, ToHost, Welcome};

/// How long a host may take for its first answer. It answers within milliseconds unless it is
/// stopped or the machine is drowning.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// Queued bytes above which no keys are read: what is pasted waits in the terminal instead.
const FULL: usize = 256 << 10;

/// After so long without the host taking a byte, keys are read all the same, for the chord.
const STUCK: Duration = Duration::from_secs(1);

/// What one read takes; the socket's own buffer is about as large.
const READ: usize = 64 << 10;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    decoder: Decoder<FromHost>,
    buffer: Vec<u8>,
    queue: Queue,
    /// When the host last took something, or had nothing to take.
    taken: Instant,
    closed: bool,
}

impl Link {
    /// Connects, introduces itself and waits for the welcome.
    pub(super) fn connect(path: &Path, hello: Hello) -> Result<(Self, Box<Welcome>), AttachError> {
        let stream = socket::connect(path).map_err(AttachError::Connect)?;
        socket::require_own_peer(&stream).map_err(AttachError::Connect)?;
        stream.set_nonblocking(true).map_err(AttachError::Talk)?;
        let mut link = Self {
            stream,
            decoder: Decoder::new(),
            buffer: vec![0; READ],
            queue: Queue::default(),
            taken: Instant::now(),
            closed: false,
        };
        link.send(&ToHost::Hello(hello))?;
        let deadline = Instant::now() + FIRST_ANSWER;
        loop {
            match link.next_frame()? {
                Some(FromHost::Welcome(welcome)) => return Ok((link, welcome)),
                Some(FromHost::Unsupported(host)) => return Err(AttachError::Version { host }),
                Some(_) => {}
                None if link.closed => return Err(AttachError::Talk(io::ErrorKind::UnexpectedEof.into())),
                None => link.wait(deadline)?,
            }
        }
    }

    fn wait(&mut self, deadline: Instant) -> Result<(), AttachError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AttachError::Silent { seconds: FIRST_ANSWER.as_secs() });
        }
        let mut fds = [PollFd::new(&self.stream, self.interest())];
        let left = Timespec::try_from(left).expect("a few seconds fit");
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(AttachError::Talk(error.into())),
        }
        self.flush();
        self.fill()
    }

    /// What to poll for: always input, output while something is queued.
    pub(super) fn interest(&self) -> PollFlags {
        if self.queue.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether the host has closed; frames it sent before may still be there.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether no more should be queued now.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= FULL
    }

    /// When a full queue counts as stuck; `None` while it is not full.
    pub(super) fn stuck_at(&self) -> Option<Instant> {
        self.is_full().then(|| self.taken + STUCK)
    }

    /// Queues a frame and sends what the socket takes.
    pub(super) fn send(&mut self, frame: &ToHost) -> Result<(), AttachError> {
        if self.queue.is_empty() {
            self.taken = Instant::now();
        }
        frame.encode(self.queue.tail()).map_err(AttachError::Wire)?;
        self.flush();
        Ok(())
    }

    /// Sends what the socket takes. A host that is gone is noticed by reading, which also gets
    /// its last words.
    pub(super) fn flush(&mut self) {
        let mut stream = &self.stream;
        match self.queue.drain_into(|bytes| stream.write(bytes)) {
            Ok(0) => {}
            Ok(_) => self.taken = Instant::now(),
            Err(_) => self.queue.clear(),
        }
    }

    /// Sends what is still queued, as long as the host keeps taking it: what a person typed or
    /// pasted just before leaving is the agent's.
    pub(super) fn finish(&mut self) {
        self.taken = Instant::now();
        while !self.is_idle() {
            let left = (self.taken + STUCK).saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(&self.stream, PollFlags::OUT)];
            let limit = Timespec::try_from(left).expect("a second fits");
            match rustix::event::poll(&mut fds, Some(&limit)) {
                Ok(ready) if ready > 0 => self.flush(),
                Err(rustix::io::Errno::INTR) if !left.is_zero() => {}
                _ => return,
            }
        }
    }

    /// Reads what is there, once. Call [`Link::next_frame`] until it has no more before the next.
    pub(super) fn fill(&mut self) -> Result<(), AttachError> {
        match (&self.stream).read(&mut self.buffer) {
            Ok(0) => self.closed = true,
            Ok(n) => self.decoder.feed(&self.buffer[..n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                self.closed = true;
            }
            Err(e) => return Err(AttachError::Talk(e)),
        }
        Ok(())
    }

    /// The next whole frame that was read.
    pub(super) fn next_frame(&mut self) -> Result<Option<FromHost>, AttachError> {
        self.decoder.next_frame().map_err(AttachError::Wire)
    }
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    start: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// What has not gone out yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Where more is appended. What has gone out is let go of first, once it is the larger part.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Writes until all is out or `write` would wait; returns the number of bytes.
    pub(super) fn drain_into(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        let before = self.start;
        while !self.is_empty() {
            match write(self.rest()) {
                Ok(n) => self.start += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        let written = self.start - before;
        if self.is_empty() {
            self.clear();
        }
        Ok(written)
    }
}
