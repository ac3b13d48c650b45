//! Conversations as the CLIs keep them: whose they are, and whether something happens in them.
//!
//! **Invariant:** reads one line at a time and believes only what names both session and folder.
//! Must not know: which files there are.

use serde::Deserialize;

use crate::model::time::Wall;

use super::plain;

/// The longest first line that is read: it holds the CLI's whole instructions.
pub const MAX_LINE: usize = 1024 * 1024;

/// Whose conversation a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The session.
    pub session: String,
    /// Where it works.
    pub cwd: String,
    /// When it began.
    pub at: Option<Wall>,
    /// Whether it is the agent's own conversation. A sub-agent's lies in the same place, with the
    /// same folder in it, and must not be resumed instead.
    pub main: bool,
    /// The agent's own conversation that a sub-agent's belongs to, where it says so.
    pub of: Option<String>,
    /// What a sub-agent is called; may be empty.
    pub name: String,
}

/// Why a line names no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// Too long.
    #[error("a first line of {bytes} bytes; at most {MAX_LINE} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the line that opens a conversation.
    #[error("the first line opens no conversation: {text}")]
    Form {
        /// What is wrong.
        text: String,
    },
}

#[derive(Deserialize)]
struct Rollout {
    #[serde(rename = "type")]
    kind: String,
    payload: Meta,
}

#[derive(Deserialize)]
struct Meta {
    id: String,
    cwd: String,
    #[serde(default)]
    timestamp: Option<Wall>,
    #[serde(default)]
    thread_source: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    agent_path: Option<String>,
}

/// A line that may tell that a turn begins or ends.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    payload: Marker<'a>,
}

#[derive(Deserialize)]
struct Marker<'a> {
    #[serde(rename = "type", default)]
    kind: &'a str,
}

/// Reads the first line of a rollout file of Codex.
///
/// # Errors
/// [`TranscriptError`] for a line that is none (an unfinished one included).
pub fn rollout_owner(first_line: &[u8]) -> Result<Owner, TranscriptError> {
    if first_line.len() > MAX_LINE {
        return Err(TranscriptError::TooLong { bytes: first_line.len() });
    }
    let form = |text: &str| TranscriptError::Form { text: plain::line(text, 200) };
    let rollout: Rollout = serde_json::from_slice(first_line).map_err(|e| form(&e.to_string()))?;
    if rollout.kind != "session_meta" {
        return Err(form(&format!("it is of type {}", rollout.kind)));
    }
    let meta = rollout.payload;
    let main = meta.thread_source.is_none_or(|source| source == "user");
    let path = meta.agent_path.unwrap_or_default();
    let name = plain::line(path.rsplit('/').next().unwrap_or_default(), 80);
    Ok(Owner { session: plain::line(&meta.id, 80), cwd: meta.cwd, at: meta.timestamp, main, of: meta.session_id, name })
}

/// Whether a turn runs, by the end of a rollout file of Codex: `None` where none of these lines tells.
/// The first of them may be the rest of a line.
#[must_use]
pub fn rollout_runs(end: &[u8]) -> Option<bool> {
    end.rsplit(|b| *b == b'\n').find_map(|line| {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        match (line.kind, line.payload.kind) {
            ("event_msg", "task_started") => Some(true),
            ("event_msg", "task_complete" | "turn_aborted") => Some(false),
            _ => None,
        }
    })
}

/// The folder name under which Claude Code keeps the conversations of a working directory. Paths of
/// more than 200 characters gain a hash of their own and are found by their beginning.
#[must_use]
pub fn claude_slug(cwd: &str) -> String {
    cwd.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_names_its_session_and_its_folder() {
        let line = include_bytes!("../../tests/recordings/codex-rollout-first-line.json");
        let owner = rollout_owner(line).expect("recorded");
        assert_eq!(owner.session.len(), 36);
        assert_eq!(owner.cwd, "/home/dev/probe/wt");
        assert!(owner.at.is_some() && owner.main);
    }

    #[test]
    fn a_sub_agents_rollout_is_not_the_agents() {
        let line = include_str!("../../tests/recordings/codex-rollout-first-line.json");
        let part = line.replace(r#""thread_source": "user""#, r#""thread_source": "subagent""#);
        assert_ne!(part, line);
        assert!(!rollout_owner(part.as_bytes()).expect("a rollout").main);
    }

    #[test]
    fn a_sub_agents_turn_runs_from_its_beginning_to_its_end() {
        let lines = include_str!("../../tests/recordings/codex-rollout-subagent.jsonl");
        let owner = rollout_owner(lines.lines().next().expect("a line").as_bytes()).expect("recorded");
        assert_eq!((owner.main, owner.name.as_str()), (false, "inner"));
        assert!(owner.of.is_some_and(|of| of.len() == 36 && of != owner.session));
        assert_eq!(rollout_runs(lines.as_bytes()), Some(false));
        let (_, end) = lines.split_at(lines.len() / 3);
        assert_eq!(rollout_runs(end.as_bytes()), Some(false), "from the middle of a line on");
        let without_end: Vec<&str> = lines.lines().filter(|line| !line.contains("task_complete")).collect();
        assert_eq!(rollout_runs(without_end.join("\n").as_bytes()), Some(true));
        // What it inherits from its parent was broken off before it began.
        let inherited: Vec<&str> = lines.lines().take_while(|line| !line.contains("turn_aborted")).collect();
        assert_eq!(rollout_runs(inherited.join("\n").as_bytes()), Some(true));
        let none =
            b"{\"type\":\"event_msg\",\"payload\":{}}\n{\"type\":\"x\",\"payload\":{\"type\":\"task_complete\"}}\n\xff";
        assert_eq!(rollout_runs(none), None);
        assert_eq!(rollout_runs(b""), None);
    }

    #[test]
    fn another_line_and_half_a_line_are_typed_errors() {
        let other = br#"{"type":"event_msg","payload":{"id":"x","cwd":"/"}}"#;
        assert!(matches!(rollout_owner(other), Err(TranscriptError::Form { .. })));
        assert!(matches!(rollout_owner(br#"{"type":"session_m"#), Err(TranscriptError::Form { .. })));
        assert!(matches!(rollout_owner(&vec![b' '; MAX_LINE + 1]), Err(TranscriptError::TooLong { .. })));
    }

    #[test]
    fn a_folder_becomes_one_word() {
        assert_eq!(claude_slug("/home/dev/probe/wt-perm.x"), "-home-dev-probe-wt-perm-x");
        assert_eq!(claude_slug(&"ä".repeat(300)).len(), 200);
    }
}
