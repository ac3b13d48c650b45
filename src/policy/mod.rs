//! All decisions: a pure machine from inputs to events, actions and reasons.
//!
//! **Invariant:** [`Machine::step`] changes the board only through events, and the same events
//! folded again give the same board. What is only observed (slots, freshness, what can be typed
//! to) may be set without an event, because a restart observes it again.
//! Must not know: clocks, files, processes, git, agents' dialects.

pub mod merge;
mod note;
pub mod overlap;
pub mod quota;
pub mod relist;
pub mod rest;

mod admission;
mod again;
mod answer;
mod approval;
mod aside;
mod astray;
mod attention;
pub mod bases;
mod checkin;
mod checks;
mod claim;
mod command;
mod fold;
mod lifecycle;
mod limits;
mod machine;
mod mail;
mod messages;
mod passes;
mod pause;
mod plan;
mod ports;
mod reconcile;
mod rhythm;
mod room;
mod takeover;
mod teardown;
mod turn;

pub use admission::agent_for;
pub use again::{GO_ON, again, goes_on};
pub use approval::{required, unmet};
pub use attention::is_mute;
pub use limits::{unmeasured, untold};
pub use machine::{Machine, Step};
pub use mail::listens_now;
pub use messages::hears;
pub use rhythm::interval;
