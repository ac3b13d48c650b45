//! Who may type into the agent's terminal.
//!
//! **Invariant:** while a lease stands at most one client types and sets the size, and no message or
//! key is written beside it; every client is told when what it types ceases to arrive, and when it
//! arrives again. Must not know: who asked for the lease, or why.

use std::collections::BTreeMap;

use super::peer::Peer;
use super::requests::notification;
use super::serve::Host;
use crate::wire::host::{FromHost, MayType};

/// What a client is told that does not know of leases.
const TOLD: &str = "read-only: the input is in another terminal's hands";

/// A lease on the agent's input.
#[derive(Debug, Default)]
pub(super) struct Lease {
    stands: bool,
    /// The client that types.
    holder: Option<u64>,
}

impl Host {
    /// Begins or ends the lease. Safe to say again.
    pub(super) fn set_lease(&mut self, stands: bool) {
        if self.lease.stands == stands {
            return;
        }
        let holder = stands.then(|| self.who_types()).flatten();
        self.lease = Lease { stands, holder };
        if !stands {
            // Whoever took it has given it back.
            self.peers.iter_mut().for_each(|peer| peer.takes = false);
        }
        self.tell_who_types();
    }

    /// The client in whose hands a lease that begins finds the input.
    fn who_types(&self) -> Option<u64> {
        let writers = || self.peers.iter().filter(|peer| peer.is_client() && !peer.readonly);
        let takes = writers().rfind(|peer| peer.takes);
        takes.or_else(|| writers().find(|peer| Some(peer.id) == self.active)).map(|peer| peer.id)
    }

    /// Whether the input is in somebody's hands.
    pub(super) fn is_leased(&self) -> bool {
        self.lease.stands
    }

    /// Whether what a client types arrives.
    fn may_type(&self, peer: &Peer) -> bool {
        !peer.readonly && (!self.lease.stands || self.lease.holder == Some(peer.id))
    }

    /// A client comes that would type: whether it may, from now on.
    pub(super) fn comes_to_type(&mut self, id: u64, takes: bool) -> bool {
        if self.lease.stands && (takes || self.lease.holder.is_none()) {
            self.lease.holder = Some(id);
        }
        !self.lease.stands || self.lease.holder == Some(id)
    }

    /// Clients have gone. Whoever only looks goes on to: it did not ask for the input.
    pub(super) fn forget_holder(&mut self) {
        let gone = |id: u64| !self.peers.iter().any(|peer| peer.id == id);
        if self.lease.holder.is_some_and(gone) {
            self.lease.holder = None;
        }
    }

    /// Tells each client for which it has changed whether what it types arrives.
    pub(super) fn tell_who_types(&mut self) {
        let writers = self.peers.iter().filter(|peer| peer.is_client() && !peer.readonly);
        let now = writers.map(|peer| (peer.id, self.may_type(peer)));
        let now: BTreeMap<u64, bool> = now.collect();
        for peer in &mut self.peers {
            let Some(&yes) = now.get(&peer.id).filter(|yes| **yes != peer.types) else { continue };
            peer.types = yes;
            match (peer.knows_leases, yes) {
                (true, _) => peer.send(&FromHost::MayType(MayType { yes })),
                (false, false) => peer.send(&FromHost::Output(notification(TOLD))),
                (false, true) => {}
            }
            peer.flush();
        }
    }
}
