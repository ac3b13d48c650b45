//! `standup edit`: another brief, or other particulars, for a task.

use crate::brief;
use crate::cli::briefs::{self, Flags};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::named;
use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::input::{Command, Reply};
use crate::model::name::Slug;
use crate::model::task::{Column, TaskSpec};
use crate::policy;

/// What the supervisor holds a running agent to without its knowing.
const AT_ONCE: [&str; 4] = ["touches", "off_limits", "check_in", "limits"];

/// Change a task: its brief in $EDITOR, or what the flags say
///
/// The limits, the check-in interval, touches and off_limits hold at once, for an attempt that is
/// under way too. Its agent keeps the brief it was started with, and is told nothing by itself.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Another title
    #[arg(long)]
    title: Option<String>,
    /// Another brief: a Markdown file, or - for standard input
    #[arg(long, value_name = "FILE")]
    brief: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let id = ctx.task(&board, args.task.as_deref())?;
    let task = board.tasks.get(&id).ok_or_else(|| Failure::new(Code::NoTask, format!("there is no task {id}")))?;
    briefs::require_title(args.title.as_deref())?;
    let (spec, changed) = match &args.brief {
        Some(file) => {
            let bytes = briefs::read(ctx, file, "--brief")?;
            let name = file.clone();
            send(ctx, &board, task, Some((&name, &bytes)), args)?
        }
        None if args.title.is_some() || !args.flags.is_empty() => send(ctx, &board, task, None, args)?,
        None if ctx.ui.can_ask() => {
            let (old, verb) = (ctx.text(&task.spec.brief)?, format!("standup edit {id}"));
            let send = |text: &str| send(ctx, &board, task, Some(("brief.md", text.as_bytes())), args);
            briefs::in_editor(ctx, &old, (&verb, ""), str::to_owned, send)?
        }
        None => {
            return Err(Failure::new(Code::Usage, "nobody can be asked, so the change must be named")
                .hint(format!("standup edit {id} --brief FILE"))
                .hint("standup edit --help"));
        }
    };
    let title = briefs::title(ctx, &spec.title, 18);
    let later = Later::between(&task.spec, &spec);
    let mut checks = spec.checks.clone();
    checks.retain(|check| !task.spec.checks.contains(check));
    let board = ctx.seen()?.board;
    let now = board.tasks.get(&id).filter(|task| !task.column.is_closed() && task.column != Column::Backlog);
    let untold = now.map(|task| task.given().untold(&task.spec)).unwrap_or_default();
    briefs::say_checks(ctx, &id.to_string(), &checks);
    answer(ctx, id, &title, changed, &untold)?;
    if let Some(task) = now.filter(|_| changed && !untold.is_empty()) {
        tell(ctx, &board, task, &untold);
    }
    if changed {
        later.tell(ctx, &board.tasks[&id], !untold.is_empty());
    }
    Ok(Code::Ok)
}

/// What was changed and does not count for what is under way.
struct Later {
    /// Counts for a new attempt.
    next: Vec<&'static str>,
    /// Counts where the task waits for room.
    priority: bool,
}

impl Later {
    fn between(old: &TaskSpec, new: &TaskSpec) -> Self {
        let parts = [
            ("agent", old.agent != new.agent),
            ("mode", old.mode != new.mode),
            ("base", old.base != new.base),
            ("needs", old.needs != new.needs),
        ];
        let next = parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        Self { next, priority: old.priority != new.priority }
    }

    /// Says of each when it counts, unless it counts at once: for a task that has not begun.
    fn tell(&self, ctx: &Context, task: &Task, hinted: bool) {
        let id = task.id;
        if task.column.is_closed() {
            ctx.ui.say(&format!("{id} is {}: this counts only if it is opened again", task.column));
            return ctx.ui.hint(&format!("standup move {id} backlog --reason \"…\""));
        }
        let Some(attempt) = task.attempt().filter(|_| task.column != Column::Backlog) else { return };
        if self.priority {
            ctx.ui.say(&format!("{id} was started already: its priority counts when it waits for room again"));
        }
        if !self.next.is_empty() {
            let goes = if self.next.len() == 1 { "counts" } else { "count" };
            let parts = self.next.join(", ");
            ctx.ui.say(&format!("{parts} {goes} for a new attempt; {id}/{} stays as it was started", attempt.no));
            if !hinted {
                ctx.ui.hint(&format!("standup retry {id}"));
            }
        }
    }
}

/// Says what the agent of an attempt does not know, and how it may hear of it.
fn tell(ctx: &Context, board: &Board, task: &Task, untold: &[&str]) {
    let (id, Some(attempt)) = (task.id, task.attempt()) else { return };
    let held: Vec<&str> = untold.iter().filter(|part| AT_ONCE.contains(part)).copied().collect();
    if !held.is_empty() && attempt.is_active() {
        ctx.ui.say(&format!("{} hold{} from now on", held.join(", "), if held.len() == 1 { "s" } else { "" }));
    }
    ctx.ui.say(&format!(
        "the agent of {id}/{} keeps the brief it was given, and was not told: {}",
        attempt.no,
        untold.join(", ")
    ));
    if policy::hears(board, task, attempt) {
        ctx.ui.hint(&format!("standup send {id} \"…\""));
    }
    ctx.ui.hint(&format!("standup retry {id}"));
}

fn answer(ctx: &Context, id: TaskId, title: &str, changed: bool, untold: &[&str]) -> Result<(), Failure> {
    if ctx.ui.json {
        let body = serde_json::json!({"id": id, "changed": changed, "untold": untold});
        return ctx.ui.json(&crate::board::doc::Document::new("edit", body));
    }
    ctx.ui.answer(&format!("{id}  {title}{}", if changed { "" } else { " (as before)" }))
}

/// Sends what is asked for now, made from the task as it was; that, and whether it is a change.
/// What was changed meanwhile stays, and what both changed is refused.
fn send(
    ctx: &Context,
    board: &Board,
    task: &Task,
    brief: Option<(&str, &[u8])>,
    args: Args,
) -> Result<(TaskSpec, bool), Failure> {
    let (mut spec, text) = match brief {
        Some((name, bytes)) => another_brief(ctx, board, task, name, bytes).map(|(spec, text)| (spec, Some(text)))?,
        None => (task.spec.clone(), None),
    };
    if let Some(title) = args.title {
        spec.slug = Slug::from_title(&title);
        spec.title = title;
    }
    let needs = super::add::needs(ctx, &args.flags.after, Some(board))?;
    args.flags.apply(&mut spec, needs);
    named::require(ctx, &spec, Some(&task.spec))?;
    let was = Some(Box::new(task.spec.clone()));
    let command = Command::Edit { task: task.id, spec: Box::new(spec.clone()), was };
    let (reply, _) = ctx.command(command, text.into_iter().collect())?;
    Ok((spec, matches!(&reply, Reply::Tasks { changed, .. } if !changed.is_empty())))
}

/// The spec of another brief, and its text.
fn another_brief(
    ctx: &Context,
    board: &Board,
    task: &Task,
    name: &str,
    bytes: &[u8],
) -> Result<(TaskSpec, String), Failure> {
    // A text that names no title is one of the title that the task has.
    let parsed = |name: &str, bytes: &[u8]| {
        let untitled = brief::parse(name, bytes, None).is_err();
        brief::parse(name, bytes, untitled.then_some(task.spec.title.as_str()))
    };
    let old = parsed("brief.md", ctx.text(&task.spec.brief)?.as_bytes())?;
    let new = parsed(name, bytes)?;
    briefs::warn(ctx, &new);
    let mut spec = briefs::changed(&task.spec, &old, &new);
    if new.front.needs != old.front.needs {
        spec.needs = super::add::needs(ctx, &new.front.needs, Some(board))?;
    }
    Ok((spec, new.source))
}
