//! Hosts, agents, worktrees and checks that live on while supervisors come and go.
//!
//! **Invariant:** a task never has two live hosts; no message is written twice; no more agents run
//! than the machine has slots.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use standup::model::action::{Action, Ended, Order};
use standup::model::attempt::{DiffStat, Exit, HostFacts};
use standup::model::checkin::{CheckIn, Claim, Stamp, Via};
use standup::model::dialog::{Choice, Dialog, DialogNo, Says};
use standup::model::id::{AttemptId, MsgId, TaskId};
use standup::model::input::{HostFound, Input, Observation};
use standup::model::name::{HostId, Oid};
use standup::model::state::{Ask, RunKind, RunState, Source};
use standup::model::time::{Boot, Mono, Now, Wall};

use crate::disk::Disk;
use crate::rng::Rng;

/// What is going to happen.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// An input reaches the supervisor, if it is still the same one.
    Deliver { life: u64, input: Box<Input> },
    /// A deed of a supervisor, if it still lives.
    Deed { life: u64, order: Box<Order> },
    /// A spawned host starts its agent, whoever still lives.
    Up { host: HostId },
    /// An agent goes on.
    Agent { host: HostId, launch: u64, act: Act },
}

/// What agents do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begin,
    Change,
    CheckIn(Claim),
    Over,
    Ask,
    Dialog,
    Answered,
    Limit,
    LimitOver,
    Login,
    Fail,
    Exit(i32),
    Die,
    Hang,
}

#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) attempt: AttemptId,
    pub(crate) facts: HostFacts,
    pub(crate) up: bool,
    pub(crate) alive: bool,
    pub(crate) record: Option<Ended>,
    pub(crate) state: RunState,
    pub(crate) asks: Option<String>,
    pub(crate) typed: BTreeSet<MsgId>,
    /// Prompts that wait for the end of the turn.
    pub(crate) waiting: Vec<String>,
    /// The dialog it stands in, and its answers.
    pub(crate) dialog: Option<Dialog>,
    /// Counts what the agent does, so that what it was going to do can be called off.
    pub(crate) plan: u64,
    /// When its supervisor hears of it, at the earliest: in order.
    pub(crate) heard: i64,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) now: Now,
    pub(crate) queue: BTreeMap<(i64, u64), Due>,
    pub(crate) next: u64,
    /// Which supervisor lives; 0 while none does.
    pub(crate) life: u64,
    pub(crate) hosts: BTreeMap<HostId, Host>,
    pub(crate) trees: BTreeMap<AttemptId, u64>,
    pub(crate) fences: BTreeMap<TaskId, u32>,
    pub(crate) written: BTreeMap<MsgId, u32>,
    /// Whose hook asks before its turn ends.
    pub(crate) stopping: Option<HostId>,
    /// Reminders left in inboxes.
    pub(crate) notes: BTreeSet<(AttemptId, u32)>,
    pub(crate) in_hand: bool,
    pub(crate) assigned: BTreeSet<AttemptId>,
    pub(crate) foreign: u32,
    pub(crate) machine: u32,
    /// Everything goes well from now on.
    pub(crate) calm: bool,
    /// Dies before it submits so many more orders.
    pub(crate) dies_in: Option<u32>,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(seed: u64, disk: Rc<RefCell<Disk>>) -> Self {
        Self {
            rng: Rng::new(seed),
            disk,
            now: Now { wall: Wall(1_800_000_000_000), mono: Mono(1_000), boot: Boot(1) },
            queue: BTreeMap::new(),
            next: 0,
            life: 0,
            hosts: BTreeMap::new(),
            trees: BTreeMap::new(),
            fences: BTreeMap::new(),
            written: BTreeMap::new(),
            stopping: None,
            notes: BTreeSet::new(),
            in_hand: false,
            assigned: BTreeSet::new(),
            foreign: 0,
            machine: 6,
            calm: false,
            dies_in: None,
            kinds: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.kinds.entry(what).or_default() += 1;
    }

    pub(crate) fn after(&mut self, low: i64, high: i64, due: Due) -> i64 {
        let at = self.now.mono.0 + self.rng.between(low, high);
        self.at(at, due);
        at
    }

    pub(crate) fn at(&mut self, at: i64, due: Due) {
        self.next += 1;
        self.queue.insert((at, self.next), due);
    }

    pub(crate) fn deliver(&mut self, low: i64, high: i64, input: Input) {
        let life = self.life;
        if self.rng.percent(3) && matches!(input, Input::Done { .. }) {
            self.after(low, high * 3, Due::Deliver { life, input: Box::new(input.clone()) });
        }
        self.after(low, high, Due::Deliver { life, input: Box::new(input) });
    }

    /// What a host's agent shows, in order; unheard while no supervisor lives.
    pub(crate) fn show(&mut self, host: &HostId, seen: Observation) {
        let (life, delay) = (self.life, self.rng.between(0, 400));
        let twice = self.rng.percent(4);
        let Some(found) = self.hosts.get_mut(host) else { return };
        if life == 0 {
            return;
        }
        found.heard = found.heard.max(self.now.mono.0 + delay) + 1;
        let (at, attempt) = (found.heard, found.attempt);
        let input = Box::new(Input::Observed { attempt, seen });
        if twice {
            self.at(at, Due::Deliver { life, input: input.clone() });
        }
        self.at(at, Due::Deliver { life, input });
    }

    pub(crate) fn show_state(&mut self, host: &HostId) {
        let Some(found) = self.hosts.get(host).filter(|h| h.alive && h.up) else { return };
        let state = found.state.clone();
        let readable = matches!(state.kind, RunKind::Idle | RunKind::Working | RunKind::Quiet);
        let seen = Observation::State { state, readable, asks: found.asks.clone() };
        self.show(host, seen);
    }

    pub(crate) fn set_state(&mut self, host: &HostId, kind: RunKind, over: bool, text: &str) {
        let at = self.now;
        if let Some(found) = self.hosts.get_mut(host) {
            found.state = RunState {
                turn_over: over,
                text: text.into(),
                ask: (kind == RunKind::Waiting).then_some(Ask::Permission),
                ..RunState::plain(kind, Some(Source::Osc7501), at)
            };
            found.asks = None;
        }
    }

    pub(crate) fn slots_used(&self) -> u32 {
        let hosts = self.hosts.values().filter(|h| h.alive).count();
        self.foreign + u32::from(self.in_hand) + u32::try_from(hosts + self.assigned.len()).expect("few")
    }

    pub(crate) fn check(&self) {
        let mut tasks = BTreeSet::new();
        for host in self.hosts.values().filter(|h| h.alive) {
            assert!(tasks.insert(host.attempt.task), "two live hosts for {}", host.attempt.task);
        }
        assert!(self.slots_used() <= self.machine, "{} slots of {}", self.slots_used(), self.machine);
        for (msg, times) in &self.written {
            assert!(*times <= 1, "message {msg} was written {times} times");
        }
    }

    /// The supervisor is gone, with everything it was doing.
    pub(crate) fn end_life(&mut self) {
        self.life = 0;
        self.in_hand = false;
        self.assigned.clear();
    }

    /// So is the machine.
    pub(crate) fn reboot(&mut self) {
        self.end_life();
        for host in self.hosts.values_mut().filter(|h| h.alive) {
            host.alive = false;
        }
        self.foreign = 0;
        self.queue.clear();
        self.now.boot = Boot(self.now.boot.0 + 1);
        self.now.mono = Mono(500);
        self.disk.borrow_mut().lose_power();
    }

    pub(crate) fn found(&self) -> BTreeMap<HostId, HostFound> {
        let found = |host: &Host| match (&host.record, host.alive) {
            (_, true) => Some(HostFound::Alive(host.facts.clone())),
            (Some(ended), false) => Some(HostFound::Ended(ended.clone())),
            (None, false) => None,
        };
        self.hosts.iter().filter_map(|(id, host)| Some((id.clone(), found(host)?))).collect()
    }

    /// A new supervisor hears every living host again.
    pub(crate) fn adopt(&mut self) {
        let alive: Vec<HostId> = self.hosts.iter().filter(|(_, h)| h.alive).map(|(id, _)| id.clone()).collect();
        for host in alive {
            if let Some(found) = self.hosts.get_mut(&host) {
                found.heard = self.now.mono.0;
            }
            if let Some(dialog) = self.hosts.get(&host).and_then(|h| h.dialog.clone()) {
                self.show(&host, Observation::Dialog { dialog: Some(dialog) });
            }
            self.show_state(&host);
        }
    }

    /// Slots of orders that are given again are taken before anything else may start.
    pub(crate) fn take_slots_again(&mut self, pending: &[Order]) {
        for order in pending {
            let wants = match &order.action {
                Action::Prepare { .. } => true,
                Action::Launch { host, .. } => !self.hosts.contains_key(host),
                _ => false,
            };
            if wants {
                self.assigned.insert(order.attempt);
            }
        }
    }

    pub(crate) fn happen(&mut self, due: Due) -> Option<Input> {
        match due {
            Due::Deliver { life, input } => return (life == self.life).then_some(*input),
            Due::Deed { life, order } if life == self.life => self.do_deed(*order),
            Due::Deed { .. } => {}
            Due::Up { host } => self.host_up(&host),
            Due::Agent { host, launch, act } => {
                let current = self.hosts.get(&host).is_some_and(|h| h.alive && h.plan == launch);
                if current {
                    self.act(&host, act);
                }
            }
        }
        None
    }

    pub(crate) fn host_up(&mut self, name: &HostId) {
        let Some(host) = self.hosts.get_mut(name).filter(|h| h.alive) else { return };
        let attempt = host.attempt;
        if self.fences.get(&attempt.task).is_some_and(|fence| *fence > attempt.no.get()) {
            self.end_host(name, Some(exit(Some(1))));
            return;
        }
        host.up = true;
        self.show_state(name);
        self.plan(name, 100, 5_000, Act::Begin);
    }

    pub(crate) fn plan(&mut self, name: &HostId, low: i64, high: i64, act: Act) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        host.plan += 1;
        let launch = host.plan;
        self.after(low, high, Due::Agent { host: name.clone(), launch, act });
    }

    pub(crate) fn act(&mut self, name: &HostId, act: Act) {
        let attempt = self.hosts[name].attempt;
        match act {
            Act::Begin => {
                if !self.rng.percent(4) {
                    self.set_state(name, RunKind::Working, false, "");
                    self.show_state(name);
                }
                self.plan(name, 1_000, 120_000, Act::Change);
            }
            Act::Change => {
                *self.trees.entry(attempt).or_default() += 1;
                let seen =
                    Observation::Diff { diff: changed(self.trees[&attempt]), tree: Some(oid(self.trees[&attempt])) };
                self.show(name, seen);
                let next = self.next_act();
                self.plan(name, 100, 60_000, next);
            }
            Act::CheckIn(state) => {
                let offered: &[&str] = if state == Claim::NeedsDecision { &["yes", "maybe"] } else { &[] };
                let options = offered.iter().map(ToString::to_string).collect();
                let check_in = CheckIn { did: "some of it".into(), options, ..CheckIn::of(state) };
                self.show(name, Observation::CheckIn { check_in, via: Via::Outbox, stamp: Stamp::default() });
                self.plan(name, 10, 40_000, Act::Over);
            }
            // Where nobody listens, or the hook is lost, the turn just ends.
            Act::Over if self.life != 0 && self.rng.percent(90) => self.stopping = Some(name.clone()),
            Act::Over | Act::Ask => self.turn_over(name, act == Act::Ask),
            Act::Dialog => {
                self.set_state(name, RunKind::Waiting, false, "may I run rm?");
                self.open_dialog(name);
                self.show_state(name);
                self.plan(name, 60_000, 3_000_000, Act::Answered);
            }
            Act::Answered => {
                self.hosts.get_mut(name).expect("it acts").dialog = None;
                self.set_state(name, RunKind::Working, false, "");
                self.show_state(name);
                self.plan(name, 100, 10_000, Act::Over);
            }
            Act::Limit | Act::LimitOver | Act::Login => self.held_up(name, act),
            Act::Fail => {
                self.set_state(name, RunKind::Idle, false, "the service answered 529");
                self.show_state(name);
            }
            Act::Exit(code) => self.end_host(name, Some(exit(Some(code)))),
            Act::Die => self.end_host(name, None),
            Act::Hang => {
                self.set_state(name, RunKind::Quiet, false, "");
                self.show_state(name);
                // Until somebody looks, or all is well.
                self.plan(name, 3_000_000, 6_000_000, Act::Over);
            }
        }
    }

    /// What keeps an agent from its work, and is none of it.
    fn held_up(&mut self, name: &HostId, act: Act) {
        match act {
            Act::Limit => {
                let for_ms = self.rng.between(60_000, 8_000_000);
                self.set_state(name, RunKind::Limited, false, "out of quota");
                let until = Wall(self.now.wall.0 + for_ms);
                self.hosts.get_mut(name).expect("it acts").state.until = Some(until);
                self.show_state(name);
                self.plan(name, for_ms, for_ms + 60_000, Act::LimitOver);
            }
            Act::LimitOver => {
                self.set_state(name, RunKind::Idle, false, "out of quota");
                self.show_state(name);
            }
            Act::Login => {
                self.set_state(name, RunKind::Waiting, false, "sign in");
                self.hosts.get_mut(name).expect("it acts").state.ask = Some(Ask::Login);
                self.show_state(name);
                self.plan(name, 60_000, 3_000_000, Act::Answered);
            }
            _ => {}
        }
    }

    fn open_dialog(&mut self, name: &HostId) {
        self.next += 1;
        let option = |n, text: &str, says| Choice { number: Some(n), text: text.into(), says: Some(says) };
        let dialog = Dialog {
            no: DialogNo(self.next),
            ask: Ask::Permission,
            question: "may I run rm?".into(),
            options: vec![option(1, "Yes", Says::Yes), option(2, "No", Says::No)],
            hook: self.rng.percent(50),
            plan: self.rng.percent(20),
            since: None,
        };
        self.hosts.get_mut(name).expect("it acts").dialog = Some(dialog.clone());
        self.show(name, Observation::Dialog { dialog: Some(dialog) });
    }

    /// Its hook has an answer: a turn that was told something goes on.
    pub(crate) fn stopped(&mut self, name: &HostId, told: bool) {
        if !self.hosts.get(name).is_some_and(|h| h.alive) {
            return;
        }
        if told {
            self.count("reminded at its stop");
            let next = if self.rng.percent(60) { Act::CheckIn(Claim::Working) } else { Act::Change };
            self.plan(name, 100, 60_000, next);
        } else {
            self.turn_over(name, false);
        }
    }

    pub(crate) fn next_act(&mut self) -> Act {
        if self.calm {
            return *self.rng.pick(&[Act::Over, Act::Over, Act::Exit(0), Act::CheckIn(Claim::Ready)]);
        }
        match self.rng.below(100) {
            0..40 => Act::Over,
            40..50 => Act::Exit(0),
            50..54 => Act::Exit(1),
            54..57 => Act::Die,
            57..60 => Act::Hang,
            60..67 => Act::Ask,
            67..72 => Act::Dialog,
            72..74 => Act::Limit,
            74..75 => Act::Login,
            75..78 => Act::Fail,
            78..90 => Act::CheckIn(Claim::Ready),
            90..94 => Act::CheckIn(Claim::NeedsDecision),
            94..96 => Act::CheckIn(Claim::Working),
            _ => Act::Change,
        }
    }

    pub(crate) fn turn_over(&mut self, name: &HostId, asks: bool) {
        match self.rng.below(100) {
            0..30 => self.show(name, Observation::Plan { text: format!("plan {}", self.next) }),
            30..33 => self.show(name, Observation::PlanLeft),
            _ => {}
        }
        let waiting = self.hosts.get_mut(name).and_then(|h| (!h.waiting.is_empty()).then(|| h.waiting.remove(0)));
        if let Some(text) = waiting {
            self.show(name, Observation::PromptTaken { text: Some(text) });
            self.plan(name, 100, 20_000, Act::Change);
            return;
        }
        let was = self.hosts[name].state.clone();
        self.set_state(name, RunKind::Idle, true, "");
        if let Some(host) = self.hosts.get_mut(name).filter(|_| asks) {
            host.asks = Some("which of both?".into());
        }
        // Only what changed is told.
        if was.kind != RunKind::Idle || !was.turn_over {
            self.show_state(name);
        }
        if self.rng.percent(10) {
            self.plan(name, 10, 5_000, Act::Exit(0));
        }
    }

    pub(crate) fn end_host(&mut self, name: &HostId, ended: Option<Ended>) {
        let Some(host) = self.hosts.get_mut(name).filter(|h| h.alive) else { return };
        host.alive = false;
        host.record.clone_from(&ended);
        let seen = match ended {
            Some(ended) => Observation::Exited { host: name.clone(), ended },
            None => Observation::Lost { host: name.clone(), why: "no exit record".into() },
        };
        self.show(name, seen);
        self.slots_may_be_free();
    }

    pub(crate) fn slots_may_be_free(&mut self) {
        if self.life != 0 {
            self.deliver(0, 500, Input::SlotsMayBeFree);
        }
    }
}

pub(crate) fn exit(code: Option<i32>) -> Ended {
    let exit = Exit { code, signal: code.is_none().then_some(15) };
    Ended { exit, leftovers: 0, output: true, tail: String::new(), lost: 0, cpu: None }
}

pub(crate) fn changed(n: u64) -> DiffStat {
    DiffStat { files: 1, insertions: n, dirty: true, ..DiffStat::default() }
}

pub(crate) fn oid(n: u64) -> Oid {
    Oid::new(format!("{n:040x}")).expect("an oid")
}

pub(crate) fn worktrees() -> PathBuf {
    PathBuf::from("/worktrees")
}
