//! `standup check-in`: an agent reports. The socket is tried first; the outbox always works.

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::client::mail::{Mail, MailError, Way};
use crate::model::checkin::{CheckIn, Claim, Via, cut_text};

/// Report where you stand: what you did, what is next, what is in the way
///
/// For agents. A claim moves no card; `--state ready` starts the checks.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where you stand
    #[arg(long, value_enum, default_value = "working")]
    state: State,
    /// What you did
    #[arg(long, value_name = "TEXT", default_value = "")]
    did: String,
    /// What you do next
    #[arg(long, value_name = "TEXT", default_value = "")]
    next: String,
    /// What is in the way (repeatable)
    #[arg(long, value_name = "TEXT")]
    blockers: Vec<String>,
    /// What a person must decide
    #[arg(long, value_name = "TEXT")]
    question: Option<String>,
    /// Acceptance criteria that are met, by number
    #[arg(long, value_name = "N", value_delimiter = ',')]
    met: Vec<u32>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum State {
    /// Going on
    Working,
    /// Something is in the way
    Blocked,
    /// A person must decide
    NeedsDecision,
    /// Done; starts the checks
    Ready,
    /// It cannot be done
    GivingUp,
}

impl From<State> for Claim {
    fn from(state: State) -> Self {
        match state {
            State::Working => Self::Working,
            State::Blocked => Self::Blocked,
            State::NeedsDecision => Self::NeedsDecision,
            State::Ready => Self::Ready,
            State::GivingUp => Self::GivingUp,
        }
    }
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let check_in = CheckIn {
        did: args.did,
        next: args.next,
        blockers: args.blockers,
        question: args.question,
        met: args.met,
        ..CheckIn::of(args.state.into())
    };
    if check_in.is_empty() {
        let text = "a check-in says something: what you did, what is next, or what is in the way";
        return Err(Failure::new(Code::Usage, text).hint("standup check-in --did \"…\" --next \"…\""));
    }
    report(&check_in, ctx)
}

/// The post of the attempt we are in.
pub(super) fn mail(ctx: &Context) -> Mail {
    Mail::find(|name| std::env::var_os(name), &ctx.dir)
}

/// Reports, and says which way.
pub(super) fn report(check_in: &CheckIn, ctx: &Context) -> Result<Code, Failure> {
    let way = mail(ctx).check_in(&check_in.clone().bounded(), Via::Socket)?;
    if ctx.ui.json {
        ctx.ui.json(&Document::new("checked-in", said(&way, check_in)))?;
        return Ok(Code::Ok);
    }
    match way {
        Way::Outbox { path, why } => {
            ctx.ui.detail(&format!("the supervisor was not reached ({why})"));
            ctx.ui.answer(&format!("checked in through the outbox: {}", path.display()))?;
        }
        Way::Socket => ctx.ui.answer("checked in with the supervisor")?,
    }
    say_cut(check_in, ctx)?;
    Ok(Code::Ok)
}

/// Says on a line of its own what is not kept: whoever wrote more should know.
pub(super) fn say_cut(check_in: &CheckIn, ctx: &Context) -> Result<(), Failure> {
    let cut = cut_text(&check_in.cut());
    if cut.is_empty() { Ok(()) } else { ctx.ui.answer(&cut) }
}

/// Which way something went, and what of it is not kept, for scripts.
pub(super) fn said(way: &Way, check_in: &CheckIn) -> serde_json::Value {
    let (via, path) = match way {
        Way::Socket => ("socket", None),
        Way::Outbox { path, .. } => ("outbox", Some(path.display().to_string())),
    };
    serde_json::json!({"via": via, "path": path, "cut": check_in.cut()})
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Refused(refusal) => refusal.into(),
            MailError::Unreachable { .. } => Self::new(Code::Unreachable, error.to_string()),
            MailError::File(_) => Self::of(&error),
            MailError::Elsewhere { .. } => Self::new(Code::Policy, error.to_string()),
            MailError::NoAttempt => Self::new(Code::Failure, error.to_string())
                .hint("standup check-in    # from inside of a task's worktree"),
        }
    }
}
