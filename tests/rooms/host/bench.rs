//! A folder for one host, and a peer that speaks to it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use standup::host::registry::{self, HostRecord};
use standup::host::transcript::{self, Item};
use standup::host::{self, ExitRecord, StartError};
use standup::model::name::HostId;
use standup::os::process;
use standup::wire::host::{
    Address, Bytes, Decoder, Frame, FromHost, Hello, Role, SPEC_SCHEMA, Size, Spec, Status, StopRequest, ToHost,
    VERSIONS,
};

/// Every wait of these tests ends by then.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Looks again and again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One host's folder. Whatever runs in it is ended when it is dropped.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) spec: Spec,
}

impl Bench {
    /// A host that is to run a shell script.
    pub(crate) fn sh(script: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let spec = Spec {
            schema: SPEC_SCHEMA,
            id: HostId::new("h").expect("name"),
            nonce: nonce.clone(),
            dir: dir.path().join("h").into(),
            socket: dir.path().join("s").into(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: dir.path().into(),
            env: vec![
                ("PATH".into(), std::env::var_os("PATH").expect("PATH").into()),
                ("TERM".into(), "xterm-256color".into()),
            ],
            size: Size { rows: 24, cols: 80 },
            marker: format!("STANDUP_TEST_HOST={nonce}"),
            answers: Vec::new(),
            reports: vec![7501],
            fence: None,
            slot_fd: None,
            transcript_cap_bytes: 0,
            scrollback: 0,
            lock_dirs: Vec::new(),
            stdin: None,
            stop_grace_ms: 500,
            made_for: String::new(),
        };
        Self { dir, spec }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn host_dir(&self) -> PathBuf {
        self.spec.dir.as_path().to_owned()
    }

    pub(crate) fn try_start(&self) -> Result<Address, StartError> {
        host::start(&self.spec, Path::new(env!("CARGO_BIN_EXE_standup")))
    }

    pub(crate) fn start(&self) -> Address {
        self.try_start().expect("the host starts")
    }

    pub(crate) fn find(&self) -> HostRecord {
        registry::find(&self.host_dir(), self.spec.id.clone()).expect("folder")
    }

    /// Waits for the end, and for the record.
    pub(crate) fn ended(&self) -> ExitRecord {
        wait_until("the host to end", || (!self.find().alive).then_some(()));
        self.find().exit.expect("a host that ends leaves a record")
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        let mut reader = transcript::open(&self.host_dir().join("transcript"));
        std::iter::from_fn(|| reader.next_item().expect("readable")).collect()
    }

    /// Everything the agent wrote, as far as it is on disk.
    pub(crate) fn output(&self) -> Vec<u8> {
        let outputs = self.items().into_iter().filter_map(|item| match item {
            Item::Output { bytes, .. } => Some(bytes),
            _ => None,
        });
        outputs.collect::<Vec<_>>().concat()
    }

    pub(crate) fn link(&self, role: Role) -> Link {
        Link::open(self.spec.socket.as_path(), role, None, false).0
    }

    pub(crate) fn client(&self, size: Option<Size>) -> Link {
        Link::open(self.spec.socket.as_path(), Role::Client, size, false).0
    }

    pub(crate) fn stop(&self) -> ExitRecord {
        self.link(Role::Control).send(&ToHost::Stop(StopRequest::default()));
        self.ended()
    }

    /// The processes that carry this host's marker.
    pub(crate) fn family(&self) -> Vec<process::ProcessId> {
        process::marked(&self.spec.marker)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(running) = self.find().running.filter(|_| self.find().alive) {
            let _ = running.host.signal(rustix::process::Signal::KILL);
        }
        let _ = host::kill_leftovers(&self.spec.marker);
    }
}

/// A connection to a host.
pub(crate) struct Link {
    stream: UnixStream,
    decoder: Decoder<FromHost>,
    waiting: VecDeque<FromHost>,
    /// Everything that was to be shown, in order.
    pub(crate) shown: Vec<u8>,
}

impl Link {
    pub(crate) fn open(socket: &Path, role: Role, size: Option<Size>, readonly: bool) -> (Self, Status) {
        Self::open_with(socket, role, size, readonly, 0)
    }

    /// The same, with these features.
    pub(crate) fn open_with(
        socket: &Path,
        role: Role,
        size: Option<Size>,
        readonly: bool,
        features: u64,
    ) -> (Self, Status) {
        let stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(LIMIT)).expect("timeout");
        let mut link = Self { stream, decoder: Decoder::new(), waiting: VecDeque::new(), shown: Vec::new() };
        link.send(&ToHost::Hello(Hello { versions: VERSIONS, features, role, size, readonly, scrollback: 100 }));
        let status = link.expect("a welcome", |frame| match frame {
            FromHost::Welcome(welcome) => Some(welcome.status.clone()),
            _ => None,
        });
        (link, status)
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, frame: &ToHost) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("encode");
        self.stream.write_all(&bytes).expect("send");
    }

    /// The next frame; `None` when the host has closed.
    pub(crate) fn next(&mut self) -> Option<FromHost> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                if let FromHost::Output(bytes) | FromHost::Snapshot(bytes) = &frame {
                    self.shown.extend_from_slice(bytes);
                }
                return Some(frame);
            }
            let mut chunk = vec![0; 64 << 10];
            let n = match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("nothing came: {e}"),
            };
            self.decoder.feed(&chunk[..n]);
            while let Some(frame) = self.decoder.next_frame().expect("frames") {
                self.waiting.push_back(frame);
            }
        }
    }

    /// Reads until a frame is what is looked for.
    pub(crate) fn expect<T>(&mut self, what: &str, mut look: impl FnMut(&FromHost) -> Option<T>) -> T {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("the host closed before {what}"));
            if let Some(found) = look(&frame) {
                return found;
            }
        }
    }

    /// Reads until this text has been shown.
    pub(crate) fn expect_text(&mut self, text: &str) {
        while !self.shown.windows(text.len()).any(|w| w == text.as_bytes()) {
            assert!(self.next().is_some(), "the host closed before {text:?} was shown");
        }
    }

    pub(crate) fn status(&mut self) -> Status {
        self.send(&ToHost::Status(standup::wire::host::Empty {}));
        self.expect("a status", |frame| match frame {
            FromHost::Status(status) => Some((**status).clone()),
            _ => None,
        })
    }
}

/// Bytes of physical memory a process has ever used.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_ascii_whitespace().nth(1).expect("number").parse::<u64>().expect("number") << 10
}

pub(crate) fn text(bytes: &[u8]) -> Bytes {
    Bytes(bytes.to_vec())
}
