//! The binary from outside, and the instruments that are used for it.

mod demo;
mod house;
mod instruments;
mod real_agents;
#[path = "../support/mod.rs"]
mod support;
