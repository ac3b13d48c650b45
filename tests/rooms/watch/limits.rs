//! When events are dropped, or there are no more watches: said, and got over.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use standup::watch::{WatchEvent, Watcher};

use super::{key, outbox, until, watcher, write};
use crate::store::child;

/// What may wait to be taken in: as much as the kernel keeps by default.
const QUEUE: usize = 16_384;

#[test]
fn dropped_events_are_told_and_watching_goes_on() {
    let dir = tempfile::tempdir().expect("temp dir");
    for n in 1..=2 {
        write(&dir.path().join(format!("w{n}")), "src/f", "");
    }
    let (sender, events) = channel();
    let (go, gate) = channel::<()>();
    let watcher = Watcher::new(move |event| {
        let held = matches!(event, WatchEvent::Changed { .. });
        let _ = sender.send(event);
        // The first change is held, so that what comes meanwhile has to wait.
        if held {
            let _ = gate.recv();
        }
    })
    .expect("watcher");
    for n in 1..=2 {
        let root = dir.path().join(format!("w{n}"));
        watcher.add(key(n), &root, &outbox(&root));
        until(&events, |event| matches!(event, WatchEvent::Ready { .. }));
    }
    write(&dir.path().join("w1"), "src/f", "held");
    until(&events, |event| matches!(event, WatchEvent::Changed { .. }));
    // Each file is at least two events. The directory and its letter come too late to be kept.
    let (src, late) = (dir.path().join("w1/src"), dir.path().join("w1/late/deep"));
    for n in 0..QUEUE / 2 + 100 {
        fs::write(src.join(format!("{n}")), "x").expect("write");
    }
    fs::create_dir_all(&late).expect("mkdir");
    write(&dir.path().join("w1"), ".standup/run/outbox/1.json", "{}");
    drop(go);
    // Nobody knows whose events were dropped, so all are to be looked at.
    let mut told = [false; 3];
    until(&events, |event| {
        told_of(event, &mut told.each_mut());
        told.iter().all(|&told| told)
    });
    write(&late, "f", "after");
    let path = Path::new("late/deep/f");
    until(&events, |event| matches!(event, WatchEvent::Changed { paths, .. } if paths.iter().any(|p| p == path)));
}

/// Ticks off what is expected after an overflow.
fn told_of(event: &WatchEvent, told: &mut [&mut bool; 3]) {
    match event {
        WatchEvent::Overflow { key: of } if *of == key(1) => *told[0] = true,
        WatchEvent::Overflow { key: of } if *of == key(2) => *told[1] = true,
        WatchEvent::Outbox { key: of, file } if *of == key(1) && file == "1.json" => *told[2] = true,
        _ => {}
    }
}

/// Runs the child test `name` with a limit of its own; needs user namespaces, or root.
fn limited(limit: &str, name: &str) {
    let dir = tempfile::tempdir().expect("temp dir");
    let script = "echo $0 2>&1 > /proc/sys/user/$1 || { echo unlimited; exit 0; }; shift; exec \"$@\"";
    let (file, value) = limit.split_once('=').expect("a limit");
    let mut command = child::command(Path::new("unshare"), "", dir.path());
    command.args(["--user", "--map-root-user", "sh", "-c", script, value, file]).arg(child::own());
    let out = command.args(child::arguments(name)).stderr(Stdio::piped()).output();
    match out {
        Ok(out) if String::from_utf8_lossy(&out.stdout).contains("1 passed") => assert!(out.status.success()),
        Ok(out) if out.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
        }
        other => eprintln!("not run: {limit} cannot be set here ({other:?})"),
    }
}

#[test]
fn a_worktree_over_the_limit_of_watches_is_looked_at_instead() {
    limited("max_inotify_watches=20", "watch::limits::few_watches");
}

#[test]
fn without_any_watches_all_worktrees_are_looked_at() {
    limited("max_inotify_instances=0", "watch::limits::no_watches");
}

#[test]
#[ignore = "the child of another test"]
fn few_watches() {
    let Some(dir) = child::told() else { return };
    let (small, large) = (dir.join("small"), dir.join("large"));
    for n in 0..12 {
        write(&small, &format!("d{n}/f"), "");
        write(&large, &format!("d{n}/f"), "");
    }
    let (watcher, events) = watcher();
    watcher.add(key(1), &small, &outbox(&small));
    until(&events, |event| matches!(event, WatchEvent::Ready { directories: 13, .. }));
    watcher.add(key(2), &large, &outbox(&large));
    let degraded = until(&events, |event| matches!(event, WatchEvent::Degraded { .. }));
    let WatchEvent::Degraded { key: of, why, .. } = &degraded else { unreachable!() };
    assert!(*of == key(2) && why.starts_with("the limit of watched directories is reached"), "{degraded:?}");
    is_seen(&events, 2, &large);
    // The other one does not suffer.
    write(&small, "d3/f", "changed");
    until(&events, |event| matches!(event, WatchEvent::Changed { key: of, .. } if *of == key(1)));
    // Watches that become free are taken.
    watcher.remove(key(1));
    until(&events, |event| *event == WatchEvent::Ready { key: key(2), directories: 18 });
    write(&large, "d11/f", "changed at once");
    let path = Path::new("d11/f");
    until(&events, |event| matches!(event, WatchEvent::Changed { paths, .. } if paths.iter().any(|p| p == path)));
}

#[test]
#[ignore = "the child of another test"]
fn no_watches() {
    let Some(dir) = child::told() else { return };
    let root = dir.join("w");
    write(&root, "src/f", "");
    write(&root, ".gitignore", "*.log\n");
    let (watcher, events) = watcher();
    watcher.add(key(1), &root, &outbox(&root));
    let degraded = until(&events, |event| matches!(event, WatchEvent::Degraded { .. }));
    assert!(format!("{degraded:?}").contains("no file events"), "{degraded:?}");
    is_seen(&events, 1, &root);
    fs::remove_dir_all(outbox(&root)).expect("remove");
    fs::write(outbox(&root), "").expect("write");
    until(&events, |event| *event == WatchEvent::NoOutbox { key: key(1) });
    fs::remove_dir_all(&root).expect("remove");
    until(&events, |event| *event == WatchEvent::Gone { key: key(1) });
}

/// A change and a letter are seen by looking.
fn is_seen(events: &std::sync::mpsc::Receiver<WatchEvent>, number: u32, root: &Path) {
    write(root, "src/new/g", "changed");
    until(events, |event| matches!(event, WatchEvent::Changed { key: of, .. } if *of == key(number)));
    write(root, ".standup/run/outbox/1.json", "{}");
    until(events, |event| matches!(event, WatchEvent::Outbox { key: of, .. } if *of == key(number)));
}
