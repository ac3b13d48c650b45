//! A machine, its clock, its open orders, and what a story says to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use standup::model::action::{Action, Order, Outcome};
use standup::model::attempt::{Exit, HostFacts, StopWhy};
use standup::model::board::Hold;
use standup::model::checkin::{Sent, Via};
use standup::model::event::Record;
use standup::model::id::{ActionId, AttemptId};
use standup::model::input::{AgentFacts, Bases, Command, HostFound, Input, Observation, Surroundings};
use standup::model::name::{CheckName, HostId};
use standup::model::settings::{CheckSettings, Limit, Ports, ReportFormat, Route, Settings, VerifyOn};
use standup::model::state::{Ask, RunKind, RunState, Source};
use standup::model::time::{Boot, Mono, Now, Span, Wall};
use standup::model::verdict::{CheckOutcome, CheckResult, Verdict, VerdictOutcome};
use standup::policy::{Machine, rest};

use crate::hints;
use crate::language::Line;
use crate::limits::set_limit;
use crate::plain::{agent, facts_of, plain, settings_of};
use crate::show;
use crate::words::{
    astray, check_in, dialog, diff, ended, facts, id, new_tasks, oid, patterns, spec, stamp, surveyed, used,
};

type Told = Result<Vec<String>, String>;

pub(crate) struct Story {
    machine: Machine,
    now: Now,
    log: Vec<(Record, Now)>,
    orders: BTreeMap<ActionId, Order>,
    around: Surroundings,
    wake_at: Option<Mono>,
    holds: Vec<Hold>,
    at_rest: Option<rest::Rest>,
    /// Whether the answer to a reservation is a line of the story.
    slots_by_hand: bool,
}

impl Default for Story {
    fn default() -> Self {
        let mut settings = Settings { agent: Some(agent("claude")), ..Settings::default() };
        let mut agents = BTreeMap::new();
        for name in ["claude", "codex"] {
            settings.agents.insert(agent(name), settings_of(name));
            agents.insert(agent(name), facts_of(false));
        }
        settings.verify.checks.push(CheckSettings {
            name: CheckName::new("test").expect("a name"),
            run: "make test".into(),
            report: ReportFormat::Exit,
            timeout: Span::mins(5),
        });
        let around = Surroundings { settings, untrusted: None, worktrees: PathBuf::from("/w"), agents };
        let mut machine = Machine::default();
        let now = Now { wall: Wall(1_800_000_000_000), mono: Mono(1_000), boot: Boot(1) };
        machine.step(Input::Surroundings(Box::new(around.clone())), now);
        Self {
            machine,
            now,
            log: Vec::new(),
            orders: BTreeMap::new(),
            around,
            wake_at: None,
            holds: Vec::new(),
            at_rest: Some(rest::Rest::Finished),
            slots_by_hand: false,
        }
    }
}

impl Story {
    /// Says one line; gives back everything that follows.
    pub(crate) fn tell(&mut self, line: Line) -> Told {
        match line.verb.as_str() {
            "set" => self.set(&line),
            "slots" => {
                self.slots_by_hand = line.word(0)? == "by-hand";
                Ok(Vec::new())
            }
            "sleeps" => {
                // The monotonic clock stands still.
                let span: Span = line.word(0)?.parse().map_err(|e| format!("{e}"))?;
                self.now.wall = Wall(self.now.wall.0 + i64::try_from(span.0).expect("fits"));
                Ok(self.say(Input::Slept { span }))
            }
            "clock" => {
                let by: i64 = line.word(0)?.parse().map_err(|e| format!("{e}"))?;
                self.now.wall = Wall(self.now.wall.0 + by * 3_600_000);
                Ok(self.say(Input::Tick))
            }
            "wait" => self.wait(line.word(0)?.parse().map_err(|e| format!("{e}"))?),
            "restart" | "reboot" => self.restart(&line),
            "runs" => self.runs(&line),
            _ => {
                let input = self.input(&line)?;
                Ok(self.say(input))
            }
        }
    }

    fn say(&mut self, input: Input) -> Vec<String> {
        let mut told = Vec::new();
        let mut next = Some(input);
        while let Some(input) = next.take() {
            if let Input::Done { id, .. } = &input {
                self.orders.remove(id);
            }
            let step = self.machine.step(input, self.now);
            self.wake_at = step.wake_at;
            told.extend(show::reply(&step.reply));
            if let Err(refusal) = &step.reply {
                told.extend(hints::refused(&self.machine, self.now, &refusal.hints));
            }
            for record in step.events {
                told.push(show::event(&record));
                self.log.push((record, self.now));
            }
            for order in step.orders {
                told.push(show::order(&order));
                self.orders.insert(order.id, order);
            }
            if step.release {
                told.push("slot given back".into());
            }
            if step.reserve && self.slots_by_hand {
                told.push("slot wanted".into());
            } else if step.reserve {
                next = Some(Input::Slot { reserved: true, used: 1 });
            }
        }
        told.extend(self.changes());
        told.extend(hints::of_needs(&self.machine, self.now));
        told
    }

    /// Holds that came or went, and whether everything rests.
    fn changes(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        let now = self.machine.board().holds.clone();
        for hold in now.iter().filter(|h| !self.holds.contains(h)) {
            told.push(format!("held {} {}: {}", hold.task, format!("{:?}", hold.because).to_lowercase(), hold.text));
        }
        for hold in self.holds.iter().filter(|h| !now.iter().any(|n| n.task == h.task)) {
            told.push(format!("no longer held {}", hold.task));
        }
        self.holds = now;
        let at_rest = rest::at_rest(self.machine.board());
        if at_rest != self.at_rest {
            told.push(match at_rest {
                Some(how) => format!("at rest: {}", format!("{how:?}").to_lowercase()),
                None => "not at rest".into(),
            });
        }
        self.at_rest = at_rest;
        told
    }

    fn set(&mut self, line: &Line) -> Told {
        let limit = |text: &str| match text {
            "none" => Ok(Limit::Unlimited),
            n => n.parse().map(Limit::of).map_err(|e| format!("{e}")),
        };
        let settings = &mut self.around.settings;
        match line.word(0)? {
            "build" => settings.wip.build = limit(line.word(1)?)?,
            "weight" => {
                let weight = line.word(2)?.parse().map_err(|e| format!("{e}"))?;
                match line.word(1)? {
                    "delegate" => settings.wip.weight.delegate = weight,
                    "checkpoint" => settings.wip.weight.checkpoint = weight,
                    "own" => settings.wip.weight.own = weight,
                    other => return Err(format!("no mode is called {other}")),
                }
            }
            "review" => settings.wip.review = limit(line.word(1)?)?,
            "machine" => settings.wip.machine = limit(line.word(1)?)?,
            "ports" => {
                let number = |place| line.word(place)?.parse().map_err(|e| format!("{e}"));
                settings.worktrees.ports = Some(Ports { first: number(1)?, last: number(2)?, per_task: number(3)? });
            }
            "teardown" => settings.worktrees.teardown = vec![line.word(1)?.to_owned()],
            "every" => settings.check_in.every = line.word(1)?.parse().map_err(|e| format!("{e}"))?,
            "nudges" => settings.check_in.nudges = line.word(1)?.parse().map_err(|e| format!("{e}"))?,
            "grace" => settings.check_in.grace = line.word(1)?.parse().map_err(|e| format!("{e}"))?,
            "limit" => set_limit(&mut settings.limits, line.word(1)?, line.word(2)?)?,
            what @ ("stop-hook" | "reads" | "resumes" | "prompted") => {
                let facts = self.facts(line.word(1)?)?;
                let which = match what {
                    "stop-hook" => &mut facts.stop_hook,
                    "reads" => &mut facts.reads,
                    "prompted" => &mut facts.prompted,
                    _ => &mut facts.resumes,
                };
                *which = line.word(2)? == "yes";
            }
            "unusable" => self.facts(line.word(1)?)?.unusable = line.words.get(2).cloned(),
            "on" => {
                let word = |word: &String| match word.as_str() {
                    "check-in" => Ok(VerifyOn::CheckIn),
                    "file-change" => Ok(VerifyOn::FileChange),
                    other => Err(format!("checks never run on {other}")),
                };
                let more = line.words[1..].iter().map(word).collect::<Result<Vec<_>, _>>()?;
                settings.verify.on = [vec![VerifyOn::Done], more].concat();
            }
            "red" => settings.limits.red_verdicts = line.word(1)?.parse().map_err(|e| format!("{e}"))?,
            "checks" if line.word(1)? == "none" => settings.verify.checks.clear(),
            "agent" if line.word(1)? == "none" => settings.agent = None,
            "agent" => settings.agent = Some(agent(line.word(1)?)),
            "max" => {
                let of = settings.agents.get_mut(&agent(line.word(1)?)).ok_or("no such agent")?;
                of.max = limit(line.word(2)?)?;
            }
            "route" => settings.routes.push(Route { paths: patterns(&[line.word(1)?])?, agent: agent(line.word(2)?) }),
            "untrusted" => self.around.untrusted = Some(line.word(1)?.to_owned()),
            "trusted" => self.around.untrusted = None,
            other => return Err(format!("nothing is called {other}")),
        }
        Ok(self.say(Input::Surroundings(Box::new(self.around.clone()))))
    }

    fn facts(&mut self, name: &str) -> Result<&mut AgentFacts, String> {
        self.around.agents.get_mut(&agent(name)).ok_or_else(|| format!("no agent is called {name}"))
    }

    /// Time passes; the machine is woken when it asked to be.
    fn wait(&mut self, span: Span) -> Told {
        let until = self.now.mono + span;
        let mut told = Vec::new();
        loop {
            let at = self.wake_at.filter(|at| *at <= until).map_or(until, |at| at.max(self.now.mono));
            let passed = at.since(self.now.mono);
            self.now.mono = at;
            self.now.wall = Wall(self.now.wall.0 + i64::try_from(passed.0).expect("fits"));
            told.extend(self.say(Input::Tick));
            if at >= until && self.wake_at.is_none_or(|w| w > until) {
                return Ok(told);
            }
        }
    }

    /// The supervisor comes back: the same board, from the events alone.
    fn restart(&mut self, line: &Line) -> Told {
        let mut fresh = Machine::default();
        for (record, at) in &self.log {
            fresh.fold(record, *at);
        }
        if plain(fresh.board()) != plain(self.machine.board()) {
            return Err("the events folded again give another board".into());
        }
        self.machine = fresh;
        if line.verb == "reboot" {
            self.now.boot = Boot(self.now.boot.0 + 1);
            self.now.mono = Mono(500);
        }
        let mut hosts = BTreeMap::new();
        for (task, how) in &line.with {
            let (_, facts) = self.host(task)?;
            let found = match how.as_str() {
                "alive" => HostFound::Alive(facts.clone()),
                "other" => HostFound::Alive(HostFacts { nonce: "another".into(), ..facts.clone() }),
                code => HostFound::Ended(ended(code, true)?),
            };
            hosts.insert(facts.id.clone(), found);
        }
        let mut told = self.say(Input::Recovered { hosts });
        told.extend(self.say(Input::Surroundings(Box::new(self.around.clone()))));
        Ok(told)
    }

    /// The usual way from a plan to an agent at work.
    fn runs(&mut self, line: &Line) -> Told {
        let task = line.word(0)?;
        let mut told = Vec::new();
        for text in ["prepared", "launched", "state"] {
            let mut words = vec![task.to_owned()];
            if text == "prepared" && self.open(task, "prepare").is_err() {
                continue;
            }
            if text == "state" {
                words.push("working".into());
            }
            let input = self.input(&Line { verb: text.into(), words, with: BTreeMap::new() })?;
            told.extend(self.say(input));
        }
        Ok(told)
    }

    fn input(&self, line: &Line) -> Result<Input, String> {
        if let Some(command) = self.command(line)? {
            return Ok(Input::Command(command));
        }
        if let Some(input) = self.outcome(line)? {
            return Ok(input);
        }
        if let Some(seen) = self.seen(line)? {
            let attempt = self.attempt(line.word(0)?)?;
            return Ok(Input::Observed { attempt, seen });
        }
        match line.verb.as_str() {
            "slot" => {
                let used = line.word_or(1, "0").parse().map_err(|e| format!("{e}"))?;
                Ok(Input::Slot { reserved: line.word(0)? == "in-hand", used })
            }
            "bases" => {
                let named = line.with.iter().map(|(name, why)| (name.clone(), why.clone())).collect();
                Ok(Input::Bases(Bases { default: line.words.first().cloned(), named }))
            }
            "slots-free" => Ok(Input::SlotsMayBeFree),
            other => Err(format!("nobody knows what {other} means")),
        }
    }

    fn command(&self, line: &Line) -> Result<Option<Command>, String> {
        let task = || id(line.word(0)?);
        let reason = || line.word_or(2, "").to_owned();
        Ok(Some(match line.verb.as_str() {
            "add" => Command::Add { tasks: new_tasks(line)? },
            "edit" => {
                // `was=TITLE`: what it was made from, with nothing beside.
                let made_from = |title: &String| {
                    let with = line.with.iter().filter(|(name, _)| *name == "key");
                    let with = with.map(|(name, word)| (name.clone(), word.clone())).collect();
                    spec(&Line { verb: line.verb.clone(), words: Vec::new(), with }, title).map(Box::new)
                };
                let was = line.with.get("was").map(made_from).transpose()?;
                Command::Edit { task: task()?, spec: Box::new(spec(line, line.word(1)?)?), was }
            }
            "move" => Command::Move {
                task: task()?,
                to: line.word(1)?.parse().map_err(|e| format!("{e}"))?,
                reason: reason(),
            },
            "up" => Command::Dispatch { on: true },
            "down" => Command::Dispatch { on: false },
            "start" => Command::Start { task: task()? },
            "stop" => Command::Stop { task: task()? },
            "stop-all" => Command::StopAll { why: StopWhy::Down },
            "rest" => Command::Rest {},
            "retry" => Command::Retry { task: task()?, agent: line.words.get(1).map(|name| agent(name)) },
            "cancel" => Command::Cancel { task: task()?, reason: line.word_or(1, "").to_owned() },
            "verify" => Command::Verify { task: task()? },
            "takeover" => Command::Takeover { task: task()?, reason: line.word_or(1, "").to_owned() },
            "handback" => Command::Handback { task: task()?, note: line.word_or(1, "").to_owned() },
            "pause" => Command::Pause { task: task()?, reason: line.word_or(1, "").to_owned() },
            "resume" => Command::Resume { task: task()? },
            "approve" => Command::Approve { task: task()? },
            "reject" => Command::Reject { task: task()?, note: line.word_or(1, "").to_owned() },
            "nudge" => Command::Nudge { task: task()? },
            "at-stop" => Command::AtStop { attempt: self.attempt(line.word(0)?)? },
            "answer" => Command::Answer { task: task()?, choice: line.word(1)?.into() },
            "send" => Command::Send { task: task()?, text: line.word(1)?.into(), now: line.word_or(2, "") == "now" },
            "hear" => Command::Hear { attempt: line.word(0)?.parse().map_err(|e| format!("{e}"))? },
            _ => return Ok(None),
        }))
    }

    fn outcome(&self, line: &Line) -> Result<Option<Input>, String> {
        let task = || line.word(0);
        let error = |place| line.word_or(place, "it went wrong").to_owned();
        let (which, outcome) = match line.verb.as_str() {
            "prepared" => (
                "prepare",
                Outcome::Prepared {
                    base_oid: oid("0"),
                    base: "main".into(),
                    session: (line.word_or(1, "") != "no-session")
                        .then(|| format!("session of {}", line.word_or(0, ""))),
                    ports: self.ports(task()?)?,
                    notes: Vec::new(),
                },
            ),
            "torn-down" => ("tear down", Outcome::TornDown { wrong: line.words.get(1).cloned() }),
            "taken" => ("prepare", Outcome::BranchTaken { error: "a branch of that name exists".into() }),
            "launched" => ("launch", Outcome::Launched { facts: self.host(task()?)?.1 }),
            "came-and-went" => {
                let ended = ended(line.word(1)?, line.word_or(2, "") == "output")?;
                ("launch", Outcome::CameAndWent { facts: Some(self.host(task()?)?.1), ended })
            }
            "stopped" => ("stop", Outcome::Stopped { exit: Some(Exit { code: None, signal: Some(15) }), leftovers: 0 }),
            "typed" => ("type", Outcome::Typed),
            "not-typed" => ("type", Outcome::NotTyped { why: error(1) }),
            "perhaps-typed" => ("type", Outcome::PerhapsTyped),
            "answered" => ("answer", Outcome::Typed),
            "not-answered" => ("answer", Outcome::NotTyped { why: error(1) }),
            "perhaps-answered" => ("answer", Outcome::PerhapsTyped),
            "checked" => ("check", self.checked(line)?),
            "surveyed" => ("survey", surveyed(line)?),
            "looked" => ("look", Outcome::Looked),
            "left" => ("leave", Outcome::Left),
            "swept" => ("sweep", Outcome::Swept { ended: 0 }),
            "unapproved" => ("check", Outcome::Unapproved),
            "failed" => {
                let which = line.word(1)?;
                (which, Outcome::Failed { stage: which.to_owned(), error: error(2) })
            }
            _ => return Ok(None),
        };
        let id = match line.with.get("order") {
            Some(id) => ActionId(id.parse().map_err(|e| format!("{e}"))?),
            None => self.open(task()?, which)?.id,
        };
        Ok(Some(Input::Done { id, outcome }))
    }

    /// The ports that the worktree of a task is prepared with.
    fn ports(&self, task: &str) -> Result<Vec<u16>, String> {
        match &self.open(task, "prepare")?.action {
            Action::Prepare { ports, .. } => Ok(ports.clone()),
            other => Err(format!("{other:?} prepares nothing")),
        }
    }

    fn checked(&self, line: &Line) -> Result<Outcome, String> {
        let outcome = match line.word(1)? {
            "green" => VerdictOutcome::Green,
            "red" => VerdictOutcome::Red,
            "stale" => VerdictOutcome::Stale,
            "none" => VerdictOutcome::None,
            "error" => VerdictOutcome::Error,
            other => return Err(format!("no verdict is called {other}")),
        };
        let red = outcome == VerdictOutcome::Red;
        let check = CheckResult {
            name: CheckName::new("test").expect("a name"),
            outcome: CheckOutcome::Fail,
            exit_code: Some(1),
            duration_ms: 5,
            tests: None,
            failures: Vec::new(),
            why: "2 tests failed".into(),
            tail: String::new(),
            command: "make test".into(),
            notes: Vec::new(),
        };
        let why = if outcome == VerdictOutcome::Error { "no such program: make" } else { "" };
        let tree = Some(oid(line.with.get("tree").map_or("0", String::as_str)));
        let checks = if red { vec![check] } else { Vec::new() };
        let verdict = Verdict { outcome, tree, checks, why: why.into() };
        Ok(Outcome::Checked { verdict, feedback: if red { "test: 2 tests failed".into() } else { String::new() } })
    }

    fn seen(&self, line: &Line) -> Result<Option<Observation>, String> {
        let state = |kind, over, text: &str, ask| RunState {
            turn_over: over,
            text: text.to_owned(),
            ask,
            ..RunState::plain(kind, Some(Source::Osc7501), self.now)
        };
        let told = |state: RunState, asks: Option<&str>| {
            let open = state.kind == RunKind::Limited && state.until.is_none();
            let readable = open || matches!(state.kind, RunKind::Idle | RunKind::Working | RunKind::Quiet);
            Observation::State { state, readable, asks: asks.map(str::to_owned) }
        };
        Ok(Some(match line.verb.as_str() {
            "state" => {
                let kind = match line.word(1)? {
                    "starting" => RunKind::Starting,
                    "working" => RunKind::Working,
                    "idle" => RunKind::Idle,
                    "quiet" => RunKind::Quiet,
                    "limited" => RunKind::Limited,
                    other => return Err(format!("no state is called {other}")),
                };
                let mut state = state(kind, false, line.word_or(2, ""), None);
                if kind == RunKind::Starting {
                    state.source = Some(Source::Process);
                }
                if let Some(left) = line.with.get("for") {
                    let left: Span = left.parse().map_err(|e| format!("{e}"))?;
                    state.until = Some(Wall(self.now.wall.0 + i64::try_from(left.0).expect("fits")));
                }
                told(state, None)
            }
            "asks" => {
                let ask = match line.word(1)? {
                    "permission" => Ask::Permission,
                    "trust" => Ask::Trust,
                    "login" => Ask::Login,
                    _ => Ask::Question,
                };
                told(state(RunKind::Waiting, false, line.word(2)?, Some(ask)), None)
            }
            "turn-over" => told(state(RunKind::Idle, true, line.text(), None), line.words.get(1).map(String::as_str)),
            "plan" => Observation::Plan { text: line.word(1)?.into() },
            "dialog" => Observation::Dialog { dialog: dialog(line)? },
            "plan-left" => Observation::PlanLeft,
            "took" => Observation::PromptTaken { text: line.words.get(1).cloned() },
            "prompt-wanted" => Observation::PromptWanted { text: line.word(1)?.into() },
            "check-in" => {
                Observation::CheckIn { check_in: check_in(line)?, via: Via::Outbox, stamp: stamp(line, self.now)? }
            }
            "bad-check-in" => Observation::BadCheckIn { why: line.word(1)?.into(), what: Sent::Report },
            "bad-hook" => Observation::BadCheckIn { why: line.word(1)?.into(), what: Sent::Hook },
            "exit" => {
                let (_, facts) = self.host(line.word(0)?)?;
                let mut ended = ended(line.word(1)?, line.word_or(2, "output") == "output")?;
                ended.tail = line.with.get("tail").cloned().unwrap_or_default();
                Observation::Exited { host: facts.id, ended }
            }
            "used" => Observation::Used { seen: used(line, self.host(line.word(0)?)?.1.id)? },
            "strays" => Observation::ChangedWhilePlanning { paths: line.words[1..].to_vec() },
            "touches" => Observation::OffLimits { paths: line.words[1..].to_vec() },
            "lost" => Observation::Lost { host: self.host(line.word(0)?)?.1.id, why: "no exit record".into() },
            "astray" => Observation::Astray { astray: astray(line.word(1)?)? },
            "noted" => Observation::Noted { text: line.word(1)?.into() },
            "diff" => Observation::Diff { diff: diff(line)?, tree: line.with.get("tree").map(|t| oid(t)) },
            _ => return Ok(None),
        }))
    }

    fn attempt(&self, text: &str) -> Result<AttemptId, String> {
        if text.contains('/') {
            return text.parse().map_err(|e| format!("{e}"));
        }
        let task = self.machine.board().tasks.get(&id(text)?).ok_or("no such task")?;
        task.attempt_id().ok_or_else(|| format!("{text} has no attempt"))
    }

    /// The host of a task's newest attempt, in whatever phase.
    fn host(&self, text: &str) -> Result<(AttemptId, HostFacts), String> {
        let of = self.attempt(text)?;
        let attempt = self.machine.board().attempt(of).ok_or("no such attempt")?;
        let name = format!("{}-{}-{}", of.task, of.no, attempt.launches);
        Ok((of, facts(HostId::new(name).map_err(|e| format!("{e}"))?)))
    }

    /// The newest open order of a kind.
    fn open(&self, task: &str, which: &str) -> Result<&Order, String> {
        let of = self.attempt(task)?;
        let fits = |order: &&Order| {
            order.attempt == of
                && which
                    == match order.action {
                        Action::Prepare { .. } => "prepare",
                        Action::Launch { .. } => "launch",
                        Action::Stop { .. } => "stop",
                        Action::Type { .. } => "type",
                        Action::Answer { .. } => "answer",
                        Action::Check { .. } => "check",
                        Action::Leave { .. } => "leave",
                        Action::Look {} => "look",
                        Action::Sweep { .. } => "sweep",
                        Action::TearDown { .. } => "tear down",
                        Action::Survey { .. } => "survey",
                    }
        };
        self.orders.values().rfind(fits).ok_or_else(|| format!("there is no open order to {which} for {of}"))
    }
}
