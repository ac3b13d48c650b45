//! `standup done`: an agent says that its work is ready, which starts the checks.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::checkin::{CheckIn, Claim};

use super::check_in;

/// Report that the work is done and committed; starts the checks
///
/// For agents. The same as `check-in --state ready`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What you did
    #[arg(long, value_name = "TEXT", default_value = "")]
    did: String,
    /// What whoever goes on from here should know
    #[arg(long, value_name = "TEXT", default_value = "")]
    next: String,
    /// Acceptance criteria that are met, by number
    #[arg(long, value_name = "N", value_delimiter = ',')]
    met: Vec<u32>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let check_in = CheckIn { did: args.did, next: args.next, met: args.met, ..CheckIn::of(Claim::Ready) };
    check_in::report(&check_in, ctx)
}
