//! `pytest`: its summary line and its short test summary.
//!
//! **Invariant:** within one session the last summary counts, because what a failing test printed
//! is shown before it. Must not know plugins' own lines.

use super::{Failures, Report, counts, number, sum};
use crate::model::verdict::TestCounts;

#[derive(Debug, Default)]
pub(super) struct Pytest {
    session: Session,
    done: Vec<Session>,
    /// Under the header of the short test summary.
    in_short: bool,
}

/// Sessions of one output that are told apart; a script that runs more is summed up to here.
const MAX_SESSIONS: usize = 64;

#[derive(Debug, Default)]
struct Session {
    counts: Option<TestCounts>,
    failures: Failures,
    named: u64,
    contradiction: Option<String>,
    begun: bool,
    /// Failures or errors are shown at length.
    shown: bool,
}

impl Pytest {
    pub(super) fn line(&mut self, line: &str) {
        let bare = line.trim_matches(|c| c == '=' || c == ' ');
        let ruled = line.starts_with("==") && line.ends_with("==");
        if ruled && bare == "test session starts" {
            return self.next_session();
        }
        if ruled && bare == "short test summary info" {
            self.in_short = true;
            // The summary comes last: one that was printed before is a test's own.
            self.session = Session { begun: true, ..Session::default() };
            return;
        }
        if ruled && matches!(bare, "FAILURES" | "ERRORS") {
            self.session.shown = true;
        }
        if let Some(found) = summary(bare).filter(|_| ruled || line == bare) {
            return self.summary(found);
        }
        if ruled {
            self.in_short = false;
        } else if self.in_short {
            self.short(line);
        }
    }

    fn next_session(&mut self) {
        let session = std::mem::take(&mut self.session);
        if session.begun && self.done.len() < MAX_SESSIONS {
            self.done.push(session);
        }
        self.session.begun = true;
        self.in_short = false;
    }

    fn summary(&mut self, found: TestCounts) {
        self.in_short = false;
        let session = &mut self.session;
        session.begun = true;
        if session.counts.is_some_and(|before| before.failed > 0) && found.failed == 0 {
            session.contradiction = Some("has two summaries, with and without failures".into());
        }
        session.counts = Some(found);
    }

    fn short(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) else { return };
        let (test, message) = split(rest);
        self.session.begun = true;
        self.session.named = self.session.named.saturating_add(1);
        self.session.failures.push(test, message);
    }

    pub(super) fn finish(mut self) -> Report {
        self.next_session();
        let mut report = Report { complete: !self.done.is_empty(), ..Report::default() };
        for session in self.done {
            report.complete &= session.counts.is_some();
            if let Some(found) = session.counts {
                report.counts = Some(sum(report.counts.unwrap_or_default(), found));
                if session.named > found.failed {
                    let what = format!("counts {} failed and names {}", found.failed, session.named);
                    report.contradiction.get_or_insert(what);
                } else if session.shown && found.failed == 0 {
                    report.contradiction.get_or_insert("shows failures and counts none".into());
                }
            }
            report.contradiction = report.contradiction.or(session.contradiction);
            report.failures.extend(session.failures.0);
        }
        report
    }
}

/// `5 failed, 3 passed, 1 skipped, 2 warnings in 0.03s (0:01:02)`, or `no tests ran in 0.00s`.
fn summary(text: &str) -> Option<TestCounts> {
    let (list, time) = text.rsplit_once(" in ")?;
    let seconds = time.split(' ').next()?.strip_suffix('s')?;
    seconds.parse::<f64>().ok()?;
    if list == "no tests ran" {
        return Some(TestCounts::default());
    }
    let mut found = TestCounts::default();
    for part in list.split(", ") {
        let (n, what) = number(part)?;
        match what {
            "passed" | "xpassed" | "subtests passed" => found.passed = found.passed.saturating_add(n),
            "failed" | "error" | "errors" | "subtests failed" => found.failed = found.failed.saturating_add(n),
            // An expected failure proves nothing.
            "skipped" | "xfailed" | "subtests skipped" | "subtests xfailed" => {
                found.skipped = found.skipped.saturating_add(n);
            }
            "warning" | "warnings" | "deselected" | "rerun" => {}
            _ if what.chars().all(|c| c.is_ascii_lowercase() || c == ' ') && !what.is_empty() => {}
            _ => return None,
        }
    }
    Some(counts(found.passed, found.failed, found.skipped))
}

/// Test and message; parameters in brackets may hold ` - ` themselves.
fn split(rest: &str) -> (&str, &str) {
    let dash = rest.find(" - ");
    let bracket = rest.find('[');
    if let (Some(dash), Some(bracket)) = (dash, bracket)
        && bracket < dash
    {
        return match rest.find("] - ") {
            Some(end) => (&rest[..=end], &rest[end + 4..]),
            None => (rest, ""),
        };
    }
    rest.split_once(" - ").unwrap_or((rest, ""))
}
