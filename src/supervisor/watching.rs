//! What the watcher sees, on its way to the loop: signs of life, differences, reports.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::model::checkin::{CheckIn, Via};
use crate::model::id::AttemptId;
use crate::model::input::Observation;
use crate::store::layout;
use crate::watch::WatchEvent;
use crate::watch::outbox::{self, OutboxError};

use super::effects::{blocking, observe};
use super::hosts::Ask;
use super::world::World;

/// Letters taken from an outbox at once.
const AT_ONCE: usize = 64;

/// Letters on their way to the loop.
const LETTERS: usize = 64;

/// The format of check-ins that is understood.
const CHECK_IN_SCHEMA: u32 = 1;

/// A report that lies in an outbox until it is stored.
pub(super) struct Letter {
    /// Whose.
    pub(super) attempt: AttemptId,
    /// What it says.
    pub(super) seen: Observation,
    /// Told once it is stored.
    pub(super) stored: oneshot::Sender<()>,
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

/// Outboxes that are being read, each with a lock: a letter is read once, then removed.
type Collecting = Arc<Mutex<BTreeMap<AttemptId, Arc<tokio::sync::Mutex<()>>>>>;

/// Takes what lies in an attempt's outbox; each letter is removed once the loop has stored it.
fn collect(world: &Arc<World>, attempt: AttemptId, letters: &mpsc::Sender<Letter>, collecting: &Collecting) {
    let Some(look) = world.look(attempt) else { return };
    let outbox = layout::outbox(&look.shadow.site().worktree);
    let letters = letters.clone();
    let own = collecting.lock().unwrap_or_else(PoisonError::into_inner).entry(attempt).or_default().clone();
    tokio::spawn(async move {
        let _turn = own.lock().await;
        loop {
            let dir = outbox.clone();
            let found = blocking(move || outbox::read(&dir, AT_ONCE)).await;
            let (mut taken, mut again) = (false, None);
            for letter in found {
                match letter {
                    Ok(letter) => taken |= hand_over(&outbox, attempt, letter, &letters).await,
                    Err(OutboxError::Unfinished { again_in, .. }) => again = Some(again_in),
                    Err(error) => taken |= turn_down(&outbox, attempt, &error, &letters).await,
                }
            }
            match again {
                _ if taken => {}
                Some(later) => tokio::time::sleep(later.to_std()).await,
                None => return,
            }
        }
    });
}

async fn hand_over(dir: &Path, attempt: AttemptId, letter: outbox::Letter, letters: &mpsc::Sender<Letter>) -> bool {
    let seen = match read(&letter.bytes) {
        Ok(check_in) => Observation::CheckIn { check_in, via: Via::Outbox },
        Err(why) => Observation::BadCheckIn { why: format!("{}: {why}", letter.file.display()) },
    };
    let good = matches!(seen, Observation::CheckIn { .. });
    if !tell(attempt, seen, letters).await {
        return false;
    }
    let (dir, file) = (dir.to_owned(), letter.file);
    blocking(move || if good { outbox::take(&dir, &file) } else { outbox::refuse(&dir, &file) }).await.is_ok()
}

fn read(bytes: &[u8]) -> Result<CheckIn, String> {
    let check_in: CheckIn = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if check_in.schema_version != CHECK_IN_SCHEMA {
        return Err(format!("schemaVersion {} is not known; write {CHECK_IN_SCHEMA}", check_in.schema_version));
    }
    Ok(check_in)
}

async fn turn_down(dir: &Path, attempt: AttemptId, error: &OutboxError, letters: &mpsc::Sender<Letter>) -> bool {
    let Some(file) = error.refused().map(std::ffi::OsStr::to_owned) else { return false };
    if !tell(attempt, Observation::BadCheckIn { why: error.to_string() }, letters).await {
        return false;
    }
    let dir = dir.to_owned();
    blocking(move || outbox::refuse(&dir, &file)).await.is_ok()
}

async fn tell(attempt: AttemptId, seen: Observation, letters: &mpsc::Sender<Letter>) -> bool {
    let (stored, is_stored) = oneshot::channel();
    letters.send(Letter { attempt, seen, stored }).await.is_ok() && is_stored.await.is_ok()
}
