//! What a check left behind: found by its marker or its process group, then ended.
//!
//! **Invariant:** nothing is ended that carries neither. Must not know what was run.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::os::process::{self, ProcessId, Stat};

/// Processes that end by themselves within this after the check are not left behind: the last
/// stage of a pipeline often ends a moment after the shell.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a process has between TERM and KILL.
const GRACE: Duration = Duration::from_millis(500);

/// How long KILL is repeated: processes that only fork and exit are caught after a few rounds.
const KILLING: Duration = Duration::from_secs(2);

/// How often we look while we wait.
const LOOK: Duration = Duration::from_millis(10);

/// One process that outlived its check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Left {
    id: ProcessId,
    /// Its program, for people.
    program: String,
    /// Whether it stayed in the check's process group.
    pub(super) in_group: bool,
}

/// What is alive of the check that had this marker and group, once it had time to leave.
pub(super) fn survivors(marker: &str, group: u32) -> Vec<Left> {
    let until = Instant::now() + SETTLE;
    loop {
        let found = find(marker, group);
        if found.is_empty() || Instant::now() >= until {
            return found;
        }
        thread::sleep(LOOK);
    }
}

fn find(marker: &str, group: u32) -> Vec<Left> {
    let in_group = |pid: u32| Stat::read(pid).is_some_and(|stat| stat.group == group);
    let members = process::all().into_iter().filter(|&pid| in_group(pid)).filter_map(ProcessId::of);
    let found: BTreeSet<ProcessId> =
        process::marked(marker).into_iter().chain(members.filter(|id| id.is_alive())).collect();
    let left = |id: ProcessId| Left { id, program: program(id.pid), in_group: in_group(id.pid) };
    found.into_iter().map(left).collect()
}

fn program(pid: u32) -> String {
    let path = process::executable(pid).unwrap_or_default();
    path.file_name().map_or_else(|| format!("pid {pid}"), |name| name.to_string_lossy().into_owned())
}

/// Ends everything that carries the marker. Returns how many could not be ended.
pub(super) fn sweep(marker: &str) -> usize {
    let mut alive = process::marked(marker);
    if alive.is_empty() {
        return 0;
    }
    for id in &alive {
        let _ = id.signal(Signal::TERM);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until && !alive.is_empty() {
        thread::sleep(LOOK);
        alive = process::marked(marker);
    }
    let until = Instant::now() + KILLING;
    while Instant::now() < until && !alive.is_empty() {
        for id in &alive {
            let _ = id.signal(Signal::KILL);
        }
        thread::sleep(LOOK);
        alive = process::marked(marker);
    }
    alive.len()
}

/// What to say of them: `left 2 processes (sleep, postgres), which were ended`.
pub(super) fn describe(left: &[Left], stubborn: usize) -> Option<String> {
    if left.is_empty() && stubborn == 0 {
        return None;
    }
    if stubborn > 0 {
        return Some(format!("left {} that could not be ended", processes(stubborn)));
    }
    let programs: BTreeSet<&str> = left.iter().map(|left| left.program.as_str()).collect();
    let names = programs.into_iter().take(5).collect::<Vec<_>>().join(", ");
    Some(format!("left {} ({names}), ended since", processes(left.len())))
}

fn processes(n: usize) -> String {
    if n == 1 { "1 process".into() } else { format!("{n} processes") }
}
