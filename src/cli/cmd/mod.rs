//! The verbs, one a file: its arguments, and `run`, which carries it out.

use std::ffi::OsString;

pub(in crate::cli) mod agents;
pub(in crate::cli) mod completions;
pub(in crate::cli) mod config;
pub mod host;
pub(in crate::cli) mod init;
pub(in crate::cli) mod man;
pub(in crate::cli) mod reset;
pub(in crate::cli) mod status;
pub(in crate::cli) mod supervisor;
pub(in crate::cli) mod trust;

/// The scripted agent of the demo, on this process's own terminal.
pub(in crate::cli) fn demo_agent(args: &[OsString]) -> u8 {
    use super::error::{Code, Failure};
    match crate::demo::player::run(args.iter().cloned()) {
        Ok(code) => code,
        Err(error) => {
            super::ui::Ui::new(false, false, false, true, super::ui::Color::Auto).fail(&Failure::of(&error));
            Code::Failure.number()
        }
    }
}
