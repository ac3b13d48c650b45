//! `standup lint`: what makes a brief hard to meet.

use std::path::Path;

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::brief::{self, Brief, Finding, Level};
use crate::cli::briefs;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::named::Names;
use crate::model::text::clean_line;

/// Judge a brief: vague words, nothing to observe, too much at once
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A brief file, a list of tasks, - for standard input, or a task
    #[arg(value_name = "FILE|TASK")]
    what: Option<String>,
    /// End with 4 where there is a warning
    #[arg(long)]
    strict: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let (name, list) = briefs_of(ctx, args.what.as_deref())?;
    let names = Names::new(ctx);
    let found: Vec<(&Brief, Vec<Finding>)> =
        list.iter().map(|brief| (brief, [brief::lint(brief, ctx.checks()), unknown(&names, brief)].concat())).collect();
    if ctx.ui.json {
        let rows: Vec<serde_json::Value> = found.iter().map(|(brief, findings)| row(brief, findings)).collect();
        ctx.ui.json(&Document::new("lint", serde_json::json!({"file": name, "briefs": rows})))?;
    } else {
        let text: String = found.iter().map(|(brief, findings)| shown(ctx, &name, brief, findings)).collect();
        ctx.ui.answer(&text)?;
    }
    let warned = found.iter().flat_map(|(_, findings)| findings).any(|finding| finding.level == Level::Warn);
    Ok(if args.strict && warned { Code::NotMet } else { Code::Ok })
}

/// What a brief names that is not in this repository.
fn unknown(names: &Names<'_>, brief: &Brief) -> Vec<Finding> {
    let wrong = names.wrong(&briefs::spec(brief), None).into_iter();
    let level = |may_come| if may_come { Level::Note } else { Level::Warn };
    wrong.map(|w| Finding { line: 1, level: level(w.may_come), text: w.text, hint: w.hint }).collect()
}

/// What is judged, and how places in it are named.
fn briefs_of(ctx: &Context, what: Option<&str>) -> Result<(String, Vec<Brief>), Failure> {
    if let Some(file) = what.filter(|what| *what == briefs::STDIN || ctx.path(Path::new(what)).is_file()) {
        let bytes = briefs::read(ctx, file, "what is judged")?;
        let name = if file == briefs::STDIN { "stdin" } else { file };
        let list = brief::import(name, &bytes)?;
        return Ok((name.to_owned(), list.into_iter().map(|task| task.brief).collect()));
    }
    if let Some(file) = what.filter(|what| what.contains(['/', '.'])) {
        return Err(Failure::new(Code::Failure, format!("there is no file {}", clean_line(file))));
    }
    let board = ctx.seen()?.board;
    let id = ctx.task(&board, what)?;
    let spec = &board.tasks[&id].spec;
    let text = ctx.text(&spec.brief)?;
    let brief = brief::parse(&id.to_string(), text.as_bytes(), Some(&spec.title))?;
    Ok((id.to_string(), vec![brief]))
}

fn row(brief: &Brief, findings: &[Finding]) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = findings
        .iter()
        .map(|f| serde_json::json!({"line": f.line, "level": level(f.level), "text": f.text, "hint": f.hint}))
        .collect();
    serde_json::json!({"title": brief.title, "score": brief::score(findings), "findings": rows})
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Warn => "warn",
        Level::Note => "note",
    }
}

fn shown(ctx: &Context, name: &str, brief: &Brief, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let tone = if finding.level == Level::Warn { Tone::Warn } else { Tone::Plain };
        let word = ctx.ui.paint(tone, level(finding.level));
        text.push_str(&format!("{}:{}: {word}: {}\n", clean_line(name), finding.line, clean_line(&finding.text)));
        text.push_str(&format!("  {} {}\n", ctx.ui.paint(Tone::Dim, "hint:"), clean_line(&finding.hint)));
    }
    let score = brief::score(findings);
    text.push_str(&format!("{}: {score} of 100\n", clean_line(&brief.title)));
    text
}
