use crate::agent::adapter::builtin;
use crate::agent::hook;
use crate::model::state::RunState;
use crate::model::time::{Boot, Mono};

use super::*;

/// 20 November 2026, 22:30 UTC.
pub(super) const T0: i64 = 1_795_213_800_000;

pub(super) fn at(ms: i64) -> Now {
    Now { wall: Wall(T0 + ms), mono: Mono(ms), boot: Boot(1) }
}

pub(super) fn rules(agent: &str) -> Rules {
    Rules {
        adapter: Arc::new(builtin(agent).expect(agent)),
        silence: Span::mins(10),
        utc_offset_s: 0,
        prompted: true,
        session: None,
        unknown_version: None,
    }
}

/// A weigher and a clock that each observation moves on by 100 ms.
pub(super) struct Scene {
    pub(super) weigher: Weigher,
    pub(super) ms: i64,
}

impl Scene {
    pub(super) fn of(agent: &str) -> Self {
        Self { weigher: Weigher::new(rules(agent), at(0)), ms: 0 }
    }

    pub(super) fn see(&mut self, observation: Observation) -> &mut Self {
        self.ms += 100;
        self.weigher.observe(at(self.ms), observation);
        self
    }

    pub(super) fn psp(&mut self, payload: &str) -> &mut Self {
        let psp::Sequence::Report(report) = psp::parse(payload.as_bytes()).expect(payload) else { panic!("a query") };
        self.see(Observation::Psp(report))
    }

    pub(super) fn hook(&mut self, name: &str, more: &str) -> &mut Self {
        let json = format!(r#"{{"session_id":"s1","cwd":"/w","hook_event_name":"{name}"{more}}}"#);
        let event = hook::parse(Dialect::Claude, json.as_bytes()).expect(&json).expect("an event");
        self.see(Observation::Hook(event))
    }

    pub(super) fn status(&mut self, status: &str) -> &mut Self {
        let json = format!(r#"{{"pid":1,"sessionId":"s1","cwd":"/w","status":{status}}}"#);
        let file = crate::agent::status_file::parse(json.as_bytes()).expect(&json);
        self.see(Observation::Status(Some(file)))
    }

    pub(super) fn screen(&mut self, agent: &str, label: &str) -> &mut Self {
        let recorded = include_str!("../../../tests/recordings/screens.txt");
        let head = format!("=== {agent} | {label} | ");
        let (_, rest) = recorded.split_once(&head).unwrap_or_else(|| panic!("{head}"));
        let (_, text) = rest.split_once('\n').expect("a head line");
        let text = text.split("\n=== ").next().unwrap_or_default();
        self.see(Observation::Screen(text.to_owned()))
    }

    pub(super) fn after(&mut self, span: Span) -> &mut Self {
        self.ms += i64::try_from(span.0).expect("a span");
        self
    }

    pub(super) fn state(&self) -> RunState {
        self.weigher.state(at(self.ms))
    }

    pub(super) fn kind(&self) -> (RunKind, Option<Source>) {
        let state = self.state();
        (state.kind, state.source)
    }

    pub(super) fn is(&self, kind: RunKind, source: Source) {
        assert_eq!(self.kind(), (kind, Some(source)), "{:#?}", self.weigher.explain(at(self.ms)));
    }

    pub(super) fn start(&self) -> Start {
        self.weigher.start(at(self.ms))
    }
}

pub(super) const BLOCKED: &str = "state=blocked:app=claude-code:kind=permission:msg=YXBwcm92ZSBCYXNoOiB0b3VjaCB4";
const BLOCKED_TRUST: &str = "state=blocked:app=claude-code:kind=permission:msg=dHJ1c3QgdGhpcyBmb2xkZXI=";

#[test]
fn a_claude_turn_as_it_is_reported() {
    let mut s = Scene::of("claude");
    s.is(RunKind::Starting, Source::Process);
    s.psp("state=working:app=claude-code").is(RunKind::Working, Source::Osc7501);
    assert!(matches!(s.start(), Start::Started { by: Source::Osc7501, .. }));
    s.psp(BLOCKED).is(RunKind::Waiting, Source::Osc7501);
    assert_eq!((s.state().ask, s.state().text.as_str()), (Some(Ask::Permission), "approve Bash: touch x"));
    s.psp("state=working:app=claude-code").psp("state=done:app=claude-code").is(RunKind::Idle, Source::Osc7501);
    assert!(s.state().turn_over);
}

#[test]
fn started_is_a_lie_while_a_trust_dialog_stands() {
    let mut s = Scene::of("claude");
    s.psp(BLOCKED_TRUST).is(RunKind::Waiting, Source::Osc7501);
    assert_eq!(s.state().ask, Some(Ask::Trust), "not a permission that could be answered from outside");
    assert_eq!(s.start(), Start::Pending { until: None });

    let mut s = Scene::of("codex");
    s.see(Observation::Output).screen("codex", "trust").is(RunKind::Waiting, Source::Screen);
    assert_eq!(s.state().ask, Some(Ask::Trust));
    assert_eq!(s.start(), Start::Pending { until: None });
    s.psp("state=idle:app=codex").psp("state=working:app=codex").screen("codex", "working");
    s.is(RunKind::Working, Source::Osc7501);
}

#[test]
fn working_is_a_lie_while_the_prompt_was_not_taken() {
    let mut s = Scene::of("codex");
    s.psp("state=idle:app=codex").is(RunKind::Starting, Source::Osc7501);
    s.after(Span::secs(20)).is(RunKind::Idle, Source::Osc7501);
    assert!(!s.state().turn_over && s.state().text.contains("has not taken"));
}

#[test]
fn done_then_idle_is_still_over_and_escape_is_not() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").psp("state=done:app=codex").psp("state=idle:app=codex");
    assert!(s.state().turn_over, "a key was pressed after the end");
    s.psp("state=working:app=codex").psp("state=idle:app=codex").is(RunKind::Idle, Source::Osc7501);
    assert!(!s.state().turn_over, "an interrupt fires no hook and ends no turn");
}

#[test]
fn a_refused_permission_is_no_end() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").psp(BLOCKED).psp("state=idle:app=c").is(RunKind::Idle, Source::Osc7501);
    assert!(!s.state().turn_over);
}

#[test]
fn done_is_a_lie_while_background_work_runs_but_not_for_ever() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").psp("state=done:app=c");
    let task = r#","background_tasks":[{"id":"b","type":"shell","status":"running","description":"npm run dev"}]"#;
    s.hook("Stop", task).is(RunKind::Working, Source::Osc7501);
    assert_eq!(s.state().text, "npm run dev");
    s.see(Observation::ToolChild(Some("cargo".into()))).after(Span::mins(10));
    assert!(s.state().turn_over, "a server that never ends does not hold the checks back for ever");

    let mut s = Scene::of("claude");
    s.hook("UserPromptSubmit", r#","prompt":"x""#).hook("Stop", task).is(RunKind::Working, Source::Hook);
    s.hook("Stop", r#","background_tasks":[]"#).is(RunKind::Idle, Source::Hook);
    assert!(s.state().turn_over);
}

#[test]
fn done_is_a_lie_while_a_sub_agent_works() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=c").psp("state=working:app=c:id=a:title=aW5uZXIgdGFzaw==").psp("state=done:app=c");
    s.is(RunKind::Working, Source::Osc7501);
    assert_eq!(s.state().text, "inner task");
    s.psp("state=clear:id=a");
    assert!(s.state().turn_over);
}

#[test]
fn a_stop_of_a_sub_agent_is_not_the_agents() {
    let mut s = Scene::of("claude");
    s.hook("UserPromptSubmit", r#","prompt":"x""#)
        .hook("Stop", r#","agent_id":"a""#)
        .hook("SubagentStop", r#","agent_id":"a""#);
    s.is(RunKind::Working, Source::Hook);
}

#[test]
fn a_hook_of_another_session_says_nothing() {
    let mut s = Scene::of("claude");
    s.weigher = Weigher::new(Rules { session: Some("mine".to_owned()), ..rules("claude") }, at(0));
    s.hook("UserPromptSubmit", r#","prompt":"x""#).hook("Stop", "");
    assert_eq!((s.weigher.foreign(), s.kind().0), (2, RunKind::Starting));
    s.hook("SessionStart", r#","source":"clear""#).hook("Stop", "");
    assert_eq!(s.weigher.session(), Some("s1"), "a cleared conversation goes on under a new id");
    assert!(s.state().turn_over);
}

#[test]
fn an_unknown_version_without_reports_is_unknown_and_says_so() {
    let mut s = Scene::of("claude");
    let unknown = Rules { unknown_version: Some("9.9.9".to_owned()), ..rules("claude") };
    s.weigher = Weigher::new(unknown, at(0));
    s.see(Observation::Output).after(Span::secs(59)).is(RunKind::Starting, Source::Process);
    s.after(Span::secs(1)).is(RunKind::Unknown, Source::Process);
    assert!(s.state().text.contains("9.9.9"));
    s.psp("state=working:app=claude-code").is(RunKind::Working, Source::Osc7501);
}

#[test]
fn without_osc_the_status_file_tells_and_an_interrupt_is_no_end() {
    let mut s = Scene::of("claude");
    s.status("\"idle\"").is(RunKind::Starting, Source::StatusFile);
    s.status("\"busy\"").is(RunKind::Working, Source::StatusFile);
    s.status(r#""waiting","waitingFor":"permission prompt""#).is(RunKind::Waiting, Source::StatusFile);
    s.status("\"busy\"").status("\"idle\"").is(RunKind::Idle, Source::StatusFile);
    assert!(s.state().turn_over, "no hooks here: idle after busy is all there is");

    let mut s = Scene::of("claude");
    s.status("\"busy\"").hook("UserPromptSubmit", r#","prompt":"x""#).status("\"idle\"");
    assert!(!s.state().turn_over, "hooks speak, and none told of an end: it was interrupted by hand");
    s.hook("Stop", "");
    assert!(s.state().turn_over, "the hook came after the file");

    let mut s = Scene::of("claude");
    s.status("\"busy\"").see(Observation::Interrupted).status("\"idle\"");
    assert!(!s.state().turn_over, "we interrupted it");
    s.status("\"busy\"").status("\"idle\"");
    assert!(s.state().turn_over, "the next turn is another one");
}

#[test]
fn a_session_that_begins_does_not_take_back_the_title_that_shows_its_turn() {
    let mut s = Scene::of("claude");
    s.see(Observation::Title("◐ Claude Code".into())).is(RunKind::Working, Source::Title);
    s.hook("SessionStart", r#","source":"startup""#).is(RunKind::Working, Source::Title);
    s.status("\"idle\"").is(RunKind::Working, Source::Title);
    s.psp("state=working:app=claude-code").is(RunKind::Working, Source::Osc7501);
    s.psp("state=idle:app=claude-code").is(RunKind::Idle, Source::Osc7501);
    s.see(Observation::Title("◐ Claude Code".into())).is(RunKind::Idle, Source::Osc7501);
}

#[test]
fn a_status_file_that_lags_behind_the_first_prompt_does_not_say_rest() {
    let mut s = Scene::of("claude");
    s.status("\"idle\"").is(RunKind::Starting, Source::StatusFile);
    s.hook("UserPromptSubmit", r#","prompt":"x""#).is(RunKind::Working, Source::Hook);
    s.status("\"idle\"").is(RunKind::Working, Source::Hook);
    s.status("\"busy\"").is(RunKind::Working, Source::StatusFile);
    s.hook("Stop", "").status("\"idle\"").is(RunKind::Idle, Source::StatusFile);
    assert!(s.state().turn_over);
}

#[test]
fn idle_without_ever_busy_is_an_empty_prompt() {
    let mut s = Scene::of("claude");
    s.weigher = Weigher::new(Rules { prompted: false, ..rules("claude") }, at(0));
    s.status("\"idle\"").is(RunKind::Idle, Source::StatusFile);
    assert!(!s.state().turn_over);
}

#[test]
fn the_better_source_holds_against_the_worse() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").status("\"idle\"").see(Observation::Title("✳ Claude Code".into()));
    s.is(RunKind::Working, Source::Osc7501);
    let views = s.weigher.explain(at(s.ms));
    let order: Vec<Source> = views.iter().map(|v| v.source).collect();
    assert_eq!(order, [Source::Osc7501, Source::StatusFile, Source::Title, Source::Activity, Source::Process]);
    assert_eq!(views.iter().filter(|v| v.counted).count(), 1);
    assert!(views.windows(2).all(|w| w[0].weight > w[1].weight) && views.iter().all(|v| !v.why.is_empty()));
}

#[test]
fn a_title_at_rest_is_no_rest() {
    let mut s = Scene::of("claude");
    s.see(Observation::Title("◐ Claude Code".into())).is(RunKind::Working, Source::Title);
    s.see(Observation::Title("✳ Claude Code".into())).is(RunKind::Starting, Source::Process);
    s.screen("claude", "permission").is(RunKind::Waiting, Source::Screen);
    s.see(Observation::Title("◑ Claude Code".into())).after(Span::secs(31));
    assert_ne!(s.kind().1, Some(Source::Title), "a spinner that stands still says nothing");
}

#[test]
fn a_screen_only_promotes_to_waiting_and_only_while_it_shows() {
    let mut s = Scene::of("claude");
    s.screen("claude", "at rest").is(RunKind::Starting, Source::Process);
    s.screen("claude", "working").is(RunKind::Starting, Source::Process);
    s.screen("claude", "bypass warning").is(RunKind::Waiting, Source::Screen);
    s.screen("claude", "working").is(RunKind::Starting, Source::Process);
}

#[test]
fn a_dialog_that_was_just_answered_does_not_come_back() {
    let mut s = Scene::of("claude");
    s.psp(BLOCKED).screen("claude", "permission").psp("state=working:app=c");
    s.is(RunKind::Working, Source::Osc7501);
    s.screen("claude", "permission").is(RunKind::Working, Source::Osc7501);
    s.after(Span::secs(10)).is(RunKind::Working, Source::Osc7501);
    s.screen("claude", "working").is(RunKind::Working, Source::Osc7501);
}

#[test]
fn a_dialog_unknown_to_a_better_source_counts_once_it_stood() {
    let mut s = Scene::of("claude");
    s.psp("state=idle:app=c").screen("claude", "login").is(RunKind::Starting, Source::Osc7501);
    let wake = s.weigher.wake_at(at(s.ms)).expect("a time");
    s.ms = wake.0;
    s.is(RunKind::Waiting, Source::Screen);
    assert_eq!(s.state().ask, Some(Ask::Login));
}

#[test]
fn a_report_without_words_borrows_the_screens() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").psp("state=blocked:app=codex:kind=permission").screen("codex", "permission");
    s.is(RunKind::Waiting, Source::Osc7501);
    assert!(s.state().text.contains("$ touch /var/tmp/fm-esc1"), "{}", s.state().text);
}

#[test]
fn a_hook_that_asked_is_answered_by_a_screen_without_its_dialog() {
    let mut s = Scene::of("claude");
    s.hook("PermissionRequest", r#","tool_name":"Bash","tool_input":{"command":"ls"}"#)
        .is(RunKind::Waiting, Source::Hook);
    assert_eq!(s.state().text, "Bash: ls");
    s.screen("claude", "permission").after(Span::secs(5)).is(RunKind::Waiting, Source::Hook);
    s.screen("claude", "working").is(RunKind::Working, Source::Hook);
}

#[test]
fn an_interrupt_no_hook_told_of_shows_a_minute_later() {
    let mut s = Scene::of("claude");
    s.hook("UserPromptSubmit", r#","prompt":"x""#).is(RunKind::Working, Source::Hook);
    s.hook("Notification", r#","notification_type":"idle_prompt","message":"m""#).is(RunKind::Idle, Source::Hook);
    assert!(!s.state().turn_over);
    s.hook("Stop", "").hook("Notification", r#","notification_type":"idle_prompt","message":"m""#);
    assert!(s.state().turn_over, "after a real end it is only a reminder");
}

#[test]
fn an_error_is_neither_over_nor_silent() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c");
    s.psp("state=error:app=c:msg=QVBJIEVycm9yOiA1MDAgc2VydmVyIGVycm9y").is(RunKind::Idle, Source::Osc7501);
    assert_eq!((s.state().turn_over, s.state().text.as_str()), (false, "API Error: 500 server error"));
    let trouble = s.weigher.trouble(at(s.ms)).expect("trouble");
    assert_eq!((trouble.login, trouble.limit, trouble.until), (false, false, None));
    s.psp("state=working:app=c");
    assert_eq!(s.weigher.trouble(at(s.ms)), None, "it goes on");
}

#[test]
fn codex_says_error_without_words_and_the_screen_has_them() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").psp("state=error:app=codex").is(RunKind::Idle, Source::Osc7501);
    assert!(s.weigher.lacks_words(at(s.ms)));
    s.screen("codex", "refused key").is(RunKind::Waiting, Source::Osc7501);
    assert_eq!(s.state().ask, Some(Ask::Login));
    assert!(s.weigher.trouble(at(s.ms)).is_some_and(|t| t.login));

    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").psp("state=error:app=codex").screen("codex", "usage limit");
    assert!(!s.weigher.lacks_words(at(s.ms)));
    s.is(RunKind::Limited, Source::Osc7501);
    assert!(s.weigher.trouble(at(s.ms)).is_some_and(|t| t.limit && t.until.is_none()));
    assert_eq!((s.state().until, s.state().turn_over), (None, false));
    s.psp("state=working:app=codex").is(RunKind::Working, Source::Osc7501);
}

#[test]
fn an_old_error_on_the_screen_is_not_todays() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").screen("codex", "refused key").psp("state=done:app=codex");
    assert!(s.state().turn_over);
    assert_eq!(s.weigher.trouble(at(s.ms)), None);
}

#[test]
fn a_limit_with_a_time_is_limited_until_then() {
    let mut s = Scene::of("claude");
    let message = r#","error":"rate_limit","last_assistant_message":"You've hit your limit · resets 11pm (UTC)""#;
    s.hook("UserPromptSubmit", r#","prompt":"x""#).hook("StopFailure", message).is(RunKind::Limited, Source::Hook);
    let until = s.weigher.trouble(at(s.ms)).and_then(|t| t.until).expect("a time");
    assert_eq!(until.to_string(), "2026-11-20T23:00:00.000Z");
    s.after(Span::mins(20));
    // A machine that slept would miss the time of a wall clock: it is looked at now and then.
    let end = i64::try_from(until.since(at(s.ms).wall).0).expect("fits") + s.ms;
    while s.ms < end {
        let next = s.weigher.wake_at(at(s.ms)).expect("the end of the limit").0;
        assert!(next <= s.ms + 60_000 && next <= end, "{next} of {end}");
        s.ms = next;
    }
    s.ms -= 1;
    s.is(RunKind::Limited, Source::Hook);
    s.ms += 1;
    s.is(RunKind::Idle, Source::Hook);
    assert!(!s.state().turn_over);
}

#[test]
fn auth_is_a_login() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").psp("state=blocked:app=c:kind=auth").is(RunKind::Waiting, Source::Osc7501);
    assert_eq!(s.state().ask, Some(Ask::Login));
    assert!(s.weigher.trouble(at(s.ms)).is_some_and(|t| t.login));
}

#[test]
fn retrying_is_working_with_a_word_why() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").screen("claude", "retrying").is(RunKind::Working, Source::Osc7501);
    assert!(s.state().text.ends_with("retrying · attempt 3/3"));
}

#[test]
fn a_prose_question_is_an_end_that_asks() {
    let mut s = Scene::of("claude");
    let ask = r#","last_assistant_message":"I looked around.\n\nShould I use **tabs or spaces?**""#;
    s.psp("state=working:app=c").psp("state=done:app=c").hook("Stop", ask);
    assert!(s.state().turn_over);
    assert_eq!(s.weigher.asks_in_prose().as_deref(), Some("Should I use **tabs or spaces?**"));
    s.psp("state=working:app=c");
    assert_eq!(s.weigher.asks_in_prose(), None, "answered");
}

#[test]
fn silence_is_quiet_unless_a_tool_lives() {
    let mut s = Scene::of("claude");
    s.psp("state=working:app=c").after(Span::mins(9)).is(RunKind::Working, Source::Osc7501);
    let wake = s.weigher.wake_at(at(s.ms)).expect("a time");
    s.ms = wake.0;
    s.is(RunKind::Quiet, Source::Activity);
    s.see(Observation::Cpu { percent: 5 }).is(RunKind::Quiet, Source::Activity);
    s.see(Observation::ToolChild(Some("cargo".into()))).is(RunKind::Working, Source::Osc7501);
    s.see(Observation::ToolChild(None)).is(RunKind::Working, Source::Osc7501);
    s.after(Span::mins(10)).is(RunKind::Quiet, Source::Activity);
    s.see(Observation::Cpu { percent: 80 }).is(RunKind::Working, Source::Osc7501);
    s.psp("state=done:app=c").after(Span::mins(60)).is(RunKind::Idle, Source::Osc7501);
}

#[test]
fn a_generic_agent_works_while_it_acts_and_is_never_called_idle() {
    let mut s = Scene::of("generic");
    s.is(RunKind::Starting, Source::Process);
    s.see(Observation::Output).is(RunKind::Working, Source::Activity);
    assert!(matches!(s.start(), Start::Pending { until: Some(_) }));
    s.after(Span::secs(1));
    assert!(matches!(s.start(), Start::Started { by: Source::Activity, .. }));
    s.after(Span::mins(10)).is(RunKind::Quiet, Source::Activity);
    s.see(Observation::Files).is(RunKind::Working, Source::Activity);
    s.see(Observation::Exited(End { code: Some(0), signal: None })).is(RunKind::Exited, Source::Process);
    assert_eq!(s.state().text, "exit code 0");
}

#[test]
fn the_end_of_the_process_is_the_last_word() {
    let mut s = Scene::of("codex");
    s.psp("state=working:app=codex").see(Observation::Exited(End { code: None, signal: Some(9) }));
    s.psp("state=done:app=codex").is(RunKind::Exited, Source::Process);
    assert_eq!(s.state().text, "signal 9");
    assert_eq!(s.weigher.wake_at(at(s.ms)), None);
    let mut s = Scene::of("codex");
    s.see(Observation::Lost).is(RunKind::Lost, Source::Process);
}

#[test]
fn the_session_and_its_file_are_learned_from_the_first_hook() {
    let mut s = Scene::of("codex");
    assert_eq!(s.weigher.session(), None);
    s.hook("SessionStart", r#","source":"startup","transcript_path":"/t.jsonl""#);
    assert_eq!((s.weigher.session(), s.weigher.transcript()), (Some("s1"), Some("/t.jsonl")));
}

#[test]
fn recorded_sessions_of_both_end_where_they_ended() {
    let reports = include_str!("../../../tests/recordings/reports.txt");
    for line in reports.lines() {
        let (name, rest) = line.split_once(": ").expect(line);
        let (payloads, want) = rest.split_once(" => ").expect(line);
        let mut s = Scene::of(name.split('-').next().expect("an agent"));
        for payload in payloads.split_whitespace() {
            s.psp(payload);
        }
        let state = s.state();
        let over = if state.turn_over { "over" } else { "open" };
        let got = format!("{} {over}", serde_json::to_string(&state.kind).expect("kind").trim_matches('"'));
        assert_eq!(got, want, "{name}");
    }
}

mod always {
    use proptest::prelude::*;

    use super::*;

    fn any_observation() -> impl Strategy<Value = Observation> {
        let psp = proptest::sample::select(vec![
            "state=idle",
            "state=working",
            "state=done",
            "state=error",
            "state=clear",
            "state=blocked:kind=permission",
            "state=working:id=a",
            "state=clear:id=a",
        ]);
        let psp = psp.prop_map(|p| match psp::parse(p.as_bytes()) {
            Ok(psp::Sequence::Report(report)) => Observation::Psp(report),
            other => panic!("{other:?}"),
        });
        let status = proptest::sample::select(vec![Status::Idle, Status::Busy, Status::Waiting(Ask::Question)]);
        let status = status.prop_map(|status| {
            Observation::Status(Some(StatusFile {
                pid: 1,
                start: None,
                session: "s".into(),
                cwd: String::new(),
                version: String::new(),
                status,
                waiting_for: String::new(),
                at: None,
            }))
        });
        let title = proptest::sample::select(vec!["◐ x", "✳ x", "⠋ x", "[ ! ] Action Required | x", "x"]);
        let dialog = "Do you want to proceed?\n❯ 1. Yes\nEsc to cancel";
        let screen = proptest::sample::select(vec![format!("────────\n{dialog}"), dialog.to_owned(), String::new()]);
        let events = proptest::sample::select(vec![
            Event::PromptSubmitted { text: "x".into() },
            Event::TurnEnded { last_message: None, background: Vec::new() },
            Event::TurnEnded { last_message: None, background: vec!["a server".into()] },
            Event::TurnFailed {
                error: "rate_limit".into(),
                message: Some("hit your limit · resets 11pm (UTC)".into()),
            },
            Event::PermissionAsked { tool: "Bash".into(), what: "ls".into() },
            Event::Interrupted,
        ]);
        let hook = events.prop_map(|event| {
            let (dialect, session) = (Dialect::Claude, "s".to_owned());
            Observation::Hook(HookEvent {
                dialect,
                event,
                session,
                cwd: String::new(),
                agent_id: None,
                transcript: None,
                prompts: Vec::new(),
                plan: None,
                leave: None,
            })
        });
        prop_oneof![
            psp,
            hook,
            status,
            title.prop_map(|t| Observation::Title(t.to_owned())),
            screen.prop_map(Observation::Screen),
            Just(Observation::Output),
            Just(Observation::Interrupted),
            any::<bool>().prop_map(|alive| Observation::ToolChild(alive.then(|| "cargo".to_owned()))),
        ]
    }

    proptest! {
        /// The caller sleeps until `wake_at`: nothing may change unseen before it, and one source counts.
        #[test]
        fn between_observations_the_state_changes_only_when_it_said(
            agent in proptest::sample::select(vec!["claude", "codex", "generic"]),
            seen in proptest::collection::vec((any_observation(), 0i64..40_000), 0..20),
        ) {
            let mut s = Scene::of(agent);
            for (observation, pause) in seen {
                s.see(observation);
                let now = at(s.ms);
                let until = s.weigher.wake_at(now).map_or(s.ms + 40_000_000, |m| m.0);
                let kind = |ms: i64| { let st = s.weigher.state(at(ms)); (st.kind, st.source, st.turn_over, st.ask) };
                prop_assert_eq!(kind(s.ms), kind(until - 1), "before {}", until);
                prop_assert_eq!(s.weigher.explain(now).iter().filter(|v| v.counted).count(), 1);
                s.ms += pause;
            }
        }

        /// No order of title and screen makes a turn that is over.
        #[test]
        fn nothing_weak_ends_a_turn(
            titles in proptest::collection::vec(proptest::sample::select(vec!["◐ x", "✳ x", "x"]), 0..6),
            shows in any::<bool>(),
        ) {
            let mut s = Scene::of("claude");
            for title in titles {
                s.see(Observation::Title(title.to_owned()));
                if shows {
                    s.screen("claude", "at rest");
                }
                prop_assert!(!s.state().turn_over);
                s.after(Span::mins(30));
                prop_assert!(!s.state().turn_over);
            }
        }
    }
}
