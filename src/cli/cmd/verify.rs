//! `standup verify`: run the checks of a task in its worktree, now.

use std::time::{Duration, Instant};

use crate::board::doc::{self, Document};
use crate::board::{text, view};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::astray::Astray;
use crate::model::board::{Board, Task};
use crate::model::event::Event;
use crate::model::id::{AttemptId, CheckRun, Seq};
use crate::model::input::{Command, Reply};
use crate::model::text::clean_line;
use crate::model::time::Span;
use crate::model::verdict::VerdictOutcome;
use crate::supervisor::journal;

/// How often it is said that checks still run.
const REMIND: Duration = Duration::from_secs(30);

/// Run a task's checks in its worktree and show the evidence
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Return as soon as they run
    #[arg(long)]
    no_wait: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let mut client = ctx.client()?;
    let (reply, seq) = client.command(Command::Verify { task }, Vec::new())?;
    let Reply::Attempt { attempt } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say which attempt it checks"));
    };
    let checking = client.board()?.board.attempt(attempt).and_then(|a| Some(a.checking.as_ref()?.run));
    drop(client);
    if args.no_wait {
        return started(ctx, attempt);
    }
    ctx.ui.say(&format!("checking {attempt}"));
    wait(ctx, attempt, checking, seq)?;
    let seen = ctx.seen()?;
    let scene = ctx.scene(&seen)?;
    let found = view::task(&seen.board, &seen.board.tasks[&task], &scene);
    let Some(verdict) = &found.verdict else {
        let text = format!("the checks of {attempt} ended without a verdict");
        return Err(Failure::new(Code::Failure, text).hint(format!("standup show {task}")));
    };
    if ctx.ui.json {
        let body = serde_json::json!({"task": task, "attempt": attempt.no, "verdict": verdict});
        ctx.ui.json(&Document::new("verify", body))?;
    } else {
        let tails = seen.board.attempt(attempt).and_then(|a| a.judged.as_ref()).map(|j| &j.verdict);
        ctx.ui.answer(&text::evidence(&found, tails, &ctx.ui))?;
        hints(ctx, &found, verdict, &seen.board);
    }
    Ok(if verdict.outcome == VerdictOutcome::Green { Code::Ok } else { Code::NotMet })
}

fn started(ctx: &Context, attempt: AttemptId) -> Result<Code, Failure> {
    if ctx.ui.json {
        let none: Option<()> = None;
        let body = serde_json::json!({"task": attempt.task, "attempt": attempt.no, "verdict": none});
        ctx.ui.json(&Document::new("verify", body))?;
    } else {
        ctx.ui.answer(&format!("{attempt}: checks run"))?;
        ctx.ui.hint(&format!("standup verify {}", attempt.task));
    }
    Ok(Code::Ok)
}

fn hints(ctx: &Context, task: &doc::Task, verdict: &doc::Verdict, board: &Board) {
    let attempt = board.tasks.get(&task.id).and_then(Task::attempt);
    if let Some(attempt) = attempt.filter(|a| matches!(a.astray, Some(Astray::Broken { .. }))) {
        ctx.ui
            .say(&format!("no check can run there; what was committed is on {}", clean_line(attempt.branch.as_str())));
        if attempt.worktree.is_dir() {
            ctx.ui.hint(&format!("git worktree repair && standup verify {}    # where its .git was changed", task.id));
        }
        return ctx.ui.hint(&format!("standup retry {}    # a new worktree", task.id));
    }
    // What did not run wrote nothing.
    if verdict.outcome == VerdictOutcome::Error && verdict.checks.iter().all(|check| check.exit_code.is_none()) {
        return ctx.ui.hint(&format!("standup show {}", task.id));
    }
    if verdict.outcome == VerdictOutcome::None {
        ctx.ui.say("there are no checks: add [[verify.check]] to agents.toml, or a block marked verify to the brief");
    }
    let failed = verdict.checks.iter().find(|c| c.outcome != crate::model::verdict::CheckOutcome::Pass);
    if let Some(check) = failed {
        ctx.ui.hint(&format!("standup logs {} --check {}", task.id, check.name));
    }
}

/// Waits for the verdict of a run that began before `seq`; of none, if it had ended by then.
fn wait(ctx: &Context, attempt: AttemptId, run: Option<CheckRun>, seq: Seq) -> Result<(), Failure> {
    let Some(run) = run else { return Ok(()) };
    let mut interrupts = Interrupts::catch()?;
    let mut tail = Tail::from(ctx, seq)?;
    let began = Instant::now();
    loop {
        for stored in tail.wait(&mut interrupts, REMIND)? {
            let Some(logged) = journal::logged(&stored) else { continue };
            match logged.record.event {
                Event::VerdictReached { run: of, .. } if of == run => return Ok(()),
                Event::ChecksDropped { run: of, why } if of == run => {
                    let text = format!("the checks of {attempt} were dropped: {why}");
                    return Err(Failure::new(Code::Failure, text).hint(format!("standup show {}", attempt.task)));
                }
                _ => {}
            }
        }
        let gone = ctx.running()?.is_none();
        if gone {
            let text = format!("the supervisor ended while the checks of {attempt} ran");
            return Err(Failure::new(Code::Unreachable, text).hint("standup up"));
        }
        if began.elapsed() >= REMIND {
            ctx.ui.say(&format!("checking {attempt} for {}", Span::secs(began.elapsed().as_secs())));
        }
    }
}
