//! Makes a worktree for one attempt, proves it, and takes it back whole if anything fails.
//!
//! **Invariant:** after an error neither folder nor branch nor entry is left, and nothing that
//! was there before is touched. Must not know: what the attempt is for.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::carry;
use super::cli::Git;
use super::error::{GitError, chained, plain};
use super::private::Private;
use super::register::{self, Entry};
use super::removal::{Folder, Made};
use super::repo::{FilterDriver, Repository};
use super::shadow::Shadow;
use super::site::{HEADS, Site, read_line, read_plain};
use super::tree::OURS;
use crate::model::name::{BranchName, Oid, Pattern};
use crate::os::{failpoint, file};

/// A checkout may fetch large files and missing objects.
const CHECKOUT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Stands in the shadow's folder, where no agent can write, once a worktree is whole: whose it is,
/// then what was to be said about it, a line each.
const MARK: &str = "whole";

/// Stands there while the worktree is taken back: whose it is, then why, as it was said.
const GOING: &str = "going";

/// A mark is read no further.
const MAX_MARK: u64 = 1 << 20;

/// The last folder that is made in a worktree, right after the mark.
const INBOX: &str = "inbox";

/// Entries of a taken folder that an error names.
const MAX_NAMED: usize = 3;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The worktree; absolute, outside every checkout.
    pub path: PathBuf,
    /// The new branch.
    pub branch: BranchName,
    /// The commit it starts at.
    pub base: Oid,
    /// Why the worktree is locked against pruning, such as `standup:T7/1`.
    pub reason: String,
    /// One line that no other plan of any repository, attempt or state ever has: what bears it was
    /// begun by this very plan, and nothing else is ever taken back.
    pub owner: String,
    /// Untracked files of the main checkout to copy.
    pub copy: Vec<Pattern>,
    /// Untracked files or folders of the main checkout to link to.
    pub link: Vec<Pattern>,
    /// Processes that write files; `None` for one per processor.
    pub workers: Option<NonZeroU32>,
    /// All files, even if the main checkout is sparse.
    pub full_checkout: bool,
    /// Filter drivers of the repository's own configuration that a person approved, as
    /// [`Repository::local_filters`] listed them. Others are not run.
    pub filters: Vec<FilterDriver>,
    /// Our folder for locks.
    pub lock_dir: PathBuf,
    /// The attempt's folder for [`Shadow`]; made here, opened again with [`Shadow::open`].
    pub shadow_dir: PathBuf,
}

/// What was made.
#[derive(Debug)]
pub struct Created {
    /// Where everything lies.
    pub site: Site,
    /// Its branch.
    pub branch: BranchName,
    /// The commit it starts at.
    pub base_oid: Oid,
    /// Our folder in it: `<worktree>/.standup/run`, with `outbox` and `inbox`.
    pub run_dir: PathBuf,
    /// What a person should know, as whole sentences.
    pub notes: Vec<String>,
    /// The look into it.
    pub shadow: Shadow,
}

/// Makes the worktree of a plan.
///
/// # Errors
/// [`GitError::BranchExists`]: take the next attempt's number. [`GitError::PathTaken`],
/// [`GitError::Registered`], [`GitError::InsideCheckout`], [`GitError::BadPath`],
/// [`GitError::OursIsTracked`], [`GitError::Filter`], [`GitError::DiskFull`] and what git says;
/// nothing is left behind, and [`GitError::LeftOver`] names what is all the same.
pub fn create(git: &Git, repo: &Repository, plan: &Plan) -> Result<Created, GitError> {
    require_own_folder(git, repo, &plan.base)?;
    let mut made = Made::new(git, repo);
    match build(git, repo, plan, &mut made) {
        Ok(created) => {
            made.keep();
            Ok(created)
        }
        Err(error) => {
            let _lock = register::lock(repo, &plan.lock_dir).ok();
            // The first error is the one that says what to do.
            Err(match made.undo() {
                Ok(()) => error,
                Err(rest) => GitError::LeftOver { error: Box::new(error), rest: Box::new(rest) },
            })
        }
    }
}

fn build(git: &Git, repo: &Repository, plan: &Plan, made: &mut Made<'_>) -> Result<Created, GitError> {
    let mut notes = Vec::new();
    let site = {
        let _lock = register::lock(repo, &plan.lock_dir)?;
        // Before the folder: where both are taken, another number is the way out.
        register::require_free(git, repo, plan)?;
        let worktree = prepare_path(git, repo, plan, made)?;
        register::register(git, repo, plan, &worktree, made)?
    };
    failpoint::hit("worktree.registered");
    if plan.shadow_dir.exists() {
        Folder::at(&plan.shadow_dir)?.remove()?;
    }
    let shadow = Shadow::open(git, repo, &site, &plan.shadow_dir, &plan.filters);
    if plan.shadow_dir.exists() {
        made.folders.push(Folder::at(&plan.shadow_dir)?);
    }
    let shadow = shadow?;
    check_out(git, repo, plan, &site, shadow.private(), &mut notes)?;
    failpoint::hit("worktree.checked-out");
    // Before anything of the main checkout's comes in, so that nothing stands in its place.
    let run_dir = make_run_dir(&site)?;
    carry::carry(git, repo, plan, &site, shadow.private(), &mut notes)?;
    prove(git, &site, &plan.branch, &plan.base)?;
    shadow.trust_index()?;
    let mark = plan.shadow_dir.join(MARK);
    let lines: Vec<&str> = std::iter::once(plan.owner.as_str()).chain(notes.iter().map(String::as_str)).collect();
    fs::write(&mark, lines.join("\n")).map_err(|e| GitError::io("write", &mark, e))?;
    make_inbox(&run_dir)?;
    failpoint::hit("worktree.whole");
    Ok(Created { site, branch: plan.branch.clone(), base_oid: plan.base.clone(), run_dir, notes, shadow })
}

/// Where a worktree that was made before lies, by the path that was planned for it: the folders
/// above it may be links. Whether it still is that worktree, [`Site::require_intact`] says.
#[must_use]
pub fn site_of(repo: &Repository, planned: &Path) -> Site {
    let worktree = match (planned.parent(), planned.file_name()) {
        (Some(parent), Some(name)) => file::real(parent).join(name),
        _ => planned.to_owned(),
    };
    let admin_dir = register::entry_of(repo, &worktree);
    Site { worktree, admin_dir, common_dir: repo.common_dir().to_owned() }
}

/// What became of a creation that was interrupted.
#[derive(Debug)]
pub enum Recovered {
    /// The worktree is whole.
    Whole(Box<Created>),
    /// [`discard`] was at it, and what was left to do is done.
    TakenBack {
        /// What `discard` was told, and what is left all the same.
        why: String,
    },
    /// There is nothing, or what there was has been taken back.
    Nothing,
}

/// The commit that an earlier creation by this very plan started from, as the branch's own log
/// tells: the base may have moved since. `None` where the branch is not there, or not ours.
///
/// # Errors
/// What git says.
pub fn begun_at(git: &Git, repo: &Repository, plan: &Plan) -> Result<Option<Oid>, GitError> {
    Ok(begun(git, repo, plan)?.map(|begun| begun.at))
}

/// A branch that this very plan made.
struct Begun {
    at: Oid,
    /// Whether it ever stood elsewhere, or does.
    moved: bool,
}

fn begun(git: &Git, repo: &Repository, plan: &Plan) -> Result<Option<Begun>, GitError> {
    let full = format!("{HEADS}{}", plan.branch);
    let Some(now) = repo.find_reference(git, &full)? else { return Ok(None) };
    let log = repo.call(git, &["log", "--walk-reflogs", "--format=%H %gs", "--end-of-options", &full, "--"]).text()?;
    let Some((first, said)) = log.lines().last().and_then(|line| line.split_once(' ')) else { return Ok(None) };
    let at = Oid::new(first).ok().filter(|oid| said == register::creation(plan, oid));
    Ok(at.map(|at| Begun { moved: at != now || log.lines().count() > 1, at }))
}

/// Finishes the story of a creation that may have been killed: a whole worktree is proven and
/// returned, a part of one is taken back, and so is what was being discarded. The branch is made first and removed last, so its log
/// tells of everything between; where it does not name this very plan, nothing is touched, and
/// nothing in which an agent may have worked ever is.
///
/// # Errors
/// [`GitError::Unproven`] or [`GitError::Broken`] for a worktree that was whole and is not now;
/// [`GitError::WouldLose`] where it may hold work; what git says. Nothing is removed then.
pub fn recover(git: &Git, repo: &Repository, plan: &Plan) -> Result<Recovered, GitError> {
    let _lock = register::lock(repo, &plan.lock_dir)?;
    let path = site_of(repo, &plan.path).worktree;
    let reason = register::one_line(&plan.reason);
    let is_ours = |entry: &Entry| {
        entry.worktree == path && read_line(&entry.admin_dir.join("locked")).is_ok_and(|line| line == reason.as_bytes())
    };
    let entry = register::entries(repo).into_iter().find(is_ours);
    if let Some(why) = mark_of(plan, GOING) {
        return take_back(git, repo, plan, &path, entry).map(|rest| Recovered::TakenBack { why: why + &rest });
    }
    let notes = mark_of(plan, MARK).map(|text| text.lines().map(str::to_owned).collect());
    if let Some(notes) = notes.filter(|_| entry.is_some() || path.exists()) {
        let admin_dir = entry.map_or_else(PathBuf::new, |entry| entry.admin_dir);
        let site = Site { worktree: path, admin_dir, common_dir: repo.common_dir().to_owned() };
        return take_up(git, repo, plan, site, notes).map(|created| Recovered::Whole(Box::new(created)));
    }
    let Some(begun) = begun(git, repo, plan)? else { return Ok(Recovered::Nothing) };
    let has_log = |entry: &Entry| fs::metadata(entry.admin_dir.join("logs/HEAD")).is_ok_and(|m| m.len() > 0);
    if path.join(OURS).join(INBOX).exists() || entry.as_ref().is_some_and(|entry| begun.moved || has_log(entry)) {
        return Err(GitError::WouldLose { path, why: "somebody may have worked in it".into() });
    }
    let mut made = Made::new(git, repo);
    let is_bare = || fs::read_dir(&path).is_ok_and(|all| all.flatten().all(|e| e.file_name() == ".git"));
    if path.is_dir() && (entry.is_some() || is_bare()) {
        made.folders.push(Folder::at(&path)?);
    }
    for folder in entry.iter().map(|entry| &entry.admin_dir).chain([&plan.shadow_dir]).filter(|path| path.is_dir()) {
        made.folders.push(Folder::at(folder)?);
    }
    if !begun.moved {
        made.branch = Some((plan.branch.clone(), begun.at));
    }
    match made.undo() {
        // Somebody looks at it; another name is taken.
        Ok(()) | Err(GitError::BranchHeld { .. }) => Ok(Recovered::Nothing),
        Err(other) => Err(other),
    }
}

/// What this very plan wrote into a mark; `None` where it wrote none.
fn mark_of(plan: &Plan, name: &str) -> Option<String> {
    let bytes = read_plain(&plan.shadow_dir.join(name), MAX_MARK).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (owner, rest) = text.split_once('\n').unwrap_or((&text, ""));
    (owner == plan.owner).then(|| rest.to_owned())
}

/// Takes up a worktree that was whole.
fn take_up(git: &Git, repo: &Repository, plan: &Plan, site: Site, notes: Vec<String>) -> Result<Created, GitError> {
    prove(git, &site, &plan.branch, &plan.base)?;
    let run_dir = site.worktree.join(OURS);
    if !run_dir.join(INBOX).exists() {
        make_inbox(&run_dir)?;
    }
    let shadow = Shadow::open(git, repo, &site, &plan.shadow_dir, &plan.filters)?;
    Ok(Created { site, branch: plan.branch.clone(), base_oid: plan.base.clone(), run_dir, notes, shadow })
}

/// Takes back a worktree in which nobody has worked: for an attempt that failed before its agent
/// started. Ignored files are not counted as work; they were copied or set up. `why` is what
/// [`recover`] says of it, should this be cut short.
///
/// # Errors
/// [`GitError::WouldLose`] where the branch moved or a file differs; nothing is removed then. What
/// could not be removed is named; the rest is gone.
pub fn discard(git: &Git, repo: &Repository, plan: &Plan, shadow: &Shadow, why: &str) -> Result<(), GitError> {
    require_untouched(plan, shadow)?;
    let _lock = register::lock(repo, &plan.lock_dir)?;
    let site = shadow.site();
    let folders = vec![Folder::at(&site.admin_dir)?, Folder::at(&site.worktree)?];
    let mark = plan.shadow_dir.join(GOING);
    if let Err(error) = file::write_atomic(&mark, format!("{}\n{why}", plan.owner).as_bytes(), 0o600) {
        // On a full disk it is all the more to go.
        tracing::warn!(%error, "a worktree is taken back without a mark that says so");
    }
    failpoint::hit("discard.marked");
    remove(git, repo, plan, Some(plan.base.clone()), folders)
}

/// Refuses a worktree in which anything was done.
fn require_untouched(plan: &Plan, shadow: &Shadow) -> Result<(), GitError> {
    let site = shadow.site();
    let kept = |why: &str| GitError::WouldLose { path: site.worktree.clone(), why: why.to_owned() };
    let head = shadow.head()?;
    if head.branch.as_ref() != Some(&plan.branch) || head.oid.as_ref() != Some(&plan.base) {
        return Err(kept("its branch has moved"));
    }
    if head.in_progress.is_some() {
        return Err(kept("an operation is in progress"));
    }
    if shadow.tree_hash()? != shadow.clean_tree(&plan.base)? {
        return Err(kept("it holds changes"));
    }
    Ok(())
}

/// Does what is left to do of [`discard`], and returns what is to be said about it. The worktree
/// goes before its entry: a folder without one is somebody else's.
fn take_back(git: &Git, repo: &Repository, plan: &Plan, path: &Path, entry: Option<Entry>) -> Result<String, GitError> {
    let mut folders = Vec::new();
    if let Some(Entry { admin_dir, .. }) = entry {
        folders.push(Folder::at(&admin_dir)?);
        if path.exists() {
            let site = Site { worktree: path.to_owned(), admin_dir, common_dir: repo.common_dir().to_owned() };
            // Time has passed, in which a person may have been there.
            require_untouched(plan, &Shadow::open(git, repo, &site, &plan.shadow_dir, &plan.filters)?)?;
            folders.push(Folder::at(path)?);
        }
    }
    let branch = begun(git, repo, plan)?.filter(|begun| !begun.moved).map(|begun| begun.at);
    match remove(git, repo, plan, branch, folders) {
        Ok(()) => Ok(String::new()),
        Err(error @ (GitError::Remains { .. } | GitError::BranchHeld { .. })) => Ok(format!("\n{}", chained(&error))),
        Err(error) => Err(error),
    }
}

/// Removes these folders, the last one first, and the branch where it stands at `branch`; then the
/// shadow's folder, in which it is marked that all of it is to go.
fn remove(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    branch: Option<Oid>,
    folders: Vec<Folder>,
) -> Result<(), GitError> {
    let mut made = Made::new(git, repo);
    made.branch = branch.map(|at| (plan.branch.clone(), at));
    made.folders = folders;
    let undone = made.undo();
    failpoint::hit("discard.bare");
    let mut last = Made::new(git, repo);
    last.folders.push(Folder::at(&plan.shadow_dir)?);
    undone.and(last.undo())
}

/// Proves that git, run in the worktree as an agent would run it, finds this worktree, on the
/// branch, at the base.
///
/// # Errors
/// [`GitError::Unproven`] says what it found instead.
pub fn prove(git: &Git, site: &Site, branch: &BranchName, base: &Oid) -> Result<(), GitError> {
    let unproven = |why: String| GitError::Unproven { path: site.worktree.clone(), why };
    site.require_intact()?;
    let args = ["rev-parse", "--show-toplevel", "--absolute-git-dir", "HEAD", "--symbolic-full-name", "HEAD"];
    let answer = git.call(args).cwd(&site.worktree).read()?;
    let lines: Vec<&[u8]> = answer.split(|&b| b == b'\n').collect();
    let wanted = [
        site.worktree.as_os_str().as_encoded_bytes().to_vec(),
        site.admin_dir.as_os_str().as_encoded_bytes().to_vec(),
        base.as_str().as_bytes().to_vec(),
        format!("{HEADS}{branch}").into_bytes(),
    ];
    for (what, (found, wanted)) in ["folder", "entry", "commit", "branch"].iter().zip(lines.iter().zip(&wanted)) {
        if found != wanted {
            return Err(unproven(format!("its {what} is {}, not {}", plain(found), plain(wanted))));
        }
    }
    if lines.len() < wanted.len() { Err(unproven(format!("git said {}", plain(&answer)))) } else { Ok(()) }
}

/// Refuses a repository that has files of its own where ours go.
fn require_own_folder(git: &Git, repo: &Repository, base: &Oid) -> Result<(), GitError> {
    let taken = |path: &str| GitError::OursIsTracked { path: path.to_owned(), base: base.short().to_owned() };
    let outer = repo.call(git, &["ls-tree", "-z", base.as_str(), "--", ".standup"]).read()?;
    if outer.is_empty() {
        return Ok(());
    }
    if !outer.starts_with(b"040000 ") {
        return Err(taken(".standup"));
    }
    let inner = repo.call(git, &["ls-tree", "-z", base.as_str(), "--", OURS]).read()?;
    if inner.is_empty() { Ok(()) } else { Err(taken(OURS)) }
}

/// Judges the path and makes its parents; returns it in canonical form.
fn prepare_path(git: &Git, repo: &Repository, plan: &Plan, made: &mut Made<'_>) -> Result<PathBuf, GitError> {
    let path = &plan.path;
    let bad = |why: &str| GitError::BadPath { path: path.clone(), why: why.to_owned() };
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(bad("it must be absolute, without '..'"));
    }
    if path.as_os_str().as_encoded_bytes().iter().any(|b| b.is_ascii_control()) {
        return Err(bad("it contains a control character"));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(bad("it has no name")) };
    made.make_parents(parent)?;
    let parent = parent.canonicalize().map_err(|e| GitError::io("find", parent, e))?;
    let path = parent.join(name);
    let all = register::entries(repo);
    require_outside(git, repo, &path, &all)?;
    match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match all.into_iter().find(|e| e.worktree == path) {
            Some(entry) => Err(GitError::Registered { path, admin_dir: entry.admin_dir }),
            None => Ok(path),
        },
        Err(e) => Err(GitError::io("read", &path, e)),
        Ok(meta) if meta.is_dir() => {
            let found = fs::read_dir(&path).map_err(|e| GitError::io("read", &path, e))?;
            let mut entries: Vec<String> =
                found.flatten().map(|e| plain(e.file_name().as_encoded_bytes())).take(MAX_NAMED).collect();
            if !entries.is_empty() {
                entries.sort();
                return Err(GitError::PathTaken { path, entries });
            }
            fs::remove_dir(&path).map_err(|e| GitError::io("replace", &path, e))?;
            made.was_there = Some(path.clone());
            Ok(path)
        }
        Ok(_) => Err(bad("something that is not a folder stands there")),
    }
}

/// Refuses a folder in which no worktree could ever be made, whether or not it is there yet.
///
/// # Errors
/// [`GitError::BadPath`], [`GitError::InsideCheckout`], or what git says.
pub fn require_place(git: &Git, repo: &Repository, dir: &Path) -> Result<(), GitError> {
    require_outside(git, repo, &file::real(dir).join("worktree"), &register::entries(repo))
}

/// Refuses a worktree inside a checkout that does not ignore it, or inside a git folder.
fn require_outside(git: &Git, repo: &Repository, path: &Path, all: &[Entry]) -> Result<(), GitError> {
    let inside = |checkout: &Path| GitError::InsideCheckout { path: path.to_owned(), checkout: checkout.to_owned() };
    if path.starts_with(repo.common_dir()) {
        return Err(GitError::BadPath { path: path.to_owned(), why: "it lies inside the git folder".into() });
    }
    if let Some(entry) = all.iter().find(|e| path.starts_with(&e.worktree) && path != e.worktree) {
        return Err(inside(&entry.worktree));
    }
    let Some(main) = repo.main().filter(|main| path.starts_with(main)) else { return Ok(()) };
    let call = repo.call(git, &["check-ignore", "-q", "--no-index", "--"]).args([path]).work_tree(main).cwd(main);
    let output = call.output()?;
    match output.ended.code {
        Some(0) => Ok(()),
        Some(1) => Err(inside(main)),
        _ => Err(call.failed(&output)),
    }
}

/// Writes the files of the base, as git does: filters and large files of the user's
/// configuration, the main checkout's sparse patterns; no hook, no program of the repository's.
fn check_out(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    site: &Site,
    private: &Private,
    notes: &mut Vec<String>,
) -> Result<(), GitError> {
    let is_sparse = repo.is_sparse() && !plan.full_checkout;
    let patterns = site.admin_dir.join("info/sparse-checkout");
    private.set_head(&plan.base)?;
    private.set_sparse(is_sparse.then_some(patterns.as_path()))?;
    let workers = plan.workers.or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        NonZeroU32::new(u32::try_from(processors).unwrap_or(1))
    });
    let index = site.admin_dir.join("index");
    let call = || {
        let call = private.call_sharing(git, &["read-tree", "--reset", "-u", plan.base.as_str()]);
        let call = call.work_tree(&site.worktree).cwd(&site.worktree).index(&index).limit(CHECKOUT_LIMIT).online();
        call.setting("checkout.workers", workers.map_or("1".into(), |n| n.to_string()))
    };
    let slot = git.checkout_slot();
    match call().read() {
        Ok(_) => {}
        Err(GitError::Filter { stderr }) if stderr.contains("lfs") => {
            call().env("GIT_LFS_SKIP_SMUDGE", "1").read()?;
            notes.push(format!(
                "Large files (LFS) are here as pointers only, because git could not get them: {stderr}; \
                 `git lfs pull` in the worktree fetches them."
            ));
        }
        Err(GitError::Failed { stderr, .. }) if is_full(git, repo, plan, &site.worktree, &stderr) => {
            return Err(GitError::DiskFull { path: site.worktree.clone() });
        }
        Err(other) => return Err(other),
    }
    drop(slot);
    note_filters(git, repo, plan, site, private, notes)?;
    if is_sparse {
        let listed = private.call(git, &["ls-files", "-z", "-t"]).index(&index).read()?;
        let lines = || listed.split(|&b| b == 0).filter(|line| !line.is_empty());
        let (all, here) = (lines().count(), lines().filter(|line| !line.starts_with(b"S ")).count());
        notes.push(format!("The checkout is sparse, like the main one: {here} of {all} files are here."));
    }
    let submodules = repo.submodules(git, &plan.base)?;
    if !submodules.is_empty() {
        let named: Vec<String> =
            submodules.iter().take(MAX_NAMED).map(|p| plain(p.as_os_str().as_encoded_bytes())).collect();
        notes.push(format!(
            "Submodules are empty ({}); to fill them, add `git submodule update --init` to [worktrees] setup.",
            named.join(", ")
        ));
    }
    Ok(())
}

/// Whether the disk has no room for the file that git could not write. Git does not say so, and
/// takes the part of the file that it wrote away again, so the room is compared with the file.
fn is_full(git: &Git, repo: &Repository, plan: &Plan, path: &Path, stderr: &str) -> bool {
    let Some((_, rest)) = stderr.split_once("unable to write file ") else { return false };
    let file = rest.split(';').next().unwrap_or_default().trim_matches('\'');
    let size = repo.call(git, &["cat-file", "-s", &format!("{}:{file}", plan.base)]).text();
    let size = size.ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    rustix::fs::statvfs(path).is_ok_and(|fs| {
        // What else is written meanwhile takes room too; a block is the least.
        fs.f_bavail.saturating_mul(fs.f_frsize) <= size.saturating_add(fs.f_frsize)
            || (fs.f_files > 0 && fs.f_favail == 0)
    })
}

/// Says which files would have gone through a filter that nobody approved.
fn note_filters(
    git: &Git,
    repo: &Repository,
    plan: &Plan,
    site: &Site,
    private: &Private,
    notes: &mut Vec<String>,
) -> Result<(), GitError> {
    let approved = |name: &str| plan.filters.iter().any(|driver| driver.name == name);
    for driver in repo.local_filters().into_iter().filter(|driver| !approved(&driver.name)) {
        let files = format!(":(attr:filter={})", driver.name);
        let call = private.call(git, &["ls-files", "-z", "--", &files]).work_tree(&site.worktree);
        let output = call.cwd(&site.worktree).index(&site.admin_dir.join("index")).output()?;
        let count = output.stdout.iter().filter(|&&b| b == 0).count();
        if output.ended.is_success() && count > 0 {
            notes.push(format!(
                "The filter {} of the repository's own configuration was not run on {count} files, \
                 because nobody approved it; `standup trust` shows it.",
                plain(driver.name.as_bytes())
            ));
        }
    }
    Ok(())
}

/// Makes our folder, which keeps itself out of commits.
fn make_run_dir(site: &Site) -> Result<PathBuf, GitError> {
    let outer = site.worktree.join(".standup");
    let run_dir = site.worktree.join(OURS);
    match fs::create_dir(&outer) {
        // A folder of the repository's; `require_own_folder` has seen that it is no link.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.map_err(|e| GitError::io("make", &outer, e))?,
    }
    let made = fs::create_dir(&run_dir)
        .and_then(|()| fs::write(run_dir.join(".gitignore"), "*\n"))
        .and_then(|()| fs::create_dir(run_dir.join("outbox")));
    made.map_err(|e| GitError::io("make", &run_dir, e))?;
    Ok(run_dir)
}

/// The last thing that is made in the worktree.
fn make_inbox(run_dir: &Path) -> Result<(), GitError> {
    let inbox = run_dir.join(INBOX);
    fs::create_dir(&inbox).map_err(|e| GitError::io("make", &inbox, e))
}
