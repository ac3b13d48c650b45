//! What orders do to the world, and how their outcomes come back: late, twice, or not at all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use standup::model::action::{Action, Ended, Order, Outcome};
use standup::model::attempt::{Exit, HostFacts, Proc};
use standup::model::dialog::DialogNo;
use standup::model::event::Event;
use standup::model::id::{ActionId, AttemptId, MsgId};
use standup::model::input::{Input, Observation};
use standup::model::lease::{Changes, Mark};
use standup::model::name::HostId;
use standup::model::state::{RunKind, RunState, Source};
use standup::model::verdict::{Verdict, VerdictOutcome};
use standup::supervisor::driver::Effects;

use crate::world::{Act, Due, Host, World, changed, exit, oid};

impl World {
    fn done(&mut self, id: ActionId, outcome: Outcome) {
        let high = if self.rng.percent(10) { 30_000 } else { 300 };
        self.deliver(0, high, Input::Done { id, outcome });
    }

    pub(crate) fn do_deed(&mut self, order: Order) {
        let Order { id, attempt, action } = order;
        match action {
            Action::Prepare { .. } => self.prepare(id, attempt),
            Action::Launch { host, session, resume, .. } => {
                assert!(!resume || session.is_some(), "{attempt} is resumed without a session");
                self.launch(id, attempt, host);
            }
            Action::Stop { host, .. } => self.stop(id, &host),
            Action::Type { host, msg, text, .. } => self.type_it(id, &host, msg, text),
            Action::Answer { host, msg, dialog, .. } => self.answer_it(id, &host, msg, dialog),
            Action::Check { .. } => self.run_checks(id, attempt),
            Action::Sweep { .. } => self.done(id, Outcome::Swept { ended: 0 }),
            Action::TearDown { .. } => self.done(id, Outcome::TornDown { wrong: None }),
            Action::Survey { since, .. } => self.survey(id, attempt, since),
            Action::Leave { number, .. } => self.leave(id, attempt, number),
            Action::Look {} => self.look(id, attempt),
        }
    }

    fn prepare(&mut self, id: ActionId, attempt: AttemptId) {
        let fence = self.fences.entry(attempt.task).or_default();
        *fence = (*fence).max(attempt.no.get());
        let dice = if self.calm { 100 } else { self.rng.below(100) };
        let outcome = match dice {
            0..8 => Outcome::BranchTaken { error: "a branch of that name exists".into() },
            8..12 => Outcome::Failed { stage: "worktree".into(), error: "cannot make a folder".into() },
            _ => Outcome::Prepared {
                base_oid: oid(0),
                base: "main".into(),
                session: self.rng.percent(70).then(|| format!("session of {attempt}")),
                ports: Vec::new(),
                notes: Vec::new(),
            },
        };
        if !matches!(outcome, Outcome::Prepared { .. }) {
            self.assigned.remove(&attempt);
        }
        self.done(id, outcome);
    }

    fn launch(&mut self, id: ActionId, attempt: AttemptId, name: HostId) {
        if let Some(host) = self.hosts.get(&name) {
            let outcome = match (&host.record, host.alive) {
                (_, true) => Outcome::Launched { facts: host.facts.clone() },
                (Some(ended), false) => Outcome::CameAndWent { facts: Some(host.facts.clone()), ended: ended.clone() },
                // It ran, nobody knows for how long; what it was started with may have been read.
                (None, false) => Outcome::CameAndWent {
                    facts: Some(host.facts.clone()),
                    ended: Ended { exit: Exit { code: None, signal: None }, ..exit(None) },
                },
            };
            self.done(id, outcome);
            self.show_state(&name);
            return;
        }
        let had_slot = self.assigned.remove(&attempt);
        assert!(had_slot, "{attempt} is started without a slot of the machine");
        if !self.calm && self.rng.percent(4) {
            self.done(id, Outcome::Failed { stage: "launch".into(), error: "no such program".into() });
            return;
        }
        self.next += 1;
        let proc = Proc { pid: u32::try_from(self.next).expect("few"), start: self.next };
        let facts = HostFacts { id: name.clone(), nonce: format!("n{}", self.next), host: proc, agent: proc };
        let host = Host {
            attempt,
            facts: facts.clone(),
            up: false,
            alive: true,
            record: None,
            state: RunState::plain(RunKind::Starting, Some(Source::Process), self.now),
            asks: None,
            typed: BTreeSet::new(),
            waiting: Vec::new(),
            dialog: None,
            plan: 0,
            heard: self.now.mono.0,
        };
        self.hosts.insert(name.clone(), host);
        self.written_by_launch(&name);
        self.after(0, 800, Due::Up { host: name });
        let high = if self.rng.percent(20) { 60_000 } else { 1_500 };
        self.deliver(0, high, Input::Done { id, outcome: Outcome::Launched { facts } });
    }

    /// The message that a host was planned with is said by its start.
    fn written_by_launch(&mut self, name: &HostId) {
        let said = self.disk.borrow().steps.iter().rev().flat_map(|s| &s.events).find_map(|r| match &r.event {
            Event::LaunchPlanned { host, msg, .. } if host == name => Some(*msg),
            _ => None,
        });
        if let Some(msg) = said.flatten() {
            *self.written.entry(msg).or_default() += 1;
        }
    }

    fn stop(&mut self, id: ActionId, name: &HostId) {
        if !self.calm && self.rng.percent(6) && self.hosts.get(name).is_some_and(|h| h.alive) {
            self.done(id, Outcome::Failed { stage: "stop".into(), error: "it does not end".into() });
            return;
        }
        if !self.rng.percent(30) {
            self.end_host(name, Some(exit(None)));
        } else if let Some(host) = self.hosts.get_mut(name) {
            // Without a word by the host.
            host.alive = false;
            host.record = self.rng.percent(50).then(|| exit(None));
            self.slots_may_be_free();
        }
        let exit = self.hosts.get(name).and_then(|h| h.record.as_ref()).map(|r| r.exit);
        self.done(id, Outcome::Stopped { exit, leftovers: 0 });
    }

    fn type_it(&mut self, id: ActionId, name: &HostId, msg: MsgId, text: String) {
        let refuses = !self.calm && self.rng.percent(15);
        let silent = !self.calm && self.rng.percent(6);
        let Some(host) = self.hosts.get_mut(name).filter(|h| h.alive) else {
            // Another life may have written it before the host ended.
            self.done(id, Outcome::PerhapsTyped);
            return;
        };
        if host.typed.contains(&msg) {
            self.done(id, Outcome::Typed);
            return;
        }
        if refuses || host.state.kind == RunKind::Waiting || !host.up {
            self.done(id, Outcome::NotTyped { why: "moved".into() });
            return;
        }
        host.typed.insert(msg);
        let idle = host.state.kind == RunKind::Idle;
        if !idle {
            host.waiting.push(text.clone());
        }
        *self.written.entry(msg).or_default() += 1;
        if silent {
            self.done(id, Outcome::PerhapsTyped);
        } else {
            self.done(id, Outcome::Typed);
        }
        if idle && self.rng.percent(95) {
            self.show(name, Observation::PromptTaken { text: Some(text) });
            self.plan(name, 50, 900, Act::Begin);
        }
    }

    fn survey(&mut self, id: ActionId, attempt: AttemptId, since: Option<Mark>) {
        if !self.calm && self.rng.percent(10) {
            self.done(id, Outcome::Failed { stage: "look".into(), error: "cannot read the tree".into() });
            return;
        }
        let mark = Mark { head: None, tree: oid(self.trees.get(&attempt).copied().unwrap_or(0)) };
        let files = since.as_ref().map(|before| u64::from(before.tree != mark.tree));
        let changes = files.map(|files| Changes { files, ..Changes::default() });
        self.deliver(0, 40_000, Input::Done { id, outcome: Outcome::Surveyed { mark, changes } });
    }

    fn leave(&mut self, id: ActionId, attempt: AttemptId, number: u32) {
        self.notes.insert((attempt, number));
        self.done(id, Outcome::Left);
    }

    fn look(&mut self, id: ActionId, attempt: AttemptId) {
        if !self.calm && self.rng.percent(5) {
            self.done(id, Outcome::Failed { stage: "look".into(), error: "cannot read the tree".into() });
            return;
        }
        let tree = self.trees.get(&attempt).copied().unwrap_or(0);
        let seen = Observation::Diff { diff: changed(tree), tree: Some(oid(tree)) };
        self.deliver(0, 200, Input::Observed { attempt, seen });
        self.deliver(200, 400, Input::Done { id, outcome: Outcome::Looked });
    }

    /// A key or a hook, for the dialog that was answered and for no other.
    fn answer_it(&mut self, id: ActionId, name: &HostId, msg: MsgId, dialog: DialogNo) {
        let silent = !self.calm && self.rng.percent(6);
        let Some(host) = self.hosts.get_mut(name).filter(|h| h.alive) else {
            self.done(id, Outcome::PerhapsTyped);
            return;
        };
        if host.typed.contains(&msg) {
            self.done(id, Outcome::Typed);
            return;
        }
        if host.dialog.as_ref().map(|d| d.no) != Some(dialog) || host.state.kind != RunKind::Waiting {
            self.done(id, Outcome::NotTyped { why: "the dialog is another".into() });
            return;
        }
        host.typed.insert(msg);
        *self.written.entry(msg).or_default() += 1;
        self.done(id, if silent { Outcome::PerhapsTyped } else { Outcome::Typed });
        // Now and then it does not heed it.
        if self.rng.percent(95) {
            self.plan(name, 20, 900, Act::Answered);
        }
    }

    fn run_checks(&mut self, id: ActionId, attempt: AttemptId) {
        let tree = self.trees.get(&attempt).copied().unwrap_or(0);
        let dice = if self.calm { 0 } else { self.rng.below(100) };
        let (outcome, why) = match dice {
            0..45 => (VerdictOutcome::Green, ""),
            45..75 => (VerdictOutcome::Red, ""),
            75..83 => (VerdictOutcome::Stale, "the tree moved"),
            83..90 => (VerdictOutcome::None, ""),
            90..95 => (VerdictOutcome::Error, "no such command"),
            _ => {
                self.done(id, Outcome::Failed { stage: "checks".into(), error: "cannot read the tree".into() });
                return;
            }
        };
        let verdict = Verdict { outcome, tree: Some(oid(tree)), checks: Vec::new(), why: why.into() };
        let feedback = if outcome == VerdictOutcome::Red { format!("checks of {id} are red") } else { String::new() };
        self.deliver(100, 90_000, Input::Done { id, outcome: Outcome::Checked { verdict, feedback } });
    }
}

/// A supervisor's way into the world.
pub(crate) struct SimEffects(pub(crate) Rc<RefCell<World>>);

impl Effects for SimEffects {
    fn submit(&mut self, order: Order) {
        let mut world = self.0.borrow_mut();
        if world.disk.borrow().dead {
            return;
        }
        assert!(world.disk.borrow().holds(&order), "order {} was submitted before it was stored", order.id);
        if let Some(left) = world.dies_in {
            world.dies_in = left.checked_sub(1);
            if left == 0 {
                world.disk.borrow_mut().dead = true;
                return;
            }
        }
        // The slot in hand is for a new start; a launch after a preparation has one already, and an
        // order that is given again after a restart has taken its own back.
        if matches!(order.action, Action::Prepare { .. } | Action::Launch { .. })
            && !world.assigned.contains(&order.attempt)
            && std::mem::take(&mut world.in_hand)
        {
            world.assigned.insert(order.attempt);
        }
        world.accept(order);
    }

    fn reserve(&mut self) {
        let mut world = self.0.borrow_mut();
        if world.disk.borrow().dead {
            return;
        }
        if !world.in_hand && world.slots_used() < world.machine {
            world.in_hand = true;
        }
        let (reserved, used) = (world.in_hand, world.slots_used());
        let life = world.life;
        world.after(0, 300, Due::Deliver { life, input: Box::new(Input::Slot { reserved, used }) });
    }

    fn release(&mut self) {
        self.0.borrow_mut().in_hand = false;
    }
}

impl World {
    pub(crate) fn accept(&mut self, order: Order) {
        self.count(match order.action {
            Action::Prepare { .. } => "prepare",
            Action::Launch { resume: true, .. } => "resume",
            Action::Launch { .. } => "launch",
            Action::Stop { .. } => "stop",
            Action::Type { .. } => "type",
            Action::Answer { .. } => "answer",
            Action::Check { .. } => "check",
            Action::Sweep { .. } => "sweep",
            Action::TearDown { .. } => "tear down",
            Action::Survey { since: None, .. } => "mark",
            Action::Survey { since: Some(_), .. } => "survey",
            Action::Leave { .. } => "leave",
            Action::Look {} => "look",
        });
        let life = self.life;
        let high = if self.rng.percent(10) { 20_000 } else { 1_000 };
        self.after(0, high, Due::Deed { life, order: Box::new(order) });
    }
}
