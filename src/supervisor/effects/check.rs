//! Running the checks of an attempt, bound to the bytes they ran on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::agent::message::{Red, red_checks};
use crate::git::GitError;
use crate::git::shadow::{self, Against};
use crate::model::action::Outcome;
use crate::model::astray::Astray;
use crate::model::attempt::DiffStat;
use crate::model::id::{ActionId, AttemptId, CheckRun};
use crate::model::input::{Input, Observation};
use crate::model::lease::Mark;
use crate::model::name::{Pattern, matching};
use crate::model::settings::CheckSettings;
use crate::model::verdict::{CheckOutcome, Verdict, VerdictOutcome};
use crate::verify::{self, Job};

use super::super::environment;
use super::super::hosts::Ask;
use super::super::world::{Look, World};
use super::prepare::end_marked;
use super::{blocking, chain, hidden};

/// How many paths that are off-limits are told: the first is one too many.
const MAX_TOUCHED: usize = 100;

/// Runs of one attempt whose outputs are kept: while its agent works there may be one every minute.
const KEPT_RUNS: usize = 20;

/// The particulars of an order to check.
pub(super) struct Wanted {
    pub(super) run: CheckRun,
    pub(super) worktree: PathBuf,
    pub(super) own: Vec<CheckSettings>,
    pub(super) ports: Vec<u16>,
}

/// Carries out an order to check.
pub(super) async fn check(world: &Arc<World>, attempt: AttemptId, action: ActionId, wanted: Wanted) -> Outcome {
    let Ok(_place) = world.checking.acquire().await else {
        return failed("the supervisor is ending");
    };
    let cancel = world.begin_checks(action);
    if cancel.load(Ordering::Relaxed) {
        return failed("they were dropped before they began");
    }
    let Some(look) = world.look(attempt) else {
        return failed("the worktree cannot be looked into");
    };
    let for_work = world.clone();
    let (verdict, feedback) = blocking(move || {
        let Wanted { run, worktree, own, ports } = wanted;
        let mut checks = for_work.loaded().effective.settings.verify.checks.clone();
        checks.extend(own);
        let job = Job {
            worktree: worktree.clone(),
            checks: checks.clone(),
            env: environment::of_checks(&for_work, attempt, &worktree, &ports),
            log_dir: for_work.place.layout.check_dir(attempt, run),
            marker: ("STANDUP_CHECK".into(), format!("{}:{attempt}-{run}", for_work.place.layout.key())),
        };
        end_marked(&job.marker);
        forget_old(&for_work, attempt);
        let shadow = look.shadow.clone();
        let tree = move || shadow.tree_hash().map_err(|e| chain(&e));
        let verdict = verify::run(&job, &tree, &cancel, &mut |_| {});
        let feedback = if verdict.outcome == VerdictOutcome::Red { feedback(&verdict, &checks) } else { String::new() };
        (verdict, feedback)
    })
    .await;
    observe(world, attempt).await;
    Outcome::Checked { verdict, feedback }
}

/// Removes what the oldest runs of an attempt wrote. What cannot be removed lies there.
fn forget_old(world: &World, attempt: AttemptId) {
    let Some(dir) = world.place.layout.check_dir(attempt, CheckRun(0)).parent().map(PathBuf::from) else { return };
    let number = |entry: &std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut runs: Vec<(u64, PathBuf)> = entries.filter_map(|e| Some((number(&e)?, e.path()))).collect();
    runs.sort();
    runs.truncate(runs.len().saturating_sub(KEPT_RUNS));
    for (_, old) in runs {
        let _ = std::fs::remove_dir_all(old);
    }
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { stage: "checks".into(), error: error.to_owned() }
}

/// The failures as one message for the agent.
fn feedback(verdict: &Verdict, checks: &[CheckSettings]) -> String {
    let red: Vec<_> = verdict.checks.iter().filter(|c| c.outcome != CheckOutcome::Pass).collect();
    let failures: Vec<Vec<String>> = red
        .iter()
        .map(|c| {
            let one = |f: &crate::model::verdict::Failure| match f.message.lines().next() {
                Some(line) if !line.is_empty() => format!("{}: {line}", f.test),
                _ => f.test.clone(),
            };
            c.failures.iter().map(one).collect()
        })
        .collect();
    let run_of =
        |name: &crate::model::name::CheckName| checks.iter().find(|c| c.name == *name).map_or("", |c| c.run.as_str());
    let reds: Vec<Red<'_>> = red
        .iter()
        .zip(&failures)
        .map(|(c, failures)| Red {
            check: c.name.as_str(),
            run: run_of(&c.name),
            why: &c.why,
            failures,
            output: &c.tail,
        })
        .collect();
    red_checks(&reds)
}

/// Looks into an attempt's worktree and tells the loop what differs from its base.
pub(in super::super) async fn observe(world: &Arc<World>, attempt: AttemptId) {
    let for_work = world.clone();
    let seen = blocking(move || {
        let Some(look) = for_work.look(attempt) else { return Vec::new() };
        let patterns = for_work.off_limits(attempt);
        let found = find(&for_work, &look);
        let touched = off_limits(&for_work, attempt, &look, found.as_ref().ok(), patterns);
        let mut seen = told(attempt, &look, found);
        seen.extend(touched);
        seen.extend(changed_while_planning(&for_work, attempt, &look));
        seen
    });
    for seen in seen.await {
        if let (Observation::Diff { tree: Some(tree), .. }, Some(host)) = (&seen, world.host(attempt)) {
            host.offer(Ask::Tree(tree.clone()));
        }
        let _ = world.inputs.send(Input::Observed { attempt, seen }).await;
    }
}

/// What an attempt touches of what was off-limits before its worktree was `found` to be so; `None`
/// where nobody can see. Blocks.
fn off_limits(
    world: &World,
    attempt: AttemptId,
    look: &Look,
    found: Option<&shadow::DiffStat>,
    patterns: Vec<Pattern>,
) -> Option<Observation> {
    if patterns.is_empty() {
        return Some(Observation::OffLimits { paths: Vec::new() });
    }
    let changes = look.shadow.changed_paths(found?);
    let changes = changes.inspect_err(|error| tracing::info!(%attempt, %error, "cannot list what changed")).ok()?;
    let paths = changes.iter().flat_map(|c| std::iter::once(&c.path).chain(&c.from)).map(PathBuf::as_path);
    let hidden = hidden::changed(world, attempt, look, &patterns);
    let touched: BTreeSet<&Path> =
        matching(&patterns, paths).into_iter().chain(hidden.iter().map(PathBuf::as_path)).collect();
    let paths = touched.into_iter().take(MAX_TOUCHED).map(|path| path.to_string_lossy().into_owned()).collect();
    // What was put off-limits meanwhile is looked for by whoever was told of it, and perhaps before.
    (patterns == world.off_limits(attempt)).then_some(Observation::OffLimits { paths })
}

/// What an attempt has changed that shall only plan; `None` where nothing is, or nobody can see. Blocks.
fn changed_while_planning(world: &World, attempt: AttemptId, look: &Look) -> Option<Observation> {
    let tree = world.plans_on(attempt)?;
    let now = look.shadow.stand().ok().filter(|now| now.mark.tree != tree)?;
    let mark = Mark { head: Some(look.base.clone()), tree };
    let changes = look.shadow.since(&mark, &now, MAX_TOUCHED);
    let changes = changes.inspect_err(|error| tracing::info!(%attempt, %error, "cannot tell what changed"));
    let path = |change: String| change.split_once(' ').map_or_else(|| change.clone(), |(_, path)| path.to_owned());
    let paths = changes.map(|changes| changes.paths.into_iter().map(path).collect()).unwrap_or_default();
    Some(Observation::ChangedWhilePlanning { paths })
}

/// What differs in an attempt's worktree from its base, and whether its work lies on its branch,
/// where that can be seen. Blocks.
pub(in super::super) fn look(world: &World, attempt: AttemptId) -> Vec<Observation> {
    world.look(attempt).map_or_else(Vec::new, |look| told(attempt, &look, find(world, &look)))
}

/// What is told of a worktree that was found so.
fn told(attempt: AttemptId, look: &Look, found: Result<shadow::DiffStat, GitError>) -> Vec<Observation> {
    let seen = found.and_then(|found| {
        let astray = look.shadow.strayed(&look.branch, found.dirty)?;
        let astray = astray.map(|head| Astray::OffBranch {
            on: head.branch,
            doing: head.in_progress.map(|doing| doing.as_str().to_owned()),
        });
        let diff = Observation::Diff { diff: difference(&found), tree: Some(found.tree) };
        Ok(vec![diff, Observation::Astray { astray }])
    });
    match seen {
        Ok(seen) => seen,
        Err(GitError::Broken { why, .. }) => vec![Observation::Astray { astray: Some(Astray::Broken { why }) }],
        Err(error) => {
            tracing::info!(%attempt, %error, "cannot look into the worktree");
            Vec::new()
        }
    }
}

/// A look, where HEAD is not the attempt's branch, or was not when it was last looked at
/// (`was_astray`): git moves it without a change that the watcher would see. Blocks.
pub(in super::super) fn look_again(world: &World, attempt: AttemptId, was_astray: bool) -> Vec<Observation> {
    let is_home = |look: &Look| look.shadow.head().is_ok_and(|head| head.branch.as_ref() == Some(&look.branch));
    let is_known = !was_astray && world.look(attempt).is_none_or(|look| is_home(&look));
    if is_known { Vec::new() } else { look(world, attempt) }
}

fn find(world: &World, look: &Look) -> Result<shadow::DiffStat, GitError> {
    // A base that is gone since, or was never a branch, is behind nothing.
    let tip = world.place.repo.resolve_base(&world.place.git, Some(&look.base_name)).ok().map(|b| b.oid);
    look.shadow.status(&Against { base: look.base.clone(), tip })
}

fn difference(found: &shadow::DiffStat) -> DiffStat {
    DiffStat {
        files: found.files,
        insertions: found.insertions,
        deletions: found.deletions,
        commits: found.commits,
        dirty: found.dirty,
        ahead: found.ahead,
        behind: found.behind,
        base_at: Some(found.base_at),
    }
}
