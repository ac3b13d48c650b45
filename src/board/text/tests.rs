//! A board with one of everything, as it is shown.

use std::path::PathBuf;

use super::*;
use crate::model::attempt::DiffStat;
use crate::model::id::TaskId;
use crate::model::name::{AgentName, BranchName, CheckName, Oid, Slug};
use crate::model::task::{Mode, Priority};
use crate::model::text::width;
use crate::model::verdict::CheckOutcome;

/// Tones as marks, so that a snapshot shows them.
struct Marked(usize);

impl Paint for Marked {
    fn paint(&self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Warn => format!("<w>{text}</w>"),
            Tone::Bad => format!("<b>{text}</b>"),
            Tone::Good => format!("<g>{text}</g>"),
            Tone::Plain | Tone::Bold | Tone::Dim => text.to_owned(),
        }
    }

    fn columns(&self) -> usize {
        self.0
    }
}

const NOW: Now = Now { wall: Wall(10_000_000), mono: crate::model::time::Mono(0), boot: crate::model::time::Boot(0) };

fn task(n: u32, title: &str, column: Column, kind: RunKind, source: Option<Source>) -> doc::Task {
    let slug = Slug::from_title(title);
    doc::Task {
        id: TaskId::new(n).expect("from 1"),
        number: n,
        slug: slug.to_string(),
        title: title.to_owned(),
        column,
        state: doc::State { kind, source, age_s: u64::from(n) * 7 },
        flags: vec![],
        agent: Some(AgentName::new(if n.is_multiple_of(2) { "codex" } else { "claude" }).expect("a name")),
        mode: Mode::default(),
        weight: 1,
        priority: Priority::default(),
        needs: vec![],
        attempt: (kind != RunKind::None).then(|| doc::Attempt {
            number: 1,
            branch: BranchName::new(format!("standup/T{n}/1-{slug}")).expect("a branch"),
            worktree: PathBuf::from(format!("/worktrees/T{n}-1-{slug}")),
            base_oid: Some(Oid::new("0123456789abcdef0123456789abcdef01234567").expect("an oid")),
            host_pid: Some(100 + n),
            agent_pid: Some(200 + n),
            agent_session: None,
            started_at: Some(Wall(1_000)),
            exit: None,
            approval: None,
            goes_on: false,
            astray: None,
        }),
        checkin: None,
        verdict: None,
        diff: None,
        usage: None,
        unmeasured: Vec::new(),
        needs_you: None,
        takeover: None,
        paused: None,
        hears: true,
        mute: false,
    }
}

fn diff(files: u64, commits: u64, dirty: bool) -> Option<doc::Diff> {
    let stat = DiffStat { files, insertions: files * 12, deletions: files, commits, dirty, ..DiffStat::default() };
    Some(doc::Diff { stat })
}

fn verdict(outcome: VerdictOutcome, failed: u64) -> Option<doc::Verdict> {
    let tests = TestCounts { total: 41, passed: 41 - failed, failed, skipped: 0 };
    let check = doc::Check {
        name: CheckName::new("test").expect("a name"),
        outcome: if failed == 0 { CheckOutcome::Pass } else { CheckOutcome::Fail },
        exit_code: Some(i32::from(failed > 0)),
        duration_s: 12.25,
        tests: Some(tests),
        new_failures: (0..failed).map(|n| format!("pager::tests::case_{n}")).collect(),
        why: if failed == 0 { String::new() } else { format!("{failed} of 41 tests failed") },
    };
    Some(doc::Verdict { outcome, tree: None, checks: vec![check] })
}

fn needs(kind: NeedKind, question: &str) -> Option<doc::NeedsYou> {
    Some(doc::NeedsYou { since: Wall(10_000_000 - 185_000), kind, question: question.to_owned(), options: Vec::new() })
}

fn tasks() -> Vec<doc::Task> {
    let asks = doc::Task {
        needs_you: needs(NeedKind::Permission, "May I run:\nrm -rf target/\n\x1b[31mnow\x1b[0m"),
        ..task(1, "Fix the pager", Column::Build, RunKind::Waiting, Some(Source::Osc7501))
    };
    let red = doc::Task {
        needs_you: needs(NeedKind::Red, "checks are red: test: 3 of 41 tests failed"),
        verdict: verdict(VerdictOutcome::Red, 3),
        ..task(
            2,
            "Colour of the pager, 日本語 and a title that is far too long for a board",
            Column::Build,
            RunKind::Idle,
            None,
        )
    };
    let works = doc::Task {
        diff: diff(3, 1, true),
        ..task(3, "Read the configuration once", Column::Build, RunKind::Working, Some(Source::Osc7501))
    };
    let again = doc::Task {
        verdict: verdict(VerdictOutcome::Red, 1),
        diff: diff(1, 0, true),
        ..task(4, "Escape \x1b]0;title\x07 bytes", Column::Build, RunKind::Checking, None)
    };
    let ready = doc::Task {
        verdict: verdict(VerdictOutcome::Green, 0),
        diff: diff(7, 2, false),
        ..task(5, "Show the version", Column::Review, RunKind::Idle, Some(Source::Osc7501))
    };
    let said = vec!["it says that #2 holds; its check docs has not run".to_owned()];
    let unverified = doc::Task {
        diff: diff(0, 0, false),
        checkin: Some(doc::CheckIn { last_at: None, due_at: None, late: false, nudges: 0, contradictions: said }),
        ..task(6, "Docs", Column::Review, RunKind::Stopped, None)
    };
    vec![
        asks,
        red,
        works,
        again,
        ready,
        unverified,
        task(7, "Later", Column::Backlog, RunKind::None, None),
        task(8, "Much later", Column::Backlog, RunKind::None, None),
        task(9, "By hand", Column::Takeover, RunKind::Idle, Some(Source::Screen)),
        task(10, "Old", Column::Done, RunKind::Stopped, None),
        task(11, "Dropped", Column::Canceled, RunKind::Stopped, None),
    ]
}

fn board() -> doc::Status {
    let hold = |n, because, text: &str| doc::Hold { task: TaskId::new(n).expect("from 1"), because, text: text.into() };
    doc::Status {
        repo: PathBuf::from("/home/me/pager"),
        base: Some("main".into()),
        supervisor: doc::Supervisor { running: true, pid: Some(7), since: Some(Wall(0)) },
        dispatch: true,
        banners: vec!["agents.toml:3:1: unknown key wip.biuld (did you mean wip.build?)".into()],
        wip: doc::Wip {
            build: doc::Used { used: 4, limit: Some(4) },
            review: doc::Used { used: 2, limit: Some(4) },
            machine: doc::Used { used: 5, limit: None },
            machine_holders: vec![],
        },
        tasks: tasks(),
        holds: vec![
            hold(7, HoldKind::Build, "build is full 4/4"),
            hold(8, HoldKind::Trust, "the commands of agents.toml are not approved"),
        ],
    }
}

#[test]
fn a_full_board_fits_eighty_columns() {
    insta::assert_snapshot!(status(&board(), NOW, &Marked(80)));
}

#[test]
fn a_full_board_uses_a_wide_terminal() {
    insta::assert_snapshot!(status(&board(), NOW, &Marked(140)));
}

#[test]
fn an_empty_board_says_how_to_begin() {
    let empty = doc::Status { tasks: vec![], holds: vec![], banners: vec![], ..board() };
    insta::assert_snapshot!(status(&empty, NOW, &Marked(80)));
}

#[test]
fn many_closed_tasks_are_only_counted() {
    let closed = |n| task(n, "Old", if n % 3 == 0 { Column::Canceled } else { Column::Done }, RunKind::Stopped, None);
    let board = doc::Status { tasks: (1..=9).map(closed).collect(), holds: vec![], ..board() };
    let text = status(&board, NOW, &Marked(80));
    assert!(text.ends_with("done 6 · canceled 3\n"), "{text}");
}

#[test]
fn no_line_of_a_board_is_wider_than_the_terminal_but_what_is_pasted_or_must_be_read() {
    for columns in [60, 80, 100, 140, 200] {
        let text = status(&board(), NOW, &Bare(columns));
        for line in text.lines().filter(|line| !line.starts_with('!') && !line.contains("hint:")) {
            assert!(width(line) <= columns, "{columns}: {} {line}", width(line));
        }
    }
}

#[test]
fn nothing_of_a_board_steers_a_terminal() {
    let text = status(&board(), NOW, &Bare(80));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

fn criterion(n: u32, text: &str, met_claimed: bool, check: Option<&str>, shown: bool) -> doc::Criterion {
    let check = check.map(|name| crate::model::name::CheckName::new(name).expect("a name"));
    doc::Criterion { n, text: text.into(), met_claimed, shown_by: check.clone().filter(|_| shown), check }
}

#[test]
fn one_task_is_shown_with_its_evidence() {
    let mut tasks = tasks();
    let red = doc::Task { flags: vec!["red"], diff: diff(3, 1, true), ..tasks.remove(1) };
    let moment = |ago: i64, event: &str, text: &str| doc::Moment {
        at: Wall(10_000_000 - ago),
        event: event.into(),
        text: text.into(),
        asks: None,
        refines: false,
    };
    let show = doc::Show {
        task: red,
        brief: "# Colour\n\nMake it \x1b[31mred\x1b[0m.\n".into(),
        untold: vec!["brief", "off_limits"],
        criteria: vec![
            criterion(1, "`pager x` is red", true, None, false),
            criterion(2, "`pager` is not", false, None, false),
            criterion(3, "`pager --help` says so", true, Some("test"), true),
            criterion(4, "`pager --plain` is not", true, Some("plain"), false),
        ],
        checkins: vec![doc::ShownCheckIn {
            at: Wall(9_900_000),
            via: crate::model::checkin::Via::Outbox,
            state: crate::model::checkin::Claim::Ready,
            did: "made it red".into(),
            next: String::new(),
            blockers: vec![],
            question: Some("which red?".into()),
            options: vec!["dark".into(), "bright".into()],
            met: vec![1],
            facts: serde_json::Map::new(),
            contradictions: vec![],
            hollow: false,
        }],
        messages: vec![doc::Message {
            at: Wall(9_950_000),
            from: crate::model::message::From::Person,
            text: "a darker one\nplease".into(),
            delivery: "queued",
            held: Some("its turn runs".into()),
        }],
        attempts: vec![],
        timeline: vec![
            moment(300_000, "task-added", "added: Colour"),
            moment(200_000, "state-changed", "working"),
            moment(100_000, "verdict-reached", "checks: red (test)"),
        ],
        violations: vec!["ci/\x1b[31ma.yml".into()],
        crossed: vec!["it changes 300 lines; the limit is 50".into()],
        tail: "error: unknown option --frobnicate\n".into(),
        notes: vec!["Submodules are \x1b[31mempty.".into()],
        plan: None,
        requires: vec![],
        unmet: vec![],
        plan_unenforced: None,
        unconfined: Some("it runs with approvals skipped".into()),
    };
    insta::assert_snapshot!(super::show(&show, NOW, &Marked(80)));
}

#[test]
fn a_dialog_lists_what_it_takes_and_how_that_is_said() {
    let choice = |answer: &str, text: &str| doc::Choice { answer: answer.into(), text: text.into() };
    let options = vec![choice("yes", "Yes, proceed \x1b[31m(y)"), choice("2", "Yes, always"), choice("no", "No")];
    let lines: Vec<String> = options.iter().map(option_text).collect();
    assert_eq!(lines[1..], ["  2    Yes, always", "  no   No"]);
    assert!(lines[0].starts_with("  yes  Yes, proceed") && !lines[0].contains('\x1b'), "{lines:?}");
    let mut task = tasks().remove(0);
    task.needs_you = needs(NeedKind::Permission, "May I?").map(|need| doc::NeedsYou { options, ..need });
    assert_eq!(next_steps(&task, NeedKind::Permission), ["standup answer T1 yes", "standup attach T1"]);
    task.needs_you = needs(NeedKind::Permission, "May I?");
    assert_eq!(next_steps(&task, NeedKind::Permission), ["standup attach T1"]);
}

#[test]
fn a_hint_is_a_command_that_works_there() {
    let mut task = tasks().remove(0);
    let steps = |task: &doc::Task, kind| next_steps(task, kind).join("; ");
    task.hears = false;
    assert_eq!(steps(&task, NeedKind::Red), "standup show T1; standup verify T1; standup retry T1");
    assert!(!steps(&task, NeedKind::Question).contains("send"));
    task.hears = true;
    assert_eq!(steps(&task, NeedKind::Red), "standup show T1; standup send T1 \"…\"");
    task.state.kind = RunKind::Idle;
    assert!(steps(&task, NeedKind::Question).contains("standup send T1"));
    task.state.kind = RunKind::Waiting;
    assert_eq!(steps(&task, NeedKind::Question), "standup attach T1", "a dialog takes no message");
    let held = doc::Task { column: Column::Takeover, ..task };
    for kind in [NeedKind::OffLimits, NeedKind::Limit, NeedKind::Question] {
        assert_eq!(steps(&held, kind), "standup takeover T1; standup handback T1 --note \"…\"");
    }
    let never = doc::Task { column: Column::Build, attempt: None, ..held };
    assert_eq!(steps(&never, NeedKind::Exit), "standup show T1; standup retry T1", "there is no log");
}

#[test]
fn work_beyond_its_limits_is_marked_before_a_person_reads_green() {
    let of = |flags: Vec<&'static str>| doc::Task { flags, ..tasks().remove(4) };
    let line = |flags| fitted_line(&of(flags));
    assert_eq!(line(vec![]), "green 41 tests · 7 files +84 −7 · 2 commits");
    assert!(line(vec!["off-limits"]).starts_with("green 41 tests · off limits"), "{}", line(vec!["off-limits"]));
    assert!(line(vec!["over-budget"]).contains("over budget"));
}

fn fitted_line(task: &doc::Task) -> String {
    review_line(task).into_iter().map(|part| part.text).collect::<Vec<_>>().join(" · ")
}

#[test]
fn a_question_that_outlives_its_agent_offers_nothing_that_needs_it() {
    let choice = doc::Choice { answer: "1".into(), text: "Red".into() };
    let mut task = task(3, "Colours", Column::Build, RunKind::Exited, None);
    task.needs_you = needs(NeedKind::Question, "Which?").map(|need| doc::NeedsYou { options: vec![choice], ..need });
    task.hears = false;
    let steps = |task: &doc::Task| next_steps(task, NeedKind::Question).join("; ");
    assert_eq!(steps(&task), "standup show T3; standup verify T3; standup retry T3");
    task.hears = true;
    assert_eq!(steps(&task), "standup answer T3 1", "it is resumed with the answer, and has no terminal");
    let choice = doc::Choice { answer: "$(id);\u{202e}x".into(), text: "Red".into() };
    task.needs_you = needs(NeedKind::Question, "Which?").map(|need| doc::NeedsYou { options: vec![choice], ..need });
    assert_eq!(steps(&task), "standup answer T3 '$(id);\u{202e}x'", "what an agent offers is no command");
    let text = status(&doc::Status { tasks: vec![task], holds: vec![], ..board() }, NOW, &Bare(100));
    assert!(text.contains("question 3m5s · its agent has ended"), "{text}");
}

#[test]
fn work_that_a_rule_handed_over_offers_what_settles_it() {
    let mut task = task(3, "Mine", Column::Takeover, RunKind::Idle, None);
    let steps = |task: &doc::Task, kind| next_steps(task, kind).join("; ");
    (task.mode, task.verdict) = (Mode::Own, verdict(VerdictOutcome::Green, 0));
    let hands = "standup takeover T3; standup handback T3 --note \"…\"";
    assert_eq!(steps(&task, NeedKind::Question), format!("standup show T3; standup approve T3; {hands}"));
    assert_eq!(steps(&task, NeedKind::Limit), hands);
    (task.column, task.mode, task.hears) = (Column::Build, Mode::Delegate, false);
    let lets_go_on = "standup show T3; standup attach T3; standup takeover T3 --reason \"…\"";
    assert_eq!(steps(&task, NeedKind::Limit), lets_go_on, "it takes no message, and is no failure to try again");
    task.state.kind = RunKind::Stopped;
    assert_eq!(steps(&task, NeedKind::Limit), "standup show T3; standup retry T3");
}

#[test]
fn a_lost_agent_whose_session_goes_on_is_started_first() {
    let mut lost = task(4, "Lost", Column::Build, RunKind::Lost, None);
    assert_eq!(next_steps(&lost, NeedKind::Lost), ["standup logs T4", "standup retry T4"]);
    lost.attempt.as_mut().expect("an attempt").host_pid = None;
    lost.attempt.as_mut().expect("an attempt").goes_on = true;
    assert_eq!(next_steps(&lost, NeedKind::Lost)[0], "standup start T4");
}

#[test]
fn work_that_its_branch_does_not_hold_is_marked() {
    let mut away = task(4, "Away", Column::Review, RunKind::Exited, None);
    let on = BranchName::new("other").ok();
    away.attempt.as_mut().expect("an attempt").astray = Some(Astray::OffBranch { on, doing: None });
    let doc = doc::Status { tasks: vec![away], holds: vec![], ..board() };
    assert!(status(&doc, NOW, &Bare(100)).contains("off-branch: on other"));
}

/// `show` of the first task of a story, at its end.
fn shown(s: &crate::board::story::Story, minutes: i64) -> String {
    let now = crate::board::story::at(minutes);
    let scene = view::Scene {
        repo: PathBuf::from("/home/me/pager"),
        base: None,
        supervisor: Some(crate::wire::control::Supervisor {
            process: crate::model::attempt::Proc { pid: 1, start: 1 },
            since: Now::default(),
            version: String::new(),
            banners: Vec::new(),
        }),
        banners: Vec::new(),
        holders: Some(Vec::new()),
        home: None,
        now,
    };
    let board = s.board();
    let id = TaskId::new(1).expect("from 1");
    let doc = view::show(&board, id, &scene, String::new(), &s.log).expect("a task");
    show(&doc, now, &Bare(100))
}

fn times(text: &str, words: &str) -> usize {
    text.matches(words).count()
}

#[test]
fn one_question_is_told_once_whichever_ways_it_came() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let mut s = crate::board::story::Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    let need = |s: &mut crate::board::story::Story, at, kind: &str, question: &str, refined: bool| {
        let need = serde_json::json!({"kind": kind, "question": question, "refined": refined});
        s.happens(at, 1, 0, "needs-you-raised", need);
    };
    // A dialog, of which a report, a hook and the screen tell.
    need(&mut s, 2, "permission", "approve Bash: make it", false);
    need(&mut s, 2, "permission", "Bash: make it", true);
    need(&mut s, 3, "permission", "May it proceed? (make it)", true);
    let open = shown(&s, 4);
    assert_eq!((times(&open, "make it"), times(&open, "May it proceed? (make it)")), (1, 1), "{open}");
    s.happens(5, 1, 0, "needs-you-cleared", json("{}"));
    let over = shown(&s, 6);
    assert_eq!((times(&over, "make it"), times(&over, "asks: May it proceed? (make it)")), (1, 1), "{over}");
    // A question of its own.
    let asks = r#"{"text": "which way?", "options": []}"#;
    s.said(7, 1, 1, json(r#"{"state": "needs-decision", "question": "which way?"}"#));
    s.happens(7, 1, 1, "question-asked", json(asks));
    need(&mut s, 7, "question", "which way?", false);
    let open = shown(&s, 8);
    assert_eq!(times(&open, "which way?"), 1, "{open}");
    s.happens(8, 1, 1, "question-settled", json("{}")).happens(8, 1, 0, "needs-you-cleared", json("{}"));
    // Answered, it stays with its report and in what happened; asked again it is another one.
    let over = shown(&s, 9);
    assert_eq!((times(&over, "which way?"), times(&over, "2m  asks: which way?")), (2, 1), "{over}");
    s.happens(9, 1, 1, "question-asked", json(asks));
    need(&mut s, 9, "question", "which way?", false);
    let again = shown(&s, 10);
    assert!(times(&again, "3m  asks: which way?") == 1 && times(&again, "1m  asks") == 0, "{again}");
}

#[test]
fn a_limit_is_told_once() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let mut s = crate::board::story::Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    let why = "it changes 140 lines; the limit is 100";
    let tripped = serde_json::json!({"limit": "changed_lines", "action": "ask", "why": why});
    s.happens(2, 1, 1, "limit-tripped", tripped).needs(2, 1, "limit", why);
    let open = shown(&s, 4);
    assert_eq!(times(&open, why), 1, "{open}");
    s.happens(5, 1, 0, "needs-you-cleared", json("{}"));
    let over = shown(&s, 6);
    // What it crossed stays crossed.
    assert_eq!((times(&over, why), times(&over, "limit changed_lines (ask)")), (2, 1), "{over}");

    // A usage limit with its end: on the board in one place.
    let mut doc = board();
    doc.tasks[2].state.kind = RunKind::Limited;
    doc.holds.push(doc::Hold {
        task: doc.tasks[2].id,
        because: HoldKind::Limited,
        text: "limited until 1970-01-01 05:00 UTC".into(),
    });
    for columns in [80, 140] {
        let text = status(&doc, NOW, &Bare(columns));
        let row = text.lines().find(|line| line.contains("Read the configuration")).expect("its row");
        assert_eq!(times(row, "limited"), 1, "{row}");
        assert!(row.contains("limited until"), "{row}");
    }
}
