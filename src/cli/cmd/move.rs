//! `standup move`: a card, by hand.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;
use crate::model::task::Column;

/// Move a card by hand, recorded as your word
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: String,
    /// Where: backlog, design, build, review, done, canceled, takeover
    #[arg(value_parser = column)]
    column: Column,
    /// Why; needed where work is given up, sent back or taken over
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn column(text: &str) -> Result<Column, crate::model::id::IdError> {
    text.to_lowercase().parse()
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, Some(&args.task))?;
    let from = board.tasks[&task].column;
    let reason = if is_counted(from, args.column) {
        super::reason(ctx, args.reason, &format!("standup move {task} {}", args.column))?
    } else {
        args.reason.unwrap_or_default()
    };
    ctx.command(Command::Move { task, to: args.column, reason }, Vec::new())?;
    super::moved(ctx, &board.tasks[&task], args.column)
}

/// Whether a move is one of those whose reasons are counted: giving up, sending back, taking over.
fn is_counted(from: Column, to: Column) -> bool {
    let back = from == Column::Review && !matches!(to, Column::Review | Column::Done);
    from != to && (back || matches!(to, Column::Canceled | Column::Takeover))
}
