//! A program on a terminal of its own, for tests that look at it from outside.
//!
//! **Invariant:** when it is dropped, the program is gone; every wait has a deadline and shows
//! what was printed until then.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize};

/// A test that waits longer has failed.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A running program and what it has printed.
pub struct OnPty {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    // The writer ends the input of the program when it is dropped, so it stays.
    input: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    output: Receiver<Vec<u8>>,
    /// All it has printed, as far as it was waited for.
    pub printed: Vec<u8>,
    seen: usize,
}

impl OnPty {
    /// Starts a program with exactly this environment.
    pub fn start(program: &Path, args: &[&str], cwd: &Path, env: &[(String, String)]) -> Self {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = portable_pty::native_pty_system().openpty(size).expect("a PTY");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(cwd);
        command.env_clear();
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let input = pair.master.take_writer().expect("a writer");
        let (sender, output) = sync_channel(64);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, input, master: pair.master, output, printed: Vec::new(), seen: 0 }
    }

    /// The process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Waits until it prints `text`, after what was waited for before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + DEADLINE;
        loop {
            let fresh = &self.printed[self.seen..];
            if let Some(at) = fresh.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.printed.extend(bytes),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} within {DEADLINE:?} in:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {text:?}:\n{}", self.text()),
            }
        }
    }

    /// What it has printed, readable.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed).escape_debug().to_string().replace("\\n", "\n")
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()).expect("it takes input");
    }

    /// Types a message as a terminal does: a bracketed paste, and Return.
    pub fn paste(&mut self, text: &str) {
        self.send(&format!("\x1b[200~{text}\x1b[201~\r"));
    }

    /// Waits until it has ended, and reads what is left.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.printed.extend(bytes);
            }
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                while let Ok(bytes) = self.output.try_recv() {
                    self.printed.extend(bytes);
                }
                return status;
            }
            assert!(Instant::now() < until, "it did not end within {DEADLINE:?}:\n{}", self.text());
        }
    }
}

impl Drop for OnPty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
