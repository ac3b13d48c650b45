//! `standup logs`: what an agent wrote, as text, as bytes or as a cast; what a check wrote.

use std::time::Duration;

mod check;

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::Interrupts;
use crate::host::transcript::{self, Cast, Item, TextLines};
use crate::host::{ExitRecord, registry};
use crate::model::attempt::Attempt;
use crate::model::board::Task;
use crate::model::event::Event;
use crate::model::id::{AttemptId, AttemptNo};
use crate::model::name::{CheckName, HostId};
use crate::model::text::clean_line;
use crate::store::layout::Layout;
use crate::supervisor::journal;

/// How often a transcript is asked whether it grew.
const LOOK: Duration = Duration::from_millis(100);

/// Show what a task's agent wrote
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("form").multiple(false))]
pub(in crate::cli) struct Args {
    /// Which
    task: Option<String>,
    /// Go on until the agent, or the check, ends
    #[arg(short, long)]
    follow: bool,
    /// The bytes as they were written, for a terminal
    #[arg(long, group = "form")]
    raw: bool,
    /// A recording for players (asciicast 2); each further start of the agent is marked
    #[arg(long, group = "form")]
    cast: bool,
    /// What a check writes, or wrote when it last ran
    #[arg(long, value_name = "NAME", conflicts_with = "cast")]
    check: Option<CheckName>,
    /// An earlier attempt
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    let board = ctx.seen()?.board;
    let id = ctx.task(&board, args.task.as_deref())?;
    let task = &board.tasks[&id];
    let attempt = require_attempt(task, args.attempt)?;
    let of = AttemptId { task: id, no: attempt.no };
    if let Some(name) = &args.check {
        let form = check::Form { raw: args.raw, follow: args.follow };
        return check::print(ctx, of, name, form);
    }
    let hosts = hosts(ctx, of)?;
    if hosts.is_empty() {
        let text = format!("the agent of {of} was never started, so it wrote nothing");
        return Err(Failure::new(Code::Failure, text).hint(format!("standup show {id}")));
    }
    let form = match (args.raw, args.cast) {
        (true, _) => Form::Raw,
        (_, true) => Form::Cast(Cast::new()),
        _ => Form::Text(Box::default()),
    };
    let mut out = Out { ctx, form, of, lines: Vec::new(), at_once: args.follow || !ctx.ui.json };
    let last = hosts.len() - 1;
    for (n, host) in hosts.iter().enumerate() {
        out.begin(n + 1);
        print(&mut out, host, args.follow && n == last)?;
    }
    out.done()?;
    Ok(Code::Ok)
}

fn require_attempt(task: &Task, number: Option<u32>) -> Result<&Attempt, Failure> {
    let Some(newest) = task.attempt() else {
        let text = format!("{} has not been started, so there is nothing to show", task.id);
        return Err(Failure::new(Code::Failure, text).hint(format!("standup start {}", task.id)));
    };
    let Some(number) = number else { return Ok(newest) };
    let found = AttemptNo::new(number).and_then(|no| task.attempts.iter().find(|a| a.no == no));
    found.ok_or_else(|| {
        let text = format!("{} has no attempt {number}; the newest is {}", task.id, newest.no);
        Failure::new(Code::NoTask, text).hint(format!("standup show {}", task.id))
    })
}

/// The hosts of an attempt, in the order in which they were started.
fn hosts(ctx: &Context, of: AttemptId) -> Result<Vec<HostId>, Failure> {
    let Some(log) = ctx.log()? else { return Ok(Vec::new()) };
    let mut hosts = Vec::new();
    journal::each(&log, Some(of.task), |logged| match logged.record.event {
        Event::LaunchPlanned { host, .. } if logged.record.attempt == Some(of.no) => hosts.push(host),
        _ => {}
    })?;
    Ok(hosts)
}

/// How it is shown.
enum Form {
    Text(Box<TextLines>),
    Raw,
    Cast(Cast),
}

struct Out<'a> {
    ctx: &'a Context,
    form: Form,
    of: AttemptId,
    /// Lines of the one document.
    lines: Vec<String>,
    /// Whether each line is printed as it comes.
    at_once: bool,
}

impl Out<'_> {
    /// What follows is of the n-th start of the agent.
    fn begin(&mut self, n: usize) {
        if let Form::Cast(cast) = &mut self.form
            && n > 1
        {
            cast.next_start(&format!("start {n}"));
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Failure> {
        let lines = match &mut self.form {
            Form::Raw => {
                return match item {
                    Item::Output { bytes, .. } => self.ctx.ui.raw(bytes),
                    _ => Ok(()),
                };
            }
            Form::Cast(cast) => cast.push(item),
            Form::Text(text) => text.push(item),
        };
        self.say(lines)
    }

    fn rest(&mut self, is_over: bool) -> Result<(), Failure> {
        let Form::Text(text) = &mut self.form else { return Ok(()) };
        let lines = if is_over { text.finish() } else { text.settle() };
        if is_over {
            **text = TextLines::new();
        }
        self.say(lines)
    }

    fn say(&mut self, lines: Vec<String>) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        if matches!(self.form, Form::Cast(_)) {
            return self.ctx.ui.answer(&lines.join("\n"));
        }
        if !self.at_once {
            self.lines.extend(lines);
            return Ok(());
        }
        let task = self.of.task;
        let line = |line: &String| match self.ctx.ui.json {
            true => format!("{}\n", serde_json::json!({"task": task, "attempt": self.of.no, "line": line})),
            false => format!("{}\n", clean_line(line)),
        };
        self.ctx.ui.answer(&lines.iter().map(line).collect::<String>())
    }

    fn done(self) -> Result<(), Failure> {
        if self.at_once || !matches!(self.form, Form::Text(_)) {
            return Ok(());
        }
        let body = serde_json::json!({"task": self.of.task, "attempt": self.of.no, "lines": self.lines});
        self.ctx.ui.json(&Document::new("logs", body))
    }
}

fn print(out: &mut Out<'_>, host: &HostId, follow: bool) -> Result<(), Failure> {
    let layout: &Layout = &out.ctx.place()?.layout;
    let dir = layout.host_dir(host);
    let mut reader = transcript::open(&dir.join("transcript"));
    let mut interrupts = if follow { Some(Interrupts::follow()?) } else { None };
    let mut known = 0;
    loop {
        // Looked at before reading: what is written up to the end is read after it.
        let record = registry::find(&dir, host.clone())?;
        while let Some(item) = reader.next_item().map_err(|error| Failure::of(&error))? {
            known += match &item {
                Item::Output { bytes, .. } => bytes.len() as u64,
                Item::Gap { bytes } => *bytes,
                Item::Start { .. } | Item::Resize { .. } => 0,
            };
            out.item(&item)?;
        }
        let Some(interrupts) = interrupts.as_mut().filter(|_| record.alive) else {
            // What was lost at the very end only the host could tell.
            let lost = |exit: ExitRecord| exit.output_bytes.saturating_sub(known).min(exit.transcript_lost);
            let bytes = record.exit.map_or(0, lost);
            if bytes > 0 {
                out.item(&Item::Gap { bytes })?;
            }
            return out.rest(true);
        };
        out.rest(false)?;
        interrupts.sleep(LOOK)?;
    }
}
