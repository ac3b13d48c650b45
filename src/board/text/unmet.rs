//! What `show` says of work that may not land yet.

use crate::board::doc;
use crate::model::settings::Requirement;
use crate::model::task::Column;
use crate::model::text::clean_line;

use super::Tone;
use super::lines::Lines;

/// What stands between finished work and its landing.
pub(super) fn show(doc: &doc::Show, out: &mut Lines<'_>) {
    if doc.unmet.is_empty() || doc.task.column != Column::Review {
        return;
    }
    out.heading("before it may land", Tone::Bold);
    for unmet in &doc.unmet {
        out.note(&format!("{:<9} {}", requirement_name(unmet.requirement), clean_line(&unmet.because)));
    }
}

fn requirement_name(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::Green => "green",
        Requirement::Approved => "approved",
        Requirement::Reviewed => "reviewed",
    }
}
