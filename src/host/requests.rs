//! What peers ask for, and the guard before every write into the terminal.
//!
//! **Invariant:** a message is typed at most once, never into a situation its sender had not seen,
//! and never into a program that has ended.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::input::Written;
use super::peer::Peer;
use super::serve::{Ended, Host, Message};
use crate::wire::host::{
    AgentState, Clients, Empty, Exit, FromHost, Hello, KeyRequest, Process, Recent, Refused, RefusedWhy, Role,
    SnapshotReason, Status, ToHost, TypeRequest, Typed, VERSIONS, Welcome, feature,
};

/// Message numbers answered at once.
const MAX_IDS: usize = 4096;

/// Characters of a notification: more than any desktop shows.
const MAX_NOTICE: usize = 300;

/// How long the last words may take.
const GOODBYE: Duration = Duration::from_millis(200);

impl Host {
    pub(super) fn on_peer(&mut self, id: u64, flags: PollFlags, now: Instant) {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else { return };
        if flags.intersects(PollFlags::OUT) {
            peer.flush();
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            peer.read(&mut buffer);
        }
        while let Some(frame) = self.peer(id).and_then(Peer::next_frame) {
            self.on_frame(id, frame, now);
        }
        // Small reads keep their buffer: a keystroke should not allocate.
        self.read_buffer = buffer;
    }

    fn peer(&mut self, id: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    fn send(&mut self, id: u64, frame: &FromHost) {
        if let Some(peer) = self.peer(id) {
            peer.send(frame);
            peer.flush();
        }
    }

    fn on_frame(&mut self, id: u64, frame: ToHost, now: Instant) {
        let Some(role) = self.peer(id).map(|peer| peer.role) else { return };
        if self.holds_off(id, &frame, now) {
            return;
        }
        match (role, frame) {
            (None, ToHost::Hello(hello)) => self.on_hello(id, &hello, now),
            // A second hello, or anything before the first.
            (None, _) | (Some(_), ToHost::Hello(_)) => {
                if let Some(peer) = self.peer(id) {
                    peer.kill();
                }
            }
            (Some(Role::Client), ToHost::Input(bytes)) => self.on_input(id, &bytes, now),
            (Some(Role::Client), ToHost::Resize(size)) => {
                if let Some(peer) = self.peer(id).filter(|peer| !peer.readonly) {
                    peer.size = Some(size);
                    if peer.types {
                        self.active = Some(id);
                        self.resize(size, id, now);
                    }
                    self.paint(id, SnapshotReason::Resize, now);
                }
            }
            (Some(Role::Client), ToHost::SnapshotRequest(request)) => {
                if let Some(peer) = self.peer(id) {
                    peer.scrollback = request.scrollback;
                }
                self.paint(id, SnapshotReason::Request, now);
            }
            (Some(Role::Watcher), ToHost::SnapshotRequest(_)) => self.show_again(now),
            (Some(_), ToHost::Status(_)) => {
                let status = FromHost::Status(Box::new(self.status(now)));
                self.send(id, &status);
            }
            (Some(_), ToHost::TypedQuery(query)) => {
                let ids = &query.msg_ids[..query.msg_ids.len().min(MAX_IDS)];
                let answer = self.typed.answer(ids);
                self.send(id, &FromHost::TypedAnswer(answer));
            }
            (Some(role), ToHost::Type(request)) => self.on_type(id, role, request, now),
            (Some(role), ToHost::Key(request)) => self.on_key(id, role, request, now),
            (Some(Role::Watcher | Role::Control), ToHost::Stop(request)) => {
                self.send(id, &FromHost::Stopping(Empty {}));
                self.stop(request.grace_ms, now);
            }
            (Some(Role::Watcher | Role::Control), ToHost::Notice(notice)) => self.on_notice(&notice.text),
            (Some(Role::Watcher | Role::Control), ToHost::Lease(lease)) => self.set_lease(lease.stands),
            (Some(_), ToHost::Notice(_) | ToHost::Lease(_)) => {}
            (Some(_), ToHost::Input(_) | ToHost::Resize(_) | ToHost::SnapshotRequest(_) | ToHost::Stop(_)) => {}
        }
    }

    fn on_hello(&mut self, id: u64, hello: &Hello, now: Instant) {
        let Some(version) = VERSIONS.common(hello.versions) else {
            if let Some(peer) = self.peer(id) {
                peer.send(&FromHost::Unsupported(VERSIONS));
                peer.close();
                peer.flush();
            }
            return;
        };
        let is_client = hello.role == Role::Client;
        let takes = hello.features & feature::TAKES != 0;
        let is_inside = self.peer(id).is_some_and(|peer| peer.inside.is_some());
        let readonly = hello.readonly || is_inside;
        let types = is_client && !readonly && self.comes_to_type(id, takes);
        if let Some(size) = hello.size.filter(|_| types) {
            self.active = Some(id);
            self.resize(size, id, now);
        }
        let attached = self.attached() + u32::from(is_client);
        let status = Status { clients: attached, ..self.status(now) };
        let subreaper = if cfg!(target_os = "linux") { feature::SUBREAPER } else { 0 };
        let features = subreaper | feature::LEASE;
        let Some(peer) = self.peer(id) else { return };
        peer.role = Some(hello.role);
        peer.readonly = readonly;
        peer.size = hello.size;
        peer.scrollback = hello.scrollback;
        (peer.takes, peer.knows_leases) = (takes, hello.features & feature::LEASE != 0);
        peer.send(&FromHost::Welcome(Box::new(Welcome { version, features, status })));
        match hello.role {
            Role::Client => {
                self.tell_who_types();
                self.paint(id, SnapshotReason::Attach, now);
                self.tell_clients(Some(id));
                if is_inside && !hello.readonly {
                    self.tell_looking(id, now);
                }
            }
            Role::Watcher => {
                peer.flush();
                // A new watcher is told what is on the screen now.
                self.show_again(now);
            }
            Role::Control => peer.flush(),
        }
    }

    /// Tells watchers of the screen, even if it looks as it did before.
    fn show_again(&mut self, now: Instant) {
        self.shown = None;
        if self.screen.is_some() {
            self.settle_at.get_or_insert(now);
        }
    }

    fn attached(&self) -> u32 {
        u32::try_from(self.peers.iter().filter(|peer| peer.is_client()).count()).unwrap_or(u32::MAX)
    }

    fn tell_clients(&mut self, but: Option<u64>) {
        let frame = FromHost::Clients(Clients { attached: self.attached() });
        self.signal(&frame);
        for peer in self.peers.iter_mut().filter(|peer| peer.is_client() && Some(peer.id) != but) {
            peer.send(&frame);
            peer.flush();
        }
    }

    fn on_input(&mut self, id: u64, bytes: &[u8], now: Instant) {
        let Some(peer) = self.peer(id).filter(|peer| !peer.readonly && peer.types) else { return };
        let size = peer.size;
        // Terminals report that they gained or lost the focus; nobody typed that.
        let is_focus = matches!(bytes, b"\x1b[I" | b"\x1b[O");
        if !is_focus {
            if self.active != Some(id) {
                self.active = Some(id);
                if let Some(size) = size {
                    self.resize(size, 0, now);
                }
            }
            self.seq += 1;
            self.moved = self.seq;
            self.input_at = Some(now);
            self.input_throttle.pending = true;
        }
        self.input.push(bytes, now);
        self.write_input(now);
    }

    /// Whether a message may be typed now; if not, says why.
    fn guard(&mut self, id: u64, role: Role, msg_id: u64, if_seq: Option<u64>) -> bool {
        self.look_at_foreground();
        let why = if role == Role::Client {
            RefusedWhy::Role
        } else if self.typed.is_known(msg_id) {
            RefusedWhy::Repeated
        } else if self.ended.is_some() || self.stop_asked || !self.agent.is_alive() {
            RefusedWhy::Exited
        } else if self.is_leased() {
            RefusedWhy::Leased
        } else if if_seq.is_some_and(|seen| self.moved > seen) {
            RefusedWhy::Moved
        } else if !self.input.is_empty() {
            RefusedWhy::Busy
        } else if self.typed.begin(msg_id).is_err() {
            RefusedWhy::Unrecorded
        } else {
            return true;
        };
        self.send(id, &FromHost::Refused(Refused { msg_id, why, seq: self.seq }));
        false
    }

    fn on_type(&mut self, id: u64, role: Role, request: TypeRequest, now: Instant) {
        // What the agent has written so far is read first: it may have moved.
        self.catch_up(now);
        if !self.guard(id, role, request.msg_id, request.if_signal_seq) {
            return;
        }
        let brackets = self.screen.as_ref().is_some_and(super::screen::Screen::brackets_paste);
        let data = pasted(&request.text, brackets);
        self.typing.push_back(Message { msg_id: request.msg_id, peer: id, withhold_on: request.withhold_on });
        self.input.push_message(request.msg_id, data, request.submit, now);
        self.write_input(now);
    }

    fn on_key(&mut self, id: u64, role: Role, request: KeyRequest, now: Instant) {
        self.catch_up(now);
        if !self.shows(&request.if_shows) {
            let refused = Refused { msg_id: request.msg_id, why: RefusedWhy::Moved, seq: self.seq };
            return self.send(id, &FromHost::Refused(refused));
        }
        if !self.guard(id, role, request.msg_id, request.if_signal_seq) {
            return;
        }
        self.typing.push_back(Message { msg_id: request.msg_id, peer: id, withhold_on: Vec::new() });
        self.input.push_message(request.msg_id, request.bytes.0, false, now);
        self.write_input(now);
    }

    /// Whether the screen shows each of these texts, blanks aside.
    fn shows(&self, wanted: &[String]) -> bool {
        let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        let shown = || self.screen.as_ref().map(|screen| bare(&screen.text())).unwrap_or_default();
        wanted.is_empty() || {
            let shown = shown();
            wanted.iter().all(|text| shown.contains(&bare(text)))
        }
    }

    /// Passes a word on to the clients' terminals. Between two pieces of output nothing is cut.
    fn on_notice(&mut self, text: &str) {
        let frame = FromHost::Output(notification(text));
        for peer in self.peers.iter_mut().filter(|peer| peer.is_client()) {
            peer.send(&frame);
            peer.flush();
        }
    }

    fn catch_up(&mut self, now: Instant) {
        let bytes = self.pump.take(self.pty.fd());
        self.take_output(&bytes, now);
        self.pump.recycle(bytes);
    }

    pub(super) fn on_written(&mut self, written: Written) {
        self.typed.complete(written.msg_id);
        if let Some(message) = self.typing.pop_front() {
            debug_assert_eq!(message.msg_id, written.msg_id, "messages are written in their order");
            let typed = Typed { msg_id: written.msg_id, withheld: written.withheld };
            self.send(message.peer, &FromHost::Typed(typed));
        }
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        let age = |at: Instant| u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX);
        let own = crate::os::process::ProcessId::own();
        Status {
            id: self.spec.id.clone(),
            nonce: self.spec.nonce.clone(),
            host: Process { pid: own.pid, start: own.start },
            agent: self.agent_process(),
            state: self.ended.map_or(AgentState::Running, |e| AgentState::Exited { code: e.code, signal: e.signal }),
            size: self.size,
            seq: self.seq,
            foreground: self.foreground,
            clients: self.attached(),
            output_bytes: self.output_bytes,
            output_age_ms: self.output_at.map(age),
            input_age_ms: self.input_at.map(age),
            input_dropped: self.input.dropped(),
            transcript_lost: self.transcript.lost(),
            title: self.title.clone(),
            recent: self.recent.iter().map(|(osc, at)| Recent { osc: osc.clone(), age_ms: age(*at) }).collect(),
        }
    }

    /// Drops connections that are over, and shows the screen to those that fell behind.
    pub(super) fn clear_peers(&mut self, now: Instant) {
        let lagging: Vec<(u64, u64)> =
            self.peers.iter_mut().filter_map(|peer| Some((peer.id, peer.take_lag(now)?))).collect();
        for (id, skipped) in lagging {
            if let Some(peer) = self.peer(id) {
                peer.send_lagged(skipped);
                if peer.is_client() {
                    self.paint(id, SnapshotReason::Lagged, now);
                } else {
                    let status = FromHost::Status(Box::new(self.status(now)));
                    self.send(id, &status);
                }
            }
        }
        let before = self.attached();
        self.peers.retain(|peer| !peer.is_gone() && !peer.is_overdue(now));
        self.forget_holder();
        if self.attached() != before {
            self.tell_clients(None);
        }
    }

    /// Tells everybody how it ended, and gives them a moment to hear it.
    pub(super) fn say_goodbye(&mut self, ended: Ended) {
        self.seq += 1;
        let exit = FromHost::AgentExit(Exit { seq: self.seq, code: ended.code, signal: ended.signal });
        for peer in &mut self.peers {
            if peer.role.is_some() {
                peer.send(&exit);
            }
            peer.close();
            peer.flush();
        }
        let until = Instant::now() + GOODBYE;
        while self.peers.iter().any(|peer| !peer.is_gone()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
            self.peers.iter_mut().for_each(Peer::flush);
        }
    }
}

/// A notification as terminals understand it (OSC 9), and the bell for those that do not.
pub(super) fn notification(text: &str) -> Vec<u8> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_NOTICE).collect();
    format!("\x1b]9;{text}\x1b\\\x07").into_bytes()
}

/// Text as a terminal would send it: bracketed where the program asked for that, without anything
/// that could end the bracket or act as a key.
fn pasted(text: &str, brackets: bool) -> Vec<u8> {
    let clean = text.chars().filter(|&c| !c.is_control() || matches!(c, '\n' | '\t'));
    if brackets {
        let body: String = clean.collect();
        [&b"\x1b[200~"[..], body.as_bytes(), b"\x1b[201~"].concat()
    } else {
        // Without brackets a line end is the Enter key.
        clean.map(|c| if c == '\n' { '\r' } else { c }).collect::<String>().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_cannot_leave_its_sequence() {
        assert_eq!(notification("T1 \x1b\\\x07\u{9c}asks\n"), b"\x1b]9;T1 \\asks\x1b\\\x07");
    }

    #[test]
    fn a_paste_cannot_leave_its_brackets() {
        assert_eq!(pasted("a\n\x1b[201~rm\r\x03", true), b"\x1b[200~a\n[201~rm\x1b[201~");
        assert_eq!(pasted("a\nb", false), b"a\rb");
    }
}
