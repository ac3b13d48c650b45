//! What an attempt does to files that are off-limits and that git ignores: no difference shows them.
//!
//! How they were before the agent was started is kept in a file beside the gitdir that the worktree
//! is looked into through; of a pattern that is put off-limits later, how they were then.
//! **Invariant:** no content is kept, only its digest; where how they were is lost, nothing is said
//! to have changed. Must not know: what follows from a change.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::git::GitError;
use crate::git::shadow::Shadow;
use crate::model::id::AttemptId;
use crate::model::name::{Pattern, matching};
use crate::os::file;
use crate::store::log::TextDigest;

use super::super::world::{Look, World};
use super::chain;

/// The file, in the gitdir that the worktree is looked into through.
const FILE: &str = "off-limits.json";

/// More than [`MAX_FILES`] take.
const MAX_BYTES: u64 = 4 << 20;

/// Files of one pattern that are looked at, the first by name: a folder of secrets has some tens.
const MAX_FILES: usize = 1_000;

/// A file that is longer is taken for another one as soon as its time or size is: none is read for
/// long at each look.
const MAX_READ: u64 = 1 << 20;

/// The folder of the attempt's own files.
const OWN: &str = ".standup";

/// How the files of each pattern were.
type Known = BTreeMap<String, Before>;

#[derive(Serialize, Deserialize)]
struct Before {
    /// Whether all that lies in folders that the pattern names is looked at. In one of which git keeps
    /// anything, what it ignores are by-products (`__pycache__`) that a check makes as well.
    whole: bool,
    files: BTreeMap<String, Print>,
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    mode: u32,
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    inode: u64,
    /// Of what it holds, or of where it leads.
    digest: String,
}

/// The ignored files among `patterns` that are not as they were, as far as that can be seen; patterns
/// that were never looked at are from now on. Blocks.
pub(super) fn changed(world: &World, attempt: AttemptId, look: &Look, patterns: &[Pattern]) -> Vec<PathBuf> {
    let file = world.place.layout.shadow_dir(attempt).join(FILE);
    let root = &look.shadow.site().worktree;
    let seen = compare(&file, root, &look.shadow, patterns);
    seen.unwrap_or_else(|error| {
        tracing::info!(%attempt, %error, "cannot look at ignored files that are off-limits");
        Vec::new()
    })
}

fn compare(file: &Path, root: &Path, shadow: &Shadow, patterns: &[Pattern]) -> Result<Vec<PathBuf>, String> {
    let mut known: Known = match file::read_bounded(file, MAX_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(error) if error.is_absent() => Known::default(),
        Err(error) => return Err(chain(&error)),
    };
    let wrong = |error: GitError| chain(&error);
    let (mut changed, mut is_new) = (Vec::new(), false);
    for pattern in patterns {
        let before = known.get(pattern.as_str());
        let whole = match before {
            Some(before) => before.whole,
            None => !shadow.keeps(pattern).map_err(wrong)?,
        };
        let mut files = shadow.ignored(pattern).map_err(wrong)?;
        files.retain(|path| !path.starts_with(OWN) && (whole || is_named(pattern, path)));
        files.truncate(MAX_FILES);
        if let Some(before) = before {
            changed.extend(differing(root, &before.files, &files));
        } else {
            let files = files.iter().filter_map(|path| Some((key(path), print(&root.join(path)).ok()?))).collect();
            known.insert(pattern.as_str().to_owned(), Before { whole, files });
            is_new = true;
        }
    }
    if is_new {
        let json = serde_json::to_vec(&known).map_err(|error| error.to_string())?;
        file::write_atomic(file, &json, 0o600).map_err(|error| chain(&error))?;
    }
    changed.sort();
    changed.dedup();
    Ok(changed)
}

/// Whether a pattern names this very file, and not all there is or a folder that it lies in.
fn is_named(pattern: &Pattern, path: &Path) -> bool {
    let last = pattern.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let folder = path.parent().filter(|folder| !matching(std::slice::from_ref(pattern), [*folder]).is_empty());
    folder.is_none() && last.contains(|c| !matches!(c, '*' | '?'))
}

fn differing(root: &Path, before: &BTreeMap<String, Print>, files: &[PathBuf]) -> Vec<PathBuf> {
    let now: BTreeMap<String, &PathBuf> = files.iter().map(|path| (key(path), path)).collect();
    let gone = before.keys().filter(|path| !now.contains_key(*path)).map(PathBuf::from);
    // What vanishes while it is looked at is gone at the next look.
    let is_same = |before: &Print, path: &Path| before.is_of(path).unwrap_or(true);
    let others = now.iter().filter(|(name, path)| before.get(*name).is_none_or(|b| !is_same(b, &root.join(path))));
    gone.chain(others.map(|(_, path)| (*path).clone())).collect()
}

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Print {
    /// Whether the file is as it was; it is only read where it may not be.
    fn is_of(&self, path: &Path) -> io::Result<bool> {
        let meta = std::fs::symlink_metadata(path)?;
        let seen = (meta.mode(), meta.size(), (meta.mtime(), meta.mtime_nsec()), meta.ino());
        if seen == (self.mode, self.size, self.changed, self.inode) {
            return Ok(true);
        }
        let now = print(path)?;
        Ok((now.mode, now.digest) == (self.mode, self.digest.clone()))
    }
}

fn print(path: &Path) -> io::Result<Print> {
    let meta = std::fs::symlink_metadata(path)?;
    let changed = (meta.mtime(), meta.mtime_nsec());
    let content = if meta.is_symlink() {
        std::fs::read_link(path)?.as_os_str().as_bytes().escape_ascii().to_string()
    } else {
        let read = file::read_bounded(path, MAX_READ);
        read.map_or_else(|_| format!("{} {changed:?}", meta.size()), |bytes| bytes.escape_ascii().to_string())
    };
    let digest = TextDigest::of(&content).to_string();
    Ok(Print { mode: meta.mode(), size: meta.size(), changed, inode: meta.ino(), digest })
}
