//! What happened: past tense, stored, never changed. The board is nothing but these, folded.

mod name;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::astray::Astray;
use super::attempt::{DiffStat, Exit, HostFacts, StopWhy};
use super::board::Wanted;
use super::checkin::{CheckIn, Sent, Via};
use super::dialog::{Choice, DialogNo, Way};
use super::id::{ActionId, AttemptId, AttemptNo, CheckRun, MsgId, TaskId};
use super::lease::{Changes, Mark};
use super::message;
use super::name::{AgentName, BranchName, HostId, Oid};
use super::rhythm::{Facts, LimitName, NudgeWay};
use super::settings::{LimitAction, VerifyOn};
use super::state::RunState;
use super::task::{Column, Mode, TaskSpec};
use super::time::{Span, Wall};
use super::usage::Seen;
use super::verdict::Verdict;

/// Who moved a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A person's word.
    Person,
    /// A rule on facts.
    Rule,
}

/// Why a person is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeedKind {
    /// The agent asks for permission.
    Permission,
    /// The agent asks you something.
    Question,
    /// May it work in this folder?
    Trust,
    /// It wants a login.
    Login,
    /// No check-in in time.
    Late,
    /// Checks stay red.
    Red,
    /// A limit tripped.
    Limit,
    /// It ended badly, or never came up.
    Exit,
    /// It touched what is off-limits.
    OffLimits,
    /// Its host is gone.
    Lost,
    /// Its worktree is not what was made.
    Broken,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A task was added.
    TaskAdded {
        /// What was asked for.
        spec: Box<TaskSpec>,
    },
    /// A task was changed.
    TaskEdited {
        /// What is asked for now.
        spec: Box<TaskSpec>,
        /// What its list says, where that changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<Box<TaskSpec>>,
    },
    /// A card moved.
    TaskMoved {
        /// From here.
        from: Column,
        /// To here.
        to: Column,
        /// Who did it.
        by: By,
        /// Why.
        reason: String,
    },
    /// Dispatching was switched.
    DispatchSet {
        /// On or off.
        on: bool,
    },
    /// An attempt was planned, with all its names.
    AttemptPlanned {
        /// Who.
        agent: AgentName,
        /// How much is handed over.
        mode: Mode,
        /// Its branch.
        branch: BranchName,
        /// Its worktree.
        worktree: PathBuf,
        /// The action that makes the worktree.
        action: ActionId,
        /// Ports it may use.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ports: Vec<u16>,
    },
    /// Its worktree is there and proven.
    WorktreeReady {
        /// Where it starts.
        base_oid: Oid,
        /// The branch or revision that is.
        base: String,
        /// The agent's session, where it can be chosen.
        session: Option<String>,
        /// Ports it may use.
        ports: Vec<u16>,
        /// Remarks.
        notes: Vec<String>,
        /// Whether something is to be run at its end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        teardown: bool,
    },
    /// What is to be run at the end of its worktree is begun.
    TeardownStarted {
        /// By this action.
        action: ActionId,
    },
    /// It is over, and is never begun again.
    TeardownEnded {
        /// What went wrong.
        wrong: Option<String>,
    },
    /// A host is about to be started.
    LaunchPlanned {
        /// Its name.
        host: HostId,
        /// The action that starts it.
        action: ActionId,
        /// Whether the agent's session is resumed.
        resume: bool,
        /// The message that it is resumed with.
        msg: Option<MsgId>,
    },
    /// A host and its agent live.
    HostStarted {
        /// Which.
        facts: HostFacts,
    },
    /// Something that a person who looks at the attempt should know.
    Noted {
        /// A sentence.
        text: String,
    },
    /// There is evidence that a turn began.
    TurnBegan {
        /// Which.
        evidence: String,
    },
    /// The attempt did not come up. Nothing of the failed step is left behind.
    AttemptFailed {
        /// At which step.
        stage: String,
        /// What was said.
        error: String,
        /// How the agent ended, where it was started.
        #[serde(default)]
        exit: Option<Exit>,
    },
    /// The agent's session became known.
    SessionLearned {
        /// Its id.
        session: String,
    },
    /// The run state changed.
    StateChanged {
        /// To this.
        state: RunState,
    },
    /// The turn, the agent or a claim says that the work is finished.
    WorkFinished {
        /// Which of them.
        by: String,
    },
    /// The agent asks something in prose or by check-in.
    QuestionAsked {
        /// What.
        text: String,
        /// Answers that it offers to choose from.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
    },
    /// The question was dealt with.
    QuestionSettled {},
    /// A report came.
    CheckInReceived {
        /// What it says.
        check_in: CheckIn,
        /// Which way.
        via: Via,
        /// What it is known by, where its writer said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// A report was refused, or something else that an attempt sent.
    CheckInRefused {
        /// Why.
        why: String,
        /// What.
        #[serde(default, skip_serializing_if = "Sent::is_report")]
        what: Sent,
    },
    /// Checks were started.
    ChecksStarted {
        /// Which run.
        run: CheckRun,
        /// By this action.
        action: ActionId,
        /// Whether a person asked for them.
        asked: bool,
        /// Why they run while the agent works.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<VerifyOn>,
    },
    /// Checks ended.
    VerdictReached {
        /// Which run.
        run: CheckRun,
        /// What they showed.
        verdict: Verdict,
        /// Why they ran while the agent worked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<VerifyOn>,
    },
    /// Checks were dropped: their attempt ended or was given up.
    ChecksDropped {
        /// Which run.
        run: CheckRun,
        /// Why.
        why: String,
    },
    /// A message waits.
    MessageQueued {
        /// Which.
        msg: MsgId,
        /// Who says it.
        from: message::From,
        /// What.
        text: String,
        /// Whether the agent is to be interrupted.
        now: bool,
    },
    /// A message is about to be typed.
    MessageTyping {
        /// Which.
        msg: MsgId,
        /// By this action.
        action: ActionId,
    },
    /// It was not typed: it waits again.
    MessageHeld {
        /// Which.
        msg: MsgId,
        /// Why.
        why: String,
    },
    /// It was written into the terminal.
    MessageTyped {
        /// Which.
        msg: MsgId,
    },
    /// The agent took it up.
    MessageDelivered {
        /// Which.
        msg: MsgId,
        /// What shows it.
        evidence: String,
    },
    /// Nothing confirms it. It is not typed again.
    MessageUnconfirmed {
        /// Which.
        msg: MsgId,
    },
    /// It is of no use any more.
    MessageWithdrawn {
        /// Which.
        msg: MsgId,
        /// Why.
        why: String,
    },
    /// A stop was asked for.
    StopAsked {
        /// Why.
        why: StopWhy,
        /// By this action, where there is a host to stop.
        action: Option<ActionId>,
    },
    /// The stop is complete: nothing of the attempt runs any more.
    AttemptStopped {
        /// How the agent ended, where that is known.
        exit: Option<Exit>,
        /// Processes it left behind, which were ended.
        leftovers: u32,
    },
    /// A person wants it started; it begins when there is room and what ran before is gone.
    StartAsked {
        /// What.
        wanted: Wanted,
    },
    /// What a person wanted started shall not start after all.
    StartWithdrawn {},
    /// The stop did not succeed: something of the attempt may still run.
    StopFailed {
        /// Why.
        error: String,
    },
    /// The agent ended.
    AgentExited {
        /// How.
        exit: Exit,
        /// Processes it left behind, which were ended.
        leftovers: u32,
        /// The end of what it wrote, where it ended badly.
        tail: String,
    },
    /// The host is gone without an exit record.
    HostLost {
        /// Why, as far as is known.
        why: String,
        /// The action that ends what it left running.
        action: ActionId,
    },
    /// A person is needed.
    NeedsYouRaised {
        /// Why.
        kind: NeedKind,
        /// The question.
        question: String,
        /// What may be answered.
        #[serde(default)]
        options: Vec<Choice>,
        /// The dialog that asks.
        #[serde(default)]
        dialog: Option<DialogNo>,
        /// Whether more became known of what was raised before.
        #[serde(default)]
        refined: bool,
    },
    /// Nobody is needed any more.
    NeedsYouCleared {},
    /// What differs from the base.
    DiffObserved {
        /// How much.
        diff: DiffStat,
        /// At this tree.
        tree: Option<Oid>,
    },
    /// The agent's input was taken over; the card was moved just before.
    TakenOver {
        /// Who took it.
        by: By,
        /// Why.
        reason: String,
        /// The action that looks where the worktree stands.
        action: ActionId,
    },
    /// Where the worktree stood at the takeover was seen.
    WorktreeMarked {
        /// There.
        mark: Mark,
    },
    /// A person wants to hand it back; the input stays theirs until what changed has been seen.
    HandbackAsked {
        /// What the agent is to be told besides.
        note: String,
        /// The action that looks what changed.
        action: ActionId,
    },
    /// The agent's input was handed back.
    HandedBack {
        /// What changed since the takeover, where that could be seen.
        changes: Option<Changes>,
        /// What the person said.
        note: String,
    },
    /// The task shall rest.
    TaskPaused {
        /// Why.
        reason: String,
    },
    /// It may go on.
    TaskResumed {},
    /// The agent says what it wants to do.
    PlanProposed {
        /// The plan; empty where it gave none.
        text: String,
    },
    /// A person approved the plan.
    PlanApproved {},
    /// A person sent the plan back.
    PlanRejected {
        /// Why.
        note: String,
    },
    /// A person approved the work as it is.
    WorkApproved {
        /// At this tree.
        tree: Oid,
    },
    /// A person sent the work back.
    WorkRejected {
        /// Why.
        note: String,
    },
    /// What a check-in is compared with is being looked at.
    FactsSought {
        /// By this action.
        action: ActionId,
    },
    /// A check-in was put beside what was observed.
    CheckInCompared {
        /// By this action.
        action: ActionId,
        /// What was observed.
        facts: Box<Facts>,
        /// Where that says otherwise.
        contradictions: Vec<String>,
        /// Whether it is the one before in the same words, and nothing is new.
        hollow: bool,
    },
    /// The agent is reminded of its check-in.
    NudgeIssued {
        /// Which reminder of the attempt, from 1.
        number: u32,
        /// Who wants it.
        by: By,
        /// How it goes.
        way: NudgeWay,
        /// The action that leaves it in the inbox.
        action: Option<ActionId>,
    },
    /// The agent's hook took the reminder.
    NudgeGiven {
        /// Which.
        number: u32,
    },
    /// No check-in came in time, for all that was done.
    CheckInMissed {
        /// Why it is late, as a sentence.
        why: String,
    },
    /// The machine was asleep: that time counts for nothing.
    MachineSlept {
        /// How long, in milliseconds.
        #[serde(rename = "slept_ms")]
        span: Span,
    },
    /// A limit was crossed.
    LimitTripped {
        /// Which.
        limit: LimitName,
        /// What is done about it.
        action: LimitAction,
        /// Why, as a sentence.
        why: String,
        /// What it was set to: milliseconds, a count, or millionths of a dollar; none where it is
        /// no number.
        #[serde(default)]
        bound: Option<u64>,
    },
    /// A limit that had tripped is higher by now than what was measured: it counts as if it had not.
    LimitRaised {
        /// Which.
        limit: LimitName,
    },
    /// It was seen what the attempt has used so far.
    UsageObserved {
        /// Processor time, and what a log says.
        seen: Seen,
    },
    /// It touches other things that are off-limits than before.
    OffLimitsTouched {
        /// All that it touches now.
        paths: Vec<String>,
    },
    /// Its work does not lie on its branch, or does again.
    WorktreeStrayed {
        /// Where it lies; `None`: where it belongs.
        astray: Option<Astray>,
    },
    /// It changed files while it was to plan only.
    StrayedFromPlan {
        /// The first of them; empty where they cannot be named.
        paths: Vec<String>,
    },
    /// A person answered a dialog; the answer is about to be handed over.
    AnswerGiven {
        /// Its number, shared with messages.
        msg: MsgId,
        /// To which dialog.
        dialog: DialogNo,
        /// What.
        choice: Choice,
        /// How.
        way: Way,
        /// By this action.
        action: ActionId,
        /// What the agent is told beside a no.
        #[serde(default)]
        note: Option<String>,
    },
    /// The answer was handed over.
    AnswerWritten {
        /// Which.
        msg: MsgId,
    },
    /// The agent left the dialog after that.
    AnswerTaken {
        /// Which.
        msg: MsgId,
    },
    /// The answer was not handed over, and never will be.
    AnswerWithheld {
        /// Which.
        msg: MsgId,
        /// Why.
        why: String,
    },
    /// Nothing shows that the answer arrived. It is not given again.
    AnswerUnconfirmed {
        /// Which.
        msg: MsgId,
    },
    /// The agent ran into a usage limit.
    LimitReached {
        /// When it ends.
        until: Wall,
    },
    /// The limit has ended, and the agent is to be told so.
    LimitWaited {
        /// By this message.
        msg: MsgId,
    },
    /// The limit holds the attempt up no more.
    LimitEnded {},
    /// An agent is logged out in several tasks.
    AgentLoggedOut {
        /// Which.
        agent: AgentName,
        /// In these.
        tasks: Vec<TaskId>,
    },
    /// One of those tasks goes on.
    AgentLoggedIn {
        /// Which.
        agent: AgentName,
        /// Tasks that still ask for a login.
        left: Vec<TaskId>,
    },
}

/// An event and what it is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The task, unless it is about the board.
    pub task: Option<TaskId>,
    /// The attempt, where it is about one.
    pub attempt: Option<AttemptNo>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// About the board.
    #[must_use]
    pub fn of_board(event: Event) -> Self {
        Self { task: None, attempt: None, event }
    }

    /// About a task.
    #[must_use]
    pub fn of_task(task: TaskId, event: Event) -> Self {
        Self { task: Some(task), attempt: None, event }
    }

    /// About an attempt.
    #[must_use]
    pub fn of_attempt(id: AttemptId, event: Event) -> Self {
        Self { task: Some(id.task), attempt: Some(id.no), event }
    }
}
