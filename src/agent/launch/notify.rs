//! The notify program of a CLI that takes only one: ours, and after it the user's own.
//!
//! **Invariant:** the user's own is called with the words he wrote and what the CLI adds to them; one
//! that cannot be understood is left to the CLI. Must not know: how programs are started.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::LaunchError;
use crate::agent::adapter::NotifyRules;
use crate::agent::{placeholder, quote};

/// The most words of a notify program. It stands on a command line.
const MAX_WORDS: usize = 64;

/// The most bytes of all of them.
const MAX_BYTES: usize = 16 << 10;

/// The files of settings that may name the user's own, below the folder of his settings, the one
/// that holds first.
pub(super) fn own_files(rules: &NotifyRules, args: &[String]) -> Vec<String> {
    let Some(own) = &rules.own else { return Vec::new() };
    let options = args.split(|arg| arg == "--").next().unwrap_or_default();
    let named = |i| rules.profile_flags.iter().find_map(|flag| super::approvals::given(flag, options, i));
    let profile = (0..options.len()).rev().find_map(named).map(|(_, name)| name);
    // It becomes part of a path.
    let plain = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let layer = profile.filter(plain).and_then(|name| {
        let values = [("profile", name)].into();
        placeholder::fill(&rules.profile, &values).ok().filter(|path| !path.is_empty())
    });
    layer.into_iter().chain([own.path.clone()]).collect()
}

/// The notify program that such settings name; `None` where they name none.
#[must_use]
pub fn own(rules: &NotifyRules, settings: &str) -> Option<Vec<String>> {
    settings.parse::<Table>().ok()?.get(&rules.key).and_then(words)
}

/// The one that the user's arguments name, which are then without it: the last one holds.
pub(super) fn given(key: &str, flags: &[String], args: &mut Vec<String>) -> Option<Vec<String>> {
    let mut found = None;
    let mut at = 0;
    while at < args.len() && args[at] != "--" {
        let given = flags.iter().find_map(|flag| super::approvals::given(flag, args, at));
        let value = given.and_then(|(written, given)| Some((written.contains(' '), assigned(key, &given)?)));
        match value {
            Some((two, words)) => {
                let split = flags.contains(&args[at]) && two;
                args.drain(at..at + 1 + usize::from(split));
                found = Some(words);
            }
            None => at += 1,
        }
    }
    found
}

/// The program in `key=["…"]`.
fn assigned(key: &str, text: &str) -> Option<Vec<String>> {
    let (name, value) = text.split_once('=')?;
    if key.is_empty() || name.trim() != key {
        return None;
    }
    words(format!("x={value}").parse::<Table>().ok()?.get("x")?)
}

fn words(value: &Value) -> Option<Vec<String>> {
    let words: Vec<String> = value.as_array()?.iter().map(|w| w.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    let bytes: usize = words.iter().map(String::len).sum();
    let sound = words.len() <= MAX_WORDS && bytes <= MAX_BYTES && !words.iter().any(|w| w.contains('\0'));
    Some(words).filter(|words| sound && words.first().is_none_or(|program| !program.is_empty()))
}

/// The arguments that give ours, which calls the user's own.
pub(super) fn args(rules: &NotifyRules, standup: &str, own: &[String]) -> Result<Vec<String>, LaunchError> {
    let mut words = vec![standup, "hook", "codex-notify"];
    if !own.is_empty() {
        words.push("--then");
        words.extend(own.iter().map(String::as_str));
    }
    let value: BTreeMap<&str, String> = [("notify", quote::toml_array(&words))].into();
    Ok(rules.args.iter().map(|word| placeholder::fill(word, &value)).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;

    fn rules() -> NotifyRules {
        builtin("codex").expect("codex").notify.expect("rules")
    }

    #[test]
    fn the_users_own_program_is_read_from_his_settings() {
        let settings = "model = \"x\"\nnotify = [\"notify-send\", \"it's \\\"done\\\"\"]\n[tui]\ntheme = 1\n";
        let wanted = ["notify-send", "it's \"done\""].map(str::to_owned).to_vec();
        assert_eq!(own(&rules(), settings), Some(wanted));
        assert_eq!(own(&rules(), "notify = []"), Some(Vec::new()), "none, and none of another file's");
        for none in ["", "notify = \"x\"", "notify = [1]", "notify = [\"\"]", "[tui]\nnotify = [\"x\"]", "="] {
            assert_eq!(own(&rules(), none), None, "{none}");
        }
        let long = format!("notify = [\"x\", \"{}\"]", "y".repeat(MAX_BYTES));
        assert_eq!(own(&rules(), &long), None, "it stands on a command line");
    }

    #[test]
    fn a_profile_comes_before_the_settings_it_lies_over() {
        let files = |words: &[&str]| own_files(&rules(), &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(files(&["-m", "x"]), ["config.toml"]);
        for words in [&["-p", "work"][..], &["--profile=work", "-m", "x"], &["--profile", "play", "-pwork"]] {
            assert_eq!(files(words), ["work.config.toml", "config.toml"], "{words:?}");
        }
        for words in [&["-p"][..], &["-p", "../../etc"], &["--", "-p", "work"]] {
            assert_eq!(files(words), ["config.toml"], "{words:?}");
        }
    }

    #[test]
    fn the_one_in_the_users_arguments_is_taken_out_of_them() {
        let flags = ["-c".to_owned(), "--config".to_owned()];
        let take = |words: &[&str]| {
            let mut args: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            (given("notify", &flags, &mut args), args)
        };
        let wanted = Some(vec!["a".to_owned(), "b c".to_owned()]);
        for words in [
            &["-m", "x", "-c", "notify=[\"a\",\"b c\"]", "-c", "y=1"][..],
            &["-m", "x", "-cnotify = [\"a\",\"b c\"]", "-c", "y=1"],
            &["-m", "x", "--config=notify=['a','b c']", "-c", "y=1"],
            &["-c", "notify=[\"old\"]", "-m", "x", "--config", "notify=['a','b c']", "-c", "y=1"],
        ] {
            assert_eq!(
                take(words),
                (wanted.clone(), ["-m", "x", "-c", "y=1"].map(str::to_owned).to_vec()),
                "{words:?}"
            );
        }
        // What is none of it, or cannot be understood, stays where it is.
        for words in
            [&["-c", "notify=oops"][..], &["-c", "tui.notify=[\"a\"]"], &["--", "-c", "notify=[\"a\"]"], &["-c"]]
        {
            assert_eq!(take(words), (None, words.iter().map(|w| (*w).to_owned()).collect()), "{words:?}");
        }
    }

    #[test]
    fn ours_calls_the_users_own_after_itself() {
        let words = |own: &[&str]| {
            let own: Vec<String> = own.iter().map(|w| (*w).to_owned()).collect();
            args(&rules(), "/s p/standup", &own).expect("arguments")
        };
        assert_eq!(words(&[]), ["-c", r#"notify=["/s p/standup","hook","codex-notify"]"#]);
        let with = r#"notify=["/s p/standup","hook","codex-notify","--then","play","--soft"]"#;
        assert_eq!(words(&["play", "--soft"]), ["-c", with]);
    }
}
