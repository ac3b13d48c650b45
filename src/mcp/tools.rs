//! The four tools: what they take, and what they say to the model.

use std::fmt::Write as _;
use std::time::Duration;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::mail::{Checks, Heard, Mail, MailError, Way};
use crate::model::checkin::{self, CheckIn, Claim, Via, cut_text};
use crate::model::id::CheckRun;
use crate::model::verdict::{CheckOutcome, Verdict, VerdictOutcome};

/// The longest that a call waits: below what CLIs give a tool that may take its time.
const MAX_WAIT_S: u32 = 570;

/// The most characters of one check's output that go into an answer.
const MAX_TAIL: usize = 2_000;

/// The most failed tests that are named for one check.
const MAX_FAILURES: usize = 10;

/// What may be called. None of them changes a file or leaves the machine, so that a CLI that asks
/// before such calls need not ask before these.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool(
            "check_in",
            "Report where you stand: what you did, what is next, what is in the way. A claim; it is compared with \
             what is seen. State ready starts the checks.",
            json!({
                "state": {"type": "string", "enum": ["working", "blocked", "needs-decision", "ready", "giving-up"],
                          "description": "ready: everything asked for is done and committed"},
                "did": {"type": "string", "description": "What you did since the last time, in a sentence or two"},
                "next": {"type": "string", "description": "What you do next"},
                "blockers": {"type": "array", "items": {"type": "string"}, "description": "What is in your way"},
                "question": {"type": "string", "description": "What only a person can decide"},
                "met": {"type": "array", "items": {"type": "integer", "minimum": 1},
                        "description": "Acceptance criteria that are met, by number"},
            }),
            &["state", "did"],
            words_only(),
        ),
        tool(
            "ask_human",
            "Ask the person who gave you this task something that you cannot find out and that would change the \
             outcome. Without wait_s, end your turn afterwards: the answer is your next message.",
            json!({
                "question": {"type": "string"},
                "options": {"type": "array", "items": {"type": "string"}, "description": "Answers to choose from"},
                "wait_s": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_S,
                           "description": "Wait this long for the answer instead of ending your turn"},
            }),
            &["question"],
            words_only(),
        ),
        tool(
            "get_brief",
            "Your brief, word for word: outcome, constraints, acceptance criteria.",
            json!({}),
            &[],
            ToolAnnotations::new().read_only(true).idempotent(true).open_world(false),
        ),
        tool(
            "run_checks",
            "Run the checks that your work is judged by on what is in your worktree now, and see what they show. \
             Leave the files alone meanwhile.",
            json!({
                "wait_s": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_S,
                           "description": "Wait at most this long; the checks go on"},
                "run": {"type": "integer", "minimum": 1,
                        "description": "A run that was still going on when you last looked: wait for it, begin none"},
            }),
            &[],
            // What is worked on is what it was before: checks that change it give no verdict. A CLI that
            // lets its agent only plan would otherwise ask, although the tool is allowed by name.
            ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false),
        ),
    ]
}

/// A report changes nothing that is worked on. An agent that may only plan may still report: its CLI
/// asks before every call that is not marked so.
fn words_only() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).destructive(false).idempotent(false).open_world(false)
}

fn tool(name: &'static str, about: &'static str, properties: Value, required: &[&str], marks: ToolAnnotations) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties);
    schema.insert("required".into(), json!(required));
    schema.insert("additionalProperties".into(), false.into());
    Tool::new(name, about, schema).with_annotations(marks)
}

/// Carries out one call; both answers are for the model.
pub(super) fn call(mail: &Mail, name: &str, given: Value) -> Result<String, String> {
    match name {
        "check_in" => check_in(mail, given),
        "ask_human" => ask_human(mail, read(given)?),
        "get_brief" => {
            read::<Nothing>(given)?;
            mail.read_brief().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| e.to_string())
        }
        "run_checks" => run_checks(mail, read(given)?),
        other => Err(format!("there is no tool {other:?}; there are check_in, ask_human, get_brief and run_checks")),
    }
}

fn read<T: for<'de> Deserialize<'de>>(given: Value) -> Result<T, String> {
    serde_json::from_value(given).map_err(|error| format!("the arguments do not fit: {error}"))
}

/// A report of which only what it says is given: its head is ours to write.
fn report(mut given: Value) -> Result<CheckIn, String> {
    if let Some(fields) = given.as_object_mut() {
        fields.entry("schemaVersion").or_insert(checkin::SCHEMA.into());
        fields.entry("kind").or_insert("check-in".into());
    }
    read(given)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn check_in(mail: &Mail, given: Value) -> Result<String, String> {
    // A file may leave it out; whoever is told of it in a schema may not.
    let says = given.get("did").is_some();
    let given = report(given)?;
    let check_in = given.clone().bounded();
    if !says {
        return Err("the arguments do not fit: missing field `did`".into());
    }
    if check_in.is_empty() {
        return Err("that says nothing: say what you did, what is next, or what is in the way".into());
    }
    let way = mail.check_in(&check_in, Via::Mcp).map_err(|error| error.to_string())?;
    let then = match check_in.state {
        Claim::Ready => " The checks run on what is committed and what is not; end your turn.",
        Claim::NeedsDecision | Claim::Blocked | Claim::GivingUp => " Where you cannot go on, end your turn.",
        Claim::Working => "",
    };
    Ok(format!("{}{}{then}", went("Checked in", &way), cut(&given)))
}

/// What the model is told where not all is kept that it said.
fn cut(given: &CheckIn) -> String {
    let cut = cut_text(&given.cut());
    if cut.is_empty() { cut } else { format!(" But {cut}.") }
}

fn went(what: &str, way: &Way) -> String {
    match way {
        Way::Socket => format!("{what}."),
        Way::Outbox { .. } => format!("{what}, through the outbox: the supervisor does not answer just now."),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    question: String,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    wait_s: u32,
}

fn ask_human(mail: &Mail, asked: Question) -> Result<String, String> {
    const LATER: &str = "End your turn: the answer will be your next message.";
    let given = CheckIn::question(&asked.question, &asked.options);
    let check_in = given.clone().bounded();
    if check_in.question.is_none() {
        return Err("the question is empty".into());
    }
    if asked.wait_s == 0 {
        let way = mail.check_in(&check_in, Via::Mcp).map_err(|error| error.to_string())?;
        return Ok(format!("{}{} {LATER}", went("Asked", &way), cut(&given)));
    }
    let way = mail.ask_and_listen(&check_in, Via::Mcp).map_err(|error| error.to_string())?;
    match mail.hear(seconds(asked.wait_s)) {
        Ok(Heard::Said(text)) => Ok(format!("The answer: {text}")),
        Ok(Heard::Nothing) => Ok(format!("Nobody has answered yet; the question stays.{} {LATER}", cut(&given))),
        Ok(Heard::Settled) => Ok("It was answered in your terminal; end your turn to read it.".into()),
        Err(error @ MailError::Unreachable { .. }) => {
            Ok(format!("{}{} ({error}) {LATER}", went("Asked", &way), cut(&given)))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(wanted: u32) -> Duration {
    Duration::from_secs(u64::from(wanted.min(MAX_WAIT_S)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    wait_s: Option<u32>,
    #[serde(default)]
    run: Option<u64>,
}

fn run_checks(mail: &Mail, wanted: Wanted) -> Result<String, String> {
    let wait = seconds(wanted.wait_s.unwrap_or(MAX_WAIT_S));
    let Checks { run, running, verdict } =
        mail.check(wanted.run.map(CheckRun), wait).map_err(|error| error.to_string())?;
    match verdict {
        Some(verdict) => Ok(showed(&verdict)),
        None if running => Ok(format!("Still running. Call run_checks with run {} to wait on.", run.0)),
        None => Err("they were dropped: something else was begun meanwhile, or the task was stopped".into()),
    }
}

/// What checks showed, for a reader that mends what failed.
fn showed(verdict: &Verdict) -> String {
    let mut text = match verdict.outcome {
        VerdictOutcome::Green => "green: all checks passed".to_owned(),
        VerdictOutcome::Red => "red: not all checks passed".to_owned(),
        VerdictOutcome::Stale => "stale: files changed while the checks ran; run them again".to_owned(),
        VerdictOutcome::None => "there are no checks".to_owned(),
        VerdictOutcome::Error => "the checks could not be run".to_owned(),
    };
    if !verdict.why.is_empty() {
        let _ = write!(text, " ({})", verdict.why);
    }
    for check in &verdict.checks {
        let said = match check.outcome {
            CheckOutcome::Pass => "passed",
            CheckOutcome::Fail => "failed",
            CheckOutcome::Timeout => "took too long",
            CheckOutcome::Error => "could not be run",
        };
        let _ = write!(text, "\n\n{}: {said}", check.name);
        if check.outcome == CheckOutcome::Pass {
            continue;
        }
        for part in [&check.why, &check.command].into_iter().filter(|part| !part.is_empty()) {
            let _ = write!(text, "\n{part}");
        }
        for failure in check.failures.iter().take(MAX_FAILURES) {
            let _ = write!(text, "\n- {}: {}", failure.test, failure.message);
        }
        let skip = check.tail.chars().count().saturating_sub(MAX_TAIL);
        let _ = write!(text, "\n{}", check.tail.chars().skip(skip).collect::<String>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_and_what_is_read_agree() {
        let names: Vec<String> = all().iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, ["check_in", "ask_human", "get_brief", "run_checks"]);
        let properties = |name: &str| {
            let tool = all().into_iter().find(|tool| tool.name == name).expect("a tool");
            tool.input_schema["properties"].as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        let mut full = json!({
            "state": "ready", "did": "a", "next": "b", "blockers": ["c"], "question": "d", "met": [1],
        });
        assert_eq!(full.as_object().expect("an object").keys().cloned().collect::<Vec<_>>(), properties("check_in"));
        report(full.clone()).map_err(|e| panic!("{e}")).ok();
        full["more"] = json!(1);
        assert!(report(full).is_err());
        for tool in all() {
            let marks = tool.annotations.expect("marks");
            assert!(marks.destructive_hint != Some(true) && marks.open_world_hint == Some(false), "{}", tool.name);
        }
    }

    #[test]
    fn what_is_wrong_is_said_to_the_model() {
        let nobody = Mail::default();
        let said = |name: &str, given: Value| call(&nobody, name, given).expect_err("an error");
        assert!(said("check_in", json!({"state": "done"})).contains("unknown variant `done`"));
        assert!(said("check_in", json!({"state": "ready", "did": ""})).contains("this is no attempt of standup"));
        assert!(said("check_in", json!({"state": "working"})).contains("missing field `did`"));
        assert!(said("check_in", json!({"state": "working", "did": " \n"})).contains("that says nothing"));
        assert!(said("ask_human", json!({"question": " "})).contains("the question is empty"));
        assert!(said("get_brief", json!({})).contains("this is no attempt"));
        assert!(said("merge", json!({})).contains("there is no tool \"merge\""));
    }
}
