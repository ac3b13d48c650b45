//! What goes into the event log, and what comes out.
//!
//! **Invariant:** a text in a batch is named by its own content. Must not know: the database.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::model::id::{ActionId, AttemptNo, Seq, TaskId};
use crate::model::time::Now;

/// One thing that happened, about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent<'a> {
    /// When.
    pub at: Now,
    /// The task it is about, if it is about one.
    pub task: Option<TaskId>,
    /// The attempt it is about, if it is about one.
    pub attempt: Option<AttemptNo>,
    /// What happened, in the past tense: `attempt-started`.
    pub name: &'a str,
    /// The particulars.
    pub data: serde_json::Value,
}

/// Something to be done, once the events beside it are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAction {
    /// Its name for ever; larger than [`super::log::Log::last_action`].
    pub id: ActionId,
    /// What to do.
    pub data: serde_json::Value,
}

/// What is stored in one transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch<'a> {
    /// What happened, in order.
    pub events: Vec<NewEvent<'a>>,
    /// What is to be done.
    pub actions: Vec<NewAction>,
    /// What was done; unknown ids are passed over, so that a repeated outcome does no harm.
    pub finished: Vec<ActionId>,
    /// Whether it must survive a power cut from the moment it is acknowledged. Costs a disk flush.
    pub must_not_lose: bool,
    /// Long texts that the events name; put in by [`Batch::put_text`].
    pub texts: Texts,
}

/// Long texts about to be stored, each under its digest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Texts(pub(super) Vec<(TextDigest, String)>);

impl Batch<'_> {
    /// Adds a long text; events of the same batch name it by the digest.
    pub fn put_text(&mut self, text: impl Into<String>) -> TextDigest {
        let text = text.into();
        let digest = TextDigest::of(&text);
        self.texts.0.push((digest.clone(), text));
        digest
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.actions.is_empty() && self.finished.is_empty() && self.texts.0.is_empty()
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub seq: Seq,
    /// When.
    pub at: Now,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// The attempt it is about.
    pub attempt: Option<AttemptNo>,
    /// What happened.
    pub event: String,
    /// The particulars.
    pub data: serde_json::Value,
}

/// Something still to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingAction {
    /// Its name.
    pub id: ActionId,
    /// What to do.
    pub data: serde_json::Value,
}

/// Names a stored text by its content: SHA-256, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextDigest(String);

impl TextDigest {
    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest of 64 hexadecimal digits")]
pub struct DigestError {
    /// What was given.
    pub text: String,
}

impl FromStr for TextDigest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let fits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(DigestError { text: text.to_owned() }) }
    }
}

impl Serialize for TextDigest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TextDigest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_nothing_else_does() {
        let digest = TextDigest::of("brief");
        assert_eq!(digest.as_str().parse(), Ok(digest.clone()));
        let json = serde_json::to_string(&digest).expect("json");
        assert_eq!(serde_json::from_str::<TextDigest>(&json).expect("back"), digest);
        for text in ["", "abc", &"g".repeat(64), &"A".repeat(64), "../../../etc/passwd"] {
            assert!(text.parse::<TextDigest>().is_err(), "{text}");
        }
    }
}
