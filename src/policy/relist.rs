//! Which tasks a list names that is given once more.
//!
//! **Invariant:** a task that is Done or Canceled is never rewritten: another text is other work, and
//! becomes a new task. Must not know: files, formats of lists.

use std::collections::BTreeSet;

use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::input::NewTask;
use crate::model::task::TaskSpec;

/// What becomes of one task of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Add,
    /// It is this one, and says something else by now.
    Change(TaskId),
    /// It is this one, as it was; perhaps at another place of its list.
    Leave(TaskId),
}

impl Fate {
    /// The task that it is, where there is one.
    #[must_use]
    pub const fn known(self) -> Option<TaskId> {
        match self {
            Self::Add => None,
            Self::Change(id) | Self::Leave(id) => Some(id),
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
        Some(task) if task.column.is_closed() || is_as_before(new, &task.spec, &matched) => Fate::Leave(task.id),
        Some(task) => Fate::Change(task.id),
    };
    tasks.iter().zip(&matched).map(fate).collect()
}

fn matches<'a>(board: &'a Board, tasks: &[NewTask]) -> Vec<Option<&'a Task>> {
    // Of several with one key the newest counts: the others were done before it was added.
    let newest_first = || board.tasks.values().rev().filter(|task| task.spec.key.is_some());
    let mut taken = BTreeSet::new();
    let mut found: Vec<Option<&Task>> = vec![None; tasks.len()];
    let ways: [fn(&TaskSpec, &Task) -> bool; 3] = [
        |new, old| new.key == old.spec.key && says_the_same(new, &old.spec),
        |new, old| is_of_one_list(new, &old.spec) && says_the_same(new, &old.spec),
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

fn says_the_same(new: &TaskSpec, old: &TaskSpec) -> bool {
    (&new.title, &new.brief) == (&old.title, &old.brief)
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

fn is_as_before(new: &NewTask, old: &TaskSpec, matched: &[Option<&Task>]) -> bool {
    let mut spec = TaskSpec { key: old.key.clone(), ..new.spec.clone() };
    for place in &new.needs_new {
        let Some(need) = matched.get(*place).copied().flatten() else { return false };
        if !spec.needs.contains(&need.id) {
            spec.needs.push(need.id);
        }
    }
    spec == *old
}
