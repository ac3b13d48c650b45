//! What no agent reports of itself: the CPU time of its processes, the tool that runs, the growth
//! of its conversation and of those of its sub-agents.
//!
//! **Invariant:** a look costs a walk over /proc and is made when something else gives reason to,
//! or at long intervals while a turn runs; never while an agent rests. Must not know: what follows
//! from what is seen.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::effects::{blocking, plan_in};
use super::super::sessions;
use super::Host;
use super::tools::{self, Kin, TURN_SLACK_MS};
use crate::agent::signal::Observation as Seen;
use crate::agent::status_file;
use crate::model::input::Observation;
use crate::model::state::{RunKind, RunState};
use crate::model::time::{Mono, Now, Span, Wall};
use crate::os::process::{ProcessId, Stat, descendants};
use crate::os::{clock, file};
use crate::wire::host::{VERSIONS, Versions};

/// CPU time is told in ticks of 10 ms: over less than this, one tick more looks like work.
const CPU_WINDOW: Span = Span::secs(5);

/// How often a turn that runs is looked at where nothing else gives reason to: a tool that ends, or
/// one that is the reason for silence, tells nobody. Reading /proc takes under a millisecond.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// How long a child of an agent that reports nothing must live to be a reason for its silence, a
/// tenth of what counts as silence at most: it may look at something again and again.
const MOMENT: Span = Span::secs(10);

/// How long a host of another version is left alone before it is asked again: only its own end
/// changes what it speaks.
const OTHER_VERSION: Duration = Duration::from_secs(30);

/// Between two looks whether it has ended, which it tells nobody here.
const END_LOOK: Duration = Duration::from_millis(200);

/// The longest time between two looks for a conversation.
const SESSION_LOOK_MAX: Duration = Duration::from_secs(30);

impl Host {
    /// Looks at its processes, at its conversation, and says when to look again.
    pub(super) fn sample(&mut self) {
        let now = clock::now();
        let agent = self.facts.agent.pid;
        let family = descendants(agent);
        self.sample_cpu(agent, &family, now);
        let tool = self.tool(agent, &family, now);
        self.weigher.observe(now, Seen::ToolChild(tool));
        self.sample_parts(agent, now);
        self.sample_transcript(now);
        // The end of what holds a finished turn back is waited for; silence may be told later.
        let calm = (self.voice.silence.to_std() / 20).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        self.look_at = Instant::now() + if self.weigher.is_held(now) { LOOK_EVERY.0 } else { calm };
    }

    /// What the CLI wrote into its status file, if that is of its process.
    pub(super) fn look_at_status_file(&mut self) {
        let Some(rule) = &self.voice.adapter.status_file else { return };
        let Some(path) = status_file::location(rule, &self.voice.env, self.facts.agent.pid) else { return };
        let read = file::read_bounded(&path, status_file::MAX_BYTES as u64)
            .ok()
            .and_then(|bytes| status_file::parse(&bytes).ok());
        let own = read.filter(|f| f.is_of(self.facts.agent.pid, Some(self.facts.agent.start)));
        self.weigher.observe(clock::now(), Seen::Status(own));
    }

    /// Whether its state may change by what only a look tells.
    pub(super) fn is_looked_at(&self, state: &RunState) -> bool {
        matches!(state.kind, RunKind::Working | RunKind::Quiet)
    }

    /// Times that a CLI prints are those of its zone, whose offset changes with the season.
    pub(super) fn look_at_zone(&mut self) {
        let zone = self.voice.env.get("TZ").map(String::as_str);
        self.weigher.set_utc_offset_s(clock::utc_offset_s(zone));
    }

    /// The host lives on from an older or a newer `standup`, with which nothing can be said.
    pub(super) async fn not_understood(&mut self, theirs: Versions, now: Now) -> std::io::Result<()> {
        let of = if theirs.is_before(VERSIONS) { "an older" } else { "a newer" };
        let text = format!(
            "its host is of {of} standup: it speaks {theirs} of the host's protocol, this supervisor \
             {VERSIONS}. The agent goes on unheard; restart the supervisor with that standup, or stop the agent and \
             start it again"
        );
        let state = RunState { text: text.clone(), ..RunState::plain(RunKind::Unknown, None, now) };
        self.observed(Observation::State { state, readable: false, asks: None }).await;
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text))
    }

    /// A person should know of it.
    pub(super) async fn noted(&mut self, text: String) {
        tracing::warn!(attempt = %self.attempt, "host: {text}");
        self.observed(Observation::Noted { text }).await;
    }

    /// Learns the conversation of a CLI that chooses it by itself, once it has begun one.
    pub(super) async fn look_for_session(&mut self) {
        if self.weigher.session().is_some() {
            return;
        }
        // One that has begun no turn has no conversation.
        let (due, pause) = self.session_look;
        if !self.began || Instant::now() < due {
            return;
        }
        self.session_look = (Instant::now() + pause, (pause * 2).min(SESSION_LOOK_MAX));
        let Some(root) = self.conversations() else { return };
        let (agent, worktree) = (self.facts.agent.pid, self.voice.worktree.clone());
        if let Some(id) = blocking(move || sessions::held(agent, &root, &worktree)).await {
            self.weigher.observe(clock::now(), Seen::Session(id));
        }
    }

    /// What its turn ended with, where that is a plan: its file, else its last words.
    pub(super) fn plan(&self, state: &RunState) -> Option<String> {
        if !self.voice.plans || !state.turn_over || state.kind != RunKind::Idle {
            return None;
        }
        plan_in(&self.voice.worktree).or_else(|| self.weigher.last_message().map(str::to_owned))
    }

    fn sample_cpu(&mut self, agent: u32, family: &[ProcessId], now: Now) {
        let own = Stat::read(agent).map_or(0, |s| s.cpu_ticks);
        let ticks = own + family.iter().filter_map(|p| Stat::read(p.pid)).map(|s| s.cpu_ticks).sum::<u64>();
        let Some((before, at)) = self.cpu else {
            self.cpu = Some((ticks, now.mono));
            return;
        };
        let window = now.mono.since(at);
        if window < CPU_WINDOW {
            return;
        }
        let used = ticks.saturating_sub(before) * 1_000 / rustix::param::clock_ticks_per_second().max(1);
        let percent = u32::try_from(used * 100 / window.0.max(1)).unwrap_or(u32::MAX);
        self.cpu = Some((ticks, now.mono));
        self.weigher.observe(now, Seen::Cpu { percent });
    }

    /// The tool of this turn that runs.
    fn tool(&mut self, agent: u32, family: &[ProcessId], now: Now) -> Option<String> {
        let agent = Kin::read(ProcessId::of(agent)?)?;
        let family: Vec<Kin> = family.iter().filter_map(|id| Kin::read(*id)).collect();
        // By the wall clock: a process ages while the machine sleeps, and so does a turn.
        let turn = |began: Now| now.wall.since(began.wall).0 + TURN_SLACK_MS;
        let tools = if self.weigher.knows_turns() {
            tools::reported(agent, &family, turn(self.weigher.turn_began()?))
        } else {
            let moment = MOMENT.0.min(self.voice.silence.0 / 10);
            self.tools.unreported(agent, &family, self.spoken.map_or(u64::MAX, turn), moment)
        };
        tools::called(&tools)
    }

    /// Sub-agents that outlive the turn which started them, where only their conversations tell.
    fn sample_parts(&mut self, agent: u32, now: Now) {
        let Some(root) = self.conversations().filter(|_| self.weigher.says_over(now)) else { return };
        let Some(session) = self.weigher.session() else { return };
        let parts = sessions::parts_at_work(agent, &root, &self.voice.worktree, session);
        self.weigher.observe(now, Seen::Parts(parts));
    }

    /// Where a CLI that chooses its conversations by itself keeps them.
    pub(super) fn conversations(&self) -> Option<PathBuf> {
        let adapter = &self.voice.adapter;
        let rule = adapter.transcripts.as_ref().filter(|_| adapter.launch.session.is_empty())?;
        status_file::root(rule, &self.voice.env).map(|root| root.join(&rule.path))
    }

    fn sample_transcript(&mut self, now: Now) {
        let Some(path) = self.weigher.transcript() else { return };
        let Ok(length) = std::fs::metadata(path).map(|meta| meta.len()) else { return };
        if self.transcript.replace(length).is_some_and(|before| before < length) {
            self.weigher.observe(now, Seen::Transcript);
        }
    }
}

/// Waits until a host that is not understood has ended, or is to be asked again.
pub(super) async fn left_alone(host: &ProcessId) {
    let until = Instant::now() + OTHER_VERSION;
    while host.is_alive() && Instant::now() < until {
        sleep(END_LOOK).await;
    }
}

/// The moment so long before.
pub(super) fn earlier(now: Now, age_ms: u64) -> Now {
    let age = i64::try_from(age_ms).unwrap_or(0);
    Now { mono: Mono(now.mono.0 - age), wall: Wall(now.wall.0 - age), ..now }
}
