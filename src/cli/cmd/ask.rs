//! `standup ask`: an agent asks a person, and may wait for the answer.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::client::mail::{Heard, Mail, MailError, Way};
use crate::model::checkin::{CheckIn, Via};
use crate::model::time::Span;

/// How long one request waits. Longer waits are several: a supervisor may be exchanged meanwhile.
const ONE_WAIT: Duration = Duration::from_secs(60);

/// Between two tries while no supervisor can be reached.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Ask a person something only a person can decide
///
/// For agents. Without --wait, end your turn: the answer is your next message. With it, the answer
/// is printed; exit 124 says that none came in time, and then it is typed to you later.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The question
    question: String,
    /// An answer to choose from (repeatable)
    #[arg(long, visible_alias = "option", value_name = "TEXT")]
    options: Vec<String>,
    /// Wait for the answer, and print it
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this: 30s, 5m
    #[arg(long, value_name = "TIME", requires = "wait")]
    timeout: Option<Span>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let given = CheckIn::question(&args.question, &args.options);
    let question = given.clone().bounded();
    if question.question.is_none() {
        return Err(Failure::new(Code::Usage, "the question is empty"));
    }
    let mail = super::check_in::mail(ctx);
    if !args.wait {
        let way = mail.check_in(&question, Via::Socket)?;
        return asked(ctx, &way, &given, None);
    }
    let way = mail.ask_and_listen(&question, Via::Socket)?;
    let until = args.timeout.map(|limit| Instant::now() + limit.to_std());
    match wait(&mail, way == Way::Socket, until, ctx)? {
        Heard::Said(text) => asked(ctx, &way, &given, Some(&text)),
        Heard::Settled => {
            ctx.ui.say("there is no question any more: it was answered in the terminal");
            asked(ctx, &way, &given, None)
        }
        Heard::Nothing => Err(Failure::new(Code::TimedOut, "nobody has answered yet; the question stays on the board")
            .hint("end your turn: the answer will be your next message")),
    }
}

/// Waits for an answer, over restarts of the supervisor.
fn wait(mail: &Mail, reached: bool, until: Option<Instant>, ctx: &Context) -> Result<Heard, Failure> {
    loop {
        let left = until.map_or(ONE_WAIT, |until| until.saturating_duration_since(Instant::now()));
        match mail.hear(left.min(ONE_WAIT)) {
            Ok(Heard::Nothing) => {}
            Ok(heard) => return Ok(heard),
            // Where none can be reached from the start, as from a sandbox, none ever will be.
            Err(MailError::Unreachable { why }) if !reached => {
                let text = format!("the question is in the outbox; an answer cannot be waited for from here: {why}");
                return Err(
                    Failure::new(Code::Unreachable, text).hint("end your turn: the answer will be your next message")
                );
            }
            Err(MailError::Unreachable { why }) => {
                ctx.ui.detail(&format!("the supervisor is not reached ({why})"));
                std::thread::sleep(TRY_AGAIN.min(left));
            }
            Err(error) => return Err(error.into()),
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Heard::Nothing);
        }
    }
}

fn asked(ctx: &Context, way: &Way, given: &CheckIn, answer: Option<&str>) -> Result<Code, Failure> {
    if ctx.ui.json {
        let mut body = super::check_in::said(way, given);
        body["answer"] = answer.into();
        ctx.ui.json(&Document::new("asked", body))?;
    } else if let Some(answer) = answer {
        ctx.ui.answer(answer)?;
    } else {
        match way {
            Way::Socket => ctx.ui.answer("asked; a person sees it on the board")?,
            Way::Outbox { path, .. } => ctx.ui.answer(&format!("asked through the outbox: {}", path.display()))?,
        }
        super::check_in::say_cut(given, ctx)?;
    }
    Ok(Code::Ok)
}
