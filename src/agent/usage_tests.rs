use proptest::prelude::*;

use super::*;
use crate::agent::adapter::builtin;

fn rules(name: &str) -> UsageRules {
    builtin(name).expect(name).usage.expect("it counts")
}

fn count(name: &str, log: &str) -> Option<Counted> {
    let mut counter = Counter::new(&rules(name));
    counter.feed(log.as_bytes());
    counter.counted()
}

fn counted(tokens: u64, cached: u64) -> Option<Counted> {
    Some(Counted { tokens, cached, cost_micros: None })
}

/// A line of Claude Code: one block of one response.
fn block(id: &str, input: u64, write: u64, read: u64, output: u64) -> String {
    format!(
        "{{\"type\":\"assistant\",\"message\":{{\"id\":\"{id}\",\"usage\":{{\"input_tokens\":{input},\
         \"cache_creation_input_tokens\":{write},\"cache_read_input_tokens\":{read},\"output_tokens\":{output}}}}}}}\n"
    )
}

/// A line of Codex: what was used so far.
fn total(input: u64, cached: u64, output: u64) -> String {
    format!(
        "{{\"type\":\"event_msg\",\"payload\":{{\"type\":\"token_count\",\"info\":{{\"total_token_usage\":\
         {{\"input_tokens\":{input},\"cached_input_tokens\":{cached},\"output_tokens\":{output},\
         \"reasoning_output_tokens\":1,\"total_tokens\":{}}}}}}}}}\n",
        input + output
    )
}

#[test]
fn the_recorded_logs_count_as_they_say() {
    let claude = include_str!("../../tests/recordings/claude-conversation.jsonl");
    // As the CLI itself counted at its end, less what its sub-agent used.
    assert_eq!(count("claude", claude), Some(Counted { tokens: 15_613, cached: 5_000, cost_micros: Some(64_672) }));
    let codex = include_str!("../../tests/recordings/codex-rollout.jsonl");
    assert_eq!(count("codex", codex), counted(13_406 - 1_000 + 69, 1_000));
}

#[test]
fn a_response_on_several_lines_counts_once_and_as_its_last_line_says() {
    let log = [block("a", 10, 5, 100, 1), block("b", 2, 0, 0, 2), block("a", 10, 5, 100, 7)].concat();
    assert_eq!(count("claude", &log), counted(22 + 4, 100));
}

#[test]
fn a_sum_that_falls_was_begun_anew() {
    let log = [total(100, 40, 10), total(200, 90, 20), total(50, 0, 5), total(60, 10, 5)].concat();
    assert_eq!(count("codex", &log), counted((200 - 90 + 20) + (60 - 10 + 5), 90 + 10));
}

#[test]
fn what_is_no_count_counts_nothing_and_stops_nothing() {
    let strange = [
        "not json with \"usage\" in it\n",
        "\n",
        "{\"type\":\"user\",\"message\":{\"usage\":{\"input_tokens\":9}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"n\",\"usage\":{\"input_tokens\":-9,\"output_tokens\":1}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"f\",\"usage\":{\"input_tokens\":1.5}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"t\",\"usage\":{\"input_tokens\":\"9\"}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"h\",\"usage\":{\"input_tokens\":99999999999999999999999}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"b\",\"usage\":{\"input_tokens\":18446744073709551615}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"e\",\"usage\":{}}}\n",
        "{\"type\":\"assistant\",\"message\":{\"id\":\"u\",\"usage\":null}}\n",
        "[\"usage\"]\n",
        "\"usage\"\n",
    ];
    assert_eq!(count("claude", &strange.concat()), None);
    assert_eq!(count("claude", &(strange.concat() + &block("a", 3, 0, 0, 4))), counted(7, 0));
    let nothing = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":null}}\n";
    assert_eq!(count("codex", nothing), None);
}

#[test]
fn a_line_that_is_too_long_is_passed_over_without_being_kept() {
    let mut counter = Counter::new(&rules("claude"));
    let long = vec![b'x'; MAX_LINE];
    counter.feed(b"{\"usage\":");
    counter.feed(&long);
    assert!(counter.half.capacity() <= MAX_LINE, "nothing of it is kept");
    counter.feed(&long);
    counter.feed(b"\"}\n");
    counter.feed(block("a", 1, 0, 0, 1).as_bytes());
    assert_eq!(counter.counted(), counted(2, 0));
}

#[test]
fn half_a_last_line_counts_once_it_is_whole() {
    let (log, mut counter) = (block("a", 1, 2, 3, 4), Counter::new(&rules("claude")));
    let (head, tail) = log.split_at(log.len() / 2);
    counter.feed(head.as_bytes());
    assert_eq!(counter.counted(), None);
    counter.feed(tail.as_bytes());
    assert_eq!(counter.counted(), counted(7, 3));
}

#[test]
fn a_cost_that_leaves_something_out_is_none() {
    let state = |usd: f64, unknown: bool| {
        format!("{{\"type\":\"cost-state\",\"totalCostUSD\":{usd},\"hasUnknownModelCost\":{unknown}}}\n")
    };
    let cost = |log: &str| count("claude", log).and_then(|counted| counted.cost_micros);
    assert_eq!(cost(&[state(0.25, false), state(0.75, false)].concat()), Some(750_000), "each says the sum");
    assert_eq!(cost(&[state(0.75, false), state(0.25, false)].concat()), Some(1_000_000), "begun anew");
    assert_eq!(cost(&state(0.75, true)), None);
}

#[test]
fn a_cost_is_counted_where_a_log_says_one_and_never_where_it_says_nonsense() {
    let mut rules = rules("claude");
    rules.count.truncate(1);
    rules.count[0].cost_usd = Some("/cost".into());
    (rules.count[0].marker, rules.count[0].id) = ("cost".into(), None);
    rules.count[0].lines.clear();
    let mut counter = Counter::new(&rules);
    for cost in ["0.25", "-1", "\"2\"", "1e300", "null", "0.5"] {
        counter.feed(format!("{{\"cost\":{cost}}}\n").as_bytes());
    }
    assert_eq!(counter.counted(), Some(Counted { tokens: 0, cached: 0, cost_micros: Some(750_000) }));
}

proptest! {
    #[test]
    fn however_the_bytes_come_the_sum_is_the_same(cuts in prop::collection::vec(0_usize..600, 0..8)) {
        let log = [block("a", 1, 2, 3, 4), "{\"usage\"\n".into(), block("b", 5, 0, 0, 1), block("a", 1, 2, 3, 9)].concat();
        let mut counter = Counter::new(&rules("claude"));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(log.len())).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            counter.feed(&log.as_bytes()[pair[0]..pair[1]]);
        }
        prop_assert_eq!(counter.counted(), count("claude", &log));
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut counter = Counter::new(&rules("codex"));
        counter.feed(b"\"token_count\"");
        counter.feed(&bytes);
        counter.feed(b"\n");
        prop_assert_eq!(counter.counted(), None);
    }
}
