//! What each agent CLI speaks: launch, resume, reports, hooks, screens; and how signals are weighed.
//!
//! Dialects are data ([`adapter`], `builtin/*.toml`) wherever that is possible, because they change
//! weekly and a user must be able to mend one without a new binary. Code reads what arrives
//! ([`psp`], [`hook`], [`status_file`], [`title`], [`screen`], [`transcript`], [`usage`]) and one weigher per
//! attempt ([`signal`]) turns it into a run state that says who said so.
//!
//! **Invariant:** pure; text and bytes in, values out. Nothing here promotes an agent to "turn
//! over" without evidence, and a screen may only promote it to "waiting". Must not know: how the
//! bytes travel, what policy makes of a state.

pub mod adapter;
pub mod dialog;
pub mod evidence;
pub mod hook;
pub mod launch;
pub mod limit;
pub mod message;
pub mod offer;
pub mod placeholder;
pub mod plain;
pub mod preamble;
pub mod prose;
pub mod psp;
pub mod quote;
pub mod screen;
pub mod signal;
pub mod stage;
pub mod status_file;
pub mod title;
pub mod transcript;
pub mod usage;
