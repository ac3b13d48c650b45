//! Leaving a note in an attempt's inbox: a folder in a worktree that its agent may rearrange.
//!
//! **Invariant:** nothing outside of the worktree's own folder is written, whatever links lie on
//! the way; a note is there whole or not at all. Must not know: what notes say.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::beneath;

/// The way to the inbox below a worktree.
const PARTS: [&str; 3] = [".standup", "run", "inbox"];

/// Writes a note under a name of one part, in place of an earlier one of that name. Folders that
/// are missing are made.
///
/// # Errors
/// What the system says, also where something else than a folder lies on the way.
pub fn leave(worktree: &Path, name: &OsStr, text: &str) -> io::Result<()> {
    if Path::new(name).file_name() != Some(name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name of one part is wanted"));
    }
    let inbox = PARTS.iter().try_fold(beneath::root(worktree)?, |at, part| beneath::enter(at, part))?;
    beneath::leave(&inbox, name, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_note_is_left_and_left_again() {
        let dir = tempfile::tempdir().expect("temp dir");
        for text in ["one", "two"] {
            leave(dir.path(), OsStr::new("1.md"), text).expect("left");
            let inbox = dir.path().join(".standup/run/inbox");
            assert_eq!(std::fs::read_to_string(inbox.join("1.md")).expect("read"), text);
            assert_eq!(std::fs::read_dir(inbox).expect("list").count(), 1, "nothing else lies there");
        }
    }

    #[test]
    fn no_link_leads_out_of_the_worktree() {
        let (dir, outside) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
        std::fs::create_dir_all(dir.path().join(".standup/run")).expect("mkdir");
        symlink(outside.path(), dir.path().join(".standup/run/inbox")).expect("link");
        leave(dir.path(), OsStr::new("1.md"), "x").expect_err("a link is no folder");
        assert_eq!(std::fs::read_dir(outside.path()).expect("list").count(), 0);
        std::fs::remove_file(dir.path().join(".standup/run/inbox")).expect("remove");
        std::fs::create_dir(dir.path().join(".standup/run/inbox")).expect("mkdir");
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "s").expect("write");
        symlink(&secret, dir.path().join(".standup/run/inbox/1.md")).expect("link");
        leave(dir.path(), OsStr::new("1.md"), "x").expect("the link itself is replaced");
        assert_eq!(std::fs::read_to_string(&secret).expect("read"), "s");
        for name in ["..", "a/b", "/etc/x", ""] {
            leave(dir.path(), OsStr::new(name), "x").expect_err(name);
        }
    }
}
