//! The table of rooms, and the test that holds the house to it.
//!
//! A room imports strictly lower floors; pure rooms touch nothing; each dangerous thing has one
//! owner. **Invariant:** this table is the only place that says so; change it in the change that
//! needs it, together with the map in `src/lib.rs`.

#[path = "architecture/made_up.rs"]
mod made_up;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scan.rs"]
mod scan;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rules::{Floor, Owned, Room, Table};

const fn room(name: &'static str, floor: u8, crates: &'static [&'static str]) -> Room {
    Room { name, floor: Floor::At(floor), crates }
}

const TABLE: Table = Table {
    rooms: &[
        // The clock knows the local zone.
        Room { name: "os", floor: Floor::Cellar, crates: &["jiff", "which"] },
        // Matching of paths, and civil time without its clock.
        room("model", 0, &["globset", "jiff", "strsim", "unicode_width"]),
        room("policy", 1, &["globset"]),
        room("agent", 1, &["base64", "jiff", "serde_json", "strsim", "toml"]),
        room("config", 1, &["globset", "schemars", "serde_json", "sha2", "strsim", "toml", "toml_edit"]),
        room("brief", 1, &["globset", "serde_json", "serde_saphyr", "strsim"]),
        room("wire", 1, &["base64", "serde_json"]),
        room("report", 1, &["quick_xml", "serde_json"]),
        room("store", 2, &["rusqlite"]),
        room("git", 2, &["git2", "globset", "libz_sys", "strsim"]),
        room("host", 2, &["alacritty_terminal", "memchr", "portable_pty", "unicode_width", "zstd"]),
        room("watch", 2, &["globset", "ignore", "notify"]),
        room("verify", 2, &[]),
        room("supervisor", 3, &["base64", "jiff", "tokio", "tracing_subscriber"]),
        room("client", 3, &["base64", "tokio"]),
        room("board", 4, &["jiff", "unicode_width"]),
        room("demo", 4, &["anyhow", "base64", "toml"]),
        room("mcp", 4, &["rmcp", "tokio"]),
        room(
            "cli",
            5,
            &[
                "anyhow",
                "base64",
                "clap",
                "clap_complete",
                "clap_mangen",
                "jiff",
                "schemars",
                "strsim",
                "tokio",
                "toml",
                "toml_edit",
                "tracing_subscriber",
                "unicode_width",
            ],
        ),
    ],
    everywhere: &["serde", "thiserror"],
    outside: &["libc", "rustix", "serde_json", "sha2", "tempfile", "tracing", "uuid"],
    owned: &[
        Owned {
            thing: "the clock",
            paths: &[
                "std::time::SystemTime::now",
                "std::time::UNIX_EPOCH::elapsed",
                "rustix::time::clock_gettime",
                "libc::clock_gettime",
                "libc::time",
                "jiff::Timestamp::now",
                "jiff::Zoned::now",
            ],
            macros: &[],
            places: &[("os/clock", "reads it")],
        },
        Owned {
            thing: "spawning",
            paths: &["std::process::Command", "tokio::process", "libc::fork", "libc::posix_spawn", "libc::execvp"],
            macros: &[],
            places: &[
                ("os/run", "programs that run to their end"),
                ("os/detach", "the supervisor, which outlives its starter"),
                ("host/start", "the host itself, which outlives its starter"),
                ("host/pty", "the agent"),
            ],
        },
        Owned {
            thing: "opening a PTY",
            paths: &["portable_pty", "libc::openpty", "libc::forkpty", "rustix::pty::openpt"],
            macros: &[],
            places: &[("host/pty", "the agent's")],
        },
        Owned {
            thing: "the terminal model",
            paths: &["alacritty_terminal"],
            macros: &[],
            places: &[("host/screen", "one model a host")],
        },
        Owned { thing: "watching", paths: &["notify"], macros: &[], places: &[("watch/source", "one watcher")] },
        Owned { thing: "SQL", paths: &["rusqlite"], macros: &[], places: &[("store", "one database")] },
        Owned { thing: "git2", paths: &["git2"], macros: &[], places: &[("git/repo", "fast reads")] },
        Owned {
            thing: "opening stdout and stderr",
            paths: &["std::io::stdout", "std::io::stderr", "rustix::stdio::stdout", "rustix::stdio::stderr"],
            macros: &["print", "println", "eprint", "eprintln"],
            places: &[
                ("cli/ui", "answers and narration"),
                ("client/attach", "the terminal itself, raw"),
                ("host/entry", "one line with the address, then both are closed"),
                ("demo/tty", "the player is an agent: its terminal is its own"),
            ],
        },
        Owned {
            thing: "the exit code",
            paths: &["std::process::ExitCode", "std::process::exit", "libc::_exit", "libc::exit"],
            macros: &[],
            places: &[
                ("cli", "cli/error chooses it"),
                ("main", "returns it"),
                ("host/start", "the child between a host and its starter"),
                ("bin/standup-host", "returns it"),
            ],
        },
    ],
    binaries: &[("main.rs", &["cli", "host"]), ("standup-host.rs", &["host"])],
};

/// Every source of the house, by its path under `src`.
fn sources() -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).expect("src is readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("lies under src").to_str().expect("UTF-8").to_owned();
                out.insert(name, fs::read_to_string(&path).expect("a source is text"));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = BTreeMap::new();
    walk(&root, &root, &mut out);
    out
}

fn manifest() -> toml::Table {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("Cargo.toml");
    toml::from_str(&text).expect("Cargo.toml is TOML")
}

/// The names of the dependencies, as code writes them.
fn dependencies() -> Vec<String> {
    let manifest = manifest();
    let listed = manifest["dependencies"].as_table().expect("a table of dependencies");
    listed.keys().map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_house_obeys_its_table() {
    let findings = rules::judge(&TABLE, &dependencies(), &sources());
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn the_table_names_only_what_there_is() {
    let crates = dependencies();
    let named = TABLE.rooms.iter().flat_map(|room| room.crates).chain(TABLE.everywhere).chain(TABLE.outside);
    for name in named {
        assert!(crates.iter().any(|known| known == name), "the table names {name}, which Cargo.toml does not");
    }
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    for room in TABLE.rooms {
        let line = format!("pub mod {};", room.name);
        assert!(map.contains(&line), "the table has the room {}, the map of src/lib.rs does not", room.name);
    }
}

/// Cargo joins the features of everything that is built at once; dev-dependencies count for tests only.
#[test]
fn what_only_tests_need_is_switched_on_by_tests_alone() {
    let manifest = manifest();
    let features = manifest["features"].as_table().expect("features");
    assert!(!features.contains_key("default"));
    for only in ["failpoints", "test-support"] {
        assert!(features.values().flat_map(|f| f.as_array().expect("a list")).all(|f| f.as_str() != Some(only)));
        let wanted = manifest["dev-dependencies"]["standup"]["features"].as_array().expect("a list");
        assert!(wanted.iter().any(|feature| feature.as_str() == Some(only)), "{only}");
    }
    assert!(!manifest["dependencies"].as_table().expect("dependencies").contains_key("standup"));
}

#[test]
fn every_dependency_has_a_room_that_may_use_it() {
    for name in dependencies() {
        let used = TABLE.rooms.iter().any(|room| room.crates.contains(&name.as_str()))
            || TABLE.everywhere.contains(&name.as_str())
            || TABLE.outside.contains(&name.as_str());
        assert!(used, "no room may use the dependency {name}: give it one, or take it out of Cargo.toml");
    }
}
