//! What the demo tells: events of the log in a person's words, and why tasks wait.
//!
//! **Invariant:** a line is told only for an event that is in the log, or a hold that is on the
//! board. Must not know: clocks, terminals, who listens.

use std::collections::BTreeMap;

use crate::model::board::{Hold, HoldKind};
use crate::model::checkin::Claim;
use crate::model::event::{By, Event, Record};
use crate::model::id::TaskId;
use crate::model::task::Column;
use crate::model::text::clean_line;
use crate::model::verdict::{Verdict, VerdictOutcome};

/// How the player begins a report that asks for an answer.
pub(super) const ANSWER: &str = "answer: ";

/// Failed tests that are named.
const MAX_NAMED: usize = 3;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It goes on.
    Plain,
    /// It stands still, for a reason.
    Held,
    /// Somebody is asked.
    Asks,
    /// It is proven.
    Good,
    /// It is refuted, or failed.
    Bad,
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub task: Option<TaskId>,
    /// What.
    pub text: String,
    /// How it is meant.
    pub mood: Mood,
}

/// Tells every event once and every hold when it begins or changes.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    titles: BTreeMap<TaskId, String>,
    held: BTreeMap<TaskId, String>,
}

impl Narrator {
    /// The line of an event, if it has one.
    pub(super) fn event(&mut self, record: &Record) -> Option<Line> {
        let (text, mood) = match (&record.event, record.task) {
            (Event::TaskAdded { spec }, Some(task)) => {
                self.titles.insert(task, spec.title.clone());
                return None;
            }
            (Event::AttemptPlanned { branch, .. }, Some(task)) => {
                let title = self.titles.get(&task).map(String::as_str).unwrap_or_default();
                (format!("starts: {title}, on branch {branch}"), Mood::Plain)
            }
            (event, _) => told(event)?,
        };
        Some(Line { task: record.task, text: clean_line(&text), mood })
    }

    /// Lines for holds that are new, or have another reason than before. A question is told as an
    /// event already.
    pub(super) fn holds(&mut self, holds: &[Hold]) -> Vec<Line> {
        let holds: Vec<&Hold> = holds.iter().filter(|hold| hold.because != HoldKind::Asks).collect();
        self.held.retain(|task, _| holds.iter().any(|h| h.task == *task));
        let mut lines = Vec::new();
        for hold in holds {
            if self.held.insert(hold.task, hold.text.clone()).as_ref() != Some(&hold.text) {
                let text = format!("waits: {}", clean_line(&hold.text));
                lines.push(Line { task: Some(hold.task), text, mood: Mood::Held });
            }
        }
        lines
    }
}

fn told(event: &Event) -> Option<(String, Mood)> {
    let plain = |text: String| Some((text, Mood::Plain));
    match event {
        Event::TurnBegan { .. } => plain("works, in a worktree and a terminal of its own".to_owned()),
        Event::CheckInReceived { check_in, .. } => {
            let said = if check_in.did.is_empty() { &check_in.next } else { &check_in.did };
            let ready = if check_in.state == Claim::Ready { "says it is ready" } else { "reports" };
            plain(format!("{ready}: {said}"))
        }
        Event::ChecksStarted { .. } => plain("its checks run".to_owned()),
        Event::VerdictReached { verdict, .. } => Some(judged(verdict)),
        Event::MessageTyped { .. } => plain("gets the failures, typed at its prompt".to_owned()),
        Event::TaskMoved { to, by, reason, .. } => {
            let mood = if *to == Column::Review { Mood::Good } else { Mood::Plain };
            let by = if *by == By::Person { " by hand" } else { "" };
            Some((format!("is in {to} now{by}: {reason}"), mood)).filter(|_| *to != Column::Build)
        }
        Event::NeedsYouRaised { kind: crate::model::event::NeedKind::Question, question, refined: false, .. } => {
            Some((format!("asks you: {}", question.trim_start_matches(ANSWER)), Mood::Asks))
        }
        Event::NeedsYouRaised { question, .. } => Some((format!("needs you: {question}"), Mood::Bad)),
        Event::AttemptFailed { stage, error, .. } => Some((format!("did not come up ({stage}): {error}"), Mood::Bad)),
        Event::HostLost { why, .. } => Some((format!("lost its host: {why}"), Mood::Bad)),
        _ => None,
    }
}

/// `green: 2 tests`, `red: longest: a last line …`
fn judged(verdict: &Verdict) -> (String, Mood) {
    let total: u64 = verdict.checks.iter().filter_map(|c| c.tests).map(|t| t.total).sum();
    let ran: Vec<&str> = verdict.checks.iter().map(|c| c.name.as_str()).collect();
    match verdict.outcome {
        VerdictOutcome::Green => (format!("green: {} passed, {total} tests", ran.join(" and ")), Mood::Good),
        VerdictOutcome::Red => {
            let failed: Vec<&str> =
                verdict.checks.iter().flat_map(|c| &c.failures).map(|f| f.test.as_str()).take(MAX_NAMED).collect();
            let why = verdict.checks.iter().map(|c| c.why.as_str()).find(|w| !w.is_empty()).unwrap_or_default();
            let named = if failed.is_empty() { String::new() } else { format!(": {}", failed.join(", ")) };
            (format!("red: {why}{named}"), Mood::Bad)
        }
        VerdictOutcome::Stale => (format!("its files changed under the checks: {}", verdict.why), Mood::Plain),
        VerdictOutcome::None => ("no checks are configured".to_owned(), Mood::Plain),
        VerdictOutcome::Error => (format!("its checks could not run: {}", verdict.why), Mood::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::{CheckOutcome, CheckResult, Failure, TestCounts};

    fn task(n: u32) -> TaskId {
        TaskId::new(n).expect("a task")
    }

    #[test]
    fn a_hold_is_told_when_it_begins_and_when_its_reason_changes() {
        let mut narrator = Narrator::default();
        let hold = |text: &str| Hold { task: task(3), because: HoldKind::Build, text: text.to_owned() };
        let texts = |lines: Vec<Line>| lines.into_iter().map(|l| l.text).collect::<Vec<_>>();
        assert_eq!(texts(narrator.holds(&[hold("build is full 2/2")])), ["waits: build is full 2/2"]);
        assert_eq!(texts(narrator.holds(&[hold("build is full 2/2")])), [""; 0]);
        assert_eq!(texts(narrator.holds(&[hold("needs T1")])), ["waits: needs T1"]);
        assert_eq!(texts(narrator.holds(&[])), [""; 0]);
        assert_eq!(texts(narrator.holds(&[hold("needs T1")])), ["waits: needs T1"]);
    }

    #[test]
    fn a_red_verdict_names_the_failed_test() {
        let check = CheckResult {
            name: crate::model::name::CheckName::new("test").expect("a name"),
            outcome: CheckOutcome::Fail,
            exit_code: Some(1),
            duration_ms: 5,
            tests: Some(TestCounts { total: 2, passed: 1, failed: 1, skipped: 0 }),
            failures: vec![Failure { test: "long\x1b[31mest".into(), message: String::new() }],
            why: "1 of 2 tests failed".into(),
            tail: String::new(),
            command: "sh tests/run".into(),
            notes: Vec::new(),
        };
        let verdict = Verdict { outcome: VerdictOutcome::Red, tree: None, checks: vec![check], why: String::new() };
        let event = Event::VerdictReached { run: crate::model::id::CheckRun(1), verdict, on: None };
        let record = Record { task: Some(task(3)), attempt: None, event };
        let line = Narrator::default().event(&record).expect("a line");
        assert_eq!(line.mood, Mood::Bad);
        assert!(line.text.starts_with("red: 1 of 2 tests failed: long"), "{}", line.text);
        assert!(!line.text.contains('\x1b'), "{:?}", line.text);
    }
}
