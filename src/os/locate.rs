//! Where things lie on this machine: base directories, programs, this very binary.

use std::env;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::{self, FileError};

/// The base directories, each already ending in `standup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// User settings.
    pub config: PathBuf,
    /// Databases, transcripts, logs, approvals.
    pub state: PathBuf,
    /// Worktrees.
    pub data: PathBuf,
    /// Sockets.
    pub runtime: PathBuf,
}

/// Why no directory could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// Neither HOME nor the password file knows a home.
    #[error("HOME is not set and this user has no home directory")]
    NoHome,
    /// A directory for sockets is not safe to use.
    #[error("no safe directory for sockets")]
    Runtime(#[source] FileError),
}

/// The one variable that puts every directory under one root (tests, trials).
pub const HOME_VARIABLE: &str = "STANDUP_HOME";

impl Dirs {
    /// Reads `STANDUP_HOME`, the XDG variables and HOME. Creates nothing but the folder for
    /// sockets, which is checked: owned by this user, mode 0700, no link; where the one that
    /// `XDG_RUNTIME_DIR` names is not safe, `/tmp/standup-<uid>` is taken.
    ///
    /// # Errors
    /// [`LocateError`].
    pub fn find() -> Result<Self, LocateError> {
        if let Some(root) = absolute(env::var_os(HOME_VARIABLE).as_deref()) {
            return Self::under(&root);
        }
        let home = home().ok_or(LocateError::NoHome)?;
        let base = |variable: &str, fallback: &str| {
            absolute(env::var_os(variable).as_deref()).unwrap_or_else(|| home.join(fallback)).join("standup")
        };
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config"),
            state: base("XDG_STATE_HOME", ".local/state"),
            data: base("XDG_DATA_HOME", ".local/share"),
            runtime: runtime_dir()?,
        })
    }

    /// All of them under one root, which must be absolute: what [`HOME_VARIABLE`] does.
    ///
    /// # Errors
    /// [`LocateError::Runtime`].
    pub fn under(root: &Path) -> Result<Self, LocateError> {
        let runtime = root.join("run");
        file::private_dir_checked(&runtime).map_err(LocateError::Runtime)?;
        Ok(Self { config: root.join("config"), state: root.join("state"), data: root.join("data"), runtime })
    }
}

/// The user's home: HOME where it is absolute, else the password file.
#[must_use]
pub fn home() -> Option<PathBuf> {
    absolute(env::var_os("HOME").as_deref()).or_else(home_of_user)
}

/// What the password file says, whatever HOME holds.
fn home_of_user() -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let mut buffer = [0; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: all zeroes are a valid `passwd`, whose fields are numbers and pointers.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    // SAFETY: every pointer is to a local of the length that is given.
    let rc = unsafe { libc::getpwuid_r(uid, &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
    if rc != 0 || found.is_null() || entry.pw_dir.is_null() {
        return None;
    }
    // SAFETY: it points into `buffer`, to a string that ends there.
    let home = unsafe { CStr::from_ptr(entry.pw_dir) };
    absolute(Some(OsStr::from_bytes(home.to_bytes())))
}

fn absolute(value: Option<&OsStr>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|p| p.is_absolute())
}

fn runtime_dir() -> Result<PathBuf, LocateError> {
    if let Some(base) = absolute(env::var_os("XDG_RUNTIME_DIR").as_deref())
        && is_private(&base)
    {
        let dir = base.join("standup");
        if file::private_dir_checked(&dir).is_ok() {
            return Ok(dir);
        }
    }
    let dir = PathBuf::from(format!("/tmp/standup-{}", rustix::process::geteuid().as_raw()));
    file::private_dir_checked(&dir).map_err(LocateError::Runtime)?;
    Ok(dir)
}

/// A directory, not a link, that belongs to this user and lets nobody else in.
fn is_private(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(dir)
        .is_ok_and(|m| m.is_dir() && m.uid() == rustix::process::geteuid().as_raw() && m.mode() & 0o077 == 0)
}

/// Finds a program on PATH, or takes a path as it stands, relative to `cwd`. The answer is
/// absolute and executable.
///
/// # Errors
/// What `which` says.
pub fn program(name: &OsStr, cwd: &Path) -> Result<PathBuf, which::Error> {
    which::which_in(name, env::var_os("PATH"), cwd)
}

/// This very binary, as it was when the process started, even if the file was replaced since.
///
/// # Errors
/// The operating system's.
pub fn this_binary() -> std::io::Result<PathBuf> {
    env::current_exe()
}
