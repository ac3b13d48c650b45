//! What can go wrong with git, in the words a person needs, and what to do about it.
//!
//! **Invariant:** text that git or a repository wrote reaches a message only through [`plain`]:
//! bounded, and without bytes that a terminal would obey.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::name::BranchName;
use crate::model::text::shell_word;
use crate::os::file::FileError;
use crate::os::run::RunError;

/// How much of git's standard error a message keeps, in bytes; the end is what says why.
const MAX_STDERR: usize = 2 << 10;

/// What was tried with git, and why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No git on PATH.
    #[error("git was not found on PATH ({path})")]
    NoGit {
        /// What was searched.
        path: String,
    },
    /// A git without something that is needed.
    #[error("git {found} at {} is too old; {oldest} or newer is needed", program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: String,
        /// The oldest that will do.
        oldest: String,
    },
    /// The folder lies in no repository.
    #[error("{} is not in a git repository", dir.display())]
    NotARepository {
        /// The folder.
        dir: PathBuf,
    },
    /// Git separates paths by line breaks, and this one has one.
    #[error("{dir:?} has a line break in its path, or its git folder has")]
    LineBreak {
        /// The folder.
        dir: PathBuf,
    },
    /// The repository has no main checkout, and one is needed.
    #[error("{} is a bare repository: it has no checkout", repo.display())]
    Bare {
        /// The repository.
        repo: PathBuf,
    },
    /// There is nothing a worktree could start from.
    #[error("{} has no commits", repo.display())]
    NoCommits {
        /// The repository.
        repo: PathBuf,
        /// Whether it has no checkout to commit in.
        bare: bool,
    },
    /// The repository belongs to another user, and git refuses it.
    #[error("{} belongs to another user, and git refuses to work in it", path.display())]
    Dubious {
        /// What git named.
        path: PathBuf,
    },
    /// No such branch or revision.
    #[error("there is no branch or revision {name:?}{}", did_you_mean(nearest))]
    MissingBase {
        /// What was asked for.
        name: String,
        /// Branches with similar names, best first.
        nearest: Vec<String>,
    },
    /// The main checkout is on no branch, and no base is set.
    #[error("{} is on no branch (detached HEAD), and no base is set", repo.display())]
    DetachedNoBase {
        /// The repository.
        repo: PathBuf,
    },
    /// The branch is there already; it is never reset.
    #[error("branch {branch} exists already{}", checked_out(worktree.as_deref()))]
    BranchExists {
        /// The branch.
        branch: BranchName,
        /// The worktree that has it checked out.
        worktree: Option<PathBuf>,
    },
    /// The branch was to be taken back, but somebody looks at it.
    #[error("branch {branch} is kept: {} has it checked out", worktree.display())]
    BranchHeld {
        /// The branch.
        branch: BranchName,
        /// The checkout.
        worktree: PathBuf,
    },
    /// What was made and could not be taken back.
    #[error("could not be removed: {what}")]
    Remains {
        /// Each thing, and why.
        what: String,
    },
    /// A creation failed, and not all of it could be taken back.
    #[error("{}; {rest}", chained(error))]
    LeftOver {
        /// Why it failed.
        error: Box<GitError>,
        /// What is left.
        rest: Box<GitError>,
    },
    /// Another branch's name stands where this one needs a folder, or the other way round.
    #[error("branch {branch} cannot be made: {why}")]
    BranchBlocked {
        /// The branch.
        branch: BranchName,
        /// The other one.
        by: Option<String>,
        /// What git said.
        why: String,
    },
    /// Something lies where the worktree should go.
    #[error("{} exists and is not empty ({})", path.display(), entries.join(", "))]
    PathTaken {
        /// The path.
        path: PathBuf,
        /// Up to three of its entries.
        entries: Vec<String>,
    },
    /// The folder is gone, but git still has it registered.
    #[error("{} is registered as a worktree, but the folder is missing", path.display())]
    Registered {
        /// The worktree.
        path: PathBuf,
        /// Its entry in the repository.
        admin_dir: PathBuf,
    },
    /// The worktree would lie in a checkout that would then show it as untracked files.
    #[error("{} lies inside the checkout {} and is not ignored there", path.display(), checkout.display())]
    InsideCheckout {
        /// The worktree.
        path: PathBuf,
        /// The checkout.
        checkout: PathBuf,
    },
    /// A path that cannot be a worktree.
    #[error("{} cannot be a worktree: {why}", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
        /// The rule it breaks.
        why: String,
    },
    /// The repository itself has files where ours must go.
    #[error("{path} is tracked in {base}, and standup needs it for itself")]
    OursIsTracked {
        /// The path in the repository.
        path: String,
        /// The commit.
        base: String,
    },
    /// The repository borrows objects from a folder that is not there.
    #[error("the repository borrows objects from {}, which is not there", missing.display())]
    Alternates {
        /// The folder.
        missing: PathBuf,
    },
    /// No space, no inodes or no quota left.
    #[error("no space left for {}", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Another git holds a lock, or died holding it.
    #[error("{} is locked{}{}", path.display(), age(*age_s), owner_pid(*owner))]
    LockHeld {
        /// The lock file.
        path: PathBuf,
        /// Its age in seconds.
        age_s: Option<u64>,
        /// The process that seems to hold it.
        owner: Option<u32>,
    },
    /// A filter driver that must succeed did not.
    #[error("a filter failed while the files were checked out: {stderr}")]
    Filter {
        /// What git said.
        stderr: String,
    },
    /// A worktree's connection to its repository was changed; nothing in it is believed.
    #[error("worktree {} is broken: {why}", path.display())]
    Broken {
        /// The worktree.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A new worktree did not turn out to be what was asked for.
    #[error("worktree {} is not what was asked for: {why}", path.display())]
    Unproven {
        /// The worktree.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Removing it would destroy something.
    #[error("worktree {} is kept: {why}", path.display())]
    WouldLose {
        /// The worktree.
        path: PathBuf,
        /// What would be lost.
        why: String,
    },
    /// A git call took longer than it may.
    #[error("`{command}` took longer than {} s", limit.as_secs())]
    TimedOut {
        /// The command, shortened.
        command: String,
        /// The limit.
        limit: Duration,
    },
    /// A git call printed more than is read.
    #[error("`{command}` printed more than {max} bytes")]
    TooMuch {
        /// The command, shortened.
        command: String,
        /// The bound in bytes.
        max: usize,
    },
    /// Git failed in a way that has no name here.
    #[error("`{command}` failed ({}): {stderr}", code.map_or("a signal".into(), |c| format!("exit {c}")))]
    Failed {
        /// The command, shortened.
        command: String,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The end of what it said.
        stderr: String,
    },
    /// Git answered in a way that could not be understood.
    #[error("`{command}` answered {answer:?}")]
    Unexpected {
        /// The command, shortened.
        command: String,
        /// The answer, shortened.
        answer: String,
    },
    /// A file of the repository or the worktree.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// `read`, `make`, `rename` …
        verb: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Git did not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file of ours.
    #[error(transparent)]
    File(#[from] FileError),
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) }
}

fn checked_out(worktree: Option<&Path>) -> String {
    worktree.map_or(String::new(), |path| format!(", checked out in {}", path.display()))
}

fn age(seconds: Option<u64>) -> String {
    seconds.map_or(String::new(), |s| format!(" since {s} s"))
}

fn owner_pid(owner: Option<u32>) -> String {
    owner.map_or(" by no process that can be found".into(), |pid| format!(" by process {pid}"))
}

impl GitError {
    /// Wraps an I/O error with what was tried on which path; a full disk keeps its own name.
    pub fn io(verb: &'static str, path: &Path, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::DiskFull { path: path.to_owned() },
            _ => Self::Io { verb, path: path.to_owned(), source },
        }
    }

    /// Whether what an attempt was to start from is not there.
    #[must_use]
    pub fn is_missing_base(&self) -> bool {
        matches!(self, Self::MissingBase { .. } | Self::DetachedNoBase { .. } | Self::NoCommits { .. })
    }

    /// What to do about it: a sentence, or a command to paste.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoGit { .. } | Self::TooOld { .. } => "install a current git".to_owned(),
            Self::NotARepository { .. } => "git init && git commit --allow-empty -m start".to_owned(),
            Self::LineBreak { .. } => "give the folder another name".to_owned(),
            Self::NoCommits { repo, bare: true } => {
                format!("a bare repository gets its commits by a push: git push {} main", quoted(repo))
            }
            Self::Bare { repo } => format!("work in a clone of it: git clone {}", quoted(repo)),
            Self::NoCommits { repo, bare: false } => {
                format!("make a first commit: git -C {} commit --allow-empty -m start", quoted(repo))
            }
            Self::Dubious { path } => {
                format!("if you trust it: git config --global --add safe.directory {}", quoted(path))
            }
            Self::MissingBase { .. } => "git branch --all".to_owned(),
            Self::DetachedNoBase { .. } => "standup config set base main    # or check out a branch".to_owned(),
            Self::BranchBlocked { by: Some(by), .. } => {
                format!("give it another name: git branch -m {} OTHER", quoted(Path::new(by)))
            }
            Self::PathTaken { path, .. } => format!("look at it, then move it away: ls -A {}", quoted(path)),
            Self::Registered { path, admin_dir } => format!(
                "if it moved: git worktree repair <where it is now>; if it is gone for good: \
                 git worktree remove --force --force {} (its entry is {})",
                quoted(path),
                admin_dir.display()
            ),
            Self::InsideCheckout { .. } => {
                "choose a folder outside the repository for [worktrees] root, or ignore it in .gitignore".to_owned()
            }
            Self::OursIsTracked { path, .. } => format!("git rm -r --cached {}", shell_word(path)),
            Self::Alternates { missing } => {
                format!("bring back {}, or look at objects/info/alternates, then: git fsck", missing.display())
            }
            Self::Broken { path, .. } => {
                format!(
                    "run no git in it before you have looked, something may be planted there: ls -la {}",
                    quoted(path)
                )
            }
            Self::DiskFull { .. } => "df -h; df -i".to_owned(),
            Self::Filter { .. } => {
                "see which program it is, and whether it runs here: git config --get-regexp '^filter\\.'".to_owned()
            }
            Self::LockHeld { path, owner: None, .. } => {
                format!("if no git is running there: rm {}", quoted(path))
            }
            Self::LockHeld { .. } => "wait for it, or end it".to_owned(),
            Self::LeftOver { error, .. } => return error.hint(),
            _ => return None,
        };
        Some(text)
    }

    /// Names a failure by what git said.
    pub(super) fn from_output(command: String, code: Option<i32>, stderr: &[u8]) -> Self {
        let said = String::from_utf8_lossy(stderr);
        if let Some(path) = between(&said, "detected dubious ownership in repository at '", "'") {
            return Self::Dubious { path: PathBuf::from(plain(path.as_bytes())) };
        }
        if let Some(path) = between(&said, "Unable to create '", ".lock': File exists") {
            return Self::lock_held(PathBuf::from(format!("{path}.lock")));
        }
        if let Some(dir) = between(&said, "unable to normalize alternate object path: ", "\n")
            .or_else(|| between(&said, "object directory ", " does not exist; check .git/objects/info/alternates"))
        {
            return Self::Alternates { missing: PathBuf::from(plain(dir.as_bytes())) };
        }
        if said.contains("No space left on device") || said.contains("Disk quota exceeded") {
            let path = between(&said, "'", "'").unwrap_or("the repository");
            return Self::DiskFull { path: PathBuf::from(plain(path.as_bytes())) };
        }
        let filter = said.lines().any(|line| line.contains("filter") && line.contains("failed"));
        let stderr = plain(stderr);
        if filter { Self::Filter { stderr } } else { Self::Failed { command, code, stderr } }
    }

    /// A branch that could not be made, by what git said of it.
    pub(super) fn blocked(branch: &BranchName, stderr: String) -> Self {
        let by = between(&stderr, ": 'refs/heads/", "' exists").map(str::to_owned);
        let why = by.as_ref().map_or(stderr, |by| format!("the branch {by} is in the way"));
        Self::BranchBlocked { branch: branch.clone(), by, why }
    }

    /// A lock that stands in the way, with its age and who seems to hold it.
    pub(super) fn lock_held(path: PathBuf) -> Self {
        let age_s = super::locks::age(&path).map(|age| age.as_secs());
        let owner = super::locks::open_by(&path).map(|id| id.pid);
        Self::LockHeld { path, age_s, owner }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// An error with its cause.
pub(super) fn chained(error: &GitError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// Text of git's for a message: the last 2 KiB, one line of sentences, nothing a terminal obeys.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    let tail = &bytes[bytes.len().saturating_sub(MAX_STDERR)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|&c| is_harmless(c)).collect::<String>().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}

/// Whether a character neither commands a terminal nor reorders or hides what stands beside it.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_named() {
        let named = |said: &str| GitError::from_output("git x".into(), Some(128), said.as_bytes());
        assert!(matches!(
            named("fatal: detected dubious ownership in repository at '/srv/x'\nTo add"),
            GitError::Dubious { path } if path == Path::new("/srv/x")
        ));
        assert!(matches!(
            named("fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git"),
            GitError::LockHeld { path, age_s: None, owner: None } if path == Path::new("/r/.git/index.lock")
        ));
        assert!(matches!(named("fatal: write error: No space left on device"), GitError::DiskFull { .. }));
        assert!(matches!(named("fatal: a.bin: smudge filter lfs failed"), GitError::Filter { .. }));
        assert!(matches!(named("fatal: nonsense"), GitError::Failed { code: Some(128), .. }));
    }

    #[test]
    fn no_byte_that_a_terminal_obeys_is_kept() {
        assert_eq!(plain(b"a\x1b[31mb\r\n\n\xffc\xc2\x9bd\n"), "a[31mb; \u{fffd}cd");
        assert_eq!(plain("x\u{202e}y\u{200b}z".as_bytes()), "xyz");
        assert!(plain(&vec![b'x'; 10_000]).len() <= MAX_STDERR);
    }

    #[test]
    fn a_hint_can_be_pasted() {
        let hint = GitError::Dubious { path: "/srv/it's".into() }.hint().expect("hint");
        assert!(hint.ends_with(r"safe.directory '/srv/it'\''s'"), "{hint}");
    }
}
