//! `standup man`: manual pages.

use std::path::PathBuf;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::os::file::FileError;

/// Print the manual page, or write one for every verb
#[derive(Debug, clap::Args)]
#[command(after_long_help = "To read it: standup man | man -l -")]
pub(in crate::cli) struct Args {
    /// Write standup.1 and standup-VERB.1 into this folder
    #[arg(long = "dir", value_name = "DIR")]
    pages: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let Some(dir) = args.pages.map(|dir| ctx.path(&dir)) else {
        let mut page = Vec::new();
        clap_mangen::Man::new(args::command()).render(&mut page)?;
        ctx.ui.raw(&page)?;
        return Ok(Code::Ok);
    };
    std::fs::create_dir_all(&dir).map_err(|e| FileError::io("create", &dir, e))?;
    clap_mangen::generate_to(args::command(), &dir).map_err(|e| FileError::io("write", &dir, e))?;
    ctx.ui.say(&format!("wrote the pages into {}", dir.display()));
    Ok(Code::Ok)
}
