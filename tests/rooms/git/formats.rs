//! Repositories that are stored or checked out in uncommon ways.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use standup::git::repo::RefFormat;
use standup::git::shadow::ChangeKind;
use standup::git::worktree;
use standup::git::{GitError, Repository};

use super::{World, write};

/// The whole life of an attempt: made, looked at, worked in, looked at again.
#[track_caller]
fn live(world: &World) {
    let made = world.create(1);
    let path = &made.site.worktree;
    let against = world.against(&made.base_oid);
    let fresh = made.shadow.status(&against).expect("status");
    assert_eq!((fresh.files, fresh.commits, fresh.dirty, fresh.behind), (0, 0, false, 0));
    write(&path.join("a.txt"), "one\n2\nthree\n");
    write(&path.join("new.txt"), "n\n");
    let dirty = made.shadow.status(&against).expect("status");
    assert_eq!((dirty.files, dirty.insertions, dirty.deletions, dirty.dirty), (2, 2, 1, true));
    let oid = world.commit_all(path, "work");
    let done = made.shadow.status(&against).expect("status");
    assert_eq!((done.tree.clone(), done.commits, done.dirty, done.head), (dirty.tree, 1, false, Some(oid)));
    assert_eq!(made.shadow.head().expect("head").branch.as_ref(), Some(&made.branch));
    let patch = made.shadow.status(&against).and_then(|found| made.shadow.patch(&found, 1 << 20)).expect("patch");
    assert!(String::from_utf8_lossy(&patch.bytes).contains("+++ b/new.txt") && !patch.is_cut);
    assert_eq!(
        made.shadow.status(&against).and_then(|found| made.shadow.changed_paths(&found)).expect("paths").len(),
        2
    );
    world.run(path, &["checkout", "-q", "--detach"]);
    assert_eq!(made.shadow.head().expect("head").branch, None);
}

#[test]
fn files_and_sha1() {
    live(&World::new());
}

#[test]
fn sha256() {
    let world = World::with_format(&["--object-format=sha256"]);
    assert_eq!(world.repository().object_format(), "sha256");
    assert_eq!(world.head(&world.main()).as_str().len(), 64);
    live(&world);
}

#[test]
fn reftable() {
    let world = World::empty();
    if world.git.version() < (standup::git::cli::Version { major: 2, minor: 45, patch: 0 }) {
        return;
    }
    let world = World::with_format(&["--ref-format=reftable"]);
    assert_eq!(world.repository().ref_format(), RefFormat::Reftable);
    assert_eq!(world.repository().resolve_base(&world.git, None).expect("base").name, "main");
    live(&world);
    let mut again = world.plan(1);
    again.path = world.root().join("w/elsewhere");
    assert!(matches!(world.refuse(&again), GitError::BranchExists { .. }));
    let plan = world.plan(2);
    let made = world.create_by(&plan);
    worktree::discard(&world.git, &world.repository(), &plan, &made.shadow, "why").expect("discarded");
    assert!(!plan.path.exists() && !made.site.admin_dir.exists());
}

#[test]
fn a_shallow_clone() {
    let world = World::new();
    world.write("a.txt", "one\ntwo\nthree\nfour\n");
    world.commit_all(&world.main(), "second");
    let origin = world.root().join("origin");
    fs::rename(world.main(), &origin).expect("move");
    world.run(&world.root(), &["clone", "-q", "--depth", "1", &format!("file://{}", origin.display()), "r"]);
    world.write("a.txt", "one\ntwo\nthree\n");
    world.commit_all(&world.main(), "back");
    assert!(world.repository().is_shallow());
    live(&world);
}

#[test]
fn a_partial_clone_fetches_what_it_lacks() {
    let world = World::new();
    world.run(&world.main(), &["config", "uploadpack.allowFilter", "true"]);
    world.run(&world.main(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let origin = world.root().join("origin");
    fs::rename(world.main(), &origin).expect("move");
    let url = format!("file://{}", origin.display());
    world.run(&world.root(), &["clone", "-q", "--no-checkout", "--filter=blob:none", &url, "r"]);
    assert_eq!(world.repository().promisor().as_deref(), Some("origin"));
    live(&world);
}

#[test]
fn a_sparse_checkout_is_taken_over_and_said() {
    let world = World::new();
    for n in 0..20 {
        world.write(&format!("d{n}/f"), "x\n");
    }
    world.commit_all(&world.main(), "many");
    world.run(&world.main(), &["sparse-checkout", "set", "--no-cone", "/*", "!/*/", "/src/"]);
    let made = world.create(1);
    let path = &made.site.worktree;
    assert!(path.join("src/lib.rs").exists() && !path.join("d1").exists());
    assert!(made.notes.iter().any(|n| n.contains("3 of 23 files")), "{:?}", made.notes);
    assert_eq!(world.run(path, &["status", "--porcelain"]), "");
    let fresh = made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert_eq!((fresh.files, fresh.dirty), (0, false), "what is left out is not deleted");
    write(&path.join("d1/f"), "changed\n");
    let seen = made
        .shadow
        .status(&world.against(&made.base_oid))
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths");
    assert_eq!(seen.iter().map(|c| c.path.clone()).collect::<Vec<_>>(), [PathBuf::from("d1/f")]);
    fs::remove_dir_all(path.join("d1")).expect("gone again");
    world.run(path, &["sparse-checkout", "disable"]);
    assert!(path.join("d1/f").exists());
    assert!(!made.shadow.status(&world.against(&made.base_oid)).expect("status").dirty);

    let mut full = world.plan(2);
    full.full_checkout = true;
    let made = world.create_by(&full);
    assert!(made.site.worktree.join("d1/f").exists() && made.notes.is_empty(), "{:?}", made.notes);
    assert_eq!(world.run(&made.site.worktree, &["status", "--porcelain"]), "");
}

#[test]
fn submodules_are_empty_said_and_no_change() {
    let world = World::new();
    let sub = world.root().join("sub");
    fs::create_dir(&sub).expect("sub");
    world.run(&sub, &["init", "-q"]);
    write(&sub.join("s"), "s");
    world.commit_all(&sub, "sub");
    world.run(&world.main(), &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../sub", "vendor"]);
    world.commit_all(&world.main(), "with a submodule");
    let made = world.create(1);
    assert!(made.notes.iter().any(|n| n.contains("Submodules are empty (vendor)")), "{:?}", made.notes);
    let against = world.against(&made.base_oid);
    assert!(!made.shadow.status(&against).expect("status").dirty);
    let path = &made.site.worktree;
    world.run(path, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"]);
    assert!(!made.shadow.status(&against).expect("status").dirty);
    write(&path.join("vendor/s"), "dirty inside");
    assert!(!made.shadow.status(&against).expect("status").dirty, "only its commit counts");
    world.commit_all(&path.join("vendor"), "moved");
    let stat = made.shadow.status(&against).expect("status");
    assert_eq!((stat.dirty, stat.files), (true, 1));
}

#[test]
fn the_users_filters_run_and_the_repositorys_own_only_if_approved() {
    let world = World::new();
    world.configure_user("[filter \"user\"]\n\tsmudge = sed s/stored/shown/\n\tclean = sed s/shown/stored/\n");
    world.write(".gitattributes", "*.u filter=user\n*.l filter=own\n");
    world.write("x.u", "stored\n");
    world.write("x.l", "stored\n");
    world.commit_all(&world.main(), "filtered");
    let ran = world.root().join("ran");
    let own = format!("touch '{}'; sed s/stored/own/", ran.display());
    world.run(&world.main(), &["config", "filter.own.smudge", &own]);
    world.run(&world.main(), &["config", "filter.own.clean", "sed s/own/stored/"]);

    let made = world.create(1);
    let read = |made: &worktree::Created, name: &str| fs::read_to_string(made.site.worktree.join(name)).expect("file");
    assert_eq!((read(&made, "x.u").as_str(), read(&made, "x.l").as_str()), ("shown\n", "stored\n"));
    assert!(!ran.exists(), "the repository's own filter ran without approval");
    assert!(made.notes.iter().any(|n| n.contains("The filter own") && n.contains("1 files")), "{:?}", made.notes);
    assert!(!made.shadow.status(&world.against(&made.base_oid)).expect("status").dirty);

    let mut plan = world.plan(2);
    plan.filters = world.repository().local_filters();
    let made = world.create_by(&plan);
    assert_eq!(read(&made, "x.l"), "own\n");
    assert!(ran.exists() && made.notes.is_empty(), "{:?}", made.notes);
    assert!(!made.shadow.status(&world.against(&made.base_oid)).expect("status").dirty);
    assert_eq!(world.run(&made.site.worktree, &["status", "--porcelain"]), "");
}

#[test]
fn what_was_approved_is_what_runs() {
    let world = World::new();
    world.write(".gitattributes", "*.l filter=own\n");
    world.write("x.l", "stored\n");
    world.commit_all(&world.main(), "filtered");
    world.run(&world.main(), &["config", "filter.own.smudge", "sed s/stored/approved/"]);
    let mut plan = world.plan(1);
    plan.filters = world.repository().local_filters();
    let ran = world.root().join("ran");
    world.run(&world.main(), &["config", "filter.own.smudge", &format!("touch '{}'", ran.display())]);
    let made = world.create_by(&plan);
    assert_eq!(fs::read_to_string(made.site.worktree.join("x.l")).expect("file"), "approved\n");
    assert!(!ran.exists());
}

#[test]
fn a_large_file_that_cannot_be_had_stays_a_pointer() {
    let world = World::new();
    world.write(".gitattributes", "*.bin filter=lfs\n");
    world.write("x.bin", "pointer\n");
    world.commit_all(&world.main(), "large");
    world.configure_user(
        "[filter \"lfs\"]\n\tsmudge = test -n \\\"$GIT_LFS_SKIP_SMUDGE\\\" && cat\n\tclean = cat\n\trequired = true\n",
    );
    let made = world.create(1);
    assert_eq!(fs::read_to_string(made.site.worktree.join("x.bin")).expect("file"), "pointer\n");
    assert!(made.notes.iter().any(|n| n.contains("git lfs pull")), "{:?}", made.notes);
}

#[test]
fn names_that_are_not_utf8_survive() {
    let world = World::new();
    let name = OsStr::from_bytes(b"caf\xe9 \"\t.txt");
    fs::write(world.main().join(name), "x\n").expect("file");
    world.commit_all(&world.main(), "odd");
    let made = world.create(1);
    assert!(made.site.worktree.join(name).exists());
    assert!(!made.shadow.status(&world.against(&made.base_oid)).expect("status").dirty);
    fs::write(made.site.worktree.join(name), "y\n").expect("file");
    fs::write(made.site.worktree.join(OsStr::from_bytes(b"new\xff\nline")), "y\n").expect("file");
    let seen = made
        .shadow
        .status(&world.against(&made.base_oid))
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths");
    let found: Vec<(ChangeKind, &[u8])> = seen.iter().map(|c| (c.kind, c.path.as_os_str().as_bytes())).collect();
    assert_eq!(found, [(ChangeKind::Modified, name.as_bytes()), (ChangeKind::Added, &b"new\xff\nline"[..])]);
}

#[test]
fn a_repository_at_a_path_that_is_not_utf8() {
    let world = World::new();
    let odd = world.root().join(OsStr::from_bytes(b"r\xe9:po \"x\""));
    fs::rename(world.main(), &odd).expect("move");
    let repo = Repository::discover(&world.git, &odd).expect("found");
    assert_eq!(repo.main(), Some(odd.as_path()));
    fs::rename(&odd, world.main()).expect("back");
    let mut plan = world.plan(1);
    fs::rename(world.main(), &odd).expect("move");
    plan.path = world.root().join(OsStr::from_bytes(b"w/t\xe9"));
    plan.shadow_dir = world.root().join(OsStr::from_bytes(b"state/\xe9"));
    let made = worktree::create(&world.git, &repo, &plan).expect("created");
    fs::write(made.site.worktree.join("new"), "x").expect("file");
    assert!(made.shadow.status(&world.against(&made.base_oid)).expect("status").dirty);
}

#[test]
fn settings_of_the_main_checkout_alone_come_along() {
    let world = World::new();
    world.run(&world.main(), &["config", "extensions.worktreeConfig", "true"]);
    world.run(&world.main(), &["config", "--worktree", "user.email", "main@example.invalid"]);
    world.run(&world.main(), &["config", "--worktree", "core.worktree", &world.main().display().to_string()]);
    let made = world.create(1);
    assert_eq!(world.run(&made.site.worktree, &["config", "user.email"]), "main@example.invalid");
    assert_eq!(
        world.run(&made.site.worktree, &["rev-parse", "--show-toplevel"]),
        made.site.worktree.display().to_string()
    );
}
