//! Which task is meant: `T7`, `7`, a unique beginning of its short name, or the one in whose
//! worktree the command was typed.
//!
//! **Invariant:** never guesses between two. Must not know: how the board was come by.

use std::path::Path;

use crate::model::board::{Board, Task};
use crate::model::id::TaskId;
use crate::model::text::{clean_line, nearest};
use crate::os::file;

use super::error::{Code, Failure};

/// How many candidates a message names.
const NAMED: usize = 5;

/// The task that was written, or the one around `here`.
pub(super) fn resolve(board: &Board, written: Option<&str>, here: &Path) -> Result<TaskId, Failure> {
    match written {
        Some(name) => find(board, name),
        None => around(board, here).ok_or_else(|| {
            let text = "which task? name it; only inside a task's worktree it may be left out";
            Failure::new(Code::Usage, text).hint("standup status")
        }),
    }
}

/// The task in one of whose worktrees a folder lies.
pub(super) fn around(board: &Board, here: &Path) -> Option<TaskId> {
    let here = here.canonicalize().ok()?;
    let inside = |task: &&Task| task.attempts.iter().any(|attempt| here.starts_with(file::real(&attempt.worktree)));
    board.tasks.values().find(inside).map(|task| task.id)
}

fn find(board: &Board, name: &str) -> Result<TaskId, Failure> {
    if let Ok(id) = name.parse::<TaskId>()
        && board.tasks.contains_key(&id)
    {
        return Ok(id);
    }
    let slug = name.to_lowercase();
    if let Some(task) = board.tasks.values().find(|task| task.spec.slug.as_str() == slug)
        && board.tasks.values().filter(|other| other.spec.slug == task.spec.slug).count() == 1
    {
        return Ok(task.id);
    }
    let begun: Vec<&Task> =
        board.tasks.values().filter(|t| !slug.is_empty() && t.spec.slug.as_str().starts_with(&slug)).collect();
    match begun.as_slice() {
        [one] => Ok(one.id),
        [] => Err(absent(board, name)),
        several => {
            let names: Vec<String> = several.iter().take(NAMED).map(|task| named(task)).collect();
            let more = if several.len() > NAMED { ", …" } else { "" };
            let text = format!("{:?} can be several tasks: {}{more}", clean_line(name), names.join(", "));
            Err(Failure::new(Code::NoTask, text).hint("name it by its number"))
        }
    }
}

fn named(task: &Task) -> String {
    format!("{} ({})", task.id, task.spec.slug)
}

fn absent(board: &Board, name: &str) -> Failure {
    if board.tasks.is_empty() {
        let text = format!("there is no task {:?}; there are none yet", clean_line(name));
        return Failure::new(Code::NoTask, text).hint("standup add \"Fix the pager\"");
    }
    // Numbers are given out one after the other.
    if let (Ok(_), Some(last)) = (name.parse::<TaskId>(), board.tasks.values().next_back()) {
        let text = format!("there is no task {:?}; the last one is {}", clean_line(name), named(last));
        return Failure::new(Code::NoTask, text).hint("standup status");
    }
    let word = name;
    let near = nearest(word, board.tasks.values().map(|task| task.spec.slug.as_str()))
        .and_then(|slug| board.tasks.values().find(|task| task.spec.slug.as_str() == slug))
        .or_else(|| nearest_word(board, word));
    let meant = near.map(|task| format!("; did you mean {}?", named(task))).unwrap_or_default();
    Failure::new(Code::NoTask, format!("there is no task {:?}{meant}", clean_line(name))).hint("standup status")
}

/// A task one word of whose short name is near.
fn nearest_word<'a>(board: &'a Board, name: &str) -> Option<&'a Task> {
    let words = board.tasks.values().flat_map(|task| task.spec.slug.as_str().split('-').map(move |word| (word, task)));
    let near = nearest(name, words.clone().map(|(word, _)| word).filter(|word| word.len() > 2))?;
    words.filter(|(word, _)| *word == near).map(|(_, task)| task).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn board(slugs: &[&str]) -> Board {
        let mut board = Board::default();
        for (n, slug) in (1..).zip(slugs) {
            let task = sample::task(n, slug);
            board.tasks.insert(task.id, task);
        }
        board
    }

    fn name(board: &Board, text: &str) -> Result<String, String> {
        resolve(board, Some(text), Path::new("/")).map(|id| id.to_string()).map_err(|failure| {
            assert_eq!(failure.code, Code::NoTask);
            failure.text
        })
    }

    #[test]
    fn a_task_is_named_by_number_or_by_the_beginning_of_its_slug() {
        let board = board(&["fix-the-pager", "fix-the-tests", "pager", "7-zip", "pager-colours"]);
        for (text, id) in [
            ("T2", "T2"),
            ("t2", "T2"),
            ("2", "T2"),
            ("fix-the-p", "T1"),
            ("FIX-the-p", "T1"),
            ("pager", "T3"),
            ("pager-", "T5"),
            ("7", "T4"),
        ] {
            assert_eq!(name(&board, text).as_deref(), Ok(id), "{text}");
        }
    }

    #[test]
    fn between_two_nothing_is_guessed() {
        let board = board(&["fix-the-pager", "fix-the-tests"]);
        let said = name(&board, "fix").expect_err("two");
        assert_eq!(said, "\"fix\" can be several tasks: T1 (fix-the-pager), T2 (fix-the-tests)");
        let same = self::board(&["pager", "pager"]);
        assert!(name(&same, "pager").expect_err("two").contains("T1 (pager), T2 (pager)"));
    }

    #[test]
    fn what_was_meant_is_named() {
        let board = board(&["fix-the-pager", "tests"]);
        for (text, said) in [
            ("T9", "there is no task \"T9\"; the last one is T2 (tests)"),
            ("tsets", "there is no task \"tsets\"; did you mean T2 (tests)?"),
            ("pagre", "there is no task \"pagre\"; did you mean T1 (fix-the-pager)?"),
            ("\x1b[31m", "there is no task \"\\\\x1b[31m\""),
            ("", "there is no task \"\""),
        ] {
            assert_eq!(name(&board, text).expect_err(text), said);
        }
    }

    #[test]
    fn inside_a_worktree_it_may_be_left_out() {
        let dir = tempfile::tempdir().expect("dir");
        let root = dir.path().canonicalize().expect("path");
        let mut board = board(&["one", "two"]);
        let worktree = root.join("T2-1-two");
        std::fs::create_dir_all(worktree.join("src")).expect("folder");
        let task = board.tasks.get_mut(&TaskId::new(2).expect("id")).expect("task");
        task.attempts.push(sample::attempt(1, &worktree));
        let two = resolve(&board, None, &worktree.join("src")).expect("around");
        assert_eq!(two.number(), 2);
        assert_eq!(resolve(&board, None, &root).expect_err("outside").code, Code::Usage);
    }
}
