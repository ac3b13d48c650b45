//! Processes by identity, never by number alone: a pid is reused, a pid with its start time is not.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// One process of one boot: its number and when it started (clock ticks since boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number, which the kernel gives out again.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat` (`proc(5)`), which it does not.
    pub start: u64,
}

impl ProcessId {
    /// The identity of a living process; `None` once it is gone.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self { pid, start: stat.start })
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(Self { pid, start: 0 })
    }

    /// Whether this very process still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != b'Z' && stat.state != b'X')
    }

    /// Signals this very process, or nobody: a pidfd is opened first and the start time compared
    /// after, so a reused number is never hit. Returns whether it was signalled.
    #[must_use]
    pub fn signal(self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        let Ok(fd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.is_alive() && rustix::process::pidfd_send_signal(&fd, signal).is_ok()
    }
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// State letter: `R`, `S`, `D`, `T`, `Z` …
    pub state: u8,
    /// Parent's pid.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// POSIX session.
    pub session: u32,
    /// CPU time used, user and system, in clock ticks.
    pub cpu_ticks: u64,
    /// The same of children that have ended and were waited for, in clock ticks.
    pub reaped_ticks: u64,
    /// Page faults of children that have ended and were waited for, those that read no disk: grows
    /// with each such child.
    pub reaped_faults: u64,
    /// Start, in clock ticks since boot.
    pub start: u64,
}

impl Stat {
    /// Reads one process; `None` where there is none.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may itself hold blanks and brackets.
        let rest = &bytes[bytes.iter().rposition(|&b| b == b')')? + 1..];
        let text = std::str::from_utf8(rest).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let small = |index: usize| u32::try_from(number(index)?).ok();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: small(1)?,
            group: small(2)?,
            session: small(3)?,
            reaped_faults: number(8)?,
            cpu_ticks: number(11)? + number(12)?,
            reaped_ticks: number(13)? + number(14)?,
            start: number(19)?,
        })
    }
}

/// All processes this user can see, by number.
#[must_use]
pub fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes whose environment holds exactly `NAME=value` (as at their exec), oldest first.
/// This finds what left its session and process group, and what was orphaned.
#[must_use]
pub fn marked(marker: &str) -> Vec<ProcessId> {
    let own = std::process::id();
    let mut found: Vec<ProcessId> = all()
        .into_iter()
        .filter(|&pid| pid != own && environment_holds(pid, marker.as_bytes()))
        .filter_map(ProcessId::of)
        .filter(|id| id.is_alive())
        .collect();
    found.sort_by_key(|id| (id.start, id.pid));
    found
}

fn environment_holds(pid: u32, marker: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|bytes| bytes.split(|&b| b == 0).any(|entry| entry == marker))
}

/// All living descendants of `root`, `root` itself left out.
#[must_use]
pub fn descendants(root: u32) -> Vec<ProcessId> {
    let parents: Vec<(u32, u32)> =
        all().into_iter().filter_map(|pid| Stat::read(pid).map(|stat| (pid, stat.parent))).collect();
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        family.extend(
            parents.iter().filter(|(_, parent)| family.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    family.remove(&root);
    family.into_iter().filter_map(ProcessId::of).filter(|id| id.is_alive()).collect()
}

/// The processor time of everything that `root` has started so far, in milliseconds, `root` itself
/// left out: of what lives, and of what has ended and was waited for, by `root` in the end. `None`
/// where `root` is gone. To be right, `root` must be whom orphans fall to.
#[must_use]
pub fn family_cpu_ms(root: u32) -> Option<u64> {
    // Whoever ends in between is missing once, and in the sum of its parent the next time.
    let living = descendants(root).into_iter().filter_map(|id| Stat::read(id.pid));
    let ticks: u64 = living.map(|stat| stat.cpu_ticks + stat.reaped_ticks).sum();
    let ticks = ticks + Stat::read(root)?.reaped_ticks;
    Some(ticks.saturating_mul(1_000) / rustix::param::clock_ticks_per_second().max(1))
}

/// How far up a family is followed.
const MAX_ANCESTORS: usize = 256;

/// Who started `pid`, who started that one, and so on; nearest first. It ends where the chain can
/// be followed no further: at the top, at a process that may not be looked at, or where a number
/// was given out again (a parent that is younger than its child is not its parent).
#[must_use]
pub fn ancestors(pid: u32) -> Vec<ProcessId> {
    let mut found = Vec::new();
    let mut child = Stat::read(pid);
    while let Some(stat) = child.filter(|stat| stat.parent > 0 && found.len() < MAX_ANCESTORS) {
        let Some(parent) = Stat::read(stat.parent).filter(|parent| parent.start <= stat.start) else { break };
        found.push(ProcessId { pid: stat.parent, start: parent.start });
        child = Some(parent);
    }
    found
}

/// What a process calls itself: the file name in its first argument, else the kernel's name for it,
/// which is cut at 15 bytes and a mere number for a program that was started by its descriptor. Not
/// to be trusted.
#[must_use]
pub fn name(pid: u32) -> Option<String> {
    let of = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let line = of("cmdline")?;
    let first = String::from_utf8_lossy(line.split(|&b| b == 0).next().unwrap_or_default()).into_owned();
    let called = first.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
    called.or_else(|| Some(String::from_utf8_lossy(&of("comm")?).trim_end().to_owned()))
}

/// How long ago a process of this start began, in milliseconds, the machine's sleep included.
#[must_use]
pub fn age_ms(start: u64) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, rest) = text.split_whitespace().next()?.split_once('.')?;
    let up_ms = seconds.parse::<u64>().ok()? * 1_000 + rest.get(..2)?.parse::<u64>().ok()? * 10;
    Some(up_ms.saturating_sub(start * 1_000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// The program a process runs, where it may be read.
#[must_use]
pub fn executable(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Marks every descriptor from `first` on to be closed by `exec`, those of libraries and of
/// whoever started this process included. May be called between fork and exec.
///
/// # Errors
/// What the system call says; a kernel without it (before Linux 5.11) is no error.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: takes three integers and touches no memory.
        let rc = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        let error = io::Error::last_os_error();
        if rc != 0 && !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_name_and_an_age() {
        let own = ProcessId::own();
        assert!(name(own.pid).is_some_and(|name| !name.is_empty()));
        assert!(age_ms(own.start).is_some_and(|age| age < 3_600_000), "tests do not take an hour");
        assert!(age_ms(0) > age_ms(own.start));
    }

    #[test]
    fn what_children_used_counts_once_they_have_ended() {
        let own = std::process::id();
        let before = family_cpu_ms(own).expect("this process lives");
        let busy = ["-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"];
        crate::os::run::Run::new("/bin/sh").args(busy).output().expect("sh runs");
        assert!(family_cpu_ms(own) > Some(before));
        assert_eq!(family_cpu_ms(u32::MAX), None);
    }

    #[test]
    fn a_family_is_followed_upwards_by_identity() {
        let run = super::super::run::Run::new("/bin/sh").args(["-c", "sleep 60; :"]);
        let mut chain = Vec::new();
        let ended = run.stream(|_, _| {
            let shell = descendants(std::process::id()).into_iter().find(|p| name(p.pid).as_deref() == Some("sleep"));
            chain = shell.map(|p| ancestors(p.pid)).unwrap_or_default();
            chain.is_empty()
        });
        assert!(ended.expect("runs").aborted);
        assert_eq!(chain.get(1), Some(&ProcessId::own()), "the shell's parent, by its start too: {chain:?}");
        assert_eq!(ancestors(u32::MAX), [], "nobody has none");
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not() {
        let own = ProcessId::own();
        assert!(own.is_alive());
        let stranger = ProcessId { start: own.start + 1, ..own };
        assert!(!stranger.is_alive());
        assert!(!stranger.signal(Signal::KILL), "a reused number must not be hit");
    }
}
