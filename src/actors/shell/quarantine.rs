//! Whom this node deals with no more, until the node is believed again: no link, no path, no stream.
//!
//! This is this node's own decision about its own dealings: others hear nothing of it and judge for themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use prunella_core::ledger::Event;
use prunella_core::limits::RECORDS_MAX;
use prunella_core::wiring::Route;
use prunella_core::{PeerId, monitor, pathfinder, planner};

use super::Shell;

/// The nodes in quarantine.
#[derive(Debug, Default)]
pub struct Quarantine {
    held: RwLock<BTreeMap<PeerId, Held>>,
}

/// What a node in quarantine was before.
#[derive(Debug)]
struct Held {
    /// Where it was dialed, if it was a neighbor.
    neighbor_at: Option<Vec<SocketAddr>>,
}

impl Quarantine {
    /// Whether this node is in quarantine.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.held.read().unwrap_or_else(PoisonError::into_inner).contains_key(peer)
    }

    /// Everybody in quarantine, in ascending order.
    pub fn all(&self) -> Vec<PeerId> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes a node in; false if there are too many. Of one that is in it already, what it was before stays.
    fn enter(&self, peer: PeerId, neighbor_at: Option<Vec<SocketAddr>>) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let has_room = held.len() < RECORDS_MAX || held.contains_key(&peer);
        if has_room {
            held.entry(peer).or_insert(Held { neighbor_at });
        }
        has_room
    }

    fn leave(&self, peer: &PeerId) -> Option<Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner).remove(peer)
    }
}

impl Shell {
    /// Deals with a node no more: its link is closed, neither dialed nor accepted again, no path leads to it or through it,
    /// and its streams are refused. The planner and the monitor hear it when there is no link any more. It is written down
    /// unless nothing is `new` about it, as after a restart.
    ///
    /// # Errors
    /// The reason, if that cannot be.
    pub(super) fn quarantine(&self, peer: PeerId, new: Option<&str>) -> Result<(), String> {
        if peer == self.credentials.peer() {
            return Err("a node cannot leave itself".to_owned());
        }
        let neighbor_at = self.roster.contains(&peer).then(|| self.roster.addresses(&peer));
        let was = self.roster.quarantine.contains(&peer);
        if !self.roster.quarantine.enter(peer, neighbor_at) {
            return Err("as many nodes as there may be are in quarantine".to_owned());
        }
        tracing::warn!(peer = %peer.short(), name = self.known.name(&peer), "quarantined: it is dealt with no more");
        if let Some(reason) = new.filter(|_| !was) {
            self.write_down(Event::Quarantined { peer, reason: reason.to_owned() });
        }
        self.facts_changed();
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::Quarantined { peer, quarantined: true }));
        self.forget_neighbor(peer);
        if let Some(sessions) = self.sessions.get() {
            sessions.sever(peer);
        }
        match self.links().snapshot().iter().find(|living| living.peer == peer) {
            Some(living) => self.links().close(living.link, CLOSED_FOR),
            None => self.tell_quarantined(peer, true),
        }
        Ok(())
    }

    /// Deals with a node again, as before.
    pub(super) fn readmit(&self, peer: PeerId, reason: &str) {
        // Whether it is believed is one thing; whether it is a member, the authority says.
        if self.credentials.is_revoked(&peer) {
            return;
        }
        let Some(Held { neighbor_at }) = self.roster.quarantine.leave(&peer) else { return };
        tracing::info!(peer = %peer.short(), name = self.known.name(&peer), "readmitted: it is dealt with again");
        self.write_down(Event::Readmitted { peer, reason: reason.to_owned() });
        self.facts_changed();
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::Quarantined { peer, quarantined: false }));
        self.tell_quarantined(peer, false);
        if let Some(addresses) = neighbor_at {
            self.roster.add(peer, addresses);
        }
    }

    /// A gossip role that begins has forgotten what it held against others; what there is proof of it learns again.
    pub(super) fn readmit_all(&self) {
        for peer in self.roster.quarantine.all() {
            self.readmit(peer, "the gossip role began anew");
        }
    }

    /// A link came to its end, or was made in the last moment before its peer was quarantined: true if that is so, and
    /// nobody else is to hear of it.
    pub(super) fn isolates(&self, peer: PeerId) -> bool {
        let is_quarantined = self.roster.quarantine.contains(&peer);
        if is_quarantined {
            match self.links().snapshot().iter().find(|living| living.peer == peer) {
                Some(living) => self.links().close(living.link, CLOSED_FOR),
                None => self.tell_quarantined(peer, true),
            }
        }
        is_quarantined
    }

    fn tell_quarantined(&self, peer: PeerId, quarantined: bool) {
        self.directory.deliver(Route::Planner(planner::Input::Quarantined { peer, quarantined }));
        self.directory.deliver(Route::Monitor(monitor::Input::Quarantined { peer, quarantined }));
    }
}

/// Why the link to a quarantined neighbor ends.
const CLOSED_FOR: &str = "the neighbor is quarantined";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_was_before_outlasts_a_second_quarantine() {
        let quarantine = Quarantine::default();
        let (peer, address) = (PeerId::from_public_key([1; 32]), "10.0.0.1:7".parse().unwrap());
        assert!(quarantine.enter(peer, Some(vec![address])) && quarantine.enter(peer, None));
        assert_eq!(quarantine.all(), [peer]);
        assert_eq!(quarantine.leave(&peer).unwrap().neighbor_at, Some(vec![address]));
        assert!(!quarantine.contains(&peer) && quarantine.leave(&peer).is_none());
    }
}
