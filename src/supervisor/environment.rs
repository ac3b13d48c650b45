//! What agents and checks find in their environment.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::git::grant;
use crate::model::id::AttemptId;
use crate::store::layout;

use super::world::World;

/// Variables that would make git look elsewhere than where it is run.
const GIT: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];

/// Our own variables that belong to one attempt, and must not leak from an outer one.
const OWN: &str = "STANDUP_";

/// The one of ours that is everybody's: where everything lies.
const SHARED: &str = crate::os::locate::HOME_VARIABLE;

/// The environment of checks and setup commands: the supervisor's own, without git's variables,
/// with the attempt's place in it and nothing that opens the control socket.
pub(super) fn of_checks(
    world: &World,
    attempt: AttemptId,
    worktree: &Path,
    ports: &[u16],
) -> Vec<(OsString, OsString)> {
    let mut env = inherited(&[]);
    let text: Vec<(String, String)> =
        env.iter().filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))).collect();
    let guarded = grant::agent_env(text.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    for (name, value) in guarded {
        set(&mut env, name.as_ref(), value.into());
    }
    let run = layout::run_dir(worktree);
    set(&mut env, "STANDUP_TASK".as_ref(), attempt.task.to_string().into());
    set(&mut env, "STANDUP_ATTEMPT".as_ref(), attempt.no.to_string().into());
    set(&mut env, "STANDUP_BRIEF".as_ref(), run.join("brief.md").into());
    set(&mut env, "STANDUP_DIR".as_ref(), run.into());
    for (n, port) in ports.iter().enumerate() {
        set(&mut env, format!("STANDUP_PORT_{n}").as_ref(), port.to_string().into());
    }
    add_to_path(&mut env, world.exe.parent());
    env
}

/// The supervisor's own environment, less what must not reach an attempt.
fn inherited(unset: &[String]) -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            let foreign = name.starts_with(OWN) && name != SHARED;
            !foreign && !GIT.contains(&name.as_ref()) && !unset.iter().any(|u| *u == name)
        })
        .collect()
}

/// Removes variables.
pub(super) fn unset(env: &mut Vec<(OsString, OsString)>, names: &[String]) {
    env.retain(|(name, _)| !names.iter().any(|n| OsStr::new(n) == name));
}

/// Sets a variable, in place of any other of its name.
pub(super) fn set(env: &mut Vec<(OsString, OsString)>, name: &OsStr, value: OsString) {
    env.retain(|(other, _)| other != name);
    env.push((name.to_owned(), value));
}

/// The folder of the running program comes last on PATH, so that `standup` is found.
fn add_to_path(env: &mut Vec<(OsString, OsString)>, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone()).unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).filter(|p| !p.as_os_str().is_empty()).collect();
    if !folders.iter().any(|f| f == folder) {
        folders.push(folder.to_owned());
    }
    if let Ok(joined) = std::env::join_paths(folders) {
        set(env, "PATH".as_ref(), joined);
    }
}
