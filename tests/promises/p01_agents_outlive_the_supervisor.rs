//! Agents outlive the supervisor: killed with ten of them, it loses none.

use std::time::{Duration, Instant};

use standup::model::attempt::{Exit, HostFacts};

use crate::peer::Peer;
use crate::scene::{Scene, playing, poll, runs, trials};
use crate::{BUSY, assert_gapless, counted, median};

const AGENTS: u32 = 10;

/// Lines above the screen that a person asks for.
const SCROLLBACK: u32 = 1000;

/// A supervisor may take this long from its start until every host is in its hands again.
const BACK: Duration = Duration::from_secs(2);

fn is_counting(scene: &Scene, facts: &HostFacts) {
    let socket = scene.host_socket(&facts.id);
    let before = Peer::status(&socket).output_bytes;
    poll("progress", || Peer::status(&socket).output_bytes > before);
}

#[test]
fn ten_agents_live_on_and_come_back_with_the_same_processes() {
    let mut scene = Scene::new(&playing(&["count=20", "exit=0"]));
    scene.start();
    let facts = scene.live(AGENTS);
    let mut took = Vec::new();
    for _ in 0..trials(20) {
        scene.kill();
        for one in &facts {
            assert!(runs(one.host.pid) && runs(one.agent.pid), "{one:?}");
            is_counting(&scene, one);
        }
        reattach(&scene, &facts[0]);
        let began = Instant::now();
        scene.start();
        took.push(began.elapsed());
        let board = scene.board();
        let after: Vec<HostFacts> = board.tasks.values().filter_map(|t| t.attempt()?.host().cloned()).collect();
        assert_eq!(after, facts);
    }
    assert!(median(took.clone()) <= BACK * BUSY, "they took {took:?}");
    // In its hands again: what ends is heard of.
    for n in 1..=AGENTS {
        scene.signal_file(n, "stop");
    }
    scene.until("all ended", |b| b.tasks.values().all(|t| t.attempt().is_some_and(|a| !a.is_active())));
    for one in &facts {
        let (output, missing) = scene.transcript(one.id.as_str());
        assert_eq!(missing, 0);
        assert_gapless(&output);
    }
}

/// Without a supervisor a person sees what was printed, and what is being printed.
fn reattach(scene: &Scene, facts: &HostFacts) {
    let socket = scene.host_socket(&facts.id);
    // More than a screen, so that a part of it lies above.
    poll("more than a screen", || Peer::status(&socket).output_bytes > 600);
    let mut person = Peer::client(&socket, SCROLLBACK);
    let painted = person.until_painted();
    let counts = painted.find("count ").unwrap_or_else(|| panic!("no number in {painted:?}"));
    let numbers = counted(painted[counts..].replace("\x1b[K", "").as_bytes());
    // From the beginning, or as far back as was asked for.
    let (first, shown) = (numbers[0], numbers[numbers.len() - 1]);
    assert!(first == 1 || shown - first >= u64::from(SCROLLBACK), "{first} to {shown} in {painted:?}");
    assert!(numbers.iter().copied().eq(first..=shown), "a gap in {numbers:?}");
    person.until_output(&format!("count {}", shown + 2));
}

#[test]
fn agents_that_end_meanwhile_have_their_status_recorded() {
    let script = "while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done; echo went; exit $((40 + ${STANDUP_TASK#T}))";
    let mut scene = Scene::new(&crate::scene::scripted(script));
    for round in 0..trials(1) {
        scene.start();
        if round == 0 {
            scene.live(3);
        }
        scene.kill();
        for n in 1..=2 {
            scene_file(&scene, n);
        }
        for n in 1..=2 {
            poll("an exit record", || scene.record(&format!("T{n}-1-1")).exit.is_some());
        }
        scene.start();
        for n in 1..=2 {
            let end = scene.attempt(n).end().cloned();
            let exit = Exit { code: Some(40 + n.cast_signed()), signal: None };
            assert_eq!(end, Some(standup::model::attempt::End::Exited { exit }));
            assert_eq!(scene.transcript(&format!("T{n}-1-1")).0, b"went\r\n");
        }
        assert!(scene.attempt(3).host().is_some());
        scene.kill();
    }
}

/// As `Scene::signal_file`, without a supervisor to ask.
fn scene_file(scene: &Scene, number: u32) {
    let attempt = format!("T{number}/1").parse().expect("id");
    let slug = standup::model::name::Slug::from_title(&format!("Task number {number}"));
    let worktree = scene.place.layout.worktree(attempt, &slug);
    std::fs::write(standup::store::layout::run_dir(&worktree).join("stop"), "").expect("write");
}
