//! Which checks a project has, and what a fresh checkout of it needs first, from the files at its
//! root.
//!
//! **Invariant:** a command is proposed only if a file of the project says that it can do something.
//! Must not know: how files are read or programs found.

use std::collections::{BTreeMap, BTreeSet};

use super::settle::CHECK_TIMEOUT;
use crate::model::name::{CheckName, RepoPath};
use crate::model::settings::{CheckSettings, ReportFormat};

/// What the caller found out about a project.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Files and folders at the root, by name.
    pub files: BTreeSet<String>,
    /// The text of those [`TEXTS`] that exist.
    pub texts: BTreeMap<String, String>,
    /// Programs of [`PROGRAMS`] that can be run.
    pub programs: BTreeSet<String>,
}

/// Files whose text decides.
pub const TEXTS: &[&str] = &[
    "package.json",
    "pyproject.toml",
    "setup.cfg",
    "Makefile",
    "GNUmakefile",
    "makefile",
    "justfile",
    ".justfile",
    ".config/nextest.toml",
];

/// Programs whose presence decides.
pub const PROGRAMS: &[&str] = &["cargo-nextest", "cargo-clippy", "cargo-fmt", "pytest", "ruff", "uv", "poetry"];

/// The checks of a project, in the order in which they should run: the quick ones first.
#[must_use]
pub fn detect_checks(project: &Project) -> Vec<CheckSettings> {
    let mut checks = Vec::new();
    rust(project, &mut checks);
    node(project, &mut checks);
    python(project, &mut checks);
    go(project, &mut checks);
    if checks.is_empty() {
        targets(project, &mut checks);
    }
    unique(checks)
}

/// What a fresh worktree needs before anything can run in it: dependencies that a lock file names,
/// since what a package manager installed is ignored by git and therefore not in it.
///
/// Nothing without a lock file: installing would write one, and the agent's work would begin with it.
#[must_use]
pub fn detect_setup(project: &Project) -> Vec<String> {
    let mut setup = Vec::new();
    if project.has(".gitmodules") {
        setup.push("git submodule update --init --recursive".to_owned());
    }
    if project.has("package.json") {
        let yarn = if project.has(".yarnrc.yml") { "--immutable" } else { "--frozen-lockfile" };
        setup.extend(match node_runner(project) {
            Some("npm") => Some("npm ci".to_owned()),
            Some("yarn") => Some(format!("yarn install {yarn}")),
            Some(runner) => Some(format!("{runner} install --frozen-lockfile")),
            None => None,
        });
    }
    // `uv run` installs by itself.
    if python_runner(project) == "poetry run " {
        setup.push("poetry install".to_owned());
    }
    setup
}

fn check(name: &str, run: impl Into<String>, report: ReportFormat) -> CheckSettings {
    let name = CheckName::new(name).expect("names of checks in this file are plain words");
    CheckSettings { name, run: run.into(), report, timeout: CHECK_TIMEOUT }
}

impl Project {
    fn has(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    fn can(&self, program: &str) -> bool {
        self.programs.contains(program)
    }

    fn text(&self, file: &str) -> &str {
        self.texts.get(file).map_or("", String::as_str)
    }
}

fn rust(project: &Project, checks: &mut Vec<CheckSettings>) {
    if !project.has("Cargo.toml") {
        return;
    }
    if project.can("cargo-fmt") {
        checks.push(check("fmt", "cargo fmt --check", ReportFormat::Exit));
    }
    if project.can("cargo-clippy") {
        checks.push(check("clippy", "cargo clippy --all-targets -- -D warnings", ReportFormat::Exit));
    }
    if !project.can("cargo-nextest") {
        checks.push(check("test", "cargo test", ReportFormat::Libtest));
        return;
    }
    match nextest_junit(project.text(".config/nextest.toml")) {
        Some((profile, path)) => {
            checks.push(check("test", format!("cargo nextest run --profile {profile}"), ReportFormat::Junit(path)));
        }
        None => checks.push(check("test", "cargo nextest run", ReportFormat::Nextest)),
    }
}

/// The first profile of a nextest configuration that writes JUnit, and the file it writes.
fn nextest_junit(text: &str) -> Option<(String, RepoPath)> {
    let config: toml::Table = toml::from_str(text).ok()?;
    let profiles = config.get("profile")?.as_table()?;
    profiles.iter().find_map(|(name, profile)| {
        let plain = CheckName::new(name.as_str()).ok()?;
        let file = profile.get("junit")?.get("path")?.as_str()?;
        Some((plain.to_string(), RepoPath::new(format!("target/nextest/{name}/{file}")).ok()?))
    })
}

/// Lock files, and the package manager of Node.js that writes them.
const NODE_LOCKS: &[(&str, &str)] = &[
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// The package manager whose lock file is there.
fn node_runner(project: &Project) -> Option<&'static str> {
    NODE_LOCKS.iter().find(|(lock, _)| project.has(lock)).map(|(_, runner)| *runner)
}

fn node(project: &Project, checks: &mut Vec<CheckSettings>) {
    let Ok(package) = serde_json::from_str::<serde_json::Value>(project.text("package.json")) else { return };
    let runner = node_runner(project).unwrap_or("npm");
    for name in ["lint", "typecheck", "test"] {
        let Some(script) = package["scripts"][name].as_str() else { continue };
        // What `npm init` writes: a placeholder that always fails.
        if script.contains("no test specified") {
            continue;
        }
        checks.push(check(name, format!("{runner} run {name}"), ReportFormat::Exit));
    }
}

/// What stands before the commands of a Python project: `uv run `, `poetry run ` or nothing.
fn python_runner(project: &Project) -> &'static str {
    let locked = |lock: &str, program: &str| project.has(lock) && project.can(program);
    match () {
        () if locked("uv.lock", "uv") => "uv run ",
        () if locked("poetry.lock", "poetry") => "poetry run ",
        () => "",
    }
}

fn python(project: &Project, checks: &mut Vec<CheckSettings>) {
    let pyproject = project.text("pyproject.toml");
    let prefix = python_runner(project);
    if pyproject.contains("[tool.ruff") || project.has("ruff.toml") || project.has(".ruff.toml") {
        checks.push(check("ruff", format!("{prefix}ruff check"), ReportFormat::Exit));
    }
    let configured = pyproject.contains("pytest")
        || project.text("setup.cfg").contains("[tool:pytest]")
        || ["pytest.ini", ".pytest.ini", "conftest.py"].iter().any(|file| project.has(file));
    let likely = project.can("pytest")
        && project.has("tests")
        && ["pyproject.toml", "setup.py", "setup.cfg"].iter().any(|file| project.has(file));
    if configured || likely {
        checks.push(check("pytest", format!("{prefix}pytest"), ReportFormat::Pytest));
    }
}

fn go(project: &Project, checks: &mut Vec<CheckSettings>) {
    if project.has("go.mod") {
        checks.push(check("vet", "go vet ./...", ReportFormat::Exit));
        checks.push(check("go-test", "go test -json ./...", ReportFormat::Go));
    }
}

/// `make test`, `just test`: for projects that no other rule knows.
fn targets(project: &Project, checks: &mut Vec<CheckSettings>) {
    let files = [
        ("GNUmakefile", "make"),
        ("makefile", "make"),
        ("Makefile", "make"),
        ("justfile", "just"),
        (".justfile", "just"),
    ];
    for (file, program) in files {
        for target in ["test", "check"] {
            if has_target(project.text(file), target) {
                checks.push(check(target, format!("{program} {target}"), ReportFormat::Exit));
                return;
            }
        }
    }
}

/// Whether a Makefile or justfile has a rule of this name; `test := 1` is a variable.
fn has_target(text: &str, target: &str) -> bool {
    text.lines().any(|line| {
        let Some(rest) = line.strip_prefix(target) else { return false };
        let Some((words, after)) = rest.split_once(':') else { return false };
        (words.is_empty() || words.starts_with(' ')) && !words.contains('=') && !after.starts_with('=')
    })
}

/// Two languages may each have a `test`: the later ones get a number.
fn unique(checks: Vec<CheckSettings>) -> Vec<CheckSettings> {
    let mut seen = BTreeSet::new();
    checks
        .into_iter()
        .map(|mut check| {
            let base = check.name.clone();
            for n in 2.. {
                if seen.insert(check.name.clone()) {
                    break;
                }
                check.name = CheckName::new(format!("{base}-{n}")).expect("a plain word with a number");
            }
            check
        })
        .collect()
}
