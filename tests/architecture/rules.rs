//! Judges sources against the table of rooms.
//!
//! **Invariant:** a finding names file and line, so that it can be clicked. Must not know: which
//! rooms this house has; that is the table's.

use std::collections::BTreeMap;
use std::fmt;

use super::scan::{self, Kind, Path, Token};

/// Where a room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Mechanism, open from floor 2 up; imports `model` only.
    Cellar,
    /// From 0 (nouns) to 5 (cli). Floors 0 and 1 are pure.
    At(u8),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) floor: Floor,
    /// Foreign crates, beside those that every room of its kind may use.
    pub(crate) crates: &'static [&'static str],
}

impl Room {
    fn is_pure(&self) -> bool {
        matches!(self.floor, Floor::At(0 | 1))
    }

    fn may_import(&self, other: &Self) -> bool {
        match (self.floor, other.floor) {
            (Floor::Cellar, floor) => floor == Floor::At(0),
            (Floor::At(own), Floor::Cellar) => own >= 2,
            (Floor::At(own), Floor::At(theirs)) => theirs < own,
        }
    }
}

/// A dangerous thing and the only places that may touch it.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) thing: &'static str,
    /// Paths, as prefixes. One that is not resolved to a crate matches by its last two segments.
    pub(crate) paths: &'static [&'static str],
    /// Macros, without `!`.
    pub(crate) macros: &'static [&'static str],
    /// `room/file` or `room`, and why it may.
    pub(crate) places: &'static [(&'static str, &'static str)],
}

/// The whole table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rooms: &'static [Room],
    /// Crates that every room may use.
    pub(crate) everywhere: &'static [&'static str],
    /// Crates that every room but the pure ones may use.
    pub(crate) outside: &'static [&'static str],
    pub(crate) owned: &'static [Owned],
    /// Binaries beside `main.rs`, with the rooms they may import.
    pub(crate) binaries: &'static [(&'static str, &'static [&'static str])],
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Lines of a file that are not tests.
const MAX_LINES: usize = 600;
/// Lines of a file with its tests.
const MAX_LINES_WITH_TESTS: usize = 1_000;
/// Lines of the header of a room: two to ten, and a little air.
const MAX_HEADER: usize = 12;

/// Parts of std that touch the outside; a pure room has no use for them.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "std::os::fd",
    "std::os::linux",
    "std::os::unix::fs",
    "std::os::unix::io",
    "std::os::unix::net",
    "std::os::unix::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::time::UNIX_EPOCH",
    "std::io::stdin",
    "core::net",
    "rand",
];
/// Words that a pure room has no use for: iteration order and randomness.
const IMPURE_WORDS: &[&str] =
    &["HashMap", "HashSet", "RandomState", "SystemTime", "Instant", "new_v4", "now_v7", "thread_rng"];
/// Methods of `std::path::Path` that look at the disk.
const IMPURE_METHODS: &[&str] = &[
    "canonicalize",
    "exists",
    "try_exists",
    "is_dir",
    "is_file",
    "is_symlink",
    "metadata",
    "symlink_metadata",
    "read_dir",
    "read_link",
];

/// Judges a whole tree: `(path under src, text)`. `crates` are the dependencies of Cargo.toml.
pub(crate) fn judge(table: &Table, crates: &[String], sources: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut tests_only = Vec::new();
    for (path, text) in sources {
        let shipped = scan::shipped(&scan::tokens(text));
        for module in shipped.test_modules {
            let base = folder_of_children(path);
            tests_only.push(format!("{base}{module}.rs"));
            tests_only.push(format!("{base}{module}/"));
        }
        let folder = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        tests_only.extend(shipped.test_files.iter().map(|file| format!("{folder}{file}")));
    }
    let mut findings = Vec::new();
    for (path, text) in sources {
        let is_test = tests_only.iter().any(|t| path == t || (t.ends_with('/') && path.starts_with(t)));
        let mut file = File { table, crates, path, findings: &mut findings };
        file.size(text, is_test);
        file.attributes(text);
        if !is_test {
            file.judge(text);
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Where the modules that a file declares lie.
fn folder_of_children(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "mod")) => format!("{folder}/"),
        None if stem == "lib" || stem == "main" => String::new(),
        _ => format!("{stem}/"),
    }
}

/// The module a file is, from the root of its crate.
fn module_of(path: &str) -> Vec<String> {
    let folder = folder_of_children(path);
    folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

struct File<'a> {
    table: &'a Table,
    crates: &'a [String],
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

/// Where a path leads.
enum Target {
    /// Into this crate, from its root.
    Own(Vec<String>),
    /// Into std or a dependency.
    Foreign(Vec<String>),
    /// A name of the file itself, or one that the prelude has.
    Local(Vec<String>),
}

impl File<'_> {
    fn report(&mut self, line: usize, what: impl Into<String>) {
        self.findings.push(Finding { file: format!("src/{}", self.path), line, what: what.into() });
    }

    fn size(&mut self, text: &str, is_test: bool) {
        let all = text.lines().count();
        let tests = if is_test { all } else { scan::shipped(&scan::tokens(text)).test_lines };
        if all - tests.min(all) > MAX_LINES {
            self.report(MAX_LINES + 1, format!("{} lines of code; a file has at most {MAX_LINES}", all - tests));
        }
        if all > MAX_LINES_WITH_TESTS {
            self.report(
                MAX_LINES_WITH_TESTS + 1,
                format!("{all} lines with tests; a file has at most {MAX_LINES_WITH_TESTS}"),
            );
        }
    }

    fn attributes(&mut self, text: &str) {
        let tokens = scan::tokens(text);
        for (index, token) in tokens.iter().enumerate() {
            let after = index + 1 + usize::from(tokens.get(index + 1).is_some_and(|t| t.is("!")));
            let is = |n: usize, text: &str| tokens.get(after + n).is_some_and(|t| t.is(text));
            if token.is("#") && is(0, "[") && is(1, "allow") && is(2, "(") {
                self.report(token.line, "`allow` hides for ever; write `#[expect(lint, reason = \"…\")]`");
            }
        }
    }

    fn judge(&mut self, text: &str) {
        let tokens = scan::shipped(&scan::tokens(text)).tokens;
        self.header(text, &tokens);
        let paths = scan::paths(&tokens);
        let names = scan::names(&tokens, &paths);
        let Some(room) = self.room(&tokens) else { return };
        let mut targets: Vec<(usize, Target)> = Vec::new();
        for path in &paths {
            self.roots(path);
            targets.push((path.line, self.resolve(path, &names)));
        }
        for (line, target) in &targets {
            match target {
                Target::Own(path) => self.import(&room, *line, path),
                Target::Foreign(path) => self.foreign(&room, *line, path),
                Target::Local(_) => {}
            }
            self.owned(*line, target);
        }
        self.macros(&tokens);
        self.git_binary(&tokens);
        if let Inside::Room(room) = room
            && room.is_pure()
        {
            self.pure(room, &tokens);
        }
    }

    /// Which room, or binary, the file belongs to.
    fn room(&mut self, tokens: &[Token]) -> Option<Inside> {
        let first = self.path.split('/').next().unwrap_or_default();
        let name = first.strip_suffix(".rs").unwrap_or(first);
        if self.path == "lib.rs" {
            self.map(tokens);
            return None;
        }
        let binary = if self.path == "main.rs" { Some("main.rs") } else { self.path.strip_prefix("bin/") };
        if let Some(binary) = binary {
            let listed = self.table.binaries.iter().find(|(listed, _)| *listed == binary);
            if listed.is_none() {
                self.report(1, format!("the binary {binary} is not in the table of tests/architecture.rs"));
            }
            return listed.map(|(_, rooms)| Inside::Binary(rooms));
        }
        let room = self.table.rooms.iter().find(|room| room.name == name);
        if room.is_none() {
            self.report(1, format!("the room {name} is not in the table of tests/architecture.rs"));
        }
        room.map(Inside::Room)
    }

    /// `lib.rs` is the map and holds rooms only.
    fn map(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match &tokens[at..] {
                [a, b, name, end, ..] if a.is("pub") && b.is("mod") && end.is(";") => {
                    if !self.table.rooms.iter().any(|room| name.is(room.name)) {
                        self.report(
                            name.line,
                            format!("the room {} is not in the table of tests/architecture.rs", name.text),
                        );
                    }
                    at += 4;
                }
                _ => {
                    self.report(token.line, "lib.rs is the map: `pub mod room;` and nothing else");
                    return;
                }
            }
        }
    }

    /// A file says first what it owns; a room also says what always holds. A room without code
    /// has nothing to hold yet.
    fn header(&mut self, text: &str, tokens: &[Token]) {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if header.is_empty() {
            self.report(1, "no header: a file opens with `//!` and what it owns");
        }
        let depth = self.path.matches('/').count();
        if depth == 1 && self.path.ends_with("/mod.rs") && !tokens.is_empty() {
            if !header.iter().any(|line| line.contains("**Invariant:**")) {
                self.report(1, "the header of a room has an `**Invariant:**` line");
            }
            if header.len() > MAX_HEADER {
                self.report(header.len(), format!("a header of {} lines; two to ten say it", header.len()));
            }
        }
    }

    /// A renamed or starred root would hide every path behind it.
    fn roots(&mut self, path: &Path) {
        let Some(name) = &path.import else { return };
        let root = path.segments.first().map_or("", String::as_str);
        let is_root = matches!(root, "crate" | "standup" | "std" | "core" | "alloc");
        if is_root && path.segments.len() == 1 && name != root {
            self.report(path.line, format!("`use {root} as {name}` hides what is imported"));
        }
        if is_root && path.segments.len() == 2 && name == "*" {
            self.report(path.line, format!("`use {root}::*` hides what is imported"));
        }
    }

    fn resolve(&self, path: &Path, names: &BTreeMap<String, Option<Vec<String>>>) -> Target {
        let mut segments = path.segments.clone();
        // A name from a `use` stands for its path; four levels of renaming are more than enough.
        for _ in 0..4 {
            match names.get(&segments[0]) {
                Some(Some(full)) if path.import.is_none() && full.first() != segments.first() => {
                    segments = full.iter().cloned().chain(segments.drain(1..)).collect();
                }
                Some(Some(full)) if path.import.is_none() && full.len() > 1 => {
                    segments = full.iter().cloned().chain(segments.drain(1..)).collect();
                    break;
                }
                _ => break,
            }
        }
        let mut module = module_of(self.path);
        module.extend(path.modules.iter().cloned());
        let first = segments[0].clone();
        match first.as_str() {
            "crate" | "standup" => Target::Own(segments.split_off(1)),
            "self" => Target::Own(module.into_iter().chain(segments.split_off(1)).collect()),
            "super" => {
                let ups = segments.iter().take_while(|s| *s == "super").count();
                module.truncate(module.len().saturating_sub(ups));
                Target::Own(module.into_iter().chain(segments.split_off(ups)).collect())
            }
            "std" | "core" | "alloc" => Target::Foreign(segments),
            _ if names.get(&first) == Some(&None) => Target::Local(segments),
            _ if self.crates.contains(&first) => Target::Foreign(segments),
            _ => Target::Local(segments),
        }
    }

    fn import(&mut self, from: &Inside, line: usize, path: &[String]) {
        let Some(name) = path.first() else { return };
        let other = self.table.rooms.iter().find(|room| room.name == name);
        let allowed = match (from, other) {
            (_, None) => {
                self.report(line, format!("crate::{name} is not a room"));
                return;
            }
            (Inside::Room(own), Some(other)) => own.name == other.name || own.may_import(other),
            (Inside::Binary(rooms), Some(other)) => rooms.contains(&other.name),
        };
        if !allowed {
            self.report(line, format!("{} may not import {name} ({})", from.name(), path.join("::")));
        }
    }

    fn foreign(&mut self, from: &Inside, line: usize, path: &[String]) {
        let name = path[0].as_str();
        if matches!(name, "std" | "core" | "alloc") {
            return;
        }
        let allowed = match from {
            Inside::Binary(_) => false,
            Inside::Room(room) => {
                self.table.everywhere.contains(&name)
                    || (!room.is_pure() && self.table.outside.contains(&name))
                    || room.crates.contains(&name)
            }
        };
        if !allowed {
            self.report(line, format!("{} may not use the crate {name}", from.name()));
        }
    }

    fn owned(&mut self, line: usize, target: &Target) {
        let (path, is_local) = match target {
            Target::Foreign(path) => (path.join("::"), false),
            Target::Local(path) => (path.join("::"), true),
            Target::Own(_) => return,
        };
        for owned in self.table.owned {
            let hit = owned.paths.iter().any(|pattern| {
                let tail: Vec<&str> = pattern.rsplitn(3, "::").take(2).collect();
                match tail.as_slice() {
                    [last, before] if is_local => starts_with(&path, &format!("{before}::{last}")),
                    _ => !is_local && starts_with(&path, pattern),
                }
            });
            if hit && !self.is_place(owned) {
                self.report(line, format!("{path}: {} is owned by {}", owned.thing, owners(owned)));
            }
        }
    }

    fn macros(&mut self, tokens: &[Token]) {
        for pair in tokens.windows(2).filter(|pair| pair[1].is("!")) {
            for owned in self.table.owned {
                if owned.macros.iter().any(|name| pair[0].is(name)) && !self.is_place(owned) {
                    let what = format!("{}!: {} is owned by {}", pair[0].text, owned.thing, owners(owned));
                    self.report(pair[0].line, what);
                }
            }
        }
    }

    /// The name of the git binary, handed to something that finds or runs programs.
    fn git_binary(&mut self, tokens: &[Token]) {
        const FINDERS: &[&str] = &["new", "which", "which_in", "program", "find", "command"];
        for (index, token) in tokens.iter().enumerate() {
            let is_git = token.kind == Kind::Text && (token.text == "git" || token.text.ends_with("/bin/git"));
            let call =
                tokens[..index].iter().rev().take(6).take_while(|t| !t.is(";") && !t.is("{")).collect::<Vec<_>>();
            let found = call.windows(2).any(|w| w[0].is("(") && FINDERS.iter().any(|name| w[1].is(name)));
            if is_git && found && !self.path.starts_with("git/cli") {
                self.report(token.line, "the git binary is owned by git/cli");
            }
        }
    }

    fn pure(&mut self, room: &Room, tokens: &[Token]) {
        let paths = scan::paths(tokens);
        let names = scan::names(tokens, &paths);
        for path in &paths {
            if let Target::Foreign(full) = self.resolve(path, &names) {
                let full = full.join("::");
                if let Some(what) = IMPURE.iter().find(|what| starts_with(&full, what)) {
                    self.report(path.line, format!("{} is pure: no {what}", room.name));
                }
            }
        }
        for (index, token) in tokens.iter().enumerate() {
            if IMPURE_WORDS.iter().any(|word| token.is(word)) {
                self.report(token.line, format!("{} is pure: no {}", room.name, token.text));
            }
            let is_call = index > 0 && tokens[index - 1].is(".") && tokens.get(index + 1).is_some_and(|t| t.is("("));
            if is_call && IMPURE_METHODS.iter().any(|method| token.is(method)) {
                self.report(token.line, format!("{} is pure: .{}() looks at the disk", room.name, token.text));
            }
        }
    }

    fn is_place(&self, owned: &Owned) -> bool {
        owned.places.iter().any(|(place, _)| {
            self.path == format!("{place}.rs") || self.path.starts_with(&format!("{place}/")) || self.path == *place
        })
    }
}

/// What a file belongs to.
enum Inside {
    Room(&'static Room),
    Binary(&'static [&'static str]),
}

impl Inside {
    fn name(&self) -> &'static str {
        match self {
            Self::Room(room) => room.name,
            Self::Binary(_) => "a binary",
        }
    }
}

fn starts_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn owners(owned: &Owned) -> String {
    owned.places.iter().map(|(place, _)| *place).collect::<Vec<_>>().join(", ")
}
