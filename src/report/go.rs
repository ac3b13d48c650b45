//! `go test -json`: the events of `test2json`.
//!
//! **Invariant:** a test with subtests is their sum; it counts by itself only where it failed and
//! none of them did. Memory is bounded by the tests that run at once.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Failures, MAX_MESSAGE, Report, counts};
use crate::model::verdict::TestCounts;

/// Tests and packages that are followed at once; beyond it, tests are counted without their
/// messages and subtests.
const MAX_OPEN: usize = 20_000;

/// Output kept of each open test, in bytes: the end, because Go prints the failure last.
const MAX_OUTPUT: usize = 2 * MAX_MESSAGE;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    test: String,
    #[serde(default)]
    output: String,
    #[serde(default)]
    import_path: String,
    #[serde(default)]
    failed_build: String,
}

#[derive(Debug, Default)]
pub(super) struct Go {
    /// Open tests by package and name; a package itself has the empty name.
    open: BTreeMap<(String, String), Open>,
    /// Output of builds that go on or failed.
    builds: BTreeMap<String, String>,
    found: TestCounts,
    failures: Failures,
    seen: bool,
}

#[derive(Debug, Default)]
struct Open {
    has_children: bool,
    failed_inside: bool,
    output: String,
}

impl Go {
    pub(super) fn line(&mut self, line: &str) {
        if !line.starts_with('{') {
            // Before Go 1.24 a package that does not build is said in plain text.
            if let Some(rest) = line.strip_prefix("FAIL\t")
                && let Some(package) = rest.split([' ', '\t']).next().filter(|_| rest.ends_with("failed]"))
            {
                self.fail(package, "build failed");
                self.seen = true;
            }
            return;
        }
        let Ok(event) = serde_json::from_str::<Event>(line) else { return };
        match event.action.as_str() {
            "build-output" => {
                if self.builds.len() < MAX_OPEN || self.builds.contains_key(&event.import_path) {
                    append(self.builds.entry(event.import_path).or_default(), &event.output);
                }
            }
            "build-fail" => {}
            _ if event.package.is_empty() => {}
            _ => self.event(event),
        }
    }

    fn event(&mut self, event: Event) {
        self.seen = true;
        match event.action.as_str() {
            "run" | "start" => self.begin(&event),
            "output" => {
                if let Some(open) = self.open(&event) {
                    append(&mut open.output, &event.output);
                }
            }
            "pass" | "fail" | "skip" if event.test.is_empty() => self.end_package(&event),
            "pass" | "fail" | "skip" => self.end_test(&event),
            _ => {}
        }
    }

    fn open(&mut self, event: &Event) -> Option<&mut Open> {
        let key = (event.package.clone(), event.test.clone());
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&key) {
            return None;
        }
        Some(self.open.entry(key).or_default())
    }

    fn begin(&mut self, event: &Event) {
        self.open(event);
        if let Some(parent) = self.parent(event) {
            parent.has_children = true;
        }
    }

    fn parent(&mut self, event: &Event) -> Option<&mut Open> {
        let (parent, _) = event.test.rsplit_once('/')?;
        self.open.get_mut(&(event.package.clone(), parent.to_owned()))
    }

    fn end_test(&mut self, event: &Event) {
        let open = self.open.remove(&(event.package.clone(), event.test.clone())).unwrap_or_default();
        let failed = event.action == "fail";
        if failed {
            if let Some(parent) = self.parent(event) {
                parent.failed_inside = true;
            }
            if let Some(package) = self.open.get_mut(&(event.package.clone(), String::new())) {
                package.failed_inside = true;
            } else if self.open.len() < MAX_OPEN {
                let package = Open { failed_inside: true, ..Open::default() };
                self.open.insert((event.package.clone(), String::new()), package);
            }
        }
        let by_children = open.has_children && (!failed || open.failed_inside);
        match event.action.as_str() {
            _ if by_children => {}
            "pass" => self.found.passed = self.found.passed.saturating_add(1),
            "skip" => self.found.skipped = self.found.skipped.saturating_add(1),
            _ => self.fail(&format!("{}.{}", event.package, event.test), &telling(&open.output)),
        }
    }

    fn end_package(&mut self, event: &Event) {
        let package = self.open.remove(&(event.package.clone(), String::new())).unwrap_or_default();
        let inside = (event.package.clone(), String::new())..=(event.package.clone(), char::MAX.to_string());
        let left: Vec<(String, String)> = self.open.range(inside).map(|(key, _)| key.clone()).collect();
        let mut failed_inside = package.failed_inside;
        for key in left {
            // It ran when the process ended.
            let open = self.open.remove(&key).unwrap_or_default();
            if !open.has_children {
                self.fail(&format!("{}.{}", key.0, key.1), &telling(&open.output));
                failed_inside = true;
            }
        }
        if event.action == "fail" && !failed_inside {
            let build = self.builds.remove(&event.failed_build).unwrap_or_default();
            let message = if build.is_empty() { telling(&package.output) } else { format!("build failed\n{build}") };
            self.fail(&event.package, &message);
        }
    }

    fn fail(&mut self, test: &str, message: &str) {
        self.found.failed = self.found.failed.saturating_add(1);
        self.failures.push(test, message);
    }

    pub(super) fn finish(self) -> Report {
        let open = !self.open.is_empty();
        Report {
            counts: self.seen.then(|| counts(self.found.passed, self.found.failed, self.found.skipped)),
            failures: self.failures.0,
            complete: self.seen && !open,
            contradiction: None,
        }
    }
}

fn append(output: &mut String, more: &str) {
    output.push_str(more);
    if output.len() > 2 * MAX_OUTPUT {
        *output = super::plain::tail(output, MAX_OUTPUT).to_owned();
    }
}

/// The output without the lines that only frame it.
fn telling(output: &str) -> String {
    let frame = |line: &str| {
        let line = line.trim_start();
        line.is_empty()
            || ["=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "--- FAIL:", "FAIL\t", "exit status"]
                .iter()
                .any(|start| line.starts_with(start))
            || line == "FAIL"
    };
    let lines: Vec<&str> = output.lines().filter(|line| !frame(line)).collect();
    lines.join("\n")
}
