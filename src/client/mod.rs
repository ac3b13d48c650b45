//! Speaks to a supervisor, or straight to a host: [`attach`] is a person's terminal on an agent's
//! PTY, and works while no supervisor runs; [`control`] asks a supervisor.
//!
//! **Invariant:** a terminal that was lent to this room is given back as it was. Must not know:
//! policy, git, the board's looks, an agent's dialect.

pub mod attach;
pub mod chord;
pub mod control;
pub mod mail;
mod modes;
pub mod scope;
pub mod terminal;
