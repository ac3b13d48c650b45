//! `standup reject`: a plan or work goes back, with what is to be different.

use crate::board::doc::Document;
use crate::board::text::Paint;
use crate::board::when;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::{Command, Reply};
use crate::model::text::clean_line;

/// Send a plan or work back; its agent reads the note
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// What is to be different
    #[arg(long, value_name = "TEXT", visible_alias = "reason")]
    note: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    super::require_person()?;
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let note = super::said(ctx, args.note, "what is to be different?")?;
    let (reply, _) = ctx.command(Command::Reject { task, note }, Vec::new())?;
    let waits = match &reply {
        Reply::Message { waits, .. } => Some(waits.as_str()).filter(|waits| !waits.is_empty()),
        _ => None,
    };
    let column = ctx.seen()?.board.tasks[&task].column;
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "column": column, "waits_for": waits});
        return ctx.ui.json(&Document::new("reject", body)).map(|()| Code::Ok);
    }
    match (waits, &reply) {
        (Some(waits), _) => ctx.ui.answer(&format!(
            "{task} is sent back; the note waits: {}",
            clean_line(&when::told_whole(waits, &ctx.ui.zone()))
        ))?,
        (None, Reply::Attempt { .. }) if !board.tasks[&task].is_planning() => {
            ctx.ui.answer(&format!("{task} is sent back; its agent cannot be told"))?;
            ctx.ui.hint(&format!("standup edit {task}"));
            ctx.ui.hint(&format!("standup retry {task}"));
        }
        _ => ctx.ui.answer(&format!("{task} is sent back"))?,
    }
    Ok(Code::Ok)
}
