//! What a person who looks at an attempt should know of it.
//!
//! **Invariant:** a remark is kept once, however often it is made, and there are only so many.

use crate::model::event::Event;
use crate::model::id::AttemptId;
use crate::model::text::clean;

use super::turn::Turn;

/// Remarks that are kept of an attempt; nobody reads more.
const MAX_NOTES: usize = 20;

/// Columns of a remark.
const MAX_NOTE: usize = 400;

/// A remark was made, perhaps again: every start of an agent makes those of its command.
pub(super) fn noted(turn: &mut Turn<'_>, id: AttemptId, text: &str) {
    let text = clean(text, MAX_NOTE);
    let Some(attempt) = turn.board.attempt(id) else { return };
    if attempt.notes.len() < MAX_NOTES && !attempt.notes.contains(&text) {
        turn.attempt_event(id, Event::Noted { text });
    }
}
