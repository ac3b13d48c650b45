//! `standup host start|attach|list|stop`: PTY hosts without repository or supervisor, and the host
//! process itself (`__host`).
//!
//! **Invariant:** these verbs read no settings and start no supervisor.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::ui::{Color, Ui};
use crate::client::attach::{self, AttachError};
use crate::host::registry::{self, HostRecord};
use crate::host::{self, StartError};
use crate::model::name::{HostId, NameError};
use crate::os::file::FileError;
use crate::os::locate::{self, Dirs, LocateError};
use crate::os::socket;
use crate::wire::host::{Bytes, SPEC_SCHEMA, Size, Spec, WireError};

/// Rows and columns where none are given.
const USUAL: Size = Size { rows: 24, cols: 80 };

/// Lines above the screen that `attach` repeats.
const SCROLLBACK: u32 = 1000;

/// Longer than a host's own patience with its agent.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The name of the environment entry by which a host's processes are found.
const MARKER: &str = "STANDUP_HOST_NONCE";

/// Where an agent's environment would tell it about a terminal that it does not run in.
const FOREIGN: [&str; 8] = [
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "KITTY_WINDOW_ID",
    "COLORTERM",
    "STANDUP_HOST",
];

const USAGE: [&str; 4] = [
    "standup host start [--rows R] [--cols C] NAME -- COMMAND…",
    "standup host attach [--readonly] NAME",
    "standup host list",
    "standup host stop NAME",
];

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
enum HostCommandError {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no host of this name.
    #[error("no host is called {0}")]
    Unknown(HostId),
    /// One of this name runs already.
    #[error("a host called {0} runs already")]
    Taken(HostId),
    /// The program to run was not found.
    #[error("cannot find {}", program.to_string_lossy())]
    Program {
        /// What was looked for.
        program: OsString,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It did not stop in time.
    #[error("{0} has not stopped yet")]
    Slow(HostId),
    /// Directories.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard output, the working directory.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The host did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not be told.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The answer could not be said.
    #[error("{0}")]
    Said(String),
    /// The terminal could not be put on it.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// Run a program on a terminal of its own, without repository or supervisor
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// start [--rows R] [--cols C] NAME -- COMMAND…, attach [--readonly] NAME, list, stop NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    rest: Vec<OsString>,
}

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    carry_out(&args.rest, &ctx.ui)?;
    Ok(Code::Ok)
}

/// The same from bare arguments, before anything else of the command line is looked at: it is
/// called for every one of many hosts.
pub(in crate::cli) fn bare(args: &[OsString]) -> u8 {
    let ui = Ui::new(false, false, false, true, Color::Auto);
    match carry_out(args, &ui).map_err(Failure::from) {
        Ok(()) => Code::Ok.number(),
        Err(failure) => {
            ui.fail(&failure);
            failure.code.number()
        }
    }
}

impl From<HostCommandError> for Failure {
    fn from(error: HostCommandError) -> Self {
        let code = match &error {
            HostCommandError::Usage(_) | HostCommandError::Name(_) => Code::Usage,
            HostCommandError::Unknown(_) => Code::NoTask,
            _ => Code::Failure,
        };
        let failure = Self { code, ..Self::of(&error) };
        match &error {
            HostCommandError::Usage(_) => USAGE.iter().fold(failure, |failure, line| failure.hint(*line)),
            HostCommandError::Attach(attach) => match attach.hint() {
                Some(hint) => failure.hint(hint),
                None => failure,
            },
            HostCommandError::Unknown(_) => failure.hint("standup host list"),
            HostCommandError::Taken(id) => failure.hint(format!("standup host attach {id}")),
            _ => failure,
        }
    }
}

/// Runs a verb with the arguments after `host`.
fn carry_out(args: &[OsString], ui: &Ui) -> Result<(), HostCommandError> {
    let text: Vec<Option<&str>> = args.iter().map(|arg| arg.to_str()).collect();
    match text.as_slice() {
        [Some("start"), ..] => start(&args[1..]),
        [Some("list")] => list(ui),
        [Some("stop"), Some(name)] => stop(HostId::new(*name)?),
        [Some("attach"), Some("--readonly"), Some(name)] => attach(&HostId::new(*name)?, true, ui),
        [Some("attach"), Some(name)] => attach(&HostId::new(*name)?, false, ui),
        _ => Err(HostCommandError::Usage("not a verb of `host`, or not its arguments".into())),
    }
}

/// Where hosts without a repository have their folders.
fn hosts_dir(dirs: &Dirs) -> PathBuf {
    dirs.state.join("hosts")
}

fn start(args: &[OsString]) -> Result<(), HostCommandError> {
    let (size, id, command) = parse_start(args)?;
    let dirs = Dirs::find()?;
    let dir = hosts_dir(&dirs).join(id.as_str());
    if registry::find(&dir, id.clone())?.alive {
        return Err(HostCommandError::Taken(id));
    }
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(FileError::io("clear", &dir, e).into()),
        _ => {}
    }
    let io_error = |what| move |source| HostCommandError::Io { what, source };
    let cwd = std::env::current_dir().map_err(io_error("find the working directory"))?;
    let program = locate::program(&command[0], &cwd)
        .map_err(|source| HostCommandError::Program { program: command[0].clone(), source: source.into() })?;
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let env = std::env::vars_os().filter(|(name, _)| !FOREIGN.iter().any(|foreign| name == foreign));
    let spec = Spec {
        schema: SPEC_SCHEMA,
        id: id.clone(),
        nonce: nonce.clone(),
        dir: dir.into(),
        socket: socket_path(&dirs.runtime, &id).into(),
        program: program.into(),
        args: command[1..].iter().cloned().map(Bytes::from).collect(),
        cwd: cwd.into(),
        env: env.map(|(name, value)| (name.into(), value.into())).collect(),
        size,
        marker: format!("{MARKER}={nonce}"),
        answers: Vec::new(),
        reports: Vec::new(),
        fence: None,
        slot_fd: None,
        transcript_cap_bytes: 0,
        scrollback: 0,
        lock_dirs: Vec::new(),
        stdin: None,
        stop_grace_ms: 0,
        made_for: String::new(),
    };
    let exe = locate::this_binary().map_err(io_error("find this program"))?;
    host::start(&spec, &exe)?;
    Ok(())
}

fn parse_start(args: &[OsString]) -> Result<(Size, HostId, &[OsString]), HostCommandError> {
    let usage = |text: &str| HostCommandError::Usage(text.into());
    let mut size = USUAL;
    let mut at = 0;
    let side = |at: usize| args.get(at).and_then(|n| n.to_str()?.parse().ok()).filter(|&n: &u16| n > 0);
    loop {
        match args.get(at).and_then(|arg| arg.to_str()) {
            Some("--rows") => size.rows = side(at + 1).ok_or_else(|| usage("--rows takes a number"))?,
            Some("--cols") => size.cols = side(at + 1).ok_or_else(|| usage("--cols takes a number"))?,
            _ => break,
        }
        at += 2;
    }
    let name = args.get(at).and_then(|name| name.to_str()).ok_or_else(|| usage("a name is missing"))?;
    let id = HostId::new(name)?;
    match &args[at + 1..] {
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => Ok((size, id, command)),
        _ => Err(usage("a command is missing after --")),
    }
}

/// A socket's path is bounded by the system; a long one is shortened to what tells hosts apart.
fn socket_path(runtime: &Path, id: &HostId) -> PathBuf {
    let path = runtime.join(format!("{id}.sock"));
    if path.as_os_str().len() <= socket::MAX_PATH {
        return path;
    }
    use sha2::Digest;
    use std::fmt::Write as _;
    let digest = sha2::Sha256::digest(path.as_os_str().as_encoded_bytes());
    let short = digest.iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    runtime.join(format!("{short}.sock"))
}

fn list(ui: &Ui) -> Result<(), HostCommandError> {
    let mut text = String::new();
    for host in registry::list(&hosts_dir(&Dirs::find()?))? {
        let state = match (&host.exit, host.alive) {
            (_, true) => "running".to_owned(),
            (Some(exit), _) => match (&exit.error, exit.code, exit.signal) {
                (Some(_), ..) => "failed to start".into(),
                (_, Some(code), _) => format!("exited {code}"),
                (_, _, Some(signal)) => format!("killed by signal {signal}"),
                _ => "ended".into(),
            },
            (None, false) => "lost".into(),
        };
        let pid = host.running.as_ref().filter(|_| host.alive).map_or("-".into(), |r| r.agent.pid.to_string());
        text.push_str(&format!("{}\t{state}\t{pid}\n", host.id));
    }
    ui.raw(text.as_bytes()).map_err(|failure| HostCommandError::Said(failure.text))
}

fn find(id: &HostId) -> Result<HostRecord, HostCommandError> {
    let dir = hosts_dir(&Dirs::find()?).join(id.as_str());
    if !dir.is_dir() {
        return Err(HostCommandError::Unknown(id.clone()));
    }
    Ok(registry::find(&dir, id.clone())?)
}

fn stop(id: HostId) -> Result<(), HostCommandError> {
    let host = find(&id)?;
    if !host.alive {
        // What a killed host left behind.
        if let Some(running) = host.running.filter(|_| host.exit.is_none()) {
            let _ = host::kill_leftovers(&running.marker);
        }
        return Ok(());
    }
    let Some(running) = host.running else { return Err(HostCommandError::Slow(id)) };
    host::ask_to_stop(&running, None, STOP_LIMIT)?;
    let until = Instant::now() + STOP_LIMIT;
    while find(&id)?.alive {
        if Instant::now() >= until {
            return Err(HostCommandError::Slow(id));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn attach(id: &HostId, readonly: bool, ui: &Ui) -> Result<(), HostCommandError> {
    let host = find(id)?;
    let Some(running) = host.running.filter(|_| host.alive) else { return Err(HostCommandError::Unknown(id.clone())) };
    let options = attach::Options {
        readonly,
        scrollback: SCROLLBACK,
        ..attach::Options::new(id.as_str(), format!("standup host attach {id}"))
    };
    let ended = ui.on_terminal(|input, output| attach::attach(running.socket.as_path(), input, output, &options))?;
    ui.say(&ended.line(&options));
    Ok(())
}
