//! The host process on its own: a small program, of which many run at once.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(standup::host::main())
}
