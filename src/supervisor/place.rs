//! Where we are: the repository around a folder, and where its things lie.

use std::path::{Path, PathBuf};

use crate::git::{Git, GitError, Repository};
use crate::os::locate::{Dirs, LocateError};
use crate::store::StoreError;
use crate::store::layout::Layout;

/// A repository and its folders.
#[derive(Debug, Clone)]
pub struct Place {
    /// The git binary.
    pub git: Git,
    /// The repository.
    pub repo: Repository,
    /// The user's directories.
    pub dirs: Dirs,
    /// Where everything of this repository lies.
    pub layout: Layout,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No repository, or none that can be used.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No home.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The folders cannot be named.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Place {
    /// Finds the repository around `dir`; from inside a linked worktree, its main checkout.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn find(dir: &Path) -> Result<Self, PlaceError> {
        Self::find_under(dir, Dirs::find()?)
    }

    /// The same, with directories that somebody else chose.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn find_under(dir: &Path, dirs: Dirs) -> Result<Self, PlaceError> {
        let git = Git::find()?;
        let repo = Repository::discover(&git, dir)?;
        let (name, hash) = Self::names(&repo);
        let layout = Layout::new(&dirs, &name, &hash)?;
        Ok(Self { git, repo, dirs, layout })
    }

    /// The same, with the repository's settings as they are now.
    ///
    /// # Errors
    /// What git says.
    pub fn renewed(&self) -> Result<Self, GitError> {
        Ok(Self { repo: self.repo.renewed(&self.git)?, ..self.clone() })
    }

    /// The folder that people call the repository: the main checkout, or the bare repository.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.repo.main().unwrap_or_else(|| self.repo.root()).to_owned()
    }

    /// A folder from which this repository is found again: the one that people call it, unless
    /// nothing in it leads to the git folder (`core.worktree`).
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        let root = self.root();
        if self.repo.is_bare() || root.join(".git").exists() { root } else { self.repo.common_dir().to_owned() }
    }

    /// `<name>` and `<hash>` of the repository's identity, which is `<name>-<hash>`.
    fn names(repo: &Repository) -> (String, String) {
        let identity = repo.identity();
        match identity.rsplit_once('-') {
            Some((name, hash)) => (name.to_owned(), hash.to_owned()),
            None => ("repository".to_owned(), identity),
        }
    }
}
