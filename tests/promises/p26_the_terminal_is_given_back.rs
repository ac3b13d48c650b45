//! Your terminal is always given back, whoever ends first. What a client owes its terminal is
//! tested with the client; here hosts, agents and supervisors are real, and die.

use rustix::process::Signal;
use standup::model::attempt::HostFacts;
use standup::os::process::ProcessId;

use crate::attach::Outer;
use crate::scene::{Scene, playing, trials};

fn attached() -> (Scene, HostFacts, Outer) {
    // Turns on whatever a terminal has, and then goes on.
    let mut scene = Scene::new(&playing(&["escapes", "count=20"]));
    scene.start();
    let facts = scene.live(1).remove(0);
    let outer = Outer::start(scene.host_socket(&facts.id), &[]);
    outer.wait_for_text("count");
    (scene, facts, outer)
}

fn host(facts: &HostFacts) -> ProcessId {
    ProcessId { pid: facts.host.pid, start: facts.host.start }
}

#[test]
fn after_a_detach() {
    for _ in 0..trials(1) {
        let (scene, facts, mut outer) = attached();
        outer.type_keys(b"\x1dd");
        assert_eq!(outer.wait_ended(), "[detached from T3; standup attach T3 returns]");
        outer.assert_given_back();
        assert_eq!(scene.attempt(1).host(), Some(&facts));
    }
}

#[test]
fn after_the_agents_end() {
    for _ in 0..trials(1) {
        let (scene, _, mut outer) = attached();
        scene.signal_file(1, "stop");
        outer.wait_ended();
        outer.assert_given_back();
    }
}

#[test]
fn after_the_end_or_the_death_of_the_host() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (_scene, facts, mut outer) = attached();
        assert!(host(&facts).signal(signal));
        outer.wait_ended();
        outer.assert_given_back();
    }
}

#[test]
fn after_signals_to_the_client() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (_scene, _, mut outer) = attached();
        outer.signal(signal);
        outer.wait_ended();
        outer.assert_given_back();
    }
}

#[test]
fn a_supervisor_that_ends_or_dies_takes_no_terminal_away() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (mut scene, facts, mut outer) = attached();
        scene.signal(signal);
        scene.wait_dead();
        // A host does not hang up either.
        assert!(host(&facts).signal(Signal::HUP));
        let mut peer = crate::peer::Peer::client(&scene.host_socket(&facts.id), 0);
        peer.until_painted();
        peer.until_output("count ");
        outer.type_keys(b"\x1dd");
        assert_eq!(outer.wait_ended(), "[detached from T3; standup attach T3 returns]");
        outer.assert_given_back();
    }
}

#[test]
fn after_a_killed_client_a_reset_is_enough() {
    for _ in 0..trials(1) {
        let (_scene, _, mut outer) = attached();
        outer.signal(Signal::KILL);
        outer.wait_exit();
        outer.reset();
        outer.assert_modes_at_rest();
    }
}
