//! `standup nudge`: asks an agent for a check-in now.

use crate::board::doc::Document;
use crate::board::sentence;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::{Command, Reply};

/// Remind a task's agent to check in
///
/// At the end of its turn where its CLI asks standup there, else by a message, else by a note in
/// its inbox. Deadlines do this by themselves; here it is your word.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let (reply, _) = ctx.command(Command::Nudge { task }, Vec::new())?;
    let Reply::Nudged { way } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say how it reminds the agent"));
    };
    if ctx.ui.json {
        ctx.ui.json(&Document::new("nudge", serde_json::json!({"task": task, "way": way})))?;
    } else {
        ctx.ui.answer(&format!("{task}: reminded {}", sentence::way_text(way)))?;
    }
    Ok(Code::Ok)
}
