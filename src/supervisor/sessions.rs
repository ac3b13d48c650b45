//! Whose conversation a running CLI writes, where its id was not chosen by us, and which of its
//! sub-agents are at work in theirs.
//!
//! **Invariant:** a conversation is believed only if a process of the agent holds its file open,
//! and its first line names the agent's worktree and no sub-agent. So many agents may share one
//! folder of conversations, and old ones in it say nothing. Must not know: which agent it is.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::agent::transcript::{MAX_LINE, Owner, rollout_owner, rollout_runs};
use crate::os::process::descendants;

/// The ending of files that hold conversations.
const ENDING: &str = "jsonl";

/// How much of a conversation's end is read to see whether a turn runs in it, in bytes.
const MAX_END: u64 = 128 << 10;

/// The most sub-agents that are looked at.
const MAX_PARTS: usize = 64;

/// The conversation that the process `agent` or one of its children writes below `root`, about
/// work in `worktree`.
pub(super) fn held(agent: u32, root: &Path, worktree: &Path) -> Option<String> {
    owners(agent, root, worktree).find(|(_, owner)| owner.main).map(|(_, owner)| owner.session)
}

/// The sub-agents of the conversation `session` that are at work: their names, and how much all of
/// them have written.
pub(super) fn parts_at_work(agent: u32, root: &Path, worktree: &Path, session: &str) -> Option<(String, u64)> {
    let parts = owners(agent, root, worktree).filter(|(_, owner)| !owner.main && owner.of.as_deref() == Some(session));
    let running: Vec<(String, u64)> =
        parts.take(MAX_PARTS).filter_map(|(path, owner)| Some((owner.name, at_work(&path)?))).collect();
    let names: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
    (!running.is_empty()).then(|| (names.join(", "), running.iter().map(|(_, size)| size).sum()))
}

/// How long a conversation is in which a turn runs.
fn at_work(path: &Path) -> Option<u64> {
    let mut file = std::fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(MAX_END);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut end = Vec::new();
    file.take(MAX_END).read_to_end(&mut end).ok()?;
    // One that has written so much since it began is not at its end.
    rollout_runs(&end).unwrap_or(from > 0).then_some(size)
}

/// The conversations that these processes hold open, and whose they are.
fn owners(agent: u32, root: &Path, worktree: &Path) -> impl Iterator<Item = (PathBuf, Owner)> {
    // Links in /proc name files without links in between.
    let root = root.canonicalize().ok();
    let family = std::iter::once(agent).chain(descendants(agent).into_iter().map(|id| id.pid));
    let files = family.flat_map(open_files).filter(move |path| root.as_ref().is_some_and(|root| is_one(path, root)));
    files.filter_map(|path| owner_of(&path, worktree).map(|owner| (path, owner)))
}

fn is_one(path: &Path, root: &Path) -> bool {
    path.starts_with(root) && path.extension().is_some_and(|ending| ending == ENDING)
}

fn open_files(pid: u32) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
}

fn owner_of(path: &Path, worktree: &Path) -> Option<Owner> {
    let file = std::fs::File::open(path).ok()?;
    let mut line = Vec::new();
    BufReader::new(file).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).ok()?;
    let owner = rollout_owner(&line).ok()?;
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    same(Path::new(&owner.cwd), worktree).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = include_str!("../../tests/recordings/codex-rollout-first-line.json");

    #[test]
    fn only_an_open_file_of_the_agents_own_conversation_is_believed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let own = std::process::id();
        let path = dir.path().join("rollout.jsonl");
        let worktree = Path::new("/home/dev/probe/wt");
        std::fs::write(&path, LINE).expect("write");
        assert_eq!(held(own, dir.path(), worktree), None, "nobody holds it open");
        let open = std::fs::File::open(&path).expect("open");
        assert!(held(own, dir.path(), worktree).is_some_and(|id| id.len() == 36));
        assert_eq!(held(own, dir.path(), Path::new("/home/dev/other")), None, "another folder's");
        assert_eq!(held(own, &dir.path().join("no"), worktree), None);
        std::fs::write(&path, LINE.replace(r#""thread_source": "user""#, r#""thread_source": "subagent""#))
            .expect("write");
        assert_eq!(held(own, dir.path(), worktree), None, "a sub-agent's");
        drop(open);
    }

    #[test]
    fn a_sub_agent_is_at_work_while_its_turn_runs() {
        let lines = include_str!("../../tests/recordings/codex-rollout-subagent.jsonl");
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("rollout.jsonl");
        let own = std::process::id();
        let first = rollout_owner(lines.lines().next().expect("a line").as_bytes()).expect("recorded");
        let (worktree, of) = (PathBuf::from(&first.cwd), first.of.expect("named"));
        let working: Vec<&str> = lines.lines().filter(|line| !line.contains("task_complete")).collect();
        std::fs::write(&path, working.join("\n")).expect("write");
        let look = || parts_at_work(own, dir.path(), &worktree, &of);
        assert_eq!(look(), None, "nobody holds it open");
        let _open = std::fs::File::open(&path).expect("open");
        assert_eq!(look().map(|(name, size)| (name, size > 1_000)), Some(("inner".to_owned(), true)));
        assert_eq!(parts_at_work(own, dir.path(), &worktree, "another"), None, "of another conversation");
        // It writes more than is read of it.
        let long = format!("{}\n{}", working.join("\n"), "{\"type\":\"response_item\",\"payload\":{}}\n".repeat(5_000));
        std::fs::write(&path, long).expect("write");
        assert!(look().is_some());
        std::fs::write(&path, lines).expect("write");
        assert_eq!(look(), None, "its turn is over");
    }
}
