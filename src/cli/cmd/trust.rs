//! `standup trust`: what a repository can make run, and approving exactly that.

use serde::Serialize;

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::client::scope;
use crate::config::CommandSet;
use crate::model::text::{clean_line, width};
use crate::model::time::Wall;
use crate::store::approvals::{Approval, Approvals};
use crate::supervisor::place::Place;
use crate::supervisor::surroundings;
use crate::wire::control::{Request, only_reports};

/// Show what agents.toml can make run, and approve exactly this set
#[derive(Debug, clap::Args)]
#[command(long_about = "Show what agents.toml can make run, and approve exactly this set.\n\n\
    Agent commands, their arguments and environment, setup, teardown, checks, the notify command and filter drivers \
    of the repository's own git configuration are code. They run only after this exact set has been approved; a \
    change asks again. Approvals are kept outside the repository.")]
pub(in crate::cli) struct Args {
    /// List what was approved, for all repositories
    #[arg(long, conflicts_with = "revoke")]
    list: bool,
    /// Take back every approval of this repository
    #[arg(long)]
    revoke: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let place = ctx.place()?;
    if args.list {
        return list(ctx, place);
    }
    if args.revoke {
        return revoke(ctx, place);
    }
    let commands = surroundings::look(place)?.commands;
    let approved = is_approved(place, &commands)?;
    if ctx.ui.json && (approved || !(ctx.ui.yes || ctx.ui.no_input)) {
        return document(ctx, place, &commands, approved);
    }
    if commands.is_empty() {
        ctx.ui.answer("agents.toml makes nothing run: there is nothing to approve.")?;
        return Ok(Code::Ok);
    }
    if approved {
        ctx.ui.answer(&format!("{}\nThis set is approved.", listed(&commands, &ctx.ui)))?;
        return Ok(Code::Ok);
    }
    if !ask(ctx, &commands)? {
        return Err(refused("nothing was approved").hint("standup trust"));
    }
    approve(ctx, place, &commands)?;
    if ctx.ui.json {
        return document(ctx, place, &commands, true);
    }
    ctx.ui.answer(&format!("Approved: {} for {}", counted(&commands), place.root().display()))?;
    Ok(Code::Ok)
}

fn refused(text: &str) -> Failure {
    Failure::new(Code::Policy, text)
}

/// Whether this exact set may run.
pub(super) fn is_approved(place: &Place, commands: &CommandSet) -> Result<bool, Failure> {
    let approvals = Approvals::at(&place.layout.approvals());
    Ok(commands.is_empty() || approvals.is_approved(&place.layout.key(), &commands.digest())?)
}

/// Shows the commands and asks whether they may run. What is asked about is always shown.
pub(super) fn ask(ctx: &Context, commands: &CommandSet) -> Result<bool, Failure> {
    let list = listed(commands, &ctx.ui);
    let question = format!("May these run on this machine? ({})", counted(commands));
    if ctx.ui.can_ask() && !ctx.ui.yes {
        return ctx.ui.confirm(&format!("{list}\n{question}"), "");
    }
    ctx.ui.tell(&list);
    let otherwise = format!("{} of agents.toml wait for your approval", counted(commands));
    ctx.ui
        .confirm(&question, &otherwise)
        .map_err(|failure| Failure { hints: Vec::new(), ..failure }.hint("standup trust --yes"))
}

/// Approves a set, and has a running supervisor read it. Whatever verb it comes from: an agent
/// approves nothing.
pub(super) fn approve(ctx: &Context, place: &Place, commands: &CommandSet) -> Result<(), Failure> {
    if scope::is_agent(&place.layout) {
        return Err(only_reports().into());
    }
    let what = commands.lines().iter().map(|line| format!("{}: {}", line.what, line.command)).collect();
    let (repo, digest) = (place.layout.key(), commands.digest());
    Approvals::at(&place.layout.approvals()).approve(Approval { repo, digest, at: ctx.now().wall, what })?;
    reload(ctx)
}

/// Has a running supervisor read settings and approvals again.
pub(super) fn reload(ctx: &Context) -> Result<(), Failure> {
    if let Some(mut client) = ctx.running()? {
        client.ask(&Request::Reload {})?;
    }
    Ok(())
}

fn revoke(ctx: &Context, place: &Place) -> Result<Code, Failure> {
    let gone = Approvals::at(&place.layout.approvals()).revoke(&place.layout.key())?;
    reload(ctx)?;
    if ctx.ui.json {
        ctx.ui.json(&Document::new("trust", serde_json::json!({"repo": place.root(), "revoked": gone})))?;
    } else {
        let what = if gone == 1 { "1 approval was" } else { &format!("{gone} approvals were") };
        ctx.ui.answer(&format!("{what} taken back; nothing of this repository's starts any more."))?;
    }
    Ok(Code::Ok)
}

#[derive(Serialize)]
struct Listed {
    repo: String,
    digest: String,
    at: Wall,
    commands: Vec<String>,
}

fn list(ctx: &Context, place: &Place) -> Result<Code, Failure> {
    let all = Approvals::at(&place.layout.approvals()).list()?;
    if ctx.ui.json {
        let approvals: Vec<Listed> =
            all.into_iter().map(|a| Listed { repo: a.repo, digest: a.digest, at: a.at, commands: a.what }).collect();
        ctx.ui.json(&Document::new("trust", serde_json::json!({"approvals": approvals})))?;
        return Ok(Code::Ok);
    }
    let own = place.layout.key();
    let mut text = String::new();
    for approval in &all {
        let here = if approval.repo == own { "  (this repository)" } else { "" };
        let (repo, digest) = (clean_line(&approval.repo), &approval.digest[..approval.digest.len().min(12)]);
        text.push_str(&format!("{}  {digest}  {}{here}\n", approval.at, ctx.ui.paint(Tone::Bold, &repo)));
        approval.what.iter().for_each(|what| text.push_str(&format!("    {}\n", clean_line(what))));
    }
    ctx.ui.answer(if text.is_empty() { "Nothing was approved yet." } else { &text })?;
    Ok(Code::Ok)
}

/// `3 commands`
pub(super) fn counted(commands: &CommandSet) -> String {
    match commands.lines().len() {
        1 => "1 command".to_owned(),
        n => format!("{n} commands"),
    }
}

/// Every command: what it is for, where it is written, what runs; unconfined agents marked.
pub(super) fn listed(commands: &CommandSet, paint: &dyn Paint) -> String {
    let lines = commands.lines();
    let longest = lines.iter().map(|line| width(&line.what)).max().unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        let (what, place) = (clean_line(&line.what), clean_line(&line.place));
        let pad = " ".repeat(longest.saturating_sub(width(&what)));
        text.push_str(&format!("  {}{pad}  {}", paint.paint(Tone::Bold, &what), clean_line(&line.command)));
        text.push_str(&format!("  {}\n", paint.paint(Tone::Dim, &place)));
        if let Some(why) = &line.unconfined {
            let remark = format!("unconfined: its own approvals are skipped by {}", clean_line(why));
            text.push_str(&format!("  {}  {}\n", " ".repeat(longest), paint.paint(Tone::Warn, &remark)));
        }
        if let Some(why) = &line.plan_unenforced {
            let remark = format!("in mode checkpoint it is only asked to plan first: {}", clean_line(why));
            text.push_str(&format!("  {}  {}\n", " ".repeat(longest), paint.paint(Tone::Dim, &remark)));
        }
    }
    text
}

fn document(ctx: &Context, place: &Place, commands: &CommandSet, approved: bool) -> Result<Code, Failure> {
    let lines: Vec<serde_json::Value> = commands
        .lines()
        .into_iter()
        .map(|l| {
            serde_json::json!({
                "what": l.what, "place": l.place, "command": l.command, "unconfined": l.unconfined,
                "plan_unenforced": l.plan_unenforced,
            })
        })
        .collect();
    let body = serde_json::json!({
        "repo": place.root(), "digest": commands.digest(), "approved": approved, "commands": lines,
    });
    ctx.ui.json(&Document::new("trust", body))?;
    Ok(Code::Ok)
}
