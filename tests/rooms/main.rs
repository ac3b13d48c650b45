//! Each room of floor 2 against the real outside: files, processes, full disks.

mod attach;
mod brief;
mod git;
mod host;
mod store;
mod verify;
mod watch;
