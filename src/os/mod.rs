//! The cellar: clock, processes, files, locks, sockets and where things lie on this machine.
//!
//! Everything here is mechanism. **Invariant:** nothing in this room decides, and nothing in it
//! knows what a task, an agent or a worktree is.

pub mod clock;
pub mod detach;
pub mod exec;
pub mod failpoint;
pub mod file;
pub mod locate;
pub mod lock;
pub mod process;
pub mod run;
pub mod signal;
pub mod socket;
