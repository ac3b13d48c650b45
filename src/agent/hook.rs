//! What the hooks and the notify program of a CLI are handed, as events of one language.
//!
//! **Invariant:** a payload is foreign: it is bounded, its texts leave as plain lines (a last
//! message keeps its line breaks), and what it lacks is absent, never guessed. Must not know: how
//! it came here.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{plain, prose};

mod letter;

pub use letter::{Late, Letter, LetterError};

/// The longest payload that is read. A tool's whole answer may be in it.
pub const MAX_PAYLOAD: usize = 4 * 1024 * 1024;

/// The most bytes kept of a prompt or a last message.
const MAX_TEXT: usize = 32 * 1024;

/// Prompts kept of a turn's end: a CLI may tell all of a conversation's.
const MAX_PROMPTS: usize = 8;

/// Pieces of background work that are named.
const MAX_BACKGROUND: usize = 16;

/// The tool by which Claude Code asks to leave planning.
pub(super) const PLAN_TOOL: &str = "ExitPlanMode";

/// The tool by which Codex asks a question, without a permission: where it starts, it asks.
const ASK_TOOL: &str = "request_user_input";

/// How Codex's hidden thread that makes a title begins; its reports are none of the agent's.
const TITLE_THREAD: &str = "Generate a concise, single-line task title";

/// What an agent is told whose request was denied.
const DENIED: &str = "The person in charge of this task said no. Go on without it, or say what you need it for.";

/// What it is told where the person said more.
const DENIED_BECAUSE: &str = "The person in charge of this task said no, and:";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A hook of Claude Code.
    Claude,
    /// A hook of Codex.
    Codex,
    /// Codex's notify program.
    CodexNotify,
}

impl FromStr for Dialect {
    type Err = HookError;

    fn from_str(text: &str) -> Result<Self, HookError> {
        match text {
            "claude" => Ok(Self::Claude),
            "codex" => Ok(Self::Codex),
            "codex-notify" => Ok(Self::CodexNotify),
            _ => Err(HookError::Dialect { text: plain::line(text, 80) }),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A conversation began or went on.
    SessionStart {
        /// `startup`, `resume`, `fork`, `clear`, `compact`.
        source: String,
    },
    /// A prompt reached the model's turn.
    PromptSubmitted {
        /// The prompt.
        text: String,
    },
    /// A tool starts.
    ToolStart {
        /// Which.
        tool: String,
    },
    /// A tool ended.
    ToolEnd {
        /// Which.
        tool: String,
    },
    /// A dialog asks for permission.
    PermissionAsked {
        /// For which tool.
        tool: String,
        /// What it would do, as one line; may be empty.
        what: String,
    },
    /// The CLI would call its user.
    Notification {
        /// `permission_prompt`, `idle_prompt`, or another.
        kind: String,
        /// In words.
        message: String,
    },
    /// The turn ended by itself.
    TurnEnded {
        /// The last thing the agent said.
        last_message: Option<String>,
        /// Work it left running, by description.
        background: Vec<String>,
    },
    /// An error ended the turn.
    TurnFailed {
        /// The CLI's name for it.
        error: String,
        /// In words.
        message: Option<String>,
    },
    /// A person ended the turn.
    Interrupted,
    /// A sub-agent began.
    PartStarted,
    /// A sub-agent ended.
    PartEnded,
    /// The conversation ended.
    SessionEnded {
        /// Why.
        reason: String,
    },
    /// An event that says nothing about the state.
    Other {
        /// Its name.
        name: String,
    },
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookEvent {
    /// Who spoke.
    pub dialect: Dialect,
    /// What happened.
    pub event: Event,
    /// In which conversation.
    pub session: String,
    /// Where.
    pub cwd: String,
    /// In which sub-agent; `None` is the agent itself.
    pub agent_id: Option<String>,
    /// Where the conversation is kept.
    pub transcript: Option<String>,
    /// Prompts that were read by now, oldest first and the newest of them, where the end of a turn
    /// tells: so a text that was typed into a running turn is seen to have arrived.
    pub prompts: Vec<String>,
    /// The plan that its plan tool wants approved; empty where it names none.
    pub plan: Option<String>,
    /// What it may do, where it says so.
    pub leave: Option<Leave>,
}

/// What an agent may do, as far as planning goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Only plan.
    Plan,
    /// More than that.
    More,
}

impl HookEvent {
    /// Whether it is the end of a turn that the hook's answer can keep from ending. A program that
    /// is only notified is not asked; a turn that ends with a question waits for a person.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        let Event::TurnEnded { last_message, .. } = &self.event else { return false };
        let asks = last_message.as_deref().and_then(prose::question).is_some();
        !asks && self.dialect != Dialect::CodexNotify
    }
}

/// What a hook at the end of a turn writes so that the turn goes on with this text.
#[must_use]
pub fn go_on(text: &str) -> String {
    serde_json::json!({"decision": "block", "reason": text}).to_string()
}

/// Why a payload says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// An unknown speaker.
    #[error("{text:?} is no dialect; there are claude, codex and codex-notify")]
    Dialect {
        /// What was given.
        text: String,
    },
    /// Too long.
    #[error("a payload of {bytes} bytes; at most {MAX_PAYLOAD} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not an object of JSON.
    #[error("the payload is no object of JSON: {text}")]
    Json {
        /// What the parser says.
        text: String,
    },
    /// A field that every payload has is missing or of another kind.
    #[error("the payload has no {field}")]
    Missing {
        /// Which.
        field: &'static str,
    },
}

/// Reads a payload. `None` is an event of Codex's own title making.
///
/// # Errors
/// [`HookError`] for what is none.
pub fn parse(dialect: Dialect, payload: &[u8]) -> Result<Option<HookEvent>, HookError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(HookError::TooLong { bytes: payload.len() });
    }
    let fields: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|e| HookError::Json { text: plain::line(&e.to_string(), 200) })?;
    event(dialect, &fields)
}

/// The same of a payload that came as a value, under its speaker's name.
///
/// # Errors
/// As [`parse`].
pub fn read(dialect: &str, payload: &Value) -> Result<Option<HookEvent>, HookError> {
    let dialect = dialect.parse()?;
    let none = || HookError::Json { text: plain::line(&payload.to_string(), 200) };
    event(dialect, payload.as_object().ok_or_else(none)?)
}

fn event(dialect: Dialect, fields: &Map<String, Value>) -> Result<Option<HookEvent>, HookError> {
    match dialect {
        Dialect::CodexNotify => notify(Fields(fields)),
        Dialect::Claude | Dialect::Codex => hook(dialect, Fields(fields)),
    }
}

/// What a hook that asks for permission prints to decide, with a person's words beside a no; `None`
/// where this CLI's hook must not.
#[must_use]
pub fn decision(dialect: Dialect, allow: bool, note: Option<&str>) -> Option<String> {
    let denied = || note.map_or_else(|| DENIED.to_owned(), |note| format!("{DENIED_BECAUSE} {note}"));
    let decision = match allow {
        true => serde_json::json!({"behavior": "allow"}),
        false => serde_json::json!({"behavior": "deny", "message": denied()}),
    };
    let said = serde_json::json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}});
    // Codex holds its dialog back while the hook runs: there the dialog decides.
    (dialect == Dialect::Claude).then(|| said.to_string())
}

fn hook(dialect: Dialect, fields: Fields<'_>) -> Result<Option<HookEvent>, HookError> {
    let name = fields.require("hook_event_name")?;
    let session = fields.require("session_id")?;
    let event = match name {
        "SessionStart" => Event::SessionStart { source: fields.line("source") },
        "UserPromptSubmit" => Event::PromptSubmitted { text: fields.text("prompt").unwrap_or_default() },
        "PreToolUse" if fields.get("tool_name") == Some(ASK_TOOL) => {
            Event::PermissionAsked { tool: ASK_TOOL.to_owned(), what: what(fields) }
        }
        "PreToolUse" => Event::ToolStart { tool: fields.line("tool_name") },
        "PostToolUse" | "PostToolUseFailure" => Event::ToolEnd { tool: fields.line("tool_name") },
        "PermissionRequest" => Event::PermissionAsked { tool: fields.line("tool_name"), what: what(fields) },
        "Notification" => {
            Event::Notification { kind: fields.line("notification_type"), message: fields.line("message") }
        }
        "Stop" => {
            Event::TurnEnded { last_message: fields.text("last_assistant_message"), background: background(fields) }
        }
        "StopFailure" => {
            Event::TurnFailed { error: fields.line("error"), message: fields.text("last_assistant_message") }
        }
        "Interrupt" => Event::Interrupted,
        "SubagentStart" => Event::PartStarted,
        "SubagentStop" => Event::PartEnded,
        "SessionEnd" => Event::SessionEnded { reason: fields.line("reason") },
        other => Event::Other { name: plain::line(other, 80) },
    };
    if matches!(&event, Event::PromptSubmitted { text } if dialect == Dialect::Codex && is_title(text)) {
        return Ok(None);
    }
    Ok(Some(HookEvent {
        dialect,
        event,
        session: plain::line(session, 80),
        cwd: fields.get("cwd").unwrap_or_default().to_owned(),
        agent_id: fields.get("agent_id").map(|id| plain::line(id, 80)),
        transcript: fields.get("transcript_path").map(str::to_owned),
        prompts: Vec::new(),
        plan: plan(name, fields),
        leave: fields.get("permission_mode").map(|mode| if mode == "plan" { Leave::Plan } else { Leave::More }),
    }))
}

fn notify(fields: Fields<'_>) -> Result<Option<HookEvent>, HookError> {
    let name = fields.require("type")?;
    let session = fields.require("thread-id")?;
    let inputs = fields.0.get("input-messages").and_then(Value::as_array);
    let first_input = inputs.and_then(|i| i.first()).and_then(Value::as_str).unwrap_or_default();
    if is_title(first_input) {
        return Ok(None);
    }
    let event = match name {
        "agent-turn-complete" => {
            Event::TurnEnded { last_message: fields.text("last-assistant-message"), background: Vec::new() }
        }
        other => Event::Other { name: plain::line(other, 80) },
    };
    Ok(Some(HookEvent {
        dialect: Dialect::CodexNotify,
        event,
        session: plain::line(session, 80),
        cwd: fields.get("cwd").unwrap_or_default().to_owned(),
        agent_id: None,
        transcript: None,
        prompts: inputs
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(MAX_PROMPTS)
            .rev()
            .filter_map(Value::as_str)
            .map(bounded)
            .collect(),
        plan: None,
        leave: None,
    }))
}

/// The plan of a request to leave planning.
fn plan(event: &str, fields: Fields<'_>) -> Option<String> {
    if event != "PermissionRequest" || fields.get("tool_name") != Some(PLAN_TOOL) {
        return None;
    }
    let input = fields.0.get("tool_input").and_then(Value::as_object);
    Some(input.and_then(|input| Fields(input).text("plan")).unwrap_or_default())
}

fn is_title(prompt: &str) -> bool {
    prompt.starts_with(TITLE_THREAD)
}

/// What a tool would do: its command, its file, else nothing.
fn what(fields: Fields<'_>) -> String {
    let Some(input) = fields.0.get("tool_input").and_then(Value::as_object) else { return String::new() };
    let first = ["command", "file_path", "path", "url", "plan", "description"]
        .iter()
        .find_map(|key| input.get(*key).and_then(Value::as_str));
    let asked = || input.get("questions")?.as_array()?.first()?.get("question")?.as_str();
    plain::line(first.or_else(asked).unwrap_or_default(), 500)
}

/// One piece of work left running.
#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

fn background(fields: Fields<'_>) -> Vec<String> {
    let tasks = fields.0.get("background_tasks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tasks
        .iter()
        .filter_map(|task| Task::deserialize(task).ok())
        .filter(|task| task.status.as_deref().is_none_or(|s| s == "running" || s == "pending"))
        .map(|task| plain::line(task.description.as_deref().unwrap_or(&task.id), 120))
        .take(MAX_BACKGROUND)
        .collect()
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn require(self, key: &'static str) -> Result<&'a str, HookError> {
        self.get(key).ok_or(HookError::Missing { field: key })
    }

    fn line(self, key: &str) -> String {
        plain::line(self.get(key).unwrap_or_default(), plain::MAX)
    }

    /// A text of several lines, bounded, without control characters.
    fn text(self, key: &str) -> Option<String> {
        self.get(key).map(bounded)
    }
}

/// A text of limited length, with its line breaks and without other control characters.
fn bounded(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[..end].chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claude(name: &str, more: &str) -> Event {
        let json = format!(r#"{{"session_id":"s","cwd":"/w","hook_event_name":"{name}"{more}}}"#);
        parse(Dialect::Claude, json.as_bytes()).expect(&json).expect("an event").event
    }

    #[test]
    fn a_turn_that_leaves_work_running_says_so() {
        let tasks = r#","last_assistant_message":"Done.\nReally.","background_tasks":[
            {"id":"b1","type":"shell","status":"running","description":"npm run dev"},
            {"id":"b2","type":"subagent","status":"completed","description":"inner task"}]"#;
        assert_eq!(
            claude("Stop", tasks),
            Event::TurnEnded { last_message: Some("Done.\nReally.".into()), background: vec!["npm run dev".into()] }
        );
    }

    #[test]
    fn a_permission_says_what_for() {
        let bash = r#","tool_name":"Bash","tool_input":{"command":"rm -rf\n x","description":"d"}"#;
        assert_eq!(
            claude("PermissionRequest", bash),
            Event::PermissionAsked { tool: "Bash".into(), what: "rm -rf x".into() }
        );
        let ask = r#","tool_name":"AskUserQuestion","tool_input":{"questions":[{"question":"Red or blue?"}]}"#;
        assert_eq!(
            claude("PermissionRequest", ask),
            Event::PermissionAsked { tool: "AskUserQuestion".into(), what: "Red or blue?".into() }
        );
    }

    #[test]
    fn the_start_of_codexs_question_tool_is_its_question() {
        let ask = r#","tool_name":"request_user_input","tool_input":{"questions":[{"question":"Which colour?"}]}"#;
        let tool = ASK_TOOL.to_owned();
        assert_eq!(
            claude("PreToolUse", ask),
            Event::PermissionAsked { tool: tool.clone(), what: "Which colour?".into() }
        );
        assert_eq!(claude("PostToolUse", ask), Event::ToolEnd { tool });
    }

    #[test]
    fn a_request_to_leave_planning_brings_the_whole_plan() {
        let read = |more: &str| {
            let text = format!(
                r#"{{"hook_event_name":"PermissionRequest","session_id":"s","permission_mode":"plan","tool_name":{more}}}"#
            );
            parse(Dialect::Claude, text.as_bytes()).expect("reads").expect("an event")
        };
        let event = read(r#""ExitPlanMode","tool_input":{"plan":"1. Read\n2. Mend\u001b[31m"}"#);
        assert_eq!((event.plan.as_deref(), event.leave), (Some("1. Read\n2. Mend[31m"), Some(Leave::Plan)));
        assert_eq!(read(r#""ExitPlanMode","tool_input":{}"#).plan.as_deref(), Some(""), "it says no plan");
        assert_eq!(read(r#""ExitPlanMode","tool_input":7"#).plan.as_deref(), Some(""));
        assert_eq!(read(r#""Bash","tool_input":{"plan":"x"}"#).plan, None);
    }

    #[test]
    fn an_event_of_tomorrow_is_none_of_ours_and_no_error() {
        assert_eq!(claude("MoonRise", ""), Event::Other { name: "MoonRise".into() });
    }

    #[test]
    fn the_hidden_title_thread_of_codex_is_not_the_agent() {
        let lines = include_str!("../../tests/recordings/codex-notify.jsonl");
        let sessions: Vec<Option<String>> = lines
            .lines()
            .map(|line| parse(Dialect::CodexNotify, line.as_bytes()).expect(line).map(|e| e.session))
            .collect();
        let own = Some("01a1f919-cee8-7bb1-9124-84a641ad2a6a".to_owned());
        assert_eq!(sessions, [None, own.clone(), None, own]);
    }

    #[test]
    fn the_end_of_a_turn_tells_which_prompts_were_read() {
        let last = include_str!("../../tests/recordings/codex-notify.jsonl").lines().last().expect("a line");
        let event = parse(Dialect::CodexNotify, last.as_bytes()).expect(last).expect("an event");
        assert_eq!(event.prompts.len(), 2, "{:?}", event.prompts);
        assert!(event.prompts[1].contains("[[script:commit"), "{:?}", event.prompts);
    }

    #[test]
    fn recorded_payloads_of_both_read() {
        let lines = include_str!("../../tests/recordings/hooks.jsonl");
        let mut names = Vec::new();
        for line in lines.lines() {
            let (dialect, payload) = line.split_once(' ').expect("dialect and payload");
            let event = parse(dialect.parse().expect(dialect), payload.as_bytes()).expect(line).expect("an event");
            assert!(event.session.len() == 36 && event.cwd.starts_with('/') && event.transcript.is_some());
            names.push(format!("{:?}", event.event).split([' ', '{']).next().unwrap_or_default().to_owned());
        }
        assert_eq!(
            names,
            [
                "SessionStart",
                "PromptSubmitted",
                "PermissionAsked",
                "Notification",
                "TurnEnded",
                "TurnFailed",
                "PartEnded",
                "SessionEnded",
                "SessionStart",
                "PermissionAsked",
                "TurnEnded",
                "Interrupted",
            ]
        );
    }

    #[test]
    fn garbage_is_a_typed_error() {
        assert!(matches!(parse(Dialect::Claude, b"[1]"), Err(HookError::Json { .. })));
        assert!(matches!(parse(Dialect::Claude, b"\xff"), Err(HookError::Json { .. })));
        assert_eq!(parse(Dialect::Claude, b"{}"), Err(HookError::Missing { field: "hook_event_name" }));
        let no_session = br#"{"hook_event_name":"Stop","session_id":7}"#;
        assert_eq!(parse(Dialect::Codex, no_session), Err(HookError::Missing { field: "session_id" }));
        assert_eq!(parse(Dialect::CodexNotify, b"{}"), Err(HookError::Missing { field: "type" }));
        let long = vec![b' '; MAX_PAYLOAD + 1];
        assert!(matches!(parse(Dialect::Claude, &long), Err(HookError::TooLong { .. })));
        assert!(matches!("bash".parse::<Dialect>(), Err(HookError::Dialect { .. })));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "ä".repeat(MAX_TEXT);
        let Event::TurnEnded { last_message: Some(text), .. } =
            claude("Stop", &format!(r#","last_assistant_message":"x{long}""#))
        else {
            panic!("no message")
        };
        assert_eq!(text.len(), MAX_TEXT - 1);
    }

    proptest! {
        #[test]
        fn any_fields_are_survived(name in "[A-Za-z]{1,12}", value in "[\\[\\]{}\":,a-z0-9]{0,40}") {
            for dialect in [Dialect::Claude, Dialect::Codex, Dialect::CodexNotify] {
                let _ = parse(dialect, value.as_bytes());
                let json = serde_json::json!({"hook_event_name": name, "session_id": "s", "type": name, "thread-id": "s",
                    "background_tasks": [value, 1, null], "tool_input": value, "input-messages": value});
                parse(dialect, json.to_string().as_bytes()).expect("an object with its names");
            }
        }
    }
}
