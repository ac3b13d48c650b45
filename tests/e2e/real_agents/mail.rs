//! How real agents report: by file, by command, by tool; what they ask and hear.

use serde_json::json;
use standup::model::checkin::{Claim, Via};
use standup::model::state::RunKind;

use super::stage::{Setting, Stage, run};
use crate::support::rig::Cli;

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
            json!({"bash": "standup check-in --did 'by command' --next 'by file'"}),
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
