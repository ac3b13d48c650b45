//! Settings, approvals and agents as they are right now, read from the world.
//!
//! The repository's files are read from the main checkout, never from a task's worktree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::agent::adapter::{self, Adapter, UsageRules};
use crate::agent::launch;
use crate::config::{self, CommandSet, ConfigError, Effective, Kind, Layer, Source};
use crate::git::repo::FilterDriver;
use crate::git::{GitError, worktree};
use crate::model::input::{AgentFacts, Surroundings};
use crate::model::name::AgentName;
use crate::model::settings::AgentSettings;
use crate::os::file::{self, FileError};
use crate::os::locate;
use crate::os::run::Run;
use crate::store::approvals::Approvals;
use crate::store::layout::Layout;

use super::place::Place;

mod kept;

use kept::Text;

/// How long an agent may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// The repository's files, weakest first.
const FILES: [&str; 2] = ["agents.toml", ".standup/agents.toml"];

/// The user's file, in the user's folder of settings.
const USER_FILE: &str = "config.toml";

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that cannot be read, or must not be trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is wrong in them; every mistake.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigError>),
    /// Approvals.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The repository's own settings.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A folder that cannot hold worktrees.
    #[error("{place}: worktrees.root: {why}")]
    Root {
        /// File and line.
        place: String,
        /// Why.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl LoadError {
    /// What to do.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Config(errors) => errors.iter().filter_map(ConfigError::hint).collect(),
            Self::Git(error) => error.hint().into_iter().collect(),
            Self::Root { hint, .. } => hint.iter().cloned().collect(),
            Self::File(_) | Self::Store(_) => Vec::new(),
        }
    }
}

/// An agent of the settings, as it was found on this machine.
#[derive(Debug, Clone)]
pub struct FoundAgent {
    /// Its settings.
    pub settings: AgentSettings,
    /// Its dialect.
    pub adapter: Arc<Adapter>,
    /// Its program; or why there is none.
    pub program: Result<PathBuf, String>,
    /// What its program was looked for by; `None` where it never came to that.
    pub name: Option<String>,
    /// Its version, where the program was asked and answered.
    pub version: Option<String>,
    /// The version, where it is none that the adapter was tried with.
    pub unknown_version: Option<String>,
}

/// Everything that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Settings and where they come from.
    pub effective: Effective,
    /// Every command that the repository can make run.
    pub commands: CommandSet,
    /// Whether these are approved.
    pub trusted: bool,
    /// Filter drivers of the repository's own configuration, if they are approved.
    pub filters: Vec<FilterDriver>,
    /// The agents.
    pub agents: BTreeMap<AgentName, FoundAgent>,
    /// The files that were read, and when they last changed.
    pub files: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
    /// Why no settings hold, where none could be read: then nothing is started.
    pub unread: Option<String>,
    texts: Vec<Text>,
}

/// Reads everything. Agents' programs are only asked for their version where they may run.
///
/// # Errors
/// [`LoadError`]; the caller keeps what it had.
pub fn load(place: &Place) -> Result<Loaded, LoadError> {
    read(place, true)
}

/// Reads everything, and runs nothing: of agents' versions only those are known that were asked for
/// before.
///
/// # Errors
/// [`LoadError`].
pub fn look(place: &Place) -> Result<Loaded, LoadError> {
    read(place, false)
}

/// Reads everything for a supervisor that starts. Where a file is broken, what it would have done
/// had it run: the last good settings hold, if there are any, else none, and nothing is started. Says
/// why, then.
///
/// # Errors
/// [`LoadError`], where not even approvals can be read.
pub fn load_or_last(place: &Place) -> Result<(Loaded, Option<String>), LoadError> {
    let wrong = match load(place) {
        Ok(loaded) => return Ok((loaded, None)),
        Err(error @ LoadError::Store(_)) => return Err(error),
        Err(error) => super::effects::chain(&error),
    };
    if let Some(Ok(loaded)) = kept::load(place).map(|texts| judge_kept(place, texts)) {
        return Ok((loaded, Some(held(&wrong))));
    }
    let unread = Some(wrong.clone());
    let loaded = Loaded { unread, ..judge(place, Vec::new(), Vec::new(), false)? };
    Ok((loaded, Some(format!("no settings hold, and nothing is started: {wrong}"))))
}

/// What is said where the last good settings hold.
#[must_use]
pub fn held(why: &str) -> String {
    format!("the last good settings hold: {why}")
}

fn read(place: &Place, ask: bool) -> Result<Loaded, LoadError> {
    let (mut layers, mut texts, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (path, label, kind) in paths(place) {
        let bytes = match file::read_owned(&path, config::MAX_BYTES as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(error.into()),
        };
        match config::parse(&Source { label: &label, bytes: &bytes, kind }) {
            Ok(layer) => {
                layers.push(layer);
                texts.push(Text::new(label, kind, &bytes));
            }
            Err(wrong) => errors.extend(wrong),
        }
    }
    if !errors.is_empty() {
        return Err(LoadError::Config(errors));
    }
    judge(place, layers, texts, ask)
}

/// What the texts that were kept mean now.
fn judge_kept(place: &Place, texts: Vec<Text>) -> Result<Loaded, LoadError> {
    let parsed = |text: &Text| {
        config::parse(&Source { label: &text.label, bytes: text.bytes(), kind: text.kind() }).map_err(LoadError::Config)
    };
    let layers = texts.iter().map(parsed).collect::<Result<_, _>>()?;
    judge(place, layers, texts, true)
}

/// What these texts, of which `layers` were read, mean on this machine.
fn judge(place: &Place, layers: Vec<Layer>, texts: Vec<Text>, ask: bool) -> Result<Loaded, LoadError> {
    let effective = config::merge(layers).map_err(LoadError::Config)?;
    require_root(place, &effective)?;
    let own = own_adapters(place);
    let mut adapters: Vec<&str> = adapter::names().collect();
    adapters.extend(own.iter().map(String::as_str));
    effective.require_adapters(&adapters).map_err(LoadError::Config)?;
    // What is wrong with an adapter itself is told where its agent is to start.
    let reads = |name: &str| load_adapter(place, name).map_or(true, |adapter| adapter.takes_prompts());
    effective.require_typing(reads).map_err(LoadError::Config)?;
    let local = place.repo.local_filters();
    let mut commands = effective.commands.clone().with_filters(local.iter().flat_map(filter_commands));
    let approvals = Approvals::at(&place.layout.approvals());
    let trusted = commands.is_empty() || approvals.is_approved(&place.layout.key(), &commands.digest())?;
    let agents: BTreeMap<AgentName, FoundAgent> = effective
        .settings
        .agents
        .iter()
        .map(|(name, settings)| (name.clone(), find_agent(place, settings, trusted, ask)))
        .collect();
    for (name, agent) in &agents {
        if let Some(why) = launch::unconfined(&agent.adapter, &agent.settings) {
            commands = commands.unconfined(name.clone(), why);
        }
        // Where the adapter has no modes at all, it is no argument that takes one away.
        let modes = !agent.adapter.mode.is_empty();
        if let Some(why) = launch::plan_unenforced(&agent.adapter, &agent.settings).filter(|_| modes) {
            commands = commands.plan_unenforced(name.clone(), why);
        }
    }
    let filters = if trusted { local } else { Vec::new() };
    Ok(Loaded { effective, commands, trusted, filters, agents, files: stamps(place), unread: None, texts })
}

/// Refuses a folder for worktrees in which every task would fail.
fn require_root(place: &Place, effective: &Effective) -> Result<(), LoadError> {
    let Some(root) = &effective.settings.worktrees.root else { return Ok(()) };
    let wrong = |why: String, hint| Err(LoadError::Root { place: effective.origin("worktrees.root"), why, hint });
    let said = root.display();
    if !root.is_absolute() && !root.starts_with("~") {
        return wrong(format!("{said} is neither absolute nor below ~"), None);
    }
    if root.components().any(|part| part == Component::ParentDir) {
        return wrong(format!("{said} contains '..'"), None);
    }
    let worktrees = worktrees_under(place, root);
    match worktree::require_place(&place.git, &place.repo, worktrees.worktrees_dir()) {
        Ok(()) => Ok(()),
        Err(error) => wrong(error.to_string(), error.hint()),
    }
}

fn worktrees_under(place: &Place, root: &Path) -> Layout {
    place.layout.clone().with_worktrees_under(&absolute(&place.root(), root))
}

/// The configuration files, weakest first: where they lie, how messages name them, whose they are.
#[must_use]
pub fn paths(place: &Place) -> Vec<(PathBuf, String, Kind)> {
    let user = place.dirs.config.join(USER_FILE);
    let label = user.display().to_string();
    let root = place.root();
    let repository = FILES.iter().map(|name| (root.join(name), (*name).to_owned(), Kind::Repository));
    std::iter::once((user, label, Kind::User)).chain(repository).collect()
}

/// When each file last changed; `None` where it is not there.
#[must_use]
pub fn stamps(place: &Place) -> Vec<(PathBuf, Option<(SystemTime, u64)>)> {
    let mut paths: Vec<PathBuf> = paths(place).into_iter().map(|(path, ..)| path).collect();
    paths.push(place.layout.approvals());
    // Filter drivers are commands, too.
    paths.extend(["config", "config.worktree"].map(|name| place.repo.common_dir().join(name)));
    paths
        .into_iter()
        .map(|path| {
            let meta = std::fs::metadata(&path).ok();
            let stamp = meta.and_then(|m| Some((m.modified().ok()?, m.len())));
            (path, stamp)
        })
        .collect()
}

impl Loaded {
    /// Whether the files and the agents' programs still are what was read: an agent may be
    /// installed, moved or removed at any time.
    #[must_use]
    pub fn is_current(&self, place: &Place) -> bool {
        let root = place.root();
        let is_found = |agent: &FoundAgent| {
            let Some(name) = &agent.name else { return true };
            locate::program(OsStr::new(name), &root).ok().as_ref() == agent.program.as_ref().ok()
        };
        stamps(place) == self.files && self.agents.values().all(is_found)
    }

    /// Keeps them for a supervisor that starts while a file is broken.
    pub fn keep(&self, place: &Place) {
        if self.unread.is_none() {
            kept::keep(place, &self.texts);
        }
    }

    /// Whether an agent that may run has not been asked for its version.
    #[must_use]
    pub fn lacks_versions(&self) -> bool {
        let unknown = |a: &FoundAgent| a.program.is_ok() && a.adapter.version.is_some() && a.version.is_none();
        self.trusted && self.agents.values().any(unknown)
    }

    /// What the machine must know.
    #[must_use]
    pub fn surroundings(&self, place: &Place) -> Surroundings {
        let settings = self.effective.settings.clone();
        let layout = match &settings.worktrees.root {
            Some(root) => worktrees_under(place, root),
            None => place.layout.clone(),
        };
        let untrusted = (!self.trusted).then(|| "the commands of agents.toml are not approved".to_owned());
        let untrusted = self.unread.clone().or(untrusted);
        let agents = self.agents.iter().map(|(name, agent)| (name.clone(), facts(agent))).collect();
        // As git and agents will name them, also where a folder above is a link.
        Surroundings { settings, untrusted, worktrees: file::real(layout.worktrees_dir()), agents }
    }
}

fn absolute(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => locate::home().unwrap_or_else(|| root.to_owned()).join(rest),
        Err(_) => root.join(path),
    }
}

fn facts(agent: &FoundAgent) -> AgentFacts {
    AgentFacts {
        unusable: agent.program.as_ref().err().cloned(),
        reads: agent.adapter.input.typing,
        resumes: !agent.adapter.launch.resume.is_empty(),
        unconfined: launch::unconfined(&agent.adapter, &agent.settings),
        tokens_told: agent.adapter.usage.as_ref().map(UsageRules::tokens_told).unwrap_or_default(),
        cost_told: agent.adapter.usage.as_ref().map(UsageRules::cost_told).unwrap_or_default(),
        plan_unenforced: launch::plan_unenforced(&agent.adapter, &agent.settings),
        prompted: launch::is_prompted(&agent.adapter, &agent.settings),
        stop_hook: agent.adapter.hooks.as_ref().is_some_and(|h| h.by_default && h.events.iter().any(|e| e == "Stop")),
    }
}

fn filter_commands(driver: &FilterDriver) -> Vec<config::commands::FilterDriver> {
    driver
        .values
        .iter()
        .filter(|(operation, _)| operation.as_str() != "required")
        .map(|(operation, command)| config::commands::FilterDriver {
            name: driver.name.clone(),
            operation: operation.clone(),
            command: command.clone(),
            file: ".git/config".to_owned(),
        })
        .collect()
}

fn find_agent(place: &Place, settings: &AgentSettings, trusted: bool, ask: bool) -> FoundAgent {
    let missing = |why: String| FoundAgent {
        settings: settings.clone(),
        adapter: Arc::new(adapter::builtin("generic").expect("the built-in adapters are tested")),
        program: Err(why),
        name: None,
        version: None,
        unknown_version: None,
    };
    let adapter = match load_adapter(place, &settings.adapter) {
        Ok(adapter) => Arc::new(adapter),
        Err(why) => return missing(why),
    };
    if let Err(error) = launch::check_placeholders(settings) {
        return missing(error.to_string());
    }
    let name = settings.command.first().or_else(|| adapter.program.first()).cloned();
    let program = match &name {
        None => Err("it names no command".to_owned()),
        Some(name) => locate::program(OsStr::new(name), &place.root()).map_err(|_| not_found(name)),
    };
    let version = match &program {
        Ok(program) if trusted => version(&adapter, program, ask),
        _ => None,
    };
    let unknown_version = version.as_ref().filter(|v| !v.known).map(|v| v.number.clone());
    let version = version.map(|v| v.number);
    FoundAgent { settings: settings.clone(), adapter, program, name, version, unknown_version }
}

fn not_found(name: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{name} is not an executable on PATH ({path})")
}

/// The names of the user's own adapters, those first that come first in the alphabet.
fn own_adapters(place: &Place) -> BTreeSet<String> {
    let entries = std::fs::read_dir(place.dirs.config.join("adapters")).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned());
    entries.filter_map(name).collect()
}

/// An adapter of the user's, else a built-in one.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn load_adapter(place: &Place, name: &str) -> Result<Adapter, String> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let own = place.dirs.config.join("adapters").join(format!("{name}.toml"));
    if plain {
        match file::read_owned(&own, config::MAX_BYTES as u64) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", own.display()))?;
                return adapter::parse(&text).map_err(|e| format!("{}: {e}", own.display()));
            }
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    adapter::builtin(name).map_err(|e| e.to_string())
}

/// Asks a program for its version, or only says what it answered before: that holds for as long as
/// the file does not change.
fn version(adapter: &Adapter, program: &Path, ask: bool) -> Option<adapter::Version> {
    type Key = (PathBuf, Option<SystemTime>);
    static KNOWN: Mutex<BTreeMap<Key, Option<adapter::Version>>> = Mutex::new(BTreeMap::new());
    let rule = adapter.version.as_ref()?;
    let key = (program.to_owned(), std::fs::metadata(program).and_then(|m| m.modified()).ok());
    if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known.clone();
    }
    if !ask {
        return None;
    }
    let output = Run::new(program).args(&rule.args).timeout(VERSION_LIMIT).max_output(64 << 10).output();
    let found = output.ok().and_then(|o| rule.read(&String::from_utf8_lossy(&o.stdout)));
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
    found
}

/// Agents that a user could configure: built-in adapters whose program is on PATH.
#[must_use]
pub fn on_path(root: &Path) -> BTreeSet<&'static str> {
    adapter::names()
        .filter(|name| {
            let program = adapter::builtin(name).ok().and_then(|a| a.program.first().cloned());
            program.is_some_and(|p| locate::program(OsStr::new(&p), root).is_ok())
        })
        .collect()
}
