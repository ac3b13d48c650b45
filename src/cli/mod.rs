//! Arguments, output and exit codes; one file per verb.

pub mod cmd;
