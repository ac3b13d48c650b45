//! `standup add`: one new task.

use crate::brief::{self, Brief};
use crate::cli::briefs::{self, Flags};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::named;
use crate::model::board::Board;
use crate::model::id::TaskId;
use crate::model::input::{Command, NewTask, Reply};
use crate::model::settings::{CheckSettings, Mode};
use crate::model::text::clean_line;
use crate::policy;

/// Add a task: a title, a brief, or both
///
/// Without --brief, and where a person can be asked, $EDITOR opens on a template.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// One line about it; default: the title of the brief
    title: Option<String>,
    /// The brief: a Markdown file, or - for standard input
    #[arg(long, value_name = "FILE")]
    brief: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    ctx.place()?;
    briefs::require_title(args.title.as_deref())?;
    let from_file = args.brief.is_some();
    let Sent { id, brief, mode, checks } = match (args.brief, args.title) {
        (Some(file), title) => {
            let bytes = briefs::read(ctx, &file, "--brief")?;
            let name = if file == briefs::STDIN { "stdin" } else { &file };
            send(ctx, brief::parse(name, &bytes, title.as_deref())?, args.flags)?
        }
        (None, title) if ctx.ui.can_ask() && ctx.ui.is_terminal() => written(ctx, title.as_deref(), args.flags)?,
        (None, Some(title)) => send(ctx, Brief::from_title(&title)?, args.flags)?,
        (None, None) => {
            return Err(Failure::new(Code::Usage, "a task needs a title or a brief")
                .hint("standup add \"Fix the pager\"")
                .hint("standup add --brief pager.md"));
        }
    };
    briefs::say_checks(ctx, &id.to_string(), &checks);
    if ctx.ui.json {
        let checks: Vec<_> = checks.iter().map(|c| serde_json::json!({"name": c.name, "run": c.run})).collect();
        let body = serde_json::json!({"id": id, "title": brief.title, "slug": brief.slug().as_str(), "checks": checks});
        ctx.ui.json(&crate::board::doc::Document::new("add", body))?;
    } else {
        ctx.ui.answer(&format!("{id}  {}", briefs::title(ctx, &brief.title, 6)))?;
        if brief.criteria.is_empty() && from_file {
            ctx.ui.say("nothing in the brief says when it is done");
            ctx.ui.hint(&format!("standup lint {id}"));
        }
        if mode == Mode::Checkpoint {
            say_if_it_cannot_plan(ctx, id)?;
        }
    }
    Ok(Code::Ok)
}

/// A task that was added, and what it is made of.
struct Sent {
    id: TaskId,
    brief: Brief,
    mode: Mode,
    /// What its brief has run as checks.
    checks: Vec<CheckSettings>,
}

/// A task of what a person writes in the editor.
fn written(ctx: &Context, title: Option<&str>, flags: Flags) -> Result<Sent, Failure> {
    // Nobody is to write a brief for a flag that is refused.
    needs(ctx, &flags.after, None)?;
    let empty = brief::template(title.unwrap_or_default());
    let said = flags.written();
    briefs::in_editor(ctx, &empty, ("standup add", &said), brief::finish, |left| {
        if left.trim().is_empty() || (title.is_none() && left == empty) {
            return Err(Failure::new(Code::Failure, "the brief was left empty; no task was added"));
        }
        send(ctx, brief::parse("brief.md", brief::finish(left).as_bytes(), None)?, flags)
    })
}

/// Has a task added.
fn send(ctx: &Context, brief: Brief, flags: Flags) -> Result<Sent, Failure> {
    briefs::warn(ctx, &brief);
    let mut spec = briefs::spec(&brief);
    let written = if flags.after.is_empty() { &brief.front.needs } else { &flags.after };
    spec.needs = needs(ctx, written, None)?;
    let needs = spec.needs.clone();
    flags.apply(&mut spec, needs);
    named::require(ctx, &spec, None)?;
    let (mode, checks) = (spec.mode, spec.checks.clone());
    let task = NewTask { spec, needs_new: Vec::new() };
    let (reply, _) = ctx.command(Command::Add { tasks: vec![task] }, vec![brief.source.clone()])?;
    let Reply::Tasks { added, changed, unchanged } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say which task it added"));
    };
    match added.iter().chain(&changed).chain(&unchanged).next() {
        Some(id) => Ok(Sent { id: *id, brief, mode, checks }),
        None => Err(Failure::new(Code::Bug, "the supervisor added no task")),
    }
}

/// Says at once what would hold the task up for good: an agent that is not told to plan.
fn say_if_it_cannot_plan(ctx: &Context, id: TaskId) -> Result<(), Failure> {
    let board = ctx.seen()?.board;
    let found = board.surroundings.as_ref().zip(board.tasks.get(&id));
    if let Some(Err(why)) = found.map(|(around, task)| policy::agent_for(around, task)) {
        ctx.ui.say(&format!("{id} cannot start as it is: {}", clean_line(&why)));
        ctx.ui.hint(&format!("standup edit {id}"));
    }
    Ok(())
}

/// The tasks that were named as needs.
pub(in crate::cli) fn needs(ctx: &Context, written: &[String], board: Option<&Board>) -> Result<Vec<TaskId>, Failure> {
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let own;
    let board = match board {
        Some(board) => board,
        None => {
            own = ctx.seen()?.board;
            &own
        }
    };
    let mut needs = Vec::with_capacity(written.len());
    for name in written {
        let id = ctx.task(board, Some(name.trim()))?;
        if !needs.contains(&id) {
            needs.push(id);
        }
    }
    Ok(needs)
}
