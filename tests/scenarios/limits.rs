//! Limits by name, as stories set them.

use standup::model::settings::{LimitAction, Limits};

/// Sets one limit.
pub(crate) fn set_limit(limits: &mut Limits, which: &str, value: &str) -> Result<(), String> {
    let number = || value.parse().map_err(|e| format!("{e}"));
    let action = || LimitAction::WORDS.iter().find(|(word, _)| *word == value).map(|(_, a)| *a).ok_or("no such action");
    match which {
        "wall_clock" => limits.wall_clock = value.parse().map_err(|e| format!("{e}"))?,
        "late_check_ins" => limits.late_check_ins = number()?,
        "same_failure" => limits.same_failure = number()?,
        "changed_lines" => limits.changed_lines = u64::from(number()?),
        "changed_files" => limits.changed_files = u64::from(number()?),
        "tokens" => limits.tokens = Some(u64::from(number()?)),
        "cost_usd" => limits.cost_usd = Some(value.parse().map_err(|e| format!("{e}"))?),
        "off_limits" => limits.off_limits = action()?,
        "action" => limits.action = action()?,
        other => return Err(format!("no limit is called {other}")),
    }
    Ok(())
}
