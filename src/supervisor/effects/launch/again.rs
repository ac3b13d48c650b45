//! What starts of a host have come to: this one, told again after a crash, or another of its name.
//!
//! **Invariant:** a host is taken for that of an order only where it was made for that very order;
//! one of an older build does not say what for, and is. A start that is said to have failed without
//! its host's own word is given up first. Must not know: how an agent is started.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use crate::host::registry::{self, HostRecord};
use crate::host::{self, transcript};
use crate::model::action::Ended;
use crate::model::attempt::{Exit, HostFacts, Proc};
use crate::model::name::HostId;
use crate::model::time::Span;
use crate::os::failpoint;
use crate::os::process::ProcessId;
use crate::store::log::TextDigest;

use super::super::super::hosts::Voice;
use super::super::super::world::World;
use super::super::{chain, stop};
use super::{COMING_UP, COMING_UP_LOOK, Started, Wanted, Wrong};

/// Lines of what an agent wrote that are kept with a bad end.
const TAIL_LINES: usize = 20;

pub(super) fn record(world: &World, host: &HostId) -> Result<HostRecord, Wrong> {
    registry::find(&world.place.layout.host_dir(host), host.clone()).map_err(|e| ("launch", chain(&e)))
}

/// What a start has come to so far.
enum Came {
    /// No agent was started.
    Nothing,
    /// A host is there, and has no agent yet.
    Host,
    /// An agent was.
    Agent(Started),
}

/// What a launch that was carried out before has come to; `None` where no agent was started for it.
/// A host that is still coming up is waited for: nobody else may start one beside it. One that does
/// not come up is given up. What another launch of this name has left is set aside.
pub(super) fn repeated(
    world: &World,
    wanted: &Wanted,
    made_for: &str,
    voice: &Voice,
) -> Result<Option<Started>, Wrong> {
    let until = Instant::now() + failpoint::wait("launch.coming-up", COMING_UP);
    loop {
        match come_to(world, &wanted.host, made_for, voice)? {
            Came::Nothing => return Ok(None),
            Came::Agent(started) => return Ok(Some(started)),
            Came::Host if Instant::now() < until => std::thread::sleep(COMING_UP_LOOK),
            Came::Host => {
                let why = format!("host {} neither comes up nor ends", wanted.host);
                return give_up(world, wanted, made_for, voice, why).map(Some);
            }
        }
    }
}

/// Reports a start as failed, for good: whatever of it comes up late starts no agent. Where it has
/// started one after all, this is the launch.
pub(super) fn give_up(
    world: &World,
    wanted: &Wanted,
    made_for: &str,
    voice: &Voice,
    why: String,
) -> Result<Started, Wrong> {
    let layout = &world.place.layout;
    let (dir, fence) = (layout.host_dir(&wanted.host), layout.fence(wanted.attempt.task));
    tracing::warn!(host = %wanted.host, "gives up a start: {why}");
    host::give_up(host::Silent { id: &wanted.host, dir: &dir, fence: &fence, made_for, why: &why })
        .map_err(|e| ("launch", format!("{why}\nit may come up late: {}", chain(&e))))?;
    match come_to(world, &wanted.host, made_for, voice)? {
        Came::Agent(started) => Ok(started),
        Came::Nothing | Came::Host => Err(("launch", why)),
    }
}

fn come_to(world: &World, host: &HostId, made_for: &str, voice: &Voice) -> Result<Came, Wrong> {
    let record = record(world, host)?;
    if record.is_of_another(made_for) {
        return if record.alive { Err(("launch", taken(host))) } else { set_aside(&record).map(|()| Came::Nothing) };
    }
    let facts = facts_of(&record);
    let voice = Box::new(voice.clone());
    match (record.alive, facts) {
        (true, Some(facts)) => Ok(Came::Agent(Started::Lives { facts, voice })),
        (true, None) => Ok(Came::Host),
        (false, facts) => {
            if let Some(error) = record.exit.as_ref().and_then(|exit| exit.error.clone()) {
                return Err(("launch", error));
            }
            if record.running.is_none() {
                return Ok(Came::Nothing);
            }
            // One that was killed left no record. Its agent may have read what it was started
            // with, so it is not started with the same again.
            let ended = ended_of(world, &record).unwrap_or_else(|| killed(world, host));
            Ok(Came::Agent(Started::CameAndWent { facts, ended, voice }))
        }
    }
}

/// What a host is made for: this launch, of this repository's state, in this worktree. An order that
/// is given again says the same, and one of an older log another time; empty where an order says none.
pub(super) fn made_for(world: &World, wanted: &Wanted) -> String {
    let Some(at) = wanted.planned_at else { return String::new() };
    let (key, worktree) = (world.place.layout.key(), wanted.worktree.as_os_str().as_bytes().escape_ascii());
    TextDigest::of(&format!("{key}\n{worktree}\n{}\n{}", wanted.host, at.0)).to_string()
}

/// The session that a launch begins where it takes up none: an order that is given again begins the
/// same, since the agent may run in it already.
pub(super) fn session_of(made_for: &str) -> String {
    let mut bytes = [0; 16];
    if u128::from_str_radix(made_for.get(..32).unwrap_or_default(), 16).map(|n| bytes = n.to_be_bytes()).is_err() {
        bytes = *uuid::Uuid::new_v4().as_bytes();
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn taken(host: &HostId) -> String {
    format!(
        "host {host} runs for a start that this board knows nothing of: its log is older than that\n\
         hint: standup down --all"
    )
}

/// Nobody runs in this folder, and what lies there is of another start. What that left running goes.
fn set_aside(record: &HostRecord) -> Result<(), Wrong> {
    let of = record.running.as_ref().map(|running| (&running.nonce, Some(&running.marker)));
    let Some((nonce, marker)) = of.or_else(|| Some((&record.exit.as_ref()?.nonce, None))) else { return Ok(()) };
    if let Some(marker) = marker {
        let _ = host::kill_leftovers(marker);
    }
    let name = format!("{}-{}", record.id, nonce.chars().take(8).collect::<String>());
    let wrong = |e| ("launch", format!("cannot set aside what another start left in {}: {e}", record.dir.display()));
    std::fs::rename(&record.dir, record.dir.with_file_name(name)).map_err(wrong)
}

pub(super) fn facts_of(record: &HostRecord) -> Option<HostFacts> {
    let running = record.running.as_ref()?;
    let proc = |p: ProcessId| Proc { pid: p.pid, start: p.start };
    Some(HostFacts {
        id: record.id.clone(),
        nonce: running.nonce.clone(),
        host: proc(running.host),
        agent: proc(running.agent),
    })
}

pub(super) fn ended_of(world: &World, record: &HostRecord) -> Option<Ended> {
    let exit = record.exit.as_ref()?;
    let bad = exit.code != Some(0);
    Some(Ended {
        exit: Exit { code: exit.code, signal: exit.signal },
        leftovers: u32::try_from(exit.leftovers).unwrap_or(u32::MAX),
        output: exit.output_bytes > 0,
        tail: if bad { tail(&world.place.layout.host_dir(&record.id)) } else { String::new() },
        lost: exit.transcript_lost,
        cpu: exit.cpu_ms.map(Span),
    })
}

/// How an agent ended whose host was killed: nobody knows. What it left is swept up.
fn killed(world: &World, host: &HostId) -> Ended {
    Ended {
        exit: Exit { code: None, signal: None },
        leftovers: stop::sweep(world, host),
        output: true,
        tail: tail(&world.place.layout.host_dir(host)),
        lost: 0,
        cpu: None,
    }
}

/// The last lines of what an agent wrote.
fn tail(dir: &Path) -> String {
    let mut reader = transcript::open(&dir.join("transcript"));
    let mut text = transcript::TextLines::new();
    let mut last: std::collections::VecDeque<String> = std::collections::VecDeque::new();
    let mut keep = |lines: Vec<String>| {
        for line in lines.into_iter().filter(|l| !l.trim().is_empty()) {
            if last.len() == TAIL_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    };
    while let Ok(Some(item)) = reader.next_item() {
        keep(text.push(&item));
    }
    keep(text.finish());
    last.into_iter().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_that_is_ordered_again_begins_the_same_session() {
        let (one, other) = (TextDigest::of("one").to_string(), TextDigest::of("other").to_string());
        assert_eq!(session_of(&one), session_of(&one));
        assert_ne!(session_of(&one), session_of(&other));
        let id: uuid::Uuid = session_of(&one).parse().expect("a UUID");
        assert_eq!(id.get_version_num(), 4, "as a CLI makes one");
        assert_ne!(session_of(""), session_of(""), "an order of an older build says nothing");
    }
}
