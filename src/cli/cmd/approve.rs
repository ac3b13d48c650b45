//! `standup approve`: your yes, to a plan or to work.

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::input::Command;
use crate::model::settings::Requirement;
use crate::model::verdict::VerdictOutcome;
use crate::policy;

/// Say yes to a plan in design, or to work in review
///
/// A plan that is approved is carried out at once, in the same conversation. Approved work stays
/// in review; the yes counts for the files as they are now, and for no others.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    super::require_person()?;
    let board = ctx.seen()?.board;
    let task = ctx.task(&board, args.task.as_deref())?;
    let plan = board.tasks[&task].is_planning();
    ctx.command(Command::Approve { task }, Vec::new())?;
    let board = ctx.seen()?.board;
    let found = &board.tasks[&task];
    let approval = found.attempt().and_then(|a| a.approval.as_ref()).filter(|_| !plan);
    let required = board.surroundings.as_ref().zip(found.attempt());
    let required = required.map_or_else(Vec::new, |(around, a)| policy::required(&around.settings, a.mode));
    let unmet: Vec<(Requirement, String)> =
        required.into_iter().filter(|_| !plan).filter_map(|r| Some((r, policy::unmet(found, r)?))).collect();
    if ctx.ui.json {
        let unmet: Vec<Requirement> = unmet.iter().map(|(requirement, _)| *requirement).collect();
        let what = if plan { "plan" } else { "work" };
        let tree = approval.map(|a| &a.tree);
        let body =
            serde_json::json!({"task": task, "approved": what, "tree": tree, "column": found.column, "unmet": unmet});
        return ctx.ui.json(&Document::new("approve", body)).map(|()| Code::Ok);
    }
    let Some(approval) = approval else {
        ctx.ui.answer(&format!("{task}: the plan is approved"))?;
        return Ok(Code::Ok);
    };
    ctx.ui.answer(&format!("{task} is approved at tree {}", approval.tree.short()))?;
    let judged = found.attempt().and_then(|a| a.judged.as_ref().filter(|_| !a.is_stale()));
    if judged.is_none_or(|j| j.verdict.outcome != VerdictOutcome::Green) {
        ctx.ui.say("its checks are not green for these files; an approval does not stand in for them");
        ctx.ui.hint(&format!("standup verify {task}"));
    }
    if let Some((_, why)) = unmet.iter().find(|(requirement, _)| *requirement == Requirement::Reviewed) {
        ctx.ui.say(&format!("it may not land yet: {why}"));
    }
    Ok(Code::Ok)
}
