use super::*;
use proptest::prelude::*;

const SIZE: Size = Size { rows: 10, cols: 24 };

fn screen(text: &[u8]) -> Screen {
    let mut screen = Screen::new(SIZE, 100);
    screen.feed(text);
    screen
}

/// Everything a person or an agent could tell two terminals apart by. Blanks have no foreground;
/// halves of overwritten wide characters and tabs show as blanks.
fn state(screen: &Screen) -> Vec<String> {
    let term = &screen.model.term;
    let grid = term.grid();
    let hidden = Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER;
    let mut lines = Vec::new();
    for row in 0..i32::from(screen.size().rows) {
        let cells = &grid[Line(row)];
        for column in 0..grid.columns() {
            let cell = &cells[Column(column)];
            let right = (column + 1 < grid.columns()).then(|| &cells[Column(column + 1)]);
            let left = column.checked_sub(1).map(|c| &cells[Column(c)]);
            let wide = cell.flags.contains(Flags::WIDE_CHAR);
            let spacer = cell.flags.contains(Flags::WIDE_CHAR_SPACER);
            let orphan = (wide && !right.is_some_and(|c| c.flags.contains(Flags::WIDE_CHAR_SPACER)))
                || (spacer && !left.is_some_and(|c| c.flags.contains(Flags::WIDE_CHAR)));
            let c = if cell.c.is_control() || orphan { ' ' } else { cell.c };
            let visible = Flags::ALL_UNDERLINES | Flags::INVERSE | Flags::STRIKEOUT;
            let blank = c == ' '
                && !cell.flags.intersects(visible)
                && (!spacer || orphan)
                && cell.zerowidth().is_none_or(<[char]>::is_empty);
            let text = if blank {
                format!("{row},{column} blank {:?}", cell.bg)
            } else if spacer && !orphan {
                format!("{row},{column} spacer")
            } else {
                let flags = cell.flags
                    - hidden
                    - if orphan { Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER } else { Flags::empty() };
                format!(
                    "{row},{column} {c:?} {:?} {:?} {flags:?} {:?} {:?} {:?}",
                    cell.fg,
                    cell.bg,
                    cell.zerowidth().unwrap_or_default(),
                    cell.underline_color(),
                    cell.hyperlink().map(|l| l.uri().to_owned())
                )
            };
            lines.push(text);
        }
    }
    let cursor = &grid.cursor;
    let template = &cursor.template;
    lines.push(format!("cursor {:?} hangs {}", cursor.point, cursor.input_needs_wrap));
    lines.push(format!(
        "pen {:?} {:?} {:?} {:?}",
        template.fg,
        template.bg,
        template.flags,
        template.underline_color()
    ));
    lines.push(format!("mode {:?}", term.mode()));
    let extra = &screen.model.extra;
    lines.push(format!("{:?} {:?} {:?}", extra.region, extra.charset, extra.cursor_style));
    lines.push(format!("keys {:?} {:?}", extra.keyboard[usize::from(screen.is_alternate())], extra.modify_other_keys));
    lines.push(format!("modes {:?}", extra.unknown_modes.iter().filter(|(_, on)| **on).collect::<Vec<_>>()));
    lines
}

fn assert_repaints(original: &Screen) {
    let (bytes, _) = original.repaint(0, "");
    let mut fresh = Screen::new(SIZE, 100);
    fresh.feed(&bytes);
    let (want, got) = (state(original), state(&fresh));
    for (want, got) in want.iter().zip(&got) {
        assert_eq!(got, want, "repaint: {:?}", String::from_utf8_lossy(&bytes));
    }
    // A terminal in any other state ends up the same.
    let mut used =
        screen(b"\x1b[?1049h\x1b[?1003;1006h\x1b[4h\x1b[?7l\x1b[3;5r\x1b[?6h\x1b[41;1mxyz\x1b(0\x1b[?25l\x1b=");
    used.feed(&bytes);
    assert_eq!(state(&used), want);
}

#[test]
fn a_repaint_restores_what_programs_set() {
    for text in [
        "\x1b[?2004h\x1b[?1004h\x1b[?1003h\x1b[?1006h\x1b[>5u\x1b[?1h\x1b=\x1b[?25l",
        "\x1b[?1049h\x1b[2J\x1b[3;4Hhi\x1b[31mthere",
        "\x1b[3;7r\x1b[?6h\x1b[2;2Hin\x1b[4h",
        "plain\r\n\x1b[1;3;4mstyled\x1b[0m \x1b[38;5;200mindexed\x1b[48;2;1;2;3mrgb\x1b[K",
        "0123456789012345678901234",
        "012345678901234567890123",
        "日本語\u{301} ok\x1b[4:3;58:2::9:8:7mcurl",
        "\x1b[5 q\x1b(0qqq\x1b)0\x0e",
        "\x1b[?2031h\x1b[>4;2m\x1b[20h\x1b[?7l",
        "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ not",
        "\x1b[44m\x1b[2J\x1b[5;5Hblue",
    ] {
        assert_repaints(&screen(text.as_bytes()));
    }
}

#[test]
fn a_repaint_repeats_lines_above_on_request() {
    let text: String = (0..30).map(|i| format!("line {i}\r\n")).collect();
    let original = screen(text.as_bytes());
    let (bytes, above) = original.repaint(5, "");
    assert_eq!(above, 5);
    let mut fresh = Screen::new(SIZE, 100);
    fresh.feed(&bytes);
    assert_eq!(state(&fresh), state(&original));
    let lines: Vec<String> = fresh.take_history().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["line 16", "line 17", "line 18", "line 19", "line 20"]);
}

#[test]
fn a_wrapped_line_stays_one_line() {
    let original = screen("0123456789012345678901234567890\r\nnext".as_bytes());
    let (bytes, _) = original.repaint(0, "");
    let mut fresh = Screen::new(SIZE, 100);
    fresh.feed(&bytes);
    fresh.resize(Size { rows: 10, cols: 40 });
    assert_eq!(fresh.text(), "0123456789012345678901234567890\nnext");
}

#[test]
fn a_full_screen_program_repaints_in_8_kib() {
    let mut screen = Screen::new(Size { rows: 50, cols: 200 }, 1000);
    screen.feed(b"\x1b[?1049h\x1b[2J");
    for row in 1..=50 {
        let text = format!(
            "\x1b[{row};1H\x1b[38;5;{}m\u{2502}\x1b[0m \x1b[1mcrate\x1b[22m \x1b[38;2;1;2;3merror[E0502] src/main.rs:42\x1b[39m \x1b[48;5;7m{row:5}\x1b[49m agent running\x1b[K\x1b[{row};180H\u{2502}",
            row * 5
        );
        screen.feed(text.as_bytes());
    }
    let (bytes, _) = screen.repaint(1000, "title");
    assert!(bytes.len() <= 8 << 10, "{} bytes", bytes.len());
}

#[test]
fn queries_are_answered() {
    let mut screen = screen(b"\x1b[3;4H\x1b[6n\x1b[c\x1b[?u\x1b]11;?\x1b\\\x1b[?2026$p\x1b[18t");
    let replies = String::from_utf8(screen.take_replies()).expect("ascii");
    assert_eq!(replies, "\x1b[3;4R\x1b[?6c\x1b[?0u\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?2026;2$y\x1b[8;10;24t");
    assert!(screen.take_replies().is_empty());
}

#[test]
fn the_clipboard_is_never_told() {
    assert!(screen(b"\x1b]52;c;?\x07").take_replies().is_empty());
}

#[test]
fn a_flood_of_queries_marks_and_pushes_stays_small() {
    let mut screen = screen(b"e");
    for _ in 0..10_000 {
        screen.feed("\x1b[6n\u{301}\x1b[>1u\x1b[22t\x1b[?7777h".as_bytes());
    }
    assert!(screen.take_replies().len() <= MAX_REPLIES);
    assert_eq!(screen.model.extra.keyboard[0].len(), MAX_KEYBOARD_STACK);
    let marks = screen.model.term.grid()[Line(0)][Column(0)].zerowidth().map_or(0, <[char]>::len);
    assert_eq!(marks, MAX_MARKS);
}

#[test]
fn the_text_has_no_blanks_at_its_ends() {
    assert_eq!(screen(b"a  \r\n\r\n \x1b[1mb\x1b[m\r\n\r\n").text(), "a\n\n b");
}

fn piece() -> impl Strategy<Value = String> {
    let n = 0_u16..26;
    prop_oneof![
        "[a-z ]{1,30}",
        "[日本語é]{1,6}",
        Just("\u{301}".to_owned()),
        Just("\r\n".to_owned()),
        Just("\t".to_owned()),
        Just("\x08".to_owned()),
        (n.clone(), n.clone()).prop_map(|(r, c)| format!("\x1b[{r};{c}H")),
        (n.clone(), n.clone()).prop_map(|(t, b)| format!("\x1b[{t};{b}r")),
        prop::sample::select(vec![
            "0", "1", "2", "3", "4", "4:3", "7", "8", "9", "22", "24", "27", "31", "39", "41", "49", "97", "104"
        ])
        .prop_map(|code| format!("\x1b[{code}m")),
        (0_u8..=255, 0_u8..=255).prop_map(|(a, b)| format!("\x1b[38;5;{a};48;2;{b};{a};0m")),
        (0_u8..=255).prop_map(|a| format!("\x1b[58:5:{a}m")),
        (
            prop::sample::select(vec![
                '@', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'J', 'K', 'L', 'M', 'P', 'S', 'T', 'X', 'd'
            ]),
            0_u16..5
        )
            .prop_map(|(f, n)| format!("\x1b[{n}{f}")),
        (
            prop::sample::select(vec![1, 5, 6, 7, 12, 25, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1049, 2004, 2031]),
            any::<bool>()
        )
            .prop_map(|(m, on)| format!("\x1b[?{m}{}", if on { 'h' } else { 'l' })),
        (prop::sample::select(vec![4, 20]), any::<bool>())
            .prop_map(|(m, on)| format!("\x1b[{m}{}", if on { 'h' } else { 'l' })),
        prop::sample::select(vec![
            "\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1b=", "\x1b>", "\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f", "\x1bc"
        ])
        .prop_map(str::to_owned),
        (0_u8..32).prop_map(|k| format!("\x1b[>{k}u")),
        Just("\x1b[<1u".to_owned()),
        (0_u8..7).prop_map(|k| format!("\x1b[{k} q")),
    ]
}

proptest! {
    #[test]
    fn a_repaint_equals_the_original(pieces in prop::collection::vec(piece(), 0..40)) {
        let original = screen(pieces.concat().as_bytes());
        // A cursor that a restore put outside the margins cannot be sent there in origin mode.
        let (row, region) = (original.model.term.grid().cursor.point.line.0, original.model.extra.region);
        let inside = region.is_none_or(|(top, end)| (top..end).contains(&usize::try_from(row).expect("row")));
        prop_assume!(inside || !original.model.term.mode().contains(TermMode::ORIGIN));
        assert_repaints(&original);
    }
}
