//! What happened to a task, each thing once and in its best words.
//!
//! **Invariant:** of what was asked, the words that stand last are told, at the moment it was asked
//! first; what is still open is told above, with its age. The document has everything. Must not
//! know: the log.

use crate::board::doc::{Moment, Show};
use crate::board::when;
use crate::model::text::clean;
use crate::model::time::{Now, Wall};

use super::lines::Lines;
use super::{NARROWEST, Tone, age};

/// What a person need not read again to know what happened; the document has it all.
const PASSING: [&str; 10] = [
    "state-changed",
    "diff-observed",
    "usage-observed",
    "turn-began",
    "session-learned",
    "message-typing",
    "message-typed",
    // It stands above.
    "noted",
    // What came of it stands beside the check-in.
    "facts-sought",
    "check-in-compared",
];

/// The end of a long timeline is what is of interest.
const SHOWN: usize = 40;

pub(super) fn show(doc: &Show, now: Now, out: &mut Lines<'_>) {
    let open = doc.task.needs_you.as_ref().map(|need| need.question.as_str());
    let rows = rows(&doc.timeline, open);
    let left_out = rows.len().saturating_sub(SHOWN);
    out.heading("timeline", Tone::Bold);
    if left_out > 0 {
        out.note(&format!("… {left_out} before: standup events --task {}", doc.task.id));
    }
    let room = out.paint.columns().max(NARROWEST) - 12;
    for (at, text) in &rows[left_out..] {
        let text = when::told(text, now, &out.paint.zone());
        out.note(&format!("{:>7}  {}", age(now, *at), clean(&text, room)));
    }
}

/// The moments that are told, with their words.
fn rows<'a>(timeline: &'a [Moment], open: Option<&str>) -> Vec<(Wall, &'a str)> {
    let mut rows: Vec<(Wall, &Moment)> = Vec::new();
    // From here on a question may be the one that is open.
    let mut since = 0;
    for moment in timeline.iter().filter(|m| !PASSING.contains(&m.event.as_str())) {
        if moment.event == "needs-you-cleared" {
            since = rows.len() + 1;
        }
        let before = rows[since.min(rows.len())..].iter().rposition(|(_, m)| m.asks.is_some()).map(|n| n + since);
        match before {
            // More has become known of it.
            Some(n) if moment.refines && rows[n].1.event == moment.event => rows[n].1 = moment,
            Some(n) if moment.asks.is_some() && rows[n].1.asks == moment.asks => {
                // That it asks says more than that it reported.
                if rows[n].1.event == "check-in-received" {
                    rows[n].1 = moment;
                }
            }
            _ => rows.push((moment.at, moment)),
        }
    }
    let stands_above = |(n, m): (usize, &Moment)| n >= since && open.is_some() && m.asks.as_deref() == open;
    let told = rows.iter().enumerate().filter(|(n, (_, m))| !stands_above((*n, m)));
    told.map(|(_, (at, m))| (*at, m.text.as_str())).collect()
}

/// Whether words stand above already, as those of what is open or with what to do about it behind them.
pub(super) fn is_open(doc: &Show, words: &str) -> bool {
    let said =
        |question: &str| question.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with("; "));
    !words.is_empty() && doc.task.needs_you.as_ref().is_some_and(|need| said(&need.question))
}
