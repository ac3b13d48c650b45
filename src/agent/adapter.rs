//! Adapters: one agent CLI's dialect as data.
//!
//! The built-in files and a user's `adapters/<name>.toml` have the same format and go through
//! the same [`parse`]. **Invariant:** an [`Adapter`] that exists was checked: its schema is known,
//! every key was understood, every placeholder has a value, no pattern is empty. Must not know:
//! where the text came from.

use std::collections::BTreeMap;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::settings::{Mode, PromptVia};
use crate::model::state::{Ask, Source};

mod check;

use check::check;

/// The only format there is so far.
const SCHEMA: u32 = 1;

/// How alike (0–1, Jaro-Winkler) a known key must be to be offered instead of an unknown one.
const ALIKE: f64 = 0.75;

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
    /// The text that ends it politely, then Enter.
    pub exit: String,
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

/// Why a text is no adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// Not TOML, or not of this form.
    #[error("{line}:{column}: {text}")]
    Form {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong, with the nearest known key.
        text: String,
    },
    /// A later or a made-up format.
    #[error("schema {found} is not known; this build reads {SCHEMA}")]
    Schema {
        /// What it says.
        found: u32,
    },
    /// A value that cannot work.
    #[error("{key}: {text}")]
    Value {
        /// Where.
        key: String,
        /// Why not.
        text: String,
    },
    /// No adapter of this name is built in.
    #[error("no adapter is called {name:?}; built in are {}", BUILTIN.map(|(name, _)| name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// No such mode.
    #[error("{text:?} is no mode; there are delegate, checkpoint and own")]
    Mode {
        /// What was asked for.
        text: String,
    },
}

const BUILTIN: [(&str, &str); 4] = [
    ("claude", include_str!("builtin/claude.toml")),
    ("codex", include_str!("builtin/codex.toml")),
    ("generic", include_str!("builtin/generic.toml")),
    ("demo", include_str!("builtin/demo.toml")),
];

/// The names of the built-in adapters.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// The file of a built-in adapter, to be shown or copied.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// A built-in adapter.
///
/// # Errors
/// [`AdapterError::Unknown`] for any other name.
pub fn builtin(name: &str) -> Result<Adapter, AdapterError> {
    let text = source(name).ok_or_else(|| AdapterError::Unknown { name: name.to_owned() })?;
    parse(text)
}

/// Reads an adapter.
///
/// # Errors
/// [`AdapterError`] says where and why.
pub fn parse(text: &str) -> Result<Adapter, AdapterError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let adapter: Adapter = toml::from_str(text).map_err(|e| form_error(text, &e))?;
    check(&adapter)?;
    Ok(adapter)
}

fn form_error(text: &str, error: &toml::de::Error) -> AdapterError {
    let Range { start, .. } = error.span().unwrap_or_default();
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.message().lines().next().unwrap_or_default();
    AdapterError::Form { line, column, text: suggest(message).unwrap_or_else(|| message.to_owned()) }
}

/// Turns serde's list of all known fields into the one that was probably meant.
fn suggest(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let (found, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known
        .map(|k| (strsim::jaro_winkler(found, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike >= ALIKE);
    Some(match nearest {
        Some((_, k)) => format!("unknown `{found}`; did you mean `{k}`?"),
        None => format!("unknown `{found}`{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_adapters_parse_and_are_called_what_they_are() {
        for name in names() {
            assert_eq!(builtin(name).expect(name).name, name);
        }
        assert!(matches!(builtin("cloude"), Err(AdapterError::Unknown { .. })));
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest() {
        let error = parse("schema = 1\nname = \"x\"\n\n[launch]\nresum = []\n").expect_err("resum");
        assert_eq!(error.to_string(), "5:1: unknown `resum`; did you mean `resume`?");
        let error = parse("schema = 1\nname = \"x\"\nzzzzzz = 1\n").expect_err("zzzzzz").to_string();
        assert!(error.starts_with("3:1: unknown `zzzzzz`, expected one of `schema`"), "{error}");
    }

    #[test]
    fn a_syntax_error_names_its_place_and_a_bom_is_no_error() {
        let error = parse("schema = 1\nname = \n").expect_err("no value").to_string();
        assert!(error.starts_with("2:"), "{error}");
        assert!(parse("\u{feff}schema = 1\r\nname = \"x\"\r\n").is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused_at_load() {
        let refused = |extra: &str| parse(&format!("schema = 1\nname = \"x\"\n{extra}")).expect_err(extra).to_string();
        assert!(refused("[launch]\nargs = [\"{worktre}\"]").contains("did you mean {worktree}?"));
        assert!(refused("[launch]\nresume = [\"{session}\"]").contains("{session}"));
        assert!(refused("[[title]]\nany = [\"*\"]\nsays = \"working\"").contains("matches everything"));
        assert!(
            refused("[[screen]]\nname=\"a\"\nask=\"trust\"\nbottom=[\"x\"]\nlines=[\"y\"]\nquestion=1")
                .contains("question 1")
        );
        assert!(refused("[mode.checkpoint]\napproved = \"delegate\"").contains("mode.delegate"));
        assert!(matches!(parse("schema = 2\nname = \"x\""), Err(AdapterError::Schema { found: 2 })));
    }

    #[test]
    fn a_version_is_read_and_known_or_not() {
        let rule = builtin("claude").expect("claude").version.expect("rule");
        assert_eq!(rule.read("2.1.329 (Claude Code)\n"), Some(Version { number: "2.1.329".into(), known: true }));
        assert_eq!(rule.read("9.9.9 (Claude Code)"), Some(Version { number: "9.9.9".into(), known: false }));
        assert_eq!(rule.read("claude: a mail reader 1.0"), None);
        let rule = builtin("codex").expect("codex").version.expect("rule");
        let noisy = "warning: http://x/1.2\ncodex-cli 0.169.0\n";
        assert_eq!(rule.read(noisy), Some(Version { number: "0.169.0".into(), known: true }));
    }
}
