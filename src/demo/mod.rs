//! The demo: a scratch repository with tasks, and the scripted player that works on them.
//!
//! [`scratch`] lays the repository and its briefs; [`player`] is the agent behind the hidden verb
//! `__demo-agent`: a real program on a real terminal that edits, commits, asks, checks in, fails
//! once and mends it; [`tour`] gives the commands and follows what happens. **Invariant:** friendly
//! acts only, and nothing outside the folder it was started in. Must not know: policy; the demo
//! goes through the same doors as any other agent, any other person and any other repository.

mod answer;
pub mod keys;
pub mod narrate;
pub mod player;
mod report;
pub mod scratch;
pub mod script;
pub mod tour;
pub mod tty;
