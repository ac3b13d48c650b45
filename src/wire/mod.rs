//! What goes over sockets: `control` (JSON lines) and `host` (tag, length, bytes).
//!
//! **Invariant:** pure; bytes in, values out. Must not know: sockets, what is done with a value.

pub mod control;
pub mod host;
