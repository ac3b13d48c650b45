//! Ends everything an agent started.
//!
//! **Invariant:** only processes that descend from this host or carry its marker are signalled,
//! each by identity. Must not know: the PTY, clients.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions};

use crate::os::process::{self, ProcessId};

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(10);

/// Between two looks once nothing is polite any more: processes that fork and exit in a row live
/// for a fraction of a millisecond.
const CHASE: Duration = Duration::from_micros(50);

/// Looks at the children alone between two looks at every process.
const CHILD_LOOKS: u32 = 20;

/// A process in an uninterruptible wait outlives KILL; give up on it rather than never end.
const LIMIT: Duration = Duration::from_secs(10);

/// Ends every process below this one and every process that carries `marker`: TERM, `grace`,
/// KILL, until none is left. Returns how many had to be signalled.
pub(super) fn below_this_process(marker: &str, grace: Duration) -> usize {
    let own = std::process::id();
    let family = || {
        let mut all: BTreeSet<ProcessId> = process::descendants(own).into_iter().collect();
        all.extend(process::marked(marker));
        all
    };
    let mut seen = BTreeSet::new();
    let began = Instant::now();
    loop {
        reap();
        let left = family();
        if left.is_empty() && !has_children() {
            return seen.len();
        }
        for process in left {
            if seen.insert(process) {
                polite(process);
            }
        }
        if began.elapsed() >= grace {
            break;
        }
        thread::sleep(LOOK.min(grace));
    }
    let mut looks = 0_u32;
    while began.elapsed() < grace + LIMIT {
        reap();
        let everybody = looks.is_multiple_of(CHILD_LOOKS);
        let left = if everybody { family() } else { children(own) };
        for process in &left {
            if process.signal(Signal::KILL) {
                seen.insert(*process);
            }
        }
        if everybody && left.is_empty() && !has_children() {
            break;
        }
        looks += 1;
        thread::sleep(CHASE);
    }
    seen.len()
}

/// Ends every process that carries `marker`, from anywhere: what a host left that was killed
/// itself. Returns how many were signalled.
#[must_use]
pub fn kill_leftovers(marker: &str) -> usize {
    let mut seen = BTreeSet::new();
    let began = Instant::now();
    let mut quiet = 0;
    // Nobody is parent of all of them any more: several empty looks in a row are the proof.
    while quiet < 3 && began.elapsed() < LIMIT {
        let left = process::marked(marker);
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        for process in left {
            if process.signal(Signal::KILL) {
                seen.insert(process);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    seen.len()
}

/// TERM, and CONT so that a stopped process can obey.
pub(super) fn polite(process: ProcessId) {
    if process.signal(Signal::TERM) {
        let _ = process.signal(Signal::CONT);
    }
}

/// Collects the exit states of adopted processes.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

/// Whether this process has any child, living or not. All descendants of a subreaper hang below
/// one, so without a child there is no descendant: the kernel's own word.
fn has_children() -> bool {
    !matches!(rustix::process::wait(WaitOptions::NOHANG), Err(rustix::io::Errno::CHILD))
}

/// The direct children, from the kernel's own list where it has one.
fn children(own: u32) -> BTreeSet<ProcessId> {
    let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|&pid| process::Stat::read(pid).is_some_and(|stat| stat.parent == own))
        .filter_map(ProcessId::of)
        .collect()
}
