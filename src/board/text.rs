//! The board as text: first who needs you, then who works, what is ready, and why the rest waits.

use crate::model::board::HoldKind;
use crate::model::event::{By, NeedKind};
use crate::model::state::{RunKind, Source};
use crate::model::task::Column;
use crate::model::text::{clean, clean_line, clean_lines};
use crate::model::time::{Now, Span, Wall};
use crate::model::verdict::{CheckOutcome, TestCounts, Verdict, VerdictOutcome};

mod facts;
mod lines;
mod unmet;

use facts::seen_text;
use lines::{Lines, Part};

use super::doc;
use super::usage;
use super::view;

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
    let with_source = paint.columns() >= WIDE;
    section(doc, "works", &mut out, |t| is_at_work(t) && calm(t), |t| work_line(doc, t, with_source));
    section(doc, "ready for review", &mut out, |t| t.column == Column::Review && calm(t), review_line);
    section(doc, "in your hands", &mut out, |t| t.column == Column::Takeover && calm(t), |t| taken_line(t, now));
    let waits =
        |t: &doc::Task| t.needs_you.is_none() && (t.column == Column::Backlog || (!is_at_work(t) && in_work(t)));
    section(doc, "waits", &mut out, waits, |t| vec![wait_line(doc, t)]);
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
        out.row(
            task,
            &[Part::new(Tone::Warn, format!("{} {since}", need_name(need.kind), since = age(now, need.since)))],
        );
        for line in need.question.lines().filter(|l| !l.trim().is_empty()).take(QUESTION_SHOWN) {
            let room = out.paint.columns().max(NARROWEST) - BELOW;
            out.line(&format!("{:BELOW$}{}", "", clean(line, room)));
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

/// The commands that answer a need, the likeliest first.
#[must_use]
pub fn next_steps(task: &doc::Task, kind: NeedKind) -> Vec<String> {
    let id = task.id;
    let (attach, show) = (format!("standup attach {id}"), format!("standup show {id}"));
    let send = format!("standup send {id} \"…\"");
    let designs = kind == NeedKind::Question && task.column == Column::Design;
    // A plan is read before it is answered.
    let answers = |option: &&doc::Choice| !(designs && option.answer == "yes");
    let option = task.needs_you.as_ref().and_then(|need| need.options.first()).filter(answers);
    if let Some(option) = option.filter(|_| matches!(kind, NeedKind::Permission | NeedKind::Question)) {
        let answer = if option.answer.contains(' ') { "\"…\"" } else { &option.answer };
        return vec![format!("standup answer {id} {answer}"), attach];
    }
    match kind {
        NeedKind::Question if task.column == Column::Design => {
            vec![show, format!("standup approve {id}"), format!("standup reject {id} --note \"…\"")]
        }
        NeedKind::Question if task.column == Column::Takeover => {
            vec![format!("standup takeover {id}"), format!("standup handback {id} --note \"…\"")]
        }
        NeedKind::Permission | NeedKind::Trust | NeedKind::Login => vec![attach],
        NeedKind::Question => vec![attach, send],
        NeedKind::Red => vec![show, send],
        NeedKind::Exit if task.attempt.as_ref().is_some_and(|a| a.host_pid.is_some()) => vec![attach],
        NeedKind::Exit | NeedKind::Lost => vec![format!("standup logs {id}"), format!("standup retry {id}")],
        NeedKind::Late => vec![format!("standup nudge {id}"), attach, show],
        NeedKind::Limit | NeedKind::OffLimits => vec![show, send],
    }
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

fn work_line(doc: &doc::Status, t: &doc::Task, with_source: bool) -> Vec<Part> {
    let state = if with_source { state_text(&t.state) } else { bare_state_text(&t.state) };
    let mut parts = vec![Part::new(Tone::Plain, state)];
    parts.extend(hold(doc, t).map(|h| Part::new(Tone::Warn, clean_line(&h.text))));
    parts.extend(t.verdict.as_ref().map(verdict_part));
    parts.extend(diff_parts(t));
    parts
}

fn review_line(t: &doc::Task) -> Vec<Part> {
    let unverified = || Part::new(Tone::Warn, "unverified".to_owned());
    let mut parts = vec![t.verdict.as_ref().map_or_else(unverified, verdict_part)];
    parts.extend(diff_parts(t));
    parts
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

fn wait_line(doc: &doc::Status, t: &doc::Task) -> Part {
    let why = match (hold(doc, t), t.state.kind) {
        (Some(hold), _) => clean_line(&hold.text),
        (None, RunKind::None) => "next".to_owned(),
        (None, _) => state_text(&t.state),
    };
    let tone = match hold(doc, t).map(|h| h.because) {
        Some(HoldKind::Trust | HoldKind::Agent | HoldKind::Asks) => Tone::Warn,
        _ => Tone::Dim,
    };
    Part::new(tone, why)
}

fn hold<'a>(doc: &'a doc::Status, t: &doc::Task) -> Option<&'a doc::Hold> {
    doc.holds.iter().find(|h| h.task == t.id)
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

/// `standup show`
#[must_use]
pub fn show(doc: &doc::Show, now: Now, paint: &dyn Paint) -> String {
    let mut out = Lines::new(paint);
    let t = &doc.task;
    let title = clean_line(&t.title);
    out.line(&format!("{} {}", paint.paint(Tone::Bold, &t.id.to_string()), paint.paint(Tone::Bold, &title)));
    let mut facts = vec![t.column.name().to_owned(), state_text(&t.state)];
    facts.extend(t.agent.as_ref().map(|a| format!("by {a}")));
    facts.extend(t.flags.iter().map(|f| (*f).to_owned()));
    out.line(&paint.paint(Tone::Dim, &facts.join(" · ")));
    if let Some(why) = &doc.unconfined {
        out.line(&paint.paint(Tone::Warn, &format!("unconfined: {}", clean_line(why))));
    }
    if let Some(why) = doc.plan_unenforced.as_ref().filter(|_| t.column == Column::Design || t.attempt.is_none()) {
        out.line(&paint.paint(Tone::Warn, &format!("it is only asked to plan first: {}", clean_line(why))));
    }
    if let Some(need) = &t.needs_you {
        out.heading(&format!("needs you: {} {}", need_name(need.kind), age(now, need.since)), Tone::Warn);
        need.question.lines().for_each(|l| out.note(&clean_line(l)));
        next_steps(t, need.kind).iter().for_each(|step| out.hint(step));
    }
    show_hands(doc, now, &mut out);
    show_attempt(doc, now, &mut out);
    show_plan(doc, now, &mut out);
    show_verdict(t, &mut out);
    unmet::show(doc, &mut out);
    show_reports(doc, now, &mut out);
    out.heading("brief", Tone::Bold);
    doc.brief.lines().for_each(|l| out.note(&clean_line(l)));
    show_timeline(doc, now, &mut out);
    out.text
}

/// What a person need not read again to know what happened; the document has it all.
const PASSING: [&str; 7] = [
    "state-changed",
    "diff-observed",
    "usage-observed",
    "turn-began",
    "session-learned",
    "message-typing",
    "message-typed",
];

/// The end of a long timeline is what is of interest.
const TIMELINE_SHOWN: usize = 40;

fn show_timeline(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    let moments: Vec<&doc::Moment> = doc.timeline.iter().filter(|m| !PASSING.contains(&m.event.as_str())).collect();
    let left_out = moments.len().saturating_sub(TIMELINE_SHOWN);
    out.heading("timeline", Tone::Bold);
    if left_out > 0 {
        out.note(&format!("… {left_out} before: standup events --task {}", doc.task.id));
    }
    let room = out.paint.columns().max(NARROWEST) - 12;
    for m in &moments[left_out..] {
        out.note(&format!("{:>7}  {}", age(now, m.at), clean(&m.text, room)));
    }
}

/// What a person holds of the task.
fn show_hands(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {}", clean_line(reason)) };
    if let Some(taken) = &doc.task.takeover {
        let whose = if taken.by == By::Rule { "taken over for you" } else { "in your hands" };
        out.heading(&format!("{whose} {}{}", age(now, taken.since), because(&taken.reason)), Tone::Warn);
        out.hint(&format!("standup handback {} --note \"…\"", doc.task.id));
    }
    if let Some(paused) = &doc.task.paused {
        out.heading(&format!("paused {}{}", age(now, paused.since), because(&paused.reason)), Tone::Warn);
        out.hint(&format!("standup resume {}", doc.task.id));
    }
    if let Some(approval) = doc.task.attempt.as_ref().and_then(|a| a.approval.as_ref()) {
        let stale = if approval.stale { ", but the files have changed since" } else { "" };
        let text = format!("approved {} at tree {}{stale}", age(now, approval.at), approval.tree.short());
        out.heading(&text, if approval.stale { Tone::Warn } else { Tone::Good });
    }
}

fn show_plan(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    let Some(plan) = &doc.plan else { return };
    let stands = match plan.approved_at {
        Some(at) => format!("approved {}", age(now, at)),
        None if plan.open => "waits for your verdict".to_owned(),
        None => "being worked on".to_owned(),
    };
    out.heading(&format!("plan, {stands}"), Tone::Bold);
    clean_lines(&plan.text).lines().for_each(|line| out.note(line));
    if plan.open {
        out.hint(&format!("standup approve {}", doc.task.id));
        out.hint(&format!("standup reject {} --note \"…\"", doc.task.id));
    }
}

fn show_attempt(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    let Some(a) = &doc.task.attempt else { return };
    out.heading(&format!("attempt {}", a.number), Tone::Bold);
    out.note(&format!("branch    {}", clean_line(a.branch.as_str())));
    out.note(&format!("worktree  {}", clean_line(&a.worktree.display().to_string())));
    if let Some(oid) = &a.base_oid {
        let stat = doc.task.diff.as_ref().map(|d| d.stat);
        let old = stat.and_then(|s| s.base_at).map(|at| format!(", {} old", age(now, at))).unwrap_or_default();
        let lies = stat.map(|s| format!(", {} ahead, {} behind", s.ahead, s.behind)).unwrap_or_default();
        out.note(&format!("base      {}{old}{lies}", oid.short()));
    }
    if let Some(d) = &doc.task.diff {
        out.note(&format!("diff      {}", view::diff_text(&d.stat)));
    }
    if let Some(used) = doc.task.usage.as_ref().map(usage::used_text).filter(|text| !text.is_empty()) {
        out.note(&format!("used      {used}"));
    }
    for gap in &doc.task.unmeasured {
        let agent = doc.task.agent.as_ref().map_or("its agent", |agent| agent.as_str());
        out.note(&out.paint.paint(Tone::Warn, &usage::unmeasured_text(gap.limit, gap.told, agent)));
    }
    for note in &doc.notes {
        out.note(&format!("note      {}", clean_line(note)));
    }
    if let Some(session) = &a.agent_session {
        out.note(&format!("session   {}", clean_line(session)));
    }
    if let Some(text) = doc.task.checkin.as_ref().and_then(|c| deadline_text(c, now)) {
        out.note(&format!("check-in  {text}"));
    }
    for past in doc.attempts.iter().filter(|p| p.number != a.number) {
        out.note(&format!("before    {} by {}: {}", past.number, past.agent, clean_line(&past.end)));
    }
}

/// When the next check-in is due; `None` while nothing is, and nothing was said about it.
fn deadline_text(c: &doc::CheckIn, now: Now) -> Option<String> {
    let mut parts = Vec::new();
    if c.late {
        parts.push("late".to_owned());
    }
    match c.due_at {
        Some(at) if at > now.wall => parts.push(format!("due in {}", age(Now { wall: at, ..now }, now.wall))),
        Some(at) => parts.push(format!("due for {}", age(now, at))),
        None => {}
    }
    match c.nudges {
        0 => {}
        1 => parts.push("1 reminder so far".to_owned()),
        n => parts.push(format!("{n} reminders so far")),
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The lines of a failed check's output that are repeated below it.
const TAIL_SHOWN: usize = 20;

/// `standup verify`: what the checks showed, and the end of what failed ones wrote.
#[must_use]
pub fn evidence(t: &doc::Task, verdict: Option<&Verdict>, paint: &dyn Paint) -> String {
    let mut out = Lines::new(paint);
    out.line(&format!("{} {}", paint.paint(Tone::Bold, &t.id.to_string()), clean_line(&t.title)));
    show_verdict(t, &mut out);
    if let Some(why) = verdict.map(|v| v.why.as_str()).filter(|why| !why.is_empty()) {
        out.note(&clean_line(why));
    }
    for check in verdict.into_iter().flat_map(|v| &v.checks).filter(|c| c.outcome != CheckOutcome::Pass) {
        let lines: Vec<&str> = check.tail.lines().collect();
        if lines.is_empty() {
            continue;
        }
        out.heading(&format!("the end of {}", check.name), Tone::Dim);
        lines.iter().skip(lines.len().saturating_sub(TAIL_SHOWN)).for_each(|line| out.note(&clean_line(line)));
    }
    out.text
}

fn show_verdict(t: &doc::Task, out: &mut Lines<'_>) {
    let Some(v) = &t.verdict else { return };
    let head = verdict_part(v).painted(out.paint);
    let tree = v.tree.as_ref().map(|t| format!(" of tree {}", t.short())).unwrap_or_default();
    out.blank();
    out.line(&format!("{} {head}{tree}", out.paint.paint(Tone::Bold, "evidence")));
    for c in &v.checks {
        let (mark, tone) = match c.outcome {
            CheckOutcome::Pass => ("pass", Tone::Good),
            CheckOutcome::Fail => ("fail", Tone::Bad),
            CheckOutcome::Timeout => ("timeout", Tone::Bad),
            CheckOutcome::Error => ("error", Tone::Bad),
        };
        let tests = c.tests.map(|n| format!("  {} of {} tests passed", n.passed, n.total)).unwrap_or_default();
        let mark = out.paint.paint(tone, &format!("{mark:<7}"));
        out.note(&format!("{mark} {:<12} {:>6.1}s{tests}", c.name.to_string(), c.duration_s));
        if !c.why.is_empty() {
            out.note(&format!("        {}", clean_line(&c.why)));
        }
        c.new_failures.iter().take(10).for_each(|f| out.note(&format!("        {}", clean_line(f))));
    }
}

fn show_reports(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    if !doc.checkins.is_empty() {
        out.heading("check-ins", Tone::Bold);
    }
    for c in &doc.checkins {
        out.note(&format!("{:>7}  did: {}", age(now, c.at), clean_line(&c.did)));
        if !c.next.is_empty() {
            out.note(&format!("         next: {}", clean_line(&c.next)));
        }
        if let Some(q) = &c.question {
            let offers = if c.options.is_empty() { String::new() } else { format!(" [{}]", c.options.join(" | ")) };
            out.note(&format!("         asks: {}", clean_line(&format!("{q}{offers}"))));
        }
        if let Some(seen) = seen_text(&c.facts) {
            out.note(&format!("         seen: {seen}"));
        }
        if c.hollow {
            out.note("         the same words again and nothing new: it does not count");
        }
        for said in &c.contradictions {
            out.note(&out.paint.paint(Tone::Bad, &format!("         but: {}", clean_line(said))));
        }
    }
    if !doc.messages.is_empty() {
        out.heading("messages", Tone::Bold);
    }
    for m in &doc.messages {
        let held = m.held.as_ref().map(|h| format!(" ({})", clean_line(h))).unwrap_or_default();
        let first = m.text.lines().next().unwrap_or("");
        out.note(&format!("{:>7}  {}{held}: {}", age(now, m.at), m.delivery, clean_line(first)));
    }
    if !doc.criteria.is_empty() {
        out.heading("criteria", Tone::Bold);
    }
    for c in &doc.criteria {
        let mark = if c.met_claimed { "claimed" } else { "open" };
        out.note(&format!("#{} {mark:<8} {}", c.n, clean_line(&c.text)));
    }
}

/// How long ago, in one or two units.
#[must_use]
pub fn age(now: Now, at: Wall) -> String {
    Span::secs(now.wall.since(at).as_secs().max(1)).to_string()
}

#[cfg(test)]
mod tests;
