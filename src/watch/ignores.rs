//! What git ignores in a worktree, as far as watching needs to know.
//!
//! `.gitignore` files, the repository's `info/exclude` and the user's excludes file. Which files are
//! tracked although a rule ignores them, only git can tell; it is told to [`Kept`].
//! **Invariant:** rules are read from regular files of bounded size, never through a link, as git
//! does; equal files are compiled once, since worktrees of one repository hold the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, gitconfig_excludes_path};
use sha2::{Digest, Sha256};

use crate::os::file;

use super::beneath;

/// The longest rules file that is read; the longest known are a few dozen KiB.
const MAX_BYTES: usize = 512 << 10;

/// Directories with rules of their own, in one worktree. More are taken as having none.
const MAX_FILES: usize = 2_000;

/// Its name in every directory.
pub(super) const FILE: &str = ".gitignore";

/// Rules that were compiled, for all worktrees.
#[derive(Debug, Default)]
pub(super) struct Cache {
    compiled: BTreeMap<[u8; 32], Weak<Gitignore>>,
}

/// The rules of one worktree.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// By directory, relative to the root.
    own: BTreeMap<PathBuf, Arc<Gitignore>>,
    /// `info/exclude`, then the user's.
    shared: Vec<Arc<Gitignore>>,
}

/// Files that are tracked although a rule ignores them, relative to the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept(Arc<BTreeSet<PathBuf>>);

impl Kept {
    /// These.
    pub(super) fn new(paths: Arc<BTreeSet<PathBuf>>) -> Self {
        Self(paths)
    }

    /// Whether `rel` is one of them.
    pub(super) fn contains(&self, rel: &Path) -> bool {
        self.0.contains(rel)
    }

    /// Whether one of them lies in the directory `rel` or further down.
    pub(super) fn lies_below(&self, rel: &Path) -> bool {
        // Paths are compared part by part, so what lies below follows at once.
        let next = self.0.range::<Path, _>((Bound::Excluded(rel), Bound::Unbounded)).next();
        next.is_some_and(|path| path.starts_with(rel))
    }
}

impl Cache {
    fn compile(&mut self, bytes: &[u8]) -> Arc<Gitignore> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(known) = self.compiled.get(&digest).and_then(Weak::upgrade) {
            return known;
        }
        let mut builder = GitignoreBuilder::new(".");
        let text = String::from_utf8_lossy(bytes);
        for line in text.trim_start_matches('\u{feff}').lines() {
            // A line that is no pattern matches nothing, as for git.
            let _ = builder.add_line(None, line);
        }
        let rules = Arc::new(builder.build().unwrap_or_else(|_| Gitignore::empty()));
        self.compiled.retain(|_, known| known.strong_count() > 0);
        self.compiled.insert(digest, Arc::downgrade(&rules));
        rules
    }
}

impl Rules {
    /// The rules that lie outside of the worktree's own directories.
    pub(super) fn outside(root: &Path, cache: &mut Cache) -> Self {
        let exclude = common_dir(root).map(|dir| dir.join("info").join("exclude"));
        let shared = [exclude, gitconfig_excludes_path()]
            .into_iter()
            .flatten()
            .filter_map(|path| file::read_bounded(&path, MAX_BYTES as u64).ok())
            .map(|bytes| cache.compile(&bytes))
            .filter(|rules| !rules.is_empty())
            .collect();
        Self { own: BTreeMap::new(), shared }
    }

    /// Reads the rules in the directory `rel`, which is open.
    pub(super) fn load(&mut self, dir: impl AsFd, rel: &Path, cache: &mut Cache) {
        if self.own.len() >= MAX_FILES {
            return;
        }
        if let Ok(Some(bytes)) = beneath::file(dir, Path::new(FILE), MAX_BYTES) {
            let rules = cache.compile(&bytes);
            if !rules.is_empty() {
                self.own.insert(rel.to_owned(), rules);
            }
        }
    }

    /// The directory `rel` has no rules (any more).
    pub(super) fn forget(&mut self, rel: &Path) {
        self.own.remove(rel);
    }

    /// Whether git ignores `rel`, given that it does not ignore the directory it lies in. The
    /// nearest rules that speak of it decide.
    pub(super) fn ignore(&self, rel: &Path, is_dir: bool) -> bool {
        let own = rel.ancestors().skip(1).filter_map(|dir| {
            let rules = self.own.get(dir)?;
            Some((rules, rel.strip_prefix(dir).ok()?))
        });
        let shared = self.shared.iter().map(|rules| (rules, rel));
        for (rules, path) in own.chain(shared) {
            match rules.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

/// The repository's common folder, from the worktree's `.git`: a folder, or a file that names the
/// worktree's own, in which `commondir` names the common one.
fn common_dir(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if std::fs::symlink_metadata(&git).ok()?.is_dir() {
        return Some(git);
    }
    let line = first_line(&git).ok()?;
    let own = root.join(line.strip_prefix("gitdir:")?.trim());
    match first_line(&own.join("commondir")) {
        Ok(common) => Some(own.join(common)),
        Err(_) => Some(own),
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    /// A path and a word.
    const MAX: u64 = 8 << 10;
    let bytes = file::read_bounded(path, MAX).map_err(io::Error::other)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    Ok(text.lines().next().unwrap_or_default().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rules(files: &[(&str, &str)]) -> (tempfile::TempDir, Rules) {
        let dir = tempfile::tempdir().expect("temp dir");
        let (mut cache, mut rules) = (Cache::default(), Rules::default());
        for (folder, text) in files {
            fs::create_dir_all(dir.path().join(folder)).expect("mkdir");
            fs::write(dir.path().join(folder).join(FILE), text).expect("write");
            let fd = beneath::root(&dir.path().join(folder)).expect("open");
            rules.load(fd, Path::new(folder), &mut cache);
        }
        (dir, rules)
    }

    #[test]
    fn the_nearest_rule_decides() {
        let (_dir, rules) = rules(&[("", "*.log\n/target/\nbuild\n"), ("a", "!keep.log\n*.tmp\n"), ("a/b", "*\n")]);
        for (path, is_dir, ignored) in [
            ("x.log", false, true),
            ("a/x.log", false, true),
            ("a/keep.log", false, false),
            ("keep.log", false, true),
            ("a/x.tmp", false, true),
            ("x.tmp", false, false),
            ("target", true, true),
            ("target", false, false),
            ("a/target", true, false),
            ("a/build", true, true),
            ("a/b/anything", false, true),
            ("src", true, false),
        ] {
            assert_eq!(rules.ignore(Path::new(path), is_dir), ignored, "{path}");
        }
    }

    #[test]
    fn what_is_kept_is_found_with_the_directories_on_the_way() {
        let paths = ["a/b/c", "a-b", "ab/c"].map(PathBuf::from);
        let kept = Kept::new(Arc::new(paths.into_iter().collect()));
        let below = ["a", "a/b", "ab"];
        for path in ["a", "a/b", "a/b/c", "a/b/c/d", "a/c", "a-b", "ab", "ab/c", "b", ""] {
            assert_eq!(kept.lies_below(Path::new(path)), below.contains(&path) || path.is_empty(), "{path}");
        }
        assert!(kept.contains(Path::new("a-b")) && !kept.contains(Path::new("a/b")));
    }

    #[test]
    fn equal_rules_are_compiled_once_and_given_back() {
        let mut cache = Cache::default();
        let (a, b) = (cache.compile(b"*.o\n"), cache.compile(b"*.o\n"));
        assert!(Arc::ptr_eq(&a, &b));
        drop((a, b));
        let _other = cache.compile(b"*.a\n");
        assert_eq!(cache.compiled.len(), 1);
    }

    #[test]
    fn rules_that_are_a_link_a_fifo_or_too_long_are_none() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join(FILE);
        let mut cache = Cache::default();
        let mut is_empty = || {
            let mut rules = Rules::default();
            rules.load(beneath::root(dir.path()).expect("open"), Path::new(""), &mut cache);
            rules.own.is_empty()
        };
        fs::write(dir.path().join("rules"), "*\n").expect("write");
        std::os::unix::fs::symlink("rules", &path).expect("link");
        assert!(is_empty());
        fs::remove_file(&path).expect("remove");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("fifo");
        assert!(is_empty());
        fs::remove_file(&path).expect("remove");
        fs::write(&path, "*\n".repeat(MAX_BYTES)).expect("write");
        assert!(is_empty());
        fs::write(&path, "*\n[\n\u{0}\n").expect("write");
        assert!(!is_empty(), "a line that is no pattern spoils no other");
    }

    #[test]
    fn a_linked_worktree_shares_the_excludes_of_its_repository() {
        let dir = tempfile::tempdir().expect("temp dir");
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("main/.git/info")).expect("mkdir");
        fs::create_dir_all(at("main/.git/worktrees/w")).expect("mkdir");
        fs::create_dir(at("w")).expect("mkdir");
        fs::write(at("main/.git/info/exclude"), "secret\n").expect("write");
        fs::write(at("main/.git/worktrees/w/commondir"), "../..\n").expect("write");
        fs::write(at("w/.git"), format!("gitdir: {}\n", at("main/.git/worktrees/w").display())).expect("write");
        for root in ["main", "w"] {
            let rules = Rules::outside(&at(root), &mut Cache::default());
            assert!(rules.ignore(Path::new("secret"), false) && !rules.ignore(Path::new("open"), false), "{root}");
        }
    }
}
