//! One connection.
//!
//! **Invariant:** what waits for a peer is bounded; a peer that does not read loses what it missed
//! and is told so, and nobody waits for it. Must not know: the terminal, other peers.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::wire::host::{Decoder, Frame, FromHost, Lagged, Role, Size, ToHost};

/// Output that may wait for a client. A local terminal that is further behind than this is better
/// served by the current screen.
const MAX_OUTPUT: usize = 256 << 10;

/// Everything that may wait for any peer; beyond it the connection ends.
const MAX_QUEUED: usize = 1 << 20;

/// Who has not said who it is by then is turned out.
const HELLO: Duration = Duration::from_secs(1);

/// At most 60 screens a second.
const SCREEN_EVERY: Duration = Duration::from_millis(16);

/// Read at once: a client's input is handled in slices, so that the others get their turn.
const READ: usize = 64 << 10;

/// Frames that wait to be sent.
#[derive(Debug)]
struct Waiting {
    bytes: Arc<[u8]>,
    /// Whether a later screen makes them worthless.
    is_output: bool,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: u64,
    stream: UnixStream,
    decoder: Decoder<ToHost>,
    out: VecDeque<Waiting>,
    /// Bytes of the first frame that are sent.
    sent: usize,
    queued: usize,
    hello_by: Instant,
    /// What it is called where it runs inside of an agent's host: it only looks.
    pub(super) inside: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) readonly: bool,
    pub(super) size: Option<Size>,
    pub(super) scrollback: u32,
    /// Whether it takes the input, whoever has it.
    pub(super) takes: bool,
    /// Whether it understands who has the input.
    pub(super) knows_leases: bool,
    /// Whether what it types arrives, as far as it was told.
    pub(super) types: bool,
    /// What was left out since this peer fell behind: bytes, or signals.
    skipped: Option<u64>,
    screen_at: Option<Instant>,
    /// How often the alternate screen had been left when this client was painted on it: the main
    /// screen is still to be painted for it.
    pub(super) main_due: Option<u64>,
    closing: bool,
    dead: bool,
}

impl Peer {
    pub(super) fn new(id: u64, stream: UnixStream, inside: Option<String>, now: Instant) -> Self {
        Self {
            id,
            stream,
            decoder: Decoder::new(),
            out: VecDeque::new(),
            sent: 0,
            queued: 0,
            hello_by: now + HELLO,
            inside,
            role: None,
            readonly: false,
            size: None,
            scrollback: 0,
            takes: false,
            knows_leases: false,
            types: true,
            skipped: None,
            screen_at: None,
            main_due: None,
            closing: false,
            dead: false,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn is_client(&self) -> bool {
        self.role == Some(Role::Client)
    }

    pub(super) fn is_watcher(&self) -> bool {
        self.role == Some(Role::Watcher)
    }

    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether the connection is over.
    pub(super) fn is_gone(&self) -> bool {
        self.dead || (self.closing && self.out.is_empty())
    }

    /// Ends the connection once everything is sent.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Ends the connection now.
    pub(super) fn kill(&mut self) {
        self.dead = true;
    }

    /// When this peer needs attention even if nothing comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.role.is_none() {
            return Some(self.hello_by);
        }
        self.wants_screen().then(|| self.screen_at.map(|at| at + SCREEN_EVERY)).flatten()
    }

    /// Whether it is a stranger for too long.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.role.is_none() && now >= self.hello_by
    }

    fn wants_screen(&self) -> bool {
        self.skipped.is_some() && self.out.is_empty() && self.is_client()
    }

    /// Whether this slow client can be shown the current screen now; takes what it missed.
    pub(super) fn take_lag(&mut self, now: Instant) -> Option<u64> {
        if self.out.is_empty() && self.skipped.is_some() {
            let due = self.screen_at.is_none_or(|at| now >= at + SCREEN_EVERY);
            if due || self.is_watcher() {
                return self.skipped.take();
            }
        }
        None
    }

    /// Queues live output of `bytes` bytes, or leaves it out.
    pub(super) fn output(&mut self, frame: &Arc<[u8]>, bytes: u64) {
        if let Some(skipped) = &mut self.skipped {
            *skipped += bytes;
        } else if self.queued > MAX_OUTPUT {
            let before = self.drop_output();
            self.skipped = Some(bytes + before);
        } else {
            self.push(Arc::clone(frame), true);
        }
    }

    /// Queues a signal, or counts it as left out.
    pub(super) fn signal(&mut self, frame: &Arc<[u8]>) {
        if let Some(skipped) = &mut self.skipped {
            *skipped += 1;
        } else if self.queued + frame.len() > MAX_QUEUED {
            self.skipped = Some(1);
        } else {
            self.push(Arc::clone(frame), false);
        }
    }

    /// Queues an answer.
    pub(super) fn send(&mut self, frame: &FromHost) {
        let mut bytes = Vec::new();
        if frame.encode(&mut bytes).is_err() || self.queued + bytes.len() > MAX_QUEUED {
            self.dead = true;
            return;
        }
        self.push(bytes.into(), false);
    }

    fn push(&mut self, bytes: Arc<[u8]>, is_output: bool) {
        self.queued += bytes.len();
        self.out.push_back(Waiting { bytes, is_output });
    }

    /// Forgets output that waits, but for the frame that is half sent. Returns how much it was.
    fn drop_output(&mut self) -> u64 {
        let before = self.queued;
        let mut keep = self.sent > 0;
        self.out.retain(|waiting| std::mem::take(&mut keep) || !waiting.is_output);
        self.queued = self.out.iter().map(|waiting| waiting.bytes.len()).sum();
        (before - self.queued) as u64
    }

    /// Queues a screen in place of all output that waits. Its size is bounded by the model's.
    pub(super) fn send_screen(&mut self, frames: [FromHost; 3], now: Instant) {
        self.drop_output();
        self.skipped = None;
        let mut bytes = Vec::new();
        let encoded = frames.iter().try_for_each(|frame| frame.encode(&mut bytes));
        self.dead |= encoded.is_err();
        self.push(bytes.into(), true);
        self.screen_at = Some(now);
    }

    /// Tells it what it missed.
    pub(super) fn send_lagged(&mut self, skipped: u64) {
        self.send(&FromHost::Lagged(Lagged { skipped }));
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) {
        while let Some(Waiting { bytes: front, .. }) = self.out.front() {
            match rustix::net::send(&self.stream, &front[self.sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.sent += n;
                    if self.sent == front.len() {
                        self.queued -= front.len();
                        self.sent = 0;
                        self.out.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.dead = true;
                    return;
                }
            }
        }
        if self.out.capacity() > 64 {
            self.out = VecDeque::new();
        }
    }

    /// Reads what has come, once. Call [`Peer::next_frame`] until it has no more.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) {
        buffer.resize(READ, 0);
        match rustix::net::recv(&self.stream, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.dead = true,
            Ok((n, _)) => self.decoder.feed(&buffer[..n.min(READ)]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.dead = true,
        }
    }

    /// The next request; a broken stream ends the connection.
    pub(super) fn next_frame(&mut self) -> Option<ToHost> {
        if self.dead || self.closing {
            return None;
        }
        match self.decoder.next_frame() {
            Ok(frame) => frame,
            Err(_) => {
                self.dead = true;
                None
            }
        }
    }
}
