//! The production driver and policy against a simulated world: a jumping clock, crashes, a full
//! disk, late, doubled and lost outcomes and hooks, machines that sleep, twenty clients. Invariants hold after every step, and in
//! a calm world everything comes to rest.
//!
//! `STANDUP_SIM_SEED` runs one seed; `STANDUP_SIM_RUNS` and `STANDUP_SIM_EVENTS` make it longer.

mod deeds;
mod disk;
#[path = "../support/plain.rs"]
mod plain;
mod rhythm;
mod rig;
mod rng;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rig::Rig;

/// Runs of a plain test.
const RUNS: u64 = 5;

/// Events stored by each.
const EVENTS: usize = 1_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Deeds that every few runs must have had, or they have shown little.
const DEEDS: [&str; 9] = ["prepare", "launch", "resume", "stop", "type", "check", "sweep", "mark", "survey"];

fn run(seed: u64, events: usize) -> Vec<&'static str> {
    let mut rig = Rig::new(seed);
    let result = catch_unwind(AssertUnwindSafe(|| {
        rig.run(events);
        rig.calm();
    }));
    if let Err(panic) = result {
        eprintln!(
            "the last steps:\n{}",
            rig.disk().last(number("STANDUP_SIM_LAST").map_or(60, |n| usize::try_from(n).expect("fits")))
        );
        eprintln!("{}", rig::picture(rig.board()));
        eprintln!("STANDUP_SIM_SEED={seed} STANDUP_SIM_EVENTS={events} shows it again");
        resume_unwind(panic);
    }
    if std::env::var_os("STANDUP_SIM_SHOW").is_some() {
        let (disk, world) = (rig.disk(), rig.world());
        eprintln!(
            "seed {seed}: {} events, {} turns, {:?} reminders and misses, {} crashes, {} reboots, {} refused writes, {:?}, refusals {:?}",
            disk.events,
            rig.turns,
            rhythm::check(&disk, rhythm::rules(seed)),
            rig.crashes,
            rig.reboots,
            disk.refused,
            world.kinds,
            rig.refusals
        );
    }
    let world = rig.world();
    world.kinds.keys().copied().collect()
}

#[test]
fn every_invariant_holds_and_a_calm_world_comes_to_rest() {
    let events = number("STANDUP_SIM_EVENTS").map_or(EVENTS, |n| usize::try_from(n).expect("fits"));
    if let Some(seed) = number("STANDUP_SIM_SEED") {
        run(seed, events);
        return;
    }
    let runs = number("STANDUP_SIM_RUNS").unwrap_or(RUNS);
    let done: BTreeSet<&str> = (1..=runs).flat_map(|seed| run(seed, events)).collect();
    let missing: Vec<_> = DEEDS.iter().filter(|deed| !done.contains(*deed)).collect();
    assert!(missing.is_empty(), "{runs} runs without {missing:?}");
}
