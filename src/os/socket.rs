//! Unix sockets: private files, bounded paths, checked peers.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest path a socket may have, in bytes: `sun_path` less its closing zero (Linux 108,
/// macOS 104).
pub const MAX_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// Why a socket could not be made or reached.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The kernel's bound on socket paths.
    #[error("socket path {} has {} bytes; the system allows {MAX_PATH}", path.display(), path.as_os_str().len())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The peer is another user.
    #[error("the peer has uid {peer}, not {own}")]
    Foreign {
        /// The peer's user.
        peer: u32,
        /// Ours.
        own: u32,
    },
    /// The operating system said no.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// `listen on` or `connect to`.
        verb: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Listens on `path` with mode 0600. A dead socket file in the way is removed: the caller holds
/// the lock that makes it the only listener.
///
/// # Errors
/// [`SocketError`].
pub fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    check(path)?;
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SocketError::Io { verb: "replace", path: path.to_owned(), source }),
    }
    let wrap = |source| SocketError::Io { verb: "listen on", path: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(wrap)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(wrap)?;
    Ok(listener)
}

/// Connects to `path`.
///
/// # Errors
/// [`SocketError`].
pub fn connect(path: &Path) -> Result<UnixStream, SocketError> {
    check(path)?;
    UnixStream::connect(path).map_err(|source| SocketError::Io { verb: "connect to", path: path.to_owned(), source })
}

/// Refuses a peer that is another user. Root may always connect.
///
/// # Errors
/// [`SocketError::Foreign`], or [`SocketError::Io`] where the kernel does not tell.
pub fn require_own_peer(stream: &impl AsFd) -> Result<(), SocketError> {
    let own = rustix::process::geteuid().as_raw();
    let peer = peer_uid(stream).map_err(|source| SocketError::Io {
        verb: "identify the peer of",
        path: PathBuf::from("the socket"),
        source,
    })?;
    if peer == own || peer == 0 { Ok(()) } else { Err(SocketError::Foreign { peer, own }) }
}

/// The process that connected; `None` where the system does not tell, or it is of another PID
/// namespace. It may be gone, and another may have its number.
#[must_use]
pub fn peer_pid(stream: &impl AsFd) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let pid = rustix::net::sockopt::socket_peercred(stream).ok()?.pid.as_raw_nonzero().get();
        u32::try_from(pid).ok().filter(|pid| *pid > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        None
    }
}

#[cfg(target_os = "linux")]
fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the descriptor is open for the life of the borrow, and both pointers are to locals.
    let rc = unsafe { libc::getpeereid(stream.as_fd().as_raw_fd(), &mut uid, &mut gid) };
    if rc == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}

fn check(path: &Path) -> Result<(), SocketError> {
    if path.as_os_str().len() > MAX_PATH {
        return Err(SocketError::TooLong { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_over_the_bound_is_refused_by_name() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(MAX_PATH)));
        assert!(matches!(listen(&path), Err(SocketError::TooLong { .. })));
    }

    #[test]
    fn a_peer_of_the_same_user_is_let_in() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("s");
        let listener = listen(&path).expect("listen");
        let _client = connect(&path).expect("connect");
        let (stream, _) = listener.accept().expect("accept");
        require_own_peer(&stream).expect("own");
        if cfg!(target_os = "linux") {
            assert_eq!(peer_pid(&stream), Some(std::process::id()));
        }
        assert_eq!(std::fs::metadata(&path).expect("meta").permissions().mode() & 0o777, 0o600);
    }
}
