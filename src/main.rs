//! The program: finds out which of its lives this is.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A host lives as long as its agent and forks while it is single-threaded: nothing else of
    // this program runs in it.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "__host") {
        return ExitCode::from(standup::host::main());
    }
    standup::cli::main()
}
