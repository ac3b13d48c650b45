//! What runs: the supervisor, hosts, slots; what was left: processes, locks.

use std::path::Path;

use crate::cli::context::Context;
use crate::cli::error::chain;
use crate::client::control::{Client, ClientError};
use crate::git::{Site, locks};
use crate::host::registry;
use crate::model::text::shell_word;
use crate::os::file;
use crate::os::{lock, process};
use crate::store::slots::Slots;
use crate::supervisor::place::Place;
use crate::supervisor::surroundings;

use super::Check;

/// Lost hosts whose leftovers are looked for, the newest first: each costs a look at every process.
const MAX_LOST: usize = 20;

/// Worktrees whose locks are looked at.
const MAX_WORKTREES: usize = 200;

pub(super) fn checks(ctx: &Context, place: &Place) -> Vec<Check> {
    let mut checks = vec![supervisor(ctx, place)];
    checks.extend(hosts(place));
    checks.extend(slots(place));
    checks.extend(stale_locks(place));
    checks
}

fn supervisor(ctx: &Context, place: &Place) -> Check {
    const NAME: &str = "supervisor";
    let held = lock::is_held(&place.layout.supervisor_lock()).unwrap_or(false);
    match Client::connect(&place.layout) {
        Ok(client) if client.welcome().version != env!("CARGO_PKG_VERSION") => Check::warn(
            NAME,
            format!("version {} runs; this program has {}", client.welcome().version, env!("CARGO_PKG_VERSION")),
            "standup supervisor restart",
        ),
        Ok(client) => match ctx.seen() {
            Ok(seen) if !seen.banners.is_empty() => {
                Check::warn(NAME, seen.banners.join("\n"), "standup supervisor logs")
            }
            _ => Check::ok(NAME, format!("runs, pid {}", client.welcome().process.pid)),
        },
        Err(ClientError::Absent) if held => Check::fail(
            NAME,
            "one holds the lock of this repository and does not answer",
            "standup supervisor logs, then standup supervisor stop",
        ),
        Err(ClientError::Absent) => Check::ok(NAME, "none runs; standup up starts one"),
        Err(error) => Check::fail(NAME, chain(&error), "standup supervisor restart"),
    }
}

fn hosts(place: &Place) -> Vec<Check> {
    const NAME: &str = "hosts";
    let all = match registry::list(&place.layout.hosts_dir()) {
        Ok(all) => all,
        Err(error) => return vec![Check::fail(NAME, chain(&error), "look at its owner and mode")],
    };
    let alive = all.iter().filter(|host| host.alive).count();
    let lost: Vec<_> = all.iter().rev().filter(|host| host.is_lost()).take(MAX_LOST).collect();
    let mut checks = vec![Check::ok(NAME, format!("{alive} alive, {} ended or lost", all.len() - alive))];
    for host in lost {
        let Some(running) = &host.running else { continue };
        let left: Vec<String> = process::marked(&running.marker).iter().map(|id| id.pid.to_string()).collect();
        if !left.is_empty() {
            let text = format!("{} was killed and left processes running: {}", host.id, left.join(", "));
            checks.push(Check::warn(NAME, text, "standup supervisor restart ends them"));
        }
    }
    checks
}

fn slots(place: &Place) -> Option<Check> {
    const NAME: &str = "slots";
    let dir = place.layout.slots_dir();
    let limit = surroundings::look(place).ok().and_then(|loaded| loaded.effective.settings.wip.machine.max());
    // Before the first start there is no folder, and a look does not make one.
    if !dir.exists() {
        return limit.map(|limit| Check::ok(NAME, format!("0 of {limit} held on this machine")));
    }
    let held = match Slots::open(&dir).and_then(|slots| slots.held()) {
        Ok(held) => held,
        Err(error) => {
            return Some(Check::fail(
                NAME,
                chain(&error),
                error.hint().unwrap_or_else(|| "look at its owner and mode".to_owned()),
            ));
        }
    };
    let of = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let mut text = format!("{}{of} held on this machine", held.len());
    held.iter().for_each(|slot| text.push_str(&format!("\n{}", slot.label)));
    Some(match limit {
        Some(limit) if held.len() >= limit as usize => Check::warn(
            NAME,
            format!("{text}\nnothing more starts"),
            "standup config get wip.machine, or stop an agent",
        ),
        _ => Check::ok(NAME, text),
    })
}

/// Locks of git that nobody holds any more, in the main checkout and in worktrees.
fn stale_locks(place: &Place) -> Vec<Check> {
    let common = place.repo.common_dir();
    let mut sites: Vec<Site> = Vec::new();
    if let Some(main) = place.repo.main() {
        let (worktree, admin_dir, common_dir) = (main.to_owned(), common.to_owned(), common.to_owned());
        sites.push(Site { worktree, admin_dir, common_dir });
    }
    let entries = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    sites.extend(entries.take(MAX_WORKTREES).filter_map(|entry| site(common, &entry.path())));
    // A worktree's entry lies in the git folder of the main checkout; what works there is told by the
    // worktree's own look.
    let is_own = |site: &Site, path: &Path| {
        let nearer = |other: &Site| other.admin_dir != site.admin_dir && other.admin_dir.starts_with(&site.admin_dir);
        !sites.iter().any(|other| nearer(other) && path.starts_with(&other.admin_dir))
    };
    let stale = sites
        .iter()
        .flat_map(|site| locks::stale_locks(site, None).into_iter().filter(move |found| is_own(site, &found.path)));
    stale
        .map(|found| {
            let age = found.age.map(|age| format!(", {} s old", age.as_secs())).unwrap_or_default();
            let (path, word) = (found.path.display(), shell_word(&found.path.to_string_lossy()));
            Check::warn(
                "locks",
                format!("{path} is held by nobody{age}"),
                format!("if no git is at work there: rm {word}"),
            )
        })
        .collect()
}

/// The worktree behind an entry of the repository.
fn site(common: &Path, admin_dir: &Path) -> Option<Site> {
    let line = file::read_bounded(&admin_dir.join("gitdir"), 64 << 10).ok()?;
    let written = String::from_utf8(line).ok()?;
    let worktree = admin_dir.join(written.trim_end()).parent()?.to_owned();
    Some(Site { worktree, admin_dir: admin_dir.to_owned(), common_dir: common.to_owned() })
}
