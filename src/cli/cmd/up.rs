//! `standup up`: start the supervisor, and tasks while there is room.

use super::trust;
use crate::board::{text, view};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::config::CommandSet;
use crate::git::GitError;
use crate::model::board::Task;
use crate::model::input::Command;
use crate::model::task::Column;
use crate::policy::bases;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings::{self, Loaded};

/// Start the supervisor, and tasks while WIP limits allow
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}

pub(in crate::cli) fn run(_: Args, ctx: &Context) -> Result<Code, Failure> {
    require_ready(ctx)?;
    ctx.command(Command::Dispatch { on: true }, Vec::new())?;
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    let doc = view::status(&seen.board, &scene);
    if ctx.ui.json {
        ctx.ui.json(&crate::board::doc::Document::new("status", doc))?;
    } else {
        ctx.ui.answer(&text::status(&doc, scene.now, &ctx.ui))?;
    }
    Ok(Code::Ok)
}

/// Asks for the approval that is missing, where there is somebody to ask.
fn approved_now(ctx: &Context, place: &Place, commands: &CommandSet) -> Result<bool, Failure> {
    if !ctx.ui.can_ask() || !trust::ask(ctx, commands)? {
        return Ok(false);
    }
    trust::approve(ctx, place, commands)?;
    Ok(true)
}

/// What must hold before anything is started: settings that can be read, commands that were
/// approved, and something to start from.
pub(in crate::cli) fn require_ready(ctx: &Context) -> Result<(), Failure> {
    let wanted = bases::wanted(&ctx.seen()?.board);
    match require_base(ctx, &require_approved(ctx)?, None)? {
        // Each that has a base of its own is judged by that, when its turn comes.
        Err(error) if error.is_missing_base() && !wanted.is_empty() && !wanted.contains(&None) => Ok(()),
        found => Ok(found?),
    }
}

/// The same, for one task.
pub(in crate::cli) fn require_ready_for(ctx: &Context, task: &Task) -> Result<(), Failure> {
    // What goes on in its worktree starts from there.
    let goes_on = task.column != Column::Backlog && task.attempt().is_some_and(|attempt| attempt.base_oid.is_some());
    if goes_on { require_approved(ctx).map(|_| ()) } else { require_ready_anew(ctx, task) }
}

/// The same, for a new attempt of a task.
pub(in crate::cli) fn require_ready_anew(ctx: &Context, task: &Task) -> Result<(), Failure> {
    let loaded = require_approved(ctx)?;
    match require_base(ctx, &loaded, task.spec.base.as_deref())? {
        Err(error @ (GitError::MissingBase { .. } | GitError::DetachedNoBase { .. })) => {
            Err(Failure::from(error).hint(format!("standup edit {} --base main    # for this one alone", task.id)))
        }
        found => Ok(found?),
    }
}

fn require_approved(ctx: &Context) -> Result<Loaded, Failure> {
    let place = ctx.place()?;
    let loaded = surroundings::look(place)?;
    if loaded.trusted || approved_now(ctx, place, &loaded.commands)? {
        return Ok(loaded);
    }
    // Nothing can be approved there, nor be read that was: that comes first.
    place.layout.prepare()?;
    let text = "the commands of agents.toml are not approved, so nothing may be started";
    Err(Failure::new(Code::Policy, text).hint("standup trust"))
}

fn require_base(ctx: &Context, loaded: &Loaded, own: Option<&str>) -> Result<Result<(), GitError>, Failure> {
    let place = ctx.place()?;
    let wanted = own.or(loaded.effective.settings.base.as_deref());
    Ok(place.repo.resolve_base(&place.git, wanted).map(|_| ()))
}
