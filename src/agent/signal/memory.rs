//! What a weigher leaves to the one that comes after it, so that silence does not begin anew with
//! every supervisor.

use serde::{Deserialize, Serialize};

use crate::model::time::{Mono, Now, Wall};

use super::{StatusFile, Weigher};

/// How things stood at the last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// When that was.
    pub sign: Now,
    /// What of its screen does not move by itself, as a number; `None` where none was seen.
    pub still: Option<u64>,
}

impl Weigher {
    /// When the last sign of life was, by what is known.
    #[must_use]
    pub fn last_sign(&self) -> Now {
        self.last_sign
    }

    /// What the next one is to know.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let still = self.seen.as_ref().map(|seen| number(&seen.still)).or(self.remembered);
        Memory { sign: self.last_sign, still }
    }

    /// Takes over from another one. Where nothing is known of that one's last sign, it may have been
    /// at any moment until now.
    pub fn take_over(&mut self, now: Now, memory: Option<Memory>) {
        let memory = memory.filter(|m| m.sign.boot == now.boot && m.sign.mono <= now.mono);
        self.last_sign = memory.map_or(now, |memory| memory.sign);
        self.remembered = memory.and_then(|memory| memory.still);
    }

    /// Takes over where the conversation is kept.
    pub fn take_over_transcript(&mut self, path: String) {
        self.transcript.get_or_insert(path);
    }

    /// Whether a screen shows another thing than the one before it, be that another one's.
    pub(super) fn shows_more(&mut self, still: &str) -> bool {
        let remembered = self.remembered.take();
        match &self.seen {
            Some(seen) => seen.still != still,
            None => remembered.is_none_or(|before| before != number(still)),
        }
    }

    /// When a status file began to say what it says. The first that is read may have been written
    /// long ago; it says when.
    pub(super) fn said_at(&self, file: &StatusFile, now: Now) -> Now {
        match &self.status {
            Some((before, at)) if before.status == file.status => *at,
            Some(_) => now,
            None => file.at.map_or(now, |wall| self.dated(wall, now)),
        }
    }

    /// The moment of a time of the wall clock, no earlier than the launch and no later than `now`.
    fn dated(&self, wall: Wall, now: Now) -> Now {
        let ago = i64::try_from(now.wall.since(wall).0).unwrap_or(i64::MAX);
        let mono = Mono(now.mono.0.saturating_sub(ago)).clamp(self.launched.mono.min(now.mono), now.mono);
        Now { mono, wall: Wall(now.wall.0.saturating_sub(now.mono.since(mono).0.cast_signed())), ..now }
    }
}

/// FNV-1a: the same in every build.
fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scene, at, rules};
    use super::super::*;
    use super::*;
    use crate::model::time::{Boot, Span};

    /// A screen of which nothing but the spinner moves.
    fn spinner(second: i64) -> Observation {
        Observation::Screen(format!("❯ go\n✢ Marinating… ({second}s · ↓ 4 tokens)\n❯\n"))
    }

    /// An agent that a supervisor saw begin at 100 ms and has not seen do anything since 200 ms.
    fn silent() -> Scene {
        let mut s = Scene::of("claude");
        s.psp("state=working:app=c").see(spinner(1)).see(Observation::Output);
        s
    }

    /// The weigher of the next supervisor: reports at their age, then what `seen` says.
    fn next(s: &Scene, memory: Option<Memory>) -> Scene {
        let mut next = Scene { weigher: Weigher::new(rules("claude"), at(0)), ms: s.ms };
        next.weigher.take_over(at(s.ms), memory);
        let Ok(psp::Sequence::Report(report)) = psp::parse(b"state=working:app=c") else { panic!("a report") };
        next.weigher.observe(at(100), Observation::Psp(report));
        next.weigher.observe(at(s.ms), Observation::Output);
        next
    }

    #[test]
    fn silence_goes_on_over_a_restart_although_the_spinner_turns() {
        let mut s = silent();
        s.after(Span::mins(9)).see(spinner(540));
        assert_eq!(s.weigher.memory().sign, at(200));
        // Before it became quiet: the rest of its silence, and no more.
        let mut early = next(&s, Some(s.weigher.memory()));
        early.see(spinner(541)).is(RunKind::Working, Source::Osc7501);
        early.after(Span::mins(1)).is(RunKind::Quiet, Source::Activity);
        assert_eq!(early.state().at, at(200), "with its true age");
        // After: quiet at once.
        s.after(Span::mins(30));
        let mut late = next(&s, Some(s.weigher.memory()));
        late.see(spinner(9_000)).is(RunKind::Quiet, Source::Activity);
        assert_eq!(late.state().text, "nothing but its spinner moves");
        assert_eq!(late.weigher.memory(), s.weigher.memory(), "and so over the next one");
    }

    #[test]
    fn what_happened_while_nobody_looked_is_a_sign() {
        let mut s = silent();
        s.after(Span::mins(30));
        let memory = s.weigher.memory();
        let mut other = next(&s, Some(memory));
        other.see(Observation::Screen("● I found it.\n✢ Marinating… (1800s · ↓ 4 tokens)\n".into()));
        other.is(RunKind::Working, Source::Osc7501);
        for seen in [Observation::Files, Observation::Transcript, Observation::Cpu { percent: 90 }] {
            let mut other = next(&s, Some(memory));
            other.see(spinner(1_800)).is(RunKind::Quiet, Source::Activity);
            other.see(seen).is(RunKind::Working, Source::Osc7501);
        }
        let mut reported = next(&s, Some(memory));
        reported.psp("state=working:app=c:id=a:title=aW5uZXIgdGFzaw==").see(spinner(1_800));
        reported.is(RunKind::Working, Source::Osc7501);
    }

    #[test]
    fn what_nobody_remembers_may_have_happened_until_now() {
        let mut s = silent();
        s.after(Span::mins(30));
        let (before, now) = (s.weigher.memory(), at(s.ms));
        let foreign = Memory { sign: Now { boot: Boot(2), ..before.sign }, ..before };
        let later = Memory { sign: at(s.ms + 1), ..before };
        for memory in [None, Some(foreign), Some(later)] {
            let mut other = next(&s, memory);
            other.see(spinner(1_800)).is(RunKind::Working, Source::Osc7501);
            assert!(other.weigher.last_sign().mono >= now.mono);
        }
    }

    #[test]
    fn a_status_file_speaks_from_when_it_was_written() {
        let mut s = Scene::of("claude");
        let file = |at_ms: i64| {
            let wall = super::super::tests::T0 + at_ms;
            let json = format!(r#"{{"pid":1,"sessionId":"s1","cwd":"/w","status":"busy","statusUpdatedAt":{wall}}}"#);
            Observation::Status(Some(super::super::super::status_file::parse(json.as_bytes()).expect("a status file")))
        };
        s.after(Span::mins(30));
        s.weigher.take_over(at(s.ms), Some(Memory { sign: at(200), still: None }));
        s.see(file(60_000)).is(RunKind::Quiet, Source::Activity);
        assert_eq!(s.state().at, at(60_000));
        // A wall clock that was set says nothing impossible.
        for wrong in [-90_000_000, 90_000_000] {
            let mut s = Scene::of("claude");
            s.after(Span::mins(30)).see(file(wrong));
            assert!((0..=s.ms).contains(&s.weigher.last_sign().mono.0), "{:?}", s.weigher.last_sign());
        }
    }
}
