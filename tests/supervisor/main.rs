//! The supervisor as a process: real sockets, real worktrees, real hosts, `kill -9`.

#[path = "../support/scene.rs"]
mod scene;

mod asks;
mod control;
mod deadlines;
mod hooks;
mod mail;
mod reports;
mod settings;
mod starting;
mod stopping;
mod surviving;
mod takeover;
mod work;
