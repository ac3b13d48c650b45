//! What waits to be written into the agent's terminal.
//!
//! **Invariant:** bounded; nothing is ever written into the middle of a message. Must not know:
//! who sent it, sockets.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Bytes that may wait. A paste beyond it waits in its sender's socket.
const MAX_WAITING: usize = 256 << 10;

/// An agent that has not read a byte for this long, with the queue full, does not read at all.
const STUCK: Duration = Duration::from_millis(500);

/// Between a pasted text and Enter: without it, some programs take Enter for a part of the paste.
const BEFORE_ENTER: Duration = Duration::from_millis(150);

#[derive(Debug)]
enum Piece {
    Bytes {
        data: Vec<u8>,
        at: usize,
    },
    Pause {
        until: Option<Instant>,
    },
    /// Enter, unless the message was withheld meanwhile.
    Enter,
    End {
        msg_id: u64,
    },
}

/// A message that was written in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) msg_id: u64,
    /// Whether Enter was held back.
    pub(super) withheld: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Input {
    pieces: VecDeque<Piece>,
    waiting: usize,
    progress: Option<Instant>,
    dropping: bool,
    dropped: u64,
    withhold: bool,
}

impl Input {
    /// Takes bytes, or drops them if the agent has stopped reading.
    pub(super) fn push(&mut self, data: &[u8], now: Instant) {
        if data.is_empty() {
            return;
        }
        if self.dropping {
            self.dropped += data.len() as u64;
            return;
        }
        if self.pieces.is_empty() {
            self.progress = Some(now);
        }
        self.waiting += data.len();
        match self.pieces.back_mut() {
            Some(Piece::Bytes { data: last, .. }) if last.len() < MAX_WAITING => last.extend_from_slice(data),
            _ => self.pieces.push_back(Piece::Bytes { data: data.to_vec(), at: 0 }),
        }
    }

    /// Takes an answer to a query; drops it if the agent asks faster than it reads.
    pub(super) fn push_reply(&mut self, data: &[u8], now: Instant) {
        if self.waiting + data.len() <= MAX_WAITING {
            self.push(data, now);
        }
    }

    /// Takes a whole message.
    pub(super) fn push_message(&mut self, msg_id: u64, data: Vec<u8>, submit: bool, now: Instant) {
        self.progress = Some(now);
        self.withhold = false;
        self.waiting += data.len();
        self.pieces.push_back(Piece::Bytes { data, at: 0 });
        if submit {
            self.pieces.push_back(Piece::Pause { until: None });
            self.pieces.push_back(Piece::Enter);
        }
        self.pieces.push_back(Piece::End { msg_id });
    }

    /// Holds back the Enter of the message that is being written, if it has not been sent.
    pub(super) fn withhold_enter(&mut self) {
        self.withhold = true;
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether senders should wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= MAX_WAITING && !self.dropping
    }

    /// Bytes dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the terminal should be watched for room.
    pub(super) fn wants_room(&self) -> bool {
        matches!(self.pieces.front(), Some(Piece::Bytes { .. } | Piece::Enter | Piece::End { .. }))
    }

    /// When to come back even if there is no room.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.pieces.front() {
            Some(Piece::Pause { until }) => *until,
            Some(_) if self.is_full() => self.progress.map(|at| at + STUCK),
            _ => None,
        }
    }

    /// Writes what the terminal takes. Returns the messages completed, and whether dropping began.
    pub(super) fn write(&mut self, to: BorrowedFd<'_>, now: Instant) -> (Vec<Written>, bool) {
        let mut done = Vec::new();
        while let Some(front) = self.pieces.front_mut() {
            match front {
                Piece::Bytes { data, at } => match rustix::io::write(to, &data[*at..]) {
                    Ok(n) => {
                        *at += n;
                        self.waiting -= n;
                        self.progress = Some(now);
                        if *at == data.len() {
                            self.pieces.pop_front();
                        }
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                },
                Piece::Pause { until } => {
                    if now < *until.get_or_insert(now + BEFORE_ENTER) {
                        break;
                    }
                    self.pieces.pop_front();
                }
                Piece::Enter => {
                    if !self.withhold && rustix::io::write(to, b"\r") != Ok(1) {
                        break;
                    }
                    self.pieces.pop_front();
                }
                Piece::End { msg_id } => {
                    done.push(Written { msg_id: *msg_id, withheld: self.withhold });
                    self.withhold = false;
                    self.pieces.pop_front();
                }
            }
        }
        if self.pieces.is_empty() {
            self.dropping = false;
        }
        let stuck = self.is_full() && self.progress.is_some_and(|at| now.saturating_duration_since(at) >= STUCK);
        self.dropping |= stuck;
        (done, stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn pair() -> (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream) {
        let (a, b) = std::os::unix::net::UnixStream::pair().expect("pair");
        a.set_nonblocking(true).expect("nonblocking");
        (a, b)
    }

    #[test]
    fn enter_follows_after_a_pause_and_a_client_waits_behind_it() {
        let (agent, mut other) = pair();
        let mut input = Input::default();
        let start = Instant::now();
        input.push_message(7, b"text".to_vec(), true, start);
        input.push(b"typed", start);
        assert_eq!(input.write(agent.as_fd(), start).0, []);
        let due = input.deadline().expect("pause");
        assert_eq!(due, start + BEFORE_ENTER);
        assert_eq!(input.write(agent.as_fd(), due).0, [Written { msg_id: 7, withheld: false }]);
        let mut got = [0; 64];
        let n = std::io::Read::read(&mut other, &mut got).expect("read");
        assert_eq!(&got[..n], b"text\rtyped");
    }

    #[test]
    fn enter_can_be_held_back() {
        let (agent, mut other) = pair();
        let mut input = Input::default();
        let start = Instant::now();
        input.push_message(7, b"text".to_vec(), true, start);
        input.write(agent.as_fd(), start);
        input.withhold_enter();
        assert_eq!(input.write(agent.as_fd(), start + BEFORE_ENTER).0, [Written { msg_id: 7, withheld: true }]);
        let mut got = [0; 64];
        let n = std::io::Read::read(&mut other, &mut got).expect("read");
        assert_eq!(&got[..n], b"text");
    }

    #[test]
    fn an_agent_that_never_reads_makes_input_drop_after_a_while() {
        let (agent, _other) = pair();
        let mut input = Input::default();
        let start = Instant::now();
        let chunk = vec![b'x'; 64 << 10];
        while !input.is_full() {
            input.push(&chunk, start);
            input.write(agent.as_fd(), start);
        }
        let due = input.deadline().expect("a limit");
        assert!(input.write(agent.as_fd(), due).1, "dropping began");
        assert!(!input.is_full(), "senders go on");
        input.push(&chunk, due);
        assert_eq!(input.dropped(), chunk.len() as u64);
    }
}
