//! The scripted player: an agent that needs no account, behind the hidden verb `__demo-agent`.
//!
//! **Invariant:** what it reports is what it does at that moment, and whatever way it leaves, it
//! clears its report first. Must not know: who started it; all it is told are its arguments, its
//! folder and the `STANDUP_*` variables that every agent gets.

mod options;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::keys::Key;
use super::report::{self, State};
use super::script::{Ask, Choice, Edit, Script, Step, Write};
use super::tty::{Happening, Terminal, Tty};
use crate::model::checkin::{CheckIn, CheckInKind};
use crate::os::file::{self, FileError};
use crate::os::run::{Run, Stream};

use options::Memory;
pub use options::{Options, Surroundings};

/// A second Ctrl-C within this time leaves.
const TWICE: Duration = Duration::from_secs(3);

/// A line of shell that takes longer than this has gone wrong.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Messages that came while a turn ran; more are refused, and said to be.
const MAX_QUEUE: usize = 16;

/// Why the player cannot play.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// No script of this name.
    #[error("there is no script named {0}")]
    NoScript(String),
    /// Nothing is remembered under this id.
    #[error("no conversation found with the id {0}")]
    NoConversation(String),
    /// The terminal.
    #[error("lost the terminal")]
    Terminal(#[from] io::Error),
    /// A file of its own.
    #[error("cannot keep the conversation")]
    Memory(#[source] FileError),
}

/// Plays on this process's own terminal. The answer is the exit code, or why it could not begin.
///
/// # Errors
/// [`PlayError`].
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<u8, PlayError> {
    let options = Options::parse(args)?;
    let around = Surroundings::find()?;
    let mut tty = Tty::open()?;
    play(&options, &around, &mut tty)
}

/// Plays until somebody asks it to leave. The answer is the exit code.
///
/// # Errors
/// [`PlayError`].
pub fn play(options: &Options, around: &Surroundings, terminal: &mut dyn Terminal) -> Result<u8, PlayError> {
    let memory = Memory::recall(options, around)?;
    let script = match memory.script.as_deref() {
        Some(name) => Some(Script::built_in(name).ok_or_else(|| PlayError::NoScript(name.to_owned()))?),
        None => None,
    };
    let mut player = Player {
        terminal,
        around,
        pace: options.pace,
        script,
        memory,
        line: String::new(),
        queue: VecDeque::new(),
        interrupted: None,
    };
    match player.play(options.prompt.as_deref()) {
        Ok(never) => match never {},
        Err(Leave::Code(code)) => Ok(code),
        Err(Leave::Broken(error)) => Err(error),
    }
}

/// Why the player goes.
enum Leave {
    Code(u8),
    Broken(PlayError),
}

impl From<PlayError> for Leave {
    fn from(error: PlayError) -> Self {
        Self::Broken(error)
    }
}

impl From<io::Error> for Leave {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// How a turn, or a step of it, came to its end.
enum Turn {
    Over,
    Interrupted,
    Failed(String),
}

enum Never {}

struct Player<'a> {
    terminal: &'a mut dyn Terminal,
    around: &'a Surroundings,
    pace: Duration,
    script: Option<Script>,
    memory: Memory,
    /// What is being typed.
    line: String,
    /// What was submitted while a turn ran.
    queue: VecDeque<String>,
    /// When Ctrl-C or Ctrl-D came last.
    interrupted: Option<Instant>,
}

impl Player<'_> {
    fn play(&mut self, prompt: Option<&str>) -> Result<Never, Leave> {
        self.terminal.show(b"\x1b[?2004h")?;
        self.terminal.show(report::QUERY)?;
        let title = self.script.as_ref().map_or("standup demo".to_owned(), |script| script.title.clone());
        self.terminal.show(&report::title(&title))?;
        self.say(&format!("standup demo player · {title}"))?;
        self.memory.keep(self.around)?;
        match prompt {
            Some(_) => self.turn()?,
            None => self.report(&State::Idle)?,
        }
        loop {
            while self.queue.pop_front().is_some() {
                self.turn()?;
            }
            self.show_prompt()?;
            self.wait_for_message()?;
        }
    }

    // What a person sees.

    fn report(&mut self, state: &State) -> io::Result<()> {
        self.terminal.show(&state.sequence())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
            self.terminal.show(format!("{line}\r\n").as_bytes())?;
        }
        Ok(())
    }

    fn show_prompt(&mut self) -> io::Result<()> {
        let line = format!("\r\x1b[K› {}", self.line.replace('\n', "⏎"));
        self.terminal.show(line.as_bytes())
    }

    // Input.

    /// At rest: keys until a message is submitted.
    fn wait_for_message(&mut self) -> Result<(), Leave> {
        while self.queue.is_empty() {
            let happening = self.terminal.next(None)?;
            if matches!(happening, Happening::Key(Key::Interrupt | Key::EndOfInput)) && self.line.is_empty() {
                if self.interrupted.is_some_and(|at| at.elapsed() < TWICE) {
                    return Err(self.leave(0)?);
                }
                self.interrupted = Some(Instant::now());
                self.say("\nPress Ctrl-C again to leave.")?;
                self.report(&State::Idle)?;
            } else {
                self.take(happening)?;
            }
            self.show_prompt()?;
        }
        Ok(())
    }

    /// Takes what happened into the line and the queue; whether it interrupts a turn.
    fn take(&mut self, happening: Happening) -> Result<bool, Leave> {
        let key = match happening {
            Happening::Nothing => return Ok(false),
            Happening::Closed => return Err(self.leave(0)?),
            Happening::Asked(signal) => return Err(self.leave(128 + u8::try_from(signal).unwrap_or(0))?),
            Happening::Key(key) => key,
        };
        match key {
            Key::Char(c) => self.line.push(c),
            Key::Paste(text) => self.line.push_str(&text),
            Key::Backspace => drop(self.line.pop()),
            Key::Kill => self.line.clear(),
            Key::Enter => self.submit()?,
            Key::Escape => return Ok(true),
            Key::Interrupt | Key::EndOfInput => {
                self.line.clear();
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn submit(&mut self) -> Result<(), Leave> {
        let message = std::mem::take(&mut self.line).trim().to_owned();
        if matches!(message.as_str(), "/exit" | "/quit") {
            return Err(self.leave(0)?);
        }
        if message.is_empty() {
            return Ok(());
        }
        if self.queue.len() == MAX_QUEUE {
            self.say("\nToo many messages wait already; this one is dropped.")?;
            return Ok(());
        }
        let shown = message.lines().next().unwrap_or_default().to_owned();
        self.terminal.show(b"\r\x1b[K")?;
        self.say(&format!("> {shown}"))?;
        self.queue.push_back(message);
        Ok(())
    }

    /// Gives the terminal back. What cannot be shown any more is nobody's loss.
    fn leave(&mut self, code: u8) -> Result<Leave, Leave> {
        self.memory.keep(self.around)?;
        let _ = self.say(&format!("\nTo go on: standup __demo-agent --resume {}", self.memory.session));
        let _ = self.report(&State::Clear);
        let _ = self.terminal.show(&report::title(""));
        let _ = self.terminal.show(b"\x1b[?2004l");
        Ok(Leave::Code(code))
    }

    /// Passes time and takes what happens meanwhile; whether the turn was interrupted.
    fn pass(&mut self, time: Duration) -> Result<bool, Leave> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.terminal.next(Some(left))? {
                Happening::Nothing => return Ok(false),
                happening => {
                    if self.take(happening)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    // Turns.

    /// Plays the turn that is next, or the rest of the one that was interrupted.
    fn turn(&mut self) -> Result<(), Leave> {
        let steps =
            self.script.as_ref().and_then(|script| script.turn.get(self.memory.turn)).map(|turn| turn.step.clone());
        let Some(steps) = steps else {
            self.report(&State::Working(String::new()))?;
            self.say("• Noted. My script has nothing more to do here.")?;
            self.report(&State::Done)?;
            return Ok(());
        };
        let end = self.steps(&steps)?;
        match end {
            Turn::Over => {
                (self.memory.turn, self.memory.step) = (self.memory.turn + 1, 0);
                self.memory.keep(self.around)?;
                self.say("• Done.")?;
                self.report(&State::Done)?;
            }
            Turn::Interrupted => {
                self.say("\n• Interrupted. What should I do instead?")?;
                self.report(&State::Idle)?;
            }
            Turn::Failed(why) => {
                self.say(&format!("• That did not work: {why}"))?;
                self.report(&State::Error(why))?;
            }
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[Step]) -> Result<Turn, Leave> {
        while let Some(step) = steps.get(self.memory.step) {
            self.report(&State::Working(describe(step)))?;
            if self.pass(self.pace)? {
                return Ok(Turn::Interrupted);
            }
            match self.step(step)? {
                Turn::Over => {}
                end => return Ok(end),
            }
            self.memory.step += 1;
            self.memory.keep(self.around)?;
        }
        Ok(Turn::Over)
    }

    fn step(&mut self, step: &Step) -> Result<Turn, Leave> {
        match step {
            Step::Say(text) => {
                let text = self.filled(text);
                self.say(&format!("• {text}"))?;
            }
            Step::Pause(beats) => {
                if self.pass(self.pace * *beats)? {
                    return Ok(Turn::Interrupted);
                }
            }
            Step::Write(write) => return self.write(write),
            Step::Edit(edit) => return self.edit(edit),
            Step::Run(line) => return self.shell(&self.filled(line)),
            Step::Ask(ask) => return self.ask(ask),
            Step::CheckIn(check_in) => return self.check_in(check_in),
        }
        Ok(Turn::Over)
    }

    fn filled(&self, text: &str) -> String {
        match &self.memory.answer {
            Some((label, body)) => text.replace("{answer_text}", body).replace("{answer}", label),
            None => text.to_owned(),
        }
    }

    fn write(&mut self, write: &Write) -> Result<Turn, Leave> {
        self.say(&format!("• Write {}", write.path))?;
        let path = self.around.worktree.join(&write.path);
        let mode = if write.program { 0o755 } else { 0o644 };
        let text = self.filled(&write.text);
        let result = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|e| e.to_string());
        Ok(ended(result.and_then(|()| put(&path, &text, mode))))
    }

    fn edit(&mut self, edit: &Edit) -> Result<Turn, Leave> {
        self.say(&format!("• Edit {}", edit.path))?;
        let path = self.around.worktree.join(&edit.path);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Ok(Turn::Failed(format!("cannot read {}: {error}", edit.path))),
        };
        if text.matches(&edit.old).count() != 1 {
            return Ok(Turn::Failed(format!("{} is not as I expected it", edit.path)));
        }
        let mode = fs::metadata(&path).map_or(0o644, |meta| std::os::unix::fs::MetadataExt::mode(&meta) & 0o777);
        Ok(ended(put(&path, &text.replace(&edit.old, &self.filled(&edit.new)), mode)))
    }

    fn shell(&mut self, line: &str) -> Result<Turn, Leave> {
        self.say(&format!("• Run {line}"))?;
        let run = Run::new("/bin/sh").args(["-c", line]).cwd(&self.around.worktree).timeout(COMMAND_LIMIT);
        let (mut shown, mut left) = (Vec::new(), None);
        let ended = run.stream(|stream, chunk| {
            if matches!(stream, Stream::Out | Stream::Err) && shown.len() < 64 << 10 {
                shown.extend_from_slice(chunk);
            }
            match self.pass(Duration::ZERO) {
                Ok(interrupted) => !interrupted,
                Err(leave) => {
                    left = Some(leave);
                    false
                }
            }
        });
        if let Some(leave) = left {
            return Err(leave);
        }
        for text in String::from_utf8_lossy(&shown).lines() {
            self.say(&format!("  {text}"))?;
        }
        Ok(match ended {
            Ok(ended) if ended.aborted => Turn::Interrupted,
            Ok(ended) if ended.is_success() => Turn::Over,
            Ok(ended) => {
                Turn::Failed(format!("`{line}` ended with {}", ended.code.map_or("a signal".into(), |c| c.to_string())))
            }
            Err(error) => Turn::Failed(error.to_string()),
        })
    }

    fn ask(&mut self, ask: &Ask) -> Result<Turn, Leave> {
        let labels: Vec<&str> = ask.options.iter().map(|option| option.label.as_str()).collect();
        self.report(&State::Question(format!("answer: {} ({})", ask.question, labels.join(" · "))))?;
        self.say(&format!("? {}", ask.question))?;
        for (index, label) in labels.iter().enumerate() {
            self.say(&format!("  {}. {label}", index + 1))?;
        }
        self.say("  Press a number, or type an option and Enter. Esc refuses.")?;
        // A half typed message is put aside, so that a number answers at once.
        let draft = std::mem::take(&mut self.line);
        let choice = loop {
            let choice = match self.terminal.next(None)? {
                Happening::Key(Key::Char(c)) if self.line.is_empty() && c.is_ascii_digit() => {
                    let choice = pick(&ask.options, &c.to_string());
                    if choice.is_none() {
                        self.line.push(c);
                    }
                    choice
                }
                Happening::Key(Key::Enter) => self.typed_answer(&ask.options)?,
                happening => {
                    if self.take(happening)? {
                        self.line = draft;
                        return Ok(Turn::Interrupted);
                    }
                    None
                }
            };
            if let Some(choice) = choice {
                break choice;
            }
        };
        self.line = draft;
        self.say(&format!("  → {}", choice.label))?;
        self.memory.answer = Some((choice.label.clone(), choice.text.clone()));
        Ok(Turn::Over)
    }

    fn typed_answer<'o>(&mut self, options: &'o [Choice]) -> Result<Option<&'o Choice>, Leave> {
        let typed = std::mem::take(&mut self.line);
        let typed = typed.trim();
        if matches!(typed, "/exit" | "/quit") {
            return Err(self.leave(0)?);
        }
        let choice = pick(options, typed);
        if choice.is_none() && !typed.is_empty() {
            self.say(&format!("  {typed:?} is not one of them."))?;
        }
        Ok(choice)
    }

    fn check_in(&mut self, step: &super::script::CheckIn) -> Result<Turn, Leave> {
        let Some(dir) = &self.around.dir else {
            self.say("• Nobody to check in with (STANDUP_DIR is not set).")?;
            return Ok(Turn::Over);
        };
        let record = CheckIn {
            schema_version: 1,
            kind: CheckInKind::CheckIn,
            state: step.state,
            did: self.filled(&step.did),
            next: self.filled(&step.next),
            blockers: Vec::new(),
            question: None,
            options: Vec::new(),
            met: step.met.clone(),
        };
        let outbox = dir.join("outbox");
        let name = format!("{}-{}.json", crate::os::clock::now().wall.0, uuid::Uuid::new_v4().simple());
        let bytes = serde_json::to_vec(&record).expect("plain data becomes JSON");
        let result = fs::create_dir_all(&outbox)
            .map_err(|e| e.to_string())
            .and_then(|()| file::write_atomic(&outbox.join(name), &bytes, 0o600).map_err(|e| e.to_string()));
        self.say(&format!("• Check-in: {}", if record.did.is_empty() { &record.next } else { &record.did }))?;
        Ok(ended(result))
    }
}

/// The option that this answers: its number, its label, or the only label that begins so.
fn pick<'a>(options: &'a [Choice], typed: &str) -> Option<&'a Choice> {
    if typed.is_empty() {
        return None;
    }
    if let Ok(number) = typed.parse::<usize>() {
        return options.get(number.checked_sub(1)?);
    }
    if typed.chars().count() == 1 {
        return None;
    }
    let typed = typed.to_lowercase();
    let mut begin = options.iter().filter(|option| option.label.to_lowercase().starts_with(&typed));
    let first = begin.next()?;
    (begin.next().is_none() || first.label.to_lowercase() == typed).then_some(first)
}

/// What a step is, in a few words for a board.
fn describe(step: &Step) -> String {
    match step {
        Step::Say(_) | Step::Pause(_) => String::new(),
        Step::Write(write) => format!("write {}", write.path),
        Step::Edit(edit) => format!("edit {}", edit.path),
        Step::Run(line) => line.split(" && ").next().unwrap_or_default().to_owned(),
        Step::Ask(_) => "has a question".to_owned(),
        Step::CheckIn(_) => "check in".to_owned(),
    }
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    file::write_atomic(path, text.as_bytes(), mode).map_err(|error| error.to_string())
}

fn ended(result: Result<(), String>) -> Turn {
    result.map_or_else(Turn::Failed, |()| Turn::Over)
}

#[cfg(test)]
mod tests;
