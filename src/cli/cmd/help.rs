//! stub
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
/// Help
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}
pub(in crate::cli) fn run(_: Args, _: &Context) -> Result<Code, Failure> {
    Ok(Code::Ok)
}
