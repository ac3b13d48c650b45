//! Where everything lies: every path below the base directories is made here and nowhere else.
//!
//! **Invariant:** a path handed out stays inside the folder of its repository; every part of it is
//! a checked name. Making folders is [`Layout::prepare`]'s alone; the rest only computes.
//! Must not know: what is written into the files.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::model::id::{AttemptId, CheckRun, TaskId};
use crate::model::name::{HostId, Slug};
use crate::os::file;
use crate::os::locate::Dirs;
use crate::os::socket;

use super::StoreError;
use super::error::io;

/// The longest part of a repository's name that goes into a path; the hash tells repositories apart.
const MAX_NAME: usize = 40;

/// Bounds of the hash, in characters: enough not to collide, short enough for a socket path.
const HASH_CHARACTERS: std::ops::RangeInclusive<usize> = 6..=32;

/// What a disk that is not full has room for: a block.
const PROBE: usize = 4 << 10;

/// The paths of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    name: String,
    hash: String,
    state_root: PathBuf,
    state: PathBuf,
    runtime: PathBuf,
    worktrees: PathBuf,
}

impl Layout {
    /// The paths of the repository `<name>-<hash>`. The name is for people and may be any text:
    /// what is not an ASCII letter, a digit, `-`, `_` or `.` becomes `-`. The hash identifies it.
    ///
    /// # Errors
    /// [`StoreError::Name`] where the hash is not 6 to 32 lower case letters and digits.
    pub fn new(dirs: &Dirs, name: &str, hash: &str) -> Result<Self, StoreError> {
        let wrong = |rule| Err(StoreError::Name { text: hash.to_owned(), rule });
        if !HASH_CHARACTERS.contains(&hash.len()) {
            return wrong("a hash has 6 to 32 characters");
        }
        if !hash.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return wrong("a hash has lower case letters and digits only");
        }
        let name = plain(name);
        let key = format!("{name}-{hash}");
        Ok(Self {
            state_root: dirs.state.clone(),
            state: dirs.state.join(&key),
            runtime: dirs.runtime.join(hash),
            worktrees: dirs.data.join(&key),
            name,
            hash: hash.to_owned(),
        })
    }

    /// The same, with worktrees under `root` (`worktrees.root`): `<root>/<repo>-<hash>/…`.
    #[must_use]
    pub fn with_worktrees_under(mut self, root: &Path) -> Self {
        self.worktrees = root.join(self.key());
        self
    }

    /// `<repo>-<hash>`: names this repository among all of the user's.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}-{}", self.name, self.hash)
    }

    /// The repository's name, as far as it can be part of a path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repository's hash.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Makes the state and runtime folders, mode 0700, and proves that both can be written.
    /// Worktree folders are made by who makes worktrees.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::Full`], or [`StoreError::File`] for a folder that
    /// is a link, belongs to somebody else or lets others in.
    pub fn prepare(&self) -> Result<(), StoreError> {
        for dir in [&self.state, &self.runtime] {
            file::private_dir_checked(dir)?;
        }
        for dir in [
            self.hosts_dir(),
            self.logs_dir(),
            self.checks_dir(),
            self.briefs_dir(),
            self.shadows_dir(),
            self.fences_dir(),
            self.slots_dir(),
        ] {
            file::private_dir(&dir)?;
        }
        // A folder may be there and still not take files (a mount turned read-only, no inodes), nor what is
        // written into them: why nothing starts could then not even be logged.
        for dir in [&self.state, &self.runtime] {
            let probe = tempfile::Builder::new().prefix(".probe-").tempfile_in(dir);
            probe.and_then(|mut file| file.write_all(&[b' '; PROBE])).map_err(|e| io("write", dir, e))?;
        }
        Ok(())
    }

    /// `<state>/<repo>-<hash>`: everything kept of this repository.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The event log.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("standup.db")
    }

    /// All hosts' folders.
    #[must_use]
    pub fn hosts_dir(&self) -> PathBuf {
        self.state.join("hosts")
    }

    /// One host's folder: transcript, exit record.
    #[must_use]
    pub fn host_dir(&self, host: &HostId) -> PathBuf {
        self.hosts_dir().join(host.as_str())
    }

    /// Since when the agent of a host is silent, for the next supervisor.
    #[must_use]
    pub fn host_memory(&self, host: &HostId) -> PathBuf {
        self.host_dir(host).join("silent.json")
    }

    /// The supervisor's own logs.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The supervisor's current log.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.logs_dir().join("supervisor.log")
    }

    /// All outputs of checks.
    #[must_use]
    pub fn checks_dir(&self) -> PathBuf {
        self.state.join("checks")
    }

    /// The outputs of one run of the checks: `checks/T7/2/31`.
    #[must_use]
    pub fn check_dir(&self, attempt: AttemptId, run: CheckRun) -> PathBuf {
        let AttemptId { task, no } = attempt;
        self.checks_dir().join(task.to_string()).join(no.to_string()).join(run.to_string())
    }

    /// All briefs as files.
    #[must_use]
    pub fn briefs_dir(&self) -> PathBuf {
        self.state.join("briefs")
    }

    /// The brief of one task, as it was added: `briefs/T7.md`.
    #[must_use]
    pub fn brief(&self, task: TaskId) -> PathBuf {
        self.briefs_dir().join(format!("{task}.md"))
    }

    /// All gitdirs through which worktrees are looked into.
    #[must_use]
    pub fn shadows_dir(&self) -> PathBuf {
        self.state.join("shadow")
    }

    /// The gitdir through which one attempt's worktree is looked into: `shadow/T7-2`.
    #[must_use]
    pub fn shadow_dir(&self, attempt: AttemptId) -> PathBuf {
        self.shadows_dir().join(one_part(attempt))
    }

    /// All fences.
    #[must_use]
    pub fn fences_dir(&self) -> PathBuf {
        self.state.join("fences")
    }

    /// The fence of one task (see [`super::fence`]): `fences/T7`.
    #[must_use]
    pub fn fence(&self, task: TaskId) -> PathBuf {
        self.fences_dir().join(task.to_string())
    }

    /// The token that proves that a client is the user (see [`super::token`]).
    #[must_use]
    pub fn user_token(&self) -> PathBuf {
        self.state.join("user.token")
    }

    /// Locked by the one supervisor of this repository.
    #[must_use]
    pub fn supervisor_lock(&self) -> PathBuf {
        self.state.join("supervisor.lock")
    }

    /// Who that supervisor is (see [`super::record`]).
    #[must_use]
    pub fn supervisor_record(&self) -> PathBuf {
        self.state.join("supervisor.json")
    }

    /// The last settings of this repository that were right.
    #[must_use]
    pub fn last_settings(&self) -> PathBuf {
        self.state.join("settings.json")
    }

    /// What this user approved, over all repositories (see [`super::approvals`]).
    #[must_use]
    pub fn approvals(&self) -> PathBuf {
        self.state_root.join("approvals.json")
    }

    /// The machine-wide slots, over all repositories of this user (see [`super::slots`]).
    #[must_use]
    pub fn slots_dir(&self) -> PathBuf {
        self.state_root.join("slots")
    }

    /// `<runtime>/<hash>`: the sockets of this repository.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime
    }

    /// The supervisor's socket.
    ///
    /// # Errors
    /// [`StoreError::SocketPath`] where the path exceeds the kernel's bound.
    pub fn control_socket(&self) -> Result<PathBuf, StoreError> {
        bounded(self.runtime.join("control.sock"))
    }

    /// One host's socket.
    ///
    /// # Errors
    /// [`StoreError::SocketPath`] where the path exceeds the kernel's bound.
    pub fn host_socket(&self, host: &HostId) -> Result<PathBuf, StoreError> {
        bounded(self.runtime.join(format!("{host}.sock")))
    }

    /// All worktrees of this repository.
    #[must_use]
    pub fn worktrees_dir(&self) -> &Path {
        &self.worktrees
    }

    /// One attempt's worktree: `T7-2-slug`.
    #[must_use]
    pub fn worktree(&self, attempt: AttemptId, slug: &Slug) -> PathBuf {
        self.worktrees.join(format!("{}-{slug}", one_part(attempt)))
    }
}

/// The folder inside a worktree that belongs to standup.
#[must_use]
pub fn run_dir(worktree: &Path) -> PathBuf {
    worktree.join(".standup").join("run")
}

/// Where an agent leaves its check-ins.
#[must_use]
pub fn outbox(worktree: &Path) -> PathBuf {
    run_dir(worktree).join("outbox")
}

/// Where an agent finds nudges that could not be typed.
#[must_use]
pub fn inbox(worktree: &Path) -> PathBuf {
    run_dir(worktree).join("inbox")
}

/// An attempt as one part of a path: `T7-2`.
fn one_part(attempt: AttemptId) -> String {
    format!("{}-{}", attempt.task, attempt.no)
}

fn bounded(path: PathBuf) -> Result<PathBuf, StoreError> {
    if path.as_os_str().len() > socket::MAX_PATH { Err(StoreError::SocketPath { path }) } else { Ok(path) }
}

/// A name that is one harmless part of a path.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        if plain.len() == MAX_NAME {
            break;
        }
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            plain.push(c);
        } else if !plain.ends_with('-') {
            plain.push('-');
        }
    }
    let plain = plain.trim_matches(['-', '.']);
    if plain.is_empty() { "repo".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(root: &str) -> Dirs {
        let root = Path::new(root);
        Dirs {
            config: root.join("config"),
            state: root.join("state"),
            data: root.join("data"),
            runtime: root.join("run"),
        }
    }

    #[test]
    fn every_path_lies_where_the_documentation_says() {
        let layout = Layout::new(&dirs("/r"), "shop", "0a1b2c3d").expect("layout");
        let attempt: AttemptId = "T7/2".parse().expect("attempt");
        let host = HostId::new("T7-2").expect("host");
        let slug = Slug::new("fix-pager").expect("slug");
        let shown = |path: &Path| path.display().to_string();
        assert_eq!(shown(&layout.database()), "/r/state/shop-0a1b2c3d/standup.db");
        assert_eq!(shown(&layout.host_dir(&host)), "/r/state/shop-0a1b2c3d/hosts/T7-2");
        assert_eq!(shown(&layout.check_dir(attempt, CheckRun(31))), "/r/state/shop-0a1b2c3d/checks/T7/2/31");
        assert_eq!(shown(&layout.shadow_dir(attempt)), "/r/state/shop-0a1b2c3d/shadow/T7-2");
        assert_eq!(shown(&layout.fence(attempt.task)), "/r/state/shop-0a1b2c3d/fences/T7");
        assert_eq!(shown(&layout.approvals()), "/r/state/approvals.json");
        assert_eq!(shown(&layout.slots_dir()), "/r/state/slots");
        assert_eq!(shown(&layout.control_socket().expect("short")), "/r/run/0a1b2c3d/control.sock");
        assert_eq!(shown(&layout.host_socket(&host).expect("short")), "/r/run/0a1b2c3d/T7-2.sock");
        assert_eq!(shown(&layout.worktree(attempt, &slug)), "/r/data/shop-0a1b2c3d/T7-2-fix-pager");
        let moved = layout.with_worktrees_under(Path::new("/big"));
        assert_eq!(shown(&moved.worktree(attempt, &slug)), "/big/shop-0a1b2c3d/T7-2-fix-pager");
    }

    #[test]
    fn a_hostile_repository_name_stays_one_part_of_the_path() {
        for (name, part) in [
            ("../../etc", "etc"),
            ("a/b c", "a-b-c"),
            ("日本", "repo"),
            ("", "repo"),
            ("..", "repo"),
            ("x\x1b[31m\n", "x-31m"),
            ("my.repo_1", "my.repo_1"),
        ] {
            let layout = Layout::new(&dirs("/r"), name, "0a1b2c3d").expect("layout");
            assert_eq!(layout.state_dir(), Path::new("/r/state").join(format!("{part}-0a1b2c3d")), "{name:?}");
        }
        let long = Layout::new(&dirs("/r"), &"x".repeat(4096), "0a1b2c3d").expect("layout");
        assert_eq!(long.name().len(), MAX_NAME);
    }

    #[test]
    fn a_hash_that_could_leave_the_folder_is_refused() {
        for hash in ["", "abc", "../../../etc", "ABCDEF12", "0a1b/c3d", &"a".repeat(33)] {
            assert!(matches!(Layout::new(&dirs("/r"), "x", hash), Err(StoreError::Name { .. })), "{hash:?}");
        }
    }

    #[test]
    fn a_socket_path_over_the_bound_is_refused_with_a_hint() {
        let layout = Layout::new(&dirs(&format!("/{}", "x".repeat(90))), "x", "0a1b2c3d").expect("layout");
        let error = layout.control_socket().expect_err("too long");
        assert!(error.to_string().ends_with("the system allows 107"), "{error}");
        assert!(error.hint().expect("a hint").contains("XDG_RUNTIME_DIR"));
        // Exactly at the bound it is taken: /<n>/run/0a1b2c3d/control.sock
        let room = socket::MAX_PATH - "//run/0a1b2c3d/control.sock".len();
        for (length, fits) in [(room, true), (room + 1, false)] {
            let layout = Layout::new(&dirs(&format!("/{}", "x".repeat(length))), "x", "0a1b2c3d").expect("layout");
            assert_eq!(layout.control_socket().is_ok(), fits, "{length}");
        }
    }
}
