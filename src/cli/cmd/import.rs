//! `standup import`: a list of tasks; again, and what changed in it is changed here.

use std::collections::BTreeMap;
use std::path::Path;

use crate::board::doc::Document;
use crate::brief::{self, BriefError, Imported};
use crate::cli::briefs;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::named::Names;
use crate::model::board::Board;
use crate::model::id::TaskId;
use crate::model::input::{Command, NewTask, Reply};
use crate::model::settings::CheckSettings;
use crate::model::text::{clean, clean_line};
use crate::policy::relist::{self, Fate};

/// Columns of a check that is left out.
const LEFT_OUT: usize = 200;

/// Add the tasks of a list: Markdown, numbered, brief files, issues
///
/// Importing the same list again changes what changed in it and adds nothing twice; what was edited
/// of a task stays where the list did not change it too. A task that is done or canceled stays as
/// it is; another text in its place is a new task. Lines that are ticked off are left out.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The list, or - for standard input (gh issue list --json number,title,body,labels)
    #[arg(value_name = "FILE")]
    file: String,
    /// Only say what would be added and changed
    #[arg(long)]
    dry_run: bool,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let name = name_of(ctx, &args.file)?;
    let bytes = briefs::read(ctx, &args.file, "the list")?;
    let list = brief::import(&name, &bytes).map_err(|errors| Failure::from(as_written(errors, &args.file)))?;
    let open: Vec<&Imported> = list.iter().filter(|task| !task.done).collect();
    for task in &open {
        task.notes
            .iter()
            .for_each(|note| ctx.ui.say(&format!("{}:{}: {}", shown(&args.file), task.line, clean_line(note))));
        for block in &task.left_out {
            let run = clean(&block.run, LEFT_OUT);
            ctx.ui.say(&format!("issue {} brings a check; it is left out: {run}", task.key));
        }
        briefs::warn(ctx, &task.brief);
    }
    let ticked = list.len() - open.len();
    if ticked > 0 {
        ctx.ui.say(&format!("{ticked} of {} are ticked off and left out", list.len()));
    }
    if open.is_empty() {
        return nothing(ctx, &args);
    }
    let board = ctx.seen()?.board;
    let tasks = new_tasks(&open);
    let fates = relist::fates(&board, &tasks);
    require_named(ctx, &args.file, &board, &open, &tasks, &fates)?;
    say_what_gives_way(ctx, &fates);
    let keeps = say_who_keeps_the_old(ctx, &board, &fates);
    if args.dry_run || fates.iter().all(|fate| matches!(fate, Fate::Leave { known: true, .. })) {
        return planned(ctx, &args, &open, &tasks, &fates, &keeps);
    }
    let brought: Vec<Vec<CheckSettings>> = tasks.iter().map(|task| task.spec.checks.clone()).collect();
    let texts = open.iter().map(|task| task.brief.source.clone()).collect();
    let (reply, _) = ctx.command(Command::Add { tasks }, texts)?;
    let Reply::Tasks { added, changed, unchanged } = reply else {
        return Err(Failure::new(Code::Bug, "the supervisor did not say which tasks it added"));
    };
    let ids = ids(&fates, &added);
    let checks = say_checks(ctx, &open, &fates, &ids, &brought);
    if ctx.ui.json {
        let body = serde_json::json!({
            "added": added, "changed": changed, "overwritten": overwritten(&fates), "keeps_old_brief": keeps,
            "unchanged": unchanged, "dry_run": false, "checks": checks, "left_out": left_out(&open),
        });
        ctx.ui.json(&Document::new("import", body))?;
        return Ok(Code::Ok);
    }
    let mut text = String::new();
    for ((task, fate), id) in open.iter().zip(&fates).zip(ids) {
        let word = match fate {
            Fate::Add => "added",
            Fate::Change { .. } => "changed",
            Fate::Leave { .. } => "as before",
        };
        text.push_str(&line(ctx, word, id, &task.brief.title));
    }
    ctx.ui.answer(&text)?;
    if !board.dispatch {
        ctx.ui.hint("standup run");
    }
    Ok(Code::Ok)
}

/// Refuses tasks that name what is not here, each with its place in the list.
fn require_named(
    ctx: &Context,
    file: &str,
    board: &Board,
    open: &[&Imported],
    tasks: &[NewTask],
    fates: &[Fate],
) -> Result<(), Failure> {
    let names = Names::new(ctx);
    let mut wrong = Vec::new();
    for ((imported, task), fate) in open.iter().zip(tasks).zip(fates) {
        let place = format!("{}:{}: ", shown(file), imported.line);
        let found = match fate.known().map(|id| &board.tasks[&id]) {
            Some(old) => names.wrong(&relist::taken_over(old, &task.spec).spec, Some(&old.spec)),
            None => names.wrong(&task.spec, None),
        };
        wrong.extend(found.into_iter().map(|found| (place.clone(), found)));
    }
    names.require(&wrong)
}

/// The list as messages name it.
fn shown(written: &str) -> &str {
    if written == briefs::STDIN { "stdin" } else { written }
}

/// The tasks of a list as they are called by now.
fn ids(fates: &[Fate], added: &[TaskId]) -> Vec<Option<TaskId>> {
    let mut added = added.iter().copied();
    let id = |fate: &Fate| match fate {
        Fate::Add => added.next(),
        Fate::Change { id, .. } | Fate::Leave { id, .. } => Some(*id),
    };
    fates.iter().map(id).collect()
}

/// Says which commands the briefs of new and changed tasks have run as checks, and lists them.
fn say_checks(
    ctx: &Context,
    open: &[&Imported],
    fates: &[Fate],
    ids: &[Option<TaskId>],
    brought: &[Vec<CheckSettings>],
) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for (((task, fate), id), checks) in open.iter().zip(fates).zip(ids).zip(brought) {
        if matches!(fate, Fate::Leave { .. }) {
            continue;
        }
        let title = &task.brief.title;
        briefs::say_checks(ctx, &id.map_or_else(|| title.clone(), |id| id.to_string()), checks);
        all.extend(
            checks
                .iter()
                .map(|check| serde_json::json!({"task": id, "title": title, "name": check.name, "run": check.run})),
        );
    }
    all
}

/// The checks of issues that are none.
fn left_out(open: &[&Imported]) -> Vec<serde_json::Value> {
    let all = open.iter().flat_map(|task| task.left_out.iter().map(|block| (&task.key, &block.run)));
    all.map(|(issue, run)| serde_json::json!({"issue": issue, "run": run})).collect()
}

/// The same list is recognised wherever it is imported from: by its path in the repository.
fn name_of(ctx: &Context, written: &str) -> Result<String, Failure> {
    let root = ctx.place()?.root();
    if written == briefs::STDIN {
        return Ok(brief::import::STDIN.to_owned());
    }
    let path = ctx.path(Path::new(written));
    let path = path.canonicalize().unwrap_or(path);
    Ok(path.strip_prefix(&root).unwrap_or(&path).display().to_string())
}

/// Mistakes name the file as the person did.
fn as_written(mut errors: Vec<BriefError>, written: &str) -> Vec<BriefError> {
    errors.iter_mut().for_each(|error| error.file = shown(written).to_owned());
    errors
}

fn nothing(ctx: &Context, args: &Args) -> Result<Code, Failure> {
    if ctx.ui.json {
        let none: [TaskId; 0] = [];
        let body = serde_json::json!({
            "added": none, "changed": none, "overwritten": none, "keeps_old_brief": none, "unchanged": none,
            "dry_run": args.dry_run, "checks": none, "left_out": none,
        });
        ctx.ui.json(&Document::new("import", body))?;
    } else {
        ctx.ui.answer("Nothing to do: the list holds no open task.")?;
    }
    Ok(Code::Ok)
}

fn new_tasks(open: &[&Imported]) -> Vec<NewTask> {
    let places: BTreeMap<&str, usize> = open.iter().zip(0..).map(|(task, place)| (task.key.as_str(), place)).collect();
    let task = |imported: &&Imported| {
        let mut spec = briefs::spec(&imported.brief);
        spec.key = Some(imported.key.clone());
        spec.needs = imported.needs_tasks.clone();
        // A need that is ticked off is met.
        let needs_new: Vec<usize> = imported.needs.iter().filter_map(|key| places.get(key.as_str()).copied()).collect();
        NewTask { spec, needs_new }
    };
    open.iter().map(task).collect()
}

fn changed_id(fate: &Fate) -> Option<TaskId> {
    if let Fate::Change { id, .. } = fate { Some(*id) } else { None }
}

/// The tasks and their keys that were changed here and in the list.
fn both_changed(fates: &[Fate]) -> impl Iterator<Item = (TaskId, &[&'static str])> {
    fates.iter().filter_map(|fate| match fate {
        Fate::Change { id, over } if !over.is_empty() => Some((*id, over.as_slice())),
        _ => None,
    })
}

fn overwritten(fates: &[Fate]) -> Vec<serde_json::Value> {
    both_changed(fates).map(|(task, keys)| serde_json::json!({"task": task, "keys": keys})).collect()
}

fn say_what_gives_way(ctx: &Context, fates: &[Fate]) {
    for (id, keys) in both_changed(fates) {
        ctx.ui.say(&format!("{id}: what was edited gives way to the list: {}", keys.join(", ")));
    }
}

/// An agent reads its brief once: what a list changes reaches the next attempt. Returns the changed
/// tasks that have been started.
fn say_who_keeps_the_old(ctx: &Context, board: &Board, fates: &[Fate]) -> Vec<TaskId> {
    let changed = fates.iter().filter_map(changed_id);
    let started: Vec<TaskId> = changed.filter(|id| board.tasks[id].attempt().is_some()).collect();
    for id in &started {
        ctx.ui.say(&format!("{id} was started before this change; its agent keeps the old brief"));
        ctx.ui.hint(&format!("standup retry {id}"));
    }
    started
}

fn planned(
    ctx: &Context,
    args: &Args,
    open: &[&Imported],
    tasks: &[NewTask],
    fates: &[Fate],
    keeps: &[TaskId],
) -> Result<Code, Failure> {
    let brought: Vec<Vec<CheckSettings>> = tasks.iter().map(|task| task.spec.checks.clone()).collect();
    let checks = say_checks(ctx, open, fates, &ids(fates, &[]), &brought);
    if ctx.ui.json {
        let ids = |which: fn(&Fate) -> Option<TaskId>| fates.iter().filter_map(which).collect::<Vec<_>>();
        let changed = ids(changed_id);
        let unchanged = ids(|fate| if let Fate::Leave { id, .. } = fate { Some(*id) } else { None });
        let new = open.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Add).map(|(task, _)| &task.brief.title);
        let new: Vec<&String> = new.collect();
        let none: [TaskId; 0] = [];
        let body = serde_json::json!({
            "added": none, "would_add": new, "changed": changed, "overwritten": overwritten(fates),
            "keeps_old_brief": keeps, "unchanged": unchanged, "dry_run": args.dry_run, "checks": checks,
            "left_out": left_out(open),
        });
        ctx.ui.json(&Document::new("import", body))?;
        return Ok(Code::Ok);
    }
    let lines = open.iter().zip(fates).map(|(task, fate)| match fate {
        Fate::Add => line(ctx, "would add", None, &task.brief.title),
        Fate::Change { id, .. } => line(ctx, "would change", Some(*id), &task.brief.title),
        Fate::Leave { id, .. } => line(ctx, "as before", Some(*id), &task.brief.title),
    });
    ctx.ui.answer(&lines.collect::<String>())?;
    if !args.dry_run {
        ctx.ui.say("nothing to do: all of it is there already");
    }
    Ok(Code::Ok)
}

fn line(ctx: &Context, word: &str, id: Option<TaskId>, title: &str) -> String {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    format!("{word:<12} {id:<4} {}\n", briefs::title(ctx, title, 18))
}
