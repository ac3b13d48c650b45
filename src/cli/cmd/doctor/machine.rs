//! Folders and their space, limits of the kernel and of this user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::process::{PidfdFlags, Resource};

use crate::cli::error::chain;
use crate::model::name::HostId;
use crate::model::text::shell_word;
use crate::os::locate::Dirs;
use crate::os::socket;
use crate::store::layout::Layout;

use super::Check;

/// Below this, transcripts and worktrees of a few agents may not fit.
const LOW_SPACE: u64 = 2 << 30;

/// Below this, the next write may fail.
const NO_SPACE: u64 = 64 << 20;

/// A worktree of a middling project has so many files.
const LOW_INODES: u64 = 50_000;

/// Each worktree takes one watch for each of its folders.
const LOW_WATCHES: u64 = 65_536;

/// Each supervisor takes one, and so does every editor.
const LOW_INSTANCES: u64 = 64;

/// A supervisor holds a few descriptors for each agent and each client.
const LOW_FILES: u64 = 1_024;

/// An agent with its tools and a build takes dozens of processes.
const LOW_PROCESSES: u64 = 1_024;

/// The longest host name that is to be expected: thousands of tasks, dozens of attempts.
const LONG_HOST: &str = "T9999-99-99";

/// State, worktrees and sockets; of one repository where there is one.
pub(super) fn folders(dirs: &Dirs, layout: Option<&Layout>) -> Vec<Check> {
    let mut checks = vec![
        folder("state", layout.map_or(&*dirs.state, Layout::state_dir), false),
        folder("worktrees", layout.map_or(&*dirs.data, Layout::worktrees_dir), true),
    ];
    checks.push(sockets(dirs, layout));
    checks
}

/// Whether a folder, or the nearest one above it that is there, takes files and has room for them.
fn folder(name: &'static str, dir: &Path, runs_programs: bool) -> Check {
    let mut there = dir;
    while !there.exists() {
        match there.parent() {
            Some(parent) => there = parent,
            None => break,
        }
    }
    let shown = dir.display();
    if let Err(error) = tempfile::Builder::new().prefix(".standup-doctor-").tempfile_in(there) {
        return Check::fail(
            name,
            format!("{shown}: cannot write in {}: {error}", there.display()),
            "make it writable, or set STANDUP_HOME to a folder of your own",
        );
    }
    let Ok(space) = rustix::fs::statvfs(there) else { return Check::ok(name, format!("{shown}")) };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let text = format!("{shown}: {} free", size(free));
    let fix = "make room, or move it with STANDUP_HOME or [worktrees] root";
    if free < NO_SPACE {
        return Check::fail(name, text, fix);
    }
    if free < LOW_SPACE {
        return Check::warn(name, text, fix);
    }
    // Some file systems have no bound on files, and say 0.
    if space.f_files > 0 && space.f_favail < LOW_INODES {
        return Check::warn(name, format!("{text}, but room for only {} files", space.f_favail), fix);
    }
    if runs_programs && space.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        let text = format!("{text}, on a file system that runs no programs: checks will fail there");
        return Check::warn(name, text, "standup config set --user worktrees.root DIR");
    }
    Check::ok(name, text)
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 10 << 30 => format!("{} GiB", b >> 30),
        b if b >= 1 << 30 => format!("{:.1} GiB", b as f64 / f64::from(1 << 30)),
        b => format!("{} MiB", b >> 20),
    }
}

/// The folder for sockets: the length of their paths, and whether the one that is meant for them
/// is in use.
fn sockets(dirs: &Dirs, layout: Option<&Layout>) -> Check {
    if let Some(layout) = layout {
        let host = HostId::new(LONG_HOST).expect("a plain name");
        for path in [layout.control_socket(), layout.host_socket(&host)] {
            if let Err(error) = path {
                let fix = error.hint().unwrap_or_else(|| "set STANDUP_HOME to a shorter path".to_owned());
                return Check::fail("sockets", chain(&error), fix);
            }
        }
    }
    let shown = dirs.runtime.display();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match named {
        _ if std::env::var_os(crate::os::locate::HOME_VARIABLE).is_some() => {
            Check::ok("sockets", format!("{shown} (STANDUP_HOME)"))
        }
        Some(named) if !dirs.runtime.starts_with(&named) => Check::warn(
            "sockets",
            format!("{shown}, because XDG_RUNTIME_DIR ({}) is not a folder of yours alone", named.display()),
            format!("it must be yours and have mode 0700: ls -ld {}", shell_word(&named.to_string_lossy())),
        ),
        Some(_) => Check::ok("sockets", format!("{shown} (paths of at most {} bytes)", socket::MAX_PATH)),
        None => Check::ok("sockets", format!("{shown}; XDG_RUNTIME_DIR is not set")),
    }
}

/// Limits and abilities of the kernel and of this user.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![user()];
    checks.extend(watches());
    checks.push(terminals());
    checks.push(files());
    checks.push(processes());
    checks.push(kernel());
    checks.extend(login());
    checks
}

fn user() -> Check {
    if rustix::process::geteuid().is_root() {
        return Check::warn(
            "user",
            "you are root: agents may write everywhere, and some refuse to skip approvals",
            "work as a user of your own",
        );
    }
    Check::ok("user", format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// A number in a file of the kernel's.
fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn watches() -> Option<Check> {
    let watches = number("/proc/sys/fs/inotify/max_user_watches")?;
    let instances = number("/proc/sys/fs/inotify/max_user_instances")?;
    let text = format!("{watches} watches, {instances} instances of inotify");
    let fix = "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512";
    Some(if watches < LOW_WATCHES || instances < LOW_INSTANCES {
        Check::warn("watches", format!("{text}: too few for large repositories"), fix)
    } else {
        Check::ok("watches", text)
    })
}

fn terminals() -> Check {
    let (Some(max), Some(used)) = (number("/proc/sys/kernel/pty/max"), number("/proc/sys/kernel/pty/nr")) else {
        return Check::ok("terminals", "the system does not say how many there may be");
    };
    let text = format!("{used} of {max} pseudoterminals are in use");
    if used + 16 > max {
        return Check::warn("terminals", text, "sudo sysctl kernel.pty.max=4096");
    }
    Check::ok("terminals", text)
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), |n| n.to_string())
}

fn files() -> Check {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let text = format!("{} open files (at most {})", shown(limit.current), shown(limit.maximum));
    if limit.current.is_some_and(|n| n < LOW_FILES) {
        return Check::warn("files", text, format!("ulimit -n {LOW_FILES}"));
    }
    Check::ok("files", text)
}

fn processes() -> Check {
    let limit = rustix::process::getrlimit(Resource::Nproc);
    let text = format!("{} processes of yours", shown(limit.current));
    if limit.current.is_some_and(|n| n < LOW_PROCESSES) {
        return Check::warn("processes", text, format!("ulimit -u {LOW_PROCESSES}"));
    }
    Check::ok("processes", text)
}

#[cfg(target_os = "linux")]
fn kernel() -> Check {
    let pidfd = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).is_ok();
    let subreaper = rustix::process::child_subreaper().is_ok();
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").ok();
    let landlock = match modules {
        Some(list) if list.split(',').any(|name| name.trim() == "landlock") => "there",
        Some(_) => "off",
        None => "not known",
    };
    let word = |there: bool| if there { "there" } else { "missing" };
    let text = format!("pidfd {}, subreaper {}, Landlock {landlock}", word(pidfd), word(subreaper));
    if pidfd && subreaper {
        return Check::ok("kernel", text);
    }
    Check::fail(
        "kernel",
        format!("{text}: processes that an agent leaves cannot be ended safely"),
        "Linux 5.3 or newer, outside of a container that forbids these calls",
    )
}

#[cfg(not(target_os = "linux"))]
fn kernel() -> Check {
    Check::warn("kernel", "not Linux: what an agent leaves behind is found by its environment alone", "work on Linux")
}

/// Whether the login manager ends what goes on after you log out.
fn login() -> Option<Check> {
    let kills = logind_files().iter().any(|text| {
        let set = |line: &str| {
            line.trim()
                .strip_prefix("KillUserProcesses")
                .map(|rest| rest.trim_start_matches([' ', '=']).trim().to_owned())
        };
        text.lines()
            .filter_map(set)
            .next_back()
            .is_some_and(|value| matches!(value.as_str(), "yes" | "true" | "1" | "on"))
    });
    if !kills {
        return None;
    }
    let lingers = std::fs::read_dir("/var/lib/systemd/linger")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| std::env::var("USER").is_ok_and(|user| user == name));
    Some(if lingers {
        Check::ok("login", "logging out leaves your processes running (lingering is on)")
    } else {
        Check::warn(
            "login",
            "logging out ends all your processes, agents included (KillUserProcesses=yes)",
            "loginctl enable-linger",
        )
    })
}

/// The login manager's configuration, in the order it is read.
fn logind_files() -> Vec<String> {
    let mut paths = vec![PathBuf::from("/etc/systemd/logind.conf")];
    for dir in ["/usr/lib/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"] {
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        found.sort();
        paths.extend(found);
    }
    let readable = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.size() < 1 << 20);
    paths.into_iter().filter(readable).filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let dir = tempfile::tempdir().expect("temp dir");
        let check = folder("state", &dir.path().join("a/b/c"), false);
        assert!(check.text.contains("free"), "{check:?}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 0, "nothing is left");
    }

    #[test]
    fn a_size_is_read_at_a_glance() {
        assert_eq!(size(48 << 30), "48 GiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
        assert_eq!(size(5 << 20), "5 MiB");
    }
}
