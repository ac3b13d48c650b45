//! What an agent gets for its own git: the environment, and the folders it must be able to write.
//!
//! **Invariant:** never grants the shared folder as a whole: hooks, configuration and the other
//! branches lie in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::repo::{RefFormat, Repository};
use super::site::{HEADS, Site};
use crate::model::name::BranchName;

/// Settings of every agent's git: it must not tidy the repository under its siblings, and waits
/// for a lock that a sibling holds.
pub const SETTINGS: [(&str, &str); 7] = [
    ("gc.auto", "0"),
    ("gc.packRefs", "false"),
    ("gc.pruneExpire", "never"),
    ("gc.worktreePruneExpire", "never"),
    ("maintenance.auto", "false"),
    ("reftable.lockTimeout", "10000"),
    ("core.packedRefsTimeout", "10000"),
];

/// The file that keeps git from removing an empty folder of references; git skips dotfiles there.
const KEEP: &str = ".keep";

/// The variables that carry [`SETTINGS`], added behind those that `existing` already carries
/// (`GIT_CONFIG_COUNT` and its pairs). A count that is not a number is replaced.
pub fn agent_env<'a>(existing: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let count = existing.into_iter().filter(|(name, _)| *name == "GIT_CONFIG_COUNT").last();
    let first: usize = count.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    let mut env = Vec::with_capacity(2 * SETTINGS.len() + 1);
    for (index, (key, value)) in SETTINGS.into_iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{}", first + index), key.to_owned()));
        env.push((format!("GIT_CONFIG_VALUE_{}", first + index), value.to_owned()));
    }
    env.push(("GIT_CONFIG_COUNT".to_owned(), (first + SETTINGS.len()).to_string()));
    env
}

/// The folders outside its worktree that an agent's git writes when it commits: its entry, the
/// objects, the folder of its task's branches and that folder's logs. Makes the last two, so that
/// a sandbox can name them, and keeps git from removing them. In a reftable repository all
/// references share one folder, which then is granted as a whole.
///
/// # Errors
/// [`GitError::Io`]; [`GitError::BranchBlocked`] for a branch that has no folder of its own.
pub fn writable_roots(repo: &Repository, site: &Site, branch: &BranchName) -> Result<Vec<PathBuf>, GitError> {
    for dir in branch_folders(repo, branch)? {
        keep(&dir)?;
    }
    roots(repo, site, branch)
}

/// The same folders, without making any.
///
/// # Errors
/// [`GitError::BranchBlocked`].
pub fn roots(repo: &Repository, site: &Site, branch: &BranchName) -> Result<Vec<PathBuf>, GitError> {
    let mut roots = vec![site.admin_dir.clone(), repo.objects()];
    if repo.ref_format() == RefFormat::Reftable {
        roots.push(repo.common_dir().join("reftable"));
    }
    roots.extend(branch_folders(repo, branch)?);
    Ok(roots)
}

/// The folder of a task's branches and that of their logs; none where references share a table.
fn branch_folders(repo: &Repository, branch: &BranchName) -> Result<Vec<PathBuf>, GitError> {
    if repo.ref_format() == RefFormat::Reftable {
        return Ok(Vec::new());
    }
    let Some((folder, _)) = branch.as_str().rsplit_once('/') else {
        let why = "it needs a folder of its own, as in standup/T7/1-name".to_owned();
        return Err(GitError::BranchBlocked { branch: branch.clone(), by: None, why });
    };
    let bases = [HEADS.to_owned(), format!("logs/{HEADS}")];
    Ok(bases.into_iter().map(|base| repo.common_dir().join(base).join(folder)).collect())
}

/// Makes a folder that git will not remove. Git may remove an empty parent between our two steps,
/// so they are tried again.
fn keep(dir: &Path) -> Result<(), GitError> {
    const TRIES: usize = 20;
    let file = dir.join(KEEP);
    let mut last = None;
    for _ in 0..TRIES {
        let made = fs::create_dir_all(dir)
            .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(&file).map(|_| ()));
        match made {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => last = Some(e),
            Err(e) => return Err(GitError::io("make", &file, e)),
        }
    }
    let why = last.unwrap_or_else(|| std::io::Error::other("it vanishes again and again"));
    Err(GitError::io("make", &file, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_added_behind_those_of_the_user() {
        let env = agent_env([("HOME", "/h"), ("GIT_CONFIG_COUNT", "2")]);
        assert!(env.contains(&("GIT_CONFIG_KEY_2".into(), "gc.auto".into())));
        assert!(env.contains(&("GIT_CONFIG_VALUE_2".into(), "0".into())));
        assert!(env.contains(&("GIT_CONFIG_COUNT".into(), (2 + SETTINGS.len()).to_string())));
        assert!(!env.iter().any(|(name, _)| name == "GIT_CONFIG_KEY_0"));
    }

    #[test]
    fn without_any_or_with_nonsense_they_start_at_0() {
        for existing in [vec![], vec![("GIT_CONFIG_COUNT", "many")]] {
            let env = agent_env(existing);
            assert!(env.contains(&("GIT_CONFIG_KEY_0".into(), "gc.auto".into())));
            assert!(env.contains(&("GIT_CONFIG_COUNT".into(), SETTINGS.len().to_string())));
        }
    }
}
