//! Adapters: one agent CLI's dialect as data.
//!
//! The built-in files and a user's `adapters/<name>.toml` have the same format and go through
//! the same [`parse`]. **Invariant:** an [`Adapter`] that exists was checked: its schema is known,
//! every key was understood, every placeholder has a value, no pattern is empty. Must not know:
//! where the text came from.

mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::settings::{Mode, PromptVia};
use crate::model::state::{Ask, Source};
use crate::model::usage::Told;

pub use read::{AdapterError, builtin, names, parse, source};

/// One agent CLI's dialect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// Format of the file, 1.
    pub schema: u32,
    /// Its name, as `[agents.X] adapter` says it.
    pub name: String,
    /// Program and first arguments where the agent's settings name none.
    #[serde(default)]
    pub program: Vec<String>,
    /// Whether the CLI says by itself what it does (OSC 7501, status file, hooks). Where it does
    /// not, only its output, its CPU time and its end are seen.
    #[serde(default)]
    pub reports: bool,
    /// Sources that are not believed, because a version of the CLI says by them what is not so.
    #[serde(default)]
    pub ignores: Vec<Source>,
    /// CPU use, in percent of one core, that an agent at rest has: it is no sign of life.
    #[serde(default)]
    pub idle_cpu_percent: u32,
    /// How its version is learned.
    #[serde(default)]
    pub version: Option<VersionRule>,
    /// How it is started and resumed.
    #[serde(default)]
    pub launch: LaunchRules,
    /// What each mode passes.
    #[serde(default)]
    pub mode: BTreeMap<Mode, ModeRules>,
    /// Words by which the user's own arguments speak of approvals.
    #[serde(default)]
    pub approvals: ApprovalRules,
    /// How hooks are configured for one invocation.
    #[serde(default)]
    pub hooks: Option<HookRules>,
    /// How a notify program is configured for one invocation.
    #[serde(default)]
    pub notify: Option<NotifyRules>,
    /// How our MCP server is configured for one invocation.
    #[serde(default)]
    pub mcp: Option<McpRules>,
    /// What its environment gains.
    #[serde(default)]
    pub env: EnvRules,
    /// Queries its terminal must answer beyond those every terminal answers.
    #[serde(default)]
    pub answer: Vec<OscAnswer>,
    /// How text reaches it once it runs.
    #[serde(default)]
    pub input: InputRules,
    /// Where it writes its own state.
    #[serde(default)]
    pub status_file: Option<FileRule>,
    /// Where it keeps its conversations.
    #[serde(default)]
    pub transcripts: Option<FileRule>,
    /// How these say what was used.
    #[serde(default)]
    pub usage: Option<UsageRules>,
    /// What a message of OSC 7501 means beyond its kind.
    #[serde(default)]
    pub report: Vec<ReportRule>,
    /// What a title means.
    #[serde(default)]
    pub title: Vec<TitleRule>,
    /// Dialogs that a screen may show.
    #[serde(default)]
    pub screen: Vec<ScreenRule>,
    /// Lines of a screen that explain a state without being one.
    #[serde(default)]
    pub hint: Vec<HintRule>,
    /// Lines of a screen that move while nothing happens: spinners, clocks, tips.
    #[serde(default)]
    pub spin: Vec<SpinRule>,
}

impl Adapter {
    /// Whether a prompt that the settings want typed reaches it: it says when it reads what is
    /// typed, or gets its prompt in a way of its own whatever the settings say.
    #[must_use]
    pub fn takes_prompts(&self) -> bool {
        self.launch.prompt.is_some() || self.says_when_it_reads()
    }

    /// Whether it is known when the CLI reads what is typed as a prompt.
    fn says_when_it_reads(&self) -> bool {
        self.reports && self.input.typing
    }
}

/// How a CLI's version is learned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRule {
    /// Arguments that print it.
    pub args: Vec<String>,
    /// What the line that holds it also says; another program of the same name does not.
    pub contains: String,
    /// Versions this adapter was tried with.
    pub known: Vec<String>,
    /// What some of these do not report (`osc7501`, `status-file`), by version.
    #[serde(default)]
    pub lacks: BTreeMap<String, Vec<String>>,
    /// Arguments that print what it takes.
    #[serde(default)]
    pub help: Vec<String>,
}

/// What a version command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The number.
    pub number: String,
    /// Whether this adapter was tried with it.
    pub known: bool,
}

impl VersionRule {
    /// Reads what the version command printed; `None` if it is not this program's.
    #[must_use]
    pub fn read(&self, output: &str) -> Option<Version> {
        let line = output.lines().find(|line| line.contains(&self.contains))?;
        let number = line.split_whitespace().find(|word| {
            word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains(['/', ':'])
        })?;
        Some(Version { number: number.to_owned(), known: self.known.iter().any(|k| k == number) })
    }
}

/// How an agent is started and resumed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LaunchRules {
    /// Always first.
    pub args: Vec<String>,
    /// How a session id of our choice is handed over (`{session}`); empty: it is learned.
    pub session: Vec<String>,
    /// How a session is resumed (`{resume}`); empty: it cannot be.
    pub resume: Vec<String>,
    /// Where `resume` stands: a subcommand comes first, a flag with the other flags.
    pub resume_first: bool,
    /// How the prompt goes; absent: the agent's settings say so.
    pub prompt: Option<PromptVia>,
    /// Arguments right before the prompt, so that one that starts with `-` is no option.
    pub before_prompt: Vec<String>,
    /// What stands in for a prompt too long for an argument.
    pub file_prompt: Option<String>,
}

/// What one mode passes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModeRules {
    /// Its arguments.
    pub args: Vec<String>,
    /// Once more for each folder that may be written (`{root}`).
    pub root: Vec<String>,
    /// The mode whose arguments hold once the plan was approved.
    pub approved: Option<Mode>,
}

/// Words by which arguments speak of permissions, approvals or sandbox.
///
/// A word is a flag (`-s`, `--sandbox`), a flag with a value (`--sandbox danger-full-access`), or,
/// ending in `*`, a beginning. A configuration flag with `key=value` reads `-c key` or
/// `-c key=value`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalRules {
    /// If the user's arguments hold one of these, the adapter passes no mode of its own.
    pub own: Vec<String>,
    /// These skip approvals altogether.
    pub unconfined: Vec<String>,
    /// The flags that take `key=value`.
    pub config_flags: Vec<String>,
}

/// How hooks are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookStyle {
    /// A JSON object of settings, as one argument after `flag`.
    SettingsJson,
    /// One TOML assignment per event, each after `flag`.
    ConfigToml,
}

/// How hooks are configured for one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookRules {
    /// Their form.
    pub style: HookStyle,
    /// The flag before each.
    pub flag: String,
    /// Events asked for. One that a version does not know may stop it at a dialog.
    pub events: Vec<String>,
    /// Events that are wanted for some tools only, by the CLI's own pattern for their names.
    #[serde(default)]
    pub only: BTreeMap<String, String>,
    /// How long the CLI waits for one, in seconds.
    pub timeout_s: u32,
    /// Events whose hook may wait for a person, because the CLI shows its dialog meanwhile.
    #[serde(default)]
    pub waits: Vec<String>,
    /// How long the CLI waits for those, in seconds.
    #[serde(default)]
    pub wait_s: u32,
    /// Whether they are passed without being asked for.
    #[serde(default = "yes")]
    pub by_default: bool,
    /// Arguments needed besides, only where hooks are passed.
    #[serde(default)]
    pub args: Vec<String>,
    /// Settings passed along (an object of JSON), with or without hooks.
    #[serde(default)]
    pub settings: Option<String>,
}

fn yes() -> bool {
    true
}

/// How a notify program is configured for one invocation, of a CLI that takes only one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyRules {
    /// The arguments (`{notify}`: program and arguments, as a list).
    pub args: Vec<String>,
    /// The key under which the user has one of his own, in `own` or after a flag of configuration;
    /// empty: that is not looked for.
    #[serde(default)]
    pub key: String,
    /// The user's settings for the CLI, as TOML.
    #[serde(default)]
    pub own: Option<FileRule>,
    /// Flags that name a profile of his.
    #[serde(default)]
    pub profile_flags: Vec<String>,
    /// The settings of a profile, beside those (`{profile}`); they come first.
    #[serde(default)]
    pub profile: String,
}

/// How our MCP server is configured for one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpRules {
    /// Its form.
    pub style: HookStyle,
    /// The flag before it.
    pub flag: String,
    /// More keys of the server's own table, in the language of `style`: a CLI that starts servers
    /// with a bare environment is told here what ours needs.
    #[serde(default)]
    pub server: String,
    /// Arguments that let its tools be called without a question.
    #[serde(default)]
    pub args: Vec<String>,
}

/// What the environment gains.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvRules {
    /// Set, unless the agent's settings set it.
    pub set: BTreeMap<String, String>,
    /// Removed besides what is always removed.
    pub unset: Vec<String>,
}

/// A query of the agent to its terminal, and what the terminal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OscAnswer {
    /// Number of the operating system command.
    pub osc: u32,
    /// The payload that asks, without number and terminator.
    pub query: String,
    /// The bytes that answer, escapes and terminator included.
    pub reply: String,
}

/// How text reaches an agent once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputRules {
    /// Whether it reads typed text as a prompt at all.
    pub typing: bool,
    /// Interrupts a turn.
    pub interrupt: String,
    /// Typed before text that follows an interrupt, which may have put the old prompt back.
    pub after_interrupt: String,
    /// Typed after every text: a list of names that its last word opens would take Enter for itself.
    pub after_text: String,
    /// First characters that make a typed text a command instead of a prompt.
    pub commands: Vec<String>,
    /// Key for yes at a permission prompt.
    pub yes: String,
    /// Key for no.
    pub no: String,
    /// Whether an option is chosen by its number alone.
    pub digits: bool,
}

/// Files a CLI keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Variable that moves its folder.
    pub root_env: String,
    /// The folder otherwise, in the home directory.
    pub home: String,
    /// Below it; `{pid}`, `{slug}` and `{session}` are filled in where they apply.
    pub path: String,
}

/// How the logs of conversations say what was used. Places in a line are JSON pointers
/// (`/message/usage/input_tokens`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageRules {
    /// The log of one conversation, below the folder in which `transcripts` lie: `{slug}` and
    /// `{session}` are filled in, `*` stands for anything within one name.
    pub file: String,
    /// Logs of its parts, below the folder in which that one lies.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Logs of conversations, below the folder in which `transcripts` lie, whose first line may say
    /// that they are of one of its parts, as Codex writes it.
    #[serde(default)]
    pub beside: Option<String>,
    /// What counts in them.
    pub count: Vec<CountRule>,
}

/// Lines of a log that count, and what they say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRule {
    /// What a line must hold to be worth reading.
    pub marker: String,
    /// What it must say, by place.
    #[serde(default)]
    pub lines: BTreeMap<String, String>,
    /// Where it names what it is about: the same on several lines counts once.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether each line says the sum of all before it.
    #[serde(default)]
    pub running: bool,
    /// Whether it is only written when the CLI ends.
    #[serde(default)]
    pub at_end: bool,
    /// Numbers of tokens; they are added up.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// Numbers among them that were read from a cache, and are taken off again.
    #[serde(default)]
    pub less: Vec<String>,
    /// Numbers of tokens that were read from a cache.
    #[serde(default)]
    pub cached: Vec<String>,
    /// The cost in US dollars, where it says one.
    #[serde(default)]
    pub cost_usd: Option<String>,
}

impl UsageRules {
    /// When a log says how many tokens were used.
    #[must_use]
    pub fn tokens_told(&self) -> Told {
        self.told(|rule| !rule.tokens.is_empty())
    }

    /// When it says what that cost.
    #[must_use]
    pub fn cost_told(&self) -> Told {
        self.told(|rule| rule.cost_usd.is_some())
    }

    fn told(&self, by: impl Fn(&CountRule) -> bool) -> Told {
        let told = self.count.iter().filter(|rule| by(rule));
        told.map(|rule| if rule.at_end { Told::AtEnd } else { Told::Always }).max().unwrap_or_default()
    }
}

/// What a message of OSC 7501 means beyond its kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportRule {
    /// Pattern over the message.
    pub msg: String,
    /// What it asks.
    pub ask: Ask,
}

/// What a title may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TitleSays {
    /// A turn runs.
    Working,
    /// It waits for a person.
    Waiting,
    /// Nothing: it looks the same at rest and before a prompt.
    Rest,
}

/// What a title means. The first match holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TitleRule {
    /// Patterns over the title.
    pub any: Vec<String>,
    /// What it says.
    pub says: TitleSays,
}

/// A dialog that a screen may show. The first match holds.
///
/// A pattern is compared with one whole line, trimmed, runs of blanks taken as one; `*` stands for
/// anything. A dialog holds the bottom of the screen: the same words higher up are a quotation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenRule {
    /// Its name, for `state --explain`.
    pub name: String,
    /// What is asked.
    pub ask: Ask,
    /// The last line that is not blank is one of these.
    pub bottom: Vec<String>,
    /// Above it, in this order and once each, stand these.
    pub lines: Vec<String>,
    /// Which of `lines` is the question, from 0.
    #[serde(default)]
    pub question: usize,
    /// Whether it asks leave to carry out a plan.
    #[serde(default)]
    pub plan: bool,
    /// The line that opens the dialog, above the question; absent: the question opens it.
    #[serde(default)]
    pub opens: Option<String>,
    /// Lines inside that say nothing about this question.
    #[serde(default)]
    pub skip: Vec<String>,
}

/// What a line of a screen explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HintSays {
    /// The request is tried again.
    Retrying,
    /// A turn ended in an error.
    Failed,
    /// The quota is used up.
    Limit,
    /// A person ended the turn.
    Interrupted,
}

/// A line of a screen that explains a state without being one. The lowest match holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HintRule {
    /// Patterns over a line.
    pub any: Vec<String>,
    /// What it explains.
    pub says: HintSays,
}

/// A line of a screen that moves while nothing happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpinRule {
    /// Patterns over a line.
    pub any: Vec<String>,
    /// What of such a line counts all the same: its pieces (between brackets and dots) with this
    /// word, as a count of tokens.
    #[serde(default)]
    pub keep: Option<String>,
}
