//! The verbs, one a file: its arguments, and `run`, which carries it out.

use std::ffi::OsString;

use super::context::Context;
use super::error::{Code, Failure};
use super::ui::{Color, Ui};
use crate::board::doc::Document;
use crate::model::board::Task;
use crate::model::id::TaskId;
use crate::model::input::Reply;
use crate::model::task::Column;
use crate::model::text::clean_line;

pub(in crate::cli) mod add;
pub(in crate::cli) mod agents;
pub(in crate::cli) mod answer;
pub(in crate::cli) mod approve;
pub(in crate::cli) mod ask;
pub(in crate::cli) mod attach;
pub(in crate::cli) mod brief;
pub(in crate::cli) mod cancel;
pub(in crate::cli) mod check_in;
pub(in crate::cli) mod completions;
pub(in crate::cli) mod config;
pub(in crate::cli) mod demo;
pub(in crate::cli) mod diff;
pub(in crate::cli) mod doctor;
pub(in crate::cli) mod done;
pub(in crate::cli) mod down;
pub(in crate::cli) mod edit;
pub(in crate::cli) mod events;
pub(in crate::cli) mod handback;
pub(in crate::cli) mod help;
pub(in crate::cli) mod hook;
pub(in crate::cli) mod host;
pub(in crate::cli) mod import;
pub(in crate::cli) mod init;
pub(in crate::cli) mod lint;
pub(in crate::cli) mod logs;
pub(in crate::cli) mod man;
pub(in crate::cli) mod mcp;
pub(in crate::cli) mod r#move;
pub(in crate::cli) mod next;
pub(in crate::cli) mod nudge;
pub(in crate::cli) mod pause;
pub(in crate::cli) mod reject;
pub(in crate::cli) mod report;
pub(in crate::cli) mod reset;
pub(in crate::cli) mod resume;
pub(in crate::cli) mod retry;
pub(in crate::cli) mod run;
pub(in crate::cli) mod send;
pub(in crate::cli) mod show;
pub(in crate::cli) mod start;
pub(in crate::cli) mod state;
pub(in crate::cli) mod stats;
pub(in crate::cli) mod status;
pub(in crate::cli) mod stop;
pub(in crate::cli) mod supervisor;
pub(in crate::cli) mod takeover;
pub(in crate::cli) mod trust;
pub(in crate::cli) mod up;
pub(in crate::cli) mod verify;
pub(in crate::cli) mod wait;

/// The scripted agent of the demo, on this process's own terminal.
pub(in crate::cli) fn demo_agent(args: &[OsString]) -> u8 {
    match crate::demo::player::run(args.iter().cloned()) {
        Ok(code) => code,
        Err(error) => {
            Ui::new(false, false, false, true, Color::Auto).fail(&Failure::of(&error));
            Code::Failure.number()
        }
    }
}

/// Says that an attempt begins.
fn begun(ctx: &Context, task: TaskId, reply: &Reply) -> Result<Code, Failure> {
    let Reply::Attempt { attempt } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say which attempt it began"));
    };
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "attempt": attempt.no});
        ctx.ui.json(&Document::new("attempt", body))?;
    } else {
        ctx.ui.answer(&format!("{attempt} starts"))?;
        ctx.ui.hint(&format!("standup attach {task}"));
    }
    Ok(Code::Ok)
}

/// What a person says to something: as they wrote it, else as they answer when they are asked;
/// empty where nobody can be asked.
fn said(ctx: &Context, written: Option<String>, question: &str) -> Result<String, Failure> {
    match written {
        Some(text) => Ok(text.trim().to_owned()),
        None if ctx.ui.json => Ok(String::new()),
        None => ctx.ui.ask(question),
    }
}

/// Refuses an agent that would judge work or answer for a person: in the environment of an attempt
/// nobody but its agent speaks. A shell that a person opened there has no token.
fn require_person() -> Result<(), Failure> {
    let token = std::env::var_os("STANDUP_TOKEN").is_some_and(|token| !token.is_empty());
    if !token {
        return Ok(());
    }
    let text = "an agent gives no verdict: approve, reject and answer are a person's word";
    Err(Failure::new(Code::Policy, text).hint("standup done    # says that your work is ready to be judged"))
}

/// Why a person does what `command` does, without its `--reason`: what is given up, sent back or
/// taken over is counted by its reasons, so that there has to be one.
fn reason(ctx: &Context, written: Option<String>, command: &str) -> Result<String, Failure> {
    let reason = said(ctx, written, "why?")?;
    if reason.is_empty() {
        return Err(Failure::new(Code::Usage, "this needs a reason").hint(format!("{command} --reason \"…\"")));
    }
    Ok(reason)
}

/// Says that a card was moved, and what that ended; `was` is the task before.
fn moved(ctx: &Context, was: &Task, to: Column) -> Result<Code, Failure> {
    let (task, from) = (was.id, was.column);
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "from": from, "to": to});
        ctx.ui.json(&Document::new("move", body))?;
    } else if from == to {
        ctx.ui.answer(&format!("{task} is in {to} already"))?;
    } else {
        ctx.ui.answer(&format!("{task}: {from} → {to}"))?;
    }
    if from != to && (to.is_closed() || to == Column::Backlog) {
        say_what_ended(ctx, was, to);
    }
    Ok(Code::Ok)
}

fn say_what_ended(ctx: &Context, was: &Task, to: Column) {
    let (id, Some(attempt)) = (was.id, was.attempt()) else { return };
    let branch = clean_line(attempt.branch.as_str());
    match (attempt.is_active(), attempt.base_oid.is_some()) {
        (true, true) => ctx.ui.say(&format!("the agent of {id}/{} is stopped; its work stays on {branch}", attempt.no)),
        (true, false) => ctx.ui.say(&format!("{id}/{} is stopped before it began", attempt.no)),
        (false, true) if to == Column::Backlog => {
            ctx.ui.say(&format!("the work of {id}/{} stays on {branch}", attempt.no))
        }
        (false, _) => {}
    }
    if to == Column::Backlog && !was.column.is_closed() {
        ctx.ui.say(&format!("{id} is not started again by itself; then it is a new attempt"));
        ctx.ui.hint(&format!("standup resume {id}"));
    }
}
