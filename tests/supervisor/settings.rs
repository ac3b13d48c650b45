//! Settings that change, break, or were never approved.

use standup::client::control::ClientError;
use standup::model::board::HoldKind;
use standup::model::input::{Command as Wish, RefusalCode};
use standup::model::task::Column;
use standup::wire::control::Request;

use crate::scene::{Scene, id, playing, poll, scripted};

fn banners(scene: &Scene) -> Vec<String> {
    scene.client().board().expect("board").supervisor.banners
}

#[test]
fn commands_that_nobody_approved_hold_every_task() {
    let mut scene = Scene::new("schema = 1\n");
    std::fs::write(scene.repo().join("agents.toml"), scripted("echo work > done")).expect("write");
    scene.start();
    scene.start_tasks(1);
    let held = |b: &standup::model::board::Board| b.holds.iter().any(|h| h.because == HoldKind::Trust);
    let board = scene.until("the hold", held);
    assert!(board.tasks[&id(1)].attempts.is_empty());
    match scene.wish(Wish::Start { task: id(1) }) {
        Err(ClientError::Refused(refusal)) => {
            assert_eq!(refusal.code, RefusalCode::Policy);
            assert_eq!(refusal.hints, ["standup trust"]);
        }
        other => panic!("{other:?}"),
    }
    scene.approve();
    scene.client().ask(&Request::Reload {}).expect("reload");
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
}

#[test]
fn a_change_of_commands_asks_again() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    scene.start();
    std::fs::write(scene.repo().join("agents.toml"), scripted("echo other work > done")).expect("write");
    scene.client().ask(&Request::Reload {}).expect("reload");
    scene.start_tasks(1);
    scene.until("the hold", |b| b.holds.iter().any(|h| h.because == HoldKind::Trust));
}

/// Settings whose agents leave a file, with one check at a time: this script.
fn checked_by(script: &str) -> String {
    let check = format!("[verify]\nparallel = 1\n[[verify.check]]\nname = \"test\"\nrun = \'\'\'{script}\'\'\'\n");
    scripted("echo work > done") + &check
}

fn held_for_approval(board: &standup::model::board::Board) -> bool {
    board.holds.iter().any(|h| h.because == HoldKind::Trust)
}

#[test]
fn checks_that_wait_for_their_place_run_only_what_is_approved_when_they_get_it() {
    let files = tempfile::tempdir().expect("temp dir");
    let (ran, go) = (files.path().join("ran"), files.path().join("go"));
    let script =
        |says: &str| format!("echo {says} >> {}; while [ ! -e {} ]; do sleep 0.05; done", ran.display(), go.display());
    let mut scene = Scene::new(&checked_by(&script("old")));
    scene.start();
    scene.start_tasks(2);
    let is_checked = |task: &standup::model::board::Task| task.attempt().is_some_and(|a| a.checking.is_some());
    scene.until("both are checked", |b| b.tasks.values().all(is_checked));
    poll("the first check runs", || ran.exists());
    std::fs::write(scene.repo().join("agents.toml"), checked_by(&script("new"))).expect("write");
    scene.client().ask(&Request::Reload {}).expect("reload");
    std::fs::write(&go, "").expect("write");
    let board = scene.until("the hold", held_for_approval);
    assert_eq!(std::fs::read_to_string(&ran).expect("it ran"), "old\n");
    assert!(board.tasks.values().all(|task| task.needs_you.is_none()), "{board:?}");
    scene.approve();
    scene.client().ask(&Request::Reload {}).expect("reload");
    scene.until("review", |b| b.tasks.values().all(|task| task.column == Column::Review));
    assert_eq!(std::fs::read_to_string(&ran).expect("they ran"), "old\nnew\n");
}

#[test]
fn checks_of_a_killed_supervisor_are_taken_up_only_with_what_is_approved() {
    let files = tempfile::tempdir().expect("temp dir");
    let ran = files.path().join("ran");
    let script = |says: &str, then: &str| format!("echo {says} >> {}; {then}", ran.display());
    let mut scene = Scene::new(&checked_by(&script("old", "sleep 300")));
    scene.start();
    scene.start_tasks(1);
    poll("the check runs", || ran.exists());
    scene.kill();
    std::fs::write(scene.repo().join("agents.toml"), checked_by(&script("new", "true"))).expect("write");
    scene.start();
    scene.until("the hold", held_for_approval);
    assert_eq!(std::fs::read_to_string(&ran).expect("it ran"), "old\n");
    scene.approve();
    scene.client().ask(&Request::Reload {}).expect("reload");
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    assert_eq!(std::fs::read_to_string(&ran).expect("they ran"), "old\nnew\n");
}

#[test]
fn a_broken_edit_keeps_the_last_good_settings_and_says_where_it_is_broken() {
    let good = scripted("echo work > done");
    let mut scene = Scene::new(&good);
    scene.start();
    std::fs::write(scene.repo().join("agents.toml"), format!("{good}\n[wip\n")).expect("write");
    assert!(matches!(scene.client().ask(&Request::Reload {}), Err(ClientError::Refused(_))));
    let said = banners(&scene).concat();
    assert!(said.contains("agents.toml:") && said.contains("last good"), "{said}");
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    std::fs::write(scene.repo().join("agents.toml"), good).expect("write");
    scene.client().ask(&Request::Reload {}).expect("reload");
    assert_eq!(banners(&scene), Vec::<String>::new());
}

#[test]
fn an_agent_that_is_no_longer_configured_is_heard_to_its_end() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=5"]));
    scene.start();
    let facts = scene.live(1);
    scene.kill();
    std::fs::write(scene.repo().join("agents.toml"), "schema = 1\n").expect("write");
    scene.start();
    assert_eq!(scene.attempt(1).host(), Some(&facts[0]));
    scene.signal_file(1, "stop");
    scene.until("its end", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
}

#[test]
fn a_launch_that_was_under_way_is_found_whatever_the_settings_say_since() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start_with(&[("STANDUP_FAILPOINT", "launch.started:abort")]);
    scene.start_tasks(1);
    scene.wait_dead();
    std::fs::write(scene.repo().join("agents.toml"), "schema = 1\n").expect("write");
    scene.start();
    scene.until("the live agent", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some()));
}

#[test]
fn a_supervisor_starts_with_the_last_good_settings_while_a_file_is_broken() {
    let good = playing(&["count=20", "exit=5"]);
    let mut scene = Scene::new(&good);
    scene.start();
    let facts = scene.live(1);
    scene.kill();
    std::fs::write(scene.repo().join("agents.toml"), format!("{good}\n[wip\n")).expect("write");
    scene.start();
    let said = banners(&scene).concat();
    assert!(said.contains("the last good settings hold: agents.toml:"), "{said}");
    assert_eq!(scene.attempt(1).host(), Some(&facts[0]));
    // They hold for what comes, too.
    scene.add(&["another"]);
    scene.until("another agent", |b| b.tasks[&id(2)].attempt().is_some_and(|a| a.host().is_some()));
    std::fs::write(scene.repo().join("agents.toml"), good).expect("write");
    scene.client().ask(&Request::Reload {}).expect("reload");
    assert_eq!(banners(&scene), Vec::<String>::new());
}

#[test]
fn without_any_good_settings_it_starts_and_starts_nothing() {
    let good = scripted("echo work > done");
    let mut scene = Scene::new(&good);
    std::fs::write(scene.repo().join("agents.toml"), good.replace("review =", "reveiw =")).expect("write");
    scene.start();
    let said = banners(&scene).concat();
    assert!(said.contains("nothing is started: agents.toml:") && said.contains("did you mean wip.review?"), "{said}");
    scene.start_tasks(1);
    let hold = |b: &standup::model::board::Board| b.holds.iter().find(|h| h.task == id(1)).cloned();
    let board = scene.until("the hold", |b| hold(b).is_some_and(|h| h.because == HoldKind::Trust));
    assert!(hold(&board).is_some_and(|h| h.text.contains("wip.reveiw")), "{:?}", hold(&board));
    let standup = env!("CARGO_BIN_EXE_standup");
    let out = scene.command(standup).arg("-C").arg(scene.repo()).arg("status").output().expect("run");
    assert!(String::from_utf8_lossy(&out.stdout).contains("wip.reveiw"), "{out:?}");
    std::fs::write(scene.repo().join("agents.toml"), good).expect("write");
    scene.client().ask(&Request::Reload {}).expect("reload");
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
}

/// A program of this name asks for nothing and answers when it may.
fn slow_program(scene: &Scene) -> std::path::PathBuf {
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n[ -e go ] || echo $$ > asked\n\
                  while [ ! -e go ]; do sleep 0.05; done\necho '9.9.9 (Claude Code)'\n";
    let program = scene.home().join("slow");
    std::fs::write(&program, script).expect("write");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    program
}

#[test]
fn nobody_waits_for_a_program_that_is_asked_for_its_version() {
    let mut scene = Scene::new("schema = 1\n");
    let program = slow_program(&scene);
    scene.start();
    let (go, asked) = (scene.home().join("go"), scene.home().join("asked"));
    let text = format!("schema = 1\n[agents.claude]\ncommand = [\"{}\"]\n", program.display());
    std::fs::write(scene.repo().join("agents.toml"), text).expect("write");
    std::fs::write(&go, "").expect("write");
    scene.approve();
    std::fs::remove_file(&go).expect("removed");
    scene.client().ask(&Request::Reload {}).expect("reload");
    // It is being asked, and has not been given up: the answer did not wait for it.
    let pid = || std::fs::read_to_string(&asked).ok()?.trim().parse::<u32>().ok();
    crate::scene::poll("the question", || pid().is_some());
    let process = standup::os::process::ProcessId::of(pid().expect("a pid"));
    assert!(process.is_some_and(standup::os::process::ProcessId::is_alive));
    std::fs::write(&go, "").expect("write");
    crate::scene::poll("its end", || process.is_some_and(|p| !p.is_alive()));
}
