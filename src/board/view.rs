//! The board as documents.

use std::path::{Path, PathBuf};

use crate::model::astray::Astray;
use crate::model::attempt::{Attempt, DiffStat, End, Exit, Phase};
use crate::model::board::{Board, Hold, HoldKind, Task};
use crate::model::dialog::{Choice, Says};
use crate::model::id::TaskId;
use crate::model::message::Delivery;
use crate::model::name::AgentName;
use crate::model::rhythm::{Facts, LimitName, Tripped};
use crate::model::settings::Limit;
use crate::model::state::RunKind;
use crate::model::task::{Column, Mode};
use crate::model::time::{Now, Wall};
use crate::model::verdict::VerdictOutcome;
use crate::policy::{self, interval, required, unmet};
use crate::wire::control::{Logged, Supervisor};

use super::sentence::sentence;
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
    /// Who holds the slots of this machine, the most first; `None` where that was not looked at.
    pub holders: Option<Vec<doc::Holder>>,
    /// The person's home, for short paths.
    pub home: Option<PathBuf>,
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
            machine: doc::Used { used: machine_used(board, scene), limit: limit(wip.map(|w| w.machine)) },
            machine_holders: scene.holders.clone().unwrap_or_default(),
        },
        tasks: board.tasks.values().map(|t| task(board, t, scene)).collect(),
        holds: board
            .holds
            .iter()
            .map(|h| doc::Hold { task: h.task, because: h.because, text: hold_text(h, scene) })
            .collect(),
    }
}

/// Slots of the machine that are held: as they are now, where they were looked at. What the board
/// has is of the last start.
fn machine_used(board: &Board, scene: &Scene) -> u32 {
    let held = |holders: &Vec<doc::Holder>| holders.iter().map(|holder| holder.used).sum();
    scene.holders.as_ref().map_or(board.machine.used, held)
}

/// Why a task is held; who fills the machine is said, for it may be another repository.
fn hold_text(hold: &Hold, scene: &Scene) -> String {
    let holders = scene.holders.as_deref().unwrap_or_default();
    if hold.because != HoldKind::Machine || holders.is_empty() {
        return hold.text.clone();
    }
    let holders: Vec<String> = holders.iter().map(|holder| holder_text(holder, scene.home.as_deref())).collect();
    format!("{}: {}", hold.text, holders.join(", "))
}

/// `4 in ~/src/app (T1 T4 T7 T9)`
fn holder_text(holder: &doc::Holder, home: Option<&Path>) -> String {
    let path = match home.and_then(|home| holder.repo.strip_prefix(home).ok()) {
        Some(below) if below.as_os_str().is_empty() => "~".to_owned(),
        Some(below) => format!("~/{}", below.display()),
        None => holder.repo.display().to_string(),
    };
    let tasks: Vec<String> = holder.tasks.iter().map(ToString::to_string).collect();
    let tasks = if tasks.is_empty() { String::new() } else { format!(" ({})", tasks.join(" ")) };
    format!("{} in {path}{tasks}", holder.used)
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
        attempt: newest.map(|a| doc::Attempt {
            goes_on: policy::again(task).is_some_and(|a| policy::goes_on(board, a)),
            ..attempt(a, scene)
        }),
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
        hears: newest.is_some_and(|attempt| policy::hears(board, task, attempt) || listens(attempt, scene)),
        mute: newest.is_some_and(policy::is_mute),
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
    let checks_show = attempt.is_being_judged() && matches!(attempt.run.kind, RunKind::Idle | RunKind::Exited);
    let kind = if checks_show {
        RunKind::Checking
    } else if scene.supervisor.is_none() && attempt.is_active() {
        // Nobody has looked since the supervisor went.
        RunKind::Unknown
    } else if attempt.run.kind == RunKind::Quiet && listens(attempt, scene) {
        // Its silence has a reason: it waits for a person.
        RunKind::Waiting
    } else {
        attempt.run.kind
    };
    let source = attempt.run.source.filter(|_| kind == attempt.run.kind);
    doc::State { kind, source, age_s: scene.now.wall.since(attempt.run.at.wall).as_secs() }
}

/// Whether an attempt waits for an answer elsewhere than in its terminal.
fn listens(attempt: &Attempt, scene: &Scene) -> bool {
    attempt.is_active() && policy::listens_now(attempt, scene.now)
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
    flag(violations(attempt).next().is_some(), "off-limits");
    flag(attempt.tripped.iter().any(is_of_budget), "over-budget");
    flag(attempt.astray.is_some(), attempt.astray.as_ref().map_or("", Astray::flag));
    flag(outcome == Some(VerdictOutcome::Red), "red");
    flag(outcome == Some(VerdictOutcome::None) || (outcome.is_none() && is_past_build(task)), "unverified");
    flag(attempt.diff.is_some_and(|d| d.behind > 0), "stale-base");
    flags
}

/// Whether what was crossed is a limit of size, time or use.
fn is_of_budget(tripped: &Tripped) -> bool {
    !matches!(tripped.limit, LimitName::OffLimits | LimitName::PlanOnly | LimitName::LateCheckIns)
}

/// What it touches and must not, and what it changed while it is to plan only.
pub(super) fn violations(attempt: &Attempt) -> impl Iterator<Item = &String> {
    let strayed = attempt.strayed.iter().filter(|_| attempt.plans()).flatten();
    attempt.touched.iter().chain(strayed)
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
        goes_on: false,
        astray: attempt.astray.clone(),
        started_at: attempt.started_at,
        exit: exit(attempt),
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
    let last = task.check_ins.iter().rev().find(|c| c.attempt == attempt.no);
    let contradictions = last.map(|c| c.beside.contradictions.clone()).unwrap_or_default();
    let rhythm = &attempt.rhythm;
    let every = board.surroundings.as_ref().map(|s| interval(&s.settings, &task.spec, attempt.mode));
    let runs = rhythm.clock.since.is_some_and(|since| since.boot == scene.now.boot);
    let due_at = every.filter(|_| runs).map(|every| {
        let left = every.0.saturating_sub(rhythm.clock.read(scene.now).0);
        let over = rhythm.clock.read(scene.now).0.saturating_sub(every.0);
        let ms = |span: u64| i64::try_from(span).unwrap_or(i64::MAX);
        Wall(scene.now.wall.0.saturating_add(ms(left)).saturating_sub(ms(over)))
    });
    doc::CheckIn {
        last_at: last.map(|c| c.at),
        due_at,
        late: rhythm.late.is_some(),
        nudges: rhythm.nudges,
        contradictions,
    }
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
    // What an earlier attempt claimed says nothing of this one; a report without a word on criteria
    // takes nothing back.
    let own = found.check_ins.iter().rev().filter(|c| found.attempt().is_some_and(|a| a.no == c.attempt));
    let claimed = own.map(|c| &c.check_in.met).find(|met| !met.is_empty()).cloned().unwrap_or_default();
    let criteria = found.spec.criteria.iter().map(|c| doc::Criterion {
        n: c.n,
        text: c.text.clone(),
        met_claimed: claimed.contains(&c.n),
        check: c.check.clone(),
        shown_by: c.check.clone().filter(|check| found.attempt().is_some_and(|attempt| attempt.shows(check))),
    });
    let facts = found.attempt().and_then(|a| board.surroundings.as_ref()?.agents.get(&a.agent));
    let mode = found.attempt().map_or(found.spec.mode, |a| a.mode);
    let requires = board.surroundings.as_ref().map_or_else(Vec::new, |s| required(&s.settings, mode));
    let unmet = requires.iter().filter_map(|r| Some(doc::Unmet { requirement: *r, because: unmet(found, *r)? }));
    Some(doc::Show {
        task: task(board, found, scene),
        brief,
        untold: found.given().untold(&found.spec),
        criteria: criteria.collect(),
        checkins: found.check_ins.iter().map(shown_check_in).collect(),
        messages: found.messages.iter().map(message).collect(),
        attempts: found.attempts.iter().map(past).collect(),
        timeline: log.iter().map(moment).collect(),
        violations: found.attempt().map(|a| violations(a).cloned().collect()).unwrap_or_default(),
        crossed: found.attempt().into_iter().flat_map(crossed).collect(),
        notes: found.attempt().map(|a| a.notes.clone()).unwrap_or_default(),
        tail: found.attempt().map(|a| a.tail.clone()).unwrap_or_default(),
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

/// The budgets that an attempt crossed, in words.
pub(super) fn crossed(attempt: &Attempt) -> impl Iterator<Item = String> + '_ {
    attempt.tripped.iter().filter(|t| is_of_budget(t)).map(|t| t.why.clone())
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
            "outcome": c.outcome, "failed": c.failed, "passed": c.passed, "of_these_files": c.current, "since_then": c.new,
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

/// How its agent ended, where that is known.
fn exit(attempt: &Attempt) -> Option<Exit> {
    match attempt.end()? {
        End::Exited { exit } => Some(*exit),
        End::Stopped { exit, .. } | End::Failed { exit, .. } => *exit,
        End::Lost { .. } => None,
    }
}

fn past(a: &Attempt) -> doc::PastAttempt {
    let end = match &a.phase {
        Phase::Preparing { .. } => "its worktree is being made".to_owned(),
        Phase::Launching { .. } => "its agent is being started".to_owned(),
        Phase::Live { .. } => "alive".to_owned(),
        Phase::Ended { end, .. } => end_text(end),
    };
    doc::PastAttempt { number: a.no.get(), agent: a.agent.clone(), branch: a.branch.clone(), end, exit: exit(a) }
}

/// How an attempt ended, for people.
#[must_use]
pub fn end_text(end: &End) -> String {
    match end {
        End::Failed { stage, error, .. } => format!("{stage} failed: {error}"),
        End::Exited { exit } => format!("the agent ended with {exit}"),
        End::Stopped { .. } => "stopped".into(),
        End::Lost { why } => format!("lost: {why}"),
    }
}

fn moment(logged: &Logged) -> doc::Moment {
    let event = &logged.record.event;
    doc::Moment { at: logged.at.wall, event: event.name().to_owned(), text: sentence(event) }
}

/// `1 file`, `2 files`
#[must_use]
pub(super) fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
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
    let mut text = format!("{} +{} −{}", plural(diff.files, "file"), diff.insertions, diff.deletions);
    if diff.commits > 0 {
        text.push_str(&format!(", {}", plural(diff.commits, "commit")));
    }
    if diff.dirty {
        text.push_str(", uncommitted changes");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_person_is_not_quiet() {
        let mut s = crate::board::story::Story::default();
        s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
        s.happens(2, 1, 1, "question-asked", serde_json::json!({"text": "which way?", "options": []}));
        s.state(5, 1, 1, "quiet", "activity", "nothing is seen of it");
        let mut board = s.board();
        let now = crate::board::story::at(6);
        let scene = |now| Scene {
            repo: PathBuf::new(),
            base: None,
            supervisor: Some(Supervisor {
                process: crate::model::attempt::Proc { pid: 1, start: 1 },
                since: Now::default(),
                version: String::new(),
                banners: Vec::new(),
            }),
            banners: Vec::new(),
            holders: None,
            home: None,
            now,
        };
        let shown = |board: &Board, now| {
            let task = task(board, board.tasks.values().next().expect("a task"), &scene(now));
            (task.state.kind, task.hears)
        };
        assert_eq!(shown(&board, now).0, RunKind::Quiet, "it asked, and nobody knows that it waits");
        let task = board.tasks.values_mut().next().expect("a task");
        task.attempts[0].listens_until = Some(now.mono + crate::model::time::Span::secs(20));
        assert_eq!(shown(&board, now), (RunKind::Waiting, true));
        assert_eq!(shown(&board, crate::board::story::at(7)).0, RunKind::Quiet, "it gave up waiting");
    }

    #[test]
    fn a_full_machine_says_whose_it_is() {
        let id = |n| TaskId::new(n).expect("from 1");
        let holder = |repo: &str, used, tasks: &[u32]| doc::Holder {
            repo: PathBuf::from(repo),
            used,
            tasks: tasks.iter().map(|n| id(*n)).collect(),
        };
        let holders =
            vec![holder("/home/me/src/app", 4, &[1, 4, 7, 9]), holder("/srv/lib", 1, &[]), holder("/home/me", 1, &[2])];
        let hold = |because| Hold { task: id(3), because, text: "machine is full 6/6".to_owned() };
        let scene = Scene {
            repo: PathBuf::from("/srv/lib"),
            base: None,
            supervisor: None,
            banners: Vec::new(),
            holders: Some(holders),
            home: Some(PathBuf::from("/home/me")),
            now: Now::default(),
        };
        let said = "machine is full 6/6: 4 in ~/src/app (T1 T4 T7 T9), 1 in /srv/lib, 1 in ~ (T2)";
        assert_eq!(hold_text(&hold(HoldKind::Machine), &scene), said);
        assert_eq!(hold_text(&hold(HoldKind::Build), &scene), "machine is full 6/6", "another reason stays as it is");
        assert_eq!(machine_used(&Board::default(), &scene), 6);
        let mut board = Board::default();
        board.machine.used = 5;
        let looked = |holders| machine_used(&board, &Scene { holders, ..scene.clone() });
        assert_eq!((looked(Some(Vec::new())), looked(None)), (0, 5), "nobody was found, or nobody looked");
    }
}
