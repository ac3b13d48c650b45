//! Arguments, output and exit codes; one file per verb.
//!
//! **Invariant:** stdout is the answer and stderr the narration; a verb that fails has printed no
//! answer, says why in one sentence, what to do in lines to paste, and ends with one of the codes
//! of [`error::Code`]. Must not know: how anything is decided or done.

mod args;
mod briefs;
pub mod cmd;
mod context;
pub mod error;
mod named;
#[cfg(test)]
mod sample;
mod since;
mod tail;
mod task;
pub mod ui;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use args::Cli;
use context::Context;
use error::{Code, Failure};

use crate::model::text::nearest;

/// The whole life of the command line: reads the arguments, carries out the verb, says what went
/// wrong.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|verb| verb.to_str()) {
        Some("__demo-agent") => return ExitCode::from(cmd::demo_agent(&args[2..])),
        // Neither of the two may wait for all the others' arguments to be laid out.
        Some("host") => return ExitCode::from(cmd::host::bare(&args[2..])),
        Some("--version" | "-V") if args.len() == 2 => return version(),
        Some("hook") => {
            cmd::hook::bare(&args[2..]);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let (ui, done) = match panic::catch_unwind(|| read(&args)) {
        Ok(Ok(cli)) => {
            let ctx = Context::new(cli.global);
            let verb = panic::AssertUnwindSafe(|| cli.verb.unwrap_or_default().run(&ctx));
            (ctx.ui.clone(), panic::catch_unwind(verb).unwrap_or_else(|_| Err(bug())))
        }
        Ok(Err(unread)) => (args::ui_of(&args), unread),
        Err(_) => (args::ui_of(&args), Err(bug())),
    };
    let code = match done {
        Ok(code) => {
            ui.release();
            code
        }
        Err(failure) => {
            ui.fail(&failure);
            failure.code
        }
    };
    ExitCode::from(code.number())
}

/// What scripts ask most often is answered before the arguments of all verbs are laid out.
fn version() -> ExitCode {
    let ui = ui::Ui::new(false, false, false, true, ui::Color::Never);
    let said = ui.answer(concat!("standup ", env!("CARGO_PKG_VERSION")));
    ExitCode::from(said.map_or_else(|failure| failure.code, |()| Code::Ok).number())
}

/// Reads the arguments. Where there is nothing to carry out, what came of it instead: a help
/// text, a version, or what is wrong with them.
fn read(args: &[OsString]) -> Result<Cli, Result<Code, Failure>> {
    let parsed = args::command().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    parsed.map_err(|error| {
        let ui = args::ui_of(args);
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let text = error.render();
                let text = if ui.colors() { text.ansi().to_string() } else { text.to_string() };
                ui.answer(&text).map(|()| Code::Ok)
            }
            _ => Err(usage(&error, args)),
        }
    })
}

/// What is wrong with the arguments, as a failure like all others.
fn usage(error: &clap::Error, args: &[OsString]) -> Failure {
    if error.kind() == ErrorKind::InvalidSubcommand {
        return unknown_verb(error, args);
    }
    let text = error.render().to_string();
    let ends = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !ends(line)).collect();
    let tip = |line: &&str| line.starts_with("tip:");
    let message: Vec<&str> = said.iter().copied().filter(|line| !line.is_empty() && !tip(line)).collect();
    let message = message.join(" ");
    let mut failure = Failure::new(Code::Usage, message.strip_prefix("error: ").unwrap_or(&message));
    for line in said.iter().filter(|line| tip(line)) {
        failure = failure.hint(line.trim_start_matches("tip:").trim());
    }
    match args.iter().filter_map(|arg| arg.to_str()).find(|arg| args::command().find_subcommand(arg).is_some()) {
        Some(verb) => failure.hint(format!("standup {verb} --help")),
        None => failure.hint("standup --help"),
    }
}

/// Verbs that are meant to be and are not there yet, with what to do instead.
const NOT_YET: [(&str, &str, &str); 2] = [
    ("merge", "standup lands nothing yet: merge the branch as you like, then say so", "standup move T1 done"),
    ("clean", "standup removes nothing yet: remove worktree and branch with git", "standup help worktrees"),
];

/// A word that is no verb; the same line with the verb that was meant is there to paste.
fn unknown_verb(error: &clap::Error, args: &[OsString]) -> Failure {
    let written = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    if let Some((_, text, hint)) = NOT_YET.iter().find(|(verb, ..)| *verb == written) {
        return Failure::new(Code::Usage, *text).hint(*hint);
    }
    let text = format!("there is no verb {written:?}");
    let command = args::command();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name);
    let Some(near) = nearest(&written, verbs) else {
        return Failure::new(Code::Usage, text).hint("standup --help");
    };
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c));
    let words = args.iter().skip(1).map(|arg| arg.to_str().filter(plain));
    let line = words.map(|word| Some(if word? == written { near } else { word? })).collect::<Option<Vec<_>>>();
    let line = line.map_or_else(|| near.to_owned(), |words| words.join(" "));
    Failure::new(Code::Usage, format!("{text} (did you mean {near}?)")).hint(format!("standup {line}"))
}

/// What the person reads where we were wrong; the panic itself has been said above it.
fn bug() -> Failure {
    let text = format!("standup {} has a bug: it stopped in the middle of this command", env!("CARGO_PKG_VERSION"));
    Failure::new(Code::Bug, text)
        .hint("run it again with RUST_BACKTRACE=1 and report what it prints")
        .hint("standup status: agents are not affected")
}
