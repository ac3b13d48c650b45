//! Running the checks of an attempt, bound to the bytes they ran on.

use std::path::PathBuf;
use std::sync::Arc;

use crate::agent::message::{Red, red_checks};
use crate::git::GitError;
use crate::git::shadow::Against;
use crate::model::action::Outcome;
use crate::model::astray::Astray;
use crate::model::attempt::DiffStat;
use crate::model::id::{ActionId, AttemptId, CheckRun};
use crate::model::input::{Input, Observation};
use crate::model::name::{Oid, matching};
use crate::model::settings::CheckSettings;
use crate::model::verdict::{CheckOutcome, Verdict, VerdictOutcome};
use crate::verify::{self, Job};

use super::super::environment;
use super::super::world::{Look, World};
use super::prepare::end_marked;
use super::{blocking, chain};

/// How many paths that are off-limits are told: the first is one too many.
const MAX_TOUCHED: usize = 100;

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
    let Some(look) = world.look(attempt) else {
        return failed("the worktree cannot be looked into");
    };
    let cancel = world.begin_checks(attempt, action);
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
    let (seen, touched) = blocking(move || (look(&for_work, attempt), off_limits(&for_work, attempt))).await;
    for seen in seen.into_iter().chain(touched) {
        let _ = world.inputs.send(Input::Observed { attempt, seen }).await;
    }
}

/// What an attempt touches that is off-limits; `None` where nothing is, or nobody can see. Blocks.
fn off_limits(world: &World, attempt: AttemptId) -> Option<Observation> {
    let patterns = world.off_limits(attempt);
    let look = world.look(attempt).filter(|_| !patterns.is_empty())?;
    let tip = world.place.repo.resolve_base(&world.place.git, Some(&look.base_name)).ok().map(|b| b.oid);
    let changes = look.shadow.changed_paths(&Against { base: look.base.clone(), tip });
    let changes = changes.inspect_err(|error| tracing::info!(%attempt, %error, "cannot list what changed")).ok()?;
    let paths = changes.iter().flat_map(|c| std::iter::once(&c.path).chain(&c.from)).map(PathBuf::as_path);
    let touched = matching(&patterns, paths);
    let paths = touched.into_iter().take(MAX_TOUCHED).map(|path| path.to_string_lossy().into_owned()).collect();
    Some(Observation::OffLimits { paths })
}

/// What differs in an attempt's worktree from its base, and whether its work lies on its branch,
/// where that can be seen. Blocks.
pub(in super::super) fn look(world: &World, attempt: AttemptId) -> Vec<Observation> {
    let Some(look) = world.look(attempt) else { return Vec::new() };
    let seen = difference(world, &look).and_then(|(diff, tree)| {
        let astray = look.shadow.strayed(&look.branch, diff.dirty)?;
        let astray = astray.map(|head| Astray::OffBranch {
            on: head.branch,
            doing: head.in_progress.map(|doing| doing.as_str().to_owned()),
        });
        Ok(vec![Observation::Diff { diff, tree }, Observation::Astray { astray }])
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

fn difference(world: &World, look: &Look) -> Result<(DiffStat, Option<Oid>), GitError> {
    // A base that is gone since, or was never a branch, is behind nothing.
    let tip = world.place.repo.resolve_base(&world.place.git, Some(&look.base_name)).ok().map(|b| b.oid);
    let stat = look.shadow.status(&Against { base: look.base.clone(), tip })?;
    let diff = DiffStat {
        files: stat.files,
        insertions: stat.insertions,
        deletions: stat.deletions,
        commits: stat.commits,
        dirty: stat.dirty,
        ahead: stat.ahead,
        behind: stat.behind,
        base_at: Some(stat.base_at),
    };
    Ok((diff, Some(stat.tree)))
}
