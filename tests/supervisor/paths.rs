//! Work that is not where it belongs: on another branch, or in a worktree that is gone.

use std::fs;

use standup::client::control::ClientError;
use standup::model::astray::Astray;
use standup::model::board::Board;
use standup::model::event::NeedKind;
use standup::model::input::{Command as Wish, Refusal};
use standup::model::task::Column;

use crate::scene::{Scene, git, id};

fn commits(before: &str) -> Scene {
    let script = format!("{before}; echo work > done.txt; git add -A; git commit -qm work");
    let settings = format!(
        "schema = 1\n[agents.sh]\nadapter = \"generic\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\nprompt = \"none\"\n\
         [[verify.check]]\nname = \"test\"\nrun = \"test -f done.txt\"\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.add(&["Some work"]);
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    scene.until("the review", |b| b.tasks[&id(1)].column == Column::Review);
    scene
}

fn refusal(answer: Result<impl std::fmt::Debug, ClientError>) -> Refusal {
    match answer {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn is_brought_back(scene: &Scene, astray: &Astray) {
    let attempt = scene.attempt(1);
    assert_eq!(attempt.astray.as_ref(), Some(astray));
    let branch = attempt.branch.as_str();
    let ahead = || git(&scene.repo(), &["rev-list", "--count", &format!("main..{branch}")]);
    assert_eq!(ahead(), "0", "the branch does not hold the commit");
    let refused = refusal(scene.wish(Wish::Approve { task: id(1) }));
    assert!(refused.text.contains(branch), "{}", refused.text);
    let done = scene.command("sh").args(["-c", &refused.hints[0]]).output().expect("sh");
    assert!(done.status.success(), "{}: {}", refused.hints[0], String::from_utf8_lossy(&done.stderr));
    scene.wish(Wish::Approve { task: id(1) }).expect("its branch holds the work");
    assert_eq!((ahead().as_str(), scene.attempt(1).astray), ("1", None));
}

#[test]
fn work_on_another_branch_is_shown_and_not_approved() {
    let scene = commits("git checkout -qb other");
    is_brought_back(&scene, &Astray::OffBranch { on: Some("other".parse().expect("a branch")), doing: None });
}

#[test]
fn work_on_no_branch_is_shown_and_not_approved() {
    let scene = commits("git checkout -q --detach");
    is_brought_back(&scene, &Astray::OffBranch { on: None, doing: None });
}

/// What a person does by hand after the checks counts as well.
#[test]
fn a_branch_that_is_left_after_the_checks_is_not_approved() {
    let scene = commits("true");
    let worktree = scene.attempt(1).worktree;
    git(&worktree, &["checkout", "-qb", "other"]);
    git(&worktree, &["commit", "-q", "--allow-empty", "-m", "more"]);
    let refused = refusal(scene.wish(Wish::Approve { task: id(1) }));
    assert!(refused.text.contains("other"), "{}", refused.text);
}

/// Moves what `of` names of its worktree away, once nothing else gives reason to look there.
fn broken(of: &str) -> String {
    let scene = commits("true");
    let worktree = scene.attempt(1).worktree;
    fs::write(worktree.join("more.txt"), "more").expect("write");
    let sees = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.diff.is_some_and(|d| d.dirty && d.files == 2));
    scene.until("the look at what was written", sees);
    fs::rename(worktree.join(of), scene.home().join("elsewhere")).expect("rename");
    let kind = |b: &Board| b.tasks[&id(1)].needs_you.as_ref().map(|need| need.kind);
    scene.until("the need", |b| kind(b) == Some(NeedKind::Broken));
    scene.task(1).needs_you.expect("a need").question
}

#[test]
fn a_worktree_that_is_gone_needs_a_person() {
    let question = broken("");
    assert!(question.contains("its folder is gone"), "{question}");
}

#[test]
fn a_worktree_without_its_git_needs_a_person() {
    let question = broken(".git");
    assert!(question.contains("its .git is gone"), "{question}");
}
