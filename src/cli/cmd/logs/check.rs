//! What a check wrote, or writes right now.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::tail::{Interrupts, Tail};
use crate::model::event::Event;
use crate::model::id::{AttemptId, CheckRun, Seq};
use crate::model::name::CheckName;
use crate::model::text::{clean_line, clean_lines};
use crate::os::file;
use crate::report::plain::plain;
use crate::store::log::StoredEvent;
use crate::supervisor::journal;

/// How often the log of a running check is asked whether it grew.
const LOOK: Duration = Duration::from_millis(100);

/// The longest log of a check: what is kept of one, and a little air.
const MAX_LOG: u64 = 32 << 20;

/// A line that does not end is printed in pieces of this many bytes.
const MAX_LINE: usize = 64 << 10;

/// How it is shown.
pub(super) struct Form {
    pub(super) raw: bool,
    pub(super) follow: bool,
}

pub(super) fn print(ctx: &Context, of: AttemptId, name: &CheckName, form: Form) -> Result<Code, Failure> {
    if form.follow {
        // Looked for before the board: a run that ends meanwhile is then among what is read.
        let from = ctx.log()?.map_or(Ok(Seq(0)), |log| log.last_seq())?.next();
        let board = ctx.seen()?.board;
        if let Some(run) = board.attempt(of).and_then(|attempt| attempt.checking.as_ref()).map(|c| c.run) {
            let dir = runs_dir(ctx, of)?.join(run.0.to_string());
            return Running { ctx, of, name, dir, run, raw: form.raw, seen: None, part: Vec::new() }.follow(from);
        }
    }
    let dirs = runs(&runs_dir(ctx, of)?);
    let found = dirs.iter().rev().map(|(_, dir)| crate::verify::log_path(dir, name)).find(|path| path.is_file());
    let Some(path) = found else { return Err(none(of, name, dirs.last().map(|(_, dir)| dir.as_path()))) };
    let bytes = file::read_bounded(&path, MAX_LOG)?;
    if form.raw {
        ctx.ui.raw(&bytes)?;
    } else if ctx.ui.json && !form.follow {
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let body = serde_json::json!({"task": of.task, "attempt": of.no, "check": name, "lines": lines});
        ctx.ui.json(&Document::new("logs", body))?;
    } else if ctx.ui.json {
        ctx.ui.answer(&as_json(of, name, &String::from_utf8_lossy(&bytes)))?;
    } else {
        ctx.ui.answer(&clean_lines(&plain(&String::from_utf8_lossy(&bytes))))?;
    }
    Ok(Code::Ok)
}

fn runs_dir(ctx: &Context, of: AttemptId) -> Result<PathBuf, Failure> {
    Ok(ctx.place()?.layout.checks_dir().join(of.task.to_string()).join(of.no.to_string()))
}

/// The runs of an attempt that left anything, the oldest first.
fn runs(dir: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<(u64, PathBuf)> =
        entries.filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path()))).collect();
    dirs.sort();
    dirs
}

fn none(of: AttemptId, name: &CheckName, last: Option<&Path>) -> Failure {
    let known: Vec<String> =
        last.map(logs_in).unwrap_or_default().iter().filter_map(|file| Some(file.to_str()?.to_owned())).collect();
    let known: BTreeSet<&str> = known.iter().filter_map(|file| Path::new(file).file_stem()?.to_str()).collect();
    if known.is_empty() {
        let text = format!("no checks of {of} have run");
        return Failure::new(Code::Failure, text).hint(format!("standup verify {}", of.task));
    }
    let names = known.into_iter().map(clean_line).collect::<Vec<_>>().join(", ");
    Failure::new(Code::Failure, format!("no check called {name} has run for {of}; these have: {names}"))
}

fn logs_in(dir: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

fn as_json(of: AttemptId, name: &CheckName, text: &str) -> String {
    let line = |line| {
        let line = serde_json::json!({"task": of.task, "attempt": of.no, "check": name, "line": line});
        format!("{line}\n")
    };
    text.lines().map(line).collect()
}

/// A run of checks that goes on.
struct Running<'a> {
    ctx: &'a Context,
    of: AttemptId,
    name: &'a CheckName,
    dir: PathBuf,
    run: CheckRun,
    raw: bool,
    /// The log, and the logs that were there when it was first seen: checks run one after the
    /// other, so that another one's means that this one has ended.
    seen: Option<(File, BTreeSet<OsString>)>,
    /// The line that has not ended.
    part: Vec<u8>,
}

impl Running<'_> {
    fn follow(mut self, from: Seq) -> Result<Code, Failure> {
        let mut interrupts = Interrupts::follow()?;
        let mut tail = Tail::from(self.ctx, from)?;
        let mut over = false;
        loop {
            // Looked at before reading: what is written up to the end is read after it.
            over |= self.is_over();
            self.read()?;
            if over {
                break;
            }
            over = tail.wait(&mut interrupts, LOOK)?.iter().any(|stored| self.ends(stored));
        }
        if self.seen.is_none() {
            return Err(none(self.of, self.name, Some(&self.dir)));
        }
        let rest = std::mem::take(&mut self.part);
        self.say(&rest)?;
        Ok(Code::Ok)
    }

    /// Whether another check has begun after it.
    fn is_over(&self) -> bool {
        self.seen.as_ref().is_some_and(|(_, before)| !logs_in(&self.dir).is_subset(before))
    }

    /// Whether an event is the end of this run.
    fn ends(&self, stored: &StoredEvent) -> bool {
        if stored.task != Some(self.of.task) {
            return false;
        }
        match journal::logged(stored).map(|logged| logged.record.event) {
            Some(Event::VerdictReached { run, .. } | Event::ChecksDropped { run, .. }) => run == self.run,
            _ => false,
        }
    }

    /// Reads what has been written since, and prints its whole lines.
    fn read(&mut self) -> Result<(), Failure> {
        if self.seen.is_none() {
            let Ok(log) = File::open(crate::verify::log_path(&self.dir, self.name)) else { return Ok(()) };
            self.seen = Some((log, logs_in(&self.dir)));
        }
        let Some((log, _)) = &mut self.seen else { return Ok(()) };
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        self.part.extend(bytes);
        let end = match self.part.iter().rposition(|&b| b == b'\n') {
            _ if self.raw => self.part.len(),
            Some(at) => at + 1,
            None if self.part.len() >= MAX_LINE => self.part.len(),
            None => 0,
        };
        let whole: Vec<u8> = self.part.drain(..end).collect();
        self.say(&whole)
    }

    fn say(&self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(bytes);
        match (self.raw, self.ctx.ui.json) {
            (true, _) => self.ctx.ui.raw(bytes),
            (false, true) => self.ctx.ui.answer(&as_json(self.of, self.name, &text)),
            (false, false) => self.ctx.ui.answer(&clean_lines(&plain(&text))),
        }
    }
}
