//! From the agent's terminal to everybody: model, transcript, clients, watchers.
//!
//! **Invariant:** a client's stream has no query and no state report in it; queries are answered
//! here, in the order they were asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::osc::Sink;
use super::screen::Screen;
use super::serve::{FLUSH_AFTER, Host, Throttle};
use crate::wire::host::{
    Activity, Bell, Bytes, Empty, Foreground, Frame, FromHost, HostError, MAX_OSC, MAX_SCREEN, Osc, Screen as Shown,
    Size, SnapshotBegin, SnapshotReason, Spec, Title,
};

/// Output has settled after this long without any.
const SETTLE: Duration = Duration::from_millis(150);

/// Output that does not settle is looked at this often all the same: a spinner turns ten times a
/// second, and what stands beside it (a retry, a dialog) would not be seen for as long as it turns.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Titles, bells and keystrokes are signalled at most four times a second.
const SIGNAL_EVERY: Duration = Duration::from_millis(250);

/// Activity is signalled at most once a second.
const ACTIVITY_EVERY: Duration = Duration::from_secs(1);

/// OSC strings remembered for a watcher that comes later.
const RECENT: usize = 32;

/// OSC numbers that are plain terminal business: titles, colours, links, fonts, the clipboard.
fn is_plain(number: u32) -> bool {
    matches!(number, 0..=5 | 8 | 10..=19 | 22 | 50 | 52 | 104..=119)
}

/// What one batch of output brings, besides what the model makes of it.
struct Fan<'a> {
    spec: &'a Spec,
    screen: &'a mut Screen,
    /// For clients; `None` while there are none.
    clients: Option<&'a mut Vec<u8>>,
    oscs: Vec<(u32, Vec<u8>)>,
    title: Option<String>,
}

impl Fan<'_> {
    fn client(&mut self, bytes: &[u8]) {
        if let Some(clients) = &mut self.clients {
            clients.extend_from_slice(bytes);
        }
    }
}

impl Sink for Fan<'_> {
    fn both(&mut self, bytes: &[u8]) {
        self.screen.feed(bytes);
        self.client(bytes);
    }

    fn model(&mut self, bytes: &[u8]) {
        self.screen.feed(bytes);
    }

    fn osc(&mut self, number: u32, payload: &[u8], whole: &[u8]) {
        let own = self.spec.answers.iter().find(|a| a.number == number && a.query.0 == payload);
        if let Some(answer) = own {
            self.screen.reply(&answer.reply.0);
            return;
        }
        match number {
            // The clipboard is the person's: neither read nor written from here.
            52 => return,
            0 | 2 => {
                let text: String = String::from_utf8_lossy(payload).chars().filter(|c| !c.is_control()).collect();
                self.title = Some(text);
            }
            _ => {}
        }
        let asks = payload.split(|&b| b == b';' || b == b':').any(|part| part == b"?" || part == b"p=?");
        if is_report(self.spec, number) {
            self.oscs.push((number, payload.to_vec()));
        } else if asks {
            self.screen.feed(whole);
        } else {
            self.screen.feed(whole);
            self.client(whole);
            if !is_plain(number) {
                self.oscs.push((number, payload.to_vec()));
            }
        }
    }
}

fn is_report(spec: &Spec, number: u32) -> bool {
    spec.reports.contains(&number) || spec.answers.iter().any(|a| a.number == number)
}

impl Host {
    /// Takes what the agent wrote.
    pub(super) fn take_output(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        self.output_bytes += bytes.len() as u64;
        self.unreported_bytes += bytes.len() as u64;
        self.output_at = Some(now);
        let at_us = u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        self.transcript.output(at_us, bytes);
        if self.transcript.is_dirty() {
            self.flush_at.get_or_insert(now + FLUSH_AFTER);
        }
        self.settle_at = Some(now + SETTLE);
        self.activity_throttle.pending = true;
        self.show(now, |cutter, fan| cutter.cut(bytes, fan));
    }

    /// The agent will write no more.
    pub(super) fn end_output(&mut self) {
        let now = Instant::now();
        self.show(now, |cutter, fan| cutter.finish(fan));
    }

    fn show(&mut self, now: Instant, cut: impl FnOnce(&mut super::osc::Cutter, &mut Fan<'_>)) {
        let scrollback = self.scrollback();
        let has_clients = self.peers.iter().any(super::peer::Peer::is_client);
        let mut for_clients = std::mem::take(&mut self.frame_buffer);
        for_clients.clear();
        let mut fan = Fan {
            spec: &self.spec,
            screen: self.screen.get_or_insert_with(|| Screen::new(self.size, scrollback)),
            clients: has_clients.then_some(&mut for_clients),
            oscs: Vec::new(),
            title: None,
        };
        cut(&mut self.cutter, &mut fan);
        let (oscs, title) = (fan.oscs, fan.title);
        let (replies, bells) = (fan.screen.take_replies(), fan.screen.take_bells());
        self.input.push_reply(&replies, now);
        if has_clients {
            self.show_clients(&for_clients, now);
        }
        if for_clients.capacity() <= 64 << 10 {
            self.frame_buffer = for_clients;
        }
        for (number, payload) in oscs {
            self.on_osc(number, payload, now);
        }
        if let Some(title) = title.filter(|title| *title != self.title) {
            self.title = title;
            self.title_throttle.pending = true;
        }
        self.bell_throttle.pending |= bells > 0;
        self.send_throttled(now);
    }

    fn show_clients(&mut self, bytes: &[u8], now: Instant) {
        let mut frame = Vec::with_capacity(bytes.len() + 16);
        let encoded = FromHost::Output(bytes.to_vec()).encode(&mut frame);
        debug_assert!(encoded.is_ok(), "raw frames have no bound");
        let frame: Arc<[u8]> = frame.into();
        let exits = self.screen.as_ref().map_or(0, Screen::alternate_exits);
        let mut repaint = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.is_client()) {
            if peer.main_due.is_some_and(|seen| seen != exits) {
                repaint.push(peer.id);
            } else if !bytes.is_empty() {
                peer.output(&frame, bytes.len() as u64);
                peer.flush();
            }
        }
        for id in repaint {
            self.paint(id, SnapshotReason::Other, now);
        }
    }

    fn on_osc(&mut self, number: u32, mut payload: Vec<u8>, now: Instant) {
        payload.truncate(MAX_OSC);
        self.seq += 1;
        if is_report(&self.spec, number) {
            self.moved = self.seq;
            let text = String::from_utf8_lossy(&payload);
            let message = self.typing.front();
            if message.is_some_and(|m| m.withhold_on.iter().any(|what| text.contains(what.as_str()))) {
                self.input.withhold_enter();
            }
        }
        let osc = Osc { seq: self.seq, number, payload: Bytes(payload) };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((osc.clone(), now));
        self.signal(&FromHost::Osc(osc));
    }

    /// Sends a signal to every watcher.
    pub(super) fn signal(&mut self, frame: &FromHost) {
        let mut bytes = Vec::new();
        if !self.peers.iter().any(super::peer::Peer::is_watcher) || frame.encode(&mut bytes).is_err() {
            return;
        }
        let bytes: Arc<[u8]> = bytes.into();
        for peer in self.peers.iter_mut().filter(|peer| peer.is_watcher()) {
            peer.signal(&bytes);
            peer.flush();
        }
    }

    /// Tells watchers of a fault that the host survives.
    pub(super) fn host_error(&mut self, text: &str) {
        self.signal(&FromHost::HostError(HostError { text: text.to_owned() }));
    }

    /// Tells of a write error of the transcript, once.
    pub(super) fn report_transcript(&mut self) {
        if let Some(fault) = self.transcript.take_fault() {
            self.host_error(&fault);
        }
    }

    /// Output rests: a good time to look.
    pub(super) fn settle(&mut self) {
        self.flush_at = None;
        self.transcript.rest();
        self.report_transcript();
        self.pump.rest();
        self.frame_buffer = Vec::new();
        self.look_at_foreground();
        if !self.peers.iter().any(super::peer::Peer::is_watcher) {
            self.shown = None;
            return;
        }
        self.show_screen(Instant::now());
    }

    /// Tells watchers what the screen shows, where that is news.
    fn show_screen(&mut self, now: Instant) {
        self.looked_at = now;
        let Some(screen) = &self.screen else { return };
        let mut text = screen.text();
        if text.len() > MAX_SCREEN {
            let mut start = text.len() - MAX_SCREEN;
            while !text.is_char_boundary(start) {
                start += 1;
            }
            text.drain(..start);
        }
        if self.shown.as_deref() != Some(&text) {
            self.seq += 1;
            self.shown = Some(text.clone());
            self.signal(&FromHost::Screen(Shown { seq: self.seq, text }));
        }
    }

    /// Notices that another process group owns the terminal.
    pub(super) fn look_at_foreground(&mut self) {
        let group = self.pty.foreground();
        if group != self.foreground && self.ended.is_none() {
            self.foreground = group;
            self.seq += 1;
            self.moved = self.seq;
            self.input.withhold_enter();
            self.signal(&FromHost::Foreground(Foreground { seq: self.seq, group }));
        }
    }

    fn throttles(&mut self) -> [(&mut Throttle, Duration); 4] {
        [
            (&mut self.title_throttle, SIGNAL_EVERY),
            (&mut self.bell_throttle, SIGNAL_EVERY),
            (&mut self.input_throttle, SIGNAL_EVERY),
            (&mut self.activity_throttle, ACTIVITY_EVERY),
        ]
    }

    /// When a signal that was held back is due; never without a watcher.
    pub(super) fn throttle_deadline(&self) -> Option<Instant> {
        if !self.peers.iter().any(super::peer::Peer::is_watcher) {
            return None;
        }
        let due = |throttle: &Throttle, every| throttle.pending.then(|| throttle.last.map(|at| at + every)).flatten();
        [
            due(&self.title_throttle, SIGNAL_EVERY),
            due(&self.bell_throttle, SIGNAL_EVERY),
            due(&self.input_throttle, SIGNAL_EVERY),
            due(&self.activity_throttle, ACTIVITY_EVERY),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends the held-back signals that are due.
    pub(super) fn send_throttled(&mut self, now: Instant) {
        if !self.peers.iter().any(super::peer::Peer::is_watcher) {
            return;
        }
        let due = self.throttles().map(|(throttle, every)| {
            let due = throttle.pending && throttle.last.is_none_or(|at| now >= at + every);
            if due {
                *throttle = Throttle { last: Some(now), pending: false };
            }
            due
        });
        let [title, bell, input, activity] = due;
        if title {
            self.seq += 1;
            self.signal(&FromHost::Title(Title { seq: self.seq, text: self.title.clone() }));
        }
        if bell {
            self.seq += 1;
            self.signal(&FromHost::Bell(Bell { seq: self.seq }));
        }
        if input {
            // Its number was given when the person typed.
            self.signal(&FromHost::ClientInput(crate::wire::host::ClientInput { seq: self.seq }));
        }
        if activity {
            let bytes = std::mem::take(&mut self.unreported_bytes);
            self.signal(&FromHost::Activity(Activity { bytes, total_bytes: self.output_bytes }));
            if self.settle_at.is_some() && now.saturating_duration_since(self.looked_at) >= LOOK_EVERY {
                self.show_screen(now);
            }
        }
    }

    /// Sends a client the whole screen.
    pub(super) fn paint(&mut self, id: u64, because: SnapshotReason, now: Instant) {
        let (size, scrollback) = (self.size, self.scrollback());
        let screen = self.screen.get_or_insert_with(|| Screen::new(size, scrollback));
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else { return };
        let above = match because {
            SnapshotReason::Attach | SnapshotReason::Request | SnapshotReason::Other => peer.scrollback,
            SnapshotReason::Lagged | SnapshotReason::Resize => 0,
        };
        let (bytes, above) = screen.repaint(usize::try_from(above).unwrap_or(usize::MAX), &self.title);
        let scrollback = u32::try_from(above).unwrap_or(u32::MAX);
        let begin = FromHost::SnapshotBegin(SnapshotBegin { size: screen.size(), because, scrollback });
        peer.send_screen([begin, FromHost::Snapshot(bytes), FromHost::SnapshotEnd(Empty {})], now);
        peer.main_due = screen.is_alternate().then(|| screen.alternate_exits());
        if peer.main_due.is_none() {
            // Lines above are repeated once.
            peer.scrollback = 0;
        }
        peer.flush();
    }

    /// Changes the terminal's size; every client but `by` is painted anew.
    pub(super) fn resize(&mut self, size: Size, by: u64, now: Instant) {
        let size = super::screen::fit(size, self.size);
        if size == self.size {
            return;
        }
        self.size = size;
        self.pty.resize(size);
        let at_us = u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        self.transcript.resize(at_us, size);
        self.flush_at.get_or_insert(now + FLUSH_AFTER);
        if let Some(screen) = &mut self.screen {
            screen.resize(size);
        }
        let others: Vec<u64> =
            self.peers.iter().filter(|peer| peer.is_client() && peer.id != by).map(|peer| peer.id).collect();
        for id in others {
            self.paint(id, SnapshotReason::Resize, now);
        }
    }
}
