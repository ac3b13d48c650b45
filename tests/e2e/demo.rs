//! The demo, as somebody runs it who has just cloned: it comes to its end, shows what it promises,
//! touches nothing outside of its folder and leaves nothing running.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use standup::os::process::{self, ProcessId};

/// On an idle machine it takes a quarter of a minute.
const DEADLINE: Duration = Duration::from_secs(120);

/// A folder whose sockets fit into their 107 bytes.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("sd").tempdir_in("/tmp").expect("temp dir"))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("demo")
    }

    /// A home that nobody may touch.
    fn nobody(&self) -> PathBuf {
        self.0.path().join("nobody")
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts the program itself")]
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standup"));
        command.arg("demo").arg("--dir").arg(self.folder()).args(["--pace", "60"]).args(args);
        command.env_remove("STANDUP_HOME").env("HOME", self.nobody()).env_remove("XDG_RUNTIME_DIR");
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Processes that carry this demo's `STANDUP_HOME`, the demo itself aside, which has none.
    fn running(&self) -> Vec<ProcessId> {
        process::marked(&format!("STANDUP_HOME={}", self.folder().join("home").display()))
    }

    fn assert_quiet(&self) {
        assert_eq!(self.running(), [], "something of the demo still runs");
        assert!(!self.nobody().exists(), "the demo wrote into the user's home");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for process in self.running() {
            let _ = process.signal(Signal::KILL);
        }
    }
}

fn standup(home: &Path, repository: &Path, args: &[&str]) -> String {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_standup"));
    let output = command.arg("-C").arg(repository).args(args).env("STANDUP_HOME", home).timeout(DEADLINE).unwrap();
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_demo_shows_what_it_promises_and_leaves_nothing_running() {
    let stage = Stage::new();
    let output = assert_cmd::Command::from_std(stage.command(&[])).timeout(DEADLINE).output().expect("runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let at = |words: &str| out.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{out}"));
    assert!(at("T3   waits: build is full 2/2") < at("T3   starts: Find the longest line"));
    assert!(at("T4   waits: needs T1 (build)") < at("$ standup move T1 done"));
    assert!(at("$ standup move T1 done") < at("T4   starts: List all tools"));
    assert!(at("T2   asks you: In which unit") < at("T2   gets its answer: Kilometres"));
    assert!(at("T3   red: 1 of 2 tests failed: longest") < at("T3   gets the failures"));
    assert!(at("T3   gets the failures") < at("T3   green:"));
    at("T3  Find the longest line  review  red, then green, 2 tests");
    at("T1  Greet people by name   done    green, 2 tests");
    at("Nothing of it runs any more.");
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "no colour off a terminal");
    stage.assert_quiet();

    // What it left is a repository like any other, with its state.
    let (home, repository) = (stage.folder().join("home"), stage.folder().join("small-tools"));
    let status: serde_json::Value =
        serde_json::from_str(&standup(&home, &repository, &["status", "--json"])).expect("JSON");
    let columns: Vec<&str> =
        status["tasks"].as_array().expect("tasks").iter().map(|t| t["column"].as_str().expect("a column")).collect();
    assert_eq!(columns, ["done", "review", "review", "review"]);
    assert_eq!(status["supervisor"]["running"], false);
    assert!(standup(&home, &repository, &["logs", "T2"]).contains("In which unit should bin/distance print?"));
    stage.assert_quiet();
}

#[test]
fn a_demo_that_is_interrupted_ends_what_it_started() {
    let stage = Stage::new();
    let mut child = stage.command(&[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let demo = ProcessId::of(child.id()).expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let works = lines.any(|line| line.expect("text").contains("works, in a worktree"));
    assert!(works, "an agent works");
    assert!(!stage.running().is_empty());
    assert!(demo.signal(Signal::INT));
    // Its output ends when it does.
    lines.for_each(drop);
    assert_eq!(child.wait().expect("waited for").code(), Some(130));
    stage.assert_quiet();
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let stage = Stage::new();
    std::fs::create_dir(stage.folder()).expect("mkdir");
    std::fs::write(stage.folder().join("mine"), "x").expect("write");
    let output = assert_cmd::Command::from_std(stage.command(&["--json"])).timeout(DEADLINE).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["error"]["code"], "usage");
    assert_eq!(std::fs::read_dir(stage.folder()).expect("dir").count(), 1);
}
