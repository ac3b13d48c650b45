//! When a launch counts as started: the turn began, not merely the process.
//!
//! **Invariant:** a screen with a dialog, a banner or an error on it is no start. A program that
//! reports nothing has started once it did something for a while, or ended well having done
//! something. Must not know: what is done with a launch that failed.

use crate::model::state::Source;
use crate::model::time::{Now, Span};

/// How long a program that reports nothing must live after its first act: a shell that prints
/// "command not found" and ends takes milliseconds.
const ALIVE: Span = Span::secs(1);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("exit code unknown"),
        }
    }
}

/// What is known of a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the program reports by itself.
    pub reports: bool,
    /// The first report that a turn runs or ran.
    pub turn: Option<(Source, Now)>,
    /// The first act of it: output, CPU time or a changed file.
    pub acted: Option<Now>,
    /// Whether it wrote anything to its terminal.
    pub output: bool,
    /// Whether anything in its worktree changed.
    pub changed: bool,
    /// How it ended, if it did.
    pub end: Option<(End, Now)>,
}

/// Whether it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Not known yet; look again at this time, or at the next observation.
    Pending {
        /// When time alone may change the answer.
        until: Option<crate::model::time::Mono>,
    },
    /// It did.
    Started {
        /// Who says so.
        by: Source,
        /// Since when.
        at: Now,
    },
    /// It ended without having started.
    Failed {
        /// Why, as the end of a sentence.
        why: String,
    },
}

impl Evidence {
    /// Whether it started, at `now`.
    #[must_use]
    pub fn start(&self, now: Now) -> Start {
        if let Some((by, at)) = self.turn {
            return Start::Started { by, at };
        }
        if let Some((end, at)) = self.end {
            return self.ended(end, at);
        }
        let Some(acted) = self.acted.filter(|_| !self.reports) else { return Start::Pending { until: None } };
        if now.mono.since(acted.mono) >= ALIVE {
            Start::Started { by: Source::Activity, at: acted }
        } else {
            Start::Pending { until: Some(acted.mono + ALIVE) }
        }
    }

    fn ended(&self, end: End, at: Now) -> Start {
        let lived = self.acted.is_some_and(|acted| at.mono.since(acted.mono) >= ALIVE);
        // Output of a CLI that reports its turns and reported none is a dialog or an error.
        let did = self.changed || (self.output && !self.reports);
        if (end.code == Some(0) && did) || (lived && !self.reports) {
            return Start::Started { by: Source::Process, at };
        }
        let why = match end.code {
            Some(0) if self.reports => "it ended before a turn began (exit code 0)".to_owned(),
            Some(0) => "it ended at once, without output or a change".to_owned(),
            _ => format!("it ended before a turn began ({end})"),
        };
        Start::Failed { why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Mono;

    fn at(ms: i64) -> Now {
        Now { mono: Mono(ms), ..Now::default() }
    }

    fn ended(evidence: &Evidence, code: i32, ms: i64) -> Start {
        Evidence { end: Some((End { code: Some(code), signal: None }, at(ms))), ..evidence.clone() }.start(at(ms))
    }

    #[test]
    fn a_trust_dialog_is_no_start() {
        let dialog = Evidence { reports: true, acted: Some(at(0)), output: true, ..Evidence::default() };
        assert_eq!(dialog.start(at(600_000)), Start::Pending { until: None });
        assert!(matches!(ended(&dialog, 0, 5_000), Start::Failed { .. }), "declined, exit 0");
        assert!(matches!(ended(&dialog, 1, 5_000), Start::Failed { .. }), "declined, exit 1");
    }

    #[test]
    fn a_reported_turn_is_a_start_even_if_it_ended_at_once() {
        let turn = Evidence { reports: true, turn: Some((Source::Hook, at(3))), ..Evidence::default() };
        assert_eq!(ended(&turn, 1, 4), Start::Started { by: Source::Hook, at: at(3) });
    }

    #[test]
    fn a_command_that_ends_at_once_started_if_it_did_something_well() {
        let silent = Evidence::default();
        let printed = Evidence { acted: Some(at(0)), output: true, ..Evidence::default() };
        let wrote = Evidence { changed: true, ..Evidence::default() };
        assert!(matches!(ended(&printed, 0, 5), Start::Started { by: Source::Process, .. }));
        assert!(matches!(ended(&wrote, 0, 5), Start::Started { by: Source::Process, .. }));
        assert!(matches!(ended(&silent, 0, 5), Start::Failed { .. }));
        let Start::Failed { why } = ended(&printed, 127, 5) else { panic!("command not found is a start") };
        assert_eq!(why, "it ended before a turn began (exit code 127)");
    }

    #[test]
    fn a_silent_program_starts_by_living_on_after_its_first_act() {
        let acting = Evidence { acted: Some(at(100)), output: true, ..Evidence::default() };
        assert_eq!(acting.start(at(200)), Start::Pending { until: Some(Mono(1_100)) });
        assert_eq!(acting.start(at(1_100)), Start::Started { by: Source::Activity, at: at(100) });
        assert!(matches!(ended(&acting, 3, 9_000), Start::Started { .. }), "it worked, then failed");
    }
}
