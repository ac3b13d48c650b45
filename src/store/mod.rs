//! What outlives the supervisor: the event log, and where everything lies on disk.
//!
//! **Invariant:** the append-only `event` table is the truth; every other table and file here can
//! be made again from it or is asked of the world. What a successful call acknowledged is on disk.
//! Must not know: what events mean, git, hosts, agents.

pub mod approvals;
mod batch;
mod error;
pub mod fence;
mod files;
pub mod layout;
pub mod log;
pub mod record;
mod schema;
pub mod slots;
pub mod token;
mod wait;

pub use error::StoreError;
