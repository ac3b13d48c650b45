//! `client::attach` in a process and a terminal of its own, against a host that does what a test
//! says.

mod outer;
mod real;
mod scripted;

use std::time::Duration;

use outer::Outer;
use proptest::prelude::*;
use rustix::process::Signal;
use scripted::{Scripted, alt_snapshot, main_snapshot};
use standup::client::terminal::reset_sequence;
use standup::wire::host::{FromHost, MayType, SnapshotReason, ToHost, feature};

/// Both sides, with the greeting and the first snapshot done.
fn attached(snapshot: &[u8], extra: &[(&str, &str)]) -> (Scripted, Outer) {
    let mut host = Scripted::listen();
    let outer = Outer::start(host.path(), extra);
    host.accept();
    host.snapshot(SnapshotReason::Attach, snapshot);
    host.output(b"ready");
    outer.wait_for_text("ready");
    (host, outer)
}

/// What Codex and Claude turn on, between them.
const LOUD: &[u8] = b"\x1b[?2004h\x1b[?1004h\x1b[?2031h\x1b[>4;0m\x1b[>7u\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h\
\x1b[>5u\x1b[?25l\x1b[?1h\x1b=\x1b[?7l\x1b[3;9r\x1b[4 q\x1b]0;agent\x07\x1b]11;#202020\x07\x1b(0\x1b[1;31m\x1b]8;;https://example.invalid\x07";

#[test]
fn detaching_gives_the_terminal_back_and_leaves_the_agent_alone() {
    for chord in [&b"\x1dd"[..], b"\x1b[93;5ud", b"\x1b[27;5;93~d", b"\x1b[93;5:1u\x1b[93;5:3u\x1b[100;1:1u"] {
        let (mut host, mut outer) = attached(&alt_snapshot("a"), &[]);
        host.output(LOUD);
        host.output(b"loud");
        outer.wait_for_bytes(b"loud");
        outer.type_keys(b"last words");
        outer.type_keys(chord);
        assert_eq!(outer.wait_ended(), "[detached from T3; standup attach T3 returns]");
        outer.assert_given_back();
        assert_eq!(host.input_until_closed(), b"last words");
    }
}

#[test]
fn the_screen_comes_first_then_live_bytes_both_ways() {
    let (mut host, mut outer) = attached(&main_snapshot("first\r\nsecond"), &[]);
    outer.type_keys("hé\x1b[A\r".as_bytes());
    assert_eq!(host.input(7), "hé\x1b[A\r".as_bytes());
    host.output(b"\r\nthird");
    outer.wait_for_text("third");
    let text = outer.screen_text();
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} is not in {text:?}"));
    assert!(at("first") < at("second") && at("second") < at("third"));
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_lone_escape_reaches_the_agent_and_the_prefix_can_be_sent() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    outer.type_keys(b"\x1b");
    assert_eq!(host.input(1), b"\x1b");
    outer.type_keys(b"\x1d\x1d");
    assert_eq!(host.input(1), b"\x1d");
    outer.type_keys(b"\x1dx");
    assert_eq!(host.input(2), b"\x1dx");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
}

#[test]
fn the_agents_end_is_told_after_its_last_output() {
    for (code, signal, line) in
        [(Some(7), None, "[T3 exited with code 7]"), (None, Some(9), "[T3 was ended by signal 9]")]
    {
        let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
        host.output(LOUD);
        host.output(b"\x1b[?1049l\x1b(Bgoodbye\r\n");
        host.exit(code, signal);
        host.close();
        assert_eq!(outer.wait_ended(), line);
        assert!(outer.screen_text().contains("goodbye"), "{:?}", outer.screen_text());
        outer.assert_given_back();
    }
}

#[test]
fn an_agent_that_exits_before_the_connection_closes_does_not_hold_the_person() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    host.exit(Some(0), None);
    assert_eq!(outer.wait_ended(), "[T3 exited with code 0]");
    drop(host);
}

#[test]
fn a_host_that_dies_gives_the_terminal_back() {
    let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
    host.output(LOUD);
    // Dies in the middle of a frame, in the middle of a sequence.
    host.raw(&[0x46, 0, 0, 0, 40, 0x1b, b'[']);
    host.close();
    assert_eq!(outer.wait_ended(), "[the host of T3 is gone]");
    outer.assert_given_back();
}

#[test]
fn every_signal_that_ends_the_client_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
        host.output(LOUD);
        host.output(b"\x1b]0;cut in the mid");
        outer.wait_for_bytes(b"in the mid");
        outer.signal(signal);
        assert_eq!(
            outer.wait_ended(),
            format!("[detached from T3 by signal {}; standup attach T3 returns]", signal.as_raw())
        );
        outer.assert_given_back();
    }
}

#[test]
fn a_stopped_client_lends_the_terminal_back_and_repaints_when_it_goes_on() {
    let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
    host.output(LOUD);
    host.output(b"loud");
    outer.wait_for_bytes(b"loud");
    outer.signal(Signal::TSTP);
    outer.wait_stopped();
    outer.wait_for_bytes(b"\x1b[?1007r");
    outer.assert_modes_at_rest();
    outer.signal(Signal::CONT);
    host.expect("a request for a snapshot", |frame| matches!(frame, ToHost::SnapshotRequest(_)));
    host.output(b"too early");
    host.snapshot(SnapshotReason::Request, &alt_snapshot("again"));
    outer.wait_for_text("again");
    assert!(!outer.has_printed(b"too early"));
    outer.type_keys(b"k");
    assert_eq!(host.input(1), b"k");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_reader_types_nothing_and_can_still_leave() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[("READONLY", "1")]);
    assert!(host.hello().readonly);
    outer.type_keys(b"rm -rf\r\x1b[200~paste\x1b[201~\x1b");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    assert_eq!(host.input_until_closed(), b"");
}

#[test]
fn who_may_not_type_is_told_once_and_the_screen_comes_back_as_it_was() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    assert_eq!(host.hello().features & feature::TAKES, 0);
    outer.type_keys(b"mine");
    assert_eq!(host.input(4), b"mine");
    host.frame(&FromHost::MayType(MayType { yes: false }));
    outer.wait_for_text("[read-only; standup takeover T3 takes the input from the terminal that has it]");
    outer.type_keys(b"lost\x1b[200~paste\x1b[201~");
    // Where the agent's cursor is, only the next snapshot says.
    host.output(b"too early");
    host.expect("a request for a snapshot", |frame| matches!(frame, ToHost::SnapshotRequest(_)));
    host.snapshot(SnapshotReason::Request, &main_snapshot("again"));
    outer.wait_for_text("again");
    assert!(!outer.has_printed(b"too early") && !outer.screen_text().contains("read-only"));
    host.output(b" live");
    outer.wait_for_text("live");
    host.frame(&FromHost::MayType(MayType { yes: true }));
    outer.wait_for_text("[what you type arrives again]");
    // Who types wants to see what that does.
    outer.type_keys(b"k");
    assert_eq!(host.input(1), b"k");
    host.expect("a request for a snapshot", |frame| matches!(frame, ToHost::SnapshotRequest(_)));
    host.snapshot(SnapshotReason::Request, &alt_snapshot("other screen"));
    outer.wait_for_text("other screen");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
    assert_eq!(host.input_until_closed(), b"");
}

#[test]
fn who_comes_while_another_has_the_input_is_told_after_the_first_screen() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[]);
    host.accept();
    host.frame(&FromHost::MayType(MayType { yes: false }));
    host.snapshot(SnapshotReason::Attach, &alt_snapshot("first"));
    outer.wait_for_text("read-only");
    assert!(outer.screen_text().contains("first"), "{:?}", outer.screen_text());
    outer.type_keys(b"lost\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
    assert_eq!(host.input_until_closed(), b"");
}

#[test]
fn beside_others_on_a_host_that_knows_no_leases_one_only_looks_unless_one_takes_the_input() {
    for (env, clients, typed) in [
        (&[("LEASED", "1")][..], 2, &b""[..]),
        (&[("LEASED", "1")], 1, b"keys"),
        (&[("LEASED", "1"), ("TAKES", "1")], 2, b"keys"),
        (&[], 2, b"keys"),
    ] {
        let mut host = Scripted::listen();
        let mut outer = Outer::start(host.path(), env);
        host.accept_beside(clients);
        assert_eq!(host.hello().features & feature::TAKES != 0, env.len() == 2);
        host.snapshot(SnapshotReason::Attach, &main_snapshot("first"));
        outer.wait_for_text("first");
        outer.type_keys(b"keys\x1dd");
        outer.wait_ended();
        assert_eq!(host.input_until_closed(), typed, "{env:?} beside {clients}");
    }
}

#[test]
fn sizes_are_told_at_the_start_and_when_they_change() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    let size = host.hello().size.expect("a size");
    assert_eq!((size.rows, size.cols), (24, 80));
    // A terminal that does not know its size any more keeps the last one.
    for (rows, cols) in [(0, 0), (1, 1), (31, 101)] {
        outer.resize(rows, cols);
    }
    host.expect("the new size", |frame| matches!(frame, ToHost::Resize(size) if (size.rows, size.cols) == (31, 101)));
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
}

#[test]
fn a_terminal_without_a_size_is_taken_for_an_ordinary_one() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[("SIZE", "0x0"), ("SCROLLBACK", "50")]);
    host.accept();
    let hello = host.hello();
    assert_eq!(hello.size.map(|size| (size.rows, size.cols)), Some((24, 80)));
    assert_eq!(hello.scrollback, 50);
    outer.signal(Signal::TERM);
    outer.wait_ended();
}

#[test]
fn a_megabyte_of_paste_arrives_whole_while_the_host_floods_and_reads_slowly() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    let body: Vec<u8> = (0..1usize << 20).map(|i| b"\x1dd\x1b[93;5ud 0123456789\n"[i % 22]).collect();
    let paste = [&b"\x1b[200~"[..], &body, b"\x1b[201~"].concat();
    outer.type_in_background([&paste[..], b"tail"].concat());
    let mut got = Vec::new();
    while got.len() < paste.len() + 4 {
        host.output(&[b'.'; 4000]);
        got.extend(host.some_input());
    }
    assert!(got == [&paste[..], b"tail"].concat(), "the paste came through changed");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_host_that_takes_nothing_cannot_keep_the_person() {
    let (host, mut outer) = attached(&main_snapshot("x"), &[]);
    let paste = [&b"\x1b[200~"[..], &vec![b'p'; 2 << 20], b"\x1b[201~\x1dd"].concat();
    outer.type_in_background(paste);
    assert_eq!(outer.wait_ended(), "[detached from T3; standup attach T3 returns]");
    outer.assert_given_back();
    drop(host);
}

#[test]
fn a_paste_that_had_to_be_cut_is_closed_before_the_next_key() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    let paste = [&b"\x1b[200~"[..], &vec![b'p'; 2 << 20], b"\x1b[201~"].concat();
    outer.type_in_background(paste.clone()).join().expect("the client reads on while the host takes nothing");
    let mut got = host.input(1 << 10);
    while !got.ends_with(b"\x1b[201~") {
        got.extend(host.some_input());
    }
    let kept = got.len() - b"\x1b[201~".len();
    assert!(kept < paste.len() && got[..kept] == paste[..kept]);
    outer.type_keys(b"k");
    assert_eq!(host.input(1), b"k");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
}

#[test]
fn what_was_typed_before_the_chord_still_arrives_after_it() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    // More than the socket takes while the host does not read.
    let typed = vec![b'k'; 240 << 10];
    outer.type_in_background([&typed[..], b"\x1dd"].concat());
    outer.wait_for_bytes(b"\x1b[?1007r");
    assert!(host.input_until_closed() == typed);
    outer.wait_ended();
}

#[test]
fn a_snapshot_waits_for_a_slow_terminal_and_undoes_what_it_read_meanwhile() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    outer.stop_reading();
    // What does not fit into the terminal is on its way when the snapshot comes.
    host.output(&[b'.'; 40_000]);
    host.output(LOUD);
    host.snapshot(SnapshotReason::Lagged, &main_snapshot("plain"));
    host.frame(&FromHost::Clients(standup::wire::host::Clients { attached: 1 }));
    outer.type_keys(b"k");
    assert_eq!(host.input(1), b"k", "keys go through meanwhile");
    outer.start_reading();
    outer.wait_for_text("plain");
    outer.assert_modes_at_rest();
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_terminal_that_does_not_read_costs_no_memory_and_cannot_keep_the_client() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    outer.stop_reading();
    let before = outer.memory_kib();
    let taken = host.flood(64 << 20, Duration::from_secs(2));
    assert!(taken < 4 << 20, "{taken} bytes were taken off the host, and went nowhere");
    assert!(outer.memory_kib() < before + 1024, "{} KiB before, {} after", before, outer.memory_kib());
    outer.signal(Signal::TERM);
    outer.wait_line_given_back();
    outer.start_reading();
    outer.wait_exit();
    outer.assert_line_given_back();
}

#[test]
fn a_new_snapshot_starts_from_a_clean_terminal() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    host.output(LOUD);
    host.output(b"\x1b]2;cut");
    host.snapshot(SnapshotReason::Lagged, &main_snapshot("plain"));
    outer.wait_for_text("plain");
    outer.assert_modes_at_rest();
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn the_agents_main_screen_comes_when_it_leaves_the_other_one() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[("BEFORE", "my own work\r\n")]);
    host.accept();
    host.snapshot(SnapshotReason::Attach, &alt_snapshot("full screen"));
    outer.wait_for_text("full screen");
    host.snapshot(SnapshotReason::Other, &main_snapshot("$ history"));
    outer.wait_for_text("$ history");
    outer.assert_modes_at_rest();
    assert!(outer.scrollback_text().contains("my own work"), "{:?}", outer.scrollback_text());
    assert!(!outer.screen_text().contains("my own work"));
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn what_the_person_had_on_the_screen_moves_into_the_scrollback() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[("BEFORE", "my own work\r\n$ attach\r\n")]);
    host.accept();
    host.snapshot(SnapshotReason::Attach, &main_snapshot("the agent's"));
    outer.wait_for_text("the agent's");
    assert!(!outer.screen_text().contains("my own work"));
    assert!(outer.scrollback_text().contains("my own work\n$ attach"), "{:?}", outer.scrollback_text());
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
    outer.assert_given_back();
}

#[test]
fn a_full_screen_agent_leaves_the_persons_screen_as_it_was() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[("BEFORE", "my own work\r\n$ attach\r\n")]);
    host.accept();
    host.snapshot(SnapshotReason::Attach, &alt_snapshot("the agent's"));
    outer.wait_for_text("the agent's");
    outer.type_keys(b"\x1dd");
    let line = outer.wait_ended();
    outer.assert_given_back();
    assert_eq!(outer.screen_text().trim_end(), format!("my own work\n$ attach\n{line}"));
}

#[test]
fn a_client_that_was_killed_is_cleaned_up_after_by_the_reset_sequence() {
    let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
    host.output(LOUD);
    host.output(b"loud");
    outer.wait_for_bytes(b"loud");
    outer.signal(Signal::KILL);
    outer.wait_exit();
    outer.reset();
    outer.assert_modes_at_rest();
    // The next client is served at once.
    let mut again = Outer::start(host.path(), &[]);
    host.accept();
    host.snapshot(SnapshotReason::Attach, &alt_snapshot("again"));
    again.wait_for_text("again");
    again.type_keys(b"\x1dd");
    again.wait_ended();
}

#[test]
fn a_host_of_another_version_is_named() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[]);
    host.refuse_version(7, 9);
    let line = outer.wait_ended();
    assert!(line.contains("the host speaks versions 7 to 9, this program version 1"), "{line}");
    outer.assert_given_back();
}

#[test]
fn a_host_that_hangs_up_at_once_is_an_error() {
    let mut host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[]);
    host.hang_up();
    let line = outer.wait_ended();
    assert!(line.starts_with("error: cannot talk to the host"), "{line}");
    outer.assert_given_back();
}

#[test]
fn a_host_that_sends_no_frames_ends_it_cleanly() {
    let (mut host, mut outer) = attached(&alt_snapshot("x"), &[]);
    host.output(LOUD);
    host.raw(&[0x46, 0xff, 0xff, 0xff, 0xff]);
    let line = outer.wait_ended();
    assert!(line.starts_with("error: cannot understand the host"), "{line}");
    outer.assert_given_back();
}

#[test]
fn unknown_frames_are_passed_over() {
    let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
    host.raw(&[0x7f, 0, 0, 0, 3, 1, 2, 3]);
    host.frame(&FromHost::HostError(standup::wire::host::HostError { text: "disk full".into() }));
    host.output(b"still here");
    outer.wait_for_text("still here");
    outer.type_keys(b"\x1dd");
    outer.wait_ended();
}

#[test]
fn an_agents_own_terminal_is_refused() {
    let host = Scripted::listen();
    let mut outer = Outer::start(host.path(), &[("INSIDE", "T9-1")]);
    let line = outer.wait_ended();
    assert_eq!(line, "error: cannot attach to T3: this terminal already belongs to an agent (T9-1)");
    outer.assert_given_back();
}

#[test]
fn nobody_listening_is_an_error() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut outer = Outer::start(dir.path().join("none"), &[]);
    let line = outer.wait_ended();
    assert!(line.starts_with("error: cannot reach the host"), "{line}");
    outer.assert_given_back();
}

/// What programs do to a terminal, the more and the less usual.
const ACTS: &[&str] = &[
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?25l",
    "\x1b[?7l",
    "\x1b[?1h",
    "\x1b[?6h",
    "\x1b[?1000h",
    "\x1b[?1002;1006h",
    "\x1b[?1003h",
    "\x1b[?1005h",
    "\x1b[?1004h",
    "\x1b[?2004h",
    "\x1b[?2004l",
    "\x1b[?2026h",
    "\x1b[?2026l",
    "\x1b[>1u",
    "\x1b[>31u",
    "\x1b[<u",
    "\x1b[<9u",
    "\x1b[=3;1u",
    "\x1b=",
    "\x1b>",
    "\x1b[4h",
    "\x1b[20h",
    "\x1b[31;44m",
    "\x1b[7m",
    "\x1b[m",
    "\x1b(0",
    "\x0e",
    "\x1b[3 q",
    "\x1b]0;title\x07",
    "\x1b]10;#ff0000\x1b\\",
    "\x1b]8;;https://example.invalid\x1b\\",
    "\x1b[5;10r",
    "\x1b7",
    "\x1b8",
    "\x1bc",
    "\x1bP1$r0m\x1b\\",
    "\x1b[22;0t",
    "text\r\n",
];

fn acts() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(prop::sample::select(ACTS), 0..40), 0..6usize).prop_map(|(acts, lost)| {
        let mut bytes = acts.concat().into_bytes();
        bytes.truncate(bytes.len().saturating_sub(lost));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn the_reset_sequence_brings_any_terminal_to_rest(acts in acts()) {
        outer::assert_output_at_rest(&[&acts[..], &reset_sequence()].concat());
    }
}

proptest! {
    // Each case is a client of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn whatever_the_agent_does_to_the_terminal_is_undone(acts in acts()) {
        let (mut host, mut outer) = attached(&main_snapshot("x"), &[]);
        host.output(&acts);
        host.close();
        outer.wait_exit();
        outer.assert_model_at_rest();
        outer.assert_line_given_back();
    }
}

#[test]
#[ignore = "the client process of the other tests, not a test of its own"]
fn client_process() {
    outer::be_the_client();
}
