//! Silence, and what is a reason for it: over restarts of the supervisor, and for agents of which
//! nothing but their processes is seen.

use rustix::process::Signal;
use standup::model::board::Board;
use standup::model::event::Event;
use standup::model::input::Command as Wish;
use standup::model::message::Delivery;
use standup::model::state::{RunKind, RunState};
use standup::model::task::Column;
use standup::os::process::{ProcessId, descendants, name};
use standup::wire::control::{Answer, Request};

use crate::scene::{Scene, id, poll, scripted};

/// Silent for so long is quiet.
const SOON: &str = "[check_in]\nsilence = \"3s\"\n";

/// An agent that says that it works, and of which nothing but the spinner moves until it has news.
const SPINS: &str = r#"printf '\033]7501;state=working:app=codex\007'; n=0
while [ ! -e $HOME/news ]; do n=$((n+1)); sleep 0.3
  printf '\033[2J\033[H› go\r\n• Working (%ss • esc to interrupt)\r\n› Ask Codex to do anything\r\n' $n; done
"#;

fn codex(script: &str) -> String {
    format!("schema = 1\n{SOON}[agents.it]\nadapter = \"codex\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n")
}

fn run(scene: &Scene) -> RunState {
    scene.attempt(1).run
}

fn until_kind(scene: &Scene, kind: RunKind) -> RunState {
    scene.until(&format!("{kind:?}"), |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == kind));
    run(scene)
}

/// The states that were told so far.
fn states(scene: &Scene) -> Vec<RunKind> {
    let of = |event: &Event| if let Event::StateChanged { state } = event { Some(state.kind) } else { None };
    scene.events(1).iter().filter_map(of).collect()
}

/// What the supervisor makes of all sources right now, whether or not that was told.
fn weighed(scene: &Scene) -> Option<RunKind> {
    let answer = scene.client().ask(&Request::Explain { task: id(1) }).expect("an answer");
    let Answer::Signals { signals } = answer else { return None };
    signals.into_iter().find(|signal| signal.counted).and_then(|signal| signal.kind)
}

/// A process of this name that its agent started.
fn child(scene: &Scene, called: &str) -> Option<ProcessId> {
    let agent = scene.attempt(1).host()?.agent.pid;
    descendants(agent).into_iter().find(|process| name(process.pid).as_deref() == Some(called))
}

#[test]
fn one_that_is_quiet_stays_quiet_over_a_restart_although_its_spinner_turns() {
    let mut scene = Scene::new(&codex(&format!("{SPINS} printf 'I found it.\\r\\n'; while :; do sleep 1; done")));
    scene.start();
    scene.start_tasks(1);
    let before = until_kind(&scene, RunKind::Quiet);
    let told = states(&scene);
    scene.kill();
    scene.start();
    poll("it is looked at again", || weighed(&scene) == Some(RunKind::Quiet));
    assert_eq!((states(&scene), run(&scene).at.mono), (told.clone(), before.at.mono), "nothing has happened");
    // What happens is seen.
    std::fs::write(scene.home().join("news"), "").expect("write");
    until_kind(&scene, RunKind::Working);
    assert_eq!(states(&scene), [told, vec![RunKind::Working]].concat());
}

#[test]
fn what_one_did_while_no_supervisor_ran_is_a_sign() {
    let news = ["printf 'I found it.\\r\\n'", "echo more > $OLDPWD/more"];
    for (number, what) in news.into_iter().enumerate() {
        let script = format!("cd $HOME; {SPINS} {what}; touch drawn; while :; do sleep 1; done");
        let mut scene = Scene::new(&codex(&script));
        scene.start();
        scene.start_tasks(1);
        until_kind(&scene, RunKind::Quiet);
        poll("it is remembered", || scene.host_dir("T1-1-1").join("silent.json").exists());
        let told = states(&scene);
        scene.kill();
        std::fs::write(scene.home().join("news"), "").expect("write");
        poll("it did something", || scene.home().join("drawn").exists());
        scene.start();
        until_kind(&scene, RunKind::Working);
        assert_eq!(states(&scene)[told.len()..], [RunKind::Working], "{number}");
        until_kind(&scene, RunKind::Quiet);
    }
}

#[test]
fn a_silent_child_of_one_that_reports_nothing_is_a_reason_and_is_shown() {
    for start in ["sleep 300", "setsid -w sleep 300"] {
        let mut scene = Scene::new(&(scripted(&format!("echo go; {start}; echo done; read answer")) + SOON));
        scene.start();
        scene.live(1);
        let board = scene.until("the reason", |b| {
            b.tasks[&id(1)].attempt().is_some_and(|a| a.run.text == "sleep runs; nothing else is seen of it")
        });
        assert_eq!(board.tasks[&id(1)].attempt().map(|a| a.run.kind), Some(RunKind::Working));
        let quiet = || states(&scene).contains(&RunKind::Quiet);
        assert!(!quiet(), "{start}: {:?}", states(&scene));
        // Once it has ended, silence counts.
        assert!(child(&scene, "sleep").expect("it runs").signal(Signal::KILL));
        until_kind(&scene, RunKind::Quiet);
    }
}

#[test]
fn a_helper_that_its_agent_does_not_wait_for_hides_no_silence() {
    // As a language server does: started once, it lives as long as the agent.
    let mut scene = Scene::new(&(scripted("echo go; tail -f /dev/null & sleep 5; read answer") + SOON));
    scene.start();
    scene.live(1);
    let quiet = until_kind(&scene, RunKind::Quiet);
    assert_eq!(quiet.text, "nothing is seen of it");
    assert!(child(&scene, "tail").is_some(), "it lives on");
    // The next supervisor knows it as well.
    let told = states(&scene);
    scene.kill();
    scene.start();
    poll("it is looked at again", || weighed(&scene) == Some(RunKind::Quiet));
    assert_eq!(states(&scene), told);
}

#[test]
fn a_turn_that_is_over_before_its_screen_settled_after_a_restart_was_one() {
    // It writes without a pause, and each turn takes a moment only.
    let script = "stty raw -echo; (while [ ! -e $STANDUP_DIR/stop ]; do printf .; sleep 0.05; done) & \
                  turn() { printf '\\033]7501;state=working:app=x\\007'; sleep 0.2; printf '\\033]7501;state=done:app=x\\007'; }; \
                  turn; while dd bs=4096 count=1 of=$HOME/k 2>/dev/null; do turn; done";
    let settings =
        format!("schema = 1\n[agents.it]\nadapter = \"demo\"\ncommand = [\"sh\", \"-c\", \'\'\'{script}\'\'\']\n");
    let mut scene = Scene::new(&settings);
    scene.start();
    scene.start_tasks(1);
    scene.until("its first turn", |b| b.tasks[&id(1)].column == Column::Review);
    scene.kill();
    scene.start();
    scene.wish(Wish::Send { task: id(1), text: "more".into(), now: false }).expect("queued");
    let settled = |b: &Board| {
        let delivery = b.tasks[&id(1)].messages.first().map(|m| m.delivery.clone());
        matches!(delivery, Some(Delivery::Delivered | Delivery::Unknown)).then_some(delivery).flatten()
    };
    let board = scene.until("it is settled", |b| settled(b).is_some());
    assert_eq!(settled(&board), Some(Delivery::Delivered));
}
