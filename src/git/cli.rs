//! The one runner of the git binary.
//!
//! Every call: absolute program, no `GIT_*` from outside, no prompt, pager, editor or hook, fixed
//! language, a time limit, bounded output. Which programs a repository's configuration names does
//! not matter: those settings are overridden here, and what cannot be overridden by name (filter
//! drivers) is kept away by `git::private`.
//!
//! **Invariant:** only this file runs git.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::error::{GitError, plain};
use crate::os::locate;
use crate::os::run::{Output, Run};

/// Reads and small writes: on a busy disk still seconds, never a minute.
const USUAL_LIMIT: Duration = Duration::from_secs(60);

/// What a call may print, in bytes, before it counts as too much: a million paths fit.
const MAX_OUTPUT: usize = 128 << 20;

/// Where the user's own configuration lies is the user's to say, like HOME.
const KEPT: [&str; 3] = ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"];

/// Settings of every call, stronger than any file: nothing a repository names is run, nothing is
/// tidied behind our back, and a lock that an agent's git holds for a moment is waited for.
const SETTINGS: [(&str, &str); 17] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.editor", "true"),
    ("core.askPass", ""),
    ("core.filesRefLockTimeout", "5000"),
    ("core.packedRefsTimeout", "10000"),
    ("reftable.lockTimeout", "10000"),
    ("credential.interactive", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
    ("log.showSignature", "false"),
    ("core.alternateRefsCommand", "true"),
];

/// The same for calls that have nothing to fetch: without these a repository could name the
/// programs that a fetch runs.
const OFFLINE: [(&str, &str); 3] = [("core.sshCommand", "ssh"), ("core.gitProxy", "none"), ("credential.helper", "")];

/// The environment of every call.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // An empty one is none, and keeps git from asking SSH_ASKPASS.
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS_REQUIRE", "never"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "true"),
    ("GIT_SEQUENCE_EDITOR", "true"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_ADVICE", "0"),
];

/// A git version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As in 2.47.3: 2.
    pub major: u32,
    /// As in 2.47.3: 47.
    pub minor: u32,
    /// As in 2.47.3: 3.
    pub patch: u32,
}

impl Version {
    /// Reads `git version 2.47.3`, with whatever a vendor puts behind it.
    fn read(text: &str) -> Option<Self> {
        let word = text.trim().strip_prefix("git version ")?.split_whitespace().next()?;
        let mut numbers = word.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The git binary, found once. Cheap to copy; copies share the bound on checkouts at once.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    version: Version,
    env: Vec<(OsString, OsString)>,
    slots: Arc<Slots>,
}

impl Git {
    /// The oldest git that will do: parallel checkout (2.32) and the ownership rule that
    /// `safe.directory` answers (2.35.2) are relied on.
    pub const OLDEST: Version = Version { major: 2, minor: 36, patch: 0 };

    /// Finds git on PATH and asks for its version. Relative entries of PATH are not searched from
    /// the working directory: a repository must not bring its own git.
    ///
    /// # Errors
    /// [`GitError::NoGit`], [`GitError::TooOld`].
    pub fn find() -> Result<Self, GitError> {
        let searched = || env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
        let program = locate::program(OsStr::new("git"), Path::new("/"))
            .ok()
            .filter(|program| program.is_absolute())
            .ok_or_else(|| GitError::NoGit { path: searched() })?;
        Self::at(program)
    }

    /// Takes this very program.
    ///
    /// # Errors
    /// [`GitError::TooOld`], or that it does not run.
    pub fn at(program: PathBuf) -> Result<Self, GitError> {
        let env = KEPT.iter().filter_map(|name| Some((OsString::from(name), env::var_os(name)?))).collect();
        let mut git = Self { program, version: Self::OLDEST, env, slots: Arc::new(Slots::new()) };
        let said = git.call(["version"]).text()?;
        git.version = Version::read(&said)
            .ok_or_else(|| GitError::Unexpected { command: "git version".into(), answer: plain(said.as_bytes()) })?;
        if git.version < Self::OLDEST {
            let (found, oldest) = (git.version.to_string(), Self::OLDEST.to_string());
            return Err(GitError::TooOld { program: git.program, found, oldest });
        }
        Ok(git)
    }

    /// Sets a variable for every call, such as where the user's configuration lies.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// One call: the subcommand and its arguments.
    pub fn call<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Call<'_> {
        Call {
            git: self,
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            cwd: PathBuf::from("/"),
            env: Vec::new(),
            settings: Vec::new(),
            stdin: Vec::new(),
            limit: USUAL_LIMIT,
            max_output: MAX_OUTPUT,
            is_online: false,
        }
    }

    /// Waits until fewer checkouts than processors are under way, and counts as one until dropped.
    pub(super) fn checkout_slot(&self) -> Slot<'_> {
        self.slots.take()
    }
}

/// One git call, before it runs. Its working directory is `/` unless set.
#[derive(Debug)]
pub struct Call<'g> {
    git: &'g Git,
    args: Vec<OsString>,
    cwd: PathBuf,
    env: Vec<(OsString, OsString)>,
    settings: Vec<(String, OsString)>,
    stdin: Vec<u8>,
    limit: Duration,
    max_output: usize,
    is_online: bool,
}

impl Call<'_> {
    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the working directory; without [`Call::git_dir`] git looks for a repository from there.
    #[must_use]
    pub fn cwd(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.cwd);
        self
    }

    /// Names the git folder, so that nothing is looked for.
    #[must_use]
    pub fn git_dir(self, dir: &Path) -> Self {
        self.env("GIT_DIR", dir)
    }

    /// Names the checkout.
    #[must_use]
    pub fn work_tree(self, dir: &Path) -> Self {
        self.env("GIT_WORK_TREE", dir)
    }

    /// Names the index file.
    #[must_use]
    pub fn index(self, file: &Path) -> Self {
        self.env("GIT_INDEX_FILE", file)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets a configuration value, as `-c` does.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.settings.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Gives it these bytes as standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the time limit; without, a minute.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how much output is kept.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Lets it fetch what a partial clone lacks and use the user's credential helpers. Only for
    /// calls whose git folder is ours: elsewhere a repository names the helpers.
    #[must_use]
    pub(super) fn online(mut self) -> Self {
        self.is_online = true;
        self
    }

    /// The command for messages: git, the subcommand, at most two more words.
    fn short(&self) -> String {
        let words: Vec<String> = self.args.iter().take(3).map(|arg| plain(arg.as_encoded_bytes())).collect();
        let more = if self.args.len() > 3 { " …" } else { "" };
        format!("git {}{more}", words.join(" "))
    }

    fn run(&self) -> Run {
        let mut run = Run::new(&self.git.program).args(&self.args).cwd(&self.cwd).timeout(self.limit);
        run = run.max_output(self.max_output).stdin(self.stdin.clone()).unset("SSH_ASKPASS").unset("LANGUAGE");
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                run = run.unset(name);
            }
        }
        for (name, value) in ENVIRONMENT {
            run = run.env(name, value);
        }
        if !self.is_online {
            run = run.env("GIT_NO_LAZY_FETCH", "1");
        }
        let mut count = 0;
        let offline: &[(&str, &str)] = if self.is_online { &[] } else { &OFFLINE };
        let fixed = SETTINGS.iter().chain(offline).copied().map(|(key, value)| (key, OsStr::new(value)));
        for (key, value) in fixed.chain(self.settings.iter().map(|(key, value)| (key.as_str(), value.as_os_str()))) {
            run = run.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        run = run.env("GIT_CONFIG_COUNT", count.to_string());
        for (name, value) in self.git.env.iter().chain(&self.env) {
            run = run.env(name, value);
        }
        run
    }

    /// Runs it, whatever its exit code.
    ///
    /// # Errors
    /// [`GitError::TimedOut`], [`GitError::Run`].
    pub fn output(&self) -> Result<Output, GitError> {
        let output = self.run().output()?;
        if output.ended.timed_out {
            return Err(GitError::TimedOut { command: self.short(), limit: self.limit });
        }
        Ok(output)
    }

    /// Runs it to success and returns what it printed.
    ///
    /// # Errors
    /// What git said, named where it has a name; [`GitError::TooMuch`] where the bound cut it.
    pub fn read(&self) -> Result<Vec<u8>, GitError> {
        let output = self.output()?;
        if !output.ended.is_success() {
            return Err(self.failed(&output));
        }
        if output.truncated {
            return Err(GitError::TooMuch { command: self.short(), max: self.max_output });
        }
        Ok(output.stdout)
    }

    /// Runs it to success and returns its one line, without the newline.
    ///
    /// # Errors
    /// As [`Call::read`].
    pub fn text(&self) -> Result<String, GitError> {
        let bytes = self.read()?;
        Ok(String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned())
    }

    /// Runs it; `None` where it exits with a code that means "no" (1).
    ///
    /// # Errors
    /// As [`Call::read`], for any other code.
    pub fn text_or_no(&self) -> Result<Option<String>, GitError> {
        let output = self.output()?;
        match output.ended.code {
            Some(1) => Ok(None),
            Some(0) => {
                let bytes = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
                Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
            }
            _ => Err(self.failed(&output)),
        }
    }

    /// The error that a failed run of this call is.
    pub(super) fn failed(&self, output: &Output) -> GitError {
        GitError::from_output(self.short(), output.ended.code, &output.stderr)
    }
}

/// Bounds how many checkouts run at once: they are bound by the processors, and more of them only
/// take memory.
#[derive(Debug)]
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    fn new() -> Self {
        let free = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Self { free: Mutex::new(free), freed: Condvar::new() }
    }

    fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

/// One running checkout.
#[derive(Debug)]
pub(super) struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_vendors_are_read() {
        let read = |text| Version::read(text).map(|v| v.to_string());
        assert_eq!(read("git version 2.47.3\n").as_deref(), Some("2.47.3"));
        assert_eq!(read("git version 2.39.5 (Apple Git-154)").as_deref(), Some("2.39.5"));
        assert_eq!(read("git version 2.50.0.windows.1").as_deref(), Some("2.50.0"));
        assert_eq!(read("git version 2.51.0.rc1").as_deref(), Some("2.51.0"));
        assert_eq!(read("hub 1"), None);
    }

    #[test]
    fn a_call_is_named_in_few_words() {
        let git = Git::find().expect("git");
        let long = git.call(["update-ref", "-d", "refs/heads/\x1b[31m", "x"]);
        assert_eq!(long.short(), "git update-ref -d refs/heads/[31m …");
    }
}
