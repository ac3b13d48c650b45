//! The tree of a worktree: one hash for everything in it that git would keep, tracked or not.
//!
//! An index of our own remembers which files were hashed; from the agent's index only the list of
//! tracked paths is taken, never what it says about their contents, so an index that lies about a
//! file does not make evidence about it.
//!
//! **Invariant:** the repository's objects, references and the agent's index are not written, and
//! no program that the worktree or the repository names is run. Must not know: bases, branches.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::cli::{Call, Git};
use super::error::{GitError, plain};
use super::private::Private;
use super::site::read_plain;
use crate::model::name::Oid;
use crate::os::lock::Lock;

/// Our own folder in a worktree, which is no part of the work.
pub(super) const OURS: &str = ".standup/run";

/// An index above this is not read: a million files take about 100 MiB.
const MAX_INDEX: u64 = 512 << 20;

/// Hashing everything of a large worktree on a slow disk.
const LIMIT: Duration = Duration::from_secs(300);

/// A file that is written while it is hashed makes git stop; this often it is tried again.
const TRIES: usize = 3;

/// Objects of our own take at most this many bytes and what one look adds, or twice what a look
/// needs where that is more: reading everything anew must stay rare.
const MAX_HELD: u64 = 256 << 20;

/// The start of the name of an index's shared part.
const SHARED: &[u8] = b"sharedindex.";

/// Tracked files that a rule ignores and that are watched for changes; more are looked at only when
/// something else changes.
const MAX_KEPT: usize = 20_000;

/// Untracked repositories inside the worktree that are recorded; more are left out.
const MAX_NESTED: usize = 32;

/// Which version of the agent's index was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    dev: u64,
    ino: u64,
    size: u64,
    changed: (i64, i64),
}

/// What one hash leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: Option<Seen>,
    /// Paths that our index has and the agent's has not: untracked files, as they were found.
    extra: BTreeSet<Vec<u8>>,
    /// Tracked files that a rule ignores; `None` where it is to be found out.
    kept: Option<Arc<BTreeSet<PathBuf>>>,
    weight: Weight,
}

/// How much room the objects of our own may take by now.
#[derive(Debug, Default)]
struct Weight {
    /// What they took right after they were last begun anew: the least that one look needs.
    needed: u64,
    /// Bytes of files that were added since they were measured; `None` where they never were.
    added: Option<u64>,
}

impl Memory {
    /// Forgets all that is known of our index.
    fn reset(&mut self) {
        (self.seen, self.extra, self.kept) = (None, BTreeSet::new(), None);
    }

    /// Tracked files that a rule ignores all the same, as the last hash found them.
    pub(super) fn kept(&self) -> Arc<BTreeSet<PathBuf>> {
        self.kept.clone().unwrap_or_default()
    }
}

/// Everything that is needed to hash one worktree.
#[derive(Debug)]
pub(super) struct Hasher<'a> {
    pub git: &'a Git,
    pub private: &'a Private,
    pub worktree: &'a Path,
    pub their_index: &'a Path,
}

/// One line of `ls-files -s -t`.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    is_left_out: bool,
    mode: &'a [u8],
    oid: &'a [u8],
    path: &'a [u8],
}

impl Hasher<'_> {
    /// Our index.
    fn index(&self) -> PathBuf {
        self.private.dir().join("index")
    }

    /// Takes the agent's index as ours. Only right before the agent has been there.
    pub(super) fn trust_index(&self) -> Result<(), GitError> {
        copy_index(self.their_index, &self.index())?;
        if shared(self.private.dir()).is_empty() {
            return Ok(());
        }
        self.call(&["update-index", "--no-split-index"]).read().map(|_| ())
    }

    /// Hashes the worktree; `start` is the tree to begin with where our index is lost.
    pub(super) fn hash(&self, memory: &mut Memory, start: &Oid) -> Result<Oid, GitError> {
        // Two looks at one worktree share a folder, within this process or over a restart.
        let _lock = Lock::take(&self.private.dir().join("look"))?;
        self.remove(&["index.lock", "theirs.lock"])?;
        self.private.copy_rules()?;
        let anew = self.private.is_crowded() || self.is_heavy(&mut memory.weight);
        if anew {
            self.private.drop_objects()?;
            self.forget(memory)?;
        }
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            match self.hash_once(memory, start) {
                Err(GitError::Failed { .. }) if tries < TRIES => {
                    if tries > 1 {
                        self.forget(memory)?;
                    }
                }
                outcome => break outcome,
            }
        };
        if anew && outcome.is_ok() {
            memory.weight = Weight { needed: self.private.held_bytes(), added: Some(0) };
        }
        outcome
    }

    /// Drops what looks have gathered: the next one reads every file.
    pub(super) fn let_go(&self, memory: &mut Memory) -> Result<(), GitError> {
        let _lock = Lock::take(&self.private.dir().join("look"))?;
        self.private.drop_objects()?;
        memory.weight = Weight::default();
        self.forget(memory)
    }

    /// Whether the objects take so much more room than a look needs that starting anew is due.
    /// They are measured only where what was added since can have brought them there.
    fn is_heavy(&self, weight: &mut Weight) -> bool {
        let room = MAX_HELD.max(weight.needed.saturating_mul(2));
        if weight.added.is_some_and(|added| weight.needed.saturating_add(added) <= room) {
            return false;
        }
        let held = self.private.held_bytes();
        weight.added = Some(held.saturating_sub(weight.needed));
        held > room
    }

    /// Drops our index: the next hash reads every file.
    fn forget(&self, memory: &mut Memory) -> Result<(), GitError> {
        memory.reset();
        self.remove(&["index", "index.lock", "theirs.lock"])?;
        keep_shared(self.private.dir(), &BTreeSet::new())
    }

    /// Removes files of ours.
    fn remove(&self, names: &[&str]) -> Result<(), GitError> {
        for path in names.iter().map(|name| self.private.dir().join(name)) {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(GitError::io("remove", &path, e)),
                _ => {}
            }
        }
        Ok(())
    }

    fn hash_once(&self, memory: &mut Memory, start: &Oid) -> Result<Oid, GitError> {
        if !self.index().exists() {
            memory.reset();
            self.call(&["read-tree", start.as_str()]).read()?;
        }
        self.take_tracked(memory)?;
        self.drop_ignored(memory)?;
        let refresh = self.call(&["update-index", "-q", "--refresh", "--ignore-missing"]);
        let output = refresh.output()?;
        if !matches!(output.ended.code, Some(0 | 1)) {
            return Err(refresh.failed(&output));
        }
        let ours = format!("--exclude=/{OURS}/");
        let listed = self.call(&["ls-files", "-z", "-t", "-m", "-o", "--exclude-standard", &ours]).read()?;
        self.record(&listed, memory)?;
        if memory.kept.is_none() {
            memory.kept = Some(Arc::new(self.kept()?));
        }
        let text = self.call(&["write-tree"]).text()?;
        Oid::new(text.trim())
            .map_err(|_| GitError::Unexpected { command: "git write-tree".into(), answer: plain(text.as_bytes()) })
    }

    fn call<S: AsRef<OsStr>>(&self, args: &[S]) -> Call<'_> {
        let call = self.private.call(self.git, args).work_tree(self.worktree).index(&self.index());
        call.cwd(self.worktree).limit(LIMIT)
    }

    /// Brings the paths that are changed or new into our index.
    fn record(&self, listed: &[u8], memory: &mut Memory) -> Result<(), GitError> {
        // `? <path>` is untracked; a path that is both changed and gone is listed twice.
        let lines = listed.split(|&b| b == 0).filter(|line| line.len() > 2);
        let paths: BTreeMap<&[u8], bool> =
            lines.map(|line| (&line[2..], line[0] == b'?')).filter(|(path, _)| !is_ours(path)).collect();
        let (mut gone, mut there, mut nested, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (path, is_untracked) in paths {
            if path.ends_with(b".gitignore") {
                memory.kept = None;
            }
            if is_untracked {
                memory.extra.insert(path.strip_suffix(b"/").unwrap_or(path).to_vec());
            }
            match self.kind(path.strip_suffix(b"/").unwrap_or(path)) {
                Kind::File(size) => {
                    bytes = u64::saturating_add(bytes, size);
                    there.push(path);
                }
                Kind::Folder if path.ends_with(b"/") => nested.push(&path[..path.len() - 1]),
                Kind::Folder => there.push(path),
                Kind::Nothing => gone.push(path),
            }
        }
        memory.weight.added = memory.weight.added.map(|added| added.saturating_add(bytes));
        self.drop_paths(&gone)?;
        if !there.is_empty() {
            let args = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
            self.call(&args).stdin(zero_ended(&there)).read()?;
        }
        // A repository without a commit cannot be recorded, and is then no part of the tree.
        for path in nested.into_iter().take(MAX_NESTED) {
            let args = ["update-index", "--add", "--replace", "-z", "--stdin"];
            self.call(&args).stdin(zero_ended(&[path])).output()?;
        }
        Ok(())
    }

    fn drop_paths(&self, paths: &[&[u8]]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let none = self.private.no_object();
        let mut lines = Vec::new();
        for path in paths {
            lines.extend(format!("0 {none}\t").as_bytes());
            lines.extend(*path);
            lines.push(0);
        }
        self.call(&["update-index", "-z", "--index-info"]).stdin(lines).read().map(|_| ())
    }

    /// What stands at a path, without going through a link on the way.
    fn kind(&self, path: &[u8]) -> Kind {
        let path = Path::new(OsStr::from_bytes(path));
        let parents: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
        let is_folder = |p: &&Path| fs::symlink_metadata(self.worktree.join(p)).is_ok_and(|m| m.is_dir());
        if !parents.iter().all(is_folder) {
            return Kind::Nothing;
        }
        match fs::symlink_metadata(self.worktree.join(path)) {
            Ok(meta) if meta.is_file() || meta.is_symlink() => Kind::File(meta.len()),
            Ok(meta) if meta.is_dir() => Kind::Folder,
            _ => Kind::Nothing,
        }
    }

    /// Takes over which paths are tracked, if the agent's index changed since.
    fn take_tracked(&self, memory: &mut Memory) -> Result<(), GitError> {
        let now = look(self.their_index);
        if now.is_some() && now == memory.seen {
            return Ok(());
        }
        let list = ["ls-files", "-z", "-s", "-t"];
        let mut theirs = Vec::new();
        if now.is_some() {
            let copy = self.private.dir().join("theirs");
            copy_index(self.their_index, &copy)?;
            theirs = self.call(&list).index(&copy).read()?;
        }
        let ours = self.call(&list).read()?;
        memory.kept = None;
        memory.extra = self.follow(&entries(&theirs), &entries(&ours))?;
        memory.seen = now;
        Ok(())
    }

    /// Drops untracked files that are ignored by now. Such a path that is not ignored will be
    /// found again.
    fn drop_ignored(&self, memory: &mut Memory) -> Result<(), GitError> {
        let extra: Vec<&[u8]> = memory.extra.iter().map(Vec::as_slice).collect();
        let ignored = self.ignored(&extra)?;
        self.drop_paths(&ignored.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        for path in &ignored {
            memory.extra.remove(path);
        }
        Ok(())
    }

    /// Makes our index track what theirs tracks, and returns what it has beyond that.
    fn follow(&self, theirs: &[Entry<'_>], ours: &[Entry<'_>]) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let our_paths: BTreeSet<&[u8]> = ours.iter().map(|e| e.path).collect();
        let their_paths: BTreeSet<&[u8]> = theirs.iter().map(|e| e.path).collect();
        let (mut lines, mut added) = (Vec::new(), BTreeSet::new());
        for entry in theirs.iter().filter(|e| !our_paths.contains(e.path) && !is_ours(e.path)) {
            if added.insert(entry.path) {
                lines.extend([entry.mode, b" ", entry.oid, b" 0\t", entry.path, b"\0"].concat());
            }
        }
        if !lines.is_empty() {
            self.call(&["update-index", "-z", "--add", "--replace", "--index-info"]).stdin(lines).read()?;
        }
        let left_out = |list: &[Entry<'_>]| -> BTreeSet<Vec<u8>> {
            list.iter().filter(|e| e.is_left_out).map(|e| e.path.to_vec()).collect()
        };
        let (theirs, ours) = (left_out(theirs), left_out(ours));
        self.mark("--skip-worktree", theirs.difference(&ours))?;
        self.mark("--no-skip-worktree", ours.difference(&theirs).filter(|p| their_paths.contains(p.as_slice())))?;
        Ok(our_paths.difference(&their_paths).map(|path| path.to_vec()).collect())
    }

    fn mark<'p>(&self, flag: &str, paths: impl Iterator<Item = &'p Vec<u8>>) -> Result<(), GitError> {
        let paths: Vec<&[u8]> = paths.map(Vec::as_slice).collect();
        if paths.is_empty() {
            return Ok(());
        }
        self.call(&["update-index", "-z", flag, "--stdin"]).stdin(zero_ended(&paths)).read().map(|_| ())
    }

    /// Which tracked paths a rule ignores.
    fn kept(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let listed = self.call(&["ls-files", "-z", "-c", "-i", "--exclude-standard"]).read()?;
        let paths: BTreeSet<PathBuf> =
            listed.split(|&b| b == 0).filter(|path| !path.is_empty()).take(MAX_KEPT).map(path_of).collect();
        if paths.len() == MAX_KEPT {
            tracing::warn!(worktree = %self.worktree.display(), "so many tracked files are ignored that not all are watched");
        }
        Ok(paths)
    }

    /// Which of these paths git ignores.
    fn ignored(&self, paths: &[&[u8]]) -> Result<Vec<Vec<u8>>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.call(&["check-ignore", "--no-index", "-z", "--stdin"]).stdin(zero_ended(paths));
        let output = call.output()?;
        match output.ended.code {
            Some(0) => Ok(output.stdout.split(|&b| b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()),
            Some(1) => Ok(Vec::new()),
            _ => Err(call.failed(&output)),
        }
    }
}

/// What stands at a path.
enum Kind {
    /// A regular file or a link, something git can keep, of so many bytes.
    File(u64),
    /// A folder, which git keeps only as another repository.
    Folder,
    /// Nothing, or nothing that git can keep.
    Nothing,
}

fn is_ours(path: &[u8]) -> bool {
    path.strip_prefix(OURS.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn zero_ended(paths: &[&[u8]]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.iter().copied().chain([0])).collect()
}

fn entries(listed: &[u8]) -> Vec<Entry<'_>> {
    listed.split(|&b| b == 0).filter_map(entry).collect()
}

/// `H 100644 <oid> 0\t<path>`
fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let tab = line.iter().position(|&b| b == b'\t')?;
    let mut words = line[..tab].split(|&b| b == b' ');
    let (tag, mode, oid) = (words.next()?, words.next()?, words.next()?);
    Some(Entry { is_left_out: tag == b"S", mode, oid, path: &line[tab + 1..] })
}

/// What tells one version of a file from the next: git replaces its index as a whole, and nobody
/// can set the time of change.
fn look(index: &Path) -> Option<Seen> {
    let meta = fs::symlink_metadata(index).ok()?;
    let changed = (meta.ctime(), meta.ctime_nsec());
    Some(Seen { dev: meta.dev(), ino: meta.ino(), size: meta.size(), changed })
}

/// Copies an index, and the shared part that a split index refers to. Shared parts that the
/// original has no more are removed.
pub(super) fn copy_index(from: &Path, to: &Path) -> Result<(), GitError> {
    let read = |path: &Path| read_plain(path, MAX_INDEX).map_err(|e| GitError::io("read", path, e));
    let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).map_err(|e| GitError::io("write", path, e));
    write(to, &read(from)?)?;
    let (Some(their_dir), Some(our_dir)) = (from.parent(), to.parent()) else { return Ok(()) };
    let theirs = shared(their_dir);
    keep_shared(our_dir, &theirs)?;
    for name in theirs.iter().filter(|name| !our_dir.join(name).exists()) {
        // Its name says what is in it, and it is never written again, so it is there whole or not.
        let half = our_dir.join("sharedindex-half");
        write(&half, &read(&their_dir.join(name))?)?;
        let path = our_dir.join(name);
        fs::rename(&half, &path).map_err(|e| GitError::io("write", &path, e))?;
    }
    Ok(())
}

/// The shared parts of indexes that lie in a folder.
fn shared(dir: &Path) -> BTreeSet<OsString> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.as_bytes().starts_with(SHARED)).collect()
}

/// Removes all shared parts from a folder of ours but these.
fn keep_shared(dir: &Path, kept: &BTreeSet<OsString>) -> Result<(), GitError> {
    for path in shared(dir).difference(kept).map(|name| dir.join(name)) {
        fs::remove_file(&path).map_err(|e| GitError::io("remove", &path, e))?;
    }
    Ok(())
}

/// A path as git printed it.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_line_is_read() {
        let found = entries(b"H 100644 ab 0\ta b\0S 100755 cd 0\tx\ty\0");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].mode, found[0].path, found[0].is_left_out), (&b"100644"[..], &b"a b"[..], false));
        assert_eq!((found[1].oid, found[1].path, found[1].is_left_out), (&b"cd"[..], &b"x\ty"[..], true));
    }

    #[test]
    fn only_our_own_folder_is_ours() {
        assert!(is_ours(b".standup/run") && is_ours(b".standup/run/outbox/1"));
        assert!(!is_ours(b".standup/runner") && !is_ours(b"a/.standup/run"));
    }
}
