//! `standup cancel`: give a task up. Its agent ends; worktree and branch stay.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;
use crate::model::task::Column;

/// Give a task up: its agent ends, its worktree and branch stay
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Why; asked for on a terminal, needed elsewhere
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let reason = super::reason(ctx, args.reason, &format!("standup cancel {task}"))?;
    ctx.command(Command::Cancel { task, reason }, Vec::new())?;
    super::moved(ctx, &board.tasks[&task], Column::Canceled)
}
