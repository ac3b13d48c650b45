//! The same two days, counted.

use serde_json::json;

use super::*;
use crate::board::story::{Story, at, two_days};
use crate::board::text::Bare;

const HOURS_48: i64 = 48 * 60;

fn of(story: &Story, since: Option<i64>, by: By) -> Stats {
    let mut tally = Tally::new(since.map(|minutes| at(minutes).wall));
    story.log.iter().for_each(|logged| tally.take(logged));
    let scores = [(1, 100), (2, 85), (3, 20), (9, 90)];
    let scores = scores.into_iter().filter_map(|(n, score)| Some((TaskId::new(n)?, score))).collect();
    tally.stats(by, &scores, at(HOURS_48), true)
}

#[test]
fn two_days_by_agent() {
    insta::assert_snapshot!(text::text(&of(&two_days(), None, By::Agent), &Bare(100)));
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
    assert_eq!(
        (Share { n: 17, of: 20 }.short(), Share { n: 3, of: 4 }.short()),
        ("85 % of 20".into(), "3 of 4".into())
    );
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

/// Somebody's words to an agent.
fn says(s: &mut Story, minutes: i64, task: u32, text: &str) {
    s.happens(
        minutes,
        task,
        1,
        "message-queued",
        json!({"msg": minutes, "from": "person", "text": text, "now": false}),
    );
}

#[test]
fn reminders_limits_and_quota_are_counted() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    let nudge = |n| json!({"number": n, "by": "rule", "way": "message", "action": null});
    s.happens(10, 1, 1, "nudge-issued", nudge(1)).happens(20, 1, 1, "nudge-issued", nudge(2));
    let trips = |limit: &str, action: &str| json!({"limit": limit, "action": action, "why": format!("{limit} it is")});
    s.happens(21, 1, 1, "limit-tripped", trips("changed_files", "warn"));
    s.happens(22, 1, 1, "limit-tripped", trips("wall_clock", "takeover"));
    // Known better later, it is the same limit.
    s.happens(30, 1, 1, "limit-reached", json!({"until": at(50).wall}));
    s.happens(31, 1, 1, "limit-reached", json!({"until": at(60).wall}));
    s.happens(60, 1, 1, "limit-ended", json!({}));
    let all = of(&s, None, By::Agent).all;
    assert_eq!((all.nudges, all.out_of_quota), (2, 1));
    let limits: Vec<(&str, u32)> = all.limits.iter().map(|crossed| (crossed.limit.key(), crossed.times)).collect();
    assert_eq!(limits, [("wall_clock", 1), ("changed_files", 1)]);
    let whys: Vec<String> = of(&s, None, By::Agent).reasons.into_iter().map(|reason| reason.why).collect();
    assert_eq!(whys, ["changed_files it is"], "a takeover by a limit gives its reason as a takeover");
    assert_eq!(of(&s, Some(25), By::Agent).all.nudges, 0);
}

#[test]
fn every_minute_is_spent_in_one_state() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(0, 1, "backlog", "build", "rule", "").begun(0, 1, 1, "claude");
    // Works 10, asks for 5 while it works on, works 5, is out of quota for 20, checks for 10.
    s.needs(10, 1, "question", "which?").happens(15, 1, 0, "needs-you-cleared", json!({}));
    s.happens(20, 1, 1, "limit-reached", json!({"until": at(40).wall})).happens(40, 1, 1, "limit-ended", json!({}));
    s.state(40, 1, 1, "idle", "osc7501", "").judged(40, 1, 1, "red", 1);
    s.happens(50, 1, 1, "checks-started", json!({"run": 2, "action": 4, "asked": false}));
    s.happens(60, 1, 1, "checks-dropped", json!({"run": 2, "why": "stopped"}));
    let spent = |stats: &Stats| {
        let minutes = |held: &InState| (held.state, held.tasks, held.total_s / 60);
        stats.all.states.iter().map(minutes).collect::<Vec<_>>()
    };
    let whole = of(&s, None, By::Agent);
    let (working, limited) = ((RunKind::Working, 1, 15), (RunKind::Limited, 1, 20));
    assert_eq!(spent(&whole), [working, (RunKind::Waiting, 1, 5), limited, (RunKind::Checking, 1, 10)]);
    let late = of(&s, Some(30), By::Agent);
    assert_eq!(spent(&late), [(RunKind::Limited, 1, 10), (RunKind::Checking, 1, 10)]);
}

#[test]
fn a_machine_that_slept_or_went_down_takes_nobodys_time() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(0, 1, "backlog", "build", "rule", "").begun(0, 1, 1, "claude");
    s.state(600, 1, 1, "idle", "osc7501", "");
    // Nine hours of the ten it slept: the monotonic clock stood still.
    let last = s.log.last_mut().expect("events");
    last.at.mono.0 -= 540 * 60_000;
    s.state(610, 1, 1, "working", "osc7501", "").state(620, 1, 1, "working", "osc7501", "");
    s.happens(900, 1, 1, "host-lost", json!({"why": "the machine was restarted", "action": 9}));
    for logged in s.log.iter_mut().rev().take(3) {
        logged.at.mono.0 -= 540 * 60_000;
    }
    s.log.last_mut().expect("events").at.boot.0 += 1;
    let seconds: Vec<(RunKind, u64)> =
        of(&s, None, By::Agent).all.states.iter().map(|held| (held.state, held.total_s)).collect();
    assert_eq!(seconds, [(RunKind::Working, 60 * 60 + 10 * 60)]);
}

#[test]
fn what_nobody_saw_is_nobodys_time() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(0, 1, "backlog", "build", "rule", "").begun(0, 1, 1, "claude");
    s.diff(30, 1, 1, 1, 0);
    let spent = |supervised| {
        let mut tally = Tally::new(None);
        s.log.iter().for_each(|logged| tally.take(logged));
        let stats = tally.stats(By::Agent, &BTreeMap::new(), at(HOURS_48), supervised);
        stats.all.states.iter().map(|held| held.total_s / 60).sum::<u64>()
    };
    assert_eq!((spent(true), spent(false)), (48 * 60, 30));
}

#[test]
fn reasons_are_what_was_said_and_each_is_told_once() {
    let mut s = Story::default();
    for task in 1..=4 {
        s.added(0, task, "Task", &[]).moved(1, task, "backlog", "build", "rule", "").begun(1, task, 1, "claude");
        s.moved(10, task, "build", "review", "rule", "");
    }
    says(&mut s, 5, 2, "said long before");
    // By a remark, by a rejection that the agent hears, and by one that it does not.
    says(&mut s, 20, 1, "use the\nother one");
    s.moved(21, 1, "review", "build", "rule", "a message sets it to work again");
    s.happens(20, 2, 1, "work-rejected", json!({"note": "no tests"}));
    says(&mut s, 20, 2, "Your work is not accepted yet: no tests");
    s.moved(21, 2, "review", "build", "rule", "a message sets it to work again");
    s.happens(20, 3, 1, "work-rejected", json!({"note": "no tests"}));
    s.moved(21, 3, "review", "build", "person", "rejected: no tests");
    s.moved(20, 4, "review", "takeover", "person", "quicker by hand");
    s.happens(20, 4, 1, "taken-over", json!({"by": "person", "reason": "quicker by hand", "action": 7}));
    s.happens(30, 4, 1, "handed-back", json!({"changes": null, "note": "done by hand"}));
    s.happens(40, 3, 1, "plan-rejected", json!({"note": "too big"}));
    let stats = of(&s, None, By::Agent);
    let told: Vec<(u32, &str, &str)> = stats.reasons.iter().map(|r| (r.times, r.what, r.why.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "sent back", "no tests"),
            (1, "handed back", "done by hand"),
            (1, "plan sent back", "too big"),
            (1, "sent back", "use the other one"),
            (1, "taken over", "quicker by hand"),
        ]
    );
    let text = text::text(&stats, &Bare(100));
    assert!(text.contains("   2×  sent back      no tests\n"), "{text}");
}

#[test]
fn lateness_counts_also_where_another_need_stands() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    s.needs(5, 1, "question", "which way?");
    let missed = json!({"why": "it has not checked in"});
    s.happens(20, 1, 1, "check-in-missed", missed.clone()).happens(40, 1, 1, "check-in-missed", missed);
    assert_eq!(of(&s, None, By::Agent).all.late, 2);
}

#[test]
fn a_limit_that_says_no_end_is_counted_once_and_its_time_too() {
    let mut s = Story::default();
    s.added(0, 1, "Task", &[]).moved(1, 1, "backlog", "build", "rule", "").begun(1, 1, 1, "claude");
    s.state(10, 1, 1, "limited", "hook", "429").state(12, 1, 1, "limited", "osc7501", "429");
    s.state(20, 1, 1, "working", "hook", "").state(30, 1, 1, "limited", "hook", "429");
    let all = of(&s, None, By::Agent).all;
    let limited = all.states.iter().find(|spent| spent.state == RunKind::Limited).map(|spent| spent.total_s);
    assert_eq!((all.out_of_quota, limited), (2, Some((10 + HOURS_48.unsigned_abs() - 30) * 60)));
}
