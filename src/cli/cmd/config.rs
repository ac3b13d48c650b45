//! `standup config`: what is set, where it comes from, and setting it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::board::doc::Document;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::config::{self, ConfigError, Kind, Source};
use crate::os::file::{self, FileError};
use crate::os::locate::Dirs;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings::{self, LoadError};

use super::trust;

/// Read and change settings
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print one value: standup config get wip.build
    Get {
        /// Its path
        key: String,
    },
    /// Change one value of agents.toml and keep everything else as it is written
    Set {
        /// Change your own config.toml instead
        #[arg(long)]
        user: bool,
        /// Its path, for example wip.build
        key: String,
        /// TOML (5, true, ["a"]) or plain text (15m)
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Print every setting with where it comes from
    Show,
    /// Print the JSON schema of agents.toml
    Schema,
    /// Print where everything lies
    Paths,
}

/// Read and write for the owner, read for others; commands in it are no secret.
const MODE: u32 = 0o644;

pub(in crate::cli) fn run(args: Args, ctx: &Context) -> Result<Code, Failure> {
    match args.what {
        What::Get { key } => get(ctx, &key),
        What::Set { user, key, value } => set(ctx, user, &key, &value),
        What::Show => show(ctx),
        What::Schema => schema(ctx),
        What::Paths => paths(ctx),
    }
}

fn get(ctx: &Context, key: &str) -> Result<Code, Failure> {
    let effective = surroundings::look(ctx.place()?)?.effective;
    let value = effective.get(key).map_err(|e| Failure::new(Code::Usage, e.to_string()).hint("standup config show"))?;
    if ctx.ui.json {
        let parsed = value.as_deref().map(value_of);
        let body = json!({"key": key, "value": parsed, "origin": effective.origin(key)});
        ctx.ui.json(&Document::new("config", body))?;
        return Ok(Code::Ok);
    }
    let Some(value) = value else {
        return Err(Failure::new(Code::Failure, format!("{key} is not set")));
    };
    // A text stands alone, for scripts; everything else is TOML.
    match value_of(&value) {
        Value::String(text) => ctx.ui.answer(&text)?,
        _ => ctx.ui.answer(&value)?,
    }
    Ok(Code::Ok)
}

/// A TOML value, or a whole section of them, as JSON.
fn value_of(text: &str) -> Value {
    let whole: Option<toml::Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = whole.and_then(|mut table| table.remove("value"));
    let value = value.or_else(|| toml::from_str::<toml::Table>(text).ok().map(toml::Value::Table));
    value.and_then(|v| serde_json::to_value(v).ok()).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn show(ctx: &Context) -> Result<Code, Failure> {
    let effective = surroundings::look(ctx.place()?)?.effective;
    let text = effective.show();
    if !ctx.ui.json {
        ctx.ui.answer(&text)?;
        return Ok(Code::Ok);
    }
    let settings = value_of(&text);
    let mut origins = Map::new();
    keys("", &settings, &mut |key| {
        origins.insert(key.to_owned(), Value::String(effective.origin(key)));
    });
    ctx.ui.json(&Document::new("config", json!({"settings": settings, "origins": origins})))?;
    Ok(Code::Ok)
}

/// The path of every value that is no section.
fn keys(above: &str, value: &Value, found: &mut dyn FnMut(&str)) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        if value.is_object() { keys(&path, value, found) } else { found(&path) }
    }
}

fn schema(ctx: &Context) -> Result<Code, Failure> {
    let text = serde_json::to_string_pretty(&config::schema()).map_err(|e| Failure::new(Code::Bug, e.to_string()))?;
    ctx.ui.answer(&text)?;
    Ok(Code::Ok)
}

fn set(ctx: &Context, user: bool, key: &str, value: &str) -> Result<Code, Failure> {
    let place = ctx.place()?;
    let (path, label, kind) = target(place, user)?;
    let bytes = match file::read_owned(&path, config::MAX_BYTES as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.is_absent() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let source = Source { label: &label, bytes: &bytes, kind };
    let text = config::edit::set(&source, key, value).map_err(|errors| mistakes(Code::Usage, errors))?;
    fits(place, &path, &text)?;
    // A link stays a link: what it leads to is written.
    let real = path.canonicalize().unwrap_or(path);
    if let Some(dir) = real.parent() {
        file::private_dir(dir)?;
    }
    file::write_atomic(&real, text.as_bytes(), mode(&real))?;
    trust::reload(ctx)?;
    let effective = surroundings::look(place)?;
    let now = effective.effective.get(key).ok().flatten().unwrap_or_default();
    if ctx.ui.json {
        let body = json!({"key": key, "value": value_of(&now), "origin": effective.effective.origin(key), "path": real.display().to_string()});
        ctx.ui.json(&Document::new("config", body))?;
    } else {
        ctx.ui.say(&format!("{key} = {now}  ({})", effective.effective.origin(key)));
    }
    if !trust::is_approved(place, &effective.commands)? {
        ctx.ui.say("the commands of agents.toml are not approved as they are now");
        ctx.ui.hint("standup trust");
    }
    Ok(Code::Ok)
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(MODE, |meta| meta.mode() & 0o777)
}

/// Which file is changed: the user's, else the repository's strongest one that is there.
fn target(place: &Place, user: bool) -> Result<(PathBuf, String, Kind), Failure> {
    let all = surroundings::paths(place);
    let wanted = if user { Kind::User } else { Kind::Repository };
    let mut of_kind: Vec<_> = all.into_iter().filter(|(_, _, kind)| *kind == wanted).collect();
    if user {
        return of_kind.pop().ok_or_else(|| Failure::new(Code::Bug, "there is no file for your own settings"));
    }
    let there = of_kind.into_iter().rev().find(|(path, ..)| path.exists());
    there.ok_or_else(|| Failure::new(Code::Failure, "there is no agents.toml here yet").hint("standup init"))
}

/// Whether the file with its new text still fits to the others.
fn fits(place: &Place, changed: &Path, text: &str) -> Result<(), Failure> {
    let mut layers = Vec::new();
    for (path, label, kind) in surroundings::paths(place) {
        let bytes = match file::read_owned(&path, config::MAX_BYTES as u64) {
            _ if path == changed => text.as_bytes().to_vec(),
            Ok(bytes) => bytes,
            Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let layer = config::parse(&Source { label: &label, bytes: &bytes, kind });
        layers.push(layer.map_err(|errors| mistakes(Code::Failure, errors))?);
    }
    config::merge(layers).map(|_| ()).map_err(|errors| mistakes(Code::Usage, errors))
}

fn mistakes(code: Code, errors: Vec<ConfigError>) -> Failure {
    Failure { code, ..LoadError::Config(errors).into() }
}

fn paths(ctx: &Context) -> Result<Code, Failure> {
    let mut rows: Vec<(&str, PathBuf)> = Vec::new();
    // Outside of a repository there are still the user's own folders.
    let dirs = match ctx.place() {
        Ok(place) => {
            let layout = &place.layout;
            rows.push(("repository", place.root()));
            rows.push(("settings", place.root().join("agents.toml")));
            rows.push(("state", layout.state_dir().to_owned()));
            rows.push(("database", layout.database()));
            rows.push(("hosts", layout.hosts_dir()));
            rows.push(("checks", layout.checks_dir()));
            rows.push(("log", layout.supervisor_log()));
            rows.push(("sockets", layout.runtime_dir().to_owned()));
            let loaded = surroundings::look(place).ok();
            let worktrees = loaded.map(|l| l.surroundings(place).worktrees);
            rows.push(("worktrees", worktrees.unwrap_or_else(|| layout.worktrees_dir().to_owned())));
            rows.push(("approvals", layout.approvals()));
            place.dirs.clone()
        }
        Err(_) => {
            let dirs = Dirs::find()?;
            rows.extend([("state", dirs.state.clone()), ("worktrees", dirs.data.clone())]);
            rows.push(("sockets", dirs.runtime.clone()));
            dirs
        }
    };
    rows.push(("your settings", dirs.config.join("config.toml")));
    rows.push(("your adapters", dirs.config.join("adapters")));
    rows.push(("your preamble", dirs.config.join("preamble.md")));
    if ctx.ui.json {
        let paths: Map<String, Value> =
            rows.into_iter().map(|(n, p)| (n.replace(' ', "_"), json!(p.display().to_string()))).collect();
        ctx.ui.json(&Document::new("paths", Value::Object(paths)))?;
        return Ok(Code::Ok);
    }
    let lines: Vec<String> = rows.iter().map(|(name, path)| format!("{name:<14} {}", path.display())).collect();
    ctx.ui.answer(&lines.join("\n"))?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_what_it_is() {
        assert_eq!(value_of("3"), json!(3));
        assert_eq!(value_of("\"main\""), json!("main"));
        assert_eq!(value_of("[\"a\"]"), json!(["a"]));
        assert_eq!(value_of("build = 3\nreview = 4"), json!({"build": 3, "review": 4}));
    }

    #[test]
    fn every_value_has_a_path() {
        let mut found = Vec::new();
        keys("", &json!({"a": 1, "b": {"c": [1], "d": {"e": true}}}), &mut |key| found.push(key.to_owned()));
        assert_eq!(found, ["a", "b.c", "b.d.e"]);
    }
}
