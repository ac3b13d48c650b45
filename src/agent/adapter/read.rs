//! Adapters read: the built-in files and a user's own, by the same rules.
//!
//! **Invariant:** what is wrong in a file is refused here, with its place; nothing is mended or
//! guessed. Must not know: where the text came from.

use std::ops::Range;

use super::{Adapter, CountRule};
use crate::agent::placeholder;
use crate::model::settings::PromptVia;

/// The only format there is so far.
const SCHEMA: u32 = 1;

/// How alike (0–1, Jaro-Winkler) a known key must be to be offered instead of an unknown one.
const ALIKE: f64 = 0.75;

/// Why a text is no adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// Not TOML, or not of this form.
    #[error("{line}:{column}: {text}")]
    Form {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong, with the nearest known key.
        text: String,
    },
    /// A later or a made-up format.
    #[error("schema {found} is not known; this build reads {SCHEMA}")]
    Schema {
        /// What it says.
        found: u32,
    },
    /// A value that cannot work.
    #[error("{key}: {text}")]
    Value {
        /// Where.
        key: String,
        /// Why not.
        text: String,
    },
    /// No adapter of this name is built in.
    #[error("no adapter is called {name:?}; built in are {}", BUILTIN.map(|(name, _)| name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// No such mode.
    #[error("{text:?} is no mode; there are delegate, checkpoint and own")]
    Mode {
        /// What was asked for.
        text: String,
    },
}

const BUILTIN: [(&str, &str); 4] = [
    ("claude", include_str!("../builtin/claude.toml")),
    ("codex", include_str!("../builtin/codex.toml")),
    ("generic", include_str!("../builtin/generic.toml")),
    ("demo", include_str!("../builtin/demo.toml")),
];

/// The names of the built-in adapters.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// The file of a built-in adapter, to be shown or copied.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// A built-in adapter.
///
/// # Errors
/// [`AdapterError::Unknown`] for any other name.
pub fn builtin(name: &str) -> Result<Adapter, AdapterError> {
    let text = source(name).ok_or_else(|| AdapterError::Unknown { name: name.to_owned() })?;
    parse(text)
}

/// Reads an adapter.
///
/// # Errors
/// [`AdapterError`] says where and why.
pub fn parse(text: &str) -> Result<Adapter, AdapterError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let adapter: Adapter = toml::from_str(text).map_err(|e| form_error(text, &e))?;
    check(&adapter)?;
    Ok(adapter)
}

fn form_error(text: &str, error: &toml::de::Error) -> AdapterError {
    let Range { start, .. } = error.span().unwrap_or_default();
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.message().lines().next().unwrap_or_default();
    AdapterError::Form { line, column, text: suggest(message).unwrap_or_else(|| message.to_owned()) }
}

/// Turns serde's list of all known fields into the one that was probably meant.
fn suggest(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let (found, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known
        .map(|k| (strsim::jaro_winkler(found, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike >= ALIKE);
    Some(match nearest {
        Some((_, k)) => format!("unknown `{found}`; did you mean `{k}`?"),
        None => format!("unknown `{found}`{rest}"),
    })
}

fn check(adapter: &Adapter) -> Result<(), AdapterError> {
    if adapter.schema != SCHEMA {
        return Err(AdapterError::Schema { found: adapter.schema });
    }
    check_placeholders(adapter)?;
    check_patterns(adapter)?;
    check_usage(adapter)?;
    if let Some(settings) = adapter.hooks.as_ref().and_then(|h| h.settings.as_ref()) {
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(settings);
        if let Err(e) = object {
            return Err(value("hooks.settings", format!("not an object of JSON: {e}")));
        }
    }
    if adapter.launch.prompt == Some(PromptVia::Type) && !adapter.says_when_it_reads() {
        let text = "a prompt is typed only at a CLI that reports, with input.typing".to_owned();
        return Err(value("launch.prompt", text));
    }
    for (mode, rules) in &adapter.mode {
        if let Some(next) = rules.approved
            && adapter.mode.get(&next).is_none_or(|n| n.approved.is_some())
        {
            return Err(value(&format!("mode.{mode}.approved"), format!("mode.{next} does not exist or leads on")));
        }
    }
    Ok(())
}

fn check_placeholders(adapter: &Adapter) -> Result<(), AdapterError> {
    let launch = &adapter.launch;
    let user = placeholder::USER;
    let lists: [(&str, &[String], &[&str]); 8] = [
        ("program", &adapter.program, user),
        ("launch.args", &launch.args, user),
        ("launch.session", &launch.session, &["session"]),
        ("launch.resume", &launch.resume, &["resume"]),
        ("launch.before_prompt", &launch.before_prompt, user),
        ("notify.args", adapter.notify.as_ref().map_or(&[], |n| &n.args), &["notify"]),
        ("notify.profile", adapter.notify.as_ref().map_or(&[], |n| std::slice::from_ref(&n.profile)), &["profile"]),
        ("mcp.args", adapter.mcp.as_ref().map_or(&[], |m| &m.args), &["standup"]),
    ];
    let modes = adapter.mode.iter().flat_map(|(mode, rules)| {
        [
            (format!("mode.{mode}.args"), rules.args.as_slice(), user),
            (format!("mode.{mode}.root"), rules.root.as_slice(), &["root"] as &[&str]),
        ]
    });
    let files = adapter
        .status_file
        .iter()
        .chain(&adapter.transcripts)
        .map(|file| ("path".to_owned(), std::slice::from_ref(&file.path), &["pid", "slug", "session"] as &[&str]));
    let long = launch.file_prompt.as_slice();
    let lists = lists.into_iter().map(|(key, words, known)| (key.to_owned(), words, known));
    for (key, words, known) in lists.chain(modes).chain(files).chain([("launch.file_prompt".to_owned(), long, user)]) {
        for word in words {
            placeholder::check(word, known).map_err(|e| value(&key, e.to_string()))?;
        }
    }
    Ok(())
}

fn check_patterns(adapter: &Adapter) -> Result<(), AdapterError> {
    let mut all: Vec<(String, &[String])> = Vec::new();
    for rule in &adapter.screen {
        let key = format!("screen {:?}", rule.name);
        if rule.lines.is_empty() || rule.question >= rule.lines.len() {
            return Err(value(&key, format!("question {} is none of its {} lines", rule.question, rule.lines.len())));
        }
        if rule.bottom.is_empty() {
            return Err(value(&key, "a dialog needs its bottom line".to_owned()));
        }
        all.extend([(key.clone(), rule.bottom.as_slice()), (key.clone(), rule.lines.as_slice())]);
        all.push((key, rule.skip.as_slice()));
    }
    all.extend(adapter.title.iter().map(|r| ("title".to_owned(), r.any.as_slice())));
    all.extend(adapter.hint.iter().map(|r| ("hint".to_owned(), r.any.as_slice())));
    all.extend(adapter.spin.iter().map(|r| ("spin".to_owned(), r.any.as_slice())));
    all.extend(adapter.report.iter().map(|r| ("report".to_owned(), std::slice::from_ref(&r.msg))));
    for (key, patterns) in all {
        // A pattern of stars alone would match every line and so say something of every screen.
        if patterns.iter().any(|p| p.trim_matches(['*', ' ']).is_empty()) {
            return Err(value(&key, "a pattern without a word matches everything".to_owned()));
        }
    }
    Ok(())
}

fn check_usage(adapter: &Adapter) -> Result<(), AdapterError> {
    let Some(rules) = &adapter.usage else { return Ok(()) };
    if adapter.transcripts.is_none() {
        return Err(value("usage", "it says how [transcripts] are read, and there are none".to_owned()));
    }
    if !placeholder::mentions(&rules.file, "session") {
        return Err(value("usage.file", "without {session} it would be every conversation's".to_owned()));
    }
    for (key, paths) in [("usage.file", std::slice::from_ref(&rules.file)), ("usage.parts", &rules.parts)] {
        for path in paths {
            placeholder::check(path, &["slug", "session"]).map_err(|e| value(key, e.to_string()))?;
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(value(key, format!("{path:?} leads out of its folder")));
            }
        }
    }
    rules.count.iter().try_for_each(check_count)
}

fn check_count(rule: &CountRule) -> Result<(), AdapterError> {
    if rule.marker.is_empty() {
        return Err(value("usage.count.marker", "every line holds nothing".to_owned()));
    }
    let lists = [&rule.tokens, &rule.less, &rule.cached];
    let mut places = lists.into_iter().flatten().chain(rule.lines.keys()).chain(&rule.id).chain(&rule.cost_usd);
    match places.find(|place| !place.starts_with('/')) {
        Some(place) => Err(value("usage.count", format!("{place:?} is no place in a line; one begins with /"))),
        None => Ok(()),
    }
}

fn value(key: &str, text: String) -> AdapterError {
    AdapterError::Value { key: key.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::adapter::Version;

    #[test]
    fn the_built_in_adapters_parse_and_are_called_what_they_are() {
        for name in names() {
            assert_eq!(builtin(name).expect(name).name, name);
        }
        assert!(matches!(builtin("cloude"), Err(AdapterError::Unknown { .. })));
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest() {
        let error = parse("schema = 1\nname = \"x\"\n\n[launch]\nresum = []\n").expect_err("resum");
        assert_eq!(error.to_string(), "5:1: unknown `resum`; did you mean `resume`?");
        let error = parse("schema = 1\nname = \"x\"\nzzzzzz = 1\n").expect_err("zzzzzz").to_string();
        assert!(error.starts_with("3:1: unknown `zzzzzz`, expected one of `schema`"), "{error}");
    }

    #[test]
    fn a_syntax_error_names_its_place_and_a_bom_is_no_error() {
        let error = parse("schema = 1\nname = \n").expect_err("no value").to_string();
        assert!(error.starts_with("2:"), "{error}");
        assert!(parse("\u{feff}schema = 1\r\nname = \"x\"\r\n").is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused_at_load() {
        let refused = |extra: &str| parse(&format!("schema = 1\nname = \"x\"\n{extra}")).expect_err(extra).to_string();
        assert!(refused("[launch]\nargs = [\"{worktre}\"]").contains("did you mean {worktree}?"));
        assert!(refused("[launch]\nresume = [\"{session}\"]").contains("{session}"));
        assert!(refused("[[title]]\nany = [\"*\"]\nsays = \"working\"").contains("matches everything"));
        assert!(
            refused("[[screen]]\nname=\"a\"\nask=\"trust\"\nbottom=[\"x\"]\nlines=[\"y\"]\nquestion=1")
                .contains("question 1")
        );
        assert!(refused("[mode.checkpoint]\napproved = \"delegate\"").contains("mode.delegate"));
        assert!(refused("reports = true\n[launch]\nprompt = \"type\"").starts_with("launch.prompt: "));
        assert!(refused("[launch]\nprompt = \"type\"\n[input]\ntyping = true").starts_with("launch.prompt: "));
        let usage = |file: &str, place: &str| {
            let files = "[transcripts]\nroot_env=\"A\"\nhome=\"b\"\npath=\"c\"\n";
            refused(&format!("{files}[usage]\nfile={file:?}\n[[usage.count]]\nmarker=\"u\"\ntokens=[{place:?}]"))
        };
        assert!(usage("a/*.jsonl", "/t").contains("without {session}"));
        assert!(usage("../{session}", "/t").contains("leads out of its folder"));
        assert!(usage("{session}", "t").contains("one begins with /"));
        assert!(refused("[usage]\nfile=\"{session}\"\ncount=[]").contains("there are none"));
        assert!(matches!(parse("schema = 2\nname = \"x\""), Err(AdapterError::Schema { found: 2 })));
    }

    #[test]
    fn a_version_is_read_and_known_or_not() {
        let rule = builtin("claude").expect("claude").version.expect("rule");
        assert_eq!(rule.read("2.1.329 (Claude Code)\n"), Some(Version { number: "2.1.329".into(), known: true }));
        assert_eq!(rule.read("9.9.9 (Claude Code)"), Some(Version { number: "9.9.9".into(), known: false }));
        assert_eq!(rule.read("claude: a mail reader 1.0"), None);
        let rule = builtin("codex").expect("codex").version.expect("rule");
        let noisy = "warning: http://x/1.2\ncodex-cli 0.169.0\n";
        assert_eq!(rule.read(noisy), Some(Version { number: "0.169.0".into(), known: true }));
    }
}
