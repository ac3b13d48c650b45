//! The main job, with agents that are plain programs.

use standup::model::board::Board;
use standup::model::event::Event;
use standup::model::input::Command as Wish;
use standup::model::task::Column;

use crate::scene::{Scene, git, id, scripted};

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

#[test]
fn what_is_to_be_known_of_an_agents_command_is_shown_and_said_once() {
    let script = "while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done";
    let settings = format!(
        "schema = 1\n[agents.it]\nadapter = \"codex\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n\
         args = [\"-c\", 'notify=[\"/opt/mine\"]']\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    let said = |args: &[&str]| {
        let out = scene.command(env!("CARGO_BIN_EXE_standup")).arg("-C").arg(scene.repo()).args(args).output();
        String::from_utf8(out.expect("it runs").stdout).expect("utf-8")
    };
    let note = "its own notify program is called after ours: /opt/mine";
    scene.add(&["Task number 1"]);
    assert!(said(&["start", "T1", "--dry-run"]).contains(note));
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    let lives = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.host().is_some());
    scene.until("its agent", lives);
    assert!(said(&["show", "T1"]).contains(&format!("note      {note}")), "{}", said(&["show", "T1"]));
    let shown: serde_json::Value = serde_json::from_str(&said(&["show", "T1", "--json"])).expect("JSON");
    assert_eq!(shown["notes"], serde_json::json!([note]));
    // The same command again, in the same attempt.
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    scene.until("its end", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.end().is_some()));
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    let board = scene.until("its agent again", lives);
    let attempt = board.tasks[&id(1)].attempt().expect("attempt");
    assert_eq!((attempt.no.get(), attempt.launches, attempt.notes.as_slice()), (1, 2, &[note.to_owned()][..]));
}

#[test]
fn files_that_change_all_the_time_are_told_of_now_and_then_and_as_they_are_in_the_end() {
    const WRITES: u32 = 400;
    let script = format!("i=0; while [ $i -lt {WRITES} ]; do i=$((i+1)); echo $i >> f; sleep 0.02; done; sleep 600");
    let mut scene = Scene::new(&scripted(&script));
    scene.start();
    let began = std::time::Instant::now();
    scene.start_tasks(1);
    let lines = |b: &Board| b.tasks[&id(1)].attempt().and_then(|a| a.diff).map_or(0, |diff| diff.insertions);
    scene.until("the last of it", |b| lines(b) == u64::from(WRITES));
    let told = scene.events(1).iter().filter(|e| matches!(e, Event::DiffObserved { .. })).count();
    // Some at once, and then one every five seconds.
    let most = 10 + began.elapsed().as_secs() / 5;
    assert!(told as u64 <= most, "{told} in {:?}", began.elapsed());
}
