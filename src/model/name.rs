//! Names that were checked once: a value of these types is safe wherever it goes.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no such name: which rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct NameError {
    /// What was given.
    pub text: String,
    /// Which kind of name was wanted.
    pub kind: &'static str,
    /// The rule it broke.
    pub rule: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// [`NameError`] names the rule it broke.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                match $check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(rule) => Err(NameError { text, kind: $kind, rule: rule.into() }),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A branch: what git takes for `refs/heads/<name>`, less what it would misread (`-x`, `@`,
    /// `HEAD`, `FETCH_HEAD`, `refs/…`). Rules of `git-check-ref-format(1)`.
    BranchName,
    "branch name",
    check_branch
);
name!(
    /// An agent of `agents.toml`: letters, digits, `-`, `_`, at most 32.
    AgentName,
    "agent name",
    check_agent
);
name!(
    /// A check of `agents.toml`: letters, digits, `-`, `_`, `.`, at most 64.
    CheckName,
    "check name",
    check_check
);
name!(
    /// A git object: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    Oid,
    "object id",
    check_oid
);
name!(
    /// The short name of a task in paths and branches: lower case letters, digits, `-`, at most 40.
    Slug,
    "slug",
    check_slug
);
name!(
    /// A host: letters, digits, `-`, `_`, `.`, at most 64; it names a folder.
    HostId,
    "host name",
    check_host
);
name!(
    /// A path inside the repository, with `/`: relative, without `.` and `..`.
    RepoPath,
    "repository path",
    check_repo_path
);
name!(
    /// A pattern over repository paths, as in `touches` and `off_limits`: `*`, `**`, `?`, `[…]`, `{…}`.
    Pattern,
    "pattern",
    check_pattern
);

/// The longest reference that git can lock on the usual file systems (255 less `.lock`, less a
/// margin for `refs/heads/`): measured with git 2.47.
const MAX_BRANCH: usize = 240;

fn check_branch(text: &str) -> Result<(), String> {
    let no = |rule: &str| Err(rule.to_owned());
    if text.is_empty() {
        return no("it is empty");
    }
    if text.len() > MAX_BRANCH {
        return Err(format!("it has {} bytes; at most {MAX_BRANCH} can be locked", text.len()));
    }
    if text.starts_with('-') {
        return no("it starts with '-', which git reads as an option");
    }
    if text == "@" || text == "HEAD" || text.ends_with("_HEAD") {
        return no("git has a meaning of its own for it");
    }
    if text.starts_with("refs/") {
        return no("it starts with 'refs/'");
    }
    if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
        return no("it has an empty part between slashes");
    }
    if text.contains("..") || text.contains("@{") {
        return no("it contains '..' or '@{'");
    }
    if text.ends_with('.') {
        return no("it ends with '.'");
    }
    if let Some(c) = text.chars().find(|&c| c.is_control() || " ~^:?*[\\".contains(c)) {
        return Err(format!("it contains {c:?}"));
    }
    if text.split('/').any(|part| part.starts_with('.')) {
        return no("a part starts with '.'");
    }
    if text.split('/').any(|part| part.ends_with(".lock")) {
        return no("a part ends with '.lock'");
    }
    Ok(())
}

fn plain(text: &str, max: usize, also: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > max {
        return Err(format!("it has {} characters; at most {max} are allowed", text.len()));
    }
    if let Some(c) = text.chars().find(|&c| !c.is_ascii_alphanumeric() && !also.contains(c)) {
        return Err(format!("it contains {c:?}"));
    }
    if text.starts_with(['-', '.']) {
        return Err("it starts with '-' or '.'".into());
    }
    Ok(())
}

fn check_agent(text: &str) -> Result<(), String> {
    plain(text, 32, "-_")
}

fn check_check(text: &str) -> Result<(), String> {
    plain(text, 64, "-_.")
}

fn check_host(text: &str) -> Result<(), String> {
    plain(text, 64, "-_.")
}

fn check_slug(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("it contains upper case letters".into());
    }
    plain(text, Slug::MAX, "-")
}

fn check_oid(text: &str) -> Result<(), String> {
    if text.len() != 40 && text.len() != 64 {
        return Err("it has neither 40 nor 64 digits".into());
    }
    if text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        Ok(())
    } else {
        Err("it is not hexadecimal".into())
    }
}

fn check_repo_path(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('/') {
        return Err("it must be relative to the repository".into());
    }
    if text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err("a part is empty, '.' or '..'".into());
    }
    if text.contains('\0') {
        return Err("it contains a NUL byte".into());
    }
    Ok(())
}

fn check_pattern(text: &str) -> Result<(), String> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("it must be relative to the repository".into());
    }
    globset::GlobBuilder::new(text).literal_separator(true).build().map(|_| ()).map_err(|e| e.kind().to_string())
}

/// The paths that a pattern names, or that lie in a folder which one names.
#[must_use]
pub fn matching<'a>(patterns: &[Pattern], paths: impl IntoIterator<Item = &'a Path>) -> Vec<&'a Path> {
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        let text = pattern.as_str().trim_start_matches("./").trim_end_matches('/');
        // It compiled when it was made.
        if let Ok(glob) = globset::GlobBuilder::new(text).literal_separator(true).build() {
            set.add(glob);
        }
    }
    let set = set.build().unwrap_or_else(|_| globset::GlobSet::empty());
    let named = |path: &&Path| path.ancestors().any(|part| !part.as_os_str().is_empty() && set.is_match(part));
    paths.into_iter().filter(named).collect()
}

impl Slug {
    /// The longest, in bytes: leaves room for a path and a branch around it.
    pub const MAX: usize = 40;

    /// Makes a slug of any title: ASCII letters and digits in lower case, everything else a
    /// single `-`. A title without any becomes `task`; a long one is cut at a word.
    #[must_use]
    pub fn from_title(title: &str) -> Self {
        let mut slug = String::new();
        for c in title.chars() {
            if c.is_ascii_alphanumeric() {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            if slug.len() > Self::MAX {
                break;
            }
        }
        if slug.len() > Self::MAX {
            slug.truncate(Self::MAX);
            if let Some(end) = slug.rfind('-').filter(|&end| end >= Self::MAX / 2) {
                slug.truncate(end);
            }
        }
        let slug = slug.trim_matches('-');
        Self(if slug.is_empty() { "task".to_owned() } else { slug.to_owned() })
    }
}

impl Oid {
    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl BranchName {
    /// The branch of an attempt: `standup/T7/1-slug`.
    #[must_use]
    pub fn of_attempt(attempt: super::id::AttemptId, slug: &Slug) -> Self {
        Self(format!("standup/{}/{}-{slug}", attempt.task, attempt.no))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_refuses_these_branches_and_so_do_we() {
        for text in [
            "a b", "a..b", "a~1", "a^", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b", ".a", "a/.b", "a.", "a/", "/a",
            "a//b", "a.lock", "a.lock/b", "HEAD", "a\tb", "a\x1bb", "",
        ] {
            assert!(BranchName::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn git_takes_these_branches_but_would_misread_them() {
        for text in ["-x", "@", "FETCH_HEAD", "ORIG_HEAD", "refs/heads/q"] {
            assert!(BranchName::new(text).is_err(), "{text:?}");
        }
        assert!(BranchName::new("x".repeat(241)).is_err());
    }

    #[test]
    fn these_branches_are_fine() {
        for text in ["main", "con", "💥", "ünï-日本", "feature/a.b", "standup/T7/1-slug"] {
            assert!(BranchName::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn every_title_has_a_slug() {
        for (title, slug) in [
            ("Fix the Pager!", "fix-the-pager"),
            ("  --weird__ title ", "weird-title"),
            ("日本語", "task"),
            ("", "task"),
            ("\x1b[31mred\n", "31mred"),
            ("a very long title that goes on and on and on for ever", "a-very-long-title-that-goes-on-and-on"),
        ] {
            let made = Slug::from_title(title);
            assert_eq!(made.as_str(), slug);
            assert!(Slug::new(made.as_str()).is_ok());
        }
        assert!(Slug::from_title(&"x".repeat(4096)).as_str().len() <= Slug::MAX);
    }

    #[test]
    fn a_repository_path_stays_inside() {
        for text in ["../x", "/etc/passwd", "a/../b", "a//b", "", "./a"] {
            assert!(RepoPath::new(text).is_err(), "{text}");
        }
        assert!(RepoPath::new("src/ünï.rs").is_ok());
    }

    #[test]
    fn a_pattern_compiles_or_says_why() {
        let patterns = [".github/**", "docs", "*.lock", "./a/", "x{1,2}"].map(|p| Pattern::new(p).expect(p));
        let paths = [
            ".github/w/ci.yml",
            "docs/a/b.md",
            "Cargo.lock",
            "sub/Cargo.lock",
            "a/z",
            "src/a",
            "x2",
            "x{1,2}",
            "docs2",
        ];
        let found = matching(&patterns, paths.iter().map(Path::new));
        assert_eq!(found, [".github/w/ci.yml", "docs/a/b.md", "Cargo.lock", "a/z", "x2"].map(Path::new));
        assert!(Pattern::new("src/**/*.rs").is_ok());
        let error = Pattern::new("src/[a").expect_err("unclosed");
        assert!(error.to_string().contains("unclosed"), "{error}");
        assert!(Pattern::new("../**").is_err());
    }
}
