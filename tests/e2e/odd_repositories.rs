//! Repositories and machines of odd shapes, from the approval of settings to work in Review: what
//! works anywhere works there, and what cannot is said with what to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::cli_trial::{Said, Trial, said};

/// An agent that works and commits, and a check that sees it.
const SETTINGS: &str = "schema = 1\n[agents.sh]\nadapter = \"generic\"\nprompt = \"none\"\n\
    command = [\"sh\", \"-c\", \"echo work > done.txt; git add -A; git commit -qm work\"]\n\
    [[verify.check]]\nname = \"done\"\nrun = \"test -f done.txt\"\n";

/// A repository somewhere in a trial; what runs for it at its end is ended.
struct Odd {
    trial: Trial,
    dir: PathBuf,
}

impl Odd {
    /// In this folder of a trial that is no repository.
    fn at(dir: impl AsRef<Path>) -> Self {
        let trial = Trial::bare();
        let dir = trial.repo().join(dir);
        Self { trial, dir }
    }

    /// A repository with settings and a commit, made by `git init` with these options.
    fn made(name: impl AsRef<Path>, options: &[&str]) -> Self {
        let odd = Self::at(name);
        fs::create_dir_all(&odd.dir).expect("a folder");
        odd.git(&[&["init", "-q", "-b", "main"], options].concat());
        odd.fill();
        odd
    }

    fn fill(&self) {
        fs::write(self.dir.join("agents.toml"), SETTINGS).expect("a file");
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "start"]);
    }

    fn git(&self, args: &[&str]) {
        self.trial.git_in(&self.dir, args);
    }

    fn run(&self, args: &[&str]) -> Said {
        said(self.trial.command(args).current_dir(&self.dir))
    }

    /// A task goes all the way.
    fn goes(&self) {
        self.run(&["trust", "--yes"]).ok();
        self.run(&["add", "One thing"]).ok();
        let run = self.run(&["run"]);
        assert_eq!(run.code, 0, "{run:?}");
        let status = self.run(&["status", "--json"]).ok().json();
        let task = &status["tasks"][0];
        assert_eq!((&task["column"], &task["verdict"]["outcome"]), (&"review".into(), &"green".into()), "{status}");
        assert_eq!((&task["diff"]["commits"], &task["diff"]["dirty"]), (&1.into(), &false.into()), "{status}");
        assert!(self.run(&["diff", "T1"]).ok().out.contains("+++ b/done.txt"));
        // What another supervisor finds is what the first one made.
        self.run(&["supervisor", "restart"]).ok();
        self.run(&["verify", "T1"]).ok();
    }

    /// It cannot start, which is said with what to do; nothing is left of the try.
    fn fails(&self, why: &str, hint: &str) {
        self.run(&["trust", "--yes"]).ok();
        self.run(&["add", "One thing"]).ok();
        let run = self.run(&["run"]);
        assert_eq!(run.code, 5, "{run:?}");
        for words in [why, hint] {
            assert!(run.out.contains(words), "{words:?}: {run:?}");
        }
        assert!(!self.run(&["show", "T1", "--json"]).ok().json()["needs_you"].is_null());
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        let _ = self.trial.command(&["down", "--all"]).current_dir(&self.dir).output();
    }
}

#[test]
fn a_home_behind_a_link_is_as_good_as_any() {
    let odd = Odd::made("", &[]);
    fs::create_dir(odd.trial.home().with_file_name("elsewhere")).expect("a folder");
    symlink("elsewhere", odd.trial.home()).expect("a link");
    odd.goes();
    let status = odd.run(&["status", "--json"]).ok().json();
    let worktree = status["tasks"][0]["attempt"]["worktree"].as_str().expect("a path").to_owned();
    assert!(worktree.contains("/elsewhere/"), "as git and the agent name it: {worktree}");
}

#[test]
fn a_home_that_moves_and_leaves_a_link_takes_its_worktrees_along() {
    let odd = Odd::made("", &[]);
    odd.goes();
    odd.run(&["down", "--all"]).ok();
    let (home, moved) = (odd.trial.home(), odd.trial.home().with_file_name("moved"));
    fs::rename(&home, &moved).expect("rename");
    symlink("moved", &home).expect("a link");
    odd.run(&["verify", "T1"]).ok();
    assert!(odd.run(&["diff", "T1"]).ok().out.contains("+++ b/done.txt"));
}

#[test]
fn a_checkout_that_only_the_git_folder_knows_of() {
    let odd = Odd::at("only-git");
    let checkout = odd.trial.repo().join("checkout");
    for dir in [&odd.dir, &checkout] {
        fs::create_dir(dir).expect("a folder");
    }
    odd.git(&["init", "-q", "-b", "main"]);
    odd.git(&["config", "core.worktree", checkout.to_str().expect("UTF-8")]);
    fs::write(checkout.join("agents.toml"), SETTINGS).expect("a file");
    odd.trial.git_in(&checkout, &["--git-dir", "../only-git/.git", "add", "-A"]);
    odd.git(&["commit", "-qm", "start"]);
    odd.goes();
}

#[test]
fn a_git_folder_elsewhere() {
    Odd::made("repository", &["--separate-git-dir", "../git-folder"]).goes();
}

#[test]
fn long_ids() {
    Odd::made("", &["--object-format=sha256"]).goes();
}

#[test]
fn a_table_of_references() {
    let trial = Trial::bare();
    let mut git = trial.program(Path::new("git"));
    if !git.args(["init", "-q", "--ref-format=reftable", "probe"]).output().expect("git runs").status.success() {
        return;
    }
    Odd::made("", &["--ref-format=reftable"]).goes();
}

#[test]
fn names_that_shells_and_terminals_trip_over() {
    Odd::made("my \"repo\" $HOME 'q' ünï", &[]).goes();
    Odd::made(OsStr::from_bytes(b"b\xff\xfe"), &[]).goes();
    let odd = Odd::made("line\nbreak", &[]);
    let said = odd.run(&["status"]);
    said.failed(
        1,
        "\\nbreak\" has a line break in its path, or its git folder has\nhint: give the folder another name",
    );
}

#[test]
fn from_inside_a_worktree_of_ones_own() {
    let mut odd = Odd::made("main", &[]);
    odd.git(&["worktree", "add", "-q", "../side"]);
    odd.dir = odd.trial.repo().join("side");
    odd.goes();
}

#[test]
fn a_submodule_and_what_holds_it() {
    let library = Odd::made("library", &[]);
    let mut odd = Odd::made("main", &[]);
    let from = library.dir.to_str().expect("UTF-8");
    odd.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "inner"]);
    odd.git(&["commit", "-qm", "inner"]);
    odd.goes();
    odd.run(&["down", "--all"]).ok();
    odd.dir = odd.dir.join("inner");
    odd.goes();
}

#[test]
fn a_bare_repository_with_settings_of_the_user() {
    let mut odd = Odd::made("main", &[]);
    odd.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    let config = odd.trial.home().join("config");
    fs::create_dir_all(&config).expect("a folder");
    fs::rename(odd.dir.join("agents.toml"), config.join("config.toml")).expect("the user's");
    odd.dir = odd.trial.repo().join("bare.git");
    odd.goes();
}

#[test]
fn a_worktree_of_somebody_that_has_the_name_of_ours() {
    let odd = Odd::made("main", &[]);
    odd.git(&["worktree", "add", "-q", "-b", "mine", "../T1-1-one-thing"]);
    odd.goes();
}

#[test]
fn a_branch_that_is_called_as_our_folder_of_branches() {
    let odd = Odd::made("", &[]);
    odd.git(&["branch", "standup"]);
    odd.fails("the branch standup is in the way", "git branch -m standup OTHER");
    let doctor = odd.run(&["doctor", "--json"]);
    assert!(doctor.out.contains("the branch standup is in the way"), "{doctor:?}");
    odd.git(&["branch", "-m", "standup", "before"]);
    odd.run(&["retry", "T1"]).ok();
    odd.run(&["wait", "T1", "--for", "review", "--timeout", "60s"]).ok();
}

#[test]
fn on_no_branch_it_is_asked_what_to_start_from() {
    let odd = Odd::made("", &[]);
    odd.git(&["checkout", "-q", "--detach"]);
    odd.run(&["trust", "--yes"]).ok();
    odd.run(&["add", "One thing"]).ok();
    for words in [&["up"] as &[&str], &["run"], &["start", "T1"], &["retry", "T1"]] {
        let refused = odd.run(words);
        refused.failed(1, "is on no branch (detached HEAD), and no base is set");
        assert!(refused.err.contains("hint: standup config set base main    # or check out a branch"), "{refused:?}");
    }
    let alone = odd.run(&["start", "T1"]).err;
    assert!(alone.contains("hint: standup edit T1 --base main"), "{alone}");
    let shown = odd.run(&["show", "T1", "--json"]).ok().json();
    assert!(shown["attempt"].is_null() && shown["needs_you"].is_null(), "nothing was tried: {shown}");
    odd.run(&["add", "Another", "--base", "main"]).ok();
    odd.run(&["start", "T2"]).ok();
    odd.run(&["wait", "T2", "--for", "review", "--timeout", "60s"]).ok();
    // Where each has a base of its own, nobody needs that of the settings.
    odd.run(&["edit", "T1", "--base", "main"]).ok();
    odd.run(&["run"]).ok();
}

#[test]
fn without_a_home_and_without_a_terminals_name() {
    let odd = Odd::made("", &[]);
    // Nothing of this user's own is touched: only what nobody else names is looked for there.
    let paths = said(odd.trial.command(&["config", "paths"]).current_dir(&odd.dir).env_remove("HOME"));
    assert!(paths.ok().out.contains("agents.toml"));
    odd.goes();
}

#[test]
fn a_path_that_no_socket_can_have_is_said_before_anything_else() {
    let odd = Odd::made("", &[]);
    let deep = odd.trial.repo().join("x".repeat(100));
    let mut command = odd.trial.command(&["add", "One thing"]);
    let failed = said(command.current_dir(&odd.dir).env("STANDUP_HOME", deep));
    failed.failed(1, "bytes; the system allows");
    assert!(failed.err.contains("hint: set XDG_RUNTIME_DIR or STANDUP_HOME to a shorter directory"), "{failed:?}");
}

#[test]
fn who_commits_is_asked_for_before_agents_find_out() {
    let odd = Odd::made("", &[]);
    odd.git(&["config", "user.useConfigOnly", "true"]);
    let doctor = |names: &[&str]| {
        let mut command = odd.trial.command(&["doctor", "--json"]);
        for name in names {
            command.env_remove(name);
        }
        said(command.current_dir(&odd.dir)).json()["checks"].to_string()
    };
    let words = "in whose name to commit";
    assert!(!doctor(&[]).contains(words));
    assert!(doctor(&["GIT_COMMITTER_EMAIL"]).contains(words));
}

#[test]
fn why_a_supervisor_does_not_come_up_is_named() {
    let odd = Odd::made("", &[]);
    let paths = odd.run(&["config", "paths", "--json"]).ok().json();
    let database = Path::new(paths["database"].as_str().expect("a path"));
    standup::os::file::private_dir(database.parent().expect("a parent")).expect("a folder");
    fs::create_dir(database).expect("a folder in its place");
    let said = odd.run(&["add", "One thing"]);
    said.failed(69, "error: cannot start the supervisor: ");
    assert!(said.err.contains("standup.db") && !said.err.contains("ended before it was ready"), "{said:?}");
}
