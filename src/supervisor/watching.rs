//! What the watcher sees, on its way to the loop: signs of life, differences, reports.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::model::checkin::{Via, Written};
use crate::model::id::AttemptId;
use crate::model::input::Observation;
use crate::model::time::Span;
use crate::store::layout;
use crate::watch::WatchEvent;
use crate::watch::outbox::{self, OutboxError};

use super::desk::BURST;
use super::effects::{blocking, observe};
use super::hosts::Ask;
use super::world::World;

/// Letters taken from an outbox at once.
const AT_ONCE: usize = 64;

/// Letters on their way to the loop.
const LETTERS: usize = 64;

/// Letters left of those that lie in an outbox together: as many as are taken at once.
const AT_MOST: usize = BURST as usize;

/// Refused letters of one attempt that are kept in its outbox; more are removed.
const KEPT: u32 = 100;

/// How long a letter waits that could not be stored, or not be moved away.
const STORE_AGAIN: Span = Span::secs(5);

/// A report that lies in an outbox until it is stored.
pub(super) struct Letter {
    /// Whose.
    pub(super) attempt: AttemptId,
    /// What it says.
    pub(super) seen: Observation,
    /// Told once it is stored, with whether it counts.
    pub(super) stored: oneshot::Sender<bool>,
}

/// Hears the watcher; returns where letters come out.
pub(super) fn start(world: Arc<World>, mut events: mpsc::Receiver<WatchEvent>) -> mpsc::Receiver<Letter> {
    let (letters, receive) = mpsc::channel(LETTERS);
    tokio::spawn(async move {
        let (looked, mut looks) = mpsc::channel::<AttemptId>(LETTERS);
        let mut looking = Looking::default();
        let collecting = Collecting::default();
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
    receive
}

/// At most one look into a worktree at a time, and one more if it changed meanwhile.
#[derive(Default)]
struct Looking {
    /// Whether it changed since the look began.
    under_way: BTreeMap<AttemptId, bool>,
}

impl Looking {
    fn changed(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>) {
        match self.under_way.get_mut(&attempt) {
            Some(again) => *again = true,
            None => self.begin(world, attempt, looked),
        }
    }

    fn begin(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>) {
        self.under_way.insert(attempt, false);
        let (world, looked) = (world.clone(), looked.clone());
        tokio::spawn(async move {
            observe(&world, attempt).await;
            let _ = looked.send(attempt).await;
        });
    }

    fn done(&mut self, world: &Arc<World>, attempt: AttemptId, looked: &mpsc::Sender<AttemptId>) {
        if self.under_way.remove(&attempt) == Some(true) {
            self.begin(world, attempt, looked);
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
        WatchEvent::Outbox { key, .. } => collect(world, key, letters, collecting),
        WatchEvent::Degraded { key, why, every } => {
            tracing::warn!(attempt = %key, "its worktree is looked at every {every} instead of watched: {why}");
        }
        WatchEvent::Gone { key } => tracing::warn!(attempt = %key, "its worktree is gone"),
    }
}

/// Outboxes that are being read, each behind a lock: a letter is read once, then removed.
type Collecting = Arc<Mutex<BTreeMap<AttemptId, Arc<tokio::sync::Mutex<Outbox>>>>>;

/// What is known of an outbox between two looks.
#[derive(Default)]
struct Outbox {
    /// Letters set aside so far.
    kept: u32,
    /// Why it could not be read, as was said last.
    fault: String,
}

/// What became of a letter.
#[derive(PartialEq)]
enum Fate {
    /// It is out of the way.
    Gone,
    /// It lies there still, and is to be read again.
    Later,
}

/// Takes what lies in an attempt's outbox; each letter is removed once the loop has stored it.
fn collect(world: &Arc<World>, attempt: AttemptId, letters: &mpsc::Sender<Letter>, collecting: &Collecting) {
    let Some(look) = world.look(attempt) else { return };
    let outbox = layout::outbox(&look.shadow.site().worktree);
    let letters = letters.clone();
    let own = collecting.lock().unwrap_or_else(PoisonError::into_inner).entry(attempt).or_default().clone();
    tokio::spawn(async move {
        let mut known = own.lock().await;
        loop {
            thin_out(&outbox, attempt, &letters).await;
            let dir = outbox.clone();
            let found = blocking(move || outbox::read(&dir, AT_ONCE)).await;
            let (mut gone, mut again, mut fault) = (false, None, String::new());
            for letter in found {
                let fate = match letter {
                    Ok(letter) => hand_over(&outbox, attempt, letter, &letters, &mut known).await,
                    Err(OutboxError::Unfinished { again_in, .. }) => {
                        again = Some(again_in);
                        continue;
                    }
                    Err(error) => match error.refused().map(OsStr::to_owned) {
                        Some(file) => {
                            let seen = Observation::BadCheckIn { why: error.to_string() };
                            let told = tell(attempt, seen, &letters).await;
                            settle(&outbox, file, told.map(|_| false), &mut known).await
                        }
                        None => {
                            fault = error.to_string();
                            continue;
                        }
                    },
                };
                match fate {
                    Fate::Gone => gone = true,
                    Fate::Later => again = Some(STORE_AGAIN),
                }
            }
            if !fault.is_empty() && fault != known.fault {
                tell(attempt, Observation::BadCheckIn { why: fault.clone() }, &letters).await;
            }
            known.fault = fault;
            match again {
                _ if gone => {}
                Some(later) if !letters.is_closed() => tokio::time::sleep(later.to_std()).await,
                _ => return,
            }
        }
    });
}

/// Removes what is more than could ever be taken at once, the oldest first.
async fn thin_out(outbox: &Path, attempt: AttemptId, letters: &mpsc::Sender<Letter>) {
    let dir = outbox.to_owned();
    let removed = blocking(move || outbox::thin(&dir, AT_MOST)).await;
    if let Ok(removed @ 1..) = removed {
        let why = format!("{} reports at once: the {removed} oldest were removed unread", AT_MOST + removed);
        tell(attempt, Observation::BadCheckIn { why }, letters).await;
    }
}

async fn hand_over(
    dir: &Path,
    attempt: AttemptId,
    letter: outbox::Letter,
    letters: &mpsc::Sender<Letter>,
    known: &mut Outbox,
) -> Fate {
    let seen = match serde_json::from_slice::<Written>(&letter.bytes) {
        Ok(written) => {
            let (check_in, stamp) = written.parts();
            Observation::CheckIn { check_in, via: Via::Outbox, stamp }
        }
        Err(why) => Observation::BadCheckIn { why: format!("{}: {why}", letter.file.display()) },
    };
    let told = tell(attempt, seen, letters).await;
    settle(dir, letter.file, told, known).await
}

/// Removes a letter that counts, and keeps one that does not where its writer can find it: the
/// first ones, that is.
async fn settle(dir: &Path, file: OsString, counts: Option<bool>, known: &mut Outbox) -> Fate {
    let Some(counts) = counts else { return Fate::Later };
    let keep = !counts && known.kept < KEPT;
    known.kept += u32::from(keep);
    let dir = dir.to_owned();
    let done = blocking(move || if keep { outbox::refuse(&dir, &file) } else { outbox::take(&dir, &file) }).await;
    // What cannot be moved away would come again at once.
    if done.is_ok() { Fate::Gone } else { Fate::Later }
}

/// Hands something to the loop; says whether it counts, or nothing where it was not stored.
async fn tell(attempt: AttemptId, seen: Observation, letters: &mpsc::Sender<Letter>) -> Option<bool> {
    let (stored, is_stored) = oneshot::channel();
    letters.send(Letter { attempt, seen, stored }).await.ok()?;
    is_stored.await.ok()
}
