//! The git room against a real git, in temporary folders.

mod create;
mod exploits;
mod failures;
mod formats;
mod grants;
mod looking;
mod many;
mod repositories;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use standup::git::shadow::Against;
use standup::git::worktree::{self, Created, Plan};
use standup::git::{Git, GitError, Repository};
use standup::model::name::{BranchName, Oid};
use standup::os::run::{Output, Run};
use tempfile::TempDir;

/// No call of a test may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder with a repository, the user's configuration and our state, all its own.
pub(super) struct World {
    dir: TempDir,
    pub(super) git: Git,
}

impl World {
    /// Folders and a user, no repository.
    pub(super) fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("git-room-").tempdir().expect("temp dir");
        let root = dir.path().canonicalize().expect("canonical");
        fs::write(
            root.join("user.config"),
            "[user]\n\tname = Test\n\temail = test@example.invalid\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n",
        )
        .expect("user configuration");
        let git = Git::find()
            .expect("git")
            .with_env("GIT_CONFIG_GLOBAL", root.join("user.config"))
            .with_env("GIT_CONFIG_NOSYSTEM", "1");
        Self { dir, git }
    }

    /// A repository `r` with one commit of three files on `main`.
    pub(super) fn new() -> Self {
        Self::with_format(&[])
    }

    /// The same, made with options of `git init`.
    pub(super) fn with_format(options: &[&str]) -> Self {
        let world = Self::empty();
        let main = world.main();
        fs::create_dir(&main).expect("main");
        world.run(&main, &[&["init", "-q"], options].concat());
        world.write("a.txt", "one\ntwo\nthree\n");
        world.write("src/lib.rs", "fn f() {}\n");
        world.write(".gitignore", ".env\n/target/\nnode_modules\n");
        world.commit_all(&main, "first");
        world
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("canonical")
    }

    pub(super) fn main(&self) -> PathBuf {
        self.root().join("r")
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        write(&self.main().join(path), text);
    }

    /// The user's configuration, added to.
    pub(super) fn configure_user(&self, text: &str) {
        let path = self.root().join("user.config");
        let old = fs::read_to_string(&path).expect("user configuration");
        fs::write(path, old + text).expect("user configuration");
    }

    /// The test's own git, as a person or an agent runs it.
    pub(super) fn try_run<S: AsRef<OsStr>>(&self, dir: &Path, args: &[S]) -> Output {
        let mut run = Run::new(self.git.program()).args(args).cwd(dir).timeout(LIMIT);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                run = run.unset(name);
            }
        }
        run.env("GIT_CONFIG_GLOBAL", self.root().join("user.config"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .output()
            .expect("git runs")
    }

    /// The same, which must succeed; returns its output without the last newline.
    #[track_caller]
    pub(super) fn run<S: AsRef<OsStr> + std::fmt::Debug>(&self, dir: &Path, args: &[S]) -> String {
        let output = self.try_run(dir, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.ended.is_success(), "git {args:?} in {}: {said}", dir.display());
        String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
    }

    #[track_caller]
    pub(super) fn commit_all(&self, dir: &Path, message: &str) -> Oid {
        self.run(dir, &["add", "-A"]);
        self.run(dir, &["commit", "-q", "-m", message]);
        self.head(dir)
    }

    #[track_caller]
    pub(super) fn head(&self, dir: &Path) -> Oid {
        Oid::new(self.run(dir, &["rev-parse", "HEAD"])).expect("oid")
    }

    #[track_caller]
    pub(super) fn repository(&self) -> Repository {
        Repository::discover(&self.git, &self.main()).expect("repository")
    }

    pub(super) fn plan(&self, number: u32) -> Plan {
        let base = self.head(&self.main());
        Plan {
            path: self.root().join(format!("w/T{number}-1-x")),
            branch: branch(number),
            base,
            reason: format!("standup:T{number}/1"),
            owner: format!("standup r T{number}/1 1"),
            copy: Vec::new(),
            link: Vec::new(),
            workers: None,
            full_checkout: false,
            filters: Vec::new(),
            lock_dir: self.root().join("state/locks"),
            shadow_dir: self.root().join(format!("state/T{number}/shadow")),
        }
    }

    #[track_caller]
    pub(super) fn create(&self, number: u32) -> Created {
        self.create_by(&self.plan(number))
    }

    #[track_caller]
    pub(super) fn create_by(&self, plan: &Plan) -> Created {
        fs::create_dir_all(plan.shadow_dir.parent().expect("parent")).expect("state");
        worktree::create(&self.git, &self.repository(), plan).expect("created")
    }

    /// Creation must fail, and leave the world as it was.
    #[track_caller]
    pub(super) fn refuse(&self, plan: &Plan) -> GitError {
        let before = self.traces();
        let error = worktree::create(&self.git, &self.repository(), plan).expect_err("refused");
        assert_eq!(self.traces(), before, "something was left behind after: {error}");
        error
    }

    /// What a creation could leave: branches with their commits, entries, files beside the
    /// repository, and odd files in the git folder.
    pub(super) fn traces(&self) -> BTreeSet<String> {
        let main = self.main();
        let refs = self.run(&main, &["for-each-ref", "--format=%(refname) %(objectname)"]);
        let common = PathBuf::from(self.run(&main, &["rev-parse", "--path-format=absolute", "--git-common-dir"]));
        let mut found: BTreeSet<String> = refs.lines().map(str::to_owned).collect();
        for (dir, deep) in [(self.root().join("w"), true), (common.join("worktrees"), false), (common, false)] {
            list(&dir, deep, &mut found);
        }
        // Git may make these on first use and leave them.
        found.retain(|line| !line.ends_with("/worktrees") && !line.ends_with("/logs"));
        found
    }

    pub(super) fn against(&self, base: &Oid) -> Against {
        Against { base: base.clone(), tip: None }
    }
}

fn list(dir: &Path, deep: bool, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.insert(entry.path().display().to_string());
        if deep && entry.file_type().is_ok_and(|t| t.is_dir()) {
            list(&entry.path(), deep, found);
        }
    }
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    fs::write(path, text).expect("file");
}

pub(super) fn branch(number: u32) -> BranchName {
    BranchName::new(format!("standup/T{number}/1-x")).expect("branch")
}
