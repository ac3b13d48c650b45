//! Slots over several processes, some of which are killed.

use std::path::Path;
use std::time::{Duration, Instant};

use standup::model::settings::Limit;
use standup::store::slots::Slots;

use super::child::{self, Running};

const LIMIT: Limit = Limit::of(3);

fn start(dir: &Path) -> Running {
    Running::start("store::slots::child", dir)
}

#[test]
fn of_many_processes_at_once_only_as_many_as_the_limit_get_a_slot() {
    let dir = tempfile::tempdir().expect("temp dir");
    let slots = Slots::open(&dir.path().join("slots")).expect("open");
    let mut children: Vec<Running> = (0..8).map(|_| start(dir.path())).collect();
    let got: Vec<bool> = children.iter_mut().map(|c| c.next("slot ").expect("an answer") == "yes").collect();
    assert_eq!(got.iter().filter(|&&got| got).count(), 3, "{got:?}");
    assert_eq!(slots.used().expect("used"), 3);

    // A killed holder's slot is free at once: the kernel frees it with the process.
    let holder = got.iter().position(|&got| got).expect("a holder");
    children[holder].kill();
    assert_eq!(slots.used().expect("used"), 2);
    let mut next = start(dir.path());
    assert_eq!(next.next("slot ").as_deref(), Some("yes"));
    let mut late = start(dir.path());
    assert_eq!(late.next("slot ").as_deref(), Some("no"));
    for child in children.drain(..).enumerate().filter(|(i, _)| *i != holder).map(|(_, c)| c).chain([next, late]) {
        assert!(child.finish());
    }
    assert_eq!(slots.used().expect("used"), 0);
    let left = std::fs::read_dir(dir.path().join("slots")).expect("folder").count();
    assert_eq!(left, 1, "only the lock is left, dead slots are removed");
}

#[test]
#[ignore = "the child of another test"]
fn child() {
    let Some(dir) = child::told() else { return };
    let slots = Slots::open(&dir.join("slots")).expect("open");
    let slot = slots.reserve(LIMIT, "shop T7").expect("reserve");
    println!("slot {}", if slot.is_some() { "yes" } else { "no" });
    child::until_told_to_go();
}

#[test]
fn a_host_that_inherits_a_slot_holds_it_for_life() {
    use std::os::fd::AsRawFd;
    let dir = tempfile::tempdir().expect("temp dir");
    let slots = Slots::open(&dir.path().join("slots")).expect("open");
    let slot = slots.reserve(LIMIT, "shop T7").expect("reserve").expect("free");
    let shared = slot.share().expect("share");
    // The host's end of it: its standard error is the slot, and it lives until its input ends.
    let mut command = child::command(Path::new("cat"), "", dir.path());
    let mut host = command.stderr(std::process::Stdio::from(shared)).spawn().expect("spawn");
    drop((command, slot));
    assert!(host.stdin.as_ref().is_some_and(|pipe| pipe.as_raw_fd() >= 0));
    assert_eq!(slots.held().expect("held")[0].label, "shop T7");
    host.kill().expect("kill");
    host.wait().expect("reap");
    assert_eq!(slots.used().expect("used"), 0);
}

#[test]
fn a_stopped_holder_of_the_counting_lock_does_not_hang_the_others() {
    let dir = tempfile::tempdir().expect("temp dir");
    let slots = Slots::open(&dir.path().join("slots")).expect("open");
    let _held = standup::os::lock::Lock::try_take(&dir.path().join("slots/.lock")).expect("lock").expect("free");
    let began = Instant::now();
    let error = slots.used().expect_err("busy");
    assert!(matches!(error, standup::store::StoreError::Busy { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
}
