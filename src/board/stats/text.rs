//! The counts as a table for a terminal.
//!
//! **Invariant:** labels and reasons are cleaned and bounded. Must not know: how anything is counted.

use crate::board::text::{Paint, Tone};
use crate::board::when;
use crate::model::state::RunKind;
use crate::model::task::Column;
use crate::model::text::{clean, width};
use crate::model::time::Span;

use super::{By, Group, InColumn, InState, Reason, SMALL_SAMPLE, Stats};

/// The widest name of a group.
const NAME: usize = 16;

/// What stands where nothing was counted.
const NONE: &str = "–";

/// The states whose time is told, with what their columns are called.
const STATES: [(RunKind, &str); 4] = [
    (RunKind::Working, "working"),
    (RunKind::Waiting, "waiting for you"),
    (RunKind::Limited, "limited"),
    (RunKind::Checking, "checking"),
];

/// What reasons are given for, in the order in which they are listed.
const KINDS: [&str; 6] = ["canceled", "sent back", "plan sent back", "taken over", "handed back", "limit"];

/// The widest of them.
const WHAT: usize = 14;

/// Reasons of each kind that are shown.
const TOP: usize = 3;

/// The narrowest terminal that lines are laid out for.
const NARROWEST: usize = 40;

/// `standup stats`
#[must_use]
pub fn text(stats: &Stats, paint: &dyn Paint) -> String {
    let since = match stats.since {
        Some(at) => format!("since {}", when::short(at, stats.until, &paint.zone())),
        None => "since the first task".to_owned(),
    };
    let by = match stats.by {
        By::Agent => "agent",
        By::Mode => "mode",
        By::Label => "label",
        By::Brief => "brief",
    };
    let mut out = format!("{} {}\n\n", paint.paint(Tone::Bold, "stats"), paint.paint(Tone::Dim, &since));
    if stats.all.tasks == 0 && stats.groups.is_empty() {
        out.push_str("Nothing was begun.\n");
        return out;
    }
    let groups: Vec<&Group> = stats.groups.iter().chain([&stats.all]).collect();
    let heads = [by, "begun", "success", "done", "sent back", "retries", "red checks"];
    let all = std::iter::once(&stats.all);
    let counted = |is: fn(&&Group) -> bool| stats.groups.iter().filter(is).chain(all.clone()).collect::<Vec<_>>();
    out.push_str(&table(&heads, &counted(has_counts).into_iter().map(counts).collect::<Vec<_>>(), paint));
    let heads = [by, "check-ins", "nudges", "late", "questions", "permissions", "limits", "quota"];
    out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "reports and interruptions")));
    out.push_str(&table(&heads, &counted(has_attention).into_iter().map(attention).collect::<Vec<_>>(), paint));
    push_times(&mut out, by, &groups, paint);
    push_limits(&mut out, stats, paint);
    push_reasons(&mut out, stats, paint);
    let small = format!(
        "\nsuccess: done without being sent back or begun anew, of what was closed; a percentage from {SMALL_SAMPLE} on\n"
    );
    out.push_str(&paint.paint(Tone::Dim, &small));
    out
}

/// Whether anything of a group was begun or closed; what only waited has nothing but its time.
fn has_counts(group: &&Group) -> bool {
    let n = [group.tasks, group.done.of, group.bounces, group.retries, group.red.of];
    n.iter().any(|n| *n > 0)
}

/// Whether anything of a group was begun or interrupted anybody.
fn has_attention(group: &&Group) -> bool {
    let n = [group.tasks, group.check_ins, group.nudges, group.late, group.questions, group.permissions];
    n.iter().any(|n| *n > 0) || group.out_of_quota > 0 || !group.limits.is_empty()
}

/// Time in each column and in each state, as far as any was spent there.
fn push_times(out: &mut String, by: &str, groups: &[&Group], paint: &dyn Paint) {
    let all = groups.last().expect("all tasks come last");
    let columns: Vec<Column> =
        Column::ALL.into_iter().filter(|c| all.columns.iter().any(|held| held.column == *c)).collect();
    if !columns.is_empty() {
        out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "time in each column, on the average of a task there")));
        let heads: Vec<&str> = [by].into_iter().chain(columns.iter().map(|c| c.name())).collect();
        let of = |group: &Group, c: &Column| group.columns.iter().find(|held| held.column == *c).map(InColumn::average);
        out.push_str(&table(&heads, &rows(groups, &columns, of), paint));
    }
    let states: Vec<RunKind> =
        STATES.map(|(state, _)| state).into_iter().filter(|s| all.states.iter().any(|held| held.state == *s)).collect();
    if !states.is_empty() {
        out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "time in each state, on the average of a task in it")));
        let heads = STATES.iter().filter(|(state, _)| states.contains(state)).map(|(_, name)| *name);
        let heads: Vec<&str> = [by].into_iter().chain(heads).collect();
        let of = |group: &Group, s: &RunKind| group.states.iter().find(|held| held.state == *s).map(InState::average);
        out.push_str(&table(&heads, &rows(groups, &states, of), paint));
    }
}

fn rows<T>(groups: &[&Group], columns: &[T], of: impl Fn(&Group, &T) -> Option<Span>) -> Vec<Vec<String>> {
    let cells = |group: &&Group| {
        let times = columns
            .iter()
            .map(|c| of(group, c).map_or_else(|| NONE.to_owned(), |span| span.max(Span::secs(1)).to_string()));
        [clean(&group.name, NAME)].into_iter().chain(times).collect()
    };
    groups.iter().map(cells).collect()
}

fn push_limits(out: &mut String, stats: &Stats, paint: &dyn Paint) {
    if stats.all.limits.is_empty() {
        return;
    }
    let named: Vec<String> =
        stats.all.limits.iter().map(|crossed| format!("{} {}×", crossed.limit.key(), crossed.times)).collect();
    let heading = "limits crossed: ";
    let room = paint.columns().max(NARROWEST).saturating_sub(width(heading));
    out.push_str(&format!("\n{}{}\n", paint.paint(Tone::Dim, heading), clean(&named.join(" · "), room)));
}

/// The most frequent reasons of each kind.
fn push_reasons(out: &mut String, stats: &Stats, paint: &dyn Paint) {
    if stats.reasons.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "reasons")));
    let room = paint.columns().max(NARROWEST).saturating_sub(WHAT + 9);
    for what in KINDS {
        let of: Vec<&Reason> = stats.reasons.iter().filter(|reason| reason.what == what).collect();
        for reason in of.iter().take(TOP) {
            let why = if reason.why.is_empty() { "nobody said why" } else { &reason.why };
            out.push_str(&format!("{:>4}×  {what:<WHAT$} {}\n", reason.times, clean(why, room)));
        }
        if let Some(more) = of.len().checked_sub(TOP).filter(|more| *more > 0) {
            out.push_str(&format!("       {what:<WHAT$} and {more} more: standup stats --json\n"));
        }
    }
}

fn counts(group: &Group) -> Vec<String> {
    vec![
        clean(&group.name, NAME),
        group.tasks.to_string(),
        group.success.short(),
        group.done.short(),
        group.bounces.to_string(),
        group.retries.to_string(),
        group.red.short(),
    ]
}

fn attention(group: &Group) -> Vec<String> {
    let limits: u32 = group.limits.iter().map(|crossed| crossed.times).sum();
    let numbers =
        [group.check_ins, group.nudges, group.late, group.questions, group.permissions, limits, group.out_of_quota];
    [clean(&group.name, NAME)].into_iter().chain(numbers.map(|n| n.to_string())).collect()
}

/// Columns as wide as they must be; the first to the left, numbers to the right.
fn table(heads: &[&str], rows: &[Vec<String>], paint: &dyn Paint) -> String {
    let wide = |n: usize| {
        let cells = rows.iter().map(|row| width(&row[n]));
        cells.chain([width(heads[n])]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(wide).collect();
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for (n, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[n].saturating_sub(width(cell)));
            line.push_str(&if n == 0 { format!("{cell}{pad}") } else { format!("  {pad}{cell}") });
        }
        format!("{}\n", line.trim_end())
    };
    let mut out = paint.paint(Tone::Dim, line(heads).trim_end());
    out.push('\n');
    for row in rows {
        out.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    out
}
