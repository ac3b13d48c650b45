//! What the watcher sees, on its way to the loop: signs of life, differences, reports.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::agent::hook::{self, Late, LetterError};
use crate::model::checkin::{Sent, Via, Written};
use crate::model::id::AttemptId;
use crate::model::input::Observation;
use crate::model::time::Span;
use crate::store::layout;
use crate::watch::WatchEvent;
use crate::watch::outbox::{self, Kind, OutboxError};

use super::desk::BURST;
use super::effects::{blocking, observe};
use super::hosts::Ask;
use super::world::World;

/// Letters taken from an outbox at once.
const AT_ONCE: usize = 64;

/// Letters on their way to the loop.
pub(super) const LETTERS: usize = 64;

/// Letters left of those that lie in an outbox together: as many as are taken at once.
const AT_MOST: usize = BURST as usize;

/// Refused letters of one attempt that are kept in its outbox; more are removed.
const KEPT: u32 = 100;

/// After each of the looks in a row into a worktree that goes on changing: the first few follow each
/// other closely, for most changes are over then; what goes on for hours is stored every five seconds.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// A change that comes so long after the last look is another row's first.
const QUIET: Duration = Duration::from_secs(5);

/// How long a letter waits that could not be stored.
const STORE_AGAIN: Span = Span::secs(5);

/// What lies in an outbox until it is stored or heard.
pub(super) struct Letter {
    /// Whose.
    pub(super) attempt: AttemptId,
    /// What it says.
    pub(super) says: Says,
    /// Told once it is, with whether it counts.
    pub(super) stored: oneshot::Sender<bool>,
}

/// What a letter says.
pub(super) enum Says {
    /// What is stored: a report, or why it is none.
    Seen(Observation),
    /// A hook that no supervisor heard when it fired.
    Hook(Late),
}

/// Hears the watcher; what lies in outboxes goes to `letters`.
pub(super) fn start(world: Arc<World>, mut events: mpsc::Receiver<WatchEvent>, letters: mpsc::Sender<Letter>) {
    tokio::spawn(async move {
        let (looked, mut looks) = mpsc::channel::<AttemptId>(LETTERS);
        let mut looking = Looking::default();
        let collecting = Collecting::default();
        // Agents that lived on wait to be told of with what was said meanwhile.
        for attempt in world.hosted() {
            collect(&world, attempt, &letters, &collecting);
        }
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => heard(&world, event, &mut looking, &looked, &letters, &collecting).await,
                    None => return,
                },
                Some(done) = looks.recv() => looking.done(&world, done, &looked),
            }
        }
    });
}

/// At most one look into a worktree at a time, and one more if it changed meanwhile: after a pause,
/// for what each look shows that is new is stored.
#[derive(Default)]
struct Looking {
    rows: BTreeMap<AttemptId, Row>,
}

/// Looks into one worktree that follow each other closely.
#[derive(Default)]
struct Row {
    /// How many there were before the last one.
    before: usize,
    /// When that one and the pause after it were over; `None` while they are not.
    over: Option<Instant>,
    /// Whether the worktree changed since it began.
    again: bool,
}

impl Looking {
    fn changed(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>) {
        match self.rows.get_mut(&attempt) {
            Some(row) if row.over.is_none() => row.again = true,
            Some(row) if row.over.is_some_and(|over| over.elapsed() < QUIET) => {
                let before = row.before + 1;
                self.begin(world, attempt, looked, before);
            }
            _ => self.begin(world, attempt, looked, 0),
        }
    }

    fn begin(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>, before: usize) {
        self.rows.insert(attempt, Row { before, ..Row::default() });
        let (world, looked) = (world.clone(), looked.clone());
        let pause = PAUSES[before.min(PAUSES.len() - 1)];
        tokio::spawn(async move {
            observe(&world, attempt).await;
            tokio::time::sleep(pause).await;
            let _ = looked.send(attempt).await;
        });
    }

    fn done(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>) {
        let Some(row) = self.rows.get_mut(&attempt) else { return };
        row.over = Some(Instant::now());
        if row.again {
            let before = row.before + 1;
            self.begin(world, attempt, looked, before);
        }
    }
}

async fn heard(
    world: &Arc<World>,
    event: WatchEvent,
    looking: &mut Looking,
    looked: &mpsc::Sender<AttemptId>,
    letters: &mpsc::Sender<Letter>,
    collecting: &Collecting,
) {
    match event {
        WatchEvent::Changed { key, .. } => {
            if let Some(host) = world.host(key) {
                host.offer(Ask::Files);
            }
            looking.changed(world, key, looked);
            // An outbox that was put in the place of another is not watched yet.
            collect(world, key, letters, collecting);
        }
        WatchEvent::Ready { key, .. } | WatchEvent::Overflow { key } => {
            looking.changed(world, key, looked);
            collect(world, key, letters, collecting);
        }
        WatchEvent::Outbox { key, .. } | WatchEvent::NoOutbox { key } => collect(world, key, letters, collecting),
        WatchEvent::Degraded { key, why, every } => {
            tracing::warn!(attempt = %key, "its worktree is looked at every {every} instead of watched: {why}");
        }
        WatchEvent::Gone { key } => {
            tracing::warn!(attempt = %key, "its worktree is gone");
            looking.changed(world, key, looked);
        }
    }
}

/// The outboxes that are read.
type Collecting = Arc<Mutex<BTreeMap<AttemptId, Arc<Outbox>>>>;

/// One outbox: a letter is read once, then removed.
#[derive(Default)]
struct Outbox {
    /// Whether somebody waits to read it: what comes meanwhile is read then.
    awaited: AtomicBool,
    known: tokio::sync::Mutex<Known>,
}

/// What is known of an outbox between two looks.
#[derive(Default)]
struct Known {
    /// Letters set aside so far.
    kept: u32,
    /// Letters that are dealt with and cannot be moved away; at most as many as are read at once.
    stuck: BTreeSet<OsString>,
    /// Why it could not be read, as was said last.
    fault: String,
}

/// Takes what lies in an attempt's outbox; each letter is removed once the loop has stored it.
fn collect(world: &Arc<World>, attempt: AttemptId, letters: &mpsc::Sender<Letter>, collecting: &Collecting) {
    let Some(look) = world.look(attempt) else { return };
    let outbox = layout::outbox(&look.shadow.site().worktree);
    let (world, letters) = (world.clone(), letters.clone());
    let own = collecting.lock().unwrap_or_else(PoisonError::into_inner).entry(attempt).or_default().clone();
    if own.awaited.swap(true, Ordering::AcqRel) {
        return;
    }
    tokio::spawn(async move {
        let mut known = own.known.lock().await;
        own.awaited.store(false, Ordering::Release);
        loop {
            thin_out(&outbox, attempt, &letters).await;
            let next = collect_once(&world, &outbox, attempt, &letters, &mut known).await;
            if !matches!(next, Next::AtOnce)
                && let Some(host) = world.host(attempt)
            {
                host.offer(Ask::OutboxRead);
            }
            match next {
                Next::AtOnce => {}
                Next::In(later) if !letters.is_closed() => tokio::time::sleep(later.to_std()).await,
                Next::In(_) | Next::Told => return,
            }
        }
    });
}

/// When an outbox is to be looked at again.
enum Next {
    /// There may be more.
    AtOnce,
    /// Something lies there that nobody will tell of.
    In(Span),
    /// When something comes.
    Told,
}

async fn collect_once(
    world: &World,
    dir: &Path,
    attempt: AttemptId,
    letters: &mpsc::Sender<Letter>,
    known: &mut Known,
) -> Next {
    let from = dir.to_owned();
    let found = blocking(move || outbox::read(&from, AT_ONCE)).await;
    let (mut gone, mut again, mut fault) = (false, None, String::new());
    for letter in found {
        let (file, says) = match letter {
            Ok(letter) => match content(world, &letter, attempt) {
                Some(says) => (letter.file, says),
                None => {
                    gone |= settle(dir, letter.file, true, known).await;
                    continue;
                }
            },
            Err(OutboxError::Unfinished { again_in, .. }) => {
                again = Some(again_in);
                continue;
            }
            Err(error) => match error.refused() {
                Some(file) => (file.to_owned(), bad(what_it_is(file), error.to_string())),
                None => {
                    fault = error.to_string();
                    continue;
                }
            },
        };
        let counts = match Some(says).filter(|_| !known.stuck.contains(&file)) {
            Some(says) => match tell(attempt, says, letters).await {
                Some(counts) => counts,
                None => {
                    again = Some(STORE_AGAIN);
                    continue;
                }
            },
            // It was told before, and only lies there still.
            None => true,
        };
        gone |= settle(dir, file, counts, known).await;
    }
    if !fault.is_empty() && fault != known.fault {
        tell(attempt, bad(Sent::Report, fault.clone()), letters).await;
    }
    known.fault = fault;
    match again {
        _ if gone => Next::AtOnce,
        Some(later) => Next::In(later),
        None => Next::Told,
    }
}

/// What a letter says; `None`: nothing that is of any use by now.
fn content(world: &World, letter: &outbox::Letter, attempt: AttemptId) -> Option<Says> {
    let spoilt = |what, why: String| bad(what, format!("{}: {why}", letter.file.display()));
    match letter.kind {
        Kind::CheckIn => Some(match serde_json::from_slice::<Written>(&letter.bytes) {
            Ok(written) => {
                let (check_in, stamp) = written.parts();
                Says::Seen(Observation::CheckIn { check_in, via: Via::Outbox, stamp })
            }
            Err(why) => spoilt(Sent::Report, why.to_string()),
        }),
        Kind::Hook => match hook::Letter::read(&letter.bytes, attempt, letter.came) {
            Ok(late) => late.map(Says::Hook),
            Err(why) => {
                if matches!(why, LetterError::Foreign { .. }) {
                    world.strangers.turned_away(format_args!("a hook: {why}"));
                }
                Some(spoilt(Sent::Hook, why.to_string()))
            }
        },
    }
}

fn what_it_is(file: &OsStr) -> Sent {
    match outbox::kind_of(file) {
        Some(Kind::Hook) => Sent::Hook,
        _ => Sent::Report,
    }
}

fn bad(what: Sent, why: String) -> Says {
    Says::Seen(Observation::BadCheckIn { why, what })
}

/// Removes what is more than could ever be taken at once, the oldest first.
async fn thin_out(outbox: &Path, attempt: AttemptId, letters: &mpsc::Sender<Letter>) {
    for (kind, what, name) in [(Kind::CheckIn, Sent::Report, "reports"), (Kind::Hook, Sent::Hook, "hooks")] {
        let dir = outbox.to_owned();
        let removed = blocking(move || outbox::thin(&dir, kind, AT_MOST)).await;
        if let Ok(removed @ 1..) = removed {
            let why = format!("{} {name} at once: the {removed} oldest were removed unread", AT_MOST + removed);
            tell(attempt, bad(what, why), letters).await;
        }
    }
}

/// Removes a letter that counts, and keeps one that does not where its writer can find it: the
/// first ones, that is. Says whether it is out of the way.
async fn settle(dir: &Path, file: OsString, counts: bool, known: &mut Known) -> bool {
    let keep = !counts && known.kept < KEPT;
    known.kept += u32::from(keep);
    let (dir, name) = (dir.to_owned(), file.clone());
    // A folder can only be set aside.
    let remove = |dir: &Path, name: &OsStr| outbox::take(dir, name).or_else(|_| outbox::refuse(dir, name));
    let done = blocking(move || if keep { outbox::refuse(&dir, &name) } else { remove(&dir, &name) }).await;
    if done.is_ok() {
        known.stuck.remove(&file);
    } else {
        known.stuck.insert(file);
    }
    done.is_ok()
}

/// Hands something to the loop; says whether it counts, or nothing where it was not stored.
async fn tell(attempt: AttemptId, says: Says, letters: &mpsc::Sender<Letter>) -> Option<bool> {
    let (stored, is_stored) = oneshot::channel();
    letters.send(Letter { attempt, says, stored }).await.ok()?;
    is_stored.await.ok()
}
