//! `standup brief`: the brief, byte for byte. For agents, and for whoever wants to read it.

use crate::brief::MAX_BYTES;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::text::clean_lines;
use crate::os::file;

/// Print a task's brief, as it was given
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which; inside an attempt, its own
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let mail = super::check_in::mail(ctx);
    let bytes = match mail.brief().filter(|_| args.task.is_none()) {
        Some(path) => file::read_bounded(path, MAX_BYTES as u64)?,
        None => {
            let board = ctx.seen()?.board;
            let id = ctx.task(&board, args.task.as_deref())?;
            ctx.text(&board.tasks[&id].spec.brief)?.into_bytes()
        }
    };
    if ctx.ui.json {
        let text = String::from_utf8_lossy(&bytes);
        ctx.ui.json(&crate::board::doc::Document::new("brief", serde_json::json!({"brief": text})))?;
    } else if ctx.ui.is_terminal() {
        ctx.ui.answer(&clean_lines(&String::from_utf8_lossy(&bytes)))?;
    } else {
        ctx.ui.raw(&bytes)?;
    }
    Ok(Code::Ok)
}
