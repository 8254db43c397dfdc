//! Whom this node deals with no more, until the node is believed again: no link, no path, no stream.
//!
//! It is told why, and then not heard any more: where it has proven to be, the datapath drops everything, with a kernel's
//! program before it costs anything. Where it merely says that it is may be somebody else's place.
//!
//! This is this node's own decision about its own dealings: others hear nothing of it and judge for themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prunella_core::ledger::Event;
use prunella_core::limits::{ADDRESSES_MAX, RECORDS_MAX};
use prunella_core::wiring::Route;
use prunella_core::{Instant, PeerId, monitor, pathfinder, planner};

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
    /// Where it has proven to be, each with the first time that it did so since it was last shut out there.
    met_at: BTreeMap<SocketAddr, Instant>,
}

impl Quarantine {
    /// Whether this node is in quarantine.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.read().contains_key(peer)
    }

    /// Everybody in quarantine, in ascending order.
    pub fn all(&self) -> Vec<PeerId> {
        self.read().keys().copied().collect()
    }

    /// A node has proven to be at an address. If it is in quarantine, that is where it is shut out, once it was told.
    pub fn met(&self, peer: &PeerId, at: SocketAddr, now: Instant) {
        let mut held = self.write();
        let Some(Held { met_at, .. }) = held.get_mut(peer) else { return };
        if met_at.len() < ADDRESSES_MAX || met_at.contains_key(&at) {
            met_at.entry(at).or_insert(now);
        }
    }

    /// The addresses that are shut out now. Later somebody else may be there: then it is forgotten that this node was.
    fn shut_out(&self, now: Instant) -> BTreeSet<SocketAddr> {
        let mut held = self.write();
        let mut shut_out = BTreeSet::new();
        for Held { met_at, .. } in held.values_mut() {
            met_at.retain(|_, met| now.since(*met) < TOLD_FOR + SHUT_OUT_FOR);
            shut_out.extend(met_at.iter().filter(|(_, met)| now.since(**met) >= TOLD_FOR).map(|(address, _)| *address));
        }
        shut_out
    }

    /// Takes a node in; false if there are too many. Of one that is in it already, what it was before stays.
    fn enter(&self, peer: PeerId, neighbor_at: Option<Vec<SocketAddr>>) -> bool {
        let mut held = self.write();
        let has_room = held.len() < RECORDS_MAX || held.contains_key(&peer);
        if has_room {
            held.entry(peer).or_insert(Held { neighbor_at, met_at: BTreeMap::new() });
        }
        has_room
    }

    fn leave(&self, peer: &PeerId) -> Option<Held> {
        self.write().remove(peer)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<PeerId, Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<PeerId, Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
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
        self.close_or_tell(peer);
        Ok(())
    }

    /// Deals with a node again, as before.
    pub(super) fn readmit(&self, peer: PeerId, reason: &str) {
        // Whether it is believed is one thing; whether it is a member, the authority says.
        if self.credentials.is_revoked(&peer) {
            return;
        }
        let Some(Held { neighbor_at, .. }) = self.roster.quarantine.leave(&peer) else { return };
        tracing::info!(peer = %peer.short(), name = self.known.name(&peer), "readmitted: it is dealt with again");
        self.write_down(Event::Readmitted { peer, reason: reason.to_owned() });
        self.facts_changed();
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::Quarantined { peer, quarantined: false }));
        self.tell_quarantined(peer, false);
        self.keep_out();
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
            self.close_or_tell(peer);
        }
        is_quarantined
    }

    /// Has the datapath drop what comes from where nodes in quarantine are, but for where somebody else has a link by now.
    pub(super) fn keep_out(&self) {
        let mut shut_out = self.roster.quarantine.shut_out(self.clock.now());
        if !shut_out.is_empty() {
            let linked: BTreeSet<_> = self.links().addresses().into_iter().map(|(_, address)| address).collect();
            shut_out.retain(|address| !linked.contains(address));
        }
        self.port.shut_out(&shut_out);
    }

    fn close_or_tell(&self, peer: PeerId) {
        match self.links().snapshot().iter().find(|living| living.peer == peer) {
            Some(living) => {
                self.roster.quarantine.met(&peer, living.remote, self.clock.now());
                self.links().close(living.link, CLOSED_FOR);
            }
            None => self.tell_quarantined(peer, true),
        }
    }

    fn tell_quarantined(&self, peer: PeerId, quarantined: bool) {
        self.directory.deliver(Route::Planner(planner::Input::Quarantined { peer, quarantined }));
        self.directory.deliver(Route::Monitor(monitor::Input::Quarantined { peer, quarantined }));
    }
}

/// Why the link to a quarantined neighbor ends.
const CLOSED_FOR: &str = "the neighbor is quarantined";
/// How long a node in quarantine that comes is told that it is not accepted: whoever runs it may learn of it by this.
const TOLD_FOR: Duration = Duration::from_secs(5);
/// How long it is not heard then, until it is told again. Addresses are given to others, by routers sooner than by people.
const SHUT_OUT_FOR: Duration = Duration::from_secs(600);

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

    #[test]
    fn who_comes_is_told_and_then_not_heard_for_a_while_where_it_has_proven_to_be() {
        let quarantine = Quarantine::default();
        let [peer, other] = [1, 2].map(|seed| PeerId::from_public_key([seed; 32]));
        let [here, there] = ["10.0.0.1:7", "10.0.0.2:7"].map(|address| address.parse().unwrap());
        let at = |seconds| Instant::BOOT + Duration::from_secs(seconds);
        quarantine.enter(peer, Some(vec![there]));
        quarantine.met(&peer, here, at(1));
        quarantine.met(&other, there, at(1));
        assert_eq!(quarantine.shut_out(at(5)), BTreeSet::new(), "it is being told");
        quarantine.met(&peer, here, at(5));
        assert_eq!(quarantine.shut_out(at(6)), BTreeSet::from([here]), "and not where it was dialed, or another is");
        assert_eq!(quarantine.shut_out(at(605)), BTreeSet::from([here]));
        assert_eq!(quarantine.shut_out(at(606)), BTreeSet::new(), "somebody else may be there by now");
        quarantine.met(&peer, here, at(700));
        assert_eq!(quarantine.shut_out(at(705)), BTreeSet::from([here]), "it was not somebody else");
        for port in 1..=2 * ADDRESSES_MAX as u16 {
            quarantine.met(&peer, SocketAddr::new(here.ip(), 1000 + port), at(706));
        }
        assert_eq!(quarantine.shut_out(at(720)).len(), ADDRESSES_MAX, "whoever comes from everywhere");
        quarantine.leave(&peer);
        assert_eq!(quarantine.shut_out(at(721)), BTreeSet::new());
    }
}
