//! The same two days, as everyone reads them.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::*;
use crate::board::story::{START, at, two_days};
use crate::board::text::Bare;
use crate::model::attempt::Proc;
use crate::model::time::Now;
use crate::wire::control::Supervisor;

/// 48 hours after the start.
const HOURS_48: i64 = 48 * 60;

fn scene(supervised: bool) -> Scene {
    let supervisor =
        Supervisor { process: Proc { pid: 1, start: 1 }, since: Now::default(), version: "0".into(), banners: vec![] };
    Scene {
        repo: PathBuf::from("/repo"),
        base: None,
        supervisor: supervised.then_some(supervisor),
        banners: vec![],
        holders: None,
        home: None,
        now: at(HOURS_48),
    }
}

fn of(since_minutes: i64, supervised: bool) -> Report {
    let story = two_days();
    let mut window = Window::new(at(since_minutes).wall);
    story.log.iter().for_each(|logged| window.take(logged));
    let mut board = story.board();
    let hold = |task: u32, because, text: &str| Hold {
        task: TaskId::new(task).expect("from 1"),
        because,
        text: text.to_owned(),
    };
    board.holds = vec![hold(7, HoldKind::Needs, "needs T5"), hold(8, HoldKind::Build, "build is full 3/3")];
    report(&board, &window, &scene(supervised))
}

#[test]
fn the_last_day_on_a_terminal() {
    insta::assert_snapshot!(text::text(&of(24 * 60, true), &Bare(80)));
}

#[test]
fn the_last_day_as_markdown() {
    insta::assert_snapshot!(markdown::markdown(&of(24 * 60, true), &TimeZone::UTC));
}

#[test]
fn the_last_day_as_a_document() {
    let json = serde_json::to_string_pretty(&of(24 * 60, true)).expect("plain data");
    insta::assert_snapshot!(json);
}

#[test]
fn a_task_stands_in_one_place() {
    let report = of(0, true);
    let mut seen: Vec<TaskId> = report.waiting.iter().map(|w| w.task).collect();
    for (name, entries) in sections(&report).into_iter().filter(|(name, _)| *name != "did") {
        for entry in entries {
            assert!(!seen.contains(&entry.task), "{} again in {name}", entry.task);
            seen.push(entry.task);
        }
    }
    assert_eq!(seen.len(), 9);
}

#[test]
fn without_a_supervisor_no_state_is_claimed() {
    let report = of(24 * 60, false);
    let text = text::text(&report, &Bare(80));
    assert!(text.contains("nobody knows what agents are doing"), "{text}");
    let live = report.doing.iter().chain(&report.blocked).chain(&report.needs_you).chain(&report.late);
    let begun: Vec<&Entry> = live.filter(|entry| entry.column != Column::Backlog).collect();
    assert!(begun.len() == 4 && begun.iter().all(|entry| entry.state.kind == RunKind::Unknown), "{text}");
}

#[test]
fn what_happened_before_is_not_told_again() {
    let report = of(HOURS_48 - 5, true);
    assert!(report.done.is_empty() && report.canceled.is_empty());
    let did: Vec<String> = report.did.iter().map(|e| e.task.to_string()).collect();
    assert!(did.is_empty(), "{did:?}");
    assert_eq!(report.ready.len(), 1, "what waits is told until it is dealt with");
}

#[test]
fn nothing_is_nothing() {
    let report = report(&Board::default(), &Window::new(Wall(START)), &scene(true));
    assert!(text::text(&report, &Bare(80)).ends_with("Nothing to report.\n"));
    assert!(markdown::markdown(&report, &TimeZone::UTC).ends_with("\nNothing to report.\n"));
}

#[test]
fn lines_fit_and_steer_nothing() {
    let report = of(0, true);
    for columns in [40, 60, 80, 120, 200] {
        let text = text::text(&report, &Bare(columns));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        for line in text.lines().filter(|line| !line.starts_with('!')) {
            assert!(crate::model::text::width(line) <= columns, "{columns}: {line}");
        }
    }
    let markdown = markdown::markdown(&report, &TimeZone::UTC);
    assert!(markdown.chars().all(|c| c == '\n' || !c.is_control()), "{markdown:?}");
    assert!(!markdown.contains("@everyone") && !markdown.contains("\n# not"), "{markdown}");
}

#[test]
fn finished_work_is_not_late_whatever_was_missed_before() {
    let mut s = crate::board::story::Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    s.happens(30, 1, 1, "check-in-missed", serde_json::json!({"why": "none came"}));
    let at_work = |s: &crate::board::story::Story| report(&s.board(), &Window::new(Wall(START)), &scene(true));
    assert_eq!((at_work(&s).late.len(), at_work(&s).ready.len()), (1, 0));
    s.moved(40, 1, "build", "review", "rule", "checks are green");
    assert_eq!((at_work(&s).late.len(), at_work(&s).ready.len()), (0, 1));
}

#[test]
fn what_is_said_where_a_task_stands_is_not_said_again() {
    let report = of(0, true);
    let text = text::text(&report, &Bare(120));
    assert_eq!(text.matches("the version is shown").count(), 1, "{text}");
    assert_eq!(text.matches("read it").count(), 1, "what was done, where the section tells what is next: {text}");
    let markdown = markdown::markdown(&report, &TimeZone::UTC);
    assert_eq!(markdown.matches("the version is shown").count(), 1, "{markdown}");
}

#[test]
fn finished_work_beyond_its_limits_says_so_beside_its_verdict() {
    let mut s = crate::board::story::Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    s.happens(30, 1, 1, "off-limits-touched", serde_json::json!({"paths": ["ci/a.yml", "ci/b.yml"]}));
    let why = "it changes 300 lines; the limit is 50";
    let limit = serde_json::json!({"limit": "changed_lines", "action": "warn", "why": why});
    s.happens(31, 1, 1, "limit-tripped", limit).moved(40, 1, "build", "review", "rule", "checks are green");
    let report = report(&s.board(), &Window::new(Wall(START)), &scene(true));
    let facts = &report.ready.first().expect("it is ready").facts;
    assert!(facts.contains(&"off limits: ci/a.yml and 1 more".to_owned()), "{facts:?}");
    assert!(facts.contains(&format!("over budget: {why}")), "{facts:?}");
}

#[test]
fn a_claim_without_words_of_what_was_done_says_what_it_asks() {
    let mut s = crate::board::story::Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    s.said(5, 1, 1, serde_json::json!({"state": "needs-decision", "question": "which way?"}));
    let line = |s: &crate::board::story::Story| {
        let report = report(&s.board(), &Window::new(Wall(START)), &scene(true));
        claim_line(report.doing.first().expect("it is done"), at(8).wall)
    };
    assert_eq!(line(&s).as_deref(), Some("needs a decision (3m ago): which way?"));
    s.said(6, 1, 1, serde_json::json!({"state": "ready"}));
    assert_eq!(line(&s).as_deref(), Some("ready (2m ago)"));
}
