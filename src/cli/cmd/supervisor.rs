//! `standup supervisor`: the process that supervises this repository, looked at and told to end.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::board::doc::Document;
use crate::board::text::Paint;
use crate::board::when;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::ui::{self, Ui};
use crate::client::control::{Begin, Client, ClientError};
use crate::model::text::clean_lines;
use crate::os::file::FileError;
use crate::os::lock;
use crate::store::record::SupervisorRecord;
use crate::supervisor::run::{self, RunError};
use crate::wire::control::Request;

/// Look at what supervises this repository, restart it, end it
#[derive(Debug, clap::Args)]
#[command(long_about = "Look at the process that supervises this repository, restart it, end it.\n\n\
    Agents do not need it: each lives in a host process of its own and goes on while no supervisor runs. The next \
    one finds them again.")]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Say whether one runs
    Status,
    /// Print the end of its log
    Logs {
        /// Go on as it is written
        #[arg(short, long)]
        follow: bool,
        /// How many lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
        lines: usize,
    },
    /// End it and start another one; agents go on
    Restart,
    /// End it; agents go on
    Stop,
    /// Supervise, in this process
    #[command(hide = true)]
    Run {
        /// Write one line to stdout once it can be asked
        #[arg(long)]
        greet: bool,
        /// Dispatch nothing until told to
        #[arg(long)]
        still: bool,
    },
}

/// How long an ending supervisor may take; it ends within half a second.
const END_LIMIT: Duration = Duration::from_secs(15);

/// Between two looks at something that nobody tells of.
const TICK: Duration = Duration::from_millis(50);

/// Between two looks at a log that is followed.
const FOLLOW_TICK: Duration = Duration::from_millis(200);

/// How much of the end of a log is looked at for its last lines.
const MAX_TAIL: u64 = 4 << 20;

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    match args.what {
        What::Status => status(ctx),
        What::Logs { follow, lines } => logs(ctx, follow, lines),
        What::Restart => restart(ctx),
        What::Stop => stop(ctx),
        What::Run { greet, still } => supervise(ctx, greet, still),
    }
}

fn supervise(ctx: &Context, greet: bool, still: bool) -> Result<Code, Failure> {
    ui::log();
    let mut out = Out(&ctx.ui);
    let greeting: Option<&mut dyn Write> = if greet { Some(&mut out) } else { None };
    match run::run(ctx.place()?.clone(), greeting, still) {
        Ok(()) => Ok(Code::Ok),
        Err(error @ RunError::Taken { .. }) => {
            Err(Failure { code: Code::Conflict, ..Failure::of(&error) }.hint("standup supervisor status"))
        }
        Err(RunError::Load(error)) => Err(error.into()),
        Err(RunError::Store(error)) => Err(error.into()),
        Err(error) => Err(Failure::of(&error)),
    }
}

/// Standard output, for the greeting.
struct Out<'a>(&'a Ui);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.raw(bytes).map(|()| bytes.len()).map_err(|failure| std::io::Error::other(failure.to_string()))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn status(ctx: &Context) -> Result<Code, Failure> {
    let place = ctx.place()?;
    let seen = ctx.seen()?;
    let layout = &place.layout;
    let socket = layout.control_socket()?;
    if ctx.ui.json {
        let who = seen.supervisor.as_ref();
        let body = serde_json::json!({
            "running": who.is_some(),
            "pid": who.map(|s| s.process.pid),
            "since": who.map(|s| s.since.wall),
            "version": who.map(|s| s.version.clone()),
            "dispatch": seen.board.dispatch,
            "banners": seen.banners,
            "socket": socket,
            "log": layout.supervisor_log(),
        });
        ctx.ui.json(&Document::new("supervisor", body))?;
        return Ok(Code::Ok);
    }
    let Some(who) = &seen.supervisor else {
        ctx.ui.answer("No supervisor runs for this repository.")?;
        ctx.ui.hint("standup up");
        return Ok(Code::Ok);
    };
    let dispatch = if seen.board.dispatch { "starts tasks while WIP allows" } else { "starts no tasks" };
    let mut text = format!(
        "A supervisor runs: pid {}, version {}, since {}; it {dispatch}.\nsocket  {}\nlog     {}\n",
        who.process.pid,
        who.version,
        when::short(who.since.wall, ctx.now().wall, &ctx.ui.zone()),
        socket.display(),
        layout.supervisor_log().display(),
    );
    seen.banners.iter().for_each(|banner| text.push_str(&format!("! {}\n", clean_lines(banner))));
    ctx.ui.answer(&text)?;
    if who.version != env!("CARGO_PKG_VERSION") {
        ctx.ui.say(&format!("this program has version {}", env!("CARGO_PKG_VERSION")));
        ctx.ui.hint("standup supervisor restart");
    }
    Ok(Code::Ok)
}

fn restart(ctx: &Context) -> Result<Code, Failure> {
    let place = ctx.place()?;
    let ended = end(ctx)?;
    let client = Client::connect_or_start(&place.layout, &place.anchor(), Begin::AsBefore)?;
    let pid = client.welcome().process.pid;
    let was = if ended { "" } else { "; none ran before" };
    ctx.ui.say(&format!("supervisor started: pid {pid}{was}"));
    Ok(Code::Ok)
}

fn stop(ctx: &Context) -> Result<Code, Failure> {
    let ended = end(ctx)?;
    ctx.ui.say(if ended { "supervisor ended; agents go on" } else { "no supervisor runs" });
    Ok(Code::Ok)
}

/// Ends the supervisor and returns when it is gone; whether one ran.
fn end(ctx: &Context) -> Result<bool, Failure> {
    let layout = &ctx.place()?.layout;
    let path = layout.supervisor_lock();
    match ctx.running()? {
        Some(mut client) => match client.ask(&Request::Shutdown {}) {
            // It may be gone before its answer is.
            Ok(_) | Err(ClientError::Broken(_)) => {}
            Err(error) => return Err(error.into()),
        },
        None if !lock::is_held(&path)? => return Ok(false),
        None => {}
    }
    let deadline = Instant::now() + END_LIMIT;
    while lock::is_held(&path)? {
        if Instant::now() > deadline {
            let who = SupervisorRecord::load(&layout.supervisor_record())?;
            let pid = who.map(|r| format!(" (pid {})", r.process.pid)).unwrap_or_default();
            let text = format!("the supervisor{pid} did not end within {} s", END_LIMIT.as_secs());
            return Err(Failure::new(Code::Unreachable, text).hint("standup supervisor logs"));
        }
        thread::sleep(TICK);
    }
    Ok(true)
}

fn logs(ctx: &Context, follow: bool, lines: usize) -> Result<Code, Failure> {
    let path = ctx.place()?.layout.supervisor_log();
    let wrong = |e| FileError::io("read", &path, e);
    let mut file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(
                Failure::new(Code::Failure, "no supervisor has run here yet: there is no log").hint("standup up")
            );
        }
        Err(error) => return Err(wrong(error).into()),
    };
    let length = file.metadata().map_err(wrong)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_TAIL))).map_err(wrong)?;
    let mut bytes = Vec::new();
    (&mut file).take(MAX_TAIL).read_to_end(&mut bytes).map_err(wrong)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let from = text.lines().count().saturating_sub(lines);
    let mut last: Vec<&str> = text.lines().skip(from).collect();
    // The end of a line that is being written comes with what follows.
    let begun = last.pop_if(|_| follow && !text.ends_with('\n')).map(str::to_owned);
    print_log(ctx, &last)?;
    if !follow {
        return Ok(Code::Ok);
    }
    let mut begun = begun.unwrap_or_default().into_bytes();
    loop {
        thread::sleep(FOLLOW_TICK);
        file = reopened(file, &path)?;
        (&mut file).take(MAX_TAIL).read_to_end(&mut begun).map_err(wrong)?;
        let Some(end) = begun.iter().rposition(|&byte| byte == b'\n') else { continue };
        let rest = begun.split_off(end + 1);
        print_log(ctx, &String::from_utf8_lossy(&begun).lines().collect::<Vec<_>>())?;
        begun = rest;
    }
}

/// Lines of the log; as JSON, each is an object of its own.
fn print_log(ctx: &Context, lines: &[&str]) -> Result<(), Failure> {
    if ctx.ui.json {
        return lines.iter().try_for_each(|line| ctx.ui.json(&Document::new("supervisor-log", LogLine::of(line))));
    }
    if lines.is_empty() { Ok(()) } else { ctx.ui.answer(&clean_lines(&lines.join("\n"))) }
}

/// A line of the log. Not all begin with a time: how one that did not start failed, and a panic.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct LogLine<'a> {
    at: Option<&'a str>,
    level: Option<String>,
    /// The part of the program.
    from: Option<&'a str>,
    text: &'a str,
}

impl<'a> LogLine<'a> {
    /// `2026-11-02T10:00:00.123456Z  WARN standup::os: what is wrong`
    fn of(line: &'a str) -> Self {
        Self::read(line).unwrap_or(Self { at: None, level: None, from: None, text: line })
    }

    fn read(line: &'a str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        at.parse::<jiff::Timestamp>().ok()?;
        let (level, rest) = rest.trim_start().split_once(' ')?;
        let known = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level);
        let (from, text) = rest.split_once(": ")?;
        known.then(|| Self { at: Some(at), level: Some(level.to_lowercase()), from: Some(from), text })
    }
}

/// The same file, or the one that took its name or was cut since.
fn reopened(mut file: std::fs::File, path: &Path) -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::MetadataExt;
    let wrong = |e| FileError::io("read", path, e);
    let now = match std::fs::metadata(path) {
        Ok(now) => now,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(file),
        Err(error) => return Err(wrong(error).into()),
    };
    let open = file.metadata().map_err(wrong)?;
    if (open.dev(), open.ino()) != (now.dev(), now.ino()) {
        return Ok(std::fs::File::open(path).map_err(wrong)?);
    }
    if file.stream_position().map_err(wrong)? > now.len() {
        file.rewind().map_err(wrong)?;
    }
    Ok(file)
}
