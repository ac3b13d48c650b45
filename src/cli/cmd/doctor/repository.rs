//! Git, the repository, its settings, their approval and the agents.

use crate::agent::adapter::UsageRules;
use crate::agent::launch;
use crate::board::usage::unmeasured_text;
use crate::cli::error::chain;
use crate::git::repo::{Head, RefFormat};
use crate::git::{Git, GitError};
use crate::model::name::AgentName;
use crate::model::rhythm::LimitName;
use crate::model::settings::Limits;
use crate::model::text::shell_word;
use crate::model::usage::Told;
use crate::os::file::FileError;
use crate::policy::untold;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings::{self, FoundAgent, LoadError, Loaded};

use super::super::trust;
use super::Check;

/// The git binary alone.
pub(super) fn git() -> Vec<Check> {
    match Git::find() {
        Ok(git) => vec![version(&git)],
        Err(error) => vec![wrong("git", &error)],
    }
}

pub(super) fn checks(place: &Place) -> Vec<Check> {
    let mut checks = vec![version(&place.git), head(place)];
    checks.extend(peculiar(place));
    match surroundings::load(place) {
        Ok(loaded) => {
            checks.extend(base(place, &loaded));
            checks.extend(settings(place, &loaded));
            checks.extend(loaded.agents.iter().flat_map(|(name, found)| agent(name, found, &loaded)));
        }
        Err(error) => checks.push(unread(&error)),
    }
    checks
}

fn version(git: &Git) -> Check {
    Check::ok("git", format!("{} ({}; {} or newer is needed)", git.version(), git.program().display(), Git::OLDEST))
}

fn wrong(name: &'static str, error: &GitError) -> Check {
    Check::fail(name, chain(error), error.hint().unwrap_or_else(|| "look at it with git status".to_owned()))
}

fn head(place: &Place) -> Check {
    let root = place.root();
    let shown = root.display();
    match place.repo.head(&place.git) {
        Ok(Head::Branch { name, oid }) => Check::ok("repository", format!("{shown}, on {name} at {}", oid.short())),
        Ok(Head::Unborn { name }) => Check::fail(
            "repository",
            format!("{shown}, on {name}, has no commit; agents start from one"),
            "git commit --allow-empty -m start",
        ),
        Ok(Head::Detached { oid }) => Check::warn(
            "repository",
            format!("{shown} is on no branch (at {})", oid.short()),
            "git switch main, or standup config set base main",
        ),
        Err(error) => wrong("repository", &error),
    }
}

/// What is rare, works, and is good to know when something is odd.
fn peculiar(place: &Place) -> Vec<Check> {
    let (git, repo) = (&place.git, &place.repo);
    let mut checks = Vec::new();
    if rustix::fs::access(repo.common_dir(), rustix::fs::Access::WRITE_OK).is_err() {
        let text = format!("{} cannot be written, so no branch or worktree can be made", repo.common_dir().display());
        checks.push(Check::fail("repository", text, "look at its owner, its mode and how it is mounted"));
    }
    if let Ok(Some(_)) = repo.find_reference(git, "refs/heads/standup") {
        let text = "the branch standup is in the way of agents' branches (standup/T7/1-…)";
        checks.push(Check::fail("repository", text, "git branch -m standup OTHER"));
    }
    if let Ok(false) = repo.can_commit(git) {
        let text = "git does not know in whose name to commit, so agents cannot";
        let fix = "git config --global user.name NAME && git config --global user.email ADDRESS";
        checks.push(Check::warn("repository", text, fix));
    }
    let mut note = |text: &str, fix: &str| checks.push(Check::warn("repository", text, fix));
    if repo.is_bare() {
        note(
            "a bare repository: it has no main checkout that agents.toml could be read from",
            "work in a clone of it, or keep settings of your own: standup config paths",
        );
    }
    if repo.is_shallow() {
        note("a shallow clone: where branches part may lie beyond its end", "git fetch --unshallow");
    }
    if let Some(remote) = repo.promisor() {
        let text = format!("a partial clone: files that are missing are fetched from {remote} at checkout");
        note(&text, "stay online while worktrees are made, or: git fetch --refetch --no-filter");
    }
    if repo.ref_format() == RefFormat::Reftable {
        note("references are kept in a reftable: many agents wait for one lock", "git refs migrate --ref-format=files");
    }
    if let Some(operation) = repo.in_progress() {
        let text =
            format!("{} is in progress in the main checkout; agents start from commits only", operation.as_str());
        note(&text, "git status");
    }
    if repo.is_sparse() {
        checks.push(Check::ok("repository", "a sparse checkout: worktrees get the same pattern"));
    }
    if let Ok(Head::Branch { oid, .. }) = repo.head(git)
        && let Ok(submodules) = repo.submodules(git, &oid)
        && !submodules.is_empty()
    {
        let text = format!("{} submodules: they are empty in new worktrees", submodules.len());
        checks.push(Check::warn("repository", text, "[worktrees] setup = [\"git submodule update --init\"]"));
    }
    checks
}

fn unread(error: &LoadError) -> Check {
    let fix = match error {
        LoadError::File(FileError::Unsafe { path, .. }) => {
            format!("look whose it is and who may write it: ls -l {}", shell_word(&path.to_string_lossy()))
        }
        _ => error.hints().into_iter().next().unwrap_or_else(|| "mend the file, then: standup config show".to_owned()),
    };
    Check::fail("settings", chain(error), fix)
}

fn base(place: &Place, loaded: &Loaded) -> Option<Check> {
    // Without a commit there is none, which has been said.
    if matches!(place.repo.head(&place.git), Ok(Head::Unborn { .. })) {
        return None;
    }
    Some(match place.repo.resolve_base(&place.git, loaded.effective.settings.base.as_deref()) {
        Ok(base) => Check::ok("base", format!("{} at {}", base.name, base.oid.short())),
        Err(error) => wrong("base", &error),
    })
}

fn settings(place: &Place, loaded: &Loaded) -> Vec<Check> {
    let settings = &loaded.effective.settings;
    let mut checks = Vec::new();
    let there: Vec<String> =
        surroundings::paths(place).into_iter().filter(|(path, ..)| path.exists()).map(|(_, label, _)| label).collect();
    if there.is_empty() {
        checks.push(Check::warn(
            "settings",
            "there is no agents.toml; the defaults hold, with no agent",
            if place.repo.is_bare() {
                "standup config paths says where your own config.toml lies"
            } else {
                "standup init"
            },
        ));
    } else {
        let (agents, proofs) = (settings.agents.len(), settings.verify.checks.len());
        let text = format!("{}: agents {agents}, checks {proofs}", there.join(", "));
        checks.push(if agents > 0 {
            Check::ok("settings", text)
        } else {
            Check::warn("settings", format!("{text}; without an agent nothing starts"), "standup help config")
        });
        if settings.verify.checks.is_empty() {
            checks.push(Check::warn(
                "settings",
                "no check is configured: work reaches review as unverified",
                "standup help config says how to add [[verify.check]]",
            ));
        }
    }
    let counted = trust::counted(&loaded.commands);
    checks.push(match loaded.trusted {
        _ if loaded.commands.is_empty() => Check::ok("trust", "agents.toml makes nothing run"),
        true => Check::ok("trust", format!("{counted} of agents.toml, approved")),
        false => {
            Check::warn("trust", format!("{counted} of agents.toml, not approved: nothing starts"), "standup trust")
        }
    });
    checks
}

fn agent(name: &AgentName, found: &FoundAgent, loaded: &Loaded) -> Vec<Check> {
    let mut checks = Vec::new();
    match &found.program {
        Ok(program) => {
            let word = shell_word(&program.to_string_lossy());
            let program = program.display();
            checks.push(match (&found.version, &found.unknown_version) {
                (_, Some(version)) => Check::warn(
                    "agent",
                    format!("{name}: {program} {version}, a version standup was not tried with"),
                    format!("standup state TASK --explain shows what is understood of {name}"),
                ),
                (Some(version), None) => Check::ok("agent", format!("{name}: {program} {version}")),
                (None, None) if found.adapter.version.is_some() && !loaded.trusted => {
                    Check::ok("agent", format!("{name}: {program}; its version is asked for once it is approved"))
                }
                (None, None) if found.adapter.version.is_some() => Check::warn(
                    "agent",
                    format!("{name}: {program} did not say a version of {}", found.adapter.name),
                    format!("look at what it is: {word} --version"),
                ),
                (None, None) => Check::ok("agent", format!("{name}: {program}")),
            });
        }
        Err(why) => {
            let fix = "install it, or take its section out of agents.toml";
            let is_default = loaded.effective.settings.agent.as_ref() == Some(name) || loaded.agents.len() == 1;
            let text = format!("{name}: {why}");
            checks.push(if is_default { Check::fail("agent", text, fix) } else { Check::warn("agent", text, fix) });
        }
    }
    checks.extend(unmeasured(name, found, loaded.effective.settings.limits));
    let unenforced =
        launch::plan_unenforced(&found.adapter, &found.settings).filter(|_| !found.adapter.mode.is_empty());
    if let Some(why) = unenforced {
        checks.push(Check::ok("agent", format!("{name}: in mode checkpoint it is only asked to plan first: {why}")));
    }
    if let Some(why) = launch::unconfined(&found.adapter, &found.settings) {
        checks.push(Check::warn(
            "agent",
            format!("{name} is unconfined: its own approvals are skipped by {why}"),
            format!("take {why} out of [agents.{name}] args, unless this machine may be lost"),
        ));
    }
    checks
}

/// Limits that are set and that this agent's logs give nothing to measure by, or too late.
fn unmeasured(name: &AgentName, found: &FoundAgent, limits: Limits) -> Vec<Check> {
    let rules = found.adapter.usage.as_ref();
    let tokens = rules.map(UsageRules::tokens_told).unwrap_or_default();
    let cost = rules.map(UsageRules::cost_told).unwrap_or_default();
    let warn = |(limit, told)| {
        let fix = match (limit, tokens) {
            (LimitName::CostUsd, Told::Always) => "limit tokens as well: standup config set limits.tokens 4000000",
            _ => "standup help config says how an adapter counts",
        };
        Check::warn("limits", unmeasured_text(limit, told, name.as_str()), fix)
    };
    untold(limits, tokens, cost).into_iter().map(warn).collect()
}
