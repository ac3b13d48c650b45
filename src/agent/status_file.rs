//! The status file that Claude Code keeps: `sessions/<pid>.json` in its configuration folder.
//!
//! **Invariant:** a file speaks for an attempt only if it is of its process: same pid, same start
//! time where both are known. A killed process leaves its file behind. Must not know: how the file
//! is read or watched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::state::Ask;
use crate::model::time::Wall;

use super::adapter::FileRule;
use super::{placeholder, plain};

/// The longest file that is read.
pub const MAX_BYTES: usize = 64 * 1024;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing runs.
    Idle,
    /// A turn runs.
    Busy,
    /// It waits for a person.
    Waiting(Ask),
}

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFile {
    /// Whose.
    pub pid: u32,
    /// The process's start time in the kernel's ticks, where it is given.
    pub start: Option<u64>,
    /// The conversation.
    pub session: String,
    /// Where it works.
    pub cwd: String,
    /// The CLI's version; may be empty.
    pub version: String,
    /// What it says.
    pub status: Status,
    /// What it waits for, in words; may be empty.
    pub waiting_for: String,
    /// When that was said.
    pub at: Option<Wall>,
}

/// Why a file says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Not of the form.
    #[error("the status file is not of the known form: {text}")]
    Form {
        /// What the parser says.
        text: String,
    },
    /// A status without meaning here.
    #[error("the status file says {status:?}, which has no meaning here")]
    Status {
        /// What it says.
        status: String,
    },
    /// Too long.
    #[error("the status file has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    pid: u32,
    #[serde(default)]
    proc_start: Option<String>,
    session_id: String,
    cwd: String,
    #[serde(default)]
    version: String,
    status: String,
    #[serde(default)]
    waiting_for: Option<String>,
    #[serde(default)]
    status_updated_at: Option<i64>,
}

/// Reads a status file.
///
/// # Errors
/// [`StatusError`] for what is none.
pub fn parse(text: &[u8]) -> Result<StatusFile, StatusError> {
    if text.len() > MAX_BYTES {
        return Err(StatusError::TooLong { bytes: text.len() });
    }
    let raw: Raw =
        serde_json::from_slice(text).map_err(|e| StatusError::Form { text: plain::line(&e.to_string(), 200) })?;
    let waiting_for = plain::line(raw.waiting_for.as_deref().unwrap_or_default(), 200);
    let status = match raw.status.as_str() {
        "idle" => Status::Idle,
        "busy" => Status::Busy,
        "waiting" if waiting_for.contains("input") => Status::Waiting(Ask::Question),
        "waiting" => Status::Waiting(Ask::Permission),
        other => return Err(StatusError::Status { status: plain::line(other, 80) }),
    };
    Ok(StatusFile {
        pid: raw.pid,
        start: raw.proc_start.and_then(|s| s.parse().ok()),
        session: plain::line(&raw.session_id, 80),
        cwd: raw.cwd,
        version: plain::line(&raw.version, 40),
        status,
        waiting_for,
        at: raw.status_updated_at.map(Wall),
    })
}

impl StatusFile {
    /// Whether it is of this process. A start time that either side does not know is not compared.
    #[must_use]
    pub fn is_of(&self, pid: u32, start: Option<u64>) -> bool {
        self.pid == pid && self.start.zip(start).is_none_or(|(a, b)| a == b)
    }
}

/// Where the file of this process lies, by the environment that the agent was given.
#[must_use]
pub fn location(rule: &FileRule, env: &BTreeMap<String, String>, pid: u32) -> Option<PathBuf> {
    let path = placeholder::fill(&rule.path, &[("pid", pid.to_string())].into()).ok()?;
    Some(root(rule, env)?.join(path))
}

/// The folder that a rule speaks of, by the environment that the agent was given.
#[must_use]
pub fn root(rule: &FileRule, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).map(Path::new);
    set(&rule.root_env).map(Path::to_owned).or_else(|| set("HOME").map(|home| home.join(&rule.home)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;

    const RECORDED: &[u8] = include_bytes!("../../tests/recordings/claude-session-status.json");

    #[test]
    fn a_recorded_file_reads() {
        let file = parse(RECORDED).expect("recorded");
        assert_eq!((file.pid, file.status, file.version.as_str()), (18_795, Status::Busy, "2.1.329"));
        assert_eq!((file.start, file.at), (Some(312_021), Some(Wall(1_795_179_496_056))));
    }

    #[test]
    fn a_file_left_by_a_killed_process_does_not_speak_for_the_next_of_its_pid() {
        let file = parse(RECORDED).expect("recorded");
        assert!(file.is_of(18_795, Some(312_021)) && file.is_of(18_795, None));
        assert!(!file.is_of(18_795, Some(999_999)) && !file.is_of(1, Some(312_021)));
    }

    #[test]
    fn waiting_says_for_what() {
        let of = |status: &str| {
            parse(format!(r#"{{"pid":1,"sessionId":"s","cwd":"/",{status}}}"#).as_bytes()).map(|f| f.status)
        };
        assert_eq!(of(r#""status":"waiting","waitingFor":"input needed""#), Ok(Status::Waiting(Ask::Question)));
        assert_eq!(of(r#""status":"waiting","waitingFor":"permission prompt""#), Ok(Status::Waiting(Ask::Permission)));
        assert_eq!(of(r#""status":"waiting""#), Ok(Status::Waiting(Ask::Permission)));
        assert_eq!(of(r#""status":"asleep""#), Err(StatusError::Status { status: "asleep".into() }));
        assert!(matches!(parse(b"{\"pid\":1"), Err(StatusError::Form { .. })), "half written");
    }

    #[test]
    fn it_lies_where_the_agents_environment_says() {
        let rule = builtin("claude").expect("claude").status_file.expect("rule");
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let at = |pairs: &[(&str, &str)]| location(&rule, &env(pairs), 7);
        assert_eq!(at(&[("HOME", "/h")]), Some(PathBuf::from("/h/.claude/sessions/7.json")));
        assert_eq!(at(&[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/c")]), Some(PathBuf::from("/c/sessions/7.json")));
        assert_eq!(at(&[("HOME", "")]), None);
    }
}
