//! `standup start`: this one, now.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;

/// Start this task now, or its ended agent again
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    super::up::require_ready(ctx)?;
    let (reply, _) = ctx.command(Command::Start { task }, Vec::new())?;
    super::begun(ctx, task, &reply)
}
