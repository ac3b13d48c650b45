//! The one place that reads the time.
//!
//! **Invariant:** deadlines use [`Now::mono`], which stands still while the machine is suspended
//! and never jumps; [`Now::wall`] is for people.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::{Boot, Mono, Now, Span, Wall};

/// Reads both clocks and the identity of this boot.
#[must_use]
pub fn now() -> Now {
    Now { wall: wall(), mono: mono(), boot: boot() }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Wall {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Wall(ms)
}

/// How long the machine has slept in this boot. Grows by no more than the two readings are apart
/// while it is awake; always 0 where the system does not tell.
#[must_use]
pub fn asleep() -> Span {
    #[cfg(target_os = "linux")]
    {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let since_boot = Mono(boot.tv_sec * 1_000 + boot.tv_nsec / 1_000_000);
        since_boot.since(mono())
    }
    #[cfg(not(target_os = "linux"))]
    Span(0)
}

fn mono() -> Mono {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Mono(t.tv_sec * 1_000 + t.tv_nsec / 1_000_000)
}

/// A number that changes with every boot of the machine; 0 where none can be had.
fn boot() -> Boot {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let hex: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        Boot(u64::from_str_radix(&hex, 16).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let a = now();
        let b = now();
        assert!(b.mono >= a.mono);
        assert_eq!(a.boot, b.boot);
    }
}
