//! `--since`: how far back a verb looks.
//!
//! **Invariant:** what was written means one instant, which is not in the future. Must not know:
//! what is looked for.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::board::when;
use crate::model::time::{Span, Wall};

use super::error::{Code, Failure};

/// How far back, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// That long ago.
    Ago(Span),
    /// Since then.
    At(Timestamp),
    /// Since the midnight before that day, where the user lives.
    Day(Date),
    /// Since the last midnight but that many.
    Midnight(i64),
    /// Since the midnight with which the last such day began, today included.
    Weekday(Weekday),
    /// Since then by the clock of the user, the last time it showed that.
    Clock(Time),
    /// Since then, where the user lives.
    Local(DateTime),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "today" => return Ok(Self::Midnight(0)),
            "yesterday" => return Ok(Self::Midnight(1)),
            _ => {}
        }
        if let Ok(span) = text.parse() {
            return Ok(Self::Ago(span));
        }
        // What names no offset is meant where one lives.
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if text.len() == "2026-01-31".len()
            && let Ok(day) = text.parse()
        {
            return Ok(Self::Day(day));
        }
        if let Some(day) = weekday(text) {
            return Ok(Self::Weekday(day));
        }
        if let Ok(time) = Time::strptime("%H:%M", text) {
            return Ok(Self::Clock(time));
        }
        let at = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
        if let Some(at) = at.into_iter().find_map(|form| DateTime::strptime(form, text).ok()) {
            return Ok(Self::Local(at));
        }
        Err("write how long ago (24h, 3d), a day (2026-01-31, yesterday, friday), a time (18:00) or an instant \
             (2026-01-31 09:00, 2026-01-31T09:00:00Z)"
            .to_owned())
    }
}

/// `friday`, `fri`
fn weekday(text: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_ascii_lowercase();
    let at = NAMES.iter().position(|name| *name == text || name[..3] == *text)?;
    Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()
}

impl Since {
    /// The instant that is meant, by the time zone of this machine.
    ///
    /// # Errors
    /// [`Code::Usage`] for the future.
    pub(super) fn instant(self, now: Wall) -> Result<Wall, Failure> {
        let at = self.by(now, &TimeZone::system());
        if at > now {
            let text = format!("--since: {} is in the future", when::whole(at, &TimeZone::system()));
            return Err(Failure::new(Code::Usage, text));
        }
        Ok(at)
    }

    fn by(self, now: Wall, zone: &TimeZone) -> Wall {
        let local = |at: DateTime| match at.to_zoned(zone.clone()) {
            Ok(at) => Wall(at.timestamp().as_millisecond()),
            // A day at the edge of the calendar.
            Err(_) => Wall(0),
        };
        let midnight = |day: Date| local(day.to_datetime(Time::midnight()));
        let today = || Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(zone.clone()).date();
        match self {
            Self::Ago(span) => Wall(now.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX))),
            Self::At(at) => Wall(at.as_millisecond()),
            Self::Day(day) => midnight(day),
            Self::Midnight(before) => midnight(today().saturating_sub(before.days())),
            Self::Weekday(day) => midnight(today().saturating_sub(i64::from(today().weekday().since(day)).days())),
            Self::Clock(time) => match local(today().to_datetime(time)) {
                later if later > now => local(today().saturating_sub(1.days()).to_datetime(time)),
                at => at,
            },
            Self::Local(at) => local(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 22:30 UTC: half past midnight on the 21st, two hours east of it.
    const NOW: Wall = Wall(1_795_213_800_000);

    #[test]
    fn what_is_written_means_one_instant() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, want) in [
            ("24h", "2026-11-19T22:30:00.000Z"),
            ("1h30m", "2026-11-20T21:00:00.000Z"),
            ("today", "2026-11-20T22:00:00.000Z"),
            ("yesterday", "2026-11-19T22:00:00.000Z"),
            ("2026-11-01", "2026-10-31T22:00:00.000Z"),
            ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00.000Z"),
            ("2026-11-20T09:00:00+02:00", "2026-11-20T07:00:00.000Z"),
            // Without an offset, by the clock on the wall: it is Saturday, half past midnight.
            ("2026-11-20T09:00:00", "2026-11-20T07:00:00.000Z"),
            ("2026-11-20 09:00", "2026-11-20T07:00:00.000Z"),
            ("saturday", "2026-11-20T22:00:00.000Z"),
            ("Fri", "2026-11-19T22:00:00.000Z"),
            ("sunday", "2026-11-14T22:00:00.000Z"),
            ("00:15", "2026-11-20T22:15:00.000Z"),
            ("18:00", "2026-11-20T16:00:00.000Z"),
        ] {
            let since: Since = text.parse().expect(text);
            assert_eq!(since.by(NOW, &zone).to_string(), want, "{text}");
        }
    }

    #[test]
    fn what_means_no_instant_is_refused() {
        for text in ["", "last week", "someday", "25:00", "5", "2026-13-01", "-1h"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
        let future: Since = "2999-01-01".parse().expect("a day");
        assert_eq!(future.instant(NOW).expect_err("not yet").code, Code::Usage);
    }
}
