//! What a host is told at its start, and what it answers.
//!
//! **Invariant:** a host needs nothing but its [`Spec`]: no settings, no repository, no dialect.
//! The spec comes as one JSON document on standard input; one JSON line answers on standard
//! output, [`Address`] or [`Failure`].

use serde::{Deserialize, Serialize};

use super::{Bytes, Size};
use crate::model::name::HostId;

/// The version of [`Spec`] that this build writes and the highest it reads.
pub const SPEC_SCHEMA: u32 = 1;

/// One process: its number and its start in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The number, which the kernel gives out again.
    pub pid: u32,
    /// The start time, which it does not.
    pub start: u64,
}

/// Everything a host needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// [`SPEC_SCHEMA`].
    pub schema: u32,
    /// The host's name.
    pub id: HostId,
    /// A word that no other start of this name has.
    pub nonce: String,
    /// The host's own folder, absolute; made if absent.
    pub dir: Bytes,
    /// Where it listens, absolute.
    pub socket: Bytes,
    /// The agent's program, absolute.
    pub program: Bytes,
    /// Its arguments, without the program's name.
    #[serde(default)]
    pub args: Vec<Bytes>,
    /// Its working directory, absolute.
    pub cwd: Bytes,
    /// Its whole environment.
    #[serde(default)]
    pub env: Vec<(Bytes, Bytes)>,
    /// The terminal's first size.
    pub size: Size,
    /// An entry `NAME=value` of the environment that only this host's processes carry. It is
    /// added to `env`.
    pub marker: String,
    /// Answers to OSC queries, as data.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// OSC numbers that report the agent's state: they are kept from clients, and guarded writes
    /// are refused when one came in between. The numbers of `answers` are such by themselves.
    #[serde(default)]
    pub reports: Vec<u32>,
    /// The fence to pass before the agent is started.
    #[serde(default)]
    pub fence: Option<Fence>,
    /// An inherited descriptor that is kept open for the host's life and not passed on.
    #[serde(default)]
    pub slot_fd: Option<i32>,
    /// Bytes of transcript on disk; 0 takes 64 MiB.
    #[serde(default)]
    pub transcript_cap_bytes: u64,
    /// Lines above the screen that are kept in memory; 0 takes 1000.
    #[serde(default)]
    pub scrollback: u32,
    /// Folders in which stale `*.lock` files are removed once every process is gone.
    #[serde(default)]
    pub lock_dirs: Vec<Bytes>,
    /// Typed into the terminal at the start, followed by end-of-file.
    #[serde(default)]
    pub stdin: Option<Bytes>,
    /// Milliseconds between TERM and KILL; 0 takes 2000.
    #[serde(default)]
    pub stop_grace_ms: u64,
    /// What it is made for, in the words of whoever starts it: it keeps them with what it leaves.
    #[serde(default)]
    pub made_for: String,
}

/// One query of the agent and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The OSC number.
    pub number: u32,
    /// The payload that is the query, after the first semicolon.
    pub query: Bytes,
    /// What to write into the agent's terminal, escape bytes included.
    pub reply: Bytes,
}

/// A file that holds the number of the task's newest attempt. It is read under its own lock; a
/// host whose number is lower leaves without starting the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The file, absolute: a decimal number.
    pub path: Bytes,
    /// This attempt's number.
    pub number: u64,
}

/// A host that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The host.
    pub host: Process,
    /// The agent.
    pub agent: Process,
    /// Where it listens.
    pub socket: Bytes,
    /// The nonce of its spec.
    pub nonce: String,
}

/// A host that could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why, as a sentence without a full stop.
    pub error: String,
    /// A word for programs: `fenced`, `taken`, `spawn`, `io`, `spec`.
    #[serde(default)]
    pub code: String,
}
