//! Finds the detach chord `ctrl-] d` in what a terminal sends.
//!
//! `ctrl-] ctrl-]` sends one `ctrl-]` on; after `ctrl-]` any other key is passed on together with
//! it. The second key may be typed with ctrl still held or with caps lock on.
//!
//! **Invariant:** every byte that is not part of a chord comes out, once and unchanged; nothing
//! inside a bracketed paste is ever taken for a key, however its markers are cut. Must not know:
//! descriptors, clocks (the caller says when a wait is over), the host.

mod key;

use key::{Class, classify};

/// `ctrl-]` as terminals have always sent it.
const GS: u8 = 0x1d;
const ESC: u8 = 0x1b;
/// `ctrl-d`.
const EOT: u8 = 0x04;

const PASTE_END: &[u8] = b"\x1b[201~";

/// The longest key that is looked at, in bytes. The longest real ones (kitty, with alternates and
/// text) stay below half of it; what is longer passes unread.
const MAX_TOKEN: usize = 128;

/// The most bytes withheld behind a `ctrl-]` whose key repeats.
const MAX_PREFIX: usize = 256;

/// What a read of the terminal amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Go on.
    Continue,
    /// The chord was typed; what stood behind it in the same read is dropped.
    Detach,
}

/// The state between reads.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
    /// The escape sequence being read.
    token: Vec<u8>,
    /// Whether the bytes of `token` have been passed on already.
    leaked: bool,
    /// The withheld `ctrl-]`, as it came; empty if none was typed.
    prefix: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After `ESC [`.
    Csi,
    /// After `ESC [ M`: so many bytes of an old mouse report are missing.
    Mouse(u8),
    /// Inside a paste: so many bytes of its end marker have been seen.
    Paste(usize),
}

impl Scanner {
    /// At rest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read and appends to `out` what the agent shall get.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Verdict {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            let plain = match self.state {
                State::Ground if self.prefix.is_empty() => plain_run(rest, |b| b == ESC || b == GS),
                State::Paste(0) => plain_run(rest, |b| b == ESC),
                _ => 0,
            };
            if plain > 0 {
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                continue;
            }
            if self.byte(byte, out) == Verdict::Detach {
                return Verdict::Detach;
            }
            rest = behind;
        }
        Verdict::Continue
    }

    /// Whether the beginning of an escape sequence is held back. The caller waits for the rest a
    /// moment, then calls [`Scanner::flush`].
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.leaked && matches!(self.state, State::Escape | State::Csi | State::Mouse(_))
    }

    /// The wait is over: passes on what is held. A paste marker whose rest comes later still is
    /// one; a key is not.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if self.holds() {
            self.leak(out);
        }
    }

    /// Whether a paste is going on.
    #[must_use]
    pub fn in_paste(&self) -> bool {
        matches!(self.state, State::Paste(_))
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Verdict {
        match self.state {
            State::Paste(matched) => {
                out.push(byte);
                self.state = paste_state(matched, byte);
                Verdict::Continue
            }
            State::Ground => match byte {
                ESC => self.start(),
                GS => self.take(Class::Prefix, &[GS], out),
                b'd' | b'D' | EOT => self.take(Class::Detach, &[byte], out),
                _ => self.take(Class::Key, &[byte], out),
            },
            State::Mouse(missing) => {
                self.push(byte, out);
                self.state = State::Mouse(missing - 1);
                if missing == 1 { self.complete(Class::Report, out) } else { Verdict::Continue }
            }
            State::Escape | State::Csi if byte == ESC || byte == GS => {
                // Nothing ends like this: the sequence breaks off and another key begins.
                let _ = self.complete(Class::Key, out);
                self.byte(byte, out)
            }
            State::Escape => {
                self.push(byte, out);
                if byte == b'[' {
                    self.state = State::Csi;
                    return Verdict::Continue;
                }
                self.complete(Class::Key, out)
            }
            State::Csi => {
                self.push(byte, out);
                match byte {
                    0x20..=0x3f => Verdict::Continue,
                    b'M' if self.token == b"\x1b[M" => {
                        self.state = State::Mouse(3);
                        Verdict::Continue
                    }
                    _ => self.complete(classify(&self.token), out),
                }
            }
        }
    }

    fn start(&mut self) -> Verdict {
        self.token.clear();
        self.token.push(ESC);
        self.leaked = false;
        self.state = State::Escape;
        Verdict::Continue
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.token.len() >= MAX_TOKEN && !self.leaked {
            self.leak(out);
        }
        if self.token.len() < MAX_TOKEN {
            self.token.push(byte);
        }
        if self.leaked {
            out.push(byte);
        }
    }

    fn leak(&mut self, out: &mut Vec<u8>) {
        self.leaked = true;
        out.append(&mut self.prefix);
        out.extend_from_slice(&self.token);
    }

    fn complete(&mut self, class: Class, out: &mut Vec<u8>) -> Verdict {
        self.state = if class == Class::Paste { State::Paste(0) } else { State::Ground };
        if self.leaked {
            self.leaked = false;
            return Verdict::Continue;
        }
        let token = std::mem::take(&mut self.token);
        let verdict = self.take(class, &token, out);
        self.token = token;
        verdict
    }

    fn take(&mut self, class: Class, bytes: &[u8], out: &mut Vec<u8>) -> Verdict {
        let armed = !self.prefix.is_empty();
        match class {
            Class::Prefix if !armed => self.prefix.extend_from_slice(bytes),
            Class::Prefix => {
                self.prefix.clear();
                out.extend_from_slice(bytes);
            }
            Class::PrefixEcho if armed && self.prefix.len() + bytes.len() <= MAX_PREFIX => {
                self.prefix.extend_from_slice(bytes);
            }
            Class::Detach if armed => {
                self.prefix.clear();
                return Verdict::Detach;
            }
            Class::Report => out.extend_from_slice(bytes),
            Class::PrefixEcho | Class::Detach | Class::Key | Class::Paste => {
                out.append(&mut self.prefix);
                out.extend_from_slice(bytes);
            }
        }
        Verdict::Continue
    }
}

fn plain_run(bytes: &[u8], special: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&b| special(b)).unwrap_or(bytes.len())
}

fn paste_state(matched: usize, byte: u8) -> State {
    let next = if byte == PASTE_END[matched] { matched + 1 } else { usize::from(byte == ESC) };
    if next == PASTE_END.len() { State::Ground } else { State::Paste(next) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `ctrl-]` in every encoding that must count.
    const PREFIXES: &[&[u8]] = &[
        b"\x1d",
        b"\x1b[93;5u",
        b"\x1b[93;5:1u",
        b"\x1b[93;69u",
        b"\x1b[93;133:1u",
        b"\x1b[93;197:1u",
        b"\x1b[93:125;5u",
        b"\x1b[93:125:93;5:1u",
        b"\x1b[93;5;29u",
        b"\x1b[57:93;6u",
        b"\x1b[1098::93;5u",
        b"\x1b[1098:1066:93;5:1u",
        b"\x1b[27;5;93~",
        b"\x1b[93;5:1u\x1b[93;5:3u",
        b"\x1b[93;5:1u\x1b[93;1:3u",
        b"\x1b[57442;5:1u\x1b[93;5:1u\x1b[93;5:2u\x1b[93;5:3u\x1b[57442;1:3u",
    ];

    /// `d` in every encoding that must count.
    const DETACHES: &[&[u8]] = &[
        b"d",
        b"D",
        b"\x04",
        b"\x1b[100u",
        b"\x1b[100;1u",
        b"\x1b[100;1:1u",
        b"\x1b[100;65u",
        b"\x1b[100;;100u",
        b"\x1b[100:68;2u",
        b"\x1b[100;5u",
        b"\x1b[1074::100;1u",
        b"\x1b[27;5;100~",
    ];

    /// What is neither, and comes through.
    const OTHERS: &[&[u8]] = &[
        b"x",
        b"\r",
        "д".as_bytes(),
        b"\x1b[A",
        b"\x1bOA",
        b"\x1bd",
        b"\x1b[[A",
        b"\x1b[1;5C",
        b"\x1b[3~",
        b"\x1b[93u",
        b"\x1b[93;7u",
        b"\x1b[43::93;5u",
        b"\x1b[27;7;93~",
        b"\x1b[27;5;91~",
        b"\x1b[100;3u",
        b"\x1b[u",
        b"\x1b[999999999999;5u",
    ];

    /// What is no key at all.
    const REPORTS: &[&[u8]] = &[
        b"\x1b[<35;10;20M",
        b"\x1b[<0;1;1m",
        b"\x1b[M d]",
        b"\x1b[I",
        b"\x1b[O",
        b"\x1b[?997;1n",
        b"\x1b[48;24;80;0;0t",
        b"\x1b[57441;2:1u",
        b"\x1b[120;1:3u",
        b"\x1b[1;1:3A",
        b"\x1b[3;1:3~",
    ];

    fn feed_parts(parts: &[&[u8]], pause: bool) -> (Vec<u8>, Verdict) {
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        for part in parts {
            if scanner.feed(part, &mut out) == Verdict::Detach {
                return (out, Verdict::Detach);
            }
            if pause {
                scanner.flush(&mut out);
            }
        }
        scanner.flush(&mut out);
        (out, Verdict::Continue)
    }

    /// Runs `bytes` whole, cut in two at every place, and byte by byte.
    fn at_every_cut(bytes: &[u8], check: impl Fn(Vec<u8>, Verdict, &str)) {
        for cut in 0..=bytes.len() {
            let (out, verdict) = feed_parts(&[&bytes[..cut], &bytes[cut..]], false);
            check(out, verdict, &format!("{:?} cut at {cut}", bytes.escape_ascii().to_string()));
        }
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        let (out, verdict) = feed_parts(&singles, false);
        check(out, verdict, &format!("{:?} byte by byte", bytes.escape_ascii().to_string()));
    }

    #[test]
    fn every_encoding_of_the_chord_detaches_at_every_cut() {
        for prefix in PREFIXES {
            for detach in DETACHES {
                let bytes = [b"ab\x1b[A", *prefix, detach, b"behind"].concat();
                at_every_cut(&bytes, |out, verdict, which| {
                    assert_eq!(verdict, Verdict::Detach, "{which}");
                    assert!(out.starts_with(b"ab\x1b[A"), "{which}");
                    assert!(!out.ends_with(b"behind"), "{which}");
                    let presses =
                        out.windows(2).filter(|w| *w == b"93").count() + out.iter().filter(|&&b| b == GS).count();
                    assert_eq!(presses, 0, "the chord itself leaked: {which}");
                });
            }
        }
    }

    #[test]
    fn reports_between_the_two_keys_do_not_break_the_chord() {
        for report in REPORTS {
            let bytes = [b"\x1d", *report, b"d"].concat();
            at_every_cut(&bytes, |out, verdict, which| {
                assert_eq!((out.as_slice(), verdict), (*report, Verdict::Detach), "{which}");
            });
        }
    }

    #[test]
    fn twice_sends_the_key_once_as_it_was_typed_last() {
        for first in PREFIXES {
            let bytes = [*first, b"\x1b[93;5:1u", b"\x1b[93;5:3u", b"x"].concat();
            at_every_cut(&bytes, |out, verdict, which| {
                assert_eq!(verdict, Verdict::Continue, "{which}");
                assert!(out.ends_with(b"\x1b[93;5:1u\x1b[93;5:3ux"), "{which}");
            });
        }
        at_every_cut(b"a\x1d\x1db", |out, verdict, which| {
            assert_eq!((out.as_slice(), verdict), (&b"a\x1db"[..], Verdict::Continue), "{which}");
        });
    }

    #[test]
    fn any_other_key_comes_through_together_with_the_prefix() {
        for other in OTHERS {
            for bytes in [other.to_vec(), [b"\x1d", *other, b"d"].concat(), [b"\x1b[93;5u", *other, b"d"].concat()] {
                at_every_cut(&bytes, |out, verdict, which| {
                    assert_eq!((&out, verdict), (&bytes, Verdict::Continue), "{which}");
                });
            }
        }
    }

    #[test]
    fn an_escape_key_just_before_does_not_hide_the_chord() {
        for before in [&b"\x1b"[..], b"\x1b[", b"\x1b[1;"] {
            let bytes = [before, b"\x1dd"].concat();
            at_every_cut(&bytes, |out, verdict, which| {
                assert_eq!((out.as_slice(), verdict), (before, Verdict::Detach), "{which}");
            });
        }
    }

    #[test]
    fn a_paste_is_never_a_chord_and_the_chord_works_right_behind_it() {
        let paste = b"\x1b[200~\x1dd \x1b[93;5ud \x1b[201 \x1b\x1b[20\x1dd\x1b[200~\x1dd\x1b[201~";
        let bytes = [&b"x"[..], paste, b"\x1dd"].concat();
        at_every_cut(&bytes, |out, verdict, which| {
            assert_eq!((out, verdict), ([&b"x"[..], paste].concat(), Verdict::Detach), "{which}");
        });
        let held = [&b"\x1d"[..], paste].concat();
        at_every_cut(&held, |out, verdict, which| {
            assert_eq!((&out, verdict), (&held, Verdict::Continue), "{which}");
        });
    }

    #[test]
    fn a_paste_whose_markers_come_late_is_still_one() {
        let paste = b"\x1b[200~\x1dd\x1b[201~";
        for cut in 1..paste.len() {
            let (out, verdict) = feed_parts(&[&paste[..cut], &paste[cut..]], true);
            assert_eq!((out.as_slice(), verdict), (&paste[..], Verdict::Continue), "cut at {cut}");
        }
    }

    #[test]
    fn a_lone_escape_is_held_until_the_caller_gives_up() {
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        assert_eq!(scanner.feed(b"\x1b", &mut out), Verdict::Continue);
        assert!(scanner.holds() && out.is_empty());
        scanner.flush(&mut out);
        assert!(!scanner.holds());
        assert_eq!(out, b"\x1b");
        assert_eq!(scanner.feed(b"\x1dd", &mut out), Verdict::Detach);
        assert_eq!(out, b"\x1b");
    }

    #[test]
    fn ordinary_keys_are_not_held() {
        for other in OTHERS.iter().chain(REPORTS) {
            let (mut scanner, mut out) = (Scanner::new(), Vec::new());
            let _ = scanner.feed(other, &mut out);
            assert!(!scanner.holds());
            assert_eq!(&out, other);
        }
    }

    #[test]
    fn a_key_that_repeats_for_ever_holds_no_memory() {
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        let mut fed = Vec::new();
        for _ in 0..1000 {
            fed.extend_from_slice(b"\x1b[93;5:2u");
        }
        let bytes = [&b"\x1b[93;5:1u"[..], &fed].concat();
        let _ = scanner.feed(&bytes, &mut out);
        assert!(scanner.prefix.len() <= MAX_PREFIX && scanner.token.len() <= MAX_TOKEN);
        assert_eq!(out, bytes, "a key held down is no chord");
    }

    #[test]
    fn an_endless_sequence_passes_unread() {
        let bytes = [&b"\x1b["[..], &[b'1'; 5000], b"u", b"\x1dd"].concat();
        let (out, verdict) = feed_parts(&[&bytes], false);
        assert_eq!((out.as_slice(), verdict), (&bytes[..bytes.len() - 2], Verdict::Detach));
    }

    #[test]
    fn eight_megabytes_of_paste_come_out_whole() {
        let body: Vec<u8> = (0..8usize << 20).map(|i| (i % 251) as u8).filter(|&b| b != ESC).collect();
        let bytes = [&b"\x1b[200~"[..], &body, b"\x1b[201~"].concat();
        let parts: Vec<&[u8]> = bytes.chunks(4093).collect();
        assert!(feed_parts(&parts, false) == (bytes.clone(), Verdict::Continue));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pick = |list: &'static [&'static [u8]]| prop::sample::select(list).prop_map(<[u8]>::to_vec);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            pick(OTHERS),
            pick(REPORTS),
            Just(b"\x1b[200~".to_vec()),
            Just(b"\x1b[201~".to_vec()),
            Just(b"\x1b".to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn without_a_prefix_every_byte_comes_out(pieces in prop::collection::vec(piece(), 0..40), step in 1usize..40, pause: bool) {
            let bytes: Vec<u8> = pieces.concat().into_iter().filter(|&b| b != GS).collect();
            let parts: Vec<&[u8]> = bytes.chunks(step).collect();
            prop_assume!(!bytes.windows(3).any(|w| w == b"93;" || w == b"93:"));
            prop_assert_eq!(feed_parts(&parts, pause), (bytes.clone(), Verdict::Continue));
        }

        #[test]
        fn cutting_changes_nothing(pieces in prop::collection::vec(prop_oneof![piece(), prop::sample::select(PREFIXES).prop_map(<[u8]>::to_vec)], 0..40), step in 1usize..40) {
            let bytes = pieces.concat();
            let parts: Vec<&[u8]> = bytes.chunks(step).collect();
            prop_assert_eq!(feed_parts(&parts, false), feed_parts(&[&bytes], false));
        }

        #[test]
        fn the_chord_is_found_behind_anything_but_a_paste(pieces in prop::collection::vec(piece(), 0..20)) {
            let before: Vec<u8> = pieces.concat().into_iter().filter(|&b| b != GS).collect();
            prop_assume!(!before.windows(6).any(|w| w == b"\x1b[200~"));
            prop_assume!(!before.windows(3).any(|w| w == b"93;" || w == b"93:"));
            // An old mouse report swallows three bytes.
            prop_assume!(!before.windows(3).any(|w| w == b"\x1b[M"));
            let bytes = [&before[..], b"\x1dd"].concat();
            prop_assert_eq!(feed_parts(&[&bytes], false), (before, Verdict::Detach));
        }
    }
}
