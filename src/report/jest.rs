//! `jest --json` and `vitest run --reporter=json`: one JSON document.
//!
//! **Invariant:** the document is found among whatever else was printed; a test file that could
//! not be loaded is a failure although it holds no test. Must not know any other reporter.

use serde::Deserialize;

use super::{Failures, Report, counts};

/// Places in the output where the document may begin; noise that starts more lines with `{` than
/// this is no test report.
const MAX_STARTS: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    num_total_tests: u64,
    #[serde(default)]
    num_passed_tests: u64,
    #[serde(default)]
    num_failed_tests: u64,
    #[serde(default)]
    num_pending_tests: u64,
    #[serde(default)]
    num_todo_tests: u64,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    was_interrupted: bool,
    #[serde(default)]
    test_results: Vec<File>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    assertion_results: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    failure_messages: Option<Vec<String>>,
}

pub(super) fn read(bytes: &[u8], root: &str) -> Report {
    let starts = bytes.iter().enumerate().filter(|&(i, &b)| b == b'{' && (i == 0 || bytes[i - 1] == b'\n'));
    for (start, _) in starts.take(MAX_STARTS) {
        let mut documents = serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<Document>();
        if let Some(Ok(document)) = documents.next() {
            return report(&document, root);
        }
    }
    Report::default()
}

fn report(document: &Document, root: &str) -> Report {
    let mut failures = Failures::default();
    let (mut broken_files, mut failed, mut passed) = (0u64, 0u64, 0u64);
    for file in &document.test_results {
        let name = relative(&file.name, root);
        let before = failed;
        for test in &file.assertion_results {
            passed += u64::from(test.status == "passed");
            if test.status == "failed" {
                failed += 1;
                let messages = test.failure_messages.as_deref().unwrap_or_default();
                failures.push(&format!("{name} > {}", test.full_name), &message(&messages.join("\n")));
            }
        }
        if file.status == "failed" && failed == before {
            broken_files += 1;
            failures.push(name, &message(&file.message));
        }
    }
    let skipped = document.num_pending_tests.saturating_add(document.num_todo_tests);
    let all_failed = document.num_failed_tests.saturating_add(broken_files);
    let differ = document.num_failed_tests != failed || document.num_passed_tests != passed;
    let contradiction = if differ && !document.test_results.is_empty() {
        Some(format!(
            "counts {} passed and {} failed and lists {passed} and {failed}",
            document.num_passed_tests, document.num_failed_tests
        ))
    } else if document.success == Some(false) && all_failed == 0 {
        Some("says that it did not succeed and lists no failure".into())
    } else {
        None
    };
    let found = counts(document.num_passed_tests, all_failed, skipped);
    let all_listed = document.num_total_tests.saturating_add(broken_files) <= found.total;
    Report {
        counts: Some(found),
        failures: failures.0,
        complete: !document.was_interrupted && all_listed,
        contradiction,
    }
}

/// A file's path below `root`; elsewhere its last part, because the rest names a machine.
fn relative<'a>(file: &'a str, root: &str) -> &'a str {
    file.strip_prefix(root.trim_end_matches('/'))
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|_| !root.is_empty())
        .unwrap_or_else(|| file.rsplit('/').next().unwrap_or(file))
}

/// A message without its stack of calls.
fn message(text: &str) -> String {
    let text = super::plain::plain(text);
    text.lines().take_while(|line| !line.trim_start().starts_with("at ")).collect::<Vec<_>>().join("\n")
}
