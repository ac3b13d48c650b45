//! The lease on an agent's input, kept by its host whoever supervises.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use standup::model::board::Board;
use standup::model::input::Command as Wish;
use standup::wire::host::{Decoder, Empty, Frame, FromHost, Hello, Role, Size, ToHost, VERSIONS, feature};

use crate::scene::{DEADLINE, Scene, id, poll, scripted};

/// Says every line it gets.
const ECHO: &str = "stty -echo; while read line; do echo \"<$line>\"; done";

/// A person's terminal on a host.
struct Person {
    stream: UnixStream,
    decoder: Decoder<FromHost>,
    may_type: bool,
}

impl Person {
    fn at(socket: &Path, features: u64) -> Self {
        let stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
        let mut person = Self { stream, decoder: Decoder::new(), may_type: true };
        let size = Some(Size { rows: 40, cols: 120 });
        let features = features | feature::LEASE;
        person.send(&ToHost::Hello(Hello {
            versions: VERSIONS,
            features,
            role: Role::Client,
            size,
            readonly: false,
            scrollback: 0,
        }));
        person.until(|frame| matches!(frame, FromHost::SnapshotEnd(_)));
        person
    }

    fn send(&mut self, frame: &ToHost) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("a frame");
        self.stream.write_all(&bytes).expect("write");
    }

    fn until(&mut self, wanted: impl Fn(&FromHost) -> bool) {
        let mut buffer = vec![0; 32 << 10];
        loop {
            while let Some(frame) = self.decoder.next_frame().expect("frames") {
                if let FromHost::MayType(may) = &frame {
                    self.may_type = may.yes;
                }
                if wanted(&frame) {
                    return;
                }
            }
            let n = self.stream.read(&mut buffer).expect("the host speaks");
            assert!(n > 0, "the host hung up");
            self.decoder.feed(&buffer[..n]);
        }
    }

    /// Types a line, and returns once the host has dealt with it.
    fn types(&mut self, line: &str) {
        self.send(&ToHost::Input(format!("{line}\r").into_bytes()));
        self.send(&ToHost::Status(Empty {}));
        self.until(|frame| matches!(frame, FromHost::Status(_)));
    }
}

#[test]
fn one_terminal_types_during_a_takeover_and_no_restart_changes_that() {
    let mut scene = Scene::new(&scripted(ECHO));
    scene.start();
    let socket = scene.host_socket(&scene.live(1)[0].id);
    let mut early = Person::at(&socket, 0);
    early.types("a");
    scene.wish(Wish::Takeover { task: id(1), reason: "a test".into() }).expect("taken over");
    let mut taker = Person::at(&socket, feature::TAKES);
    early.until(|frame| matches!(frame, FromHost::MayType(may) if !may.yes));
    taker.types("b");
    early.types("lost 1");
    scene.kill();
    taker.types("c");
    early.types("lost 2");
    let mut late = Person::at(&socket, 0);
    assert!(!late.may_type, "the host keeps the lease while nobody supervises");
    late.types("lost 3");
    scene.start();
    // The supervisor speaks to the host again.
    scene.until("taken over as before", |b: &Board| b.tasks[&id(1)].is_taken_over());
    let marked = |b: &Board| b.tasks[&id(1)].lease.as_ref().is_some_and(|lease| lease.mark.is_some());
    scene.until("the worktree is marked", marked);
    late.types("lost 4");
    taker.types("d");
    scene.wish(Wish::Handback { task: id(1), note: String::new() }).expect("to be handed back");
    for person in [&mut early, &mut late] {
        person.until(|frame| matches!(frame, FromHost::MayType(may) if may.yes));
    }
    late.types("e");
    let said = || String::from_utf8_lossy(&scene.transcript("T1-1-1").0).into_owned();
    poll("the last line is said", || said().contains("<e>"));
    let said = said();
    assert!(!said.contains("<lost"), "{said}");
    assert!(["a", "b", "c", "d"].iter().all(|line| said.contains(&format!("<{line}>"))), "{said}");
}

#[test]
fn a_takeover_that_the_host_did_not_hear_of_holds_as_soon_as_somebody_supervises() {
    let mut scene = Scene::new(&scripted(ECHO));
    scene.start();
    let facts = scene.live(1).remove(0);
    let socket = scene.host_socket(&facts.id);
    scene.wish(Wish::Takeover { task: id(1), reason: String::new() }).expect("taken over");
    scene.kill();
    // As if that supervisor had ended before it told the host.
    let mut control = UnixStream::connect(&socket).expect("connect");
    let mut bytes = Vec::new();
    let hello =
        Hello { versions: VERSIONS, features: 0, role: Role::Control, size: None, readonly: true, scrollback: 0 };
    ToHost::Hello(hello).encode(&mut bytes).expect("a frame");
    ToHost::Lease(standup::wire::host::Lease { stands: false }).encode(&mut bytes).expect("a frame");
    control.write_all(&bytes).expect("write");
    let mut first = Person::at(&socket, 0);
    let second = Person::at(&socket, 0);
    assert!(second.may_type);
    scene.start();
    first.until(|frame| matches!(frame, FromHost::MayType(may) if !may.yes));
}
