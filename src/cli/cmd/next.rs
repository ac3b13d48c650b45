//! `standup next`: who has waited longest for you.

use crate::board::doc::{self, Document};
use crate::board::text::{age, need_name, next_steps, option_text};
use crate::board::view;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::text::clean_line;

/// Show the task that has needed you longest, and attach to it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only show it
    #[arg(long)]
    print: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    let oldest = seen
        .board
        .tasks
        .values()
        .filter_map(|task| Some((task.needs_you.as_ref()?.since, task)))
        .min_by_key(|(since, task)| (*since, task.id))
        .map(|(_, task)| view::task(&seen.board, task, &scene));
    if ctx.ui.json {
        ctx.ui.json(&Document::new("next", serde_json::json!({"task": oldest})))?;
        return Ok(Code::Ok);
    }
    let Some(task) = oldest else {
        ctx.ui.answer("Nobody needs you.")?;
        return Ok(Code::Ok);
    };
    let alive = task.attempt.as_ref().is_some_and(|attempt| attempt.host_pid.is_some());
    let attaches = !args.print && alive && ctx.ui.is_terminal() && ctx.ui.can_ask();
    let said = shown(&task, scene.now);
    if attaches {
        // The terminal becomes the agent's; what was printed stays above it.
        ctx.ui.say(&said);
        return super::attach::to(ctx, &seen.board, task.id, super::attach::How::Types);
    }
    ctx.ui.answer(&said)?;
    if let Some(need) = &task.needs_you {
        next_steps(&task, need.kind).iter().for_each(|step| ctx.ui.hint(step));
    }
    Ok(Code::Ok)
}

fn shown(task: &doc::Task, now: crate::model::time::Now) -> String {
    let Some(need) = &task.needs_you else { return String::new() };
    let mut text = format!("{}  {}\n", task.id, clean_line(&task.title));
    text.push_str(&format!("{}, for {}\n", need_name(need.kind), age(now, need.since)));
    need.question.lines().for_each(|line| text.push_str(&format!("  {}\n", clean_line(line))));
    need.options.iter().for_each(|option| text.push_str(&format!("{}\n", option_text(option))));
    text
}
