//! Fifty tasks start at once: none fails, none is half-made, and no agent's own git command fails
//! because of us.

use std::collections::BTreeSet;

use standup::model::board::Board;
use standup::model::input::Command as Wish;
use standup::model::task::Column;

use crate::scene::{Scene, git, id, scripted, spec, trials};

const COMMITS: &str = r#"
for n in 1 2 3; do
  echo $n > file$n
  # Commands that write, and those that read the entries of all worktrees and die of half a one.
  git add -A && git commit -qm "commit $n" && git status --short > /dev/null && git worktree list > /dev/null \
    && git for-each-ref --format='%(refname) %(worktreepath)' > /dev/null && git branch -vv > /dev/null \
    && git switch -qc try/$STANDUP_TASK/$n && git switch -q - && git branch -qD try/$STANDUP_TASK/$n \
    || echo "$STANDUP_TASK $n" >> $HOME/failed
done
"#;

fn all_in_review(board: &Board, count: usize) -> bool {
    board.tasks.len() == count && board.tasks.values().all(|t| t.column == Column::Review)
}

/// As many worktrees, branches and entries as tasks, each once and whole.
fn assert_whole(scene: &Scene, count: usize) {
    let board = scene.board();
    let worktrees: BTreeSet<_> = board.tasks.values().map(|t| t.attempt().expect("attempt").worktree.clone()).collect();
    assert_eq!(worktrees.len(), count);
    for worktree in &worktrees {
        assert_eq!(git(worktree, &["status", "--porcelain"]), "");
    }
    let listed = git(&scene.repo(), &["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("worktree /").count(), count + 1, "{listed}");
    assert!(!listed.contains("prunable"), "{listed}");
    let branches = git(&scene.repo(), &["for-each-ref", "--format=%(refname)", "refs/heads/standup/"]);
    assert_eq!(branches.lines().count(), count);
    let entries = std::fs::read_dir(scene.repo().join(".git/worktrees")).expect("entries");
    assert_eq!(entries.count(), count, "no entry that is under way");
}

#[test]
fn fifty_tasks_start_at_once_and_commit_meanwhile() {
    for _ in 0..trials(1) {
        let mut scene = Scene::new(&scripted(COMMITS));
        scene.start();
        scene.start_tasks(50);
        scene.until("all in review", |b| all_in_review(b, 50));
        let failed = std::fs::read_to_string(scene.home().join("failed")).unwrap_or_default();
        assert_eq!(failed, "", "git commands of agents failed");
        assert_whole(&scene, 50);
        for n in 1..=50 {
            let branch = scene.board().tasks[&id(n)].attempt().expect("attempt").branch.clone();
            assert_eq!(git(&scene.repo(), &["rev-list", "--count", &format!("main..{branch}")]), "3");
        }
        git(&scene.repo(), &["fsck", "--strict"]);
    }
}

#[test]
fn forty_tasks_of_forty_clients_give_forty_worktrees() {
    let mut scene = Scene::new(&scripted("echo $STANDUP_TASK > own"));
    scene.start();
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    std::thread::scope(|threads| {
        for n in 0..40 {
            let scene = &scene;
            threads.spawn(move || scene.add_specs(vec![spec(&format!("From client {n}"))]));
        }
    });
    let board = scene.until("all in review", |b| all_in_review(b, 40));
    for task in board.tasks.values() {
        let own = std::fs::read_to_string(task.attempt().expect("attempt").worktree.join("own")).expect("own");
        assert_eq!(own.trim(), task.id.to_string());
    }
}
