//! `standup init`: finds agents and checks, writes a commented `agents.toml`, offers to trust it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::agent::adapter;
use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure, chain};
use crate::config::detect::{self, Project};
use crate::config::{self, Found, FoundAgent, Kind, Source};
use crate::git::repo::Head;
use crate::model::name::AgentName;
use crate::os::file::{self, FileError};
use crate::os::locate;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings;

use super::trust;

/// Find agents and checks, write agents.toml, offer to trust it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print the file and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// The file that is written, in the main checkout.
const FILE: &str = "agents.toml";

/// Entries of the repository's root that are looked at; markers of projects are few.
const MAX_ENTRIES: usize = 10_000;

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let place = ctx.place()?;
    let root = place.repo.require_main()?.to_owned();
    let project = project(&root)?;
    let (checks, setup) = (detect::detect_checks(&project), detect::detect_setup(&project));
    let found = Found { agents: agents(&root), checks, setup };
    let text = checked(config::template(&found))?;
    if args.dry_run {
        if ctx.ui.json {
            return document(ctx, &root.join(FILE), &found, false, false, Some(text));
        }
        ctx.ui.answer(&text)?;
        return Ok(Code::Ok);
    }
    write(place, &root, &text)?;
    ctx.ui.say(&said(&root, &found));
    let trusted = offer(ctx, place)?;
    if ctx.ui.json {
        document(ctx, &root.join(FILE), &found, true, trusted, None)?;
    }
    next(ctx, place, &found)?;
    Ok(Code::Ok)
}

/// Built-in agents that can be run, in the order of the built-in list.
fn agents(root: &Path) -> Vec<FoundAgent> {
    let on_path = surroundings::on_path(root);
    let known = adapter::names().filter(|name| on_path.contains(name));
    known
        .filter_map(|name| {
            let agent = AgentName::new(name).ok()?;
            Some(FoundAgent { name: agent.clone(), adapter: agent, command: adapter::builtin(name).ok()?.program })
        })
        .collect()
}

/// What lies at the root of the repository, as far as it says which checks there are.
fn project(root: &Path) -> Result<Project, Failure> {
    let entries = std::fs::read_dir(root).map_err(|e| FileError::io("read", root, e))?;
    let files = entries.flatten().take(MAX_ENTRIES).filter_map(|e| e.file_name().into_string().ok()).collect();
    let read = |name: &&str| file::read_bounded(&root.join(name), config::MAX_BYTES as u64).ok();
    let texts: BTreeMap<String, String> = detect::TEXTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), String::from_utf8_lossy(&read(name)?).into_owned())))
        .collect();
    let can = |name: &&&str| locate::program(OsStr::new(name), root).is_ok();
    let programs = detect::PROGRAMS.iter().filter(can).map(|name| (*name).to_owned()).collect();
    Ok(Project { files, texts, programs })
}

/// The text, once it has been read as what it is going to be.
fn checked(text: String) -> Result<String, Failure> {
    match config::parse(&Source { label: FILE, bytes: text.as_bytes(), kind: Kind::Repository }) {
        Ok(_) => Ok(text),
        Err(errors) => {
            let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Failure::new(Code::Bug, format!("what init would write is wrong: {}", said.join("; "))))
        }
    }
}

/// Writes the file where there is none; one that is there is not touched.
fn write(place: &Place, root: &Path, text: &str) -> Result<(), Failure> {
    let there: Option<PathBuf> = surroundings::paths(place)
        .into_iter()
        .filter(|(_, _, kind)| *kind == Kind::Repository)
        .map(|(path, ..)| path)
        .find(|path| path.symlink_metadata().is_ok());
    let path = root.join(FILE);
    let taken = |path: &Path| {
        Failure::new(Code::Failure, format!("{} is there already; it was not touched", path.display()))
            .hint("standup config show")
            .hint("standup init --dry-run")
    };
    if let Some(path) = there {
        return Err(taken(&path));
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(&path)),
        Err(error) => return Err(FileError::io("create", &path, error).into()),
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = std::fs::remove_file(&path);
        FileError::io("write", &path, error).into()
    })
}

fn said(root: &Path, found: &Found) -> String {
    let list = |names: Vec<String>, none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
    let agents = list(found.agents.iter().map(|a| a.name.to_string()).collect(), "none on PATH");
    let checks = list(found.checks.iter().map(|c| format!("{} ({})", c.name, c.run)).collect(), "none found");
    let setup = if found.setup.is_empty() { String::new() } else { format!("\n  setup:  {}", found.setup.join(", ")) };
    format!("wrote {}\n  agents: {agents}\n  checks: {checks}{setup}", root.join(FILE).display())
}

/// Offers to trust what was written; whether it is trusted now.
fn offer(ctx: &Context, place: &Place) -> Result<bool, Failure> {
    let commands = surroundings::look(place)?.commands;
    if commands.is_empty() || trust::is_approved(place, &commands)? {
        return Ok(true);
    }
    if !ctx.ui.yes && !ctx.ui.can_ask() {
        ctx.ui.say("its commands run only once they are approved");
        ctx.ui.hint("standup trust");
        return Ok(false);
    }
    if !trust::ask(ctx, &commands)? {
        ctx.ui.say("not approved: nothing runs until it is");
        ctx.ui.hint("standup trust");
        return Ok(false);
    }
    trust::approve(ctx, place, &commands)?;
    ctx.ui.say("approved");
    Ok(true)
}

/// What is still missing, and what comes next.
fn next(ctx: &Context, place: &Place, found: &Found) -> Result<(), Failure> {
    if found.agents.is_empty() {
        ctx.ui.say("no agent is configured: install claude or codex, then uncomment its section in agents.toml");
        ctx.ui.hint("standup doctor");
    }
    match place.repo.head(&place.git) {
        Ok(Head::Unborn { .. }) => {
            ctx.ui.say("the repository has no commit yet, and agents start from one");
            ctx.ui.hint("git add -A && git commit -m \"First commit\"");
        }
        Ok(Head::Detached { .. }) => {
            ctx.ui.say("HEAD is on no branch; name what agents start from");
            ctx.ui.hint("standup config set base main");
        }
        Ok(Head::Branch { .. }) if found.agents.is_empty() => {}
        Ok(Head::Branch { .. }) => ctx.ui.hint("standup import tasks.txt && standup up"),
        Err(error) => ctx.ui.say(&chain(&error)),
    }
    Ok(())
}

fn document(
    ctx: &Context,
    path: &Path,
    found: &Found,
    written: bool,
    trusted: bool,
    text: Option<String>,
) -> Result<Code, Failure> {
    let agents: Vec<_> = found.agents.iter().map(|a| a.name.to_string()).collect();
    let checks: Vec<_> =
        found.checks.iter().map(|c| serde_json::json!({"name": c.name.as_str(), "run": c.run})).collect();
    let body = serde_json::json!({
        "path": path.display().to_string(), "written": written, "trusted": trusted, "agents": agents, "checks": checks,
        "setup": found.setup, "text": text,
    });
    ctx.ui.json(&Document::new("init", body))?;
    Ok(Code::Ok)
}
