//! `standup show`: one task with all that is known of it.

use crate::board::doc::Document;
use crate::board::{text, view};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::id::TaskId;
use crate::supervisor::journal;
use crate::wire::control::Logged;

/// Show one task: evidence, check-ins, messages, brief and timeline
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    let id = ctx.task(&seen.board, args.task.as_deref())?;
    let brief = ctx.text(&seen.board.tasks[&id].spec.brief)?;
    let log = history(ctx, id)?;
    let doc = view::show(&seen.board, id, &scene, brief, &log)
        .ok_or_else(|| Failure::new(Code::NoTask, format!("there is no task {id}")))?;
    if ctx.ui.json {
        ctx.ui.json(&Document::new("show", doc))?;
    } else {
        ctx.ui.answer(&text::show(&doc, scene.now, &ctx.ui))?;
    }
    Ok(Code::Ok)
}

/// Everything that happened to a task.
fn history(ctx: &Context, id: TaskId) -> Result<Vec<Logged>, Failure> {
    let Some(log) = ctx.log()? else { return Ok(Vec::new()) };
    let mut events = Vec::new();
    journal::each(&log, Some(id), |logged| events.push(logged))?;
    Ok(events)
}
