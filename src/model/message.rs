//! What is said to an agent through its terminal.

use serde::{Deserialize, Serialize};

use super::id::{ActionId, AttemptNo, MsgId};
use super::time::{Mono, Wall};

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// You.
    Person,
    /// The checks.
    Checks,
    /// What you changed while you had the agent's input. Goes before everything else.
    Handback,
    /// A check-in that is due.
    Reminder,
    /// The end of a usage limit.
    Limit,
}

/// How far a message has come. Typed at most once, whatever happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Delivery {
    /// Waits for a moment at which it is read as a prompt.
    Queued {
        /// Why it was not typed at the last try; empty before the first.
        held: String,
        /// Not before this.
        not_before: Mono,
    },
    /// Its typing was decided; the host was told, or is about to be.
    Typing {
        /// By this action.
        action: ActionId,
    },
    /// Written into the terminal; not yet confirmed.
    Typed {
        /// When.
        at: Mono,
    },
    /// The agent took it up.
    Delivered,
    /// Written, or perhaps written; nothing confirms it. Never typed again by itself.
    Unknown,
    /// No longer of use.
    Withdrawn,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which.
    pub id: MsgId,
    /// For which attempt.
    pub attempt: AttemptNo,
    /// Who says it.
    pub from: From,
    /// What.
    pub text: String,
    /// Whether the agent is to be interrupted for it.
    pub now: bool,
    /// When it was given.
    pub at: Wall,
    /// How far it has come.
    pub delivery: Delivery,
}

impl Message {
    /// Whether it still has to be typed.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        matches!(self.delivery, Delivery::Queued { .. })
    }
}
