//! The user's own notify program, beside ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use standup::model::task::Column;

use super::stage::{Setting, Stage};
use crate::support::rig::Cli;

/// A program that writes its last argument into a file named by its first.
fn program(dir: &Path) -> PathBuf {
    let path = dir.join("tell me");
    let script = "#!/bin/sh\nfor last; do :; done\nprintf '%s' \"$last\" > \"$1.part\" && mv \"$1.part\" \"$1.$$\"\n";
    fs::write(&path, script).expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    path
}

/// What it was called with, once it was called for an agent's own turn.
fn told(stage: &Stage, file: &Path) -> Value {
    let dir = file.parent().expect("a folder");
    let name = file.file_name().expect("a name").to_str().expect("UTF-8").to_owned() + ".";
    let payloads = || {
        let entries = fs::read_dir(dir).expect("list").flatten();
        let of =
            entries.filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&name) && !n.ends_with("part")));
        of.filter_map(|e| serde_json::from_slice::<Value>(&fs::read(e.path()).ok()?).ok()).collect::<Vec<_>>()
    };
    let own = |payload: &Value| payload["last-assistant-message"] == "Hello from the scripted model.";
    stage.until("the user's own program is called", |_| payloads().iter().any(own));
    payloads().into_iter().find(own).expect("called")
}

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn the_users_own_notify_program_is_called_after_ours_with_the_same_words() {
    for profile in [false, true] {
        let codex: &[&str] = if profile { &["--profile", "work"] } else { &[] };
        let stage = Stage::new(&Setting { codex, ..Setting::default() });
        let home = stage.home().path();
        let (program, base, layer) = (program(home), home.join("base"), home.join("layer"));
        let settings = |file: &Path| {
            let words = [program.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"), "--soft"];
            format!("notify = {}\n", serde_json::to_string(&words).expect("json"))
        };
        let config = home.join(".codex/config.toml");
        let known = fs::read_to_string(&config).expect("read");
        fs::write(&config, settings(&base) + &known).expect("write");
        fs::write(home.join(".codex/work.config.toml"), settings(&layer)).expect("write");
        let id = stage.add(Cli::Codex, "[[steps:[{\"say\":\"Hello from the scripted model.\"}]]]");
        stage.until_task(id, "in review", |t| t.column == Column::Review);
        let payload = told(&stage, if profile { &layer } else { &base });
        assert_eq!(payload["type"], "agent-turn-complete");
        // Ours heard it too.
        let heard = stage.signals(id).into_iter().any(|s| s.source == standup::model::state::Source::Notify);
        assert!(heard, "{:?}", stage.signals(id));
    }
}
