//! The kernel's file events; the only place that knows where they come from.
//!
//! Linux's inotify is used as it is, not through a portable wrapper: those ask for every opening
//! of a file too, so that an agent which merely reads would wake the supervisor thousands of times
//! a second, and they keep two full paths for each directory, where a few bytes do.
//! **Invariant:** only what can change a file's content, name or mode is asked for. Must not know:
//! which directories, and why.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;

use super::dirs::Wd;

/// Something the kernel saw in a watched directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    /// Where. Means nothing for [`What::Overflow`].
    pub(super) wd: Wd,
    /// The name in that directory; none where it is about the directory itself.
    pub(super) name: Option<&'a OsStr>,
    /// Whether that name is a directory.
    pub(super) is_dir: bool,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A name appeared.
    Created,
    /// A name came by a rename.
    MovedIn,
    /// A name went by a rename.
    MovedOut,
    /// A name was removed.
    Deleted,
    /// Bytes were written.
    Written,
    /// A file that was open for writing was closed.
    Closed,
    /// Mode, owner, links or both times changed.
    Attributes,
    /// The watched directory itself was removed, moved or unmounted.
    SelfGone,
    /// The watch ended.
    Ended,
    /// The kernel dropped events, of any directory.
    Overflow,
}

/// Why a directory could not be watched.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is gone, no directory, or may not be read: nothing to watch.
    Absent,
    /// The user's limit of watches is reached.
    Limit,
    /// Anything else.
    Other(io::Error),
}

#[cfg(target_os = "linux")]
pub(super) use linux::Source;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Source;

/// How many watches one user may have, for a message.
pub(super) fn limit() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?.trim().parse().ok()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::Errno;

    use super::{BorrowedFd, OsStr, Refused, Seen, Wd, What, io};

    /// Bytes read at a time: some 500 events.
    const BUFFER: usize = 16 << 10;

    /// What is asked for of a directory's names. Not opening, reading, or closing what was read;
    /// setting the access time alone counts as reading for the kernel.
    const NAMES: WatchFlags = WatchFlags::CREATE
        .union(WatchFlags::DELETE)
        .union(WatchFlags::MOVE)
        .union(WatchFlags::MODIFY)
        .union(WatchFlags::CLOSE_WRITE)
        .union(WatchFlags::ATTRIB)
        .union(WatchFlags::ONLYDIR)
        .union(WatchFlags::EXCL_UNLINK);

    /// One inotify instance.
    #[derive(Debug)]
    pub(in crate::watch) struct Source {
        fd: OwnedFd,
    }

    impl Source {
        pub(in crate::watch) fn open() -> io::Result<Self> {
            Ok(Self { fd: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)? })
        }

        /// To wait on.
        pub(in crate::watch) fn fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }

        /// Watches the directory that `dir` is open on, whatever lies at its path by now. A root
        /// also tells when it goes.
        pub(in crate::watch) fn watch(&self, dir: BorrowedFd<'_>, is_root: bool) -> Result<Wd, Refused> {
            let flags = if is_root { NAMES | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF } else { NAMES };
            match inotify::add_watch(&self.fd, format!("/proc/self/fd/{}", dir.as_raw_fd()), flags) {
                Ok(wd) => Ok(wd),
                Err(Errno::NOSPC) => Err(Refused::Limit),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Err(Refused::Absent),
                Err(e) => Err(Refused::Other(e.into())),
            }
        }

        /// Ends a watch; one that ended by itself is no error.
        pub(in crate::watch) fn unwatch(&self, wd: Wd) {
            let _ = inotify::remove_watch(&self.fd, wd);
        }

        /// Hands on what there is, about `max` events; returns how many. The sink may add and end
        /// watches meanwhile.
        pub(in crate::watch) fn read(&self, max: usize, mut sink: impl FnMut(Seen<'_>)) -> usize {
            let mut buffer = [MaybeUninit::uninit(); BUFFER];
            let mut reader = inotify::Reader::new(&self.fd, &mut buffer);
            let mut count = 0;
            while count < max || !reader.is_buffer_empty() {
                match reader.next() {
                    Ok(event) => {
                        count += 1;
                        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                        let is_dir = event.events().contains(ReadFlags::ISDIR);
                        if let Some(what) = what(event.events()) {
                            sink(Seen { wd: event.wd(), name, is_dir, what });
                        }
                    }
                    Err(Errno::INTR) => {}
                    Err(_) => break,
                }
            }
            count
        }
    }

    fn what(flags: ReadFlags) -> Option<What> {
        // The kernel reports one of these at a time.
        [
            (ReadFlags::QUEUE_OVERFLOW, What::Overflow),
            (ReadFlags::IGNORED, What::Ended),
            (ReadFlags::UNMOUNT, What::SelfGone),
            (ReadFlags::DELETE_SELF, What::SelfGone),
            (ReadFlags::MOVE_SELF, What::SelfGone),
            (ReadFlags::CREATE, What::Created),
            (ReadFlags::MOVED_TO, What::MovedIn),
            (ReadFlags::MOVED_FROM, What::MovedOut),
            (ReadFlags::DELETE, What::Deleted),
            (ReadFlags::MODIFY, What::Written),
            (ReadFlags::CLOSE_WRITE, What::Closed),
            (ReadFlags::ATTRIB, What::Attributes),
        ]
        .into_iter()
        .find(|(flag, _)| flags.contains(*flag))
        .map(|(_, what)| what)
    }
}

/// Where there is no inotify, everything is looked at every so often, and says so.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{BorrowedFd, Refused, Seen, Wd, io};

    #[derive(Debug)]
    pub(in crate::watch) enum Source {}

    impl Source {
        pub(in crate::watch) fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(in crate::watch) fn fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }

        pub(in crate::watch) fn watch(&self, _dir: BorrowedFd<'_>, _is_root: bool) -> Result<Wd, Refused> {
            match *self {}
        }

        pub(in crate::watch) fn unwatch(&self, _wd: Wd) {
            match *self {}
        }

        pub(in crate::watch) fn read(&self, _max: usize, _sink: impl FnMut(Seen<'_>)) -> usize {
            match *self {}
        }
    }
}
