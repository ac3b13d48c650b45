//! What is to be done: imperative, named by an id, and safe to be done again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::attempt::{Exit, HostFacts, StopWhy};
use super::dialog::{Choice, DialogNo, Way};
use super::id::{ActionId, AttemptId, CheckRun, MsgId};
use super::lease::{Changes, Mark};
use super::name::{AgentName, BranchName, HostId, Oid};
use super::settings::CheckSettings;
use super::task::{Mode, TaskSpec};
use super::time::{Span, Wall};
use super::verdict::Verdict;

/// One deed and its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// For ever this one's.
    pub id: ActionId,
    /// For which attempt.
    pub attempt: AttemptId,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What is to be done. Each says what happens when it is done again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Raise the task's fence, make the worktree and prove it.
    /// *Again:* what a killed try of this very order left is taken up where it is whole, and
    /// removed first where it is not.
    Prepare {
        /// Its branch.
        branch: BranchName,
        /// Its folder.
        worktree: PathBuf,
        /// Where it starts, if not at the repository's base.
        base: Option<String>,
        /// Who will work in it.
        agent: AgentName,
        /// When that was ordered. Names come again where the state was lost; this does not.
        #[serde(default)]
        at: Wall,
        /// Ports it may use.
        #[serde(default)]
        ports: Vec<u16>,
    },
    /// Start a host with the agent in it.
    /// *Again:* a host of this name lives → it is taken over; it left an exit record → that counts.
    Launch {
        /// The host's name.
        host: HostId,
        /// Who.
        agent: AgentName,
        /// How much is handed over.
        mode: Mode,
        /// For what.
        spec: Box<TaskSpec>,
        /// Where.
        worktree: PathBuf,
        /// On which branch.
        branch: BranchName,
        /// The agent's session: chosen for a first start, to be resumed for a later one.
        session: Option<String>,
        /// Whether the session is resumed.
        resume: bool,
        /// What it is resumed with; the brief where there is nothing.
        prompt: Option<String>,
        /// Ports it may use.
        ports: Vec<u16>,
        /// Whether it may only plan.
        #[serde(default)]
        plans: bool,
        /// The plan that a person approved, for one that is not resumed; may be empty.
        #[serde(default)]
        plan: Option<String>,
        /// When this was decided, which tells it from a start of the same name that another log
        /// knows; `None` in orders of an older build.
        #[serde(default)]
        planned_at: Option<Wall>,
    },
    /// End the agent, everything it started, and the host.
    /// *Again:* no host of this name lives → its exit record counts.
    Stop {
        /// The host.
        host: HostId,
        /// Why.
        why: StopWhy,
    },
    /// Type a message into the agent's terminal, if nothing moved since it was last seen.
    /// *Again:* the host says whether it wrote this message; it writes it at most once.
    Type {
        /// The host.
        host: HostId,
        /// Which message.
        msg: MsgId,
        /// What.
        text: String,
        /// Whether the running turn is interrupted first.
        now: bool,
    },
    /// Answer the dialog in which the agent waits, if it is still that one.
    /// *Again:* the host says whether it began with the key; what a hook may have been told is
    /// told to nobody again.
    Answer {
        /// The host.
        host: HostId,
        /// Which answer.
        msg: MsgId,
        /// To which dialog.
        dialog: DialogNo,
        /// What.
        choice: Choice,
        /// How.
        way: Way,
    },
    /// Run the checks in the worktree.
    /// *Again:* they run again from the start.
    Check {
        /// Which run.
        run: CheckRun,
        /// Where.
        worktree: PathBuf,
        /// The task's own checks, run after the repository's.
        own: Vec<CheckSettings>,
        /// Ports they may use.
        ports: Vec<u16>,
    },
    /// Put a reminder into the agent's inbox.
    /// *Again:* the file of this number is written again, with the same words.
    Leave {
        /// Where it works.
        worktree: PathBuf,
        /// The number of the reminder; the file is named after it.
        number: u32,
        /// What it says.
        text: String,
    },
    /// Look at what differs in the worktree, for a check-in to be compared with.
    /// *Again:* the later look counts.
    Look {},
    /// End whatever a dead host's agent left running, and sweep its git locks.
    /// *Again:* nothing is left to end.
    Sweep {
        /// The dead host.
        host: HostId,
        /// Where it worked.
        worktree: PathBuf,
    },
    /// Run what is to be run at the end of a worktree.
    /// *Again:* what was begun is not begun again, whether or not it came to its end: it may give
    /// back what somebody else has by now.
    TearDown {
        /// Where.
        worktree: PathBuf,
        /// Ports it used.
        ports: Vec<u16>,
    },
    /// See where the worktree stands, and what changed since it stood elsewhere.
    /// *Again:* it is looked at again.
    Survey {
        /// Where.
        worktree: PathBuf,
        /// Since when; `None` where only the present matters.
        since: Option<Mark>,
    },
}

/// How an agent ended, as its host recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Code or signal.
    pub exit: Exit,
    /// Processes it left behind, which were ended.
    pub leftovers: u32,
    /// Whether it wrote anything at all.
    pub output: bool,
    /// The end of what it wrote, as plain text, bounded.
    pub tail: String,
    /// Bytes that it wrote and that could not be kept.
    pub lost: u64,
    /// Processor time of all that it started, where its host saw that.
    pub cpu: Option<Span>,
}

impl Ended {
    /// Whether it ended well without a word: only the worktree shows what it did.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.exit.is_success() && !self.output
    }
}

/// What is said of output that could not be kept; the same whoever says it.
#[must_use]
pub fn lost_text(bytes: u64) -> String {
    format!("its transcript lacks {bytes} bytes of output, which could not be written")
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `Prepare`: the worktree is there.
    Prepared {
        /// Where it starts.
        base_oid: Oid,
        /// The branch or revision that is.
        base: String,
        /// A session id for the agent, where it takes one.
        session: Option<String>,
        /// Ports it may use.
        ports: Vec<u16>,
        /// Remarks.
        notes: Vec<String>,
    },
    /// `Prepare`: the branch exists already, and is not ours to touch.
    BranchTaken {
        /// What git said.
        error: String,
    },
    /// `Launch`: host and agent live.
    Launched {
        /// Which.
        facts: HostFacts,
    },
    /// `Launch`: the host came and went before anyone looked.
    CameAndWent {
        /// Which.
        facts: Option<HostFacts>,
        /// How the agent ended.
        ended: Ended,
    },
    /// `Stop`: nothing is left.
    Stopped {
        /// How the agent ended, where that is known.
        exit: Option<Exit>,
        /// Processes it left, which were ended.
        leftovers: u32,
    },
    /// `Type`, `Answer`: written.
    Typed,
    /// `Type`, `Answer`: not written; a message may be tried again.
    NotTyped {
        /// Why.
        why: String,
    },
    /// `Type`, `Answer`: nobody knows.
    PerhapsTyped,
    /// `Check`: a verdict.
    Checked {
        /// What they showed.
        verdict: Verdict,
        /// The failures as one message for the agent; empty where there are none.
        feedback: String,
    },
    /// `Leave`: it lies there.
    Left,
    /// `Look`: what was seen was told.
    Looked,
    /// `Sweep`: nothing is left.
    Swept {
        /// Processes ended.
        ended: u32,
    },
    /// `TearDown`: it is over.
    TornDown {
        /// What went wrong.
        wrong: Option<String>,
    },
    /// `Survey`: this is what there is.
    Surveyed {
        /// Where the worktree stands.
        mark: Mark,
        /// What changed, where that was asked and can be told.
        changes: Option<Changes>,
    },
    /// It failed, and left nothing behind.
    Failed {
        /// At which step.
        stage: String,
        /// What was said, for people.
        error: String,
    },
}
