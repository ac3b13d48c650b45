//! Joins the pure machine to the world: the loop, the effects, the control socket.
//!
//! **Invariant:** only the driver changes the board, only the loop turns the driver, and the loop
//! only receives, turns and answers. Must not know: how anything looks to a person.

mod desk;
pub mod driver;
mod effects;
mod environment;
mod hosts;
pub mod journal;
mod notify;
mod permissions;
pub mod place;
mod remains;
pub mod run;
pub mod server;
mod sessions;
mod strangers;
pub mod surroundings;
pub mod token;
mod usage;
mod watching;
mod world;

pub use effects::{Preview, Shell, preview, shell};
