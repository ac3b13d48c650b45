//! `standup events`: what happened, as it was stored.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::board::text::Paint;
use crate::board::{doc, sentence, when};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::id::{Seq, TaskId};
use crate::model::text::clean_line;
use crate::model::time::Now;
use crate::store::log::StoredEvent;
use crate::supervisor::journal;

/// Events read at once.
const PAGE: usize = 4_096;

/// Show what happened; as JSON, one object a line
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Go on with what happens from now
    #[arg(short, long)]
    follow: bool,
    /// Only of this task
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only after this one
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let task = match &args.task {
        Some(name) => Some(ctx.task(&ctx.seen()?.board, Some(name))?),
        None => None,
    };
    let first = Seq(args.since.map_or(1, |seq| seq.saturating_add(1)));
    let Some(log) = ctx.log()? else {
        return if args.follow { follow(ctx, first, task) } else { Ok(Code::Ok) };
    };
    let mut from = first;
    loop {
        let page = log.events(from, PAGE)?;
        let Some(last) = page.last() else { break };
        from = last.seq.next();
        say(ctx, &page, task)?;
    }
    if args.follow { follow(ctx, from, task) } else { Ok(Code::Ok) }
}

fn follow(ctx: &Context, from: Seq, task: Option<TaskId>) -> Result<Code, Failure> {
    let mut interrupts = Interrupts::follow()?;
    let mut tail = Tail::from(ctx, from)?;
    loop {
        say(ctx, &tail.wait(&mut interrupts, Duration::from_secs(60))?, task)?;
    }
}

fn say(ctx: &Context, page: &[StoredEvent], task: Option<TaskId>) -> Result<(), Failure> {
    let of = page.iter().filter(|event| task.is_none() || event.task == task);
    let (now, zone) = (ctx.now(), ctx.ui.zone());
    let text: String = of.map(|event| if ctx.ui.json { as_json(event) } else { as_text(event, now, &zone) }).collect();
    if text.is_empty() { Ok(()) } else { ctx.ui.answer(&text) }
}

fn as_json(event: &StoredEvent) -> String {
    let line = doc::LoggedEvent {
        seq: event.seq.0,
        at: event.at.wall,
        task: event.task,
        attempt: event.attempt.map(crate::model::id::AttemptNo::get),
        event: event.event.clone(),
        data: event.data.clone(),
    };
    let line = serde_json::to_string(&line).expect("an event is plain data");
    format!("{line}\n")
}

fn as_text(event: &StoredEvent, now: Now, zone: &TimeZone) -> String {
    let of = match (event.task, event.attempt) {
        (Some(task), Some(attempt)) => format!("{task}/{attempt}"),
        (Some(task), None) => task.to_string(),
        (None, _) => "–".to_owned(),
    };
    let said = journal::logged(event).map_or_else(|| event.event.clone(), |l| sentence::sentence(&l.record.event));
    format!(
        "{:>5}  {}  {of:<6} {}\n",
        event.seq,
        when::stamp(event.at.wall, zone),
        clean_line(&when::told(&said, now, zone))
    )
}
