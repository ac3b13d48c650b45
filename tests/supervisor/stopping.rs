//! Ends that somebody asked for: whole, once, and at any moment.

use std::path::Path;
use std::time::Instant;

use standup::model::attempt::{End, Phase, StopWhy};
use standup::model::board::Board;
use standup::model::id::AttemptNo;
use standup::model::input::Command as Wish;
use standup::model::task::Column;
use standup::wire::control::{Answer, Request};

use crate::scene::{Scene, git, id, pids, playing, poll, runs, scripted};

fn is_stopped(board: &Board, number: u32) -> bool {
    board.tasks[&id(number)].attempt().is_some_and(|a| matches!(a.end(), Some(End::Stopped { .. })))
}

/// Two agents that leave daemons behind, deaf to every polite signal.
fn with_orphans(file: &Path) -> Scene {
    let settings = playing(&["orphans=3", "stubborn"]);
    let with_pids = format!("\"--pids\", \"{}\", \"--ttl\"", file.display());
    let mut scene = Scene::new(&settings.replace("\"--ttl\"", &with_pids));
    scene.start();
    scene.live(2);
    poll("the orphans", || pids(file).len() == 6);
    scene
}

#[test]
fn a_stop_ends_the_whole_tree_and_a_second_one_changes_nothing() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let scene = with_orphans(file.path());
    let spared = scene.attempt(2).host().cloned().expect("host");
    let ended = scene.attempt(1).host().cloned().expect("host");
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.wish(Wish::Stop { task: id(1) }).expect("stop again");
    scene.until("the stop", |b| is_stopped(b, 1));
    assert!(!runs(ended.agent.pid));
    // It gives up its lock right before it is gone.
    poll("the host's end", || !runs(ended.host.pid));
    assert_eq!(pids(file.path()).iter().filter(|pid| runs(**pid)).count(), 3, "its own three are gone");
    scene.wish(Wish::Stop { task: id(1) }).expect("stop of what has ended");
    let stops = scene.events(1).iter().filter(|e| e.name() == "attempt-stopped").count();
    assert_eq!(stops, 1);
    assert_eq!(scene.attempt(2).host(), Some(&spared));
    assert_eq!(scene.task(1).column, Column::Build, "a stopped task stays where it is");
}

#[test]
fn down_ends_every_agent_then_the_supervisor_and_says_so() {
    let file = tempfile::NamedTempFile::new().expect("temp file");
    let mut scene = with_orphans(file.path());
    let answer = scene.client().ask(&Request::Down { why: StopWhy::Down }).expect("down");
    assert_eq!(answer, Answer::Ok {});
    assert!(pids(file.path()).iter().all(|pid| !runs(*pid)), "nothing is left when the answer comes");
    assert!(scene.wait_dead().success());
    scene.start();
    let board = scene.board();
    assert!(!board.dispatch, "what was stopped is not started again by itself");
    assert!(is_stopped(&board, 1) && is_stopped(&board, 2));
}

#[test]
fn a_shutdown_leaves_the_agents_to_the_next_supervisor() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start();
    let facts = scene.live(2);
    assert_eq!(scene.client().ask(&Request::Shutdown {}).expect("shutdown"), Answer::Ok {});
    assert!(scene.wait_dead().success());
    assert!(facts.iter().all(|f| runs(f.host.pid) && runs(f.agent.pid)));
    scene.start();
    for (n, facts) in (1..).zip(&facts) {
        assert_eq!(scene.attempt(n).host(), Some(facts));
    }
}

/// A worktree whose setup takes for ever, and says who it is.
fn with_endless_setup(machine: &str) -> Scene {
    let settings = format!(
        "{}[worktrees]\nsetup = [\"echo $$ >> $HOME/setup; exec sleep 600\"]\n{machine}",
        playing(&["count=20", "exit=0"])
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    poll("the setup", || pids(&scene.home().join("setup")).len() == 1);
    scene
}

fn assert_nothing_left(scene: &Scene) {
    assert!(pids(&scene.home().join("setup")).iter().all(|pid| !runs(*pid)), "the setup is over");
    assert_eq!(git(&scene.repo(), &["for-each-ref", "refs/heads/standup/"]), "");
    assert_eq!(git(&scene.repo(), &["worktree", "list", "--porcelain"]).matches("worktree /").count(), 1);
}

#[test]
fn a_stop_while_preparing_does_not_wait_for_the_setup() {
    let scene = with_endless_setup("");
    let began = Instant::now();
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.until("the stop", |b| is_stopped(b, 1));
    assert!(began.elapsed() < crate::scene::DEADLINE / 2);
    assert_nothing_left(&scene);
    assert_eq!(scene.task(1).needs_you, None, "who asked for it needs no telling");
}

#[test]
fn a_cancel_while_preparing_leaves_nothing() {
    let scene = with_endless_setup("");
    scene.wish(Wish::Cancel { task: id(1), reason: "not wanted".into() }).expect("cancel");
    scene.until("the stop", |b| is_stopped(b, 1));
    assert_eq!(scene.task(1).column, Column::Canceled);
    assert_nothing_left(&scene);
}

#[test]
fn a_setup_that_a_killed_supervisor_left_running_is_ended_by_the_next() {
    let mut scene = with_endless_setup("");
    scene.kill();
    let first = pids(&scene.home().join("setup"));
    assert!(runs(first[0]), "nobody has ended it yet");
    scene.start();
    poll("the next setup", || pids(&scene.home().join("setup")).len() == 2);
    assert!(!runs(first[0]), "two setups in one worktree");
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.until("the stop", |b| is_stopped(b, 1));
}

#[test]
fn a_slot_of_the_machine_comes_back_from_a_start_that_was_stopped() {
    let home = "\n";
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    std::fs::create_dir_all(scene.home().join("config")).expect("folder");
    std::fs::write(scene.home().join("config/config.toml"), "schema = 1\n[wip]\nmachine = 1\n").expect("write");
    let hold = scene.home().join("held");
    let fault = format!("prepare.done:pause:{}", hold.display());
    scene.start_with(&[("STANDUP_FAILPOINT", &fault)]);
    scene.start_tasks(1);
    poll("the pause", || hold.exists());
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    std::fs::remove_file(&hold).expect("let go");
    scene.until("the stop", |b| is_stopped(b, 1));
    scene.add(&["The next one"]);
    poll("the pause of the next", || hold.exists());
    std::fs::remove_file(&hold).expect("let go");
    let live = |b: &Board| b.tasks[&id(2)].attempt().is_some_and(|a| a.host().is_some());
    scene.until(&format!("the next one has the slot{home}"), live);
}

#[test]
fn a_retry_by_another_agent_ends_the_first_and_works_in_a_worktree_of_its_own() {
    let other =
        "[agents.other]\nadapter = \"generic\"\ncommand = [\"sh\", \"-c\", \"echo other > by\"]\nprompt = \"none\"\n";
    let settings = playing(&["count=20", "exit=0"]).replacen("[wip]", "agent = \"fake\"\n[wip]", 1) + other;
    let mut scene = Scene::new(&settings);
    scene.start();
    let first = scene.live(1).remove(0);
    let before = scene.attempt(1);
    let name = standup::model::name::AgentName::new("other").expect("name");
    scene.wish(Wish::Retry { task: id(1), agent: Some(name.clone()) }).expect("retry");
    let board = scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert_eq!((attempt.no, &attempt.agent), (AttemptNo::new(2).expect("number"), &name));
    assert_ne!((&attempt.worktree, &attempt.branch), (&before.worktree, &before.branch));
    assert_eq!(std::fs::read_to_string(attempt.worktree.join("by")).expect("its file"), "other\n");
    assert!(!runs(first.agent.pid), "the first has ended");
    assert!(before.worktree.is_dir(), "and its work is kept");
}

#[test]
fn a_frozen_host_is_stopped_all_the_same() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start();
    let facts = scene.live(1).remove(0);
    for process in [facts.host, facts.agent] {
        let process = standup::os::process::ProcessId { pid: process.pid, start: process.start };
        assert!(process.signal(rustix::process::Signal::STOP));
    }
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.until("the stop", |b| is_stopped(b, 1));
    assert!(!runs(facts.agent.pid));
    poll("the host's end", || !runs(facts.host.pid));
}

#[test]
fn a_stop_that_comes_while_the_host_is_started_is_kept() {
    let mut scene = Scene::new(&scripted("while :; do sleep 0.1; done"));
    let hold = scene.home().join("held");
    let fault = format!("launch.started:pause:{}", hold.display());
    scene.start_with(&[("STANDUP_FAILPOINT", &fault)]);
    scene.start_tasks(1);
    poll("the pause", || hold.exists());
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    assert!(matches!(scene.attempt(1).phase, Phase::Launching { .. }));
    std::fs::remove_file(&hold).expect("let go");
    scene.until("the stop", |b| is_stopped(b, 1));
    assert!(!scene.record("T1-1-1").alive);
}
