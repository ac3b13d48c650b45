//! One agent in one worktree on one branch: its states, each carrying exactly what exists in it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::astray::Astray;
use super::dialog::{Answering, Choice, Dialog};
use super::id::{ActionId, AttemptNo, CheckRun, MsgId};
use super::lease::{Approval, Plan};
use super::name::{AgentName, BranchName, CheckName, HostId, Oid};
use super::rhythm::{Rhythm, Tripped};
use super::settings::VerifyOn;
use super::state::{RunKind, RunState};
use super::task::{Mode, TaskSpec};
use super::time::{Mono, Now, Wall};
use super::usage::Usage;
use super::verdict::{CheckOutcome, Verdict, VerdictOutcome};

/// A process of one boot: number and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proc {
    /// The number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// A living host and its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Its name; its folder and its socket are named after it.
    pub id: HostId,
    /// Its identity beyond the pid: a host of the same name with another nonce is another host.
    pub nonce: String,
    /// The host.
    pub host: Proc,
    /// The agent.
    pub agent: Proc,
}

/// How an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
}

impl Exit {
    /// Exit code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown end"),
        }
    }
}

/// Why an attempt was stopped by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopWhy {
    /// `stop`.
    Asked,
    /// `cancel`, or moved to a closed column.
    Closed,
    /// `retry` begins another.
    Retried,
    /// At rest in Review for too long, or `run` ended; resumed when needed.
    Idle,
    /// `down --all`.
    Down,
    /// Its plan was judged: it goes on at once in the same session, with leave to build or to plan
    /// anew, which is fixed at its start.
    Planned,
    /// It crossed a limit.
    Limit,
}

impl StopWhy {
    /// Whether it is brought back for what waits to be said to it.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Idle | Self::Planned)
    }
}

/// How an attempt's last process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum End {
    /// It never came up.
    Failed {
        /// At which step: `worktree`, `setup`, `launch`, `start`.
        stage: String,
        /// What was said, for people; may have several lines.
        error: String,
        /// How the agent ended, where it was started.
        #[serde(default)]
        exit: Option<Exit>,
    },
    /// The agent ended by itself.
    Exited {
        /// How.
        exit: Exit,
    },
    /// We stopped it.
    Stopped {
        /// Why.
        why: StopWhy,
        /// How it then ended, where that is known.
        exit: Option<Exit>,
    },
    /// Its host is gone without an exit record.
    Lost {
        /// Why, as far as is known.
        why: String,
    },
}

/// The states of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Its worktree is being made.
    Preparing {
        /// By this action.
        action: ActionId,
    },
    /// Its host is being started.
    Launching {
        /// By this action.
        action: ActionId,
        /// Under this name.
        host: HostId,
    },
    /// Its host lives.
    Live {
        /// Which.
        facts: HostFacts,
        /// Since when.
        since: Now,
        /// Whether there is evidence that a turn began.
        began: bool,
    },
    /// No process.
    Ended {
        /// How.
        end: End,
        /// When.
        at: Wall,
    },
}

/// What differs between an attempt's worktree and its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiffStat {
    /// Files changed, untracked ones included.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Commits since the base.
    pub commits: u64,
    /// Whether anything is not committed.
    pub dirty: bool,
    /// Commits that the base branch, as it is now, does not have.
    #[serde(default)]
    pub ahead: u64,
    /// Commits of the base branch that the attempt does not have.
    pub behind: u64,
    /// When the commit was made at which the work left the base: the base's age counts from it.
    #[serde(default)]
    pub base_at: Option<Wall>,
}

/// Checks under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checking {
    /// Which run.
    pub run: CheckRun,
    /// By this action.
    pub action: ActionId,
    /// Whether a person asked for them.
    pub asked: bool,
    /// Why they run while it works; `None` where they judge finished work, or were asked for.
    #[serde(default)]
    pub on: Option<VerifyOn>,
}

/// A verdict and when it was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// By which run.
    pub run: CheckRun,
    /// When.
    pub at: Wall,
    /// What.
    pub verdict: Verdict,
    /// Why it was reached while the agent worked; `None` where finished work was judged, or it was
    /// asked for.
    #[serde(default)]
    pub on: Option<VerifyOn>,
}

/// What is to be checked while an agent works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Aside {
    /// Whether it has checked in, and no run has judged its files since.
    pub check_in: bool,
    /// When its files last changed to what no run has judged.
    pub changed: Option<Mono>,
    /// Runs beside its work in a row under which the files changed.
    pub stales: u32,
}

/// What is to be run at the end of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teardown {
    /// Nothing, or nothing more.
    #[default]
    Nothing,
    /// Something, once its task is closed.
    Owed,
    /// It runs.
    Running {
        /// By this action.
        action: ActionId,
    },
}

/// One agent in one worktree on one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which try.
    pub no: AttemptNo,
    /// Who.
    pub agent: AgentName,
    /// How much was handed over.
    pub mode: Mode,
    /// Its branch.
    pub branch: BranchName,
    /// Its worktree.
    pub worktree: PathBuf,
    /// When it was planned.
    pub planned_at: Wall,
    /// When its first host started.
    pub started_at: Option<Wall>,
    /// Where it started; known once the worktree is there.
    pub base_oid: Option<Oid>,
    /// The branch or revision that `base_oid` was read from.
    pub base: Option<String>,
    /// Remarks: of the making of its worktree, its command, its host.
    pub notes: Vec<String>,
    /// Ports it may use.
    pub ports: Vec<u16>,
    /// What is to be run at the end of its worktree.
    #[serde(default)]
    pub teardown: Teardown,
    /// The agent's own session, for resuming.
    pub session: Option<String>,
    /// Whether a turn ever began in it: before that there is nothing to resume.
    #[serde(default)]
    pub begun: bool,
    /// What it was given, where something else is asked for by now.
    #[serde(default)]
    pub given: Option<Box<TaskSpec>>,
    /// How many hosts it has had.
    pub launches: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Being stopped, and why.
    pub stopping: Option<StopWhy>,
    /// By this action, where there is a host to stop.
    pub stop_action: Option<ActionId>,
    /// The last lines of what it wrote, where its agent ended badly.
    #[serde(default)]
    pub tail: String,
    /// Why the last stop did not succeed; until it is tried again, or the attempt ends.
    #[serde(default)]
    pub stop_error: Option<String>,
    /// What it is doing; meaningful while `Live`.
    pub run: RunState,
    /// Whether text can be typed to it right now, as far as was last seen.
    pub readable: bool,
    /// What it asks at the end of a turn, in prose or by check-in.
    pub asks: Option<String>,
    /// The answers that it offers to choose from.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Whether its work was claimed or seen to be finished and is not yet checked.
    pub finished: bool,
    /// Checks under way.
    pub checking: Option<Checking>,
    /// Whether checks of what its agent left were ended by hand, and have not been run again.
    #[serde(default)]
    pub checks_ended: bool,
    /// The last verdict.
    pub judged: Option<Judged>,
    /// Red verdicts in a row.
    pub reds: u32,
    /// Verdicts in a row that could not be bound to a tree.
    pub stales: u32,
    /// What is to be checked while it works.
    #[serde(default)]
    pub aside: Aside,
    /// What differs from the base, as last seen.
    pub diff: Option<DiffStat>,
    /// The tree that `diff` was seen at.
    pub tree: Option<Oid>,
    /// When it took up a prompt that no state has answered to yet.
    #[serde(default)]
    pub taken: Option<Mono>,
    /// When it last came to rest in Review.
    pub rested: Option<Mono>,
    /// The tree that it began to plan on, where it has to plan first.
    #[serde(default)]
    pub plans_on: Option<Oid>,
    /// What it changed while it was to plan only, as first seen; perhaps unnamed.
    #[serde(default)]
    pub strayed: Option<Vec<String>>,
    /// What it wants to do, where it has to say so first.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// A person's yes to its work.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Where it stands between two check-ins.
    #[serde(default)]
    pub rhythm: Rhythm,
    /// Limits it has crossed, each once, oldest first.
    #[serde(default)]
    pub tripped: Vec<Tripped>,
    /// What did not pass at the last red verdict, and how often in a row it was just that.
    #[serde(default)]
    pub failing: (Vec<String>, u32),
    /// What it has touched that is off-limits, as last seen.
    #[serde(default)]
    pub touched: Vec<String>,
    /// Where its work lies, as last seen, if not on its branch.
    #[serde(default)]
    pub astray: Option<Astray>,
    /// What it has used.
    #[serde(default)]
    pub usage: Usage,
    /// The dialog in which it waits, as last seen.
    #[serde(default)]
    pub dialog: Option<Dialog>,
    /// An answer to a dialog that is on its way.
    #[serde(default)]
    pub answer: Option<Answering>,
    /// The usage limit it ran into, until it has gone on.
    #[serde(default)]
    pub limit: Option<UsageLimit>,
    /// The newest message there was when it last asked something: what came after may answer it.
    #[serde(default)]
    pub asked_after: Option<MsgId>,
    /// Until then, unless it says so again, it waits for an answer elsewhere than in its terminal.
    #[serde(default)]
    pub listens_until: Option<Mono>,
}

/// A usage limit that an attempt ran into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLimit {
    /// When it ends.
    pub until: Wall,
    /// The message by which it is to go on after that.
    pub msg: Option<MsgId>,
}

impl Attempt {
    /// An attempt whose names were chosen at `at`, and whose worktree `action` makes.
    #[must_use]
    pub fn planned(
        no: AttemptNo,
        agent: &AgentName,
        mode: Mode,
        branch: &BranchName,
        worktree: PathBuf,
        action: ActionId,
        at: Now,
    ) -> Self {
        Self {
            no,
            agent: agent.clone(),
            mode,
            branch: branch.clone(),
            worktree,
            planned_at: at.wall,
            started_at: None,
            base_oid: None,
            base: None,
            notes: Vec::new(),
            ports: Vec::new(),
            teardown: Teardown::Nothing,
            session: None,
            begun: false,
            given: None,
            launches: 0,
            phase: Phase::Preparing { action },
            stopping: None,
            stop_action: None,
            tail: String::new(),
            stop_error: None,
            run: RunState::plain(RunKind::Starting, None, at),
            readable: false,
            asks: None,
            choices: Vec::new(),
            finished: false,
            checking: None,
            checks_ended: false,
            judged: None,
            reds: 0,
            stales: 0,
            aside: Aside::default(),
            diff: None,
            tree: None,
            taken: None,
            rested: None,
            plans_on: None,
            strayed: None,
            plan: None,
            approval: None,
            rhythm: Rhythm::default(),
            tripped: Vec::new(),
            failing: (Vec::new(), 0),
            touched: Vec::new(),
            astray: None,
            usage: Usage::default(),
            dialog: None,
            answer: None,
            limit: None,
            asked_after: None,
            listens_until: None,
        }
    }

    /// Whether it may only plan, as yet.
    #[must_use]
    pub fn plans(&self) -> bool {
        self.mode == Mode::Checkpoint && self.plan.as_ref().is_none_or(|plan| plan.approved_at.is_none())
    }

    /// A person's yes, if it was said of the bytes that are in the worktree now.
    #[must_use]
    pub fn approved(&self) -> Option<&Approval> {
        self.approval.as_ref().filter(|approval| self.tree.as_ref() == Some(&approval.tree))
    }

    /// The living host, if any.
    #[must_use]
    pub fn host(&self) -> Option<&HostFacts> {
        match &self.phase {
            Phase::Live { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// Whether it has, or is about to have, a process.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether something runs at the end of its worktree.
    #[must_use]
    pub fn is_torn_down(&self) -> bool {
        matches!(self.teardown, Teardown::Running { .. })
    }

    /// How its last process ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Whether its agent ended well, or a person who stopped it finished its work, and that is
    /// still to be checked.
    #[must_use]
    pub fn is_to_be_checked(&self) -> bool {
        let well = match self.end() {
            Some(End::Exited { exit }) => exit.is_success(),
            Some(End::Stopped { .. }) => true,
            Some(End::Failed { .. } | End::Lost { .. }) | None => false,
        };
        self.finished && well
    }

    /// Whether the last verdict no longer speaks of the bytes in the worktree.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match (&self.judged, &self.tree) {
            (Some(judged), Some(tree)) => judged.verdict.tree.as_ref().is_some_and(|t| t != tree),
            _ => false,
        }
    }

    /// Whether the last verdict says of the bytes in the worktree whether they pass.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        let Some(verdict) = self.judged.as_ref().map(|judged| &judged.verdict) else { return false };
        let speaks = matches!(verdict.outcome, VerdictOutcome::Green | VerdictOutcome::Red);
        speaks && self.tree.is_some() && verdict.tree == self.tree
    }

    /// Whether checks run that judge finished work, or were asked for.
    #[must_use]
    pub fn is_being_judged(&self) -> bool {
        self.checking.as_ref().is_some_and(|checking| checking.on.is_none())
    }

    /// Whether a check has passed on the bytes that are in the worktree now. A run under which they
    /// changed, or that could not be carried through, shows nothing.
    #[must_use]
    pub fn shows(&self, check: &CheckName) -> bool {
        let Some(verdict) = self.judged.as_ref().map(|judged| &judged.verdict) else { return false };
        let speaks = matches!(verdict.outcome, VerdictOutcome::Green | VerdictOutcome::Red) && !self.is_stale();
        speaks && verdict.checks.iter().any(|c| c.name == *check && c.outcome == CheckOutcome::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{AttemptId, TaskId};
    use crate::model::name::Slug;
    use crate::model::verdict::CheckResult;

    fn oid(digit: char) -> Oid {
        Oid::new(digit.to_string().repeat(40)).expect("an object id")
    }

    fn name(text: &str) -> CheckName {
        CheckName::new(text).expect("a name")
    }

    fn check(text: &str, outcome: CheckOutcome) -> CheckResult {
        CheckResult {
            name: name(text),
            outcome,
            exit_code: None,
            duration_ms: 0,
            tests: None,
            failures: Vec::new(),
            why: String::new(),
            tail: String::new(),
            command: String::new(),
            notes: Vec::new(),
        }
    }

    fn judged(outcome: VerdictOutcome) -> Attempt {
        let id = AttemptId { task: TaskId::new(1).expect("from 1"), no: AttemptNo::FIRST };
        let branch = BranchName::of_attempt(id, &Slug::from_title("sample"));
        let agent = AgentName::new("claude").expect("a name");
        let mode = Mode::default();
        let mut attempt = Attempt::planned(id.no, &agent, mode, &branch, PathBuf::new(), ActionId(1), Now::default());
        let checks = vec![check("test", CheckOutcome::Pass), check("lint", CheckOutcome::Fail)];
        let verdict = Verdict { outcome, tree: Some(oid('a')), checks, why: String::new() };
        attempt.judged = Some(Judged { run: CheckRun(1), at: Wall(0), verdict, on: None });
        attempt.tree = Some(oid('a'));
        attempt
    }

    #[test]
    fn a_check_shows_what_it_passed_on_and_no_other_bytes() {
        let mut attempt = judged(VerdictOutcome::Red);
        assert!(attempt.shows(&name("test")), "another check failed, this one did not");
        assert!(!attempt.shows(&name("lint")) && !attempt.shows(&name("docs")));
        attempt.tree = Some(oid('b'));
        assert!(!attempt.shows(&name("test")), "a byte has changed");
        for outcome in [VerdictOutcome::Stale, VerdictOutcome::Error, VerdictOutcome::None] {
            assert!(!judged(outcome).shows(&name("test")), "{outcome:?}");
        }
        assert!(judged(VerdictOutcome::Green).shows(&name("test")));
        attempt.judged = None;
        assert!(!attempt.shows(&name("test")));
    }
}
