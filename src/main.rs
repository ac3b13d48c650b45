//! The program: finds out which of its lives this is.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use standup::cli::cmd::host;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|verb| verb.to_str()) {
        Some("__host") => ExitCode::from(standup::host::main()),
        Some("host") => match host::run(&args[1..], &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let mut text = format!("error: {error}");
                let mut cause = std::error::Error::source(&error);
                while let Some(inner) = cause {
                    text.push_str(&format!(": {inner}"));
                    cause = inner.source();
                }
                let _ = writeln!(std::io::stderr(), "{text}");
                ExitCode::from(error.code())
            }
        },
        Some("-C") if args.get(2).is_some_and(|v| v == "supervisor") => {
            let place = standup::supervisor::place::Place::find(std::path::Path::new(&args[1]));
            let ran = place.map_err(|e| e.to_string()).and_then(|place| {
                standup::supervisor::run::run(place, Some(&mut std::io::stdout())).map_err(|e| e.to_string())
            });
            match ran {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let _ = writeln!(std::io::stderr(), "error: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => ExitCode::from(2),
    }
}
