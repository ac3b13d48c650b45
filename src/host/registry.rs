//! Finds hosts through their folders.
//!
//! **Invariant:** a host lives if and only if its lock is held; a number of a process is never
//! evidence. Must not know: tasks and attempts.

use std::path::{Path, PathBuf};

use super::record::{self, ExitRecord, Running};
use crate::model::name::HostId;
use crate::os::file::FileError;
use crate::os::lock;
use crate::os::process::ProcessId;

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
    let mut ids: Vec<HostId> = names(hosts)?.collect();
    ids.sort();
    ids.into_iter().map(|id| find(&hosts.join(id.as_str()), id)).collect()
}

/// Whether one of these processes is a living host with a folder under `hosts`. A folder that says
/// nothing speaks for itself alone: the others are looked at all the same.
#[must_use]
pub fn is_any_alive(hosts: &Path, processes: &[ProcessId]) -> bool {
    let is = |id: HostId| {
        let dir = hosts.join(id.as_str());
        let named = record::read_running(&dir).is_some_and(|running| processes.contains(&running.host));
        named && lock::is_held(&dir.join("lock")).unwrap_or(true)
    };
    !processes.is_empty() && names(hosts).is_ok_and(|mut names| names.any(is))
}

/// The names of the folders under `hosts`, in any order.
fn names(hosts: &Path) -> Result<impl Iterator<Item = HostId>, FileError> {
    let entries = match std::fs::read_dir(hosts) {
        Ok(entries) => Some(entries),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(FileError::io("read", hosts, e)),
    };
    let folders = entries.into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
    Ok(folders.take(MAX_HOSTS).filter_map(|entry| HostId::new(entry.file_name().to_str()?).ok()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;
    use crate::os::lock::Lock;

    #[test]
    fn a_process_is_a_living_host_while_its_folder_is_locked_whatever_lies_beside_it() {
        let hosts = tempfile::tempdir().expect("a folder");
        let (own, other) = (ProcessId::own(), ProcessId { pid: 1, start: 0 });
        assert!(!is_any_alive(&hosts.path().join("none"), &[own]));
        let dir = hosts.path().join("T1-1");
        std::fs::create_dir(&dir).expect("a folder");
        let running = Running {
            schema: 1,
            nonce: "n".into(),
            host: own,
            agent: other,
            boot: crate::model::time::Boot(1),
            socket: "/s".into(),
            marker: "m".into(),
            made_for: String::new(),
            started_at: Wall::default(),
        };
        std::fs::write(dir.join("pid"), serde_json::to_vec(&running).expect("JSON")).expect("a record");
        // What says nothing keeps nobody from reading on.
        std::fs::create_dir_all(hosts.path().join("T0-1/pid")).expect("a folder");
        assert!(!is_any_alive(hosts.path(), &[own]), "its lock is free");
        let lock = Lock::try_take(&dir.join("lock")).expect("a lock").expect("free");
        assert!(is_any_alive(hosts.path(), &[other, own]));
        assert!(!is_any_alive(hosts.path(), &[other, ProcessId { start: own.start + 1, ..own }]));
        assert!(!is_any_alive(hosts.path(), &[]));
        drop(lock);
        assert!(!is_any_alive(hosts.path(), &[own]));
    }
}
