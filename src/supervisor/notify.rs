//! Tells you that a task needs you: through the terminals that are attached to other tasks, and by
//! the program of `[notify]`.
//!
//! **Invariant:** one notification for each need, none for one that a person looks at already, none
//! again after a restart; the program is started without a shell, one at a time, and is never
//! waited for. Must not know: how a terminal shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::effects::blocking;
use super::hosts::Ask;
use super::world::World;
use crate::model::attempt::Attempt;
use crate::model::board::{Board, NeedsYou, Task};
use crate::model::event::NeedKind;
use crate::model::id::TaskId;
use crate::model::name::AgentName;
use crate::model::state::RunKind;
use crate::model::text::clean_line;
use crate::model::time::Wall;
use crate::os::locate;
use crate::os::run::Run;

/// How long a need must stand before anybody is told: what asks comes in parts, and a person at
/// the terminal answers many a question at once.
const STANDS: Duration = Duration::from_millis(500);

/// How long after a start a need that was there before counts as the same, should it come anew
/// while agents are looked at again.
const SETTLES: Duration = Duration::from_secs(30);

/// How long the program may take. One that shows a window and waits for it is ended.
const LIMIT: Duration = Duration::from_secs(10);

/// Notifications waiting for the program; more are dropped, and the board has them all.
const QUEUE: usize = 16;

/// Characters of a notification's body.
const MAX_BODY: usize = 300;

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    title: String,
    body: String,
}

/// Which need of a task.
type Which = (NeedKind, Wall);

/// Who was told of what.
pub(super) struct Notifier {
    began: Instant,
    /// Needs that stand, told or not.
    known: BTreeMap<TaskId, Which>,
    /// Needs that stood before this supervisor.
    inherited: BTreeMap<TaskId, NeedKind>,
    /// Needs that are to be told of.
    due: BTreeMap<TaskId, Instant>,
    /// Agents of whose missing login was told.
    logins: BTreeSet<AgentName>,
    commands: mpsc::Sender<(Vec<String>, Note)>,
}

impl Notifier {
    /// What stands on the board has been told of.
    pub(super) fn new(world: &Arc<World>, board: &Board) -> Self {
        let (commands, mut queue) = mpsc::channel::<(Vec<String>, Note)>(QUEUE);
        let world = world.clone();
        tokio::spawn(async move {
            while let Some((argv, note)) = queue.recv().await {
                let root = world.place.root();
                blocking(move || run(&argv, &note, &root)).await;
            }
        });
        Self {
            began: Instant::now(),
            known: needs(board).map(|(task, need)| (task.id, (need.kind, need.since))).collect(),
            inherited: needs(board).map(|(task, need)| (task.id, need.kind)).collect(),
            due: BTreeMap::new(),
            logins: needs(board).filter(|(_, n)| n.kind == NeedKind::Login).filter_map(|(t, _)| agent(t)).collect(),
            commands,
        }
    }

    /// When the next one is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Follows the board, and tells what is due.
    pub(super) fn follow(&mut self, world: &World, board: &Board) {
        let now = Instant::now();
        self.known.retain(|id, _| needs(board).any(|(task, _)| task.id == *id));
        self.logins.retain(|name| {
            needs(board).any(|(task, need)| need.kind == NeedKind::Login && agent(task).as_ref() == Some(name))
        });
        // An agent that was seen to go on has left what it stood in before.
        self.inherited.retain(|id, _| {
            let run = board.tasks.get(id).and_then(Task::attempt).map(|a| a.run.kind);
            !matches!(run, None | Some(RunKind::Working | RunKind::Idle))
        });
        for (task, need) in needs(board) {
            let which = (need.kind, need.since);
            if self.known.insert(task.id, which) == Some(which) {
                continue;
            }
            let again = self.inherited.remove(&task.id) == Some(need.kind);
            if !(again && now.saturating_duration_since(self.began) < SETTLES) {
                self.due.insert(task.id, now + STANDS);
            }
        }
        let due: Vec<TaskId> = self.due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        self.due.retain(|id, at| *at > now && self.known.contains_key(id));
        for id in due {
            self.tell(world, board, id);
        }
    }

    fn tell(&mut self, world: &World, board: &Board, id: TaskId) {
        let Some((task, need)) = needs(board).find(|(task, _)| task.id == id) else { return };
        let looked_at = |task: &Task| task.attempt_id().and_then(|id| world.host(id)).is_some_and(|h| h.attached() > 0);
        if looked_at(task) {
            return;
        }
        // A login that is missing is missing for all of an agent's tasks.
        if need.kind == NeedKind::Login && agent(task).is_some_and(|agent| !self.logins.insert(agent)) {
            return;
        }
        let note = note(task, need);
        let loaded = world.loaded();
        let settings = &loaded.effective.settings.notify;
        if settings.terminal {
            let others = board.tasks.values().filter(|other| other.id != id && looked_at(other));
            for host in others.filter_map(|other| world.host(other.attempt_id()?)) {
                host.offer(Ask::Notice(format!("{}: {}", note.title, note.body)));
            }
        }
        if !settings.command.is_empty() && loaded.trusted {
            let told = self.commands.try_send((settings.command.clone(), note));
            if told.is_err() {
                tracing::warn!(task = %id, "a notification was dropped: the program does not keep up");
            }
        }
    }
}

fn needs(board: &Board) -> impl Iterator<Item = (&Task, &NeedsYou)> {
    board.tasks.values().filter_map(|task| Some((task, task.needs_you.as_ref()?)))
}

fn agent(task: &Task) -> Option<AgentName> {
    task.attempt().map(|attempt: &Attempt| attempt.agent.clone())
}

fn note(task: &Task, need: &NeedsYou) -> Note {
    let what = match need.kind {
        NeedKind::Permission => "asks for permission",
        NeedKind::Question => "asks you",
        NeedKind::Trust => "asks whether a folder is trusted",
        NeedKind::Login => "wants a login",
        NeedKind::Late => "is late",
        NeedKind::Red => "stays red",
        NeedKind::Limit => "is over a limit",
        NeedKind::Exit => "went wrong",
        NeedKind::OffLimits => "touched what is off limits",
        NeedKind::Lost => "is lost",
        NeedKind::Broken => "has a broken worktree",
    };
    // It begins with a mark, so that no program takes a title for one of its options.
    let body: String = format!("“{}” {}", clean_line(&task.spec.title), clean_line(&need.question));
    Note { title: format!("{} {what}", task.id), body: body.chars().take(MAX_BODY).collect() }
}

/// A word of the command with its placeholders filled in, each once: what is filled in is text.
fn fill(word: &str, note: &Note) -> String {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, after) = if let Some(after) = rest.strip_prefix("{title}") {
            (note.title.as_str(), after)
        } else if let Some(after) = rest.strip_prefix("{body}") {
            (note.body.as_str(), after)
        } else {
            ("{", &rest[1..])
        };
        filled.push_str(text);
        rest = after;
    }
    filled + rest
}

fn run(argv: &[String], note: &Note, root: &std::path::Path) {
    let Some((program, args)) = argv.split_first() else { return };
    let Ok(found) = locate::program(OsStr::new(program), root) else {
        tracing::warn!("the program of [notify] is not found: {program}");
        return;
    };
    let args = args.iter().map(|word| fill(word, note));
    match Run::new(found).args(args).cwd(root).timeout(LIMIT).max_output(4 << 10).output() {
        Ok(output) if output.ended.is_success() => {}
        Ok(output) => tracing::warn!(ended = ?output.ended, "the program of [notify] failed"),
        Err(error) => tracing::warn!(%error, "the program of [notify] failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_text_and_nothing_more() {
        let note = Note { title: "T1 asks you".into(), body: "{title} $(rm) `x`".into() };
        assert_eq!(fill("{body}", &note), "{title} $(rm) `x`");
        assert_eq!(fill("a {title}: {body}{", &note), "a T1 asks you: {title} $(rm) `x`{");
        assert_eq!(fill("{other} {}", &note), "{other} {}");
    }
}
