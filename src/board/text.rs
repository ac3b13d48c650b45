//! The board as text: first who needs you, then who works, what is ready, and why the rest waits.

use crate::model::board::HoldKind;
use crate::model::event::NeedKind;
use crate::model::state::{RunKind, Source};
use crate::model::task::Column;
use crate::model::text::{clean, clean_line, width};
use crate::model::time::{Now, Span, Wall};
use crate::model::verdict::{CheckOutcome, TestCounts, Verdict, VerdictOutcome};

use super::doc;
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
    section(doc, "works", &mut out, |t| is_at_work(t) && t.needs_you.is_none(), |t, p| work_line(doc, t, p));
    section(doc, "ready for review", &mut out, |t| t.column == Column::Review && t.needs_you.is_none(), review_line);
    section(
        doc,
        "in your hands",
        &mut out,
        |t| t.column == Column::Takeover && t.needs_you.is_none(),
        |_, _| String::new(),
    );
    let waits =
        |t: &doc::Task| t.needs_you.is_none() && (t.column == Column::Backlog || (!is_at_work(t) && in_work(t)));
    section(doc, "waits", &mut out, waits, |t, p| wait_line(doc, t, p));
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
        let since = age(now, need.since);
        out.row(task, &out.paint.paint(Tone::Warn, &format!("{} {since}", need_name(need.kind))));
        for line in need.question.lines().filter(|l| !l.trim().is_empty()).take(3) {
            out.note(&clean_line(line));
        }
        out.hint(&next_step(task, need.kind));
    }
}

/// The command that answers a need.
#[must_use]
pub fn next_step(task: &doc::Task, kind: NeedKind) -> String {
    let id = task.id;
    match kind {
        NeedKind::Permission | NeedKind::Trust | NeedKind::Login => format!("standup attach {id}"),
        NeedKind::Question => format!("standup send {id} \"…\"  or  standup attach {id}"),
        NeedKind::Red => format!("standup show {id}  then  standup send {id} \"…\""),
        NeedKind::Exit if task.attempt.as_ref().is_some_and(|a| a.host_pid.is_some()) => format!("standup attach {id}"),
        NeedKind::Exit | NeedKind::Lost => format!("standup logs {id}  then  standup retry {id}"),
        NeedKind::Late | NeedKind::Limit | NeedKind::OffLimits => format!("standup show {id}"),
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
        NeedKind::Exit => "ended",
        NeedKind::OffLimits => "off limits",
        NeedKind::Lost => "lost",
    }
}

fn section(
    doc: &doc::Status,
    title: &str,
    out: &mut Lines<'_>,
    which: impl Fn(&doc::Task) -> bool,
    say: impl Fn(&doc::Task, &dyn Paint) -> String,
) {
    let tasks: Vec<&doc::Task> = doc.tasks.iter().filter(|t| which(t)).collect();
    if tasks.is_empty() {
        return;
    }
    out.heading(title, Tone::Bold);
    for task in tasks {
        let said = say(task, out.paint);
        out.row(task, &said);
    }
}

fn work_line(doc: &doc::Status, t: &doc::Task, paint: &dyn Paint) -> String {
    let mut parts = vec![state_text(&t.state)];
    parts.extend(t.verdict.as_ref().map(|v| verdict_text(v, paint)));
    parts.extend(t.diff.as_ref().map(|d| view::diff_text(&d.stat)));
    parts.extend(hold(doc, t).map(|h| paint.paint(Tone::Warn, &clean_line(&h.text))));
    parts.join(" · ")
}

fn review_line(t: &doc::Task, paint: &dyn Paint) -> String {
    let verdict = t.verdict.as_ref().map_or_else(|| paint.paint(Tone::Warn, "unverified"), |v| verdict_text(v, paint));
    let diff = t.diff.as_ref().map(|d| view::diff_text(&d.stat));
    [Some(verdict), diff].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn wait_line(doc: &doc::Status, t: &doc::Task, paint: &dyn Paint) -> String {
    let why = match (hold(doc, t), t.state.kind) {
        (Some(hold), _) => clean_line(&hold.text),
        (None, RunKind::None) => "next".to_owned(),
        (None, _) => state_text(&t.state),
    };
    let tone = match hold(doc, t).map(|h| h.because) {
        Some(HoldKind::Trust | HoldKind::Agent | HoldKind::Asks) => Tone::Warn,
        _ => Tone::Dim,
    };
    paint.paint(tone, &why)
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
            out.row(task, &out.paint.paint(Tone::Dim, task.column.name()));
        }
    } else {
        out.blank();
        out.line(&out.paint.paint(Tone::Dim, &format!("done {} · canceled {}", done.len(), canceled.len())));
    }
}

/// `working 12s (osc7501)`
#[must_use]
pub fn state_text(state: &doc::State) -> String {
    let name = view::run_name(state.kind);
    if state.kind == RunKind::None {
        return name.to_owned();
    }
    let age = Span::secs(state.age_s.max(1));
    match state.source {
        Some(source) => format!("{name} {age} ({})", source_name(source)),
        None => format!("{name} {age}"),
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
#[must_use]
pub fn verdict_text(v: &doc::Verdict, paint: &dyn Paint) -> String {
    let sum = v.checks.iter().filter_map(|c| c.tests).fold(TestCounts::default(), |a, b| TestCounts {
        total: a.total + b.total,
        passed: a.passed + b.passed,
        failed: a.failed + b.failed,
        skipped: a.skipped + b.skipped,
    });
    let tests = match (sum.total, sum.failed) {
        (0, _) => String::new(),
        (total, 0) => format!(" {total} tests"),
        (total, failed) => format!(" {failed}/{total} tests failed"),
    };
    let tone = match v.outcome {
        VerdictOutcome::Green => Tone::Good,
        VerdictOutcome::Red | VerdictOutcome::Error => Tone::Bad,
        VerdictOutcome::Stale | VerdictOutcome::None => Tone::Warn,
    };
    let name = if v.outcome == VerdictOutcome::None { "unverified" } else { view::outcome_name(v.outcome) };
    paint.paint(tone, &format!("{name}{tests}"))
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
    if let Some(need) = &t.needs_you {
        out.heading(&format!("needs you: {} {}", need_name(need.kind), age(now, need.since)), Tone::Warn);
        need.question.lines().for_each(|l| out.note(&clean_line(l)));
        out.hint(&next_step(t, need.kind));
    }
    show_attempt(doc, now, &mut out);
    show_verdict(t, &mut out);
    show_reports(doc, now, &mut out);
    out.heading("brief", Tone::Bold);
    doc.brief.lines().for_each(|l| out.note(&clean_line(l)));
    out.heading("timeline", Tone::Bold);
    for m in &doc.timeline {
        let line = format!("{:>7}  {}", age(now, m.at), clean_line(&m.text));
        out.note(&line);
    }
    out.text
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
    if let Some(session) = &a.agent_session {
        out.note(&format!("session   {}", clean_line(session)));
    }
    for past in doc.attempts.iter().filter(|p| p.number != a.number) {
        out.note(&format!("before    {} by {}: {}", past.number, past.agent, clean_line(&past.end)));
    }
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
    let head = verdict_text(v, out.paint);
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
            out.note(&format!("         asks: {}", clean_line(q)));
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

struct Lines<'a> {
    text: String,
    paint: &'a dyn Paint,
}

impl<'a> Lines<'a> {
    fn new(paint: &'a dyn Paint) -> Self {
        Self { text: String::new(), paint }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str, tone: Tone) {
        self.blank();
        let text = self.paint.paint(tone, text);
        self.line(&text);
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    fn hint(&mut self, command: &str) {
        let hint = self.paint.paint(Tone::Dim, "hint:");
        self.line(&format!("  {hint} {command}"));
    }

    /// `  T3  Fix the pager           claude  …`
    fn row(&mut self, task: &doc::Task, said: &str) {
        let columns = self.paint.columns().max(NARROWEST);
        let room = (columns / 3).clamp(16, 44);
        let title = clean(&task.title, room);
        let pad = " ".repeat(room.saturating_sub(width(&title)));
        let agent = task.agent.as_ref().map(|a| clean(a.as_str(), 8)).unwrap_or_default();
        let id = format!("{:<4}", task.id.to_string());
        let agent = self.paint.paint(Tone::Dim, &format!("{agent:<8}"));
        self.line(&format!("  {} {title}{pad}  {agent}  {said}", self.paint.paint(Tone::Bold, &id)));
    }
}
