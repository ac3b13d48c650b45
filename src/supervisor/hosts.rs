//! One task for each living host: it hears the host's signals, weighs them in the agent's dialect,
//! tells the loop what changed, and types what the loop decided.
//!
//! **Invariant:** nothing is typed but through the host's guard, with the number of the last signal
//! that was weighed; and the state is looked at once more right before.

mod asking;
mod hooking;
mod looking;
mod planning;
mod remembering;
mod spending;
mod telling;
mod tools;
mod typing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use asking::Asking;
pub(super) use asking::{Decision, Wanted as WantedAnswer};
use hooking::Hooks;
pub(super) use hooking::{Fired, fired};
use planning::Planning;
pub(super) use remembering::Before;
use remembering::{Awaited, Keeping};
use spending::Spending;
use telling::{Meter, Told};
use tools::Tools;
pub(super) use typing::number;
use typing::{Stage, Typing};

use crate::agent::adapter::Adapter;
use crate::agent::evidence::End;
use crate::agent::hook::HookEvent;
use crate::agent::psp;
use crate::agent::signal::{Observation as Seen, Rules, SignalView, Weigher};
use crate::model::action::lost_text;
use crate::model::attempt::HostFacts;
use crate::model::id::{AttemptId, MsgId};
use crate::model::input::{Input, Observation};
use crate::model::name::Oid;
use crate::model::state::RunKind;
use crate::model::time::{Mono, Now, Span};
use crate::os::clock;
use crate::os::process::ProcessId;
use crate::wire::host::{
    Decoder, Frame, FromHost, Hello, Lease, Notice, RefusedWhy, Role, SnapshotRequest, Status, ToHost, VERSIONS,
};

/// Commands waiting for one host.
const QUEUE: usize = 256;

/// Between the first two looks for a conversation whose id the CLI chose by itself; twice as long
/// each time. Looks are made only when the agent does something.
const SESSION_LOOK: Duration = Duration::from_millis(100);

/// What is known of a launch, beside the host itself.
#[derive(Clone)]
pub(super) struct Voice {
    /// The agent's dialect.
    pub adapter: Arc<Adapter>,
    /// No sign of life for this long is `quiet`.
    pub silence: Span,
    /// Whether the launch carried a prompt.
    pub prompted: bool,
    /// The session, where it was chosen.
    pub session: Option<String>,
    /// The CLI's version, where this adapter was never tried with it.
    pub unknown_version: Option<String>,
    /// Typed once the agent is ready, where it takes no prompt otherwise.
    pub type_after_start: Option<String>,
    /// What finds the agent's status file: its environment.
    pub env: BTreeMap<String, String>,
    /// Where it works.
    pub worktree: PathBuf,
    /// Whether a hook or a notify program of ours tells what it said at the end of a turn.
    pub last_words: bool,
    /// Whether it only plans.
    pub plans: bool,
    /// How it stood with it, where it lived before it was watched.
    pub before: Option<Before>,
    /// Whether it lived on without a supervisor: nothing is told before its outbox has been read.
    pub reads_outbox: bool,
    /// Where it is kept since when it is silent.
    pub memory: Option<PathBuf>,
}

/// How a typing went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypedHow {
    /// Written.
    Yes,
    /// Not written, and why.
    No(String),
    /// Nobody knows.
    Perhaps,
}

/// Something for one host.
pub(super) enum Ask {
    /// Type a message.
    Type {
        /// Which.
        msg: MsgId,
        /// What.
        text: String,
        /// Whether to interrupt first.
        now: bool,
        /// How it went.
        done: oneshot::Sender<TypedHow>,
    },
    /// The loop has recorded what became of a message: what it led to may be told now.
    Recorded(MsgId),
    /// A hook of the agent's CLI fired.
    Hook(Fired),
    /// What lay in its outbox was taken.
    OutboxRead,
    /// A hook of the agent's CLI asks for permission, and waits to be told.
    Permission(HookEvent, oneshot::Sender<Decision>),
    /// A hook that waited is gone.
    HookGone,
    /// Answer the dialog in which it waits.
    Answer(WantedAnswer, oneshot::Sender<TypedHow>),
    /// Tell whoever is attached.
    Notice(String),
    /// Files of the worktree changed.
    Files,
    /// It was looked at: this is its tree.
    Tree(Oid),
    /// Look at what it has used, and tell before this is answered.
    Spending(oneshot::Sender<()>),
    /// Every signal.
    Explain(oneshot::Sender<Vec<SignalView>>),
}

/// A way to one host's task.
#[derive(Clone)]
pub(super) struct Handle {
    asks: mpsc::Sender<Ask>,
    attached: Arc<AtomicU32>,
}

impl Handle {
    /// Asks; a host that is gone answers nothing.
    pub(super) async fn ask(&self, ask: Ask) {
        let _ = self.asks.send(ask).await;
    }

    /// How many people's terminals are attached.
    pub(super) fn attached(&self) -> u32 {
        self.attached.load(Ordering::Relaxed)
    }

    /// Asks without waiting; for observations that may be dropped under load.
    pub(super) fn offer(&self, ask: Ask) {
        let _ = self.asks.try_send(ask);
    }
}

/// Starts the task for a living host. `leases` says whose input is in a person's hands. `gone` is
/// called once, when the connection has ended for good: the host is dead or done.
pub(super) fn watch(
    attempt: AttemptId,
    facts: HostFacts,
    socket: PathBuf,
    voice: Voice,
    inputs: mpsc::Sender<Input>,
    leases: watch::Receiver<BTreeSet<AttemptId>>,
    gone: impl FnOnce() + Send + 'static,
) -> Handle {
    let (asks, asked) = mpsc::channel(QUEUE);
    let process = ProcessId { pid: facts.host.pid, start: facts.host.start };
    let host = Host::new(attempt, facts, voice, inputs, leases);
    let attached = host.attached.clone();
    tokio::spawn(async move {
        if let Err(error) = host.run(socket, asked).await {
            tracing::info!(%attempt, %error, "a host's connection ended");
            if error.kind() == std::io::ErrorKind::Unsupported {
                looking::left_alone(&process).await;
            }
        }
        gone();
    });
    Handle { asks, attached }
}

struct Host {
    attempt: AttemptId,
    facts: HostFacts,
    voice: Voice,
    inputs: mpsc::Sender<Input>,
    leases: watch::Receiver<BTreeSet<AttemptId>>,
    /// Whether the host was told that a lease stands.
    leased: Option<bool>,
    weigher: Weigher,
    seq: u64,
    told: Option<Told>,
    began: bool,
    session: Option<String>,
    cpu: Option<(u64, Mono)>,
    /// When its processes are looked at again although nothing was heard.
    look_at: Instant,
    /// How long the file of its conversation was.
    transcript: Option<u64>,
    typing: Option<Typing>,
    greeting: Option<String>,
    /// Whether an interrupt of ours may have put an old prompt back where the next text is typed.
    composer_dirty: bool,
    /// The message that is on its way and of which the loop has not yet heard the outcome, until then
    /// at the latest.
    unrecorded: Option<(MsgId, Instant)>,
    /// What was seen since it was sent.
    held: Vec<Observation>,
    planning: Planning,
    meter: Meter,
    /// When the conversation is looked for again, and how long after that.
    session_look: (Instant, Duration),
    asking: Asking,
    spending: Spending,
    /// When what is on its screen was written at the latest, where that was before we came.
    written: Option<Now>,
    /// Terminals attached to it.
    attached: Arc<AtomicU32>,
    hooks: Hooks,
    awaited: Awaited,
    keeping: Keeping,
    tools: Tools,
    /// When a message was last typed.
    spoken: Option<Now>,
}

impl Host {
    fn new(
        attempt: AttemptId,
        facts: HostFacts,
        mut voice: Voice,
        inputs: mpsc::Sender<Input>,
        leases: watch::Receiver<BTreeSet<AttemptId>>,
    ) -> Self {
        let now = clock::now();
        let launched = voice.before.as_mut().map_or(now, |before| before.known_at(now));
        let rules = Rules {
            adapter: voice.adapter.clone(),
            silence: voice.silence,
            utc_offset_s: clock::utc_offset_s(voice.env.get("TZ").map(String::as_str)),
            prompted: voice.prompted,
            session: voice.session.clone(),
            unknown_version: voice.unknown_version.clone(),
        };
        let greeting = voice.type_after_start.clone();
        let awaited = Awaited::of(&voice);
        let mut host = Self {
            attempt,
            facts,
            voice,
            inputs,
            leases,
            leased: None,
            weigher: Weigher::new(rules, launched),
            seq: 0,
            told: None,
            began: false,
            session: None,
            cpu: None,
            look_at: Instant::now(),
            transcript: None,
            typing: None,
            greeting,
            composer_dirty: false,
            unrecorded: None,
            held: Vec::new(),
            planning: Planning::default(),
            meter: Meter::default(),
            session_look: (Instant::now(), SESSION_LOOK),
            asking: Asking::new(),
            spending: Spending::default(),
            written: None,
            attached: Arc::default(),
            hooks: Hooks::default(),
            awaited,
            keeping: Keeping::default(),
            tools: Tools::default(),
            spoken: None,
        };
        host.recall(now);
        host
    }

    async fn run(mut self, socket: PathBuf, asked: mpsc::Receiver<Ask>) -> std::io::Result<()> {
        let ended = self.converse(socket, asked).await;
        self.settle_typing(TypedHow::Perhaps);
        self.recorded().await;
        self.tell_last_hooks().await;
        self.settle_spending().await;
        ended
    }

    async fn converse(&mut self, socket: PathBuf, mut asked: mpsc::Receiver<Ask>) -> std::io::Result<()> {
        let mut stream = UnixStream::connect(&socket).await?;
        let hello =
            Hello { versions: VERSIONS, features: 0, role: Role::Watcher, size: None, readonly: true, scrollback: 0 };
        send(&mut stream, &ToHost::Hello(hello)).await?;
        self.tell_lease(&mut stream).await?;
        let mut leases = self.leases.clone();
        let mut decoder = Decoder::<FromHost>::new();
        let mut buffer = vec![0; 32 << 10];
        loop {
            let wake = self.wake_at();
            tokio::select! {
                got = stream.read(&mut buffer) => {
                    let got = got?;
                    if got == 0 {
                        break;
                    }
                    decoder.feed(&buffer[..got]);
                    while let Some(frame) = decoder.next_frame().map_err(std::io::Error::other)? {
                        self.frame(frame, &mut stream).await?;
                        // At once: a short turn may begin and end within one read.
                        self.tell().await;
                    }
                }
                Some(ask) = asked.recv() => self.asked(ask, &mut stream).await?,
                Ok(()) = leases.changed() => self.tell_lease(&mut stream).await?,
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.woken(&mut stream).await?,
            }
            self.look_at_status_file();
            self.ask_who_typed(&mut stream).await?;
            self.tell().await;
            self.remember();
            self.look_at_spending().await;
        }
        Ok(())
    }

    /// Tells the host whether the agent's input is in a person's hands. The host keeps to it, whoever
    /// supervises.
    async fn tell_lease(&mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        let stands = self.leases.borrow().contains(&self.attempt);
        if self.leased.replace(stands) == Some(stands) {
            return Ok(());
        }
        send(stream, &ToHost::Lease(Lease { stands })).await
    }

    fn wake_at(&self) -> Option<Instant> {
        let now = clock::now();
        let by_state = self.weigher.wake_at(now).map(|at| Instant::now() + at.since(now.mono).to_std());
        let by_typing = self.typing.as_ref().map(|t| t.until);
        let state = self.weigher.state(now);
        let by_words = self.words_due(&state, now).map(|due| Instant::now() + due.since(now.mono).to_std());
        let by_record = self.unrecorded.map(|(_, until)| until);
        let by_look = self.is_looked_at(&state).then_some(self.look_at);
        by_state
            .into_iter()
            .chain(self.asking.wake_at())
            .chain(self.spending.due())
            .chain(self.meter.wake_at())
            .chain(self.awaited.until())
            .chain(by_typing)
            .chain(by_words)
            .chain(by_record)
            .chain(by_look)
            .min()
    }

    async fn woken(&mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        if self.is_looked_at(&self.weigher.state(clock::now())) {
            self.sample();
        }
        if self.asking.take_look() {
            send(stream, &ToHost::SnapshotRequest(SnapshotRequest::default())).await?;
        }
        if self.unrecorded.is_some_and(|(_, until)| Instant::now() >= until) {
            self.recorded().await;
        }
        if self.typing.as_ref().is_some_and(|t| Instant::now() >= t.until) {
            match self.typing.as_ref().map(|t| t.stage) {
                Some(Stage::Resting) => self.send_text(stream).await?,
                Some(Stage::Asking { .. }) => self.settle_typing(TypedHow::No("the host does not answer".into())),
                Some(Stage::Sent | Stage::Pressed) | None => self.settle_typing(TypedHow::Perhaps),
            }
        }
        Ok(())
    }

    async fn frame(&mut self, frame: FromHost, stream: &mut UnixStream) -> std::io::Result<()> {
        let now = clock::now();
        self.spending.stir();
        match frame {
            FromHost::Welcome(welcome) => {
                self.status(&welcome.status, now);
                if welcome.status.transcript_lost > 0 {
                    self.noted(lost_text(welcome.status.transcript_lost)).await;
                }
            }
            FromHost::Status(status) if self.is_who_typed(&status, now).await => {}
            FromHost::Status(status) => self.status(&status, now),
            FromHost::Osc(osc) => {
                self.look_at_zone();
                self.seq = osc.seq;
                self.reported();
                self.osc(osc.number, &osc.payload.0, now);
            }
            FromHost::Title(title) => {
                self.weigher.observe(now, Seen::Title(title.text));
            }
            FromHost::Screen(screen) => {
                self.sample();
                self.asking.screen();
                self.look_at_zone();
                let at = self.screen_came(now);
                self.weigher.observe(at, Seen::Screen(screen.text));
            }
            FromHost::Activity(_) => {
                self.written = None;
                self.weigher.observe(now, Seen::Output);
            }
            FromHost::Clients(clients) => self.attached.store(clients.attached, Ordering::Relaxed),
            FromHost::ClientInput(input) => self.seq = self.seq.max(input.seq),
            FromHost::Foreground(group) => self.seq = self.seq.max(group.seq),
            FromHost::AgentExit(exit) => {
                let end = End { code: exit.code, signal: exit.signal };
                // All that it started is still its host's to know.
                self.look_at_cpu();
                self.weigher.observe(now, Seen::Exited(end));
            }
            FromHost::Typed(typed) if self.is_own(typed.msg_id) => {
                self.composer_dirty &= self.typing.as_ref().is_some_and(|t| t.stage == Stage::Pressed);
                // The text stands at a dialog that came in between, without Enter: a person must look.
                self.settle_typing(if typed.withheld { TypedHow::Perhaps } else { TypedHow::Yes });
            }
            FromHost::Refused(refused) if self.is_own_interrupt(refused.msg_id) => {
                self.seq = self.seq.max(refused.seq);
                // One that was written before, perhaps for another supervisor, is waited for as if it were new.
                if refused.why != RefusedWhy::Repeated {
                    self.refused(refused.why);
                }
            }
            FromHost::Refused(refused) if self.is_own(refused.msg_id) => {
                self.seq = self.seq.max(refused.seq);
                self.refused(refused.why);
            }
            FromHost::TypedAnswer(answer) => self.before(&answer.written, &answer.unknown, stream).await?,
            FromHost::Lagged(_) => send(stream, &ToHost::Status(crate::wire::host::Empty {})).await?,
            FromHost::HostError(error) => self.noted(error.text).await,
            FromHost::Unsupported(theirs) => return self.not_understood(theirs, now).await,
            _ => {}
        }
        if self.typing.as_ref().is_some_and(|t| t.stage == Stage::Resting)
            && self.weigher.state(now).kind == RunKind::Idle
        {
            self.send_text(stream).await?;
        }
        Ok(())
    }

    fn osc(&mut self, number: u32, payload: &[u8], at: Now) {
        if number != psp::OSC {
            return;
        }
        match psp::parse(payload) {
            Ok(psp::Sequence::Report(report)) => {
                let over = report.state == psp::State::Done;
                self.weigher.observe(at, Seen::Psp(report));
                if over {
                    // What it left running is known before anybody is told that it is done.
                    self.sample();
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(attempt = %self.attempt, %error, "a state report that is none"),
        }
    }

    async fn asked(&mut self, ask: Ask, stream: &mut UnixStream) -> std::io::Result<()> {
        let now = clock::now();
        match ask {
            Ask::Recorded(msg) => {
                if self.unrecorded.is_some_and(|(waited, _)| waited == msg) {
                    self.recorded().await;
                }
            }
            Ask::Hook(fired) => self.fired(fired).await,
            Ask::OutboxRead => self.outbox_read(),
            Ask::Tree(tree) => self.tree_seen(&tree, now),
            Ask::Permission(event, decide) => self.permission(event, decide).await,
            // The round that follows looks who is still there.
            Ask::HookGone => {}
            Ask::Answer(wanted, done) => {
                self.tell_lease(stream).await?;
                self.answer(wanted, done, stream).await?;
            }
            Ask::Notice(text) => send(stream, &ToHost::Notice(Notice { text })).await?,
            Ask::Files => self.weigher.observe(now, Seen::Files),
            Ask::Spending(done) => {
                self.settle_spending().await;
                let _ = done.send(());
            }
            Ask::Explain(answer) => {
                self.sample();
                let _ = answer.send(self.weigher.explain(clock::now()));
            }
            Ask::Type { msg, text, now: interrupt, done } => {
                self.tell_lease(stream).await?;
                self.take_message((msg, text), interrupt, done, stream).await?;
            }
        }
        Ok(())
    }
}

async fn send(stream: &mut UnixStream, frame: &ToHost) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).map_err(std::io::Error::other)?;
    stream.write_all(&bytes).await
}
