//! Looking into a worktree: what is counted, and what is not disturbed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use standup::git::shadow::{Against, ChangeKind};
use standup::git::site::InProgress;
use standup::git::worktree::Created;
use standup::git::{Git, Shadow};
use standup::model::lease::{Changes, Mark};

use super::{World, write};

/// What git itself makes of the worktree: the tree of everything that is not ignored.
fn tree_by_git(world: &World, made: &Created) -> String {
    let copy = world.root().join("by-git.index");
    let _ = fs::remove_file(&copy);
    let git: &Git = &world.git;
    let call = |args: &[&str]| {
        let call = git.call(args).cwd(&made.site.worktree).index(&copy);
        String::from_utf8(call.read().expect("git")).expect("text").trim().to_owned()
    };
    call(&["read-tree", "HEAD"]);
    call(&["add", "-A"]);
    call(&["write-tree"])
}

#[test]
fn the_hash_is_the_tree_that_git_would_commit() {
    let world = World::new();
    let made = world.create(1);
    let path = made.site.worktree.clone();
    type Step = (&'static str, fn(&Path));
    let steps: [Step; 11] = [
        ("nothing", |_| ()),
        ("changed", |w| write(&w.join("a.txt"), "x\n")),
        ("same size", |w| write(&w.join("a.txt"), "y\n")),
        ("new", |w| write(&w.join("d/e/f"), "f\n")),
        ("ignored", |w| write(&w.join("target/x"), "x\n")),
        ("deleted", |w| fs::remove_file(w.join("src/lib.rs")).expect("rm")),
        ("mode", |w| fs::set_permissions(w.join("a.txt"), fs::Permissions::from_mode(0o755)).expect("chmod")),
        ("link", |w| symlink("a.txt", w.join("link")).expect("link")),
        ("file to folder", |w| {
            fs::remove_file(w.join("a.txt")).expect("rm");
            write(&w.join("a.txt/inner"), "x\n");
        }),
        ("folder to file", |w| {
            fs::remove_dir_all(w.join("d")).expect("rm");
            write(&w.join("d"), "now a file\n");
        }),
        ("new rules", |w| write(&w.join(".gitignore"), "link\n")),
    ];
    for (what, step) in steps {
        step(&path);
        assert_eq!(made.shadow.tree_hash().expect(what).as_str(), tree_by_git(&world, &made), "{what}");
    }
    world.commit_all(&path, "all");
    let hash = made.shadow.tree_hash().expect("hash");
    assert_eq!(hash.as_str(), world.run(&path, &["rev-parse", "HEAD^{tree}"]));
}

#[test]
fn a_file_that_is_ignored_counts_once_it_is_tracked() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    write(&path.join(".env"), "1\n");
    let before = made.shadow.tree_hash().expect("hash");
    assert_eq!(before.as_str(), world.run(path, &["rev-parse", "HEAD^{tree}"]));
    world.run(path, &["add", "-f", ".env"]);
    world.run(path, &["commit", "-q", "-m", "tracked"]);
    let stat = made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert!(!stat.dirty && stat.files == 1, "{stat:?}");
    world.run(path, &["rm", "-q", "--cached", ".env"]);
    world.run(path, &["commit", "-q", "-m", "not any more"]);
    assert_eq!(made.shadow.tree_hash().expect("hash"), before);
}

#[test]
fn an_index_that_lies_does_not_change_the_hash() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    made.shadow.tree_hash().expect("hash");
    world.run(path, &["update-index", "--assume-unchanged", "a.txt"]);
    world.run(path, &["update-index", "--skip-worktree", "src/lib.rs"]);
    write(&path.join("a.txt"), "hidden\n");
    write(&path.join("src/lib.rs"), "hidden\n");
    assert_eq!(world.run(path, &["status", "--porcelain"]), "", "git is told not to look");
    let seen = made
        .shadow
        .status(&world.against(&made.base_oid))
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths");
    let paths: Vec<PathBuf> = seen.into_iter().map(|c| c.path).collect();
    assert_eq!(paths, [PathBuf::from("a.txt"), PathBuf::from("src/lib.rs")]);
    // The entry of one file, said to be that of another.
    let blob = world.run(path, &["rev-parse", "HEAD:.gitignore"]);
    let honest = made.shadow.tree_hash().expect("hash");
    world.run(path, &["update-index", "--cacheinfo", &format!("100644,{blob},src/lib.rs")]);
    assert_eq!(made.shadow.tree_hash().expect("hash"), honest);
}

#[test]
fn nothing_that_others_see_is_written() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    write(&path.join("a.txt"), "changed\n");
    write(&path.join("new"), "new\n");
    let list = |dir: &Path| {
        let mut found = std::collections::BTreeMap::new();
        walk(dir, &mut found);
        found
    };
    let before = (list(&world.main().join(".git")), list(path));
    let against = world.against(&made.base_oid);
    made.shadow.status(&against).expect("status");
    made.shadow.status(&against).and_then(|found| made.shadow.patch(&found, 1 << 20)).expect("patch");
    made.shadow.status(&against).and_then(|found| made.shadow.changed_paths(&found)).expect("paths");
    made.shadow.head().expect("head");
    assert_eq!((list(&world.main().join(".git")), list(path)), before);
}

fn walk(dir: &Path, found: &mut std::collections::BTreeMap<PathBuf, (std::time::SystemTime, u64)>) {
    for entry in fs::read_dir(dir).expect("dir").flatten() {
        let meta = entry.metadata().expect("meta");
        if meta.is_dir() {
            walk(&entry.path(), found);
        }
        found.insert(entry.path(), (meta.modified().expect("time"), meta.len()));
    }
}

#[test]
fn the_statistics_follow_the_base() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    write(&path.join("mine"), "1\n2\n");
    world.commit_all(path, "mine");
    for n in 0..3 {
        world.write("theirs", &format!("{n}\n"));
        world.commit_all(&world.main(), "theirs");
    }
    let tip = world.head(&world.main());
    let against = Against { base: made.base_oid.clone(), tip: Some(tip.clone()) };
    let stat = made.shadow.status(&against).expect("status");
    assert_eq!((stat.ahead, stat.behind, stat.commits, stat.files, stat.insertions), (1, 3, 1, 1, 2));
    let at = |oid: &str| world.run(path, &["show", "-s", "--format=%ct", oid]).parse::<i64>().expect("s") * 1_000;
    assert_eq!(stat.base_at.0, at(made.base_oid.as_str()));
    world.run(path, &["rebase", "-q", "main"]);
    let stat = made.shadow.status(&against).expect("status");
    assert_eq!((stat.ahead, stat.behind, stat.files), (1, 0, 1), "what the base brought is not the attempt's");
    let patch = made.shadow.status(&against).and_then(|found| made.shadow.patch(&found, 1 << 20)).expect("patch");
    assert!(!String::from_utf8_lossy(&patch.bytes).contains("theirs"));
}

#[test]
fn renames_binaries_and_deletions_are_counted() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    fs::rename(path.join("a.txt"), path.join("b.txt")).expect("mv");
    fs::remove_file(path.join("src/lib.rs")).expect("rm");
    fs::write(path.join("bin"), [0u8, 1, 2, 255]).expect("bin");
    let against = world.against(&made.base_oid);
    let stat = made.shadow.status(&against).expect("status");
    assert_eq!((stat.files, stat.insertions, stat.deletions), (3, 0, 1));
    let mut kinds: Vec<ChangeKind> = made
        .shadow
        .status(&against)
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths")
        .into_iter()
        .map(|c| c.kind)
        .collect();
    kinds.sort_by_key(|k| format!("{k:?}"));
    assert_eq!(kinds, [ChangeKind::Added, ChangeKind::Deleted, ChangeKind::Renamed]);
}

#[test]
fn a_patch_can_be_applied_and_is_bounded() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    fs::write(path.join("bin"), (0..=255u8).collect::<Vec<_>>()).expect("bin");
    write(&path.join("a.txt"), "other\n");
    let against = world.against(&made.base_oid);
    let patch = made.shadow.status(&against).and_then(|found| made.shadow.patch(&found, 1 << 20)).expect("patch");
    fs::write(world.root().join("p"), &patch.bytes).expect("patch");
    let other = world.create(2);
    world.run(&other.site.worktree, &["apply", "../../p"]);
    assert_eq!(other.shadow.tree_hash().expect("hash"), made.shadow.tree_hash().expect("hash"));
    let cut = made.shadow.status(&against).and_then(|found| made.shadow.patch(&found, 10)).expect("patch");
    assert!(cut.is_cut && cut.bytes.len() == 10);
}

#[test]
fn operations_begun_in_the_worktree_are_seen() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    write(&path.join("a.txt"), "mine\n");
    world.commit_all(path, "mine");
    world.write("a.txt", "theirs\n");
    world.commit_all(&world.main(), "theirs");
    for (args, wanted) in [(["merge", "main"], InProgress::Merge), (["rebase", "main"], InProgress::Rebase)] {
        assert!(!world.try_run(path, &args).ended.is_success());
        assert_eq!(made.shadow.head().expect("head").in_progress, Some(wanted));
        let stat = made.shadow.status(&world.against(&made.base_oid)).expect("status");
        assert!(stat.dirty, "the conflict is in the file");
        world.run(path, &[args[0], "--abort"]);
    }
    assert_eq!(made.shadow.head().expect("head").in_progress, None);
}

#[test]
fn an_orphan_branch_is_no_error() {
    let world = World::new();
    let made = world.create(1);
    world.run(&made.site.worktree, &["checkout", "-q", "--orphan", "fresh"]);
    let head = made.shadow.head().expect("head");
    assert_eq!((head.branch.map(|b| b.to_string()), head.oid), (Some("fresh".into()), None));
    let stat = made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert_eq!((stat.files, stat.dirty, stat.head), (0, true, None));
}

#[test]
fn odd_files_are_no_part_of_the_tree_and_no_obstacle() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    let clean = made.shadow.tree_hash().expect("hash");
    let fifo =
        |name: &str| rustix::fs::mkfifoat(rustix::fs::CWD, path.join(name), rustix::fs::Mode::RWXU).expect("fifo");
    fifo("pipe");
    let _socket = std::os::unix::net::UnixListener::bind(path.join("sock")).expect("socket");
    assert_eq!(made.shadow.tree_hash().expect("hash"), clean);
    fs::remove_file(path.join("a.txt")).expect("rm");
    fifo("a.txt");
    fs::remove_dir_all(path.join("src")).expect("rm");
    symlink("/etc", path.join("src")).expect("link");
    let seen = made
        .shadow
        .status(&world.against(&made.base_oid))
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths");
    let found: Vec<(ChangeKind, PathBuf)> = seen.into_iter().map(|c| (c.kind, c.path)).collect();
    assert!(found.contains(&(ChangeKind::Deleted, "a.txt".into())), "{found:?}");
    assert!(found.contains(&(ChangeKind::Added, "src".into())), "{found:?}");
}

#[test]
fn a_repository_inside_the_worktree_is_no_obstacle() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    for name in ["empty", "full"] {
        fs::create_dir(path.join(name)).expect("folder");
        world.run(&path.join(name), &["init", "-q"]);
    }
    write(&path.join("full/x"), "x");
    world.commit_all(&path.join("full"), "inner");
    write(&path.join("plain"), "x");
    let seen = made
        .shadow
        .status(&world.against(&made.base_oid))
        .and_then(|found| made.shadow.changed_paths(&found))
        .expect("paths");
    let paths: Vec<PathBuf> = seen.into_iter().map(|c| c.path).collect();
    assert_eq!(paths, [PathBuf::from("full"), PathBuf::from("plain")]);
    made.shadow.tree_hash().expect("again");
}

#[test]
fn the_look_survives_a_restart_and_the_loss_of_its_folder() {
    let world = World::new();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    write(&made.site.worktree.join("a.txt"), "changed\n");
    let hash = made.shadow.tree_hash().expect("hash");
    let repo = world.repository();
    let open = || Shadow::open(&world.git, &repo, &made.site, &plan.shadow_dir, &[]).expect("open");
    assert_eq!(open().tree_hash().expect("hash"), hash);
    fs::remove_dir_all(&plan.shadow_dir).expect("lost");
    assert_eq!(open().tree_hash().expect("hash"), hash);
    // What was hashed lies in the look's own objects; without them everything is hashed anew.
    fs::remove_dir_all(plan.shadow_dir.join("objects")).expect("lost");
    assert_eq!(open().tree_hash().expect("hash"), hash);
    fs::write(plan.shadow_dir.join("index"), "damaged").expect("damage");
    assert_eq!(open().tree_hash().expect("hash"), hash);
    write(&plan.shadow_dir.join("index.lock"), "");
    write(&made.site.worktree.join("a.txt"), "again\n");
    assert_ne!(open().tree_hash().expect("a lock of a killed look is no obstacle"), hash);
}

#[test]
fn a_split_index_is_read() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    world.run(path, &["config", "core.splitIndex", "true"]);
    write(&path.join(".env"), "x");
    world.run(path, &["add", "-f", ".env"]);
    world.run(path, &["update-index", "--split-index"]);
    let stat = made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert_eq!(stat.files, 1);
}

/// As a full disk leaves it: the name is there, the bytes are not.
#[test]
fn a_cut_copy_of_a_split_index_is_no_obstacle() {
    let world = World::new();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    let path = &made.site.worktree;
    world.run(path, &["config", "core.splitIndex", "true"]);
    world.run(path, &["config", "splitIndex.sharedIndexExpire", "now"]);
    write(&path.join(".env"), "x");
    world.run(path, &["add", "-f", ".env"]);
    world.run(path, &["update-index", "--split-index"]);
    let shared = |dir: &Path| -> Vec<PathBuf> {
        let all = fs::read_dir(dir).expect("a folder").flatten().map(|entry| entry.path());
        all.filter(|p| p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"sharedindex."))).collect()
    };
    let theirs = shared(&made.site.admin_dir).pop().expect("git splits it");
    let bytes = fs::read(&theirs).expect("read");
    fs::write(plan.shadow_dir.join(theirs.file_name().expect("a name")), &bytes[..bytes.len() / 2]).expect("cut");
    let stat = || made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert_eq!(stat().files, 1);
    // One after the other, as commits make them: the copy of one that git took away goes too.
    for n in 0..3 {
        write(&path.join("b.log"), &format!("{n}"));
        world.run(path, &["add", "-f", "b.log"]);
        world.run(path, &["update-index", "--split-index"]);
        assert_eq!(stat().files, 2);
    }
    assert_eq!(shared(&plan.shadow_dir).len(), 1);
}

/// Bytes of all files below a folder.
fn held(dir: &Path) -> u64 {
    let all = fs::read_dir(dir).expect("a folder").flatten();
    all.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => held(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    })
    .sum()
}

#[test]
fn a_large_file_that_is_written_again_and_again_does_not_fill_the_disk() {
    const MIB: usize = 1 << 20;
    let world = World::new();
    // In a pack of its own, where nobody counts loose objects.
    world.run(&world.main(), &["config", "core.bigFileThreshold", "1m"]);
    world.run(&world.main(), &["config", "core.compression", "0"]);
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    let file = made.site.worktree.join("data.bin");
    let objects = plan.shadow_dir.join("objects");
    let mut bytes = vec![0; 64 * MIB];
    let mut most = 0;
    for n in 0..7_u8 {
        bytes[..MIB].fill(n);
        fs::write(&file, &bytes).expect("write");
        let found = made.shadow.status(&world.against(&made.base_oid)).expect("status");
        assert_eq!(made.shadow.changed_paths(&found).expect("paths").len(), 1, "what was just found is there");
        most = most.max(held(&objects));
    }
    // A quarter of a gibibyte, and what the look adds that goes beyond it.
    assert!(most <= 330 * MIB as u64, "{} MiB", most / MIB as u64);
}

#[test]
fn what_needs_much_room_at_once_is_not_hashed_again_at_every_look() {
    const MIB: usize = 1 << 20;
    let world = World::new();
    world.run(&world.main(), &["config", "core.compression", "0"]);
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    // Each an object of its own.
    for n in 0..9_u8 {
        fs::write(made.site.worktree.join(format!("{n}.bin")), vec![n; 32 * MIB]).expect("write");
    }
    let objects = plan.shadow_dir.join("objects");
    let born = || fs::metadata(&objects).and_then(|meta| meta.created()).expect("a birth");
    made.shadow.tree_hash().expect("hash");
    made.shadow.tree_hash().expect("hash");
    let before = born();
    for n in 0..3 {
        write(&made.site.worktree.join("small"), &format!("{n}"));
        made.shadow.tree_hash().expect("hash");
    }
    assert_eq!(born(), before, "what is held is what is needed");
}

#[test]
fn what_looks_have_gathered_can_go_and_they_go_on() {
    let world = World::new();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    write(&made.site.worktree.join("a.txt"), "changed\n");
    let hash = made.shadow.tree_hash().expect("hash");
    made.shadow.let_go().expect("gone");
    let objects = plan.shadow_dir.join("objects");
    let lent = fs::metadata(objects.join("info/alternates")).expect("the repository's are lent").len();
    assert_eq!(held(&objects), lent, "nothing else is there");
    assert_eq!(made.shadow.tree_hash().expect("hash"), hash);
    let found = made.shadow.status(&world.against(&made.base_oid)).expect("status");
    assert_eq!(made.shadow.changed_paths(&found).expect("paths").len(), 1);
}

#[test]
fn a_file_that_any_look_found_otherwise_is_remembered_though_it_was_put_back() {
    let world = World::new();
    let made = world.create(1);
    let path = made.site.worktree.clone();
    write(&path.join("new.txt"), "untracked\n");
    type Step = (&'static str, fn(&Path), fn(&Path), Option<&'static str>);
    let steps: [Step; 5] = [
        ("comes and goes", |w| write(&w.join("tmp/x"), "x"), |w| fs::remove_dir_all(w.join("tmp")).expect("rm"), None),
        (
            "changed",
            |w| write(&w.join("a.txt"), "x\n"),
            |w| write(&w.join("a.txt"), "one\ntwo\nthree\n"),
            Some("a.txt"),
        ),
        (
            "gone",
            |w| fs::remove_file(w.join("src/lib.rs")).expect("rm"),
            |w| write(&w.join("src/lib.rs"), "fn f() {}\n"),
            Some("src/lib.rs"),
        ),
        (
            "renamed",
            |w| fs::rename(w.join("new.txt"), w.join("newer.txt")).expect("mv"),
            |w| fs::rename(w.join("newer.txt"), w.join("new.txt")).expect("mv"),
            Some("new.txt"),
        ),
        (
            "another mode",
            |w| fs::set_permissions(w.join("a.txt"), fs::Permissions::from_mode(0o755)).expect("chmod"),
            |w| fs::set_permissions(w.join("a.txt"), fs::Permissions::from_mode(0o644)).expect("chmod"),
            Some("a.txt"),
        ),
    ];
    for (what, change, put_back, moved) in steps {
        let trial = made.shadow.trial();
        let start = trial.tree().expect("hash");
        change(&path);
        made.shadow.status(&world.against(&made.base_oid)).expect("a look for somebody else");
        put_back(&path);
        assert_eq!(trial.tree().expect("hash"), start, "{what}");
        assert_eq!(trial.moved().as_deref(), moved, "{what}");
    }
}

#[test]
fn an_unreadable_file_is_an_error_and_not_a_deletion() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let made = world.create(1);
    let file = made.site.worktree.join("new");
    write(&file, "x");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("chmod");
    let error = made.shadow.tree_hash().expect_err("unreadable");
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[test]
fn what_changed_since_a_stand_is_told_with_its_commits() {
    let world = World::new();
    let made = world.create(1);
    let path = made.site.worktree.clone();
    write(&path.join("before.txt"), "not committed, and not of interest\n");
    let before = made.shadow.stand().expect("a stand");
    assert!(before.dirty);
    let from = &before.mark;
    let none = Changes { dirty: true, ..Changes::default() };
    assert_eq!(made.shadow.since(from, &before, 5).expect("nothing"), none);

    write(&path.join("new \u{1b}[31m.txt"), "one\ntwo\n");
    fs::remove_file(path.join("before.txt")).expect("rm");
    world.commit_all(&path, "subject \u{1b}[31mred");
    world.run(&path, &["commit", "-q", "--allow-empty", "-m", "second"]);
    let now = made.shadow.stand().expect("a stand");
    assert!(!now.dirty);
    let since = made.shadow.since(from, &now, 1).expect("a difference");
    assert_eq!((since.files, since.insertions, since.deletions), (2, 2, 1));
    assert_eq!(since.paths.len(), 1, "one is named");
    assert_eq!((since.commits, since.subjects.len()), (2, 1), "{since:?}");
    assert!(since.subjects[0].ends_with(" second"), "the newest: {since:?}");
    let all = made.shadow.since(from, &now, 9).expect("a difference");
    assert_eq!(all.paths, ["D before.txt", "A new [31m.txt"], "nothing that a terminal obeys");
    assert!(all.subjects[1].ends_with(" subject [31mred"), "{all:?}");
    let gone = standup::model::name::Oid::new("0123456789012345678901234567890123456789").expect("an oid");
    assert!(
        made.shadow.since(&Mark { head: None, tree: gone }, &now, 1).is_err(),
        "a tree that is gone is no difference of nothing"
    );
}
