//! The fake agent: the demo's player, and before it the acts of a hostile or broken one.
//!
//! Acts are played in the order given; unless one of them is an end, the player follows with the
//! arguments after `--`. **Invariant:** nothing lives longer than `--ttl`, whatever the test that
//! started it forgets; and nothing is destroyed that is not a worktree made for a test.

mod acts;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use acts::{ACTS, Stage};

fn main() -> ExitCode {
    let mut stage = Stage { pids: None, ttl: Duration::from_secs(120) };
    let mut plan: Vec<(String, String)> = Vec::new();
    let mut player: Vec<OsString> = Vec::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let arg = arg.to_string_lossy().into_owned();
        let mut value = || args.next().unwrap_or_default();
        match arg.as_str() {
            "--list" => {
                for (name, what, _) in ACTS {
                    println!("{name:18} {what}");
                }
                return ExitCode::SUCCESS;
            }
            "--pids" => stage.pids = Some(PathBuf::from(value())),
            "--ttl" => stage.ttl = Duration::from_secs(value().to_string_lossy().parse().expect("seconds")),
            "--act" => {
                let act = value().to_string_lossy().into_owned();
                let (name, value) = act.split_once('=').unwrap_or((&act, ""));
                plan.push((name.to_owned(), value.to_owned()));
            }
            "--" => player.extend(args.by_ref()),
            // What an adapter appends, such as a prompt, is the player's.
            _ => {
                player.push(arg.into());
                player.extend(args.by_ref());
            }
        }
    }
    acts::end_after(stage.ttl);
    for (name, value) in &plan {
        let Some((_, _, act)) = ACTS.iter().find(|(known, _, _)| known == name) else {
            eprintln!("fake-agent: there is no act {name}; --list prints them");
            return ExitCode::from(2);
        };
        if let Err(error) = act(&stage, value) {
            eprintln!("fake-agent: {name}: {error}");
            return ExitCode::from(9);
        }
    }
    match standup::demo::player::run(player) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fake-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
