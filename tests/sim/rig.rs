//! One run of the simulation: a supervisor that is killed and comes back, twenty clients, a clock
//! that jumps, and the invariants after every step.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use standup::model::attempt::StopWhy;
use standup::model::board::{Board, Task};
use standup::model::event::{By, Event, Record};
use standup::model::id::TaskId;
use standup::model::input::{AgentFacts, Command, Input, NewTask, Refusal, Reply, Surroundings};
use standup::model::name::{AgentName, Pattern, Slug};
use standup::model::settings::{AgentSettings, Limit, LimitOverrides, Priority, Settings};
use standup::model::task::{Column, Mode, TaskSpec, TextRef};
use standup::model::time::{Mono, Span, Wall};
use standup::model::verdict::VerdictOutcome;
use standup::policy::{Machine, rest};
use standup::supervisor::driver::Driver;

use crate::deeds::SimEffects;
use crate::disk::{Die, Disk, SimJournal};
use crate::rhythm;
use crate::rng::Rng;
use crate::world::{World, worktrees};

const CLIENTS: usize = 20;

/// How many tasks a run gets at most: enough for every limit to be felt.
const MAX_TASKS: usize = 30;

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

    fn client(&mut self) {
        let now = self.now();
        let place = (0..CLIENTS).min_by_key(|i| self.clients[*i]).expect("there are clients");
        self.clients[place] = now + self.rng.between(10_000, 2_400_000);
        if let Some(command) = self.any_command() {
            self.command(command);
        }
    }

    fn any_command(&mut self) -> Option<Command> {
        let known: Vec<TaskId> = self.driver.board().tasks.keys().copied().collect();
        if known.is_empty() || (known.len() < MAX_TASKS && self.rng.percent(12)) {
            return Some(self.add(&known));
        }
        let task = if self.rng.percent(2) { TaskId::new(999)? } else { *self.rng.pick(&known) };
        let reason = "because".to_owned();
        Some(match self.rng.below(100) {
            0..12 => Command::Dispatch { on: self.rng.percent(85) },
            12..24 => Command::Start { task },
            24..34 => Command::Retry { task, agent: self.rng.percent(40).then(|| agent("codex")) },
            34..36 => Command::Cancel { task, reason },
            36..42 => Command::Stop { task },
            42..43 => Command::StopAll { why: StopWhy::Down },
            43..45 => Command::Rest {},
            45..50 => Command::Verify { task },
            50..53 => match self.rng.below(2) {
                0 => Command::Pause { task, reason },
                _ => Command::Resume { task },
            },
            53..57 => Command::Takeover { task, reason },
            57..64 => Command::Handback { task, note: reason },
            64..69 => Command::Approve { task },
            69..72 => Command::Reject { task, note: reason },
            72..76 => {
                // Mostly where it makes sense.
                let waits = |t: &&Task| t.needs_you.as_ref().is_some_and(|n| !n.options.is_empty());
                let waiting: Vec<TaskId> = self.driver.board().tasks.values().filter(waits).map(|t| t.id).collect();
                let asked = (!waiting.is_empty()).then(|| *self.rng.pick(&waiting));
                let choice = (*self.rng.pick(&["yes", "no", "1", "maybe"])).to_owned();
                Command::Answer { task: asked.unwrap_or(task), choice }
            }
            76..77 => Command::Nudge { task },
            77..80 => Command::Send { task, text: format!("remark {}", self.rng.next() % 1_000), now: false },
            80..90 => {
                let mut spec = self.driver.board().tasks.get(&task)?.spec.clone();
                spec.priority = *self.rng.pick(&PRIORITIES);
                if self.rng.percent(30) {
                    spec.needs = vec![*self.rng.pick(&known)];
                }
                Command::Edit { task, spec: Box::new(spec) }
            }
            _ => {
                let columns =
                    [Column::Backlog, Column::Backlog, Column::Build, Column::Review, Column::Done, Column::Takeover];
                Command::Move { task, to: *self.rng.pick(&columns), reason }
            }
        })
    }

    fn add(&mut self, known: &[TaskId]) -> Command {
        let count = usize::try_from(self.rng.between(1, 4)).expect("small");
        let tasks = (0..count).map(|i| {
            let mut spec = spec(&format!("task {}", self.rng.next() % 1_000));
            spec.priority = *self.rng.pick(&PRIORITIES);
            if !known.is_empty() && self.rng.percent(15) {
                spec.needs.push(*self.rng.pick(known));
            }
            if self.rng.percent(40) {
                let paths = ["src/**", "src/api/**", "docs/**", "*.md"];
                spec.touches.push(Pattern::new(*self.rng.pick(&paths)).expect("a pattern"));
            }
            spec.mode = match self.rng.below(100) {
                0..25 => Mode::Checkpoint,
                25..35 => Mode::Own,
                _ => Mode::Delegate,
            };
            spec.agent = self.rng.percent(30).then(|| agent("codex"));
            spec.key = self.rng.percent(30).then(|| format!("key {}", self.rng.below(12)));
            let needs_new = if i > 0 && self.rng.percent(20) { vec![i - 1] } else { Vec::new() };
            NewTask { spec, needs_new }
        });
        Command::Add { tasks: tasks.collect() }
    }
}

fn is_handback(record: &Record) -> bool {
    matches!(record.event, Event::HandedBack { .. })
}

/// While a task is in a person's hands nothing is typed, started, or checked by a rule.
fn follow(taken: &mut BTreeSet<TaskId>, record: &Record) {
    let Some(task) = record.task else { return };
    match &record.event {
        Event::TaskMoved { to: Column::Takeover, .. } => {
            taken.insert(task);
        }
        Event::TaskMoved { .. } => {
            taken.remove(&task);
        }
        Event::MessageTyping { .. } | Event::LaunchPlanned { .. } | Event::ChecksStarted { asked: false, .. } => {
            assert!(!taken.contains(&task), "{task} is in a person's hands, and yet {:?}", record.event);
        }
        _ => {}
    }
}

const PRIORITIES: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

/// What limits are about.
struct Used {
    build: u32,
    agents: BTreeMap<AgentName, u32>,
}

impl Used {
    fn of(board: &Board, around: &Surroundings) -> Self {
        let running = |name: &AgentName| {
            let active = |t: &&_| Board::attempt_of(t).is_some_and(|a| a.is_active() && a.agent == *name);
            u32::try_from(board.tasks.values().filter(active).count()).expect("few")
        };
        let agents = around.settings.agents.keys().map(|name| (name.clone(), running(name))).collect();
        Self { build: board.build_used(), agents }
    }

    /// Whatever grows ends within its limit.
    fn check_growth(&self, after: &Self, around: &Surroundings) {
        let fits =
            |before: u32, after: u32, limit: Limit| after <= before || limit.max().is_none_or(|max| after <= max);
        assert!(fits(self.build, after.build, around.settings.wip.build), "build {} → {}", self.build, after.build);
        for (name, now) in &after.agents {
            let before = self.agents.get(name).copied().unwrap_or(0);
            assert!(fits(before, *now, around.settings.agents[name].max), "agent {name}: {before} → {now}");
        }
    }
}

trait Newest {
    fn attempt_of(task: &standup::model::board::Task) -> Option<&standup::model::attempt::Attempt>;
}

impl Newest for Board {
    fn attempt_of(task: &standup::model::board::Task) -> Option<&standup::model::attempt::Attempt> {
        task.attempt()
    }
}

/// A board without what is only observed.
fn plain(board: &Board) -> Board {
    let mut board = board.clone();
    (board.surroundings, board.machine) = (None, standup::model::board::MachineSlots::default());
    board.holds.clear();
    board.recovered = None;
    for attempt in board.tasks.values_mut().flat_map(|t| &mut t.attempts) {
        attempt.readable = false;
        attempt.dialog = None;
        attempt.listens_until = None;
        attempt.run.source = None;
        attempt.run.at = standup::model::time::Now::default();
    }
    board
}

/// What a person would look at when something does not go on.
pub(crate) fn picture(board: &Board) -> String {
    let mut lines = vec![format!("dispatch {} {:?}", board.dispatch, board.machine)];
    for task in board.tasks.values() {
        let attempt = task.attempt().map(|a| {
            format!(
                "{:?} run {:?} over {} finished {} asks {:?} stopping {:?} checking {:?} judged {:?} reds {} tree {:?}",
                a.phase,
                a.run.kind,
                a.run.turn_over,
                a.finished,
                a.asks,
                a.stopping,
                a.checking,
                a.judged
                    .as_ref()
                    .map(|j| (j.verdict.outcome, j.verdict.tree.as_ref().map(|t| t.as_str()[36..].to_owned()))),
                a.reds,
                a.tree.as_ref().map(|t| &t.as_str()[36..])
            )
        });
        let hold = board.holds.iter().find(|h| h.task == task.id).map(|h| &h.text);
        let needs = task.needs_you.as_ref().map(|n| &n.question);
        let messages: Vec<_> = task.messages.iter().rev().take(3).map(|m| (m.attempt.get(), &m.delivery)).collect();
        lines.push(format!(
            "{} {} wanted {:?} needs-you {needs:?} held {hold:?}\n     {attempt:?}\n     {messages:?}",
            task.id, task.column, task.wanted
        ));
    }
    lines.join("\n")
}

impl Rig {
    pub(crate) fn board(&self) -> &Board {
        self.driver.board()
    }
}

pub(crate) fn agent(name: &str) -> AgentName {
    AgentName::new(name).expect("a name")
}

pub(crate) fn spec(title: &str) -> TaskSpec {
    TaskSpec {
        title: title.into(),
        slug: Slug::from_title(title),
        brief: TextRef(title.into()),
        key: None,
        agent: None,
        mode: Mode::Delegate,
        priority: Priority::default(),
        needs: Vec::new(),
        touches: Vec::new(),
        off_limits: Vec::new(),
        labels: Vec::new(),
        base: None,
        check_in: None,
        limits: LimitOverrides::default(),
        criteria: Vec::new(),
        checks: Vec::new(),
    }
}

fn surroundings(seed: u64) -> Surroundings {
    let settings_of = |adapter: &str, max: Limit| AgentSettings {
        adapter: adapter.into(),
        command: vec![adapter.into()],
        args: Vec::new(),
        env: BTreeMap::new(),
        max,
        prompt: None,
    };
    let mut settings = Settings { agent: Some(agent("claude")), ..Settings::default() };
    settings.agents.insert(agent("claude"), settings_of("claude", Limit::Unlimited));
    settings.agents.insert(agent("codex"), settings_of("codex", Limit::of(2)));
    settings.wip.machine = Limit::of(6);
    settings.check_in = rhythm::rules(seed);
    let facts = |stop_hook| AgentFacts {
        unusable: None,
        resumes: true,
        reads: true,
        unconfined: None,
        stop_hook,
        plan_unenforced: None,
        prompted: true,
    };
    let agents = BTreeMap::from([(agent("claude"), facts(true)), (agent("codex"), facts(false))]);
    Surroundings { settings, untrusted: None, worktrees: worktrees(), agents }
}
