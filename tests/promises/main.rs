//! What holds when things go wrong, each promise with its fault really injected.
//!
//! `STANDUP_TRIALS` multiplies how often.

mod attach;
#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/scene.rs"]
mod scene;

mod p01_agents_outlive_the_supervisor;
mod p02_the_board_never_lies;
mod p03_one_live_agent;
mod p05_the_end_is_never_lost;
mod p06_no_client_slows_an_agent;
mod p07_floods_are_bounded;
mod p08_a_full_disk_degrades;
mod p10_never_an_innocent;
mod p11_a_host_dies_alone;
mod p12_a_vanished_client;
mod p13_fifty_at_once;
mod p22_exactly_one_supervisor;
mod p26_the_terminal_is_given_back;
mod p33_input_never_wedges;

/// A promised time holds on a machine that has nothing else to do. Here a test shares a few cores with
/// others, so the middle one of its trials may take this many times as long; a single quick one
/// proves nothing.
const BUSY: u32 = 3;

/// The middle one; of an even number the later of the two.
fn median<T: Ord + Copy>(mut of: Vec<T>) -> T {
    of.sort_unstable();
    of[of.len() / 2]
}

/// A number of kibibytes from `/proc/<pid>/status`.
fn memory_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The numbers that the act `count` printed.
fn counted(output: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(output);
    text.lines().filter_map(|line| line.strip_prefix("count ")?.trim_end().parse().ok()).collect()
}

/// Counted without a gap, from 1.
fn assert_gapless(output: &[u8]) {
    let numbers = counted(output);
    assert!(!numbers.is_empty());
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "a gap in {numbers:?}");
}
