//! What a new worktree is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use standup::git::GitError;
use standup::git::worktree::{self, Recovered};
use standup::model::name::Pattern;

use super::{World, branch, write};

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|t| Pattern::new(*t).expect("pattern")).collect()
}

#[test]
fn a_worktree_is_made_locked_and_clean() {
    let world = World::new();
    let made = world.create(7);
    let path = &made.site.worktree;
    assert_eq!(fs::read_to_string(path.join("a.txt")).expect("file"), "one\ntwo\nthree\n");
    assert_eq!(world.run(path, &["status", "--porcelain"]), "", "git sees no change, and not our folder");
    assert_eq!(world.run(path, &["symbolic-ref", "--short", "HEAD"]), "standup/T7/1-x");
    assert_eq!(world.head(path), made.base_oid);
    assert_eq!(world.run(path, &["rev-parse", "--show-toplevel"]), path.display().to_string());
    let listed = world.run(&world.main(), &["worktree", "list", "--porcelain"]);
    assert!(listed.contains(&format!("worktree {}\n", path.display())), "{listed}");
    assert!(listed.contains("locked standup:T7/1"), "{listed}");
    assert!(made.notes.is_empty(), "{:?}", made.notes);
    assert!(world.run(path, &["reflog", "show", "standup/T7/1-x"]).contains("created from"));
    assert_eq!(world.try_run(&world.main(), &["config", "branch.standup/T7/1-x.merge"]).ended.code, Some(1));
}

#[test]
fn our_folder_keeps_itself_out_of_commits() {
    let world = World::new();
    let made = world.create(1);
    for name in ["outbox", "inbox", ".gitignore"] {
        assert!(made.run_dir.join(name).exists(), "{name}");
    }
    fs::write(made.run_dir.join("brief.md"), "x").expect("brief");
    world.run(&made.site.worktree, &["add", "-A"]);
    assert_eq!(world.run(&made.site.worktree, &["status", "--porcelain"]), "");
}

#[test]
fn git_finds_nothing_to_mend_and_work_goes_on_in_it() {
    let world = World::new();
    let made = world.create(1);
    let path = &made.site.worktree;
    write(&path.join("new.txt"), "x\n");
    let first = world.commit_all(path, "work");
    world.run(path, &["commit", "-q", "--amend", "-m", "better"]);
    world.run(path, &["switch", "-q", "-c", "aside"]);
    world.run(path, &["switch", "-q", "standup/T1/1-x"]);
    world.run(path, &["reset", "-q", "--hard", first.as_str()]);
    assert!(world.run(path, &["reflog", "show", "HEAD"]).lines().count() >= 4, "HEAD has a log");
    world.run(&world.main(), &["worktree", "prune", "--expire=now"]);
    world.run(&world.main(), &["fsck", "--strict"]);
    assert_eq!(world.head(path), first);
    fs::remove_dir_all(path).expect("an agent deletes its worktree");
    world.run(&world.main(), &["worktree", "prune", "--expire=now"]);
    assert!(made.site.admin_dir.exists(), "a locked entry survives pruning");
}

#[test]
fn an_empty_folder_may_stand_there() {
    let world = World::new();
    let plan = world.plan(1);
    fs::create_dir_all(&plan.path).expect("folder");
    assert!(world.create_by(&plan).site.worktree.join("a.txt").exists());
}

#[test]
fn two_worktrees_of_the_same_name_get_two_entries() {
    let world = World::new();
    let (mut one, mut two) = (world.plan(1), world.plan(2));
    one.path = world.root().join("w/x/same");
    two.path = world.root().join("w/y/same");
    let (one, two) = (world.create_by(&one), world.create_by(&two));
    assert_ne!(one.site.admin_dir, two.site.admin_dir);
    assert_eq!(world.run(&two.site.worktree, &["status", "--porcelain"]), "");
}

#[test]
fn odd_but_valid_names_work() {
    let world = World::new();
    for (number, (folder, name)) in
        [("wörk 💥", "💥/ünï-日本"), ("it's", "con"), ("a.lock", "x/y.z"), ("-x", "a--b")].iter().enumerate()
    {
        let mut plan = world.plan(u32::try_from(number).expect("small") + 1);
        plan.path = world.root().join("w").join(folder);
        plan.branch = standup::model::name::BranchName::new(*name).expect("branch");
        let made = world.create_by(&plan);
        assert_eq!(world.run(&made.site.worktree, &["symbolic-ref", "--short", "HEAD"]), *name);
        assert_eq!(world.run(&made.site.worktree, &["status", "--porcelain"]), "");
    }
}

#[test]
fn hooks_of_the_repository_do_not_run() {
    let world = World::new();
    let ran = world.root().join("ran");
    for hook in ["post-checkout", "reference-transaction", "post-index-change"] {
        let path = world.main().join(".git/hooks").join(hook);
        write(&path, &format!("#!/bin/sh\necho {hook} >> '{}'\n", ran.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    world.create(1);
    assert!(!ran.exists(), "{:?}", fs::read_to_string(ran));
}

#[test]
fn untracked_files_are_copied_and_tracked_ones_never() {
    let world = World::new();
    world.write(".env", "SECRET=1\n");
    fs::set_permissions(world.main().join(".env"), fs::Permissions::from_mode(0o640)).expect("chmod");
    world.write("target/deep/cache.bin", "c");
    world.write("notes.local", "n");
    world.write("a.txt", "changed in main\n");
    let mut plan = world.plan(1);
    plan.copy = patterns(&[".env", "target", "*.local", "a.txt", "absent/**"]);
    let made = world.create_by(&plan);
    let path = &made.site.worktree;
    assert_eq!(fs::read_to_string(path.join(".env")).expect("copied"), "SECRET=1\n");
    assert_eq!(fs::metadata(path.join(".env")).expect("meta").mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(path.join("target/deep/cache.bin")).expect("copied"), "c");
    assert_eq!(fs::read_to_string(path.join("a.txt")).expect("tracked"), "one\ntwo\nthree\n");
    assert!(
        made.notes.iter().any(|n| n.contains("not ignored by git") && n.contains("notes.local") && !n.contains(".env")),
        "{:?}",
        made.notes
    );
}

#[test]
fn a_worktreeinclude_is_read_as_gitignore_is() {
    let world = World::new();
    world.write(".worktreeinclude", "# local files\n*.env\n!prod.env\n/target/\n");
    world.commit_all(&world.main(), "list");
    for (file, text) in [("dev.env", "d"), ("prod.env", "p"), ("sub/x.env", "x"), ("target/t", "t"), ("other", "o")] {
        world.write(file, text);
    }
    let path = world.create(1).site.worktree;
    assert!(path.join("dev.env").exists() && path.join("sub/x.env").exists() && path.join("target/t").exists());
    assert!(!path.join("prod.env").exists() && !path.join("other").exists());
}

#[test]
fn no_link_leads_out_and_nothing_is_overwritten() {
    let world = World::new();
    write(&world.root().join("outside/secret"), "s");
    symlink(world.root().join("outside/secret"), world.main().join(".env")).expect("link out");
    symlink("../outside", world.main().join("target")).expect("folder link out");
    symlink("a.txt", world.main().join("in.local")).expect("link in");
    rustix::fs::mkfifoat(rustix::fs::CWD, world.main().join("fifo.local"), rustix::fs::Mode::RWXU).expect("fifo");
    let mut plan = world.plan(1);
    plan.copy = patterns(&[".env", "target/**", "target", "*.local"]);
    let made = world.create_by(&plan);
    let path = &made.site.worktree;
    assert!(fs::symlink_metadata(path.join(".env")).is_err());
    assert!(fs::symlink_metadata(path.join("target")).is_err());
    assert_eq!(fs::read_link(path.join("in.local")).expect("link"), Path::new("a.txt"));
    assert!(
        made.notes.iter().any(|n| n.contains("link out of the repository") && n.contains(".env")),
        "{:?}",
        made.notes
    );
}

#[test]
fn a_link_is_made_only_where_git_ignores_it() {
    let world = World::new();
    world.write("node_modules/x/index.js", "x");
    world.write("target/t", "t");
    let mut plan = world.plan(1);
    plan.link = patterns(&["node_modules", "target", "src", "absent"]);
    let made = world.create_by(&plan);
    let path = &made.site.worktree;
    assert_eq!(fs::read_link(path.join("node_modules")).expect("link"), world.main().join("node_modules"));
    assert!(fs::symlink_metadata(path.join("target")).is_err(), "`/target/` does not ignore a link");
    assert!(path.join("src").is_dir() && !path.join("src").is_symlink());
    assert!(made.notes.iter().any(|n| n.contains("without a slash") && n.contains("target")), "{:?}", made.notes);
    assert!(made.notes.iter().any(|n| n.contains("git tracks files there") && n.contains("src")), "{:?}", made.notes);
    assert_eq!(world.run(path, &["status", "--porcelain"]), "");
}

#[test]
fn a_finished_creation_is_recovered_whole() {
    let world = World::new();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    let Recovered::Whole(again) = worktree::recover(&world.git, &world.repository(), &plan).expect("recover") else {
        panic!("it is whole")
    };
    assert_eq!(again.site, made.site);
    assert_eq!(again.shadow.tree_hash().expect("hash"), made.shadow.tree_hash().expect("hash"));
}

#[test]
fn a_creation_that_was_killed_is_taken_back_whole() {
    let world = World::new();
    let plan = world.plan(1);
    let before = world.traces();
    let cut: [fn(&World, &worktree::Created); 4] = [
        // Killed during the checkout.
        |_, made| fs::remove_dir_all(&made.run_dir).expect("run dir"),
        // Killed before the entry was in place.
        |_, made| {
            fs::remove_dir_all(&made.site.admin_dir).expect("entry");
            for entry in fs::read_dir(&made.site.worktree).expect("dir").flatten() {
                let path = entry.path();
                let _ = if path.is_dir() {
                    fs::remove_dir_all(&path)
                } else if path.ends_with(".git") {
                    Ok(())
                } else {
                    fs::remove_file(&path)
                };
            }
        },
        // Killed after the branch.
        |_, made| {
            fs::remove_dir_all(&made.site.admin_dir).expect("entry");
            fs::remove_dir_all(&made.site.worktree).expect("folder");
        },
        // Killed before anything.
        |world, made| {
            fs::remove_dir_all(&made.site.admin_dir).expect("entry");
            fs::remove_dir_all(&made.site.worktree).expect("folder");
            world.run(&world.main(), &["branch", "-qD", made.branch.as_str()]);
        },
    ];
    for (step, cut) in cut.iter().enumerate() {
        let made = world.create_by(&plan);
        fs::remove_dir(made.run_dir.join("inbox")).expect("not that far");
        fs::remove_file(plan.shadow_dir.join("whole")).expect("not that far");
        cut(&world, &made);
        let outcome = worktree::recover(&world.git, &world.repository(), &plan).expect("recover");
        assert!(matches!(outcome, Recovered::Nothing), "step {step}");
        let mut after = world.traces();
        after.remove(&world.root().join("w").display().to_string());
        assert_eq!(after, before, "step {step}");
    }
}

#[test]
fn recovery_never_removes_work() {
    let world = World::new();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    let path = &made.site.worktree;
    let recover = || worktree::recover(&world.git, &world.repository(), &plan);
    write(&path.join("work"), "x");
    world.commit_all(path, "work");
    let error = recover().expect_err("an agent has worked in it");
    assert!(matches!(error, GitError::Unproven { .. }), "{error}");
    // The state is lost, and the agent tidied away our folder.
    fs::remove_dir_all(&plan.shadow_dir).expect("lost");
    assert!(matches!(recover().expect_err("kept"), GitError::WouldLose { .. }));
    fs::remove_dir_all(path.join(".standup")).expect("tidied");
    assert!(matches!(recover().expect_err("kept"), GitError::WouldLose { .. }));
    assert!(path.join("work").exists());
}

#[test]
fn nothing_of_mains_takes_the_place_of_our_folder() {
    let world = World::new();
    fs::create_dir(world.root().join("outside")).expect("outside");
    symlink("target", world.main().join(".standup")).expect("link");
    world.write("target/x", "x");
    let mut plan = world.plan(1);
    plan.copy = patterns(&[".standup", "target/**"]);
    let made = world.create_by(&plan);
    assert!(!made.site.worktree.join(".standup").is_symlink());
    assert!(made.run_dir.join("inbox").is_dir() && !made.site.worktree.join("target/run").exists());
}

#[test]
fn recovery_leaves_what_is_not_ours() {
    let world = World::new();
    let plan = world.plan(1);
    world.run(&world.main(), &["branch", branch(1).as_str()]);
    write(&world.main().join("more"), "x");
    let moved = world.commit_all(&world.main(), "more");
    world.run(&world.main(), &["branch", "-f", branch(1).as_str(), moved.as_str()]);
    write(&plan.path.join("precious"), "x");
    assert!(matches!(worktree::recover(&world.git, &world.repository(), &plan).expect("recover"), Recovered::Nothing));
    assert!(plan.path.join("precious").exists());
    assert_eq!(world.run(&world.main(), &["rev-parse", branch(1).as_str()]), moved.as_str());
}

#[test]
fn recovery_owns_only_what_this_very_plan_began() {
    let world = World::new();
    let recover = |plan: &worktree::Plan| worktree::recover(&world.git, &world.repository(), plan).expect("recover");
    let plan = world.plan(1);
    // By hand, at the base; git's own words in its log are not ours.
    world.run(&world.main(), &["branch", branch(1).as_str()]);
    assert!(matches!(recover(&plan), Recovered::Nothing));
    world.run(&world.main(), &["rev-parse", "--verify", branch(1).as_str()]);
    world.run(&world.main(), &["branch", "-qD", branch(1).as_str()]);
    // By a plan of the same names, of a state that was lost: neither whole nor half-made is it ours.
    let theirs = worktree::Plan { owner: "standup r T1/1 0".into(), ..plan.clone() };
    let made = world.create_by(&theirs);
    write(&made.site.worktree.join("work"), "not committed");
    let before = world.traces();
    assert!(matches!(recover(&plan), Recovered::Nothing));
    fs::remove_file(plan.shadow_dir.join("whole")).expect("not that far");
    fs::remove_dir(made.run_dir.join("inbox")).expect("not that far");
    assert!(matches!(recover(&plan), Recovered::Nothing));
    assert_eq!(world.traces().len(), before.len() - 1, "nothing but the inbox is gone");
    let error = worktree::create(&world.git, &world.repository(), &plan).expect_err("taken");
    assert!(matches!(error, GitError::BranchExists { .. }), "before the folder that is taken, too: {error}");
    assert!(made.site.worktree.join("work").exists());
}

#[test]
fn a_branch_that_a_checkout_is_on_is_never_taken_back() {
    for options in [&[][..], &["--ref-format=reftable"]] {
        let too_old = World::empty().git.version() < (standup::git::cli::Version { major: 2, minor: 45, patch: 0 });
        if too_old && !options.is_empty() {
            return;
        }
        let world = World::with_format(options);
        let plan = world.plan(1);
        let made = world.create_by(&plan);
        fs::remove_dir(made.run_dir.join("inbox")).expect("not that far");
        fs::remove_file(plan.shadow_dir.join("whole")).expect("not that far");
        world.run(&world.main(), &["checkout", "-q", "--ignore-other-worktrees", branch(1).as_str()]);
        let outcome = worktree::recover(&world.git, &world.repository(), &plan).expect("recover");
        assert!(matches!(outcome, Recovered::Nothing) && !made.site.worktree.exists());
        assert_eq!(world.head(&world.main()), plan.base);
        let error = worktree::create(&world.git, &world.repository(), &plan).expect_err("taken");
        assert!(error.to_string().contains("checked out in"), "{error}");

        let plan = world.plan(2);
        let made = world.create_by(&plan);
        world.run(&world.main(), &["checkout", "-q", "--ignore-other-worktrees", branch(2).as_str()]);
        let error = worktree::discard(&world.git, &world.repository(), &plan, &made.shadow, "why").expect_err("held");
        assert!(matches!(&error, GitError::BranchHeld { worktree, .. } if *worktree == world.main()), "{error}");
        assert_eq!(world.head(&world.main()), plan.base);
    }
}

#[test]
fn what_was_to_be_said_is_still_known_after_a_recovery() {
    let world = World::new();
    world.write(".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = ./s\n");
    let oid = world.head(&world.main()).to_string();
    world.run(&world.main(), &["update-index", "--add", "--cacheinfo", &format!("160000,{oid},s")]);
    world.run(&world.main(), &["add", ".gitmodules"]);
    world.run(&world.main(), &["commit", "-qm", "a submodule"]);
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    assert!(made.notes.iter().any(|note| note.contains("Submodules are empty")), "{:?}", made.notes);
    let Recovered::Whole(again) = worktree::recover(&world.git, &world.repository(), &plan).expect("recover") else {
        panic!("it is whole")
    };
    assert_eq!(again.notes, made.notes);
}

#[test]
fn an_unused_worktree_is_discarded_and_a_used_one_kept() {
    let world = World::new();
    let before = world.traces();
    let plan = world.plan(1);
    let made = world.create_by(&plan);
    let repo = world.repository();
    for (what, undo) in [("a.txt", "one\ntwo\nthree\n"), ("new.txt", "")] {
        write(&made.site.worktree.join(what), "work\n");
        let error = worktree::discard(&world.git, &repo, &plan, &made.shadow, "why").expect_err("kept");
        assert!(error.to_string().contains("it holds changes"), "{error}");
        assert!(made.site.worktree.join(what).exists());
        if undo.is_empty() {
            fs::remove_file(made.site.worktree.join(what)).expect("undo");
        } else {
            write(&made.site.worktree.join(what), undo);
        }
    }
    write(&made.site.worktree.join("target/setup.log"), "ignored");
    worktree::discard(&world.git, &repo, &plan, &made.shadow, "why").expect("discarded");
    let mut after = world.traces();
    after.remove(&world.root().join("w").display().to_string());
    assert_eq!(after, before);

    let made = world.create_by(&plan);
    write(&made.site.worktree.join("new"), "x");
    world.commit_all(&made.site.worktree, "work");
    let error = worktree::discard(&world.git, &repo, &plan, &made.shadow, "why").expect_err("kept");
    assert!(error.to_string().contains("its branch has moved"), "{error}");
}
