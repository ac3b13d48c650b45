//! The supervisor as a process: real sockets, real worktrees, real hosts, `kill -9`.

#[path = "../support/scene.rs"]
mod scene;

mod work;
