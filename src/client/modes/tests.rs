use super::*;
use proptest::prelude::*;

fn undo_of(bytes: &[u8]) -> String {
    let mut tracker = Tracker::new();
    tracker.feed(bytes);
    tracker.undo(false).escape_ascii().to_string()
}

#[test]
fn what_was_not_touched_is_not_undone() {
    for plain in [
        &b""[..],
        b"hello\r\n\xc3\xa9",
        b"\x1b[1mbold\x1b[0m",
        b"\x1b[2J\x1b[H\x1b[10;10H",
        b"\x1b7\x1b8\x1b[?25h\x1b[?7h",
    ] {
        assert_eq!(undo_of(plain), "", "{}", plain.escape_ascii());
    }
    assert_eq!(undo_of(b"\x1b[?2004h\x1b[?1000;1006h\x1b[?1000l\x1b[?1006l\x1b[?2004l"), "");
    assert_eq!(undo_of(b"\x1b]11;?\x1b\\"), "", "a query changes nothing");
}

#[test]
fn what_claude_and_codex_set_is_undone_in_the_right_order() {
    assert_eq!(
        undo_of(b"\x1b[?2004h\x1b[?1004h\x1b[?2031h\x1b[>5u\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h\x1b[?25l"),
        "\\x1b[?1000l\\x1b[?1002l\\x1b[?1003l\\x1b[?1004l\\x1b[?1006l\\x1b[?2004l\\x1b[?2031l\\x1b[?1049l\\x1b[<1u\\x1b[m\\x1b[?25h"
    );
    assert_eq!(
        undo_of(b"\x1b[?2004h\x1b[>4;0m\x1b[>7u\x1b[?1004h\x1b[?1049h\x1b[>7u\x1b[>1u"),
        "\\x1b[?1004l\\x1b[?2004l\\x1b[>4m\\x1b[<2u\\x1b[?1049l\\x1b[<1u\\x1b[m"
    );
}

#[test]
fn small_things_are_undone_too() {
    for (bytes, undo) in [
        (&b"\x1b[31m"[..], "\\x1b[m"),
        (b"\x1b(0", "\\x0f\\x1b(B\\x1b)B"),
        (b"a\x0e", "\\x0f\\x1b(B\\x1b)B"),
        (b"\x1b=", "\\x1b>"),
        (b"\x1b[4 q", "\\x1b[0 q"),
        (b"\x1b]8;id=1;https://example.invalid\x1b\\", "\\x1b]8;;\\x1b\\\\"),
        (b"\x1b]9;4;1;50\x07", "\\x1b]9;4;0\\x1b\\\\"),
        (b"\x1b[4h", "\\x1b[4l"),
        (b"\x1b[2;5r", "\\x1b7\\x1b[r\\x1b8"),
        (b"\x1b[?7l", "\\x1b[?7h"),
        (b"\x1b]12;#ff0000\x07", "\\x1b]112\\x1b\\\\"),
        (b"\x1b[=1u", "\\x1b[=0u"),
        (b"\x1b]0;half a tit", "\\x1b\\\\"),
        (b"\x1b[?20", "\\x1b\\\\"),
        (b"\x1bPq#0", "\\x1b\\\\"),
    ] {
        assert_eq!(undo_of(bytes), undo, "{}", bytes.escape_ascii());
    }
    for undone in
        ["\x1b[31m\x1b[m", "\x1b=\x1b>", "\x1b]8;;u\x07\x1b]8;;\x07", "\x1b[?1049h\x1b[>1u\x1bc", "\x1b[2;5r\x1b[r"]
    {
        assert_eq!(undo_of(undone.as_bytes()), "", "{}", undone.escape_debug());
    }
}

#[test]
fn titles_are_taken_off_as_often_as_they_were_put_on() {
    let mut tracker = Tracker::new();
    tracker.feed(b"\x1b[22;0t\x1b]2;mine\x07\x1b[22;2t\x1b[23;2t\x1b[22t");
    assert_eq!(tracker.undo(false), b"");
    assert_eq!(tracker.undo_title(), b"\x1b]2;\x1b\\\x1b[23;0t\x1b[23;0t");
}

#[test]
fn the_other_screen_can_be_kept() {
    let mut tracker = Tracker::new();
    tracker.feed(b"\x1b[>1u\x1b[?1049h\x1b[>7u\x1b[?25l");
    assert_eq!(tracker.undo(true), b"\x1b[<1u\x1b[?25h");
    assert!(enters_alt(b"\x1b[?25l\x1b[?1049hx") && !enters_alt(b"\x1b[?1049h\x1b[?1049l"));
}

const SEQUENCES: &[&str] = &[
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?47h",
    "\x1b[?47l",
    "\x1b[?25l",
    "\x1b[?25h",
    "\x1b[?7l",
    "\x1b[?1h",
    "\x1b[?1000;1006h",
    "\x1b[?2004h",
    "\x1b[?2026h",
    "\x1b[>1u",
    "\x1b[>7u",
    "\x1b[<u",
    "\x1b[<3u",
    "\x1b[=5u",
    "\x1b[>4;2m",
    "\x1b[31m",
    "\x1b[m",
    "\x1b(0",
    "\x1b[5 q",
    "\x1b]2;t\x07",
    "\x1b]10;red\x1b\\",
    "\x1b[22;0t",
    "\x1b[3;9r",
    "\x1bP1$r\x1b\\",
    "\x1bc",
    "text",
    "\x0e",
    "\x1b]8;;u\x07",
];

proptest! {
    #[test]
    fn undone_is_undone_and_cuts_do_not_matter(
        picks in prop::collection::vec(prop::sample::select(SEQUENCES), 0..30), step in 1usize..9, lost in 0usize..6,
    ) {
        let all = picks.concat().into_bytes();
        let bytes = &all[..all.len().saturating_sub(lost)];
        let (mut whole, mut cut) = (Tracker::new(), Tracker::new());
        whole.feed(bytes);
        bytes.chunks(step).for_each(|chunk| cut.feed(chunk));
        prop_assert_eq!(whole.undo(false), cut.undo(false));
        prop_assert_eq!(whole.undo_title(), cut.undo_title());
        let undo = whole.undo(false);
        whole.feed(&undo);
        let left = whole.undo(false);
        // Which key resources and character sets stand at their default cannot be told.
        let left = String::from_utf8(left).expect("ascii").replace("\x1b[>4m", "").replace("\x0f\x1b(B\x1b)B", "");
        prop_assert_eq!(left.replace("\x1b[m", ""), "");
    }

    #[test]
    fn garbage_neither_panics_nor_grows(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut tracker = Tracker::new();
        chunks.iter().for_each(|chunk| tracker.feed(chunk));
        prop_assert!(tracker.token.len() <= MAX_TOKEN);
        prop_assert!(tracker.undo(false).len() < 4096);
    }
}
