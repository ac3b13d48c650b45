//! Usage limits: whether an error is one, and when it ends.
//!
//! **Invariant:** a time is only returned if it lies ahead and within eight days; a text that says
//! nothing clear gives none. Must not know: time zones by name, which would need their tables; a
//! CLI prints its own local time, so the local offset is given.

use jiff::civil;

use crate::model::time::{Span, Wall};

/// The farthest reset that is believed: weekly limits, and a day for time zones.
const FARTHEST: Span = Span::mins(8 * 24 * 60);

/// Words after the anchor that are looked at.
const WORDS: usize = 10;

/// Whether a text speaks of a used-up quota or of too many requests.
#[must_use]
pub fn is_limit(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    ["usage limit", "limit reached", "hit your limit", "rate limit", "rate_limit", "(429)", "429 too many", "quota"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether a text speaks of a login that is missing or refused.
#[must_use]
pub fn is_login(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "401",
        "invalid api key",
        "/login",
        "not logged in",
        "authentication_failed",
        "authentication_error",
        "unauthorized",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// When the limit that `text` speaks of ends.
///
/// `offset_s` is the local offset from UTC in seconds, which counts unless the text says UTC.
#[must_use]
pub fn reset(text: &str, now: Wall, offset_s: i32) -> Option<Wall> {
    let text = text.to_lowercase();
    let offset_ms = if text.contains("utc") { 0 } else { i64::from(offset_s) * 1_000 };
    let wall = epoch(&text).or_else(|| after(&text, now)).or_else(|| clock(&text, now, offset_ms))?;
    (wall > now && wall.since(now) <= FARTHEST).then_some(wall)
}

/// `limit reached|1795179496`: seconds since 1970.
fn epoch(text: &str) -> Option<Wall> {
    let (_, rest) = text.split_once('|')?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    if digits.len() != 10 {
        return None;
    }
    digits.parse::<i64>().ok().map(|s| Wall(s * 1_000))
}

/// `try again in 2 hours 5 minutes`, `resets in 2h 5m`.
fn after(text: &str, now: Wall) -> Option<Wall> {
    let rest = ["try again in ", "resets in ", "reset in ", "retry after ", "retry in "]
        .iter()
        .find_map(|anchor| text.split_once(anchor))?
        .1;
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for token in tokens(rest).take(WORDS * 2) {
        if let Ok(n) = token.parse() {
            number = Some(n);
            continue;
        }
        let unit = match token {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "and" => continue,
            _ => break,
        };
        seconds = number.take()?.checked_mul(unit)?.checked_add(seconds)?;
    }
    let ms = i64::try_from(seconds).ok().filter(|s| *s > 0)?.checked_mul(1_000)?;
    Some(Wall(now.0.checked_add(ms)?))
}

/// Runs of digits and runs of letters.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| if c.is_ascii_digit() { 1 } else { u8::from(c.is_alphabetic()) * 2 };
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| kind(c) == 0);
        let first = kind(rest.chars().next()?);
        let end = rest.find(|c| kind(c) != first).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

/// `resets 3pm`, `try again at 3:05 PM`, `resets Nov 24, 5pm`, `at Nov 24th, 2026 15:00`.
fn clock(text: &str, now: Wall, offset_ms: i64) -> Option<Wall> {
    let rest = ["try again at ", "resets at ", "resets on ", "resets ", "reset at "]
        .iter()
        .find_map(|anchor| text.split_once(anchor))?
        .1;
    let local_now = jiff::Timestamp::from_millisecond(now.0.checked_add(offset_ms)?).ok()?;
    let local_now = local_now.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let words: Vec<&str> = tokens(rest).take(WORDS).collect();
    let (date, used) = date(&words, local_now.date());
    let time = time(&words[used..], rest)?;
    let mut at = date.unwrap_or(local_now.date()).to_datetime(time);
    if date.is_none() && at <= local_now {
        at = at.checked_add(jiff::Span::new().days(1)).ok()?;
    }
    let utc = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(Wall(utc.checked_sub(offset_ms)?))
}

/// The date at the start of `words`, and how many words it takes. A day without a year that is past
/// is one of next year.
fn date(words: &[&str], today: civil::Date) -> (Option<civil::Date>, usize) {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = words.first().and_then(|w| MONTHS.iter().position(|m| w.starts_with(m)));
    let (Some(month), Some(Ok(day))) = (month, words.get(1).map(|w| w.parse::<i8>())) else { return (None, 0) };
    let mut used = 2;
    if words.get(used).is_some_and(|w| matches!(*w, "st" | "nd" | "rd" | "th")) {
        used += 1;
    }
    let year = words.get(used).filter(|w| w.len() == 4).and_then(|w| w.parse::<i16>().ok());
    used += usize::from(year.is_some());
    let month = i8::try_from(month + 1).unwrap_or(1);
    let of = |year: i16| civil::Date::new(year, month, day).ok();
    let date = match year {
        Some(year) => of(year),
        None => of(today.year()).filter(|d| *d >= today).or_else(|| of(today.year() + 1)),
    };
    used += usize::from(words.get(used) == Some(&"at"));
    (date, used)
}

/// A time of day at the start of `words`: an hour alone needs am or pm.
fn time(words: &[&str], text: &str) -> Option<civil::Time> {
    let hour: i8 = words.first()?.parse().ok()?;
    let minute = words.get(1).filter(|w| w.len() == 2).and_then(|w| w.parse::<i8>().ok());
    let half = words.get(1 + usize::from(minute.is_some())).copied();
    let hour = match half {
        Some("am" | "a") if (1..=12).contains(&hour) => hour % 12,
        Some("pm" | "p") if (1..=12).contains(&hour) => hour % 12 + 12,
        _ if minute.is_some() && text.contains(':') => hour,
        _ => return None,
    };
    civil::Time::new(hour, minute.unwrap_or(0), 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 20 November 2026, 22:30 UTC.
    const NOW: Wall = Wall(1_795_213_800_000);

    fn at(text: &str, offset_s: i32) -> Option<String> {
        reset(text, NOW, offset_s).map(|w| w.to_string())
    }

    #[test]
    fn the_test_knows_its_now() {
        assert_eq!(NOW.to_string(), "2026-11-20T22:30:00.000Z");
    }

    #[test]
    fn resets_are_read() {
        for (text, offset, want) in [
            ("5-hour limit reached ∙ resets 11pm", 0, "2026-11-20T23:00:00.000Z"),
            ("You've hit your limit · resets 3am (Europe/Berlin)", 3_600, "2026-11-21T02:00:00.000Z"),
            ("limit · resets 3am (UTC)", 3_600, "2026-11-21T03:00:00.000Z"),
            ("Claude usage limit reached|1795220000", 0, "2026-11-21T00:13:20.000Z"),
            ("or try again at 11:05 PM.", 0, "2026-11-20T23:05:00.000Z"),
            ("try again at Nov 24th, 2026 3:05 PM.", 0, "2026-11-24T15:05:00.000Z"),
            ("weekly limit · resets Nov 24, 5pm", 0, "2026-11-24T17:00:00.000Z"),
            ("resets at 09:30", 0, "2026-11-21T09:30:00.000Z"),
            ("try again in 2 hours 5 minutes.", 0, "2026-11-21T00:35:00.000Z"),
            ("resets in 1d 2h", 0, "2026-11-22T00:30:00.000Z"),
            ("Try again in 3 days and 1 minute", 0, "2026-11-23T22:31:00.000Z"),
        ] {
            assert_eq!(at(text, offset).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_says_no_time_gives_none() {
        for text in [
            "You've hit your usage limit. Upgrade to Pro or try again later.",
            "resets soon",
            "resets 7",
            "retry in no time",
            "try again in 99 days",
            "resets Jan 1, 5pm",
            "limit reached|1795000000",
            "resets 99:99",
            "try again in 99999999999999999999 hours",
        ] {
            assert_eq!(at(text, 0), None, "{text}");
        }
    }

    #[test]
    fn limits_and_logins_are_told_apart() {
        assert!(is_limit("API Error: Request rejected (429) · tokens exceed your per-minute rate limit"));
        assert!(is_limit("You’ve hit your usage limit."));
        assert!(!is_limit("API Error: 500 server error"));
        assert!(is_login("Invalid API key · Please run /login"));
        assert!(!is_login("API Error: 500 server error"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_a_time_lies_ahead(
            text in "(resets|try again|limit) (at|in|on)? ?[a-z]{0,4} ?[0-9]{0,12}[:,]? ?[0-9]{0,4} ?(am|pm|h|days)?",
            offset in -50_400i32..50_400,
        ) {
            if let Some(at) = reset(&text, NOW, offset) {
                prop_assert!(at > NOW && at.since(NOW) <= FARTHEST);
            }
        }
    }
}
