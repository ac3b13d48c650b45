//! The protocol between clients and the supervisor: one JSON object a line, both ways.
//!
//! **Invariant:** a connection has one scope for life, decided by the token of its first line:
//! the user's, or that of one attempt, which can do no more than speak for itself. Must not know:
//! sockets, files, how a request is carried out.

use serde::{Deserialize, Serialize};

use crate::model::attempt::{Proc, StopWhy};
use crate::model::board::Board;
use crate::model::checkin::{CheckIn, Stamp, Via};
use crate::model::event::Record;
use crate::model::id::{AttemptId, CheckRun, Seq, TaskId};
use crate::model::input::{Command, Refusal, RefusalCode, Reply};
use crate::model::state::{RunKind, Source};
use crate::model::time::Now;
use crate::model::verdict::Verdict;

/// The versions this side speaks, lowest and highest.
pub const VERSIONS: (u32, u32) = (1, 1);

/// The longest line before the first one was accepted, in bytes.
pub const MAX_HELLO: usize = 64 << 10;

/// The longest line after that, in bytes: briefs of a whole import go in one.
pub const MAX_LINE: usize = 256 << 20;

/// The longest line an attempt may send, in bytes.
pub const MAX_AGENT_LINE: usize = 256 << 10;

/// The first line of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest and highest version the client speaks.
    pub versions: (u32, u32),
    /// The client's program version, for messages.
    pub version: String,
    /// The user's token, or an attempt's.
    pub token: String,
}

/// The answer to the first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak from here on.
    pub speaks: u32,
    /// The supervisor's program version.
    pub version: String,
    /// The supervisor.
    pub process: Proc,
    /// The attempt whose token was given; `None` for the user's.
    pub attempt: Option<AttemptId>,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// Everything that is known.
    Board {},
    /// Carry this out.
    Command {
        /// What.
        command: Command,
        /// Texts that its specs name by digest, stored in the same transaction.
        texts: Vec<String>,
    },
    /// Read settings and approvals again.
    Reload {},
    /// Every signal of a task's attempt.
    Explain {
        /// Which.
        task: TaskId,
    },
    /// Every event from there on, for as long as the connection lasts.
    Follow {
        /// The first one wanted.
        from: Seq,
    },
    /// End the supervisor; agents go on.
    Shutdown {},
    /// End every agent, then the supervisor.
    Down {
        /// Why.
        why: StopWhy,
    },
    /// A hook of an attempt's CLI asks for permission, and waits for as long as its dialog stands.
    Permission {
        /// Which dialect.
        dialect: String,
        /// The payload, as it came.
        payload: serde_json::Value,
    },
    /// An attempt reports.
    CheckIn {
        /// What it says.
        check_in: CheckIn,
        /// What its writer says beside that.
        #[serde(default)]
        stamp: Stamp,
        /// Which way it came to us; absent: this one.
        #[serde(default)]
        via: Option<Via>,
        /// Whether its writer waits for an answer from now on, by [`Request::Hear`].
        #[serde(default)]
        listens: bool,
    },
    /// A hook of an attempt's CLI fired.
    Hook {
        /// Which dialect: the adapter's name, and which of its ways.
        dialect: String,
        /// The payload, as it came.
        payload: serde_json::Value,
        /// When it fired, and its id: the same may lie in the outbox by the time it is read here.
        #[serde(default)]
        stamp: Stamp,
    },
    /// An attempt waits for an answer to what it asked.
    Hear {
        /// How long it is waited for at most.
        wait_s: u32,
    },
    /// An attempt wants its checks to be run.
    Check {
        /// How long their end is waited for at most.
        wait_s: u32,
        /// What was begun earlier and is to be waited for; absent: they are begun.
        run: Option<CheckRun>,
    },
}

/// Who supervises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// Its process.
    pub process: Proc,
    /// Since when.
    pub since: Now,
    /// Its program version.
    pub version: String,
    /// What it wants to be said above everything else: a broken edit of the settings, a full disk.
    pub banners: Vec<String>,
}

/// Everything that is known, by a living supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The board.
    pub board: Board,
    /// Who says so.
    pub supervisor: Supervisor,
}

/// One signal of an attempt's run state, as `state --explain` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Who says it.
    pub source: Source,
    /// What it says.
    pub kind: Option<RunKind>,
    /// Particulars.
    pub text: String,
    /// How long ago, in seconds.
    pub age_s: f64,
    /// Its weight: larger counts more.
    pub weight: u32,
    /// Whether it decided or may still decide.
    pub counted: bool,
    /// Why, or why not.
    pub why: String,
}

/// One stored event, as `events` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Its place in the log.
    pub seq: Seq,
    /// When.
    pub at: Now,
    /// What.
    pub record: Record,
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// To [`Request::Board`].
    Known(Box<Known>),
    /// To [`Request::Command`].
    Done {
        /// What came of it.
        reply: Reply,
        /// The last event by then.
        seq: Seq,
    },
    /// To [`Request::Explain`].
    Signals {
        /// Which.
        signals: Vec<Signal>,
    },
    /// To [`Request::Follow`], again and again.
    Event(Box<Logged>),
    /// To [`Request::Hook`], where the hook itself answers the CLI.
    Say {
        /// What it writes to its standard output.
        output: String,
    },
    /// To [`Request::Permission`], where a person decided elsewhere.
    Decided {
        /// Whether it may.
        allow: bool,
        /// What the agent is told beside a no, if it is told anything of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// To [`Request::Hear`].
    Heard {
        /// What a person said; handed over with this, and not said again.
        text: Option<String>,
        /// Whether there may yet be an answer.
        open: bool,
    },
    /// To [`Request::Check`].
    Checks {
        /// Which run.
        run: CheckRun,
        /// Whether it goes on.
        running: bool,
        /// What it showed; absent where it goes on or was dropped.
        verdict: Option<Box<Verdict>>,
    },
    /// To all others.
    Ok {},
    /// It was not carried out.
    Refused(Refusal),
}

/// What an attempt hears that asks for more than it may, and whoever types into its terminal.
#[must_use]
pub fn only_reports() -> Refusal {
    let text = "inside an agent, standup only checks in, asks, reports done and shows the brief";
    let hints = ["standup ask \"…\"    # a person decides", "a person: ctrl-] d, then again in a terminal of your own"];
    Refusal { code: RefusalCode::Policy, text: text.to_owned(), hints: hints.map(str::to_owned).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_line() {
        let request = Request::Command { command: Command::Dispatch { on: true }, texts: vec!["a\nb".into()] };
        let line = serde_json::to_string(&request).expect("json");
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Request>(&line).expect("back"), request);
    }

    #[test]
    fn a_board_survives_its_line() {
        let known = Known {
            board: Board::default(),
            supervisor: Supervisor {
                process: Proc { pid: 1, start: 2 },
                since: Now::default(),
                version: "0".into(),
                banners: vec![],
            },
        };
        let answer = Answer::Known(Box::new(known));
        let line = serde_json::to_string(&answer).expect("json");
        assert_eq!(serde_json::from_str::<Answer>(&line).expect("back"), answer);
    }
}
