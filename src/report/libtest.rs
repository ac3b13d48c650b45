//! `cargo test`: what Rust's own test harness prints, over any number of binaries and doctests.
//!
//! **Invariant:** a result line counts only where it sums to the number of tests announced above
//! it, so that what a test prints is not taken for the harness. Must not know cargo's own lines.

use std::collections::BTreeMap;

use super::{Failures, MAX_FAILURES, Message, Report, counts, number, sum};
use crate::model::verdict::TestCounts;

/// Where in the output of one binary we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Outside,
    Tests,
    /// Under `failures:` or `successes:`, before anything that is not a name.
    List {
        failures: bool,
    },
    /// In what a test printed.
    Captured,
}

#[derive(Debug, Default)]
pub(super) struct Libtest {
    at: At,
    run: Run,
    counts: Option<TestCounts>,
    failures: Failures,
    broken: bool,
    contradiction: Option<String>,
}

/// One binary.
#[derive(Debug, Default)]
struct Run {
    announced: u64,
    /// Names on `test … FAILED` lines.
    failed: Vec<String>,
    /// Names under the last `failures:`, and how many there were.
    listed: Vec<String>,
    listed_total: u64,
    messages: BTreeMap<String, Message>,
    section: Option<String>,
    /// What a result line said that did not fit.
    misfit: Option<u64>,
}

impl Libtest {
    pub(super) fn line(&mut self, line: &str) {
        match self.at {
            At::Outside => _ = self.start(line),
            At::Tests => {
                if !self.start(line) && !self.header(line) && !self.result(line) {
                    self.test(line);
                }
            }
            At::List { failures } => self.list(line, failures),
            At::Captured => self.captured(line),
        }
    }

    fn start(&mut self, line: &str) -> bool {
        let announced = line
            .strip_prefix("running ")
            .and_then(number)
            .filter(|(_, rest)| matches!(*rest, "test" | "tests" | "benchmark" | "benchmarks"));
        if let Some((announced, _)) = announced {
            self.abandon();
            self.run = Run { announced, ..Run::default() };
            self.at = At::Tests;
        }
        announced.is_some()
    }

    fn header(&mut self, line: &str) -> bool {
        let failures = line == "failures:";
        if failures {
            self.run.listed.clear();
            self.run.listed_total = 0;
        }
        if failures || line == "successes:" {
            self.at = At::List { failures };
        }
        failures || line == "successes:"
    }

    fn test(&mut self, line: &str) {
        let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) else { return };
        if self.run.failed.len() < MAX_FAILURES {
            self.run.failed.push(name.strip_suffix(" - should panic").unwrap_or(name).to_owned());
        }
    }

    fn list(&mut self, line: &str, failures: bool) {
        if self.header(line) || self.result(line) || line.is_empty() {
            return;
        }
        match line.strip_prefix("    ") {
            Some(name) if failures && !name.starts_with(' ') => {
                self.run.listed_total += 1;
                if self.run.listed.len() < MAX_FAILURES {
                    self.run.listed.push(name.to_owned());
                }
            }
            Some(name) if !name.starts_with(' ') => {}
            _ => {
                self.at = At::Captured;
                self.captured(line);
            }
        }
    }

    fn captured(&mut self, line: &str) {
        if self.header(line) {
            return;
        }
        let section = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"));
        if let Some(name) = section.and_then(|s| s.strip_suffix(" stdout").or_else(|| s.strip_suffix(" stderr"))) {
            self.run.section = Some(name.to_owned());
            return;
        }
        let Some(section) = &self.run.section else { return };
        if self.run.messages.len() < MAX_FAILURES || self.run.messages.contains_key(section) {
            self.run.messages.entry(section.clone()).or_default().line(line);
        }
    }

    fn result(&mut self, line: &str) -> bool {
        let Some((word, found)) = result_line(line) else { return false };
        if found.total != self.run.announced {
            self.run.misfit = Some(found.total);
            return false;
        }
        let run = std::mem::take(&mut self.run);
        self.at = At::Outside;
        self.counts = Some(sum(self.counts.unwrap_or_default(), found));
        if (word == "ok") != (found.failed == 0) {
            self.contradict(format!("says {word:?} and counts {} failed", found.failed));
        }
        if run.listed_total > 0 && run.listed_total != found.failed {
            self.contradict(format!("counts {} failed and names {}", found.failed, run.listed_total));
        }
        self.keep(run);
        true
    }

    fn keep(&mut self, run: Run) {
        let names = if run.listed.is_empty() { &run.failed } else { &run.listed };
        for name in names {
            self.failures.push(name, run.messages.get(name).map_or("", |message| &message.text));
        }
    }

    /// A binary that ended without its result line: it crashed, or was ended.
    fn abandon(&mut self) {
        if self.at == At::Outside {
            return;
        }
        self.broken = true;
        self.at = At::Outside;
        let run = std::mem::take(&mut self.run);
        if let Some(misfit) = run.misfit {
            self.contradict(format!("announces {} tests and counts {misfit}", run.announced));
        }
        let failed = u64::try_from(run.failed.len()).unwrap_or(u64::MAX);
        self.counts = Some(sum(self.counts.unwrap_or_default(), counts(0, failed, 0)));
        self.keep(run);
    }

    fn contradict(&mut self, what: String) {
        self.contradiction.get_or_insert(what);
    }

    pub(super) fn finish(mut self) -> Report {
        self.abandon();
        Report {
            counts: self.counts,
            failures: self.failures.0,
            complete: self.counts.is_some() && !self.broken,
            contradiction: self.contradiction,
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn result_line(line: &str) -> Option<(&str, TestCounts)> {
    let (word, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut found = TestCounts::default();
    let (mut seen_passed, mut seen_failed) = (false, false);
    for part in rest.split("; ") {
        let Some((n, what)) = number(part) else { continue };
        match what {
            "passed" => {
                found.passed = found.passed.saturating_add(n);
                seen_passed = true;
            }
            "failed" => {
                found.failed = n;
                seen_failed = true;
            }
            "ignored" => found.skipped = n,
            "measured" => found.passed = found.passed.saturating_add(n),
            _ => {}
        }
    }
    (seen_passed && seen_failed).then(|| (word, counts(found.passed, found.failed, found.skipped)))
}
