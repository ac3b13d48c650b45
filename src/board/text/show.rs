//! One task with all that is known of it, and what its checks showed.
//!
//! **Invariant:** what agents and checks wrote is cleaned line by line. Must not know: the board.

use crate::board::report::claim_name;
use crate::board::{doc, usage, view, when};
use crate::model::event::By;
use crate::model::task::Column;
use crate::model::text::{clean_line, clean_lines};
use crate::model::time::Now;
use crate::model::verdict::{CheckOutcome, Verdict};

use super::facts::seen_text;
use super::lines::Lines;
use super::{Paint, Tone, age, need_name, next_steps, option_text, state_text, timeline, unmet, verdict_part};

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
        need.options.iter().for_each(|option| out.note(&option_text(option)));
        let here = format!("standup show {}", t.id);
        next_steps(t, need.kind).iter().filter(|step| **step != here).for_each(|step| out.hint(step));
    }
    show_hands(doc, now, &mut out);
    show_attempt(doc, now, &mut out);
    show_plan(doc, now, &mut out);
    show_verdict(t, &mut out);
    show_beyond(doc, &mut out);
    unmet::show(doc, &mut out);
    show_reports(doc, now, &mut out);
    out.heading("brief", Tone::Bold);
    if let Some(a) = t.attempt.as_ref().filter(|_| !doc.untold.is_empty()) {
        let text =
            format!("changed since attempt {} began; its agent was not told: {}", a.number, doc.untold.join(", "));
        out.note(&out.paint.paint(Tone::Warn, &text));
    }
    doc.brief.lines().for_each(|l| out.note(&clean_line(l)));
    timeline::show(doc, now, &mut out);
    out.text
}

/// What a person holds of the task.
fn show_hands(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {}", clean_line(reason)) };
    if let Some(taken) = &doc.task.takeover {
        let whose = if taken.by == By::Rule { "taken over for you" } else { "in your hands" };
        let reason = if timeline::is_open(doc, &taken.reason) { "" } else { &taken.reason };
        out.heading(&format!("{whose} {}{}", age(now, taken.since), because(reason)), Tone::Warn);
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
    if let Some(astray) = &a.astray {
        let text = format!("          its worktree {}", clean_line(&astray.text()));
        out.note(&out.paint.paint(Tone::Bad, &text));
    }
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
    for line in doc.tail.lines() {
        out.note(&format!("last      {}", clean_line(line)));
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
    if c.nudges > 0 {
        parts.push(format!("{} so far", view::plural(u64::from(c.nudges), "reminder")));
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

/// Paths off limits that are named; the document has all.
const VIOLATIONS_SHOWN: usize = 20;

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

/// What the work does that was not allowed.
fn show_beyond(doc: &doc::Show, out: &mut Lines<'_>) {
    let crossed: Vec<&String> = doc.crossed.iter().filter(|why| !timeline::is_open(doc, why)).collect();
    if doc.violations.is_empty() && crossed.is_empty() {
        return;
    }
    out.heading("beyond its limits", Tone::Bad);
    let shown = doc.violations.len().min(VIOLATIONS_SHOWN);
    doc.violations[..shown].iter().for_each(|path| out.note(&format!("off limits  {}", clean_line(path))));
    if doc.violations.len() > shown {
        out.note(&format!("            and {} more", doc.violations.len() - shown));
    }
    crossed.iter().for_each(|why| out.note(&format!("limit       {}", clean_line(why))));
}

fn show_reports(doc: &doc::Show, now: Now, out: &mut Lines<'_>) {
    if !doc.checkins.is_empty() {
        out.heading("check-ins", Tone::Bold);
    }
    for c in &doc.checkins {
        let met: Vec<String> = c.met.iter().map(|n| format!("#{n}")).collect();
        let met = if met.is_empty() { String::new() } else { format!(", says {} met", met.join(" ")) };
        out.note(&format!("{:>7}  {}{met}", age(now, c.at), claim_name(c.state)));
        if !c.did.is_empty() {
            out.note(&format!("         did: {}", clean_line(&c.did)));
        }
        for blocker in &c.blockers {
            out.note(&format!("         in its way: {}", clean_line(blocker)));
        }
        if !c.next.is_empty() {
            out.note(&format!("         next: {}", clean_line(&c.next)));
        }
        if let Some(q) = c.question.as_ref().filter(|q| !timeline::is_open(doc, q)) {
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
        let held = m.held.as_ref().map(|h| when::told(h, now, &out.paint.zone()));
        let held = held.map(|h| format!(" ({})", clean_line(&h))).unwrap_or_default();
        let first = m.text.lines().next().unwrap_or("");
        out.note(&format!("{:>7}  {}{held}: {}", age(now, m.at), m.delivery, clean_line(first)));
    }
    if !doc.criteria.is_empty() {
        out.heading("criteria", Tone::Bold);
    }
    for c in &doc.criteria {
        let (mark, tone) = match (&c.shown_by, c.met_claimed) {
            (Some(_), _) => ("shown", Tone::Good),
            (None, true) => ("claimed", Tone::Warn),
            (None, false) => ("open", Tone::Plain),
        };
        let mark = out.paint.paint(tone, &format!("{mark:<8}"));
        let by = c.check.as_ref().map(|check| out.paint.paint(Tone::Dim, &format!("  ({check})"))).unwrap_or_default();
        out.note(&format!("#{} {mark} {}{by}", c.n, clean_line(&c.text)));
    }
}
