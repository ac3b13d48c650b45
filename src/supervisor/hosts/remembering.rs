//! Taking up an agent that lived before us: what its host tells of earlier, and since when it is
//! silent, as the supervisor before us saw it.
//!
//! **Invariant:** a memory lies beside a host only while its agent is silent, and the first sign of
//! life removes it. So one that is found is of the last sign; where none is found, there may have
//! been signs until now. What differs from the board is told only once all of it is known. Must not
//! know: what a state means for the task.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::tools::Tools;
use super::{Host, Seen, Status, looking};
use crate::agent::evidence::End;
use crate::agent::signal::Memory;
use crate::model::name::Oid;
use crate::model::state::{RunKind, RunState};
use crate::model::time::{Mono, Now, Span};
use crate::os::process::ProcessId;
use crate::os::{clock, file};
use crate::wire::host::AgentState;

/// How long nothing is told of an agent that lived on while it is not known what happened meanwhile:
/// what its hooks said belongs to the first that is told. Reading an outbox takes milliseconds, a
/// screen that never settles comes after three seconds.
const LIMIT: Duration = Duration::from_secs(4);

/// A screen is looked at once nothing was written to it for so long.
const SETTLED: Span = Span(150);

/// A part of `silence` that is lost at most where nothing is remembered.
const PART: u64 = 10;

/// Between two notes of how much processor time a silent agent has used.
const AGAIN: Duration = Duration::from_secs(30);

/// The longest memory that is read, in bytes.
const MAX: u64 = 64 << 10;

/// How it stood with an agent that lived before us.
#[derive(Clone)]
pub(in super::super) struct Before {
    /// When it was launched.
    pub since: Now,
    /// What it was said to do.
    pub run: RunKind,
    /// Its worktree as it was seen last.
    pub tree: Option<Oid>,
}

impl Before {
    /// When it was launched; a moment of another boot says nothing in this one.
    pub(super) fn known_at(&mut self, now: Now) -> Now {
        if self.since.boot != now.boot || self.since.mono > now.mono {
            self.since = now;
        }
        self.since
    }
}

/// What is not known yet of an agent that lived on.
pub(super) struct Awaited {
    until: Option<Instant>,
    outbox: bool,
    screen: bool,
    files: bool,
}

impl Awaited {
    pub(super) fn of(voice: &super::Voice) -> Self {
        let lived = voice.before.is_some();
        let files = voice.before.as_ref().is_some_and(|before| before.tree.is_some());
        Self { until: lived.then(|| Instant::now() + LIMIT), outbox: voice.reads_outbox, screen: lived, files }
    }

    /// Until when it is waited for; `None` once it is not any more.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| (self.outbox || self.screen || self.files) && Instant::now() < *until)
    }

    fn has_passed(&self) -> bool {
        self.until().is_none()
    }
}

/// What outlives a supervisor. Nothing of it is an event: it serves once, the next one.
#[derive(Serialize, Deserialize)]
struct Kept {
    signs: Memory,
    /// The processor time of its processes, in ticks, and when that was.
    cpu: Option<(u64, Mono)>,
    /// Where its conversation is kept.
    transcript: Option<String>,
    /// How long that was.
    length: Option<u64>,
    /// Children that are no tools.
    beside: Vec<ProcessId>,
}

/// The memory that lies beside the host.
#[derive(Default)]
pub(super) struct Keeping {
    /// The sign that it is of, and when it was written.
    of: Option<(Now, Option<Instant>)>,
}

impl Host {
    /// Takes over from the supervisor before us.
    pub(super) fn recall(&mut self, now: Now) {
        if self.voice.before.is_none() {
            return;
        }
        let text = self.voice.memory.as_ref().and_then(|path| file::read_bounded(path, MAX).ok());
        let kept = text.and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let Some(kept) = kept.filter(|kept| kept.signs.sign.boot == now.boot) else {
            return self.weigher.take_over(now, None);
        };
        self.weigher.take_over(now, Some(kept.signs));
        self.keeping.of = Some((kept.signs.sign, None));
        self.cpu = kept.cpu;
        self.tools = Tools::of(&kept.beside);
        self.transcript = kept.length;
        if let Some(path) = kept.transcript {
            self.weigher.take_over_transcript(path);
        }
    }

    /// Keeps what the next supervisor is to know, where its agent is silent.
    pub(super) fn remember(&mut self) {
        let Some(path) = self.voice.memory.as_ref() else { return };
        let now = clock::now();
        let sign = self.weigher.last_sign();
        if self.keeping.of.is_some_and(|(of, _)| of != sign) {
            self.keeping.of = None;
            let _ = std::fs::remove_file(path);
        }
        let silent = now.mono.since(sign.mono) >= Span(self.voice.silence.0 / PART);
        let fresh = self.keeping.of.is_some_and(|(_, at)| at.is_some_and(|at| at.elapsed() < AGAIN));
        if !silent || fresh || !self.is_looked_at(&self.weigher.state(now)) || !self.awaited.has_passed() {
            return;
        }
        let kept = Kept {
            signs: self.weigher.memory(),
            cpu: self.cpu,
            transcript: self.weigher.transcript().map(str::to_owned),
            length: self.transcript,
            beside: self.tools.beside(),
        };
        // One that is torn by a crash is none.
        let written = serde_json::to_vec(&kept).is_ok_and(|text| std::fs::write(path, text).is_ok());
        if written {
            self.keeping.of = Some((sign, Some(Instant::now())));
        }
    }

    /// Whether nothing is to be told yet.
    pub(super) fn awaits_outbox(&self) -> bool {
        self.awaited.outbox && !self.awaited.has_passed()
    }

    /// Whether what it does is not to be told yet: what is no news to the board is, at once.
    pub(super) fn is_awaited(&self, state: &RunState) -> bool {
        let awaited = &self.awaited;
        if awaited.has_passed() {
            return false;
        }
        let news = self.voice.before.as_ref().is_none_or(|before| before.run != state.kind);
        let quiet = state.kind == RunKind::Quiet;
        (awaited.screen && (news || quiet)) || (awaited.files && quiet)
    }

    /// Its outbox was read.
    pub(super) fn outbox_read(&mut self) {
        self.awaited.outbox = false;
    }

    /// It reports something now: that is news of now, whatever its screen shows of before. A turn that
    /// begins and ends while a screen is waited for would otherwise never have been.
    pub(super) fn reported(&mut self) {
        self.awaited.screen = false;
    }

    /// Its screen came: when it was seen so. The first shows how things stood before we came; and a
    /// time that any of them names may have come since it was written.
    pub(super) fn screen_came(&mut self, now: Now) -> Now {
        let first = std::mem::take(&mut self.awaited.screen);
        let Some(written) = self.written else { return now };
        let seen = (written.mono + SETTLED).min(now.mono);
        Now { wall: written.wall, mono: if first { seen } else { now.mono }, ..now }
    }

    /// Its worktree was looked at: what changed while nobody looked is a sign.
    pub(super) fn tree_seen(&mut self, tree: &Oid, now: Now) {
        if !std::mem::take(&mut self.awaited.files) {
            return;
        }
        if self.voice.before.as_ref().and_then(|before| before.tree.as_ref()).is_some_and(|known| known != tree) {
            self.weigher.observe(now, Seen::Files);
        }
    }

    /// How things stood before we came: reports that we missed are weighed at their age.
    pub(super) fn status(&mut self, status: &Status, now: Now) {
        for recent in &status.recent {
            let at = looking::earlier(now, recent.age_ms);
            self.osc(recent.osc.number, &recent.osc.payload.0, at);
        }
        self.written = status.output_age_ms.map(|age| looking::earlier(now, age));
        let written = self.written.unwrap_or(now);
        if !status.title.is_empty() {
            self.weigher.observe(written, Seen::Title(status.title.clone()));
        }
        if status.output_bytes > 0 {
            // It has done something since its launch, and last did at that time.
            let first = self.voice.before.as_ref().map_or(written, |before| before.since);
            self.weigher.observe(first, Seen::Output);
            self.weigher.observe(written, Seen::Output);
        } else {
            self.awaited.screen = false;
        }
        if let AgentState::Exited { code, signal } = status.state {
            self.weigher.observe(now, Seen::Exited(End { code, signal }));
        }
        self.seq = self.seq.max(status.seq);
        self.attached.store(status.clients, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_comes_is_not_waited_for_again_and_again() {
        let mut awaited = Awaited { until: Some(Instant::now() + LIMIT), outbox: false, screen: true, files: false };
        assert!(awaited.until().is_some() && !awaited.has_passed());
        // A moment that has passed would wake its task at once, and at once again.
        awaited.until = Some(Instant::now());
        assert!(awaited.until().is_none() && awaited.has_passed());
        (awaited.until, awaited.screen) = (Some(Instant::now() + LIMIT), false);
        assert!(awaited.until().is_none(), "nothing is missing");
    }
}
