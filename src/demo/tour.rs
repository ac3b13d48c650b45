//! The demo's way through: it lays the repository, gives the commands a person would give, follows
//! the log, answers the one question, and ends what it started.
//!
//! **Invariant:** everything it starts lives under the directory of the demo, and nothing of it
//! runs when [`run`] returns, however it returns, unless that was asked for. Must not know: how
//! anything looks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::control::{Client, ClientError, Follower};
use crate::host::registry;
use crate::model::attempt::DiffStat;
use crate::model::board::{Board, Task};
use crate::model::event::{Event, NeedKind, Record};
use crate::model::id::{Seq, TaskId};
use crate::model::task::Column;
use crate::model::verdict::{Verdict, VerdictOutcome};
use crate::os::file::{self, FileError};
use crate::os::locate::{self, Dirs, LocateError};
use crate::os::lock;
use crate::os::run::{Run, RunError};
use crate::store::StoreError;
use crate::supervisor::place::{Place, PlaceError};

use super::answer::{self, AnswerError};
use super::narrate::{ANSWER, Line, Mood, Narrator};
use super::scratch::{self, Scratch, ScratchError, Shows};

/// The whole way takes half a minute; a machine that needs so long stands still.
const LIMIT: Duration = Duration::from_secs(120);

/// One command of the way; most return at once.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A log that was silent so long has told all of what just happened. The caller is asked as often
/// whether to go on.
const TICK: Duration = Duration::from_millis(60);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is made: an empty or absent folder, absolute.
    pub folder: PathBuf,
    /// Between two steps of an agent.
    pub pace: Option<Duration>,
    /// Whether the agents in Review, and the supervisor, are left running.
    pub keep: bool,
}

/// Something to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A command that is about to be given, without the program's name.
    Command(String),
    /// Something happened.
    Line(Line),
    /// What a person would do here.
    Aside(String),
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The scratch repository.
    pub repository: PathBuf,
    /// What `STANDUP_HOME` must be to look around.
    pub home: PathBuf,
    /// The tasks.
    pub tasks: Vec<Row>,
}

/// How one task went.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which.
    pub task: TaskId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub column: Column,
    /// Its verdicts, in order.
    pub verdicts: Vec<VerdictOutcome>,
    /// What the last one counted.
    pub tests: u64,
    /// What it changed.
    pub diff: Option<DiffStat>,
    /// What it showed.
    pub shows: Shows,
}

/// Why the way was not gone to its end.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// The repository.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Its place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The folders of the demo.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A path in them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file in them.
    #[error(transparent)]
    File(#[from] FileError),
    /// This program cannot find itself.
    #[error("cannot find this program")]
    Exe(#[source] std::io::Error),
    /// A command did not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A command failed.
    #[error("standup {command} failed: {said}")]
    Command {
        /// Its arguments.
        command: String,
        /// What it said last.
        said: String,
    },
    /// The supervisor.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The question.
    #[error("cannot answer {task}")]
    Answer {
        /// Whose.
        task: TaskId,
        /// Why.
        #[source]
        source: AnswerError,
    },
    /// Something else happened than the demo is there to show.
    #[error("{task} {text}")]
    Unexpected {
        /// Whose.
        task: TaskId,
        /// What.
        text: String,
    },
    /// It takes too long.
    #[error("not finished within {} s; still open: {open}", LIMIT.as_secs())]
    Slow {
        /// What is not where it should be.
        open: String,
    },
    /// The caller wants no more.
    #[error("interrupted")]
    Interrupted,
    /// Something did not end.
    #[error("still running after standup down --all: {0}")]
    Left(String),
}

/// Goes the whole way. `tell` is told everything as it happens; `goes_on` is asked a few times a
/// second.
///
/// # Errors
/// [`TourError`]. What was started is ended first; the folder stays, for a look.
pub fn run(
    options: &Options,
    tell: &mut dyn FnMut(Told),
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Summary, TourError> {
    let tour = Tour::prepare(options)?;
    let went = tour.go(tell, goes_on);
    if options.keep && went.is_ok() {
        return went;
    }
    match tour.end(tell, went.is_ok()) {
        Ok(()) => went,
        // The first thing that went wrong says more.
        Err(error) => went.and(Err(error)),
    }
}

struct Tour {
    exe: PathBuf,
    home: PathBuf,
    scratch: Scratch,
    place: Place,
}

impl Tour {
    fn prepare(options: &Options) -> Result<Self, TourError> {
        file::private_dir(&options.folder)?;
        let exe = locate::this_binary().map_err(TourError::Exe)?;
        let scratch = scratch::lay(&options.folder, &exe, options.pace)?;
        let home = options.folder.join("home");
        let place = Place::find_under(&scratch.repository, Dirs::under(&home)?)?;
        // Said before anything runs: a folder with a long name has no room for sockets.
        place.layout.control_socket()?;
        Ok(Self { exe, home, scratch, place })
    }

    fn go(&self, tell: &mut dyn FnMut(Told), goes_on: &mut dyn FnMut() -> bool) -> Result<Summary, TourError> {
        self.command(tell, ["trust", "--yes"])?;
        for task in &self.scratch.tasks {
            let brief = task.brief.as_os_str().to_owned();
            self.command(tell, [OsString::from("import"), brief])?;
        }
        self.command(tell, ["up"])?;
        let follower = Client::connect(&self.place.layout)?.follow(Seq(0))?;
        let board = Client::connect(&self.place.layout)?;
        let way = Way {
            tour: self,
            board,
            narrator: Narrator::default(),
            columns: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            accepted: false,
        };
        way.follow(follower, tell, goes_on)
    }

    /// Gives a command, as a person would, and waits for its end.
    fn command<I: IntoIterator<Item = S>, S: Into<OsString>>(
        &self,
        tell: &mut dyn FnMut(Told),
        args: I,
    ) -> Result<(), TourError> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let shown = args.iter().map(|a| word(&a.to_string_lossy())).collect::<Vec<_>>().join(" ");
        tell(Told::Command(shown.clone()));
        let mut run = Run::new(&self.exe).args(["-C".as_ref(), self.scratch.repository.as_os_str()]).args(args);
        // An attempt of another supervisor may run this: what it was given is not meant here.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANDUP_")) {
            run = run.unset(name);
        }
        let out = run.env(locate::HOME_VARIABLE, &self.home).timeout(COMMAND_LIMIT).output()?;
        if out.ended.is_success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&out.stderr);
        let said = said.lines().find(|l| l.contains("error:")).or(said.lines().last()).unwrap_or("nothing").to_owned();
        Err(TourError::Command { command: shown, said })
    }

    /// Ends everything that was started and proves that it did.
    fn end(&self, tell: &mut dyn FnMut(Told), shown: bool) -> Result<(), TourError> {
        let mut silent = |_| {};
        let tell: &mut dyn FnMut(Told) = if shown { tell } else { &mut silent };
        if lock::is_held(&self.place.layout.supervisor_lock())? {
            self.command(tell, ["down", "--all"])?;
        }
        let mut left: Vec<String> = registry::list(&self.place.layout.hosts_dir())?
            .into_iter()
            .filter(|h| h.alive)
            .map(|h| h.id.to_string())
            .collect();
        if lock::is_held(&self.place.layout.supervisor_lock())? {
            left.push("the supervisor".to_owned());
        }
        if left.is_empty() { Ok(()) } else { Err(TourError::Left(left.join(", "))) }
    }
}

/// What is known on the way.
struct Way<'t> {
    tour: &'t Tour,
    board: Client,
    narrator: Narrator,
    /// Where each task stands, as far as was told.
    columns: BTreeMap<TaskId, Column>,
    /// What its checks showed, as far as was told.
    verdicts: BTreeMap<TaskId, Vec<VerdictOutcome>>,
    /// Whether the first task was accepted.
    accepted: bool,
}

impl Way<'_> {
    /// Tells what happens until every task is where it should be. Only what was told counts, so
    /// that the story has its end; the board is asked for holds once the log is silent.
    fn follow(
        mut self,
        mut log: Follower,
        tell: &mut dyn FnMut(Told),
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Summary, TourError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if !goes_on() {
                return Err(TourError::Interrupted);
            }
            if let Some(logged) = log.next(Some(TICK))? {
                self.happened(&logged.record, tell)?;
                continue;
            }
            let board = self.board.board()?.board;
            self.narrator.holds(&board.holds).into_iter().for_each(|line| tell(Told::Line(line)));
            if self.is_over() {
                return Ok(self.summary(&board));
            }
            self.accept(&board, tell)?;
            if Instant::now() > deadline {
                return Err(TourError::Slow { open: open(&board) });
            }
        }
    }

    fn happened(&mut self, record: &Record, tell: &mut dyn FnMut(Told)) -> Result<(), TourError> {
        let line = self.narrator.event(record);
        let unexpected = line.as_ref().map(|l| l.text.clone()).unwrap_or_default();
        line.into_iter().for_each(|line| tell(Told::Line(line)));
        let Some(task) = record.task else { return Ok(()) };
        match &record.event {
            Event::TaskMoved { to, .. } => drop(self.columns.insert(task, *to)),
            Event::VerdictReached { verdict, .. } => self.verdicts.entry(task).or_default().push(verdict.outcome),
            Event::NeedsYouRaised { kind: NeedKind::Question, question, refined: false, .. } => {
                return self.answer(task, question, tell);
            }
            Event::NeedsYouRaised { .. } | Event::AttemptFailed { .. } | Event::HostLost { .. } => {
                return Err(TourError::Unexpected { task, text: unexpected });
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers as a person would who attached and typed the option.
    fn answer(&mut self, task: TaskId, question: &str, tell: &mut dyn FnMut(Told)) -> Result<(), TourError> {
        let unexpected = || TourError::Unexpected { task, text: format!("asks {question}") };
        let Shows::Question { answer } = self.shows(task).ok_or_else(unexpected)? else { return Err(unexpected()) };
        let board = self.board.board()?.board;
        let host = board.tasks.get(&task).and_then(Task::attempt).and_then(|a| a.host()).map(|h| h.id.clone());
        let Some(host) = host else { return Err(unexpected()) };
        tell(Told::Aside(format!(
            "yours to answer: standup attach {task}, then type {answer} and Enter; here the demo does"
        )));
        let socket = self.tour.place.layout.host_socket(&host)?;
        // The question itself, without the words around it and the options behind it.
        let asked = question.split('?').next().unwrap_or(question).trim_start_matches(ANSWER);
        answer::answer(&socket, asked, &format!("{answer}\r")).map_err(|source| TourError::Answer { task, source })?;
        let text = format!("gets its answer: {answer}");
        tell(Told::Line(Line { task: Some(task), text, mood: Mood::Plain }));
        Ok(())
    }

    /// Accepts the task that another one needs once it is in Review, so that the other can start.
    fn accept(&mut self, board: &Board, tell: &mut dyn FnMut(Told)) -> Result<(), TourError> {
        let needed = board.tasks.values().find_map(|t| t.spec.needs.first().copied());
        let ready = needed.filter(|id| !self.accepted && self.columns.get(id) == Some(&Column::Review));
        let Some(task) = ready else { return Ok(()) };
        self.accepted = true;
        let id = task.to_string();
        self.tour.command(tell, ["move", id.as_str(), "done", "--reason", "read and accepted"])
    }

    /// What a task is there to show: the tasks were added in order.
    fn shows(&self, task: TaskId) -> Option<Shows> {
        let index = usize::try_from(task.number()).ok()?.checked_sub(1)?;
        self.tour.scratch.tasks.get(index).map(|t| t.shows)
    }

    fn is_over(&self) -> bool {
        let arrived = self.columns.values().filter(|column| matches!(column, Column::Review | Column::Done)).count();
        self.accepted && arrived == self.tour.scratch.tasks.len()
    }

    fn summary(&self, board: &Board) -> Summary {
        let tests = |v: &Verdict| v.checks.iter().filter_map(|c| c.tests).map(|t| t.total).sum();
        let row = |task: &Task| Row {
            task: task.id,
            title: task.spec.title.clone(),
            column: task.column,
            verdicts: self.verdicts.get(&task.id).cloned().unwrap_or_default(),
            tests: task.attempt().and_then(|a| a.judged.as_ref()).map_or(0, |j| tests(&j.verdict)),
            diff: task.attempt().and_then(|a| a.diff),
            shows: self.shows(task.id).unwrap_or(Shows::Green),
        };
        Summary {
            repository: self.tour.scratch.repository.clone(),
            home: self.tour.home.clone(),
            tasks: board.tasks.values().map(row).collect(),
        }
    }
}

/// What is not where it should be, with what it does.
fn open(board: &Board) -> String {
    let arrived = |t: &&Task| !matches!(t.column, Column::Review | Column::Done);
    let say = |t: &Task| {
        let state =
            t.attempt().map_or_else(|| "not started".to_owned(), |a| format!("{:?}", a.run.kind).to_lowercase());
        let hold = board.holds.iter().find(|h| h.task == t.id).map(|h| format!(", {}", h.text)).unwrap_or_default();
        format!("{} in {} ({state}{hold})", t.id, t.column)
    };
    board.tasks.values().filter(arrived).map(say).collect::<Vec<_>>().join(", ")
}

/// A word as it would be typed.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Whether a folder can be the demo's: absent or empty.
#[must_use]
pub fn is_free(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
