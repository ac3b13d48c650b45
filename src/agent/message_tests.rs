use crate::agent::adapter::builtin;

use super::*;
use crate::model::time::{Mono, Now};

fn at(ms: i64) -> Now {
    Now { mono: Mono(ms), ..Now::default() }
}

fn state(kind: RunKind, source: Source) -> RunState {
    RunState::plain(kind, Some(source), at(0))
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
        (RunKind::Limited, Hold::Limited),
        (RunKind::Checking, Hold::Checking),
    ] {
        assert_eq!(may_type(&claude, &state(kind, Source::Process)), Err(hold), "{kind:?}");
    }
    let generic = builtin("generic").expect("generic");
    assert_eq!(may_type(&generic, &state(RunKind::Working, Source::Activity)), Err(Hold::Unreadable));
}

#[test]
fn a_text_is_never_a_command_of_the_cli() {
    for name in ["claude", "codex"] {
        let input = builtin(name).expect(name).input;
        for text in ["!touch x", "/exit", " \t!touch x", "\u{1b}!touch x", "\n/quit"] {
            let typed = as_prompt(&input, text);
            assert!(
                typed.starts_with("Message: ") && typed.ends_with(text.trim_start_matches(|c: char| c < '!')),
                "{typed}"
            );
        }
        assert_eq!(as_prompt(&input, "see src/a.rs! and /tmp"), "see src/a.rs! and /tmp");
    }
    assert_eq!(as_prompt(&builtin("claude").expect("claude").input, "# Plan"), "Message: # Plan");
    assert_eq!(as_typed(&builtin("codex").expect("codex").input, "look at @calc.py"), "look at @calc.py ");
    assert_eq!(as_typed(&builtin("claude").expect("claude").input, "/help"), "Message: /help");
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
    assert_eq!(as_prompt(&builtin("claude").expect("claude").input, &text), text);
}

#[test]
fn red_checks_carry_no_escapes() {
    let red = Red { check: "t", run: "t", why: "exit code 1", failures: &[], output: "a\x1b[31mred\x1b[0m\n" };
    assert!(!red_checks(&[red]).contains('\x1b'));
}
