//! Takeover and handback, plans and verdicts, over real worktrees and real hosts.

use std::path::Path;

use standup::client::control::ClientError;
use standup::model::board::{Board, Task};
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, RefusalCode};
use standup::model::message::{Delivery, From};
use standup::model::settings::Mode;
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::store::layout::run_dir;

use crate::scene::{Scene, git, id, poll, resting, scripted, spec};

/// Lives until it is told otherwise.
const LIVES: &str = "while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";

/// Red as long as nobody makes the file.
const CHECK: &str = "[[verify.check]]\nname = \"test\"\nrun = \"test -f done.txt\"\n";

fn in_column(column: Column) -> impl Fn(&Board) -> bool {
    move |board| board.tasks[&id(1)].column == column
}

fn takeover(scene: &Scene) {
    scene.wish(Wish::Takeover { task: id(1), reason: "a test".into() }).expect("taken over");
    let marked = |b: &Board| b.tasks[&id(1)].lease.as_ref().is_some_and(|lease| lease.mark.is_some());
    scene.until("the worktree is marked", marked);
}

fn handback(scene: &Scene, note: &str) -> Task {
    scene.wish(Wish::Handback { task: id(1), note: note.into() }).expect("to be handed back");
    scene.until("handed back", |b| !b.tasks[&id(1)].is_taken_over()).tasks.remove(&id(1)).expect("task")
}

fn rests(board: &Board) -> bool {
    board.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Idle && a.run.turn_over)
}

/// A commit and a file that is not committed, as a person makes them.
fn work(worktree: &Path) {
    std::fs::write(worktree.join("fixed.txt"), "one\ntwo\n").expect("write");
    git(worktree, &["add", "-A"]);
    git(worktree, &["commit", "-qm", "Fix it by hand"]);
    std::fs::write(worktree.join("open.txt"), "three\n").expect("write");
}

#[test]
fn the_agent_hears_what_changed_and_nothing_was_typed_before() {
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.start_tasks(1);
    scene.until("rest", rests);
    takeover(&scene);
    let sent = scene.wish(Wish::Send { task: id(1), text: "meanwhile".into(), now: false }).expect("queued");
    assert!(format!("{sent:?}").contains("in your hands"), "{sent:?}");
    work(&scene.attempt(1).worktree);
    // The lease is nothing of one supervisor.
    scene.kill();
    scene.start();
    scene.until("rest is seen again", rests);
    assert_eq!(scene.task(1).lease.map(|lease| lease.reason), Some("a test".into()));
    assert!(scene.task(1).messages.iter().all(|m| m.is_queued()));

    handback(&scene, "mind the file");
    let settled = |b: &Board| b.tasks[&id(1)].messages.iter().all(|m| m.delivery == Delivery::Delivered);
    let task = scene.until("both are told", settled).tasks.remove(&id(1)).expect("task");
    let told = task.messages.iter().find(|m| m.from == From::Handback).expect("a word on what changed");
    for part in ["2 files (+3 -0, not all committed)", "A fixed.txt", "A open.txt", "Fix it by hand", "mind the file"] {
        assert!(told.text.contains(part), "{part} is not in {}", told.text);
    }
    let typed = |event: &Event| match event {
        Event::MessageTyping { msg, .. } => Some(msg.0),
        _ => None,
    };
    let order: Vec<u64> = scene.events(1).iter().filter_map(typed).collect();
    assert_eq!(order.first(), Some(&told.id.0), "what changed comes first");
}

#[test]
fn an_agent_that_cannot_be_told_leaves_its_work_to_be_checked() {
    let mut scene = Scene::new(&(scripted("echo x > a.txt; exit 0") + CHECK));
    scene.start();
    scene.start_tasks(1);
    scene.until("red", |b| b.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.kind == NeedKind::Red));
    takeover(&scene);
    assert!(scene.task(1).needs_you.is_none(), "a person is there already");
    std::fs::write(scene.attempt(1).worktree.join("done.txt"), "").expect("write");
    handback(&scene, "");
    let board = scene.until("review", in_column(Column::Review));
    assert!(board.tasks[&id(1)].messages.is_empty());
}

#[test]
fn a_worktree_that_cannot_be_read_is_handed_back_all_the_same() {
    let mut scene = Scene::new(&scripted(LIVES));
    scene.start();
    scene.live(1);
    takeover(&scene);
    let link = scene.attempt(1).worktree.join(".git");
    let kept = std::fs::read(&link).expect("the link");
    std::fs::write(&link, "gitdir: /nowhere\n").expect("write");
    handback(&scene, "");
    std::fs::write(&link, kept).expect("write");
    let unknown = |e: &Event| matches!(e, Event::HandedBack { changes: None, .. });
    assert!(scene.events(1).iter().any(unknown));
    assert_eq!(scene.task(1).column, Column::Build);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut scene = Scene::new(&scripted(LIVES));
    scene.start();
    scene.add(&["One"]);
    let code = |wish: Wish| match scene.wish(wish) {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    let (task, text) = (id(1), String::new());
    assert_eq!(code(Wish::Takeover { task, reason: text.clone() }), RefusalCode::Failure);
    assert_eq!(code(Wish::Handback { task, note: text.clone() }), RefusalCode::Failure);
    assert_eq!(code(Wish::Approve { task }), RefusalCode::Failure);
    assert_eq!(code(Wish::Reject { task, note: "x".into() }), RefusalCode::Failure);
    assert_eq!(code(Wish::Reject { task, note: text }), RefusalCode::Usage);
    assert_eq!(code(Wish::Resume { task }), RefusalCode::Failure);
    assert_eq!(code(Wish::Resume { task: id(9) }), RefusalCode::NoTask);
}

#[test]
fn a_paused_task_is_not_started_and_its_agent_hears_nothing() {
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.add(&["One"]);
    scene.wish(Wish::Pause { task: id(1), reason: "later".into() }).expect("paused");
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    assert!(scene.task(1).attempt().is_none());
    let held = scene.board().holds;
    assert!(held.iter().any(|h| h.task == id(1) && h.text.contains("paused (later)")), "{held:?}");
    scene.kill();
    scene.start();
    assert!(scene.task(1).attempt().is_none());
    scene.wish(Wish::Resume { task: id(1) }).expect("resumed");
    scene.until("rest", rests);
    scene.wish(Wish::Pause { task: id(1), reason: String::new() }).expect("paused");
    scene.wish(Wish::Send { task: id(1), text: "a word".into(), now: false }).expect("queued");
    assert!(scene.task(1).messages.iter().all(|m| m.is_queued()));
    scene.wish(Wish::Resume { task: id(1) }).expect("resumed");
    scene.until("told", |b| b.tasks[&id(1)].messages.iter().all(|m| m.delivery == Delivery::Delivered));
}

/// An agent without any tool writes its plan, and builds where it finds it approved.
#[test]
fn a_plan_in_a_file_is_approved_and_carried_out_in_the_same_worktree() {
    let script = "if [ -e $STANDUP_DIR/planned ]; then echo x > done.txt; echo \"$0\" > $STANDUP_DIR/second; else \
                  echo '# First this' > $STANDUP_DIR/plan.md; echo \"$0\" > $STANDUP_DIR/first; touch $STANDUP_DIR/planned; fi; \
                  echo over";
    // It ends after each part and cannot be resumed: what it is to do stands in the prompt of each start.
    let mut scene = Scene::new(&(scripted(script).replace("prompt = \"none\"", "prompt = \"arg\"") + CHECK));
    scene.start();
    let mut wanted = spec("One");
    wanted.mode = Mode::Checkpoint;
    scene.add_specs(vec![wanted]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    let board = scene.until("the plan", |b| b.tasks[&id(1)].needs_you.is_some());
    let task = &board.tasks[&id(1)];
    assert_eq!(task.column, Column::Design);
    assert_eq!(task.attempt().and_then(|a| a.plan.as_ref()).map(|p| p.text.trim()), Some("# First this"));
    let need = task.needs_you.clone().expect("a need");
    assert!(need.kind == NeedKind::Question && need.question.contains("# First this"), "{need:?}");
    assert!(task.attempt().is_some_and(|a| a.judged.is_none()), "a plan is not checked");
    scene.kill();
    scene.start();
    scene.wish(Wish::Approve { task: id(1) }).expect("approved");
    let board = scene.until("review", in_column(Column::Review));
    let attempt = board.tasks[&id(1)].attempt().expect("attempt").clone();
    assert_eq!((attempt.no.get(), attempt.launches), (1, 2), "the same attempt, started again");
    assert!(attempt.worktree.join("done.txt").exists());
    let told = |name: &str| std::fs::read_to_string(run_dir(&attempt.worktree).join(name)).expect("what it was told");
    assert!(told("first").starts_with("Only plan for now"), "{}", told("first"));
    let second = "Your plan is approved: carry it out. This is it:\n\n# First this";
    assert!(told("second").starts_with(second), "{}", told("second"));
    assert_eq!(told("brief.md"), "# One\n", "the stored brief is what was added, byte for byte");

    scene.wish(Wish::Approve { task: id(1) }).expect("approved");
    assert!(scene.attempt(1).approved().is_some());
    std::fs::write(attempt.worktree.join("done.txt"), "another byte").expect("write");
    poll("the approval is void", || scene.attempt(1).approved().is_none());
}

#[test]
fn who_changes_files_while_it_is_to_plan_only_is_told_of_and_setup_is_not_its_doing() {
    let script = "while [ ! -e $STANDUP_DIR/go ]; do sleep 0.05; done; mkdir src; echo x > src/a; echo x > src/b; \
                  while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done; echo \"$0\"";
    let settings = scripted(script).replace("prompt = \"none\"", "prompt = \"arg\"");
    let mut scene = Scene::new(&(settings + "[worktrees]\nsetup = [\"echo x > made-by-setup\"]\n"));
    scene.start();
    let mut wanted = spec("One");
    wanted.mode = Mode::Checkpoint;
    scene.add_specs(vec![wanted]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    let seen = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.plans_on.is_some() && a.host().is_some());
    let board = scene.until("where it began", seen);
    assert_eq!(board.tasks[&id(1)].attempt().and_then(|a| a.diff).map(|d| d.files), Some(1), "what setup made");
    scene.signal_file(1, "go");
    let strayed = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.strayed.clone());
    let paths = strayed(&scene.until("what it changed", |b| strayed(b).is_some())).expect("paths");
    assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with("src/")), "{paths:?}");
    let board = scene.until("the need", |b| b.tasks[&id(1)].needs_you.is_some());
    let need = board.tasks[&id(1)].needs_you.clone().expect("a need");
    assert_eq!(need.kind, NeedKind::OffLimits);
    assert!(need.question.starts_with("it changed files while it was to plan only: src/"), "{need:?}");
}

#[test]
fn an_agent_that_would_not_hear_of_its_plan_is_not_started_to_plan() {
    let mut scene = Scene::new(&scripted("echo over"));
    scene.start();
    let mut wanted = spec("One");
    wanted.mode = Mode::Checkpoint;
    scene.add_specs(vec![wanted]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    match scene.wish(Wish::Start { task: id(1) }) {
        Err(ClientError::Refused(refusal)) => assert!(refusal.text.contains("put {prompt} into"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
    let board = scene.board();
    assert!(board.tasks[&id(1)].attempt().is_none());
    assert!(board.holds.iter().any(|h| h.text.contains("without a prompt")), "{:?}", board.holds);
}

#[test]
fn work_of_ones_own_ends_in_ones_own_hands() {
    let mut scene = Scene::new(&(scripted("echo x > done.txt; echo over") + CHECK));
    scene.start();
    let mut wanted = spec("One");
    wanted.mode = Mode::Own;
    scene.add_specs(vec![wanted]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    let board =
        scene.until("the person's turn", |b| in_column(Column::Takeover)(b) && b.tasks[&id(1)].needs_you.is_some());
    assert!(board.tasks[&id(1)].needs_you.as_ref().is_some_and(|n| n.question.contains("checks are green")));
    takeover(&scene);
    assert!(scene.task(1).needs_you.is_none());
    scene.wish(Wish::Approve { task: id(1) }).expect("approved");
    let task = scene.task(1);
    assert_eq!(task.column, Column::Review);
    assert!(task.attempt().is_some_and(|a| a.approved().is_some()));
}

#[test]
fn a_rejection_reaches_the_agent_and_leads_back_to_review() {
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.start_tasks(1);
    scene.until("review", in_column(Column::Review));
    scene.wish(Wish::Reject { task: id(1), note: "name it better".into() }).expect("rejected");
    let again = |b: &Board| {
        in_column(Column::Review)(b) && b.tasks[&id(1)].messages.iter().any(|m| m.delivery == Delivery::Delivered)
    };
    scene.until("review again", again);
    let answers = || String::from_utf8_lossy(&scene.transcript("T1-1-1").0).matches("Noted.").count();
    poll("the answers to its brief and to the note", || answers() == 2);
    assert_eq!(scene.task(1).messages.last().map(|m| m.text.contains("name it better")), Some(true));
    let rejected = |e: &Event| matches!(e, Event::WorkRejected { note } if note == "name it better");
    assert!(scene.events(1).iter().any(rejected));
}
