//! The same two days, counted.

use super::*;
use crate::board::story::{Story, at, two_days};
use crate::board::text::{Paint, Tone};

struct Bare;

impl Paint for Bare {
    fn paint(&self, _: Tone, text: &str) -> String {
        text.to_owned()
    }

    fn columns(&self) -> usize {
        100
    }
}

const HOURS_48: i64 = 48 * 60;

fn of(story: &Story, since: Option<i64>, by: By) -> Stats {
    let mut tally = Tally::new(since.map(|minutes| at(minutes).wall));
    story.log.iter().for_each(|logged| tally.take(logged));
    let scores = [(1, 100), (2, 85), (3, 20), (9, 90)];
    let scores = scores.into_iter().filter_map(|(n, score)| Some((TaskId::new(n)?, score))).collect();
    tally.stats(by, &scores, at(HOURS_48).wall)
}

#[test]
fn two_days_by_agent() {
    insta::assert_snapshot!(text::text(&of(&two_days(), None, By::Agent), &Bare));
}

#[test]
fn the_last_day_by_brief_as_a_document() {
    let stats = of(&two_days(), Some(24 * 60), By::Brief);
    insta::assert_snapshot!(serde_json::to_string_pretty(&stats).expect("plain data"));
}

#[test]
fn every_way_to_group_counts_the_same_work() {
    let story = two_days();
    let all = of(&story, None, By::Agent).all;
    for by in [By::Agent, By::Mode, By::Label, By::Brief] {
        let stats = of(&story, None, by);
        let sum = |count: fn(&Group) -> u32| stats.groups.iter().map(count).sum::<u32>();
        assert_eq!(sum(|g| g.bounces), all.bounces, "{by:?}");
        assert_eq!(sum(|g| g.red.of), all.red.of, "{by:?}");
        assert_eq!(sum(|g| g.success.of), all.success.of, "{by:?}");
        assert_eq!(sum(|g| g.late), all.late, "{by:?}");
        let seconds = |g: &Group| g.columns.iter().map(|c| c.total_s).sum::<u64>();
        assert_eq!(stats.groups.iter().map(seconds).sum::<u64>(), seconds(&all), "{by:?}");
    }
}

#[test]
fn a_small_share_is_no_percentage() {
    for (n, of, shown) in [(0, 0, "–"), (3, 4, "3 of 4"), (19, 19, "19 of 19"), (17, 20, "85 % (17 of 20)")] {
        assert_eq!(Share { n, of }.to_string(), shown);
    }
    assert_eq!(Share { n: 2, of: 30 }.to_string(), "7 % (2 of 30)", "to the nearest");
    let most = Share { n: u32::MAX, of: u32::MAX };
    assert!(most.to_string().starts_with("100 %"));
}

#[test]
fn done_after_being_sent_back_is_no_success_and_reopened_is_not_done() {
    let mut s = Story::default();
    for task in 1..=3 {
        s.added(0, task, "Task", &["a", "a", "b"]).moved(1, task, "backlog", "build", "rule", "");
        s.begun(1, task, 1, "claude").moved(10, task, "build", "review", "rule", "");
    }
    s.moved(20, 1, "review", "done", "person", "");
    s.moved(20, 2, "review", "build", "person", "no tests").moved(30, 2, "build", "review", "rule", "");
    s.moved(40, 2, "review", "done", "person", "");
    s.moved(20, 3, "review", "done", "person", "").moved(50, 3, "done", "build", "person", "no tests");
    let stats = of(&s, None, By::Agent);
    assert_eq!((stats.all.success, stats.all.done), (Share { n: 1, of: 2 }, Share { n: 2, of: 2 }));
    assert_eq!(stats.all.bounces, 2);
    assert_eq!(stats.reasons, [Reason { what: "sent back", why: "no tests".into(), times: 2 }]);
    // A label given twice counts once; two labels count in both.
    let by_label = of(&s, None, By::Label);
    let names: Vec<(&str, u32)> = by_label.groups.iter().map(|g| (g.name.as_str(), g.tasks)).collect();
    assert_eq!((names, by_label.all.tasks), (vec![("a", 3), ("b", 3)], 3));
}

#[test]
fn time_is_counted_from_when_it_is_told_of_and_for_nobody_twice() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(60, 1, "backlog", "build", "rule", "").begun(60, 1, 1, "claude");
    s.begun(120, 1, 2, "codex").moved(180, 1, "build", "canceled", "person", "");
    let seconds = |stats: &Stats, column: Column| {
        stats.all.columns.iter().find(|held| held.column == column).map(|held| (held.tasks, held.total_s))
    };
    let whole = of(&s, None, By::Agent);
    assert_eq!(seconds(&whole, Column::Backlog), Some((1, 3_600)));
    assert_eq!(seconds(&whole, Column::Build), Some((1, 7_200)));
    assert_eq!(seconds(&whole, Column::Canceled), None, "what is closed takes no time");
    let late = of(&s, Some(90), By::Agent);
    assert_eq!((seconds(&late, Column::Backlog), seconds(&late, Column::Build)), (None, Some((1, 5_400))));
    assert_eq!((whole.all.retries, whole.all.success), (1, Share { n: 0, of: 1 }));
    let after = of(&s, Some(600), By::Agent);
    assert_eq!((after.all.success.of, after.all.tasks, after.groups.len()), (0, 0, 0));
}
