//! How real agents report: by file, by command, by tool; what they ask and hear.

use std::path::Path;

use serde_json::json;
use standup::model::checkin::{Claim, Via};
use standup::model::event::{Event, NeedKind};
use standup::model::input::{Command as Wish, Reply};
use standup::model::message::Delivery;
use standup::model::settings::Mode;
use standup::model::state::RunKind;
use standup::model::task::Column;

use super::stage::{Setting, Stage, run};
use crate::support::rig::Cli;

const STANDUP: &str = env!("CARGO_BIN_EXE_standup");

/// The call of one of our tools, as each CLI's model makes it: Codex's writes a line of script.
fn tool(name: &str, input: &serde_json::Value) -> serde_json::Value {
    let script = format!("const r = await tools.mcp__standup__{name}({input});\ntext(JSON.stringify(r));\n");
    json!({
        "claude": {"tool": {"name": format!("mcp__standup__{name}"), "input": input}},
        "codex": {"tool": {"custom": true, "name": "exec", "input": script}},
    })
}

fn steps(steps: &[serde_json::Value]) -> String {
    format!("[[steps:{}]]", json!(steps))
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn check_in_by_tool_by_command_and_by_file_unasked() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let written = json!({"schemaVersion": 1, "kind": "check-in", "state": "working", "did": "by file"});
        let prompt = steps(&[
            tool("check_in", &json!({"state": "working", "did": "by tool", "next": "by command"})),
            // As its instructions name the command: a login shell may have another PATH.
            json!({"bash": format!("{STANDUP} check-in --did 'by command' --next 'by file'")}),
            json!({"write": {"path": ".standup/run/outbox/mine.json", "content": written.to_string()}}),
            json!({"say": "reported three times"}),
        ]);
        let id = stage.add(cli, &prompt);
        let task =
            stage.until_task(id, "three reports", |t| t.check_ins.len() >= 3 && run(t).is_some_and(|r| r.turn_over));
        let mut came: Vec<(&str, Via)> = task.check_ins.iter().map(|c| (c.check_in.did.as_str(), c.via)).collect();
        came.sort_unstable_by_key(|(did, _)| *did);
        // The sandbox of Codex lets no command connect to a socket: that report goes by file as well.
        let by_command = if cli == Cli::Claude { Via::Socket } else { Via::Outbox };
        assert_eq!(came, [("by command", by_command), ("by file", Via::Outbox), ("by tool", Via::Mcp)], "{name}");
        assert!(task.check_ins.iter().all(|c| c.check_in.state == Claim::Working));
        stage.assert_went_through(id, &[RunKind::Working, RunKind::Idle]);
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn ask_by_tool_and_hear_the_answer_in_the_same_turn() {
    let stage = Stage::new(&Setting {
        settings: "[wip]\nbuild = 4\n[[verify.check]]\nname = \"file\"\nrun = \"test -f calc.py\"",
        ..Setting::default()
    });
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let question = json!({"question": "Which store?", "options": ["sqlite", "files"], "wait_s": 120});
        let prompt = steps(&[
            tool("get_brief", &json!({})),
            tool("ask_human", &question),
            tool("run_checks", &json!({"wait_s": 60})),
            tool("check_in", &json!({"state": "ready", "did": "all of it"})),
            json!({"say": "done"}),
        ]);
        // The strictest mode: whatever asks for a permission would wait here for ever.
        let id = stage.add_in(cli, Mode::Own, &prompt);
        let task = stage.until_task(id, "it asks", |t| t.needs_you.is_some());
        let need = task.needs_you.expect("a need");
        let options: Vec<&str> = need.options.iter().map(|o| o.text.as_str()).collect();
        assert_eq!((need.kind, need.question.as_str()), (NeedKind::Question, "Which store?"), "{name}");
        assert_eq!(options, ["sqlite", "files"], "{name}");
        let Reply::Chosen { msg: Some(msg), .. } = stage.wish(Wish::Answer { task: id, choice: "sql".into() }) else {
            panic!("{name}: the answer is no message")
        };
        assert_eq!(stage.until_settled(id, msg).delivery, Delivery::Delivered, "{name}");
        // Finished work of this mode ends in a person's hands.
        let task = stage.until_task(id, "in your hands", |t| t.column == Column::Takeover);
        assert_eq!(task.check_ins.last().map(|c| (c.check_in.state, c.via)), Some((Claim::Ready, Via::Mcp)), "{name}");
        let typed =
            stage.events(id).iter().any(|e| matches!(e, Event::MessageTyping { .. } | Event::MessageTyped { .. }));
        assert!(!typed, "{name}: it was handed over, and is not typed as well");
        // What a tool has said is written down a little later.
        let kept = stage.home().path().join(format!(".{name}"));
        for words in ["# Work for", "The answer: sqlite", "green: all checks passed", "Checked in."] {
            stage.until(&format!("{name} hears {words:?}"), |_| conversations(&kept).contains(words));
        }
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn check_in_by_tool_while_they_may_only_plan() {
    let stage = Stage::new(&Setting::default());
    for cli in [Cli::Claude, Cli::Codex] {
        let report = tool("check_in", &json!({"state": "working", "did": "a plan"}));
        let id = stage.add_in(cli, Mode::Checkpoint, &steps(&[report, json!({"say": "planned"})]));
        let task = stage.until_task(id, "its report, its turn over", |t| {
            !t.check_ins.is_empty() && run(t).is_some_and(|r| r.turn_over)
        });
        assert_eq!(task.check_ins.iter().map(|c| c.via).collect::<Vec<_>>(), [Via::Mcp], "{}", cli.name());
        stage.assert_went_through(id, &[RunKind::Working, RunKind::Idle]);
    }
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn run_checks_by_tool_while_they_may_only_plan() {
    let stage = Stage::new(&Setting {
        settings: "[[verify.check]]\nname = \"file\"\nrun = \"test -f calc.py\"",
        ..Setting::default()
    });
    for cli in [Cli::Claude, Cli::Codex] {
        let name = cli.name();
        let checks = tool("run_checks", &json!({"wait_s": 60}));
        let id = stage.add_in(cli, Mode::Checkpoint, &steps(&[checks, json!({"say": "planned"})]));
        stage.until_task(id, "its turn over, or it asks", |t| {
            run(t).is_some_and(|r| r.turn_over || r.kind == RunKind::Waiting)
        });
        stage.assert_went_through(id, &[RunKind::Working, RunKind::Idle]);
        let kept = stage.home().path().join(format!(".{name}"));
        stage.until(&format!("{name} hears what they show"), |_| conversations(&kept).contains("green: all checks"));
    }
}

/// What a CLI has written down of its conversations.
fn conversations(dir: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            text += &conversations(&path);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            text += &std::fs::read_to_string(&path).unwrap_or_default();
        }
    }
    text
}
