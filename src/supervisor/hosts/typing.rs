//! A message on its way into a terminal, and what is kept back until its fate is recorded.
//!
//! **Invariant:** text is sent with the number of the last signal that was weighed, after the host
//! said that it never wrote this message before, and at a moment that is read again right here.
//! What the message led to is told after the word that it was typed.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Host, Observation, TypedHow, send};
use crate::agent::message;
use crate::agent::signal::Observation as Seen;
use crate::model::id::MsgId;
use crate::model::input::Input;
use crate::model::state::RunKind;
use crate::os::clock;
use crate::wire::host::{Bytes, KeyRequest, MsgIds, RefusedWhy, ToHost, TypeRequest};

/// How long a host may take to answer a typing: bracketed paste, a pause, Enter.
pub(super) const TYPE_LIMIT: Duration = Duration::from_secs(15);

/// How long an interrupted agent may take to come to rest before the text is typed anyway.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(10);

/// How long the loop may take to hear and record what became of a typing.
const RECORD_LIMIT: Duration = Duration::from_secs(5);

/// Observations kept back while a message is on its way: many times what an agent does in a moment.
const HELD: usize = 256;

/// Keys and messages share the host's numbers: a message owns this many of them.
const NUMBERS: u64 = 4;

/// A message on its way.
pub(super) struct Typing {
    pub(super) msg: MsgId,
    pub(super) text: String,
    pub(super) done: Option<oneshot::Sender<TypedHow>>,
    pub(super) stage: Stage,
    pub(super) until: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Asked the host whether it wrote this one before.
    Asking {
        /// Whether the turn is to be interrupted.
        interrupt: bool,
    },
    /// The interrupt was sent; waiting for rest.
    Resting,
    /// The text was sent; waiting for the host's word.
    Sent,
    /// A key that answers a dialog was sent; waiting for the host's word.
    Pressed,
}

impl Host {
    /// An agent that takes no prompt on its command line gets it typed, once it can read.
    pub(super) async fn type_greeting(&mut self, readable: bool) {
        if readable
            && self.typing.is_none()
            && let Some(text) = self.greeting.take()
        {
            let seen = Observation::PromptWanted { text };
            self.observed(seen).await;
        }
    }

    /// Begins with a message: whether the host knows it already comes first.
    pub(super) async fn take_message(
        &mut self,
        (msg, text): (MsgId, String),
        interrupt: bool,
        done: oneshot::Sender<TypedHow>,
        stream: &mut UnixStream,
    ) -> std::io::Result<()> {
        if self.typing.is_some() {
            let _ = done.send(TypedHow::No("another message is being typed".into()));
            return Ok(());
        }
        let (stage, until) = (Stage::Asking { interrupt }, Instant::now() + TYPE_LIMIT);
        self.typing = Some(Typing { msg, text, done: Some(done), stage, until });
        send(stream, &ToHost::TypedQuery(MsgIds { msg_ids: vec![number(msg)] })).await
    }

    /// The host's answer to whether it wrote this message before, perhaps for another supervisor.
    pub(super) async fn before(
        &mut self,
        written: &[u64],
        unknown: &[u64],
        stream: &mut UnixStream,
    ) -> std::io::Result<()> {
        let Some(Typing { msg, stage: Stage::Asking { interrupt }, .. }) = self.typing else { return Ok(()) };
        if written.contains(&number(msg)) {
            self.settle_typing(TypedHow::Yes);
        } else if unknown.contains(&number(msg)) {
            self.settle_typing(TypedHow::Perhaps);
        } else if interrupt && self.weigher.state(clock::now()).kind == RunKind::Working {
            self.interrupt(stream).await?;
        } else {
            self.send_text(stream).await?;
        }
        Ok(())
    }

    async fn interrupt(&mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        let Some(typing) = &mut self.typing else { return Ok(()) };
        typing.stage = Stage::Resting;
        self.composer_dirty = true;
        typing.until = Instant::now() + INTERRUPT_LIMIT;
        let bytes = self.voice.adapter.input.interrupt.clone().into_bytes();
        let msg_id = number(typing.msg) + 1;
        self.weigher.observe(clock::now(), Seen::Interrupted);
        let key = KeyRequest { msg_id, if_signal_seq: Some(self.seq), bytes: Bytes(bytes), if_shows: Vec::new() };
        send(stream, &ToHost::Key(key)).await
    }

    pub(super) async fn send_text(&mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        // An interrupt that was waited for may have ended at a dialog.
        if let Err(hold) = message::may_type(&self.voice.adapter, &self.weigher.state(clock::now())) {
            self.settle_typing(TypedHow::No(hold.to_string()));
            return Ok(());
        }
        let after_interrupt = self.composer_dirty;
        let clear = self.voice.adapter.input.after_interrupt.clone();
        let Some(typing) = &mut self.typing else { return Ok(()) };
        typing.stage = Stage::Sent;
        typing.until = Instant::now() + TYPE_LIMIT;
        let id = number(typing.msg);
        let text = message::as_typed(&self.voice.adapter.input, &typing.text);
        self.unrecorded = Some((typing.msg, typing.until + RECORD_LIMIT));
        if after_interrupt && !clear.is_empty() {
            let bytes = Bytes(clear.into_bytes());
            let key = KeyRequest { msg_id: id + 2, if_signal_seq: Some(self.seq), bytes, if_shows: Vec::new() };
            send(stream, &ToHost::Key(key)).await?;
        }
        let request =
            TypeRequest { msg_id: id, if_signal_seq: Some(self.seq), text, submit: true, withhold_on: withheld() };
        send(stream, &ToHost::Type(request)).await
    }

    pub(super) fn is_own(&self, number_of: u64) -> bool {
        self.typing
            .as_ref()
            .is_some_and(|t| number(t.msg) == number_of && matches!(t.stage, Stage::Sent | Stage::Pressed))
    }

    pub(super) fn is_own_interrupt(&self, number_of: u64) -> bool {
        self.typing.as_ref().is_some_and(|t| number(t.msg) + 1 == number_of && t.stage == Stage::Resting)
    }

    pub(super) fn refused(&mut self, why: RefusedWhy) {
        let how = match why {
            RefusedWhy::Moved => TypedHow::No("the terminal changed just before".into()),
            RefusedWhy::Exited => TypedHow::No("the agent has ended".into()),
            RefusedWhy::Busy => TypedHow::No("the agent has not read what was typed before".into()),
            RefusedWhy::Unrecorded => TypedHow::No("the host cannot record it".into()),
            RefusedWhy::Role => TypedHow::No("the host does not let us".into()),
            RefusedWhy::Leased => TypedHow::No("its input is in a person's hands".into()),
            RefusedWhy::Repeated | RefusedWhy::Other => TypedHow::Perhaps,
        };
        self.settle_typing(how);
    }

    pub(super) fn settle_typing(&mut self, how: TypedHow) {
        if how == TypedHow::Yes {
            self.spoken = Some(clock::now());
        }
        if let Some(done) = self.typing.take().and_then(|t| t.done) {
            let _ = done.send(how);
        }
    }

    /// Tells what was seen. While a message is on its way it is kept back: what the message led to
    /// would otherwise reach the loop before the word that it was typed, and confirm nothing.
    pub(super) async fn observed(&mut self, seen: Observation) {
        if self.unrecorded.is_some() && self.held.len() < HELD {
            self.held.push(seen);
            return;
        }
        self.recorded().await;
        self.pass_on(seen).await;
    }

    /// Tells what was kept back.
    pub(super) async fn recorded(&mut self) {
        self.unrecorded = None;
        for seen in std::mem::take(&mut self.held) {
            self.pass_on(seen).await;
        }
    }

    async fn pass_on(&self, seen: Observation) {
        let _ = self.inputs.send(Input::Observed { attempt: self.attempt, seen }).await;
    }
}

/// A report that contains one of these, between the text and Enter, means that Enter would answer
/// a question which was not there before.
fn withheld() -> Vec<String> {
    vec!["state=blocked".to_owned()]
}

/// The number a host knows a message by.
pub(in super::super) fn number(msg: MsgId) -> u64 {
    msg.0 * NUMBERS
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;
    use std::sync::Arc;

    use tokio::sync::{mpsc, watch};

    use super::super::Voice;
    use super::*;
    use crate::agent::adapter::builtin;
    use crate::model::attempt::{HostFacts, Proc};
    use crate::model::name::HostId;
    use crate::model::time::Span;

    fn host() -> (Host, mpsc::Receiver<Input>) {
        let (inputs, heard) = mpsc::channel(8);
        let nobody = Proc { pid: u32::MAX, start: 0 };
        let id = HostId::new("T1-1-1").expect("a name");
        let facts = HostFacts { id, nonce: String::new(), host: nobody, agent: nobody };
        let voice = Voice {
            plans: false,
            before: None,
            reads_outbox: false,
            memory: None,
            adapter: Arc::new(builtin("codex").expect("built in")),
            silence: Span::mins(10),
            prompted: true,
            session: None,
            unknown_version: None,
            type_after_start: None,
            env: BTreeMap::new(),
            worktree: PathBuf::from("/nonexistent"),
            last_words: false,
        };
        (Host::new("T1/1".parse().expect("an id"), facts, voice, inputs, watch::channel(BTreeSet::new()).1), heard)
    }

    fn taken(text: &str) -> Observation {
        Observation::PromptTaken { text: Some(text.to_owned()) }
    }

    #[tokio::test]
    async fn a_turn_that_begins_before_its_message_is_recorded_is_told_after_it() {
        let (mut host, mut heard) = host();
        host.unrecorded = Some((MsgId(1), Instant::now() + RECORD_LIMIT));
        host.observed(taken("a")).await;
        host.observed(taken("b")).await;
        assert!(heard.try_recv().is_err(), "nothing is told before the outcome");
        host.recorded().await;
        for text in ["a", "b"] {
            let Ok(Input::Observed { seen, .. }) = heard.try_recv() else { panic!("{text} is lost") };
            assert_eq!(seen, taken(text));
        }
        host.observed(taken("c")).await;
        assert!(heard.try_recv().is_ok());
    }

    #[tokio::test]
    async fn text_after_an_interrupt_that_ended_at_a_dialog_is_not_typed() {
        let (mut host, _heard) = host();
        let report = |text: &str| match crate::agent::psp::parse(text.as_bytes()) {
            Ok(crate::agent::psp::Sequence::Report(report)) => Seen::Psp(report),
            other => panic!("{other:?}"),
        };
        host.weigher.observe(clock::now(), report("state=working:app=codex"));
        host.weigher.observe(clock::now(), report("state=blocked:app=codex:kind=permission"));
        let (done, told) = oneshot::channel();
        let until = Instant::now() + TYPE_LIMIT;
        host.typing = Some(Typing { msg: MsgId(1), text: "x".into(), done: Some(done), stage: Stage::Resting, until });
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        host.send_text(&mut ours).await.expect("no write fails");
        assert!(matches!(told.await, Ok(TypedHow::No(_))));
        assert!(theirs.try_read(&mut [0; 8]).is_err(), "nothing was written");
    }
}
