//! Orders into deeds. Each deed runs on its own; its outcome comes back as an input.
//!
//! What happens when an order is given again is written beside each [`Action`].

mod check;
mod hidden;
mod launch;
mod prepare;
mod preview;
mod stop;
mod survey;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::action::{Action, Order, Outcome};
use crate::model::id::{ActionId, AttemptId, MsgId};
use crate::model::input::Input;
use crate::model::name::HostId;
pub(super) use crate::model::text::chain;
use crate::os::failpoint;

use super::driver;
use super::hosts::{self, Ask, TypedHow, WantedAnswer};
use super::world::World;

pub(super) use check::{look, look_again, observe};
pub(super) use launch::{adopt, found, hear_once_adopted, voice_of};
pub(super) use prepare::site_of;
pub use preview::{Preview, Shell, preview, shell};
pub(super) use stop::stop;
pub(super) use survey::plan_in;

/// How long the facts of a check-in wait for what its agent has used: logs of hundreds of megabytes
/// that are read for the first time take longer, and are told with the next ones.
const SPENDING_LIMIT: Duration = Duration::from_secs(2);

/// The real effects.
pub(super) struct Effects {
    world: Arc<World>,
}

impl Effects {
    /// Over a world.
    #[must_use]
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl driver::Effects for Effects {
    fn submit(&mut self, order: Order) {
        let world = self.world.clone();
        if matches!(order.action, Action::Prepare { .. } | Action::Launch { .. }) {
            // At once, so that the next reservation cannot take the same slot.
            world.assign_slot(order.attempt);
        }
        if matches!(order.action, Action::Check { .. }) {
            let _ = world.begin_checks(order.id);
        }
        tokio::spawn(async move {
            let (id, attempt) = (order.id, order.attempt);
            let typed = if let Action::Type { msg, .. } = &order.action { Some(*msg) } else { None };
            let outcome = carry_out(&world, order).await;
            let _ = world.inputs.send(Input::Done { id, outcome }).await;
            if let (Some(msg), Some(handle)) = (typed, world.host(attempt)) {
                handle.ask(Ask::Recorded(msg)).await;
            }
        });
    }

    fn reserve(&mut self) {
        let world = self.world.clone();
        tokio::spawn(async move {
            let limit = world.loaded().effective.settings.wip.machine;
            let for_slot = world.clone();
            let (reserved, used) = blocking(move || for_slot.reserve(limit)).await;
            let _ = world.inputs.send(Input::Slot { reserved, used }).await;
        });
    }

    fn release(&mut self) {
        self.world.release();
    }
}

async fn carry_out(world: &Arc<World>, order: Order) -> Outcome {
    let Order { id, attempt, action } = order;
    match action {
        Action::Prepare { .. } => {
            let for_work = world.clone();
            let outcome = blocking(move || prepare::prepare(&for_work, attempt, action)).await;
            if !matches!(outcome, Outcome::Prepared { .. }) {
                drop(world.take_slot(attempt));
            }
            outcome
        }
        Action::TearDown { worktree, ports } => {
            let for_work = world.clone();
            blocking(move || prepare::tear_down(&for_work, attempt, &worktree, &ports)).await
        }
        Action::Launch { .. } => launch::launch(world, attempt, action).await,
        Action::Stop { host, .. } => {
            let for_work = world.clone();
            blocking(move || stop::stop(&for_work, &host)).await
        }
        Action::Type { host, msg, text, now } => {
            put(world, attempt, &host, msg, |done| Ask::Type { msg, text, now, done }).await
        }
        Action::Answer { host, msg, dialog, choice, way } => {
            let wanted = WantedAnswer { msg, dialog, choice, way };
            put(world, attempt, &host, msg, |done| Ask::Answer(wanted, done)).await
        }
        Action::Check { run, worktree, own, ports } => {
            let wanted = check::Wanted { run, worktree, own, ports };
            check::check(world, attempt, id, wanted).await
        }
        Action::Look {} => {
            check::observe(world, attempt).await;
            look_at_spending(world, attempt).await;
            Outcome::Looked
        }
        Action::Leave { worktree, number, text } => leave(worktree, number, text).await,
        Action::Sweep { host, .. } => {
            let for_work = world.clone();
            let ended = blocking(move || stop::sweep(&for_work, &host)).await;
            Outcome::Swept { ended }
        }
        Action::Survey { since, .. } => survey::survey(world, attempt, since).await,
    }
}

/// Has its host's task tell what an agent has used, where there is one that answers in time.
async fn look_at_spending(world: &World, attempt: AttemptId) {
    let Some(handle) = world.host(attempt) else { return };
    let (done, told) = oneshot::channel();
    handle.offer(Ask::Spending(done));
    let _ = tokio::time::timeout(SPENDING_LIMIT, told).await;
}

/// Puts a reminder where the agent finds it. One that cannot be left is as if it was never read.
async fn leave(worktree: PathBuf, number: u32, text: String) -> Outcome {
    let left = blocking(move || {
        let name = format!("{number}.md");
        crate::watch::inbox::leave(&worktree, name.as_ref(), &format!("{text}\n"))
    });
    match left.await {
        Ok(()) => Outcome::Left,
        Err(error) => Outcome::Failed { stage: "inbox".into(), error: chain(&error) },
    }
}

/// Has something put into an agent's terminal: at most once, over restarts, and not once its input is
/// in a person's hands, whenever that was decided.
async fn put(
    world: &Arc<World>,
    attempt: AttemptId,
    host: &HostId,
    msg: MsgId,
    ask: impl FnOnce(oneshot::Sender<TypedHow>) -> Ask,
) -> Outcome {
    let (for_work, of_host) = (world.clone(), host.clone());
    if let Some(outcome) = blocking(move || typed_before(&for_work, &of_host, msg)).await {
        return outcome;
    }
    let Some(handle) = world.host(attempt) else {
        return Outcome::NotTyped { why: format!("host {host} is not connected") };
    };
    if world.is_taken_over(attempt) {
        return Outcome::NotTyped { why: "the task was taken over".into() };
    }
    let (done, answered) = oneshot::channel();
    let ask = ask(done);
    let point = if matches!(ask, Ask::Answer(..)) { "answer.answered" } else { "type.answered" };
    handle.ask(ask).await;
    let answered = answered.await;
    failpoint::hit(point);
    match answered {
        Ok(TypedHow::Yes) => Outcome::Typed,
        Ok(TypedHow::No(why)) => Outcome::NotTyped { why },
        Ok(TypedHow::Perhaps) | Err(_) => Outcome::PerhapsTyped,
    }
}

/// What the hosts that this attempt has had say of a message: an earlier supervisor may have had it
/// written, and died before it heard of that. `None` where none of them ever began with it.
fn typed_before(world: &World, host: &HostId, msg: MsgId) -> Option<Outcome> {
    let (stem, last) = host.as_str().rsplit_once('-')?;
    let launches: u32 = last.parse().ok()?;
    (1..=launches).rev().find_map(|launch| {
        let one = HostId::new(format!("{stem}-{launch}")).ok()?;
        let number = hosts::number(msg);
        let said = crate::host::typed(&world.place.layout.host_dir(&one), &[number]);
        match (said.written.is_empty(), said.unknown.is_empty()) {
            (false, _) => Some(Outcome::Typed),
            (true, false) => Some(Outcome::PerhapsTyped),
            (true, true) => None,
        }
    })
}

/// Runs something that blocks, off the loop.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Ends the checks that no order wants any more.
pub(super) fn cancel_unwanted(world: &World, wanted: impl Fn(ActionId) -> bool) {
    world.cancel_checks_but(wanted);
}
