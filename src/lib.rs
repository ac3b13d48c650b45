//! The map of `standup`: *the stand-up for your coding agents*.
//!
//! A **supervisor** creates one git worktree per task, starts the agent's CLI in a PTY inside it,
//! watches files and test results, and enforces WIP limits. A small **host** process owns each
//! PTY, so that agents outlive the supervisor. The core decides and touches nothing; the shell
//! around it touches and decides nothing.
//!
//! ```text
//!  floor 5   cli          arguments, output, exit codes; one file per verb
//!  floor 4   board  demo  what a person sees; the scratch repository and its scripted agents
//!            mcp          the tools that an agent's CLI is given
//!  floor 3   supervisor   joins policy to the world     client   speaks to a supervisor or a host
//!  floor 2   store  git  host  watch  verify            each touches one outside, never each other
//!  floor 1   policy  agent  config  brief  wire  report pure; never import each other
//!  floor 0   model                                      pure nouns
//!  cellar    os           clock, processes, files, locks, sockets; open from floor 2 up
//! ```
//!
//! # Invariants
//!
//! - A room imports strictly lower floors; `tests/architecture.rs` holds the table and fails otherwise.
//! - Pure rooms know no clock, no randomness, no file, no process, no socket, no `HashMap`.
//! - The events of a step are durable before any of its actions starts.
//! - Only `host` writes into an agent's terminal, behind one guard; only `git::cli` runs git;
//!   only `os::clock` reads the time; only `os` spawns processes, and `host::pty` the agent.
//! - A host knows no dialect of any agent: hosts outlive upgrades, dialects change weekly.

pub mod os;

pub mod model;

pub mod agent;
pub mod brief;
pub mod config;
pub mod policy;
pub mod report;
pub mod wire;

pub mod git;
pub mod host;
pub mod store;
pub mod verify;
pub mod watch;

pub mod client;
pub mod supervisor;

pub mod board;
pub mod demo;
pub mod mcp;

pub mod cli;
