//! Breaking off what is waited for: whoever waits does so in a thread of its own, which nothing else
//! ends.
//!
//! **Invariant:** once it is said, no connection under it is open, and none that is opened later
//! stays so. So the supervisor hands nothing to one who no longer waits.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

/// By which the waits of a [`Mail`](super::Mail) are broken off, from wherever that is known.
#[derive(Debug, Clone, Default)]
pub struct HangUp(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    over: bool,
    open: Option<UnixStream>,
}

impl HangUp {
    /// Breaks off what is waited for now, and what would be from now on.
    pub fn now(&self) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.over = true;
        if let Some(open) = line.open.take() {
            // One that is closed already is as it should be.
            let _ = open.shutdown(Shutdown::Both);
        }
    }

    /// Takes a connection that may be broken off; says whether it may still be used.
    pub(super) fn holds(&self, open: UnixStream) -> bool {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.over {
            line.open = Some(open);
        }
        !line.over
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_waits_ends_at_once_and_what_comes_later_does_not_begin() {
        let hang_up = HangUp::default();
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        assert!(hang_up.holds(ours.try_clone().expect("another")));
        let mut waits = ours;
        let waiting = std::thread::spawn(move || waits.read(&mut [0; 8]).expect("no error"));
        hang_up.clone().now();
        assert_eq!(waiting.join().expect("it ends"), 0);
        assert_eq!(theirs.read(&mut [0; 8]).expect("no error"), 0, "the other end sees it");
        assert!(!hang_up.holds(theirs));
    }
}
