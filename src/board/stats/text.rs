//! The counts as a table for a terminal.
//!
//! **Invariant:** labels and reasons are cleaned and bounded. Must not know: how anything is counted.

use crate::board::text::{Paint, Tone};
use crate::model::task::Column;
use crate::model::text::{clean, width};

use super::{By, Group, SMALL_SAMPLE, Stats};

/// The widest name of a group.
const NAME: usize = 16;

/// The narrowest terminal that lines are laid out for.
const NARROWEST: usize = 40;

/// `standup stats`
#[must_use]
pub fn text(stats: &Stats, paint: &dyn Paint) -> String {
    let since = match stats.since {
        Some(at) => format!("since {} UTC", at.to_string().get(..16).unwrap_or_default().replace('T', " ")),
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
    let heads = [by, "begun", "success", "done", "sent back", "retries", "red checks", "late", "questions"];
    let rows: Vec<Vec<String>> = groups.iter().map(|group| counts(group)).collect();
    out.push_str(&table(&heads, &rows, paint));
    let columns: Vec<Column> =
        Column::ALL.into_iter().filter(|c| stats.all.columns.iter().any(|held| held.column == *c)).collect();
    if !columns.is_empty() {
        out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "time in each column, on the average of a task there")));
        let heads: Vec<&str> = [by].into_iter().chain(columns.iter().map(|c| c.name())).collect();
        let rows: Vec<Vec<String>> = groups.iter().map(|group| times(group, &columns)).collect();
        out.push_str(&table(&heads, &rows, paint));
    }
    if !stats.reasons.is_empty() {
        out.push_str(&format!("\n{}\n", paint.paint(Tone::Dim, "reasons")));
    }
    let room = paint.columns().max(NARROWEST) - 20;
    for reason in &stats.reasons {
        let why = if reason.why.is_empty() { "nobody said why" } else { &reason.why };
        out.push_str(&format!("{:>4}×  {:<11} {}\n", reason.times, reason.what, clean(why, room)));
    }
    let small = format!(
        "\nsuccess: done without being sent back or begun anew, of what was closed; a percentage from {SMALL_SAMPLE} on\n"
    );
    out.push_str(&paint.paint(Tone::Dim, &small));
    out
}

fn counts(group: &Group) -> Vec<String> {
    vec![
        clean(&group.name, NAME),
        group.tasks.to_string(),
        group.success.to_string(),
        group.done.to_string(),
        group.bounces.to_string(),
        group.retries.to_string(),
        group.red.to_string(),
        group.late.to_string(),
        group.questions.to_string(),
    ]
}

fn times(group: &Group, columns: &[Column]) -> Vec<String> {
    let time = |column: &Column| {
        let held = group.columns.iter().find(|held| held.column == *column);
        held.map_or_else(|| "–".to_owned(), |held| held.average().to_string())
    };
    [clean(&group.name, NAME)].into_iter().chain(columns.iter().map(time)).collect()
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
