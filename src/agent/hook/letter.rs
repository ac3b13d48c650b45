//! A hook that reached no supervisor, written down until one reads it.
//!
//! **Invariant:** what is written down still means something later, and fits where it is put; of
//! who wrote it and when, nothing is believed but what can be held against something else. Must
//! not know: where it lies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::checkin::Stamp;
use crate::model::id::AttemptId;
use crate::model::time::Wall;

use super::{Event, HookError, HookEvent, plain, read};

/// The format that is understood.
const SCHEMA: u32 = 1;

/// The longest id, in bytes.
const MAX_ID: usize = 128;

/// How much earlier a hook may have fired than it was written down: the socket is tried first.
const ON_THE_WAY_MS: i64 = 2_000;

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "hook")]
    Hook,
}

/// A hook as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Letter {
    schema_version: u32,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptId>,
    dialect: String,
    payload: Value,
}

/// What a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// What fired.
    pub event: HookEvent,
    /// When, by the clock of the wall.
    pub at: Wall,
    /// Its id, where it has one: the same may have come another way.
    pub id: Option<String>,
}

/// Why a letter is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// It is not written as it should be.
    #[error("{text}")]
    Form {
        /// What is wrong.
        text: String,
    },
    /// It names another attempt.
    #[error("it says that it is of {named}, and came from {of}")]
    Foreign {
        /// Whose it says it is.
        named: AttemptId,
        /// Where it lies.
        of: AttemptId,
    },
    /// Its payload says nothing.
    #[error("a hook said something else than it should: {0}")]
    Hook(#[from] HookError),
}

impl Letter {
    /// How a hook is written down.
    #[must_use]
    pub fn new(dialect: &str, payload: Value, stamp: Stamp) -> Self {
        let Stamp { id, at, attempt } = stamp;
        Self { schema_version: SCHEMA, kind: Kind::Hook, id, at, attempt, dialect: dialect.to_owned(), payload }
    }

    /// What the bytes of one say that lies with the attempt `of` since `came`. `None`: nothing that
    /// is of any use by now.
    ///
    /// # Errors
    /// [`LetterError`].
    pub fn read(bytes: &[u8], of: AttemptId, came: Wall) -> Result<Option<Late>, LetterError> {
        let form = |text: &str| LetterError::Form { text: plain::line(text, 200) };
        let letter: Self = serde_json::from_slice(bytes).map_err(|error| form(&error.to_string()))?;
        if letter.schema_version != SCHEMA {
            return Err(form(&format!("schemaVersion {} is not known; write {SCHEMA}", letter.schema_version)));
        }
        if let Some(named) = letter.attempt.filter(|named| *named != of) {
            return Err(LetterError::Foreign { named, of });
        }
        if letter.id.as_ref().is_some_and(|id| id.len() > MAX_ID) {
            return Err(form(&format!("its id is longer than {MAX_ID} bytes")));
        }
        let event = read(&letter.dialect, &letter.payload)?.filter(HookEvent::lasts);
        // Its owner cannot set when a file came; what he says himself is believed within that.
        let at = letter.at.map_or(came.0, |at| at.0.clamp(came.0.saturating_sub(ON_THE_WAY_MS), came.0));
        Ok(event.map(|event| Late { event, at: Wall(at), id: letter.id }))
    }
}

impl HookEvent {
    /// Whether it still means something when it is heard of later: which conversation it is, how
    /// its turn ended, what it waits for. Signs of life do not.
    #[must_use]
    pub fn lasts(&self) -> bool {
        let lasts = match &self.event {
            Event::SessionStart { .. }
            | Event::PromptSubmitted { .. }
            | Event::PermissionAsked { .. }
            | Event::TurnEnded { .. }
            | Event::TurnFailed { .. }
            | Event::Interrupted
            | Event::SessionEnded { .. } => true,
            // That it rests, although no hook told of an end.
            Event::Notification { kind, .. } => kind == "idle_prompt",
            Event::ToolStart { .. }
            | Event::ToolEnd { .. }
            | Event::PartStarted
            | Event::PartEnded
            | Event::Other { .. } => false,
        };
        lasts && self.agent_id.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of() -> AttemptId {
        "T1/1".parse().expect("an id")
    }

    fn written(dialect: &str, payload: Value, at: i64) -> Vec<u8> {
        let stamp = Stamp { id: Some("n1".into()), at: Some(Wall(at)), attempt: Some(of()) };
        serde_json::to_vec(&Letter::new(dialect, payload, stamp)).expect("JSON")
    }

    fn stop() -> Value {
        json!({"hook_event_name": "Stop", "session_id": "s", "last_assistant_message": "Done?"})
    }

    #[test]
    fn what_was_written_down_is_read_with_its_time() {
        let late = Letter::read(&written("claude", stop(), 9_500), of(), Wall(10_000)).expect("reads").expect("lasts");
        let wanted = Event::TurnEnded { last_message: Some("Done?".into()), background: Vec::new() };
        assert_eq!((late.event.event, late.at, late.id.as_deref()), (wanted, Wall(9_500), Some("n1")));
    }

    #[test]
    fn a_date_is_believed_only_beside_the_time_its_file_came() {
        for (said, believed) in
            [(0, 8_000), (7_999, 8_000), (9_999, 9_999), (10_001, 10_000), (4_000_000_000_000, 10_000)]
        {
            let late = Letter::read(&written("claude", stop(), said), of(), Wall(10_000)).expect("reads");
            assert_eq!(late.expect("lasts").at, Wall(believed), "{said}");
        }
    }

    #[test]
    fn signs_of_life_and_parts_are_not_kept() {
        for (name, lasts) in [
            ("SessionStart", true),
            ("UserPromptSubmit", true),
            ("PermissionRequest", true),
            ("Stop", true),
            ("StopFailure", true),
            ("PreToolUse", false),
            ("PostToolUse", false),
            ("Notification", false),
            ("SubagentStop", false),
            ("MoonRise", false),
        ] {
            let event = |more: &str| {
                let text = format!(r#"{{"hook_event_name":"{name}","session_id":"s"{more}}}"#);
                read("claude", &serde_json::from_str(&text).expect("JSON")).expect("reads").expect("an event")
            };
            assert_eq!(event("").lasts(), lasts, "{name}");
            assert!(!event(r#","agent_id":"a""#).lasts(), "{name} of a part");
        }
        let tool = written("claude", json!({"hook_event_name": "PreToolUse", "session_id": "s"}), 1);
        assert_eq!(Letter::read(&tool, of(), Wall(1)), Ok(None));
    }

    #[test]
    fn a_letter_that_is_none_is_refused_with_its_reason() {
        let fault = |bytes: &[u8]| Letter::read(bytes, of(), Wall(1)).expect_err("refused").to_string();
        let with = |key: &str, value: Value| {
            let mut letter: Value = serde_json::from_slice(&written("claude", stop(), 1)).expect("JSON");
            letter[key] = value;
            letter.to_string().into_bytes()
        };
        assert_eq!(fault(&with("attempt", json!("T2/1"))), "it says that it is of T2/1, and came from T1/1");
        assert_eq!(fault(&with("schemaVersion", json!(2))), "schemaVersion 2 is not known; write 1");
        assert!(fault(&with("approved", json!(true))).starts_with("unknown field `approved`"));
        assert!(fault(&with("kind", json!("check-in"))).starts_with("unknown variant `check-in`"));
        assert!(fault(&with("id", json!("x".repeat(129)))).starts_with("its id is longer"));
        assert!(fault(&with("dialect", json!("bash"))).contains("is no dialect"));
        assert!(fault(&with("payload", json!([1]))).contains("is no object"));
        assert!(!fault(b"\xff").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<i64>()) {
            let _ = Letter::read(&bytes, of(), Wall(at));
            let _ = Letter::read(&written("codex", stop(), at), of(), Wall(at));
        }
    }
}
