//! The protocol between a host and its peers: attach clients, the watching supervisor, one-shot
//! control connections.
//!
//! **Invariant:** frozen, only ever extended. Old hosts meet new supervisors, so a tag never
//! changes its meaning, fields are only added (with a default), and both sides skip tags they do
//! not know. Must not know: sockets, terminals, any agent's dialect.
//!
//! A connection starts with [`ToHost::Hello`], answered by [`FromHost::Welcome`] or
//! [`FromHost::Unsupported`]. A client then gets a snapshot ([`FromHost::SnapshotBegin`], any
//! number of [`FromHost::Snapshot`], [`FromHost::SnapshotEnd`]) and after it live
//! [`FromHost::Output`]. A watcher gets signals instead. Every signal carries a sequence number of
//! this host, strictly rising; a guarded write names the last one its sender had seen.

mod bytes;
mod frame;
mod spec;

pub use bytes::Bytes;
pub use frame::{Decoder, Frame, MAX_PAYLOAD, WireError};
pub use spec::{Address, Answer, Failure, Fence, Process, SPEC_SCHEMA, Spec};

use frame::frames;
use serde::{Deserialize, Serialize};

use crate::model::name::HostId;

/// The versions this side speaks, lowest and highest.
pub const VERSIONS: Versions = Versions { min: 1, max: 1 };

/// The longest OSC payload a host reports, in bytes; longer sequences are dropped.
pub const MAX_OSC: usize = 4096;

/// The most text a [`Screen`] signal carries, in bytes; the end of the screen is kept.
pub const MAX_SCREEN: usize = 32 << 10;

/// Bits of [`Hello::features`] and [`Welcome::features`]: what a side can do beyond version 1.
pub mod feature {
    /// The host knows process ancestry: what an agent leaves behind is found by parentage too.
    pub const SUBREAPER: u64 = 1;
    /// The host keeps a lease on its agent's input; the client understands being told who has it.
    pub const LEASE: u64 = 1 << 1;
    /// The client takes the agent's input, whoever has it under a lease.
    pub const TAKES: u64 = 1 << 2;
}

/// The lowest and the highest version a side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Lowest.
    pub min: u32,
    /// Highest.
    pub max: u32,
}

impl Versions {
    /// The highest version both sides speak.
    #[must_use]
    pub fn common(self, other: Versions) -> Option<u32> {
        let max = self.max.min(other.max);
        (max >= self.min.max(other.min)).then_some(max)
    }

    /// Whether everything this side speaks is older than what the other one does.
    #[must_use]
    pub fn is_before(self, other: Versions) -> bool {
        self.max < other.min
    }
}

/// `version 1`, `versions 2 to 3`.
impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { min, max } if min == max => write!(f, "version {max}"),
            Self { min, max } => write!(f, "versions {min} to {max}"),
        }
    }
}

frames! {
    /// What a peer sends to a host.
    ToHost {
        /// The first frame of every connection.
        0x01 => Hello(json Hello),
        /// A client's keystrokes, raw. Frames may cut anywhere.
        0x02 => Input(raw),
        /// A client's terminal changed its size.
        0x03 => Resize(json Size),
        /// A client wants the whole screen again; a watcher wants it as text, even if it has not changed.
        0x04 => SnapshotRequest(json SnapshotRequest),
        /// Asks for a [`FromHost::Status`].
        0x05 => Status(json Empty),
        /// Types a message into the agent's terminal, guarded.
        0x06 => Type(json TypeRequest),
        /// Which of these messages have been written?
        0x07 => TypedQuery(json MsgIds),
        /// Sends raw keys to the agent's terminal, guarded.
        0x08 => Key(json KeyRequest),
        /// Stops the agent and everything it started, then the host.
        0x09 => Stop(json StopRequest),
        /// Tells attached clients something: a notification of their terminal, and its bell.
        0x0a => Notice(json Notice),
        /// Puts the agent's input into one client's hands, or gives it back to everybody.
        0x0b => Lease(json Lease),
    }
}

frames! {
    /// What a host sends to a peer. The signals from [`FromHost::Osc`] to [`FromHost::HostError`]
    /// go to watchers; clients get [`FromHost::Clients`] and [`FromHost::AgentExit`] as well.
    FromHost {
        /// The connection stands.
        0x41 => Welcome(json Box<Welcome>),
        /// No common version; the host closes. Says which side to upgrade.
        0x42 => Unsupported(json Versions),
        /// What follows repaints a fresh terminal of this size.
        0x43 => SnapshotBegin(json SnapshotBegin),
        /// A part of the repaint, raw.
        0x44 => Snapshot(raw),
        /// The repaint is complete; live output follows.
        0x45 => SnapshotEnd(json Empty),
        /// Live output, raw: terminal queries and state reports are cut out. Frames may cut anywhere.
        0x46 => Output(raw),
        /// This peer was too slow: bytes were left out, and a new snapshot follows (clients), or
        /// signals were left out, and a status follows (watchers).
        0x47 => Lagged(json Lagged),
        /// An OSC string of the agent that is no plain terminal business.
        0x50 => Osc(json Osc),
        /// The title changed; at most four a second.
        0x51 => Title(json Title),
        /// The agent rang the bell; at most four a second.
        0x52 => Bell(json Bell),
        /// Output settled, and the screen differs from the last one reported.
        0x53 => Screen(json Screen),
        /// Output flowed; at most one a second.
        0x54 => Activity(json Activity),
        /// A person typed through a client; at most four a second.
        0x55 => ClientInput(json ClientInput),
        /// The number of attached clients changed.
        0x56 => Clients(json Clients),
        /// Another process group owns the terminal.
        0x57 => Foreground(json Foreground),
        /// The agent's process ended. The exit record is on disk.
        0x58 => AgentExit(json Exit),
        /// Something went wrong inside the host that does not end it.
        0x59 => HostError(json HostError),
        /// The message was written into the terminal.
        0x60 => Typed(json Typed),
        /// The message was not written, and this request never will be.
        0x61 => Refused(json Refused),
        /// Those of the asked message ids that were written.
        0x62 => TypedAnswer(json TypedAnswer),
        /// The answer to a status request.
        0x63 => Status(json Box<Status>),
        /// The stop was taken up; the connection closes when nothing is left.
        0x64 => Stopping(json Empty),
        /// Whether what this client types reaches the agent; said when that changes, and at the
        /// start where it does not.
        0x65 => MayType(json MayType),
    }
}

/// No fields yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person's terminal: gets output, sends input.
    Client,
    /// The supervisor: gets signals, sends guarded writes.
    Watcher,
    /// One request, one answer.
    Control,
}

/// The size of a terminal in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// Opens a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the peer speaks.
    pub versions: Versions,
    /// What the peer can do; see [`feature`].
    #[serde(default)]
    pub features: u64,
    /// Who it is.
    pub role: Role,
    /// The size of a client's terminal; `None` leaves the size alone.
    #[serde(default)]
    pub size: Option<Size>,
    /// Whether this client only looks: its input is dropped and its size is ignored.
    #[serde(default)]
    pub readonly: bool,
    /// How many lines above the screen the first snapshot repeats; 0 for none.
    #[serde(default)]
    pub scrollback: u32,
}

/// Accepts a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak from here on.
    pub version: u32,
    /// What the host can do; see [`feature`].
    #[serde(default)]
    pub features: u64,
    /// How things stand.
    pub status: Status,
}

/// How a host and its agent stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The host's name.
    pub id: HostId,
    /// The nonce of this host's spec: another start under the same name has another one.
    pub nonce: String,
    /// The host.
    pub host: Process,
    /// The agent.
    pub agent: Process,
    /// Whether the agent runs.
    pub state: AgentState,
    /// The terminal's size.
    pub size: Size,
    /// The latest signal's number.
    pub seq: u64,
    /// The process group that owns the terminal, if any.
    #[serde(default)]
    pub foreground: Option<u32>,
    /// The number of attached clients.
    #[serde(default)]
    pub clients: u32,
    /// Bytes the agent has written so far.
    #[serde(default)]
    pub output_bytes: u64,
    /// Milliseconds since the agent last wrote; `None` if it never did.
    #[serde(default)]
    pub output_age_ms: Option<u64>,
    /// Milliseconds since a client last typed; `None` if none ever did.
    #[serde(default)]
    pub input_age_ms: Option<u64>,
    /// Bytes of input that were dropped because the agent does not read.
    #[serde(default)]
    pub input_dropped: u64,
    /// Bytes missing in the transcript because the disk was full (its cap aside).
    #[serde(default)]
    pub transcript_lost: u64,
    /// The title as last set.
    #[serde(default)]
    pub title: String,
    /// The latest OSC strings that were signalled, oldest first (at most 32).
    #[serde(default)]
    pub recent: Vec<Recent>,
}

/// An OSC string that was signalled earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// The signal.
    #[serde(flatten)]
    pub osc: Osc,
    /// Milliseconds since it came.
    pub age_ms: u64,
}

/// Whether the agent's process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum AgentState {
    /// It runs.
    Running,
    /// It ended; the host is cleaning up and leaves.
    Exited {
        /// Exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// Asks for the whole screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// Lines above the screen to repeat.
    #[serde(default)]
    pub scrollback: u32,
}

/// A repaint follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotBegin {
    /// The size of the terminal that is painted.
    pub size: Size,
    /// Why.
    pub because: SnapshotReason,
    /// Lines above the screen that are in it.
    #[serde(default)]
    pub scrollback: u32,
}

/// Why a snapshot is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotReason {
    /// The client has just attached.
    Attach,
    /// The client was too slow.
    Lagged,
    /// Another client changed the size.
    Resize,
    /// The client asked.
    Request,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// What a slow peer missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lagged {
    /// Bytes of output (clients) or number of signals (watchers) left out.
    pub skipped: u64,
}

/// An OSC string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Osc {
    /// When, in signals.
    pub seq: u64,
    /// The number before the first semicolon.
    pub number: u32,
    /// What follows it, at most [`MAX_OSC`] bytes. Untrusted.
    pub payload: Bytes,
}

/// The title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    /// When, in signals.
    pub seq: u64,
    /// The new title, at most [`MAX_OSC`] bytes. Untrusted.
    pub text: String,
}

/// The bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bell {
    /// When, in signals.
    pub seq: u64,
}

/// The screen as plain text, once output has settled; every few seconds where it does not settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// When, in signals.
    pub seq: u64,
    /// Lines joined by `\n`, blanks at their ends cut, empty lines at the end dropped. Untrusted.
    pub text: String,
}

/// Output flowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Bytes since the last such signal.
    pub bytes: u64,
    /// Bytes since the start.
    pub total_bytes: u64,
}

/// A person typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInput {
    /// When, in signals.
    pub seq: u64,
}

/// Attached clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// How many, those that only look included.
    pub attached: u32,
}

/// The terminal's foreground process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreground {
    /// When, in signals.
    pub seq: u64,
    /// The group that owns the terminal now, if any.
    pub group: Option<u32>,
}

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When, in signals.
    pub seq: u64,
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// A fault that the host survives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// What happened, as a sentence without a full stop.
    pub text: String,
}

/// A message to type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRequest {
    /// Typed at most once under this number, over restarts of everybody involved.
    pub msg_id: u64,
    /// The latest signal its sender had seen when it decided; `None` types unguarded.
    #[serde(default)]
    pub if_signal_seq: Option<u64>,
    /// What to type.
    pub text: String,
    /// Whether Enter follows.
    #[serde(default)]
    pub submit: bool,
    /// Enter is held back if, between the text and it, a state report arrives that contains one
    /// of these: it would answer a question that was not there before.
    #[serde(default)]
    pub withhold_on: Vec<String>,
}

/// Raw keys to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    /// As in [`TypeRequest::msg_id`]; the numbers are shared with it.
    pub msg_id: u64,
    /// As in [`TypeRequest::if_signal_seq`].
    #[serde(default)]
    pub if_signal_seq: Option<u64>,
    /// The bytes, as a terminal would send them.
    pub bytes: Bytes,
    /// Each of these must be on the screen when the key is written, blanks aside; otherwise what
    /// the key was meant for is gone, and it is refused as moved.
    #[serde(default)]
    pub if_shows: Vec<String>,
}

/// A word for whoever is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// One line; control characters are dropped, and all beyond a few hundred characters.
    pub text: String,
}

/// A lease on the agent's input. While it stands one client types and sets the size, all others only
/// look, and no message or key is typed. That is the last client that came with [`feature::TAKES`];
/// else the one that was active when the lease began; else, as soon as that one is gone, the next
/// that comes. A lease outlives the connection that began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whether it stands from now on.
    pub stands: bool,
}

/// Whether a client's input reaches the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayType {
    /// Whether it does.
    pub yes: bool,
}

/// Message numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsgIds {
    /// The numbers asked for, at most 4096.
    pub msg_ids: Vec<u64>,
}

/// A message was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed {
    /// Its number.
    pub msg_id: u64,
    /// Whether Enter was held back: the text stands in the agent's input, unsent.
    #[serde(default)]
    pub withheld: bool,
}

/// A message was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub msg_id: u64,
    /// Why.
    pub why: RefusedWhy,
    /// The latest signal's number: what the sender has to see before it decides again.
    pub seq: u64,
}

/// Why a message was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusedWhy {
    /// A state report, another foreground process group or a client's input came in between.
    Moved,
    /// The agent's process has ended.
    Exited,
    /// Input is still waiting to be read by the agent, or another message is being typed.
    Busy,
    /// This number was taken before. If that one was written, a typed query says so.
    Repeated,
    /// The message could not be recorded, so it was not written.
    Unrecorded,
    /// This role may not write.
    Role,
    /// The agent's input is in a person's hands.
    Leased,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// What became of messages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TypedAnswer {
    /// Written in full.
    #[serde(default)]
    pub written: Vec<u64>,
    /// Recorded, but the host cannot tell whether the agent got all of it.
    #[serde(default)]
    pub unknown: Vec<u64>,
}

/// Ends the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopRequest {
    /// Milliseconds between TERM and KILL; `None` takes the spec's.
    #[serde(default)]
    pub grace_ms: Option<u64>,
}
