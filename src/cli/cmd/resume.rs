//! `standup resume`: a paused task goes on.

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;

/// Let a paused task go on
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    ctx.command(Command::Resume { task }, Vec::new())?;
    if ctx.ui.json {
        return ctx.ui.json(&Document::new("resume", serde_json::json!({"task": task}))).map(|()| Code::Ok);
    }
    ctx.ui.answer(&format!("{task} goes on")).map(|()| Code::Ok)
}
