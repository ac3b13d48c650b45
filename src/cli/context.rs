//! What verbs share: how to speak, where we are, and what is known, each found on first need.
//!
//! **Invariant:** reading verbs start nothing and need nothing: without a supervisor the log is
//! folded, without a log the board is empty. Must not know: any verb.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::control::{Begin, Client, ClientError};
use crate::model::board::{Board, Hold, HoldKind};
use crate::model::id::{Seq, TaskId};
use crate::model::input::{Command, Reply};
use crate::model::name::CheckName;
use crate::model::task::{Column, TextRef};
use crate::model::time::Now;
use crate::os::clock;
use crate::policy::Machine;
use crate::store::StoreError;
use crate::store::log::{Log, TextDigest};
use crate::store::slots::{HeldSlot, Slots};
use crate::supervisor::journal;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings;
use crate::wire::control::Supervisor;

use super::args::Global;
use super::error::{Code, Failure};
use super::task;
use super::ui::Ui;
use crate::board::doc::Holder;
use crate::board::view::Scene;

/// How long an answer of the supervisor is waited for; one that carries out a command answers
/// at once, whatever the command sets going.
const PATIENCE: Duration = Duration::from_secs(60);

/// What verbs share.
pub(super) struct Context {
    /// How to speak.
    pub(super) ui: Ui,
    /// The folder we act in.
    pub(super) dir: PathBuf,
    place: OnceCell<Place>,
    checks: OnceCell<Option<Vec<CheckName>>>,
}

/// What is known, and by whom.
pub(super) struct Seen {
    /// The board.
    pub(super) board: Board,
    /// Who supervises, if anybody.
    pub(super) supervisor: Option<Supervisor>,
    /// What must be said above everything else.
    pub(super) banners: Vec<String>,
}

impl Context {
    pub(super) fn new(global: Global) -> Self {
        let ui = Ui::from(&global);
        let current = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let dir = global.dir.map_or(current.clone(), |dir| current.join(dir));
        Self { ui, dir, place: OnceCell::new(), checks: OnceCell::new() }
    }

    /// The repository around us.
    pub(super) fn place(&self) -> Result<&Place, Failure> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        if !self.dir.is_dir() {
            return Err(Failure::new(Code::Failure, format!("there is no folder {}", self.dir.display())));
        }
        let found = Place::find(&self.dir)?;
        Ok(self.place.get_or_init(|| found))
    }

    /// What is known: by the supervisor that runs, else by the log.
    pub(super) fn seen(&self) -> Result<Seen, Failure> {
        let place = self.place()?;
        match Client::connect(&place.layout) {
            Ok(mut client) => {
                client.set_patience(Some(PATIENCE))?;
                let known = client.board()?;
                let banners = known.supervisor.banners.clone();
                Ok(Seen { board: known.board, supervisor: Some(known.supervisor), banners })
            }
            Err(ClientError::Absent) => self.folded(place),
            Err(error) => Err(error.into()),
        }
    }

    /// What the log says, seen in the light of the settings as they are now.
    fn folded(&self, place: &Place) -> Result<Seen, Failure> {
        let machine = match self.log()? {
            Some(log) => journal::fold(&log)?,
            None => Machine::default(),
        };
        let (mut banners, mut around) = (Vec::new(), None);
        match surroundings::look(place) {
            Ok(loaded) => around = Some(loaded.surroundings(place)),
            Err(error) => banners.push(super::error::chain(&error)),
        }
        let mut board = machine.board().clone();
        board.surroundings = around;
        let waiting = board.tasks.values().filter(|t| t.column == Column::Backlog).map(|t| t.id);
        let hold = |task| Hold { task, because: HoldKind::Dispatch, text: "no supervisor runs".to_owned() };
        board.holds = waiting.map(hold).collect();
        Ok(Seen { board, supervisor: None, banners })
    }

    /// The log, to read; `None` before anything was ever stored.
    pub(super) fn log(&self) -> Result<Option<Log>, Failure> {
        match Log::open_read_only(&self.place()?.layout.database()) {
            Ok(log) => Ok(Some(log)),
            Err(StoreError::Absent { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The checks that run for every task; `None` outside a repository, or where its settings
    /// cannot be read: that is said elsewhere.
    pub(super) fn checks(&self) -> Option<&[CheckName]> {
        let look = || {
            let loaded = surroundings::look(self.place().ok()?).ok()?;
            Some(loaded.effective.settings.verify.checks.iter().map(|check| check.name.clone()).collect())
        };
        self.checks.get_or_init(look).as_deref()
    }

    /// A text of the log: a brief.
    pub(super) fn text(&self, text: &TextRef) -> Result<String, Failure> {
        let Ok(digest) = text.0.parse::<TextDigest>() else { return Ok(String::new()) };
        let found = match self.log()? {
            Some(log) => log.text(&digest)?,
            None => None,
        };
        found.ok_or_else(|| Failure::new(Code::Failure, "the text of the brief is not in the log"))
    }

    /// A connection to the supervisor, which is started where none runs.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        self.client_with(self.place()?, Begin::AsBefore)
    }

    /// The same, but one that has to be started dispatches nothing.
    pub(super) fn still_client(&self) -> Result<Client, Failure> {
        self.client_with(self.place()?, Begin::Still)
    }

    fn client_with(&self, place: &Place, begin: Begin) -> Result<Client, Failure> {
        let client = Client::connect_or_start(&place.layout, &place.anchor(), begin)?;
        client.set_patience(Some(PATIENCE))?;
        Ok(client)
    }

    /// A connection to the supervisor that runs; `None` where none does.
    pub(super) fn running(&self) -> Result<Option<Client>, Failure> {
        match Client::connect(&self.place()?.layout) {
            Ok(client) => {
                client.set_patience(Some(PATIENCE))?;
                Ok(Some(client))
            }
            Err(ClientError::Absent) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Has a command carried out, by a supervisor that is started where none runs.
    pub(super) fn command(&self, command: Command, texts: Vec<String>) -> Result<(Reply, Seq), Failure> {
        Ok(self.client()?.command(command, texts)?)
    }

    /// The task that was named, or the one in whose worktree we are.
    pub(super) fn task(&self, board: &Board, written: Option<&str>) -> Result<TaskId, Failure> {
        task::resolve(board, written, &self.dir)
    }

    /// What surrounds a board that is shown.
    pub(super) fn scene(&self, seen: &Seen) -> Result<Scene, Failure> {
        let place = self.place()?;
        let wanted = seen.board.surroundings.as_ref().and_then(|s| s.settings.base.clone());
        let base = place.repo.resolve_base(&place.git, wanted.as_deref()).ok().map(|base| base.name);
        let (supervisor, banners) = (seen.supervisor.clone(), seen.banners.clone());
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let holders = self.holders()?;
        Ok(Scene { repo: place.root(), base, supervisor, banners, holders, home, now: self.now() })
    }

    /// Who holds the slots of this machine; what cannot be read is not said.
    fn holders(&self) -> Result<Option<Vec<Holder>>, Failure> {
        let dir = self.place()?.layout.slots_dir();
        // Before the first start there is no folder, and a look does not make one.
        if !dir.exists() {
            return Ok(Some(Vec::new()));
        }
        let Ok(held) = Slots::open(&dir).and_then(|slots| slots.held()) else { return Ok(None) };
        let mut holders: BTreeMap<PathBuf, Holder> = BTreeMap::new();
        for (repo, task) in held.iter().map(HeldSlot::owner) {
            let repo = PathBuf::from(repo);
            let holder = holders.entry(repo.clone()).or_insert(Holder { repo, used: 0, tasks: Vec::new() });
            holder.used += 1;
            holder.tasks.extend(task);
        }
        let mut holders: Vec<Holder> = holders.into_values().collect();
        holders.iter_mut().for_each(|holder| holder.tasks.sort());
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.used));
        Ok(Some(holders))
    }

    /// Now.
    pub(super) fn now(&self) -> Now {
        clock::now()
    }

    /// A path that was written on the command line.
    pub(super) fn path(&self, written: &Path) -> PathBuf {
        self.dir.join(written)
    }
}
