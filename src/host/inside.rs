//! Who connects from inside of a host, and so is an agent or something that one started.
//!
//! **Invariant:** whoever can be shown to run in this host or in one beside it, which is of the same
//! board, types nothing, stops nothing and holds nobody off; it may look. What cannot be shown (an
//! orphan whose host is gone, one that another program started for it) is what it says it is. Must
//! not know: the terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::pty::HOST_VARIABLE;
use super::record;
use super::requests::notification;
use super::serve::Host;
use super::start::{HOST_VERB, SMALL};
use crate::model::name::HostId;
use crate::model::text::clean;
use crate::os::{process, socket};
use crate::wire::host::{FromHost, KeyRequest, Refused, RefusedWhy, Spec, ToHost, TypeRequest};

/// Between two words of it to the supervisor: an agent may ask a thousand times.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What a client is told that would type.
const TOLD: &str = "read-only: this runs inside of an agent";

/// How wide the name of a process is in the word.
const MAX_NAME: usize = 40;

/// Open files of a host that are looked at: many times what it has.
const MAX_FILES: usize = 4096;

/// What a peer is called that runs inside of a host of the same board; `None` where that is not
/// shown. Of a host of no board nobody is. Call it before anything is read: whoever connected waits
/// for its welcome, so its number is its own.
pub(super) fn inside(stream: &UnixStream, spec: &Spec) -> Option<String> {
    // Those without a repository are terminals like any other, and may be used from one another.
    spec.fence.as_ref()?;
    let pid = socket::peer_pid(stream)?;
    let hosts = spec.dir.as_path().parent()?;
    let own = std::process::id();
    let kin = process::ancestors(pid);
    let is_inside = kin.iter().any(|kin| kin.pid == own || is_host_in(kin.pid, hosts))
        || kin.is_empty() && is_gone(pid)
        || is_marked(pid, spec, hosts);
    is_inside.then(|| match process::name(pid) {
        Some(name) => format!("process {pid} ({})", clean(&name, MAX_NAME)),
        None => format!("process {pid}"),
    })
}

/// Whether it has ended already: it leaves words, waits for no answer, and nobody can say whose it was.
fn is_gone(pid: u32) -> bool {
    process::Stat::read(pid).is_none()
        && i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_none_or(|pid| matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// Whether it is a host with its folder in `hosts`: it has a lock open there, for life.
fn is_host_in(pid: u32, hosts: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|&b| b == 0);
    let program = words.next().unwrap_or_default();
    if !program.ends_with(SMALL.as_bytes()) && words.next() != Some(HOST_VERB.as_bytes()) {
        return false;
    }
    let Ok(hosts) = hosts.canonicalize() else { return false };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().take(MAX_FILES);
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|path| {
        path.file_name() == Some(OsStr::new("lock")) && path.parent().and_then(Path::parent) == Some(&hosts)
    })
}

/// Whether it carries the mark of such a host, as what outlived its own does.
fn is_marked(pid: u32, spec: &Spec, hosts: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&b| b == 0).any(|entry| {
        let of_host = || {
            let value = entry.strip_prefix(HOST_VARIABLE.as_bytes())?.strip_prefix(b"=")?;
            let id = value.split(|&b| b == b':').next()?;
            let id = HostId::new(OsStr::from_bytes(id).to_str()?).ok()?;
            record::read_running(&hosts.join(id.as_str()))
        };
        entry == spec.marker.as_bytes() || of_host().is_some_and(|running| running.marker.as_bytes() == entry)
    })
}

impl Host {
    /// Refuses what a peer inside of a host asks for, where it may not have it; whether it did.
    pub(super) fn holds_off(&mut self, id: u64, frame: &ToHost, now: Instant) -> bool {
        let seq = self.seq;
        let held_off = self.peers.iter_mut().find(|peer| peer.id == id && peer.inside.is_some() && peer.role.is_some());
        let Some(peer) = held_off else { return false };
        match frame {
            ToHost::Type(TypeRequest { msg_id, .. }) | ToHost::Key(KeyRequest { msg_id, .. }) => {
                peer.send(&FromHost::Refused(Refused { msg_id: *msg_id, why: RefusedWhy::Role, seq }));
                peer.flush();
            }
            // There is no word for it; whoever waits for the end of the connection has it.
            ToHost::Stop(_) | ToHost::Notice(_) | ToHost::Lease(_) => peer.kill(),
            _ => return false,
        }
        self.tell_held_off(id, now);
        true
    }

    /// Tells a client inside of a host that it only looks.
    pub(super) fn tell_looking(&mut self, id: u64, now: Instant) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            peer.send(&FromHost::Output(notification(TOLD)));
            peer.flush();
        }
        self.tell_held_off(id, now);
    }

    /// Tells watchers, now and then, who would have done what only others may.
    fn tell_held_off(&mut self, id: u64, now: Instant) {
        if self.held_off_at.is_some_and(|at| now < at + TELL_AGAIN) {
            return;
        }
        let who = self.peers.iter().find(|peer| peer.id == id).and_then(|peer| peer.inside.clone());
        if let Some(who) = who {
            self.held_off_at = Some(now);
            self.host_error(&format!(
                "{who}, which runs inside of an agent's host, would type into this terminal or end it; it may only look"
            ));
        }
    }
}
