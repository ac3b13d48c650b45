//! The program: finds out which of its lives this is.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use standup::client::control::report;
use standup::wire::control::Request;

fn main() -> ExitCode {
    // A host lives as long as its agent and forks while it is single-threaded: nothing else of
    // this program runs in it.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "__host") {
        return ExitCode::from(standup::host::main());
    }
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "hook") {
        hook();
        return ExitCode::SUCCESS;
    }
    standup::cli::main()
}

/// A CLI's hook: its payload goes to the supervisor, or nowhere. Never fails and never holds an
/// agent up.
fn hook() {
    let mut args = std::env::args().skip(2);
    let Some(dialect) = args.next() else { return };
    let text = match args.next_back() {
        Some(text) => text,
        None => {
            let mut text = String::new();
            let limit = standup::agent::hook::MAX_PAYLOAD as u64;
            let _ = std::io::stdin().lock().take(limit).read_to_string(&mut text);
            text
        }
    };
    let (Ok(payload), Some(socket), Ok(token)) =
        (serde_json::from_str(&text), std::env::var_os("STANDUP_SOCKET"), std::env::var("STANDUP_TOKEN"))
    else {
        return;
    };
    let _ = report(Path::new(&socket), &token, &Request::Hook { dialect, payload });
}
