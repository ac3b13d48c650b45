//! Lists of tasks of a size that nobody writes by hand.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use standup::brief::import;

/// A list of this size takes about 0.2 s of the processor in a build for tests. Reading that grows
/// with the square of the list takes minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long this thread has run: what else the machine does is none of its business.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it counts from 0")
}

fn timed(text: &str) -> (Result<usize, usize>, Duration) {
    let before = worked();
    let read = import("many.txt", text.as_bytes()).map(|all| all.len()).map_err(|errors| errors.len());
    (read, worked() - before)
}

#[test]
fn ten_thousand_tasks_are_read_at_once() {
    let mut text = String::from("1. The first task\n");
    for n in 2..=10_000 {
        writeln!(text, "{n}. Task number {n} (after {}) !low\n   Some words about it.", n - 1).expect("a string grows");
    }
    let (read, took) = timed(&text);
    assert_eq!(read, Ok(10_000));
    assert!(took < PATIENCE, "{took:?}");
}

#[test]
fn ten_thousand_mistakes_are_found_at_once() {
    let text: String = (1..=10_000).map(|n| format!("- Task number {n} (after nobody-{n})\n")).collect();
    let (read, took) = timed(&text);
    assert_eq!(read, Err(10_000));
    assert!(took < PATIENCE, "{took:?}");
}
