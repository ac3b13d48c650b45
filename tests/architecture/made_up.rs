//! The checker against small made-up houses: it must find what is wrong, and only that.
//!
//! **Invariant:** every rule has a source here that breaks it.

use std::collections::BTreeMap;

use super::TABLE;
use super::rules;

/// What the table says of one made-up file, as `line: text`.
fn findings(path: &str, source: &str) -> Vec<String> {
    house(&[(path, source)])
}

fn house(files: &[(&str, &str)]) -> Vec<String> {
    let crates: Vec<String> =
        ["tokio", "rusqlite", "git2", "notify", "serde", "jiff", "rustix", "portable_pty"].map(String::from).into();
    let sources: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), format!("//! Header.\n{text}"))).collect();
    rules::judge(&TABLE, &crates, &sources).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(path: &str, source: &str, line: usize, part: &str) {
    let found = findings(path, source);
    let place = format!("src/{path}:{}:", line + 1);
    assert!(
        found.iter().any(|f| f.starts_with(&place) && f.contains(part)),
        "expected `{place} …{part}…` among {found:#?} for\n{source}"
    );
}

#[track_caller]
fn fine(path: &str, source: &str) {
    assert_eq!(findings(path, source), Vec::<String>::new(), "for\n{source}");
}

#[test]
fn an_upward_import_is_found_in_every_spelling() {
    refused("git/cli.rs", "use crate::supervisor::run;", 1, "git may not import supervisor");
    refused("git/cli.rs", "use crate::{\n  model::id,\n  supervisor::{run, server as s},\n};", 3, "supervisor");
    refused("git/cli.rs", "use super::super::supervisor;", 1, "supervisor");
    refused("git/cli.rs", "mod inner {\n  use super::super::super::supervisor::x;\n}", 2, "supervisor");
    refused("git/mod.rs", "use super::supervisor;", 1, "supervisor");
    refused("git/cli.rs", "fn f() { crate::supervisor::run() }", 1, "supervisor");
    refused("git/cli.rs", "fn f() { standup::supervisor::run() }", 1, "supervisor");
    refused("git/cli.rs", "fn f() -> Vec<crate::cli::Args> { todo() }", 1, "cli");
    refused("git/cli.rs", "use crate as house;\nfn f() { house::cli::run() }", 1, "hides");
    refused("git/cli.rs", "use crate::*;", 1, "hides");
    refused("git/cli.rs", "macro_rules! m { () => { $crate::cli::run() } }", 1, "cli");
    refused(
        "git/cli.rs",
        "use crate::model as m;\nuse m::x;\nuse crate::client as c;\nfn f() { c::call() }",
        4,
        "client",
    );
}

#[test]
fn a_sideways_import_is_found() {
    refused("git/cli.rs", "use crate::store;", 1, "git may not import store");
    refused("policy/mod.rs", "//! **Invariant:** x\nuse crate::agent;", 2, "policy may not import agent");
    refused("supervisor/run.rs", "use crate::client;", 1, "supervisor may not import client");
}

#[test]
fn downward_imports_and_the_own_room_are_fine() {
    fine(
        "git/cli.rs",
        "use crate::model::id;\nuse super::repo::R;\nuse crate::git::snapshot;\nuse crate::os::run::Run;",
    );
    fine("policy/retry.rs", "use crate::model::{id, time::{self, Mono}};\nuse super::because;");
    fine("cli/ui.rs", "use crate::{board, client, os, supervisor};");
}

#[test]
fn the_cellar_is_closed_to_pure_rooms_and_knows_only_nouns() {
    refused("policy/retry.rs", "use crate::os::clock;", 1, "policy may not import os");
    refused("model/id.rs", "use crate::os::clock;", 1, "model may not import os");
    refused("os/run.rs", "use crate::store::layout;", 1, "os may not import store");
    fine("os/clock.rs", "use crate::model::time::Now;");
}

#[test]
fn an_unlisted_room_or_binary_is_found() {
    refused("helpers/mod.rs", "", 0, "the room helpers is not in the table");
    refused("misc.rs", "fn f() {}", 0, "the room misc is not in the table");
    refused("lib.rs", "pub mod git;\npub mod utils;", 2, "utils");
    refused("lib.rs", "pub mod git;\npub fn run() {}", 2, "the map");
    refused("bin/extra.rs", "fn main() {}", 0, "the binary extra.rs");
    refused("main.rs", "fn main() { standup::supervisor::run() }", 1, "a binary may not import supervisor");
    refused("git/cli.rs", "fn f() { crate::nowhere::f() }", 1, "not a room");
    fine("main.rs", "fn main() -> std::process::ExitCode { standup::cli::main() }");
}

#[test]
fn a_foreign_crate_is_found_where_it_may_not_be() {
    refused("policy/retry.rs", "use tokio::sync::mpsc;", 1, "policy may not use the crate tokio");
    refused("host/pump.rs", "#[tokio::main]\nasync fn f() {}", 1, "tokio");
    refused("host/pump.rs", "extern crate tokio;", 1, "tokio");
    refused("host/pump.rs", "fn f() { ::tokio::spawn(x) }", 1, "tokio");
    refused("main.rs", "fn main() { tokio::spawn(x) }", 1, "tokio");
    fine("supervisor/run.rs", "use tokio::sync::mpsc;");
    fine("watch/source.rs", "use notify::Watcher;");
    fine("supervisor/run.rs", "mod notify;\nfn f() { notify::send() }");
}

#[test]
fn a_pure_room_touches_nothing() {
    for line in [
        "use std::fs;",
        "use std::{collections::BTreeMap, env};",
        "fn f() { std::process::id(); }",
        "use std::net::IpAddr;",
        "use std::time::{Duration, Instant};",
        "fn f(now: std::time::SystemTime) {}",
        "use std::collections::HashMap;",
        "use std::collections as c; fn f() { c::HashSet::new() }",
        "fn f() { std::thread::spawn(g); }",
        "fn f(p: &Path) -> bool { p.exists() }",
        "fn f() { uuid::Uuid::new_v4() }",
        "fn f() { println!(\"x\") }",
    ] {
        assert!(!findings("policy/retry.rs", line).is_empty(), "not found: {line}");
    }
    fine(
        "policy/retry.rs",
        "use std::time::Duration;\nuse std::collections::{BTreeMap, BTreeSet};\nuse std::path::Path;",
    );
    fine("git/cli.rs", "use std::collections::HashMap;\nuse std::fs;\nuse std::time::Instant;");
}

#[test]
fn each_dangerous_thing_has_one_owner() {
    refused("supervisor/run.rs", "use std::time::SystemTime;\nfn f() { SystemTime::now() }", 2, "the clock");
    refused("board/view.rs", "fn f() { jiff::Timestamp::now() }", 1, "the clock");
    refused("supervisor/run.rs", "use rustix::time::clock_gettime;", 1, "the clock");
    refused("git/cli.rs", "use std::process::Command;", 1, "spawning");
    refused("git/cli.rs", "use std::process::{self, Stdio};\nfn f() { process::Command::new(x) }", 2, "spawning");
    refused("supervisor/hosts.rs", "use tokio::process;", 1, "spawning");
    refused("host/screen.rs", "use portable_pty::PtySize;", 1, "opening a PTY");
    refused("watch/scan.rs", "use notify::Event;", 1, "watching");
    refused("git/land.rs", "use git2::Repository;", 1, "git2");
    refused("git/land.rs", "use rusqlite::Connection;", 1, "SQL");
    refused("supervisor/run.rs", "fn f() { eprintln!(\"x\") }", 1, "stdout and stderr");
    refused("cli/args.rs", "fn f() { std::io::stdout() }", 1, "stdout and stderr");
    refused("supervisor/run.rs", "fn f() { std::process::exit(1) }", 1, "the exit code");
    refused("supervisor/run.rs", "fn f() { Run::new(\"git\") }", 1, "git/cli");
    refused("supervisor/run.rs", "fn f() { locate::program(OsStr::new(\"git\"), cwd) }", 1, "git/cli");
    fine("os/clock.rs", "fn f() { std::time::SystemTime::now() }");
    fine("os/run.rs", "use std::process::Command;");
    fine("git/repo.rs", "use git2::Repository;");
    fine("git/repo/diff.rs", "use git2::Diff;");
    fine("cli/ui.rs", "fn f() { println!(\"x\") }");
    fine("git/cli.rs", "fn f() { locate::program(\"git\") }");
    fine("board/view.rs", "const NAME: &str = \"git\";");
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    fine(
        "policy/retry.rs",
        "// use std::fs;\n/* use crate::cli; /* nested */ use tokio::x; */\n/// std::fs::read\nfn f() {}",
    );
    fine(
        "policy/retry.rs",
        "const A: &str = \"use std::fs; \\\" println!()\";\nconst B: &str = r#\"std::env::var(\"x\")\"#;",
    );
    fine(
        "policy/retry.rs",
        "const C: char = '\"'; const D: &str = \"std::fs\"; fn f<'a>(x: &'a str) -> char { '\\'' }",
    );
    fine(
        "policy/retry.rs",
        "#[cfg(test)]\nmod tests {\n  use std::fs;\n  fn f() { println!(\"{}\", \"}\") }\n}\nfn g() {}",
    );
    fine(
        "policy/retry.rs",
        "#[cfg(all(test, unix))]\nuse std::{fs, env};\n#[cfg(test)]\nfn f<A, B>() { std::env::vars() }",
    );
    refused("policy/retry.rs", "#[cfg(test)]\nmod tests { }\nuse std::fs;", 3, "std::fs");
    refused("policy/retry.rs", "#[cfg(test)]\nuse std::{env, fs};\nfn f() { std::fs::read(x) }", 3, "std::fs");
    refused("policy/retry.rs", "struct S {\n #[cfg(test)]\n a: u8,\n b: std::fs::File,\n}", 4, "std::fs");
    refused("policy/retry.rs", "#[cfg(not(test))]\nuse std::fs;", 2, "std::fs");
    refused("policy/retry.rs", "const A: &str = \"a\nb\";\nuse std::fs;", 3, "std::fs");
}

#[test]
fn a_file_that_only_tests_see_may_touch_the_outside() {
    let ok =
        house(&[("policy/retry.rs", "#[cfg(test)]\nmod tests;\nfn f() {}"), ("policy/retry/tests.rs", "use std::fs;")]);
    assert_eq!(ok, Vec::<String>::new());
    for attributes in ["#[cfg(test)]\n#[path = \"retry_tests.rs\"]", "#[path = \"retry_tests.rs\"]\n#[cfg(test)]"] {
        let parent = format!("{attributes}\nmod tests;\nfn f() {{}}");
        let ok = house(&[("policy/retry.rs", &parent), ("policy/retry_tests.rs", "use std::fs;")]);
        assert_eq!(ok, Vec::<String>::new());
    }
    let found = house(&[("policy/retry.rs", "mod tests;"), ("policy/retry/tests.rs", "use std::fs;")]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_file_that_grew_too_long_is_found() {
    let long = "fn f() {}\n".repeat(600);
    refused("git/cli.rs", &long, 600, "601 lines of code");
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn g() {}\n".repeat(900));
    fine("git/cli.rs", &tests);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn g() {}\n".repeat(1_000));
    refused("git/cli.rs", &tests, 1_000, "lines with tests");
}

#[test]
fn a_room_says_what_it_owns_and_what_always_holds() {
    let sources = BTreeMap::from([("git/cli.rs".to_owned(), "use std::fs;\n".to_owned())]);
    let found = rules::judge(&TABLE, &[], &sources);
    assert_eq!(found[0].to_string(), "src/git/cli.rs:1: no header: a file opens with `//!` and what it owns");
    refused("git/mod.rs", "pub mod cli;", 0, "**Invariant:**");
    fine("git/mod.rs", "//! **Invariant:** always.\npub mod cli;");
    fine("git/mod.rs", "");
    refused("git/mod.rs", &format!("//! **Invariant:** x\n{}pub mod cli;", "//! more\n".repeat(20)), 21, "header of");
}

#[test]
fn allow_is_found_and_expect_is_not() {
    refused("git/cli.rs", "#[allow(dead_code)]\nfn f() {}", 1, "expect");
    refused("git/cli.rs", "#![allow(unused)]\nfn f() {}", 1, "expect");
    refused("git/cli.rs", "#[cfg(test)]\nmod tests {\n  #[allow(dead_code)]\n  fn f() {}\n}", 3, "expect");
    fine(
        "git/cli.rs",
        "#[expect(dead_code, reason = \"r\")]\nfn f() {}\n// #[allow(x)]\nconst A: &str = \"#[allow(x)]\";",
    );
}
