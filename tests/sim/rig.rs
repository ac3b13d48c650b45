//! One run of the simulation: a supervisor that is killed and comes back, twenty clients, a clock
//! that jumps, and the invariants after every step.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use standup::model::board::Board;
use standup::model::event::{By, Event};
use standup::model::id::TaskId;
use standup::model::input::{Command, Input, Refusal, Reply, Surroundings};
use standup::model::name::CheckName;
use standup::model::settings::{AgentSettings, CheckSettings, Limit, ReportFormat, Settings, VerifyOn, Weights};
use standup::model::task::Column;
use standup::model::time::{Mono, Span, Wall};
use standup::model::verdict::VerdictOutcome;
use standup::policy::{Machine, rest};
use standup::supervisor::driver::Driver;

use crate::deeds::SimEffects;
use crate::disk::{Die, Disk, SimJournal};
use crate::plain::{agent, facts_of, plain, settings_of};
use crate::rhythm;
use crate::rng::Rng;
use crate::world::{World, worktrees};

mod clients;
mod judge;

pub(crate) use judge::picture;
use judge::{Used, follow, is_handback};

const CLIENTS: usize = 20;

/// Simulated time that a calm world gets to come to rest.
const CALM: i64 = 40 * 24 * 3_600_000;

pub(crate) struct Rig {
    rng: Rng,
    disk: Rc<RefCell<Disk>>,
    world: Rc<RefCell<World>>,
    driver: Driver<SimJournal, SimEffects>,
    around: Surroundings,
    seed: u64,
    clients: Vec<i64>,
    /// Steps of the journal that were judged already.
    judged: usize,
    /// Tasks that are in a person's hands, as of those steps.
    taken: BTreeSet<TaskId>,
    pub(crate) turns: usize,
    pub(crate) refusals: BTreeMap<String, usize>,
    pub(crate) crashes: usize,
    pub(crate) reboots: usize,
    unheard: rhythm::Unheard,
}

impl Rig {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = Rc::new(RefCell::new(Disk::default()));
        let world = Rc::new(RefCell::new(World::new(seed ^ 0x5eed, disk.clone())));
        let driver = Driver::open(SimJournal(disk.clone()), SimEffects(world.clone())).expect("an empty disk");
        let mut rig = Self {
            rng: Rng::new(seed),
            disk,
            world,
            driver,
            around: surroundings(seed),
            seed,
            clients: vec![0; CLIENTS],
            judged: 0,
            taken: BTreeSet::new(),
            turns: 0,
            refusals: BTreeMap::new(),
            crashes: 0,
            reboots: 0,
            unheard: rhythm::Unheard::default(),
        };
        rig.begin_life();
        rig
    }

    pub(crate) fn world(&self) -> std::cell::Ref<'_, World> {
        self.world.borrow()
    }

    pub(crate) fn disk(&self) -> std::cell::Ref<'_, Disk> {
        self.disk.borrow()
    }

    /// Runs until so many events are stored.
    pub(crate) fn run(&mut self, events: usize) {
        while self.disk.borrow().events < events {
            self.trouble();
            self.one();
        }
        rhythm::check(&self.disk.borrow(), self.around.settings.check_in);
    }

    /// Everything goes well from now on: all has to come to rest, and to say why.
    pub(crate) fn calm(&mut self) {
        {
            let mut world = self.world.borrow_mut();
            world.calm = true;
            world.dies_in = None;
            world.foreign = 0;
            let mut disk = self.disk.borrow_mut();
            (disk.full, disk.unreadable, disk.die) = (false, false, None);
        }
        if self.disk.borrow().dead {
            self.revive(false);
        }
        self.around = surroundings(self.seed);
        let around = Box::new(self.around.clone());
        self.turn(Input::Surroundings(around));
        self.turn(Input::SlotsMayBeFree);
        self.command(Command::Dispatch { on: true });
        self.clients = vec![i64::MAX; CLIENTS];
        let until = self.now() + CALM;
        while self.now() < until && !(self.world.borrow().queue.is_empty() && self.driver.wake_at().is_none()) {
            self.one();
        }
        rhythm::check(&self.disk.borrow(), self.around.settings.check_in);
        let board = self.driver.board();
        assert!(rest::at_rest(board).is_some(), "a calm world does not come to rest:\n{}", picture(board));
        for task in board.tasks.values() {
            let explained = board.holds.iter().any(|h| h.task == task.id)
                || task.needs_you.is_some()
                || matches!(task.column, Column::Review | Column::Done | Column::Canceled | Column::Takeover);
            assert!(explained, "{} does not go on, and nothing says why:\n{}", task.id, picture(board));
        }
    }

    fn now(&self) -> i64 {
        self.world.borrow().now.mono.0
    }

    /// The next thing that happens.
    fn one(&mut self) {
        let first = self.world.borrow().queue.keys().next().map(|(at, _)| *at);
        let wake = self.driver.wake_at().map(|m| m.0);
        let client = self.clients.iter().copied().min().filter(|at| *at < i64::MAX);
        let Some(at) = [first, wake, client].into_iter().flatten().min() else { return };
        let at = at.max(self.now());
        {
            let mut world = self.world.borrow_mut();
            let passed = at - world.now.mono.0;
            world.now.mono = Mono(at);
            world.now.wall = Wall(world.now.wall.0 + passed);
        }
        if first == Some(at) {
            let due = self.world.borrow_mut().queue.pop_first().expect("it was there").1;
            let input = self.world.borrow_mut().happen(due);
            self.world.borrow().check();
            if let Some(input) = input {
                self.turn(input);
            }
            self.at_stop();
        } else if client == Some(at) {
            self.client();
        } else {
            self.turn(Input::Tick);
        }
    }

    /// An agent's hook asks before its turn ends; it may be lost, and it may ask twice.
    fn at_stop(&mut self) {
        let Some(host) = self.world.borrow_mut().stopping.take() else { return };
        let attempt = self.world.borrow().hosts[&host].attempt;
        let mut said = Vec::new();
        for _ in 0..if self.rng.percent(10) { 2 } else { 1 } {
            let answer = self.turn(Input::Command(Command::AtStop { attempt }));
            said.extend(match answer {
                Some(Ok(Reply::Say { text })) => text,
                _ => None,
            });
        }
        assert!(said.len() <= 1, "{attempt} was told twice at one stop");
        self.world.borrow_mut().stopped(&host, !said.is_empty());
    }

    fn turn(&mut self, input: Input) -> Option<Result<Reply, Refusal>> {
        let before = Used::of(self.driver.board(), &self.around);
        let by_hand =
            matches!(&input, Input::Command(Command::Move { .. } | Command::Verify { .. } | Command::Reject { .. }));
        let stored = self.disk.borrow().steps.len();
        // Looked at in one go, many steps would seem to be one.
        let many = matches!(&input, Input::Surroundings(_)) || self.driver.trouble().is_some();
        let now = self.world.borrow().now;
        let answer = self.driver.turn(input, &[], now);
        self.turns += 1;
        if self.disk.borrow().dead {
            self.revive(false);
            return None;
        }
        // What is handed back is checked at once: a person may exceed a limit.
        let handed_back = self.disk.borrow().steps.iter().skip(stored).flat_map(|s| &s.events).any(is_handback);
        if !many && !by_hand && !handed_back {
            before.check_growth(&Used::of(self.driver.board(), &self.around), &self.around);
        }
        let settled = self.driver.trouble().is_none();
        if settled {
            let disk = self.disk.borrow();
            let events: Vec<_> = disk.steps.iter().skip(stored).flat_map(|s| &s.events).collect();
            self.unheard.follow(self.driver.board(), &events, self.around.settings.check_in, now);
        } else {
            self.unheard.forget();
        }
        self.check_steps();
        self.check_fold();
        self.drop_slots();
        self.world.borrow().check();
        Some(answer)
    }

    /// Slots of attempts that never came to a host.
    fn drop_slots(&mut self) {
        let board = self.driver.board();
        let active = |id: &_| board.attempt(*id).is_some_and(standup::model::attempt::Attempt::is_active);
        self.world.borrow_mut().assigned.retain(active);
    }

    fn command(&mut self, command: Command) {
        let before = Machine::of(self.driver.board().clone());
        let was_in_trouble = self.driver.trouble().is_some();
        let steps = self.disk.borrow().steps.len();
        let now = self.world.borrow().now;
        let Some(answer) = self.turn(Input::Command(command.clone())) else { return };
        let Err(refusal) = answer else { return };
        *self.refusals.entry(format!("{:?}", refusal.code)).or_default() += 1;
        if was_in_trouble || self.driver.trouble().is_some() {
            return;
        }
        let mut without = before;
        let step = without.step(Input::Tick, now);
        assert_eq!(
            plain(self.driver.board()),
            plain(without.board()),
            "refused, and yet it did something: {command:?}"
        );
        let stored: usize = self.disk.borrow().steps[steps..].iter().map(|s| s.events.len()).sum();
        assert_eq!(stored, step.events.len(), "refused, and yet it stored something: {command:?}");
    }

    /// The board is the fold of what is stored.
    fn check_fold(&self) {
        if self.driver.trouble().is_some() {
            return;
        }
        let disk = self.disk.borrow();
        let (board, fold) = (plain(self.driver.board()), plain(disk.shadow.board()));
        if board != fold {
            for (id, task) in &board.tasks {
                assert_eq!(Some(task), fold.tasks.get(id), "the fold of the events is another task");
            }
            assert_eq!(board, fold, "the fold of the events is another board");
        }
    }

    /// Cards move to Review by rule only on a verdict of that attempt.
    fn check_steps(&mut self) {
        let disk = self.disk.borrow();
        let from = self.judged.min(disk.steps.len());
        disk.steps[from..].iter().for_each(|s| rhythm::check_clock(self.driver.board(), &s.events));
        for record in disk.steps[from..].iter().flat_map(|s| &s.events) {
            follow(&mut self.taken, record);
            if let Event::TaskMoved { to: Column::Review, by: By::Rule, .. } = &record.event {
                let task = self.driver.board().tasks.get(&record.task.expect("a task")).expect("it exists");
                let verdict = task.attempt().and_then(|a| a.judged.as_ref()).map(|j| j.verdict.outcome);
                let proven = matches!(verdict, Some(VerdictOutcome::Green | VerdictOutcome::None));
                assert!(proven, "{} is in Review on {verdict:?}", task.id);
            }
        }
        drop(disk);
        self.judged = self.disk.borrow().steps.len();
    }

    /// Plans what is going to go wrong.
    fn trouble(&mut self) {
        let mut world = self.world.borrow_mut();
        let mut disk = self.disk.borrow_mut();
        match self.rng.below(3_000) {
            0..4 => disk.die = Some(Die::BeforeWrite),
            4..8 => disk.die = Some(Die::AfterWrite),
            8..12 => world.dies_in = Some(u32::try_from(self.rng.below(3)).expect("small")),
            12..16 => disk.dead = true,
            16..22 => disk.full = true,
            22..24 => (disk.full, disk.unreadable) = (true, true),
            24..120 => (disk.full, disk.unreadable) = (false, false),
            142..150 => {
                // The machine sleeps: its monotonic clock stands still.
                let span = self.rng.between(60_000, 30_000_000);
                world.now.wall = Wall(world.now.wall.0 + span);
                drop((world, disk));
                self.turn(Input::Slept { span: Span(u64::try_from(span).expect("positive")) });
                return;
            }
            120..123 => world.now.wall = Wall(world.now.wall.0 + self.rng.between(-90_000_000, 90_000_000)),
            123..140 => {
                let used = world.hosts.values().filter(|h| h.alive).count() + world.assigned.len() + 1;
                let free = i64::from(world.machine) - i64::try_from(used).expect("few");
                world.foreign = u32::try_from(self.rng.between(0, free.clamp(0, 3))).expect("small");
            }
            140..142 => {
                drop((world, disk));
                self.revive(true);
                return;
            }
            150..168 => {
                drop((world, disk));
                self.change_surroundings();
                return;
            }
            _ => {}
        }
        let dead = disk.dead;
        drop((world, disk));
        if dead {
            self.revive(false);
        }
    }

    fn change_surroundings(&mut self) {
        let mut around = surroundings(self.seed);
        if self.rng.percent(20) {
            around.untrusted = Some("agents.toml has changed since it was approved".into());
        }
        around.settings.wip.build = Limit::of(u32::try_from(self.rng.between(1, 4)).expect("small"));
        around.settings.wip.review = Limit::of(u32::try_from(self.rng.between(1, 9)).expect("small"));
        let mut weight = || u32::try_from(self.rng.between(1, 4)).expect("small");
        around.settings.wip.weight = Weights { delegate: 1, checkpoint: weight(), own: weight() };
        if self.rng.percent(10)
            && let Some(facts) = around.agents.values_mut().next()
        {
            facts.unusable = Some("its program is gone".into());
        }
        self.around = around.clone();
        self.turn(Input::Surroundings(Box::new(around)));
    }

    /// The supervisor is dead; another takes up what is stored.
    fn revive(&mut self, reboot: bool) {
        {
            let mut world = self.world.borrow_mut();
            if reboot {
                world.reboot();
                self.reboots += 1;
            } else {
                world.end_life();
                self.crashes += 1;
            }
            world.dies_in = None;
            let mut disk = self.disk.borrow_mut();
            (disk.dead, disk.full, disk.unreadable, disk.die) = (false, false, false, None);
            assert_eq!(
                plain(disk.fold().board()),
                plain(disk.shadow.board()),
                "folded again, the log is another board"
            );
        }
        self.judged = self.judged.min(self.disk.borrow().steps.len());
        self.taken.clear();
        self.disk.borrow().steps[..self.judged].iter().flat_map(|s| &s.events).for_each(|r| follow(&mut self.taken, r));
        if reboot {
            self.clients.iter_mut().for_each(|at| *at = 600);
        } else {
            // Hosts live on without a supervisor for a while.
            let until = self.now() + self.rng.between(0, 200_000);
            while self.world.borrow().queue.keys().next().is_some_and(|(at, _)| *at < until) {
                let mut world = self.world.borrow_mut();
                let ((at, _), due) = world.queue.pop_first().expect("it was there");
                world.now.mono = Mono(at.max(world.now.mono.0));
                world.happen(due);
                world.check();
            }
        }
        let effects = SimEffects(self.world.clone());
        self.driver = Driver::open(SimJournal(self.disk.clone()), effects).expect("a readable disk");
        self.begin_life();
    }

    fn begin_life(&mut self) {
        self.unheard.forget();
        let pending = self.disk.borrow().pending();
        let found = {
            let mut world = self.world.borrow_mut();
            world.life = self.rng.next() | 1;
            world.take_slots_again(&pending);
            world.check();
            world.found()
        };
        let life = self.world.borrow().life;
        let orders_first = self.rng.percent(50);
        let around = Box::new(self.around.clone());
        // It may die again while it takes up what is there: then the next one has done the rest.
        if self.turn(Input::Surroundings(around)).is_none() {
            return;
        }
        if orders_first {
            pending.iter().for_each(|order| self.world.borrow_mut().accept(order.clone()));
        }
        if self.turn(Input::Recovered { hosts: found }).is_none() {
            return;
        }
        if !orders_first {
            pending.iter().for_each(|order| self.world.borrow_mut().accept(order.clone()));
        }
        assert_eq!(life, self.world.borrow().life);
        self.world.borrow_mut().adopt();
    }

    pub(crate) fn board(&self) -> &Board {
        self.driver.board()
    }
}

fn surroundings(seed: u64) -> Surroundings {
    let mut settings = Settings { agent: Some(agent("claude")), ..Settings::default() };
    settings.agents.insert(agent("claude"), settings_of("claude"));
    settings.agents.insert(agent("codex"), AgentSettings { max: Limit::of(2), ..settings_of("codex") });
    settings.wip.machine = Limit::of(6);
    settings.check_in = rhythm::rules(seed);
    // In every other house checks run while an agent works, too.
    if seed.is_multiple_of(2) {
        settings.verify.on = vec![VerifyOn::Done, VerifyOn::CheckIn, VerifyOn::FileChange];
        settings.verify.checks.push(CheckSettings {
            name: CheckName::new("test").expect("a name"),
            run: "make test".into(),
            report: ReportFormat::Exit,
            timeout: Span::mins(5),
        });
    }
    let agents = BTreeMap::from([(agent("claude"), facts_of(true)), (agent("codex"), facts_of(false))]);
    Surroundings { settings, untrusted: None, worktrees: worktrees(), agents }
}
