//! A repository, a home and the binary, for one test. Whatever runs there at its end is ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

use crate::support::pty::OnPty;

/// No command of a test takes longer on a machine that works.
const LIMIT: Duration = Duration::from_secs(120);

/// Settings with the demo's scripted player as agent.
const SETTINGS: &str = r#"schema = 1
agent = "demo"

[wip]
build = 2
review = 4

[[verify.check]]
name = "greets"
run = "sh -c 'test \"$(bin/greet)\" = Hello.'"

[agents.demo]
adapter = "demo"
command = ["STANDUP", "__demo-agent"]
args = ["--pace", "PACE"]
"#;

pub(crate) struct Trial {
    dir: tempfile::TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The command has failed with this code, has answered nothing and says this.
    pub(crate) fn failed(&self, code: i32, says: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert!(self.err.contains(says), "{says:?} is not in {self:?}");
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Trial {
    /// A folder that is no repository.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::Builder::new().prefix("sut").tempdir_in("/tmp").expect("a folder");
        fs::create_dir(dir.path().join("repo")).expect("a folder");
        Self { dir }
    }

    /// A repository with one commit and nothing of ours.
    pub(crate) fn new() -> Self {
        let trial = Self::bare();
        trial.git(&["init", "-q", "-b", "main"]);
        trial.write("bin/greet", "#!/bin/sh\nprintf 'Hello.\\n'\n");
        trial.write("tests/run", "exit 0\n");
        trial.git(&["add", "tests"]);
        trial.git(&["update-index", "--add", "--chmod=+x", "bin/greet"]);
        trial.git(&["commit", "-qm", "start"]);
        trial
    }

    /// The same with the scripted agent, approved.
    pub(crate) fn with_agent() -> Self {
        Self::with_agent_at("1")
    }

    /// The same, with so many milliseconds between two steps of the agent.
    pub(crate) fn with_agent_at(pace: &str) -> Self {
        let trial = Self::new();
        let settings = SETTINGS.replace("STANDUP", env!("CARGO_BIN_EXE_standup")).replace("PACE", pace);
        trial.write("agents.toml", &settings);
        trial.git(&["add", "agents.toml"]);
        trial.git(&["commit", "-qm", "agents"]);
        trial.run(&["trust", "--yes"]).ok();
        trial
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn git(&self, args: &[&str]) {
        self.git_in(&self.repo(), args);
    }

    pub(crate) fn git_in(&self, dir: &Path, args: &[&str]) {
        let identity = [("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")];
        let mut git = Command::new("git");
        git.args(args).current_dir(dir).envs(identity).env("GIT_COMMITTER_EMAIL", "a@b").timeout(LIMIT);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.assert().success();
    }

    /// The binary, in the repository, with nothing of this process's environment that could matter.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(Path::new(env!("CARGO_BIN_EXE_standup")));
        command.args(args);
        command
    }

    /// Any program, likewise.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.repo()).env_clear().timeout(LIMIT);
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let identity = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"];
        command.envs(identity.map(|name| (name, "a@b"))).env("HOME", self.dir.path()).env("STANDUP_HOME", self.home());
        command
    }

    /// The binary on a terminal of its own.
    pub(crate) fn on_terminal(&self, args: &[&str], also: &[(&str, &str)]) -> OnPty {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let path = std::env::var("PATH").expect("a PATH");
        let mut env: Vec<(String, String)> = vec![
            ("PATH".into(), path),
            ("HOME".into(), text(self.dir.path())),
            ("STANDUP_HOME".into(), text(&self.home())),
        ];
        env.extend(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL"].map(|name| (name.to_owned(), "a@b".to_owned())));
        env.push(("TERM".into(), "xterm-256color".into()));
        env.extend(also.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        OnPty::start(Path::new(env!("CARGO_BIN_EXE_standup")), args, &self.repo(), &env)
    }

    /// What is asked for of a task, as it was last stored.
    pub(crate) fn spec(&self, task: &str) -> Value {
        let events = self.run(&["events", "--json", "--task", task]).ok().out;
        let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("one object a line"));
        let mut specs = events.filter_map(|event| event["data"].get("spec").cloned());
        specs.next_back().expect("it was added")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        said(&mut self.command(args))
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.home().exists() {
            let _ = self.command(&["down", "--all"]).output();
        }
    }
}
