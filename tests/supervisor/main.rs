//! The supervisor as a process: real sockets, real worktrees, real hosts, `kill -9`.

mod scene;

mod work;
