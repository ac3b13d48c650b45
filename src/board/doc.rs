//! The documents of `--json`: names that scripts rely on. Only ever extended.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::model::astray::Astray;
use crate::model::attempt::{DiffStat, Exit};
use crate::model::board::HoldKind;
use crate::model::checkin::Claim;
use crate::model::event::{By, NeedKind};
use crate::model::id::TaskId;
use crate::model::name::{AgentName, BranchName, CheckName, Oid};
use crate::model::rhythm::LimitName;
use crate::model::settings::Requirement;
use crate::model::state::{RunKind, Source};
use crate::model::task::{Column, Mode, Priority};
use crate::model::time::Wall;
use crate::model::usage::Told;
use crate::model::verdict::{CheckOutcome, TestCounts, VerdictOutcome};

/// The version of all documents.
pub const SCHEMA_VERSION: u32 = 1;

/// A document with its head.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<T> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which document.
    pub kind: &'static str,
    /// What it says.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Document<T> {
    /// Puts the head on.
    #[must_use]
    pub fn new(kind: &'static str, body: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, kind, body }
    }
}

/// A path as messages show it: a document is text, and a path may be no text.
fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// `status`
#[derive(Debug, Serialize)]
pub struct Status {
    /// The main checkout.
    #[serde(serialize_with = "shown")]
    pub repo: PathBuf,
    /// The branch attempts start from, where one is known.
    pub base: Option<String>,
    /// Who supervises.
    pub supervisor: Supervisor,
    /// Whether tasks are started while there is room.
    pub dispatch: bool,
    /// What must be said first.
    pub banners: Vec<String>,
    /// Limits and what uses them.
    pub wip: Wip,
    /// Every task.
    pub tasks: Vec<Task>,
    /// Why tasks do not go on.
    pub holds: Vec<Hold>,
}

/// Who supervises.
#[derive(Debug, Serialize)]
pub struct Supervisor {
    /// Whether one runs.
    pub running: bool,
    /// Its pid.
    pub pid: Option<u32>,
    /// Since when.
    pub since: Option<Wall>,
}

/// Limits and what uses them.
#[derive(Debug, Serialize)]
pub struct Wip {
    /// Attempts in Build.
    pub build: Used,
    /// Tasks in Review.
    pub review: Used,
    /// Agents on this machine.
    pub machine: Used,
    /// Whose they are, the most first.
    pub machine_holders: Vec<Holder>,
}

/// A repository with agents on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its main checkout.
    pub repo: PathBuf,
    /// Slots it holds.
    pub used: u32,
    /// The tasks that have them, as far as that is known.
    pub tasks: Vec<TaskId>,
}

/// One limit.
#[derive(Debug, Serialize)]
pub struct Used {
    /// In use.
    pub used: u32,
    /// At most; `null` for no limit.
    pub limit: Option<u32>,
}

/// Why a task does not go on.
#[derive(Debug, Serialize)]
pub struct Hold {
    /// Which.
    pub task: TaskId,
    /// Why.
    pub because: HoldKind,
    /// The particulars.
    pub text: String,
}

/// One task.
#[derive(Debug, Serialize)]
pub struct Task {
    /// `T7`
    pub id: TaskId,
    /// 7
    pub number: u32,
    /// Short name.
    pub slug: String,
    /// One line.
    pub title: String,
    /// Where it stands.
    pub column: Column,
    /// What its agent is doing.
    pub state: State,
    /// What is the matter.
    pub flags: Vec<&'static str>,
    /// Who does it, or would.
    pub agent: Option<AgentName>,
    /// How much is handed over.
    pub mode: Mode,
    /// What it counts in Build while it is there.
    pub weight: u32,
    /// Higher goes first.
    pub priority: Priority,
    /// Tasks that must be Done before.
    pub needs: Vec<TaskId>,
    /// The newest attempt.
    pub attempt: Option<Attempt>,
    /// Reports.
    pub checkin: Option<CheckIn>,
    /// What the checks showed.
    pub verdict: Option<Verdict>,
    /// What differs from the base.
    pub diff: Option<Diff>,
    /// What its agent has used.
    pub usage: Option<Usage>,
    /// Limits that are set and that nobody measures while its agent works.
    pub unmeasured: Vec<Unmeasured>,
    /// Why you are needed.
    pub needs_you: Option<NeedsYou>,
    /// Who holds its agent's input.
    pub takeover: Option<Takeover>,
    /// Shall rest until a person says otherwise.
    pub paused: Option<Paused>,
    /// Whether a message would reach its agent, at once or by and by.
    #[serde(skip)]
    pub hears: bool,
    /// Whether its host lives and says nothing that is understood here.
    #[serde(skip)]
    pub mute: bool,
}

/// Who holds an agent's input.
#[derive(Debug, Serialize)]
pub struct Takeover {
    /// A person, or a rule that wants one.
    pub by: By,
    /// Since when.
    pub since: Wall,
    /// Why.
    pub reason: String,
    /// The column it goes back to.
    pub from: Column,
}

/// A task that shall rest.
#[derive(Debug, Serialize)]
pub struct Paused {
    /// Since when.
    pub since: Wall,
    /// Why.
    pub reason: String,
}

/// What an agent wants to do, or was let do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The plan.
    pub text: String,
    /// When it was proposed.
    pub at: Wall,
    /// Whether it waits for a verdict.
    pub open: bool,
    /// When it was approved.
    pub approved_at: Option<Wall>,
}

/// A person's yes to work.
#[derive(Debug, Serialize)]
pub struct Approval {
    /// When.
    pub at: Wall,
    /// Of which tree.
    pub tree: Oid,
    /// Whether something else is in the worktree now, so that it does not count.
    pub stale: bool,
}

/// What an agent is doing.
#[derive(Debug, Serialize)]
pub struct State {
    /// That.
    pub kind: RunKind,
    /// Who says so.
    pub source: Option<Source>,
    /// How long ago, in seconds.
    pub age_s: u64,
}

/// One attempt.
#[derive(Debug, Serialize)]
pub struct Attempt {
    /// Which try.
    pub number: u32,
    /// Its branch.
    pub branch: BranchName,
    /// Its worktree.
    #[serde(serialize_with = "shown")]
    pub worktree: PathBuf,
    /// Where it started.
    pub base_oid: Option<Oid>,
    /// Its host, while it lives.
    pub host_pid: Option<u32>,
    /// Its agent, while it lives.
    pub agent_pid: Option<u32>,
    /// The agent's own session.
    pub agent_session: Option<String>,
    /// When.
    pub started_at: Option<Wall>,
    /// How the agent ended.
    pub exit: Option<Exit>,
    /// A person's yes to its work.
    pub approval: Option<Approval>,
    /// Whether it has ended, and a start would take up its agent's session.
    pub goes_on: bool,
    /// Where its work lies, if not on its branch: `{kind: "off-branch", on, doing}`, where `on` is
    /// the branch that its worktree is on, `null` where that is none, and `doing` what was begun
    /// there and not ended; or `{kind: "broken", why}`.
    pub astray: Option<Astray>,
}

/// Reports of an attempt.
#[derive(Debug, Serialize)]
pub struct CheckIn {
    /// The last one.
    pub last_at: Option<Wall>,
    /// The next one, where a deadline runs.
    pub due_at: Option<Wall>,
    /// Whether it is late.
    pub late: bool,
    /// Reminders issued.
    pub nudges: u32,
    /// Where what was observed says otherwise than the last one.
    pub contradictions: Vec<String>,
}

/// What the checks showed.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Taken together; `stale` as soon as a byte has changed since.
    pub outcome: VerdictOutcome,
    /// Of which tree.
    pub tree: Option<Oid>,
    /// One by one.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// In seconds.
    pub duration_s: f64,
    /// Tests, where they are counted.
    pub tests: Option<TestCounts>,
    /// Failed tests that did not fail at the base.
    pub new_failures: Vec<String>,
    /// Why it did not pass.
    pub why: String,
}

/// What differs from the base.
#[derive(Debug, Serialize)]
pub struct Diff {
    /// Numbers.
    #[serde(flatten)]
    pub stat: DiffStat,
}

/// What an attempt has used, over all starts of its agent; `null` what was not seen.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// When something was last seen.
    pub at: Wall,
    /// Tokens, without those that were read from a cache.
    pub tokens: Option<u64>,
    /// Tokens that were read from a cache.
    pub cached_tokens: Option<u64>,
    /// Cost in US dollars.
    pub cost_usd: Option<f64>,
    /// Processor time in seconds.
    pub cpu_s: Option<f64>,
}

/// A limit that is set and cannot be measured while an agent works.
#[derive(Debug, Serialize)]
pub struct Unmeasured {
    /// Which.
    pub limit: LimitName,
    /// When the agent's logs say it: `never`, or `at-end`.
    pub told: Told,
}

/// Why you are needed.
#[derive(Debug, Serialize)]
pub struct NeedsYou {
    /// Since when.
    pub since: Wall,
    /// Why.
    pub kind: NeedKind,
    /// The question.
    pub question: String,
    /// What may be answered, where a dialog was recognised.
    pub options: Vec<Choice>,
}

/// One answer that a dialog takes.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// What `standup answer` takes for it.
    pub answer: String,
    /// Its text.
    pub text: String,
}

/// `show`
#[derive(Debug, Serialize)]
pub struct Show {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// The brief, as it was given.
    pub brief: String,
    /// What of it the agent of the newest attempt was not given, because it was changed since.
    pub untold: Vec<&'static str>,
    /// When is it done?
    pub criteria: Vec<Criterion>,
    /// What its agents reported.
    pub checkins: Vec<ShownCheckIn>,
    /// What was said to its agents.
    pub messages: Vec<Message>,
    /// All its attempts.
    pub attempts: Vec<PastAttempt>,
    /// What happened.
    pub timeline: Vec<Moment>,
    /// Touches of what is off-limits.
    pub violations: Vec<String>,
    /// The limits of size, time and use that the attempt crossed, in words.
    pub crossed: Vec<String>,
    /// What is to be known of its newest attempt's worktree.
    pub notes: Vec<String>,
    /// The last lines of what its agent wrote, where it ended badly.
    pub tail: String,
    /// What its agent wants to do, where it plans first.
    pub plan: Option<Plan>,
    /// What must hold before it lands: what is configured, and what its mode adds.
    pub requires: Vec<Requirement>,
    /// What of that does not hold as yet, and why.
    pub unmet: Vec<Unmet>,
    /// Why nothing but words keeps its agent from building while it shall only plan, if so.
    pub plan_unenforced: Option<String>,
    /// Why its agent is called unconfined.
    pub unconfined: Option<String>,
}

/// Something that does not hold as yet.
#[derive(Debug, Serialize)]
pub struct Unmet {
    /// What is required.
    pub requirement: Requirement,
    /// What is missing.
    pub because: String,
}

/// One acceptance criterion.
#[derive(Debug, Serialize)]
pub struct Criterion {
    /// Its number.
    pub n: u32,
    /// What must be true.
    pub text: String,
    /// Whether the agent says so.
    pub met_claimed: bool,
    /// The check that is to show it, where the brief names one.
    pub check: Option<CheckName>,
    /// The check that shows it: the named one, where it passed on the bytes as they are.
    pub shown_by: Option<CheckName>,
}

/// One report.
#[derive(Debug, Serialize)]
pub struct ShownCheckIn {
    /// When.
    pub at: Wall,
    /// Which way it came.
    pub via: crate::model::checkin::Via,
    /// Where the agent says it stands.
    pub state: Claim,
    /// What it did.
    pub did: String,
    /// What it does next.
    pub next: String,
    /// What is in its way.
    pub blockers: Vec<String>,
    /// What it asks.
    pub question: Option<String>,
    /// Answers that it offers.
    pub options: Vec<String>,
    /// Criteria it says are met.
    pub met: Vec<u32>,
    /// What was observed beside it.
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// Where the facts say otherwise.
    pub contradictions: Vec<String>,
    /// Whether it repeats the one before with nothing new: then it does not count.
    pub hollow: bool,
}

/// What was said to an agent.
#[derive(Debug, Serialize)]
pub struct Message {
    /// When.
    pub at: Wall,
    /// By whom.
    pub from: crate::model::message::From,
    /// What.
    pub text: String,
    /// How far it has come: `queued`, `typing`, `typed`, `delivered`, `delivery unknown`, `withdrawn`.
    pub delivery: &'static str,
    /// What it waits for.
    pub held: Option<String>,
}

/// An attempt, in short.
#[derive(Debug, Serialize)]
pub struct PastAttempt {
    /// Which try.
    pub number: u32,
    /// Who.
    pub agent: AgentName,
    /// Its branch.
    pub branch: BranchName,
    /// How it stands or ended.
    pub end: String,
    /// How its agent ended, where that is known.
    pub exit: Option<Exit>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// When.
    pub at: Wall,
    /// What, as the log names it.
    pub event: String,
    /// What, for people.
    pub text: String,
}

/// `events`
#[derive(Debug, Serialize)]
pub struct LoggedEvent {
    /// Its place in the log.
    pub seq: u64,
    /// When.
    pub at: Wall,
    /// The task.
    pub task: Option<TaskId>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// What happened.
    pub event: String,
    /// Particulars.
    pub data: serde_json::Value,
}
