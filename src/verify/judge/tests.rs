use std::time::Duration;

use super::*;
use crate::model::name::{CheckName, RepoPath};
use crate::model::verdict::{Failure, TestCounts};

fn ended(code: i32) -> Ended {
    Ended { code: Some(code), signal: None, timed_out: false, aborted: false, duration: Duration::from_millis(5) }
}

fn report(passed: u64, failed: u64, skipped: u64) -> Report {
    let counts = TestCounts { total: passed + failed + skipped, passed, failed, skipped };
    Report { counts: Some(counts), complete: true, ..Report::default() }
}

fn with(format: ReportFormat, ended: Ended, report: Result<&Report, &str>) -> (CheckOutcome, String) {
    judge(&format, Span::mins(15), &ended, report)
}

fn counted(code: i32, report: &Report) -> (CheckOutcome, String) {
    with(ReportFormat::Libtest, ended(code), Ok(report))
}

fn fail(why: &str) -> (CheckOutcome, String) {
    (CheckOutcome::Fail, why.to_owned())
}

const PASS: (CheckOutcome, String) = (CheckOutcome::Pass, String::new());

#[test]
fn the_exit_code_always_counts() {
    assert_eq!(counted(0, &report(3, 0, 1)), PASS);
    assert_eq!(counted(3, &report(3, 0, 0)), fail("it exited with 3, although the report names no failure"));
    assert_eq!(with(ReportFormat::Exit, ended(0), Ok(&Report::default())), PASS);
    assert_eq!(with(ReportFormat::Exit, ended(2), Ok(&Report::default())), fail("it exited with 2"));
    let why = "it exited with 139 (signal 11, SEGV)";
    assert_eq!(with(ReportFormat::Exit, ended(139), Ok(&Report::default())), fail(why));
}

#[test]
fn failures_count_whatever_the_exit_code() {
    assert_eq!(counted(101, &report(38, 2, 0)), fail("2 of 40 tests failed"));
    assert_eq!(counted(0, &report(38, 2, 0)), fail("2 of 40 tests failed, although it exited with 0"));
    let named = Report { failures: vec![Failure { test: "a".into(), message: String::new() }], ..Report::default() };
    assert_eq!(counted(1, &named), fail("1 test failed"));
}

#[test]
fn no_test_run_is_no_pass() {
    assert_eq!(counted(0, &report(0, 0, 0)), fail("no test ran"));
    assert_eq!(counted(0, &report(0, 0, 4)), fail("no test ran (4 skipped)"));
    assert_eq!(counted(5, &report(0, 0, 0)), fail("no test ran (exit code 5)"));
    let none = Report::default();
    assert_eq!(counted(0, &none), fail("no test ran: its output holds no report of the configured format"));
    assert_eq!(counted(2, &none), fail("it exited with 2 before any test was reported"));
}

#[test]
fn a_report_must_come_to_its_end_and_agree_with_itself() {
    let cut = Report { complete: false, ..report(3, 0, 0) };
    assert_eq!(counted(0, &cut), fail("the report breaks off before its end"));
    assert_eq!(counted(101, &cut), fail("it exited with 101, and the report breaks off"));
    let odd = Report { contradiction: Some("counts 1 and names 2".into()), ..report(3, 0, 0) };
    assert_eq!(counted(0, &odd), fail("the report contradicts itself: it counts 1 and names 2"));
}

#[test]
fn a_report_file_must_be_there() {
    let junit = || ReportFormat::Junit(RepoPath::new("a.xml").expect("a path"));
    assert_eq!(with(junit(), ended(0), Err("a.xml: no")), fail("no report was written: a.xml: no"));
    let why = "it exited with 1, and no report was written: a.xml: no";
    assert_eq!(with(junit(), ended(1), Err("a.xml: no")), fail(why));
}

#[test]
fn a_missing_program_says_nothing_about_the_work() {
    for (code, what) in [(127, "was not found"), (126, "cannot be run")] {
        let (outcome, why) = counted(code, &Report::default());
        assert_eq!(outcome, CheckOutcome::Error);
        assert!(why.contains(what) && why.contains("install it"), "{why}");
    }
    assert_eq!(counted(127, &report(3, 1, 0)).0, CheckOutcome::Fail);
    assert_eq!(counted(127, &report(3, 0, 0)).0, CheckOutcome::Fail);
}

#[test]
fn what_was_interrupted_never_passes() {
    let clean = report(3, 0, 0);
    let aborted = Ended { aborted: true, ..ended(0) };
    assert_eq!(with(ReportFormat::Libtest, aborted, Ok(&clean)), (CheckOutcome::Error, "aborted".into()));
    let late = Ended { timed_out: true, ..ended(0) };
    let why = "it ran longer than its limit of 15m".to_owned();
    assert_eq!(with(ReportFormat::Libtest, late, Ok(&clean)), (CheckOutcome::Timeout, why));
    let killed = Ended { code: None, signal: Some(9), ..ended(0) };
    let (outcome, why) = with(ReportFormat::Libtest, killed, Ok(&clean));
    assert_eq!(
        (outcome, why.as_str()),
        (CheckOutcome::Fail, "it was ended by signal 9, KILL, perhaps for want of memory")
    );
}

fn result(outcome: CheckOutcome) -> CheckResult {
    CheckResult {
        name: CheckName::new("test").expect("a name"),
        outcome,
        exit_code: Some(i32::from(outcome != CheckOutcome::Pass)),
        duration_ms: 5,
        tests: None,
        failures: Vec::new(),
        why: String::new(),
        tail: String::new(),
        command: "true".into(),
        notes: Vec::new(),
    }
}

fn oid(digit: char) -> Result<Oid, String> {
    Ok(Oid::new(digit.to_string().repeat(40)).expect("an oid"))
}

#[test]
fn the_worst_check_decides() {
    use CheckOutcome::{Error, Fail, Pass, Timeout};
    for (checks, outcome) in [
        (vec![], VerdictOutcome::None),
        (vec![Pass, Pass], VerdictOutcome::Green),
        (vec![Pass, Fail], VerdictOutcome::Red),
        (vec![Timeout, Pass], VerdictOutcome::Red),
        (vec![Pass, Error], VerdictOutcome::Error),
        (vec![Error, Fail, Pass], VerdictOutcome::Red),
        (vec![Error, Timeout], VerdictOutcome::Red),
    ] {
        let verdict = combine(checks.iter().copied().map(result).collect(), oid('a'), oid('a').map(Files::from));
        assert_eq!(verdict.outcome, outcome, "{checks:?}");
        assert_eq!((verdict.tree, verdict.checks.len()), (oid('a').ok(), checks.len()));
    }
}

#[test]
fn a_tree_that_moved_or_cannot_be_read_is_never_green() {
    for outcome in [CheckOutcome::Pass, CheckOutcome::Fail, CheckOutcome::Error] {
        let moved = combine(vec![result(outcome)], oid('a'), oid('b').map(Files::from));
        assert_eq!((moved.outcome, moved.tree), (VerdictOutcome::Stale, oid('a').ok()));
        assert!(moved.why.starts_with("files changed while the checks ran"), "{}", moved.why);
        let after = oid('a').map(|tree| Files { tree, moved: Some("a b".into()) });
        let put_back = combine(vec![result(outcome)], oid('a'), after);
        assert_eq!((put_back.outcome, put_back.tree), (VerdictOutcome::Stale, oid('a').ok()));
        assert!(put_back.why.starts_with("a b changed while the checks ran, and was put back"), "{}", put_back.why);
        for (before, after) in [(oid('a'), Err("gone".into())), (Err("gone".into()), oid('a'))] {
            let unread = combine(vec![result(outcome)], before, after.map(Files::from));
            assert_eq!(unread.outcome, VerdictOutcome::Error);
            assert_eq!(unread.why, "the files cannot be read: gone");
        }
    }
}

#[test]
fn the_same_failure_has_the_same_key() {
    let red = |edit: &dyn Fn(&mut CheckResult)| {
        let mut check = result(CheckOutcome::Fail);
        edit(&mut check);
        failure_key(&combine(vec![result(CheckOutcome::Pass), check], oid('a'), oid('a').map(Files::from)))
            .expect("red")
    };
    let failures = |names: &[&str], message: &str| {
        names.iter().map(|name| Failure { test: (*name).into(), message: message.into() }).collect::<Vec<_>>()
    };
    let one = red(&|check| check.failures = failures(&["a", "b"], "left 4"));
    assert_eq!(one.len(), 16);
    assert_eq!(one, red(&|check| check.failures = failures(&["b", "a"], "left 5")));
    assert_ne!(one, red(&|check| check.failures = failures(&["a"], "left 4")));
    assert_ne!(one, red(&|check| check.outcome = CheckOutcome::Timeout));

    let lint = red(&|check| check.tail = "src/a.rs:10: unused x\nfinished in 0.31s".into());
    assert_eq!(lint, red(&|check| check.tail = "finished in 12.05s\nsrc/a.rs:7: unused x".into()));
    assert_ne!(lint, red(&|check| check.tail = "src/b.rs:10: unused x\nfinished in 0.31s".into()));

    let green = combine(vec![result(CheckOutcome::Pass)], oid('a'), oid('a').map(Files::from));
    let stale = combine(vec![result(CheckOutcome::Fail)], oid('a'), oid('b').map(Files::from));
    assert_eq!((failure_key(&green), failure_key(&stale)), (None, None));
}
