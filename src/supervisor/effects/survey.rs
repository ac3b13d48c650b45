//! Seeing where a worktree stands, and what changed since it stood elsewhere; reading a plan that
//! an agent left in a file.

use std::path::Path;
use std::sync::Arc;

use crate::git::shadow::Stand;
use crate::model::action::Outcome;
use crate::model::id::AttemptId;
use crate::model::lease::{Changes, MAX_NAMED, MAX_PLAN, Mark};
use crate::store::layout;
use crate::watch::own;

use super::super::world::{Look, World};
use super::{blocking, chain};

/// The file, in the attempt's own folder, for a plan of an agent that cannot say it.
const PLAN: &str = "plan.md";

/// Carries out an order to look.
pub(super) async fn survey(world: &Arc<World>, attempt: AttemptId, since: Option<Mark>) -> Outcome {
    let Some(look) = world.look(attempt) else {
        return failed("the worktree cannot be looked into".into());
    };
    blocking(move || match look.shadow.stand() {
        Ok(stand) => {
            let changes = since.and_then(|mark| changes(&look, &mark, &stand));
            Outcome::Surveyed { mark: stand.mark, changes }
        }
        Err(error) => failed(chain(&error)),
    })
    .await
}

fn failed(error: String) -> Outcome {
    Outcome::Failed { stage: "look".into(), error }
}

fn changes(look: &Look, mark: &Mark, now: &Stand) -> Option<Changes> {
    let since = look.shadow.since(mark, now, MAX_NAMED);
    since.inspect_err(|error| tracing::info!(%error, "cannot tell what changed")).ok()
}

/// Where an agent may leave its plan.
pub(in super::super) fn plan_file(worktree: &Path) -> std::path::PathBuf {
    layout::run_dir(worktree).join(PLAN)
}

/// The plan that an agent left in its file, if it did.
pub(in super::super) fn plan_in(worktree: &Path) -> Option<String> {
    let bytes = own::read(worktree, PLAN, MAX_PLAN)?;
    let text = crate::model::text::clean_lines(&String::from_utf8_lossy(&bytes));
    Some(text).filter(|text| !text.trim().is_empty())
}
