//! An attempt from its worktree to its end: outcomes and observations in, what follows out.

use crate::model::action::{Action, Ended, Outcome, lost_text};
use crate::model::attempt::{Attempt, DiffStat, End, Exit, HostFacts, Phase, StopWhy, Teardown};
use crate::model::board::{Task, Wanted};
use crate::model::event::{By, Event};
use crate::model::id::{ActionId, AttemptId, TaskId};
use crate::model::input::Observation;
use crate::model::message::{Delivery, From, Message};
use crate::model::name::{HostId, Oid};
use crate::model::settings::VerifyOn;
use crate::model::state::{RunKind, RunState, Source};
use crate::model::task::{Column, Mode};
use crate::model::verdict::{Verdict, VerdictOutcome};

use super::turn::Turn;
use super::{admission, answer, attention, claim, limits, messages, note, plan, takeover};

/// How many taken branch names in a row are passed over before a person is asked.
const MAX_TAKEN: usize = 20;

/// An action ended.
pub(super) fn done(turn: &mut Turn<'_>, id: ActionId, outcome: Outcome) {
    let Some(attempt) = owner(turn, id) else { return };
    match outcome {
        Outcome::Prepared { base_oid, base, session, ports, notes } => {
            let teardown = turn.settings().is_some_and(|s| !s.worktrees.teardown.is_empty());
            turn.attempt_event(attempt, Event::WorktreeReady { base_oid, base, session, ports, notes, teardown });
            after_preparing(turn, attempt);
        }
        Outcome::BranchTaken { error } => {
            branch_taken(turn, attempt, error);
        }
        Outcome::Typed | Outcome::NotTyped { .. } | Outcome::PerhapsTyped if answer::is_of(turn, attempt, id) => {
            answer::done(turn, attempt, outcome);
        }
        Outcome::Launched { facts } => launched(turn, attempt, id, facts),
        Outcome::CameAndWent { facts, ended } => {
            confirm_resume(turn, attempt, id);
            if let Some(facts) = facts.filter(|_| is_launching(turn, attempt, id)) {
                turn.attempt_event(attempt, Event::HostStarted { facts });
            }
            exited(turn, attempt, ended);
        }
        Outcome::Stopped { exit, leftovers } => {
            turn.attempt_event(attempt, Event::AttemptStopped { exit, leftovers });
        }
        Outcome::Typed => message_event(turn, attempt, id, |msg| Event::MessageTyped { msg }),
        Outcome::NotTyped { why } => {
            message_event(turn, attempt, id, |msg| Event::MessageHeld { msg, why: why.clone() });
            withdraw_outdated(turn, attempt);
        }
        Outcome::PerhapsTyped => message_event(turn, attempt, id, |msg| Event::MessageUnconfirmed { msg }),
        Outcome::Checked { verdict, feedback } => judged(turn, attempt, verdict, feedback),
        Outcome::Swept { .. } | Outcome::Left => {}
        Outcome::TornDown { wrong } => turn.attempt_event(attempt, Event::TeardownEnded { wrong }),
        Outcome::Looked => claim::compare(turn, attempt, id),
        Outcome::Failed { .. } if claim::is_look(turn, attempt, id) => claim::compare(turn, attempt, id),
        Outcome::Surveyed { mark, changes } => takeover::surveyed(turn, attempt, id, Some((mark, changes))),
        Outcome::Failed { stage, error } => failed(turn, attempt, id, stage, error),
    }
}

/// The attempt that still waits for this action.
fn owner(turn: &Turn<'_>, id: ActionId) -> Option<AttemptId> {
    turn.board
        .tasks
        .values()
        .find_map(|task| {
            let attempt = task.attempts.iter().find(|a| waits_for(a, id))?;
            Some(AttemptId { task: task.id, no: attempt.no })
        })
        .or_else(|| {
            turn.board.tasks.values().find_map(|task| {
                let message = task.messages.iter().find(|m| m.delivery == Delivery::Typing { action: id })?;
                Some(AttemptId { task: task.id, no: message.attempt })
            })
        })
        .or_else(|| takeover::owner(turn, id))
        .or_else(|| claim::asker(turn, id))
}

fn waits_for(attempt: &Attempt, id: ActionId) -> bool {
    let phase = match &attempt.phase {
        Phase::Preparing { action } | Phase::Launching { action, .. } => *action == id,
        Phase::Live { .. } => attempt.stop_action == Some(id),
        Phase::Ended { .. } => false,
    };
    let ends = matches!(attempt.teardown, Teardown::Running { action } if action == id);
    let answers = attempt.answer.as_ref().is_some_and(|a| a.action == id && a.given.is_none());
    phase || ends || answers || attempt.checking.as_ref().is_some_and(|c| c.action == id)
}

fn after_preparing(turn: &mut Turn<'_>, attempt: AttemptId) {
    match turn.current(attempt).and_then(|a| a.stopping) {
        Some(_) => turn.attempt_event(attempt, Event::AttemptStopped { exit: None, leftovers: 0 }),
        None => launch(turn, attempt, None, false),
    }
}

/// A branch of this name exists and is not ours: it is never reset; the next number is taken, by
/// the same agent, as soon as there is a slot: the failed attempt's went back with it. One that
/// was to be stopped meanwhile has no successor but the one it was stopped for.
fn branch_taken(turn: &mut Turn<'_>, id: AttemptId, error: String) {
    let Some(attempt) = turn.current(id) else { return };
    if attempt.stopping.is_some() {
        turn.attempt_event(id, Event::AttemptStopped { exit: None, leftovers: 0 });
        return;
    }
    let agent = Some(attempt.agent.clone());
    turn.attempt_event(id, Event::AttemptFailed { stage: "branch".into(), error, exit: None });
    let Some(task) = turn.task(id.task) else { return };
    let taken = task.attempts.iter().rev().take_while(|a| failed_at(a, "branch")).count();
    if taken < MAX_TAKEN && !task.column.is_closed() {
        turn.task_event(id.task, Event::StartAsked { wanted: Wanted::Attempt { agent } });
    }
}

fn launched(turn: &mut Turn<'_>, id: AttemptId, action: ActionId, facts: HostFacts) {
    if !is_launching(turn, id, action) {
        return;
    }
    // In this order: what it was started with is older than anything it has shown.
    confirm_resume(turn, id, action);
    turn.attempt_event(id, Event::HostStarted { facts });
    if let Some(why) = turn.current(id).and_then(|a| a.stopping) {
        stop_host(turn, id, why);
    }
}

fn is_launching(turn: &Turn<'_>, id: AttemptId, wanted: ActionId) -> bool {
    turn.board.attempt(id).is_some_and(|a| matches!(a.phase, Phase::Launching { action, .. } if action == wanted))
}

/// A message that was not typed, for an agent that no longer counts or was stopped, never will be.
fn withdraw_outdated(turn: &mut Turn<'_>, id: AttemptId) {
    let Some(task) = turn.task(id.task) else { return };
    let stopped = turn.current(id).is_none_or(|a| {
        let why = match a.end() {
            Some(End::Stopped { why, .. }) => Some(*why),
            _ => a.stopping,
        };
        why.is_some_and(|why| !why.goes_on())
    });
    if !stopped && !task.column.is_closed() {
        return;
    }
    let queued: Vec<_> = task.messages.iter().filter(|m| m.attempt == id.no && m.is_queued()).map(|m| m.id).collect();
    for msg in queued {
        let why = "its agent no longer counts".to_owned();
        turn.attempt_event(id, Event::MessageWithdrawn { msg, why });
    }
}

fn failed_at(attempt: &Attempt, wanted: &str) -> bool {
    matches!(attempt.end(), Some(End::Failed { stage, .. }) if stage == wanted)
}

/// Plans and orders a host for an attempt whose worktree is there.
pub(super) fn launch(turn: &mut Turn<'_>, id: AttemptId, message: Option<&Message>, resume: bool) {
    let Some(attempt) = turn.current(id).cloned() else { return };
    // A conversation that goes on keeps the brief that it was begun with.
    let asked = |task: &Task| Box::new(if resume { task.given().clone() } else { task.spec.clone() });
    let Some(spec) = turn.task(id.task).map(asked) else { return };
    let Ok(host) = HostId::new(format!("{}-{}-{}", id.task, id.no, attempt.launches + 1)) else { return };
    let action = turn.next_action();
    let msg = message.map(|m| m.id);
    turn.board.machine.in_hand = false;
    turn.attempt_event(id, Event::LaunchPlanned { host: host.clone(), action, resume, msg });
    let prompt = match message {
        Some(message) => Some(message.text.clone()),
        None if resume => Some(super::GO_ON.to_owned()),
        None => None,
    };
    let plans = attempt.plans();
    let plan = attempt.plan.filter(|plan| !resume && plan.approved_at.is_some()).map(|plan| plan.text);
    let action_for_host = Action::Launch {
        host,
        agent: attempt.agent,
        mode: attempt.mode,
        spec,
        worktree: attempt.worktree,
        branch: attempt.branch,
        session: attempt.session,
        resume,
        prompt,
        ports: attempt.ports,
        plans,
        plan,
        planned_at: Some(turn.now.wall),
    };
    turn.order(action, id, action_for_host);
}

/// A message that an agent was brought back with went in by its arguments.
fn confirm_resume(turn: &mut Turn<'_>, id: AttemptId, action: ActionId) {
    let Some(task) = turn.task(id.task) else { return };
    let Some(message) = task.messages.iter().find(|m| m.delivery == Delivery::Typing { action }) else { return };
    let msg = message.id;
    turn.attempt_event(id, Event::MessageDelivered { msg, evidence: "the agent was started with it".into() });
}

fn message_event(
    turn: &mut Turn<'_>,
    id: AttemptId,
    action: ActionId,
    event: impl Fn(crate::model::id::MsgId) -> Event,
) {
    let Some(task) = turn.task(id.task) else { return };
    let Some(msg) = task.messages.iter().find(|m| m.delivery == Delivery::Typing { action }).map(|m| m.id) else {
        return;
    };
    turn.attempt_event(id, event(msg));
}

fn failed(turn: &mut Turn<'_>, id: AttemptId, action: ActionId, stage: String, error: String) {
    if takeover::owner(turn, action).is_some() {
        return takeover::surveyed(turn, id, action, None);
    }
    if answer::is_of(turn, id, action) {
        return answer::done(turn, id, Outcome::NotTyped { why: error });
    }
    let Some(attempt) = turn.board.attempt(id) else { return };
    if let Some(checking) = attempt.checking.as_ref().filter(|c| c.action == action) {
        let run = checking.run;
        let on = checking.on;
        let verdict = Verdict {
            outcome: VerdictOutcome::Error,
            tree: None,
            checks: Vec::new(),
            why: format!("{stage}: {error}"),
        };
        turn.attempt_event(id, Event::VerdictReached { run, verdict, on });
        return;
    }
    let attempt_stopping = attempt.stopping.is_some();
    match attempt.phase {
        // Stopped before it came up: whatever was said meanwhile, it did as it was told.
        Phase::Preparing { .. } | Phase::Launching { .. } if attempt.stopping.is_some() => {
            message_event(turn, id, action, |msg| Event::MessageHeld { msg, why: error.clone() });
            turn.attempt_event(id, Event::AttemptStopped { exit: None, leftovers: 0 });
        }
        Phase::Preparing { .. } | Phase::Launching { .. } => {
            message_event(turn, id, action, |msg| Event::MessageHeld { msg, why: error.clone() });
            let failed = match attempt_stopping {
                true => Event::AttemptStopped { exit: None, leftovers: 0 },
                false => Event::AttemptFailed { stage, error, exit: None },
            };
            turn.attempt_event(id, failed);
            withdraw_outdated(turn, id);
        }
        // What could not be ended may still run: it must not be taken for gone.
        Phase::Live { .. } if attempt.stop_action == Some(action) => {
            turn.attempt_event(id, Event::StopFailed { error });
        }
        _ => {
            message_event(turn, id, action, |msg| Event::MessageHeld { msg, why: error.clone() });
            withdraw_outdated(turn, id);
        }
    }
}

/// Something was seen of an attempt. Of one that no longer counts, only its end is heard.
pub(super) fn observed(turn: &mut Turn<'_>, id: AttemptId, seen: Observation) {
    if turn.board.attempt(id).is_none() {
        return;
    }
    match seen {
        Observation::State { state, readable, asks } => state_seen(turn, id, state, readable, asks),
        Observation::Began { evidence } => began(turn, id, evidence),
        Observation::PromptTaken { text } => messages::prompt_taken(turn, id, text.as_deref()),
        Observation::PromptWanted { text } => prompt_wanted(turn, id, text),
        Observation::Dialog { dialog } => answer::dialog_seen(turn, id, dialog),
        Observation::Session { session } => {
            if turn.current(id).is_some_and(|a| a.session.as_deref() != Some(session.as_str())) {
                turn.attempt_event(id, Event::SessionLearned { session });
            }
        }
        // Those are judged first: see `mail`.
        Observation::CheckIn { .. } => {}
        Observation::BadCheckIn { why, what } => turn.attempt_event(id, Event::CheckInRefused { why, what }),
        Observation::Noted { text } => note::noted(turn, id, &text),
        Observation::Diff { diff, tree } => diff_seen(turn, id, diff, tree),
        Observation::Plan { text } => plan::proposed(turn, id, &text),
        Observation::Astray { astray } => super::astray::seen(turn, id, astray),
        Observation::OffLimits { paths } => limits::touched(turn, id, paths),
        Observation::Used { seen } => limits::used(turn, id, seen),
        Observation::PlanLeft => plan::left(turn, id),
        Observation::ChangedWhilePlanning { paths } => plan::changed(turn, id, paths),
        Observation::Exited { host, ended } => host_ended(turn, id, &host, ended),
        Observation::Lost { host, why } => {
            if is_host(turn, id, &host) {
                lost(turn, id, why);
            }
        }
    }
}

/// The first prompt of an agent that takes it by typing. Said twice, it is queued once.
fn prompt_wanted(turn: &mut Turn<'_>, id: AttemptId, text: String) {
    let (Some(attempt), Some(task)) = (turn.current(id), turn.task(id.task)) else { return };
    let pending = |m: &Message| !matches!(m.delivery, Delivery::Delivered | Delivery::Withdrawn);
    let known = task.messages.iter().any(|m| m.attempt == id.no && m.text == text && pending(m));
    if known || matches!(attempt.phase, Phase::Live { began: true, .. } | Phase::Ended { .. }) {
        return;
    }
    let msg = turn.next_msg();
    turn.attempt_event(id, Event::MessageQueued { msg, from: From::Person, text, now: false });
}

/// The end of a host may be heard before the word that it had started.
fn host_ended(turn: &mut Turn<'_>, id: AttemptId, host: &HostId, ended: Ended) {
    let launching = match turn.board.attempt(id).map(|a| &a.phase) {
        Some(Phase::Launching { action, host: launching }) if launching == host => Some(*action),
        _ => None,
    };
    if let Some(action) = launching {
        confirm_resume(turn, id, action);
        exited(turn, id, ended);
    } else if is_host(turn, id, host) {
        exited(turn, id, ended);
    }
}

fn is_host(turn: &Turn<'_>, id: AttemptId, host: &HostId) -> bool {
    turn.board.attempt(id).and_then(Attempt::host).is_some_and(|facts| facts.id == *host)
}

fn state_seen(turn: &mut Turn<'_>, id: AttemptId, state: RunState, readable: bool, asks: Option<String>) {
    let Some(attempt) = turn.current(id) else { return };
    // The first state of an agent may be heard before the word that its host lives.
    if !matches!(attempt.phase, Phase::Live { .. } | Phase::Launching { .. }) {
        return;
    }
    // An agent takes back what it reported before it goes: that nobody speaks any more is no news.
    if attempt.stopping.is_some() && state.source == Some(Source::Process) {
        return;
    }
    let before = attempt.run.clone();
    let over = |s: &RunState| s.kind == RunKind::Idle && s.turn_over;
    let changed = (before.kind, before.ask, before.turn_over, &before.text, before.until)
        != (state.kind, state.ask, state.turn_over, &state.text, state.until);
    let (is_over, turn_ended) = (over(&state), over(&state) && !over(&before));
    let works = state.kind == RunKind::Working;
    let (asked, plans) = (attempt.asks.is_some(), attempt.plans());
    set_live(turn, id, readable, &state);
    if changed {
        turn.attempt_event(id, Event::StateChanged { state });
    }
    if works {
        began(turn, id, "the agent reports that it works".into());
        // One that works on while it asks has not been answered; a new turn has an answer for it.
        if asked && before.kind == RunKind::Idle {
            turn.attempt_event(id, Event::QuestionSettled {});
        }
        if before.kind == RunKind::Idle {
            messages::prompt_taken(turn, id, None);
            drop_unasked_checks(turn, id, "the agent works again");
        }
    }
    if turn_ended {
        began(turn, id, "the agent reports that its turn is over".into());
        if plans {
            return plan::turn_over(turn, id);
        }
        // What it offered answers to is asked better than in its last words.
        let offers = turn.current(id).is_some_and(|a| !a.choices.is_empty());
        if let Some(text) = asks.filter(|_| !offers) {
            turn.attempt_event(id, Event::QuestionAsked { text, options: Vec::new() });
        }
        turn.attempt_event(id, Event::WorkFinished { by: "the turn is over".into() });
    } else if let Some(text) = asks.filter(|_| is_over && !asked && !plans) {
        // What was said last may be heard of later than that the turn is over. Of a plan it is a part.
        drop_unasked_checks(turn, id, "it asks something");
        turn.attempt_event(id, Event::QuestionAsked { text, options: Vec::new() });
    }
}

/// Freshness is not an event.
fn set_live(turn: &mut Turn<'_>, id: AttemptId, readable: bool, state: &RunState) {
    let found = turn.board.tasks.get_mut(&id.task).and_then(|t| t.attempts.iter_mut().find(|a| a.no == id.no));
    if let Some(attempt) = found {
        attempt.readable = readable;
        attempt.run.at = state.at;
        attempt.run.source = state.source;
    }
}

pub(super) fn began(turn: &mut Turn<'_>, id: AttemptId, evidence: String) {
    if matches!(turn.current(id).map(|a| &a.phase), Some(Phase::Live { began: false, .. })) {
        turn.attempt_event(id, Event::TurnBegan { evidence });
    }
}

fn diff_seen(turn: &mut Turn<'_>, id: AttemptId, diff: DiffStat, tree: Option<Oid>) {
    let Some(attempt) = turn.board.attempt(id) else { return };
    if attempt.diff != Some(diff) || attempt.tree != tree {
        turn.attempt_event(id, Event::DiffObserved { diff, tree });
    }
}

fn exited(turn: &mut Turn<'_>, id: AttemptId, ended: Ended) {
    if ended.lost > 0 {
        note::noted(turn, id, &lost_text(ended.lost));
    }
    limits::used_at_end(turn, id, ended.cpu);
    let Some(attempt) = turn.board.attempt(id).filter(|a| a.is_active()) else { return };
    let Ended { exit, leftovers, output, tail, .. } = ended;
    if attempt.stopping.is_some() {
        turn.attempt_event(id, Event::AttemptStopped { exit: Some(exit), leftovers });
        return;
    }
    if exit == (Exit { code: None, signal: None }) {
        // A host that left no word was killed.
        return lost(turn, id, "its host was killed".into());
    }
    let began = matches!(attempt.phase, Phase::Live { began: true, .. });
    let changed = attempt.diff.is_some_and(|d| d.files > 0 || d.commits > 0 || d.dirty);
    // The end of its last turn is being dealt with already.
    let dealt_with = attempt.run.kind == RunKind::Idle
        && attempt.run.turn_over
        && (attempt.finished || attempt.checking.is_some() || turn.is_told(id));
    if exit.is_success() && !began && !output && !changed {
        let error = "it ended at once, without output or change".to_owned();
        turn.attempt_event(id, Event::AttemptFailed { stage: "start".into(), error, exit: Some(exit) });
        return;
    }
    let tail = if exit.is_success() { String::new() } else { tail };
    let plans = attempt.plans();
    turn.attempt_event(id, Event::AgentExited { exit, leftovers, tail });
    if plans && exit.is_success() {
        plan::turn_over(turn, id);
    } else if exit.is_success() && !dealt_with {
        turn.attempt_event(id, Event::WorkFinished { by: "the agent exited 0".into() });
    }
}

pub(super) fn lost(turn: &mut Turn<'_>, id: AttemptId, why: String) {
    let Some(attempt) = turn.board.attempt(id) else { return };
    let Some(host) = attempt.host().map(|h| h.id.clone()) else { return };
    let worktree = attempt.worktree.clone();
    let action = turn.next_action();
    turn.attempt_event(id, Event::HostLost { why, action });
    turn.order(action, id, Action::Sweep { host, worktree });
}

/// Asks for the end of an attempt. Safe to ask again.
pub(super) fn stop(turn: &mut Turn<'_>, id: AttemptId, why: StopWhy) {
    drop_checks(turn, id, "the attempt is stopped");
    let Some(attempt) = turn.board.attempt(id) else { return };
    match (&attempt.phase, attempt.stopping) {
        (Phase::Ended { .. }, _) | (_, Some(_)) => {}
        (Phase::Live { .. }, None) => stop_host(turn, id, why),
        (Phase::Preparing { .. } | Phase::Launching { .. }, None) => {
            turn.attempt_event(id, Event::StopAsked { why, action: None });
        }
    }
}

fn stop_host(turn: &mut Turn<'_>, id: AttemptId, why: StopWhy) {
    let Some(host) = turn.board.attempt(id).and_then(Attempt::host).map(|h| h.id.clone()) else { return };
    let action = turn.next_action();
    turn.attempt_event(id, Event::StopAsked { why, action: Some(action) });
    turn.order(action, id, Action::Stop { host, why });
}

pub(super) fn drop_checks(turn: &mut Turn<'_>, id: AttemptId, why: &str) {
    let Some(run) = turn.board.attempt(id).and_then(|a| a.checking.as_ref()).map(|c| c.run) else { return };
    turn.attempt_event(id, Event::ChecksDropped { run, why: why.to_owned() });
}

/// Ends checks that a rule started; what a person asked for is carried through.
pub(super) fn drop_unasked_checks(turn: &mut Turn<'_>, id: AttemptId, why: &str) {
    if turn.board.attempt(id).and_then(|a| a.checking.as_ref()).is_some_and(|c| !c.asked && c.on.is_none()) {
        drop_checks(turn, id, why);
    }
}

fn judged(turn: &mut Turn<'_>, id: AttemptId, verdict: Verdict, feedback: String) {
    let Some(attempt) = turn.board.attempt(id) else { return };
    let Some(checking) = attempt.checking.clone() else { return };
    let (outcome, on) = (verdict.outcome, checking.on);
    turn.attempt_event(id, Event::VerdictReached { run: checking.run, verdict, on });
    claim::judge_again(turn, id, on);
    let Some(attempt) = turn.current(id).filter(|_| on.is_none()) else { return };
    if turn.task(id.task).is_some_and(Task::is_taken_over) {
        // It is read after the handback, where nothing has changed by then.
        if outcome == VerdictOutcome::Red && !checking.asked {
            tell(turn, id, feedback);
        }
        return;
    }
    let own = attempt.mode == Mode::Own;
    let at_rest = !attempt.is_active() || (attempt.run.kind == RunKind::Idle && attempt.run.turn_over);
    let counts = (!checking.asked || at_rest) && attempt.asks.is_none() && !ended_badly(attempt) && !turn.is_told(id);
    let building =
        turn.task(id.task).is_some_and(|t| matches!(t.column, Column::Build | Column::Design) && !t.is_planning());
    if !counts || !building {
        return;
    }
    match outcome {
        // Its work ends with the person whose work it is; nobody else carries it on.
        VerdictOutcome::Green | VerdictOutcome::None | VerdictOutcome::Red if own => {
            let reason = match outcome {
                VerdictOutcome::Green => "its turn is over and checks are green",
                VerdictOutcome::Red => "its turn is over and checks are red",
                _ => "its turn is over",
            };
            takeover::take(turn, id, By::Rule, reason.to_owned());
        }
        VerdictOutcome::Green => to_review(turn, id.task, "checks are green"),
        VerdictOutcome::None => to_review(turn, id.task, "no checks are configured"),
        VerdictOutcome::Red => tell(turn, id, feedback),
        VerdictOutcome::Stale if at_rest && attempt.stales < attention::MAX_STALES => {
            turn.attempt_event(id, Event::WorkFinished { by: "the tree moved under the checks".into() });
        }
        VerdictOutcome::Stale | VerdictOutcome::Error => {}
    }
}

fn ended_badly(attempt: &Attempt) -> bool {
    match attempt.end() {
        Some(End::Exited { exit }) => !exit.is_success(),
        Some(End::Failed { .. } | End::Lost { .. }) => true,
        Some(End::Stopped { .. }) | None => false,
    }
}

fn to_review(turn: &mut Turn<'_>, task: TaskId, reason: &str) {
    let Some(from) = turn.task(task).map(|t| t.column) else { return };
    let moved = Event::TaskMoved { from, to: Column::Review, by: By::Rule, reason: reason.to_owned() };
    turn.task_event(task, moved);
}

/// The failures go back to the agent, unless it was told often enough, or cannot be told.
fn tell(turn: &mut Turn<'_>, id: AttemptId, feedback: String) {
    let Some(limits) = limits::of(turn, id.task) else { return };
    let Some(attempt) = turn.current(id) else { return };
    let reached = turn.reads(attempt) && (attempt.is_active() || turn.resumes(attempt));
    if limits::is_told_enough(attempt, limits) || feedback.is_empty() || !reached {
        return;
    }
    let msg = turn.next_msg();
    turn.attempt_event(id, Event::MessageQueued { msg, from: From::Checks, text: feedback, now: false });
}

/// Starts checks of finished work, and ends agents that rested long enough.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| check_finished(turn, id) || rest(turn, id))
}

fn check_finished(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some(task) = turn.task(id) else { return false };
    let Some(attempt) = task.attempt() else { return false };
    // In Review a verdict is reached again only where the bytes have changed.
    let place = match task.column {
        Column::Build | Column::Design => !task.is_planning(),
        Column::Review => attempt.is_stale(),
        Column::Backlog | Column::Done | Column::Canceled | Column::Takeover => false,
    };
    if !place || task.wanted.is_some() {
        return false;
    }
    let up = matches!(attempt.phase, Phase::Live { .. } | Phase::Ended { .. });
    let asks = attempt.asks.is_some() || attempt.run.kind == RunKind::Waiting;
    let of = AttemptId { task: id, no: attempt.no };
    if !attempt.finished || !up || attempt.is_being_judged() || attempt.stopping.is_some() || asks || turn.is_told(of) {
        return false;
    }
    if ended_badly(attempt) || admission::untrusted_checks(turn) {
        return false;
    }
    drop_checks(turn, of, "its work is finished, and is checked as it is now");
    start_checks(turn, of, false, None);
    true
}

/// Orders the checks of an attempt.
pub(super) fn start_checks(turn: &mut Turn<'_>, id: AttemptId, asked: bool, on: Option<VerifyOn>) {
    let Some(own) = turn.task(id.task).map(|t| t.spec.checks.clone()) else { return };
    let Some(attempt) = turn.board.attempt(id) else { return };
    let (worktree, ports) = (attempt.worktree.clone(), attempt.ports.clone());
    let (run, action) = (turn.next_run(), turn.next_action());
    turn.attempt_event(id, Event::ChecksStarted { run, action, asked, on });
    turn.order(action, id, Action::Check { run, worktree, own, ports });
}

fn rest(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let Some((attempt_id, attempt)) = turn.newest(id) else { return false };
    let in_review = turn.task(id).is_some_and(|t| t.column == Column::Review);
    let idle = attempt.host().is_some() && attempt.stopping.is_none() && attempt.run.kind == RunKind::Idle;
    let (Some(rested), Some(limit)) = (attempt.rested, turn.settings().map(|s| s.wip.idle)) else { return false };
    if !in_review || !idle || !turn.is_due(rested + limit) {
        return false;
    }
    stop_host(turn, attempt_id, StopWhy::Idle);
    true
}
