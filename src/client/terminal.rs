//! A person's terminal, borrowed: raw mode, size, and giving it back.
//!
//! **Invariant:** `Terminal::restore` and the end of a `Terminal` leave the line settings and
//! descriptor flags as they were found, and neither waits for a terminal that does not read.
//! Must not know: the host, what the bytes mean.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, SpecialCodeIndex, Termios,
};

use super::modes::{OFF_AT_REST, ON_AT_REST};
use crate::wire::host::Size;

/// What a terminal without a size of its own is taken for.
const USUAL: Size = Size { rows: 24, cols: 80 };

/// How long a terminal that does not read is waited for, from its last sign of life.
const PATIENCE: Duration = Duration::from_millis(500);

/// Brings any terminal back to rest, whatever was left in it: modes, screen, keyboard, colours,
/// title. What is printed stays. For `standup reset`.
#[must_use]
pub fn reset_sequence() -> Vec<u8> {
    let mut out = String::from("\x1b\\");
    for mode in OFF_AT_REST {
        out.push_str(&format!("\x1b[?{mode}l"));
    }
    // The keyboard of this screen; then scroll region and origin, with the cursor kept in place.
    out.push_str("\x1b[>4m\x1b[<32u\x1b[=0u\x1b7\x1b[?6l\x1b[r\x1b8");
    // Saved just before, the cursor also stays where this screen is the main one already.
    out.push_str("\x1b7\x1b[?1049l\x1b[<32u\x1b[=0u");
    out.push_str("\x0f\x1b(B\x1b)B\x1b>\x1b]8;;\x1b\\\x1b[m\x1b[4l\x1b[20l\x1b[0 q\x1b]22;\x1b\\");
    for mode in ON_AT_REST {
        out.push_str(&format!("\x1b[?{mode}h"));
    }
    out.push_str("\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b]2;\x1b\\\x1b[23;0t");
    out.into_bytes()
}

/// Line settings a shell can work with, and a descriptor that waits. For `standup reset`.
///
/// # Errors
/// The operating system's, as when this is no terminal.
pub fn restore_sane(terminal: impl AsFd) -> io::Result<()> {
    let fd = terminal.as_fd();
    let mut line = rustix::termios::tcgetattr(fd)?;
    make_sane(&mut line);
    rustix::termios::tcsetattr(fd, OptionalActions::Now, &line)?;
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags - OFlags::NONBLOCK)?;
    }
    Ok(())
}

fn make_sane(line: &mut Termios) {
    line.input_modes
        .remove(InputModes::IGNBRK | InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP | InputModes::IXOFF);
    line.input_modes.remove(InputModes::PARMRK | InputModes::INPCK | InputModes::IXANY);
    line.input_modes.insert(InputModes::BRKINT | InputModes::ICRNL | InputModes::IXON | InputModes::IMAXBEL);
    line.output_modes.remove(OutputModes::OCRNL | OutputModes::ONOCR | OutputModes::ONLRET);
    line.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
    line.control_modes.remove(ControlModes::CSIZE | ControlModes::PARENB);
    line.control_modes.insert(ControlModes::CS8 | ControlModes::CREAD);
    line.local_modes.remove(LocalModes::ECHONL | LocalModes::NOFLSH | LocalModes::TOSTOP);
    line.local_modes
        .insert(LocalModes::ISIG | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ECHO | LocalModes::ECHOE);
    line.local_modes.insert(LocalModes::ECHOK | LocalModes::ECHOCTL | LocalModes::ECHOKE);
    for (index, code) in [
        (SpecialCodeIndex::VINTR, 0x03),
        (SpecialCodeIndex::VQUIT, 0x1c),
        (SpecialCodeIndex::VERASE, 0x7f),
        (SpecialCodeIndex::VKILL, 0x15),
        (SpecialCodeIndex::VEOF, 0x04),
        (SpecialCodeIndex::VSTART, 0x11),
        (SpecialCodeIndex::VSTOP, 0x13),
        (SpecialCodeIndex::VSUSP, 0x1a),
        (SpecialCodeIndex::VREPRINT, 0x12),
        (SpecialCodeIndex::VWERASE, 0x17),
        (SpecialCodeIndex::VLNEXT, 0x16),
    ] {
        line.special_codes[index] = code;
    }
}

/// A terminal in raw mode; it goes back to what it was when this is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    input: OwnedFd,
    output: OwnedFd,
    /// Line settings as found.
    line: Termios,
    /// Descriptors whose flags are shared with others and had to be changed, with the flags found.
    shared: Vec<(OwnedFd, OFlags)>,
    raw: bool,
    size: Size,
}

impl Terminal {
    /// Borrows the terminal behind these descriptors, and leaves its line settings alone for now.
    ///
    /// # Errors
    /// The operating system's, as when `input` is no terminal.
    pub(super) fn borrow(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Self> {
        let line = rustix::termios::tcgetattr(input)?;
        let mut shared = Vec::new();
        let input = unblocked(input, OFlags::RDONLY, &mut shared)?;
        let output = unblocked(output, OFlags::WRONLY, &mut shared)?;
        Ok(Self { input, output, line, shared, raw: false, size: USUAL })
    }

    /// Switches to raw mode; also again, after the process was stopped.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        let mut raw = self.line.clone();
        raw.make_raw();
        self.raw = true;
        rustix::io::retry_on_intr(|| rustix::termios::tcsetattr(&self.input, OptionalActions::Now, &raw))?;
        Ok(())
    }

    /// Gives the line back as it was. What the terminal sent meanwhile and nobody read, such as
    /// mouse reports, is thrown away: a shell would take it for commands.
    pub(super) fn restore(&mut self) {
        if std::mem::take(&mut self.raw) {
            let _ = rustix::termios::tcflush(&self.input, QueueSelector::IFlush);
            let _ =
                rustix::io::retry_on_intr(|| rustix::termios::tcsetattr(&self.input, OptionalActions::Now, &self.line));
        }
    }

    /// The size in cells: what the terminal says, else what it last said, else 24 x 80.
    pub(super) fn size(&mut self) -> Size {
        self.size = told_size(self.output()).or_else(|| told_size(self.input())).unwrap_or(self.size);
        self.size
    }

    /// Where keys are read; does not wait.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Where output goes; does not wait.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Writes everything, or as much as a terminal takes that stops reading for half a second.
    /// Returns how much that was.
    pub(super) fn write_patiently(&self, bytes: &[u8]) -> usize {
        let mut written = 0;
        let mut deadline = Instant::now() + PATIENCE;
        while written < bytes.len() {
            match rustix::io::write(&self.output, &bytes[written..]) {
                Ok(n) => {
                    written += n;
                    deadline = Instant::now() + PATIENCE;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || !self.wait_writable(left) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        written
    }

    fn wait_writable(&self, limit: Duration) -> bool {
        let mut fds = [PollFd::new(&self.output, PollFlags::OUT)];
        let limit = Timespec::try_from(limit).expect("half a second fits");
        match rustix::event::poll(&mut fds, Some(&limit)) {
            Ok(ready) => ready > 0,
            Err(error) => error == rustix::io::Errno::INTR,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
        for (fd, flags) in &self.shared {
            let _ = rustix::fs::fcntl_setfl(fd, *flags);
        }
    }
}

/// The size of the terminal behind these, or 24 x 80.
pub(super) fn size_of(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Size {
    told_size(output).or_else(|| told_size(input)).unwrap_or(USUAL)
}

/// What a terminal says of its size. No cells, or a single one, mean that it does not know.
fn told_size(fd: BorrowedFd<'_>) -> Option<Size> {
    let now = rustix::termios::tcgetwinsize(fd).ok()?;
    let size = Size { rows: now.ws_row, cols: now.ws_col };
    (size.rows > 0 && size.cols > 0 && (size.rows, size.cols) != (1, 1)).then_some(size)
}

/// A descriptor for the same terminal that does not wait. Waiting is a property of the open file,
/// which the shell and others share: so the terminal is opened once more, and only where that is
/// not allowed (as after `su`) the shared flag is changed for the time being.
fn unblocked(fd: BorrowedFd<'_>, access: OFlags, shared: &mut Vec<(OwnedFd, OFlags)>) -> io::Result<OwnedFd> {
    if let Some(own) = reopen(fd, access) {
        return Ok(own);
    }
    let copy = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
        shared.push((rustix::io::fcntl_dupfd_cloexec(fd, 3)?, flags));
    }
    Ok(copy)
}

fn reopen(fd: BorrowedFd<'_>, access: OFlags) -> Option<OwnedFd> {
    let name = rustix::termios::ttyname(fd, Vec::new()).ok()?;
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).ok()?;
    let (a, b) = (rustix::fs::fstat(fd).ok()?, rustix::fs::fstat(&own).ok()?);
    (a.st_rdev == b.st_rdev && a.st_ino == b.st_ino && a.st_dev == b.st_dev).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    /// A terminal of our own: the side of its keys and screen, and the side programs use.
    fn pty() -> (OwnedFd, OwnedFd) {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
        grantpt(&outer).expect("grantpt");
        unlockpt(&outer).expect("unlockpt");
        let name = ptsname(&outer, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        (outer, rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("open"))
    }

    fn settings(fd: &OwnedFd) -> String {
        format!("{:?} {:?}", rustix::termios::tcgetattr(fd).expect("tcgetattr"), rustix::fs::fcntl_getfl(fd))
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let (_outer, inner) = pty();
        let before = settings(&inner);
        let result = std::panic::catch_unwind(|| {
            let mut terminal = Terminal::borrow(inner.as_fd(), inner.as_fd()).expect("borrow");
            terminal.enter().expect("raw");
            assert_ne!(settings(&inner), before, "raw mode is something else");
            panic!("on purpose");
        });
        assert!(result.is_err());
        assert_eq!(settings(&inner), before);
    }

    #[test]
    fn the_flags_that_others_share_are_not_touched_where_the_terminal_can_be_opened_again() {
        let (_outer, inner) = pty();
        let before = rustix::fs::fcntl_getfl(&inner).expect("flags");
        let terminal = Terminal::borrow(inner.as_fd(), inner.as_fd()).expect("borrow");
        assert_eq!(rustix::fs::fcntl_getfl(&inner).expect("flags"), before);
        assert!(rustix::fs::fcntl_getfl(terminal.input()).expect("flags").contains(OFlags::NONBLOCK));
        assert!(terminal.shared.is_empty());
    }

    #[test]
    fn a_terminal_without_a_size_has_the_last_one_or_the_usual_one() {
        let (outer, inner) = pty();
        let set = |rows, cols| {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&outer, size).expect("set size");
        };
        let mut terminal = Terminal::borrow(inner.as_fd(), inner.as_fd()).expect("borrow");
        assert_eq!(size_of(inner.as_fd(), inner.as_fd()), USUAL);
        for (rows, cols, expected) in
            [(0, 0, (24, 80)), (1, 1, (24, 80)), (50, 132, (50, 132)), (0, 0, (50, 132)), (1, 20, (1, 20))]
        {
            set(rows, cols);
            let size = terminal.size();
            assert_eq!((size.rows, size.cols), expected);
        }
    }

    #[test]
    fn sane_settings_undo_raw_ones() {
        let (_outer, inner) = pty();
        let mut raw = rustix::termios::tcgetattr(&inner).expect("tcgetattr");
        raw.make_raw();
        raw.special_codes[SpecialCodeIndex::VINTR] = 0;
        rustix::termios::tcsetattr(&inner, OptionalActions::Now, &raw).expect("tcsetattr");
        let flags = rustix::fs::fcntl_getfl(&inner).expect("flags");
        rustix::fs::fcntl_setfl(&inner, flags | OFlags::NONBLOCK).expect("flags");
        restore_sane(&inner).expect("sane");
        let now = rustix::termios::tcgetattr(&inner).expect("tcgetattr");
        assert!(now.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        assert!(now.input_modes.contains(InputModes::ICRNL) && now.output_modes.contains(OutputModes::OPOST));
        assert_eq!(now.special_codes[SpecialCodeIndex::VINTR], 3);
        assert!(!rustix::fs::fcntl_getfl(&inner).expect("flags").contains(OFlags::NONBLOCK));
        assert!(restore_sane(std::fs::File::open("/dev/null").expect("open")).is_err());
    }
}
