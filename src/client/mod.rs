//! Speaks to a supervisor, or straight to a host.
//!
//! **Invariant:** nothing here decides what a person sees; a terminal that is handed to an agent
//! is always given back as it was. Must not know: policy, git, the board's looks.

pub mod control;
