//! `standup stats`: what became of the work, counted.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::board::doc::Document;
use crate::board::stats::{self, Tally, text};
use crate::brief;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::since::Since;
use crate::model::id::TaskId;
use crate::supervisor::journal;

/// Count what became of the work: success, rework, limits, time
///
/// Success is a task that is done without having been sent back or begun anew, of those that were
/// closed. Below 20 tasks a share is told as "3 of 4", from 20 on as a percentage too. By brief
/// means by the score that lint gives it. Time is told by column and by state: a task that needs
/// you waits for you, whatever its agent does meanwhile; a machine that sleeps takes no time.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// From when on (24h, 18:00, yesterday, friday, 2026-01-31, 2026-01-31T09:00:00Z); else everything stored
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// What to group by
    #[arg(long, value_enum, default_value = "agent")]
    by: By,
}

/// What to group by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Agent,
    Mode,
    Label,
    Brief,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let since = args.since.map(|since| since.instant(ctx.now().wall)).transpose()?;
    let mut tally = Tally::new(since);
    if let Some(log) = ctx.log()? {
        journal::each(&log, None, |logged| tally.take(&logged))?;
    }
    let (by, scores) = match args.by {
        By::Agent => (stats::By::Agent, BTreeMap::new()),
        By::Mode => (stats::By::Mode, BTreeMap::new()),
        By::Label => (stats::By::Label, BTreeMap::new()),
        By::Brief => (stats::By::Brief, scores(ctx)?),
    };
    let supervised = ctx.running()?.is_some();
    let stats = tally.stats(by, &scores, ctx.now(), supervised);
    if ctx.ui.json {
        ctx.ui.json(&Document::new("stats", stats))?;
    } else {
        ctx.ui.answer(&text::text(&stats, &ctx.ui))?;
    }
    Ok(Code::Ok)
}

/// What `lint` makes of each brief as it is now; one that cannot be read has no score.
fn scores(ctx: &Context) -> Result<BTreeMap<TaskId, u32>, Failure> {
    let mut scores = BTreeMap::new();
    for (id, task) in &ctx.seen()?.board.tasks {
        let Ok(source) = ctx.text(&task.spec.brief) else { continue };
        if let Ok(brief) = brief::parse(&id.to_string(), source.as_bytes(), Some(&task.spec.title)) {
            scores.insert(*id, brief::score(&brief::lint(&brief, None)));
        }
    }
    Ok(scores)
}
