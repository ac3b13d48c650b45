//! `standup demo`: the whole way in a scratch repository, with scripted agents.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::board::view;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure, chain};
use crate::cli::ui::Ui;
use crate::demo::narrate::{Line, Mood};
use crate::demo::scratch::Shows;
use crate::demo::tour::{self, Options, Row, Summary, Told, TourError};
use crate::model::text::{clean, shell_word, width};
use crate::os::file::FileError;
use crate::os::locate;
use crate::os::signal::Signals;
use crate::store::StoreError;

/// Show the whole way in a scratch repository, with scripted agents
#[derive(Debug, clap::Args)]
#[command(long_about = "Show the whole way in a scratch repository, with scripted agents.\n\n\
    Four tasks, two at once. The agents are this very program under a hidden verb: real processes on real terminals \
    that edit, commit, ask, check in, fail once and mend it. No account, no network, half a minute. Everything lies in \
    one folder; your own settings and state are not touched.")]
pub(in crate::cli) struct Args {
    /// Leave the agents in Review and the supervisor running, to attach to them
    #[arg(long)]
    keep: bool,
    /// Use this folder, which must be empty or absent, instead of a temporary one
    #[arg(long = "dir", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Milliseconds between two steps of an agent
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pace: Option<u64>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let folder = folder(ctx, args.folder.as_deref())?;
    let began = Instant::now();
    let show = Show { ui: &ctx.ui, began, broken: RefCell::new(None) };
    show.print("standup demo: four tasks for scripted agents, two at once, in a scratch repository.")?;
    show.print(&format!("Everything lies in {}\n", folder.display()))?;
    let mut signals = Signals::catch(&[Signal::INT, Signal::TERM, Signal::HUP])?;
    let mut interrupted = false;
    let options = Options { folder: folder.clone(), pace: args.pace.map(Duration::from_millis), keep: args.keep };
    let went = tour::run(&options, &mut |told| show.told(&told), &mut || {
        interrupted |= signals.take().is_some();
        !interrupted && show.broken.borrow().is_none()
    });
    drop(signals);
    if let Some(failure) = show.broken.into_inner() {
        return Err(failure);
    }
    let summary = went.map_err(|error| failed(&error, &folder))?;
    if ctx.ui.json {
        return document(ctx, &summary, &folder, args.keep, began.elapsed());
    }
    ctx.ui.answer(&closing(&summary, &folder, args.keep, began.elapsed(), &ctx.ui))?;
    Ok(Code::Ok)
}

/// The folder for everything: the one that was named, else a new temporary one.
fn folder(ctx: &Context, named: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(named) = named.map(|dir| ctx.path(dir)) else {
        let made = tempfile::Builder::new().prefix("standup-demo-").tempdir();
        return Ok(made.map_err(|e| FileError::io("create a folder in", &std::env::temp_dir(), e))?.keep());
    };
    if !tour::is_free(&named) {
        let text = format!("{} is not empty; the demo wants a folder of its own", named.display());
        return Err(Failure::new(Code::Usage, text).hint("standup demo --dir a folder that is not there yet"));
    }
    std::fs::create_dir_all(&named).map_err(|e| FileError::io("create", &named, e))?;
    Ok(named.canonicalize().map_err(|e| FileError::io("read", &named, e))?)
}

/// Shows the story as it happens.
struct Show<'a> {
    ui: &'a Ui,
    began: Instant,
    /// Why nothing more can be shown: the reader is gone.
    broken: RefCell<Option<Failure>>,
}

impl Show<'_> {
    /// The story is the answer; beside a document it is narration.
    fn print(&self, text: &str) -> Result<(), Failure> {
        if self.ui.json {
            self.ui.tell(text);
            return Ok(());
        }
        if self.ui.quiet { Ok(()) } else { self.ui.answer(text) }
    }

    fn told(&self, told: &Told) {
        let text = match told {
            Told::Command(line) => self.painted(Tone::Bold, &format!("$ standup {line}")),
            Told::Aside(text) => self.painted(Tone::Dim, &format!("              ({text})")),
            Told::Line(line) => self.line(line),
        };
        if let Err(failure) = self.print(&text) {
            self.broken.borrow_mut().get_or_insert(failure);
        }
    }

    /// `  12.3s  T3  red: …`
    fn line(&self, line: &Line) -> String {
        let tone = match line.mood {
            Mood::Plain => Tone::Plain,
            Mood::Held => Tone::Dim,
            Mood::Asks => Tone::Warn,
            Mood::Good => Tone::Good,
            Mood::Bad => Tone::Bad,
        };
        let time = self.painted(Tone::Dim, &format!("{:>6.1}s", self.began.elapsed().as_secs_f64()));
        let task = line.task.map(|task| task.to_string()).unwrap_or_default();
        let text = clean(&line.text, self.ui.columns().saturating_sub(14).max(40));
        format!("{time}  {}  {}", self.painted(Tone::Bold, &format!("{task:<3}")), self.painted(tone, &text))
    }

    fn painted(&self, tone: Tone, text: &str) -> String {
        if self.ui.json { text.to_owned() } else { self.ui.paint(tone, text) }
    }
}

/// What is left to look at, and how.
fn closing(summary: &Summary, folder: &Path, keep: bool, took: Duration, paint: &dyn Paint) -> String {
    let mut text = format!("\n{}\n", paint.paint(Tone::Bold, "What was shown"));
    let judged = |row: &Row| {
        let words: Vec<&str> = row.verdicts.iter().map(|outcome| view::outcome_name(*outcome)).collect();
        format!("{}, {} tests", words.join(", then "), row.tests)
    };
    let diff = |row: &Row| row.diff.as_ref().map(view::diff_text).unwrap_or_default();
    let longest = |text: &dyn Fn(&Row) -> usize| summary.tasks.iter().map(text).max().unwrap_or(0);
    let titles = longest(&|row| width(&row.title));
    let (verdicts, diffs) = (longest(&|row| width(&judged(row))), longest(&|row| width(&diff(row))));
    let padded = |text: &str, to: usize| format!("{text}{}", " ".repeat(to.saturating_sub(width(text))));
    for row in &summary.tasks {
        text.push_str(&format!(
            "  {}  {}  {:<6}  {}  {}  {}\n",
            paint.paint(Tone::Bold, &row.task.to_string()),
            padded(&row.title, titles),
            row.column.name(),
            paint.paint(Tone::Good, &padded(&judged(row), verdicts)),
            padded(&diff(row), diffs),
            paint.paint(Tone::Dim, shown(row)),
        ));
    }
    let program = program();
    let state = if keep { "The agents in review and their supervisor go on." } else { "Nothing of it runs any more." };
    text.push_str(&format!("\nIt took {:.0} s. {state}\n\n", took.as_secs_f64()));
    text.push_str(&format!("{}\n", paint.paint(Tone::Bold, "Look around")));
    text.push_str(&format!("  export STANDUP_HOME={}\n", quoted(&summary.home)));
    text.push_str(&format!("  cd {}\n", quoted(&summary.repository)));
    let mut commands = vec![
        ("", "the board"),
        ("show T3", "red, then green: evidence, check-ins, timeline"),
        ("logs T2", "what stood on the terminal of the one that asked"),
        ("diff T1", "what was changed"),
    ];
    if keep {
        commands
            .extend([("attach T3", "its own terminal; ctrl-] d leaves it running"), ("down --all", "ends all of it")]);
    }
    let lines: Vec<String> = commands.iter().map(|(command, _)| format!("{program} {command}")).collect();
    let longest = lines.iter().map(|line| width(line.trim_end())).max().unwrap_or(0);
    for (line, (_, what)) in lines.iter().zip(&commands) {
        text.push_str(&format!("  {}  {}\n", padded(line.trim_end(), longest), paint.paint(Tone::Dim, what)));
    }
    let first = if keep { format!("{program} down --all && ") } else { String::new() };
    text.push_str(&format!("\nTo remove it: {first}rm -rf {}\n", quoted(folder)));
    text
}

fn shown(row: &Row) -> &'static str {
    match row.shows {
        Shows::Green => "accepted, so that T4 could start",
        Shows::Question { .. } => "asked, and was answered",
        Shows::RedThenGreen => "failed its checks, got the failures, mended it",
        Shows::Needs => "waited for T1",
    }
}

/// How this program is called: by its name where that leads here, else by its path.
fn program() -> String {
    let own = locate::this_binary().and_then(std::fs::canonicalize).ok();
    let named = locate::program("standup".as_ref(), Path::new("/")).ok().and_then(|p| p.canonicalize().ok());
    match own {
        Some(own) if named.as_ref() != Some(&own) => quoted(&own),
        _ => "standup".to_owned(),
    }
}

fn quoted(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

fn failed(error: &TourError, folder: &Path) -> Failure {
    let code = if matches!(error, TourError::Interrupted) { Code::Interrupted } else { Code::Failure };
    let failure = Failure::new(code, format!("the demo did not come to its end: {}", chain(error)));
    match error {
        TourError::Interrupted => failure.hint(format!("rm -rf {} removes what it made", quoted(folder))),
        TourError::Store(StoreError::SocketPath { .. }) => failure.hint("standup demo --dir /tmp/standup-demo"),
        _ => failure.hint(format!("what it made is in {}; standup doctor", quoted(folder))),
    }
}

fn document(ctx: &Context, summary: &Summary, folder: &Path, keep: bool, took: Duration) -> Result<Code, Failure> {
    let tasks: Vec<_> = summary
        .tasks
        .iter()
        .map(|row| {
            let verdicts: Vec<_> = row.verdicts.iter().map(|v| view::outcome_name(*v)).collect();
            serde_json::json!({
                "id": row.task, "title": row.title, "column": row.column, "verdicts": verdicts, "tests": row.tests,
            })
        })
        .collect();
    let body = serde_json::json!({
        "folder": folder, "repository": summary.repository, "home": summary.home, "running": keep,
        "took_s": took.as_secs_f64(), "tasks": tasks,
    });
    ctx.ui.json(&Document::new("demo", body))?;
    Ok(Code::Ok)
}
