//! What a repository is: where it lies, how it stores things, how its commits lie to each other.
//!
//! Fast reads go through `git2`; where libgit2 does not know the repository's format, or git must
//! have the last word (ownership, revisions), the CLI answers.
//!
//! **Invariant:** reads only; only this file uses `git2`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

pub use super::base::Base;
use super::cli::{Call, Git};
use super::error::{GitError, plain};
use super::private::Private;
use super::site::{HEADS, InProgress, read_plain};
use super::tree;
use crate::model::name::{BranchName, Oid};
use crate::model::time::Wall;

/// How references are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefFormat {
    /// Loose files and `packed-refs`.
    Files,
    /// One table for all.
    Reftable,
}

/// Who named a filter driver's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The user's or the machine's configuration.
    User,
    /// The repository's own configuration, which agents can write.
    Repository,
}

/// A filter driver: programs that change files on their way in and out of the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterDriver {
    /// Its name in `.gitattributes`.
    pub name: String,
    /// Who named its programs.
    pub scope: Scope,
    /// `clean`, `smudge`, `process`, `required`, as configured.
    pub values: BTreeMap<String, String>,
}

/// A repository, as it was when it was looked at. Moving parts (HEAD, branches) are methods.
#[derive(Debug, Clone)]
pub struct Repository {
    common_dir: PathBuf,
    main: Option<PathBuf>,
    settings: Vec<Setting>,
}

/// One line of configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// `local` and `worktree` are the repository's, everything else the user's.
    pub scope: String,
    /// Section and name in lower case, subsection as written.
    pub key: String,
    /// `None` where the key stands alone, which means true.
    pub value: Option<OsString>,
}

/// Where a HEAD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// On a branch with commits.
    Branch {
        /// The branch, without `refs/heads/`.
        name: String,
        /// Its commit.
        oid: Oid,
    },
    /// On a branch without any.
    Unborn {
        /// The branch.
        name: String,
    },
    /// On no branch.
    Detached {
        /// The commit.
        oid: Oid,
    },
}

/// How two commits lie to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Commits only the first has.
    pub ahead: u64,
    /// Commits only the second has.
    pub behind: u64,
    /// The best common ancestor; `None` for unrelated histories, or where a shallow clone ends.
    pub merge_base: Option<Oid>,
}

impl Repository {
    /// Finds the repository around `dir`. From inside a linked worktree the main checkout is found.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], [`GitError::Dubious`], [`GitError::LineBreak`], [`GitError::Alternates`].
    pub fn discover(git: &Git, dir: &Path) -> Result<Self, GitError> {
        let canonical = |path: &Path| path.canonicalize().map_err(|e| GitError::io("find", path, e));
        let call = git
            .call(["rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir", "--is-bare-repository"])
            .args(["--show-toplevel"])
            .cwd(dir);
        let output = call.output()?;
        let mut lines = output.stdout.split(|&b| b == b'\n').map(|line| OsString::from_vec(line.to_vec()));
        let mut path = || lines.next().map(PathBuf::from).filter(|p| p.is_absolute());
        let (Some(common), Some(git_dir)) = (path(), path()) else {
            return Err(match call.failed(&output) {
                // Git writes a path as it is, and with it the end of the line.
                _ if output.stdout.starts_with(b"/") => GitError::LineBreak { dir: dir.to_owned() },
                GitError::Failed { stderr, .. } if stderr.contains("not a git repository") => {
                    GitError::NotARepository { dir: dir.to_owned() }
                }
                other => other,
            });
        };
        let (common, git_dir) = (canonical(&common)?, canonical(&git_dir)?);
        // A main checkout's git folder is the shared one; anything else was redirected.
        if git_dir != common && git_dir.parent() != Some(&common.join("worktrees")) {
            let why = format!("its git folder {} borrows another repository's", git_dir.display());
            return Err(GitError::Broken { path: dir.to_owned(), why });
        }
        let is_bare = lines.next().is_some_and(|line| line == "true");
        let toplevel = lines.next().map(PathBuf::from).filter(|p| p.is_absolute() && !is_bare);
        let settings = read_settings(git, &common)?;
        let in_main = git_dir == common;
        let mut repository = Self { main: None, settings, common_dir: common };
        repository.main = match toplevel.filter(|_| in_main) {
            Some(toplevel) => Some(canonical(&toplevel)?),
            None => repository.main_by_configuration(),
        };
        repository.require_alternates()?;
        Ok(repository)
    }

    /// The same repository, with its settings as they are now.
    ///
    /// # Errors
    /// [`GitError::Alternates`], or what git says.
    pub fn renewed(&self, git: &Git) -> Result<Self, GitError> {
        let renewed = Self { settings: read_settings(git, &self.common_dir)?, ..self.clone() };
        renewed.require_alternates()?;
        Ok(renewed)
    }

    /// The main checkout of a repository that was found from elsewhere, where there is one.
    fn main_by_configuration(&self) -> Option<PathBuf> {
        if self.flag("core.bare") == Some(true) {
            return None;
        }
        let root = match self.setting("core.worktree") {
            Some(path) => self.common_dir.join(path),
            None if self.common_dir.file_name()? == ".git" => self.common_dir.parent()?.to_owned(),
            None => return None,
        };
        root.canonicalize().ok()
    }

    /// Refuses a repository whose borrowed objects are gone, which git only warns about.
    fn require_alternates(&self) -> Result<(), GitError> {
        let objects = self.objects();
        let Ok(text) = read_plain(&objects.join("info/alternates"), 1 << 20) else { return Ok(()) };
        for line in text.split(|&b| b == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            if line.starts_with(b"\"") {
                continue;
            }
            let path = super::site::resolve(&objects, line);
            if !path.is_dir() {
                return Err(GitError::Alternates { missing: path });
            }
        }
        Ok(())
    }

    /// The shared git folder, canonical.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The main checkout, canonical; `None` for a bare repository.
    #[must_use]
    pub fn main(&self) -> Option<&Path> {
        self.main.as_deref()
    }

    /// The main checkout.
    ///
    /// # Errors
    /// [`GitError::Bare`].
    pub fn require_main(&self) -> Result<&Path, GitError> {
        self.main().ok_or_else(|| GitError::Bare { repo: self.common_dir.clone() })
    }

    /// The folder people know it by: the main checkout, else the git folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.main().unwrap_or(&self.common_dir)
    }

    /// Whether there is no main checkout.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.main.is_none()
    }

    /// Names its folders of state: a readable name and eight digits of the path's hash. Stable as
    /// long as the repository is not moved.
    #[must_use]
    pub fn identity(&self) -> String {
        let folder = self.root().file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        let name: String = folder
            .strip_suffix(".git")
            .unwrap_or(&folder)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .take(40)
            .collect();
        let name = name.trim_matches(['.', '-']);
        let hash = Sha256::digest(self.common_dir.as_os_str().as_bytes());
        let digits: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digits}", if name.is_empty() { "repository" } else { name })
    }

    /// How references are stored.
    #[must_use]
    pub fn ref_format(&self) -> RefFormat {
        let is_table = self.setting("extensions.refstorage").is_some_and(|v| v.eq_ignore_ascii_case("reftable"));
        if is_table { RefFormat::Reftable } else { RefFormat::Files }
    }

    /// `sha1` or `sha256`.
    #[must_use]
    pub fn object_format(&self) -> &'static str {
        let is_256 = self.setting("extensions.objectformat").is_some_and(|v| v.eq_ignore_ascii_case("sha256"));
        if is_256 { "sha256" } else { "sha1" }
    }

    /// Whether its history was cut (`git clone --depth`).
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.common_dir.join("shallow").exists()
    }

    /// The remote that a partial clone fetches from when something is missing.
    #[must_use]
    pub fn promisor(&self) -> Option<String> {
        let by_remote = self.own().find_map(|s| {
            let name = s.key.strip_prefix("remote.")?.strip_suffix(".promisor")?;
            s.is_true().then(|| name.to_owned())
        });
        by_remote.or_else(|| Some(self.setting("extensions.partialclone")?.to_string_lossy().into_owned()))
    }

    /// Whether the main checkout holds only part of the files.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.flag("core.sparsecheckout") == Some(true) && self.common_dir.join("info/sparse-checkout").exists()
    }

    /// The filter drivers that are configured, by name; where the user and the repository both
    /// configure one, both are listed.
    #[must_use]
    pub fn filters(&self) -> Vec<FilterDriver> {
        let mut found: BTreeMap<(String, Scope), BTreeMap<String, String>> = BTreeMap::new();
        for setting in &self.settings {
            let Some((name, field)) = setting.key.strip_prefix("filter.").and_then(|rest| rest.rsplit_once('.')) else {
                continue;
            };
            let scope = if setting.is_own() { Scope::Repository } else { Scope::User };
            let value = setting.value.as_ref().map_or("true".into(), |v| v.to_string_lossy().into_owned());
            found.entry((name.to_owned(), scope)).or_default().insert(field.to_owned(), value);
        }
        found.into_iter().map(|((name, scope), values)| FilterDriver { name, scope, values }).collect()
    }

    /// The filter drivers of the repository's own configuration: commands that need approval.
    #[must_use]
    pub fn local_filters(&self) -> Vec<FilterDriver> {
        self.filters().into_iter().filter(|driver| driver.scope == Scope::Repository).collect()
    }

    /// The folders of submodules at a commit.
    ///
    /// # Errors
    /// What git says.
    pub fn submodules(&self, git: &Git, commit: &Oid) -> Result<Vec<PathBuf>, GitError> {
        let has_list = self.ask(git, &["ls-tree", "-z", "--name-only", commit.as_str(), "--", ".gitmodules"])?;
        if has_list.is_empty() {
            return Ok(Vec::new());
        }
        let listed = self.ask(git, &["ls-tree", "-r", "-z", commit.as_str()])?;
        let links = listed.split(|&b| b == 0).filter(|line| line.starts_with(b"160000 "));
        let paths = links.filter_map(|line| line.splitn(2, |&b| b == b'\t').nth(1));
        Ok(paths.map(|path| PathBuf::from(OsString::from_vec(path.to_vec()))).collect())
    }

    /// Whether tracked files of the main checkout differ from its commit: such changes are not in
    /// the base of new attempts. `scratch` is a folder of ours to look from. Submodules do not count.
    ///
    /// # Errors
    /// [`GitError::Bare`], or what git says.
    pub fn is_dirty(&self, git: &Git, scratch: &Path) -> Result<bool, GitError> {
        let main = self.require_main()?;
        let (Head::Branch { oid, .. } | Head::Detached { oid }) = self.head(git)? else { return Ok(false) };
        let private = Private::make(scratch, self, &[])?;
        private.set_head(&oid)?;
        let (theirs, ours) = (self.common_dir.join("index"), scratch.join("index"));
        if !theirs.exists() {
            return Ok(false);
        }
        tree::copy_index(&theirs, &ours)?;
        let call = |args: &[&str]| private.call(git, args).work_tree(main).cwd(main).index(&ours);
        call(&["update-index", "-q", "--refresh", "--ignore-submodules"]).output()?;
        let compared = call(&["diff-index", "--quiet", "--ignore-submodules=all", "--no-ext-diff", "HEAD"]);
        let output = compared.output()?;
        match output.ended.code {
            Some(code @ (0 | 1)) => Ok(code == 1),
            _ => Err(compared.failed(&output)),
        }
    }

    /// What is half-done in the main checkout.
    #[must_use]
    pub fn in_progress(&self) -> Option<InProgress> {
        InProgress::look(&self.common_dir)
    }

    /// Where the main checkout (of a bare repository: the repository) stands.
    ///
    /// # Errors
    /// What git says.
    pub fn head(&self, git: &Git) -> Result<Head, GitError> {
        if let Some(head) = self.open().and_then(|repo| head_of(&repo)) {
            return Ok(head);
        }
        let name = self.call(git, &["symbolic-ref", "-q", "HEAD"]).text_or_no()?;
        let name = name.map(|full| full.strip_prefix(HEADS).unwrap_or(&full).to_owned());
        let oid = self.revision(git, "HEAD")?;
        match (name, oid) {
            (Some(name), Some(oid)) => Ok(Head::Branch { name, oid }),
            (Some(name), None) => Ok(Head::Unborn { name }),
            (None, Some(oid)) => Ok(Head::Detached { oid }),
            (None, None) => Err(GitError::NoCommits { repo: self.root().to_owned(), bare: self.is_bare() }),
        }
    }

    /// The name that a symbolic reference stands for; `None` where there is none.
    pub(super) fn symbolic(&self, git: &Git, full: &str) -> Result<Option<String>, GitError> {
        match self.open() {
            Some(repo) => {
                let target = |r: git2::Reference<'_>| String::from_utf8(r.symbolic_target_bytes()?.to_vec()).ok();
                Ok(repo.find_reference(full).ok().and_then(target))
            }
            None => self.call(git, &["symbolic-ref", "-q", full]).text_or_no(),
        }
    }

    /// The commit of a reference by its full name; `None` where there is none.
    ///
    /// # Errors
    /// What git says.
    pub fn find_reference(&self, git: &Git, full: &str) -> Result<Option<Oid>, GitError> {
        if BranchName::new(full.strip_prefix("refs/").unwrap_or(full)).is_err() {
            return Ok(None);
        }
        if let Some(repo) = self.open() {
            match repo.find_reference(full).and_then(|r| r.peel_to_commit()) {
                Ok(commit) => return oid(&commit.id().to_string()).map(Some),
                Err(e) if e.code() == git2::ErrorCode::NotFound => return Ok(None),
                Err(_) => {}
            }
        }
        self.revision(git, full)
    }

    /// The commit that a revision names, as git understands it; `None` where it names none.
    ///
    /// # Errors
    /// What git says.
    pub fn revision(&self, git: &Git, text: &str) -> Result<Option<Oid>, GitError> {
        if text.is_empty() || text.starts_with('-') || text.contains(['\0', '\n']) {
            return Ok(None);
        }
        let wanted = format!("{text}^{{commit}}");
        let call = self.call(git, &["rev-parse", "-q", "--verify", "--end-of-options", &wanted]);
        let output = call.output()?;
        match output.ended.code {
            Some(0) => oid(String::from_utf8_lossy(&output.stdout).trim()).map(Some),
            Some(1 | 128) => Ok(None),
            _ => Err(call.failed(&output)),
        }
    }

    /// When a commit was made.
    ///
    /// # Errors
    /// What git says, for one that is not there.
    pub fn committed_at(&self, git: &Git, commit: &Oid) -> Result<Wall, GitError> {
        if let Some(repo) = self.open()
            && let Some(found) = git2::Oid::from_str(commit.as_str()).ok().and_then(|id| repo.find_commit(id).ok())
        {
            return Ok(Wall(found.time().seconds().saturating_mul(1_000)));
        }
        let args = ["rev-list", "--max-count=1", "--no-commit-header", "--format=%ct", commit.as_str()];
        let text = self.call(git, &args).text()?;
        let seconds: i64 = text
            .trim()
            .parse()
            .map_err(|_| GitError::Unexpected { command: "git rev-list".into(), answer: plain(text.as_bytes()) })?;
        Ok(Wall(seconds.saturating_mul(1_000)))
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// What git says, for one that is not there.
    pub fn tree_of(&self, git: &Git, commit: &Oid) -> Result<Oid, GitError> {
        if let Some(repo) = self.open()
            && let Some(found) = git2::Oid::from_str(commit.as_str()).ok().and_then(|id| repo.find_commit(id).ok())
        {
            return oid(&found.tree_id().to_string());
        }
        let wanted = format!("{commit}^{{tree}}");
        oid(&self.call(git, &["rev-parse", "--verify", "--end-of-options", &wanted]).text()?)
    }

    /// Whether git knows in whose name to commit here, by the environment and every configuration.
    ///
    /// # Errors
    /// That git does not run.
    pub fn can_commit(&self, git: &Git) -> Result<bool, GitError> {
        for who in ["AUTHOR", "COMMITTER"] {
            let call = self.call(git, &["var", &format!("GIT_{who}_IDENT")]);
            let set = ["NAME", "EMAIL"].map(|what| format!("GIT_{who}_{what}"));
            let set = set.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
            if !set.fold(call, |call, (name, value)| call.env(name, value)).output()?.ended.is_success() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How `ours` and `theirs` lie to each other.
    ///
    /// # Errors
    /// What git says, for commits that are not there.
    pub fn relation(&self, git: &Git, ours: &Oid, theirs: &Oid) -> Result<Relation, GitError> {
        if let Some(relation) = self.open().and_then(|repo| relation_of(&repo, ours, theirs)) {
            return Ok(relation);
        }
        let range = format!("{ours}...{theirs}");
        let text = self.call(git, &["rev-list", "--left-right", "--count", &range]).text()?;
        let mut counts = text.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        let (ahead, behind) = (counts.next().unwrap_or(0), counts.next().unwrap_or(0));
        let base = self.call(git, &["merge-base", ours.as_str(), theirs.as_str()]).text_or_no()?;
        let merge_base = base.and_then(|text| Oid::new(text.lines().next().unwrap_or_default()).ok());
        Ok(Relation { ahead, behind, merge_base })
    }

    /// The folder of objects that everybody shares.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    /// A call on the shared git folder; nothing is looked for, no file of a checkout is touched.
    pub(super) fn call<'g>(&self, git: &'g Git, args: &[&str]) -> Call<'g> {
        shared(git, &self.common_dir, args)
    }

    pub(super) fn ask(&self, git: &Git, args: &[&str]) -> Result<Vec<u8>, GitError> {
        self.call(git, args).read()
    }

    /// The repository's own settings, the last of each key being the one that counts.
    pub(super) fn own(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| setting.is_own())
    }

    fn setting(&self, key: &str) -> Option<&std::ffi::OsStr> {
        self.settings.iter().rev().find(|s| s.key == key).and_then(|s| s.value.as_deref())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.settings.iter().rev().find(|s| s.key == key).map(Setting::is_true)
    }

    /// `None` where libgit2 does not understand this repository.
    fn open(&self) -> Option<git2::Repository> {
        static OWNERSHIP: OnceLock<bool> = OnceLock::new();
        // SAFETY: called once, before the first repository is opened; it sets a plain global.
        // Whose repository this is was git's to judge, in `discover`.
        OWNERSHIP.get_or_init(|| unsafe { git2::opts::set_verify_owner_validation(false) }.is_ok());
        // libgit2 would follow a planted `commondir`.
        let is_redirected = self.common_dir.join("commondir").exists();
        if is_redirected || self.ref_format() == RefFormat::Reftable || self.object_format() != "sha1" {
            return None;
        }
        let flags = git2::RepositoryOpenFlags::NO_SEARCH | git2::RepositoryOpenFlags::BARE;
        git2::Repository::open_ext(&self.common_dir, flags, std::iter::empty::<&std::ffi::OsStr>()).ok()
    }
}

impl Setting {
    /// Whether the repository says it, and not the user.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.scope.as_str(), "local" | "worktree")
    }

    /// As git reads a truth value.
    fn is_true(&self) -> bool {
        self.value.as_ref().is_none_or(|value| {
            let text = value.to_string_lossy().to_ascii_lowercase();
            matches!(text.as_str(), "true" | "yes" | "on") || text.parse::<i64>().is_ok_and(|n| n != 0)
        })
    }
}

fn oid(text: &str) -> Result<Oid, GitError> {
    Oid::new(text.trim())
        .map_err(|_| GitError::Unexpected { command: "git rev-parse".into(), answer: plain(text.as_bytes()) })
}

fn head_of(repo: &git2::Repository) -> Option<Head> {
    let reference = repo.find_reference("HEAD").ok()?;
    let Some(target) = reference.symbolic_target_bytes() else {
        return Some(Head::Detached { oid: Oid::new(reference.target()?.to_string()).ok()? });
    };
    let full = std::str::from_utf8(target).ok()?;
    let name = full.strip_prefix(HEADS)?.to_owned();
    match repo.find_reference(full) {
        Ok(branch) => Some(Head::Branch { name, oid: Oid::new(branch.target()?.to_string()).ok()? }),
        Err(e) if e.code() == git2::ErrorCode::NotFound => Some(Head::Unborn { name }),
        Err(_) => None,
    }
}

fn relation_of(repo: &git2::Repository, ours: &Oid, theirs: &Oid) -> Option<Relation> {
    let id = |oid: &Oid| git2::Oid::from_str(oid.as_str()).ok();
    let (ours, theirs) = (id(ours)?, id(theirs)?);
    let (ahead, behind) = repo.graph_ahead_behind(ours, theirs).ok()?;
    let merge_base = match repo.merge_base(ours, theirs) {
        Ok(base) => Some(Oid::new(base.to_string()).ok()?),
        Err(e) if e.code() == git2::ErrorCode::NotFound => None,
        Err(_) => return None,
    };
    Some(Relation { ahead: ahead as u64, behind: behind as u64, merge_base })
}

/// A call on a shared git folder, which stays the shared one even if a planted `commondir` says
/// otherwise.
fn shared<'g>(git: &'g Git, common_dir: &Path, args: &[&str]) -> Call<'g> {
    git.call(args).cwd(common_dir).git_dir(common_dir).env("GIT_COMMON_DIR", common_dir)
}

/// All settings in force, each with who said it.
fn read_settings(git: &Git, common_dir: &Path) -> Result<Vec<Setting>, GitError> {
    let args = ["config", "--list", "-z", "--show-scope", "--includes"];
    let listed = shared(git, common_dir, &args).max_output(16 << 20).read()?;
    let mut fields = listed.split(|&b| b == 0);
    let mut settings = Vec::new();
    while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
        let scope = String::from_utf8_lossy(scope).into_owned();
        if scope == "command" {
            continue;
        }
        let mut halves = entry.splitn(2, |&b| b == b'\n');
        let key = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
        let value = halves.next().map(|value| OsString::from_vec(value.to_vec()));
        settings.push(Setting { scope, key, value });
    }
    Ok(settings)
}
