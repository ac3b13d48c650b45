//! `standup start`: this one, now.

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::board::Board;
use crate::model::id::TaskId;
use crate::model::input::Command;
use crate::model::text::{clean_line, clean_lines};
use crate::supervisor::{self, Preview};

/// Start this task now, or its ended agent again
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Print the command, the environment and the prompt, and start nothing
    #[arg(long)]
    dry_run: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    if args.dry_run {
        return dry_run(ctx, &board, task);
    }
    super::up::require_ready_for(ctx, &board.tasks[&task])?;
    let (reply, _) = ctx.command(Command::Start { task }, Vec::new())?;
    super::begun(ctx, task, &reply)
}

fn dry_run(ctx: &Context, board: &Board, task: TaskId) -> Result<Code, Failure> {
    let Some(found) = board.tasks.get(&task) else {
        return Err(Failure::new(Code::NoTask, format!("there is no task {task}")));
    };
    let preview = supervisor::preview(ctx.place()?, board, found)
        .map_err(|why| Failure::new(Code::Failure, format!("{task} cannot start: {why}")))?;
    if ctx.ui.json {
        ctx.ui.json(&Document::new("start", &preview))?;
    } else {
        ctx.ui.answer(&text(ctx, &preview))?;
    }
    Ok(Code::Ok)
}

fn text(ctx: &Context, preview: &Preview) -> String {
    let head = |title: &str| ctx.ui.paint(Tone::Bold, title);
    let mut out = format!(
        "{} {} by {} on {}{}\n{}\n",
        head("attempt"),
        preview.attempt,
        preview.agent,
        clean_line(preview.branch.as_str()),
        if preview.resume { ", in its session" } else { "" },
        clean_line(&preview.worktree.display().to_string()),
    );
    out.push_str(&format!("\n{}\n", head("command")));
    preview.command.iter().for_each(|word| out.push_str(&format!("  {}\n", clean_line(word))));
    out.push_str(&format!("\n{}\n", head("environment")));
    preview.env.iter().for_each(|(name, value)| out.push_str(&format!("  {name}={}\n", clean_line(value))));
    preview.unset.iter().for_each(|name| out.push_str(&format!("  {} {name}\n", ctx.ui.paint(Tone::Dim, "without"))));
    for note in &preview.notes {
        out.push_str(&format!("\n{}\n", ctx.ui.paint(Tone::Warn, &clean_line(note))));
    }
    out.push_str(&format!("\n{}\n{}\n", head("prompt"), clean_lines(&preview.prompt)));
    out
}
