//! Tasks that are changed while their agents run.

use standup::model::attempt::Phase;
use standup::model::board::Board;
use standup::model::event::NeedKind;
use standup::model::input::Command as Wish;
use standup::model::name::Pattern;
use standup::model::state::RunKind;
use standup::model::task::TaskSpec;

use crate::scene::{Scene, id, poll, resting, scripted, spec};

fn touched(board: &Board) -> Vec<String> {
    board.tasks[&id(1)].attempt().map(|a| a.touched.clone()).unwrap_or_default()
}

fn patterns(all: &[&str]) -> Vec<Pattern> {
    all.iter().map(|text| Pattern::new(*text).expect("a pattern")).collect()
}

impl Scene {
    fn edit(&self, spec: TaskSpec, text: &str) {
        let wish = Wish::Edit { task: id(1), spec: Box::new(spec), was: None };
        self.client().command(wish, vec![text.to_owned()]).expect("edited");
    }
}

#[test]
fn what_an_edit_puts_off_limits_is_so_at_once_for_files_that_were_changed_before() {
    let script = "mkdir api; echo x > api/a; echo x > b; while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.1; done";
    let mut scene = Scene::new(&(scripted(script) + "[limits]\noff_limits = \"ask\"\n"));
    scene.start();
    scene.live(1);
    scene.until("its files", |b| b.tasks[&id(1)].attempt().and_then(|a| a.diff).is_some_and(|d| d.files == 2));
    let own = scene.task(1).spec;
    let with = |off_limits: &[&str]| TaskSpec { off_limits: patterns(off_limits), ..own.clone() };
    let text = format!("# {}\n", own.title);
    scene.edit(with(&["api/**"]), &text);
    scene.until("what it touches", |b| touched(b) == ["api/a"]);
    let board = scene.until("the need", |b| b.tasks[&id(1)].needs_you.is_some());
    assert_eq!(board.tasks[&id(1)].needs_you.as_ref().map(|n| n.kind), Some(NeedKind::OffLimits));
    assert_eq!(board.tasks[&id(1)].given().untold(&board.tasks[&id(1)].spec), ["off_limits"]);
    scene.edit(with(&[]), &text);
    scene.until("nothing", |b| touched(b).is_empty());
    assert_eq!(scene.attempt(1).given, None, "it is as it was");
    // The same of what the settings say for all.
    let file = scene.repo().join("agents.toml");
    let settings = std::fs::read_to_string(&file).expect("settings") + "[boundaries]\noff_limits = [\"b\"]\n";
    std::fs::write(&file, settings).expect("write");
    scene.until("what it touches", |b| touched(b) == ["b"]);
}

#[test]
fn a_conversation_that_goes_on_keeps_its_brief_and_the_next_attempt_gets_the_new_one() {
    let mut scene = Scene::new(&resting());
    scene.start();
    scene.start_tasks(1);
    let rests = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.begun && a.run.kind == RunKind::Idle);
    scene.until("its turn is over", rests);
    let brief = || {
        let dir = standup::store::layout::run_dir(&scene.attempt(1).worktree);
        std::fs::read_to_string(dir.join("brief.md")).expect("a brief")
    };
    let old = brief();
    scene.edit(spec("Something else"), "# Something else\n");
    assert_eq!(brief(), old);
    scene.wish(Wish::Stop { task: id(1) }).expect("stop");
    let ended = |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| matches!(a.phase, Phase::Ended { .. }));
    scene.until("its end", ended);
    scene
        .wish(Wish::Move { task: id(1), to: standup::model::task::Column::Build, reason: "more".into() })
        .expect("move");
    scene.wish(Wish::Start { task: id(1) }).expect("start");
    scene.until("it runs again", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.launches == 2 && a.host().is_some()));
    assert_eq!(brief(), old, "it goes on with what it was given");
    let task = scene.task(1);
    assert_eq!(task.given().untold(&task.spec), ["title", "brief"]);
    scene.wish(Wish::Retry { task: id(1), agent: None }).expect("retry");
    scene
        .until("another attempt", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.no.get() == 2 && a.host().is_some()));
    poll("the new brief", || brief() == "# Something else\n");
    let task = scene.task(1);
    assert_eq!(task.given().untold(&task.spec), [""; 0]);
}
