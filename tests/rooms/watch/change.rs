//! What is a change, what is none, and how directories come and go.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use standup::watch::{SAMPLE, WatchEvent, Watcher};

use super::{Watched, key, outbox, until, watcher, write};

#[test]
fn a_written_created_renamed_or_removed_file_is_a_change() {
    let tree = Watched::with(&["src/a.rs", "src/b.rs", "tests/deep/er/t.rs"]);
    tree.write("src/a.rs");
    tree.told("src/a.rs");
    tree.write("tests/deep/er/new.rs");
    tree.told("tests/deep/er/new.rs");
    fs::rename(tree.path("src/a.rs"), tree.path("src/c.rs")).expect("rename");
    tree.told("src/c.rs");
    fs::remove_file(tree.path("src/b.rs")).expect("remove");
    tree.told("src/b.rs");
    fs::set_permissions(tree.path("src/c.rs"), fs::Permissions::from_mode(0o755)).expect("chmod");
    tree.told("src/c.rs");
    symlink("c.rs", tree.path("src/link")).expect("link");
    tree.told("src/link");
}

#[test]
fn reading_is_no_change() {
    let tree = Watched::with(&["src/a.rs", "src/b.rs"]);
    tree.is_no_change(|| {
        for _ in 0..100 {
            fs::read(tree.path("src/a.rs")).expect("read");
            fs::read_dir(tree.path("src")).expect("list").count();
        }
        let times = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
            last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        };
        rustix::fs::utimensat(rustix::fs::CWD, tree.path("src/b.rs"), &times, rustix::fs::AtFlags::empty())
            .expect("as a reader with strict access times");
    });
}

#[test]
fn what_git_ignores_is_no_change_and_not_watched() {
    let tree = tempfile::tempdir().expect("temp dir");
    let root = tree.path();
    write(root, ".gitignore", "/target\n*.log\nnode_modules/\n");
    write(root, "web/.gitignore", "dist/\n!keep.log\n");
    write(root, ".git/info/exclude", "/private/\n");
    for dir in ["target/debug/deps", "web/node_modules/x/y", "web/dist", ".git/objects/aa", "private/z"] {
        write(root, &format!("{dir}/f"), "");
    }
    write(root, "web/src/app.js", "");
    let (watcher, events) = watcher();
    watcher.add(key(1), root, &outbox(root));
    let ready = until(&events, |event| matches!(event, WatchEvent::Ready { .. }));
    assert_eq!(ready, WatchEvent::Ready { key: key(1), directories: 3 }, "the root, web, web/src");
    let tree = Watched { root: tree, watcher, events };
    tree.is_no_change(|| {
        for file in ["target/debug/deps/g", "x.log", "web/y.log", "web/dist/f", ".git/index", "private/z/g"] {
            tree.write(file);
        }
        tree.write("web/src/node_modules/new/f");
        tree.write("target/new/f");
    });
    tree.write("web/keep.log");
    tree.told("web/keep.log");
}

#[test]
fn files_in_a_new_directory_are_told_though_they_were_there_before_the_watch() {
    let dir = tempfile::tempdir().expect("temp dir");
    write(dir.path(), "f", "");
    let (sender, events) = channel();
    let (go, gate) = channel::<()>();
    let watcher = Watcher::new(move |event| {
        let held = matches!(event, WatchEvent::Changed { .. });
        let _ = sender.send(event);
        // While the first change is held, nothing new is watched.
        if held {
            let _ = gate.recv();
        }
    })
    .expect("watcher");
    watcher.add(key(1), dir.path(), &outbox(dir.path()));
    until(&events, |event| matches!(event, WatchEvent::Ready { .. }));
    write(dir.path(), "f", "held");
    until(&events, |event| matches!(event, WatchEvent::Changed { .. }));
    write(dir.path(), "new/deep/er/f", "");
    write(dir.path(), "new/.gitignore", "*.log\n");
    write(dir.path(), "new/x.log", "");
    drop(go);
    let file = Path::new("new/deep/er/f");
    let told =
        until(&events, |event| matches!(event, WatchEvent::Changed { paths, .. } if paths.iter().any(|p| p == file)));
    let WatchEvent::Changed { paths, .. } = told else { unreachable!() };
    assert!(!paths.contains(&"new/x.log".into()), "its own rules hold from the start: {paths:?}");
    write(dir.path(), "new/deep/er/later", "");
    let file = Path::new("new/deep/er/later");
    until(&events, |event| matches!(event, WatchEvent::Changed { paths, .. } if paths.iter().any(|p| p == file)));
}

#[test]
fn a_renamed_directory_is_watched_under_its_new_name() {
    let tree = Watched::with(&["old/deep/f", "keep/f"]);
    fs::rename(tree.path("old"), tree.path("new")).expect("rename");
    tree.told("new/deep/f");
    tree.write("new/deep/f");
    tree.told("new/deep/f");
    // Out of the worktree: what happens there is nobody's business.
    let outside = tempfile::tempdir().expect("temp dir");
    fs::rename(tree.path("new"), outside.path().join("out")).expect("rename");
    tree.told("new");
    tree.is_no_change(|| write(outside.path(), "out/deep/f", "later"));
    // And back in.
    fs::rename(outside.path().join("out"), tree.path("back")).expect("rename");
    tree.told("back/deep/f");
    tree.write("back/deep/f");
    tree.told("back/deep/f");
}

#[test]
fn two_directories_that_change_places_stay_watched() {
    let tree = Watched::with(&["a/in/f", "b/on/f"]);
    exchange(&tree.path("a"), &tree.path("b"));
    tree.told("b/in/f");
    for file in ["a/on/f", "b/in/f", "a/new", "b/new"] {
        tree.rest();
        tree.write(file);
        tree.told(file);
    }
}

fn exchange(one: &Path, other: &Path) {
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, flags).expect("exchange");
}

/// Directories of a tree, the root first.
fn directories(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let mut at = 0;
    while let Some(dir) = all.get(at) {
        let entries = fs::read_dir(dir).expect("list").map(|entry| entry.expect("an entry"));
        let below: Vec<_> = entries.filter(|entry| entry.file_type().expect("a type").is_dir()).collect();
        all.extend(below.into_iter().map(|entry| entry.path()));
        at += 1;
    }
    all
}

#[test]
fn whatever_is_moved_about_every_directory_stays_watched() {
    let tree = Watched::with(&["a/b/f", "c/d/f", "e/f"]);
    let mut random = 1_u64;
    let mut pick = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for n in 0..400 {
        let all = directories(tree.root.path());
        let (one, other) = (&all[pick(all.len())], &all[pick(all.len())]);
        let apart = !one.starts_with(other) && !other.starts_with(one);
        match pick(5) {
            0 | 1 if all.len() < 12 => {
                // Made and moved into at once: the move is in nobody's sight yet.
                let new = one.join(format!("n{n}"));
                fs::create_dir(&new).expect("mkdir");
                fs::write(new.join("f"), "").expect("write");
                if !one.starts_with(other) {
                    fs::rename(other, new.join("m")).expect("rename");
                }
            }
            2 if all.len() > 6 && one != tree.root.path() => fs::remove_dir_all(one).expect("remove"),
            3 if apart => exchange(one, other),
            4 if apart => fs::rename(one, other.join(format!("m{n}"))).expect("rename"),
            _ => {}
        }
        if n % 100 == 99 {
            tree.rest();
        }
    }
    tree.rest();
    for dir in directories(tree.root.path()) {
        let file = dir.join("last");
        fs::write(&file, "").expect("write");
        tree.told(file.strip_prefix(tree.root.path()).expect("below").to_str().expect("a name"));
    }
}

#[test]
fn a_worktree_in_a_worktree_is_watched_for_its_own_sake() {
    let tree = Watched::with(&["src/f", "inner/src/f"]);
    let inner = tree.path("inner");
    tree.watcher.add(key(2), &inner, &outbox(&inner));
    assert_eq!(tree.ready(), 2);
    for round in 0..2 {
        write(&inner, "src/f", "changed");
        let event = tree.until(|event| matches!(event, WatchEvent::Changed { .. }));
        assert!(matches!(&event, WatchEvent::Changed { key: of, .. } if *of == key(2)), "{round}: {event:?}");
        // The outer one is gone through anew.
        tree.write(".gitignore");
        tree.told(".gitignore");
        tree.rest();
    }
    fs::remove_dir_all(&inner).expect("remove");
    tree.until(|event| *event == WatchEvent::Gone { key: key(2) });
    tree.write("inner/src/f");
    tree.told("inner/src/f");
}

#[test]
fn a_removed_directory_may_come_again() {
    let tree = Watched::with(&["src/a/f"]);
    for _ in 0..3 {
        fs::remove_dir_all(tree.path("src")).expect("remove");
        tree.told("src/a/f");
        tree.write("src/a/f");
        tree.told("src/a/f");
    }
}

#[test]
fn changed_rules_are_obeyed() {
    let tree = Watched::with(&["build/out/f", "src/f"]);
    tree.write("build/out/f");
    tree.told("build/out/f");
    fs::write(tree.path(".gitignore"), "build/\n").expect("write");
    tree.told(".gitignore");
    tree.is_no_change(|| tree.write("build/out/f"));
    fs::remove_file(tree.path(".gitignore")).expect("remove");
    tree.told(".gitignore");
    tree.rest();
    tree.write("build/out/f");
    tree.told("build/out/f");
}

#[test]
fn no_link_leads_out_of_the_worktree() {
    let outside = tempfile::tempdir().expect("temp dir");
    let tree = Watched::with(&["src/f"]);
    symlink(outside.path(), tree.path("src/out")).expect("link");
    symlink(tree.path("src"), tree.path("src/loop")).expect("link");
    tree.told("src/out");
    tree.is_no_change(|| write(outside.path(), "f", "unseen"));
    // A directory that is exchanged for a link.
    tree.write("src/dir/f");
    tree.told("src/dir/f");
    fs::remove_dir_all(tree.path("src/dir")).expect("remove");
    symlink(outside.path(), tree.path("src/dir")).expect("link");
    tree.told("src/dir");
    tree.is_no_change(|| write(outside.path(), "f", "still unseen"));
}

#[test]
fn an_unending_writer_is_told_a_few_times_a_second() {
    let tree = Watched::with(&["f"]);
    let began = Instant::now();
    let mut n = 0;
    while began.elapsed() < Duration::from_millis(1_500) {
        fs::write(tree.path(&format!("f{}", n % 200)), n.to_string()).expect("write");
        n += 1;
    }
    let told = tree.rest();
    let most = began.elapsed().as_millis() / 300 + 1;
    assert!(!told.is_empty() && told.len() as u128 <= most, "{} events for {n} writes", told.len());
    for event in told {
        let WatchEvent::Changed { paths, .. } = event else { panic!("{event:?}") };
        assert!(paths.len() <= SAMPLE);
    }
}

#[test]
fn a_worktree_that_goes_is_told_once() {
    let tree = Watched::with(&["a/f"]);
    fs::remove_dir_all(tree.root.path()).expect("remove");
    let gone = WatchEvent::Gone { key: key(1) };
    tree.until(|event| *event == gone);
    assert!(!tree.rest().contains(&gone));
    // Another directory in its place is not it.
    let tree = Watched::with(&["a/f"]);
    let away = tempfile::tempdir().expect("temp dir");
    fs::rename(tree.root.path(), away.path().join("w")).expect("rename");
    fs::create_dir(tree.root.path()).expect("mkdir");
    tree.until(|event| *event == gone);
    // And one that never was.
    let (watcher, events) = watcher();
    watcher.add(key(2), &away.path().join("none"), &outbox(&away.path().join("none")));
    until(&events, |event| *event == WatchEvent::Gone { key: key(2) });
}

#[test]
fn a_worktree_removed_while_somebody_is_in_it_is_gone_too() {
    let tree = Watched::with(&["a/f"]);
    // As an agent's working directory does, this keeps the kernel from telling.
    let _inside = fs::File::open(tree.root.path()).expect("open");
    fs::remove_dir_all(tree.root.path()).expect("remove");
    tree.until(|event| *event == WatchEvent::Gone { key: key(1) });
}

#[test]
fn worktrees_are_told_apart_and_one_can_be_dropped() {
    let tree = Watched::with(&["f"]);
    let other = tempfile::tempdir().expect("temp dir");
    tree.watcher.add(key(2), other.path(), &outbox(other.path()));
    tree.ready();
    write(other.path(), "f", "");
    let event = tree.until(|event| matches!(event, WatchEvent::Changed { .. }));
    assert!(matches!(event, WatchEvent::Changed { key: of, .. } if of == key(2)), "{event:?}");
    tree.watcher.remove(key(2));
    tree.is_no_change(|| write(other.path(), "f", "later"));
    tree.write("f");
    tree.told("f");
}
