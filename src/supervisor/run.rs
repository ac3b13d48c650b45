//! The life of a supervisor: one for each repository, from the lock it takes to the record it
//! removes. The loop receives, turns, answers, and does nothing else.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::model::attempt::Proc;
use crate::os::clock;
use crate::os::file::FileError;
use crate::os::locate;
use crate::os::lock::Lock;
use crate::os::process::ProcessId;
use crate::os::socket::{self, SocketError};
use crate::store::StoreError;
use crate::store::log::Log;
use crate::store::record::SupervisorRecord;
use crate::store::slots::Slots;
use crate::store::token::Token;
use crate::watch::Watcher;
use crate::wire::control::Supervisor;

use super::desk::Desk;
use super::driver::Driver;
use super::effects::Effects;
use super::journal::StoreJournal;
use super::place::Place;
use super::server::{self, Server};
use super::surroundings::{self, LoadError};
use super::token::Tokens;
use super::watching;
use super::world::World;

/// Inputs on their way to the loop. Effects and hosts wait when it is full.
const INPUTS: usize = 4_096;

/// Requests on their way to the loop.
const REQUESTS: usize = 256;

/// Threads for the loop, the sockets and the hosts; what blocks has threads of its own.
const THREADS: usize = 2;

/// How long ending waits for deeds under way; they are taken up again by the next supervisor.
const FAREWELL: Duration = Duration::from_millis(500);

/// Between taking the lock and naming itself a supervisor writes one small file; a child of a
/// killed one execs.
const HOLDER_LIMIT: Duration = Duration::from_secs(2);

/// Between two looks at that file.
const HOLDER_LOOK: Duration = Duration::from_millis(10);

/// Why a supervisor could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one runs.
    #[error("a supervisor runs already{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken {
        /// Its pid, where it is known.
        pid: Option<u32>,
    },
    /// Settings.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Threads, signals, this very binary.
    #[error("the supervisor cannot run")]
    Io(#[from] std::io::Error),
}

/// Supervises until it is told to end. `greet` takes one line once it can be asked; `still` switches
/// dispatching off before anything else.
///
/// # Errors
/// [`RunError`]; nothing was started.
pub fn run(place: Place, greet: Option<&mut dyn Write>, still: bool) -> Result<(), RunError> {
    place.layout.prepare()?;
    let lock_path = place.layout.supervisor_lock();
    let record_path = place.layout.supervisor_record();
    let _lock = take_lock(&lock_path, &record_path)?;
    // Before anything that takes time, so that whoever loses can say who won.
    write_record(&place.layout.control_socket()?, &record_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let ended = runtime.block_on(supervise(place, greet, still));
    runtime.shutdown_timeout(FAREWELL);
    let _ = SupervisorRecord::remove(&record_path);
    ended
}

async fn supervise(place: Place, greet: Option<&mut dyn Write>, still: bool) -> Result<(), RunError> {
    let socket_path = place.layout.control_socket()?;
    let token = Token::load_or_create(&place.layout.user_token())?;
    let tokens = Tokens::new(token);
    let log = Log::open(&place.layout.database())?;
    let mut banners = Vec::new();
    if let Some(aside) = log.set_aside() {
        banners.push(format!("the database was damaged; it lies at {}", aside.path.display()));
    }
    let slots = Slots::open(&place.layout.slots_dir())?;
    let (loaded, wrong) = surroundings::load_or_last(&place)?;
    if wrong.is_none() {
        loaded.keep(&place);
    }
    let (inputs, receive) = mpsc::channel(INPUTS);
    let (seen, files) = mpsc::channel(INPUTS);
    let watcher = Watcher::new(move |event| {
        let _ = seen.blocking_send(event);
    });
    let watcher = watcher.map_err(|error| banners.push(error.to_string())).ok();
    let exe = locate::this_binary()?;
    let world = Arc::new(World::new(place, exe, tokens, slots, inputs, watcher, loaded));

    let journal = StoreJournal::new(log)?;
    let last = journal.last();
    let driver = Driver::open(journal, Effects::new(world.clone()))?;
    let own = ProcessId::own();
    let process = Proc { pid: own.pid, start: own.start };
    let about = Supervisor { process, since: clock::now(), version: env!("CARGO_PKG_VERSION").to_owned(), banners };
    let mut desk = Desk::new(world.clone(), driver, about);
    desk.begin_with(wrong);
    if still {
        desk.hold_still();
    }
    desk.recover().await?;
    let (post, letters) = mpsc::channel(watching::LETTERS);
    watching::start(world.clone(), files, post.clone());

    let listener = socket::listen(&socket_path)?;
    let (asked, requests) = mpsc::channel(REQUESTS);
    let server = Arc::new(Server::new(asked, post, world, last, process));
    tokio::spawn(server::serve(listener, server.clone()));
    if let Some(out) = greet {
        writeln!(out, "ready").and_then(|()| out.flush())?;
    }
    let ended = turn(&mut desk, receive, requests, letters).await;
    let _ = std::fs::remove_file(&socket_path);
    // Whoever asked for the end hears that it has come.
    let _ = tokio::time::timeout(FAREWELL, server.settled()).await;
    ended
}

/// Takes the lock, or says who holds it: what the record says as soon as it names a process that
/// lives, because one who was killed has left his own. Children of a killed one hold the lock
/// from their fork to their exec, so it may come free in a moment.
fn take_lock(path: &Path, record: &Path) -> Result<Lock, RunError> {
    let until = std::time::Instant::now() + HOLDER_LIMIT;
    loop {
        if let Some(lock) = Lock::try_take(path)? {
            return Ok(lock);
        }
        let holder = SupervisorRecord::load(record).ok().flatten().map(|r| r.process);
        match holder.filter(|process| process.is_alive()) {
            Some(process) => return Err(RunError::Taken { pid: Some(process.pid) }),
            None if std::time::Instant::now() < until => std::thread::sleep(HOLDER_LOOK),
            None => return Err(RunError::Taken { pid: None }),
        }
    }
}

fn write_record(socket: &Path, path: &Path) -> Result<(), StoreError> {
    let record = SupervisorRecord {
        process: ProcessId::own(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: clock::now().wall,
        socket: PathBuf::from(socket),
    };
    record.write(path)
}

/// Receive, turn, answer. TERM and INT leave the agents to the next supervisor.
async fn turn(
    desk: &mut Desk,
    mut inputs: mpsc::Receiver<crate::model::input::Input>,
    mut requests: mpsc::Receiver<server::Asked>,
    mut letters: mpsc::Receiver<watching::Letter>,
) -> Result<(), RunError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut waiting = VecDeque::new();
    while !desk.is_over() {
        let wake = desk.wake_at();
        tokio::select! {
            Some(input) = inputs.recv() => desk.input(input),
            Some(asked) = requests.recv() => desk.request(asked, &mut waiting).await,
            Some(letter) = letters.recv() => desk.letter(letter),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => desk.tick(),
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => {}
        }
        desk.tend(&mut waiting);
    }
    desk.farewell(&mut waiting);
    Ok(())
}
