//! Ending agents, and whatever a killed host left running.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::git::locks;
use crate::host::{self, registry};
use crate::model::action::Outcome;
use crate::model::attempt::Exit;
use crate::model::name::HostId;
use crate::os::socket;
use crate::wire::host::{Frame, Hello, Role, StopRequest, ToHost, VERSIONS};

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
    let mut limit = LIMIT;
    let host_process = record.running.as_ref().filter(|_| record.alive).map(|running| running.host);
    if let Some(process) = host_process {
        // One that was frozen could not obey.
        let _ = process.signal(Signal::CONT);
        if let Err(why) = ask_to_stop(world, host) {
            tracing::warn!(%host, why, "cannot ask a host to stop");
            limit = GRACE;
        }
    }
    let mut until = Instant::now() + limit;
    let mut last_resort = host_process;
    loop {
        match look() {
            Ok(record) if !record.alive => {
                let exit = record.exit.as_ref().map(|e| Exit { code: e.code, signal: e.signal });
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

fn failed(error: &str) -> Outcome {
    Outcome::Failed { stage: "stop".into(), error: error.to_owned() }
}

/// Sends the request and waits until the host hangs up.
fn ask_to_stop(world: &World, host: &HostId) -> Result<(), String> {
    let path = world.place.layout.host_socket(host).map_err(|e| chain(&e))?;
    // A host that is just leaving no longer listens; its lock tells the rest.
    let Ok(mut stream) = socket::connect(&path) else { return Ok(()) };
    let hello =
        Hello { versions: VERSIONS, features: 0, role: Role::Control, size: None, readonly: true, scrollback: 0 };
    let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    for frame in [ToHost::Hello(hello), ToHost::Stop(StopRequest { grace_ms: Some(grace_ms) })] {
        frame.encode(&mut bytes).map_err(|e| chain(&e))?;
    }
    stream.set_read_timeout(Some(LIMIT)).map_err(|e| chain(&e))?;
    if stream.write_all(&bytes).is_ok() {
        let mut rest = [0; 4096];
        while matches!(stream.read(&mut rest), Ok(n) if n > 0) {}
    }
    Ok(())
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
