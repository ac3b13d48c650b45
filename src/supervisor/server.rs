//! The control socket: who may connect, which scope it has, one line in, one line out.
//!
//! Every request goes to the loop and comes back as one answer; only following the log happens
//! here, on a reading connection of its own.
//!
//! **Invariant:** whoever can be shown to run in one of our hosts has its attempt's scope, even with
//! the user's token. What cannot be shown (a peer that is gone, an orphan whose host is) stays as the
//! token says. Whoever shows a token that is none, or another attempt's, is turned away, and that is
//! logged. Must not know: how anything is decided.

use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::model::attempt::Proc;
use crate::model::checkin::Sent;
use crate::model::id::{AttemptId, Seq};
use crate::model::input::{Observation, Refusal, RefusalCode};
use crate::model::text::clean;
use crate::os::process::{self, ProcessId};
use crate::os::socket;
use crate::store::log::Log;
use crate::wire::control::{
    Answer, Hello, MAX_AGENT_LINE, MAX_HELLO, MAX_LINE, Request, VERSIONS, Welcome, only_reports,
};

use super::journal;
use super::token::{self, Tokens};
use super::watching::{Letter, Says};
use super::world::World;

/// Connections at once; more wait. Silent ones go after the handshake limit.
const CONNECTIONS: usize = 512;

/// How long a client may take for its first line.
const HANDSHAKE: Duration = Duration::from_secs(1);

/// Events sent to a follower between two looks at the log.
const PAGE: usize = 512;

/// The longest that one answer is waited for: within what any tool call may take. Who wants to wait
/// longer asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// One who waits says so again at least this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How wide the name of a process is in the log.
const MAX_NAME: usize = 40;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user: everything.
    User,
    /// One attempt: it may report and ask for itself, and nothing else.
    Attempt {
        /// Which.
        attempt: AttemptId,
        /// Which start of it the token was given to, from 1.
        launch: u32,
    },
}

impl Scope {
    /// The attempt it is limited to.
    fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::User => None,
            Self::Attempt { attempt, .. } => Some(attempt),
        }
    }
}

/// Who connected.
struct Peer {
    pid: Option<u32>,
    /// Its parent, and so on.
    kin: Vec<ProcessId>,
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        let pid = socket::peer_pid(stream);
        Self { pid, kin: pid.map(process::ancestors).unwrap_or_default() }
    }

    /// For the log: its number, and what it calls itself.
    fn name(&self) -> String {
        let Some(pid) = self.pid else { return "a process".to_owned() };
        let called = process::name(pid).map(|name| format!(" ({})", clean(&name, MAX_NAME))).unwrap_or_default();
        format!("process {pid}{called}")
    }
}

/// A request on its way to the loop.
pub struct Asked {
    /// Whose.
    pub scope: Scope,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// What every connection needs.
pub struct Server {
    /// The loop.
    pub asked: mpsc::Sender<Asked>,
    /// Who may connect.
    pub tokens: Tokens,
    /// Where it is told whose agent was turned away.
    post: mpsc::Sender<Letter>,
    /// Whose terminals a client may run in.
    world: Arc<World>,
    /// The log's file, for followers.
    pub database: PathBuf,
    /// The last event.
    pub last: watch::Receiver<Seq>,
    /// This process.
    pub process: Proc,
    /// Answers on their way: each request holds one until it is answered.
    answering: Arc<Semaphore>,
}

impl Server {
    /// Over the log's file.
    #[must_use]
    pub(super) fn new(
        asked: mpsc::Sender<Asked>,
        post: mpsc::Sender<Letter>,
        world: Arc<World>,
        last: watch::Receiver<Seq>,
        process: Proc,
    ) -> Self {
        let answering = Arc::new(Semaphore::new(CONNECTIONS));
        let (tokens, database) = (world.tokens.clone(), world.place.layout.database());
        Self { asked, post, tokens, world, database, last, process, answering }
    }

    /// Returns once every answer has been written.
    pub async fn settled(&self) {
        let all = u32::try_from(CONNECTIONS).expect("a small number");
        let _ = self.answering.acquire_many(all).await;
    }
}

/// Accepts connections for ever.
///
/// # Errors
/// Where the listener cannot be used at all.
pub async fn serve(listener: StdListener, server: Arc<Server>) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, &server).await {
                        tracing::debug!(%error, "a connection ended");
                    }
                    drop(place);
                });
            }
            // Out of descriptors: those that are open will close.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, server: &Server) -> std::io::Result<()> {
    if let Err(error) = socket::require_own_peer(&stream) {
        server.world.strangers.turned_away(format_args!("a connection: {error}"));
        return Ok(());
    }
    // Before anything is read: the one who connected waits for its welcome, so its number is its own.
    let peer = Peer::of(&stream);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let Ok(first) = tokio::time::timeout(HANDSHAKE, read_line(&mut read, MAX_HELLO)).await else { return Ok(()) };
    let Some(first) = first? else { return Ok(()) };
    let scope = match admit(&first, &peer, server) {
        Ok((scope, welcome)) => {
            send(&mut write, &welcome).await?;
            scope
        }
        Err(refusal) => return send(&mut write, &Answer::Refused(refusal)).await,
    };
    let max = if scope == Scope::User { MAX_LINE } else { MAX_AGENT_LINE };
    while let Some(line) = read_line(&mut read, max).await? {
        let request = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => request,
            Err(error) => {
                let text = format!("a request that cannot be read: {error}");
                send(&mut write, &refused(RefusalCode::Usage, &text)).await?;
                continue;
            }
        };
        if let Request::Follow { from } = request
            && scope == Scope::User
        {
            return follow(server, from, &mut read, &mut write).await;
        }
        if matches!(request, Request::Permission { .. }) && scope != Scope::User {
            // It may take hours: it holds nobody up, and ends when the one who asks is gone.
            let Some(answer) = wait_for_person(server, scope, request, &mut read).await? else { return Ok(()) };
            send(&mut write, &answer).await?;
            continue;
        }
        if let Some(until) = patience(&request) {
            let Some(answer) = wait(server, scope, request, until, &mut read).await else { return Ok(()) };
            send(&mut write, &answer).await?;
            continue;
        }
        let _under_way = server.answering.acquire().await;
        let answer = ask(server, scope, request).await;
        send(&mut write, &answer).await?;
    }
    Ok(())
}

fn admit(line: &[u8], peer: &Peer, server: &Server) -> Result<(Scope, Welcome), Refusal> {
    let hello: Hello =
        serde_json::from_slice(line).map_err(|e| refusal(RefusalCode::Usage, &format!("no hello: {e}")))?;
    let own = server.world.host_among(&peer.kin).and_then(|host| token::scope_of(&host));
    let scope = match (server.tokens.scope(&hello.token), own) {
        (Some(Scope::User), own) => own.unwrap_or(Scope::User),
        (Some(shown), own) if own.is_none_or(|own| own.attempt() == shown.attempt()) => shown,
        (shown, own) => return Err(turn_away(server, peer, &hello.token, shown, own)),
    };
    let speaks = VERSIONS.1.min(hello.versions.1);
    if speaks < VERSIONS.0.max(hello.versions.0) {
        let text = format!(
            "supervisor {} (pid {}) speaks {}–{}, client {} speaks {}–{}",
            env!("CARGO_PKG_VERSION"),
            server.process.pid,
            VERSIONS.0,
            VERSIONS.1,
            hello.version,
            hello.versions.0,
            hello.versions.1
        );
        let hints = vec!["standup supervisor restart".to_owned()];
        return Err(Refusal { code: RefusalCode::Failure, text, hints });
    }
    let attempt = scope.attempt();
    Ok((scope, Welcome { speaks, version: env!("CARGO_PKG_VERSION").into(), process: server.process, attempt }))
}

/// Somebody shows a token that is none, or another's. It is logged; where it comes from one of our
/// hosts, it is told of that one's task.
fn turn_away(server: &Server, peer: &Peer, token: &str, shown: Option<Scope>, own: Option<Scope>) -> Refusal {
    let own = own.and_then(Scope::attempt);
    let (said, why) = match shown.and_then(Scope::attempt) {
        Some(other) => (String::new(), format!("this token is of {other}, and comes from another attempt")),
        // What it says it is, not what it is.
        None => {
            let claimed = token::claimed(token).map(|id| format!(", which says that it is of {id}"));
            (claimed.unwrap_or_default(), "this token opens nothing here".to_owned())
        }
    };
    let from = own.map(|own| format!(", which runs in {own}")).unwrap_or_default();
    server.world.strangers.turned_away(format_args!("{}{from}{said}: {why}", peer.name()));
    if let Some(attempt) = own {
        // No more than can be taken: what is left out is in the log.
        let seen = Observation::BadCheckIn { why: why.clone(), what: Sent::Request };
        let _ = server.post.try_send(Letter { attempt, says: Says::Seen(seen), stored: oneshot::channel().0 });
    }
    refusal(RefusalCode::Policy, &why)
}

fn refusal(code: RefusalCode, text: &str) -> Refusal {
    Refusal { code, text: text.to_owned(), hints: Vec::new() }
}

fn refused(code: RefusalCode, text: &str) -> Answer {
    Answer::Refused(refusal(code, text))
}

async fn ask(server: &Server, scope: Scope, request: Request) -> Answer {
    let own = matches!(
        request,
        Request::CheckIn { .. }
            | Request::Hook { .. }
            | Request::Permission { .. }
            | Request::Hear { .. }
            | Request::Check { .. }
    );
    match scope {
        Scope::Attempt { .. } if !own => return Answer::Refused(only_reports()),
        Scope::User if own => return refused(RefusalCode::Usage, "only an attempt can report"),
        Scope::Attempt { .. } | Scope::User => {}
    }
    let (answer, answered) = oneshot::channel();
    if server.asked.send(Asked { scope, request, answer }).await.is_err() {
        return refused(RefusalCode::Failure, "the supervisor is ending");
    }
    answered.await.unwrap_or_else(|_| refused(RefusalCode::Failure, "the supervisor is ending"))
}

/// Asks the loop and waits; `None` where the one who asked is gone before the answer came.
async fn wait_for_person(
    server: &Server,
    scope: Scope,
    request: Request,
    read: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<Answer>> {
    let (answer, answered) = oneshot::channel();
    if server.asked.send(Asked { scope, request, answer }).await.is_err() {
        return Ok(None);
    }
    tokio::select! {
        answered = answered => Ok(answered.ok()),
        // Whoever waits has nothing to say meanwhile.
        _ = read.fill_buf() => Ok(None),
    }
}

/// Until when the answer to a request may be waited for, where it is one to wait for.
fn patience(request: &Request) -> Option<Instant> {
    let (Request::Hear { wait_s } | Request::Check { wait_s, .. }) = request else { return None };
    Some(Instant::now() + LONGEST_WAIT.min(Duration::from_secs(u64::from(*wait_s))))
}

/// Asks again whenever something has happened, until there is an answer or time is up. `None` where
/// the client went away.
async fn wait(
    server: &Server,
    scope: Scope,
    mut request: Request,
    until: Instant,
    read: &mut (impl AsyncBufRead + Unpin),
) -> Option<Answer> {
    let mut last = server.last.clone();
    loop {
        last.mark_unchanged();
        let answer = ask(server, scope, request.clone()).await;
        match &answer {
            Answer::Heard { text: None, open: true } => {}
            Answer::Checks { running: true, run, .. } => request = Request::Check { wait_s: 0, run: Some(*run) },
            _ => return Some(answer),
        }
        if Instant::now() >= until {
            return Some(answer);
        }
        tokio::select! {
            // In this order: what is asked for again may be an answer, which nobody must get who has gone.
            biased;
            // A client that says something more wants no answer to this any longer, and one that
            // ended none at all.
            got = read.fill_buf() => return got.is_ok_and(|bytes| !bytes.is_empty()).then_some(answer),
            changed = last.changed() => if changed.is_err() {
                return Some(refused(RefusalCode::Failure, "the supervisor is ending"));
            },
            () = tokio::time::sleep_until(until.min(Instant::now() + ASK_AGAIN)) => {}
        }
    }
}

/// Sends every event from `from` on, until the client goes.
async fn follow(
    server: &Server,
    from: Seq,
    read: &mut (impl AsyncBufRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut last = server.last.clone();
    let database = server.database.clone();
    let opened = tokio::task::spawn_blocking(move || Log::open_read_only(&database)).await;
    let Ok(Ok(mut log)) = opened else {
        return send(write, &refused(RefusalCode::Failure, "the log cannot be read")).await;
    };
    let mut next = Seq(from.0.max(1));
    loop {
        let (back, page) = tokio::task::spawn_blocking(move || {
            let page = log.events(next, PAGE);
            (log, page)
        })
        .await
        .map_err(std::io::Error::other)?;
        log = back;
        let page = page.map_err(std::io::Error::other)?;
        for stored in &page {
            next = stored.seq.next();
            if let Some(logged) = journal::logged(stored) {
                send(write, &Answer::Event(Box::new(logged))).await?;
            }
        }
        if page.len() == PAGE {
            continue;
        }
        // What the client still sends is of no interest; that it goes away is.
        let mut rest = [0_u8; 64];
        tokio::select! {
            changed = last.changed() => if changed.is_err() { return Ok(()) },
            got = read.read(&mut rest) => if got? == 0 { return Ok(()) },
        }
    }
}

/// One line of at most `max` bytes; `None` at the end.
async fn read_line(read: &mut (impl AsyncBufRead + Unpin), max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let got = read.take(limit).read_until(b'\n', &mut line).await?;
    if got == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && got >= max {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the line is too long"));
    }
    Ok(Some(line))
}

async fn send(write: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(std::io::Error::other)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.flush().await
}
