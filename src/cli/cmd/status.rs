//! `standup status`: the board. It is also what `standup` alone says.

use crate::board::doc::Document;
use crate::board::{text, view};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};

/// Show the board: who needs you, who works, why the rest waits
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only this task
    #[arg(value_name = "TASK")]
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    let mut doc = view::status(&seen.board, &scene);
    if let Some(name) = &args.task {
        let task = ctx.task(&seen.board, Some(name))?;
        doc.tasks.retain(|t| t.id == task);
        doc.holds.retain(|h| h.task == task);
    }
    if ctx.ui.json {
        ctx.ui.json(&Document::new("status", doc))?;
    } else {
        ctx.ui.answer(&text::status(&doc, scene.now, &ctx.ui))?;
    }
    Ok(Code::Ok)
}
