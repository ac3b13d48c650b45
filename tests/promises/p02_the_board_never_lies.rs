//! The board never lies: after a restart every task stands as the kernel says, whatever was done
//! to agents and hosts while nobody looked.

use rustix::process::Signal;
use standup::model::attempt::{Attempt, End, HostFacts, Phase};
use standup::model::event::NeedKind;
use standup::os::process::ProcessId;

use crate::peer::Peer;
use crate::scene::{Scene, id, playing, poll, runs, trials};

fn process(of: standup::model::attempt::Proc) -> ProcessId {
    ProcessId { pid: of.pid, start: of.start }
}

/// What the kernel and the host's folder say, against what the board says.
fn assert_true(scene: &Scene, facts: &HostFacts, attempt: &Attempt) {
    let record = scene.record(facts.id.as_str());
    match &attempt.phase {
        Phase::Live { facts: said, .. } => {
            assert_eq!(said, facts);
            assert!(record.alive && process(said.host).is_alive(), "{attempt:?}");
        }
        Phase::Ended { end: End::Exited { exit }, .. } => {
            let left = record.exit.as_ref().expect("an exit record");
            assert_eq!((exit.code, exit.signal), (left.code, left.signal));
            assert!(!record.alive && !process(facts.agent).is_alive());
        }
        Phase::Ended { end: End::Lost { .. }, .. } => {
            assert!(record.is_lost() && !process(facts.host).is_alive() && !process(facts.agent).is_alive());
        }
        other => panic!("{}: {other:?}", facts.id),
    }
}

#[test]
fn after_a_restart_every_task_stands_as_the_kernel_says() {
    for _ in 0..trials(2) {
        let mut scene = Scene::new(&playing(&["count=20"]));
        scene.start();
        let facts = scene.live(7);
        scene.kill();
        // 1 runs on; of 2 the agent is killed, of 3 ended, of 4 frozen; of 5 the host is killed, of
        // 6 frozen; of 7 the agent is killed while its host stands still.
        for (n, signal) in [(1, Signal::KILL), (2, Signal::TERM), (3, Signal::STOP)] {
            assert!(process(facts[n].agent).signal(signal));
        }
        for (n, signal) in [(4, Signal::KILL), (5, Signal::STOP), (6, Signal::STOP)] {
            assert!(process(facts[n].host).signal(signal));
        }
        poll("a frozen host", || stat(facts[6].host.pid) == Some(b'T'));
        assert!(process(facts[6].agent).signal(Signal::KILL));
        for n in [1, 2] {
            poll(&format!("an exit record of {n}"), || scene.record(facts[n].id.as_str()).exit.is_some());
        }
        poll("the host's end", || !runs(facts[4].host.pid) && !runs(facts[4].agent.pid));
        scene.start();
        let board = scene.board();
        for (n, facts) in (1..).zip(&facts) {
            let attempt = board.tasks[&id(n)].attempt().expect("attempt").clone();
            assert_true(&scene, facts, &attempt);
        }
        let need = |n| board.tasks[&id(n)].needs_you.as_ref().map(|need| need.kind);
        assert_eq!((need(1), need(2), need(5)), (None, Some(NeedKind::Exit), Some(NeedKind::Lost)));
        // What was frozen goes on, and is heard again.
        for n in [5, 6] {
            assert!(process(facts[n].host).signal(Signal::CONT));
        }
        assert!(process(facts[3].agent).signal(Signal::CONT));
        let board = scene.until("the end of 7", |b| b.tasks[&id(7)].attempt().is_some_and(|a| a.end().is_some()));
        assert_true(&scene, &facts[6], board.tasks[&id(7)].attempt().expect("attempt"));
        let before = Peer::status(&scene.host_socket(&facts[3].id)).output_bytes;
        poll("progress", || Peer::status(&scene.host_socket(&facts[3].id)).output_bytes > before);
    }
}

fn stat(pid: u32) -> Option<u8> {
    standup::os::process::Stat::read(pid).map(|stat| stat.state)
}
