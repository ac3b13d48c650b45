//! Brings untracked files of the main checkout into a new worktree: copies and links.
//!
//! **Invariant:** only files that git does not track; no link is followed, on neither side; what
//! stands in the worktree already is left as it is.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

use super::cli::Git;
use super::error::{GitError, plain};
use super::private::Private;
use super::repo::Repository;
use super::site::{Site, read_plain, resolve};
use super::tree::{OURS, path_of};
use super::worktree::Plan;
use crate::model::name::Pattern;

/// The list of files to copy that a repository can bring.
const INCLUDE: &str = ".worktreeinclude";

/// Files that one worktree gets; more is a mistake in a pattern.
const MAX_FILES: usize = 50_000;

/// Paths that a note names.
const MAX_NAMED: usize = 3;

/// Copies and links what the plan and `.worktreeinclude` ask for.
pub(super) fn carry(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    site: &Site,
    private: &Private,
    notes: &mut Vec<String>,
) -> Result<(), GitError> {
    let Some(main) = repo.main() else {
        if !plan.copy.is_empty() || !plan.link.is_empty() {
            notes.push("Nothing was copied or linked: a bare repository has no checkout to take it from.".into());
        }
        return Ok(());
    };
    let carrier = Carrier { git, repo, site, private, main };
    let mut wanted = carrier.matching(&plan.copy)?;
    wanted.extend(carrier.included()?);
    if !wanted.is_empty() {
        carrier.copy_all(&wanted, notes)?;
    }
    if !plan.link.is_empty() {
        carrier.link_all(&plan.link, notes)?;
    }
    Ok(())
}

struct Carrier<'a> {
    git: &'a Git,
    repo: &'a Repository,
    site: &'a Site,
    private: &'a Private,
    main: &'a Path,
}

/// What became of one file.
#[derive(Debug, PartialEq, Eq)]
enum Copied {
    Yes,
    Exists,
    Odd,
    Outside,
}

impl Carrier<'_> {
    /// Untracked files of the main checkout, ignored or not, below `below` (all, if empty).
    fn untracked(&self, args: &[&str], below: &BTreeSet<String>) -> Result<Vec<PathBuf>, GitError> {
        let call = self.repo.call(self.git, &["ls-files", "-z", "-o"]).args(args).args(["--"]).args(below);
        let call = call.work_tree(self.main).cwd(self.main).env("GIT_LITERAL_PATHSPECS", "1");
        let listed = call.read()?;
        let paths = listed.split(|&b| b == 0).filter(|p| !p.is_empty() && !p.ends_with(b"/"));
        Ok(paths.map(path_of).filter(|p| !p.starts_with(OURS)).collect())
    }

    fn matching(&self, patterns: &[Pattern]) -> Result<BTreeSet<PathBuf>, GitError> {
        if patterns.is_empty() {
            return Ok(BTreeSet::new());
        }
        let set = matcher(patterns);
        let found = self.untracked(&[], &roots(patterns))?;
        Ok(found.into_iter().filter(|path| path.ancestors().any(|p| set.is_match(p))).collect())
    }

    /// What the repository's own list names, read by git, whose syntax it has.
    fn included(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let list = self.main.join(INCLUDE);
        let Ok(text) = read_plain(&list, 1 << 20) else { return Ok(BTreeSet::new()) };
        if text.is_empty() {
            return Ok(BTreeSet::new());
        }
        Ok(self.untracked(&["-i", "-X", INCLUDE], &BTreeSet::new())?.into_iter().collect())
    }

    fn copy_all(&self, wanted: &BTreeSet<PathBuf>, notes: &mut Vec<String>) -> Result<(), GitError> {
        let (from, to) = (open_root(self.main)?, open_root(&self.site.worktree)?);
        let (mut copied, mut outside, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        for path in wanted.iter().take(MAX_FILES) {
            match copy(self.main, &from, &to, path).map_err(|e| GitError::io("copy", &self.main.join(path), e))? {
                Copied::Yes => copied.push(path.as_path()),
                Copied::Exists => {}
                Copied::Odd => odd.push(path.as_path()),
                Copied::Outside => outside.push(path.as_path()),
            }
        }
        if wanted.len() > MAX_FILES {
            notes.push(format!("Only the first {MAX_FILES} of {} files were copied; narrow `copy`.", wanted.len()));
        }
        if !outside.is_empty() {
            notes.push(format!("Not copied, because it is a link out of the repository: {}.", named(&outside)));
        }
        if !odd.is_empty() {
            notes.push(format!("Not copied, because it is no file or lies behind a link: {}.", named(&odd)));
        }
        let loose = self.not_ignored(&copied)?;
        if !loose.is_empty() {
            let loose: Vec<&Path> = loose.iter().map(PathBuf::as_path).collect();
            notes.push(format!("Copied, but not ignored by git, so the agent may commit it: {}.", named(&loose)));
        }
        Ok(())
    }

    fn link_all(&self, patterns: &[Pattern], notes: &mut Vec<String>) -> Result<(), GitError> {
        let (literal, globs): (Vec<Pattern>, Vec<Pattern>) = patterns.iter().cloned().partition(is_literal);
        let mut wanted: BTreeSet<PathBuf> =
            literal.iter().map(|p| PathBuf::from(p.as_str().trim_end_matches('/'))).collect();
        if !globs.is_empty() {
            let set = matcher(&globs);
            for path in self.untracked(&[], &roots(&globs))? {
                let mut above: Vec<&Path> = path.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
                above.reverse();
                wanted.extend(above.into_iter().find(|p| set.is_match(p)).map(Path::to_owned));
            }
        }
        let (from, to) = (open_root(self.main)?, open_root(&self.site.worktree)?);
        let mut made = Vec::new();
        for path in &wanted {
            if self.is_tracked(path)? {
                notes.push(format!("Not linked, because git tracks files there: {}.", named(&[path])));
            } else if link(self.main, &from, &to, path).map_err(|e| GitError::io("link", &self.main.join(path), e))? {
                made.push(path.as_path());
            }
        }
        for path in self.not_ignored(&made)? {
            // A pattern such as `node_modules/` ignores a folder, but not a link in its place, and
            // the agent's `git add` would commit the link.
            let (parent, name) = descend(&to, &path, false).map_err(|e| GitError::io("unlink", &path, e))?;
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())
                .map_err(|e| GitError::io("unlink", &path, e.into()))?;
            notes.push(format!(
                "Not linked, because git would take the link for a new file: {0}. Ignore it without a slash at the end.",
                named(&[&path])
            ));
        }
        Ok(())
    }

    fn is_tracked(&self, path: &Path) -> Result<bool, GitError> {
        let call =
            self.private.call(self.git, &["ls-files", "-z", "--"]).args([path]).env("GIT_LITERAL_PATHSPECS", "1");
        let call = call.work_tree(&self.site.worktree).cwd(&self.site.worktree);
        Ok(!call.index(&self.site.admin_dir.join("index")).read()?.is_empty())
    }

    /// Those of the paths that git would show as untracked in the worktree.
    fn not_ignored(&self, paths: &[&Path]) -> Result<Vec<PathBuf>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let input: Vec<u8> = paths.iter().flat_map(|p| p.as_os_str().as_bytes().iter().copied().chain([0])).collect();
        let call = self.private.call(self.git, &["check-ignore", "-z", "--stdin"]).stdin(input);
        let call = call.work_tree(&self.site.worktree).cwd(&self.site.worktree);
        let call = call.index(&self.site.admin_dir.join("index"));
        let output = call.output()?;
        if !matches!(output.ended.code, Some(0 | 1)) {
            return Err(call.failed(&output));
        }
        let ignored: BTreeSet<&[u8]> = output.stdout.split(|&b| b == 0).collect();
        Ok(paths.iter().filter(|p| !ignored.contains(p.as_os_str().as_bytes())).map(|p| (*p).to_owned()).collect())
    }
}

fn named(paths: &[&Path]) -> String {
    let shown: Vec<String> = paths.iter().take(MAX_NAMED).map(|p| plain(p.as_os_str().as_bytes())).collect();
    let more = paths.len().saturating_sub(MAX_NAMED);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn is_literal(pattern: &Pattern) -> bool {
    !pattern.as_str().contains(['*', '?', '[', '{', '\\', '!'])
}

/// The folders that the patterns can match in; empty means everywhere.
fn roots(patterns: &[Pattern]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let text = pattern.as_str().trim_end_matches('/');
        let root = if is_literal(pattern) {
            text.to_owned()
        } else {
            let plain = text.split('/').take_while(|part| !part.contains(['*', '?', '[', '{', '\\', '!']));
            plain.collect::<Vec<_>>().join("/")
        };
        if root.is_empty() {
            return BTreeSet::new();
        }
        found.insert(root);
    }
    found
}

fn matcher(patterns: &[Pattern]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let text = pattern.as_str().trim_end_matches('/');
        builder.add(
            GlobBuilder::new(text).literal_separator(true).build().expect("`Pattern` compiled it when it was made"),
        );
    }
    builder.build().expect("each of them compiles, and together they are small")
}

fn open_root(path: &Path) -> Result<OwnedFd, GitError> {
    rustix::fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
        .map_err(|e| GitError::io("open", path, e.into()))
}

/// Opens the folder that holds `path`, step by step and through no link; `make` makes what is missing.
fn descend<'p>(root: &OwnedFd, path: &'p Path, make: bool) -> io::Result<(OwnedFd, &'p OsStr)> {
    let odd = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a path inside the repository");
    let name = path.file_name().ok_or_else(odd)?;
    let mut dir = root.as_fd().try_clone_to_owned()?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(part) = part else { return Err(odd()) };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = |dir: &OwnedFd| rustix::fs::openat(dir, part, flags, Mode::empty());
        dir = match open(&dir) {
            Err(rustix::io::Errno::NOENT) if make => {
                rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(0o777))?;
                open(&dir)?
            }
            other => other?,
        };
    }
    Ok((dir, name))
}

/// Copies one file or link; folders on the way are made.
fn copy(main: &Path, from: &OwnedFd, to: &OwnedFd, path: &Path) -> io::Result<Copied> {
    let (source_dir, name) = match descend(from, path, false) {
        Ok(found) => found,
        Err(e) if is_in_the_way(&e) => return Ok(Copied::Odd),
        Err(e) => return Err(e),
    };
    let stat = match rustix::fs::statat(&source_dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => return Ok(Copied::Odd),
        other => other?,
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Symlink) {
        return Ok(Copied::Odd);
    }
    let (target_dir, _) = match descend(to, path, true) {
        Ok(found) => found,
        Err(e) if is_in_the_way(&e) => return Ok(Copied::Odd),
        Err(e) => return Err(e),
    };
    if kind == FileType::Symlink {
        let text = rustix::fs::readlinkat(&source_dir, name, Vec::new())?;
        let target = resolve(main.join(path).parent().unwrap_or(main), text.as_bytes());
        if !target.starts_with(main) || text.as_bytes().starts_with(b"/") {
            return Ok(Copied::Outside);
        }
        return match rustix::fs::symlinkat(&text, &target_dir, name) {
            Err(rustix::io::Errno::EXIST) => Ok(Copied::Exists),
            other => other.map(|()| Copied::Yes).map_err(Into::into),
        };
    }
    let read = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut source = File::from(rustix::fs::openat(&source_dir, name, read, Mode::empty())?);
    if !source.metadata()?.is_file() {
        return Ok(Copied::Odd);
    }
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
    let mut target = match rustix::fs::openat(&target_dir, name, write, mode) {
        Err(rustix::io::Errno::EXIST) => return Ok(Copied::Exists),
        other => File::from(other?),
    };
    io::copy(&mut source, &mut target)?;
    Ok(Copied::Yes)
}

/// Links one file or folder; `false` where there is nothing to link to, or something stands there.
fn link(main: &Path, from: &OwnedFd, to: &OwnedFd, path: &Path) -> io::Result<bool> {
    let (source_dir, name) = match descend(from, path, false) {
        Ok(found) => found,
        Err(e) if is_in_the_way(&e) => return Ok(false),
        Err(e) => return Err(e),
    };
    if rustix::fs::statat(&source_dir, name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
        return Ok(false);
    }
    let (target_dir, _) = match descend(to, path, true) {
        Ok(found) => found,
        Err(e) if is_in_the_way(&e) => return Ok(false),
        Err(e) => return Err(e),
    };
    match rustix::fs::symlinkat(main.join(path), &target_dir, name) {
        Err(rustix::io::Errno::EXIST) => Ok(false),
        other => other.map(|()| true).map_err(Into::into),
    }
}

/// A link or a file where a folder should be, or nothing at all.
fn is_in_the_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR | libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|t| Pattern::new(*t).expect("pattern")).collect()
    }

    #[test]
    fn only_folders_that_can_match_are_walked() {
        let found = |texts: &[&str]| roots(&patterns(texts)).into_iter().collect::<Vec<_>>();
        assert_eq!(found(&[".env", "config/*.local", "a/b/"]), [".env", "a/b", "config"]);
        assert!(found(&[".env", "*.local"]).is_empty(), "one pattern needs everything");
        assert!(found(&["{a,b}/x"]).is_empty());
    }

    #[test]
    fn no_link_is_walked_through() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).expect("link");
        let root = open_root(dir.path()).expect("root");
        let error = descend(&root, Path::new("link/passwd"), false).expect_err("a link");
        assert!(is_in_the_way(&error), "{error}");
        assert!(descend(&root, Path::new("../x"), false).is_err());
    }
}
