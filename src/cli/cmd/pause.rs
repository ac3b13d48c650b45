//! `standup pause`: nothing new for this task. What its agent is at, it goes on with.

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;

/// Say nothing to a task's agent and start none, until resume
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    ctx.command(Command::Pause { task, reason: args.reason }, Vec::new())?;
    if ctx.ui.json {
        return ctx.ui.json(&Document::new("pause", serde_json::json!({"task": task}))).map(|()| Code::Ok);
    }
    ctx.ui.answer(&format!("{task} is paused"))?;
    if board.tasks[&task].attempt().is_some_and(crate::model::attempt::Attempt::is_active) {
        ctx.ui.hint(&format!("standup stop {task}    # its agent goes on with what it is at"));
    }
    Ok(Code::Ok)
}
