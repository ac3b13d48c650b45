//! A dialog in which an agent waits for a person, what may be answered there, and how far an
//! answer has come.
//!
//! **Invariant:** an answer names the one dialog it was given for; a dialog has its number for
//! itself, over restarts of everybody involved. Must not know: how keys or hooks reach an agent.

use serde::{Deserialize, Serialize};

use super::id::{ActionId, MsgId};
use super::state::Ask;
use super::time::{Mono, Now};

/// One dialog's number: only ever compared for being the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DialogNo(pub u64);

/// What an option comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// Yes, this once.
    Yes,
    /// No.
    No,
}

/// One answer that a dialog takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its number in the dialog, where it has one.
    #[serde(default)]
    pub number: Option<u32>,
    /// Its text, one line.
    pub text: String,
    /// Whether it is the plain yes or the plain no.
    #[serde(default)]
    pub says: Option<Says>,
}

/// A dialog as it was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Which.
    pub no: DialogNo,
    /// What is asked.
    pub ask: Ask,
    /// The question with what it is about, one line.
    pub question: String,
    /// What may be answered, in its order; bounded.
    pub options: Vec<Choice>,
    /// Whether a hook of the CLI waits for a yes or a no.
    pub hook: bool,
    /// Whether it asks leave to carry out a plan.
    #[serde(default)]
    pub plan: bool,
    /// Since when it stands, where that is known.
    #[serde(default)]
    pub since: Option<Now>,
}

/// How an answer gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By the CLI's own hook, which waits.
    Hook,
    /// By one key, guarded by the host.
    Key,
}

/// An answer on its way. Given at most once, whatever happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answering {
    /// Its number, shared with messages.
    pub msg: MsgId,
    /// To which dialog.
    pub dialog: DialogNo,
    /// By this action.
    pub action: ActionId,
    /// What.
    pub choice: Choice,
    /// What the agent is told beside a no.
    #[serde(default)]
    pub note: Option<String>,
    /// How.
    #[serde(default = "by_key")]
    pub way: Way,
    /// When it was handed over; `None` while it is on its way.
    pub given: Option<Mono>,
}

/// Of a board that an earlier version wrote nothing is known beside the answer; a key takes no words.
const fn by_key() -> Way {
    Way::Key
}
