//! `standup state`: what an agent is doing, and who says so.

use crate::board::doc::{Document, State, Task};
use crate::board::text::{Paint, Tone, broken, source_name, state_text};
use crate::board::usage::unmeasured_text;
use crate::board::view;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::id::TaskId;
use crate::model::text::clean_line;
use crate::model::time::Span;
use crate::wire::control::{Answer, Request, Signal};

/// Show what a task's agent is doing
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Every signal, with its age and weight
    #[arg(long)]
    explain: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let seen = ctx.seen()?;
    let id = ctx.task(&seen.board, args.task.as_deref())?;
    let scene = ctx.scene(&seen)?;
    let task = &seen.board.tasks[&id];
    let Task { unmeasured, agent, .. } = view::task(&seen.board, task, &scene);
    let (state, about) = view::standing(task, &scene);
    let signals = if args.explain { Some(explain(ctx, id)?) } else { None };
    if ctx.ui.json {
        let signals = signals.unwrap_or_default();
        let body = serde_json::json!({
            "task": id, "state": state, "text": about, "signals": signals, "unmeasured": unmeasured,
        });
        ctx.ui.json(&Document::new("state", body))?;
        return Ok(Code::Ok);
    }
    let mut text = format!("{}\n", line(&state, about.as_deref()));
    for gap in unmeasured {
        let agent = agent.as_ref().map_or("its agent", |agent| agent.as_str());
        text.push_str(&format!("  {}\n", ctx.ui.paint(Tone::Warn, &unmeasured_text(gap.limit, gap.told, agent))));
    }
    if let Some(signals) = &signals {
        if signals.is_empty() {
            text.push_str("  no signal: nothing runs\n");
        }
        signals.iter().for_each(|signal| text.push_str(&row(ctx, signal)));
    }
    ctx.ui.answer(&text)?;
    Ok(Code::Ok)
}

/// Where the words of a source begin: under its state.
const BELOW: usize = 15;

fn line(state: &State, about: Option<&str>) -> String {
    match about {
        Some(text) => format!("{}: {}", state_text(state), clean_line(text)),
        None => state_text(state),
    }
}

fn explain(ctx: &Context, task: TaskId) -> Result<Vec<Signal>, Failure> {
    let Some(mut client) = ctx.running()? else {
        let text = "no supervisor runs, so nobody hears the signals";
        return Err(Failure::new(Code::Unreachable, text).hint("standup up"));
    };
    match client.ask(&Request::Explain { task })? {
        Answer::Signals { signals } => Ok(signals),
        _ => Err(Failure::new(Code::Bug, "the supervisor answered something else than signals")),
    }
}

/// `* osc7501      working        2s  weight 7  the most trusted source that speaks`, and below it
/// what that source said.
fn row(ctx: &Context, signal: &Signal) -> String {
    let kind = signal.kind.map_or("–", view::run_name);
    let ms = std::time::Duration::try_from_secs_f64(signal.age_s.max(0.0)).unwrap_or_default().as_millis();
    let age = Span(u64::try_from(ms).unwrap_or(u64::MAX)).to_string();
    let mark = if signal.counted { ctx.ui.paint(Tone::Good, "*") } else { " ".to_owned() };
    let source = source_name(signal.source);
    let line = format!("{mark} {source:<12} {kind:<9} {age:>7}  weight {}  {}", signal.weight, clean_line(&signal.why));
    let said = clean_line(&signal.text);
    let room = ctx.ui.columns().max(BELOW * 2).saturating_sub(BELOW);
    let below: Vec<String> = if said.is_empty() || said == source { Vec::new() } else { broken(&said, room) };
    let below = below.iter().map(|line| format!("{:BELOW$}{}\n", "", ctx.ui.paint(Tone::Dim, line)));
    format!("{}\n{}", line.trim_end(), below.collect::<String>())
}
