//! `standup answer`: what an agent's own dialog is told, from outside its terminal.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::board::text::Paint;
use crate::board::when;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::event::Event;
use crate::model::id::{MsgId, Seq, TaskId};
use crate::model::input::{Command, Reply};
use crate::model::text::clean_line;
use crate::supervisor::journal;

/// How long is waited for the answer to arrive: the supervisor gives up on it before that.
const LIMIT: Duration = Duration::from_secs(30);

/// How often the log is looked at even if nobody tells.
const LOOK: Duration = Duration::from_millis(500);

/// Answer what a task's agent waits for: a dialog, plan or question
///
/// A dialog is answered by the agent's own hook where one waits, else by one key; if it has changed
/// meanwhile, nothing is pressed. A question about trust or a login is only answered in the terminal.
/// To a plan, yes is the same as approve, and no NOTE as reject. Behind a no to a permission, words of
/// yours reach the agent: with its hook, else as a message once it has left the dialog. Of a question
/// that offers answers the agent is told the one you choose.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: String,
    /// yes, no, an option's number, its text, or how that begins; behind a no, a note
    #[arg(required = true, value_name = "ANSWER")]
    choice: Vec<String>,
}

/// How an answer ended.
enum End {
    Taken,
    Withheld(String),
    Unknown,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    super::require_person()?;
    let mut interrupts = Interrupts::catch()?;
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, Some(&args.task))?;
    let last = ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?;
    let mut choice = args.choice.join(" ");
    let planned = board.tasks[&task].attempt().and_then(|a| a.plan.as_ref()).is_some_and(|plan| plan.is_open);
    if planned && matches!(choice.to_lowercase().as_str(), "no" | "n") && !ctx.ui.json {
        choice = format!("{choice} {}", ctx.ui.ask("what is to be different?")?);
    }
    let (reply, _) = ctx.command(Command::Answer { task, choice }, Vec::new())?;
    let (msg, option) = match reply {
        Reply::Answer { msg, option } => (msg, option),
        Reply::Chosen { option, msg, waits } => return chosen(ctx, task, &option, msg, &waits),
        _ => return Err(Failure::new(Code::Bug, "the supervisor did not say what became of the answer")),
    };
    let mut tail = Tail::from(ctx, last.next())?;
    let until = Instant::now() + LIMIT;
    let end = loop {
        let stored = tail.wait(&mut interrupts, LOOK)?;
        if let Some(end) = stored.iter().filter_map(journal::logged).find_map(|logged| ended(&logged.record.event, msg))
        {
            break end;
        }
        if Instant::now() >= until {
            break End::Unknown;
        }
    };
    let option = clean_line(&option);
    let attach = format!("standup attach {task}");
    match end {
        End::Withheld(why) => {
            let text = format!("{task} was not answered: {}", clean_line(&why));
            Err(Failure::new(Code::Conflict, text).hint(format!("standup show {task}")).hint(attach))
        }
        End::Unknown => {
            let text = format!("{task}: it is not certain that {option:?} arrived, and it is not given again");
            Err(Failure::new(Code::Failure, text).hint(attach))
        }
        End::Taken if ctx.ui.json => {
            let body = serde_json::json!({"task": task, "id": msg, "option": option});
            ctx.ui.json(&Document::new("answer", body)).map(|()| Code::Ok)
        }
        End::Taken => ctx.ui.answer(&format!("{task}: {option}")).map(|()| Code::Ok),
    }
}

/// Says what was taken as a verdict or goes to the agent as words.
fn chosen(ctx: &Context, task: TaskId, option: &str, msg: Option<MsgId>, waits: &str) -> Result<Code, Failure> {
    if ctx.ui.json {
        let waits = Some(waits).filter(|waits| !waits.is_empty());
        let body = serde_json::json!({"task": task, "id": msg, "option": option, "waits_for": waits});
        ctx.ui.json(&Document::new("answer", body))?;
    } else if waits.is_empty() {
        ctx.ui.answer(&format!("{task}: {}", clean_line(option)))?;
    } else {
        ctx.ui.answer(&format!(
            "{task}: {}; waits: {}",
            clean_line(option),
            clean_line(&when::told_whole(waits, &ctx.ui.zone()))
        ))?;
    }
    Ok(Code::Ok)
}

/// How an answer ended, if this event says so.
fn ended(event: &Event, wanted: MsgId) -> Option<End> {
    match event {
        Event::AnswerTaken { msg } if *msg == wanted => Some(End::Taken),
        Event::AnswerWithheld { msg, why } if *msg == wanted => Some(End::Withheld(why.clone())),
        Event::AnswerUnconfirmed { msg } if *msg == wanted => Some(End::Unknown),
        _ => None,
    }
}
