//! A repository, the real CLIs in a home of their own, a scripted model, and a supervisor over
//! them all, started with that home's environment and nothing else.
//!
//! **Invariant:** when a stage is dropped, nothing that was started in its home runs any more, and
//! a test in which something did has failed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use standup::client::control::Client;
use standup::model::attempt::{Attempt, StopWhy};
use standup::model::board::{Board, Task};
use standup::model::event::Event;
use standup::model::id::{MsgId, Seq, TaskId};
use standup::model::input::{Command as Wish, NewTask, Reply};
use standup::model::message::{Delivery, Message};
use standup::model::name::{AgentName, Slug};
use standup::model::state::{RunKind, RunState, Source};
use standup::model::task::{Mode, TaskSpec, TextRef};
use standup::os::locate::Dirs;
use standup::os::process::ProcessId;
use standup::store::approvals::{Approval, Approvals};
use standup::store::log::TextDigest;
use standup::supervisor::place::Place;
use standup::supervisor::surroundings;
use standup::wire::control::{Answer, Logged, Request, Signal};

use crate::support::rig::{Cli, Clis, Home, Model};

/// A CLI answers within two seconds on an idle machine; the rest is for a busy one.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// What a stage is made of.
pub(super) struct Setting<'a> {
    /// Added to the settings of the repository.
    pub(super) settings: &'a str,
    /// Arguments of Claude.
    pub(super) claude: &'a [&'a str],
    /// Arguments of Codex, beside those that lead it to the model.
    pub(super) codex: &'a [&'a str],
    /// Whether the first questions were answered and the folder is trusted.
    pub(super) trusted: bool,
    /// The user's own adapters, by name.
    pub(super) adapters: Vec<(&'a str, String)>,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self {
            settings: "",
            claude: &["--allowedTools", "Bash(git:*)"],
            codex: &[],
            trusted: true,
            adapters: Vec::new(),
        }
    }
}

/// The stage.
pub(super) struct Stage {
    root: tempfile::TempDir,
    pub(super) model: Model,
    home: Home,
    pub(super) place: Place,
    supervisor: Option<Child>,
    story: Arc<Story>,
    times: Mutex<String>,
}

/// Every event as it was heard.
#[derive(Default)]
struct Story {
    heard: Mutex<Vec<(Instant, Logged)>>,
    more: Condvar,
}

impl Stage {
    /// Everything in its place and the supervisor up.
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        let clis = Clis::require();
        let model = Model::start();
        // Short, so that sockets fit into their 107 bytes.
        let root = tempfile::Builder::new().prefix("ra").tempdir_in("/tmp").expect("temp dir");
        let repo = root.path().join("repo");
        std::fs::create_dir(&repo).expect("repo folder");
        let home = Home::new(&clis, &model);
        if setting.trusted {
            home.trust(&repo);
        }
        let mut codex = home.arguments(Cli::Codex);
        codex.extend(setting.codex.iter().map(|arg| (*arg).to_owned()));
        let settings = format!(
            "schema = 1\nagent = \"claude\"\n{}\n[agents.claude]\nadapter = \"claude\"\nargs = {}\n\
             [agents.codex]\nadapter = \"codex\"\nargs = {}\n",
            setting.settings,
            serde_json::to_string(setting.claude).expect("json"),
            serde_json::to_string(&codex).expect("json"),
        );
        std::fs::write(repo.join("agents.toml"), settings).expect("write");
        std::fs::write(repo.join("calc.py"), "def add(a, b):\n    return a - b\n").expect("write");
        let under = root.path().join("h");
        let dirs = Dirs {
            config: under.join("config"),
            state: under.join("state"),
            data: under.join("data"),
            runtime: under.join("run"),
        };
        for (name, text) in &setting.adapters {
            let adapters = dirs.config.join("adapters");
            std::fs::create_dir_all(&adapters).expect("a folder");
            std::fs::write(adapters.join(format!("{name}.toml")), text).expect("write");
        }
        let git = |line: &str| super::git(&repo, line);
        git("git init -q -b main && git config user.name T && git config user.email t@localhost");
        git("git add -A && git commit -qm 'A repository with a fault'");
        let place = Place::find_under(&repo, dirs).expect("place");
        place.layout.prepare().expect("layout");
        let story = Arc::default();
        let mut stage = Self { root, model, home, place, supervisor: None, story, times: Mutex::default() };
        stage.approve();
        stage.start();
        stage.wish(Wish::Dispatch { on: true });
        stage
    }

    fn approve(&self) {
        let loaded = surroundings::look(&self.place).expect("settings load");
        let approval = Approval {
            repo: self.place.layout.key(),
            digest: loaded.commands.digest(),
            at: standup::os::clock::now().wall,
            what: Vec::new(),
        };
        Approvals::at(&self.place.layout.approvals()).approve(approval).expect("approved");
    }

    /// Starts a supervisor and waits until it can be asked.
    #[expect(clippy::disallowed_methods, reason = "a supervisor that a test keeps; os::run waits for the end")]
    pub(super) fn start(&mut self) {
        let log = self.place.layout.supervisor_log();
        let log_file = std::fs::File::options().create(true).append(true).open(&log).expect("log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_standup"))
            .arg("-C")
            .arg(self.repo())
            .args(["supervisor", "run", "--greet"])
            .env_clear()
            .envs(self.home.environment())
            .env("STANDUP_HOME", self.root.path().join("h"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .expect("supervisor starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("greeting");
        self.supervisor = Some(child);
        assert_eq!(line, "ready\n", "{}", self.log());
        let next = self.story.heard.lock().expect("story").last().map_or(1, |(_, logged)| logged.seq.0 + 1);
        let mut follower = self.client().follow(Seq(next)).expect("follow");
        let story = self.story.clone();
        std::thread::spawn(move || {
            while let Ok(logged) = follower.next(None) {
                story.heard.lock().expect("story").extend(logged.map(|l| (Instant::now(), l)));
                story.more.notify_all();
            }
        });
    }

    /// Kills the supervisor with SIGKILL.
    pub(super) fn kill(&mut self) {
        let mut child = self.supervisor.take().expect("a supervisor runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// The main checkout.
    pub(super) fn repo(&self) -> PathBuf {
        self.place.root()
    }

    /// The home of the CLIs.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn client(&self) -> Client {
        let client = Client::connect(&self.place.layout).expect("connect");
        client.set_patience(Some(DEADLINE)).expect("a limit");
        client
    }

    pub(super) fn board(&self) -> Board {
        self.client().board().expect("board").board
    }

    pub(super) fn task(&self, id: TaskId) -> Task {
        self.board().tasks.remove(&id).expect("task")
    }

    pub(super) fn attempt(&self, id: TaskId) -> Attempt {
        self.task(id).attempt().expect("attempt").clone()
    }

    pub(super) fn wish(&self, wish: Wish) -> Reply {
        self.client().command(wish, Vec::new()).expect("accepted").0
    }

    /// Adds a task; what the model does is in the prompt.
    pub(super) fn add(&self, agent: Cli, prompt: &str) -> TaskId {
        self.add_in(agent, Mode::Delegate, prompt)
    }

    /// Adds a task in another mode.
    pub(super) fn add_in(&self, agent: Cli, mode: Mode, prompt: &str) -> TaskId {
        let name = agent.name();
        let brief = format!("# Work for {name}\n\n{prompt}\n");
        let brief_of = TextRef(TextDigest::of(&brief).to_string());
        let spec = TaskSpec {
            slug: Slug::from_title(name),
            agent: Some(AgentName::new(name).expect("name")),
            mode,
            ..TaskSpec::new(&format!("Work for {name}"), brief_of)
        };
        let tasks = vec![NewTask { spec, needs_new: Vec::new() }];
        match self.client().command(Wish::Add { tasks }, vec![brief]).expect("added").0 {
            Reply::Tasks { added, .. } => added[0],
            other => panic!("unexpected reply {other:?}"),
        }
    }

    /// Adds a task whose agent asks whether it may make a file; returns the file too, and since when
    /// it asks.
    pub(super) fn add_asking(&self, cli: Cli, gate: &str) -> (TaskId, PathBuf, Instant) {
        let file = self.home().path().join(format!("{gate}-was-here"));
        let id = self.add(cli, &format!("[[steps:[{},{{\"say\":\"went on\"}}]]]", touch(gate, &file)));
        self.model.wait(gate);
        self.until_state(id, RunKind::Working);
        let asked = Instant::now();
        self.model.open(gate);
        (id, file, asked)
    }

    pub(super) fn send(&self, task: TaskId, text: &str, now: bool) -> MsgId {
        match self.wish(Wish::Send { task, text: text.to_owned(), now }) {
            Reply::Message { msg, .. } => msg,
            other => panic!("unexpected reply {other:?}"),
        }
    }

    /// Waits until the board is as wanted.
    #[track_caller]
    pub(super) fn until(&self, what: &str, wanted: impl Fn(&Board) -> bool) -> Board {
        let end = Instant::now() + DEADLINE;
        let mut known = 0;
        loop {
            let board = self.board();
            if wanted(&board) {
                return board;
            }
            assert!(Instant::now() < end, "never: {what}\n{}", self.told());
            let heard = self.story.heard.lock().expect("story");
            // What no event tells (readable, ages) is looked at again now and then.
            let more = self.story.more.wait_timeout_while(heard, Duration::from_millis(200), |h| h.len() <= known);
            known = more.expect("story").0.len();
        }
    }

    /// Waits until a task is as wanted.
    #[track_caller]
    pub(super) fn until_task(&self, id: TaskId, what: &str, wanted: impl Fn(&Task) -> bool) -> Task {
        self.until(&format!("{id}: {what}"), |b| wanted(&b.tasks[&id])).tasks.remove(&id).expect("task")
    }

    /// Waits until a task's agent is in a state.
    #[track_caller]
    pub(super) fn until_state(&self, id: TaskId, kind: RunKind) -> RunState {
        let task = self.until_task(id, &format!("{kind:?}"), |t| run(t).is_some_and(|r| r.kind == kind));
        run(&task).expect("an attempt").clone()
    }

    /// Waits until a message has come to its end, whatever it is.
    #[track_caller]
    pub(super) fn until_settled(&self, id: TaskId, msg: MsgId) -> Message {
        let found = |t: &Task| t.messages.iter().find(|m| m.id == msg).cloned();
        let settled = |m: &Message| matches!(m.delivery, Delivery::Delivered | Delivery::Unknown | Delivery::Withdrawn);
        let task = self.until_task(id, "its message is settled", |t| found(t).as_ref().is_some_and(settled));
        found(&task).expect("the message")
    }

    /// Every event so far of a task, in order.
    pub(super) fn events(&self, id: TaskId) -> Vec<Event> {
        // The board is asked on another connection, and may be ahead of the story.
        let (_, last) = self.client().command(Wish::Dispatch { on: true }, Vec::new()).expect("accepted");
        let behind = |heard: &mut Vec<(Instant, Logged)>| heard.last().is_none_or(|(_, l)| l.seq.0 < last.0);
        let heard = self.story.heard.lock().expect("story");
        let heard = self.story.more.wait_timeout_while(heard, DEADLINE, behind).expect("story").0;
        heard.iter().filter(|(_, l)| l.record.task == Some(id)).map(|(_, l)| l.record.event.clone()).collect()
    }

    /// The agent of a task went through these kinds of state and no others.
    #[track_caller]
    pub(super) fn assert_went_through(&self, id: TaskId, kinds: &[RunKind]) {
        let went = self.kinds(id);
        assert!(went == kinds, "{id} went through {went:?} instead of {kinds:?}\n{}", self.told());
    }

    /// The kinds of state a task's agent went through, each once.
    fn kinds(&self, id: TaskId) -> Vec<RunKind> {
        let mut kinds: Vec<RunKind> = Vec::new();
        for event in self.events(id) {
            if let Event::StateChanged { state } = event
                && kinds.last() != Some(&state.kind)
            {
                kinds.push(state.kind);
            }
        }
        kinds
    }

    /// Notes how long after `since` a state was first heard of, and by whom; for the table.
    pub(super) fn timed(&self, id: TaskId, what: &str, since: Instant, wanted: impl Fn(&RunState) -> bool) {
        let find = |heard: &[(Instant, Logged)]| {
            heard.iter().find_map(|(at, logged)| match &logged.record.event {
                Event::StateChanged { state } if logged.record.task == Some(id) && *at >= since && wanted(state) => {
                    Some((at.duration_since(since), state.source))
                }
                _ => None,
            })
        };
        let heard = self.story.heard.lock().expect("story");
        let heard = self.story.more.wait_timeout_while(heard, DEADLINE, |h| find(h).is_none()).expect("story").0;
        let found = find(&heard);
        drop(heard);
        let (after, source) = found.unwrap_or_else(|| panic!("{id}: {what} was never heard of\n{}", self.told()));
        let line = format!("measured {what}: {id} by {source:?} after {} ms\n", after.as_millis());
        self.times.lock().expect("times").push_str(&line);
    }

    /// Every signal of a task's agent.
    pub(super) fn signals(&self, task: TaskId) -> Vec<Signal> {
        match self.client().ask(&Request::Explain { task }).expect("answered") {
            Answer::Signals { signals } => signals,
            other => panic!("unexpected answer {other:?}"),
        }
    }

    /// Waits until a dialog has stood on the screen of a task's agent for longer than a CLI takes to
    /// come up.
    #[track_caller]
    pub(super) fn until_stands(&self, id: TaskId) {
        let stands = |s: &Signal| s.source == Source::Screen && s.age_s >= 1.5;
        self.until(&format!("{id}: a dialog stands"), |_| self.signals(id).iter().any(stands));
    }

    /// How often the model was asked for the first step of a script by this CLI: once for each time
    /// that the prompt which names it was submitted.
    pub(super) fn begun(&self, cli: Cli, script: &str) -> usize {
        let of = |line: &serde_json::Value| line["agent"].as_str().is_some_and(|agent| agent.contains(cli.name()));
        let first = |line: &serde_json::Value| line["script"] == script && line["step"] == 0 && line["kind"] == "turn";
        self.model.log().iter().filter(|line| of(line) && first(line)).count()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.layout.supervisor_log()).unwrap_or_default()
    }

    /// Everything that helps to understand a failure.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        let heard = self.story.heard.lock().expect("story");
        let first = heard.first().map(|(at, _)| *at);
        for (at, logged) in heard.iter() {
            let ms = first.map_or(0, |f| at.duration_since(f).as_millis());
            let record = format!("{:?}", logged.record);
            let _ = writeln!(text, "{ms:>6} ms {}", record.chars().take(700).collect::<String>());
        }
        drop(heard);
        for task in self.board().tasks.values() {
            let _ = writeln!(text, "{} {} needs {:?}", task.id, task.column, task.needs_you);
            let _ = writeln!(text, "  {:?}", task.attempt().map(|a| (&a.phase, &a.run, a.readable, &a.asks)));
            for signal in self.signals(task.id) {
                let _ = writeln!(text, "  {signal:?}");
            }
            if let Some(host) = task.attempt().and_then(Attempt::host) {
                let _ = writeln!(text, "--- screen of {}\n{}", task.id, super::terminal::screen(self, &host.id));
            }
        }
        let _ = writeln!(text, "--- log\n{}", self.log());
        for line in self.model.log().iter().rev().take(12).rev() {
            let of = |key: &str| line[key].to_string().chars().take(160).collect::<String>();
            let _ = writeln!(
                text,
                "model: {} {} {} {} {}",
                of("agent"),
                of("kind"),
                of("script"),
                of("step"),
                of("status")
            );
        }
        text
    }

    /// Processes that carry this stage's home in their environment.
    pub(super) fn running(&self) -> Vec<(u32, String)> {
        let marker = format!("HOME={}", self.home.path().display());
        let pids = std::fs::read_dir("/proc").expect("proc").filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: u32| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            let own = environ.split(|b| *b == 0).any(|v| v == marker.as_bytes());
            let args = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            own.then(|| (pid, String::from_utf8_lossy(&args).replace('\0', " ")))
        })
        .collect()
    }

    fn end(&mut self) {
        if self.supervisor.is_none() {
            self.start();
        }
        if let Ok(mut client) = Client::connect(&self.place.layout) {
            let _ = client.set_patience(Some(DEADLINE));
            let _ = client.ask(&Request::Down { why: StopWhy::Down });
        }
        if let Some(mut child) = self.supervisor.take() {
            let end = Instant::now() + DEADLINE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        print!("{}", self.times.lock().expect("times"));
        if std::env::var_os("STANDUP_TEST_TELL").is_some() {
            println!("{}", self.told());
        }
        self.end();
        let end = Instant::now() + Duration::from_secs(5);
        let mut left = self.running();
        while !left.is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            left = self.running();
        }
        // They are ours: their environment says so.
        for (pid, _) in &left {
            ProcessId::of(*pid).map(|id| id.signal(rustix::process::Signal::KILL));
        }
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:#?}");
    }
}

/// The run state of a task's newest attempt.
pub(super) fn run(task: &Task) -> Option<&RunState> {
    task.attempt().map(|a| &a.run)
}

/// A step behind a gate that makes a file, for which both CLIs want permission.
pub(super) fn touch(gate: &str, file: &Path) -> String {
    let cmd = format!("touch {}", file.display());
    format!("{{\"gate\":\"{gate}\",\"bash\":{{\"cmd\":\"{cmd}\",\"escalate\":true,\"why\":\"to see\"}}}}")
}
