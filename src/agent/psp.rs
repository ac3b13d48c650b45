//! OSC 7501, the status protocol that agents speak in-band: its grammar and the records it leaves.
//!
//! `key=value` pairs joined by `:`. A report without `id` is the root record, one with `id` a part
//! of it (a sub-agent); a report replaces its record whole; `state=clear` drops it. `msg` and
//! `title` are base64 of UTF-8 and come from a model: they leave here as one line of plain text.
//! **Invariant:** bounded whatever arrives. Must not know: who sent it, what a state is worth.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::model::time::Now;

use super::plain;

/// The number of the operating system command.
pub const OSC: u32 = 7501;

/// The longest sequence, in bytes, as the protocol has it.
const MAX_SEQUENCE: usize = 4_096;

/// The longest decoded message, in bytes, as the protocol has it.
const MAX_MSG: usize = 2_048;

/// Parts remembered at once; the oldest goes first. More sub-agents than this no screen shows.
const MAX_PARTS: usize = 64;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing runs; it would take a prompt.
    Idle,
    /// A turn runs.
    Working,
    /// A person must act.
    Blocked,
    /// The turn is over.
    Done,
    /// The turn ended in an error.
    Error,
    /// The record is dropped.
    Clear,
}

/// Why it is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May it do something?
    Permission,
    /// It asks.
    Question,
    /// It wants a login.
    Auth,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub state: State,
    /// Why it is blocked; `None` also for a kind unknown here.
    pub kind: Option<Kind>,
    /// Which program says it.
    pub app: String,
    /// The part it speaks of; `None` is the whole.
    pub id: Option<String>,
    /// What it says in words; one plain line, may be empty.
    pub msg: String,
    /// What the part is called; one plain line, may be empty.
    pub title: String,
}

/// One sequence from an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequence {
    /// It asks whether its terminal speaks the protocol.
    Query,
    /// It reports.
    Report(Report),
}

/// Why a sequence is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PspError {
    /// Longer than the protocol has it.
    #[error("a report of {bytes} bytes; at most {MAX_SEQUENCE} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not `key=value`.
    #[error("{pair:?} is no key=value pair")]
    Pair {
        /// What stands there.
        pair: String,
    },
    /// The same key twice.
    #[error("{key:?} is given twice")]
    Twice {
        /// The key.
        key: String,
    },
    /// No state, or one that is unknown.
    #[error("{state:?} is no state")]
    State {
        /// What stands there.
        state: String,
    },
    /// A text that is not base64 of bounded UTF-8.
    #[error("{key} is not base64 of at most {MAX_MSG} bytes of UTF-8")]
    Text {
        /// Which.
        key: &'static str,
    },
}

/// Reads the payload of one OSC 7501, without number and terminator.
///
/// # Errors
/// [`PspError`]; the records stay as they are.
pub fn parse(payload: &[u8]) -> Result<Sequence, PspError> {
    if payload.len() > MAX_SEQUENCE {
        return Err(PspError::TooLong { bytes: payload.len() });
    }
    let shown = |bytes: &[u8]| plain::line(&String::from_utf8_lossy(bytes), 80);
    let text = std::str::from_utf8(payload).map_err(|_| PspError::Pair { pair: shown(payload) })?;
    if text == "?" {
        return Ok(Sequence::Query);
    }
    let mut pairs: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in text.split(':') {
        let good = pair.split_once('=').filter(|(k, v)| is_key(k) && v.bytes().all(is_value));
        let (key, value) = good.ok_or_else(|| PspError::Pair { pair: shown(pair.as_bytes()) })?;
        if pairs.insert(key, value).is_some() {
            return Err(PspError::Twice { key: key.to_owned() });
        }
    }
    let state = match pairs.get("state").copied().unwrap_or_default() {
        "idle" => State::Idle,
        "working" => State::Working,
        "blocked" => State::Blocked,
        "done" => State::Done,
        "error" => State::Error,
        "clear" => State::Clear,
        state => return Err(PspError::State { state: state.to_owned() }),
    };
    let kind = match pairs.get("kind").copied() {
        Some("permission") => Some(Kind::Permission),
        Some("question") => Some(Kind::Question),
        Some("auth") => Some(Kind::Auth),
        _ => None,
    };
    Ok(Sequence::Report(Report {
        state,
        kind,
        app: plain::line(pairs.get("app").copied().unwrap_or_default(), 80),
        id: pairs.get("id").filter(|id| !id.is_empty()).map(|id| (*id).to_owned()),
        msg: decode("msg", pairs.get("msg").copied())?,
        title: decode("title", pairs.get("title").copied())?,
    }))
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_value(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_.,+/=-".contains(&b)
}

fn decode(key: &'static str, value: Option<&str>) -> Result<String, PspError> {
    let Some(value) = value else { return Ok(String::new()) };
    let engine = if value.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    let bytes = engine.decode(value).map_err(|_| PspError::Text { key })?;
    if bytes.len() > MAX_MSG {
        return Err(PspError::Text { key });
    }
    let text = String::from_utf8(bytes).map_err(|_| PspError::Text { key })?;
    Ok(plain::line(&text, MAX_MSG))
}

/// A report and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub report: Report,
    /// Since when it says so: the first of equal reports in a row.
    pub at: Now,
}

/// The records of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    root: Option<Record>,
    parts: BTreeMap<String, Record>,
}

impl Board {
    /// Takes a report.
    pub fn apply(&mut self, report: Report, at: Now) {
        let Some(id) = report.id.clone() else {
            if report.state == State::Clear {
                *self = Self::default();
                return;
            }
            let at = self.root.as_ref().filter(|r| r.report == report).map_or(at, |r| r.at);
            self.root = Some(Record { report, at });
            return;
        };
        if report.state == State::Clear {
            self.parts.remove(&id);
            return;
        }
        if self.parts.len() >= MAX_PARTS && !self.parts.contains_key(&id) {
            let oldest = self.parts.iter().min_by_key(|(_, r)| r.at.mono).map(|(id, _)| id.clone());
            oldest.map(|id| self.parts.remove(&id));
        }
        self.parts.insert(id, Record { report, at });
    }

    /// What it says of the whole.
    #[must_use]
    pub fn root(&self) -> Option<&Record> {
        self.root.as_ref()
    }

    /// Whether a report says nothing new.
    #[must_use]
    pub fn holds(&self, report: &Report) -> bool {
        let record = report.id.as_ref().map_or(self.root.as_ref(), |id| self.parts.get(id));
        record.is_some_and(|record| record.report == *report)
    }

    /// What it says of its parts.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.parts.iter().map(|(id, record)| (id.as_str(), record))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::Mono;

    fn at(ms: i64) -> Now {
        Now { mono: Mono(ms), ..Now::default() }
    }

    fn report(payload: &str) -> Report {
        match parse(payload.as_bytes()).expect(payload) {
            Sequence::Report(report) => report,
            Sequence::Query => panic!("{payload} is a query"),
        }
    }

    #[test]
    fn recorded_reports_read() {
        assert_eq!(parse(b"?"), Ok(Sequence::Query));
        let asks = report(
            "state=blocked:app=claude-code:kind=question:msg=YW5zd2VyOiBXaGljaCBjb2xvdXIgZG8geW91IHdhbnQ/IChSZWQgwrcgQmx1ZSk=",
        );
        assert_eq!((asks.state, asks.kind), (State::Blocked, Some(Kind::Question)));
        assert_eq!(asks.msg, "answer: Which colour do you want? (Red · Blue)");
        let part = report("state=working:app=claude-code:id=ad3abb6d0e03b9a95:title=aW5uZXIgdGFzaw==");
        assert_eq!((part.id.as_deref(), part.title.as_str()), (Some("ad3abb6d0e03b9a95"), "inner task"));
        assert_eq!(report("state=blocked:app=codex:kind=permission").msg, "");
        assert_eq!(report("state=clear").state, State::Clear);
    }

    #[test]
    fn a_kind_or_key_of_tomorrow_is_no_error_but_a_state_is() {
        let later = report("state=blocked:kind=payment:mood=good");
        assert_eq!((later.state, later.kind), (State::Blocked, None));
        assert!(matches!(parse(b"state=dreaming"), Err(PspError::State { .. })));
    }

    #[test]
    fn malformed_reports_are_refused() {
        for bad in ["", "state", "state=working:", "state=work ing", "=x", "app=x", "state=\u{e4}", "state=a;b"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(matches!(parse(b"state=idle:state=done"), Err(PspError::Twice { .. })));
        assert!(matches!(parse(b"state=idle:msg=!"), Err(PspError::Pair { .. })));
        assert!(matches!(parse(b"state=idle:msg=a"), Err(PspError::Text { key: "msg" })));
        assert!(matches!(parse(b"state=idle:msg=/w=="), Err(PspError::Text { .. })), "0xff is no UTF-8");
        let long = format!("state=idle:msg={}", STANDARD.encode("x".repeat(MAX_MSG + 1)));
        assert!(matches!(parse(long.as_bytes()), Err(PspError::Text { .. })));
        assert!(matches!(parse(&[b'a'; MAX_SEQUENCE + 1]), Err(PspError::TooLong { .. })));
    }

    #[test]
    fn a_message_with_escapes_is_disarmed() {
        let payload = format!("state=error:msg={}", STANDARD.encode("a\x1b]0;owned\x07\nb\u{202e}c"));
        assert_eq!(report(&payload).msg, "a ]0;owned bc");
    }

    #[test]
    fn the_root_goes_with_its_parts_and_a_part_alone() {
        let mut board = Board::default();
        board.apply(report("state=working"), at(1));
        board.apply(report("state=working:id=a"), at(2));
        board.apply(report("state=working"), at(3));
        assert_eq!(board.root().map(|r| r.at), Some(at(1)), "an equal report is no change");
        board.apply(report("state=clear:id=a"), at(4));
        assert_eq!((board.parts().count(), board.root().is_some()), (0, true));
        board.apply(report("state=working:id=b"), at(5));
        board.apply(report("state=clear"), at(6));
        assert_eq!(board, Board::default());
    }

    #[test]
    fn parts_are_bounded() {
        let mut board = Board::default();
        for i in 0..1_000 {
            board.apply(report(&format!("state=working:id=p{i}")), at(i));
        }
        assert_eq!(board.parts().count(), MAX_PARTS);
        assert!(board.parts().any(|(id, _)| id == "p999"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
