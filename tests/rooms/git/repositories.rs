//! What is found out about a repository.

use std::fs;
use std::path::Path;

use standup::git::repo::{Head, RefFormat, Scope};
use standup::git::site::InProgress;
use standup::git::{GitError, Repository};

use super::{World, write};

#[test]
fn it_is_found_from_anywhere_in_it() {
    let world = World::new();
    let made = world.create(1);
    for dir in [world.main(), world.main().join("src"), made.site.worktree.clone(), made.site.worktree.join("src")] {
        let repo = Repository::discover(&world.git, &dir).expect("found");
        assert_eq!(repo.main(), Some(world.main().as_path()), "from {}", dir.display());
        assert_eq!(repo.common_dir(), world.main().join(".git"));
        assert!(!repo.is_bare());
    }
    let repo = Repository::discover(&world.git, &world.main().join(".git")).expect("from the git folder");
    assert_eq!(repo.main(), Some(world.main().as_path()));
}

#[test]
fn no_repository_says_how_to_make_one() {
    let world = World::empty();
    let error = Repository::discover(&world.git, &world.root()).expect_err("none");
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    assert!(error.hint().expect("hint").starts_with("git init"));
}

#[test]
fn another_users_repository_is_gits_to_refuse() {
    let world = World::new();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for path in [world.main(), world.main().join(".git")] {
        std::os::unix::fs::chown(&path, Some(12_345), None).expect("chown");
    }
    let error = Repository::discover(&world.git, &world.main()).expect_err("dubious");
    assert!(matches!(&error, GitError::Dubious { path } if *path == world.main()), "{error}");
    assert!(error.hint().expect("hint").contains("safe.directory"));
    world.configure_user(&format!("[safe]\n\tdirectory = {}\n", world.main().display()));
    assert_eq!(world.repository().main(), Some(world.main().as_path()), "what the user allowed is taken");
}

#[test]
fn a_bare_repository_has_worktrees_but_no_checkout() {
    let world = World::new();
    let bare = world.root().join("bare.git");
    world.run(&world.root(), &["clone", "-q", "--bare", "r", "bare.git"]);
    let repo = Repository::discover(&world.git, &bare).expect("found");
    assert!(repo.is_bare() && matches!(repo.require_main(), Err(GitError::Bare { .. })));
    assert!(repo.identity().starts_with("bare-"), "{}", repo.identity());
    let base = repo.resolve_base(&world.git, None).expect("base");
    assert_eq!(base.name, "main");
    let mut plan = world.plan(1);
    plan.copy = vec!["x".parse().expect("pattern")];
    fs::create_dir_all(plan.shadow_dir.parent().expect("parent")).expect("state");
    let made = standup::git::worktree::create(&world.git, &repo, &plan).expect("created");
    assert!(made.notes.iter().any(|n| n.contains("bare repository")), "{:?}", made.notes);
    let again = Repository::discover(&world.git, &made.site.worktree).expect("found from the worktree");
    assert!(again.is_bare() && again.common_dir() == bare);
}

#[test]
fn a_git_folder_elsewhere_is_understood() {
    let world = World::empty();
    let main = world.main();
    fs::create_dir(&main).expect("main");
    world.run(&main, &["init", "-q", "--separate-git-dir", "../elsewhere"]);
    write(&main.join("a"), "x");
    world.commit_all(&main, "first");
    let repo = world.repository();
    assert_eq!((repo.main(), repo.common_dir()), (Some(main.as_path()), world.root().join("elsewhere").as_path()));
    assert!(world.create(1).site.worktree.join("a").exists());
}

#[test]
fn no_commits_are_no_base() {
    let world = World::empty();
    fs::create_dir(world.main()).expect("main");
    world.run(&world.main(), &["init", "-q"]);
    let repo = world.repository();
    assert_eq!(repo.head(&world.git).expect("head"), Head::Unborn { name: "main".into() });
    for wanted in [None, Some("main")] {
        let error = repo.resolve_base(&world.git, wanted).expect_err("none");
        assert!(matches!(error, GitError::NoCommits { .. }), "{error}");
        assert!(error.hint().expect("hint").contains("commit --allow-empty"));
    }
}

#[test]
fn a_bare_repository_without_commits_is_told_to_get_them_by_a_push() {
    let world = World::empty();
    world.run(&world.root(), &["init", "-q", "--bare", "bare.git"]);
    let repo = Repository::discover(&world.git, &world.root().join("bare.git")).expect("a repository");
    let error = repo.resolve_base(&world.git, None).expect_err("none");
    let hint = error.hint().expect("hint");
    assert!(hint.contains("git push") && !hint.contains("commit --allow-empty"), "{hint}");
    assert!(repo.require_main().expect_err("bare").hint().expect("hint").contains("git clone"));
}

#[test]
fn a_detached_head_asks_for_a_base() {
    let world = World::new();
    world.run(&world.main(), &["checkout", "-q", "--detach"]);
    let repo = world.repository();
    let oid = world.head(&world.main());
    assert_eq!(repo.head(&world.git).expect("head"), Head::Detached { oid: oid.clone() });
    let error = repo.resolve_base(&world.git, None).expect_err("none");
    assert!(matches!(error, GitError::DetachedNoBase { .. }), "{error}");
    assert_eq!(repo.resolve_base(&world.git, Some("main")).expect("base").oid, oid);
}

#[test]
fn a_missing_base_names_the_nearest() {
    let world = World::new();
    world.run(&world.main(), &["branch", "release/2.0"]);
    world.run(&world.main(), &["branch", "develop"]);
    let repo = world.repository();
    for (wanted, nearest) in [("mian", "main"), ("devel", "develop"), ("relese/2.0", "release/2.0")] {
        let GitError::MissingBase { nearest: found, .. } =
            repo.resolve_base(&world.git, Some(wanted)).expect_err("none")
        else {
            panic!("missing")
        };
        assert_eq!(found.first().map(String::as_str), Some(nearest), "{wanted}");
    }
    for hostile in ["-x", "--help", "", "a\nb", "\x1b[31m", "@{u}", "main..develop", "zzzzzz"] {
        let error = repo.resolve_base(&world.git, Some(hostile)).expect_err("none");
        assert!(matches!(&error, GitError::MissingBase { .. }), "{hostile:?}: {error}");
        assert!(!error.to_string().contains('\x1b'));
    }
}

#[test]
fn the_base_is_found_locally_then_at_the_remote_then_as_a_revision() {
    let world = World::new();
    world.run(&world.main(), &["branch", "only-there"]);
    world.run(&world.main(), &["tag", "v1"]);
    world.run(&world.root(), &["clone", "-q", "r", "clone"]);
    let clone = world.root().join("clone");
    let repo = Repository::discover(&world.git, &clone).expect("found");
    assert_eq!(repo.origin_head(&world.git).expect("origin").as_deref(), Some("main"));
    let name = |wanted: Option<&str>| {
        let base = repo.resolve_base(&world.git, wanted).expect("base");
        (base.name, base.reference)
    };
    assert_eq!(name(None), ("main".into(), Some("refs/heads/main".into())));
    assert_eq!(name(Some("only-there")), ("origin/only-there".into(), Some("refs/remotes/origin/only-there".into())));
    assert_eq!(name(Some("origin/main")), ("origin/main".into(), Some("refs/remotes/origin/main".into())));
    assert_eq!(name(Some("v1")), ("v1".into(), None));
    assert_eq!(name(Some("HEAD~0")), ("HEAD~0".into(), None));
    world.run(&clone, &["checkout", "-q", "-b", "topic"]);
    assert_eq!(name(None).0, "main", "origin's main branch goes before the current one");
    world.run(&clone, &["remote", "set-head", "origin", "--delete"]);
    assert_eq!(name(None).0, "topic");
    let base = repo.resolve_base(&world.git, None).expect("base");
    let written = world.run(&clone, &["show", "-s", "--format=%ct", base.oid.as_str()]);
    assert_eq!(base.at.0, written.parse::<i64>().expect("seconds") * 1_000);
}

#[test]
fn what_is_half_done_in_main_is_seen() {
    let world = World::new();
    let main = world.main();
    assert_eq!(world.repository().in_progress(), None);
    world.run(&main, &["checkout", "-q", "-b", "other"]);
    world.write("a.txt", "other\n");
    world.commit_all(&main, "other");
    world.run(&main, &["checkout", "-q", "main"]);
    world.write("a.txt", "main\n");
    world.commit_all(&main, "main");
    for (args, wanted) in [
        (["merge", "other"], InProgress::Merge),
        (["rebase", "other"], InProgress::Rebase),
        (["cherry-pick", "other"], InProgress::CherryPick),
    ] {
        assert!(!world.try_run(&main, &args).ended.is_success());
        assert_eq!(world.repository().in_progress(), Some(wanted));
        world.run(&main, &[args[0], "--abort"]);
    }
    world.create(1);
}

#[test]
fn a_dirty_main_checkout_is_seen_without_running_its_programs() {
    let world = World::new();
    let repo = world.repository();
    let scratch = world.root().join("state/look");
    assert!(!repo.is_dirty(&world.git, &scratch).expect("clean"));
    world.write("untracked", "x");
    assert!(!repo.is_dirty(&world.git, &scratch).expect("untracked files are no change to the base"));
    world.write("a.txt", "changed\n");
    let ran = world.root().join("ran");
    world.run(&world.main(), &["config", "filter.x.clean", &format!("touch '{}'; cat", ran.display())]);
    world.write(".git/info/attributes", "* filter=x\n");
    assert!(repo.is_dirty(&world.git, &scratch).expect("dirty"));
    assert!(!ran.exists(), "a filter of the repository's own configuration ran");
    world.run(&world.main(), &["config", "--unset", "filter.x.clean"]);
    world.run(&world.main(), &["add", "a.txt"]);
    assert!(repo.is_dirty(&world.git, &scratch).expect("staged"));
}

#[test]
fn filters_are_listed_with_who_named_them() {
    let world = World::new();
    world.configure_user("[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\trequired = true\n");
    world.run(&world.main(), &["config", "filter.own.smudge", "cat"]);
    world.run(&world.main(), &["config", "filter.a.b.clean", "tac"]);
    let repo = world.repository();
    let found: Vec<(String, Scope)> = repo.filters().into_iter().map(|f| (f.name, f.scope)).collect();
    assert_eq!(
        found,
        [("a.b".into(), Scope::Repository), ("lfs".into(), Scope::User), ("own".into(), Scope::Repository)]
    );
    assert_eq!(repo.local_filters().len(), 2);
    assert_eq!(repo.local_filters()[1].values["smudge"], "cat");
}

#[test]
fn its_identity_is_stable_and_its_own() {
    let world = World::new();
    let identity = world.repository().identity();
    assert_eq!(identity, world.repository().identity());
    let (name, digits) = identity.rsplit_once('-').expect("two parts");
    assert!(name == "r" && digits.len() == 8, "{identity}");
    let other = World::new();
    assert_ne!(other.repository().identity(), identity);
    let odd = world.root().join("a b\x1b[31m\n..");
    fs::create_dir(&odd).expect("folder");
    world.run(&odd, &["init", "-q"]);
    // Git's answers are lines, so a path that holds one is refused, not misread.
    assert!(Repository::discover(&world.git, &odd).is_err());
}

#[test]
fn the_formats_are_known() {
    let world = World::new();
    let repo = world.repository();
    assert_eq!((repo.ref_format(), repo.object_format()), (RefFormat::Files, "sha1"));
    assert!(!repo.is_shallow() && !repo.is_sparse() && repo.promisor().is_none());
    assert!(repo.submodules(&world.git, &world.head(&world.main())).expect("none").is_empty());
    assert_eq!(repo.root(), Path::new(&world.main()));
}
