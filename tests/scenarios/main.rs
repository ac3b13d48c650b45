//! Stories a person can read: what is said to the machine, and under each line everything that
//! follows from it. `tests/scenarios/*.txt` are both the input and the expected answer.
//!
//! `STANDUP_BLESS=1` writes the answers anew; look at the difference before you keep it.

mod hints;
mod language;
mod limits;
#[path = "../support/plain.rs"]
mod plain;
mod show;
mod story;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use story::Story;

/// Marks a line that nobody understands; no story may keep one.
const WRONG: &str = "??";

fn stories() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of stories")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    found.sort();
    found
}

/// The story with its answers as they are now.
fn retell(text: &str) -> String {
    let mut story = Story::default();
    let mut told = String::new();
    for line in text.lines() {
        if line.starts_with("  ") {
            continue;
        }
        told.push_str(line);
        told.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let answers = language::parse(line).and_then(|line| story.tell(line));
        for answer in answers.unwrap_or_else(|why| vec![format!("{WRONG} {why}")]) {
            told.push_str("  ");
            told.push_str(&answer);
            told.push('\n');
        }
    }
    told
}

#[test]
fn every_story_goes_as_it_is_written() {
    let mut wrong = Vec::new();
    for path in stories() {
        let text = std::fs::read_to_string(&path).expect("a story");
        let told = retell(&text);
        let misunderstood = told.contains(&format!("\n  {WRONG}"));
        if told == text && !misunderstood {
            continue;
        }
        if std::env::var_os("STANDUP_BLESS").is_some() {
            std::fs::write(&path, told).expect("a story to write");
        } else {
            let first = told.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let around = |t: &str| t.lines().skip(first.saturating_sub(4)).take(12).collect::<Vec<_>>().join("\n");
            wrong.push(format!(
                "{}, line {}\n--- written\n{}\n--- told\n{}",
                path.display(),
                first + 1,
                around(&text),
                around(&told)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_reason_to_hold_a_task_is_in_a_story() {
    let told: BTreeSet<String> = stories()
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a story");
            let kinds = text
                .lines()
                .filter_map(|l| l.trim_start().strip_prefix("held ")?.split([' ', ':']).nth(1).map(str::to_owned));
            kinds.collect::<Vec<_>>()
        })
        .collect();
    for kind in [
        "build", "review", "machine", "ports", "agent", "base", "needs", "overlap", "limited", "trust", "asks",
        "dispatch",
    ] {
        assert!(told.contains(kind), "no story holds a task because of {kind}; there are {told:?}");
    }
}
