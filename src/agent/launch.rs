//! How an agent is started: a request and an adapter in, an argument vector and an environment out.
//!
//! **Invariant:** always an argument vector, never a shell. Only the agent's own hooks pass through
//! one, and there every word is quoted. The user's arguments come after the adapter's and before
//! the prompt; where they speak of approvals, the adapter is silent about them. Must not know:
//! where programs lie, which environment is there.

mod approvals;
mod notify;
mod own;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::model::id::{AttemptNo, TaskId};
use crate::model::name::BranchName;
use crate::model::settings::{AgentSettings, Mode, PromptVia};

pub use approvals::{plan_unenforced, unconfined};
pub use notify::own as own_notify;
pub use own::{own_notify_files, own_settings_file};

use super::adapter::{Adapter, HookRules, HookStyle, ModeRules, OscAnswer};
use super::placeholder::{self, PlaceholderError};
use super::{message, plain, quote};
use own::{Own, is_file};

/// The longest single argument that Linux passes to a program: 128 KiB less the closing zero.
pub const MAX_ARG_BYTES: usize = 128 * 1024 - 1;
/// The longest line, in bytes and without its end, that a terminal hands over whole: Linux keeps
/// 4096 for one being edited, its end among them (`n_tty`), and drops the rest.
pub const MAX_LINE_BYTES: usize = 4095;

/// The longest session id that is put into a command.
const MAX_SESSION: usize = 64;

/// Variables that tell a program about the terminal or the repository that the supervisor was
/// started in, and so would make an agent behave by where that was.
pub const SCRUBBED: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "COLORTERM",
    "LINES",
    "COLUMNS",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "ZELLIJ",
    "ZELLIJ_SESSION_NAME",
    "ZELLIJ_PANE_ID",
    "KITTY_WINDOW_ID",
    "KITTY_PID",
    "KITTY_PUBLIC_KEY",
    "KITTY_LISTEN_ON",
    "KITTY_INSTALLATION_DIR",
    "WEZTERM_PANE",
    "WEZTERM_UNIX_SOCKET",
    "WEZTERM_EXECUTABLE",
    "ITERM_SESSION_ID",
    "LC_TERMINAL",
    "LC_TERMINAL_VERSION",
    "ALACRITTY_WINDOW_ID",
    "ALACRITTY_SOCKET",
    "GHOSTTY_RESOURCES_DIR",
    "GHOSTTY_BIN_DIR",
    "KONSOLE_VERSION",
    "KONSOLE_DBUS_SESSION",
    "VTE_VERSION",
    "WT_SESSION",
    "WINDOWID",
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_INJECTION",
    "TERMINAL_EMULATOR",
];

/// What is to be started.
#[derive(Debug, Clone)]
pub struct LaunchRequest<'a> {
    /// The task.
    pub task: TaskId,
    /// The try.
    pub attempt: AttemptNo,
    /// Where it works.
    pub worktree: &'a Path,
    /// Its branch.
    pub branch: &'a BranchName,
    /// The stored brief, absolute.
    pub brief: &'a Path,
    /// The first prompt; `None` starts it at an empty one.
    pub prompt: Option<&'a str>,
    /// How much is handed over.
    pub mode: Mode,
    /// Under `checkpoint`: whether the plan was approved.
    pub plan_approved: bool,
    /// A new session's id, where the adapter takes one (a UUID).
    pub session: Option<&'a str>,
    /// The session to go on with.
    pub resume: Option<&'a str>,
    /// This program, absolute: hooks, notify and MCP call it.
    pub standup: &'a Path,
    /// Folders that may be written beside the worktree; see [`commit_roots`].
    pub writable_roots: &'a [PathBuf],
    /// Whether hooks are configured. Where they are not, a notify program is, if the CLI has one.
    pub hooks: bool,
    /// The user's own notify program and its arguments, where his settings for the CLI name one.
    pub notify: &'a [String],
    /// What stands in the settings file that the user's arguments name; see [`own_settings_file`].
    pub own_settings: Option<&'a str>,
    /// Whether our MCP server is configured.
    pub mcp: bool,
}

/// Which conversation it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// This one: chosen by us, or resumed.
    Chosen(String),
    /// Its id is learned from what it reports.
    Learned,
}

/// A command, ready but for the program's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Program (not yet looked up) and arguments.
    pub argv: Vec<String>,
    /// Set in its environment.
    pub env_set: BTreeMap<String, String>,
    /// Removed from what it inherits.
    pub env_unset: Vec<String>,
    /// How the prompt goes.
    pub prompt_via: PromptVia,
    /// Whether the prompt was too long for an argument and names the brief's file instead.
    pub prompt_by_file: bool,
    /// Written to its standard input, then end of file.
    pub stdin: Option<String>,
    /// Typed once it is ready.
    pub type_after_start: Option<String>,
    /// Queries its terminal must answer.
    pub answers: Vec<OscAnswer>,
    /// Which conversation it will be.
    pub session: Session,
    /// The argument that skips approvals, if one does.
    pub unconfined: Option<String>,
    /// Whether hooks were configured.
    pub hooks: bool,
    /// What a person should know about this command; sentences.
    pub notes: Vec<String>,
}

/// Why there is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Neither the settings nor the adapter name a program.
    #[error("the agent names no program; set command = [\"…\"]")]
    NoProgram,
    /// A path that cannot be put into a command.
    #[error("{path:?} is not UTF-8 and cannot be handed to the agent")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A NUL byte ends an argument early.
    #[error("{what} holds a NUL byte at {offset}")]
    Nul {
        /// What holds it.
        what: String,
        /// Its offset in bytes.
        offset: usize,
    },
    /// An argument longer than the kernel passes on.
    #[error("{what} has {bytes} bytes, which is more than can be handed over at once")]
    TooLong {
        /// What is too long.
        what: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A placeholder without a value.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    /// The adapter cannot resume.
    #[error("the adapter {adapter:?} knows no way to resume a session")]
    Resume {
        /// The adapter.
        adapter: String,
    },
    /// The adapter wants an id for a new session.
    #[error("the adapter {adapter:?} needs an id for a new session")]
    Session {
        /// The adapter.
        adapter: String,
    },
    /// A session id that could be read as something else.
    #[error("{id:?} is no session id: letters, digits, '-' and '_', at most {MAX_SESSION}")]
    SessionForm {
        /// What was given.
        id: String,
    },
    /// A variable name that cannot be set.
    #[error("{name:?} is no name of an environment variable")]
    Env {
        /// The name.
        name: String,
    },
    /// The user's own settings for the CLI could not be joined with ours.
    #[error("the value of {flag} is neither a file nor an object of JSON: {text}")]
    Settings {
        /// The flag.
        flag: String,
        /// What the parser says.
        text: String,
    },
}

/// The folders in which a commit from a linked worktree writes, tight enough that hooks and
/// configuration stay out of reach: objects, refs and logs of the common directory, and the
/// worktree's own git directory. The caller leaves out those that do not exist.
#[must_use]
pub fn commit_roots(common_dir: &Path, worktree_git_dir: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["objects", "refs", "logs"].iter().map(|name| common_dir.join(name)).collect();
    roots.push(worktree_git_dir.to_owned());
    roots
}

/// Checks the placeholders of an agent's command and arguments, as is done when settings load.
///
/// # Errors
/// The first that has no meaning there.
pub fn check_placeholders(settings: &AgentSettings) -> Result<(), PlaceholderError> {
    settings.command.iter().chain(&settings.args).try_for_each(|word| placeholder::check(word, placeholder::USER))
}

/// Whether an agent is told its first prompt; one that is not gets the brief's file and no more.
#[must_use]
pub fn is_prompted(adapter: &Adapter, settings: &AgentSettings) -> bool {
    let user = words(settings);
    prompt_via(adapter, settings, &user) != PromptVia::None || user.iter().any(|w| placeholder::mentions(w, "prompt"))
}

/// What the user wrote: the command and its arguments.
fn words(settings: &AgentSettings) -> Vec<String> {
    settings.command.iter().chain(&settings.args).cloned().collect()
}

/// Builds the command.
///
/// # Errors
/// [`LaunchError`] says which part cannot be.
pub fn launch(adapter: &Adapter, settings: &AgentSettings, request: &LaunchRequest<'_>) -> Result<Launch, LaunchError> {
    let command = if settings.command.is_empty() { &adapter.program } else { &settings.command };
    if command.first().is_none_or(|program| program.is_empty()) {
        return Err(LaunchError::NoProgram);
    }
    let mut notes = Vec::new();
    let (prompt, by_file) = prompt_text(adapter, request)?;
    let values = values(request, prompt.as_deref())?;
    let fill = |word: &String| placeholder::fill(word, &values);
    let user: Vec<String> = command.iter().chain(&settings.args).cloned().collect();
    let via = prompt_via(adapter, settings, &user);

    let (mut own_command, mut args) = (command.clone(), settings.args.clone());
    let own = Own::taken(adapter, request, &mut own_command, &mut args);
    let mut argv: Vec<String> = own_command.iter().map(fill).collect::<Result<_, _>>()?;
    let resume: Vec<String> = resume_args(adapter, request)?;
    let (first, later) = if adapter.launch.resume_first { (resume, Vec::new()) } else { (Vec::new(), resume) };
    argv.extend(first);
    argv.extend(adapter.launch.args.iter().map(fill).collect::<Result<Vec<_>, _>>()?);
    argv.extend(later);
    let session = session(adapter, request, &mut argv)?;
    if adapter.approvals.find(&adapter.approvals.own, &user).is_none() {
        argv.extend(mode_args(adapter, request, &values)?);
    }
    let hooks = extras(adapter, request, own, &mut argv, &mut notes)?;
    argv.extend(args.iter().map(fill).collect::<Result<Vec<_>, _>>()?);
    let unconfined = adapter.approvals.find(&adapter.approvals.unconfined, &argv);
    if let (PromptVia::Arg, Some(prompt)) = (via, &prompt) {
        argv.extend(adapter.launch.before_prompt.iter().cloned());
        argv.push(prompt.clone());
    }
    check_argv(&argv)?;
    let (env_set, env_unset) = environment(adapter, settings)?;
    let (stdin, stdin_by_file) = stdin_prompt(adapter, request, via)?;
    Ok(Launch {
        argv,
        env_set,
        env_unset,
        prompt_via: via,
        prompt_by_file: stdin_by_file || (by_file && matches!(via, PromptVia::Arg | PromptVia::None)),
        stdin,
        type_after_start: request.prompt.filter(|_| via == PromptVia::Type).map(str::to_owned),
        answers: adapter.answer.clone(),
        session,
        unconfined,
        hooks,
        notes,
    })
}

/// What is written to its standard input, and whether that only names the brief's file. Its
/// standard input is a terminal, which cuts a longer line than [`MAX_LINE_BYTES`] and takes control
/// characters for keys: some end the agent, others edit the line (`termios(3)`, `c_cc` and `ICRNL`).
fn stdin_prompt(
    adapter: &Adapter,
    request: &LaunchRequest<'_>,
    via: PromptVia,
) -> Result<(Option<String>, bool), LaunchError> {
    let Some(prompt) = request.prompt.filter(|_| via == PromptVia::Stdin) else { return Ok((None, false)) };
    let longest = prompt.split('\n').map(str::len).max().unwrap_or_default();
    let is_key = |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\t');
    if longest <= MAX_LINE_BYTES && !prompt.contains(is_key) {
        return Ok((Some(prompt.to_owned()), false));
    }
    Ok((Some(file_prompt(adapter, request, "a line of the prompt", longest)?), true))
}

/// The prompt for an argument, and whether it only names the brief's file.
fn prompt_text(adapter: &Adapter, request: &LaunchRequest<'_>) -> Result<(Option<String>, bool), LaunchError> {
    let Some(prompt) = request.prompt else { return Ok((None, false)) };
    if let Some(offset) = prompt.find('\0') {
        return Err(LaunchError::Nul { what: "the prompt".to_owned(), offset });
    }
    if prompt.len() <= MAX_ARG_BYTES {
        return Ok((Some(message::as_prompt(&adapter.input, prompt).into_owned()), false));
    }
    Ok((Some(file_prompt(adapter, request, "the prompt", prompt.len())?), true))
}

/// What only names the brief's file, in place of `what`, which is too long.
fn file_prompt(
    adapter: &Adapter,
    request: &LaunchRequest<'_>,
    what: &str,
    bytes: usize,
) -> Result<String, LaunchError> {
    let Some(template) = &adapter.launch.file_prompt else {
        return Err(LaunchError::TooLong { what: what.to_owned(), bytes });
    };
    Ok(placeholder::fill(template, &values(request, None)?)?)
}

fn values(request: &LaunchRequest<'_>, prompt: Option<&str>) -> Result<BTreeMap<&'static str, String>, LaunchError> {
    Ok([
        ("brief", text(request.brief)?.to_owned()),
        ("prompt", prompt.unwrap_or_default().to_owned()),
        ("worktree", text(request.worktree)?.to_owned()),
        ("task", request.task.to_string()),
        ("branch", request.branch.as_str().to_owned()),
    ]
    .into())
}

fn text(path: &Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::Path { path: path.to_owned() })
}

fn prompt_via(adapter: &Adapter, settings: &AgentSettings, user: &[String]) -> PromptVia {
    let named = || user.iter().any(|w| placeholder::mentions(w, "brief") || placeholder::mentions(w, "prompt"));
    // A command that names the brief itself would otherwise be given it twice.
    let open = || if named() { PromptVia::None } else { PromptVia::Arg };
    adapter.launch.prompt.or(settings.prompt).unwrap_or_else(open)
}

fn resume_args(adapter: &Adapter, request: &LaunchRequest<'_>) -> Result<Vec<String>, LaunchError> {
    let Some(id) = request.resume else { return Ok(Vec::new()) };
    if adapter.launch.resume.is_empty() {
        return Err(LaunchError::Resume { adapter: adapter.name.clone() });
    }
    session_words(&adapter.launch.resume, "resume", id)
}

fn session_words(words: &[String], name: &'static str, id: &str) -> Result<Vec<String>, LaunchError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // A learned id comes out of a file that an agent can write: it must not become an option.
    if id.is_empty() || id.len() > MAX_SESSION || id.starts_with('-') || !id.chars().all(plain) {
        return Err(LaunchError::SessionForm { id: id.to_owned() });
    }
    let values = [(name, id.to_owned())].into();
    Ok(words.iter().map(|word| placeholder::fill(word, &values)).collect::<Result<_, _>>()?)
}

fn session(adapter: &Adapter, request: &LaunchRequest<'_>, argv: &mut Vec<String>) -> Result<Session, LaunchError> {
    if let Some(id) = request.resume {
        return Ok(Session::Chosen(id.to_owned()));
    }
    if adapter.launch.session.is_empty() {
        return Ok(Session::Learned);
    }
    let id = request.session.ok_or_else(|| LaunchError::Session { adapter: adapter.name.clone() })?;
    argv.extend(session_words(&adapter.launch.session, "session", id)?);
    Ok(Session::Chosen(id.to_owned()))
}

fn mode_args(
    adapter: &Adapter,
    request: &LaunchRequest<'_>,
    values: &BTreeMap<&str, String>,
) -> Result<Vec<String>, LaunchError> {
    let none = ModeRules::default();
    let mut rules = adapter.mode.get(&request.mode).unwrap_or(&none);
    if let Some(next) = rules.approved.filter(|_| request.plan_approved) {
        rules = adapter.mode.get(&next).unwrap_or(&none);
    }
    let mut args: Vec<String> = rules.args.iter().map(|w| placeholder::fill(w, values)).collect::<Result<_, _>>()?;
    // One that is told of no roots may have any.
    for root in request.writable_roots.iter().filter(|_| !rules.root.is_empty()) {
        let value = [("root", text(root)?.to_owned())].into();
        for word in &rules.root {
            args.push(placeholder::fill(word, &value)?);
        }
    }
    Ok(args)
}

/// Hooks, notify and MCP, joined with what the user wrote of them. Returns whether hooks were
/// configured.
fn extras(
    adapter: &Adapter,
    request: &LaunchRequest<'_>,
    own: Own,
    argv: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<bool, LaunchError> {
    let standup = text(request.standup)?;
    let mut hooked = false;
    if let Some(rules) = &adapter.hooks {
        hooked = match rules.style {
            HookStyle::SettingsJson => {
                settings_json(rules, request, standup, own.settings, argv)?;
                request.hooks
            }
            HookStyle::ConfigToml => {
                if request.hooks {
                    argv.extend(rules.args.iter().cloned());
                    argv.extend(config_toml(rules, standup));
                }
                request.hooks
            }
        };
    }
    if let Some(rules) = adapter.notify.as_ref().filter(|_| !hooked) {
        let own = own.notify.unwrap_or_else(|| request.notify.to_vec());
        argv.extend(notify::args(rules, standup, &own)?);
        if let Some(program) = own.first() {
            notes.push(format!("its own notify program is called after ours: {}", plain::line(program, 200)));
        }
    }
    if let Some(rules) = adapter.mcp.as_ref().filter(|_| request.mcp) {
        argv.extend(server::mcp(rules, standup)?);
    }
    Ok(hooked)
}

/// One settings object: the adapter's, the hooks, and over them the user's own.
fn settings_json(
    rules: &HookRules,
    request: &LaunchRequest<'_>,
    standup: &str,
    own: Option<String>,
    argv: &mut Vec<String>,
) -> Result<(), LaunchError> {
    let base = rules.settings.as_deref().unwrap_or("{}");
    let mut all = object(&rules.flag, base)?;
    if request.hooks {
        // The CLI runs a hook through a shell.
        let hook = |event: &String| {
            let (words, limit): (&[&str], u32) = match rules.waits.contains(event) {
                true => (&[standup, "hook", "--wait", "claude"], rules.wait_s),
                false => (&[standup, "hook", "claude"], rules.timeout_s),
            };
            let command = quote::sh_command(words);
            let mut group = json!({"hooks": [{"type": "command", "command": command, "timeout": limit}]});
            if let Some(tools) = rules.only.get(event) {
                group["matcher"] = json!(tools);
            }
            json!([group])
        };
        let events: Map<String, Value> = rules.events.iter().map(|e| (e.clone(), hook(e))).collect();
        join(&mut all, [("hooks".to_owned(), Value::Object(events))].into_iter().collect());
    }
    if let Some(own) = own {
        let own = match request.own_settings.filter(|_| is_file(&own)) {
            Some(text) => object(&format!("{} {own}", rules.flag), text)?,
            None => object(&rules.flag, &own)?,
        };
        join(&mut all, own);
    }
    if !all.is_empty() {
        argv.extend([rules.flag.clone(), Value::Object(all).to_string()]);
    }
    Ok(())
}

fn object(flag: &str, text: &str) -> Result<Map<String, Value>, LaunchError> {
    serde_json::from_str(text).map_err(|e| LaunchError::Settings { flag: flag.to_owned(), text: e.to_string() })
}

/// Lays `over` over `under`: objects join, lists are put one after the other, else `over` holds.
fn join(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(a)), Value::Object(b)) => join(a, b),
            (Some(Value::Array(a)), Value::Array(b)) => a.extend(b),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn config_toml(rules: &HookRules, standup: &str) -> Vec<String> {
    let command = quote::toml(&quote::sh_command(&[standup, "hook", "codex"]));
    let one = |event: &String| {
        let hook = format!("{{type=\"command\",command={command},timeout={}}}", rules.timeout_s);
        let tools = rules.only.get(event).map(|tools| format!("matcher={},", quote::toml(tools))).unwrap_or_default();
        [rules.flag.clone(), format!("hooks.{event}=[{{{tools}hooks=[{hook}]}}]")]
    };
    rules.events.iter().flat_map(one).collect()
}

fn check_argv(argv: &[String]) -> Result<(), LaunchError> {
    for (i, word) in argv.iter().enumerate() {
        if let Some(offset) = word.find('\0') {
            return Err(LaunchError::Nul { what: format!("argument {i}"), offset });
        }
        if word.len() > MAX_ARG_BYTES {
            return Err(LaunchError::TooLong { what: format!("argument {i}"), bytes: word.len() });
        }
    }
    Ok(())
}

fn environment(
    adapter: &Adapter,
    settings: &AgentSettings,
) -> Result<(BTreeMap<String, String>, Vec<String>), LaunchError> {
    let mut set = adapter.env.set.clone();
    set.extend(settings.env.clone());
    for (name, value) in &set {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(LaunchError::Env { name: name.clone() });
        }
        if let Some(offset) = value.find('\0') {
            return Err(LaunchError::Nul { what: format!("the variable {name}"), offset });
        }
    }
    let scrubbed = SCRUBBED.iter().map(|name| (*name).to_owned());
    let unset = scrubbed.chain(adapter.env.unset.iter().cloned()).filter(|name| !set.contains_key(name)).collect();
    Ok((set, unset))
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
