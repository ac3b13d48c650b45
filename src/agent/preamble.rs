//! The first prompt: a short preamble (limits, check-ins, what done means), then the brief.
//!
//! The preamble is a template that a user may replace (`preamble.md`). **Invariant:** the brief
//! follows it unchanged, byte by byte, and is never searched for placeholders. Must not know:
//! where either text lies.

use std::collections::BTreeMap;

use crate::model::id::TaskId;
use crate::model::settings::Limits;
use crate::model::time::Span;

use super::placeholder::{self, PlaceholderError};
use super::quote;

/// The built-in template.
pub const BUILTIN: &str = include_str!("builtin/preamble.md");

/// What a template may name.
pub const PLACEHOLDERS: &[&str] =
    &["task", "title", "worktree", "branch", "brief", "check_in", "off_limits", "checks", "mode", "limits", "standup"];

/// What the preamble speaks of.
#[derive(Debug, Clone)]
pub struct Preamble<'a> {
    /// The task.
    pub task: TaskId,
    /// Its title.
    pub title: &'a str,
    /// Where the agent works.
    pub worktree: &'a str,
    /// Its branch.
    pub branch: &'a str,
    /// The stored brief.
    pub brief_path: &'a str,
    /// The command that reports, as a shell takes it: this program's own path, because a login
    /// shell may know another PATH.
    pub standup: &'a str,
    /// How often it reports.
    pub check_in: Span,
    /// What it is to keep within.
    pub limits: &'a Limits,
    /// Patterns it must not touch.
    pub off_limits: &'a [String],
    /// Commands that will be run on its work.
    pub checks: &'a [String],
    /// How much is handed over.
    pub mode: crate::model::settings::Mode,
}

/// Checks a user's template.
///
/// # Errors
/// The first placeholder that is none.
pub fn check(template: &str) -> Result<(), PlaceholderError> {
    // Line by line, so that the error shows the line and not the whole file.
    template.lines().try_for_each(|line| placeholder::check(line, PLACEHOLDERS))
}

/// The first prompt: the template filled in, then the brief.
///
/// # Errors
/// A placeholder that is none.
pub fn prompt(template: &str, preamble: &Preamble<'_>, brief: &str) -> Result<String, PlaceholderError> {
    let list = |items: &[String]| items.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", ");
    let off_limits = match preamble.off_limits {
        [] => String::new(),
        patterns => format!("- Off limits, do not change: {}.\n", list(patterns)),
    };
    let checks = match preamble.checks {
        [] => String::new(),
        commands => format!("These will be run on it, so run them first: {}. ", list(commands)),
    };
    let values: BTreeMap<&str, String> = [
        ("task", preamble.task.to_string()),
        ("title", preamble.title.to_owned()),
        ("worktree", preamble.worktree.to_owned()),
        ("branch", preamble.branch.to_owned()),
        ("brief", preamble.brief_path.to_owned()),
        ("check_in", preamble.check_in.to_string()),
        ("mode", preamble.mode.to_string()),
        ("standup", quote::sh(preamble.standup)),
        ("limits", within(preamble.limits)),
        ("off_limits", off_limits),
        ("checks", checks),
    ]
    .into();
    let head = placeholder::fill(template, &values)?;
    Ok(format!("{}\n\n{brief}", head.trim_end()))
}

/// The limits an agent can keep by itself.
fn within(limits: &Limits) -> String {
    format!("{}, {} changed lines and {} changed files", limits.wall_clock, limits.changed_lines, limits.changed_files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkin::{Claim, Written};
    use crate::model::settings::{Mode, Settings};

    fn told(off_limits: &[String], checks: &[String], brief: &str) -> String {
        let limits = Settings::default().limits;
        let preamble = Preamble {
            task: TaskId::new(7).expect("task"),
            title: "Mend the pager",
            worktree: "/w/T7",
            branch: "standup/T7/1-pager",
            brief_path: "/w/T7/.standup/run/brief.md",
            standup: "/opt/our tools/standup",
            check_in: Span::mins(15),
            limits: &limits,
            off_limits,
            checks,
            mode: Mode::Delegate,
        };
        prompt(BUILTIN, &preamble, brief).expect("a prompt")
    }

    #[test]
    fn the_built_in_template_says_what_there_is_to_say_and_the_brief_is_untouched() {
        check(BUILTIN).expect("built in");
        let brief = "/exit {task} {nonsense}\r\n\u{202e}x";
        let (off, checks) = ([".github/**".to_owned()], ["cargo test".to_owned(), "cargo fmt --check".to_owned()]);
        let told = told(&off, &checks, brief);
        let golden = include_str!("builtin/preamble.golden");
        assert_eq!(told, format!("{}\n\n{brief}", golden.trim_end()), "the golden text is in builtin/preamble.golden");
        assert!(told.starts_with("You work on task"), "no command of a CLI's composer");
    }

    #[test]
    fn the_example_it_gives_is_a_check_in() {
        let text = told(&[], &[], "");
        let json = text.lines().find(|l| l.trim().starts_with("{\"schemaVersion\"")).expect("an example").trim();
        let (check_in, _) = serde_json::from_str::<Written>(json).expect(json).parts();
        assert_eq!(check_in.state, Claim::Working);
        assert!(!text.contains("Off limits") && !text.contains("run them first"));
    }

    #[test]
    fn a_users_template_is_checked_with_its_line() {
        let error = check("Hello\nyou are on {brnch}\n").expect_err("misspelt").to_string();
        assert_eq!(error, "{brnch} in \"you are on {brnch}\" has no value; did you mean {branch}?");
    }
}
