//! No client can slow an agent: it comes to its end with nobody attached, with a client that
//! reads, and with clients that never do.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;

use standup::model::attempt::{End, Exit};

use crate::peer::Peer;
use crate::scene::{Scene, id, playing, poll, trials};
use crate::{median, memory_kib};

/// Far more than a terminal, the socket of a client and its queue hold together.
const BYTES: usize = 64 << 20;

/// Less than a third of that. Test builds take twice what releases do.
const PEAK_KIB: u64 = 20 << 10;

#[derive(Clone, Copy, Debug)]
enum Clients {
    None,
    Reading,
    Silent,
}

/// A client that reads all there is, until the host ends.
fn reading(socket: &Path) -> JoinHandle<()> {
    let mut peer = Peer::client(socket, 0);
    peer.until_painted();
    std::thread::spawn(move || {
        let until = Instant::now() + crate::scene::DEADLINE;
        while peer.next(until).is_some() {
            peer.output.clear();
        }
    })
}

fn ends(clients: Clients) {
    let mut scene = Scene::new(&playing(&["say=ready", "wait=go", &format!("flood={BYTES}"), "wait=end", "exit=0"]));
    scene.start();
    let facts = scene.live(1).remove(0);
    let socket = scene.host_socket(&facts.id);
    let mut silent = Vec::new();
    let mut reader = None;
    match clients {
        Clients::None => {}
        Clients::Reading => reader = Some(reading(&socket)),
        Clients::Silent => silent.extend((0..4).map(|_| Peer::client(&socket, 1000))),
    }
    scene.signal_file(1, "go");
    poll("all of it", || Peer::status(&socket).output_bytes > BYTES as u64);
    // Nor is what a client does not read kept for it.
    let peak = memory_kib(facts.host.pid, "VmHWM");
    assert!(peak < PEAK_KIB, "{clients:?}: the host took {peak} KiB");
    scene.signal_file(1, "end");
    let board = scene.until(&format!("{clients:?}"), |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
    let end = board.tasks[&id(1)].attempt().and_then(|a| a.end().cloned());
    assert_eq!(end, Some(End::Exited { exit: Exit { code: Some(0), signal: None } }));
    let exit = scene.record(facts.id.as_str()).exit.expect("an exit record");
    assert!(exit.output_bytes > BYTES as u64, "{} bytes came through", exit.output_bytes);
    // They were there until the end, and had not read a byte.
    drop(silent);
    if let Some(reader) = reader {
        reader.join().expect("the reader");
    }
}

/// Enough to fill everything between an agent and a client that does not read many times over.
const SHORT: usize = 16 << 20;

/// How much longer an agent may take with such clients: what they cost is none of its business.
const LONGER: f64 = 1.3;

#[test]
fn an_agent_that_nobody_reads_is_as_fast_as_its_neighbour() {
    let mut least = f64::MAX;
    for _ in 0..trials(3) {
        least = least.min(slowed(|socket| (0..4).map(|_| Peer::client(socket, 1000)).collect::<Vec<_>>()));
        if least <= LONGER {
            return;
        }
    }
    panic!("with clients that never read it took {least:.2} times as long");
}

/// One that reads has work of its own, on the same few cores: it may cost more, but not a multiple
/// of what the agent itself takes.
const READ: f64 = 3.0;

#[test]
fn an_agent_that_somebody_reads_is_not_held_up_either() {
    // In thousandths, which have an order.
    let times: Vec<u64> = (0..trials(3)).map(|_| (slowed(reading) * 1_000.0) as u64).collect();
    assert!(median(times.clone()) as f64 <= READ * 1_000.0, "in thousandths of its neighbour's time: {times:?}");
}

/// How many times longer a flood takes with such clients at the agent, than without any.
fn slowed<T>(attach: impl Fn(&Path) -> T) -> f64 {
    let mut scene = Scene::new(&playing(&["say=ready", "wait=go", &format!("flood={SHORT}"), "wait=end", "exit=0"]));
    scene.start();
    let sockets: Vec<_> = scene.live(2).iter().map(|facts| scene.host_socket(&facts.id)).collect();
    let _clients = attach(&sockets[0]);
    // At the same time, so that both share whatever the machine has left for them.
    let began = Instant::now();
    for n in [1, 2] {
        scene.signal_file(n, "go");
    }
    let mut took = [None, None];
    poll("both floods", || {
        for (took, socket) in took.iter_mut().zip(&sockets) {
            if took.is_none() && Peer::status(socket).output_bytes > SHORT as u64 {
                *took = Some(began.elapsed());
            }
        }
        took.iter().all(Option::is_some)
    });
    let [unread, free] = took.map(|took| took.expect("both ended").as_secs_f64());
    unread / free
}

#[test]
fn an_agent_ends_with_nobody_attached() {
    (0..trials(1)).for_each(|_| ends(Clients::None));
}

#[test]
fn an_agent_ends_with_a_client_that_reads() {
    (0..trials(1)).for_each(|_| ends(Clients::Reading));
}

#[test]
fn an_agent_ends_with_clients_that_never_read() {
    (0..trials(1)).for_each(|_| ends(Clients::Silent));
}
