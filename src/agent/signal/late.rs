//! Hooks that are heard of late, twice, in another order, or never.

use proptest::prelude::*;

use super::tests::{Scene, at};
use super::*;

impl Scene {
    /// A hook that fired at `ms` and is heard of now.
    fn late(&mut self, ms: i64, name: &str, more: &str) -> &mut Self {
        let json = format!(r#"{{"session_id":"s1","cwd":"/w","hook_event_name":"{name}"{more}}}"#);
        let event = super::super::hook::parse(Dialect::Claude, json.as_bytes()).expect(&json).expect("an event");
        self.weigher.observe(at(ms), Observation::Hook(event));
        self
    }
}

const ASKS: &str = r#","last_assistant_message":"Tabs or spaces?""#;

#[test]
fn what_a_turn_ended_with_is_known_although_it_is_heard_of_after_its_end() {
    let mut s = Scene::of("claude");
    // As a supervisor finds it that comes later: reports at their age, then what lay in the outbox.
    s.psp("state=working:app=c").after(Span::secs(30)).psp("state=done:app=c").after(Span::secs(60));
    s.late(30_050, "Stop", ASKS);
    s.is(RunKind::Idle, Source::Osc7501);
    assert!(s.state().turn_over && s.weigher.end_told());
    assert_eq!(s.weigher.asks_in_prose().as_deref(), Some("Tabs or spaces?"));
    assert_eq!(s.weigher.session(), Some("s1"));
}

#[test]
fn a_turn_that_is_heard_of_after_its_own_end_takes_none_of_its_words() {
    let mut s = Scene::of("claude");
    // What lay in the outbox before what the host tells of earlier.
    s.late(1_000, "UserPromptSubmit", r#","prompt":"one""#).late(30_000, "Stop", ASKS);
    s.ms = 1_050;
    s.psp("state=working:app=c");
    s.ms = 30_050;
    s.psp("state=done:app=c").after(Span::secs(60)).is(RunKind::Idle, Source::Osc7501);
    assert!(s.state().turn_over && s.weigher.end_told());
    assert_eq!(s.weigher.asks_in_prose().as_deref(), Some("Tabs or spaces?"));
    assert_eq!(s.weigher.turn_began().map(|began| began.mono), Some(at(1_150).mono));
    // The next turn has words of its own.
    s.psp("state=working:app=c");
    assert_eq!(s.weigher.asks_in_prose(), None);
}

#[test]
fn the_end_of_an_earlier_turn_says_nothing_of_the_one_that_runs() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").psp("state=done:app=c").after(Span::secs(60)).psp("state=working:app=c");
    s.late(250, "Stop", ASKS).is(RunKind::Working, Source::Osc7501);
    s.psp("state=done:app=c");
    assert!(s.state().turn_over && !s.weigher.end_told(), "what this one ended with is not yet known");
    assert_eq!(s.weigher.asks_in_prose(), None);
    // By hooks alone as well.
    let mut s = Scene::of("claude");
    s.late(1_000, "UserPromptSubmit", r#","prompt":"two""#).late(500, "Stop", ASKS);
    s.ms = 2_000;
    s.is(RunKind::Working, Source::Hook);
    assert_eq!(s.weigher.last_message(), None);
}

#[test]
fn hooks_that_come_in_another_order_say_what_they_say_in_order() {
    let story = [
        (1_000, "SessionStart", r#","source":"startup""#),
        (1_100, "UserPromptSubmit", r#","prompt":"one""#),
        (5_000, "PermissionRequest", r#","tool_name":"Bash","tool_input":{"command":"make"}"#),
        (9_000, "Stop", ASKS),
    ];
    let (mut wanted, mut s) = (Scene::of("claude"), Scene::of("claude"));
    for (ms, name, more) in story {
        wanted.late(ms, name, more);
    }
    for (ms, name, more) in [story[3], story[0], story[2], story[1], story[3]] {
        s.late(ms, name, more);
    }
    (wanted.ms, s.ms) = (60_000, 60_000);
    wanted.is(RunKind::Idle, Source::Hook);
    assert_eq!(s.state(), wanted.state());
    assert_eq!(s.weigher.asks_in_prose(), wanted.weigher.asks_in_prose());
}

#[test]
fn a_hook_heard_twice_or_late_is_no_sign_of_life() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").late(100, "UserPromptSubmit", r#","prompt":"x""#);
    s.after(Span::mins(9)).is(RunKind::Working, Source::Osc7501);
    s.late(100, "UserPromptSubmit", r#","prompt":"x""#).after(Span::mins(2)).is(RunKind::Quiet, Source::Activity);
}

#[test]
fn an_old_question_counts_until_a_screen_shows_that_it_was_answered() {
    let mut s = Scene::of("claude");
    s.ms = 600_000;
    s.late(1_000, "PermissionRequest", r#","tool_name":"Bash","tool_input":{"command":"make"}"#);
    s.is(RunKind::Waiting, Source::Hook);
    assert_eq!(s.state().at, at(1_000), "with its true age");
    s.screen("claude", "working");
    assert_ne!(s.kind().0, RunKind::Waiting, "{:#?}", s.weigher.explain(at(s.ms)));
}

#[test]
fn a_usage_limit_that_is_heard_of_late_ends_when_it_said_and_not_later() {
    let mut s = Scene::of("claude");
    let limit = r#","error":"rate_limit","last_assistant_message":"You've hit your limit · resets 11pm (UTC)""#;
    s.ms = 1_500_000;
    s.late(0, "StopFailure", limit);
    let until = s.state().until;
    assert_eq!((s.kind().0, until), (RunKind::Limited, Some(Wall(super::tests::T0 + 30 * 60_000))));
    s.after(Span::mins(10));
    assert_ne!(s.kind().0, RunKind::Limited, "it has ended meanwhile");
}

#[test]
fn a_turn_whose_end_only_a_hook_told_before_we_came_is_over_beside_a_file_at_rest() {
    let mut s = Scene::of("claude");
    s.status("\"idle\"");
    assert!(!s.state().turn_over);
    s.late(50, "Stop", ASKS);
    assert!(s.state().turn_over, "{:#?}", s.weigher.explain(at(s.ms)));
}

proptest! {
    /// Whatever is lost, doubled and shuffled: of two hooks that fired, the later one holds.
    #[test]
    fn the_newest_hook_holds(heard in proptest::collection::vec(0usize..8, 1..24)) {
        let names = ["SessionStart", "UserPromptSubmit", "PermissionRequest", "Stop"];
        let mut s = Scene::of("claude");
        for n in &heard {
            s.late(1_000 * (*n as i64 + 1), names[n % 4], "");
        }
        s.ms = 9_500;
        let newest = heard.iter().max().expect("some");
        let wanted = [RunKind::Starting, RunKind::Working, RunKind::Waiting, RunKind::Idle][newest % 4];
        let got = s.kind().0;
        prop_assert!(got == wanted || newest % 4 == 0, "{heard:?}: {got:?} instead of {wanted:?}");
        prop_assert_eq!(s.weigher.asks_in_prose(), None);
    }
}

/// An error that names a limit of two hours, as Claude Code reports one.
const LIMITED: &str = "state=error:app=c:msg=QVBJIEVycm9yOiBSZXF1ZXN0IHJlamVjdGVkICg0MjkpIMK3IFlvdSd2ZSBoaXQgeW91ciBsaW1pdCDCtyByZXNldHMgaW4gMiBob3Vycw==";

#[test]
fn an_error_is_old_once_the_next_prompt_is_taken_and_not_by_one_that_is_heard_of_late() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").status("\"busy\"").psp(LIMITED).status("\"idle\"");
    s.is(RunKind::Limited, Source::Osc7501);
    s.hook("UserPromptSubmit", r#","prompt":"go on""#).is(RunKind::Working, Source::Osc7501);
    // It still stands on the screen.
    s.see(Observation::Screen("  ⎿  You've hit your limit · resets 1:12pm\n".into()))
        .is(RunKind::Working, Source::Osc7501);
    assert_eq!(s.weigher.trouble(at(s.ms)), None);
    s.psp("state=working:app=c").is(RunKind::Working, Source::Osc7501);

    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").psp(LIMITED);
    s.late(150, "UserPromptSubmit", r#","prompt":"begin""#);
    s.is(RunKind::Limited, Source::Osc7501);
    assert!(s.state().until.is_some(), "the prompt is that of the turn that has ended");
}
