//! `standup takeover`: the agent's input is yours, in its own terminal or in a shell beside it.

use std::ffi::OsString;
use std::path::Path;

use super::attach::How;
use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::board::Task;
use crate::model::id::TaskId;
use crate::model::input::Command;
use crate::model::text::clean_line;
use crate::os::locate;
use crate::os::run::Run;
use crate::supervisor;

/// Take a task over: its agent's input is yours until handback
///
/// Messages and reminders wait, limits rest, nothing moves by itself. Work in the agent's own
/// terminal, which opens where there is one, or in a shell in its worktree. Other terminals that
/// are attached only look from then on; said again in one of them, it moves the input there.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Why; asked for on a terminal, needed elsewhere
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Open $SHELL in the worktree, with the attempt's environment
    #[arg(long, conflicts_with = "no_attach")]
    shell: bool,
    /// Only take it; open nothing
    #[arg(long)]
    no_attach: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let from = board.tasks[&task].column;
    let taken = board.tasks[&task].is_taken_over();
    if args.shell && (!ctx.ui.is_terminal() || ctx.ui.json) {
        let text = "a shell needs a terminal";
        return Err(Failure::new(Code::Usage, text).hint(format!("standup takeover {task} --no-attach")));
    }
    let reason = if taken {
        args.reason.unwrap_or_default()
    } else {
        let how = [("--shell", args.shell), ("--no-attach", args.no_attach)];
        let how: String = how.iter().filter(|(_, on)| *on).map(|(flag, _)| format!(" {flag}")).collect();
        super::reason(ctx, args.reason, &format!("standup takeover {task}{how}"))?
    };
    ctx.command(Command::Takeover { task, reason }, Vec::new())?;
    let board = ctx.seen()?.board;
    let found = &board.tasks[&task];
    let alive = found.attempt().is_some_and(|a| a.host().is_some());
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "from": from, "to": found.column, "agent_alive": alive});
        return ctx.ui.json(&Document::new("takeover", body)).map(|()| Code::Ok);
    }
    let opens = !args.no_attach && ctx.ui.is_terminal() && ctx.ui.can_ask();
    if args.shell {
        ctx.ui.say(&format!("{task} is in your hands"));
        return shell(ctx, found);
    }
    if alive && opens {
        ctx.ui.say(&format!("{task} is in your hands"));
        let code = super::attach::to(ctx, &board, task, How::Takes)?;
        ctx.ui.hint(&handback(task));
        return Ok(code);
    }
    ctx.ui.answer(&format!("{task} is in your hands"))?;
    if alive {
        ctx.ui.hint(&format!("standup attach {task}"));
    }
    ctx.ui.hint(&format!("standup takeover {task} --shell"));
    ctx.ui.hint(&handback(task));
    Ok(Code::Ok)
}

fn handback(task: TaskId) -> String {
    format!("standup handback {task} --note \"…\"")
}

/// The person's shell in the worktree; how it ends is the person's business.
fn shell(ctx: &Context, task: &Task) -> Result<Code, Failure> {
    let with = supervisor::shell(ctx.place()?, task).map_err(|why| Failure::new(Code::Failure, why))?;
    let wanted = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| OsString::from("sh"));
    let program = locate::program(&wanted, Path::new("/")).map_err(|error| Failure::of(&error))?;
    ctx.ui.say(&format!("in {}; exit returns", clean_line(&with.cwd.display().to_string())));
    let run =
        with.env.iter().fold(Run::new(program).clear_env().cwd(&with.cwd), |run, (name, value)| run.env(name, value));
    run.foreground().map_err(|error| Failure::of(&error))?;
    ctx.ui.say(&format!("{} is still in your hands", task.id));
    ctx.ui.hint(&handback(task.id));
    Ok(Code::Ok)
}
