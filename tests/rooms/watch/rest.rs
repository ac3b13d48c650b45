//! At rest nothing runs; and what watching costs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use standup::watch::{WatchEvent, Watcher};

use super::{DEADLINE, key, outbox, write};

/// How often a thread of this process gave up its processor to wait.
fn sleeps(thread: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("a count");
    line.trim().parse().expect("a number")
}

#[test]
fn nothing_wakes_up_while_nothing_changes() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (sender, events) = channel();
    let watcher = Watcher::new(move |event| {
        // The sink runs on the watching thread, so this names it.
        let _ = sender.send((event, rustix::thread::gettid().as_raw_nonzero().get()));
    })
    .expect("watcher");
    for n in 1..=20 {
        let root = dir.path().join(format!("w{n}"));
        write(&root, "src/deep/f", "");
        watcher.add(key(n), &root, &outbox(&root));
    }
    let mut thread = 0;
    for _ in 1..=20 {
        let (event, id) = events.recv_timeout(DEADLINE).expect("ready");
        assert!(matches!(event, WatchEvent::Ready { directories: 3, .. }), "{event:?}");
        thread = id;
    }
    let root = dir.path().join("w1");
    write(&root, "src/deep/f", "once");
    let (event, _) = events.recv_timeout(DEADLINE).expect("a change");
    assert!(matches!(event, WatchEvent::Changed { .. }), "{event:?}");

    // Until the thread sleeps: two looks that find the same.
    let deadline = Instant::now() + DEADLINE;
    let mut before = sleeps(thread);
    loop {
        let quiet = events.recv_timeout(Duration::from_millis(700)).is_err();
        let now = sleeps(thread);
        if quiet && now == before {
            break;
        }
        before = now;
        assert!(Instant::now() < deadline, "it never comes to rest");
    }
    // Readers come and go, and other files change beside the worktrees.
    for _ in 0..200 {
        fs::read(root.join("src/deep/f")).expect("read");
        fs::read_dir(root.join("src")).expect("list").count();
        fs::write(dir.path().join("beside"), "x").expect("write");
    }
    assert!(events.recv_timeout(Duration::from_secs(2)).is_err(), "something was told");
    assert_eq!(sleeps(thread), before, "it woke up");
}

/// Prints what 20 worktrees of 20 000 files cost in time and memory, beside a recursive watch of
/// all of them by the library alone; run it with
/// `--release -- --ignored --nocapture --test-threads 1`.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_twenty_large_worktrees() {
    let dir = tempfile::tempdir().expect("temp dir");
    for tree in 0..20 {
        for n in 0..1_700 {
            let at = dir.path().join(format!("w{tree}/module{}/part{}/unit{n}", n % 12, n % 60));
            fs::create_dir_all(&at).expect("mkdir");
            for file in 0..12 {
                fs::write(at.join(format!("f{file}")), "").expect("write");
            }
        }
    }
    let rss = || {
        let pages = fs::read_to_string("/proc/self/statm").expect("statm");
        pages.split(' ').nth(1).expect("rss").parse::<u64>().expect("a number") * 4
    };
    for round in 0..3 {
        let (before, began) = (rss(), Instant::now());
        let (watcher, events) = super::watcher();
        for tree in 0..20 {
            let root = dir.path().join(format!("w{tree}"));
            watcher.add(key(tree + 1), &root, &outbox(&root));
        }
        let directories: usize = (0..20)
            .map(|_| match events.recv_timeout(DEADLINE).expect("ready") {
                WatchEvent::Ready { directories, .. } => directories,
                other => panic!("{other:?}"),
            })
            .sum();
        let (took, grown) = (began.elapsed(), rss().saturating_sub(before));
        drop(watcher);
        while events.recv().is_ok() {}
        let (before, began) = (rss(), Instant::now());
        let recursive = recursive(dir.path());
        println!(
            "round {round}: {directories} directories in {took:?}, {grown} KiB; recursive {:?}, {} KiB",
            began.elapsed(),
            rss().saturating_sub(before)
        );
        drop(recursive);
    }
}

fn recursive(dir: &Path) -> impl Drop + use<> {
    struct Held(#[expect(dead_code, reason = "held until it is dropped")] notify::RecommendedWatcher);
    impl Drop for Held {
        fn drop(&mut self) {}
    }
    use notify::Watcher as _;
    let mut watcher = notify::recommended_watcher(|_| {}).expect("watcher");
    watcher.watch(dir, notify::RecursiveMode::Recursive).expect("watch");
    Held(watcher)
}

/// Prints what an agent costs that only reads, and one that writes one file again and again, in
/// seconds of the processor for all threads that watch; run it as the other measurement.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_an_agent_that_reads() {
    let files: Vec<String> = (0..20_000).map(|n| format!("module{}/f{n}", n % 100)).collect();
    let tree = super::Watched::with(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let all = |what: &str, act: &dyn Fn(&Path)| {
        for round in 0..3 {
            let (before, began) = (watching(), Instant::now());
            for file in &files {
                act(&tree.path(file));
            }
            let acted = began.elapsed();
            tree.rest();
            println!("round {round}, 20 000 times {what} in {acted:?}: {:?} of watching", watching() - before);
        }
    };
    all("a file read", &|file| drop(fs::read(file).expect("read")));
    all("a file written", &|file| fs::write(file, "x").expect("write"));
    let log = fs::File::create(tree.path("log")).expect("create");
    all("a line written to one file", &|_| (&log).write_all(b"line\n").expect("write"));
}

/// How long all threads of this process that watch have run.
fn watching() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("threads").map(|task| task.expect("a thread").path());
    tasks
        .filter(|task| {
            let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
            name == "watch\n" || name.starts_with("notify-rs")
        })
        .map(|task| {
            let ran = fs::read_to_string(task.join("schedstat")).expect("schedstat");
            Duration::from_nanos(ran.split(' ').next().expect("a time").parse().expect("a number"))
        })
        .sum()
}
