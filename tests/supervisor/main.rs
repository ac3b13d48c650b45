//! The supervisor as a process: real sockets, real worktrees, real hosts, `kill -9`.

#[expect(dead_code, reason = "the promises use the rest of it")]
#[path = "../support/peer.rs"]
mod peer;
#[expect(dead_code, unreachable_pub, reason = "the tests of the command line use the rest of it, as a room of theirs")]
#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/scene.rs"]
mod scene;

mod asks;
mod control;
mod deadlines;
mod edits;
mod hooks;
mod leases;
mod mail;
mod paths;
mod plans;
mod preparing;
mod reports;
mod settings;
mod silence;
mod starting;
mod stopping;
mod surviving;
mod takeover;
mod tools;
mod usage;
mod versions;
mod work;
