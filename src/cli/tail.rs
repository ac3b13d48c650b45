//! Waiting for what happens: the log as it grows, and ^C.
//!
//! The log is read as it lies on disk, so that waiting outlives a restart of the supervisor.
//!
//! **Invariant:** every wait ends by an event, its limit or an interrupt. Must not know: what an
//! event means.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::model::id::Seq;
use crate::os::signal::Signals;
use crate::store::log::{Log, StoredEvent};

use super::context::Context;
use super::error::{Code, Failure};

/// How often the log is asked whether it grew; the question reads no table.
const LOOK: Duration = Duration::from_millis(50);

/// Events read at once.
const PAGE: usize = 512;

/// ^C and its kin, caught for as long as something is waited for.
pub(super) struct Interrupts {
    signals: Signals,
    /// Whether a reader that goes away ends the wait.
    follows: bool,
}

impl Interrupts {
    /// From here on, ^C is heard and does not end this process.
    pub(super) fn catch() -> Result<Self, Failure> {
        Ok(Self { signals: Signals::catch(&[Signal::INT, Signal::TERM, Signal::HUP])?, follows: false })
    }

    /// For verbs that print as long as somebody reads: the end of the reader is their end, even
    /// while there is nothing to print.
    pub(super) fn follow() -> Result<Self, Failure> {
        Ok(Self { follows: true, ..Self::catch()? })
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`Code::Interrupted`], silently; the same with [`Code::Ok`] where the reader went away.
    pub(super) fn sleep(&mut self, limit: Duration) -> Result<(), Failure> {
        let until = Instant::now() + limit;
        loop {
            if self.signals.take().is_some() {
                return Err(Failure::silent(Code::Interrupted));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let limit = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            if reader_is_gone(&self.signals, self.follows, &limit)? {
                return Err(Failure::silent(Code::Ok));
            }
        }
    }
}

/// Waits for a signal; whether the reader of our answers went away meanwhile.
fn reader_is_gone(signals: &Signals, follows: bool, limit: &Timespec) -> Result<bool, Failure> {
    super::ui::with_output(|output| {
        let mut fds = [
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            // Nothing is asked for: an end is always told.
            PollFd::from_borrowed_fd(output, PollFlags::empty()),
        ];
        let watched = if follows { &mut fds[..] } else { &mut fds[..1] };
        match poll(watched, Some(limit)) {
            Ok(_) => Ok(follows && fds[1].revents().intersects(PollFlags::ERR | PollFlags::HUP)),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    })
}

/// The log from one place on.
pub(super) struct Tail<'a> {
    ctx: &'a Context,
    log: Option<Log>,
    next: Seq,
    full: bool,
}

impl<'a> Tail<'a> {
    /// From `next` on, that one included.
    pub(super) fn from(ctx: &'a Context, next: Seq) -> Result<Self, Failure> {
        Ok(Self { ctx, log: ctx.log()?, next: Seq(next.0.max(1)), full: true })
    }

    /// What was stored since the last call; waits for it at most `limit`.
    pub(super) fn wait(&mut self, interrupts: &mut Interrupts, limit: Duration) -> Result<Vec<StoredEvent>, Failure> {
        let until = Instant::now() + limit;
        loop {
            let page = self.read()?;
            let left = until.saturating_duration_since(Instant::now());
            if !page.is_empty() || left.is_zero() {
                // An interrupt is heard also where events come without a pause.
                interrupts.sleep(Duration::ZERO)?;
                return Ok(page);
            }
            interrupts.sleep(left.min(LOOK))?;
        }
    }

    fn read(&mut self) -> Result<Vec<StoredEvent>, Failure> {
        if self.log.is_none() {
            self.log = self.ctx.log()?;
        }
        let Some(log) = &mut self.log else { return Ok(Vec::new()) };
        // The first question answers for what came before it; so nothing is missed between the two.
        if !log.changed_since()? && !self.full {
            return Ok(Vec::new());
        }
        let page = log.events(self.next, PAGE)?;
        self.full = page.len() == PAGE;
        if let Some(last) = page.last() {
            self.next = last.seq.next();
        }
        Ok(page)
    }
}
