//! `cargo nextest run`: its human output.
//!
//! **Invariant:** a status line has its bracket in column 13 (or further, where the status itself
//! is longer), which indented output of a test never has. Counts come from `Summary` alone.

use super::plain::clip;
use super::{Failures, MAX_FAILURES, MAX_MESSAGE, Message, Report, counts, number, sum};
use crate::model::verdict::TestCounts;

/// nextest right-aligns statuses to this width, followed by ` [`.
const WIDTH: usize = 12;

#[derive(Debug, Default)]
pub(super) struct Nextest {
    /// Tests that failed and have not passed since, with what they printed.
    failed: Vec<(String, Message)>,
    /// The one whose output follows.
    current: Option<usize>,
    failures: Failures,
    counts: Option<TestCounts>,
    started: bool,
    not_all: bool,
    contradiction: Option<String>,
}

impl Nextest {
    pub(super) fn line(&mut self, line: &str) {
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("Summary [").filter(|_| is_status_column(line, "Summary")) {
            return self.summary(rest);
        }
        if trimmed.starts_with("Starting ") && line.len() - trimmed.len() == WIDTH - "Starting".len() {
            self.merge();
            self.started = true;
            return;
        }
        if let Some((status, test)) = status_line(line) {
            return self.status(status, test);
        }
        if line.starts_with("────") || trimmed.starts_with("Cancelling due to ") {
            self.current = None;
        }
        if let Some(index) = self.current {
            self.output(index, line);
        }
    }

    fn status(&mut self, status: &str, test: &str) {
        let known = self.failed.iter().position(|(name, _)| name == test);
        match outcome(status) {
            Outcome::Failed if known.is_some() => self.current = known,
            Outcome::Failed => {
                self.current = (self.failed.len() < MAX_FAILURES).then_some(self.failed.len());
                if self.current.is_some() {
                    self.failed.push((test.to_owned(), Message { text: how(status), ..Message::default() }));
                }
            }
            Outcome::Passed => {
                self.current = None;
                if let Some(index) = known {
                    self.failed.remove(index);
                }
            }
            Outcome::Other => self.current = None,
        }
    }

    fn output(&mut self, index: usize, line: &str) {
        let text = line.strip_prefix("    ").unwrap_or(line);
        let frame = text.trim_start();
        let noise = frame.starts_with("stdout ──")
            || frame.starts_with("stderr ──")
            || frame.starts_with("output ──")
            || frame.starts_with("---")
            || frame.starts_with("running ")
            || frame.starts_with("failures:")
            || frame.starts_with("test result: ")
            || (frame.starts_with("test ") && frame.ends_with("... FAILED"))
            || self.failed[index].0.split(' ').next_back().is_some_and(|name| name == frame);
        if !noise {
            self.failed[index].1.line(text);
        }
    }

    /// `4.049s] 13 tests run: 7 passed (1 flaky, 1 leaky), 5 failed, 1 timed out, 1 skipped`
    fn summary(&mut self, rest: &str) {
        let Some((run, listed)) = rest.split_once("] ").and_then(|(_, text)| text.split_once(": ")) else { return };
        let Some((done, what)) = number(run) else { return };
        let planned = what.strip_prefix('/').and_then(number).map_or(done, |(planned, _)| planned);
        let mut found = TestCounts::default();
        for part in without_brackets(listed).split(", ") {
            let Some((n, what)) = number(part) else { continue };
            match what.trim() {
                "passed" => found.passed = n,
                "skipped" => found.skipped = n,
                // failed, timed out, exec failed: whatever else ended a test.
                _ => found.failed = found.failed.saturating_add(n),
            }
        }
        if found.passed.saturating_add(found.failed) != done {
            self.contradict(format!("says {done} tests ran and counts {}", found.passed.saturating_add(found.failed)));
        }
        let named = self.failed.len();
        if named < MAX_FAILURES && named as u64 > found.failed {
            self.contradict(format!("counts {} failed and names {named}", found.failed));
        }
        self.not_all |= planned > done;
        self.started = false;
        self.counts = Some(sum(self.counts.unwrap_or_default(), counts(found.passed, found.failed, found.skipped)));
        self.keep();
    }

    fn keep(&mut self) {
        self.current = None;
        for (name, message) in std::mem::take(&mut self.failed) {
            self.failures.push(&name, &message.text);
        }
    }

    /// After a summary the failed tests are listed again; where output is shown at the end only,
    /// it is here.
    fn merge(&mut self) {
        self.current = None;
        for (name, message) in std::mem::take(&mut self.failed) {
            match self.failures.0.iter_mut().find(|failure| failure.test == name) {
                Some(failure) if failure.message.is_empty() => failure.message = clip(message.text.trim(), MAX_MESSAGE),
                Some(_) => {}
                None => self.failures.push(&name, &message.text),
            }
        }
    }

    fn contradict(&mut self, what: String) {
        self.contradiction.get_or_insert(what);
    }

    pub(super) fn finish(mut self) -> Report {
        self.merge();
        Report {
            complete: self.counts.is_some() && !self.started && !self.not_all,
            counts: self.counts,
            failures: self.failures.0,
            contradiction: self.contradiction,
        }
    }
}

enum Outcome {
    Passed,
    Failed,
    /// Slow, being ended, skipped: nothing yet.
    Other,
}

fn outcome(status: &str) -> Outcome {
    let last = status.strip_prefix("TRY ").and_then(number).map_or(status, |(_, rest)| rest);
    match last {
        "PASS" | "LEAK" => Outcome::Passed,
        _ if last.starts_with("FLAKY-FAIL") || last.starts_with("FLKY-FL") => Outcome::Failed,
        _ if last.starts_with("FLAKY") => Outcome::Passed,
        "ABORT" | "TIMEOUT" | "TMT" | "XFAIL" | "TERM" | "KILL" => Outcome::Failed,
        _ if last.contains("FAIL") || last.contains("FL+") || last.starts_with("SIG") => Outcome::Failed,
        _ => Outcome::Other,
    }
}

/// What a status says by itself, where the output may say nothing.
fn how(status: &str) -> String {
    match status {
        "TIMEOUT" => "timed out".into(),
        _ if status.starts_with("SIG") || status == "ABORT" => format!("ended by {status}"),
        _ if status.contains("LEAK") => "left processes behind".into(),
        _ => String::new(),
    }
}

fn is_status_column(line: &str, status: &str) -> bool {
    let bracket = line.find(" [");
    bracket == Some(WIDTH.max(status.len()))
}

/// `        FAIL [   0.014s] ( 1/13) shop tests::does_not_fall` → status and `shop tests::…`.
fn status_line(line: &str) -> Option<(&str, &str)> {
    let (status, rest) = line.split_once(" [")?;
    let status = status.trim_start();
    if !is_status_column(line, status) || !status.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let (time, rest) = rest.split_once("] ")?;
    if !time.ends_with('s') {
        return None;
    }
    let rest = rest.trim_start();
    let test = match rest.strip_prefix('(') {
        Some(counter) => counter.split_once(") ")?.1,
        None => rest,
    };
    Some((status, test.trim())).filter(|(_, test)| !test.is_empty())
}

fn without_brackets(text: &str) -> String {
    let mut depth = 0usize;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}
