//! Speaks to a supervisor, or straight to a host: [`attach`] is a person's terminal on an agent's
//! PTY, and works while no supervisor runs.
//!
//! **Invariant:** a terminal that was lent to this room is given back as it was. Must not know:
//! arguments, exit codes, what a task is.

pub mod attach;
pub mod chord;
mod modes;
pub mod terminal;
