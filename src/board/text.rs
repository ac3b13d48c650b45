//! The board as text: first who needs you, then who works, what is ready, and why the rest waits.

use jiff::tz::TimeZone;

use crate::model::astray::Astray;
use crate::model::board::HoldKind;
use crate::model::event::NeedKind;
use crate::model::state::{RunKind, Source};
use crate::model::task::{Column, Mode};
use crate::model::text::{clean, clean_line, shell_word};
use crate::model::time::{Now, Span, Wall};
use crate::model::verdict::{TestCounts, VerdictOutcome};

mod facts;
mod lines;
mod show;
mod timeline;
mod unmet;

pub use lines::broken;
use lines::{Lines, Part};
pub use show::{evidence, show};

use super::doc;
use super::{view, when};

/// How a word is set off. The caller turns it into colour, or into nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Beside the point.
    Dim,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Wants you.
    Warn,
}

/// Sets words off and knows how wide a line may be.
pub trait Paint {
    /// One piece of text in one tone.
    fn paint(&self, tone: Tone, text: &str) -> String;
    /// Columns of a line.
    fn columns(&self) -> usize;
    /// Where the reader's clock goes.
    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

/// For tests: a page of so many columns, without tones.
#[cfg(test)]
pub(crate) struct Bare(pub(crate) usize);

#[cfg(test)]
impl Paint for Bare {
    fn paint(&self, _: Tone, text: &str) -> String {
        text.to_owned()
    }

    fn columns(&self) -> usize {
        self.0
    }
}

/// The narrowest terminal that lines are laid out for.
const NARROWEST: usize = 40;

/// From here on there is room to say who says what an agent does.
const WIDE: usize = 120;

/// Where the text below a row begins: under its title.
const BELOW: usize = 7;

/// Lines of a question that the board repeats.
const QUESTION_SHOWN: usize = 3;

/// How many closed tasks `status` lists before it only counts them.
const CLOSED_SHOWN: usize = 5;

/// `standup status`
#[must_use]
pub fn status(doc: &doc::Status, now: Now, paint: &dyn Paint) -> String {
    let mut out = Lines::new(paint);
    out.line(&headline(doc, paint));
    for banner in &doc.banners {
        out.line(&paint.paint(Tone::Warn, &format!("! {}", clean_line(banner))));
    }
    if doc.tasks.is_empty() {
        out.blank();
        out.line("No tasks yet.");
        out.line(&format!("{} standup add \"Fix the pager\"", paint.paint(Tone::Dim, "hint:")));
        return out.text;
    }
    needs_you(doc, now, &mut out);
    let calm = |t: &doc::Task| t.needs_you.is_none();
    let board = Seen { doc, now, with_source: paint.columns() >= WIDE, zone: paint.zone() };
    section(doc, "works", &mut out, |t| is_at_work(t) && calm(t), |t| board.work_line(t));
    section(doc, "ready for review", &mut out, |t| t.column == Column::Review && calm(t), review_line);
    section(doc, "in your hands", &mut out, |t| t.column == Column::Takeover && calm(t), |t| taken_line(t, now));
    let waits =
        |t: &doc::Task| t.needs_you.is_none() && (t.column == Column::Backlog || (!is_at_work(t) && in_work(t)));
    section(doc, "waits", &mut out, waits, |t| vec![board.wait_line(t)]);
    closed(doc, &mut out);
    out.text
}

fn in_work(t: &doc::Task) -> bool {
    matches!(t.column, Column::Build | Column::Design)
}

fn is_at_work(t: &doc::Task) -> bool {
    let runs = !matches!(t.state.kind, RunKind::None | RunKind::Stopped | RunKind::Exited | RunKind::Lost);
    in_work(t) && runs
}

fn headline(doc: &doc::Status, paint: &dyn Paint) -> String {
    let used = |u: &doc::Used| u.limit.map_or(format!("{}", u.used), |limit| format!("{}/{limit}", u.used));
    let name =
        doc.repo.file_name().map_or_else(|| doc.repo.display().to_string(), |n| n.to_string_lossy().into_owned());
    let base = doc.base.as_deref().map(|b| format!(" on {}", clean_line(b))).unwrap_or_default();
    let supervisor = match (doc.supervisor.running, doc.dispatch) {
        (true, true) => "dispatching",
        (true, false) => "not dispatching",
        (false, _) => "no supervisor",
    };
    let mut parts = vec![format!("build {}", used(&doc.wip.build)), format!("review {}", used(&doc.wip.review))];
    if doc.wip.machine.limit.is_some() {
        parts.push(format!("machine {}", used(&doc.wip.machine)));
    }
    parts.push(supervisor.to_owned());
    format!(
        "{}{}",
        paint.paint(Tone::Bold, &clean_line(&name)),
        paint.paint(Tone::Dim, &format!("{base} · {}", parts.join(" · ")))
    )
}

fn needs_you(doc: &doc::Status, now: Now, out: &mut Lines<'_>) {
    let mut asking: Vec<(&doc::Task, &doc::NeedsYou)> =
        doc.tasks.iter().filter_map(|t| Some((t, t.needs_you.as_ref()?))).collect();
    asking.sort_by_key(|(t, n)| (n.since, t.id));
    if asking.is_empty() {
        return;
    }
    out.heading("needs you", Tone::Warn);
    for (task, need) in asking {
        let mut parts = vec![Part::new(Tone::Warn, format!("{} {}", need_name(need.kind), age(now, need.since)))];
        // Where the need itself does not say so: nobody waits for the answer.
        let asks = matches!(need.kind, NeedKind::Question | NeedKind::Red);
        parts.extend((asks && has_ended(task)).then(|| Part::new(Tone::Plain, "its agent has ended".to_owned())));
        parts.extend(beyond(task));
        out.row(task, &parts);
        let room = out.paint.columns().max(NARROWEST) - BELOW;
        let lines = need.question.lines().filter(|l| !l.trim().is_empty());
        let lines: Vec<String> = lines.flat_map(|line| broken(&clean_line(line), room)).collect();
        for (n, line) in lines.iter().take(QUESTION_SHOWN).enumerate() {
            let more = n + 1 == QUESTION_SHOWN && lines.len() > QUESTION_SHOWN;
            let line = if more { clean(&format!("{line} {}", lines[n + 1]), room) } else { line.clone() };
            out.line(&format!("{:BELOW$}{line}", ""));
        }
        for option in &need.options {
            let room = out.paint.columns().max(NARROWEST) - BELOW;
            out.line(&format!("{:BELOW$}{}", "", clean(&option_text(option), room)));
        }
        for step in next_steps(task, need.kind) {
            let hint = out.paint.paint(Tone::Dim, "hint:");
            out.line(&format!("{:BELOW$}{hint} {step}", ""));
        }
    }
}

/// `  yes  Yes, proceed`
#[must_use]
pub fn option_text(option: &doc::Choice) -> String {
    let (answer, text) = (clean_line(&option.answer), clean_line(&option.text));
    if answer == text { format!("  {text}") } else { format!("  {answer:<3}  {text}") }
}

/// The commands that answer a need, the likeliest first; each is one that is taken as the task stands.
#[must_use]
pub fn next_steps(task: &doc::Task, kind: NeedKind) -> Vec<String> {
    let id = task.id;
    let (attach, show) = (format!("standup attach {id}"), format!("standup show {id}"));
    let send = format!("standup send {id} \"…\"");
    let (retry, verify) = (format!("standup retry {id}"), format!("standup verify {id}"));
    let designs = kind == NeedKind::Question && task.column == Column::Design;
    // A plan is read before it is answered.
    let answers = |option: &&doc::Choice| !(designs && option.answer == "yes");
    let option = task.needs_you.as_ref().and_then(|need| need.options.first()).filter(answers);
    // A dialog is answered where it stands; any other question only where somebody hears the answer.
    let is_heard = task.state.kind == RunKind::Waiting || task.hears;
    let answerable = is_heard && matches!(kind, NeedKind::Permission | NeedKind::Question);
    if let Some(option) = option.filter(|_| answerable && task.column != Column::Takeover) {
        let answer = if option.answer.contains(' ') { "\"…\"".to_owned() } else { shell_word(&option.answer) };
        let answer = format!("standup answer {id} {answer}");
        return if has_ended(task) { vec![answer] } else { vec![answer, attach] };
    }
    match kind {
        NeedKind::Question if task.column == Column::Design => {
            let reject = format!("standup reject {id} --note \"…\"");
            let verdicts = [show, format!("standup approve {id}")].into_iter();
            verdicts.chain(task.hears.then_some(reject)).collect()
        }
        // Whatever the rule was that took it: messages wait until it is handed back.
        _ if task.column == Column::Takeover => {
            // What ends in your hands by its mode waits for your verdict.
            let own = task.mode == Mode::Own && kind == NeedKind::Question && task.verdict.is_some();
            let hands = [format!("standup takeover {id}"), format!("standup handback {id} --note \"…\"")];
            let verdict = own.then(|| [show, format!("standup approve {id}")]);
            verdict.into_iter().flatten().chain(hands).collect()
        }
        NeedKind::Permission | NeedKind::Trust | NeedKind::Login => vec![attach],
        NeedKind::Question if has_ended(task) && task.hears => vec![show, send],
        NeedKind::Question if has_ended(task) => vec![show, verify, retry],
        // A dialog takes no message before it is answered.
        NeedKind::Question if task.state.kind == RunKind::Waiting && task.state.source.is_some() => vec![attach],
        NeedKind::Question if task.hears => vec![attach, send],
        NeedKind::Question => vec![attach],
        NeedKind::Red if task.hears => vec![show, send],
        NeedKind::Red => vec![show, verify, retry],
        // Attaching would come to the same.
        NeedKind::Exit if task.mute => vec![format!("standup stop {id}"), format!("standup logs {id}")],
        NeedKind::Exit if task.attempt.as_ref().is_some_and(|a| a.host_pid.is_some()) => vec![attach],
        // Without a host there was nothing that could have written.
        NeedKind::Exit | NeedKind::Lost if task.attempt.as_ref().is_none_or(|a| a.started_at.is_none()) => {
            vec![show, retry]
        }
        NeedKind::Lost if task.attempt.as_ref().is_some_and(|a| a.goes_on) => {
            vec![format!("standup start {id}"), format!("standup logs {id}"), retry]
        }
        NeedKind::Exit | NeedKind::Lost => vec![format!("standup logs {id}"), retry],
        NeedKind::Broken => vec![show, retry],
        // One whose clock stands owes no report.
        NeedKind::Late if task.checkin.as_ref().is_some_and(|c| c.due_at.is_none()) => vec![attach, show],
        NeedKind::Late => vec![format!("standup nudge {id}"), attach, show],
        NeedKind::Limit | NeedKind::OffLimits if task.hears => vec![show, send],
        NeedKind::Limit | NeedKind::OffLimits if has_ended(task) => vec![show, retry],
        // One that takes no messages is let go on by handing it back.
        NeedKind::Limit | NeedKind::OffLimits => {
            vec![show, attach, format!("standup takeover {id} --reason \"…\"")]
        }
    }
}

/// Whether the agent of a task that was begun is gone.
fn has_ended(task: &doc::Task) -> bool {
    let gone = matches!(task.state.kind, RunKind::Stopped | RunKind::Exited | RunKind::Lost);
    gone || task.attempt.as_ref().is_some_and(|a| a.host_pid.is_none() && a.started_at.is_some())
}

/// The name of a need.
#[must_use]
pub fn need_name(kind: NeedKind) -> &'static str {
    match kind {
        NeedKind::Permission => "permission",
        NeedKind::Question => "question",
        NeedKind::Trust => "trust",
        NeedKind::Login => "login",
        NeedKind::Late => "late",
        NeedKind::Red => "red",
        NeedKind::Limit => "limit",
        NeedKind::Exit => "failed",
        NeedKind::OffLimits => "off limits",
        NeedKind::Lost => "lost",
        NeedKind::Broken => "broken",
    }
}

fn section(
    doc: &doc::Status,
    title: &str,
    out: &mut Lines<'_>,
    which: impl Fn(&doc::Task) -> bool,
    say: impl Fn(&doc::Task) -> Vec<Part>,
) {
    let tasks: Vec<&doc::Task> = doc.tasks.iter().filter(|t| which(t)).collect();
    if tasks.is_empty() {
        return;
    }
    out.heading(title, Tone::Bold);
    for task in tasks {
        out.row(task, &say(task));
    }
}

/// A board, and who looks at it when.
struct Seen<'a> {
    doc: &'a doc::Status,
    now: Now,
    with_source: bool,
    zone: TimeZone,
}

impl Seen<'_> {
    fn work_line(&self, t: &doc::Task) -> Vec<Part> {
        let state = if self.with_source { state_text(&t.state) } else { bare_state_text(&t.state) };
        let hold = self.hold(t);
        // Of a limit with an end nothing but the end is news.
        let says_it =
            t.state.kind == RunKind::Limited && hold.as_ref().is_some_and(|(why, _)| *why == HoldKind::Limited);
        let mut parts: Vec<Part> = (!says_it).then(|| Part::new(Tone::Plain, state)).into_iter().collect();
        parts.extend(hold.map(|(_, text)| Part::new(Tone::Warn, text)));
        parts.extend(t.verdict.as_ref().map(verdict_part));
        parts.extend(contradicted(t));
        parts.extend(beyond(t));
        parts.extend(astray(t));
        parts.extend(diff_parts(t));
        parts
    }

    fn wait_line(&self, t: &doc::Task) -> Part {
        let hold = self.hold(t);
        let tone = match &hold {
            Some((HoldKind::Trust | HoldKind::Agent | HoldKind::Base | HoldKind::Asks, _)) => Tone::Warn,
            _ => Tone::Dim,
        };
        let why = match (hold, t.state.kind) {
            (Some((_, text)), _) => text,
            (None, RunKind::None) => "next".to_owned(),
            (None, _) => state_text(&t.state),
        };
        Part::new(tone, why)
    }

    /// Why a task does not go on, by the clock of whoever reads it.
    fn hold(&self, t: &doc::Task) -> Option<(HoldKind, String)> {
        let hold = self.doc.holds.iter().find(|h| h.task == t.id)?;
        Some((hold.because, clean_line(&when::told(&hold.text, self.now, &self.zone))))
    }
}

fn review_line(t: &doc::Task) -> Vec<Part> {
    let unverified = || Part::new(Tone::Warn, "unverified".to_owned());
    let mut parts = vec![t.verdict.as_ref().map_or_else(unverified, verdict_part)];
    parts.extend(contradicted(t));
    parts.extend(beyond(t));
    parts.extend(astray(t));
    parts.extend(diff_parts(t));
    parts
}

/// That its branch does not hold its work; `show` says where that lies.
fn astray(t: &doc::Task) -> Option<Part> {
    let astray = t.attempt.as_ref().and_then(|a| a.astray.as_ref())?;
    let on = match astray {
        Astray::OffBranch { on: Some(on), .. } => format!(": on {}", clean_line(on.as_str())),
        _ => String::new(),
    };
    Some(Part::new(Tone::Bad, format!("{}{on}", astray.flag())))
}

/// That what its agent says of itself is not so; `show` says where.
fn contradicted(t: &doc::Task) -> Option<Part> {
    let said = t.checkin.as_ref().is_some_and(|c| !c.contradictions.is_empty());
    said.then(|| Part::new(Tone::Bad, "contradicted".to_owned()))
}

/// That the work goes beyond what was allowed, whatever the checks say of it; `show` says where.
fn beyond(t: &doc::Task) -> impl Iterator<Item = Part> {
    let marks = [("off-limits", "off limits"), ("over-budget", "over budget")];
    marks.into_iter().filter(|(flag, _)| t.flags.contains(flag)).map(|(_, text)| Part::new(Tone::Bad, text.to_owned()))
}

/// A diff in pieces, so that what does not fit is left out whole.
fn diff_parts(t: &doc::Task) -> impl Iterator<Item = Part> {
    let text = t.diff.as_ref().map(|d| view::diff_text(&d.stat)).unwrap_or_default();
    let pieces: Vec<String> = text.split(", ").filter(|p| !p.is_empty()).map(str::to_owned).collect();
    pieces.into_iter().map(|piece| Part::new(Tone::Plain, piece))
}

fn taken_line(t: &doc::Task, now: Now) -> Vec<Part> {
    let Some(taken) = &t.takeover else { return Vec::new() };
    let mut parts = vec![Part::new(Tone::Plain, format!("for {}", age(now, taken.since)))];
    if !taken.reason.is_empty() {
        parts.push(Part::new(Tone::Plain, clean_line(&taken.reason)));
    }
    parts.push(Part::new(Tone::Dim, bare_state_text(&t.state)));
    parts
}

fn closed(doc: &doc::Status, out: &mut Lines<'_>) {
    let of = |column| doc.tasks.iter().filter(|t| t.column == column).collect::<Vec<_>>();
    let (done, canceled) = (of(Column::Done), of(Column::Canceled));
    let total = done.len() + canceled.len();
    if total == 0 {
        return;
    }
    if total <= CLOSED_SHOWN {
        out.heading("closed", Tone::Dim);
        for task in done.iter().chain(&canceled) {
            out.row(task, &[Part::new(Tone::Dim, task.column.name().to_owned())]);
        }
    } else {
        out.blank();
        out.line(&out.paint.paint(Tone::Dim, &format!("done {} · canceled {}", done.len(), canceled.len())));
    }
}

/// `working 12s (osc7501)`
#[must_use]
pub fn state_text(state: &doc::State) -> String {
    match state.source {
        Some(source) => format!("{} ({})", bare_state_text(state), source_name(source)),
        None => bare_state_text(state),
    }
}

fn bare_state_text(state: &doc::State) -> String {
    let name = view::run_name(state.kind);
    match state.kind {
        RunKind::None => name.to_owned(),
        _ => format!("{name} {}", Span::secs(state.age_s.max(1))),
    }
}

/// The name of a source.
#[must_use]
pub fn source_name(source: Source) -> &'static str {
    match source {
        Source::Osc7501 => "osc7501",
        Source::StatusFile => "status-file",
        Source::Hook => "hook",
        Source::Notify => "notify",
        Source::Title => "title",
        Source::Screen => "screen",
        Source::Activity => "activity",
        Source::Process => "process",
    }
}

/// `green 12 tests`, `red 1/12 failed`
fn verdict_part(v: &doc::Verdict) -> Part {
    let tone = match v.outcome {
        VerdictOutcome::Green => Tone::Good,
        VerdictOutcome::Red | VerdictOutcome::Error => Tone::Bad,
        VerdictOutcome::Stale | VerdictOutcome::None => Tone::Warn,
    };
    Part::new(tone, verdict_text(v))
}

/// `green 12 tests`, `red 1/12 failed`
#[must_use]
pub(super) fn verdict_text(v: &doc::Verdict) -> String {
    let sum = v.checks.iter().filter_map(|c| c.tests).fold(TestCounts::default(), |a, b| TestCounts {
        total: a.total + b.total,
        passed: a.passed + b.passed,
        failed: a.failed + b.failed,
        skipped: a.skipped + b.skipped,
    });
    let tests = match (sum.total, sum.failed) {
        (0, _) => String::new(),
        (1, 0) => " 1 test".to_owned(),
        (total, 0) => format!(" {total} tests"),
        (total, failed) => format!(" {failed}/{total} failed"),
    };
    let name = if v.outcome == VerdictOutcome::None { "unverified" } else { view::outcome_name(v.outcome) };
    format!("{name}{tests}")
}

/// How long ago, in one or two units.
#[must_use]
pub fn age(now: Now, at: Wall) -> String {
    Span::secs(now.wall.since(at).as_secs().max(1)).to_string()
}

#[cfg(test)]
mod tests;
