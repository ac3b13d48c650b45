//! The scratch repository of the demo: a tiny project, its tests, its `agents.toml`, four briefs.
//!
//! **Invariant:** everything lies in the folder it is given, and its checks need a shell and
//! nothing else. Must not know: how tasks are started; it hands out data.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::file::{self, FileError};
use crate::os::run::{Run, RunError};

/// The scratch repository, ready for `init`, `trust`, `import` and `run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// The repository, on branch `main`, with one commit.
    pub repository: PathBuf,
    /// Its settings, committed.
    pub settings: PathBuf,
    /// The tasks in the order they are to be added, so that the first is `T1`.
    pub tasks: Vec<Task>,
}

/// A task of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its title, as in its brief.
    pub title: &'static str,
    /// Its brief, outside the repository.
    pub brief: PathBuf,
    /// What the demo shows with it.
    pub shows: Shows,
}

/// What a task is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Green at the first go.
    Green,
    /// A question that waits for a person, and what the demo answers.
    Question {
        /// The option, as it stands on the terminal.
        answer: &'static str,
    },
    /// Red first, mended when the failure comes back.
    RedThenGreen,
    /// Held until the first task is done.
    Needs,
}

/// Why the repository could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// There is something already.
    #[error("{} is not empty", .0.display())]
    Taken(PathBuf),
    /// A file.
    #[error("cannot lay the scratch repository")]
    File(#[from] FileError),
    /// The folder of the player has a name that cannot be written down.
    #[error("{} is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// A program did not start.
    #[error("cannot make the first commit")]
    Run(#[from] RunError),
    /// The first commit failed.
    #[error("cannot make the first commit: {0}")]
    Commit(String),
}

/// Making a repository of a dozen files takes a moment; this is for machines that stand still.
const COMMIT_LIMIT: Duration = Duration::from_secs(60);

/// One attempt of the first two may build at once, and every finished one fits into Review.
const SETTINGS: &str = r#"# The demo's own settings.
schema = 1
base   = "main"
agent  = "demo"

[wip]
build  = 2
review = 4

[check_in]
every = "1m"

[verify]
on = ["done"]

[[verify.check]]
name    = "syntax"
run     = "for tool in bin/*; do sh -n \"$tool\" || exit 1; done"
timeout = "1m"

[[verify.check]]
name    = "test"
run     = "sh tests/run"
report  = "tap"
timeout = "1m"

[agents.demo]
adapter = "demo"
command = [{player}, "__demo-agent"]
args    = [{args}]
"#;

const FILES: &[(&str, u32, &str)] = &[
    ("README.md", 0o644, "# Small tools\n\nA few tools for the shell. `sh tests/run` tests them all.\n"),
    ("bin/greet", 0o755, "#!/bin/sh\n# Greets.\nprintf 'Hello.\\n'\n"),
    (
        "tests/greet.test.sh",
        0o644,
        "actual=$(bin/greet)\n[ \"$actual\" = Hello. ] || { echo \"expected 'Hello.', got '$actual'\"; exit 1; }\n",
    ),
    (
        "tests/run",
        0o755,
        r##"#!/bin/sh
# Runs every tests/*.test.sh from the top of the tree and reports in TAP.
cd "$(dirname "$0")/.." || exit 1
# The same order everywhere.
export LC_ALL=C
set -- tests/*.test.sh
echo "1..$#"
number=0 failed=0
for test in "$@"; do
    number=$((number + 1))
    name=$(basename "$test" .test.sh)
    if output=$(sh "$test" 2>&1); then
        echo "ok $number - $name"
    else
        failed=$((failed + 1))
        echo "not ok $number - $name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
done
[ "$failed" -eq 0 ]
"##,
    ),
];

/// The name of a brief, its title, what it shows, and its text.
const BRIEFS: &[(&str, &str, Shows, &str)] = &[
    ("1-greet.md", "Greet people by name", Shows::Green, include_str!("scripts/greet.md")),
    (
        "2-distance.md",
        "Print a distance",
        Shows::Question { answer: "Kilometres" },
        include_str!("scripts/distance.md"),
    ),
    ("3-longest.md", "Find the longest line", Shows::RedThenGreen, include_str!("scripts/longest.md")),
    ("4-usage.md", "List all tools", Shows::Needs, include_str!("scripts/usage.md")),
];

/// Makes the repository `folder/small-tools` and the briefs `folder/briefs`. `player` is the
/// program that plays the agent: this very binary; `pace` lies between two of its steps, where
/// its own is not wanted.
///
/// # Errors
/// [`ScratchError`]. What was made until then stays, for a look.
pub fn lay(folder: &Path, player: &Path, pace: Option<Duration>) -> Result<Scratch, ScratchError> {
    let repository = folder.join("small-tools");
    let briefs = folder.join("briefs");
    for dir in [&repository, &briefs] {
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(ScratchError::Taken(dir.clone()));
        }
    }
    for (path, mode, text) in FILES {
        put(&repository.join(path), text, *mode)?;
    }
    let program = player.to_str().ok_or_else(|| ScratchError::NotText(player.to_owned()))?;
    let program = toml::Value::String(program.to_owned()).to_string();
    let args = pace.map(|pace| format!("\"--pace\", \"{}\"", pace.as_millis())).unwrap_or_default();
    let settings = repository.join("agents.toml");
    put(&settings, &SETTINGS.replace("{args}", &args).replace("{player}", &program), 0o644)?;
    let mut tasks = Vec::new();
    for &(name, title, shows, text) in BRIEFS {
        let brief = briefs.join(name);
        put(&brief, text, 0o644)?;
        tasks.push(Task { title, brief, shows });
    }
    commit(&repository)?;
    Ok(Scratch { repository, settings, tasks })
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(|e: io::Error| FileError::io("create", dir, e))?;
    file::write_atomic(path, text.as_bytes(), mode)
}

/// What a person would type to begin a repository. The name and the switches are the repository's
/// own, so that agents commit in it whatever the user's settings are.
fn commit(repository: &Path) -> Result<(), ScratchError> {
    const LINES: &str = "set -e
        git init -q -b main .
        git config user.name 'Demo'
        git config user.email 'demo@localhost'
        git config commit.gpgsign false
        git config core.hooksPath /dev/null
        git add -A
        git commit -q -m 'Small tools for the shell'";
    let mut run = Run::new("/bin/sh").args(["-c", LINES]).cwd(repository).timeout(COMMIT_LIMIT);
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_TEMPLATE_DIR"]
    {
        run = run.unset(name);
    }
    let out = run.output()?;
    if out.ended.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(ScratchError::Commit(said.lines().last().unwrap_or("git said nothing").trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::{Script, named_in};

    fn sh(dir: &Path, line: &str) -> String {
        let out = Run::new("/bin/sh").args(["-c", line]).cwd(dir).output().expect("sh runs");
        assert!(out.ended.is_success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    #[test]
    fn it_is_a_clean_repository_whose_checks_pass() {
        let dir = tempfile::tempdir().expect("temp dir");
        let scratch = lay(dir.path(), Path::new("/opt/a \"b\"/standup"), Some(Duration::from_millis(7))).expect("laid");
        assert_eq!(sh(&scratch.repository, "git status --porcelain"), "");
        assert_eq!(sh(&scratch.repository, "git branch --show-current"), "main\n");
        assert_eq!(sh(&scratch.repository, "sh tests/run"), "1..1\nok 1 - greet\n");
        let settings: toml::Table =
            toml::from_str(&fs::read_to_string(&scratch.settings).expect("read")).expect("settings are TOML");
        assert_eq!(settings["agents"]["demo"]["command"][0].as_str(), Some("/opt/a \"b\"/standup"));
        assert_eq!(settings["agents"]["demo"]["args"].to_string(), r#"["--pace", "7"]"#);
        for check in settings["verify"]["check"].as_array().expect("checks") {
            sh(&scratch.repository, check["run"].as_str().expect("a line"));
        }
    }

    #[test]
    fn every_brief_names_a_script_and_its_title() {
        let dir = tempfile::tempdir().expect("temp dir");
        let scratch = lay(dir.path(), Path::new("/bin/true"), None).expect("laid");
        assert_eq!(scratch.tasks.len(), 4);
        for task in &scratch.tasks {
            let text = fs::read_to_string(&task.brief).expect("read");
            assert!(text.contains(&format!("\ntitle: {}\n", task.title)), "{text}");
            let script = Script::built_in(named_in(&text).expect("names a script")).expect("known");
            let asks = script.turn.iter().flat_map(|turn| &turn.step).find_map(|step| match step {
                crate::demo::script::Step::Ask(ask) => Some(ask),
                _ => None,
            });
            match task.shows {
                Shows::Question { answer } => {
                    assert!(asks.expect("asks").options.iter().any(|option| option.label == answer));
                }
                Shows::RedThenGreen => assert_eq!(script.turn.len(), 2),
                Shows::Needs => assert!(text.contains("\nneeds: [T1]\n")),
                Shows::Green => assert!(asks.is_none() && script.turn.len() == 1),
            }
        }
    }

    #[test]
    fn a_folder_that_is_taken_is_left_alone() {
        let dir = tempfile::tempdir().expect("temp dir");
        lay(dir.path(), Path::new("/bin/true"), None).expect("laid");
        let again = lay(dir.path(), Path::new("/bin/true"), None).expect_err("taken");
        assert!(again.to_string().ends_with("small-tools is not empty"), "{again}");
    }
}
