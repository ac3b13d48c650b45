//! Everything a repository's configuration could make run, for `standup trust`.
//!
//! **Invariant:** two sets have the same digest exactly if they run the same things; comments,
//! limits and places do not count. Must not know: what was approved, or where that is kept.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::error::Place;
use super::leaf::Choice;
use super::raw::{Raw, RawAgent, all_checks};
use super::read::At;
use super::settle;
use crate::model::name::AgentName;
use crate::model::settings::SandboxMode;
use crate::model::text::shell_word;

/// Starts every digest, so that a later way of counting cannot match an older approval.
const DIGEST_VERSION: &str = "standup commands 1";

/// All commands of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandSet {
    entries: Vec<Entry>,
    unconfined: BTreeMap<AgentName, String>,
    plan_unenforced: BTreeMap<AgentName, String>,
}

/// A filter driver of the repository's own git configuration, which git runs at checkout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterDriver {
    /// The driver's name, for example `lfs`.
    pub name: String,
    /// Which of its commands: `clean`, `smudge` or `process`.
    pub operation: String,
    /// The shell command.
    pub command: String,
    /// The file that says so, for example `.git/config`.
    pub file: String,
}

/// One command, for a person to read before approving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What it is for: `agents.claude`, `worktrees.setup`, `verify.check test`.
    pub what: String,
    /// Where it is written: `agents.toml:14`.
    pub place: String,
    /// The command as a shell would take it. Foreign text: clean it before printing.
    pub command: String,
    /// Why this agent counts as unconfined, if it does.
    pub unconfined: Option<String>,
    /// Why nothing but words keeps this agent from building while it shall only plan, if so.
    pub plan_unenforced: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    what: String,
    place: String,
    agent: Option<AgentName>,
    /// What is counted in the digest, word by word.
    words: Vec<String>,
    shown: String,
}

impl CommandSet {
    /// The commands of a repository's files, laid over each other; `own` is what the user's say.
    pub(super) fn of(raw: &Raw, own: &Raw) -> Self {
        let mut set = Self::default();
        let own = |name: &AgentName| own.agents.as_ref().is_some_and(|all| all.value.0.contains_key(name));
        for (name, at) in raw.agents.iter().flat_map(|agents| &agents.value.0) {
            set.agent(name, at, own(name));
        }
        if let Some(worktrees) = raw.worktrees.as_ref().map(|at| &at.value) {
            for command in worktrees.setup.iter().flat_map(|list| &list.value) {
                set.shell("worktrees.setup", &command.place, &command.value.0);
            }
            for command in worktrees.teardown.iter().flat_map(|list| &list.value) {
                set.shell("worktrees.teardown", &command.place, &command.value.0);
            }
        }
        for check in all_checks(raw) {
            if let (Some(name), Some(run)) = (&check.value.name, &check.value.run) {
                set.shell(&format!("verify.check {}", name.value), &run.place, &run.value.0);
            }
        }
        if let Some(command) = raw.notify.as_ref().and_then(|at| at.value.command.as_ref())
            && !command.value.is_empty()
        {
            let words: Vec<String> = command.value.iter().map(|word| word.value.0.clone()).collect();
            set.push("notify.command", &command.place, None, quoted(&words), words);
        }
        set.sandbox(raw);
        set
    }

    /// The same set with the filter drivers of the repository's own git configuration.
    #[must_use]
    pub fn with_filters(mut self, filters: impl IntoIterator<Item = FilterDriver>) -> Self {
        let mut filters: Vec<FilterDriver> = filters.into_iter().collect();
        // git lists them in the order of its files; the set is the same in any order.
        filters.sort();
        for FilterDriver { name, operation, command, file } in filters {
            let what = format!("filter.{name}.{operation}");
            let words = vec![command.clone()];
            self.entries.push(Entry { what, place: file, agent: None, words, shown: command });
        }
        self
    }

    /// The same set with a remark that this agent starts with its approvals skipped. It follows
    /// from the commands and does not count in the digest.
    #[must_use]
    pub fn unconfined(mut self, agent: AgentName, why: impl Into<String>) -> Self {
        self.unconfined.insert(agent, why.into());
        self
    }

    /// The same set with a remark that this agent's own arguments leave the plan stage unenforced. As
    /// above, it does not count.
    #[must_use]
    pub fn plan_unenforced(mut self, agent: AgentName, why: impl Into<String>) -> Self {
        self.plan_unenforced.insert(agent, why.into());
        self
    }

    /// Whether there is nothing to approve.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// SHA-256 of the set, as 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // The length first: "a", "bc" must not count as "ab", "c".
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(DIGEST_VERSION);
        for entry in &self.entries {
            add(&entry.what);
            add(&entry.words.len().to_string());
            entry.words.iter().for_each(|word| add(word));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Every command, for a person to read.
    #[must_use]
    pub fn lines(&self) -> Vec<CommandLine> {
        let remark = |entry: &Entry, of: &BTreeMap<AgentName, String>| of.get(entry.agent.as_ref()?).cloned();
        let line = |entry: &Entry| CommandLine {
            what: entry.what.clone(),
            place: entry.place.clone(),
            command: entry.shown.clone(),
            unconfined: remark(entry, &self.unconfined),
            plan_unenforced: remark(entry, &self.plan_unenforced),
        };
        self.entries.iter().map(line).collect()
    }

    /// `own` is whether the user configures this agent too: then a repository that only says how
    /// many run adds nothing, and a missing command is the user's.
    fn agent(&mut self, name: &AgentName, at: &At<RawAgent>, own: bool) {
        let agent = &at.value;
        let silent = agent.adapter.is_none()
            && agent.command.is_none()
            && agent.args.is_none()
            && agent.env.is_none()
            && agent.prompt.is_none();
        if own && silent {
            return;
        }
        let args: Vec<String> =
            agent.args.iter().flat_map(|list| &list.value).map(|word| word.value.0.clone()).collect();
        let command = settle::command(name, agent).filter(|_| agent.command.is_some() || !own);
        let shown = match &command {
            Some(command) => quoted(command.iter().chain(&args)),
            None => format!("(the command of your own settings) {}", quoted(&args)).trim_end().to_owned(),
        };
        // The adapter and the way of the prompt decide what is added to the command.
        let mut words = vec![settle::adapter(name, agent)];
        words.push(agent.prompt.as_ref().map_or("", |at| at.value.word()).to_owned());
        words.push(command.as_ref().map_or(0, Vec::len).to_string());
        words.extend(command.into_iter().flatten().chain(args));
        let place = agent.command.as_ref().map_or(&at.place, |command| &command.place);
        self.push(&format!("agents.{name}"), place, Some(name.clone()), shown, words);
        for (variable, value) in agent.env.iter().flat_map(|env| &env.value.0) {
            let shown = format!("{variable}={}", quoted([&value.value]));
            let words = vec![variable.clone(), value.value.clone()];
            self.push(&format!("agents.{name}.env"), &value.place, Some(name.clone()), shown, words);
        }
    }

    /// What loosens the hold on agents is approved with the commands it lets run.
    fn sandbox(&mut self, raw: &Raw) {
        let Some(sandbox) = raw.sandbox.as_ref().map(|at| &at.value) else { return };
        if let Some(mode) = sandbox.mode.as_ref().filter(|mode| mode.value == SandboxMode::Off) {
            self.push("sandbox.mode", &mode.place, None, "off".into(), vec!["off".into()]);
        }
        for folder in sandbox.write.iter().flat_map(|list| &list.value) {
            let words = vec![folder.value.0.clone()];
            self.push("sandbox.write", &folder.place, None, folder.value.0.clone(), words);
        }
    }

    fn shell(&mut self, what: &str, place: &Place, command: &str) {
        self.push(what, place, None, command.to_owned(), vec![command.to_owned()]);
    }

    fn push(&mut self, what: &str, place: &Place, agent: Option<AgentName>, shown: String, words: Vec<String>) {
        let place = format!("{}:{}", place.file, place.line);
        self.entries.push(Entry { what: what.to_owned(), place, agent, words, shown });
    }
}

/// Words as a shell would need them written.
fn quoted<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    words.into_iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}
