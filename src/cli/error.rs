//! What goes wrong, as a person and a script see it: one sentence with its causes, hints to
//! paste, one exit code.

use std::error::Error;
use std::fmt;

use crate::brief::BriefError;
use crate::client::control::ClientError;
use crate::git::GitError;
use crate::model::input::{Refusal, RefusalCode};
pub(in crate::cli) use crate::model::text::chain;
use crate::os::locate::LocateError;
use crate::store::StoreError;
use crate::supervisor::place::PlaceError;
use crate::supervisor::surroundings::LoadError;

/// Exit codes, as scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 0
    Ok,
    /// 1: failure, the environment included.
    Failure,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: no such task, or more than one.
    NoTask,
    /// 4: checks or criteria are not met.
    NotMet,
    /// 5: someone must act.
    Asks,
    /// 6: a WIP limit.
    Wip,
    /// 7: a conflict.
    Conflict,
    /// 8: refused by policy.
    Policy,
    /// 69: the supervisor cannot be reached.
    Unreachable,
    /// 70: our bug.
    Bug,
    /// 124: `wait` timed out.
    TimedOut,
    /// 130: interrupted.
    Interrupted,
}

impl Code {
    /// All, with what they mean.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Ok, "it worked"),
        (Self::Failure, "it failed, or the environment is not fit"),
        (Self::Usage, "the command line makes no sense"),
        (Self::NoTask, "no such task, or an ambiguous name"),
        (Self::NotMet, "checks or criteria are not met"),
        (Self::Asks, "someone must act first"),
        (Self::Wip, "a WIP limit is reached"),
        (Self::Conflict, "a conflict with other work"),
        (Self::Policy, "refused by policy: boundary, unapproved command, unsafe deletion"),
        (Self::Unreachable, "the supervisor cannot be reached"),
        (Self::Bug, "a bug in standup"),
        (Self::TimedOut, "wait ran out of time"),
        (Self::Interrupted, "interrupted"),
    ];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NoTask => 3,
            Self::NotMet => 4,
            Self::Asks => 5,
            Self::Wip => 6,
            Self::Conflict => 7,
            Self::Policy => 8,
            Self::Unreachable => 69,
            Self::Bug => 70,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }

    /// The name in `--json` errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::NoTask => "no-such-task",
            Self::NotMet => "not-met",
            Self::Asks => "needs-you",
            Self::Wip => "wip-limit",
            Self::Conflict => "conflict",
            Self::Policy => "policy",
            Self::Unreachable => "unreachable",
            Self::Bug => "bug",
            Self::TimedOut => "timed-out",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A verb that did not work.
#[derive(Debug)]
pub struct Failure {
    /// Which exit code.
    pub code: Code,
    /// What went wrong, with its causes.
    pub text: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Failure {
    /// Without hints.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), hints: Vec::new() }
    }

    /// Ends the verb with a code and says nothing more: everything has been said, or nobody listens.
    #[must_use]
    pub fn silent(code: Code) -> Self {
        Self::new(code, "")
    }

    /// Whether nothing more is to be said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.text.is_empty()
    }

    /// One more hint: a command to paste.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// An error and its causes, as a plain failure.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self::new(Code::Failure, chain(error))
    }

    /// As `--json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"error": {"code": self.code.name(), "message": self.text, "hints": self.hints}})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::Failure => Code::Failure,
            RefusalCode::Usage => Code::Usage,
            RefusalCode::NoTask => Code::NoTask,
            RefusalCode::Asks => Code::Asks,
            RefusalCode::Wip => Code::Wip,
            RefusalCode::Conflict => Code::Conflict,
            RefusalCode::Policy => Code::Policy,
        };
        Self { code, text: refusal.text, hints: refusal.hints }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => refusal.into(),
            ClientError::Absent => Self::new(Code::Unreachable, chain(&error)).hint("standup up"),
            ClientError::Store(error) => error.into(),
            ClientError::Start { .. } => Self::new(Code::Unreachable, chain(&error)).hint("standup supervisor logs"),
            ClientError::Socket(_) | ClientError::Broken(_) | ClientError::Silent | ClientError::Unexpected(_) => {
                Self::new(Code::Unreachable, chain(&error)).hint("standup supervisor restart")
            }
            ClientError::File(_) => Self::of(&error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::of(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let failure = Self::of(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Git(error) => error.into(),
            PlaceError::Locate(error) => error.into(),
            PlaceError::Store(error) => error.into(),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let hints = error.hints();
        Self { hints, ..Self::of(&error) }
    }
}

/// Every mistake of a brief or a list of tasks: each with its place, one a line.
impl From<Vec<BriefError>> for Failure {
    fn from(errors: Vec<BriefError>) -> Self {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut hints: Vec<String> = errors.iter().filter_map(|e| e.hint().map(str::to_owned)).collect();
        hints.dedup();
        Self { code: Code::Failure, text: lines.join("\n"), hints }
    }
}

impl From<LocateError> for Failure {
    fn from(error: LocateError) -> Self {
        Self::of(&error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error)
    }
}

impl From<crate::os::file::FileError> for Failure {
    fn from(error: crate::os::file::FileError) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once() {
        let mut numbers: Vec<u8> = Code::ALL.iter().map(|(code, _)| code.number()).collect();
        numbers.dedup();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 69, 70, 124, 130]);
    }
}
