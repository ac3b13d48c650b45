//! Every command that is hinted is one that is taken as things stand: tried on a copy, after each
//! line of every story. What is wrong is told as a line that no story may keep.

use std::path::PathBuf;

use standup::board::{text, view};
use standup::model::board::Task;
use standup::model::id::TaskId;
use standup::model::input::{Command, Input};
use standup::model::state::RunKind;
use standup::model::task::Column;
use standup::model::time::Now;
use standup::policy::Machine;

use crate::WRONG;

/// What the board hints at for everything that needs a person.
pub(crate) fn of_needs(machine: &Machine, now: Now) -> Vec<String> {
    let scene = view::Scene {
        repo: PathBuf::from("/repo"),
        base: None,
        supervisor: None,
        banners: Vec::new(),
        holders: None,
        home: None,
        now,
    };
    let board = machine.board();
    // One that comes back judges needs once it has read the settings.
    if board.surroundings.is_none() {
        return Vec::new();
    }
    // What is being answered, and a dialog that is not seen again yet after a restart, pass in a moment.
    let passes = |task: &&Task| {
        let of = task.attempt();
        of.is_some_and(|a| a.answer.is_some() || (a.run.kind == RunKind::Waiting && a.dialog.is_none()))
    };
    let needing = board.tasks.values().filter(|task| !passes(task));
    let needing = needing.filter_map(|task| Some((task, task.needs_you.as_ref()?.kind)));
    let hints = needing.map(|(task, kind)| {
        let mut shown = view::task(board, task, &scene);
        // There is a supervisor in every story: what it saw is what is shown.
        shown.state.kind = task.attempt().map_or(shown.state.kind, |attempt| attempt.run.kind);
        text::next_steps(&shown, kind)
    });
    let hints: Vec<String> = hints.flatten().collect();
    refused(machine, now, &hints)
}

/// Those of the hints that are refused as things stand.
pub(crate) fn refused(machine: &Machine, now: Now, hints: &[String]) -> Vec<String> {
    hints.iter().filter_map(|hint| Some(format!("{WRONG} {hint}: {}", why_refused(machine, now, hint)?))).collect()
}

fn why_refused(machine: &Machine, now: Now, hint: &str) -> Option<String> {
    let (hint, _) = hint.split_once("    #").unwrap_or((hint, ""));
    // What git itself is asked for is no verb of ours.
    if hint.starts_with("git ") {
        return None;
    }
    let mut words = hint.split_whitespace();
    let (Some("standup"), Some(verb)) = (words.next(), words.next()) else { return Some("no command".into()) };
    let task: TaskId = words.next()?.parse().ok()?;
    let rest = words.next().unwrap_or_default().to_owned();
    let text = "a word".to_owned();
    if verb == "attach" {
        let host = machine.board().tasks.get(&task).and_then(|t| t.attempt()).and_then(|a| a.host());
        return host.is_none().then(|| "nothing runs that could be attached to".to_owned());
    }
    let command = match verb {
        "start" => Command::Start { task },
        "stop" => Command::Stop { task },
        "retry" => Command::Retry { task, agent: None },
        "verify" => Command::Verify { task },
        "send" => Command::Send { task, text, now: false },
        "takeover" => Command::Takeover { task, reason: text },
        "handback" => Command::Handback { task, note: text },
        "approve" => Command::Approve { task },
        "reject" => Command::Reject { task, note: text },
        "resume" => Command::Resume { task },
        "nudge" => Command::Nudge { task },
        // An answer in words of its own is shown as dots.
        "answer" if !rest.starts_with('"') => Command::Answer { task, choice: rest },
        "move" => Command::Move { task, to: rest.parse::<Column>().ok()?, reason: text },
        _ => return None,
    };
    let mut copy = machine.clone();
    let refusal = copy.step(Input::Command(command), now).reply.err()?;
    // Who waits for room is told so, and takes the hint once there is some.
    (!refusal.text.contains(" is full ")).then_some(refusal.text)
}
