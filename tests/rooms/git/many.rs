//! Many at once, while others use the repository.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use standup::git::worktree;
use standup::git::{Git, Repository};

use super::{World, write};

/// Makes `count` worktrees at once in each of `rounds` rounds, while agents commit in worktrees of
/// their own and somebody adds and removes worktrees with plain git.
fn storm(world: &World, rounds: u32, count: u32) {
    let agents: Vec<_> = (1001..1004).map(|n| world.create(n)).collect();
    let stop = AtomicBool::new(false);
    let repo: Repository = world.repository();
    let git: Git = world.git.clone();
    thread::scope(|scope| {
        let stop = &stop;
        let commits: Vec<_> = agents
            .iter()
            .map(|agent| {
                scope.spawn(move || {
                    let mut done = 0;
                    while !stop.load(Ordering::Relaxed) {
                        write(&agent.site.worktree.join("work"), &format!("{done}\n"));
                        world.commit_all(&agent.site.worktree, "work");
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let other = scope.spawn(move || {
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                // Their own race is theirs; what counts is that it does not become ours.
                if world.try_run(&world.main(), &["worktree", "add", "-q", "--detach", "../other"]).ended.is_success() {
                    made += 1;
                }
                world.try_run(&world.main(), &["worktree", "remove", "--force", "../other"]);
            }
            made
        });
        for round in 0..rounds {
            let makers: Vec<_> = (1..=count)
                .map(|n| {
                    let plan = world.plan(round * count + n);
                    fs::create_dir_all(plan.shadow_dir.parent().expect("parent")).expect("state");
                    let (git, repo) = (&git, &repo);
                    scope.spawn(move || worktree::create(git, repo, &plan))
                })
                .collect();
            let made: Vec<_> = makers.into_iter().map(|m| m.join().expect("thread").expect("created")).collect();
            let entries: BTreeSet<_> = made.iter().map(|m| m.site.admin_dir.clone()).collect();
            assert_eq!(entries.len(), count as usize);
            for created in &made {
                let stat = created.shadow.status(&world.against(&created.base_oid)).expect("status");
                assert_eq!((stat.files, stat.dirty), (0, false));
            }
        }
        stop.store(true, Ordering::Relaxed);
        for (agent, commits) in agents.iter().zip(commits) {
            let done: u64 = commits.join().expect("no commit of an agent failed");
            let stat = agent.shadow.status(&world.against(&agent.base_oid)).expect("status");
            assert_eq!(stat.commits, done, "a commit was lost");
        }
        other.join().expect("the other's thread");
    });
    let main = world.main();
    world.run(&main, &["fsck", "--strict"]);
    let listed = world.run(&main, &["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("locked standup:").count(), (rounds * count) as usize + agents.len());
    let left = fs::read_dir(main.join(".git")).expect("dir").flatten();
    let odd: Vec<_> = left.map(|e| e.file_name()).filter(|n| n.to_string_lossy().starts_with('.')).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn forty_at_once() {
    storm(&World::new(), 1, 40);
}

/// There git's own `worktree add` makes the entries, which other gits disturb.
#[test]
fn many_at_once_in_a_reftable() {
    let world = World::empty();
    if world.git.version() < (standup::git::cli::Version { major: 2, minor: 45, patch: 0 }) {
        return;
    }
    let world = World::with_format(&["--ref-format=reftable"]);
    world.configure_user("[reftable]\n\tlockTimeout = 20000\n");
    let repo = world.repository();
    thread::scope(|scope| {
        let makers: Vec<_> = (1..=12)
            .map(|n| {
                let (world, repo) = (&world, &repo);
                scope.spawn(move || worktree::create(&world.git, repo, &world.plan(n)).map(|made| made.site.admin_dir))
            })
            .collect();
        let other = scope.spawn(|| {
            for _ in 0..10 {
                world.try_run(&world.main(), &["worktree", "add", "-q", "--detach", "../other"]);
                world.try_run(&world.main(), &["worktree", "remove", "--force", "../other"]);
            }
        });
        let made: BTreeSet<_> = makers.into_iter().map(|m| m.join().expect("thread").expect("created")).collect();
        assert_eq!(made.len(), 12);
        other.join().expect("the other's thread");
    });
}

/// All of it with `STANDUP_STRESS=1`: 20 rounds of 50.
#[test]
fn round_after_round() {
    let world = World::new();
    if std::env::var_os("STANDUP_STRESS").is_some() { storm(&world, 20, 50) } else { storm(&world, 3, 10) }
}

#[test]
fn of_many_that_want_one_branch_one_gets_it() {
    let world = World::new();
    let repo = world.repository();
    let won = thread::scope(|scope| {
        let makers: Vec<_> = (1..=8)
            .map(|n| {
                let mut plan = world.plan(n);
                plan.branch = super::branch(1);
                fs::create_dir_all(plan.shadow_dir.parent().expect("parent")).expect("state");
                let (git, repo) = (&world.git, &repo);
                scope.spawn(move || worktree::create(git, repo, &plan).is_ok())
            })
            .collect();
        makers.into_iter().map(|m| m.join().expect("thread")).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(fs::read_dir(world.root().join("w")).expect("dir").count(), 1);
    assert_eq!(fs::read_dir(world.main().join(".git/worktrees")).expect("dir").count(), 1);
}
