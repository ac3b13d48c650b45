//! `standup report`: the stand-up.

use crate::board::doc::Document;
use crate::board::report::{self, Window, markdown, text};
use crate::board::text::Paint;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::since::Since;
use crate::supervisor::journal;

/// The stand-up: who needs you, what was done, what is in the way
///
/// Made of the event log and the board alone. Of each task it says what its agent claims (its last
/// check-in) beside what was observed (state, work, checks), and why it stands where it stands.
/// Without --since it tells of the last 24 hours.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// From when on: 24h, 18:00, yesterday, friday, 2026-01-31, 2026-01-31T09:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: Since,
    /// As Markdown, to paste
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let mut window = Window::new(args.since.instant(ctx.now().wall)?);
    // The log first: what happens meanwhile is then on the board and not missing from it.
    if let Some(log) = ctx.log()? {
        journal::each(&log, None, |logged| window.take(&logged))?;
    }
    let seen = ctx.seen()?;
    let report = report::report(&seen.board, &window, &ctx.scene(&seen)?);
    if ctx.ui.json {
        ctx.ui.json(&Document::new("report", report))?;
    } else if args.markdown {
        ctx.ui.answer(&markdown::markdown(&report, &ctx.ui.zone()))?;
    } else {
        ctx.ui.answer(&text::text(&report, &ctx.ui))?;
    }
    Ok(Code::Ok)
}
