//! What an installed version of a CLI offers of that which its adapter uses.
//!
//! A way of starting or resuming is looked up in the program's own help; what it reports cannot be
//! seen without a turn, and is known of the versions that the adapter was tried with.
//! **Invariant:** what was neither tried nor found is unknown, and never said to be there. Must not
//! know: how a program is asked.

use serde::Serialize;

use crate::model::settings::Mode;

use super::adapter::{Adapter, Version};

/// The number of the operating system command by which a CLI reports its state.
const REPORTS: u32 = 7501;

/// One thing, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// What.
    pub what: &'static str,
    /// Whether it is offered; `None` where nobody knows.
    pub offered: Option<bool>,
    /// How that is known.
    pub why: String,
}

/// What this version offers. `help` is what the program says of itself, where it was asked.
#[must_use]
pub fn offers(adapter: &Adapter, version: Option<&Version>, help: Option<&str>) -> Vec<Offer> {
    let by_flags = |what, args: &[&[String]]| by_help(what, &words(args), version, help);
    let launch = &adapter.launch;
    let modes: Vec<String> = adapter
        .mode
        .get(&Mode::Delegate)
        .map(|rules| rules.args.iter().chain(&rules.root).cloned().collect())
        .unwrap_or_default();
    let hooks = adapter.hooks.as_ref().map(|h| [vec![h.flag.clone()], h.args.clone()].concat()).unwrap_or_default();
    let notify = adapter.notify.as_ref().map(|n| n.args.clone()).unwrap_or_default();
    let mcp = adapter.mcp.as_ref().map(|m| vec![m.flag.clone()]).unwrap_or_default();
    let resume: &[String] =
        if launch.resume_first { &launch.resume } else { launch.resume.get(..1).unwrap_or_default() };
    vec![
        by_trial("osc7501", adapter.answer.iter().any(|answer| answer.osc == REPORTS), adapter, version),
        by_trial("status-file", adapter.status_file.is_some(), adapter, version),
        by_flags("hooks", &[&hooks]),
        by_flags("notify", &[&notify]),
        by_flags("session-id", &[&launch.session]),
        by_flags("resume", &[resume]),
        by_flags("modes", &[&launch.args, &modes]),
        by_flags("mcp", &[&mcp]),
    ]
}

/// Flags and subcommands without their values.
fn words(args: &[&[String]]) -> Vec<String> {
    let is_word = |n: usize, arg: &String| arg.starts_with('-') || (n == 0 && !arg.contains('{'));
    args.iter()
        .flat_map(|args| args.iter().enumerate().filter(|(n, arg)| is_word(*n, arg)).map(|(_, arg)| arg.clone()))
        .collect()
}

fn by_help(what: &'static str, words: &[String], version: Option<&Version>, help: Option<&str>) -> Offer {
    let (offered, why) = if words.is_empty() {
        (Some(false), "the adapter knows no way".to_owned())
    } else if let Some(help) = help {
        let missing: Vec<&str> = words.iter().map(String::as_str).filter(|word| !names(help, word)).collect();
        match missing.as_slice() {
            [] => (Some(true), "its help names it".to_owned()),
            missing => (Some(false), format!("its help does not name {}", missing.join(", "))),
        }
    } else if version.is_some_and(|v| v.known) {
        (Some(true), "tried with this version".to_owned())
    } else {
        (None, "it was not asked".to_owned())
    };
    Offer { what, offered, why }
}

fn by_trial(what: &'static str, spoken: bool, adapter: &Adapter, version: Option<&Version>) -> Offer {
    let lacks = |version: &Version| {
        let lacks = adapter.version.as_ref().and_then(|rule| rule.lacks.get(&version.number));
        lacks.is_some_and(|lacks| lacks.iter().any(|lack| lack == what))
    };
    let (offered, why) = match version {
        _ if !spoken => (Some(false), "the adapter knows of none".to_owned()),
        Some(version) if version.known && lacks(version) => (Some(false), "tried: not in this version".to_owned()),
        Some(version) if version.known => (Some(true), "tried with this version".to_owned()),
        Some(_) => (None, "this version was not tried".to_owned()),
        None => (None, "its version is not known".to_owned()),
    };
    Offer { what, offered, why }
}

/// Whether a help names a flag or subcommand as a word of its own.
fn names(help: &str, word: &str) -> bool {
    help.split(|c: char| c.is_whitespace() || ",=[]<>|".contains(c)).any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::builtin;

    fn version(number: &str, known: bool) -> Version {
        Version { number: number.to_owned(), known }
    }

    fn offered(of: &[Offer], what: &str) -> Option<bool> {
        of.iter().find(|offer| offer.what == what).unwrap_or_else(|| panic!("{what}")).offered
    }

    #[test]
    fn an_old_version_without_reports_is_told_from_one_with_them() {
        let claude = builtin("claude").expect("claude");
        let new = offers(&claude, Some(&version("2.1.329", true)), None);
        let old = offers(&claude, Some(&version("2.1.197", true)), None);
        let next = offers(&claude, Some(&version("2.2.0", false)), None);
        let of = |all: &[Offer]| (offered(all, "osc7501"), offered(all, "status-file"), offered(all, "resume"));
        assert_eq!(of(&new), (Some(true), Some(true), Some(true)));
        assert_eq!(of(&old), (Some(false), Some(true), Some(true)));
        assert_eq!(of(&next), (None, None, None), "what was not tried is not promised");
    }

    #[test]
    fn a_help_tells_of_ways_that_went_away() {
        let codex = builtin("codex").expect("codex");
        let help = "Usage: codex [OPTIONS] [PROMPT]\n\nCommands:\n  resume  Resume a session\n\nOptions:\n  \
                    -c, --config <key=value>  Override\n  -s, --sandbox <MODE>\n  -a, --ask-for-approval <POLICY>\n      \
                    --add-dir <DIR>\n      --no-daemon\n";
        let all = offers(&codex, Some(&version("9.0.0", false)), Some(help));
        for what in ["resume", "modes", "notify", "mcp"] {
            assert_eq!(offered(&all, what), Some(true), "{what}");
        }
        let hooks = all.iter().find(|offer| offer.what == "hooks").expect("hooks");
        assert_eq!(
            (hooks.offered, hooks.why.as_str()),
            (Some(false), "its help does not name --dangerously-bypass-hook-trust")
        );
        let older = offers(&codex, None, Some(&help.replace("--no-daemon", "--no-daemonize")));
        assert_eq!(offered(&older, "modes"), Some(false), "another word that begins alike is another word");
        assert_eq!(offered(&older, "session-id"), Some(false), "Codex chooses it by itself");
    }

    #[test]
    fn an_adapter_for_any_command_promises_nothing() {
        let generic = builtin("generic").expect("generic");
        assert!(offers(&generic, None, Some("")).iter().all(|offer| offer.offered != Some(true)));
    }
}
