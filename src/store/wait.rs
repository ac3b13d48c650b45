//! Waiting for a lock, but not for ever.
//!
//! **Invariant:** no lock of the store is waited for longer than [`WAIT`]: whoever holds one may be
//! stopped, and must not stop the supervisor with it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::os::lock::Lock;

use super::StoreError;

/// All locks of the store are held for a few file operations; a holder that takes longer is
/// stopped or hangs.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// Between two tries, so short that a hand-over is not noticed.
const STEP: Duration = Duration::from_millis(2);

/// Takes the lock at `path`, making the file.
///
/// # Errors
/// [`StoreError::Busy`] after [`WAIT`], else as the file system says.
pub(super) fn lock(path: &Path, verb: &'static str) -> Result<Lock, StoreError> {
    let until = Instant::now() + WAIT;
    loop {
        if let Some(lock) = Lock::try_take(path)? {
            return Ok(lock);
        }
        if Instant::now() >= until {
            let waited_ms = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
            return Err(StoreError::Busy { verb, path: path.to_owned(), waited_ms });
        }
        thread::sleep(STEP);
    }
}
