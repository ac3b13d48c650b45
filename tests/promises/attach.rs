//! A person at a terminal of their own, attached to a real host by `client::attach`.

#[expect(dead_code, reason = "tests/rooms/attach uses the rest of it")]
#[path = "../rooms/attach/outer.rs"]
mod outer;

/// What the terminal of a person waits with.
mod scripted {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec};

    pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

    /// Whether there is something to read, soon.
    pub(crate) fn wait_readable(fd: impl AsFd, limit: Duration) -> bool {
        let timeout = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
        let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
        matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(n) if n > 0)
    }
}

pub(crate) use outer::Outer;

#[test]
#[ignore = "not a test: the client, in a process of its own"]
fn client_process() {
    outer::be_the_client();
}
