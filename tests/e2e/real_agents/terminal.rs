//! A person's terminal on a host: what they see, and the keys they press.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use standup::model::id::TaskId;
use standup::model::name::HostId;
use standup::wire::host::{Decoder, Frame, FromHost, Hello, Role, Size, ToHost, VERSIONS};

use super::stage::{DEADLINE, Stage};

/// An attached client.
pub(super) struct Terminal {
    stream: UnixStream,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Terminal {
    /// Attaches to the agent of a task.
    pub(super) fn attach(stage: &Stage, task: TaskId) -> Self {
        let host = stage.attempt(task).host().expect("its host lives").id.clone();
        Self::to(stage, &host)
    }

    fn to(stage: &Stage, host: &HostId) -> Self {
        let socket = stage.place.layout.host_socket(host).expect("a path");
        let stream = UnixStream::connect(socket).expect("the host listens");
        let size = Some(Size { rows: 40, cols: 120 });
        let hello = Hello { versions: VERSIONS, features: 0, role: Role::Client, size, readonly: false, scrollback: 0 };
        let seen: Arc<Seen> = Arc::default();
        let (mut read, for_thread) = (stream.try_clone().expect("a second end"), seen.clone());
        std::thread::spawn(move || {
            let mut decoder = Decoder::<FromHost>::new();
            let mut buffer = vec![0; 32 << 10];
            while let Ok(count @ 1..) = read.read(&mut buffer) {
                decoder.feed(&buffer[..count]);
                while let Ok(Some(frame)) = decoder.next_frame() {
                    if let FromHost::Snapshot(bytes) | FromHost::Output(bytes) = frame {
                        for_thread.bytes.lock().expect("seen").extend_from_slice(&bytes);
                        for_thread.more.notify_all();
                    }
                }
            }
        });
        let mut terminal = Self { stream, seen };
        terminal.send(&ToHost::Hello(hello));
        terminal
    }

    fn send(&mut self, frame: &ToHost) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("a frame");
        self.stream.write_all(&bytes).expect("the host reads");
    }

    /// Presses keys.
    pub(super) fn press(&mut self, keys: &str) {
        self.send(&ToHost::Input(keys.as_bytes().to_vec()));
    }

    /// Every byte so far.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.seen.bytes.lock().expect("seen").clone()
    }

    /// Waits until the words are on the screen, whatever stands between them.
    #[track_caller]
    pub(super) fn until_shows(&self, words: &str) {
        let end = Instant::now() + DEADLINE;
        let mut bytes = self.seen.bytes.lock().expect("seen");
        while !plain(&bytes).contains(&squeeze(words)) {
            assert!(Instant::now() < end, "{words:?} never showed; seen:\n{}", plain(&bytes));
            bytes = self.seen.more.wait_timeout(bytes, Duration::from_millis(200)).expect("seen").0;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// What a newly attached terminal is shown of a host; for a failing test.
pub(super) fn screen(stage: &Stage, host: &HostId) -> String {
    let terminal = Terminal::to(stage, host);
    std::thread::sleep(Duration::from_millis(300));
    String::from_utf8_lossy(&strip(&terminal.bytes())).into_owned()
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Text alone: both CLIs move the cursor where others print blanks.
fn plain(bytes: &[u8]) -> String {
    squeeze(&String::from_utf8_lossy(&strip(bytes)))
}

/// Without control sequences.
fn strip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => match rest.next() {
                Some(b'[') => while rest.next().is_some_and(|b| !(0x40..=0x7e).contains(&b)) {},
                Some(b']' | b'P' | b'_' | b'^') => {
                    while let Some(b) = rest.next() {
                        if b == 0x07 || (b == 0x1b && rest.next().is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            byte => out.push(byte),
        }
    }
    out
}
