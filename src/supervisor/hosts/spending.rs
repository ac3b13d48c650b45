//! What an agent uses: the processor time of its processes, and what its logs say.
//!
//! **Invariant:** looked at some seconds after it did something, at the end of a turn, when somebody
//! asks and at its own end; never while it rests. Must not know: what follows from it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::effects::blocking;
use super::super::usage::Meter;
use super::Host;
use crate::model::input::Observation;
use crate::model::time::Span;
use crate::model::usage::{Counted, Seen};
use crate::os::process::{self, ProcessId};

/// How long after it did something it is looked at: a limit may be crossed by so much.
const EVERY: Duration = Duration::from_secs(5);

/// What is written at the end of a turn is there a moment after its end was reported.
const SETTLED: Duration = Duration::from_millis(300);

/// So many pieces are read while somebody waits: a log that is longer is told with the next look.
const MAX_PIECES: usize = 64;

/// How often processor time is looked at in a turn while nobody asks: that reads all of /proc.
const CPU_EVERY: Duration = Duration::from_secs(30);

/// The same at the end of turns, which may be as short as they like.
const CPU_AT_ENDS: Duration = Duration::from_secs(1);

/// So much more processor time is told even where no log says anything.
const CPU_STEP: Span = Span::secs(10);

/// What is known of its spending.
#[derive(Default)]
pub(super) struct Spending {
    meter: Option<Meter>,
    /// When it is looked at next.
    due: Option<Instant>,
    /// Whether a turn has ended since the last look.
    over: bool,
    cpu: Option<Span>,
    cpu_at: Option<Instant>,
    counted: Option<Counted>,
    /// What was told last.
    told: (Option<Counted>, Option<Span>),
}

impl Spending {
    /// When it is looked at next, if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether there is more to tell than was told. Processor time grows all the time, and is told on
    /// its own only where it has grown by much or, at the `end` of a turn, at all.
    fn is_news(&self, end: bool) -> bool {
        let (counted, cpu) = self.told;
        let step = if end { Span(1) } else { CPU_STEP };
        self.counted != counted || self.cpu.is_some_and(|now| now >= cpu.unwrap_or_default() + step)
    }

    /// It did something.
    pub(super) fn stir(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + EVERY);
    }

    /// A turn is over.
    pub(super) fn settle(&mut self) {
        let soon = Instant::now() + SETTLED;
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        self.over = true;
    }
}

impl Host {
    /// Looks and tells, if it is time to.
    pub(super) async fn look_at_spending(&mut self) {
        if self.spending.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        self.spending.due = None;
        let end = self.spending.over;
        let every = if end { CPU_AT_ENDS } else { CPU_EVERY };
        let again = self.spending.cpu_at.map(|at| at + every).filter(|again| Instant::now() < *again);
        if again.is_none() {
            self.look_at_cpu();
        }
        if self.read_logs().await {
            self.spending.due = Some(Instant::now());
            return;
        }
        if self.spending.is_news(end) {
            self.tell_spending().await;
        }
        // What an end came too soon for is looked at a moment later.
        self.spending.over &= again.is_some();
        self.spending.due = again.filter(|_| end);
    }

    /// Looks at everything and tells it, because somebody asks or it has ended.
    pub(super) async fn settle_spending(&mut self) {
        (self.spending.due, self.spending.over) = (None, false);
        self.look_at_cpu();
        for _ in 0..MAX_PIECES {
            if !self.read_logs().await {
                break;
            }
        }
        self.tell_spending().await;
    }

    /// While its host lives; what was seen before stays known.
    pub(super) fn look_at_cpu(&mut self) {
        self.spending.cpu_at = Some(Instant::now());
        let host = self.facts.host;
        if (ProcessId { pid: host.pid, start: host.start }).is_alive() {
            let seen = process::family_cpu_ms(host.pid).map(Span);
            self.spending.cpu = self.spending.cpu.max(seen);
        }
    }

    /// Reads on in its logs; says whether there is more.
    async fn read_logs(&mut self) -> bool {
        let Some(session) = self.weigher.session() else { return false };
        let known = self.spending.meter.take().filter(|meter| meter.session() == session);
        let Some(mut meter) = known.or_else(|| Meter::new(&self.voice, session)) else { return false };
        let (meter, reading) = blocking(move || {
            let reading = meter.look();
            (meter, reading)
        })
        .await;
        self.spending.meter = Some(meter);
        if !reading.more {
            self.spending.counted = reading.counted;
        }
        reading.more
    }

    async fn tell_spending(&mut self) {
        self.spending.told = (self.spending.counted, self.spending.cpu);
        let conversation = self.spending.meter.as_ref().map(|meter| meter.session().to_owned());
        let seen =
            Seen { host: self.facts.id.clone(), cpu: self.spending.cpu, log: conversation.zip(self.spending.counted) };
        if seen.cpu.is_some() || seen.log.is_some() {
            self.observed(Observation::Used { seen }).await;
        }
    }
}
