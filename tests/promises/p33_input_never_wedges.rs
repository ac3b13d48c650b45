//! Input never wedges a host: eight mebibytes are pasted to an agent that never reads.

use std::time::{Duration, Instant};

use standup::wire::host::ToHost;

use crate::peer::Peer;
use crate::scene::{Scene, poll, scripted, trials};
use crate::{BUSY, median, memory_kib};

const PASTE: usize = 8 << 20;

/// The sender may be held up this long, in the middle one of the trials.
const LIMIT: Duration = Duration::from_secs(1);

/// How much a host may grow, in KiB.
const GROWTH: u64 = 8 << 10;

#[test]
fn a_paste_that_nobody_reads_holds_nobody_up() {
    let mut scene =
        Scene::new(&scripted("stty raw -echo; echo deaf; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done"));
    scene.start();
    let facts = scene.live(1).remove(0);
    let socket = scene.host_socket(&facts.id);
    let mut took = Vec::new();
    let mut before = None;
    let mut first = Peer::client(&socket, 0);
    first.until_painted();
    if !String::from_utf8_lossy(&first.output).contains("deaf") {
        first.until_output("deaf");
    }
    for _ in 0..trials(3) {
        let mut first = Peer::client(&socket, 0);
        first.until_painted();
        let before = *before.get_or_insert_with(|| memory_kib(facts.host.pid, "VmRSS"));
        first.set_write_limit(std::time::Duration::from_secs(30));
        let dropped = Peer::status(&socket).input_dropped;
        let began = Instant::now();
        first.send(&ToHost::Input(vec![b'x'; PASTE])).expect("the host takes it");
        took.push(began.elapsed());
        let mut second = Peer::client(&socket, 0);
        second.until_painted();
        poll("what was too much is counted", || Peer::status(&socket).input_dropped >= dropped + (PASTE as u64) / 2);
        let peak = memory_kib(facts.host.pid, "VmHWM");
        assert!(peak <= before + GROWTH, "{before} KiB became {peak} KiB");
    }
    assert!(median(took.clone()) <= LIMIT * BUSY, "they took {took:?}");
    // It can still be stopped.
    scene.wish(standup::model::input::Command::Stop { task: crate::scene::id(1) }).expect("stop");
    scene.until("the stop", |b| b.tasks[&crate::scene::id(1)].attempt().is_some_and(|a| a.end().is_some()));
}
