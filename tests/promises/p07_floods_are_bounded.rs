//! Memory and disk are bounded: a flood leaves a host as small as it was, and a transcript within
//! its cap, with its head, its tail and the gap between them marked.

use std::path::{Path, PathBuf};

use standup::host::transcript::{self, Item};
use standup::host::{self, registry};
use standup::model::name::HostId;
use standup::os::process::ProcessId;
use standup::wire::host::{Bytes, SPEC_SCHEMA, Spec};

use crate::memory_kib;
use crate::p05_the_end_is_never_lost::flood;
use crate::peer::{Peer, SIZE};
use crate::scene::{poll, trials};

const BYTES: usize = 64 << 20;

/// Small, because a flood of like lines shrinks a lot on disk.
const CAP: u64 = 256 << 10;

/// How much a host may grow, in KiB.
const GROWTH: u64 = 8 << 10;

fn spec(dir: &Path) -> Spec {
    let bytes = |path: PathBuf| Bytes(path.into_os_string().into_encoded_bytes());
    let acts = ["--ttl", "110", "--act", "say=ready", "--act", "wait=go", "--act"];
    let flood = [format!("flood={BYTES}"), "--act".into(), "wait=stop".into(), "--act".into(), "exit=0".into()];
    Spec {
        schema: SPEC_SCHEMA,
        id: HostId::new("flooded").expect("name"),
        nonce: "once".into(),
        dir: bytes(dir.join("host")),
        socket: bytes(dir.join("sock")),
        program: bytes(env!("CARGO_BIN_EXE_fake-agent").into()),
        args: acts.iter().map(|a| Bytes(a.as_bytes().to_vec())).chain(flood.map(|a| Bytes(a.into_bytes()))).collect(),
        cwd: bytes(dir.to_owned()),
        env: vec![(Bytes(b"STANDUP_DIR".to_vec()), bytes(dir.to_owned()))],
        size: SIZE,
        marker: format!("STANDUP_HOST_TEST={}", dir.display()),
        answers: Vec::new(),
        reports: Vec::new(),
        fence: None,
        slot_fd: None,
        transcript_cap_bytes: CAP,
        scrollback: 0,
        lock_dirs: Vec::new(),
        stdin: None,
        stop_grace_ms: 0,
        made_for: String::new(),
    }
}

/// Ends the host, however the test does.
struct Guard(ProcessId);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.signal(rustix::process::Signal::KILL);
    }
}

#[test]
fn a_flood_leaves_the_host_small_and_the_transcript_within_its_cap() {
    for _ in 0..trials(1) {
        let dir = tempfile::Builder::new().prefix("fl").tempdir_in("/tmp").expect("temp dir");
        let address = host::start(&spec(dir.path()), Path::new(env!("CARGO_BIN_EXE_standup"))).expect("host");
        let _guard = Guard(ProcessId { pid: address.host.pid, start: address.host.start });
        let socket = address.socket.as_path();
        // A client, so that the screen is kept as well.
        let mut person = Peer::client(socket, 0);
        person.until_painted();
        let before = memory_kib(address.host.pid, "VmRSS");
        std::fs::write(dir.path().join("go"), "").expect("write");
        poll("the end of the flood", || Peer::status(socket).output_bytes > BYTES as u64);
        let peak = memory_kib(address.host.pid, "VmHWM");
        assert!(peak <= before + GROWTH, "{before} KiB became {peak} KiB");
        std::fs::write(dir.path().join("stop"), "").expect("write");
        let id = HostId::new("flooded").expect("name");
        poll("the end", || registry::find(&dir.path().join("host"), id.clone()).expect("record").exit.is_some());
        judge_transcript(&dir.path().join("host/transcript"));
    }
}

fn judge_transcript(dir: &Path) {
    let on_disk: u64 = std::fs::read_dir(dir)
        .expect("transcript")
        .map(|entry| entry.and_then(|e| e.metadata()).expect("metadata").len())
        .sum();
    assert!(on_disk <= CAP, "{on_disk} bytes on disk");
    let mut reader = transcript::open(dir);
    let (mut parts, mut gap) = (vec![Vec::new()], 0);
    while let Some(item) = reader.next_item().expect("readable") {
        match item {
            Item::Output { bytes, .. } => parts.last_mut().expect("a part").extend(bytes),
            Item::Gap { bytes } => {
                gap += bytes;
                parts.push(Vec::new());
            }
            Item::Start { .. } | Item::Resize { .. } => {}
        }
    }
    // The act ends its line itself, and the terminal does so too.
    let mut whole = b"ready\r\r\n".to_vec();
    whole.extend(flood(BYTES));
    let [head, tail] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    assert!(!head.is_empty() && whole.starts_with(head), "the head is not the beginning");
    assert!(!tail.is_empty() && whole.ends_with(tail), "the tail is not the end");
    assert_eq!(gap, (whole.len() - head.len() - tail.len()) as u64, "the gap says how much is missing");
}
