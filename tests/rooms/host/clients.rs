//! Clients that read, that do not, and that speak nonsense.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use standup::wire::host::{FromHost, Role, Size, SnapshotReason, SnapshotRequest, ToHost};

use super::bench::{LIMIT, peak_memory};
use super::{Bench, Link, wait_until};

#[test]
fn a_client_sees_the_screen_and_types() {
    let bench = Bench::sh("echo before; cat");
    bench.start();
    wait_until("output", || (bench.link(Role::Control).status().output_bytes > 0).then_some(()));
    let mut client = bench.client(Some(Size { rows: 30, cols: 100 }));
    client.expect_text("before");
    client.send(&ToHost::Input(b"typed\r".to_vec()));
    client.expect_text("typed\r\n");
    let status = client.status();
    assert_eq!((status.size, status.clients), (Size { rows: 30, cols: 100 }, 1));
    assert!(status.input_age_ms.is_some());
}

#[test]
fn the_last_active_client_sets_the_size_and_the_others_are_painted_anew() {
    let bench = Bench::sh("trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done");
    bench.start();
    wait_until("the trap", || (bench.link(Role::Control).status().output_bytes > 0).then_some(()));
    let mut first = bench.client(Some(Size { rows: 30, cols: 100 }));
    first.expect_text("30 100");
    let mut second = bench.client(Some(Size { rows: 20, cols: 60 }));
    second.expect_text("20 60");
    first.expect("a repaint", |frame| match frame {
        FromHost::SnapshotBegin(begin) if begin.because == SnapshotReason::Resize => Some(begin.size),
        _ => None,
    });
    first.send(&ToHost::Input(b"x".to_vec()));
    wait_until("the first one's size", || (first.status().size == Size { rows: 30, cols: 100 }).then_some(()));

    let (mut reader, _) = Link::open(bench.spec.socket.as_path(), Role::Client, Some(Size { rows: 5, cols: 10 }), true);
    reader.send(&ToHost::Input(b"\x03".to_vec()));
    assert_eq!(reader.status().size, Size { rows: 30, cols: 100 });
    assert!(bench.find().alive, "what a reader types is dropped");
}

#[test]
fn a_client_that_never_reads_neither_slows_the_agent_nor_fills_the_memory() {
    let bench = Bench::sh("read line; head -c 30000000 /dev/zero | tr '\\0' x | fold -w 79; sleep 1000");
    let address = bench.start();
    let mut deaf = bench.client(None);
    let mut watcher = bench.link(Role::Watcher);
    deaf.send(&ToHost::Input(b"go\r".to_vec()));
    // Everything comes through although nobody reads it.
    let total = 30_000_000;
    wait_until("the flood to pass", || (watcher.status().output_bytes > total).then_some(()));
    assert!(peak_memory(address.host.pid) < 32 << 20, "{} bytes", peak_memory(address.host.pid));
    // When it reads again, it is told what it missed and shown the screen.
    deaf.expect("the news", |frame| matches!(frame, FromHost::Lagged(lagged) if lagged.skipped > 0).then_some(()));
    deaf.expect("the screen", |frame| {
        matches!(frame, FromHost::SnapshotBegin(begin) if begin.because == SnapshotReason::Lagged).then_some(())
    });
}

#[test]
fn a_paste_that_nobody_reads_blocks_nobody() {
    let bench = Bench::sh("stty raw -echo; echo up; sleep 1000");
    let address = bench.start();
    let mut client = bench.client(None);
    client.expect_text("up");
    let began = Instant::now();
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..128 {
        client.send(&ToHost::Input(chunk.clone()));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "the sender was held for {took:?}");
    let mut other = bench.client(None);
    let status = wait_until("the drops", || Some(other.status()).filter(|s| s.input_dropped > 4 << 20));
    assert!(status.input_dropped < 8 << 20);
    assert!(peak_memory(address.host.pid) < 32 << 20);
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    let bench = Bench::sh("echo up; cat");
    bench.start();
    let mut client = bench.client(None);
    client.expect_text("up");
    let socket = bench.spec.socket.as_path();
    for nonsense in [&b"\x01\xff\xff\xff\xff"[..], b"\x01\x00\x00\x00\x02{]", b"\x02\x00\x00\x00\x01x", &[0xff; 4096]] {
        let mut stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(LIMIT)).expect("timeout");
        let _ = stream.write_all(nonsense);
        let mut rest = Vec::new();
        // Closed at once, or after the second that strangers have.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{nonsense:?} was answered");
    }
    let silent: Vec<UnixStream> = (0..50).map(|_| UnixStream::connect(socket).expect("connect")).collect();
    assert!(bench.link(Role::Control).status().clients == 1);
    drop(silent);
    client.send(&ToHost::Input(b"still here\r".to_vec()));
    client.expect_text("still here\r\n");
}

#[test]
fn tags_of_a_later_version_are_skipped() {
    let bench = Bench::sh("cat");
    bench.start();
    let mut link = bench.link(Role::Control);
    link.stream().try_clone().expect("clone").write_all(b"\x3f\x00\x00\x00\x03abc").expect("send");
    assert_eq!(link.status().id, bench.spec.id);
}

#[test]
fn the_main_screen_is_painted_when_it_shows_again() {
    let bench = Bench::sh("echo main; printf '\\033[?1049h\\033[Hfull'; read line; printf '\\033[?1049l'; cat");
    bench.start();
    let mut first = bench.client(None);
    first.expect_text("full");
    let mut client = bench.client(None);
    client.expect_text("full");
    assert!(!String::from_utf8_lossy(&client.shown).contains("main"));
    client.send(&ToHost::Input(b"\r".to_vec()));
    client.expect_text("main");
    client.send(&ToHost::SnapshotRequest(SnapshotRequest::default()));
    client.expect("a repaint", |frame| {
        matches!(frame, FromHost::SnapshotBegin(begin) if begin.because == SnapshotReason::Request).then_some(())
    });
}

#[test]
fn watchers_get_signals_and_no_output() {
    let bench = Bench::sh("read l; printf '\\033]0;the title\\007\\007\\033]9;note\\033\\\\on screen'; cat");
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    let mut client = bench.client(None);
    client.send(&ToHost::Input(b"\r".to_vec()));
    let (mut title, mut bell, mut note, mut activity) = (false, false, false, false);
    let text = watcher.expect("the screen", |frame| {
        match frame {
            FromHost::Title(t) => title |= t.text == "the title",
            FromHost::Bell(_) => bell = true,
            FromHost::Osc(osc) => note |= osc.number == 9 && osc.payload.to_text() == "note",
            FromHost::Activity(a) => activity |= a.bytes > 0,
            FromHost::Output(_) | FromHost::Snapshot(_) => panic!("output is for clients"),
            FromHost::Screen(screen) if screen.text.contains("on screen") => return Some(screen.text.clone()),
            _ => {}
        }
        None
    });
    assert!(text.ends_with("on screen"), "{text:?}");
    assert!(title && bell && note && activity, "title {title}, bell {bell}, note {note}, activity {activity}");
}

#[test]
fn clients_are_counted() {
    let bench = Bench::sh("cat");
    bench.start();
    let mut watcher = bench.link(Role::Watcher);
    let count = |watcher: &mut Link, wanted: u32| {
        watcher
            .expect("the count", |frame| matches!(frame, FromHost::Clients(c) if c.attached == wanted).then_some(()));
    };
    let client = bench.client(None);
    count(&mut watcher, 1);
    drop(client);
    count(&mut watcher, 0);
}
