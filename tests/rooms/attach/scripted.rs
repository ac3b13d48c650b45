//! A host that does what a test says.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use standup::wire::host::{
    AgentState, Decoder, Empty, Exit, Frame, FromHost, Hello, Process, Size, SnapshotBegin, SnapshotReason, Status,
    ToHost, VERSIONS, Versions, Welcome,
};

/// Nothing here takes longer unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Scripted {
    dir: tempfile::TempDir,
    listener: UnixListener,
    stream: Option<UnixStream>,
    decoder: Decoder<ToHost>,
    hello: Option<Hello>,
    /// Input that was received and not yet asked for.
    input: Vec<u8>,
    /// Other frames that were received and not yet asked for.
    frames: Vec<ToHost>,
}

/// Paints the main screen as a host would.
pub(crate) fn main_snapshot(text: &str) -> Vec<u8> {
    format!("\x1b[m\x1b[?1049l\x1b[H\x1b[J{text}").into_bytes()
}

/// Paints the other screen, with the modes of a full-screen program.
pub(crate) fn alt_snapshot(text: &str) -> Vec<u8> {
    format!("\x1b[m\x1b[?1049l\x1b[?1049h\x1b[H\x1b[J{text}\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[>1u\x1b[?25l")
        .into_bytes()
}

impl Scripted {
    pub(crate) fn listen() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let listener = UnixListener::bind(dir.path().join("s")).expect("listen");
        listener.set_nonblocking(true).expect("nonblocking");
        Self {
            dir,
            listener,
            stream: None,
            decoder: Decoder::new(),
            hello: None,
            input: Vec::new(),
            frames: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn connection(&mut self) -> UnixStream {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("blocking");
                    stream.set_write_timeout(Some(DEADLINE)).expect("timeout");
                    return stream;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < deadline, "nobody connected");
                    wait_readable(&self.listener, Duration::from_millis(200));
                }
                Err(e) => panic!("accept: {e}"),
            }
        }
    }

    /// Takes the next connection and welcomes it, as a host of before leases does.
    pub(crate) fn accept(&mut self) {
        self.accept_beside(1);
    }

    /// The same; so many are attached then.
    pub(crate) fn accept_beside(&mut self, clients: u32) {
        self.stream = Some(self.connection());
        self.decoder = Decoder::new();
        (self.hello, self.input, self.frames) = (None, Vec::new(), Vec::new());
        let deadline = Instant::now() + DEADLINE;
        while self.hello.is_none() {
            assert!(Instant::now() < deadline && self.receive(), "no greeting");
        }
        let process = Process { pid: 1, start: 1 };
        let status = Status {
            id: "h1".parse().expect("a host's name"),
            nonce: "n".into(),
            host: process,
            agent: process,
            state: AgentState::Running,
            size: Size { rows: 24, cols: 80 },
            seq: 0,
            foreground: None,
            clients,
            output_bytes: 0,
            output_age_ms: None,
            input_age_ms: None,
            input_dropped: 0,
            transcript_lost: 0,
            title: String::new(),
            recent: Vec::new(),
        };
        self.frame(&FromHost::Welcome(Box::new(Welcome { version: VERSIONS.max, features: 0, status })));
    }

    pub(crate) fn refuse_version(&mut self, min: u32, max: u32) {
        self.stream = Some(self.connection());
        self.frame(&FromHost::Unsupported(Versions { min, max }));
    }

    pub(crate) fn hang_up(&mut self) {
        drop(self.connection());
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    pub(crate) fn hello(&self) -> Hello {
        self.hello.clone().expect("greeted")
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.as_mut().expect("connected").write_all(bytes).expect("write to the client");
    }

    pub(crate) fn frame(&mut self, frame: &FromHost) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("encode");
        self.raw(&bytes);
    }

    pub(crate) fn output(&mut self, bytes: &[u8]) {
        self.frame(&FromHost::Output(bytes.to_vec()));
    }

    pub(crate) fn snapshot(&mut self, because: SnapshotReason, bytes: &[u8]) {
        self.frame(&FromHost::SnapshotBegin(SnapshotBegin {
            size: Size { rows: 24, cols: 80 },
            because,
            scrollback: 0,
        }));
        self.frame(&FromHost::Snapshot(bytes.to_vec()));
        self.frame(&FromHost::SnapshotEnd(Empty {}));
    }

    pub(crate) fn exit(&mut self, code: Option<i32>, signal: Option<i32>) {
        self.frame(&FromHost::AgentExit(Exit { seq: 1, code, signal }));
    }

    /// Sends as much output as the client takes, at most `most` bytes, until it has taken none for
    /// `quiet`. Returns how much that was.
    pub(crate) fn flood(&mut self, most: usize, quiet: Duration) -> usize {
        let stream = self.stream.as_mut().expect("connected");
        stream.set_write_timeout(Some(quiet)).expect("timeout");
        let mut frame = Vec::new();
        FromHost::Output(vec![b'z'; 32 << 10]).encode(&mut frame).expect("encode");
        let mut sent = 0;
        while sent < most {
            match stream.write(&frame[sent % frame.len()..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("flood: {e}"),
            }
        }
        sent
    }

    /// Reads once; `false` at the end.
    fn receive(&mut self) -> bool {
        let stream = self.stream.as_mut().expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
        let mut buffer = [0; 8 << 10];
        let n = match stream.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => 0,
            Err(e) => panic!("the client sent nothing: {e}"),
        };
        self.decoder.feed(&buffer[..n]);
        while let Some(frame) = self.decoder.next_frame().expect("a frame") {
            match frame {
                ToHost::Hello(hello) => self.hello = Some(hello),
                ToHost::Input(bytes) => self.input.extend(bytes),
                other => self.frames.push(other),
            }
        }
        n > 0
    }

    /// The next `n` bytes of input.
    pub(crate) fn input(&mut self, n: usize) -> Vec<u8> {
        while self.input.len() < n {
            assert!(self.receive(), "the client left after {:?}", self.input.escape_ascii().to_string());
        }
        self.input.drain(..n).collect()
    }

    /// At least one byte of input.
    pub(crate) fn some_input(&mut self) -> Vec<u8> {
        while self.input.is_empty() {
            assert!(self.receive(), "the client left");
        }
        std::mem::take(&mut self.input)
    }

    pub(crate) fn input_until_closed(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.input)
    }

    /// Waits for a frame that is no input.
    pub(crate) fn expect(&mut self, what: &str, wanted: impl Fn(&ToHost) -> bool) {
        loop {
            if let Some(at) = self.frames.iter().position(&wanted) {
                self.frames.drain(..=at);
                return;
            }
            assert!(self.receive(), "the client left before {what}");
        }
    }
}

pub(crate) fn wait_readable(fd: &impl std::os::fd::AsFd, limit: Duration) -> bool {
    let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec::try_from(limit).expect("short");
    matches!(rustix::event::poll(&mut fds, Some(&limit)), Ok(n) if n > 0)
}
