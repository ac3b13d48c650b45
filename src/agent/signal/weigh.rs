//! The weighing: claims of the sources in order of trust, the one that holds, and why.

use crate::agent::adapter::HintSays;
use crate::agent::limit;
use crate::agent::plain;
use crate::agent::psp;
use crate::agent::status_file::Status;
use crate::model::state::{Ask, RunKind, RunState, Source};
use crate::model::time::{Mono, Now, Span};

use super::{Says, Sign, SignalView, TitleSays, Trouble, Weigher};

/// How long a CLI that reports may take to its first report. Twenty at once on two cores took 29 s.
const START_GRACE: Span = Span::secs(60);

/// How long an agent may stand at its prompt before a first prompt given with the launch counts as
/// not taken.
const PROMPT_GRACE: Span = Span::secs(20);

/// How long a dialog must stand on the screen against a better source that does not know of it: a
/// dialog that was just answered is redrawn within tenths of a second.
const DIALOG_STANDS: Span = Span::secs(3);

/// Between two looks at whether a limit has ended.
const LIMIT_LOOK: Span = Span::secs(60);

/// How long a child of an agent that reports nothing explains its silence: nobody says whether that
/// is its tool, or a part of itself.
const CHILD_EXPLAINS: Span = Span::mins(60);

/// How long a title's spinner counts. It turns at least once a second; hosts pass on fewer.
const TITLE_FRESH: Span = Span::secs(30);

/// What one source says, or why its word does not count.
#[derive(Debug, Clone)]
struct Claim {
    source: Source,
    says: Says,
    text: String,
    at: Now,
    /// Why it is not believed.
    void: Option<&'static str>,
}

/// The run state and whose word it is.
struct Decision {
    state: RunState,
    by: Option<Source>,
    why: String,
}

impl Weigher {
    /// What the agent is doing at `now`.
    #[must_use]
    pub fn state(&self, now: Now) -> RunState {
        self.decide(now).state
    }

    /// Every source's word, in order of trust, and whether it counts.
    #[must_use]
    pub fn explain(&self, now: Now) -> Vec<SignalView> {
        let decision = self.decide(now);
        let mut views: Vec<SignalView> = self
            .claims(now)
            .into_iter()
            .map(|claim| {
                let counted = decision.by == Some(claim.source);
                let why = match claim.void {
                    _ if counted => decision.why.clone(),
                    Some(void) => void.to_owned(),
                    None => "a more trusted source speaks".to_owned(),
                };
                let kind = kind_of(claim.says);
                SignalView { age: now.mono.since(claim.at.mono), ..view(claim.source, kind, claim.text, counted, why) }
            })
            .collect();
        for (source, at, text) in [
            (Source::Activity, self.last_sign, self.signs_told(now)),
            (Source::Process, self.evidence.end.map_or(self.launched, |(_, at)| at), "process".to_owned()),
        ] {
            let counted = decision.by == Some(source);
            let kind = if counted { decision.state.kind } else { RunKind::Unknown };
            let why = if counted { decision.why.clone() } else { "says nothing by itself".to_owned() };
            let age = now.mono.since(at.mono);
            if !views.iter().any(|v| v.source == source) {
                views.push(SignalView { age, ..view(source, kind, text, counted, why) });
            }
        }
        views.sort_by_key(|v| v.source);
        views
    }

    /// `screen 3s ago, cpu 2m ago; cargo runs`
    fn signs_told(&self, now: Now) -> String {
        let name = |sign: &Sign| match sign {
            Sign::Report => "report",
            Sign::Output => "output",
            Sign::Screen => "screen",
            Sign::Cpu => "cpu",
            Sign::Files => "files",
            Sign::Transcript => "transcript",
            Sign::Tool => "tool",
        };
        let mut signs: Vec<(&Sign, &Now)> = self.signs.iter().collect();
        signs.sort_by_key(|(sign, at)| (std::cmp::Reverse(at.mono), **sign));
        let ages = signs.iter().map(|(sign, at)| format!("{} {} ago", name(sign), now.mono.since(at.mono)));
        let told = ages.collect::<Vec<_>>().join(", ");
        let told = if told.is_empty() { "no sign of life yet".to_owned() } else { told };
        match &self.tool_child {
            Some(tool) => format!("{told}; {tool} runs"),
            None => told,
        }
    }

    /// When the state may change by time alone.
    #[must_use]
    pub fn wake_at(&self, now: Now) -> Option<Mono> {
        if self.evidence.end.is_some() || self.lost.is_some() {
            return None;
        }
        let silence = self.rules.silence;
        let mut times = vec![self.launched.mono + START_GRACE, self.last_sign.mono + silence];
        times.extend((!self.knows_turns()).then(|| self.last_sign.mono + CHILD_EXPLAINS.max(silence)));
        times.extend(self.title.map(|(_, at)| at.mono + TITLE_FRESH));
        times.extend(self.parts.as_ref().map(|(_, _, since)| since.mono + silence));
        times.extend(self.background.as_ref().map(|(_, at)| at.mono + silence));
        times.extend(self.board.root().map(|record| record.at.mono + silence));
        times.extend(self.status.as_ref().map(|(_, at)| at.mono + silence));
        if let Some(seen) = &self.seen {
            times.push(seen.since.mono + DIALOG_STANDS);
        }
        if self.rules.prompted && self.evidence.turn.is_none() {
            times.extend(self.claims(now).iter().map(|c| c.at.mono + PROMPT_GRACE));
        }
        // A machine that slept has missed the time of a wall clock: it is looked at now and then.
        let left =
            self.limit_until.filter(|until| *until > now.wall).map(|until| until.since(now.wall).min(LIMIT_LOOK));
        times.extend(left.map(|left| now.mono + left));
        if let super::Start::Pending { until } = self.start(now) {
            times.extend(until);
        }
        times.into_iter().filter(|at| *at > now.mono).min()
    }

    /// Whether its turn is over but for work that it left running.
    #[must_use]
    pub fn is_held(&self, now: Now) -> bool {
        self.holder(now).is_some_and(|claim| claim.says == Says::Background)
    }

    /// Whether its turn is said to be over, with or without work that it left running.
    #[must_use]
    pub fn says_over(&self, now: Now) -> bool {
        self.holder(now).is_some_and(|claim| matches!(claim.says, Says::TurnOver | Says::Background))
    }

    /// Whether the last turn failed, and nothing has said as yet why.
    #[must_use]
    pub fn lacks_words(&self, now: Now) -> bool {
        let fails = |claim: Claim| claim.says == Says::Failed && claim.text.is_empty();
        self.failure.is_none() && self.holder(now).is_some_and(fails)
    }

    /// What is wrong with the last turn, while nothing newer happened.
    #[must_use]
    pub fn trouble(&self, now: Now) -> Option<Trouble> {
        let holds = self.holder(now)?;
        let auth = holds.says == Says::Waiting(Ask::Login);
        if holds.says != Says::Failed && !auth {
            return None;
        }
        let text = self.failure.clone().unwrap_or(holds.text);
        let limit = limit::is_limit(&text);
        Some(Trouble { login: auth || limit::is_login(&text), limit, until: self.limit_until.filter(|_| limit), text })
    }

    /// The claims of all sources but activity and process, in order of trust.
    fn claims(&self, now: Now) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        claims.extend(self.psp_claim(now));
        claims.extend(self.status_claim(now));
        claims.extend(self.hook_claim(now));
        claims.extend(self.title_claim(now));
        let better = claims.iter().find(|c| c.void.is_none()).cloned();
        claims.extend(self.screen_claim(better.as_ref(), now));
        claims
    }

    /// The claim that the state rests on.
    fn holder(&self, now: Now) -> Option<Claim> {
        let claims = self.claims(now);
        // A screen that counts at all promotes to waiting over what stands above it.
        let screen = claims.iter().find(|c| c.source == Source::Screen && c.void.is_none());
        let first = screen.or_else(|| claims.iter().find(|c| c.void.is_none()))?;
        let news = claims.iter().find(|c| {
            c.says == Says::Working && c.void.is_none() && (c.source == Source::Title || c.at.mono >= first.at.mono)
        });
        news.filter(|_| self.only_came_up(first)).or(Some(first)).cloned()
    }

    /// Whether a claim says no more than what every CLI says while it comes up: that it rests. What
    /// shows the expected turn since then is newer news, whoever says it.
    fn only_came_up(&self, claim: &Claim) -> bool {
        let stale = claim.source == Source::StatusFile && self.status_busy.is_none() && self.board.root().is_none();
        claim.says == Says::AtRest && self.rules.prompted && (self.evidence.turn.is_none() || stale)
    }

    fn psp_claim(&self, now: Now) -> Option<Claim> {
        let record = self.board.root()?;
        // It says nothing between the prompt that is taken and the turn's first step; what others said
        // is older still.
        if let Some(at) = self.turn_began.filter(|_| self.psp_failed().is_some_and(|at| self.began_after(at))) {
            return Some(Claim { source: Source::Osc7501, says: Says::Working, text: String::new(), at, void: None });
        }
        let report = &record.report;
        let part = self.board.parts().find(|(_, r)| r.report.state == psp::State::Working);
        let says = match report.state {
            psp::State::Working => Says::Working,
            psp::State::Blocked => Says::Waiting(self.psp_ask(report)),
            psp::State::Error => Says::Failed,
            psp::State::Done | psp::State::Idle if part.is_some() => Says::Background,
            psp::State::Done if self.background_holds(now) => Says::Background,
            psp::State::Done if self.tool_holds(record.at, now) || self.parts_hold(now) => Says::Background,
            psp::State::Done => Says::TurnOver,
            // Codex goes from done to idle at the next key: the turn is over all the same.
            psp::State::Idle if self.psp_finished && self.background_holds(now) => Says::Background,
            psp::State::Idle if self.psp_finished && (self.tool_holds(record.at, now) || self.parts_hold(now)) => {
                Says::Background
            }
            psp::State::Idle if self.psp_finished => Says::TurnOver,
            psp::State::Idle | psp::State::Clear => Says::AtRest,
        };
        let mut text = report.msg.clone();
        if says == Says::Background {
            let part = part.map(|(_, r)| r.report.title.clone());
            let listed = self.background.as_ref().map(|(b, _)| b.join(", "));
            let tool = || self.tool_child.as_ref().map(|tool| format!("{tool} runs on"));
            let parts = || self.parts.as_ref().map(|(names, ..)| format!("sub-agent {names} works on"));
            text = part.or(listed).or_else(tool).or_else(parts).unwrap_or_default();
        }
        Some(Claim { source: Source::Osc7501, says, text, at: record.at, void: None })
    }

    fn psp_ask(&self, report: &psp::Report) -> Ask {
        let named = self.rules.adapter.report.iter().find(|rule| plain::matches(&rule.msg, &report.msg));
        match (named, report.kind) {
            (Some(rule), _) => rule.ask,
            (None, Some(psp::Kind::Permission)) => Ask::Permission,
            (None, Some(psp::Kind::Auth)) => Ask::Login,
            (None, Some(psp::Kind::Question) | None) => Ask::Question,
        }
    }

    /// Work left running holds the end of a turn back, but a server that never ends does not hold
    /// it for ever.
    fn background_holds(&self, now: Now) -> bool {
        self.background.as_ref().is_some_and(|(_, at)| now.mono.since(at.mono) < self.rules.silence)
    }

    /// So does a tool of the turn that outlives its end, of which only its process tells.
    fn tool_holds(&self, ended: Now, now: Now) -> bool {
        self.tool_child.is_some() && now.mono.since(ended.mono) < self.rules.silence
    }

    /// So do sub-agents, for as long as they get on.
    fn parts_hold(&self, now: Now) -> bool {
        self.parts.as_ref().is_some_and(|(_, _, since)| now.mono.since(since.mono) < self.rules.silence)
    }

    fn status_claim(&self, now: Now) -> Option<Claim> {
        let (file, at) = self.status.as_ref()?;
        let says = match file.status {
            Status::Busy => Says::Working,
            Status::Waiting(ask) => Says::Waiting(ask),
            Status::Idle if self.status_turn_over() && self.tool_holds(*at, now) => Says::Background,
            Status::Idle if self.status_turn_over() => Says::TurnOver,
            Status::Idle => Says::AtRest,
        };
        Some(Claim { source: Source::StatusFile, says, text: file.waiting_for.clone(), at: *at, void: None })
    }

    /// Idle after busy is the end of a turn, unless we know better: we interrupted it, or hooks are
    /// there and none told of an end (an interrupt by hand fires none).
    fn status_turn_over(&self) -> bool {
        if self.interrupted.is_some() || self.failure.is_some() {
            return false;
        }
        // Where its turn was not seen, a hook may have told of its end before we came.
        let Some(busy) = self.status_busy else {
            return self.hook.as_ref().is_some_and(|hook| hook.says == Says::TurnOver);
        };
        match self.hook {
            Some(_) => self.stopped.is_some_and(|stopped| stopped.mono >= busy.mono) && self.background.is_none(),
            None => true,
        }
    }

    fn hook_claim(&self, now: Now) -> Option<Claim> {
        let hook = self.hook.as_ref()?;
        let mut claim =
            Claim { source: hook.source, says: hook.says, text: hook.text.clone(), at: hook.at, void: None };
        let cleared = self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.reading.prompt.is_none() && seen.at.mono.since(hook.at.mono) >= DIALOG_STANDS);
        match hook.says {
            // No hook tells of an answer; a screen without the dialog does.
            Says::Waiting(_) if cleared => {
                claim.says = Says::Working;
                claim.text = "answered".to_owned();
            }
            Says::Background if !self.background_holds(now) => claim.says = Says::TurnOver,
            Says::Working if self.interrupted.is_some_and(|at| at.mono >= hook.at.mono) => claim.says = Says::AtRest,
            _ => {}
        }
        Some(claim)
    }

    fn title_claim(&self, now: Now) -> Option<Claim> {
        let (says, at) = self.title?;
        let (says, mut void) = match says {
            TitleSays::Working => (Says::Working, None),
            TitleSays::Waiting => (Says::Waiting(Ask::Permission), None),
            TitleSays::Rest => (Says::AtRest, Some("looks the same at rest and before a prompt")),
        };
        if void.is_none() && now.mono.since(at.mono) >= TITLE_FRESH {
            void = Some("has stood still for too long");
        }
        Some(Claim { source: Source::Title, says, text: String::new(), at, void })
    }

    fn screen_claim(&self, better: Option<&Claim>, now: Now) -> Option<Claim> {
        let seen = self.seen.as_ref()?;
        let prompt = seen.reading.prompt.as_ref()?;
        let stood = now.mono.since(seen.since.mono) >= DIALOG_STANDS;
        let void = match better {
            None => None,
            Some(b) if matches!(b.says, Says::Waiting(_)) => Some("a more trusted source says so too"),
            Some(b) if b.at.mono >= seen.since.mono => Some("older than a more trusted source's word"),
            Some(_) if !stood => Some("has not stood long enough against a more trusted source"),
            Some(_) => None,
        };
        Some(Claim {
            source: Source::Screen,
            says: Says::Waiting(prompt.ask),
            text: prompt.text(),
            at: seen.since,
            void,
        })
    }

    fn decide(&self, now: Now) -> Decision {
        if let Some((end, at)) = self.evidence.end {
            let state =
                RunState { text: end.to_string(), ..RunState::plain(RunKind::Exited, Some(Source::Process), at) };
            return Decision { state, by: Some(Source::Process), why: "the process ended".to_owned() };
        }
        if let Some(at) = self.lost {
            let state = RunState::plain(RunKind::Lost, Some(Source::Process), at);
            return Decision { state, by: Some(Source::Process), why: "its host is gone".to_owned() };
        }
        let Some(claim) = self.holder(now) else { return self.unreported(now) };
        let by = Some(claim.source);
        let why = match claim.source {
            Source::Screen => "a dialog holds the screen",
            _ => "the most trusted source that speaks",
        };
        let state = self.judged(claim, now);
        if state.source != by {
            let why = "no sign of life for too long".to_owned();
            return Decision { by: state.source, state, why };
        }
        Decision { state, by, why: why.to_owned() }
    }

    fn judged(&self, claim: Claim, now: Now) -> RunState {
        let mut state =
            RunState { text: claim.text.clone(), ..RunState::plain(kind_of(claim.says), Some(claim.source), claim.at) };
        match claim.says {
            Says::Working | Says::Background => return self.alive(state, claim.says, now),
            Says::Waiting(ask) => {
                state.ask = Some(ask);
                if let Some(prompt) = self.prompt().filter(|_| state.text.is_empty()) {
                    state.text = prompt.text();
                }
            }
            Says::TurnOver => state.turn_over = true,
            Says::AtRest => self.at_rest(&mut state, now),
            Says::Failed => self.failed(&mut state, now),
        }
        state
    }

    fn at_rest(&self, state: &mut RunState, now: Now) {
        if !self.rules.prompted || self.evidence.turn.is_some() {
            return;
        }
        if now.mono.since(state.at.mono) < PROMPT_GRACE {
            state.kind = RunKind::Starting;
        } else {
            state.text = "it is at its prompt and has not taken the first one".to_owned();
        }
    }

    fn failed(&self, state: &mut RunState, now: Now) {
        if let Some(failure) = &self.failure {
            state.text.clone_from(failure);
        }
        if limit::is_login(&state.text) {
            state.kind = RunKind::Waiting;
            state.ask = Some(Ask::Login);
        } else if self.limit_until.is_some_and(|until| until > now.wall) {
            state.kind = RunKind::Limited;
            state.until = self.limit_until;
        } else if self.limit_until.is_none() && limit::is_limit(&state.text) {
            // A limit without an end: only a person can say when to try again.
            state.kind = RunKind::Limited;
        } else if state.text.is_empty() {
            state.text = "the turn ended in an error".to_owned();
        }
    }

    /// A working agent, unless nothing of it was seen for too long.
    fn alive(&self, mut state: RunState, says: Says, now: Now) -> RunState {
        let retrying =
            self.seen.as_ref().and_then(|s| s.reading.hint.as_ref()).filter(|h| h.says == HintSays::Retrying);
        if let Some(hint) = retrying.filter(|_| says == Says::Working) {
            state.text.clone_from(&hint.text);
        }
        if now.mono.since(self.last_sign.mono) < self.rules.silence {
            return state;
        }
        if let Some(tool) = self.tool_child.as_ref().filter(|_| self.child_explains(now)) {
            // The reason is shown; deadlines and the wall clock still bound it.
            if state.text.is_empty() {
                state.text = format!("{tool} runs; nothing else is seen of it");
            }
            return state;
        }
        // No span in words: it would be another state every second. Its age is told with it.
        let text = match retrying {
            Some(hint) => format!("it does nothing but retry: {}", hint.text),
            None if self.evidence.output && self.rules.adapter.reports => "nothing but its spinner moves".to_owned(),
            None => match &self.tool_child {
                Some(tool) => format!("nothing is seen of it but that {tool} runs"),
                None => "nothing is seen of it".to_owned(),
            },
        };
        RunState { text, ..RunState::plain(RunKind::Quiet, Some(Source::Activity), self.last_sign) }
    }

    /// Whether a child may still be the reason for silence: the tool of a turn that was reported, or,
    /// for a time, any.
    fn child_explains(&self, now: Now) -> bool {
        self.knows_turns() || now.mono.since(self.last_sign.mono) < CHILD_EXPLAINS.max(self.rules.silence)
    }

    /// Nothing but bytes, CPU, files and the process.
    fn unreported(&self, now: Now) -> Decision {
        let activity = |state: RunState, why: &str| Decision { state, by: Some(Source::Activity), why: why.to_owned() };
        if let Some(acted) = self.evidence.acted.filter(|_| !self.rules.adapter.reports) {
            let working = RunState::plain(RunKind::Working, Some(Source::Activity), acted);
            return activity(self.alive(working, Says::Working, now), "it reports nothing; it was seen to act");
        }
        let (kind, text, why) = if now.mono.since(self.launched.mono) < START_GRACE {
            (RunKind::Starting, String::new(), "it was launched")
        } else {
            let text = match &self.rules.unknown_version {
                Some(version) => format!("version {version} is unknown here and reports nothing"),
                None if self.rules.adapter.reports => "it reports nothing".to_owned(),
                None => "nothing was seen of it since its launch".to_owned(),
            };
            (RunKind::Unknown, text, "no source says anything usable")
        };
        let state = RunState { text, ..RunState::plain(kind, Some(Source::Process), self.launched) };
        Decision { state, by: Some(Source::Process), why: why.to_owned() }
    }
}

fn kind_of(says: Says) -> RunKind {
    match says {
        Says::Working | Says::Background => RunKind::Working,
        Says::Waiting(_) => RunKind::Waiting,
        Says::TurnOver | Says::AtRest | Says::Failed => RunKind::Idle,
    }
}

fn view(source: Source, kind: RunKind, text: String, counted: bool, why: String) -> SignalView {
    SignalView { source, kind, text, age: Span(0), weight: weight(source), counted, why }
}

fn weight(source: Source) -> u8 {
    match source {
        Source::Osc7501 => 7,
        Source::StatusFile => 6,
        Source::Hook => 5,
        Source::Notify => 4,
        Source::Title => 3,
        Source::Screen => 2,
        Source::Activity => 1,
        Source::Process => 0,
    }
}
