//! Time without a clock: instants, spans and their text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970 by the wall clock, which people set and NTP moves. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    /// Time passed since `earlier`, never negative.
    #[must_use]
    pub fn since(self, earlier: Wall) -> Span {
        Span(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl Wall {
    /// For a sentence, to the minute and in UTC: `2026-11-21 15:00 UTC`. [`localized`] finds it there.
    #[must_use]
    pub fn minute(self) -> String {
        let text = self.to_string();
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        format!("{day} {}{UTC}", time.get(..5).unwrap_or_default())
    }
}

/// What ends a [`Wall::minute`], and the length of what stands before it.
const UTC: &str = " UTC";
const MINUTE: usize = "2026-11-21 15:00".len();

/// A sentence in which `local` says each [`Wall::minute`] in its own way.
#[must_use]
pub fn localized(text: &str, local: impl Fn(Wall) -> String) -> String {
    let mut parts = text.split(UTC).peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(part) = parts.next() {
        let minute = part.len().checked_sub(MINUTE).and_then(|at| Some((part.get(..at)?, part.get(at..)?)));
        let moment = minute.and_then(|(before, minute)| {
            let (day, time) = minute.split_once(' ')?;
            let at: jiff::Timestamp = format!("{day}T{time}:00Z").parse().ok()?;
            Some((before, Wall(at.as_millisecond())))
        });
        match moment.filter(|_| parts.peek().is_some()) {
            Some((before, at)) => out.push_str(&format!("{before}{}", local(at))),
            None => {
                out.push_str(part);
                out.push_str(if parts.peek().is_some() { UTC } else { "" });
            }
        }
    }
    out
}

impl fmt::Display for Wall {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => f.write_str("1970-01-01T00:00:00.000Z"),
        }
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let t: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(t.as_millisecond()))
    }
}

/// Milliseconds of the monotonic clock of one boot; it stands still while the machine sleeps.
/// All deadlines are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub i64);

impl Mono {
    /// Time passed since `earlier`, never negative.
    #[must_use]
    pub fn since(self, earlier: Mono) -> Span {
        Span(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl std::ops::Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl std::ops::Add<Span> for Mono {
    type Output = Mono;
    fn add(self, span: Span) -> Mono {
        Mono(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// The identity of one boot of the machine: a [`Mono`] means nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub u64);

/// An instant by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For people.
    pub wall: Wall,
    /// For deadlines.
    pub mono: Mono,
    /// The boot that `mono` belongs to.
    pub boot: Boot,
}

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

/// The longest span anyone may configure: 365 days. More is a slip of the keyboard.
const MAX_SPAN_MS: u64 = 365 * 24 * 3_600_000;

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(n * 1_000)
    }

    /// A span of whole minutes.
    #[must_use]
    pub const fn mins(n: u64) -> Self {
        Self(n * 60_000)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }

    /// For the standard library's timers.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number without a unit, or no number at all.
    #[error("{text:?} is not a duration; write a number and a unit: ms, s, m, h, d (for example 15m)")]
    Form {
        /// What was written.
        text: String,
    },
    /// Outside the bounds.
    #[error("{text:?} is out of bounds; durations go from 1ms to 365d")]
    Bounds {
        /// What was written.
        text: String,
    },
}

impl FromStr for Span {
    type Err = SpanError;

    /// Parses `500ms`, `30s`, `15m`, `2h`, `1d` and sums like `1h30m`.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let form = || SpanError::Form { text: text.to_owned() };
        let bounds = || SpanError::Bounds { text: text.to_owned() };
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(form());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |i| digits + i);
            let factor: u64 = match &rest[digits..unit_end] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(form()),
            };
            if digits == 0 {
                return Err(form());
            }
            let number: u64 = rest[..digits].parse().map_err(|_| bounds())?;
            total = number.checked_mul(factor).and_then(|ms| total.checked_add(ms)).ok_or_else(bounds)?;
            rest = &rest[unit_end..];
        }
        if total == 0 || total > MAX_SPAN_MS { Err(bounds()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    /// The two largest units: `2h5m`, `15m`, `42s`, `300ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        if self.0 < 1_000 {
            return write!(f, "{}ms", self.0);
        }
        let mut rest = self.0;
        let mut shown = 0;
        for (size, unit) in UNITS {
            if rest >= size && shown < 2 {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
                shown += 1;
            } else if shown > 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        u64::deserialize(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for (text, ms, shown) in [
            ("500ms", 500, "500ms"),
            ("15m", 900_000, "15m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("365d", MAX_SPAN_MS, "365d"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.0, span.to_string().as_str()), (ms, shown));
        }
    }

    #[test]
    fn a_span_needs_a_unit_and_a_size() {
        for text in ["5", "", "m", "-1m", "1.5h", "5 minutes"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Form { .. })), "{text}");
        }
        for text in ["0s", "999999h", "99999999999999999999m"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Bounds { .. })), "{text}");
        }
    }

    #[test]
    fn a_minute_is_found_again_in_its_sentence_and_nothing_else_is() {
        let at = Wall(1_763_737_245_000);
        assert_eq!(at.minute(), "2025-11-21 15:00 UTC");
        let text = format!("claude is limited until {}; of UTC, 15:00 UTC and 2025-13-21 15:00 UTC", at.minute());
        let said = localized(&text, |found| format!("<{}>", (at.0 - found.0) / 1_000));
        assert_eq!(said, "claude is limited until <45>; of UTC, 15:00 UTC and 2025-13-21 15:00 UTC");
        for plain in ["", " UTC", "ä UTC", "é2025-11-21 15:00 UT", "2025-11-21 15:00"] {
            assert_eq!(localized(plain, |_| "x".into()), plain);
        }
        assert_eq!(localized(&format!("ä{}", at.minute()), |_| "x".into()), "äx");
    }

    #[test]
    fn a_wall_time_survives_json() {
        let t = Wall(1_763_676_000_123);
        let json = serde_json::to_string(&t).expect("json");
        assert_eq!(json, "\"2025-11-20T22:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Wall>(&json).expect("back"), t);
    }
}
