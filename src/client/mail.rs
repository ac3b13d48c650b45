//! An agent's end of the post: how it reports, asks, hears and has itself checked.
//!
//! The supervisor's socket is tried first. A report that does not get through goes to the outbox
//! in the worktree, which always works, under the same id: it counts once.
//! **Invariant:** a report returns within [`REPORT_LIMIT`] and a disk's time, whatever has become
//! of the supervisor. Must not know: what is done with a report, any agent's CLI.

mod hang_up;
mod hook;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::model::checkin::{CheckIn, Stamp, Via, Written};
use crate::model::id::{AttemptId, CheckRun};
use crate::model::input::{Refusal, RefusalCode};
use crate::model::text::chain;
use crate::model::verdict::Verdict;
use crate::os::clock;
use crate::os::file::{self, FileError};
use crate::wire::control::{Answer, Request};

use super::control::{Client, ClientError};

pub use hang_up::HangUp;

/// How long the supervisor may take over a report before it goes to the outbox. A healthy one
/// needs milliseconds; one that just stores a burst of others, a second.
pub const REPORT_LIMIT: Duration = Duration::from_secs(3);

/// How much longer than was asked for an answer is waited for: it has a way to go.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// The folder of an attempt, below its worktree.
const RUN_DIR: [&str; 2] = [".standup", "run"];

/// The longest brief that is read, in bytes: more than any store takes.
const MAX_BRIEF: u64 = 16 << 20;

/// Why something could not be reported or asked.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Neither the environment nor the folder belongs to an attempt.
    #[error("this is no attempt of standup: STANDUP_DIR is not set, and no folder around has .standup/run")]
    NoAttempt,
    /// It was heard, and does not count.
    #[error(transparent)]
    Refused(Refusal),
    /// The supervisor cannot be reached from here, and no file can stand in for it.
    #[error("the supervisor cannot be reached: {why}")]
    Unreachable {
        /// Why.
        why: String,
    },
    /// The outbox is not where it was made.
    #[error("nothing was reported: {} is no folder of this worktree's own", path.display())]
    Elsewhere {
        /// The part of its path that is something else.
        path: PathBuf,
    },
    /// The outbox or the brief.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Which way a report went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The supervisor has it.
    Socket,
    /// It lies in the outbox.
    Outbox {
        /// Where.
        path: PathBuf,
        /// Why it did not go straight.
        why: String,
    },
}

/// What one who waits for an answer hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This was said.
    Said(String),
    /// Nothing yet.
    Nothing,
    /// There is no question any more: it was answered in the terminal, or taken back.
    Settled,
}

/// What has become of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Which run.
    pub run: CheckRun,
    /// Whether it goes on.
    pub running: bool,
    /// What it showed; absent where it goes on or was dropped.
    pub verdict: Option<Box<Verdict>>,
}

/// Where an attempt's post goes.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    socket: Option<(PathBuf, String)>,
    dir: Option<PathBuf>,
    brief: Option<PathBuf>,
    attempt: Option<AttemptId>,
    hang_up: HangUp,
}

impl Mail {
    /// By the environment of an agent; where that was taken away, by the worktree around `folder`.
    #[must_use]
    pub fn find(env: impl Fn(&str) -> Option<OsString>, folder: &Path) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let dir = set("STANDUP_DIR").map(PathBuf::from).or_else(|| run_dir_around(folder));
        let brief = set("STANDUP_BRIEF").map(PathBuf::from).or_else(|| Some(dir.as_ref()?.join("brief.md")));
        let named = text("STANDUP_TASK").zip(text("STANDUP_ATTEMPT"));
        Self {
            socket: set("STANDUP_SOCKET").map(PathBuf::from).zip(text("STANDUP_TOKEN")),
            brief: brief.filter(|path| path.exists()),
            attempt: named.and_then(|(task, no)| format!("{task}/{no}").parse().ok()),
            dir,
            hang_up: HangUp::default(),
        }
    }

    /// The same post, whose waits can be broken off.
    #[must_use]
    pub fn until(&self, hang_up: &HangUp) -> Self {
        Self { hang_up: hang_up.clone(), ..self.clone() }
    }

    /// The stored brief; `None` outside of an attempt.
    #[must_use]
    pub fn brief(&self) -> Option<&Path> {
        self.brief.as_deref()
    }

    /// The brief's bytes.
    ///
    /// # Errors
    /// [`MailError::NoAttempt`], [`MailError::File`].
    pub fn read_brief(&self) -> Result<Vec<u8>, MailError> {
        Ok(file::read_bounded(self.brief().ok_or(MailError::NoAttempt)?, MAX_BRIEF)?)
    }

    /// Reports.
    ///
    /// # Errors
    /// [`MailError`]; not where the supervisor is merely out of reach.
    pub fn check_in(&self, check_in: &CheckIn, via: Via) -> Result<Way, MailError> {
        self.report(check_in, via, false)
    }

    /// Asks, and is believed to listen from then on: go on with [`Mail::hear`].
    ///
    /// # Errors
    /// As [`Mail::check_in`].
    pub fn ask_and_listen(&self, question: &CheckIn, via: Via) -> Result<Way, MailError> {
        self.report(question, via, true)
    }

    /// Whose and when a report is, and an id of its own.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let id = Some(uuid::Uuid::new_v4().to_string());
        Stamp { id, at: Some(clock::now().wall), attempt: self.attempt }
    }

    fn report(&self, check_in: &CheckIn, via: Via, listens: bool) -> Result<Way, MailError> {
        let stamp = self.stamp();
        let request = Request::CheckIn { check_in: check_in.clone(), stamp: stamp.clone(), via: Some(via), listens };
        // A report is never broken off: nobody would know whether it counts.
        match self.ask(request, REPORT_LIMIT, HangUp::default()) {
            Ok(_) => Ok(Way::Socket),
            Err(MailError::Unreachable { why }) => {
                let path = self.leave(check_in, stamp)?;
                Ok(Way::Outbox { path, why })
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for what a person says to the question that was asked last.
    ///
    /// # Errors
    /// [`MailError::Unreachable`]: it may be tried again.
    pub fn hear(&self, wait: Duration) -> Result<Heard, MailError> {
        let wait_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        match self.ask(Request::Hear { wait_s }, wait.saturating_add(ON_THE_WAY), self.hang_up.clone())? {
            Answer::Heard { text: Some(text), .. } => Ok(Heard::Said(text)),
            Answer::Heard { open: true, .. } => Ok(Heard::Nothing),
            Answer::Heard { open: false, .. } => Ok(Heard::Settled),
            _ => Err(unreachable("its answer makes no sense")),
        }
    }

    /// Has the attempt's checks run, or waits on for a run that was begun before.
    ///
    /// # Errors
    /// [`MailError`].
    pub fn check(&self, run: Option<CheckRun>, wait: Duration) -> Result<Checks, MailError> {
        let wait_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        match self.ask(Request::Check { wait_s, run }, wait.saturating_add(ON_THE_WAY), self.hang_up.clone())? {
            Answer::Checks { run, running, verdict } => Ok(Checks { run, running, verdict }),
            _ => Err(unreachable("its answer makes no sense")),
        }
    }

    /// Asks the supervisor, within `limit`, and unless it is broken off before.
    fn ask(&self, request: Request, limit: Duration, hang_up: HangUp) -> Result<Answer, MailError> {
        let (path, token) = self.socket.clone().ok_or_else(|| match self.dir {
            Some(_) => unreachable("STANDUP_SOCKET or STANDUP_TOKEN is not set"),
            None => MailError::NoAttempt,
        })?;
        let (tell, told) = mpsc::sync_channel(1);
        // Even to connect may take for ever, where nobody accepts.
        thread::spawn(move || {
            let asked =
                Client::open(&path, &token).map_err(|error| unreachable(&chain(&error))).and_then(|mut client| {
                    client.set_patience(Some(limit)).map_err(|error| unreachable(&chain(&error)))?;
                    let line = client.line().map_err(|error| unreachable(&chain(&error)))?;
                    if !hang_up.holds(line) {
                        return Err(unreachable("it was broken off"));
                    }
                    client.ask(&request).map_err(|error| match error {
                        ClientError::Refused(refusal) if refusal.code != RefusalCode::Failure => {
                            MailError::Refused(refusal)
                        }
                        other => unreachable(&chain(&other)),
                    })
                });
            let _ = tell.send(asked);
        });
        told.recv_timeout(limit).unwrap_or_else(|_| Err(unreachable("it does not answer")))
    }

    /// Puts a report into the outbox: whole or not at all.
    fn leave(&self, check_in: &CheckIn, stamp: Stamp) -> Result<PathBuf, MailError> {
        let outbox = own_outbox(self.dir.as_ref().ok_or(MailError::NoAttempt)?)?;
        let name = stamp.id.as_deref().unwrap_or_default();
        let path = outbox.join(format!("{}-{}.json", clock::now().wall.0, name.get(..8).unwrap_or(name)));
        let text = serde_json::to_vec(&Written::new(check_in.clone(), stamp)).expect("a check-in is plain data");
        file::write_atomic(&path, &text, 0o644)?;
        Ok(path)
    }
}

/// The outbox below an attempt's folder, made where it is missing. The supervisor reads none that
/// lies elsewhere, so that a report must not seem to have been left there.
fn own_outbox(dir: &Path) -> Result<PathBuf, MailError> {
    let outbox = dir.join("outbox");
    for part in [dir.parent().unwrap_or(dir), dir, &outbox] {
        match std::fs::symlink_metadata(part) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(MailError::Elsewhere { path: part.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir(part).map_err(|error| FileError::io("make", part, error))?;
            }
            Err(error) => return Err(FileError::io("look at", part, error).into()),
        }
    }
    Ok(outbox)
}

/// The folder of the attempt whose worktree is around a folder.
fn run_dir_around(folder: &Path) -> Option<PathBuf> {
    let own: PathBuf = RUN_DIR.iter().collect();
    folder.ancestors().map(|dir| dir.join(&own)).find(|dir| dir.join("brief.md").is_file())
}

fn unreachable(why: &str) -> MailError {
    MailError::Unreachable { why: why.to_owned() }
}
