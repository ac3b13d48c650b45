//! Making a worktree: fence, checkout, setup. A failure leaves nothing but its words.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::git::worktree::{self, Created, Plan, Recovered};
use crate::git::{GitError, Repository, Site, grant};
use crate::model::action::{Action, Outcome};
use crate::model::id::{AttemptId, TaskId};
use crate::os::failpoint;
use crate::os::process;
use crate::store::fence;

use super::super::world::{Look, World};
use super::chain;

mod commands;

use commands::Bench;

/// Carries out [`Action::Prepare`].
pub(super) fn prepare(world: &World, attempt: AttemptId, action: Action) -> Outcome {
    let Action::Prepare { branch, worktree, base, agent, at, ports } = action else {
        return failed("worktree", "not an order to prepare");
    };
    if let Err(error) = world.place.layout.prepare().and_then(|()| fence_for(world, attempt)) {
        return failed("worktree", &chain(&error));
    }
    failpoint::hit("prepare.fenced");
    // One reading for all of it: what runs is what was approved together.
    let loaded = world.loaded();
    if !loaded.trusted {
        return failed("worktree", "the commands of agents.toml are no longer approved");
    }
    let (git, settings) = (&world.place.git, &loaded.effective.settings);
    let repo = match world.place.repo.renewed(git) {
        Ok(repo) => repo,
        Err(error) => return git_failed(attempt.task, &error),
    };
    let wanted = base.as_deref().or(settings.base.as_deref());
    let start = match repo.resolve_base(git, wanted) {
        Ok(start) => start,
        Err(error) => return git_failed(attempt.task, &error),
    };
    let mut plan = Plan {
        path: worktree,
        branch,
        base: start.oid.clone(),
        reason: format!("standup:{attempt}"),
        owner: format!("standup {} {attempt} {}", world.place.layout.key(), at.0),
        copy: settings.worktrees.copy.clone(),
        link: settings.worktrees.link.clone(),
        workers: None,
        full_checkout: false,
        filters: loaded.filters.clone(),
        lock_dir: world.place.layout.state_dir().to_owned(),
        shadow_dir: world.place.layout.shadow_dir(attempt),
    };
    let created = match make(world, &repo, attempt, &mut plan) {
        Ok(Begun::Whole(created)) => created,
        Ok(Begun::TakenBack { why }) => {
            let (stage, why) = why.split_once('\n').unwrap_or(("worktree", &why));
            return failed(stage, why);
        }
        Err(error @ GitError::BranchExists { .. }) => return Outcome::BranchTaken { error: chain(&error) },
        Err(error) => return git_failed(attempt.task, &error),
    };
    let bench = Bench { world, loaded: &loaded, attempt, worktree: &created.site.worktree, ports: &ports };
    if let Err(why) = bench.set_up() {
        let wrong = bench.tear_down().map(|wrong| format!("\n{wrong}")).unwrap_or_default();
        return undo(world, &repo, &plan, &created, "setup", &format!("{why}{wrong}"));
    }
    // Agents may commit only where these folders exist.
    if let Err(error) = grant::writable_roots(&repo, &created.site, &created.branch) {
        return undo(world, &repo, &plan, &created, "worktree", &chain(&error));
    }
    let takes_id = loaded.agents.get(&agent).is_some_and(|a| !a.adapter.launch.session.is_empty());
    let session = takes_id.then(|| uuid::Uuid::new_v4().to_string());
    let (base_oid, mut notes) = (created.base_oid.clone(), created.notes.clone());
    notes.extend(missing_changes(world, &repo, &plan));
    let (shadow, base, branch) = (Arc::new(created.shadow), base_oid.clone(), created.branch);
    world.keep_look(attempt, Look { shadow, base, base_name: start.name.clone(), branch });
    failpoint::hit("prepare.done");
    Outcome::Prepared { base_oid, base: start.name, session, ports, notes }
}

/// Carries out [`Action::TearDown`].
pub(super) fn tear_down(world: &World, attempt: AttemptId, worktree: &Path, ports: &[u16]) -> Outcome {
    let bench = Bench { world, loaded: &world.loaded(), attempt, worktree, ports };
    Outcome::TornDown { wrong: bench.tear_down() }
}

/// What somebody who changed the main checkout may expect, and does not get.
fn missing_changes(world: &World, repo: &Repository, plan: &Plan) -> Option<String> {
    repo.main()?;
    let look = || {
        let dirty = repo.is_dirty(&world.place.git, &plan.shadow_dir.join("main"));
        dirty.inspect_err(|error| tracing::info!(%error, "cannot look for changes in main")).unwrap_or(false)
    };
    let dirty = world.is_main_dirty(look);
    dirty.then(|| "The main checkout has uncommitted changes; they are not in the base, so not here.".to_owned())
}

fn fence_for(world: &World, attempt: AttemptId) -> Result<(), crate::store::StoreError> {
    fence::raise(&world.place.layout.fence(attempt.task), attempt.no).map(|_| ())
}

/// What there is of a worktree.
enum Begun {
    Whole(Box<Created>),
    /// It failed earlier, by the name of the stage in the first line.
    TakenBack {
        why: String,
    },
}

/// What a killed try left under these names is taken up if it is whole, and taken back if not.
/// It stays where it began, though the base may have moved since.
fn make(world: &World, repo: &Repository, attempt: AttemptId, plan: &mut Plan) -> Result<Begun, GitError> {
    commands::end_left(world, attempt);
    let git = &world.place.git;
    let base = plan.base.clone();
    if let Some(begun) = worktree::begun_at(git, repo, plan)? {
        plan.base = begun;
    }
    match worktree::recover(git, repo, plan)? {
        Recovered::Whole(created) => Ok(Begun::Whole(created)),
        Recovered::TakenBack { why } => Ok(Begun::TakenBack { why }),
        Recovered::Nothing => {
            plan.base = base;
            worktree::create(git, repo, plan).map(|created| Begun::Whole(Box::new(created)))
        }
    }
}

/// Ends every process with this in its environment: what a setup command left running would write
/// into the worktree of an agent, and what a killed supervisor left running into that of the next.
pub(super) fn end_marked((name, value): &(impl AsRef<OsStr>, impl AsRef<OsStr>)) {
    let marker = format!("{}={}", name.as_ref().to_string_lossy(), value.as_ref().to_string_lossy());
    for left in process::marked(&marker) {
        let _ = left.signal(rustix::process::Signal::KILL);
    }
}

fn undo(world: &World, repo: &Repository, plan: &Plan, created: &Created, stage: &str, why: &str) -> Outcome {
    match worktree::discard(&world.place.git, repo, plan, &created.shadow, &format!("{stage}\n{why}")) {
        Ok(()) => failed(stage, why),
        Err(error @ (GitError::Remains { .. } | GitError::BranchHeld { .. })) => {
            failed(stage, &format!("{why}\n{}", chain(&error)))
        }
        Err(error) => failed(stage, &format!("{why}\nits worktree is kept: {}", chain(&error))),
    }
}

fn failed(stage: &str, error: &str) -> Outcome {
    Outcome::Failed { stage: stage.to_owned(), error: error.to_owned() }
}

fn git_failed(task: TaskId, error: &GitError) -> Outcome {
    let hint = match error {
        // A task may have a base of its own.
        GitError::DetachedNoBase { .. } => Some(format!("standup edit {task} --base main")),
        error => error.hint(),
    };
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    failed("worktree", &format!("{}{hint}", chain(error)))
}

/// Where the worktree of an attempt lies, and its git folder.
pub(in super::super) fn site_of(world: &World, worktree: &Path) -> Site {
    worktree::site_of(&world.place.repo, worktree)
}
