//! What an agent's own git gets, and the locks it leaves.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use standup::git::{grant, locks};
use standup::os::run::Run;

use super::{World, branch, write};

#[test]
fn the_four_folders_are_there_and_stay() {
    let world = World::new();
    let made = world.create(7);
    let common = world.main().join(".git");
    let roots = grant::writable_roots(&world.repository(), &made.site, &made.branch).expect("roots");
    assert_eq!(
        roots,
        [
            made.site.admin_dir.clone(),
            common.join("objects"),
            common.join("refs/heads/standup/T7"),
            common.join("logs/refs/heads/standup/T7")
        ]
    );
    let inode = |n: usize| fs::metadata(&roots[n]).expect("root").ino();
    let before = (inode(2), inode(3));
    let main = world.main();
    world.run(&made.site.worktree, &["checkout", "-q", "--detach"]);
    world.run(&main, &["branch", "-qD", branch(7).as_str()]);
    world.run(&main, &["pack-refs", "--all"]);
    assert_eq!((inode(2), inode(3)), before, "git removed the folder of an empty task");
    assert_eq!(world.run(&main, &["for-each-ref", "refs/heads/standup"]), "");
    let said = world.try_run(&main, &["fsck"]);
    assert!(said.ended.is_success() && !String::from_utf8_lossy(&said.stderr).contains(".keep"));
    grant::writable_roots(&world.repository(), &made.site, &made.branch).expect("a second time");
}

#[test]
fn a_branch_without_a_folder_is_granted_nothing() {
    let world = World::new();
    let mut plan = world.plan(1);
    plan.branch = "plain".parse().expect("branch");
    let made = world.create_by(&plan);
    assert!(grant::writable_roots(&world.repository(), &made.site, &made.branch).is_err());
}

#[test]
fn an_agents_git_obeys_its_settings() {
    let world = World::new();
    let ask = |args: [&str; 2]| {
        let mut run = Run::new(world.git.program()).args(args).cwd(&world.main());
        run = run.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "user.name").env("GIT_CONFIG_VALUE_0", "Kept");
        for (name, value) in grant::agent_env([("GIT_CONFIG_COUNT", "1")]) {
            run = run.env(name, value);
        }
        String::from_utf8(run.output().expect("runs").stdout).expect("text")
    };
    assert_eq!(ask(["config", "gc.auto"]), "0\n");
    assert_eq!(ask(["config", "gc.pruneExpire"]), "never\n");
    assert_eq!(ask(["config", "user.name"]), "Kept\n", "what the user set stays");
}

#[test]
fn locks_of_the_dead_are_swept_and_the_next_commit_works() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    let common = world.main().join(".git");
    for lock in [
        made.site.admin_dir.join("index.lock"),
        made.site.admin_dir.join("HEAD.lock"),
        common.join("refs/heads/standup/T1/1-x.lock"),
    ] {
        write(&lock, "");
    }
    write(&common.join("packed-refs.lock"), "");
    write(&path.join("x"), "x");
    assert!(!world.try_run(path, &["add", "-A"]).ended.is_success());
    assert_eq!(locks::stale_locks(&made.site, Some(&made.branch)).len(), 3);
    assert_eq!(locks::sweep(&made.site, Some(&made.branch)).expect("swept").len(), 3);
    assert!(common.join("packed-refs.lock").exists(), "a shared lock is nobody's to sweep");
    fs::remove_file(common.join("packed-refs.lock")).expect("the test's own");
    world.commit_all(path, "works again");
    assert!(locks::find(&made.site, Some(&made.branch)).is_empty());
}

#[test]
fn a_commit_that_was_killed_leaves_no_lock_behind_a_sweep() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    for n in 0..10 {
        write(&path.join("x"), &format!("{n}\n"));
        world.run(path, &["add", "-A"]);
        let killed = Run::new(world.git.program())
            .args(["commit", "-q", "-a"])
            .cwd(path)
            .env("GIT_EDITOR", "kill -9 $PPID;")
            .env("GIT_CONFIG_GLOBAL", world.root().join("user.config"))
            .timeout(Duration::from_secs(60))
            .output()
            .expect("runs");
        assert_eq!(killed.ended.signal, Some(9), "{}", String::from_utf8_lossy(&killed.stderr));
        assert!(!world.try_run(path, &["commit", "-q", "-a", "-m", "blocked"]).ended.is_success(), "no lock was left");
        assert_eq!(locks::sweep(&made.site, Some(&made.branch)).expect("swept").len(), 1);
        world.run(path, &["commit", "-q", "-a", "-m", "works"]);
    }
}

#[test]
fn a_lock_whose_owner_lives_is_never_touched() {
    let world = World::new();
    let made = world.create(1);
    let path = made.site.worktree.clone();
    write(&path.join("x"), "x");
    world.run(&path, &["add", "-A"]);
    let (started, release) = (world.root().join("started"), world.root().join("release"));
    // Git holds index.lock, closed, while its editor is open.
    let editor =
        format!("touch '{}'; until test -e '{}'; do sleep 0.01; done; echo m >", started.display(), release.display());
    let program = world.git.program().to_owned();
    let (dir, home) = (path.clone(), world.root());
    let commit = std::thread::spawn(move || {
        Run::new(program)
            .args(["commit", "-q", "-a"])
            .cwd(&dir)
            .env("GIT_EDITOR", editor)
            .env("GIT_CONFIG_GLOBAL", home.join("user.config"))
            .timeout(Duration::from_secs(60))
            .output()
    });
    let began = Instant::now();
    while !started.exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "the editor did not start");
        std::thread::yield_now();
    }
    let lock = made.site.admin_dir.join("index.lock");
    assert!(lock.exists());
    let swept = locks::sweep(&made.site, Some(&made.branch)).expect("looked");
    let seen = locks::find(&made.site, Some(&made.branch));
    fs::write(&release, "").expect("release");
    let done = commit.join().expect("thread").expect("runs");
    assert!(swept.is_empty() && seen.iter().all(|l| l.owner.is_some()), "{seen:?}");
    assert!(done.ended.is_success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_lock_that_a_process_has_open_is_named_with_it() {
    let world = World::new();
    let made = world.create(1);
    let lock = made.site.admin_dir.join("index.lock");
    let open = fs::File::create(&lock).expect("lock");
    let found = locks::find(&made.site, None);
    assert_eq!(found[0].owner.map(|id| id.pid), Some(std::process::id()));
    assert!(locks::sweep(&made.site, None).expect("looked").is_empty() && lock.exists());
    drop(open);
    assert_eq!(locks::sweep(&made.site, None).expect("swept"), [lock]);
}
