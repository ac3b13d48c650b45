//! Settings that change, break, or were never approved.

use standup::client::control::ClientError;
use standup::model::board::HoldKind;
use standup::model::input::{Command as Wish, RefusalCode};
use standup::model::task::Column;
use standup::wire::control::Request;

use crate::scene::{Scene, id, playing, scripted};

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
