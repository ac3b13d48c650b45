//! `standup up`: start the supervisor, and tasks while there is room.

use super::trust;
use crate::board::{text, view};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::config::CommandSet;
use crate::git::GitError;
use crate::model::input::Command;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings;

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
    let place = ctx.place()?;
    let loaded = surroundings::look(place)?;
    if !loaded.trusted && !approved_now(ctx, place, &loaded.commands)? {
        let text = "the commands of agents.toml are not approved, so nothing may be started";
        return Err(Failure::new(Code::Policy, text).hint("standup trust"));
    }
    let base = loaded.effective.settings.base.as_deref();
    match place.repo.resolve_base(&place.git, base) {
        Ok(_) => Ok(()),
        // Tasks may name a base of their own.
        Err(GitError::DetachedNoBase { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
