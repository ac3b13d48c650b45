//! Reports of agents, and what checks make of them.

use standup::model::board::Board;
use standup::model::checkin::Via;
use standup::model::event::{Event, NeedKind};
use standup::model::message::{Delivery, From};
use standup::model::settings::VerifyOn;
use standup::model::task::Column;
use standup::model::verdict::VerdictOutcome;

use crate::scene::{Scene, git, id, poll, resting, scripted};

/// Writes a check-in as an agent without any tool does.
const READY: &str = r#"
report() { printf '{"schemaVersion":1,"kind":"check-in","state":"%s","did":"%s"}' "$1" "$2" > $STANDUP_DIR/outbox/.t; \
  mv $STANDUP_DIR/outbox/.t $STANDUP_DIR/outbox/$2.json; }
"#;

const CHECK: &str =
    "[[verify.check]]\nname = \"test\"\nrun = \"test -f done.txt || { echo it is missing; exit 1; }\"\n";

#[test]
fn a_ready_in_the_outbox_starts_the_checks() {
    let script =
        format!("{READY} echo x > done.txt; report ready all; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done");
    let mut scene = Scene::new(&(scripted(&script) + CHECK));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let task = &board.tasks[&id(1)];
    let attempt = task.attempt().expect("attempt");
    assert!(attempt.host().is_some(), "the agent still runs");
    assert_eq!(attempt.judged.as_ref().map(|j| j.verdict.outcome), Some(VerdictOutcome::Green));
    assert_eq!(task.check_ins.last().map(|c| c.via), Some(Via::Outbox));
    let outbox = standup::store::layout::outbox(&attempt.worktree);
    let letters = || std::fs::read_dir(&outbox).expect("outbox").flatten();
    crate::scene::poll("the letter is taken", || letters().all(|l| l.path().extension().is_none_or(|e| e != "json")));
}

#[test]
fn a_claim_moves_no_card_while_the_checks_are_red() {
    let script =
        format!("{READY} echo x > other.txt; report ready all; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done");
    let mut scene = Scene::new(&(scripted(&script) + CHECK));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the need", |b| b.tasks[&id(1)].needs_you.is_some());
    let task = &board.tasks[&id(1)];
    assert_eq!(task.column, Column::Build);
    assert_eq!(task.attempt().and_then(|a| a.judged.clone()).map(|j| j.verdict.outcome), Some(VerdictOutcome::Red));
    // Nothing tells when this program would read a message, so a person has to.
    let need = task.needs_you.clone().expect("a need");
    assert_eq!(need.kind, NeedKind::Red);
    assert!(need.question.contains("test"), "{}", need.question);
    assert!(task.messages.is_empty());
}

#[test]
fn a_check_in_has_the_checks_run_while_it_works_and_the_end_of_its_work_ends_them() {
    let script = format!(
        "{READY} echo x > other.txt; report working began; while [ ! -e $STANDUP_DIR/slow ]; do sleep 0.05; done; \
         echo x > slow.txt; report working more; while [ ! -e $STANDUP_DIR/go ]; do sleep 0.05; done; \
         rm slow.txt; echo x > done.txt; report ready all; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done"
    );
    let check = "[verify]\non = [\"done\", \"check-in\"]\n\
                 [[verify.check]]\nname = \"test\"\nrun = \"test ! -f slow.txt || sleep 300; test -f done.txt\"\n";
    let mut scene = Scene::new(&(scripted(&script) + check));
    scene.start();
    scene.start_tasks(1);
    let of = |b: &Board| b.tasks[&id(1)].attempt().cloned();
    let board = scene.until("a verdict", |b| of(b).is_some_and(|a| a.judged.is_some()));
    let task = &board.tasks[&id(1)];
    let judged = task.attempt().and_then(|a| a.judged.clone()).expect("a verdict");
    assert_eq!((judged.verdict.outcome, judged.on), (VerdictOutcome::Red, Some(VerifyOn::CheckIn)));
    assert_eq!((task.column, task.attempt().map(|a| a.reds)), (Column::Build, Some(0)));
    assert!(task.messages.is_empty() && task.needs_you.is_none(), "{:?} {:?}", task.messages, task.needs_you);
    let beside = task.check_ins[0].beside.facts.clone().and_then(|facts| facts.checks).expect("beside the claim");
    assert_eq!((beside.outcome, beside.current, beside.failed), (VerdictOutcome::Red, true, vec!["test".to_owned()]));
    // A run that takes for ever gives its place, the only one, to what its finished work is judged by.
    scene.signal_file(1, "slow");
    scene.until("another run", |b| of(b).is_some_and(|a| a.checking.is_some()));
    scene.signal_file(1, "go");
    let board = scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let judged = of(&board).and_then(|a| a.judged).expect("a verdict");
    assert_eq!((judged.verdict.outcome, judged.on), (VerdictOutcome::Green, None));
}

/// What a check has read is not what stands there once it has ended.
#[test]
fn a_file_that_is_put_back_before_its_check_ends_proves_nothing() {
    let script =
        format!("{READY} echo bad > f; report ready all; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done");
    let until = |name: &str| format!("until [ -e .standup/run/{name} ]; do sleep 0.05; done");
    let run = format!(
        "touch .standup/run/began; {}; grep -q good f; r=$?; touch .standup/run/read; {}; exit $r",
        until("go"),
        until("end")
    );
    let mut scene = Scene::new(&(scripted(&script) + &format!("[[verify.check]]\nname = \"test\"\nrun = \"{run}\"\n")));
    scene.start();
    scene.start_tasks(1);
    let tree = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.tree.clone());
    let there = |name: &str| scene.run_dir(1).join(name).exists();
    scene.until("the attempt", |b| tree(b).is_some());
    poll("the check", || there("began"));
    let file = scene.attempt(1).worktree.join("f");
    let is_seen = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.diff).is_some_and(|d| d.files == 1);
    let bad = tree(&scene.until("its tree", is_seen)).expect("a tree");
    std::fs::write(&file, "good\n").expect("write");
    scene.until("the other tree", |b| tree(b).is_some_and(|tree| tree != bad));
    scene.signal_file(1, "go");
    poll("the look at the file", || there("read"));
    std::fs::write(&file, "bad\n").expect("write");
    scene.until("the tree of before", |b| tree(b).as_ref() == Some(&bad));
    scene.signal_file(1, "end");
    let verdicts = || -> Vec<_> {
        let verdict = |event| match event {
            Event::VerdictReached { verdict, .. } => Some(verdict),
            _ => None,
        };
        scene.events(1).into_iter().filter_map(verdict).collect()
    };
    poll("a verdict", || !verdicts().is_empty());
    let verdict = verdicts().remove(0);
    assert_eq!((verdict.outcome, verdict.tree), (VerdictOutcome::Stale, Some(bad)));
    let why = verdict.why;
    assert!(why.starts_with("f changed while the check test ran, and was put back"), "{why}");
}

/// A rule that ignores a file says nothing of one that is tracked all the same.
#[test]
fn a_tracked_file_that_a_rule_ignores_makes_a_verdict_stale_too() {
    let mut scene = Scene::new(&(scripted("echo x > done.txt") + CHECK));
    let repo = scene.repo();
    for (path, text) in [(".gitignore", "dist/\n*.log\n"), ("dist/deep/er/t", "1\n"), ("keep.log", "1\n")] {
        std::fs::create_dir_all(repo.join(path).parent().expect("a folder")).expect("mkdir");
        std::fs::write(repo.join(path), text).expect("write");
        git(&repo, &["add", "-f", path]);
    }
    git(&repo, &["commit", "-qm", "built files are part of it"]);
    scene.start();
    scene.start_tasks(1);
    let of = |b: &Board| b.tasks[&id(1)].attempt().cloned();
    let board = scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let judged = of(&board).expect("an attempt");
    assert!(judged.is_judged() && !judged.is_stale());
    let mut known = judged.tree;
    let worktree = scene.attempt(1).worktree;
    let changed = |path: &str| {
        std::fs::create_dir_all(worktree.join(path).parent().expect("a folder")).expect("mkdir");
        std::fs::write(worktree.join(path), "2\n").expect("write");
    };
    for path in ["dist/deep/er/t", "keep.log", "seen.txt", "dist/other/u"] {
        if path == "seen.txt" {
            // What git is told to track is known from the next look on.
            std::fs::create_dir(worktree.join("dist/other")).expect("mkdir");
            std::fs::write(worktree.join("dist/other/u"), "1\n").expect("write");
            git(&worktree, &["add", "-f", "dist/other/u"]);
        }
        if path == "dist/other/u" {
            // A folder of another number in the place of the one that was watched.
            std::fs::remove_dir_all(worktree.join("dist/other")).expect("rm");
        }
        changed(path);
        let board = scene.until(path, |b| of(b).is_some_and(|a| a.tree != known));
        assert!(of(&board).is_some_and(|a| a.is_stale()), "{path}");
        known = of(&board).and_then(|a| a.tree);
    }
}

#[test]
fn files_at_rest_are_checked_while_their_agent_works() {
    let script = "echo x > other.txt; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";
    let settings = scripted(script) + "[verify]\non = [\"done\", \"file-change\"]\n" + CHECK;
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    let judged = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.judged.clone());
    let judged = judged(&scene.until("a verdict", |b| judged(b).is_some())).expect("a verdict");
    assert_eq!((judged.verdict.outcome, judged.on), (VerdictOutcome::Red, Some(VerifyOn::FileChange)));
    assert_eq!(scene.task(1).needs_you, None);
}

#[test]
fn failures_are_typed_to_the_agent_until_it_was_told_often_enough() {
    let settings = resting() + CHECK + "[limits]\nred_verdicts = 2\n";
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the need", |b| b.tasks[&id(1)].needs_you.is_some());
    let task = &board.tasks[&id(1)];
    assert_eq!(task.needs_you.as_ref().map(|n| n.kind), Some(NeedKind::Red));
    let told: Vec<_> = task.messages.iter().filter(|m| m.from == From::Checks).collect();
    assert_eq!(told.len(), 2);
    for message in told {
        assert_eq!(message.delivery, Delivery::Delivered);
        assert!(message.text.contains("it is missing") && message.text.contains("test"), "{}", message.text);
    }
    let answers = || String::from_utf8_lossy(&scene.transcript("T1-1-1").0).matches("Noted.").count();
    poll("the answers to its brief and to both messages", || answers() == 3);
}

#[test]
fn an_agent_that_ended_red_needs_you() {
    let mut scene = Scene::new(&(scripted("echo x > other.txt; echo finished") + CHECK));
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the need", |b| b.tasks[&id(1)].needs_you.is_some());
    let need = board.tasks[&id(1)].needs_you.clone().expect("need");
    assert_eq!(need.kind, NeedKind::Red);
    assert_eq!(board.tasks[&id(1)].column, Column::Build);
}

#[test]
fn a_report_that_is_none_is_said_and_kept_aside() {
    let script = "echo '{\"half' > $STANDUP_DIR/outbox/.t; mv $STANDUP_DIR/outbox/.t $STANDUP_DIR/outbox/bad.json; \
                  while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";
    let mut scene = Scene::new(&scripted(script));
    scene.start();
    scene.live(1);
    let refused = || scene.events(1).iter().any(|e| matches!(e, Event::CheckInRefused { .. }));
    crate::scene::poll("the refusal", refused);
    assert!(scene.task(1).check_ins.is_empty());
}

#[test]
fn a_report_written_while_no_supervisor_runs_is_read_by_the_next() {
    let script = format!(
        "{READY} while [ ! -e $STANDUP_DIR/go ]; do sleep 0.1; done; report working meanwhile; touch $HOME/reported; \
         while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done"
    );
    let mut scene = Scene::new(&scripted(&script));
    scene.start();
    scene.live(1);
    let dir = standup::store::layout::run_dir(&scene.attempt(1).worktree);
    scene.kill();
    std::fs::write(dir.join("go"), "").expect("write");
    let reported = scene.home().join("reported");
    crate::scene::poll("the report", || reported.exists());
    scene.start();
    let board = scene.until("the report", |b| !b.tasks[&id(1)].check_ins.is_empty());
    assert_eq!(board.tasks[&id(1)].check_ins.len(), 1);
    assert_eq!(board.tasks[&id(1)].check_ins[0].check_in.did, "meanwhile");
}
