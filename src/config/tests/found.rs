//! Checks found in a project, and the file that `standup init` writes of them.

use super::*;
use crate::config::detect::{Project, detect_checks, detect_setup};

fn found(files: &[&str], texts: &[(&str, &str)], programs: &[&str]) -> Project {
    let all = files.iter().chain(texts.iter().map(|(name, _)| name));
    Project {
        files: all.map(|name| (*name).to_owned()).collect(),
        texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        programs: programs.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn project(files: &[&str], texts: &[(&str, &str)], programs: &[&str]) -> Vec<CheckSettings> {
    detect_checks(&found(files, texts, programs))
}

fn runs(checks: &[CheckSettings]) -> Vec<&str> {
    checks.iter().map(|check| check.run.as_str()).collect()
}

#[test]
fn checks_are_found_from_the_files_of_a_project() {
    assert_eq!(runs(&project(&["Cargo.toml"], &[], &[])), ["cargo test"]);
    let rust = project(&["Cargo.toml"], &[], &["cargo-nextest", "cargo-fmt", "cargo-clippy"]);
    assert_eq!(runs(&rust), ["cargo fmt --check", "cargo clippy --all-targets -- -D warnings", "cargo nextest run"]);
    let junit = "[profile.ci]\njunit.path = \"junit.xml\"\n";
    let rust = project(&["Cargo.toml"], &[(".config/nextest.toml", junit)], &["cargo-nextest"]);
    assert_eq!(rust[0].run, "cargo nextest run --profile ci");
    assert!(matches!(&rust[0].report, ReportFormat::Junit(p) if p.as_str() == "target/nextest/ci/junit.xml"));
    let package = r#"{"scripts": {"test": "vitest run", "lint": "eslint ."}}"#;
    assert_eq!(
        runs(&project(&["pnpm-lock.yaml"], &[("package.json", package)], &[])),
        ["pnpm run lint", "pnpm run test"]
    );
    let stub = r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#;
    assert!(project(&[], &[("package.json", stub)], &[]).is_empty());
    assert!(project(&[], &[("package.json", "{ not json")], &[]).is_empty());
    let python = project(&["uv.lock"], &[("pyproject.toml", "[tool.pytest.ini_options]")], &["uv"]);
    assert_eq!((runs(&python), &python[0].report), (vec!["uv run pytest"], &ReportFormat::Pytest));
    assert_eq!(runs(&project(&["go.mod"], &[], &[])), ["go vet ./...", "go test -json ./..."]);
    assert_eq!(runs(&project(&[], &[("Makefile", "all:\n\ntest: all\n\t./t\n")], &[])), ["make test"]);
    assert!(project(&[], &[("Makefile", "test := 1\ntests:\n\ttrue\n")], &[]).is_empty());
    let both = project(&["Cargo.toml"], &[("package.json", package)], &[]);
    let names: Vec<&str> = both.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["test", "lint", "test-2"]);
}

#[test]
fn what_a_fresh_worktree_lacks_is_installed_where_a_lock_file_says_what() {
    let setup = |files: &[&str], programs: &[&str]| detect_setup(&found(files, &[], programs));
    assert!(setup(&["package.json"], &[]).is_empty(), "an installation without a lock file writes one");
    assert!(setup(&["package-lock.json"], &[]).is_empty(), "a lock file alone is no project");
    assert_eq!(setup(&["package.json", "package-lock.json"], &[]), ["npm ci"]);
    assert_eq!(setup(&["package.json", "npm-shrinkwrap.json"], &[]), ["npm ci"]);
    let pnpm = setup(&["package.json", "pnpm-lock.yaml", "package-lock.json"], &[]);
    assert_eq!(pnpm, ["pnpm install --frozen-lockfile"], "one of two package managers");
    assert_eq!(setup(&["package.json", "yarn.lock"], &[]), ["yarn install --frozen-lockfile"]);
    assert_eq!(setup(&["package.json", "yarn.lock", ".yarnrc.yml"], &[]), ["yarn install --immutable"]);
    assert_eq!(setup(&["package.json", "bun.lock"], &[]), ["bun install --frozen-lockfile"]);
    assert!(setup(&["uv.lock", "pyproject.toml"], &["uv"]).is_empty(), "`uv run` does it by itself");
    assert_eq!(setup(&["poetry.lock"], &["poetry"]), ["poetry install"]);
    assert!(setup(&["poetry.lock"], &[]).is_empty());
    let both = setup(&[".gitmodules", "package.json", "package-lock.json"], &[]);
    assert_eq!(both, ["git submodule update --init --recursive", "npm ci"]);
}

#[test]
fn the_template_reads_as_what_was_found() {
    let agent_at = |name: &str, command: &[&str]| FoundAgent {
        name: agent(name),
        adapter: agent(if command.len() > 1 { "generic" } else { name }),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let checks = project(&["Cargo.toml", "go.mod"], &[], &["cargo-fmt"]);
    for (agents, checks, setup) in [
        (vec![], vec![], vec![]),
        (vec![agent_at("codex", &["codex"])], vec![], vec!["npm ci".to_owned()]),
        (
            vec![
                agent_at("codex", &["codex"]),
                agent_at("claude", &["claude"]),
                agent_at("own", &["a \"b\"", "{brief}"]),
            ],
            checks,
            vec!["git submodule update".to_owned(), "npm ci".to_owned()],
        ),
    ] {
        let text = template(&Found { agents: agents.clone(), checks: checks.clone(), setup: setup.clone() });
        let s = settings(&text);
        assert_eq!(s.agent, agents.first().map(|agent| agent.name.clone()), "{text}");
        assert_eq!(s.verify.checks, checks);
        assert_eq!(s.worktrees.setup, setup);
        assert_eq!(s.agents.len(), agents.len());
        for agent in agents {
            assert_eq!(s.agents[&agent.name].command, agent.command);
        }
        let rest = Settings { agent: None, agents: BTreeMap::new(), ..s };
        let Settings { verify, worktrees, .. } = Settings::default();
        assert_eq!(Settings { verify, worktrees, ..rest }, Settings::default(), "only defaults besides");
        assert!(text.starts_with("#:schema ") && text.contains("\nschema = 1\n"));
        uncommented_reads_too(&text);
    }
}

/// Every line that is commented out is right once its `#` is gone.
fn uncommented_reads_too(text: &str) {
    for (n, line) in text.lines().enumerate() {
        let Some(bare) = line.strip_prefix("# ").filter(|bare| bare.contains(" = ")) else { continue };
        let before: Vec<&str> = text.lines().take(n).collect();
        let in_list = before.iter().rev().find(|line| line.trim_start_matches("# ").starts_with('['));
        if in_list.is_some_and(|header| header.starts_with('#')) {
            continue;
        }
        let changed: Vec<&str> = text.lines().enumerate().map(|(m, l)| if m == n { bare } else { l }).collect();
        if let Err(errors) = parse(&repository(&changed.join("\n"))) {
            panic!("{bare}: {errors:?}");
        }
    }
}
