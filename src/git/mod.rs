//! Everything git: the CLI for whatever writes or must agree with git, `git2` for fast reads.
//!
//! An agent can write the shared configuration, its own index and its own `.git`. So what we run
//! reads none of them: files are checked out and looked at through a private git folder whose
//! configuration is ours (`private`).
//!
//! **Invariant:** no git that we start runs a program that a repository or an agent named, unless
//! a person approved exactly that program; and nothing is removed that this room did not make.
//! Must not know: tasks, policy, the database, agents' dialects.

mod base;
mod carry;
pub mod cli;
pub mod error;
pub mod grant;
pub mod locks;
mod private;
mod register;
mod removal;
pub mod repo;
pub mod shadow;
pub mod site;
mod tree;
pub mod worktree;

pub use cli::Git;
pub use error::GitError;
pub use repo::Repository;
pub use shadow::Shadow;
pub use site::Site;
