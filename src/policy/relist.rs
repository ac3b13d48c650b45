//! Which tasks a list names that is given once more.
//!
//! What a list says is held against what it said before, not against what a person made of the task
//! since: only what changed in the list is taken over.
//!
//! **Invariant:** a task that is Done or Canceled is never rewritten: another text is other work, and
//! becomes a new task. Must not know: files, formats of lists.

use std::collections::BTreeSet;

use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::input::NewTask;
use crate::model::task::TaskSpec;

use super::merge::{Merged, merged};

/// What becomes of one task of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Add,
    /// It is this one, and says something else by now.
    Change {
        /// Which.
        id: TaskId,
        /// Keys that a person had changed too, and that are as the list says from now on.
        over: Vec<&'static str>,
    },
    /// It is this one, as it was.
    Leave {
        /// Which.
        id: TaskId,
        /// Whether there is nothing to be stored of it either: neither another place in its list
        /// nor other words there for what the task says already.
        known: bool,
    },
}

impl Fate {
    /// The task that it is, where there is one.
    #[must_use]
    pub const fn known(&self) -> Option<TaskId> {
        match self {
            Self::Add => None,
            Self::Change { id, .. } | Self::Leave { id, .. } => Some(*id),
        }
    }
}

/// What becomes of each task of a list: what says the same is the same wherever it stands in its
/// list by now; the rest is known by its key, which may be no more than its place.
#[must_use]
pub fn fates(board: &Board, tasks: &[NewTask]) -> Vec<Fate> {
    let matched = matches(board, tasks);
    let fate = |(new, found): (&NewTask, &Option<&Task>)| match found {
        None => Fate::Add,
        Some(task) if task.column.is_closed() => Fate::Leave { id: task.id, known: true },
        Some(task) => fate_of(task, new, &matched),
    };
    tasks.iter().zip(&matched).map(fate).collect()
}

/// What a list says of a task, put into what is asked for: what changed in the list alone.
#[must_use]
pub fn taken_over(task: &Task, new: &TaskSpec) -> Merged {
    let mut merged = merged(task.listed(), new, &task.spec);
    merged.spec.key.clone_from(&new.key);
    merged
}

fn fate_of(task: &Task, new: &NewTask, matched: &[Option<&Task>]) -> Fate {
    let mut spec = new.spec.clone();
    let mut waits_for_new = false;
    for place in &new.needs_new {
        match matched.get(*place).copied().flatten() {
            Some(need) if spec.needs.contains(&need.id) => {}
            Some(need) => spec.needs.push(need.id),
            None => waits_for_new = true,
        }
    }
    let Merged { spec: to_be, both: mut over } = taken_over(task, &spec);
    if waits_for_new && task.spec.needs != task.listed().needs && !over.contains(&"needs") {
        over.push("needs");
    }
    if waits_for_new || (TaskSpec { key: task.spec.key.clone(), ..to_be }) != task.spec {
        return Fate::Change { id: task.id, over };
    }
    Fate::Leave { id: task.id, known: *task.listed() == spec && task.spec.key == spec.key }
}

fn matches<'a>(board: &'a Board, tasks: &[NewTask]) -> Vec<Option<&'a Task>> {
    // Of several with one key the newest counts: the others were done before it was added.
    let newest_first = || board.tasks.values().rev().filter(|task| task.spec.key.is_some());
    let mut taken = BTreeSet::new();
    let mut found: Vec<Option<&Task>> = vec![None; tasks.len()];
    let ways: [fn(&TaskSpec, &Task) -> bool; 3] = [
        |new, old| new.key == old.spec.key && says_the_same(new, old),
        |new, old| is_of_one_list(new, &old.spec) && says_the_same(new, old),
        |new, old| new.key == old.spec.key && !old.column.is_closed(),
    ];
    for way in ways {
        for (new, found) in
            tasks.iter().zip(&mut found).filter(|(new, found)| new.spec.key.is_some() && found.is_none())
        {
            *found = newest_first().find(|old| !taken.contains(&old.id) && way(&new.spec, old));
            taken.extend(found.map(|task| task.id));
        }
    }
    found
}

/// Whether this is what the list said, or what the task says by now.
fn says_the_same(new: &TaskSpec, old: &Task) -> bool {
    [old.listed(), &old.spec].into_iter().any(|said| (&new.title, &new.brief) == (&said.title, &said.brief))
}

/// Whether both stand in one numbered list, where the number is but a place.
fn is_of_one_list(new: &TaskSpec, old: &TaskSpec) -> bool {
    let list = |spec: &TaskSpec| {
        let (list, number) = spec.key.as_deref()?.rsplit_once('#')?;
        // An issue has a number and no list: there the number is the name.
        (!list.is_empty() && number.parse::<u32>().is_ok()).then(|| list.to_owned())
    };
    list(new).is_some_and(|list_| list(old) == Some(list_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Record};
    use crate::model::settings::Priority;
    use crate::model::task::TextRef;
    use crate::model::time::Now;
    use crate::policy::fold;

    fn spec(title: &str, n: u32) -> TaskSpec {
        let key = Some(format!("t.txt#{n}"));
        TaskSpec { key, ..TaskSpec::new(title, TextRef(title.to_owned())) }
    }

    fn id(n: u32) -> TaskId {
        TaskId::new(n).expect("from 1")
    }

    fn told(board: &mut Board, n: u32, event: Event) {
        fold::apply(board, &Record { task: Some(id(n)), attempt: None, event }, Now::default());
    }

    fn edited(board: &mut Board, n: u32, spec: TaskSpec) {
        told(board, n, Event::TaskEdited { spec: Box::new(spec), listed: None });
    }

    /// One and Two, as a list brought them.
    fn board() -> Board {
        let mut board = Board::default();
        for (n, title) in [(1, "One"), (2, "Two")] {
            told(&mut board, n, Event::TaskAdded { spec: Box::new(spec(title, n)) });
        }
        board
    }

    fn list(specs: &[TaskSpec]) -> Vec<NewTask> {
        specs.iter().map(|spec| NewTask { spec: spec.clone(), needs_new: Vec::new() }).collect()
    }

    const fn left(n: TaskId, known: bool) -> Fate {
        Fate::Leave { id: n, known }
    }

    #[test]
    fn what_was_edited_is_no_change_of_the_list() {
        let mut board = board();
        edited(&mut board, 1, TaskSpec { priority: Priority::Urgent, needs: vec![id(2)], ..spec("One", 1) });
        edited(&mut board, 2, spec("Two, at length", 2));
        let same = list(&[spec("One", 1), spec("Two", 2)]);
        assert_eq!(fates(&board, &same), [left(id(1), true), left(id(2), true)]);
        // Nor is it where the lines stand elsewhere.
        let moved = list(&[spec("Two", 1), spec("One", 2)]);
        assert_eq!(fates(&board, &moved), [left(id(2), false), left(id(1), false)]);
    }

    #[test]
    fn what_changed_in_the_list_is_taken_over_and_what_both_changed_is_named() {
        let mut board = board();
        edited(&mut board, 1, TaskSpec { priority: Priority::Urgent, labels: vec!["ui".into()], ..spec("One", 1) });
        let low = TaskSpec { priority: Priority::Low, base: Some("next".into()), ..spec("One", 1) };
        assert_eq!(
            fates(&board, &list(std::slice::from_ref(&low))),
            [Fate::Change { id: id(1), over: vec!["priority"] }]
        );
        let both = TaskSpec { labels: vec!["ui".into()], ..low };
        assert_eq!(taken_over(&board.tasks[&id(1)], &TaskSpec { labels: Vec::new(), ..both.clone() }).spec, both);
        // The list says by now what the task says already.
        let agreed = TaskSpec { priority: Priority::Urgent, ..spec("One", 1) };
        assert_eq!(fates(&board, &list(&[agreed])), [left(id(1), false)]);
    }

    #[test]
    fn a_task_that_now_waits_for_a_new_one_is_changed() {
        let mut board = board();
        edited(&mut board, 1, TaskSpec { needs: vec![id(2)], ..spec("One", 1) });
        let mut tasks = list(&[spec("One", 1), spec("Nine", 9)]);
        tasks[0].needs_new = vec![1];
        assert_eq!(fates(&board, &tasks), [Fate::Change { id: id(1), over: vec!["needs"] }, Fate::Add]);
    }
}
