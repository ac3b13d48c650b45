//! The two streams of a person's terminal: stdout is the answer, stderr the narration.
//!
//! A closed pipe ends the output silently. Colour only on a terminal, unless told otherwise.
//!
//! **Invariant:** a text that goes to stderr is cleaned here; and with `--json` a verb that fails
//! leaves one document there and nothing else.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::board::text::{Paint, Tone};
use crate::board::when;
use crate::model::text::{clean_line, clean_lines};

use super::error::{Code, Failure};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a person is spoken to.
#[derive(Debug, Clone)]
pub struct Ui {
    /// Whether answers are JSON.
    pub json: bool,
    /// Whether the narration is left out.
    pub quiet: bool,
    /// Whether every question is answered with yes.
    pub yes: bool,
    /// Whether nothing may be asked.
    pub no_input: bool,
    /// Whether more is said on the way.
    pub verbose: bool,
    color_out: bool,
    color_err: bool,
    columns: usize,
    /// What is said beside a document waits for how the verb ends.
    held: Arc<Mutex<Vec<String>>>,
}

/// The most texts that wait beside a document; more are not said.
const MAX_HELD: usize = 10_000;

/// Columns where nobody tells: what goes into a pipe or a file is to be whole rather than neat.
const COLUMNS: usize = 160;

impl Ui {
    /// By flags and environment.
    #[must_use]
    pub fn new(json: bool, quiet: bool, yes: bool, no_input: bool, color: Color) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
        let wants = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) => false,
            Color::Auto if set("CLICOLOR_FORCE") => true,
            Color::Auto => terminal && std::env::var("TERM").as_deref() != Ok("dumb"),
        };
        let columns = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
        Self {
            json,
            quiet,
            yes,
            no_input,
            verbose: false,
            color_out: wants(io::stdout().is_terminal()),
            color_err: wants(io::stderr().is_terminal()),
            columns: if columns == 0 { COLUMNS } else { columns },
            held: Arc::default(),
        }
    }

    /// The answer, as text.
    ///
    /// # Errors
    /// Where stdout cannot be written; a closed pipe is a silent one.
    pub fn answer(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        written(
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(newline.as_bytes())).and_then(|()| out.flush()),
        )
    }

    /// The answer, as bytes.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// The answer, as one JSON line.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|e| Failure::new(Code::Bug, e.to_string()))?;
        self.answer(&text)
    }

    /// Whether answers are coloured.
    #[must_use]
    pub fn colors(&self) -> bool {
        self.color_out
    }

    /// Whether the answer goes to a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Lends the person's terminal: where keys come from, and what shows.
    pub fn on_terminal<T>(&self, borrow: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> T) -> T {
        borrow(io::stdin().as_fd(), io::stdout().as_fd())
    }

    /// Something said beside the answer, for those who want to know more.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.say(text);
        }
    }

    /// Something said beside the answer, whoever wrote it: shown is no more than text.
    pub fn say(&self, text: &str) {
        self.tell(&clean_lines(text));
    }

    /// The same of lines that were cleaned before they were painted.
    pub fn tell(&self, painted: &str) {
        if self.quiet {
            return;
        }
        if !self.json {
            let _ = writeln!(io::stderr(), "{painted}");
        } else if let Ok(mut held) = self.held.lock()
            && held.len() < MAX_HELD
        {
            held.push(painted.to_owned());
        }
    }

    /// What to do next, to paste.
    pub fn hint(&self, command: &str) {
        self.tell(&self.hinted(command));
    }

    fn hinted(&self, command: &str) -> String {
        format!("{} {}", paint(self.color_err, Tone::Dim, "hint:"), clean_line(command))
    }

    /// Says what was held back beside a document. What failed has one document on stderr, and
    /// nothing before it.
    pub fn release(&self) {
        let held = self.held.lock().map(|mut held| std::mem::take(&mut *held)).unwrap_or_default();
        let mut err = io::stderr().lock();
        for text in held {
            let _ = writeln!(err, "{text}");
        }
    }

    /// A failure, the last thing said.
    pub fn fail(&self, failure: &Failure) {
        let mut err = io::stderr().lock();
        match failure {
            _ if self.json && failure.is_silent() && failure.code == Code::Interrupted => {
                let _ = writeln!(err, "{}", Failure::new(failure.code, "interrupted").to_json());
            }
            _ if failure.is_silent() => {}
            _ if self.json => {
                let _ = writeln!(err, "{}", failure.to_json());
            }
            _ => {
                let text = clean_lines(&when::told_whole(&failure.text, &self.zone()));
                let _ = writeln!(err, "{} {text}", paint(self.color_err, Tone::Bad, "error:"));
                for hint in &failure.hints {
                    let _ = writeln!(err, "{}", self.hinted(hint));
                }
            }
        }
    }

    /// Whether a person can be asked something.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.no_input && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a yes-or-no question; `--yes` answers it.
    ///
    /// # Errors
    /// [`Code::Policy`] where nobody can be asked and `--yes` is not given.
    pub fn confirm(&self, question: &str, otherwise: &str) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        if !self.can_ask() {
            return Err(Failure::new(Code::Policy, otherwise.to_owned()).hint("add --yes to go ahead"));
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question} [y/N] ");
        let _ = err.flush();
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(matches!(line.trim(), "y" | "Y" | "yes"))
    }
}

impl Ui {
    /// Asks for a line of text, where a person can be asked; empty where not.
    ///
    /// # Errors
    /// Where the terminal cannot be read.
    pub fn ask(&self, question: &str) -> Result<String, Failure> {
        if self.yes || !self.can_ask() {
            return Ok(String::new());
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question} ");
        let _ = err.flush();
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// Has faults that nobody asked about written to stderr, a line each with its time (UTC):
/// warnings, or what `STANDUP_LOG` asks for, such as `debug` or `standup::git=trace`.
pub(super) fn log() {
    let filter = EnvFilter::try_from_env("STANDUP_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(io::stderr);
    // That a line could not be written would go to stderr as well, and panic where the log's disk is full.
    let subscriber = subscriber.log_internal_errors(false);
    // One that was set up before stays.
    let _ = subscriber.try_init();
}

impl Paint for Ui {
    fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.color_out, tone, text)
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn zone(&self) -> TimeZone {
        TimeZone::system()
    }
}

/// Both streams for one who speaks a protocol over them.
pub(super) fn streams() -> (tokio::io::Stdin, tokio::io::Stdout) {
    (tokio::io::stdin(), tokio::io::stdout())
}

/// Lends the descriptor that answers go to.
pub(super) fn with_output<T>(borrow: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    borrow(io::stdout().as_fd())
}

fn paint(on: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Bold => "1",
        Tone::Dim => "2",
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Warn => "33",
        Tone::Plain => "",
    };
    if !on || code.is_empty() { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

/// A reader that went away wants no more, which ends the verb in silence; everything else is a
/// failure.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(Code::Ok)),
        other => other.map_err(|e| Failure::new(Code::Failure, format!("cannot write the answer: {e}"))),
    }
}
