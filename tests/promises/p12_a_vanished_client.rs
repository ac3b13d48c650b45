//! A client that is killed in the middle of output locks nobody out.

use rustix::process::Signal;

use crate::attach::Outer;
use crate::peer::Peer;
use crate::scene::{Scene, playing, trials};

#[test]
fn after_a_client_was_killed_the_next_one_sees_live_output_at_once() {
    let mut scene = Scene::new(&playing(&["count=1"]));
    scene.start();
    let socket = scene.host_socket(&scene.live(1)[0].id);
    for _ in 0..trials(3) {
        let mut first = Outer::start(&socket, &[]);
        first.wait_for_text("count");
        first.signal(Signal::KILL);
        let second = Outer::start(&socket, &[]);
        second.wait_for_text("count");
        let mut third = Peer::client(&socket, 0);
        third.until_painted();
        third.until_output("count ");
        third.until_output("count ");
        second.type_keys(b"\x1dd");
        first.wait_exit();
    }
    assert_eq!(Peer::status(&socket).clients, 0, "nobody is counted who is gone");
}
