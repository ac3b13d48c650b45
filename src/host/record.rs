//! What a host leaves on disk: its intent, its identity, how its agent ended.
//!
//! **Invariant:** `spec.json` is durable before the agent starts and holds no value of a variable;
//! `status.json` is durable before anybody hears of the end. Must not know: the loop.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::name::HostId;
use crate::model::time::{Boot, Wall};
use crate::os::file::{self, FileError};
use crate::os::process::ProcessId;
use crate::wire::host::{Bytes, Spec};

/// The version of these files.
const SCHEMA: u32 = 1;

/// More than a host writes.
const MAX_FILE: u64 = 1 << 20;

/// Where room for the exit record is set aside, and how much: many times what one takes.
const RESERVED: &str = ".status.json";
const ROOM: usize = 4 << 10;

/// `pid`: who runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The version of this file.
    pub schema: u32,
    /// The nonce of the spec.
    pub nonce: String,
    /// The host.
    pub host: ProcessId,
    /// The agent.
    pub agent: ProcessId,
    /// The boot these numbers belong to.
    pub boot: Boot,
    /// Where the host listens.
    pub socket: Bytes,
    /// The environment entry that all of the agent's processes carry.
    pub marker: String,
    /// When the agent started.
    pub started_at: Wall,
    /// What the spec says that it is made for; empty in files of an older build.
    #[serde(default)]
    pub made_for: String,
}

/// `status.json`: how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The version of this file.
    pub schema: u32,
    /// The host's name.
    pub id: HostId,
    /// The nonce of the spec.
    pub nonce: String,
    /// The agent's exit code, unless a signal ended it or it never ran.
    pub code: Option<i32>,
    /// The signal that ended the agent.
    pub signal: Option<i32>,
    /// Why the agent never ran.
    pub error: Option<String>,
    /// Whether somebody asked for the stop.
    pub stopped: bool,
    /// When the agent started.
    pub started_at: Wall,
    /// When it was found to have ended.
    pub ended_at: Wall,
    /// Bytes the agent wrote.
    pub output_bytes: u64,
    /// Bytes of those that the transcript lost to a full disk.
    pub transcript_lost: u64,
    /// Bytes of input the agent never read.
    pub input_dropped: u64,
    /// Processes the agent left behind, which were ended.
    pub leftovers: usize,
    /// Stale lock files that were removed.
    pub locks_removed: Vec<Bytes>,
    /// Processor time of all that it started, in milliseconds; `None` where that was not seen.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// What the spec says that it was made for; empty in files of an older build.
    #[serde(default)]
    pub made_for: String,
}

impl ExitRecord {
    /// A record of a start that came to nothing.
    pub(super) fn never_ran(spec: &Spec, now: Wall, error: String) -> Self {
        Self::of_nothing(&spec.id, &spec.nonce, &spec.made_for, now, error)
    }

    /// The same, without its spec.
    pub(super) fn of_nothing(id: &HostId, nonce: &str, made_for: &str, now: Wall, error: String) -> Self {
        Self {
            schema: SCHEMA,
            id: id.clone(),
            nonce: nonce.to_owned(),
            code: None,
            signal: None,
            error: Some(error),
            stopped: false,
            started_at: now,
            ended_at: now,
            output_bytes: 0,
            transcript_lost: 0,
            input_dropped: 0,
            leftovers: 0,
            locks_removed: Vec::new(),
            cpu_ms: None,
            made_for: made_for.to_owned(),
        }
    }
}

#[derive(Serialize)]
struct Intent<'a> {
    schema: u32,
    id: &'a HostId,
    nonce: &'a str,
    program: &'a Bytes,
    args: &'a [Bytes],
    cwd: &'a Bytes,
    env_names: Vec<&'a Bytes>,
    rows: u16,
    cols: u16,
    marker: &'a str,
    fence: Option<u64>,
}

/// Writes `spec.json`, durable.
pub(super) fn write_intent(dir: &Path, spec: &Spec) -> Result<(), FileError> {
    let intent = Intent {
        schema: SCHEMA,
        id: &spec.id,
        nonce: &spec.nonce,
        program: &spec.program,
        args: &spec.args,
        cwd: &spec.cwd,
        env_names: spec.env.iter().map(|(name, _)| name).collect(),
        rows: spec.size.rows,
        cols: spec.size.cols,
        marker: &spec.marker,
        fence: spec.fence.as_ref().map(|fence| fence.number),
    };
    let path = dir.join("spec.json");
    let wrap = |e| FileError::io("write", &path, e);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_CLOEXEC);
    let mut file = options.open(&path).map_err(wrap)?;
    file.write_all(&to_json(&intent)).map_err(wrap)?;
    file.sync_all().map_err(wrap)?;
    file::sync_dir(dir)
}

/// Writes `pid`: whole or not at all. It speaks of living processes, so it need not outlive a
/// power cut.
pub(super) fn write_running(dir: &Path, running: &Running) -> Result<(), FileError> {
    let (path, temp) = (dir.join("pid"), dir.join(".pid"));
    std::fs::write(&temp, to_json(running))
        .and_then(|()| std::fs::rename(&temp, &path))
        .map_err(|e| FileError::io("write", &path, e))
}

/// Removes `pid`.
pub(super) fn remove_running(dir: &Path) -> Result<(), FileError> {
    let path = dir.join("pid");
    std::fs::remove_file(&path).map_err(|e| FileError::io("remove", &path, e))
}

/// Builds the content of `pid`.
pub(super) fn running(spec: &Spec, agent: ProcessId, boot: Boot, started_at: Wall) -> Running {
    Running {
        schema: SCHEMA,
        nonce: spec.nonce.clone(),
        host: ProcessId::own(),
        agent,
        boot,
        socket: spec.socket.clone(),
        marker: spec.marker.clone(),
        started_at,
        made_for: spec.made_for.clone(),
    }
}

/// Sets room aside for `status.json`: how an agent ended is told also where the disk is full by then.
pub(super) fn reserve_exit(dir: &Path) -> Result<(), FileError> {
    let path = dir.join(RESERVED);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_CLOEXEC);
    let file = options.open(&path);
    file.and_then(|mut file| file.write_all(&[b' '; ROOM])).map_err(|e| FileError::io("write", &path, e))
}

/// Writes `status.json`, durable, into the room that was set aside for it, where there is one.
pub(super) fn write_exit(dir: &Path, record: &ExitRecord) -> Result<(), FileError> {
    let (path, json) = (dir.join("status.json"), to_json(record));
    match OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open(dir.join(RESERVED)) {
        Ok(file) if json.len() <= ROOM => write_reserved(dir, file, &path, &json),
        _ => file::write_atomic(&path, &json, 0o600),
    }
}

/// Writes `status.json`, durable, for a host that never came up. The room set aside is that host's.
pub(super) fn write_given_up(dir: &Path, record: &ExitRecord) -> Result<(), FileError> {
    file::write_atomic(&dir.join("status.json"), &to_json(record), 0o600)
}

/// Over the bytes that are there: it takes no more room, and blanks may follow JSON.
fn write_reserved(dir: &Path, mut file: File, path: &Path, json: &[u8]) -> Result<(), FileError> {
    file.write_all(json)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(dir.join(RESERVED), path))
        .map_err(|e| FileError::io("write", path, e))?;
    file::sync_dir(dir)
}

/// Reads `pid`.
pub(super) fn read_running(dir: &Path) -> Option<Running> {
    from_json(&dir.join("pid"))
}

/// Reads `status.json`.
pub(super) fn read_exit(dir: &Path) -> Option<ExitRecord> {
    from_json(&dir.join("status.json"))
}

fn from_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&file::read_bounded(path, MAX_FILE).ok()?).ok()
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut json = serde_json::to_vec(value).expect("plain data with string keys");
    json.push(b'\n');
    json
}
