//! The lease on an agent's input: taken, kept over restarts, given back with a word on what changed.
//!
//! **Invariant:** while a task stands in Takeover nothing is typed, resumed, checked or moved by a
//! rule; the lease ends when the card leaves the column, by handback or by hand. Must not know: how
//! a worktree is looked at.

use crate::model::action::Action;
use crate::model::attempt::{Attempt, End, Phase};
use crate::model::board::Task;
use crate::model::event::{By, Event};
use crate::model::id::{ActionId, AttemptId, TaskId};
use crate::model::input::{Refusal, RefusalCode, Reply};
use crate::model::lease::{Changes, Lease, Mark};
use crate::model::message::From;
use crate::model::task::Column;

use super::command::{refuse, require_attempt, require_task, ways_on};
use super::turn::Turn;

type Answer = Result<Reply, Refusal>;

/// A person takes the agent's input over, or claims what a rule took for them.
pub(super) fn takeover(turn: &mut Turn<'_>, id: TaskId, reason: String) -> Answer {
    let (of, attempt) = require_attempt(turn, id)?;
    let (preparing, made) = (matches!(attempt.phase, Phase::Preparing { .. }), attempt.base_oid.is_some());
    let task = require_task(turn, id)?;
    if task.column.is_closed() || task.column == Column::Backlog {
        let text = format!("{id} is in {}; there is nothing to take over", task.column);
        return refuse(RefusalCode::Failure, text, &ways_on(turn, id));
    }
    if preparing {
        let text = format!("the worktree of {of} is still being made");
        return refuse(RefusalCode::Failure, text, &[format!("standup wait {id} --for working")]);
    }
    if !made {
        let text = format!("{of} has no worktree to work in");
        return refuse(RefusalCode::Failure, text, &[format!("standup retry {id}")]);
    }
    match &task.lease {
        Some(lease) if lease.by == By::Person => {
            if !reason.is_empty() && reason != lease.reason {
                let moved = Event::TaskMoved { from: Column::Takeover, to: Column::Takeover, by: By::Person, reason };
                turn.task_event(id, moved);
            }
        }
        // Claimed without a word, it is in a person's hands for what the rule said.
        Some(lease) if reason.is_empty() => {
            let reason = lease.reason.clone();
            take(turn, of, By::Person, reason);
        }
        _ => take(turn, of, By::Person, reason),
    }
    Ok(Reply::Ok {})
}

/// Locks an agent's input to a person. Safe to say again.
pub(super) fn take(turn: &mut Turn<'_>, of: AttemptId, by: By, reason: String) {
    let Some(from) = turn.task(of.task).map(|task| task.column) else { return };
    let Some(worktree) = turn.current(of).map(|attempt| attempt.worktree.clone()) else { return };
    let moved = Event::TaskMoved { from, to: Column::Takeover, by, reason: reason.clone() };
    turn.task_event(of.task, moved);
    let action = turn.next_action();
    turn.attempt_event(of, Event::TakenOver { by, reason, action });
    turn.order(action, of, Action::Survey { worktree, since: None });
}

/// A person wants to give it back: first what changed is looked at.
pub(super) fn handback(turn: &mut Turn<'_>, id: TaskId, note: String) -> Answer {
    let task = require_task(turn, id)?;
    let Some(lease) = task.lease.clone() else {
        let text = format!("{id} is in {}, not in your hands", task.column);
        return refuse(RefusalCode::Failure, text, &[format!("standup takeover {id} --reason \"…\"")]);
    };
    if lease.returning.is_some() {
        return refuse(RefusalCode::Failure, format!("{id} is being handed back already"), &[]);
    }
    let (of, _) = require_attempt(turn, id)?;
    give(turn, of, note);
    Ok(Reply::Ok {})
}

/// Begins to give back what is taken over.
pub(super) fn give(turn: &mut Turn<'_>, of: AttemptId, note: String) {
    let Some(since) = turn.task(of.task).and_then(|task| task.lease.as_ref()).map(|lease| lease.mark.clone()) else {
        return;
    };
    let Some(worktree) = turn.current(of).map(|attempt| attempt.worktree.clone()) else { return };
    let action = turn.next_action();
    turn.attempt_event(of, Event::HandbackAsked { note, action });
    turn.order(action, of, Action::Survey { worktree, since });
}

/// The attempt for whose lease an action looks.
pub(super) fn owner(turn: &Turn<'_>, id: ActionId) -> Option<AttemptId> {
    let looks = |lease: &Lease| lease.marking == Some(id) || lease.returning.as_ref().is_some_and(|r| r.action == id);
    turn.board.tasks.values().find(|task| task.lease.as_ref().is_some_and(looks))?.attempt_id()
}

/// The worktree was looked at, or could not be.
pub(super) fn surveyed(turn: &mut Turn<'_>, of: AttemptId, action: ActionId, seen: Option<(Mark, Option<Changes>)>) {
    let Some(lease) = turn.task(of.task).and_then(|task| task.lease.clone()) else { return };
    match (&lease.returning, seen) {
        (Some(returning), seen) if returning.action == action => {
            let note = returning.note.clone();
            give_back(turn, of, &lease, seen.and_then(|(_, changes)| changes), note);
        }
        (None, Some((mark, _))) => turn.attempt_event(of, Event::WorktreeMarked { mark }),
        // Too late for a mark, or none could be made: what changed stays untold.
        _ => {}
    }
}

fn give_back(turn: &mut Turn<'_>, of: AttemptId, lease: &Lease, changes: Option<Changes>, note: String) {
    turn.attempt_event(of, Event::HandedBack { changes: changes.clone(), note: note.clone() });
    let reason = if note.is_empty() { "handed back".to_owned() } else { format!("handed back: {note}") };
    let moved = Event::TaskMoved { from: Column::Takeover, to: lease.from, by: By::Person, reason };
    turn.task_event(of.task, moved);
    let Some(attempt) = turn.current(of).cloned() else { return };
    if attempt.asks.is_some() {
        turn.attempt_event(of, Event::QuestionSettled {});
    }
    let untouched = changes.as_ref().is_some_and(Changes::is_empty);
    if !untouched {
        withdraw_feedback(turn, of);
    }
    let rests = lease.from == Column::Review && untouched && note.is_empty();
    if rests {
        return;
    }
    if hears(turn, &attempt) {
        let (msg, text) = (turn.next_msg(), told(changes.as_ref(), &note));
        turn.attempt_event(of, Event::MessageQueued { msg, from: From::Handback, text, now: false });
    } else if lease.from == Column::Build && is_at_an_end(&attempt) {
        // Nobody is left to say so: what is in the worktree is the work.
        turn.attempt_event(of, Event::WorkFinished { by: "it was handed back".into() });
    }
}

/// Failures that were seen before a person changed something say nothing of what there is now.
fn withdraw_feedback(turn: &mut Turn<'_>, of: AttemptId) {
    let Some(task) = turn.task(of.task) else { return };
    let old = task.messages.iter().filter(|m| m.attempt == of.no && m.from == From::Checks && m.is_queued());
    let old: Vec<_> = old.map(|m| m.id).collect();
    for msg in old {
        let why = "the worktree has changed since".to_owned();
        turn.attempt_event(of, Event::MessageWithdrawn { msg, why });
    }
}

/// Whether a message reaches the agent: it lives and takes messages, or can be brought back.
fn hears(turn: &Turn<'_>, attempt: &Attempt) -> bool {
    let lost = matches!(attempt.end(), Some(End::Failed { .. } | End::Lost { .. }));
    turn.reads(attempt) && (attempt.is_active() || (!lost && turn.resumes(attempt)))
}

/// Whether its agent has ended in a way that leaves its work worth checking.
fn is_at_an_end(attempt: &Attempt) -> bool {
    match attempt.end() {
        Some(End::Exited { exit }) => exit.is_success(),
        Some(End::Stopped { .. }) => true,
        Some(End::Failed { .. } | End::Lost { .. }) | None => false,
    }
}

/// What the agent is told. Paths and subjects are named, never quoted at length.
fn told(changes: Option<&Changes>, note: &str) -> String {
    let mut lines = vec!["You have your terminal back; a person had taken over this task.".to_owned()];
    match changes {
        None => {
            lines.push("What was changed meanwhile could not be worked out: look at git status and git log.".into())
        }
        Some(changes) if changes.is_empty() => lines.push("Nothing in your worktree was changed meanwhile.".into()),
        Some(changes) => {
            lines.push("Meanwhile this changed in your worktree:".into());
            lines.extend(summary(changes));
            lines.push("Read it before you go on, and keep it.".into());
        }
    }
    if !note.is_empty() {
        lines.push(format!("Note: {note}"));
    }
    lines.push("Go on.".into());
    lines.join("\n")
}

/// What changed, line by line.
fn summary(changes: &Changes) -> Vec<String> {
    let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let more = |all: u64, named: usize| all.saturating_sub(u64::try_from(named).unwrap_or(u64::MAX));
    let mut lines = Vec::new();
    if changes.files > 0 {
        let counts = format!("+{} -{}", changes.insertions, changes.deletions);
        let open = if changes.dirty { ", not all committed" } else { "" };
        lines.push(format!("{} ({counts}{open}):", plural(changes.files, "file")));
        lines.extend(changes.paths.iter().map(|path| format!("  {path}")));
        match more(changes.files, changes.paths.len()) {
            0 => {}
            n => lines.push(format!("  and {n} more")),
        }
    }
    if changes.commits > 0 {
        lines.push(format!("{}:", plural(changes.commits, "commit")));
        lines.extend(changes.subjects.iter().map(|subject| format!("  {subject}")));
        match more(changes.commits, changes.subjects.len()) {
            0 => {}
            n => lines.push(format!("  and {n} more")),
        }
    }
    lines
}

/// Refuses what would go into an agent's terminal past the person who has its input. `there` is what
/// that person does instead.
pub(super) fn refuse_input(task: &Task, there: &str) -> Result<(), Refusal> {
    let Some(lease) = task.lease.as_ref() else { return Ok(()) };
    let id = task.id;
    let (text, first) = match lease.by {
        By::Person => (format!("{id} is in your hands: {there}, or hand it back"), format!("standup attach {id}")),
        By::Rule => (format!("{id} was taken over for you: {}", lease.reason), format!("standup takeover {id}")),
    };
    refuse(RefusalCode::Policy, text, &[first, format!("standup handback {id} --note \"…\"")])
}

/// Why messages of a task that is in a person's hands wait.
pub(super) fn hold_text(id: TaskId, lease: Option<&Lease>, waiting: usize) -> String {
    if lease.is_some_and(|lease| lease.returning.is_some()) {
        return "being handed back; what changed is looked at first".to_owned();
    }
    let whose = match lease {
        Some(lease) if lease.by == By::Rule => format!("taken over for you: {}", lease.reason),
        _ => "in your hands".to_owned(),
    };
    match waiting {
        0 => format!("{whose} until standup handback {id}"),
        1 => format!("{whose} until standup handback {id}; 1 message waits"),
        n => format!("{whose} until standup handback {id}; {n} messages wait"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_hears_what_changed_and_how_much_more() {
        let changes = Changes {
            files: 3,
            insertions: 10,
            deletions: 1,
            paths: vec!["M src/a.rs".into(), "A src/b.rs".into()],
            commits: 1,
            subjects: vec!["abc1234 Fix it".into()],
            dirty: true,
        };
        let text = told(Some(&changes), "mind the gap");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "Meanwhile this changed in your worktree:",
                "3 files (+10 -1, not all committed):",
                "  M src/a.rs",
                "  A src/b.rs",
                "  and 1 more",
                "1 commit:",
                "  abc1234 Fix it",
                "Read it before you go on, and keep it.",
                "Note: mind the gap",
                "Go on."
            ]
        );
    }

    #[test]
    fn nothing_and_not_knowing_are_two_things() {
        assert!(told(Some(&Changes::default()), "").contains("Nothing in your worktree was changed"));
        assert!(told(None, "").contains("could not be worked out"));
    }
}
