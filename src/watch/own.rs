//! Our own folder in a worktree, whose agent may rearrange it: making it anew, leaving files in it,
//! reading what the agent left there.
//!
//! **Invariant:** nothing outside of that folder is made, written or read, whatever links lie on the
//! way; a file is there whole or not at all. Must not know: what the files say.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::beneath;
use crate::model::text::shell_word;

/// The way to it below a worktree.
const PARTS: [&str; 2] = [".standup", "run"];

/// The folders in it.
const FOLDERS: [&str; 2] = ["outbox", "inbox"];

/// Keeps it out of commits.
const IGNORE: (&str, &str) = (".gitignore", "*\n");

/// Why it could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// A link or a file lies where one of its folders belongs.
    #[error("{} is not a folder of its own: a link or a file lies in its place", path.display())]
    NotOwn {
        /// Where.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot make {}", path.display())]
    Io {
        /// What was to be made.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OwnError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => Self::NotOwn { path },
            _ => Self::Io { path, source },
        }
    }

    /// The command that mends it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOwn { path } => Some(format!("rm {}", shell_word(&path.display().to_string()))),
            Self::Io { .. } => None,
        }
    }
}

/// Makes the folder and those in it, where they are missing.
///
/// # Errors
/// [`OwnError`].
pub fn make(worktree: &Path) -> Result<(), OwnError> {
    let (dir, path) = enter(worktree)?;
    for name in FOLDERS {
        let path = path.join(name);
        beneath::enter(&dir, name).map_err(|e| OwnError::of(&path, e))?;
    }
    let (name, text) = IGNORE;
    match beneath::file(&dir, Path::new(name), 0) {
        Ok(_) => Ok(()),
        // Nothing is there, or what is is no file.
        Err(_) => put(&dir, &path.join(name), text.as_bytes()),
    }
}

/// Leaves a file in it under a name of one part, in place of what has that name. Missing folders
/// are made.
///
/// # Errors
/// [`OwnError`].
pub fn leave(worktree: &Path, name: &str, bytes: &[u8]) -> Result<(), OwnError> {
    let (dir, path) = enter(worktree)?;
    put(&dir, &path.join(name), bytes)
}

/// What a file in it says; `None` where there is none, or it is no plain file of at most `max` bytes.
#[must_use]
pub fn read(worktree: &Path, name: &str, max: usize) -> Option<Vec<u8>> {
    let rel: PathBuf = PARTS.iter().copied().chain([name]).collect();
    beneath::file(beneath::root(worktree).ok()?, &rel, max).ok()?
}

/// Opens the folder itself; says where it lies.
fn enter(worktree: &Path) -> Result<(OwnedFd, PathBuf), OwnError> {
    let mut path = worktree.to_owned();
    let mut dir = beneath::root(worktree).map_err(|e| OwnError::of(worktree, e))?;
    for part in PARTS {
        path.push(part);
        dir = beneath::enter(&dir, part).map_err(|e| OwnError::of(&path, e))?;
    }
    Ok((dir, path))
}

fn put(dir: &OwnedFd, path: &Path, bytes: &[u8]) -> Result<(), OwnError> {
    let name = path.file_name().unwrap_or(OsStr::new(""));
    beneath::leave(dir, name, bytes).map_err(|source| OwnError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_is_made_anew_and_what_is_left_in_it_is_read() {
        let dir = tempfile::tempdir().expect("temp dir");
        let run = dir.path().join(".standup/run");
        for _ in 0..2 {
            make(dir.path()).expect("made");
            leave(dir.path(), "brief.md", b"do it").expect("left");
        }
        assert!(run.join("outbox").is_dir() && run.join("inbox").is_dir());
        assert_eq!(std::fs::read_to_string(run.join(".gitignore")).expect("read"), "*\n");
        assert_eq!(read(dir.path(), "brief.md", 5).as_deref(), Some(&b"do it"[..]));
        assert_eq!((read(dir.path(), "brief.md", 4), read(dir.path(), "none", 9)), (None, None));
        // What an agent wrote into it stays.
        std::fs::write(run.join(".gitignore"), "*\n# mine\n").expect("write");
        make(dir.path()).expect("made");
        assert_eq!(std::fs::read_to_string(run.join(".gitignore")).expect("read"), "*\n# mine\n");
    }

    #[test]
    fn no_link_on_the_way_is_followed_and_the_error_names_it() {
        for at in [".standup", ".standup/run", ".standup/run/inbox", ".standup/run/outbox"] {
            let (dir, outside) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
            let place = dir.path().join(at);
            std::fs::create_dir_all(place.parent().expect("a folder")).expect("mkdir");
            std::fs::create_dir_all(outside.path().join("run")).expect("mkdir");
            std::fs::write(outside.path().join("plan.md"), "a secret").expect("write");
            std::fs::write(outside.path().join("run/plan.md"), "a secret").expect("write");
            symlink(outside.path(), &place).expect("link");
            let error = make(dir.path()).expect_err(at);
            assert_eq!(error.hint(), Some(format!("rm {}", place.display())), "{at}");
            assert_eq!(
                leave(dir.path(), "brief.md", b"x").is_err(),
                place.ends_with(".standup") || at.ends_with("run")
            );
            assert_eq!(read(dir.path(), "plan.md", 99), None, "{at}");
            let names = |dir: &Path| std::fs::read_dir(dir).expect("list").count();
            assert_eq!((names(outside.path()), names(&outside.path().join("run"))), (2, 1), "{at}");
            std::fs::remove_file(&place).expect("remove");
            make(dir.path()).expect("mended");
        }
    }

    #[test]
    fn a_link_in_place_of_a_file_is_replaced_and_never_read() {
        let (dir, outside) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
        make(dir.path()).expect("made");
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "s").expect("write");
        for name in ["brief.md", "plan.md", ".gitignore"] {
            let path = dir.path().join(".standup/run").join(name);
            let _ = std::fs::remove_file(&path);
            symlink(&secret, &path).expect("link");
        }
        leave(dir.path(), "brief.md", b"x").expect("left");
        make(dir.path()).expect("made");
        assert_eq!(read(dir.path(), "plan.md", 9), None);
        assert_eq!(read(dir.path(), ".gitignore", 9).as_deref(), Some(&b"*\n"[..]));
        assert_eq!(std::fs::read_to_string(&secret).expect("read"), "s");
    }
}
