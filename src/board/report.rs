//! The stand-up: for each task what its agent claims beside what was observed, and why it stands.
//!
//! A task stands in one place: it needs you, else it is late, blocked, ready, closed or being done;
//! what has not begun and waits only for room is listed by itself. `did` says beside that what
//! happened to it since the report begins. **Invariant:** a claim and a fact never share a line; a
//! fact is what was observed, whoever says otherwise. Must not know: where events are kept.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::attempt::DiffStat;
use crate::model::board::{Board, Hold, HoldKind, ReceivedCheckIn, Task};
use crate::model::checkin;
use crate::model::event::{By, Event, NeedKind};
use crate::model::id::{AttemptNo, TaskId};
use crate::model::name::AgentName;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::time::{Span, Wall};
use crate::model::verdict::VerdictOutcome;
use crate::wire::control::Logged;

use super::doc;
use super::text::{state_text, verdict_text};
use super::view::{self, Scene};

pub mod markdown;
pub mod text;

/// Moves of one card that a report tells, the newest; the log has them all.
const MOVES_TOLD: usize = 3;

/// `report`
#[derive(Debug, Serialize)]
pub struct Report {
    /// From when on things are told.
    pub since: Wall,
    /// Until when.
    pub until: Wall,
    /// Whether anybody supervises; where nobody does, nobody knows what agents are doing.
    pub supervised: bool,
    /// What must be said first.
    pub banners: Vec<String>,
    /// Needs you, the longest first.
    pub needs_you: Vec<Entry>,
    /// What happened to open tasks.
    pub did: Vec<Entry>,
    /// Being done.
    pub doing: Vec<Entry>,
    /// Cannot go on, and does not need you yet.
    pub blocked: Vec<Entry>,
    /// No check-in in time.
    pub late: Vec<Entry>,
    /// Finished, waiting for your verdict.
    pub ready: Vec<Entry>,
    /// Done in this time.
    pub done: Vec<Entry>,
    /// Given up in this time.
    pub canceled: Vec<Entry>,
    /// Not begun; waits for its turn or for room.
    pub waiting: Vec<Waiting>,
}

/// One task in one place of the report.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Which.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// Who does it, or did.
    pub agent: Option<AgentName>,
    /// Where it stands.
    pub column: Column,
    /// What its agent is doing.
    pub state: doc::State,
    /// Why it stands here; `null` where nothing more is to be said.
    pub because: Option<String>,
    /// Since when it does, where that matters.
    pub since: Option<Wall>,
    /// What its agent said last; `null` where it said nothing.
    pub claim: Option<Claim>,
    /// What was observed, a piece each.
    pub facts: Vec<String>,
    /// What the checks showed.
    pub verdict: Option<VerdictOutcome>,
    /// What differs from the base.
    pub diff: Option<doc::Diff>,
}

/// What an agent said of itself.
#[derive(Debug, Serialize)]
pub struct Claim {
    /// When.
    pub at: Wall,
    /// Where it said it stood.
    pub state: checkin::Claim,
    /// What it said that belongs here.
    pub text: String,
    /// Where what was observed says otherwise.
    pub contradictions: Vec<String>,
}

/// A task that has not begun.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Which.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// Why, where anything holds it.
    pub because: Option<HoldKind>,
    /// The particulars; may be empty.
    pub text: String,
}

/// What happened to one task since the report begins.
#[derive(Debug, Clone, Default)]
struct Happened {
    check_ins: u32,
    greens: u32,
    reds: u32,
    attempts: Vec<AttemptNo>,
    moves: Vec<Moved>,
    /// The newest look at the work before, and the newest since.
    before: Option<(AttemptNo, DiffStat)>,
    since: Option<(AttemptNo, DiffStat)>,
}

#[derive(Debug, Clone)]
struct Moved {
    from: Column,
    to: Column,
    by: By,
    reason: String,
}

/// The log from one instant on, in short; takes one event after the other and keeps no event.
#[derive(Debug)]
pub struct Window {
    since: Wall,
    tasks: BTreeMap<TaskId, Happened>,
}

impl Window {
    /// From then on.
    #[must_use]
    pub fn new(since: Wall) -> Self {
        Self { since, tasks: BTreeMap::new() }
    }

    /// Takes the next event of the log, older ones too: they are what changes are counted from.
    pub fn take(&mut self, logged: &Logged) {
        let Some(task) = logged.record.task else { return };
        let happened = self.tasks.entry(task).or_default();
        let new = logged.at.wall >= self.since;
        match (&logged.record.event, logged.record.attempt) {
            (Event::DiffObserved { diff, .. }, Some(no)) => {
                let place = if new { &mut happened.since } else { &mut happened.before };
                *place = Some((no, *diff));
            }
            _ if !new => {}
            (Event::CheckInReceived { .. }, _) => happened.check_ins += 1,
            (Event::VerdictReached { verdict, on: None, .. }, _) => match verdict.outcome {
                VerdictOutcome::Green => happened.greens += 1,
                VerdictOutcome::Red => happened.reds += 1,
                VerdictOutcome::Stale | VerdictOutcome::None | VerdictOutcome::Error => {}
            },
            (Event::AttemptPlanned { .. }, Some(no)) => happened.attempts.push(no),
            (Event::TaskMoved { from, to, by, reason }, _) if from != to => {
                if happened.moves.len() == MOVES_TOLD {
                    happened.moves.remove(0);
                }
                happened.moves.push(Moved { from: *from, to: *to, by: *by, reason: reason.clone() });
            }
            _ => {}
        }
    }
}

/// The stand-up of a board, with what happened in the window.
#[must_use]
pub fn report(board: &Board, window: &Window, scene: &Scene) -> Report {
    let mut report = Report {
        since: window.since,
        until: scene.now.wall,
        supervised: scene.supervisor.is_some(),
        banners: scene.banners.clone(),
        needs_you: Vec::new(),
        did: Vec::new(),
        doing: Vec::new(),
        blocked: Vec::new(),
        late: Vec::new(),
        ready: Vec::new(),
        done: Vec::new(),
        canceled: Vec::new(),
        waiting: Vec::new(),
    };
    let none = Happened::default();
    for task in board.tasks.values() {
        let seen = Seen {
            task,
            shown: view::task(board, task, scene),
            hold: board.holds.iter().find(|hold| hold.task == task.id),
            happened: window.tasks.get(&task.id).unwrap_or(&none),
            since: window.since,
        };
        seen.put(&mut report);
    }
    for section in [&mut report.needs_you, &mut report.late, &mut report.ready] {
        section.sort_by_key(|entry| (entry.since, entry.task));
    }
    report
}

/// One task, from all sides.
struct Seen<'a> {
    task: &'a Task,
    shown: doc::Task,
    hold: Option<&'a Hold>,
    happened: &'a Happened,
    since: Wall,
}

impl Seen<'_> {
    fn put(self, report: &mut Report) {
        let column = self.task.column;
        if column.is_closed() {
            if self.task.moved_at >= self.since {
                let section = if column == Column::Done { &mut report.done } else { &mut report.canceled };
                section.push(self.closed());
            }
            return;
        }
        report.did.extend(self.did());
        if let Some(need) = &self.task.needs_you {
            // Whoever is only late is listed as such.
            let late = need.kind == NeedKind::Late;
            let question = need.question.trim();
            let why =
                if late { question.to_owned() } else { format!("{}: {question}", super::text::need_name(need.kind)) };
            let entry = self.entry(Some(why), Some(need.since), Part::Did);
            if late { &mut report.late } else { &mut report.needs_you }.push(entry);
        } else if self.shown.flags.contains(&"late") {
            let since = self.shown.checkin.as_ref().and_then(|c| c.due_at);
            report.late.push(self.entry(Some("no check-in in time".into()), since, Part::Did));
        } else if column == Column::Review {
            report.ready.push(self.entry(Some(self.verdict_due()), Some(self.task.moved_at), Part::Did));
        } else if let Some((why, part)) = self.blocked() {
            report.blocked.push(self.entry(Some(why), None, part));
        } else if column == Column::Backlog {
            report.waiting.push(self.waiting());
        } else {
            let why = (column == Column::Takeover).then(|| "in your hands".to_owned());
            report.doing.push(self.entry(why.or_else(|| self.hold.map(|h| h.text.clone())), None, Part::Next));
        }
    }

    /// What finished work waits for.
    fn verdict_due(&self) -> String {
        let approved = self.shown.attempt.as_ref().and_then(|attempt| attempt.approval.as_ref());
        match approved {
            Some(approval) if !approval.stale => "you approved it; it waits to be landed",
            Some(_) => "you approved it, and its files have changed since",
            None => "waits for your verdict",
        }
        .to_owned()
    }

    fn closed(&self) -> Entry {
        let by = if self.task.moved_by == By::Person { "by you" } else { "by a rule" };
        let reason = &self.task.moved_because;
        let why = if reason.is_empty() { by.to_owned() } else { format!("{by}: {reason}") };
        let mut entry = self.entry(Some(why), Some(self.task.moved_at), Part::Did);
        entry.facts = self.standing();
        entry
    }

    /// Why it cannot go on, and which part of its agent's words says so.
    fn blocked(&self) -> Option<(String, Part)> {
        if let Some(hold) = self.hold.filter(|hold| !waits_for_room(hold.because)) {
            return Some((hold.text.clone(), Part::Blockers));
        }
        let state = match self.shown.state.kind {
            RunKind::Quiet | RunKind::Limited | RunKind::Lost | RunKind::Exited => Some(self.state()),
            _ => None,
        };
        let says = self.check_in().map(|c| &c.check_in).filter(|c| {
            !c.blockers.is_empty() || matches!(c.state, checkin::Claim::Blocked | checkin::Claim::GivingUp)
        });
        let is_open = matches!(self.task.column, Column::Build | Column::Design);
        match (says, state) {
            (_, Some(state)) if is_open => Some((state, Part::Did)),
            (Some(_), _) if is_open => Some(("its agent says so".to_owned(), Part::Blockers)),
            _ => None,
        }
    }

    /// What happened to it, if anything did that moves a task forward or back.
    fn did(&self) -> Option<Entry> {
        let facts = self.happened.told();
        let claim = self.check_in().filter(|c| c.at >= self.since);
        if facts.is_empty() && claim.is_none() {
            return None;
        }
        let mut entry = self.entry(None, None, Part::Did);
        entry.claim = claim.map(|c| claim_of(c, Part::Did));
        entry.facts = facts;
        Some(entry)
    }

    fn waiting(&self) -> Waiting {
        let text = self.hold.map(|hold| hold.text.clone()).unwrap_or_default();
        Waiting {
            task: self.task.id,
            title: self.task.spec.title.clone(),
            because: self.hold.map(|hold| hold.because),
            text,
        }
    }

    fn entry(&self, because: Option<String>, since: Option<Wall>, part: Part) -> Entry {
        let state = &self.shown.state;
        Entry {
            task: self.task.id,
            title: self.task.spec.title.clone(),
            agent: self.shown.agent.clone(),
            column: self.task.column,
            state: doc::State { kind: state.kind, source: state.source, age_s: state.age_s },
            because,
            since,
            claim: self.check_in().map(|c| claim_of(c, part)),
            facts: self.facts(),
            verdict: self.shown.verdict.as_ref().map(|v| v.outcome),
            diff: self.shown.diff.as_ref().map(|d| doc::Diff { stat: d.stat }),
        }
    }

    /// The last word of the attempt that counts.
    fn check_in(&self) -> Option<&ReceivedCheckIn> {
        let no = self.task.attempt()?.no;
        self.task.check_ins.iter().rev().find(|c| c.attempt == no)
    }

    /// How things stand now: the state with its source, the work, the checks.
    fn facts(&self) -> Vec<String> {
        if self.task.attempt().is_none() {
            return vec!["not begun".to_owned()];
        }
        let mut facts = vec![self.state()];
        facts.extend(self.standing());
        facts
    }

    /// The work and the checks.
    fn standing(&self) -> Vec<String> {
        let mut facts: Vec<String> = self.shown.diff.iter().map(|d| view::diff_text(&d.stat)).collect();
        match &self.shown.verdict {
            Some(verdict) => facts.push(format!("checks {}", verdict_text(verdict))),
            // Of nothing there is nothing to verify.
            None if self.shown.diff.as_ref().is_some_and(|d| changed(&d.stat)) => facts.push("unverified".to_owned()),
            None => {}
        }
        facts.extend(self.criteria());
        facts
    }

    /// How many criteria are shown by the checks that the brief names for them.
    fn criteria(&self) -> Option<String> {
        let criteria = &self.task.spec.criteria;
        let attempt = self.task.attempt()?;
        let named = || criteria.iter().filter_map(|criterion| criterion.check.as_ref());
        let shown = named().filter(|check| attempt.shows(check)).count();
        named().next().map(|_| format!("{shown} of {} criteria shown", criteria.len()))
    }

    fn state(&self) -> String {
        let kind = self.shown.state.kind;
        let text = self.task.attempt().map(|a| a.run.text.as_str()).filter(|_| tells_why(kind)).unwrap_or_default();
        let state = state_text(&self.shown.state);
        if text.is_empty() { state } else { format!("{state}: {text}") }
    }
}

impl Happened {
    /// What was observed, a piece each.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(no) = self.attempts.last().filter(|no| no.get() > 1) {
            told.push(format!("attempt {no}"));
        }
        if let Some((commits, files)) = self.progress() {
            told.extend((commits > 0).then(|| view::plural(commits, "new commit")));
            told.extend(files.map(|diff| view::diff_text(&diff)));
        }
        let times = |n: u32, name: &str| match n {
            0 => None,
            1 => Some(name.to_owned()),
            n => Some(format!("{name} {n}×")),
        };
        let verdicts: Vec<String> =
            [times(self.reds, "red"), times(self.greens, "green")].into_iter().flatten().collect();
        told.extend((!verdicts.is_empty()).then(|| format!("checks {}", verdicts.join(", "))));
        // A card that a rule put to work tells nothing that its work does not.
        let dull = |m: &&Moved| !(m.by == By::Rule && m.from == Column::Backlog);
        for moved in self.moves.iter().filter(dull) {
            // What the checks showed is said just before.
            let said = moved.by == By::Rule && !verdicts.is_empty() && moved.to == Column::Review;
            let why = if moved.reason.is_empty() || said { String::new() } else { format!(" ({})", moved.reason) };
            told.push(format!("{} → {}{why}", moved.from, moved.to));
        }
        told.extend((self.check_ins > 1).then(|| view::plural(u64::from(self.check_ins), "check-in")));
        told
    }

    /// New commits, and the work as it is where it changed.
    fn progress(&self) -> Option<(u64, Option<DiffStat>)> {
        let (no, now) = self.since?;
        let before = self.before.filter(|(of, _)| *of == no).map(|(_, diff)| diff).unwrap_or_default();
        let size = |d: &DiffStat| (d.files, d.insertions, d.deletions, d.commits, d.dirty);
        let changed = size(&now) != size(&before);
        changed.then(|| (now.commits.saturating_sub(before.commits), Some(DiffStat { commits: 0, ..now })))
    }
}

/// Whether anything differs from the base.
fn changed(stat: &DiffStat) -> bool {
    stat.files > 0 || stat.commits > 0 || stat.dirty
}

/// Which part of a check-in belongs beside a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Did,
    Next,
    Blockers,
}

fn claim_of(received: &ReceivedCheckIn, part: Part) -> Claim {
    let said = &received.check_in;
    let first = match part {
        Part::Did => said.did.clone(),
        Part::Next => said.next.clone(),
        Part::Blockers => said.blockers.join("; "),
    };
    // An agent that leaves a part out has still said something.
    let mut text =
        [first, said.did.clone(), said.next.clone()].into_iter().find(|t| !t.trim().is_empty()).unwrap_or_default();
    if !said.met.is_empty() {
        let met: Vec<String> = said.met.iter().map(|n| format!("#{n}")).collect();
        text.push_str(&format!(" (says {} met)", met.join(" ")));
    }
    let contradictions = received.beside.contradictions.clone();
    Claim { at: received.at, state: said.state, text: text.trim().to_owned(), contradictions }
}

/// The name of what an agent claims.
#[must_use]
pub fn claim_name(claim: checkin::Claim) -> &'static str {
    match claim {
        checkin::Claim::Working => "working",
        checkin::Claim::Blocked => "blocked",
        checkin::Claim::NeedsDecision => "needs a decision",
        checkin::Claim::Ready => "ready",
        checkin::Claim::GivingUp => "giving up",
    }
}

/// Whether a hold passes by itself as soon as there is room.
fn waits_for_room(because: HoldKind) -> bool {
    matches!(because, HoldKind::Build | HoldKind::Review | HoldKind::Machine | HoldKind::Ports | HoldKind::Dispatch)
}

/// Whether the words of a state are its reason.
fn tells_why(kind: RunKind) -> bool {
    !matches!(kind, RunKind::None | RunKind::Starting | RunKind::Waiting | RunKind::Checking | RunKind::Stopped)
}

/// The sections in the order in which they are read, with their headings.
fn sections(report: &Report) -> [(&'static str, &[Entry]); 8] {
    [
        ("needs you", &report.needs_you),
        (DID, &report.did),
        ("doing", &report.doing),
        ("blocked", &report.blocked),
        ("late", &report.late),
        ("ready", &report.ready),
        ("done", &report.done),
        ("canceled", &report.canceled),
    ]
}

/// `build is full 3/3: T7 T8 T9`, one for each reason, in order of the first task.
fn queues(report: &Report) -> Vec<(String, Vec<TaskId>)> {
    let mut queues: Vec<(String, Vec<TaskId>)> = Vec::new();
    for waiting in &report.waiting {
        let why = if waiting.text.is_empty() { "next".to_owned() } else { waiting.text.clone() };
        match queues.iter_mut().find(|(text, _)| *text == why) {
            Some((_, tasks)) => tasks.push(waiting.task),
            None => queues.push((why, vec![waiting.task])),
        }
    }
    queues
}

/// `6 need you · 1 doing · 2 blocked`: how much stands where, in the order of the sections.
fn summary(report: &Report) -> String {
    let count = |(name, entries): (&str, &[Entry])| {
        let name = if name == "needs you" && entries.len() != 1 { "need you" } else { name };
        (!entries.is_empty()).then(|| format!("{} {name}", entries.len()))
    };
    let standing = sections(report).into_iter().filter(|(name, _)| *name != DID).filter_map(count);
    let waiting = (!report.waiting.is_empty()).then(|| format!("{} waiting", report.waiting.len()));
    standing.chain(waiting).collect::<Vec<_>>().join(" · ")
}

/// What happened, less what has been said where a task stands: the entries that tell anything.
fn told<'a>(report: &'a Report, said: &BTreeMap<TaskId, Option<String>>) -> Vec<(&'a Entry, bool)> {
    let claims =
        |entry: &Entry| entry.claim.is_some() && said.get(&entry.task) != Some(&claim_line(entry, report.until));
    let told = report.did.iter().map(|entry| (entry, claims(entry)));
    told.filter(|(entry, claims)| *claims || !facts_line(entry).is_empty()).collect()
}

/// What was said of each task where it stands: it is not said again where it is told what happened.
fn said(report: &Report) -> BTreeMap<TaskId, Option<String>> {
    let standing = sections(report).into_iter().filter(|(name, _)| *name != DID);
    standing.flat_map(|(_, entries)| entries).map(|entry| (entry.task, claim_line(entry, report.until))).collect()
}

/// How long something has lasted; never nothing.
fn lasted(from: Wall, until: Wall) -> Span {
    Span::secs(until.since(from).as_secs().max(1))
}

/// The section that tells what happened; every other says where a task stands.
const DID: &str = "did";

/// What a report without any section says.
const NOTHING: &str = "Nothing to report.";

/// The claim of an entry as one line, or that there is none.
fn claim_line(entry: &Entry, until: Wall) -> Option<String> {
    let begun = entry.state.kind != RunKind::None;
    match &entry.claim {
        Some(claim) => {
            let age = lasted(claim.at, until);
            Some(format!("{} ({age} ago): {}", claim_name(claim.state), claim.text))
        }
        None => begun.then(|| "no check-in".to_owned()),
    }
}

/// What was observed of an entry as one line, less what it stands there for.
fn facts_line(entry: &Entry) -> String {
    let facts = entry.facts.iter().filter(|fact| Some(*fact) != entry.because.as_ref());
    facts.map(String::as_str).collect::<Vec<_>>().join(" · ")
}

/// Where the facts say otherwise than the claim, as one line.
fn but_line(entry: &Entry) -> Option<String> {
    let contradictions = &entry.claim.as_ref()?.contradictions;
    (!contradictions.is_empty()).then(|| contradictions.join(" · "))
}

#[cfg(test)]
mod tests;
