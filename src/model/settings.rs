//! Settings after they were read and checked. `config` makes them; `policy` obeys them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::{AgentName, CheckName, Pattern};
use super::time::Span;

mod limits;

pub use limits::{LimitAction, LimitOverrides, Limits};

/// A capacity: never 0, so that 0 cannot mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// As many as you like.
    Unlimited,
    /// At most this many.
    Max(NonZeroU32),
}

impl Limit {
    /// At most `n`, which must not be 0.
    #[must_use]
    pub const fn of(n: u32) -> Self {
        match NonZeroU32::new(n) {
            Some(n) => Self::Max(n),
            None => panic!("a limit of 0 is none"),
        }
    }

    /// Whether something that counts `weight` fits beside `used`. Alone it always does: what counts
    /// more than there is could never begin otherwise.
    #[must_use]
    pub fn has_room(self, used: u32, weight: u32) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Max(max) => used == 0 || used.saturating_add(weight) <= max.get(),
        }
    }

    /// Whether one more fits beside `used`.
    #[must_use]
    pub fn admits(self, used: u32) -> bool {
        self.has_room(used, 1)
    }

    /// The number, where there is one.
    #[must_use]
    pub fn max(self) -> Option<u32> {
        match self {
            Self::Unlimited => None,
            Self::Max(max) => Some(max.get()),
        }
    }
}

/// Everything `agents.toml` and the user's settings say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Branch or revision that attempts start from; default: origin/HEAD, else the current branch.
    pub base: Option<String>,
    /// The agent of a task that names none.
    pub agent: Option<AgentName>,
    /// How worktrees are made.
    pub worktrees: Worktrees,
    /// How many at once.
    pub wip: Wip,
    /// How often agents report.
    pub check_in: CheckInRules,
    /// When an attempt is over the line.
    pub limits: Limits,
    /// What proves the work.
    pub verify: Verify,
    /// What no agent may touch.
    pub off_limits: Vec<Pattern>,
    /// How work lands.
    pub merge: Merge,
    /// How agents are confined.
    pub sandbox: Sandbox,
    /// How you are told.
    pub notify: Notify,
    /// The agents, by name.
    pub agents: BTreeMap<AgentName, AgentSettings>,
    /// Which agent takes which paths; the first match wins.
    pub routes: Vec<Route>,
}

/// `[worktrees]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktrees {
    /// Folder for worktrees, instead of the one under the user's data directory.
    pub root: Option<PathBuf>,
    /// Untracked files copied from the main checkout (patterns).
    pub copy: Vec<Pattern>,
    /// Untracked files or folders linked to the main checkout's.
    pub link: Vec<Pattern>,
    /// Shell commands that must pass before the agent starts.
    pub setup: Vec<String>,
    /// Time limit of each setup command.
    pub setup_timeout: Span,
    /// Shell commands run once its task is closed and its agent has ended.
    pub teardown: Vec<String>,
    /// Ports handed to each attempt.
    pub ports: Option<Ports>,
}

/// A range of TCP ports shared out among attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last port, included.
    pub last: u16,
    /// How many each attempt gets.
    pub per_task: u16,
}

/// `[wip]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wip {
    /// Attempts in Build, waiting ones included, each with its weight.
    pub build: Limit,
    /// Tasks in Review; full means that nothing new starts.
    pub review: Limit,
    /// Agents of this user on this machine, over all repositories.
    pub machine: Limit,
    /// An agent in Review is stopped after this.
    pub idle: Span,
    /// What an attempt counts in Build.
    #[serde(default)]
    pub weight: Weights,
}

/// `[wip.weight]`: what an attempt counts in Build by its mode; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    /// It works alone.
    pub delegate: u32,
    /// You read its plan and its work, and nothing between.
    pub checkpoint: u32,
    /// It asks you about everything, and its work ends with you.
    pub own: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { delegate: 1, checkpoint: 1, own: 2 }
    }
}

impl Weights {
    /// What an attempt of this mode counts.
    #[must_use]
    pub const fn of(self, mode: Mode) -> u32 {
        match mode {
            Mode::Delegate => self.delegate,
            Mode::Checkpoint => self.checkpoint,
            Mode::Own => self.own,
        }
    }
}

/// `[check_in]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInRules {
    /// Interval between check-ins.
    pub every: Span,
    /// Reminders before lateness.
    pub nudges: u32,
    /// Time between the last reminder and `late`.
    pub grace: Span,
    /// No sign of life for this long is `quiet`.
    pub silence: Span,
}

/// When checks run by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyOn {
    /// When the agent says ready, ends its turn or exits; always.
    Done,
    /// While it works, after every check-in.
    CheckIn,
    /// While it works, when its files have come to rest.
    FileChange,
}

/// `[verify]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// When checks run.
    pub on: Vec<VerifyOn>,
    /// How many worktrees may run checks at once.
    pub parallel: NonZeroU32,
    /// The checks, in order.
    pub checks: Vec<CheckSettings>,
}

/// `[[verify.check]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSettings {
    /// Its name.
    pub name: CheckName,
    /// A shell command, run in the worktree.
    pub run: String,
    /// How its output is read.
    pub report: ReportFormat,
    /// Its time limit.
    pub timeout: Span,
}

/// How the output of a check is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportFormat {
    /// Only the exit code counts.
    Exit,
    /// `cargo test`.
    Libtest,
    /// `cargo nextest run`.
    Nextest,
    /// `pytest`.
    Pytest,
    /// `go test -json`.
    Go,
    /// `jest` or `vitest` with `--json`.
    Jest,
    /// Test Anything Protocol.
    Tap,
    /// A JUnit file the check writes, relative to the worktree.
    Junit(super::name::RepoPath),
}

/// How a landed attempt is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeStrategy {
    /// One commit.
    Squash,
    /// A merge commit.
    Merge,
    /// The attempt's commits, replayed.
    Rebase,
}

/// What must be true before anything lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// Checks are green for what lands.
    Green,
    /// A person approved.
    Approved,
    /// A second agent reviewed.
    Reviewed,
}

/// `[merge]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// How it lands.
    pub strategy: MergeStrategy,
    /// What must hold.
    pub require: Vec<Requirement>,
    /// Whether the target is pushed.
    pub push: bool,
}

/// How tightly agents are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// A linked worktree; the agent's own sandbox is told what it needs.
    Worktree,
    /// A shared clone under Landlock and seccomp.
    Strict,
    /// Nothing.
    Off,
}

/// `[sandbox]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// How.
    pub mode: SandboxMode,
    /// Folders that may be written besides.
    pub write: Vec<String>,
}

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// OSC 9 and bell through attached clients.
    pub terminal: bool,
    /// A program and its arguments; `{title}` and `{body}` are filled in. Never a shell.
    pub command: Vec<String>,
}

/// How a generic agent gets its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptVia {
    /// As the last argument.
    Arg,
    /// On standard input.
    Stdin,
    /// Typed into its terminal.
    Type,
    /// Not at all: the command names the brief itself.
    None,
}

/// `[agents.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSettings {
    /// Which adapter speaks with it: `claude`, `codex`, `generic` or one of the user's.
    pub adapter: String,
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// Arguments after the adapter's own, before the prompt.
    pub args: Vec<String>,
    /// Environment for it.
    pub env: BTreeMap<String, String>,
    /// How many at once.
    pub max: Limit,
    /// How it gets its prompt, where the adapter leaves that open.
    pub prompt: Option<PromptVia>,
}

/// `[[route]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Paths a task touches.
    pub paths: Vec<Pattern>,
    /// Who takes it.
    pub agent: AgentName,
}

/// How much is handed over to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It works alone within its bounds.
    #[default]
    Delegate,
    /// It plans, you approve, it works; a second agent reviews.
    Checkpoint,
    /// You work, it assists; the task cannot land by itself.
    Own,
}

impl Mode {
    /// Every mode with its name in files and on the command line.
    pub const WORDS: &[(&str, Self)] =
        &[("delegate", Self::Delegate), ("checkpoint", Self::Checkpoint), ("own", Self::Own)];

    /// Its name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delegate => "delegate",
            Self::Checkpoint => "checkpoint",
            Self::Own => "own",
        }
    }

    /// How often an agent reports, where the brief does not say: the less is handed over, the
    /// oftener.
    #[must_use]
    pub fn check_in_every(self, configured: Span) -> Span {
        match self {
            Self::Delegate => configured,
            Self::Checkpoint => Span(configured.0 * 2 / 3),
            Self::Own => Span(configured.0 / 3),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What starts first; the greater one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When nothing else is left.
    Low,
    /// As it came.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// Every priority with its name in files and on the command line.
    pub const WORDS: &[(&str, Self)] =
        &[("low", Self::Low), ("normal", Self::Normal), ("high", Self::High), ("urgent", Self::Urgent)];
}

/// The greatest values a file may ask for. More is a slip of the keyboard: each is far above what
/// one person can follow on one machine.
pub mod bounds {
    /// Attempts, tasks in review, agents at once.
    pub const WIP: u64 = 1_000;
    /// Things counted in a row: reminders, late check-ins, red verdicts.
    pub const IN_A_ROW: u64 = 1_000;
    /// Lines changed in one attempt.
    pub const LINES: u64 = 10_000_000;
    /// Files changed in one attempt.
    pub const FILES: u64 = 1_000_000;
    /// Tokens spent in one attempt.
    pub const TOKENS: u64 = 1_000_000_000_000;
    /// US dollars spent in one attempt.
    pub const COST_USD: f64 = 1_000_000.0;
    /// Worktrees whose checks run at once.
    pub const PARALLEL: u64 = 64;
    /// Ports handed to one attempt.
    pub const PORTS: u64 = 100;
}

impl Default for Settings {
    /// The defaults of the documentation: what an empty `agents.toml` means.
    fn default() -> Self {
        Self {
            base: None,
            agent: None,
            worktrees: Worktrees {
                root: None,
                copy: Vec::new(),
                link: Vec::new(),
                setup: Vec::new(),
                setup_timeout: Span::mins(10),
                teardown: Vec::new(),
                ports: None,
            },
            wip: Wip {
                build: Limit::of(3),
                review: Limit::of(4),
                machine: Limit::Unlimited,
                idle: Span::mins(30),
                weight: Weights::default(),
            },
            check_in: CheckInRules { every: Span::mins(15), nudges: 1, grace: Span::mins(5), silence: Span::mins(10) },
            limits: Limits {
                wall_clock: Span::mins(120),
                late_check_ins: 2,
                red_verdicts: 4,
                same_failure: 3,
                changed_lines: 1_500,
                changed_files: 60,
                tokens: None,
                cost_usd: None,
                off_limits: LimitAction::Takeover,
                action: LimitAction::Ask,
            },
            verify: Verify { on: vec![VerifyOn::Done], parallel: NonZeroU32::MIN, checks: Vec::new() },
            off_limits: Vec::new(),
            merge: Merge {
                strategy: MergeStrategy::Squash,
                require: vec![Requirement::Green, Requirement::Approved],
                push: false,
            },
            sandbox: Sandbox { mode: SandboxMode::Worktree, write: Vec::new() },
            notify: Notify { terminal: true, command: Vec::new() },
            agents: BTreeMap::new(),
            routes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_more_than_there_is_fits_alone_and_only_alone() {
        let two = Limit::of(2);
        assert!(two.has_room(0, 3) && !two.has_room(1, 3));
        assert!(two.has_room(1, 1) && !two.has_room(2, 1) && two.has_room(0, 2) && !two.has_room(1, 2));
        assert!(Limit::Unlimited.has_room(u32::MAX, u32::MAX) && !two.has_room(u32::MAX, 1));
    }

    #[test]
    fn the_less_is_handed_over_the_oftener_an_agent_reports() {
        let every = |mode: Mode| mode.check_in_every(Span::mins(15));
        assert_eq!(every(Mode::Delegate), Span::mins(15));
        assert_eq!(every(Mode::Checkpoint), Span::mins(10));
        assert_eq!(every(Mode::Own), Span::mins(5));
    }
}
