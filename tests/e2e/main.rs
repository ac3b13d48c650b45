//! The binary from outside, and the instruments that are used for it.

mod instruments;
#[path = "../support/mod.rs"]
mod support;
