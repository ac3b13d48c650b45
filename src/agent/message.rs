//! Text for an agent that runs: when it may be typed, as which keys, and what confirms it.
//!
//! **Invariant:** nothing is typed at a dialog, at an agent whose state is unknown, or at one that
//! ended; a text cannot break out of its paste. What nothing confirmed is `Unknown`, which the
//! caller never types again. Must not know: how keys reach a terminal.

use std::str::FromStr;

use crate::model::state::{Ask, RunKind, RunState, Source};
use crate::model::time::{Mono, Now, Span};

use super::adapter::{Adapter, InputRules};
use super::hook::Event;
use super::plain;
use super::psp;
use super::screen::{Choice, Prompt};
use super::signal::Observation;
use super::status_file::Status;

/// Between a paste and Enter; less and Codex takes Enter as part of the paste.
const ENTER_AFTER_MS: u32 = 150;

/// How long evidence may take before a delivery counts as unknown. A busy agent takes the text at
/// the end of its turn, so there the clock starts anew with each sign of the turn.
const CONFIRM: Span = Span::secs(15);

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
        RunKind::Limited if state.until.is_some() => Err(Hold::Limited),
        // Nothing tells when such a limit ends: what is typed finds out.
        RunKind::Limited => Ok(()),
        RunKind::Checking => Err(Hold::Checking),
        RunKind::None | RunKind::Stopped | RunKind::Exited | RunKind::Lost => Err(Hold::Ended),
        RunKind::Unknown | RunKind::Idle | RunKind::Working | RunKind::Quiet => Err(Hold::Unknown),
    }
}

/// Keys, with the pauses they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Bytes written at once.
    Write(Vec<u8>),
    /// A pause, in milliseconds.
    Pause(u32),
}

/// The keys that submit `text` as one prompt.
#[must_use]
pub fn keys(input: &InputRules, text: &str, after_interrupt: bool) -> Vec<Key> {
    let mut keys = Vec::with_capacity(4);
    if after_interrupt && !input.after_interrupt.is_empty() {
        keys.push(Key::Write(input.after_interrupt.clone().into_bytes()));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // An escape in the text could end the paste, and what follows would be keys.
    let text: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    keys.push(Key::Write(format!("\u{1b}[200~{text}\u{1b}[201~").into_bytes()));
    keys.push(Key::Pause(ENTER_AFTER_MS));
    keys.push(Key::Write(b"\r".to_vec()));
    keys
}

/// The beginning that makes the CLI take `text` as a command of its own instead of a prompt.
#[must_use]
pub fn command<'a>(input: &'a InputRules, text: &str) -> Option<&'a str> {
    let text = text.trim_start();
    input.commands.iter().map(String::as_str).find(|c| text.starts_with(c))
}

/// What became of a text that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet; look again at this time, or at the next observation.
    Pending {
        /// When time alone decides.
        until: Mono,
    },
    /// It was taken as a prompt.
    Confirmed(Source),
    /// Nothing tells. It is never typed again by itself.
    Unknown,
}

/// One text between the keys and its evidence.
#[derive(Debug, Clone)]
pub struct Delivery {
    text: String,
    typed: Now,
    resting: bool,
    latest: Now,
    confirmed: Option<Source>,
}

impl Delivery {
    /// Begins when the keys were written. `before` is the state just before.
    #[must_use]
    pub fn new(text: &str, before: RunKind, typed: Now) -> Self {
        Self { text: squeeze(text), typed, resting: before == RunKind::Idle, latest: typed, confirmed: None }
    }

    /// Takes what was seen since.
    pub fn observe(&mut self, now: Now, seen: &Observation) {
        if self.confirmed.is_some() || now.mono < self.typed.mono {
            return;
        }
        match seen {
            Observation::Hook(hook) => match &hook.event {
                Event::PromptSubmitted { text } if squeeze(text).contains(&self.text) => {
                    self.confirmed = Some(Source::Hook);
                }
                Event::TurnEnded { .. } | Event::TurnFailed { .. } | Event::Interrupted => self.rested(now),
                _ => self.latest = now,
            },
            Observation::Psp(report) if report.id.is_none() => match report.state {
                // At rest only a prompt starts a turn; in a turn a report says nothing of the text.
                psp::State::Working if self.resting => self.confirmed = Some(Source::Osc7501),
                psp::State::Done | psp::State::Idle | psp::State::Error => self.rested(now),
                _ => self.latest = now,
            },
            Observation::Status(Some(file)) => match file.status {
                Status::Busy if self.resting => self.confirmed = Some(Source::StatusFile),
                Status::Idle => self.rested(now),
                _ => self.latest = now,
            },
            Observation::Output | Observation::Files | Observation::Cpu { .. } if !self.resting => self.latest = now,
            _ => {}
        }
    }

    /// The turn that the text was typed into ended: a queued text starts the next one.
    fn rested(&mut self, now: Now) {
        if !self.resting {
            self.resting = true;
            self.latest = now;
        }
    }

    /// What became of it at `now`.
    #[must_use]
    pub fn outcome(&self, now: Now) -> Outcome {
        let until = self.latest.mono + CONFIRM;
        match self.confirmed {
            Some(source) => Outcome::Confirmed(source),
            None if now.mono < until => Outcome::Pending { until },
            None => Outcome::Unknown,
        }
    }
}

/// A text without its blanks: composers wrap, trim and indent.
fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// An answer from outside to an agent's dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes, this once.
    Yes,
    /// No.
    No,
    /// An option, by number or by the beginning of its text.
    Option(String),
}

impl FromStr for Answer {
    type Err = AnswerError;

    fn from_str(text: &str) -> Result<Self, AnswerError> {
        match text.trim() {
            "" => Err(AnswerError::Empty),
            t if t.eq_ignore_ascii_case("yes") || t.eq_ignore_ascii_case("y") => Ok(Self::Yes),
            t if t.eq_ignore_ascii_case("no") || t.eq_ignore_ascii_case("n") => Ok(Self::No),
            t => Ok(Self::Option(t.to_owned())),
        }
    }
}

/// Why a dialog is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing was said.
    #[error("an answer is yes, no or an option")]
    Empty,
    /// A dialog that only a person at the terminal answers.
    #[error("a {0:?} dialog is answered in the agent's own terminal")]
    Yours(Ask),
    /// Yes and no are no answers to a question.
    #[error("the question has its own answers: {options}")]
    NotYesNo {
        /// What may be answered.
        options: String,
    },
    /// No option of that name.
    #[error("no option is {text:?}; there are {options}")]
    Option {
        /// What was said.
        text: String,
        /// What may be answered.
        options: String,
    },
    /// The options are not on the screen, or the adapter knows no key.
    #[error("how to answer that is not known here")]
    Unseen,
}

/// The keys that give `answer` to the dialog that is open. `prompt` is what the screen shows of it.
///
/// # Errors
/// [`AnswerError`]; nothing is typed then.
pub fn answer(input: &InputRules, ask: Ask, prompt: Option<&Prompt>, answer: &Answer) -> Result<Vec<Key>, AnswerError> {
    if matches!(ask, Ask::Trust | Ask::Login) {
        return Err(AnswerError::Yours(ask));
    }
    let press = |key: &str| match key {
        "" => Err(AnswerError::Unseen),
        key => Ok(vec![Key::Write(key.as_bytes().to_vec())]),
    };
    match answer {
        Answer::Yes | Answer::No if ask == Ask::Question => {
            Err(AnswerError::NotYesNo { options: prompt.map(listed).unwrap_or_default() })
        }
        Answer::Yes => press(&input.yes),
        Answer::No => press(&input.no),
        Answer::Option(text) => {
            let prompt = prompt.filter(|_| input.digits).ok_or(AnswerError::Unseen)?;
            let choice = pick(&prompt.options, text)
                .ok_or_else(|| AnswerError::Option { text: text.clone(), options: listed(prompt) })?;
            press(&choice.number.map(|n| n.to_string()).unwrap_or_default())
        }
    }
}

/// The option of this number, of this text, or the only one that begins with it.
fn pick<'a>(options: &'a [Choice], text: &str) -> Option<&'a Choice> {
    if let Ok(number) = text.parse::<u32>() {
        return options.iter().find(|o| o.number == Some(number));
    }
    let text = text.to_lowercase();
    let exact = options.iter().find(|o| o.text.to_lowercase() == text);
    let mut begins = options.iter().filter(|o| o.text.to_lowercase().starts_with(&text));
    exact.or_else(|| begins.next().filter(|_| begins.next().is_none()))
}

fn listed(prompt: &Prompt) -> String {
    let one = |o: &Choice| match o.number {
        Some(n) => format!("{n} ({})", o.text),
        None => o.text.clone(),
    };
    prompt.options.iter().map(one).collect::<Vec<_>>().join(", ")
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
