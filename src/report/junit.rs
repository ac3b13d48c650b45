//! JUnit XML, in the shapes that its many writers give it.
//!
//! **Invariant:** nesting costs no stack and entities are never expanded beyond single characters,
//! so that no document is larger in memory than on disk. Attributes that only inform (times,
//! dates) are not read and cannot be wrong. Must not know who wrote the file.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use super::{Failures, MAX_MESSAGE, Report, counts};
use crate::model::verdict::TestCounts;

pub(super) fn read(bytes: &[u8]) -> Report {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut junit = Junit::default();
    let complete = loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => junit.start(&element, false),
            Ok(Event::Empty(element)) => junit.start(&element, true),
            Ok(Event::End(element)) => junit.end(element.local_name().as_ref()),
            Ok(Event::Text(text)) => junit.text(&text.into_inner()),
            Ok(Event::CData(text)) => junit.text(&text.into_inner()),
            Ok(Event::GeneralRef(name)) => junit.text(&character(&format!("&{};", name.into_inner()))),
            Ok(Event::Eof) => break junit.depth == 0,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    junit.finish(complete)
}

#[derive(Debug, Default)]
struct Junit {
    depth: usize,
    /// Depth of the outermost `testsuite`.
    outermost: Option<usize>,
    /// Whether a root of a report was seen.
    seen: bool,
    case: Option<Case>,
    found: TestCounts,
    failures: Failures,
    /// `failure` and `error` elements; a test may have both.
    marks: u64,
    /// The name of the suite around, for cases without a class.
    suite: String,
    whole: Declared,
    suites: Declared,
}

/// What a suite says of itself.
#[derive(Debug, Default)]
struct Declared {
    tests: u64,
    failed: u64,
}

#[derive(Debug, Default)]
struct Case {
    name: String,
    failed: bool,
    skipped: bool,
    /// Expected to fail: its failure is none.
    todo: bool,
    message: String,
    /// What `message` was begun with, so that text which repeats it is not kept twice.
    told: String,
    /// Depth of the `failure` or `error` whose text is read.
    reading: Option<usize>,
}

impl Junit {
    fn start(&mut self, element: &BytesStart<'_>, empty: bool) {
        self.depth += 1;
        match element.local_name().as_ref() {
            "testsuites" | "testrun" if self.depth == 1 => {
                self.seen = true;
                self.whole.add(element);
            }
            "testsuite" if self.case.is_none() => {
                self.seen = true;
                if self.outermost.is_none() {
                    self.outermost = Some(self.depth);
                    self.suites.add(element);
                }
                self.suite = attribute(element, "name");
            }
            "testcase" if self.case.is_none() => self.case = Some(Case::new(element, &self.suite)),
            "failure" | "error" => {
                if let Some(case) = self.case.as_mut() {
                    self.marks += 1;
                    let message = attribute(element, "message");
                    let kind = if message.is_empty() { attribute(element, "type") } else { String::new() };
                    case.fail(message + &kind, self.depth);
                }
            }
            "skipped" | "disabled" => {
                if let Some(case) = self.case.as_mut() {
                    case.skipped = true;
                    case.todo |= attribute(element, "type") == "todo";
                }
            }
            _ => {}
        }
        if empty {
            let name = element.local_name();
            self.end(name.as_ref());
        }
    }

    fn end(&mut self, name: &str) {
        if let Some(case) = self.case.as_mut().filter(|case| case.reading == Some(self.depth)) {
            case.reading = None;
        }
        if name == "testcase"
            && let Some(case) = self.case.take()
        {
            self.count(&case);
        }
        if self.outermost == Some(self.depth) {
            self.outermost = None;
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn text(&mut self, text: &str) {
        if let Some(case) = self.case.as_mut().filter(|case| case.reading.is_some())
            && case.message.len() <= 4 * MAX_MESSAGE
        {
            case.message.push_str(&super::plain::clip(text, 4 * MAX_MESSAGE));
        }
    }

    fn count(&mut self, case: &Case) {
        if case.failed && !case.todo {
            self.found.failed += 1;
            self.failures.push(&case.name, &case.telling());
        } else if case.skipped {
            self.found.skipped += 1;
        } else {
            self.found.passed += 1;
        }
    }

    fn finish(self, complete: bool) -> Report {
        let found = counts(self.found.passed, self.found.failed, self.found.skipped);
        let said = self.whole.failed.max(self.suites.failed);
        let contradiction = if said > self.marks {
            Some(format!("says {said} failed and lists {}", self.marks))
        } else if found.total == 0 && self.whole.tests.max(self.suites.tests) > 0 {
            Some("says that tests ran and lists none".into())
        } else {
            None
        };
        Report {
            counts: self.seen.then_some(found),
            failures: self.failures.0,
            complete: complete && self.seen,
            contradiction: contradiction.filter(|_| complete),
        }
    }
}

impl Declared {
    fn add(&mut self, element: &BytesStart<'_>) {
        let number = |name| attribute(element, name).trim().parse::<u64>().unwrap_or(0);
        self.tests = self.tests.saturating_add(number("tests"));
        self.failed = self.failed.saturating_add(number("failures")).saturating_add(number("errors"));
    }
}

impl Case {
    fn new(element: &BytesStart<'_>, suite: &str) -> Self {
        let name = attribute(element, "name");
        let class = attribute(element, "classname");
        let class = if class.is_empty() { suite } else { &class };
        let name = if class.is_empty() || name.starts_with(class) { name } else { format!("{class}::{name}") };
        // GoogleTest says it in attributes.
        let idle = |value: &str| matches!(value, "notrun" | "disabled" | "suppressed" | "skipped");
        let skipped = idle(&attribute(element, "status")) || idle(&attribute(element, "result"));
        Self { name, skipped, ..Self::default() }
    }

    fn fail(&mut self, message: String, depth: usize) {
        self.failed = true;
        if self.told.is_empty() && self.message.is_empty() {
            self.told = message;
            self.reading = Some(depth);
        }
    }

    /// The text where it says all that the attribute says, else both.
    fn telling(&self) -> String {
        let mut message = super::Message::default();
        self.message.lines().for_each(|line| message.line(line));
        if message.panicked || self.message.contains(self.told.trim()) {
            return message.text;
        }
        let mut message = super::Message::default();
        self.told.lines().chain(self.message.lines()).for_each(|line| message.line(line));
        message.text
    }
}

/// The value of an attribute, empty where it is missing or broken.
fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let mut attributes = element.attributes();
    // The check compares every pair of names: quadratic on a hostile element.
    attributes.with_checks(false);
    let found = attributes.flatten().find(|attribute| attribute.key.as_ref() == name);
    found.map(|attribute| character(&attribute.value)).unwrap_or_default()
}

/// Predefined entities and character references; text with any other stays as it is written.
fn character(text: &str) -> String {
    unescape(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}
