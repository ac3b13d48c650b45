//! Every way a creation can fail: what is said, and that nothing is left.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use standup::git::{Git, GitError, Repository};
use standup::model::name::Oid;

use super::{World, branch, write};

#[test]
fn a_branch_that_is_there_is_never_reset() {
    let world = World::new();
    world.run(&world.main(), &["branch", branch(1).as_str()]);
    let error = world.refuse(&world.plan(1));
    assert!(matches!(error, GitError::BranchExists { worktree: None, .. }), "{error}");

    world.create(2);
    let mut again = world.plan(2);
    again.path = world.root().join("w/elsewhere");
    let error = world.refuse(&again);
    assert!(error.to_string().ends_with("w/T2-1-x"), "names the worktree that has it: {error}");
}

#[test]
fn a_branch_name_that_is_a_folder_or_below_a_branch_is_explained() {
    let world = World::new();
    let mut plan = world.plan(1);
    plan.branch = "main/sub".parse().expect("branch");
    assert!(matches!(world.refuse(&plan), GitError::BranchBlocked { by: Some(by), .. } if by == "main"));
    world.create(2);
    plan.branch = "standup/T2".parse().expect("branch");
    assert!(matches!(world.refuse(&plan), GitError::BranchBlocked { .. }));
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let world = World::new();
    let plan = world.plan(1);
    for name in ["d", "c", "b", "a"] {
        write(&plan.path.join(name), name);
    }
    let GitError::PathTaken { entries, .. } = world.refuse(&plan) else { panic!("taken") };
    assert_eq!(entries.len(), 3);
    assert!(plan.path.join("a").exists());
}

#[test]
fn paths_that_cannot_be_worktrees_are_refused() {
    let world = World::new();
    for path in ["w/../x", "r/.git/x", "w/a\nb", "w/a\x1b[31m"] {
        let mut plan = world.plan(1);
        plan.path = world.root().join(path);
        assert!(matches!(world.refuse(&plan), GitError::BadPath { .. }), "{path:?}");
    }
    let mut plan = world.plan(1);
    plan.path = "relative".into();
    assert!(matches!(world.refuse(&plan), GitError::BadPath { .. }));
    write(&world.root().join("w/file"), "x");
    plan.path = world.root().join("w/file");
    assert!(matches!(world.refuse(&plan), GitError::BadPath { .. }));
    symlink(world.root().join("nowhere"), world.root().join("w/link")).expect("link");
    plan.path = world.root().join("w/link");
    assert!(matches!(world.refuse(&plan), GitError::BadPath { .. }));
}

#[test]
fn a_worktree_inside_a_checkout_must_be_ignored_there() {
    let world = World::new();
    let mut plan = world.plan(1);
    plan.path = world.main().join("trees/one");
    assert!(matches!(world.refuse(&plan), GitError::InsideCheckout { .. }));
    world.write(".git/info/exclude", "/trees/\n");
    let made = world.create_by(&plan);
    assert_eq!(world.run(&world.main(), &["status", "--porcelain"]), "");
    let mut inner = world.plan(2);
    inner.path = made.site.worktree.join("inner");
    assert!(matches!(world.refuse(&inner), GitError::InsideCheckout { .. }));
}

#[test]
fn an_entry_whose_folder_is_gone_is_named() {
    let world = World::new();
    let made = world.create(1);
    fs::remove_dir_all(&made.site.worktree).expect("gone");
    let mut plan = world.plan(2);
    plan.path = made.site.worktree.clone();
    let error = world.refuse(&plan);
    assert!(matches!(&error, GitError::Registered { admin_dir, .. } if *admin_dir == made.site.admin_dir), "{error}");
    assert!(error.hint().expect("hint").contains("git worktree repair"));
}

#[test]
fn a_repository_with_files_where_ours_go_is_refused() {
    let world = World::new();
    world.write(".standup/run/x", "x");
    world.commit_all(&world.main(), "theirs");
    assert!(matches!(world.refuse(&world.plan(1)), GitError::OursIsTracked { path, .. } if path == ".standup/run"));
    world.run(&world.main(), &["rm", "-rq", ".standup"]);
    symlink("/tmp", world.main().join(".standup")).expect("link");
    world.commit_all(&world.main(), "a link");
    assert!(matches!(world.refuse(&world.plan(1)), GitError::OursIsTracked { path, .. } if path == ".standup"));
    fs::remove_file(world.main().join(".standup")).expect("link");
    world.write(".standup/notes.md", "x");
    world.commit_all(&world.main(), "a folder of theirs");
    assert!(world.create(2).run_dir.join("outbox").exists());
}

#[test]
fn a_base_that_is_not_there_leaves_nothing() {
    let world = World::new();
    let mut plan = world.plan(1);
    plan.base = Oid::new("1".repeat(40)).expect("oid");
    world.refuse(&plan);
    plan.base = Oid::new(world.run(&world.main(), &["rev-parse", "HEAD^{tree}"])).expect("oid");
    world.refuse(&plan);
}

#[test]
fn a_required_filter_that_fails_takes_everything_back() {
    let world = World::new();
    world.write(".gitattributes", "*.bin filter=crypt\n");
    world.write("x.bin", "x");
    world.commit_all(&world.main(), "binary");
    world.configure_user("[filter \"crypt\"]\n\tsmudge = false\n\tclean = cat\n\trequired = true\n");
    let error = world.refuse(&world.plan(1));
    assert!(matches!(&error, GitError::Filter { stderr } if stderr.contains("x.bin")), "{error}");
}

#[test]
fn an_unwritable_place_takes_everything_back() {
    if rustix::process::geteuid().is_root() {
        // Mode bits do not bind root; a file where a folder must be does.
        let world = World::new();
        write(&world.root().join("w"), "a file");
        assert!(matches!(world.refuse(&world.plan(1)), GitError::Io { .. }));
        return;
    }
    let world = World::new();
    let place = world.root().join("w");
    fs::create_dir(&place).expect("folder");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o500)).expect("chmod");
    let error = world.refuse(&world.plan(1));
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).expect("chmod");
    assert!(matches!(error, GitError::Io { .. }), "{error}");
}

/// Runs a test of this module as a user whom mode bits bind; says whether it ran elsewhere.
#[expect(clippy::disallowed_methods, reason = "only the standard library starts a program as another user")]
fn ran_as_nobody(test: &str) -> bool {
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "--nocapture", test]).env("HOME", "/nonexistent").env_remove("TMPDIR");
    let out = command.current_dir("/").uid(65_534).gid(65_534).output().expect("it starts");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
    true
}

#[test]
fn a_git_folder_that_takes_no_files_gets_no_branch_either() {
    if ran_as_nobody("git::failures::a_git_folder_that_takes_no_files_gets_no_branch_either") {
        return;
    }
    let world = World::new();
    let common = world.main().join(".git");
    fs::set_permissions(&common, fs::Permissions::from_mode(0o500)).expect("chmod");
    let error = world.refuse(&world.plan(1));
    fs::set_permissions(&common, fs::Permissions::from_mode(0o700)).expect("chmod");
    assert!(error.to_string().contains("cannot make a folder in"), "{error}");
    world.create(1);
}

#[test]
fn what_could_not_be_taken_back_is_named() {
    if ran_as_nobody("git::failures::what_could_not_be_taken_back_is_named") {
        return;
    }
    // The checkout fails, and by its filter the git folder takes no files any more.
    let world = World::new();
    let common = world.main().join(".git");
    world.write(".gitattributes", "*.bin filter=crypt\n");
    world.write("x.bin", "x");
    world.commit_all(&world.main(), "binary");
    let smudge = format!("chmod 500 {}; false", common.display());
    world.configure_user(&format!("[filter \"crypt\"]\n\tsmudge = \"{smudge}\"\n\tclean = cat\n\trequired = true\n"));
    let plan = world.plan(1);
    fs::create_dir_all(plan.shadow_dir.parent().expect("parent")).expect("state");
    let error = standup::git::worktree::create(&world.git, &world.repository(), &plan).expect_err("refused");
    fs::set_permissions(&common, fs::Permissions::from_mode(0o700)).expect("chmod");
    let said = error.to_string();
    assert!(said.contains("a filter failed") && said.contains("could not be removed"), "{said}");
    assert!(said.contains(&format!("branch {}", branch(1))), "{said}");
}

#[test]
fn an_unreadable_object_takes_everything_back() {
    let world = World::new();
    let blob = world.run(&world.main(), &["rev-parse", "HEAD:a.txt"]);
    fs::remove_file(world.main().join(".git/objects").join(&blob[..2]).join(&blob[2..])).expect("object");
    let error = world.refuse(&world.plan(1));
    assert!(error.to_string().contains("git read-tree"), "{error}");
}

#[test]
fn a_held_lock_is_named_with_its_age() {
    let world = World::new();
    let plan = world.plan(1);
    let path = world.main().join(".git/refs/heads/standup/T1/1-x.lock");
    write(&path, "");
    let error = world.refuse(&plan);
    assert!(matches!(&error, GitError::LockHeld { path: p, age_s: Some(_), owner: None } if *p == path), "{error}");
    assert!(error.hint().expect("hint").contains("rm "), "{error}");
}

#[test]
fn borrowed_objects_that_are_gone_are_named() {
    let world = World::new();
    world.write(".git/objects/info/alternates", "/nonexistent/objects\n");
    let error = Repository::discover(&world.git, &world.main()).expect_err("gone");
    assert!(matches!(&error, GitError::Alternates { missing } if missing.ends_with("nonexistent/objects")), "{error}");
}

#[test]
fn a_git_that_is_too_old_or_no_git_says_so() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("git");
    for (text, wanted) in [("git version 2.30.2", "is too old"), ("hello", "answered")] {
        write(&path, &format!("#!/bin/sh\necho '{text}'\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        let error = Git::at(path.clone()).expect_err("no good");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

/// A small file system of this thread's own at `at`; `false` where this user may not make one.
fn mount_small(at: &std::path::Path) -> bool {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let text = |t: &str| CString::new(t).expect("no zero");
    let target = CString::new(at.as_os_str().as_bytes()).expect("no zero");
    // SAFETY: all pointers are to strings that live until the calls return; the namespace that is
    // left belongs to this thread and its children alone.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                text("/").as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                text("none").as_ptr(),
                target.as_ptr(),
                text("tmpfs").as_ptr(),
                0,
                text("size=2m").as_ptr().cast(),
            ) == 0
    }
}

fn unmount(at: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    let target = std::ffi::CString::new(at.as_os_str().as_bytes()).expect("no zero");
    // SAFETY: the pointer is to a string that lives until the call returns.
    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
}

#[test]
fn a_full_disk_is_called_that_and_takes_everything_back() {
    std::thread::spawn(|| {
        let world = World::new();
        world.write("big", &"x".repeat(5 << 20));
        world.commit_all(&world.main(), "big");
        fs::create_dir(world.root().join("w")).expect("folder");
        if !mount_small(&world.root().join("w")) {
            return;
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.refuse(&world.plan(1))));
        unmount(&world.root().join("w"));
        let error = outcome.expect("refused");
        assert!(matches!(error, GitError::DiskFull { .. }), "{error}");
    })
    .join()
    .expect("thread");
}
