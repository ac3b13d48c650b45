//! The lease on an agent's input.

use standup::wire::host::{FromHost, Lease, RefusedWhy, Role, Size, ToHost, TypeRequest, feature};

use super::{Bench, Link, wait_until};

const SMALL: Size = Size { rows: 20, cols: 60 };
const LARGE: Size = Size { rows: 40, cols: 120 };

/// Says every line it gets, and nothing before it is asked.
const ECHO: &str = "stty -echo; echo up; while read line; do echo \"<$line>\"; done";

fn client(bench: &Bench, size: Size, features: u64) -> Link {
    let mut link = Link::open_with(bench.spec.socket.as_path(), Role::Client, Some(size), false, features).0;
    link.expect("its screen", |frame| matches!(frame, FromHost::SnapshotEnd(_)).then_some(()));
    link
}

fn lease(bench: &Bench, stands: bool) {
    let mut link = bench.link(Role::Control);
    link.send(&ToHost::Lease(Lease { stands }));
    // Answered in its turn: the lease is known by then.
    link.status();
}

/// The next word on whether what it types arrives.
fn may_type(link: &mut Link) -> bool {
    link.expect("whether it may type", |frame| match frame {
        FromHost::MayType(may) => Some(may.yes),
        _ => None,
    })
}

fn types(link: &mut Link, line: &str) {
    link.send(&ToHost::Input(format!("{line}\r").into_bytes()));
    // What it sends after that is worked off after that.
    link.status();
}

fn said(bench: &Bench, line: &str) -> usize {
    String::from_utf8_lossy(&bench.output()).matches(&format!("<{line}>")).count()
}

fn up(bench: &Bench) {
    bench.start();
    wait_until("output", || (bench.link(Role::Control).status().output_bytes > 0).then_some(()));
}

#[test]
fn while_a_lease_stands_one_client_types_and_sets_the_size() {
    let bench = Bench::sh(ECHO);
    up(&bench);
    let mut first = client(&bench, SMALL, feature::LEASE);
    let mut second = client(&bench, LARGE, feature::LEASE);
    // The first is the one that was active when it begins.
    types(&mut first, "a");
    lease(&bench, true);
    assert!(!may_type(&mut second));
    types(&mut second, "b");
    second.send(&ToHost::Resize(Size { rows: 50, cols: 150 }));
    types(&mut first, "c");
    first.expect_text("<c>");
    assert_eq!(first.status().size, SMALL);
    // One that comes later looks too, whatever its size.
    let mut third = Link::open_with(bench.spec.socket.as_path(), Role::Client, Some(LARGE), false, feature::LEASE).0;
    assert!(!may_type(&mut third));
    types(&mut third, "d");
    // The later takeover moves the input, and only the one that had it hears of that.
    let mut taker = client(&bench, LARGE, feature::LEASE | feature::TAKES);
    assert!(!may_type(&mut first));
    types(&mut first, "e");
    types(&mut taker, "f");
    taker.expect_text("<f>");
    assert_eq!(taker.status().size, LARGE);
    // It is given back to everybody, and each that could not type hears so.
    lease(&bench, false);
    for link in [&mut first, &mut second, &mut third] {
        assert!(may_type(link));
    }
    types(&mut second, "g");
    second.expect_text("<g>");
    // Whoever took the input then has no claim to it the next time.
    lease(&bench, true);
    assert!(!may_type(&mut taker));
    types(&mut taker, "h");
    types(&mut second, "i");
    second.expect_text("<i>");
    bench.stop();
    let lines = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|line| said(&bench, line));
    assert_eq!(lines, [1, 0, 1, 0, 0, 1, 1, 0, 1]);
}

#[test]
fn the_next_that_comes_has_the_input_once_the_holder_has_gone() {
    let bench = Bench::sh(ECHO);
    up(&bench);
    // Nobody is there yet.
    lease(&bench, true);
    let holder = client(&bench, SMALL, feature::LEASE);
    let mut other = client(&bench, SMALL, feature::LEASE);
    types(&mut other, "b");
    drop(holder);
    wait_until("the holder is gone", || (bench.link(Role::Control).status().clients == 1).then_some(()));
    // One that only looked did not ask for it.
    types(&mut other, "c");
    let mut next = client(&bench, SMALL, feature::LEASE);
    types(&mut next, "d");
    next.expect_text("<d>");
    bench.stop();
    assert_eq!([said(&bench, "b"), said(&bench, "c"), said(&bench, "d")], [0, 0, 1]);
}

#[test]
fn a_lease_outlives_who_began_it_and_nothing_is_typed_beside_it() {
    let bench = Bench::sh(ECHO);
    up(&bench);
    let message = |msg_id| {
        let text = format!("message {msg_id}");
        ToHost::Type(TypeRequest { msg_id, if_signal_seq: None, text, submit: true, withhold_on: Vec::new() })
    };
    let outcome = |link: &mut Link| {
        link.expect("an answer", |frame| match frame {
            FromHost::Typed(typed) => Some(Ok(typed.msg_id)),
            FromHost::Refused(refused) => Some(Err(refused.why)),
            _ => None,
        })
    };
    let mut watcher = bench.link(Role::Watcher);
    watcher.send(&ToHost::Lease(Lease { stands: true }));
    watcher.send(&message(1));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Leased));
    drop(watcher);
    let mut holder = client(&bench, SMALL, feature::LEASE);
    let mut other = Link::open_with(bench.spec.socket.as_path(), Role::Client, Some(SMALL), false, feature::LEASE).0;
    assert!(!may_type(&mut other));
    // A client has no say in it.
    other.send(&ToHost::Lease(Lease { stands: false }));
    types(&mut other, "b");
    types(&mut holder, "c");
    holder.expect_text("<c>");
    let mut watcher = bench.link(Role::Watcher);
    watcher.send(&message(2));
    assert_eq!(outcome(&mut watcher), Err(RefusedWhy::Leased));
    watcher.send(&ToHost::Lease(Lease { stands: false }));
    // What was refused was not written, so it may be tried again.
    watcher.send(&message(1));
    assert_eq!(outcome(&mut watcher), Ok(1));
    holder.expect_text("<message 1>");
    bench.stop();
    assert_eq!([said(&bench, "b"), said(&bench, "message 1"), said(&bench, "message 2")], [0, 1, 0]);
}

#[test]
fn a_client_of_before_leases_is_told_in_the_way_it_knows() {
    let bench = Bench::sh(ECHO);
    up(&bench);
    let mut old = client(&bench, SMALL, 0);
    let _taker = client(&bench, SMALL, feature::LEASE | feature::TAKES);
    lease(&bench, true);
    old.expect_text("\x1b]9;read-only");
    types(&mut old, "b");
    lease(&bench, false);
    types(&mut old, "c");
    old.expect_text("<c>");
    bench.stop();
    assert_eq!([said(&bench, "b"), said(&bench, "c")], [0, 1]);
}
