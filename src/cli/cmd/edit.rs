//! `standup edit`: another brief, or other particulars, for a task.

use crate::brief;
use crate::cli::briefs::{self, Flags};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::input::{Command, Reply};
use crate::model::name::Slug;
use crate::model::task::{Column, TaskSpec};
use crate::model::text::clean_line;
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
    let by_hand = args.brief.is_none() && args.title.is_none() && args.flags.is_empty();
    let (mut spec, text) = if args.brief.is_some() || by_hand {
        let (spec, text) = another_brief(ctx, &board, task, args.brief.as_deref())?;
        (spec, Some(text))
    } else {
        (task.spec.clone(), None)
    };
    if let Some(title) = args.title {
        spec.slug = Slug::from_title(&title);
        spec.title = title;
    }
    let needs = super::add::needs(ctx, &args.flags.after, Some(&board))?;
    args.flags.apply(&mut spec, needs);
    let title = clean_line(&spec.title);
    let mut checks = spec.checks.clone();
    checks.retain(|check| !task.spec.checks.contains(check));
    let (reply, _) = ctx.command(Command::Edit { task: id, spec: Box::new(spec) }, text.into_iter().collect())?;
    let changed = matches!(&reply, Reply::Tasks { changed, .. } if !changed.is_empty());
    let board = ctx.seen()?.board;
    let now = board.tasks.get(&id).filter(|task| !task.column.is_closed() && task.column != Column::Backlog);
    let untold = now.map(|task| task.given().untold(&task.spec)).unwrap_or_default();
    briefs::say_checks(ctx, &id.to_string(), &checks);
    answer(ctx, id, &title, changed, &untold)?;
    if let Some(task) = now.filter(|_| changed && !untold.is_empty()) {
        tell(ctx, &board, task, &untold);
    }
    Ok(Code::Ok)
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

/// The spec of another brief, and its text.
fn another_brief(ctx: &Context, board: &Board, task: &Task, file: Option<&str>) -> Result<(TaskSpec, String), Failure> {
    let old_text = ctx.text(&task.spec.brief)?;
    let old = brief::parse("brief.md", old_text.as_bytes(), Some(&task.spec.title))?;
    let (name, bytes) = match file {
        Some(file) => (file, briefs::read(ctx, file, "--brief")?),
        None if ctx.ui.can_ask() => ("brief.md", briefs::edit(ctx, "brief.md", &old_text)?.into_bytes()),
        None => {
            return Err(Failure::new(Code::Usage, "nobody can be asked, so the change must be named")
                .hint(format!("standup edit {} --brief FILE", task.id))
                .hint("standup edit --help"));
        }
    };
    let untitled = brief::parse(name, &bytes, None).is_err();
    let new = brief::parse(name, &bytes, untitled.then_some(task.spec.title.as_str()))?;
    briefs::warn(ctx, &new);
    let mut spec = briefs::changed(&task.spec, &old.front, &new);
    if new.front.needs != old.front.needs {
        spec.needs = super::add::needs(ctx, &new.front.needs, Some(board))?;
    }
    Ok((spec, new.source))
}
