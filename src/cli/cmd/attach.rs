//! `standup attach`: your terminal on an agent's. Straight to its host: no supervisor is needed.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::client::attach::{self, AttachError, Ended, Options};
use crate::host::registry;
use crate::model::attempt::{Attempt, Phase};
use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::name::HostId;

/// Lines above the screen that are repeated, so that one sees what led here.
const SCROLLBACK: u32 = 1_000;

/// Put your terminal on a task's agent; ctrl-] d leaves it running
///
/// ctrl-] ctrl-] sends ctrl-] to the agent. While a task is taken over, one terminal types and all
/// others look; takeover moves the input here.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Only look
    #[arg(long)]
    readonly: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    to(ctx, &board, task, if args.readonly { How::Looks } else { How::Types })
}

/// How one attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum How {
    /// Only to look.
    Looks,
    /// To type, as far as nobody else has the input.
    Types,
    /// To have the input, whoever had it.
    Takes,
}

/// Attaches to the agent of a task.
pub(in crate::cli) fn to(ctx: &Context, board: &Board, id: TaskId, how: How) -> Result<Code, Failure> {
    let readonly = how == How::Looks;
    let task = &board.tasks[&id];
    let host = require_host(ctx, task)?;
    let socket = ctx.place()?.layout.host_socket(&host)?;
    let command = format!("standup attach {id}{}", if readonly { " --readonly" } else { "" });
    let options = Options {
        readonly,
        takes: how == How::Takes,
        leased: task.is_taken_over(),
        take: format!("standup takeover {id}"),
        scrollback: SCROLLBACK,
        ..Options::new(id.to_string(), command)
    };
    let ended = ctx.ui.on_terminal(|input, output| attach::attach(&socket, input, output, &options));
    let ended = ended.map_err(|error| {
        let failure = Failure::of(&error);
        match (error.hint(), &error) {
            (Some(hint), AttachError::Version { .. }) => failure.hint(hint).hint(format!("standup stop {id}")),
            (Some(hint), _) => failure.hint(hint),
            (None, _) => failure.hint(format!("standup show {id}")),
        }
    })?;
    ctx.ui.say(&ended.line(&options));
    match ended {
        Ended::Detached | Ended::AgentExited { .. } => Ok(Code::Ok),
        Ended::HostGone => {
            ctx.ui.hint(&format!("standup logs {id}"));
            Ok(Code::Failure)
        }
        Ended::Signal(_) => Ok(Code::Interrupted),
    }
}

/// The host of a task's living agent.
pub(in crate::cli) fn require_host(ctx: &Context, task: &Task) -> Result<HostId, Failure> {
    let id = task.id;
    let Some(attempt) = task.attempt() else {
        let text = format!("{id} has not been started, so there is no terminal");
        return Err(Failure::new(Code::Failure, text).hint(format!("standup start {id}")));
    };
    let layout = &ctx.place()?.layout;
    let host = match &attempt.phase {
        Phase::Live { facts, .. } => Some(facts.id.clone()),
        Phase::Launching { host, .. } => Some(host.clone()),
        Phase::Preparing { .. } | Phase::Ended { .. } => None,
    };
    match host {
        Some(host) if registry::find(&layout.host_dir(&host), host.clone())?.alive => Ok(host),
        host => Err(no_terminal(id, attempt, host.is_some())),
    }
}

fn no_terminal(id: TaskId, attempt: &Attempt, had_host: bool) -> Failure {
    let text = match &attempt.phase {
        Phase::Preparing { .. } => {
            return Failure::new(Code::Failure, format!("the worktree of {id} is still being made"))
                .hint(format!("standup wait {id} --for working"));
        }
        Phase::Ended { end, .. } => {
            format!("the agent of {id} runs no more: {}", crate::board::view::end_text(end))
        }
        _ if had_host => format!("the agent of {id} runs no more, and its end has not been taken note of yet"),
        _ => format!("the agent of {id} does not run"),
    };
    Failure::new(Code::Failure, text).hint(format!("standup logs {id}")).hint(format!("standup start {id}"))
}
