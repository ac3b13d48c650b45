//! One attempt's signals, weighed: what is it doing, and who says so.
//!
//! Sources in order of trust: OSC 7501, the CLI's status file, its hooks and notify, the title, the
//! screen, bytes and CPU and files, the process. The first that has something to say holds. A
//! screen may only promote to waiting; nothing promotes to "turn over" but a source that said so.
//!
//! **Invariant:** [`Weigher::state`] is a function of what was observed and of `now`; between two
//! observations it changes only at [`Weigher::wake_at`]. Must not know: policy, checks, columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::state::{Ask, RunKind, Source};
use crate::model::time::{Now, Span, Wall};

use super::adapter::{Adapter, HintSays, TitleSays};
use super::evidence::{End, Evidence, Start};
use super::hook::{Dialect, Event, HookEvent};
use super::psp::{self, Board};
use super::screen::{self, Prompt, Reading};
use super::status_file::{Status, StatusFile};
use super::{limit, plain, prose, title};

mod memory;
mod turns;
mod weigh;

pub use memory::Memory;

/// The longest name of a program that is kept, in characters.
const MAX_NAME: usize = 40;

/// Something that was seen of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A report by OSC 7501.
    Psp(psp::Report),
    /// The status file as it is now; `None` once it is gone.
    Status(Option<StatusFile>),
    /// A hook or notify.
    Hook(HookEvent),
    /// The terminal title changed.
    Title(String),
    /// The screen settled; its rows as plain text.
    Screen(String),
    /// It wrote to its terminal.
    Output,
    /// CPU time of its whole tree since the last look, in percent of one core.
    Cpu {
        /// How much.
        percent: u32,
    },
    /// A file of its worktree changed.
    Files,
    /// The tool of this turn that runs, by its program's name; `None` once none does.
    ToolChild(Option<String>),
    /// The file of its conversation grew.
    Transcript,
    /// The sub-agents that are at work although nothing reports them, by name, and how much they have
    /// written in all; `None` where none is.
    Parts(Option<(String, u64)>),
    /// We interrupted its turn.
    Interrupted,
    /// Its conversation, as the file that its process holds open says.
    Session(String),
    /// Its process ended.
    Exited(End),
    /// Its host is gone, and with it the terminal.
    Lost,
}

impl Observation {
    /// Whose word it is, where it is one about the state.
    fn source(&self) -> Option<Source> {
        match self {
            Self::Psp(_) => Some(Source::Osc7501),
            Self::Status(_) => Some(Source::StatusFile),
            Self::Hook(event) if event.dialect == Dialect::CodexNotify => Some(Source::Notify),
            Self::Hook(_) => Some(Source::Hook),
            Self::Title(_) => Some(Source::Title),
            Self::Screen(_) => Some(Source::Screen),
            Self::Output | Self::Cpu { .. } | Self::Files | Self::ToolChild(_) | Self::Transcript | Self::Parts(_) => {
                Some(Source::Activity)
            }
            Self::Interrupted | Self::Session(_) | Self::Exited(_) | Self::Lost => None,
        }
    }
}

/// What a weigher is told once.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The agent's dialect.
    pub adapter: Arc<Adapter>,
    /// No sign of life for this long is `quiet`.
    pub silence: Span,
    /// Local offset from UTC in seconds, for times that a CLI prints.
    pub utc_offset_s: i32,
    /// Whether the launch carries the first prompt, so that a turn is expected.
    pub prompted: bool,
    /// The session, where it was chosen.
    pub session: Option<String>,
    /// The CLI's version where it was found and is none this adapter was tried with.
    pub unknown_version: Option<String>,
}

/// One row of `state --explain`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SignalView {
    /// Who.
    pub source: Source,
    /// What it says.
    pub kind: RunKind,
    /// In words; may be empty.
    pub text: String,
    /// How long ago, in milliseconds.
    pub age: Span,
    /// Its trust: 7 for OSC 7501 down to 0 for the process.
    pub weight: u8,
    /// Whether the run state is its word.
    pub counted: bool,
    /// Why it counts or does not.
    pub why: String,
}

/// What went wrong with the last turn, by nobody's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The error, as plain text; may be empty.
    pub text: String,
    /// Whether it wants a login.
    pub login: bool,
    /// Whether it is a usage limit.
    pub limit: bool,
    /// When the limit ends, if that was said.
    pub until: Option<Wall>,
}

/// What a claim says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Working,
    Waiting(Ask),
    TurnOver,
    AtRest,
    Failed,
    /// The turn is over, but work it left behind runs on.
    Background,
}

/// What a hook said last.
#[derive(Debug, Clone)]
struct HookClaim {
    source: Source,
    says: Says,
    text: String,
    at: Now,
}

/// What shows that something happens, whatever its agent says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Report,
    Output,
    Screen,
    Cpu,
    Files,
    Transcript,
    Tool,
}

/// The last screen.
#[derive(Debug, Clone)]
struct Seen {
    reading: Reading,
    /// What of it does not move by itself.
    still: String,
    /// Since when its dialog stands unchanged.
    since: Now,
    at: Now,
}

/// One attempt's signals.
#[derive(Debug, Clone)]
pub struct Weigher {
    rules: Rules,
    launched: Now,
    board: Board,
    /// Whether OSC 7501 said `done` since it last said `working`.
    psp_finished: bool,
    status: Option<(StatusFile, Now)>,
    /// When the status file last began to say `busy`, if it ever did.
    status_busy: Option<Now>,
    hook: Option<HookClaim>,
    /// When the newest hook fired of which was heard.
    hooked: Option<Now>,
    /// When a hook last said that the turn ended.
    stopped: Option<Now>,
    background: Option<(Vec<String>, Now)>,
    last_message: Option<String>,
    failure: Option<String>,
    limit_until: Option<Wall>,
    title: Option<(TitleSays, Now)>,
    seen: Option<Seen>,
    /// The screen that another weigher saw last, as a number; until one is seen.
    remembered: Option<u64>,
    last_sign: Now,
    /// When each kind of sign was last seen.
    signs: BTreeMap<Sign, Now>,
    tool_child: Option<String>,
    /// Sub-agents at work, how much they have written, and since when not more.
    parts: Option<(String, u64, Now)>,
    /// When the turn began that runs, or that ran last.
    turn_began: Option<Now>,
    interrupted: Option<Now>,
    evidence: Evidence,
    lost: Option<Now>,
    session: Option<String>,
    transcript: Option<String>,
    /// Observations of other sessions, which were passed over.
    foreign: u64,
}

impl Weigher {
    /// Begins with the launch.
    #[must_use]
    pub fn new(rules: Rules, launched: Now) -> Self {
        let evidence = Evidence { reports: rules.adapter.reports, ..Evidence::default() };
        let session = rules.session.clone();
        Self {
            rules,
            launched,
            board: Board::default(),
            psp_finished: false,
            status: None,
            status_busy: None,
            hook: None,
            hooked: None,
            stopped: None,
            background: None,
            last_message: None,
            failure: None,
            limit_until: None,
            title: None,
            seen: None,
            remembered: None,
            last_sign: launched,
            signs: BTreeMap::new(),
            tool_child: None,
            parts: None,
            turn_began: None,
            interrupted: None,
            evidence,
            lost: None,
            session,
            transcript: None,
            foreign: 0,
        }
    }

    /// Takes the local offset from UTC, which changes with the season.
    pub fn set_utc_offset_s(&mut self, offset_s: i32) {
        self.rules.utc_offset_s = offset_s;
    }

    /// Takes what was seen at `now`.
    pub fn observe(&mut self, now: Now, seen: Observation) {
        if seen.source().is_some_and(|source| self.rules.adapter.ignores.contains(&source)) {
            return;
        }
        match seen {
            Observation::Psp(report) => self.psp(report, now),
            Observation::Status(file) => self.status_file(file, now),
            Observation::Hook(event) => self.hook(event, now),
            Observation::Title(text) => self.on_title(&text, now),
            Observation::Screen(text) => self.screen(&text, now),
            Observation::Output => {
                self.evidence.output = true;
                // A spinner writes as long as its process lives: of a CLI that says what it does,
                // bytes show nothing. What they put on the screen does.
                if !self.rules.adapter.reports {
                    self.sign(Sign::Output, now);
                }
            }
            Observation::Cpu { percent } => {
                if percent > self.rules.adapter.idle_cpu_percent {
                    self.sign(Sign::Cpu, now);
                }
            }
            Observation::Files => {
                self.evidence.changed = true;
                self.sign(Sign::Files, now);
            }
            Observation::Transcript => self.sign(Sign::Transcript, now),
            Observation::ToolChild(name) => {
                let name = name.map(|name| plain::line(&name, MAX_NAME));
                if self.tool_child != name {
                    self.sign(Sign::Tool, now);
                }
                self.tool_child = name;
            }
            Observation::Parts(parts) => self.parts(parts, now),
            Observation::Interrupted => self.interrupted = Some(now),
            Observation::Session(id) => {
                self.session.get_or_insert(id);
            }
            Observation::Exited(end) => self.evidence.end = self.evidence.end.or(Some((end, now))),
            Observation::Lost => self.lost = self.lost.or(Some(now)),
        }
    }

    /// Whether the launch counts as started.
    #[must_use]
    pub fn start(&self, now: Now) -> Start {
        self.evidence.start(now)
    }

    /// The conversation's id, once it is known.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Where the conversation is kept, once it is known.
    #[must_use]
    pub fn transcript(&self) -> Option<&str> {
        self.transcript.as_deref()
    }

    /// The last thing the agent said at the end of a turn.
    #[must_use]
    pub fn last_message(&self) -> Option<&str> {
        self.last_message.as_deref()
    }

    /// Whether a hook or notify has told of the last turn's end, and so what was said in it.
    #[must_use]
    pub fn end_told(&self) -> bool {
        self.stopped.is_some()
    }

    /// The question with which the last turn ended in prose, if it did: the agent rests, but waits.
    #[must_use]
    pub fn asks_in_prose(&self) -> Option<String> {
        prose::question(self.last_message.as_deref()?)
    }

    /// The dialog that holds the screen, as the last settled screen shows it.
    #[must_use]
    pub fn prompt(&self) -> Option<&Prompt> {
        self.seen.as_ref().and_then(|s| s.reading.prompt.as_ref())
    }

    /// What was observed of other sessions than this attempt's.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// When the turn began that runs, or that ran last; `None` before the first.
    #[must_use]
    pub fn turn_began(&self) -> Option<Now> {
        self.turn_began
    }

    /// Whether it reports its turns, or has reported one: else nobody knows which process is a tool.
    #[must_use]
    pub fn knows_turns(&self) -> bool {
        self.rules.adapter.reports || self.turn_began.is_some()
    }

    fn sign(&mut self, sign: Sign, now: Now) {
        // A hook may be heard of later than what happened since.
        let newer = |before: Now| if before.mono > now.mono { before } else { now };
        self.last_sign = newer(self.last_sign);
        self.signs.insert(sign, self.signs.get(&sign).map_or(now, |before| newer(*before)));
        self.evidence.acted.get_or_insert(now);
    }

    /// A turn is seen to run; the first time is the start.
    fn turn(&mut self, source: Source, now: Now) {
        self.evidence.turn.get_or_insert((source, now));
    }

    fn fail(&mut self, text: &str, now: Now) {
        if text.is_empty() {
            return;
        }
        if limit::is_limit(text) {
            self.limit_until = limit::reset(text, now.wall, self.rules.utc_offset_s).or(self.limit_until);
        }
        self.failure = Some(plain::line(text, plain::MAX));
    }

    fn psp(&mut self, report: psp::Report, now: Now) {
        // The same again is what a stuck program says, too.
        if !self.board.holds(&report) {
            self.sign(Sign::Report, now);
        }
        if report.id.is_none() {
            let before = self.board.root().map(|r| r.report.state);
            let in_turn = matches!(before, Some(psp::State::Working | psp::State::Blocked));
            match report.state {
                psp::State::Working => {
                    if !in_turn {
                        self.begin(now);
                    }
                    self.psp_finished = false;
                    self.turn(Source::Osc7501, now);
                }
                psp::State::Done => {
                    self.psp_finished = true;
                    self.turn(Source::Osc7501, now);
                }
                psp::State::Error => {
                    self.psp_finished = false;
                    self.fail(&report.msg, now);
                    self.turn(Source::Osc7501, now);
                }
                psp::State::Blocked => self.psp_finished = false,
                psp::State::Idle | psp::State::Clear => {}
            }
        }
        self.board.apply(report, now);
    }

    fn status_file(&mut self, file: Option<StatusFile>, now: Now) {
        let Some(file) = file else {
            self.status = None;
            return;
        };
        let before = self.status.as_ref().map(|(f, at)| (f.status, *at));
        let at = self.said_at(&file, now);
        if before.is_none_or(|(status, _)| status != file.status) {
            self.sign(Sign::Report, at);
            if file.status == Status::Busy && !matches!(before, Some((Status::Waiting(_), _))) {
                if self.board.root().is_none() {
                    self.begin(at);
                }
                self.status_busy = Some(at);
            }
            if file.status == Status::Busy {
                self.turn(Source::StatusFile, at);
            }
        }
        // The file is of our process alone: where it names another conversation, ours moved there.
        self.session = Some(file.session.clone());
        self.status = Some((file, at));
    }

    fn parts(&mut self, parts: Option<(String, u64)>, now: Now) {
        let before = self.parts.take();
        self.parts = parts.map(|(names, size)| {
            let since = before.filter(|(_, then, _)| *then == size).map_or(now, |(_, _, since)| since);
            (plain::line(&names, 200), size, since)
        });
        if self.parts.as_ref().is_some_and(|(_, _, since)| *since == now) {
            self.sign(Sign::Transcript, now);
        }
    }

    fn on_title(&mut self, text: &str, now: Now) {
        // A spinner turns many times a second; only its being there is news.
        self.title = title::says(&self.rules.adapter.title, text).map(|says| (says, now));
    }

    fn screen(&mut self, text: &str, now: Now) {
        let reading = screen::read(&self.rules.adapter, text);
        let still = screen::still(&self.rules.adapter, text);
        if self.shows_more(&still) {
            self.sign(Sign::Screen, now);
        }
        let same = self.seen.as_ref().filter(|s| s.reading.prompt == reading.prompt && reading.prompt.is_some());
        let since = same.map_or(now, |s| s.since);
        if let Some(hint) = &reading.hint
            && matches!(hint.says, HintSays::Failed | HintSays::Limit)
            && self.failed_now()
        {
            let text = hint.text.clone();
            // The screen only lends words to an error that a better source reported without any.
            if self.failure.is_none() {
                self.fail(&text, now);
            }
        }
        self.seen = Some(Seen { reading, still, since, at: now });
    }

    /// When it reported the error that is its last word.
    fn psp_failed(&self) -> Option<Now> {
        self.board.root().filter(|r| r.report.state == psp::State::Error).map(|r| r.at)
    }

    fn failed_now(&self) -> bool {
        let psp = self.psp_failed().is_some_and(|at| !self.began_after(at));
        psp || self.hook.as_ref().is_some_and(|h| h.says == Says::Failed)
    }

    fn hook(&mut self, event: HookEvent, now: Now) {
        // One that was on its way while a newer one came says nothing of how things stand now.
        let overtaken = self.hooked.is_some_and(|newest| newest.mono > now.mono);
        let moved = !overtaken && matches!(&event.event, Event::SessionStart { source } if source != "compact");
        if self.session.as_deref().is_some_and(|own| own != event.session) && !moved {
            self.foreign += 1;
            return;
        }
        self.session = Some(event.session);
        self.transcript = event.transcript.or(self.transcript.take());
        self.sign(Sign::Report, now);
        // A part's acts are signs of life; only the whole says what the whole does.
        if event.agent_id.is_some() || overtaken || self.is_outlived(&event.event, now) {
            return;
        }
        self.hooked = Some(now);
        let source = if event.dialect == Dialect::CodexNotify { Source::Notify } else { Source::Hook };
        let (says, text) = match event.event {
            Event::SessionStart { source } if source == "compact" => return,
            Event::SessionStart { .. } => (Says::AtRest, String::new()),
            Event::PromptSubmitted { .. } => {
                if !self.began_after(now) {
                    self.begin(now);
                }
                (Says::Working, String::new())
            }
            Event::ToolStart { tool } | Event::ToolEnd { tool } => (Says::Working, tool),
            Event::PermissionAsked { tool, what } => (Says::Waiting(ask_of(&tool)), asked(&tool, &what)),
            Event::Notification { kind, message } => match self.notified(&kind, message) {
                Some(claim) => claim,
                None => return,
            },
            Event::TurnEnded { last_message, background } => self.ended(last_message, background, now),
            Event::TurnFailed { error, message } => {
                self.fail(message.as_deref().unwrap_or(&error), now);
                (Says::Failed, error)
            }
            Event::Interrupted => (Says::AtRest, "interrupted".to_owned()),
            Event::SessionEnded { .. } => {
                self.hook = None;
                return;
            }
            Event::PartStarted | Event::PartEnded | Event::Other { .. } => return,
        };
        if !matches!(says, Says::AtRest) {
            self.turn(source, now);
        }
        self.hook = Some(HookClaim { source, says, text, at: now });
    }

    /// What a notification adds. `idle_prompt` after a minute at rest tells of a turn whose end no
    /// hook told: it was interrupted.
    fn notified(&self, kind: &str, message: String) -> Option<(Says, String)> {
        let says = self.hook.as_ref().map(|h| h.says);
        match kind {
            "permission_prompt" if !matches!(says, Some(Says::Waiting(_))) => {
                Some((Says::Waiting(Ask::Permission), message))
            }
            "idle_prompt" if matches!(says, Some(Says::Working | Says::Waiting(_))) => {
                Some((Says::AtRest, "interrupted".to_owned()))
            }
            _ => None,
        }
    }
}

/// What a tool's permission dialog is to a person.
fn ask_of(tool: &str) -> Ask {
    if matches!(tool, "AskUserQuestion" | "request_user_input") { Ask::Question } else { Ask::Permission }
}

fn asked(tool: &str, what: &str) -> String {
    if what.is_empty() { tool.to_owned() } else { format!("{tool}: {what}") }
}

#[cfg(test)]
mod late;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod tests;
