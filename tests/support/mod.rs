//! What the test binaries share. Each of them takes it in by
//! `#[path = "../support/mod.rs"] mod support;`.
//!
//! **Invariant:** everything started here is ended here, by its own handle, when it is dropped.

#![expect(dead_code, reason = "no test binary uses all of it")]
#![expect(unreachable_pub, reason = "what is offered to test binaries reads as an interface")]

pub mod pty;
pub mod rig;

use std::path::PathBuf;

/// The fake agent: `fake-agent --list` prints what it does.
pub fn fake_agent() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fake-agent"))
}
