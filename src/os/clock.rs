//! The one place that reads the time.
//!
//! **Invariant:** deadlines use [`Now::mono`], which stands still while the machine is suspended
//! and never jumps; [`Now::wall`] is for people.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::{Boot, Mono, Now, Span, Wall};
use jiff::tz::TimeZone;

/// Reads both clocks and the identity of this boot.
#[must_use]
pub fn now() -> Now {
    Now { wall: wall(), mono: mono(), boot: boot() }
}

/// The local offset from UTC right now, in seconds: of the zone that `tz` names (as the variable
/// `TZ` does), else of this machine's.
#[must_use]
pub fn utc_offset_s(tz: Option<&str>) -> i32 {
    let named = tz.filter(|tz| !tz.is_empty()).map(|tz| tz.trim_start_matches(':'));
    let zone = named.and_then(|tz| TimeZone::get(tz).or_else(|_| TimeZone::posix(tz)).ok());
    let zone = zone.unwrap_or_else(TimeZone::system);
    jiff::Timestamp::from_millisecond(wall().0).map_or(0, |now| zone.to_offset(now).seconds())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Wall {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Wall(ms)
}

/// The wall clock in nanoseconds since 1970, for names that are to stand in order; 0 before that.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
#[must_use]
pub fn wall_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
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

    #[test]
    fn the_offset_is_that_of_the_zone_that_is_named() {
        assert_eq!(utc_offset_s(Some("UTC")), 0);
        assert_eq!(utc_offset_s(Some("XXX-5:30")), 19_800);
        assert_eq!(utc_offset_s(Some("Asia/Tokyo")), 9 * 3_600);
        assert_eq!(utc_offset_s(Some("no such zone")), utc_offset_s(None));
    }
}
