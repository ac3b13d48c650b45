//! Cuts an agent's output at escape sequences: finds OSC strings, and tells what a person's
//! terminal must not see.
//!
//! **Invariant:** a sink only ever gets whole sequences and whole characters, so that between any
//! two calls a repaint may be put in; what is held back is bounded by [`MAX_HELD`]. Must not know:
//! what any OSC number means to an agent.

use memchr::memchr;

use crate::wire::host::MAX_OSC;

/// The longest sequence that is held back until it is whole, in bytes: an OSC string of the
/// longest payload with its number and terminator.
const MAX_HELD: usize = MAX_OSC + 16;

/// The longest control sequence; parsers ignore what has more than a few dozen parameters.
const MAX_CSI: usize = 1024;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// Takes the pieces, in order.
pub(super) trait Sink {
    /// For the terminal model and for clients.
    fn both(&mut self, bytes: &[u8]);
    /// For the terminal model alone: a query, which the model answers.
    fn model(&mut self, bytes: &[u8]);
    /// An OSC string; `whole` is the sequence with its introducer and terminator.
    fn osc(&mut self, number: u32, payload: &[u8], whole: &[u8]);
}

/// The state between two reads.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: Vec<u8>,
    skipping: Option<Skipping>,
}

/// A string that is dropped up to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    /// An OSC over the bound; BEL ends it too.
    Osc,
    /// DCS, APC, PM, SOS: no terminal model here knows them.
    Other,
}

/// Where a sequence ends.
enum End {
    /// Before this index.
    At(usize),
    /// It is not complete yet.
    Open,
}

impl Cutter {
    /// Takes what was read and hands it on, less an incomplete sequence at its end.
    pub(super) fn cut(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        if self.held.is_empty() {
            let rest = self.run(bytes, sink);
            self.held.extend_from_slice(&bytes[rest..]);
        } else {
            let mut data = std::mem::take(&mut self.held);
            data.extend_from_slice(bytes);
            let rest = self.run(&data, sink);
            data.drain(..rest);
            // A long read must not leave a long buffer behind.
            data.shrink_to(MAX_HELD);
            self.held = data;
        }
    }

    /// Hands on what was held back: no more will come.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        let held = std::mem::take(&mut self.held);
        if self.skipping.is_none() {
            sink.model(&held);
        }
    }

    /// Returns where the incomplete rest starts.
    fn run(&mut self, data: &[u8], sink: &mut impl Sink) -> usize {
        let (mut plain, mut at) = (0, 0);
        if let Some(kind) = self.skipping {
            match string_end(data, kind == Skipping::Osc) {
                (End::At(end), _) => {
                    self.skipping = None;
                    (plain, at) = (end, end);
                }
                (End::Open, _) => return data.len() - usize::from(data.last() == Some(&ESC)),
            }
        }
        loop {
            let Some(start) = memchr(ESC, &data[at..]).map(|i| at + i) else {
                let end = data.len() - partial_char(&data[plain..]);
                hand(&data[plain..end], sink);
                return end;
            };
            let end = match data.get(start + 1) {
                None => End::Open,
                Some(b'[') => csi_end(data, start + 2),
                Some(b']' | b'P' | b'_' | b'^' | b'X') => {
                    hand(&data[plain..start], sink);
                    let Some(end) = self.string(data, start, sink) else { return self.open_string(data, start) };
                    (plain, at) = (end, end);
                    continue;
                }
                Some(b'Z') => End::At(start + 2),
                Some(_) => escape_end(data, start + 1),
            };
            let End::At(end) = end else {
                if data.len() - start > MAX_CSI {
                    at = start + 1;
                    continue;
                }
                hand(&data[plain..start], sink);
                return start;
            };
            if is_query(&data[start..end]) {
                hand(&data[plain..start], sink);
                sink.model(&data[start..end]);
                plain = end;
            }
            at = end;
        }
    }

    /// A string sequence at `start`; its end, or `None` where it is not complete.
    fn string(&mut self, data: &[u8], start: usize, sink: &mut impl Sink) -> Option<usize> {
        let is_osc = data[start + 1] == b']';
        let body = start + 2;
        let (End::At(end), terminator) = string_end(&data[body..], is_osc) else { return None };
        let end = body + end;
        let text = &data[body..end - terminator.len()];
        if is_osc && terminator.counts() && text.len() <= MAX_OSC + 8 {
            let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
            let number = std::str::from_utf8(&text[..digits]).ok().and_then(|d| d.parse().ok());
            let payload = text[digits..].strip_prefix(b";").unwrap_or(&text[digits..]);
            if let Some(number) = number.filter(|_| payload.len() <= MAX_OSC) {
                sink.osc(number, payload, &data[start..end]);
            }
        }
        Some(end)
    }

    /// The string at `start` has no end yet: hold it back, or drop it from here on.
    fn open_string(&mut self, data: &[u8], start: usize) -> usize {
        let is_osc = data[start + 1] == b']';
        if is_osc && data.len() - start <= MAX_HELD {
            return start;
        }
        self.skipping = Some(if is_osc { Skipping::Osc } else { Skipping::Other });
        data.len() - usize::from(data.last() == Some(&ESC))
    }
}

fn hand(bytes: &[u8], sink: &mut impl Sink) {
    if !bytes.is_empty() {
        sink.both(bytes);
    }
}

/// How a string ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminator {
    None,
    Bel,
    St,
    /// Another escape sequence begins: the string counts, and ends before it.
    Escape,
    /// CAN or SUB: the string does not count.
    Abort,
}

impl Terminator {
    fn len(self) -> usize {
        match self {
            Self::None | Self::Escape => 0,
            Self::Bel | Self::Abort => 1,
            Self::St => 2,
        }
    }

    fn counts(self) -> bool {
        !matches!(self, Self::None | Self::Abort)
    }
}

/// The end of a string whose body starts at the front, terminator included.
fn string_end(body: &[u8], bel_ends: bool) -> (End, Terminator) {
    for (i, &byte) in body.iter().enumerate() {
        match byte {
            BEL if bel_ends => return (End::At(i + 1), Terminator::Bel),
            CAN | SUB => return (End::At(i + 1), Terminator::Abort),
            ESC => {
                return match body.get(i + 1) {
                    None => (End::Open, Terminator::None),
                    Some(b'\\') => (End::At(i + 2), Terminator::St),
                    Some(_) => (End::At(i), Terminator::Escape),
                };
            }
            _ => {}
        }
    }
    (End::Open, Terminator::None)
}

/// The end of a control sequence whose parameters start at `at`.
fn csi_end(data: &[u8], at: usize) -> End {
    let is_over = |&byte: &u8| (byte >= 0x40 && byte != 0x7f) || matches!(byte, ESC | CAN | SUB);
    match data[at..].iter().position(is_over).map(|i| at + i) {
        // A new sequence begins; this one never ends.
        Some(end) if matches!(data[end], ESC | 0x80..) => End::At(end),
        Some(end) => End::At(end + 1),
        None => End::Open,
    }
}

/// The end of a plain escape sequence: intermediates, then one byte.
fn escape_end(data: &[u8], at: usize) -> End {
    match data[at..].iter().position(|b| !(0x20..=0x2f).contains(b)) {
        Some(i) if data[at + i] == ESC => End::At(at + i),
        Some(i) => End::At(at + i + 1),
        None => End::Open,
    }
}

/// Bytes of an incomplete UTF-8 character at the end.
pub(super) fn partial_char(data: &[u8]) -> usize {
    for back in 1..=data.len().min(3) {
        let byte = data[data.len() - back];
        let len = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if back < len { back } else { 0 };
    }
    0
}

/// Whether a person's terminal would answer this sequence, or let an agent move its window.
fn is_query(sequence: &[u8]) -> bool {
    let Some(body) = sequence.strip_prefix(b"\x1b[") else { return sequence == b"\x1bZ" };
    let Some((&last, body)) = body.split_last() else { return false };
    // Nearly all that comes is colours, moves and erasures.
    if !matches!(last, b'c' | b'n' | b'p' | b'q' | b'u' | b'm' | b'S' | b'x' | b'y' | b'w' | b't')
        || (last == b'm' && !body.contains(&b'?'))
    {
        return false;
    }
    let mut prefix = 0;
    let mut intermediate = 0;
    let mut first = 0_u32;
    let mut in_first = true;
    for &byte in body {
        match byte {
            b'<'..=b'?' => prefix = byte,
            0x20..=0x2f => intermediate = byte,
            b'0'..=b'9' if in_first => first = first.saturating_mul(10).saturating_add(u32::from(byte - b'0')),
            b';' | b':' => in_first = false,
            _ => {}
        }
    }
    match (prefix, intermediate, last) {
        (0 | b'>' | b'=', 0, b'c')
        | (0 | b'?', 0, b'n')
        | (0 | b'?', b'$', b'p')
        | (b'>', 0, b'q')
        | (b'?', 0, b'u' | b'm' | b'S')
        | (0, 0, b'x')
        | (_, b'*', b'y')
        | (_, b'$', b'w') => true,
        // Window operations: only the title stack is harmless.
        (0, 0, b't') => !matches!(first, 22 | 23),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Seen {
        clients: Vec<u8>,
        model: Vec<u8>,
        oscs: Vec<(u32, Vec<u8>)>,
    }

    impl Sink for Seen {
        fn both(&mut self, bytes: &[u8]) {
            self.clients.extend_from_slice(bytes);
            self.model.extend_from_slice(bytes);
        }
        fn model(&mut self, bytes: &[u8]) {
            self.model.extend_from_slice(bytes);
        }
        fn osc(&mut self, number: u32, payload: &[u8], _: &[u8]) {
            self.oscs.push((number, payload.to_vec()));
        }
    }

    fn cut(input: &[u8], step: usize) -> Seen {
        let (mut cutter, mut seen) = (Cutter::default(), Seen::default());
        for chunk in input.chunks(step) {
            cutter.cut(chunk, &mut seen);
        }
        cutter.finish(&mut seen);
        seen
    }

    #[test]
    fn osc_strings_are_found_at_any_cut() {
        let input = b"a\x1b]7501;state=working\x1b\\b\x1b]9;hi\x07c\x1b]2;t\xc3\xa9\x1b\\";
        for step in 1..input.len() {
            let seen = cut(input, step);
            assert_eq!(seen.clients, b"abc", "step {step}");
            let want: [(u32, &[u8]); 3] = [(7501, b"state=working"), (9, b"hi"), (2, "té".as_bytes())];
            assert_eq!(seen.oscs.iter().map(|(n, p)| (*n, p.as_slice())).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn queries_reach_the_model_and_no_client() {
        for query in [
            "\x1b[c",
            "\x1b[>c",
            "\x1b[0c",
            "\x1b[6n",
            "\x1b[?996n",
            "\x1b[?2026$p",
            "\x1b[>0q",
            "\x1b[?u",
            "\x1b[16t",
            "\x1b[8;10;10t",
            "\x1bZ",
            "\x1b[\x006n",
        ] {
            for step in 1..=query.len() {
                let seen = cut(format!("a{query}b").as_bytes(), step);
                assert_eq!((seen.clients.as_slice(), seen.model.len()), (&b"ab"[..], 2 + query.len()), "{query:?}");
            }
        }
    }

    #[test]
    fn what_is_no_query_is_left_alone() {
        for text in
            ["\x1b[?25l", "\x1b[1;2H", "\x1b[>1u", "\x1b[38;5;1m", "\x1b[22;0t", "\x1b(0", "\x1b7", "\x1b[>4;2m"]
        {
            let seen = cut(text.as_bytes(), 1);
            assert_eq!(seen.clients, text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn other_strings_are_dropped_whole() {
        let seen = cut(b"a\x1bP+q544e\x1b\\b\x1b_Gi=1\x07;AAAA\x1b\\c\x1b^x\x18d", 3);
        assert_eq!((seen.clients.as_slice(), seen.model.as_slice()), (&b"abcd"[..], &b"abcd"[..]));
    }

    #[test]
    fn an_endless_osc_is_dropped_and_holds_nothing() {
        let (mut cutter, mut seen) = (Cutter::default(), Seen::default());
        cutter.cut(b"a\x1b]0;", &mut seen);
        for _ in 0..1000 {
            cutter.cut(&[b'x'; 1000], &mut seen);
            assert!(cutter.held.len() <= MAX_HELD);
        }
        cutter.cut(b"\x07b", &mut seen);
        assert_eq!((seen.clients.as_slice(), seen.oscs.len()), (&b"ab"[..], 0));
    }

    #[test]
    fn a_character_is_never_cut() {
        let (mut cutter, mut seen) = (Cutter::default(), Seen::default());
        cutter.cut(b"x\xe2\x82", &mut seen);
        assert_eq!(seen.clients, b"x");
        cutter.cut(b"\xac", &mut seen);
        assert_eq!(seen.clients, "x€".as_bytes());
    }

    proptest! {
        #[test]
        fn the_cut_does_not_matter(
            pieces in prop::collection::vec(prop::sample::select(vec![
                &b"\x1b"[..], b"[", b"]", b"7501;a", b"\x07", b"\\", b"6n", b"m", b"P", b"\x18", b"\xe2\x82\xac", b"\xe2",
                b"text", b"?", b"\n",
            ]), 0..60),
            step in 1_usize..9,
        ) {
            let input = pieces.concat();
            let whole = cut(&input, input.len().max(1));
            prop_assert_eq!(&cut(&input, step), &whole);
        }
    }
}
