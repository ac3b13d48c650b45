//! `standup run`: supervise in the foreground until nothing can go on without a person.

use std::time::{Duration, Instant};

use crate::board::doc::Document;
use crate::board::text::{self, Paint};
use crate::board::{sentence, view, when};
use crate::cli::context::{Context, Seen};
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::client::control::Client;
use crate::model::board::Board;
use crate::model::event::{Event, Record};
use crate::model::id::Seq;
use crate::model::input::Command;
use crate::model::task::Column;
use crate::model::text::{clean, clean_line};
use crate::model::time::Span;
use crate::policy::rest::{self, Rest};
use crate::store::log::StoredEvent;
use crate::supervisor::journal;
use crate::wire::control::Request;

/// How often the board is looked at even if nothing was stored: what a task waits for changes
/// without events.
const LOOK: Duration = Duration::from_secs(1);

/// How long the agents that rest in Review may take to end.
const REST_LIMIT: Duration = Duration::from_secs(60);

/// Columns of a title in a line of progress.
const TITLE: usize = 28;

/// Run tasks until nothing goes on without you; say how it went
///
/// Ends with 0 when all are in Review, Done or Canceled, 4 when checks stayed red, 5 when
/// something waits for a person. ^C ends with 130; agents go on.
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
        let mut client = self.ctx.client()?;
        let from = self.ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?;
        let mut tail = Tail::from(self.ctx, from.next())?;
        client.command(Command::Dispatch { on: true }, Vec::new())?;
        let mut banners: Vec<String> = Vec::new();
        loop {
            let known = client.board()?;
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
        let mut client = self.ctx.client()?;
        client.command(Command::Rest {}, Vec::new())?;
        self.ctx.ui.detail("ending the agents that rest in review; they can go on later");
        let until = Instant::now() + REST_LIMIT;
        let rests = |board: &Board| {
            let mut reviewed = board.tasks.values().filter(|task| task.column == Column::Review);
            reviewed.all(|task| task.needs_you.is_some() || task.attempt().is_none_or(|a| !a.is_active()))
        };
        while !rests(&client.board()?.board) && Instant::now() < until {
            interrupts.sleep(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Leaves the switch, and the supervisor, as they were found.
    fn leave(&self) -> Result<(), Failure> {
        let Some(mut client) = self.ctx.running()? else { return Ok(()) };
        if !self.dispatched {
            client.command(Command::Dispatch { on: false }, Vec::new())?;
        }
        if self.own {
            end(client)?;
        }
        Ok(())
    }
}

/// Ends the supervisor; agents go on.
fn end(mut client: Client) -> Result<(), Failure> {
    use crate::client::control::ClientError;
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
