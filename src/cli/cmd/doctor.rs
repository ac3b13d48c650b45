//! `standup doctor`: is everything there that the work needs, and what to do where it is not.
//!
//! **Invariant:** it looks and changes nothing but folders of standup's own; every check says
//! what it saw, and one that is not `ok` what to do. Must not know: how anything is mended.

mod machine;
mod repository;
mod running;

use serde::Serialize;

use crate::board::doc::Document;
use crate::board::text::{Paint, Tone};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::model::text::clean_line;
use crate::os::locate::Dirs;

/// Check that everything is there that agents need
#[derive(Debug, clap::Args)]
#[command(long_about = "Check that everything is there that agents need: git, the repository, settings and their \
    approval, agents, folders and their space, limits of the machine, hosts and what they left.\n\n\
    Ends with 1 if a check fails; a warning is no failure.")]
pub(in crate::cli) struct Args {}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// As it should be.
    Ok,
    /// It works, with a drawback.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    name: &'static str,
    /// How it is.
    outcome: Outcome,
    /// What was seen.
    text: String,
    /// What to do: a sentence or a command; `null` where there is nothing to do.
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, text: text.into(), fix: None }
    }

    fn warn(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warn, text: text.into(), fix: Some(fix.into()) }
    }

    fn fail(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fail, text: text.into(), fix: Some(fix.into()) }
    }
}

pub(in crate::cli) fn run(_: Args, ctx: &Context) -> Result<Code, Failure> {
    let mut checks = Vec::new();
    match ctx.place() {
        Ok(place) => {
            checks.extend(repository::checks(place));
            checks.extend(machine::folders(&place.dirs, Some(&place.layout)));
            checks.extend(running::checks(ctx, place));
        }
        Err(failure) => {
            checks.extend(repository::git());
            let fix = failure.hints.first().cloned().unwrap_or_else(|| "standup -C DIR doctor".to_owned());
            checks.push(Check::fail("repository", failure.text, fix));
            match Dirs::find() {
                Ok(dirs) => checks.extend(machine::folders(&dirs, None)),
                Err(error) => checks.push(Check::fail(
                    "folders",
                    crate::cli::error::chain(&error),
                    "set HOME, or STANDUP_HOME to a folder of your own",
                )),
            }
        }
    }
    checks.extend(machine::checks());
    let failed = checks.iter().any(|check| check.outcome == Outcome::Fail);
    if ctx.ui.json {
        ctx.ui.json(&Document::new("doctor", serde_json::json!({ "checks": checks })))?;
    } else {
        ctx.ui.answer(&text(&checks, &ctx.ui))?;
    }
    Ok(if failed { Code::Failure } else { Code::Ok })
}

fn text(checks: &[Check], paint: &dyn Paint) -> String {
    let longest = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let (mark, tone) = match check.outcome {
            Outcome::Ok => ("ok  ", Tone::Good),
            Outcome::Warn => ("warn", Tone::Warn),
            Outcome::Fail => ("fail", Tone::Bad),
        };
        let mut lines = check.text.lines().map(clean_line);
        let first = lines.next().unwrap_or_default();
        text.push_str(&format!("{}  {:<longest$}  {first}\n", paint.paint(tone, mark), check.name));
        let indent = " ".repeat(longest + 8);
        lines.for_each(|line| text.push_str(&format!("{indent}{line}\n")));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("{indent}{} {}\n", paint.paint(Tone::Dim, "hint:"), clean_line(fix)));
        }
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (warned, failed) = (count(Outcome::Warn), count(Outcome::Fail));
    let tone = if failed > 0 { Tone::Bad } else { Tone::Plain };
    let sum = format!("{} ok, {warned} to look at, {failed} failed", count(Outcome::Ok));
    text.push_str(&format!("\n{}\n", paint.paint(tone, &sum)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::text::Bare;

    #[test]
    fn a_check_shows_what_was_seen_and_what_to_do() {
        let checks = [Check::ok("git", "2.47.3"), Check::fail("repository", "one\ntwo\x1b[31m", "git init")];
        let text = text(&checks, &Bare(80));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok    git         2.47.3");
        assert_eq!(lines[1], "fail  repository  one");
        assert!(lines[2].starts_with("                  two") && !lines[2].contains('\x1b'), "{:?}", lines[2]);
        assert_eq!(lines[3], "                  hint: git init");
        assert_eq!(lines[5], "1 ok, 0 to look at, 1 failed");
    }

    #[test]
    fn scripts_read_three_words_and_a_null() {
        let json = serde_json::to_value(Check::ok("git", "2.47.3")).expect("JSON");
        assert_eq!(json, serde_json::json!({"name": "git", "outcome": "ok", "text": "2.47.3", "fix": null}));
    }
}
