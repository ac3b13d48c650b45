//! Registers a worktree: its branch, its folder, its entry in the repository.
//!
//! The entry is built aside and renamed into place whole, so that no other git ever meets half of
//! one (they read all entries, and some die of it). Reftable entries are git's to make; those go
//! through `git worktree add`, repeated where another git was in the way.
//!
//! **Invariant:** everything made is noted in [`Made`] before the next thing is tried.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};
use tempfile::TempDir;

use super::cli::Git;
use super::error::{GitError, plain};
use super::private;
use super::removal::{self, Folder, Made};
use super::repo::{RefFormat, Repository};
use super::site::{HEADS, Site, read_line, read_plain, resolve};
use super::worktree::Plan;
use crate::model::name::Oid;
use crate::os::lock::Lock;

/// How long registrations of one repository wait for each other: each takes milliseconds.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// How often a registration that another git disturbed is tried again.
const TRIES: u32 = 40;

/// The first pause between tries; it grows with every try.
const PAUSE: Duration = Duration::from_millis(10);

/// Entries are built under this name in the shared folder, where no git looks.
const ASIDE: &str = ".standup-new-";

/// A registered worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub admin_dir: PathBuf,
    pub worktree: PathBuf,
}

/// All worktrees the repository knows, the main checkout left out. Unreadable entries are skipped.
pub(super) fn entries(repo: &Repository) -> Vec<Entry> {
    let Ok(found) = fs::read_dir(repo.common_dir().join("worktrees")) else { return Vec::new() };
    let read = |admin_dir: PathBuf| {
        let line = read_line(&admin_dir.join("gitdir")).ok()?;
        let worktree = resolve(&admin_dir, &line).parent()?.to_owned();
        Some(Entry { admin_dir, worktree })
    };
    found.flatten().filter_map(|entry| read(entry.path())).collect()
}

/// The entry of a worktree that was made before: it has the name of the worktree's folder, or that
/// and a number where another worktree's entry had it already.
pub(super) fn entry_of(repo: &Repository, worktree: &Path) -> PathBuf {
    let usual = repo.common_dir().join("worktrees").join(entry_name(worktree));
    let is_its =
        |dir: &Path| read_line(&dir.join("gitdir")).is_ok_and(|line| resolve(dir, &line) == worktree.join(".git"));
    if is_its(&usual) {
        return usual;
    }
    entries(repo).into_iter().find(|entry| entry.worktree == worktree).map_or(usual, |entry| entry.admin_dir)
}

/// Takes the lock that orders all registrations of one repository by us.
pub(super) fn lock(repo: &Repository, dir: &Path) -> Result<Lock, GitError> {
    crate::os::file::private_dir(dir)?;
    let path = dir.join(format!("git-{}.lock", repo.identity()));
    let began = Instant::now();
    loop {
        if let Some(lock) = Lock::try_take(&path)? {
            return Ok(lock);
        }
        if began.elapsed() > LOCK_LIMIT {
            return Err(GitError::lock_held(path));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Registers the worktree of `plan` at `worktree`, whose parent is there.
pub(super) fn register(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    worktree: &Path,
    made: &mut Made<'_>,
) -> Result<Site, GitError> {
    removal::sweep(repo.common_dir(), &[ASIDE]);
    for dir in [worktree, &plan.shadow_dir] {
        removal::sweep(dir.parent().unwrap_or(dir), &[]);
    }
    let admin_dir = match repo.ref_format() {
        RefFormat::Files => {
            // Where nothing can be made here, no branch could be taken back either.
            let aside = make_aside(repo.common_dir())?;
            reserve_branch(git, repo, plan, made)?;
            add_whole(repo, plan, aside, worktree, made)?
        }
        RefFormat::Reftable => {
            reserve_branch(git, repo, plan, made)?;
            add_by_git(git, repo, plan, worktree, made)?
        }
    };
    Ok(Site { worktree: worktree.to_owned(), admin_dir, common_dir: repo.common_dir().to_owned() })
}

/// Refuses a plan whose branch is there already.
pub(super) fn require_free(git: &Git, repo: &Repository, plan: &Plan) -> Result<(), GitError> {
    let full = format!("{HEADS}{}", plan.branch);
    if exists(git, repo, &full)? { Err(taken(git, repo, plan)) } else { Ok(()) }
}

fn taken(git: &Git, repo: &Repository, plan: &Plan) -> GitError {
    let worktree = removal::holder(git, repo, &plan.branch).ok().flatten();
    GitError::BranchExists { branch: plan.branch.clone(), worktree }
}

fn reserve_branch(git: &Git, repo: &Repository, plan: &Plan, made: &mut Made<'_>) -> Result<(), GitError> {
    let full = format!("{HEADS}{}", plan.branch);
    let message = creation(plan, &plan.base);
    let call = repo
        .call(git, &["update-ref", "--create-reflog", "-m", &message, "--no-deref", "-z", "--stdin"])
        .stdin(format!("create {full}\0{}\0", plan.base));
    match call.read() {
        Ok(_) => {
            made.branch = Some((plan.branch.clone(), plan.base.clone()));
            Ok(())
        }
        Err(_) if exists(git, repo, &full)? => Err(taken(git, repo, plan)),
        Err(GitError::Failed { stderr, .. }) if stderr.contains("cannot lock ref") => {
            Err(GitError::blocked(&plan.branch, stderr))
        }
        Err(other) => Err(other),
    }
}

/// What the log of a new branch says first.
pub(super) fn creation(plan: &Plan, base: &Oid) -> String {
    format!("branch: created from {base} by {}", one_line(&plan.owner))
}

/// Whether a reference is there at all, whatever it names.
fn exists(git: &Git, repo: &Repository, full: &str) -> Result<bool, GitError> {
    let call = repo.call(git, &["rev-parse", "-q", "--verify", "--end-of-options", full]);
    Ok(call.output()?.ended.is_success())
}

/// The folder in which an entry is built.
fn make_aside(common: &Path) -> Result<TempDir, GitError> {
    let made = tempfile::Builder::new().prefix(ASIDE).tempdir_in(common);
    made.map_err(|e| GitError::io("make a folder in", common, e))
}

/// Builds the entry aside and puts it into place with one rename.
fn add_whole(
    repo: &Repository,
    plan: &Plan,
    aside: TempDir,
    worktree: &Path,
    made: &mut Made<'_>,
) -> Result<PathBuf, GitError> {
    let common = repo.common_dir();
    let dir = aside.path();
    set_mode(dir)?;
    let line = |path: &Path| [path.as_os_str().as_bytes(), b"\n"].concat();
    put(dir, "HEAD", format!("ref: {HEADS}{}\n", plan.branch).as_bytes())?;
    put(dir, "commondir", b"../..\n")?;
    put(dir, "gitdir", &line(&worktree.join(".git")))?;
    put(dir, "locked", format!("{}\n", one_line(&plan.reason)).as_bytes())?;
    // An empty log is enough for git to keep one from now on, whatever the configuration says.
    put(dir, "logs/HEAD", b"")?;
    fs::create_dir(dir.join("refs")).map_err(|e| GitError::io("make", dir, e))?;
    put_sparse(repo, plan, dir)?;

    fs::create_dir(worktree).map_err(|e| GitError::io("make", worktree, e))?;
    made.folders.push(Folder::at(worktree)?);
    let admin_dir = move_in(common, dir, worktree, &mut |admin_dir| {
        put(worktree, ".git", &[b"gitdir: ", line(admin_dir).as_slice()].concat())
    })?;
    // It has another name now, so the temporary folder must not be removed.
    let _ = aside.keep();
    made.folders.push(Folder::at(&admin_dir)?);
    Ok(admin_dir)
}

/// Gives the entry the first free name; `name_it` is called with each before it is tried.
fn move_in(
    common: &Path,
    aside: &Path,
    worktree: &Path,
    name_it: &mut dyn FnMut(&Path) -> Result<(), GitError>,
) -> Result<PathBuf, GitError> {
    let (all, wanted) = (common.join("worktrees"), entry_name(worktree));
    let mut number = 0;
    for _ in 0..TRIES * 25 {
        let name = if number == 0 { wanted.clone() } else { format!("{wanted}{number}") };
        let admin_dir = all.join(name);
        name_it(&admin_dir)?;
        // Git removes the folder of entries with its last entry, at any moment.
        match fs::create_dir(&all) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(GitError::io("make", &all, e)),
            _ => {}
        }
        match rename_new(aside, &admin_dir) {
            Ok(()) => return Ok(admin_dir),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty) => number += 1,
            Err(e) => return Err(GitError::io("register", &admin_dir, e)),
        }
    }
    Err(GitError::io("register", &all, std::io::Error::other("no name for the entry is free")))
}

/// Renames to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // This file system cannot promise it in one step.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Err(ErrorKind::AlreadyExists.into()),
        other => other.map_err(Into::into),
    }
}

/// The name of an entry: that of the worktree's folder, as far as git takes it.
fn entry_name(worktree: &Path) -> String {
    let name = worktree.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' }).take(100).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "standup".to_owned() } else { name.to_owned() }
}

/// A folder made by `tempfile` is private; an entry has the mode of its neighbours.
fn set_mode(dir: &Path) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = dir.parent().and_then(|p| fs::metadata(p).ok()).map_or(0o755, |m| m.permissions().mode() & 0o7777);
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(|e| GitError::io("make", dir, e))
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), GitError> {
    let path = dir.join(name);
    let parent = path.parent().unwrap_or(dir);
    fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(|e| GitError::io("write", &path, e))
}

/// What git's own `worktree add` takes over from the main checkout: settings that are kept per
/// worktree, and the patterns of a sparse checkout.
fn put_sparse(repo: &Repository, plan: &Plan, dir: &Path) -> Result<(), GitError> {
    let mut text = Vec::new();
    for setting in repo.own().filter(|s| s.scope == "worktree") {
        let is_sparse = setting.key.starts_with("core.sparsecheckout") || setting.key == "index.sparse";
        if matches!(setting.key.as_str(), "core.bare" | "core.worktree") || (plan.full_checkout && is_sparse) {
            continue;
        }
        private::set(&mut text, &setting.key, setting.value.as_deref().unwrap_or(OsStr::new("true")));
    }
    if !text.is_empty() {
        put(dir, "config.worktree", &text)?;
    }
    if repo.is_sparse() && !plan.full_checkout {
        let from = repo.common_dir().join("info/sparse-checkout");
        let patterns = read_plain(&from, 4 << 20).map_err(|e| GitError::io("read", &from, e))?;
        put(dir, "info/sparse-checkout", &patterns)?;
    }
    Ok(())
}

/// A lock's reason is one line.
pub(super) fn one_line(reason: &str) -> String {
    plain(reason.as_bytes())
}

fn add_by_git(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    worktree: &Path,
    made: &mut Made<'_>,
) -> Result<PathBuf, GitError> {
    let reason = one_line(&plan.reason);
    let args = ["worktree", "add", "--no-checkout", "--lock", "--reason", &reason, "--"];
    let mut attempt = 0;
    loop {
        attempt += 1;
        let call = repo.call(git, &args).args([worktree.as_os_str(), OsStr::new(plan.branch.as_str())]);
        let outcome = call.read();
        if fs::symlink_metadata(worktree).is_ok() {
            made.folders.push(Folder::at(worktree)?);
        }
        match outcome {
            Ok(_) => break,
            Err(GitError::Failed { stderr, .. }) if attempt < TRIES && is_passing(&stderr) => {
                while let Some(folder) = made.folders.pop() {
                    folder.remove()?;
                }
                thread::sleep(PAUSE * attempt);
            }
            Err(other) => return Err(other),
        }
    }
    let dot_git = worktree.join(".git");
    let line = read_line(&dot_git).map_err(|e| GitError::io("read", &dot_git, e))?;
    let admin_dir = resolve(worktree, line.strip_prefix(b"gitdir: ").unwrap_or(&line));
    if admin_dir.parent() != Some(&repo.common_dir().join("worktrees")) {
        let why = format!("its .git names {}", admin_dir.display());
        return Err(GitError::Unproven { path: worktree.to_owned(), why });
    }
    made.folders.push(Folder::at(&admin_dir)?);
    put_sparse(repo, plan, &admin_dir)?;
    Ok(admin_dir)
}

/// Whether git failed only because another git was registering or removing at the same moment.
fn is_passing(stderr: &str) -> bool {
    ["commondir", "gitdir", "could not read", "failed to read", "could not create", "unable to read", "could not open"]
        .iter()
        .any(|sign| stderr.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_name_that_git_takes() {
        for (path, name) in [("/x/T7-1-fix", "T7-1-fix"), ("/x/a b..lock", "a-b--lock"), ("/x/日本", "standup")] {
            assert_eq!(entry_name(Path::new(path)), name);
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_replaced_even_if_empty() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&from).expect("a");
        fs::create_dir(&to).expect("b");
        assert_eq!(rename_new(&from, &to).expect_err("taken").kind(), ErrorKind::AlreadyExists);
        fs::remove_dir(&to).expect("free");
        rename_new(&from, &to).expect("free");
    }
}
