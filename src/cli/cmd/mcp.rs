//! `standup mcp`: the tools that an agent's CLI is given, over stdin and stdout.

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::ui;
use crate::mcp;

/// Offer an agent its tools (check_in, ask_human, get_brief, run_checks) over MCP
///
/// For agents' CLIs: standup starts them with this configured.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}

pub(in crate::cli) fn run(_: Args, ctx: &Context) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mail = super::check_in::mail(ctx);
    let done = runtime.block_on(async {
        let (input, output) = ui::streams();
        mcp::serve(mail, input, output).await
    });
    // A call that still waits, and the read of an input that never ends, are nobody's any more.
    runtime.shutdown_background();
    done.map(|()| Code::Ok).map_err(|error| Failure::of(&error))
}
