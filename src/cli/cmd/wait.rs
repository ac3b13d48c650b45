//! `standup wait`: block until tasks are where one wants them.

use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::board::doc::{self, Document};
use crate::board::text::state_text;
use crate::board::view;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::id::{Seq, TaskId};
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::Span;

/// How often the board is looked at even if nothing was stored: a run state ages without events.
const LOOK: Duration = Duration::from_secs(1);

/// The run states by name.
const KINDS: [RunKind; 12] = [
    RunKind::None,
    RunKind::Starting,
    RunKind::Working,
    RunKind::Waiting,
    RunKind::Idle,
    RunKind::Quiet,
    RunKind::Limited,
    RunKind::Checking,
    RunKind::Stopped,
    RunKind::Exited,
    RunKind::Lost,
    RunKind::Unknown,
];

/// Block until tasks reach a run state, a column, or need you
///
/// Default: until each is in Review, Done or Canceled, or needs you.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
    /// A run state (working, idle, …), a column (review, done, …) or needs-you; with commas, any of them
    #[arg(long = "for", value_name = "X", value_delimiter = ',')]
    until: Vec<Until>,
    /// Give up after this long, with exit code 124
    #[arg(long, value_name = "TIME")]
    timeout: Option<Span>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    State(RunKind),
    In(Column),
    NeedsYou,
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        if text == "needs-you" {
            return Ok(Self::NeedsYou);
        }
        if let Ok(column) = text.parse() {
            return Ok(Self::In(column));
        }
        let states = KINDS.into_iter().map(|kind| (view::run_name(kind), kind));
        states.clone().find(|(name, _)| *name == text).map(|(_, kind)| Self::State(kind)).ok_or_else(|| {
            let names: Vec<&str> =
                states.map(|(name, _)| name).chain(Column::ALL.map(Column::name)).chain(["needs-you"]).collect();
            let near = crate::model::text::nearest(&text, names.iter().copied());
            let meant = near.map(|name| format!("did you mean {name}? ")).unwrap_or_default();
            format!("{meant}it is one of {}", names.join(", "))
        })
    }
}

const USUAL: [Until; 4] =
    [Until::In(Column::Review), Until::In(Column::Done), Until::In(Column::Canceled), Until::NeedsYou];

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let deadline = args.timeout.map(|limit| Instant::now() + limit.to_std());
    let until = if args.until.is_empty() { USUAL.to_vec() } else { args.until };
    let mut interrupts = Interrupts::catch()?;
    let seen = ctx.seen()?;
    let last = ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?;
    let ids = ids(ctx, &seen.board, &args.tasks)?;
    if seen.supervisor.is_none() {
        ctx.ui.say("no supervisor runs; nothing goes on before one does");
        ctx.ui.hint("standup up");
    }
    let mut tail = Tail::from(ctx, last.next())?;
    loop {
        let tasks = look(ctx, &ids)?;
        if tasks.iter().all(|task| until.iter().any(|u| holds(*u, task))) {
            return answer(ctx, &tasks);
        }
        refuse_hopeless(&tasks, &until)?;
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            let open: Vec<String> = tasks
                .iter()
                .filter(|task| !until.iter().any(|u| holds(*u, task)))
                .map(|task| format!("{} is {}, {}", task.id, task.column, state_text(&task.state)))
                .collect();
            let text = format!("waited {}: {}", args.timeout.unwrap_or_default(), open.join("; "));
            return Err(Failure::new(Code::TimedOut, text));
        }
        tail.wait(&mut interrupts, left.map_or(LOOK, |left| left.min(LOOK)))?;
    }
}

fn ids(ctx: &Context, board: &crate::model::board::Board, names: &[String]) -> Result<Vec<TaskId>, Failure> {
    if names.is_empty() {
        return Ok(vec![ctx.task(board, None)?]);
    }
    names.iter().map(|name| ctx.task(board, Some(name))).collect()
}

fn look(ctx: &Context, ids: &[TaskId]) -> Result<Vec<doc::Task>, Failure> {
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    Ok(ids.iter().filter_map(|id| seen.board.tasks.get(id)).map(|t| view::task(&seen.board, t, &scene)).collect())
}

fn holds(until: Until, task: &doc::Task) -> bool {
    match until {
        Until::State(kind) => task.state.kind == kind,
        Until::In(column) => task.column == column,
        Until::NeedsYou => task.needs_you.is_some(),
    }
}

/// A closed task moves no more by itself: to wait for anything else would be for ever.
fn refuse_hopeless(tasks: &[doc::Task], until: &[Until]) -> Result<(), Failure> {
    let closed = tasks.iter().find(|task| task.column.is_closed() && !until.iter().any(|u| holds(*u, task)));
    match closed {
        None => Ok(()),
        Some(task) => {
            let text = format!("{} is {}; what is waited for will not come", task.id, task.column);
            Err(Failure::new(Code::Failure, text).hint(format!("standup show {}", task.id)))
        }
    }
}

fn answer(ctx: &Context, tasks: &[doc::Task]) -> Result<Code, Failure> {
    if ctx.ui.json {
        ctx.ui.json(&Document::new("wait", serde_json::json!({"tasks": tasks})))?;
        return Ok(Code::Ok);
    }
    let line = |task: &doc::Task| {
        let needs =
            task.needs_you.as_ref().map(|need| format!(", needs you: {}", crate::board::text::need_name(need.kind)));
        format!("{}  {}, {}{}\n", task.id, task.column, state_text(&task.state), needs.unwrap_or_default())
    };
    ctx.ui.answer(&tasks.iter().map(line).collect::<String>())?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_columns_and_needs_are_waited_for_by_name() {
        for (text, until) in [
            ("review", Until::In(Column::Review)),
            ("Done", Until::In(Column::Done)),
            ("needs-you", Until::NeedsYou),
            ("working", Until::State(RunKind::Working)),
            ("checking", Until::State(RunKind::Checking)),
        ] {
            assert_eq!(text.parse(), Ok(until), "{text}");
        }
        let said = "workin".parse::<Until>().expect_err("no such state");
        assert!(said.starts_with("did you mean working? it is one of none, starting"), "{said}");
    }
}
