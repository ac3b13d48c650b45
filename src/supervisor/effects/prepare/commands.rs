//! The commands of `[worktrees]` at both ends of a worktree: run in it, bounded, logged, and
//! nothing that they started is left.
//!
//! **Invariant:** teardown is begun at most once for each worktree that was made.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use crate::model::id::AttemptId;
use crate::os::run::Run;
use crate::os::{failpoint, file};

use super::super::super::environment;
use super::super::super::surroundings::Loaded;
use super::super::super::world::World;
use super::super::chain;
use super::end_marked;

/// The end of a command's output that an error shows, in bytes.
const TAIL: usize = 1_500;

/// As much of what the commands print is kept, in bytes.
const LOG_MAX: usize = 4 << 20;

/// Stands in the shadow's folder, which goes with the worktree, once its teardown is begun.
const BEGUN: &str = "teardown";

/// Where commands run, and what they are told.
pub(super) struct Bench<'a> {
    pub(super) world: &'a World,
    pub(super) loaded: &'a Loaded,
    pub(super) attempt: AttemptId,
    pub(super) worktree: &'a Path,
    pub(super) ports: &'a [u16],
}

impl Bench<'_> {
    /// Runs what must pass before the agent starts; the first that does not is the last.
    ///
    /// # Errors
    /// Which, how it ended, and the end of what it printed.
    pub(super) fn set_up(&self) -> Result<(), String> {
        let mut log = Log::new(self, "setup");
        for command in &self.loaded.effective.settings.worktrees.setup {
            if let Some(wrong) = self.run(command, &mut log, &|| !self.world.is_stopping(self.attempt)) {
                let log_path = log.path.display();
                return Err(format!("{wrong}\n{}\nwhole log: {log_path}", end_of(&log.text)));
            }
        }
        Ok(())
    }

    /// Runs what is to be run before the worktree goes: every command, whatever became of the one
    /// before it. What went wrong, as a sentence; `None` where nothing did.
    pub(super) fn tear_down(&self) -> Option<String> {
        let rules = &self.loaded.effective.settings.worktrees;
        end_marked(&marker(self, "teardown"));
        if rules.teardown.is_empty() {
            return None;
        }
        if !self.loaded.trusted {
            return Some("Its teardown was not run: the commands are no longer approved.".into());
        }
        match self.begin() {
            Ok(true) => {}
            Ok(false) => return Some("Its teardown was interrupted, and is not run again.".into()),
            Err(error) => return Some(format!("Its teardown was not run: {error}.")),
        }
        failpoint::hit("teardown.begun");
        if !self.worktree.is_dir() {
            return Some("Its teardown was not run: the worktree is gone.".into());
        }
        let mut log = Log::new(self, "teardown");
        let wrong: Vec<String> =
            rules.teardown.iter().filter_map(|command| self.run(command, &mut log, &|| true)).collect();
        (!wrong.is_empty())
            .then(|| format!("Its teardown failed: {}; whole log: {}", wrong.join("; "), log.path.display()))
    }

    /// Notes down that it is begun; says whether this was the first time.
    fn begin(&self) -> std::io::Result<bool> {
        let dir = self.world.place.layout.shadow_dir(self.attempt);
        std::fs::create_dir_all(&dir)?;
        match OpenOptions::new().write(true).create_new(true).open(dir.join(BEGUN)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs one command; says what went wrong.
    fn run(&self, command: &str, log: &mut Log, goes_on: &dyn Fn() -> bool) -> Option<String> {
        let limit = self.loaded.effective.settings.worktrees.setup_timeout;
        let marker = marker(self, log.name);
        let mut env = environment::of_checks(self.world, self.attempt, self.worktree, self.ports);
        env.push(marker.clone());
        log.text.extend_from_slice(format!("$ {command}\n").as_bytes());
        let run = Run::new("/bin/sh").args(["-c", command]).cwd(self.worktree).clear_env();
        let run = env.iter().fold(run, |run, (name, value)| run.env(name, value));
        let ended = run.timeout(limit.to_std()).stream(|_, chunk| {
            let room = LOG_MAX.saturating_sub(log.text.len());
            log.text.extend_from_slice(&chunk[..chunk.len().min(room)]);
            goes_on()
        });
        end_marked(&marker);
        log.write();
        let how = match ended {
            Ok(ended) if ended.is_success() => return None,
            Ok(ended) if ended.timed_out => format!("took longer than {limit}"),
            Ok(ended) if ended.aborted => "was stopped".to_owned(),
            Ok(ended) => ended.code.map_or_else(|| "was ended by a signal".into(), |code| format!("ended with {code}")),
            Err(error) => format!("did not run: {}", chain(&error)),
        };
        Some(format!("`{command}` {how}"))
    }
}

/// What the commands of one end have printed.
struct Log {
    name: &'static str,
    path: std::path::PathBuf,
    text: Vec<u8>,
}

impl Log {
    fn new(bench: &Bench<'_>, name: &'static str) -> Self {
        let AttemptId { task, no } = bench.attempt;
        let path = bench.world.place.layout.logs_dir().join(format!("{task}-{no}-{name}.log"));
        Self { name, path, text: Vec::new() }
    }

    fn write(&self) {
        if let Err(error) = file::write_atomic(&self.path, &self.text, 0o600) {
            tracing::warn!(%error, "cannot keep the log of a {}", self.name);
        }
    }
}

/// What the processes of these commands are known by, also to a later supervisor.
fn marker(bench: &Bench<'_>, name: &str) -> (OsString, OsString) {
    marker_of(bench.world, bench.attempt, name)
}

fn marker_of(world: &World, attempt: AttemptId, name: &str) -> (OsString, OsString) {
    let variable = format!("STANDUP_{}", name.to_ascii_uppercase());
    (variable.into(), format!("{}:{attempt}", world.place.layout.key()).into())
}

/// Ends what an earlier supervisor's setup left running.
pub(super) fn end_left(world: &World, attempt: AttemptId) {
    end_marked(&marker_of(world, attempt, "setup"));
}

fn end_of(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let start = text.len().saturating_sub(TAIL);
    let start = (start..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[start..].trim().to_owned()
}
