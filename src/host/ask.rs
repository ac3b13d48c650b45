//! Asking a host to stop, from another process.
//!
//! **Invariant:** a host hears it whatever it speaks: where no word is understood, by the signal that
//! asks it for the same. Must not know: who asks, and what follows.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use super::record::Running;
use crate::os::socket;
use crate::wire::host::{Decoder, Frame, FromHost, Hello, Role, StopRequest, ToHost, VERSIONS, WireError};

/// Asks the host to end its agent and itself, and waits until it hangs up, at most for `limit`.
/// `grace` lies between TERM and KILL; where it is `None`, or the host speaks other versions than
/// this program, the host takes its own. Whether it has ended its lock tells, not this.
///
/// # Errors
/// [`WireError`]: nothing was asked.
pub fn ask_to_stop(running: &Running, grace: Option<Duration>, limit: Duration) -> Result<(), WireError> {
    let hello =
        Hello { versions: VERSIONS, features: 0, role: Role::Control, size: None, readonly: true, scrollback: 0 };
    let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    let mut bytes = Vec::new();
    ToHost::Hello(hello).encode(&mut bytes)?;
    ToHost::Stop(StopRequest { grace_ms }).encode(&mut bytes)?;
    let heard = socket::connect(running.socket.as_path()).is_ok_and(|stream| hears(stream, &bytes, limit));
    if !heard {
        // To one that is just leaving it says nothing new.
        let _ = running.host.signal(Signal::TERM);
    }
    Ok(())
}

/// Says it and waits for the end of the connection; whether the host may have understood.
fn hears(mut stream: UnixStream, bytes: &[u8], limit: Duration) -> bool {
    if stream.set_read_timeout(Some(limit)).is_err() || stream.write_all(bytes).is_err() {
        return false;
    }
    let mut decoder = Decoder::<FromHost>::new();
    let mut read = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut read) {
        decoder.feed(&read[..n]);
        while let Ok(Some(frame)) = decoder.next_frame() {
            if matches!(frame, FromHost::Unsupported(_)) {
                return false;
            }
        }
    }
    true
}
