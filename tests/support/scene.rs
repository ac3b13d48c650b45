//! A repository, a state folder of its own, and a supervisor over both; everything is gone when
//! the scene is dropped. Taken in by `#[path = "../support/scene.rs"] mod scene;`.
//!
//! **Invariant:** what a scene starts, it ends; every wait has a deadline.

#![expect(dead_code, reason = "no test binary uses all of it")]
#![expect(clippy::disallowed_methods, reason = "tests start programs of their own")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use standup::client::control::{Client, ClientError};
use standup::host::registry::{self, HostRecord};
use standup::host::transcript::{self, Item};
use standup::model::attempt::{Attempt, HostFacts, StopWhy};
use standup::model::board::{Board, Task};
use standup::model::event::Event;
use standup::model::id::{Seq, TaskId};
use standup::model::input::{Command as Wish, NewTask, Reply};
use standup::model::name::HostId;
use standup::model::task::{TaskSpec, TextRef};
use standup::os::locate::Dirs;
use standup::os::process::Stat;
use standup::store::approvals::Approvals;
use standup::store::log::TextDigest;
use standup::supervisor::place::Place;
use standup::supervisor::surroundings;
use standup::wire::control::Request;

/// Nothing in these tests takes longer on an idle machine than a second or two.
pub(crate) const DEADLINE: Duration = Duration::from_secs(100);

/// A repository with its supervisor.
pub(crate) struct Scene {
    root: Arc<tempfile::TempDir>,
    home: PathBuf,
    pub(crate) place: Place,
    supervisor: Option<Child>,
}

impl Scene {
    /// A repository with one commit and these settings, approved; no supervisor yet.
    pub(crate) fn new(settings: &str) -> Self {
        // Short, so that sockets fit into their 107 bytes.
        let root = tempfile::Builder::new().prefix("su").tempdir_in("/tmp").expect("temp dir");
        Self::under(Arc::new(root), "repo", settings)
    }

    /// Another repository of the same user, in the same home.
    pub(crate) fn beside(&self, settings: &str) -> Self {
        Self::under(self.root.clone(), "other", settings)
    }

    fn under(root: Arc<tempfile::TempDir>, name: &str, settings: &str) -> Self {
        let home = root.path().join("h");
        let repo = root.path().join(name);
        std::fs::create_dir_all(&repo).expect("repo folder");
        git(&repo, &["init", "-q", "-b", "main"]);
        std::fs::write(repo.join("README"), "one\n").expect("write");
        std::fs::write(repo.join("agents.toml"), settings).expect("write");
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-qm", "first"]);
        let dirs = Dirs {
            config: home.join("config"),
            state: home.join("state"),
            data: home.join("data"),
            runtime: home.join("run"),
        };
        let place = Place::find_under(&repo, dirs).expect("place");
        place.layout.prepare().expect("layout");
        let scene = Self { root, home, place, supervisor: None };
        scene.approve();
        scene
    }

    /// Approves what the settings say now.
    pub(crate) fn approve(&self) {
        let loaded = surroundings::load(&self.place).expect("settings load");
        let approvals = Approvals::at(&self.place.layout.approvals());
        approvals.approve(approval(&self.place, &loaded.commands.digest())).expect("approve");
    }

    /// What `HOME` and `STANDUP_HOME` say.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.place.root()
    }

    /// Starts the supervisor and waits until it can be asked.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the supervisor with more in its environment.
    pub(crate) fn start_with(&mut self, env: &[(&str, &str)]) {
        let line = self.try_start(env);
        let said = self.log();
        assert_eq!(line, "ready\n", "the supervisor said: {said}");
    }

    /// Starts the supervisor; returns the line it greets with, empty where it ended without one.
    pub(crate) fn try_start(&mut self, env: &[(&str, &str)]) -> String {
        use std::io::{BufRead, BufReader};
        let log =
            std::fs::File::options().create(true).append(true).open(self.place.layout.supervisor_log()).expect("log");
        let mut child = self
            .supervisor_command()
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("supervisor starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("stdout");
        BufReader::new(out).read_line(&mut line).expect("greeting");
        self.supervisor = Some(child);
        line
    }

    /// The supervisor of this scene, not yet started.
    pub(crate) fn supervisor_command(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_standup"));
        command.arg("-C").arg(self.repo()).args(["supervisor", "run", "--greet"]);
        command
    }

    /// What the supervisors have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.layout.supervisor_log()).unwrap_or_default()
    }

    /// The pid of the supervisor.
    pub(crate) fn pid(&self) -> u32 {
        self.supervisor.as_ref().expect("a supervisor runs").id()
    }

    /// Waits until the supervisor has ended.
    pub(crate) fn wait_dead(&mut self) -> ExitStatus {
        let mut child = self.supervisor.take().expect("a supervisor runs");
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = child.try_wait().expect("wait") {
                return status;
            }
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the supervisor has not ended: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends the supervisor a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.supervisor.as_ref().expect("a supervisor runs"));
        rustix::process::kill_process(pid, signal).expect("signal");
    }

    /// Adds that many tasks and starts them.
    pub(crate) fn start_tasks(&self, count: u32) {
        let titles: Vec<String> = (1..=count).map(|n| format!("Task number {n}")).collect();
        self.add(&titles.iter().map(String::as_str).collect::<Vec<_>>());
        self.wish(Wish::Dispatch { on: true }).expect("dispatch");
    }

    /// Adds that many tasks and waits until the agent of each lives; returns their hosts.
    pub(crate) fn live(&self, count: u32) -> Vec<HostFacts> {
        self.start_tasks(count);
        let all = |b: &Board| b.tasks.values().filter_map(|t| t.attempt()?.host().cloned()).collect::<Vec<_>>();
        all(&self.until("all live", |b| all(b).len() == count as usize))
    }

    /// Where a host listens.
    pub(crate) fn host_socket(&self, host: &HostId) -> PathBuf {
        self.place.layout.host_socket(host).expect("socket")
    }

    /// Makes a file in the `$STANDUP_DIR` of a task's agent.
    pub(crate) fn signal_file(&self, number: u32, name: &str) {
        let dir = standup::store::layout::run_dir(&self.attempt(number).worktree);
        std::fs::write(dir.join(name), "").expect("write");
    }

    /// What the folder of a host says.
    pub(crate) fn record(&self, host: &str) -> HostRecord {
        let name = HostId::new(host).expect("name");
        registry::find(&self.host_dir(host), name).expect("record")
    }

    /// The folder of a host.
    pub(crate) fn host_dir(&self, host: &str) -> PathBuf {
        self.place.layout.host_dir(&HostId::new(host).expect("name"))
    }

    /// Everything a host's agent wrote, and the bytes missing in it.
    pub(crate) fn transcript(&self, host: &str) -> (Vec<u8>, u64) {
        let mut reader = transcript::open(&self.host_dir(host).join("transcript"));
        let (mut bytes, mut missing) = (Vec::new(), 0);
        while let Some(item) = reader.next_item().expect("transcript") {
            match item {
                Item::Output { bytes: more, .. } => bytes.extend(more),
                Item::Gap { bytes: gap } => missing += gap,
                Item::Start { .. } | Item::Resize { .. } => {}
            }
        }
        (bytes, missing)
    }

    /// The events of one task so far, by name.
    pub(crate) fn events(&self, number: u32) -> Vec<Event> {
        // What is already so is no event, and the answer names the last one.
        let same = Wish::Dispatch { on: self.board().dispatch };
        let last = self.client().command(same, Vec::new()).expect("the last event").1;
        let mut follower = self.client().follow(Seq(1)).expect("follow");
        let (mut events, mut seen) = (Vec::new(), Seq(0));
        while seen < last {
            let logged = follower.next(Some(DEADLINE)).expect("follow").expect("the events up to the last");
            seen = logged.seq;
            if logged.record.task == Some(id(number)) {
                events.push(logged.record.event);
            }
        }
        events
    }

    /// A program with this scene's folders and a git identity.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("STANDUP_HOME", &self.home).env("HOME", &self.home);
        identity(&mut command);
        command
    }

    /// Kills the supervisor with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.supervisor.take().expect("a supervisor runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.place.layout).expect("connect")
    }

    pub(crate) fn board(&self) -> Board {
        self.client().board().expect("board").board
    }

    pub(crate) fn task(&self, number: u32) -> Task {
        self.board().tasks.remove(&id(number)).expect("task")
    }

    pub(crate) fn attempt(&self, number: u32) -> Attempt {
        self.task(number).attempt().expect("attempt").clone()
    }

    pub(crate) fn wish(&self, wish: Wish) -> Result<Reply, ClientError> {
        self.client().command(wish, Vec::new()).map(|(reply, _)| reply)
    }

    /// Adds tasks that differ only in their titles.
    pub(crate) fn add(&self, titles: &[&str]) -> Vec<TaskId> {
        self.add_specs(titles.iter().map(|t| spec(t)).collect())
    }

    pub(crate) fn add_specs(&self, specs: Vec<TaskSpec>) -> Vec<TaskId> {
        let texts = specs.iter().map(|s| format!("# {}\n", s.title)).collect();
        let tasks = specs.into_iter().map(|spec| NewTask { spec, needs_new: Vec::new() }).collect();
        match self.client().command(Wish::Add { tasks }, texts).expect("add").0 {
            Reply::Tasks { added, .. } => added,
            other => panic!("unexpected reply {other:?}"),
        }
    }

    /// Follows the log until the board is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Board) -> bool) -> Board {
        let until = Instant::now() + DEADLINE;
        let mut follower = self.client().follow(Seq(1)).expect("follow");
        loop {
            let board = self.board();
            if wanted(&board) {
                return board;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: not within {DEADLINE:?}; {}", self.story(&board));
            // What no event tells is looked at again now and then.
            let _ = follower.next(Some(left.min(Duration::from_millis(200)))).expect("follow");
        }
    }

    /// The end of every task's story, for a failing test.
    fn story(&self, board: &Board) -> String {
        let tasks: Vec<String> = board
            .tasks
            .values()
            .map(|t| format!("{} {} {:?} {:?}\n", t.id, t.column, t.needs_you, t.attempt().map(|a| (&a.phase, &a.run))))
            .collect();
        let log = std::fs::read_to_string(self.place.layout.supervisor_log()).unwrap_or_default();
        format!("{}holds {:?}\nlog {log}", tasks.concat(), board.holds)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(child) = &mut self.supervisor
            && child.try_wait().is_ok_and(|ended| ended.is_some())
        {
            self.supervisor = None;
        }
        if self.supervisor.is_none() && self.repo().exists() {
            // A failing test may have left settings that nobody can read; the last ones it needs.
            let _ = self.try_start(&[]);
        }
        let until = Instant::now() + Duration::from_secs(5);
        while let Ok(mut client) = Client::connect(&self.place.layout) {
            let _ = client.set_patience(Some(DEADLINE));
            let refused = matches!(client.ask(&Request::Down { why: StopWhy::Down }), Err(ClientError::Refused(_)));
            // One whose disk was full takes a moment to see that there is room.
            if !refused || Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(mut child) = self.supervisor.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Settings with room for everybody and one agent, the fake one, that plays these acts.
pub(crate) fn playing(acts: &[&str]) -> String {
    let fake = env!("CARGO_BIN_EXE_fake-agent");
    let acts: Vec<String> = acts.iter().map(|act| format!(", \"--act\", \"{act}\"")).collect();
    agent(&format!("[\"{fake}\", \"--ttl\", \"300\"{}]", acts.concat()))
}

/// Settings with room for everybody and one agent, a script.
pub(crate) fn scripted(script: &str) -> String {
    agent(&format!("[\"sh\", \"-c\", '''{script}''']"))
}

fn agent(command: &str) -> String {
    format!(
        "schema = 1\n[wip]\nbuild = 60\nreview = 1000\n\
         [agents.fake]\nadapter = \"generic\"\ncommand = {command}\nprompt = \"none\"\nmax = 60\n"
    )
}

/// The player, at rest after a turn without any work; says every message it takes.
pub(crate) fn resting() -> String {
    let player = env!("CARGO_BIN_EXE_standup");
    format!(
        "schema = 1\n[agents.demo]\nadapter = \"demo\"\ncommand = [\"{player}\", \"__demo-agent\"]\n\
         args = [\"--pace\", \"1\"]\n"
    )
}

/// Waits for something that no event tells.
#[track_caller]
pub(crate) fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < until, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often a fault is injected: `at_least`, times what `STANDUP_TRIALS` says.
pub(crate) fn trials(at_least: usize) -> usize {
    let times = std::env::var("STANDUP_TRIALS").ok().and_then(|t| t.parse::<usize>().ok()).unwrap_or(1);
    at_least * times.max(1)
}

/// The pids in a file, one a line.
pub(crate) fn pids(file: &Path) -> Vec<u32> {
    std::fs::read_to_string(file).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether a process of this number runs, and is no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    Stat::read(pid).is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'))
}

pub(crate) fn id(number: u32) -> TaskId {
    TaskId::new(number).expect("number")
}

pub(crate) fn spec(title: &str) -> TaskSpec {
    TaskSpec::new(title, TextRef(TextDigest::of(&format!("# {title}\n")).to_string()))
}

fn approval(place: &Place, digest: &str) -> standup::store::approvals::Approval {
    standup::store::approvals::Approval {
        repo: place.layout.key(),
        digest: digest.to_owned(),
        at: standup::os::clock::now().wall,
        what: Vec::new(),
    }
}

fn identity(command: &mut Command) {
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Test").env(format!("GIT_{who}_EMAIL"), "test@example.invalid");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
}

/// Runs git in a test's own folder.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    identity(&mut command);
    let out = command.current_dir(dir).args(args).output().expect("git runs");
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("utf-8").trim().to_owned()
}
