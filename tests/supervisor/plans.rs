//! Who may let an agent go on that only plans: a person, and nobody in that person's name.

use std::process::Command;

use serde_json::{Value, json};
use standup::model::board::Board;
use standup::model::event::Event;
use standup::model::state::RunKind;
use standup::model::task::{Column, Mode};
use standup::wire::host::ToHost;

use crate::hooks::{fire, payload};
use crate::peer::Peer;
use crate::scene::{Scene, id, poll, spec};

/// An agent that works until the end, and reads what is typed.
const PLANS: &str = "env > $STANDUP_DIR/.env; mv $STANDUP_DIR/.env $STANDUP_DIR/env; \
                     printf '\\033]7501;state=working:app=x\\007'; \
                     while [ ! -e $STANDUP_DIR/stop ]; do sleep 0.05; done";

fn planning() -> Scene {
    let settings = format!(
        "schema = 1\n[wip]\nbuild = 60\n[agents.it]\nadapter = \"claude\"\ncommand = [\"sh\", \"-c\", '''{PLANS}''']\n"
    );
    let mut scene = Scene::new(&settings);
    scene.start();
    let mut plans = spec("Task number 1");
    plans.mode = Mode::Checkpoint;
    scene.add_specs(vec![plans]);
    scene.wish(standup::model::input::Command::Dispatch { on: true }).expect("dispatch");
    scene.until("it works", |b| b.tasks[&id(1)].attempt().is_some_and(|a| a.run.kind == RunKind::Working));
    scene
}

fn is_approved(board: &Board) -> bool {
    board.tasks[&id(1)].attempt().and_then(|a| a.plan.as_ref()).is_some_and(|p| p.approved_at.is_some())
        || board.tasks[&id(1)].column != Column::Design
}

#[test]
fn only_a_persons_hand_lets_an_agent_that_plans_go_on_in_its_terminal() {
    let scene = planning();
    let hook = || -> Command { scene.as_agent(1, &["hook", "claude"]) };
    let mode =
        |name: &str| -> Value { payload(&scene, "PreToolUse", &json!({"tool_name": "Bash", "permission_mode": name})) };
    let says = |name: &str| fire(hook(), &mode(name).to_string());

    // Its own shell says both.
    says("plan");
    says("acceptEdits");
    let noted =
        |b: &Board| b.tasks[&id(1)].attempt().is_some_and(|a| a.notes.iter().any(|n| n.contains("nobody typed")));
    let board = scene.until("that is looked into", |b| noted(b) || is_approved(b));
    assert!(noted(&board) && !is_approved(&board), "{:?}", scene.events(1));

    // A person chooses in its terminal.
    says("plan");
    let host = scene.attempt(1).host().expect("a host").id.clone();
    let mut person = Peer::client(&scene.host_socket(&host), 0);
    person.send(&ToHost::Input(b"2".to_vec())).expect("typed");
    poll("the host has it", || Peer::status(&scene.host_socket(&host)).input_age_ms.is_some());
    says("acceptEdits");
    scene.until("the plan is approved", is_approved);
    let approvals = scene.events(1).iter().filter(|e| matches!(e, Event::PlanApproved {})).count();
    assert_eq!(approvals, 1);
}
