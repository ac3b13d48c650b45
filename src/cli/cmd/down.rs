//! `standup down`: start nothing more; with `--all`, end everything that runs.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::Interrupts;
use crate::client::control::ClientError;
use crate::host::registry;
use crate::model::attempt::StopWhy;
use crate::model::input::Command;
use crate::os::lock;
use crate::wire::control::Request;

/// All agents end at the same time; each has some seconds, and what it left behind some more.
const LIMIT: Duration = Duration::from_secs(120);

/// How often it is looked whether the supervisor has let go of its lock.
const LOOK: Duration = Duration::from_millis(20);

/// Start nothing more; agents go on, or end too with --all
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Stop every agent, then the supervisor; returns when all are gone
    #[arg(long)]
    all: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    if args.all { all(ctx) } else { dispatch_off(ctx) }
}

fn dispatch_off(ctx: &Context) -> Result<Code, Failure> {
    let seen = ctx.seen()?;
    let agents = seen.board.tasks.values().filter(|t| t.attempt().is_some_and(|a| a.is_active())).count();
    if seen.supervisor.is_some() || seen.board.dispatch {
        // Not even for the moment before it hears of it.
        ctx.still_client()?.command(Command::Dispatch { on: false }, Vec::new())?;
    }
    if ctx.ui.json {
        ctx.ui.json(&Document::new("down", serde_json::json!({"all": false, "agents": agents})))?;
        return Ok(Code::Ok);
    }
    let rest = match agents {
        0 => "no agent runs".to_owned(),
        1 => "1 agent goes on".to_owned(),
        n => format!("{n} agents go on"),
    };
    ctx.ui.answer(&format!("Nothing more is started; {rest}."))?;
    if agents > 0 {
        ctx.ui.hint("standup down --all");
    }
    Ok(Code::Ok)
}

fn all(ctx: &Context) -> Result<Code, Failure> {
    let layout = &ctx.place()?.layout;
    let alive = || -> Result<usize, Failure> {
        Ok(registry::list(&layout.hosts_dir())?.iter().filter(|host| host.alive).count())
    };
    let agents = alive()?;
    // Hosts that outlived their supervisor are ended by a new one: it knows whose they are.
    let client = if agents > 0 { Some(ctx.still_client()?) } else { ctx.running()? };
    if let Some(mut client) = client {
        if agents > 0 {
            ctx.ui.say(&format!("stopping {agents} {}", if agents == 1 { "agent" } else { "agents" }));
        }
        let mut interrupts = Interrupts::catch()?;
        client.set_patience(Some(LIMIT))?;
        match client.ask(&Request::Down { why: StopWhy::Down }) {
            // It answers when all are stopped, or ends before the answer is read.
            Ok(_) | Err(ClientError::Broken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        drop(client);
        let until = Instant::now() + LIMIT;
        while lock::is_held(&layout.supervisor_lock())? {
            if Instant::now() >= until {
                return Err(
                    Failure::new(Code::Failure, "the supervisor has not ended").hint("standup supervisor status")
                );
            }
            interrupts.sleep(LOOK)?;
        }
    }
    let left = alive()?;
    if left > 0 {
        let text = format!("{left} of {agents} agents have not ended");
        return Err(Failure::new(Code::Failure, text).hint("standup down --all"));
    }
    if ctx.ui.json {
        ctx.ui.json(&Document::new("down", serde_json::json!({"all": true, "agents": agents})))?;
    } else {
        ctx.ui.answer("Nothing runs any more.")?;
    }
    Ok(Code::Ok)
}
