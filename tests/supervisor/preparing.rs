//! The worktree of an attempt: whose branch it is, what git settings hold, what is said about it,
//! and what is done before it goes.

use standup::model::attempt::{End, Phase};
use standup::model::board::Board;
use standup::model::input::Command as Wish;
use standup::model::task::Column;

use crate::scene::{Scene, git, id, playing, poll, scripted};

/// What the command line says, which must succeed.
fn standup(scene: &Scene, args: &[&str]) -> String {
    let mut command = scene.command(env!("CARGO_BIN_EXE_standup"));
    let out = command.arg("-C").arg(scene.repo()).args(args).output().expect("standup runs");
    assert!(out.status.success(), "standup {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("utf-8")
}

fn hold(board: &Board, number: u32) -> Option<String> {
    board.holds.iter().find(|h| h.task == id(number)).map(|h| h.text.clone())
}

fn with_setup(script: &str, setup: &str) -> String {
    scripted(script) + &format!("[worktrees]\nsetup = [\"{setup}\"]\n")
}

#[test]
fn a_branch_that_main_has_checked_out_is_left_alone_whether_or_not_setup_passes() {
    for setup in ["false", "true"] {
        let mut scene = Scene::new(&with_setup("echo work > done", setup));
        let repo = scene.repo();
        scene.start();
        // Later than the start: the number of one that was there before is not given again.
        git(&repo, &["checkout", "-q", "-b", "standup/T1/1-same-title"]);
        git(&repo, &["commit", "-q", "--allow-empty", "-m", "theirs"]);
        let before = git(&repo, &["rev-parse", "HEAD"]);
        scene.add(&["Same title"]);
        scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
        let settled = |b: &Board| {
            let task = &b.tasks[&id(1)];
            task.attempts.len() > 1 && (task.column == Column::Review || task.needs_you.is_some())
        };
        let board = scene.until("the next number", settled);
        assert_eq!(git(&repo, &["symbolic-ref", "HEAD"]), "refs/heads/standup/T1/1-same-title", "{setup}");
        assert_eq!(git(&repo, &["rev-parse", "HEAD"]), before, "{setup}");
        let attempt = board.tasks[&id(1)].attempt().expect("attempt");
        assert_eq!((attempt.no.get(), attempt.branch.as_str()), (2, "standup/T1/2-same-title"), "{setup}");
    }
}

#[test]
fn a_branch_that_stands_at_the_base_is_left_alone_whether_or_not_setup_passes() {
    for setup in ["false", "true"] {
        let mut scene = Scene::new(&with_setup("echo work > done", setup));
        let repo = scene.repo();
        scene.start();
        git(&repo, &["branch", "standup/T1/1-taken"]);
        let before = git(&repo, &["reflog", "standup/T1/1-taken"]);
        scene.add(&["Taken"]);
        scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
        let settled = |b: &Board| {
            let task = &b.tasks[&id(1)];
            task.attempts.len() > 1 && (task.column == Column::Review || task.needs_you.is_some())
        };
        scene.until("the next number", settled);
        assert_eq!(git(&repo, &["reflog", "standup/T1/1-taken"]), before, "{setup}");
    }
}

#[test]
fn work_of_a_state_that_was_lost_is_left_alone_and_its_number_not_given_again() {
    for all in [true, false] {
        let mut scene = Scene::new(&scripted("echo $STANDUP_TASK/$STANDUP_ATTEMPT > done"));
        scene.start();
        scene.add(&["Same title"]);
        scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
        let board = scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
        let old = board.tasks[&id(1)].attempt().expect("attempt").clone();
        scene.kill();
        let state = scene.place.layout.state_dir().to_owned();
        for entry in std::fs::read_dir(&state).expect("state").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && all {
                std::fs::remove_dir_all(entry.path()).expect("lost");
            } else if name.starts_with("standup.db") {
                std::fs::remove_file(entry.path()).expect("lost");
            }
        }
        scene.place.layout.prepare().expect("layout");
        std::fs::write(old.worktree.join("precious"), "not committed").expect("write");
        scene.start();
        scene.add(&["Same title"]);
        scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
        let board = scene.until("review again", |b| b.tasks.get(&id(2)).is_some_and(|t| t.column == Column::Review));
        let new = board.tasks[&id(2)].attempt().expect("attempt");
        assert_eq!((new.no.get(), board.tasks.len()), (1, 1), "all lost: {all}");
        assert!(!new.worktree.join("precious").exists() && old.worktree.join("precious").exists());
        let branches = git(&scene.repo(), &["for-each-ref", "--format=%(refname:short)", "refs/heads/standup"]);
        assert_eq!(branches, "standup/T1/1-same-title\nstandup/T2/1-same-title");
    }
}

#[test]
fn a_filter_that_was_approved_meanwhile_runs_at_the_next_start() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    std::fs::write(scene.repo().join(".gitattributes"), "*.up filter=up\n").expect("write");
    std::fs::write(scene.repo().join("x.up"), "quiet\n").expect("write");
    git(&scene.repo(), &["add", "-A"]);
    git(&scene.repo(), &["commit", "-qm", "files"]);
    scene.start();
    git(&scene.repo(), &["config", "filter.up.smudge", "tr a-z A-Z"]);
    git(&scene.repo(), &["config", "filter.up.clean", "tr A-Z a-z"]);
    standup(&scene, &["trust", "--yes"]);
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let text = std::fs::read_to_string(scene.attempt(1).worktree.join("x.up")).expect("file");
    assert_eq!(text, "QUIET\n");
}

#[test]
fn a_filter_that_nobody_approved_holds_the_next_start() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    scene.start();
    git(&scene.repo(), &["config", "filter.up.smudge", "tr a-z A-Z"]);
    scene.client().ask(&standup::wire::control::Request::Reload {}).expect("reload");
    scene.start_tasks(1);
    let board = scene.until("the hold", |b| hold(b, 1).is_some_and(|text| text.contains("not approved")));
    assert!(board.tasks[&id(1)].attempts.is_empty());
}

#[test]
fn a_checkout_that_was_made_sparse_meanwhile_makes_the_next_worktree_sparse_and_show_says_so() {
    let mut scene = Scene::new(&scripted("echo work > a/done"));
    for path in ["a/one", "b/two"] {
        let path = scene.repo().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, "x\n").expect("write");
    }
    git(&scene.repo(), &["add", "-A"]);
    git(&scene.repo(), &["commit", "-qm", "files"]);
    scene.start();
    git(&scene.repo(), &["sparse-checkout", "set", "a"]);
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let worktree = scene.attempt(1).worktree;
    assert!(worktree.join("a/one").exists() && !worktree.join("b/two").exists());
    let text = standup(&scene, &["show", "T1"]);
    assert!(text.contains("The checkout is sparse"), "{text}");
}

#[test]
fn what_is_not_committed_in_main_is_said_to_be_missing() {
    let mut scene = Scene::new(&scripted("echo work > done"));
    std::fs::write(scene.repo().join("README"), "changed\n").expect("write");
    scene.start();
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let text = standup(&scene, &["show", "T1"]);
    assert!(text.contains("main checkout has uncommitted changes"), "{text}");
    let json = standup(&scene, &["show", "T1", "--json"]);
    assert!(json.contains("main checkout has uncommitted changes"), "{json}");
}

#[test]
fn what_setup_began_is_torn_down_before_its_worktree_goes() {
    let mut scene = Scene::new("schema = 1\n");
    let seen = scene.home().join("seen");
    let lines = format!(
        "[worktrees]\nsetup = [\"false\"]\nteardown = [\"echo $STANDUP_TASK:$PWD >> {seen}; exit 3\", \"echo second >> {seen}\"]\n",
        seen = seen.display()
    );
    std::fs::write(scene.repo().join("agents.toml"), scripted("exit 0") + &lines).expect("write");
    scene.approve();
    scene.start();
    scene.start_tasks(1);
    let board = scene.until("the failure", |b| b.tasks[&id(1)].needs_you.is_some());
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    let said = std::fs::read_to_string(&seen).expect("teardown ran");
    assert_eq!(said, format!("T1:{}\nsecond\n", attempt.worktree.display()));
    assert!(!attempt.worktree.exists());
    let question = &board.tasks[&id(1)].needs_you.as_ref().expect("need").question;
    assert!(question.contains("teardown") && question.contains("ended with 3"), "{question}");
    assert!(scene.place.layout.logs_dir().join("T1-1-teardown.log").exists());
}

fn tearing_down(scene: &Scene, base: &str) -> std::path::PathBuf {
    let seen = scene.home().join("seen");
    let lines = format!("[worktrees]\nteardown = [\"echo $STANDUP_TASK >> {}; test -f README\"]\n", seen.display());
    std::fs::write(scene.repo().join("agents.toml"), base.to_owned() + &lines).expect("write");
    scene.approve();
    seen
}

#[test]
fn a_closed_task_is_torn_down_once_its_agent_has_ended() {
    let mut scene = Scene::new("schema = 1\n");
    let seen = tearing_down(&scene, &playing(&["count=20", "exit=0"]));
    scene.start();
    scene.live(2);
    assert!(!seen.exists());
    scene.wish(Wish::Cancel { task: id(1), reason: "enough".into() }).expect("cancel");
    poll("the first", || std::fs::read_to_string(&seen).is_ok_and(|text| text == "T1\n"));
    let ended = |b: &Board, n| matches!(b.tasks[&id(n)].attempt().expect("attempt").phase, Phase::Ended { .. });
    assert!(ended(&scene.board(), 1), "never while its agent lives");
    scene.signal_file(2, "stop");
    scene.until("its end", |b| ended(b, 2));
    scene.wish(Wish::Move { task: id(2), to: Column::Done, reason: "good".into() }).expect("done");
    poll("the second", || std::fs::read_to_string(&seen).is_ok_and(|text| text == "T1\nT2\n"));
    // Neither a restart nor another move repeats it.
    scene.kill();
    scene.start();
    scene.wish(Wish::Move { task: id(2), to: Column::Review, reason: "again".into() }).expect("reopened");
    scene.wish(Wish::Move { task: id(2), to: Column::Done, reason: "good".into() }).expect("done");
    scene.kill();
    scene.start();
    assert_eq!(std::fs::read_to_string(&seen).expect("seen"), "T1\nT2\n");
}

#[test]
fn a_teardown_that_a_crash_cut_short_is_said_and_not_repeated() {
    let mut scene = Scene::new("schema = 1\n");
    let seen = tearing_down(&scene, &scripted("echo work > done"));
    scene.start_with(&[("STANDUP_FAILPOINT", "teardown.begun:abort")]);
    scene.start_tasks(1);
    scene.until("review", |b| b.tasks[&id(1)].column == Column::Review);
    let _ = scene.wish(Wish::Move { task: id(1), to: Column::Done, reason: "good".into() });
    scene.wait_dead();
    scene.start();
    let noted =
        |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.notes.iter().any(|n| n.contains("interrupted")));
    scene.until("the note", noted);
    assert!(!seen.exists());
}

#[test]
fn used_up_ports_hold_the_next_task_until_one_is_closed() {
    let settings = scripted("echo $STANDUP_PORT_0 $STANDUP_PORT_1 > done").replace("build = 60", "build = 1")
        + "[worktrees]\nports = { range = \"4200-4201\", per_task = 2 }\n";
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(2);
    let board = scene.until("the hold", |b| {
        b.tasks[&id(2)].needs_you.is_some() || hold(b, 2).is_some_and(|text| text.contains("ports 4200-4201"))
    });
    assert!(board.tasks[&id(2)].attempts.is_empty(), "{:?}", board.tasks[&id(2)].needs_you);
    assert!(hold(&board, 2).expect("hold").contains("T1"), "{:?}", board.holds);
    scene.kill();
    scene.start();
    scene.until("held still", |b| hold(b, 2).is_some_and(|text| text.contains("ports 4200-4201")));
    scene.wish(Wish::Move { task: id(1), to: Column::Done, reason: "good".into() }).expect("done");
    let board = scene.until("the second", |b| b.tasks[&id(2)].column == Column::Review);
    assert_eq!(board.tasks[&id(2)].attempt().expect("attempt").ports, [4200, 4201]);
    let text = std::fs::read_to_string(scene.attempt(2).worktree.join("done")).expect("done");
    assert_eq!(text, "4200 4201\n");
}

#[test]
fn a_root_for_worktrees_that_cannot_be_is_refused_with_its_line() {
    let mut scene = Scene::new("schema = 1\n");
    let repo = scene.repo();
    let inside = repo.join("trees").display().to_string();
    let git_folder = repo.join(".git/trees").display().to_string();
    let load = |root: &str| {
        let text = scripted("exit 0") + &format!("[worktrees]\nroot = \"{root}\"\n");
        std::fs::write(repo.join("agents.toml"), text).expect("write");
        standup::supervisor::surroundings::load(&scene.place).map(|_| ()).map_err(|e| e.to_string())
    };
    let line = scripted("exit 0").lines().count() + 2;
    for (root, why) in
        [("../trees", "absolute"), ("trees", "absolute"), (&*git_folder, "git folder"), (&*inside, "ignored")]
    {
        let said = load(root).expect_err(root);
        assert!(said.contains(&format!("agents.toml:{line}")), "{said}");
        assert!(said.contains("worktrees.root") && said.contains(why), "{said}");
    }
    std::fs::write(repo.join(".git/info/exclude"), "/trees/\n").expect("write");
    load(&inside).expect("ignored");
    load("~/trees").expect("the user's own folder");
    scene.approve();
    scene.start();
    let failed = |end: Option<&End>| matches!(end, Some(End::Failed { .. }));
    assert!(scene.board().tasks.values().all(|t| !failed(t.attempt().and_then(|a| a.end()))));
}

/// Whatever was gone by then, the next supervisor takes the rest away and still says why.
#[test]
fn a_failed_setup_whose_undoing_a_crash_cut_short_is_undone_and_said() {
    let setup = "echo no such tool here; exit 3";
    for at in ["removal.folder", "removal.branch", "discard.marked", "discard.bare"] {
        let mut scene = Scene::new(&with_setup("echo work > done", setup));
        scene.start_with(&[("STANDUP_FAILPOINT", &format!("{at}:abort"))]);
        scene.start_tasks(1);
        scene.wait_dead();
        scene.start();
        let ended = |b: &Board| b.tasks[&id(1)].attempts.first().is_some_and(|a| a.end().is_some());
        let board = scene.until(at, ended);
        let attempt = &board.tasks[&id(1)].attempts[0];
        let Some(End::Failed { stage, error, .. }) = attempt.end() else { panic!("{at}: {:?}", attempt.end()) };
        assert_eq!(stage, "setup", "{at}: {error}");
        assert!(error.contains("no such tool here") && !error.contains("kept"), "{at}: {error}");
        assert!(!attempt.worktree.exists(), "{at}");
        assert_eq!(git(&scene.repo(), &["branch", "--list", "standup/*"]), "", "{at}");
        let entries = git(&scene.repo(), &["worktree", "list", "--porcelain"]);
        assert_eq!(entries.matches("worktree ").count(), 1, "{at}: {entries}");
        let shadow = scene.place.layout.shadow_dir("T1/1".parse().expect("an attempt"));
        assert!(!shadow.exists(), "{at}");
    }
}
