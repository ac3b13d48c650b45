//! What counts as a pass. Pure.
//!
//! **Invariant:** every rule only ever takes a pass away. The exit code always counts; the report
//! counts on top of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Files;
use crate::model::name::Oid;
use crate::model::settings::ReportFormat;
use crate::model::time::Span;
use crate::model::verdict::{CheckOutcome, CheckResult, Verdict, VerdictOutcome};
use crate::os::run::Ended;
use crate::report::{self, Report};

/// The shell's exit codes for "found, but not executable" and "not found" (POSIX, 2.8.2).
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The note on the check under which the tree was first seen to have moved.
pub(super) const MOVED: &str = "files changed while it ran";

/// Takes the results of all checks together. `before` is the tree they started on, `after` the
/// first files that are not still the same, or the last: what could not be read is the reason
/// instead.
#[must_use]
pub fn combine(checks: Vec<CheckResult>, before: Result<Oid, String>, after: Result<Files, String>) -> Verdict {
    let any = |wanted: &[CheckOutcome]| checks.iter().any(|check| wanted.contains(&check.outcome));
    let (outcome, why) = match (&before, &after) {
        _ if checks.is_empty() => (VerdictOutcome::None, String::new()),
        (Err(why), _) | (_, Err(why)) => (VerdictOutcome::Error, format!("the files cannot be read: {why}")),
        (Ok(before), Ok(after)) if *before != after.tree => {
            let during = during(&checks);
            let why = format!("files changed while {during} (what a check writes itself, git should ignore)");
            (VerdictOutcome::Stale, why)
        }
        (_, Ok(Files { moved: Some(file), .. })) => {
            let during = during(&checks);
            let why = format!("{file} changed while {during}, and was put back (a check must not do that itself)");
            (VerdictOutcome::Stale, why)
        }
        _ if any(&[CheckOutcome::Fail, CheckOutcome::Timeout]) => (VerdictOutcome::Red, String::new()),
        _ if any(&[CheckOutcome::Error]) => (VerdictOutcome::Error, String::new()),
        _ => (VerdictOutcome::Green, String::new()),
    };
    Verdict { outcome, tree: before.ok(), checks, why }
}

/// When the files moved, for people.
fn during(checks: &[CheckResult]) -> String {
    match checks.iter().find(|check| check.notes.iter().any(|note| note == MOVED)) {
        Some(check) => format!("the check {} ran", check.name),
        None => "the checks ran".to_owned(),
    }
}

/// A fingerprint of what fails: equal for two red verdicts where the same checks and the same
/// tests fail, whatever the messages, the order or the time. A check without named tests goes by
/// its output, numbers left out. `None` where nothing was shown to fail.
#[must_use]
pub fn failure_key(verdict: &Verdict) -> Option<String> {
    if verdict.outcome != VerdictOutcome::Red {
        return None;
    }
    let mut text = String::new();
    for check in &verdict.checks {
        let _ = match check.outcome {
            CheckOutcome::Pass | CheckOutcome::Error => Ok(()),
            CheckOutcome::Timeout => writeln!(text, "{}\ttimeout", check.name),
            CheckOutcome::Fail => writeln!(text, "{}\tfail\t{}", check.name, particulars(check)),
        };
    }
    let digest = Sha256::digest(text.as_bytes());
    Some(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The tests that failed, or else the kinds of lines at the end of the output.
fn particulars(check: &CheckResult) -> String {
    let lines: BTreeSet<String> = if check.failures.is_empty() {
        check.tail.lines().map(without_numbers).filter(|line| !line.is_empty()).collect()
    } else {
        check.failures.iter().map(|failure| report::test_key(&failure.test)).collect()
    };
    lines.into_iter().collect::<Vec<_>>().join("\t")
}

/// Times, line numbers, addresses and counters change while the failure stays the same.
fn without_numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.trim().chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

/// How one check ended and why it did not pass. `report` is the reason where none could be had.
pub(super) fn judge(
    format: &ReportFormat,
    limit: Span,
    ended: &Ended,
    report: Result<&Report, &str>,
) -> (CheckOutcome, String) {
    let named = report.is_ok_and(Report::has_failures);
    if ended.aborted {
        return (CheckOutcome::Error, "aborted".into());
    }
    if ended.timed_out {
        return (CheckOutcome::Timeout, format!("it ran longer than its limit of {limit}"));
    }
    if let Some(code @ (NOT_EXECUTABLE | NOT_FOUND)) = ended.code
        && !named
        && !report.is_ok_and(Report::has_run)
    {
        let what = if code == NOT_FOUND { "was not found" } else { "cannot be run" };
        let why =
            format!("a program it needs {what} (exit code {code}): install it, or mend the command of this check");
        return (CheckOutcome::Error, why);
    }
    let why = match (ended.code, report) {
        (None, _) => format!("it was ended by {}", signal(ended.signal.unwrap_or(0))),
        (Some(code), Ok(report)) if named => failed(code, report),
        (Some(0), Err(why)) => format!("no report was written: {why}"),
        (Some(code), Err(why)) => format!("it exited with {}, and no report was written: {why}", exit(code)),
        (Some(0), Ok(_)) if *format == ReportFormat::Exit => return (CheckOutcome::Pass, String::new()),
        (Some(code), Ok(_)) if *format == ReportFormat::Exit => format!("it exited with {}", exit(code)),
        (Some(0), Ok(report)) => match clean(report) {
            None => return (CheckOutcome::Pass, String::new()),
            Some(why) => why,
        },
        (Some(code), Ok(report)) => unclean(code, report),
    };
    (CheckOutcome::Fail, why)
}

/// The report names failures.
fn failed(code: i32, report: &Report) -> String {
    let mut why = match report.counts {
        Some(counts) if counts.failed > 0 => format!("{} of {} tests failed", counts.failed, counts.total),
        _ if report.failures.len() == 1 => "1 test failed".into(),
        _ => format!("{} tests failed", report.failures.len()),
    };
    if code == 0 {
        why.push_str(", although it exited with 0");
    }
    if let Some(what) = &report.contradiction {
        let _ = write!(why, "; the report {what}");
    }
    why
}

/// Exit code 0 and no failure named: what still speaks against a pass.
fn clean(report: &Report) -> Option<String> {
    if let Some(what) = &report.contradiction {
        return Some(format!("the report contradicts itself: it {what}"));
    }
    match report.counts {
        None => Some("no test ran: its output holds no report of the configured format".into()),
        Some(counts) if counts.total == 0 => Some("no test ran".into()),
        Some(counts) if !report.has_run() => Some(format!("no test ran ({} skipped)", counts.skipped)),
        Some(_) if !report.complete => Some("the report breaks off before its end".into()),
        Some(_) => None,
    }
}

/// Another exit code, and no failure named.
fn unclean(code: i32, report: &Report) -> String {
    let code = exit(code);
    match report.counts {
        None => format!("it exited with {code} before any test was reported"),
        Some(_) if !report.complete => format!("it exited with {code}, and the report breaks off"),
        Some(_) if !report.has_run() => format!("no test ran (exit code {code})"),
        Some(_) => format!("it exited with {code}, although the report names no failure"),
    }
}

/// A shell gives 128 and the signal for a program that a signal ended.
fn exit(code: i32) -> String {
    match code {
        129..=192 => format!("{code} ({})", signal(code - 128)),
        _ => code.to_string(),
    }
}

fn signal(number: i32) -> String {
    let name = match number {
        libc::SIGHUP => "HUP",
        libc::SIGINT => "INT",
        libc::SIGQUIT => "QUIT",
        libc::SIGILL => "ILL",
        libc::SIGTRAP => "TRAP",
        libc::SIGABRT => "ABRT",
        libc::SIGBUS => "BUS",
        libc::SIGFPE => "FPE",
        libc::SIGKILL => "KILL, perhaps for want of memory",
        libc::SIGSEGV => "SEGV",
        libc::SIGPIPE => "PIPE",
        libc::SIGALRM => "ALRM",
        libc::SIGTERM => "TERM",
        _ => return format!("signal {number}"),
    };
    format!("signal {number}, {name}")
}

#[cfg(test)]
mod tests;
