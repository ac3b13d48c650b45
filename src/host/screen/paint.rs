//! Repaints a screen as bytes.
//!
//! **Invariant:** the bytes, fed to a terminal of the same size in any state, make it show and
//! behave as the model does: cells, pen, cursor, margins, modes. They never ask the terminal
//! anything. The main screen below an alternate one is left out; it is painted when it shows.

use std::io::Write;

use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{CharsetIndex, Color, CursorShape, KeyboardModes, NamedColor, StandardCharset};

use super::{Extra, Screen};

/// Blanks in a row that are jumped over rather than printed: the jump takes about five bytes.
const JUMP: usize = 6;

/// Flags that SGR sets.
const STYLE: Flags = Flags::BOLD
    .union(Flags::DIM)
    .union(Flags::ITALIC)
    .union(Flags::ALL_UNDERLINES)
    .union(Flags::INVERSE)
    .union(Flags::HIDDEN)
    .union(Flags::STRIKEOUT);

/// Flags that show on a blank.
const VISIBLE_ON_BLANK: Flags = Flags::ALL_UNDERLINES.union(Flags::INVERSE).union(Flags::STRIKEOUT);

#[derive(Debug, Clone, PartialEq)]
struct Pen {
    fg: Color,
    bg: Color,
    style: Flags,
    underline: Option<Color>,
    link: Option<Hyperlink>,
}

impl Pen {
    const PLAIN: Self = Self {
        fg: Color::Named(NamedColor::Foreground),
        bg: Color::Named(NamedColor::Background),
        style: Flags::empty(),
        underline: None,
        link: None,
    };

    fn of(cell: &Cell) -> Self {
        let (underline, link) =
            if cell.extra.is_some() { (cell.underline_color(), cell.hyperlink()) } else { (None, None) };
        Self { fg: cell.fg, bg: cell.bg, style: cell.flags & STYLE, underline, link }
    }
}

impl Screen {
    /// Bytes that repaint a terminal of this size, with at most `scrollback` lines above.
    /// Returns them and how many lines above are in them.
    pub(in crate::host) fn repaint(&self, scrollback: usize, title: &str) -> (Vec<u8>, usize) {
        let term = &self.model.term;
        let alternate = self.is_alternate();
        let mut painter = Painter { out: Vec::with_capacity(8 << 10), pen: Pen::PLAIN };
        // Whatever sequence the terminal is in the middle of ends here.
        painter.text(
            "\x1b\\\x1b[?2026h\x1b[m\x1b]8;;\x1b\\\x1b[?1049l\x1b[?6l\x1b[r\x1b[4l\x1b[20l\x1b[?7h\x1b(B\x1b)B\x0f",
        );
        painter.text(if alternate { "\x1b[?1049h\x1b[H\x1b[J" } else { "\x1b[H\x1b[J" });
        let above = if alternate { 0 } else { scrollback.min(term.grid().history_size()) };
        painter.grid(term.grid(), above);
        painter.pen(&Pen::PLAIN);
        painter.colors(term.colors());
        painter.saved_cursor(term.grid());
        painter.state(term.mode(), &self.model.extra, alternate, title);
        painter.cursor(self);
        painter.text(if term.mode().contains(TermMode::SHOW_CURSOR) { "\x1b[?25h" } else { "\x1b[?25l" });
        painter.text("\x1b[?2026l");
        (painter.out, above)
    }
}

struct Painter {
    out: Vec<u8>,
    pen: Pen,
}

/// Writing to a vector cannot fail.
macro_rules! put {
    ($painter:expr, $($arg:tt)*) => {
        write!($painter.out, $($arg)*).expect("a vector takes every byte")
    };
}

impl Painter {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn grid(&mut self, grid: &Grid<Cell>, above: usize) {
        let first = -i32::try_from(above).unwrap_or(0);
        let rows = i32::try_from(grid.screen_lines()).unwrap_or(i32::MAX);
        let mut last = rows - 1;
        // With lines above, every line is needed to push them up.
        while above == 0 && last > 0 && self.is_empty(grid, last) {
            last -= 1;
        }
        let mut joined = false;
        for row in first..=last {
            let joins = row < last && wraps_into(grid, row);
            self.row(grid, row, joined, joins);
            joined = joins;
            if row < last && !joins {
                // A line feed may bring in a line in the background of the pen.
                if self.pen.bg != Pen::PLAIN.bg {
                    self.pen(&Pen::PLAIN);
                }
                self.text("\r\n");
            }
        }
    }

    fn is_empty(&self, grid: &Grid<Cell>, row: i32) -> bool {
        (0..grid.columns()).all(|column| is_unpainted(&grid[Line(row)][Column(column)]))
    }

    /// Prints one row; `joined` to the one before by wrapping, and `whole` if the next is to follow so.
    fn row(&mut self, grid: &Grid<Cell>, row: i32, joined: bool, whole: bool) {
        let cells = &grid[Line(row)];
        let columns = grid.columns();
        let mut end = columns;
        while !whole && end > 0 && is_unpainted(&cells[Column(end - 1)]) {
            end -= 1;
        }
        // Blanks in one background up to the margin are erased rather than printed.
        let mut erase = end;
        if end == columns && !whole {
            let last = &cells[Column(end - 1)];
            while erase > 0 && is_blank(&cells[Column(erase - 1)]) && cells[Column(erase - 1)].bg == last.bg {
                erase -= 1;
            }
            if end - erase < JUMP {
                erase = end;
            }
        }
        // Only a printed character wraps.
        let mut column = if joined { self.cell(cells, 0, columns) } else { 0 };
        while column < erase {
            let run = (column..erase).take_while(|&c| is_unpainted(&cells[Column(c)])).count();
            if run >= JUMP && !whole {
                put!(self, "\x1b[{run}C");
                column += run;
                continue;
            }
            column += self.cell(cells, column, columns);
        }
        if column.max(erase) < end {
            let mut pen = Pen::PLAIN;
            pen.bg = cells[Column(erase)].bg;
            self.pen(&pen);
            self.text("\x1b[K");
        }
    }

    /// Prints one cell; returns how many columns it took.
    fn cell(&mut self, cells: &alacritty_terminal::grid::Row<Cell>, column: usize, columns: usize) -> usize {
        let cell = &cells[Column(column)];
        self.pen(&Pen::of(cell));
        let wide = cell.flags.contains(Flags::WIDE_CHAR);
        let paired = column + 1 < columns && cells[Column(column + 1)].flags.contains(Flags::WIDE_CHAR_SPACER);
        // Halves of wide characters that were overwritten show as blanks.
        let orphan = (wide && !paired) || cell.flags.contains(Flags::WIDE_CHAR_SPACER);
        let blank = orphan || cell.c.is_control();
        put!(self, "{}", if blank { ' ' } else { cell.c });
        for mark in cell.zerowidth().into_iter().flatten() {
            put!(self, "{mark}");
        }
        if wide && !blank { 2 } else { 1 }
    }

    fn pen(&mut self, pen: &Pen) {
        if self.pen == *pen {
            return;
        }
        if self.pen.link != pen.link {
            self.link(pen.link.as_ref());
        }
        let mut codes = Vec::with_capacity(48);
        let mut from = self.pen.clone();
        let gone = !(from.style - pen.style).is_empty() || (from.underline.is_some() && pen.underline.is_none());
        let plain = pen.fg == Pen::PLAIN.fg && pen.bg == Pen::PLAIN.bg && pen.style.is_empty();
        let painted = from.fg != pen.fg || from.bg != pen.bg;
        if gone || (plain && painted) {
            codes.push(String::new());
            from = Pen::PLAIN;
        }
        style_codes(pen.style - from.style, &mut codes);
        if pen.fg != from.fg {
            codes.push(color_code(pen.fg, 30));
        }
        if pen.bg != from.bg {
            codes.push(color_code(pen.bg, 40));
        }
        if let Some(color) = pen.underline.filter(|_| pen.underline != from.underline) {
            codes.push(underline_code(color));
        }
        if !codes.is_empty() {
            put!(self, "\x1b[{}m", codes.join(";"));
        }
        self.pen = pen.clone();
    }

    fn link(&mut self, link: Option<&Hyperlink>) {
        match link {
            None => self.text("\x1b]8;;\x1b\\"),
            Some(link) => {
                let clean = |text: &str| text.replace(|c: char| c.is_control(), "");
                put!(self, "\x1b]8;id={};{}\x1b\\", clean(link.id()), clean(link.uri()));
            }
        }
    }

    fn colors(&mut self, colors: &alacritty_terminal::term::color::Colors) {
        let dynamic = [(NamedColor::Foreground, 10), (NamedColor::Background, 11), (NamedColor::Cursor, 12)];
        let set = (0..256).map(|i| (i, format!("4;{i}")));
        let named = dynamic.into_iter().map(|(name, number)| (name as usize, number.to_string()));
        for (index, prefix) in set.chain(named) {
            if let Some(color) = colors[index] {
                put!(self, "\x1b]{prefix};rgb:{:02x}/{:02x}/{:02x}\x1b\\", color.r, color.g, color.b);
            }
        }
    }

    fn saved_cursor(&mut self, grid: &Grid<Cell>) {
        let saved = &grid.saved_cursor;
        put!(self, "\x1b[{};{}H", saved.point.line.0 + 1, saved.point.column.0 + 1);
        self.pen(&Pen::of(&saved.template));
        self.text("\x1b7");
        self.pen(&Pen::PLAIN);
    }

    fn state(&mut self, mode: &TermMode, extra: &Extra, alternate: bool, title: &str) {
        if let Some((first, end)) = extra.region {
            put!(self, "\x1b[{};{end}r", first + 1);
        }
        let one = |on: bool| if on { 'h' } else { 'l' };
        self.text("\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l");
        for (flag, number) in [
            (TermMode::MOUSE_REPORT_CLICK, 1000),
            (TermMode::MOUSE_DRAG, 1002),
            (TermMode::MOUSE_MOTION, 1003),
            (TermMode::UTF8_MOUSE, 1005),
            (TermMode::SGR_MOUSE, 1006),
        ] {
            if mode.contains(flag) {
                put!(self, "\x1b[?{number}h");
            }
        }
        for (flag, number) in [
            (TermMode::APP_CURSOR, 1),
            (TermMode::FOCUS_IN_OUT, 1004),
            (TermMode::ALTERNATE_SCROLL, 1007),
            (TermMode::BRACKETED_PASTE, 2004),
        ] {
            put!(self, "\x1b[?{number}{}", one(mode.contains(flag)));
        }
        for (&number, &on) in &extra.unknown_modes {
            put!(self, "\x1b[?{number}{}", one(on));
        }
        self.text(if mode.contains(TermMode::APP_KEYPAD) { "\x1b=" } else { "\x1b>" });
        self.keyboard(mode, extra, alternate);
        put!(self, "\x1b[{} q", style_number(extra));
        if !title.is_empty() {
            put!(self, "\x1b]2;{title}\x1b\\");
        }
    }

    fn keyboard(&mut self, mode: &TermMode, extra: &Extra, alternate: bool) {
        if let Some(level) = extra.modify_other_keys {
            put!(self, "\x1b[>4;{level}m");
        }
        if !extra.keyboard_used {
            return;
        }
        put!(self, "\x1b[<{}u", super::MAX_KEYBOARD_STACK);
        let stack = &extra.keyboard[usize::from(alternate)];
        for modes in stack {
            put!(self, "\x1b[>{}u", modes.bits());
        }
        let now = keyboard_bits(mode);
        if stack.last().map_or(0, |modes| modes.bits()) != now {
            put!(self, "\x1b[={now};1u");
        }
    }

    /// Pen, charsets, modes that change how text is printed, and last of all the place.
    fn cursor(&mut self, screen: &Screen) {
        let (term, extra) = (&screen.model.term, &screen.model.extra);
        let (mode, cursor) = (term.mode(), &term.grid().cursor);
        let origin = mode.contains(TermMode::ORIGIN);
        if origin {
            self.text("\x1b[?6h");
        }
        let top = if origin { extra.region.map_or(0, |(first, _)| first) } else { 0 };
        let row = usize::try_from(cursor.point.line.0).unwrap_or(0).saturating_sub(top);
        let cells = &term.grid()[cursor.point.line];
        let mut column = cursor.point.column.0;
        let is = |column: usize, flag| cells[Column(column)].flags.contains(flag);
        if cursor.input_needs_wrap
            && column > 0
            && is(column, Flags::WIDE_CHAR_SPACER)
            && is(column - 1, Flags::WIDE_CHAR)
        {
            column -= 1;
        }
        put!(self, "\x1b[{};{}H", row + 1, column + 1);
        if cursor.input_needs_wrap {
            // Printing the last character again brings the cursor to hang at the margin.
            self.cell(cells, column, term.columns());
        }
        self.pen(&Pen::of(&cursor.template));
        for (index, introducer) in
            [(CharsetIndex::G0, '('), (CharsetIndex::G1, ')'), (CharsetIndex::G2, '*'), (CharsetIndex::G3, '+')]
        {
            if cursor.charsets[index] == StandardCharset::SpecialCharacterAndLineDrawing {
                put!(self, "\x1b{introducer}0");
            }
        }
        if extra.charset == CharsetIndex::G1 {
            self.text("\x0e");
        }
        if mode.contains(TermMode::INSERT) {
            self.text("\x1b[4h");
        }
        if mode.contains(TermMode::LINE_FEED_NEW_LINE) {
            self.text("\x1b[20h");
        }
        if !mode.contains(TermMode::LINE_WRAP) {
            self.text("\x1b[?7l");
        }
    }
}

/// A blank, whatever its background.
fn is_blank(cell: &Cell) -> bool {
    (cell.c == ' ' || cell.c.is_control()) && !cell.flags.intersects(VISIBLE_ON_BLANK) && cell.extra.is_none()
}

/// A blank in the default background: what erasing leaves.
fn is_unpainted(cell: &Cell) -> bool {
    cell.bg == Pen::PLAIN.bg && is_blank(cell)
}

/// Whether this row goes on in the next by wrapping, and printing it in full would do the same.
fn wraps_into(grid: &Grid<Cell>, row: i32) -> bool {
    let last = &grid[Line(row)][Column(grid.columns() - 1)];
    let next = &grid[Line(row + 1)][Column(0)];
    last.flags.contains(Flags::WRAPLINE)
        && !next.flags.intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER)
        && next.bg == Pen::PLAIN.bg
}

fn style_codes(style: Flags, codes: &mut Vec<String>) {
    for (flag, code) in [
        (Flags::BOLD, "1"),
        (Flags::DIM, "2"),
        (Flags::ITALIC, "3"),
        (Flags::UNDERLINE, "4"),
        (Flags::DOUBLE_UNDERLINE, "4:2"),
        (Flags::UNDERCURL, "4:3"),
        (Flags::DOTTED_UNDERLINE, "4:4"),
        (Flags::DASHED_UNDERLINE, "4:5"),
        (Flags::INVERSE, "7"),
        (Flags::HIDDEN, "8"),
        (Flags::STRIKEOUT, "9"),
    ] {
        if style.contains(flag) {
            codes.push(code.to_owned());
        }
    }
}

/// The SGR code of a colour; `base` is 30 for the foreground and 40 for the background.
fn color_code(color: Color, base: usize) -> String {
    match color {
        Color::Named(name) if (name as usize) < 8 => (base + name as usize).to_string(),
        Color::Named(name) if (name as usize) < 16 => (base + 60 + name as usize - 8).to_string(),
        Color::Named(_) => (base + 9).to_string(),
        Color::Indexed(index) => format!("{};5;{index}", base + 8),
        Color::Spec(rgb) => format!("{};2;{};{};{}", base + 8, rgb.r, rgb.g, rgb.b),
    }
}

fn underline_code(color: Color) -> String {
    match color {
        Color::Spec(rgb) => format!("58:2::{}:{}:{}", rgb.r, rgb.g, rgb.b),
        Color::Indexed(index) => format!("58:5:{index}"),
        Color::Named(name) => format!("58:5:{}", (name as usize).min(255)),
    }
}

/// The parameter of DECSCUSR.
fn style_number(extra: &Extra) -> u8 {
    let Some(style) = extra.cursor_style else { return 0 };
    let steady = match style.shape {
        CursorShape::Underline => 4,
        CursorShape::Beam => 6,
        CursorShape::Block | CursorShape::HollowBlock | CursorShape::Hidden => 2,
    };
    steady - u8::from(style.blinking)
}

fn keyboard_bits(mode: &TermMode) -> u8 {
    [
        (TermMode::DISAMBIGUATE_ESC_CODES, KeyboardModes::DISAMBIGUATE_ESC_CODES),
        (TermMode::REPORT_EVENT_TYPES, KeyboardModes::REPORT_EVENT_TYPES),
        (TermMode::REPORT_ALTERNATE_KEYS, KeyboardModes::REPORT_ALTERNATE_KEYS),
        (TermMode::REPORT_ALL_KEYS_AS_ESC, KeyboardModes::REPORT_ALL_KEYS_AS_ESC),
        (TermMode::REPORT_ASSOCIATED_TEXT, KeyboardModes::REPORT_ASSOCIATED_TEXT),
    ]
    .into_iter()
    .filter(|(flag, _)| mode.contains(*flag))
    .fold(0, |bits, (_, bit)| bits | bit.bits())
}
