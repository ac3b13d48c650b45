//! What the loop turns: the driver, and everything that follows from the board after each turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::agent::hook::{self, HookEvent};
use crate::model::action::Order;
use crate::model::attempt::{Attempt, HostFacts, Phase};
use crate::model::board::{Board, HoldKind, Task};
use crate::model::checkin::{Sent, Stamp};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::{Command, HostFound, Input, Observation, Refusal, RefusalCode, Reply};
use crate::model::name::HostId;
use crate::model::task::Column;
use crate::model::time::{Mono, Span};
use crate::os::clock;
use crate::policy::bases;
use crate::store::layout;
use crate::wire::control::{Answer, Known, Request, Signal, Supervisor};

use super::driver::Driver;
use super::effects::{self, Effects, blocking};
use super::hosts::{self, Ask, Before, Fired};
use super::journal::StoreJournal;
use super::notify::Notifier;
use super::permissions;
use super::remains::{self, Unowned};
use super::run::RunError;
use super::server::{Asked, Scope};
use super::surroundings;
use super::usage;
use super::world::{Bounds, World};

mod mail;

pub(super) use mail::BURST;
use mail::Post;

/// Settings are looked at again at most this often.
const SETTINGS_EVERY: Duration = Duration::from_secs(1);

/// While the machine is full, its slots are counted this often: the end of another repository's
/// agent is announced by nobody. (The kernel tells that a file was closed before it frees the
/// lock on it, and who waits in line for a lock holds it when it is free.)
const SLOTS_EVERY: Duration = Duration::from_secs(1);

/// While a task waits for its base, it is looked for this often: nobody tells of a branch.
const BASES_EVERY: Duration = Duration::from_secs(2);

/// A machine that stood still for less than this did not sleep: the readings of two clocks are a
/// moment apart.
const SLEEP: Span = Span::secs(2);

/// Someone who waits for the end.
pub(super) type Waiting = VecDeque<oneshot::Sender<Answer>>;

/// The driver and what surrounds it.
pub(super) struct Desk {
    world: Arc<World>,
    driver: Driver<StoreJournal, Effects>,
    about: Supervisor,
    /// The banners that do not go away.
    standing: Vec<String>,
    settings_wrong: Option<String>,
    settings_looked: Option<Instant>,
    slots_looked: Option<Instant>,
    bases_looked: Option<Instant>,
    /// How long the machine had slept in this boot, as far as it was told.
    asleep: Span,
    watched: BTreeSet<AttemptId>,
    notifier: Notifier,
    /// Hosts that are not the board's.
    unowned: Unowned,
    ending: bool,
    over: bool,
    post: Post,
}

impl Desk {
    pub(super) fn new(world: Arc<World>, driver: Driver<StoreJournal, Effects>, about: Supervisor) -> Self {
        let standing = about.banners.clone();
        let notifier = Notifier::new(&world, driver.board());
        Self {
            world,
            driver,
            about,
            standing,
            settings_wrong: None,
            settings_looked: None,
            slots_looked: None,
            bases_looked: None,
            asleep: clock::asleep(),
            watched: BTreeSet::new(),
            notifier,
            unowned: Unowned::default(),
            ending: false,
            over: false,
            post: Post::default(),
        }
    }

    /// Finds what lives, hears what ended meanwhile, takes up what was under way.
    pub(super) async fn recover(&mut self) -> Result<(), RunError> {
        let pending = self.driver.journal().pending()?;
        let world = self.world.clone();
        let (hosts, up_to) = blocking(move || (effects::found(&world), remains::highest_number(&world.place))).await;
        let hosts = hosts?;
        // Before anything is heard: what is heard may order a look, or checks.
        for (id, attempt) in newest(self.driver.board()) {
            if is_of_interest(self.driver.board(), id, attempt) {
                open_look(&self.world, id, attempt);
            }
        }
        self.input(Input::NumbersUsed { up_to });
        self.unowned = Unowned::among(hosts.values(), self.driver.board());
        self.look_where_silent(&hosts).await;
        self.read_plans(&hosts).await;
        self.read_logs(&hosts);
        self.input(Input::Recovered { hosts });
        let live: Vec<_> = newest(self.driver.board())
            .filter_map(|(id, a)| {
                let Phase::Live { facts, since, .. } = &a.phase else { return None };
                let before = Before { since: *since, run: a.run.kind, tree: a.tree.clone() };
                Some((id, facts.clone(), a.agent.clone(), a.worktree.clone(), a.session.clone(), (a.plans(), before)))
            })
            .collect();
        // Before anybody speaks to a host: one that keeps a lease must not be told that there is none.
        self.world.follow_leases(taken_over(self.driver.board()));
        for (id, facts, agent, worktree, session, (plans, before)) in live {
            let mut voice = effects::voice_of(&self.world, id, &agent, &worktree, session);
            (voice.plans, voice.before) = (plans, Some(before));
            voice.reads_outbox = true;
            effects::adopt(&self.world, id, facts, voice);
        }
        self.tend(&mut Waiting::new());
        for action in pending {
            match serde_json::from_value::<Order>(action.data) {
                Ok(order) => super::driver::Effects::submit(self.driver.effects(), order),
                Err(error) => tracing::error!(%error, id = %action.id, "an order that cannot be read"),
            }
        }
        let around = self.world.loaded().surroundings(&self.world.place);
        self.input(Input::Surroundings(Box::new(around)));
        Ok(())
    }

    /// Agents that ended without a word while nobody looked: their worktrees say what they did.
    async fn look_where_silent(&mut self, hosts: &BTreeMap<HostId, HostFound>) {
        let silent = |facts: &HostFacts| matches!(hosts.get(&facts.id), Some(HostFound::Ended(e)) if e.is_silent());
        let ended: Vec<AttemptId> = newest(self.driver.board())
            .filter(|(_, a)| a.host().is_some_and(silent))
            .filter(|(id, a)| open_look(&self.world, *id, a))
            .map(|(id, _)| id)
            .collect();
        for attempt in ended {
            let world = self.world.clone();
            for seen in blocking(move || effects::look(&world, attempt)).await {
                self.input(Input::Observed { attempt, seen });
            }
        }
    }

    /// Plans of agents that ended while nobody looked.
    async fn read_plans(&mut self, hosts: &BTreeMap<HostId, HostFound>) {
        let ended = |facts: &HostFacts| matches!(hosts.get(&facts.id), Some(HostFound::Ended(_)));
        let planned: Vec<_> = newest(self.driver.board())
            .filter(|(_, a)| a.plans() && a.host().is_some_and(ended))
            .map(|(id, a)| (id, a.worktree.clone()))
            .collect();
        for (attempt, worktree) in planned {
            if let Some(text) = blocking(move || effects::plan_in(&worktree)).await {
                self.input(Input::Observed { attempt, seen: Observation::Plan { text } });
            }
        }
    }

    /// What agents have used that ended while nobody looked.
    fn read_logs(&self, hosts: &BTreeMap<HostId, HostFound>) {
        for (id, attempt) in newest(self.driver.board()) {
            let ended = attempt.host().filter(|facts| matches!(hosts.get(&facts.id), Some(HostFound::Ended(_))));
            let Some(facts) = ended else { continue };
            let session = attempt.session.clone();
            let voice = effects::voice_of(&self.world, id, &attempt.agent, &attempt.worktree, session);
            usage::tell_of_ended(&self.world, id, facts.id.clone(), &voice);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        let now = clock::now().mono;
        let by_board = self.driver.wake_at().map(|at| Instant::now() + at.since(now).to_std());
        let by_slots = self
            .driver
            .board()
            .machine
            .full
            .then(|| self.slots_looked.map_or_else(Instant::now, |at| at + SLOTS_EVERY));
        let lacks = lacks_base(self.driver.board());
        let by_bases = lacks.then(|| self.bases_looked.map_or_else(Instant::now, |at| at + BASES_EVERY));
        by_board.into_iter().chain(by_slots).chain(by_bases).chain(self.notifier.wake_at()).min()
    }

    pub(super) fn input(&mut self, input: Input) {
        let _ = self.turn(input, &[]);
    }

    /// One turn; a sleep of the machine is told first, or what is due would be judged without it.
    fn turn(&mut self, input: Input, texts: &[String]) -> Result<Reply, Refusal> {
        let asleep = clock::asleep();
        let span = Span(asleep.0.saturating_sub(self.asleep.0));
        if span >= SLEEP {
            self.asleep = asleep;
            let _ = self.driver.turn(Input::Slept { span }, &[], clock::now());
        }
        self.driver.turn(input, texts, clock::now())
    }

    pub(super) fn tick(&mut self) {
        let due = self.slots_looked.is_none_or(|at| at.elapsed() >= SLOTS_EVERY);
        if self.driver.board().machine.full && due {
            self.slots_looked = Some(Instant::now());
            let world = self.world.clone();
            tokio::spawn(async move {
                let looks = world.clone();
                if blocking(move || looks.has_free_slot()).await {
                    let _ = world.inputs.send(Input::SlotsMayBeFree).await;
                }
            });
        }
        if self.bases_looked.is_none_or(|at| at.elapsed() >= BASES_EVERY) && lacks_base(self.driver.board()) {
            self.bases_looked = Some(Instant::now());
            let (world, wanted) = (self.world.clone(), bases::wanted(self.driver.board()));
            tokio::spawn(async move {
                let looks = world.clone();
                let seen = blocking(move || looks.bases(&wanted)).await;
                let _ = world.inputs.send(Input::Bases(seen)).await;
            });
        }
        let now: Mono = clock::now().mono;
        if self.driver.wake_at().is_some_and(|at| at <= now) {
            self.input(Input::Tick);
        }
    }

    pub(super) async fn request(&mut self, asked: Asked, waiting: &mut Waiting) {
        let Asked { scope, request, answer } = asked;
        self.look_at_settings(matches!(request, Request::Reload {})).await;
        let said = match (request, scope) {
            (Request::Board {}, _) => Answer::Known(Box::new(self.known())),
            (Request::Command { command, texts }, _) => {
                self.look_before(&command).await;
                self.command(command, &texts)
            }
            (Request::Reload {}, _) => match &self.settings_wrong {
                None => Answer::Ok {},
                Some(why) => refused(why),
            },
            (Request::Explain { task }, _) => return self.explain(task, answer),
            (Request::Shutdown {}, _) => {
                self.over = true;
                return waiting.push_back(answer);
            }
            (Request::Down { why }, _) => {
                let mut wishes = [Command::Dispatch { on: false }, Command::StopAll { why }].into_iter();
                match wishes.find_map(|wish| self.turn(Input::Command(wish), &[]).err()) {
                    // What nobody was told to do is not waited for.
                    Some(refusal) => Answer::Refused(refusal),
                    None => {
                        self.unowned.stop(&self.world);
                        self.ending = true;
                        return waiting.push_back(answer);
                    }
                }
            }
            (Request::Permission { dialect, payload }, Scope::Attempt { attempt, .. }) => {
                return permissions::ask(&self.world, attempt, &dialect, &payload, answer);
            }
            (request, Scope::Attempt { attempt, launch }) => self.of_attempt(attempt, launch, request),
            _ => refused("this request does not belong here"),
        };
        let _ = answer.send(said);
    }

    /// What is approved is what its branch holds by now; a base that was missing may be there, a
    /// broken worktree mended.
    async fn look_before(&mut self, command: &Command) {
        if matches!(command, Command::Start { .. } | Command::Retry { .. }) && lacks_base(self.driver.board()) {
            let (world, wanted) = (self.world.clone(), bases::wanted(self.driver.board()));
            let seen = blocking(move || world.bases(&wanted)).await;
            self.input(Input::Bases(seen));
        }
        let (Command::Approve { task } | Command::Start { task }) = command else { return };
        let newest = self.driver.board().tasks.get(task).and_then(|t| Some((t.attempt_id()?, t.attempt()?)));
        let Some((attempt, was_astray)) = newest.map(|(id, a)| (id, a.astray.is_some())) else { return };
        if !was_astray && matches!(command, Command::Start { .. }) {
            return;
        }
        let world = self.world.clone();
        for seen in blocking(move || effects::look_again(&world, attempt, was_astray)).await {
            self.input(Input::Observed { attempt, seen });
        }
    }

    fn known(&self) -> Known {
        let mut about = self.about.clone();
        about.banners.clone_from(&self.standing);
        about.banners.extend(self.unowned.banner(&self.world.place));
        about.banners.extend(self.settings_wrong.clone());
        about.banners.extend(self.driver.trouble().map(|why| format!("nothing can be stored: {why}")));
        Known { board: self.driver.board().clone(), supervisor: about }
    }

    /// Switches dispatching off.
    pub(super) fn hold_still(&mut self) {
        if let Answer::Refused(refusal) = self.command(Command::Dispatch { on: false }, &[]) {
            tracing::warn!(refusal.text, "cannot switch dispatching off");
        }
    }

    fn command(&mut self, command: Command, texts: &[String]) -> Answer {
        match self.turn(Input::Command(command), texts) {
            Ok(reply) => Answer::Done { reply, seq: *self.driver.journal().last().borrow() },
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn explain(&self, task: TaskId, answer: oneshot::Sender<Answer>) {
        let id = self.driver.board().tasks.get(&task).and_then(Task::attempt_id);
        let handle = id.and_then(|id| self.world.host(id));
        tokio::spawn(async move {
            let mut signals = Vec::new();
            if let Some(handle) = handle {
                let (tell, told) = oneshot::channel();
                handle.ask(Ask::Explain(tell)).await;
                signals = told.await.unwrap_or_default().into_iter().map(signal).collect();
            }
            let _ = answer.send(Answer::Signals { signals });
        });
    }

    fn hook(&mut self, attempt: AttemptId, dialect: &str, payload: &serde_json::Value, stamp: Stamp) -> Answer {
        match hook::read(dialect, payload) {
            Ok(Some(event)) => {
                if let Some(output) = self.at_stop(attempt, &event) {
                    return Answer::Say { output };
                }
                let fired = Fired { event, at: hosts::fired(stamp.at), id: stamp.id, heard: None };
                if let Some(handle) = self.world.host(attempt) {
                    handle.offer(Ask::Hook(fired));
                } else if self.driver.board().attempt(attempt).is_some_and(Attempt::is_active) {
                    tokio::spawn(effects::hear_once_adopted(self.world.clone(), attempt, fired));
                } else {
                    return self.unheard(attempt, Sent::Hook, "it fired, and the agent has ended");
                }
                Answer::Ok {}
            }
            Ok(None) => Answer::Ok {},
            Err(error) => self.unheard(attempt, Sent::Hook, &format!("it said something else than it should: {error}")),
        }
    }

    /// What the hook at the end of a turn says, where there is something: the turn then goes on,
    /// so its end is no news.
    fn at_stop(&mut self, attempt: AttemptId, event: &HookEvent) -> Option<String> {
        let own = |a: &Attempt| a.session.as_ref().is_none_or(|session| *session == event.session);
        let of_agent = event.agent_id.is_none() && self.driver.board().attempt(attempt).is_some_and(own);
        if !of_agent || !event.may_go_on() {
            return None;
        }
        match self.turn(Input::Command(Command::AtStop { attempt }), &[]) {
            Ok(Reply::Say { text }) => text.map(|text| hook::go_on(&text)),
            _ => None,
        }
    }

    /// Reads settings again where a file or an agent's program has changed; a broken edit keeps the
    /// last good ones.
    async fn look_at_settings(&mut self, at_once: bool) {
        if !at_once && self.settings_looked.is_some_and(|at| at.elapsed() < SETTINGS_EVERY) {
            return;
        }
        self.settings_looked = Some(Instant::now());
        if !at_once && self.world.loaded().is_current(&self.world.place) {
            return;
        }
        // No program is waited for meanwhile: its version is asked for beside the loop.
        let world = self.world.clone();
        // Not as git was set up when this supervisor began.
        let read = move || {
            let place = world.place.renewed()?;
            surroundings::look(&place).inspect(|loaded| loaded.keep(&place))
        };
        match blocking(read).await {
            Ok(loaded) => {
                self.settings_wrong = None;
                if loaded.lacks_versions() {
                    self.ask_versions();
                }
                let around = loaded.surroundings(&self.world.place);
                self.world.set_loaded(loaded);
                self.input(Input::Surroundings(Box::new(around)));
            }
            Err(error) => {
                self.settings_wrong = Some(surroundings::held(&error.to_string()));
            }
        }
    }

    fn ask_versions(&self) {
        let world = self.world.clone();
        tokio::spawn(async move {
            let place = world.place.clone();
            let read = move || surroundings::load(&place.renewed()?);
            let Ok(loaded) = blocking(read).await else { return };
            // What was read since then says more than a version.
            if world.loaded().files == loaded.files {
                world.set_loaded(loaded);
            }
        });
    }

    /// What is wrong with the settings it was started with.
    pub(super) fn begin_with(&mut self, wrong: Option<String>) {
        self.settings_wrong = wrong;
    }

    /// After each turn: what is watched follows the board, unwanted checks end, and an end that
    /// was asked for comes when nothing runs any more.
    pub(super) fn tend(&mut self, waiting: &mut Waiting) {
        self.settle_letters();
        let board = self.driver.board();
        let wanted: Vec<(AttemptId, &Attempt)> =
            newest(board).filter(|(id, a)| is_of_interest(board, *id, a)).collect();
        let ids: BTreeSet<AttemptId> = wanted.iter().map(|(id, _)| *id).collect();
        let moved = self.world.boundaries_moved();
        for (id, attempt) in &wanted {
            if let Some(task) = board.tasks.get(&id.task)
                && (self.world.guard(*id, bounds(task, attempt)) || moved)
                && self.watched.contains(id)
            {
                look_again(&self.world, *id);
            }
            if !self.watched.contains(id) && begin_watching(&self.world, *id, attempt) {
                self.watched.insert(*id);
            }
        }
        let gone: Vec<AttemptId> = self.watched.difference(&ids).copied().collect();
        for id in gone {
            if let Some(watcher) = &self.world.watcher {
                watcher.remove(id);
            }
            self.watched.remove(&id);
            let_go(&self.world, id);
        }
        let checking: BTreeSet<_> = newest(board).filter_map(|(_, a)| a.checking.as_ref().map(|c| c.action)).collect();
        effects::cancel_unwanted(&self.world, |action| checking.contains(&action));
        let stopping = newest(board).filter(|(_, a)| a.stopping.is_some()).map(|(id, _)| id).collect();
        self.world.follow(|id| board.attempt(id).is_some_and(Attempt::is_active), stopping);
        self.world.follow_leases(taken_over(board));
        self.notifier.follow(&self.world, board);
        let quiet = board.tasks.values().flat_map(|t| &t.attempts).all(|a| !a.is_active() && !a.is_torn_down());
        if self.ending && quiet && self.unowned.is_empty() {
            self.over = true;
        }
        if self.over {
            self.farewell(waiting);
        }
    }

    /// Tells everybody who waits that it is over.
    pub(super) fn farewell(&mut self, waiting: &mut Waiting) {
        for answer in waiting.drain(..) {
            let _ = answer.send(Answer::Ok {});
        }
    }
}

/// Whether a task waits because what it would start from is not there.
fn lacks_base(board: &Board) -> bool {
    board.holds.iter().any(|hold| hold.because == HoldKind::Base)
}

fn newest(board: &Board) -> impl Iterator<Item = (AttemptId, &Attempt)> {
    board.tasks.values().filter_map(|t| Some((t.attempt_id()?, t.attempt()?)))
}

/// Attempts whose agent's input is in a person's hands.
fn taken_over(board: &Board) -> BTreeSet<AttemptId> {
    board.tasks.values().filter(|t| t.is_taken_over()).filter_map(Task::attempt_id).collect()
}

/// Whether an attempt's worktree is there and its bytes still matter.
fn is_of_interest(board: &Board, id: AttemptId, attempt: &Attempt) -> bool {
    let open = board.tasks.get(&id.task).is_some_and(|t| t.column != Column::Backlog && !t.column.is_closed());
    open && attempt.base_oid.is_some() && !matches!(attempt.phase, Phase::Preparing { .. })
}

/// Opens the look into an attempt's worktree; says whether it has one.
fn open_look(world: &World, id: AttemptId, attempt: &Attempt) -> bool {
    let (Some(base), Some(name)) = (&attempt.base_oid, &attempt.base) else { return false };
    let site = effects::site_of(world, &attempt.worktree);
    if let Err(error) = world.open_look(id, &site, base, name, &attempt.branch) {
        tracing::warn!(attempt = %id, %error, "cannot look into the worktree");
    }
    true
}

/// What it must not touch has changed, and its files may long have.
fn look_again(world: &Arc<World>, attempt: AttemptId) {
    let world = world.clone();
    tokio::spawn(async move { effects::observe(&world, attempt).await });
}

fn bounds(task: &Task, attempt: &Attempt) -> Bounds {
    let plans = attempt.plans() && attempt.strayed.is_none() && !task.is_taken_over();
    Bounds { off_limits: task.spec.off_limits.clone(), plans_on: attempt.plans_on.clone().filter(|_| plans) }
}

fn begin_watching(world: &World, id: AttemptId, attempt: &Attempt) -> bool {
    if !open_look(world, id, attempt) {
        return false;
    }
    if let Some(watcher) = &world.watcher {
        watcher.add(id, &attempt.worktree, &layout::outbox(&attempt.worktree));
    }
    true
}

/// Nobody works in its worktree any more: what looks into it gathered is not needed between two.
fn let_go(world: &World, attempt: AttemptId) {
    let Some(look) = world.look(attempt) else { return };
    tokio::task::spawn_blocking(move || {
        if let Err(error) = look.shadow.let_go() {
            tracing::info!(%attempt, %error, "cannot drop what looks into the worktree gathered");
        }
    });
}

fn signal(view: crate::agent::signal::SignalView) -> Signal {
    Signal {
        source: view.source,
        kind: Some(view.kind),
        text: view.text,
        age_s: std::time::Duration::from_millis(view.age.0).as_secs_f64(),
        weight: u32::from(view.weight),
        counted: view.counted,
        why: view.why,
    }
}

fn refused(text: &str) -> Answer {
    Answer::Refused(Refusal { code: RefusalCode::Failure, text: text.to_owned(), hints: Vec::new() })
}
