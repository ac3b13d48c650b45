//! Looking into a worktree that an agent owns.
//!
//! Git runs with a private git folder (`git::private`) and our own index (`git::tree`);
//! the worktree's `.git`, its entry and the shared configuration are only ever read as text.
//!
//! **Invariant:** whatever an agent planted, no function here runs it, and a worktree whose links
//! were changed is reported as [`GitError::Broken`] and not described. Must not know: tasks,
//! checks, landing.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cli::Git;
use super::error::{GitError, plain};
use super::private::Private;
use super::repo::{FilterDriver, Repository};
use super::site::{HEADS, HeadRef, InProgress, Site};
use super::tree::{self, Hasher, Memory};
use crate::model::name::{BranchName, Oid};
use crate::model::time::Wall;

mod since;
mod unseen;

pub use since::Stand;

/// Differences between two trees, with renames looked for.
const DIFF_LIMIT: Duration = Duration::from_secs(120);

/// One worktree, looked at from outside.
#[derive(Debug)]
pub struct Shadow {
    git: Git,
    repo: Repository,
    site: Site,
    private: Private,
    state: Mutex<State>,
}

/// What the last look found, so that the next one is quick.
#[derive(Debug, Default)]
struct State {
    memory: Memory,
    counted: Option<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    from: Oid,
    to: Oid,
    lines: Lines,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    files: u64,
    insertions: u64,
    deletions: u64,
}

/// What a worktree is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The commit the attempt started from.
    pub base: Oid,
    /// Where the base branch stands now; `None` where nothing moves it.
    pub tip: Option<Oid>,
}

/// How much an attempt changed, and how it lies to its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffStat {
    /// The hash of everything in the worktree, tracked or not.
    pub tree: Oid,
    /// The commit at which the work left the base.
    pub start: Oid,
    /// The commit at HEAD; `None` on a branch without commits.
    pub head: Option<Oid>,
    /// Files that differ from the point where the work left the base.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Commits the base does not have.
    pub commits: u64,
    /// Whether the worktree holds changes that are not committed, untracked files included.
    pub dirty: bool,
    /// Commits only HEAD has, against where the base branch stands now.
    pub ahead: u64,
    /// Commits only the base branch has.
    pub behind: u64,
    /// When the commit was made at which the work left the base; the base's age counts from it.
    pub base_at: Wall,
}

/// Where HEAD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadState {
    /// The branch; `None` when detached.
    pub branch: Option<BranchName>,
    /// The commit; `None` on a branch without commits.
    pub oid: Option<Oid>,
    /// What was begun and not ended.
    pub in_progress: Option<InProgress>,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Other content, mode or type.
    Modified,
    /// Gone.
    Deleted,
    /// Under another name.
    Renamed,
}

/// One path that differs from the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The path, as it is now.
    pub path: PathBuf,
    /// Its former name, if renamed.
    pub from: Option<PathBuf>,
}

/// A patch, cut at a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The text, as git prints it.
    pub bytes: Vec<u8>,
    /// Whether the bound cut it.
    pub is_cut: bool,
}

impl Shadow {
    /// Opens the look into a worktree, with its own folder at `dir` (made where it is missing).
    /// `approved` are filter drivers of the repository's own configuration that a person approved.
    ///
    /// # Errors
    /// [`GitError::Io`] where the folder cannot be made.
    pub fn open(
        git: &Git,
        repo: &Repository,
        site: &Site,
        dir: &Path,
        approved: &[FilterDriver],
    ) -> Result<Self, GitError> {
        let private = Private::make(dir, repo, approved)?;
        let (git, repo, site) = (git.clone(), repo.clone(), site.clone());
        Ok(Self { git, repo, site, private, state: Mutex::default() })
    }

    /// The worktree.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The folder that git runs with here.
    pub(super) fn private(&self) -> &Private {
        &self.private
    }

    /// The tree that an untouched worktree at `commit` has.
    pub(super) fn clean_tree(&self, commit: &Oid) -> Result<Oid, GitError> {
        self.repo.tree_of(&self.git, commit)
    }

    /// Takes the fresh index of a worktree that nobody has worked in yet.
    pub(super) fn trust_index(&self) -> Result<(), GitError> {
        self.hasher(&self.site.admin_dir.join("index")).trust_index()
    }

    /// Where HEAD stands, and what is half-done.
    ///
    /// # Errors
    /// [`GitError::Broken`], or what git says.
    pub fn head(&self) -> Result<HeadState, GitError> {
        self.site.require_intact()?;
        let in_progress = InProgress::look(&self.site.admin_dir);
        let (branch, oid) = match self.site.head_ref()? {
            HeadRef::Detached(oid) => (None, Some(oid)),
            HeadRef::Branch(branch) => {
                let oid = self.repo.find_reference(&self.git, &format!("{HEADS}{branch}"))?;
                (Some(branch), oid)
            }
            HeadRef::InTable => return self.head_in_table(in_progress),
        };
        Ok(HeadState { branch, oid, in_progress })
    }

    /// Where HEAD stands, where `own` does not hold what lies there: neither is HEAD that branch,
    /// nor does it name the same commit with nothing uncommitted (`is_dirty`) beside it.
    ///
    /// # Errors
    /// As [`Shadow::head`].
    pub fn strayed(&self, own: &BranchName, is_dirty: bool) -> Result<Option<HeadState>, GitError> {
        let head = self.head()?;
        if head.branch.as_ref() == Some(own) {
            return Ok(None);
        }
        let tip = self.repo.find_reference(&self.git, &format!("{HEADS}{own}"))?;
        let holds = !is_dirty && head.branch.is_none() && tip.is_some() && tip == head.oid;
        Ok((!holds).then_some(head))
    }

    /// In a reftable repository git itself must read HEAD; it is told where everything lies.
    fn head_in_table(&self, in_progress: Option<InProgress>) -> Result<HeadState, GitError> {
        let admin = &self.site.admin_dir;
        let ask = |args: &[&str]| {
            let call = self.git.call(args).cwd(admin).git_dir(admin);
            call.env("GIT_COMMON_DIR", &self.site.common_dir).text_or_no()
        };
        let name = ask(&["symbolic-ref", "-q", "HEAD"])?;
        let branch = name.and_then(|full| BranchName::new(full.strip_prefix(HEADS)?).ok());
        let text = ask(&["rev-parse", "-q", "--verify", "HEAD"])?;
        Ok(HeadState { branch, oid: text.and_then(|text| Oid::new(text).ok()), in_progress })
    }

    /// The hash of everything in the worktree that git would keep: tracked files, and untracked
    /// ones that are not ignored. Writes nothing that anybody else sees.
    ///
    /// # Errors
    /// [`GitError::Broken`], or what git says (an unreadable file, for one).
    pub fn tree_hash(&self) -> Result<Oid, GitError> {
        let head = self.head()?;
        self.tree_under(&mut self.state(), head.oid.as_ref())
    }

    /// How much was changed, and how it lies to the base.
    ///
    /// # Errors
    /// As [`Shadow::tree_hash`].
    pub fn status(&self, against: &Against) -> Result<DiffStat, GitError> {
        let head = self.head()?;
        let mut state = self.state();
        let tree = self.tree_under(&mut state, head.oid.as_ref())?;
        let tip = against.tip.as_ref().unwrap_or(&against.base);
        let (mut ahead, mut behind, mut start, mut dirty) = (0, 0, None, true);
        if let Some(oid) = &head.oid {
            let relation = self.repo.relation(&self.git, oid, tip)?;
            (ahead, behind, start) = (relation.ahead, relation.behind, relation.merge_base);
            dirty = self.repo.tree_of(&self.git, oid)? != tree;
        }
        let start = start.unwrap_or_else(|| against.base.clone());
        let base_at = self.repo.committed_at(&self.git, &start)?;
        let lines = match &state.counted {
            Some(known) if known.from == start && known.to == tree => known.lines,
            _ => {
                let lines = self.count(&start, &tree)?;
                state.counted = Some(Counted { from: start.clone(), to: tree.clone(), lines });
                lines
            }
        };
        let Lines { files, insertions, deletions } = lines;
        let (head, commits) = (head.oid, ahead);
        Ok(DiffStat { tree, start, head, files, insertions, deletions, commits, dirty, ahead, behind, base_at })
    }

    /// The paths that differ, of a worktree as it was found to be.
    ///
    /// # Errors
    /// What git says: the tree may be gone by now.
    pub fn changed_paths(&self, found: &DiffStat) -> Result<Vec<Change>, GitError> {
        let listed = self.diff(&["--raw", "-z"], &found.start, &found.tree).read()?;
        Ok(changes(&listed))
    }

    /// All changes as a patch, binary ones included, of at most `max_bytes`.
    ///
    /// # Errors
    /// As [`Shadow::changed_paths`].
    pub fn patch(&self, found: &DiffStat, max_bytes: usize) -> Result<Patch, GitError> {
        let how = ["-p", "--binary", "--full-index"];
        let call = self.diff(&how, &found.start, &found.tree).max_output(max_bytes);
        let output = call.output()?;
        if !output.ended.is_success() {
            return Err(call.failed(&output));
        }
        Ok(Patch { bytes: output.stdout, is_cut: output.truncated })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic left half-written is only a memory of the last look.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hasher<'a>(&'a self, their_index: &'a Path) -> Hasher<'a> {
        Hasher { git: &self.git, private: &self.private, worktree: &self.site.worktree, their_index }
    }

    fn tree_under(&self, state: &mut State, head: Option<&Oid>) -> Result<Oid, GitError> {
        let start = match head {
            Some(oid) => self.repo.tree_of(&self.git, oid)?,
            None => self.empty_tree()?,
        };
        let hash = self.hasher(&self.site.admin_dir.join("index")).hash(&mut state.memory, &start)?;
        // Whoever changed the links meanwhile does not get the hash of another folder believed.
        self.site.require_intact()?;
        Ok(hash)
    }

    fn empty_tree(&self) -> Result<Oid, GitError> {
        let text = self.private.call(&self.git, &["hash-object", "-t", "tree", "-w", "--stdin"]).text()?;
        Oid::new(text.trim())
            .map_err(|_| GitError::Unexpected { command: "git hash-object".into(), answer: plain(text.as_bytes()) })
    }

    fn count(&self, from: &Oid, to: &Oid) -> Result<Lines, GitError> {
        let listed = self.diff(&["--numstat", "-z"], from, to).read()?;
        Ok(counts(&listed))
    }

    fn diff(&self, how: &[&str], from: &Oid, to: &Oid) -> super::cli::Call<'_> {
        let fixed =
            ["diff-tree", "-r", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=none"];
        let call = self.private.call(&self.git, &fixed).args(how).limit(DIFF_LIMIT);
        call.args(["--end-of-options", from.as_str(), to.as_str()])
    }
}

/// `<added>\t<removed>\t<path>\0`, or with an empty path and two names for a rename; `-` for binary.
fn counts(listed: &[u8]) -> Lines {
    let mut lines = Lines::default();
    let mut fields = listed.split(|&b| b == 0).filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        let mut words = field.splitn(3, |&b| b == b'\t');
        let mut number = || {
            let word = words.next().unwrap_or_default();
            std::str::from_utf8(word).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        lines.insertions += number();
        lines.deletions += number();
        lines.files += 1;
        if words.next().is_some_and(<[u8]>::is_empty) {
            fields.nth(1);
        }
    }
    lines
}

/// `:<mode> <mode> <oid> <oid> <letter>\0<path>\0`, with two paths for a rename.
fn changes(listed: &[u8]) -> Vec<Change> {
    let mut found = Vec::new();
    let mut fields = listed.split(|&b| b == 0);
    while let Some(field) = fields.next() {
        let Some(letter) = field.rsplit(|&b| b == b' ').next().and_then(<[u8]>::first) else { continue };
        let Some(first) = fields.next() else { break };
        let (kind, path, from) = match letter {
            b'A' => (ChangeKind::Added, first, None),
            b'D' => (ChangeKind::Deleted, first, None),
            b'R' => match fields.next() {
                Some(second) => (ChangeKind::Renamed, second, Some(tree::path_of(first))),
                None => break,
            },
            _ => (ChangeKind::Modified, first, None),
        };
        found.push(Change { kind, path: tree::path_of(path), from });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_text_binary_and_renames_are_read() {
        let lines = counts(b"3\t1\ta\tb\0-\t-\tbin\x000\t2\t\0old\0new\0");
        assert_eq!((lines.files, lines.insertions, lines.deletions), (3, 3, 3));
        assert_eq!(counts(b"").files, 0);
    }

    #[test]
    fn changes_are_read() {
        let found = changes(b":1 2 a b M\0x\0:0 1 0 a A\0\xff\0:1 1 a a R100\0old\0new\0:1 0 a 0 D\0y\0");
        let kinds: Vec<ChangeKind> = found.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [ChangeKind::Modified, ChangeKind::Added, ChangeKind::Renamed, ChangeKind::Deleted]);
        assert_eq!(found[2].from.as_deref(), Some(Path::new("old")));
    }
}
