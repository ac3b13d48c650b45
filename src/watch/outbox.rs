//! Reading an outbox: a folder in which an agent leaves check-ins as files, and may leave anything.
//! The hooks of its CLI are left there too, while no supervisor hears them.
//!
//! A letter is a `*.json`, or a hook's `*.hook`, whose name does not start with a dot. Reading takes
//! nothing away: store what was read, then [`take`] it. Taken letters are deleted, because their
//! bytes are stored by then and a growing folder in the worktree serves nobody; a letter that cannot
//! be accepted is set aside under a hidden name with [`refuse`], where its writer can still find it.
//! **Invariant:** nothing outside of the outbox is ever read or removed: no link is followed, no
//! FIFO or device waited for; names, sizes and numbers are bounded. Must not know: what the letters
//! say.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::model::time::{Span, Wall};
use crate::os::clock;

use super::beneath;

/// The longest letter, in bytes. The longest known check-in has a few KiB.
pub const MAX_BYTES: usize = 64 << 10;

/// A letter that is no JSON yet may still be written; after this long it is not.
pub const UNFINISHED: Span = Span::secs(3);

/// The most letters of one outbox that are listed in one call.
const MAX_LISTED: usize = 20_000;

/// The most names of one outbox that are looked at in one call, whatever they name.
const MAX_NAMES: usize = 100_000;

/// The parts of an outbox's path that an agent may rearrange, the last ones.
const OWN_PARTS: [&str; 3] = [".standup", "run", "outbox"];

/// Put in front of a refused letter's name, which hides it from [`read`].
const REFUSED: &str = ".refused-";

/// The ending of a hook's letter.
const HOOK: &str = "hook";

/// What a letter is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A check-in.
    CheckIn,
    /// A hook of the agent's CLI that nobody heard.
    Hook,
}

/// One letter, as it lies there: valid JSON of at most [`MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name in the outbox.
    pub file: OsString,
    /// What it is.
    pub kind: Kind,
    /// When its file came there, which its owner cannot set.
    pub came: Wall,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a letter, or the outbox, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Perhaps still being written: read again in `again_in`, there may be no event. Leave it.
    #[error("{} is not finished", file.display())]
    Unfinished {
        /// Its name.
        file: OsString,
        /// After this it is finished, or [`OutboxError::NotJson`].
        again_in: Span,
    },
    /// Not JSON, and long not touched.
    #[error("{} is not JSON: {why}", file.display())]
    NotJson {
        /// Its name.
        file: OsString,
        /// What is wrong with it.
        why: String,
    },
    /// Over [`MAX_BYTES`].
    #[error("{} is longer than {MAX_BYTES} bytes", file.display())]
    TooLarge {
        /// Its name.
        file: OsString,
    },
    /// A folder, link, FIFO, device or socket.
    #[error("{} is not a regular file", file.display())]
    NotRegular {
        /// Its name.
        file: OsString,
    },
    /// The outbox, or a folder on the way to it inside the worktree, is a link or no folder.
    #[error("{} is not a folder of its own", dir.display())]
    NotOwn {
        /// The outbox.
        dir: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OutboxError {
    /// The letter that should be [`refuse`]d, so that it does not come up again; none where the
    /// letter may still be finished, or the fault is not a letter's.
    #[must_use]
    pub fn refused(&self) -> Option<&OsStr> {
        match self {
            Self::NotJson { file, .. } | Self::TooLarge { file } | Self::NotRegular { file } => Some(file),
            Self::Unfinished { .. } | Self::NotOwn { .. } | Self::Io { .. } => None,
        }
    }
}

/// What a name in an outbox is the name of; `None`: of nothing that is read.
#[must_use]
pub fn kind_of(name: &OsStr) -> Option<Kind> {
    let ending = Path::new(name).extension().filter(|_| !name.as_bytes().starts_with(b"."))?;
    match ending.to_str()? {
        "json" => Some(Kind::CheckIn),
        HOOK => Some(Kind::Hook),
        _ => None,
    }
}

/// Whether a name in an outbox is a letter's.
#[must_use]
pub fn is_letter(name: &OsStr) -> bool {
    kind_of(name).is_some()
}

/// Leaves a hook's letter, under a name nobody has, and no more than the newest `keep` of them.
/// An outbox that is not there is made.
///
/// # Errors
/// [`OutboxError::NotOwn`], [`OutboxError::Io`].
pub fn leave_hook(outbox: &Path, bytes: &[u8], keep: usize) -> Result<(), OutboxError> {
    let wrong = |source| OutboxError::Io { verb: "write into", path: outbox.to_owned(), source };
    let dir = match open(outbox)? {
        Some(dir) => dir,
        None => make(outbox)?,
    };
    // Hooks of one turn fire within a millisecond, and are read in the order of their names.
    let name = format!("{:019}-{}.{HOOK}", clock::wall_ns(), &uuid::Uuid::new_v4().simple().to_string()[..8]);
    beneath::leave(&dir, OsStr::new(&name), bytes).map_err(wrong)?;
    thin(outbox, Kind::Hook, keep).map(|_| ())
}

fn make(outbox: &Path) -> Result<OwnedFd, OutboxError> {
    let root = outbox.ancestors().nth(OWN_PARTS.len()).filter(|_| outbox.ends_with(own_parts()));
    let made = root
        .ok_or_else(|| io::ErrorKind::NotFound.into())
        .and_then(|root| OWN_PARTS.iter().try_fold(beneath::root(root)?, |at, part| beneath::enter(at, part)));
    made.map_err(|source| OutboxError::Io { verb: "make", path: outbox.to_owned(), source })
}

fn own_parts() -> PathBuf {
    OWN_PARTS.iter().collect()
}

/// Reads at most `cap` letters, those that came first. An outbox that is not there is empty. Call
/// it again after taking or refusing what came, until nothing but unfinished letters comes.
#[must_use]
pub fn read(outbox: &Path, cap: usize) -> Vec<Result<Letter, OutboxError>> {
    let dir = match open(outbox) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Vec::new(),
        Err(e) => return vec![Err(e)],
    };
    let waiting = match list(dir.as_fd()) {
        Ok(waiting) => waiting,
        Err(e) => return vec![Err(OutboxError::Io { verb: "read", path: outbox.to_owned(), source: e })],
    };
    // What vanished since is not there; it is neither a letter nor an error.
    waiting
        .into_iter()
        .filter_map(|(came, name)| letter(dir.as_fd(), outbox, name, came).transpose())
        .take(cap)
        .collect()
}

/// Removes all but the newest `keep` letters of a kind, unread; says how many. In one call, of what
/// is listed: an outbox that holds more is thinned out again by the next.
///
/// # Errors
/// [`OutboxError::NotOwn`], [`OutboxError::Io`].
pub fn thin(outbox: &Path, kind: Kind, keep: usize) -> Result<usize, OutboxError> {
    let Some(dir) = open(outbox)? else { return Ok(0) };
    let mut waiting =
        list(dir.as_fd()).map_err(|e| OutboxError::Io { verb: "read", path: outbox.to_owned(), source: e })?;
    waiting.retain(|(_, name)| kind_of(name) == Some(kind));
    waiting.truncate(waiting.len().saturating_sub(keep));
    // What is no file is left for [`read`] to refuse.
    let gone = waiting.iter().filter(|(_, name)| rustix::fs::unlinkat(&dir, name, AtFlags::empty()).is_ok());
    Ok(gone.count())
}

/// Removes a letter whose content is stored. Doing so twice is no error.
///
/// # Errors
/// [`OutboxError::NotOwn`], [`OutboxError::Io`].
pub fn take(outbox: &Path, file: &OsStr) -> Result<(), OutboxError> {
    let Some(dir) = open(outbox)? else { return Ok(()) };
    match rustix::fs::unlinkat(&dir, one_part(outbox, file)?, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(OutboxError::Io { verb: "remove", path: outbox.join(file), source: e.into() }),
    }
}

/// Sets a letter aside that cannot be accepted, as `.refused-<name>`, in place of an earlier one
/// of that name. Doing so twice is no error.
///
/// # Errors
/// [`OutboxError::NotOwn`], [`OutboxError::Io`].
pub fn refuse(outbox: &Path, file: &OsStr) -> Result<(), OutboxError> {
    /// The longest name that most file systems take.
    const MAX_NAME: usize = 255;
    let Some(dir) = open(outbox)? else { return Ok(()) };
    let name = one_part(outbox, file)?;
    let mut hidden = OsString::from(REFUSED);
    hidden.push(OsStr::from_bytes(&name.as_bytes()[..name.len().min(MAX_NAME - REFUSED.len())]));
    match rustix::fs::renameat(&dir, name, &dir, &hidden) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // Something else has that name, a filled folder perhaps: a name nobody has.
        Err(_) => {
            let unique = format!("{REFUSED}{}", uuid::Uuid::new_v4().simple());
            rustix::fs::renameat(&dir, name, &dir, unique).map_err(|e| OutboxError::Io {
                verb: "set aside",
                path: outbox.join(file),
                source: e.into(),
            })
        }
    }
}

/// Opens the outbox without following a link that an agent could have put there; `None` where
/// there is none.
fn open(outbox: &Path) -> Result<Option<OwnedFd>, OutboxError> {
    let own = own_parts();
    let (root, rel) = match outbox.ancestors().nth(OWN_PARTS.len()) {
        Some(root) if outbox.ends_with(&own) => (root, own.as_path()),
        _ => (outbox, Path::new("")),
    };
    let opened = beneath::root(root).and_then(|root| beneath::directory(root, rel));
    match opened {
        Ok(dir) => Ok(Some(dir)),
        Err(e) => match Errno::from_io_error(&e) {
            Some(Errno::NOENT) => Ok(None),
            Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => Err(OutboxError::NotOwn { dir: outbox.to_owned() }),
            _ => Err(OutboxError::Io { verb: "open", path: outbox.to_owned(), source: e }),
        },
    }
}

/// When a letter came: seconds and nanoseconds. By the time of the last change of the file itself
/// (writing, renaming), which its owner cannot set.
type Came = (i64, i64);

/// The letters that lie there, those that came first in front.
fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<(Came, OsString)>> {
    let mut waiting = Vec::new();
    for entry in Dir::read_from(dir)?.take(MAX_NAMES) {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if !is_letter(name) {
            continue;
        }
        if let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            waiting.push((came(&stat), name.to_owned()));
        }
        if waiting.len() == MAX_LISTED {
            break;
        }
    }
    waiting.sort();
    Ok(waiting)
}

fn came(stat: &rustix::fs::Stat) -> Came {
    (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0))
}

fn letter(dir: BorrowedFd<'_>, outbox: &Path, file: OsString, came: Came) -> Result<Option<Letter>, OutboxError> {
    let Some(kind) = kind_of(&file) else { return Ok(None) };
    let came = Wall(came.0.saturating_mul(1_000).saturating_add(came.1 / 1_000_000));
    let Ok(stat) = rustix::fs::statat(dir, &file, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(OutboxError::NotRegular { file });
    }
    let bytes = match beneath::file(dir, Path::new(&file), MAX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(OutboxError::TooLarge { file }),
        Err(e) => {
            return match (e.kind(), Errno::from_io_error(&e)) {
                (io::ErrorKind::NotFound, _) => Ok(None),
                // Exchanged since it was looked at.
                (io::ErrorKind::InvalidInput, _) | (_, Some(Errno::LOOP)) => Err(OutboxError::NotRegular { file }),
                _ => Err(OutboxError::Io { verb: "read", path: outbox.join(file), source: e }),
            };
        }
    };
    match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        Ok(_) => Ok(Some(Letter { file, kind, came, bytes })),
        Err(e) => {
            let left = UNFINISHED.0.saturating_sub(clock::now().wall.since(came).0);
            if left > 0 {
                return Err(OutboxError::Unfinished { file, again_in: Span(left) });
            }
            Err(OutboxError::NotJson { file, why: e.to_string() })
        }
    }
}

/// A name that is one part of a path, as [`read`] gave it.
fn one_part<'a>(outbox: &Path, file: &'a OsStr) -> Result<&'a OsStr, OutboxError> {
    let mut parts = Path::new(file).components();
    match (parts.next(), parts.next()) {
        (Some(std::path::Component::Normal(name)), None) if name == file => Ok(name),
        _ => Err(OutboxError::Io { verb: "name", path: outbox.join(file), source: io::ErrorKind::InvalidInput.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_visible_json_file() {
        for (name, is) in [
            ("1.json", true),
            ("a b.json", true),
            (".json", false),
            (".1.json", false),
            ("1.hook", true),
            (".1.hook", false),
            ("1.json.tmp", false),
            ("1.JSON", false),
            ("json", false),
        ] {
            assert_eq!(is_letter(OsStr::new(name)), is, "{name}");
        }
    }

    #[test]
    fn only_a_name_in_the_outbox_is_taken() {
        let dir = tempfile::tempdir().expect("temp dir");
        let outbox = dir.path().join("outbox");
        std::fs::create_dir(&outbox).expect("mkdir");
        std::fs::write(dir.path().join("keep"), "").expect("write");
        for name in ["../keep", "..", ".", "", "/etc/passwd", "a/b", "a/"] {
            assert!(take(&outbox, OsStr::new(name)).is_err(), "{name:?}");
            assert!(refuse(&outbox, OsStr::new(name)).is_err(), "{name:?}");
        }
        assert!(dir.path().join("keep").exists());
    }
}
