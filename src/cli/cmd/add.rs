//! `standup add`: one new task.

use crate::brief::{self, Brief};
use crate::cli::briefs::{self, Flags};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::named;
use crate::model::board::Board;
use crate::model::id::TaskId;
use crate::model::input::{Command, NewTask, Reply};
use crate::model::settings::Mode;
use crate::model::text::{clean_line, shell_word};
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
    let brief = brief_of(ctx, args.title.as_deref(), args.brief.as_deref())?;
    briefs::warn(ctx, &brief);
    let mut spec = briefs::spec(&brief);
    let written = if args.flags.after.is_empty() { &brief.front.needs } else { &args.flags.after };
    spec.needs = needs(ctx, written, None)?;
    let needs = spec.needs.clone();
    args.flags.apply(&mut spec, needs);
    named::require(ctx, &spec, None)?;
    let (mode, checks) = (spec.mode, spec.checks.clone());
    let task = NewTask { spec, needs_new: Vec::new() };
    let (reply, _) = ctx.command(Command::Add { tasks: vec![task] }, vec![brief.source.clone()])?;
    let Reply::Tasks { added, changed, unchanged } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say which task it added"));
    };
    let Some(id) = added.iter().chain(&changed).chain(&unchanged).next() else {
        return Err(Failure::new(Code::Bug, "the supervisor added no task"));
    };
    briefs::say_checks(ctx, &id.to_string(), &checks);
    if ctx.ui.json {
        let checks: Vec<_> = checks.iter().map(|c| serde_json::json!({"name": c.name, "run": c.run})).collect();
        let body = serde_json::json!({"id": id, "title": brief.title, "slug": brief.slug().as_str(), "checks": checks});
        ctx.ui.json(&crate::board::doc::Document::new("add", body))?;
    } else {
        ctx.ui.answer(&format!("{id}  {}", briefs::title(ctx, &brief.title, 6)))?;
        if brief.criteria.is_empty() && args.brief.is_some() {
            ctx.ui.say("nothing in the brief says when it is done");
            ctx.ui.hint(&format!("standup lint {id}"));
        }
        if mode == Mode::Checkpoint {
            say_if_it_cannot_plan(ctx, *id)?;
        }
    }
    Ok(Code::Ok)
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

fn brief_of(ctx: &Context, title: Option<&str>, file: Option<&str>) -> Result<Brief, Failure> {
    briefs::require_title(title)?;
    if let Some(file) = file {
        let bytes = briefs::read(ctx, file, "--brief")?;
        return Ok(brief::parse(if file == briefs::STDIN { "stdin" } else { file }, &bytes, title)?);
    }
    if !ctx.ui.can_ask() || !ctx.ui.is_terminal() {
        let Some(title) = title else {
            return Err(Failure::new(Code::Usage, "a task needs a title or a brief")
                .hint("standup add \"Fix the pager\"")
                .hint("standup add --brief pager.md"));
        };
        return Ok(Brief::from_title(title)?);
    }
    let empty = brief::template(title.unwrap_or_default());
    let left = briefs::edit(ctx, "brief.md", &empty)?;
    if left.trim().is_empty() || (title.is_none() && left == empty) {
        return Err(Failure::new(Code::Failure, "the brief was left empty; no task was added"));
    }
    let text = brief::finish(&left);
    brief::parse("brief.md", text.as_bytes(), None).map_err(|errors| kept(errors.into(), &left))
}

/// What was written in the editor is not lost because it has a mistake.
fn kept(failure: Failure, text: &str) -> Failure {
    let file = tempfile::Builder::new().prefix("standup-brief-").suffix(".md").tempfile();
    let saved = file.and_then(|file| {
        std::fs::write(file.path(), text)?;
        file.keep().map_err(|error| error.error)
    });
    match saved {
        Ok((_, path)) => {
            failure.hint(format!("mend it, then: standup add --brief {}", shell_word(&path.to_string_lossy())))
        }
        Err(_) => failure,
    }
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
