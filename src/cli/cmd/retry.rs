//! `standup retry`: a new attempt in a new worktree.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;
use crate::model::name::AgentName;

/// Begin a new attempt in a new worktree; the old one stays as it is
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// By another agent
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    super::up::require_ready_anew(ctx, &board.tasks[&task])?;
    let (reply, _) = ctx.command(Command::Retry { task, agent: args.agent }, Vec::new())?;
    super::begun(ctx, task, &reply)
}
