//! The verbs that keep the house, from outside: init, trust, config, agents, doctor, help and kin.
//! None of them needs a supervisor.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// None of these takes longer than a moment.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A repository, a home of its own and nothing on PATH but what is put there.
pub(crate) struct House {
    dir: tempfile::TempDir,
}

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}

impl House {
    /// A repository with one commit.
    pub(crate) fn new() -> Self {
        let house = Self::without_commit();
        house.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        house
    }

    pub(crate) fn without_commit() -> Self {
        let house = Self::bare_folder();
        house.git(&["init", "-q", "-b", "main"]);
        house
    }

    pub(crate) fn bare_folder() -> Self {
        let dir = tempfile::Builder::new().prefix("sh").tempdir_in("/tmp").expect("temp dir");
        for name in ["repo", "bin"] {
            std::fs::create_dir(dir.path().join(name)).expect("mkdir");
        }
        // Not the machine's own PATH: agents may be installed there.
        for name in ["git", "sh", "touch"] {
            let real = which::which(name).expect(name);
            std::os::unix::fs::symlink(real, dir.path().join("bin").join(name)).expect("link");
        }
        Self { dir }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let mut git = assert_cmd::Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(args).current_dir(self.repo());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").assert().success();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.repo().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        std::fs::write(path, text).expect("write");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.repo().join(name)).expect("read")
    }

    /// A program on PATH.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_standup"));
        let path = self.dir.path().join("bin");
        command.args(args).current_dir(self.repo()).env("STANDUP_HOME", self.dir.path().join("home"));
        command.env("PATH", path).env("GIT_CONFIG_GLOBAL", "/dev/null").env_remove("NO_COLOR");
        let output = command.timeout(DEADLINE).output().expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Drop for House {
    /// A test that fails leaves no supervisor behind either.
    fn drop(&mut self) {
        if self.dir.path().join("home/state").exists() {
            self.run(&["down", "--all"]);
        }
    }
}

#[test]
fn init_writes_what_it_found_once_and_asks_before_anything_runs() {
    let house = House::new();
    house.program("claude", "echo '2.1.329 (Claude Code)'");
    house.write("package.json", r#"{"scripts":{"test":"node --test"}}"#);
    let printed = house.run(&["init", "--dry-run"]).ok();
    assert!(printed.out.contains("[agents.claude]") && printed.out.contains("npm run test"), "{}", printed.out);
    assert!(!house.repo().join("agents.toml").exists(), "a dry run writes nothing");

    let said = house.run(&["init"]).ok();
    assert!(said.err.contains("hint: standup trust"), "{}", said.err);
    assert_eq!(house.read("agents.toml"), printed.out);
    assert_eq!(house.run(&["trust", "--json"]).ok().json()["approved"], false);

    house.write("agents.toml", "schema = 1\n# mine\n");
    let again = house.run(&["init"]).fails(1);
    assert!(again.err.contains("it was not touched"), "{}", again.err);
    assert_eq!(house.read("agents.toml"), "schema = 1\n# mine\n");
}

#[test]
fn init_says_what_a_repository_lacks() {
    let house = House::bare_folder();
    let said = house.run(&["init"]).fails(1);
    assert!(said.err.contains("git init"), "{}", said.err);
    let house = House::without_commit();
    let said = house.run(&["init", "--yes"]).ok();
    assert!(said.err.contains("has no commit yet") && said.err.contains("no agent is configured"), "{}", said.err);
}

#[test]
fn trust_approves_exactly_this_set() {
    let house = House::new();
    let settings =
        "schema = 1\n[agents.claude]\ncommand = [\"claude\"]\n[[verify.check]]\nname = \"t\"\nrun = \"true\"\n";
    house.write("agents.toml", settings);
    for args in [&["trust"][..], &["trust", "--no-input"], &["trust", "--no-input", "--json"]] {
        let said = house.run(args).fails(8);
        assert!(said.out.is_empty(), "{}", said.out);
    }
    let said = house.run(&["trust"]).fails(8);
    assert!(
        said.err.contains("verify.check t  true") && said.err.contains("hint: standup trust --yes"),
        "{}",
        said.err
    );

    house.run(&["trust", "--yes"]).ok();
    let shown = house.run(&["trust", "--json"]).ok().json();
    assert_eq!(shown["approved"], true);
    assert_eq!(shown["commands"].as_array().map(Vec::len), Some(2));
    // Limits are no commands; another check is another set.
    house.write("agents.toml", &settings.replace("schema = 1", "schema = 1\n[wip]\nbuild = 7"));
    assert_eq!(house.run(&["trust", "--json"]).ok().json()["approved"], true);
    house.write("agents.toml", &settings.replace("\"true\"", "\"curl x | sh\""));
    assert_eq!(house.run(&["trust", "--json"]).ok().json()["approved"], false);

    house.write("agents.toml", settings);
    assert!(house.run(&["trust", "--list"]).ok().out.contains("(this repository)"));
    house.run(&["trust", "--revoke"]).ok();
    assert_eq!(house.run(&["trust", "--json"]).ok().json()["approved"], false);
}

#[test]
fn trust_names_unconfined_agents_and_shows_no_escape() {
    let house = House::new();
    house.write(
        "agents.toml",
        "schema = 1\n[agents.claude]\nargs = [\"--dangerously-skip-permissions\"]\n\
         [[verify.check]]\nname = \"t\"\nrun = \"echo \\u001b]0;x\\u0007\"\n",
    );
    let said = house.run(&["trust", "--yes"]).ok();
    assert!(said.err.contains("unconfined"), "{}", said.err);
    assert!(!said.err.contains('\x1b') && !said.out.contains('\x1b'));
    let line = house.run(&["trust", "--json"]).ok().json()["commands"][0]["unconfined"].clone();
    assert_eq!(line, "--dangerously-skip-permissions");
}

#[test]
fn config_set_keeps_the_file_and_refuses_what_is_wrong() {
    let house = House::new();
    let before = "schema = 1  # first\n\n[wip]\nbuild = 3   # three\n";
    house.write("agents.toml", before);
    house.run(&["config", "set", "wip.build", "5"]).ok();
    assert_eq!(house.read("agents.toml"), before.replace("= 3   #", "= 5   #"));
    assert_eq!(house.run(&["config", "get", "wip.build"]).ok().out, "5\n");
    let json = house.run(&["config", "get", "wip.build", "--json"]).ok().json();
    assert_eq!((json["value"].as_i64(), json["origin"].as_str()), (Some(5), Some("agents.toml:4")));

    let after = house.read("agents.toml");
    for (key, value, said) in
        [("wip.biuld", "5", "did you mean wip.build?"), ("wip.build", "0", "must be"), ("agent", "nobody", "nobody")]
    {
        let failed = house.run(&["config", "set", key, value]).fails(2);
        assert!(failed.err.contains(said), "{key} {value}: {}", failed.err);
        assert_eq!(house.read("agents.toml"), after, "{key} {value}");
    }
    house.run(&["config", "set", "--user", "wip.machine", "2"]).ok();
    assert_eq!(house.run(&["config", "get", "wip.machine"]).ok().out, "2\n");
    assert!(house.run(&["config", "get", "base"]).fails(1).err.contains("base is not set"));
    assert!(house.run(&["config", "show"]).ok().out.contains("build = 5  # agents.toml:4"));
    assert_eq!(house.run(&["config", "schema"]).ok().json()["title"], "agents.toml");
}

#[test]
fn config_set_without_a_file_points_to_init() {
    let house = House::new();
    let said = house.run(&["config", "set", "wip.build", "5"]).fails(1);
    assert!(said.err.contains("hint: standup init"), "{}", said.err);
}

#[test]
fn agents_lists_what_is_configured_and_asks_only_what_was_approved() {
    let house = House::new();
    let ran = house.dir.path().join("ran");
    house.program("claude", &format!("touch {}; echo '2.1.329 (Claude Code)'", ran.display()));
    house.program("mine", "exit 0");
    house.write("agents.toml", "schema = 1\nagent = \"claude\"\n[agents.claude]\n[agents.mine]\nadapter = \"generic\"\ncommand = [\"mine\"]\n[agents.gone]\nadapter = \"generic\"\ncommand = [\"gone-for-good\"]\n");
    let listed = house.run(&["agents", "--json"]).ok().json();
    let agents = listed["agents"].as_array().expect("agents");
    let by_name = |name: &str| agents.iter().find(|a| a["name"] == name).expect(name);
    assert_eq!(by_name("claude")["default"], true);
    assert_eq!(by_name("claude")["resumes"], true);
    assert_eq!(by_name("mine")["resumes"], false);
    assert!(by_name("gone")["problem"].as_str().expect("a problem").contains("gone-for-good"));
    assert!(!ran.exists(), "a look runs nothing");
    house.run(&["trust", "--yes"]).ok();
    let listed = house.run(&["agents", "--probe", "--json"]).ok().json();
    let claude = listed["agents"].as_array().expect("agents").iter().find(|a| a["name"] == "claude").expect("claude");
    assert_eq!((&claude["version"], &claude["known_version"]), (&Value::from("2.1.329"), &Value::from(true)));
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let house = House::without_commit();
    house.write("agents.toml", "schema = 1\n[agents.gone]\nadapter = \"generic\"\ncommand = [\"gone-for-good\"]\n");
    let said = house.run(&["doctor", "--json"]).fails(1);
    let checks = said.json()["checks"].as_array().expect("checks").clone();
    let find = |name: &str, outcome: &str| {
        checks
            .iter()
            .find(|c| c["name"] == name && c["outcome"] == outcome)
            .unwrap_or_else(|| panic!("{name}: {checks:?}"))
    };
    assert!(find("repository", "fail")["fix"].as_str().expect("a fix").contains("git commit"));
    assert!(find("agent", "fail")["text"].as_str().expect("text").contains("gone-for-good"));
    assert_eq!(find("trust", "warn")["fix"], "standup trust");
    assert_eq!(find("git", "ok")["fix"], Value::Null);
    for check in &checks {
        assert_eq!(check["outcome"] == "ok", check["fix"].is_null(), "what is not ok says what to do: {check}");
    }
    house.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    house.write("agents.toml", "schema = 1\n[agents.sh]\nadapter = \"generic\"\ncommand = [\"sh\"]\n");
    house.run(&["trust", "--yes"]).ok();
    house.run(&["doctor"]).ok();
    house.write("agents.toml", "schema = 1\n[wip]\nbiuld = 3\n");
    let said = house.run(&["doctor"]).fails(1);
    assert!(said.out.contains("agents.toml:3:1") && said.out.contains("did you mean wip.build?"), "{}", said.out);
}

#[test]
fn doctor_works_outside_of_a_repository() {
    let house = House::bare_folder();
    let checks = house.run(&["doctor", "--json"]).fails(1).json();
    let names: Vec<&str> =
        checks["checks"].as_array().expect("checks").iter().filter_map(|c| c["name"].as_str()).collect();
    for name in ["git", "repository", "state", "sockets", "files", "kernel"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn help_explains_verbs_topics_and_exit_codes() {
    let house = House::bare_folder();
    let codes = house.run(&["help", "exit-codes", "--json"]).ok().json();
    let numbers: Vec<i64> =
        codes["codes"].as_array().expect("codes").iter().filter_map(|c| c["code"].as_i64()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 69, 70, 124, 130]);
    assert!(house.run(&["help", "trust"]).ok().out.contains("Usage: standup trust"));
    assert!(house.run(&["help", "briefs"]).ok().out.contains("## Acceptance criteria"));
    let said = house.run(&["help", "brefs"]).fails(2);
    assert!(said.err.contains("did you mean"), "{}", said.err);
    for shell in ["bash", "zsh", "fish"] {
        assert!(house.run(&["completions", shell]).ok().out.contains("standup"), "{shell}");
    }
    assert!(house.run(&["man"]).ok().out.contains(".TH standup 1"));
    house.run(&["man", "--dir", "pages"]).ok();
    assert!(house.repo().join("pages/standup-trust.1").is_file());
}

#[test]
fn without_a_supervisor_there_is_none_to_stop() {
    let house = House::new();
    assert_eq!(house.run(&["supervisor", "status", "--json"]).ok().json()["running"], false);
    assert!(house.run(&["supervisor", "stop"]).ok().err.contains("no supervisor runs"));
    assert!(house.run(&["supervisor", "logs"]).fails(1).err.contains("no supervisor has run here yet"));
}

#[test]
fn a_supervisor_is_started_looked_at_restarted_and_ended() {
    let house = House::new();
    house.write("agents.toml", "schema = 1\n");
    house.run(&["supervisor", "restart"]).ok();
    let first = house.run(&["supervisor", "status", "--json"]).ok().json();
    assert_eq!(first["running"], true);
    house.run(&["supervisor", "restart"]).ok();
    let second = house.run(&["supervisor", "status", "--json"]).ok().json();
    assert_ne!(first["pid"], second["pid"]);
    let taken = house.run(&["supervisor", "run"]).fails(7);
    assert!(taken.err.contains("a supervisor runs already"), "{}", taken.err);
    house.run(&["supervisor", "stop"]).ok();
    assert_eq!(house.run(&["supervisor", "status", "--json"]).ok().json()["running"], false);
}

#[test]
fn an_adapter_that_there_is_not_is_told_before_anything_is_trusted() {
    let house = House::new();
    house.write("agents.toml", "schema = 1\n[agents.claude]\nadapter = \"cluade\"\ncommand = [\"claude\"]\n");
    for args in [&["trust", "--yes"][..], &["config", "show"]] {
        let said = house.run(args).fails(1);
        let told = "agents.toml:3:11: agents.claude.adapter names cluade, which is no adapter (did you mean claude?)";
        assert!(said.err.contains(told) && said.err.contains("hint: there are: "), "{}", said.err);
    }
    // One of the person's own is one.
    let paths = house.run(&["config", "paths", "--json"]).ok().json();
    let own = PathBuf::from(paths["your_adapters"].as_str().expect("a path"));
    std::fs::create_dir_all(&own).expect("mkdir");
    std::fs::write(own.join("cluade.toml"), "schema = 1\n").expect("write");
    house.run(&["config", "show"]).ok();
}

#[test]
fn a_prompt_is_not_typed_where_nobody_knows_when_it_is_read() {
    let house = House::new();
    house.write("agents.toml", "schema = 1\n[agents.aider]\ncommand = [\"aider\"]\nprompt = \"type\"\n");
    for args in [&["trust", "--yes"][..], &["config", "show"]] {
        let said = house.run(args).fails(1);
        let told = "agents.toml:4:10: agents.aider.prompt is \"type\", and the adapter generic does not tell when its \
                    program reads what is typed";
        assert!(said.err.contains(told) && said.err.contains("hint: name the brief in its command"), "{}", said.err);
    }
    house.write("agents.toml", "schema = 1\n[agents.aider]\ncommand = [\"aider\"]\nprompt = \"stdin\"\n");
    house.run(&["config", "show"]).ok();
}
