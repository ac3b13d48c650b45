//! What attempts start from.
//!
//! **Invariant:** what is asked for is never guessed at: a name that is not there is an error that
//! names its neighbours. Must not know: attempts.

use super::cli::Git;
use super::error::{GitError, plain};
use super::repo::{Head, Repository};
use super::site::HEADS;
use crate::model::name::Oid;
use crate::model::time::Wall;

/// How many similar branch names an error offers.
const NEAREST: usize = 3;

/// Below this likeness (0 to 1) a name is no suggestion.
const LIKENESS: f64 = 0.6;

/// What attempts start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// What people call it: `main`, `origin/main`, `v1.2`.
    pub name: String,
    /// The full name of the reference that moves it; `None` for a fixed revision.
    pub reference: Option<String>,
    /// Its commit.
    pub oid: Oid,
    /// When that was committed.
    pub at: Wall,
}

impl Repository {
    /// The branch that the remote `origin` calls its own, as `main`.
    ///
    /// # Errors
    /// What git says.
    pub fn origin_head(&self, git: &Git) -> Result<Option<String>, GitError> {
        const NAME: &str = "refs/remotes/origin/HEAD";
        Ok(self.symbolic(git, NAME)?.and_then(|full| Some(full.strip_prefix("refs/remotes/origin/")?.to_owned())))
    }

    /// The base of new attempts: what is asked for, else what origin calls its main branch, else
    /// the branch of the main checkout. A local branch goes before the remote's of the same name.
    ///
    /// # Errors
    /// [`GitError::MissingBase`], [`GitError::DetachedNoBase`], [`GitError::NoCommits`].
    pub fn resolve_base(&self, git: &Git, wanted: Option<&str>) -> Result<Base, GitError> {
        if let Some(name) = wanted {
            return match self.find_base(git, name)? {
                Some(base) => Ok(base),
                None if self.has_no_commits(git) => {
                    Err(GitError::NoCommits { repo: self.root().to_owned(), bare: self.is_bare() })
                }
                None => Err(self.missing_base(git, name)),
            };
        }
        if let Some(name) = self.origin_head(git)?
            && let Some(base) = self.find_base(git, &name)?
        {
            return Ok(base);
        }
        match self.head(git)? {
            Head::Branch { name, .. } => self.find_base(git, &name)?.ok_or_else(|| self.missing_base(git, &name)),
            Head::Unborn { .. } => Err(GitError::NoCommits { repo: self.root().to_owned(), bare: self.is_bare() }),
            Head::Detached { .. } => Err(GitError::DetachedNoBase { repo: self.root().to_owned() }),
        }
    }

    fn find_base(&self, git: &Git, name: &str) -> Result<Option<Base>, GitError> {
        let local = (format!("{HEADS}{name}"), name.to_owned());
        let tracked = (format!("refs/remotes/{name}"), name.to_owned());
        let remote = (format!("refs/remotes/origin/{name}"), format!("origin/{name}"));
        for (full, shown) in [local, tracked, remote] {
            if let Some(oid) = self.find_reference(git, &full)? {
                let at = self.committed_at(git, &oid)?;
                return Ok(Some(Base { name: shown, reference: Some(full), oid, at }));
            }
        }
        let Some(oid) = self.revision(git, name)? else { return Ok(None) };
        let at = self.committed_at(git, &oid)?;
        Ok(Some(Base { name: name.to_owned(), reference: None, oid, at }))
    }

    fn missing_base(&self, git: &Git, name: &str) -> GitError {
        let branches = self.branches(git).unwrap_or_default();
        let last = |branch: &str| branch.rsplit('/').next().unwrap_or_default().to_owned();
        let like = |branch: &String| strsim::jaro_winkler(name, branch).max(strsim::jaro_winkler(name, &last(branch)));
        let mut close: Vec<(f64, String)> = branches.into_iter().map(|b| (like(&b), b)).collect();
        close.retain(|(likeness, _)| *likeness >= LIKENESS);
        close.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let nearest = close.into_iter().take(NEAREST).map(|(_, branch)| branch).collect();
        GitError::MissingBase { name: plain(name.as_bytes()), nearest }
    }

    fn has_no_commits(&self, git: &Git) -> bool {
        self.branches(git).is_ok_and(|branches| branches.is_empty())
            && self.revision(git, "HEAD").is_ok_and(|o| o.is_none())
    }

    /// The branches that bear the names of attempts, without `standup/`: `T7/1-slug`.
    ///
    /// # Errors
    /// What git says.
    pub fn attempt_branches(&self, git: &Git) -> Result<Vec<String>, GitError> {
        let listed = self.ask(git, &["for-each-ref", "--format=%(refname)", "refs/heads/standup"])?;
        let text = String::from_utf8_lossy(&listed);
        let short = |full: &str| full.strip_prefix(HEADS)?.strip_prefix("standup/").map(str::to_owned);
        Ok(text.lines().filter_map(short).collect())
    }

    /// All branches, local ones first, without those of attempts.
    ///
    /// # Errors
    /// What git says.
    pub fn branches(&self, git: &Git) -> Result<Vec<String>, GitError> {
        let listed = self.ask(git, &["for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes"])?;
        let text = String::from_utf8_lossy(&listed);
        let short = |full: &str| full.strip_prefix(HEADS).or(full.strip_prefix("refs/remotes/")).map(str::to_owned);
        Ok(text.lines().filter_map(short).filter(|b| !b.starts_with("standup/") && !b.ends_with("/HEAD")).collect())
    }
}
