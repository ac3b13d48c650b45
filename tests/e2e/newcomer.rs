//! A person who has just installed it, in a repository of whatever kind: what `init` finds there,
//! and what is said where something is missing.

use std::time::Instant;

use serde_json::{Value, json};

use crate::house::{DEADLINE, House};

/// Files of a project, programs on PATH, and the checks that follow from them.
type Kind<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

const KINDS: &[Kind<'_>] = &[
    (
        &[("package.json", r#"{"scripts":{"test":"vitest","lint":"eslint .","start":"node ."}}"#)],
        &["npm"],
        &["npm run lint", "npm run test"],
    ),
    // What `npm init` writes fails always.
    (&[("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#)], &["npm"], &[]),
    (&[("package.json", r#"{"scripts":{"test":"x"}}"#), ("pnpm-lock.yaml", "")], &["pnpm"], &["pnpm run test"]),
    (&[("pyproject.toml", "[tool.pytest.ini_options]\n[tool.ruff]\n")], &[], &["ruff check", "pytest"]),
    (&[("setup.py", ""), ("tests/test_a.py", "")], &["pytest"], &["pytest"]),
    (&[("go.mod", "module x\n")], &["go"], &["go vet ./...", "go test -json ./..."]),
    (&[("Cargo.toml", "[package]\nname = \"x\"\n")], &["cargo"], &["cargo test"]),
    (
        &[("Cargo.toml", "[workspace]\n")],
        &["cargo", "cargo-fmt", "cargo-clippy", "cargo-nextest"],
        &["cargo fmt --check", "cargo clippy --all-targets -- -D warnings", "cargo nextest run"],
    ),
    (&[("Makefile", "all:\n\ttrue\ntest: all\n\ttrue\n")], &["make"], &["make test"]),
    (&[("README", "nothing to check\n")], &[], &[]),
];

fn init(house: &House) -> Value {
    house.run(&["init", "--yes", "--json"]).ok().json()
}

#[test]
fn the_checks_of_a_project_are_found_whatever_its_kind() {
    for (files, programs, wanted) in KINDS {
        let house = House::new();
        files.iter().for_each(|(name, text)| house.write(name, text));
        programs.iter().for_each(|name| house.program(name, "exit 0"));
        house.program("claude", "echo '2.1.329 (Claude Code)'");
        let found = init(&house);
        let runs: Vec<&str> =
            found["checks"].as_array().expect("checks").iter().filter_map(|c| c["run"].as_str()).collect();
        assert_eq!(&runs, wanted, "{files:?}");
        assert_eq!((&found["agents"], &found["trusted"]), (&json!(["claude"]), &Value::Bool(true)), "{found}");
        // What was written is what is used.
        let checks = house.read("agents.toml");
        assert!(wanted.iter().all(|run| checks.contains(&format!("run = {run:?}"))), "{checks}");
        house.run(&["doctor"]).ok();
    }
}

#[test]
fn without_an_agent_on_path_every_verb_says_what_to_do() {
    let house = House::new();
    house.write("Makefile", "test:\n\ttrue\n");
    let said = house.run(&["init", "--yes"]).ok();
    for words in ["agents: none on PATH", "checks: test (make test)", "install claude or codex, then uncomment"] {
        assert!(said.err.contains(words), "{words:?}: {}", said.err);
    }
    assert!(!said.err.contains("standup up"), "nothing could start: {}", said.err);
    house.run(&["add", "One"]).ok();
    let why = "no agent is configured in agents.toml";
    assert!(house.run(&["start", "T1"]).fails(1).err.contains(&format!("T1 cannot start: {why}")));
    assert!(house.run(&["up"]).ok().out.contains(why));
    assert!(house.run(&["run"]).fails(5).out.contains(why));
    assert!(house.run(&["agents"]).ok().out.contains("claude     built in  not on PATH"));

    // Configured, and not installed.
    house.write("agents.toml", "schema = 1\n[agents.claude]\n");
    house.run(&["trust", "--yes"]).ok();
    let why = "claude is not an executable on PATH (";
    let said = house.run(&["start", "T1"]).fails(1);
    assert!(said.err.contains(why) && said.err.contains("hint: standup agents"), "{}", said.err);
    assert!(house.run(&["run"]).fails(5).out.contains(why));
    let said = house.run(&["doctor"]).fails(1);
    assert!(said.out.contains(why) && said.out.contains("hint: install it"), "{}", said.out);

    // Installed: the supervisor finds it, without a restart.
    house.program("claude", "echo '2.1.329 (Claude Code)'");
    let until = Instant::now() + DEADLINE;
    let mut plan = house.run(&["start", "T1", "--dry-run"]);
    while plan.code != Some(0) && Instant::now() < until {
        plan = house.run(&["start", "T1", "--dry-run"]);
    }
    assert!(plan.ok().out.contains("bin/claude"));
    house.run(&["down", "--all"]).ok();
}
