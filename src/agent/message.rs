//! Text for an agent that runs: when it may be typed, and how so that it is read as a prompt.
//!
//! **Invariant:** nothing is typed at a dialog, at an agent whose state is unknown, or at one that
//! ended, and no text is a command of the CLI's own. Must not know: how keys reach a terminal, what
//! confirms that they were read.

use std::borrow::Cow;

use crate::model::state::{Ask, RunKind, RunState, Source};

use super::adapter::{Adapter, InputRules};
use super::plain;

/// The longest text that goes back with red checks, in bytes.
const MAX_RED: usize = 8 * 1024;

/// The most failures named for each check.
const MAX_FAILURES: usize = 20;

/// The most bytes of output shown for each check.
const MAX_TAIL: usize = 1_500;

/// Why a text is not typed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// It does not read typed text.
    #[error("this agent does not read what is typed")]
    Unreadable,
    /// It is not ready yet.
    #[error("the agent is starting")]
    Starting,
    /// It would answer a dialog.
    #[error("the agent waits at a dialog ({0:?}); a text would answer it")]
    Dialog(Ask),
    /// It has no quota.
    #[error("the agent is out of quota")]
    Limited,
    /// The checks look at its work.
    #[error("checks run on its work")]
    Checking,
    /// Nobody would read it.
    #[error("the agent does not run")]
    Ended,
    /// Nobody knows what would read it.
    #[error("it is not known what the agent does")]
    Unknown,
}

/// Whether a text may be typed at an agent in this state.
///
/// # Errors
/// [`Hold`] says why not; the text waits until the state changes.
pub fn may_type(adapter: &Adapter, state: &RunState) -> Result<(), Hold> {
    if !adapter.input.typing {
        return Err(Hold::Unreadable);
    }
    match state.kind {
        RunKind::Idle | RunKind::Working | RunKind::Quiet if state.source != Some(Source::Process) => Ok(()),
        RunKind::Starting => Err(Hold::Starting),
        RunKind::Waiting => Err(Hold::Dialog(state.ask.unwrap_or(Ask::Question))),
        RunKind::Limited => Err(Hold::Limited),
        RunKind::Checking => Err(Hold::Checking),
        RunKind::None | RunKind::Stopped | RunKind::Exited | RunKind::Lost => Err(Hold::Ended),
        RunKind::Unknown | RunKind::Idle | RunKind::Working | RunKind::Quiet => Err(Hold::Unknown),
    }
}

/// What makes a prompt of a text that its CLI would take for a command of its own: a shell's, or one
/// that ends it.
const AS_PROMPT: &str = "Message: ";

/// `text` as the agent reads it as a prompt: what begins like a command of the CLI's own stands
/// behind a word of ours. An agent may have chosen the text, as an answer that it offered.
#[must_use]
pub fn as_prompt<'a>(input: &InputRules, text: &'a str) -> Cow<'a, str> {
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let is_command = input.commands.iter().any(|command| begins.starts_with(command.as_str()));
    if is_command { Cow::Owned(format!("{AS_PROMPT}{begins}")) } else { Cow::Borrowed(text) }
}

/// `text` as it is typed: as a prompt, with what closes the lists of names that its last word opens.
#[must_use]
pub fn as_typed(input: &InputRules, text: &str) -> String {
    format!("{}{}", as_prompt(input, text), input.after_text)
}

/// One red check, for the agent.
#[derive(Debug, Clone)]
pub struct Red<'a> {
    /// The check's name.
    pub check: &'a str,
    /// The command.
    pub run: &'a str,
    /// How it ended: `exit code 1`, `no end within 15m`, `no test ran`.
    pub why: &'a str,
    /// The tests that failed.
    pub failures: &'a [String],
    /// Its output.
    pub output: &'a str,
}

/// The red checks as one bounded message.
#[must_use]
pub fn red_checks(reds: &[Red<'_>]) -> String {
    let names = reds.iter().map(|r| r.check).collect::<Vec<_>>().join(", ");
    let mut text = format!("The checks on your work are red: {names}. Mend the cause, commit, and end your turn.\n");
    // Every check is named before any output is shown: a long tail must not hide the next check.
    for red in reds {
        text.push_str(&format!("\n{} (`{}`): {}\n", red.check, plain::line(red.run, 200), red.why));
        for failure in red.failures.iter().take(MAX_FAILURES) {
            text.push_str(&format!("- {}\n", plain::line(failure, 200)));
        }
        if red.failures.len() > MAX_FAILURES {
            text.push_str(&format!("- and {} more\n", red.failures.len() - MAX_FAILURES));
        }
    }
    for red in reds {
        let room = MAX_RED.saturating_sub(text.len()).min(MAX_TAIL);
        let tail = tail(red.output, room);
        if !tail.is_empty() {
            text.push_str(&format!("\nThe end of what {} printed:\n{tail}\n", red.check));
        }
    }
    let end = (0..=text.len().min(MAX_RED)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.truncate(end);
    text
}

/// The last whole lines of `output` in at most `room` bytes, without control characters.
fn tail(output: &str, room: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for line in output.lines().rev().skip_while(|l| l.trim().is_empty()) {
        let line: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        used += line.len() + 1;
        if used > room {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
