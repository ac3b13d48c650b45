//! The nouns: what there is, as types in which wrong states cannot be written down.
//!
//! **Invariant:** pure; nothing here reads a clock, a file or a random number. Must not know:
//! any other room.

pub mod action;
pub mod astray;
pub mod attempt;
pub mod board;
pub mod checkin;
pub mod dialog;
pub mod event;
pub mod id;
pub mod input;
pub mod lease;
pub mod message;
pub mod name;
pub mod rhythm;
pub mod settings;
pub mod state;
pub mod task;
pub mod text;
pub mod time;
pub mod usage;
pub mod verdict;
