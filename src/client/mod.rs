//! Speaks to a supervisor, or straight to a host.
//!
//! **Invariant:** nothing here decides what a person sees; a terminal that is handed to an agent
//! is always given back as it was. Must not know: policy, git, the board's looks.

pub mod control;
//! Speaks to a supervisor, or straight to a host: [`attach`] is a person's terminal on an agent's
//! PTY, and works while no supervisor runs.
//! **Invariant:** a terminal that was lent to this room is given back as it was. Must not know:
//! arguments, exit codes, what a task is.

pub mod attach;
pub mod chord;
mod modes;
pub mod terminal;
