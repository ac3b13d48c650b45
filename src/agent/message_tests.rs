use proptest::prelude::*;

use crate::agent::adapter::builtin;
use crate::agent::hook::{Dialect, HookEvent};

use super::*;

fn at(ms: i64) -> Now {
    Now { mono: Mono(ms), ..Now::default() }
}

fn state(kind: RunKind, source: Source) -> RunState {
    RunState::plain(kind, Some(source), at(0))
}

fn submitted(text: &str) -> Observation {
    Observation::Hook(HookEvent {
        dialect: Dialect::Claude,
        event: Event::PromptSubmitted { text: text.to_owned() },
        session: "s".to_owned(),
        cwd: "/w".to_owned(),
        agent_id: None,
        transcript: None,
        prompts: Vec::new(),
        plan: None,
        leave: None,
    })
}

fn report(state: psp::State) -> Observation {
    Observation::Psp(psp::Report {
        state,
        kind: None,
        app: String::new(),
        id: None,
        msg: String::new(),
        title: String::new(),
    })
}

#[test]
fn a_text_is_held_wherever_it_would_be_read_as_something_else() {
    let claude = builtin("claude").expect("claude");
    for kind in [RunKind::Idle, RunKind::Working, RunKind::Quiet] {
        assert_eq!(may_type(&claude, &state(kind, Source::Osc7501)), Ok(()), "{kind:?}");
    }
    let waiting = RunState { ask: Some(Ask::Permission), ..state(RunKind::Waiting, Source::Osc7501) };
    assert_eq!(may_type(&claude, &waiting), Err(Hold::Dialog(Ask::Permission)));
    for (kind, hold) in [
        (RunKind::Starting, Hold::Starting),
        (RunKind::Unknown, Hold::Unknown),
        (RunKind::Exited, Hold::Ended),
        (RunKind::Lost, Hold::Ended),
        (RunKind::Stopped, Hold::Ended),
        (RunKind::Checking, Hold::Checking),
    ] {
        assert_eq!(may_type(&claude, &state(kind, Source::Process)), Err(hold), "{kind:?}");
    }
    let open = state(RunKind::Limited, Source::Hook);
    let until = RunState { until: Some(crate::model::time::Wall(1)), ..open.clone() };
    assert_eq!(may_type(&claude, &until), Err(Hold::Limited));
    assert_eq!(may_type(&claude, &open), Ok(()), "else nobody could set it going again");
    let generic = builtin("generic").expect("generic");
    assert_eq!(may_type(&generic, &state(RunKind::Working, Source::Activity)), Err(Hold::Unreadable));
}

#[test]
fn keys_are_a_paste_then_enter_and_clear_the_composer_after_an_interrupt() {
    let claude = builtin("claude").expect("claude").input;
    let paste = Key::Write(b"\x1b[200~a\n\tb\x1b[201~".to_vec());
    let enter = [Key::Pause(150), Key::Write(b"\r".to_vec())];
    assert_eq!(keys(&claude, "a\r\n\tb", false), [std::slice::from_ref(&paste), &enter[..]].concat());
    assert_eq!(keys(&claude, "a\r\n\tb", true), [&[Key::Write(vec![0x15]), paste.clone()], &enter[..]].concat());
    let codex = builtin("codex").expect("codex").input;
    assert_eq!(keys(&codex, "a\n\tb", true).len(), 3, "nothing to clear there");
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_its_paste(text in "[\\x00-\\x7f\u{9b}ä]{0,40}", evil in "(\u{1b}\\[201~|\u{9b}201~)?") {
        let input = builtin("claude").expect("claude").input;
        let keys = keys(&input, &format!("{text}{evil}rm -rf x"), false);
        let Key::Write(bytes) = &keys[0] else { panic!("a paste first") };
        let inner = &bytes[6..bytes.len() - 6];
        prop_assert!(!inner.contains(&0x1b) && !inner.contains(&b'\r'));
        let text = String::from_utf8_lossy(inner);
        prop_assert!(!text.chars().any(|c| c == '\u{9b}'), "an 8-bit CSI");
    }
}

#[test]
fn a_slash_makes_a_command() {
    let claude = builtin("claude").expect("claude").input;
    assert_eq!(command(&claude, " /exit"), Some("/"));
    assert_eq!(command(&claude, "!ls"), Some("!"));
    assert_eq!(command(&claude, "use a/b"), None);
}

#[test]
fn a_prompt_hook_with_the_text_confirms_even_in_a_running_turn() {
    let mut delivery = Delivery::new("use the\n existing Pager", RunKind::Working, at(0));
    delivery.observe(at(10), &report(psp::State::Working));
    delivery.observe(at(20), &submitted("something else"));
    assert!(matches!(delivery.outcome(at(30)), Outcome::Pending { .. }));
    delivery.observe(at(40), &submitted("  use the existing Pager "));
    assert_eq!(delivery.outcome(at(50)), Outcome::Confirmed(Source::Hook));
}

#[test]
fn a_turn_that_starts_from_rest_confirms_and_one_that_runs_on_does_not() {
    let mut resting = Delivery::new("x", RunKind::Idle, at(0));
    resting.observe(at(5), &report(psp::State::Idle));
    resting.observe(at(10), &report(psp::State::Working));
    assert_eq!(resting.outcome(at(20)), Outcome::Confirmed(Source::Osc7501));

    let mut busy = Delivery::new("x", RunKind::Working, at(0));
    busy.observe(at(10), &report(psp::State::Working));
    busy.observe(at(60_000), &Observation::Output);
    assert!(matches!(busy.outcome(at(61_000)), Outcome::Pending { .. }), "the turn still runs");
    busy.observe(at(62_000), &report(psp::State::Done));
    busy.observe(at(62_100), &report(psp::State::Working));
    assert_eq!(busy.outcome(at(62_200)), Outcome::Confirmed(Source::Osc7501), "queued, taken at the turn's end");
}

#[test]
fn what_nothing_confirms_is_unknown() {
    let mut delivery = Delivery::new("x", RunKind::Idle, at(0));
    delivery.observe(at(10), &Observation::Output);
    let Outcome::Pending { until } = delivery.outcome(at(100)) else { panic!("too early") };
    assert_eq!(delivery.outcome(Now { mono: until, ..at(0) }), Outcome::Unknown);
}

fn prompt(options: &[&str]) -> Prompt {
    let options = options
        .iter()
        .zip(1..)
        .map(|(text, n)| Choice { number: Some(n), text: (*text).to_owned(), selected: n == 1 })
        .collect();
    Prompt { rule: "x".into(), ask: Ask::Question, plan: false, question: "Which?".into(), detail: Vec::new(), options }
}

#[test]
fn dialogs_are_answered_by_key_and_trust_and_login_never() {
    let claude = builtin("claude").expect("claude").input;
    let codex = builtin("codex").expect("codex").input;
    let key = |text: &str| Ok(vec![Key::Write(text.as_bytes().to_vec())]);
    assert_eq!(answer(&claude, Ask::Permission, None, &Answer::Yes), key("1"));
    assert_eq!(answer(&codex, Ask::Permission, None, &Answer::Yes), key("y"));
    assert_eq!(answer(&codex, Ask::Permission, None, &Answer::No), key("\u{1b}"));
    for ask in [Ask::Trust, Ask::Login] {
        assert_eq!(answer(&claude, ask, None, &Answer::Yes), Err(AnswerError::Yours(ask)));
    }
    let colours = prompt(&["Red", "Blue", "Bluish"]);
    let pick = |text: &str| answer(&claude, Ask::Question, Some(&colours), &text.parse().expect("an answer"));
    assert_eq!(pick("2"), key("2"));
    assert_eq!(pick("blue"), key("2"), "an exact text before a beginning");
    assert_eq!(pick("re"), key("1"));
    assert!(matches!(pick("bl"), Err(AnswerError::Option { .. })), "two begin so");
    assert!(matches!(pick("9"), Err(AnswerError::Option { .. })));
    assert!(matches!(pick("yes"), Err(AnswerError::NotYesNo { .. })));
    assert_eq!(answer(&claude, Ask::Question, None, &Answer::Option("2".into())), Err(AnswerError::Unseen));
}

#[test]
fn red_checks_are_one_bounded_message_that_names_every_check() {
    let failures: Vec<String> = (0..100).map(|i| format!("pager::tests::case_{i}")).collect();
    let output = format!("{}\nassertion `left == right` failed\n\n\n", "noise\n".repeat(5_000));
    let reds: Vec<Red<'_>> = ["test", "lint"]
        .iter()
        .map(|check| Red {
            check,
            run: "cargo nextest run",
            why: "exit code 100",
            failures: &failures,
            output: &output,
        })
        .collect();
    let text = red_checks(&reds);
    assert!(text.len() <= MAX_RED, "{}", text.len());
    assert!(text.starts_with("The checks on your work are red: test, lint. "));
    assert!(text.contains("pager::tests::case_19\n") && !text.contains("case_20\n") && text.contains("and 80 more"));
    assert_eq!(text.matches("assertion `left == right` failed").count(), 2);
    assert!(command(&builtin("claude").expect("claude").input, &text).is_none());
}

#[test]
fn red_checks_carry_no_escapes() {
    let red = Red { check: "t", run: "t", why: "exit code 1", failures: &[], output: "a\x1b[31mred\x1b[0m\n" };
    assert!(!red_checks(&[red]).contains('\x1b'));
}
