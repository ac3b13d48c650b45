//! A git folder of our own, beside the repository: its configuration is written here, its objects
//! are borrowed from the repository.
//!
//! What runs with it sees no configuration that an agent can write: no filter driver, no hook, no
//! credential helper, no replaced object. What is data and not a command is carried over.
//!
//! **Invariant:** no setting that names a program is copied, but filter drivers that the caller
//! says were approved, with the values that were approved. Must not know: attempts, worktrees'
//! entries.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::cli::{Call, Git};
use super::error::GitError;
use super::repo::{FilterDriver, Repository};
use super::site::read_plain;
use crate::model::name::Oid;
use crate::os::file;

/// Rules about paths (`info/exclude`, `info/attributes`, sparse patterns) above this are no rules.
const MAX_RULES: u64 = 4 << 20;

/// Settings that are data: how bytes are written, which files are there, where objects come from.
const DATA: [&str; 20] = [
    "core.autocrlf",
    "core.attributesfile",
    "core.bigfilethreshold",
    "core.checkroundtripencoding",
    "core.compression",
    "core.eol",
    "core.excludesfile",
    "core.filemode",
    "core.ignorecase",
    "core.loosecompression",
    "core.precomposeunicode",
    "core.protecthfs",
    "core.protectntfs",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "extensions.partialclone",
    "lfs.fetchexclude",
    "lfs.fetchinclude",
    "lfs.url",
    "lfs.storage",
];

/// The same for settings of each remote and each address.
const DATA_EACH: [(&str, &str); 5] = [
    ("remote.", ".url"),
    ("remote.", ".lfsurl"),
    ("remote.", ".promisor"),
    ("remote.", ".partialclonefilter"),
    ("url.", ".insteadof"),
];

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Private {
    dir: PathBuf,
    objects: PathBuf,
    common_dir: PathBuf,
    oid_digits: usize,
}

impl Private {
    /// Makes it at `dir`, or writes its configuration anew; what it already holds stays.
    pub(super) fn make(dir: &Path, repo: &Repository, approved: &[FilterDriver]) -> Result<Self, GitError> {
        file::private_dir(dir)?;
        for inner in ["objects/info", "objects/pack", "refs", "info"] {
            file::private_dir(&dir.join(inner))?;
        }
        let oid_digits = if repo.object_format() == "sha1" { 40 } else { 64 };
        let (objects, common_dir) = (repo.objects(), repo.common_dir().to_owned());
        let private = Self { dir: dir.to_owned(), objects, common_dir, oid_digits };
        write(&dir.join("config"), &config(repo, approved))?;
        write(&dir.join("objects/info/alternates"), &alternates(&private.objects))?;
        if !dir.join("HEAD").exists() {
            write(&dir.join("HEAD"), b"ref: refs/heads/none\n")?;
        }
        private.copy_rules()?;
        Ok(private)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id of no object, as long as this repository's ids are.
    pub(super) fn no_object(&self) -> String {
        "0".repeat(self.oid_digits)
    }

    /// Takes over the repository's rules about paths, and where its history was cut.
    pub(super) fn copy_rules(&self) -> Result<(), GitError> {
        for name in ["info/exclude", "info/attributes", "shallow"] {
            self.copy(name, &self.common_dir.join(name))?;
        }
        Ok(())
    }

    /// Takes over the patterns of a sparse checkout, or none.
    pub(super) fn set_sparse(&self, patterns: Option<&Path>) -> Result<(), GitError> {
        match patterns {
            Some(from) => self.copy("info/sparse-checkout", from),
            None => remove(&self.dir.join("info/sparse-checkout")),
        }
    }

    fn copy(&self, name: &str, from: &Path) -> Result<(), GitError> {
        let to = self.dir.join(name);
        let Ok(bytes) = read_plain(from, MAX_RULES) else { return remove(&to) };
        if fs::read(&to).is_ok_and(|old| old == bytes) { Ok(()) } else { write(&to, &bytes) }
    }

    /// Puts HEAD on a commit, so that what asks for HEAD gets it.
    pub(super) fn set_head(&self, commit: &Oid) -> Result<(), GitError> {
        write(&self.dir.join("HEAD"), format!("{commit}\n").as_bytes())
    }

    /// A call with this folder; new objects stay in it.
    pub(super) fn call<'g, S: AsRef<OsStr>>(&self, git: &'g Git, args: &[S]) -> Call<'g> {
        git.call(args).cwd(&self.dir).git_dir(&self.dir)
    }

    /// A call with this folder; new objects go to the repository.
    pub(super) fn call_sharing<'g, S: AsRef<OsStr>>(&self, git: &'g Git, args: &[S]) -> Call<'g> {
        self.call(git, args).env("GIT_OBJECT_DIRECTORY", &self.objects)
    }

    /// Whether so many loose objects were collected that starting anew is cheaper: judged by one
    /// of 256 folders, as git does.
    pub(super) fn is_crowded(&self) -> bool {
        /// 6,000 objects in all, about what git itself gathers before it tidies.
        const IN_ONE_FOLDER: usize = 24;
        fs::read_dir(self.dir.join("objects/17")).is_ok_and(|entries| entries.count() > IN_ONE_FOLDER)
    }

    /// How many bytes the objects take that it holds itself, loose and in packs.
    pub(super) fn held_bytes(&self) -> u64 {
        let list = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
        let files = list(&self.dir.join("objects")).flat_map(|folder| list(&folder.path()));
        files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
    }

    /// Drops the objects it holds itself.
    pub(super) fn drop_objects(&self) -> Result<(), GitError> {
        let objects = self.dir.join("objects");
        fs::remove_dir_all(&objects).map_err(|e| GitError::io("empty", &objects, e))?;
        file::private_dir(&objects.join("pack"))?;
        file::private_dir(&objects.join("info"))?;
        write(&objects.join("info/alternates"), &alternates(&self.objects))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    // Rebuilt whenever it is missing or odd, so it need not survive a power cut.
    fs::write(path, bytes).map_err(|e| GitError::io("write", path, e))
}

fn remove(path: &Path) -> Result<(), GitError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(GitError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// The line that lends the repository's objects; a path with a newline needs git's quoting.
fn alternates(objects: &Path) -> Vec<u8> {
    let path = objects.as_os_str().as_bytes();
    let mut line = Vec::new();
    if path.contains(&b'\n') {
        line.push(b'"');
        for &byte in path {
            match byte {
                b'\n' => line.extend(b"\\n"),
                b'"' | b'\\' => line.extend([b'\\', byte]),
                _ => line.push(byte),
            }
        }
        line.push(b'"');
    } else {
        line.extend(path);
    }
    line.push(b'\n');
    line
}

fn is_data(key: &str) -> bool {
    DATA.contains(&key) || DATA_EACH.iter().any(|(start, end)| key.starts_with(start) && key.ends_with(end))
}

/// The whole configuration file.
fn config(repo: &Repository, approved: &[FilterDriver]) -> Vec<u8> {
    let mut text = Vec::new();
    set(&mut text, "core.repositoryformatversion", OsStr::new("1"));
    set(&mut text, "extensions.objectformat", OsStr::new(repo.object_format()));
    set(&mut text, "core.bare", OsStr::new("false"));
    // Lets git see that a file which was left out of a sparse checkout is there after all.
    set(&mut text, "core.sparsecheckout", OsStr::new("true"));
    // An index of ours is whole, so that it hangs on no part of theirs.
    set(&mut text, "core.splitindex", OsStr::new("false"));
    set(&mut text, "lfs.storage", repo.common_dir().join("lfs").as_os_str());
    for setting in repo.own().filter(|setting| is_data(&setting.key)) {
        let value = setting.value.as_deref().unwrap_or(OsStr::new("true"));
        match setting.key.as_str() {
            "lfs.storage" => set(&mut text, &setting.key, repo.common_dir().join(value).as_os_str()),
            // Git would wait for ever on a FIFO that somebody put there.
            "core.attributesfile" | "core.excludesfile" if !Path::new(value).is_file() => {}
            key => set(&mut text, key, value),
        }
    }
    for driver in approved {
        for (field, value) in &driver.values {
            set(&mut text, &format!("filter.{}.{field}", driver.name), OsStr::new(value));
        }
    }
    text
}

/// Appends one setting in git's format; a name that cannot be written is left out.
pub(super) fn set(text: &mut Vec<u8>, key: &str, value: &OsStr) {
    let (Some(first), Some(last)) = (key.find('.'), key.rfind('.')) else { return };
    let (section, name) = (&key[..first], &key[last + 1..]);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_word(section) || !is_word(name) || key.contains(['\n', '\0']) {
        return;
    }
    text.extend(format!("[{section}").as_bytes());
    if first < last {
        let inner = key[first + 1..last].replace('\\', "\\\\").replace('"', "\\\"");
        text.extend(format!(" \"{inner}\"").as_bytes());
    }
    text.extend(format!("]\n\t{name} = \"").as_bytes());
    for &byte in value.as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            b'\t' => text.extend(b"\\t"),
            _ => text.push(byte),
        }
    }
    text.extend(b"\"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_that_names_a_program_is_data() {
        for key in [
            "core.fsmonitor",
            "core.hookspath",
            "core.sshcommand",
            "core.gitproxy",
            "core.worktree",
            "core.pager",
            "credential.helper",
            "diff.external",
            "filter.lfs.clean",
            "remote.origin.uploadpack",
            "remote.origin.vcs",
            "include.path",
            "lfs.customtransfer.x.path",
            "url.x.pushinsteadof",
        ] {
            assert!(!is_data(key), "{key}");
        }
        assert!(is_data("remote.a.b.url") && is_data("core.eol"));
    }

    #[test]
    fn values_are_quoted_and_odd_names_left_out() {
        let mut text = Vec::new();
        set(&mut text, "filter.a\"b.clean", OsStr::new("x \\ \"y\"\n[core]"));
        set(&mut text, "filter.a\nb.clean", OsStr::new("x"));
        set(&mut text, "co re.x", OsStr::new("x"));
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "[filter \"a\\\"b\"]\n\tclean = \"x \\\\ \\\"y\\\"\\n[core]\"\n"
        );
    }

    #[test]
    fn a_path_with_a_newline_is_lent_too() {
        assert_eq!(alternates(Path::new("/a b")), b"/a b\n");
        assert_eq!(alternates(Path::new("/a\nb\"")), b"\"/a\\nb\\\"\"\n");
    }
}
