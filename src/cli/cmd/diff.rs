//! `standup diff`: what an attempt changed, as a patch against the point where it left its base.

use std::ffi::OsStr;
use std::path::Path;

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::git::shadow::{Against, Change, ChangeKind, DiffStat};
use crate::git::{Shadow, worktree};
use crate::model::attempt::Attempt;
use crate::model::board::Task;
use crate::model::text::{clean_line, clean_lines};
use crate::os::locate;
use crate::os::run::Run;
use crate::supervisor::surroundings;

/// The longest patch that is shown.
const MAX_PATCH: usize = 256 << 20;

/// Show what a task's attempt changed, committed or not
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Only which files, and how much
    #[arg(long)]
    stat: bool,
    /// Print, whatever its length
    #[arg(long)]
    no_pager: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let id = ctx.task(&board, args.task.as_deref())?;
    let task = &board.tasks[&id];
    let (attempt, against) = require_base(ctx, task)?;
    let scratch = scratch(ctx)?;
    let shadow = open(ctx, attempt, scratch.path())?;
    let stat = shadow.status(&against)?;
    let changes = shadow.changed_paths(&stat)?;
    if args.stat && !ctx.ui.json {
        ctx.ui.answer(&stat_text(ctx, &stat, &changes))?;
        return Ok(Code::Ok);
    }
    let patch = if args.stat { None } else { Some(shadow.patch(&stat, MAX_PATCH)?) };
    if ctx.ui.json {
        let text = patch.as_ref().map(|patch| String::from_utf8_lossy(&patch.bytes).into_owned());
        let files: Vec<serde_json::Value> = changes.iter().map(file).collect();
        let body = serde_json::json!({
            "task": id, "attempt": attempt.no, "base_oid": against.base, "tree": stat.tree,
            "insertions": stat.insertions, "deletions": stat.deletions, "commits": stat.commits,
            "dirty": stat.dirty, "files": files, "patch": text,
        });
        ctx.ui.json(&Document::new("diff", body))?;
        return Ok(Code::Ok);
    }
    let Some(patch) = patch else { return Ok(Code::Ok) };
    if patch.bytes.is_empty() {
        ctx.ui.say(&format!("{id} has changed nothing"));
    } else if ctx.ui.is_terminal() {
        page(ctx, &coloured(ctx, &String::from_utf8_lossy(&patch.bytes)), args.no_pager)?;
    } else {
        ctx.ui.raw(&patch.bytes)?;
    }
    if patch.is_cut {
        ctx.ui.say(&format!("the patch is longer than {} MiB and was cut", MAX_PATCH >> 20));
    }
    Ok(Code::Ok)
}

fn require_base<'a>(ctx: &Context, task: &'a Task) -> Result<(&'a Attempt, Against), Failure> {
    let id = task.id;
    let Some((attempt, base)) = task.attempt().and_then(|a| Some((a, a.base_oid.clone()?))) else {
        let text = format!("{id} has no worktree yet, so there is nothing to compare");
        return Err(Failure::new(Code::Failure, text).hint(format!("standup start {id}")));
    };
    if !attempt.worktree.is_dir() {
        let text = format!("the worktree of {id} is gone: {}", attempt.worktree.display());
        let hint = format!("git diff {base}...{}", attempt.branch);
        return Err(Failure::new(Code::Failure, text).hint(hint));
    }
    let place = ctx.place()?;
    let name = attempt.base.as_deref();
    let tip = name.and_then(|name| place.repo.resolve_base(&place.git, Some(name)).ok()).map(|found| found.oid);
    Ok((attempt, Against { base, tip }))
}

/// A folder of our own for looking: the supervisor's is in use.
fn scratch(ctx: &Context) -> Result<tempfile::TempDir, Failure> {
    let parent = ctx.place()?.layout.shadows_dir();
    std::fs::create_dir_all(&parent)?;
    Ok(tempfile::Builder::new().prefix("look-").tempdir_in(parent)?)
}

fn open(ctx: &Context, attempt: &Attempt, dir: &Path) -> Result<Shadow, Failure> {
    let place = ctx.place()?;
    let site = worktree::site_of(&place.repo, &attempt.worktree);
    let filters = surroundings::look(place).map(|loaded| loaded.filters).unwrap_or_default();
    Ok(Shadow::open(&place.git, &place.repo, &site, dir, &filters)?)
}

fn file(change: &Change) -> serde_json::Value {
    let from = change.from.as_ref().map(|path| path.display().to_string());
    serde_json::json!({"path": change.path.display().to_string(), "change": word(change.kind), "from": from})
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Renamed => "renamed",
    }
}

fn stat_text(ctx: &Context, stat: &DiffStat, changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let tone = match change.kind {
            ChangeKind::Added => Tone::Good,
            ChangeKind::Deleted => Tone::Bad,
            ChangeKind::Modified | ChangeKind::Renamed => Tone::Plain,
        };
        let path = clean_line(&change.path.display().to_string());
        let from = change.from.as_ref().map(|path| format!(" (was {})", clean_line(&path.display().to_string())));
        let kind = ctx.ui.paint(tone, &format!("{:<9}", word(change.kind)));
        text.push_str(&format!("{kind} {path}{}\n", from.unwrap_or_default()));
    }
    let shown = crate::model::attempt::DiffStat {
        files: stat.files,
        insertions: stat.insertions,
        deletions: stat.deletions,
        commits: stat.commits,
        dirty: stat.dirty,
        behind: stat.behind,
        ahead: stat.ahead,
        base_at: Some(stat.base_at),
    };
    text.push_str(&format!("{}\n", crate::board::view::diff_text(&shown)));
    text
}

/// A patch for eyes: foreign characters shown, lines in their colours.
fn coloured(ctx: &Context, patch: &str) -> String {
    let mut text = String::with_capacity(patch.len());
    for line in clean_lines(patch).lines() {
        let tone = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") || line.starts_with("diff ") => Tone::Bold,
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            Some(b'@') => Tone::Dim,
            _ => Tone::Plain,
        };
        text.push_str(&ctx.ui.paint(tone, line));
        text.push('\n');
    }
    text
}

/// Through the person's pager.
fn page(ctx: &Context, text: &str, no_pager: bool) -> Result<(), Failure> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
    let pager = set("STANDUP_PAGER").or_else(|| set("PAGER")).unwrap_or_else(|| "less".to_owned());
    let shell = locate::program(OsStr::new("sh"), Path::new("/"));
    let (false, false, Ok(shell)) = (no_pager, pager == "cat", shell) else { return ctx.ui.answer(text) };
    let mut run = Run::new(shell).args(["-c", &pager]).stdin(text.as_bytes());
    if std::env::var_os("LESS").is_none() {
        run = run.env("LESS", "FRX");
    }
    match run.foreground() {
        // No such pager.
        Ok(ended) if ended.code == Some(127) => ctx.ui.answer(text),
        Ok(_) => Ok(()),
        Err(_) => ctx.ui.answer(text),
    }
}
