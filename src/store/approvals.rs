//! What the user approved: which exact set of commands may run for which repository.
//!
//! One file for all repositories of the user, outside of any repository.
//! **Invariant:** only what the file says in so many words is approved; a file that cannot be read,
//! or that others may write, approves nothing. Changes are made under a lock and replace the file
//! as a whole. Must not know: what the commands are, how a digest is made.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::time::Wall;
use crate::os::file;

use super::StoreError;
use super::error::io;
use super::wait;

/// The longest file read, in bytes: thousands of approvals.
const MAX_BYTES: u64 = 8 << 20;

/// Approvals kept for one repository; the oldest go first. People go back and forth between a few.
const MAX_PER_REPOSITORY: usize = 32;

/// The format of the file.
const SCHEMA_VERSION: u32 = 1;

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The repository, as `<repo>-<hash>`.
    pub repo: String,
    /// The digest of the set of commands.
    pub digest: String,
    /// When it was approved.
    pub at: Wall,
    /// The commands, as they were shown.
    pub what: Vec<String>,
}

/// The approvals of this user.
#[derive(Debug, Clone)]
pub struct Approvals {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    approvals: Vec<Approval>,
}

impl Approvals {
    /// The approvals in the file at `path` (see [`super::layout::Layout::approvals`]). Nothing is
    /// read yet.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Whether this exact set of commands was approved for this repository.
    ///
    /// # Errors
    /// As [`Approvals::list`]; then nothing is approved.
    pub fn is_approved(&self, repo: &str, digest: &str) -> Result<bool, StoreError> {
        Ok(self.load()?.iter().any(|known| known.repo == repo && known.digest == digest))
    }

    /// Approves a set of commands.
    ///
    /// # Errors
    /// As [`Approvals::list`], [`StoreError::Full`], [`StoreError::ReadOnly`],
    /// [`StoreError::Busy`].
    pub fn approve(&self, approval: Approval) -> Result<(), StoreError> {
        self.change(|all| {
            all.retain(|known| known.repo != approval.repo || known.digest != approval.digest);
            let same: Vec<usize> =
                all.iter().enumerate().filter(|(_, known)| known.repo == approval.repo).map(|(i, _)| i).collect();
            if same.len() >= MAX_PER_REPOSITORY {
                all.remove(same[0]);
            }
            all.push(approval);
        })
    }

    /// Takes back every approval of a repository; returns how many there were.
    ///
    /// # Errors
    /// As [`Approvals::approve`].
    pub fn revoke(&self, repo: &str) -> Result<usize, StoreError> {
        let mut gone = 0;
        self.change(|all| {
            let before = all.len();
            all.retain(|known| known.repo != repo);
            gone = before - all.len();
        })?;
        Ok(gone)
    }

    /// All approvals, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Newer`], or [`StoreError::File`] where others may
    /// write the file.
    pub fn list(&self) -> Result<Vec<Approval>, StoreError> {
        self.load()
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Approval>)) -> Result<(), StoreError> {
        if let Some(dir) = self.path.parent() {
            file::private_dir(dir)?;
        }
        let _lock = wait::lock(&self.path.with_extension("lock"), "change")?;
        let mut approvals = self.load()?;
        edit(&mut approvals);
        let document = Document { schema_version: SCHEMA_VERSION, approvals };
        let mut bytes = serde_json::to_vec_pretty(&document)
            .map_err(|e| io("write", &self.path, std::io::Error::new(std::io::ErrorKind::InvalidData, e)))?;
        bytes.push(b'\n');
        Ok(file::write_atomic(&self.path, &bytes, 0o600)?)
    }

    fn load(&self) -> Result<Vec<Approval>, StoreError> {
        let bytes = match file::read_owned(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.is_absent() => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|e| StoreError::Damaged { path: self.path.clone(), why: e.to_string() })?;
        if document.schema_version != SCHEMA_VERSION {
            let (found, known) = (i64::from(document.schema_version), i64::from(SCHEMA_VERSION));
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        Ok(document.approvals)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn approval(repo: &str, digest: &str) -> Approval {
        Approval { repo: repo.into(), digest: digest.into(), at: Wall(1), what: vec!["npm ci".into()] }
    }

    fn approvals() -> (tempfile::TempDir, Approvals) {
        let dir = tempfile::tempdir().expect("temp dir");
        let approvals = Approvals::at(&dir.path().join("state/approvals.json"));
        (dir, approvals)
    }

    #[test]
    fn only_the_very_set_for_the_very_repository_is_approved() {
        let (_dir, approvals) = approvals();
        assert!(!approvals.is_approved("shop-1", "aa").expect("empty"));
        approvals.approve(approval("shop-1", "aa")).expect("approve");
        approvals.approve(approval("shop-1", "aa")).expect("again");
        assert!(approvals.is_approved("shop-1", "aa").expect("known"));
        assert!(!approvals.is_approved("shop-1", "ab").expect("other set"));
        assert!(!approvals.is_approved("shop-2", "aa").expect("other repository"));
        assert_eq!(approvals.list().expect("list"), [approval("shop-1", "aa")]);
        assert_eq!(std::fs::metadata(&approvals.path).expect("meta").mode() & 0o777, 0o600);
        assert_eq!(approvals.revoke("shop-1").expect("revoke"), 1);
        assert!(!approvals.is_approved("shop-1", "aa").expect("revoked"));
    }

    #[test]
    fn a_file_that_others_may_write_approves_nothing() {
        let (_dir, approvals) = approvals();
        approvals.approve(approval("shop-1", "aa")).expect("approve");
        std::fs::set_permissions(&approvals.path, std::fs::Permissions::from_mode(0o622)).expect("chmod");
        assert!(approvals.is_approved("shop-1", "aa").is_err());
        assert!(approvals.approve(approval("shop-1", "bb")).is_err());
    }

    #[test]
    fn a_damaged_or_newer_file_approves_nothing_and_is_kept() {
        let (_dir, approvals) = approvals();
        approvals.approve(approval("shop-1", "aa")).expect("approve");
        let newer = r#"{"schemaVersion":2,"approvals":[]}"#;
        for text in ["{", "", newer] {
            file::write_atomic(&approvals.path, text.as_bytes(), 0o600).expect("write");
            assert!(approvals.is_approved("shop-1", "aa").is_err(), "{text}");
            assert!(approvals.approve(approval("shop-1", "aa")).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(&approvals.path).expect("kept"), text);
        }
    }

    #[test]
    fn the_oldest_approvals_of_one_repository_go_first() {
        let (_dir, approvals) = approvals();
        approvals.approve(approval("other-1", "aa")).expect("approve");
        for n in 0..=MAX_PER_REPOSITORY {
            approvals.approve(approval("shop-1", &n.to_string())).expect("approve");
        }
        assert!(!approvals.is_approved("shop-1", "0").expect("gone"));
        assert!(approvals.is_approved("shop-1", "1").expect("kept"));
        assert!(approvals.is_approved("other-1", "aa").expect("untouched"));
    }
}
