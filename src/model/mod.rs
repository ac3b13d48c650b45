//! The nouns: what there is, as types in which wrong states cannot be written down.
//!
//! **Invariant:** pure; nothing here reads a clock, a file or a random number. Must not know:
//! any other room.

pub mod checkin;
pub mod id;
pub mod name;
pub mod settings;
pub mod state;
pub mod text;
pub mod time;
pub mod verdict;
