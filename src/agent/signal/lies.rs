//! What the sources are known to say that is not so, one after the other, and what is made of it.

use super::tests::{BLOCKED, Scene, at, rules};
use super::*;

const SILENCE: Span = Span::mins(10);

/// A minute of a CLI whose spinner turns: bytes and a title each second, and a screen on which only
/// the clock beside the spinner differs.
fn spins(s: &mut Scene, agent: &str, minutes: u64) {
    for second in 0..minutes * 60 {
        let turning = ['◐', '◑'][usize::try_from(second % 2).expect("small")];
        let screen = match agent {
            "claude" => {
                let mark = if second % 3 == 0 { '●' } else { ' ' };
                let running = format!("{mark} Bash(make all)\n  ⎿  Running… ({second}s)\n");
                format!("❯ go\n{running}✢ Marinating… ({second}s · ↓ 4 tokens)\n  ⎿  Tip: number {second}\n❯\n")
            }
            _ => format!("› go\n• Working ({second}s • esc to interrupt)\n› Ask Codex to do anything\n"),
        };
        s.see(Observation::Output)
            .see(Observation::Title(format!("{turning} Claude Code")))
            .see(Observation::Screen(screen))
            .see(Observation::Cpu { percent: 3 })
            .see(Observation::ToolChild(None));
        s.after(Span(500));
    }
}

#[test]
fn working_is_a_lie_when_the_stream_is_dead_and_only_the_spinner_turns() {
    for agent in ["claude", "codex"] {
        let mut s = Scene::of(agent);
        s.psp("state=working:app=x");
        spins(&mut s, agent, 9);
        s.is(RunKind::Working, Source::Osc7501);
        spins(&mut s, agent, 2);
        s.is(RunKind::Quiet, Source::Activity);
        assert_eq!(s.state().text, "nothing but its spinner moves");
        let told = s.state();
        spins(&mut s, agent, 1);
        assert_eq!(s.state(), told, "what goes on and on is one state and no flood of them");
        s.see(Observation::Screen("● I found it.\n✢ Marinating… (900s · ↓ 4 tokens)\n".into()));
        s.is(RunKind::Working, Source::Osc7501);
    }
}

#[test]
fn quiet_is_a_lie_while_tokens_are_counted_or_a_tool_uses_the_processor() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=x");
    for minute in 0..30 {
        s.after(Span::mins(1)).see(Observation::Screen(format!("✢ Marinating… ({minute}m · ↓ {minute}k tokens)\n")));
    }
    s.is(RunKind::Working, Source::Osc7501);
    s.after(Span::mins(9)).see(Observation::Cpu { percent: 40 }).after(Span::mins(9));
    s.is(RunKind::Working, Source::Osc7501);
    s.see(Observation::Transcript).after(Span::mins(9)).is(RunKind::Working, Source::Osc7501);
}

#[test]
fn quiet_is_a_lie_while_cargo_test_says_nothing_for_half_an_hour() {
    for agent in ["claude", "codex"] {
        let mut s = Scene::of(agent);
        s.psp("state=working:app=x").see(Observation::ToolChild(Some("cargo".into())));
        for _ in 0..30 {
            s.after(Span::mins(1)).see(Observation::ToolChild(Some("cargo".into())));
            s.is(RunKind::Working, Source::Osc7501);
        }
        assert_eq!(s.state().text, "cargo runs; nothing else is seen of it", "the reason is shown");
        let views = s.weigher.explain(at(s.ms));
        assert!(views.iter().any(|v| v.source == Source::Activity && v.text.ends_with("; cargo runs")), "{views:#?}");
        s.see(Observation::ToolChild(None)).after(SILENCE).is(RunKind::Quiet, Source::Activity);
    }
}

#[test]
fn quiet_is_a_lie_while_a_child_of_one_that_reports_nothing_runs_but_not_for_ever() {
    let mut s = Scene::of("generic");
    s.see(Observation::Output).see(Observation::ToolChild(Some("cargo".into())));
    for _ in 0..59 {
        s.after(Span::mins(1)).see(Observation::ToolChild(Some("cargo".into())));
        s.is(RunKind::Working, Source::Activity);
    }
    assert_eq!(s.state().text, "cargo runs; nothing else is seen of it", "the reason is shown");
    let wake = s.weigher.wake_at(at(s.ms)).expect("a time").0;
    assert!(wake <= s.ms + 60_000, "it is looked at again once an hour is over");
    s.ms = wake;
    s.is(RunKind::Quiet, Source::Activity);
    assert_eq!(s.state().text, "nothing is seen of it but that cargo runs");
    s.see(Observation::Output).is(RunKind::Working, Source::Activity);
    // Its end is a sign, and silence counts from there.
    s.see(Observation::ToolChild(None)).after(Span::mins(9)).is(RunKind::Working, Source::Activity);
    s.after(Span::mins(1)).is(RunKind::Quiet, Source::Activity);
}

#[test]
fn working_is_a_lie_while_it_does_nothing_but_retry() {
    for (agent, label) in [("claude", "retrying"), ("codex", "retrying"), ("codex", "retrying, busy")] {
        let mut s = Scene::of(agent);
        s.psp("state=working:app=x").screen(agent, label);
        s.is(RunKind::Working, Source::Osc7501);
        let first = s.state().text;
        assert!(!first.is_empty() && !first.contains("4s") && !first.contains("2s"), "{first}");
        s.after(SILENCE).is(RunKind::Quiet, Source::Activity);
        assert_eq!(s.state().text, format!("it does nothing but retry: {first}"));
    }
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex");
    for n in 0..60 {
        let line = format!("◦ Reconnecting... {}/5 ({n}s • esc to interrupt)\n› Ask Codex to do anything", n % 5 + 1);
        s.after(Span::secs(15)).see(Observation::Output).see(Observation::Screen(line));
    }
    assert_eq!(s.kind().0, RunKind::Quiet, "another number of the same retry is no progress");
    s.psp("state=error:app=codex").is(RunKind::Idle, Source::Osc7501);
    assert!(!s.state().turn_over, "giving up is no end of the work");
}

#[test]
fn done_is_a_lie_while_a_tool_of_the_turn_runs_on() {
    // Codex tells of a background terminal nowhere; its process does.
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").see(Observation::ToolChild(Some("make".into()))).psp("state=done:app=codex");
    s.is(RunKind::Working, Source::Osc7501);
    assert_eq!((s.state().turn_over, s.state().text.as_str()), (false, "make runs on"));
    assert!(s.weigher.is_held(at(s.ms)));
    s.psp("state=idle:app=codex").is(RunKind::Working, Source::Osc7501);
    s.see(Observation::ToolChild(None));
    assert!(s.state().turn_over);
    // A server that never ends does not hold the checks back for ever.
    s.psp("state=working:app=codex").see(Observation::ToolChild(Some("node".into()))).psp("state=done:app=codex");
    s.ms = s.weigher.wake_at(at(s.ms)).expect("a time").0;
    while s.state().kind == RunKind::Working {
        s.ms = s.weigher.wake_at(at(s.ms)).expect("a time").0;
    }
    assert!(s.state().turn_over, "{:?}", s.state());
}

#[test]
fn done_is_a_lie_while_a_sub_agent_works_that_nothing_reports() {
    let mut s = Scene::of("codex");
    let works = |s: &mut Scene, size| {
        s.see(Observation::Parts(Some(("inner".to_owned(), size))));
    };
    s.psp("state=working:app=codex").psp("state=done:app=codex");
    works(&mut s, 1);
    s.is(RunKind::Working, Source::Osc7501);
    assert_eq!((s.state().turn_over, s.state().text.as_str()), (false, "sub-agent inner works on"));
    assert!(s.weigher.is_held(at(s.ms)) && s.weigher.says_over(at(s.ms)));
    // For as long as it gets on, and not for ever.
    for size in 2..6 {
        s.after(Span::mins(9));
        works(&mut s, size);
        s.is(RunKind::Working, Source::Osc7501);
    }
    s.psp("state=idle:app=codex").is(RunKind::Working, Source::Osc7501);
    let stuck = s.weigher.clone();
    s.see(Observation::Parts(None));
    assert!(s.state().turn_over);
    s.weigher = stuck;
    s.after(Span::mins(10));
    assert!(s.state().turn_over, "one that stands still does not hold the checks back");
}

#[test]
fn done_is_a_lie_whether_the_hook_that_knows_comes_before_or_after_it() {
    let task = r#","background_tasks":[{"id":"b","type":"shell","status":"running","description":"make all"}]"#;
    for hook_first in [true, false] {
        let mut s = Scene::of("claude");
        s.psp("state=working:app=c");
        if hook_first {
            s.hook("Stop", task).psp("state=done:app=c");
        } else {
            s.psp("state=done:app=c").hook("Stop", task);
        }
        s.is(RunKind::Working, Source::Osc7501);
        s.psp("state=working:app=c").psp("state=done:app=c").hook("Stop", r#","background_tasks":[]"#);
        assert!(s.state().turn_over, "the task ended and another turn told of it");
    }
}

#[test]
fn no_source_says_anything_at_a_start_up_dialog_but_the_screen() {
    for (agent, label, ask) in [
        ("claude", "bypass warning", Ask::Trust),
        ("claude", "api key", Ask::Login),
        ("claude", "login", Ask::Login),
        ("claude", "settings warning", Ask::Trust),
        ("codex", "trust", Ask::Trust),
        ("codex", "login", Ask::Login),
        ("codex", "hooks review", Ask::Trust),
        ("codex", "model migration", Ask::Question),
        ("codex", "working directory", Ask::Question),
    ] {
        let mut s = Scene::of(agent);
        s.see(Observation::Output).screen(agent, label).is(RunKind::Waiting, Source::Screen);
        assert_eq!(s.state().ask, Some(ask), "{agent}: {label}");
        s.after(Span::mins(60)).is(RunKind::Waiting, Source::Screen);
    }
}

#[test]
fn an_interrupt_by_hand_settles_within_ten_seconds_whoever_tells_of_it() {
    let settled = |s: &mut Scene| {
        s.after(Span::secs(10));
        assert_ne!(s.state().kind, RunKind::Working, "{:#?}", s.weigher.explain(at(s.ms)));
        assert!(!s.state().turn_over, "an interrupt is no end of the work");
    };
    let mut reported = Scene::of("claude");
    reported.psp("state=working:app=c").psp("state=idle:app=c");
    settled(&mut reported);
    let mut filed = Scene::of("claude");
    filed.hook("UserPromptSubmit", r#","prompt":"x""#).status("\"busy\"").status("\"idle\"");
    settled(&mut filed);
    let mut hooked = Scene::of("codex");
    hooked.hook("UserPromptSubmit", r#","prompt":"x""#).hook("Interrupt", "");
    settled(&mut hooked);
    let mut titled = Scene::of("claude");
    titled.see(Observation::Title("◐ Claude Code".into())).see(Observation::Title("✳ Claude Code".into()));
    settled(&mut titled);
    // With a tool that Codex leaves running behind its interrupt.
    let mut left = Scene::of("codex");
    left.psp("state=working:app=c").see(Observation::ToolChild(Some("sleep".into()))).psp("state=idle:app=c");
    settled(&mut left);
    let mut refused = Scene::of("claude");
    refused.psp("state=working:app=c").psp(BLOCKED).psp("state=idle:app=c");
    settled(&mut refused);
}

#[test]
fn busy_is_a_lie_in_a_file_whose_process_was_killed() {
    let mut s = Scene::of("claude");
    s.status("\"busy\"").is(RunKind::Working, Source::StatusFile);
    // The file stays behind; the process does not.
    s.see(Observation::Exited(End { code: None, signal: Some(9) })).status("\"busy\"");
    s.is(RunKind::Exited, Source::Process);
    // A file of another process of the same number is nobody's word (see `StatusFile::is_of`).
    let mut s = Scene::of("claude");
    s.status("\"busy\"").see(Observation::Status(None)).is(RunKind::Starting, Source::Process);
}

#[test]
fn a_turn_is_over_by_a_source_that_says_so_and_by_nothing_else() {
    for agent in ["claude", "codex", "generic"] {
        let mut s = Scene::of(agent);
        s.see(Observation::Output)
            .see(Observation::Files)
            .see(Observation::Title("✳ Claude Code".into()))
            .screen(if agent == "generic" { "codex" } else { agent }, "at rest")
            .see(Observation::ToolChild(None))
            .see(Observation::Cpu { percent: 0 })
            .after(Span::mins(90));
        assert!(!s.state().turn_over, "{agent}");
    }
}

#[test]
fn an_unknown_version_is_believed_where_it_speaks_and_unknown_where_it_does_not() {
    let unknown = |s: &mut Scene| {
        s.weigher = Weigher::new(Rules { unknown_version: Some("9.9.9".to_owned()), ..rules("claude") }, at(0));
    };
    let mut s = Scene::of("claude");
    unknown(&mut s);
    s.see(Observation::Output).see(Observation::Files).see(Observation::Cpu { percent: 90 }).after(Span::mins(2));
    s.is(RunKind::Unknown, Source::Process);
    assert_eq!(s.state().text, "version 9.9.9 is unknown here and reports nothing");
    unknown(&mut s);
    s.psp("state=working:app=claude-code").is(RunKind::Working, Source::Osc7501);
}

#[test]
fn a_source_that_lies_in_a_version_is_switched_off_by_its_adapter() {
    let text = include_str!("../builtin/claude.toml").replacen("schema = 1", "schema = 1\nignores = [\"osc7501\"]", 1);
    let adapter = Arc::new(crate::agent::adapter::parse(&text).expect("an adapter"));
    let mut s = Scene::of("claude");
    s.weigher = Weigher::new(Rules { adapter, ..rules("claude") }, at(0));
    s.psp("state=working:app=c").is(RunKind::Starting, Source::Process);
    s.status("\"busy\"").is(RunKind::Working, Source::StatusFile);
    s.psp("state=done:app=c").is(RunKind::Working, Source::StatusFile);
    assert!(s.weigher.explain(at(s.ms)).iter().all(|view| view.source != Source::Osc7501));
}
