//! Checks found in a project, and the file that `standup init` writes of them.

use super::*;
use crate::config::detect::{Project, detect_checks};

fn project(files: &[&str], texts: &[(&str, &str)], programs: &[&str]) -> Vec<CheckSettings> {
    let all = files.iter().chain(texts.iter().map(|(name, _)| name));
    detect_checks(&Project {
        files: all.map(|name| (*name).to_owned()).collect(),
        texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        programs: programs.iter().map(|name| (*name).to_owned()).collect(),
    })
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
fn the_template_reads_as_what_was_found() {
    let found = |name: &str, command: &[&str]| FoundAgent {
        name: agent(name),
        adapter: agent(if command.len() > 1 { "generic" } else { name }),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let checks = project(&["Cargo.toml", "go.mod"], &[], &["cargo-fmt"]);
    for (agents, checks) in [
        (vec![], vec![]),
        (vec![found("codex", &["codex"])], vec![]),
        (vec![found("codex", &["codex"]), found("claude", &["claude"]), found("own", &["a \"b\"", "{brief}"])], checks),
    ] {
        let text = template(&Found { agents: agents.clone(), checks: checks.clone() });
        let s = settings(&text);
        assert_eq!(s.agent, agents.first().map(|agent| agent.name.clone()), "{text}");
        assert_eq!(s.verify.checks, checks);
        assert_eq!(s.agents.len(), agents.len());
        for agent in agents {
            assert_eq!(s.agents[&agent.name].command, agent.command);
        }
        let rest = Settings { agent: None, agents: BTreeMap::new(), ..s };
        assert_eq!(
            Settings { verify: Settings::default().verify, ..rest },
            Settings::default(),
            "only defaults besides"
        );
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
