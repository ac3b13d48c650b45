//! `standup handback`: the agent's input goes back, with a word on what changed.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::board::sentence;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::event::Event;
use crate::model::id::{Seq, TaskId};
use crate::model::input::Command;
use crate::model::lease::Changes;
use crate::model::text::clean_line;
use crate::supervisor::journal;

/// How long looking into a worktree may take: a large one on a slow disk takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks where nothing is heard.
const LOOK: Duration = Duration::from_millis(200);

/// Hand a task back: its agent is told what changed, and goes on
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// What the agent is told besides
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let mut interrupts = Interrupts::catch()?;
    let from = ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?.next();
    ctx.command(Command::Handback { task, note: args.note.trim().to_owned() }, Vec::new())?;
    let until = Instant::now() + LIMIT;
    let mut tail = Tail::from(ctx, from)?;
    let changes = loop {
        if let Some(changes) = handed_back(ctx, task, from)? {
            break changes;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = format!("{task} is still being handed back after {} s", LIMIT.as_secs());
            return Err(Failure::new(Code::Failure, text).hint(format!("standup show {task}")));
        }
        tail.wait(&mut interrupts, left.min(LOOK))?;
    };
    let board = ctx.seen()?.board;
    let found = &board.tasks[&task];
    let waits = found.messages.iter().any(|m| m.from == crate::model::message::From::Handback && m.is_queued());
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "to": found.column, "changes": changes, "message_waits": waits});
        return ctx.ui.json(&Document::new("handback", body)).map(|()| Code::Ok);
    }
    let changed = changes.as_ref().map_or("nobody knows what changed".to_owned(), sentence::changes_text);
    ctx.ui.answer(&format!("{task}: takeover → {}; {}", found.column, clean_line(&changed)))?;
    Ok(Code::Ok)
}

/// What changed, once it was handed back; outer `None` before.
fn handed_back(ctx: &Context, task: TaskId, from: Seq) -> Result<Option<Option<Changes>>, Failure> {
    let Some(log) = ctx.log()? else { return Ok(None) };
    let page = log.events_of(task, from, 512)?;
    let found = page.iter().filter_map(journal::logged).find_map(|logged| match logged.record.event {
        Event::HandedBack { changes, .. } => Some(changes),
        // Moved away by hand meanwhile: there is nothing left to hand back.
        Event::TaskMoved { from: crate::model::task::Column::Takeover, .. } => Some(None),
        _ => None,
    });
    Ok(found)
}
