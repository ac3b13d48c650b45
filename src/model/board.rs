//! The board: everything that is known, as plain data. `policy` changes it, `board` shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::checkin::{CheckIn, Via};
use super::dialog::{Choice, DialogNo};
use super::event::{By, NeedKind};
use super::id::{AttemptId, AttemptNo, TaskId};
use super::input::{Bases, Surroundings};
use super::lease::{Lease, Paused};
use super::message::Message;
use super::name::AgentName;
use super::rhythm::Beside;
use super::settings::Weights;
use super::task::{Column, Mode, TaskSpec};
use super::time::{Mono, Wall};

/// Why a person is needed, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsYou {
    /// Since when.
    pub since: Wall,
    /// Why.
    pub kind: NeedKind,
    /// The question.
    pub question: String,
    /// What may be answered, where a dialog was recognised.
    #[serde(default)]
    pub options: Vec<Choice>,
    /// The dialog that asks.
    #[serde(default)]
    pub dialog: Option<DialogNo>,
}

/// A report and how it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedCheckIn {
    /// When.
    pub at: Wall,
    /// From which attempt.
    pub attempt: AttemptNo,
    /// Which way.
    pub via: Via,
    /// What it says.
    pub check_in: CheckIn,
    /// What was observed.
    #[serde(default)]
    pub beside: Beside,
    /// What it is known by, where its writer said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What a person wants started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// A new attempt in a new worktree.
    Attempt {
        /// By whom, if not by the task's own agent.
        agent: Option<AgentName>,
    },
    /// The ended attempt, again, in its own worktree.
    Again,
}

/// One task with all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// What was asked for.
    pub spec: TaskSpec,
    /// What its list said when that was last imported; `None` where it is of no list.
    #[serde(default)]
    pub listed: Option<Box<TaskSpec>>,
    /// Where it stands.
    pub column: Column,
    /// Who put it there.
    pub moved_by: By,
    /// Why it stands there.
    pub moved_because: String,
    /// When it got there.
    pub moved_at: Wall,
    /// When it was added.
    pub added_at: Wall,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What was said to its agents and is not settled, oldest first.
    pub messages: Vec<Message>,
    /// What its agents reported, oldest first; bounded.
    pub check_ins: Vec<ReceivedCheckIn>,
    /// Why a person is needed.
    pub needs_you: Option<NeedsYou>,
    /// What a person wants started and has not begun.
    pub wanted: Option<Wanted>,
    /// Who holds its agent's input, while it stands in Takeover.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Shall rest until a person says otherwise.
    #[serde(default)]
    pub paused: Option<Paused>,
}

/// How many check-ins a task keeps on the board; the log has them all.
pub const MAX_CHECK_INS: usize = 50;

/// How many settled messages a task keeps on the board; the log has them all.
pub const MAX_MESSAGES: usize = 50;

impl Task {
    /// The attempt that counts: the newest.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// How much is handed over: of the newest attempt, else what was asked for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.attempt().map_or(self.spec.mode, |attempt| attempt.mode)
    }

    /// The mode of what would start now: of the ended attempt where that is to go on, else of a new one.
    #[must_use]
    pub fn next_mode(&self) -> Mode {
        if self.wanted == Some(Wanted::Again) { self.mode() } else { self.spec.mode }
    }

    /// The id of the newest attempt.
    #[must_use]
    pub fn attempt_id(&self) -> Option<AttemptId> {
        self.attempt().map(|a| AttemptId { task: self.id, no: a.no })
    }

    /// What its newest attempt was given: what is asked for, unless that has changed since.
    #[must_use]
    pub fn given(&self) -> &TaskSpec {
        self.attempt().and_then(|attempt| attempt.given.as_deref()).unwrap_or(&self.spec)
    }

    /// What its list last said: what is asked for, where nothing else is known.
    #[must_use]
    pub fn listed(&self) -> &TaskSpec {
        self.listed.as_deref().unwrap_or(&self.spec)
    }

    /// Whether its newest attempt takes a place in Build: it has a process, its checks run, or they
    /// are going to. One that was taken over counts as it did before.
    #[must_use]
    pub fn occupies_build(&self) -> bool {
        match self.column {
            Column::Build | Column::Design => {
                self.attempt().is_some_and(|a| a.is_active() || a.checking.is_some() || a.is_to_be_checked())
            }
            Column::Takeover => self.lease.as_ref().is_some_and(|lease| lease.counts),
            Column::Backlog | Column::Review | Column::Done | Column::Canceled => false,
        }
    }

    /// Whether a person holds its agent's input: nothing is typed, no reminder goes out, no limit
    /// trips.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.column == Column::Takeover
    }

    /// Whether its agent only plans: nothing is built before a person approved the plan.
    #[must_use]
    pub fn is_planning(&self) -> bool {
        self.column == Column::Design && self.attempt().is_some_and(Attempt::plans)
    }
}

/// Why a task does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldKind {
    /// Build is full.
    Build,
    /// Review is full.
    Review,
    /// The machine is full.
    Machine,
    /// All ports are taken.
    Ports,
    /// Its agent is missing, or has too many attempts already.
    Agent,
    /// What it would start from is not there.
    Base,
    /// A needed task is not Done.
    Needs,
    /// Another task works on the same paths.
    Overlap,
    /// A usage limit.
    Limited,
    /// The repository's commands are not approved.
    Trust,
    /// It waits for a person.
    Asks,
    /// Nothing is dispatched.
    Dispatch,
}

/// A task that does not go on, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which.
    pub task: TaskId,
    /// Why.
    pub because: HoldKind,
    /// Why, for people.
    pub text: String,
}

/// Slots of this machine, over all repositories of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineSlots {
    /// Held by everyone, as last counted.
    pub used: u32,
    /// Reserved for our next start.
    pub in_hand: bool,
    /// Whether the last reservation found none free, and nothing has changed since.
    pub full: bool,
    /// Whether a reservation is under way.
    pub asked: bool,
}

/// The logins of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Logins {
    /// Whether it is logged out in several tasks, and none of them has gone on since.
    pub out: bool,
    /// Those tasks.
    pub tasks: BTreeSet<TaskId>,
    /// Tasks that still asked for a login when another went on.
    pub known: BTreeSet<TaskId>,
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Tasks, by number.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Whether tasks are started while there is room.
    pub dispatch: bool,
    /// The world around; `None` before it was first looked at.
    pub surroundings: Option<Surroundings>,
    /// Slots of this machine.
    pub machine: MachineSlots,
    /// Bases that are missing; not stored.
    #[serde(default)]
    pub bases: Bases,
    /// Why tasks do not go on, as of the last step.
    pub holds: Vec<Hold>,
    /// Agents that are logged out, or were.
    #[serde(default)]
    pub logins: BTreeMap<AgentName, Logins>,
    /// Tasks up to this number were here once, as far as was seen at the start; not stored.
    #[serde(default)]
    pub used_numbers: u32,
    /// The next action's id.
    pub next_action: u64,
    /// The next message's id.
    pub next_msg: u64,
    /// The next check run.
    pub next_run: u64,
    /// When this supervisor last began to hear what it had missed; not stored.
    #[serde(default)]
    pub recovered: Option<Mono>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            tasks: BTreeMap::new(),
            dispatch: false,
            surroundings: None,
            machine: MachineSlots::default(),
            bases: Bases::default(),
            holds: Vec::new(),
            logins: BTreeMap::new(),
            used_numbers: 0,
            next_action: 1,
            next_msg: 1,
            next_run: 1,
            recovered: None,
        }
    }
}

impl Board {
    /// One attempt.
    #[must_use]
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.tasks.get(&id.task)?.attempts.iter().find(|a| a.no == id.no)
    }

    /// Attempts in Build, waiting ones included, each with its weight.
    #[must_use]
    pub fn build_used(&self) -> u32 {
        let weights = self.weights();
        let in_build = self.tasks.values().filter(|t| t.occupies_build());
        in_build.map(|t| weights.of(t.mode())).fold(0, u32::saturating_add)
    }

    /// What attempts count in Build.
    #[must_use]
    pub fn weights(&self) -> Weights {
        self.surroundings.as_ref().map(|around| around.settings.wip.weight).unwrap_or_default()
    }

    /// Tasks in Review.
    #[must_use]
    pub fn review_used(&self) -> u32 {
        count(self.tasks.values().filter(|t| t.column == Column::Review))
    }
}

fn count<'a>(tasks: impl Iterator<Item = &'a Task>) -> u32 {
    u32::try_from(tasks.count()).unwrap_or(u32::MAX)
}
