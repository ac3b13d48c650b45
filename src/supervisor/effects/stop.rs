//! Ending agents, and whatever a killed host left running.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::git::locks;
use crate::host::{self, registry};
use crate::model::action::{Outcome, lost_text};
use crate::model::attempt::Exit;
use crate::model::input::{Input, Observation};
use crate::model::name::HostId;

use super::super::token::attempt_of;
use super::super::world::World;
use super::chain;

/// Between TERM and KILL: Claude Code takes up to 1.7 s to end a running command.
const GRACE: Duration = Duration::from_secs(5);

/// After that, how long a host may take to sweep up and leave.
const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at whether it is gone, once its connection has closed.
const LOOK: Duration = Duration::from_millis(20);

/// Carries out an order to stop.
pub(in super::super) fn stop(world: &World, host: &HostId) -> Outcome {
    let dir = world.place.layout.host_dir(host);
    let look = || registry::find(&dir, host.clone());
    let record = match look() {
        Ok(record) => record,
        Err(error) => return failed(&chain(&error)),
    };
    let running = record.running.filter(|_| record.alive);
    if let Some(running) = &running {
        // One that was frozen could not obey.
        let _ = running.host.signal(Signal::CONT);
        if let Err(error) = host::ask_to_stop(running, Some(GRACE), LIMIT) {
            tracing::warn!(%host, %error, "cannot ask a host to stop");
        }
    }
    let mut until = Instant::now() + LIMIT;
    let mut last_resort = running.map(|running| running.host);
    loop {
        match look() {
            Ok(record) if !record.alive => {
                let exit = record.exit.as_ref().map(|e| Exit { code: e.code, signal: e.signal });
                tell_lost(world, host, record.exit.as_ref().map_or(0, |exit| exit.transcript_lost));
                let recorded = record.exit.as_ref().map_or(0, |e| u32::try_from(e.leftovers).unwrap_or(u32::MAX));
                return Outcome::Stopped { exit, leftovers: recorded + sweep(world, host) };
            }
            Ok(_) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(_) => match last_resort.take() {
                // It does not obey. The kernel ends its agent with it, the sweep what that left.
                Some(process) => {
                    let _ = process.signal(Signal::KILL);
                    until = Instant::now() + LIMIT;
                }
                None => return failed(&format!("host {host} has not ended within {} s", LIMIT.as_secs())),
            },
            Err(error) => return failed(&chain(&error)),
        }
    }
}

/// Whoever asked for the end may hear of it before those who watched the host.
fn tell_lost(world: &World, host: &HostId, bytes: u64) {
    if let Some(attempt) = attempt_of(host).filter(|_| bytes > 0) {
        let seen = Observation::Noted { text: lost_text(bytes) };
        let _ = world.inputs.blocking_send(Input::Observed { attempt, seen });
    }
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { stage: "stop".into(), error: error.to_owned() }
}

/// Ends what a dead host's agent left running, and its stale git locks. Returns how many
/// processes were ended.
pub(super) fn sweep(world: &World, host: &HostId) -> u32 {
    let dir = world.place.layout.host_dir(host);
    let record = registry::find(&dir, host.clone()).ok();
    let Some(running) = record.filter(|r| !r.alive).and_then(|r| r.running) else { return 0 };
    let ended = host::kill_leftovers(&running.marker);
    if let Some(look) = attempt_of(host).and_then(|attempt| world.look(attempt))
        && let Err(error) = locks::sweep(look.shadow.site(), None)
    {
        tracing::warn!(%host, %error, "cannot sweep git locks");
    }
    u32::try_from(ended).unwrap_or(u32::MAX)
}
