//! The board as documents.

use std::path::PathBuf;

use crate::model::attempt::{Attempt, DiffStat, End, Phase};
use crate::model::board::{Board, Task};
use crate::model::checkin::Sent;
use crate::model::dialog::{Choice, Says, Way};
use crate::model::event::Event;
use crate::model::id::TaskId;
use crate::model::lease::Changes;
use crate::model::message::Delivery;
use crate::model::name::AgentName;
use crate::model::rhythm::{Facts, LimitName, NudgeWay, Tripped};
use crate::model::settings::Limit;
use crate::model::state::RunKind;
use crate::model::task::{Column, Mode};
use crate::model::time::{Now, Wall};
use crate::model::verdict::VerdictOutcome;
use crate::policy::{interval, required, unmet};
use crate::wire::control::{Logged, Supervisor};

use super::{doc, usage};

/// What surrounds a board that is shown.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The main checkout.
    pub repo: PathBuf,
    /// The branch attempts start from.
    pub base: Option<String>,
    /// Who supervises, if anybody.
    pub supervisor: Option<Supervisor>,
    /// What must be said above everything else.
    pub banners: Vec<String>,
    /// Now.
    pub now: Now,
}

/// The whole board.
#[must_use]
pub fn status(board: &Board, scene: &Scene) -> doc::Status {
    let wip = board.surroundings.as_ref().map(|s| s.settings.wip);
    let limit = |of: Option<Limit>| of.and_then(Limit::max);
    doc::Status {
        repo: scene.repo.clone(),
        base: scene.base.clone(),
        supervisor: doc::Supervisor {
            running: scene.supervisor.is_some(),
            pid: scene.supervisor.as_ref().map(|s| s.process.pid),
            since: scene.supervisor.as_ref().map(|s| s.since.wall),
        },
        dispatch: board.dispatch,
        banners: scene.banners.clone(),
        wip: doc::Wip {
            build: doc::Used { used: board.build_used(), limit: limit(wip.map(|w| w.build)) },
            review: doc::Used { used: board.review_used(), limit: limit(wip.map(|w| w.review)) },
            machine: doc::Used { used: board.machine.used, limit: limit(wip.map(|w| w.machine)) },
        },
        tasks: board.tasks.values().map(|t| task(board, t, scene)).collect(),
        holds: board
            .holds
            .iter()
            .map(|h| doc::Hold { task: h.task, because: h.because, text: h.text.clone() })
            .collect(),
    }
}

/// One task.
#[must_use]
pub fn task(board: &Board, task: &Task, scene: &Scene) -> doc::Task {
    let newest = task.attempt();
    doc::Task {
        id: task.id,
        number: task.id.number(),
        slug: task.spec.slug.to_string(),
        title: task.spec.title.clone(),
        column: task.column,
        state: state(newest, scene),
        flags: flags(task),
        agent: agent(board, task),
        mode: task.spec.mode,
        weight: board.weights().of(task.mode()),
        priority: task.spec.priority,
        needs: task.spec.needs.clone(),
        attempt: newest.map(|a| attempt(a, scene)),
        checkin: newest.map(|a| check_in(board, task, a, scene)),
        verdict: newest.and_then(verdict),
        diff: newest.and_then(|a| a.diff).map(|stat| doc::Diff { stat }),
        usage: usage::used(task),
        unmeasured: usage::unmeasured(board, task),
        needs_you: task.needs_you.as_ref().map(|n| doc::NeedsYou {
            since: n.since,
            kind: n.kind,
            question: n.question.clone(),
            options: n.options.iter().map(option).collect(),
        }),
        takeover: task.lease.as_ref().map(|lease| doc::Takeover {
            by: lease.by,
            since: lease.since,
            reason: lease.reason.clone(),
            from: lease.from,
        }),
        paused: task.paused.as_ref().map(|p| doc::Paused { since: p.since, reason: p.reason.clone() }),
    }
}

fn option(choice: &Choice) -> doc::Choice {
    let answer = match (choice.says, choice.number) {
        (Some(Says::Yes), _) => "yes".to_owned(),
        (Some(Says::No), _) => "no".to_owned(),
        (None, Some(n)) => n.to_string(),
        (None, None) => choice.text.clone(),
    };
    doc::Choice { answer, text: choice.text.clone() }
}

/// Who works on a task, or was asked to; else the agent that would be taken, where there is but one.
fn agent(board: &Board, task: &Task) -> Option<AgentName> {
    let settings = board.surroundings.as_ref().map(|s| &s.settings);
    task.attempt()
        .map(|a| a.agent.clone())
        .or_else(|| task.spec.agent.clone())
        .or_else(|| settings.and_then(|s| s.agent.clone()))
        .or_else(|| settings.filter(|s| s.agents.len() == 1).and_then(|s| s.agents.keys().next().cloned()))
}

fn state(attempt: Option<&Attempt>, scene: &Scene) -> doc::State {
    let Some(attempt) = attempt else { return doc::State { kind: RunKind::None, source: None, age_s: 0 } };
    let checks_show = attempt.checking.is_some() && matches!(attempt.run.kind, RunKind::Idle | RunKind::Exited);
    let kind = if checks_show {
        RunKind::Checking
    } else if scene.supervisor.is_none() && attempt.is_active() {
        // Nobody has looked since the supervisor went.
        RunKind::Unknown
    } else {
        attempt.run.kind
    };
    let source = attempt.run.source.filter(|_| kind == attempt.run.kind);
    doc::State { kind, source, age_s: scene.now.wall.since(attempt.run.at.wall).as_secs() }
}

fn flags(task: &Task) -> Vec<&'static str> {
    let mut flags = Vec::new();
    let Some(attempt) = task.attempt() else { return flags };
    let outcome = attempt.judged.as_ref().map(|j| j.verdict.outcome);
    let mut flag = |on: bool, name| {
        if on {
            flags.push(name);
        }
    };
    flag(task.needs_you.is_some(), "needs-you");
    let at_work = matches!(task.column, Column::Build | Column::Design);
    flag(at_work && attempt.is_active() && attempt.rhythm.late.is_some(), "late");
    flag(!attempt.touched.is_empty(), "off-limits");
    let over = |t: &Tripped| !matches!(t.limit, LimitName::OffLimits | LimitName::LateCheckIns);
    flag(attempt.tripped.iter().any(over), "over-budget");
    flag(outcome == Some(VerdictOutcome::Red), "red");
    flag(outcome == Some(VerdictOutcome::None) || (outcome.is_none() && is_past_build(task)), "unverified");
    flag(attempt.diff.is_some_and(|d| d.behind > 0), "stale-base");
    flags
}

fn is_past_build(task: &Task) -> bool {
    matches!(task.column, Column::Review | Column::Done)
}

fn attempt(attempt: &Attempt, scene: &Scene) -> doc::Attempt {
    let host = attempt.host().filter(|_| scene.now.boot == live_boot(attempt).unwrap_or(scene.now.boot));
    doc::Attempt {
        number: attempt.no.get(),
        branch: attempt.branch.clone(),
        worktree: attempt.worktree.clone(),
        base_oid: attempt.base_oid.clone(),
        host_pid: host.map(|h| h.host.pid),
        agent_pid: host.map(|h| h.agent.pid),
        agent_session: attempt.session.clone(),
        started_at: attempt.started_at,
        exit: match attempt.end() {
            Some(End::Exited { exit }) => Some(*exit),
            Some(End::Stopped { exit, .. }) => *exit,
            _ => None,
        },
        approval: attempt.approval.as_ref().map(|approval| doc::Approval {
            at: approval.at,
            tree: approval.tree.clone(),
            stale: attempt.approved().is_none(),
        }),
    }
}

fn live_boot(attempt: &Attempt) -> Option<crate::model::time::Boot> {
    match &attempt.phase {
        Phase::Live { since, .. } => Some(since.boot),
        _ => None,
    }
}

fn check_in(board: &Board, task: &Task, attempt: &Attempt, scene: &Scene) -> doc::CheckIn {
    let last_at = task.check_ins.iter().rev().find(|c| c.attempt == attempt.no).map(|c| c.at);
    let rhythm = &attempt.rhythm;
    let every = board.surroundings.as_ref().map(|s| interval(&s.settings, &task.spec, attempt.mode));
    let runs = rhythm.clock.since.is_some_and(|since| since.boot == scene.now.boot);
    let due_at = every.filter(|_| runs).map(|every| {
        let left = every.0.saturating_sub(rhythm.clock.read(scene.now).0);
        let over = rhythm.clock.read(scene.now).0.saturating_sub(every.0);
        let ms = |span: u64| i64::try_from(span).unwrap_or(i64::MAX);
        Wall(scene.now.wall.0.saturating_add(ms(left)).saturating_sub(ms(over)))
    });
    doc::CheckIn { last_at, due_at, late: rhythm.late.is_some(), nudges: rhythm.nudges }
}

fn verdict(attempt: &Attempt) -> Option<doc::Verdict> {
    let judged = attempt.judged.as_ref()?;
    let checks = judged
        .verdict
        .checks
        .iter()
        .map(|c| doc::Check {
            name: c.name.clone(),
            outcome: c.outcome,
            exit_code: c.exit_code,
            duration_s: seconds(c.duration_ms),
            tests: c.tests,
            new_failures: c.failures.iter().map(|f| f.test.clone()).collect(),
            why: c.why.clone(),
        })
        .collect();
    let outcome = if attempt.is_stale() { VerdictOutcome::Stale } else { judged.verdict.outcome };
    Some(doc::Verdict { outcome, tree: judged.verdict.tree.clone(), checks })
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

/// One task with all that is known of it.
#[must_use]
pub fn show(board: &Board, id: TaskId, scene: &Scene, brief: String, log: &[Logged]) -> Option<doc::Show> {
    let found = board.tasks.get(&id)?;
    let last = found.check_ins.last().map(|c| c.check_in.met.clone()).unwrap_or_default();
    let criteria = found.spec.criteria.iter().map(|c| doc::Criterion {
        n: c.n,
        text: c.text.clone(),
        met_claimed: last.contains(&c.n),
        shown_by: None,
    });
    let facts = found.attempt().and_then(|a| board.surroundings.as_ref()?.agents.get(&a.agent));
    let mode = found.attempt().map_or(found.spec.mode, |a| a.mode);
    let requires = board.surroundings.as_ref().map_or_else(Vec::new, |s| required(&s.settings, mode));
    let unmet = requires.iter().filter_map(|r| Some(doc::Unmet { requirement: *r, because: unmet(found, *r)? }));
    Some(doc::Show {
        task: task(board, found, scene),
        brief,
        criteria: criteria.collect(),
        checkins: found.check_ins.iter().map(shown_check_in).collect(),
        messages: found.messages.iter().map(message).collect(),
        attempts: found.attempts.iter().map(past).collect(),
        timeline: log.iter().map(moment).collect(),
        violations: found.attempt().map(|a| a.touched.clone()).unwrap_or_default(),
        plan: found.attempt().and_then(|a| a.plan.as_ref()).map(|plan| doc::Plan {
            text: plan.text.clone(),
            at: plan.at,
            open: plan.is_open,
            approved_at: plan.approved_at,
        }),
        unmet: unmet.collect(),
        requires,
        plan_unenforced: facts.filter(|_| mode == Mode::Checkpoint).and_then(|facts| facts.plan_unenforced.clone()),
        unconfined: facts.and_then(|facts| facts.unconfined.clone()),
    })
}

fn shown_check_in(received: &crate::model::board::ReceivedCheckIn) -> doc::ShownCheckIn {
    let c = &received.check_in;
    doc::ShownCheckIn {
        at: received.at,
        via: received.via,
        state: c.state,
        did: c.did.clone(),
        next: c.next.clone(),
        blockers: c.blockers.clone(),
        question: c.question.clone(),
        options: c.options.clone(),
        met: c.met.clone(),
        facts: received.beside.facts.as_ref().map(facts).unwrap_or_default(),
        contradictions: received.beside.contradictions.clone(),
        hollow: received.beside.hollow,
    }
}

/// What was observed beside a check-in, by the names of the documents.
fn facts(facts: &Facts) -> serde_json::Map<String, serde_json::Value> {
    let counted = |n: fn(&DiffStat) -> u64| {
        let (now, before) = (facts.diff.as_ref().map(n), facts.before.as_ref().map_or(0, n));
        serde_json::json!({"now": now, "before": before})
    };
    let checks = facts.checks.as_ref().map(|c| {
        serde_json::json!({
            "outcome": c.outcome, "failed": c.failed, "of_these_files": c.current, "since_then": c.new,
        })
    });
    let all = serde_json::json!({
        "since": facts.since,
        "changed": facts.changed,
        "files": counted(|d| d.files),
        "insertions": counted(|d| d.insertions),
        "deletions": counted(|d| d.deletions),
        "commits": counted(|d| d.commits),
        "uncommitted": facts.diff.map(|d| d.dirty),
        "checks": checks,
        "violations": facts.touched,
    });
    match all {
        serde_json::Value::Object(mut all) => {
            all.extend(usage::facts(facts).map(|(name, value)| (name.to_owned(), value)));
            all
        }
        _ => serde_json::Map::new(),
    }
}

fn message(m: &crate::model::message::Message) -> doc::Message {
    let (delivery, held) = match &m.delivery {
        Delivery::Queued { held, .. } => ("queued", (!held.is_empty()).then(|| held.clone())),
        Delivery::Typing { .. } => ("typing", None),
        Delivery::Typed { .. } => ("typed", None),
        Delivery::Delivered => ("delivered", None),
        Delivery::Unknown => ("delivery unknown", None),
        Delivery::Withdrawn => ("withdrawn", None),
    };
    doc::Message { at: m.at, from: m.from, text: m.text.clone(), delivery, held }
}

fn past(a: &Attempt) -> doc::PastAttempt {
    let end = match &a.phase {
        Phase::Preparing { .. } => "its worktree is being made".to_owned(),
        Phase::Launching { .. } => "its agent is being started".to_owned(),
        Phase::Live { .. } => "alive".to_owned(),
        Phase::Ended { end, .. } => end_text(end),
    };
    doc::PastAttempt { number: a.no.get(), agent: a.agent.clone(), branch: a.branch.clone(), end }
}

/// How an attempt ended, for people.
#[must_use]
pub fn end_text(end: &End) -> String {
    match end {
        End::Failed { stage, error } => format!("{stage} failed: {error}"),
        End::Exited { exit } => format!("the agent ended with {exit}"),
        End::Stopped { .. } => "stopped".into(),
        End::Lost { why } => format!("lost: {why}"),
    }
}

fn moment(logged: &Logged) -> doc::Moment {
    let event = &logged.record.event;
    doc::Moment { at: logged.at.wall, event: event.name().to_owned(), text: sentence(event) }
}

/// An event as a sentence without its subject.
#[must_use]
pub fn sentence(event: &Event) -> String {
    match event {
        Event::TaskAdded { spec } => format!("added: {}", spec.title),
        Event::TaskEdited { .. } => "edited".into(),
        Event::TaskMoved { from, to, reason, .. } if reason.is_empty() => format!("{from} → {to}"),
        Event::TaskMoved { from, to, reason, .. } => format!("{from} → {to}: {reason}"),
        Event::DispatchSet { on } => if *on { "dispatching" } else { "no longer dispatching" }.into(),
        Event::AttemptPlanned { agent, branch, .. } => format!("attempt by {agent} on {branch}"),
        Event::WorktreeReady { base_oid, base, .. } => format!("worktree ready at {base} ({})", base_oid.short()),
        Event::LaunchPlanned { resume, .. } => if *resume { "resuming the agent" } else { "starting the agent" }.into(),
        Event::HostStarted { facts } => format!("agent runs (pid {})", facts.agent.pid),
        Event::TurnBegan { evidence } => format!("a turn began: {evidence}"),
        Event::AttemptFailed { stage, error } => format!("{stage} failed: {}", first_line(error)),
        Event::SessionLearned { session } => format!("the agent's session is {session}"),
        Event::StateChanged { state } => state_sentence(state),
        Event::WorkFinished { by } => format!("finished: {by}"),
        Event::QuestionAsked { text, .. } => format!("asks: {text}"),
        Event::QuestionSettled {} => "the question is settled".into(),
        Event::CheckInReceived { check_in, .. } => format!("checked in: {}", check_in.did),
        Event::CheckInRefused { why, what: Sent::Report } => format!("a check-in was refused: {why}"),
        Event::CheckInRefused { why, what: Sent::Hook } => format!("a hook was not heard: {why}"),
        Event::CheckInRefused { why, what: Sent::Request } => format!("a request was refused: {why}"),
        Event::ChecksStarted { .. } => "checks started".into(),
        Event::VerdictReached { verdict, .. } => verdict_sentence(verdict),
        Event::ChecksDropped { why, .. } => format!("checks dropped: {why}"),
        Event::MessageQueued { text, .. } => format!("message: {}", first_line(text)),
        Event::MessageTyping { .. } => "typing the message".into(),
        Event::MessageHeld { why, .. } => format!("the message waits: {why}"),
        Event::MessageTyped { .. } => "the message is written".into(),
        Event::MessageDelivered { evidence, .. } => format!("the message arrived: {evidence}"),
        Event::MessageUnconfirmed { .. } => "delivery unknown".into(),
        Event::MessageWithdrawn { why, .. } => format!("the message was withdrawn: {why}"),
        Event::StopAsked { .. } => "stopping".into(),
        Event::AttemptStopped { leftovers, .. } => with_leftovers("stopped", *leftovers),
        Event::StartAsked { .. } => "to be started".into(),
        Event::StartWithdrawn {} => "not to be started after all".into(),
        Event::StopFailed { error } => format!("could not be stopped: {error}"),
        Event::AgentExited { exit, leftovers, .. } => {
            with_leftovers(&format!("the agent ended with {exit}"), *leftovers)
        }
        Event::HostLost { why, .. } => format!("lost: {why}"),
        Event::NeedsYouRaised { question, refined: true, .. } => format!("asks: {}", first_line(question)),
        Event::NeedsYouRaised { question, .. } => format!("needs you: {}", first_line(question)),
        Event::NeedsYouCleared {} => "no longer needs you".into(),
        Event::DiffObserved { diff, .. } => diff_text(diff),
        Event::FactsSought { .. } => "looking at what it did".into(),
        Event::CheckInCompared { contradictions, hollow, .. } => compared_sentence(contradictions, *hollow),
        Event::NudgeIssued { way, .. } => format!("reminded of its check-in, {}", way_text(*way)),
        Event::NudgeGiven { .. } => "the end of its turn took the reminder".into(),
        Event::CheckInMissed { why } => format!("late: {why}"),
        Event::MachineSlept { span } => format!("the machine slept for {span}; nothing became due meanwhile"),
        Event::LimitTripped { limit, action, why } => format!("limit {} ({}): {why}", limit.key(), action.name()),
        Event::UsageObserved { seen } => usage::seen_text(seen),
        Event::OffLimitsTouched { paths } if paths.is_empty() => "touches nothing off-limits any more".into(),
        Event::OffLimitsTouched { paths } => format!("touches what is off-limits: {}", paths.join(", ")),
        Event::AnswerGiven { choice, way, .. } => match way {
            Way::Hook => format!("answered: {} (by its hook)", choice.text),
            Way::Key => format!("answered: {} (by a key)", choice.text),
        },
        Event::AnswerWritten { .. } => "the answer is handed over".into(),
        Event::AnswerTaken { .. } => "the answer arrived".into(),
        Event::AnswerWithheld { why, .. } => format!("the answer was not given: {why}"),
        Event::LimitReached { until } => format!("out of quota until {until}"),
        Event::LimitWaited { .. } => "the usage limit has ended".into(),
        Event::LimitEnded {} => "no longer held up by a usage limit".into(),
        Event::AgentLoggedOut { agent, tasks } => format!("{agent} is logged out in {} tasks", tasks.len()),
        Event::AgentLoggedIn { agent, .. } => format!("{agent} is logged in again"),
        Event::AnswerUnconfirmed { .. } => "it is not certain that the answer arrived".into(),
        _ => sentence_of_hands(event),
    }
}

fn compared_sentence(contradictions: &[String], hollow: bool) -> String {
    match (contradictions, hollow) {
        ([], false) => "the check-in was put beside the facts".into(),
        ([], true) => "the same words again and nothing new: the check-in does not count".into(),
        (said, _) => format!("the facts say otherwise: {}", said.join("; ")),
    }
}

/// How a reminder goes, for people.
#[must_use]
pub fn way_text(way: NudgeWay) -> &'static str {
    match way {
        NudgeWay::Hook => "at the end of its turn",
        NudgeWay::Message => "by a message",
        NudgeWay::Inbox => "in its inbox",
    }
}

/// What a person did with their own hands.
fn sentence_of_hands(event: &Event) -> String {
    match event {
        Event::TakenOver { reason, .. } if reason.is_empty() => "taken over".into(),
        Event::TakenOver { reason, .. } => format!("taken over: {reason}"),
        Event::WorktreeMarked { mark } => match &mark.head {
            Some(head) => format!("the worktree stood at {}", head.short()),
            None => "the worktree stood without a commit".into(),
        },
        Event::HandbackAsked { .. } => "to be handed back".into(),
        Event::HandedBack { changes, note } => {
            let changed = changes.as_ref().map_or("nobody knows what changed".into(), changes_text);
            if note.is_empty() { format!("handed back: {changed}") } else { format!("handed back: {changed}; {note}") }
        }
        Event::TaskPaused { reason } if reason.is_empty() => "paused".into(),
        Event::TaskPaused { reason } => format!("paused: {reason}"),
        Event::TaskResumed {} => "no longer paused".into(),
        Event::PlanProposed { text } if text.is_empty() => "ended its turn without a plan".into(),
        Event::PlanProposed { text } => format!("proposes a plan: {}", first_line(text)),
        Event::PlanApproved {} => "the plan was approved".into(),
        Event::PlanRejected { note } => format!("the plan was sent back: {}", first_line(note)),
        Event::WorkApproved { tree } => format!("approved at tree {}", tree.short()),
        Event::WorkRejected { note } => format!("rejected: {}", first_line(note)),
        other => other.name().replace('-', " "),
    }
}

/// What changed, on one line.
#[must_use]
pub fn changes_text(changes: &Changes) -> String {
    if changes.is_empty() {
        return "nothing changed".into();
    }
    let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let files = format!("{} +{} -{}", plural(changes.files, "file"), changes.insertions, changes.deletions);
    format!("{files}, {}", plural(changes.commits, "commit"))
}

/// The first line of a text, and a sign where there are more.
fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { format!("{first} …") } else { first }
}

fn with_leftovers(text: &str, leftovers: u32) -> String {
    match leftovers {
        0 => text.to_owned(),
        1 => format!("{text}; 1 process it left was ended"),
        n => format!("{text}; {n} processes it left were ended"),
    }
}

fn state_sentence(state: &crate::model::state::RunState) -> String {
    let name = run_name(state.kind);
    if state.text.is_empty() { name.to_owned() } else { format!("{name}: {}", state.text) }
}

fn verdict_sentence(verdict: &crate::model::verdict::Verdict) -> String {
    let outcome = outcome_name(verdict.outcome);
    let failed: Vec<&str> = verdict.checks.iter().filter(|c| !c.why.is_empty()).map(|c| c.name.as_str()).collect();
    if failed.is_empty() { format!("checks: {outcome}") } else { format!("checks: {outcome} ({})", failed.join(", ")) }
}

/// The name of a run state.
#[must_use]
pub fn run_name(kind: RunKind) -> &'static str {
    match kind {
        RunKind::None => "none",
        RunKind::Starting => "starting",
        RunKind::Working => "working",
        RunKind::Waiting => "waiting",
        RunKind::Idle => "idle",
        RunKind::Quiet => "quiet",
        RunKind::Limited => "limited",
        RunKind::Checking => "checking",
        RunKind::Stopped => "stopped",
        RunKind::Exited => "exited",
        RunKind::Lost => "lost",
        RunKind::Unknown => "unknown",
    }
}

/// The name of a verdict.
#[must_use]
pub fn outcome_name(outcome: VerdictOutcome) -> &'static str {
    match outcome {
        VerdictOutcome::Green => "green",
        VerdictOutcome::Red => "red",
        VerdictOutcome::Stale => "stale",
        VerdictOutcome::None => "none",
        VerdictOutcome::Error => "error",
    }
}

/// `3 files +12 −4, 2 commits, uncommitted changes`
#[must_use]
pub fn diff_text(diff: &DiffStat) -> String {
    if diff.files == 0 && diff.commits == 0 {
        return "no change".into();
    }
    let plural = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let mut text = format!("{} +{} −{}", plural(diff.files, "file"), diff.insertions, diff.deletions);
    if diff.commits > 0 {
        text.push_str(&format!(", {}", plural(diff.commits, "commit")));
    }
    if diff.dirty {
        text.push_str(", uncommitted changes");
    }
    text
}
