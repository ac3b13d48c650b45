//! `standup stop`: end an agent; its task stays where it is.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::Interrupts;
use crate::model::board::Board;
use crate::model::id::TaskId;
use crate::model::input::Command;
use crate::model::task::Column;

/// Longer than a host gives an agent to end by itself, and what it left behind after it.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the board is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Stop a task's agent; it can go on later
///
/// The task stays where it is, with its worktree; standup start takes up the same session.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let was_active = is_active(&board, task);
    let checked = board.tasks.get(&task).and_then(|t| t.attempt()).is_some_and(|a| a.checking.is_some());
    ctx.command(Command::Stop { task }, Vec::new())?;
    let mut stopped = !was_active;
    if !args.no_wait && was_active {
        stopped = wait(ctx, task)?;
        if !stopped {
            let text = format!("the agent of {task} has not ended within {} s", LIMIT.as_secs());
            return Err(Failure::new(Code::Failure, text).hint(format!("standup show {task}")));
        }
    }
    if ctx.ui.json {
        ctx.ui.json(&Document::new(
            "stop",
            serde_json::json!({"task": task, "stopped": stopped, "checks_ended": checked}),
        ))?;
    } else if checked && !was_active {
        ctx.ui.answer(&format!("{task}: its checks were ended"))?;
        ctx.ui.hint(&format!("standup verify {task}"));
    } else if !was_active {
        ctx.ui.answer(&format!("{task}: nothing runs"))?;
    } else {
        ctx.ui.answer(&format!("{task}: {}", if stopped { "stopped" } else { "stopping" }))?;
        // Where a card is that is not started from there, its agent comes back for a message.
        if matches!(board.tasks[&task].column, Column::Build | Column::Design) {
            ctx.ui.hint(&format!("standup start {task}"));
        }
    }
    Ok(Code::Ok)
}

fn wait(ctx: &Context, task: TaskId) -> Result<bool, Failure> {
    let mut interrupts = Interrupts::catch()?;
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if !is_active(&ctx.seen()?.board, task) {
            return Ok(true);
        }
        interrupts.sleep(LOOK)?;
    }
    Ok(false)
}

fn is_active(board: &Board, task: TaskId) -> bool {
    board.tasks.get(&task).and_then(|t| t.attempt()).is_some_and(|attempt| attempt.is_active())
}
