use proptest::prelude::*;

use super::*;
use crate::model::name::RepoPath;

fn formats() -> Vec<ReportFormat> {
    use ReportFormat::{Exit, Go, Jest, Junit, Libtest, Nextest, Pytest, Tap};
    vec![Exit, Libtest, Nextest, Pytest, Go, Jest, Tap, Junit(RepoPath::new("junit.xml").expect("a path"))]
}

fn junit() -> ReportFormat {
    formats().pop().expect("the last one")
}

fn read(format: &ReportFormat, text: impl AsRef<[u8]>) -> Report {
    let mut parser = Parser::new(format);
    parser.bytes(text.as_ref());
    parser.finish("/repo")
}

/// Real outputs, as seeds for broken ones.
const SAMPLES: [&str; 9] = [
    include_str!("../../tests/reports/libtest-mixed.out"),
    include_str!("../../tests/reports/nextest-mixed.out"),
    include_str!("../../tests/reports/pytest-mixed.out"),
    include_str!("../../tests/reports/go-mixed.out"),
    include_str!("../../tests/reports/jest-mixed.out"),
    include_str!("../../tests/reports/tap-vitest.out"),
    include_str!("../../tests/reports/tap-node.out"),
    include_str!("../../tests/reports/tap-perl.out"),
    include_str!("../../tests/reports/junit-pytest.out"),
];

#[test]
fn exit_codes_alone_need_no_report() {
    let report = read(&ReportFormat::Exit, "test result: FAILED. 0 passed; 9 failed");
    assert_eq!((report.counts, report.complete, report.has_failures()), (None, true, false));
}

#[test]
fn silence_is_no_report() {
    for format in formats().into_iter().skip(1) {
        let report = read(&format, "");
        assert_eq!((report.counts, report.complete), (None, false), "{format:?}");
    }
}

#[test]
fn what_a_failing_test_prints_is_not_the_harness() {
    let text = "running 2 tests\ntest a ... FAILED\ntest b ... FAILED\n\nfailures:\n\n---- a stdout ----\n\
                running 9 tests\ntest x ... FAILED\n\nfailures:\n    x\n\n\
                test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                more\n\nfailures:\n    a\n    b\n\n\
                test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    let report = read(&ReportFormat::Libtest, text);
    assert_eq!(report.counts, Some(counts(0, 2, 0)));
    assert_eq!(report.failures.iter().map(|f| f.test.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((report.complete, report.contradiction), (true, None));
}

#[test]
fn a_harness_that_contradicts_itself_is_said() {
    for (text, says) in [
        (
            "running 1 test\ntest result: ok. 0 passed; 1 failed; 0 ignored; 0 measured",
            "says \"ok\" and counts 1 failed",
        ),
        ("running 3 tests\ntest result: ok. 1 passed; 0 failed; 0 ignored", "announces 3 tests and counts 1"),
        (
            "running 2 tests\nfailures:\n    a\n    b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored",
            "counts 1 failed and names 2",
        ),
    ] {
        assert_eq!(read(&ReportFormat::Libtest, text).contradiction.as_deref(), Some(says), "{text}");
    }
    let text = "     Summary [   0.1s] 3 tests run: 1 passed, 1 failed, 0 skipped\n";
    let contradiction = read(&ReportFormat::Nextest, text).contradiction;
    assert_eq!(contradiction.as_deref(), Some("says 3 tests ran and counts 2"));
    let text = r#"{"numTotalTests":2,"numPassedTests":2,"success":true,"testResults":[{"status":"passed","assertionResults":[{"fullName":"a","status":"passed"}]}]}"#;
    assert!(read(&ReportFormat::Jest, text).contradiction.is_some());
    let text = r#"{"numTotalTests":0,"success":false,"testResults":[]}"#;
    assert!(read(&ReportFormat::Jest, text).contradiction.is_some());
}

#[test]
fn a_crashed_binary_leaves_the_report_cut_off() {
    let text = "running 2 tests\ntest a ... FAILED\n\nrunning 1 test\ntest b ... ok\n\n\
                test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    let report = read(&ReportFormat::Libtest, text);
    assert_eq!((report.counts, report.complete), (Some(counts(1, 1, 0)), false));
}

#[test]
fn a_retry_that_passed_is_no_failure() {
    let text = "    Starting 1 test across 1 binary\n  TRY 1 FAIL [   0.005s] (───) shop::cart flaky\n  \
                TRY 2 PASS [   0.005s] (1/1) shop::cart flaky\n     \
                Summary [   0.1s] 1 test run: 1 passed (1 flaky), 0 skipped\n   \
                FLAKY 2/2 [   0.005s] (1/1) shop::cart flaky\n";
    let report = read(&ReportFormat::Nextest, text);
    assert_eq!((report.failures.len(), report.complete, report.contradiction), (0, true, None));
}

#[test]
fn what_a_test_under_nextest_prints_is_not_nextest() {
    let text = "    Starting 1 test across 1 binary\n        FAIL [   0.005s] (1/1) shop outer\n  stdout ───\n\n\
                \x20           PASS [   0.005s] (1/2) shop inner\n            FAIL [   0.005s] (2/2) shop inner\n\
                \x20        Summary [   0.100s] 2 tests run: 2 passed, 0 skipped\n\n────────────\n\
                \x20    Summary [   0.100s] 1 test run: 0 passed, 1 failed, 0 skipped\n\
                \x20       FAIL [   0.005s] (1/1) shop outer\n";
    let report = read(&ReportFormat::Nextest, text);
    assert_eq!((report.counts, report.contradiction), (Some(counts(0, 1, 0)), None));
    assert_eq!(report.failures.iter().map(|f| f.test.as_str()).collect::<Vec<_>>(), ["shop outer"]);
}

#[test]
fn failures_are_bounded_and_clipped() {
    let long = "n".repeat(5_000);
    let many = 20 * MAX_FAILURES;
    let mut text = format!("running {many} tests\nfailures:\n");
    (0..many).for_each(|n| text.push_str(&format!("    {n}{}\n", &long[..400])));
    text.push_str(&format!("\ntest result: FAILED. 0 passed; {many} failed; 0 ignored\n"));
    let mut lines = text.lines();
    let mut parser = Parser::new(&ReportFormat::Libtest);
    lines.by_ref().for_each(|line| parser.line(line));
    let report = parser.finish("");
    assert_eq!(report.failures.len(), MAX_FAILURES);
    let report = read(
        &junit(),
        format!(r#"<testsuite><testcase name="{long}"><failure message="{long}"/></testcase></testsuite>"#),
    );
    assert!(report.failures[0].test.len() <= MAX_NAME && report.failures[0].message.len() <= MAX_MESSAGE);
}

#[test]
fn hostile_xml_costs_no_more_than_its_size() {
    let deep = format!("<testsuite>{}<testcase name=\"a\"/>", "<testsuite>".repeat(500_000));
    let report = read(&junit(), deep);
    assert_eq!((report.counts, report.complete), (Some(counts(1, 0, 0)), false));

    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
        <testsuite><testcase name="&b;"><failure message="&b;">&b;&b;</failure></testcase></testsuite>"#;
    let report = read(&junit(), bomb);
    assert_eq!((report.failures[0].test.as_str(), report.failures[0].message.as_str()), ("&b;", "&b;&b;"));

    let wide: String = (0..200_000).map(|n| format!(" a{n}=\"x\"")).collect();
    let report = read(&junit(), format!("<testsuite><testcase{wide} name=\"a\"/></testsuite>"));
    assert_eq!((report.counts, report.complete), (Some(counts(1, 0, 0)), true));

    let huge = [b"<testsuite><testcase name=\"a\"/>".as_slice(), &vec![b' '; MAX_DOCUMENT], b"</testsuite>"].concat();
    assert!(!read(&junit(), huge).complete);
}

#[test]
fn numbers_too_large_saturate() {
    let max = u64::MAX;
    let text = format!("running 1 test\ntest result: ok. {max} passed; {max} failed; {max} ignored");
    let _ = read(&ReportFormat::Libtest, text);
    let text =
        format!("     Summary [   0.1s] {max} tests run: {max} passed, {max} failed, {max} timed out, {max} skipped\n");
    assert!(read(&ReportFormat::Nextest, text.repeat(2)).has_failures());
    let text = format!("=== {max} failed, {max} errors, {max} passed in 0.1s ===\n");
    assert!(read(&ReportFormat::Pytest, text).has_failures());
    let text = format!("<testsuites failures=\"{max}\" errors=\"{max}\"/>");
    assert!(read(&junit(), text).contradiction.is_some());
}

#[test]
fn new_failures_are_those_that_the_base_does_not_have() {
    let failure = |test: &str| Failure { test: test.into(), message: String::new() };
    let base = [failure("a"), failure("src/lib.rs - add (line 9)")];
    let now = [failure("b"), failure("a"), failure("src/lib.rs - add (line 12)"), failure("c")];
    assert_eq!(compare(&base, &now), [failure("b"), failure("c")]);
    assert_eq!(test_key("odd (line x)"), "odd (line x)");
}

#[test]
fn a_test_file_has_one_name_in_every_worktree() {
    let text = r#"{"numTotalTests":1,"numFailedTests":1,"testResults":[{"name":"/w/7/a/b.js","status":"failed","assertionResults":[{"fullName":"x","status":"failed"}]}]}"#;
    let name = |root: &str| {
        let mut parser = Parser::new(&ReportFormat::Jest);
        parser.bytes(text.as_bytes());
        parser.finish(root).failures[0].test.clone()
    };
    assert_eq!(name("/w/7"), "a/b.js > x");
    assert_eq!(name("/w/7/"), "a/b.js > x");
    assert_eq!(name("/w/77"), "b.js > x");
}

#[test]
fn comments_below_a_tap_point_that_failed_say_why() {
    let text = "ok 1 - a\n# of no use\nnot ok 2 - b\n#   Failed test 'b'\n#   at t.pl line 3.\n1..2\n# fail 1\n";
    let report = read(&ReportFormat::Tap, text);
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].message, "Failed test 'b'\nat t.pl line 3.");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        for format in formats() {
            let _ = read(&format, &bytes);
        }
    }

    /// Real outputs with a piece taken out, repeated or replaced; every format reads every one.
    #[test]
    fn broken_reports_do_not_panic(
        sample in 0..SAMPLES.len(),
        (from, to) in (0usize..9_000, 0usize..9_000),
        junk in prop_oneof![Just("ok 1".to_owned()), Just("\n}\n    1..2\n".to_owned()), Just("failures:\n".to_owned()), any::<String>()],
    ) {
        let bytes = SAMPLES[sample].as_bytes();
        let (from, to) = (from.min(bytes.len()), to.min(bytes.len()));
        let broken = [&bytes[..from], junk.as_bytes(), &bytes[to..]].concat();
        for format in formats() {
            let report = read(&format, &broken);
            prop_assert!(report.failures.len() <= MAX_FAILURES);
        }
    }

    /// A report that is cut off is never a clean one: it is incomplete, or contradicts itself, or
    /// still names its failures.
    #[test]
    fn a_cut_report_is_not_clean(sample in 0..SAMPLES.len(), cut in 0usize..9_000) {
        let text = SAMPLES[sample];
        let format = [ReportFormat::Libtest, ReportFormat::Nextest, ReportFormat::Pytest, ReportFormat::Go,
            ReportFormat::Jest, ReportFormat::Tap, ReportFormat::Tap, ReportFormat::Tap, junit()][sample].clone();
        let cut = cut.min(text.len());
        let report = read(&format, &text.as_bytes()[..cut]);
        let clean = report.complete && report.contradiction.is_none() && !report.has_failures() && report.has_run();
        prop_assert!(!clean, "{report:?}");
    }
}
