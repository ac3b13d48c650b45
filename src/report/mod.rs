//! Output of test tools: lines in, counts and failures out.
//!
//! One [`Parser`] reads one stream of one tool, as it comes. It believes what the tool says of its
//! own run, and says so where the tool contradicts itself; whether that is a pass is not decided
//! here. **Invariant:** no input panics, and memory is bounded ([`lines::MAX_LINE`],
//! [`MAX_FAILURES`], [`MAX_DOCUMENT`]) however much is fed. Must not know: files, processes, exit
//! codes.

pub mod lines;
pub mod plain;

mod go;
mod jest;
mod junit;
mod libtest;
mod nextest;
mod pytest;
mod tap;

use std::collections::BTreeSet;

use crate::model::settings::ReportFormat;
use crate::model::verdict::{Failure, TestCounts};
use lines::Lines;

/// Failed tests kept by name; more are only counted. A person reads ten.
pub const MAX_FAILURES: usize = 100;

/// The longest name of a test that is kept, in bytes.
pub const MAX_NAME: usize = 300;

/// The longest message that is kept, in bytes: a panic with both sides of an assertion.
pub const MAX_MESSAGE: usize = 1_000;

/// The longest report that is one document (JUnit, jest), in bytes. Ten thousand tests make about
/// four million.
pub const MAX_DOCUMENT: usize = 32 << 20;

/// What a tool reported of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Tests counted; `None` where no report of this format was found.
    pub counts: Option<TestCounts>,
    /// Failed tests by name, at most [`MAX_FAILURES`].
    pub failures: Vec<Failure>,
    /// Whether the report came to its end.
    pub complete: bool,
    /// Where it contradicts itself, as the end of the sentence "the report …".
    pub contradiction: Option<String>,
}

impl Report {
    /// Whether it names or counts a failure.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty() || self.counts.is_some_and(|counts| counts.failed > 0)
    }

    /// Whether it holds nothing at all.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.counts.is_none() && self.failures.is_empty()
    }

    /// Whether it counts at least one test that ran.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.counts.is_some_and(|counts| counts.passed > 0 || counts.failed > 0)
    }
}

/// The failures that `base` does not have, by test, in order.
#[must_use]
pub fn compare(base: &[Failure], failures: &[Failure]) -> Vec<Failure> {
    let known: BTreeSet<String> = base.iter().map(|failure| test_key(&failure.test)).collect();
    failures.iter().filter(|failure| !known.contains(&test_key(&failure.test))).cloned().collect()
}

/// The name of a test without what moves when unrelated lines are edited: rustdoc names a doctest
/// by its line.
#[must_use]
pub fn test_key(test: &str) -> String {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match test.rsplit_once(" (line ") {
        Some((name, rest)) if rest.strip_suffix(')').is_some_and(digits) => name.to_owned(),
        _ => test.to_owned(),
    }
}

/// Reads one report.
#[derive(Debug)]
pub struct Parser {
    dialect: Dialect,
    lines: Lines,
}

#[derive(Debug)]
enum Dialect {
    Exit,
    Libtest(libtest::Libtest),
    Nextest(nextest::Nextest),
    Pytest(pytest::Pytest),
    Go(go::Go),
    Tap(tap::Tap),
    Jest(Document),
    Junit(Document),
}

impl Parser {
    /// A parser of one format. For `junit` it is fed the file.
    #[must_use]
    pub fn new(format: &ReportFormat) -> Self {
        let dialect = match format {
            ReportFormat::Exit => Dialect::Exit,
            ReportFormat::Libtest => Dialect::Libtest(libtest::Libtest::default()),
            ReportFormat::Nextest => Dialect::Nextest(nextest::Nextest::default()),
            ReportFormat::Pytest => Dialect::Pytest(pytest::Pytest::default()),
            ReportFormat::Go => Dialect::Go(go::Go::default()),
            ReportFormat::Tap => Dialect::Tap(tap::Tap::default()),
            ReportFormat::Jest => Dialect::Jest(Document::default()),
            ReportFormat::Junit(_) => Dialect::Junit(Document::default()),
        };
        Self { dialect, lines: Lines::default() }
    }

    /// Takes the next bytes of the stream, cut anywhere.
    pub fn bytes(&mut self, chunk: &[u8]) {
        match &mut self.dialect {
            Dialect::Exit => {}
            Dialect::Jest(document) | Dialect::Junit(document) => document.push(chunk),
            dialect => self.lines.feed(chunk, &mut |line| dialect.line(line)),
        }
    }

    /// Takes the next line, without its line end.
    pub fn line(&mut self, line: &str) {
        self.bytes(line.as_bytes());
        self.bytes(b"\n");
    }

    /// The report. `root` is the folder the tests ran in: tools that name files by absolute paths
    /// get it taken off, so that the same test has one name in every worktree.
    #[must_use]
    pub fn finish(mut self, root: &str) -> Report {
        let dialect = &mut self.dialect;
        self.lines.finish(&mut |line| dialect.line(line));
        let mut report = match self.dialect {
            Dialect::Exit => Report { complete: true, ..Report::default() },
            Dialect::Libtest(parser) => parser.finish(),
            Dialect::Nextest(parser) => parser.finish(),
            Dialect::Pytest(parser) => parser.finish(),
            Dialect::Go(parser) => parser.finish(),
            Dialect::Tap(parser) => parser.finish(),
            Dialect::Jest(document) => document.read(|bytes| jest::read(bytes, root)),
            Dialect::Junit(document) => document.read(junit::read),
        };
        report.failures.truncate(MAX_FAILURES);
        report
    }
}

impl Dialect {
    fn line(&mut self, line: &str) {
        let line = &plain::plain(line);
        match self {
            Self::Libtest(parser) => parser.line(line),
            Self::Nextest(parser) => parser.line(line),
            Self::Pytest(parser) => parser.line(line),
            Self::Go(parser) => parser.line(line),
            Self::Tap(parser) => parser.line(line),
            Self::Exit | Self::Jest(_) | Self::Junit(_) => {}
        }
    }
}

/// A report that can only be read as a whole.
#[derive(Debug, Default)]
struct Document {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Document {
    fn push(&mut self, chunk: &[u8]) {
        let room = MAX_DOCUMENT - self.bytes.len();
        self.overflow |= chunk.len() > room;
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    fn read(&self, read: impl FnOnce(&[u8]) -> Report) -> Report {
        let mut report = read(&self.bytes);
        report.complete &= !self.overflow;
        report
    }
}

/// Failures in the order they were found, within bounds.
#[derive(Debug, Default)]
struct Failures(Vec<Failure>);

impl Failures {
    fn push(&mut self, test: &str, message: &str) {
        if self.0.len() < MAX_FAILURES {
            let test = plain::plain(test).replace('\n', " ");
            let message = plain::plain(message);
            self.0.push(Failure {
                test: plain::clip(test.trim(), MAX_NAME),
                message: plain::clip(message.trim(), MAX_MESSAGE),
            });
        }
    }
}

/// Picks the telling lines of what a test printed: its panic if there is one, else the start.
#[derive(Debug, Clone, Default)]
struct Message {
    text: String,
    panicked: bool,
    done: bool,
}

impl Message {
    fn line(&mut self, line: &str) {
        if self.done {
            return;
        }
        if !self.panicked && line.starts_with("thread '") && line.contains("panicked at ") {
            self.panicked = true;
            self.text.clear();
            let at = line.find("panicked at ").unwrap_or(0);
            return self.push(&line[at..]);
        }
        if self.panicked && (line.starts_with("note: ") || line.starts_with("stack backtrace:")) {
            self.done = true;
            return;
        }
        // Blank lines only between others, and one at a time.
        if !line.trim().is_empty() || !(self.text.is_empty() || self.text.ends_with('\n')) {
            self.push(line.trim_end());
        }
    }

    fn push(&mut self, line: &str) {
        // Room for the mark of a cut; until a panic is found, later lines must still be seen.
        if self.text.len() <= MAX_MESSAGE {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(&plain::clip(line, MAX_MESSAGE));
        }
    }
}

/// Both counts together. Numbers come from outside: sums saturate.
fn sum(a: TestCounts, b: TestCounts) -> TestCounts {
    TestCounts {
        total: a.total.saturating_add(b.total),
        passed: a.passed.saturating_add(b.passed),
        failed: a.failed.saturating_add(b.failed),
        skipped: a.skipped.saturating_add(b.skipped),
    }
}

/// Counts whose total is their sum.
fn counts(passed: u64, failed: u64, skipped: u64) -> TestCounts {
    TestCounts { total: passed.saturating_add(failed).saturating_add(skipped), passed, failed, skipped }
}

/// A number at the start of a text, and the rest without the blanks between.
fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

#[cfg(test)]
mod tests;
