//! Kill criteria: the first limit that an attempt crosses acts, and is recorded as the reason.
//!
//! **Invariant:** each limit trips once an attempt; once one has taken the work from an agent or
//! ended it, no other acts. Must not know: how anything is measured.

use crate::model::attempt::{Attempt, Phase, StopWhy};
use crate::model::board::Task;
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptId, TaskId};
use crate::model::input::Surroundings;
use crate::model::rhythm::{LimitName, Tripped};
use crate::model::settings::{LimitAction, Limits};
use crate::model::task::Column;
use crate::model::time::Span;
use crate::model::usage::{Seen, Told};

use super::admission::agent_for;
use super::turn::Turn;
use super::{lifecycle, takeover};

/// How many paths a reason names; the event has them all.
const NAMED: usize = 3;

/// The limits of a task: the configured ones, with what its brief says in their place.
pub(super) fn of(turn: &Turn<'_>, id: TaskId) -> Option<Limits> {
    Some(turn.settings()?.limits.with(&turn.task(id)?.spec.limits))
}

/// Trips what was crossed.
pub(super) fn rules(turn: &mut Turn<'_>) -> bool {
    turn.begun_ids().into_iter().any(|id| trip(turn, id))
}

/// What was seen of the files that no agent may touch.
pub(super) fn touched(turn: &mut Turn<'_>, id: AttemptId, paths: Vec<String>) {
    if turn.board.attempt(id).is_some_and(|a| a.touched != paths) {
        turn.attempt_event(id, Event::OffLimitsTouched { paths });
    }
}

/// It was seen what an attempt has used.
pub(super) fn used(turn: &mut Turn<'_>, id: AttemptId, seen: Seen) {
    if turn.board.attempt(id).is_some_and(|a| a.usage.is_news(&seen)) {
        turn.attempt_event(id, Event::UsageObserved { seen });
    }
}

/// Its agent ended, and this is what its host saw it use.
pub(super) fn used_at_end(turn: &mut Turn<'_>, id: AttemptId, cpu: Option<Span>) {
    let host = turn.board.attempt(id).and_then(|attempt| match &attempt.phase {
        Phase::Launching { host, .. } => Some(host.clone()),
        Phase::Live { facts, .. } => Some(facts.id.clone()),
        Phase::Preparing { .. } | Phase::Ended { .. } => None,
    });
    if let Some(host) = host.filter(|_| cpu.is_some()) {
        used(turn, id, Seen { host, cpu, log: None });
    }
}

/// Limits of a task that cannot be measured while its agent works, because it does not say in its
/// logs what it uses, or not in time.
#[must_use]
pub fn unmeasured(around: &Surroundings, task: &Task) -> Vec<(LimitName, Told)> {
    let limits = around.settings.limits.with(&task.spec.limits);
    let agent = task.attempt().map(|attempt| attempt.agent.clone()).or_else(|| agent_for(around, task).ok());
    let facts = agent.and_then(|agent| around.agents.get(&agent));
    let told = facts.map(|facts| (facts.tokens_told, facts.cost_told));
    told.map_or_else(Vec::new, |(tokens, cost)| untold(limits, tokens, cost))
}

/// Of the limits that are set, those whose measure is never told, or late.
#[must_use]
pub fn untold(limits: Limits, tokens: Told, cost: Told) -> Vec<(LimitName, Told)> {
    let set =
        [(LimitName::Tokens, limits.tokens.is_some(), tokens), (LimitName::CostUsd, limits.cost_usd.is_some(), cost)];
    let untold = set.into_iter().filter(|(_, is_set, told)| *is_set && *told != Told::Always);
    untold.map(|(limit, _, told)| (limit, told)).collect()
}

fn trip(turn: &mut Turn<'_>, id: TaskId) -> bool {
    let (Some(limits), Some((of, attempt))) = (of(turn, id), turn.newest(id)) else { return false };
    let at_work = turn.task(id).is_some_and(|t| matches!(t.column, Column::Build | Column::Design));
    if !at_work
        || attempt.stopping.is_some()
        || matches!(attempt.phase, Phase::Preparing { .. } | Phase::Launching { .. })
    {
        return false;
    }
    if attempt.tripped.iter().any(ends_it) {
        return false;
    }
    let asked = attempt.tripped.iter().any(|t| !t.settled && t.action == LimitAction::Ask);
    let Some((limit, why)) = crossed(turn, of, limits) else { return false };
    let action = match limit {
        LimitName::OffLimits => limits.off_limits,
        LimitName::PlanOnly => LimitAction::Ask,
        _ => limits.action,
    };
    // One question at a time: the first is the reason.
    if asked && action == LimitAction::Ask {
        return false;
    }
    turn.attempt_event(of, Event::LimitTripped { limit, action, why: why.clone() });
    match action {
        LimitAction::Ask | LimitAction::Warn => {}
        LimitAction::Takeover => takeover::take(turn, of, By::Rule, why),
        LimitAction::Stop => lifecycle::stop(turn, of, StopWhy::Limit),
    }
    true
}

/// Whether a limit has ended an agent's work on its own.
fn ends_it(tripped: &Tripped) -> bool {
    matches!(tripped.action, LimitAction::Takeover | LimitAction::Stop) && !tripped.settled
}

/// The first limit that is crossed and has not tripped yet, and why.
fn crossed(turn: &mut Turn<'_>, id: AttemptId, limits: Limits) -> Option<(LimitName, String)> {
    let attempt = turn.board.attempt(id)?;
    let fresh = |limit: LimitName| !attempt.tripped.iter().any(|t| t.limit == limit);
    let active = attempt.is_active();
    let measured = [
        (LimitName::OffLimits, off_limits(attempt)),
        (LimitName::PlanOnly, strayed(attempt)),
        (LimitName::LateCheckIns, late(attempt, limits).filter(|_| active)),
        (LimitName::SameFailure, same_failure(attempt, limits)),
        (LimitName::RedVerdicts, red(attempt, limits)),
        (LimitName::ChangedFiles, files(attempt, limits)),
        (LimitName::ChangedLines, lines(attempt, limits)),
        (LimitName::Tokens, tokens(attempt, limits)),
        (LimitName::CostUsd, cost(attempt, limits)),
    ];
    let found = measured.into_iter().find_map(|(limit, why)| Some((limit, why?)).filter(|_| fresh(limit)));
    if found.is_some() || !fresh(LimitName::WallClock) {
        return found;
    }
    let at = attempt.rhythm.whole.reaches(limits.wall_clock, turn.now)?;
    let why = || format!("it has been at work for {}, which is the limit", limits.wall_clock);
    turn.is_due(at).then(|| (LimitName::WallClock, why()))
}

fn off_limits(attempt: &Attempt) -> Option<String> {
    if attempt.touched.is_empty() {
        return None;
    }
    Some(format!("it touches what is off-limits: {}", named(&attempt.touched)))
}

fn strayed(attempt: &Attempt) -> Option<String> {
    let paths = attempt.strayed.as_ref().filter(|_| attempt.plans())?;
    let which = if paths.is_empty() { String::new() } else { format!(": {}", named(paths)) };
    Some(format!("it changed files while it was to plan only{which}"))
}

/// The first of some paths, and how many more there are.
fn named(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let named = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{named}{more}")
}

fn late(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (missed, limit) = (attempt.rhythm.missed, limits.late_check_ins);
    (missed >= limit).then(|| format!("it has missed {missed} check-ins; the limit is {limit}"))
}

/// Whether an attempt has missed as many check-ins as it may and nothing was heard of it since,
/// neither from its agent nor from the person who was told.
pub(super) fn is_late_enough(attempt: &Attempt) -> bool {
    let told = |t: &Tripped| t.limit == LimitName::LateCheckIns && !t.settled;
    attempt.rhythm.late.is_some() && attempt.tripped.iter().any(told)
}

fn same_failure(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (what, times) = &attempt.failing;
    if *times < limits.same_failure {
        return None;
    }
    let named = what.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    Some(format!("the same fails {times} times in a row: {named}"))
}

/// Whether an agent has heard of its failures often enough: too many red verdicts, or just the
/// same failure again and again, where that is to end in more than a warning.
pub(super) fn is_told_enough(attempt: &Attempt, limits: Limits) -> bool {
    let acts = limits.action != LimitAction::Warn;
    red(attempt, limits).is_some() || (acts && same_failure(attempt, limits).is_some())
}

/// A verdict more than it is told of: whoever is told often enough is not told again.
fn red(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (reds, limit) = (attempt.reds, limits.red_verdicts);
    (reds > limit).then(|| format!("checks are red {reds} times in a row; the limit is {limit}"))
}

fn files(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (files, limit) = (attempt.diff?.files, limits.changed_files);
    (files > limit).then(|| format!("it changes {files} files; the limit is {limit}"))
}

fn lines(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (diff, limit) = (attempt.diff?, limits.changed_lines);
    let lines = diff.insertions.saturating_add(diff.deletions);
    (lines > limit).then(|| format!("it changes {lines} lines; the limit is {limit}"))
}

fn tokens(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (used, limit) = (attempt.usage.totals().counted?.tokens, limits.tokens?);
    (used > limit).then(|| format!("it has used {used} tokens; the limit is {limit}"))
}

fn cost(attempt: &Attempt, limits: Limits) -> Option<String> {
    let (cost, limit) = (attempt.usage.totals().counted?.cost_usd()?, limits.cost_usd?);
    (cost > limit).then(|| format!("it has cost {cost:.2} USD; the limit is {limit:.2}"))
}

/// Why a person should decide how an attempt goes on that a limit has ended or handed over.
pub(super) fn ended(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    need(task, attempt, ends_it)
}

/// Why a person should look at an attempt that has crossed a limit and goes on.
pub(super) fn asks(task: &Task, attempt: &Attempt) -> Option<(NeedKind, String)> {
    // What is red often is asked about once the agent rests, with what the checks say.
    let asks = |t: &Tripped| !t.settled && t.action == LimitAction::Ask && t.limit != LimitName::RedVerdicts;
    need(task, attempt, asks)
}

fn need(task: &Task, attempt: &Attempt, which: impl Fn(&Tripped) -> bool) -> Option<(NeedKind, String)> {
    if !matches!(task.column, Column::Build | Column::Design | Column::Takeover) {
        return None;
    }
    let tripped = attempt.tripped.iter().find(|t| which(t))?;
    let bounds = matches!(tripped.limit, LimitName::OffLimits | LimitName::PlanOnly);
    let kind = if bounds { NeedKind::OffLimits } else { NeedKind::Limit };
    let done = match tripped.action {
        LimitAction::Stop => "; it was stopped",
        LimitAction::Takeover => "; it is in your hands",
        LimitAction::Ask | LimitAction::Warn => "",
    };
    Some((kind, format!("{}{done}", tripped.why)))
}
