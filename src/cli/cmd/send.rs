//! `standup send`: a message for the agent.

use crate::board::doc::Document;
use crate::board::text::Paint;
use crate::board::when;
use crate::cli::briefs;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::{Command, Reply};
use crate::model::text::clean_line;

/// Say something to a task's agent; typed once, at its prompt
///
/// It is typed when it is read as a prompt and waits until then: never into a question, never twice.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: String,
    /// What, or - for standard input
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// Interrupt the agent for it
    #[arg(long)]
    now: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, Some(&args.task))?;
    let text = if args.text == [briefs::STDIN] {
        let bytes = briefs::read(ctx, briefs::STDIN, "the message")?;
        String::from_utf8(bytes).map_err(|_| Failure::new(Code::Usage, "the message is not UTF-8"))?
    } else {
        args.text.join(" ")
    };
    let (reply, _) = ctx.command(Command::Send { task, text: text.trim().to_owned(), now: args.now }, Vec::new())?;
    let Reply::Message { msg, waits } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say what became of the message"));
    };
    if ctx.ui.json {
        let waits = Some(&waits).filter(|waits| !waits.is_empty());
        return ctx
            .ui
            .json(&Document::new("message", serde_json::json!({"task": task, "id": msg, "waits_for": waits})))
            .map(|()| Code::Ok);
    }
    if waits.is_empty() {
        ctx.ui.answer(&format!("{task}: on its way to the agent"))?;
    } else {
        ctx.ui.answer(&format!("{task}: waits: {}", clean_line(&when::told_whole(&waits, &ctx.ui.zone()))))?;
    }
    Ok(Code::Ok)
}
