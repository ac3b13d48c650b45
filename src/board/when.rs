//! Instants as people read them: by their own clock, and no longer than needed.
//!
//! **Invariant:** documents never pass through here; they stay in UTC. Must not know: where a time
//! zone is configured.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::time::{self, Now, Wall};

/// Within so many days a day is known by its name.
const NAMED_DAYS: i32 = 6;

/// `15:04` today, `Fri 15:04` this week, `20 Nov 15:04` this year, else with the year.
#[must_use]
pub fn short(at: Wall, now: Wall, zone: &TimeZone) -> String {
    let (at, now) = (local(at, zone), local(now, zone));
    let days = (at.date() - now.date()).get_days().abs();
    let form = match () {
        () if days == 0 => "%H:%M",
        () if days <= NAMED_DAYS => "%a %H:%M",
        () if at.year() == now.year() => "%-d %b %H:%M",
        () => "%-d %b %Y %H:%M",
    };
    at.strftime(form).to_string()
}

/// `Nov 20 15:04:05`, always as wide: for lists in which every line begins with one.
#[must_use]
pub fn stamp(at: Wall, zone: &TimeZone) -> String {
    local(at, zone).strftime("%b %e %H:%M:%S").to_string()
}

/// `2026-11-20 15:04 +01:00`: for what is read elsewhere.
#[must_use]
pub fn whole(at: Wall, zone: &TimeZone) -> String {
    local(at, zone).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

/// A sentence of ours with its instants as [`short`] tells them.
#[must_use]
pub fn told(text: &str, now: Now, zone: &TimeZone) -> String {
    time::localized(text, |at| short(at, now.wall, zone))
}

/// A sentence of ours with its instants as [`whole`] tells them, because it may be read elsewhere; in
/// UTC it says so, as it was written.
#[must_use]
pub fn told_whole(text: &str, zone: &TimeZone) -> String {
    let is_utc = |at| local(at, zone).offset().is_zero();
    time::localized(text, |at| if is_utc(at) { at.minute() } else { whole(at, zone) })
}

fn local(at: Wall, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 22:30 UTC: half past midnight on Saturday the 21st, two hours east of it.
    const NOW: Wall = Wall(1_795_213_800_000);
    const HOUR: i64 = 3_600_000;

    fn east() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    #[test]
    fn the_nearer_the_shorter() {
        for (hours, shown) in [
            (0, "00:30"),
            (2, "02:30"),
            (-1, "Fri 23:30"),
            (24, "Sun 00:30"),
            (-24 * 6, "Sun 00:30"),
            (-24 * 7, "14 Nov 00:30"),
            (24 * 60, "20 Jan 2027 00:30"),
        ] {
            assert_eq!(short(Wall(NOW.0 + hours * HOUR), NOW, &east()), shown, "{hours} hours");
        }
    }

    #[test]
    fn lists_and_pages_for_others_have_forms_of_their_own() {
        assert_eq!(stamp(Wall(NOW.0 - 20 * 24 * HOUR), &east()), "Nov  1 00:30:00");
        assert_eq!(whole(NOW, &east()), "2026-11-21 00:30 +02:00");
        assert_eq!(whole(NOW, &TimeZone::UTC), "2026-11-20 22:30 +00:00");
    }

    #[test]
    fn a_local_time_names_its_offset_at_that_time() {
        let local = |at: Wall, zone| told_whole(&at.minute(), zone);
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        assert_eq!(local(Wall(1_763_737_200_000), &zone), "2025-11-21 16:00 +01:00");
        assert_eq!(local(Wall(1_753_110_000_000), &zone), "2025-07-21 17:00 +02:00");
        assert_eq!(local(Wall(1_763_737_200_000), &TimeZone::UTC), "2025-11-21 15:00 UTC");
    }

    #[test]
    fn sentences_are_told_by_the_clock_of_their_reader() {
        let now = Now { wall: NOW, ..Now::default() };
        for (text, want) in [
            ("claude is limited until 2026-11-20 23:15 UTC", "claude is limited until 01:15"),
            ("until 2026-11-22 00:00 UTC, then on", "until Sun 02:00, then on"),
            ("ü UTC, resets 3am (UTC)", "ü UTC, resets 3am (UTC)"),
            ("a 2026-13-01 00:00 UTC b", "a 2026-13-01 00:00 UTC b"),
            (" UTC", " UTC"),
        ] {
            assert_eq!(told(text, now, &east()), want);
        }
    }
}
