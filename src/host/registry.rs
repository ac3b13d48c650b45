//! Finds hosts through their folders.
//!
//! **Invariant:** a host lives if and only if its lock is held; a number of a process is never
//! evidence. Must not know: tasks and attempts.

use std::path::{Path, PathBuf};

use super::record::{self, ExitRecord, Running};
use crate::model::name::HostId;
use crate::os::file::FileError;
use crate::os::lock;

/// Folders looked at in one place.
const MAX_HOSTS: usize = 100_000;

/// What a host's folder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRecord {
    /// The host's name: that of its folder.
    pub id: HostId,
    /// The folder.
    pub dir: PathBuf,
    /// Whether the host runs.
    pub alive: bool,
    /// Who ran last in it, if an agent was ever started.
    pub running: Option<Running>,
    /// How it ended, if it came to an end by itself.
    pub exit: Option<ExitRecord>,
}

impl HostRecord {
    /// Whether this host was killed: it runs no more and left no exit record. Its agent died with
    /// it; what the agent started may live on (see [`super::kill_leftovers`]).
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.alive && self.exit.is_none()
    }

    /// Whether who runs here, or ran last, was made for something else. Nobody was made for nothing.
    #[must_use]
    pub fn is_of_another(&self, made_for: &str) -> bool {
        let running = self.running.as_ref().map(|running| &running.made_for);
        let known = running.or_else(|| self.exit.as_ref().map(|exit| &exit.made_for));
        known.is_some_and(|known| !known.is_empty() && !made_for.is_empty() && known != made_for)
    }
}

/// Every host with a folder under `hosts`, by name.
///
/// # Errors
/// [`FileError::Io`]; a folder that does not exist has no hosts.
pub fn list(hosts: &Path) -> Result<Vec<HostRecord>, FileError> {
    let entries = match std::fs::read_dir(hosts) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(FileError::io("read", hosts, e)),
    };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = folders.take(MAX_HOSTS).filter_map(|entry| HostId::new(entry.file_name().to_str()?).ok());
    let mut ids: Vec<HostId> = names.collect();
    ids.sort();
    ids.into_iter().map(|id| find(&hosts.join(id.as_str()), id)).collect()
}

/// What the folder of one host says.
///
/// # Errors
/// [`FileError::Io`].
pub fn find(dir: &Path, id: HostId) -> Result<HostRecord, FileError> {
    let alive = lock::is_held(&dir.join("lock"))?;
    // Read after the lock: a host that ends in between is reported as ended, with its record.
    let exit = if alive { None } else { record::read_exit(dir) };
    Ok(HostRecord { id, dir: dir.to_owned(), alive, running: record::read_running(dir), exit })
}
