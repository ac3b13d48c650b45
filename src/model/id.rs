//! Numbers that do not convert into each other.
//!
//! ```compile_fail
//! use standup::model::id::{AttemptId, TaskId};
//! fn stop(_: AttemptId) {}
//! stop("T7".parse::<TaskId>().unwrap()); // a task is not an attempt
//! ```

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// What it should look like.
    pub wanted: &'static str,
}

/// A task: `T7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(NonZeroU32);

impl TaskId {
    /// The task of this number; `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}", self.0)
    }
}

impl FromStr for TaskId {
    type Err = IdError;

    /// `T7`, `t7` or `7`.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix(['T', 't']).unwrap_or(text);
        number(digits).map(Self).ok_or(IdError { text: text.to_owned(), wanted: "a task (T7 or 7)" })
    }
}

/// The how-many-eth try at a task, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNo(NonZeroU32);

impl AttemptNo {
    /// The first.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The attempt of this number; `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The one after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One agent in one worktree on one branch: `T7/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// The try.
    pub no: AttemptNo,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.no)
    }
}

impl FromStr for AttemptId {
    type Err = IdError;

    /// `T7/2`.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError { text: text.to_owned(), wanted: "an attempt (T7/2)" };
        let (task, no) = text.split_once('/').ok_or_else(wrong)?;
        let task = task.parse().map_err(|_| wrong())?;
        Ok(Self { task, no: number(no).map(AttemptNo).ok_or_else(wrong)? })
    }
}

fn number(digits: &str) -> Option<NonZeroU32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

macro_rules! text_serde {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_serde!(TaskId, AttemptId);

macro_rules! counter {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
counter! {
    /// One action, for ever: its outcome refers to it, and a repeated one is recognised by it.
    ActionId,
    /// A place in the event log, from 1.
    Seq,
    /// One message to an agent's terminal; typed at most once.
    MsgId,
    /// One run of the checks.
    CheckRun,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_and_print() {
        for text in ["T7", "t7", "7"] {
            assert_eq!(text.parse::<TaskId>().expect(text).to_string(), "T7");
        }
        for text in ["T0", "", "T", "T-1", "T+1", "T7/2", "seven", "99999999999"] {
            assert!(text.parse::<TaskId>().is_err(), "{text}");
        }
        let attempt: AttemptId = "T7/2".parse().expect("attempt");
        assert_eq!((attempt.task.number(), attempt.no.get()), (7, 2));
        assert_eq!(serde_json::to_string(&attempt).expect("json"), "\"T7/2\"");
    }
}
