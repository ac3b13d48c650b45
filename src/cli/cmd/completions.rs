//! `standup completions`: what a shell must know to complete.

use clap_complete::Shell;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "bash:  standup completions bash > ~/.local/share/bash-completion/completions/standup\n\
    zsh:   standup completions zsh > a folder of $fpath, as _standup\n\
    fish:  standup completions fish > ~/.config/fish/completions/standup.fish")]
pub(in crate::cli) struct Args {
    /// Which
    #[arg(value_enum)]
    shell: Shell,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "standup", &mut out);
    ctx.ui.raw(&out)?;
    Ok(Code::Ok)
}
