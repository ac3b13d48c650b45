//! Making a worktree: fence, checkout, setup. A failure leaves nothing but its words.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use crate::git::worktree::{self, Created, Plan, Recovered};
use crate::git::{GitError, Site, grant};
use crate::model::action::{Action, Outcome};
use crate::model::id::AttemptId;
use crate::os::failpoint;
use crate::os::file;
use crate::os::process;
use crate::os::run::Run;
use crate::store::{fence, layout};

use super::super::environment;
use super::super::world::World;
use super::chain;

/// The end of a setup command's output that an error shows, in bytes.
const TAIL: usize = 1_500;

/// As much of what setup commands print is kept, in bytes.
const LOG_MAX: usize = 4 << 20;

/// Carries out [`Action::Prepare`].
pub(super) fn prepare(world: &World, attempt: AttemptId, action: &Action) -> Outcome {
    let Action::Prepare { branch, worktree, base, agent } = action else {
        return failed("worktree", "not an order to prepare");
    };
    if let Err(error) = world.place.layout.prepare().and_then(|()| fence_for(world, attempt)) {
        return failed("worktree", &chain(&error));
    }
    failpoint::hit("prepare.fenced");
    let settings = &world.loaded().effective.settings;
    let wanted = base.as_deref().or(settings.base.as_deref());
    let start = match world.place.repo.resolve_base(&world.place.git, wanted) {
        Ok(start) => start,
        Err(error) => return git_failed(&error),
    };
    let mut plan = Plan {
        path: worktree.clone(),
        branch: branch.clone(),
        base: start.oid.clone(),
        reason: format!("standup:{attempt}"),
        copy: settings.worktrees.copy.clone(),
        link: settings.worktrees.link.clone(),
        workers: None,
        full_checkout: false,
        filters: world.loaded().filters.clone(),
        lock_dir: world.place.layout.state_dir().to_owned(),
        shadow_dir: world.place.layout.shadow_dir(attempt),
    };
    let created = match make(world, attempt, &mut plan) {
        Ok(created) => created,
        Err(error @ GitError::BranchExists { .. }) => return Outcome::BranchTaken { error: chain(&error) },
        Err(error) => return git_failed(&error),
    };
    let ports = match world.take_ports(attempt) {
        Ok(ports) => ports,
        Err(why) => return undo(world, &plan, &created, "worktree", &why),
    };
    if let Err(why) = set_up(world, attempt, &created, &ports) {
        return undo(world, &plan, &created, "setup", &why);
    }
    // Agents may commit only where these folders exist.
    if let Err(error) = grant::writable_roots(&world.place.repo, &created.site, &created.branch) {
        return undo(world, &plan, &created, "worktree", &chain(&error));
    }
    let takes_id = world.loaded().agents.get(agent).is_some_and(|a| !a.adapter.launch.session.is_empty());
    let session = takes_id.then(|| uuid::Uuid::new_v4().to_string());
    let (base_oid, notes) = (created.base_oid.clone(), created.notes.clone());
    world.keep_look(attempt, Arc::new(created.shadow), &base_oid, &start.name);
    failpoint::hit("prepare.done");
    Outcome::Prepared { base_oid, base: start.name, session, ports, notes }
}

fn fence_for(world: &World, attempt: AttemptId) -> Result<(), crate::store::StoreError> {
    fence::raise(&world.place.layout.fence(attempt.task), attempt.no).map(|_| ())
}

/// What a killed try left under these names is taken up if it is whole, and taken back if not.
/// It stays where it began, though the base may have moved since.
fn make(world: &World, attempt: AttemptId, plan: &mut Plan) -> Result<Created, GitError> {
    end_marked(&marker(world, attempt));
    let (git, repo) = (&world.place.git, &world.place.repo);
    let base = plan.base.clone();
    if let Some(begun) = worktree::begun_at(git, repo, plan)? {
        plan.base = begun;
    }
    match worktree::recover(git, repo, plan)? {
        Recovered::Whole(created) => Ok(*created),
        Recovered::Nothing => {
            plan.base = base;
            worktree::create(git, repo, plan)
        }
    }
}

fn set_up(world: &World, attempt: AttemptId, created: &Created, ports: &[u16]) -> Result<(), String> {
    let loaded = world.loaded();
    let rules = &loaded.effective.settings.worktrees;
    if rules.setup.is_empty() {
        return Ok(());
    }
    let root = &created.site.worktree;
    let log = world.place.layout.logs_dir().join(format!("{}-{}-setup.log", attempt.task, attempt.no));
    let marker = marker(world, attempt);
    let mut env = environment::of_checks(world, attempt, root, ports);
    env.push(marker.clone());
    let mut written = Vec::new();
    for command in &rules.setup {
        written.extend_from_slice(format!("$ {command}\n").as_bytes());
        let run = Run::new("/bin/sh").args(["-c", command]).cwd(root).clear_env();
        let run = env.iter().fold(run, |run, (name, value)| run.env(name, value));
        let ended = run.timeout(rules.setup_timeout.to_std()).stream(|_, chunk| {
            let room = LOG_MAX.saturating_sub(written.len());
            written.extend_from_slice(&chunk[..chunk.len().min(room)]);
            !world.is_stopping(attempt)
        });
        end_marked(&marker);
        let ended = ended.map_err(|e| chain(&e))?;
        if let Err(error) = file::write_atomic(&log, &written, 0o600) {
            tracing::warn!(%error, "cannot keep the log of a setup");
        }
        if !ended.is_success() {
            let how = if ended.timed_out {
                format!("took longer than {}", rules.setup_timeout)
            } else if ended.aborted {
                "was stopped".to_owned()
            } else {
                ended.code.map_or_else(|| "was ended by a signal".into(), |code| format!("ended with {code}"))
            };
            let text = String::from_utf8_lossy(&written).into_owned();
            return Err(format!("`{command}` {how}\n{}\nwhole log: {}", end_of(&text), log.display()));
        }
    }
    Ok(())
}

/// What the processes of an attempt's setup are known by, also to a later supervisor.
fn marker(world: &World, attempt: AttemptId) -> (OsString, OsString) {
    ("STANDUP_SETUP".into(), format!("{}:{attempt}", world.place.layout.key()).into())
}

/// Ends every process with this in its environment: what a setup command left running would write
/// into the worktree of an agent, and what a killed supervisor left running into that of the next.
pub(super) fn end_marked((name, value): &(impl AsRef<OsStr>, impl AsRef<OsStr>)) {
    let marker = format!("{}={}", name.as_ref().to_string_lossy(), value.as_ref().to_string_lossy());
    for left in process::marked(&marker) {
        let _ = left.signal(rustix::process::Signal::KILL);
    }
}

fn end_of(text: &str) -> String {
    let start = text.len().saturating_sub(TAIL);
    let start = (start..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[start..].trim().to_owned()
}

fn undo(world: &World, plan: &Plan, created: &Created, stage: &str, why: &str) -> Outcome {
    match worktree::discard(&world.place.git, &world.place.repo, plan, &created.shadow) {
        Ok(()) => failed(stage, why),
        Err(error) => failed(stage, &format!("{why}\nits worktree is kept: {}", chain(&error))),
    }
}

fn failed(stage: &str, error: &str) -> Outcome {
    Outcome::Failed { stage: stage.to_owned(), error: error.to_owned() }
}

fn git_failed(error: &GitError) -> Outcome {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    failed("worktree", &format!("{}{hint}", chain(error)))
}

/// Where the worktree of an attempt lies, and its git folder.
pub(in super::super) fn site_of(world: &World, worktree: &Path) -> Site {
    worktree::site_of(&world.place.repo, worktree)
}

/// Our folder in a worktree, made anew where an agent removed it.
pub(super) fn run_dir(worktree: &Path) -> std::io::Result<std::path::PathBuf> {
    let dir = layout::run_dir(worktree);
    for sub in [layout::outbox(worktree), layout::inbox(worktree)] {
        std::fs::create_dir_all(sub)?;
    }
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, "*\n")?;
    }
    Ok(dir)
}
