//! One file per verb.

pub mod host;
