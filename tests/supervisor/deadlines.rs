//! Check-ins that are due, reminders by each of their ways, lateness, limits, claims beside facts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use standup::model::attempt::{End, StopWhy};
use standup::model::board::Board;
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, Reply};
use standup::model::message::{Delivery, From};
use standup::model::rhythm::{LimitName, NudgeWay};
use standup::os::process::ProcessId;
use standup::store::layout;

use crate::scene::{Scene, git, id, poll, resting, scripted};

/// Writes a check-in as an agent without any tool does.
const REPORT: &str = r#"
report() { printf '{"schemaVersion":1,"kind":"check-in","state":"%s","did":"%s"}' "$1" "$2" > $STANDUP_DIR/outbox/.t; \
  mv $STANDUP_DIR/outbox/.t $STANDUP_DIR/outbox/$3.json; }
stay() { while [ ! -e $STANDUP_DIR/stop ]; do echo .; sleep 0.1; done; }
"#;

/// Due at once.
const SOON: &str = "[check_in]\nevery = \"1s\"\nnudges = 1\ngrace = \"1s\"\n";

/// Due at once, and never late.
const PATIENT: &str = "[check_in]\nevery = \"1s\"\nnudges = 1\ngrace = \"1h\"\n";

fn nudges(scene: &Scene) -> Vec<NudgeWay> {
    let of = |event: &Event| match event {
        Event::NudgeIssued { way, .. } => Some(*way),
        _ => None,
    };
    scene.events(1).iter().filter_map(of).collect()
}

fn run_dir(scene: &Scene) -> PathBuf {
    layout::run_dir(&scene.attempt(1).worktree)
}

fn late(board: &Board) -> bool {
    board.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Late)
}

#[test]
fn an_agent_that_takes_no_messages_finds_the_reminder_in_its_inbox() {
    let script = format!(
        "{REPORT} while [ ! -e $STANDUP_DIR/inbox/1.md ]; do echo .; sleep 0.05; done; report working heard one; stay"
    );
    let mut scene = Scene::new(&(scripted(&script) + PATIENT));
    scene.start();
    scene.live(1);
    let heard =
        scene.until("the report", |b| b.tasks[&id(1)].check_ins.first().is_some_and(|c| c.beside.facts.is_some()));
    let task = &heard.tasks[&id(1)];
    assert_eq!(task.check_ins[0].check_in.did, "heard");
    assert!(task.needs_you.is_none(), "{:?}", task.needs_you);
    assert_eq!(nudges(&scene)[0], NudgeWay::Inbox);
    let text = std::fs::read_to_string(run_dir(&scene).join("inbox/1.md")).expect("the reminder");
    assert!(text.contains("standup check-in"), "{text}");
}

#[test]
fn whoever_wrote_a_refused_letter_hears_why_in_its_reminder() {
    let letter = r#"{"schemaVersion":1,"kind":"check-in","state":"working","did":"a","blockers":"one"}"#;
    let script = format!(
        "echo '{letter}' > $STANDUP_DIR/outbox/.t; mv $STANDUP_DIR/outbox/.t $STANDUP_DIR/outbox/a.json; {REPORT} stay"
    );
    let mut scene = Scene::new(&(scripted(&script) + SOON + "[limits]\nlate_check_ins = 99\n"));
    scene.start();
    scene.live(1);
    let inbox = run_dir(&scene).join("inbox");
    // One that was on its way already says nothing of it yet.
    let told = || {
        let notes = std::fs::read_dir(&inbox).into_iter().flatten().flatten();
        notes.filter_map(|note| std::fs::read_to_string(note.path()).ok()).any(|text| {
            text.contains("Your last report was refused (a.json: invalid type: string \"one\", expected a sequence")
        })
    };
    poll("the reminder that says so", told);
    let late =
        |b: &Board| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.question.contains("report was refused"));
    scene.until("late, and why", late);
}

#[test]
fn one_that_ignores_its_reminder_is_late_and_a_check_in_mends_that() {
    let script =
        format!("{REPORT} while [ ! -e $STANDUP_DIR/go ]; do echo .; sleep 0.05; done; report working sorry one; stay");
    let mut scene = Scene::new(&(scripted(&script) + SOON + "[limits]\nlate_check_ins = 99\n"));
    scene.start();
    scene.live(1);
    let board = scene.until("late", late);
    let rhythm = &board.tasks[&id(1)].attempt().expect("attempt").rhythm;
    assert!(rhythm.late.is_some() && rhythm.missed == 1);
    scene.signal_file(1, "go");
    scene.until("in time again", |b| !b.tasks[&id(1)].check_ins.is_empty() && !late(b));
}

#[test]
fn a_killed_supervisor_neither_loses_nor_doubles_a_reminder() {
    let mut scene = Scene::new(&(scripted(&format!("{REPORT} stay")) + PATIENT));
    scene.start();
    scene.live(1);
    // Before it is due: the next one issues it.
    scene.kill();
    scene.start();
    poll("the reminder", || !nudges(&scene).is_empty());
    for _ in 0..2 {
        scene.kill();
        scene.start();
        let back = scene.board().tasks[&id(1)].attempt().expect("attempt").rhythm.clone();
        assert_eq!((back.nudges, back.asked), (1, 1));
    }
    // Longer than a supervisor that comes back listens.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(4);
    scene.until("some time", |_| std::time::Instant::now() > until);
    assert_eq!(nudges(&scene).len(), 1);
    let notes = std::fs::read_dir(run_dir(&scene).join("inbox")).expect("inbox").count();
    assert_eq!(notes, 1);
}

#[test]
fn an_agent_whose_hook_asks_is_reminded_at_its_stop_and_only_once() {
    let standup = env!("CARGO_BIN_EXE_standup");
    let script = format!(
        r#"while [ "$1" != --session-id ]; do shift; done; id=$2
hook() {{ printf '{{"hook_event_name":"%s","session_id":"%s","cwd":"%s","prompt":"x"}}' $1 $id "$PWD" | {standup} hook claude; }}
hook UserPromptSubmit
while [ ! -e $STANDUP_DIR/go ]; do echo .; sleep 0.05; done
id=another; hook Stop > $STANDUP_DIR/foreign; id=$2
hook Stop > $STANDUP_DIR/first; hook PreToolUse; hook Stop > $STANDUP_DIR/second; touch $STANDUP_DIR/over
while :; do sleep 0.1; done"#
    );
    let settings = format!(
        "schema = 1\n[agents.claude]\nadapter = \"claude\"\ncommand = [\"sh\", \"-c\", '''{script}''', \"sh\"]\n{PATIENT}"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.live(1);
    poll("the reminder", || nudges(&scene) == [NudgeWay::Hook]);
    scene.signal_file(1, "go");
    let dir = run_dir(&scene);
    poll("both stops", || dir.join("over").exists());
    let said = |name: &str| std::fs::read_to_string(dir.join(name)).expect(name);
    let first: serde_json::Value = serde_json::from_str(&said("first")).expect("an answer for the CLI");
    assert_eq!(first["decision"], "block");
    assert!(first["reason"].as_str().is_some_and(|r| r.contains("standup check-in")), "{first}");
    assert_eq!((said("foreign").as_str(), said("second").as_str()), ("", ""));
    let given = scene.events(1).iter().filter(|e| matches!(e, Event::NudgeGiven { .. })).count();
    assert_eq!(given, 1);
}

#[test]
fn an_agent_that_reads_is_reminded_by_a_message_when_a_person_says_so() {
    let standup = env!("CARGO_BIN_EXE_standup");
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.start_tasks(1);
    scene.until("at rest", |b| b.tasks[&id(1)].needs_you.is_some() || b.review_used() == 1);
    // One at rest has nobody to remind.
    let refused = scene.wish(Wish::Nudge { task: id(1) }).expect_err("it is in no turn");
    assert!(refused.to_string().contains("not in a turn"), "{refused}");
    let out = scene.command(standup).arg("-C").arg(scene.repo()).args(["nudge", "T1"]).output().expect("run");
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_claim_stands_beside_what_was_seen() {
    let script = format!("{REPORT} report working 'all tests pass' one; echo x > a.txt; stay");
    let mut scene = Scene::new(&scripted(&script));
    scene.start();
    scene.live(1);
    let board =
        scene.until("compared", |b| b.tasks[&id(1)].check_ins.first().is_some_and(|c| c.beside.facts.is_some()));
    let beside = &board.tasks[&id(1)].check_ins[0].beside;
    assert!(beside.facts.as_ref().is_some_and(|f| f.diff.is_some() && f.since.is_some()), "{beside:?}");
    assert_eq!(beside.contradictions, ["it says that tests pass; no check has run"]);
    let standup = env!("CARGO_BIN_EXE_standup");
    let out = scene.command(standup).arg("-C").arg(scene.repo()).args(["show", "T1", "--json"]).output().expect("run");
    let shown: serde_json::Value = serde_json::from_slice(&out.stdout).expect("json");
    let said = &shown["checkins"][0];
    assert_eq!(said["contradictions"][0], "it says that tests pass; no check has run");
    assert!(said["facts"]["files"]["now"].is_u64() && said["facts"]["checks"].is_null(), "{said}");
    assert!(shown["checkin"]["due_at"].is_string() && shown["checkin"]["late"] == false, "{}", shown["checkin"]);
}

#[test]
fn a_touch_of_what_is_off_limits_stops_the_agent() {
    let script = format!("{REPORT} mkdir -p ci; echo x > ci/job.yml; stay");
    let more = "[boundaries]\noff_limits = [\"ci/**\"]\n[limits]\noff_limits = \"stop\"\n";
    let mut scene = Scene::new(&(scripted(&script) + more));
    scene.start();
    scene.start_tasks(1);
    let ended = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some());
    let board = scene.until("stopped", ended);
    let task = &board.tasks[&id(1)];
    let attempt = task.attempt().expect("attempt");
    assert!(matches!(attempt.end(), Some(End::Stopped { why: StopWhy::Limit, .. })), "{:?}", attempt.end());
    assert_eq!(attempt.touched, ["ci/job.yml"]);
    let need = task.needs_you.as_ref().expect("a need");
    assert_eq!(need.kind, NeedKind::OffLimits);
    assert!(need.question.contains("ci/job.yml"), "{}", need.question);
}

#[test]
fn time_at_work_is_limited() {
    let more = "[limits]\nwall_clock = \"1s\"\naction = \"stop\"\n";
    let mut scene = Scene::new(&(scripted(&format!("{REPORT} stay")) + more));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("stopped", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert_eq!(attempt.tripped.iter().map(|t| t.limit).collect::<Vec<_>>(), [LimitName::WallClock]);
    assert_eq!(board.tasks[&id(1)].needs_you.as_ref().map(|n| n.kind), Some(NeedKind::Limit));
    // A person brings it back; it is not stopped for the same again.
    let Ok(Reply::Attempt { .. }) = scene.wish(Wish::Start { task: id(1) }) else { return };
    scene.until("it is asked for again or runs", |b| {
        b.tasks[&id(1)].needs_you.as_ref().is_none_or(|n| n.kind != NeedKind::Limit)
    });
}

#[test]
fn a_reminder_by_message_is_typed_once_and_delivered() {
    let mut scene = Scene::new(&(working() + PATIENT));
    scene.start();
    scene.live(1);
    let delivered = |b: &Board| {
        let told = b.tasks[&id(1)].messages.iter().find(|m| m.from == From::Reminder);
        told.is_some_and(|m| m.delivery == Delivery::Delivered)
    };
    scene.until("the reminder", delivered);
    assert_eq!(nudges(&scene), [NudgeWay::Message]);
}

/// An agent that reports that it works, and reads what is typed.
fn working() -> String {
    let script = r#"printf '\033]7501;state=working\033\\'; echo begun; read line; echo "$line"; sleep 1
printf '\033]7501;state=done\033\\'; sleep 1; printf '\033]7501;state=working\033\\'; while :; do sleep 0.2; done"#;
    format!("schema = 1\n[agents.demo]\nadapter = \"demo\"\ncommand = [\"sh\", \"-c\", '''{script}''', \"sh\"]\n")
}

/// What stands still in the tests below does so for longer than an agent has after its reminder.
const STILL: Duration = Duration::from_secs(7);

/// Settings and a script: an agent that reports once it may, after it was reminded.
fn reminded_once() -> String {
    let script = format!(
        "{REPORT} while [ ! -e $STANDUP_DIR/go ]; do echo .; sleep 0.05; done; report working meanwhile one; stay"
    );
    scripted(&script) + "[check_in]\nevery = \"1s\"\nnudges = 1\ngrace = \"5s\"\n"
}

fn missed(scene: &Scene) -> bool {
    scene.events(1).iter().any(|e| matches!(e, Event::CheckInMissed { .. }))
}

#[test]
fn a_supervisor_that_stood_still_judges_nobody_before_it_has_read_what_came_meanwhile() {
    let mut scene = Scene::new(&reminded_once());
    scene.start();
    scene.live(1);
    poll("the reminder", || !nudges(&scene).is_empty());
    let (reminded, dir) = (Instant::now(), run_dir(&scene));
    scene.signal(Signal::STOP);
    std::fs::write(dir.join("go"), "").expect("write");
    poll("its report", || dir.join("outbox/one.json").exists());
    poll("its grace is over", || reminded.elapsed() > STILL);
    scene.signal(Signal::CONT);
    scene.until("the report", |b| !b.tasks[&id(1)].check_ins.is_empty());
    assert!(!missed(&scene), "it had reported in time");
}

#[test]
fn nobody_is_late_by_time_in_which_everything_stood_still() {
    let mut scene = Scene::new(&reminded_once());
    scene.start();
    let host = scene.live(1).remove(0);
    poll("the reminder", || !nudges(&scene).is_empty());
    let (reminded, dir) = (Instant::now(), run_dir(&scene));
    let agent = standup::os::process::descendants(host.host.pid);
    let all: Vec<ProcessId> =
        agent.into_iter().chain(ProcessId::of(host.host.pid)).chain(ProcessId::of(scene.pid())).rev().collect();
    // As a frozen container does.
    all.iter().for_each(|process| assert!(process.signal(Signal::STOP)));
    std::fs::write(dir.join("go"), "").expect("write");
    poll("its grace is over", || reminded.elapsed() > STILL);
    all.iter().rev().for_each(|process| assert!(process.signal(Signal::CONT)));
    scene.until("the report", |b| !b.tasks[&id(1)].check_ins.is_empty());
    assert!(!missed(&scene), "it could not have reported in time");
}

#[test]
fn a_touch_of_what_git_ignores_and_is_off_limits_is_found_at_a_check_in() {
    let script = format!(
        "{REPORT} cp .env copy; cat copy > .env; touch secrets/kept; echo x > src/a.pyc; report working one one; \
         while [ ! -e $STANDUP_DIR/go ]; do echo .; sleep 0.05; done; \
         echo more >> .env; echo new > secrets/key; rm secrets/gone; report working two two; stay"
    );
    let more = "[worktrees]\ncopy = [\".env\"]\nsetup = [\"mkdir -p secrets; echo 1 > secrets/kept; echo 1 > secrets/gone\"]\n\
                [boundaries]\noff_limits = [\".env\", \"secrets/**\", \"src/**\", \"**/.envrc\"]\n\
                [limits]\noff_limits = \"ask\"\n";
    let mut scene = Scene::new(&(scripted(&script) + more));
    for (file, text) in [(".gitignore", ".env\nsecrets/\n*.pyc\n"), (".env", "one\n"), ("src/a.py", "pass\n")] {
        let path = scene.repo().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("mkdir");
        std::fs::write(path, text).expect("write");
    }
    git(&scene.repo(), &["add", "-A"]);
    git(&scene.repo(), &["commit", "-qm", "rules"]);
    scene.start();
    scene.live(1);
    let reports = |b: &Board| b.tasks[&id(1)].check_ins.iter().filter(|c| c.beside.facts.is_some()).count();
    let board = scene.until("the first report", |b| reports(b) == 1);
    let touched = |b: &Board| b.tasks[&id(1)].attempt().expect("attempt").touched.clone();
    assert_eq!(touched(&board), [""; 0], "the same bytes, and what a check makes as well");
    // How they were is known to the next supervisor.
    scene.kill();
    scene.start();
    scene.signal_file(1, "go");
    let board = scene.until("the second report", |b| reports(b) == 2);
    assert_eq!(touched(&board), [".env", "secrets/gone", "secrets/key"]);
    assert_eq!(board.tasks[&id(1)].needs_you.as_ref().map(|n| n.kind), Some(NeedKind::OffLimits));
}
