//! `standup reset`: gives a terminal back after a client that was killed.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::client::terminal;

/// Give this terminal back after an attach that was killed
#[derive(Debug, clap::Args)]
#[command(long_about = "Give this terminal back after an attach that was killed: line settings, modes, screen, \
    keyboard, colours and title go back to rest. What is printed stays.")]
pub(in crate::cli) struct Args {}

pub(in crate::cli) fn run(_: Args, ctx: &Context) -> Result<Code, Failure> {
    let sequence = terminal::reset_sequence();
    if std::io::stdin().is_terminal() && ctx.ui.is_terminal() {
        terminal::restore_sane(std::io::stdin())?;
        ctx.ui.raw(&sequence)?;
        return Ok(Code::Ok);
    }
    // The terminal this process belongs to, wherever its streams go.
    let none = |e| Failure::new(Code::Failure, format!("there is no terminal to reset: {e}"));
    let mut tty = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(none)?;
    terminal::restore_sane(&tty)?;
    tty.write_all(&sequence)?;
    Ok(Code::Ok)
}
