//! What a person sees: documents for scripts, text for eyes, both made of the board alone.
//!
//! **Invariant:** pure; the same board and the same instant give the same bytes. Must not know:
//! terminals, files, sockets.

pub mod doc;
pub mod report;
pub mod sentence;
pub mod stats;
#[cfg(test)]
mod story;
pub mod text;
pub mod usage;
pub mod view;
pub mod when;
