//! `standup run`: supervise in the foreground until nothing can go on without a person.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::board::text::{self, Paint};
use crate::board::{sentence, view, when};
use crate::cli::context::{Context, Seen};
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::client::control::{Client, ClientError};
use crate::model::board::Board;
use crate::model::event::{Event, Record};
use crate::model::id::Seq;
use crate::model::input::Command;
use crate::model::task::Column;
use crate::model::text::{clean, clean_line};
use crate::model::time::Span;
use crate::os::lock;
use crate::policy::rest::{self, Rest};
use crate::store::log::StoredEvent;
use crate::store::record::SupervisorRecord;
use crate::supervisor::journal;
use crate::wire::control::{Known, Request};

/// How often the board is looked at even if nothing was stored: what a task waits for changes
/// without events.
const LOOK: Duration = Duration::from_secs(1);

/// How long the agents that rest in Review may take to end.
const REST_LIMIT: Duration = Duration::from_secs(60);

/// How long another supervisor is waited for after one was ended: `supervisor restart` needs a
/// fraction of a second between the two.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// How long one that holds its lock may take until it can be asked, or is gone.
const LOCK_LIMIT: Duration = Duration::from_secs(45);

/// How many supervisors may be lost over one question before that is taken for its fault.
const MAX_LOST: usize = 3;

/// Between two looks for it.
const RETURN_LOOK: Duration = Duration::from_millis(50);

/// Columns of a title in a line of progress.
const TITLE: usize = 28;

/// Run tasks until nothing goes on without you; say how it went
///
/// Ends with 0 when all are in Review, Done or Canceled, 4 when checks stayed red, 5 when
/// something waits for a person. ^C ends with 130; agents go on. Goes on with another supervisor
/// after a restart or a crash of its own; where that was ended, with 69.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}

pub(in crate::cli) fn run(_: Args, ctx: &Context) -> Result<Code, Failure> {
    super::up::require_ready(ctx)?;
    let before = ctx.seen()?;
    if before.board.tasks.values().all(|task| task.column.is_closed()) {
        ctx.ui.say("nothing to do: there is no open task");
        return finish(ctx, &before, Rest::Finished);
    }
    let mut interrupts = Interrupts::catch()?;
    let own = before.supervisor.is_none();
    let mut session = Session { ctx, own, dispatched: before.board.dispatch, began: Instant::now() };
    let ended = session.go(&mut interrupts);
    // However it ended, things are left as they were found.
    match ended {
        Ok(rest) => {
            session.rest(&mut interrupts)?;
            let seen = ctx.seen()?;
            session.leave()?;
            finish(ctx, &seen, rest)
        }
        Err(failure) if failure.code == Code::Interrupted => {
            let alive = ctx.seen().map(|seen| alive(&seen.board)).unwrap_or(0);
            session.leave()?;
            let text = match alive {
                0 => "interrupted".to_owned(),
                1 => "interrupted; 1 agent goes on".to_owned(),
                n => format!("interrupted; {n} agents go on"),
            };
            let hint = (alive > 0).then_some("standup down --all");
            if ctx.ui.json {
                let failure = Failure::new(Code::Interrupted, text);
                return Err(hint.into_iter().fold(failure, Failure::hint));
            }
            ctx.ui.say(&text);
            hint.into_iter().for_each(|hint| ctx.ui.hint(hint));
            Err(Failure::silent(Code::Interrupted))
        }
        Err(failure) => {
            let _ = session.leave();
            Err(failure)
        }
    }
}

fn alive(board: &Board) -> usize {
    board.tasks.values().filter(|task| task.attempt().is_some_and(|a| a.is_active())).count()
}

fn finish(ctx: &Context, seen: &Seen, rest: Rest) -> Result<Code, Failure> {
    let scene = ctx.scene(seen)?;
    let doc = view::status(&seen.board, &scene);
    let (outcome, code) = match rest {
        Rest::Finished => ("finished", Code::Ok),
        Rest::Red => ("red", Code::NotMet),
        Rest::Waits => ("waits", Code::Asks),
    };
    if ctx.ui.json {
        let mut body = serde_json::to_value(&doc).map_err(|error| Failure::new(Code::Bug, error.to_string()))?;
        body["outcome"] = outcome.into();
        ctx.ui.json(&Document::new("run", body))?;
    } else {
        ctx.ui.answer(&text::status(&doc, scene.now, &ctx.ui))?;
        match rest {
            Rest::Finished => {}
            Rest::Red => ctx.ui.say("checks stayed red; the rest is done"),
            Rest::Waits => ctx.ui.say("nothing goes on without you"),
        }
    }
    Ok(code)
}

struct Session<'a> {
    ctx: &'a Context,
    /// Whether the supervisor was started by us, so that it is ended by us.
    own: bool,
    /// Whether tasks were being dispatched before.
    dispatched: bool,
    began: Instant,
}

impl Session<'_> {
    /// Until nothing goes on.
    fn go(&mut self, interrupts: &mut Interrupts) -> Result<Rest, Failure> {
        let mut line = Line { ctx: self.ctx, client: self.ctx.client()? };
        let from = self.ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?;
        let mut tail = Tail::from(self.ctx, from.next())?;
        line.ask(interrupts, |client| client.command(Command::Dispatch { on: true }, Vec::new()))?;
        let mut banners: Vec<String> = Vec::new();
        loop {
            let known = line.board(interrupts)?;
            for banner in known.supervisor.banners.iter().filter(|banner| !banners.contains(banner)) {
                self.ctx.ui.say(&format!("! {}", clean_line(banner)));
            }
            banners = known.supervisor.banners;
            if let Some(rest) = rest::at_rest(&known.board) {
                self.drain(&mut tail, interrupts, &known.board)?;
                return Ok(rest);
            }
            for stored in tail.wait(interrupts, LOOK)? {
                self.say(&stored, &known.board);
            }
        }
    }

    /// What happened up to now is said before the end is.
    fn drain(&self, tail: &mut Tail<'_>, interrupts: &mut Interrupts, board: &Board) -> Result<(), Failure> {
        loop {
            let page = tail.wait(interrupts, Duration::ZERO)?;
            if page.is_empty() {
                return Ok(());
            }
            page.iter().for_each(|stored| self.say(stored, board));
        }
    }

    /// `   12s  T3  fix the pager      checks: green`
    fn say(&self, stored: &StoredEvent, board: &Board) {
        let Some(logged) = journal::logged(stored) else { return };
        let Some(id) = stored.task.filter(|_| is_progress(&logged.record) || self.ctx.ui.verbose) else { return };
        let title = board.tasks.get(&id).map(|task| clean(&task.spec.title, TITLE)).unwrap_or_default();
        let pad = " ".repeat(TITLE.saturating_sub(crate::model::text::width(&title)));
        let age = Span::secs(self.began.elapsed().as_secs().max(1)).to_string();
        let room = self.ctx.ui.columns().saturating_sub(TITLE + 18).max(TITLE);
        let told = when::told(&sentence::sentence(&logged.record.event), self.ctx.now(), &self.ctx.ui.zone());
        let said = clean(&told, room);
        self.ctx.ui.say(&format!("{age:>7}  {:<4} {title}{pad}  {said}", id.to_string()));
    }

    /// Ends the agents that rest in Review; they can be resumed.
    fn rest(&self, interrupts: &mut Interrupts) -> Result<(), Failure> {
        let mut line = Line { ctx: self.ctx, client: self.ctx.client()? };
        line.ask(interrupts, |client| client.command(Command::Rest {}, Vec::new()))?;
        self.ctx.ui.detail("ending the agents that rest in review; they can go on later");
        let until = Instant::now() + REST_LIMIT;
        let rests = |board: &Board| {
            let mut reviewed = board.tasks.values().filter(|task| task.column == Column::Review);
            reviewed.all(|task| task.needs_you.is_some() || task.attempt().is_none_or(|a| !a.is_active()))
        };
        while !rests(&line.board(interrupts)?.board) && Instant::now() < until {
            interrupts.sleep(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Leaves the switch, and the supervisor, as they were found.
    fn leave(&self) -> Result<(), Failure> {
        match self.leave_once() {
            // It went away meanwhile; the switch is in the log.
            Err(failure) if failure.code == Code::Unreachable => self.leave_once(),
            left => left,
        }
    }

    fn leave_once(&self) -> Result<(), Failure> {
        let (client, own) = match self.ctx.running()? {
            Some(client) => (Some(client), self.own),
            // The next one would go on starting tasks, unasked.
            None if !self.dispatched && self.ctx.seen()?.board.dispatch => (Some(self.ctx.still_client()?), true),
            None => (None, false),
        };
        let Some(mut client) = client else { return Ok(()) };
        if !self.dispatched {
            client.command(Command::Dispatch { on: false }, Vec::new())?;
        }
        if own {
            end(client)?;
        }
        Ok(())
    }
}

/// The way to whoever supervises; it outlives a supervisor.
struct Line<'a> {
    ctx: &'a Context,
    client: Client,
}

impl Line<'_> {
    fn board(&mut self, interrupts: &mut Interrupts) -> Result<Known, Failure> {
        self.ask(interrupts, Client::board)
    }

    /// Asks until there is an answer, of this supervisor or of the next one.
    fn ask<T>(
        &mut self,
        interrupts: &mut Interrupts,
        what: impl Fn(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        for _ in 0..MAX_LOST {
            match what(&mut self.client) {
                Err(ClientError::Broken(_)) => self.client = self.next(interrupts)?,
                answer => return Ok(answer?),
            }
        }
        Ok(what(&mut self.client)?)
    }

    /// The supervisor after this one: whichever comes, and one of our own where this one crashed.
    /// Where it was ended and none comes, somebody wants none.
    fn next(&self, interrupts: &mut Interrupts) -> Result<Client, Failure> {
        let layout = &self.ctx.place()?.layout;
        let began = Instant::now();
        loop {
            let failure = match self.ctx.running() {
                Ok(Some(client)) => return Ok(self.gone_over_to(client)),
                Ok(None) => None,
                // It is just leaving, or just coming.
                Err(failure) if failure.code == Code::Unreachable => Some(failure),
                Err(failure) => return Err(failure),
            };
            let limit = if lock::is_held(&layout.supervisor_lock())? {
                LOCK_LIMIT
            } else if SupervisorRecord::load(&layout.supervisor_record())?.is_some_and(|r| !r.process.is_alive()) {
                // An orderly end takes its record along.
                self.ctx.ui.say("the supervisor is gone; another one is started");
                return Ok(self.gone_over_to(self.ctx.client()?));
            } else {
                RETURN_LIMIT
            };
            if began.elapsed() >= limit {
                let ended = Failure::new(Code::Unreachable, "the supervisor was ended, and none came back");
                return Err(failure.unwrap_or_else(|| ended.hint("standup run")));
            }
            interrupts.sleep(RETURN_LOOK)?;
        }
    }

    fn gone_over_to(&self, client: Client) -> Client {
        self.ctx.ui.say(&format!("another supervisor goes on: pid {}", client.welcome().process.pid));
        client
    }
}

/// Ends the supervisor; agents go on.
fn end(mut client: Client) -> Result<(), Failure> {
    match client.ask(&Request::Shutdown {}) {
        Ok(_) | Err(ClientError::Broken(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a person who watches wants to read.
fn is_progress(record: &Record) -> bool {
    matches!(
        record.event,
        Event::TaskMoved { .. }
            | Event::AttemptPlanned { .. }
            | Event::HostStarted { .. }
            | Event::AttemptFailed { .. }
            | Event::WorkFinished { .. }
            | Event::CheckInReceived { .. }
            | Event::CheckInRefused { .. }
            | Event::ChecksStarted { .. }
            | Event::VerdictReached { .. }
            | Event::ChecksDropped { .. }
            | Event::MessageQueued { .. }
            | Event::MessageUnconfirmed { .. }
            | Event::AttemptStopped { .. }
            | Event::AgentExited { .. }
            | Event::HostLost { .. }
            | Event::NeedsYouRaised { .. }
            | Event::NeedsYouCleared {}
    )
}
