//! The last good settings, kept for a supervisor that starts while a file is broken.
//!
//! **Invariant:** only texts that were right together are kept. Whether their commands may run is
//! judged anew, as of any other text. Must not know: what they say.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Kind, MAX_BYTES};
use crate::os::file;

use super::Place;

/// The text of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    /// How messages name it.
    pub label: String,
    /// Whether it is the user's own.
    own: bool,
    text: String,
}

impl Text {
    /// Of bytes that were read as text.
    pub(super) fn new(label: String, kind: Kind, bytes: &[u8]) -> Self {
        Self { label, own: kind == Kind::User, text: String::from_utf8_lossy(bytes).into_owned() }
    }

    pub(super) fn kind(&self) -> Kind {
        if self.own { Kind::User } else { Kind::Repository }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn path(place: &Place) -> PathBuf {
    place.layout.last_settings()
}

/// Keeps these texts, where they are not kept already. Where that fails, the ones before stay.
pub(super) fn keep(place: &Place, texts: &[Text]) {
    if load(place).as_deref() == Some(texts) {
        return;
    }
    let Ok(bytes) = serde_json::to_vec(texts) else { return };
    if let Err(error) = file::write_atomic(&path(place), &bytes, 0o600) {
        tracing::warn!(%error, "cannot keep the settings");
    }
}

/// What was kept last, if anything was.
pub(super) fn load(place: &Place) -> Option<Vec<Text>> {
    // Escaped, a byte takes at most six; there are three files.
    let bytes = file::read_owned(&path(place), 3 * 6 * MAX_BYTES as u64).ok()?;
    serde_json::from_slice(&bytes).ok()
}
