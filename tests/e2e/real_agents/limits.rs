//! Usage limits with a known end, on the clock of this machine.

use std::time::{Duration, Instant};

use standup::model::event::Event;
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::os::clock;

use super::stage::{Setting, Stage};
use crate::support::rig::Cli;

/// CLIs name the end by the minute, and agents go on within a minute after it.
const PATIENCE: Duration = Duration::from_secs(200);

#[test]
#[ignore = "needs npm; scripts/check runs it"]
fn a_usage_limit_is_waited_out_and_the_turn_goes_on_once() {
    let stage = Stage::new(&Setting::default());
    // The next whole minute that leaves time to come up.
    let minute = 60_000;
    let end = ((clock::now().wall.0 + 25_000) / minute + 1) * minute;
    let of_day = (end / 1_000 + i64::from(clock::utc_offset_s(None))).rem_euclid(86_400) / 60;
    let (hour, half) = (of_day / 60, if of_day / 60 < 12 { "am" } else { "pm" });
    let time = format!("{}:{:02}{half}", (hour + 11) % 12 + 1, of_day % 60);
    let error = format!(
        "{{\"status\":429,\"type\":\"rate_limit_error\",\"times\":1,\
         \"message\":\"You've hit your limit · resets {time}\",\"headers\":{{\"x-should-retry\":\"false\"}},\
         \"codex_body\":{{\"error\":{{\"type\":\"usage_limit_reached\",\"message\":\"The usage limit has been reached\",\
         \"plan_type\":\"plus\",\"resets_at\":{}}}}}}}",
        end / 1_000
    );
    let steps = format!("[[steps:[{{\"error\":{error},\"say\":\"Went on.\"}}]]]");
    let tasks = [Cli::Claude, Cli::Codex].map(|cli| (cli, stage.add(cli, &steps)));
    for (cli, id) in tasks {
        let state = stage.until_state(id, RunKind::Limited);
        assert_eq!(state.until.map(|until| until.0), Some(end), "{cli:?}: {}", state.text);
        assert!(stage.task(id).needs_you.is_none(), "{cli:?}: nobody is needed");
    }
    let began = Instant::now();
    for (cli, id) in tasks {
        while stage.task(id).column != Column::Review {
            let task = stage.task(id);
            assert!(began.elapsed() < PATIENCE && task.needs_you.is_none(), "{cli:?}: {:?}", task.attempt());
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(clock::now().wall.0 >= end, "{cli:?} went on too early");
        println!("measured limit: {cli:?} in review {} ms after its end", clock::now().wall.0 - end);
        let told = stage.events(id).iter().filter(|e| matches!(e, Event::LimitWaited { .. })).count();
        assert_eq!((told, stage.attempt(id).launches), (1, 1), "{cli:?}");
        let raised = |e: &Event| matches!(e, Event::NeedsYouRaised { .. });
        let waits = |e: &Event| !matches!(e, Event::LimitWaited { .. });
        let raised: Vec<Event> = stage.events(id).into_iter().take_while(waits).filter(raised).collect();
        assert!(raised.is_empty(), "{cli:?}: told as something else first: {raised:?}\n{}", stage.told());
    }
}
