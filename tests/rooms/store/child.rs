//! This test binary as a child process: one test of it, told what to do by its environment.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Names the folder a child works in; without it a child test is an ordinary, empty run.
pub(crate) const DIR: &str = "STANDUP_TEST_DIR";

/// A child that is killed and reaped when it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

/// The command that runs the child test `name` (`store::slots::child`) in `dir`.
#[expect(clippy::disallowed_methods, reason = "a test needs a child that it can kill, with arguments of its own")]
pub(crate) fn command(program: &Path, name: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(DIR, dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    if program == own() {
        command.args(arguments(name));
    }
    command
}

/// What makes this binary run the child test `name` alone.
pub(crate) fn arguments(name: &str) -> [&str; 4] {
    [name, "--exact", "--ignored", "--nocapture"]
}

/// This test binary.
pub(crate) fn own() -> std::path::PathBuf {
    std::env::current_exe().expect("this binary")
}

impl Running {
    /// Starts the child test `name` in `dir`.
    pub(crate) fn start(name: &str, dir: &Path) -> Self {
        let mut child = command(&own(), name, dir).spawn().expect("spawn");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line that starts with `said`, without it; `None` once the child is gone.
    pub(crate) fn next(&mut self, said: &str) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix(said).map(str::to_owned))
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("reap");
    }

    /// Ends its input, which it takes as the sign to go, and waits for it.
    pub(crate) fn finish(mut self) -> bool {
        drop(self.child.stdin.take());
        while self.next("").is_some() {}
        self.child.wait().expect("reap").success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a child: the folder it was told, or nothing when it was not started as one.
pub(crate) fn told() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

/// In a child: waits until the parent is done with it.
pub(crate) fn until_told_to_go() {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}
