//! The main job, with agents that are plain programs.

use standup::model::input::Command as Wish;
use standup::model::task::Column;

use crate::scene::{Scene, git, id};

const COMMITS: &str = r#"
schema = 1
[wip]
build = 3
review = 20
[agents.sh]
adapter = "generic"
command = ["sh", "-c", "echo work > done.txt; git add -A; git commit -qm work; echo finished"]
prompt = "none"
[[verify.check]]
name = "test"
run = "test -f done.txt"
"#;

#[test]
fn twelve_tasks_go_to_review_and_main_is_untouched() {
    let mut scene = Scene::new(COMMITS);
    scene.start();
    let before = git(&scene.repo(), &["rev-parse", "main"]);
    let titles: Vec<String> = (1..=12).map(|n| format!("Task number {n}")).collect();
    scene.add(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    scene.wish(Wish::Dispatch { on: true }).expect("dispatch");
    let board = scene.until("all in review", |b| b.tasks.values().all(|t| t.column == Column::Review));
    for task in board.tasks.values() {
        let attempt = task.attempt().expect("attempt");
        let branch = attempt.branch.as_str();
        assert_eq!(git(&scene.repo(), &["rev-list", "--count", &format!("main..{branch}")]), "1", "{branch}");
        assert!(attempt.judged.is_some());
    }
    assert_eq!(git(&scene.repo(), &["rev-parse", "main"]), before);
    assert_eq!(git(&scene.repo(), &["status", "--porcelain"]), "");
    assert_eq!(scene.task(1).id, id(1));
}
