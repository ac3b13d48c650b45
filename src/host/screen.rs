//! The terminal model: what the agent's screen shows, and the answers to its queries.
//!
//! **Invariant:** memory is bounded whatever the agent prints: history by cells, combining marks
//! by cell, links, keyboard stacks and unknown modes by number; titles are not stacked. Must not
//! know: clients, files, any agent's dialect.

mod paint;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Osc52, Term, TermMode};
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedColor, NamedPrivateMode, PrivateMode,
    Processor, Rgb, StandardCharset, TabulationClearMode, Timeout,
};

use crate::wire::host::Size;

/// Cells of history, at 24 bytes each: 1000 lines of 200 columns take 4.8 MB.
const MAX_HISTORY_CELLS: usize = 200_000;

/// No real terminal is larger, and a model of this size takes 24 MB at most.
const MAX_SIDE: u16 = 1000;

/// Combining marks kept in one cell; emoji sequences need up to about ten.
const MAX_MARKS: usize = 12;

/// Different links remembered, and their longest address in bytes.
const MAX_LINKS: usize = 256;
const MAX_LINK_BYTES: usize = 1024;

/// Keyboard modes that may be stacked, per screen.
const MAX_KEYBOARD_STACK: usize = 64;

/// Modes the model has no meaning for, remembered for a repaint.
const MAX_UNKNOWN_MODES: usize = 32;

/// Answers kept until they are fetched; an agent that asks more before it reads has lost its way.
const MAX_REPLIES: usize = 16 << 10;

/// What an agent is told when it asks for colours it has not set: light on dark.
const FOREGROUND: Rgb = Rgb { r: 0xe5, g: 0xe5, b: 0xe5 };
const BACKGROUND: Rgb = Rgb { r: 0, g: 0, b: 0 };

/// A cell's size in pixels, for programs that ask.
const CELL_PIXELS: (u16, u16) = (20, 10);

/// Fits a size into what a model can hold; a side of 0 keeps `last`'s.
pub(super) fn fit(size: Size, last: Size) -> Size {
    let side = |new: u16, old: u16, min: u16| if new == 0 { old } else { new.clamp(min, MAX_SIDE) };
    Size { rows: side(size.rows, last.rows, 1), cols: side(size.cols, last.cols, 2) }
}

/// The screen of one agent.
pub(super) struct Screen {
    parser: Processor<NoWait>,
    model: Model,
}

struct Model {
    term: Term<Mailbox>,
    mail: Mailbox,
    extra: Extra,
}

/// What the terminal model keeps to itself or does not keep.
#[derive(Debug, Default)]
struct Extra {
    /// Scroll region: first line and the line after the last; `None` is the whole screen.
    region: Option<(usize, usize)>,
    charset: CharsetIndex,
    cursor_style: Option<CursorStyle>,
    /// Keyboard modes pushed on the main and the alternate screen.
    keyboard: [Vec<KeyboardModes>; 2],
    keyboard_used: bool,
    modify_other_keys: Option<u8>,
    unknown_modes: BTreeMap<u16, bool>,
    /// Addresses of links seen.
    links: Vec<String>,
    /// How often the alternate screen was left.
    alternate_exits: u64,
}

#[derive(Debug, Default)]
struct Mail {
    replies: Vec<u8>,
    bells: u64,
}

#[derive(Debug, Clone, Default)]
struct Mailbox(Rc<RefCell<Mail>>);

impl Mailbox {
    fn reply(&self, text: &[u8]) {
        let mail = &mut *self.0.borrow_mut();
        if mail.replies.len() + text.len() <= MAX_REPLIES {
            mail.replies.extend_from_slice(text);
        }
    }
}

impl EventListener for Mailbox {
    fn send_event(&self, event: Event) {
        match event {
            Event::PtyWrite(text) => self.reply(text.as_bytes()),
            Event::Bell => self.0.borrow_mut().bells += 1,
            _ => {}
        }
    }
}

/// Synchronised updates take effect at once in the model: it is looked at between reads, and a
/// buffer that waits for the end of an update could be held for ever.
#[derive(Default)]
struct NoWait;

impl Timeout for NoWait {
    fn set_timeout(&mut self, _: std::time::Duration) {}
    fn clear_timeout(&mut self) {}
    fn pending_timeout(&self) -> bool {
        false
    }
}

struct Dims(Size);

impl Dimensions for Dims {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }
    fn screen_lines(&self) -> usize {
        usize::from(self.0.rows)
    }
    fn columns(&self) -> usize {
        usize::from(self.0.cols)
    }
}

impl Screen {
    /// A blank screen with at most `history` lines above it.
    pub(super) fn new(size: Size, history: usize) -> Self {
        let mail = Mailbox::default();
        let config = Config {
            scrolling_history: history.min(MAX_HISTORY_CELLS / usize::from(size.cols.max(1))),
            kitty_keyboard: true,
            osc52: Osc52::Disabled,
            ..Config::default()
        };
        let term = Term::new(config, &Dims(size), mail.clone());
        Self { parser: Processor::new(), model: Model { term, mail, extra: Extra::default() } }
    }

    /// Takes output of the agent.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.model, bytes);
    }

    /// Answers to queries since the last call, for the agent's terminal.
    pub(super) fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.model.mail.0.borrow_mut().replies)
    }

    /// Queues an answer behind those of the model.
    pub(super) fn reply(&mut self, bytes: &[u8]) {
        self.model.mail.reply(bytes);
    }

    /// How often the bell rang since the last call.
    pub(super) fn take_bells(&mut self) -> u64 {
        std::mem::take(&mut self.model.mail.0.borrow_mut().bells)
    }

    /// The size in cells.
    pub(super) fn size(&self) -> Size {
        let side = |n: usize| u16::try_from(n).unwrap_or(MAX_SIDE);
        Size { rows: side(self.model.term.screen_lines()), cols: side(self.model.term.columns()) }
    }

    /// Changes the size; lines are wrapped anew.
    pub(super) fn resize(&mut self, size: Size) {
        if size != self.size() {
            self.model.term.resize(Dims(size));
            self.model.extra.region = None;
        }
    }

    /// Whether pasted text must be bracketed.
    pub(super) fn brackets_paste(&self) -> bool {
        self.model.term.mode().contains(TermMode::BRACKETED_PASTE)
    }

    /// Whether the alternate screen shows.
    pub(super) fn is_alternate(&self) -> bool {
        self.model.term.mode().contains(TermMode::ALT_SCREEN)
    }

    /// How often the alternate screen was left.
    pub(super) fn alternate_exits(&self) -> u64 {
        self.model.extra.alternate_exits
    }

    /// The screen as plain text: lines without blanks at their ends, no empty lines at the end.
    pub(super) fn text(&self) -> String {
        let rows = i32::from(self.size().rows);
        let mut text = String::new();
        for row in 0..rows {
            push_line(&mut text, &self.model.term.grid()[Line(row)]);
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    /// Takes the lines that scrolled off the screen, oldest first, wrapped ones joined. A line
    /// whose end is still on the screen is returned with `false`.
    pub(super) fn take_history(&mut self) -> Vec<(String, bool)> {
        if self.is_alternate() {
            return Vec::new();
        }
        let grid = self.model.term.grid_mut();
        let count = i32::try_from(grid.history_size()).unwrap_or(i32::MAX);
        let lines = (-count..0).map(|row| line_of(&grid[Line(row)])).collect();
        grid.clear_history();
        lines
    }

    /// The lines from `from` down to the one before the cursor's (or all, with `all`).
    pub(super) fn lines(&self, from: usize, all: bool) -> Vec<(String, bool)> {
        let grid = self.model.term.grid();
        let end = if all { grid.screen_lines() } else { usize::try_from(grid.cursor.point.line.0).unwrap_or(0) };
        (from..end).map(|row| line_of(&grid[Line(i32::try_from(row).unwrap_or(0))])).collect()
    }
}

/// A line's text, and whether it ends here (a wrapped one does not).
fn line_of(row: &alacritty_terminal::grid::Row<Cell>) -> (String, bool) {
    let mut text = String::new();
    push_line(&mut text, row);
    let wraps = row[Column(row.len() - 1)].flags.contains(Flags::WRAPLINE);
    if !wraps {
        text.truncate(text.trim_end_matches(' ').len());
    }
    (text, !wraps)
}

fn push_line(text: &mut String, row: &alacritty_terminal::grid::Row<Cell>) {
    for column in 0..row.len() {
        let cell = &row[Column(column)];
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        text.push(if cell.c.is_control() { ' ' } else { cell.c });
        text.extend(cell.zerowidth().into_iter().flatten());
    }
}

impl Model {
    fn stack(&mut self) -> &mut Vec<KeyboardModes> {
        let alternate = self.term.mode().contains(TermMode::ALT_SCREEN);
        &mut self.extra.keyboard[usize::from(alternate)]
    }

    fn remember_mode(&mut self, mode: u16, on: bool) {
        let known = self.extra.unknown_modes.contains_key(&mode);
        if known || (on && self.extra.unknown_modes.len() < MAX_UNKNOWN_MODES) {
            self.extra.unknown_modes.insert(mode, on);
        }
    }

    fn color(&self, index: usize) -> Rgb {
        self.term.colors()[index].unwrap_or_else(|| match index {
            _ if index == NamedColor::Background as usize => BACKGROUND,
            0..=255 => palette(index),
            _ => FOREGROUND,
        })
    }
}

/// The usual colours of the 256-colour palette.
fn palette(index: usize) -> Rgb {
    let level = |n: usize| if n == 0 { 0 } else { u8::try_from(55 + 40 * n).unwrap_or(255) };
    match index {
        0..=15 => {
            let strong = if index < 8 { 0xcd } else { 0xff };
            let on = |bit: usize| if index & bit == 0 { 0 } else { strong };
            Rgb { r: on(1), g: on(2), b: on(4) }
        }
        16..=231 => {
            let n = index - 16;
            Rgb { r: level(n / 36), g: level(n / 6 % 6), b: level(n % 6) }
        }
        _ => {
            let grey = u8::try_from((8 + 10 * index.saturating_sub(232)).min(255)).unwrap_or(255);
            Rgb { r: grey, g: grey, b: grey }
        }
    }
}

/// Methods that the terminal model answers as it is.
macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {
        $(#[inline]
        fn $name(&mut self, $($arg: $ty),*) {
            Handler::$name(&mut self.term, $($arg),*);
        })*
    };
}

impl Handler for Model {
    forward! {
        goto(line: i32, col: usize);
        goto_line(line: i32);
        goto_col(col: usize);
        insert_blank(count: usize);
        move_up(count: usize);
        move_down(count: usize);
        identify_terminal(intermediate: Option<char>);
        device_status(arg: usize);
        move_forward(count: usize);
        move_backward(count: usize);
        move_down_and_cr(count: usize);
        move_up_and_cr(count: usize);
        put_tab(count: u16);
        backspace();
        carriage_return();
        linefeed();
        bell();
        substitute();
        newline();
        set_horizontal_tabstop();
        scroll_up(count: usize);
        scroll_down(count: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        erase_chars(count: usize);
        delete_chars(count: usize);
        move_backward_tabs(count: u16);
        move_forward_tabs(count: u16);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        clear_screen(mode: ClearMode);
        clear_tabs(mode: TabulationClearMode);
        set_tabs(interval: u16);
        reverse_index();
        terminal_attribute(attr: Attr);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        report_private_mode(mode: PrivateMode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        reset_color(index: usize);
        decaln();
        text_area_size_chars();
        report_keyboard_mode();
    }

    #[inline]
    fn input(&mut self, c: char) {
        // The first combining mark is U+0300; everything below has a width.
        if c >= '\u{300}' && !self.has_room(c) {
            return;
        }
        self.term.input(c);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.extra.charset = index;
        self.term.set_active_charset(index);
    }

    fn set_cursor_style(&mut self, style: Option<CursorStyle>) {
        self.extra.cursor_style = style;
        self.term.set_cursor_style(style);
    }

    fn set_cursor_shape(&mut self, shape: CursorShape) {
        self.term.set_cursor_shape(shape);
        self.extra.cursor_style = Some(self.term.cursor_style());
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let lines = self.term.screen_lines();
        let (top, end) = (top.max(1), bottom.unwrap_or(lines).min(lines));
        // A region of less than two lines is no region, and terminals differ in what they make of it.
        if top < end {
            self.term.set_scrolling_region(top, Some(end));
            self.extra.region = (top > 1 || end < lines).then_some((top - 1, end));
        }
    }

    fn reset_state(&mut self) {
        let exits = self.extra.alternate_exits + u64::from(self.term.mode().contains(TermMode::ALT_SCREEN));
        self.term.reset_state();
        let unknown_modes = self.extra.unknown_modes.keys().map(|&mode| (mode, false)).collect();
        let keyboard_used = self.extra.keyboard_used;
        self.extra = Extra { alternate_exits: exits, unknown_modes, keyboard_used, ..Extra::default() };
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        match mode {
            PrivateMode::Unknown(47 | 1047) => {
                self.term.set_private_mode(NamedPrivateMode::SwapScreenAndSetRestoreCursor.into());
            }
            PrivateMode::Unknown(number) => self.remember_mode(number, true),
            PrivateMode::Named(named) => {
                self.term.set_private_mode(mode);
                match named {
                    NamedPrivateMode::ColumnMode => self.extra.region = None,
                    NamedPrivateMode::BlinkingCursor => self.extra.cursor_style = Some(self.term.cursor_style()),
                    _ => {}
                }
            }
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        let was_alternate = self.term.mode().contains(TermMode::ALT_SCREEN);
        match mode {
            PrivateMode::Unknown(47 | 1047) => {
                self.term.unset_private_mode(NamedPrivateMode::SwapScreenAndSetRestoreCursor.into());
            }
            PrivateMode::Unknown(number) => self.remember_mode(number, false),
            PrivateMode::Named(named) => {
                self.term.unset_private_mode(mode);
                match named {
                    NamedPrivateMode::ColumnMode => self.extra.region = None,
                    NamedPrivateMode::BlinkingCursor => self.extra.cursor_style = Some(self.term.cursor_style()),
                    _ => {}
                }
            }
        }
        self.extra.alternate_exits += u64::from(was_alternate && !self.term.mode().contains(TermMode::ALT_SCREEN));
    }

    fn dynamic_color_sequence(&mut self, prefix: String, index: usize, terminator: &str) {
        let Rgb { r, g, b } = self.color(index);
        let text = format!("\x1b]{prefix};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}{terminator}");
        self.mail.reply(text.as_bytes());
    }

    fn text_area_size_pixels(&mut self) {
        let (height, width) = (usize::from(CELL_PIXELS.0), usize::from(CELL_PIXELS.1));
        let text = format!("\x1b[4;{};{}t", self.term.screen_lines() * height, self.term.columns() * width);
        self.mail.reply(text.as_bytes());
    }

    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        let link = link.filter(|link| {
            let size = link.uri.len() + link.id.as_ref().map_or(0, String::len);
            size <= MAX_LINK_BYTES && (self.extra.links.contains(&link.uri) || self.extra.links.len() < MAX_LINKS)
        });
        if let Some(link) = &link
            && !self.extra.links.contains(&link.uri)
        {
            self.extra.links.push(link.uri.clone());
        }
        self.term.set_hyperlink(link);
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        self.extra.keyboard_used = true;
        let stack = self.stack();
        if stack.len() < MAX_KEYBOARD_STACK {
            stack.push(mode);
            self.term.push_keyboard_mode(mode);
        }
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let stack = self.stack();
        stack.truncate(stack.len().saturating_sub(usize::from(count)));
        self.term.pop_keyboard_modes(count);
    }

    fn set_keyboard_mode(&mut self, mode: KeyboardModes, behavior: KeyboardModesApplyBehavior) {
        self.extra.keyboard_used = true;
        Handler::set_keyboard_mode(&mut self.term, mode, behavior);
    }

    fn set_modify_other_keys(&mut self, mode: ModifyOtherKeys) {
        self.extra.modify_other_keys = Some(mode as u8);
    }
}

impl Model {
    /// Whether a mark of no width still fits into the cell it would join.
    fn has_room(&self, c: char) -> bool {
        use unicode_width::UnicodeWidthChar;
        if c.width() != Some(0) {
            return true;
        }
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let mut column = cursor.point.column.0.saturating_sub(usize::from(!cursor.input_needs_wrap));
        if grid[cursor.point.line][Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        grid[cursor.point.line][Column(column)].zerowidth().is_none_or(|marks| marks.len() < MAX_MARKS)
    }
}

#[cfg(test)]
mod tests;
