//! What reaches the machine: commands of people, outcomes of actions, observations of the world.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::action::{Ended, Outcome};
use super::astray::Astray;
use super::attempt::{DiffStat, HostFacts, StopWhy};
use super::checkin::{CheckIn, Sent, Stamp, Via};
use super::dialog::Dialog;
use super::id::{ActionId, AttemptId, MsgId, TaskId};
use super::name::{AgentName, HostId, Oid};
use super::rhythm::NudgeWay;
use super::settings::Settings;
use super::state::RunState;
use super::task::{Column, TaskSpec};
use super::time::Span;
use super::usage::{Seen, Told};

/// One thing the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Somebody wants something.
    Command(Command),
    /// An action ended.
    Done {
        /// Which.
        id: ActionId,
        /// How.
        outcome: Outcome,
    },
    /// Something was seen.
    Observed {
        /// Of which attempt.
        attempt: AttemptId,
        /// What.
        seen: Observation,
    },
    /// A slot of this machine was reserved for the next start, or none was free.
    Slot {
        /// Whether one is in hand.
        reserved: bool,
        /// Slots held by everyone.
        used: u32,
    },
    /// Slots of this machine may have become free.
    SlotsMayBeFree,
    /// Settings, as they are now.
    Surroundings(Box<Surroundings>),
    /// Bases, as they were just looked at.
    Bases(Bases),
    /// What the world looks like after a restart.
    Recovered {
        /// Hosts, by name.
        hosts: BTreeMap<HostId, HostFound>,
    },
    /// Tasks up to this number were here once, whatever the log knows: their numbers are not given
    /// again.
    NumbersUsed {
        /// The highest.
        up_to: u32,
    },
    /// A deadline may have passed.
    Tick,
    /// The machine was asleep for this long.
    Slept {
        /// How long.
        span: Span,
    },
}

/// What a restarted supervisor finds of a host.
#[derive(Debug, Clone, PartialEq)]
pub enum HostFound {
    /// It lives.
    Alive(HostFacts),
    /// It left an exit record.
    Ended(Ended),
}

/// What the machine must know of the world to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Settings.
    pub settings: Settings,
    /// Why commands of the repository may not run; `None` where they may.
    pub untrusted: Option<String>,
    /// The folder for worktrees.
    pub worktrees: PathBuf,
    /// The agents of the settings.
    pub agents: BTreeMap<AgentName, AgentFacts>,
}

/// Bases that name nothing, as they were last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bases {
    /// Why tasks that name no base have nothing to start from.
    pub default: Option<String>,
    /// The same of each base that a task names.
    pub named: BTreeMap<String, String>,
}

/// What is known of an agent of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// Why it cannot be started; `None` where it can.
    pub unusable: Option<String>,
    /// Whether an ended session can be resumed.
    pub resumes: bool,
    /// Whether what is typed into its terminal reaches it as a message.
    #[serde(default = "yes")]
    pub reads: bool,
    /// Why it is called unconfined; `None` where it is not.
    pub unconfined: Option<String>,
    /// Whether a hook of ours is asked before it ends a turn.
    #[serde(default)]
    pub stop_hook: bool,
    /// When its logs say how many tokens it used.
    #[serde(default)]
    pub tokens_told: Told,
    /// When they say what that cost.
    #[serde(default)]
    pub cost_told: Told,
    /// Why nothing but our word keeps it from building while it shall only plan; `None` where its own
    /// permissions do.
    #[serde(default)]
    pub plan_unenforced: Option<String>,
    /// Whether its first prompt reaches it, beside the brief's file.
    #[serde(default = "yes")]
    pub prompted: bool,
}

/// Facts stored by earlier versions say nothing of it.
fn yes() -> bool {
    true
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// New tasks, and changed ones where a key is known already. Needs may name tasks by their
    /// place in this list (`NeedRef::New`).
    Add {
        /// What.
        tasks: Vec<NewTask>,
    },
    /// Another spec for a task.
    Edit {
        /// Which.
        task: TaskId,
        /// What is asked for now.
        spec: Box<TaskSpec>,
        /// What it was made from: what was changed meanwhile stays, and what both changed is
        /// refused. Without it `spec` replaces whatever there is.
        #[serde(default)]
        was: Option<Box<TaskSpec>>,
    },
    /// Move a card by hand.
    Move {
        /// Which.
        task: TaskId,
        /// Where.
        to: Column,
        /// Why.
        reason: String,
    },
    /// Start tasks while there is room, or no more.
    Dispatch {
        /// Which of both.
        on: bool,
    },
    /// Start this one now, or resume it.
    Start {
        /// Which.
        task: TaskId,
    },
    /// End its agent; the task stays where it is.
    Stop {
        /// Which.
        task: TaskId,
    },
    /// End every agent.
    StopAll {
        /// Why.
        why: StopWhy,
    },
    /// End the agents that rest in Review.
    Rest {},
    /// A new attempt in a new worktree.
    Retry {
        /// Which.
        task: TaskId,
        /// By whom, if not by the same.
        agent: Option<AgentName>,
    },
    /// Give it up.
    Cancel {
        /// Which.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// Run its checks now.
    Verify {
        /// Which.
        task: TaskId,
    },
    /// Say something to its agent.
    Send {
        /// Which.
        task: TaskId,
        /// What.
        text: String,
        /// Whether to interrupt.
        now: bool,
    },
    /// Take over its agent's input.
    Takeover {
        /// Which.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// Give it back.
    Handback {
        /// Which.
        task: TaskId,
        /// What the agent is to be told besides; may be empty.
        note: String,
    },
    /// Say nothing to its agent and start none, until told otherwise.
    Pause {
        /// Which.
        task: TaskId,
        /// Why; may be empty.
        reason: String,
    },
    /// Go on with a paused task.
    Resume {
        /// Which.
        task: TaskId,
    },
    /// Say yes: to the plan in Design, to the work in Review.
    Approve {
        /// Which.
        task: TaskId,
    },
    /// Send the plan or the work back.
    Reject {
        /// Which.
        task: TaskId,
        /// What is to be different.
        note: String,
    },
    /// Remind its agent of its check-in.
    Nudge {
        /// Which.
        task: TaskId,
    },
    /// An agent's turn is about to end: is there something to be said to it before?
    AtStop {
        /// Whose.
        attempt: AttemptId,
    },
    /// Answer the dialog in which its agent waits.
    Answer {
        /// Which.
        task: TaskId,
        /// `yes`, `no`, an option's number, its text, or how that begins.
        choice: String,
    },
    /// Take what a person said to an attempt since it last asked. Whoever wants this listens for
    /// it, so that it is not typed meanwhile.
    Hear {
        /// Which.
        attempt: AttemptId,
    },
}

/// A task to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// What is asked for; its `needs` name tasks that exist.
    pub spec: TaskSpec,
    /// Needs among the tasks of the same command, by place from 0.
    pub needs_new: Vec<usize>,
}

/// What was seen of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// What it is doing.
    State {
        /// That.
        state: RunState,
        /// Whether text can be typed to it.
        readable: bool,
        /// What it asks in prose, where a turn ended with a question.
        asks: Option<String>,
    },
    /// A turn began.
    Began {
        /// What shows it.
        evidence: String,
    },
    /// A prompt was taken up.
    PromptTaken {
        /// Its text, where the source tells.
        text: Option<String>,
    },
    /// It takes its first prompt by typing, and can read now.
    PromptWanted {
        /// The prompt.
        text: String,
    },
    /// Its session.
    Session {
        /// The id.
        session: String,
    },
    /// The dialog in which it waits, or that it waits in none that is recognised.
    Dialog {
        /// Which.
        dialog: Option<Dialog>,
    },
    /// A report.
    CheckIn {
        /// What it says.
        check_in: CheckIn,
        /// Which way it came.
        via: Via,
        /// What its writer says beside that.
        stamp: Stamp,
    },
    /// A report that is none, or something else that cannot be taken.
    BadCheckIn {
        /// Why.
        why: String,
        /// What.
        what: Sent,
    },
    /// Something of its command or its host that a person should know.
    Noted {
        /// A sentence.
        text: String,
    },
    /// What differs from the base.
    Diff {
        /// How much.
        diff: DiffStat,
        /// At this tree.
        tree: Option<Oid>,
    },
    /// What it has used.
    Used {
        /// So far.
        seen: Seen,
    },
    /// It says what it wants to do.
    Plan {
        /// The plan.
        text: String,
    },
    /// What it touches that is off-limits.
    OffLimits {
        /// All of it.
        paths: Vec<String>,
    },
    /// Where its work lies, if not on its branch.
    Astray {
        /// There.
        astray: Option<Astray>,
    },
    /// Its files are not as they were when it began to plan.
    ChangedWhilePlanning {
        /// The first of them; empty where they cannot be named.
        paths: Vec<String>,
    },
    /// It may build now, by a person's word in its own terminal.
    PlanLeft,
    /// The agent ended by itself.
    Exited {
        /// The host that says so.
        host: HostId,
        /// How.
        ended: Ended,
    },
    /// The host is gone without an exit record.
    Lost {
        /// Which.
        host: HostId,
        /// Why, as far as is known.
        why: String,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// Done, or under way.
    Ok {},
    /// These tasks were added or changed.
    Tasks {
        /// Added.
        added: Vec<TaskId>,
        /// Changed.
        changed: Vec<TaskId>,
        /// Already as asked.
        unchanged: Vec<TaskId>,
    },
    /// This attempt was begun.
    Attempt {
        /// Which.
        attempt: AttemptId,
    },
    /// This message waits or is being typed.
    Message {
        /// Which.
        msg: MsgId,
        /// What it waits for; empty where nothing.
        waits: String,
    },
    /// This is to be said to the agent at once; to [`Command::AtStop`].
    Say {
        /// That; `None` where there is nothing.
        text: Option<String>,
    },
    /// It is reminded.
    Nudged {
        /// How.
        way: NudgeWay,
    },
    /// This answer is on its way.
    Answer {
        /// Which.
        msg: MsgId,
        /// The option that is taken.
        option: String,
    },
    /// This option was taken: as a verdict on its plan, or as a message that answers its question.
    Chosen {
        /// The option.
        option: String,
        /// The message, where it is one.
        msg: Option<MsgId>,
        /// What that waits for; empty where nothing.
        waits: String,
    },
    /// This was said.
    Heard {
        /// The text, handed over with this.
        text: Option<String>,
        /// Whether there may yet be an answer.
        open: bool,
    },
}

/// Which kind of no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// Something else.
    Failure,
    /// The command makes no sense.
    Usage,
    /// No such task.
    NoTask,
    /// Somebody must act first.
    Asks,
    /// A WIP limit.
    Wip,
    /// A conflict with other work.
    Conflict,
    /// Forbidden.
    Policy,
}

/// Why a command was not carried out. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which kind.
    pub code: RefusalCode,
    /// Why, as a sentence.
    pub text: String,
    /// What to do.
    pub hints: Vec<String>,
}
