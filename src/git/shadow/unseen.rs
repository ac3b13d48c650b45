//! Files of a worktree that git leaves alone, because a rule says that it ignores them.
//!
//! **Invariant:** as of all looks: nothing an agent planted is run, nothing is written that anybody
//! else sees; no more is walked through than the patterns can lie in. Must not know: why somebody asks.

use std::path::{Path, PathBuf};

use super::{GitError, Shadow, tree};
use crate::model::name::{Pattern, matching};

/// What begins a part of a pattern that does not stand for itself.
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

impl Shadow {
    /// The ignored files that a pattern names, sorted; links among them, folders not.
    ///
    /// # Errors
    /// As [`Shadow::tree_hash`].
    pub fn ignored(&self, pattern: &Pattern) -> Result<Vec<PathBuf>, GitError> {
        self.named(pattern, &["-o", "-i", "--exclude-standard"])
    }

    /// Whether git keeps anything that a pattern names, or takes it for new.
    ///
    /// # Errors
    /// As [`Shadow::tree_hash`].
    pub fn keeps(&self, pattern: &Pattern) -> Result<bool, GitError> {
        self.named(pattern, &["-c"]).map(|paths| !paths.is_empty())
    }

    fn named(&self, pattern: &Pattern, which: &[&str]) -> Result<Vec<PathBuf>, GitError> {
        self.site.require_intact()?;
        let _alone = self.state();
        let index = self.private.dir().join("index");
        let call = self.private.call(&self.git, &["--literal-pathspecs", "ls-files", "-z"]).args(which);
        let call = call
            .cwd(&self.site.worktree)
            .work_tree(&self.site.worktree)
            .index(&index)
            .args(["--", &place_of(pattern.as_str())]);
        let listed = call.read()?;
        // One that ends so is a repository of its own.
        let names = listed.split(|&b| b == 0).filter(|name| !name.is_empty() && !name.ends_with(b"/"));
        let paths: Vec<PathBuf> = names.map(tree::path_of).collect();
        let named = matching(std::slice::from_ref(pattern), paths.iter().map(PathBuf::as_path));
        let mut named: Vec<PathBuf> = named.into_iter().map(Path::to_owned).collect();
        named.sort();
        Ok(named)
    }
}

/// The folder or file that all of a pattern lies in; `.` where that is everything.
fn place_of(pattern: &str) -> String {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let plain: Vec<&str> = pattern.split('/').take_while(|part| !part.contains(WILD)).collect();
    if plain.iter().all(|part| part.is_empty()) { ".".to_owned() } else { plain.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_lies_in_what_is_plain_of_it() {
        let places = [".env", "./a/b/", "secrets/**", "**/.env", "a/*.pem", "a/{b,c}/d", "*"].map(place_of);
        assert_eq!(places, [".env", "a/b", "secrets", ".", "a", "a", "."]);
    }
}
