//! The real agent CLIs against a scripted model on loopback.
//!
//! [`Clis::require`] installs pinned versions, [`Model`] is the server, [`Home`] the only
//! environment the CLIs see. **Invariant:** nothing of the user's is read or written: no HOME, no
//! key, no settings. README.md has the language of the scripts.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standup::os::lock::Lock;
use standup::os::run::{Output, Run};

/// The versions that all findings about the CLIs are about.
const CLAUDE_VERSION: &str = "2.1.329";
const CODEX_VERSION: &str = "0.169.0";

/// Download and unpacking of 800 MB.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// One turn of a CLI against the scripted model takes seconds; the rest is for a busy machine.
const TURN_LIMIT: Duration = Duration::from_secs(120);

/// The server is there after a tenth of a second.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The server stops by itself after this long, whatever becomes of the test.
const MODEL_TTL_S: &str = "900";

/// A key that opens nothing. Claude Code asks about keys it does not know, by their last 20 characters.
const KEY: &str = "sk-ant-test-000";

/// Which CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cli {
    Claude,
    Codex,
}

impl Cli {
    /// Its program, and its adapter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }
}

/// Where the CLIs are installed.
#[derive(Debug)]
pub struct Clis {
    /// The folder that holds `claude` and `codex`.
    pub bin: PathBuf,
}

impl Clis {
    /// The pinned CLIs, installed into `$STANDUP_TEST_CACHE`, else `target/agents`, unless they
    /// are there already.
    ///
    /// # Panics
    /// Where they cannot be had: a test that asked for them has not run, and must not pass.
    pub fn require() -> Self {
        Self::install().unwrap_or_else(|why| panic!("not run: {why}"))
    }

    fn install() -> Result<Self, String> {
        for tool in ["npm", "node", "python3"] {
            which::which(tool).map_err(|_| format!("{tool} is missing"))?;
        }
        let cache = std::env::var_os("STANDUP_TEST_CACHE").map(PathBuf::from);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp lies in target");
        let cache = cache.unwrap_or_else(|| target.join("agents"));
        fs::create_dir_all(&cache).map_err(|e| format!("cannot make {}: {e}", cache.display()))?;
        // Tests run as processes of their own: the first installs, the others wait.
        let _turn = Lock::take(&cache.join(".lock")).map_err(|e| e.to_string())?;
        let clis = Self { bin: cache.join("node_modules/.bin") };
        if clis.are_right(&cache) {
            return Ok(clis);
        }
        let packages =
            [format!("@anthropic-ai/claude-code@{CLAUDE_VERSION}"), format!("@openai/codex@{CODEX_VERSION}")];
        let npm = which::which("npm").expect("found before");
        let out = Run::new(npm)
            .args(["install", "--no-fund", "--no-audit", "--no-progress", "--loglevel=error", "--prefix"])
            .args([cache.as_os_str()])
            .args(packages)
            .cwd(&cache)
            .timeout(INSTALL_LIMIT)
            .output()
            .map_err(|e| e.to_string())?;
        if !out.ended.is_success() {
            return Err(format!("npm install failed: {}", String::from_utf8_lossy(&out.stderr)));
        }
        // npm may be set not to run the scripts of packages; this one links the native program into place.
        let package = cache.join("node_modules/@anthropic-ai/claude-code");
        if !clis.is_right(&cache, "claude", CLAUDE_VERSION) && package.join("install.cjs").exists() {
            let node = which::which("node").expect("found before");
            let _ = Run::new(node).args(["install.cjs"]).cwd(&package).timeout(INSTALL_LIMIT).output();
        }
        if clis.are_right(&cache) { Ok(clis) } else { Err("the CLIs were installed and do not start".into()) }
    }

    fn are_right(&self, cache: &Path) -> bool {
        self.is_right(cache, "claude", CLAUDE_VERSION) && self.is_right(cache, "codex", CODEX_VERSION)
    }

    /// Whether a CLI is there, starts, and is of this version.
    fn is_right(&self, cache: &Path, name: &str, version: &str) -> bool {
        let home = cache.join(".probe-home");
        let _ = fs::create_dir_all(&home);
        Run::new(self.bin.join(name))
            .args(["--version"])
            .clear_env()
            .env("PATH", path_with(&self.bin))
            .env("HOME", home)
            .timeout(TURN_LIMIT)
            .output()
            .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(version))
    }
}

/// The CLIs first, then where node and git are.
fn path_with(bin: &Path) -> String {
    let node = which::which("node").ok().and_then(|path| path.parent().map(Path::to_owned));
    let node = node.map(|dir| format!("{}:", dir.display())).unwrap_or_default();
    format!("{}:{node}/usr/local/bin:/usr/bin:/bin", bin.display())
}

/// The scripted model, on a port of its own.
#[derive(Debug)]
pub struct Model {
    child: Child,
    port: u16,
    // Holds the file with the port.
    _dir: tempfile::TempDir,
}

impl Model {
    /// Starts the server and waits until it listens.
    #[expect(clippy::disallowed_methods, reason = "a server that a test keeps; os::run waits for the end")]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rig/fakemodel.py");
        let mut child = Command::new("python3")
            .arg("-B")
            .arg(script)
            .args(["--die-with-parent", "--ttl", MODEL_TTL_S, "--port-file"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let until = Instant::now() + START_LIMIT;
        let port = loop {
            // The file appears by a rename, whole.
            if let Ok(text) = fs::read_to_string(&file) {
                break text.trim().parse().expect("a port");
            }
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                panic!("the model server ended: {status}");
            }
            assert!(Instant::now() < until, "the model server does not listen after {START_LIMIT:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { child, port, _dir: dir }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until an agent waits at a gate.
    #[track_caller]
    pub fn wait(&self, gate: &str) {
        let (status, _) = self.request("GET", &format!("/__fm/wait?gate={gate}&timeout=60"), "");
        assert_eq!(status, 200, "nobody came to the gate {gate}; so far:\n{:#?}", self.log());
    }

    /// Opens a gate, for those who wait and those who will come.
    #[track_caller]
    pub fn open(&self, gate: &str) {
        assert_eq!(self.request("POST", &format!("/__fm/open?gate={gate}"), "").0, 200);
    }

    /// Closes it again.
    #[track_caller]
    pub fn close(&self, gate: &str) {
        assert_eq!(self.request("POST", &format!("/__fm/close?gate={gate}"), "").0, 200);
    }

    /// Registers or replaces a script: `{"name", "steps", "params"}`.
    #[track_caller]
    pub fn script(&self, script: &Value) {
        let (status, body) = self.request("POST", "/__fm/script", &script.to_string());
        assert_eq!(status, 200, "{body}");
    }

    /// Every request so far.
    ///
    /// # Panics
    /// The server had a fault of its own.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        let (status, body) = self.request("GET", "/__fm/log", "");
        assert_eq!(status, 200, "{body}");
        let log: Vec<Value> = serde_json::from_str(&body).expect("a list");
        let faults: Vec<&Value> = log.iter().filter(|line| line.get("bug").is_some()).collect();
        assert!(faults.is_empty(), "the model server failed: {faults:#?}");
        log
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the model server listens");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a socket takes a limit");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A HOME of its own for the CLIs, thrown away at the end.
#[derive(Debug)]
pub struct Home {
    // Not under the system's folder for temporary files: Codex refuses to install its helpers there.
    dir: tempfile::TempDir,
    bin: PathBuf,
    url: String,
}

impl Home {
    /// An empty home.
    pub fn new(clis: &Clis, model: &Model) -> Self {
        let dir = tempfile::Builder::new().prefix("home-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a home");
        fs::create_dir_all(dir.path().join("tmp")).expect("its temporary files");
        fs::create_dir_all(dir.path().join(".codex")).expect("the home of Codex");
        Self { dir, bin: clis.bin.clone(), url: model.url() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Does what a person has done once who uses both CLIs: the first questions answered, the key
    /// known.
    pub fn acquaint(&self) {
        self.change_claude(|settings| {
            settings["hasCompletedOnboarding"] = json!(true);
            settings["customApiKeyResponses"] =
                json!({"approved": [&KEY[KEY.len().saturating_sub(20)..]], "rejected": []});
        });
    }

    /// As if the key had never been used: Claude Code then asks about it.
    pub fn forget_key(&self) {
        self.change_claude(|settings| settings["customApiKeyResponses"] = json!({"approved": [], "rejected": []}));
    }

    fn change_claude(&self, change: impl FnOnce(&mut Value)) {
        let file = self.path().join(".claude.json");
        let read = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut settings: Value = read.unwrap_or_else(|| json!({}));
        change(&mut settings);
        fs::write(&file, settings.to_string()).expect("written");
    }

    /// The same, and the folder is trusted. `repository` is the main checkout, whose worktrees are
    /// then trusted too.
    pub fn trust(&self, repository: &Path) {
        let repository = fs::canonicalize(repository).expect("the repository is there");
        let name = repository.to_str().expect("UTF-8");
        self.acquaint();
        self.change_claude(|settings| settings["projects"][name]["hasTrustDialogAccepted"] = json!(true));
        let codex = self.path().join(".codex/config.toml");
        let table = toml::Value::String(name.to_owned());
        let mut text = fs::read_to_string(&codex).unwrap_or_default();
        text.push_str(&format!("[projects.{table}]\ntrust_level = \"trusted\"\n"));
        fs::write(&codex, text).expect("written");
    }

    /// The whole environment for both CLIs: nothing of this process's.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.path().to_str().expect("UTF-8");
        [
            ("PATH", path_with(&self.bin)),
            ("HOME", home.to_owned()),
            ("TMPDIR", format!("{home}/tmp")),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_AUTHOR_NAME", "Test".to_owned()),
            ("GIT_AUTHOR_EMAIL", "test@localhost".to_owned()),
            ("GIT_COMMITTER_NAME", "Test".to_owned()),
            ("GIT_COMMITTER_EMAIL", "test@localhost".to_owned()),
            // Claude Code: the server, a key it knows, no other request than those of a turn; root may skip approvals.
            ("ANTHROPIC_BASE_URL", self.url.clone()),
            ("ANTHROPIC_API_KEY", KEY.to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            // Two retries instead of ten: a scripted failure then takes seconds.
            ("CLAUDE_CODE_MAX_RETRIES", "2".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
            ("IS_SANDBOX", "1".to_owned()),
            // Codex: the key of the provider that `arguments` names.
            ("FAKE_KEY", "sk-test".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// What a CLI needs on its command line to speak to the scripted model, and nothing else.
    pub fn arguments(&self, cli: Cli) -> Vec<String> {
        match cli {
            // The environment says it all.
            Cli::Claude => Vec::new(),
            Cli::Codex => {
                let provider = format!(
                    "model_providers.fake={{name=\"fake\",base_url=\"{}/v1\",wire_api=\"responses\",env_key=\"FAKE_KEY\",\
                     request_max_retries=0,stream_max_retries=0}}",
                    self.url
                );
                ["-m", "gpt-6-sol", "-c", "model_provider=\"fake\"", "-c", &provider].map(str::to_owned).to_vec()
            }
        }
    }

    /// Runs one prompt to its end, without a terminal.
    pub fn headless(&self, cli: Cli, cwd: &Path, prompt: &str) -> Output {
        let (name, first, last): (&str, &[&str], &[&str]) = match cli {
            Cli::Claude => ("claude", &["-p", "--output-format", "json"], &["--dangerously-skip-permissions", "--"]),
            Cli::Codex => ("codex", &["exec", "--json"], &["--dangerously-bypass-approvals-and-sandbox"]),
        };
        let mut run = Run::new(self.bin.join(name)).args(first).args(self.arguments(cli)).args(last).args([prompt]);
        run = run.cwd(cwd).clear_env().timeout(TURN_LIMIT);
        for (name, value) in self.environment() {
            run = run.env(name, value);
        }
        run.output().expect("the CLI starts")
    }
}
