//! Named places where a test has a process die or stand still.
//!
//! `STANDUP_FAILPOINT=name:abort` ends the process there as `kill -9` would;
//! `name:pause:<file>` makes that file and waits until it is removed.
//! `STANDUP_FAILPOINT_WAITS=name:ms`, blanks between several, makes waits other than they are.
//! **Invariant:** without the feature `failpoints`, which releases are built without, nothing of
//! this is compiled. Must not know: what any of the places means.

/// The variable that names the place and what happens there.
#[cfg(feature = "failpoints")]
const VARIABLE: &str = "STANDUP_FAILPOINT";

/// The variable that names waits and their milliseconds.
#[cfg(feature = "failpoints")]
const WAITS: &str = "STANDUP_FAILPOINT_WAITS";

/// A process that stands still looks for its release this often.
#[cfg(feature = "failpoints")]
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);

/// A place: nothing happens in it unless a test asked for it.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    let mut parts = wanted.splitn(3, ':');
    if parts.next() != Some(name) {
        return;
    }
    match (parts.next(), parts.next()) {
        (Some("abort"), _) => {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
        (Some("pause"), Some(file)) => {
            let file = std::path::Path::new(file);
            let _ = std::fs::write(file, b"");
            while file.exists() {
                std::thread::sleep(LOOK);
            }
        }
        _ => {}
    }
}

/// A place: nothing happens in it.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// How long something of this name is waited for: as usual, unless a test asked for another time.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn wait(name: &str, usual: std::time::Duration) -> std::time::Duration {
    let wanted = std::env::var(WAITS).unwrap_or_default();
    let mut named = wanted.split_ascii_whitespace().filter_map(|one| one.split_once(':'));
    let ms = named.find(|(of, _)| *of == name).and_then(|(_, ms)| ms.parse().ok());
    ms.map_or(usual, std::time::Duration::from_millis)
}

/// How long something is waited for: as usual.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[must_use]
pub fn wait(_name: &str, usual: std::time::Duration) -> std::time::Duration {
    usual
}
