//! Many changes, few events. Pure: time is given.
//!
//! **Invariant:** after every change there is an event, no later than [`GAP`]; between two events
//! of one attempt lies at least [`GAP`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::id::AttemptId;
use crate::model::time::{Mono, Now, Span};

use super::{SAMPLE, WatchEvent};

/// What a person still takes for "at once", and longer than saving a file takes an editor.
pub(super) const GAP: Span = Span(300);

/// Changes that were not told yet, by attempt.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    pending: BTreeMap<AttemptId, Pending>,
}

#[derive(Debug)]
struct Pending {
    due: Mono,
    at: Now,
    paths: Vec<PathBuf>,
}

impl Debounce {
    /// A change was seen. `path` is only asked for where it is wanted for the sample.
    pub(super) fn note(&mut self, key: AttemptId, now: Now, path: impl FnOnce() -> Option<PathBuf>) {
        let pending =
            self.pending.entry(key).or_insert_with(|| Pending { due: now.mono + GAP, at: now, paths: Vec::new() });
        pending.at = now;
        if pending.paths.len() < SAMPLE
            && let Some(path) = path()
            && !pending.paths.contains(&path)
        {
            pending.paths.push(path);
        }
    }

    /// What is to be told now, by attempt.
    pub(super) fn due(&mut self, now: Mono) -> Vec<WatchEvent> {
        let due: Vec<AttemptId> = self.pending.iter().filter(|(_, p)| p.due <= now).map(|(key, _)| *key).collect();
        due.into_iter()
            .filter_map(|key| {
                let pending = self.pending.remove(&key)?;
                Some(WatchEvent::Changed { key, paths: pending.paths, at: pending.at })
            })
            .collect()
    }

    /// When there is next something to tell.
    pub(super) fn next(&self) -> Option<Mono> {
        self.pending.values().map(|pending| pending.due).min()
    }

    /// Forgets an attempt; returns whether a change of it was pending.
    pub(super) fn forget(&mut self, key: AttemptId) -> bool {
        self.pending.remove(&key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{Boot, Wall};

    fn at(ms: i64) -> Now {
        Now { wall: Wall(ms), mono: Mono(ms), boot: Boot(1) }
    }

    fn key(text: &str) -> AttemptId {
        text.parse().expect("attempt")
    }

    fn note(debounce: &mut Debounce, attempt: &str, ms: i64, path: &str) {
        debounce.note(key(attempt), at(ms), || Some(path.into()));
    }

    #[test]
    fn one_save_is_one_event_a_gap_later() {
        let mut debounce = Debounce::default();
        for ms in [0, 1, 40] {
            note(&mut debounce, "T1/1", ms, "a");
        }
        assert_eq!(debounce.next(), Some(Mono(300)));
        assert_eq!(debounce.due(Mono(299)), []);
        let told = debounce.due(Mono(300));
        assert_eq!(told, [WatchEvent::Changed { key: key("T1/1"), paths: vec!["a".into()], at: at(40) }]);
        assert_eq!((debounce.due(Mono(10_000)), debounce.next()), (vec![], None), "at rest nothing is due");
    }

    #[test]
    fn an_unending_change_is_told_once_a_gap_and_once_after_its_end() {
        let mut debounce = Debounce::default();
        let mut told = Vec::new();
        for ms in 0..=2_000 {
            if ms <= 1_000 {
                note(&mut debounce, "T1/1", ms, "a");
            }
            told.extend(debounce.due(Mono(ms)).into_iter().map(|_| ms));
        }
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{told:?}");
        assert_eq!(told.len(), 4);
        assert!(told.last().is_some_and(|&last| (1_001..=1_300).contains(&last)), "{told:?}");
    }

    #[test]
    fn attempts_do_not_wait_for_each_other() {
        let mut debounce = Debounce::default();
        note(&mut debounce, "T1/1", 0, "a");
        note(&mut debounce, "T2/1", 200, "b");
        assert_eq!(debounce.due(Mono(300)).len(), 1);
        assert_eq!(debounce.next(), Some(Mono(500)));
        assert!(debounce.forget(key("T2/1")) && !debounce.forget(key("T2/1")));
        assert_eq!(debounce.next(), None);
    }

    #[test]
    fn the_sample_is_bounded_and_without_repetition() {
        let mut debounce = Debounce::default();
        for n in 0..1_000 {
            note(&mut debounce, "T1/1", 0, &format!("f{}", n / 2));
        }
        debounce.note(key("T1/1"), at(1), || unreachable!("no path is made for a full sample"));
        let told = debounce.due(Mono(300));
        let [WatchEvent::Changed { paths, at: last, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((paths.len(), *last), (SAMPLE, at(1)));
    }
}
