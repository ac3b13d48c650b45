//! A repository, a state folder of its own, and a supervisor over both; everything is gone when
//! the scene is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use standup::client::control::{Client, ClientError};
use standup::model::attempt::{Attempt, StopWhy};
use standup::model::board::{Board, Task};
use standup::model::id::{Seq, TaskId};
use standup::model::input::{Command as Wish, NewTask, Reply};
use standup::model::name::Slug;
use standup::model::task::{Mode, Priority, TaskSpec, TextRef};
use standup::os::locate::Dirs;
use standup::store::approvals::Approvals;
use standup::store::log::TextDigest;
use standup::supervisor::place::Place;
use standup::supervisor::surroundings;
use standup::wire::control::Request;

/// Nothing in these tests takes longer on an idle machine than a second or two.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A repository with its supervisor.
pub(crate) struct Scene {
    _root: tempfile::TempDir,
    home: PathBuf,
    pub(crate) place: Place,
    supervisor: Option<Child>,
}

impl Scene {
    /// A repository with one commit and these settings, approved; no supervisor yet.
    pub(crate) fn new(settings: &str) -> Self {
        // Short, so that sockets fit into their 107 bytes.
        let root = tempfile::Builder::new().prefix("su").tempdir_in("/tmp").expect("temp dir");
        let home = root.path().join("h");
        let repo = root.path().join("repo");
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
        let scene = Self { _root: root, home, place, supervisor: None };
        scene.approve();
        scene
    }

    /// Approves what the settings say now.
    pub(crate) fn approve(&self) {
        let loaded = surroundings::load(&self.place).expect("settings load");
        let approvals = Approvals::at(&self.place.layout.approvals());
        approvals.approve(approval(&self.place, &loaded.commands.digest())).expect("approve");
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.place.root()
    }

    /// Starts the supervisor and waits until it can be asked.
    pub(crate) fn start(&mut self) {
        use std::io::{BufRead, BufReader};
        let log =
            std::fs::File::options().create(true).append(true).open(self.place.layout.supervisor_log()).expect("log");
        let mut child = self
            .command(env!("CARGO_BIN_EXE_standup"))
            .arg("-C")
            .arg(self.repo())
            .args(["supervisor", "run", "--greet"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("supervisor starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("stdout");
        BufReader::new(out).read_line(&mut line).expect("greeting");
        let said = std::fs::read_to_string(self.place.layout.supervisor_log()).unwrap_or_default();
        assert_eq!(line, "ready\n", "the supervisor said: {said}");
        self.supervisor = Some(child);
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
        if self.supervisor.is_some() && Client::connect(&self.place.layout).is_err() {
            self.supervisor = None;
        }
        if self.supervisor.is_none() && Path::new(&self.repo()).exists() {
            self.start();
        }
        if let Ok(mut client) = Client::connect(&self.place.layout) {
            let _ = client.set_patience(Some(DEADLINE));
            let _ = client.ask(&Request::Down { why: StopWhy::Down });
        }
        if let Some(mut child) = self.supervisor.take() {
            let _ = child.wait();
        }
    }
}

pub(crate) fn id(number: u32) -> TaskId {
    TaskId::new(number).expect("number")
}

pub(crate) fn spec(title: &str) -> TaskSpec {
    TaskSpec {
        title: title.to_owned(),
        slug: Slug::from_title(title),
        brief: TextRef(TextDigest::of(&format!("# {title}\n")).to_string()),
        key: None,
        agent: None,
        mode: Mode::Delegate,
        priority: Priority::Normal,
        needs: Vec::new(),
        touches: Vec::new(),
        off_limits: Vec::new(),
        labels: Vec::new(),
        base: None,
        check_in: None,
        criteria: Vec::new(),
        checks: Vec::new(),
    }
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
