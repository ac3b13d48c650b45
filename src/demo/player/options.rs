//! What the player is told, where it finds itself, and what it remembers.
//!
//! **Invariant:** a conversation is remembered after every step, so that it can be resumed after
//! any end. Must not know: terminals.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PlayError;
use crate::demo::script::named_in;
use crate::os::file;

/// Between two steps, so that a person can watch.
const PACE: Duration = Duration::from_millis(400);

/// A brief is read up to here, to find the name of its script.
const MAX_BRIEF: u64 = 1 << 20;

/// What the player is told on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A built-in script; without one, the prompt or the brief names it.
    pub script: Option<String>,
    /// The name to remember this conversation by.
    pub session: Option<String>,
    /// Go on with this conversation.
    pub resume: Option<String>,
    /// Between two steps.
    pub pace: Duration,
    /// What it is asked.
    pub prompt: Option<String>,
}

/// Where the player finds itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Its folder.
    pub worktree: PathBuf,
    /// `STANDUP_DIR`.
    pub dir: Option<PathBuf>,
    /// `STANDUP_BRIEF`.
    pub brief: Option<PathBuf>,
}

impl Options {
    /// Reads `[--script NAME] [--session-id ID] [--resume ID] [--pace MS] [--] [PROMPT]`.
    ///
    /// # Errors
    /// [`PlayError::Usage`].
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, PlayError> {
        let mut options = Self { script: None, session: None, resume: None, pace: PACE, prompt: None };
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        let mut is_prompt = false;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| PlayError::Usage(format!("{arg} needs a value")));
            match arg.as_str() {
                "--" if !is_prompt => is_prompt = true,
                "--script" if !is_prompt => options.script = Some(value()?),
                "--session-id" if !is_prompt => options.session = Some(value()?),
                "--resume" if !is_prompt => options.resume = Some(value()?),
                "--pace" if !is_prompt => {
                    let text = value()?;
                    let ms =
                        text.parse().map_err(|_| PlayError::Usage(format!("--pace {text} is not a number of ms")))?;
                    options.pace = Duration::from_millis(ms);
                }
                _ if arg.starts_with("--") && !is_prompt => {
                    return Err(PlayError::Usage(format!("unknown flag {arg}")));
                }
                _ if options.prompt.is_none() => options.prompt = Some(arg),
                _ => return Err(PlayError::Usage("more than one prompt".into())),
            }
        }
        for id in options.session.iter().chain(&options.resume) {
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(PlayError::Usage(format!("{id:?} is not an id")));
            }
        }
        Ok(options)
    }
}

impl Surroundings {
    /// What the process was started with.
    ///
    /// # Errors
    /// The current folder is gone.
    pub fn find() -> io::Result<Self> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        Ok(Self { worktree: std::env::current_dir()?, dir: variable("STANDUP_DIR"), brief: variable("STANDUP_BRIEF") })
    }
}

/// What outlives the process, so that a conversation can be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) session: String,
    pub(super) script: Option<String>,
    pub(super) turn: usize,
    pub(super) step: usize,
    /// Label and text of the option chosen last.
    pub(super) answer: Option<(String, String)>,
}

impl Memory {
    pub(super) fn recall(options: &Options, around: &Surroundings) -> Result<Self, PlayError> {
        if let Some(id) = &options.resume {
            let missing = || PlayError::NoConversation(id.clone());
            let path = Self::path(around, id).ok_or_else(missing)?;
            let bytes = file::read_bounded(&path, MAX_BRIEF).map_err(|_| missing())?;
            return serde_json::from_slice(&bytes).map_err(|_| missing());
        }
        let brief = around.brief.as_deref().and_then(|path| file::read_bounded(path, MAX_BRIEF).ok());
        let brief = brief.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let named = options.prompt.as_deref().and_then(named_in).or_else(|| brief.as_deref().and_then(named_in));
        Ok(Self {
            session: options.session.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            script: options.script.clone().or_else(|| named.map(str::to_owned)),
            turn: 0,
            step: 0,
            answer: None,
        })
    }

    fn path(around: &Surroundings, id: &str) -> Option<PathBuf> {
        Some(around.dir.as_ref()?.join(format!("player-{id}.json")))
    }

    /// Without a `STANDUP_DIR` nothing is kept, and nothing can be resumed.
    pub(super) fn keep(&self, around: &Surroundings) -> Result<(), PlayError> {
        let Some(path) = Self::path(around, &self.session) else { return Ok(()) };
        let bytes = serde_json::to_vec(self).expect("plain data becomes JSON");
        file::write_atomic(&path, &bytes, 0o600).map_err(PlayError::Memory)
    }
}
