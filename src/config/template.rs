//! The `agents.toml` that `standup init` writes.
//!
//! **Invariant:** it reads as what it says, whatever was found. Must not know: how things are found.

use toml_edit::Value;

use super::document;
use crate::model::name::AgentName;
use crate::model::settings::{CheckSettings, Settings};

/// What `standup init` found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Agents that can be run, the preferred one first.
    pub agents: Vec<FoundAgent>,
    /// Checks of the project, see [`super::detect::detect_checks`].
    pub checks: Vec<CheckSettings>,
    /// What a fresh worktree needs, see [`super::detect::detect_setup`].
    pub setup: Vec<String>,
}

/// An agent that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAgent {
    /// Its name in the file.
    pub name: AgentName,
    /// `claude`, `codex`, `generic` or one of the user's adapters.
    pub adapter: AgentName,
    /// The program and its first arguments.
    pub command: Vec<String>,
}

/// The file, with remarks; everything that is commented out shows its default.
#[must_use]
pub fn template(found: &Found) -> String {
    let default = Settings::default();
    let mut out = String::from("#:schema https://standup.invalid/agents.schema.json\n");
    out += "# How agents work on this repository. `standup config schema` prints every key.\n";
    out += "# Commands in here run only after `standup trust`; a change asks again.\nschema = 1\n\n";
    out += "# base = \"main\"          # attempts start here; default: origin/HEAD, else the current branch\n";
    match found.agents.as_slice() {
        [] => out += "# agent = \"claude\"       # takes the tasks that name none\n",
        [first, ..] => out += &format!("agent = {}  # takes the tasks that name none\n", text(first.name.as_str())),
    }
    out += "\n[worktrees]\n# copy = [\".env\"]         # untracked files that every worktree needs\n";
    out += "# link = [\"node_modules\"]\n";
    out += &setup(&found.setup);
    let wip = &default.wip;
    let shown = |limit: crate::model::settings::Limit| limit.max().map_or(String::new(), |n| n.to_string());
    out += &format!("\n[wip]\nbuild = {}   # attempts at once, waiting ones included\n", shown(wip.build));
    out += &format!(
        "review = {}  # finished and waiting for you; full means that nothing new starts\n",
        shown(wip.review)
    );
    out += "# weight = { own = 2 }    # what a task of a mode counts in build; the others count 1\n";
    let rules = &default.check_in;
    out += &format!(
        "\n[check_in]\nevery = \"{}\"\n# nudges = {}\n# grace = \"{}\"\n",
        rules.every, rules.nudges, rules.grace
    );
    out += &format!("\n[limits]\n# wall_clock = \"{}\"\n", default.limits.wall_clock);
    out += &format!("# red_verdicts = {}       # in a row, then you are asked\n", default.limits.red_verdicts);
    out += "# tokens = 4_000_000      # as the agent's own logs count them\n";
    out += &checks(&found.checks);
    out += "\n[boundaries]\noff_limits = []           # for example [\".github/**\"]\n";
    out += "\n[merge]\n# strategy = \"squash\"     # squash | merge | rebase\n# require = [\"green\", \"approved\"]\n";
    out += &agents(&found.agents);
    out
}

fn setup(commands: &[String]) -> String {
    if commands.is_empty() {
        return "# setup = [\"npm ci\"]      # must pass before the agent starts\n".to_owned();
    }
    let commands: toml_edit::Array = commands.iter().map(String::as_str).collect();
    format!("setup = {}  # must pass before the agent starts\n", Value::from(commands))
}

fn checks(checks: &[CheckSettings]) -> String {
    let mut out = String::from("\n# What proves the work, run in each worktree.\n");
    if checks.is_empty() {
        out += "# None was found; work without checks reaches review as unverified.\n";
        out += "# [[verify.check]]\n# name = \"test\"\n# run = \"make test\"\n";
        return out;
    }
    for (n, check) in checks.iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        out += &format!("{gap}[[verify.check]]\n{}", document::check(check));
    }
    out
}

fn agents(agents: &[FoundAgent]) -> String {
    if agents.is_empty() {
        return "\n# No agent was found on PATH. Uncomment what you install.\n\
                # [agents.claude]\n# adapter = \"claude\"\n# command = [\"claude\"]\n\n\
                # [agents.codex]\n# adapter = \"codex\"\n# command = [\"codex\"]\n"
            .to_owned();
    }
    let mut out = String::new();
    for agent in agents {
        let command: toml_edit::Array = agent.command.iter().map(String::as_str).collect();
        out += &format!("\n[agents.{}]\nadapter = {}\n", agent.name, text(agent.adapter.as_str()));
        out += &format!("command = {}\n# args = []               # after the adapter's own\n", Value::from(command));
        out += "# max = 2                 # at once\n";
    }
    out
}

fn text(text: &str) -> Value {
    Value::from(text)
}
