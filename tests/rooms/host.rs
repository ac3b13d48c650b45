//! Hosts as real processes: agents that end at once, flood, never read, leave daemons; clients that
//! never read; hosts that are killed.

mod bench;
mod clients;
mod ends;
mod guard;
mod lease;

use bench::{Bench, Link, wait_until};
