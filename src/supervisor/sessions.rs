//! Whose conversation a running CLI writes, where its id was not chosen by us.
//!
//! **Invariant:** a conversation is believed only if a process of the agent holds its file open,
//! and its first line names the agent's worktree and no sub-agent. So many agents may share one
//! folder of conversations, and old ones in it say nothing. Must not know: which agent it is.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::agent::transcript::{MAX_LINE, rollout_owner};
use crate::os::process::descendants;

/// The ending of files that hold conversations.
const ENDING: &str = "jsonl";

/// The conversation that the process `agent` or one of its children writes below `root`, about
/// work in `worktree`.
pub(super) fn held(agent: u32, root: &Path, worktree: &Path) -> Option<String> {
    // Links in /proc name files without links in between.
    let root = root.canonicalize().ok()?;
    let family = std::iter::once(agent).chain(descendants(agent).into_iter().map(|id| id.pid));
    family.flat_map(open_files).filter(|path| is_one(path, &root)).find_map(|path| session_of(&path, worktree))
}

fn is_one(path: &Path, root: &Path) -> bool {
    path.starts_with(root) && path.extension().is_some_and(|ending| ending == ENDING)
}

fn open_files(pid: u32) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
}

fn session_of(path: &Path, worktree: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut line = Vec::new();
    BufReader::new(file).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).ok()?;
    let owner = rollout_owner(&line).ok()?;
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    (owner.main && same(Path::new(&owner.cwd), worktree)).then_some(owner.session)
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
}
